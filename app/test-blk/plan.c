/* SPDX-License-Identifier: BSD-3-Clause */
/* Queues onto lcores: one worker an lcore, the queues of all devices dealt out in turn. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <rte_lcore.h>

#include "plx_ctrl.h"
#include "plx_eal.h"
#include "plx_mem.h"
#include "testblk.h"

static int
no_memory(void)
{
	tb_say("out of memory");
	return TB_FAIL;
}

/* The workers: lcores that queues run on; then the main lcore, if it isn't one of them. */
static int
plan_workers(struct tb_job *job)
{
	const struct tb_opts *o = job->opts;
	unsigned int lcores[RTE_MAX_LCORE], n = plx_eal_lcores(lcores, RTE_MAX_LCORE);
	unsigned int main_lcore = rte_get_main_lcore();
	bool has_main = false;

	for (unsigned int i = 0; i < RTE_MAX_LCORE; i++)
		if (o->lcore[i] && !rte_lcore_is_enabled(i)) {
			tb_say("--lcores: lcore %u is not one of EAL's; enable it with -l or "
			       "--lcores before the '--'",
				i);
			return TB_USAGE;
		}
	job->workers = calloc(n + 1, sizeof(*job->workers));
	if (job->workers == NULL)
		return no_memory();
	for (unsigned int i = 0; i < n; i++) {
		if (o->lcores_given && !o->lcore[lcores[i]])
			continue;
		job->workers[job->nspread++].lcore = lcores[i];
		has_main |= lcores[i] == main_lcore;
	}
	job->nworkers = job->nspread + !has_main;
	if (!has_main)
		job->workers[job->nspread].lcore = main_lcore;
	for (uint32_t i = 0; i < job->nworkers; i++) {
		struct tb_worker *w = &job->workers[i];

		w->job = job;
		w->main = w->lcore == main_lcore;
		w->reactor = plx_reactor_create(w->main ? "main" : "worker");
		if (w->reactor == NULL)
			return no_memory();
	}
	return TB_OK;
}

/* Requests, lists of pointers and buffers of a queue, near its lcore. */
static int
queue_memory(struct tb_queue *q, const struct tb_opts *o)
{
	int socket = (int)rte_lcore_to_socket_id(q->worker->lcore);
	size_t stride = RTE_ALIGN_CEIL(o->bs, o->bs < 4096 ? 512u : 4096u);
	uint64_t rng = o->seed + q->qid;

	q->sum = tb_sum_alloc();
	q->reqs = aligned_alloc(RTE_CACHE_LINE_SIZE, o->qd * sizeof(*q->reqs));
	q->idle = calloc(o->qd, sizeof(*q->idle));
	q->pend = calloc(o->qd, sizeof(*q->pend));
	q->burst = calloc(o->batch, sizeof(*q->burst));
	if (q->sum == NULL || q->reqs == NULL || q->idle == NULL || q->pend == NULL ||
		q->burst == NULL)
		return no_memory();
	if (o->verify && o->writes) {
		q->gen = calloc(q->walk.units, sizeof(*q->gen));
		if (q->gen == NULL) {
			tb_say("--verify: no memory for %" PRIu64
			       " generations: give a smaller --size",
				q->walk.units);
			return TB_FAIL;
		}
	}
	q->stride = (uint32_t)stride;
	q->data = plx_mem_alloc(o->qd * stride, 4096, socket);
	if (q->data == NULL)
		return TB_FAIL;                                   /* logged */
	for (size_t i = 0; i < o->qd * stride / sizeof(rng); i++) /* nothing that compresses */
		((uint64_t *)q->data)[i] = tb_random(&rng);
	return TB_OK;
}

/* A queue's part of the device's range, and how it is walked. */
static void
queue_range(struct tb_queue *q, const struct tb_opts *o, double hz)
{
	struct tb_dev *d = q->dev;
	uint32_t nblk = o->bs / d->info.block_size;
	uint64_t units = d->nblocks / nblk, each = units / d->nq, more = units % d->nq;
	bool once = o->time_s == 0;
	uint64_t seed = o->seed;

	q->nblk = nblk;
	q->base = d->first + (each * q->qid + RTE_MIN(more, q->qid)) * nblk;
	for (uint32_t i = 0; i <= (uint32_t)(d - q->worker->job->devs); i++)
		seed = tb_random(&seed);
	tb_walk_init(&q->walk,
		!o->random ? TB_WALK_SEQ
		: once     ? TB_WALK_SHUFFLE
			   : TB_WALK_RANDOM,
		each + (q->qid < more), seed + q->qid);
	q->left = once ? q->walk.units : UINT64_MAX;
	q->deadline = once ? UINT64_MAX : (uint64_t)(o->time_s * hz);
	q->mixed = o->reads && o->writes;
	q->op = o->reads ? PLX_OP_READ : PLX_OP_WRITE;
	q->read_below = ((uint64_t)o->rwmix << 32) / 100;
}

static int
plan_queue(struct tb_job *job, struct tb_dev *d, uint16_t qid, struct tb_worker *w)
{
	const struct tb_opts *o = job->opts;
	struct tb_queue *q = &d->queues[qid];

	q->dev = d;
	q->qid = qid;
	q->worker = w;
	q->qd = o->qd;
	q->batch = o->batch;
	q->verify = o->verify;
	q->v = (struct tb_verify){.seed = o->seed,
		.dev = (uint32_t)(d - job->devs),
		.block_size = d->info.block_size};
	queue_range(q, o, job->hz);
	w->nq++;
	w->active++;
	return queue_memory(q, o);
}

static int
start_failed(const struct tb_dev *d, const char *what, int rc)
{
	tb_say("%s: can't %s: %s", d->info.name, what, strerror(-rc));
	return TB_FAIL;
}

/* Set up and start a device whose queues are planned. */
static int
start_dev(struct tb_dev *d)
{
	int rc = plx_blk_configure(d->blk, d->nq);

	if (rc != 0)
		return start_failed(d, "configure its queues", rc);
	for (uint16_t i = 0; i < d->nq; i++) {
		struct plx_blkq_conf conf = {.depth = d->queues[i].qd,
			.socket = (int16_t)rte_lcore_to_socket_id(d->queues[i].worker->lcore)};

		rc = plx_blkq_setup(d->blk, i, &conf);
		if (rc != 0)
			return start_failed(d, "set up a queue", rc);
	}
	rc = plx_blk_start(d->blk);
	if (rc != 0)
		return start_failed(d, "start", rc);
	d->started = true;
	for (uint16_t i = 0; i < d->nq; i++) {
		struct tb_queue *q = &d->queues[i];

		q->bq = plx_blk_queue_get(d->blk, i);
		tb_queue_init(q);
		q->poller = plx_poller_add(q->worker->reactor, d->info.name, tb_queue_poll, q, 0);
		if (q->poller == NULL)
			return no_memory();
	}
	return TB_OK;
}

static int
plan_dev(struct tb_job *job, struct tb_dev *d, uint32_t *next)
{
	const struct tb_opts *o = job->opts;
	uint64_t units = d->nblocks / (o->bs / d->info.block_size);
	uint64_t nq = o->queues;

	if (nq == 0) {
		nq = RTE_MIN(job->nspread, d->info.max_queues);
		nq = RTE_MIN(nq, units);
	}
	if (units < nq) {
		tb_say("%s: %" PRIu64 " I/Os of --bs make no range for each of %" PRIu64 " queues",
			d->info.name, units, nq);
		return TB_USAGE;
	}
	d->queues = aligned_alloc(RTE_CACHE_LINE_SIZE, nq * sizeof(*d->queues));
	if (d->queues == NULL)
		return no_memory();
	memset(d->queues, 0, nq * sizeof(*d->queues));
	d->nq = (uint16_t)nq;
	for (uint16_t i = 0; i < nq; i++) {
		int rc = plan_queue(job, d, i, &job->workers[(*next)++ % job->nspread]);

		if (rc != TB_OK)
			return rc;
	}
	return TB_OK;
}

/* Devices map what was allocated after they were attached. */
static int
sync_memory(void)
{
	int rc;

	while ((rc = plx_mem_sync()) == -EINPROGRESS)
		plx_ctrl_poll();
	if (rc != 0) /* not fatal: such memory is bounced, and the report shows it */
		tb_say("a device can't reach all of the buffers directly: %s", strerror(-rc));
	return TB_OK;
}

int
tb_job_plan(struct tb_job *job)
{
	uint32_t next = 0;
	int rc = plan_workers(job);

	for (uint32_t d = 0; rc == TB_OK && d < job->ndev; d++)
		rc = plan_dev(job, &job->devs[d], &next);
	if (rc == TB_OK)
		rc = sync_memory();
	for (uint32_t d = 0; rc == TB_OK && d < job->ndev; d++)
		rc = start_dev(&job->devs[d]);
	return rc;
}

void
tb_plan_free(struct tb_dev *d)
{
	for (uint16_t i = 0; i < d->nq; i++) {
		struct tb_queue *q = &d->queues[i];

		free(q->sum);
		free(q->reqs);
		free(q->idle);
		free(q->pend);
		free(q->burst);
		free(q->gen);
		plx_mem_free(q->data);
	}
	free(d->queues);
}
