/* SPDX-License-Identifier: BSD-3-Clause */
/* The device class on ram: control calls and their errors, requests and their statuses. */
#include <errno.h>

#include "plx_blk.h"
#include "plx_eal.h"
#include "plx_mem.h"
#include "plx_probe.h"
#include "plx_test.h"

#define BS 512

/* An attached, open, started device with one queue. */
struct fixture {
	struct plx_dev *dev;
	struct plx_blk *blk;
	struct plx_blkq *q;
};

static void
set_up(struct fixture *f, const char *str, unsigned int flags, uint16_t depth)
{
	struct plx_blkq_conf conf = {.depth = depth, .socket = -1};

	REQUIRE(plx_attach(str, &f->dev) == 0);
	REQUIRE(plx_blk_open(plx_dev_name(f->dev), flags, &f->blk) == 0);
	REQUIRE(plx_blk_configure(f->blk, 1) == 0);
	REQUIRE(plx_blkq_setup(f->blk, 0, &conf) == 0);
	REQUIRE(plx_blk_start(f->blk) == 0);
	f->q = plx_blk_queue_get(f->blk, 0);
	REQUIRE(f->q != NULL);
}

static void
tear_down(struct fixture *f)
{
	CHECK_EQ(plx_blk_stop(f->blk), 0);
	CHECK_EQ(plx_blk_close(f->blk), 0);
	CHECK_EQ(plx_detach(f->dev), 0);
}

static int
run(struct plx_blkq *q, struct plx_blk_req *req)
{
	struct plx_blk_req *out = NULL;

	req->status = 12345;
	if (plx_blkq_submit(q, &req, 1) != 1)
		return 1;
	while (plx_blkq_poll(q, &out, 1) == 0)
		;
	CHECK(out == req);
	return req->status;
}

static void
test_states(void)
{
	struct plx_blk_req req = {.op = PLX_OP_FLUSH}, *r = &req, *out;
	struct plx_blk_info info;
	struct plx_blk *blk, *other;
	struct plx_dev *dev;
	struct plx_blkq *q;

	REQUIRE(plx_attach("ram:size=1M,name=s0", &dev) == 0);
	CHECK_EQ(plx_blk_open("s1", 0, &blk), -ENODEV);
	CHECK_EQ(plx_blk_open("s0", 0x80, &blk), -EINVAL);
	REQUIRE(plx_blk_open("s0", PLX_BLK_O_WRITE, &blk) == 0);
	CHECK_EQ(plx_blk_open("s0", 0, &other), -EBUSY);
	CHECK_EQ(plx_blk_start(blk), -EINVAL);
	CHECK_EQ(plx_blk_configure(blk, 0), -EINVAL);
	CHECK_EQ(plx_blk_configure(blk, 60000), -EINVAL);
	CHECK_EQ(plx_blk_configure(blk, 2), 0);
	CHECK_EQ(plx_blkq_setup(blk, 2, NULL), -EINVAL);
	CHECK_EQ(plx_blkq_setup(blk, 0, &(struct plx_blkq_conf){.depth = 60000}), -EINVAL);
	CHECK_EQ(plx_blkq_setup(blk, 0, NULL), 0);
	CHECK_EQ(plx_blk_start(blk), -EINVAL); /* queue 1 is missing */
	CHECK(plx_blk_queue_get(blk, 1) == NULL);
	CHECK_EQ(plx_blkq_setup(blk, 1, NULL), 0);
	q = plx_blk_queue_get(blk, 1);
	REQUIRE(q != NULL);
	CHECK_EQ(q->depth, 128);
	CHECK_EQ(run(q, &req), -ESHUTDOWN); /* not started yet */
	CHECK_EQ(plx_blk_stop(blk), 0);
	CHECK_EQ(plx_blk_start(blk), 0);
	CHECK_EQ(plx_blk_start(blk), 0);
	CHECK_EQ(run(q, &req), 0);
	CHECK_EQ(plx_blk_configure(blk, 1), -EBUSY);
	CHECK_EQ(plx_blkq_setup(blk, 0, NULL), -EBUSY);
	plx_blk_info_get(blk, &info);
	CHECK_EQ(info.state, PLX_BLK_STARTED);
	CHECK_EQ(info.nb_queues, 2);
	CHECK_EQ(plx_blk_nvme_admin(blk, &(struct plx_nvme_cmd){0}), -ENOTSUP);
	CHECK_EQ(plx_blk_reset(blk), 0);
	CHECK_EQ(run(q, &req), 0);
	CHECK_EQ(plx_blk_stop(blk), 0);
	CHECK_EQ(run(q, &req), -ESHUTDOWN);
	CHECK_EQ(plx_blkq_poll(q, &out, 1), 0);
	CHECK_EQ(plx_blk_reset(blk), 0);
	CHECK_EQ(plx_blk_start(blk), 0);
	CHECK_EQ(plx_blkq_submit(q, &r, 1), 1);
	CHECK_EQ(plx_blk_close(blk), 0); /* stops by itself */
	CHECK_EQ(plx_blk_close(blk), -EINVAL);
	CHECK_EQ(plx_blk_configure(blk, 1), -EINVAL);
	CHECK_EQ(plx_blk_open("s0", 0, &blk), 0);
	CHECK_EQ(plx_detach(dev), 0); /* closes by itself */
	CHECK(plx_blk_next(NULL) == NULL);
}

static void
test_statuses(void)
{
	static uint8_t buf[64 * BS];
	struct plx_seg segs[2] = {{buf, 100}, {buf + 100, BS - 100}};
	struct plx_blk_req ok = {.op = PLX_OP_WRITE, .nblk = 1, .buf = buf}, r;
	struct fixture f;

	set_up(&f, "ram:size=64K,name=s0", PLX_BLK_O_WRITE, 4);
#define EXPECT(want, ...) \
	r = ok;           \
	__VA_ARGS__;      \
	CHECK_EQ(run(f.q, &r), want)
	EXPECT(0, r.op = PLX_OP_WRITE);
	EXPECT(0, (r.nseg = 2, r.segs = segs));
	EXPECT(-EINVAL, r.op = PLX_OP_MAX);
	EXPECT(-EINVAL, r.op = 255);
	EXPECT(-EINVAL, r.nblk = 0);
	EXPECT(-EINVAL, r.buf = NULL);
	EXPECT(-EINVAL, (r.nseg = 1, r.segs = segs));
	EXPECT(-EINVAL, (r.nblk = 2, r.nseg = 2, r.segs = segs));
	EXPECT(-EINVAL, (r.nseg = 2, r.segs = NULL));
	EXPECT(-ERANGE, r.lba = 128);
	EXPECT(-ERANGE, (r.lba = 127, r.nblk = 2));
	EXPECT(-ERANGE, r.lba = UINT64_MAX);
	EXPECT(-ERANGE, r.nblk = UINT32_MAX);
	EXPECT(-EOPNOTSUPP, r.op = PLX_OP_NVME);
	EXPECT(0, (r.op = PLX_OP_FLUSH, r.nblk = 0));
	EXPECT(-EINVAL, r.op = PLX_OP_FLUSH);
	tear_down(&f);

	set_up(&f, "ram:size=64K,name=s0", 0, 4);
	EXPECT(-EROFS, r.op = PLX_OP_WRITE);
	EXPECT(-EROFS, r.op = PLX_OP_WRITE_ZEROES);
	EXPECT(-EROFS, r.op = PLX_OP_DISCARD);
	EXPECT(0, r.op = PLX_OP_READ);
	EXPECT(0, r.op = PLX_OP_COMPARE);
	EXPECT(0, r.op = PLX_OP_VERIFY);
	tear_down(&f);

	set_up(&f, "ram:size=64K,name=s0,error_read=5,error_write=7,max_io=2K", PLX_BLK_O_WRITE, 4);
	EXPECT(0, (r.op = PLX_OP_READ, r.nblk = 5));
	EXPECT(-EIO, (r.op = PLX_OP_READ, r.nblk = 6));
	EXPECT(0, (r.op = PLX_OP_WRITE, r.nblk = 6));
	EXPECT(-EIO, (r.op = PLX_OP_WRITE, r.nblk = 60));
	EXPECT(-EIO, (r.op = PLX_OP_WRITE_ZEROES, r.lba = 7));
	EXPECT(-EMSGSIZE, (r.op = PLX_OP_COMPARE, r.nblk = 5));
	tear_down(&f);
}

static uint64_t
ops_sum(const struct plx_blk_stats *st)
{
	uint64_t sum = st->unknown;
	int op;

	for (op = 0; op < PLX_OP_MAX; op++)
		sum += st->ops[op];
	return sum;
}

/* A queue that is full says so, and takes more when it was polled. */
static void
test_room(void)
{
	static uint8_t buf[BS];
	struct plx_blk_req reqs[16], *in[16], *out[16];
	struct plx_blk_stats st;
	struct fixture f;
	int i;

	set_up(&f, "null:size=1M,name=s0", PLX_BLK_O_WRITE, 5);
	for (i = 0; i < 16; i++) {
		reqs[i] = (struct plx_blk_req){.op = PLX_OP_READ, .nblk = 1, .buf = buf};
		in[i] = &reqs[i];
	}
	CHECK_EQ(plx_blkq_submit(f.q, in, 16), 5);
	CHECK_EQ(plx_blkq_submit(f.q, in + 5, 1), 0);
	CHECK_EQ(f.q->inflight, 5);
	CHECK_EQ(plx_blkq_poll(f.q, out, 2), 2);
	CHECK_EQ(plx_blkq_submit(f.q, in + 5, 11), 2);
	CHECK_EQ(plx_blkq_poll(f.q, out, 16), 5);
	CHECK_EQ(plx_blkq_poll(f.q, out, 16), 0);
	CHECK_EQ(f.q->inflight, 0);
	CHECK_EQ(plx_blk_stats_get(f.blk, 0, &st), 0);
	CHECK_EQ(st.ops[PLX_OP_READ], 7);
	CHECK_EQ(st.blocks[PLX_OP_READ], 7);
	CHECK_EQ(st.completed, ops_sum(&st));
	CHECK_EQ(st.empty_polls, 1);
	CHECK_EQ(plx_blk_stats_get(f.blk, 1, &st), -EINVAL);
	CHECK_EQ(plx_blk_configure(f.blk, 1), -EBUSY);
	CHECK_EQ(plx_blk_stop(f.blk), 0);
	CHECK_EQ(plx_blk_configure(f.blk, 1), 0);
	CHECK_EQ(plx_blk_stats_get(f.blk, UINT16_MAX, &st), 0); /* the device remembers */
	CHECK_EQ(st.completed, 7);
	tear_down(&f);
}

/* Stop takes what is in flight back; the owner collects it afterwards. */
static void
test_stop_in_flight(void)
{
	static uint8_t buf[32 * BS];
	struct plx_blk_req reqs[8], *in[8], *out[8];
	struct plx_blk_stats st;
	struct fixture f;
	int i;

	set_up(&f, "ram:size=64K,name=s0,delay=10000000,max_io=1K", PLX_BLK_O_WRITE, 8);
	for (i = 0; i < 8; i++) {
		reqs[i] = (struct plx_blk_req){.op = PLX_OP_WRITE, .nblk = 4, .buf = buf};
		in[i] = &reqs[i];
	}
	CHECK_EQ(plx_blkq_submit(f.q, in, 8), 8); /* 16 commands, 8 fit */
	CHECK_EQ(plx_blkq_poll(f.q, out, 8), 0);
	CHECK_EQ(plx_blk_stop(f.blk), 0);
	CHECK_EQ(f.q->inflight, 8);
	CHECK_EQ(plx_blkq_poll(f.q, out, 8), 8);
	for (i = 0; i < 8; i++)
		CHECK_EQ(reqs[i].status, -ECANCELED);
	CHECK_EQ(plx_blkq_poll(f.q, out, 8), 0);
	plx_blk_stats_get(f.blk, 0, &st);
	CHECK_EQ(st.completed, 8);
	CHECK_EQ(st.errors, 8);
	tear_down(&f);
}

/* The owner takes requests back, in any order; others come when they are due. */
static void
test_cancel(void)
{
	static uint8_t buf[32 * BS];
	struct plx_blk_req reqs[4], *in[4], *out[4];
	struct fixture f;
	int i;

	set_up(&f, "ram:size=64K,name=s0,delay=10000000,max_io=1K", PLX_BLK_O_WRITE, 8);
	for (i = 0; i < 4; i++) {
		reqs[i] =
			(struct plx_blk_req){.op = PLX_OP_READ, .nblk = i == 3 ? 4 : 1, .buf = buf};
		in[i] = &reqs[i];
	}
	CHECK_EQ(plx_blkq_cancel(f.q, in[0]), -ENOENT);
	CHECK_EQ(plx_blkq_submit(f.q, in, 4), 4);
	CHECK_EQ(plx_blkq_cancel(f.q, in[1]), 0);
	CHECK_EQ(plx_blkq_cancel(f.q, in[1]), -ENOENT);
	CHECK_EQ(plx_blkq_cancel(f.q, in[3]), -ENOENT); /* in parts */
	CHECK_EQ(plx_blkq_poll(f.q, out, 4), 1);
	CHECK(out[0] == in[1] && reqs[1].status == -ECANCELED);
	CHECK_EQ(plx_blkq_cancel(f.q, in[0]), 0);
	CHECK_EQ(plx_blkq_poll(f.q, out, 4), 1);
	CHECK(out[0] == in[0] && reqs[0].status == -ECANCELED);
	CHECK_EQ(plx_blk_stop(f.blk), 0);
	CHECK_EQ(plx_blkq_cancel(f.q, in[2]), -EAGAIN);
	CHECK_EQ(plx_blkq_poll(f.q, out, 4), 2);
	CHECK_EQ(f.q->inflight, 0);
	tear_down(&f);
	set_up(&f, "null:size=1M,name=s0", PLX_BLK_O_WRITE, 4);
	CHECK_EQ(plx_blkq_cancel(f.q, in[0]), -ENOTSUP);
	tear_down(&f);
}

int
main(int argc, char **argv)
{
	REQUIRE(plx_eal_init_app(argc, argv) >= 0);
	RUN(test_states);
	RUN(test_statuses);
	RUN(test_room);
	RUN(test_stop_in_flight);
	RUN(test_cancel);
	plx_eal_cleanup();
	return TEST_RESULT();
}
