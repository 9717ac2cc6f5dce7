/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ENGINE_H
#define ENGINE_H
/**
 * @file
 * An I/O engine for fio: ioengine=external:libplx-fio.so. engine.c is what fio calls, a job's
 * thread at a time; device.c has what jobs share: EAL, devices and their queues. Nothing of fio's
 * headers is in the latter.
 */
#include <stdbool.h>
#include <stdint.h>

#include "plx_blk.h"

struct eng_dev;

/** Start EAL, once; args: its options between blanks, or NULL. The calling thread stays on its
 * CPUs. @return 0 or -errno, logged */
int eng_start(const char *args);

/**
 * Attach what a device string names, unless a job did so before, and announce a user of it.
 * @param depth  I/Os that the user will have in flight
 * @param write  it will write
 * @return the device, or NULL: one line was logged
 */
struct eng_dev *eng_dev_get(const char *str, unsigned int depth, bool write);
/** What it is. */
const struct plx_blk_info *eng_dev_info(const struct eng_dev *dev);
/** Take a queue, from the thread that will own it; the first starts the device. @return NULL: one
 * line was logged */
struct plx_blkq *eng_queue_get(struct eng_dev *dev);
/** Give a queue back, with nothing in flight; and, by eng_dev_put(), the use of the device: the
 * last one detaches it. */
void eng_queue_put(struct eng_dev *dev, struct plx_blkq *q);
void eng_dev_put(struct eng_dev *dev);
/** Devices map memory that was allocated after they were attached. */
void eng_sync_memory(void);

/** Tell the user. */
void eng_say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
