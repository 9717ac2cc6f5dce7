/* SPDX-License-Identifier: BSD-3-Clause */
/* Commands as the driver puts them into a submission queue, byte for byte. */
#include "nvme_priv.h"
#include "plx_test.h"

static struct nvme_sqe sq[2];
static struct nvme_tracker trk;
static uint16_t free_ids[1];
static struct nvme_ns ns;
static struct nvme_qpair q;

/* Issue one request on a queue of one command. @return its submission queue entry */
static const uint8_t *
issue(uint8_t op, uint8_t flags)
{
	struct plx_blk_req req = {
		.op = op, .flags = flags, .lba = 0x1122334455667788, .nblk = 0x100};

	memset(sq, 0xa5, sizeof(sq));
	memset(&q, 0, sizeof(q));
	q.sq = sq;
	q.sq_last = 1;
	q.trk = &trk;
	q.free = free_ids;
	q.nfree = 1;
	q.ns = &ns;
	q.opc_nsid = UINT64_C(7) << 32;
	CHECK_EQ(nvme_qpair_issue(&q.dq, &req), 0);
	return (const uint8_t *)&sq[0];
}

/* Deallocate is bit 25 of dword 12, and only for namespaces that know it (DLFEAT bit 3). */
static void
test_write_zeroes(void)
{
	uint8_t want[64] = {[0] = 8,
		[4] = 7,
		[40] = 0x88,
		0x77,
		0x66,
		0x55,
		0x44,
		0x33,
		0x22,
		0x11,
		[48] = 0xff,
		0};

	ns.deac = false;
	CHECK(memcmp(issue(PLX_OP_WRITE_ZEROES, 0), want, 64) == 0);
	CHECK(memcmp(issue(PLX_OP_WRITE_ZEROES, PLX_IO_UNMAP), want, 64) == 0);
	ns.deac = true;
	CHECK(memcmp(issue(PLX_OP_WRITE_ZEROES, 0), want, 64) == 0);
	want[51] = 0x02;
	CHECK(memcmp(issue(PLX_OP_WRITE_ZEROES, PLX_IO_UNMAP), want, 64) == 0);
	want[51] = 0x42;
	CHECK(memcmp(issue(PLX_OP_WRITE_ZEROES, PLX_IO_UNMAP | PLX_IO_FUA), want, 64) == 0);
}

/* What may be sent again after a reset: not what moves a zone's write pointer. */
static void
test_repeatable(void)
{
	static const uint8_t writes[] = {PLX_OP_WRITE, PLX_OP_WRITE_ZEROES, PLX_OP_COPY};
	struct plx_blk_req req = {.op = PLX_OP_READ};
	unsigned int i;

	CHECK(nvme_op_repeatable(&req, true));
	for (i = 0; i < RTE_DIM(writes); i++) {
		req.op = writes[i];
		CHECK(nvme_op_repeatable(&req, false) && !nvme_op_repeatable(&req, true));
	}
	req.op = PLX_OP_ZONE_APPEND;
	CHECK(!nvme_op_repeatable(&req, true));
}

int
main(void)
{
	RUN(test_repeatable);
	RUN(test_write_zeroes);
	return TEST_RESULT();
}
