/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <rte_byteorder.h>
#include <rte_hash_crc.h>

#include "verify.h"

/* CRC-32C (Castagnoli) of a block, but for its magic and the crc itself. */
static uint32_t
block_crc(const void *buf, uint32_t block_size)
{
	uint32_t skip = offsetof(struct tb_tag, lba);

	return ~rte_hash_crc((const uint8_t *)buf + skip, block_size - skip, UINT32_MAX);
}

static void
fill_block(const struct tb_verify *v, void *buf, uint64_t lba, uint32_t gen)
{
	struct tb_tag tag = {
		.magic = rte_cpu_to_le_32(TB_TAG_MAGIC),
		.lba = rte_cpu_to_le_64(lba),
		.seed = rte_cpu_to_le_64(v->seed),
		.gen = rte_cpu_to_le_32(gen),
		.dev = rte_cpu_to_le_32(v->dev),
		.len = rte_cpu_to_le_32(v->block_size),
	};
	uint64_t word = (v->seed ^ lba * 0x9e3779b97f4a7c15u) + gen * 0xd6e8feb86659fd93u;
	uint64_t *w = buf;

	memcpy(buf, &tag, sizeof(tag));
	for (uint32_t i = sizeof(tag) / sizeof(*w); i < v->block_size / sizeof(*w); i++)
		w[i] = rte_cpu_to_le_64(word += 0xbf58476d1ce4e5b9u);
	tag.crc = rte_cpu_to_le_32(block_crc(buf, v->block_size));
	memcpy(buf, &tag, sizeof(tag));
}

void
tb_verify_fill(const struct tb_verify *v, void *buf, uint64_t lba, uint32_t nblk, uint32_t gen)
{
	for (uint32_t i = 0; i < nblk; i++)
		fill_block(v, (uint8_t *)buf + (size_t)i * v->block_size, lba + i, gen);
}

void
tb_verify_spoil(const struct tb_verify *v, void *buf, uint32_t nblk)
{
	for (uint32_t i = 0; i < nblk; i++)
		memset((uint8_t *)buf + (size_t)i * v->block_size, 0, sizeof(struct tb_tag));
}

void
tb_verify_tag(const void *block, struct tb_tag *tag)
{
	memcpy(tag, block, sizeof(*tag));
	tag->magic = rte_le_to_cpu_32(tag->magic);
	tag->crc = rte_le_to_cpu_32(tag->crc);
	tag->lba = rte_le_to_cpu_64(tag->lba);
	tag->seed = rte_le_to_cpu_64(tag->seed);
	tag->gen = rte_le_to_cpu_32(tag->gen);
	tag->dev = rte_le_to_cpu_32(tag->dev);
	tag->len = rte_le_to_cpu_32(tag->len);
}

static enum tb_verdict
check_gen(uint32_t gen, struct tb_gens want)
{
	if (want.low <= want.high && gen > want.high)
		return TB_UNEXPECTED;
	if (gen < want.low && (want.low <= want.high || gen > want.high))
		return TB_STALE;
	return TB_GOOD;
}

enum tb_verdict
tb_verify_block(const struct tb_verify *v, const void *buf, uint64_t lba, struct tb_gens want,
	uint32_t *crc)
{
	bool any = want.low == 0;
	struct tb_tag tag;

	tb_verify_tag(buf, &tag);
	*crc = block_crc(buf, v->block_size);
	if (tag.magic != TB_TAG_MAGIC)
		return any ? TB_GOOD : TB_NO_TAG;
	if (tag.len != v->block_size)
		return TB_BAD_LEN;
	if (tag.crc != *crc)
		return TB_BAD_CRC;
	if (any && tag.seed != v->seed)
		return TB_GOOD;
	if (tag.lba != lba)
		return TB_BAD_LBA;
	if (tag.dev != v->dev)
		return TB_BAD_DEV;
	if (tag.seed != v->seed)
		return TB_BAD_SEED;
	return check_gen(tag.gen, want);
}

/* What the block should have been; its checksum needs the whole block made anew. */
static struct tb_tag
wanted(const struct tb_verify *v, uint64_t lba, struct tb_gens want)
{
	struct tb_tag tag = {.magic = TB_TAG_MAGIC,
		.lba = lba,
		.seed = v->seed,
		.gen = want.high == UINT32_MAX ? 0 : want.low,
		.dev = v->dev,
		.len = v->block_size};
	void *block = want.low != want.high ? NULL : malloc(v->block_size);

	if (block != NULL) {
		fill_block(v, block, lba, want.low);
		tb_verify_tag(block, &tag);
		free(block);
	}
	return tag;
}

uint32_t
tb_verify_check(const struct tb_verify *v, const void *buf, uint64_t lba, uint32_t nblk,
	struct tb_gens want, struct tb_mismatch *m)
{
	uint32_t bad = 0, crc;

	for (uint32_t i = 0; i < nblk; i++, lba++) {
		const uint8_t *block = (const uint8_t *)buf + (size_t)i * v->block_size;
		enum tb_verdict verdict = tb_verify_block(v, block, lba, want, &crc);

		if (verdict == TB_GOOD)
			continue;
		bad++;
		if (m->blocks++ != 0)
			continue;
		m->verdict = verdict;
		m->crc = crc;
		m->gens = want;
		m->want = wanted(v, lba, want);
		tb_verify_tag(block, &m->got);
	}
	m->checked += nblk;
	return bad;
}

void
tb_mismatch_merge(struct tb_mismatch *dst, const struct tb_mismatch *src)
{
	uint64_t blocks = dst->blocks + src->blocks, checked = dst->checked + src->checked;

	if (src->blocks != 0 && (dst->blocks == 0 || src->tsc < dst->tsc))
		*dst = *src;
	dst->blocks = blocks;
	dst->checked = checked;
}

const char *
tb_verdict_text(enum tb_verdict v)
{
	switch (v) {
	case TB_GOOD:
		return "good";
	case TB_NO_TAG:
		return "no tag: never written, zeroed or overwritten";
	case TB_BAD_LEN:
		return "foreign: a tag of blocks of another size";
	case TB_BAD_CRC:
		return "damaged: the checksum does not match";
	case TB_BAD_LBA:
		return "misplaced: intact data of another block";
	case TB_BAD_DEV:
		return "misplaced: intact data of another device";
	case TB_BAD_SEED:
		return "foreign: intact data of a run with another seed";
	case TB_STALE:
		return "stale: an earlier generation, a write was lost";
	case TB_UNEXPECTED:
		return "a generation that was not written";
	case TB_BAD_META:
		return "metadata: not what was written with the block";
	case TB_BAD_GUARD:
		return "protection information: the guard does not match the data";
	case TB_BAD_APP:
		return "protection information: the application tag is wrong";
	case TB_BAD_REF:
		return "protection information: the reference tag is wrong";
	}
	return "?";
}
