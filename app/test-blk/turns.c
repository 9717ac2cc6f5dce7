/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The fast turns of a queue: compiled for each pattern and operation, they do nothing but keep it
 * full, and give way to the slow one when anything else is to be done.
 */
#include <rte_branch_prediction.h>
#include <rte_cycles.h>

#include "turns.h"

#define ROUNDS 8 /* bursts a turn: the reactor's own work is spread over them */

/* Back from poll: account each and give it its next address. @return how many go on */
static __rte_always_inline uint16_t
turn_around(struct tb_queue *q, uint16_t n, uint64_t now, const uint32_t kind, const uint32_t op)
{
	struct plx_blk_req **burst = q->burst;
	struct tb_hist *lat = q->sum->lat;
	struct tb_walk w = q->walk;
	uint64_t base = q->base, read_below = q->read_below, bits = 0;
	uint32_t nblk = q->nblk, i = 0;

	while (i < n) {
		struct plx_blk_req *req = burst[i];

		if (likely(req->status == 0)) {
			tb_hist_add(&lat[op == TB_SIDES ? req->op : op], now - worker_stamp(req));
		} else if (!worker_failed(q, req)) {
			burst[i] = burst[--n];
			continue;
		}
		if (kind == TB_WALK_RANDOM || op == TB_SIDES)
			bits = tb_random(&w.rng);
		if (op == TB_SIDES)
			req->op = (uint32_t)bits >= read_below;
		req->lba = base + tb_walk_next(&w, kind, bits) * nblk;
		i++;
	}
	q->walk = w;
	return n;
}

static inline bool
special(const struct tb_queue *q, uint64_t now)
{
	return (q->nidle | q->npend | q->halt | q->paused) != 0 || tb_stop != 0 ||
	       now >= q->deadline || q->left < q->batch;
}

/* kind: enum tb_walk_kind; op: TB_READ, TB_WRITE, or TB_SIDES for mixed: constants. */
static __rte_always_inline int
turn(struct tb_queue *q, const uint32_t kind, const uint32_t op)
{
	struct tb_counts *c = &q->sum->c;
	uint64_t start = rte_rdtsc(), back, end;
	uint16_t n, taken;
	int total = 0;

	for (int round = 0; round < ROUNDS; round++, start = end) {
		if (unlikely(special(q, start)))
			return round == 0 ? worker_slow_turn(q) : total;
		n = plx_blkq_poll(q->bq, q->burst, q->batch);
		back = rte_rdtsc();
		c->polls++;
		if (n == 0) {
			c->empty_polls++;
			c->t_empty += back - start;
			break;
		}
		total += n;
		c->got_calls[worker_log2(n)]++;
		c->returned += n;
		c->end = back;
		n = turn_around(q, n, back, kind, op);
		q->left -= n;
		taken = worker_lend(q, q->bq, q->burst, n, &end);
		c->t_poll += back - start;
		c->t_work += end - back;
		for (; unlikely(taken < n); taken++)
			q->pend[q->npend++] = q->burst[taken];
	}
	return total;
}

#define TURN(name, kind, op)                \
	static int name(struct tb_queue *q) \
	{                                   \
		return turn(q, kind, op);   \
	}
TURN(turn_seq_read, TB_WALK_SEQ, TB_READ)
TURN(turn_seq_write, TB_WALK_SEQ, TB_WRITE)
TURN(turn_seq_mixed, TB_WALK_SEQ, TB_SIDES)
TURN(turn_random_read, TB_WALK_RANDOM, TB_READ)
TURN(turn_random_write, TB_WALK_RANDOM, TB_WRITE)
TURN(turn_random_mixed, TB_WALK_RANDOM, TB_SIDES)
TURN(turn_shuffle_read, TB_WALK_SHUFFLE, TB_READ)
TURN(turn_shuffle_write, TB_WALK_SHUFFLE, TB_WRITE)
TURN(turn_shuffle_mixed, TB_WALK_SHUFFLE, TB_SIDES)

static const tb_turn turns[][3] = {
	[TB_WALK_SEQ] = {turn_seq_read, turn_seq_write, turn_seq_mixed},
	[TB_WALK_RANDOM] = {turn_random_read, turn_random_write, turn_random_mixed},
	[TB_WALK_SHUFFLE] = {turn_shuffle_read, turn_shuffle_write, turn_shuffle_mixed},
};

/* The driver alone: the same requests again and again; what came back is counted, and no more. */
static int
turn_null(struct tb_queue *q)
{
	struct tb_counts *c = &q->sum->c;
	int total = 0;

	for (int round = 0; round < ROUNDS; round++) {
		uint64_t now = rte_rdtsc();
		uint16_t n, good = 0, taken, bad = 0;

		if (unlikely(special(q, now)))
			return round == 0 ? worker_slow_turn(q) : total;
		n = plx_blkq_poll(q->bq, q->burst, q->batch);
		c->polls++;
		c->empty_polls += n == 0;
		c->returned += n;
		for (uint16_t i = 0; i < n; i++)
			if (likely(q->burst[i]->status == 0) ||
				(bad++, worker_failed(q, q->burst[i])))
				q->burst[good++] = q->burst[i];
		q->sum->lat[q->op].n += n - bad;
		q->sum->lat[q->op].count[0] += n - bad;
		q->left -= n;
		taken = plx_blkq_submit(q->bq, q->burst, good);
		c->submitted += taken;
		for (; unlikely(taken < good); taken++)
			q->pend[q->npend++] = q->burst[taken];
		if (n == 0)
			break;
		c->end = now;
		total += n;
	}
	return total;
}

tb_turn
worker_turn(const struct tb_queue *q)
{
	if (q->null)
		return turn_null;
	if (q->looks || q->fua || q->flush.every != 0 || q->load != NULL || q->pace != NULL)
		return worker_slow_turn;
	return turns[q->walk.kind][q->mixed ? 2 : q->op];
}
