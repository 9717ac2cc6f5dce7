/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Registers (NVMe 1.4, 3.1) and the controller's life: enable, disable, shutdown (7.6), reset
 * (7.3). Nothing here waits: what needs time goes on in nvmet_state_poll().
 */
#include <errno.h>
#include <string.h>

#include "plx_log.h"
#include "nvmet_priv.h"

PLX_LOG_USE(nvmet);

#define VS_1_4 0x00010400u
#define TO_HALF_SECONDS 30u
#define DISABLE_MS 10000u
#define PARK_MS 2000u    /* without the memory of a queue */
#define MAX_COMPLAINTS 8 /* lines logged about one client */

uint64_t
nvmet_cap(const struct plx_nvmet *c)
{
	return (uint64_t)(c->max_depth - 1) << NVME_CAP_MQES_SHIFT |
	       UINT64_C(1) << NVME_CAP_CQR_SHIFT | (uint64_t)TO_HALF_SECONDS << NVME_CAP_TO_SHIFT |
	       (uint64_t)NVMET_DSTRD << NVME_CAP_DSTRD_SHIFT |
	       (uint64_t)(NVME_CAP_CSS_NVM | (c->zns ? NVME_CAP_CSS_CSI : 0)) << NVME_CAP_CSS_SHIFT;
}

void
nvmet_run_update(struct plx_nvmet *c)
{
	c->run =
		c->state == NVMET_STEADY && !c->hold && !c->parked && !c->drop &&
		NVME_CC_EN(c->cc) &&
		(c->csts & (NVMET_CSTS_RDY | NVMET_CSTS_CFS | NVMET_CSTS_SHST)) == NVMET_CSTS_RDY &&
		plx_vfu_bus_master(c->vfu);
}

void
nvmet_fatal(struct plx_nvmet *c, const char *why)
{
	if ((c->csts & NVMET_CSTS_CFS) == 0 && c->complaints++ < MAX_COMPLAINTS)
		PLX_LOG(WARNING, "nvmet: %s: %s; the host has to reset the controller", c->serial,
			why);
	c->csts |= NVMET_CSTS_CFS;
	nvmet_run_update(c);
}

/* @return why the admin queues can't be set up as the registers say, or NULL: they are */
static const char *
admin_open(struct plx_nvmet *c)
{
	uint32_t nsq = (c->aqa & 0xfff) + 1, ncq = (c->aqa >> 16 & 0xfff) + 1;

	if (NVME_CC_MPS(c->cc) != 0 ||
		(NVME_CC_CSS(c->cc) != NVME_CC_CSS_NVM &&
			!(c->zns && NVME_CC_CSS(c->cc) == NVME_CC_CSS_CSI)) ||
		NVME_CC_AMS(c->cc) != NVME_CC_AMS_RR)
		return "CC asks for what CAP doesn't offer";
	if (nsq < 2 || ncq < 2)
		return "AQA: an admin queue has fewer than 2 entries";
	if (nvmet_cq_open(c, 0, c->acq, ncq) != 0 ||
		nvmet_sq_open(c, 0, c->asq, nsq, &c->cq[0]) != 0)
		return "ASQ or ACQ is not page aligned memory that can be reached in one piece";
	return NULL;
}

/* CC.EN 0 to 1 (1.4, 7.6.1). */
static void
enable(struct plx_nvmet *c)
{
	uint32_t *mapped = plx_vfu_bar_mem(c->vfu, 0), i;
	const char *why;

	c->csts = 0;
	c->db = mapped != NULL ? mapped : c->own_db;
	memset(c->db, 0, NVMET_DB_LEN);
	why = admin_open(c);
	if (why != NULL) {
		nvmet_fatal(c, why);
		return;
	}
	for (i = 0; i < c->nns; i++) {
		c->ns[i].hidden =
			c->ns[i].info.zone_nblk != 0 && NVME_CC_CSS(c->cc) != NVME_CC_CSS_CSI;
		nvmet_ns_open(&c->ns[i]);
	}
	c->cq[0].ien = true;
	c->csts |= NVMET_CSTS_RDY;
	c->was_enabled = true;
}

/* Back to where enable starts from. Nothing is in flight. */
static void
cleared(struct plx_nvmet *c)
{
	nvmet_queues_reset(c);
	c->csts = 0;
	c->state = NVMET_STEADY;
	c->drop = c->parked = false;
	c->pt.line = 0;
	c->resets++;
	nvmet_test_reset(c);
	nvmet_fw_reset(c);
}

/* CC.EN 1 to 0: RDY stays until the devices gave every buffer back. */
static int
disable_run(struct plx_nvmet *c)
{
	PLX_PT_BEGIN(&c->pt);
	c->drop = true;
	c->until = plx_deadline_in(DISABLE_MS);
	nvmet_cmds_drop(c);
	PLX_PT_WAIT(&c->pt, nvmet_inflight(c) == 0 || plx_deadline_past(c->until));
	if (nvmet_inflight(c) != 0)
		nvmet_fatal(c, "a block device keeps commands for more than 10 s");
	PLX_PT_WAIT(&c->pt, nvmet_inflight(c) == 0);
	cleared(c);
	if (NVME_CC_EN(c->cc))
		enable(c);
	PLX_PT_END(&c->pt);
}

/* CC.SHN: let commands end, make data stable, say so (1.4, 7.6.2). */
static int
shutdown_run(struct plx_nvmet *c)
{
	uint32_t i;

	PLX_PT_BEGIN(&c->pt);
	PLX_PT_WAIT(&c->pt, nvmet_inflight(c) == 0);
	if (NVME_CC_SHN(c->cc) == NVME_CC_SHN_NORMAL)
		for (i = 0; i < c->nns; i++)
			nvmet_flush_quiet(c, &c->ns[i]);
	PLX_PT_WAIT(&c->pt, nvmet_inflight(c) == 0);
	nvmet_cmds_drop(c); /* a format stays half done: its end would go to memory of others */
	c->csts = (c->csts & ~NVMET_CSTS_SHST) | NVMET_CSTS_SHST_DONE;
	c->state = NVMET_STEADY;
	PLX_PT_END(&c->pt);
}

void
nvmet_state_poll(struct plx_nvmet *c)
{
	if (c->state == NVMET_DISABLING)
		disable_run(c);
	else if (c->state == NVMET_SHUTTING)
		shutdown_run(c);
	if (c->parked && plx_deadline_past(c->park_until)) {
		c->parked = false;
		nvmet_fatal(c, "memory of a queue was unmapped and did not come back");
	}
	nvmet_run_update(c);
}

static void
state_begin(struct plx_nvmet *c, enum nvmet_state state)
{
	c->state = state;
	c->pt.line = 0;
	c->attention = 1;
	nvmet_state_poll(c);
}

static void
write_cc(struct plx_nvmet *c, uint32_t cc)
{
	const uint32_t fixed = NVME_CC_CSS_MASK << NVME_CC_CSS_SHIFT |
			       NVME_CC_MPS_MASK << NVME_CC_MPS_SHIFT |
			       NVME_CC_AMS_MASK << NVME_CC_AMS_SHIFT;
	uint32_t old = c->cc;

	if (NVME_CC_EN(old)) /* must not change while enabled */
		cc = (cc & ~fixed) | (old & fixed);
	c->cc = cc & 0x00fffff1;
	if (!NVME_CC_EN(old) && NVME_CC_EN(cc) && c->state != NVMET_DISABLING) {
		enable(c);
	} else if (NVME_CC_EN(old) && !NVME_CC_EN(cc) && c->state != NVMET_DISABLING) {
		state_begin(c, NVMET_DISABLING);
		return;
	}
	if (NVME_CC_SHN(cc) != 0 && NVME_CC_SHN(old) == 0 && c->state == NVMET_STEADY &&
		(c->csts & NVMET_CSTS_SHST) == 0) {
		c->csts |= NVMET_CSTS_SHST_BUSY;
		c->was_enabled = false; /* an orderly end */
		state_begin(c, NVMET_SHUTTING);
	}
	nvmet_run_update(c);
}

/* Interrupt mask for pin and MSI (1.4, 3.1.3): what was held back goes out when it opens. */
static void
write_intmc(struct plx_nvmet *c, uint32_t v)
{
	uint32_t i, opened = c->intmask & v;

	c->intmask &= ~v;
	for (i = 0; i < NVMET_QUEUES; i++) {
		const struct nvmet_cq *cq = &c->cq[i];

		if (cq->live && cq->ien && cq->head != cq->tail && cq->vector < 32 &&
			(opened & 1u << cq->vector) != 0)
			c->fire |= UINT64_C(1) << i;
	}
}

static uint32_t
read32(const struct plx_nvmet *c, uint32_t off)
{
	switch (off) {
	case NVME_REG_CAP:
		return (uint32_t)nvmet_cap(c);
	case NVME_REG_CAP + 4:
		return (uint32_t)(nvmet_cap(c) >> 32);
	case NVME_REG_VS:
		return VS_1_4;
	case NVME_REG_INTMS:
	case NVME_REG_INTMC:
		return c->intmask;
	case NVME_REG_CC:
		return c->cc;
	case NVME_REG_CSTS:
		return c->csts;
	case NVME_REG_AQA:
		return c->aqa;
	case NVME_REG_ASQ:
		return (uint32_t)c->asq;
	case NVME_REG_ASQ + 4:
		return (uint32_t)(c->asq >> 32);
	case NVME_REG_ACQ:
		return (uint32_t)c->acq;
	case NVME_REG_ACQ + 4:
		return (uint32_t)(c->acq >> 32);
	default:
		return 0;
	}
}

/* Half of a 64-bit register. */
static void
set_half(uint64_t *reg, bool high, uint32_t v)
{
	*reg = high ? (*reg & UINT32_MAX) | (uint64_t)v << 32 : (*reg >> 32) << 32 | v;
}

static void
write32(struct plx_nvmet *c, uint32_t off, uint32_t v)
{
	bool fixed = NVME_CC_EN(c->cc) || c->state == NVMET_DISABLING;

	switch (off) {
	case NVME_REG_INTMS:
		c->intmask |= v;
		break;
	case NVME_REG_INTMC:
		write_intmc(c, v);
		break;
	case NVME_REG_CC:
		write_cc(c, v);
		break;
	case NVME_REG_AQA:
		if (!fixed)
			c->aqa = v & 0x0fff0fff;
		break;
	case NVME_REG_ASQ:
	case NVME_REG_ASQ + 4:
		if (!fixed)
			set_half(&c->asq, off != NVME_REG_ASQ, v);
		break;
	case NVME_REG_ACQ:
	case NVME_REG_ACQ + 4:
		if (!fixed)
			set_half(&c->acq, off != NVME_REG_ACQ, v);
		break;
	default: /* read-only or not there: CAP, VS, CSTS (no RW1C bit offered), NSSR, ... */
		break;
	}
}

static bool
access_ok(unsigned int region, uint64_t off, uint32_t len)
{
	return region == 0 && (len == 4 || len == 8) && off % len == 0;
}

static int
bar_read(void *arg, unsigned int region, uint64_t off, void *buf, uint32_t len)
{
	const struct plx_nvmet *c = arg;
	uint32_t v, i;

	if (!access_ok(region, off, len))
		return -EINVAL;
	for (i = 0; i < len; i += 4) {
		v = off + i < NVMET_DB_OFF ? rte_cpu_to_le_32(read32(c, (uint32_t)off + i)) : 0;
		memcpy((uint8_t *)buf + i, &v, sizeof(v));
	}
	return 0;
}

static int
bar_write(void *arg, unsigned int region, uint64_t off, const void *buf, uint32_t len)
{
	struct plx_nvmet *c = arg;
	uint32_t v, i;

	if (!access_ok(region, off, len) || (off >= NVMET_DB_OFF && len != 4))
		return -EINVAL;
	for (i = 0; i < len; i += 4) {
		memcpy(&v, (const uint8_t *)buf + i, sizeof(v));
		v = rte_le_to_cpu_32(v);
		if (off < NVMET_DB_OFF)
			write32(c, (uint32_t)off + i, v);
		else if (off < NVMET_DB_OFF + NVMET_DB_LEN)
			nvmet_doorbell_write(c, off - NVMET_DB_OFF, v);
	}
	return 0;
}

/* A virtual machine moves its memory about while it starts up: what is unmapped comes back at once,
 * if perhaps in other pieces. Until then nothing is fetched, and nothing can be told. */
static void
park(struct plx_nvmet *c)
{
	if (c->parked || (c->csts & NVMET_CSTS_CFS) != 0)
		return;
	c->parked = true;
	c->park_until = plx_deadline_in(PARK_MS);
}

/* Commands whose buffers may lie there finish first; then a queue that was there has to wait. */
static int
dma_gone(void *arg, uint64_t iova, uint64_t len)
{
	struct plx_nvmet *c = arg;

	c->hold = true;
	c->attention = 1;
	if (!plx_vfu_connected(c->vfu)) { /* reset() follows */
		c->drop = true;
		nvmet_cmds_drop(c);
	}
	nvmet_run_update(c);
	if (nvmet_inflight(c) != 0)
		return -EINPROGRESS;
	c->hold = false;
	memset(&c->dma, 0, sizeof(c->dma));
	memset(&c->dma_list, 0, sizeof(c->dma_list));
	if (!c->drop && nvmet_queues_lost(c, iova, len)) {
		if ((c->csts & NVMET_CSTS_SHST) == NVMET_CSTS_SHST_DONE)
			nvmet_queues_reset(c); /* the host is about to leave: it may */
		else
			park(c);
	}
	nvmet_run_update(c);
	return 0;
}

static void
dma_added(void *arg, uint64_t iova, uint64_t len)
{
	struct plx_nvmet *c = arg;

	(void)iova;
	(void)len;
	if (!c->parked || !nvmet_queues_find(c))
		return;
	c->parked = false;
	nvmet_run_update(c);
}

static int
reset(void *arg, bool client_lost)
{
	struct plx_nvmet *c = arg;

	c->drop = true;
	c->attention = 1;
	nvmet_run_update(c);
	nvmet_cmds_drop(c);
	if (nvmet_inflight(c) != 0)
		return -EINPROGRESS;
	if (client_lost) {
		c->unsafe_shutdowns += c->was_enabled;
		c->complaints = 0;
	}
	c->was_enabled = false;
	cleared(c);
	c->cc = c->aqa = c->intmask = 0;
	c->asq = c->acq = 0;
	c->db = NULL;
	c->hold = false;
	memset(&c->dma, 0, sizeof(c->dma));
	memset(&c->dma_list, 0, sizeof(c->dma_list));
	nvmet_run_update(c);
	return 0;
}

const struct plx_vfu_ops nvmet_vfu_ops = {
	.read = bar_read,
	.write = bar_write,
	.dma_gone = dma_gone,
	.dma_added = dma_added,
	.reset = reset,
};
