/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CMDS_H
#define CMDS_H
/** @file
 * The commands. */
#include "cli.h"

/* id.c */
/* @return Identify Controller for free(), or NULL after one line */
struct nvme_id_ctrl *cli_id_ctrl(const struct cli *c);
int cmd_list(struct cli *c);
int cmd_id_ctrl(struct cli *c);
int cmd_id_ns(struct cli *c);
int cmd_list_ns(struct cli *c);
/* log.c */
int cmd_smart_log(struct cli *c);
int cmd_error_log(struct cli *c);
int cmd_fw_log(struct cli *c);
int cmd_effects_log(struct cli *c);
int cmd_changed_ns(struct cli *c);
int cmd_get_log(struct cli *c);
/* Read a whole log page. @return it for free(), or NULL after one line */
void *cli_get_log(const struct cli *c, uint8_t lid, uint32_t nsid, uint32_t len);
/* progress.c */
int cmd_sanitize_log(struct cli *c);
int cmd_self_test_log(struct cli *c);
int cmd_self_test(struct cli *c);
/* admin.c */
int cmd_get_feature(struct cli *c);
int cmd_set_feature(struct cli *c);
int cmd_format(struct cli *c);
int cmd_sanitize(struct cli *c);
int cmd_fw_download(struct cli *c);
int cmd_fw_commit(struct cli *c);
int cmd_reset(struct cli *c);
/* ns.c */
int cmd_create_ns(struct cli *c);
int cmd_delete_ns(struct cli *c);
int cmd_attach_ns(struct cli *c);
int cmd_detach_ns(struct cli *c);
int cmd_report_zones(struct cli *c);
/* pass.c */
int cmd_admin_passthru(struct cli *c);
int cmd_io_passthru(struct cli *c);
extern const struct cli_option pass_options[];
/* Start the device with one queue. @return 0 or -errno */
int cli_start(struct plx_blk *blk, struct plx_blkq **q);
/* Run one request. @return 0, -errno, or the NVMe status */
int cli_io(struct plx_blkq *q, struct plx_blk_req *req);
/* resv.c */
int cmd_resv_register(struct cli *c);
int cmd_resv_acquire(struct cli *c);
int cmd_resv_release(struct cli *c);
int cmd_resv_report(struct cli *c);

#endif
