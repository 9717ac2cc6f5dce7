/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The attachment: attach, watch, reset, detach. All under the control lock, as state machines
 * (plx_pt.h): every wait has a deadline.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <rte_byteorder.h>

#include "plx_log.h"

#include "nvme_priv.h"

PLX_LOG_TYPE(nvme, NOTICE);

#define SHUTDOWN_MIN_MS 5000 /* RTD3E is often too short, or 0 */
#define SHUTDOWN_MAX_MS 60000
#define ADMIN_MS 30000

/* ---- attach ---- */

/* Memory that the device may still reach: freed once the transport is closed. */
void
nvme_quarantine(struct nvme_ctrlr *c, void *mem)
{
	struct nvme_kept *k = mem != NULL ? malloc(sizeof(*k)) : NULL;

	if (k == NULL)
		return; /* without memory to note it, a leak is the safe way out */
	k->mem = mem;
	k->next = c->quarantine;
	c->quarantine = k;
}

static void
unlist_ns(struct nvme_ctrlr *c)
{
	struct nvme_ns *ns;

	while ((ns = c->ns) != NULL) {
		c->ns = ns->next;
		nvme_ns_free(ns);
	}
}

/* The transport is closed: nothing reaches our memory any more. */
static void
nvme_release(struct plx_dev *dev)
{
	struct nvme_ctrlr *c = dev->priv;
	struct nvme_kept *k;

	if (c == NULL)
		return;
	while ((k = c->quarantine) != NULL) {
		c->quarantine = k->next;
		plx_mem_free(k->mem);
		free(k);
	}
	nvme_admin_free(c);
	plx_mem_free(c->shadow);
	free(c);
	dev->priv = NULL;
}

static int
map_regs(struct nvme_ctrlr *c)
{
	if (c->vfio->regions[0].size < NVME_DB_BASE + 4 * sizeof(uint32_t)) {
		PLX_LOG(ERR, "nvme: %s: BAR 0 has %" PRIu64 " bytes: too small for NVMe", c->name,
			c->vfio->regions[0].size);
		return -EPROTO;
	}
	c->regs = plx_vfio_region_ptr(c->vfio, 0, 0, NVME_DB_BASE);
	return 0;
}

static int
attach_step(struct nvme_ctrlr *c)
{
	PLX_PT_BEGIN(&c->pt);
	PLX_PT_CALL(&c->pt, c->rc, plx_pci_enable(c->dev->pci, true), plx_pci_poll(c->dev->pci));
	NVME_OR_RETURN(&c->pt, c->rc);
	NVME_READ(&c->pt, c->rc, c, NVME_REG_CAP, 8);
	NVME_OR_RETURN(&c->pt, c->rc);
	c->cap = c->reg;
	NVME_READ(&c->pt, c->rc, c, NVME_REG_VS, 4);
	NVME_OR_RETURN(&c->pt, c->rc);
	c->vs = (uint32_t)c->reg;
	c->rc = nvme_ctrlr_check_caps(c);
	NVME_OR_RETURN(&c->pt, c->rc);
	PLX_PT_CALL(&c->pt, c->rc, nvme_disable(c), nvme_disable(c));
	NVME_OR_RETURN(&c->pt, c->rc);
	c->rc = nvme_admin_alloc(c);
	NVME_OR_RETURN(&c->pt, c->rc);
	PLX_PT_CALL(&c->pt, c->rc, plx_mem_domain_sync(c->vfio->domain),
		plx_mem_domain_sync(c->vfio->domain));
	if (c->rc == 0)
		c->rc = nvme_admin_map(c);
	NVME_OR_RETURN(&c->pt, c->rc);
	PLX_PT_CALL(&c->pt, c->rc, nvme_ctrlr_bring_up(c), nvme_ctrlr_bring_up(c));
	NVME_OR_RETURN(&c->pt, c->rc);
	PLX_PT_CALL(&c->pt, c->rc, nvme_ctrlr_scan(c), nvme_ctrlr_scan(c));
	NVME_OR_RETURN(&c->pt, c->rc);
	if (c->ns == NULL) {
		PLX_LOG(ERR, "nvme: %s: no usable namespace", c->name);
		PLX_PT_RETURN(&c->pt, -ENODEV);
	}
	c->state = NVME_RUNNING;
	c->tick = plx_deadline_in(NVME_TICK_MS);
	PLX_PT_END(&c->pt);
}

static int
parse_args(struct nvme_ctrlr *c)
{
	const char *dbbuf = plx_arg_str(c->dev, "dbbuf");
	uint32_t queues, io_ms;
	bool sgl;

	if (plx_arg_u32(c->dev, "queues", 1, 511, 128, &queues) != 0 ||
		plx_arg_u32(c->dev, "io_timeout", 0, 600000, 30000, &io_ms) != 0 ||
		plx_arg_u32(c->dev, "admin_timeout", 1, 600000, ADMIN_MS, &c->admin_ms) != 0 ||
		plx_arg_bool(c->dev, "sgl", true, &sgl) != 0)
		return -EINVAL;
	c->want_queues = (uint16_t)queues;
	c->no_sgl = !sgl;
	/* an age of n ticks is between n - 1 and n periods */
	c->io_limit = io_ms != 0 ? (uint16_t)(io_ms / NVME_TICK_MS + 1) : 0;
	c->use_dbbuf = NVME_DBBUF_AUTO;
	if (dbbuf != NULL && strcmp(dbbuf, "on") == 0)
		c->use_dbbuf = NVME_DBBUF_ON;
	else if (dbbuf != NULL && strcmp(dbbuf, "off") == 0)
		c->use_dbbuf = NVME_DBBUF_OFF;
	else if (dbbuf != NULL && strcmp(dbbuf, "auto") != 0)
		return plx_arg_bad(c->dev, "dbbuf", "is none of auto, on, off");
	return 0;
}

static int
attach_end(struct nvme_ctrlr *c, int rc)
{
	if (rc != 0 && rc != -EINPROGRESS)
		unlist_ns(c);
	return rc;
}

static int
nvme_attach(struct plx_dev *dev)
{
	struct nvme_ctrlr *c = calloc(1, sizeof(*c));
	int rc;

	if (c == NULL)
		return -ENOMEM;
	dev->priv = c;
	c->dev = dev;
	c->vfio = dev->pci->vfio;
	c->name = dev->name;
	rc = parse_args(c);
	if (rc == 0)
		rc = map_regs(c);
	if (rc == 0)
		rc = attach_step(c);
	return attach_end(c, rc);
}

/* ---- recovery ---- */

/* End what is in flight on a queue of a dead controller. */
static void
bury(struct nvme_qpair *q)
{
	nvme_queue_drain(q);
	nvme_queue_cancel(q, -ENODEV, PLX_IO_MAYBE_DMA);
}

/* Owners that were stuck inside a call when the controller died: once they are out, their queues
 * are taken too. */
static void
take_late(struct nvme_ctrlr *c)
{
	struct nvme_qpair *q;

	for (q = c->queues; q != NULL; q = q->next)
		if (!q->dq.taken && plx_drvq_takeover(&q->dq, -ENODEV) == 0) {
			plx_drvq_split_cancel(&q->dq, -ENODEV);
			bury(q);
		}
}

/* The controller is gone or beyond help: everything in flight ends with -ENODEV. */
void
nvme_ctrlr_dead(struct nvme_ctrlr *c, int err)
{
	struct nvme_qpair *q;
	struct nvme_ns *ns;

	if (c->state == NVME_DEAD)
		return;
	c->state = NVME_DEAD;
	if (c->reset_rc == -EINPROGRESS) /* whoever waits for a reset */
		c->reset_rc = err;
	PLX_LOG(ERR,
		"nvme: %s: the controller is lost (%s); its requests end with -ENODEV, detach it",
		c->name, strerror(-err));
	for (ns = c->ns; ns != NULL; ns = ns->next)
		plx_blk_removed(&ns->blk);
	c->admin.ready = false; /* after owners have left: they read it */
	for (q = c->queues; q != NULL; q = q->next)
		if (q->dq.taken)
			bury(q);
}

void
nvme_ctrlr_want_reset(struct nvme_ctrlr *c)
{
	if (c->state != NVME_RUNNING || c->reset_wanted)
		return;
	c->reset_wanted = true;
	c->reset_rc = -EINPROGRESS;
}

static int
park_all(struct nvme_ctrlr *c)
{
	struct nvme_ns *ns;
	int rc = 0;

	for (ns = c->ns; ns != NULL && rc == 0; ns = ns->next)
		rc = plx_blk_park(&ns->blk);
	return rc;
}

/* Every queue that the device had is created again and given what it had in flight, but those
 * that were being stopped. */
static bool
to_create(struct nvme_qpair *q)
{
	if (q->created && q->drop) {
		q->created = q->sq_created = q->drop = false;
		nvme_queue_cancel(q, -ECANCELED, 0);
	}
	return q->created;
}

static void
replay_all(struct nvme_ctrlr *c)
{
	struct nvme_qpair *q;

	for (q = c->queues; q != NULL; q = q->next)
		if (q->created)
			nvme_queue_replay(q);
}

/*
 * Controller reset: owners lose their queues, the controller is disabled, which takes its hands
 * off all memory, and brought up again; what was in flight is sent again.
 */
static int
reset_step(struct nvme_ctrlr *c)
{
	struct nvme_qpair *q;

	PLX_PT_BEGIN(&c->pt);
	c->rc = park_all(c);
	NVME_OR_RETURN(&c->pt, c->rc);
	PLX_PT_CALL(&c->pt, c->rc, nvme_disable(c), nvme_disable(c));
	NVME_OR_RETURN(&c->pt, c->rc);
	/* finished before the reset: only their completions were not looked at yet */
	for (q = c->queues; q != NULL; q = q->next)
		if (q->created)
			nvme_queue_drain(q);
	nvme_queue_qids(c);
	PLX_PT_CALL(&c->pt, c->rc, nvme_ctrlr_bring_up(c), nvme_ctrlr_bring_up(c));
	NVME_OR_RETURN(&c->pt, c->rc);
	/* what is sent again must fit what the namespaces are now */
	c->rescan = false;
	PLX_PT_CALL(&c->pt, c->rc, nvme_ctrlr_scan(c), nvme_ctrlr_scan(c));
	NVME_OR_RETURN(&c->pt, c->rc);
	for (c->q = c->queues; c->q != NULL; c->q = c->q->next) {
		if (!to_create(c->q))
			continue;
		PLX_PT_CALL(&c->pt, c->rc, nvme_queue_create(c->q), nvme_queue_create(c->q));
		NVME_OR_RETURN(&c->pt, c->rc);
	}
	replay_all(c);
	PLX_PT_END(&c->pt);
}

static void
reset_end(struct nvme_ctrlr *c, int rc)
{
	struct nvme_ns *ns;

	c->reset_wanted = false;
	c->reset_rc = rc;
	if (rc != 0) {
		nvme_ctrlr_dead(c, rc);
		return;
	}
	c->state = NVME_RUNNING;
	for (ns = c->ns; ns != NULL; ns = ns->next)
		plx_blk_unpark(&ns->blk, 0);
}

/* ---- the watch ---- */

static void
look_at_queues(struct nvme_ctrlr *c)
{
	struct nvme_qpair *q;

	for (q = c->queues; q != NULL; q = q->next) {
		if (!q->created || !__atomic_load_n(&q->stuck, __ATOMIC_RELAXED))
			continue;
		PLX_LOG(ERR,
			"nvme: %s: a command on queue %u was not answered in time: resetting "
			"the controller",
			c->name, q->qid);
		nvme_ctrlr_want_reset(c);
	}
}

/* Take the next log page to be read. @return false: none */
static bool
next_log(struct nvme_ctrlr *c)
{
	unsigned int i;

	for (i = 0; i < 256; i++) {
		if (c->logs[i / 64] & 1ull << i % 64) {
			c->logs[i / 64] &= ~(1ull << i % 64);
			c->log = (uint8_t)i;
			return true;
		}
	}
	return false;
}

/* Once a tick: CSTS, commands that are too old, and what events asked for. */
static int
watch_step(struct nvme_ctrlr *c)
{
	PLX_PT_BEGIN(&c->pt);
	c->tick = plx_deadline_in(NVME_TICK_MS);
	__atomic_store_n(&c->epoch, (uint16_t)(c->epoch + 1), __ATOMIC_RELAXED);
	NVME_READ(&c->pt, c->rc, c, NVME_REG_CSTS, 4);
	NVME_OR_RETURN(&c->pt, c->rc);
	c->csts = (uint32_t)c->reg;
	if (c->csts == NVME_ALL_ONES)
		PLX_PT_RETURN(&c->pt, -ENODEV);
	if (NVME_CSTS_CFS(c->csts)) {
		PLX_LOG(ERR, "nvme: %s: fatal controller status (CSTS %#x): resetting it", c->name,
			c->csts);
		nvme_ctrlr_want_reset(c);
		PLX_PT_RETURN(&c->pt, 0);
	}
	look_at_queues(c);
	while (!c->reset_wanted && next_log(c)) {
		PLX_PT_CALL(&c->pt, c->rc, nvme_admin_log(c, c->log), nvme_admin_wait(c));
		NVME_OR_RETURN(&c->pt, c->rc);
	}
	if (c->rescan && !c->reset_wanted) {
		c->rescan = false;
		PLX_PT_CALL(&c->pt, c->rc, nvme_ctrlr_scan(c), nvme_ctrlr_scan(c));
		NVME_OR_RETURN(&c->pt, c->rc);
	}
	PLX_PT_END(&c->pt);
}

static int
watch(struct nvme_ctrlr *c)
{
	int rc = watch_step(c);

	c->watching = rc == -EINPROGRESS;
	if (rc == -ETIMEDOUT)
		nvme_ctrlr_want_reset(c);
	else if (rc != 0 && rc != -EINPROGRESS)
		nvme_ctrlr_dead(c, rc);
	return 1;
}

static int
running_poll(struct nvme_ctrlr *c)
{
	int n = nvme_admin_poll(c);

	if (c->watching)
		return n + watch(c);
	if (c->owner != NULL) /* an operation of a namespace has the admin queue */
		return n;
	if (c->reset_wanted) {
		c->state = NVME_RESETTING;
		return n + 1;
	}
	return plx_deadline_past(c->tick) ? n + watch(c) : n;
}

/* ---- detach ---- */

static uint32_t
shutdown_ms(const struct nvme_ctrlr *c)
{
	uint32_t ms = rte_le_to_cpu_32(c->id.rtd3e) / 1000;

	return RTE_MIN(RTE_MAX(ms, (uint32_t)SHUTDOWN_MIN_MS), (uint32_t)SHUTDOWN_MAX_MS);
}

/* Normal shutdown, then off: the device keeps what it was given and lets go of memory (NVMe Base
 * 2.0, 3.6). */
static int
shutdown_step(struct nvme_ctrlr *c)
{
	PLX_PT_BEGIN(&c->pt);
	NVME_WRITE(&c->pt, c->rc, c, NVME_REG_CC,
		c->cc | NVME_CC_EN_MASK | NVME_CC_SHN_NORMAL << NVME_CC_SHN_SHIFT, 4);
	NVME_OR_RETURN(&c->pt, c->rc);
	c->ready_ms = RTE_MAX(c->ready_ms, shutdown_ms(c));
	c->until = plx_deadline_in(c->ready_ms);
	PLX_PT_CALL(&c->pt, c->rc,
		nvme_wait_csts(c, NVME_CSTS_SHST_MASK << NVME_CSTS_SHST_SHIFT,
			NVME_CSTS_SHST_CMPLT << NVME_CSTS_SHST_SHIFT, "shutting down"),
		nvme_wait_csts(c, NVME_CSTS_SHST_MASK << NVME_CSTS_SHST_SHIFT,
			NVME_CSTS_SHST_CMPLT << NVME_CSTS_SHST_SHIFT, "shutting down"));
	PLX_PT_CALL(&c->pt, c->sub_rc, nvme_disable(c), nvme_disable(c));
	if (c->rc == 0)
		c->rc = c->sub_rc;
	NVME_OR_RETURN(&c->pt, c->rc);
	PLX_PT_CALL(&c->pt, c->rc, plx_pci_enable(c->dev->pci, false), plx_pci_poll(c->dev->pci));
	PLX_PT_RETURN(&c->pt, c->rc);
	PLX_PT_END(&c->pt);
}

static int
detach_end(struct nvme_ctrlr *c, int rc)
{
	if (rc != -EINPROGRESS)
		unlist_ns(c);
	return rc;
}

/* What the watch or a reset had begun comes to its end first. */
static int
detach_step(struct nvme_ctrlr *c)
{
	int rc;

	if (c->resetting) {
		rc = reset_step(c);
		if (rc == -EINPROGRESS)
			return rc;
		c->resetting = false;
		if (rc != 0)
			nvme_ctrlr_dead(c, rc);
	}
	if (c->watching) {
		if (watch_step(c) == -EINPROGRESS)
			return -EINPROGRESS;
		c->watching = false;
	}
	return c->state == NVME_DEAD ? 0 : shutdown_step(c);
}

static int
nvme_detach(struct plx_dev *dev)
{
	struct nvme_ctrlr *c = dev->priv;

	c->detaching = true;
	if (c->state == NVME_DEAD)
		return detach_end(c, 0);
	c->resetting = c->state == NVME_RESETTING;
	c->state = NVME_DETACHING;
	return detach_end(c, detach_step(c));
}

static int
nvme_poll(struct plx_dev *dev)
{
	struct nvme_ctrlr *c = dev->priv;
	int rc;

	/* serve the transport; an operation's outcome is for who waits for it */
	if (!c->vfio->busy)
		plx_vfio_poll(c->vfio);
	if (c->state == NVME_ATTACHING)
		return attach_end(c, attach_step(c));
	if (c->detaching)
		return detach_end(c, detach_step(c));
	if (c->state == NVME_DEAD) {
		take_late(c);
		return 0;
	}
	rc = __atomic_load_n(&c->vfio->lost, __ATOMIC_RELAXED);
	if (rc != 0) {
		nvme_ctrlr_dead(c, rc);
		return 1;
	}
	if (c->state == NVME_RUNNING)
		return running_poll(c);
	rc = reset_step(c);
	if (rc != -EINPROGRESS)
		reset_end(c, rc);
	return 1;
}

static const char *const nvme_keys[] = {
	"queues", "io_timeout", "admin_timeout", "dbbuf", "sgl", NULL};

static const struct plx_pci_id nvme_ids[] = {
	{PLX_PCI_ANY, PLX_PCI_ANY, 0x010802}, /* NVM Express I/O controller */
	{0},
};

extern const struct plx_driver plx_nvme_driver;
const struct plx_driver plx_nvme_driver = {
	.name = "nvme",
	.help = "pci:0000:01:00.0 or "
		"vfio-user:/path/sock[,queues=128][,io_timeout=30000][,admin_timeout=30000]"
		"[,dbbuf=auto|on|off][,sgl=1][,name=NAME]",
	.keys = nvme_keys,
	.pci_ids = nvme_ids,
	.attach = nvme_attach,
	.poll = nvme_poll,
	.detach = nvme_detach,
	.release = nvme_release,
};
