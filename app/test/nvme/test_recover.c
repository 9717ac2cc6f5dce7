/* SPDX-License-Identifier: BSD-3-Clause */
/* Controllers that fail while they run: what was in flight is sent again, or ends. */
#include "rig.h"

/* ---- recovery ---- */

/* Requests that a fault hits are sent again after a reset and end well, once. */
static void
recovers_from(enum fake_fault what)
{
	unsigned int i;

	begin();
	f.abort = FAKE_REFUSES;
	attach(",io_timeout=1000");
	host_open(&h, "fk");
	CHECK_EQ(host_one(&h, PLX_OP_WRITE, 0, 1), 0);
	fault(what, 0, 1);
	for (i = 0; i < HOST_DEPTH; i++)
		host_prepare(&h, i, i % 2 ? PLX_OP_READ : PLX_OP_WRITE, i * 32, 32);
	host_submit(&h, HOST_DEPTH);
	CHECK_EQ(host_collect(&h, HOST_DEPTH, 8), HOST_DEPTH);
	for (i = 0; i < HOST_DEPTH; i++)
		CHECK_EQ(h.reqs[i].status, 0);
	CHECK(host_event(&h, PLX_BLK_EVENT_RESET, 0, 2));
	CHECK_EQ(seen(&f.nr_enabled), 2);
	io();
	CHECK_EQ(host_close(&h), 0);
	end();
}

static void
fatal_status(void)
{
	recovers_from(FAKE_FATAL);
}

static void
unanswered_io(void)
{
	recovers_from(FAKE_SILENT);
}

/* A request that is never answered ends, after some resets; others don't suffer. */
static void
poisonous_request(void)
{
	begin();
	attach("");
	host_open(&h, "fk");
	fault(FAKE_FATAL, 0, 100);
	host_prepare(&h, 0, PLX_OP_READ, 0, 1);
	host_submit(&h, 1);
	CHECK_EQ(host_collect(&h, 1, 20), 1);
	CHECK_EQ(h.reqs[0].status, -ETIMEDOUT);
	CHECK_EQ(seen(&f.nr_enabled), 6);
	fault(FAKE_NONE, 0, 0);
	io();
	CHECK_EQ(host_close(&h), 0);
	end();
}

/* Time in which the owner doesn't poll is not the device's. */
static void
idle_owner(void)
{
	double until;

	begin();
	attach(",io_timeout=500");
	host_open(&h, "fk");
	for (until = host_now() + 2.5; host_now() < until; usleep(1000))
		plx_ctrl_poll();
	fault(FAKE_SILENT, 0, 0);
	host_prepare(&h, 0, PLX_OP_READ, 0, 1);
	fake_lock(&f); /* no answer for a while */
	host_submit(&h, 1);
	CHECK_EQ(host_collect(&h, 1, 0), 0);
	{
		struct plx_blk_req *got;

		CHECK_EQ(plx_blkq_poll(h.q, &got, 1), 0);
	}
	fake_unlock(&f);
	CHECK_EQ(host_collect(&h, 1, 5), 1);
	for (until = host_now() + 1.2; host_now() < until; usleep(1000))
		plx_ctrl_poll();
	CHECK_EQ(seen(&f.nr_enabled), 1);
	CHECK_EQ(host_close(&h), 0);
	end();
}

static void
gone_while_running(void)
{
	begin();
	attach("");
	host_open(&h, "fk");
	keep_busy();
	fake_lock(&f);
	f.all_ones = true;
	fake_unlock(&f);
	all_end_with(-ENODEV, 5);
}

/* It never comes back from the reset that an unanswered request caused. */
static void
dead_after_reset(void)
{
	begin();
	f.abort = FAKE_REFUSES;
	attach(",io_timeout=500");
	host_open(&h, "fk");
	keep_busy();
	fake_lock(&f);
	f.never_ready = true;
	fake_unlock(&f);
	all_end_with(-ENODEV, 10);
}

static void
another_identity(void)
{
	begin();
	attach("");
	host_open(&h, "fk");
	keep_busy();
	fake_lock(&f);
	f.id.sn[7] = '2';
	fake_unlock(&f);
	CHECK_EQ(plx_blk_reset(h.blk), -ESTALE);
	all_end_with(-ENODEV, 1);
}

/* The same controller, but its namespace is another one, or has other blocks. */
static void
another_namespace(void)
{
	begin();
	attach("");
	host_open(&h, "fk");
	keep_busy();
	fake_lock(&f);
	f.ns[0].nguid[3]++;
	fake_unlock(&f);
	CHECK(plx_blk_reset(h.blk) != 0);
	all_end_with(-ENODEV, 1);
}

static void
another_format(void)
{
	begin();
	attach("");
	host_open(&h, "fk");
	keep_busy();
	fake_lock(&f);
	f.ns[0].lbaf[0].ds = 12;
	fake_unlock(&f);
	CHECK(plx_blk_reset(h.blk) != 0);
	all_end_with(-ENODEV, 1);
}

/* An admin command that waits for the end of a reset must not keep the queues parked. */
static void
admin_in_reset(void)
{
	uint8_t id[4096];
	struct plx_nvme_cmd cmd = {.cdw = {nvme_admin_identify, [10] = NVME_IDENTIFY_CNS_CTRL},
		.data = id,
		.data_len = sizeof(id)};

	begin();
	attach("");
	host_open(&h, "fk");
	fault(FAKE_FATAL, 0, 1);
	host_prepare(&h, 0, PLX_OP_READ, 0, 1);
	host_submit(&h, 1);
	while (h.blk->info.state != PLX_BLK_RESETTING) {
		plx_ctrl_poll();
		usleep(100);
	}
	CHECK_EQ(plx_blk_nvme_admin(h.blk, &cmd), 0);
	CHECK(memcmp(id + 4, "FAKE0001", 8) == 0);
	CHECK_EQ(host_collect(&h, 1, 5), 1);
	CHECK_EQ(h.reqs[0].status, 0);
	io();
	CHECK_EQ(host_close(&h), 0);
	end();
}

/* Detached in the middle of a reset that it began by itself. */
static void
detach_in_reset(void)
{
	begin();
	attach("");
	host_set_up(&h, "fk", 1, 8);
	fake_lock(&f);
	f.csts |= 2;
	fake_unlock(&f);
	while (seen(&f.nr_enabled) < 2)
		plx_ctrl_poll();
	CHECK_EQ(host_close(&h), 0);
	CHECK(f.was_shut_down);
	end();
}

static void
silent_delete(void)
{
	begin();
	attach(",admin_timeout=700");
	host_open(&h, "fk");
	CHECK_EQ(host_one(&h, PLX_OP_WRITE, 0, 1), 0);
	fake_lock(&f);
	f.silent_admin = nvme_admin_delete_sq;
	fake_unlock(&f);
	CHECK_EQ(plx_blk_stop(h.blk), -ETIMEDOUT);
	fake_lock(&f);
	f.silent_admin = -1;
	fake_unlock(&f);
	CHECK_EQ(plx_blk_start(h.blk), 0);
	io();
	CHECK_EQ(host_close(&h), 0);
	end();
}

/* ---- shutdown ---- */

static void
no_shutdown(void)
{
	double t;

	begin();
	f.no_shutdown = true;
	attach("");
	host_open(&h, "fk");
	t = host_now();
	CHECK_EQ(host_close(&h), -ETIMEDOUT);
	CHECK(host_now() - t < 12);
	end();
}

int
main(int argc, char **argv)
{
	bool all = argc == 2 && strcmp(argv[1], "slow") == 0;

	host_eal(argc, argv);
	RUN(fatal_status);
	RUN(gone_while_running);
	RUN(another_identity);
	RUN(another_namespace);
	RUN(another_format);
	RUN(admin_in_reset);
	RUN(detach_in_reset);
	RUN(silent_delete);
	if (all) {
		RUN(poisonous_request);
		RUN(unanswered_io);
		RUN(dead_after_reset);
		RUN(idle_owner);
		RUN(no_shutdown);
	}
	plx_eal_cleanup();
	return TEST_RESULT();
}
