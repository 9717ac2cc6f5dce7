/* SPDX-License-Identifier: BSD-3-Clause */
#include <math.h>

#include "hist.h"

void
tb_hist_merge(struct tb_hist *dst, const struct tb_hist *src)
{
	for (unsigned int i = 0; i < TB_HIST_BUCKETS; i++)
		dst->count[i] += src->count[i];
	dst->n += src->n;
	dst->sum += src->sum;
	if (src->max > dst->max)
		dst->max = src->max;
}

static double
bucket_mid(unsigned int bucket)
{
	unsigned int shift = bucket >> TB_HIST_SUB;
	uint64_t low;

	if (shift == 0)
		return bucket;
	shift--; /* the first two octaves have shift 0 */
	low = (uint64_t)(bucket - (shift << TB_HIST_SUB)) << shift;
	return (double)low + (double)((1ull << shift) - 1) / 2;
}

double
tb_hist_mid(const struct tb_hist *h, unsigned int bucket)
{
	double mid = bucket_mid(bucket);

	return mid < (double)h->max ? mid : (double)h->max;
}

double
tb_hist_min(const struct tb_hist *h)
{
	for (unsigned int b = 0; b < TB_HIST_BUCKETS; b++)
		if (h->count[b] != 0)
			return tb_hist_mid(h, b);
	return 0;
}

double
tb_hist_stddev(const struct tb_hist *h)
{
	double mean = h->n != 0 ? (double)h->sum / (double)h->n : 0, sum = 0, off;

	for (unsigned int b = 0; b < TB_HIST_BUCKETS; b++) {
		off = tb_hist_mid(h, b) - mean;
		sum += (double)h->count[b] * off * off;
	}
	return h->n != 0 ? sqrt(sum / (double)h->n) : 0;
}

uint64_t
tb_hist_below(const struct tb_hist *h, double limit)
{
	uint64_t n = 0;

	for (unsigned int b = 0; b < TB_HIST_BUCKETS && tb_hist_mid(h, b) < limit; b++)
		n += h->count[b];
	return n;
}

/* How many values must lie at or below the quantile; q * total may be a hair above a whole number.
 */
static uint64_t
rank_of(double q, double total)
{
	double exact = q * total * (1 - 1e-12);
	uint64_t rank = (uint64_t)exact;

	return (double)rank < exact ? rank + 1 : rank;
}

void
tb_hist_quantiles(const struct tb_hist *h, const double *q, double *out, unsigned int n)
{
	double total = (double)tb_hist_total(h), mid;
	uint64_t seen = 0;
	unsigned int i = 0;

	for (unsigned int b = 0; b < TB_HIST_BUCKETS && i < n; b++) {
		if (h->count[b] == 0)
			continue;
		seen += h->count[b];
		mid = tb_hist_mid(h, b);
		while (i < n && seen >= rank_of(q[i], total))
			out[i++] = mid;
	}
	while (i < n)
		out[i++] = 0;
}
