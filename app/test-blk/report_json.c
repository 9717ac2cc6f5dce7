/* SPDX-License-Identifier: BSD-3-Clause */
/* The report as JSON. Its keys are an interface: doc/ describes them, units are in the names. */
#include <stdio.h>
#include <stdlib.h>

#include <json-c/json.h>

#include "testblk.h"

typedef struct json_object json; /* short, for what follows */

static void
add_u64(json *o, const char *key, uint64_t v)
{
	json_object_object_add(o, key, json_object_new_uint64(v));
}

static void
add_double(json *o, const char *key, double v)
{
	char text[32];

	snprintf(text, sizeof(text), "%.6g", v);
	json_object_object_add(o, key, json_object_new_double_s(v, text));
}

static void
add_str(json *o, const char *key, const char *v)
{
	json_object_object_add(o, key, json_object_new_string(v));
}

static void
add_bool(json *o, const char *key, bool v)
{
	json_object_object_add(o, key, json_object_new_boolean(v));
}

static json *
add_object(json *o, const char *key)
{
	json *sub = json_object_new_object();

	json_object_object_add(o, key, sub);
	return sub;
}

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
	if (job->opts.writes)
		add_side(o, "write", &f.side[TB_WRITE]);
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
}

static json *
queue_object(const struct tb_job *job, const struct tb_queue *q)
{
	json *o = json_object_new_object();

	add_u64(o, "queue", q->qid);
	add_u64(o, "lcore", q->worker->lcore);
	add_sum(o, job, q->sum);
	return o;
}

static json *
dev_object(const struct tb_job *job, const struct tb_task *t)
{
	const struct tb_dev *d = t->dev;
	json *o = json_object_new_object(), *queues = json_object_new_array(), *drv;
	struct tb_sum *all = tb_sum_task(t);

	add_str(o, "name", d->info.name);
	add_str(o, "string", d->str);
	add_str(o, "driver", d->info.driver);
	add_str(o, "model", d->info.model);
	add_u64(o, "block_size_bytes", d->info.block_size);
	add_u64(o, "size_bytes", d->info.nblocks * d->info.block_size);
	if (all != NULL)
		add_sum(o, job, all);
	free(all);
	drv = add_object(o, "driver_counters");
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
	if (o->time_s > 0)
		add_double(opts, "time_s", o->time_s);
	if (o->size != 0)
		add_u64(opts, "size_bytes", o->size);
	add_u64(opts, "offset_bytes", o->offset);
	add_u64(opts, "seed", o->seed);
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
	add_tag(first, "got", &m->got);
	add_u64(first, "computed_crc32c", m->crc);
}

int
tb_report_json(const struct tb_job *job, FILE *out, int exit_code)
{
	json *root = json_object_new_object(), *devs = json_object_new_array();
	int rc;

	add_str(root, "program", "plx-testblk");
	add_str(root, "version", TB_VERSION);
	add_u64(root, "format", 1);
	add_options(root, &job->opts);
	add_bool(root, "interrupted", tb_stop != 0);
	add_u64(root, "exit_code", (uint64_t)exit_code);
	add_double(root, "tsc_hz", job->run->hz);
	for (uint32_t d = 0; d < job->ntask; d++)
		json_object_array_add(devs, dev_object(job, &job->tasks[d]));
	json_object_object_add(root, "devices", devs);
	add_sum(add_object(root, "total"), job, job->total);
	if (job->opts.verify || job->total->bad.checked != 0)
		add_verify(root, job);
	rc = fprintf(out, "%s\n",
		json_object_to_json_string_ext(root, JSON_C_TO_STRING_PRETTY |
							     JSON_C_TO_STRING_SPACED |
							     JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(root);
	if (rc >= 0 && fflush(out) == 0)
		return TB_OK;
	tb_say("--json: writing failed");
	return TB_FAIL;
}
