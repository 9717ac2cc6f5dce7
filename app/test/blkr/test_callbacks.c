/* SPDX-License-Identifier: BSD-3-Clause */
/* Completion callbacks. */
#include "rig.h"

#define DEPTH 8

static struct rig g;
static struct plx_blkr *b;

/* A request inside of what it belongs to. */
struct io {
	struct plx_blk_req req; /* first */
	int done, again, status;
	uint8_t *buf;
};

static void
on_done(struct plx_blk_req *req)
{
	struct io *io = (struct io *)req;

	io->done++;
	io->status = req->status;
	if (io->again-- > 0)
		CHECK_EQ(plx_blkr_submit(b, req, on_done), 0);
}

static void
io_init(struct io *io, uint8_t op, uint64_t lba, uint8_t *buf)
{
	*io = (struct io){
		.req = {.op = op, .lba = lba, .nblk = op == PLX_OP_FLUSH ? 0 : 1, .buf = buf}};
}

static void
setup(const char *str)
{
	rig_up(&g, str, DEPTH, false);
	g.r = plx_reactor_create("blkr");
	REQUIRE(g.r != NULL);
	REQUIRE(plx_blkr_create(g.r, g.q, &b) == 0);
}

static void
teardown(void)
{
	CHECK_EQ(plx_blkr_destroy(b), 0);
	plx_reactor_destroy(g.r);
	rig_down(&g);
}

static void
settle(void)
{
	for (int i = 0; plx_blkr_inflight(b) != 0 && i < 10000000; i++)
		plx_reactor_step(g.r);
	CHECK_EQ(plx_blkr_inflight(b), 0);
}

static void
test_data(void)
{
	uint8_t *buf = plx_mem_alloc(2 * 512, 512, -1);
	struct io wr, rd, bad;

	setup("ram:size=1M,name=r0");
	REQUIRE(buf != NULL);
	memset(buf, 0x5a, 512);
	io_init(&wr, PLX_OP_WRITE, 7, buf);
	io_init(&rd, PLX_OP_READ, 7, buf + 512);
	io_init(&bad, PLX_OP_READ, 1u << 20, buf + 512);
	CHECK_EQ(plx_blkr_submit(b, &wr.req, on_done), 0);
	CHECK_EQ(wr.done, 0); /* never from inside submit */
	settle();
	CHECK_EQ(plx_blkr_submit(b, &rd.req, on_done), 0);
	CHECK_EQ(plx_blkr_submit(b, &bad.req, on_done), 0);
	settle();
	CHECK_EQ(wr.done + rd.done + bad.done, 3);
	CHECK_EQ(wr.status, 0);
	CHECK_EQ(rd.status, 0);
	CHECK_EQ(bad.status, -ERANGE);
	CHECK(memcmp(buf, buf + 512, 512) == 0, "other data");
	rd.again = 20; /* submits itself again and again */
	CHECK_EQ(plx_blkr_submit(b, &rd.req, on_done), 0);
	settle();
	CHECK_EQ(rd.done, 22);
	teardown();
	plx_mem_free(buf);
}

/* What a turn submits, the device is given at once; what it has no room for waits, up to a bound.
 */
static void
test_gather(void)
{
	struct plx_blk_stats st;
	struct io io[3 * DEPTH];
	uint8_t buf[512];
	uint32_t i, n;

	setup("ram:size=1M,delay=2000,name=r0");
	for (i = 0; i < 3 * DEPTH; i++)
		io_init(&io[i], PLX_OP_READ, i, buf);
	for (n = 0; n < 3 * DEPTH && plx_blkr_submit(b, &io[n].req, on_done) == 0; n++)
		;
	CHECK_EQ(n, DEPTH);
	plx_blk_stats_get(g.blk, 0, &st);
	CHECK_EQ(st.ops[PLX_OP_READ], 0);
	CHECK_EQ(plx_blkr_flush(b), DEPTH);
	CHECK_EQ(plx_blkr_flush(b), 0);
	for (; n < 3 * DEPTH && plx_blkr_submit(b, &io[n].req, on_done) == 0; n++)
		;
	CHECK_EQ(n, 2 * DEPTH);
	CHECK_EQ(plx_blkr_inflight(b), 2 * DEPTH);
	CHECK_EQ(plx_blkr_destroy(b), -EBUSY);
	settle();
	for (i = 0; i < 3 * DEPTH; i++)
		CHECK_EQ(io[i].done, i < n);
	teardown();
	CHECK_EQ(plx_blkr_destroy(NULL), 0);
}

static void
test_stop_reset(void)
{
	struct io io[DEPTH];
	uint8_t buf[512];
	int i;

	setup("ram:size=1M,delay=3000000,name=r0");
	for (i = 0; i < DEPTH; i++) {
		io_init(&io[i], PLX_OP_READ, 0, buf);
		plx_blkr_submit(b, &io[i].req, on_done);
		if (i == 3)
			plx_reactor_step(g.r);
	}
	CHECK_EQ(plx_blk_reset(g.blk), 0);
	plx_reactor_step(g.r);
	for (i = 0; i < DEPTH; i++)
		CHECK_EQ(io[i].status, i <= 3 ? -ECANCELED : 0);
	plx_reactor_step(g.r); /* the others are with the device by now */
	CHECK_EQ(plx_blk_stop(g.blk), 0);
	plx_reactor_step(g.r);
	for (i = 0; i < DEPTH; i++)
		CHECK_EQ(io[i].status, -ECANCELED);
	CHECK_EQ(plx_blkr_submit(b, &io[0].req, on_done), 0);
	settle();
	CHECK_EQ(io[0].status, -ESHUTDOWN);
	teardown();
}

int
main(void)
{
	char *argv[] = {"test", "--no-huge", NULL};

	REQUIRE(plx_eal_init_app(2, argv) >= 0);
	RUN(test_data);
	RUN(test_gather);
	RUN(test_stop_reset);
	plx_eal_cleanup();
	return TEST_RESULT();
}
