/* SPDX-License-Identifier: BSD-3-Clause */
/* The report as tables: a line a device and queue. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "testblk.h"

/* A line of the tables: a queue, a device, or everything. */
struct row {
	const char *dev;
	int width; /* of the first column */
	char queue[8], lcore[8];
	const struct tb_sum *sum;
};

typedef void (*print_row)(FILE *out, const struct row *r, const struct tb_figures *f);

static void
print_speed(FILE *out, const struct row *r, const struct tb_figures *f)
{
	for (unsigned int i = 0; i < TB_SIDES; i++) {
		const struct tb_side_figures *s = &f->side[i];

		if (s->ios == 0)
			continue;
		fprintf(out, "%-*s %5s %5s %-6s %10.0f %9.1f %8.2f %8.2f %8.2f %8.2f %8.2f %9.2f\n",
			r->width, r->dev, r->queue, r->lcore, tb_side_name(i), s->iops, s->mib_s,
			s->mean, s->p50, s->p99, s->p999, s->p9999, s->max);
	}
}

static void
print_cost(FILE *out, const struct row *r, const struct tb_figures *f)
{
	const struct tb_counts *c = &r->sum->c;

	fprintf(out,
		"%-*s %5s %5s %12" PRIu64 " %12" PRIu64 " %8" PRIu64 " %9" PRIu64
		" %7.1f %8.1f %6.1f %7.0f %6.1f%%\n",
		r->width, r->dev, r->queue, r->lcore, c->submitted, f->completed, c->failed,
		c->cancelled, f->submit_ns, f->complete_ns, f->self_ns, f->cycles,
		100 * f->empty_share);
}

/* Room for the longest name. */
static int
name_width(const struct tb_job *job)
{
	size_t width = 12, len;

	for (uint32_t d = 0; d < job->ntask; d++) {
		len = strlen(job->tasks[d].dev->info.name);
		width = len > width ? len : width;
	}
	return (int)width;
}

static void
print(const struct tb_job *job, FILE *out, print_row fn, const struct row *r)
{
	struct tb_figures f;

	tb_figures(&f, r->sum, job->opts.bs, job->run->hz);
	fn(out, r, &f);
}

static void
print_task(const struct tb_job *job, FILE *out, print_row fn, const struct tb_task *t)
{
	struct row r = {.dev = t->dev->info.name, .width = name_width(job)};
	struct tb_sum *all;

	for (uint16_t i = 0; i < t->nq; i++) {
		const struct tb_queue *q = &t->queues[i];

		snprintf(r.queue, sizeof(r.queue), "%u", t->first_qid + i);
		snprintf(r.lcore, sizeof(r.lcore), "%u", q->worker->lcore);
		r.sum = q->sum;
		print(job, out, fn, &r);
	}
	all = t->nq > 1 ? tb_sum_task(t) : NULL;
	if (all != NULL) {
		snprintf(r.queue, sizeof(r.queue), "all");
		r.lcore[0] = '\0';
		r.sum = all;
		print(job, out, fn, &r);
	}
	free(all);
}

static void
print_table(const struct tb_job *job, FILE *out, print_row fn)
{
	struct row r = {.dev = "total", .width = name_width(job), .sum = job->total};

	for (uint32_t d = 0; d < job->ntask; d++)
		print_task(job, out, fn, &job->tasks[d]);
	if (job->ntask > 1)
		print(job, out, fn, &r);
}

/* What a device's driver had to do besides. */
static void
print_driver(FILE *out, const struct tb_dev *d)
{
	const struct plx_blk_stats *s = &d->stats;

	if ((s->split | s->bounced | s->retried | s->bad_device | s->late) != 0)
		fprintf(out,
			"%s: %" PRIu64 " split, %" PRIu64 " bounced, %" PRIu64 " retried, %" PRIu64
			" senseless completions, %" PRIu64 " not answered in time\n",
			d->info.name, s->split, s->bounced, s->retried, s->bad_device, s->late);
}

static void
print_errors(FILE *out, const struct tb_task *t)
{
	for (uint16_t i = 0; i < t->nq; i++) {
		const struct tb_sum *s = t->queues[i].sum;
		const char *sep = " ";

		if (s->c.failed == 0)
			continue;
		fprintf(out, "errors: %s queue %u:", t->dev->info.name, t->first_qid + i);
		for (unsigned int e = 0; e < TB_ERRNOS; e++) {
			if (s->errs[e] == 0)
				continue;
			fprintf(out, "%s%" PRIu64 " %s", sep, s->errs[e], tb_errno_name(e));
			sep = ", ";
		}
		fputc('\n', out);
	}
}

static void
print_tag(FILE *out, const char *what, const struct tb_tag *t)
{
	fprintf(out,
		"\t%-8s block %" PRIu64 ", generation %" PRIu32 ", seed %" PRIu64
		", device %" PRIu32 ", crc %08" PRIx32 "\n",
		what, t->lba, t->gen, t->seed, t->dev, t->crc);
}

static void
print_wanted(FILE *out, const struct tb_mismatch *m)
{
	const struct tb_tag *t = &m->want;
	char gens[48] = "any generation";

	if (m->gens.low == m->gens.high) {
		print_tag(out, "expected", t);
		return;
	}
	if (t->gen != 0)
		snprintf(gens, sizeof(gens), "generation %" PRIu32 " to %" PRIu32, m->gens.low,
			m->gens.high);
	else if (m->gens.high != UINT32_MAX)
		snprintf(gens, sizeof(gens), "at most generation %" PRIu32, m->gens.high);
	fprintf(out, "\t%-8s block %" PRIu64 ", %s, seed %" PRIu64 ", device %" PRIu32 "\n",
		"expected", t->lba, gens, t->seed, t->dev);
}

/* What was known before the run. */
static void
print_state(const struct tb_job *job, FILE *out)
{
	const struct tb_state *st = job->tasks[0].state;

	if (st != NULL)
		fprintf(out,
			"verify: %s began with %" PRIu64 " I/Os' worth stable, %" PRIu64
			" perhaps of an earlier generation, %" PRIu64 " never written\n",
			job->opts.verify_state, st->stable, st->open, st->never);
}

static void
print_verify(const struct tb_job *job, FILE *out)
{
	const struct tb_sum *s = job->total;
	const struct tb_mismatch *m = &s->bad;

	fprintf(out, "verify: %" PRIu64 " blocks read and checked, %" PRIu64 " wrong%s\n",
		m->checked, m->blocks,
		tb_verified_all(job) ? "" : "; ended before all that was written was read back");
	if (s->skipped != 0)
		fprintf(out, "verify: %" PRIu64 " blocks left out: a write to them failed\n",
			s->skipped);
	print_state(job, out);
	if (m->blocks == 0)
		return;
	fprintf(out, "verify: first mismatch: %s block %" PRIu64 ": %s\n",
		tb_job_dev_name(job, m->want.dev), m->want.lba, tb_verdict_text(m->verdict));
	if (m->verdict >= TB_BAD_META) {
		fprintf(out, "\texpected %#" PRIx64 ", got %#" PRIx64 "\n", m->meta_want,
			m->meta_got);
		return;
	}
	print_wanted(out, m);
	if (m->verdict == TB_NO_TAG)
		fprintf(out, "\t%-8s %08" PRIx32 " where the tag's magic should be\n", "got",
			m->got.magic);
	else
		print_tag(out, "got", &m->got);
	fprintf(out, "\t%-8s crc %08" PRIx32 "\n", "computed", m->crc);
}

/* Of a search for a depth: what each queue found. */
static void
print_depths(FILE *out, const struct tb_job *job, const struct tb_task *t)
{
	const struct tb_opts *o = &job->opts;

	for (uint16_t i = 0; i < t->nq; i++) {
		const struct tb_lat_search *s = &t->queues[i].pace->lat;

		fprintf(out, "latency target: %s queue %u: ", t->dev->info.name, t->first_qid + i);
		if (!s->done)
			fprintf(out, "not found in this time, %u met it\n", s->good);
		else if (s->good == 0)
			fprintf(out, "not met by one I/O in flight\n");
		else
			fprintf(out, "%u in flight keep %g %% below %g us\n", s->good,
				o->lat_percentile, o->lat_target_s * 1e6);
	}
}

static void
print_title(const struct tb_job *job, FILE *out)
{
	const struct tb_opts *o = &job->opts;

	if (o->name != NULL)
		fprintf(out, "%s: ", o->name);
	if (job->clones > 1)
		fprintf(out, "%u clones of ", job->clones);
	else if (o->numjobs > 1)
		fprintf(out, "clone %u of %u: ", job->clone + 1, o->numjobs);
	fprintf(out, "%s, %s%" PRIu32 " bytes an I/O, %u in flight a queue, bursts of %u%s%s\n\n",
		o->rw, o->unit != o->bs ? "up to " : "", o->bs, o->qd, o->batch,
		o->hop ? ", by way of another lcore" : "", tb_stop ? "; interrupted" : "");
}

void
tb_report_text(const struct tb_job *job, FILE *out)
{
	const struct tb_sum *s = job->total;
	int width = name_width(job);

	print_title(job, out);
	fprintf(out, "%-*s %5s %5s %-6s %10s %9s %8s %8s %8s %8s %8s %9s\n", width, "latency: us",
		"queue", "lcore", "", "IOPS", "MiB/s", "mean", "p50", "p99", "p99.9", "p99.99",
		"max");
	print_table(job, out, print_speed);
	fprintf(out, "\n%-*s %5s %5s %12s %12s %8s %9s %7s %8s %6s %7s %7s\n", width, "an I/O: ns",
		"queue", "lcore", "submitted", "completed", "failed", "cancelled", "submit",
		"complete", "tester", "cycles", "empty");
	print_table(job, out, print_cost);
	fputc('\n', out);
	for (uint32_t d = 0; d < job->ntask; d++) {
		print_driver(out, job->tasks[d].dev);
		print_errors(out, &job->tasks[d]);
		if (job->opts.lat_target_s != 0)
			print_depths(out, job, &job->tasks[d]);
	}
	if (job->opts.verify || s->bad.checked != 0)
		print_verify(job, out);
	if (!tb_sum_balances(s))
		fprintf(out, "lost: %" PRIu64 " I/Os were submitted, %" PRIu64 " came back\n",
			s->c.submitted, s->c.returned);
}

static int
report_json(const struct tb_run *run, FILE *json, int rc)
{
	const char *path = run->jobs[0].opts.json;
	FILE *own = NULL;
	int said;

	if (path == NULL)
		return TB_OK;
	if (json == NULL && strcmp(path, "-") == 0)
		json = stdout;
	if (json == NULL)
		json = own = fopen(path, "w");
	if (json == NULL) {
		tb_say("json %s: %s", path, strerror(errno));
		return TB_FAIL;
	}
	said = tb_report_json(run, json, rc);
	if (own != NULL && fclose(own) != 0)
		said = TB_FAIL;
	return said;
}

int
tb_report(const struct tb_run *run, FILE *json, int rc)
{
	/* a standard output that carries JSON carries nothing else */
	bool taken = json == stdout && run->jobs[0].opts.json != NULL;
	int verdict = rc;

	for (uint32_t j = 0; j < run->njob; j++) {
		const struct tb_job *job = &run->jobs[j];

		if (job->total == NULL)
			return RTE_MAX(rc, TB_FAIL);
		verdict = RTE_MAX(verdict, tb_job_verdict(job));
		tb_report_text(job, taken ? stderr : stdout);
		if (job->opts.log != NULL)
			verdict = RTE_MAX(verdict, tb_report_logs(job, j));
		if (job->opts.hist != NULL)
			verdict = RTE_MAX(verdict, tb_report_hists(job, j));
	}
	return RTE_MAX(verdict, report_json(run, json, verdict));
}
