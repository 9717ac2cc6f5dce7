/* SPDX-License-Identifier: BSD-3-Clause */
/* The controller: what it says of itself, and what it takes until I/O queues can be created. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <rte_byteorder.h>

#include "plx_log.h"

#include "nvme_priv.h"

PLX_LOG_USE(nvme);

/* What BAR 0 has room for. */
static uint64_t
nb_doorbells(const struct nvme_ctrlr *c)
{
	return (c->vfio->regions[0].size - NVME_DB_BASE) / c->db_stride;
}

int
nvme_ctrlr_check_caps(struct nvme_ctrlr *c)
{
	uint32_t mqes = (uint32_t)NVME_CAP_MQES(c->cap) + 1, css = NVME_CAP_CSS(c->cap);
	const char *why = NULL;

	c->page_size = 1u << (12 + NVME_CAP_MPSMIN(c->cap));
	c->all_sets = (css & NVME_CAP_CSS_CSI) != 0;
	c->db_stride = 4u << NVME_CAP_DSTRD(c->cap);
	c->max_entries = (uint16_t)RTE_MIN(mqes, 2u * (NVME_MAX_DEPTH + 1));
	/* TO counts 500 ms (NVMe Base 2.0, 3.1.3.1) */
	c->ready_ms = RTE_MAX(1u, (uint32_t)NVME_CAP_TO(c->cap)) * 500;
	if (c->cap == UINT64_MAX || c->vs == NVME_ALL_ONES) {
		PLX_LOG(ERR,
			"nvme: %s: registers read all ones: the device is gone, or its "
			"memory decoding is off",
			c->name);
		return -ENODEV;
	}
	if (mqes < 2)
		why = "its queues have one entry (MQES 0)";
	else if (c->page_size > 65536)
		why = "it wants pages of more than 64 KiB (MPSMIN)";
	else if (c->vs == 0)
		why = "it has no version";
	else if (css == NVME_CAP_CSS_ADMIN)
		why = "it has no I/O commands (CSS)";
	else if (nb_doorbells(c) < 4)
		why = "BAR 0 has no room for an I/O queue's doorbells (DSTRD)";
	if (why == NULL)
		return 0;
	PLX_LOG(ERR, "nvme: %s: not a usable controller: %s: CAP %#" PRIx64 ", VS %#x", c->name,
		why, c->cap, c->vs);
	return -EPROTO;
}

/* What queues and namespaces were made with must still hold after a reset. */
static int
same_caps(const struct nvme_ctrlr *c)
{
	if (c->reg == c->cap)
		return 0;
	PLX_LOG(ERR,
		"nvme: %s: another controller answers now: CAP %#" PRIx64 " instead of %#" PRIx64,
		c->name, c->reg, c->cap);
	return c->reg == UINT64_MAX ? -ENODEV : -ESTALE;
}

/* Entries that it needs larger than NVMe's (NVMe Base 2.0, 5.17.2.1). */
static int
check_entries(const struct nvme_ctrlr *c)
{
	if ((c->id.sqes & 0xf) <= 6 && (c->id.cqes & 0xf) <= 4)
		return 0;
	PLX_LOG(ERR,
		"nvme: %s: not a usable controller: it wants other queue entries than of 64 and 16 "
		"bytes (SQES %#x, CQES %#x)",
		c->name, c->id.sqes, c->id.cqes);
	return -EPROTO;
}

static int
take_identify(struct nvme_ctrlr *c)
{
	uint32_t sgls = rte_le_to_cpu_32(c->id.sgls), before = c->max_xfer;
	uint64_t max = NVME_MAX_XFER;
	bool sgl = c->sgl;

	if (check_entries(c) != 0)
		return -EPROTO;
	if (c->id.mdts != 0 && c->id.mdts < 16)
		max = RTE_MIN(max, (uint64_t)c->page_size << c->id.mdts);
	c->max_xfer = (uint32_t)max;
	c->sgl = !c->no_sgl && (sgls & 3) != 0 && (sgls & 3) != 3;
	c->sgl_dword = (sgls & 3) == 2;
	/* One segment; and of no more pieces than a PRP list of the longest transfer, as no field
	 * says how many the controller has room for, and some have no more (they fail the rest). */
	c->max_sgls = (uint16_t)RTE_MIN(
		c->page_size / sizeof(struct nvme_sgl), (size_t)c->max_xfer / c->page_size + 1);
	if (c->state == NVME_ATTACHING || (c->max_xfer >= before && c->sgl >= sgl))
		return 0;
	PLX_LOG(ERR,
		"nvme: %s: after the reset it takes less than before (MDTS %u, SGLS %#x): detach "
		"it, and attach it again",
		c->name, c->id.mdts, sgls);
	return -ESTALE;
}

/* The answer to Number of Queues: of each kind, zero-based (NVMe Base 2.0, 5.27.1.5). */
static void
take_queues(struct nvme_ctrlr *c)
{
	uint32_t got = (uint32_t)c->admin.cmd.result;

	got = RTE_MIN(got & 0xffff, got >> 16) + 1;
	got = (uint32_t)RTE_MIN(got, nb_doorbells(c) / 2 - 1);
	c->max_queues = (uint16_t)RTE_MIN(c->want_queues, got);
	if (c->state == NVME_ATTACHING && c->asked_queues && got < c->want_queues)
		PLX_LOG(NOTICE, "nvme: %s: it has %u I/O queues, fewer than queues=%u", c->name,
			got, c->want_queues);
}

static int
same_identity(const struct nvme_ctrlr *c, const struct nvme_id_ctrl *now)
{
	char sn[sizeof(now->sn) + 1], was[sizeof(sn)];

	if (memcmp(c->id.sn, now->sn, sizeof(now->sn)) == 0 &&
		memcmp(c->id.mn, now->mn, sizeof(now->mn)) == 0)
		return 0;
	nvme_text(sn, sizeof(sn), now->sn, sizeof(now->sn));
	nvme_text(was, sizeof(was), c->id.sn, sizeof(c->id.sn));
	PLX_LOG(ERR, "nvme: %s: another controller answers now: serial '%s' instead of '%s'",
		c->name, sn, was);
	return -ESTALE;
}

static int
admin_ok(struct nvme_ctrlr *c, int rc, const char *what)
{
	uint16_t status = c->admin.cmd.status;

	if (rc != 0 || status == 0)
		return rc;
	PLX_LOG(ERR, "nvme: %s: %s failed: %s", c->name, what,
		nvme_status_to_string(status, false));
	return -EIO;
}

/* Doorbell buffers pay where a doorbell is an exit from a virtual machine or a message; where it
 * is memory that the other side polls, a store to it is as cheap as one to the buffer. */
static bool
wants_dbbuf(const struct nvme_ctrlr *c)
{
	bool offered = rte_le_to_cpu_16(c->id.oacs) & NVME_CTRL_OACS_DBBUF_CFG;

	if (!offered || c->use_dbbuf == NVME_DBBUF_OFF)
		return false;
	return c->use_dbbuf == NVME_DBBUF_ON || !c->vfio->regions[0].shmem;
}

static int
dbbuf_config(struct nvme_ctrlr *c)
{
	if (c->shadow == NULL)
		return 0;
	memset(c->shadow, 0, 2 * (size_t)c->page_size);
	c->admin.cmd.sqe = (struct nvme_sqe){
		.opcode = nvme_admin_dbbuf,
		.dptr[0] = rte_cpu_to_le_64(c->shadow_iova),
		.dptr[1] = rte_cpu_to_le_64(c->shadow_iova + c->page_size),
	};
	return nvme_admin_start(c, c->admin_ms);
}

static int
alloc_dbbuf(struct nvme_ctrlr *c)
{
	uint64_t iova;

	if (!wants_dbbuf(c) || c->shadow != NULL)
		return 0;
	c->shadow = plx_mem_alloc(2 * (size_t)c->page_size, c->page_size, c->vfio->numa_node);
	if (c->shadow == NULL)
		return -ENOMEM;
	iova = plx_mem_iova(c->vfio->domain, c->shadow, 2 * (size_t)c->page_size);
	if (iova == PLX_BAD_IOVA) { /* not in the arena: doorbells work without */
		plx_mem_free(c->shadow);
		c->shadow = NULL;
		return 0;
	}
	c->event = c->shadow + c->page_size / sizeof(uint32_t);
	c->shadow_iova = iova;
	return 0;
}

static int
identify(struct nvme_ctrlr *c)
{
	PLX_PT_BEGIN(&c->sub);
	PLX_PT_CALL(&c->sub, c->sub_rc, nvme_admin_ident(c, NVME_IDENTIFY_CNS_CTRL, 0, 0),
		nvme_admin_wait(c));
	c->sub_rc = admin_ok(c, c->sub_rc, "identify controller");
	if (c->sub_rc == 0 && c->state != NVME_ATTACHING)
		c->sub_rc = same_identity(c, (struct nvme_id_ctrl *)c->buf);
	NVME_OR_RETURN(&c->sub, c->sub_rc);
	memcpy(&c->id, c->buf, sizeof(c->id));
	nvme_quirks_ctrlr(c);
	PLX_PT_RETURN(&c->sub, take_identify(c));
	PLX_PT_END(&c->sub);
}

/* Who we are to other hosts (NVMe Base 2.0, 5.27.1.25): reservations go by it. A controller that
 * knows the short form only gets its first half. */
static int
set_hostid(struct nvme_ctrlr *c)
{
	bool wide = (rte_le_to_cpu_32(c->id.ctratt) & NVME_CTRL_CTRATT_128_ID) != 0;

	c->admin.cmd.status = 0;
	if (!c->use_hostid)
		return 0;
	memcpy(c->buf, c->hostid, sizeof(c->hostid));
	c->admin.cmd.sqe = (struct nvme_sqe){
		.opcode = nvme_admin_set_features,
		.dptr[0] = rte_cpu_to_le_64(c->buf_iova),
		.cdw10 = rte_cpu_to_le_32(NVME_FEAT_FID_HOST_ID),
		.cdw11 = rte_cpu_to_le_32(wide),
	};
	return nvme_admin_start(c, c->admin_ms);
}

/* From a disabled controller to one whose I/O queues can be created; attach and reset. */
int
nvme_ctrlr_bring_up(struct nvme_ctrlr *c)
{
	const uint32_t want = (c->want_queues - 1u) | (c->want_queues - 1u) << 16;

	if (c->mp != NULL) /* the primary process did the rest */
		return identify(c);
	PLX_PT_BEGIN(&c->up);
	NVME_READ(&c->up, c->up_rc, c, NVME_REG_CAP, 8);
	if (c->up_rc == 0)
		c->up_rc = same_caps(c);
	NVME_OR_RETURN(&c->up, c->up_rc);
	PLX_PT_CALL(&c->up, c->up_rc, nvme_cmb_enable(c), nvme_cmb_enable(c));
	NVME_OR_RETURN(&c->up, c->up_rc);
	PLX_PT_CALL(&c->up, c->up_rc, nvme_enable(c), nvme_enable(c));
	NVME_OR_RETURN(&c->up, c->up_rc);
	PLX_PT_CALL(&c->up, c->up_rc, identify(c), identify(c));
	NVME_OR_RETURN(&c->up, c->up_rc);
	PLX_PT_CALL(&c->up, c->up_rc, nvme_admin_set_feature(c, NVME_FEAT_FID_NUM_QUEUES, want),
		nvme_admin_wait(c));
	c->up_rc = admin_ok(c, c->up_rc, "setting the number of queues");
	NVME_OR_RETURN(&c->up, c->up_rc);
	take_queues(c);
	if (c->state == NVME_ATTACHING) {
		c->up_rc = alloc_dbbuf(c);
		NVME_OR_RETURN(&c->up, c->up_rc);
	}
	c->admin.cmd.status = 0;
	PLX_PT_CALL(&c->up, c->up_rc, dbbuf_config(c), nvme_admin_wait(c));
	NVME_OR_RETURN(&c->up, c->up_rc);
	c->dbbuf_on = c->shadow != NULL && c->admin.cmd.status == 0;
	PLX_PT_CALL(&c->up, c->up_rc, nvme_meta_enable(c), nvme_admin_wait(c));
	NVME_OR_RETURN(&c->up, c->up_rc);
	PLX_PT_CALL(&c->up, c->up_rc, set_hostid(c), nvme_admin_wait(c));
	c->up_rc = admin_ok(c, c->up_rc, "setting the host identifier");
	NVME_OR_RETURN(&c->up, c->up_rc);
	/* events: what the controller offers of health, namespaces and firmware */
	PLX_PT_CALL(&c->up, c->up_rc,
		nvme_admin_set_feature(c, NVME_FEAT_FID_ASYNC_EVENT,
			0xff | (rte_le_to_cpu_32(c->id.oaes) & 0x300)),
		nvme_admin_wait(c));
	NVME_OR_RETURN(&c->up, c->up_rc);
	nvme_admin_arm_aer(c);
	PLX_PT_END(&c->up);
}

/* ---- namespaces ---- */

static void
take_ns_list(struct nvme_ctrlr *c, bool list)
{
	const struct nvme_ns_list *l = (const struct nvme_ns_list *)c->buf;
	uint32_t i;

	for (i = 0; i < RTE_DIM(c->nsids); i++) {
		if (list)
			c->nsids[i] = rte_le_to_cpu_32(l->ns[i]);
		else /* before NVMe 1.1 there is no list: all up to NN are there */
			c->nsids[i] = i < rte_le_to_cpu_32(c->id.nn) ? i + 1 : 0;
	}
}

static struct nvme_ns *
find_ns(const struct nvme_ctrlr *c, uint32_t nsid)
{
	struct nvme_ns *ns;

	for (ns = c->ns; ns != NULL && ns->nsid != nsid; ns = ns->next)
		;
	return ns;
}

static void
drop_missing(struct nvme_ctrlr *c)
{
	struct nvme_ns *ns;
	uint32_t i;

	for (ns = c->ns; ns != NULL; ns = ns->next) {
		for (i = 0; i < RTE_DIM(c->nsids) && c->nsids[i] != 0; i++)
			if (c->nsids[i] == ns->nsid)
				break;
		if (i == RTE_DIM(c->nsids) || c->nsids[i] == 0)
			nvme_ns_gone(ns);
	}
}

static void
take_ns(struct nvme_ctrlr *c, uint32_t nsid)
{
	struct nvme_ns *ns = find_ns(c, nsid);

	nvme_quirks_ns(c, &c->id_ns);
	if (ns != NULL && ns->blk.info.state == PLX_BLK_REMOVED)
		nvme_ns_back(ns, &c->id_ns);
	else if (ns != NULL)
		nvme_ns_refresh(ns, &c->id_ns);
	else
		nvme_ns_add(c, nsid, &c->id_ns); /* one that can't be used is said and left out */
}

/* The extended format of the namespace in c->id_ns, from its NVM specific data. */
static void
take_elbaf(struct nvme_ctrlr *c)
{
	const struct nvme_nvm_id_ns *nvm = (const struct nvme_nvm_id_ns *)c->buf;

	c->elbaf = rte_le_to_cpu_32(nvm->elbaf[nvme_ns_lbaf(&c->id_ns)]);
}

/* Take what is there: new namespaces, other sizes, and those that went. */
int
nvme_ctrlr_scan(struct nvme_ctrlr *c)
{
	PLX_PT_BEGIN(&c->up);
	c->up_rc = 0;
	c->admin.cmd.status = NVME_SC_INVALID_FIELD;
	if (!nvme_quirk(c, NVME_QUIRK_NO_NS_LIST))
		PLX_PT_CALL(&c->up, c->up_rc,
			nvme_admin_ident(c, NVME_IDENTIFY_CNS_NS_ACTIVE_LIST, 0, 0),
			nvme_admin_wait(c));
	NVME_OR_RETURN(&c->up, c->up_rc);
	take_ns_list(c, c->admin.cmd.status == 0);
	drop_missing(c);
	for (c->i = 0; c->i < RTE_DIM(c->nsids) && c->nsids[c->i] != 0; c->i++) {
		PLX_PT_CALL(&c->up, c->up_rc,
			nvme_admin_ident(c, NVME_IDENTIFY_CNS_NS, c->nsids[c->i], 0),
			nvme_admin_wait(c));
		NVME_OR_RETURN(&c->up, c->up_rc);
		if (c->admin.cmd.status != 0)
			continue;
		memcpy(&c->id_ns, c->buf, sizeof(c->id_ns));
		c->elbaf = 0;
		if (nvme_meta_elbaf_wanted(c, &c->id_ns)) {
			PLX_PT_CALL(&c->up, c->up_rc,
				nvme_admin_ident(
					c, NVME_IDENTIFY_CNS_CSI_NS, c->nsids[c->i], NVME_CSI_NVM),
				nvme_admin_wait(c));
			NVME_OR_RETURN(&c->up, c->up_rc);
			if (c->admin.cmd.status == 0)
				take_elbaf(c);
		}
		PLX_PT_CALL(&c->up, c->up_rc, nvme_zns_identify(c, c->nsids[c->i]),
			nvme_zns_identify(c, c->nsids[c->i]));
		if (c->up_rc == 0)
			take_ns(c, c->nsids[c->i]);
		else if (c->up_rc != -ENOTSUP)
			PLX_PT_RETURN(&c->up, c->up_rc);
		else if (find_ns(c, c->nsids[c->i]) != NULL)
			nvme_ns_gone(find_ns(c, c->nsids[c->i]));
	}
	PLX_PT_END(&c->up);
}
