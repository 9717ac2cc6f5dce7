/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Identify (NVMe 1.4, 5.15).
 */
#include <string.h>

#include "nvmet_priv.h"

/* Space-padded ASCII, as Identify has it. */
static void
ascii(char *to, size_t len, const char *from)
{
	size_t n = strnlen(from, len);

	memset(to, ' ', len);
	memcpy(to, from, n);
}

static void
id_ctrl(struct plx_nvmet *c)
{
	struct nvme_id_ctrl *id = (void *)c->page;

	id->vid = rte_cpu_to_le_16(NVMET_PCI_VENDOR);
	id->ssvid = rte_cpu_to_le_16(NVMET_PCI_VENDOR);
	ascii(id->sn, sizeof(id->sn), c->serial);
	ascii(id->mn, sizeof(id->mn), c->model);
	ascii(id->fr, sizeof(id->fr), c->fw.rev[c->fw.active - 1]);
	id->rab = 5; /* commands a round: 2^n, near NVMET_BURST */
	id->mdts = c->mdts;
	id->cntlid = rte_cpu_to_le_16(NVMET_CNTLID);
	id->ver = rte_cpu_to_le_32(0x00010400);
	id->oaes = rte_cpu_to_le_32(NVME_CTRL_OAES_NA);
	id->cntrltype = NVME_CTRL_CNTRLTYPE_IO;
	id->oacs = rte_cpu_to_le_16(c->oacs);
	id->acl = NVMET_ACL;
	id->aerl = NVMET_AERS - 1;
	id->frmw = NVME_CTRL_FRMW_1ST_RO | NVMET_FW_SLOTS << 1 | NVME_CTRL_FRMW_FW_ACT_NO_RESET;
	id->fwug = 1;
	id->edstt = rte_cpu_to_le_16(1);
	id->dsto = 1; /* one self-test at a time */
	id->sanicap = rte_cpu_to_le_32(nvmet_sanitize_cap(c));
	nvmet_ns_capacity(c, id);
	id->lpa = NVME_CTRL_LPA_CMD_EFFECTS | NVME_CTRL_LPA_EXTENDED;
	id->elpe = NVMET_ERRLOG - 1;
	id->wctemp = rte_cpu_to_le_16(343);
	id->cctemp = rte_cpu_to_le_16(353);
	id->sqes = 0x66;
	id->cqes = 0x44;
	id->nn = rte_cpu_to_le_32(c->nns);
	id->mnan = 0; /* as NN */
	id->oncs = rte_cpu_to_le_16(c->oncs);
	id->ocfs = rte_cpu_to_le_16((c->oncs & NVME_CTRL_ONCS_COPY) != 0 ? 1 : 0);
	/* flush is for one namespace at a time */
	id->vwc = (uint8_t)(2 << 1 | (c->vwc ? NVME_CTRL_VWC_PRESENT : 0));
	id->sgls = rte_cpu_to_le_32(c->sgl ? 1 : 0); /* no alignment asked for */
	memcpy(id->subnqn, c->subnqn, strlen(c->subnqn));
	id->ctratt = rte_cpu_to_le_32(
		NVME_CTRL_CTRATT_128_ID | (c->elbas ? (uint32_t)NVME_CTRL_CTRATT_ELBAS : 0));
	id->psd[0].mp = rte_cpu_to_le_16(100); /* 1 W */
}

static void
id_ns(struct plx_nvmet *c, const struct nvmet_ns *ns)
{
	struct nvme_id_ns *id = (void *)c->page;
	uint64_t size = rte_cpu_to_le_64(ns->info.nblocks);
	uint32_t phys = ns->info.phys_block_size / ns->info.block_size;
	uint32_t atomic = RTE_MIN(ns->info.atomic_nblk, 65536u);

	id->nsze = id->ncap = id->nuse = size;
	id->nlbaf = 0;
	id->flbas = 0;
	/* what deallocated blocks read as isn't promised */
	if ((c->oncs & NVME_CTRL_ONCS_WRITE_ZEROES) != 0)
		id->dlfeat = NVME_NS_DLFEAT_WRITE_ZEROES;
	id->lbaf[0].ds = (uint8_t)ns->shift;
	nvmet_meta_identify(ns, id);
	nvmet_copy_identify(c, id);
	id->rescap = NVME_NS_RESCAP_WE | NVME_NS_RESCAP_EA | NVME_NS_RESCAP_WERO |
		     NVME_NS_RESCAP_EARO | NVME_NS_RESCAP_WEAR | NVME_NS_RESCAP_EAAR |
		     NVME_NS_RESCAP_IEK_13;
	id->noiob = rte_cpu_to_le_16(
		(uint16_t)(ns->info.boundary_nblk <= UINT16_MAX ? ns->info.boundary_nblk : 0));
	if (atomic > 1) {
		id->nsfeat |= NVME_NS_FEAT_NATOMIC;
		id->nawun = id->nawupf = rte_cpu_to_le_16((uint16_t)(atomic - 1));
	}
	if (phys > 1 && phys <= 65536) {
		id->nsfeat |= NVME_NS_FEAT_IO_OPT;
		id->npwg = id->npwa = rte_cpu_to_le_16((uint16_t)(phys - 1));
		id->npdg = id->npda = id->nows = id->npwg;
	}
	id->nsattr = c->rdonly || (ns->info.caps & PLX_BLK_CAP_RDONLY) != 0 ? 1 : 0;
	memcpy(id->nguid, ns->nguid, sizeof(id->nguid));
}

static uint8_t
csi_of(const struct nvmet_ns *ns)
{
	return ns->info.zone_nblk != 0 ? NVME_CSI_ZNS : NVME_CSI_NVM;
}

static void
id_descs(const struct nvmet_ns *ns, uint8_t *page)
{
	struct nvme_ns_id_desc *d = (void *)page;

	d->nidt = NVME_NIDT_NGUID;
	d->nidl = sizeof(ns->nguid);
	memcpy(d->nid, ns->nguid, sizeof(ns->nguid));
	d = (void *)(d->nid + d->nidl);
	d->nidt = NVME_NIDT_CSI;
	d->nidl = 1;
	d->nid[0] = csi_of(ns);
}

/* Of a command set. */
static uint16_t
id_csi_ns(struct plx_nvmet *c, const struct nvmet_ns *ns, uint8_t csi)
{
	if (csi == NVME_CSI_NVM)
		nvmet_meta_identify_nvm(ns, (void *)c->page);
	else if (csi == NVME_CSI_ZNS && csi_of(ns) == csi)
		nvmet_zns_identify_ns(ns, (void *)c->page);
	else
		return NVMET_ERR(GENERIC, INVALID_FIELD);
	return 0;
}

static uint16_t
id_csi_ctrl(struct plx_nvmet *c, uint8_t csi)
{
	if (csi == NVME_CSI_ZNS && c->zns)
		nvmet_zns_identify_ctrl(c, (void *)c->page);
	else if (csi != NVME_CSI_NVM) /* which sets no limits beyond MDTS */
		return NVMET_ERR(GENERIC, INVALID_FIELD);
	return 0;
}

/* NSIDs above after, of a command set or (csi -1) all that this host may see; of those not attached
 * too. */
static uint16_t
id_list(struct plx_nvmet *c, uint32_t after, int csi, bool allocated)
{
	struct nvme_ns_list *l = (void *)c->page;
	uint32_t i, n = 0;

	if (after >= NVME_NSID_ALL - 1)
		return NVMET_ERR(GENERIC, INVALID_NS);
	for (i = after; i < c->nns && n < NVME_ID_NS_LIST_MAX; i++)
		if (!c->ns[i].hidden && c->ns[i].allocated && (allocated || c->ns[i].attached) &&
			(csi < 0 || csi_of(&c->ns[i]) == csi))
			l->ns[n++] = rte_cpu_to_le_32(i + 1);
	return 0;
}

static void
id_ctrl_list(struct plx_nvmet *c, uint32_t from)
{
	struct nvme_ctrl_list *l = (void *)c->page;

	if (from > NVMET_CNTLID)
		return;
	l->num = rte_cpu_to_le_16(1);
	l->identifier[0] = rte_cpu_to_le_16(NVMET_CNTLID);
}

/* A namespace of ours, or why not. */
static uint16_t
find(struct plx_nvmet *c, uint32_t nsid, struct nvmet_ns **ns)
{
	if (nsid == 0 || nsid > c->nns || c->ns[nsid - 1].hidden)
		return NVMET_ERR(GENERIC, INVALID_NS);
	*ns = &c->ns[nsid - 1];
	return 0;
}

static bool
shown(const struct nvmet_ns *ns, uint32_t dw10)
{
	return (dw10 & 0xff) == NVME_IDENTIFY_CNS_NS ? nvmet_ns_active(ns) : ns->allocated;
}

static uint16_t
build(struct plx_nvmet *c, const struct nvmet_sqe *e)
{
	uint32_t dw10 = rte_le_to_cpu_32(e->cdw10), nsid = rte_le_to_cpu_32(e->nsid);
	uint8_t csi = (uint8_t)(rte_le_to_cpu_32(e->cdw11) >> 24);
	struct nvmet_ns *ns;
	uint16_t rc = 0;

	switch (dw10 & 0xff) {
	case NVME_IDENTIFY_CNS_NS:
	case NVME_IDENTIFY_CNS_ALLOCATED_NS:
		if (nsid == NVME_NSID_ALL) /* what all have in common: the one format */
			ns = &c->ns[0];
		else
			rc = find(c, nsid, &ns);
		/* of one that isn't there: zeroes */
		if (rc == 0 && (nsid == NVME_NSID_ALL || shown(ns, dw10)))
			id_ns(c, ns);
		return rc;
	case NVME_IDENTIFY_CNS_CSI_NS:
		rc = find(c, nsid, &ns);
		return rc == 0 && nvmet_ns_active(ns) ? id_csi_ns(c, ns, csi) : rc;
	case NVME_IDENTIFY_CNS_CSI_CTRL:
		return id_csi_ctrl(c, csi);
	case NVME_IDENTIFY_CNS_CSI_NS_ACTIVE_LIST:
		return id_list(c, nsid, csi, false);
	case NVME_IDENTIFY_CNS_COMMAND_SET_STRUCTURE: /* one combination: all */
		if (c->zns)
			c->page[0] = 1 << NVME_CSI_NVM | 1 << NVME_CSI_ZNS;
		return c->zns ? 0 : NVMET_ERR(GENERIC, INVALID_FIELD);
	case NVME_IDENTIFY_CNS_CTRL:
		id_ctrl(c);
		return 0;
	case NVME_IDENTIFY_CNS_NS_ACTIVE_LIST:
	case NVME_IDENTIFY_CNS_ALLOCATED_NS_LIST:
		return id_list(c, nsid, -1, (dw10 & 0xff) == NVME_IDENTIFY_CNS_ALLOCATED_NS_LIST);
	case NVME_IDENTIFY_CNS_NS_DESC_LIST:
		rc = find(c, nsid, &ns);
		if (rc == 0 && !nvmet_ns_active(ns))
			rc = NVMET_ERR(GENERIC, INVALID_FIELD);
		if (rc == 0)
			id_descs(ns, c->page);
		return rc;
	case NVME_IDENTIFY_CNS_NS_CTRL_LIST:
		rc = find(c, nsid, &ns);
		if (rc == 0 && nvmet_ns_active(ns))
			id_ctrl_list(c, dw10 >> 16);
		return rc;
	case NVME_IDENTIFY_CNS_CTRL_LIST:
		id_ctrl_list(c, dw10 >> 16);
		return 0;
	default:
		return NVMET_ERR(GENERIC, INVALID_FIELD);
	}
}

uint16_t
nvmet_identify(struct plx_nvmet *c, const struct nvmet_sqe *e)
{
	uint16_t rc;

	static_assert(sizeof(struct nvme_id_ctrl) == NVME_IDENTIFY_DATA_SIZE &&
			      sizeof(c->page) == NVME_IDENTIFY_DATA_SIZE,
		"identify data is a page");
	memset(c->page, 0, sizeof(c->page));
	rc = build(c, e);
	if (rc != 0)
		return rc;
	return nvmet_data_put(c, e, c->page, sizeof(c->page), sizeof(c->page));
}
