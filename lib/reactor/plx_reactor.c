/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <rte_cycles.h>

#include "plx_reactor.h"

struct plx_poller {
	struct plx_poller *next;
	struct plx_poller **prev;
	struct plx_reactor *reactor;
	plx_poller_fn fn;
	void *arg;
	uint64_t period, due; /* TSC */
	char name[32];
};

struct plx_reactor {
	struct plx_poller *head, **tail;
	struct plx_poller *next;        /* of the turn under way; a poller may remove any */
	struct plx_reactor_stats stats; /* one writer, any reader: relaxed atomics */
	bool stop;
	char name[32];
};

struct plx_reactor *
plx_reactor_create(const char *name)
{
	struct plx_reactor *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return NULL;
	strncpy(r->name, name, sizeof(r->name) - 1);
	r->tail = &r->head;
	return r;
}

void
plx_reactor_destroy(struct plx_reactor *r)
{
	if (r == NULL)
		return;
	while (r->head != NULL)
		plx_poller_del(r->head);
	free(r);
}

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
	strncpy(p->name, name, sizeof(p->name) - 1);
	if (period_us != 0) {
		p->period = (uint64_t)((double)period_us * 1e-6 * (double)rte_get_tsc_hz());
		p->due = rte_rdtsc() + p->period;
	}
	p->prev = r->tail;
	*r->tail = p;
	r->tail = &p->next;
	return p;
}

void
plx_poller_del(struct plx_poller *p)
{
	struct plx_reactor *r;

	if (p == NULL)
		return;
	r = p->reactor;
	if (r->next == p)
		r->next = p->next;
	*p->prev = p->next;
	if (p->next != NULL)
		p->next->prev = p->prev;
	else
		r->tail = p->prev;
	free(p);
}

static void
count(uint64_t *c, uint64_t n)
{
	__atomic_store_n(c, *c + n, __ATOMIC_RELAXED);
}

/* A turn that began at start. @return when it ended; *work: what its pollers did */
static uint64_t
reactor_turn(struct plx_reactor *r, uint64_t start, int *work)
{
	struct plx_poller *p;
	uint64_t end;
	int n = 0;

	for (p = r->head; p != NULL; p = r->next) {
		r->next = p->next;
		if (p->period != 0) {
			if ((int64_t)(start - p->due) < 0)
				continue;
			/* late ones are not made up for */
			p->due = start + p->period;
		}
		n += p->fn(p->arg); /* p may be gone after this */
	}
	r->next = NULL;
	end = rte_rdtsc();
	count(&r->stats.turns, 1);
	count(&r->stats.busy_turns, n > 0);
	count(n > 0 ? &r->stats.busy_cycles : &r->stats.idle_cycles, end - start);
	*work = n;
	return end;
}

int
plx_reactor_step(struct plx_reactor *r)
{
	int work;

	reactor_turn(r, rte_rdtsc(), &work);
	return work;
}

int
plx_reactor_run(struct plx_reactor *r)
{
	uint64_t now = rte_rdtsc();
	int work;

	/* A stop that came before the first turn counts too. */
	do
		now = reactor_turn(r, now, &work);
	while (!__atomic_load_n(&r->stop, __ATOMIC_ACQUIRE));
	__atomic_store_n(&r->stop, false, __ATOMIC_RELAXED);
	return 0;
}

void
plx_reactor_stop(struct plx_reactor *r)
{
	__atomic_store_n(&r->stop, true, __ATOMIC_RELEASE);
}

void
plx_reactor_stats_get(const struct plx_reactor *r, struct plx_reactor_stats *st)
{
	st->turns = __atomic_load_n(&r->stats.turns, __ATOMIC_RELAXED);
	st->busy_turns = __atomic_load_n(&r->stats.busy_turns, __ATOMIC_RELAXED);
	st->busy_cycles = __atomic_load_n(&r->stats.busy_cycles, __ATOMIC_RELAXED);
	st->idle_cycles = __atomic_load_n(&r->stats.idle_cycles, __ATOMIC_RELAXED);
}
