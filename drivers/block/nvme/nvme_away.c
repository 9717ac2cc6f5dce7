/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A vfio-user server that went away and is waited for (reconnect=). It is a reset that begins with
 * a wait: requests are parked, each attempt opens the device anew, and then the controller is
 * brought up as after any reset (nvme_recover.c): it must be the same, and gets again what it may.
 *
 * Only the end of the connection is waited out: the server has ended, and with it its hold on our
 * memory. One that hangs, or breaks the protocol, may still write there; it is lost.
 */
#include <errno.h>
#include <sys/eventfd.h>

#include "plx_log.h"
#include "plx_pci.h"

#include "nvme_priv.h"

PLX_LOG_USE(nvme);

#define RETRY_MS 50

static bool
comes_back(const struct nvme_ctrlr *c)
{
	return c->reconnect_ms != 0 && c->lends == NULL && c->cmb == NULL &&
	       (c->state == NVME_RUNNING || c->state == NVME_RESETTING) &&
	       __atomic_load_n(&c->vfio->gone, __ATOMIC_RELAXED) == 0 &&
	       __atomic_load_n(&c->vfio->lost, __ATOMIC_RELAXED) == -ENODEV;
}

/* @return the controller's server is gone, and waited for */
bool
nvme_away(struct nvme_ctrlr *c)
{
	if (c->waiting)
		return true;
	if (!comes_back(c))
		return false;
	if (!c->away) {
		c->away = true;
		c->away_until = plx_deadline_in(c->reconnect_ms);
		nvme_ctrlr_want_reset(c);
	}
	return true;
}

/* Queues are taken over: nobody rings or sleeps on what is about to go. */
static uint32_t
unplug_all(struct nvme_ctrlr *c)
{
	struct nvme_qpair *q;
	uint32_t left = 0;

	c->admin.ready = false;
	for (q = c->queues; q != NULL; q = q->next) {
		if (q->created)
			left += nvme_queue_drain(q);
		nvme_queue_unplug(q);
	}
	c->regs = NULL;
	return left;
}

static void
tell(struct nvme_ctrlr *c, uint32_t waiting)
{
	struct nvme_ns *ns;

	PLX_LOG(WARNING, "nvme: %s: %u requests wait for its server, for up to %u s", c->name,
		waiting, c->reconnect_ms / 1000);
	for (ns = c->ns; ns != NULL; ns = ns->next)
		plx_blk_event_post(&ns->blk, PLX_BLK_EVENT_RECONNECTING, waiting);
}

static bool
waits_on(const struct nvme_ctrlr *c)
{
	return c->state == NVME_RESETTING && !plx_deadline_past(c->away_until);
}

static bool
hopeless(int rc)
{
	return rc == -ESTALE || rc == -EPROTO || rc == -EPROTONOSUPPORT || rc == -ENOTSUP;
}

/* From a server that is gone to one that is there, whose controller is still disabled.
 * @return 0; -EINPROGRESS; -ENODEV it did not come back */
int
nvme_rejoin(struct nvme_ctrlr *c)
{
	PLX_PT_BEGIN(&c->pt);
	tell(c, unplug_all(c));
	c->waiting = true;
	for (;;) {
		PLX_PT_CALL(&c->pt, c->rc, plx_vfio_reconnect(c->vfio), plx_vfio_poll(c->vfio));
		if (c->rc == 0 || hopeless(c->rc) || !waits_on(c))
			break;
		c->pause = plx_deadline_in(RETRY_MS);
		PLX_PT_WAIT(&c->pt, plx_deadline_past(c->pause) || !waits_on(c));
	}
	c->waiting = false;
	if (c->rc != 0) {
		if (c->state == NVME_RESETTING && !hopeless(c->rc))
			PLX_LOG(ERR,
				"nvme: %s: its server did not come back within %u s; reconnect= "
				"gives it longer",
				c->name, c->reconnect_ms / 1000);
		PLX_PT_RETURN(&c->pt, hopeless(c->rc) ? c->rc : -ENODEV);
	}
	PLX_LOG(NOTICE, "nvme: %s: its server is back", c->name);
	c->rc = nvme_map_regs(c);
	NVME_OR_RETURN(&c->pt, c->rc);
	PLX_PT_CALL(&c->pt, c->rc, plx_pci_enable(c->dev->pci, true), plx_pci_poll(c->dev->pci));
	NVME_OR_RETURN(&c->pt, c->rc);
	PLX_PT_CALL(&c->pt, c->rc, plx_mem_domain_sync(c->vfio->domain),
		plx_mem_domain_sync(c->vfio->domain));
	PLX_PT_RETURN(&c->pt, c->rc);
	PLX_PT_END(&c->pt);
}
