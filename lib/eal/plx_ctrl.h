/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef PLX_CTRL_H
#define PLX_CTRL_H
/**
 * @file
 * The control plane: one polled function and one lock for all of Pollux.
 *
 * Attach, reset, shutdown, reconnect, admin queues, sockets and deadlines are state machines
 * that plx_ctrl_poll() drives. A reactor runs it as a poller, an embedder calls it from any one
 * thread, a millisecond apart or less while an operation is under way; blocking control calls
 * drive it themselves.
 */
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Drive all control work once. Never blocks: when another thread is in the control plane, it
 * returns at once. Any thread.
 * @return how much was done; 0: nothing to do
 */
int plx_ctrl_poll(void);

/**
 * How long callers that sleep may leave the control plane alone. Ask right after plx_ctrl_poll()
 * returned 0, and look again then: while an operation is under way it returns more, and wants to be
 * called on. What another thread begins meanwhile waits that long for this one, unless it is one
 * of the blocking calls, which drive it themselves. Any thread.
 * @return milliseconds, 1 or more: the least of what each piece of work asks for
 */
uint32_t plx_ctrl_quiet_ms(void);

/**
 * The body of a loop that waits for control work: drives it once, and gives the CPU away for
 * 20 us once there was nothing to do a hundred times in a row. Any thread, without the lock.
 * @param idle  the caller's count of such times, 0 at first
 */
void plx_ctrl_drive(unsigned int *idle);

/** Take and leave the control lock (recursive). Control calls take it themselves. */
void plx_ctrl_lock(void);
void plx_ctrl_unlock(void);

/** Sockets and admin queues are looked at, and deadlines kept, that closely while all is quiet. */
#define PLX_CTRL_QUIET_MS 20

/** A piece of control work, embedded in its owner. */
struct plx_ctrl_work {
	/** @return >0 did something, 0 idle. May unregister itself or any other. */
	int (*poll)(struct plx_ctrl_work *work);
	uint32_t quiet_ms; /**< how long it can wait after it was idle; 0: PLX_CTRL_QUIET_MS */
	struct plx_ctrl_work *next;
	struct plx_ctrl_work **prev;
};
/** Add and remove work; under the control lock. Removing what isn't there is harmless. */
void plx_ctrl_add(struct plx_ctrl_work *work);
void plx_ctrl_del(struct plx_ctrl_work *work);

/** A deadline on the TSC. */
struct plx_deadline {
	uint64_t tsc;
};
/** @return a deadline that many milliseconds from now */
struct plx_deadline plx_deadline_in(uint32_t ms);
/** @return 1 when it has passed */
int plx_deadline_past(struct plx_deadline d);

#ifdef __cplusplus
}
#endif
#endif
