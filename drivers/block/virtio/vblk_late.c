/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Requests that are not answered in time. The device can't be asked for one of them: it is reset,
 * and gets again what it had, each late one once.
 *
 * Nothing of this is on the fast path. A few times within the time-out a running device's queues
 * are taken over for a look, which is some microseconds: what is in flight ages by one, in its
 * mark, and is late when it has seen LOOKS of them. Time in which the owner doesn't poll counts for
 * nobody, since a look reaps first.
 */
#include "plx_log.h"
#include "vblk_priv.h"

PLX_LOG_USE(vblk);

#define LOOKS 4 /* in a time-out */

bool
vblk_is_late(uint16_t mark)
{
	return mark / VBLK_MARK_AGE > LOOKS;
}

void
vblk_rejuvenate(struct vblk *v)
{
	struct vblk_queue *q;
	uint16_t i;

	for (q = v->queues; q != NULL; q = q->next)
		for (i = 0; i < q->vq.size; i++)
			q->mark[i] &= VBLK_MARK_AGE - 1;
	v->look = plx_deadline_in(v->io_ms / LOOKS);
}

/* @return how many are late */
static uint32_t
age(struct vblk_queue *q)
{
	uint32_t late = 0;
	uint16_t i;

	for (i = 0; i < q->vq.size; i++) {
		if (q->vq.slots[i].cookie == NULL)
			continue;
		if (!vblk_is_late(q->mark[i]))
			q->mark[i] = (uint16_t)(q->mark[i] + VBLK_MARK_AGE);
		late += vblk_is_late(q->mark[i]);
	}
	return late;
}

static void
look(struct vblk_queue *q)
{
	struct vblk *v = q->v;
	bool mine = q->dq.taken;
	uint32_t late;

	if (mine || plx_drvq_takeover(&q->dq, 0) != 0)
		return; /* stopped, or its owner is stuck inside a call */
	vblk_queue_drain(q);
	late = age(q);
	plx_drvq_giveback(&q->dq);
	if (late == 0)
		return;
	plx_stat_add(&q->dq.st.late, late);
	PLX_LOG(ERR,
		"virtio-blk: %s: queue %u: %u of its requests not answered for %u ms: resetting "
		"the "
		"device",
		v->dev->name, q->dq.q.qid, late, v->io_ms);
	__atomic_store_n(&v->sick, true, __ATOMIC_RELAXED);
}

void
vblk_late_look(struct vblk *v)
{
	struct vblk_queue *q;

	if (v->io_ms == 0 || !plx_deadline_past(v->look))
		return;
	v->look = plx_deadline_in(v->io_ms / LOOKS);
	for (q = v->queues; q != NULL; q = q->next)
		look(q);
}
