/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Instructions an I/O of the controller, its queue and the null device; no socket, no second
 * core, and a host loop that is a few instructions long:
 *
 *	valgrind --tool=callgrind --toggle-collect=plx_nvmet_poll bench_nvmet DEPTH LOOPS
 *
 * Divide what it collected by the number of commands printed (depth 0: empty polls). Without
 *valgrind it prints the time an I/O, host loop included. With a device string and a fourth argument
 *the controller runs on another core: what remains then is the traffic of cache lines.
 */
#include <pthread.h>
#include <sched.h>
#include <time.h>

#include "nvmet_host.h"
#include "plx_eal.h"
#include "plx_test.h"

#define RING 256

static double
now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static struct plx_nvmet *apart; /* polled by another thread */
static bool stop;

static void
pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	pthread_setaffinity_np(pthread_self(), sizeof(set), &set);
}

static void *
poll_loop(void *arg)
{
	(void)arg;
	pin(1);
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED))
		plx_nvmet_poll(apart);
	return NULL;
}

/* Nothing to do. */
static uint64_t
idle(struct host *h, uint64_t count)
{
	uint64_t i;

	for (i = 0; i < count; i++)
		plx_nvmet_poll(h->ctrl);
	printf("idle: %lu polls", count);
	return count;
}

/* Keep depth commands out; every entry of the ring is a prepared 4 KiB read. */
static uint64_t
run(struct host *h, uint32_t depth, uint64_t count)
{
	volatile uint32_t *db = wire_doorbells(h->w) + 64 / 4;
	struct host_ring *r = &h->q[1];
	const struct host_cqe *cq = host_va(h, r->cq_iova);
	uint64_t done = 0, polls = 0;
	uint32_t head = r->head, tail = r->tail, phase = r->phase;

	tail = (tail + depth) % RING;
	__atomic_store_n(&db[0], tail, __ATOMIC_RELEASE);
	while (done < count) {
		uint32_t n = 0;

		if (apart == NULL)
			plx_nvmet_poll(h->ctrl);
		polls++;
		while ((__atomic_load_n(&cq[head].dw[3], __ATOMIC_ACQUIRE) >> 16 & 1) == phase) {
			if (cq[head].dw[3] >> 17 != 0) {
				fprintf(stderr, "a command failed\n");
				exit(1);
			}
			head = (head + 1) % RING;
			phase ^= head == 0;
			n++;
		}
		if (n == 0)
			continue;
		done += n;
		tail = (tail + n) % RING;
		__atomic_store_n(&db[8], head, __ATOMIC_RELEASE);
		__atomic_store_n(&db[0], tail, __ATOMIC_RELEASE);
	}
	r->head = (uint16_t)head;
	r->tail = (uint16_t)tail;
	r->phase = (uint8_t)phase;
	printf("depth %u: %lu commands, %lu polls", depth, done, polls);
	return done;
}

int
main(int argc, char **argv)
{
	uint32_t depth = argc > 1 ? (uint32_t)atoi(argv[1]) : 128, i;
	uint64_t count = argc > 2 ? strtoull(argv[2], NULL, 0) : 10000000, done;
	struct plx_nvmet *ctrl;
	pthread_t thread;
	struct host h;
	uint64_t buf;
	double t;

	if (depth >= RING)
		return 2;
	REQUIRE(plx_eal_init(1, argv) >= 0);
	ctrl = host_serve(NULL, 1, argc > 3 ? argv[3] : "null:size=1G,block=4096");
	host_open(&h, ctrl);
	CHECK_EQ(host_enable(&h, 16), 1);
	host_queue(&h, 1, RING);
	buf = host_alloc(&h, RING * 4096);
	for (i = 0; i < RING; i++) {
		struct host_cmd c =
			host_rw_cmd(nvme_cmd_read, 1, i * 37 % 1000, 1, buf + i * 4096, 0);

		host_put(&h, 1, &c);
	}
	if (argc > 4) {
		apart = ctrl;
		pin(0);
		REQUIRE(pthread_create(&thread, NULL, poll_loop, NULL) == 0);
	}
	t = now();
	done = depth == 0 ? idle(&h, count) : run(&h, depth, count);
	t = now() - t;
	printf(", %.1f ns each\n", t * 1e9 / (double)done);
	if (apart != NULL) {
		__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
		pthread_join(thread, NULL);
	}
	host_close(&h);
	host_unserve(ctrl);
	plx_eal_cleanup();
	return TEST_RESULT();
}
