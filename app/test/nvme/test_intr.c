/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sleeping until a queue has something to poll: no wake-up may be lost, whatever happens.
 * usage: test_intr [slow | DEVICE ROUNDS]
 */
#include <poll.h>

#include "plx_nvmet.h"
#include "rig.h"

#define LOST_MS 5000

static unsigned int sleeps, not_yet;

/* Poll, arm and sleep until n requests came back. */
static void
sleep_for(struct plx_blkq *q, unsigned int n)
{
	struct plx_blk_req *got[HOST_DEPTH];
	unsigned int k;
	uint64_t v;
	int rc;

	while (n != 0) {
		rc = plx_blkq_intr_arm(q);
		REQUIRE(rc == 0 || rc == -EAGAIN);
		not_yet += rc != 0;
		k = plx_blkq_poll(q, got, HOST_DEPTH);
		if (rc == 0 && k == 0) {
			struct pollfd p = {.fd = plx_blkq_intr_fd(q), .events = POLLIN};

			REQUIRE(poll(&p, 1, LOST_MS) == 1); /* else: lost */
			REQUIRE(read(p.fd, &v, sizeof(v)) == sizeof(v));
			sleeps++;
		}
		CHECK_EQ(plx_blkq_intr_disarm(q), 0);
		n -= k;
		if (rc != 0)
			plx_ctrl_poll();
	}
}

static void
rounds(unsigned int n)
{
	unsigned int i, k, m;

	sleeps = 0;
	for (i = 0; i < n; i++) {
		m = 1 + (i % 7 == 0 ? i % HOST_DEPTH : 0);
		for (k = 0; k < m; k++)
			host_prepare(&h, k, k % 2 ? PLX_OP_READ : PLX_OP_WRITE, k * 8, 8);
		host_submit(&h, m);
		sleep_for(h.q, m);
		for (k = 0; k < m; k++)
			REQUIRE(h.reqs[k].status == 0);
		if (i % 16 == 0)
			plx_ctrl_poll();
	}
}

static void
open_intr(const char *name, uint16_t queues)
{
	host_set_up_intr(&h, name, queues, HOST_DEPTH, true);
	REQUIRE(plx_blk_start(h.blk) == 0);
}

static void
poll_for(double seconds)
{
	double until = host_now() + seconds;

	while (host_now() < until) {
		host_one(&h, PLX_OP_READ, 0, 1);
		plx_ctrl_poll();
		usleep(1000);
	}
}

/* Against the fake controller, with doorbells of every kind; in between the queue is polled until
 * it is taken off the wire, and reset. */
static void
fake_rounds(unsigned int n, const char *more)
{
	attach(more);
	open_intr("fk", 1);
	not_yet = 0;
	rounds(n);
	CHECK(sleeps > n / 8, "%u sleeps in %u rounds", sleeps, n);
	CHECK_EQ(not_yet, 0);
	poll_for(2.2);
	rounds(n / 4);
	CHECK(not_yet != 0);
	not_yet = 0;
	CHECK_EQ(plx_blk_reset(h.blk), 0);
	rounds(n / 4);
	CHECK_EQ(plx_blk_stop(h.blk), 0);
	CHECK_EQ(plx_blk_start(h.blk), 0);
	rounds(n / 4);
	CHECK_EQ(host_close(&h), 0);
	end();
}

static unsigned int nr_rounds = 2000;

static void
mapped_doorbells(void)
{
	begin();
	fake_rounds(nr_rounds, "");
}

static void
unmapped_doorbells(void)
{
	begin();
	f.post = true;
	fake_rounds(nr_rounds / 4, "");
}

static void
doorbell_buffers(void)
{
	begin();
	f.id.oacs = 0x100;
	fake_rounds(nr_rounds / 4, ",dbbuf=on");
}

/* Vector 0 is the admin queue's: of 4, three queues have one. */
static void
few_vectors(void)
{
	unsigned int i;

	begin();
	attach("");
	open_intr("fk", 5);
	for (i = 0; i < 5; i++) {
		struct plx_blkq *q = plx_blk_queue_get(h.blk, (uint16_t)i);

		if (i < 3)
			CHECK(plx_blkq_intr_fd(q) >= 0);
		else
			CHECK_EQ(plx_blkq_intr_fd(q), -ENOTSUP);
		CHECK_EQ(plx_blkq_intr_arm(q), i < 3 ? 0 : -ENOTSUP);
	}
	h.q = plx_blk_queue_get(h.blk, 2);
	rounds(100);
	h.q = plx_blk_queue_get(h.blk, 4);
	io();
	CHECK_EQ(host_close(&h), 0);
	end();
}

/* ---- an owner that sleeps while others work for it ---- */

static bool quit;

static void *
drive(void *arg)
{
	while (!__atomic_load_n(&quit, __ATOMIC_RELAXED)) {
		plx_ctrl_poll();
		usleep(500);
	}
	return arg;
}

/* A command that isn't answered is found though its owner doesn't poll, which is woken when the
 * controller is lost, too. */
static void
sleeping_owner(void)
{
	pthread_t thread;

	begin();
	attach(",io_timeout=500");
	open_intr("fk", 1);
	quit = false;
	REQUIRE(pthread_create(&thread, NULL, drive, NULL) == 0);
	fault(FAKE_SILENT, 0, 1);
	host_prepare(&h, 0, PLX_OP_READ, 0, 1);
	host_submit(&h, 1);
	sleep_for(h.q, 1);
	CHECK_EQ(h.reqs[0].status, 0);
	CHECK_EQ(seen(&f.nr_aborts), 1);
	fault(FAKE_SILENT, 0, 10);
	host_prepare(&h, 0, PLX_OP_READ, 0, 1);
	host_submit(&h, 1);
	fake_lock(&f);
	f.all_ones = true;
	fake_unlock(&f);
	sleep_for(h.q, 1);
	CHECK_EQ(h.reqs[0].status, -ENODEV);
	__atomic_store_n(&quit, true, __ATOMIC_RELAXED);
	REQUIRE(pthread_join(thread, NULL) == 0);
	CHECK_EQ(host_close(&h), 0);
	end();
}

/* ---- against our controller ---- */

static struct plx_nvmet *ctrl;

static void *
serve(void *arg)
{
	while (!__atomic_load_n(&quit, __ATOMIC_RELAXED))
		if (plx_nvmet_poll(ctrl) == 0)
			sched_yield();
	return arg;
}

static void
our_controller(void)
{
	const char *name = "r0";
	char dir[] = "/tmp/plx-intr-XXXXXX", path[64];
	struct plx_nvmet_conf conf = {.path = path, .devs = &name, .nb_devs = 1};
	struct plx_dev *ram;
	pthread_t thread;

	REQUIRE(mkdtemp(dir) != NULL);
	snprintf(path, sizeof(path), "%s/cntrl", dir);
	REQUIRE(plx_attach("ram:size=16M,name=r0", &ram) == 0);
	REQUIRE(plx_nvmet_create(&conf, &ctrl) == 0);
	quit = false;
	REQUIRE(pthread_create(&thread, NULL, serve, NULL) == 0);
	snprintf(str, sizeof(str), "vfio-user:%s,name=nv", path);
	REQUIRE(host_attach(&h, str) == 0);
	open_intr("nv", 1);
	rounds(nr_rounds);
	poll_for(2.2);
	rounds(nr_rounds / 4);
	CHECK_EQ(plx_blk_reset(h.blk), 0);
	rounds(nr_rounds / 4);
	CHECK_EQ(host_close(&h), 0);
	__atomic_store_n(&quit, true, __ATOMIC_RELAXED);
	REQUIRE(pthread_join(thread, NULL) == 0);
	plx_nvmet_destroy(ctrl);
	CHECK_EQ(plx_detach(ram), 0);
	CHECK_EQ(rmdir(dir), 0);
}

/* Against a device of the caller's, whose first blocks are overwritten. */
static void
given_device(void)
{
	struct plx_blk_info info;

	REQUIRE(host_attach(&h, str) == 0);
	open_intr(plx_dev_name(h.dev), 1);
	rounds(nr_rounds);
	CHECK(sleeps != 0); /* how many is up to the machine */
	poll_for(2.2);
	not_yet = 0;
	rounds(nr_rounds / 4);
	plx_blk_info_get(h.blk, &info);
	CHECK(not_yet != 0 || strcmp(info.driver, "nvme") != 0); /* others need not be told */
	CHECK_EQ(plx_blk_reset(h.blk), 0);
	rounds(nr_rounds / 4);
	CHECK_EQ(host_close(&h), 0);
}

/* Its work is done inside poll: it has none, and needs none. */
static void
soft_nvme(void)
{
	REQUIRE(host_attach(&h, "soft-nvme:size=16M,name=sn") == 0);
	open_intr("sn", 1);
	CHECK_EQ(plx_blkq_intr_fd(h.q), -ENOTSUP);
	CHECK_EQ(plx_blkq_intr_arm(h.q), -ENOTSUP);
	CHECK_EQ(host_one(&h, PLX_OP_READ, 0, 1), 0);
	CHECK_EQ(host_close(&h), 0);
}

int
main(int argc, char **argv)
{
	bool all = argc == 2 && strcmp(argv[1], "slow") == 0;

	if (all)
		nr_rounds = 100000;
	host_eal(argc, argv);
	if (argc == 3) {
		snprintf(str, sizeof(str), "%s", argv[1]);
		nr_rounds = (unsigned int)atoi(argv[2]);
		RUN(given_device);
		plx_eal_cleanup();
		return TEST_RESULT();
	}
	RUN(mapped_doorbells);
	RUN(few_vectors);
	RUN(our_controller);
	if (all) {
		RUN(unmapped_doorbells);
		RUN(doorbell_buffers);
		RUN(sleeping_owner);
		RUN(soft_nvme);
	}
	plx_eal_cleanup();
	return TEST_RESULT();
}
