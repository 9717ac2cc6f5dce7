/* SPDX-License-Identifier: BSD-3-Clause */
/* Config space: a type 0 header with power management, MSI-X and PCI Express capabilities. */
#include <errno.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <string.h>

#include <rte_byteorder.h>
#include <rte_common.h>

#include "vfu_priv.h"

#define CAP_PM 0x40
#define CAP_MSIX 0x50
#define CAP_EXP 0x60 /* 0x3c bytes, the last one: its successor would stand at 0x9c */

#define BAR_OFF(bar) (PCI_BASE_ADDRESS_0 + 4 * (bar))

static void
put16(uint8_t *p, unsigned int off, unsigned int val)
{
	rte_le16_t le = rte_cpu_to_le_16((uint16_t)val);

	memcpy(p + off, &le, sizeof(le));
}

static void
put32(uint8_t *p, unsigned int off, uint32_t val)
{
	rte_le32_t le = rte_cpu_to_le_32(val);

	memcpy(p + off, &le, sizeof(le));
}

static unsigned int
get16(const uint8_t *p, unsigned int off)
{
	return p[off] | (unsigned int)p[off + 1] << 8;
}

/* The address bits are those above the size, so sizing needs no code. */
static void
init_bars(struct plx_vfu *v)
{
	unsigned int i;
	uint64_t mask;

	for (i = 0; i < RTE_DIM(v->bars); i++) {
		if (v->bars[i].size == 0)
			continue;
		mask = ~(v->bars[i].size - 1);
		put32(v->wmask, BAR_OFF(i), (uint32_t)mask & ~0xfu);
		/* 64 bits wide where the next register is free for it */
		if (i + 1 >= RTE_DIM(v->bars) || v->bars[i + 1].size != 0)
			continue;
		put32(v->cfg, BAR_OFF(i), PCI_BASE_ADDRESS_MEM_TYPE_64);
		put32(v->wmask, BAR_OFF(++i), (uint32_t)(mask >> 32));
	}
}

static void
init_pm(struct plx_vfu *v)
{
	uint8_t *cap = v->cfg + CAP_PM;

	cap[PCI_CAP_LIST_ID] = PCI_CAP_ID_PM;
	put16(cap, PCI_PM_PMC, 3); /* version 1.2 */
	put16(cap, PCI_PM_CTRL, PCI_PM_CTRL_NO_SOFT_RESET);
	put16(v->wmask + CAP_PM, PCI_PM_CTRL, PCI_PM_CTRL_STATE_MASK);
}

static void
init_msix(struct plx_vfu *v)
{
	uint8_t *cap = v->cfg + CAP_MSIX;

	cap[PCI_CAP_LIST_ID] = PCI_CAP_ID_MSIX;
	put16(cap, PCI_MSIX_FLAGS, v->msix_count - 1);
	put32(cap, PCI_MSIX_TABLE, (uint32_t)v->table_off | v->msix_bar);
	put32(cap, PCI_MSIX_PBA, (uint32_t)v->pba_off | v->msix_bar);
	put16(v->wmask + CAP_MSIX, PCI_MSIX_FLAGS, PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
}

/* An endpoint on a link of 4 lanes at 8 GT/s, for who looks there. */
static void
init_exp(struct plx_vfu *v)
{
	uint8_t *cap = v->cfg + CAP_EXP, *mask = v->wmask + CAP_EXP;

	cap[PCI_CAP_LIST_ID] = PCI_CAP_ID_EXP;
	put16(cap, PCI_EXP_FLAGS, 2 | PCI_EXP_TYPE_ENDPOINT << 4);
	put32(cap, PCI_EXP_DEVCAP, PCI_EXP_DEVCAP_RBER | PCI_EXP_DEVCAP_FLR);
	put32(cap, PCI_EXP_LNKCAP, 3 | 4 << 4);
	put16(cap, PCI_EXP_LNKSTA, 3 | 4 << 4);
	/* all of device control but the bit that starts a reset, which reads as zero */
	put16(mask, PCI_EXP_DEVCTL, 0xffff & ~PCI_EXP_DEVCTL_BCR_FLR);
	put16(mask, PCI_EXP_LNKCTL, PCI_EXP_LNKCTL_ASPMC | PCI_EXP_LNKCTL_CCC);
}

void
vfu_cfg_reset(struct plx_vfu *v)
{
	static const unsigned int id_off[] = {
		PCI_VENDOR_ID, PCI_DEVICE_ID, PCI_SUBSYSTEM_VENDOR_ID, PCI_SUBSYSTEM_ID};
	unsigned int i;

	memset(v->cfg, 0, sizeof(v->cfg));
	memset(v->wmask, 0, sizeof(v->wmask));
	for (i = 0; i < RTE_DIM(id_off); i++)
		put16(v->cfg, id_off[i], v->ids[i]);
	put16(v->wmask, PCI_COMMAND,
		PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_PARITY | PCI_COMMAND_SERR |
			PCI_COMMAND_INTX_DISABLE);
	put16(v->cfg, PCI_STATUS, PCI_STATUS_CAP_LIST);
	put32(v->cfg, PCI_CLASS_REVISION, v->class_code << 8);
	v->wmask[PCI_CACHE_LINE_SIZE] = 0xff;
	v->wmask[PCI_INTERRUPT_LINE] = 0xff;
	v->cfg[PCI_INTERRUPT_PIN] = 1;
	init_bars(v);
	init_pm(v);
	init_exp(v);
	v->cfg[PCI_CAPABILITY_LIST] = CAP_PM;
	v->cfg[CAP_PM + PCI_CAP_LIST_NEXT] = CAP_EXP;
	if (v->msix_count != 0) {
		init_msix(v);
		v->cfg[CAP_PM + PCI_CAP_LIST_NEXT] = CAP_MSIX;
		v->cfg[CAP_MSIX + PCI_CAP_LIST_NEXT] = CAP_EXP;
	}
	v->msix_fmask = false;
}

void
vfu_cfg_read(const struct plx_vfu *v, uint64_t off, void *buf, uint32_t len)
{
	uint32_t n = off < VFU_CFG_USED ? (uint32_t)RTE_MIN(len, VFU_CFG_USED - off) : 0;

	memcpy(buf, v->cfg + (n != 0 ? off : 0), n);
	memset((uint8_t *)buf + n, 0, len - n);
}

/* Writing the same again changes nothing: an access that had to wait for a reset is repeated. */
int
vfu_cfg_write(struct plx_vfu *v, uint64_t off, const void *buf, uint32_t len)
{
	const uint8_t *in = buf;
	const uint64_t flr = CAP_EXP + PCI_EXP_DEVCTL + 1 - off; /* the bit's byte */
	uint64_t i;
	uint8_t m;

	for (i = 0; i < len && off + i < VFU_CFG_USED; i++) {
		m = v->wmask[off + i];
		v->cfg[off + i] = (uint8_t)((v->cfg[off + i] & ~m) | (in[i] & m));
	}
	if (v->msix_count != 0)
		v->msix_fmask =
			(get16(v->cfg, CAP_MSIX + PCI_MSIX_FLAGS) & PCI_MSIX_FLAGS_MASKALL) != 0;
	vfu_irqs_flush(v);
	/*
	 * A function-level reset. As with the kernel's VFIO, config space outlives it: the
	 * client's view of BARs and interrupts is saved and restored around the device's.
	 */
	if (flr < len && (in[flr] & PCI_EXP_DEVCTL_BCR_FLR >> 8) != 0 && v->ops->reset != NULL)
		return v->ops->reset(v->arg, false);
	return 0;
}

bool
vfu_intx_disabled(const struct plx_vfu *v)
{
	return (get16(v->cfg, PCI_COMMAND) & PCI_COMMAND_INTX_DISABLE) != 0;
}

bool
plx_vfu_bus_master(const struct plx_vfu *v)
{
	return (get16(v->cfg, PCI_COMMAND) & PCI_COMMAND_MASTER) != 0;
}
