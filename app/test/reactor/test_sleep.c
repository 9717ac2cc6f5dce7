/* SPDX-License-Identifier: BSD-3-Clause */
/* Sleep: what keeps a reactor from it, what wakes it, and what it costs. */
#include <errno.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <rte_cycles.h>

#include "plx_ctrl.h"
#include "plx_eal.h"
#include "plx_reactor.h"
#include "plx_test.h"

static struct plx_reactor *r;
static pthread_t thread;

static void *
runner(void *arg)
{
	plx_reactor_run(arg);
	return NULL;
}

static void
create(enum plx_reactor_idle idle, uint32_t spin_us, uint32_t doze_us)
{
	struct plx_reactor_conf conf = {.idle = idle, .spin_us = spin_us, .doze_us = doze_us};

	REQUIRE(plx_reactor_create_conf("sleeper", &conf, &r) == 0);
}

static void
start(void)
{
	REQUIRE(pthread_create(&thread, NULL, runner, r) == 0);
}

static struct plx_reactor_stats
stop(void)
{
	struct plx_reactor_stats st;

	plx_reactor_stop(r);
	pthread_join(thread, NULL);
	plx_reactor_stats_get(r, &st);
	plx_reactor_destroy(r);
	return st;
}

static uint64_t
cpu_us(void)
{
	struct timespec ts;
	clockid_t clock;

	REQUIRE(pthread_getcpuclockid(thread, &clock) == 0);
	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

/* Of one core, while it sleeps for that long. */
static double
cpu_percent(unsigned int ms)
{
	uint64_t cpu = cpu_us(), t = rte_rdtsc();

	usleep(ms * 1000);
	t = (rte_rdtsc() - t) / (rte_get_tsc_hz() / 1000000);
	return 100.0 * (double)(cpu_us() - cpu) / (double)t;
}

/* ---- a poller and what it says of sleep ---- */

struct guest {
	struct plx_poller *p;
	int fd, allow, polls, arms, disarms, work;
};

static int
guest_poll(void *arg)
{
	struct guest *g = arg;

	__atomic_fetch_add(&g->polls, 1, __ATOMIC_RELAXED);
	return __atomic_exchange_n(&g->work, 0, __ATOMIC_ACQ_REL);
}

static int
guest_arm(void *arg)
{
	struct guest *g = arg;

	g->arms++;
	return __atomic_load_n(&g->allow, __ATOMIC_RELAXED);
}

static void
guest_disarm(void *arg)
{
	struct guest *g = arg;
	uint64_t n;

	g->disarms++;
	if (g->fd >= 0)
		CHECK(read(g->fd, &n, sizeof(n)) > 0 || errno == EAGAIN, "eventfd");
}

static void
guest_add(struct guest *g, int allow)
{
	struct plx_poller_idle idle = {.fd = g->fd, .arm = guest_arm, .disarm = guest_disarm};

	*g = (struct guest){.fd = g->fd, .allow = allow};
	g->p = plx_poller_add(r, "guest", guest_poll, g, 0);
	REQUIRE(g->p != NULL && plx_poller_idle_set(g->p, &idle) == 0);
}

/* Nothing wakes it: it sleeps all the time. */
static void
test_for_ever(void)
{
	struct guest g = {.fd = -1};
	struct plx_reactor_stats st;

	create(PLX_IDLE_ADAPTIVE, 100, 0);
	guest_add(&g, 0);
	start();
	usleep(50000);
	plx_reactor_stats_get(r, &st);
	CHECK(st.turns > 1, "no turn");
	usleep(50000);
	st = stop();
	CHECK_EQ(st.sleeps, 1);
	CHECK_EQ(st.wakes, 1); /* by the stop */
	CHECK_EQ(g.arms, 1);
	CHECK_EQ(g.disarms, 1);
	CHECK(st.sleep_cycles > rte_get_tsc_hz() / 20, "did not sleep");
}

static void
test_not_now(void)
{
	struct guest g = {.fd = -1};
	struct plx_reactor_stats st;

	create(PLX_IDLE_INTERRUPT, 0, 0);
	guest_add(&g, -EBUSY);
	start();
	usleep(20000);
	__atomic_store_n(&g.allow, 0, __ATOMIC_RELAXED);
	usleep(20000);
	st = stop();
	CHECK_EQ(st.sleeps, 1);
	CHECK(g.arms > 3, "%d times asked", g.arms);
	CHECK_EQ(g.arms, g.disarms);
	CHECK(st.turns > 100, "%" PRIu64 " turns while it could not sleep", st.turns);
}

/* By the descriptor, by plx_reactor_wake(), and in time where it is bounded. */
static void
test_woken(void)
{
	struct guest g = {.fd = eventfd(0, EFD_NONBLOCK)};
	const uint64_t one = 1;
	struct plx_reactor_stats st;
	int polls, i;

	create(PLX_IDLE_INTERRUPT, 0, 0);
	guest_add(&g, 0);
	start();
	for (i = 0; i < 20; i++) {
		usleep(2000);
		polls = __atomic_load_n(&g.polls, __ATOMIC_RELAXED);
		if (i % 2 == 0) {
			CHECK(write(g.fd, &one, sizeof(one)) == sizeof(one), "write");
		} else {
			__atomic_store_n(&g.work, 1, __ATOMIC_RELEASE);
			plx_reactor_wake(r);
		}
		for (int k = 0; k < 2000 && __atomic_load_n(&g.polls, __ATOMIC_RELAXED) == polls;
			k++)
			usleep(1000);
		CHECK(__atomic_load_n(&g.polls, __ATOMIC_RELAXED) > polls, "%d: still asleep", i);
	}
	__atomic_store_n(&g.allow, 1000, __ATOMIC_RELAXED);
	plx_reactor_wake(r);
	polls = __atomic_load_n(&g.polls, __ATOMIC_RELAXED);
	for (int k = 0; k < 2000 && __atomic_load_n(&g.polls, __ATOMIC_RELAXED) < polls + 20; k++)
		usleep(1000);
	CHECK(__atomic_load_n(&g.polls, __ATOMIC_RELAXED) >= polls + 20, "not every ms");
	st = stop();
	CHECK(st.wakes >= 10, "%" PRIu64 " wakes", st.wakes);
	CHECK_EQ(g.arms, g.disarms);
	CHECK(st.sleeps < 3000, "%" PRIu64 " sleeps: something stayed readable", st.sleeps);
	close(g.fd);
}

/* A poller of every turn that says nothing, a periodic one, and a timer: each in time. */
static void
expire(void *arg)
{
	__atomic_fetch_add((int *)arg, 1, __ATOMIC_RELAXED);
}

/* Until a counter has come so far, for 0.2 s at least, for 10 s at most. @return how long, us */
static int
wait_for(const int *counter, int least)
{
	int us = 0;

	do {
		usleep(50000);
		us += 50000;
	} while (us < 200000 ||
		 (__atomic_load_n(counter, __ATOMIC_RELAXED) < least && us < 10000000));
	return us;
}

static void
test_bounds(void)
{
	struct guest plain = {.fd = -1}, slow = {.fd = -1};
	struct plx_reactor_stats st;
	int expired = 0;
	struct plx_timer t = {.fn = expire, .arg = &expired};
	int us;

	create(PLX_IDLE_INTERRUPT, 0, 2000);
	REQUIRE(plx_poller_add(r, "plain", guest_poll, &plain, 0) != NULL);
	start();
	us = wait_for(&plain.polls, 10);
	st = stop();
	CHECK(plain.polls >= 10 && plain.polls <= 50 + us / 450, "%d polls in %d us", plain.polls,
		us);

	create(PLX_IDLE_INTERRUPT, 0, 0);
	REQUIRE(plx_poller_add(r, "slow", guest_poll, &slow, 5000) != NULL);
	plx_timer_arm(r, &t, 20000, 20000);
	start();
	us = wait_for(&slow.polls, 10) + wait_for(&expired, 3);
	st = stop();
	CHECK(slow.polls >= 10 && slow.polls <= 20 + us / 3400, "%d polls in %d us", slow.polls,
		us);
	CHECK(expired >= 3 && expired <= 12 + us / 10000, "%d times", expired);
	CHECK(st.sleeps >= 7 && st.sleeps < 100 + (uint64_t)us / 700, "%" PRIu64 " sleeps",
		st.sleeps);
}

/* One that is removed, or sleeps otherwise, between arm and disarm. */
static int
remove_other(void *arg)
{
	struct guest *g = arg;

	plx_poller_del(g->p);
	g->p = NULL;
	return 0;
}

static void
test_removed(void)
{
	struct guest g = {.fd = eventfd(0, EFD_NONBLOCK)};
	static const struct plx_poller_idle quiet = {.fd = -1};
	struct plx_poller *p;
	uint64_t us;

	create(PLX_IDLE_INTERRUPT, 0, 0);
	guest_add(&g, 0);
	p = plx_poller_add(r, "remover", remove_other, &g, 0);
	REQUIRE(plx_poller_idle_set(p, &quiet) == 0);
	CHECK_EQ(plx_reactor_arm(r, &us), 0); /* its turn removes g */
	CHECK_EQ(g.arms, 1);
	CHECK_EQ(g.disarms, 1);
	plx_reactor_disarm(r);
	CHECK_EQ(g.disarms, 1);
	plx_poller_del(p);
	guest_add(&g, 0); /* the descriptor was let go of: it can be had again */
	CHECK_EQ(plx_poller_idle_set(g.p, &(struct plx_poller_idle){.fd = 10000}), -EBADF);
	plx_reactor_destroy(r);
	close(g.fd);
}

/* In a loop of the caller's. */
static void
nothing(void *arg)
{
}

static void
test_by_hand(void)
{
	struct guest g = {.fd = -1};
	uint64_t us = 0;

	create(PLX_IDLE_BUSY, 0, 0);
	CHECK_EQ(plx_reactor_fd(r), -ENOTSUP);
	CHECK_EQ(plx_reactor_arm(r, &us), -ENOTSUP);
	g.p = plx_poller_add(r, "guest", guest_poll, &g, 0);
	CHECK_EQ(plx_poller_idle_set(g.p, &(struct plx_poller_idle){.fd = 0}), -ENOTSUP);
	CHECK_EQ(plx_poller_idle_set(g.p, &(struct plx_poller_idle){.fd = -1}), 0);
	plx_reactor_destroy(r);

	create(PLX_IDLE_ADAPTIVE, 0, 0);
	guest_add(&g, 0);
	CHECK(plx_reactor_fd(r) >= 0, "no descriptor");
	CHECK_EQ(plx_reactor_arm(r, &us), 0);
	CHECK(us == UINT64_MAX, "bounded");
	plx_reactor_disarm(r);
	g.work = 1;
	CHECK_EQ(plx_reactor_arm(r, &us), -EBUSY);
	plx_reactor_send(r, nothing, NULL);
	CHECK_EQ(plx_reactor_arm(r, &us), -EBUSY);
	plx_reactor_stop(r);
	CHECK_EQ(plx_reactor_arm(r, &us), -EBUSY);
	CHECK_EQ(g.arms, g.disarms);
	plx_reactor_destroy(r);
}

/* ---- the control plane ---- */

static unsigned int ctrl_calls, ctrl_busy;

static int
ctrl_poll(struct plx_ctrl_work *w)
{
	ctrl_calls++;
	return (int)__atomic_load_n(&ctrl_busy, __ATOMIC_RELAXED);
}

static unsigned int
count_calls(void)
{
	unsigned int n;

	plx_ctrl_lock();
	n = ctrl_calls;
	plx_ctrl_unlock();
	return n;
}

static unsigned int
calls_in(useconds_t us)
{
	unsigned int before = count_calls();

	usleep(us);
	return count_calls() - before;
}

static void
test_ctrl(void)
{
	struct plx_ctrl_work w = {.poll = ctrl_poll};
	unsigned int calls, most;

	CHECK_EQ(plx_ctrl_quiet_ms(), PLX_CTRL_QUIET_MS);
	w.quiet_ms = 4;
	plx_ctrl_lock();
	plx_ctrl_add(&w);
	plx_ctrl_unlock();
	CHECK_EQ(plx_ctrl_quiet_ms(), 4);
	create(PLX_IDLE_ADAPTIVE, 100, 0);
	REQUIRE(plx_reactor_add_ctrl(r) != NULL);
	start();
	usleep(100000);
	most = 0;
	for (int i = 0; i < 25 && most < 10; i++) { /* others may have the CPU meanwhile */
		calls = calls_in(200000);
		CHECK(calls <= 400, "%u calls in 0.2 s", calls);
		most = RTE_MAX(most, calls);
	}
	CHECK(most >= 10, "%u calls in 0.2 s", most);
	__atomic_store_n(&ctrl_busy, 1, __ATOMIC_RELAXED); /* an operation under way */
	most = 0;
	for (int i = 0; i < 50 && most <= 100; i++)
		most = RTE_MAX(most, calls_in(100000));
	CHECK(most > 100, "%u calls in 0.1 s", most);
	plx_ctrl_lock();
	plx_ctrl_del(&w);
	plx_ctrl_unlock();
	printf("with the control plane: %.2f %% of a core\n", cpu_percent(500));
	stop();
}

int
main(void)
{
	char *argv[] = {"test", "--no-huge", NULL};

	REQUIRE(plx_eal_init_app(2, argv) >= 0);
	RUN(test_for_ever);
	RUN(test_not_now);
	RUN(test_woken);
	RUN(test_bounds);
	RUN(test_removed);
	RUN(test_by_hand);
	RUN(test_ctrl);
	plx_eal_cleanup();
	return TEST_RESULT();
}
