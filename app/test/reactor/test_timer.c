/* SPDX-License-Identifier: BSD-3-Clause */
/* Timers, against a model: an array that is searched. */
#include <unistd.h>

#include <rte_cycles.h>

#include "plx_eal.h"
#include "plx_reactor.h"
#include "plx_test.h"

static struct plx_reactor *r;

struct tick {
	struct plx_timer t;
	struct tick *other;
	int runs, rearm;
	bool cancel_other, cancel_self;
};

static void
expired(void *arg)
{
	struct tick *k = arg;

	k->runs++;
	if (k->cancel_other)
		plx_timer_cancel(&k->other->t);
	if (k->cancel_self)
		plx_timer_cancel(&k->t);
	if (k->rearm-- > 0)
		plx_timer_arm(r, &k->t, 0, 0);
}

static void
tick_init(struct tick *k)
{
	*k = (struct tick){.t = {.fn = expired, .arg = k}};
}

static void
run_for(uint64_t us)
{
	uint64_t end = rte_rdtsc() + rte_get_tsc_hz() / 1000000 * us;

	do
		plx_reactor_step(r);
	while ((int64_t)(rte_rdtsc() - end) < 0);
}

static void
test_one_shot(void)
{
	struct tick a, b;

	tick_init(&a);
	tick_init(&b);
	plx_timer_cancel(&a.t); /* not armed */
	CHECK(!plx_timer_armed(&a.t), "born armed");
	plx_timer_arm(r, &a.t, 50000, 0);
	plx_timer_arm(r, &b.t, 60000000, 0);
	CHECK(plx_timer_armed(&a.t) && plx_timer_armed(&b.t), "not armed");
	CHECK_EQ(plx_reactor_step(r), 0);
	CHECK_EQ(a.runs, 0);
	usleep(51000);
	CHECK_EQ(plx_reactor_step(r), 1);
	CHECK_EQ(a.runs, 1);
	CHECK(!plx_timer_armed(&a.t), "still armed");
	run_for(5000);
	CHECK_EQ(a.runs, 1);
	CHECK_EQ(b.runs, 0);
	plx_timer_cancel(&b.t);
	CHECK(!plx_timer_armed(&b.t), "not cancelled");
}

static void
test_periodic(void)
{
	uint64_t period = rte_get_tsc_hz() / 2000, begin = rte_rdtsc();
	struct tick a;
	int before, i;

	tick_init(&a);
	plx_timer_arm(r, &a.t, 0, 500);
	for (i = 0; a.runs < 10 && i < 1000; i++)
		run_for(1000);
	CHECK(a.runs >= 10 && (uint64_t)a.runs <= (rte_rdtsc() - begin) / period + 2, "%d runs",
		a.runs);
	usleep(5000); /* late ones are not made up for */
	before = a.runs;
	plx_reactor_step(r);
	plx_reactor_step(r);
	CHECK(a.runs - before <= 2, "%d at once", a.runs - before);
	a.cancel_self = true;
	before = a.runs;
	for (i = 0; a.runs == before && i < 1000; i++)
		run_for(1000);
	run_for(3000);
	CHECK_EQ(a.runs, before + 1);
}

/* From inside: to cancel another that is due in the same turn; to arm itself for now comes round in
 * the next turn, not in this one. */
static void
test_inside(void)
{
	struct tick a, b;

	tick_init(&a);
	tick_init(&b);
	a.other = &b;
	b.other = &a;
	a.cancel_other = b.cancel_other = true;
	plx_timer_arm(r, &a.t, 1, 0);
	plx_timer_arm(r, &b.t, 1, 0);
	usleep(100);
	plx_reactor_step(r);
	CHECK_EQ(a.runs + b.runs, 1);
	tick_init(&a);
	a.rearm = 3;
	plx_timer_arm(r, &a.t, 0, 0);
	for (int i = 1; i <= 6; i++) {
		plx_reactor_step(r);
		CHECK_EQ(a.runs, i < 4 ? i : 4);
	}
}

#define NB 500

static uint64_t order[NB];
static unsigned int nb_order;

static void
note(void *arg)
{
	order[nb_order++] = ((struct plx_timer *)arg)->due;
}

/* Arm, arm again and cancel at random; what is left expires in order, each once. */
static void
test_random(void)
{
	static struct plx_timer t[NB];
	unsigned int seed = 1, armed = 0;

	for (int round = 0; round < 20; round++) {
		for (int i = 0; i < 3 * NB; i++) {
			struct plx_timer *k = &t[(unsigned int)rand_r(&seed) % NB];

			k->fn = note;
			k->arg = k;
			if (rand_r(&seed) % 4 == 0)
				plx_timer_cancel(k);
			else
				plx_timer_arm(r, k, (uint64_t)rand_r(&seed) % 500, 0);
		}
		armed = 0;
		for (int i = 0; i < NB; i++)
			armed += plx_timer_armed(&t[i]);
		nb_order = 0;
		usleep(1000);
		CHECK_EQ(plx_reactor_step(r), armed);
		CHECK_EQ(nb_order, armed);
		for (unsigned int i = 1; i < nb_order; i++)
			CHECK((int64_t)(order[i] - order[i - 1]) >= 0, "out of order");
	}
}

int
main(void)
{
	char *argv[] = {"test", "--no-huge", NULL};
	static struct tick left;

	REQUIRE(plx_eal_init_app(2, argv) >= 0);
	r = plx_reactor_create("timers");
	REQUIRE(r != NULL);
	RUN(test_one_shot);
	RUN(test_periodic);
	RUN(test_inside);
	RUN(test_random);
	tick_init(&left);
	plx_timer_arm(r, &left.t, 0, 1);
	plx_reactor_destroy(r);
	CHECK(!plx_timer_armed(&left.t), "armed on a reactor that is gone");
	plx_eal_cleanup();
	return TEST_RESULT();
}
