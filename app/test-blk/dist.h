/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TB_DIST_H
#define TB_DIST_H
/**
 * @file
 * Distributions of random addresses, as fio's random_distribution has them: which unit of n is
 * drawn. Ranks are drawn, the most likely first, and then scattered over the range by a bijection,
 * so that what is hot lies anywhere; zones lie where they were given.
 */
#include <stdbool.h>
#include <stdint.h>

#include "bssplit.h"
#include "walk.h"

enum tb_dist_kind {
	TB_DIST_UNIFORM = 0,
	TB_DIST_ZIPF,   /**< zipf:theta: rank k with a share of 1 / k^theta, theta > 0 */
	TB_DIST_PARETO, /**< pareto:h: the first h of the ranks have 1 - h of the draws, 0 < h < 1
			 */
	TB_DIST_NORMAL, /**< normal:d: of a normal distribution around the middle with a deviation
			   of d percent of the range, 0 < d <= 100 */
	TB_DIST_ZONED,  /**< zoned:a/b:..., a percent of the draws go to the next b percent */
	TB_DIST_ZONED_ABS, /**< zoned_abs: to the next so many bytes */
};

#define TB_DIST_ZONES 64

/** One as it was asked for. */
struct tb_dist_spec {
	enum tb_dist_kind kind;
	double theta; /**< zipf: theta; pareto: h; normal: d */
	uint32_t nzone;
	uint32_t upto[TB_DIST_ZONES]; /**< as tb_sizes.upto */
	double size[TB_DIST_ZONES];   /**< percent of the range, or bytes */
};

struct tb_dist {
	enum tb_dist_kind kind;
	double theta;        /**< as asked for; normal: the deviation in units */
	uint64_t n;          /**< units */
	double low, span, s; /**< zipf: H(x) at the ends, and the edge of the sure hit */
	double power;        /**< pareto */
	struct tb_walk scatter;
	const struct tb_dist_spec *spec;  /**< of zones: */
	uint64_t zone[TB_DIST_ZONES + 1]; /**< where each begins, and the last ends */
};

/** "random", "zipf:1.2", "pareto:0.2", "normal:20", "zoned:90/10:10/90", "zoned_abs:90/1G:10/9G";
 * zones also with commas, for reads, writes and trims. @return whether text is one */
bool tb_dist_parse(const char *text, struct tb_dist_spec spec[TB_DIRS]);
/** @return bytes that zones of absolute sizes take, or 0 */
uint64_t tb_dist_bytes(const struct tb_dist_spec *spec);
static inline bool
tb_dist_zoned(const struct tb_dist_spec *spec)
{
	return spec->kind == TB_DIST_ZONED || spec->kind == TB_DIST_ZONED_ABS;
}
/** n units of so many bytes; spec must outlive d. seed: of the scattering. */
void tb_dist_init(struct tb_dist *d, const struct tb_dist_spec *spec, uint64_t n,
	uint32_t unit_bytes, uint64_t seed);
/** @return a rank, 0 the most likely, or, of zones, a unit; rng: of tb_random() */
uint64_t tb_dist_rank(const struct tb_dist *d, uint64_t *rng);
/** @return a unit */
uint64_t tb_dist_next(const struct tb_dist *d, uint64_t *rng);

#endif
