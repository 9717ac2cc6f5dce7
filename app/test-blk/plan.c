/* SPDX-License-Identifier: BSD-3-Clause */
/* Jobs to tasks on devices, and tasks to queues on lcores. Each step prints one line when it fails.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <rte_lcore.h>

#include "plx_mem.h"
#include "testblk.h"

static int
no_memory(void)
{
	tb_say("out of memory");
	return TB_FAIL;
}

/* ---- what is asked of a device ---- */

/* Which part of the device is worked on. */
static int
check_range(const struct tb_opts *o, struct tb_task *t)
{
	const struct tb_dev *d = t->dev;
	const char *name = d->info.name;
	uint32_t bsz = d->info.block_size;
	uint64_t bytes = d->info.nblocks * bsz;

	if (o->bs % bsz != 0) {
		tb_say("--bs %" PRIu32 ": not a multiple of the block size of %s, %" PRIu32, o->bs,
			name, bsz);
		return TB_USAGE;
	}
	if (o->offset % bsz != 0 || o->offset >= bytes) {
		tb_say("--offset %" PRIu64 ": not a multiple of %" PRIu32 " below %" PRIu64
		       ", the block and device size of %s",
			o->offset, bsz, bytes, name);
		return TB_USAGE;
	}
	bytes -= o->offset;
	if (o->size == 0 && bytes < o->bs) {
		tb_say("--bs %" PRIu32 ": larger than %s, which has %" PRIu64 " bytes%s", o->bs,
			name, bytes, o->offset != 0 ? " behind --offset" : "");
		return TB_USAGE;
	}
	if (o->size > bytes || o->size % o->bs != 0) {
		tb_say("--size %" PRIu64 ": not a multiple of --bs that fits %s, which has %" PRIu64
		       " bytes%s",
			o->size, name, bytes, o->offset != 0 ? " behind --offset" : "");
		return TB_USAGE;
	}
	t->first = o->offset / bsz;
	t->nblocks = (o->size != 0 ? o->size : bytes / o->bs * o->bs) / bsz;
	return TB_OK;
}

static int
check_dev(const struct tb_opts *o, struct tb_task *t)
{
	const struct plx_blk_info *i = &t->dev->info;

	if (o->qd > i->max_depth) {
		tb_say("--iodepth %u: a queue of %s has at most %u", o->qd, i->name, i->max_depth);
		return TB_USAGE;
	}
	if (o->queues > i->max_queues) {
		tb_say("--queues %u: %s has at most %u", o->queues, i->name, i->max_queues);
		return TB_USAGE;
	}
	if (o->verify && (i->caps & PLX_BLK_CAP_NODATA)) {
		tb_say("--verify: %s (%s) keeps no data", i->name, i->driver);
		return TB_USAGE;
	}
	if (o->writes && !o->allow_write && !(i->caps & PLX_BLK_CAP_SOFTWARE)) {
		tb_say("--rw %s overwrites %s (%s %s): say --allow-write if its data may be lost",
			o->rw, i->name, i->driver, i->model);
		return TB_USAGE;
	}
	if (o->meta && i->meta_size == 0) {
		tb_say("--%s: blocks of %s have no metadata", o->pi ? "pi" : "meta", i->name);
		return TB_USAGE;
	}
	if (o->pi != TB_PI_DRIVER && i->pi_type == 0) {
		tb_say("--pi: metadata of %s has no protection information; --meta moves it",
			i->name);
		return TB_USAGE;
	}
	if (o->writes && i->zone_nblk != 0 && (o->random || o->qd > 1)) {
		tb_say("--rw %s: %s is zoned: only --rw write with --iodepth 1 writes at a write "
		       "pointer",
			o->rw, i->name);
		return TB_USAGE;
	}
	return check_range(o, t);
}

/* ---- lcores ---- */

static bool
chosen(const struct tb_opts *o, const struct tb_worker *w)
{
	return !o->lcores_given || o->lcore[w->lcore];
}

static int
check_lcores(const struct tb_opts *o)
{
	for (unsigned int i = 0; i < RTE_MAX_LCORE; i++)
		if (o->lcore[i] && !rte_lcore_is_enabled(i)) {
			tb_say("--lcores: lcore %u is not one of EAL's; enable it with -l or "
			       "--lcores before the '--'",
				i);
			return TB_USAGE;
		}
	return TB_OK;
}

static uint32_t
nb_chosen(const struct tb_job *job)
{
	const struct tb_session *s = job->run->session;
	uint32_t n = 0;

	for (uint32_t i = 0; i < s->nworker; i++)
		n += chosen(&job->opts, &s->workers[i]);
	return n;
}

/* The lcore for a device's next queue: with the fewest queues of all jobs; of these, one on the
 * device's node. */
static struct tb_worker *
next_worker(const struct tb_task *t)
{
	const struct tb_session *s = t->job->run->session;
	struct tb_worker *best = NULL;
	bool best_near = false;

	for (uint32_t i = 0; i < s->nworker; i++) {
		struct tb_worker *w = &s->workers[i];
		bool near = (int)rte_lcore_to_socket_id(w->lcore) == t->dev->info.numa_node;

		if (!chosen(&t->job->opts, w))
			continue;
		if (best == NULL || w->planned < best->planned ||
			(w->planned == best->planned && near && !best_near)) {
			best = w;
			best_near = near;
		}
	}
	best->planned++;
	return best;
}

/* ---- tasks ---- */

static int
plan_task(struct tb_job *job, struct tb_task *t)
{
	const struct tb_opts *o = &job->opts;
	int rc = check_dev(o, t);
	uint64_t units, nq = o->queues;

	if (rc != TB_OK)
		return rc;
	units = t->nblocks / (o->bs / t->dev->info.block_size);
	if (nq == 0) {
		nq = RTE_MIN(nb_chosen(job), t->dev->info.max_queues);
		nq = RTE_MIN(nq, units);
	}
	if (units < nq) {
		tb_say("%s: %" PRIu64 " I/Os of --bs make no range for each of %" PRIu64 " queues",
			t->dev->info.name, units, nq);
		return TB_USAGE;
	}
	if (t->dev->nq + nq > t->dev->info.max_queues) {
		tb_say("%s has %u queues, the jobs want more", t->dev->info.name,
			t->dev->info.max_queues);
		return TB_USAGE;
	}
	t->first_qid = t->dev->nq;
	t->nq = (uint16_t)nq;
	t->dev->nq = (uint16_t)(t->dev->nq + nq);
	t->dev->writable |= o->writes;
	return TB_OK;
}

int
tb_job_plan(struct tb_job *job)
{
	uint32_t n = 0;
	int rc = check_lcores(&job->opts);

	if (rc != TB_OK)
		return rc;
	for (struct tb_dev *d = job->run->session->devs; d != NULL; d = d->next)
		n += !d->removed;
	if (n == 0) {
		tb_say("there is no device to work on");
		return TB_USAGE;
	}
	job->tasks = calloc(n, sizeof(*job->tasks));
	if (job->tasks == NULL)
		return no_memory();
	for (struct tb_dev *d = job->run->session->devs; rc == TB_OK && d != NULL; d = d->next) {
		if (d->removed)
			continue;
		job->tasks[job->ntask] = (struct tb_task){.job = job, .dev = d};
		rc = plan_task(job, &job->tasks[job->ntask++]);
	}
	return rc;
}

/* ---- queues ---- */

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
	if (o->meta &&
		tb_meta_alloc(&q->meta, &q->task->dev->info, o->pi, o->qd, q->nblk, socket) != 0)
		return no_memory();
	q->stride = (uint32_t)stride;
	q->data = plx_mem_alloc(o->qd * stride, 4096, socket);
	if (q->data == NULL)
		return TB_FAIL;                                   /* logged */
	for (size_t i = 0; i < o->qd * stride / sizeof(rng); i++) /* nothing that compresses */
		((uint64_t *)q->data)[i] = tb_random(&rng);
	return TB_OK;
}

/* A queue's part of the task's range, and how it is walked. */
static void
queue_range(struct tb_queue *q, const struct tb_opts *o, double hz)
{
	const struct tb_task *t = q->task;
	uint32_t nblk = o->bs / t->dev->info.block_size;
	uint64_t units = t->nblocks / nblk, each = units / t->nq, more = units % t->nq;
	bool once = o->time_s == 0;
	uint64_t seed = o->seed;

	q->nblk = nblk;
	q->base = t->first + (each * q->qid + RTE_MIN(more, q->qid)) * nblk;
	for (uint32_t i = 0; i <= t->dev->index; i++)
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
plan_queue(struct tb_task *t, uint16_t qid)
{
	const struct tb_opts *o = &t->job->opts;
	struct tb_queue *q = &t->queues[qid];

	q->task = t;
	q->qid = qid;
	q->worker = next_worker(t);
	q->qd = o->qd;
	q->batch = o->batch;
	q->verify = o->verify;
	q->v = (struct tb_verify){
		.seed = o->seed, .dev = t->dev->index, .block_size = t->dev->info.block_size};
	queue_range(q, o, t->job->run->hz);
	return queue_memory(q, o);
}

static int
task_queues(struct tb_task *t)
{
	uint16_t nq = t->nq;

	t->nq = 0;
	t->queues = aligned_alloc(RTE_CACHE_LINE_SIZE, nq * sizeof(*t->queues));
	if (t->queues == NULL)
		return no_memory();
	memset(t->queues, 0, nq * sizeof(*t->queues));
	t->nq = nq;
	for (uint16_t i = 0; i < nq; i++) {
		int rc = plan_queue(t, i);

		if (rc != TB_OK)
			return rc;
	}
	return TB_OK;
}

int
tb_job_queues(struct tb_job *job)
{
	int rc = TB_OK;

	for (uint32_t i = 0; rc == TB_OK && i < job->ntask; i++)
		rc = task_queues(&job->tasks[i]);
	return rc;
}

static void
free_queue(struct tb_queue *q)
{
	plx_poller_del(q->poller);
	free(q->sum);
	free(q->reqs);
	free(q->idle);
	free(q->pend);
	free(q->burst);
	free(q->gen);
	tb_meta_free(&q->meta);
	plx_mem_free(q->data);
}

void
tb_job_free(struct tb_job *job)
{
	for (uint32_t i = 0; i < job->ntask; i++) {
		struct tb_task *t = &job->tasks[i];

		for (uint16_t k = 0; t->queues != NULL && k < t->nq; k++)
			free_queue(&t->queues[k]);
		free(t->queues);
	}
	free(job->tasks);
	free(job->series.at);
	free(job->total);
}
