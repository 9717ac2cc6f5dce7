/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TB_BSSPLIT_H
#define TB_BSSPLIT_H
/**
 * @file
 * Sizes of I/Os, for reads, writes and trims: bs, bsrange and bssplit in fio's syntax.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "walk.h"

#define TB_SIZES_MAX 32
#define TB_SIZE_BYTES_MAX (1u << 30)

/** What sizes are told apart. */
enum tb_dir { TB_DIR_READ = 0, TB_DIR_WRITE, TB_DIR_TRIM, TB_DIRS };

/** Sizes of one direction. */
struct tb_sizes {
	uint32_t n; /**< 1: that size; 0, range: any from bytes[0] to [1] */
	uint32_t bytes[TB_SIZES_MAX];
	uint32_t upto[TB_SIZES_MAX]; /**< of 2^32: taken when the draw isn't above; ascending */
};

/** Read a value for each direction, with commas between, into TB_DIRS elements of size bytes.
 * inherit: one that is empty, or left out at the end, is as the one before; else it is 0, but that
 * a single one is for all. part: reads one, which it may change. @return whether text is right */
bool tb_dirs_parse(const char *text, void *out, size_t size, bool inherit,
	bool (*part)(void *out, char *text));

/** Turn n shares in percent, at least one, to bounds in 2^32, ascending; those below 0 have what is
 * left in equal parts. @return whether they make 100 */
bool tb_share_out(const double *share, uint32_t n, uint32_t *upto);

/* Each sets all directions; those left out are as the one before. @return NULL, or what would
 * have been right */
/** bs: "4k", "4k,8k,16k" */
const char *tb_sizes_list(struct tb_sizes s[TB_DIRS], const char *text);
/** bsrange: "4k-16k", "4k-16k,8k-32k": multiples of the lower end */
const char *tb_sizes_range(struct tb_sizes s[TB_DIRS], const char *text);
/** bssplit: "4k/60:64k/40", "4k/:8k/", shares in percent; those left out have the rest */
const char *tb_sizes_split(struct tb_sizes s[TB_DIRS], const char *text);

/** @return the greatest size that divides all */
uint32_t tb_sizes_unit(const struct tb_sizes s[TB_DIRS]);
uint32_t tb_sizes_max(const struct tb_sizes s[TB_DIRS]);

/** @return bytes of an I/O; bits: 32 random ones */
static inline uint32_t
tb_sizes_pick(const struct tb_sizes *s, uint32_t bits)
{
	uint32_t i = 0;

	if (s->n == 0)
		return s->bytes[0] *
		       (1 + (uint32_t)(((uint64_t)bits * (s->bytes[1] / s->bytes[0])) >> 32));
	while (bits > s->upto[i])
		i++;
	return s->bytes[i];
}

#endif
