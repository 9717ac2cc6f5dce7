/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Zones filled by appends: one after the other, each reset when nothing is in flight on it any
 * more, then appended to until its capacity is used.
 */
#include <errno.h>
#include <string.h>

#include <rte_cycles.h>

#include "plx_ctrl.h"
#include "plx_mem.h"

#include "testblk.h"

static struct tb_zone *
zone_of(const struct tb_queue *q, uint64_t lba)
{
	struct tb_zone *z = q->load->zones;

	return z + (lba - z->lba) / q->task->dev->info.zone_nblk;
}

/* To the next zone. @return false: it was the last */
static bool
advance(struct tb_queue *q)
{
	struct tb_load *l = q->load;

	l->zone_ready = false;
	l->zone_used = 0;
	l->zone = l->zone + 1 == l->nzones ? 0 : l->zone + 1;
	if (!l->once || l->zone != 0)
		return true;
	q->left = 0;
	return false;
}

/* @return false while the zone is being reset, or has appends in flight from the round before */
static bool
reset_zone(struct tb_queue *q, struct plx_blk_req *req)
{
	struct tb_load *l = q->load;
	const struct tb_zone *z = &l->zones[l->zone];

	if (l->resetting || z->inflight != 0)
		return false;
	l->resetting = true;
	req->op = PLX_OP_ZONE_RESET;
	req->lba = z->lba;
	req->nblk = 0;
	return true;
}

bool
tb_append_next(struct tb_queue *q, struct plx_blk_req *req)
{
	struct tb_load *l = q->load;
	struct tb_zone *z = &l->zones[l->zone];
	uint32_t n;

	if (l->zone_ready && l->zone_used == z->capacity && !advance(q))
		return false;
	if (!l->zone_ready)
		return reset_zone(q, req);
	z = &l->zones[l->zone];
	n = tb_sizes_pick(&l->sizes[TB_DIR_WRITE], (uint32_t)tb_random(&q->walk.rng)) * q->nblk;
	n = (uint32_t)RTE_MIN(n, z->capacity - l->zone_used);
	req->op = PLX_OP_ZONE_APPEND;
	req->lba = z->lba;
	req->nblk = n;
	z->inflight++;
	l->zone_used += n;
	tb_load_took(q, n);
	return true;
}

bool
tb_append_back(struct tb_queue *q, struct plx_blk_req *req)
{
	struct tb_load *l = q->load;

	if (req->op == PLX_OP_ZONE_RESET) {
		l->resetting = false;
		l->zone_ready = req->status == 0;
		q->halt |= req->status != 0; /* there is nowhere to append to */
		return false;
	}
	zone_of(q, req->lba)->inflight--;
	return false;
}

bool
tb_append_misplaced(const struct tb_queue *q, const struct plx_blk_req *req)
{
	const struct tb_zone *z;

	if (req->op != PLX_OP_ZONE_APPEND || req->status != 0)
		return false;
	z = zone_of(q, req->lba);
	return req->result < z->lba || req->result > z->lba + z->capacity - req->nblk;
}

/* ---- what the device says of its zones ---- */

#define REPORT_ZONES 63 /* what a report of 4 KiB holds */
#define REPORT_SECONDS 10

/* One request on a queue that nobody polls yet. @return its status */
static int
ask(struct plx_blkq *bq, struct plx_blk_req *req, double hz)
{
	uint64_t until = rte_rdtsc() + (uint64_t)(REPORT_SECONDS * hz);
	struct plx_blk_req *back;

	while (plx_blkq_submit(bq, &req, 1) == 0 && rte_rdtsc() < until)
		plx_ctrl_poll();
	while (plx_blkq_poll(bq, &back, 1) == 0) {
		if (rte_rdtsc() >= until)
			return -ETIMEDOUT;
		plx_ctrl_poll();
	}
	return req->status;
}

static void
note_zone(struct tb_task *t, const struct plx_zone *zone)
{
	for (uint16_t i = 0; i < t->nq; i++) {
		struct tb_load *l = t->queues[i].load;
		uint64_t from = l->zones[0].lba, each = t->dev->info.zone_nblk;

		if (zone->lba < from || (zone->lba - from) / each >= l->nzones)
			continue;
		if (zone->capacity != 0 && zone->capacity <= each)
			l->zones[(zone->lba - from) / each].capacity = zone->capacity;
	}
}

int
tb_zones_fetch(struct tb_task *t)
{
	const struct plx_blk_info *info = &t->dev->info;
	struct plx_zone_report *report;
	uint64_t lba = t->first;
	int rc = 0;

	if (t->job->opts.mode != TB_MODE_APPEND)
		return TB_OK;
	report = plx_mem_alloc(4096, 4096, -1);
	if (report == NULL)
		return TB_FAIL; /* logged */
	while (rc == 0 && lba < t->first + t->nblocks) {
		struct plx_blk_req req = {.op = PLX_OP_ZONE_REPORT,
			.lba = lba,
			.nblk = 4096 / info->block_size,
			.buf = report};

		rc = ask(plx_blk_queue_get(t->dev->blk, t->first_qid), &req, t->job->run->hz);
		if (rc == 0 && (req.result == 0 || req.result > REPORT_ZONES))
			rc = -EBADMSG;
		for (uint64_t i = 0; rc == 0 && i < req.result; i++)
			note_zone(t, &report->zones[i]);
		lba += rc == 0 ? req.result * info->zone_nblk : 0;
	}
	if (rc == -ETIMEDOUT) /* the device may still write there */
		report = NULL;
	plx_mem_free(report);
	if (rc == 0)
		return TB_OK;
	tb_say("%s: can't report its zones: %s", info->name, strerror(-rc));
	return TB_FAIL;
}
