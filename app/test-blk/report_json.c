/* SPDX-License-Identifier: BSD-3-Clause */
/* The report as JSON. Its keys are an interface: doc/ describes them, units are in the names. */
#include <inttypes.h>
#include <stdlib.h>

#include "report_json.h"

static void
add_side(json *o, const char *key, const struct tb_side_figures *f)
{
	json *side = add_object(o, key), *lat;

	add_u64(side, "ios", f->ios);
	add_double(side, "iops", f->iops);
	add_double(side, "mib_per_s", f->mib_s);
	lat = add_object(side, "latency_us");
	add_double(lat, "mean", f->mean);
	add_double(lat, "p50", f->p50);
	add_double(lat, "p99", f->p99);
	add_double(lat, "p99.9", f->p999);
	add_double(lat, "p99.99", f->p9999);
	add_double(lat, "max", f->max);
}

/* Calls by the I/Os that they moved: a power of two stands for what is above the one before. */
static void
add_calls(json *o, const char *key, const uint64_t *calls)
{
	json *sizes = add_object(o, key);
	char name[8];

	for (unsigned int i = 0; i < TB_LOG2S; i++)
		if (calls[i] != 0) {
			snprintf(name, sizeof(name), "%u", 1u << i);
			add_u64(sizes, name, calls[i]);
		}
}

/* The figures of a queue, a device, or all. */
static void
add_sum(json *o, const struct tb_job *job, const struct tb_sum *s)
{
	struct tb_figures f;
	json *errs;

	tb_figures(&f, s, job->opts.bs, job->run->hz);
	add_double(o, "seconds", f.seconds);
	if (job->opts.reads)
		add_side(o, "read", &f.side[TB_READ]);
	if (job->opts.writes || f.side[TB_WRITE].ios != 0)
		add_side(o, "write", &f.side[TB_WRITE]);
	for (unsigned int i = TB_TRIM; i < TB_BACK; i++)
		if (f.side[i].ios != 0)
			add_side(o, tb_side_name(i), &f.side[i]);
	if (f.side[TB_BACK].ios != 0) {
		add_side(o, "readback", &f.side[TB_BACK]);
		add_double(o, "readback_seconds", f.back_seconds);
	}
	add_u64(o, "submitted", s->c.submitted);
	add_u64(o, "completed", f.completed);
	add_u64(o, "failed", s->c.failed);
	add_u64(o, "cancelled", s->c.cancelled);
	errs = add_object(o, "errors");
	for (unsigned int e = 0; e < TB_ERRNOS; e++)
		if (s->errs[e] != 0)
			add_u64(errs, tb_errno_name(e), s->errs[e]);
	add_double(o, "submit_ns_per_io", f.submit_ns);
	add_double(o, "complete_ns_per_io", f.complete_ns);
	add_double(o, "tester_ns_per_io", f.self_ns);
	add_double(o, "tsc_cycles_per_io", f.cycles);
	add_u64(o, "polls", s->c.polls);
	add_u64(o, "empty_polls", s->c.empty_polls);
	add_double(o, "empty_poll_share", f.empty_share);
	add_double(o, "ios_per_submit", f.mean_submit);
	add_double(o, "ios_per_poll", f.mean_poll);
	add_calls(o, "submit_sizes", s->c.lent_calls);
	add_calls(o, "poll_sizes", s->c.got_calls);
}

static json *
queue_object(const struct tb_job *job, const struct tb_queue *q)
{
	json *o = json_object_new_object();

	add_u64(o, "queue", q->task->first_qid + q->qid);
	add_u64(o, "lcore", q->worker->lcore);
	add_sum(o, job, q->sum);
	return o;
}

static json *
dev_object(const struct tb_job *job, uint32_t index, const struct tb_task *t)
{
	const struct tb_dev *d = t->dev;
	json *o = json_object_new_object(), *queues = json_object_new_array(), *drv;
	struct tb_sum *all = tb_sum_task(t);

	add_str(o, "name", d->info.name);
	add_u64(o, "job", index);
	add_u64(o, "clone", t->clone);
	add_str(o, "string", d->str);
	add_str(o, "driver", d->info.driver);
	add_str(o, "model", d->info.model);
	add_u64(o, "block_size_bytes", d->info.block_size);
	add_u64(o, "size_bytes", d->info.nblocks * d->info.block_size);
	if (all != NULL)
		add_sum(o, job, all);
	free(all);
	drv = add_object(o, "driver_counters");
	add_double(drv, "doorbells_per_io",
		d->stats.completed != 0 ? (double)d->stats.doorbells / (double)d->stats.completed
					: 0);
	add_u64(drv, "completed", d->stats.completed);
	add_u64(drv, "errors", d->stats.errors);
	add_u64(drv, "reads", d->stats.ops[PLX_OP_READ]);
	add_u64(drv, "read_blocks", d->stats.blocks[PLX_OP_READ]);
	add_u64(drv, "writes", d->stats.ops[PLX_OP_WRITE]);
	add_u64(drv, "written_blocks", d->stats.blocks[PLX_OP_WRITE]);
	add_u64(drv, "polls", d->stats.polls);
	add_u64(drv, "empty_polls", d->stats.empty_polls);
	add_u64(drv, "doorbells", d->stats.doorbells);
	add_u64(drv, "split", d->stats.split);
	add_u64(drv, "bounced", d->stats.bounced);
	add_u64(drv, "retried", d->stats.retried);
	add_u64(drv, "bad_device", d->stats.bad_device);
	add_u64(drv, "late", d->stats.late);
	for (uint16_t i = 0; i < t->nq; i++)
		json_object_array_add(queues, queue_object(job, &t->queues[i]));
	json_object_object_add(o, "queues", queues);
	return o;
}

static void
add_options(json *root, const struct tb_opts *o)
{
	json *opts = add_object(root, "options");

	add_str(opts, "rw", o->rw);
	if (o->reads && o->writes)
		add_u64(opts, "rwmix_read_percent", o->rwmix);
	add_u64(opts, "bs_bytes", o->bs);
	add_u64(opts, "qd", o->qd);
	add_u64(opts, "batch", o->batch);
	add_u64(opts, "numjobs", o->numjobs);
	if (o->time_s > 0)
		add_double(opts, "time_s", o->time_s);
	if (o->size != 0)
		add_u64(opts, "size_bytes", o->size);
	add_u64(opts, "offset_bytes", o->offset);
	add_u64(opts, "seed", o->seed);
	add_str(opts, "poll_mode", tb_poll_modes[o->poll_mode]);
	add_bool(opts, "verify", o->verify);
	add_bool(opts, "meta", o->meta);
	if (o->pi != TB_PI_DRIVER)
		add_str(opts, "pi", o->pi == TB_PI_HOST ? "host" : "act");
}

static void
add_tag(json *o, const char *key, const struct tb_tag *t)
{
	json *tag = add_object(o, key);

	add_u64(tag, "magic", t->magic);
	add_u64(tag, "block", t->lba);
	add_u64(tag, "generation", t->gen);
	add_u64(tag, "seed", t->seed);
	add_u64(tag, "device", t->dev);
	add_u64(tag, "crc32c", t->crc);
}

static void
add_verify(json *root, const struct tb_job *job)
{
	const struct tb_mismatch *m = &job->total->bad;
	json *v = add_object(root, "verify"), *first;

	add_u64(v, "checked_blocks", m->checked);
	add_u64(v, "wrong_blocks", m->blocks);
	add_u64(v, "skipped_blocks", job->total->skipped);
	add_bool(v, "complete", tb_verified_all(job));
	if (job->tasks[0].state != NULL) {
		json *st = add_object(v, "state");

		add_u64(st, "stable_units", job->tasks[0].state->stable);
		add_u64(st, "open_units", job->tasks[0].state->open);
		add_u64(st, "unwritten_units", job->tasks[0].state->never);
	}
	if (m->blocks == 0)
		return;
	first = add_object(v, "first_mismatch");
	add_str(first, "device", tb_job_dev_name(job, m->want.dev));
	add_u64(first, "block", m->want.lba);
	add_str(first, "verdict", tb_verdict_text(m->verdict));
	if (m->verdict >= TB_BAD_META) {
		add_u64(first, "pi_expected", m->meta_want);
		add_u64(first, "pi_got", m->meta_got);
		return;
	}
	add_tag(first, "expected", &m->want);
	if (m->gens.low != m->gens.high && m->gens.high != UINT32_MAX)
		add_u64(first, "expected_generation_max", m->gens.high);
	add_tag(first, "got", &m->got);
	add_u64(first, "computed_crc32c", m->crc);
}

/* ---- over time ---- */

#define SERIES_MAX 500 /* points: neighbours are joined until there are no more */

static void
add_point(json *of[2], const struct tb_point *p, unsigned int side, double took, double us)
{
	json_object_array_add(of[0], number(took > 0 ? (double)p->side[side].ios / took : 0));
	json_object_array_add(of[1],
		p->side[side].ios != 0
			? number((double)p->side[side].cycles * us / (double)p->side[side].ios)
			: NULL);
}

static void
add_side_series(json *o, const char *key, const struct tb_job *job, unsigned int side)
{
	const struct tb_series *s = &job->series;
	uint32_t join = (s->n + SERIES_MAX - 1) / SERIES_MAX;
	json *sub = add_object(o, key);
	json *of[] = {add_array(sub, "iops"), add_array(sub, "latency_us")};
	double from = 0;

	for (uint32_t i = 0; i < s->n; i += join) {
		struct tb_point p = s->at[i];

		for (uint32_t k = i + 1; k < i + join && k < s->n; k++) {
			p.seconds = s->at[k].seconds;
			p.side[side].ios += s->at[k].side[side].ios;
			p.side[side].cycles += s->at[k].side[side].cycles;
		}
		add_point(of, &p, side, p.seconds - from, 1e6 / job->run->hz);
		from = p.seconds;
	}
}

static void
add_series(json *o, const struct tb_job *job)
{
	const struct tb_series *s = &job->series;
	uint32_t join = (s->n + SERIES_MAX - 1) / SERIES_MAX;
	json *series = add_object(o, "series"), *seconds = add_array(series, "seconds");

	for (uint32_t i = 0; i < s->n; i += join)
		json_object_array_add(seconds, number(s->at[RTE_MIN(i + join, s->n) - 1].seconds));
	if (job->opts.reads)
		add_side_series(series, "read", job, TB_READ);
	if (job->opts.writes)
		add_side_series(series, "write", job, TB_WRITE);
}

/* ---- all of it ---- */

static void
add_job(json *jobs, json *devs, const struct tb_job *job, uint32_t index)
{
	json *o = tb_fio_job(job, index), *ours = add_object(o, "plx");

	add_options(ours, &job->opts);
	add_sum(ours, job, job->total);
	add_series(ours, job);
	if (job->opts.verify || job->total->bad.checked != 0)
		add_verify(ours, job);
	json_object_array_add(jobs, o);
	for (uint32_t d = 0; d < job->ntask; d++)
		json_object_array_add(devs, dev_object(job, index, &job->tasks[d]));
}

/* The jobs together: rates are over the time of the longest. */
static void
add_total(json *root, const struct tb_run *run)
{
	struct tb_sum *all = run->njob > 1 ? tb_sum_alloc() : NULL;

	for (uint32_t j = 0; all != NULL && j < run->njob; j++)
		tb_sum_merge(all, run->jobs[j].total);
	add_sum(add_object(root, "total"), &run->jobs[0], all != NULL ? all : run->jobs[0].total);
	free(all);
}

int
tb_report_json(const struct tb_run *run, FILE *out, int exit_code)
{
	json *root = json_object_new_object(), *jobs, *devs;
	int rc;

	tb_fio_head(root);
	jobs = add_array(root, "jobs");
	add_str(root, "program", "plx-testblk");
	add_str(root, "version", TB_VERSION);
	add_u64(root, "format", 1);
	add_options(root, &run->jobs[0].opts);
	add_bool(root, "interrupted", tb_stop != 0);
	add_u64(root, "exit_code", (uint64_t)exit_code);
	add_double(root, "tsc_hz", run->hz);
	devs = add_array(root, "devices");
	for (uint32_t j = 0; j < run->njob; j++)
		add_job(jobs, devs, &run->jobs[j], j);
	add_total(root, run);
	if (run->jobs[0].opts.verify || run->jobs[0].total->bad.checked != 0)
		add_verify(root, &run->jobs[0]);
	rc = fprintf(out, "%s\n",
		json_object_to_json_string_ext(root, JSON_C_TO_STRING_PRETTY |
							     JSON_C_TO_STRING_SPACED |
							     JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(root);
	if (rc >= 0 && fflush(out) == 0)
		return TB_OK;
	if (out != stdout) /* told at the end */
		tb_say("--json: writing failed");
	return TB_FAIL;
}
