/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef PLX_REACTOR_H
#define PLX_REACTOR_H
/**
 * @file
 * Reactors: a loop with pollers, timers and messages, for one lcore or any other single thread.
 *
 *	other threads                       one turn of the reactor
 *	  plx_reactor_send_burst() -> ring -> messages, timers that are due, pollers
 *	  plx_reactor_wake(), _stop()               |
 *	                                    nothing to do for a while: sleep (adaptive, interrupt)
 *
 * Three ways to run one: plx_reactor_run() in the calling thread, plx_reactor_launch() on an lcore
 * of its own; plx_reactor_step(), a turn at a time, from a loop of the caller's; or
 * plx_reactor_service_add(), as a component of rte_service.
 *
 * Threads. A reactor's thread is the one that runs or steps it; while nobody does, it is the one
 * that created it. Functions are the reactor's thread's, from inside its callbacks too, unless they
 * say otherwise. Callbacks never block: what one does, all others wait for.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct plx_reactor;
struct plx_poller;

#define PLX_REACTOR_NAME_MAX 32 /**< with the terminating zero; longer names are cut */

/** What plx_reactor_run() does while there is nothing to do. */
enum plx_reactor_idle {
	PLX_IDLE_BUSY = 0,  /**< polls on */
	PLX_IDLE_ADAPTIVE,  /**< polls on for conf.spin_us, then sleeps */
	PLX_IDLE_INTERRUPT, /**< sleeps at once */
};

/** How a reactor is made; all zero gives the defaults. */
struct plx_reactor_conf {
	enum plx_reactor_idle idle;
	uint32_t spin_us;  /**< adaptive: idle for that long before it sleeps; 0: 50 */
	uint32_t doze_us;  /**< longest sleep while it has pollers of every turn that say nothing
			      of sleep (plx_poller_idle_set()): what they poll can't wake it; 0:
			      1000 */
	uint32_t messages; /**< that may wait at least, up to 2^20 (64 bytes each); 0: 1024.
			      Bursts take less room */
	bool one_sender;   /**< only one thread ever sends: a cheaper ring */
};

/** What a reactor did. Counters only grow. Cycles are the TSC's. */
struct plx_reactor_stats {
	uint64_t turns, busy_turns;
	uint64_t busy_cycles;  /**< of turns that found work */
	uint64_t idle_cycles;  /**< of turns that found none */
	uint64_t sleep_cycles; /**< from going to sleep to being awake */
	uint64_t sleeps;
	uint64_t wakes;        /**< of these, ended by a message, plx_reactor_wake() or a stop */
	uint64_t messages;     /**< run */
	uint64_t timers;       /**< expired */
	uint64_t longest_poll; /**< cycles that one call of a poller took, at most */
};

/**
 * Create a reactor that polls all the time; plx_reactor_create_conf() with conf NULL.
 * @return NULL: no memory
 */
struct plx_reactor *plx_reactor_create(const char *name);
/**
 * Create a reactor. Any thread, at any time.
 * @param name  for statistics and messages; copied, need not be unique
 * @param conf  NULL: all defaults
 * @param r     out
 * @return 0; -EINVAL conf makes no sense; -ENOMEM; -EMFILE, -ENFILE no descriptors to sleep with
 */
int plx_reactor_create_conf(
	const char *name, const struct plx_reactor_conf *conf, struct plx_reactor **r);
/**
 * Destroy, with its pollers and timers. Any thread but its own while it runs: where it runs or was
 * launched, it is stopped first and waited for. Messages that still wait are run, by this thread,
 * so that none is lost. Nobody may send to it any more. NULL is harmless.
 */
void plx_reactor_destroy(struct plx_reactor *r);

/** @return its name, as long as it is there. Any thread */
const char *plx_reactor_name(const struct plx_reactor *r);
/** @return its policy. Any thread */
enum plx_reactor_idle plx_reactor_idle(const struct plx_reactor *r);
/** @return the reactor that the calling thread is inside of, NULL: none */
struct plx_reactor *plx_reactor_self(void);
/**
 * Call fn for each reactor of the process until it returns other than 0; no reactor is created or
 * destroyed meanwhile, so fn must not do so. Any thread.
 * @return what fn returned last, 0 when there is none
 */
int plx_reactor_walk(int (*fn)(struct plx_reactor *r, void *arg), void *arg);
/** Any thread; each counter is consistent by itself. */
void plx_reactor_stats_get(const struct plx_reactor *r, struct plx_reactor_stats *st);

/** @name Running
 * @{ */
/** One turn, which never sleeps; not from inside a callback. @return how much was done: messages,
 * timers, and what pollers returned; 0: idle */
int plx_reactor_step(struct plx_reactor *r);
/** Turn until plx_reactor_stop(), sleeping in between as its policy says. The calling thread
 * becomes its own. @return 0; -EBUSY it runs already */
int plx_reactor_run(struct plx_reactor *r);
/**
 * Run it on a worker lcore that waits (rte_eal_remote_launch()). Any thread that may launch: the
 * main lcore.
 * @return 0; -EBUSY it runs already, or the lcore does; -EINVAL no enabled worker lcore
 */
int plx_reactor_launch(struct plx_reactor *r, unsigned int lcore);
/** Make plx_reactor_run() return after its turn, or after the first turn of the next run. Any
 * thread, signal handlers too. */
void plx_reactor_stop(struct plx_reactor *r);
/** Wait until it doesn't run and its lcore is free again; at once when it doesn't run. What it did
 * is visible then. Any thread but its own. */
void plx_reactor_wait(struct plx_reactor *r);
/**
 * Make it a component of rte_service: a service that takes a turn at each call, for the lcores
 * that the application maps it to, one at a time (not MT safe). The component's run state is set,
 * the application's is the application's. plx_reactor_destroy() takes it away.
 * @param r   the reactor
 * @param id  out: the service
 * @return 0; -EBUSY it is one already, or runs; -ENOSPC too many services; -ENOMEM
 */
int plx_reactor_service_add(struct plx_reactor *r, uint32_t *id);
/** Undo, once no lcore is inside. Any thread. @return 0; -ENOENT it is none; -EBUSY an lcore is
 * inside of it for longer than a second */
int plx_reactor_service_del(struct plx_reactor *r);
/** @} */

/** @name Messages
 * A message is a call that the reactor makes, once, in one of its next turns. Those of one sender
 * are run in their order.
 * @{ */
typedef void (*plx_msg_fn)(void *arg);
/**
 * Send messages: fn(args[0]), fn(args[1]) and so on; and wake the reactor if it sleeps. Any thread
 * (with conf.one_sender, only one), its own too. Never blocks.
 * @return how many were sent, from the first on; fewer than n only while the ring is full: the
 *         reactor has to catch up, keep the rest
 */
unsigned int plx_reactor_send_burst(
	struct plx_reactor *to, plx_msg_fn fn, void *const *args, unsigned int n);
/** Send one. @return 0; -EAGAIN the ring is full */
int plx_reactor_send(struct plx_reactor *to, plx_msg_fn fn, void *arg);
/**
 * Let a sleeping reactor take a turn: to be called after publishing something that one of its
 * pollers looks at. Costs a fence while it doesn't sleep, nothing where it never does. Any thread,
 * signal handlers too.
 */
void plx_reactor_wake(struct plx_reactor *r);
/** @} */

/** @name Pollers
 * @{ */
/** A poller. @return >0 found work, 0 idle */
typedef int (*plx_poller_fn)(void *arg);

/**
 * Add a poller; may be called from a poller.
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

/**
 * How a poller lets its reactor sleep. Without, one of every turn makes it doze (conf.doze_us), and
 * one with a period wakes it in time.
 *
 * Before it sleeps, the reactor calls each arm(), then takes a turn, and sleeps only if that turn
 * was idle. So whatever arm() looks at or switches on, what comes after it must make fd readable or
 * be followed by plx_reactor_wake().
 */
struct plx_poller_idle {
	int fd; /**< wakes the reactor while readable (or hung up); -1: none */
	/** @return 0 it may sleep; >0 for so many us at most; -EBUSY not now. NULL: it may */
	int (*arm)(void *arg);
	/** Called once for each arm(), after sleep or instead of it: switch off, read fd empty.
	 * NULL: nothing to do */
	void (*disarm)(void *arg);
};
/** Set or change it; idle->fd stays the caller's, and is let go of here or by plx_poller_del()
 * before it is closed. @return 0; -ENOTSUP it needs an fd and the reactor never sleeps, which needs
 * no arming either; -EPERM, -ENOMEM, -ENOSPC of epoll_ctl(2) */
int plx_poller_idle_set(struct plx_poller *p, const struct plx_poller_idle *idle);

/** What a poller did; cycles are the TSC's. */
struct plx_poller_stats {
	char name[PLX_REACTOR_NAME_MAX];
	uint64_t period_us;
	uint64_t calls, busy_calls, cycles, longest;
};
/** Call fn for each poller of a reactor, which must neither add nor remove any. Any thread that
 * knows the reactor to stay; inside plx_reactor_walk() it does. */
void plx_poller_walk(
	struct plx_reactor *r, void (*fn)(const struct plx_poller_stats *st, void *arg), void *arg);

/**
 * Drive the control plane (plx_ctrl.h) from this reactor: a poller that runs plx_ctrl_poll() ten
 * times a millisecond while the reactor is awake, and lets it sleep as plx_ctrl_quiet_ms() says.
 * @return NULL: no memory
 */
struct plx_poller *plx_reactor_add_ctrl(struct plx_reactor *r);
/** @} */

/** @name Timers
 * @{ */
/** A timer, embedded in its owner; zeroed before its first use. */
struct plx_timer {
	void (*fn)(void *arg); /**< may arm, cancel and free any timer, this one too */
	void *arg;
	/* private */
	struct plx_reactor *reactor;
	uint64_t due, period;
	struct plx_timer *child, *next, **prev;
};
/**
 * Let t->fn(t->arg) be called; an armed timer is armed anew.
 * @param r      the reactor
 * @param t      fn and arg set; it must stay until it expired (one-shot) or was cancelled
 * @param us     from now, the first time; not before, and in the first turn after
 * @param period_us  0: once; else again and again, where late ones are not made up for
 */
void plx_timer_arm(struct plx_reactor *r, struct plx_timer *t, uint64_t us, uint64_t period_us);
/** Not armed is harmless. */
void plx_timer_cancel(struct plx_timer *t);
/** @return whether it will expire */
static inline bool
plx_timer_armed(const struct plx_timer *t)
{
	return t->prev != NULL;
}
/** @} */

/** @name Sleeping in a loop of the caller's
 * For those who step a reactor that is not PLX_IDLE_BUSY:
 *
 *	if (plx_reactor_step(r) == 0 && plx_reactor_arm(r, &us) == 0) {
 *		wait for plx_reactor_fd(r), with other descriptors, for us at most
 *		plx_reactor_disarm(r);
 *	}
 * @{ */
/** @return a descriptor that is readable when an armed reactor has to go on, the reactor's;
 * -ENOTSUP it never sleeps */
int plx_reactor_fd(const struct plx_reactor *r);
/**
 * Get ready to sleep; takes a turn.
 * @param r   the reactor
 * @param us  out: how long at most, UINT64_MAX: for ever
 * @return 0 armed; -EBUSY there was something to do, or a poller can't sleep: it is not armed;
 *         -ENOTSUP it never sleeps
 */
int plx_reactor_arm(struct plx_reactor *r, uint64_t *us);
/** After waiting, however that ended. */
void plx_reactor_disarm(struct plx_reactor *r);
/** @} */

#ifdef __cplusplus
}
#endif
#endif
