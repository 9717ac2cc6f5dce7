/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What goes to files of its own: time series in the columns of fio's logs (milliseconds, value,
 * direction, then block size, offset and priority, 0 for an average), and latency distributions in
 * the text form that HdrHistogram's tools plot.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "testblk.h"

static FILE *
create(const char *opt, const char *prefix, const char *what, uint32_t index, const char *ext,
	char *path, size_t size)
{
	FILE *f = NULL;

	errno = ENAMETOOLONG;
	if (snprintf(path, size, "%s_%s.%u.%s", prefix, what, index + 1, ext) < (int)size)
		f = fopen(path, "w");
	if (f == NULL)
		tb_say("%s %s: %s", opt, path, strerror(errno));
	return f;
}

static int
finish(FILE *f, const char *opt, const char *path)
{
	bool bad = ferror(f) != 0;

	if (fclose(f) == 0 && !bad)
		return TB_OK;
	tb_say("%s %s: writing failed", opt, path);
	return TB_FAIL;
}

/* ---- time series ---- */

typedef double (*value_fn)(
	const struct tb_job *job, unsigned int side, uint64_t ios, uint64_t cycles, double took);

static double
bw_of(const struct tb_job *job, unsigned int side, uint64_t ios, uint64_t cycles, double took)
{
	return (double)ios * tb_sum_bytes(job->total, side, job->opts.bs) / 1024 / took;
}

static double
iops_of(const struct tb_job *job, unsigned int side, uint64_t ios, uint64_t cycles, double took)
{
	return (double)ios / took;
}

static double
lat_of(const struct tb_job *job, unsigned int side, uint64_t ios, uint64_t cycles, double took)
{
	return (double)cycles / (double)ios * 1e9 / job->run->hz;
}

static void
print_series(FILE *f, const struct tb_job *job, value_fn value)
{
	const struct tb_series *s = &job->series;
	double from = 0;

	for (uint32_t i = 0; i < s->n; from = s->at[i++].seconds)
		for (unsigned int side = 0; side <= TB_TRIM; side++) {
			const struct tb_point *p = &s->at[i];

			if (p->side[side].ios != 0 && p->seconds > from)
				fprintf(f, "%.0f, %.0f, %u, 0, 0, 0\n", p->seconds * 1000,
					value(job, side, p->side[side].ios, p->side[side].cycles,
						p->seconds - from),
					side);
		}
}

int
tb_report_logs(const struct tb_job *job, uint32_t index)
{
	static const struct {
		const char *what;
		value_fn value;
	} logs[] = {{"bw", bw_of}, {"iops", iops_of}, {"lat", lat_of}};
	int rc = TB_OK;
	char path[4096];

	for (unsigned int i = 0; i < RTE_DIM(logs); i++) {
		FILE *f = create(
			"--log", job->opts.log, logs[i].what, index, "log", path, sizeof(path));

		if (f == NULL)
			return TB_FAIL;
		print_series(f, job, logs[i].value);
		rc = RTE_MAX(rc, finish(f, "--log", path));
	}
	return rc;
}

/* ---- distributions ---- */

#define TICKS 5 /* lines for each half of what is left up to 100 % */

static void
print_line(FILE *f, double us, uint64_t seen, uint64_t total)
{
	double share = (double)seen / (double)total;

	fprintf(f, "%12.3f %14.12f %10" PRIu64, us, share, seen);
	if (seen < total)
		fprintf(f, " %14.2f", 1 / (1 - share));
	fputc('\n', f);
}

/* The next share to have a line: a tick further on the way to the next half. */
static double
next_tick(double share)
{
	double half = 1;

	while (share >= 1 - half / 2 && half > 1e-18)
		half /= 2;
	return share + half / 2 / TICKS;
}

static void
print_hist(FILE *f, const struct tb_hist *h, double us)
{
	double tick = 0;
	uint64_t seen = 0;

	fprintf(f, "%12s %14s %10s %14s\n\n", "Value", "Percentile", "TotalCount",
		"1/(1-Percentile)");
	for (unsigned int b = 0; b < TB_HIST_BUCKETS && seen < h->n; b++) {
		if (h->count[b] == 0)
			continue;
		seen += h->count[b];
		if ((double)seen / (double)h->n < tick && seen < h->n)
			continue;
		print_line(f, tb_hist_mid(h, b) * us, seen, h->n);
		while (tick <= (double)seen / (double)h->n && seen < h->n)
			tick = next_tick(tick);
	}
	fprintf(f, "#[Mean    = %12.3f, StdDeviation   = %12.3f]\n",
		(double)h->sum / (double)h->n * us, tb_hist_stddev(h) * us);
	fprintf(f, "#[Max     = %12.3f, Total count    = %12" PRIu64 "]\n", (double)h->max * us,
		h->n);
	fprintf(f, "#[Buckets = %12u, SubBuckets     = %12u]\n", TB_HIST_BUCKETS >> TB_HIST_SUB,
		1u << TB_HIST_SUB);
}

int
tb_report_hists(const struct tb_job *job, uint32_t index)
{
	int rc = TB_OK;
	char path[4096];

	for (unsigned int s = 0; s < TB_SIDES; s++) {
		const struct tb_hist *h = &job->total->lat[s];
		FILE *f;

		if (h->n == 0)
			continue;
		f = create("--hist", job->opts.hist, tb_side_name(s), index, "hgrm", path,
			sizeof(path));
		if (f == NULL)
			return TB_FAIL;
		print_hist(f, h, 1e6 / job->run->hz);
		rc = RTE_MAX(rc, finish(f, "--hist", path));
	}
	return rc;
}
