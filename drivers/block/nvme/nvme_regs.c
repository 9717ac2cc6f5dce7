/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Registers: access, and enabling and disabling the controller (NVMe Base 2.0, 3.5). Registers
 * are mapped with kernel VFIO and reached by message with vfio-user, so each access may have to
 * wait; CSTS is looked at a millisecond apart at most often.
 */
#include <errno.h>
#include <inttypes.h>

#include <rte_byteorder.h>
#include <rte_io.h>

#include "plx_log.h"

#include "nvme_priv.h"

PLX_LOG_USE(nvme);

#define CSTS_PAUSE_MS 1
#define LATE_READY_MS 2500 /* NVME_QUIRK_LATE_READY */
#define ENABLE_PAUSE_MS 1  /* some controllers miss EN = 1 right after RDY = 0 */

static int
reg_mapped(struct nvme_ctrlr *c)
{
	uint8_t *reg = c->regs + c->io_reg.off;
	bool wide = c->io_reg.len == 8;

	/* 64-bit registers in two accesses, low first (NVMe over PCIe 1.0, 3.1) */
	if (c->io_reg.write) {
		rte_write32((uint32_t)c->io_reg.value, reg);
		if (wide)
			rte_write32((uint32_t)(c->io_reg.value >> 32), reg + 4);
		return 0;
	}
	c->reg = rte_read32(reg);
	if (wide)
		c->reg |= (uint64_t)rte_read32(reg + 4) << 32;
	return 0;
}

/* Begin the access, as soon as the transport is free, and see it through. */
int
nvme_reg_step(struct nvme_ctrlr *c)
{
	int rc;

	if (c->regs != NULL)
		return reg_mapped(c);
	if (c->io_reg.begun)
		return plx_vfio_poll(c->vfio);
	if (c->io_reg.write)
		rc = plx_vfio_region_write(
			c->vfio, 0, c->io_reg.off, &c->io_reg.value, c->io_reg.len);
	else
		rc = plx_vfio_region_read(c->vfio, 0, c->io_reg.off, &c->reg, c->io_reg.len);
	if (rc == -EBUSY)
		return -EINPROGRESS;
	c->io_reg.begun = true;
	return rc;
}

int
nvme_reg_read(struct nvme_ctrlr *c, uint32_t off, uint32_t len)
{
	c->reg = 0;
	c->io_reg.off = off;
	c->io_reg.len = len;
	c->io_reg.write = c->io_reg.begun = false;
	return nvme_reg_step(c);
}

int
nvme_reg_write(struct nvme_ctrlr *c, uint32_t off, uint64_t value, uint32_t len)
{
	c->io_reg.value = rte_cpu_to_le_64(value);
	c->io_reg.off = off;
	c->io_reg.len = len;
	c->io_reg.write = true;
	c->io_reg.begun = false;
	return nvme_reg_step(c);
}

volatile uint32_t *
nvme_ctrlr_db(struct nvme_ctrlr *c, uint32_t index)
{
	return plx_vfio_region_ptr(
		c->vfio, 0, NVME_DB_BASE + (uint64_t)index * c->db_stride, sizeof(uint32_t));
}

/* Read CSTS until its bits say so, or it is fatal, gone, or late. */
int
nvme_wait_csts(struct nvme_ctrlr *c, uint32_t mask, uint32_t want, const char *what)
{
	PLX_PT_BEGIN(&c->sub2);
	for (;;) {
		NVME_READ(&c->sub2, c->sub2_rc, c, NVME_REG_CSTS, 4);
		NVME_OR_RETURN(&c->sub2, c->sub2_rc);
		c->csts = (uint32_t)c->reg;
		if (c->csts == NVME_ALL_ONES) {
			PLX_LOG(ERR, "nvme: %s: registers read all ones: the device is gone",
				c->name);
			PLX_PT_RETURN(&c->sub2, -ENODEV);
		}
		if ((c->csts & mask) == want)
			PLX_PT_RETURN(&c->sub2, 0);
		if (NVME_CSTS_CFS(c->csts) && want != 0) {
			PLX_LOG(ERR, "nvme: %s: fatal controller status (CSTS %#x) while %s",
				c->name, c->csts, what);
			PLX_PT_RETURN(&c->sub2, -EIO);
		}
		if (plx_deadline_past(c->until)) {
			PLX_LOG(ERR,
				"nvme: %s: not done %s within %u ms (CSTS %#x); power-cycle the "
				"device, or restart the process that serves it",
				c->name, what, c->ready_ms, c->csts);
			PLX_PT_RETURN(&c->sub2, -ETIMEDOUT);
		}
		c->pause = plx_deadline_in(CSTS_PAUSE_MS);
		PLX_PT_WAIT(&c->sub2, plx_deadline_past(c->pause));
	}
	PLX_PT_END(&c->sub2);
}

static uint32_t
late_ready(const struct nvme_ctrlr *c)
{
	return nvme_quirk(c, NVME_QUIRK_LATE_READY) ? LATE_READY_MS : 0;
}

/* CC.EN = 0 and wait for RDY = 0 (NVMe Base 2.0, 3.5.1): after it the device has let go of all
 * host memory. */
int
nvme_disable(struct nvme_ctrlr *c)
{
	if (c->mp != NULL)
		return nvme_mp_disable(c);
	PLX_PT_BEGIN(&c->sub);
	c->admin.ready = false;
	NVME_READ(&c->sub, c->sub_rc, c, NVME_REG_CC, 4);
	NVME_OR_RETURN(&c->sub, c->sub_rc);
	c->cc = (uint32_t)c->reg;
	c->until = plx_deadline_in(c->ready_ms);
	if (c->cc == NVME_ALL_ONES)
		PLX_PT_RETURN(&c->sub, -ENODEV);
	if (NVME_CC_EN(c->cc)) {
		NVME_READ(&c->sub, c->sub_rc, c, NVME_REG_CSTS, 4);
		NVME_OR_RETURN(&c->sub, c->sub_rc);
		/* EN may not be cleared while the controller is on its way up */
		if (!NVME_CSTS_RDY((uint32_t)c->reg) && !NVME_CSTS_CFS((uint32_t)c->reg)) {
			PLX_PT_CALL(&c->sub, c->sub_rc,
				nvme_wait_csts(c, NVME_CSTS_RDY_MASK, 1, "becoming ready"),
				nvme_wait_csts(c, NVME_CSTS_RDY_MASK, 1, "becoming ready"));
			if (c->sub_rc == -ENODEV)
				PLX_PT_RETURN(&c->sub, c->sub_rc);
		}
		/* EN and SHN both 0: SHN must not change with EN, but it ends with it */
		NVME_WRITE(&c->sub, c->sub_rc, c, NVME_REG_CC,
			c->cc & ~(uint32_t)NVME_CC_EN_MASK & ~(3u << NVME_CC_SHN_SHIFT), 4);
		NVME_OR_RETURN(&c->sub, c->sub_rc);
	}
	c->pause = plx_deadline_in(late_ready(c));
	PLX_PT_WAIT(&c->sub, plx_deadline_past(c->pause));
	c->until = plx_deadline_in(c->ready_ms);
	PLX_PT_CALL(&c->sub, c->sub_rc, nvme_wait_csts(c, NVME_CSTS_RDY_MASK, 0, "stopping"),
		nvme_wait_csts(c, NVME_CSTS_RDY_MASK, 0, "stopping"));
	NVME_OR_RETURN(&c->sub, c->sub_rc);
	c->pause = plx_deadline_in(ENABLE_PAUSE_MS);
	PLX_PT_WAIT(&c->sub, plx_deadline_past(c->pause));
	PLX_PT_END(&c->sub);
}

/* Admin queue registers, CC.EN = 1 and wait for RDY = 1. */
int
nvme_enable(struct nvme_ctrlr *c)
{
	const uint32_t aqa = (NVME_ADMIN_DEPTH - 1) | (NVME_ADMIN_DEPTH - 1) << 16;

	PLX_PT_BEGIN(&c->sub);
	nvme_admin_reset(c);
	c->admin.ready = false;
	NVME_WRITE(&c->sub, c->sub_rc, c, NVME_REG_AQA, aqa, 4);
	NVME_OR_RETURN(&c->sub, c->sub_rc);
	NVME_WRITE(&c->sub, c->sub_rc, c, NVME_REG_ASQ, c->admin.sq_iova, 8);
	NVME_OR_RETURN(&c->sub, c->sub_rc);
	NVME_WRITE(&c->sub, c->sub_rc, c, NVME_REG_ACQ, c->admin.cq_iova, 8);
	NVME_OR_RETURN(&c->sub, c->sub_rc);
	c->cc = (uint32_t)(rte_log2_u32(c->page_size) - 12) << NVME_CC_MPS_SHIFT |
		6u << NVME_CC_IOSQES_SHIFT | 4u << NVME_CC_IOCQES_SHIFT |
		(c->all_sets ? (uint32_t)NVME_CC_CSS_CSI : 0) << NVME_CC_CSS_SHIFT;
	NVME_WRITE(&c->sub, c->sub_rc, c, NVME_REG_CC, c->cc, 4);
	NVME_OR_RETURN(&c->sub, c->sub_rc);
	NVME_WRITE(&c->sub, c->sub_rc, c, NVME_REG_CC, c->cc | NVME_CC_EN_MASK, 4);
	NVME_OR_RETURN(&c->sub, c->sub_rc);
	c->pause = plx_deadline_in(late_ready(c));
	PLX_PT_WAIT(&c->sub, plx_deadline_past(c->pause));
	c->until = plx_deadline_in(c->ready_ms);
	PLX_PT_CALL(&c->sub, c->sub_rc, nvme_wait_csts(c, NVME_CSTS_RDY_MASK, 1, "becoming ready"),
		nvme_wait_csts(c, NVME_CSTS_RDY_MASK, 1, "becoming ready"));
	NVME_OR_RETURN(&c->sub, c->sub_rc);
	c->admin.ready = true;
	PLX_PT_END(&c->sub);
}
