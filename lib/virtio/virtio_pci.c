/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Virtio behind PCI, modern devices only (Virtio 1.2, 4.1). Structures lie in BARs where the
 * vendor capabilities say; registers are reached through lib/vfio one after the other, as the
 * function may be served by another process. Doorbells are mapped where that can be.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_pci.h>

#include "plx_ctrl.h"
#include "plx_log.h"
#include "plx_mem.h"
#include "plx_pci.h"
#include "plx_vfio.h"

#include "virtio_pci_priv.h"

PLX_LOG_USE(virtio);

#define FIRST_MODERN_ID 0x1040
#define RESET_MS 10000
#define CONFIG_TRIES 16

/* What this transport takes by itself when it is offered. */
#define TRANSPORT_FEATURES                                              \
	(BIT(VIRTIO_F_ACCESS_PLATFORM) | BIT(VIRTIO_F_ORDER_PLATFORM) | \
		BIT(VIRTIO_F_NOTIFICATION_DATA) | BIT(VIRTIO_F_NOTIF_CONFIG_DATA))
#define NEVER_FEATURES (BIT(VIRTIO_F_SR_IOV) | BIT(40) /* RING_RESET */ | BIT(41) /* ADMIN_VQ */)

/* ---- registers ---- */

int
virtio_pci_reg_step(struct virtio_pci *p)
{
	const struct part *part = p->io.part;
	int rc;

	if (p->io.begun)
		rc = plx_vfio_poll(p->vfio);
	else if (p->io.write)
		rc = plx_vfio_region_write(
			p->vfio, part->bar, part->off + p->io.off, &p->io.value, p->io.len);
	else
		rc = plx_vfio_region_read(
			p->vfio, part->bar, part->off + p->io.off, &p->io.value, p->io.len);
	if (!p->io.begun && rc == -EBUSY) /* the memory map is being changed */
		return -EINPROGRESS;
	p->io.begun = true;
	if (rc == 0)
		p->val = rte_le_to_cpu_64(p->io.value);
	return rc;
}

int
virtio_pci_reg(struct virtio_pci *p, const struct part *part, uint32_t off, uint32_t len,
	bool write, uint64_t value)
{
	p->io.part = part;
	p->io.off = off;
	p->io.len = len;
	p->io.write = write;
	p->io.begun = false;
	p->io.value = rte_cpu_to_le_64(value);
	return virtio_pci_reg_step(p);
}

int
virtio_pci_begin(struct virtio_pci *p, int (*run)(struct virtio_pci *p))
{
	p->run = run;
	p->pt = p->sub = (struct plx_pt){0};
	return p->dev.ops->poll(&p->dev);
}

static int
pci_poll(struct plx_virtio_dev *dev)
{
	struct virtio_pci *p = (struct virtio_pci *)dev;
	int rc = p->run != NULL ? p->run(p) : plx_vfio_poll(p->vfio);
	int lost = __atomic_load_n(&p->vfio->lost, __ATOMIC_RELAXED);

	if (lost != 0 && dev->lost == 0)
		__atomic_store_n(&dev->lost, lost, __ATOMIC_RELAXED);
	if (lost != 0)
		rc = -ENODEV;
	else if (p->run == NULL && rc == -EINPROGRESS)
		rc = 0; /* somebody else's */
	if (rc != -EINPROGRESS)
		p->run = NULL;
	return rc;
}

/* ---- capabilities (4.1.4) ---- */

static uint32_t
cap32(const struct plx_pci *pci, unsigned int off)
{
	uint32_t v;

	memcpy(&v, pci->cfg + off, sizeof(v));
	return rte_le_to_cpu_32(v);
}

/* @return whether the structure lies in a BAR and is long enough */
static bool
part_of(const struct virtio_pci *p, uint8_t pos, uint32_t min, struct part *part)
{
	uint64_t size;

	part->bar = p->pci->cfg[pos + VIRTIO_PCI_CAP_BAR];
	part->off = cap32(p->pci, pos + VIRTIO_PCI_CAP_OFFSET);
	part->len = cap32(p->pci, pos + VIRTIO_PCI_CAP_LENGTH);
	if (part->bar > VFIO_PCI_BAR5_REGION_INDEX)
		return false;
	size = p->vfio->regions[part->bar].size;
	return part->len >= min && part->off <= size && part->len <= size - part->off &&
	       part->off % 4 == 0;
}

/* The first usable structure of each type counts (4.1.4.1). */
static void
find_parts(struct virtio_pci *p)
{
	uint8_t pos = 0;
	struct part part;

	while ((pos = plx_pci_cap_next(p->pci, PCI_CAP_ID_VNDR, pos)) != 0) {
		if (pos > sizeof(p->pci->cfg) - sizeof(struct virtio_pci_notify_cap))
			continue;
		switch (p->pci->cfg[pos + VIRTIO_PCI_CAP_CFG_TYPE]) {
		case VIRTIO_PCI_CAP_COMMON_CFG:
			if (p->common.len == 0 && part_of(p, pos, COMMON_LEN, &part))
				p->common = part;
			break;
		case VIRTIO_PCI_CAP_NOTIFY_CFG:
			if (p->notify.len == 0 && part_of(p, pos, 2, &part)) {
				p->notify = part;
				p->notify_mult = cap32(p->pci, pos + VIRTIO_PCI_NOTIFY_CAP_MULT);
			}
			break;
		case VIRTIO_PCI_CAP_DEVICE_CFG:
			if (p->config.len == 0 && part_of(p, pos, 1, &part))
				p->config = part;
			break;
		default:
			break;
		}
	}
}

static int
check_parts(const struct virtio_pci *p)
{
	if (p->common.len != 0 && p->notify.len != 0)
		return 0;
	if (plx_pci_cap_next(p->pci, PCI_CAP_ID_VNDR, 0) == 0) {
		PLX_LOG(ERR,
			"%s: a legacy virtio device (%04x:%04x), from before Virtio 1.0; QEMU "
			"makes a "
			"modern one with disable-legacy=on",
			p->dev.name, p->pci->vendor, p->pci->device);
		return -EPROTONOSUPPORT;
	}
	PLX_LOG(ERR, "%s: its capabilities name no usable %s structure: not a virtio device",
		p->dev.name, p->common.len == 0 ? "common configuration" : "notification");
	return -EPROTO;
}

/* ---- opening ---- */

/* Write 0 to the status and wait until it reads so (4.1.4.3.2). */
static int
reset_device(struct virtio_pci *p)
{
	PLX_PT_BEGIN(&p->sub);
	ACCESS(p, &p->sub, &p->common, VIRTIO_PCI_COMMON_STATUS, 1, true, 0);
	p->until = plx_deadline_in(RESET_MS);
	for (;;) {
		ACCESS(p, &p->sub, &p->common, VIRTIO_PCI_COMMON_STATUS, 1, false, 0);
		if (p->val == 0)
			PLX_PT_RETURN(&p->sub, 0);
		if (plx_deadline_past(p->until)) {
			PLX_LOG(ERR,
				"%s: not reset within %d s (status %#" PRIx64 "); restart what "
				"serves it",
				p->dev.name, RESET_MS / 1000, p->val);
			PLX_PT_RETURN(&p->sub, -ETIMEDOUT);
		}
		p->pause = plx_deadline_in(1);
		PLX_PT_WAIT(&p->sub, plx_deadline_past(p->pause));
	}
	PLX_PT_END(&p->sub);
}

/* What is offered must let the device be used here. */
static int
check_features(const struct virtio_pci *p)
{
	if (!(p->device_features & BIT(VIRTIO_F_VERSION_1))) {
		PLX_LOG(ERR, "%s: it doesn't offer VERSION_1: a legacy device", p->dev.name);
		return -EPROTONOSUPPORT;
	}
	if (p->vfio->iommu && !(p->device_features & BIT(VIRTIO_F_ACCESS_PLATFORM))) {
		PLX_LOG(ERR,
			"%s: it doesn't offer ACCESS_PLATFORM: it would pass by the IOMMU, to "
			"wrong "
			"memory; QEMU's offers it with iommu_platform=on",
			p->dev.name);
		return -EPROTONOSUPPORT;
	}
	return 0;
}

static int
run_open(struct virtio_pci *p)
{
	PLX_PT_BEGIN(&p->pt);
	PLX_PT_CALL(&p->pt, p->rc, plx_pci_enable(p->pci, true), plx_pci_poll(p->pci));
	if (p->rc != 0)
		PLX_PT_RETURN(&p->pt, p->rc);
	PLX_PT_CALL(&p->pt, p->rc, reset_device(p), reset_device(p));
	if (p->rc != 0)
		PLX_PT_RETURN(&p->pt, p->rc);
	p->device_features = 0;
	for (p->i = 0; p->i < 2; p->i++) {
		WRITE(p, VIRTIO_PCI_COMMON_DFSELECT, 4, p->i);
		READ(p, VIRTIO_PCI_COMMON_DF, 4);
		p->device_features |= (p->val & UINT32_MAX) << 32 * p->i;
	}
	p->rc = check_features(p);
	if (p->rc != 0)
		PLX_PT_RETURN(&p->pt, p->rc);
	p->dev.offered = p->device_features & ~TRANSPORT_FEATURES & ~NEVER_FEATURES;
	READ(p, VIRTIO_PCI_COMMON_NUMQ, 2);
	p->dev.max_queues = (uint16_t)p->val;
	READ(p, VIRTIO_PCI_COMMON_CFGGENERATION, 1);
	p->generation = (uint8_t)p->val;
	PLX_PT_END(&p->pt);
}

static const struct plx_virtio_ops pci_ops;

int
plx_virtio_pci_open(struct plx_pci *pci, struct plx_virtio_dev **dev)
{
	struct virtio_pci *p = calloc(1, sizeof(*p));
	int rc;

	if (p == NULL)
		return -ENOMEM;
	p->pci = pci;
	p->vfio = pci->vfio;
	p->dev.ops = &pci_ops;
	p->dev.domain = p->vfio->domain;
	p->dev.numa_node = p->vfio->numa_node;
	snprintf(p->dev.name, sizeof(p->dev.name), "%s", p->vfio->name);
	/* a transitional function tells the type by its subsystem (4.1.2.3) */
	p->dev.device_id =
		pci->device >= FIRST_MODERN_ID ? pci->device - FIRST_MODERN_ID : pci->subdevice;
	find_parts(p);
	rc = check_parts(p);
	if (rc != 0) {
		free(p);
		return rc;
	}
	/* the outcome is given by poll, even when nothing had to be waited for */
	p->run = run_open;
	p->dev.busy = true;
	*dev = &p->dev;
	return 0;
}

/* ---- features ---- */

static int
run_negotiate(struct virtio_pci *p)
{
	PLX_PT_BEGIN(&p->pt);
	WRITE(p, VIRTIO_PCI_COMMON_STATUS, 1, VIRTIO_CONFIG_S_ACKNOWLEDGE);
	WRITE(p, VIRTIO_PCI_COMMON_STATUS, 1, VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER);
	for (p->i = 0; p->i < 2; p->i++) {
		WRITE(p, VIRTIO_PCI_COMMON_GFSELECT, 4, p->i);
		WRITE(p, VIRTIO_PCI_COMMON_GF, 4, (uint32_t)(p->want >> 32 * p->i));
	}
	WRITE(p, VIRTIO_PCI_COMMON_STATUS, 1,
		VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER | VIRTIO_CONFIG_S_FEATURES_OK);
	READ(p, VIRTIO_PCI_COMMON_STATUS, 1);
	if (!(p->val & VIRTIO_CONFIG_S_FEATURES_OK)) {
		PLX_LOG(ERR, "%s: refuses the features %#" PRIx64 " of those that it offers",
			p->dev.name, p->want);
		WRITE(p, VIRTIO_PCI_COMMON_STATUS, 1, VIRTIO_CONFIG_S_FAILED);
		PLX_PT_RETURN(&p->pt, -EPROTONOSUPPORT);
	}
	p->dev.features = p->want;
	PLX_PT_END(&p->pt);
}

static int
pci_negotiate(struct plx_virtio_dev *dev, uint64_t features)
{
	struct virtio_pci *p = (struct virtio_pci *)dev;

	p->want = features | (p->device_features & TRANSPORT_FEATURES);
	if (p->common.len < COMMON_NDATA + 2)
		p->want &= ~BIT(VIRTIO_F_NOTIF_CONFIG_DATA);
	return virtio_pci_begin(p, run_negotiate);
}

/* ---- the device's configuration ---- */

/* A field of 1, 2 or 4 bytes at once; more, in words. */
static uint32_t
width(uint32_t off, uint32_t left)
{
	if (left >= 4 && off % 4 == 0)
		return 4;
	return left >= 2 && off % 2 == 0 ? 2 : 1;
}

static int
run_config_read(struct virtio_pci *p)
{
	uint64_t v;

	PLX_PT_BEGIN(&p->pt);
	for (p->tries = 0; p->tries < CONFIG_TRIES; p->tries++) {
		READ(p, VIRTIO_PCI_COMMON_CFGGENERATION, 1);
		p->generation = (uint8_t)p->val;
		for (p->pos = 0; p->pos < p->len; p->pos += p->i) {
			p->i = width(p->off + p->pos, p->len - p->pos);
			ACCESS(p, &p->pt, &p->config, p->off + p->pos, p->i, false, 0);
			v = rte_cpu_to_le_64(p->val);
			memcpy(p->cfg + p->pos, &v, p->i);
		}
		READ(p, VIRTIO_PCI_COMMON_CFGGENERATION, 1);
		if ((uint8_t)p->val == p->generation) {
			memcpy(p->buf, p->cfg, p->len);
			PLX_PT_RETURN(&p->pt, 0);
		}
	}
	PLX_LOG(ERR, "%s: its configuration changed %d times while it was read", p->dev.name,
		CONFIG_TRIES);
	PLX_PT_RETURN(&p->pt, -EPROTO);
	PLX_PT_END(&p->pt);
}

static int
pci_config_read(struct plx_virtio_dev *dev, uint32_t off, void *buf, uint32_t len)
{
	struct virtio_pci *p = (struct virtio_pci *)dev;

	if (p->config.len == 0) {
		PLX_LOG(ERR, "%s: it has no configuration structure", dev->name);
		return -EPROTO;
	}
	if (len > CONFIG_MAX)
		return -EINVAL;
	memset(buf, 0, len);
	p->off = off;
	p->buf = buf;
	p->len = off >= p->config.len ? 0 : RTE_MIN(len, p->config.len - off);
	return virtio_pci_begin(p, run_config_read);
}

static int
run_config_write(struct virtio_pci *p)
{
	uint64_t v;

	PLX_PT_BEGIN(&p->pt);
	for (p->pos = 0; p->pos < p->len; p->pos += p->i) {
		p->i = width(p->off + p->pos, p->len - p->pos);
		v = 0;
		memcpy(&v, p->cfg + p->pos, p->i);
		ACCESS(p, &p->pt, &p->config, p->off + p->pos, p->i, true, rte_le_to_cpu_64(v));
	}
	PLX_PT_END(&p->pt);
}

static int
pci_config_write(struct plx_virtio_dev *dev, uint32_t off, const void *buf, uint32_t len)
{
	struct virtio_pci *p = (struct virtio_pci *)dev;

	if (len > CONFIG_MAX || off > p->config.len || len > p->config.len - off)
		return -ENOTSUP;
	memcpy(p->cfg, buf, len);
	p->off = off;
	p->len = len;
	return virtio_pci_begin(p, run_config_write);
}

/* ---- queues ---- */

static int
run_queue_max(struct virtio_pci *p)
{
	PLX_PT_BEGIN(&p->pt);
	WRITE(p, VIRTIO_PCI_COMMON_Q_SELECT, 2, p->i);
	READ(p, VIRTIO_PCI_COMMON_Q_SIZE, 2);
	*p->size = (uint16_t)p->val;
	PLX_PT_RETURN(&p->pt, *p->size == 0 ? -EINVAL : 0);
	PLX_PT_END(&p->pt);
}

static int
pci_queue_max(struct plx_virtio_dev *dev, uint16_t qid, uint16_t *size)
{
	struct virtio_pci *p = (struct virtio_pci *)dev;

	p->i = qid;
	p->size = size;
	return virtio_pci_begin(p, run_queue_max);
}

/* A change of the configuration shows by its generation (2.5.3). */
static int
run_status(struct virtio_pci *p)
{
	PLX_PT_BEGIN(&p->pt);
	READ(p, VIRTIO_PCI_COMMON_STATUS, 1);
	if (p->val == 0xff) { /* all bits at once: nothing is there (PCI reads all ones) */
		__atomic_store_n(&p->dev.lost, -ENODEV, __ATOMIC_RELAXED);
		PLX_PT_RETURN(&p->pt, -ENODEV);
	}
	p->dev.status = (uint8_t)p->val;
	READ(p, VIRTIO_PCI_COMMON_CFGGENERATION, 1);
	if ((uint8_t)p->val != p->generation) {
		p->generation = (uint8_t)p->val;
		p->dev.config_changes++;
	}
	PLX_PT_END(&p->pt);
}

static int
pci_status(struct plx_virtio_dev *dev)
{
	return virtio_pci_begin((struct virtio_pci *)dev, run_status);
}

static int
run_reset(struct virtio_pci *p)
{
	PLX_PT_BEGIN(&p->pt);
	PLX_PT_CALL(&p->pt, p->rc, reset_device(p), reset_device(p));
	if (p->rc != 0)
		PLX_PT_RETURN(&p->pt, p->rc);
	if (p->msix) {
		PLX_PT_CALL(
			&p->pt, p->rc, plx_pci_msix_enable(p->pci, false), plx_pci_poll(p->pci));
		if (p->rc != 0)
			PLX_PT_RETURN(&p->pt, p->rc);
		PLX_PT_CALL(&p->pt, p->rc,
			plx_vfio_irq_set(p->vfio, VFIO_PCI_MSIX_IRQ_INDEX, 0, NULL, 0),
			plx_vfio_poll(p->vfio));
		p->msix = false;
		PLX_PT_RETURN(&p->pt, p->rc);
	}
	PLX_PT_END(&p->pt);
}

static int
pci_reset(struct plx_virtio_dev *dev)
{
	return virtio_pci_begin((struct virtio_pci *)dev, run_reset);
}

static void
pci_close(struct plx_virtio_dev *dev)
{
	struct virtio_pci *p = (struct virtio_pci *)dev;

	free(p->fds);
	free(p->db_off);
	free(p);
}

static const struct plx_virtio_ops pci_ops = {
	.name = "virtio-pci",
	.poll = pci_poll,
	.negotiate = pci_negotiate,
	.config_read = pci_config_read,
	.config_write = pci_config_write,
	.queue_max = pci_queue_max,
	.start = virtio_pci_start,
	.status = pci_status,
	.reset = pci_reset,
	.notify = virtio_pci_notify,
	.close = pci_close,
};
