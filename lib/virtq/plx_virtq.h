/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef PLX_VIRTQ_H
#define PLX_VIRTQ_H
/**
 * @file
 * Virtqueues, the driver's side: split and packed rings (Virtio 1.2, 2.7 and 2.8), without a
 * transport.
 *
 *	while (plx_virtq_room(vq, 1) && more)
 *		id = plx_virtq_next_id(vq);  fill what belongs to id
 *		plx_virtq_add_indirect(vq, ..., id, ...)     or plx_virtq_add_chain()
 *	if (plx_virtq_publish(vq, packed))  ring the device, once a burst
 *	...
 *	while ((cookie = plx_virtq_pop(vq, packed, &id)) != NULL)  it is back
 *
 * The rings lie in memory that the device writes. What the driver needs to know of a chain is kept
 * apart, in its slot: to whom it belongs, how many descriptors it has, how much the device may
 * write. The device's words are read once each, and name a slot at most; one that makes no sense
 * breaks the queue (`broken`): nothing more comes out of it until plx_virtq_reset().
 *
 * A queue belongs to one thread. Whether it is packed is an argument of the inline functions, so
 * that a driver compiles its loops once for each layout.
 *
 * Orderings, device side as in Virtio 1.2, 2.7.13 and 2.8.21:
 *	A  a chain, then the ring's word that publishes it: release, in plx_virtq_publish()
 *	B  that word, then the device's word on notifications: full barrier, against the device's
 *	   store of that word and its last look at the ring
 *	C  the device's word that a chain is used, then what it wrote: acquire, in plx_virtq_pop()
 *	D  our word on interrupts, then a last look at the ring: full barrier, in plx_virtq_intr()
 */
#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifndef VIRTIO_RING_NO_LEGACY
#define VIRTIO_RING_NO_LEGACY
#endif
#include <linux/virtio_ring.h>

#include <rte_branch_prediction.h>
#include <rte_byteorder.h>
#include <rte_common.h>
#include <rte_io.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PLX_VIRTQ_MAX 32768 /**< entries of a ring */

/** Why a queue is broken: what its device did. */
enum plx_virtq_fault {
	PLX_VIRTQ_SOUND,
	PLX_VIRTQ_BAD_ID,     /**< used a buffer that there is not */
	PLX_VIRTQ_NOT_LENT,   /**< used a buffer that it doesn't have: twice, or never got */
	PLX_VIRTQ_BAD_LENGTH, /**< says that it wrote more than it may */
	PLX_VIRTQ_BAD_INDEX,  /**< used more buffers than it has */
};

/** A chain that the device has: private memory. */
struct plx_virtq_slot {
	void *cookie;      /**< the driver's, never NULL; NULL: free */
	uint32_t writable; /**< bytes the device may write */
	uint16_t ndesc;    /**< descriptors in the ring */
	uint16_t next;     /**< private: the descriptor behind this one */
};
static_assert(sizeof(struct plx_virtq_slot) == 16, "four to a cache line");

/** A piece of a chain. */
struct plx_virtq_buf {
	uint64_t iova;
	uint32_t len;
};

/** Where a ring's three parts are: descriptors, what the driver writes, what the device writes. */
struct plx_virtq_parts {
	void *desc, *driver, *device;
};

struct plx_virtq {
	/* adding */
	union {
		struct vring_desc *desc;
		struct vring_packed_desc *ring;
	};
	struct plx_virtq_slot *slots;
	uint16_t *free; /* stack of ids */
	struct vring_avail *avail;
	struct vring_packed_desc *held; /* packed: the first that isn't published */
	uint16_t size, mask;
	uint16_t nfree; /* descriptors */
	uint16_t nids;  /* ids on the stack */
	uint16_t head;  /* in order: the next id */
	uint16_t pos;   /* split: the avail index; packed: the next descriptor */
	uint16_t wrap;  /* packed: AVAIL of this round */
	uint16_t held_flags;
	uint16_t published; /* split: the index the device knows; packed: descriptors held */
	bool in_order, event_idx, order_platform, packed, intr;

	/* taking back */
	union {
		struct vring_used *used;
		struct vring_packed_desc_event *device_event;
	};
	union {
		uint16_t *used_event;
		struct vring_packed_desc_event *driver_event;
	};
	uint16_t last_used; /* split: index; packed: descriptor */
	uint16_t used_idx;  /* split: the device's index as last read */
	uint16_t used_wrap; /* packed: AVAIL and USED of this round */
	uint16_t oldest;    /* in order: the first id that is out */
	uint16_t batch;     /* in order: the id that a batch ends with */
	bool in_batch;
	uint8_t broken; /* enum plx_virtq_fault */
	struct plx_virtq_parts parts;
};

/** @return bytes of DMA-able memory that a ring takes, to be page aligned and zeroed */
size_t plx_virtq_bytes(uint16_t size, bool packed);

/**
 * Set up a queue.
 * @param vq        zeroed
 * @param size      entries, a power of two up to PLX_VIRTQ_MAX
 * @param features  as negotiated: RING_PACKED, EVENT_IDX, IN_ORDER, ORDER_PLATFORM matter
 * @param mem       plx_virtq_bytes() of memory
 * @return 0; -EINVAL; -ENOMEM
 */
int plx_virtq_init(struct plx_virtq *vq, uint16_t size, uint64_t features, void *mem);
/** Free what plx_virtq_init() allocated; mem is the caller's. */
void plx_virtq_fini(struct plx_virtq *vq);
/** Back to empty rings, for a device that was reset: it has nothing any more. */
void plx_virtq_reset(struct plx_virtq *vq);

/** @return the number of chains that the device has, or, packed, is to get */
uint16_t plx_virtq_inflight(const struct plx_virtq *vq);

/** @return where a device that knows nothing would go on, all used chains being popped, as
 * vhost's SET_VRING_BASE has it: split, the index; packed, the descriptor and its wrap counter, in
 * both halves */
uint32_t plx_virtq_base(const struct plx_virtq *vq);

/** @return whether the ring has room for a chain of n descriptors */
static __rte_always_inline bool
plx_virtq_room(const struct plx_virtq *vq, uint16_t n)
{
	return vq->nfree >= n;
}

/** @return the id that the next chain will have, below the ring's size, when there is room */
static __rte_always_inline uint16_t
plx_virtq_next_id(const struct plx_virtq *vq)
{
	if (unlikely(vq->in_order))
		return vq->head & vq->mask;
	return vq->free[vq->nids - 1];
}

/** Private: put a packed descriptor down; the first of a burst isn't shown yet. */
static __rte_always_inline void
plx_virtq_put_packed(struct plx_virtq *vq, uint16_t id, uint64_t iova, uint32_t len, uint16_t flags)
{
	struct vring_packed_desc *d = &vq->ring[vq->pos];

	flags |= vq->wrap;
	d->addr = rte_cpu_to_le_64(iova);
	d->len = rte_cpu_to_le_32(len);
	d->id = rte_cpu_to_le_16(id);
	if (vq->published++ == 0) {
		vq->held = d;
		vq->held_flags = flags;
	} else {
		d->flags = rte_cpu_to_le_16(flags);
	}
	if (unlikely(++vq->pos == vq->size)) {
		vq->pos = 0;
		vq->wrap ^= 1u << VRING_PACKED_DESC_F_AVAIL | 1u << VRING_PACKED_DESC_F_USED;
	}
}

/**
 * Add a chain that lies in a table of its own (2.7.5.3, 2.8.7). There is room for 1.
 * @param id        plx_virtq_next_id()
 * @param table     its I/O address; entries are laid out as the ring's are
 * @param n         descriptors in it
 * @param writable  bytes that the device may write
 * @param cookie    what plx_virtq_pop() gives back
 */
static __rte_always_inline void
plx_virtq_add_indirect(struct plx_virtq *vq, bool packed, uint16_t id, uint64_t table, uint32_t n,
	uint32_t writable, void *cookie)
{
	struct plx_virtq_slot *s = &vq->slots[id];

	s->cookie = cookie;
	s->writable = writable;
	s->ndesc = 1;
	vq->nfree--;
	vq->nids--;
	vq->head++;
	if (packed) {
		plx_virtq_put_packed(vq, id, table, n * 16, VRING_DESC_F_INDIRECT);
	} else {
		struct vring_desc *d = &vq->desc[id];

		d->addr = rte_cpu_to_le_64(table);
		d->len = rte_cpu_to_le_32(n * 16);
		d->flags = rte_cpu_to_le_16(VRING_DESC_F_INDIRECT);
		vq->avail->ring[vq->pos++ & vq->mask] = rte_cpu_to_le_16(id);
	}
}

/** Add a chain in the ring itself: nout pieces that the device reads, then nin that it writes.
 * There is room for nout + nin, at least one. Its id is plx_virtq_next_id(). */
void plx_virtq_add_chain(struct plx_virtq *vq, const struct plx_virtq_buf *bufs, uint16_t nout,
	uint16_t nin, void *cookie);

/** Private: whether passing from old to now passes event (2.7.10). */
static __rte_always_inline bool
plx_virtq_passes(uint16_t event, uint16_t now, uint16_t old)
{
	return (uint16_t)(now - event - 1) < (uint16_t)(now - old);
}

/** Private: a full barrier (B, D). */
static __rte_always_inline void
plx_virtq_mb(const struct plx_virtq *vq)
{
	if (unlikely(vq->order_platform))
		rte_mb();
	else
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

/** Private: whether the device of a packed ring wants to be told of n descriptors. */
static __rte_always_inline bool
plx_virtq_kick_packed(struct plx_virtq *vq, uint16_t n)
{
	const volatile uint32_t *word = (const volatile uint32_t *)vq->device_event;
	uint32_t v = rte_le_to_cpu_32(*word);
	uint16_t event = v & 0x7fff, flags = v >> 16 & 3;
	bool wrap = (v >> VRING_PACKED_EVENT_F_WRAP_CTR & 1) != 0;

	if (likely(flags != VRING_PACKED_EVENT_FLAG_DESC))
		return flags == VRING_PACKED_EVENT_FLAG_ENABLE;
	if (wrap != ((vq->wrap >> VRING_PACKED_DESC_F_AVAIL & 1) != 0))
		event = (uint16_t)(event - vq->size);
	return plx_virtq_passes(event, vq->pos, (uint16_t)(vq->pos - n));
}

/** Show the device all that was added since. @return whether it wants to be rung */
static __rte_always_inline bool
plx_virtq_publish(struct plx_virtq *vq, bool packed)
{
	uint16_t old = vq->published;

	if (packed) {
		if (old == 0)
			return false;
		vq->published = 0;
		rte_io_wmb(); /* A */
		__atomic_store_n(
			&vq->held->flags, rte_cpu_to_le_16(vq->held_flags), __ATOMIC_RELEASE);
		plx_virtq_mb(vq); /* B */
		return plx_virtq_kick_packed(vq, old);
	}
	if (old == vq->pos)
		return false;
	vq->published = vq->pos;
	rte_io_wmb(); /* A */
	__atomic_store_n(&vq->avail->idx, rte_cpu_to_le_16(vq->pos), __ATOMIC_RELEASE);
	plx_virtq_mb(vq); /* B */
	if (vq->event_idx) {
		const volatile uint16_t *event =
			(const volatile uint16_t *)&vq->used->ring[vq->size];

		return plx_virtq_passes(rte_le_to_cpu_16(*event), vq->pos, old);
	}
	return !(*(const volatile uint16_t *)&vq->used->flags &
		 rte_cpu_to_le_16(VRING_USED_F_NO_NOTIFY));
}

/** @return the upper half of a notification with NOTIFICATION_DATA (4.1.5.2) */
static inline uint16_t
plx_virtq_notify_data(const struct plx_virtq *vq)
{
	if (!vq->packed)
		return vq->pos;
	return (uint16_t)(vq->pos | (vq->wrap >> VRING_PACKED_DESC_F_AVAIL & 1) << 15);
}

/** Private: breaks the queue. @return NULL */
void *plx_virtq_break(struct plx_virtq *vq, uint32_t id, uint32_t len);
/** Private: pop where the device uses buffers in order. */
void *plx_virtq_pop_in_order(struct plx_virtq *vq, uint16_t *id);
/** Private: free the descriptors of a chain of several in a split ring. */
void plx_virtq_free_chain(struct plx_virtq *vq, uint16_t id);

/** Private: is this buffer lent, and that length possible? */
static __rte_always_inline bool
plx_virtq_good(const struct plx_virtq *vq, uint32_t id, uint32_t len)
{
	return likely(
		id <= vq->mask && vq->slots[id].cookie != NULL && len <= vq->slots[id].writable);
}

/** Private: move on behind a chain in a packed ring. */
static __rte_always_inline void
plx_virtq_skip(struct plx_virtq *vq, uint16_t n)
{
	vq->last_used = (uint16_t)(vq->last_used + n);
	if (unlikely(vq->last_used >= vq->size)) {
		vq->last_used = (uint16_t)(vq->last_used - vq->size);
		vq->used_wrap ^= 1u << VRING_PACKED_DESC_F_AVAIL | 1u << VRING_PACKED_DESC_F_USED;
	}
}

/** Private: does the ring show a used buffer? Read its id and length. C */
static __rte_always_inline bool
plx_virtq_peek(struct plx_virtq *vq, bool packed, uint32_t *id, uint32_t *len)
{
	const uint16_t both = 1u << VRING_PACKED_DESC_F_AVAIL | 1u << VRING_PACKED_DESC_F_USED;

	if (packed) {
		const volatile struct vring_packed_desc *d = &vq->ring[vq->last_used];
		uint16_t flags = rte_le_to_cpu_16(
			__atomic_load_n(&vq->ring[vq->last_used].flags, __ATOMIC_ACQUIRE));

		if ((flags & both) != vq->used_wrap)
			return false;
		rte_io_rmb();
		*id = rte_le_to_cpu_16(d->id);
		*len = flags & VRING_DESC_F_WRITE ? rte_le_to_cpu_32(d->len) : 0;
		return true;
	}
	if (vq->last_used == vq->used_idx) {
		uint16_t idx = rte_le_to_cpu_16(__atomic_load_n(&vq->used->idx, __ATOMIC_ACQUIRE));

		if (likely(idx == vq->last_used))
			return false;
		rte_io_rmb();
		vq->used_idx = idx;
		if (unlikely((uint16_t)(idx - vq->last_used) >
			     (uint16_t)(vq->published - vq->last_used))) {
			vq->broken = PLX_VIRTQ_BAD_INDEX;
			return false;
		}
	}
	const volatile struct vring_used_elem *e = &vq->used->ring[vq->last_used & vq->mask];

	*id = rte_le_to_cpu_32(e->id);
	*len = rte_le_to_cpu_32(e->len);
	return true;
}

/**
 * Take back a chain.
 * @param id  out: its id, free from now on
 * @return its cookie; NULL there is none, or the queue is broken
 */
static __rte_always_inline void *
plx_virtq_pop(struct plx_virtq *vq, bool packed, uint16_t *id)
{
	struct plx_virtq_slot *s;
	uint32_t uid, len;
	void *cookie;

	if (unlikely(vq->in_order))
		return plx_virtq_pop_in_order(vq, id);
	if (unlikely(vq->broken != 0) || !plx_virtq_peek(vq, packed, &uid, &len))
		return NULL;
	if (unlikely(!plx_virtq_good(vq, uid, len)))
		return plx_virtq_break(vq, uid, len);
	s = &vq->slots[uid];
	cookie = s->cookie;
	s->cookie = NULL;
	*id = (uint16_t)uid;
	if (packed)
		plx_virtq_skip(vq, s->ndesc);
	else
		vq->last_used++;
	if (!packed && unlikely(s->ndesc != 1)) {
		plx_virtq_free_chain(vq, (uint16_t)uid);
		return cookie;
	}
	vq->free[vq->nids++] = (uint16_t)uid;
	vq->nfree = (uint16_t)(vq->nfree + (packed ? s->ndesc : 1));
	return cookie;
}

/** @return whether plx_virtq_pop() would find something, or find out that the queue is broken */
bool plx_virtq_pending(const struct plx_virtq *vq);

/**
 * Ask for an interrupt once the device has used a buffer beyond those popped, or for none. With
 * event indexes the request is good for one interrupt. A polled queue begins with none; a rare one
 * that comes all the same is harmless.
 * @return whether something is there to be popped already (on only)
 */
bool plx_virtq_intr(struct plx_virtq *vq, bool on);

/** @return a fault in words */
const char *plx_virtq_fault_text(uint8_t fault);

#ifdef __cplusplus
}
#endif
#endif
