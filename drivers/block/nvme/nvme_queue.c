/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * I/O queue pairs as objects: allocated by the class's queue_setup, created and deleted on the
 * device under the control lock while the queue is taken over from its owner.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_byteorder.h>

#include "plx_log.h"

#include "nvme_priv.h"

PLX_LOG_USE(nvme);

/* ---- ids on the controller ---- */

static uint16_t
qid_get(struct nvme_ctrlr *c)
{
	/* a secondary process has any that it was lent */
	uint16_t qid, last = c->mp != NULL ? 64 * RTE_DIM(c->qid_used) - 1 : c->max_queues;

	for (qid = 1; qid <= last; qid++) {
		uint64_t bit = 1ull << (qid % 64);

		if (!(c->qid_used[qid / 64] & bit)) {
			c->qid_used[qid / 64] |= bit;
			return qid;
		}
	}
	return 0;
}

static void
qid_put(struct nvme_ctrlr *c, uint16_t qid)
{
	c->qid_used[qid / 64] &= ~(1ull << (qid % 64));
}

/* After a reset the controller has no queues: only those that are to come back have ids. It may
 * have fewer ids than before. @return 0; -ENOSPC, logged */
int
nvme_queue_qids(struct nvme_ctrlr *c)
{
	struct nvme_qpair *q;
	uint16_t qid;

	if (c->mp != NULL)
		return 0;
	memset(c->qid_used, 0, sizeof(c->qid_used));
	nvme_lend_qids(c);
	for (q = c->queues; q != NULL; q = q->next)
		if (q->qid <= c->max_queues)
			c->qid_used[q->qid / 64] |= 1ull << (q->qid % 64);
	for (q = c->queues; q != NULL; q = q->next) {
		if (q->qid <= c->max_queues)
			continue;
		qid = qid_get(c);
		if (qid == 0) {
			PLX_LOG(ERR,
				"nvme: %s: it came back with %u I/O queues, more are in use: "
				"detach it, and attach it again with fewer",
				c->name, c->max_queues);
			return -ENOSPC;
		}
		q->qid = qid;
	}
	return 0;
}

/* ---- memory ---- */

/* Sizes of the DMA-able parts, each page aligned, in order: SQ, CQ, slots, pool. */
struct layout {
	size_t cq, slots, pool, size;
};

static struct layout
layout(const struct nvme_qpair *q)
{
	size_t page = q->c->page_size;
	struct layout l;

	l.cq = RTE_ALIGN_CEIL(q->sq_size * sizeof(struct nvme_sqe), page);
	l.slots = l.cq + RTE_ALIGN_CEIL(q->cq_size * sizeof(struct nvme_cqe), page);
	l.pool = l.slots + RTE_ALIGN_CEIL((size_t)q->depth * NVME_SLOT_BYTES, page);
	l.size = l.pool + NVME_POOL_PAGES * page;
	return l;
}

static int
alloc_dma(struct nvme_qpair *q, int socket)
{
	struct layout l = layout(q);
	/* no rings across hugepages: each may be a mapping of its own, and servers want a ring
	 * inside one */
	uint8_t *mem = plx_mem_alloc(l.size, rte_align64pow2(l.slots), socket);

	if (mem == NULL)
		return -ENOMEM;
	q->mem = mem;
	q->sq = (struct nvme_sqe *)mem;
	q->cq = (struct nvme_cqe *)(mem + l.cq);
	q->slots = mem + l.slots;
	q->pool = mem + l.pool;
	return 0;
}

/* The memory may have come after attach: it is mapped by the time of start. */
static int
map_dma(struct nvme_qpair *q)
{
	struct layout l = layout(q);
	uint64_t iova = plx_mem_iova(q->dom, q->mem, l.size);

	if (iova == PLX_BAD_IOVA || (iova & (q->page_size - 1)) != 0) {
		PLX_LOG(ERR, "nvme: %s: memory of queue %u can't be mapped for the device",
			q->c->name, q->qid);
		return -ENOMEM;
	}
	if (!nvme_cmb_get(q)) {
		q->sq = (struct nvme_sqe *)q->mem;
		q->sq_iova = iova;
	}
	q->cq_iova = iova + l.cq;
	q->slots_iova = iova + l.slots;
	q->pool_iova = iova + l.pool;
	q->dma = q->dom->table->r[0];
	return nvme_meta_map(q);
}

static int
alloc_private(struct nvme_qpair *q)
{
	q->trk = calloc(q->depth, sizeof(*q->trk));
	q->free = calloc(q->depth, sizeof(*q->free));
	q->pool_of = calloc(q->depth, sizeof(*q->pool_of));
	return q->trk != NULL && q->free != NULL && q->pool_of != NULL ? 0 : -ENOMEM;
}

static void
trackers_reset(struct nvme_qpair *q)
{
	uint16_t i;

	for (i = 0; i < q->depth; i++) {
		/* the first to go is 0; ids of before stay strange to this life */
		uint16_t idx = (uint16_t)(q->depth - 1 - i), cid = q->trk[idx].cid;

		cid = (uint16_t)((cid & ~NVME_MAX_DEPTH) + NVME_MAX_DEPTH + 1);
		q->free[i] = cid | idx;
		q->trk[idx] = (struct nvme_tracker){.cid = cid | idx};
	}
	q->nfree = q->depth;
	for (i = 0; i < NVME_POOL_PAGES; i++)
		q->pool_free[i] = (uint8_t)i;
	q->npool = NVME_POOL_PAGES;
	nvme_meta_reset(q);
}

static void
sizes(struct nvme_qpair *q, uint16_t depth)
{
	const struct nvme_ctrlr *c = q->c;
	uint32_t entries = depth + 1u;

	q->depth = depth;
	q->sq_size = (uint16_t)entries;
	q->sq_last = (uint16_t)(entries - 1);
	/* A CQ twice as long lets half of it go by without a doorbell. */
	q->cq_size = (uint16_t)RTE_MIN(2 * entries, (uint32_t)c->max_entries);
	q->cq_lazy = q->cq_most = (uint16_t)(q->cq_size - depth);
}

int
nvme_queue_alloc(
	struct nvme_ns *ns, uint16_t qid, const struct plx_blkq_conf *conf, struct plx_drvq **dq)
{
	struct nvme_ctrlr *c = ns->c;
	struct nvme_qpair *q = aligned_alloc(RTE_CACHE_LINE_SIZE, sizeof(*q));
	int rc = -ENOMEM;

	if (q == NULL)
		return rc;
	memset(q, 0, sizeof(*q));
	q->ns = ns;
	q->c = c;
	q->dom = c->vfio->domain;
	q->opc_nsid = (uint64_t)ns->nsid << 32;
	q->page_size = c->page_size;
	q->lba_shift = ns->fmt.shift;
	q->sgl = c->sgl;
	q->sgl_dword = c->sgl_dword;
	q->max_sgls = c->max_sgls;
	sizes(q, conf->depth);
	q->qid = qid_get(c);
	if (q->qid == 0) {
		PLX_LOG(ERR, "nvme: %s: its %u I/O queues are in use by other namespaces", c->name,
			c->max_queues);
		rc = -ENOSPC;
		goto fail;
	}
	rc = alloc_private(q);
	if (rc == 0)
		rc = alloc_dma(q, conf->socket);
	if (rc == 0)
		rc = nvme_meta_alloc(q, conf->socket);
	if (rc != 0)
		goto fail;
	trackers_reset(q);
	q->dq.submit = q->meta == NULL ? nvme_qpair_submit : nvme_qpair_submit_meta;
	q->dq.poll = nvme_qpair_poll;
	q->dq.issue = nvme_qpair_issue;
	q->dq.direct = nvme_data_direct;
	rc = plx_drvq_init(&q->dq, &ns->blk, qid, conf,
		RTE_MAX(nvme_meta_bounce(&ns->fmt), nvme_zns_bounce(&ns->blk.info)));
	if (rc != 0)
		goto fail;
	if (conf->intr)
		nvme_intr_open(q);
	q->next = c->queues;
	c->queues = q;
	*dq = &q->dq;
	return 0;
fail:
	nvme_queue_free(q);
	return rc;
}

/* Nobody knows it any more, but the device perhaps. */
static void
put(struct nvme_qpair *q)
{
	if (q->qid != 0 && !q->created) /* else it is in use until the controller's next reset */
		qid_put(q->c, q->qid);
	if (q->lost_memory || q->created)
		nvme_quarantine(q->c, q->mem);
	else
		plx_mem_free(q->mem);
	nvme_meta_free(q, q->lost_memory || q->created);
	free(q->trk);
	free(q->free);
	free(q->pool_of);
	free(q);
}

/* @return where the list points at it; at NULL: it is not in it */
static struct nvme_qpair **
listed(struct nvme_qpair *q)
{
	struct nvme_qpair **at;

	for (at = &q->c->queues; *at != NULL && *at != q; at = &(*at)->next)
		;
	return at;
}

/* One that the device still has stays, without a namespace, until it was deleted there. */
void
nvme_queue_free(struct nvme_qpair *q)
{
	struct nvme_qpair **at = listed(q);

	if (*at == NULL) {
		put(q);
		return;
	}
	nvme_intr_close(q);
	if (q->created) {
		q->orphan = q->drop = true;
		nvme_queue_cancel(q, -ENODEV, PLX_IO_MAYBE_DMA);
	}
	plx_drvq_fini(&q->dq);
	if (q->orphan)
		return;
	*at = q->next;
	put(q);
}

/* Free those that the device let go of, or all. */
void
nvme_queue_orphans(struct nvme_ctrlr *c, bool all)
{
	struct nvme_qpair **at = &c->queues, *q;

	while ((q = *at) != NULL) {
		if (!q->orphan || (q->created && !all)) {
			at = &q->next;
			continue;
		}
		*at = q->next;
		put(q);
	}
}

/* ---- on the device ---- */

/* Where the doorbells are, and whether ringing them costs something. */
static void
doorbells(struct nvme_qpair *q)
{
	struct nvme_ctrlr *c = q->c;
	uint32_t sq = 2u * q->qid, step = c->db_stride / sizeof(uint32_t);

	q->sq_db = nvme_ctrlr_db(c, sq);
	q->cq_db = nvme_ctrlr_db(c, sq + 1);
	q->ring = q->sq_db != NULL ? NVME_RING_MMIO : NVME_RING_POST;
	if (!c->dbbuf_on || (sq + 2) * c->db_stride > c->page_size)
		return;
	q->ring = NVME_RING_SHADOW;
	q->sq_shadow = c->shadow + sq * step;
	q->cq_shadow = c->shadow + (sq + 1) * step;
	q->sq_event = c->event + sq * step;
	q->cq_event = c->event + (sq + 1) * step;
	*q->sq_shadow = *q->cq_shadow = 0;
	*q->sq_event = *q->cq_event = 0;
}

/* Its doorbells are about to go: until it is created again, ringing leads nowhere. */
void
nvme_queue_unplug(struct nvme_qpair *q)
{
	q->sq_db = q->cq_db = NULL;
	q->ring = NVME_RING_POST;
	nvme_intr_unplug(q);
}

static int
create_cq(struct nvme_qpair *q)
{
	uint32_t ien = q->dq.intr_fd < 0 ? 0 : NVME_Q_IEN | (uint32_t)q->intr.vector << 16;

	q->c->admin.cmd.sqe = (struct nvme_sqe){
		.opcode = nvme_admin_create_cq,
		.dptr[0] = rte_cpu_to_le_64(q->cq_iova),
		.cdw10 = rte_cpu_to_le_32(q->qid | (uint32_t)(q->cq_size - 1) << 16),
		.cdw11 = rte_cpu_to_le_32(NVME_Q_PC | ien),
	};
	return nvme_admin_start(q->c, q->c->admin_ms);
}

static int
create_sq(struct nvme_qpair *q)
{
	uint32_t prio = nvme_quirk(q->c, NVME_QUIRK_MEDIUM_PRIO) ? NVME_Q_MEDIUM : 0;

	q->c->admin.cmd.sqe = (struct nvme_sqe){
		.opcode = nvme_admin_create_sq,
		.dptr[0] = rte_cpu_to_le_64(q->sq_iova),
		.cdw10 = rte_cpu_to_le_32(q->qid | (uint32_t)(q->sq_size - 1) << 16),
		.cdw11 = rte_cpu_to_le_32(NVME_Q_PC | prio | (uint32_t)q->qid << 16),
	};
	return nvme_admin_start(q->c, q->c->admin_ms);
}

static int
delete_q(struct nvme_qpair *q, uint8_t opcode)
{
	q->c->admin.cmd.sqe = (struct nvme_sqe){
		.opcode = opcode,
		.cdw10 = rte_cpu_to_le_32(q->qid),
	};
	return nvme_admin_start(q->c, q->c->admin_ms);
}

static void
rings_reset(struct nvme_qpair *q)
{
	if (!q->in_cmb)
		memset(q->sq, 0, q->sq_size * sizeof(struct nvme_sqe));
	memset(q->cq, 0, q->cq_size * sizeof(struct nvme_cqe));
	q->sq_tail = q->sq_rung = 0;
	q->cq_head = q->cq_unrung = 0;
	q->phase = 1u << 16;
	q->stuck = false;
}

static int
answer(struct nvme_qpair *q, int rc, const char *what)
{
	uint16_t status = q->c->admin.cmd.status;

	if (rc != 0 || status == 0)
		return rc;
	PLX_LOG(ERR, "nvme: %s: %s of queue %u failed: %s", q->c->name, what, q->qid,
		nvme_status_to_string(status, false));
	return -EIO;
}

/* A state machine: call again while -EINPROGRESS. When it fails, q->created says whether there is
 * something to delete. */
int
nvme_queue_create(struct nvme_qpair *q)
{
	struct nvme_ctrlr *c = q->c;

	PLX_PT_BEGIN(&c->io);
	c->io_rc = map_dma(q);
	if (c->io_rc != 0)
		PLX_PT_RETURN(&c->io, c->io_rc);
	PLX_PT_CALL(&c->io, c->io_rc, nvme_intr_start(q), nvme_intr_start(q));
	rings_reset(q);
	doorbells(q);
	q->created = true; /* from here on: it may do it without answering */
	PLX_PT_CALL(&c->io, c->io_rc, create_cq(q), nvme_admin_wait(c));
	if (c->io_rc == 0 && c->admin.cmd.status != 0)
		q->created = false;
	c->io_rc = answer(q, c->io_rc, "creating the completion queue");
	if (c->io_rc != 0)
		PLX_PT_RETURN(&c->io, c->io_rc);
	PLX_PT_CALL(&c->io, c->io_rc, create_sq(q), nvme_admin_wait(c));
	c->io_rc = answer(q, c->io_rc, "creating the submission queue");
	q->sq_created = c->io_rc == 0;
	c->pause = plx_deadline_in(nvme_quirk(c, NVME_QUIRK_LATE_QUEUE) ? 1 : 0);
	PLX_PT_WAIT(&c->io, plx_deadline_past(c->pause));
	PLX_PT_RETURN(&c->io, c->io_rc);
	PLX_PT_END(&c->io);
}

/* The same; the submission queue first (NVMe Base 2.0, 5.6). */
int
nvme_queue_delete(struct nvme_qpair *q)
{
	struct nvme_ctrlr *c = q->c;

	PLX_PT_BEGIN(&c->io);
	if (!q->created)
		PLX_PT_RETURN(&c->io, 0);
	if (q->sq_created) {
		PLX_PT_CALL(
			&c->io, c->io_rc, delete_q(q, nvme_admin_delete_sq), nvme_admin_wait(c));
		c->io_rc = answer(q, c->io_rc, "deleting the submission queue");
		if (c->io_rc != 0)
			PLX_PT_RETURN(&c->io, c->io_rc);
		q->sq_created = false;
	}
	PLX_PT_CALL(&c->io, c->io_rc, delete_q(q, nvme_admin_delete_cq), nvme_admin_wait(c));
	c->io_rc = answer(q, c->io_rc, "deleting the completion queue");
	if (c->io_rc == 0)
		q->created = false;
	PLX_PT_RETURN(&c->io, c->io_rc);
	PLX_PT_END(&c->io);
}

/* @return its owner can't be in it */
static bool
taken(struct nvme_qpair *q)
{
	if (q->dq.taken)
		return true;
	if (plx_drvq_takeover(&q->dq, -ENODEV) != 0)
		return false;
	plx_drvq_split_cancel(&q->dq, -ENODEV);
	return true;
}

static struct nvme_qpair *
next_drop(const struct nvme_ctrlr *c)
{
	struct nvme_qpair *q;

	for (q = c->queues; q != NULL; q = q->next)
		if (q->drop && q->created && taken(q))
			return q;
	return NULL;
}

/* Delete the queues of namespaces that went: what they had in flight ends only then, when the
 * device can't reach its memory any more. A state machine too. */
int
nvme_queue_drops(struct nvme_ctrlr *c)
{
	PLX_PT_BEGIN(&c->up);
	while ((c->q = next_drop(c)) != NULL) {
		PLX_PT_CALL(&c->up, c->up_rc, nvme_queue_delete(c->q), nvme_queue_delete(c->q));
		NVME_OR_RETURN(&c->up, c->up_rc);
		nvme_queue_dropped(c->q);
	}
	nvme_queue_orphans(c, false);
	PLX_PT_END(&c->up);
}

/* ---- what is in flight on a queue that was taken over ---- */

/* Reap what the device finished, onto the done list. @return commands still in flight */
uint32_t
nvme_queue_drain(struct nvme_qpair *q)
{
	struct plx_blk_req *reqs[32];
	uint16_t i, n;

	/* what poll would pop from the done list stays there for the owner */
	do {
		n = nvme_qpair_reap(q, reqs, RTE_DIM(reqs));
		for (i = 0; i < n; i++)
			plx_drvq_finish(&q->dq, reqs[i], reqs[i]->status);
	} while (n != 0);
	if (q->c->admin.ready) /* not of a disabled controller: commands sent again */
		nvme_qpair_ring(q);
	return (uint32_t)(q->depth - q->nfree);
}

/* End everything with status. flags: PLX_IO_MAYBE_DMA when the device may still be at it. */
void
nvme_queue_cancel(struct nvme_qpair *q, int status, uint8_t flags)
{
	uint16_t i;

	for (i = 0; i < q->depth; i++) {
		struct nvme_tracker *t = &q->trk[i];
		struct plx_blk_req *req = t->req;

		if (req == NULL)
			continue;
		t->req = NULL;
		req->flags |= flags;
		req->raw = 0;
		plx_drvq_finish(&q->dq, req, status);
	}
	if (flags & PLX_IO_MAYBE_DMA)
		q->lost_memory = true;
	trackers_reset(q);
}

/* The device has let go of a queue that was to go. */
void
nvme_queue_dropped(struct nvme_qpair *q)
{
	bool gone = q->ns->blk.info.state == PLX_BLK_REMOVED;

	nvme_queue_drain(q);
	q->created = q->sq_created = q->drop = q->lost_memory = false;
	nvme_queue_cancel(q, gone ? -ENODEV : -ECANCELED, 0);
}

/* Send a command again. It takes the tracker that is next, which remembers how often. */
static int
send_again(struct nvme_qpair *q, const struct nvme_tracker *old)
{
	struct nvme_tracker *t = &q->trk[q->free[q->nfree - 1] & NVME_MAX_DEPTH];
	int rc;

	if (!nvme_op_repeatable(old->req, q->dq.q.blk->info.zone_nblk != 0))
		return -ECANCELED;
	if (old->retries == NVME_RETRIES)
		return -ETIMEDOUT; /* as it seems, it is what the controller stumbles over */
	rc = nvme_qpair_issue(&q->dq, old->req);
	if (rc != 0)
		return -EIO;
	t->retries = (uint8_t)(old->retries + 1);
	plx_stat_add(&q->dq.st.retried, 1);
	return 0;
}

/*
 * After a controller reset: send again what was in flight and may be done twice; whether it was
 * done, nobody knows any more.
 */
void
nvme_queue_replay(struct nvme_qpair *q, uint32_t *sent, uint32_t *ended)
{
	struct nvme_tracker *old = calloc(q->depth, sizeof(*old));
	uint16_t i, n = 0;
	int rc;

	if (old == NULL) {
		nvme_queue_cancel(q, -ECANCELED, 0);
		return;
	}
	for (i = 0; i < q->depth; i++)
		if (q->trk[i].req != NULL)
			old[n++] = q->trk[i];
	trackers_reset(q);
	for (i = 0; i < n; i++) {
		rc = send_again(q, &old[i]);
		if (rc != 0)
			plx_drvq_finish(&q->dq, old[i].req, rc);
		*(rc == 0 ? sent : ended) += 1;
	}
	nvme_qpair_ring(q);
	free(old);
}
