/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef HOST_H
#define HOST_H
/* The driver's user in these tests, and what it must leave behind: nothing. */
#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <time.h>
#include <unistd.h>

#include <rte_malloc.h>

#include "plx_blk.h"
#include "plx_ctrl.h"
#include "plx_eal.h"
#include "plx_mem.h"
#include "plx_probe.h"
#include "plx_test.h"

#define HOST_DEPTH 32
#define HOST_BYTES 16384u

struct host {
	struct plx_dev *dev;
	struct plx_blk *blk;
	struct plx_blkq *q;
	struct plx_blk_info info;
	struct plx_blk_req reqs[HOST_DEPTH];
	uint8_t *mem; /* HOST_BYTES a request */
};

static inline double
host_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* ---- what is in use ---- */

struct host_use {
	unsigned int fds, threads;
	size_t heap;
};

static inline unsigned int
host_entries(const char *path)
{
	unsigned int n = 0;
	DIR *d = opendir(path);

	REQUIRE(d != NULL);
	while (readdir(d) != NULL)
		n++;
	closedir(d);
	return n;
}

static inline struct host_use
host_use(void)
{
	struct host_use u = {
		.fds = host_entries("/proc/self/fd"), .threads = host_entries("/proc/self/task")};
	struct rte_malloc_socket_stats st;
	unsigned int i;

	/* the arena is a heap behind those of the nodes */
	for (i = 0; i < 64; i++)
		if (rte_malloc_get_socket_stats((int)i, &st) == 0)
			u.heap += st.heap_allocsz_bytes;
	return u;
}

/* A leak is found by what leaks. */
static inline void
host_show_fds(void)
{
	char path[32], to[128];
	ssize_t n;
	int fd;

	for (fd = 0; fd < 256; fd++) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		n = readlink(path, to, sizeof(to));
		if (n > 0)
			fprintf(stderr, "%d: %.*s\n", fd, (int)n, to);
	}
}

static inline void
host_unused(const struct host_use *before)
{
	struct host_use now = host_use();

	CHECK_EQ(now.fds, before->fds);
	if (now.fds != before->fds)
		host_show_fds();
	CHECK_EQ(now.threads, before->threads);
	CHECK_EQ(now.heap, before->heap);
}

/* ---- a device ---- */

/* @return of plx_attach() */
static inline int
host_attach(struct host *h, const char *str)
{
	memset(h, 0, sizeof(*h));
	return plx_attach(str, &h->dev);
}

static inline void
host_set_up_intr(struct host *h, const char *name, uint16_t queues, uint16_t depth, bool intr)
{
	uint16_t i;

	REQUIRE(plx_blk_open(name, PLX_BLK_O_WRITE, &h->blk) == 0);
	REQUIRE(plx_blk_info_get(h->blk, &h->info) == 0);
	REQUIRE(plx_blk_configure(h->blk, queues) == 0);
	for (i = 0; i < queues; i++)
		REQUIRE(plx_blkq_setup(h->blk, i,
				&(struct plx_blkq_conf){
					.depth = depth, .socket = -1, .intr = intr}) == 0);
	h->q = plx_blk_queue_get(h->blk, 0);
	h->mem = plx_mem_alloc((size_t)HOST_DEPTH * HOST_BYTES, 4096, -1);
	REQUIRE(h->q != NULL && h->mem != NULL);
}

static inline void
host_set_up(struct host *h, const char *name, uint16_t queues, uint16_t depth)
{
	host_set_up_intr(h, name, queues, depth, false);
}

static inline void
host_open(struct host *h, const char *name)
{
	host_set_up(h, name, 1, HOST_DEPTH);
	REQUIRE(plx_blk_start(h->blk) == 0);
}

/* @return of plx_detach() */
static inline int
host_close(struct host *h)
{
	int rc;

	if (h->blk != NULL)
		plx_blk_close(h->blk);
	rc = plx_detach(h->dev);
	plx_mem_free(h->mem);
	return rc;
}

/* ---- requests ---- */

static inline void
host_prepare(struct host *h, unsigned int i, uint8_t op, uint64_t lba, uint32_t nblk)
{
	h->reqs[i] = (struct plx_blk_req){.op = op,
		.lba = lba,
		.nblk = nblk,
		.buf = h->mem + (size_t)i * HOST_BYTES,
		.status = 1,
		.user = h};
}

/* Submit the first n. */
static inline void
host_submit(struct host *h, unsigned int n)
{
	struct plx_blk_req *p[HOST_DEPTH];
	unsigned int i;

	for (i = 0; i < n; i++)
		p[i] = &h->reqs[i];
	CHECK_EQ(plx_blkq_submit(h->q, p, (uint16_t)n), n);
}

/* Poll until n came back, each once, or the time is over. @return how many did */
static inline unsigned int
host_collect(struct host *h, unsigned int n, double seconds)
{
	double until = host_now() + seconds;
	struct plx_blk_req *got[HOST_DEPTH];
	unsigned int done = 0, i, k;

	while (done < n && host_now() < until) {
		k = plx_blkq_poll(h->q, got, HOST_DEPTH);
		for (i = 0; i < k; i++) {
			CHECK(got[i]->user == h, "a request that came back twice");
			got[i]->user = NULL;
		}
		done += k;
		if (k == 0)
			usleep(50);
		plx_ctrl_poll();
	}
	return done;
}

/* One request to its end. @return its status */
static inline int
host_one(struct host *h, uint8_t op, uint64_t lba, uint32_t nblk)
{
	host_prepare(h, 0, op, lba, nblk);
	host_submit(h, 1);
	REQUIRE(host_collect(h, 1, 20) == 1);
	return h->reqs[0].status;
}

/* Drive the control plane until the event comes. @return it came */
static inline bool
host_event(struct host *h, enum plx_blk_event_type type, uint64_t value, double seconds)
{
	double until = host_now() + seconds;
	struct plx_blk_event ev;

	while (host_now() < until) {
		plx_ctrl_poll();
		while (plx_blk_event_get(h->blk, &ev) == 1)
			if (ev.type == type && ev.value == value)
				return true;
		usleep(100);
	}
	return false;
}

static inline void
host_eal(int argc, char **argv)
{
	/* telemetry: each program that starts meanwhile knocks, which takes a thread and a socket
	 */
	char *eal[] = {argv[0], (char *)(uintptr_t) "-l", (char *)(uintptr_t) "0",
		(char *)(uintptr_t) "--no-telemetry", NULL};

	(void)argc;
	REQUIRE(plx_eal_init_app(4, eal) >= 0);
}

#endif
