/* SPDX-License-Identifier: BSD-3-Clause */
#include "hist.h"

uint64_t
tb_hist_total(const struct tb_hist *h)
{
	uint64_t n = 0;

	for (unsigned int i = 0; i < TB_HIST_BUCKETS; i++)
		n += h->count[i];
	return n;
}

void
tb_hist_merge(struct tb_hist *dst, const struct tb_hist *src)
{
	for (unsigned int i = 0; i < TB_HIST_BUCKETS; i++)
		dst->count[i] += src->count[i];
	dst->sum += src->sum;
	if (src->max > dst->max)
		dst->max = src->max;
}

/* The middle of what falls into a bucket. */
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
		mid = bucket_mid(b);
		if (mid > (double)h->max)
			mid = (double)h->max;
		while (i < n && seen >= rank_of(q[i], total))
			out[i++] = mid;
	}
	while (i < n)
		out[i++] = 0;
}
