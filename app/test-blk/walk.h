/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TB_WALK_H
#define TB_WALK_H
/**
 * @file
 * Which unit (one I/O's worth of blocks) comes next. A few instructions each, no division.
 */
#include <stdint.h>

enum tb_walk_kind {
	TB_WALK_SEQ,     /**< upwards, and again from the start */
	TB_WALK_RANDOM,  /**< uniform, with repetition */
	TB_WALK_SHUFFLE, /**< a random order in which each unit comes once */
};

struct tb_walk {
	uint64_t rng;   /**< state of tb_random() */
	uint64_t units; /**< how many there are */
	uint64_t pos;   /**< SEQ: the next unit; SHUFFLE: how far the counter is */
	uint64_t mask;  /**< SHUFFLE: the least 2^k - 1 that covers all units */
	uint64_t start; /**< SHUFFLE: the counter's offset */
	uint32_t fold;  /**< SHUFFLE: half of k, rounded up */
	uint32_t kind;  /**< enum tb_walk_kind */
};

/** 64 random bits: a Weyl sequence, mixed by folding a 128-bit product. */
static inline uint64_t
tb_random(uint64_t *state)
{
	unsigned __int128 m;

	*state += 0x9e3779b97f4a7c15u;
	m = (unsigned __int128)*state * (*state ^ 0xd6e8feb86659fd93u);
	return (uint64_t)(m >> 64) ^ (uint64_t)m;
}

/** Map 64 random bits to [0, n) by the high half of a product. */
static inline uint64_t
tb_range(uint64_t bits, uint64_t n)
{
	return (uint64_t)(((unsigned __int128)bits * n) >> 64);
}

/* A bijection on the numbers up to mask: odd factors and folded shifts can be undone. */
static inline uint64_t
tb_shuffle(const struct tb_walk *w, uint64_t x)
{
	x = ((x + w->start) * 0xbf58476d1ce4e5b9u) & w->mask;
	x ^= x >> w->fold;
	x = (x * 0x94d049bb133111ebu) & w->mask;
	return x ^ (x >> w->fold);
}

/** The next unit. bits: 64 random bits, read by TB_WALK_RANDOM only. A SHUFFLE may be asked for
 * no more than `units` units. */
static inline uint64_t
tb_walk_next(struct tb_walk *w, uint32_t kind, uint64_t bits)
{
	uint64_t u;

	if (kind == TB_WALK_RANDOM)
		return tb_range(bits, w->units);
	if (kind == TB_WALK_SEQ) {
		u = w->pos++;
		if (w->pos == w->units)
			w->pos = 0;
		return u;
	}
	do /* the mask covers less than twice the units */
		u = tb_shuffle(w, w->pos++);
	while (u >= w->units);
	return u;
}

static inline void
tb_walk_init(struct tb_walk *w, uint32_t kind, uint64_t units, uint64_t seed)
{
	uint32_t k = units < 2 ? 1 : 64u - (uint32_t)__builtin_clzll(units - 1);

	*w = (struct tb_walk){.rng = seed, .units = units, .kind = kind};
	w->start = tb_random(&w->rng);
	w->mask = k == 64 ? UINT64_MAX : (1ull << k) - 1;
	w->fold = (k + 1) / 2;
}

#endif
