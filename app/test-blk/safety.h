/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TB_SAFETY_H
#define TB_SAFETY_H
/**
 * @file
 * What a run would overwrite: partition tables and signatures of file systems and the like, found
 * by libblkid in what the device gives us, for the kernel doesn't see it.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * Tell what is on an image: head, then a line each, indented. fd: a file with the first and the
 * last megabytes of the device, as large as it; block_size: the device's.
 * @return how many were told of; 0 too when built without libblkid
 */
int tb_signatures(const char *head, int fd, uint64_t size, uint32_t block_size);

struct tb_run;
/** Look at each device that the run writes to, unless it is software's or was looked at, and ask
 * on a terminal when there is something. The devices are started, nobody else uses their queues.
 * @return an enum tb_exit, after one line */
int tb_safety_check(struct tb_run *run);

#endif
