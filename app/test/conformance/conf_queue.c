/* SPDX-License-Identifier: BSD-3-Clause */
/* Checks: queues full, several, stopped, reset; all of what was accepted comes back once. */
#include <errno.h>
#include <string.h>

#include <rte_cycles.h>

#include "plx_ctrl.h"

#include "conf.h"

/* Submit single-block requests until there is no room; each block its own. @return accepted */
static uint32_t
fill_queue(struct conf *c, int qid, uint32_t first, uint32_t max)
{
	uint32_t n;

	for (n = 0; n < max; n++) {
		uint32_t lba = (first + n) % c->nblk;
		struct io *io = io_new(c, n % 3 == 1 ? PLX_OP_READ : PLX_OP_WRITE, lba, 1);

		io_data(c, io, n % 2 == 0 ? IO_PLAIN : IO_ODD);
		if (io->req.op == PLX_OP_WRITE)
			io_fill(c, io, NULL);
		if (!io_submit(c, qid, io))
			break;
		model_submitted(c, io);
	}
	return n;
}

static void
depth(struct conf *c, uint16_t d)
{
	uint32_t most = RTE_MIN(RTE_MIN(d + 64u, c->nblk / 2), CONF_SLOTS - 40u);
	uint32_t round, n;

	dev_start(c, 1, d);
	for (round = 0; round < 4; round++) {
		n = fill_queue(c, 0, rnd(c, c->nblk), most);
		EXPECT(c, n >= RTE_MIN(d, most), "depth %u, but only %u requests fit", d, n);
		EXPECT(c, c->q[0]->inflight == n, "%u in flight, the queue says %u", n,
			c->q[0]->inflight);
		io_drain(c, model_done);
	}
	/* one in, one out, at a full queue */
	fill_queue(c, 0, 0, most);
	for (round = 0; round < 2u * d && c->in_flight != 0; round++) {
		struct io *done[1];

		if (io_poll(c, 0, done, 1) == 1)
			model_done(c, done[0]);
		else
			dev_idle(c, round);
	}
	io_drain(c, model_done);
	dev_check_stats(c);
}

static void
check_depth(struct conf *c)
{
	uint16_t max = (uint16_t)RTE_MIN(c->info.max_depth, 256u), d;

	c->small = true;
	for (d = 1; d < max; d = (uint16_t)(d < 5 ? d + 1 : d * 2 - 1))
		depth(c, d);
	depth(c, max);
	model_verify(c);
}

static void
check_queues(struct conf *c)
{
	uint16_t nq = (uint16_t)RTE_MIN(c->info.max_queues, CONF_QUEUES), q;
	uint32_t round, share;

	if (nq < 2)
		return;
	c->small = true;
	dev_start(c, nq, (uint16_t)RTE_MIN(16, c->info.max_depth));
	share = c->nblk / nq;
	for (round = 0; round < 50; round++) {
		for (q = 0; q < nq; q++)
			fill_queue(c, q, q * share + rnd(c, share / 2), 1 + rnd(c, 16));
		io_drain(c, model_done);
	}
	model_verify(c);
}

static void
expect_cancelled_or_done(struct conf *c, struct io *io)
{
	EXPECT(c, io->req.status == 0 || io->req.status == -ECANCELED,
		"a request in flight at stop or reset came back with %s",
		strerror(-io->req.status));
	model_done(c, io);
}

static void
expect_refused(struct conf *c, struct io *io)
{
	EXPECT(c, io->req.status == -ESHUTDOWN, "a stopped queue refused with status %d",
		io->req.status);
}

static void
some_large(struct conf *c, int qid)
{
	uint32_t n = RTE_MIN(c->nblk / 4, (c->info.max_nblk & 0xffff) * 3 + 1);
	struct io *io;

	n = RTE_MIN(n, 8192 / c->info.block_size + 1);
	io = io_new(c, PLX_OP_WRITE, c->nblk - n, n);
	io_data(c, io, IO_PLAIN);
	io_fill(c, io, NULL);
	if (io_submit(c, qid, io))
		model_submitted(c, io);
}

static void
check_stop(struct conf *c)
{
	uint16_t nq = (uint16_t)RTE_MIN(c->info.max_queues, 2), q;
	uint32_t round;

	c->small = true;
	for (round = 0; round < 12; round++) {
		struct io *done[4];
		unsigned int n;

		if (round % 4 == 0)
			dev_start(c, nq, (uint16_t)RTE_MIN(16, c->info.max_depth));
		else
			EXPECT(c, plx_blk_start(c->blk) == 0, "start after stop");
		some_large(c, 0);
		for (q = 0; q < nq; q++)
			fill_queue(c, q, q * (c->nblk / 4), 1 + rnd(c, 15));
		n = io_poll(c, 0, done, rnd(c, 4));
		while (n-- != 0)
			model_done(c, done[n]);
		dev_stop(c);
		io_drain(c, expect_cancelled_or_done);
		fill_queue(c, 0, 0, 3);
		EXPECT(c, c->in_flight == 3, "a stopped queue accepts and refuses; it took %u of 3",
			c->in_flight);
		io_drain(c, expect_refused);
		n = io_poll(c, 0, done, 4);
		EXPECT(c, n == 0, "a request came back after all were back");
		dev_check_stats(c);
	}
	EXPECT(c, plx_blk_start(c->blk) == 0, "start after stop");
	model_write_all(c);
	model_verify(c);
}

static void
check_reset(struct conf *c)
{
	uint64_t until;
	uint32_t round;
	int rc = 0;

	c->small = true;
	dev_start(c, 1, (uint16_t)RTE_MIN(16, c->info.max_depth));
	for (round = 0; round < 6; round++) {
		some_large(c, 0);
		fill_queue(c, 0, rnd(c, c->nblk / 2), 1 + rnd(c, 15));
		rc = plx_blk_reset_begin(c->blk);
		if (rc == -ENOTSUP) {
			io_drain(c, model_done);
			return;
		}
		EXPECT(c, rc == 0, "reset: %s", strerror(-rc));
		/* the owner goes on as if nothing were */
		until = rte_rdtsc() + rte_get_tsc_hz() * 20;
		while ((rc = plx_blk_op_poll(c->blk)) == -EINPROGRESS && rte_rdtsc() < until) {
			struct io *done[8];
			unsigned int n = io_poll(c, 0, done, 8);

			while (n-- != 0)
				expect_cancelled_or_done(c, done[n]);
			plx_ctrl_poll();
		}
		EXPECT(c, rc == 0, "reset: %s", strerror(-rc));
		io_drain(c, expect_cancelled_or_done);
		fill_queue(c, 0, 0, 8);
		io_drain(c, model_done);
		dev_check_stats(c);
	}
	model_write_all(c);
	model_verify(c);
}

const struct conf_check conf_checks_queue[] = {
	{"depth", check_depth},
	{"queues", check_queues},
	{"stop", check_stop},
	{"reset", check_reset},
	{NULL, NULL},
};
