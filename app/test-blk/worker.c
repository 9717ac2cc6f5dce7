/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The loop. A queue has two turns: the fast one is compiled for each pattern and operation and
 * does nothing but keep the queue full; it gives way to slow_turn() when anything else is to be
 * done: filling at the start, draining at the end, requests that found no room, verification.
 */
#include <errno.h>
#include <string.h>

#include <rte_branch_prediction.h>
#include <rte_cycles.h>

#include "testblk.h"

#define ROUNDS 8 /* bursts a turn: the reactor's own work is spread over them */
#define DRAIN_SECONDS 10

/* An I/O failed. @return false: its buffer can't be used again */
static bool __attribute__((noinline, cold)) failed(struct tb_queue *q, struct plx_blk_req *req)
{
	struct tb_sum *s = q->sum;
	unsigned int err = (unsigned int)-req->status;

	if (err == ECANCELED) {
		s->c.cancelled++;
	} else {
		s->c.failed++;
		s->errs[err < TB_ERRNOS ? err : 0]++;
	}
	if (err == ENODEV || err == ESHUTDOWN) /* removed, or being detached */
		q->halt = true;
	if (req->flags & PLX_IO_MAYBE_DMA) {
		if (++s->c.retired >= q->qd) /* there is none left to go on with */
			q->halt = true;
		return false;
	}
	req->flags = 0;
	return true;
}

static int slow_turn(struct tb_queue *q);

static inline uint64_t
stamp_of(const struct plx_blk_req *req)
{
	return (uint64_t)(uintptr_t)req->user;
}

/* The power of two that holds n, 1 or more. */
static inline unsigned int
log2_up(uint32_t n)
{
	return 31u - (unsigned int)__builtin_clz(2 * (n - 1) | 1);
}

/* Bursts and depths, for the report. */
static inline void
count_lent(struct tb_counts *c, uint16_t taken)
{
	uint32_t inflight = (uint32_t)(c->submitted - c->returned);

	c->lent_calls[log2_up(taken | !taken)] += taken != 0;
	c->depth[31u - (unsigned int)__builtin_clz((inflight | 1) & 0xffff)] += taken;
}

/* Lend n requests, and account. A latency begins before its submit. @return how many were taken */
static __rte_always_inline uint16_t
lend(struct tb_queue *q, struct plx_blkq *bq, struct plx_blk_req **reqs, uint16_t n, uint64_t *end)
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
	count_lent(c, taken);
	return taken;
}

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
			tb_hist_add(&lat[op == TB_SIDES ? req->op : op], now - stamp_of(req));
		} else if (!failed(q, req)) {
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
			return round == 0 ? slow_turn(q) : total;
		n = plx_blkq_poll(q->bq, q->burst, q->batch);
		back = rte_rdtsc();
		c->polls++;
		if (n == 0) {
			c->empty_polls++;
			c->t_empty += back - start;
			break;
		}
		total += n;
		c->got_calls[log2_up(n)]++;
		c->returned += n;
		c->end = back;
		n = turn_around(q, n, back, kind, op);
		q->left -= n;
		taken = lend(q, q->bq, q->burst, n, &end);
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
			return round == 0 ? slow_turn(q) : total;
		n = plx_blkq_poll(q->bq, q->burst, q->batch);
		c->polls++;
		c->empty_polls += n == 0;
		c->returned += n;
		for (uint16_t i = 0; i < n; i++)
			if (likely(q->burst[i]->status == 0) || (bad++, failed(q, q->burst[i])))
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

/* ---- the slow turn ---- */

/* The next unit of the run. @return false: it is in flight */
static bool
draw(struct tb_queue *q, uint64_t bits, uint64_t *unit)
{
	struct tb_walk *w = &q->walk;

	if (w->kind == TB_WALK_SEQ && !tb_data_idle(q, w->pos))
		return false;
	for (int i = 0; i < TB_DRAWS; i++) {
		*unit = tb_walk_next(w, w->kind, bits);
		if (tb_data_idle(q, *unit))
			return true;
		bits = tb_random(&w->rng);
	}
	return false;
}

/* @return false: there is nothing to submit now */
static bool
prepare(struct tb_queue *q, struct plx_blk_req *req)
{
	uint64_t bits = tb_random(&q->walk.rng), unit = 0;

	req->op = q->op;
	if (q->phase == TB_READBACK) {
		if (!tb_data_readback(q, &unit)) {
			q->left = 0;
			return false;
		}
		req->op = PLX_OP_READ;
	} else if (tb_flush_due(q)) {
		tb_flush_lend(q, req);
		return true;
	} else if (tb_flush_holds(q)) {
		return false;
	} else if (q->load != NULL) {
		if (!q->load->next(q, req))
			return false;
	} else {
		if (q->mixed)
			req->op = (uint32_t)bits >= q->read_below;
		if (!draw(q, bits, &unit))
			return false;
		q->left--;
	}
	if (q->load == NULL || q->phase == TB_READBACK)
		req->lba = q->base + unit * q->nblk;
	req->flags = q->fua && req->op == PLX_OP_WRITE ? PLX_IO_FUA : 0;
	if (q->looks)
		tb_data_lend(q, req);
	return true;
}

/* Take back what was prepared: it will not be submitted. */
static void
unprepare(struct tb_queue *q)
{
	while (q->npend > 0) {
		struct plx_blk_req *req = q->pend[--q->npend];

		if (req == q->flush.lent)
			tb_flush_unlend(q);
		else if (q->looks)
			tb_data_unlend(q, req);
		q->idle[q->nidle++] = req;
	}
	while (q->npend_to > 0)
		q->idle[q->nidle++] = q->pend_to[--q->npend_to];
	if (q->pace != NULL)
		q->pace->passed = 0;
}

static const uint8_t sides[PLX_OP_MAX] = {
	[PLX_OP_READ] = TB_READ,
	[PLX_OP_WRITE] = TB_WRITE,
	[PLX_OP_FLUSH] = TB_OTHER,
	[PLX_OP_WRITE_ZEROES] = TB_ZEROES,
	[PLX_OP_DISCARD] = TB_TRIM,
	[PLX_OP_ZONE_APPEND] = TB_WRITE,
	[PLX_OP_ZONE_RESET] = TB_OTHER,
};

/* One came back. @return whether its buffer can be used again */
static bool
account(struct tb_queue *q, struct plx_blk_req *req, uint64_t now)
{
	enum tb_side side = q->phase == TB_READBACK ? TB_BACK : sides[req->op];

	if (q->load != NULL && q->load->zones != NULL && tb_append_misplaced(q, req))
		req->status = -EBADMSG;
	q->flush.since += req->op == PLX_OP_WRITE && req->status == 0;
	if (req == q->flush.lent)
		tb_flush_back(q);
	else if (q->looks && req->op != PLX_OP_FLUSH) /* not that one, given back twice */
		tb_data_back(q, req, now);
	if (q->pace != NULL)
		tb_pace_back(q, stamp_of(req), now);
	if (req->status != 0)
		return failed(q, req);
	tb_hist_add(&q->sum->lat[side], q->null ? 0 : now - stamp_of(req));
	if (q->load != NULL) {
		const struct tb_dev *to = q->task->to;
		const struct tb_dev *d = to != NULL && side == TB_WRITE ? to : q->task->dev;

		q->sum->moved[side] += (uint64_t)req->nblk * d->info.block_size;
	}
	return true;
}

/* Poll once and account. @return how many came back */
static uint16_t
reap(struct tb_queue *q, struct plx_blkq *bq)
{
	struct tb_sum *s = q->sum;
	uint64_t start = rte_rdtsc(), now;
	uint16_t n = plx_blkq_poll(bq, q->burst, q->batch);

	now = rte_rdtsc();
	s->c.polls++;
	s->c.empty_polls += n == 0;
	*(n == 0 ? &s->c.t_empty : &s->c.t_poll) += now - start;
	s->c.returned += n;
	for (uint16_t i = 0; i < n; i++) {
		struct plx_blk_req *req = q->burst[i];
		bool usable = account(q, req, now);

		if (q->nidle + q->npend + q->npend_to >= q->qd)
			continue; /* a driver gave one back twice */
		if (q->load != NULL && q->load->back != NULL && q->load->back(q, req))
			continue;
		if (usable)
			q->idle[q->nidle++] = req;
	}
	if (n != 0) {
		s->c.got_calls[log2_up(n)]++;
		*(q->phase == TB_READBACK ? &s->c.back_end : &s->c.end) = now;
		q->draining_since = now;
		s->c.t_work += rte_rdtsc() - now;
	}
	return n;
}

/* Prepare what is idle and submit one batch. @return how many were taken */
static uint16_t
refill(struct tb_queue *q)
{
	uint64_t start = rte_rdtsc(), end;
	uint16_t n, taken;

	while (q->nidle > 0 && q->npend < q->batch && q->left > 0) {
		if (!prepare(q, q->idle[q->nidle - 1]))
			break;
		q->pend[q->npend++] = q->idle[--q->nidle];
	}
	n = q->pace == NULL ? q->npend : tb_pace_allow(q, start);
	n = n < q->batch ? n : q->batch;
	if (n == 0)
		return 0;
	tb_data_commit(q);
	taken = lend(q, q->bq, q->pend, n, &end);
	q->sum->c.t_work += end - start;
	if (q->pace != NULL)
		q->pace->passed = (uint16_t)(q->pace->passed - taken);
	q->npend = (uint16_t)(q->npend - taken);
	for (uint16_t i = 0; i < q->npend; i++)
		q->pend[i] = q->pend[i + taken];
	return taken;
}

/* Copy: hand on what was read. @return how many were taken */
static uint16_t
write_on(struct tb_queue *q)
{
	uint16_t n = q->npend_to < q->batch ? q->npend_to : q->batch, taken;
	uint64_t start = rte_rdtsc(), end;

	if (n == 0)
		return 0;
	taken = lend(q, q->bq_to, q->pend_to, n, &end);
	q->sum->c.t_work += end - start;
	q->npend_to = (uint16_t)(q->npend_to - taken);
	for (uint16_t i = 0; i < q->npend_to; i++)
		q->pend_to[i] = q->pend_to[i + taken];
	return taken;
}

/* From here on it counts. What failed is not forgotten, and what is in flight still comes back. */
static void
end_ramp(struct tb_queue *q, uint64_t now)
{
	struct tb_sum *s = q->sum;
	struct tb_counts c = {.failed = s->c.failed,
		.cancelled = s->c.cancelled,
		.retired = s->c.retired,
		.begin = now,
		.end = now};

	c.returned = c.failed + c.cancelled;
	c.submitted = c.returned + s->c.submitted - s->c.returned;
	s->c = c;
	memset(s->lat, 0, sizeof(s->lat));
	memset(s->moved, 0, sizeof(s->moved));
	q->deadline = q->after_ramp == UINT64_MAX ? UINT64_MAX : now + q->after_ramp;
	q->after_ramp = 0;
}

static void
begin(struct tb_queue *q, uint64_t now)
{
	q->sum->c.begin = q->sum->c.end = now;
	if (q->phase == TB_READBACK)
		q->sum->c.back_begin = q->sum->c.back_end = now;
	if (q->deadline != UINT64_MAX)
		q->deadline += now;
	if (q->pace != NULL)
		tb_pace_begin(q, now);
}

/* One less to do on a worker. */
static void
leave(struct tb_worker *w)
{
	if (__atomic_sub_fetch(&w->active, 1, __ATOMIC_RELEASE) == 0 && !w->main)
		plx_reactor_stop(w->reactor);
}

void
tb_queue_done(struct tb_queue *q, struct tb_worker *w)
{
	__atomic_store_n(&q->done, true, __ATOMIC_RELEASE);
	leave(w);
}

static void
finish(struct tb_queue *q)
{
	bool hop = q->share != NULL; /* the owner may end it before this returns */

	if (hop && !tb_hop_end(q))
		return;
	q->phase = TB_DONE;
	tb_sleep_close(q);
	if (hop)
		leave(q->worker);
	else
		tb_queue_done(q, q->worker);
}

/* What was written last. @return whether it is under way, or will be */
static bool
last_flush(struct tb_queue *q)
{
	struct plx_blk_req *req;
	uint64_t end;

	if (q->phase != TB_RUN || q->flush.every == 0 || q->flush.since == 0 || q->halt ||
		tb_stop || q->nidle == 0)
		return false;
	req = q->idle[q->nidle - 1];
	tb_flush_lend(q, req);
	if (lend(q, q->bq, &req, 1, &end) == 0)
		tb_flush_unlend(q); /* no room: the device recovers */
	else
		q->nidle--;
	return true;
}

/* Nothing is in flight any more. */
static void
next_phase(struct tb_queue *q, uint64_t now)
{
	if (last_flush(q))
		return;
	if (q->phase == TB_RUN && q->gen != NULL && !q->halt && !tb_stop) {
		q->phase = TB_READBACK;
		q->deadline = UINT64_MAX;
		q->left = UINT64_MAX;
		q->sum->c.back_begin = q->sum->c.back_end = now;
		return;
	}
	finish(q);
}

static int
slow_turn(struct tb_queue *q)
{
	struct tb_counts *c = &q->sum->c;
	uint64_t now = rte_rdtsc();
	int did;
	bool over;

	if (c->begin == 0)
		begin(q, now);
	did = reap(q, q->bq);
	if (q->bq_to != NULL)
		did += reap(q, q->bq_to);
	now = rte_rdtsc();
	if (q->after_ramp != 0 && now >= q->deadline)
		end_ramp(q, now);
	over = q->halt || tb_stop || now >= q->deadline;
	if (over)
		unprepare(q);
	else if (!__atomic_load_n(&q->paused, __ATOMIC_RELAXED))
		for (int n; (n = refill(q)) != 0;)
			did += n;
	did += write_on(q);
	if (!over && (q->left > 0 || q->npend + q->npend_to > 0)) {
		q->draining_since = 0;
	} else if (c->submitted == c->returned) {
		next_phase(q, now);
		did++;
	} else if (q->draining_since == 0) {
		q->draining_since = now;
	} else if ((double)(now - q->draining_since) > DRAIN_SECONDS * q->task->job->run->hz) {
		q->lost = true; /* the device keeps them: plx_blk_stop() takes them back */
		finish(q);
	}
	return did;
}

static void
choose_turn(struct tb_queue *q)
{
	if (q->null)
		q->turn = turn_null;
	else if (q->looks || q->fua || q->flush.every != 0 || q->load != NULL || q->pace != NULL)
		q->turn = slow_turn;
	else
		q->turn = turns[q->walk.kind][q->mixed ? 2 : q->op];
}

/* Its job has not begun. */
static int
turn_held(struct tb_queue *q)
{
	if (__atomic_load_n(&q->held, __ATOMIC_ACQUIRE) && !tb_stop)
		return 0;
	choose_turn(q);
	return slow_turn(q);
}

int
tb_queue_poll(void *queue)
{
	struct tb_queue *q = queue;

	return q->turn(q);
}

void
tb_queue_init(struct tb_queue *q)
{
	for (uint16_t i = 0; i < q->qd; i++) {
		q->reqs[i] = (struct plx_blk_req){
			.op = q->op, .nblk = q->nblk, .buf = q->data + (size_t)i * q->stride};
		q->idle[q->nidle++] = &q->reqs[q->qd - 1 - i];
	}
	q->phase = TB_RUN;
	if (q->only_reads_back) {
		q->phase = TB_READBACK;
		q->left = q->deadline = UINT64_MAX;
	}
	q->looks = q->verify || q->meta.ext != NULL;
	q->turn = turn_held;
}

void
tb_queue_collect(struct tb_queue *q)
{
	while (q->sum->c.returned != q->sum->c.submitted &&
		(reap(q, q->bq) != 0 || (q->bq_to != NULL && reap(q, q->bq_to) != 0)))
		;
}
