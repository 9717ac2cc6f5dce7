/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>

#include "testblk.h"

static bool
limited(const struct tb_opts *o)
{
	for (unsigned int d = 0; d < TB_DIRS; d++)
		if (o->rate[d] != 0 || o->rate_iops[d] != 0)
			return true;
	return o->lcore_rate != 0 || o->lcore_rate_iops != 0;
}

int
tb_pace_create(
	struct tb_queue *q, const struct tb_opts *o, uint16_t nq, struct tb_rate *lcore, double hz)
{
	struct tb_pace *p;

	if (!limited(o) && o->think_s == 0 && o->lat_target_s == 0 && o->mode != TB_MODE_REPLAY)
		return 0;
	p = q->pace = calloc(1, sizeof(*p));
	if (p == NULL)
		return -ENOMEM;
	for (unsigned int d = 0; d < TB_DIRS; d++)
		tb_rate_init(
			&p->rate[d], (double)o->rate_iops[d] / nq, (double)o->rate[d] / nq, hz, 0);
	p->lcore = lcore;
	p->think = (uint64_t)(o->think_s * hz);
	p->think_io = (uint64_t)(o->think_io_s * hz);
	p->think_ios = o->think_blocks;
	p->in_order = o->mode == TB_MODE_REPLAY;
	p->searching = o->lat_target_s != 0;
	p->search_once = !o->lat_run;
	p->lat = (struct tb_lat_search){.target = (uint64_t)(o->lat_target_s * hz),
		.window = (uint64_t)(o->lat_window_s * hz),
		.share = o->lat_percentile / 100};
	if (o->mode == TB_MODE_REPLAY && !o->no_stall) {
		p->due = calloc(q->qd, sizeof(*p->due));
		if (p->due == NULL)
			return -ENOMEM;
	}
	return 0;
}

void
tb_pace_free(struct tb_pace *p)
{
	if (p != NULL)
		free(p->due);
	free(p);
}

void
tb_pace_begin(struct tb_queue *q, uint64_t now)
{
	struct tb_pace *p = q->pace;

	p->begun = true;
	p->origin = now;
	p->burst_left = p->think_ios;
	p->burst_end = now + p->think_io;
	for (unsigned int d = 0; d < TB_DIRS; d++)
		p->rate[d].next = (double)now;
	if (p->lcore != NULL && p->lcore->next == 0)
		p->lcore->next = (double)now;
	if (p->searching)
		tb_lat_search_init(&p->lat, p->lat.target, p->lat.window, p->lat.share, q->qd, now);
}

static uint64_t
in_flight(const struct tb_queue *q)
{
	return q->sum->c.submitted - q->sum->c.returned;
}

/* A burst is over when its I/Os or its time are; then all come back, and the pause begins. */
static bool
awake(struct tb_queue *q, uint64_t now)
{
	struct tb_pace *p = q->pace;
	bool on = p->think_io != 0 ? now < p->burst_end : p->burst_left > 0;

	if (on)
		return true;
	if (p->passed > 0 || in_flight(q) != 0)
		return false;
	if (p->until == 0)
		p->until = now + p->think;
	if (now < p->until)
		return false;
	p->until = 0;
	p->burst_left = p->think_ios;
	p->burst_end = now + p->think_io;
	return true;
}

/* Limits of its direction and of the lcore. */
static bool
within_rates(struct tb_queue *q, const struct plx_blk_req *req, uint64_t now)
{
	struct tb_pace *p = q->pace;
	struct tb_rate *r = &p->rate[tb_dir_of(req->op)];
	uint32_t bytes = req->nblk * q->task->dev->info.block_size;

	if (!tb_rate_ready(r, now) || (p->lcore != NULL && !tb_rate_ready(p->lcore, now)))
		return false;
	if (tb_rate_limits(r))
		tb_rate_charge(r, now, bytes);
	if (p->lcore != NULL)
		tb_rate_charge(p->lcore, now, bytes);
	return true;
}

/* In a trace a flush goes alone: it waits for all before it, and all behind it wait. */
static bool
in_turn(struct tb_queue *q, const struct plx_blk_req *req)
{
	struct tb_pace *p = q->pace;
	bool none = p->passed == 0 && in_flight(q) == 0;

	if (!p->in_order)
		return true;
	p->flushing &= !none;
	if (p->flushing || (req->op == PLX_OP_FLUSH && !none))
		return false;
	p->flushing = req->op == PLX_OP_FLUSH;
	return true;
}

uint16_t
tb_pace_allow(struct tb_queue *q, uint64_t now)
{
	struct tb_pace *p = q->pace;

	for (; p->passed < q->npend; p->passed++) {
		const struct plx_blk_req *req = q->pend[p->passed];

		if (p->searching && in_flight(q) + p->passed >= RTE_MAX(p->lat.depth, 1u))
			break;
		if (p->due != NULL && now - p->origin < p->due[req - q->reqs])
			break;
		if (!in_turn(q, req))
			break;
		if (p->think != 0 && !awake(q, now))
			break;
		if (!within_rates(q, req, now))
			break;
		p->burst_left -= p->burst_left > 0;
	}
	return p->passed;
}

uint64_t
tb_pace_until(const struct tb_queue *q, uint64_t now)
{
	const struct tb_pace *p = q->pace;
	const struct plx_blk_req *req;
	double at = (double)p->until;

	if (p->passed == q->npend)
		return UINT64_MAX;
	req = q->pend[p->passed];
	at = RTE_MAX(at, p->rate[tb_dir_of(req->op)].next);
	if (p->lcore != NULL)
		at = RTE_MAX(at, p->lcore->next);
	if (p->due != NULL)
		at = RTE_MAX(at, (double)(p->origin + p->due[req - q->reqs]));
	if (at > (double)now)
		return (uint64_t)at;
	return in_flight(q) != 0 ? UINT64_MAX : now;
}

void
tb_pace_back(struct tb_queue *q, uint64_t lent, uint64_t now)
{
	struct tb_pace *p = q->pace;

	if (p->searching && tb_lat_search_add(&p->lat, lent, now) && p->lat.done && p->search_once)
		q->left = 0;
}
