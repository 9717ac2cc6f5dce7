/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The fast path: doorbell -> entries -> requests -> device queue -> completions, in one pass.
 * A read or write of a page takes no branch out of this file; all else is nvmet_cmd.c's.
 */
#include <rte_prefetch.h>

#include "nvmet_priv.h"

#define AHEAD 6 /* entries prefetched */

void
nvmet_sq_rang(struct plx_nvmet *c, struct nvmet_sq *sq)
{
	uint32_t tail = rte_le_to_cpu_32(__atomic_load_n(sq->db, __ATOMIC_ACQUIRE));

	if (tail == sq->seen)
		return;
	sq->seen = tail;
	if (likely(tail < sq->size))
		sq->tail = tail;
	else
		nvmet_bad_doorbell(c, sq->id, NVME_AER_ERROR_INVALID_DB_VAL);
}

static inline uint32_t
ring_dist(uint32_t from, uint32_t to, uint32_t size)
{
	return to >= from ? to - from : to + size - from;
}

static inline uint32_t
cq_free(const struct nvmet_cq *cq)
{
	return cq->size - 1 - ring_dist(cq->head, cq->tail, cq->size) - cq->inflight;
}

uint32_t
nvmet_cq_room(struct plx_nvmet *c, struct nvmet_cq *cq)
{
	uint32_t head = rte_le_to_cpu_32(__atomic_load_n(cq->db, __ATOMIC_ACQUIRE));

	if (head != cq->seen) {
		cq->seen = head;
		/* the head can't pass what was posted */
		if (head < cq->size && ring_dist(cq->head, head, cq->size) <=
					       ring_dist(cq->head, cq->tail, cq->size))
			cq->head = head;
		else
			nvmet_bad_doorbell(c, cq->id, NVME_AER_ERROR_INVALID_DB_VAL);
	}
	return cq_free(cq);
}

/* Read or write of one page, or of two that follow each other. @return false: not as plain */
static __rte_always_inline bool
io_fast(struct plx_nvmet *c, const struct nvmet_sq *sq, const struct nvmet_sqe *e,
	struct nvmet_cmd *cmd, struct nvmet_ns **nsp)
{
	uint32_t nsi = rte_le_to_cpu_32(e->nsid) - 1, dw12 = rte_le_to_cpu_32(e->cdw12);
	uint64_t slba = rte_le_to_cpu_64(e->slba), prp1 = rte_le_to_cpu_64(e->prp1);
	uint32_t nblk = (dw12 & 0xffff) + 1;
	struct nvmet_ns *ns;
	uint64_t end;
	uint32_t len;
	void *va;

	if (unlikely(e->opc - 1u > 1 || e->flags != 0 || nsi >= c->nns))
		return false;
	ns = &c->ns[nsi];
	if (unlikely(slba >= ns->fast || nblk > ns->fast - slba))
		return false;
	len = nblk << ns->shift;
	end = prp1 % NVMET_PAGE + len;
	if (end > NVMET_PAGE && (end > 2 * NVMET_PAGE ||
					rte_le_to_cpu_64(e->prp2) != (prp1 | (NVMET_PAGE - 1)) + 1))
		return false;
	if (unlikely((prp1 & 3) != 0 || ((dw12 | c->fua_all) & NVMET_DW12_FUA) != 0))
		return false;
	va = plx_vfu_dma_ptr(c->vfu, &c->dma, prp1, len, e->opc == nvme_cmd_read);
	if (unlikely(va == NULL))
		return false;
	cmd->req.op = e->opc & 1; /* NVMe: write 1, read 2 */
	cmd->req.flags = 0;
	cmd->req.nseg = 0;
	cmd->req.lba = slba;
	cmd->req.nblk = nblk;
	cmd->req.buf = va;
	cmd->req.user = nvmet_user(sq->id, e->cid, NVMET_STEP_NONE);
	*nsp = ns;
	return true;
}
static_assert(PLX_OP_READ == (nvme_cmd_read & 1) && PLX_OP_WRITE == (nvme_cmd_write & 1),
	"operations by opcode");

void
nvmet_ns_submit(struct nvmet_ns *ns, struct plx_blk_req **reqs, uint32_t n)
{
	uint32_t k = 0;

	ns->inflight += n;
	if (likely(ns->pend == NULL))
		k = plx_blkq_submit(ns->q, reqs, (uint16_t)n);
	for (; unlikely(k < n); k++) {
		reqs[k]->drv[0] = 0;
		*ns->pend_tail = reqs[k];
		ns->pend_tail = (struct plx_blk_req **)&reqs[k]->drv[0];
	}
}

/* Submit what found no room. */
static __rte_noinline void
ns_retry(struct nvmet_ns *ns)
{
	while (ns->pend != NULL) {
		struct plx_blk_req *req = ns->pend;
		struct plx_blk_req *next = (struct plx_blk_req *)(uintptr_t)req->drv[0];

		if (plx_blkq_submit(ns->q, &req, 1) == 0)
			return;
		ns->pend = next;
	}
	ns->pend_tail = &ns->pend;
}

/* A command that goes no further. */
static __rte_noinline void
io_end(struct plx_nvmet *c, struct nvmet_sq *sq, const struct nvmet_sqe *e, uint32_t what)
{
	uint16_t status = what == NVMET_DONE ? 0 : (uint16_t)what;

	sq->inflight--;
	sq->cq->inflight--;
	if (status != 0) {
		plx_stat_add(&c->errors, 1);
		nvmet_errlog(c, sq->id, e->cid, status, rte_le_to_cpu_32(e->nsid),
			rte_le_to_cpu_64(e->slba));
	}
	nvmet_post(c, sq, e->cid, status, 0);
}

/* What a submission queue has for us. An idle pass ends here, so it is short: the look at the
 * doorbell only says that there is news; nvmet_sq_rang() reads it for good. */
static __rte_always_inline uint32_t
sq_pending(struct plx_nvmet *c, struct nvmet_sq *sq)
{
	if (rte_le_to_cpu_32(__atomic_load_n(sq->db, __ATOMIC_RELAXED)) != sq->seen)
		nvmet_sq_rang(c, sq);
	return ring_dist(sq->head, sq->tail, sq->size);
}

/*
 * Fetch up to n commands, as many as have a context and room for their completions. Each entry
 * is copied before it is looked at: the client may rewrite it under us.
 */
static __rte_noinline uint32_t
io_fetch(struct plx_nvmet *c, struct nvmet_sq *sq, uint32_t n)
{
	struct plx_blk_req *batch[NVMET_BURST];
	struct nvmet_ns *ns = NULL, *to = NULL;
	uint32_t i, k = 0, head = sq->head;

	n = RTE_MIN(n, (uint32_t)NVMET_BURST);
	n = RTE_MIN(n, c->nfree);
	if (unlikely(cq_free(sq->cq) < n))
		n = RTE_MIN(n, nvmet_cq_room(c, sq->cq));
	if (unlikely(n == 0))
		return 0;
	/* not beyond the tail: the host may be writing there */
	for (i = 1; i < AHEAD && i < n; i++)
		rte_prefetch0(&sq->mem[head + i]);
	sq->inflight += n;
	sq->cq->inflight += n;
	for (i = 0; i < n; i++) {
		struct nvmet_cmd *cmd = c->free[c->nfree - 1];
		struct nvmet_sqe e = sq->mem[head];

		rte_compiler_barrier();
		if (i + AHEAD < n)
			rte_prefetch0(&sq->mem[head + AHEAD]);
		if (unlikely(++head == sq->size))
			head = 0;
		if (unlikely(!io_fast(c, sq, &e, cmd, &to))) {
			uint32_t what = nvmet_cmd_prepare(c, sq, &e, cmd, &to);

			if (what != 0) {
				nvmet_meta_end(cmd);
				sq->head = head;
				io_end(c, sq, &e, what);
				continue;
			}
		}
		c->nfree--;
		if (unlikely(to != ns)) {
			if (k != 0)
				nvmet_ns_submit(ns, batch, k);
			ns = to;
			k = 0;
		}
		batch[k++] = &cmd->req;
	}
	if (unlikely(head < sq->head))
		nvmet_lap(c, sq, head);
	sq->head = head;
	if (likely(k != 0))
		nvmet_ns_submit(ns, batch, k);
	return n;
}

static __rte_always_inline void
io_complete(struct plx_nvmet *c, struct nvmet_ns *ns, struct plx_blk_req *req)
{
	uintptr_t user = (uintptr_t)req->user;
	struct nvmet_cmd *cmd = (struct nvmet_cmd *)req;
	struct nvmet_sq *sq;

	if (unlikely(req->status != 0 || user >> 32 != 0)) {
		nvmet_cmd_back(c, ns, cmd);
		return;
	}
	sq = &c->sq[(user >> 16) % NVMET_QUEUES];
	nvmet_count(ns, req);
	sq->inflight--;
	sq->cq->inflight--;
	nvmet_post(c, sq, (uint16_t)user, 0, 0);
	nvmet_cmd_free(c, cmd);
}

static __rte_noinline uint32_t
ns_poll(struct plx_nvmet *c, struct nvmet_ns *ns)
{
	struct plx_blk_req *reqs[NVMET_BURST];
	uint32_t i, n, done = 0;

	if (unlikely(ns->pend != NULL))
		ns_retry(ns);
	do {
		n = plx_blkq_poll(ns->q, reqs, NVMET_BURST);
		ns->inflight -= n;
		for (i = 0; i < n; i++) {
			if (likely(!c->drop))
				io_complete(c, ns, reqs[i]);
			else
				nvmet_cmd_drop(c, (struct nvmet_cmd *)reqs[i]);
		}
		done += n;
	} while (n == NVMET_BURST && done < 4 * NVMET_BURST);
	return done;
}

uint32_t
nvmet_io_pass(struct plx_nvmet *c)
{
	uint32_t i, n, done = 0;

	for (i = 0; i < c->nact && likely(c->run); i++) {
		n = sq_pending(c, c->act[i]);
		if (n != 0)
			done += io_fetch(c, c->act[i], n);
	}
	for (i = 0; nvmet_inflight(c) != 0 && i < c->nns; i++)
		if (c->ns[i].inflight != 0)
			done += ns_poll(c, &c->ns[i]);
	return done;
}
