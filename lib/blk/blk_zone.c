/* SPDX-License-Identifier: BSD-3-Clause */
/* Zone operations and copies: what makes one a good request. */
#include <errno.h>

#include "blk_priv.h"

/* ---- zones ---- */

bool
blk_zone_mgmt(uint8_t op)
{
	return op >= PLX_OP_ZONE_OPEN && op <= PLX_OP_ZONE_RESET;
}

bool
blk_in_sequence(const struct plx_drvq *dq, uint8_t op)
{
	return dq->q.blk->info.zone_nblk != 0 &&
	       (op == PLX_OP_WRITE || op == PLX_OP_WRITE_ZEROES || op == PLX_OP_COPY);
}

static int
check_report(const struct plx_drvq *dq, const struct plx_blk_req *req)
{
	if (req->nblk == 0 || req->nseg != 0 || req->buf == NULL || (uintptr_t)req->buf % 8 != 0)
		return -EINVAL;
	return req->lba < dq->nblocks ? 0 : -ERANGE;
}

/* Open, close, finish, reset, and report. */
int
blk_check_zone(const struct plx_drvq *dq, const struct plx_blk_req *req)
{
	const struct plx_blk *blk = dq->q.blk;
	bool report = req->op == PLX_OP_ZONE_REPORT;

	if (!report && !(blk->open_flags & PLX_BLK_O_WRITE))
		return -EROFS;
	if (blk->info.zone_nblk == 0)
		return -EOPNOTSUPP;
	if (report)
		return check_report(dq, req);
	if (req->nblk != 0 || ((req->flags & PLX_IO_ALL_ZONES) && req->lba != 0))
		return -EINVAL;
	if (req->lba >= dq->nblocks)
		return -ERANGE;
	return req->lba % blk->info.zone_nblk == 0 ? 0 : -EINVAL;
}

int
blk_check_zone_write(const struct plx_drvq *dq, const struct plx_blk_req *req)
{
	uint64_t zone = dq->q.blk->info.zone_nblk, at = req->lba % zone;

	if (req->op == PLX_OP_ZONE_APPEND)
		return at == 0 ? 0 : -EINVAL;
	return blk_in_sequence(dq, req->op) && req->nblk > zone - at ? -ERANGE : 0;
}

/* ---- copy ---- */

int
blk_check_copy(const struct plx_drvq *dq, const struct plx_blk_req *req)
{
	uint32_t left = req->nblk;
	uint16_t i;

	if (req->nseg == 0 || req->ranges == NULL || req->ext != NULL)
		return -EINVAL;
	for (i = 0; i < req->nseg; i++) {
		const struct plx_copy_range *r = &req->ranges[i];

		if (r->nblk == 0 || r->nblk > left || r->rsvd != 0)
			return -EINVAL;
		if (r->nblk > dq->nblocks || r->lba > dq->nblocks - r->nblk)
			return -ERANGE;
		if (r->lba < req->lba + req->nblk && req->lba < r->lba + r->nblk)
			return -EINVAL;
		left -= r->nblk;
	}
	return left == 0 ? 0 : -EINVAL;
}

bool
blk_copy_fits(const struct plx_blk_info *info, const struct plx_blk_req *req)
{
	uint16_t i;

	if (req->nblk > info->max_copy_nblk || req->nseg > info->max_copy_ranges)
		return false;
	for (i = 0; i < req->nseg; i++)
		if (req->ranges[i].nblk > info->max_copy_range_nblk)
			return false;
	return true;
}
