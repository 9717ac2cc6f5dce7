/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A reactor with a device and nothing to do: what it costs, and what the first I/O after sleep
 * waits.
 *
 *	test_idle [DEVICE STRING]
 */
#include <pthread.h>
#include <time.h>
#include <unistd.h>

#include <rte_cycles.h>

#include "rig.h"

#define IOS 100

/* Sanitizers cost CPU time of their own. */
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define PERCENT 10.0
#else
#define PERCENT 1.0
#endif

static struct rig g;
static struct plx_blkr *b;
static pthread_t thread;
static const char *dev = "soft-nvme:size=64M,name=idle0";

static struct one {
	struct plx_blk_req req; /* first */
	uint64_t sent, end;
	int done;
} one;

static void *
runner(void *arg)
{
	plx_reactor_run(arg);
	return NULL;
}

static void
on_done(struct plx_blk_req *req)
{
	CHECK_EQ(req->status, 0);
	one.end = rte_rdtsc();
	__atomic_store_n(&one.done, 1, __ATOMIC_RELEASE);
}

static void
go(void *arg)
{
	CHECK_EQ(plx_blkr_submit(b, &one.req, on_done), 0);
}

static double
first_io(uint8_t *buf)
{
	one.req = (struct plx_blk_req){.op = PLX_OP_READ, .nblk = 1, .buf = buf};
	one.done = 0;
	one.sent = rte_rdtsc();
	CHECK_EQ(plx_reactor_send(g.r, go, NULL), 0);
	while (__atomic_load_n(&one.done, __ATOMIC_ACQUIRE) == 0)
		;
	return (double)(one.end - one.sent) * 1e6 / (double)rte_get_tsc_hz();
}

static int
compare(const void *a, const void *c)
{
	const double x = *(const double *)a, y = *(const double *)c;

	return (x > y) - (x < y);
}

static double
cpu_s(void)
{
	struct timespec ts;
	clockid_t clock;

	REQUIRE(pthread_getcpuclockid(thread, &clock) == 0);
	clock_gettime(clock, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

static void
test_idle(void)
{
	struct plx_reactor_conf conf = {.idle = PLX_IDLE_ADAPTIVE};
	uint8_t *buf = plx_mem_alloc(4096, 4096, -1);
	double us[IOS], cpu, percent;
	uint64_t t;

	REQUIRE(buf != NULL);
	rig_up(&g, dev, 32, true);
	REQUIRE(plx_reactor_create_conf("idle", &conf, &g.r) == 0);
	REQUIRE(plx_reactor_add_ctrl(g.r) != NULL);
	REQUIRE(plx_blkr_create(g.r, g.q, &b) == 0);
	REQUIRE(pthread_create(&thread, NULL, runner, g.r) == 0);
	for (int i = 0; i < IOS; i++) {
		usleep(5000);
		us[i] = first_io(buf);
	}
	qsort(us, IOS, sizeof(us[0]), compare);
	usleep(100000);
	cpu = cpu_s();
	t = rte_rdtsc();
	sleep(1);
	percent = 100 * (cpu_s() - cpu) * (double)rte_get_tsc_hz() / (double)(rte_rdtsc() - t);
	printf("%s: idle %.2f %% of a core; first I/O after sleep: p50 %.1f us, p90 %.1f us, "
	       "most %.1f us\n",
		dev, percent, us[IOS / 2], us[IOS * 9 / 10], us[IOS - 1]);
	CHECK(percent < PERCENT, "%.2f %% of a core", percent);
	plx_reactor_stop(g.r);
	pthread_join(thread, NULL);
	CHECK_EQ(plx_blkr_destroy(b), 0);
	plx_reactor_destroy(g.r);
	rig_down(&g);
	plx_mem_free(buf);
}

int
main(int argc, char **argv)
{
	char *eal[] = {"test", "--no-huge", NULL};

	if (argc > 1)
		dev = argv[1];
	REQUIRE(plx_eal_init_app(2, eal) >= 0);
	RUN(test_idle);
	plx_eal_cleanup();
	return TEST_RESULT();
}
