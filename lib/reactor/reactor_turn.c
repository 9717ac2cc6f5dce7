/* SPDX-License-Identifier: BSD-3-Clause */
/* A turn: messages, timers that are due, pollers. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_cycles.h>

#include "plx_ctrl.h"

#include "reactor_priv.h"

#define CTRL_US 100
#define MSG_LINES 32 /* of messages a turn; up to 7 a line */

static __thread struct plx_reactor *inside;

struct plx_reactor *
plx_reactor_self(void)
{
	return inside;
}

struct plx_reactor *
reactor_enter(struct plx_reactor *r)
{
	struct plx_reactor *outer = inside;

	inside = r;
	return outer;
}

void
reactor_leave(struct plx_reactor *outer)
{
	inside = outer;
}

/* ---- messages ---- */

unsigned int
plx_reactor_send_burst(struct plx_reactor *to, plx_msg_fn fn, void *const *args, unsigned int n)
{
	n = reactor_ring_put(&to->ring, fn, args, n);
	if (n != 0)
		plx_reactor_wake(to);
	return n;
}

int
plx_reactor_send(struct plx_reactor *to, plx_msg_fn fn, void *arg)
{
	return plx_reactor_send_burst(to, fn, &arg, 1) == 1 ? 0 : -EAGAIN;
}

unsigned int __rte_noinline
reactor_messages(struct plx_reactor *r)
{
	unsigned int n = reactor_ring_run(&r->ring, MSG_LINES);

	if (n != 0)
		reactor_count(&r->stats.messages, n);
	return n;
}

/* ---- pollers ---- */

struct plx_poller *
plx_poller_add(
	struct plx_reactor *r, const char *name, plx_poller_fn fn, void *arg, uint64_t period_us)
{
	struct plx_poller *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return NULL;
	p->reactor = r;
	p->fn = fn;
	p->arg = arg;
	p->idle.fd = -1;
	strncpy(p->st.name, name, sizeof(p->st.name) - 1);
	if (period_us != 0) {
		p->st.period_us = period_us;
		p->period = reactor_cycles(period_us);
		p->due = rte_rdtsc() + p->period;
	}
	r->changed = true;
	rte_spinlock_lock(&r->lock);
	p->prev = r->tail;
	*r->tail = p;
	r->tail = &p->next;
	rte_spinlock_unlock(&r->lock);
	return p;
}

void
plx_poller_del(struct plx_poller *p)
{
	struct plx_reactor *r;

	if (p == NULL)
		return;
	r = p->reactor;
	reactor_poller_awake(p);
	if (r->next == p)
		r->next = p->next;
	if (r->polled == p)
		r->polled = NULL;
	rte_spinlock_lock(&r->lock);
	*p->prev = p->next;
	if (p->next != NULL)
		p->next->prev = p->prev;
	else
		r->tail = p->prev;
	rte_spinlock_unlock(&r->lock);
	free(p);
}

static void
count_poll(struct plx_reactor *r, struct plx_poller *p, int did, uint64_t cycles)
{
	if (unlikely(cycles > p->st.longest)) {
		__atomic_store_n(&p->st.longest, cycles, __ATOMIC_RELAXED);
		if (cycles > r->stats.longest_poll)
			__atomic_store_n(&r->stats.longest_poll, cycles, __ATOMIC_RELAXED);
	}
	reactor_count(&p->st.calls, 1);
	reactor_count(&p->st.busy_calls, did > 0);
	reactor_count(&p->st.cycles, cycles);
}

/* @return what they did; *now: when the last one ended */
static int
run_pollers(struct plx_reactor *r, uint64_t start, uint64_t *now)
{
	struct plx_poller *p;
	int n = 0, did;

	for (p = r->head; p != NULL; p = r->next) {
		uint64_t begin = *now;

		r->next = p->next;
		if (p->period != 0) {
			if ((int64_t)(start - p->due) < 0)
				continue;
			/* late ones are not made up for */
			p->due = start + p->period;
		}
		r->polled = p;
		did = p->fn(p->arg);
		*now = rte_rdtsc();
		if (likely(r->polled != NULL))
			count_poll(r, p, did, *now - begin);
		n += RTE_MAX(did, 0);
	}
	r->next = NULL;
	return n;
}

uint64_t
reactor_turn(struct plx_reactor *r, uint64_t start, int *work)
{
	unsigned int n = reactor_ring_ready(&r->ring) ? reactor_messages(r) : 0;
	uint64_t now = start;
	int did;

	if (r->timers != NULL && (int64_t)(start - r->timers->due) >= 0)
		n += reactor_timers(r, start);
	if (n != 0)
		now = rte_rdtsc();
	did = (int)n + run_pollers(r, start, &now);
	if (unlikely(now == start)) /* nothing was called */
		now = rte_rdtsc();
	reactor_count(&r->stats.turns, 1);
	reactor_count(&r->stats.busy_turns, did > 0);
	reactor_count(did > 0 ? &r->stats.busy_cycles : &r->stats.idle_cycles, now - start);
	*work = did;
	return now;
}

/* ---- the control plane as a poller ---- */

static int
poll_ctrl(void *arg)
{
	return plx_ctrl_poll();
}

/* A look at it is what tells whether it is quiet. */
static int
arm_ctrl(void *arg)
{
	return plx_ctrl_poll() != 0 ? -EBUSY : (int)plx_ctrl_quiet_ms() * 1000;
}

struct plx_poller *
plx_reactor_add_ctrl(struct plx_reactor *r)
{
	static const struct plx_poller_idle idle = {.fd = -1, .arm = arm_ctrl};
	struct plx_poller *p = plx_poller_add(r, "control", poll_ctrl, NULL, CTRL_US);

	if (p != NULL)
		plx_poller_idle_set(p, &idle);
	return p;
}
