/* SPDX-License-Identifier: BSD-3-Clause */
/* Jobs to tasks on devices, and tasks to queues on lcores. Each step prints one line when it fails.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <rte_lcore.h>

#include "plx_mem.h"
#include "plan.h"

static int
no_memory(void)
{
	tb_say("out of memory");
	return TB_FAIL;
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

/* Pieces that the task's range is dealt out in: I/Os, or zones. */
static uint64_t
task_pieces(const struct tb_task *t)
{
	const struct tb_opts *o = &t->job->opts;
	const struct plx_blk_info *i = &t->dev->info;

	if (o->mode == TB_MODE_APPEND)
		return t->nblocks / i->zone_nblk;
	if (o->mode == TB_MODE_REPLAY)
		return t->nblocks;
	return t->nblocks / (o->bs / i->block_size);
}

/* Queues that the task may have of its device, or devices. */
static uint16_t
queues_left(const struct tb_task *t)
{
	const struct tb_opts *o = &t->job->opts;
	const struct plx_blk_info *i = &t->dev->info;
	uint32_t n = i->max_queues - t->dev->nq;

	if (t->to != NULL)
		n = RTE_MIN(n, (uint32_t)t->to->info.max_queues - t->to->nq);
	if (o->mode == TB_MODE_APPEND && i->max_open_zones != 0)
		n = RTE_MIN(n, i->max_open_zones);
	return (uint16_t)n;
}

static int
plan_task(struct tb_job *job, struct tb_task *t)
{
	const struct tb_opts *o = &job->opts;
	int rc = tb_verify_opts(&job->opts);
	uint64_t pieces, nq = o->queues;

	if (rc == TB_OK && o->mode == TB_MODE_REPLAY)
		rc = tb_replay_plan(t);
	if (rc == TB_OK)
		rc = plan_check(o, t);
	if (rc == TB_OK)
		rc = tb_verify_task(t);
	if (rc != TB_OK)
		return rc;
	pieces = task_pieces(t);
	if (nq == 0) {
		nq = o->numjobs > 1 ? 1 : RTE_MIN(nb_chosen(job), t->dev->info.max_queues);
		nq = RTE_MIN(nq, pieces);
	}
	if (pieces < nq) {
		tb_say("%s: %" PRIu64 " %s make no range for each of %" PRIu64 " queues",
			t->dev->info.name, pieces,
			o->mode == TB_MODE_APPEND ? "zones" : "I/Os of --bs", nq);
		return TB_USAGE;
	}
	if (nq > queues_left(t)) {
		tb_say("%s has %u queues%s, the jobs want more", t->dev->info.name,
			queues_left(t) + t->dev->nq,
			o->mode == TB_MODE_APPEND ? " for the zones that may be open" : "");
		return TB_USAGE;
	}
	t->first_qid = t->dev->nq;
	t->nq = (uint16_t)nq;
	t->dev->nq = (uint16_t)(t->dev->nq + nq);
	t->dev->writable |= o->writes;
	if (t->to == NULL)
		return TB_OK;
	t->to_first_qid = t->to->nq;
	t->to->nq = (uint16_t)(t->to->nq + nq);
	t->to->writable = true;
	return TB_OK;
}

/* The device that is copied to, NULL: none. */
static int
find_target(const struct tb_job *job, struct tb_dev **to)
{
	const char *name = job->opts.copy_to;

	*to = NULL;
	if (name == NULL)
		return TB_OK;
	*to = tb_session_dev(job->run->session, name);
	if (*to != NULL && !(*to)->removed)
		return TB_OK;
	tb_say("--copy_to %s: no device of that name is attached", name);
	return TB_USAGE;
}

/* Does a list with commas have the name? */
static bool
listed(const char *list, const char *name)
{
	size_t len = strlen(name);

	for (const char *at = list; (at = strstr(at, name)) != NULL; at++)
		if ((at == list || at[-1] == ',') && (at[len] == ',' || at[len] == '\0'))
			return true;
	return false;
}

/* Is the job to work on a device? Without names on all that its options attached, or on all. */
static bool
works_on(const struct tb_job *job, const struct tb_dev *d, const struct tb_dev *to)
{
	const struct tb_opts *o = &job->opts;
	bool given = o->ndev == 0;

	if (d->removed || d == to)
		return false;
	if (o->on != NULL)
		return listed(o->on, d->info.name);
	for (uint32_t i = 0; i < o->ndev; i++)
		given |= strcmp(o->dev[i], d->str) == 0;
	return given;
}

/* A clone's, on each device. */
static void
add_tasks(struct tb_job *job, struct tb_dev *to, uint32_t clone)
{
	for (struct tb_dev *d = job->run->session->devs; d != NULL; d = d->next)
		if (works_on(job, d, to))
			job->tasks[job->ntask++] =
				(struct tb_task){.job = job, .dev = d, .to = to, .clone = clone};
}

/* Lcores are of all jobs. */
static int
check_poll_mode(const struct tb_job *job)
{
	if (job->opts.poll_mode == job->run->jobs[0].opts.poll_mode)
		return TB_OK;
	tb_say("--poll-mode: the jobs of a run have one together; set it in [global]");
	return TB_USAGE;
}

int
tb_job_plan(struct tb_job *job)
{
	struct tb_dev *to;
	uint32_t n = 0;
	int rc = check_lcores(&job->opts);

	if (rc == TB_OK)
		rc = check_poll_mode(job);
	if (rc == TB_OK)
		rc = find_target(job, &to);
	if (rc != TB_OK)
		return rc;
	for (struct tb_dev *d = job->run->session->devs; d != NULL; d = d->next)
		n += works_on(job, d, to);
	if (n == 0 || (to != NULL && n > 1)) {
		tb_say(n == 0 ? job->opts.on != NULL ? "--on names no device that is attached"
						     : "there is no device to work on"
			      : "--rw copy: attach one device besides that of --copy_to");
		return TB_USAGE;
	}
	job->tasks = calloc((size_t)n * job->clones, sizeof(*job->tasks));
	job->lcore_rates = calloc(job->run->session->nworker, sizeof(*job->lcore_rates));
	if (job->tasks == NULL || job->lcore_rates == NULL)
		return no_memory();
	for (uint32_t c = 0; c < job->clones; c++)
		add_tasks(job, to, job->clone + c);
	if (job->opts.mode == TB_MODE_REPLAY)
		rc = tb_trace_load(&job->trace, &job->opts);
	for (uint32_t i = 0; rc == TB_OK && i < job->ntask; i++)
		rc = plan_task(job, &job->tasks[i]);
	tb_trace_free(&job->trace);
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
	q->pend_to = q->task->to == NULL ? NULL : calloc(o->qd, sizeof(*q->pend_to));
	if (q->task->to != NULL && q->pend_to == NULL)
		return no_memory();
	q->stride = (uint32_t)stride;
	q->data = plx_mem_alloc(o->qd * stride, 4096, socket);
	if (q->data == NULL)
		return TB_FAIL;                                   /* logged */
	for (size_t i = 0; i < o->qd * stride / sizeof(rng); i++) /* nothing that compresses */
		((uint64_t *)q->data)[i] = tb_random(&rng);
	return TB_OK;
}

/* Queue qid's part of n. */
static uint64_t
part(uint64_t n, uint16_t nq, uint16_t qid)
{
	return n / nq + (qid < n % nq);
}

static uint64_t
parts_before(uint64_t n, uint16_t nq, uint16_t qid)
{
	return n / nq * qid + RTE_MIN(n % nq, qid);
}

/* A queue's part of the task's range, and how it is walked. */
static void
queue_range(struct tb_queue *q, const struct tb_opts *o)
{
	const struct tb_task *t = q->task;
	const struct plx_blk_info *i = &t->dev->info;
	uint64_t piece = o->mode == TB_MODE_APPEND   ? i->zone_nblk
			 : o->mode == TB_MODE_REPLAY ? 1
						     : o->unit / i->block_size;
	uint64_t pieces = t->nblocks / piece, seed = o->seed;
	bool whole = o->once && !tb_load_needed(o), shared = tb_dist_zoned(o->dist);

	q->nblk = o->mode == TB_MODE_REPLAY ? 1 : o->unit / i->block_size;
	q->base = t->first;
	if (!shared) {
		q->base += parts_before(pieces, t->nq, q->qid) * piece;
		pieces = part(pieces, t->nq, q->qid);
	}
	for (uint32_t k = 0; k <= t->dev->index; k++)
		seed = tb_random(&seed);
	tb_walk_init(&q->walk,
		!o->random ? TB_WALK_SEQ
		: whole    ? TB_WALK_SHUFFLE
			   : TB_WALK_RANDOM,
		pieces * piece / q->nblk, seed + q->qid + ((uint64_t)t->clone << 32));
}

static uint64_t
div_up(uint64_t a, uint64_t b)
{
	return a / b + (a % b != 0);
}

/* When it is over. */
static void
queue_bounds(struct tb_queue *q, const struct tb_opts *o, double hz)
{
	uint16_t nq = q->task->nq;
	uint32_t bsz = q->task->dev->info.block_size;
	uint64_t blocks = UINT64_MAX;

	if (o->io_size != 0)
		blocks = div_up(part(o->io_size, nq, q->qid), bsz);
	else if (o->once)
		blocks = tb_dist_zoned(o->dist) ? part(q->walk.units, nq, q->qid) * q->nblk
						: q->walk.units * q->nblk;
	q->left = o->mode == TB_MODE_REPLAY ? q->task->nios : UINT64_MAX;
	if (q->load != NULL && o->mode != TB_MODE_APPEND)
		q->load->left_blocks = blocks;
	else if (blocks != UINT64_MAX && q->load == NULL)
		q->left = div_up(blocks, q->nblk);
	if (o->number_ios != 0)
		q->left = RTE_MIN(q->left, part(o->number_ios, nq, q->qid));
	q->deadline = o->time_s == 0 ? UINT64_MAX : (uint64_t)(o->time_s * hz);
	if (o->ramp_s != 0) {
		q->after_ramp = q->deadline;
		q->deadline = (uint64_t)(o->ramp_s * hz);
	}
}

/* Its zones, for now as large as they are apart; NULL: no memory. */
static struct tb_zone *
queue_zones(const struct tb_queue *q, uint32_t *n)
{
	uint64_t each = q->task->dev->info.zone_nblk;
	struct tb_zone *z;

	*n = (uint32_t)(q->walk.units * q->nblk / each);
	z = calloc(*n, sizeof(*z));
	for (uint32_t i = 0; z != NULL && i < *n; i++)
		z[i] = (struct tb_zone){.lba = q->base + i * each, .capacity = each};
	return z;
}

static int
queue_load(struct tb_queue *q, const struct tb_opts *o)
{
	const struct tb_session *s = q->task->job->run->session;
	struct tb_rate *lcore = NULL;
	struct tb_zone *zones = NULL;
	uint32_t nzones = 0;

	if (o->mode == TB_MODE_APPEND && (zones = queue_zones(q, &nzones)) == NULL)
		return no_memory();
	if (tb_load_needed(o) && tb_load_create(q, o, zones, nzones) != 0)
		return no_memory();
	if (o->lcore_rate != 0 || o->lcore_rate_iops != 0) {
		lcore = &q->task->job->lcore_rates[q->worker - s->workers];
		tb_rate_init(lcore, (double)o->lcore_rate_iops, (double)o->lcore_rate, s->hz, 0);
	}
	return tb_pace_create(q, o, q->task->nq, lcore, s->hz) == 0 ? TB_OK : no_memory();
}

/* The lcore that works the device's queue for another's user: the next one of the job. */
static int
next_owner(struct tb_queue *q)
{
	const struct tb_session *s = q->task->job->run->session;
	uint32_t at = (uint32_t)(q->worker - s->workers);

	for (uint32_t i = 1; i < s->nworker; i++) {
		q->owner = &s->workers[(at + i) % s->nworker];
		if (chosen(&q->task->job->opts, q->owner))
			return TB_OK;
	}
	tb_say("--hop takes two lcores: give them with -l before the '--'");
	return TB_USAGE;
}

static int
plan_queue(struct tb_task *t, uint16_t qid)
{
	const struct tb_opts *o = &t->job->opts;
	struct tb_queue *q = &t->queues[qid];
	int rc;

	q->task = t;
	q->qid = qid;
	q->worker = next_worker(t);
	q->qd = o->qd;
	q->batch = o->batch;
	q->null = o->mode == TB_MODE_NULL;
	q->mixed = o->reads && o->writes && !o->opmix;
	q->op = o->reads ? PLX_OP_READ : PLX_OP_WRITE;
	q->read_below = ((uint64_t)o->rwmix << 32) / 100;
	queue_range(q, o);
	if (o->hop && (rc = next_owner(q)) != TB_OK)
		return rc;
	rc = queue_load(q, o);
	if (rc != TB_OK)
		return rc;
	queue_bounds(q, o, t->job->run->hz);
	rc = queue_memory(q, o);
	return rc == TB_OK ? tb_verify_queue(q) : rc;
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
	tb_sleep_close(q);
	free(q->sum);
	free(q->reqs);
	free(q->idle);
	free(q->pend);
	free(q->burst);
	free(q->pend_to);
	tb_load_free(q->load);
	tb_pace_free(q->pace);
	tb_verify_queue_free(q);
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
		tb_state_close(t->state);
		free(t->ios);
	}
	free(job->tasks);
	free(job->lcore_rates);
	free(job->series.at);
	free(job->total);
}
