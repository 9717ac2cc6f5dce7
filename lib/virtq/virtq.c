/* SPDX-License-Identifier: BSD-3-Clause */
/* Virtqueues: memory, chains in the ring itself, interrupts. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <linux/virtio_config.h>

#include "plx_virtq.h"

#define BIT(features, bit) (((features) >> (bit)&1) != 0)
#define AVAIL (1u << VRING_PACKED_DESC_F_AVAIL)
#define USED (1u << VRING_PACKED_DESC_F_USED)

/* Parts on cache lines of their own: each is written by one side only. Split 2.7, packed 2.8. */
struct layout {
	size_t driver, device, size;
};

static struct layout
layout(uint16_t size, bool packed)
{
	size_t event = sizeof(struct vring_packed_desc_event);
	struct layout l;

	l.driver = RTE_ALIGN_CEIL(size * sizeof(struct vring_desc), RTE_CACHE_LINE_SIZE);
	l.device = l.driver +
		   RTE_ALIGN_CEIL(packed ? event : 6 + 2 * (size_t)size, RTE_CACHE_LINE_SIZE);
	l.size = l.device + (packed ? event : 6 + 8 * (size_t)size);
	return l;
}

size_t
plx_virtq_bytes(uint16_t size, bool packed)
{
	return RTE_ALIGN_CEIL(layout(size, packed).size, RTE_CACHE_LINE_SIZE);
}

static void
place(struct plx_virtq *vq, void *mem)
{
	struct layout l = layout(vq->size, vq->packed);

	vq->parts = (struct plx_virtq_parts){
		.desc = mem,
		.driver = (uint8_t *)mem + l.driver,
		.device = (uint8_t *)mem + l.device,
	};
	vq->desc = vq->parts.desc;
	vq->used = vq->parts.device;
	if (vq->packed) {
		vq->driver_event = vq->parts.driver;
	} else {
		vq->avail = vq->parts.driver;
		vq->used_event = &vq->avail->ring[vq->size];
	}
}

int
plx_virtq_init(struct plx_virtq *vq, uint16_t size, uint64_t features, void *mem)
{
	if (size == 0 || size > PLX_VIRTQ_MAX || (size & (size - 1)) != 0)
		return -EINVAL;
	vq->size = size;
	vq->mask = (uint16_t)(size - 1);
	vq->packed = BIT(features, VIRTIO_F_RING_PACKED);
	vq->event_idx = BIT(features, VIRTIO_RING_F_EVENT_IDX);
	vq->in_order = BIT(features, VIRTIO_F_IN_ORDER);
	vq->order_platform = BIT(features, VIRTIO_F_ORDER_PLATFORM);
	vq->slots = calloc(size, sizeof(*vq->slots));
	vq->free = calloc(size, sizeof(*vq->free));
	if (vq->slots == NULL || vq->free == NULL) {
		plx_virtq_fini(vq);
		return -ENOMEM;
	}
	place(vq, mem);
	plx_virtq_reset(vq);
	return 0;
}

void
plx_virtq_fini(struct plx_virtq *vq)
{
	free(vq->slots);
	free(vq->free);
	vq->slots = NULL;
	vq->free = NULL;
}

void
plx_virtq_reset(struct plx_virtq *vq)
{
	uint16_t i;

	memset(vq->parts.desc, 0, plx_virtq_bytes(vq->size, vq->packed));
	memset(vq->slots, 0, vq->size * sizeof(*vq->slots));
	for (i = 0; i < vq->size; i++) /* the first to go is 0 */
		vq->free[i] = (uint16_t)(vq->size - 1 - i);
	vq->nfree = vq->nids = vq->size;
	vq->head = vq->oldest = 0;
	vq->in_batch = false;
	vq->pos = vq->published = 0;
	vq->held = NULL;
	vq->last_used = vq->used_idx = 0;
	vq->wrap = AVAIL;
	vq->used_wrap = AVAIL | USED;
	vq->broken = PLX_VIRTQ_SOUND;
	plx_virtq_intr(vq, vq->intr); /* who sleeps on it sleeps on */
}

uint32_t
plx_virtq_base(const struct plx_virtq *vq)
{
	uint32_t at = vq->last_used;

	if (!vq->packed)
		return at;
	at |= vq->used_wrap != 0 ? 1u << 15 : 0;
	return at | at << 16;
}

/* ---- chains in the ring ---- */

static void
add_split(struct plx_virtq *vq, uint16_t id, const struct plx_virtq_buf *bufs, uint16_t n,
	uint16_t nout)
{
	uint16_t i, at = id, next;

	for (i = 0; i < n; i++, at = next) {
		bool last = i == n - 1;

		if (vq->in_order)
			next = (uint16_t)(at + 1) & vq->mask;
		else
			next = last ? 0 : vq->free[vq->nids - 2 - i];
		vq->slots[at].next = next;
		vq->desc[at] = (struct vring_desc){
			.addr = rte_cpu_to_le_64(bufs[i].iova),
			.len = rte_cpu_to_le_32(bufs[i].len),
			.flags = rte_cpu_to_le_16((uint16_t)((last ? 0 : VRING_DESC_F_NEXT) |
							     (i < nout ? 0 : VRING_DESC_F_WRITE))),
			.next = rte_cpu_to_le_16(last ? 0 : next),
		};
	}
	vq->nids = (uint16_t)(vq->nids - n);
	vq->head = (uint16_t)(vq->head + n);
	vq->avail->ring[vq->pos++ & vq->mask] = rte_cpu_to_le_16(id);
}

static void
add_packed(struct plx_virtq *vq, uint16_t id, const struct plx_virtq_buf *bufs, uint16_t n,
	uint16_t nout)
{
	uint16_t i;

	for (i = 0; i < n; i++)
		plx_virtq_put_packed(vq, id, bufs[i].iova, bufs[i].len,
			(uint16_t)((i == n - 1 ? 0 : VRING_DESC_F_NEXT) |
				   (i < nout ? 0 : VRING_DESC_F_WRITE)));
	vq->nids--;
	vq->head++;
}

void
plx_virtq_add_chain(struct plx_virtq *vq, const struct plx_virtq_buf *bufs, uint16_t nout,
	uint16_t nin, void *cookie)
{
	uint16_t i, n = (uint16_t)(nout + nin), id = plx_virtq_next_id(vq);
	struct plx_virtq_slot *s = &vq->slots[id];

	s->cookie = cookie;
	s->ndesc = n;
	s->writable = 0;
	for (i = nout; i < n; i++)
		s->writable += bufs[i].len;
	vq->nfree = (uint16_t)(vq->nfree - n);
	if (vq->packed)
		add_packed(vq, id, bufs, n, nout);
	else
		add_split(vq, id, bufs, n, nout);
}

uint16_t
plx_virtq_free_chain(struct plx_virtq *vq, uint16_t id, uint16_t nids)
{
	uint16_t i, n = vq->slots[id].ndesc;

	/* the other way round, so that they come in the same order again */
	nids = (uint16_t)(nids + n);
	for (i = 0; i < n; i++, id = vq->slots[id].next)
		vq->free[nids - 1 - i] = id;
	return nids;
}

/* ---- interrupts ---- */

static void
intr_packed(struct plx_virtq *vq, bool on)
{
	uint16_t flags = on ? VRING_PACKED_EVENT_FLAG_ENABLE : VRING_PACKED_EVENT_FLAG_DISABLE;

	__atomic_store_n(&vq->driver_event->flags, rte_cpu_to_le_16(flags), __ATOMIC_RELAXED);
}

static void
intr_split(struct plx_virtq *vq, bool on)
{
	/* with event indexes flags must be 0 (2.7.7); an index just passed is the farthest away */
	if (vq->event_idx)
		__atomic_store_n(vq->used_event,
			rte_cpu_to_le_16((uint16_t)(vq->last_used - (on ? 0 : 1))),
			__ATOMIC_RELAXED);
	else
		__atomic_store_n(&vq->avail->flags,
			rte_cpu_to_le_16(on ? 0 : VRING_AVAIL_F_NO_INTERRUPT), __ATOMIC_RELAXED);
}

bool
plx_virtq_intr(struct plx_virtq *vq, bool on)
{
	vq->intr = on;
	if (vq->packed)
		intr_packed(vq, on);
	else
		intr_split(vq, on);
	if (!on)
		return false;
	plx_virtq_mb(vq); /* D */
	return plx_virtq_pending(vq);
}
