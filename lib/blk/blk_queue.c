/* SPDX-License-Identifier: BSD-3-Clause */
/* A driver's queue, the class's part: init, the done list, and requests that are not plain. */
#include <errno.h>
#include <sys/eventfd.h>

#include <rte_byteorder.h>

#include "blk_priv.h"

bool
plx_req_data_ok(const struct plx_blk_req *req, size_t len)
{
	size_t left = len;
	uint16_t i;

	if (req->nseg == 0)
		return req->buf != NULL || len == 0;
	if (req->segs == NULL)
		return false;
	for (i = 0; i < req->nseg; i++) {
		const struct plx_seg *seg = &req->segs[i];

		if (seg->len > left || (seg->addr == NULL && seg->len != 0))
			return false;
		left -= seg->len;
	}
	return left == 0;
}

static bool
writes(uint8_t op)
{
	return op == PLX_OP_WRITE || op == PLX_OP_WRITE_ZEROES || op == PLX_OP_DISCARD ||
	       op == PLX_OP_ZONE_APPEND || op == PLX_OP_COPY || op == PLX_OP_SECURE_ERASE ||
	       blk_zone_mgmt(op);
}

uint32_t
blk_cmd_max(const struct plx_blk_info *info, uint8_t op)
{
	switch (op) {
	case PLX_OP_READ:
	case PLX_OP_WRITE:
		return info->max_nblk;
	case PLX_OP_COMPARE:
		return info->caps & PLX_BLK_CAP_COMPARE ? info->max_nblk : 0;
	case PLX_OP_VERIFY:
		return info->caps & PLX_BLK_CAP_VERIFY ? info->max_nblk : 0;
	case PLX_OP_WRITE_ZEROES:
		return info->caps & PLX_BLK_CAP_WRITE_ZEROES ? info->max_zeroes_nblk : 0;
	case PLX_OP_DISCARD:
		return info->caps & PLX_BLK_CAP_DISCARD ? info->max_discard_nblk : 0;
	case PLX_OP_SECURE_ERASE:
		return info->caps & PLX_BLK_CAP_SECURE_ERASE ? info->max_secure_erase_nblk : 0;
	case PLX_OP_COPY:
		return info->caps & PLX_BLK_CAP_COPY ? info->max_copy_nblk : 0;
	case PLX_OP_ZONE_APPEND:
		return info->zone_nblk != 0 ? info->max_append_nblk : 0;
	case PLX_OP_ZONE_REPORT:
		return info->zone_nblk != 0 ? info->max_nblk : 0;
	default:
		return 0;
	}
}

static void
set_plain_limits(struct plx_drvq *dq)
{
	const struct plx_blk *blk = dq->q.blk;
	uint64_t zone = blk->info.zone_nblk;
	uint8_t op;

	for (op = 0; op < PLX_OP_MAX; op++) {
		uint64_t max = RTE_MIN(blk_cmd_max(&blk->info, op), dq->nblocks);

		if (writes(op) && !(blk->open_flags & PLX_BLK_O_WRITE))
			max = 0;
		/* plx_drvq_plain() knows no zones and no ranges of a copy */
		if (op == PLX_OP_ZONE_APPEND || op == PLX_OP_ZONE_REPORT || op == PLX_OP_COPY)
			max = 0;
		/* Nor boundaries: one block crosses none, longer requests are looked at by the
		 * slow path, which issues them as they are if they fit. A write across zones is
		 * the device's to refuse. */
		if (blk->info.boundary_nblk != 0 &&
			!(op == PLX_OP_WRITE && blk->info.boundary_nblk == zone))
			max = RTE_MIN(max, 1u);
		dq->max_nblk[op] = (uint32_t)max;
	}
}

void
blk_queue_resize(struct plx_drvq *dq, uint64_t nblocks)
{
	bool mine = dq->taken;

	if (!mine && plx_drvq_takeover(dq, 0) != 0)
		return;
	rte_spinlock_lock(&dq->lock);
	dq->nblocks = nblocks;
	set_plain_limits(dq);
	rte_spinlock_unlock(&dq->lock);
	if (!mine)
		plx_drvq_giveback(dq);
}

int
plx_drvq_init(struct plx_drvq *dq, struct plx_blk *blk, uint16_t qid,
	const struct plx_blkq_conf *conf, size_t bounce_unit)
{
	dq->q = (struct plx_blkq){.qid = qid, .depth = conf->depth, .blk = blk, .lib = dq};
	dq->block_size = blk->info.block_size;
	dq->nblocks = blk->info.nblocks;
	set_plain_limits(dq);
	dq->split_active = 0;
	dq->latency = NULL;
	dq->done = NULL;
	dq->done_tail = &dq->done;
	rte_spinlock_init(&dq->lock);
	dq->st = (struct plx_blk_stats){0};
	dq->cancel = NULL;
	dq->intr_arm = NULL;
	dq->intr_fd = -1;
	/* born taken over: start opens it */
	dq->taken = true;
	dq->refuse = -ESHUTDOWN;
	blk_close_path(dq);
	return blk_split_init(dq, bounce_unit, conf->socket);
}

void
plx_drvq_fini(struct plx_drvq *dq)
{
	blk_latency_free(dq);
	blk_split_fini(dq);
}

uint16_t
plx_drvq_pop(struct plx_drvq *dq, struct plx_blk_req **reqs, uint16_t n)
{
	struct plx_blk_req *req = dq->done;
	uint16_t i, errors = 0;

	for (i = 0; i < n && req != NULL; i++) {
		reqs[i] = req;
		plx_trace_complete(dq, req);
		errors = (uint16_t)(errors + (req->status != 0));
		req = (struct plx_blk_req *)(uintptr_t)req->drv[1];
	}
	dq->done = req;
	if (req == NULL)
		dq->done_tail = &dq->done;
	if (errors != 0)
		plx_stat_add(&dq->st.errors, errors);
	return i;
}

static void
done_add(struct plx_drvq *dq, struct plx_blk_req *req)
{
	/* taken changes only while the owner is outside, so the owner's test is right */
	if (dq->taken) {
		rte_spinlock_lock(&dq->lock);
		blk_done_push(dq, req);
		rte_spinlock_unlock(&dq->lock);
		if (dq->intr_fd >= 0) /* the owner may sleep */
			eventfd_write(dq->intr_fd, 1);
	} else {
		blk_done_push(dq, req);
	}
}

void
plx_drvq_finish(struct plx_drvq *dq, struct plx_blk_req *req, int status)
{
	req->status = status;
	req = plx_drvq_resolve(dq, req);
	if (req != NULL)
		done_add(dq, req);
}

/* Opened read-only, NVMe commands pass that only read (NVM Command Set 1.0, 3): data from the
 * controller, flush, compare, verify. */
static int
check_nvme(const struct plx_drvq *dq, const struct plx_blk_req *req)
{
	const struct plx_blk *blk = dq->q.blk;
	const struct plx_nvme_cmd *cmd;
	uint8_t opc;

	if (!(blk->info.caps & PLX_BLK_CAP_NVME))
		return -EOPNOTSUPP;
	if (req->ext == NULL || req->ext->nvme == NULL)
		return -EINVAL;
	cmd = req->ext->nvme;
	if (cmd->data_len != 0 && !plx_req_data_ok(req, cmd->data_len))
		return -EINVAL;
	opc = (uint8_t)(rte_le_to_cpu_32(cmd->cdw[0]) & 0xff);
	if (!(blk->open_flags & PLX_BLK_O_WRITE) && (opc & 3) != 2 && opc != 0x00 && opc != 0x05 &&
		opc != 0x0c)
		return -EROFS;
	return 0;
}

/* Metadata goes with data; the device makes protection information for what is written, and
 * checks it with whatever reads the medium or writes it. */
static int
check_ext(const struct plx_blk_info *info, const struct plx_blk_req *req)
{
	const unsigned int act = PLX_PI_ACT, all = act | PLX_PI_GUARD | PLX_PI_APP | PLX_PI_REF;
	const struct plx_blk_ext *ext = req->ext;
	bool data = plx_op_has_data(req->op), verify = req->op == PLX_OP_VERIFY;

	if (!blk_has_ext(req))
		return 0;
	if ((ext->meta != NULL && info->meta_size == 0) ||
		(ext->pi_flags != 0 && info->pi_type == 0))
		return -EOPNOTSUPP;
	if ((ext->meta != NULL && !data) || (ext->pi_flags & ~all) != 0)
		return -EINVAL;
	if (ext->pi_flags != 0 && !data && !verify && req->op != PLX_OP_WRITE_ZEROES)
		return -EINVAL;
	if ((ext->pi_flags & act) != 0 && (verify || req->op == PLX_OP_COMPARE))
		return -EINVAL;
	return 0;
}

static bool
flags_ok(const struct plx_blk_req *req)
{
	uint8_t ok = PLX_IO_FUA | PLX_IO_UNMAP;

	if (blk_zone_mgmt(req->op))
		ok |= PLX_IO_ALL_ZONES;
	return !(req->flags & ~ok);
}

static int
check(const struct plx_drvq *dq, const struct plx_blk_req *req)
{
	const struct plx_blk *blk = dq->q.blk;
	int rc;

	if (req->op >= PLX_OP_MAX || !flags_ok(req))
		return -EINVAL;
	if (req->op == PLX_OP_NVME)
		return check_nvme(dq, req);
	if (req->op == PLX_OP_FLUSH)
		return req->nblk == 0 ? 0 : -EINVAL;
	if (blk_zone_mgmt(req->op) || req->op == PLX_OP_ZONE_REPORT)
		return blk_check_zone(dq, req);
	if (req->nblk == 0)
		return -EINVAL;
	if (writes(req->op) && !(blk->open_flags & PLX_BLK_O_WRITE))
		return -EROFS;
	if (blk_cmd_max(&blk->info, req->op) == 0)
		return -EOPNOTSUPP;
	if (req->nblk > dq->nblocks || req->lba > dq->nblocks - req->nblk)
		return -ERANGE;
	if (plx_op_has_data(req->op) && !plx_req_data_ok(req, (size_t)req->nblk * dq->block_size))
		return -EINVAL;
	if (req->op == PLX_OP_COPY && (rc = blk_check_copy(dq, req)) != 0)
		return rc;
	if (blk->info.zone_nblk != 0 && (rc = blk_check_zone_write(dq, req)) != 0)
		return rc;
	return check_ext(&blk->info, req);
}

bool
blk_never_cut(const struct plx_blk_req *req)
{
	return req->op == PLX_OP_COMPARE || req->op == PLX_OP_NVME || req->op == PLX_OP_ZONE_APPEND;
}

bool
blk_one_command(const struct plx_drvq *dq, const struct plx_blk_req *req)
{
	const struct plx_blk_info *info = &dq->q.blk->info;
	uint32_t b = info->boundary_nblk;

	if (req->op == PLX_OP_FLUSH || req->op == PLX_OP_NVME || blk_zone_mgmt(req->op))
		return true;
	if (req->op == PLX_OP_COPY)
		return blk_copy_fits(info, req);
	if (req->op == PLX_OP_ZONE_APPEND || req->op == PLX_OP_ZONE_REPORT)
		b = 0; /* lba only says which zone */
	return req->nblk <= blk_cmd_max(info, req->op) && (b == 0 || req->lba % b + req->nblk <= b);
}

void
blk_count_slow(struct plx_drvq *dq, const struct plx_blk_req *req)
{
	if (req->op >= PLX_OP_MAX) {
		plx_stat_add(&dq->st.unknown, 1);
		return;
	}
	plx_stat_add(&dq->st.ops[req->op], 1);
	if (req->op != PLX_OP_NVME && req->op != PLX_OP_ZONE_REPORT && req->nblk <= dq->nblocks)
		plx_stat_add(&dq->st.blocks[req->op], req->nblk);
}

static int
run(struct plx_drvq *dq, struct plx_blk_req *req, int why)
{
	int rc;

	if (why == 0 && blk_one_command(dq, req)) {
		rc = dq->issue(dq, req);
		if (rc != -EXDEV)
			return rc;
	}
	return blk_split_start(dq, req);
}

int
plx_drvq_submit_slow(struct plx_drvq *dq, struct plx_blk_req *req, int why)
{
	bool nop = req->op == PLX_OP_FLUSH && !(dq->q.blk->info.caps & PLX_BLK_CAP_FLUSH);
	int rc = why == 0 || why == -EXDEV ? check(dq, req) : why;

	if (rc == 0 && !nop)
		rc = run(dq, req, why);
	if (rc == -EAGAIN)
		return rc;
	blk_count_slow(dq, req);
	plx_trace_submit(dq, req);
	if (rc != 0 || nop) { /* no part of another, whatever its flags say */
		req->status = rc;
		done_add(dq, req);
	}
	return 0;
}

int
plx_blkq_intr_fd(const struct plx_blkq *q)
{
	const struct plx_drvq *dq = q->lib;

	return dq->intr_fd >= 0 ? dq->intr_fd : -ENOTSUP;
}

static int
intr_set(struct plx_blkq *q, bool on)
{
	struct plx_drvq *dq = q->lib;

	return dq->intr_fd >= 0 ? dq->intr_arm(dq, on) : -ENOTSUP;
}

int
plx_blkq_intr_arm(struct plx_blkq *q)
{
	return intr_set(q, true);
}

int
plx_blkq_intr_disarm(struct plx_blkq *q)
{
	return intr_set(q, false);
}

/* The same two stores as in submit and poll keep a takeover out meanwhile. */
int
plx_blkq_cancel(struct plx_blkq *q, struct plx_blk_req *req)
{
	struct plx_drvq *dq = q->lib;
	int rc = -EAGAIN;

	__atomic_store_n(&q->busy, 1, __ATOMIC_RELAXED);
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	if (__atomic_load_n(&q->submit, __ATOMIC_ACQUIRE) == dq->submit)
		rc = dq->cancel != NULL ? dq->cancel(dq, req) : -ENOTSUP;
	__atomic_store_n(&q->busy, 0, __ATOMIC_RELEASE);
	return rc;
}
