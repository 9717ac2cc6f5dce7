/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What is known of certain controllers and they don't say themselves. Found once, at attach, by PCI
 * ids, unless the key quirks= says something else. What a controller says wrongly is corrected
 * where it is read, so that the driver needn't know.
 */
#include <string.h>

#include <rte_byteorder.h>

#include "plx_log.h"
#include "plx_pci.h"

#include "nvme_priv.h"

PLX_LOG_USE(nvme);

#define ANY UINT16_MAX
#define LATE NVME_QUIRK_LATE_READY
#define INIT NVME_QUIRK_SLOW_INIT
#define STRIPE NVME_QUIRK_STRIPE
#define NO_LIST NVME_QUIRK_NO_NS_LIST
#define NO_ZEROES NVME_QUIRK_NO_ZEROES
#define BAD_ID NVME_QUIRK_BAD_ID

static const struct {
	uint16_t vendor, device;
	uint32_t quirks;
} known[] = {
	/* Intel DC P3x00, P3x08, P4500, P4600, P55xx: commands that cross a stripe, whose size is
	 * in the vendor's part of Identify, are slow; some don't have their registers up for 2 s
	 * after a reset of the function, and share one identifier. */
	{0x8086, 0x0953, STRIPE | INIT},
	{0x8086, 0x0a53, STRIPE | INIT},
	{0x8086, 0x0a54, STRIPE | INIT | BAD_ID},
	{0x8086, 0x0a55, STRIPE},
	{0x8086, 0x0b60, STRIPE},
	/* Intel 600p: wants queues of medium priority */
	{0x8086, 0xf1a5, NVME_QUIRK_MEDIUM_PRIO | NO_ZEROES},
	/* QEMU's first controllers, under an id of Intel's: Identify knows only controller and
	 * namespace */
	{0x8086, 0x5845, NO_LIST | NO_ZEROES},
	/* CNEX Labs open channel */
	{0x1d1d, 0x1f1f, NO_LIST},
	/* CSTS must not be read for 2.3 s after CC.EN changed: Seagate Nytro, HGST SN100 and SN200,
	 * Memblaze Pblaze4, Samsung PM1725 and PM1725a */
	{0x1bb1, 0x0100, LATE},
	{0x1c58, 0x0003, LATE},
	{0x1c58, 0x0023, LATE},
	{0x1c5f, 0x0540, LATE},
	{0x144d, 0xa821, LATE},
	{0x144d, 0xa822, LATE | NO_ZEROES},
	{0x144d, 0xa826, LATE},
	/* Identifiers that several drives share: Silicon Motion, Phison, Micron, SK Hynix, Samsung
	 */
	{0x126f, 0x2262, BAD_ID},
	{0x126f, 0x2263, BAD_ID},
	{0x1987, 0x5012, BAD_ID},
	{0x1987, 0x5016, BAD_ID},
	{0x1344, 0x6001, BAD_ID},
	{0x1c5c, 0x174a, BAD_ID},
	{0x144d, 0xa802, BAD_ID},
	{0x144d, 0xa80b, BAD_ID | NO_ZEROES},
	/* Write Zeroes that fails, or takes too long: Samsung, Phison, SK Hynix, SanDisk, SPCC,
	 * Union Memory, Kingston */
	{0x144d, 0xa809, NO_ZEROES},
	{0x1987, 0x5019, NO_ZEROES},
	{0x1987, 0x5021, NO_ZEROES},
	{0x1c5c, 0x1504, NO_ZEROES},
	{0x1c5c, 0x1d59, NO_ZEROES},
	{0x15b7, 0x2001, NO_ZEROES},
	{0x1d97, 0x2263, NO_ZEROES},
	{0x1cc4, 0x6302, NO_ZEROES},
	{0x1cc4, 0x6303, NO_ZEROES},
	{0x2646, 0x5016, NO_ZEROES},
	{0x2646, 0x5018, NO_ZEROES},
	{0x2646, 0x501a, NO_ZEROES},
	{0x2646, 0x501b, NO_ZEROES},
	{0x2646, 0x501e, NO_ZEROES},
	{0x2646, 0x502f, NO_ZEROES},
	/* VMware: a shutdown may never be said to be complete */
	{0x15ad, 0x07f0, NVME_QUIRK_NO_SHUTDOWN},
	/* Huawei: SGLs are offered, but don't work */
	{0x19e5, ANY, NVME_QUIRK_NO_SGL},
	/* QEMU 7.2. With protection information: Compare fails where that differs, which it should
	 * not look at; deallocated blocks can't be read, their tags being neither right nor all
	 * ones. Without: of metadata that is longer than 512 bytes only the part beyond whole 512
	 * bytes is moved, and the rest is lost without a word. */
	{0x1b36, 0x0010, NVME_QUIRK_BAD_PI | NVME_QUIRK_META_512},
	/* VirtualBox: a queue takes commands only some time after it was created */
	{0x80ee, 0x4e56, NVME_QUIRK_LATE_QUEUE},
};

static const struct {
	const char *name;
	uint32_t quirk;
} names[] = {
	{"late_ready", LATE},
	{"slow_init", INIT},
	{"stripe", STRIPE},
	{"no_ns_list", NO_LIST},
	{"no_zeroes", NO_ZEROES},
	{"bad_id", BAD_ID},
	{"medium_prio", NVME_QUIRK_MEDIUM_PRIO},
	{"no_shutdown", NVME_QUIRK_NO_SHUTDOWN},
	{"no_sgl", NVME_QUIRK_NO_SGL},
	{"late_queue", NVME_QUIRK_LATE_QUEUE},
	{"bad_pi", NVME_QUIRK_BAD_PI},
	{"meta_512", NVME_QUIRK_META_512},
};

/* @return the quirk of a name of this length, 0: none */
static uint32_t
named(const char *name, size_t len)
{
	size_t i;

	for (i = 0; i < RTE_DIM(names); i++)
		if (strlen(names[i].name) == len && memcmp(names[i].name, name, len) == 0)
			return names[i].quirk;
	return 0;
}

static int
given(struct nvme_ctrlr *c, const char *list)
{
	uint32_t quirk;
	size_t len;

	if (strcmp(list, "none") == 0)
		return 0;
	for (;; list += len + 1) {
		len = strcspn(list, "+");
		quirk = named(list, len);
		if (quirk == 0)
			return plx_arg_bad(c->dev, "quirks",
				"is neither auto, none, nor names joined by '+'; see the guide");
		c->quirks |= quirk;
		if (list[len] == '\0')
			return 0;
	}
}

static void
show(const struct nvme_ctrlr *c)
{
	size_t i;

	for (i = 0; i < RTE_DIM(names); i++)
		if (nvme_quirk(c, names[i].quirk))
			PLX_LOG(DEBUG, "nvme: %s: quirk %s", c->name, names[i].name);
}

int
nvme_quirks_find(struct nvme_ctrlr *c)
{
	const char *list = plx_arg_str(c->dev, "quirks");
	const struct plx_pci *pci = c->dev->pci;
	size_t i;
	int rc = 0;

	if (list != NULL && strcmp(list, "auto") != 0) {
		rc = given(c, list);
	} else {
		for (i = 0; i < RTE_DIM(known); i++)
			if (known[i].vendor == pci->vendor &&
				(known[i].device == pci->device || known[i].device == ANY))
				c->quirks |= known[i].quirks;
	}
	show(c);
	return rc;
}

/* Correct c->id. */
void
nvme_quirks_ctrlr(struct nvme_ctrlr *c)
{
	if (nvme_quirk(c, NVME_QUIRK_NO_SGL))
		c->id.sgls = 0;
	if (nvme_quirk(c, NVME_QUIRK_NO_ZEROES))
		c->id.oncs &= rte_cpu_to_le_16((uint16_t)~NVME_CTRL_ONCS_WRITE_ZEROES);
}

void
nvme_quirks_ns(const struct nvme_ctrlr *c, struct nvme_id_ns *id)
{
	uint8_t shift = id->lbaf[id->flbas & 0xf].ds, stripe = c->id.vs[3];

	if (nvme_quirk(c, NVME_QUIRK_BAD_ID)) {
		memset(id->nguid, 0, sizeof(id->nguid));
		memset(id->eui64, 0, sizeof(id->eui64));
	}
	/* pages, as a power of two */
	if (nvme_quirk(c, NVME_QUIRK_STRIPE) && id->noiob == 0 && stripe > 0 && stripe < 16 &&
		shift >= 9 && shift <= 16)
		id->noiob = rte_cpu_to_le_16((uint16_t)RTE_MIN(
			((uint64_t)c->page_size << stripe) >> shift, (uint64_t)UINT16_MAX));
}

/* Correct what is offered of a namespace. */
void
nvme_quirks_info(const struct nvme_ctrlr *c, struct plx_blk_info *info)
{
	if (nvme_quirk(c, NVME_QUIRK_BAD_PI) && info->pi_type != 0)
		info->caps &= ~(uint32_t)(PLX_BLK_CAP_COMPARE | PLX_BLK_CAP_DISCARD);
}
