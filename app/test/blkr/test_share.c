/* SPDX-License-Identifier: BSD-3-Clause */
/* A shared queue, all from one thread. */
#include "rig.h"

static struct rig g;
static struct plx_blkr_share *s;
static struct plx_blkq *u[PLX_BLKR_USERS + 1];
static uint8_t buf[512];

static void
setup(const char *str, uint16_t depth, unsigned int users, uint16_t user_depth)
{
	rig_up(&g, str, depth, false);
	g.r = plx_reactor_create("owner");
	REQUIRE(g.r != NULL);
	REQUIRE(plx_blkr_share_create(g.r, g.q, &s) == 0);
	for (unsigned int i = 0; i < users; i++)
		REQUIRE(plx_blkr_share_open(s, NULL, user_depth, &u[i]) == 0);
}

static void
teardown(unsigned int users)
{
	for (unsigned int i = 0; i < users; i++)
		CHECK_EQ(plx_blkr_share_close(u[i]), 0);
	CHECK_EQ(plx_blkr_share_destroy(s), 0);
	plx_reactor_destroy(g.r);
	rig_down(&g);
}

static void
fill(struct plx_blk_req *reqs, struct plx_blk_req **p, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		reqs[i] = (struct plx_blk_req){.op = PLX_OP_READ, .lba = i, .nblk = 1, .buf = buf};
		p[i] = &reqs[i];
	}
}

static unsigned int
poll_some(struct plx_blkq *q, int status, unsigned int want)
{
	struct plx_blk_req *back[64];
	unsigned int got = 0, n;

	for (int turn = 0; got < want && turn < 10000000; turn++) {
		plx_reactor_step(g.r);
		n = plx_blkq_poll(q, back, 64);
		for (unsigned int i = 0; i < n; i++) {
			CHECK_EQ(back[i]->status, status);
			CHECK_EQ(back[i]->rsvd, 0);
		}
		got += n;
	}
	CHECK_EQ(got, want);
	return got;
}

/* Bounded: a user's own depth, a short count, nothing lost. */
static void
test_bounds(void)
{
	struct plx_blk_req reqs[20], *p[20];
	struct plx_blkr_share *again;

	setup("ram:size=1M,name=r0", 4, 1, 16);
	CHECK_EQ(plx_blkr_share_create(g.r, u[0], &again), -EINVAL);
	CHECK_EQ(plx_blkq_intr_fd(u[0]), -ENOTSUP);
	CHECK_EQ(plx_blkq_intr_arm(u[0]), -ENOTSUP);
	CHECK_EQ(u[0]->depth, 16);
	fill(reqs, p, 20);
	CHECK_EQ(plx_blkq_submit(u[0], p, 10), 10);
	CHECK_EQ(plx_blkq_submit(u[0], p + 10, 10), 6);
	CHECK_EQ(plx_blkq_submit(u[0], p + 16, 4), 0);
	CHECK_EQ(plx_blkq_cancel(u[0], p[0]), -ENOTSUP);
	CHECK_EQ(plx_blkr_share_close(u[0]), -EBUSY);
	CHECK_EQ(plx_blkr_share_destroy(s), -EBUSY);
	poll_some(u[0], 0, 16);
	CHECK_EQ(u[0]->inflight, 0);
	CHECK_EQ(plx_blkq_submit(u[0], p + 16, 4), 4);
	poll_some(u[0], 0, 4);
	CHECK_EQ(plx_blkr_share_destroy(s), -EBUSY);
	teardown(1);
	CHECK_EQ(plx_blkr_share_destroy(NULL), 0);
}

static void
test_users(void)
{
	struct plx_blkq *last;

	setup("ram:size=1M,name=r0", 4, PLX_BLKR_USERS, 2);
	CHECK_EQ(plx_blkr_share_open(s, NULL, 0, &last), -ENOSPC);
	CHECK_EQ(plx_blkr_share_open(s, NULL, 32769, &last), -EINVAL);
	CHECK_EQ(plx_blkr_share_close(u[17]), 0);
	plx_reactor_step(g.r);
	CHECK_EQ(plx_blkr_share_open(s, NULL, 0, &u[17]), 0);
	CHECK_EQ(u[17]->depth, 4);
	teardown(PLX_BLKR_USERS);
}

/* Unequal appetite, a device with little room: each gets the same as long as it wants more. */
static void
test_fair(void)
{
	static struct plx_blk_req reqs[3][512], *p[3][512], *back[64];
	const unsigned int burst[3] = {1, 64, 7};
	unsigned int sent[3] = {0}, got[3] = {0}, n;

	setup("ram:size=1M,delay=20,name=r0", 5, 3, 256);
	for (int i = 0; i < 3; i++)
		fill(reqs[i], p[i], 512);
	while (got[0] + got[1] + got[2] < 900) {
		for (int i = 0; i < 3; i++) {
			/* greedy from the start, or as many again as came back */
			for (n = 1; n != 0 && sent[i] < 512; sent[i] += n)
				n = plx_blkq_submit(u[i], p[i] + sent[i],
					(uint16_t)RTE_MIN(burst[i], 512 - sent[i]));
		}
		plx_reactor_step(g.r);
		for (int i = 0; i < 3; i++)
			got[i] += plx_blkq_poll(u[i], back, 64);
	}
	for (int i = 0; i < 3; i++)
		CHECK(got[i] >= 300 - 15 && got[i] <= 300 + 15, "user %d got %u of 900", i, got[i]);
	for (int i = 0; i < 3; i++)
		got[i] += poll_some(u[i], 0, 512 - got[i]);
	teardown(3);
}

/* Stop, reset and removal are seen as on any queue. */
static void
test_stop_reset(void)
{
	struct plx_blk_req reqs[20], *p[20];

	setup("ram:size=1M,delay=3000000,name=r0", 4, 1, 20);
	fill(reqs, p, 20);
	CHECK_EQ(plx_blkq_submit(u[0], p, 20), 20);
	plx_reactor_step(g.r); /* 4 are with the device */
	CHECK_EQ(plx_blk_reset(g.blk), 0);
	poll_some(u[0], -ECANCELED, 4);
	plx_reactor_step(g.r);
	for (int i = 4; i < 20; i++)
		reqs[i].status = 1;
	CHECK_EQ(plx_blk_stop(g.blk), 0);
	/* 4 were with the device, the others come to a stopped queue */
	for (unsigned int n = 0, turn = 0; n < 16 && turn < 1000; turn++) {
		struct plx_blk_req *back[64];

		plx_reactor_step(g.r);
		n += plx_blkq_poll(u[0], back, 64);
	}
	for (int i = 4; i < 20; i++)
		CHECK_EQ(reqs[i].status, i < 8 ? -ECANCELED : -ESHUTDOWN);
	CHECK_EQ(u[0]->inflight, 0);
	teardown(1);
}

/* A user with callbacks on its own reactor, stepped in turns with the owner's. */
static unsigned int called;

static void
on_done(struct plx_blk_req *req)
{
	CHECK_EQ(req->status, 0);
	called++;
}

static void
test_callbacks(void)
{
	struct plx_reactor *r = plx_reactor_create("user");
	struct plx_blk_req reqs[8], *p[8];
	struct plx_blkr *b;

	setup("ram:size=1M,name=r0", 4, 0, 0);
	CHECK_EQ(plx_blkr_share_open(s, r, 8, &u[0]), 0);
	CHECK_EQ(plx_blkr_create(r, u[0], &b), 0);
	fill(reqs, p, 8);
	for (int i = 0; i < 8; i++)
		CHECK_EQ(plx_blkr_submit(b, p[i], on_done), 0);
	for (int i = 0; i < 20; i++) {
		plx_reactor_step(r);
		plx_reactor_step(g.r);
	}
	CHECK_EQ(called, 8);
	CHECK_EQ(plx_blkr_destroy(b), 0);
	teardown(1);
	plx_reactor_destroy(r);
}

int
main(void)
{
	char *argv[] = {"test", "--no-huge", NULL};

	REQUIRE(plx_eal_init_app(2, argv) >= 0);
	RUN(test_bounds);
	RUN(test_users);
	RUN(test_fair);
	RUN(test_stop_reset);
	RUN(test_callbacks);
	plx_eal_cleanup();
	return TEST_RESULT();
}
