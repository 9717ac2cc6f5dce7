/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The attachment: attach and detach. All under the control lock, as state machines (plx_pt.h):
 * every wait has a deadline.
 */
#include <ctype.h>
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
	nvme_queue_orphans(c, true);
}

/* The transport is closed: nothing reaches our memory any more. */
void
nvme_release(struct plx_dev *dev)
{
	struct nvme_ctrlr *c = dev->priv;
	struct nvme_kept *k;

	if (c == NULL)
		return;
	nvme_lend_free(c);
	while ((k = c->quarantine) != NULL) {
		c->quarantine = k->next;
		plx_mem_free(k->mem);
		free(k);
	}
	nvme_intr_orphan(c);
	nvme_admin_free(c);
	plx_mem_free(c->shadow);
	free(c);
	dev->priv = NULL;
}

int
nvme_map_regs(struct nvme_ctrlr *c)
{
	if (c->vfio->regions[0].size < NVME_DB_BASE + 4 * sizeof(uint32_t)) {
		PLX_LOG(ERR, "nvme: %s: BAR 0 has %" PRIu64 " bytes: too small for NVMe", c->name,
			c->vfio->regions[0].size);
		return -EPROTO;
	}
	c->regs = plx_vfio_region_ptr(c->vfio, 0, 0, NVME_DB_BASE);
	return 0;
}

/* What an attach takes in any process, once the controller is found: memory, identify, namespaces.
 */
int
nvme_attach_rest(struct nvme_ctrlr *c)
{
	PLX_PT_BEGIN(&c->ladder);
	c->try_rc = nvme_admin_alloc(c);
	NVME_OR_RETURN(&c->ladder, c->try_rc);
	PLX_PT_CALL(&c->ladder, c->try_rc, plx_mem_domain_sync(c->vfio->domain),
		plx_mem_domain_sync(c->vfio->domain));
	if (c->try_rc == 0)
		c->try_rc = nvme_admin_map(c);
	NVME_OR_RETURN(&c->ladder, c->try_rc);
	if (c->mp != NULL)
		nvme_mp_ready(c);
	PLX_PT_CALL(&c->ladder, c->try_rc, nvme_ctrlr_bring_up(c), nvme_ctrlr_bring_up(c));
	NVME_OR_RETURN(&c->ladder, c->try_rc);
	PLX_PT_CALL(&c->ladder, c->try_rc, nvme_ctrlr_scan(c), nvme_ctrlr_scan(c));
	NVME_OR_RETURN(&c->ladder, c->try_rc);
	if (c->ns == NULL) /* it can be repaired */
		PLX_LOG(WARNING,
			"nvme: %s: no usable namespace; plx-nvme list-ns tells what there is",
			c->name);
	c->state = NVME_RUNNING;
	c->tick = plx_deadline_in(NVME_TICK_MS);
	PLX_PT_END(&c->ladder);
}

static int
attach_step(struct nvme_ctrlr *c)
{
	PLX_PT_BEGIN(&c->pt);
	PLX_PT_CALL(&c->pt, c->rc, plx_pci_enable(c->dev->pci, true), plx_pci_poll(c->dev->pci));
	NVME_OR_RETURN(&c->pt, c->rc);
	c->pause = plx_deadline_in(nvme_quirk(c, NVME_QUIRK_SLOW_INIT) ? NVME_INIT_MS : 0);
	PLX_PT_WAIT(&c->pt, plx_deadline_past(c->pause));
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
	PLX_PT_CALL(&c->pt, c->rc, nvme_cmb_find(c), nvme_cmb_find(c));
	NVME_OR_RETURN(&c->pt, c->rc);
	PLX_PT_CALL(&c->pt, c->rc, nvme_attach_rest(c), nvme_attach_rest(c));
	PLX_PT_RETURN(&c->pt, c->rc);
	PLX_PT_END(&c->pt);
}

/* 32 hexadecimal digits, as a UUID is written or without its dashes. */
static int
parse_hostid(struct nvme_ctrlr *c)
{
	const char *s = plx_arg_str(c->dev, "hostid"), *p;
	unsigned int n = 0;

	if (s == NULL)
		return 0;
	for (p = s; *p != '\0' && n < 2 * sizeof(c->hostid); p++) {
		if (*p == '-')
			continue;
		if (!isxdigit((unsigned char)*p))
			break;
		c->hostid[n / 2] =
			(uint8_t)(c->hostid[n / 2] << 4 |
				  (isdigit((unsigned char)*p) ? *p - '0' : (*p | 0x20) - 'a' + 10));
		n++;
	}
	if (*p != '\0' || n != 2 * sizeof(c->hostid))
		return plx_arg_bad(c->dev, "hostid", "is no UUID");
	c->use_hostid = true;
	return 0;
}

static int
parse_args(struct nvme_ctrlr *c)
{
	const char *dbbuf = plx_arg_str(c->dev, "dbbuf");
	uint32_t queues, seconds;
	bool sgl;

	if (plx_arg_u32(c->dev, "queues", 1, 511, 128, &queues) != 0 ||
		plx_arg_u32(c->dev, "io_timeout", 0, 600000, 30000, &c->io_ms) != 0 ||
		plx_arg_u32(c->dev, "admin_timeout", 1, 600000, ADMIN_MS, &c->admin_ms) != 0 ||
		plx_arg_u32(c->dev, "reconnect", 0, 86400, 0, &seconds) != 0 ||
		plx_arg_bool(c->dev, "sgl", true, &sgl) != 0 ||
		plx_arg_bool(c->dev, "cmb", false, &c->use_cmb) != 0)
		return -EINVAL;
	if (seconds != 0 && c->vfio->ops->reconnect == NULL)
		return plx_arg_bad(c->dev, "reconnect", "is for vfio-user: devices");
	c->reconnect_ms = seconds * 1000;
	c->want_queues = (uint16_t)queues;
	c->asked_queues = plx_arg_str(c->dev, "queues") != NULL;
	c->no_sgl = !sgl;
	/* an age of n ticks is between n - 1 and n periods */
	c->io_limit = c->io_ms != 0 ? (uint16_t)(c->io_ms / NVME_TICK_MS + 1) : 0;
	c->use_dbbuf = NVME_DBBUF_AUTO;
	if (parse_hostid(c) != 0)
		return -EINVAL;
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

struct nvme_ctrlr *
nvme_ctrlr_new(struct plx_dev *dev)
{
	struct nvme_ctrlr *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	dev->priv = c;
	c->dev = dev;
	c->name = dev->name;
	c->intr_orphan = -1;
	return c;
}

static int
nvme_attach(struct plx_dev *dev)
{
	struct nvme_ctrlr *c = nvme_ctrlr_new(dev);
	int rc;

	if (c == NULL)
		return -ENOMEM;
	c->vfio = dev->pci->vfio;
	rc = parse_args(c);
	if (rc == 0)
		rc = nvme_quirks_find(c);
	if (rc == 0)
		rc = nvme_map_regs(c);
	if (rc == 0)
		rc = attach_step(c);
	return attach_end(c, rc);
}

/* ---- detach ---- */

static uint32_t
shutdown_ms(const struct nvme_ctrlr *c)
{
	uint32_t ms = rte_le_to_cpu_32(c->id.rtd3e) / 1000;

	return RTE_MIN(RTE_MAX(ms, (uint32_t)SHUTDOWN_MIN_MS), (uint32_t)SHUTDOWN_MAX_MS);
}

static int
wait_shutdown(struct nvme_ctrlr *c)
{
	return nvme_wait_csts(c, NVME_CSTS_SHST_MASK << NVME_CSTS_SHST_SHIFT,
		NVME_CSTS_SHST_CMPLT << NVME_CSTS_SHST_SHIFT, "shutting down");
}

/* Normal shutdown, then off: the device keeps what it was given and lets go of memory (NVMe Base
 * 2.0, 3.6). */
static int
shutdown_step(struct nvme_ctrlr *c)
{
	PLX_PT_BEGIN(&c->pt);
	PLX_PT_CALL(&c->pt, c->rc, nvme_lend_park(c), nvme_lend_parked(c));
	NVME_WRITE(&c->pt, c->rc, c, NVME_REG_CC,
		c->cc | NVME_CC_EN_MASK | NVME_CC_SHN_NORMAL << NVME_CC_SHN_SHIFT, 4);
	NVME_OR_RETURN(&c->pt, c->rc);
	c->ready_ms = RTE_MAX(c->ready_ms, shutdown_ms(c));
	c->until = plx_deadline_in(c->ready_ms);
	if (!nvme_quirk(c, NVME_QUIRK_NO_SHUTDOWN))
		PLX_PT_CALL(&c->pt, c->rc, wait_shutdown(c), wait_shutdown(c));
	PLX_PT_CALL(&c->pt, c->sub_rc, nvme_disable(c), nvme_disable(c));
	if (c->sub_rc == 0)
		PLX_PT_CALL(&c->pt, c->sub_rc, nvme_lend_off(c), nvme_lend_parked(c));
	else
		nvme_lend_lost(c);
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

static int
detach_step(struct nvme_ctrlr *c)
{
	if (nvme_recover_finish(c) == -EINPROGRESS)
		return -EINPROGRESS;
	return c->state == NVME_DEAD || c->mp != NULL ? 0 : shutdown_step(c);
}

/* The kernel wants the device back, which is still there: no request goes there any more, and what
 * it finishes before it is shut down has ended well. */
static void
leave(struct nvme_ctrlr *c)
{
	struct nvme_ns *ns;

	if (c->state != NVME_LEAVING) {
		c->resetting = c->state == NVME_RESETTING;
		c->state = NVME_LEAVING;
		for (ns = c->ns; ns != NULL; ns = ns->next)
			plx_blk_removed(&ns->blk);
	}
	if (detach_step(c) != -EINPROGRESS)
		nvme_ctrlr_dead(c, -ENODEV);
}

int
nvme_detach(struct plx_dev *dev)
{
	struct nvme_ctrlr *c = dev->priv;

	c->detaching = true;
	if (c->state == NVME_DEAD)
		return detach_end(c, 0);
	c->resetting |= c->state == NVME_RESETTING;
	c->state = NVME_DETACHING;
	return detach_end(c, detach_step(c));
}

int
nvme_poll(struct plx_dev *dev)
{
	struct nvme_ctrlr *c = dev->priv;
	int rc, n;

	if (c->mp != NULL)
		nvme_mp_poll(c);
	else if (!c->vfio->busy) /* serve it; an operation's outcome is for who waits for it */
		plx_vfio_poll(c->vfio);
	if (c->state == NVME_ATTACHING)
		return attach_end(c, c->mp != NULL ? nvme_mp_attach_step(c) : attach_step(c));
	if (c->detaching)
		return detach_end(c, detach_step(c));
	if (c->state == NVME_DEAD) {
		nvme_recover_late(c);
		return 0;
	}
	rc = __atomic_load_n(&c->vfio->lost, __ATOMIC_RELAXED);
	if (rc != 0 && !nvme_away(c)) {
		nvme_ctrlr_dead(c, rc);
		return 1;
	}
	if (c->vfio->wanted_back) {
		leave(c);
		return 1;
	}
	n = nvme_lend_poll(c);
	return n + nvme_recover_poll(c);
}

static const char *const nvme_keys[] = {"queues", "io_timeout", "admin_timeout", "reconnect",
	"dbbuf", "sgl", "cmb", "quirks", "hostid", NULL};

static const struct plx_pci_id nvme_ids[] = {
	{PLX_PCI_ANY, PLX_PCI_ANY, 0x010802}, /* NVM Express I/O controller */
	{0},
};

extern const struct plx_driver plx_nvme_driver;
const struct plx_driver plx_nvme_driver = {
	.name = "nvme",
	.help = "pci:0000:01:00.0 or "
		"vfio-user:/path/sock[,queues=128][,io_timeout=30000][,admin_timeout=30000]"
		"[,reconnect=0][,dbbuf=auto|on|off][,sgl=1][,cmb=0][,quirks=auto|none|LIST][,"
		"hostid=UUID]"
		"[,name=NAME]",
	.keys = nvme_keys,
	.pci_ids = nvme_ids,
	.attach = nvme_attach,
	.poll = nvme_poll,
	.detach = nvme_detach,
	.release = nvme_release,
	.nvme = &nvme_ctrlr_ops,
	.share = nvme_lend_open,
	.shared = nvme_lend_queue,
	.kmod = "* vfio-pci",
};
PLX_DRIVER_INFO(plx_nvme_driver);
