/* SPDX-License-Identifier: BSD-3-Clause */
/* The steps of recovery, one after the other: Abort, controller reset, function reset, the end. */
#include "rig.h"

static struct plx_blk_stats
stats(void)
{
	struct plx_blk_stats st;

	REQUIRE(plx_blk_stats_get(h.blk, UINT16_MAX, &st) == 0);
	return st;
}

static void
submit_all(void)
{
	unsigned int i;

	for (i = 0; i < HOST_DEPTH; i++)
		host_prepare(&h, i, i % 2 ? PLX_OP_READ : PLX_OP_WRITE, i * 32, 32);
	host_submit(&h, HOST_DEPTH);
}

static void
all_end_well(double seconds)
{
	unsigned int i;

	CHECK_EQ(host_collect(&h, HOST_DEPTH, seconds), HOST_DEPTH);
	for (i = 0; i < HOST_DEPTH; i++)
		CHECK_EQ(h.reqs[i].status, 0);
}

static void
set_abort(enum fake_abort how)
{
	fake_lock(&f);
	f.abort = how;
	fake_unlock(&f);
}

/* Unanswered commands come back by Abort, no more at a time than ACL says, and are sent again. */
static void
abort_succeeds(void)
{
	begin();
	f.id.acl = 1;
	attach(",io_timeout=500");
	host_open(&h, "fk");
	fault(FAKE_SILENT, 0, 3);
	submit_all();
	all_end_well(10);
	CHECK_EQ(seen(&f.nr_aborts), 3);
	CHECK_EQ(seen(&f.nr_enabled), 1);
	CHECK_EQ(stats().late, 3);
	CHECK_EQ(stats().retried, 3);
	io();
	CHECK_EQ(host_close(&h), 0);
	end();
}

/* One whose effect isn't known here is not. */
static void
abort_of_passthrough(void)
{
	struct plx_nvme_cmd cmd = {.cdw = {nvme_cmd_write_uncor}};
	struct plx_blk_ext ext = {.nvme = &cmd};

	begin();
	attach(",io_timeout=500");
	host_open(&h, "fk");
	fault(FAKE_SILENT, 0, 1);
	host_prepare(&h, 0, PLX_OP_NVME, 0, 0);
	h.reqs[0].ext = &ext;
	host_submit(&h, 1);
	CHECK_EQ(host_collect(&h, 1, 5), 1);
	CHECK_EQ(h.reqs[0].status, -ETIMEDOUT);
	CHECK_EQ(h.reqs[0].raw, NVME_SC_ABORT_REQ);
	CHECK_EQ(stats().retried, 0);
	CHECK_EQ(seen(&f.nr_enabled), 1);
	CHECK_EQ(host_close(&h), 0);
	end();
}

/* The next step: a reset, and once. */
static void
abort_fails(enum fake_abort how)
{
	begin();
	f.id.acl = 1;
	attach(",io_timeout=500,admin_timeout=700");
	host_open(&h, "fk");
	set_abort(how);
	fault(FAKE_SILENT, 0, 4);
	submit_all();
	all_end_well(10);
	CHECK(host_event(&h, PLX_BLK_EVENT_RESET, 0, 2));
	CHECK_EQ(seen(&f.nr_enabled), 2);
	CHECK_EQ(seen(&f.nr_aborts), 2);
	CHECK_EQ(seen(&f.nr_flr), 0);
	io();
	CHECK_EQ(host_close(&h), 0);
	end();
}

static void
abort_refused(void)
{
	abort_fails(FAKE_REFUSES);
}

static void
abort_ignored(void)
{
	abort_fails(FAKE_IGNORES);
}

/* A slow controller is not a broken one: the command that could not be aborted comes back. */
static void
abort_overtaken(void)
{
	begin();
	attach(",io_timeout=500");
	host_open(&h, "fk");
	set_abort(FAKE_REFUSES);
	fault(FAKE_SILENT, 0, 1);
	host_prepare(&h, 0, PLX_OP_READ, 0, 1);
	host_submit(&h, 1);
	while (seen(&f.nr_aborts) == 0)
		CHECK_EQ(host_collect(&h, 1, 0.01), 0);
	fake_lock(&f);
	CHECK(fake_give_back(&f, 1, 0x1000));
	fake_unlock(&f);
	CHECK_EQ(host_collect(&h, 1, 5), 1);
	CHECK_EQ(h.reqs[0].status, 0);
	CHECK(!host_event(&h, PLX_BLK_EVENT_RESET, 0, 1.5));
	CHECK_EQ(seen(&f.nr_enabled), 1);
	CHECK_EQ(host_close(&h), 0);
	end();
}

/* A controller reset fails, and that of the function helps; requests don't notice. */
static void
function_reset(bool stops)
{
	begin();
	attach("");
	host_open(&h, "fk");
	fault(FAKE_SILENT, 0, HOST_DEPTH);
	submit_all();
	fake_lock(&f);
	f.cured_by_flr = true;
	f.never_ready = stops;
	f.never_stops = !stops;
	fake_unlock(&f);
	CHECK_EQ(host_collect(&h, 1, 0.1), 0);
	fault(FAKE_NONE, 0, 0);
	CHECK_EQ(plx_blk_reset(h.blk), 0);
	CHECK_EQ(seen(&f.nr_flr), 1);
	all_end_well(5);
	io();
	CHECK_EQ(host_close(&h), 0);
	end();
}

static void
never_ready(void)
{
	function_reset(true);
}

static void
never_stops(void)
{
	function_reset(false);
}

/* No step helps: the end, in bounded time. */
static void
nothing_helps(void)
{
	double t;

	begin();
	attach("");
	host_open(&h, "fk");
	keep_busy();
	fake_lock(&f);
	f.never_ready = true;
	fake_unlock(&f);
	t = host_now();
	CHECK_EQ(plx_blk_reset(h.blk), -ETIMEDOUT);
	CHECK(host_now() - t < 8, "%f s", host_now() - t);
	CHECK_EQ(seen(&f.nr_flr), 2);
	all_end_with(-ENODEV, 1);
}

/* Each reset succeeds, and each time it fails again. */
static void
reset_storm(void)
{
	begin();
	attach("");
	host_open(&h, "fk");
	keep_busy();
	fake_lock(&f);
	f.fails_again = true;
	f.csts |= 2;
	fake_unlock(&f);
	CHECK(host_event(&h, PLX_BLK_EVENT_REMOVED, 0, 12));
	CHECK_EQ(seen(&f.nr_enabled), 11);
	CHECK_EQ(host_collect(&h, HOST_DEPTH, 1), HOST_DEPTH);
	CHECK_EQ(host_close(&h), 0);
	end();
}

/* It comes back with less than it had. */
static void
fewer_queues(void)
{
	begin();
	attach("");
	host_set_up(&h, "fk", 3, 8);
	REQUIRE(plx_blk_start(h.blk) == 0);
	fake_lock(&f);
	f.nr_queues = 2 * 0x10001;
	fake_unlock(&f);
	CHECK_EQ(plx_blk_reset(h.blk), 0);
	io();
	fake_lock(&f);
	f.nr_queues = 0x10001;
	fake_unlock(&f);
	CHECK_EQ(plx_blk_reset(h.blk), -ENOSPC);
	CHECK(host_event(&h, PLX_BLK_EVENT_REMOVED, 0, 2));
	CHECK_EQ(host_close(&h), 0);
	end();
}

static void
shorter_transfers(void)
{
	begin();
	attach("");
	host_open(&h, "fk");
	keep_busy();
	fake_lock(&f);
	f.id.mdts = 1;
	fake_unlock(&f);
	CHECK_EQ(plx_blk_reset(h.blk), -ESTALE);
	all_end_with(-ENODEV, 1);
}

static void
other_capabilities(void)
{
	begin();
	attach("");
	host_open(&h, "fk");
	keep_busy();
	fake_lock(&f);
	f.cap ^= 0x10;
	fake_unlock(&f);
	CHECK_EQ(plx_blk_reset(h.blk), -ESTALE);
	all_end_with(-ENODEV, 1);
}

/* An admin command of the application doesn't keep a broken controller from its reset. */
static void
admin_while_fatal(void)
{
	uint8_t id[4096];
	struct plx_nvme_cmd cmd = {.cdw = {nvme_admin_identify, [10] = NVME_IDENTIFY_CNS_CTRL},
		.data = id,
		.data_len = sizeof(id)};
	double t = host_now();

	begin();
	attach("");
	host_open(&h, "fk");
	fake_lock(&f);
	f.csts |= 2;
	fake_unlock(&f);
	CHECK_EQ(plx_blk_nvme_admin(h.blk, &cmd), -ETIMEDOUT);
	CHECK(host_now() - t < 5);
	CHECK(host_event(&h, PLX_BLK_EVENT_RESET, 0, 5));
	CHECK_EQ(plx_blk_nvme_admin(h.blk, &cmd), 0);
	io();
	CHECK_EQ(host_close(&h), 0);
	end();
}

/* Closed and detached while the controller keeps commands: it gets 5 s, then they are taken back.
 */
static void
detach_busy(void)
{
	double t;
	unsigned int i;

	begin();
	attach("");
	host_open(&h, "fk");
	keep_busy();
	t = host_now();
	CHECK_EQ(plx_blk_stop(h.blk), 0);
	CHECK(host_now() - t < 7);
	CHECK_EQ(host_collect(&h, HOST_DEPTH, 1), HOST_DEPTH);
	for (i = 0; i < HOST_DEPTH; i++)
		CHECK_EQ(h.reqs[i].status, -ECANCELED);
	CHECK_EQ(host_close(&h), 0);
	CHECK(f.was_shut_down);
	end();
}

int
main(int argc, char **argv)
{
	bool all = argc == 2 && strcmp(argv[1], "slow") == 0;

	host_eal(argc, argv);
	RUN(abort_succeeds);
	RUN(abort_refused);
	RUN(fewer_queues);
	RUN(shorter_transfers);
	RUN(other_capabilities);
	RUN(admin_while_fatal);
	if (all) {
		RUN(abort_of_passthrough);
		RUN(abort_ignored);
		RUN(abort_overtaken);
		RUN(never_ready);
		RUN(never_stops);
		RUN(nothing_helps);
		RUN(reset_storm);
		RUN(detach_busy);
	}
	plx_eal_cleanup();
	return TEST_RESULT();
}
