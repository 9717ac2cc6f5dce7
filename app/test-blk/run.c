/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A run: devices are opened, started and stopped again, queues turn on the reactors of their
 * lcores. The main lcore's reactor drives the control plane too, and outlasts the others.
 */
#include <stdlib.h>
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_launch.h>
#include <rte_lcore.h>

#include "plx_ctrl.h"
#include "safety.h"
#include "testblk.h"

#define WATCH_US 1000
#define RESTING_WATCH_US 20000
#define LIVE_US 1000000

/* ---- jobs that wait ---- */

static bool
job_done(const struct tb_job *job)
{
	for (uint32_t i = 0; i < job->ntask; i++)
		for (uint16_t k = 0; k < job->tasks[i].nq; k++)
			if (!__atomic_load_n(&job->tasks[i].queues[k].done, __ATOMIC_ACQUIRE))
				return false;
	return true;
}

static void
hold_task(struct tb_task *t, bool held)
{
	for (uint16_t k = 0; k < t->nq; k++) {
		__atomic_store_n(&t->queues[k].held, held, __ATOMIC_RELEASE);
		plx_reactor_wake(t->queues[k].worker->reactor);
	}
}

/* Let go of jobs whose time has come, and that wait for no other any more. */
static void
release_jobs(struct tb_run *run)
{
	double seconds = (double)(rte_rdtsc() - run->begun) / run->hz;

	for (uint32_t j = 0; j < run->njob; j++) {
		struct tb_job *job = &run->jobs[j];
		bool held = seconds < job->opts.start_delay_s;

		for (uint32_t i = 0; job->held && i < run->njob; i++)
			held |= run->jobs[i].opts.group < job->opts.group &&
				!job_done(&run->jobs[i]);
		for (uint32_t i = 0; job->held && !held && i < job->ntask; i++)
			hold_task(&job->tasks[i], false);
		job->held &= held;
	}
}

/* ---- queues on reactors ---- */

static int
add_pollers(struct tb_task *t)
{
	for (uint16_t i = 0; i < t->nq; i++) {
		struct tb_queue *q = &t->queues[i];

		q->bq = plx_blk_queue_get(t->dev->blk, (uint16_t)(t->first_qid + i));
		if (t->to != NULL)
			q->bq_to = plx_blk_queue_get(t->to->blk, (uint16_t)(t->to_first_qid + i));
		tb_queue_init(q);
		q->held = t->job->held;
		if (q->owner != NULL && tb_hop_open(q) != TB_OK)
			return TB_FAIL;
		q->poller =
			plx_poller_add(q->worker->reactor, t->dev->info.name, tb_queue_poll, q, 0);
		if (q->poller == NULL) {
			tb_say("out of memory");
			return TB_FAIL;
		}
		q->worker->active++;
		if (tb_sleep_open(q) != TB_OK)
			return TB_FAIL;
	}
	return TB_OK;
}

static void
close_hops(struct tb_task *t)
{
	for (uint16_t i = 0; t->queues != NULL && i < t->nq; i++)
		if (t->queues[i].share != NULL)
			tb_hop_collect(&t->queues[i]);
}

/* Undo what was done of add_pollers(). */
static void
del_pollers(struct tb_task *t)
{
	for (uint16_t i = 0; t->queues != NULL && i < t->nq; i++)
		tb_sleep_close(&t->queues[i]);
	close_hops(t);
}

static int
run_worker(void *arg)
{
	struct tb_worker *w = arg;

	return plx_reactor_run(w->reactor);
}

static int
launch(struct tb_run *run)
{
	struct tb_session *s = run->session;
	int rc = TB_OK;

	for (uint32_t i = 0; i < s->nworker; i++)
		s->workers[i].active = 0;
	for (uint32_t j = 0; j < run->njob; j++) {
		const struct tb_opts *o = &run->jobs[j].opts;

		run->jobs[j].held = o->start_delay_s > 0 || o->group > run->jobs[0].opts.group;
	}
	for (uint32_t j = 0; j < run->njob; j++)
		for (uint32_t i = 0; rc == TB_OK && i < run->jobs[j].ntask; i++)
			rc = tb_zones_fetch(&run->jobs[j].tasks[i]);
	for (uint32_t j = 0; j < run->njob; j++)
		for (uint32_t i = 0; rc == TB_OK && i < run->jobs[j].ntask; i++)
			rc = add_pollers(&run->jobs[j].tasks[i]);
	for (uint32_t i = 0; rc == TB_OK && i < s->nworker; i++) {
		struct tb_worker *w = &s->workers[i];

		w->launched = !w->main && w->active != 0;
		if (w->launched)
			rte_eal_remote_launch(run_worker, w, w->lcore);
	}
	return rc;
}

/* A job for each clone, or, where they are reported together, for them all. */
static int
make_jobs(struct tb_run *run, const struct tb_opts *opts, uint32_t n)
{
	uint32_t all = 0;

	for (uint32_t i = 0; i < n; i++)
		all += opts[i].group_reporting ? 1 : opts[i].numjobs;
	run->jobs = calloc(all, sizeof(*run->jobs));
	if (run->jobs == NULL) {
		tb_say("out of memory");
		return TB_FAIL;
	}
	for (uint32_t i = 0; i < n; i++)
		for (uint32_t c = 0; c < opts[i].numjobs;) {
			struct tb_job *job = &run->jobs[run->njob++];

			*job = (struct tb_job){
				.opts = opts[i], .run = run, .clone = c, .clones = 1};
			if (opts[i].group_reporting)
				job->clones = opts[i].numjobs;
			c += job->clones;
		}
	return TB_OK;
}

int
tb_run_start(struct tb_session *s, const struct tb_opts *opts, uint32_t n)
{
	struct tb_run *run = calloc(1, sizeof(*run));
	int rc;

	tb_stop = tb_interrupted;
	if (run == NULL) {
		tb_say("out of memory");
		return TB_FAIL;
	}
	run->session = s;
	run->hz = s->hz;
	for (uint32_t i = 0; i < s->nworker; i++)
		s->workers[i].planned = 0;
	rc = make_jobs(run, opts, n);
	for (uint32_t j = 0; rc == TB_OK && j < run->njob; j++)
		rc = tb_job_plan(&run->jobs[j]);
	if (rc == TB_OK)
		rc = tb_session_idle(s, (enum plx_reactor_idle)run->jobs[0].opts.poll_mode);
	if (rc == TB_OK)
		rc = tb_devs_open(s);
	for (uint32_t j = 0; rc == TB_OK && j < run->njob; j++)
		rc = tb_job_queues(&run->jobs[j]);
	if (rc == TB_OK)
		rc = tb_devs_start(run);
	if (rc == TB_OK)
		rc = tb_safety_check(run);
	getrusage(RUSAGE_SELF, &run->usage[0]);
	run->begun = rte_rdtsc();
	if (rc == TB_OK)
		rc = launch(run);
	if (rc != TB_OK) {
		for (uint32_t j = 0; j < run->njob; j++)
			for (uint32_t i = 0; i < run->jobs[j].ntask; i++)
				del_pollers(&run->jobs[j].tasks[i]);
		tb_devs_close(s);
		tb_run_free(run);
		return rc;
	}
	s->run = run;
	return TB_OK;
}

bool
tb_run_over(const struct tb_run *run)
{
	const struct tb_session *s = run->session;

	for (uint32_t i = 0; i < s->nworker; i++)
		if (__atomic_load_n(&s->workers[i].active, __ATOMIC_ACQUIRE) != 0)
			return false;
	return true;
}

/* ---- the main lcore ---- */

struct drive {
	struct tb_session *s;
	struct plx_reactor *reactor;
	int (*wake)(void *arg);
	void *arg;
};

static int
watch(void *arg)
{
	struct drive *d = arg;

	tb_session_events(d->s);
	if (d->s->run != NULL)
		tb_series_poll(d->s->run);
	if (d->s->run != NULL)
		release_jobs(d->s->run);
	if ((d->s->run != NULL && tb_run_over(d->s->run)) ||
		(d->wake != NULL && d->wake(d->arg) != 0))
		plx_reactor_stop(d->reactor);
	return 0;
}

void
tb_run_drive(struct tb_session *s, int (*wake)(void *arg), void *arg)
{
	/* without a run there is nothing to be quick for */
	struct drive d = {
		s, s->run != NULL ? s->workers[s->nworker - 1].reactor : s->resting, wake, arg};
	struct tb_live *live =
		wake == NULL && isatty(STDERR_FILENO) ? tb_live_create(s->run) : NULL;
	struct plx_poller *pollers[3] = {plx_reactor_add_ctrl(d.reactor),
		plx_poller_add(d.reactor, "watch", watch, &d,
			s->run != NULL ? WATCH_US : RESTING_WATCH_US),
		live == NULL ? NULL
			     : plx_poller_add(d.reactor, "live", tb_live_poll, live, LIVE_US)};

	if (pollers[0] != NULL && pollers[1] != NULL) {
		plx_reactor_run(d.reactor);
	} else {
		tb_say("out of memory");
		tb_stop = 1; /* the others are running */
	}
	for (unsigned int i = 0; i < RTE_DIM(pollers); i++)
		plx_poller_del(pollers[i]);
	tb_live_destroy(live);
}

/* ---- the end ---- */

static void
collect(struct tb_task *t)
{
	if (t->dev->blk == NULL) /* dropped */
		return;
	close_hops(t);
	for (uint16_t i = 0; i < t->nq; i++) {
		tb_queue_collect(&t->queues[i]);
		if (t->queues[i].lost)
			tb_say("%s: queue %u did not finish its I/Os", t->dev->info.name, i);
	}
}

/* ---- a device that leaves before the end ---- */

struct leaving {
	struct tb_run *run;
	const struct tb_dev *dev;
};

static int
left(void *arg)
{
	const struct leaving *l = arg;

	for (uint32_t j = 0; j < l->run->njob; j++)
		for (uint32_t i = 0; i < l->run->jobs[j].ntask; i++) {
			const struct tb_task *t = &l->run->jobs[j].tasks[i];

			for (uint16_t k = 0; (t->dev == l->dev || t->to == l->dev) && k < t->nq;
				k++)
				if (!__atomic_load_n(&t->queues[k].done, __ATOMIC_ACQUIRE))
					return 0;
		}
	return 1;
}

int
tb_run_drop_dev(struct tb_run *run, struct tb_dev *d)
{
	struct leaving l = {run, d};
	int rc;

	if (d->blk == NULL)
		return TB_OK;
	for (uint32_t j = 0; j < run->njob; j++)
		for (uint32_t i = 0; i < run->jobs[j].ntask; i++)
			if (run->jobs[j].tasks[i].dev == d || run->jobs[j].tasks[i].to == d)
				hold_task(&run->jobs[j].tasks[i], false);
	/* its queues see their I/Os cancelled, and refused, and end */
	rc = tb_dev_stop(d);
	if (rc == TB_OK)
		tb_run_drive(run->session, left, &l);
	if (!left(&l)) {
		tb_say("%s: its queues did not end", d->info.name);
		return TB_FAIL;
	}
	tb_dev_count(d);
	plx_blk_close(d->blk);
	d->blk = NULL;
	return rc;
}

/* ---- the end of all ---- */

int
tb_run_end(struct tb_run *run)
{
	struct tb_session *s = run->session;
	int rc = TB_OK;

	for (uint32_t i = 0; i < s->nworker; i++)
		if (s->workers[i].launched)
			rte_eal_wait_lcore(s->workers[i].lcore);
	run->ended = rte_rdtsc();
	getrusage(RUSAGE_SELF, &run->usage[1]);
	tb_series_end(run);
	for (struct tb_dev *d = s->devs; d != NULL; d = d->next)
		if (d->blk != NULL && tb_dev_stop(d) != TB_OK)
			rc = TB_FAIL;
	for (uint32_t j = 0; j < run->njob; j++) {
		for (uint32_t i = 0; i < run->jobs[j].ntask; i++)
			collect(&run->jobs[j].tasks[i]);
		run->jobs[j].total = tb_sum_job(&run->jobs[j]);
		if (run->jobs[j].total == NULL)
			rc = TB_FAIL;
	}
	for (struct tb_dev *d = s->devs; d != NULL; d = d->next)
		if (d->blk != NULL)
			tb_dev_count(d);
	if (tb_devs_close(s) != TB_OK)
		rc = TB_FAIL;
	s->run = NULL;
	return rc;
}

void
tb_run_free(struct tb_run *run)
{
	tb_session_purge(run->session);
	for (uint32_t j = 0; j < run->njob; j++)
		tb_job_free(&run->jobs[j]);
	free(run->jobs);
	free(run);
}
