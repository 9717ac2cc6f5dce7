/* SPDX-License-Identifier: BSD-3-Clause */
/* Events, and what they lead to: namespaces that come and go. */
#include "plx_nvme.h"
#include "rig.h"

static void
send_event(uint32_t dw0)
{
	unsigned int i;
	bool sent = false;

	for (i = 0; i < 5000 && !sent; i++) {
		fake_lock(&f);
		sent = fake_event(&f, dw0);
		fake_unlock(&f);
		usleep(1000);
	}
	CHECK(sent);
}

/* More than there are requests; and two at a time: both logs are read, else no more would come. */
static void
health(void)
{
	double until = host_now() + 5;
	unsigned int i, n;

	for (i = 0; i < 10; i++) {
		send_event(0x020000 | i << 8 | 1);
		CHECK(host_event(&h, PLX_BLK_EVENT_HEALTH, i, 3));
	}
	for (n = seen(&f.nr_events_read); seen(&f.nr_events_read) == n && host_now() < until;
		usleep(100))
		plx_ctrl_poll();
	n = seen(&f.nr_events_read);
	send_event(0x020101);
	send_event(0x810006);
	while (seen(&f.nr_events_read) < n + 2 && host_now() < until) {
		plx_ctrl_poll();
		usleep(100);
	}
	CHECK(seen(&f.nr_events_read) >= n + 2);
}

static void
events(void)
{
	struct plx_blk *second;
	double until;

	begin();
	attach("");
	host_open(&h, "fk/n1");
	health();
	fake_lock(&f);
	f.ns[0].nsze = FAKE_BLOCKS / 2;
	fake_unlock(&f);
	send_event(0x040002);
	CHECK(host_event(&h, PLX_BLK_EVENT_RESIZED, FAKE_BLOCKS / 2, 3));
	CHECK_EQ(host_one(&h, PLX_OP_READ, FAKE_BLOCKS / 2, 1), -ERANGE);

	fake_lock(&f);
	f.ns_there[1] = true;
	fake_unlock(&f);
	send_event(0x040002);
	CHECK(host_event(&h, PLX_BLK_EVENT_NS_CHANGED, 0, 3));
	for (until = host_now() + 3; plx_blk_next(h.blk) == NULL && host_now() < until;)
		plx_ctrl_poll();
	CHECK_EQ(plx_blk_open("fk/n2", 0, &second), 0);
	CHECK_EQ(plx_blk_close(second), 0);

	keep_busy();
	fake_lock(&f);
	f.ns_there[0] = false;
	fake_unlock(&f);
	send_event(0x040002);
	all_end_with(-ENODEV, 3);
}

/* One that went comes back, as another one, but not before it was closed. */
static void
comes_back(void)
{
	struct plx_blk_info info;
	double until;

	begin();
	attach("");
	host_open(&h, "fk/n1");
	io();
	fake_lock(&f);
	f.ns_there[0] = false;
	fake_unlock(&f);
	send_event(0x040002);
	CHECK(host_event(&h, PLX_BLK_EVENT_REMOVED, 0, 3));
	fake_lock(&f);
	f.ns_there[0] = true;
	f.ns[0].nsze = FAKE_BLOCKS / 4;
	fake_unlock(&f);
	send_event(0x040002);
	for (until = host_now() + 1.2; host_now() < until; usleep(1000))
		plx_ctrl_poll();
	plx_blk_info_get(h.blk, &info);
	CHECK_EQ(info.state, PLX_BLK_REMOVED);
	CHECK_EQ(plx_blk_close(h.blk), 0);
	plx_mem_free(h.mem);
	for (until = host_now() + 3; info.state == PLX_BLK_REMOVED && host_now() < until;
		usleep(1000)) {
		plx_ctrl_poll();
		plx_blk_info_get(h.blk, &info); /* it is good until it is detached */
	}
	host_open(&h, "fk/n1");
	plx_blk_info_get(h.blk, &info);
	CHECK_EQ(info.nblocks, FAKE_BLOCKS / 4);
	CHECK_EQ(host_one(&h, PLX_OP_WRITE, FAKE_BLOCKS / 4 - 1, 1), 0);
	CHECK_EQ(host_one(&h, PLX_OP_READ, FAKE_BLOCKS / 4, 1), -ERANGE);
	CHECK_EQ(host_close(&h), 0);
	end();
}

static bool
has_queue(unsigned int qid)
{
	bool has;

	fake_lock(&f);
	has = f.q[qid].cq || f.q[qid].sq;
	fake_unlock(&f);
	return has;
}

static void
set_there(bool there)
{
	fake_lock(&f);
	f.ns_there[0] = there;
	fake_unlock(&f);
	send_event(0x040002);
}

/* Queues of a namespace that went are deleted, more often than there are ids, and before its
 * requests come back; closed in its midst, too. */
static void
queues_of_gone(void)
{
	unsigned int turn, i;
	double until;

	begin();
	attach("");
	for (turn = 0; turn < 3; turn++) { /* three queues each, of six */
		for (until = host_now() + 5; host_now() < until; usleep(100)) {
			plx_ctrl_poll();
			if (plx_blk_next(NULL)->info.state == PLX_BLK_CLOSED)
				break;
		}
		host_set_up(&h, "fk/n1", 3, HOST_DEPTH);
		REQUIRE(plx_blk_start(h.blk) == 0);
		CHECK_EQ(host_one(&h, PLX_OP_WRITE, turn, 1), 0);
		keep_busy();
		set_there(false);
		CHECK(host_event(&h, PLX_BLK_EVENT_REMOVED, 0, 3));
		if (turn % 2 == 0) {
			CHECK_EQ(host_collect(&h, HOST_DEPTH, 3), HOST_DEPTH);
			CHECK(!has_queue(1), "a request came back before its queue was deleted");
			for (i = 0; i < HOST_DEPTH; i++) {
				CHECK_EQ(h.reqs[i].status, -ENODEV);
				CHECK_EQ(h.reqs[i].flags & PLX_IO_MAYBE_DMA, 0);
			}
		}
		CHECK_EQ(plx_blk_close(h.blk), 0);
		plx_mem_free(h.mem);
		fault(FAKE_NONE, 0, 0);
		set_there(true);
		for (until = host_now() + 3; has_queue(3) && host_now() < until; usleep(100))
			plx_ctrl_poll();
	}
	for (i = 1; i < FAKE_QUEUES; i++)
		CHECK(!has_queue(i));
	CHECK_EQ(plx_detach(h.dev), 0);
	end();
}

/* Detached, with its device open and started, while the watch waits for a log page. */
static void
detach_watching(void)
{
	unsigned int n;

	begin();
	attach(",admin_timeout=1000");
	host_open(&h, "fk");
	CHECK_EQ(host_one(&h, PLX_OP_WRITE, 0, 1), 0);
	fake_lock(&f);
	f.silent_admin = nvme_admin_get_log_page;
	n = f.nr_admin;
	fake_unlock(&f);
	send_event(0x020001);
	while (seen(&f.nr_admin) < n + 2) /* the log, and the event request again */
		plx_ctrl_poll();
	CHECK_EQ(plx_detach(h.dev), 0);
	plx_mem_free(h.mem);
	CHECK(f.was_shut_down);
	end();
}

/* A controller that dies in the midst of a command that may take minutes is noticed all the same.
 */
static void
dies_in_format(bool all_ones)
{
	struct plx_nvme_cmd cmd = {.cdw = {nvme_admin_format_nvm, 1}, .timeout_ms = 600000};
	double t = host_now();
	unsigned int n;
	int rc;

	begin();
	f.silent_admin = nvme_admin_format_nvm;
	attach("");
	host_open(&h, "fk");
	n = seen(&f.nr_admin);
	CHECK_EQ(plx_nvme_admin_begin(h.dev, &cmd), 0);
	while (seen(&f.nr_admin) == n)
		plx_ctrl_poll();
	fake_lock(&f);
	f.all_ones = all_ones;
	f.csts |= all_ones ? 0 : 2;
	fake_unlock(&f);
	while ((rc = plx_nvme_poll(h.dev)) == -EINPROGRESS && host_now() - t < 20)
		plx_ctrl_poll();
	CHECK_EQ(rc, all_ones ? -ENODEV : -ETIMEDOUT);
	CHECK(host_now() - t < 5);
	CHECK_EQ(host_one(&h, PLX_OP_READ, 0, 1), all_ones ? -ENODEV : 0);
	CHECK_EQ(host_close(&h), 0);
	end();
}

static void
death_in_format(void)
{
	dies_in_format(true);
	dies_in_format(false);
}

/* A controller that sends nothing but events. */
static void
event_storm(void)
{
	unsigned int i, n = 0;

	begin();
	attach("");
	host_open(&h, "fk");
	for (i = 0; i < 3000; i++) {
		fake_lock(&f);
		n += fake_event(&f, (uint32_t)rand());
		fake_unlock(&f);
		plx_ctrl_poll();
	}
	CHECK(n > 10, "%u", n);
	io();
	CHECK_EQ(host_close(&h), 0);
	end();
}

int
main(int argc, char **argv)
{
	host_eal(argc, argv);
	RUN(events);
	RUN(comes_back);
	RUN(queues_of_gone);
	RUN(detach_watching);
	RUN(death_in_format);
	RUN(event_storm);
	plx_eal_cleanup();
	return TEST_RESULT();
}
