/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The floor under an NVMe queue pair between two cores: 64-byte entries one way, 16-byte
 * completions the other way, with doorbells and phase bits as in NVMe Base 2.0, 3.3.1 and 4.2, and
 * nothing else. What a driver and a controller add is the difference to this.
 *
 *	floor HOST_CPU TARGET_CPU DEPTH SECONDS
 *
 * prints the rate in I/O a second and the mean round trip in nanoseconds.
 */
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

#define RING 256 /* entries, a power of two */
#define BURST 32

struct sqe {
	uint64_t w[8];
} __attribute__((aligned(64)));
struct cqe {
	uint64_t result;
	uint16_t sq_head, sq_id, cid, status; /* status: phase in bit 0 */
} __attribute__((aligned(16)));
_Static_assert(sizeof(struct sqe) == 64 && sizeof(struct cqe) == 16, "wire sizes");

struct doorbell {
	uint32_t value;
} __attribute__((aligned(64)));

static struct shared {
	struct sqe sq[RING];
	struct cqe cq[RING];
	struct doorbell sq_tail, cq_head, stop;
} * sh;

static uint64_t
now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static bool
pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	return pthread_setaffinity_np(pthread_self(), sizeof(set), &set) == 0;
}

/* The controller's side: each new entry is read whole and answered. */
static void *
target(void *arg)
{
	uint32_t head = 0, tail;

	if (!pin(*(int *)arg))
		return arg;
	while (__atomic_load_n(&sh->stop.value, __ATOMIC_RELAXED) == 0) {
		/* pairs with the release in host() */
		tail = __atomic_load_n(&sh->sq_tail.value, __ATOMIC_ACQUIRE);
		for (unsigned int n = 0; head != tail && n < BURST; head++, n++) {
			struct sqe e = sh->sq[head % RING];
			struct cqe *c = &sh->cq[head % RING];
			uint16_t phase = (head / RING & 1) == 0;

			c->result = e.w[1] ^ e.w[2] ^ e.w[3] ^ e.w[4] ^ e.w[5] ^ e.w[6] ^ e.w[7];
			c->sq_head = (uint16_t)((head + 1) % RING);
			c->cid = (uint16_t)e.w[0];
			__atomic_store_n(&c->status, phase, __ATOMIC_RELEASE);
		}
	}
	return NULL;
}

static uint32_t
submit(uint32_t tail, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++, tail++) {
		struct sqe e = {{tail, tail, 2, 3, 4, 5, 6, 7}};

		sh->sq[tail % RING] = e;
	}
	__atomic_store_n(&sh->sq_tail.value, tail, __ATOMIC_RELEASE);
	return tail;
}

static uint32_t
complete(uint32_t head, uint64_t *sum)
{
	uint32_t n = 0;

	for (; n < BURST; n++) {
		struct cqe *c = &sh->cq[(head + n) % RING];
		uint16_t phase = ((head + n) / RING & 1) == 0;

		if ((__atomic_load_n(&c->status, __ATOMIC_ACQUIRE) & 1) != phase)
			break;
		*sum += c->result + c->cid;
	}
	if (n != 0)
		__atomic_store_n(&sh->cq_head.value, head + n, __ATOMIC_RELEASE);
	return n;
}

static uint64_t
host(uint32_t depth, double seconds, uint64_t *ns)
{
	uint64_t start = now_ns(), until = start + (uint64_t)(seconds * 1e9), sum = 0;
	uint32_t tail = submit(0, depth), head = 0, n, turns = 0;
	uint64_t done = 0;

	while ((++turns & 1023) != 0 || now_ns() < until) {
		n = complete(head, &sum);
		if (n == 0)
			continue;
		head += n;
		done += n;
		tail = submit(tail, n);
	}
	*ns = now_ns() - start;
	sh->cq[0].result = sum; /* keeps the reads */
	return done;
}

int
main(int argc, char **argv)
{
	int host_cpu = argc == 5 ? atoi(argv[1]) : -1, target_cpu = argc == 5 ? atoi(argv[2]) : -1;
	uint32_t depth = argc == 5 ? (uint32_t)atoi(argv[3]) : 0;
	uint64_t done, ns;
	pthread_t thread;
	void *failed;

	if (depth == 0 || depth >= RING || atof(argv[4]) <= 0) {
		fprintf(stderr, "usage: floor HOST_CPU TARGET_CPU DEPTH SECONDS, depth under %d\n",
			RING);
		return 2;
	}
	sh = mmap(NULL, sizeof(*sh), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (sh == MAP_FAILED || pthread_create(&thread, NULL, target, &target_cpu) != 0)
		return 1;
	if (!pin(host_cpu)) {
		fprintf(stderr, "floor: no CPU %d\n", host_cpu);
		return 1;
	}
	done = host(depth, atof(argv[4]), &ns);
	__atomic_store_n(&sh->stop.value, 1, __ATOMIC_RELAXED);
	pthread_join(thread, &failed);
	if (failed != NULL || done == 0) {
		fprintf(stderr, "floor: nothing came back from CPU %d\n", target_cpu);
		return 1;
	}
	printf("%.0f %.0f\n", (double)done * 1e9 / (double)ns, (double)ns * depth / (double)done);
	return 0;
}
