/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VQ_DEVICE_H
#define VQ_DEVICE_H
/*
 * The other side of a virtqueue, for tests: takes chains and gives them back, in any order, as
 * Virtio 1.2, 2.7 and 2.8 say. I/O addresses are this process'.
 */
#include <stdlib.h>
#include <string.h>

#include <linux/virtio_config.h>

#include "plx_virtq.h"

#define VQD_PIECES 64
#define VQD_AVAIL (1u << VRING_PACKED_DESC_F_AVAIL)
#define VQD_USED (1u << VRING_PACKED_DESC_F_USED)

struct vqd {
	struct plx_virtq_parts parts;
	uint16_t size;
	bool packed, event_idx;
	uint16_t avail; /* next to take */
	uint16_t used;  /* next to give */
	bool avail_wrap, used_wrap;
};
struct vqd_chain {
	uint16_t id, ndesc; /* in the ring */
	uint16_t nout, nin;
	struct {
		uint8_t *va;
		uint32_t len;
	} piece[VQD_PIECES];
};

static inline void
vqd_init(struct vqd *d, const struct plx_virtq *vq)
{
	*d = (struct vqd){
		.parts = vq->parts,
		.size = vq->size,
		.packed = vq->packed,
		.event_idx = vq->event_idx,
		.avail_wrap = true,
		.used_wrap = true,
	};
}

static inline void
vqd_piece(struct vqd_chain *c, uint64_t addr, uint32_t len, uint16_t flags)
{
	uint16_t n = (uint16_t)(c->nout + c->nin);

	if (n == VQD_PIECES || (!(flags & VRING_DESC_F_WRITE) && c->nin != 0))
		abort(); /* too long, or readable behind writable: 2.7.4.2 */
	c->piece[n].va = (uint8_t *)(uintptr_t)addr;
	c->piece[n].len = len;
	if (flags & VRING_DESC_F_WRITE)
		c->nin++;
	else
		c->nout++;
}

static inline void
vqd_table_split(struct vqd_chain *c, const struct vring_desc *t, uint32_t n)
{
	uint32_t i = 0, steps = 0;

	for (;;) {
		if (i >= n || steps++ > n || (t[i].flags & VRING_DESC_F_INDIRECT))
			abort();
		vqd_piece(c, t[i].addr, t[i].len, t[i].flags);
		if (!(t[i].flags & VRING_DESC_F_NEXT))
			return;
		i = t[i].next;
	}
}

static inline bool
vqd_pop_split(struct vqd *d, struct vqd_chain *c)
{
	const struct vring_avail *avail = d->parts.driver;
	const struct vring_desc *desc = d->parts.desc;
	uint16_t at;

	if (__atomic_load_n(&avail->idx, __ATOMIC_ACQUIRE) == d->avail)
		return false;
	at = c->id = avail->ring[d->avail++ & (d->size - 1)];
	if (desc[at].flags & VRING_DESC_F_INDIRECT) {
		c->ndesc = 1;
		vqd_table_split(
			c, (const void *)(uintptr_t)desc[at].addr, desc[at].len / sizeof(*desc));
		return true;
	}
	for (c->ndesc = 1;; c->ndesc++) {
		vqd_piece(c, desc[at].addr, desc[at].len, desc[at].flags);
		if (!(desc[at].flags & VRING_DESC_F_NEXT))
			return true;
		at = desc[at].next;
	}
}

static inline bool
vqd_pop_packed(struct vqd *d, struct vqd_chain *c)
{
	struct vring_packed_desc *ring = d->parts.desc;
	uint16_t flags = __atomic_load_n(&ring[d->avail].flags, __ATOMIC_ACQUIRE), i;

	if (!!(flags & VQD_AVAIL) != d->avail_wrap || !!(flags & VQD_USED) == d->avail_wrap)
		return false;
	for (c->ndesc = 1;; c->ndesc++) {
		const struct vring_packed_desc *e = &ring[d->avail];
		const struct vring_packed_desc *t = (const void *)(uintptr_t)e->addr;

		flags = e->flags;
		c->id = e->id;
		if (++d->avail == d->size) {
			d->avail = 0;
			d->avail_wrap = !d->avail_wrap;
		}
		if (!(flags & VRING_DESC_F_INDIRECT))
			vqd_piece(c, e->addr, e->len, flags);
		for (i = 0; (flags & VRING_DESC_F_INDIRECT) && i < e->len / sizeof(*t); i++)
			vqd_piece(c, t[i].addr, t[i].len, t[i].flags);
		if (!(flags & VRING_DESC_F_NEXT))
			return true;
	}
}

/* The next chain. @return false: none */
static inline bool
vqd_pop(struct vqd *d, struct vqd_chain *c)
{
	c->nout = c->nin = 0;
	return d->packed ? vqd_pop_packed(d, c) : vqd_pop_split(d, c);
}

/* Write a used entry that stands for n chains with ndesc descriptors in all. */
static inline void
vqd_push_n(struct vqd *d, uint32_t id, uint32_t len, uint16_t n, uint16_t ndesc)
{
	if (d->packed) {
		struct vring_packed_desc *e = (struct vring_packed_desc *)d->parts.desc + d->used;
		uint16_t flags = d->used_wrap ? VQD_AVAIL | VQD_USED : 0;

		e->id = (uint16_t)id;
		e->len = len;
		__atomic_store_n(&e->flags, flags | VRING_DESC_F_WRITE, __ATOMIC_RELEASE);
		d->used = (uint16_t)(d->used + ndesc);
		if (d->used >= d->size) {
			d->used = (uint16_t)(d->used - d->size);
			d->used_wrap = !d->used_wrap;
		}
	} else {
		struct vring_used *used = d->parts.device;

		used->ring[d->used & (d->size - 1)] = (struct vring_used_elem){id, len};
		d->used = (uint16_t)(d->used + n);
		__atomic_store_n(&used->idx, d->used, __ATOMIC_RELEASE);
	}
}

static inline void
vqd_push(struct vqd *d, const struct vqd_chain *c, uint32_t len)
{
	vqd_push_n(d, c->id, len, 1, c->ndesc);
}

/* Ask for a kick when more than n further chains (packed: descriptors) come; needs event_idx. */
static inline void
vqd_want_kick(struct vqd *d, uint16_t n)
{
	if (d->packed) {
		struct vring_packed_desc_event *e = d->parts.device;
		uint16_t at = (uint16_t)(d->avail + n);
		bool wrap = d->avail_wrap != (at >= d->size);

		e->off_wrap = (uint16_t)((at % d->size) | (wrap ? 1 << 15 : 0));
		e->flags = VRING_PACKED_EVENT_FLAG_DESC;
	} else {
		struct vring_used *used = d->parts.device;

		memcpy(&used->ring[d->size], &(uint16_t){(uint16_t)(d->avail + n)}, 2);
	}
}
static inline void
vqd_no_kick(struct vqd *d, bool off)
{
	struct vring_packed_desc_event *e = d->parts.device;

	if (d->packed)
		e->flags = off ? VRING_PACKED_EVENT_FLAG_DISABLE : VRING_PACKED_EVENT_FLAG_ENABLE;
	else
		((struct vring_used *)d->parts.device)->flags = off ? VRING_USED_F_NO_NOTIFY : 0;
}

#endif
