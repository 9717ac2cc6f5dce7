/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the controller tells by itself: async events (NVMe 1.4, 5.2), the error log (5.14.1.1),
 * namespaces that change.
 */
#include <string.h>

#include "nvmet_priv.h"

/* Async Event Configuration (1.4, 5.21.1.11): error events can't be turned off. */
static bool
wanted(const struct plx_nvmet *c, uint8_t type, uint8_t info)
{
	uint32_t conf = c->feat[NVME_FEAT_FID_ASYNC_EVENT];

	switch (type) {
	case NVME_AER_SMART:
		return (conf & NVME_SMART_CRIT_TEMPERATURE) != 0;
	case NVME_AER_NOTICE:
		return info == NVME_AER_NOTICE_NS_CHANGED && (conf & NVME_CTRL_OAES_NA) != 0;
	default:
		return true;
	}
}

void
nvmet_event(struct plx_nvmet *c, uint8_t type, uint8_t info, uint8_t lid)
{
	uint32_t i;

	if (!wanted(c, type, info) || c->nevents == NVMET_EVENTS)
		return;
	for (i = 0; i < c->nevents; i++)
		if (c->events[i].type == type && c->events[i].info == info)
			return;
	c->events[c->nevents++] = (struct nvmet_event){type, info, lid};
	nvmet_events_run(c);
}

void
nvmet_events_run(struct plx_nvmet *c)
{
	uint32_t i = 0;

	while (c->run && i < c->nevents && c->naer != 0) {
		struct nvmet_event ev = c->events[i];

		if ((c->masked & 1u << ev.type) != 0) {
			i++;
			continue;
		}
		if (nvmet_cq_room(c, &c->cq[0]) == 0)
			return;
		c->masked |= 1u << ev.type;
		c->nevents--;
		memmove(&c->events[i], &c->events[i + 1], (c->nevents - i) * sizeof(ev));
		nvmet_post(c, &c->sq[0], c->aer[--c->naer], 0,
			ev.type | (uint32_t)ev.info << 8 | (uint32_t)ev.lid << 16);
	}
}

void
nvmet_events_unmask(struct plx_nvmet *c, uint8_t lid)
{
	switch (lid) {
	case NVME_LOG_LID_ERROR:
		c->masked &= ~(1u << NVME_AER_ERROR);
		break;
	case NVME_LOG_LID_SMART:
		c->masked &= ~(1u << NVME_AER_SMART);
		break;
	case NVME_LOG_LID_CHANGED_NS:
		c->masked &= ~(1u << NVME_AER_NOTICE);
		break;
	case NVME_LOG_LID_SANITIZE:
		c->masked &= ~(1u << NVME_AER_CSS);
		break;
	}
	nvmet_events_run(c);
}

void
nvmet_errlog(struct plx_nvmet *c, uint16_t sqid, uint16_t cid, uint16_t status, uint32_t nsid,
	uint64_t lba)
{
	struct nvme_error_log_page *e = &c->errlog[c->nerrors % NVMET_ERRLOG];

	c->nerrors++;
	*e = (struct nvme_error_log_page){
		.error_count = rte_cpu_to_le_64(c->nerrors),
		.sqid = rte_cpu_to_le_16(sqid),
		.cmdid = rte_cpu_to_le_16(cid),
		.status_field = rte_cpu_to_le_16((uint16_t)(status << 1)),
		.parm_error_location = 0xffff,
		.lba = rte_cpu_to_le_64(lba),
		.nsid = rte_cpu_to_le_32(nsid),
	};
}

void
nvmet_bad_doorbell(struct plx_nvmet *c, uint16_t qid, uint8_t info)
{
	plx_stat_add(&c->protocol_errors, 1);
	nvmet_errlog(c, qid, UINT16_MAX, NVMET_SC(GENERIC, INVALID_FIELD), 0, 0);
	nvmet_event(c, NVME_AER_ERROR, info, NVME_LOG_LID_ERROR);
}

void
nvmet_ns_changed(struct plx_nvmet *c, uint32_t nsid)
{
	uint32_t i;

	for (i = 0; i < c->nchanged && c->changed[i] != nsid; i++)
		;
	if (i == c->nchanged)
		c->changed[c->nchanged++] = nsid;
	nvmet_event(c, NVME_AER_NOTICE, NVME_AER_NOTICE_NS_CHANGED, NVME_LOG_LID_CHANGED_NS);
}

/* The device's own struct is looked at, not its event queue: that would take the control lock,
 * whose holder may be waiting for this very controller. */
void
nvmet_ns_watch(struct plx_nvmet *c)
{
	uint32_t i;

	for (i = 0; i < c->nns; i++) {
		struct nvmet_ns *ns = &c->ns[i];
		uint64_t nblocks = __atomic_load_n(&ns->blk->info.nblocks, __ATOMIC_RELAXED);
		bool gone =
			__atomic_load_n(&ns->blk->info.state, __ATOMIC_RELAXED) == PLX_BLK_REMOVED;

		if (ns->size != 0)
			nblocks = RTE_MIN(nblocks, ns->size);
		if (likely(nblocks == ns->info.nblocks && gone == ns->gone))
			continue;
		ns->info.nblocks = nblocks;
		ns->gone = gone;
		nvmet_ns_open(ns);
		if (nvmet_ns_active(ns))
			nvmet_ns_changed(c, i + 1);
	}
}
