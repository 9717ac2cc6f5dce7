/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The fast path: submit and poll of an I/O queue pair.
 *
 * Submit: a tracker from the private free list gives the command its id; one 64-byte entry is
 * stored; one doorbell a burst. Poll: the phase bit by load-acquire, the id checked against the
 * private trackers, the request handed out. Nothing that the device writes is trusted beyond
 * that check.
 *
 * The SQ can't overrun: its entries are one more than the trackers, and a tracker is free only
 * after its completion, by when its entry was fetched. The CQ can't either: it has room for all
 * trackers beyond what q->cq_lazy lets go without a doorbell.
 */
#include <errno.h>
#include <string.h>

#include <rte_byteorder.h>
#include <rte_io.h>
#include <rte_prefetch.h>

#include "nvme_priv.h"

static const uint8_t opcode_of[PLX_OP_MAX] = {
	[PLX_OP_READ] = nvme_cmd_read,
	[PLX_OP_WRITE] = nvme_cmd_write,
	[PLX_OP_FLUSH] = nvme_cmd_flush,
	[PLX_OP_WRITE_ZEROES] = nvme_cmd_write_zeroes,
	[PLX_OP_DISCARD] = nvme_cmd_dsm,
	[PLX_OP_COMPARE] = nvme_cmd_compare,
	[PLX_OP_VERIFY] = nvme_cmd_verify,
	[PLX_OP_ZONE_APPEND] = nvme_zns_cmd_append,
	[PLX_OP_ZONE_OPEN] = nvme_zns_cmd_mgmt_send,
	[PLX_OP_ZONE_CLOSE] = nvme_zns_cmd_mgmt_send,
	[PLX_OP_ZONE_FINISH] = nvme_zns_cmd_mgmt_send,
	[PLX_OP_ZONE_RESET] = nvme_zns_cmd_mgmt_send,
	[PLX_OP_ZONE_REPORT] = nvme_zns_cmd_mgmt_recv,
	[PLX_OP_COPY] = nvme_cmd_copy,
};

/* Dword 12: PLX_IO_UNMAP. */
#define CDW12_DEAC (1u << 25)

#define PHASE (1u << 16)
#define CID_IDX(cid) ((cid)&NVME_MAX_DEPTH)
#define CID_NEXT(cid) ((uint16_t)((cid) + NVME_MAX_DEPTH + 1))

static __rte_always_inline void
tracker_put(struct nvme_qpair *q, struct nvme_tracker *t)
{
	t->req = NULL;
	q->free[q->nfree++] = CID_NEXT(t->cid);
}

/* DSM takes its range from memory (NVM Command Set 1.0, 3.2.3): the tracker's own slot. */
static void
map_dsm(struct nvme_qpair *q, struct nvme_sqe *sqe, const struct plx_blk_req *req, uint32_t idx)
{
	struct nvme_dsm_range *r = (void *)(q->slots + (size_t)idx * NVME_SLOT_BYTES);

	*r = (struct nvme_dsm_range){
		.nlb = rte_cpu_to_le_32(req->nblk),
		.slba = rte_cpu_to_le_64(req->lba),
	};
	sqe->dptr[0] = rte_cpu_to_le_64(q->slots_iova + (uint64_t)idx * NVME_SLOT_BYTES);
	sqe->cdw11 = rte_cpu_to_le_32(NVME_DSMGMT_AD);
}

static int
map_passthrough(struct nvme_qpair *q, struct nvme_tracker *t, struct nvme_sqe *sqe,
	const struct plx_blk_req *req)
{
	const struct plx_nvme_cmd *cmd = req->ext != NULL ? req->ext->nvme : NULL;
	struct plx_seg one;
	int rc = 0;

	if (cmd == NULL)
		return -EINVAL;
	memcpy(sqe, cmd->cdw, sizeof(*sqe));
	sqe->flags &= 3; /* data pointers are ours */
	if (sqe->nsid == 0)
		sqe->nsid = rte_cpu_to_le_32((uint32_t)(q->opc_nsid >> 32));
	sqe->mptr = 0;
	sqe->dptr[0] = sqe->dptr[1] = 0;
	t->flags |= NVME_TRK_RESULT;
	if (cmd->data_len > q->c->max_xfer)
		return -EMSGSIZE;
	if (q->meta != NULL)
		rc = nvme_meta_pass(q, t, sqe, req);
	if (cmd->data_len == 0 || rc != 0)
		return rc;
	one = (struct plx_seg){.addr = req->buf, .len = cmd->data_len};
	rc = nvme_data_map(q, t, sqe, req->nseg != 0 ? req->segs : &one,
		req->nseg != 0 ? req->nseg : 1, cmd->data_len);
	if (rc != 0 && (t->flags & NVME_TRK_META))
		nvme_meta_put(q, t);
	return rc;
}

/* Every command but the plain one-segment read and write. */
static int
build(struct nvme_qpair *q, struct nvme_tracker *t, struct nvme_sqe *sqe,
	const struct plx_blk_req *req)
{
	uint32_t cdw12 = (req->nblk - 1) & 0xffff;

	if (req->op == PLX_OP_NVME)
		return map_passthrough(q, t, sqe, req);
	*sqe = (struct nvme_sqe){
		.opcode = opcode_of[req->op],
		.nsid = rte_cpu_to_le_32((uint32_t)(q->opc_nsid >> 32)),
	};
	if (req->op == PLX_OP_FLUSH)
		return 0;
	if (req->op == PLX_OP_COPY) {
		nvme_copy_build(q, t, sqe, req);
		return 0;
	}
	if (req->op >= PLX_OP_ZONE_APPEND)
		return nvme_zns_build(q, t, sqe, req);
	if (req->op == PLX_OP_DISCARD) {
		map_dsm(q, sqe, req, (uint32_t)(t - q->trk));
		return 0;
	}
	if (req->flags & PLX_IO_FUA)
		cdw12 |= NVME_CDW12_FUA;
	if (req->op == PLX_OP_WRITE_ZEROES && (req->flags & PLX_IO_UNMAP) && q->ns->deac)
		cdw12 |= CDW12_DEAC;
	sqe->cdw10 = rte_cpu_to_le_32((uint32_t)req->lba);
	sqe->cdw11 = rte_cpu_to_le_32((uint32_t)(req->lba >> 32));
	sqe->cdw12 = rte_cpu_to_le_32(cdw12);
	if (q->meta != NULL)
		return nvme_meta_build(q, t, sqe, req);
	return plx_op_has_data(req->op) ? nvme_data_req(q, t, sqe, req) : 0;
}

/* Two quadwords in one store. */
typedef uint64_t u64x2 __attribute__((vector_size(16), may_alias));

/* Into the controller's memory. */
static void
store(struct nvme_sqe *at, const struct nvme_sqe *sqe)
{
	volatile u64x2 *to = (volatile u64x2 *)at;
	const u64x2 *from = (const u64x2 *)sqe;
	unsigned int i;

	for (i = 0; i < sizeof(*sqe) / sizeof(*from); i++)
		to[i] = from[i];
}

/* (Re)write the command of an armed tracker at the tail. */
static int
place(struct nvme_qpair *q, struct nvme_tracker *t)
{
	struct nvme_sqe local, *at = &q->sq[q->sq_tail], *sqe = q->in_cmb ? &local : at;
	int rc = build(q, t, sqe, t->req);

	if (rc != 0)
		return rc;
	sqe->cid = rte_cpu_to_le_16(t->cid);
	if (sqe != at)
		store(at, sqe);
	q->sq_tail = q->sq_tail == q->sq_last ? 0 : (uint16_t)(q->sq_tail + 1);
	return 0;
}

int
nvme_qpair_issue(struct plx_drvq *dq, struct plx_blk_req *req)
{
	struct nvme_qpair *q = (struct nvme_qpair *)dq;
	struct nvme_tracker *t;
	uint16_t cid;
	int rc;

	if (q->nfree == 0)
		return -EAGAIN;
	cid = q->free[q->nfree - 1];
	t = &q->trk[CID_IDX(cid)];
	t->req = req;
	t->all = cid | (uint64_t)q->epoch << 16 | (uint64_t)(req->flags & PLX_IO_CHILD) << 32;
	rc = place(q, t);
	if (rc != 0)
		t->req = NULL;
	else
		q->nfree--;
	return rc;
}

/*
 * Tell the device the new tail. With shadow doorbells (NVMe Base 2.0, 5.8): the shadow store
 * must be visible before the event index is read, against the device's store of the index and
 * load of the shadow.
 */
void
nvme_qpair_ring(struct nvme_qpair *q)
{
	uint16_t old = q->sq_rung, new = q->sq_tail, event;

	if (old == new)
		return;
	q->sq_rung = new;
	plx_trace_doorbell(&q->dq);
	plx_stat_add(&q->dq.st.doorbells, 1);
	if (likely(q->ring == NVME_RING_MMIO)) {
		rte_write32(rte_cpu_to_le_32(new), q->sq_db);
		return;
	}
	if (q->ring == NVME_RING_SHADOW) {
		rte_io_wmb();
		*q->sq_shadow = rte_cpu_to_le_32(new);
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		event = (uint16_t)rte_le_to_cpu_32(*q->sq_event);
		if ((uint16_t)(new - event - 1) >= (uint16_t)(new - old))
			return;
	}
	if (q->sq_db != NULL) {
		rte_write32(rte_cpu_to_le_32(new), q->sq_db);
		return;
	}
	rte_io_wmb();
	plx_vfio_region_post(
		q->c->vfio, 0, NVME_DB_BASE + (uint64_t)(2 * q->qid) * q->c->db_stride, new);
}

static void
ring_cq(struct nvme_qpair *q)
{
	uint32_t head = q->cq_head, old = head >= q->cq_unrung ? head - q->cq_unrung
							       : head + q->cq_size - q->cq_unrung;
	uint16_t event;

	q->cq_unrung = 0;
	if (unlikely(!q->c->admin.ready))
		return; /* disabled: its doorbells don't exist */
	if (q->ring == NVME_RING_SHADOW) {
		*q->cq_shadow = rte_cpu_to_le_32(head);
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		event = (uint16_t)rte_le_to_cpu_32(*q->cq_event);
		if ((uint16_t)(head - event - 1u) >= (uint16_t)(head - old))
			return;
	}
	if (q->cq_db != NULL)
		rte_write32_relaxed(rte_cpu_to_le_32(head), q->cq_db);
	else
		plx_vfio_region_post(q->c->vfio, 0,
			NVME_DB_BASE + (uint64_t)(2 * q->qid + 1) * q->c->db_stride, head);
}

/* Any request but those that the loop below takes. @return 0; -EAGAIN no room */
static __rte_noinline int
submit_other(struct nvme_qpair *q, struct plx_blk_req *req)
{
	struct plx_drvq *dq = &q->dq;
	int rc = 0;

	if (plx_drvq_plain(dq, req)) {
		rc = nvme_qpair_issue(dq, req);
		if (rc == 0) {
			plx_trace_submit(dq, req);
			plx_drvq_count_ops(dq, req->op, 1, req->nblk);
		}
		if (rc == 0 || rc == -EAGAIN)
			return rc;
	}
	return plx_drvq_submit_slow(dq, req, rc);
}

/*
 * The loop: reads and writes of one segment in the arena that one or two PRPs cover. What it
 * keeps in locals goes back to the queue before anything else looks at it.
 */
uint16_t
nvme_qpair_submit(struct plx_blkq *bq, struct plx_blk_req *const *reqs, uint16_t n)
{
	struct nvme_qpair *const q = (struct nvme_qpair *)bq;
	const uint64_t page = q->page_size, nblocks = q->dq.nblocks, read = q->opc_nsid | 2;
	const uint64_t epoch = (uint64_t)q->epoch << 16, dma_va = q->dma.va, dma_len = q->dma.len;
	uint64_t plain = 0, blocks = 0, writes = 0, wblocks = 0;
	uint32_t tail = q->sq_tail, nfree = q->nfree;
	uint16_t i;

	for (i = 0; i < n; i++) {
		struct plx_blk_req *req = reqs[i];
		uint64_t off = (uintptr_t)req->buf - dma_va, nblk = req->nblk, iova, end, len, cid;
		uint32_t op, word;
		struct nvme_tracker *t;
		u64x2 *sqe;

		memcpy(&word, req, sizeof(word)); /* op, flags, nseg: only op 0 or 1 */
		op = word & 1;
		len = nblk << q->lba_shift;
		iova = q->dma.iova + off;
		end = (iova & (page - 1)) + len;
		if (unlikely((word & ~1u) != 0 || req->ext != NULL ||
			     nblk - 1 >= q->dq.max_nblk[op] || req->lba > nblocks - nblk ||
			     off >= dma_len || len > dma_len - off || (iova & 3) != 0 ||
			     end > 2 * page || nfree == 0)) {
			q->sq_tail = (uint16_t)tail;
			q->nfree = (uint16_t)nfree;
			if (submit_other(q, req) != 0)
				break;
			tail = q->sq_tail;
			nfree = q->nfree;
			continue;
		}
		cid = q->free[--nfree];
		t = &q->trk[CID_IDX(cid)];
		t->req = req;
		t->all = cid | epoch;
		sqe = (u64x2 *)&q->sq[tail];
		/* READ 0 is opcode 2, WRITE 1 is opcode 1 */
		sqe[0] = (u64x2){rte_cpu_to_le_64((read - op) | cid << 16), 0};
		sqe[1] = (u64x2){0, rte_cpu_to_le_64(iova)};
		sqe[2] = (u64x2){end > page ? rte_cpu_to_le_64((iova & ~(page - 1)) + page) : 0,
			rte_cpu_to_le_64(req->lba)};
		sqe[3] = (u64x2){rte_cpu_to_le_64(nblk - 1), 0};
		plx_trace_submit(&q->dq, req);
		tail = tail == q->sq_last ? 0 : tail + 1;
		plain++;
		blocks += nblk;
		writes += op;
		wblocks += nblk & -(uint64_t)op;
	}
	q->sq_tail = (uint16_t)tail;
	q->nfree = (uint16_t)nfree;
	nvme_qpair_ring(q);
	if (plain != writes)
		plx_drvq_count_ops(&q->dq, PLX_OP_READ, plain - writes, blocks - wblocks);
	if (writes != 0)
		plx_drvq_count_ops(&q->dq, PLX_OP_WRITE, writes, wblocks);
	return plx_drvq_count_submit(&q->dq, i);
}

/* The same for blocks with metadata: each command is built from its parts. */
uint16_t
nvme_qpair_submit_meta(struct plx_blkq *bq, struct plx_blk_req *const *reqs, uint16_t n)
{
	struct nvme_qpair *q = (struct nvme_qpair *)bq;
	uint16_t i;

	for (i = 0; i < n && submit_other(q, reqs[i]) == 0; i++)
		;
	nvme_qpair_ring(q);
	return plx_drvq_count_submit(&q->dq, i);
}

/* It came back because it was late and we asked for it. */
static bool
aborted(const struct nvme_tracker *t, uint16_t status)
{
	return (t->flags & NVME_TRK_LATE) != 0 && (status & 0x7ff) == NVME_SC_ABORT_REQ;
}

/* Send a command again that the device failed but allows to try again (DNR clear). */
static bool
retry(struct nvme_qpair *q, struct nvme_tracker *t, uint16_t status)
{
	if (t->req->op == PLX_OP_NVME || t->retries == NVME_RETRIES)
		return false;
	if (nvme_op_repeatable(t->req, q->dq.q.blk->info.zone_nblk != 0)
			? !nvme_status_retry(status) && !aborted(t, status)
			: !nvme_status_not_done(status))
		return false;
	if (t->flags & NVME_TRK_POOL)
		nvme_data_free(q, t);
	t->flags &= (uint16_t)~NVME_TRK_LATE;
	if (t->flags & NVME_TRK_META)
		nvme_meta_put(q, t);
	t->retries++;
	t->epoch = q->epoch;
	t->cid = CID_NEXT(t->cid);
	if (place(q, t) != 0)
		return false;
	plx_stat_add(&q->dq.st.retried, 1);
	return true;
}

/* A completion with a status, or of a command that needs more than handing out. */
static __rte_noinline struct plx_blk_req *
complete_slow(
	struct nvme_qpair *q, struct nvme_tracker *t, const struct nvme_cqe *cqe, uint16_t status)
{
	struct plx_blk_req *req = t->req;

	if (status != 0 && retry(q, t, status))
		return NULL;
	req->status = status != 0 ? nvme_status_errno(status) : 0;
	if (aborted(t, status))
		req->status = -ETIMEDOUT;
	req->raw = status;
	if (t->flags & NVME_TRK_RESULT)
		req->result = rte_le_to_cpu_64(cqe->result);
	if (t->flags & NVME_TRK_ZONE && status == 0)
		nvme_zns_done(q, req);
	if (t->flags & NVME_TRK_POOL)
		nvme_data_free(q, t);
	if (t->flags & NVME_TRK_META)
		nvme_meta_done(q, t, status == 0);
	tracker_put(q, t);
	return plx_drvq_resolve(&q->dq, req);
}

/*
 * The controller's clock moved on: are commands older than they may be? Before it comes to that,
 * a controller with shadow doorbells is rung once a tick: it may have gone to sleep on a tail
 * that it read too early, as emulated ones do that lack a barrier there.
 */
void __rte_noinline
nvme_qpair_tick(struct nvme_qpair *q)
{
	uint16_t i, limit = q->c->io_limit, now = __atomic_load_n(&q->c->epoch, __ATOMIC_RELAXED);
	uint16_t away = (uint16_t)(now - q->epoch - 1); /* ticks without a poll don't count */
	uint16_t age, oldest = 0;

	q->epoch = now;
	for (i = 0; i < q->depth; i++) {
		q->trk[i].epoch = (uint16_t)(q->trk[i].epoch + away);
		age = (uint16_t)(now - q->trk[i].epoch);
		if (q->trk[i].req != NULL && (q->trk[i].flags & NVME_TRK_LATE) == 0)
			oldest = age > oldest ? age : oldest;
	}
	if (limit != 0 && oldest > limit)
		__atomic_store_n(&q->stuck, true, __ATOMIC_RELAXED);
	if (q->ring == NVME_RING_SHADOW && oldest > 1 && q->sq_db != NULL)
		rte_write32(rte_cpu_to_le_32(q->sq_tail), q->sq_db);
}

/*
 * Reap up to n completions, for the owner's poll or for control code that has taken the queue over.
 * @return how many requests were stored, statuses set
 */
static __rte_always_inline uint16_t
reap(struct nvme_qpair *q, struct plx_blk_req **reqs, uint16_t n, uint16_t *errors,
	const bool owner)
{
	struct plx_blk_req **out = reqs, **const end = reqs + n;
	const struct nvme_cqe *const cq = q->cq, *const last = cq + q->cq_size,
				     *cqe = cq + q->cq_head;
	struct nvme_tracker *const trk = q->trk;
	const uint32_t depth = q->depth;
	uint32_t phase = q->phase, left = q->cq_size;

	/* a device that posts without end is left for the next poll */
	while (out != end && left != 0) {
		/* pairs with the device's posting of the entry, phase last (3.3.3.2) */
		uint32_t v = rte_le_to_cpu_32(__atomic_load_n(&cqe->cid_status, __ATOMIC_ACQUIRE));
		const struct nvme_cqe *this = cqe;
		struct nvme_tracker *t = &trk[CID_IDX(v)];
		struct plx_blk_req *req;

		if ((v & PHASE) != phase)
			break;
		left--;
		if (unlikely(++cqe == last)) {
			cqe = cq;
			phase ^= PHASE;
		}
		if (unlikely(CID_IDX(v) >= depth || (req = t->req) == NULL ||
			     t->cid != (uint16_t)v)) {
			plx_stat_add(&q->dq.st.bad_device, 1);
			continue;
		}
		if (unlikely((v >> 17 | t->all >> 32) != 0)) {
			req = complete_slow(q, t, this, (uint16_t)(v >> 17));
			if (req == NULL)
				continue;
			*errors = (uint16_t)(*errors + (req->status != 0));
		} else {
			tracker_put(q, t);
			req->status = 0;
			req->raw = 0;
		}
		if (owner)
			plx_trace_complete(&q->dq, req);
		*out++ = req;
	}
	q->cq_unrung = (uint16_t)(q->cq_unrung + q->cq_size - left);
	q->cq_head = (uint16_t)(cqe - cq);
	q->phase = phase;
	if (q->cq_unrung >= __atomic_load_n(&q->cq_lazy, __ATOMIC_RELAXED))
		ring_cq(q);
	return (uint16_t)(out - reqs);
}

uint16_t
nvme_qpair_reap(struct nvme_qpair *q, struct plx_blk_req **reqs, uint16_t n)
{
	uint16_t errors = 0;

	return reap(q, reqs, n, &errors, false);
}

uint16_t
nvme_qpair_poll(struct plx_blkq *bq, struct plx_blk_req **reqs, uint16_t n)
{
	struct nvme_qpair *q = (struct nvme_qpair *)bq;
	uint16_t popped = 0, done, errors = 0;

	if (unlikely(q->dq.done != NULL))
		popped = plx_drvq_pop(&q->dq, reqs, n);
	done = reap(q, reqs + popped, (uint16_t)(n - popped), &errors, true);
	if (unlikely(q->dq.split_active != 0))
		plx_drvq_pump(&q->dq);
	if (unlikely(q->sq_tail != q->sq_rung))
		nvme_qpair_ring(q);
	if (unlikely(q->epoch != __atomic_load_n(&q->c->epoch, __ATOMIC_RELAXED)))
		nvme_qpair_tick(q);
	return plx_drvq_count_poll(&q->dq, popped, done, errors);
}
