/* SPDX-License-Identifier: BSD-3-Clause */
/* The reference model: a copy of what the device's first blocks should hold. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "conf.h"

#define MODEL_BYTES (4u << 20)

void
model_init(struct conf *c)
{
	uint64_t n = RTE_MIN(c->info.nblocks, (uint64_t)MODEL_BYTES / c->info.block_size);

	c->nblk = (uint32_t)n;
	free(c->shadow);
	free(c->known);
	c->shadow = calloc(n, c->info.block_size);
	c->known = calloc(n, 1);
	if (c->shadow == NULL || c->known == NULL)
		exit(1);
}

static bool
changes(uint8_t op)
{
	return op == PLX_OP_WRITE || op == PLX_OP_WRITE_ZEROES || op == PLX_OP_DISCARD ||
	       op == PLX_OP_COPY || op == PLX_OP_SECURE_ERASE;
}

/* What it will change is in doubt until it is back. */
void
model_submitted(struct conf *c, const struct io *io)
{
	uint64_t lba = io->req.lba;

	if (changes(io->req.op) && lba < c->nblk)
		memset(c->known + lba, 0, RTE_MIN(io->req.nblk, c->nblk - lba));
}

static void
copied(struct conf *c, const struct io *io)
{
	uint64_t to = io->req.lba;
	uint16_t i;

	for (i = 0; i < io->req.nseg; i++) {
		const struct plx_copy_range *r = &io->req.ranges[i];

		memcpy(c->shadow + to * c->info.block_size, c->shadow + r->lba * c->info.block_size,
			(size_t)r->nblk * c->info.block_size);
		memcpy(c->known + to, c->known + r->lba, r->nblk);
		to += r->nblk;
	}
}

static void
applied(struct conf *c, const struct io *io)
{
	bool gone = io->req.op == PLX_OP_DISCARD || io->req.op == PLX_OP_SECURE_ERASE;
	uint8_t *at = c->shadow + io->req.lba * c->info.block_size;
	size_t len = (size_t)io->req.nblk * c->info.block_size;

	if (io->req.op == PLX_OP_WRITE)
		io_gather(io, at);
	else if (io->req.op == PLX_OP_WRITE_ZEROES)
		memset(at, 0, len);
	else if (io->req.op == PLX_OP_COPY) {
		copied(c, io);
		return;
	}
	memset(c->known + io->req.lba, !gone, io->req.nblk);
}

static void
check_read(struct conf *c, const struct io *io)
{
	uint32_t bs = c->info.block_size, i, j;
	uint8_t *data;

	if (c->opts.nodata)
		return;
	data = malloc(io->bytes);
	if (data == NULL)
		exit(1);
	io_gather(io, data);
	for (i = 0; i < io->req.nblk; i++) {
		const uint8_t *want = c->shadow + (io->req.lba + i) * bs, *got = data + i * bs;

		if (!c->known[io->req.lba + i] || memcmp(want, got, bs) == 0)
			continue;
		for (j = 0; want[j] == got[j]; j++)
			;
		snprintf(c->why, sizeof(c->why),
			"wrong data: a read of blocks %llu to %llu (%u segments): block %llu, byte "
			"%u is %02x, should be %02x",
			(unsigned long long)io->req.lba,
			(unsigned long long)io->req.lba + io->req.nblk - 1, io->req.nseg,
			(unsigned long long)io->req.lba + i, j, got[j], want[j]);
		free(data);
		fail(c, "%s", c->why);
	}
	free(data);
}

void
model_done(struct conf *c, struct io *io)
{
	int rc = io->req.status;

	if (io->req.lba + io->req.nblk > c->nblk)
		return;
	if (rc == -ECANCELED || rc == -ESHUTDOWN)
		return; /* in doubt */
	EXPECT(c, rc == 0, "op %u of blocks %llu to %llu: %s", io->req.op,
		(unsigned long long)io->req.lba, (unsigned long long)io->req.lba + io->req.nblk - 1,
		strerror(-rc));
	if (changes(io->req.op))
		applied(c, io);
	else if (io->req.op == PLX_OP_READ)
		check_read(c, io);
}

static void
sweep(struct conf *c, uint8_t op)
{
	uint32_t step = RTE_MAX(65536 / c->info.block_size, 1u), lba, n;

	for (lba = 0; lba < c->nblk; lba += n) {
		struct io *io;

		n = RTE_MIN(step, c->nblk - lba);
		io = io_new(c, op, lba, n);
		io_data(c, io, IO_PLAIN);
		if (op == PLX_OP_WRITE)
			io_fill(c, io, NULL);
		model_submitted(c, io);
		io_run(c, (int)(lba / step) % c->nq, io);
		model_done(c, io);
	}
}

void
model_verify(struct conf *c)
{
	sweep(c, PLX_OP_READ);
}

void
model_write_all(struct conf *c)
{
	sweep(c, PLX_OP_WRITE);
}
