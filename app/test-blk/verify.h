/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TB_VERIFY_H
#define TB_VERIFY_H
/**
 * @file
 * Blocks that tell where they belong: each starts with a tag (address, generation, checksum),
 * the rest is a pattern made from it.
 */
#include <assert.h>
#include <stdint.h>
#include <stdio.h>

#define TB_TAG_MAGIC 0x42584c50 /* "PLXB" */

/** The start of each block, little-endian. */
struct tb_tag {
	uint32_t magic;
	uint32_t crc; /**< CRC-32C of the block from here on, without this word */
	uint64_t lba;
	uint64_t seed; /**< of the run that wrote it */
	uint32_t gen;  /**< how often the block was written, from 1 */
	uint32_t dev;  /**< index of the device on the command line */
	uint32_t len;  /**< bytes of the block */
	uint32_t rsvd; /**< 0 */
};
static_assert(sizeof(struct tb_tag) == 40, "on media");

/** Generations that may be there: from low on upwards to high. low 0: also what is none of ours, or
 * of another seed; else a low above high means that they began again with 1 on the way. */
struct tb_gens {
	uint32_t low, high;
};
#define TB_ANY_GEN ((struct tb_gens){1, UINT32_MAX})

/** What was found in a block; in the order of looking. */
enum tb_verdict {
	TB_GOOD = 0,
	TB_NO_TAG,     /**< not a block of ours */
	TB_BAD_LEN,    /**< a tag of blocks of another size */
	TB_BAD_CRC,    /**< a tag, but the block was damaged */
	TB_BAD_LBA,    /**< intact, but belongs elsewhere */
	TB_BAD_DEV,    /**< intact, but belongs to another device */
	TB_BAD_SEED,   /**< intact, but of another run */
	TB_STALE,      /**< intact, but an earlier generation: a write was lost */
	TB_UNEXPECTED, /**< intact, but a generation not written yet */
	/* the data is good; verify_meta.c */
	TB_BAD_META,  /**< metadata is not the block's */
	TB_BAD_GUARD, /**< protection information: does not fit the data, */
	TB_BAD_APP,   /**< or is not protected, or by another, */
	TB_BAD_REF,   /**< or is another block's */
};

/** A device's verification. */
struct tb_verify {
	uint64_t seed;
	uint32_t dev;
	uint32_t block_size;
};

/** The first block that was wrong, and how many there were. */
struct tb_mismatch {
	uint64_t blocks;  /**< how many were wrong */
	uint64_t checked; /**< how many were looked at, good or wrong */
	uint64_t tsc;     /**< when the first was found; the caller's */
	enum tb_verdict verdict;
	uint32_t crc;                 /**< computed over what was read */
	struct tb_tag want;           /**< host order; gen 0: any; crc 0 unless just one will do */
	struct tb_gens gens;          /**< that will do */
	struct tb_tag got;            /**< host order; of bad metadata, nothing */
	uint64_t meta_want, meta_got; /**< of bad protection information, the field */
};

/** Fill nblk blocks at buf for addresses from lba. */
void tb_verify_fill(
	const struct tb_verify *v, void *buf, uint64_t lba, uint32_t nblk, uint32_t gen);

/** Get the tag of a block, host order. */
void tb_verify_tag(const void *block, struct tb_tag *tag);

/** Make sure that none of the nblk blocks at buf passes for a block that was read. */
void tb_verify_spoil(const struct tb_verify *v, void *buf, uint32_t nblk);

/** Look at one block. *crc is what was computed. */
enum tb_verdict tb_verify_block(const struct tb_verify *v, const void *buf, uint64_t lba,
	struct tb_gens want, uint32_t *crc);

/** Check nblk blocks, and account in m. @return how many were wrong */
uint32_t tb_verify_check(const struct tb_verify *v, const void *buf, uint64_t lba, uint32_t nblk,
	struct tb_gens want, struct tb_mismatch *m);

/** Add src to dst, keeping the earlier first mismatch. */
void tb_mismatch_merge(struct tb_mismatch *dst, const struct tb_mismatch *src);

/** @return what a verdict means, in words */
const char *tb_verdict_text(enum tb_verdict v);

#endif
