/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Messages between two reactors, beside what a raw rte_ring does, in turns in one run.
 *
 *	messages CPU_A CPU_B SECONDS
 *
 * prints medians: messages a second one way, at bursts of 1, 8 and 32, for rte_ring with several
 * senders allowed and for a reactor; then the round trip of one message in nanoseconds.
 */
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#include <rte_cycles.h>
#include <rte_pause.h>
#include <rte_ring.h>

#include "plx_eal.h"
#include "plx_reactor.h"

#define RING 1024
#define TAKE 128 /* at most at once, as a reactor does */
#define ROUNDS 9
#define MAX_NS 20000

static int cpu_a, cpu_b;
static double slice; /* seconds */
static bool ending;

static void
pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (pthread_setaffinity_np(pthread_self(), sizeof(set), &set) != 0) {
		fprintf(stderr, "messages: no CPU %d\n", cpu);
		exit(1);
	}
}

static bool
ended(void)
{
	return __atomic_load_n(&ending, __ATOMIC_RELAXED);
}

static uint64_t
deadline(void)
{
	return rte_rdtsc() + (uint64_t)(slice * (double)rte_get_tsc_hz());
}

static bool
before(uint64_t end)
{
	return (int64_t)(rte_rdtsc() - end) < 0;
}

/* ---- one way ---- */

static uint64_t taken __rte_cache_aligned; /* the receiver's */

static void *
ring_receiver(void *ring)
{
	void *objs[TAKE];

	pin(cpu_b);
	while (!ended()) {
		unsigned int n = rte_ring_sc_dequeue_burst(ring, objs, TAKE, NULL), i;

		for (i = 0; i < n; i++)
			__atomic_store_n(&taken, taken + (uintptr_t)objs[i], __ATOMIC_RELAXED);
	}
	return NULL;
}

static double
ring_one_way(unsigned int burst)
{
	struct rte_ring *ring = rte_ring_create("one way", RING, -1, RING_F_SC_DEQ);
	void *objs[32];
	pthread_t t;
	uint64_t end;

	for (unsigned int i = 0; i < 32; i++)
		objs[i] = (void *)1;
	taken = 0;
	ending = false;
	pthread_create(&t, NULL, ring_receiver, ring);
	for (end = deadline(); before(end);)
		for (int i = 0; i < 64; i++)
			rte_ring_mp_enqueue_burst(ring, objs, burst, NULL);
	__atomic_store_n(&ending, true, __ATOMIC_RELAXED);
	pthread_join(t, NULL);
	rte_ring_free(ring);
	return (double)taken / slice;
}

static void
take(void *arg)
{
	__atomic_store_n(&taken, taken + (uintptr_t)arg, __ATOMIC_RELAXED);
}

static void *
runner_b(void *r)
{
	pin(cpu_b);
	plx_reactor_run(r);
	return NULL;
}

static double
reactor_one_way(unsigned int burst)
{
	struct plx_reactor *r = plx_reactor_create("receiver");
	void *args[32];
	pthread_t t;
	uint64_t end;
	double rate;

	for (unsigned int i = 0; i < 32; i++)
		args[i] = (void *)1;
	taken = 0;
	pthread_create(&t, NULL, runner_b, r);
	for (end = deadline(); before(end);)
		for (int i = 0; i < 64; i++)
			plx_reactor_send_burst(r, take, args, burst);
	rate = (double)__atomic_load_n(&taken, __ATOMIC_RELAXED) / slice;
	plx_reactor_stop(r);
	pthread_join(t, NULL);
	plx_reactor_destroy(r);
	return rate;
}

/* ---- there and back ---- */

static uint32_t hist[MAX_NS + 1];
static uint64_t sent;

static void
note_trip(void)
{
	uint64_t now = rte_rdtsc(), ns;

	ns = (uint64_t)((double)(now - sent) * 1e9 / (double)rte_get_tsc_hz());
	hist[RTE_MIN(ns, (uint64_t)MAX_NS)]++;
}

static double
median_trip(void)
{
	uint64_t all = 0, below = 0;
	unsigned int ns;

	for (ns = 0; ns <= MAX_NS; ns++)
		all += hist[ns];
	for (ns = 0; ns < MAX_NS && 2 * below < all; ns++)
		below += hist[ns];
	for (unsigned int i = 0; i <= MAX_NS; i++)
		hist[i] = 0;
	return ns;
}

static struct rte_ring *rings[2];

static void *
ring_echo(void *arg)
{
	void *obj;

	pin(cpu_b);
	while (!ended())
		if (rte_ring_sc_dequeue(rings[0], &obj) == 0)
			rte_ring_mp_enqueue(rings[1], obj);
	return NULL;
}

static double
ring_round_trip(void)
{
	pthread_t t;
	uint64_t end;
	void *obj;

	rings[0] = rte_ring_create("there", RING, -1, RING_F_SC_DEQ);
	rings[1] = rte_ring_create("back", RING, -1, RING_F_SC_DEQ);
	ending = false;
	pthread_create(&t, NULL, ring_echo, NULL);
	for (end = deadline(); before(end);) {
		sent = rte_rdtsc();
		rte_ring_mp_enqueue(rings[0], &sent);
		while (rte_ring_sc_dequeue(rings[1], &obj) != 0)
			;
		note_trip();
	}
	__atomic_store_n(&ending, true, __ATOMIC_RELAXED);
	pthread_join(t, NULL);
	rte_ring_free(rings[0]);
	rte_ring_free(rings[1]);
	return median_trip();
}

static struct plx_reactor *pair[2];
static uint64_t trips_end;

static void there(void *arg);

static void
back(void *arg)
{
	note_trip();
	if (!before(trips_end)) {
		plx_reactor_stop(pair[0]);
		return;
	}
	sent = rte_rdtsc();
	plx_reactor_send(pair[1], there, NULL);
}

static void
there(void *arg)
{
	plx_reactor_send(pair[0], back, NULL);
}

static double
reactor_round_trip(void)
{
	pthread_t t;

	pair[0] = plx_reactor_create("a");
	pair[1] = plx_reactor_create("b");
	pthread_create(&t, NULL, runner_b, pair[1]);
	trips_end = deadline();
	sent = rte_rdtsc();
	plx_reactor_send(pair[1], there, NULL);
	plx_reactor_run(pair[0]);
	plx_reactor_stop(pair[1]);
	pthread_join(t, NULL);
	plx_reactor_destroy(pair[0]);
	plx_reactor_destroy(pair[1]);
	return median_trip();
}

/* ---- all ---- */

static const unsigned int bursts[] = {1, 8, 32};
static double got[8][ROUNDS]; /* ring and reactor at each burst, then the trips */

static int
compare(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double
median(double *v)
{
	qsort(v, ROUNDS, sizeof(*v), compare);
	return v[ROUNDS / 2];
}

int
main(int argc, char **argv)
{
	char *eal[] = {"messages", "--no-huge", NULL};

	if (argc != 4 || atof(argv[3]) <= 0) {
		fprintf(stderr, "usage: messages CPU_A CPU_B SECONDS\n");
		return 2;
	}
	if (plx_eal_init_app(2, eal) < 0)
		return 1;
	cpu_a = atoi(argv[1]);
	cpu_b = atoi(argv[2]);
	slice = atof(argv[3]) / ROUNDS / 8;
	pin(cpu_a);
	for (int k = 0; k < ROUNDS; k++) {
		for (unsigned int b = 0; b < RTE_DIM(bursts); b++) {
			got[2 * b][k] = ring_one_way(bursts[b]);
			got[2 * b + 1][k] = reactor_one_way(bursts[b]);
		}
		got[6][k] = ring_round_trip();
		got[7][k] = reactor_round_trip();
	}
	for (unsigned int b = 0; b < RTE_DIM(bursts); b++)
		printf("burst %u %.0f %.0f\n", bursts[b], median(got[2 * b]),
			median(got[2 * b + 1]));
	printf("trip %.0f %.0f\n", median(got[6]), median(got[7]));
	plx_eal_cleanup();
	return 0;
}
