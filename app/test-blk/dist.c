/* SPDX-License-Identifier: BSD-3-Clause */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "dist.h"

bool
tb_dist_parse(const char *text, enum tb_dist_kind *kind, double *theta)
{
	const char *colon = strchr(text, ':');
	size_t len = colon == NULL ? strlen(text) : (size_t)(colon - text);
	char *end;

	*theta = 0;
	*kind = TB_DIST_UNIFORM;
	if (len == 6 && strncmp(text, "random", len) == 0)
		return colon == NULL;
	if (colon == NULL || colon[1] < '0' || colon[1] > '9')
		return false;
	*theta = strtod(colon + 1, &end);
	if (*end != '\0' || !(*theta > 0))
		return false;
	if (len == 4 && strncmp(text, "zipf", len) == 0) {
		*kind = TB_DIST_ZIPF;
		return *theta <= 10;
	}
	*kind = TB_DIST_PARETO;
	return len == 6 && strncmp(text, "pareto", len) == 0 && *theta < 1;
}

/* [0, 1) */
static double
uniform(uint64_t *rng)
{
	return (double)(tb_random(rng) >> 11) * 0x1p-53;
}

/*
 * Zipf by rejection-inversion (Hoermann and Derflinger, 1996): exact for every theta, without
 * tables. H is an integral of x^-theta; its inverse gives a candidate, which is nearly always
 * taken.
 */
static double
big_h(double x, double theta)
{
	double t = 1 - theta;

	return fabs(t) < 1e-9 ? log(x) : expm1(t * log(x)) / t;
}

static double
inverse_h(double y, double theta)
{
	double t = 1 - theta;

	return exp(fabs(t) < 1e-9 ? y : log1p(t * y) / t);
}

static uint64_t
zipf(const struct tb_dist *d, uint64_t *rng)
{
	for (;;) {
		double y = d->low + uniform(rng) * d->span;
		double x = inverse_h(y, d->theta), k = floor(x + 0.5);

		k = k < 1 ? 1 : k > (double)d->n ? (double)d->n : k;
		if (k - x <= d->s || y >= big_h(k + 0.5, d->theta) - pow(k, -d->theta))
			return (uint64_t)k - 1;
	}
}

void
tb_dist_init(struct tb_dist *d, enum tb_dist_kind kind, double theta, uint64_t n, uint64_t seed)
{
	*d = (struct tb_dist){.kind = kind, .theta = theta, .n = n};
	tb_walk_init(&d->scatter, TB_WALK_SHUFFLE, n, seed);
	if (kind == TB_DIST_ZIPF) {
		d->low = big_h(1.5, theta) - 1;
		d->span = big_h((double)n + 0.5, theta) - d->low;
		d->s = 2 - inverse_h(big_h(2.5, theta) - pow(2, -theta), theta);
	} else if (kind == TB_DIST_PARETO) {
		d->power = log(theta) / log1p(-theta);
	}
}

uint64_t
tb_dist_rank(const struct tb_dist *d, uint64_t *rng)
{
	if (d->kind == TB_DIST_ZIPF)
		return zipf(d, rng);
	if (d->kind == TB_DIST_PARETO)
		return (uint64_t)((double)d->n * pow(uniform(rng), d->power));
	return tb_range(tb_random(rng), d->n);
}

uint64_t
tb_dist_next(const struct tb_dist *d, uint64_t *rng)
{
	uint64_t u = tb_dist_rank(d, rng);

	if (d->kind == TB_DIST_UNIFORM)
		return u;
	do /* the bijection is one of the next power of two: walk on along its cycle */
		u = tb_shuffle(&d->scatter, u);
	while (u >= d->n);
	return u;
}
