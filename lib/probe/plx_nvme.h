/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef PLX_NVME_H
#define PLX_NVME_H
/**
 * @file
 * NVMe controllers: admin commands, and helpers for the usual ones (NVMe Base 2.0, 5). Data
 * structures are libnvme's, of <nvme/types.h>.
 *
 * These calls go to the controller itself, so one whose namespaces are all missing or unusable can
 * be looked at and repaired. Nothing is refused for the sake of data: format and sanitize
 * destroy it, whoever has the namespace open; then its block device is removed or resized.
 *
 * Each call waits, driving plx_ctrl_poll(), unless it is a begin. Any thread; the attachment must
 * stay meanwhile. Returned are
 *   0        done
 *   > 0      the controller refused: the status field without phase (nvme_status_to_string())
 *   -ENOTSUP not an NVMe controller, or none that is attached
 *   -EINVAL  a command that the driver keeps to itself (queues, doorbells, host memory), or data
 *            longer than the controller takes in one command
 *   -EBUSY   (begin only) another such operation is under way; those that wait wait for it
 *   -ENODEV, -ETIMEDOUT (a reset of the controller follows), -ENOMEM
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "plx_blk.h"

#ifdef __cplusplus
extern "C" {
#endif

struct plx_dev;

/**
 * Begin an admin command; cmd and its data must stay. @return 0 begun: plx_nvme_poll() follows;
 * -errno as above
 */
int plx_nvme_admin_begin(struct plx_dev *dev, struct plx_nvme_cmd *cmd);
/** Begin a reset of the controller. The same. */
int plx_nvme_reset_begin(struct plx_dev *dev);
/** @return -EINPROGRESS while plx_ctrl_poll() has work on it; the outcome, once: 0 the controller
 * answered (see cmd->status); -errno */
int plx_nvme_poll(struct plx_dev *dev);

/** Run an admin command; cmd->status and cmd->result are set when the controller answered. */
int plx_nvme_admin(struct plx_dev *dev, struct plx_nvme_cmd *cmd);
/** Reset the controller, as plx_blk_reset() does. */
int plx_nvme_reset(struct plx_dev *dev);

/** @name Helpers
 * nsid 0: none. @{ */
/** Identify (5.17): 4096 bytes to buf. */
int plx_nvme_identify(
	struct plx_dev *dev, uint8_t cns, uint32_t nsid, uint16_t cntid, uint8_t csi, void *buf);

/** Which log page, and how (5.16). */
struct plx_nvme_log {
	uint8_t lid, lsp;
	uint16_t lsi;
	uint32_t nsid; /**< 0: all (0xffffffff) */
	uint64_t offset;
	bool rae; /**< keep the event that announced it */
	uint8_t csi;
};
/** Get a log page: len bytes, a multiple of 4, in as many commands as it takes. */
int plx_nvme_get_log(struct plx_dev *dev, const struct plx_nvme_log *log, void *buf, uint32_t len);

/** A feature (5.15, 5.27). */
struct plx_nvme_feature {
	uint8_t fid;
	uint8_t sel; /**< get: 0 current, 1 default, 2 saved, 3 supported capabilities */
	bool save;   /**< set: also over power cycles */
	uint32_t nsid, cdw11, cdw12;
	void *data; /**< NULL: none */
	uint32_t data_len;
};
/** Get it, and set it. value: out, dword 0 of the completion; may be NULL */
int plx_nvme_get_feature(
	struct plx_dev *dev, const struct plx_nvme_feature *feature, uint32_t *value);
int plx_nvme_set_feature(
	struct plx_dev *dev, const struct plx_nvme_feature *feature, uint32_t *value);

/** Format (5.14). cdw10: LBAF, MSET, PI, PIL, SES as the command has them. timeout_ms 0: ten
 * minutes. nsid 0xffffffff: all namespaces */
int plx_nvme_format(struct plx_dev *dev, uint32_t nsid, uint32_t cdw10, uint32_t timeout_ms);
/** Begin to sanitize (5.24); the sanitize log (0x81) tells how it gets on. cdw10: the action, and
 * what goes with it; pattern: of an overwrite */
int plx_nvme_sanitize(struct plx_dev *dev, uint32_t cdw10, uint32_t pattern);
/** Begin a device self-test (5.9): stc 1 short, 2 extended, 0xf abort. Its log is 0x06. */
int plx_nvme_self_test(struct plx_dev *dev, uint32_t nsid, uint8_t stc);

/** Download a firmware image (5.13), in pieces of the controller's granularity; len is a multiple
 * of 4. offset: where it begins in the image, bytes */
int plx_nvme_fw_download(struct plx_dev *dev, const void *image, uint32_t len, uint32_t offset);
/** Commit it (5.12): slot 0 to 7, action 0 to 7. result: dword 0 of the completion, may be NULL */
int plx_nvme_fw_commit(struct plx_dev *dev, uint8_t slot, uint8_t action, uint32_t *result);

/** Create (5.23) a namespace as data (a struct nvme_id_ns: nsze, ncap, flbas, dps, nmic) says; it
 * has to be attached yet. nsid: out */
int plx_nvme_ns_create(struct plx_dev *dev, const void *data, uint8_t csi, uint32_t *nsid);
int plx_nvme_ns_delete(struct plx_dev *dev, uint32_t nsid);
/** Attach to or detach from controllers (5.22). */
int plx_nvme_ns_attach(
	struct plx_dev *dev, uint32_t nsid, const uint16_t *cntids, uint16_t n, bool attach);
/** What a reservation command asks for. */
struct plx_nvme_resv {
	uint64_t crkey; /**< the key that this host registered */
	uint64_t key;   /**< register: the new one; acquire: that of who is preempted */
	uint8_t action; /**< RREGA, RACQA or RRELA */
	uint8_t rtype;  /**< acquire, release: type of reservation, 1 to 6 */
	uint8_t cptpl;  /**< register: 0, 2 or 3: change of persistence through power loss */
	bool iekey;     /**< ignore the existing key */
};
/**
 * Reservations (7.2 to 7.5) are I/O commands: these fill in cmd, for a PLX_OP_NVME request on a
 * queue of the namespace with ext->nvme = cmd and buf = data, which devices must reach. Hosts are
 * told apart by the device string's hostid=. They neither wait nor fail.
 * @param cmd   out
 * @param data  out: 16 bytes of keys
 * @param resv  what for
 */
void plx_nvme_resv_register(struct plx_nvme_cmd *cmd, void *data, const struct plx_nvme_resv *resv);
void plx_nvme_resv_acquire(struct plx_nvme_cmd *cmd, void *data, const struct plx_nvme_resv *resv);
void plx_nvme_resv_release(struct plx_nvme_cmd *cmd, void *data, const struct plx_nvme_resv *resv);
/** The same for a report. len: bytes of it, a multiple of 4; eds: of the extended structure, which
 * goes with host identifiers of 16 bytes. */
void plx_nvme_resv_report(struct plx_nvme_cmd *cmd, uint32_t len, bool eds);
/** @} */

#ifdef __cplusplus
}
#endif
#endif
