/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef REACTOR_PRIV_H
#define REACTOR_PRIV_H
/*
 * The reactor's parts:
 *
 *	reactor.c        create, destroy, the list of all, statistics
 *	reactor_ring.h   the ring of messages
 *	reactor_turn.c   pollers, messages, one turn
 *	reactor_run.c    run, launch, as a service, stop
 *	reactor_sleep.c  arming, sleeping, waking
 *	reactor_timer.c  timers
 */
#include <rte_common.h>
#include <rte_spinlock.h>

#include "plx_reactor.h"

#include "reactor_ring.h"

struct plx_poller {
	struct plx_poller *next;
	struct plx_poller **prev;
	struct plx_reactor *reactor;
	plx_poller_fn fn;
	void *arg;
	uint64_t period, due; /* TSC */
	struct plx_poller_idle idle;
	bool has_idle, armed;
	struct plx_poller_stats st; /* one writer, any reader: relaxed atomics */
};

enum reactor_state { REACTOR_AWAKE, REACTOR_ARMED };

struct plx_reactor {
	/* what wakers look at: written at create and around sleep only */
	uint32_t state; /* enum reactor_state */
	bool sleeps;    /* ever */
	int efd;        /* written when state was changed from ARMED */

	struct reactor_ring ring __rte_cache_aligned;

	/* its thread's */
	struct plx_poller *head __rte_cache_aligned;
	struct plx_poller **tail;
	struct plx_poller *next;   /* of the turn under way; a poller may remove any */
	struct plx_poller *polled; /* being called; NULL once it was removed */
	struct plx_timer *timers;  /* a pairing heap, the next to expire on top */
	uint64_t spin;             /* TSC */
	bool changed;              /* pollers were added, or sleep otherwise, since arming */
	bool stop;                 /* anybody's */
	struct plx_reactor_stats stats;

	/* control */
	int epfd;
	struct plx_reactor_conf conf;
	rte_spinlock_t lock;     /* changes of the list of pollers, and walks along it */
	uint32_t running;        /* somebody runs it, is about to, or it is a service */
	unsigned int lcore;      /* that it was launched on */
	uint32_t service;        /* UINT32_MAX: none */
	struct plx_reactor *all; /* the next one of the process */
	char name[PLX_REACTOR_NAME_MAX];
};

/* Add to a counter that one thread writes and others read. */
static __rte_always_inline void
reactor_count(uint64_t *c, uint64_t n)
{
	__atomic_store_n(c, *c + n, __ATOMIC_RELAXED);
}

/* reactor.c */
uint64_t reactor_cycles(uint64_t us);

/* reactor_turn.c: a turn that began at start. @return when it ended; *work: what it did */
uint64_t reactor_turn(struct plx_reactor *r, uint64_t start, int *work);
struct plx_reactor *reactor_enter(struct plx_reactor *r);
void reactor_leave(struct plx_reactor *outer);
unsigned int reactor_messages(struct plx_reactor *r);

/* reactor_sleep.c */
int reactor_sleep_init(struct plx_reactor *r);
void reactor_sleep_fini(struct plx_reactor *r);
void reactor_poller_awake(struct plx_poller *p);
bool reactor_sleep(struct plx_reactor *r);

/* reactor_timer.c: @return how many expired */
unsigned int reactor_timers(struct plx_reactor *r, uint64_t now);

/* reactor_telemetry.c: once */
void reactor_telemetry_register(void);

#endif
