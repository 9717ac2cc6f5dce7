/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A reactor with a device and nothing to do: what it costs, what the first I/O after sleep waits,
 * and that no wake-up is lost.
 *
 *	test_idle [DEVICE STRING [CYCLES]]
 */
#include <pthread.h>
#include <time.h>
#include <unistd.h>

#include <rte_cycles.h>

#include "blkr_priv.h"
#include "rig.h"

#define IOS 100
#define LOST_S 5
#define WINDOWS 8

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
static int cycles = 300;
static uint8_t *buf;

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
submit(void *arg)
{
	CHECK_EQ(plx_blkr_submit(b, &one.req, on_done), 0);
}

/* Let the reactor read a block. @return microseconds until it was back */
static double
io(plx_msg_fn how)
{
	uint64_t lost;

	one.req = (struct plx_blk_req){.op = PLX_OP_READ, .nblk = 1, .buf = buf};
	one.done = 0;
	one.sent = rte_rdtsc();
	lost = one.sent + LOST_S * rte_get_tsc_hz();
	CHECK_EQ(plx_reactor_send(g.r, how, NULL), 0);
	while (__atomic_load_n(&one.done, __ATOMIC_ACQUIRE) == 0) {
		plx_ctrl_poll();
		REQUIRE(rte_rdtsc() < lost); /* else a wake-up is */
	}
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

/* Percent of a core that the reactor takes; the least of some seconds, since in a guest the time
 * that its host gives to others counts too. */
static double
idle_percent(void)
{
	double least = 100, cpu;
	uint64_t t;

	usleep(100000);
	for (int i = 0; i < WINDOWS && least >= PERCENT; i++) {
		cpu = cpu_s();
		t = rte_rdtsc();
		sleep(1);
		cpu = 100 * (cpu_s() - cpu) * (double)rte_get_tsc_hz() / (double)(rte_rdtsc() - t);
		least = RTE_MIN(least, cpu);
	}
	return least;
}

static void
start(enum plx_reactor_idle idle)
{
	struct plx_reactor_conf conf = {.idle = idle};

	buf = plx_mem_alloc(4096, 4096, -1);
	REQUIRE(buf != NULL);
	rig_up(&g, dev, 32, true);
	REQUIRE(plx_reactor_create_conf("idle", &conf, &g.r) == 0);
}

static void
run(void)
{
	REQUIRE(pthread_create(&thread, NULL, runner, g.r) == 0);
}

static void
end(void)
{
	plx_reactor_stop(g.r);
	pthread_join(thread, NULL);
	if (b != NULL)
		CHECK_EQ(plx_blkr_destroy(b), 0);
	b = NULL;
	plx_reactor_destroy(g.r);
	rig_down(&g);
	plx_mem_free(buf);
}

static void
test_idle(void)
{
	double us[IOS], percent;

	start(PLX_IDLE_ADAPTIVE);
	REQUIRE(plx_reactor_add_ctrl(g.r) != NULL);
	REQUIRE(plx_blkr_create(g.r, g.q, &b) == 0);
	run();
	for (int i = 0; i < IOS; i++) {
		usleep(5000);
		us[i] = io(submit);
	}
	qsort(us, IOS, sizeof(us[0]), compare);
	percent = idle_percent();
	printf("%s: idle %.2f %% of a core; first I/O after sleep: p50 %.1f us, p90 %.1f us, "
	       "most %.1f us\n",
		dev, percent, us[IOS / 2], us[IOS * 9 / 10], us[IOS - 1]);
	CHECK(percent < PERCENT, "%.2f %% of a core", percent);
	end();
}

/*
 * The same without the bounds that a lost wake-up would hide behind: the control plane is this
 * thread's, and the reactor sleeps until it is woken while a request is out.
 */
static bool armed;

static int
bare_poll(void *arg)
{
	struct plx_blk_req *req;

	if (plx_blkq_poll(g.q, &req, 1) == 0)
		return 0;
	on_done(req);
	return 1;
}

static int
bare_arm(void *arg)
{
	int rc = blkr_queue_arm(g.q, &armed);

	return RTE_MIN(rc, 0);
}

static void
bare_disarm(void *arg)
{
	blkr_queue_disarm(g.q, &armed);
}

static void
bare_submit(void *arg)
{
	struct plx_blk_req *req = &one.req;

	CHECK_EQ(plx_blkq_submit(g.q, &req, 1), 1);
}

static void
wake_ups(enum plx_reactor_idle idle, const char *what)
{
	struct plx_poller_idle how = {.arm = bare_arm, .disarm = bare_disarm};
	struct plx_reactor_stats st;
	struct plx_poller *p;
	double us, most = 0;
	unsigned int seed = 1;

	start(idle);
	how.fd = plx_blkq_intr_fd(g.q);
	p = plx_poller_add(g.r, "bare", bare_poll, NULL, 0);
	REQUIRE(p != NULL && plx_poller_idle_set(p, &how) == 0);
	run();
	for (int i = 0; i < cycles; i++) {
		us = io(bare_submit);
		most = RTE_MAX(most, us);
		if (i % 2 == 0) /* find it awake, on its way to sleep, asleep */
			rte_delay_us_block((unsigned int)rand_r(&seed) % 150);
	}
	plx_reactor_stats_get(g.r, &st);
	printf("%s: %s: %d I/Os, %" PRIu64 " sleeps, %" PRIu64
	       " ended by messages, longest I/O %.0f us\n",
		dev, what, cycles, st.sleeps, st.wakes, most);
	CHECK(st.sleeps > (uint64_t)cycles / 4, "it hardly slept");
	end();
}

static void
test_wake_ups(void)
{
	wake_ups(PLX_IDLE_ADAPTIVE, "adaptive");
	wake_ups(PLX_IDLE_INTERRUPT, "interrupt");
}

int
main(int argc, char **argv)
{
	char *eal[] = {"test", "--no-huge", NULL};

	if (argc > 1)
		dev = argv[1];
	if (argc > 2)
		cycles = atoi(argv[2]);
	REQUIRE(plx_eal_init_app(argc > 1 ? 1 : 2, eal) >= 0);
	RUN(test_idle);
	RUN(test_wake_ups);
	plx_eal_cleanup();
	return TEST_RESULT();
}
