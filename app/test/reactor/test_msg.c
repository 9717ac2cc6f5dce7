/* SPDX-License-Identifier: BSD-3-Clause */
/* Messages between threads; reactors that come and go under them. */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include "plx_eal.h"
#include "plx_reactor.h"
#include "plx_test.h"

#define SENDERS 3

static void *
runner(void *arg)
{
	plx_reactor_run(arg);
	return NULL;
}

static struct plx_reactor *
make(enum plx_reactor_idle idle, uint32_t messages, bool one_sender)
{
	struct plx_reactor_conf conf = {
		.idle = idle, .spin_us = 20, .messages = messages, .one_sender = one_sender};
	struct plx_reactor *r;

	REQUIRE(plx_reactor_create_conf("msg", &conf, &r) == 0);
	return r;
}

static void
add_one(void *arg)
{
	__atomic_fetch_add((int *)arg, 1, __ATOMIC_RELAXED);
}

/* A full ring takes no more, and gives back-pressure by a short count; nothing is lost or twice. */
static void
test_full(void)
{
	struct plx_reactor *r = make(PLX_IDLE_BUSY, 10, false);
	int runs[100] = {0};
	void *args[100];

	for (int i = 0; i < 100; i++)
		args[i] = &runs[i];
	for (int i = 0; i < 10; i++)
		CHECK_EQ(plx_reactor_send(r, add_one, args[i]), 0);
	CHECK_EQ(plx_reactor_send(r, add_one, args[10]), -EAGAIN);
	CHECK_EQ(plx_reactor_send_burst(r, add_one, args + 10, 90), 0);
	CHECK_EQ(plx_reactor_step(r), 10);
	/* seven to a line, so bursts find room for more */
	CHECK_EQ(plx_reactor_send_burst(r, add_one, args + 10, 30), 30);
	CHECK_EQ(plx_reactor_send_burst(r, add_one, args + 40, 60), 35);
	CHECK_EQ(plx_reactor_send(r, add_one, args[75]), -EAGAIN);
	CHECK_EQ(plx_reactor_step(r), 65);
	for (int i = 0; i < 100; i++)
		CHECK_EQ(runs[i], i < 75);
	CHECK_EQ(plx_reactor_step(r), 0);
	CHECK_EQ(plx_reactor_send_burst(r, add_one, args, 0), 0);
	for (int i = 0; i < 1000; i++) { /* many laps, each way to cut a burst into lines */
		unsigned int n = (unsigned int)i % 70 + 1;

		memset(runs, 0, sizeof(runs));
		CHECK_EQ(plx_reactor_send_burst(r, add_one, args, n), n);
		CHECK_EQ(plx_reactor_step(r), n);
		for (unsigned int k = 0; k < 100; k++)
			CHECK_EQ(runs[k], k < n);
	}
	CHECK_EQ(plx_reactor_send(r, add_one, args[99]), 0);
	plx_reactor_destroy(r); /* runs what waits */
	CHECK_EQ(runs[99], 1);
}

static void
test_conf(void)
{
	struct plx_reactor_conf conf = {.messages = (1u << 20) + 1};
	struct plx_reactor *r;

	CHECK_EQ(plx_reactor_create_conf("bad", &conf, &r), -EINVAL);
	conf = (struct plx_reactor_conf){.idle = (enum plx_reactor_idle)3};
	CHECK_EQ(plx_reactor_create_conf("bad", &conf, &r), -EINVAL);
	conf = (struct plx_reactor_conf){.messages = 1, .one_sender = true};
	REQUIRE(plx_reactor_create_conf("a name that is longer than fits in", &conf, &r) == 0);
	CHECK_EQ(strlen(plx_reactor_name(r)), PLX_REACTOR_NAME_MAX - 1);
	plx_reactor_destroy(r);
}

/* ---- from several threads, in order ---- */

struct sender {
	struct plx_reactor *to;
	int who, count;
	int *seen; /* by the reactor: the last number of each sender */
	int bad;
	struct item {
		struct sender *s;
		int nb;
	} * items;
	pthread_t t;
};

static void
take(void *arg)
{
	struct item *i = arg;

	if (i->nb != i->s->seen[i->s->who] + 1)
		i->s->bad++;
	i->s->seen[i->s->who] = i->nb;
}

static void *
send_all(void *arg)
{
	struct sender *s = arg;
	void *args[10];
	int done = 0;

	while (done < s->count) {
		unsigned int n = (unsigned int)(s->count - done);

		n = n > 10 ? 10 : n;
		for (unsigned int i = 0; i < n; i++)
			args[i] = &s->items[done + (int)i];
		n = plx_reactor_send_burst(s->to, take, args, n);
		done += (int)n;
		if (n == 0)
			sched_yield();
		if (done % 1000 < 10) /* now and then let the reactor go to sleep */
			usleep(200);
	}
	return NULL;
}

static void
many(enum plx_reactor_idle idle, int senders)
{
	struct plx_reactor *r = make(idle, 64, senders == 1);
	int seen[SENDERS] = {0}, count = 8000;
	struct plx_reactor_stats st;
	struct sender s[SENDERS];
	pthread_t t;

	REQUIRE(pthread_create(&t, NULL, runner, r) == 0);
	for (int i = 0; i < senders; i++) {
		s[i] = (struct sender){.to = r, .who = i, .count = count, .seen = seen};
		s[i].items = calloc((size_t)count, sizeof(*s[i].items));
		REQUIRE(s[i].items != NULL);
		for (int k = 0; k < count; k++)
			s[i].items[k] = (struct item){&s[i], k + 1};
		REQUIRE(pthread_create(&s[i].t, NULL, send_all, &s[i]) == 0);
	}
	for (int i = 0; i < senders; i++)
		pthread_join(s[i].t, NULL);
	do {
		plx_reactor_stats_get(r, &st);
		usleep(1000);
	} while (st.messages < (uint64_t)senders * (uint64_t)count);
	plx_reactor_stop(r);
	pthread_join(t, NULL);
	for (int i = 0; i < senders; i++) {
		CHECK_EQ(seen[i], count);
		CHECK_EQ(s[i].bad, 0);
		free(s[i].items);
	}
	plx_reactor_stats_get(r, &st);
	CHECK_EQ(st.messages, senders * count);
	plx_reactor_destroy(r);
}

static void
test_senders(void)
{
	many(PLX_IDLE_BUSY, 1);
	many(PLX_IDLE_BUSY, SENDERS);
	many(PLX_IDLE_ADAPTIVE, 1);
	many(PLX_IDLE_ADAPTIVE, SENDERS);
	many(PLX_IDLE_INTERRUPT, SENDERS);
}

/* ---- there and back, asleep in between ---- */

struct pong {
	struct plx_reactor *r[2];
	int left;
};

static void
bounce(void *arg)
{
	struct pong *p = arg;
	struct plx_reactor *self = plx_reactor_self();

	CHECK(self == p->r[0] || self == p->r[1], "inside of no reactor");
	if (--p->left == 0) {
		plx_reactor_stop(p->r[0]);
		plx_reactor_stop(p->r[1]);
		return;
	}
	CHECK_EQ(plx_reactor_send(p->r[self == p->r[0]], bounce, p), 0);
}

/* Each message finds the other one going to sleep, asleep or just awake. */
static void
test_ping_pong(void)
{
	for (int k = 0; k < 3; k++) {
		struct pong p = {.left = 10000};
		pthread_t t[2];

		for (int i = 0; i < 2; i++) {
			p.r[i] = make(k == 0 ? PLX_IDLE_ADAPTIVE : PLX_IDLE_INTERRUPT, 4, true);
			if (k == 2) /* both kinds of sleep */
				plx_reactor_add_ctrl(p.r[i]);
		}
		CHECK_EQ(plx_reactor_send(p.r[0], bounce, &p), 0);
		for (int i = 0; i < 2; i++)
			REQUIRE(pthread_create(&t[i], NULL, runner, p.r[i]) == 0);
		for (int i = 0; i < 2; i++)
			pthread_join(t[i], NULL);
		CHECK_EQ(p.left, 0);
		CHECK(plx_reactor_self() == NULL, "outside of all");
		for (int i = 0; i < 2; i++)
			plx_reactor_destroy(p.r[i]);
	}
}

/* ---- reactors that come and go ---- */

static int
count_reactors(struct plx_reactor *r, void *arg)
{
	struct plx_reactor_stats st;

	plx_reactor_stats_get(r, &st);
	CHECK(plx_reactor_name(r) != NULL, "name");
	++*(int *)arg;
	return 0;
}

static void *
come_and_go(void *arg)
{
	for (int i = 0; i < 50; i++) {
		struct plx_reactor *r = make((enum plx_reactor_idle)(i % 3), 8, false);
		int runs = 0, listed = 0;
		pthread_t t;

		REQUIRE(pthread_create(&t, NULL, runner, r) == 0);
		for (int k = 0; k < 20; k++)
			while (plx_reactor_send(r, add_one, &runs) != 0)
				sched_yield();
		plx_reactor_walk(count_reactors, &listed);
		CHECK(listed >= 1, "not listed");
		if (i % 2 != 0) { /* stopped from here; else by destroy, if it runs by now */
			plx_reactor_stop(r);
			plx_reactor_wait(r);
			pthread_join(t, NULL);
			plx_reactor_destroy(r);
		} else {
			while (__atomic_load_n(&runs, __ATOMIC_ACQUIRE) == 0)
				sched_yield();
			plx_reactor_destroy(r);
			pthread_join(t, NULL);
		}
		CHECK_EQ(runs, 20);
	}
	return NULL;
}

static void
test_come_and_go(void)
{
	pthread_t t[SENDERS];
	int listed = 0;

	for (int i = 0; i < SENDERS; i++)
		REQUIRE(pthread_create(&t[i], NULL, come_and_go, NULL) == 0);
	for (int i = 0; i < SENDERS; i++)
		pthread_join(t[i], NULL);
	CHECK_EQ(plx_reactor_walk(count_reactors, &listed), 0);
	CHECK_EQ(listed, 0);
}

int
main(void)
{
	char *argv[] = {"test", "--no-huge", NULL};

	REQUIRE(plx_eal_init_app(2, argv) >= 0);
	RUN(test_full);
	RUN(test_conf);
	RUN(test_senders);
	RUN(test_ping_pong);
	RUN(test_come_and_go);
	plx_eal_cleanup();
	return TEST_RESULT();
}
