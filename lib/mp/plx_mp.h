/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef PLX_MP_H
#define PLX_MP_H
/**
 * @file
 * Several processes on one EAL: looking at a primary process from outside.
 *
 * A secondary process attaches a device of the primary with the device string "mp:NAME". What is
 * here needs no EAL: it asks the primary over a socket in its runtime directory, which is there
 * from the primary's first plx_attach() on, unless EAL runs without shared configuration
 * (--in-memory, --no-shconf).
 */
#include <stdint.h>

#include "plx_blk.h"

#ifdef __cplusplus
extern "C" {
#endif

/** A block device of the primary. */
struct plx_mp_dev {
	struct plx_blk_info info;
	struct plx_blk_stats stats; /**< of the primary's own queues */
	uint32_t nb_queues;         /**< of the primary and of secondary processes */
	uint32_t open;              /**< the primary has it open */
};

/** A queue of it. */
struct plx_mp_queue {
	int32_t pid;  /**< of the process that has it */
	uint16_t qid; /**< the process' own: its device may have several namespaces */
	uint16_t depth;
	uint32_t inflight;
	struct plx_blk_stats stats; /**< of a secondary's: up to half a second old */
};

/** What is called with each device, and then with each of its queues; the other is NULL.
 * @return 0 to go on */
typedef int (*plx_mp_inspect_t)(
	const struct plx_mp_dev *dev, const struct plx_mp_queue *queue, void *arg);

/**
 * Look at the devices of a primary process. Waits for its plx_ctrl_poll(), up to 5 s for each
 * answer. Any thread, with EAL or without.
 * @param prefix  its --file-prefix
 * @param fn      is called with what there is
 * @param arg     for fn
 * @return 0; what fn returned to end it; one line was logged for: -ESRCH no primary process with
 *         that prefix; -ECONNREFUSED it has not attached a device; -EACCES; -EPROTONOSUPPORT it
 *         runs another version; -ETIMEDOUT it doesn't call plx_ctrl_poll(); -ENODEV it ended
 */
int plx_mp_inspect(const char *prefix, plx_mp_inspect_t fn, void *arg);

#ifdef __cplusplus
}
#endif
#endif
