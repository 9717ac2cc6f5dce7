/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The admin queue: one command at a time for the control plane, and asynchronous event requests
 * beside it. Everything here runs under the control lock.
 */
#include <errno.h>
#include <string.h>

#include <rte_byteorder.h>
#include <rte_io.h>

#include "plx_log.h"

#include "nvme_priv.h"

PLX_LOG_USE(nvme);

#define AER_CID 0x4000   /* command ids of event requests; others count up from 0 below it */
#define ABORT_CID 0x5000 /* of Aborts */
#define LENT_CID 0x6000  /* of secondary processes */
#define MAX_LOGGED 64    /* events; a device may send any number of them */

int
nvme_admin_alloc(struct nvme_ctrlr *c)
{
	size_t page = c->page_size;
	uint8_t *mem = plx_mem_alloc(3 * page, 4 * page, c->vfio->numa_node);

	if (mem == NULL)
		return -ENOMEM;
	c->admin.sq = (struct nvme_sqe *)mem;
	c->admin.cq = (struct nvme_cqe *)(mem + page);
	c->buf = mem + 2 * page;
	return 0;
}

/* Once the domain maps them: where the device finds them. */
int
nvme_admin_map(struct nvme_ctrlr *c)
{
	uint64_t iova = plx_mem_iova(c->vfio->domain, c->admin.sq, 3 * (size_t)c->page_size);

	if (iova == PLX_BAD_IOVA || (iova & (c->page_size - 1)) != 0) {
		PLX_LOG(ERR, "nvme: %s: queue memory can't be mapped for the device", c->name);
		return -ENOMEM;
	}
	c->admin.sq_iova = iova;
	c->admin.cq_iova = iova + c->page_size;
	c->buf_iova = iova + 2 * (uint64_t)c->page_size;
	return 0;
}

void
nvme_admin_free(struct nvme_ctrlr *c)
{
	plx_mem_free(c->admin.sq);
	c->admin.sq = NULL;
	plx_mem_free(c->big);
	c->big = NULL;
}

/* As the device finds them after CC.EN = 1. Only while it is disabled. */
void
nvme_admin_reset(struct nvme_ctrlr *c)
{
	struct nvme_admin *a = &c->admin;

	memset(a->sq, 0, 2 * (size_t)c->page_size);
	a->tail = a->head = 0;
	a->phase = 1u << 16;
	a->aer = 0;
	memset(c->aborts, 0, sizeof(c->aborts));
	c->abort_news = false;
	a->aer_refused = false;
	a->ready = true;
	if (a->cmd.busy) {
		a->cmd.busy = false;
		a->cmd.status = NVME_SC_ABORT_REQ;
	}
}

static void
ring(struct nvme_ctrlr *c, uint32_t index, uint32_t value)
{
	volatile uint32_t *db = nvme_ctrlr_db(c, index);

	if (db != NULL) {
		rte_write32(rte_cpu_to_le_32(value), db);
		return;
	}
	rte_io_wmb();
	plx_vfio_region_post(c->vfio, 0, NVME_DB_BASE + (uint64_t)index * c->db_stride, value);
}

static void
submit(struct nvme_ctrlr *c, const struct nvme_sqe *sqe, uint16_t cid)
{
	struct nvme_admin *a = &c->admin;

	if (c->mp != NULL) {
		nvme_mp_submit(c, sqe, cid);
		return;
	}
	a->sq[a->tail] = *sqe;
	a->sq[a->tail].cid = rte_cpu_to_le_16(cid);
	a->tail = (uint16_t)((a->tail + 1) % NVME_ADMIN_DEPTH);
	ring(c, 0, a->tail);
}

int
nvme_admin_start(struct nvme_ctrlr *c, uint32_t timeout_ms)
{
	struct nvme_admin_cmd *cmd = &c->admin.cmd;

	if (cmd->busy)
		return -EBUSY;
	if (!c->admin.ready)
		return -EIO;
	cmd->busy = true;
	cmd->cid = (uint16_t)((cmd->cid + 1) & (AER_CID - 1));
	cmd->until = plx_deadline_in(timeout_ms);
	submit(c, &cmd->sqe, cmd->cid);
	return -EINPROGRESS;
}

/* The outcome of the command under way: 0 the device answered, see cmd.status. */
int
nvme_admin_wait(struct nvme_ctrlr *c)
{
	struct nvme_admin_cmd *cmd = &c->admin.cmd;
	int lost = __atomic_load_n(&c->vfio->lost, __ATOMIC_RELAXED);

	nvme_admin_poll(c);
	if (!cmd->busy)
		return 0;
	if (lost == 0 && c->state == NVME_DEAD)
		lost = -ENODEV;
	/* a reset that waits for this one ends it */
	if (lost == 0 && !plx_deadline_past(cmd->until) &&
		!(c->state == NVME_RUNNING && c->reset_wanted))
		return -EINPROGRESS;
	cmd->busy = false;
	if (lost != 0)
		return lost;
	if (!plx_deadline_past(cmd->until))
		return -ETIMEDOUT;
	PLX_LOG(ERR, "nvme: %s: admin command %02x was not answered in time", c->name,
		cmd->sqe.opcode);
	return -ETIMEDOUT;
}

void
nvme_admin_arm_aer(struct nvme_ctrlr *c)
{
	struct nvme_sqe sqe = {.opcode = nvme_admin_async_event};
	uint8_t i, max = (uint8_t)RTE_MIN(NVME_NB_AER, c->id.aerl + 1);

	for (i = 0; i < max && !c->admin.aer_refused; i++) {
		if (c->admin.aer & 1u << i)
			continue;
		c->admin.aer |= (uint8_t)(1u << i);
		submit(c, &sqe, (uint16_t)(AER_CID + i));
	}
}

/* Ask for the command of c->aborts[i] back (NVMe Base 2.0, 5.1). */
void
nvme_admin_abort(struct nvme_ctrlr *c, uint16_t i)
{
	const struct nvme_abort *a = &c->aborts[i];
	const struct nvme_sqe sqe = {
		.opcode = nvme_admin_abort_cmd,
		.cdw10 = rte_cpu_to_le_32(a->qid | (uint32_t)a->cid << 16),
	};

	submit(c, &sqe, (uint16_t)(ABORT_CID + i));
}

/* A command of a secondary process; nvme_lend_answered() follows. */
void
nvme_admin_lent(struct nvme_ctrlr *c, const struct nvme_sqe *sqe, uint16_t i)
{
	submit(c, sqe, (uint16_t)(LENT_CID + i));
}

/* An event (NVMe Base 2.0, 5.2.1): what it means for applications. */
void
nvme_admin_event(struct nvme_ctrlr *c, uint32_t dw0)
{
	uint8_t type = dw0 & 7, info = (dw0 >> 8) & 0xff, lid = (dw0 >> 16) & 0xff;
	struct nvme_ns *ns;

	if (c->admin.nb_event++ < MAX_LOGGED)
		PLX_LOG(NOTICE, "nvme: %s: event: type %u, info %u, log page %02x", c->name, type,
			info, lid);
	c->logs[lid / 64] |= 1ull << lid % 64;
	if (type == NVME_AER_NOTICE && info == NVME_AER_NOTICE_NS_CHANGED)
		c->rescan = true;
	for (ns = c->ns; ns != NULL; ns = ns->next) {
		if (type == NVME_AER_SMART)
			plx_blk_event_post(&ns->blk, PLX_BLK_EVENT_HEALTH, info);
		else if (type == NVME_AER_NOTICE && info == NVME_AER_NOTICE_NS_CHANGED)
			plx_blk_event_post(&ns->blk, PLX_BLK_EVENT_NS_CHANGED, 0);
	}
	nvme_lend_event(c, dw0);
	nvme_admin_arm_aer(c);
}

/* Whose command that was. */
void
nvme_admin_answered(struct nvme_ctrlr *c, uint16_t cid, uint16_t status, uint64_t result)
{
	struct nvme_admin *a = &c->admin;

	if (a->cmd.busy && cid == a->cmd.cid) {
		a->cmd.status = status;
		a->cmd.result = result;
		a->cmd.busy = false;
	} else if (cid >= AER_CID && cid < AER_CID + NVME_NB_AER &&
		   (a->aer & 1u << (cid - AER_CID)) != 0) {
		a->aer &= (uint8_t) ~(1u << (cid - AER_CID));
		if (status == 0)
			nvme_admin_event(c, (uint32_t)result);
		else /* not offered, or aborted: don't ask again */
			a->aer_refused = true;
	} else if (cid >= ABORT_CID && cid < ABORT_CID + NVME_ABORTS) {
		/* bit 0: it was not aborted */
		nvme_abort_answered(
			c, (uint16_t)(cid - ABORT_CID), status != 0 || (result & 1) != 0);
	} else if (cid >= LENT_CID && cid < LENT_CID + NVME_LENT) {
		nvme_lend_answered(c, (uint16_t)(cid - LENT_CID), status, result);
	} else {
		a->bad++;
	}
}

/* Take the completions that are there. @return how many */
int
nvme_admin_poll(struct nvme_ctrlr *c)
{
	struct nvme_admin *a = &c->admin;
	int n = 0;

	/* a secondary process is told */
	while (a->ready && c->mp == NULL && n < NVME_ADMIN_DEPTH) {
		struct nvme_cqe *cqe = &a->cq[a->head];
		uint32_t v = rte_le_to_cpu_32(__atomic_load_n(&cqe->cid_status, __ATOMIC_ACQUIRE));
		uint16_t cid = (uint16_t)v, status = (uint16_t)(v >> 17);
		uint64_t result = rte_le_to_cpu_64(cqe->result);

		if ((v & (1u << 16)) != a->phase)
			break;
		n++;
		if (++a->head == NVME_ADMIN_DEPTH) {
			a->head = 0;
			a->phase ^= 1u << 16;
		}
		ring(c, 1, a->head);
		nvme_admin_answered(c, cid, status, result);
	}
	return n;
}

int
nvme_admin_ident(struct nvme_ctrlr *c, uint8_t cns, uint32_t nsid, uint8_t csi)
{
	memset(c->buf, 0, NVME_IDENTIFY_DATA_SIZE);
	c->admin.cmd.sqe = (struct nvme_sqe){
		.opcode = nvme_admin_identify,
		.nsid = rte_cpu_to_le_32(nsid),
		.dptr[0] = rte_cpu_to_le_64(c->buf_iova),
		.cdw10 = rte_cpu_to_le_32(cns),
		.cdw11 = rte_cpu_to_le_32((uint32_t)csi << 24),
	};
	return nvme_admin_start(c, c->admin_ms);
}

/* Read the first bytes of a log page, which re-arms its event (RAE 0). */
int
nvme_admin_log(struct nvme_ctrlr *c, uint8_t lid)
{
	const uint32_t numd = 512 / 4 - 1;

	c->admin.cmd.sqe = (struct nvme_sqe){
		.opcode = nvme_admin_get_log_page,
		.nsid = rte_cpu_to_le_32(NVME_NSID_ALL),
		.dptr[0] = rte_cpu_to_le_64(c->buf_iova),
		.cdw10 = rte_cpu_to_le_32(lid | numd << 16),
	};
	return nvme_admin_start(c, c->admin_ms);
}

int
nvme_admin_set_feature(struct nvme_ctrlr *c, uint8_t fid, uint32_t value)
{
	c->admin.cmd.sqe = (struct nvme_sqe){
		.opcode = nvme_admin_set_features,
		.cdw10 = rte_cpu_to_le_32(fid),
		.cdw11 = rte_cpu_to_le_32(value),
	};
	return nvme_admin_start(c, c->admin_ms);
}
