/* SPDX-License-Identifier: BSD-3-Clause */
/* The line of each second on a terminal: what changed since the one before. */
#include <stdio.h>
#include <stdlib.h>

#include <rte_cycles.h>

#include "testblk.h"

struct tb_live {
	const struct tb_run *run;
	uint64_t begin, last;
	struct tb_hist now, before;   /* all queues, all sides */
	uint64_t moved, moved_before; /* bytes */
};

struct tb_live *
tb_live_create(const struct tb_run *run)
{
	struct tb_live *l = calloc(1, sizeof(*l));

	if (l != NULL) {
		l->run = run;
		l->begin = l->last = rte_rdtsc();
	}
	return l;
}

void
tb_live_destroy(struct tb_live *l)
{
	if (l != NULL)
		fprintf(stderr, "\r\033[K");
	free(l);
}

static void
add_side(struct tb_live *l, const struct tb_sum *sum, unsigned int side, uint32_t bs)
{
	tb_hist_merge(&l->now, &sum->lat[side]);
	l->moved += sum->moved[side] != 0 ? sum->moved[side] : sum->lat[side].n * bs;
}

static void
add_task(struct tb_live *l, const struct tb_task *t)
{
	for (uint16_t i = 0; i < t->nq; i++)
		for (unsigned int s = 0; s < TB_SIDES; s++)
			add_side(l, t->queues[i].sum, s, t->job->opts.bs);
}

/* The workers go on counting: each counter is read once, and none ever goes back. */
static void
gather(struct tb_live *l)
{
	l->before = l->now;
	l->now = (struct tb_hist){.max = UINT64_MAX};
	l->moved_before = l->moved;
	l->moved = 0;
	for (uint32_t j = 0; j < l->run->njob; j++)
		for (uint32_t t = 0; t < l->run->jobs[j].ntask; t++)
			add_task(l, &l->run->jobs[j].tasks[t]);
	if (l->now.n < l->before.n) /* the ramp ended: all began anew */
		l->before = (struct tb_hist){0};
	for (unsigned int b = 0; b < TB_HIST_BUCKETS; b++)
		l->before.count[b] = l->now.count[b] - l->before.count[b];
	l->before.n = l->now.n - l->before.n;
}

int
tb_live_poll(void *live)
{
	static const double q[] = {0.5, 0.99};
	struct tb_live *l = live;
	uint64_t tsc = rte_rdtsc();
	double hz = l->run->hz, at[2], iops, mib;

	gather(l); /* leaves the difference in before */
	l->before.max = UINT64_MAX;
	tb_hist_quantiles(&l->before, q, at, 2);
	iops = (double)tb_hist_total(&l->before) * hz / (double)(tsc - l->last);
	mib = l->moved < l->moved_before ? 0 : (double)(l->moved - l->moved_before) / (1 << 20);
	mib *= hz / (double)(tsc - l->last);
	fprintf(stderr, "\r\033[K[%3.0f s] %.0f IOPS, %.0f MiB/s, p50 %.1f us, p99 %.1f us",
		(double)(tsc - l->begin) / hz, iops, mib, at[0] * 1e6 / hz, at[1] * 1e6 / hz);
	fflush(stderr);
	l->last = tsc;
	return 1;
}
