/* SPDX-License-Identifier: BSD-3-Clause */
/* Checks: the other operations, and bad requests. */
#include <errno.h>
#include <string.h>

#include "conf.h"

static bool
has(const struct conf *c, uint32_t cap)
{
	return (c->info.caps & cap) != 0;
}

static int
plain(struct conf *c, uint8_t op, uint8_t flags, uint64_t lba, uint32_t nblk)
{
	struct io *io = io_new(c, op, lba, nblk);
	int rc;

	io->req.flags = flags;
	if (io->bytes != 0) {
		io_data(c, io, IO_PLAIN);
		if (op == PLX_OP_WRITE)
			io_fill(c, io, NULL);
	}
	model_submitted(c, io);
	rc = io_run(c, 0, io);
	model_done(c, io);
	return rc;
}

static void
check_flush(struct conf *c)
{
	uint32_t i;

	dev_start(c, 1, (uint16_t)RTE_MIN(4, c->info.max_depth));
	for (i = 0; i < 20; i++) {
		plain(c, PLX_OP_WRITE, i % 2 ? PLX_IO_FUA : 0, rnd(c, c->nblk), 1);
		EXPECT(c, plain(c, PLX_OP_FLUSH, 0, 0, 0) == 0, "flush");
	}
	model_verify(c);
}

/* A range in the middle of written blocks: its neighbours stay. */
static void
ranges(struct conf *c, uint8_t op, uint8_t flags, uint32_t max)
{
	uint32_t i, n, lba;

	for (i = 0; i < 60; i++) {
		n = 1 + rnd(c, i % 4 == 0 ? RTE_MIN(c->nblk / 2, 4 * (max & 0xffffff)) : 16);
		n = RTE_MIN(n, c->nblk / 2);
		lba = 1 + rnd(c, c->nblk - n - 1);
		plain(c, PLX_OP_WRITE, 0, lba - 1, 1);
		plain(c, PLX_OP_WRITE, 0, lba + n - 1, 1);
		if (lba + n < c->nblk)
			plain(c, PLX_OP_WRITE, 0, lba + n, 1);
		plain(c, op, flags, lba, n);
		plain(c, PLX_OP_READ, 0, lba - 1, 1);
		plain(c, PLX_OP_READ, 0, lba, RTE_MIN(n, 16u));
		plain(c, PLX_OP_READ, 0, lba + n - 1, 1);
		if (lba + n < c->nblk)
			plain(c, PLX_OP_READ, 0, lba + n, 1);
	}
	model_verify(c);
}

static void
check_zeroes(struct conf *c)
{
	if (!has(c, PLX_BLK_CAP_WRITE_ZEROES))
		return;
	dev_start(c, 1, (uint16_t)RTE_MIN(4, c->info.max_depth));
	model_write_all(c);
	ranges(c, PLX_OP_WRITE_ZEROES, 0, c->info.max_zeroes_nblk);
	model_write_all(c);
	ranges(c, PLX_OP_WRITE_ZEROES, PLX_IO_UNMAP, c->info.max_zeroes_nblk);
	model_write_all(c);
	plain(c, PLX_OP_WRITE_ZEROES, PLX_IO_UNMAP, 0, c->nblk);
	model_verify(c);
}

static void
check_discard(struct conf *c)
{
	if (!has(c, PLX_BLK_CAP_DISCARD))
		return;
	dev_start(c, 1, (uint16_t)RTE_MIN(4, c->info.max_depth));
	model_write_all(c);
	ranges(c, PLX_OP_DISCARD, 0, c->info.max_discard_nblk);
	model_write_all(c);
}

static void
check_verify(struct conf *c)
{
	uint32_t i, n;

	if (!has(c, PLX_BLK_CAP_VERIFY))
		return;
	dev_start(c, 1, (uint16_t)RTE_MIN(4, c->info.max_depth));
	for (i = 0; i < 20; i++) {
		n = 1 + rnd(c, RTE_MIN(c->nblk - 1, 300u));
		EXPECT(c, plain(c, PLX_OP_VERIFY, 0, rnd(c, c->nblk - n), n) == 0, "verify");
	}
	model_verify(c);
}

/* What the device holds, then with one byte changed. @return the status of the second */
static int
compare(struct conf *c, uint32_t lba, uint32_t nblk, enum io_shape shape, uint32_t wrong)
{
	struct io *io = io_new(c, PLX_OP_COMPARE, lba, nblk);
	const uint8_t *want = c->shadow + (size_t)lba * c->info.block_size;
	uint32_t i, at = wrong;
	int rc;

	io_data(c, io, shape);
	io_fill(c, io, want);
	rc = io_run(c, 0, io);
	if (rc == -EMSGSIZE)
		return rc;
	EXPECT(c, rc == 0, "compare of %u blocks that are equal: %s", nblk, strerror(-rc));
	io = io_new(c, PLX_OP_COMPARE, lba, nblk);
	io_data(c, io, shape);
	io_fill(c, io, want);
	for (i = 0; at >= (io->req.nseg == 0 ? io->bytes : io->segs[i].len); i++)
		at -= (uint32_t)io->segs[i].len;
	((uint8_t *)io->segs[i].addr)[at] ^= 0x40;
	/* the image is of what was meant: bring it up to date */
	if ((uint8_t *)io->segs[i].addr - io->mem[0] < (ptrdiff_t)io->mem_size &&
		(uint8_t *)io->segs[i].addr >= io->mem[0])
		io->image[0][(uint8_t *)io->segs[i].addr - io->mem[0] + at] ^= 0x40;
	else
		io->image[1][(uint8_t *)io->segs[i].addr - io->mem[1] + at] ^= 0x40;
	return io_run(c, 0, io);
}

static void
check_compare(struct conf *c)
{
	uint32_t i, n, lba, bytes, where[3];
	int rc;

	if (!has(c, PLX_BLK_CAP_COMPARE))
		return;
	dev_start(c, 1, (uint16_t)RTE_MIN(4, c->info.max_depth));
	model_write_all(c);
	for (i = 0; i < 60; i++) {
		n = 1 + rnd(c, RTE_MIN(RTE_MIN(c->nblk - 1, c->info.max_nblk), 16u));
		lba = rnd(c, c->nblk - n);
		bytes = n * c->info.block_size;
		where[0] = 0;
		where[1] = bytes - 1;
		where[2] = rnd(c, bytes);
		rc = compare(c, lba, n, (i / 3) % IO_SHAPES, where[i % 3]);
		if (rc == -EMSGSIZE && (c->info.boundary_nblk != 0 || i / 3 % IO_SHAPES != 0))
			continue; /* cut by a boundary, or too long for a bounce buffer */
		EXPECT(c, rc == -EILSEQ, "compare of %u blocks that differ in byte %u: %s", n,
			where[i % 3], rc == 0 ? "equal" : strerror(-rc));
	}
	n = c->info.max_nblk + 1;
	if (n != 0 && n < c->nblk && n <= (1u << 20) / c->info.block_size)
		EXPECT(c, compare(c, 0, n, IO_PLAIN, 0) == -EMSGSIZE,
			"a compare past the limit is not refused");
	model_verify(c);
}

/* ---- bad requests ---- */

struct bad {
	const char *what;
	int want;
	uint8_t op;
	uint64_t lba;
	uint32_t nblk;
	enum { GOOD, NO_BUF, NO_SEGS, SHORT, LONG, NULL_SEG } data;
};

static void
spoil(struct io *io, const struct bad *bad, uint32_t bs)
{
	io->req.op = bad->op;
	io->req.lba = bad->lba;
	io->req.nblk = bad->nblk;
	if (bad->data == GOOD)
		return;
	io->req.nseg = 2;
	io->req.segs = io->segs;
	io->segs[0] = (struct plx_seg){io->mem[0], bs / 2};
	io->segs[1] = (struct plx_seg){io->mem[0] + bs, bs / 2};
	switch (bad->data) {
	case NO_BUF:
		io->req.nseg = 0;
		io->req.buf = NULL;
		break;
	case NO_SEGS:
		io->req.segs = NULL;
		break;
	case SHORT:
		io->segs[1].len--;
		break;
	case LONG:
		io->segs[1].len++;
		break;
	default:
		io->segs[1].addr = NULL;
		break;
	}
}

static void
bad_request(struct conf *c, const struct bad *bad)
{
	struct io *io = io_new(c, PLX_OP_READ, 0, 1);
	int rc;

	io_data(c, io, IO_PLAIN);
	io_fill(c, io, NULL);
	spoil(io, bad, c->info.block_size);
	io->bytes = 0; /* its data is nobody's business */
	rc = io_run(c, 0, io);
	EXPECT(c, rc == bad->want, "%s: status %d (%s), should be %d (%s)", bad->what, rc,
		strerror(-rc), bad->want, strerror(-bad->want));
}

static void
check_errors(struct conf *c)
{
	const uint64_t end = c->info.nblocks;
	const struct bad bads[] = {
		{"no such operation", -EINVAL, PLX_OP_MAX, 0, 1, GOOD},
		{"no such operation", -EINVAL, 255, 0, 1, GOOD},
		{"read of 0 blocks", -EINVAL, PLX_OP_READ, 0, 0, GOOD},
		{"write of 0 blocks", -EINVAL, PLX_OP_WRITE, 0, 0, GOOD},
		{"flush with a range", -EINVAL, PLX_OP_FLUSH, 0, 1, GOOD},
		{"read without memory", -EINVAL, PLX_OP_READ, 0, 1, NO_BUF},
		{"write without memory", -EINVAL, PLX_OP_WRITE, 0, 1, NO_BUF},
		{"segments nowhere", -EINVAL, PLX_OP_WRITE, 0, 1, NO_SEGS},
		{"a read's segments are too short", -EINVAL, PLX_OP_READ, 0, 1, SHORT},
		{"a write's segments are too short", -EINVAL, PLX_OP_WRITE, 0, 1, SHORT},
		{"a read's segments are too long", -EINVAL, PLX_OP_READ, 0, 1, LONG},
		{"a write's segments are too long", -EINVAL, PLX_OP_WRITE, 0, 1, LONG},
		{"a segment is NULL", -EINVAL, PLX_OP_WRITE, 0, 1, NULL_SEG},
		{"read behind the end", -ERANGE, PLX_OP_READ, end, 1, GOOD},
		{"read across the end", -ERANGE, PLX_OP_READ, end - 1, 2, GOOD},
		{"write behind the end", -ERANGE, PLX_OP_WRITE, end, 1, GOOD},
		{"write across the end", -ERANGE, PLX_OP_WRITE, end - 1, 2, GOOD},
		{"read at the last block number", -ERANGE, PLX_OP_READ, UINT64_MAX, 1, GOOD},
		{"read that wraps", -ERANGE, PLX_OP_READ, UINT64_MAX - 1, 4, GOOD},
	};
	const struct {
		uint32_t cap;
		uint8_t op;
	} caps[] = {
		{PLX_BLK_CAP_WRITE_ZEROES, PLX_OP_WRITE_ZEROES},
		{PLX_BLK_CAP_DISCARD, PLX_OP_DISCARD},
		{PLX_BLK_CAP_COMPARE, PLX_OP_COMPARE},
		{PLX_BLK_CAP_VERIFY, PLX_OP_VERIFY},
		{PLX_BLK_CAP_NVME, PLX_OP_NVME},
	};
	unsigned int i;

	dev_start(c, 1, (uint16_t)RTE_MIN(4, c->info.max_depth));
	for (i = 0; i < RTE_DIM(bads); i++)
		bad_request(c, &bads[i]);
	for (i = 0; i < RTE_DIM(caps); i++) {
		struct bad bad = {
			"an operation that the device hasn't", -EOPNOTSUPP, caps[i].op, 0, 1, GOOD};

		if (!has(c, caps[i].cap))
			bad_request(c, &bad);
		bad = (struct bad){"behind the end", -ERANGE, caps[i].op, end, 1, GOOD};
		if (has(c, caps[i].cap) && caps[i].op != PLX_OP_NVME)
			bad_request(c, &bad);
	}
	model_verify(c);
}

/* Opened read-only. */
static void
check_readonly(struct conf *c)
{
	static const uint8_t ops[] = {PLX_OP_WRITE, PLX_OP_WRITE_ZEROES, PLX_OP_DISCARD};
	struct bad bad = {"to a device opened read-only", -EROFS, 0, 0, 1, GOOD};
	unsigned int i;

	EXPECT(c, plx_blk_close(c->blk) == 0, "close");
	c->nq = 0;
	EXPECT(c, plx_blk_open(plx_dev_name(c->dev), 0, &c->blk) == 0, "open read-only");
	dev_start(c, 1, 1);
	for (i = 0; i < RTE_DIM(ops); i++) {
		bad.op = ops[i];
		bad_request(c, &bad);
	}
	model_verify(c);
	dev_check_stats(c);
	EXPECT(c, plx_blk_close(c->blk) == 0, "close");
	c->nq = 0;
	EXPECT(c, plx_blk_open(plx_dev_name(c->dev), PLX_BLK_O_WRITE, &c->blk) == 0, "open again");
}

const struct conf_check conf_checks_ops[] = {
	{"flush", check_flush},
	{"zeroes", check_zeroes},
	{"discard", check_discard},
	{"verify", check_verify, true},
	{"compare", check_compare},
	{"errors", check_errors, true},
	{"readonly", check_readonly, true},
	{NULL, NULL},
};
