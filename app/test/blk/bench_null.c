/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The cost of the device class alone: null at depth 128 in bursts of 32, statuses checked.
 *
 *	bench-null [EAL options] [-- [DEVICE [MILLIONS]]]
 *
 * Instructions an I/O: the difference of two runs under valgrind --tool=callgrind.
 */
#include <rte_cycles.h>

#include "plx_blk.h"
#include "plx_eal.h"
#include "plx_probe.h"
#include "plx_test.h"

#define DEPTH 128
#define BURST 32

static struct plx_blkq *
open_queue(const char *str, struct plx_blk_info *info)
{
	struct plx_dev *dev;
	struct plx_blk *blk;

	REQUIRE(plx_attach(str, &dev) == 0);
	REQUIRE(plx_blk_open(plx_dev_name(dev), 0, &blk) == 0);
	REQUIRE(plx_blk_configure(blk, 1) == 0);
	REQUIRE(plx_blkq_setup(blk, 0, &(struct plx_blkq_conf){.depth = DEPTH}) == 0);
	REQUIRE(plx_blk_start(blk) == 0);
	plx_blk_info_get(blk, info);
	return plx_blk_queue_get(blk, 0);
}

static uint64_t
loop(struct plx_blkq *q, struct plx_blk_req *reqs, uint64_t total, uint64_t nblocks)
{
	struct plx_blk_req *burst[BURST];
	uint64_t done, errors = 0, lba = 0;
	uint16_t n, i;

	for (i = 0; i < DEPTH; i++) {
		burst[0] = &reqs[i];
		REQUIRE(plx_blkq_submit(q, burst, 1) == 1);
	}
	for (done = 0; done < total; done += n) {
		n = plx_blkq_poll(q, burst, BURST);
		for (i = 0; i < n; i++) {
			errors += burst[i]->status != 0;
			burst[i]->lba = lba++ & (nblocks - 1);
		}
		REQUIRE(plx_blkq_submit(q, burst, n) == n);
	}
	return errors;
}

int
main(int argc, char **argv)
{
	static struct plx_blk_req reqs[DEPTH];
	static uint8_t buf[4096];
	int used = plx_eal_init_app(argc, argv);
	struct plx_blk_info info;
	struct plx_blkq *q;
	uint64_t total, errors, tsc;
	double s;
	int i;

	REQUIRE(used >= 0);
	argc -= used;
	argv += used;
	total = (argc > 2 ? strtoull(argv[2], NULL, 10) : 100) * 1000000;
	q = open_queue(argc > 1 ? argv[1] : "null:size=1G,block=4096", &info);
	REQUIRE(q != NULL);
	for (i = 0; i < DEPTH; i++)
		reqs[i] = (struct plx_blk_req){.op = PLX_OP_READ, .nblk = 1, .buf = buf};

	tsc = rte_rdtsc();
	errors = loop(q, reqs, total, info.nblocks);
	tsc = rte_rdtsc() - tsc;
	s = (double)tsc / (double)rte_get_tsc_hz();
	printf("%.1f M IOPS, %.2f ns and %.1f TSC cycles an I/O, %" PRIu64 " errors\n",
		(double)total / s / 1e6, s * 1e9 / (double)total, (double)tsc / (double)total,
		errors);
	CHECK_EQ(errors, 0);
	plx_detach_all();
	plx_eal_cleanup();
	return TEST_RESULT();
}
