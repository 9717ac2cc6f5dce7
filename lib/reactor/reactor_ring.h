/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef REACTOR_RING_H
#define REACTOR_RING_H
/*
 * The ring of messages: many senders, one receiver, bursts; no sender waits for another.
 *
 * Its entries are cache lines: a head that holds a function, how many arguments follow, and a phase
 * as in an NVMe completion queue, which changes from lap to lap. So messages and the news of them
 * are one line, which the receiver only reads, where rte_ring has one for its tail and others for
 * the elements. rte_ring is also not free of races in C11's sense between several senders: one
 * waits for another's tail with a relaxed load.
 *
 *	sender					receiver
 *	S1 read tail (acquire)			T1 read the head (acquire): of this lap, it is S3's
 *	S2 take lines: move head		T2 run what it says
 *	S3 write arguments, then the line's	T3 move tail (release)
 *	   head (release)
 *
 * T3 pairs with S1: a line is written only after it was read. The first line of a burst is written
 * last, so that the receiver doesn't fetch lines while they are being written.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_common.h>

#include "plx_reactor.h"

#define RING_ARGS 7
#define RING_PHASE (UINT64_C(1) << 63)
#define RING_COUNT_SHIFT 48 /* no function of a process is above that */
#define RING_FN ((UINT64_C(1) << RING_COUNT_SHIFT) - 1)

struct ring_line {
	uint64_t head;
	void *args[RING_ARGS];
};
static_assert(sizeof(struct ring_line) == 64, "a cache line");

/* What one side writes, the other side must not have to read: a line each. */
struct reactor_ring {
	/* constant */
	struct ring_line *lines;
	uint32_t capacity, mask;
	uint32_t lazy; /* lines that the receiver gives back at once */
	bool one_sender;

	/* senders */
	uint32_t head __rte_cache_aligned;
	uint32_t tail_seen; /* by a sender, so that few look at the receiver's line */

	uint32_t tail __rte_cache_aligned; /* the receiver's */
};

/* @return 0; -ENOMEM */
static inline int
reactor_ring_init(struct reactor_ring *g, uint32_t capacity, bool one_sender)
{
	uint32_t size = rte_align32pow2(capacity);

	g->lines = aligned_alloc(sizeof(*g->lines), size * sizeof(*g->lines));
	if (g->lines == NULL)
		return -ENOMEM;
	memset(g->lines, 0, size * sizeof(*g->lines));
	g->capacity = capacity;
	g->mask = size - 1;
	g->lazy = RTE_MIN(RTE_MAX(capacity / 4, 1u), 16u);
	g->one_sender = one_sender;
	return 0;
}

/* Of lines never written it is 0, so of the first lap 1. */
static inline uint64_t
ring_phase(uint32_t at, uint32_t mask)
{
	return (at & (mask + 1)) == 0 ? RING_PHASE : 0;
}

/* @return how many lines from head on there are, up to n */
static inline uint32_t
ring_room(struct reactor_ring *g, uint32_t head, uint32_t n)
{
	/* what a sender saw of T3 it hands to the others: acquire, and release below */
	uint32_t tail = __atomic_load_n(&g->tail_seen, __ATOMIC_ACQUIRE);
	int32_t room = (int32_t)(g->capacity - (head - tail));

	if (likely(room >= (int32_t)n))
		return n;
	tail = __atomic_load_n(&g->tail, __ATOMIC_ACQUIRE); /* S1 */
	__atomic_store_n(&g->tail_seen, tail, __ATOMIC_RELEASE);
	room = (int32_t)(g->capacity - (head - tail));
	return (uint32_t)RTE_MAX(RTE_MIN(room, (int32_t)n), 0);
}

/* S2. @return how many lines, from *at on */
static inline uint32_t
ring_reserve(struct reactor_ring *g, uint32_t want, uint32_t *at)
{
	uint32_t head = __atomic_load_n(&g->head, __ATOMIC_RELAXED), n;

	do {
		n = ring_room(g, head, want);
		if (n == 0)
			return 0;
		if (g->one_sender) {
			__atomic_store_n(&g->head, head + n, __ATOMIC_RELAXED);
			break;
		}
	} while (!__atomic_compare_exchange_n(
		&g->head, &head, head + n, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
	*at = head;
	return n;
}

/* @return how many of the arguments found room */
static inline uint32_t
reactor_ring_put(struct reactor_ring *g, plx_msg_fn fn, void *const *args, uint32_t n)
{
	uint64_t head = (uint64_t)(uintptr_t)fn;
	uint32_t want, lines, at, first, i, k;

	n = RTE_MIN(n, g->capacity * RING_ARGS);
	want = (n + RING_ARGS - 1) / RING_ARGS;
	lines = ring_reserve(g, want, &at);
	n = RTE_MIN(n, lines * RING_ARGS);
	for (i = lines; i-- > 0;) { /* S3 */
		struct ring_line *line = &g->lines[(at + i) & g->mask];

		first = i * RING_ARGS;
		for (k = 0; k < RING_ARGS && first + k < n; k++)
			__atomic_store_n(&line->args[k], args[first + k], __ATOMIC_RELAXED);
		__atomic_store_n(&line->head,
			head | (uint64_t)k << RING_COUNT_SHIFT | ring_phase(at + i, g->mask),
			__ATOMIC_RELEASE);
	}
	return n;
}

/* @return whether there is something to run */
static inline bool
reactor_ring_ready(const struct reactor_ring *g)
{
	uint64_t head = __atomic_load_n(&g->lines[g->tail & g->mask].head, __ATOMIC_RELAXED);

	return ((head ^ ring_phase(g->tail, g->mask)) & RING_PHASE) == 0;
}

/* @return how many messages it were */
static inline uint32_t
ring_line_run(const struct ring_line *line, uint64_t head)
{
	plx_msg_fn fn = (plx_msg_fn)(uintptr_t)(head & RING_FN);
	uint32_t n = (uint32_t)(head >> RING_COUNT_SHIFT) & 0xf, i;

	for (i = 0; i < n; i++)
		fn(__atomic_load_n(&line->args[i], __ATOMIC_RELAXED));
	return n;
}

/* Run the messages of up to max lines, where they are; each line is free a few later. @return how
 * many messages */
static inline uint32_t
reactor_ring_run(struct reactor_ring *g, uint32_t max)
{
	uint32_t tail = g->tail, end = tail + max, mask = g->mask, n = 0;

	for (; tail != end; tail++) {
		const struct ring_line *line = &g->lines[tail & mask];
		uint64_t head = __atomic_load_n(&line->head, __ATOMIC_ACQUIRE); /* T1 */

		if (((head ^ ring_phase(tail, mask)) & RING_PHASE) != 0)
			break;
		n += ring_line_run(line, head); /* T2 */
		if (tail + 1 - g->tail >= g->lazy)
			__atomic_store_n(&g->tail, tail + 1, __ATOMIC_RELEASE); /* T3 */
	}
	if (tail != g->tail)
		__atomic_store_n(&g->tail, tail, __ATOMIC_RELEASE); /* T3 */
	return n;
}

#endif
