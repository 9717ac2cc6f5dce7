/* SPDX-License-Identifier: BSD-3-Clause */
/* The driver against a controller that is honest, or wrong in one way at a time. */
#include "rig.h"

/* ---- honest ---- */

static void
honest_with(const char *more)
{
	attach(more);
	host_open(&h, "fk");
	io();
	CHECK_EQ(host_one(&h, PLX_OP_FLUSH, 0, 0), 0);
	CHECK_EQ(host_close(&h), 0);
	CHECK(f.was_shut_down);
	end();
}

static void
honest(void)
{
	begin();
	honest_with("");
}

/* Doorbells by message, in both directions of every command. */
static void
unmapped_doorbells(void)
{
	begin();
	f.post = true;
	honest_with("");
}

static void
doorbell_buffers(void)
{
	begin();
	f.id.oacs = 0x100;
	honest_with(",dbbuf=on");
	CHECK(f.shadow != 0 || f.nr_enabled == 1);
}

/* The event index is the device's to write: whatever it says, the host goes on. */
static void
mad_event_index(void)
{
	begin();
	f.id.oacs = 0x100;
	f.mad_event_index = true;
	honest_with(",dbbuf=on");
}

/* It went to sleep on a tail that it read too early: the host, which was asked for no ring, rings
 * when commands wait. */
static void
lost_doorbells(void)
{
	unsigned int i, round;

	begin();
	f.id.oacs = 0x100;
	f.sleepy = true;
	attach(",dbbuf=on");
	host_open(&h, "fk");
	for (round = 0; round < 2; round++) {
		for (i = 0; i < 8; i++)
			host_prepare(&h, i, PLX_OP_READ, i, 1);
		host_submit(&h, 8);
		REQUIRE(host_collect(&h, 8, 20) == 8);
		CHECK_EQ(plx_blk_reset(h.blk), 0);
	}
	CHECK_EQ(seen(&f.nr_aborts), 0);
	CHECK_EQ(host_close(&h), 0);
	end();
}

/* Queues in the controller's memory: each in a place of its own, as far as there is room. */
static void
memory_buffer(void)
{
	unsigned int i;

	begin();
	f.cap |= 1ull << 57;
	f.cmbloc = 2 | 1 << 12;
	f.cmbsz = 1 | 6 << 12; /* 24 KiB from 4 KiB on */
	attach(",cmb=1");
	host_set_up(&h, "fk", 5, 120); /* 8 KiB each */
	REQUIRE(plx_blk_start(h.blk) == 0);
	CHECK_EQ(seen(&f.nr_cmb), 3);
	for (i = 0; i < 5; i++) {
		h.q = plx_blk_queue_get(h.blk, (uint16_t)i);
		io();
	}
	CHECK_EQ(plx_blk_reset(h.blk), 0);
	CHECK_EQ(seen(&f.nr_cmb), 6);
	h.q = plx_blk_queue_get(h.blk, 0);
	io();
	CHECK_EQ(plx_blk_stop(h.blk), 0);
	CHECK_EQ(plx_blkq_setup(h.blk, 1, &(struct plx_blkq_conf){.depth = 100}), 0);
	CHECK_EQ(plx_blk_start(h.blk), 0);
	CHECK_EQ(seen(&f.nr_cmb), 9);
	io();
	CHECK_EQ(host_close(&h), 0);
	end();
}

/* Buffers that can't be: queues stay in host memory. */
static void
bad_memory_buffer(void)
{
	static const struct {
		uint32_t loc, size;
	} bad[] = {{2, 0}, {2, 1}, {2, 16 << 12}, {1, 1 | 16 << 12}, {6, 1 | 16 << 12},
		{7, 1 | 16 << 12}, {0, 1 | 1 << 12}, {3, 1 | 16 << 12}, {2, 1 | 17u << 12},
		{2 | 1 << 12, 1 | 16 << 12}, {2 | 0xfffffu << 12, 1 | 16 << 12},
		{2, 1 | 0xfffffu << 12}, {2, 1 | 15 << 8 | 1 << 12},
		{2 | 0xfffffu << 12, 1 | 6 << 8 | 0xfffffu << 12}};
	unsigned int i;

	for (i = 0; i <= RTE_DIM(bad) + 1; i++) {
		begin();
		f.cap |= 1ull << 57;
		f.cmbloc = i < RTE_DIM(bad) ? bad[i].loc : 2;
		f.cmbsz = i < RTE_DIM(bad) ? bad[i].size : 1 | 16 << 12;
		f.cmb_refuse = i == RTE_DIM(bad);
		if (i > RTE_DIM(bad))
			f.cap &= ~(1ull << 57);
		attach(",cmb=1");
		host_open(&h, "fk");
		CHECK_EQ(host_one(&h, PLX_OP_WRITE, 0, 1), 0);
		CHECK_EQ(host_close(&h), 0);
		CHECK_EQ(f.nr_cmb, 0);
		end();
	}
}

/* The smallest queues there are. */
static void
two_entries(void)
{
	begin();
	f.cap = (f.cap & ~0xffffull) | 1;
	attach("");
	host_set_up(&h, "fk", 1, 1);
	REQUIRE(plx_blk_start(h.blk) == 0);
	io();
	CHECK_EQ(host_close(&h), 0);
	end();
}

static void
start_stop(void)
{
	unsigned int i;

	begin();
	attach("");
	host_open(&h, "fk");
	for (i = 0; i < 20; i++) {
		CHECK_EQ(host_one(&h, PLX_OP_WRITE, i, 1), 0);
		CHECK_EQ(plx_blk_stop(h.blk), 0);
		CHECK_EQ(host_one(&h, PLX_OP_WRITE, i, 1), -ESHUTDOWN);
		CHECK_EQ(plx_blk_start(h.blk), 0);
	}
	CHECK_EQ(host_close(&h), 0);
	end();
}

/* ---- completions that are wrong ---- */

static uint64_t
stat_bad(void)
{
	struct plx_blk_stats st;

	REQUIRE(plx_blk_stats_get(h.blk, 0, &st) == 0);
	return st.bad_device;
}

static void
wrong_completions(void)
{
	static const enum fake_fault wrong[] = {FAKE_BAD_ID, FAKE_TWICE, FAKE_JUNK};
	unsigned int i, k, turn;
	uint64_t bad;

	begin();
	attach("");
	host_open(&h, "fk");
	for (k = 0; k < RTE_DIM(wrong); k++) {
		bad = stat_bad();
		for (turn = 0; turn < 20; turn++) {
			fault(wrong[k], 0, 20);
			for (i = 0; i < 20; i++)
				host_prepare(&h, i, i % 2 ? PLX_OP_READ : PLX_OP_WRITE, i, 1);
			host_submit(&h, 20);
			CHECK_EQ(host_collect(&h, 20, 20), 20);
			for (i = 0; i < 20; i++)
				CHECK_EQ(h.reqs[i].status, 0);
		}
		CHECK_EQ(host_one(&h, PLX_OP_READ, 0, 1), 0);
		CHECK(stat_bad() >= bad + 20 * 19, "%" PRIu64, stat_bad() - bad);
	}
	CHECK_EQ(host_close(&h), 0);
	end();
}

/* ---- statuses ---- */

static void
statuses(void)
{
	static const struct {
		uint16_t status;
		int err;
	} map[] = {{0x0001, -EOPNOTSUPP}, {0x0002, -EINVAL}, {0x0006, -EIO}, {0x0007, -ECANCELED},
		{0x0020, -EROFS}, {0x0080, -ERANGE}, {0x0081, -ENOSPC}, {0x0083, -EACCES},
		{0x0182, -EROFS}, {0x0280, -EIO}, {0x0281, -ENODATA}, {0x0282, -EBADMSG},
		{0x0283, -EBADMSG}, {0x0284, -EBADMSG}, {0x0285, -EILSEQ}, {0x0286, -EACCES},
		{0x0287, -ENODATA}, {0x0300, -EIO}, {0x07ff, -EIO}};
	unsigned int i, io_before;

	begin();
	attach("");
	host_open(&h, "fk");
	for (i = 0; i < RTE_DIM(map); i++) {
		fault(FAKE_STATUS, map[i].status | 0x4000, 1);
		io_before = seen(&f.nr_io);
		CHECK_EQ(host_one(&h, PLX_OP_READ, 0, 1), map[i].err);
		CHECK_EQ(h.reqs[0].raw, map[i].status | 0x4000);
		CHECK_EQ(seen(&f.nr_io), io_before + 1);
	}
	/* the device lets it be tried again: it is, up to 4 times */
	for (i = 1; i <= 5; i++) {
		fault(FAKE_STATUS, NVME_SC_NS_NOT_READY, i);
		CHECK_EQ(host_one(&h, PLX_OP_WRITE, 0, 32), i <= 4 ? 0 : -EIO);
		CHECK_EQ(h.reqs[0].raw, i <= 4 ? 0 : NVME_SC_NS_NOT_READY);
	}
	fault(FAKE_NONE, 0, 0);
	CHECK_EQ(host_one(&h, PLX_OP_READ, 0, 1), 0);
	CHECK_EQ(host_close(&h), 0);
	end();
}

/* ---- starting that fails ---- */

static void
failing_create(void)
{
	static const uint8_t ops[] = {nvme_admin_create_cq, nvme_admin_create_sq};
	unsigned int i;

	for (i = 0; i < 4; i++) {
		begin();
		attach(",admin_timeout=500");
		host_set_up(&h, "fk", 3, 8);
		fake_lock(&f);
		f.failed_admin = i < 2 ? ops[i] : -1;
		f.silent_admin = i < 2 ? -1 : ops[i - 2];
		f.admin_status = 0x4102;
		fake_unlock(&f);
		CHECK_EQ(plx_blk_start(h.blk), i < 2 ? -EIO : -ETIMEDOUT);
		fake_lock(&f);
		CHECK(!f.q[1].cq && !f.q[1].sq, "what is left of a failed start");
		f.failed_admin = f.silent_admin = -1;
		fake_unlock(&f);
		CHECK_EQ(plx_blk_start(h.blk), 0);
		io();
		/* those that were not created the first time: over a look of the watch */
		h.q = plx_blk_queue_get(h.blk, 2);
		CHECK(!host_event(&h, PLX_BLK_EVENT_REMOVED, 0, 0.6));
		io();
		CHECK_EQ(host_close(&h), 0);
		end();
	}
}

int
main(int argc, char **argv)
{
	host_eal(argc, argv);
	RUN(honest);
	RUN(unmapped_doorbells);
	RUN(doorbell_buffers);
	RUN(mad_event_index);
	RUN(lost_doorbells);
	RUN(memory_buffer);
	RUN(bad_memory_buffer);
	RUN(two_entries);
	RUN(start_stop);
	RUN(wrong_completions);
	RUN(statuses);
	RUN(failing_create);
	plx_eal_cleanup();
	return TEST_RESULT();
}
