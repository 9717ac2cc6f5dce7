/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef PLX_SIGBUS_H
#define PLX_SIGBUS_H
/**
 * @file
 * Surviving memory that somebody else takes away: a file that a peer truncates under a mapping,
 * a device that leaves while its registers are mapped. Touching what is gone raises SIGBUS; with
 * plx_sigbus_try_handle() called from the program's handler, the access goes on with filler, and
 * the owner of the mapping learns of it and drops the peer or the device.
 *
 * Pollux installs no signal handler. Programs do, embedders call this from theirs:
 *
 *	static void on_sigbus(int sig, siginfo_t *info, void *uctx)
 *	{
 *		if (!plx_sigbus_try_handle(sig, info, uctx))
 *			signal(SIGBUS, SIG_DFL);	// somebody else's: die of it as usual
 *	}
 */
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A mapping that others can take away; embedded in its owner, who fills the first part. */
struct plx_sigbus_range {
	void *va;       /**< start of the mapping, aligned to page */
	size_t len;     /**< bytes */
	size_t page;    /**< what is replaced at a time: a multiple of the mapping's page size */
	uint8_t fill;   /**< what reads find afterwards: 0, or 0xff for registers */
	uint32_t *hits; /**< counted up, atomically, at each replacement */
	/* private */
	struct plx_sigbus_range *next, **prev;
};

/** Watch a range, from before it is touched until it is unmapped. Any thread. */
void plx_sigbus_add(struct plx_sigbus_range *range);
/** Stop watching; harmless for one that isn't watched. Any thread. */
void plx_sigbus_del(struct plx_sigbus_range *range);

/**
 * Handle a SIGBUS if it came from a watched range: put anonymous memory in the page's place.
 * To be called from a handler installed with SA_SIGINFO; safe there.
 * @param sig   the handler's first argument
 * @param info  its second
 * @param uctx  its third; not used so far
 * @return true: return from the handler, the access is repeated; false: not ours, or no memory
 */
bool plx_sigbus_try_handle(int sig, const siginfo_t *info, void *uctx);

#ifdef __cplusplus
}
#endif
#endif
