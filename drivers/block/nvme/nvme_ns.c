/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Namespaces as block devices: what they are, and the class's control operations. Each is a
 * state machine that has the controller's admin queue for itself while it runs (c->owner).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_byteorder.h>

#include "plx_log.h"

#include "nvme_priv.h"

PLX_LOG_USE(nvme);

#define DRAIN_MS 5000

/* ---- what a namespace is ---- */

/* Of the device's text what can be printed, without the blanks behind it. */
void
nvme_text(char *dst, size_t size, const char *src, size_t len)
{
	size_t i;

	while (len > 0 && (src[len - 1] == ' ' || src[len - 1] == '\0'))
		len--;
	len = RTE_MIN(len, size - 1);
	for (i = 0; i < len; i++) {
		char c = *(volatile const char *)&src[i]; /* it may be the device's memory */

		dst[i] = c >= 0x20 && c < 0x7f ? c : '?';
	}
	dst[len] = '\0';
}

static uint32_t
caps(const struct nvme_ctrlr *c)
{
	uint16_t oncs = rte_le_to_cpu_16(c->id.oncs);
	uint32_t caps = PLX_BLK_CAP_FUA | PLX_BLK_CAP_NVME;

	caps |= c->id.vwc & 1 ? PLX_BLK_CAP_FLUSH : 0;
	caps |= oncs & NVME_CTRL_ONCS_COMPARE ? PLX_BLK_CAP_COMPARE : 0;
	caps |= oncs & NVME_CTRL_ONCS_DSM ? PLX_BLK_CAP_DISCARD : 0;
	caps |= oncs & NVME_CTRL_ONCS_WRITE_ZEROES ? PLX_BLK_CAP_WRITE_ZEROES : 0;
	caps |= oncs & NVME_CTRL_ONCS_VERIFY ? PLX_BLK_CAP_VERIFY : 0;
	caps |= c->sgl && !c->sgl_dword ? PLX_BLK_CAP_SGL : 0;
	return caps;
}

static void
fill_info(struct nvme_ns *ns, const struct nvme_id_ns *id)
{
	const struct nvme_ctrlr *c = ns->c;
	struct plx_blk_info *info = &ns->blk.info;
	const struct nvme_format *f = &ns->fmt;
	uint32_t bs = 1u << f->shift;

	nvme_text(info->model, sizeof(info->model), c->id.mn, sizeof(c->id.mn));
	nvme_text(info->serial, sizeof(info->serial), c->id.sn, sizeof(c->id.sn));
	nvme_text(info->firmware, sizeof(info->firmware), c->id.fr, sizeof(c->id.fr));
	strcpy(info->driver, "nvme");
	memcpy(info->nguid, id->nguid, sizeof(info->nguid));
	info->nblocks = rte_le_to_cpu_64(id->nsze);
	info->block_size = bs;
	info->phys_block_size = bs;
	if (id->nsfeat & 0x10) /* NPWG holds */
		info->phys_block_size = bs * (rte_le_to_cpu_16(id->npwg) + 1u);
	if (!rte_is_power_of_2(info->phys_block_size))
		info->phys_block_size = bs;
	info->caps = caps(c);
	if (id->nsattr & 1)
		info->caps |= PLX_BLK_CAP_RDONLY;
	info->meta_size = f->ms;
	info->pi_type = f->pi_type;
	info->pi_size = f->pi_size;
	info->pi_offset = f->pi_offset;
	info->max_nblk = RTE_MIN(nvme_meta_max_nblk(c, f), 65536u);
	info->max_segs = c->max_sgls;
	info->boundary_nblk = rte_le_to_cpu_16(id->noiob);
	info->atomic_nblk =
		(id->nsfeat & 2 ? rte_le_to_cpu_16(id->nawupf) : rte_le_to_cpu_16(c->id.awupf)) +
		1u;
	info->max_zeroes_nblk = RTE_MIN(65536u, info->max_nblk);
	info->max_discard_nblk = UINT32_MAX;
	info->max_queues = c->max_queues;
	info->max_depth = (uint16_t)RTE_MIN(c->max_entries - 1, NVME_MAX_DEPTH);
	info->numa_node = (int16_t)c->vfio->numa_node;
	nvme_zns_info(c, info);
	nvme_copy_info(c, id, info);
	nvme_quirks_info(c, info);
}

static int
check_ns(struct nvme_ctrlr *c, uint32_t nsid, const struct nvme_id_ns *id, struct nvme_format *fmt)
{
	const struct nvme_lbaf *lbaf = &id->lbaf[nvme_ns_lbaf(id)];
	int rc;

	if (id->nsze == 0)
		return -ENOENT; /* inactive */
	if (lbaf->ds < 9 || lbaf->ds > 16 || (1u << lbaf->ds) > c->max_xfer) {
		NVME_TELL(c, WARNING, "nvme: %s: namespace %u is left out: blocks of 2^%u bytes",
			c->name, nsid, lbaf->ds);
		return -ENOTSUP;
	}
	if (rte_le_to_cpu_64(id->nsze) > UINT64_MAX >> lbaf->ds) {
		NVME_TELL(c, WARNING, "nvme: %s: namespace %u is left out: 2^64 bytes or more",
			c->name, nsid);
		return -ENOTSUP;
	}
	*fmt = (struct nvme_format){.shift = lbaf->ds};
	rc = nvme_meta_format(c, nsid, id, lbaf, fmt);
	return rc != 0 ? rc : nvme_zns_check(c, nsid, fmt);
}

/* ---- the state machines of the class's operations ---- */

/* What is parked or running goes on at the controller. */
static bool
may_run(const struct nvme_ns *ns)
{
	const struct nvme_ctrlr *c = ns->c;

	return c->state == NVME_RUNNING && !c->reset_wanted && c->owner == NULL && !c->watching;
}

/* Get hold of the controller's admin queue. @return 0; -EINPROGRESS; -ENODEV it is dead */
static int
own(struct nvme_ns *ns)
{
	if (ns->c->state == NVME_DEAD)
		return -ENODEV;
	if (!may_run(ns))
		return -EINPROGRESS;
	ns->c->owner = ns;
	return 0;
}

static struct nvme_qpair *
queue(struct nvme_ns *ns, uint16_t i)
{
	return (struct nvme_qpair *)ns->blk.queues[i];
}

/* A state machine in the operations: delete the queues. */
static int
delete_all(struct nvme_ns *ns)
{
	PLX_PT_BEGIN(&ns->del);
	for (ns->i = 0; ns->i < ns->blk.info.nb_queues; ns->i++) {
		PLX_PT_CALL(&ns->del, ns->del_rc, nvme_queue_delete(queue(ns, ns->i)),
			nvme_queue_delete(queue(ns, ns->i)));
		if (ns->del_rc != 0)
			PLX_PT_RETURN(&ns->del, ns->del_rc);
		/* deleting made the device complete the rest as aborted, or drop it */
		nvme_queue_drain(queue(ns, ns->i));
		nvme_queue_cancel(queue(ns, ns->i), -ECANCELED, 0);
	}
	PLX_PT_END(&ns->del);
}

/* The device would not let go of a queue: only disabling it helps. */
static void
take_off(struct nvme_ns *ns)
{
	uint16_t i;

	nvme_ctrlr_want_reset(ns->c);
	for (i = 0; i < ns->blk.info.nb_queues; i++)
		queue(ns, i)->drop = queue(ns, i)->created;
}

/* Its server is gone, and the queues with it. */
static void
forget_all(struct nvme_ns *ns)
{
	uint16_t i;

	for (i = 0; i < ns->blk.info.nb_queues; i++) {
		struct nvme_qpair *q = queue(ns, i);

		q->created = q->sq_created = false;
		nvme_queue_cancel(q, -ECANCELED, PLX_IO_MAYBE_DMA);
	}
}

static int
start_step(struct nvme_ns *ns)
{
	struct nvme_ctrlr *c = ns->c;

	PLX_PT_BEGIN(&ns->pt);
	PLX_PT_CALL(&ns->pt, ns->rc, own(ns), own(ns));
	NVME_OR_RETURN(&ns->pt, ns->rc);
	PLX_PT_CALL(&ns->pt, ns->rc, plx_mem_domain_sync(c->vfio->domain),
		plx_mem_domain_sync(c->vfio->domain));
	for (ns->i = 0; ns->rc == 0 && ns->i < ns->blk.info.nb_queues; ns->i++)
		if (!queue(ns, ns->i)->created)
			PLX_PT_CALL(&ns->pt, ns->rc, nvme_queue_create(queue(ns, ns->i)),
				nvme_queue_create(queue(ns, ns->i)));
	if (ns->rc == 0) {
		c->owner = NULL;
		PLX_PT_RETURN(&ns->pt, 0);
	}
	/* all or none: what there is goes again, by a reset where it won't otherwise */
	ns->start_rc = ns->rc;
	if (ns->rc != -ETIMEDOUT)
		PLX_PT_CALL(&ns->pt, ns->rc, delete_all(ns), delete_all(ns));
	c->owner = NULL;
	if (ns->rc != 0) {
		take_off(ns);
		PLX_PT_WAIT(&ns->pt, c->reset_rc != -EINPROGRESS);
	}
	PLX_PT_RETURN(&ns->pt, ns->start_rc);
	PLX_PT_END(&ns->pt);
}

static uint32_t
drain_all(struct nvme_ns *ns)
{
	uint32_t left = 0;
	uint16_t i;

	for (i = 0; i < ns->blk.info.nb_queues; i++)
		if (queue(ns, i) != NULL && queue(ns, i)->created)
			left += nvme_queue_drain(queue(ns, i));
	return left;
}

/* The class took the queues over. What the device still has, it gets 5 s to finish. */
static int
stop_step(struct nvme_ns *ns)
{
	struct nvme_ctrlr *c = ns->c;

	PLX_PT_BEGIN(&ns->pt);
	PLX_PT_WAIT(&ns->pt, (ns->rc = own(ns)) != -EINPROGRESS || c->waiting);
	if (c->waiting) {
		forget_all(ns);
		PLX_PT_RETURN(&ns->pt, 0);
	}
	NVME_OR_RETURN(&ns->pt, ns->rc);
	ns->until = plx_deadline_in(DRAIN_MS);
	PLX_PT_WAIT(&ns->pt,
		drain_all(ns) == 0 || plx_deadline_past(ns->until) || c->state == NVME_DEAD);
	ns->rc = -ENODEV;
	if (c->state != NVME_DEAD)
		PLX_PT_CALL(&ns->pt, ns->rc, delete_all(ns), delete_all(ns));
	c->owner = NULL;
	if (c->state == NVME_DEAD)
		PLX_PT_RETURN(&ns->pt, -ENODEV);
	if (ns->rc == 0)
		PLX_PT_RETURN(&ns->pt, 0);
	take_off(ns);
	PLX_PT_WAIT(&ns->pt, c->reset_rc != -EINPROGRESS);
	PLX_PT_RETURN(&ns->pt, -ETIMEDOUT);
	PLX_PT_END(&ns->pt);
}

static int
reset_step(struct nvme_ns *ns)
{
	struct nvme_ctrlr *c = ns->c;

	PLX_PT_BEGIN(&ns->pt);
	PLX_PT_WAIT(&ns->pt, may_run(ns) || c->reset_wanted || c->state == NVME_DEAD);
	if (c->state == NVME_DEAD)
		PLX_PT_RETURN(&ns->pt, -ENODEV);
	c->gentle = !c->reset_wanted;
	nvme_ctrlr_want_reset(c);
	PLX_PT_WAIT(&ns->pt, c->reset_rc != -EINPROGRESS);
	PLX_PT_RETURN(&ns->pt, c->reset_rc);
	PLX_PT_END(&ns->pt);
}

static int
admin_step(struct nvme_ns *ns)
{
	struct nvme_ctrlr *c = ns->c;

	PLX_PT_BEGIN(&ns->pt);
	PLX_PT_CALL(&ns->pt, ns->rc, own(ns), own(ns));
	NVME_OR_RETURN(&ns->pt, ns->rc);
	ns->rc = nvme_pass_prepare(c, ns->cmd);
	if (ns->rc == 0)
		PLX_PT_CALL(&ns->pt, ns->rc, plx_mem_domain_sync(c->vfio->domain),
			plx_mem_domain_sync(c->vfio->domain));
	if (ns->rc == 0)
		PLX_PT_CALL(&ns->pt, ns->rc, nvme_pass_start(c, ns->cmd), nvme_admin_wait(c));
	nvme_pass_end(c, ns->cmd, ns->rc);
	c->owner = NULL;
	if (ns->rc == -ETIMEDOUT)
		nvme_ctrlr_want_reset(c);
	PLX_PT_RETURN(&ns->pt, ns->rc);
	PLX_PT_END(&ns->pt);
}

static int
run(struct nvme_ns *ns, int (*step)(struct nvme_ns *))
{
	ns->pt = ns->del = (struct plx_pt){0};
	ns->step = step;
	return step(ns);
}

static int
ns_start(struct plx_blk *blk)
{
	return run(blk->priv, start_step);
}

static int
ns_stop(struct plx_blk *blk)
{
	return run(blk->priv, stop_step);
}

static int
ns_reset(struct plx_blk *blk)
{
	return run(blk->priv, reset_step);
}

static int
ns_admin(struct plx_blk *blk, struct plx_nvme_cmd *cmd)
{
	struct nvme_ns *ns = blk->priv;

	ns->cmd = cmd;
	return run(ns, admin_step);
}

static int
ns_op_poll(struct plx_blk *blk)
{
	struct nvme_ns *ns = blk->priv;

	return ns->step(ns);
}

static int
ns_queue_setup(
	struct plx_blk *blk, uint16_t qid, const struct plx_blkq_conf *conf, struct plx_drvq **dq)
{
	return nvme_queue_alloc(blk->priv, qid, conf, dq);
}

static void
ns_queue_release(struct plx_blk *blk, struct plx_drvq *dq)
{
	nvme_queue_free((struct nvme_qpair *)dq);
}

static const struct plx_blk_ops ns_ops = {
	.queue_setup = ns_queue_setup,
	.queue_release = ns_queue_release,
	.start = ns_start,
	.stop = ns_stop,
	.reset = ns_reset,
	.op_poll = ns_op_poll,
	.nvme_admin = ns_admin,
	.dump = nvme_dump,
};

/* ---- the controller's own: plx_nvme.h ---- */

static int
ctrlr_admin(struct plx_dev *dev, struct plx_nvme_cmd *cmd)
{
	struct nvme_ctrlr *c = dev->priv;

	c->self.c = c;
	c->self.cmd = cmd;
	return run(&c->self, admin_step);
}

static int
ctrlr_reset(struct plx_dev *dev)
{
	struct nvme_ctrlr *c = dev->priv;

	c->self.c = c;
	return run(&c->self, reset_step);
}

static int
ctrlr_poll(struct plx_dev *dev)
{
	struct nvme_ctrlr *c = dev->priv;

	return c->self.step(&c->self);
}

const struct plx_nvme_ops nvme_ctrlr_ops = {
	.admin = ctrlr_admin,
	.reset = ctrlr_reset,
	.poll = ctrlr_poll,
};

/* ---- coming and going ---- */

static void
describe(struct nvme_ns *ns, const struct nvme_id_ns *id, const struct nvme_format *fmt)
{
	ns->fmt = *fmt;
	/* others may fail a command that has the bit (NVM Command Set 1.0, 4.1.5.1) */
	ns->deac = (id->dlfeat & NVME_NS_DLFEAT_WRITE_ZEROES) != 0;
	ns->blk.info = (struct plx_blk_info){.state = ns->blk.info.state};
	fill_info(ns, id);
	snprintf(ns->blk.info.name, sizeof(ns->blk.info.name), "%s/n%u", ns->c->name, ns->nsid);
}

/* @return 0, or why the namespace is left out */
int
nvme_ns_add(struct nvme_ctrlr *c, uint32_t nsid, const struct nvme_id_ns *id)
{
	struct nvme_format fmt;
	struct nvme_ns *ns, **at;
	int rc = check_ns(c, nsid, id, &fmt);

	if (rc != 0)
		return rc;
	ns = calloc(1, sizeof(*ns));
	if (ns == NULL)
		return -ENOMEM;
	ns->c = c;
	ns->nsid = nsid;
	describe(ns, id, &fmt);
	ns->blk.ops = &ns_ops;
	ns->blk.priv = ns;
	ns->blk.dev = c->dev;
	rc = plx_blk_register(&ns->blk);
	if (rc != 0) {
		free(ns);
		return rc;
	}
	for (at = &c->ns; *at != NULL; at = &(*at)->next)
		;
	*at = ns;
	return 0;
}

/*
 * One that was taken off is there: as soon as it is closed, it is what it is now. What is known
 * of the medium, from who made the controller, no controller tells: that stays.
 */
void
nvme_ns_back(struct nvme_ns *ns, const struct nvme_id_ns *id)
{
	uint32_t medium = ns->blk.info.caps &
			  (PLX_BLK_CAP_SOFTWARE | PLX_BLK_CAP_VOLATILE | PLX_BLK_CAP_NODATA);
	struct nvme_format fmt;

	if (ns->blk.open) {
		ns->c->rescan = true;
		return;
	}
	if (check_ns(ns->c, ns->nsid, id, &fmt) != 0)
		return;
	describe(ns, id, &fmt);
	ns->blk.info.caps |= medium;
	if (plx_blk_back(&ns->blk) == 0)
		NVME_TELL(ns->c, NOTICE, "nvme: %s: namespace %u is there again", ns->c->name,
			ns->nsid);
}

/* A namespace that was there before: its size may have changed. */
void
nvme_ns_refresh(struct nvme_ns *ns, const struct nvme_id_ns *id)
{
	uint64_t nblocks = rte_le_to_cpu_64(id->nsze);
	struct nvme_format fmt;

	if (memcmp(id->nguid, ns->blk.info.nguid, sizeof(id->nguid)) != 0) {
		NVME_TELL(ns->c, ERR, "nvme: %s: namespace %u is another one now: it is taken off",
			ns->c->name, ns->nsid);
		nvme_ns_gone(ns);
		ns->c->rescan = true;
	} else if (check_ns(ns->c, ns->nsid, id, &fmt) != 0 ||
		   memcmp(&fmt, &ns->fmt, sizeof(fmt)) != 0 ||
		   ns->c->zoned.zone_nblk != ns->blk.info.zone_nblk) {
		NVME_TELL(ns->c, ERR,
			"nvme: %s: namespace %u has another format now: it is taken off",
			ns->c->name, ns->nsid);
		nvme_ns_gone(ns);
		ns->c->rescan = true;
	} else if (nblocks != ns->blk.info.nblocks) {
		plx_blk_resized(&ns->blk, nblocks);
	}
}

/* It was detached from the controller: requests end, with the device's status or -ENODEV, as soon
 * as their queue is deleted. In the midst of a reset there is nothing to delete. */
void
nvme_ns_gone(struct nvme_ns *ns)
{
	bool off = ns->c->state == NVME_RESETTING || ns->c->resetting;
	uint16_t i;

	if (ns->blk.info.state == PLX_BLK_REMOVED)
		return;
	plx_blk_removed(&ns->blk);
	for (i = 0; i < ns->blk.info.nb_queues; i++) {
		struct nvme_qpair *q = queue(ns, i);

		if (q == NULL || !q->created)
			continue;
		q->drop = true;
		if (off)
			nvme_queue_dropped(q);
	}
}

void
nvme_ns_free(struct nvme_ns *ns)
{
	plx_blk_unregister(&ns->blk);
	free(ns);
}
