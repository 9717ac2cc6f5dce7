/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Latency of requests, measured only where it was asked for: the driver's submit and poll are
 * then called through the two functions here, put in their place while the queue is taken over.
 * A queue that isn't measured pays nothing.
 *
 * A lent request has no room for a time stamp, so these are kept in a hash table beside the
 * queue, with linear probing; an entry's removal moves back what was displaced by it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_cycles.h>

#include "plx_ctrl.h"

#include "blk_priv.h"

#define SUB 5 /* 32 buckets an octave: each less than 3.2 % wide */
#define BUCKETS ((63 - SUB + 2) << SUB)

struct hist {
	uint64_t sum, max;
	uint64_t count[BUCKETS];
};

struct entry {
	const struct plx_blk_req *req; /* NULL: free */
	uint64_t tsc;
};

struct blk_latency {
	plx_blkq_submit_t submit; /* the driver's */
	plx_blkq_poll_t poll;
	uint32_t mask, used, limit;
	uint64_t missed;
	struct hist hist[PLX_BLK_LATENCY_KINDS]; /* one writer, any reader: relaxed atomics */
	struct entry table[];
};

static enum plx_blk_latency_kind
kind_of(const struct plx_blk_req *req)
{
	switch (req->op) {
	case PLX_OP_READ:
		return PLX_BLK_LATENCY_READ;
	case PLX_OP_WRITE:
	case PLX_OP_ZONE_APPEND:
		return PLX_BLK_LATENCY_WRITE;
	default:
		return PLX_BLK_LATENCY_OTHER;
	}
}

/* ---- the table ---- */

static uint32_t
home(const struct blk_latency *l, const struct plx_blk_req *req)
{
	return (uint32_t)(((uintptr_t)req * 0x9e3779b97f4a7c15u) >> 32) & l->mask;
}

static void
put(struct blk_latency *l, const struct plx_blk_req *req, uint64_t tsc)
{
	uint32_t i = home(l, req);

	if (l->used == l->limit) {
		plx_stat_add(&l->missed, 1);
		return;
	}
	while (l->table[i].req != NULL)
		i = (i + 1) & l->mask;
	l->table[i] = (struct entry){req, tsc};
	l->used++;
}

/* Free entry i, and move back those behind it that would no longer be found. */
static void
drop(struct blk_latency *l, uint32_t i)
{
	uint32_t j = i;

	l->used--;
	for (;;) {
		l->table[i].req = NULL;
		do {
			j = (j + 1) & l->mask;
			if (l->table[j].req == NULL)
				return;
			/* it may stay as long as its home lies in (i, j] */
		} while (((j - home(l, l->table[j].req)) & l->mask) < ((j - i) & l->mask));
		l->table[i] = l->table[j];
		i = j;
	}
}

static bool
take(struct blk_latency *l, const struct plx_blk_req *req, uint64_t *tsc)
{
	uint32_t i = home(l, req);

	for (; l->table[i].req != req; i = (i + 1) & l->mask)
		if (l->table[i].req == NULL)
			return false; /* lent before measuring began */
	*tsc = l->table[i].tsc;
	drop(l, i);
	return true;
}

/* ---- the path ---- */

static uint32_t
bucket(uint64_t v)
{
	uint32_t top = 63u ^ (uint32_t)__builtin_clzll(v | ((2u << SUB) - 1)), shift = top - SUB;

	return (shift << SUB) + (uint32_t)(v >> shift);
}

static void
record(struct hist *h, uint64_t v)
{
	plx_stat_add(&h->count[bucket(v)], 1);
	plx_stat_add(&h->sum, v);
	if (v > h->max)
		__atomic_store_n(&h->max, v, __ATOMIC_RELAXED);
}

static uint16_t
measured_submit(struct plx_blkq *q, struct plx_blk_req *const *reqs, uint16_t n)
{
	struct blk_latency *l = ((struct plx_drvq *)q)->latency;
	uint64_t now = rte_rdtsc();
	uint16_t i;

	n = l->submit(q, reqs, n);
	for (i = 0; i < n; i++)
		put(l, reqs[i], now);
	return n;
}

static uint16_t
measured_poll(struct plx_blkq *q, struct plx_blk_req **reqs, uint16_t n)
{
	struct blk_latency *l = ((struct plx_drvq *)q)->latency;
	uint64_t now, then;
	uint16_t i;

	n = l->poll(q, reqs, n);
	if (n == 0)
		return 0;
	now = rte_rdtsc();
	for (i = 0; i < n; i++)
		if (take(l, reqs[i], &then))
			record(&l->hist[kind_of(reqs[i])], now - then);
	return n;
}

/* ---- switching ---- */

/* With the queue taken over: the owner is in neither pair of functions. */
static int
switch_on(struct plx_drvq *dq)
{
	/* bad requests are lent beyond the depth: room for twice as many, half of it empty */
	uint32_t size = rte_align32pow2(4u * dq->q.depth);
	struct blk_latency *l = calloc(1, sizeof(*l) + size * sizeof(l->table[0]));

	if (l == NULL)
		return -ENOMEM;
	l->mask = size - 1;
	l->limit = size / 2;
	l->submit = dq->submit;
	l->poll = dq->poll;
	dq->latency = l;
	dq->submit = measured_submit;
	dq->poll = measured_poll;
	return 0;
}

static void
switch_off(struct plx_drvq *dq)
{
	dq->submit = dq->latency->submit;
	dq->poll = dq->latency->poll;
	blk_latency_free(dq);
}

int
blk_latency_set(struct plx_drvq *dq, bool on)
{
	bool mine = dq->taken;
	int rc = 0;

	if (on == (dq->latency != NULL))
		return 0;
	if (!mine && plx_drvq_takeover(dq, 0) != 0)
		return -ETIMEDOUT;
	if (on)
		rc = switch_on(dq);
	else
		switch_off(dq);
	if (!mine)
		plx_drvq_giveback(dq);
	return rc;
}

void
blk_latency_free(struct plx_drvq *dq)
{
	free(dq->latency);
	dq->latency = NULL;
}

void
blk_latency_forget(struct plx_drvq *dq)
{
	struct blk_latency *l = dq->latency;

	if (l == NULL)
		return;
	memset(l->table, 0, (l->mask + 1) * sizeof(l->table[0]));
	l->used = 0;
}

int
plx_blk_latency_enable(struct plx_blk *blk, bool on)
{
	uint16_t i;
	int rc = 0;

	plx_ctrl_lock();
	for (i = 0; rc == 0 && i < blk->info.nb_queues; i++)
		if (blk->queues[i] != NULL)
			rc = blk_latency_set(blk->queues[i], on);
	if (rc == 0)
		blk->latency = on;
	plx_ctrl_unlock();
	return rc;
}

/* ---- reading ---- */

static void
add(struct hist *sum, const struct hist *h)
{
	uint64_t max = __atomic_load_n(&h->max, __ATOMIC_RELAXED);
	uint32_t i;

	sum->sum += __atomic_load_n(&h->sum, __ATOMIC_RELAXED);
	sum->max = RTE_MAX(sum->max, max);
	for (i = 0; i < BUCKETS; i++)
		sum->count[i] += __atomic_load_n(&h->count[i], __ATOMIC_RELAXED);
}

/* The middle of a bucket. */
static uint64_t
value_of(uint32_t i)
{
	uint32_t shift = i >> SUB;

	if (shift < 2) /* exact */
		return i;
	shift--;
	return (((uint64_t)(i - (shift << SUB))) << shift) + (1ull << shift) / 2;
}

static uint64_t
to_ns(double cycles)
{
	return (uint64_t)(cycles * 1e9 / (double)rte_get_tsc_hz());
}

static void
figures(const struct hist *h, struct plx_blk_latency *out)
{
	static const double at[PLX_BLK_LATENCY_QUANTILES] = {0.5, 0.9, 0.99, 0.999, 0.9999};
	uint64_t seen = 0;
	uint32_t i, k = 0;

	for (i = 0; i < BUCKETS; i++)
		out->count += h->count[i];
	if (out->count == 0)
		return;
	for (i = 0; i < BUCKETS; i++) {
		seen += h->count[i];
		for (; k < RTE_DIM(at) && (double)seen >= at[k] * (double)out->count; k++)
			out->quantile_ns[k] = to_ns((double)RTE_MIN(value_of(i), h->max));
	}
	out->mean_ns = to_ns((double)h->sum / (double)out->count);
	out->max_ns = to_ns((double)h->max);
}

int
plx_blk_latency_get(const struct plx_blk *blk, uint16_t qid, enum plx_blk_latency_kind kind,
	struct plx_blk_latency *out)
{
	struct hist *h = calloc(1, sizeof(*h));
	int rc = -EINVAL;
	uint16_t i;

	*out = (struct plx_blk_latency){0};
	if (h == NULL)
		return -ENOMEM;
	plx_ctrl_lock();
	if ((unsigned int)kind >= PLX_BLK_LATENCY_KINDS)
		goto out;
	rc = blk->latency ? 0 : -ENODATA;
	if (rc == 0 && qid != UINT16_MAX && (qid >= blk->info.nb_queues || !blk->queues[qid]))
		rc = -EINVAL;
	for (i = 0; rc == 0 && i < blk->info.nb_queues; i++) {
		const struct plx_drvq *dq = blk->queues[i];

		if (dq == NULL || dq->latency == NULL || (qid != UINT16_MAX && qid != i))
			continue;
		add(h, &dq->latency->hist[kind]);
		out->missed += __atomic_load_n(&dq->latency->missed, __ATOMIC_RELAXED);
	}
	if (rc == 0)
		figures(h, out);
out:
	plx_ctrl_unlock();
	free(h);
	return rc;
}
