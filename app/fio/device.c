/* SPDX-License-Identifier: BSD-3-Clause */
/* What jobs share. Each call is under one lock: none is on the way of an I/O. */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine.h"
#include "plx_ctrl.h"
#include "plx_eal.h"
#include "plx_mem.h"
#include "plx_probe.h"

#define ARGS_MAX 32

struct eng_dev {
	struct eng_dev *next;
	char *str;
	struct plx_dev *attachment;
	struct plx_blk *blk;
	struct plx_blk_info info;
	unsigned int users; /* jobs that have it, or will */
	unsigned int seen;  /* all that ever had */
	unsigned int depth; /* of the deepest */
	bool write;
	bool *taken; /* queues */
	uint16_t nq; /* 0: not started */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct eng_dev *devs;
static bool started;

/* ---- EAL ---- */

/* One lcore, of the CPUs that fio may use: jobs bring their own threads. */
static int
first_cpu(const cpu_set_t *cpus)
{
	for (int i = 0; i < CPU_SETSIZE; i++)
		if (CPU_ISSET(i, cpus))
			return i;
	return 0;
}

static int
start(const char *args, const cpu_set_t *cpus)
{
	char lcore[32], *argv[ARGS_MAX + 4] = {(char *)(uintptr_t) "fio"}, *copy, *save;
	int argc = 1;

	snprintf(lcore, sizeof(lcore), "--lcores=0@%d", first_cpu(cpus));
	copy = strdup(args != NULL ? args : lcore); /* EAL keeps pointers to it */
	if (copy == NULL)
		return -ENOMEM;
	for (char *a = strtok_r(copy, " \t", &save); a != NULL && argc < ARGS_MAX;
		a = strtok_r(NULL, " \t", &save))
		argv[argc++] = a;
	return plx_eal_init_app(argc, argv);
}

int
eng_start(const char *args)
{
	cpu_set_t cpus;
	int rc = 0;

	pthread_mutex_lock(&lock);
	if (!started) {
		sched_getaffinity(0, sizeof(cpus), &cpus);
		rc = start(args, &cpus);
		sched_setaffinity(0, sizeof(cpus), &cpus);
		started = rc >= 0;
	}
	pthread_mutex_unlock(&lock);
	return rc < 0 ? rc : 0;
}

/* ---- devices ---- */

/* The block device of an attachment: with several namespaces, name=... and the one wanted. */
static int
open_dev(struct eng_dev *d)
{
	int rc = plx_blk_open(plx_dev_name(d->attachment), d->write ? PLX_BLK_O_WRITE : 0, &d->blk);

	if (rc != 0)
		eng_say("%s: %s", d->str,
			rc == -EROFS    ? "it is read-only"
			: rc == -EINVAL ? "it has several namespaces"
			: rc == -ENODEV ? "there is no block device behind it"
					: strerror(-rc));
	else
		plx_blk_info_get(d->blk, &d->info);
	return rc;
}

static struct eng_dev *
attach(const char *str)
{
	struct eng_dev *d = calloc(1, sizeof(*d));
	struct plx_blk *blk = NULL;
	size_t len;

	if (d == NULL || (d->str = strdup(str)) == NULL) {
		free(d);
		eng_say("out of memory");
		return NULL;
	}
	if (plx_attach(str, &d->attachment) != 0) { /* logged */
		free(d->str);
		free(d);
		return NULL;
	}
	/* its size is wanted before anybody has it open */
	len = strlen(plx_dev_name(d->attachment));
	while (d->info.nblocks == 0 && (blk = plx_blk_next(blk)) != NULL) {
		plx_blk_info_get(blk, &d->info);
		if (strncmp(d->info.name, plx_dev_name(d->attachment), len) != 0 ||
			(d->info.name[len] != '\0' && d->info.name[len] != '/'))
			d->info.nblocks = 0;
	}
	d->next = devs;
	devs = d;
	return d;
}

struct eng_dev *
eng_dev_get(const char *str, unsigned int depth, bool write)
{
	struct eng_dev *d;

	pthread_mutex_lock(&lock);
	for (d = devs; d != NULL && strcmp(d->str, str) != 0; d = d->next)
		;
	if (d == NULL)
		d = attach(str);
	if (d != NULL) {
		d->users++;
		d->seen++;
		d->depth = depth > d->depth ? depth : d->depth;
		d->write |= write;
	}
	pthread_mutex_unlock(&lock);
	return d;
}

const struct plx_blk_info *
eng_dev_info(const struct eng_dev *dev)
{
	return &dev->info;
}

static void
detach(struct eng_dev *d)
{
	struct eng_dev **at = &devs;

	while (*at != d)
		at = &(*at)->next;
	*at = d->next;
	if (d->blk != NULL)
		plx_blk_close(d->blk);
	plx_detach(d->attachment);
	free(d->taken);
	free(d->str);
	free(d);
	if (devs == NULL && started) {
		plx_eal_cleanup();
		started = false;
	}
}

void
eng_dev_put(struct eng_dev *d)
{
	pthread_mutex_lock(&lock);
	if (--d->users == 0)
		detach(d);
	pthread_mutex_unlock(&lock);
}

/* ---- queues ---- */

/* All the queues that jobs may want, before the first I/O. */
static int
start_dev(struct eng_dev *d)
{
	struct plx_blkq_conf conf = {.depth = (uint16_t)d->depth, .socket = -1};
	uint16_t n = (uint16_t)RTE_MIN(d->seen, d->info.max_queues);
	int rc;

	if (d->depth > d->info.max_depth) {
		eng_say("%s: iodepth=%u: a queue has at most %u", d->str, d->depth,
			d->info.max_depth);
		return -EINVAL;
	}
	rc = d->blk != NULL ? 0 : open_dev(d);
	if (rc != 0)
		return rc;
	d->taken = calloc(n, sizeof(*d->taken));
	rc = d->taken == NULL ? -ENOMEM : plx_blk_configure(d->blk, n);
	for (uint16_t i = 0; rc == 0 && i < n; i++)
		rc = plx_blkq_setup(d->blk, i, &conf);
	if (rc == 0)
		rc = plx_blk_start(d->blk);
	if (rc == 0) {
		d->nq = n;
		return 0;
	}
	free(d->taken);
	d->taken = NULL;
	eng_say("%s: can't start: %s", d->str, strerror(-rc));
	return rc;
}

static struct plx_blkq *
free_queue(struct eng_dev *d)
{
	for (uint16_t i = 0; i < d->nq; i++)
		if (!d->taken[i]) {
			d->taken[i] = true;
			return plx_blk_queue_get(d->blk, i);
		}
	eng_say("%s: more jobs at a time than its %u queues", d->str, d->nq);
	return NULL;
}

struct plx_blkq *
eng_queue_get(struct eng_dev *d)
{
	struct plx_blkq *q = NULL;

	pthread_mutex_lock(&lock);
	if (d->nq != 0 || start_dev(d) == 0)
		q = free_queue(d);
	pthread_mutex_unlock(&lock);
	return q;
}

void
eng_queue_put(struct eng_dev *d, struct plx_blkq *q)
{
	pthread_mutex_lock(&lock);
	d->taken[q->qid] = false;
	pthread_mutex_unlock(&lock);
}

void
eng_sync_memory(void)
{
	unsigned int idle = 0;

	while (plx_mem_sync() == -EINPROGRESS)
		plx_ctrl_drive(&idle);
}
