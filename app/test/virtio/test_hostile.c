/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vhost-user back ends that do wrong: in the protocol, which must end an attach with its error; and
 * on the rings, which must be counted and recovered from without a wrong completion.
 */
#include <errno.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "plx_blk.h"
#include "plx_ctrl.h"
#include "plx_eal.h"
#include "plx_mem.h"
#include "plx_probe.h"
#include "plx_test.h"

#include "fake_back.h"

/* ---- the protocol ---- */

static void
refused(enum evil evil, int rc)
{
	fake_begin(evil, false);
	CHECK_EQ(fake_attach(",timeout=300"), rc);
	CHECK(plx_dev_find("v") == NULL);
	fake_end();
}

static void
test_protocol(void)
{
	refused(CLOSES, -EPROTO);
	refused(SILENT, -ETIMEDOUT);
	refused(BABBLES, -EPROTO);
	refused(OTHER_REPLY, -EPROTO);
	refused(HUGE_REPLY, -EPROTO);
	refused(LEGACY, -EPROTONOSUPPORT);
	refused(NO_CONFIG, -EPROTO);
	refused(EMPTY, -EPROTO);
	refused(REFUSES, -EREMOTEIO);
}

static void
test_bad_strings(void)
{
	CHECK_EQ(plx_attach("vhost-user:/nonexistent/sock", NULL), -ENOENT);
	CHECK_EQ(plx_attach("vhost-user:/dev/null", NULL), -ENOTSOCK);
	CHECK_EQ(plx_attach("vhost-user:", NULL), -EINVAL);
	CHECK_EQ(plx_attach("vhost-user:/tmp/x,cache=none", NULL), -EINVAL);
	fake_begin(HONEST, false);
	CHECK_EQ(fake_attach(",queues=7"), -EINVAL);
	CHECK_EQ(fake_attach(",packed=1"), -ENOTSUP);
	fake_end();
}

/* ---- the ring ---- */

#define DEPTH 16
static struct plx_blk *blk;
static struct plx_blkq *q;

static void
open_device(const char *keys)
{
	struct plx_blkq_conf conf = {.depth = DEPTH};

	REQUIRE(fake_attach(keys) == 0);
	REQUIRE(plx_blk_open("v", PLX_BLK_O_WRITE, &blk) == 0);
	REQUIRE(plx_blk_configure(blk, 1) == 0 && plx_blkq_setup(blk, 0, &conf) == 0);
	REQUIRE(plx_blk_start(blk) == 0);
	q = plx_blk_queue_get(blk, 0);
}

static void
close_device(void)
{
	CHECK_EQ(plx_blk_close(blk), 0);
	CHECK_EQ(plx_detach_all(), 0);
}

/* Reads, DEPTH at a time. @return how many came back with an error */
static unsigned int
reads(unsigned int rounds)
{
	static struct plx_blk_req reqs[DEPTH];
	struct plx_blk_req *got[DEPTH], *p;
	uint8_t *buf = plx_mem_alloc(DEPTH * 4096, 4096, -1);
	unsigned int i, out, failed = 0;
	time_t until = time(NULL) + 15;
	uint16_t k, n;

	REQUIRE(buf != NULL);
	for (; rounds != 0; rounds--) {
		memset(buf, 0, DEPTH * 4096);
		for (i = 0, out = 0; i < DEPTH || out != 0;) {
			if (i < DEPTH) {
				reqs[i] = (struct plx_blk_req){
					.op = PLX_OP_READ, .nblk = 8, .buf = buf + i * 4096};
				p = &reqs[i];
				n = plx_blkq_submit(q, &p, 1);
				i += n;
				out += n;
			}
			n = plx_blkq_poll(q, got, DEPTH);
			for (k = 0; k < n; k++) {
				failed += got[k]->status != 0;
				CHECK(got[k]->status != 0 || ((uint8_t *)got[k]->buf)[4095] == 0x5a,
					"completed, but not read");
			}
			out -= n;
			plx_ctrl_poll();
			REQUIRE(time(NULL) < until);
		}
	}
	plx_mem_free(buf);
	return failed;
}

/* It was hung up on when it had requests, and began anew. */
static bool
was_reset(void)
{
	struct plx_blk_event ev = {0};

	while (plx_blk_event_get(blk, &ev) == 1 && ev.type == PLX_BLK_EVENT_RECONNECTING)
		;
	return ev.type == PLX_BLK_EVENT_RESET;
}

static void
recovered(enum evil evil, bool packed, unsigned int errors)
{
	struct plx_blk_stats st;

	fake_begin(evil, packed);
	open_device("");
	CHECK_EQ(reads(50), errors);
	CHECK(back.fired);
	plx_blk_stats_get(blk, UINT16_MAX, &st);
	CHECK_EQ(st.bad_device, 1);
	if (errors == 0 && evil != TOO_LONG) { /* which does no harm */
		CHECK(was_reset());
		CHECK(st.retried != 0);
	}
	close_device();
	fake_end();
}

static void
test_ring(void)
{
	for (int packed = 0; packed < 2; packed++) {
		recovered(BAD_ID, packed, 0);
		recovered(TOO_LONG, packed, 0);
		recovered(NO_STATUS, packed, 1);
	}
	recovered(TWICE, false, 0);
	recovered(JUMPS, false, 0);
}

/* A request without an answer, among others that have theirs, is sent again after a reset. */
static void
test_late(void)
{
	struct plx_blk_stats st;

	for (int packed = 0; packed < 2; packed++) {
		fake_begin(FORGETS, packed);
		open_device(",io_timeout=200");
		CHECK_EQ(reads(50), 0);
		CHECK(back.fired);
		plx_blk_stats_get(blk, UINT16_MAX, &st);
		CHECK_EQ(st.late, 1);
		CHECK_EQ(st.bad_device, 0);
		CHECK(st.retried != 0);
		CHECK(was_reset());
		CHECK(!back.let_be, "it may still be at the request that is sent again");
		close_device();
		fake_end();
	}
}

/* What is late twice ends so; what is in flight beside it ends well. */
static void
test_late_again(void)
{
	struct plx_blk_req r[2], *p[2] = {&r[0], &r[1]}, *got;
	uint8_t *buf = plx_mem_alloc(8192, 4096, -1);
	struct plx_blk_stats st;
	time_t until = time(NULL) + 15;

	fake_begin(FORGETS_BLOCK, false);
	open_device(",io_timeout=200");
	for (int i = 0; i < 2; i++)
		r[i] = (struct plx_blk_req){.op = PLX_OP_READ,
			.lba = i == 0 ? FORGOTTEN : 8,
			.nblk = 8,
			.buf = buf + i * 4096};
	REQUIRE(plx_blkq_submit(q, p, 2) == 2);
	for (int n = 0; n < 2;) {
		n += plx_blkq_poll(q, &got, 1);
		plx_ctrl_poll();
		REQUIRE(time(NULL) < until);
	}
	CHECK_EQ(r[0].status, -ETIMEDOUT);
	CHECK_EQ(r[1].status, 0);
	CHECK_EQ(reads(2), 0);
	plx_blk_stats_get(blk, UINT16_MAX, &st);
	CHECK_EQ(st.late, 2);
	CHECK(!back.let_be, "it may still be at a request that was given back");
	close_device();
	fake_end();
	plx_mem_free(buf);
}

/* The size is another at each look, and the back end says so: what was seen last holds. */
static void
test_config(void)
{
	struct {
		struct vhu_header h;
	} m = {{VHU_BACKEND_CONFIG_CHANGE, VHU_VERSION, 0}};
	struct plx_blk_event ev = {0};
	struct plx_blk_info info;
	time_t until = time(NULL) + 10;

	fake_begin(GROWS, false);
	open_device("");
	plx_blk_info_get(blk, &info);
	CHECK(info.nblocks >= SECTORS);
	REQUIRE(send(back.backend, &m, sizeof(m), MSG_NOSIGNAL) == sizeof(m));
	while (ev.type != PLX_BLK_EVENT_RESIZED && time(NULL) < until) {
		plx_ctrl_poll();
		plx_blk_event_get(blk, &ev);
	}
	CHECK_EQ(ev.type, PLX_BLK_EVENT_RESIZED);
	plx_blk_info_get(blk, &info);
	CHECK_EQ(info.nblocks, back.sectors - 8);
	CHECK_EQ(reads(2), 0);
	close_device();
	fake_end();
}

/* What comes back with less, or as another, isn't given the requests. */
static void
test_another(void)
{
	time_t until = time(NULL) + 15;
	struct plx_blk_req r = {.op = PLX_OP_FLUSH}, *p = &r;
	uint8_t *buf = plx_mem_alloc(4096, 4096, -1);

	fake_begin(HONEST, false);
	REQUIRE(fake_attach(",reconnect=1") == 0);
	REQUIRE(plx_blk_open("v", PLX_BLK_O_WRITE, &blk) == 0);
	REQUIRE(plx_blk_configure(blk, 1) == 0 && plx_blkq_setup(blk, 0, NULL) == 0);
	REQUIRE(plx_blk_start(blk) == 0);
	q = plx_blk_queue_get(blk, 0);
	r = (struct plx_blk_req){.op = PLX_OP_READ, .nblk = 8, .buf = buf};
	back.sectors *= 2;
	shutdown(back.fd, SHUT_RDWR);
	for (int n = 0; n == 0; n = plx_blkq_submit(q, &p, 1)) { /* parked, then refused */
		plx_ctrl_poll();
		REQUIRE(time(NULL) < until);
	}
	while (plx_blkq_poll(q, &p, 1) == 0) {
		plx_ctrl_poll();
		REQUIRE(time(NULL) < until);
	}
	CHECK(r.status == -ENOTCONN || r.status == 0);
	back.sectors /= 2; /* the right one again */
	for (r.status = -1; r.status != 0;) {
		if (plx_blkq_submit(q, &p, 1) == 1)
			while (plx_blkq_poll(q, &p, 1) == 0)
				plx_ctrl_poll();
		r.flags = 0;
		plx_ctrl_poll();
		REQUIRE(time(NULL) < until);
	}
	close_device();
	fake_end();
	plx_mem_free(buf);
}

/* Asleep until the call comes. */
static void
intr(bool packed)
{
	struct plx_blkq_conf conf = {.depth = DEPTH, .intr = true};
	uint8_t *buf = plx_mem_alloc(4096, 4096, -1);
	struct plx_blk_req r, *p = &r;
	struct pollfd pfd = {.events = POLLIN};
	uint64_t n;

	fake_begin(HONEST, packed);
	REQUIRE(fake_attach("") == 0);
	REQUIRE(plx_blk_open("v", PLX_BLK_O_WRITE, &blk) == 0);
	REQUIRE(plx_blk_configure(blk, 1) == 0 && plx_blkq_setup(blk, 0, &conf) == 0);
	REQUIRE(plx_blk_start(blk) == 0);
	q = plx_blk_queue_get(blk, 0);
	pfd.fd = plx_blkq_intr_fd(q);
	REQUIRE(pfd.fd >= 0);
	for (int i = 0; i < 100; i++) {
		r = (struct plx_blk_req){.op = PLX_OP_READ, .nblk = 8, .buf = buf};
		CHECK_EQ(plx_blkq_intr_arm(q), 0);
		REQUIRE(plx_blkq_submit(q, &p, 1) == 1);
		CHECK_EQ(poll(&pfd, 1, 5000), 1);
		CHECK(read(pfd.fd, &n, sizeof(n)) == sizeof(n));
		CHECK_EQ(plx_blkq_intr_disarm(q), 0);
		while (plx_blkq_poll(q, &p, 1) == 0)
			;
		CHECK_EQ(r.status, 0);
	}
	close_device();
	fake_end();
	plx_mem_free(buf);
}

/* A back end that hangs can't be stopped either: it counts as gone, until it serves again. */
static void
test_hang(void)
{
	struct plx_blk_event ev = {0};
	struct plx_blk_req r, *p = &r;
	uint8_t *buf = plx_mem_alloc(4096, 4096, -1);
	time_t until = time(NULL) + 15;

	fake_begin(HONEST, false);
	open_device(",io_timeout=200,timeout=300");
	back.evil = SILENT;
	r = (struct plx_blk_req){.op = PLX_OP_READ, .nblk = 8, .buf = buf};
	REQUIRE(plx_blkq_submit(q, &p, 1) == 1);
	while (ev.type != PLX_BLK_EVENT_RECONNECTING) {
		REQUIRE(plx_blkq_poll(q, &p, 1) == 0 && time(NULL) < until);
		plx_ctrl_poll();
		plx_blk_event_get(blk, &ev);
	}
	CHECK_EQ(ev.value, 1);
	back.evil = HONEST;
	while (plx_blkq_poll(q, &p, 1) == 0) {
		plx_ctrl_poll();
		REQUIRE(time(NULL) < until);
	}
	CHECK_EQ(r.status, 0);
	CHECK_EQ(buf[4095], 0x5a);
	close_device();
	fake_end();
	plx_mem_free(buf);
}

/* Memory that can't be shared is reached by copies, whether it was registered or not. */
static void
test_unshared(void)
{
	uint8_t *va = mmap(NULL, 16384, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct plx_blk_req r, *p = &r;
	struct plx_blk_stats st;

	REQUIRE(va != MAP_FAILED);
	fake_begin(HONEST, false);
	open_device("");
	REQUIRE(plx_mem_register(va, 8192, -1, 0) == 0);
	while (plx_mem_sync() == -EINPROGRESS)
		plx_ctrl_poll();
	for (int i = 0; i < 2; i++) {
		uint8_t *buf = va + i * 12288 + i * 1000;

		r = (struct plx_blk_req){.op = PLX_OP_READ, .nblk = 1, .buf = buf};
		REQUIRE(plx_blkq_submit(q, &p, 1) == 1);
		while (plx_blkq_poll(q, &p, 1) == 0)
			plx_ctrl_poll();
		CHECK_EQ(r.status, 0);
		CHECK(buf[0] == 0x5a && buf[511] == 0x5a && buf[512] == 0);
		plx_blk_stats_get(blk, UINT16_MAX, &st);
		CHECK_EQ(st.bounced, i + 1);
	}
	close_device();
	CHECK_EQ(plx_mem_unregister(va, 8192), 0);
	fake_end();
	munmap(va, 16384);
}

static void
test_intr(void)
{
	intr(false);
	intr(true);
}

/* Stopped while it is away, the queues are set up anew; it is used again when it is back. */
static void
test_stop_while_away(void)
{
	struct plx_blkq_conf conf = {.depth = DEPTH};
	time_t until = time(NULL) + 15;
	struct plx_blk_info info = {0};
	int rc;

	fake_begin(HONEST, true);
	open_device("");
	back.evil = CLOSES;
	shutdown(back.fd, SHUT_RDWR);
	while (info.state != PLX_BLK_RESETTING) {
		plx_ctrl_poll();
		plx_blk_info_get(blk, &info);
		REQUIRE(time(NULL) < until);
	}
	CHECK_EQ(plx_blk_stop(blk), 0);
	CHECK_EQ(plx_blk_configure(blk, 1), 0);
	CHECK_EQ(plx_blkq_setup(blk, 0, &conf), 0);
	CHECK_EQ(plx_blk_start(blk), -ENOTCONN);
	back.evil = HONEST;
	do {
		plx_ctrl_poll();
		rc = plx_blk_start(blk);
		REQUIRE(time(NULL) < until);
	} while (rc == -ENOTCONN);
	CHECK_EQ(rc, 0);
	q = plx_blk_queue_get(blk, 0);
	CHECK_EQ(reads(2), 0);
	close_device();
	fake_end();
}

int
main(int argc, char **argv)
{
	REQUIRE(plx_eal_init_app(1, argv) >= 0);
	RUN(test_bad_strings);
	RUN(test_protocol);
	RUN(test_ring);
	RUN(test_late);
	RUN(test_late_again);
	RUN(test_hang);
	RUN(test_config);
	RUN(test_unshared);
	RUN(test_intr);
	RUN(test_another);
	RUN(test_stop_while_away);
	plx_eal_cleanup();
	return TEST_RESULT();
}
