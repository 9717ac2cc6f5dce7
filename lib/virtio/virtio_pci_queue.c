/* SPDX-License-Identifier: BSD-3-Clause */
/* Virtio behind PCI: queues, their doorbells and interrupts. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include <linux/vfio.h>
#include <linux/virtio_pci.h>

#include "plx_log.h"
#include "plx_mem.h"

#include "virtio_pci_priv.h"

PLX_LOG_USE(virtio);

/* The doorbell of the queue (4.1.4.4). @return 0; -EPROTO it lies outside; -ENOTSUP */
static int
find_doorbell(struct virtio_pci *p, struct plx_virtio_queue *q, uint16_t notify_off)
{
	bool wide = plx_virtio_has(&p->dev, VIRTIO_F_NOTIFICATION_DATA);
	uint64_t off = (uint64_t)notify_off * p->notify_mult;
	uint32_t len = wide ? 4 : 2;

	if (off > p->notify.len || len > p->notify.len - off || off % len != 0) {
		PLX_LOG(ERR, "%s: queue %u: its doorbell lies outside of its structure",
			p->dev.name, q->qid);
		return -EPROTO;
	}
	q->db_wide = wide;
	q->db_value = q->qid;
	q->db = plx_vfio_region_ptr(p->vfio, p->notify.bar, p->notify.off + off, len);
	/* by message it takes 4 bytes, which may be the next queue's */
	if (q->db == NULL &&
		((p->notify_mult != 0 && p->notify_mult < 4) || p->notify.len - off < 4)) {
		PLX_LOG(ERR, "%s: queue %u: its doorbell can't be mapped", p->dev.name, q->qid);
		return -ENOTSUP;
	}
	p->db_off[q->qid] = (uint32_t)off;
	return 0;
}

void
virtio_pci_notify(struct plx_virtio_queue *q, uint16_t data)
{
	struct virtio_pci *p = (struct virtio_pci *)q->dev;
	uint32_t v = q->db_value | (q->db_wide ? (uint32_t)data << 16 : 0);

	plx_vfio_region_post(
		p->vfio, p->notify.bar, p->notify.off + p->db_off[q->qid], rte_cpu_to_le_32(v));
}

static bool
wants_vectors(const struct virtio_pci *p)
{
	for (uint16_t i = 0; i < p->nqueues; i++)
		if (p->queues[i]->call_fd >= 0)
			return true;
	return false;
}

/* Vector i is queue i's. @return 0; -EINPROGRESS; -ENOTSUP */
static int
wire_vectors(struct virtio_pci *p)
{
	uint16_t i;

	if (p->nqueues > p->pci->msix_count) {
		PLX_LOG(ERR, "%s: %u queues with interrupts, and %u vectors", p->dev.name,
			p->nqueues, p->pci->msix_count);
		return -ENOTSUP;
	}
	p->fds = calloc(p->nqueues, sizeof(*p->fds));
	if (p->fds == NULL)
		return -ENOMEM;
	for (i = 0; i < p->nqueues; i++)
		p->fds[i] = p->queues[i]->call_fd;
	return plx_vfio_irq_set(p->vfio, VFIO_PCI_MSIX_IRQ_INDEX, 0, p->fds, p->nqueues);
}

/* 64-bit addresses are written as two halves (4.1.3.1). */
static uint32_t
lo(const struct virtio_pci *p, const void *va)
{
	return (uint32_t)plx_mem_iova(p->dev.domain, va, 1);
}

static uint32_t
hi(const struct virtio_pci *p, const void *va)
{
	return (uint32_t)(plx_mem_iova(p->dev.domain, va, 1) >> 32);
}

static int
run_start(struct virtio_pci *p)
{
	struct plx_virtio_queue *q = p->i < p->nqueues ? p->queues[p->i] : NULL;

	PLX_PT_BEGIN(&p->pt);
	if (wants_vectors(p)) {
		PLX_PT_CALL(&p->pt, p->rc, wire_vectors(p), plx_vfio_poll(p->vfio));
		free(p->fds);
		p->fds = NULL;
		if (p->rc != 0)
			PLX_PT_RETURN(&p->pt, p->rc);
		p->msix = true;
		PLX_PT_CALL(&p->pt, p->rc, plx_pci_msix_enable(p->pci, true), plx_pci_poll(p->pci));
		if (p->rc != 0)
			PLX_PT_RETURN(&p->pt, p->rc);
	}
	for (p->i = 0; p->i < p->nqueues; p->i++) {
		q = p->queues[p->i];
		WRITE(p, VIRTIO_PCI_COMMON_Q_SELECT, 2, q->qid);
		READ(p, VIRTIO_PCI_COMMON_Q_SIZE, 2);
		if (q->vq->size > p->val) {
			PLX_LOG(ERR, "%s: queue %u takes %" PRIu64 " entries, not %u", p->dev.name,
				q->qid, p->val, q->vq->size);
			PLX_PT_RETURN(&p->pt, -EINVAL);
		}
		WRITE(p, VIRTIO_PCI_COMMON_Q_SIZE, 2, q->vq->size);
		WRITE(p, VIRTIO_PCI_COMMON_Q_DESCLO, 4, lo(p, q->vq->parts.desc));
		WRITE(p, VIRTIO_PCI_COMMON_Q_DESCHI, 4, hi(p, q->vq->parts.desc));
		WRITE(p, VIRTIO_PCI_COMMON_Q_AVAILLO, 4, lo(p, q->vq->parts.driver));
		WRITE(p, VIRTIO_PCI_COMMON_Q_AVAILHI, 4, hi(p, q->vq->parts.driver));
		WRITE(p, VIRTIO_PCI_COMMON_Q_USEDLO, 4, lo(p, q->vq->parts.device));
		WRITE(p, VIRTIO_PCI_COMMON_Q_USEDHI, 4, hi(p, q->vq->parts.device));
		if (q->call_fd >= 0) {
			WRITE(p, VIRTIO_PCI_COMMON_Q_MSIX, 2, q->qid);
			READ(p, VIRTIO_PCI_COMMON_Q_MSIX, 2);
			if (p->val == VIRTIO_MSI_NO_VECTOR) {
				PLX_LOG(ERR, "%s: queue %u gets no vector", p->dev.name, q->qid);
				PLX_PT_RETURN(&p->pt, -ENOSPC);
			}
		}
		READ(p, VIRTIO_PCI_COMMON_Q_NOFF, 2);
		p->rc = find_doorbell(p, q, (uint16_t)p->val);
		if (p->rc != 0)
			PLX_PT_RETURN(&p->pt, p->rc);
		if (plx_virtio_has(&p->dev, VIRTIO_F_NOTIF_CONFIG_DATA)) {
			READ(p, COMMON_NDATA, 2);
			q->db_value = (uint16_t)p->val;
		}
		WRITE(p, VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
	}
	WRITE(p, VIRTIO_PCI_COMMON_STATUS, 1,
		VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER | VIRTIO_CONFIG_S_FEATURES_OK |
			VIRTIO_CONFIG_S_DRIVER_OK);
	PLX_PT_END(&p->pt);
}

int
virtio_pci_start(struct plx_virtio_dev *dev, struct plx_virtio_queue *const *q, uint16_t n)
{
	struct virtio_pci *p = (struct virtio_pci *)dev;

	free(p->db_off);
	p->db_off = calloc(n, sizeof(*p->db_off));
	if (p->db_off == NULL)
		return -ENOMEM;
	p->queues = q;
	p->nqueues = n;
	p->i = 0;
	return virtio_pci_begin(p, run_start);
}
