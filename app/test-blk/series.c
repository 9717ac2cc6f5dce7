/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How a run went over time: every interval the main lcore looks at what the queues have counted.
 * It reads three words a queue, so that looking costs the run nothing.
 */
#include <math.h>
#include <stdlib.h>

#include <rte_cycles.h>

#include "testblk.h"

#define FIRST_ROOM 256

static struct tb_point
look(const struct tb_job *job, double seconds)
{
	struct tb_point p = {.seconds = seconds};

	for (uint32_t t = 0; t < job->ntask; t++)
		for (uint16_t i = 0; i < job->tasks[t].nq; i++)
			for (unsigned int s = 0; s < TB_SIDES; s++) {
				const struct tb_hist *h = &job->tasks[t].queues[i].sum->lat[s];

				p.side[s].ios += __atomic_load_n(&h->n, __ATOMIC_RELAXED);
				p.side[s].cycles += __atomic_load_n(&h->sum, __ATOMIC_RELAXED);
			}
	return p;
}

static bool
make_room(struct tb_series *s)
{
	uint32_t room = s->room == 0 ? FIRST_ROOM : 2 * s->room;
	struct tb_point *more;

	if (s->n < s->room)
		return true;
	more = realloc(s->at, room * sizeof(*more));
	if (more == NULL)
		return false; /* the series ends early; the sums have everything */
	s->at = more;
	s->room = room;
	return true;
}

/* What was added since the point before. */
static void
take(struct tb_job *job, double seconds)
{
	struct tb_series *s = &job->series;
	struct tb_point p = look(job, seconds), *at;

	if (!make_room(s))
		return;
	at = &s->at[s->n++];
	*at = p;
	for (unsigned int i = 0; i < TB_SIDES; i++) {
		if (p.side[i].ios < s->last.side[i].ios) /* the ramp ended: all began anew */
			continue;
		at->side[i].ios -= s->last.side[i].ios;
		at->side[i].cycles -= s->last.side[i].cycles;
	}
	s->last = p;
}

static double
since(const struct tb_run *run, uint64_t tsc)
{
	return (double)(tsc - run->begun) / run->hz;
}

void
tb_series_poll(struct tb_run *run)
{
	uint64_t now = rte_rdtsc();

	for (uint32_t j = 0; j < run->njob; j++) {
		struct tb_job *job = &run->jobs[j];
		uint64_t interval = (uint64_t)(job->opts.log_interval_s * run->hz);

		if (now < run->begun + (job->series.turns + 1) * interval)
			continue;
		take(job, since(run, now));
		/* a command may have kept the main lcore for several */
		job->series.turns = (now - run->begun) / interval;
	}
}

void
tb_series_end(struct tb_run *run)
{
	uint64_t now = rte_rdtsc();

	for (uint32_t j = 0; j < run->njob; j++) {
		struct tb_series *s = &run->jobs[j].series;
		uint64_t ios = 0;

		take(&run->jobs[j], since(run, now));
		for (unsigned int i = 0; i < TB_SIDES && s->n != 0; i++)
			ios += s->at[s->n - 1].side[i].ios;
		s->n -= s->n != 0 && ios == 0;
	}
}

void
tb_series_spread(
	const struct tb_series *s, unsigned int side, double interval, struct tb_spread *out)
{
	double from = 0, sum = 0, squares = 0;

	*out = (struct tb_spread){.n = 0};
	for (uint32_t i = 0; i < s->n; from = s->at[i++].seconds) {
		double took = s->at[i].seconds - from, rate;

		if (took < 0.9 * interval) /* the last one */
			continue;
		rate = (double)s->at[i].side[side].ios / took;
		out->min = out->n == 0 || rate < out->min ? rate : out->min;
		out->max = rate > out->max ? rate : out->max;
		sum += rate;
		squares += rate * rate;
		out->n++;
	}
	if (out->n == 0)
		return;
	out->mean = sum / out->n;
	squares = squares / out->n - out->mean * out->mean;
	out->stddev = squares > 0 ? sqrt(squares) : 0;
}
