/* SPDX-License-Identifier: BSD-3-Clause */
/* The control plane's list and lock. */
#include <pthread.h>

#include "plx_ctrl.h"
#include "plx_test.h"

struct work {
	struct plx_ctrl_work w;
	int runs;
	struct work *del[3]; /* removed when it runs */
	struct work *add;
	int nested;
};

static int
work_poll(struct plx_ctrl_work *cw)
{
	struct work *w = (struct work *)cw;

	CHECK(cw->prev != NULL, "ran when it was removed");
	w->runs++;
	for (int i = 0; i < 3; i++)
		if (w->del[i] != NULL)
			plx_ctrl_del(&w->del[i]->w);
	if (w->add != NULL)
		plx_ctrl_add(&w->add->w);
	while (w->nested > 0) {
		w->nested--;
		plx_ctrl_poll();
	}
	return 1;
}

static struct work a, b, c;

static void
reset(void)
{
	struct work *all[] = {&a, &b, &c};

	plx_ctrl_lock();
	for (int i = 0; i < 3; i++) {
		plx_ctrl_del(&all[i]->w);
		*all[i] = (struct work){.w.poll = work_poll};
	}
	for (int i = 0; i < 3; i++)
		plx_ctrl_add(&all[i]->w);
	plx_ctrl_unlock();
}

static void
test_list(void)
{
	reset();
	CHECK_EQ(plx_ctrl_poll(), 3);
	plx_ctrl_add(&b.w); /* it is there */
	CHECK_EQ(plx_ctrl_poll(), 3);
	plx_ctrl_del(&b.w);
	plx_ctrl_del(&b.w);
	CHECK_EQ(plx_ctrl_poll(), 2);
	CHECK_EQ(b.runs, 2);
}

/* Each of them removes each set of them, whatever the order they run in. */
static void
test_del_inside(void)
{
	struct work *all[] = {&a, &b, &c};

	for (int who = 0; who < 3; who++)
		for (unsigned int set = 0; set < 8; set++) {
			reset();
			for (int i = 0; i < 3; i++)
				all[who]->del[i] = (set & 1U << i) != 0 ? all[i] : NULL;
			plx_ctrl_poll();
			CHECK_EQ(all[who]->runs, 1);
			for (int i = 0; i < 3; i++)
				CHECK(all[i]->runs <= 1, "ran twice");
			all[who]->del[who] = NULL;
			CHECK_EQ(plx_ctrl_poll(), 3 - __builtin_popcount(set));
		}
}

static void
test_add_inside(void)
{
	reset();
	plx_ctrl_del(&c.w);
	a.add = &c;
	plx_ctrl_poll();
	CHECK_EQ(plx_ctrl_poll(), 3);
	CHECK(c.runs >= 1, "not run");
}

/* A blocking call inside work drives the others, not itself; and they may remove what the outer
 * round would run next. */
static void
test_nested(void)
{
	struct work *all[] = {&a, &b, &c};

	for (int who = 0; who < 3; who++) {
		reset();
		all[who]->nested = 2;
		all[(who + 1) % 3]->del[0] = all[(who + 2) % 3];
		plx_ctrl_poll();
		CHECK_EQ(all[who]->runs, 1);
		CHECK(all[(who + 1) % 3]->runs >= 2, "not driven");
	}
}

static void *
other_thread(void *arg)
{
	*(int *)arg = plx_ctrl_poll();
	return NULL;
}

static void
test_lock(void)
{
	pthread_t t;
	int n = -1;

	reset();
	plx_ctrl_lock();
	plx_ctrl_lock();
	plx_ctrl_unlock();
	REQUIRE(pthread_create(&t, NULL, other_thread, &n) == 0);
	pthread_join(t, NULL); /* it doesn't block */
	CHECK_EQ(n, 0);
	CHECK_EQ(plx_ctrl_poll(), 3);
	plx_ctrl_unlock();
	REQUIRE(pthread_create(&t, NULL, other_thread, &n) == 0);
	pthread_join(t, NULL);
	CHECK_EQ(n, 3);
}

/* For the thread sanitizer: all at once. */
static void *
busy_thread(void *arg)
{
	struct work w = {.w.poll = work_poll};

	for (int i = 0; i < 5000; i++) {
		plx_ctrl_lock();
		plx_ctrl_add(&w.w);
		plx_ctrl_unlock();
		plx_ctrl_poll();
		plx_ctrl_lock();
		plx_ctrl_del(&w.w);
		plx_ctrl_unlock();
	}
	return NULL;
}

static void
test_threads(void)
{
	pthread_t t[4];

	reset();
	for (int i = 0; i < 4; i++)
		REQUIRE(pthread_create(&t[i], NULL, busy_thread, NULL) == 0);
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	CHECK_EQ(plx_ctrl_poll(), 3);
}

int
main(void)
{
	RUN(test_list);
	RUN(test_del_inside);
	RUN(test_add_inside);
	RUN(test_nested);
	RUN(test_lock);
	RUN(test_threads);
	return TEST_RESULT();
}
