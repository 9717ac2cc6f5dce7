/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * plx-blk-errors [EAL options] -- DEVICE-STRING read|write BLOCKS [LBA=ERRNO...]
 *
 * One request for each of the first blocks, many at a time. Those that are named must end with
 * their error, no other with any.
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

#define DEPTH 32

struct errors {
	uint8_t op;
	uint32_t blocks;
	int argc; /* of LBA=ERRNO */
	char **argv;
};

static int
expected(const struct errors *e, uint64_t lba)
{
	int i;

	for (i = 0; i < e->argc; i++)
		if (strtoull(e->argv[i], NULL, 0) == lba)
			return -atoi(strchr(e->argv[i], '=') + 1);
	return 0;
}

/* @return whether it ended as it should have */
static bool
judge(const struct errors *e, const struct plx_blk_req *req)
{
	int want = expected(e, req->lba);

	if (req->status == want)
		return true;
	fprintf(stderr, "block %ju: %s (raw 0x%x), not %s\n", (uintmax_t)req->lba,
		strerror(-req->status), req->raw, strerror(-want));
	return false;
}

static int
each_block(struct plx_blkq *q, const struct errors *e, struct plx_blk_req *reqs)
{
	uint64_t hz = rte_get_timer_hz(), end = rte_get_timer_cycles() + VM_LATE_S * hz;
	struct plx_blk_req *r[DEPTH], *back[DEPTH];
	uint32_t next = 0, done = 0;
	uint16_t nfree = DEPTH, n;
	int rc = 0;

	for (n = 0; n < DEPTH; n++)
		r[n] = &reqs[n];
	while (done < e->blocks && rte_get_timer_cycles() < end) {
		while (nfree > 0 && next < e->blocks) {
			r[nfree - 1]->lba = next;
			if (plx_blkq_submit(q, &r[nfree - 1], 1) != 1)
				break;
			nfree--;
			next++;
		}
		plx_ctrl_poll();
		n = plx_blkq_poll(q, back, DEPTH);
		done += n;
		while (n-- > 0) {
			if (!judge(e, back[n]))
				rc = -EPROTO;
			r[nfree++] = back[n];
		}
	}
	if (done < e->blocks) {
		fprintf(stderr, "%u of %u requests came back within %d s\n", done, e->blocks,
			VM_LATE_S);
		exit(1);
	}
	return rc;
}

static int
errors(struct plx_blk *blk, void *arg)
{
	const struct errors *e = arg;
	struct plx_blk_req reqs[DEPTH];
	struct plx_blk_info info;
	uint8_t *buf;
	int i, rc;

	plx_blk_info_get(blk, &info);
	buf = plx_mem_alloc((size_t)DEPTH * info.block_size, 4096, -1);
	if (buf == NULL)
		return -ENOMEM;
	for (i = 0; i < DEPTH; i++)
		reqs[i] = (struct plx_blk_req){
			.op = e->op, .nblk = 1, .buf = buf + (size_t)i * info.block_size};
	rc = each_block(plx_blk_queue_get(blk, 0), e, reqs);
	plx_mem_free(buf);
	return rc;
}

int
main(int argc, char **argv)
{
	int n = plx_eal_init_app(argc, argv), rc;
	struct errors e;

	if (n < 0)
		return 1;
	argc -= n;
	argv += n;
	if (argc < 4) {
		fprintf(stderr, "usage: plx-blk-errors [EAL options] -- DEVICE read|write BLOCKS "
				"[LBA=ERRNO...]\n");
		return 2;
	}
	e = (struct errors){
		.op = strcmp(argv[2], "write") == 0 ? PLX_OP_WRITE : PLX_OP_READ,
		.blocks = (uint32_t)strtoul(argv[3], NULL, 0),
		.argc = argc - 4,
		.argv = argv + 4,
	};
	rc = vm_dev_run(argv[1], 1, DEPTH, errors, &e);
	plx_eal_cleanup();
	return rc != 0;
}
