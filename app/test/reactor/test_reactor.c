/* SPDX-License-Identifier: BSD-3-Clause */
#include <pthread.h>
#include <unistd.h>

#include <rte_cycles.h>

#include "plx_eal.h"
#include "plx_reactor.h"
#include "plx_test.h"

struct counter {
	struct plx_reactor *r;
	struct plx_poller *p, *del[2];
	struct counter *add;
	int runs, ret, stop_at;
};

static int
counter_poll(void *arg)
{
	struct counter *c = arg;

	c->runs++;
	for (int i = 0; i < 2; i++) {
		plx_poller_del(c->del[i]);
		c->del[i] = NULL;
	}
	if (c->add != NULL) {
		c->add->p = plx_poller_add(c->r, "added", counter_poll, c->add, 0);
		c->add = NULL;
	}
	if (c->runs == c->stop_at)
		plx_reactor_stop(c->r);
	return c->ret;
}

static struct plx_reactor *r;
static struct counter c[3];

static void
setup(void)
{
	r = plx_reactor_create("test");
	REQUIRE(r != NULL);
	for (int i = 0; i < 3; i++) {
		c[i] = (struct counter){.r = r};
		c[i].p = plx_poller_add(r, "counter", counter_poll, &c[i], 0);
		REQUIRE(c[i].p != NULL);
	}
}

static void
test_step(void)
{
	setup();
	CHECK_EQ(plx_reactor_step(r), 0);
	c[0].ret = 2;
	c[2].ret = 3;
	CHECK_EQ(plx_reactor_step(r), 5);
	plx_poller_del(c[1].p);
	CHECK_EQ(plx_reactor_step(r), 5);
	CHECK_EQ(c[0].runs, 3);
	CHECK_EQ(c[1].runs, 2);
	plx_poller_del(c[2].p); /* the last one: the next is added behind the right one */
	c[1].p = plx_poller_add(r, "again", counter_poll, &c[1], 0);
	plx_reactor_step(r);
	CHECK_EQ(c[0].runs, 4);
	CHECK_EQ(c[1].runs, 3);
	plx_reactor_destroy(r);
	plx_reactor_destroy(NULL);
}

/* Each poller removes each pair of pollers, itself too. */
static void
test_del_inside(void)
{
	for (int who = 0; who < 3; who++)
		for (int i = 0; i < 3; i++)
			for (int j = 0; j < 3; j++) {
				setup();
				c[who].del[0] = c[i].p;
				c[who].del[1] = i != j ? c[j].p : NULL;
				plx_reactor_step(r);
				CHECK_EQ(c[who].runs, 1);
				plx_reactor_step(r);
				for (int k = 0; k < 3; k++)
					CHECK(k == i || k == j ? c[k].runs <= 1 : c[k].runs == 2,
						"%d removes %d and %d: %d ran %d times", who, i, j,
						k, c[k].runs);
				plx_reactor_destroy(r);
			}
}

static void
test_add_inside(void)
{
	struct counter late = {0};

	setup();
	late.r = r;
	c[1].add = &late;
	plx_reactor_step(r);
	plx_reactor_step(r);
	CHECK(late.runs >= 1, "not run");
	plx_reactor_destroy(r);
}

static void
test_run_stop(void)
{
	setup();
	c[1].stop_at = 10;
	CHECK_EQ(plx_reactor_run(r), 0);
	CHECK_EQ(c[2].runs, 10); /* its turn was finished */
	plx_reactor_stop(r);     /* before it runs */
	CHECK_EQ(plx_reactor_run(r), 0);
	CHECK_EQ(c[2].runs, 11);
	c[1].stop_at = 20;
	CHECK_EQ(plx_reactor_run(r), 0);
	CHECK_EQ(c[2].runs, 20);
	plx_reactor_destroy(r);
}

static void
test_period(void)
{
	struct counter slow = {0}, never = {0};
	uint64_t start;

	setup();
	CHECK(plx_poller_add(r, "slow", counter_poll, &slow, 2000) != NULL, "memory");
	CHECK(plx_poller_add(r, "never", counter_poll, &never, 3600000000) != NULL, "memory");
	plx_reactor_step(r);
	CHECK_EQ(never.runs, 0);
	start = rte_rdtsc();
	while (slow.runs < 5)
		plx_reactor_step(r);
	/* four whole periods at least lie between the first and the fifth */
	CHECK((rte_rdtsc() - start) * 1000 / rte_get_tsc_hz() >= 8, "too often");
	CHECK(c[0].runs >= 5, "the others starved");
	CHECK_EQ(never.runs, 0);
	plx_reactor_destroy(r);
}

static void
test_stats(void)
{
	struct plx_reactor_stats st;

	setup();
	plx_reactor_step(r);
	plx_reactor_stats_get(r, &st);
	CHECK_EQ(st.turns, 1);
	CHECK_EQ(st.busy_turns, 0);
	CHECK(st.idle_cycles > 0 && st.busy_cycles == 0, "idle");
	c[0].ret = 1;
	plx_reactor_step(r);
	plx_reactor_stats_get(r, &st);
	CHECK_EQ(st.turns, 2);
	CHECK_EQ(st.busy_turns, 1);
	CHECK(st.busy_cycles > 0, "busy");
	plx_reactor_destroy(r);
}

static void *
runner(void *arg)
{
	plx_reactor_run(arg);
	return NULL;
}

/* Watched and stopped from another thread. */
static void
test_threads(void)
{
	struct plx_reactor_stats st = {0};
	pthread_t t;

	setup();
	REQUIRE(pthread_create(&t, NULL, runner, r) == 0);
	while (st.turns < 1000)
		plx_reactor_stats_get(r, &st);
	plx_reactor_stop(r);
	pthread_join(t, NULL);
	plx_reactor_stats_get(r, &st);
	CHECK_EQ(st.turns, c[0].runs);
	plx_reactor_destroy(r);
}

int
main(void)
{
	char *argv[] = {"test", "--no-huge", NULL};

	REQUIRE(plx_eal_init_app(2, argv) >= 0);
	RUN(test_step);
	RUN(test_del_inside);
	RUN(test_add_inside);
	RUN(test_run_stop);
	RUN(test_period);
	RUN(test_stats);
	RUN(test_threads);
	plx_eal_cleanup();
	return TEST_RESULT();
}
