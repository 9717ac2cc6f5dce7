/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TB_DIST_H
#define TB_DIST_H
/**
 * @file
 * Distributions of random addresses, as fio's random_distribution has them: which unit of n is
 * drawn. Ranks are drawn, the most likely first, and then scattered over the range by a bijection,
 * so that what is hot lies anywhere.
 */
#include <stdbool.h>
#include <stdint.h>

#include "walk.h"

enum tb_dist_kind {
	TB_DIST_UNIFORM = 0,
	TB_DIST_ZIPF,   /**< zipf:theta: rank k with a share of 1 / k^theta, theta > 0 */
	TB_DIST_PARETO, /**< pareto:h: the first h of the ranks have 1 - h of the draws, 0 < h < 1
			 */
};

struct tb_dist {
	enum tb_dist_kind kind;
	double theta;        /**< zipf: theta; pareto: h */
	uint64_t n;          /**< units */
	double low, span, s; /**< zipf: H(x) at the ends, and the edge of the sure hit */
	double power;        /**< pareto */
	struct tb_walk scatter;
};

/** "random", "zipf:1.2", "pareto:0.2". @return whether text is one */
bool tb_dist_parse(const char *text, enum tb_dist_kind *kind, double *theta);
/** n units; seed: of the scattering. */
void tb_dist_init(
	struct tb_dist *d, enum tb_dist_kind kind, double theta, uint64_t n, uint64_t seed);
/** @return a rank, 0 the most likely; rng: of tb_random() */
uint64_t tb_dist_rank(const struct tb_dist *d, uint64_t *rng);
/** @return a unit */
uint64_t tb_dist_next(const struct tb_dist *d, uint64_t *rng);

#endif
