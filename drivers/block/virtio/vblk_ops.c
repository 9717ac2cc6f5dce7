/* SPDX-License-Identifier: BSD-3-Clause */
/* The class's control operations, and bringing the device up, which all have in common. */
#include <errno.h>
#include <stdlib.h>

#include "plx_log.h"
#include "vblk_priv.h"

PLX_LOG_USE(vblk);

#define DRAIN_MS 5000
#define RESET_DRAIN_MS 500 /* some back ends don't survive a reset with requests in flight */

/* ---- bringing the device up ---- */

static int
map_queues(struct vblk *v, uint16_t n)
{
	uint16_t i;
	int rc = 0;

	for (i = 0; i < n && rc == 0; i++)
		rc = vblk_queue_map(container_of(v->tqs[i], struct vblk_queue, tq));
	return rc;
}

/* The device string wins over what the device does by itself, if it can be told (5.2.5.2). */
static bool
set_cache(struct vblk *v)
{
	if (v->want_cache == 0 || !plx_virtio_has(v->vio, VIRTIO_BLK_F_CONFIG_WCE))
		return false;
	v->writeback = v->want_cache == 1;
	v->fresh.writeback = v->writeback;
	return true;
}

int
vblk_bring_up(struct vblk *v)
{
	PLX_PT_BEGIN(&v->up);
	VBLK_CALL(&v->up, v->up_rc, v, plx_virtio_negotiate(v->vio, vblk_want(v)));
	VBLK_OR_RETURN(&v->up, v->up_rc);
	v->changes_seen = v->vio->config_changes;
	VBLK_CALL(&v->up, v->up_rc, v,
		plx_virtio_config_read(v->vio, 0, &v->fresh, sizeof(v->fresh)));
	VBLK_OR_RETURN(&v->up, v->up_rc);
	if (set_cache(v)) {
		VBLK_CALL(&v->up, v->up_rc, v,
			plx_virtio_config_write(v->vio, offsetof(struct vblk_config, writeback),
				&v->writeback, sizeof(v->writeback)));
		VBLK_OR_RETURN(&v->up, v->up_rc);
	}
	PLX_PT_CALL(&v->up, v->up_rc, plx_mem_domain_sync(v->vio->domain),
		plx_mem_domain_sync(v->vio->domain));
	VBLK_OR_RETURN(&v->up, v->up_rc);
	PLX_PT_END(&v->up);
}

/* Queues of a device that was brought up. What is in them already is sent again, unless the device
 * remembers it. */
int
vblk_give_queues(struct vblk *v, uint16_t n)
{
	uint16_t i;

	PLX_PT_BEGIN(&v->up);
	v->up_rc = map_queues(v, n);
	VBLK_OR_RETURN(&v->up, v->up_rc);
	for (i = 0; i < n && !v->vio->remembers; i++)
		vblk_queue_replay(container_of(v->tqs[i], struct vblk_queue, tq));
	VBLK_CALL(&v->up, v->up_rc, v, plx_virtio_start(v->vio, v->tqs, n));
	VBLK_OR_RETURN(&v->up, v->up_rc);
	__atomic_store_n(&v->sick, false, __ATOMIC_RELAXED);
	v->state = VBLK_UP;
	vblk_rejuvenate(v);
	for (i = 0; i < n; i++) {
		plx_virtq_publish(v->tqs[i]->vq, v->tqs[i]->vq->packed);
		plx_virtio_kick(v->tqs[i]);
	}
	PLX_PT_END(&v->up);
}

static struct vblk_queue *
queue(const struct vblk *v, uint16_t i)
{
	return (struct vblk_queue *)v->blk.queues[i];
}

/* The queues that the class set up, in the device's order. */
int
vblk_gather(struct vblk *v)
{
	uint16_t i, n = v->blk.info.nb_queues;

	free(v->tqs);
	v->tqs = calloc(n, sizeof(struct plx_virtio_queue *));
	if (v->tqs == NULL)
		return -ENOMEM;
	for (i = 0; i < n; i++)
		v->tqs[i] = &queue(v, i)->tq;
	return 0;
}

void
vblk_cancel_all(struct vblk *v, int status, uint8_t flags)
{
	struct vblk_queue *q;

	for (q = v->queues; q != NULL; q = q->next)
		if (q->dq.taken)
			vblk_queue_cancel(q, status, flags);
}

uint32_t
vblk_drain_all(struct vblk *v)
{
	struct vblk_queue *q;
	uint32_t left = 0;

	for (q = v->queues; q != NULL; q = q->next)
		if (q->dq.taken)
			left += vblk_queue_drain(q);
	return left;
}

/*
 * Take the queues back from the device. A vhost-user back end may answer that it has stopped and
 * still be at what it had, as qemu-storage-daemon is: it would write from buffers that were given
 * back. So with anything in flight it is hung up on. It lets nobody in before it is through.
 */
int
vblk_take_back(struct vblk *v)
{
	uint32_t left = v->vio->ops->reconnect != NULL ? vblk_drain_all(v) : 0;

	if (left == 0)
		return plx_virtio_reset(v->vio);
	PLX_LOG(WARNING,
		"virtio-blk: %s: %s is still at %u requests: hanging up, to connect again when it "
		"has done with them",
		v->dev->name, v->vio->name, left);
	v->anew = true;
	plx_virtio_give_up(v->vio, -ETIMEDOUT);
	return -ENODEV;
}

/* ---- operations; they wait for what the driver does by itself ---- */

static bool
may_run(const struct vblk *v)
{
	return v->job == NULL || v->state == VBLK_LOST || v->state == VBLK_DEAD;
}

/* @return why the device can't do anything now */
static int
unable(const struct vblk *v)
{
	if (v->state == VBLK_DEAD)
		return -ENODEV;
	return v->state == VBLK_LOST ? -ENOTCONN : 0;
}

/* A reconnect under way begins anew, without the queues that are stopped now. */
static void
forget_job(struct vblk *v)
{
	if (v->job != NULL)
		plx_virtio_give_up(v->vio, -ECANCELED);
	v->job = NULL;
}

static int
start_step(struct vblk *v)
{
	PLX_PT_BEGIN(&v->op);
	PLX_PT_WAIT(&v->op, may_run(v));
	v->op_rc = unable(v);
	if (v->op_rc == 0)
		v->op_rc = vblk_gather(v);
	VBLK_OR_RETURN(&v->op, v->op_rc);
	v->owned = true;
	PLX_PT_CALL(&v->op, v->op_rc, vblk_bring_up(v), vblk_bring_up(v));
	if (v->op_rc == 0) {
		vblk_resize(v);
		PLX_PT_CALL(&v->op, v->op_rc, vblk_give_queues(v, v->blk.info.nb_queues),
			vblk_give_queues(v, v->blk.info.nb_queues));
	}
	if (v->op_rc != 0 && v->vio->lost == 0) {
		/* what it has of ours by now, it gives back */
		PLX_PT_CALL(&v->op, v->rc, vblk_take_back(v), plx_virtio_poll(v->vio));
	}
	if (v->op_rc != 0)
		vblk_cancel_all(v, -ECANCELED, v->vio->lost != 0 ? PLX_IO_MAYBE_DMA : 0);
	v->owned = false;
	PLX_PT_RETURN(&v->op, v->op_rc);
	PLX_PT_END(&v->op);
}

/* Wait for what is in flight on queues that were taken over, until v->op_until. */
static bool
drained(struct vblk *v)
{
	return vblk_drain_all(v) == 0 || plx_deadline_past(v->op_until) || v->state != VBLK_UP ||
	       v->vio->lost != 0 || v->sick;
}

/* The class took the queues over. What the device still has, it gets 5 s to finish. */
static int
stop_step(struct vblk *v)
{
	PLX_PT_BEGIN(&v->op);
	PLX_PT_WAIT(&v->op, may_run(v) && !v->vio->busy);
	v->owned = true;
	forget_job(v);
	v->op_until = plx_deadline_in(DRAIN_MS);
	PLX_PT_WAIT(&v->op, drained(v));
	v->op_rc = 0;
	if (v->state == VBLK_UP && v->vio->lost == 0) {
		PLX_PT_CALL(&v->op, v->op_rc, vblk_take_back(v), plx_virtio_poll(v->vio));
		if (v->op_rc == 0)
			v->state = VBLK_DOWN;
		vblk_drain_all(v);
	}
	vblk_cancel_all(v, -ECANCELED, v->op_rc != 0 || v->vio->lost != 0 ? PLX_IO_MAYBE_DMA : 0);
	v->owned = false;
	if (v->state == VBLK_DEAD)
		PLX_PT_RETURN(&v->op, -ENODEV);
	PLX_PT_RETURN(&v->op, v->op_rc != 0 ? -ETIMEDOUT : 0);
	PLX_PT_END(&v->op);
}

/* Requests still in flight stay in their slots; starting sends them again. */
static int
reset_step(struct vblk *v)
{
	PLX_PT_BEGIN(&v->op);
	PLX_PT_WAIT(&v->op, may_run(v));
	v->op_rc = unable(v);
	VBLK_OR_RETURN(&v->op, v->op_rc);
	v->owned = true;
	v->op_until = plx_deadline_in(v->vio->ops->reconnect != NULL ? DRAIN_MS : RESET_DRAIN_MS);
	PLX_PT_WAIT(&v->op, drained(v));
	PLX_PT_CALL(&v->op, v->op_rc, vblk_take_back(v), plx_virtio_poll(v->vio));
	if (v->op_rc == 0)
		v->state = VBLK_DOWN;
	vblk_drain_all(v);
	if (v->op_rc != 0)
		vblk_cancel_all(v, -ECANCELED, PLX_IO_MAYBE_DMA);
	v->owned = false;
	PLX_PT_RETURN(&v->op, v->op_rc);
	PLX_PT_END(&v->op);
}

static int
run(struct plx_blk *blk, int (*step)(struct vblk *))
{
	struct vblk *v = blk->priv;

	v->op = (struct plx_pt){0};
	v->step = step;
	return step(v);
}

static int
op_start(struct plx_blk *blk)
{
	return run(blk, start_step);
}

static int
op_stop(struct plx_blk *blk)
{
	return run(blk, stop_step);
}

static int
op_reset(struct plx_blk *blk)
{
	return run(blk, reset_step);
}

static int
op_poll(struct plx_blk *blk)
{
	struct vblk *v = blk->priv;

	return v->step(v);
}

static int
queue_setup(
	struct plx_blk *blk, uint16_t qid, const struct plx_blkq_conf *conf, struct plx_drvq **dq)
{
	struct vblk_queue *q;
	int rc = vblk_queue_alloc(blk->priv, qid, conf, &q);

	if (rc == 0)
		*dq = &q->dq;
	return rc;
}

static void
queue_release(struct plx_blk *blk, struct plx_drvq *dq)
{
	vblk_queue_free((struct vblk_queue *)dq);
}

const struct plx_blk_ops vblk_ops = {
	.queue_setup = queue_setup,
	.queue_release = queue_release,
	.start = op_start,
	.stop = op_stop,
	.reset = op_reset,
	.op_poll = op_poll,
	.dump = vblk_dump,
};
