/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Queues of another lcore: a job's lcore submits to and polls a user's queue of plx_blkr.h, whose
 * owner, the next lcore, works the device's queue. Made while no reactor runs; ended by a message
 * to the owner, which outlives its users.
 */
#include <string.h>

#include "plx_blkr.h"
#include "testblk.h"

#define COLLECT_TURNS 10000

int
tb_hop_open(struct tb_queue *q)
{
	int rc = plx_blkr_share_create(q->owner->reactor, q->bq, &q->share);

	if (rc == 0)
		rc = plx_blkr_share_open(q->share, q->worker->reactor, q->qd, &q->bq);
	if (rc == 0) {
		q->owner->active++;
		return TB_OK;
	}
	tb_say("%s: a queue can't be shared: %s", q->task->dev->info.name, strerror(-rc));
	plx_blkr_share_destroy(q->share);
	q->share = NULL;
	return TB_FAIL;
}

/* @return whether nothing of it is left */
static bool
close_share(struct tb_queue *q)
{
	if (plx_blkr_share_close(q->bq) != 0 || plx_blkr_share_destroy(q->share) != 0)
		return false;
	q->share = NULL;
	return true;
}

/* On the owner. What the device never gave back keeps the share: tb_hop_collect() ends it. */
static void
end(void *arg)
{
	struct tb_queue *q = arg;

	close_share(q);
	tb_queue_done(q, q->owner);
}

bool
tb_hop_end(struct tb_queue *q)
{
	return plx_reactor_send(q->owner->reactor, end, q) == 0;
}

void
tb_hop_collect(struct tb_queue *q)
{
	for (int i = 0; i < COLLECT_TURNS && q->sum->c.returned != q->sum->c.submitted; i++) {
		plx_reactor_step(q->owner->reactor);
		tb_queue_collect(q);
	}
	close_share(q);
}
