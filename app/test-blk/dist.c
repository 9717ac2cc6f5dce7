/* SPDX-License-Identifier: BSD-3-Clause */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bssplit.h"
#include "dist.h"
#include "opts.h"

/* A zone's share of the draws, "" for what is left (-1), or its size. */
static bool
number_of(const char *text, size_t len, double max, double *out)
{
	char copy[32], *end;

	*out = -1;
	if (len == 0)
		return true;
	if (len >= sizeof(copy) || text[0] < '0' || text[0] > '9')
		return false;
	snprintf(copy, sizeof(copy), "%.*s", (int)len, text);
	*out = strtod(copy, &end);
	return *end == '\0' && *out <= max;
}

static bool
bytes_of(const char *text, size_t len, double *out)
{
	char copy[32];
	uint64_t n;

	if (len >= sizeof(copy))
		return false;
	snprintf(copy, sizeof(copy), "%.*s", (int)len, text);
	if (!tb_parse_size(copy, &n))
		return false;
	*out = (double)n;
	return n > 0;
}

/* "60/10:30/20:/70", of a direction. */
static bool
zones_part(void *out, char *text)
{
	struct tb_dist_spec *spec = out;
	double share[TB_DIST_ZONES], sum = 0;

	for (;; text++) {
		size_t len = strcspn(text, ":"), slash = strcspn(text, "/");
		double *size = &spec->size[spec->nzone];

		if (spec->nzone == TB_DIST_ZONES || slash >= len ||
			!number_of(text, slash, 100, &share[spec->nzone]))
			return false;
		text += slash + 1;
		len -= slash + 1;
		if (spec->kind == TB_DIST_ZONED_ABS
				? !bytes_of(text, len, size)
				: !number_of(text, len, 100, size) || !(*size > 0))
			return false;
		sum += *size;
		spec->nzone++;
		text += len;
		if (*text == '\0')
			break;
	}
	return (spec->kind == TB_DIST_ZONED_ABS || sum < 100.0001) &&
	       tb_share_out(share, spec->nzone, spec->upto);
}

static bool
parse_theta(const char *text, double max, struct tb_dist_spec spec[TB_DIRS])
{
	double theta;

	if (!number_of(text, strlen(text), max, &theta) || !(theta > 0) ||
		(spec->kind == TB_DIST_PARETO && theta == 1))
		return false;
	for (unsigned int d = 0; d < TB_DIRS; d++)
		spec[d].theta = theta;
	return true;
}

bool
tb_dist_parse(const char *text, struct tb_dist_spec spec[TB_DIRS])
{
	static const struct {
		const char *name;
		enum tb_dist_kind kind;
		double max; /* 0: zones */
	} kinds[] = {{"zipf", TB_DIST_ZIPF, 10}, {"pareto", TB_DIST_PARETO, 1},
		{"normal", TB_DIST_NORMAL, 100}, {"zoned", TB_DIST_ZONED, 0},
		{"zoned_abs", TB_DIST_ZONED_ABS, 0}};
	size_t len = strcspn(text, ":");

	memset(spec, 0, TB_DIRS * sizeof(*spec));
	if (text[len] == '\0')
		return strcmp(text, "random") == 0;
	for (unsigned int i = 0; i < RTE_DIM(kinds); i++) {
		if (strlen(kinds[i].name) != len || strncmp(text, kinds[i].name, len) != 0)
			continue;
		text += len + 1;
		for (unsigned int d = 0; d < TB_DIRS; d++)
			spec[d].kind = kinds[i].kind;
		return kinds[i].max == 0
			       ? tb_dirs_parse(text, spec, sizeof(*spec), true, zones_part)
			       : parse_theta(text, kinds[i].max, spec);
	}
	return false;
}

uint64_t
tb_dist_bytes(const struct tb_dist_spec *spec)
{
	double sum = 0;

	for (uint32_t i = 0; spec->kind == TB_DIST_ZONED_ABS && i < spec->nzone; i++)
		sum += spec->size[i];
	return sum < 0x1p63 ? (uint64_t)sum : INT64_MAX;
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

/* The middle is the most likely, its neighbours come next: half of a normal distribution, where
 * each deviation stands for two ranks. */
static uint64_t
normal(const struct tb_dist *d, uint64_t *rng)
{
	double rank;

	do /* Box and Muller */
		rank = 2 * d->theta * sqrt(-2 * log(1 - uniform(rng))) *
		       fabs(cos(2 * M_PI * uniform(rng)));
	while (rank >= (double)d->n);
	return (uint64_t)rank;
}

/* A zone of less than a unit shares one with the next. */
static uint64_t
zoned(const struct tb_dist *d, uint64_t *rng)
{
	uint32_t bits = (uint32_t)(tb_random(rng) >> 32), i = 0;
	uint64_t from, n;

	while (bits > d->spec->upto[i])
		i++;
	from = d->zone[i] < d->n ? d->zone[i] : d->n - 1;
	n = d->zone[i + 1] - d->zone[i];
	return from + (n > 1 ? tb_range(tb_random(rng), n) : 0);
}

/* Zones in units. */
static void
lay_out(struct tb_dist *d, uint32_t unit_bytes)
{
	double one = d->kind == TB_DIST_ZONED ? (double)d->n / 100 : 1.0 / unit_bytes, at = 0;

	for (uint32_t i = 0; i < d->spec->nzone; i++) {
		at += d->spec->size[i] * one;
		d->zone[i + 1] = at < (double)d->n ? (uint64_t)(at + 1e-6) : d->n;
	}
}

void
tb_dist_init(struct tb_dist *d, const struct tb_dist_spec *spec, uint64_t n, uint32_t unit_bytes,
	uint64_t seed)
{
	double theta = spec->theta;

	*d = (struct tb_dist){.kind = spec->kind, .theta = theta, .n = n, .spec = spec};
	tb_walk_init(&d->scatter, TB_WALK_SHUFFLE, n, seed);
	if (d->kind == TB_DIST_ZIPF) {
		d->low = big_h(1.5, theta) - 1;
		d->span = big_h((double)n + 0.5, theta) - d->low;
		d->s = 2 - inverse_h(big_h(2.5, theta) - pow(2, -theta), theta);
	} else if (d->kind == TB_DIST_PARETO) {
		d->power = log(theta) / log1p(-theta);
	} else if (d->kind == TB_DIST_NORMAL) {
		d->theta = theta / 100 * (double)n;
	} else if (tb_dist_zoned(spec)) {
		lay_out(d, unit_bytes);
	}
}

uint64_t
tb_dist_rank(const struct tb_dist *d, uint64_t *rng)
{
	switch (d->kind) {
	case TB_DIST_UNIFORM:
		break;
	case TB_DIST_ZIPF:
		return zipf(d, rng);
	case TB_DIST_PARETO:
		return (uint64_t)((double)d->n * pow(uniform(rng), d->power));
	case TB_DIST_NORMAL:
		return normal(d, rng);
	case TB_DIST_ZONED:
	case TB_DIST_ZONED_ABS:
		return zoned(d, rng);
	}
	return tb_range(tb_random(rng), d->n);
}

uint64_t
tb_dist_next(const struct tb_dist *d, uint64_t *rng)
{
	uint64_t u = tb_dist_rank(d, rng);

	if (d->kind == TB_DIST_UNIFORM || tb_dist_zoned(d->spec))
		return u;
	do /* the bijection is one of the next power of two: walk on along its cycle */
		u = tb_shuffle(&d->scatter, u);
	while (u >= d->n);
	return u;
}
