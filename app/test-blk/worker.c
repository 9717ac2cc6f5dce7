/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The slow turn of a queue, for all but keeping it full: filling at the start, draining at the end,
 * requests that found no room, verification, and what comes from elsewhere than a walk.
 */
#include <errno.h>
#include <string.h>

#include <rte_cycles.h>

#include "turns.h"

#define DRAIN_SECONDS 10

/* An I/O failed. @return false: its buffer can't be used again */
bool
worker_failed(struct tb_queue *q, struct plx_blk_req *req)
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
		tb_pace_back(q, worker_stamp(req), now);
	if (req->status != 0)
		return worker_failed(q, req);
	tb_hist_add(&q->sum->lat[side], q->null ? 0 : now - worker_stamp(req));
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
		s->c.got_calls[worker_log2(n)]++;
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
	taken = worker_lend(q, q->bq, q->pend, n, &end);
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
	taken = worker_lend(q, q->bq_to, q->pend_to, n, &end);
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
	if (worker_lend(q, q->bq, &req, 1, &end) == 0)
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

int
worker_slow_turn(struct tb_queue *q)
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

/* Its job has not begun. */
static int
turn_held(struct tb_queue *q)
{
	if (__atomic_load_n(&q->held, __ATOMIC_ACQUIRE) && !tb_stop)
		return 0;
	q->turn = worker_turn(q);
	return worker_slow_turn(q);
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
