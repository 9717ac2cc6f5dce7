/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Zone operations and copies in the class, on a device that only notes what it is given: what is
 * refused, how copies are cut, and that the parts of a write to a zone never meet at the device.
 */
#include <errno.h>

#include "made.h"
#include "plx_eal.h"
#include "plx_mem.h"

#define BS 512u
#define ZONE 256u
#define NBLOCKS (8 * ZONE)
#define MAX_NBLK 16u
#define ROOM 8u

static struct {
	struct plx_blk_req *cmds[ROOM]; /* at the device */
	unsigned int n, commands, most; /* most at a time */
	uint64_t next, bad_lba;         /* where the next part must begin; what fails */
	uint32_t copied;
	bool unreachable; /* only bounce buffers will do */
} dev;

static uint8_t *mem;

/* ---- the device ---- */

static void
note_copy(const struct plx_blk_req *req)
{
	uint32_t sum = 0;
	uint16_t i;

	CHECK(req->nseg != 0 && req->nseg <= 3, "%u ranges", req->nseg);
	for (i = 0; i < req->nseg; i++) {
		CHECK(req->ranges[i].nblk != 0 && req->ranges[i].nblk <= 10);
		sum += req->ranges[i].nblk;
		/* the test's ranges: 20 blocks, each 40 behind the one before */
		CHECK_EQ(req->ranges[i].lba, 1024 + dev.copied / 20 * 40 + dev.copied % 20);
		dev.copied += req->ranges[i].nblk;
	}
	CHECK_EQ(sum, req->nblk);
}

static int
issue(struct plx_drvq *dq, struct plx_blk_req *req)
{
	if (dev.n == ROOM)
		return -EAGAIN;
	if (dev.unreachable && (!(req->flags & PLX_IO_CHILD) || req->buf == mem))
		return -EXDEV;
	if (req->flags & PLX_IO_CHILD && req->op != PLX_OP_READ && req->op < PLX_OP_NVME) {
		CHECK_EQ(req->lba, dev.next);
		dev.next += req->nblk;
	}
	if (req->op == PLX_OP_COPY)
		note_copy(req);
	dev.commands++;
	dev.cmds[dev.n++] = req;
	dev.most = RTE_MAX(dev.most, dev.n);
	return 0;
}

/* The last first. */
static struct plx_blk_req *
end_one(void)
{
	struct plx_blk_req *req;

	if (dev.n == 0)
		return NULL;
	req = dev.cmds[--dev.n];
	req->status = dev.bad_lba - req->lba < req->nblk ? -EIO : 0;
	if (req->op == PLX_OP_ZONE_APPEND || req->op == PLX_OP_ZONE_REPORT)
		req->result = 77;
	return req;
}

static void
made_queue(struct plx_drvq *dq)
{
	(void)dq;
}

static const struct plx_blk_ops ops = {
	.queue_setup = made_queue_setup,
	.queue_release = made_queue_release,
};

static void
set_up(uint32_t zone, unsigned int flags)
{
	const struct plx_blk_info info = {
		.nblocks = NBLOCKS,
		.block_size = BS,
		.max_nblk = MAX_NBLK,
		.max_zeroes_nblk = MAX_NBLK,
		.max_append_nblk = zone != 0 ? MAX_NBLK : 0,
		.max_copy_nblk = 25,
		.max_copy_range_nblk = 10,
		.max_copy_ranges = 3,
		.zone_nblk = zone,
		.nb_zones = zone != 0 ? NBLOCKS / zone : 0,
		.caps = PLX_BLK_CAP_WRITE_ZEROES | PLX_BLK_CAP_COPY,
	};

	memset(&dev, 0, sizeof(dev));
	dev.bad_lba = UINT64_MAX;
	made_start(&info, &ops, flags);
}

static void
collect(unsigned int n)
{
	struct plx_blk_req *out;
	unsigned int turn;

	for (turn = 0; n != 0 && turn < 10000; turn++)
		n -= plx_blkq_poll(q, &out, 1);
	CHECK_EQ(n, 0);
}

static int
run(struct plx_blk_req req)
{
	struct plx_blk_req *p = &req;

	REQUIRE(plx_blkq_submit(q, &p, 1) == 1);
	collect(1);
	return req.status;
}

/* ---- tests ---- */

static void
test_in_sequence(void)
{
	static const uint8_t writing[] = {PLX_OP_WRITE, PLX_OP_WRITE_ZEROES};
	unsigned int i;

	for (i = 0; i < RTE_DIM(writing); i++) {
		set_up(ZONE, PLX_BLK_O_WRITE);
		dev.next = ZONE + 3;
		CHECK_EQ(run((struct plx_blk_req){
				 .op = writing[i], .lba = ZONE + 3, .nblk = 100, .buf = mem}),
			0);
		CHECK_EQ(dev.commands, 7);
		CHECK_EQ(dev.most, 1);
		/* it ends where it fails */
		dev.commands = 0;
		dev.next = 0;
		dev.bad_lba = 40;
		CHECK_EQ(
			run((struct plx_blk_req){.op = writing[i], .nblk = 100, .buf = mem}), -EIO);
		CHECK_EQ(dev.commands, 3);
		made_close();
	}
	/* reads, and a device without zones, have all commands out at once */
	set_up(ZONE, PLX_BLK_O_WRITE);
	CHECK_EQ(run((struct plx_blk_req){.op = PLX_OP_READ, .nblk = 100, .buf = mem}), 0);
	CHECK_EQ(dev.most, 7);
	made_close();
	set_up(0, PLX_BLK_O_WRITE);
	CHECK_EQ(run((struct plx_blk_req){.op = PLX_OP_WRITE, .nblk = 100, .buf = mem}), 0);
	CHECK_EQ(dev.most, 7);
	made_close();
}

/* One that waits for its part keeps no other from going on. */
static void
test_side_by_side(void)
{
	struct plx_blk_req reqs[3], *p[3];
	unsigned int i;

	set_up(ZONE, PLX_BLK_O_WRITE);
	for (i = 0; i < 3; i++) {
		reqs[i] = (struct plx_blk_req){
			.op = i == 0 ? PLX_OP_WRITE : PLX_OP_READ, .nblk = 40, .buf = mem};
		p[i] = &reqs[i];
	}
	REQUIRE(plx_blkq_submit(q, p, 3) == 3);
	CHECK_EQ(dev.n, 1 + 3 + 3);
	collect(3);
	CHECK_EQ(dev.commands, 9);
	made_close();
}

static void
test_copy(void)
{
	struct plx_copy_range r[8];
	struct plx_blk_req req = {.op = PLX_OP_COPY, .lba = 0, .nblk = 160, .nseg = 8};
	unsigned int i;

	set_up(0, PLX_BLK_O_WRITE);
	for (i = 0; i < 8; i++)
		r[i] = (struct plx_copy_range){.lba = 1024 + 40 * i, .nblk = 20};
	req.ranges = r;
	CHECK_EQ(run(req), 0);
	CHECK_EQ(dev.copied, 160);
	CHECK(dev.commands >= 160 / 25 && dev.commands <= 8, "%u", dev.commands);
	r[7].nblk = 19;
	CHECK_EQ(run(req), -EINVAL);
	r[7].nblk = 21;
	CHECK_EQ(run(req), -EINVAL);
	r[7] = (struct plx_copy_range){.lba = 159, .nblk = 20};
	CHECK_EQ(run(req), -EINVAL);
	r[7] = (struct plx_copy_range){.lba = NBLOCKS - 19, .nblk = 20};
	CHECK_EQ(run(req), -ERANGE);
	r[7] = (struct plx_copy_range){.lba = UINT64_MAX - 4, .nblk = 20};
	CHECK_EQ(run(req), -ERANGE);
	r[7] = (struct plx_copy_range){.lba = 160, .nblk = 20, .rsvd = 1};
	CHECK_EQ(run(req), -EINVAL);
	r[7].rsvd = 0;
	dev.copied = 1000; /* the ranges are not those that it knows */
	req.ranges = NULL;
	CHECK_EQ(run(req), -EINVAL);
	req.nseg = 0;
	CHECK_EQ(run(req), -EINVAL);
	made_close();
	set_up(ZONE, PLX_BLK_O_WRITE);
	for (i = 0; i < 8; i++)
		r[i] = (struct plx_copy_range){.lba = 1024 + 40 * i, .nblk = 20};
	req.nseg = 8;
	req.ranges = r;
	CHECK_EQ(run(req), 0);
	CHECK_EQ(dev.most, 1);
	made_close();
}

/* A result comes through a bounce buffer, and a report is cut to what one command takes. */
static void
test_results(void)
{
	struct plx_blk_req req = {.op = PLX_OP_ZONE_APPEND, .lba = ZONE, .nblk = 4, .buf = mem};
	struct plx_blk_req *p = &req;
	unsigned int i;

	for (i = 0; i < 4; i++) {
		set_up(ZONE, PLX_BLK_O_WRITE);
		dev.unreachable = i % 2;
		req.op = i < 2 ? PLX_OP_ZONE_APPEND : PLX_OP_ZONE_REPORT;
		req.nblk = i < 2 ? 4 : 60;
		req.result = 0;
		REQUIRE(plx_blkq_submit(q, &p, 1) == 1);
		collect(1);
		CHECK_EQ(req.status, 0);
		CHECK_EQ(req.result, 77);
		CHECK_EQ(dev.commands, 1);
		made_close();
	}
	set_up(ZONE, PLX_BLK_O_WRITE);
	CHECK_EQ(run((struct plx_blk_req){
			 .op = PLX_OP_ZONE_APPEND, .nblk = MAX_NBLK + 1, .buf = mem}),
		-EMSGSIZE);
	made_close();
}

static void
test_refused(void)
{
	static const uint8_t all[] = {PLX_OP_ZONE_APPEND, PLX_OP_ZONE_OPEN, PLX_OP_ZONE_CLOSE,
		PLX_OP_ZONE_FINISH, PLX_OP_ZONE_RESET, PLX_OP_COPY, PLX_OP_SECURE_ERASE};
	unsigned int i;

	set_up(ZONE, 0);
	for (i = 0; i < RTE_DIM(all); i++)
		CHECK_EQ(run((struct plx_blk_req){.op = all[i], .nblk = 1, .buf = mem}), -EROFS);
	CHECK_EQ(run((struct plx_blk_req){.op = PLX_OP_ZONE_REPORT, .nblk = 1, .buf = mem}), 0);
	made_close();
	set_up(0, PLX_BLK_O_WRITE);
	for (i = 0; i < RTE_DIM(all); i++)
		if (all[i] != PLX_OP_COPY)
			CHECK_EQ(run((struct plx_blk_req){.op = all[i], .nblk = 1, .buf = mem}),
				-EOPNOTSUPP);
	CHECK_EQ(run((struct plx_blk_req){.op = PLX_OP_ZONE_REPORT, .nblk = 1, .buf = mem}),
		-EOPNOTSUPP);
	made_close();
}

/* Flags that there are not, or not for this operation: among them those of the class itself. */
static void
test_flags(void)
{
	unsigned int bit, op;

	set_up(ZONE, PLX_BLK_O_WRITE);
	for (op = 0; op < PLX_OP_MAX; op++) {
		for (bit = 0; bit < 8; bit++) {
			bool zones = op >= PLX_OP_ZONE_OPEN && op <= PLX_OP_ZONE_RESET;

			if (bit < 2 || (bit == 2 && zones))
				continue;
			CHECK_EQ(run((struct plx_blk_req){.op = (uint8_t)op,
					 .flags = (uint8_t)(1u << bit),
					 .nblk = op == PLX_OP_FLUSH || zones ? 0 : 1,
					 .buf = mem}),
				-EINVAL);
		}
	}
	CHECK_EQ(dev.commands, 0);
	made_close();
}

int
main(int argc, char **argv)
{
	REQUIRE(plx_eal_init_app(argc, argv) >= 0);
	mem = plx_mem_alloc(1 << 20, 4096, -1);
	REQUIRE(mem != NULL);
	RUN(test_in_sequence);
	RUN(test_side_by_side);
	RUN(test_copy);
	RUN(test_results);
	RUN(test_refused);
	RUN(test_flags);
	plx_mem_free(mem);
	plx_eal_cleanup();
	return TEST_RESULT();
}
