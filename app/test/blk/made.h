/* SPDX-License-Identifier: BSD-3-Clause */
/* The frame of a block driver made for a test, which says what issuing and ending a command do. */
#ifndef TEST_BLK_MADE_H
#define TEST_BLK_MADE_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "plx_blk_drv.h"
#include "plx_ctrl.h"
#include "plx_test.h"

/* Given by the test. */
static int issue(struct plx_drvq *dq, struct plx_blk_req *req);
/* @return a command that ended, with its status; NULL: none */
static struct plx_blk_req *end_one(void);
static void made_queue(struct plx_drvq *dq);

#define MADE_BOUNCE 4096

static struct plx_blk made; /* the device, t0 */
static struct plx_blkq *q;  /* its queue */

static uint16_t
made_submit(struct plx_blkq *bq, struct plx_blk_req *const *reqs, uint16_t n)
{
	struct plx_drvq *dq = (struct plx_drvq *)bq;
	uint16_t i;

	for (i = 0; i < n; i++) {
		bool plain = plx_drvq_plain(dq, reqs[i]);
		int rc = plain ? issue(dq, reqs[i]) : 0;

		if (plain && rc == 0)
			plx_drvq_count_ops(dq, reqs[i]->op, 1, reqs[i]->nblk);
		else if (rc == -EAGAIN || plx_drvq_submit_slow(dq, reqs[i], rc) != 0)
			break;
	}
	return plx_drvq_count_submit(dq, i);
}

static uint16_t
made_poll(struct plx_blkq *bq, struct plx_blk_req **reqs, uint16_t n)
{
	struct plx_drvq *dq = (struct plx_drvq *)bq;
	uint16_t popped = plx_drvq_pop(dq, reqs, n), i = 0, errors = 0;
	struct plx_blk_req *req;

	while (popped + i < n && (req = end_one()) != NULL) {
		req = plx_drvq_resolve(dq, req);
		if (req == NULL)
			continue;
		errors = (uint16_t)(errors + (req->status != 0));
		reqs[popped + i++] = req;
	}
	if (dq->split_active != 0)
		plx_drvq_pump(dq);
	return plx_drvq_count_poll(dq, popped, i, errors);
}

static int
made_queue_setup(
	struct plx_blk *blk, uint16_t qid, const struct plx_blkq_conf *conf, struct plx_drvq **dq)
{
	*dq = aligned_alloc(64, sizeof(**dq));
	memset(*dq, 0, sizeof(**dq));
	(*dq)->submit = made_submit;
	(*dq)->poll = made_poll;
	(*dq)->issue = issue;
	made_queue(*dq);
	return plx_drvq_init(*dq, blk, qid, conf, MADE_BOUNCE);
}

static void
made_queue_release(struct plx_blk *blk, struct plx_drvq *dq)
{
	(void)blk;
	plx_drvq_fini(dq);
	free(dq);
}

/* Register the device and start its one queue. */
static void
made_start(const struct plx_blk_info *info, const struct plx_blk_ops *ops, unsigned int flags)
{
	struct plx_blk *blk;

	memset(&made, 0, sizeof(made));
	made.info = *info;
	snprintf(made.info.name, sizeof(made.info.name), "t0");
	made.info.max_queues = 1;
	made.info.max_depth = 64;
	made.info.numa_node = -1;
	made.ops = ops;
	plx_ctrl_lock();
	REQUIRE(plx_blk_register(&made) == 0);
	plx_ctrl_unlock();
	REQUIRE(plx_blk_open("t0", flags, &blk) == 0);
	REQUIRE(plx_blk_configure(blk, 1) == 0);
	REQUIRE(plx_blkq_setup(blk, 0, NULL) == 0);
	REQUIRE(plx_blk_start(blk) == 0);
	q = plx_blk_queue_get(blk, 0);
}

static void
made_close(void)
{
	CHECK_EQ(q->inflight, 0);
	CHECK_EQ(plx_blk_close(&made), 0);
	plx_ctrl_lock();
	plx_blk_unregister(&made);
	plx_ctrl_unlock();
}

#endif
