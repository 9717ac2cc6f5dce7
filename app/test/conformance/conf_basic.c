/* SPDX-License-Identifier: BSD-3-Clause */
/* Checks: what the device says of itself, plain reads and writes, shapes of data, large requests.
 */
#include <errno.h>
#include <string.h>

#include "conf.h"

static void
check_info(struct conf *c)
{
	const struct plx_blk_info *i = &c->info;

	EXPECT(c, i->name[0] != '\0' && memchr(i->name, 0, sizeof(i->name)) != NULL, "no name");
	EXPECT(c, i->driver[0] != '\0' && memchr(i->driver, 0, sizeof(i->driver)) != NULL,
		"no driver's name");
	EXPECT(c, i->block_size >= 512 && (i->block_size & (i->block_size - 1)) == 0,
		"block size %u", i->block_size);
	EXPECT(c, i->phys_block_size % i->block_size == 0, "physical block size %u",
		i->phys_block_size);
	EXPECT(c, i->nblocks != 0 && i->nblocks <= UINT64_MAX / i->block_size, "size");
	EXPECT(c,
		i->max_nblk != 0 && i->max_segs != 0 && i->max_zeroes_nblk != 0 &&
			i->max_discard_nblk != 0,
		"a limit is 0");
	EXPECT(c, i->max_queues != 0 && i->max_depth != 0, "no queues");
	EXPECT(c, i->state == PLX_BLK_OPEN, "open, but in state %d", i->state);
	EXPECT(c, plx_blk_queue_get(c->blk, 0) == NULL, "a queue before it was set up");
	EXPECT(c, plx_blk_start(c->blk) == -EINVAL, "started without queues");
	EXPECT(c,
		plx_blk_configure(c->blk, (uint16_t)(i->max_queues + 1)) == -EINVAL ||
			i->max_queues == UINT16_MAX,
		"more queues than there are");
	EXPECT(c, plx_blk_configure(c->blk, i->max_queues) == 0, "configure(max_queues)");
}

static void
one(struct conf *c, uint8_t op, uint64_t lba, uint32_t nblk, enum io_shape shape)
{
	struct io *io = io_new(c, op, lba, nblk);

	io_data(c, io, shape);
	if (op == PLX_OP_WRITE)
		io_fill(c, io, NULL);
	model_submitted(c, io);
	io_run(c, 0, io);
	model_done(c, io);
}

static void
check_rw(struct conf *c)
{
	uint32_t lbas[] = {0, 1, c->nblk / 2, c->nblk - 1}, i;

	dev_start(c, 1, (uint16_t)RTE_MIN(8, c->info.max_depth));
	model_write_all(c);
	model_verify(c);
	for (i = 0; i < RTE_DIM(lbas); i++) {
		one(c, PLX_OP_WRITE, lbas[i], 1, IO_PLAIN);
		one(c, PLX_OP_READ, lbas[i], 1, IO_PLAIN);
	}
	model_verify(c);
}

/* The very end of the device, which the model doesn't reach. */
static void
check_end(struct conf *c)
{
	uint32_t n = (uint32_t)RTE_MIN(c->info.nblocks, 8u);
	uint64_t lba = c->info.nblocks - n;
	static uint8_t wrote[8 * 65536], got[8 * 65536];
	struct io *io;

	dev_start(c, 1, 1);
	io = io_new(c, PLX_OP_WRITE, lba, n);
	io_data(c, io, IO_PLAIN);
	io_fill(c, io, NULL);
	io_gather(io, wrote);
	EXPECT(c, io_run(c, 0, io) == 0, "write to the last blocks: %d", io->req.status);
	io = io_new(c, PLX_OP_READ, lba, n);
	io_data(c, io, IO_PLAIN);
	EXPECT(c, io_run(c, 0, io) == 0, "read of the last blocks: %d", io->req.status);
	io_gather(io, got);
	EXPECT(c, c->opts.nodata || memcmp(wrote, got, io->bytes) == 0, "wrong data at the end");
	if (lba + n <= c->nblk) /* a small device: the model has it too */
		model_write_all(c);
}

/* Data in every shape, written, read back, and read again in another shape. */
static void
check_segments(struct conf *c)
{
	uint32_t max = RTE_MIN(c->nblk, 65536 / c->info.block_size), n, i;

	dev_start(c, 1, (uint16_t)RTE_MIN(4, c->info.max_depth));
	for (i = 0; i < 40 * IO_SHAPES; i++) {
		uint32_t lba;

		n = 1 + rnd(c, i % 2 == 0 ? RTE_MIN(max, 8u) : max);
		lba = rnd(c, c->nblk - n);
		one(c, PLX_OP_WRITE, lba, n, i % IO_SHAPES);
		one(c, PLX_OP_READ, lba, n, IO_PLAIN);
		one(c, PLX_OP_READ, lba, n, i % IO_SHAPES);
		one(c, PLX_OP_READ, lba, n, IO_PIECES);
	}
	model_verify(c);
}

/* Requests beyond what one command takes, and across boundaries. */
static void
check_large(struct conf *c)
{
	uint32_t most = RTE_MIN(c->nblk, (1u << 20) / c->info.block_size);
	uint32_t unit = RTE_MIN(c->info.max_nblk, most), b = c->info.boundary_nblk;
	uint32_t sizes[] = {unit, unit + 1, 2 * unit + 1, 7 * unit + 3, most, b, b + 1, 2 * b}, i;
	struct plx_blk_stats st;
	bool larger = false;

	dev_start(c, 1, (uint16_t)RTE_MIN(4, c->info.max_depth));
	for (i = 0; i < RTE_DIM(sizes); i++) {
		uint32_t n = sizes[i], lba;

		if (n == 0 || n > most)
			continue;
		lba = rnd(c, c->nblk - n + 1);
		larger |= n > c->info.max_nblk;
		one(c, PLX_OP_WRITE, lba, n, IO_PLAIN);
		one(c, PLX_OP_READ, lba, n, IO_PIECES);
		one(c, PLX_OP_WRITE, lba, n, IO_PIECES);
		one(c, PLX_OP_READ, lba, n, IO_FOREIGN);
	}
	for (i = 0; i < 20 && b != 0 && b < most; i++) {
		uint32_t lba = b - 1 - rnd(c, RTE_MIN(b, 4u));

		one(c, PLX_OP_WRITE, lba, 2 + rnd(c, 6), IO_PLAIN);
		one(c, PLX_OP_READ, lba, 2 + rnd(c, 6), IO_ODD);
	}
	model_verify(c);
	plx_blk_stats_get(c->blk, 0, &st);
	EXPECT(c, !larger || st.split != 0, "requests were split, but not counted");
}

/* Attached again, it works; unless it is volatile, it has its data. */
static void
check_reattach(struct conf *c)
{
	bool keeps = !(c->info.caps & PLX_BLK_CAP_VOLATILE);
	uint64_t nblocks = c->info.nblocks;

	dev_start(c, 1, 1);
	dev_stop(c);
	dev_detach(c);
	dev_attach(c);
	EXPECT(c, c->info.nblocks == nblocks, "another size after attaching again");
	dev_start(c, 1, 1);
	if (keeps)
		model_verify(c);
	model_write_all(c);
	model_verify(c);
}

const struct conf_check conf_checks_basic[] = {
	{"info", check_info, true},
	{"rw", check_rw},
	{"end", check_end},
	{"segments", check_segments},
	{"large", check_large},
	{"reattach", check_reattach},
	{NULL, NULL},
};
