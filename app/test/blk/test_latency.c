/* SPDX-License-Identifier: BSD-3-Clause */
/* Latency measured by the class: the table of time stamps, and what the calls report. */
#include "plx_eal.h"
#include "plx_probe.h"
#include "plx_test.h"

#include "blk_latency.c"

#define N 4096

/* Random arrivals and departures: each is found exactly once, with its own stamp. */
static void
test_table(void)
{
	static struct plx_blk_req reqs[N];
	static bool in[N];
	struct blk_latency *l = calloc(1, sizeof(*l) + 1024 * sizeof(l->table[0]));
	uint64_t rng = 1, tsc;
	uint32_t held = 0;

	REQUIRE(l != NULL);
	l->mask = 1023;
	l->limit = 512;
	for (int i = 0; i < 400000; i++) {
		uint32_t k;

		rng = rng * 6364136223846793005u + 1442695040888963407u;
		k = (uint32_t)(rng >> 40) % N;
		if (in[k]) {
			REQUIRE(take(l, &reqs[k], &tsc));
			REQUIRE(tsc == k + 1);
			in[k] = false;
			held--;
		} else {
			CHECK(!take(l, &reqs[k], &tsc));
			if (held == l->limit)
				continue;
			put(l, &reqs[k], k + 1);
			in[k] = true;
			held++;
		}
		REQUIRE(l->used == held);
	}
	CHECK_EQ(l->missed, 0);
	for (uint32_t k = 0; k < N; k++)
		if (!in[k])
			put(l, &reqs[k], 1);
	CHECK_EQ(l->missed, N - 512);
	free(l);
}

static void
test_buckets(void)
{
	for (uint64_t v = 0; v < 1000000; v += 1 + v / 50) {
		double at = (double)value_of(bucket(v));

		CHECK(at >= (double)v * 0.984 && at <= (double)v * 1.016);
	}
	CHECK(bucket(UINT64_MAX) == BUCKETS - 1);
}

static void
run(struct plx_blkq *q, uint8_t op, uint32_t n)
{
	static uint8_t data[512];
	struct plx_blk_req req = {.op = op, .nblk = op == PLX_OP_FLUSH ? 0 : 1, .buf = data};
	struct plx_blk_req *r = &req;

	while (n-- > 0) {
		REQUIRE(plx_blkq_submit(q, &r, 1) == 1);
		while (plx_blkq_poll(q, &r, 1) == 0)
			;
		CHECK_EQ(req.status, 0);
	}
}

static uint64_t
count(struct plx_blk *blk, uint16_t qid, enum plx_blk_latency_kind kind)
{
	struct plx_blk_latency l;

	CHECK_EQ(plx_blk_latency_get(blk, qid, kind, &l), 0);
	if (l.count != 0) {
		CHECK(l.max_ns != 0 && l.mean_ns <= l.max_ns);
		for (int i = 1; i < PLX_BLK_LATENCY_QUANTILES; i++)
			CHECK(l.quantile_ns[i - 1] <= l.quantile_ns[i]);
		CHECK(l.quantile_ns[PLX_BLK_LATENCY_QUANTILES - 1] <= l.max_ns);
	}
	return l.count;
}

static void
test_calls(void)
{
	struct plx_blk_latency l;
	struct plx_blk_req *out;
	struct plx_dev *dev;
	struct plx_blk *blk;
	struct plx_blkq *q;

	REQUIRE(plx_attach("ram:size=1M,name=lat", &dev) == 0);
	REQUIRE(plx_blk_open("lat", PLX_BLK_O_WRITE, &blk) == 0);
	REQUIRE(plx_blk_configure(blk, 2) == 0);
	REQUIRE(plx_blkq_setup(blk, 0, NULL) == 0);
	CHECK_EQ(plx_blk_latency_get(blk, 0, PLX_BLK_LATENCY_READ, &l), -ENODATA);
	REQUIRE(plx_blk_latency_enable(blk, true) == 0);
	REQUIRE(plx_blkq_setup(blk, 1, NULL) == 0); /* measured too */
	REQUIRE(plx_blk_start(blk) == 0);
	q = plx_blk_queue_get(blk, 1);
	run(q, PLX_OP_READ, 100);
	run(q, PLX_OP_WRITE, 10);
	run(q, PLX_OP_DISCARD, 1);
	CHECK_EQ(count(blk, 1, PLX_BLK_LATENCY_READ), 100);
	CHECK_EQ(count(blk, 1, PLX_BLK_LATENCY_WRITE), 10);
	CHECK_EQ(count(blk, 1, PLX_BLK_LATENCY_OTHER), 1);
	CHECK_EQ(count(blk, 0, PLX_BLK_LATENCY_READ), 0);
	CHECK_EQ(count(blk, UINT16_MAX, PLX_BLK_LATENCY_READ), 100);
	CHECK_EQ(plx_blk_latency_get(blk, 2, PLX_BLK_LATENCY_READ, &l), -EINVAL);
	CHECK_EQ(plx_blk_latency_get(blk, 0, PLX_BLK_LATENCY_KINDS, &l), -EINVAL);

	/* across a stop the path is the measured one again */
	REQUIRE(plx_blk_stop(blk) == 0);
	CHECK_EQ(plx_blkq_poll(q, &out, 1), 0);
	REQUIRE(plx_blk_start(blk) == 0);
	run(q, PLX_OP_READ, 5);
	CHECK_EQ(count(blk, 1, PLX_BLK_LATENCY_READ), 105);

	/* off, while it runs, and on again from nothing */
	REQUIRE(plx_blk_latency_enable(blk, false) == 0);
	CHECK_EQ(plx_blk_latency_get(blk, 1, PLX_BLK_LATENCY_READ, &l), -ENODATA);
	run(q, PLX_OP_READ, 5);
	REQUIRE(plx_blk_latency_enable(blk, true) == 0);
	run(q, PLX_OP_READ, 3);
	CHECK_EQ(count(blk, 1, PLX_BLK_LATENCY_READ), 3);
	CHECK_EQ(plx_blk_close(blk), 0);
	CHECK_EQ(plx_detach(dev), 0);
}

int
main(int argc, char **argv)
{
	REQUIRE(plx_eal_init_app(argc, argv) >= 0);
	RUN(test_table);
	RUN(test_buckets);
	RUN(test_calls);
	plx_eal_cleanup();
	return TEST_RESULT();
}
