/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <string.h>

#include <linux/pci_regs.h>
#include <linux/vfio.h>

#include <rte_byteorder.h>

#include "plx_log.h"
#include "plx_pci.h"
#include "plx_vfio.h"

PLX_LOG_TYPE(pci, NOTICE);

#define CONFIG VFIO_PCI_CONFIG_REGION_INDEX
/* The first 64 bytes are the header; a capability takes 4 bytes at least. */
#define CAPS_FIRST 0x40
#define CAPS_MAX ((256 - CAPS_FIRST) / 4)
#define MSIX_CAP_LEN 12

static uint16_t
cfg16(const struct plx_pci *pci, unsigned int off)
{
	uint16_t v;

	memcpy(&v, pci->cfg + off, sizeof(v));
	return rte_le_to_cpu_16(v);
}

static uint32_t
cfg32(const struct plx_pci *pci, unsigned int off)
{
	uint32_t v;

	memcpy(&v, pci->cfg + off, sizeof(v));
	return rte_le_to_cpu_32(v);
}

static int
gone(const struct plx_pci *pci)
{
	PLX_LOG(ERR,
		"%s: config space reads as all ones: the device is gone, or in a power state "
		"without config space",
		pci->vfio->name);
	return -ENODEV;
}

static int
parse_header(struct plx_pci *pci)
{
	pci->vendor = cfg16(pci, PCI_VENDOR_ID);
	pci->device = cfg16(pci, PCI_DEVICE_ID);
	if (pci->vendor == 0xffff)
		return gone(pci);
	if ((pci->cfg[PCI_HEADER_TYPE] & 0x7f) != PCI_HEADER_TYPE_NORMAL) {
		PLX_LOG(ERR, "%s: header type %u, a bridge: not a device for a driver",
			pci->vfio->name, pci->cfg[PCI_HEADER_TYPE] & 0x7f);
		return -EPROTO;
	}
	pci->revision = pci->cfg[PCI_REVISION_ID];
	pci->class_code = cfg32(pci, PCI_CLASS_REVISION) >> 8;
	pci->subvendor = cfg16(pci, PCI_SUBSYSTEM_VENDOR_ID);
	pci->subdevice = cfg16(pci, PCI_SUBSYSTEM_ID);
	return 0;
}

static bool
in_bar(const struct plx_pci *pci, unsigned int bar, uint64_t off, uint64_t len)
{
	uint64_t size;

	if (bar > VFIO_PCI_BAR5_REGION_INDEX)
		return false;
	size = pci->vfio->regions[bar].size;
	return off <= size && len <= size - off;
}

static void
parse_msix(struct plx_pci *pci, uint8_t pos)
{
	uint32_t table, pba;

	if (pos > sizeof(pci->cfg) - MSIX_CAP_LEN)
		return;
	table = cfg32(pci, pos + PCI_MSIX_TABLE);
	pba = cfg32(pci, pos + PCI_MSIX_PBA);
	pci->msix_count = (uint16_t)((cfg16(pci, pos + PCI_MSIX_FLAGS) & PCI_MSIX_FLAGS_QSIZE) + 1);
	pci->msix_bar = table & PCI_MSIX_TABLE_BIR;
	pci->msix_off = table & PCI_MSIX_TABLE_OFFSET;
	pci->pba_bar = pba & PCI_MSIX_PBA_BIR;
	pci->pba_off = pba & PCI_MSIX_PBA_OFFSET;
	pci->cap_msix = pos;
	if (in_bar(pci, pci->msix_bar, pci->msix_off, pci->msix_count * PCI_MSIX_ENTRY_SIZE) &&
		in_bar(pci, pci->pba_bar, pci->pba_off, (pci->msix_count + 63u) / 64 * 8))
		return;
	PLX_LOG(WARNING, "%s: MSI-X table or PBA lies outside its BAR: MSI-X is not used",
		pci->vfio->name);
	pci->cap_msix = 0;
	pci->msix_count = 0;
}

static int
parse_caps(struct plx_pci *pci)
{
	unsigned int hops;
	uint8_t pos;

	if ((cfg16(pci, PCI_STATUS) & PCI_STATUS_CAP_LIST) == 0)
		return 0;
	pos = pci->cfg[PCI_CAPABILITY_LIST] & 0xfc;
	for (hops = 0; pos >= CAPS_FIRST && hops < CAPS_MAX; hops++) {
		uint8_t id = pci->cfg[pos + PCI_CAP_LIST_ID];

		/* the first of a kind counts */
		if (id == PCI_CAP_ID_MSIX && pci->cap_msix == 0)
			parse_msix(pci, pos);
		else if (id == PCI_CAP_ID_EXP && pci->cap_pcie == 0)
			pci->cap_pcie = pos;
		else if (id == PCI_CAP_ID_PM && pci->cap_pm == 0)
			pci->cap_pm = pos;
		pos = pci->cfg[pos + PCI_CAP_LIST_NEXT] & 0xfc;
	}
	if (pos != 0) {
		PLX_LOG(ERR, "%s: the capability list %s", pci->vfio->name,
			pos < CAPS_FIRST ? "points into the header" : "has a loop");
		return -EPROTO;
	}
	return 0;
}

uint8_t
plx_pci_cap_next(const struct plx_pci *pci, uint8_t id, uint8_t after)
{
	uint8_t pos = (uint8_t)(after != 0 ? after + PCI_CAP_LIST_NEXT : PCI_CAPABILITY_LIST);

	if ((cfg16(pci, PCI_STATUS) & PCI_STATUS_CAP_LIST) == 0)
		return 0;
	for (pos = pci->cfg[pos] & 0xfc; pos != 0; pos = pci->cfg[pos + PCI_CAP_LIST_NEXT] & 0xfc)
		if (pci->cfg[pos + PCI_CAP_LIST_ID] == id)
			return pos;
	return 0;
}

static int
run_probe(struct plx_pci *pci)
{
	PLX_PT_BEGIN(&pci->pt);
	PLX_PT_CALL(&pci->pt, pci->rc,
		plx_vfio_region_read(pci->vfio, CONFIG, 0, pci->cfg, sizeof(pci->cfg)),
		plx_vfio_poll(pci->vfio));
	if (pci->rc == 0)
		pci->rc = parse_header(pci);
	if (pci->rc == 0)
		pci->rc = parse_caps(pci);
	PLX_PT_RETURN(&pci->pt, pci->rc);
	PLX_PT_END(&pci->pt);
}

/* Read, modify and write the 16-bit register at reg. */
static int
run_modify(struct plx_pci *pci)
{
	PLX_PT_BEGIN(&pci->pt);
	PLX_PT_CALL(&pci->pt, pci->rc,
		plx_vfio_region_read(pci->vfio, CONFIG, pci->reg, &pci->val, sizeof(pci->val)),
		plx_vfio_poll(pci->vfio));
	/* neither register can be all ones */
	if (pci->rc == 0 && pci->val == 0xffff)
		pci->rc = gone(pci);
	if (pci->rc != 0)
		PLX_PT_RETURN(&pci->pt, pci->rc);
	pci->val = rte_le_to_cpu_16(pci->val);
	pci->val = rte_cpu_to_le_16((uint16_t)((pci->val & ~pci->clear) | pci->set));
	PLX_PT_CALL(&pci->pt, pci->rc,
		plx_vfio_region_write(pci->vfio, CONFIG, pci->reg, &pci->val, sizeof(pci->val)),
		plx_vfio_poll(pci->vfio));
	PLX_PT_RETURN(&pci->pt, pci->rc);
	PLX_PT_END(&pci->pt);
}

static int
begin(struct plx_pci *pci, int (*run)(struct plx_pci *pci))
{
	if (pci->run != NULL)
		return -EBUSY;
	pci->pt = (struct plx_pt){0};
	pci->run = run;
	return plx_pci_poll(pci);
}

static int
modify(struct plx_pci *pci, uint16_t reg, uint16_t set, uint16_t clear)
{
	if (pci->run != NULL)
		return -EBUSY;
	pci->reg = reg;
	pci->set = set;
	pci->clear = clear;
	return begin(pci, run_modify);
}

int
plx_pci_probe(struct plx_pci *pci)
{
	return begin(pci, run_probe);
}

int
plx_pci_enable(struct plx_pci *pci, bool on)
{
	/* INTx stays off: an emulated device would raise it for each completion otherwise */
	if (on)
		return modify(pci, PCI_COMMAND,
			PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_INTX_DISABLE, 0);
	return modify(pci, PCI_COMMAND, 0, PCI_COMMAND_MASTER);
}

int
plx_pci_msix_enable(struct plx_pci *pci, bool on)
{
	uint16_t reg = (uint16_t)(pci->cap_msix + PCI_MSIX_FLAGS);

	if (pci->cap_msix == 0)
		return -ENOTSUP;
	/* the function mask would keep every vector silent */
	if (on)
		return modify(pci, reg, PCI_MSIX_FLAGS_ENABLE, PCI_MSIX_FLAGS_MASKALL);
	return modify(pci, reg, 0, PCI_MSIX_FLAGS_ENABLE);
}

int
plx_pci_poll(struct plx_pci *pci)
{
	int rc;

	if (pci->run == NULL)
		return 0;
	rc = pci->run(pci);
	if (rc != -EINPROGRESS)
		pci->run = NULL;
	return rc;
}

bool
plx_pci_match(const struct plx_pci *pci, const struct plx_pci_id *ids)
{
	for (; ids->vendor != 0; ids++) {
		if ((ids->vendor == PLX_PCI_ANY || ids->vendor == pci->vendor) &&
			(ids->device == PLX_PCI_ANY || ids->device == pci->device) &&
			(ids->class_code == PLX_PCI_ANY || ids->class_code == pci->class_code))
			return true;
	}
	return false;
}
