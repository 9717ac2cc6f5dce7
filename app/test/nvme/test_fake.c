/* SPDX-License-Identifier: BSD-3-Clause */
/* The driver against a controller that is honest, or wrong in one way at a time. */
#include "fake.h"
#include "host.h"
#include "nvme_priv.h"

static struct fake f;
static struct host h;
static struct host_use before;
static char str[256];

static const char *
string(const char *more)
{
	snprintf(str, sizeof(str), "vfio-user:%s,name=fk%s", f.path, more);
	return str;
}

static void
begin(void)
{
	before = host_use();
	fake_init(&f);
}

static void
attach(const char *more)
{
	fake_start(&f);
	REQUIRE(host_attach(&h, string(more)) == 0);
}

static void
end(void)
{
	fake_stop(&f);
	host_unused(&before);
}

/* ---- honest ---- */

static void
io(void)
{
	unsigned int i;

	for (i = 0; i < 400; i++) {
		uint32_t n = 1 + (uint32_t)rand() % (HOST_BYTES / FAKE_BLOCK);
		uint64_t lba = (uint32_t)rand() % (FAKE_BLOCKS - n);

		memset(h.mem, rand(), n * FAKE_BLOCK);
		memcpy(h.mem, &i, sizeof(i));
		CHECK_EQ(host_one(&h, PLX_OP_WRITE, lba, n), 0);
		fake_lock(&f);
		CHECK(memcmp(h.mem, f.disk[0] + lba * FAKE_BLOCK, n * FAKE_BLOCK) == 0);
		fake_unlock(&f);
		memset(h.mem, 0, n * FAKE_BLOCK);
		CHECK_EQ(host_one(&h, PLX_OP_READ, lba, n), 0);
		fake_lock(&f);
		CHECK(memcmp(h.mem, f.disk[0] + lba * FAKE_BLOCK, n * FAKE_BLOCK) == 0);
		fake_unlock(&f);
	}
}

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

static void
fault(enum fake_fault what, uint16_t status, unsigned int times)
{
	fake_lock(&f);
	f.fault = what;
	f.status = status;
	f.nr_faults = times;
	fake_unlock(&f);
}

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
		io_before = f.nr_io;
		CHECK_EQ(host_one(&h, PLX_OP_READ, 0, 1), map[i].err);
		CHECK_EQ(h.reqs[0].raw, map[i].status | 0x4000);
		fake_lock(&f);
		CHECK_EQ(f.nr_io, io_before + 1);
		fake_unlock(&f);
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

/* ---- recovery ---- */

/* Requests that a fault hits are sent again after a reset and end well, once. */
static void
recovers_from(enum fake_fault what)
{
	unsigned int i;

	begin();
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
	CHECK_EQ(f.nr_enabled, 2);
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
	CHECK_EQ(f.nr_enabled, 6);
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
	CHECK_EQ(f.nr_enabled, 1);
	CHECK_EQ(host_close(&h), 0);
	end();
}

static void
all_end_with(int status, double seconds)
{
	unsigned int i;

	CHECK_EQ(host_collect(&h, HOST_DEPTH, seconds), HOST_DEPTH);
	for (i = 0; i < HOST_DEPTH; i++)
		CHECK_EQ(h.reqs[i].status, status);
	CHECK(host_event(&h, PLX_BLK_EVENT_REMOVED, 0, 2));
	CHECK_EQ(host_one(&h, PLX_OP_READ, 0, 1), -ENODEV);
	CHECK_EQ(host_close(&h), 0);
	end();
}

static void
keep_busy(void)
{
	unsigned int i;

	fault(FAKE_SILENT, 0, 1000);
	for (i = 0; i < HOST_DEPTH; i++)
		host_prepare(&h, i, PLX_OP_READ, i, 1);
	host_submit(&h, HOST_DEPTH);
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
	while (f.nr_enabled < 2)
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
		CHECK_EQ(host_close(&h), 0);
		end();
	}
}

/* ---- namespaces that come and go ---- */

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

static unsigned int
logs_read(void)
{
	unsigned int n;

	fake_lock(&f);
	n = f.nr_events_read;
	fake_unlock(&f);
	return n;
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
	for (n = logs_read(); logs_read() == n && host_now() < until; usleep(100))
		plx_ctrl_poll();
	n = logs_read();
	send_event(0x020101);
	send_event(0x810006);
	while (logs_read() < n + 2 && host_now() < until) {
		plx_ctrl_poll();
		usleep(100);
	}
	CHECK(logs_read() >= n + 2);
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
	bool slow = argc == 2 && strcmp(argv[1], "slow") == 0;

	host_eal(argc, argv);
	if (slow) {
		RUN(poisonous_request);
		RUN(unanswered_io);
		RUN(dead_after_reset);
		RUN(idle_owner);
		RUN(events);
		RUN(no_shutdown);
	} else {
		RUN(honest);
		RUN(unmapped_doorbells);
		RUN(doorbell_buffers);
		RUN(mad_event_index);
		RUN(two_entries);
		RUN(start_stop);
		RUN(wrong_completions);
		RUN(statuses);
		RUN(fatal_status);
		RUN(gone_while_running);
		RUN(another_identity);
		RUN(another_namespace);
		RUN(another_format);
		RUN(admin_in_reset);
		RUN(detach_in_reset);
		RUN(silent_delete);
		RUN(failing_create);
		RUN(event_storm);
	}
	plx_eal_cleanup();
	return TEST_RESULT();
}
