/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A job's figures under the names that fio 3 gives them in its json+ output, so that what reads
 * that reads ours. What a polled queue has no equal of is 0, as fio has it for what it did not
 * measure: slat, which is not told from clat an I/O (its mean is "submit_ns_per_io").
 */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>
#include <time.h>

#include "report_json.h"

static double
percent(uint64_t part, uint64_t all)
{
	return all != 0 ? 100.0 * (double)part / (double)all : 0;
}

/* ---- latencies ---- */

static void
add_percentiles(json *lat, const struct tb_hist *h, double ns)
{
	static const double at[] = {
		1, 5, 10, 20, 30, 40, 50, 60, 70, 80, 90, 95, 99, 99.5, 99.9, 99.95, 99.99};
	json *o = add_object(lat, "percentile");
	double q[RTE_DIM(at)], v[RTE_DIM(at)];
	char key[16];

	for (unsigned int i = 0; i < RTE_DIM(at); i++)
		q[i] = at[i] / 100;
	tb_hist_quantiles(h, q, v, RTE_DIM(at));
	for (unsigned int i = 0; i < RTE_DIM(at); i++) {
		snprintf(key, sizeof(key), "%.6f", at[i]);
		add_u64(o, key, (uint64_t)(v[i] * ns + 0.5));
	}
}

/* Whole nanoseconds are coarser than the least buckets. */
static void
add_bins(json *lat, const struct tb_hist *h, double ns)
{
	json *o = add_object(lat, "bins");
	uint64_t at = 0, n = 0, next;
	char key[24];

	for (unsigned int b = 0; b <= TB_HIST_BUCKETS; b++) {
		if (b < TB_HIST_BUCKETS && h->count[b] == 0)
			continue;
		next = b < TB_HIST_BUCKETS ? (uint64_t)(tb_hist_mid(h, b) * ns + 0.5) : UINT64_MAX;
		if (next != at && n != 0) {
			snprintf(key, sizeof(key), "%" PRIu64, at);
			add_u64(o, key, n);
			n = 0;
		}
		at = next;
		n += b < TB_HIST_BUCKETS ? h->count[b] : 0;
	}
}

static json *
add_latency(json *side, const char *key, const struct tb_hist *h, double ns)
{
	json *lat = add_object(side, key);
	uint64_t n = h != NULL ? h->n : 0;

	add_u64(lat, "min", n != 0 ? (uint64_t)(tb_hist_min(h) * ns) : 0);
	add_u64(lat, "max", n != 0 ? (uint64_t)((double)h->max * ns + 0.5) : 0);
	add_double(lat, "mean", n != 0 ? (double)h->sum / (double)n * ns : 0);
	add_double(lat, "stddev", n != 0 ? tb_hist_stddev(h) * ns : 0);
	add_u64(lat, "N", n);
	return lat;
}

static void
add_latencies(json *side, const struct tb_hist *h, double ns)
{
	json *lat;

	add_latency(side, "slat_ns", NULL, ns);
	lat = add_latency(side, "clat_ns", h, ns);
	if (h != NULL && h->n != 0) {
		add_percentiles(lat, h, ns);
		add_bins(lat, h, ns);
	}
	add_latency(side, "lat_ns", h, ns);
}

/* ---- a direction ---- */

static void
add_spread(json *side, const struct tb_job *job, unsigned int s)
{
	double kib = tb_sum_bytes(job->total, s, job->opts.bs) / 1024;
	struct tb_spread r;

	tb_series_spread(&job->series, s, job->opts.log_interval_s, &r);
	add_u64(side, "bw_min", (uint64_t)(r.min * kib));
	add_u64(side, "bw_max", (uint64_t)(r.max * kib));
	add_double(side, "bw_agg", r.n != 0 ? 100 : 0);
	add_double(side, "bw_mean", r.mean * kib);
	add_double(side, "bw_dev", r.stddev * kib);
	add_u64(side, "bw_samples", r.n);
	add_u64(side, "iops_min", (uint64_t)r.min);
	add_u64(side, "iops_max", (uint64_t)r.max);
	add_double(side, "iops_mean", r.mean);
	add_double(side, "iops_stddev", r.stddev);
	add_u64(side, "iops_samples", r.n);
}

/* s: enum tb_side, or TB_SIDES for one that there is none of. */
static void
add_direction(json *o, const char *key, const struct tb_job *job, unsigned int s)
{
	json *side = add_object(o, key);
	const struct tb_hist *h = s < TB_SIDES ? &job->total->lat[s] : NULL;
	const struct tb_counts *c = &job->total->c;
	double seconds = (double)(c->end - c->begin) / job->run->hz;
	uint64_t ios = h != NULL ? h->n : 0, bytes = 0;
	double rate = seconds > 0 ? 1 / seconds : 0;

	bytes = (uint64_t)((double)ios * tb_sum_bytes(job->total, s, job->opts.bs) + 0.5);

	add_u64(side, "io_bytes", bytes);
	add_u64(side, "io_kbytes", bytes >> 10);
	add_u64(side, "bw_bytes", (uint64_t)((double)bytes * rate));
	add_u64(side, "bw", (uint64_t)((double)bytes * rate / 1024));
	add_double(side, "iops", (double)ios * rate);
	add_u64(side, "runtime", ios != 0 ? (uint64_t)(seconds * 1000 + 0.5) : 0);
	add_u64(side, "total_ios", ios);
	add_u64(side, "short_ios", 0);
	add_u64(side, "drop_ios", 0);
	add_latencies(side, h, 1e9 / job->run->hz);
	add_spread(side, job, s);
}

/* ---- shares ---- */

/* Of all I/Os, by latency: the share of those that took less than the bound, and not less than the
 * bound before it. */
static void
add_bounds(json *o, const char *key, const struct tb_job *job, double unit, bool last)
{
	static const unsigned int bounds[] = {2, 4, 10, 20, 50, 100, 250, 500, 750, 1000, 2000};
	double scale = unit * job->run->hz;
	uint64_t all = 0, before = 0, below;
	json *shares = add_object(o, key);
	char name[8];

	for (unsigned int s = 0; s < TB_BACK; s++) {
		all += job->total->lat[s].n;
		before += unit > 1e-9 ? tb_hist_below(&job->total->lat[s], scale) : 0;
	}
	for (unsigned int i = 0; i < RTE_DIM(bounds) - !last; i++) {
		below = 0;
		for (unsigned int s = 0; s < TB_BACK; s++)
			below += tb_hist_below(&job->total->lat[s], bounds[i] * scale);
		snprintf(name, sizeof(name), "%u", bounds[i]);
		add_double(shares, name, percent(below > before ? below - before : 0, all));
		before = RTE_MAX(before, below);
	}
	if (last)
		add_double(shares, ">=2000", percent(all - before, all));
}

static uint64_t
sum_of(const uint64_t *v, unsigned int from, unsigned int to)
{
	uint64_t n = 0;

	for (; from < to; from++)
		n += v[from];
	return n;
}

/* Depth seen by an I/O: a power of two and what is below the next. */
static void
add_depths(json *o, const struct tb_counts *c)
{
	static const char *const name[] = {"1", "2", "4", "8", "16", "32"};
	uint64_t all = sum_of(c->depth, 0, TB_LOG2S);
	json *level = add_object(o, "iodepth_level");

	for (unsigned int i = 0; i < RTE_DIM(name); i++)
		add_double(level, name[i], percent(c->depth[i], all));
	add_double(level, ">=64", percent(sum_of(c->depth, 6, TB_LOG2S), all));
}

/* I/Os a call: each name stands for so many and fewer, down to the one before it. */
static void
add_calls(json *o, const char *key, const uint64_t *calls, uint64_t empty)
{
	static const struct {
		const char *name;
		unsigned int from, to; /* powers of two */
	} part[] = {{"4", 0, 3}, {"8", 3, 4}, {"16", 4, 5}, {"32", 5, 6}, {"64", 6, 7}};
	uint64_t all = sum_of(calls, 0, TB_LOG2S) + empty;
	json *shares = add_object(o, key);

	add_double(shares, "0", percent(empty, all));
	for (unsigned int i = 0; i < RTE_DIM(part); i++)
		add_double(shares, part[i].name,
			percent(sum_of(calls, part[i].from, part[i].to), all));
	add_double(shares, ">=64", percent(sum_of(calls, 7, TB_LOG2S), all));
}

/* ---- the process ---- */

static double
seconds_of(const struct timeval *t)
{
	return (double)t->tv_sec + (double)t->tv_usec * 1e-6;
}

/* fio has these of a job's thread; here they are of the process, and shares of all its busy
 * lcores. */
static void
add_usage(json *o, const struct tb_run *run)
{
	const struct rusage *a = &run->usage[0], *b = &run->usage[1];
	double wall = (double)(run->ended - run->begun) / run->hz;
	uint32_t lcores = 0;

	for (uint32_t i = 0; i < run->session->nworker; i++)
		lcores += run->session->workers[i].planned != 0;
	wall *= lcores != 0 ? lcores : 1;
	add_u64(o, "job_runtime", (uint64_t)(wall * 1000));
	add_double(o, "usr_cpu",
		wall > 0 ? 100 * (seconds_of(&b->ru_utime) - seconds_of(&a->ru_utime)) / wall : 0);
	add_double(o, "sys_cpu",
		wall > 0 ? 100 * (seconds_of(&b->ru_stime) - seconds_of(&a->ru_stime)) / wall : 0);
	add_u64(o, "ctx", (uint64_t)(b->ru_nvcsw + b->ru_nivcsw - a->ru_nvcsw - a->ru_nivcsw));
	add_u64(o, "majf", (uint64_t)(b->ru_majflt - a->ru_majflt));
	add_u64(o, "minf", (uint64_t)(b->ru_minflt - a->ru_minflt));
}

/* ---- a job ---- */

static void
add_text(json *o, const char *key, uint64_t v)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRIu64, v);
	add_str(o, key, text);
}

static void
add_options(json *job, const struct tb_opts *o, const char *name)
{
	json *opts = add_object(job, "job options");
	char text[32];

	add_str(opts, "name", name);
	add_str(opts, "ioengine", "pollux");
	add_str(opts, "rw", o->rw);
	if (o->reads && o->writes)
		add_text(opts, "rwmixread", o->rwmix);
	add_text(opts, "bs", o->bs);
	add_text(opts, "iodepth", o->qd);
	add_text(opts, "iodepth_batch", o->batch);
	if (o->numjobs > 1)
		add_text(opts, "numjobs", o->numjobs);
	if (o->time_s > 0) {
		snprintf(text, sizeof(text), "%.9gs", o->time_s);
		add_str(opts, "runtime", text);
	}
	if (o->size != 0)
		add_text(opts, "size", o->size);
	if (o->offset != 0)
		add_text(opts, "offset", o->offset);
	add_text(opts, "randseed", o->seed);
	if (o->verify)
		add_str(opts, "verify", "crc32c");
}

/* The least errno that an I/O ended with. */
static unsigned int
first_error(const struct tb_sum *s)
{
	for (unsigned int e = 1; e < TB_ERRNOS; e++)
		if (s->errs[e] != 0)
			return e;
	return s->c.failed != 0 ? EIO : s->c.cancelled != 0 ? ECANCELED : 0;
}

/* The depth of a queue, or what a search for one found: the least of all queues. */
static uint32_t
found_depth(const struct tb_job *job)
{
	uint32_t depth = job->opts.qd;

	for (uint32_t i = 0; job->opts.lat_target_s != 0 && i < job->ntask; i++)
		for (uint16_t k = 0; k < job->tasks[i].nq; k++)
			depth = RTE_MIN(depth, job->tasks[i].queues[k].pace->lat.good);
	return depth;
}

json *
tb_fio_job(const struct tb_job *job, uint32_t index)
{
	const struct tb_counts *c = &job->total->c;
	const struct tb_run *run = job->run;
	json *o = json_object_new_object(), *sync;
	char name[64];

	if (job->opts.name != NULL)
		snprintf(name, sizeof(name), "%s", job->opts.name);
	else
		snprintf(name, sizeof(name), "job%u", index);
	add_str(o, "jobname", name);
	add_u64(o, "groupid", 0);
	add_u64(o, "error", first_error(job->total));
	add_u64(o, "eta", 0);
	add_u64(o, "elapsed", (uint64_t)ceil((double)(run->ended - run->begun) / run->hz));
	add_options(o, &job->opts, name);
	add_direction(o, "read", job, TB_READ);
	add_direction(o, "write", job, TB_WRITE);
	add_direction(o, "trim", job, TB_TRIM);
	sync = add_object(o, "sync");
	add_u64(sync, "total_ios", job->total->lat[TB_OTHER].n);
	add_latency(sync, "lat_ns", &job->total->lat[TB_OTHER], 1e9 / run->hz);
	add_usage(o, run);
	add_depths(o, c);
	add_calls(o, "iodepth_submit", c->lent_calls, 0);
	add_calls(o, "iodepth_complete", c->got_calls, c->empty_polls);
	add_bounds(o, "latency_ns", job, 1e-9, false);
	add_bounds(o, "latency_us", job, 1e-6, false);
	add_bounds(o, "latency_ms", job, 1e-3, true);
	add_u64(o, "latency_depth", found_depth(job));
	add_u64(o, "latency_target", (uint64_t)(job->opts.lat_target_s * 1e6));
	add_double(o, "latency_percentile", job->opts.lat_percentile);
	add_u64(o, "latency_window",
		job->opts.lat_target_s == 0 ? 0 : (uint64_t)(job->opts.lat_window_s * 1e6));
	return o;
}

void
tb_fio_head(json *root)
{
	struct timespec now;
	char text[32];

	clock_gettime(CLOCK_REALTIME, &now);
	add_str(root, "fio version", "plx-testblk-" TB_VERSION);
	add_u64(root, "timestamp", (uint64_t)now.tv_sec);
	add_u64(root, "timestamp_ms",
		(uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000);
	if (ctime_r(&now.tv_sec, text) != NULL) {
		text[strcspn(text, "\n")] = '\0';
		add_str(root, "time", text);
	}
	add_str(add_object(root, "global options"), "ioengine", "pollux");
}
