/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * In an EAL of the application's: Pollux is joined and left many times, leaving nothing behind; and
 * two users that know nothing of each other come and go, each with devices and a reactor of its
 * own, at the same time.
 *
 *	test_users [ROUNDS]
 */
#include <pthread.h>

#include <rte_eal.h>

#include "plx_blkr.h"

#include "host.h"

#define DEPTH 16
#define WARM_UP 3 /* what is made once and kept is there after these */

static int nb_rounds = 30;

struct user {
	char str[64];
	struct plx_dev *dev;
	struct plx_blk *blk;
	struct plx_reactor *r;
	struct plx_blkr *b;
	struct plx_blk_req req[DEPTH];
	uint64_t *mem; /* 64 words a request */
	uint64_t seed;
	unsigned int left, bad;
};

static uint64_t
word(const struct user *u, unsigned int i, unsigned int k)
{
	return (u->seed << 32) + i * 64 + k;
}

/* A block that was written is read, and compared. */
static void
on_done(struct plx_blk_req *req)
{
	struct user *u = (struct user *)((char *)(req - req->lba) - offsetof(struct user, req));
	unsigned int i = (unsigned int)req->lba, k;

	u->bad += req->status != 0;
	if (req->op == PLX_OP_WRITE) {
		memset(u->mem + i * 64, 0, 512);
		req->op = PLX_OP_READ;
		u->bad += plx_blkr_submit(u->b, req, on_done) != 0;
		return;
	}
	for (k = 0; k < 64; k++)
		u->bad += u->mem[i * 64 + k] != word(u, i, k);
	if (--u->left == 0)
		plx_reactor_stop(u->r);
}

static void
open_device(struct user *u)
{
	REQUIRE(plx_attach(u->str, &u->dev) == 0);
	REQUIRE(plx_blk_open(plx_dev_name(u->dev), PLX_BLK_O_WRITE, &u->blk) == 0);
	REQUIRE(plx_blk_configure(u->blk, 1) == 0 && plx_blkq_setup(u->blk, 0, NULL) == 0);
	REQUIRE(plx_blk_start(u->blk) == 0);
	u->r = plx_reactor_create(u->str);
	REQUIRE(u->r != NULL && plx_reactor_add_ctrl(u->r) != NULL);
	REQUIRE(plx_blkr_create(u->r, plx_blk_queue_get(u->blk, 0), &u->b) == 0);
	u->mem = plx_mem_alloc(DEPTH * 512, 4096, -1);
	REQUIRE(u->mem != NULL);
}

static void
close_device(struct user *u)
{
	CHECK_EQ(plx_blkr_destroy(u->b), 0);
	plx_reactor_destroy(u->r);
	CHECK_EQ(plx_detach(u->dev), 0);
	plx_mem_free(u->mem);
}

/* Join, use, leave. */
static void
visit(struct user *u)
{
	CHECK_EQ(plx_eal_init(0, NULL), 0);
	CHECK(plx_eal_joined(), "not joined");
	open_device(u);
	u->seed++;
	u->left = DEPTH;
	for (unsigned int i = 0; i < DEPTH; i++) {
		for (unsigned int k = 0; k < 64; k++)
			u->mem[i * 64 + k] = word(u, i, k);
		u->req[i] = (struct plx_blk_req){
			.op = PLX_OP_WRITE, .lba = i, .nblk = 1, .buf = u->mem + i * 64};
		CHECK_EQ(plx_blkr_submit(u->b, &u->req[i], on_done), 0);
	}
	CHECK_EQ(plx_reactor_run(u->r), 0);
	close_device(u);
	CHECK_EQ(plx_eal_cleanup(), 0);
}

static void
test_come_and_go(void)
{
	struct user u = {.str = "soft-nvme:size=1M,name=c"};
	struct host_use before = {0};

	for (int i = 0; i < nb_rounds; i++) {
		if (i == WARM_UP)
			before = host_use();
		visit(&u);
	}
	host_unused(&before);
	CHECK_EQ(u.bad, 0);
}

static void *
guest(void *arg)
{
	for (int i = 0; i < nb_rounds; i++)
		visit(arg);
	return NULL;
}

static void
test_two_users(void)
{
	static struct user a = {.str = "soft-nvme:size=1M,name=a", .seed = 1u << 20};
	static struct user b = {.str = "ram:size=1M,block=512,name=b", .seed = 2u << 20};
	pthread_t ta, tb;

	REQUIRE(pthread_create(&ta, NULL, guest, &a) == 0);
	REQUIRE(pthread_create(&tb, NULL, guest, &b) == 0);
	pthread_join(ta, NULL);
	pthread_join(tb, NULL);
	CHECK_EQ(a.bad, 0);
	CHECK_EQ(b.bad, 0);
}

int
main(int argc, char **argv)
{
	char *eal[] = {
		argv[0], "--no-huge", "--no-shconf", "--no-pci", "--no-telemetry", "-m", "128"};

	if (argc > 1)
		nb_rounds = atoi(argv[1]);
	REQUIRE(rte_eal_init(RTE_DIM(eal), eal) >= 0);
	RUN(test_come_and_go);
	RUN(test_two_users);
	CHECK_EQ(rte_eal_cleanup(), 0);
	return TEST_RESULT();
}
