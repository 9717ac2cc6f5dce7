/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the driver does by itself: a back end that went away is waited for, a device that needs it
 * is reset, and one that changed its size is believed.
 *
 * Requests wait in their slots meanwhile, and submit takes no more, so what waits is bounded by the
 * queues' depth. A device that came back gets what it had not completed. One that remembers
 * (INFLIGHT_SHMFD) knows by itself what that is, and gets its rings as they were. For others it is
 * everything that wasn't seen completed: sent again, perhaps a second time, which is safe since
 * the class promises no order among requests in flight, and nothing was put behind them. Appends
 * are not sent twice.
 */
#include <errno.h>
#include <string.h>

#include "plx_log.h"
#include "plx_vfio.h"
#include "vblk_priv.h"

PLX_LOG_USE(vblk);

#define RETRY_MS 50
#define SLOW_RETRY_MS 1000
#define TICK_MS 500
#define SETTLE_MS 1000 /* what is in flight may take to end on a device that is wanted back */

/* Once no owner can ring it any more, a function is given back to the kernel before anything ends:
 * then it can't reach memory, and the kernel that removes it need not wait for the application. */
static bool
cut(struct vblk *v)
{
	const struct vblk_queue *q;

	for (q = v->queues; q != NULL; q = q->next)
		if (!q->dq.taken)
			return false;
	return v->dev->vfio != NULL && plx_vfio_cut(v->dev->vfio) == 0;
}

void
vblk_bury(struct vblk *v)
{
	vblk_drain_all(v);
	vblk_cancel_all(v, -ENODEV, cut(v) ? 0 : PLX_IO_MAYBE_DMA);
}

void
vblk_dead(struct vblk *v, int why)
{
	if (v->state == VBLK_DEAD)
		return;
	v->state = VBLK_DEAD;
	PLX_LOG(ERR,
		"virtio-blk: %s: the device is %s (%s); its requests end with -ENODEV, detach it",
		v->dev->name, v->vio->lost == 0 && why == -ENODEV ? "given back" : "lost",
		strerror(-why));
	plx_blk_removed(&v->blk);
	vblk_bury(v);
}

/* The kernel wants the function back, which is still there: no request goes there any more, and
 * what it finishes before it is reset has ended well. */
int
vblk_leave(struct vblk *v)
{
	PLX_PT_BEGIN(&v->pt);
	plx_blk_removed(&v->blk);
	v->until = plx_deadline_in(SETTLE_MS);
	PLX_PT_WAIT(&v->pt, vblk_drain_all(v) == 0 || v->vio->lost != 0 || v->sick ||
				    plx_deadline_past(v->until));
	VBLK_CALL(&v->pt, v->rc, v, plx_virtio_reset(v->vio));
	vblk_dead(v, -ENODEV);
	PLX_PT_END(&v->pt);
}

/* Its queues wait for the device. */
static bool
parked(const struct vblk *v)
{
	return v->blk.info.state == PLX_BLK_RESETTING;
}

/* ---- a back end that went away ---- */

static void
refuse_all(struct vblk *v, int status)
{
	uint16_t i;

	for (i = 0; i < v->blk.info.nb_queues; i++) {
		struct plx_drvq *dq = v->blk.queues[i];

		if (dq == NULL || !dq->taken)
			continue;
		plx_drvq_takeover(dq, status);
		plx_drvq_split_cancel(dq, status);
	}
}

/* It took too long: what waits ends, and so does what comes, until it is there again. */
static void
expire(struct vblk *v)
{
	v->expired = true;
	if (!parked(v))
		return;
	PLX_LOG(ERR,
		"virtio-blk: %s: %s did not come back within %u s: requests end with -ENOTCONN "
		"until "
		"it does; reconnect= gives it longer",
		v->dev->name, v->vio->name, v->reconnect_ms / 1000);
	refuse_all(v, -ENOTCONN);
	vblk_cancel_all(v, -ENOTCONN, PLX_IO_MAYBE_DMA);
}

static void
gone(struct vblk *v)
{
	uint32_t waiting = vblk_drain_all(v);

	v->until = plx_deadline_in(v->reconnect_ms);
	v->expired = v->told = false;
	plx_blk_event_post(&v->blk, PLX_BLK_EVENT_RECONNECTING, waiting);
	if (parked(v))
		PLX_LOG(WARNING, "virtio-blk: %s: %u requests wait for it, for up to %u s",
			v->dev->name, waiting, v->reconnect_ms / 1000);
}

/* A queue that its device broke has no state to go on with, nor has one that was hung up on. */
static bool
goes_on(const struct vblk *v)
{
	const struct vblk_queue *q;

	for (q = v->queues; q != NULL; q = q->next)
		if (q->vq.broken != 0)
			return false;
	return !v->expired && !v->anew && v->vio->remembers;
}

/* Connected again: is it the same, and what has it to do? */
static int
resume_step(struct vblk *v)
{
	PLX_PT_BEGIN(&v->sub);
	v->vio->remembers = parked(v) && goes_on(v);
	PLX_PT_CALL(&v->sub, v->sub_rc, vblk_bring_up(v), vblk_bring_up(v));
	if (v->sub_rc == 0)
		v->sub_rc = vblk_same(v);
	VBLK_OR_RETURN(&v->sub, v->sub_rc);
	v->state = VBLK_DOWN;
	if (!parked(v))
		PLX_PT_RETURN(&v->sub, 0);
	PLX_PT_CALL(&v->sub, v->sub_rc, vblk_give_queues(v, v->blk.info.nb_queues),
		vblk_give_queues(v, v->blk.info.nb_queues));
	PLX_PT_RETURN(&v->sub, v->sub_rc);
	PLX_PT_END(&v->sub);
}

static void
attempt_failed(struct vblk *v)
{
	v->state = VBLK_LOST;
	plx_virtio_give_up(v->vio, v->rc);
	if (!v->expired && plx_deadline_past(v->until))
		expire(v);
	v->pause = plx_deadline_in(v->expired || v->rc == -ESTALE ? SLOW_RETRY_MS : RETRY_MS);
}

int
vblk_reconnect(struct vblk *v)
{
	PLX_PT_BEGIN(&v->pt);
	PLX_PT_WAIT(&v->pt, plx_blk_park(&v->blk) == 0); /* or an owner is stuck inside a call */
	gone(v);
	for (;;) {
		VBLK_CALL(&v->pt, v->rc, v, plx_virtio_reconnect(v->vio));
		v->up = v->sub = (struct plx_pt){0};
		if (v->rc == 0)
			PLX_PT_CALL(&v->pt, v->rc, resume_step(v), resume_step(v));
		if (v->rc == 0)
			break;
		attempt_failed(v);
		PLX_PT_WAIT(&v->pt, plx_deadline_past(v->pause) ||
					    (!v->expired && plx_deadline_past(v->until)));
	}
	PLX_LOG(NOTICE, "virtio-blk: %s: %s is back", v->dev->name, v->vio->name);
	v->anew = false;
	plx_blk_unpark(&v->blk, 0);
	PLX_PT_END(&v->pt);
}

/* ---- a device that needs to be reset ---- */

static void
say_why(struct vblk *v)
{
	const struct vblk_queue *q;

	for (q = v->queues; q != NULL; q = q->next)
		if (q->vq.broken != 0)
			PLX_LOG(ERR, "virtio-blk: %s: queue %u: %s: resetting the device",
				v->dev->name, q->dq.q.qid, plx_virtq_fault_text(q->vq.broken));
	if (v->vio->status & VIRTIO_CONFIG_S_NEEDS_RESET)
		PLX_LOG(ERR, "virtio-blk: %s: the device needs a reset: resetting it",
			v->dev->name);
}

static int
recover_step(struct vblk *v)
{
	PLX_PT_BEGIN(&v->sub);
	PLX_PT_WAIT(&v->sub, plx_blk_park(&v->blk) == 0);
	say_why(v);
	VBLK_CALL(&v->sub, v->sub_rc, v, vblk_take_back(v));
	VBLK_OR_RETURN(&v->sub, v->sub_rc);
	v->state = VBLK_DOWN;
	vblk_drain_all(v); /* what it finished before */
	PLX_PT_CALL(&v->sub, v->sub_rc, vblk_bring_up(v), vblk_bring_up(v));
	VBLK_OR_RETURN(&v->sub, v->sub_rc);
	vblk_resize(v);
	v->sub_rc = vblk_same(v);
	if (v->sub_rc == 0 && parked(v))
		PLX_PT_CALL(&v->sub, v->sub_rc, vblk_give_queues(v, v->blk.info.nb_queues),
			vblk_give_queues(v, v->blk.info.nb_queues));
	PLX_PT_RETURN(&v->sub, v->sub_rc);
	PLX_PT_END(&v->sub);
}

int
vblk_recover(struct vblk *v)
{
	int rc = recover_step(v);

	if (rc == -EINPROGRESS)
		return rc;
	if (rc == 0)
		plx_blk_unpark(&v->blk, 0);
	else if (__atomic_load_n(&v->vio->lost, __ATOMIC_RELAXED) == 0 ||
		 v->vio->ops->reconnect == NULL)
		vblk_dead(v, rc);
	return rc; /* else lost: what is parked stays so until it is back */
}

/* ---- the watch ---- */

static bool
wants_reset(const struct vblk *v)
{
	return v->state == VBLK_UP && ((v->vio->status & VIRTIO_CONFIG_S_NEEDS_RESET) ||
					      !(v->vio->status & VIRTIO_CONFIG_S_DRIVER_OK));
}

/* Once a tick, and when the configuration changed. */
int
vblk_watch(struct vblk *v)
{
	PLX_PT_BEGIN(&v->pt);
	v->tick = plx_deadline_in(TICK_MS);
	VBLK_CALL(&v->pt, v->rc, v, plx_virtio_status(v->vio));
	VBLK_OR_RETURN(&v->pt, v->rc);
	if (wants_reset(v)) {
		__atomic_store_n(&v->sick, true, __ATOMIC_RELAXED);
		PLX_PT_RETURN(&v->pt, 0);
	}
	if (v->changes_seen == v->vio->config_changes)
		PLX_PT_RETURN(&v->pt, 0);
	v->changes_seen = v->vio->config_changes;
	VBLK_CALL(&v->pt, v->rc, v, plx_virtio_config_read(v->vio, 0, &v->fresh, sizeof(v->fresh)));
	VBLK_OR_RETURN(&v->pt, v->rc);
	vblk_resize(v);
	PLX_PT_END(&v->pt);
}
