/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <rte_malloc.h>

#include "mp_child.h"
#include "plx_blk.h"
#include "plx_ctrl.h"
#include "plx_eal.h"
#include "plx_mem.h"
#include "plx_nvme.h"
#include "plx_probe.h"

#define SLOTS 32

/* A block that is written, with its address and a count, and read back. */
struct slot {
	struct plx_blk_req req;
	uint64_t *buf;
	uint64_t gen;
	bool free;
};

static struct {
	struct plx_dev *dev;
	struct plx_blk *blk;
	struct plx_blkq *q;
	struct plx_blk_info info;
	struct slot slot[SLOTS];
	uint64_t base;
	uint64_t accepted, returned, bad;
	int last; /* status other than 0 */
	bool hushed, lost, running;
} w;

static void
fill(struct slot *s)
{
	for (size_t i = 0; i < w.info.block_size / 8; i++)
		s->buf[i] = s->req.lba << 32 ^ s->gen << 8 ^ i;
}

static bool
holds(const struct slot *s)
{
	for (size_t i = 0; i < w.info.block_size / 8; i++)
		if (s->buf[i] != (s->req.lba << 32 ^ s->gen << 8 ^ i))
			return false;
	return true;
}

static void
send_free(void)
{
	for (int i = 0; i < SLOTS && w.running; i++) {
		struct slot *s = &w.slot[i];
		struct plx_blk_req *req = &s->req;

		if (!s->free)
			continue;
		s->req.op = s->req.op == PLX_OP_WRITE ? PLX_OP_READ : PLX_OP_WRITE;
		s->req.flags = 0;
		if (s->req.op == PLX_OP_WRITE) {
			s->gen++;
			fill(s);
		} else {
			memset(s->buf, 0, w.info.block_size);
		}
		s->free = false;
		if (plx_blkq_submit(w.q, &req, 1) == 0) {
			s->free = true;
			s->gen -= s->req.op == PLX_OP_WRITE;
			s->req.op = s->req.op == PLX_OP_WRITE ? PLX_OP_READ : PLX_OP_WRITE;
			return;
		}
		w.accepted++;
	}
}

static void
collect(void)
{
	struct plx_blk_req *reqs[SLOTS];
	uint16_t n = plx_blkq_poll(w.q, reqs, SLOTS);

	for (uint16_t i = 0; i < n; i++) {
		struct slot *s = reqs[i]->user;

		if (s->free)
			w.bad++; /* twice */
		s->free = true;
		w.returned++;
		if (reqs[i]->status != 0)
			w.last = reqs[i]->status;
		if (reqs[i]->status == 0 && reqs[i]->op == PLX_OP_READ && !holds(s))
			w.bad++;
		if (reqs[i]->status != 0 && w.running)
			s->req.op = PLX_OP_READ; /* write it anew */
	}
}

static void
say_count(const char *word)
{
	printf("%s %llu %llu %llu %d\n", word, (unsigned long long)w.accepted,
		(unsigned long long)w.returned, (unsigned long long)w.bad, w.last);
}

static void
open_dev(const char *name, uint64_t base)
{
	int rc = plx_blk_open(name, PLX_BLK_O_WRITE, &w.blk);

	if (rc == 0)
		rc = plx_blk_configure(w.blk, 1);
	if (rc == 0)
		rc = plx_blkq_setup(w.blk, 0, NULL);
	if (rc == 0)
		rc = plx_blk_start(w.blk);
	if (rc != 0) {
		printf("failed %d\n", rc);
		return;
	}
	w.q = plx_blk_queue_get(w.blk, 0);
	plx_blk_info_get(w.blk, &w.info);
	w.base = base;
	for (int i = 0; i < SLOTS; i++) {
		struct slot *s = &w.slot[i];

		if (s->buf == NULL)
			s->buf = plx_mem_alloc(w.info.block_size, 4096, -1);
		if (s->buf == NULL)
			exit(3);
		s->free = true;
		s->req = (struct plx_blk_req){.op = PLX_OP_READ,
			.lba = base + (uint64_t)i,
			.nblk = 1,
			.buf = s->buf,
			.user = s};
	}
	w.running = true;
	printf("open\n");
}

static void
drain(void)
{
	time_t until = time(NULL) + 20;

	w.running = false;
	while (w.returned < w.accepted && time(NULL) < until) {
		collect();
		if (!w.hushed)
			plx_ctrl_poll();
	}
}

static void
close_dev(void)
{
	int rc;

	drain();
	rc = plx_blk_close(w.blk);
	w.blk = NULL;
	w.q = NULL;
	printf("closed %d\n", rc);
}

/* One read and write into memory that came after attach, in one request beside the others. */
static void
late(void)
{
	size_t len = (size_t)8 << 20, bs = w.info.block_size;
	uint64_t bounced;
	char *p = rte_malloc(NULL, len, 2 << 20);
	struct plx_blk_req req = {
		.op = PLX_OP_WRITE, .lba = w.base + SLOTS, .nblk = 1, .user = &req};
	struct plx_blk_req *r = &req, *back;
	struct plx_blk_stats st;
	int rc;

	drain();
	if (p == NULL) {
		printf("late %d\n", -ENOMEM);
		return;
	}
	while ((rc = plx_mem_sync()) == -EINPROGRESS)
		plx_ctrl_poll();
	plx_blk_stats_get(w.blk, 0, &st);
	bounced = st.bounced;
	for (int pass = 0; pass < 2 && rc == 0; pass++) {
		req.op = pass == 0 ? PLX_OP_WRITE : PLX_OP_READ;
		req.buf = p + (pass == 0 ? 0 : 4 << 20);
		memset(req.buf, pass == 0 ? 0x5a : 0, bs);
		req.flags = 0;
		if (plx_blkq_submit(w.q, &r, 1) != 1)
			rc = -EAGAIN;
		while (rc == 0 && plx_blkq_poll(w.q, &back, 1) == 0)
			plx_ctrl_poll();
		rc = rc != 0 ? rc : req.status;
	}
	if (rc == 0 && memcmp(p, p + (4 << 20), bs) != 0)
		rc = -EILSEQ;
	plx_blk_stats_get(w.blk, 0, &st);
	if (rc == 0 && st.bounced != bounced)
		rc = -EXDEV;
	rte_free(p);
	printf("late %d\n", rc);
	w.running = true;
}

/* @return false: quit */
static bool
command(char *line)
{
	char *word = strtok(line, " \n"), *arg = strtok(NULL, " \n"), *num = strtok(NULL, " \n");
	int rc;

	if (word == NULL)
		return true;
	if (strcmp(word, "attach") == 0) {
		rc = plx_attach(arg, &w.dev);
		if (rc == 0)
			printf("attached\n");
		else
			printf("failed %d\n", rc);
	} else if (strcmp(word, "open") == 0) {
		open_dev(arg, strtoull(num, NULL, 0));
	} else if (strcmp(word, "count") == 0) {
		say_count("count");
	} else if (strcmp(word, "reset") == 0) {
		rc = plx_blk_reset(w.blk);
		printf("reset %d\n", rc);
	} else if (strcmp(word, "heap") == 0) {
		struct rte_malloc_socket_stats st = {0};

		rte_malloc_get_socket_stats(0, &st);
		printf("heap %zu\n", st.heap_allocsz_bytes);
	} else if (strcmp(word, "log") == 0) {
		char page[512];

		printf("log %d\n", plx_nvme_get_log(w.dev, &(struct plx_nvme_log){.lid = 2}, page,
					   sizeof(page)));
	} else if (strcmp(word, "format") == 0) {
		printf("format %d\n", plx_nvme_format(w.dev, 1, 0, 0));
	} else if (strcmp(word, "late") == 0) {
		late();
	} else if (strcmp(word, "hush") == 0 || strcmp(word, "speak") == 0) {
		w.hushed = word[0] == 'h';
	} else if (strcmp(word, "close") == 0) {
		close_dev();
	} else if (strcmp(word, "detach") == 0) {
		rc = plx_detach(w.dev);
		w.blk = NULL;
		w.q = NULL;
		w.dev = NULL;
		printf("detached %d\n", rc);
	} else {
		return false;
	}
	return true;
}

static void
work(void)
{
	struct plx_blk_event ev;

	if (w.q != NULL) {
		send_free();
		collect();
		while (plx_blk_event_get(w.blk, &ev) == 1)
			if (ev.type == PLX_BLK_EVENT_REMOVED && !w.lost) {
				w.lost = true;
				drain();
				say_count("lost");
			}
	}
	if (!w.hushed)
		plx_ctrl_poll();
	if (w.q == NULL)
		nanosleep(&(struct timespec){.tv_nsec = 200000}, NULL);
}

static void
serve(void)
{
	char line[512];
	size_t len = 0;
	ssize_t n;

	setvbuf(stdout, NULL, _IOLBF, 0);
	fcntl(0, F_SETFL, O_NONBLOCK);
	printf("ready\n");
	for (unsigned int turn = 0;; turn++) {
		work();
		if (turn % 16 != 0)
			continue;
		n = read(0, line + len, sizeof(line) - 1 - len);
		if (n == 0)
			return; /* the test is gone */
		len += n > 0 ? (size_t)n : 0;
		line[len] = '\0';
		for (char *end; (end = strchr(line, '\n')) != NULL;) {
			*end = '\0';
			if (!command(line))
				return;
			len -= (size_t)(end + 1 - line);
			memmove(line, end + 1, len + 1);
		}
	}
}

int
mp_child(int argc, char **argv)
{
	int rc = plx_eal_init_app(argc, argv);

	if (rc < 0) {
		printf("failed %d\n", rc);
		return 1;
	}
	serve();
	plx_detach_all();
	plx_eal_cleanup();
	return 0;
}
