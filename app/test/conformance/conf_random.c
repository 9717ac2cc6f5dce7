/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Checks: random work. In "random" the ranges in flight don't overlap, so the model knows every
 * byte. In "generations" writes to the same blocks race: a block must then hold one of the
 * generations that may have come last, whole.
 */
#include <errno.h>
#include <string.h>

#include <rte_cycles.h>

#include "conf.h"

static bool
overlaps(const struct conf *c, uint64_t lba, uint32_t n)
{
	unsigned int i;

	for (i = 0; i < CONF_SLOTS; i++)
		if (c->slots[i].lent && c->slots[i].sent.lba < lba + n &&
			lba < c->slots[i].sent.lba + c->slots[i].sent.nblk)
			return true;
	return false;
}

static uint8_t
random_op(struct conf *c)
{
	static const struct {
		uint8_t op, weight;
		uint32_t cap;
	} ops[] = {
		{PLX_OP_READ, 45, 0},
		{PLX_OP_WRITE, 35, 0},
		{PLX_OP_WRITE_ZEROES, 7, PLX_BLK_CAP_WRITE_ZEROES},
		{PLX_OP_DISCARD, 4, PLX_BLK_CAP_DISCARD},
		{PLX_OP_VERIFY, 4, PLX_BLK_CAP_VERIFY},
		{PLX_OP_FLUSH, 5, 0},
	};
	uint32_t pick = rnd(c, 100), i;

	for (i = 0; pick >= ops[i].weight; i++)
		pick -= ops[i].weight;
	return (c->info.caps & ops[i].cap) == ops[i].cap ? ops[i].op : PLX_OP_READ;
}

/* Mostly small; now and then as large as a slot takes. */
static uint32_t
random_len(struct conf *c)
{
	uint32_t most = RTE_MIN((uint32_t)(128u << 10) / c->info.block_size, c->nblk / 2);

	switch (rnd(c, 8)) {
	case 0:
		return 1 + rnd(c, most);
	case 1:
	case 2:
		return 1 + rnd(c, RTE_MIN(most, 32u));
	default:
		return 1 + rnd(c, RTE_MIN(most, 8u));
	}
}

static void
submit_random(struct conf *c, int qid)
{
	uint8_t op = random_op(c);
	uint32_t n = op == PLX_OP_FLUSH ? 0 : random_len(c), lba = 0;
	struct io *io;

	if (op != PLX_OP_FLUSH) {
		lba = rnd(c, c->nblk - n + 1);
		if (overlaps(c, lba, n))
			return;
	}
	io = io_new(c, op, lba, n);
	if (io->bytes != 0)
		io_data(c, io, rnd(c, IO_SHAPES));
	if (op == PLX_OP_WRITE) {
		io_fill(c, io, NULL);
		io->req.flags = rnd(c, 8) == 0 ? PLX_IO_FUA : 0;
	}
	if (op == PLX_OP_WRITE_ZEROES)
		io->req.flags = rnd(c, 2) == 0 ? PLX_IO_UNMAP : 0;
	if (io_submit(c, qid, io))
		model_submitted(c, io);
}

static void
check_random(struct conf *c)
{
	uint16_t nq = (uint16_t)RTE_MIN(c->info.max_queues, 3);
	uint64_t until = rte_rdtsc() + (uint64_t)(c->opts.seconds * (double)rte_get_tsc_hz());
	struct io *done[8];
	uint32_t i;

	dev_start(c, nq, (uint16_t)RTE_MIN(16, c->info.max_depth));
	model_write_all(c);
	/* some turns in any case: time says nothing under a sanitizer */
	for (i = 0; i < 2000 || rte_rdtsc() < until; i++) {
		int qid = (int)rnd(c, nq);
		unsigned int n;

		if (c->in_flight < 28)
			submit_random(c, qid);
		n = rnd(c, 2) == 0 || c->in_flight >= 28 ? io_poll(c, qid, done, 1 + rnd(c, 8)) : 0;
		while (n-- != 0)
			model_done(c, done[n]);
		dev_idle(c, i);
		if (i % 4096 == 4095) {
			io_drain(c, model_done);
			dev_check_stats(c);
		}
	}
	io_drain(c, model_done);
	model_verify(c);
}

/* ---- generations ---- */

#define GEN_BLOCKS 16
#define GEN_LOG 64

/* A write that a block's content may come from. */
struct write {
	uint64_t gen, begun, ended; /* ended 0: not back yet */
};
struct block_log {
	struct write w[GEN_LOG];
	uint32_t n;
};

struct gen_state {
	struct block_log log[GEN_BLOCKS];
	uint64_t clock, gen;
};
static struct gen_state gen_state, *const gens = &gen_state;

/* Forget the writes that a later one has surely replaced: one begun after they had ended, and
 * itself ended. */
static void
prune(struct block_log *log)
{
	uint32_t i, j, kept = 0;
	uint64_t begun = 0;

	for (i = 0; i < log->n; i++)
		if (log->w[i].ended != 0)
			begun = RTE_MAX(begun, log->w[i].begun);
	for (j = 0; j < log->n; j++)
		if (log->w[j].ended == 0 || log->w[j].ended > begun)
			log->w[kept++] = log->w[j];
	log->n = kept;
}

static void
gen_done(struct conf *c, struct io *io)
{
	uint64_t b;
	uint32_t i;

	EXPECT(c, io->req.status == 0, "op %u: %s", io->req.op, strerror(-io->req.status));
	if (io->req.op != PLX_OP_WRITE)
		return;
	gens->clock++;
	for (b = io->req.lba; b < io->req.lba + io->req.nblk; b++) {
		struct block_log *log = &gens->log[b];

		for (i = 0; i < log->n; i++)
			if (log->w[i].gen == io->gen)
				log->w[i].ended = gens->clock;
		prune(log);
	}
}

static void
gen_write(struct conf *c, int qid)
{
	uint32_t n = 1 + rnd(c, 3), bs = c->info.block_size, i, j;
	uint32_t lba = rnd(c, GEN_BLOCKS - n + 1);
	static uint64_t data[4 * 65536 / 8];
	struct io *io;

	for (i = lba; i < lba + n; i++)
		if (gens->log[i].n == GEN_LOG)
			return;
	io = io_new(c, PLX_OP_WRITE, lba, n);
	io_data(c, io, rnd(c, IO_SHAPES));
	io->gen = ++gens->gen;
	for (i = 0; i < n; i++)
		for (j = 0; j < bs / 8; j++)
			data[i * (bs / 8) + j] = io->gen << 8 | (lba + i);
	io_fill(c, io, (const uint8_t *)data);
	gens->clock++;
	if (!io_submit(c, qid, io))
		return;
	for (i = lba; i < lba + n; i++)
		gens->log[i].w[gens->log[i].n++] = (struct write){io->gen, gens->clock, 0};
}

static void
gen_check(struct conf *c, uint32_t lba, const uint64_t *data)
{
	const struct block_log *log = &gens->log[lba];
	uint32_t i, bs = c->info.block_size;

	for (i = 1; i < bs / 8; i++)
		EXPECT(c, data[i] == data[0], "block %u is torn: it has generations %llu and %llu",
			lba, (unsigned long long)data[0] >> 8, (unsigned long long)data[i] >> 8);
	EXPECT(c, (data[0] & 0xff) == lba, "block %u has data of block %llu", lba,
		(unsigned long long)data[0] & 0xff);
	for (i = 0; i < log->n; i++)
		if (log->w[i].gen == data[0] >> 8)
			return;
	fail(c, "block %u has generation %llu, which a later write had replaced", lba,
		(unsigned long long)data[0] >> 8);
}

static void
gen_verify(struct conf *c)
{
	static uint64_t data[65536 / 8];
	uint32_t lba;

	for (lba = 0; lba < GEN_BLOCKS; lba++) {
		struct io *io = io_new(c, PLX_OP_READ, lba, 1);

		io_data(c, io, IO_PLAIN);
		EXPECT(c, io_run(c, 0, io) == 0, "read: %s", strerror(-io->req.status));
		io_gather(io, (uint8_t *)data);
		gen_check(c, lba, data);
	}
}

static void
check_generations(struct conf *c)
{
	uint16_t nq = (uint16_t)RTE_MIN(c->info.max_queues, 2);
	uint64_t until = rte_rdtsc() + (uint64_t)(c->opts.seconds / 2 * (double)rte_get_tsc_hz());
	struct io *done[8];
	uint32_t round, i;

	if (c->nblk < GEN_BLOCKS || c->opts.nodata || c->opts.no_races)
		return;
	memset(gens, 0, sizeof(*gens));
	dev_start(c, nq, (uint16_t)RTE_MIN(16, c->info.max_depth));
	memset(c->known, 0, GEN_BLOCKS);
	for (i = 0; i < GEN_BLOCKS; i++) /* a first one each */
		while (gens->log[i].n == 0) {
			gen_write(c, 0);
			io_drain(c, gen_done);
		}
	for (round = 0; round < 50 || rte_rdtsc() < until; round++) {
		for (i = 0; i < 60; i++) {
			int qid = (int)rnd(c, nq);
			unsigned int n = 0;

			if (c->in_flight < 28)
				gen_write(c, qid);
			if (rnd(c, 3) != 0)
				n = io_poll(c, qid, done, 1 + rnd(c, 8));
			while (n-- != 0)
				gen_done(c, done[n]);
		}
		io_drain(c, gen_done);
		gen_verify(c);
	}
}

const struct conf_check conf_checks_random[] = {
	{"random", check_random},
	{"generations", check_generations},
	{NULL, NULL},
};
