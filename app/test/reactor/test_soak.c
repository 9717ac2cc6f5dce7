/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reactors created and destroyed at random, while several threads send to all of them, and while
 * they arm timers and add pollers: no message is lost or run twice, and nobody sleeps for ever.
 *
 *	test_soak [SECONDS]
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <time.h>
#include <unistd.h>

#include "plx_eal.h"
#include "plx_reactor.h"
#include "plx_test.h"

#define SLOTS 4
#define THREADS 3
#define BURST 40
#define TIMERS 8

struct slot {
	pthread_rwlock_t lock; /* senders share it; who replaces the reactor has it alone */
	struct plx_reactor *r;
	pthread_t thread;
	uint64_t sent, run, ticks;
	struct plx_timer timers[TIMERS];
	struct plx_poller *poller;
	unsigned int seed;
};

static struct slot slots[SLOTS];
static time_t until;
static uint64_t lives, messages, full;

static void *
runner(void *arg)
{
	plx_reactor_run(arg);
	return NULL;
}

static void
add(uint64_t *c, uint64_t n)
{
	__atomic_fetch_add(c, n, __ATOMIC_RELAXED);
}

static void
on_timer(void *arg)
{
	((struct slot *)arg)->ticks++;
}

static int
on_poll(void *arg)
{
	return 0;
}

/* A message: now and then it changes what its reactor has to do. */
static void
on_message(void *arg)
{
	struct slot *s = arg;
	int what = rand_r(&s->seed) % 1000;

	add(&s->run, 1);
	if (what < 20) {
		struct plx_timer *t = &s->timers[what % TIMERS];

		t->fn = on_timer;
		t->arg = s;
		plx_timer_arm(s->r, t, (uint64_t)what * 20, what % 3 == 0 ? 100 : 0);
	} else if (what < 30) {
		plx_timer_cancel(&s->timers[what % TIMERS]);
	} else if (what < 35) {
		plx_poller_del(s->poller);
		s->poller = plx_poller_add(s->r, "poller", on_poll, s, what % 2 * 200);
	} else if (what < 40) {
		add(&s->sent, plx_reactor_send(s->r, on_message, s) == 0);
	}
}

static void
begin(struct slot *s, unsigned int *seed)
{
	struct plx_reactor_conf conf = {.idle = (enum plx_reactor_idle)(rand_r(seed) % 3),
		.spin_us = (uint32_t)rand_r(seed) % 100,
		.messages = (uint32_t)rand_r(seed) % 100 + 1};

	REQUIRE(plx_reactor_create_conf("soak", &conf, &s->r) == 0);
	REQUIRE(pthread_create(&s->thread, NULL, runner, s->r) == 0);
	add(&lives, 1);
}

static void
end(struct slot *s)
{
	plx_reactor_stop(s->r);
	pthread_join(s->thread, NULL);
	plx_reactor_destroy(s->r);
	CHECK_EQ(s->sent, s->run);
	for (int i = 0; i < TIMERS; i++)
		CHECK(!plx_timer_armed(&s->timers[i]), "armed on nothing");
	add(&messages, s->run);
	s->sent = s->run = 0;
	s->poller = NULL;
}

static void
send_some(struct slot *s, unsigned int *seed)
{
	unsigned int n = (unsigned int)rand_r(seed) % BURST + 1, got;
	void *args[BURST];

	for (unsigned int i = 0; i < n; i++)
		args[i] = s;
	got = plx_reactor_send_burst(s->r, on_message, args, n);
	add(&s->sent, got);
	if (got < n) {
		add(&full, 1);
		sched_yield();
	}
}

static void *
disturb(void *arg)
{
	unsigned int seed = (unsigned int)(uintptr_t)arg;

	while (time(NULL) < until) {
		struct slot *s = &slots[rand_r(&seed) % SLOTS];

		if (rand_r(&seed) % 200 == 0) {
			pthread_rwlock_wrlock(&s->lock);
			end(s);
			begin(s, &seed);
			pthread_rwlock_unlock(&s->lock);
		} else {
			pthread_rwlock_rdlock(&s->lock);
			send_some(s, &seed);
			pthread_rwlock_unlock(&s->lock);
		}
		if (rand_r(&seed) % 200 == 0)
			usleep(300); /* let them go to sleep */
	}
	return NULL;
}

static void
test_soak(void)
{
	pthread_t t[THREADS];
	unsigned int seed = 1;

	for (int i = 0; i < SLOTS; i++) {
		pthread_rwlock_init(&slots[i].lock, NULL);
		begin(&slots[i], &seed);
	}
	for (uintptr_t i = 0; i < THREADS; i++)
		REQUIRE(pthread_create(&t[i], NULL, disturb, (void *)(i + 1)) == 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	for (int i = 0; i < SLOTS; i++)
		end(&slots[i]);
	printf("%" PRIu64 " reactors, %" PRIu64 " messages, a full ring %" PRIu64 " times\n", lives,
		messages, full);
	CHECK(lives > SLOTS && messages > 100, "hardly anything was done");
}

int
main(int argc, char **argv)
{
	char *eal[] = {"test", "--no-huge", NULL};

	REQUIRE(plx_eal_init_app(2, eal) >= 0);
	until = time(NULL) + (argc > 1 ? atoi(argv[1]) : 2);
	RUN(test_soak);
	plx_eal_cleanup();
	return TEST_RESULT();
}
