/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TB_HIST_H
#define TB_HIST_H
/**
 * @file
 * A log-linear histogram of 64-bit values: 128 buckets an octave, so that a bucket is less than
 * 0.8 % wide. Recording takes no branch, histograms add up bucket by bucket.
 */
#include <stdint.h>

#define TB_HIST_SUB 7
#define TB_HIST_BUCKETS ((63 - TB_HIST_SUB + 2) << TB_HIST_SUB)

struct tb_hist {
	uint64_t sum, max, n; /**< n: how many were recorded; not beside the sum, or GCC makes a
				 vector of both for each value */
	uint64_t count[TB_HIST_BUCKETS];
};

/** The bucket of a value: its octave, and the TB_HIST_SUB bits below its leading one. Values
 * below 256 have a bucket of their own. */
static inline unsigned int
tb_hist_bucket(uint64_t v)
{
	unsigned int top = 63u ^ (unsigned int)__builtin_clzll(v | ((2u << TB_HIST_SUB) - 1));
	unsigned int shift = top - TB_HIST_SUB;

	return (shift << TB_HIST_SUB) + (unsigned int)(v >> shift);
}

static inline void
tb_hist_add(struct tb_hist *h, uint64_t v)
{
	h->count[tb_hist_bucket(v)]++;
	h->n++;
	h->sum += v;
	if (v > h->max)
		h->max = v;
}

/** @return the number of values recorded */
static inline uint64_t
tb_hist_total(const struct tb_hist *h)
{
	return h->n;
}

/** @return the middle of what falls into a bucket, but no more than the largest value */
double tb_hist_mid(const struct tb_hist *h, unsigned int bucket);
/** @return the least value, to the width of its bucket; 0 when nothing was recorded */
double tb_hist_min(const struct tb_hist *h);
/** @return the standard deviation, from the middles of the buckets */
double tb_hist_stddev(const struct tb_hist *h);
/** @return how many of the values lie in buckets whose middle is less than the limit */
uint64_t tb_hist_below(const struct tb_hist *h, double limit);
/** Add src to dst. */
void tb_hist_merge(struct tb_hist *dst, const struct tb_hist *src);
/**
 * The values at n quantiles, given in ascending order, 0 < q <= 1: the least value that at least
 * this share of all values doesn't exceed, as the middle of its bucket. All 0 when nothing was
 * recorded.
 */
void tb_hist_quantiles(const struct tb_hist *h, const double *q, double *out, unsigned int n);

#endif
