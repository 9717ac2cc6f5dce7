/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A server that goes away and is waited for (reconnect=): what may happen meanwhile. That it comes
 * back in the middle of verified I/O is nvme_reconnect's.
 * usage: test_away PATH_OF_PLX_EXPORT
 */
#include <fcntl.h>
#include <poll.h>

#include "daemon.h"
#include "host.h"

static struct daemon exporter;
static struct host h;
static char sock[64], image[64];

static void
serve(void)
{
	char ram[160], export[128];

	snprintf(ram, sizeof(ram), "ram:size=1M,name=r0,file=%s", image);
	snprintf(export, sizeof(export), "vfio-user:%s,dev=r0", sock);
	start(&exporter, (const char *const[MAX_ARGS + 1]){
				 "-l", "0", "--", "--dev", ram, "--export", export, NULL});
	REQUIRE(prints(&exporter, "serving r0"));
}

static void
attach(unsigned int reconnect, bool intr)
{
	char str[128];

	serve();
	snprintf(str, sizeof(str), "vfio-user:%s,name=nv,reconnect=%u", sock, reconnect);
	REQUIRE(host_attach(&h, str) == 0);
	host_set_up_intr(&h, "nv", 1, HOST_DEPTH, intr);
	REQUIRE(plx_blk_start(h.blk) == 0);
	CHECK_EQ(host_one(&h, PLX_OP_WRITE, 0, 8), 0);
}

static void
detach(void)
{
	CHECK_EQ(host_close(&h), 0);
	CHECK_EQ(end(&exporter, SIGTERM), 0);
}

/* It is gone, and n requests wait for it. */
static void
leave(unsigned int n)
{
	unsigned int i;

	/* of a server that is stopped none is done: all are in flight when it ends */
	REQUIRE(kill(exporter.pid, SIGSTOP) == 0);
	for (i = 0; i < n; i++)
		host_prepare(&h, i, PLX_OP_READ, i * 8, 8);
	host_submit(&h, n);
	CHECK_EQ(end(&exporter, SIGKILL), -SIGKILL);
	CHECK(host_event(&h, PLX_BLK_EVENT_RECONNECTING, n, 10));
	CHECK_EQ(host_collect(&h, n, 0.1), 0);
}

static void
all_ended(unsigned int n, int status)
{
	unsigned int i;

	CHECK_EQ(host_collect(&h, n, 20), n);
	for (i = 0; i < n; i++) {
		CHECK_EQ(h.reqs[i].status, status);
		CHECK_EQ(h.reqs[i].flags & PLX_IO_MAYBE_DMA, status == 0 ? 0 : PLX_IO_MAYBE_DMA);
	}
}

static void
back(void)
{
	attach(30, false);
	leave(HOST_DEPTH);
	serve();
	all_ended(HOST_DEPTH, 0);
	CHECK(host_event(&h, PLX_BLK_EVENT_RESET, 0, 10));
	CHECK_EQ(host_one(&h, PLX_OP_WRITE, 0, 8), 0);
	CHECK_EQ(plx_blk_reset(h.blk), 0);
	CHECK_EQ(host_one(&h, PLX_OP_READ, 0, 8), 0);
	detach();
}

/* Its owner sleeps on the interrupt meanwhile. */
static void
sleeper(void)
{
	struct plx_blk_req *got;
	double until;
	unsigned int n = 0;
	uint64_t v;
	int rc;

	attach(30, true);
	leave(1);
	serve();
	for (until = host_now() + 20; n == 0 && host_now() < until; plx_ctrl_poll()) {
		struct pollfd p = {.fd = plx_blkq_intr_fd(h.q), .events = POLLIN};

		rc = plx_blkq_intr_arm(h.q);
		REQUIRE(rc == 0 || rc == -EAGAIN);
		n = plx_blkq_poll(h.q, &got, 1);
		if (rc == 0 && n == 0 && poll(&p, 1, 1) == 1)
			REQUIRE(read(p.fd, &v, sizeof(v)) == sizeof(v));
		plx_blkq_intr_disarm(h.q);
	}
	CHECK_EQ(n, 1);
	CHECK_EQ(h.reqs[0].status, 0);
	detach();
}

/* Stop does not wait, and a start finds it. */
static void
stopped(void)
{
	attach(30, false);
	leave(4);
	CHECK_EQ(plx_blk_stop(h.blk), 0);
	all_ended(4, -ECANCELED);
	serve();
	CHECK_EQ(plx_blk_start(h.blk), 0);
	CHECK_EQ(host_one(&h, PLX_OP_READ, 0, 8), 0);
	detach();
}

static void
detached(void)
{
	double began;

	attach(30, false);
	leave(4);
	began = host_now();
	CHECK_EQ(host_close(&h), 0); /* with requests in flight */
	CHECK(host_now() - began < 10, "%.1f s", host_now() - began);
}

static void
too_late(void)
{
	attach(1, false);
	leave(4);
	all_ended(4, -ENODEV);
	CHECK(host_event(&h, PLX_BLK_EVENT_REMOVED, 0, 2));
	CHECK_EQ(host_one(&h, PLX_OP_READ, 0, 8), -ENODEV);
	CHECK_EQ(host_close(&h), 0);
}

/* Its namespace is another one: nothing goes there. */
static void
another(void)
{
	attach(30, false);
	leave(4);
	unlink(image);
	serve();
	CHECK_EQ(host_collect(&h, 4, 20), 4);
	CHECK_EQ(h.reqs[0].status, -ENODEV);
	CHECK(host_event(&h, PLX_BLK_EVENT_REMOVED, 0, 2));
	detach();
}

int
main(int argc, char **argv)
{
	static void (*const all[])(void) = {back, sleeper, stopped, detached, too_late, another};
	struct host_use before;
	unsigned int i;

	REQUIRE(argc == 2);
	program = argv[1];
	REQUIRE(mkdtemp(dir) != NULL);
	snprintf(sock, sizeof(sock), "%s/sock", dir);
	snprintf(image, sizeof(image), "%s/image", dir);
	host_eal(1, argv);
	detached(); /* what is allocated once is there from now on */
	before = host_use();
	for (i = 0; i < RTE_DIM(all); i++) {
		unlink(image);
		all[i]();
		host_unused(&before);
	}
	unlink(image);
	unlink(sock);
	CHECK_EQ(rmdir(dir), 0);
	plx_eal_cleanup();
	return TEST_RESULT();
}
