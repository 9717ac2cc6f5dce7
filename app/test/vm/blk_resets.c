/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * plx-blk-resets [EAL options] -- DEVICE-STRING SECONDS MILLISECONDS
 *
 * Writes and reads on two queues, checked, while the device is reset every so many milliseconds.
 * A block holds its last acknowledged generation or, when a later write to it was cancelled, that
 * one's. Each request comes back once, with 0 or -ECANCELED.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_cycles.h>

#include "plx_ctrl.h"
#include "plx_eal.h"
#include "plx_mem.h"

#include "vm_dev.h"

#define BLOCKS 512 /* one request on each at a time */
#define QUEUES 2
#define DEPTH 32

struct item {
	struct plx_blk_req req;
	uint32_t issued, acked; /* generations */
	bool out;
};

struct job {
	double seconds, every; /* arguments */
	struct plx_blk *blk;
	struct plx_blkq *q[QUEUES];
	uint8_t *data;
	uint32_t words; /* of 8 bytes, a block */
	uint32_t in_flight;
	uint64_t rng, done, cancelled, resets;
	uint64_t last; /* TSC of the last completion */
	bool bad;
	struct item items[BLOCKS];
};

static uint64_t
rnd(struct job *j)
{
	j->rng ^= j->rng << 13;
	j->rng ^= j->rng >> 7;
	j->rng ^= j->rng << 17;
	return j->rng;
}

/* What the word of a block is in a generation. */
static uint64_t
word(uint64_t lba, uint32_t gen, uint32_t i)
{
	return (lba << 32 | gen) * 0x9e3779b97f4a7c15 + i;
}

/* @return whether the data that was read is all of one generation that may be there. Before the
 * first, there is what was there. */
static bool
is_one_of(const struct job *j, const struct item *it)
{
	const uint64_t *w = it->req.buf;
	uint32_t gen, i;

	for (gen = it->acked; gen <= it->issued; gen++) {
		for (i = 0; i < j->words && w[i] == word(it->req.lba, gen, i); i++)
			;
		if (i == j->words)
			return true;
	}
	return it->acked == 0;
}

static void
start_one(struct job *j, struct item *it, bool write)
{
	struct plx_blk_req *req = &it->req;
	uint64_t lba = (uint64_t)(it - j->items), *w = (uint64_t *)j->data + lba * j->words;
	uint32_t i;

	*req = (struct plx_blk_req){
		.op = write ? PLX_OP_WRITE : PLX_OP_READ, .lba = lba, .nblk = 1, .buf = w};
	for (i = 0; i < j->words; i++)
		w[i] = write ? word(lba, it->issued + 1, i) : ~0ULL;
	if (plx_blkq_submit(j->q[lba % QUEUES], &req, 1) != 1)
		return;
	it->issued += write;
	it->out = true;
	j->in_flight++;
}

static void
ended(struct job *j, struct item *it)
{
	const struct plx_blk_req *req = &it->req;
	const char *what = NULL;

	if (!it->out)
		what = "came back twice";
	else if (req->status == -ECANCELED)
		j->cancelled++;
	else if (req->status != 0)
		what = strerror(-req->status);
	else if (req->op == PLX_OP_WRITE)
		it->acked = it->issued;
	else if (!is_one_of(j, it))
		what = "wrong data";
	if (what != NULL) {
		fprintf(stderr, "%s of block %ju: %s; generations %u acknowledged, %u issued\n",
			req->op == PLX_OP_WRITE ? "write" : "read", (uintmax_t)req->lba, what,
			it->acked, it->issued);
		j->bad = true;
	}
	it->out = false;
	j->in_flight--;
	j->done++;
	j->last = rte_get_timer_cycles();
}

/* @return false when nothing came back for too long */
static bool
collect(struct job *j)
{
	struct plx_blk_req *back[DEPTH];
	int i;

	plx_ctrl_poll();
	for (i = 0; i < QUEUES; i++) {
		uint16_t n = plx_blkq_poll(j->q[i], back, DEPTH);

		while (n-- > 0)
			ended(j, (struct item *)back[n]);
	}
	if (j->in_flight == 0 || rte_get_timer_cycles() - j->last < VM_LATE_S * rte_get_timer_hz())
		return true;
	fprintf(stderr, "%u requests did not come back within %d s of the last\n", j->in_flight,
		VM_LATE_S);
	exit(1);
}

/* Read all of it, once nothing is in flight. */
static void
read_back(struct job *j)
{
	uint32_t i, out = 0;

	for (i = 0; i < BLOCKS || j->in_flight != 0; collect(j)) {
		if (i == BLOCKS)
			continue;
		out = j->in_flight;
		start_one(j, &j->items[i], false);
		i += j->in_flight != out;
	}
}

/* A reset at its time; the next so much after its end. @return 0 or its error */
static int
reset_now_and_then(struct job *j, uint64_t now, uint64_t *at, bool *busy)
{
	int rc = 0;

	if (*busy)
		rc = plx_blk_op_poll(j->blk);
	else if (now >= *at)
		rc = plx_blk_reset_begin(j->blk);
	else
		return 0;
	if (*busy && rc == 0) {
		j->resets++;
		*at = now + (uint64_t)(j->every * (double)rte_get_timer_hz());
	}
	*busy = *busy ? rc == -EINPROGRESS : rc == 0;
	if (rc == 0 || rc == -EINPROGRESS)
		return 0;
	fprintf(stderr, "reset %ju: %s\n", (uintmax_t)j->resets + 1, strerror(-rc));
	return rc;
}

static int
load(struct job *j)
{
	uint64_t now = rte_get_timer_cycles(), at = now;
	uint64_t end = now + (uint64_t)(j->seconds * (double)rte_get_timer_hz());
	bool busy = false;
	int rc = 0;

	j->last = now;
	while (rc == 0 && !j->bad && ((now = rte_get_timer_cycles()) < end || busy)) {
		struct item *it = &j->items[rnd(j) % BLOCKS];

		if (!it->out)
			start_one(j, it, rnd(j) & 1);
		rc = reset_now_and_then(j, now, &at, &busy);
		collect(j);
	}
	while (rc == 0 && j->in_flight > 0)
		collect(j);
	return rc;
}

static int
resets(struct plx_blk *blk, void *arg)
{
	struct job *j = arg;
	struct plx_blk_info info;
	int rc, i;

	plx_blk_info_get(blk, &info);
	j->blk = blk;
	j->words = info.block_size / 8;
	j->data = plx_mem_alloc((size_t)BLOCKS * info.block_size, 4096, -1);
	if (j->data == NULL)
		return -ENOMEM;
	for (i = 0; i < QUEUES; i++)
		j->q[i] = plx_blk_queue_get(blk, (uint16_t)i);
	rc = load(j);
	if (rc == 0)
		read_back(j);
	printf("%ju requests, %ju of them cancelled, %ju resets\n", (uintmax_t)j->done,
		(uintmax_t)j->cancelled, (uintmax_t)j->resets);
	plx_mem_free(j->data);
	if (rc == 0 && (j->bad || j->resets == 0 || j->done == j->cancelled))
		rc = -EPROTO;
	return rc;
}

int
main(int argc, char **argv)
{
	static struct job job;
	int n = plx_eal_init_app(argc, argv), rc;

	if (n < 0)
		return 1;
	argv += n;
	if (argc - n != 4) {
		fprintf(stderr, "usage: plx-blk-resets [EAL options] -- DEVICE SECONDS "
				"MILLISECONDS\n");
		return 2;
	}
	job.rng = 88172645463325252;
	job.seconds = strtod(argv[2], NULL);
	job.every = strtod(argv[3], NULL) / 1000;
	rc = vm_dev_run(argv[1], QUEUES, DEPTH, resets, &job);
	plx_eal_cleanup();
	return rc != 0;
}
