/* SPDX-License-Identifier: BSD-3-Clause */
/* Adding up what queues measured, and the figures made from it. */
#include <stdlib.h>
#include <string.h>

#include "testblk.h"

struct tb_sum *
tb_sum_alloc(void)
{
	struct tb_sum *s = calloc(1, sizeof(*s));

	if (s == NULL)
		tb_say("out of memory");
	return s;
}

/* Queues come to their phases at times of their own: the longest of each counts for all. */
static void
merge_time(uint64_t *begin, uint64_t *end, uint64_t begin2, uint64_t end2)
{
	if (end2 - begin2 > *end - *begin) {
		*begin = begin2;
		*end = end2;
	}
}

void
tb_sum_merge(struct tb_sum *dst, const struct tb_sum *src)
{
	struct tb_counts *d = &dst->c;
	const struct tb_counts *s = &src->c;

	d->submitted += s->submitted;
	d->returned += s->returned;
	d->failed += s->failed;
	d->cancelled += s->cancelled;
	d->retired += s->retired;
	d->polls += s->polls;
	d->empty_polls += s->empty_polls;
	for (unsigned int i = 0; i < TB_LOG2S; i++) {
		d->lent_calls[i] += s->lent_calls[i];
		d->got_calls[i] += s->got_calls[i];
		d->depth[i] += s->depth[i];
	}
	d->t_poll += s->t_poll;
	d->t_empty += s->t_empty;
	d->t_submit += s->t_submit;
	d->t_work += s->t_work;
	merge_time(&d->begin, &d->end, s->begin, s->end);
	merge_time(&d->back_begin, &d->back_end, s->back_begin, s->back_end);
	tb_mismatch_merge(&dst->bad, &src->bad);
	dst->skipped += src->skipped;
	for (unsigned int i = 0; i < TB_ERRNOS; i++)
		dst->errs[i] += src->errs[i];
	for (unsigned int i = 0; i < TB_SIDES; i++) {
		tb_hist_merge(&dst->lat[i], &src->lat[i]);
		dst->moved[i] += src->moved[i];
	}
}

struct tb_sum *
tb_sum_task(const struct tb_task *task)
{
	struct tb_sum *s = tb_sum_alloc();

	for (uint16_t i = 0; s != NULL && i < task->nq; i++)
		tb_sum_merge(s, task->queues[i].sum);
	return s;
}

struct tb_sum *
tb_sum_job(const struct tb_job *job)
{
	struct tb_sum *s = tb_sum_alloc();

	for (uint32_t d = 0; s != NULL && d < job->ntask; d++)
		for (uint16_t i = 0; i < job->tasks[d].nq; i++)
			tb_sum_merge(s, job->tasks[d].queues[i].sum);
	return s;
}

static uint64_t
completed(const struct tb_sum *s)
{
	uint64_t n = 0;

	for (unsigned int i = 0; i < TB_SIDES; i++)
		n += tb_hist_total(&s->lat[i]);
	return n;
}

bool
tb_sum_balances(const struct tb_sum *s)
{
	return s->c.submitted == completed(s) + s->c.failed + s->c.cancelled;
}

bool
tb_verified_all(const struct tb_job *job)
{
	for (uint32_t d = 0; d < job->ntask; d++)
		for (uint16_t i = 0; i < job->tasks[d].nq; i++) {
			const struct tb_queue *q = &job->tasks[d].queues[i];

			if (q->gen != NULL && q->back_pos != q->walk.units)
				return false;
		}
	return true;
}

static bool
lost_any(const struct tb_job *job)
{
	for (uint32_t d = 0; d < job->ntask; d++)
		for (uint16_t i = 0; i < job->tasks[d].nq; i++)
			if (job->tasks[d].queues[i].lost)
				return true;
	return false;
}

int
tb_job_verdict(const struct tb_job *job)
{
	const struct tb_sum *s = job->total;

	if (s->c.failed != 0 || s->c.cancelled != 0 || !tb_sum_balances(s) || lost_any(job))
		return TB_FAIL;
	if (s->bad.blocks != 0 || (!tb_verified_all(job) && !tb_stop))
		return TB_FAIL;
	return TB_OK;
}

static uint64_t
calls(const uint64_t *by_size)
{
	uint64_t n = 0;

	for (unsigned int i = 0; i < TB_LOG2S; i++)
		n += by_size[i];
	return n;
}

double
tb_sum_bytes(const struct tb_sum *s, unsigned int side, uint32_t bs)
{
	if (side == TB_OTHER) /* moves nothing */
		return 0;
	return s->moved[side] != 0 ? (double)s->moved[side] / (double)s->lat[side].n : bs;
}

const char *
tb_side_name(unsigned int side)
{
	static const char *const names[TB_SIDES] = {
		"read", "write", "trim", "zeroes", "other", "verify"};

	return names[side];
}

static double
per(double a, double b)
{
	return b > 0 ? a / b : 0;
}

static void
side_figures(
	struct tb_side_figures *f, const struct tb_hist *h, double seconds, double bytes, double us)
{
	static const double q[] = {0.5, 0.99, 0.999, 0.9999};
	double at[4];

	tb_hist_quantiles(h, q, at, 4);
	f->ios = tb_hist_total(h);
	f->iops = per((double)f->ios, seconds);
	f->mib_s = f->iops * bytes / (1 << 20);
	f->mean = per((double)h->sum, (double)f->ios) * us;
	f->p50 = at[0] * us;
	f->p99 = at[1] * us;
	f->p999 = at[2] * us;
	f->p9999 = at[3] * us;
	f->max = (double)h->max * us;
}

void
tb_figures(struct tb_figures *f, const struct tb_sum *s, uint32_t bs, double hz)
{
	const struct tb_counts *c = &s->c;
	double ios = (double)c->returned, ns = 1e9 / hz;

	f->seconds = (double)(c->end - c->begin) / hz;
	f->back_seconds = (double)(c->back_end - c->back_begin) / hz;
	for (unsigned int i = 0; i < TB_SIDES; i++)
		side_figures(&f->side[i], &s->lat[i], i == TB_BACK ? f->back_seconds : f->seconds,
			tb_sum_bytes(s, i, bs), 1e6 / hz);
	f->completed = completed(s);
	f->submit_ns = per((double)c->t_submit * ns, (double)c->submitted);
	f->complete_ns = per((double)c->t_poll * ns, ios);
	f->self_ns = per((double)(c->t_work - c->t_submit) * ns, ios);
	f->cycles = per((double)(c->t_poll + c->t_work), ios);
	f->mean_submit = per((double)c->submitted, (double)calls(c->lent_calls));
	f->mean_poll = per(ios, (double)calls(c->got_calls));
	f->empty_share = per((double)c->empty_polls, (double)c->polls);
}

const char *
tb_job_dev_name(const struct tb_job *job, uint32_t index)
{
	for (uint32_t i = 0; i < job->ntask; i++)
		if (job->tasks[i].dev->index == index)
			return job->tasks[i].dev->info.name;
	return "";
}

const char *
tb_errno_name(unsigned int err)
{
	const char *name = err == 0 ? NULL : strerrorname_np((int)err);

	return name != NULL ? name : "other";
}
