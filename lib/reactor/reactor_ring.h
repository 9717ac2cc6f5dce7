/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef REACTOR_RING_H
#define REACTOR_RING_H
/*
 * The ring of messages: many senders, one receiver, bursts; no sender waits for another.
 *
 * A slot is empty while its function is NULL, so a message and the news of it are one cache line,
 * where rte_ring has a line for its tail and one for the element. rte_ring is also not free of
 * races in C11's sense between several senders: one waits for another's tail with a relaxed load.
 *
 *	sender					receiver
 *	S1 read tail (acquire)			T1 read fn (acquire): NULL, or S3's message
 *	S2 take slots: move head		T2 fn = NULL
 *	S3 write arg, then fn (release)		T3 move tail (release)
 *
 * T3 pairs with S1: a slot is written only after it was emptied. The last slot of a burst is
 * written first, so that the receiver doesn't fetch lines that are being written.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_common.h>

#include "plx_reactor.h"

struct reactor_ring {
	/* senders */
	uint32_t head;
	uint32_t tail_seen; /* by a sender, so that few look at the receiver's line */
	/* constant, beside it */
	uint32_t capacity, mask;
	struct plx_msg *slots;
	bool one_sender;

	uint32_t tail __rte_cache_aligned; /* the receiver's */
};

/* @return 0; -ENOMEM */
static inline int
reactor_ring_init(struct reactor_ring *g, uint32_t capacity, bool one_sender)
{
	uint32_t size = rte_align32pow2(capacity);

	g->slots = aligned_alloc(
		RTE_CACHE_LINE_SIZE, RTE_ALIGN_CEIL(size * sizeof(*g->slots), RTE_CACHE_LINE_SIZE));
	if (g->slots == NULL)
		return -ENOMEM;
	memset(g->slots, 0, size * sizeof(*g->slots));
	g->capacity = capacity;
	g->mask = size - 1;
	g->one_sender = one_sender;
	return 0;
}

/* @return how many slots from head on there are, up to n */
static inline uint32_t
reactor_ring_room(struct reactor_ring *g, uint32_t head, uint32_t n)
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

static inline uint32_t
reactor_ring_put(struct reactor_ring *g, const struct plx_msg *msgs, uint32_t want)
{
	uint32_t head = __atomic_load_n(&g->head, __ATOMIC_RELAXED), n, i;

	want = RTE_MIN(want, g->capacity);
	do { /* S2 */
		n = reactor_ring_room(g, head, want);
		if (n == 0)
			return 0;
		if (g->one_sender) {
			__atomic_store_n(&g->head, head + n, __ATOMIC_RELAXED);
			break;
		}
	} while (!__atomic_compare_exchange_n(
		&g->head, &head, head + n, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
	for (i = n; i-- > 0;) { /* S3 */
		struct plx_msg *slot = &g->slots[(head + i) & g->mask];

		__atomic_store_n(&slot->arg, msgs[i].arg, __ATOMIC_RELAXED);
		__atomic_store_n(&slot->fn, msgs[i].fn, __ATOMIC_RELEASE);
	}
	return n;
}

static inline uint32_t
reactor_ring_take(struct reactor_ring *g, struct plx_msg *msgs, uint32_t max)
{
	uint32_t tail = g->tail, n;

	for (n = 0; n < max; n++) {
		struct plx_msg *slot = &g->slots[(tail + n) & g->mask];

		msgs[n].fn = __atomic_load_n(&slot->fn, __ATOMIC_ACQUIRE); /* T1 */
		if (msgs[n].fn == NULL)
			break;
		msgs[n].arg = __atomic_load_n(&slot->arg, __ATOMIC_RELAXED);
		__atomic_store_n(&slot->fn, NULL, __ATOMIC_RELAXED); /* T2 */
	}
	if (n != 0)
		__atomic_store_n(&g->tail, tail + n, __ATOMIC_RELEASE); /* T3 */
	return n;
}

#endif
