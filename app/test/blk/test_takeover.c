/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One thread submits and polls, another stops, starts and resets: every request that was
 * accepted comes back exactly once, with its data when it says 0. Made for ThreadSanitizer too.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <unistd.h>

#include "plx_blk.h"
#include "plx_ctrl.h"
#include "plx_eal.h"
#include "plx_probe.h"
#include "plx_test.h"

#define DEPTH 32
#define BLOCKS 6
#define BS 512

struct io {
	struct plx_blk_req req;
	uint8_t buf[BLOCKS * BS];
	bool busy;
};

static struct {
	struct plx_blkq *q;
	atomic_bool end;
	uint64_t accepted, back, ok, cancelled, refused, parked, bad;
} owner;

static void
take_back(struct plx_blk_req *const *reqs, uint16_t n)
{
	uint16_t i;

	for (i = 0; i < n; i++) {
		struct io *io = container_of(reqs[i], struct io, req);

		owner.bad += !io->busy;
		io->busy = false;
		switch (io->req.status) {
		case 0:
			owner.ok++;
			break;
		case -ECANCELED:
			owner.cancelled++;
			break;
		case -ESHUTDOWN:
			owner.refused++;
			break;
		default:
			owner.bad++;
		}
	}
	owner.back += n;
}

static void *
owner_main(void *arg)
{
	struct io *ios = aligned_alloc(64, DEPTH * sizeof(*ios));
	struct plx_blk_req *in[DEPTH], *out[8];
	unsigned int i, idle = 0;
	uint16_t n, sent;

	memset(ios, 0, DEPTH * sizeof(*ios));
	/* what was lost is counted below, not waited for */
	while (!atomic_load(&owner.end) || (owner.accepted != owner.back && idle < 200000)) {
		for (i = 0, n = 0; i < DEPTH && !atomic_load(&owner.end); i++) {
			if (ios[i].busy)
				continue;
			ios[i].req = (struct plx_blk_req){.op = i & 1 ? PLX_OP_WRITE : PLX_OP_READ,
				.lba = i * BLOCKS,
				.nblk = i % BLOCKS + 1,
				.buf = ios[i].buf};
			in[n++] = &ios[i].req;
		}
		sent = plx_blkq_submit(owner.q, in, n);
		owner.accepted += sent;
		owner.parked += sent == 0 && n != 0;
		for (i = 0; i < sent; i++)
			container_of(in[i], struct io, req)->busy = true;
		n = plx_blkq_poll(owner.q, out, 8);
		take_back(out, n);
		idle = n != 0 ? 0 : idle + 1;
		if (idle > 100)
			usleep(10);
	}
	free(ios);
	return NULL;
}

static void
run_on(const char *str, bool may_cancel)
{
	struct plx_blk_stats st;
	struct plx_dev *dev;
	struct plx_blk *blk;
	pthread_t thread;
	int i;

	memset(&owner, 0, sizeof(owner));
	REQUIRE(plx_attach(str, &dev) == 0);
	REQUIRE(plx_blk_open(plx_dev_name(dev), PLX_BLK_O_WRITE, &blk) == 0);
	REQUIRE(plx_blk_configure(blk, 1) == 0);
	REQUIRE(plx_blkq_setup(blk, 0, &(struct plx_blkq_conf){.depth = DEPTH}) == 0);
	owner.q = plx_blk_queue_get(blk, 0);
	REQUIRE(pthread_create(&thread, NULL, owner_main, NULL) == 0);
	for (i = 0; i < 400; i++) {
		CHECK_EQ(plx_blk_start(blk), 0);
		usleep(500);
		if (i % 3 == 0)
			CHECK_EQ(plx_blk_reset(blk), 0);
		plx_blk_stats_get(blk, 0, &st);
		CHECK_EQ(plx_blk_stop(blk), 0);
		if (i % 5 == 0)
			CHECK_EQ(plx_blk_reset(blk), 0);
		usleep(100);
	}
	atomic_store(&owner.end, true);
	pthread_join(thread, NULL);
	plx_blk_stats_get(blk, 0, &st);
	CHECK_EQ(owner.back, owner.accepted);
	CHECK_EQ(st.completed, owner.back);
	CHECK_EQ(st.ops[PLX_OP_READ] + st.ops[PLX_OP_WRITE], owner.accepted);
	CHECK_EQ(st.errors, owner.cancelled + owner.refused);
	CHECK_EQ(owner.q->inflight, 0);
	CHECK_EQ(owner.bad, 0);
	CHECK(owner.ok != 0 && owner.refused != 0);
	CHECK(may_cancel || owner.cancelled == 0);
	printf("%s: %" PRIu64 " done, %" PRIu64 " cancelled, %" PRIu64 " refused\n", str, owner.ok,
		owner.cancelled, owner.refused);
	CHECK_EQ(plx_detach(dev), 0);
}

static void
test_null(void)
{
	run_on("null:size=1M", false);
}

static void
test_ram(void)
{
	run_on("ram:size=1M", false);
}

static void
test_ram_split(void)
{
	run_on("ram:size=1M,max_io=1K,delay=100", true);
}

/* The owner's side of the handshake, stuck: control gives up and leaves all as it was. */
static void
test_stuck_owner(void)
{
	struct plx_blk_req req = {.op = PLX_OP_FLUSH}, *r = &req, *out;
	struct plx_blk_info info;
	struct plx_dev *dev;
	struct plx_blk *blk;
	struct plx_blkq *q;

	REQUIRE(plx_attach("ram:size=1M", &dev) == 0);
	REQUIRE(plx_blk_open(plx_dev_name(dev), 0, &blk) == 0);
	REQUIRE(plx_blk_configure(blk, 1) == 0);
	REQUIRE(plx_blkq_setup(blk, 0, NULL) == 0);
	REQUIRE(plx_blk_start(blk) == 0);
	q = plx_blk_queue_get(blk, 0);
	__atomic_store_n(&q->busy, 1, __ATOMIC_RELAXED);
	CHECK_EQ(plx_blk_stop(blk), -ETIMEDOUT);
	plx_blk_info_get(blk, &info);
	CHECK_EQ(info.state, PLX_BLK_STARTED);
	CHECK_EQ(plx_blkq_submit(q, &r, 1), 1);
	CHECK_EQ(plx_blkq_poll(q, &out, 1), 1);
	CHECK_EQ(req.status, 0);
	CHECK_EQ(plx_detach(dev), 0);
}

int
main(int argc, char **argv)
{
	REQUIRE(plx_eal_init_app(argc, argv) >= 0);
	RUN(test_null);
	RUN(test_ram);
	RUN(test_ram_split);
	RUN(test_stuck_owner);
	plx_eal_cleanup();
	return TEST_RESULT();
}
