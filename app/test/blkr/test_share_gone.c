/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A device that goes, stops or is reset while three threads use its one queue by way of an owner's
 * reactor: each request comes back exactly once.
 */
#include <pthread.h>
#include <unistd.h>

#include "plx_blkr.h"

#include "fake.h"
#include "host.h"

#define USERS 3
#define DEPTH 32

struct user {
	struct plx_blkq *q;
	struct plx_blk_req reqs[DEPTH];
	bool out[DEPTH];
	uint8_t *mem;
	pthread_t thread;
	uint64_t sent, good, cancelled, shut_down, gone, other, twice; /* the last six: came back */
};

static struct fake f;
static struct host h;
static struct plx_reactor *owner;
static struct plx_blkr_share *share;
static struct user users[USERS];
static pthread_t owner_thread;
static bool ending;

static void *
run_owner(void *arg)
{
	plx_reactor_run(owner);
	return NULL;
}

static void
count(uint64_t *c)
{
	__atomic_store_n(c, *c + 1, __ATOMIC_RELAXED);
}

static uint64_t
read_count(const uint64_t *c)
{
	return __atomic_load_n(c, __ATOMIC_RELAXED);
}

static void
came_back(struct user *u, struct plx_blk_req *req)
{
	if (!u->out[req - u->reqs])
		count(&u->twice);
	u->out[req - u->reqs] = false;
	switch (req->status) {
	case 0:
		count(&u->good);
		break;
	case -ECANCELED:
		count(&u->cancelled);
		break;
	case -ESHUTDOWN:
		count(&u->shut_down);
		break;
	case -ENODEV:
		count(&u->gone);
		break;
	default:
		count(&u->other);
	}
}

static void
collect(struct user *u)
{
	struct plx_blk_req *back[DEPTH];
	unsigned int n = plx_blkq_poll(u->q, back, DEPTH);

	for (unsigned int i = 0; i < n; i++)
		came_back(u, back[i]);
	if (n == 0)
		usleep(20);
}

static void *
run_user(void *arg)
{
	struct user *u = arg;

	while (!__atomic_load_n(&ending, __ATOMIC_RELAXED)) {
		for (unsigned int i = 0; i < DEPTH; i++) {
			struct plx_blk_req *req = &u->reqs[i];

			if (u->out[i])
				continue;
			*req = (struct plx_blk_req){
				.op = PLX_OP_READ, .lba = i, .nblk = 1, .buf = u->mem + i * 512};
			u->out[i] = plx_blkq_submit(u->q, &req, 1) == 1;
			u->sent += u->out[i];
		}
		collect(u);
	}
	for (double until = host_now() + 10; u->q->inflight != 0 && host_now() < until;)
		collect(u);
	return NULL;
}

static void
load_begin(void)
{
	owner = plx_reactor_create("owner");
	REQUIRE(owner != NULL && plx_blkr_share_create(owner, h.q, &share) == 0);
	ending = false;
	memset(users, 0, sizeof(users));
	for (unsigned int i = 0; i < USERS; i++) {
		users[i].mem = plx_mem_alloc(DEPTH * 512, 4096, -1);
		REQUIRE(users[i].mem != NULL);
		REQUIRE(plx_blkr_share_open(share, NULL, DEPTH, &users[i].q) == 0);
	}
	REQUIRE(pthread_create(&owner_thread, NULL, run_owner, NULL) == 0);
	for (unsigned int i = 0; i < USERS; i++)
		REQUIRE(pthread_create(&users[i].thread, NULL, run_user, &users[i]) == 0);
}

/* Each user got n more of this kind. */
static void
until_more(size_t kind, uint64_t n)
{
	for (unsigned int i = 0; i < USERS; i++) {
		const uint64_t *c = (const uint64_t *)((const char *)&users[i] + kind);
		uint64_t want = read_count(c) + n;

		for (double until = host_now() + 10; read_count(c) < want && host_now() < until;) {
			plx_ctrl_poll();
			usleep(50);
		}
		CHECK(read_count(c) >= want, "user %u: %" PRIu64 " of %" PRIu64, i, read_count(c),
			want);
	}
}
#define UNTIL_MORE(kind, n) until_more(offsetof(struct user, kind), n)

static void
load_end(void)
{
	__atomic_store_n(&ending, true, __ATOMIC_RELAXED);
	for (unsigned int i = 0; i < USERS; i++) {
		struct user *u = &users[i];

		pthread_join(u->thread, NULL);
		CHECK_EQ(u->sent, u->good + u->cancelled + u->shut_down + u->gone);
		CHECK_EQ(u->other, 0);
		CHECK_EQ(u->twice, 0);
		CHECK_EQ(plx_blkr_share_close(u->q), 0);
	}
	plx_reactor_stop(owner);
	pthread_join(owner_thread, NULL);
	CHECK_EQ(plx_blkr_share_destroy(share), 0);
	plx_reactor_destroy(owner);
	CHECK_EQ(host_close(&h), 0);
	for (unsigned int i = 0; i < USERS; i++)
		plx_mem_free(users[i].mem);
}

/* Its registers read all ones while commands are out that it never answers. */
static void
test_unplugged(void)
{
	char str[128];

	fake_init(&f);
	fake_start(&f);
	snprintf(str, sizeof(str), "vfio-user:%s,name=fk", f.path);
	REQUIRE(host_attach(&h, str) == 0);
	host_open(&h, "fk/n1");
	load_begin();
	UNTIL_MORE(good, 1000);
	fake_lock(&f);
	f.fault = FAKE_SILENT;
	f.nr_faults = 1000000;
	fake_unlock(&f);
	usleep(20000);
	fake_lock(&f);
	f.all_ones = true;
	fake_unlock(&f);
	/* what was out, and all that come later */
	UNTIL_MORE(gone, 1000);
	CHECK(host_event(&h, PLX_BLK_EVENT_REMOVED, 0, 3), "nobody says that it is gone");
	load_end();
	fake_stop(&f);
	CHECK(f.broken == NULL, "the host's fault: %s", f.broken);
}

static void
test_stopped(void)
{
	REQUIRE(host_attach(&h, "soft-nvme:size=1M,queues=1,name=s0") == 0);
	host_open(&h, "s0/n1");
	load_begin();
	for (int turn = 0; turn < 5; turn++) {
		UNTIL_MORE(good, 500);
		CHECK_EQ(plx_blk_reset(h.blk), 0);
		UNTIL_MORE(good, 500);
		CHECK_EQ(plx_blk_stop(h.blk), 0);
		UNTIL_MORE(shut_down, 100);
		CHECK_EQ(plx_blk_start(h.blk), 0);
	}
	UNTIL_MORE(good, 500);
	load_end();
}

int
main(int argc, char **argv)
{
	host_eal(argc, argv);
	RUN(test_unplugged);
	RUN(test_stopped);
	plx_eal_cleanup();
	return TEST_RESULT();
}
