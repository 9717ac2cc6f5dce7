/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Four threads, one device, one queue: each writes blocks of its own, reads them back and compares.
 * The first one's reactor owns the queue. Nothing is lost, and all get the same share, whether it
 * is the device that is short or the CPUs.
 *
 *	test_share_threads [SECONDS]
 */
#include <pthread.h>
#include <time.h>
#include <unistd.h>

#include "rig.h"

#define USERS 4
#define DEPTH 256 /* enough to outlast a scheduler's time slice of the others */
#define BLOCK 512
#define WINDOWS 15

struct io {
	struct plx_blk_req req; /* first */
	struct user *u;
	uint64_t value; /* in every word of the block */
	uint64_t *buf;
};

struct user {
	unsigned int id;
	struct plx_reactor *r;
	struct plx_blkr *b;
	struct plx_blkq *q;
	struct io io[DEPTH];
	pthread_t thread;
	uint64_t sent, done, bad, errors;
	unsigned int seed;
} __rte_cache_aligned;

static struct rig g;
static struct user users[USERS];
static bool ending;

static void on_done(struct plx_blk_req *req);

static void
submit(struct io *io)
{
	if (__atomic_load_n(&ending, __ATOMIC_RELAXED))
		return;
	CHECK_EQ(plx_blkr_submit(io->u->b, &io->req, on_done), 0);
	io->u->sent++;
}

/* A block is written, then read and compared, then written with something else. */
static void
on_done(struct plx_blk_req *req)
{
	struct io *io = (struct io *)req;
	struct user *u = io->u;
	unsigned int i;

	__atomic_store_n(&u->done, u->done + 1, __ATOMIC_RELAXED);
	u->errors += req->status != 0;
	if (req->op == PLX_OP_READ) {
		for (i = 0; i < BLOCK / 8; i++)
			u->bad += io->buf[i] != io->value;
		req->op = PLX_OP_WRITE;
		io->value = (uint64_t)rand_r(&u->seed) << 32 | u->id;
		for (i = 0; i < BLOCK / 8; i++)
			io->buf[i] = io->value;
	} else {
		req->op = PLX_OP_READ;
		memset(io->buf, 0xff, BLOCK);
	}
	submit(io);
}

static void
begin(void *arg)
{
	struct user *u = arg;

	for (unsigned int i = 0; i < DEPTH; i++)
		submit(&u->io[i]);
}

static void *
runner(void *arg)
{
	struct user *u = arg;

	plx_reactor_run(u->r);
	return NULL;
}

static void
user_init(struct user *u, unsigned int id, struct plx_blkr_share *s, uint8_t *mem)
{
	u->id = u->seed = id + 1;
	if (s != NULL) {
		CHECK_EQ(plx_blkr_share_open(s, u->r, DEPTH, &u->q), 0);
		CHECK_EQ(plx_blkr_create(u->r, u->q, &u->b), 0);
	}
	for (unsigned int i = 0; i < DEPTH; i++) {
		struct io *io = &u->io[i];

		io->u = u;
		io->buf = (uint64_t *)(mem + ((size_t)id * DEPTH + i) * BLOCK);
		io->req = (struct plx_blk_req){
			.op = PLX_OP_WRITE, .lba = id * DEPTH + i, .nblk = 1, .buf = io->buf};
	}
}

struct shares {
	uint64_t got[USERS], min, max, sum;
};

static void
measure(double seconds, struct shares *s)
{
	*s = (struct shares){.min = UINT64_MAX};
	for (unsigned int i = 0; i < USERS; i++)
		s->got[i] = __atomic_load_n(&users[i].done, __ATOMIC_RELAXED);
	usleep((useconds_t)(seconds * 1e6));
	for (unsigned int i = 0; i < USERS; i++) {
		s->got[i] = __atomic_load_n(&users[i].done, __ATOMIC_RELAXED) - s->got[i];
		s->min = RTE_MIN(s->min, s->got[i]);
		s->max = RTE_MAX(s->max, s->got[i]);
		s->sum += s->got[i];
	}
}

static bool
fair(const struct shares *s)
{
	return (double)(s->max - s->min) <= 0.2 * (double)s->max;
}

static void
load(const char *what, const char *dev, enum plx_reactor_idle idle, double seconds)
{
	struct plx_reactor_conf conf = {.idle = idle};
	uint8_t *mem = plx_mem_alloc(USERS * DEPTH * BLOCK, BLOCK, -1);
	struct plx_blkr_share *s;
	struct shares shares, rest;
	uint64_t lost = 0;
	unsigned int i;

	REQUIRE(mem != NULL);
	memset(users, 0, sizeof(users));
	ending = false;
	rig_up(&g, dev, 8, false);
	for (i = 0; i < USERS; i++)
		REQUIRE(plx_reactor_create_conf("user", &conf, &users[i].r) == 0);
	REQUIRE(plx_blkr_share_create(users[0].r, g.q, &s) == 0);
	REQUIRE(plx_reactor_add_ctrl(users[0].r) != NULL);
	for (i = 0; i < USERS; i++) {
		user_init(&users[i], i, s, mem);
		CHECK_EQ(plx_reactor_send(users[i].r, begin, &users[i]), 0);
		REQUIRE(pthread_create(&users[i].thread, NULL, runner, &users[i]) == 0);
	}
	/* not so while other programs take one CPU more than another */
	for (i = 0, measure(seconds, &shares); i < WINDOWS && !fair(&shares); i++)
		measure(seconds, &shares);
	__atomic_store_n(&ending, true, __ATOMIC_RELAXED);
	for (i = 0, rest.sum = 1; i < 30 && rest.sum != 0; i++)
		measure(0.3, &rest); /* what is out comes back */
	for (i = USERS; i-- > 0;) {
		plx_reactor_stop(users[i].r);
		pthread_join(users[i].thread, NULL);
		lost += users[i].sent - users[i].done;
		CHECK_EQ(users[i].bad, 0);
		CHECK_EQ(users[i].errors, 0);
		CHECK_EQ(plx_blkr_destroy(users[i].b), 0);
		CHECK_EQ(plx_blkr_share_close(users[i].q), 0);
	}
	printf("%s: %" PRIu64 " I/O in %.1f s, a user's share %.1f to %.1f %%, %" PRIu64 " lost\n",
		what, shares.sum, seconds, 100.0 * (double)shares.min / (double)shares.sum,
		100.0 * (double)shares.max / (double)shares.sum, lost);
	CHECK_EQ(lost, 0);
	CHECK(fair(&shares), "not fair: %" PRIu64 " to %" PRIu64, shares.min, shares.max);
	CHECK_EQ(plx_blkr_share_destroy(s), 0);
	for (i = 0; i < USERS; i++)
		plx_reactor_destroy(users[i].r);
	rig_down(&g);
	plx_mem_free(mem);
}

static double seconds = 0.3;

/* The device is what all wait for. */
static void
test_slow_device(void)
{
	load("slow device, busy", "ram:size=1M,delay=100,name=r0", PLX_IDLE_BUSY, seconds);
	load("slow device, adaptive", "ram:size=1M,delay=100,name=r0", PLX_IDLE_ADAPTIVE, seconds);
}

/* CPU time is what all wait for. */
static void
test_short_cpu(void)
{
	load("fast device, busy", "ram:size=1M,name=r0", PLX_IDLE_BUSY, seconds);
	load("fast device, adaptive", "ram:size=1M,name=r0", PLX_IDLE_ADAPTIVE, seconds);
}

/* The same through the NVMe driver and a controller, which the owner's thread runs as well. */
static void
test_soft_nvme(void)
{
	struct plx_dev *medium;

	REQUIRE(plx_attach("ram:size=1M,delay=100,name=m0", &medium) == 0);
	load("soft-nvme, adaptive", "soft-nvme:backend=m0,queues=1,name=r0", PLX_IDLE_ADAPTIVE,
		seconds);
	CHECK_EQ(plx_detach(medium), 0);
}

int
main(int argc, char **argv)
{
	char *eal[] = {"test", "--no-huge", NULL};

	if (argc > 1)
		seconds = atof(argv[1]);
	REQUIRE(plx_eal_init_app(2, eal) >= 0);
	RUN(test_slow_device);
	RUN(test_short_cpu);
	RUN(test_soft_nvme);
	plx_eal_cleanup();
	return TEST_RESULT();
}
