/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The exporter is killed in the middle of I/O, again and again: every request comes back once and
 * in time, the process lives and attaches to the next one, and nothing is left behind.
 * usage: test_kill PATH_OF_PLX_EXPORT
 */
#include <sched.h>

#include "daemon.h"
#include "host.h"

#define ROUNDS 6
#define BOUND_S 15.0 /* for all that was in flight */

static struct daemon exporter;
static struct host h;
static char str[128], cpu[16];
static bool out[HOST_DEPTH];

/* Another CPU than ours if there is one. */
static void
choose_cpu(void)
{
	cpu_set_t set;
	int i;

	REQUIRE(sched_getaffinity(0, sizeof(set), &set) == 0);
	for (i = 0; i < CPU_SETSIZE; i++)
		if (CPU_ISSET(i, &set))
			snprintf(cpu, sizeof(cpu), "%d", i);
}

static void
attach(void)
{
	snprintf(str, sizeof(str), "vfio-user:%s/sock,dev=r0", dir);
	start(&exporter, (const char *const[MAX_ARGS + 1]){"-l", cpu, "--", "--dev",
				 "ram:size=16M,name=r0", "--export", str, NULL});
	REQUIRE(prints(&exporter, "serving r0"));
	snprintf(str, sizeof(str), "vfio-user:%s/sock,name=nv", dir);
	REQUIRE(host_attach(&h, str) == 0);
	host_open(&h, "nv");
}

static void
aim(unsigned int i)
{
	uint32_t n = 1 + (uint32_t)rand() % (HOST_BYTES / h.info.block_size);

	host_prepare(&h, i, rand() % 2 ? PLX_OP_READ : PLX_OP_WRITE,
		(uint64_t)rand() % (h.info.nblocks - n), n);
}

/* Keep the queue full. @return how many came back; *failed: of these, with an error */
static unsigned int
load(unsigned int *inflight, unsigned int *failed, bool more)
{
	struct plx_blk_req *p, *got[HOST_DEPTH];
	unsigned int i, k;

	for (i = 0; more && i < HOST_DEPTH; i++) {
		if (out[i])
			continue;
		aim(i);
		p = &h.reqs[i];
		if (plx_blkq_submit(h.q, &p, 1) == 0)
			break;
		out[i] = true;
		++*inflight;
	}
	k = plx_blkq_poll(h.q, got, HOST_DEPTH);
	for (i = 0; i < k; i++) {
		unsigned int slot = (unsigned int)(got[i] - h.reqs);

		CHECK(slot < HOST_DEPTH && out[slot], "a request that came back twice");
		out[slot] = false;
		*failed += got[i]->status != 0;
	}
	*inflight -= k;
	plx_ctrl_poll();
	return k;
}

static void
one_round(unsigned int ms)
{
	unsigned int inflight = 0, failed = 0, done = 0;
	double until;

	attach();
	for (until = host_now() + ms / 1000.0; host_now() < until || done <= HOST_DEPTH;)
		done += load(&inflight, &failed, true);
	CHECK_EQ(failed, 0);
	REQUIRE(kill(exporter.pid, SIGKILL) == 0);
	/* it goes on submitting until it is told */
	for (until = host_now() + BOUND_S; failed == 0 && host_now() < until;)
		load(&inflight, &failed, true);
	CHECK(failed != 0, "nothing told of the exporter's end");
	while (inflight != 0 && host_now() < until)
		load(&inflight, &failed, false);
	CHECK_EQ(inflight, 0);
	CHECK_EQ(end(&exporter, 0), -SIGKILL);
	CHECK_EQ(host_one(&h, PLX_OP_READ, 0, 1), -ENODEV);
	CHECK(host_event(&h, PLX_BLK_EVENT_REMOVED, 0, 2));
	host_close(&h);
}

static void
rounds(void)
{
	struct host_use before;
	unsigned int i;

	one_round(50); /* what is allocated once is there from now on */
	before = host_use();
	for (i = 0; i < ROUNDS; i++) {
		one_round(10 + (unsigned int)rand() % 100);
		host_unused(&before);
	}
}

int
main(int argc, char **argv)
{
	REQUIRE(argc == 2);
	program = argv[1];
	choose_cpu();
	REQUIRE(mkdtemp(dir) != NULL);
	host_eal(1, argv);
	srand(1);
	RUN(rounds);
	snprintf(str, sizeof(str), "%s/sock", dir);
	unlink(str);
	CHECK_EQ(rmdir(dir), 0);
	plx_eal_cleanup();
	return TEST_RESULT();
}
