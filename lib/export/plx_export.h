/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef PLX_EXPORT_H
#define PLX_EXPORT_H
/**
 * @file
 * Exports: attached block devices, served to others.
 *
 *	vfio-user:/path/sock,dev=r0[,dev=r1][,serial=S][,model=M][,rdonly=1][,queues=N][,depth=N]
 *
 * What stands before the first ':' names the protocol, then comes where it is served, then
 * key=value pairs; each dev= names an attached device.
 *
 * An export belongs to one thread at a time: the one that polls it. It takes its devices for
 * itself, with one queue each, and runs their I/O from that thread.
 */
#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct plx_export;

/** What an export did since it was created. Counters only grow. */
struct plx_export_stats {
	uint64_t commands, errors;          /**< I/O commands completed; of these, with an error */
	uint64_t read_blocks, write_blocks; /**< in blocks of the device each went to */
	uint64_t protocol_errors;           /**< what the client got wrong */
	uint64_t polls, empty_polls;
};

/**
 * Begin to serve. It answers while plx_export_poll() is called. Not inside a callback of Pollux.
 * @param str  an export string
 * @param exp  out
 * @return 0; one line was logged for: -EINVAL malformed; -ENOENT no such protocol, directory or
 *         device; -EBUSY a device is in use; -EROFS a device is read-only and rdonly=1 is
 *         missing; -EADDRINUSE somebody serves there; -ENAMETOOLONG; -EACCES; -ENOMEM; others of
 *         plx_blk_start()
 */
int plx_export_create(const char *str, struct plx_export **exp);

/** Serve what is there to be done. Its thread; never blocks. @return how much was done */
int plx_export_poll(struct plx_export *exp);

/**
 * May its thread sleep now? Nothing tells of what a client writes into shared memory, so it has to
 * look again after as long as a client may wait: a millisecond costs less than 1 % of a core. The
 * next plx_export_poll() looks at everything. Its thread, after a poll that did nothing.
 * @return true: nothing is in flight, and no client is in the middle of something
 */
bool plx_export_quiet(struct plx_export *exp);

/** Stop serving: clients are dropped, what is in flight is finished, the devices are closed.
 * Its thread, or any when that one polls no more. NULL is harmless. */
void plx_export_destroy(struct plx_export *exp);

/** @return protocol and place, "vfio-user:/path/sock" */
const char *plx_export_name(const struct plx_export *exp);
/** @return the name of its i-th device, NULL past the last */
const char *plx_export_dev(const struct plx_export *exp, uint32_t i);
/** Any thread; each counter is consistent by itself. */
void plx_export_stats_get(const struct plx_export *exp, struct plx_export_stats *st);
/** @return the form of the i-th known protocol's export string, NULL past the last */
const char *plx_export_help(uint32_t i);

#ifdef __cplusplus
}
#endif
#endif
