/* SPDX-License-Identifier: BSD-3-Clause */
/* The attachment: attach, housekeeping, detach. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_byteorder.h>

#include "plx_log.h"
#include "plx_vfio.h"
#include "vblk_priv.h"

PLX_LOG_TYPE(vblk, NOTICE);

#define ANSWER_MS 5000
#define IO_MS 30000
#define IO_MS_MAX 600000

/* ---- attach ---- */

static int
check_rings(const struct vblk *v)
{
	if (!v->packed_given || !v->packed || (v->vio->offered >> VIRTIO_F_RING_PACKED & 1))
		return 0;
	PLX_LOG(ERR, "virtio-blk: %s: packed=1: %s offers split rings only; leave it out",
		v->dev->name, v->vio->name);
	return -ENOTSUP;
}

/* The longest ring that all queues take; the device may have fewer than it says. */
static int
sizes_step(struct vblk *v)
{
	PLX_PT_BEGIN(&v->sub);
	v->max_queue_size = PLX_VIRTQ_MAX;
	for (v->i = 0; v->i < v->blk.info.max_queues; v->i++) {
		VBLK_CALL(&v->sub, v->sub_rc, v, plx_virtio_queue_max(v->vio, v->i, &v->size));
		VBLK_OR_RETURN(&v->sub, v->sub_rc);
		if (v->size == 0)
			break;
		v->max_queue_size =
			(uint16_t)rte_align32prevpow2(RTE_MIN(v->size, v->max_queue_size));
	}
	if (v->i == 0 || v->max_queue_size < 4) {
		PLX_LOG(ERR, "virtio-blk: %s: %s has no usable queue", v->dev->name, v->vio->name);
		PLX_PT_RETURN(&v->sub, -EPROTO);
	}
	v->blk.info.max_queues = v->i;
	PLX_PT_END(&v->sub);
}

/* ---- what only a running queue tells: identity and wear ---- */

static int
ident_queue(struct vblk *v)
{
	const struct plx_blkq_conf conf = {.depth = 1, .socket = -1};
	int rc = vblk_queue_alloc(v, 0, &conf, &v->ident);

	if (rc != 0)
		return rc;
	v->tqs = calloc(1, sizeof(struct plx_virtio_queue *));
	if (v->tqs == NULL)
		return -ENOMEM;
	v->tqs[0] = &v->ident->tq;
	return 0;
}

/* @return -EINPROGRESS; 0 it answered; -ETIMEDOUT; otherwise its refusal */
static int
answered(struct vblk *v)
{
	struct plx_blk_req *req;

	if (vblk_reap(v->ident, &req, 1) == 1)
		return req->status;
	if (__atomic_load_n(&v->vio->lost, __ATOMIC_RELAXED) != 0)
		return -ENODEV;
	if (v->ident->vq.broken == 0 && !plx_deadline_past(v->until))
		return -EINPROGRESS;
	PLX_LOG(ERR, "virtio-blk: %s: %s %s", v->dev->name, v->vio->name,
		v->ident->vq.broken != 0 ? plx_virtq_fault_text(v->ident->vq.broken)
					 : "does not answer on its first queue");
	return v->ident->vq.broken != 0 ? -EPROTO : -ETIMEDOUT;
}

static int
ask(struct vblk *v, uint32_t type, uint32_t len)
{
	v->answer = vblk_ask(v->ident, type, len);
	v->until = plx_deadline_in(ANSWER_MS);
	return answered(v);
}

static bool
no_answer(int rc)
{
	return rc == -ENODEV || rc == -EPROTO || rc == -ETIMEDOUT;
}

static void
got_id(struct vblk *v)
{
	const char *id = v->answer;
	char *out = v->blk.info.serial;
	size_t i;

	for (i = 0; i < VBLK_ID_BYTES; i++) {
		char c = *(volatile const char *)&id[i];

		if (c == '\0')
			break;
		out[i] = c >= 0x20 && c < 0x7f ? c : '?';
	}
}

static void
got_lifetime(struct vblk *v)
{
	struct vblk_lifetime l;

	memcpy(&l, v->answer, sizeof(l));
	PLX_LOG(INFO, "virtio-blk: %s: life used: %u and %u tenths, spares: state %u", v->dev->name,
		rte_le_to_cpu_16(l.est_typ_a), rte_le_to_cpu_16(l.est_typ_b),
		rte_le_to_cpu_16(l.pre_eol_info));
	if (rte_le_to_cpu_16(l.pre_eol_info) > 1 || rte_le_to_cpu_16(l.est_typ_a) > 10 ||
		rte_le_to_cpu_16(l.est_typ_b) > 10)
		v->worn = (uint64_t)rte_le_to_cpu_16(l.pre_eol_info) |
			  (uint64_t)rte_le_to_cpu_16(l.est_typ_a) << 16 |
			  (uint64_t)rte_le_to_cpu_16(l.est_typ_b) << 32;
}

static void
ident_free(struct vblk *v)
{
	if (v->ident != NULL)
		vblk_queue_free(v->ident);
	v->ident = NULL;
	free(v->tqs);
	v->tqs = NULL;
}

static int
ident_step(struct vblk *v)
{
	PLX_PT_BEGIN(&v->sub);
	v->sub_rc = ident_queue(v);
	VBLK_OR_RETURN(&v->sub, v->sub_rc);
	PLX_PT_CALL(&v->sub, v->sub_rc, plx_mem_domain_sync(v->vio->domain),
		plx_mem_domain_sync(v->vio->domain));
	VBLK_OR_RETURN(&v->sub, v->sub_rc);
	PLX_PT_CALL(&v->sub, v->sub_rc, vblk_give_queues(v, 1), vblk_give_queues(v, 1));
	VBLK_OR_RETURN(&v->sub, v->sub_rc);
	PLX_PT_CALL(&v->sub, v->sub_rc, ask(v, VBLK_T_GET_ID, VBLK_ID_BYTES), answered(v));
	if (no_answer(v->sub_rc))
		PLX_PT_RETURN(&v->sub, v->sub_rc);
	if (v->sub_rc == 0)
		got_id(v);
	if (vblk_has(v, VIRTIO_BLK_F_LIFETIME)) {
		PLX_PT_CALL(&v->sub, v->sub_rc,
			ask(v, VBLK_T_GET_LIFETIME, sizeof(struct vblk_lifetime)), answered(v));
		if (no_answer(v->sub_rc))
			PLX_PT_RETURN(&v->sub, v->sub_rc);
		if (v->sub_rc == 0)
			got_lifetime(v);
	}
	VBLK_CALL(&v->sub, v->sub_rc, v, plx_virtio_reset(v->vio));
	PLX_PT_RETURN(&v->sub, v->sub_rc);
	PLX_PT_END(&v->sub);
}

/* ---- the way there ---- */

static int
list_device(struct vblk *v)
{
	int rc;

	v->blk.ops = &vblk_ops;
	v->blk.priv = v;
	v->blk.dev = v->dev;
	rc = plx_blk_register(&v->blk);
	if (rc != 0)
		return rc;
	v->registered = true;
	v->state = VBLK_DOWN;
	if (v->worn != 0)
		plx_blk_event_post(&v->blk, PLX_BLK_EVENT_HEALTH, v->worn);
	return 0;
}

static int
attach_step(struct vblk *v)
{
	PLX_PT_BEGIN(&v->pt);
	PLX_PT_CALL(&v->pt, v->rc, plx_virtio_poll(v->vio), plx_virtio_poll(v->vio));
	if (v->rc == 0)
		v->rc = check_rings(v);
	VBLK_OR_RETURN(&v->pt, v->rc);
	PLX_PT_CALL(&v->pt, v->rc, vblk_bring_up(v), vblk_bring_up(v));
	VBLK_OR_RETURN(&v->pt, v->rc);
	v->features = v->vio->features;
	v->cfg = v->fresh;
	v->max_queue_size = PLX_VIRTQ_MAX;
	v->rc = vblk_check(v);
	if (v->rc == 0)
		v->rc = vblk_fill_info(v);
	VBLK_OR_RETURN(&v->pt, v->rc);
	PLX_PT_CALL(&v->pt, v->rc, sizes_step(v), sizes_step(v));
	if (v->rc == 0)
		v->rc = vblk_fill_info(v);
	VBLK_OR_RETURN(&v->pt, v->rc);
	PLX_PT_CALL(&v->pt, v->rc, ident_step(v), ident_step(v));
	VBLK_OR_RETURN(&v->pt, v->rc);
	ident_free(v);
	v->rc = list_device(v);
	PLX_PT_RETURN(&v->pt, v->rc);
	PLX_PT_END(&v->pt);
}

static int
parse_args(struct vblk *v)
{
	const char *cache = plx_arg_str(v->dev, "cache");
	uint32_t seconds;

	v->packed_given = plx_arg_str(v->dev, "packed") != NULL;
	if (plx_arg_u32(v->dev, "queues", 1, VBLK_MAX_QUEUES, 0, &v->want_queues) != 0 ||
		plx_arg_bool(v->dev, "packed", true, &v->packed) != 0 ||
		plx_arg_u32(v->dev, "io_timeout", 0, IO_MS_MAX, IO_MS, &v->io_ms) != 0 ||
		plx_arg_u32(v->dev, "reconnect", 0, 86400, 30, &seconds) != 0)
		return -EINVAL;
	v->reconnect_ms = seconds * 1000;
	if (cache != NULL && strcmp(cache, "writeback") == 0)
		v->want_cache = 1;
	else if (cache != NULL && strcmp(cache, "writethrough") == 0)
		v->want_cache = 2;
	else if (cache != NULL)
		return plx_arg_bad(v->dev, "cache", "is none of writeback, writethrough");
	return 0;
}

/* Nothing reaches our memory any more. */
void
vblk_release(struct plx_dev *dev)
{
	struct vblk *v = dev->priv;
	struct vblk_kept *k;

	if (v == NULL)
		return;
	while ((k = v->quarantine) != NULL) {
		v->quarantine = k->next;
		plx_mem_free(k->mem);
		free(k);
	}
	free(v);
	dev->priv = NULL;
}

/* A PCI function's transport is closed behind us, then comes release(). */
static void
leave(struct vblk *v)
{
	struct plx_dev *dev = v->dev;

	if (v->ident != NULL) /* the device may have been given it, all the same */
		v->ident->lost_memory = true;
	ident_free(v);
	if (v->registered)
		plx_blk_unregister(&v->blk);
	free(v->tqs);
	v->tqs = NULL;
	plx_virtio_close(v->vio);
	v->vio = NULL;
	if (dev->pci == NULL)
		vblk_release(dev);
}

static int
attach_end(struct vblk *v, int rc)
{
	if (rc != 0 && rc != -EINPROGRESS)
		leave(v);
	return rc;
}

int
vblk_attach(struct plx_dev *dev, vblk_open_t open)
{
	struct vblk *v = calloc(1, sizeof(*v));
	int rc;

	if (v == NULL)
		return -ENOMEM;
	dev->priv = v;
	v->dev = dev;
	rc = parse_args(v);
	if (rc == 0)
		rc = open(dev, &v->vio);
	return attach_end(v, rc == 0 ? attach_step(v) : rc);
}

/* ---- housekeeping ---- */

static int
begin(struct vblk *v, int (*job)(struct vblk *))
{
	v->pt = v->sub = v->up = (struct plx_pt){0};
	v->job = job;
	return 1;
}

/* Owners that were stuck inside a call when the device died: once they are out, their queues are
 * taken too. */
static void
take_late(struct vblk *v)
{
	struct vblk_queue *q;
	bool any = false;

	for (q = v->queues; q != NULL; q = q->next)
		if (!q->dq.taken && plx_drvq_takeover(&q->dq, -ENODEV) == 0) {
			plx_drvq_split_cancel(&q->dq, -ENODEV);
			any = true;
		}
	if (any)
		vblk_bury(v);
}

/* The kernel asks for the function. */
static bool
wanted_back(const struct vblk *v)
{
	return v->dev->vfio != NULL && v->dev->vfio->wanted_back;
}

/* Nothing is under way: what is there to do? */
static int
look(struct vblk *v)
{
	int lost = __atomic_load_n(&v->vio->lost, __ATOMIC_RELAXED);

	if (v->state == VBLK_DEAD) {
		take_late(v);
		return 0;
	}
	if (lost != 0 && v->vio->ops->reconnect == NULL) {
		vblk_dead(v, lost);
		return 1;
	}
	if (lost != 0) {
		v->state = VBLK_LOST;
		return begin(v, vblk_reconnect);
	}
	if (wanted_back(v))
		return begin(v, vblk_leave);
	if (v->state != VBLK_UP)
		return 0;
	vblk_late_look(v);
	if (__atomic_load_n(&v->sick, __ATOMIC_RELAXED))
		return begin(v, vblk_recover);
	if (plx_deadline_past(v->tick) || v->changes_seen != v->vio->config_changes)
		return begin(v, vblk_watch);
	return 0;
}

static int
run_job(struct vblk *v)
{
	if (v->job(v) != -EINPROGRESS)
		v->job = NULL;
	return 1;
}

int
vblk_poll(struct plx_dev *dev)
{
	struct vblk *v = dev->priv;

	if (!v->registered)
		return attach_end(v, attach_step(v));
	if (!v->vio->busy) /* an operation's outcome is for who waits for it */
		plx_virtio_poll(v->vio);
	if (v->owned)
		return 0;
	return v->job != NULL ? run_job(v) : look(v);
}

/* ---- detach ---- */

/* Stopped by the class, the device has nothing of ours; closing is all that is left. */
int
vblk_detach(struct plx_dev *dev)
{
	leave(dev->priv);
	return 0;
}
