/* SPDX-License-Identifier: BSD-3-Clause */
/* Virtqueues: buffers coming back, beyond the common case, and what a device may do wrong. */
#include "plx_virtq.h"

static bool
used_up_to_date(const struct plx_virtq *vq)
{
	return rte_le_to_cpu_16(__atomic_load_n(&vq->used->idx, __ATOMIC_ACQUIRE)) == vq->last_used;
}

static bool
next_is_used(const struct plx_virtq *vq)
{
	const uint16_t both = 1u << VRING_PACKED_DESC_F_AVAIL | 1u << VRING_PACKED_DESC_F_USED;
	uint16_t flags = __atomic_load_n(&vq->ring[vq->last_used].flags, __ATOMIC_ACQUIRE);

	return (rte_le_to_cpu_16(flags) & both) == vq->used_wrap;
}

bool
plx_virtq_pending(const struct plx_virtq *vq)
{
	if (vq->broken != 0)
		return false;
	if (vq->in_batch)
		return true;
	return vq->packed ? next_is_used(vq) : !used_up_to_date(vq);
}

uint16_t
plx_virtq_inflight(const struct plx_virtq *vq)
{
	uint16_t i, n = 0;

	for (i = 0; i < vq->size; i++)
		n = (uint16_t)(n + (vq->slots[i].cookie != NULL));
	return n;
}

void
plx_virtq_break(struct plx_virtq *vq, uint32_t id)
{
	vq->broken = id > vq->mask ? PLX_VIRTQ_BAD_ID : PLX_VIRTQ_NOT_LENT;
}

/*
 * In order (2.7.9, 2.8.9): ids are given out in sequence, and one used entry, with the id of its
 * last buffer, may stand for several. The length is of that one; of the others nothing is known.
 */
static bool
batch_begin(struct plx_virtq *vq)
{
	uint32_t id, len;

	if (vq->packed) {
		if (!plx_virtq_peek(vq, vq->last_used, vq->used_wrap, &id, &len))
			return false;
	} else {
		const volatile struct vring_used_elem *e;

		if (plx_virtq_used(vq) == 0)
			return false;
		e = &vq->used->ring[vq->last_used & vq->mask];
		id = rte_le_to_cpu_32(e->id);
		len = rte_le_to_cpu_32(e->len);
	}
	if (id > vq->mask || vq->slots[id].cookie == NULL) {
		plx_virtq_break(vq, id);
		return false;
	}
	vq->too_long += len > vq->slots[id].writable;
	vq->batch = (uint16_t)id;
	vq->in_batch = true;
	return true;
}

/* The batch's end is lent, so all up to it are; but the device's index must cover them. */
static bool
within_index(struct plx_virtq *vq)
{
	if (vq->packed || vq->last_used != vq->used_idx)
		return true;
	vq->broken = PLX_VIRTQ_BAD_INDEX;
	return false;
}

static void
skip(struct plx_virtq *vq, uint16_t n)
{
	vq->last_used = (uint16_t)(vq->last_used + n);
	if (vq->last_used < vq->size)
		return;
	vq->last_used = (uint16_t)(vq->last_used - vq->size);
	vq->used_wrap ^= 1u << VRING_PACKED_DESC_F_AVAIL | 1u << VRING_PACKED_DESC_F_USED;
}

static void *
pop_oldest(struct plx_virtq *vq, uint16_t *id)
{
	struct plx_virtq_slot *s;
	uint16_t n;

	if (vq->broken != 0 || (!vq->in_batch && !batch_begin(vq)) || !within_index(vq))
		return NULL;
	*id = vq->oldest & vq->mask;
	s = &vq->slots[*id];
	n = s->ndesc;
	vq->in_batch = *id != vq->batch;
	vq->oldest = (uint16_t)(vq->oldest + (vq->packed ? 1 : n));
	if (vq->packed)
		skip(vq, n);
	else
		vq->last_used++;
	vq->nids = (uint16_t)(vq->nids + (vq->packed ? 1 : n));
	vq->nfree = (uint16_t)(vq->nfree + n);
	return s->cookie;
}

uint16_t
plx_virtq_pop_in_order(struct plx_virtq *vq, void **cookies, uint16_t *ids, uint16_t n)
{
	uint16_t i;

	for (i = 0; i < n; i++) {
		cookies[i] = pop_oldest(vq, &ids[i]);
		if (cookies[i] == NULL)
			break;
		vq->slots[ids[i]].cookie = NULL;
	}
	return i;
}

const char *
plx_virtq_fault_text(uint8_t fault)
{
	static const char *const text[] = {
		[PLX_VIRTQ_SOUND] = "nothing",
		[PLX_VIRTQ_BAD_ID] = "it used a buffer that there is not",
		[PLX_VIRTQ_NOT_LENT] = "it used a buffer that it doesn't have",
		[PLX_VIRTQ_BAD_INDEX] = "it used more buffers than it has",
	};

	return fault < RTE_DIM(text) ? text[fault] : "?";
}
