/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The device and its rings as text. The owner of a queue works on meanwhile, and the device writes
 * where it may: entries are read once, and only printed.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <rte_byteorder.h>

#include "vblk_priv.h"

#define AROUND 16 /* entries shown */

static void
dump_regs(const struct vblk *v, FILE *out)
{
	const struct plx_virtio_dev *vio = v->vio;

	fprintf(out, "transport    %s\n", vio->name);
	fprintf(out, "offered      0x%016" PRIx64 "\nnegotiated   0x%016" PRIx64 "\n", vio->offered,
		vio->features);
	fprintf(out, "status       0x%02x%s\n", vio->status, vio->lost != 0 ? ", lost" : "");
	fprintf(out, "changes      %u of the configuration\n", vio->config_changes);
	fprintf(out, "capacity     %" PRIu64 " sectors\n", rte_le_to_cpu_64(v->cfg.capacity));
	fprintf(out, "rings        up to %u entries, %s\n", v->max_queue_size,
		vio->features >> VIRTIO_F_RING_PACKED & 1 ? "packed" : "split");
}

static uint16_t
shown(const struct plx_virtq *vq)
{
	return vq->size < AROUND ? vq->size : AROUND;
}

/* Virtio 1.2, 2.7: the last descriptors that were made available, and what was used last. */
static void
dump_split(const struct plx_virtq *vq, FILE *out)
{
	const volatile struct vring_used *used = vq->used;
	uint16_t avail = rte_le_to_cpu_16(__atomic_load_n(&vq->avail->idx, __ATOMIC_RELAXED));
	uint16_t idx = rte_le_to_cpu_16(used->idx), n = shown(vq);

	fprintf(out, "avail index %u, used index %u; taken back up to %u\n", avail, idx,
		vq->last_used);
	for (uint16_t k = 0; k < n; k++) {
		uint16_t at = (uint16_t)(avail - n + k) & vq->mask;
		uint16_t id = rte_le_to_cpu_16(vq->avail->ring[at]);
		const volatile struct vring_desc *d = &vq->desc[id & vq->mask];

		fprintf(out, "avail %5u  id %u addr %#" PRIx64 " len %u flags %#x next %u\n", at,
			id, (uint64_t)rte_le_to_cpu_64(d->addr), rte_le_to_cpu_32(d->len),
			rte_le_to_cpu_16(d->flags), rte_le_to_cpu_16(d->next));
	}
	for (uint16_t k = 0; k < n; k++) {
		uint16_t at = (uint16_t)(idx - n + k) & vq->mask;

		fprintf(out, "used  %5u  id %u len %u\n", at, rte_le_to_cpu_32(used->ring[at].id),
			rte_le_to_cpu_32(used->ring[at].len));
	}
}

/* Virtio 1.2, 2.8: the descriptors around the next one to be taken back. */
static void
dump_packed(const struct plx_virtq *vq, FILE *out)
{
	uint16_t n = shown(vq), last = vq->last_used;

	fprintf(out, "next to add %u, next to be taken back %u\n", vq->pos, last);
	for (uint16_t k = 0; k < n; k++) {
		uint16_t at = (uint16_t)(last - n / 2 + k) & vq->mask;
		const volatile struct vring_packed_desc *d = &vq->ring[at];

		fprintf(out, "%5u  id %u addr %#" PRIx64 " len %u flags %#x\n", at,
			rte_le_to_cpu_16(d->id), (uint64_t)rte_le_to_cpu_64(d->addr),
			rte_le_to_cpu_32(d->len), rte_le_to_cpu_16(d->flags));
	}
}

static int
dump_virtqueue(const struct vblk_queue *q, FILE *out)
{
	const struct plx_virtq *vq = &q->vq;

	fprintf(out, "virtqueue %u, %s, %u entries, %u free; %s\n", q->dq.q.qid,
		vq->packed ? "packed" : "split", vq->size, vq->nfree,
		vq->broken != 0 ? "broken by its device" : "sound");
	if (vq->size == 0) /* not given to the device yet */
		return 0;
	if (vq->packed)
		dump_packed(vq, out);
	else
		dump_split(vq, out);
	return 0;
}

int
vblk_dump(struct plx_blk *blk, const char *what, uint16_t qid, FILE *out)
{
	const struct vblk *v = blk->priv;

	if (strcmp(what, "regs") == 0) {
		dump_regs(v, out);
		return 0;
	}
	if (strcmp(what, "virtqueue") != 0)
		return -ENOTSUP;
	if (qid == UINT16_MAX)
		return -EINVAL;
	return dump_virtqueue((struct vblk_queue *)blk->queues[qid], out);
}
