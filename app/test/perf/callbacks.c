/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The callback layer beside the queue's own calls: the same reads, 32 in flight.
 *
 *	callbacks MODE[,MODE...] DEVICE IOS [ROUNDS]
 *
 * MODE: raw, callback, or adaptive: callbacks on a reactor that would sleep without work.
 * The modes take turns, so that they meet the same machine. Prints each one's TSC cycles an I/O,
 * the median of all rounds. Under valgrind --tool=callgrind it tells instructions: take the
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
#define MAX_ROUNDS 101

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
	while (q->inflight != 0)
		plx_blkq_poll(q, p, DEPTH);
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

static const char *const modes[] = {"raw", "callback", "adaptive"};

/* @return cycles an I/O */
static double
run(unsigned int mode, struct plx_blkq *q, int64_t ios)
{
	uint64_t t = rte_rdtsc();

	left = ios;
	if (mode == 0)
		run_raw(q);
	else
		run_callbacks(q, mode == 2 ? PLX_IDLE_ADAPTIVE : PLX_IDLE_BUSY);
	return (double)(rte_rdtsc() - t) / (double)ios;
}

static int
compare(const void *x, const void *y)
{
	const double c = *(const double *)x, d = *(const double *)y;

	return (c > d) - (c < d);
}

/* @return the modes named, as bits; 0: there is no such mode */
static unsigned int
parse(char *list)
{
	unsigned int set = 0, i;

	for (char *name = strtok(list, ","); name != NULL; name = strtok(NULL, ",")) {
		for (i = 0; i < RTE_DIM(modes) && strcmp(name, modes[i]) != 0; i++)
			;
		if (i == RTE_DIM(modes))
			return 0;
		set |= 1u << i;
	}
	return set;
}

static void
measure(struct plx_blkq *q, unsigned int set, int64_t ios, unsigned int rounds)
{
	static double got[RTE_DIM(modes)][MAX_ROUNDS];
	unsigned int m, k, i;

	for (k = 0; k < rounds; k++)
		for (i = 0; i < RTE_DIM(modes); i++) {
			m = (i + k) % RTE_DIM(modes);
			if (set & 1u << m)
				got[m][k] = run(m, q, ios);
		}
	for (m = 0; m < RTE_DIM(modes); m++) {
		qsort(got[m], rounds, sizeof(got[m][0]), compare);
		if (set & 1u << m)
			printf("%s %.1f\n", modes[m], got[m][rounds / 2]);
	}
}

int
main(int argc, char **argv)
{
	/* EAL's options, if any, end with a "--" */
	int n = plx_eal_init_app(argc > 1 && argv[1][0] == '-' ? argc : 1, argv);
	struct plx_blkq *q;
	unsigned int set;
	int64_t ios;
	uint8_t *buf;
	int rounds;

	if (n < 0)
		return 1;
	argc -= n;
	argv += n;
	set = argc > 1 ? parse(argv[1]) : 0;
	ios = argc > 3 ? strtoll(argv[3], NULL, 0) : 0;
	rounds = argc > 4 ? atoi(argv[4]) : 1;

	if (argc > 5 || set == 0 || ios <= 0 || rounds < 1 || rounds > MAX_ROUNDS) {
		fprintf(stderr,
			"usage: callbacks [EAL options --] raw|callback|adaptive[,...] DEVICE IOS "
			"[ROUNDS]\n");
		return 2;
	}
	q = open_queue(argv[2]);
	if (q == NULL)
		return 1;
	buf = plx_mem_alloc(4096, 4096, -1);
	for (unsigned int i = 0; i < DEPTH; i++)
		reqs[i] = (struct plx_blk_req){.op = PLX_OP_READ, .lba = i, .nblk = 1, .buf = buf};
	measure(q, set, ios, (unsigned int)rounds);
	if (failed != 0)
		fprintf(stderr, "callbacks: %" PRIu64 " reads failed\n", failed);
	plx_detach_all();
	plx_mem_free(buf);
	plx_eal_cleanup();
	return failed != 0;
}
