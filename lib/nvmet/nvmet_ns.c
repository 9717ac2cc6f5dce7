/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Namespaces: which there are and which are attached (NVMe Base 2.0, 3.2.1), their management and
 * attachment (5.22, 5.23). Each device holds one namespace or none, of the id that goes with it. A
 * namespace may be smaller than its device; what is left then is nobody's. Deleting erases, so that
 * a new namespace tells nothing of one before.
 */
#include <string.h>
#include <sys/random.h>

#include "nvmet_priv.h"

void
nvmet_ns_open(struct nvmet_ns *ns)
{
	bool closed = ns->gone || ns->formatting || ns->shut || !nvmet_ns_active(ns);

	ns->lim = closed ? 0 : ns->info.nblocks;
	ns->fast = ns->info.meta_size == 0 && !ns->hidden && ns->deny == 0 ? ns->lim : 0;
}

/* A 128-bit number. */
static void
put128(uint8_t *to, uint64_t v)
{
	v = rte_cpu_to_le_64(v);
	memcpy(to, &v, sizeof(v));
}

static uint64_t
device_bytes(const struct nvmet_ns *ns)
{
	return __atomic_load_n(&ns->blk->info.nblocks, __ATOMIC_RELAXED) << ns->shift;
}

void
nvmet_ns_capacity(const struct plx_nvmet *c, struct nvme_id_ctrl *id)
{
	uint64_t total = 0, free = 0;
	uint32_t i;

	if ((c->oacs & NVME_CTRL_OACS_NS_MGMT) == 0)
		return;
	for (i = 0; i < c->nns; i++) {
		total += device_bytes(&c->ns[i]);
		free += c->ns[i].allocated ? 0 : device_bytes(&c->ns[i]);
	}
	put128(id->tnvmcap, total);
	put128(id->unvmcap, free);
}

/* ---- attachment ---- */

static uint16_t
attach(struct plx_nvmet *c, uint32_t nsid, bool on)
{
	struct nvmet_ns *ns = &c->ns[nsid - 1];

	if (on && ns->attached)
		return NVMET_ERR(CMD_SPECIFIC, NS_ALREADY_ATTACHED);
	if (!on && !ns->attached)
		return NVMET_ERR(CMD_SPECIFIC, NS_NOT_ATTACHED);
	ns->attached = on;
	nvmet_ns_open(ns);
	nvmet_ns_changed(c, nsid);
	return 0;
}

/* The data is a list of controllers: of one, as there is one. */
uint16_t
nvmet_ns_attach(struct plx_nvmet *c, const struct nvmet_sqe *e)
{
	uint32_t sel = rte_le_to_cpu_32(e->cdw10) & 0xf, nsid = rte_le_to_cpu_32(e->nsid);
	const struct nvme_ctrl_list *l = (const void *)c->page;
	uint16_t rc;

	if ((c->oacs & NVME_CTRL_OACS_NS_MGMT) == 0)
		return NVMET_ERR(GENERIC, INVALID_OPCODE);
	if (sel > NVME_NS_ATTACH_SEL_CTRL_DEATTACH)
		return NVMET_ERR(GENERIC, INVALID_FIELD);
	if (nsid == 0 || nsid > c->nns)
		return NVMET_ERR(GENERIC, INVALID_NS);
	if (!c->ns[nsid - 1].allocated)
		return NVMET_ERR(GENERIC, INVALID_FIELD);
	rc = nvmet_data_get(c, e, c->page, sizeof(c->page));
	if (rc != 0)
		return rc;
	if (l->num != rte_cpu_to_le_16(1) || l->identifier[0] != rte_cpu_to_le_16(NVMET_CNTLID))
		return NVMET_ERR(CMD_SPECIFIC, CTRL_LIST_INVALID);
	return attach(c, nsid, sel == NVME_NS_ATTACH_SEL_CTRL_ATTACH);
}

/* ---- management ---- */

void
nvmet_ns_deleted(struct plx_nvmet *c, struct nvmet_ns *ns)
{
	(void)c;
	ns->allocated = false;
	ns->size = 0;
	nvmet_resv_forget(ns);
}

/* The smallest device that has room. */
static struct nvmet_ns *
room(struct plx_nvmet *c, uint64_t nblocks)
{
	struct nvmet_ns *best = NULL;
	uint32_t i;

	for (i = 0; i < c->nns; i++) {
		struct nvmet_ns *ns = &c->ns[i];

		if (!ns->allocated && !ns->gone && ns->info.zone_nblk == 0 &&
			device_bytes(ns) >> ns->shift >= nblocks &&
			(best == NULL || device_bytes(ns) < device_bytes(best)))
			best = ns;
	}
	return best;
}

static uint16_t
create(struct plx_nvmet *c, const struct nvmet_sqe *e, uint32_t *result)
{
	const struct nvme_id_ns *id = (const void *)c->page;
	uint8_t csi = (uint8_t)(rte_le_to_cpu_32(e->cdw11) >> 24);
	struct nvme_id_ns is = {0};
	struct nvmet_ns *ns;
	uint64_t nsze;
	uint16_t rc = nvmet_data_get(c, e, c->page, sizeof(c->page));

	if (rc != 0)
		return rc;
	nsze = rte_le_to_cpu_64(id->nsze);
	if (csi != NVME_CSI_NVM || nsze == 0 || id->nmic > 1)
		return NVMET_ERR(GENERIC, INVALID_FIELD);
	if (id->ncap != id->nsze)
		return NVMET_ERR(CMD_SPECIFIC, THIN_PROV_NOT_SUPP);
	ns = room(c, nsze);
	if (ns == NULL)
		return NVMET_ERR(CMD_SPECIFIC, NS_INSUFFICIENT_CAP);
	nvmet_meta_identify(ns, &is);
	if ((id->flbas & 0x7f) != is.flbas || id->dps != is.dps)
		return NVMET_ERR(CMD_SPECIFIC, INVALID_FORMAT);
	if (getrandom(ns->nguid, sizeof(ns->nguid), 0) != sizeof(ns->nguid))
		return NVMET_SC(GENERIC, INTERNAL);
	ns->allocated = true;
	ns->attached = false;
	ns->size = ns->info.nblocks = nsze;
	nvmet_ns_open(ns);
	*result = (uint32_t)(ns - c->ns) + 1;
	return 0;
}

/* Detached at once, it goes when it is erased. */
static uint32_t
delete_ns(struct plx_nvmet *c, const struct nvmet_sqe *e)
{
	uint32_t nsid = rte_le_to_cpu_32(e->nsid), i;

	if (nsid != NVME_NSID_ALL && (nsid == 0 || nsid > c->nns))
		return NVMET_ERR(GENERIC, INVALID_NS);
	if (nsid != NVME_NSID_ALL && !c->ns[nsid - 1].allocated)
		return NVMET_ERR(GENERIC, INVALID_FIELD);
	if (nvmet_formatting(c))
		return NVMET_SC(GENERIC, FORMAT_IN_PROGRESS);
	if (!nvmet_may_erase(c, nsid))
		return NVMET_ERR(GENERIC, RESERVATION_CONFLICT);
	for (i = 0; i < c->nns; i++)
		if ((nsid == NVME_NSID_ALL || nsid == i + 1) && c->ns[i].attached)
			attach(c, i + 1, false);
	nvmet_format_begin(c, e->cid, nsid, true);
	return NVMET_LATER;
}

uint32_t
nvmet_ns_manage(struct plx_nvmet *c, const struct nvmet_sqe *e, uint32_t *result)
{
	if ((c->oacs & NVME_CTRL_OACS_NS_MGMT) == 0)
		return NVMET_ERR(GENERIC, INVALID_OPCODE);
	switch (rte_le_to_cpu_32(e->cdw10) & 0xf) {
	case NVME_NS_MGMT_SEL_CREATE:
		return create(c, e, result);
	case NVME_NS_MGMT_SEL_DELETE:
		return delete_ns(c, e);
	default:
		return NVMET_ERR(GENERIC, INVALID_FIELD);
	}
}
