/* SPDX-License-Identifier: BSD-3-Clause */
/* Checks: copies inside the device, and secure erase. */
#include <errno.h>
#include <string.h>

#include "conf.h"

struct io *
copy_new(struct conf *c, uint64_t lba, uint16_t nseg)
{
	struct io *io = io_new(c, PLX_OP_COPY, lba, 0);

	EXPECT(c, nseg <= CONF_SEGS, "the suite has no room for %u ranges", nseg);
	io->req.ranges = (const struct plx_copy_range *)io->segs;
	return io;
}

void
copy_range(struct io *io, uint64_t lba, uint32_t nblk)
{
	struct plx_copy_range *r = (struct plx_copy_range *)io->segs;

	r[io->req.nseg++] = (struct plx_copy_range){.lba = lba, .nblk = nblk};
	io->req.nblk += nblk;
}

/* From the upper half to the lower, in up to so many ranges of up to so many blocks. */
static void
one(struct conf *c, uint16_t nseg, uint32_t most)
{
	uint32_t half = c->nblk / 2, room = half - 1, n;
	struct io *io = copy_new(c, rnd(c, half / 2), nseg);
	int rc;

	room -= (uint32_t)io->req.lba;
	while (nseg-- != 0 && room != 0) {
		n = 1 + rnd(c, RTE_MIN(most, room));
		copy_range(io, half + rnd(c, half - n), n);
		room -= n;
	}
	model_submitted(c, io);
	rc = io_run(c, 0, io);
	EXPECT(c, rc == 0, "copy of %u blocks in %u ranges: %s", io->req.nblk, io->req.nseg,
		strerror(-rc));
	model_done(c, io);
}

static void
bad(struct conf *c, int want, uint64_t to, uint64_t from, uint32_t nblk, const char *what)
{
	struct io *io = copy_new(c, to, 1);
	int rc;

	copy_range(io, from, nblk);
	rc = io_run(c, 0, io);
	EXPECT(c, rc == want, "%s: %s, should be %s", what, strerror(-rc), strerror(-want));
}

static void
check_copy(struct conf *c)
{
	struct io *io;
	uint32_t i;

	if (!(c->info.caps & PLX_BLK_CAP_COPY))
		return;
	dev_start(c, 1, (uint16_t)RTE_MIN(4, c->info.max_depth));
	model_write_all(c);
	for (i = 0; i < 60; i++)
		one(c, (uint16_t)(1 + rnd(c, i % 3 == 0 ? CONF_SEGS : 3)), i % 4 == 0 ? 300 : 8);
	/* what takes several commands */
	for (i = 0; i < 8; i++)
		one(c, (uint16_t)(1 + i % 3), c->nblk / 4);
	model_verify(c);
	bad(c, -ERANGE, 0, c->info.nblocks - 1, 2, "from behind the end");
	bad(c, -ERANGE, c->info.nblocks - 1, 0, 2, "to behind the end");
	bad(c, -EINVAL, 4, 7, 4, "to where it is");
	bad(c, -EINVAL, 7, 4, 4, "to where it is");
	bad(c, -EINVAL, 0, 8, 0, "an empty range");
	io = copy_new(c, 0, 1);
	io->req.nblk = 1;
	EXPECT(c, io_run(c, 0, io) == -EINVAL, "a copy without ranges");
	io = copy_new(c, 0, 1);
	copy_range(io, 8, 2);
	io->req.nblk = 3;
	EXPECT(c, io_run(c, 0, io) == -EINVAL, "ranges that don't add up");
	model_verify(c);
}

/* Old data is gone; its neighbours are not. */
static void
check_erase(struct conf *c)
{
	uint32_t bs = c->info.block_size, i, n, lba, k;
	static uint8_t data[65536];
	struct io *io;
	int rc;

	if (!(c->info.caps & PLX_BLK_CAP_SECURE_ERASE))
		return;
	dev_start(c, 1, (uint16_t)RTE_MIN(4, c->info.max_depth));
	model_write_all(c);
	for (i = 0; i < 30; i++) {
		n = 1 + rnd(c, RTE_MIN(c->nblk / 2, (uint32_t)sizeof(data) / bs));
		lba = rnd(c, c->nblk - n + 1);
		io = io_new(c, PLX_OP_SECURE_ERASE, lba, n);
		model_submitted(c, io);
		rc = io_run(c, 0, io);
		model_done(c, io);
		io = io_new(c, PLX_OP_READ, lba, n);
		io_data(c, io, IO_PLAIN);
		rc = io_run(c, 0, io);
		EXPECT(c, rc == 0, "read: %s", strerror(-rc));
		io_gather(io, data);
		for (k = 0; k < n && !c->opts.nodata; k++)
			EXPECT(c,
				memcmp(data + k * bs, c->shadow + (lba + k) * (size_t)bs, bs) != 0,
				"block %u reads as before the erase", lba + k);
	}
	model_verify(c);
	model_write_all(c);
}

const struct conf_check conf_checks_copy[] = {
	{"copy", check_copy},
	{"erase", check_erase},
	{NULL, NULL},
};
