/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BLK_PRIV_H
#define BLK_PRIV_H
#include "plx_blk_drv.h"

/* blk_quiesce.c: the fast path of a queue that is taken over */
void blk_close_path(struct plx_drvq *dq);

/* blk_queue.c */
static inline void
blk_done_push(struct plx_drvq *dq, struct plx_blk_req *req)
{
	req->drv[1] = 0;
	*dq->done_tail = req;
	dq->done_tail = (struct plx_blk_req **)&req->drv[1];
}
/* The device has another size now. */
void blk_queue_resize(struct plx_drvq *dq, uint64_t nblocks);
/* Count an accepted request, sane or not. */
void blk_count_slow(struct plx_drvq *dq, const struct plx_blk_req *req);
/* Blocks that one command of the device takes; 0: it has no such command. */
uint32_t blk_cmd_max(const struct plx_blk_info *info, uint8_t op);
/* One command can run it, as far as range and length go. */
bool blk_one_command(const struct plx_drvq *dq, const struct plx_blk_req *req);
/* It has metadata, or says what to do with protection information. */
static inline bool
blk_has_ext(const struct plx_blk_req *req)
{
	return req->ext != NULL && (req->ext->meta != NULL || req->ext->pi_flags != 0);
}
/* It may not be cut: a compare, or an NVMe command. */
bool blk_never_cut(const struct plx_blk_req *req);

/* blk_zone.c: checks of zone operations and copies, whose range and data are good where they have
 * any; and whether one command takes a copy */
bool blk_zone_mgmt(uint8_t op);
int blk_check_zone(const struct plx_drvq *dq, const struct plx_blk_req *req);
int blk_check_zone_write(const struct plx_drvq *dq, const struct plx_blk_req *req);
int blk_check_copy(const struct plx_drvq *dq, const struct plx_blk_req *req);
bool blk_copy_fits(const struct plx_blk_info *info, const struct plx_blk_req *req);
/* It moves a zone's write pointer, so its parts can't be at the device together. */
bool blk_in_sequence(const struct plx_drvq *dq, uint8_t op);

/* blk_split.c. bounce_unit 0: the device reads memory with the CPU, any will do. */
int blk_split_init(struct plx_drvq *dq, size_t bounce_unit, int socket);
void blk_split_fini(struct plx_drvq *dq);
/* A peer that died or hung may have left bounce buffers that must not be used again: take others
 * before the queue runs again. */
void blk_split_renew(struct plx_drvq *dq);
/* Take a checked request. 0: accepted; -EAGAIN: no room; other -errno: finish it so. */
int blk_split_start(struct plx_drvq *dq, struct plx_blk_req *req);

/* blk_latency.c */
int blk_latency_set(struct plx_drvq *dq, bool on);
void blk_latency_free(struct plx_drvq *dq);
/* Requests may have come back while the queue was taken over. */
void blk_latency_forget(struct plx_drvq *dq);

/* blk_telemetry.c: once, when there is something to tell of */
void blk_telemetry_register(void);

/* blk_ctl.c */
void blk_state_set(struct plx_blk *blk, enum plx_blk_state state);

/* blk_dev.c: nobody has it open any more, and it is stopped */
void blk_closed(struct plx_blk *blk);

#endif
