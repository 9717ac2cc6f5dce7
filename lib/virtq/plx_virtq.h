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
 *		plx_virtq_add_indirect(), plx_virtq_add_chain(), or a burst of the former
 *	if (plx_virtq_publish(vq, packed))  ring the device, once a burst
 *	...
 *	n = plx_virtq_pop(vq, packed, cookies, ids, n)  these are back
 *
 * The rings lie in memory that the device writes. What the driver needs to know of a chain is kept
 * apart, in its slot: to whom it belongs, how many descriptors it has, how much the device may
 * write. The device's words are read once each, and name a slot at most; one that makes no sense
 * breaks the queue (`broken`): nothing more comes out of it until plx_virtq_reset(). Lengths are
 * counted where they can't be (`too_long`), and else ignored: some devices have them wrong.
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
	PLX_VIRTQ_BAD_ID,    /**< used a buffer that there is not */
	PLX_VIRTQ_NOT_LENT,  /**< used a buffer that it doesn't have: twice, or never got */
	PLX_VIRTQ_BAD_INDEX, /**< used more buffers than it has */
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
	uint8_t broken;    /* enum plx_virtq_fault */
	uint32_t too_long; /* lengths beyond what may be written; the driver may clear it */
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
 * A burst of chains that each lie in a table of their own (2.7.5.3, 2.8.7), in registers:
 *
 *	struct plx_virtq_burst b = plx_virtq_begin(vq);
 *	while (b.next != b.end)  id = plx_virtq_burst_id(&b);  plx_virtq_burst_add(vq, packed, &b,
 *...) plx_virtq_end(vq, packed, &b);
 *
 * Between begin and end nothing else is done to the queue. There is no room where the device uses
 * buffers in order: plx_virtq_add_indirect() is for those.
 */
struct plx_virtq_burst {
	const uint16_t *next, *end; /**< behind the next id; where room ends */
	uint32_t pos;               /**< private: split: the avail index */
};

static __rte_always_inline struct plx_virtq_burst
plx_virtq_begin(const struct plx_virtq *vq)
{
	const uint16_t *next = vq->free + vq->nids;
	uint32_t room = vq->nids < vq->nfree ? vq->nids : vq->nfree;

	return (struct plx_virtq_burst){next, vq->in_order ? next : next - room, vq->pos};
}

/** @return the id that the next chain will have */
static __rte_always_inline uint32_t
plx_virtq_burst_id(const struct plx_virtq_burst *b)
{
	return b->next[-1];
}

typedef uint64_t __attribute__((may_alias)) plx_virtq_u64;

/** Add a chain: see plx_virtq_add_indirect(). */
static __rte_always_inline void
plx_virtq_burst_add(struct plx_virtq *vq, bool packed, struct plx_virtq_burst *b, uint32_t id,
	uint64_t table, uint32_t n, uint32_t writable, void *cookie)
{
	struct plx_virtq_slot *s = &vq->slots[id];

	s->cookie = cookie;
	if (RTE_BYTE_ORDER == RTE_LITTLE_ENDIAN) { /* ndesc 1 */
		((plx_virtq_u64 *)s)[1] = writable | 1ull << 32;
	} else {
		s->writable = writable;
		s->ndesc = 1;
	}
	if (packed) {
		plx_virtq_put_packed(vq, (uint16_t)id, table, n * 16, VRING_DESC_F_INDIRECT);
	} else {
		plx_virtq_u64 *d = (plx_virtq_u64 *)&vq->desc[id];

		d[0] = rte_cpu_to_le_64(table);
		d[1] = rte_cpu_to_le_64(n * 16 | (uint64_t)VRING_DESC_F_INDIRECT << 32);
		vq->avail->ring[b->pos++ & vq->mask] = rte_cpu_to_le_16((uint16_t)id);
	}
	b->next--;
}

static __rte_always_inline void
plx_virtq_end(struct plx_virtq *vq, bool packed, const struct plx_virtq_burst *b)
{
	uint16_t n = (uint16_t)(vq->free + vq->nids - b->next);

	vq->nids = (uint16_t)(vq->nids - n);
	vq->nfree = (uint16_t)(vq->nfree - n);
	vq->head = (uint16_t)(vq->head + n);
	if (!packed)
		vq->pos = (uint16_t)b->pos;
}

/**
 * Add one chain that lies in a table of its own. There is room for 1.
 * @param vq        the queue
 * @param table     its I/O address; entries are laid out as the ring's are
 * @param n         descriptors in it
 * @param writable  bytes that the device may write
 * @param cookie    what plx_virtq_pop() gives back
 */
static inline void
plx_virtq_add_indirect(
	struct plx_virtq *vq, uint64_t table, uint32_t n, uint32_t writable, void *cookie)
{
	struct plx_virtq_burst b = plx_virtq_begin(vq);

	plx_virtq_burst_add(vq, vq->packed, &b, plx_virtq_next_id(vq), table, n, writable, cookie);
	plx_virtq_end(vq, vq->packed, &b);
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

/** Private: breaks the queue. */
void plx_virtq_break(struct plx_virtq *vq, uint32_t id);
/** Private: pop where the device uses buffers in order, or the queue is broken. */
uint16_t plx_virtq_pop_in_order(struct plx_virtq *vq, void **cookies, uint16_t *ids, uint16_t n);
/** Private: push the descriptors of a split ring's chain. @return ids on the stack */
uint16_t plx_virtq_free_chain(struct plx_virtq *vq, uint16_t id, uint16_t nids);

/** Private: how many buffers a split ring shows as used that weren't popped. C */
static __rte_always_inline uint16_t
plx_virtq_used(struct plx_virtq *vq)
{
	uint16_t idx = vq->used_idx;

	if (vq->last_used != idx)
		return (uint16_t)(idx - vq->last_used);
	idx = rte_le_to_cpu_16(__atomic_load_n(&vq->used->idx, __ATOMIC_ACQUIRE));
	rte_io_rmb();
	vq->used_idx = idx;
	idx = (uint16_t)(idx - vq->last_used);
	if (likely(idx <= (uint16_t)(vq->published - vq->last_used)))
		return idx;
	vq->used_idx = vq->last_used;
	vq->broken = PLX_VIRTQ_BAD_INDEX;
	return 0;
}

/** Private: does a packed ring show a used buffer? Read its id and length. C */
static __rte_always_inline bool
plx_virtq_peek(const struct plx_virtq *vq, uint16_t pos, uint16_t wrap, uint32_t *id, uint32_t *len)
{
	const uint16_t both = 1u << VRING_PACKED_DESC_F_AVAIL | 1u << VRING_PACKED_DESC_F_USED;
	const volatile struct vring_packed_desc *d = &vq->ring[pos];
	uint16_t flags = rte_le_to_cpu_16(__atomic_load_n(&vq->ring[pos].flags, __ATOMIC_ACQUIRE));

	if ((flags & both) != wrap)
		return false;
	rte_io_rmb();
	*id = rte_le_to_cpu_16(d->id);
	*len = flags & VRING_DESC_F_WRITE ? rte_le_to_cpu_32(d->len) : 0;
	return true;
}

/**
 * Chains that are back, one by one, in registers:
 *
 *	struct plx_virtq_reap r = plx_virtq_reap_begin(vq, packed, n);
 *	while ((cookie = plx_virtq_reap_next(vq, packed, &r, &id)) != NULL)  ...
 *	plx_virtq_reap_end(vq, packed, &r);
 *
 * Between these nothing else is done to the queue, which is neither broken nor one whose device
 * uses buffers in order: plx_virtq_pop() is for all.
 */
struct plx_virtq_reap {
	uint16_t left; /* private, all of it */
	uint16_t pos, wrap;
	uint16_t nids, freed;
};

static __rte_always_inline struct plx_virtq_reap
plx_virtq_reap_begin(struct plx_virtq *vq, bool packed, uint16_t n)
{
	uint16_t have = packed ? n : plx_virtq_used(vq);

	return (struct plx_virtq_reap){.left = have < n ? have : n,
		.pos = vq->last_used,
		.wrap = vq->used_wrap,
		.nids = vq->nids,
		.freed = 0};
}

/** @return the cookie of the next chain, and its id, free from now on; NULL: there is no more */
static __rte_always_inline void *
plx_virtq_reap_next(struct plx_virtq *vq, bool packed, struct plx_virtq_reap *r, uint32_t *id)
{
	struct plx_virtq_slot *s;
	uint32_t len;
	void *cookie;

	if (r->left == 0)
		return NULL;
	if (packed) {
		if (!plx_virtq_peek(vq, r->pos, r->wrap, id, &len))
			return NULL;
	} else {
		const volatile struct vring_used_elem *e = &vq->used->ring[r->pos & vq->mask];

		*id = rte_le_to_cpu_32(e->id);
		len = rte_le_to_cpu_32(e->len);
	}
	s = &vq->slots[*id];
	if (unlikely(*id > vq->mask || s->cookie == NULL)) {
		plx_virtq_break(vq, *id);
		return NULL;
	}
	if (unlikely(len > s->writable))
		vq->too_long++;
	r->left--;
	cookie = s->cookie;
	s->cookie = NULL;
	if (packed) {
		vq->free[r->nids++] = (uint16_t)*id;
		r->freed = (uint16_t)(r->freed + s->ndesc);
		r->pos = (uint16_t)(r->pos + s->ndesc);
		if (unlikely(r->pos >= vq->size)) {
			r->pos = (uint16_t)(r->pos - vq->size);
			r->wrap ^= 1u << VRING_PACKED_DESC_F_AVAIL | 1u << VRING_PACKED_DESC_F_USED;
		}
	} else {
		r->pos++;
		if (unlikely(s->ndesc != 1))
			r->nids = plx_virtq_free_chain(vq, (uint16_t)*id, r->nids);
		else
			vq->free[r->nids++] = (uint16_t)*id;
	}
	return cookie;
}

static __rte_always_inline void
plx_virtq_reap_end(struct plx_virtq *vq, bool packed, const struct plx_virtq_reap *r)
{
	vq->nfree = (uint16_t)(vq->nfree + (packed ? r->freed : r->nids - vq->nids));
	vq->nids = r->nids;
	vq->last_used = r->pos;
	if (packed)
		vq->used_wrap = r->wrap;
}

/**
 * Take back up to n chains.
 * @param vq       the queue
 * @param packed   its layout
 * @param cookies  out
 * @param ids      out: their ids, free from now on
 * @param n        room in both
 * @return how many; 0 there are none, or the queue is broken
 */
static __rte_always_inline uint16_t
plx_virtq_pop(struct plx_virtq *vq, bool packed, void **cookies, uint16_t *ids, uint16_t n)
{
	struct plx_virtq_reap r;
	void *cookie;
	uint32_t id;
	uint16_t i;

	if (unlikely(vq->in_order || vq->broken != 0))
		return plx_virtq_pop_in_order(vq, cookies, ids, n);
	r = plx_virtq_reap_begin(vq, packed, n);
	for (i = 0; (cookie = plx_virtq_reap_next(vq, packed, &r, &id)) != NULL; i++) {
		cookies[i] = cookie;
		ids[i] = (uint16_t)id;
	}
	plx_virtq_reap_end(vq, packed, &r);
	return i;
}

/** @return whether there is nothing to pop, at the price of a look; false: perhaps not */
static __rte_always_inline bool
plx_virtq_idle(const struct plx_virtq *vq, bool packed)
{
	const uint16_t both = 1u << VRING_PACKED_DESC_F_AVAIL | 1u << VRING_PACKED_DESC_F_USED;
	const uint16_t *word = packed ? &vq->ring[vq->last_used].flags : &vq->used->idx;
	uint16_t v = rte_le_to_cpu_16(__atomic_load_n(word, __ATOMIC_RELAXED));

	if (vq->in_batch)
		return false;
	return packed ? (v & both) != vq->used_wrap : v == vq->last_used;
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
