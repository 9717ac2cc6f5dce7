/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * plx-blk-hotplug [EAL options] -- ROUNDS KEYS ADD DEL
 *
 * A device comes (the shell command ADD), is attached by hotplug with KEYS, works, and is taken
 * away under load (DEL), over and over. Each request must end exactly once, with 0 or -ENODEV; the
 * kernel must have the device back although nobody has detached it; nothing may be left.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_malloc.h>

#include "plx_blk.h"
#include "plx_ctrl.h"
#include "plx_eal.h"
#include "plx_mem.h"
#include "plx_probe.h"

#define DEPTH 64
#define BYTES 8192
#define WARM 500 /* requests before it is taken away */
#define LATE_S 20

static struct plx_blk_req reqs[DEPTH];
static bool lent[DEPTH];
static uint8_t *mem;
static uint64_t nb_done, nb_gone;
static struct plx_hotplug_event got;
static const char *const words[] = {[PLX_HOTPLUG_ADDED] = "added",
	[PLX_HOTPLUG_READY] = "ready",
	[PLX_HOTPLUG_ATTACHED] = "attached",
	[PLX_HOTPLUG_FAILED] = "failed",
	[PLX_HOTPLUG_REMOVED] = "removed",
	[PLX_HOTPLUG_MISSED] = "missed"};

static void
fail(const char *what)
{
	fprintf(stderr, "blk-hotplug: %s\n", what);
	exit(1);
}

static uint64_t
late(void)
{
	return rte_get_timer_cycles() + LATE_S * rte_get_timer_hz();
}

static pid_t
begin(const char *command)
{
	pid_t pid = vfork();

	if (pid == 0) {
		execl("/bin/sh", "sh", "-c", command, (char *)NULL);
		_exit(127);
	}
	if (pid < 0)
		fail("can't start a command");
	return pid;
}

static void
end(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) != pid || status != 0)
		fail("the command failed");
}

/* Drive the control plane until such an event. */
static void
wait_for(enum plx_hotplug_type type)
{
	uint64_t until = late();

	for (;;) {
		plx_ctrl_poll();
		if (plx_hotplug_event_get(&got) == 1) {
			printf("%s: %s\n", got.bdf, words[got.type]);
			if (got.type == type)
				return;
			if (got.type == PLX_HOTPLUG_FAILED || got.type == PLX_HOTPLUG_MISSED)
				fail("that is not what should come");
		}
		if (rte_get_timer_cycles() > until)
			fail("an event has not come");
	}
}

static void
take_back(struct plx_blk_req *req)
{
	size_t i = (size_t)(req - reqs);

	if (i >= DEPTH || !lent[i])
		fail("a request came back that was not lent");
	lent[i] = false;
	if (req->status != 0 && req->status != -ENODEV)
		fail("a request ended with another error");
	if (req->flags & PLX_IO_MAYBE_DMA)
		fail("a request ended whose memory may still be reached");
	nb_done++;
	nb_gone += req->status != 0;
}

static void
prepare(struct plx_blk_req *r, const struct plx_blk_info *info)
{
	size_t i = (size_t)(r - reqs);

	*r = (struct plx_blk_req){
		.op = i % 2 ? PLX_OP_WRITE : PLX_OP_READ,
		.nblk = BYTES / info->block_size,
		.buf = mem + i * BYTES,
	};
	r->lba = (uint64_t)rand() % (info->nblocks - r->nblk);
}

/* Lend what is here. */
static void
refill(struct plx_blkq *q, const struct plx_blk_info *info)
{
	struct plx_blk_req *r;
	uint32_t i;

	for (i = 0; i < DEPTH; i++) {
		r = &reqs[i];
		if (lent[i])
			continue;
		prepare(r, info);
		lent[i] = plx_blkq_submit(q, &r, 1) == 1;
	}
}

/* @return whether one has ended with -ENODEV */
static bool
reap(struct plx_blkq *q)
{
	struct plx_blk_req *back[DEPTH];
	uint64_t gone = nb_gone;
	uint16_t i, n;

	plx_ctrl_poll();
	n = plx_blkq_poll(q, back, DEPTH);
	for (i = 0; i < n; i++)
		take_back(back[i]);
	return nb_gone != gone;
}

/* Work, have it taken away, and see everything end. */
static void
work(struct plx_blk *blk, const char *del)
{
	struct plx_blkq *q = plx_blk_queue_get(blk, 0);
	uint64_t until = late(), first = nb_done;
	struct plx_blk_info info;
	pid_t pid = 0;
	uint32_t i;

	plx_blk_info_get(blk, &info);
	do {
		refill(q, &info);
		if (pid == 0 && nb_done - first >= WARM)
			pid = begin(del);
		if (rte_get_timer_cycles() > until)
			fail("it was not taken away");
	} while (!reap(q));
	for (i = 0; i < DEPTH; i++)
		while (lent[i]) {
			reap(q);
			if (rte_get_timer_cycles() > until)
				fail("a request has not ended");
		}
	if (pid == 0)
		fail("it went by itself");
	end(pid);
}

static struct plx_blk *
open_dev(const char *name)
{
	struct plx_blk *blk;

	if (plx_blk_open(name, PLX_BLK_O_WRITE, &blk) != 0 || plx_blk_configure(blk, 1) != 0 ||
		plx_blkq_setup(blk, 0, &(struct plx_blkq_conf){.depth = DEPTH}) != 0 ||
		plx_blk_start(blk) != 0)
		fail("it can't be opened");
	return blk;
}

static void
removed_event(struct plx_blk *blk)
{
	struct plx_blk_event ev;

	while (plx_blk_event_get(blk, &ev) == 1)
		if (ev.type == PLX_BLK_EVENT_REMOVED)
			return;
	fail("no event says that it was removed");
}

static unsigned int
nb_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned int n = 0;

	while (d != NULL && readdir(d) != NULL)
		n++;
	closedir(d);
	return n;
}

static size_t
heap(void)
{
	struct rte_malloc_socket_stats st = {0};

	rte_malloc_get_socket_stats(0, &st);
	return st.heap_allocsz_bytes;
}

/* slow: detach only when the kernel is done with it, which must not wait for us. */
static void
once(const char *add, const char *del, bool slow)
{
	struct plx_dev *dev;
	struct plx_blk *blk;

	end(begin(add));
	wait_for(PLX_HOTPLUG_ATTACHED);
	dev = plx_dev_find(got.name);
	blk = open_dev(got.name);
	work(blk, del);
	removed_event(blk);
	if (slow)
		wait_for(PLX_HOTPLUG_REMOVED);
	plx_blk_close(blk);
	if (dev == NULL || plx_detach(dev) != 0)
		fail("it can't be detached");
	if (!slow)
		wait_for(PLX_HOTPLUG_REMOVED);
}

int
main(int argc, char **argv)
{
	int n = plx_eal_init_app(argc, argv), i, rounds;
	unsigned int fds = 0;
	size_t used = 0;

	if (n < 0)
		return 1;
	argv += n;
	if (argc - n != 5) {
		fprintf(stderr, "usage: plx-blk-hotplug [EAL options] -- ROUNDS KEYS ADD DEL\n");
		return 2;
	}
	rounds = atoi(argv[1]);
	mem = plx_mem_alloc((size_t)DEPTH * BYTES, 4096, -1);
	if (mem == NULL || plx_hotplug_enable(argv[2]) != 0)
		return 1;
	for (i = 0; i < rounds; i++) {
		once(argv[3], argv[4], i % 2 == 0);
		if (i == 1) {
			fds = nb_fds();
			used = heap();
		}
		if (i > 1 && (nb_fds() != fds || heap() != used))
			fail("something was left behind");
	}
	plx_hotplug_disable();
	plx_mem_free(mem);
	printf("%d rounds: %lu requests, %lu ended with -ENODEV\n", rounds, nb_done, nb_gone);
	plx_eal_cleanup();
	return 0;
}
