/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Faults for a zoned device: the queues of a good one are wrapped, and what it does or says is
 * made wrong on the way. Zone operations, appends and copies come by issue(), after which a ram
 * device has done them; statuses are looked at in poll().
 */
#include <errno.h>
#include <string.h>

#include "plx_blk_drv.h"

#include "conf.h"

enum zfault {
	NONE,
	REPORT_LBA,
	REPORT_COUNT,
	REPORT_TOTAL,
	REPORT_WP,
	REPORT_STATE,
	APPEND_UP,
	APPEND_SAME,
	APPEND_TWICE,
	APPEND_DATA,
	APPEND_LOST,
	RESET_NOTHING,
	RESET_ONE,
	CLOSE_NOTHING,
	FINISH_NOTHING,
	OPEN_ANYWAY,
	WRITE_ANYWHERE,
	WRITE_FULL,
	WRITE_STATUS,
	COPY_LESS,
};

const struct conf_fault conf_zfaults[] = {
	[NONE] = {"none", NULL},
	[REPORT_LBA] = {"report_lba", "zone-report"},
	[REPORT_COUNT] = {"report_count", "zone-report"},
	[REPORT_TOTAL] = {"report_total", "zone-report zone-states"},
	[REPORT_WP] = {"report_wp", "zone-states"},
	[REPORT_STATE] = {"report_state", "zone-states"},
	[APPEND_UP] = {"append_up", "zone-append"},
	[APPEND_SAME] = {"append_same", "zone-append"},
	[APPEND_TWICE] = {"append_twice", "zone-append zone-states"},
	[APPEND_DATA] = {"append_data", "zone-append"},
	[APPEND_LOST] = {"append_lost", "zone-states zone-append"},
	[RESET_NOTHING] = {"reset_nothing", "zone-states"},
	[RESET_ONE] = {"reset_one", "zone-states zone-limits zone-writes"},
	[CLOSE_NOTHING] = {"close_nothing", "zone-states"},
	[FINISH_NOTHING] = {"finish_nothing", "zone-states"},
	[OPEN_ANYWAY] = {"open_anyway", "zone-states zone-limits"},
	[WRITE_ANYWHERE] = {"write_anywhere", "zone-states"},
	[WRITE_FULL] = {"write_full", "zone-states"},
	[WRITE_STATUS] = {"write_status", "zone-states"},
	[COPY_LESS] = {"copy_less", "zone-copy"},
	{NULL, NULL},
};

/* One device, whose queues are all alike. */
static enum zfault fault;
static const struct plx_blk_ops *good;
static struct plx_blk_ops ops;
static int (*good_issue)(struct plx_drvq *dq, struct plx_blk_req *req);
static plx_blkq_poll_t good_poll;
static unsigned int count;

static void
spoil_report(struct plx_blk_req *req)
{
	struct plx_zone_report *r = req->buf;

	switch (fault) {
	case REPORT_LBA:
		if (req->result > 1)
			r->zones[1].lba++;
		break;
	case REPORT_COUNT:
		req->result = r->nr_zones + 1;
		break;
	case REPORT_TOTAL:
		r->nr_zones = req->result;
		break;
	case REPORT_WP:
		r->zones[0].wp += r->zones[0].state == PLX_ZONE_CLOSED;
		break;
	case REPORT_STATE:
		if (r->zones[0].state == PLX_ZONE_EXP_OPEN)
			r->zones[0].state = PLX_ZONE_IMP_OPEN;
		break;
	default:
		break;
	}
}

static int
append(struct plx_drvq *dq, struct plx_blk_req *req)
{
	static uint64_t before;
	int rc;

	if (fault == APPEND_DATA && count % 5 == 4 && req->nseg == 0)
		memset(req->buf, 0, 8);
	if (fault == APPEND_LOST && count % 5 == 4) {
		req->result = req->lba;
		plx_drvq_finish(dq, req, 0);
		return 0;
	}
	rc = good_issue(dq, req);
	if (rc != 0)
		return rc;
	if (fault == APPEND_UP)
		req->result++;
	if (fault == APPEND_SAME && count % 5 == 4)
		req->result = before;
	before = req->result;
	return 0;
}

/* What is done instead of a zone operation. @return false: nothing, well */
static bool
other(struct plx_blk_req *req)
{
	switch (req->op) {
	case PLX_OP_ZONE_RESET:
		if (fault == RESET_ONE)
			req->flags &= (uint8_t)~PLX_IO_ALL_ZONES;
		return fault != RESET_NOTHING;
	case PLX_OP_ZONE_CLOSE:
		return fault != CLOSE_NOTHING;
	case PLX_OP_ZONE_FINISH:
		return fault != FINISH_NOTHING;
	default:
		return true;
	}
}

static int
issue(struct plx_drvq *dq, struct plx_blk_req *req)
{
	uint8_t flags = req->flags;
	int rc;

	count++;
	if (req->op == PLX_OP_ZONE_APPEND)
		return append(dq, req);
	if (req->op == PLX_OP_COPY && fault == COPY_LESS && req->nseg > 1) {
		uint32_t n = req->ranges[--req->nseg].nblk;

		req->nblk -= n;
		rc = good_issue(dq, req);
		req->nblk += n;
		req->nseg++;
		return rc;
	}
	if (!other(req)) {
		plx_drvq_finish(dq, req, 0);
		return 0;
	}
	rc = good_issue(dq, req);
	req->flags = flags;
	if (rc == 0 && req->op == PLX_OP_ZONE_REPORT)
		spoil_report(req);
	return rc;
}

static bool
hides(const struct plx_blk_req *req)
{
	switch (fault) {
	case OPEN_ANYWAY:
		return req->op == PLX_OP_ZONE_OPEN && req->status != -ENOSPC;
	case WRITE_ANYWHERE:
		return req->status == -ESPIPE;
	case WRITE_FULL:
		return req->status == -ENOSPC;
	default:
		return false;
	}
}

static uint16_t
poll_queue(struct plx_blkq *q, struct plx_blk_req **reqs, uint16_t n)
{
	uint16_t i;

	n = good_poll(q, reqs, n);
	for (i = 0; i < n; i++) {
		if (hides(reqs[i]))
			reqs[i]->status = 0;
		if (fault == WRITE_STATUS && reqs[i]->status == -ESPIPE)
			reqs[i]->status = -EIO;
		if (fault == APPEND_TWICE && reqs[i]->op == PLX_OP_ZONE_APPEND &&
			reqs[i]->result % 7 == 5)
			reqs[i]->result -= reqs[i]->nblk;
	}
	return n;
}

static int
queue_setup(
	struct plx_blk *blk, uint16_t qid, const struct plx_blkq_conf *conf, struct plx_drvq **dq)
{
	int rc = good->queue_setup(blk, qid, conf, dq);

	if (rc != 0)
		return rc;
	good_issue = (*dq)->issue;
	good_poll = (*dq)->poll;
	(*dq)->issue = issue;
	(*dq)->poll = poll_queue;
	return 0;
}

void
conf_zfault_plant(struct plx_blk *blk, const struct conf_fault *what)
{
	fault = (enum zfault)(what - conf_zfaults);
	count = 0;
	good = blk->ops;
	ops = *good;
	ops.queue_setup = queue_setup;
	blk->ops = &ops;
}
