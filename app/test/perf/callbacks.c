/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The callback layer beside the queue's own calls: the same reads, 32 in flight.
 *
 *	callbacks raw|callback|adaptive DEVICE IOS
 *
 * adaptive: on a reactor that would sleep without work. *
 * prints TSC cycles an I/O. Under valgrind --tool=callgrind it tells instructions: take the
 * difference of two counts of I/Os.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_cycles.h>

#include "plx_blkr.h"
#include "plx_eal.h"
#include "plx_mem.h"
#include "plx_probe.h"

#define DEPTH 32

static struct plx_blk_req reqs[DEPTH];
static int64_t left;
static uint64_t failed, nblocks;

/* What an application does with a completion and for the next request. */
static inline void
again(struct plx_blk_req *req)
{
	left--;
	failed += req->status != 0;
	req->lba = req->lba + DEPTH < nblocks ? req->lba + DEPTH : 0;
}

static void
run_raw(struct plx_blkq *q)
{
	struct plx_blk_req *p[DEPTH];
	uint16_t n = DEPTH, i;

	for (i = 0; i < DEPTH; i++)
		p[i] = &reqs[i];
	plx_blkq_submit(q, p, DEPTH);
	while (left > 0) {
		n = plx_blkq_poll(q, p, DEPTH);
		for (i = 0; i < n; i++)
			again(p[i]);
		if (n != 0)
			plx_blkq_submit(q, p, n);
	}
}

static struct plx_blkr *b;
static struct plx_reactor *r;

static void
done(struct plx_blk_req *req)
{
	again(req);
	if (left > 0)
		plx_blkr_submit(b, req, done);
	else
		plx_reactor_stop(r);
}

static void
run_callbacks(struct plx_blkq *q, enum plx_reactor_idle idle)
{
	const struct plx_reactor_conf conf = {.idle = idle};

	if (plx_reactor_create_conf("callbacks", &conf, &r) != 0 || plx_blkr_create(r, q, &b) != 0)
		exit(1);
	for (int i = 0; i < DEPTH; i++)
		plx_blkr_submit(b, &reqs[i], done);
	plx_reactor_run(r);
	while (plx_blkr_inflight(b) != 0)
		plx_reactor_step(r);
	plx_blkr_destroy(b);
	plx_reactor_destroy(r);
}

static struct plx_blkq *
open_queue(const char *str)
{
	struct plx_blk_info info;
	struct plx_dev *dev;
	struct plx_blk *blk;

	if (plx_attach(str, &dev) != 0 || plx_blk_open(plx_dev_name(dev), 0, &blk) != 0 ||
		plx_blk_configure(blk, 1) != 0 || plx_blkq_setup(blk, 0, NULL) != 0 ||
		plx_blk_start(blk) != 0)
		return NULL;
	plx_blk_info_get(blk, &info);
	nblocks = info.nblocks;
	return plx_blk_queue_get(blk, 0);
}

int
main(int argc, char **argv)
{
	struct plx_blkq *q;
	uint8_t *buf;
	uint64_t t;

	if (argc != 4 || (strcmp(argv[1], "raw") != 0 && strcmp(argv[1], "callback") != 0 &&
				 strcmp(argv[1], "adaptive") != 0)) {
		fprintf(stderr, "usage: callbacks raw|callback|adaptive DEVICE IOS\n");
		return 2;
	}
	if (plx_eal_init_app(1, argv) < 0 || (q = open_queue(argv[2])) == NULL)
		return 1;
	buf = plx_mem_alloc(4096, 4096, -1);
	for (unsigned int i = 0; i < DEPTH; i++)
		reqs[i] = (struct plx_blk_req){.op = PLX_OP_READ, .lba = i, .nblk = 1, .buf = buf};
	left = strtoll(argv[3], NULL, 0);
	t = rte_rdtsc();
	if (strcmp(argv[1], "raw") == 0)
		run_raw(q);
	else
		run_callbacks(
			q, strcmp(argv[1], "adaptive") == 0 ? PLX_IDLE_ADAPTIVE : PLX_IDLE_BUSY);
	printf("%.1f\n", (double)(rte_rdtsc() - t) / strtod(argv[3], NULL));
	if (failed != 0)
		fprintf(stderr, "callbacks: %" PRIu64 " reads failed\n", failed);
	plx_detach_all();
	plx_mem_free(buf);
	plx_eal_cleanup();
	return failed != 0;
}
