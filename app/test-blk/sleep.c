/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How a queue lets its lcore sleep (--poll-mode): until one of its I/Os interrupts, or the pace of
 * its job lets the next one go. What other lcores change (a stop, a pause) is seen in time.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <rte_cycles.h>

#include "testblk.h"

#define SEEN_US 10000  /* a stop, a pause */
#define PARKED_US 1000 /* a device that takes nothing, and has nothing in flight */

/* Prepared, free to go, and not accepted. */
static bool
refused(const struct tb_queue *q)
{
	uint16_t may_go = q->pace != NULL ? q->pace->passed : q->npend;

	return may_go + q->npend_to != 0;
}

/* Microseconds until something is to be done though no I/O comes back; -EBUSY: now. */
static int
quiet_us(const struct tb_queue *q)
{
	uint64_t now = rte_rdtsc(), until = UINT64_MAX;
	double us;

	if (q->sum->c.begin != 0) { /* it has begun */
		until = q->deadline;
		if (q->pace != NULL)
			until = RTE_MIN(until, tb_pace_until(q, now));
	}
	if (until <= now)
		return -EBUSY;
	us = (double)(until - now) * 1e6 / q->task->job->run->hz;
	us = RTE_MIN(us, refused(q) ? PARKED_US : SEEN_US);
	return us < 1 ? -EBUSY : (int)us;
}

static int
arm_bq(struct plx_blkq *bq, bool *armed)
{
	if (bq->inflight == 0)
		return 0;
	if (plx_blkq_intr_arm(bq) != 0)
		return -EBUSY;
	*armed = true;
	return 0;
}

/* An interrupt may come long after what it tells of was polled: armed or not, read it. */
static void
disarm_bq(struct plx_blkq *bq, bool *armed)
{
	int fd = plx_blkq_intr_fd(bq);
	uint64_t n;

	if (*armed)
		plx_blkq_intr_disarm(bq);
	*armed = false;
	if (fd >= 0 && read(fd, &n, sizeof(n)) < 0)
		return; /* nothing there */
}

static int
arm(void *queue)
{
	struct tb_queue *q = queue;
	int us = quiet_us(q);

	if (us < 0 || q->owner != NULL)
		return us;
	return arm_bq(q->bq, &q->armed) == 0 ? us : -EBUSY;
}

static void
disarm(void *queue)
{
	struct tb_queue *q = queue;

	disarm_bq(q->bq, &q->armed);
}

/* Of the queue that is copied to: a descriptor more, for a poller that does nothing else. */
static int
arm_to(void *queue)
{
	struct tb_queue *q = queue;

	return arm_bq(q->bq_to, &q->armed_to);
}

static void
disarm_to(void *queue)
{
	struct tb_queue *q = queue;

	disarm_bq(q->bq_to, &q->armed_to);
}

static int
nothing(void *queue)
{
	(void)queue;
	return 0;
}

static int
set_idle(struct plx_poller *p, const struct plx_blkq *bq, int (*arm_fn)(void *),
	void (*disarm_fn)(void *))
{
	int fd = plx_blkq_intr_fd(bq);

	return p == NULL ? -ENOMEM
			 : plx_poller_idle_set(p, &(struct plx_poller_idle){.fd = fd < 0 ? -1 : fd,
							  .arm = arm_fn,
							  .disarm = disarm_fn});
}

int
tb_sleep_open(struct tb_queue *q)
{
	struct plx_reactor *r = q->worker->reactor;
	int rc;

	if (plx_reactor_idle(r) == PLX_IDLE_BUSY)
		return TB_OK;
	/* a user of another lcore's queue is woken by its owner, who may end it before the poller
	 * is gone */
	rc = set_idle(q->poller, q->bq, arm, q->owner == NULL ? disarm : NULL);
	if (rc == 0 && q->bq_to != NULL) {
		q->poller_to = plx_poller_add(r, "copy to", nothing, q, 0);
		rc = set_idle(q->poller_to, q->bq_to, arm_to, disarm_to);
	}
	if (rc == 0)
		return TB_OK;
	tb_say("%s: a queue can't let its lcore sleep: %s", q->task->dev->info.name, strerror(-rc));
	return TB_FAIL;
}

void
tb_sleep_close(struct tb_queue *q)
{
	plx_poller_del(q->poller);
	plx_poller_del(q->poller_to);
	q->poller = q->poller_to = NULL;
}
