/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Queues: how they come (NVMe 1.4, 5.3-5.6), how they go, and their doorbells. A queue is
 * contiguous in client memory; while that is gone, the controller stands still.
 */
#include <string.h>

#include "plx_log.h"
#include "nvmet_priv.h"

PLX_LOG_USE(nvmet);

static uint32_t *
db_slot(uint32_t *page, uint16_t id, bool cq)
{
	return page + nvmet_db_off(id, cq) / sizeof(*page);
}

/* The doorbell of a queue from now on, at its present value. */
static const uint32_t *
db_open(struct plx_nvmet *c, uint16_t id, bool cq, uint32_t value)
{
	/* the admin queue has no shadow (1.4, 5.7) */
	uint32_t *page = c->shadow != NULL && id != 0 ? c->shadow : c->db;

	__atomic_store_n(db_slot(page, id, cq), rte_cpu_to_le_32(value), __ATOMIC_RELEASE);
	if (page == c->shadow)
		nvmet_event_index(c, id, cq, value);
	return db_slot(page, id, cq);
}

/*
 * Shadow doorbells (1.4, annex B.5): the host rings when its update passes the event index. One
 * behind the value that we have is never passed, until the ring wraps: then it is set anew.
 */
void
nvmet_event_index(struct plx_nvmet *c, uint16_t id, bool cq, uint32_t value)
{
	__atomic_store_n(db_slot(c->evidx, id, cq), rte_cpu_to_le_32((value - 1) & 0xffff),
		__ATOMIC_RELAXED);
}

void
nvmet_lap(struct plx_nvmet *c, const struct nvmet_sq *sq, uint32_t head)
{
	if (c->evidx == NULL || sq->id == 0)
		return;
	nvmet_event_index(c, sq->id, false, head);
	nvmet_event_index(c, sq->cq->id, true, sq->cq->head);
}

/* Client memory for a queue. @return status */
static uint16_t
queue_mem(struct plx_nvmet *c, uint64_t iova, uint64_t len, bool write, void **mem)
{
	struct plx_vfu_dma dma = {0};

	if (iova % NVMET_PAGE != 0)
		return NVMET_ERR(GENERIC, PRP_INVALID_OFFSET);
	*mem = plx_vfu_dma_ptr(c->vfu, &dma, iova, len, write);
	if (*mem == NULL)
		*mem = plx_vfu_dma_join(c->vfu, iova, len, write);
	return *mem != NULL ? 0 : NVMET_ERR(GENERIC, DATA_XFER_ERROR);
}

uint16_t
nvmet_cq_open(struct plx_nvmet *c, uint16_t id, uint64_t iova, uint32_t size)
{
	struct nvmet_cq *cq = &c->cq[id];
	void *mem;
	uint16_t rc = queue_mem(c, iova, (uint64_t)size * sizeof(*cq->mem), true, &mem);

	if (rc != 0)
		return rc;
	*cq = (struct nvmet_cq){
		.mem = mem, .iova = iova, .size = size, .id = id, .live = true, .phase = 1};
	cq->db = db_open(c, id, true, 0);
	return 0;
}

uint16_t
nvmet_sq_open(struct plx_nvmet *c, uint16_t id, uint64_t iova, uint32_t size, struct nvmet_cq *cq)
{
	struct nvmet_sq *sq = &c->sq[id];
	void *mem;
	uint16_t rc = queue_mem(c, iova, (uint64_t)size * sizeof(*sq->mem), false, &mem);

	if (rc != 0)
		return rc;
	*sq = (struct nvmet_sq){
		.mem = mem, .iova = iova, .size = size, .id = id, .live = true, .cq = cq};
	sq->db = db_open(c, id, false, 0);
	cq->nsq++;
	if (id != 0)
		c->act[c->nact++] = sq;
	return 0;
}

bool
nvmet_has_queues(const struct plx_nvmet *c)
{
	uint32_t i;

	for (i = 1; i < NVMET_QUEUES; i++)
		if (c->sq[i].live || c->cq[i].live)
			return true;
	return false;
}

/* What creating either kind checks alike. */
static uint16_t
create_check(const struct plx_nvmet *c, const struct nvmet_sqe *e, bool used)
{
	uint32_t size = rte_le_to_cpu_32(e->cdw10) >> 16;

	if (used)
		return NVMET_ERR(CMD_SPECIFIC, QID_INVALID);
	if (size == 0 || size >= c->max_depth)
		return NVMET_ERR(CMD_SPECIFIC, QUEUE_SIZE);
	if ((rte_le_to_cpu_32(e->cdw11) & 1) == 0) /* CAP.CQR: contiguous */
		return NVMET_ERR(GENERIC, INVALID_FIELD);
	return 0;
}

uint16_t
nvmet_create_cq(struct plx_nvmet *c, const struct nvmet_sqe *e)
{
	uint32_t dw10 = rte_le_to_cpu_32(e->cdw10), dw11 = rte_le_to_cpu_32(e->cdw11);
	uint16_t id = (uint16_t)dw10, vector = (uint16_t)(dw11 >> 16), rc;
	bool ien = (dw11 & 2) != 0;

	if (id == 0 || id > c->ncq_alloc || NVME_CC_IOCQES(c->cc) != 4)
		return NVMET_ERR(CMD_SPECIFIC, QID_INVALID);
	rc = create_check(c, e, c->cq[id].live);
	if (rc != 0)
		return rc;
	if (ien && vector >= c->vectors)
		return NVMET_ERR(CMD_SPECIFIC, INVALID_VECTOR);
	rc = nvmet_cq_open(c, id, rte_le_to_cpu_64(e->prp1), (dw10 >> 16) + 1);
	if (rc == 0) {
		c->cq[id].ien = ien;
		c->cq[id].vector = vector;
	}
	return rc;
}

uint16_t
nvmet_create_sq(struct plx_nvmet *c, const struct nvmet_sqe *e)
{
	uint32_t dw10 = rte_le_to_cpu_32(e->cdw10), dw11 = rte_le_to_cpu_32(e->cdw11);
	uint16_t id = (uint16_t)dw10, cqid = (uint16_t)(dw11 >> 16), rc;

	if (id == 0 || id > c->nsq_alloc || NVME_CC_IOSQES(c->cc) != 6)
		return NVMET_ERR(CMD_SPECIFIC, QID_INVALID);
	rc = create_check(c, e, c->sq[id].live);
	if (rc != 0)
		return rc;
	if (cqid == 0 || cqid > c->ncq_alloc)
		return NVMET_ERR(CMD_SPECIFIC, QID_INVALID);
	if (!c->cq[cqid].live)
		return NVMET_ERR(CMD_SPECIFIC, CQ_INVALID);
	return nvmet_sq_open(c, id, rte_le_to_cpu_64(e->prp1), (dw10 >> 16) + 1, &c->cq[cqid]);
}

uint16_t
nvmet_delete_cq(struct plx_nvmet *c, const struct nvmet_sqe *e)
{
	uint16_t id = (uint16_t)rte_le_to_cpu_32(e->cdw10);

	if (id == 0 || id > c->max_queues || !c->cq[id].live)
		return NVMET_ERR(CMD_SPECIFIC, QID_INVALID);
	if (c->cq[id].nsq != 0)
		return NVMET_ERR(CMD_SPECIFIC, INVALID_QUEUE);
	c->cq[id].live = false;
	__atomic_store_n(db_slot(c->db, id, true), 0, __ATOMIC_RELAXED);
	return 0;
}

static void
deactivate(struct plx_nvmet *c, const struct nvmet_sq *sq)
{
	uint32_t i;

	for (i = 0; i < c->nact && c->act[i] != sq; i++)
		;
	if (i < c->nact)
		c->act[i] = c->act[--c->nact];
}

/* Commands in flight are let finish; those not fetched are dropped with the queue (1.4, 5.6). */
uint16_t
nvmet_delete_sq(struct plx_nvmet *c, const struct nvmet_sqe *e)
{
	uint16_t id = (uint16_t)rte_le_to_cpu_32(e->cdw10);
	struct nvmet_sq *sq;

	if (id == 0 || id > c->max_queues || !c->sq[id].live || c->sq[id].deleting)
		return NVMET_ERR(CMD_SPECIFIC, QID_INVALID);
	sq = &c->sq[id];
	deactivate(c, sq);
	sq->deleting = true;
	sq->delete_cid = e->cid;
	c->deleting++;
	c->attention = 1;
	return 0;
}

void
nvmet_deletes_poll(struct plx_nvmet *c)
{
	uint32_t i;

	/* where to tell of it is gone for now */
	if (c->parked)
		return;
	for (i = 1; i < NVMET_QUEUES && c->deleting != 0; i++) {
		struct nvmet_sq *sq = &c->sq[i];

		if (!sq->deleting || sq->inflight != 0)
			continue;
		sq->live = sq->deleting = false;
		sq->cq->nsq--;
		c->deleting--;
		__atomic_store_n(db_slot(c->db, sq->id, false), 0, __ATOMIC_RELAXED);
		nvmet_admin_done(c, sq->delete_cid, 0, 0);
	}
}

void
nvmet_queues_reset(struct plx_nvmet *c)
{
	memset(c->sq, 0, sizeof(c->sq));
	memset(c->cq, 0, sizeof(c->cq));
	c->nact = 0;
	c->deleting = 0;
	c->fire = 0;
	c->shadow = c->evidx = NULL;
	c->naer = c->nevents = c->masked = 0;
	c->nsq_alloc = c->ncq_alloc = c->max_queues;
	nvmet_features_reset(c);
	nvmet_resv_reset(c);
}

/* Move the I/O queues to the doorbell buffers. */
static void
shadow_start(struct plx_nvmet *c)
{
	uint16_t id;

	for (id = 1; id < NVMET_QUEUES; id++) {
		if (c->sq[id].live) {
			c->sq[id].db = db_open(c, id, false, c->sq[id].tail);
			c->sq[id].seen = c->sq[id].tail;
		}
		if (c->cq[id].live) {
			c->cq[id].db = db_open(c, id, true, c->cq[id].head);
			c->cq[id].seen = c->cq[id].head;
		}
	}
}

uint16_t
nvmet_dbbuf_config(struct plx_nvmet *c, const struct nvmet_sqe *e)
{
	uint64_t shadow = rte_le_to_cpu_64(e->prp1), evidx = rte_le_to_cpu_64(e->prp2);
	void *sh, *ev;
	uint16_t rc;

	if ((c->oacs & NVME_CTRL_OACS_DBBUF_CFG) == 0)
		return NVMET_ERR(GENERIC, INVALID_OPCODE);
	if (shadow == evidx)
		return NVMET_ERR(GENERIC, INVALID_FIELD);
	rc = queue_mem(c, shadow, NVMET_PAGE, true, &sh);
	if (rc == 0)
		rc = queue_mem(c, evidx, NVMET_PAGE, true, &ev);
	if (rc != 0)
		return rc;
	c->shadow = sh;
	c->evidx = ev;
	c->shadow_iova = shadow;
	c->evidx_iova = evidx;
	shadow_start(c);
	return 0;
}

static bool
within(uint64_t at, uint64_t size, uint64_t iova, uint64_t len)
{
	return len == 0 || (at <= iova + (len - 1) && iova <= at + (size - 1));
}

bool
nvmet_queues_lost(struct plx_nvmet *c, uint64_t iova, uint64_t len)
{
	bool lost = false;
	uint32_t i;

	for (i = 0; i < NVMET_QUEUES; i++) {
		const struct nvmet_sq *sq = &c->sq[i];
		const struct nvmet_cq *cq = &c->cq[i];

		lost |= sq->live && within(sq->iova, sq->size * sizeof(*sq->mem), iova, len);
		lost |= cq->live && within(cq->iova, cq->size * sizeof(*cq->mem), iova, len);
	}
	if (c->shadow != NULL)
		lost |= within(c->shadow_iova, NVMET_PAGE, iova, len) ||
			within(c->evidx_iova, NVMET_PAGE, iova, len);
	return lost;
}

/* Memory came: it may be what was taken from queues. @return all of it is there again */
bool
nvmet_queues_find(struct plx_nvmet *c)
{
	void *mem, *event;
	uint16_t i;

	if (c->shadow != NULL) {
		if (queue_mem(c, c->shadow_iova, NVMET_PAGE, true, &mem) != 0 ||
			queue_mem(c, c->evidx_iova, NVMET_PAGE, true, &event) != 0)
			return false;
		c->shadow = mem;
		c->evidx = event;
	}
	for (i = 0; i < NVMET_QUEUES; i++) {
		struct nvmet_sq *sq = &c->sq[i];
		struct nvmet_cq *cq = &c->cq[i];

		if (sq->live) {
			if (queue_mem(c, sq->iova, sq->size * sizeof(*sq->mem), false, &mem) != 0)
				return false;
			sq->mem = mem;
		}
		if (cq->live) {
			if (queue_mem(c, cq->iova, cq->size * sizeof(*cq->mem), true, &mem) != 0)
				return false;
			cq->mem = mem;
		}
		if (c->shadow != NULL && i != 0) {
			sq->db = db_slot(c->shadow, i, false);
			cq->db = db_slot(c->shadow, i, true);
		}
	}
	return true;
}

/* A doorbell of no queue should be 0. */
static bool
stray(struct plx_nvmet *c, uint16_t id, bool cq)
{
	uint32_t *slot = db_slot(c->db, id, cq);

	if (__atomic_load_n(slot, __ATOMIC_RELAXED) == 0)
		return false;
	__atomic_store_n(slot, 0, __ATOMIC_RELAXED);
	return true;
}

void
nvmet_doorbells_check(struct plx_nvmet *c)
{
	uint16_t id;

	for (id = 0; id < NVMET_QUEUES; id++) {
		if (c->cq[id].live)
			nvmet_cq_room(c, &c->cq[id]);
		if ((!c->sq[id].live && stray(c, id, false)) ||
			(!c->cq[id].live && stray(c, id, true)))
			nvmet_bad_doorbell(c, id, NVME_AER_ERROR_INVALID_DB_REG);
	}
}

void
nvmet_doorbell_write(struct plx_nvmet *c, uint64_t off, uint32_t value)
{
	uint32_t slot = (uint32_t)off / NVMET_DB_BYTES;
	uint16_t id = (uint16_t)(slot / 2);
	bool cq = slot & 1, live;

	if (c->db == NULL)
		return;
	live = off % NVMET_DB_BYTES == 0 && (cq ? c->cq[id].live : c->sq[id].live);
	if (!live)
		nvmet_bad_doorbell(c, id, NVME_AER_ERROR_INVALID_DB_REG);
	else
		__atomic_store_n(db_slot(c->db, id, cq), rte_cpu_to_le_32(value), __ATOMIC_RELEASE);
}
