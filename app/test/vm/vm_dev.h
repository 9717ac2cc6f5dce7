/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VM_DEV_H
#define VM_DEV_H
/* A block device from its string, for the programs that run in guests. */
#include <stdint.h>

#include "plx_blk.h"

/* No request may take longer than this. */
#define VM_LATE_S 20

/* What is done with a started device: 0, or why not, said already. */
typedef int (*vm_dev_fn)(struct plx_blk *blk, void *arg);

/* Attach, start queues with the depth (0: the default) on the device's node, run fn, detach.
 * @return 0 or the first error; one line on stderr says what it is about */
int vm_dev_run(const char *str, uint16_t queues, uint16_t depth, vm_dev_fn fn, void *arg);

/* Run one request to its end. @return its status */
int vm_dev_io(struct plx_blkq *q, struct plx_blk_req *req);

#endif /* VM_DEV_H */
