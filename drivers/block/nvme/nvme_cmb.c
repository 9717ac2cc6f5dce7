/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Submission queues in the Controller Memory Buffer (NVMe Base 2.0, 8.5), where the user asks for
 * it. The controller then finds a command in its own memory instead of fetching it over PCI
 * Express, about a round trip less of latency. Our side pays: VFIO maps BARs uncached, so that
 * instead of four stores to the cache a command takes four across the bus. That is why it is not
 * the default, and of no use where the controller is software.
 *
 * Stores to one function stay in order (PCI Express Base, 2.4), so the doorbell needs no more than
 * the write barrier it has. Commands are never read back: the memory is the device's.
 *
 * The buffer has to have an address of its own among those that the device reaches: ours, in this
 * process, which no other memory has. Buffers of before NVMe 1.4 lie where the BAR is on the bus,
 * which we don't know; they aren't used.
 */
#include <errno.h>

#include "plx_log.h"

#include "nvme_priv.h"

PLX_LOG_USE(nvme);

#define CRE 1u
#define CMSE 2u
#define CBAI 1u
#define MAX_SZU 6 /* 64 GiB; more is reserved */
/* BAR 0 begins with registers and doorbells, as many as there may be. */
#define DOORBELLS_END(c) (NVME_DB_BASE + 2ull * 512 * (c)->db_stride)

static void
unusable(struct nvme_ctrlr *c, const char *why)
{
	PLX_LOG(NOTICE, "nvme: %s: queues stay in host memory: %s (CMBLOC %#x, CMBSZ %#x)", c->name,
		why, c->cmb_loc, c->cmb_sz);
}

static void
take(struct nvme_ctrlr *c, uint32_t loc, uint32_t size)
{
	uint64_t unit = 4096ull << 4 * RTE_MIN((uint32_t)NVME_CMBSZ_SZU(size), MAX_SZU);
	uint64_t off = unit * NVME_CMBLOC_OFST(loc), len = unit * NVME_CMBSZ_SZ(size);
	uint32_t bar = NVME_CMBLOC_BIR(loc);

	if (len == 0 || !NVME_CMBSZ_SQS(size) || NVME_CMBSZ_SZU(size) > MAX_SZU) {
		unusable(c, "the buffer is not for submission queues");
		return;
	}
	if (bar == 1 || bar > 5 || (bar == 0 && off < DOORBELLS_END(c))) {
		unusable(c, "the buffer lies where it can't");
		return;
	}
	c->cmb = plx_vfio_region_ptr(c->vfio, bar, off, len);
	c->cmb_len = len;
	if (c->cmb == NULL)
		unusable(c, "the buffer is not all in its BAR, or can't be mapped");
}

/* At attach. A state machine; what can't be used is said and done without. */
int
nvme_cmb_find(struct nvme_ctrlr *c)
{
	PLX_PT_BEGIN(&c->sub);
	if (!c->use_cmb)
		PLX_PT_RETURN(&c->sub, 0);
	if (!NVME_CAP_CMBS(c->cap)) {
		unusable(c, "the controller has no buffer as of NVMe 1.4");
		PLX_PT_RETURN(&c->sub, 0);
	}
	/* location and size read 0 before it is enabled */
	NVME_WRITE(&c->sub, c->sub_rc, c, NVME_REG_CMBMSC, CRE, 4);
	NVME_OR_RETURN(&c->sub, c->sub_rc);
	NVME_READ(&c->sub, c->sub_rc, c, NVME_REG_CMBLOC, 4);
	NVME_OR_RETURN(&c->sub, c->sub_rc);
	c->cmb_loc = (uint32_t)c->reg;
	NVME_READ(&c->sub, c->sub_rc, c, NVME_REG_CMBSZ, 4);
	NVME_OR_RETURN(&c->sub, c->sub_rc);
	c->cmb_sz = (uint32_t)c->reg;
	take(c, c->cmb_loc, c->cmb_sz);
	PLX_PT_END(&c->sub);
}

/* Before each CC.EN = 1: tell the controller the buffer's address. */
int
nvme_cmb_enable(struct nvme_ctrlr *c)
{
	PLX_PT_BEGIN(&c->sub);
	if (c->cmb == NULL)
		PLX_PT_RETURN(&c->sub, 0);
	/* the half that enables it last: some act on each */
	NVME_WRITE(&c->sub, c->sub_rc, c, NVME_REG_CMBMSC + 4, (uintptr_t)c->cmb >> 32, 4);
	NVME_OR_RETURN(&c->sub, c->sub_rc);
	NVME_WRITE(&c->sub, c->sub_rc, c, NVME_REG_CMBMSC,
		((uintptr_t)c->cmb | CMSE | CRE) & UINT32_MAX, 4);
	NVME_OR_RETURN(&c->sub, c->sub_rc);
	NVME_READ(&c->sub, c->sub_rc, c, NVME_REG_CMBSTS, 4);
	NVME_OR_RETURN(&c->sub, c->sub_rc);
	if (c->reg & CBAI) {
		unusable(c, "the controller refuses the buffer's address");
		c->cmb = NULL;
	}
	PLX_PT_END(&c->sub);
}

/* Room for a queue's commands that no other queue has. @return false: none */
bool
nvme_cmb_get(struct nvme_qpair *q)
{
	const struct nvme_ctrlr *c = q->c;
	size_t len = RTE_ALIGN_CEIL(q->sq_size * sizeof(struct nvme_sqe), q->page_size);
	const struct nvme_qpair *o;
	uint64_t at = 0, begin;

	q->in_cmb = false;
	if (c->cmb == NULL)
		return false;
	for (o = c->queues; o != NULL;) {
		begin = (uintptr_t)o->sq - (uintptr_t)c->cmb;
		if (o != q && o->in_cmb && o->created && at < begin + o->cmb_used &&
			begin < at + len) {
			at = begin + o->cmb_used;
			o = c->queues;
		} else {
			o = o->next;
		}
	}
	if (at > c->cmb_len || len > c->cmb_len - at)
		return false;
	q->in_cmb = true;
	q->cmb_used = len;
	q->sq = (struct nvme_sqe *)(c->cmb + at);
	q->sq_iova = (uintptr_t)q->sq;
	return true;
}
