/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef PLX_REACTOR_H
#define PLX_REACTOR_H
/**
 * @file
 * A loop with pollers, for one lcore or any other single thread.
 */
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct plx_reactor;
struct plx_poller;

/** A poller. @return >0 found work, 0 idle */
typedef int (*plx_poller_fn)(void *arg);

/** What a reactor did. */
struct plx_reactor_stats {
	uint64_t turns, busy_turns;
	uint64_t busy_cycles, idle_cycles; /**< TSC */
};

/** Create a reactor; it belongs to the thread that steps it. @return NULL: no memory */
struct plx_reactor *plx_reactor_create(const char *name);
/** Destroy, with its pollers. Not from inside a poller. NULL is harmless. */
void plx_reactor_destroy(struct plx_reactor *r);

/**
 * Add a poller; the reactor's thread only, or before it runs. May be called from a poller.
 * @param r     the reactor
 * @param name  for statistics and debuggers; copied
 * @param fn    called with arg
 * @param arg   anything
 * @param period_us 0: every turn
 * @return NULL: no memory
 */
struct plx_poller *plx_poller_add(
	struct plx_reactor *r, const char *name, plx_poller_fn fn, void *arg, uint64_t period_us);
/** Remove; from its own or another poller, or while the reactor doesn't run. NULL is harmless. */
void plx_poller_del(struct plx_poller *p);

/** One turn: each poller that is due, once; not from inside a poller. @return the sum of what they
 * returned */
int plx_reactor_step(struct plx_reactor *r);
/** Turn until plx_reactor_stop(). @return 0 */
int plx_reactor_run(struct plx_reactor *r);
/** Make plx_reactor_run() return after its turn, or after the first turn of the next run. Any
 * thread, signal handlers too. */
void plx_reactor_stop(struct plx_reactor *r);
/** Any thread. */
void plx_reactor_stats_get(const struct plx_reactor *r, struct plx_reactor_stats *st);

#ifdef __cplusplus
}
#endif
#endif
