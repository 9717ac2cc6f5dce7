/* SPDX-License-Identifier: BSD-3-Clause */
/* The device under test: attach, start, stop, statistics. */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plx_ctrl.h"

#include "conf.h"

void
dev_idle(struct conf *c, unsigned int turn)
{
	if (turn % 64 == 63)
		plx_ctrl_poll();
	if (turn % 1024 == 1023)
		sched_yield();
}

void
dev_attach(struct conf *c)
{
	int rc = plx_attach(c->opts.str, &c->dev);

	if (rc != 0) {
		c->dev = NULL;
		fail(c, "'%s' can't be attached: %s", c->opts.str, strerror(-rc));
	}
	rc = plx_blk_open(plx_dev_name(c->dev), PLX_BLK_O_WRITE, &c->blk);
	EXPECT(c, rc == 0, "open: %s", strerror(-rc));
	plx_blk_info_get(c->blk, &c->info);
	if (c->opts.zfault != NULL)
		conf_zfault_plant(c->blk, c->opts.zfault);
}

void
dev_detach(struct conf *c)
{
	struct plx_dev *dev = c->dev;
	int rc = 0;

	c->dev = NULL;
	c->blk = NULL;
	c->nq = 0;
	if (dev != NULL)
		rc = plx_detach(dev);
	EXPECT(c, rc == 0, "detach: %s", strerror(-rc));
}

void
dev_start(struct conf *c, uint16_t nq, uint16_t depth)
{
	struct plx_blkq_conf conf = {.depth = depth, .socket = -1};
	uint16_t i;
	int rc;

	if (c->nq != 0)
		dev_stop(c);
	rc = plx_blk_configure(c->blk, nq);
	EXPECT(c, rc == 0, "configure %u queues: %s", nq, strerror(-rc));
	for (i = 0; i < nq; i++) {
		rc = plx_blkq_setup(c->blk, i, &conf);
		EXPECT(c, rc == 0, "set up queue %u of depth %u: %s", i, depth, strerror(-rc));
		c->q[i] = plx_blk_queue_get(c->blk, i);
		EXPECT(c, c->q[i] != NULL && c->q[i]->qid == i && c->q[i]->depth == depth,
			"queue %u isn't what was set up", i);
	}
	c->nq = nq;
	c->depth = depth;
	c->accepted = c->back = c->errors = 0;
	rc = plx_blk_start(c->blk);
	EXPECT(c, rc == 0, "start: %s", strerror(-rc));
}

void
dev_check_stats(struct conf *c)
{
	struct plx_blk_stats st, sum = {0};
	uint64_t ops = 0;
	uint16_t i;
	int op;

	for (i = 0; i < c->nq; i++) {
		EXPECT(c, plx_blk_stats_get(c->blk, i, &st) == 0, "no statistics");
		for (op = 0; op < PLX_OP_MAX; op++)
			ops += st.ops[op];
		ops += st.unknown;
		sum.completed += st.completed;
		sum.errors += st.errors;
		EXPECT(c, st.polls >= st.empty_polls, "more empty polls than polls");
		EXPECT(c, c->in_flight != 0 || c->q[i]->inflight == 0,
			"queue %u says %u in flight, there is none", i, c->q[i]->inflight);
	}
	EXPECT(c, ops == c->accepted, "%llu requests were accepted, counted are %llu",
		(unsigned long long)c->accepted, (unsigned long long)ops);
	EXPECT(c, sum.completed == c->back, "%llu requests came back, counted are %llu",
		(unsigned long long)c->back, (unsigned long long)sum.completed);
	EXPECT(c, sum.errors == c->errors, "%llu requests came back with errors, counted are %llu",
		(unsigned long long)c->errors, (unsigned long long)sum.errors);
}

/* It can be looked at while it runs, and says something then. */
static void
dev_dump(struct conf *c)
{
	static const char *const what[] = {"regs", "sq", "cq", "virtqueue", "nothing"};
	char *text;
	size_t len;

	for (unsigned int i = 0; i < RTE_DIM(what); i++)
		for (uint16_t qid = 0; qid <= c->nq; qid++) {
			uint16_t of = qid == c->nq ? UINT16_MAX : qid;
			FILE *out = open_memstream(&text, &len);
			int rc;

			EXPECT(c, out != NULL, "out of memory");
			rc = plx_blk_dump(c->blk, what[i], of, out);
			fclose(out);
			free(text);
			EXPECT(c, rc == -ENOTSUP || rc == -EINVAL || (rc == 0 && len > 0),
				"dump of %s: %d, %zu bytes", what[i], rc, len);
			EXPECT(c, i < 4 || rc == -ENOTSUP, "dump of nothing: %d", rc);
		}
}

void
dev_stop(struct conf *c)
{
	int rc;

	dev_dump(c);
	rc = plx_blk_stop(c->blk);
	EXPECT(c, rc == 0, "stop: %s", strerror(-rc));
}

/* After a failure: get rid of the device whatever it does. */
void
dev_abandon(struct conf *c)
{
	struct plx_blk_req *reqs[32];
	uint16_t qid;
	int turn;

	if (c->blk != NULL && c->nq != 0) {
		plx_blk_stop(c->blk);
		for (qid = 0; qid < c->nq; qid++)
			for (turn = 0; turn < 100; turn++)
				plx_blkq_poll(c->q[qid], reqs, 32);
	}
	if (c->dev != NULL)
		plx_detach(c->dev);
	c->dev = NULL;
	c->blk = NULL;
	c->nq = 0;
}
