/* SPDX-License-Identifier: BSD-3-Clause */
/* Metadata and protection information that a write makes and a read checks: each byte counts. */
#include "plx_test.h"
#include "verify_meta.h"

#define NBLK 4
#define BS 512
#define MS 64

struct bench {
	struct plx_blk_ext ext;
	struct tb_meta m;
	struct tb_verify v;
	struct plx_blk_req req;
	struct tb_mismatch bad;
	_Alignas(8) uint8_t data[NBLK * BS];
	uint8_t meta[NBLK * MS];
};

/* A write of blocks from lba, as it is lent; then it is the read that brings it back. */
static void
written(struct bench *b, uint8_t type, uint8_t size, bool first, enum tb_pi pi)
{
	uint8_t kept[sizeof(b->meta)];

	memset(b, 0, sizeof(*b));
	b->v = (struct tb_verify){.seed = 5, .dev = 1, .block_size = BS};
	b->m = (struct tb_meta){.ext = &b->ext,
		.mem = b->meta,
		.stride = sizeof(b->meta),
		.pi_seen = type != 0,
		.pi = pi,
		.info = {.block_size = BS, .meta_size = MS, .pi_type = type, .pi_size = size}};
	b->m.info.pi_offset = first ? 0 : MS - size;
	b->req =
		(struct plx_blk_req){.op = PLX_OP_WRITE, .lba = 1000, .nblk = NBLK, .buf = b->data};
	tb_verify_fill(&b->v, b->data, 1000, NBLK, 3);
	tb_meta_lend(&b->m, &b->req, 0, true);
	if (type != 0 && pi != TB_PI_HOST)
		CHECK_EQ(b->ext.pi_flags & PLX_PI_ACT, PLX_PI_ACT);
	memcpy(kept, b->meta, sizeof(kept));
	b->req.op = PLX_OP_READ;
	tb_meta_lend(&b->m, &b->req, 0, true);
	CHECK(memcmp(kept, b->meta, sizeof(kept)) != 0, "what was in the memory could pass");
	memcpy(b->meta, kept, sizeof(kept));
}

static uint32_t
check(struct bench *b)
{
	memset(&b->bad, 0, sizeof(b->bad));
	return tb_meta_check(&b->m, &b->req, &b->v, &b->bad);
}

static bool
in_pi(const struct tb_meta *m, uint32_t at)
{
	return at >= m->info.pi_offset && at < m->info.pi_offset + m->info.pi_size;
}

static void
each_bit(struct bench *b)
{
	CHECK_EQ(check(b), 0);
	CHECK_EQ(b->bad.blocks, 0);
	for (uint32_t bit = 0; bit < NBLK * MS * 8; bit++) {
		uint32_t at = bit / 8 % MS;
		bool ref3 = b->m.info.pi_type == 3 && in_pi(&b->m, at) &&
			    at - b->m.info.pi_offset >= (b->m.info.pi_size == 8 ? 4 : 10);

		b->meta[bit / 8] ^= (uint8_t)(1 << bit % 8);
		CHECK_EQ(check(b), !ref3);
		CHECK(ref3 || b->bad.want.lba == 1000 + bit / 8 / MS);
		if (b->m.info.pi_offset == 0 || b->m.info.pi_type == 0) /* no guard over the rest */
			CHECK_EQ(b->bad.verdict == TB_BAD_META, !in_pi(&b->m, at));
		b->meta[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
}

static void
pattern(void)
{
	static struct bench b;

	written(&b, 0, 0, true, TB_PI_DRIVER);
	CHECK_EQ(b.ext.pi_flags, 0);
	each_bit(&b);
	memmove(b.meta, b.meta + MS, sizeof(b.meta) - MS);
	CHECK_EQ(check(&b), 1);
	CHECK_EQ(b.bad.verdict, TB_BAD_META);
}

static void
host(void)
{
	static struct bench b;

	for (uint8_t type = 1; type <= 3; type++)
		for (int first = 0; first < 2; first++) {
			written(&b, type, 8, first, TB_PI_HOST);
			CHECK_EQ(b.ext.pi_flags,
				PLX_PI_GUARD | PLX_PI_APP | (type == 3 ? 0u : PLX_PI_REF));
			each_bit(&b);
			written(&b, type, 16, first, TB_PI_HOST);
			each_bit(&b);
		}
}

/* A block that a device passes off as never written is one that we know was. */
static void
unprotected(void)
{
	static struct bench b;

	written(&b, 1, 8, false, TB_PI_HOST);
	memset(b.meta + MS - 8, 0xff, 8);
	CHECK_EQ(check(&b), 1);
	CHECK_EQ(b.bad.verdict, TB_BAD_APP);
	CHECK_EQ(tb_meta_check(&b.m, &b.req, NULL, &b.bad), 0);
}

/* Data and its guard must fit even where neither is known to be ours. */
static void
not_tagged(void)
{
	static struct bench b;

	written(&b, 2, 16, false, TB_PI_HOST);
	b.data[700] ^= 1;
	CHECK_EQ(tb_meta_check(&b.m, &b.req, NULL, &b.bad), 1);
	CHECK_EQ(b.bad.verdict, TB_BAD_GUARD);
	CHECK_EQ(b.bad.want.lba, 1001);
}

int
main(void)
{
	RUN(pattern);
	RUN(host);
	RUN(unprotected);
	RUN(not_tagged);
	return TEST_RESULT();
}
