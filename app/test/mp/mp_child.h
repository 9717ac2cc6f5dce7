/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef MP_CHILD_H
#define MP_CHILD_H
/*
 * A process of the test: attaches a device, and writes and reads back without end, as it is told by
 * lines on stdin; "role=primary" or "secondary".
 *
 *	attach STRING	-> "attached" or "failed -errno"
 *	open NAME BASE	-> "open": queue 0 of NAME works on blocks from BASE on
 *	count		-> "count ACCEPTED RETURNED BAD LAST": LAST status other than 0
 *	reset		-> "reset rc"
 *	heap		-> "heap BYTES": that are allocated in the heap that all share
 *	log, format	-> "log rc", "format rc": of the SMART log and a format
 *	hush, speak	whether plx_ctrl_poll() is called
 *	late		-> "late rc": memory that EAL gets now, beyond what it began with, holds
 *data close		-> "closed rc": stopped and closed, after collecting all detach
 *-> "detached rc" quit		-> ends with 0
 *
 * When the device is gone it says "lost" and how many requests came back, like count.
 */
int mp_child(int argc, char **argv);

#endif
