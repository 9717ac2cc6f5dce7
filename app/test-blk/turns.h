/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TB_TURNS_H
#define TB_TURNS_H
/**
 * @file
 * What the fast turns (turns.c) and the slow one (worker.c) share.
 */
#include <rte_cycles.h>

#include "testblk.h"

/** @return the turn for what the queue is to do */
tb_turn worker_turn(const struct tb_queue *q);
int worker_slow_turn(struct tb_queue *q);
/** An I/O failed. @return false: its buffer can't be used again */
bool worker_failed(struct tb_queue *q, struct plx_blk_req *req) __attribute__((cold));

/** When it was lent. */
static inline uint64_t
worker_stamp(const struct plx_blk_req *req)
{
	return (uint64_t)(uintptr_t)req->user;
}

/* The power of two that holds n, 1 or more. */
static inline unsigned int
worker_log2(uint32_t n)
{
	return 31u - (unsigned int)__builtin_clz(2 * (n - 1) | 1);
}

/* Bursts and depths, for the report. */
static inline void
worker_count(struct tb_counts *c, uint16_t taken)
{
	uint32_t inflight = (uint32_t)(c->submitted - c->returned);

	c->lent_calls[worker_log2(taken | !taken)] += taken != 0;
	c->depth[31u - (unsigned int)__builtin_clz((inflight | 1) & 0xffff)] += taken;
}

/* Lend n requests, and account. A latency begins before its submit. @return how many were taken */
static __rte_always_inline uint16_t
worker_lend(struct tb_queue *q, struct plx_blkq *bq, struct plx_blk_req **reqs, uint16_t n,
	uint64_t *end)
{
	struct tb_counts *c = &q->sum->c;
	uint64_t start = rte_rdtsc();
	uint16_t taken;

	for (uint16_t i = 0; i < n; i++)
		reqs[i]->user = (void *)(uintptr_t)start;
	taken = plx_blkq_submit(bq, reqs, n);
	*end = rte_rdtsc();
	c->t_submit += *end - start;
	c->submitted += taken;
	worker_count(c, taken);
	return taken;
}

#endif
