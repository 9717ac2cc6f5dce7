/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Timers: a pairing heap through the timers themselves, so arming takes no memory and O(1), and
 * what a turn looks at is on top. A timer's prev is the pointer that points to it: the root's, its
 * parent's child or its elder sibling's next.
 */
#include <rte_cycles.h>

#include "reactor_priv.h"

/* Two heaps into one. */
static struct plx_timer *
meld(struct plx_timer *a, struct plx_timer *b)
{
	struct plx_timer *t;

	if (a == NULL || b == NULL)
		return a != NULL ? a : b;
	if ((int64_t)(b->due - a->due) < 0) {
		t = a;
		a = b;
		b = t;
	}
	b->next = a->child;
	if (b->next != NULL)
		b->next->prev = &b->next;
	b->prev = &a->child;
	a->child = b;
	return a;
}

/* The children of a timer that goes: in pairs from the left, then all from the right. */
static struct plx_timer *
meld_children(struct plx_timer *first)
{
	struct plx_timer *pairs = NULL, *root = NULL, *a, *b;

	while ((a = first) != NULL) {
		b = a->next;
		first = b != NULL ? b->next : NULL;
		a->next = NULL;
		if (b != NULL)
			b->next = NULL;
		a = meld(a, b);
		a->next = pairs;
		pairs = a;
	}
	while ((a = pairs) != NULL) {
		pairs = a->next;
		a->next = NULL;
		root = meld(root, a);
	}
	return root;
}

static void
set_root(struct plx_reactor *r, struct plx_timer *root)
{
	r->timers = root;
	if (root != NULL)
		root->prev = &r->timers;
}

static void
insert(struct plx_timer *t)
{
	t->child = t->next = NULL;
	set_root(t->reactor, meld(t->reactor->timers, t));
}

void
plx_timer_cancel(struct plx_timer *t)
{
	if (t->prev == NULL)
		return;
	*t->prev = t->next;
	if (t->next != NULL)
		t->next->prev = t->prev;
	t->prev = NULL;
	set_root(t->reactor, meld(t->reactor->timers, meld_children(t->child)));
}

void
plx_timer_arm(struct plx_reactor *r, struct plx_timer *t, uint64_t us, uint64_t period_us)
{
	plx_timer_cancel(t);
	t->reactor = r;
	t->due = rte_rdtsc() + reactor_cycles(us);
	t->period = reactor_cycles(period_us);
	insert(t);
}

unsigned int
reactor_timers(struct plx_reactor *r, uint64_t now)
{
	struct plx_timer *t;
	unsigned int n = 0;

	/* those that are armed from here are due after now: this ends */
	for (; (t = r->timers) != NULL && (int64_t)(now - t->due) >= 0; n++) {
		plx_timer_cancel(t);
		if (t->period != 0) {
			t->due = now + t->period;
			insert(t);
		}
		t->fn(t->arg); /* t may be gone after this */
	}
	reactor_count(&r->stats.timers, n);
	return n;
}
