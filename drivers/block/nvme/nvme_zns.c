/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Zoned namespaces (NVMe Zoned Namespace Command Set 1.1): what they say of themselves, their
 * commands, and answers that the application gets only if they make sense.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include <rte_byteorder.h>

#include "plx_log.h"

#include "nvme_priv.h"

PLX_LOG_USE(nvme);

#define CROSS_READ 1u      /* in OZCS: reads may cross zones */
#define SEND_ALL (1u << 8) /* Zone Management Send, dword 13: select all */

static_assert(sizeof(struct nvme_zns_desc) == sizeof(struct plx_zone) &&
		      sizeof(struct nvme_zone_report) == sizeof(struct plx_zone_report),
	"reports are turned into ours in place");

/* ---- what a namespace is ---- */

/* The command set in its list of descriptors (NVMe Base 2.0, 5.17.2.3): those behind a length of
 * 0 are not there. */
static uint8_t
command_set(const uint8_t *list)
{
	size_t at;

	for (at = 0; at + 4 < NVME_IDENTIFY_DATA_SIZE && list[at + 1] != 0; at += 4u + list[at + 1])
		if (list[at] == NVME_NIDT_CSI)
			return list[at + 4];
	return NVME_CSI_NVM;
}

static void
take_ns(struct nvme_ctrlr *c)
{
	const struct nvme_zns_id_ns *id = (const struct nvme_zns_id_ns *)c->buf;
	struct nvme_zoned *z = &c->zoned;

	z->zone_nblk = rte_le_to_cpu_64(id->lbafe[nvme_ns_lbaf(&c->id_ns)].zsze);
	/* both are zero-based, and all ones for no limit: that is our 0 */
	z->max_open = rte_le_to_cpu_32(id->mor) + 1;
	z->max_active = rte_le_to_cpu_32(id->mar) + 1;
	z->cross_read = (rte_le_to_cpu_16(id->ozcs) & CROSS_READ) != 0;
}

/* ZASL: a power of two of the smallest pages, 0: as MDTS (1.1, 4.1.5.2). */
static void
take_ctrlr(struct nvme_ctrlr *c)
{
	uint8_t zasl = ((const struct nvme_zns_id_ctrl *)c->buf)->zasl;

	c->zoned.max_append = RTE_MIN(c->max_xfer, NVME_MAX_APPEND);
	if (zasl != 0 && zasl < 16)
		c->zoned.max_append = (uint32_t)RTE_MIN(
			(uint64_t)c->zoned.max_append, (uint64_t)c->page_size << zasl);
}

/* A state machine: the command set of namespace nsid, whose general data is in c->id_ns, and if it
 * is zoned, its zones. @return 0; -ENOTSUP, logged, it can't be used; other errors */
int
nvme_zns_identify(struct nvme_ctrlr *c, uint32_t nsid)
{
	PLX_PT_BEGIN(&c->sub);
	memset(&c->zoned, 0, sizeof(c->zoned));
	if (!c->all_sets)
		PLX_PT_RETURN(&c->sub, 0);
	PLX_PT_CALL(&c->sub, c->sub_rc,
		nvme_admin_ident(c, NVME_IDENTIFY_CNS_NS_DESC_LIST, nsid, NVME_CSI_NVM),
		nvme_admin_wait(c));
	NVME_OR_RETURN(&c->sub, c->sub_rc);
	c->csi = c->admin.cmd.status == 0 ? command_set(c->buf) : NVME_CSI_NVM;
	if (c->csi == NVME_CSI_NVM)
		PLX_PT_RETURN(&c->sub, 0);
	c->admin.cmd.status = NVME_SC_INVALID_IOCS;
	if (c->csi == NVME_CSI_ZNS)
		PLX_PT_CALL(&c->sub, c->sub_rc,
			nvme_admin_ident(c, NVME_IDENTIFY_CNS_CSI_NS, nsid, NVME_CSI_ZNS),
			nvme_admin_wait(c));
	NVME_OR_RETURN(&c->sub, c->sub_rc);
	if (c->admin.cmd.status == 0) {
		take_ns(c);
		PLX_PT_CALL(&c->sub, c->sub_rc,
			nvme_admin_ident(c, NVME_IDENTIFY_CNS_CSI_CTRL, 0, NVME_CSI_ZNS),
			nvme_admin_wait(c));
		NVME_OR_RETURN(&c->sub, c->sub_rc);
	}
	if (c->admin.cmd.status == 0)
		take_ctrlr(c);
	if (c->zoned.max_append == 0) {
		NVME_TELL(c, WARNING, "nvme: %s: namespace %u is left out: command set %u: %s",
			c->name, nsid, c->csi, nvme_status_to_string(c->admin.cmd.status, false));
		PLX_PT_RETURN(&c->sub, -ENOTSUP);
	}
	PLX_PT_END(&c->sub);
}

/* Can the namespace in c->id_ns be used with the zones that it has? */
int
nvme_zns_check(struct nvme_ctrlr *c, uint32_t nsid, const struct nvme_format *f)
{
	uint64_t zone = c->zoned.zone_nblk, nblocks = rte_le_to_cpu_64(c->id_ns.nsze);

	if (c->zoned.max_append == 0) /* not zoned */
		return 0;
	if (f->ms != 0) {
		NVME_TELL(c, WARNING,
			"nvme: %s: namespace %u is left out: it has zones, and metadata; format it "
			"without metadata",
			c->name, nsid);
		return -ENOTSUP;
	}
	if (zone == 0 || zone > nblocks || (nblocks - 1) / zone >= UINT32_MAX) {
		NVME_TELL(c, WARNING,
			"nvme: %s: namespace %u is left out: zones of %" PRIu64
			" blocks in %" PRIu64,
			c->name, nsid, zone, nblocks);
		return -ENOTSUP;
	}
	return 0;
}

void
nvme_zns_info(const struct nvme_ctrlr *c, struct plx_blk_info *info)
{
	const struct nvme_zoned *z = &c->zoned;
	uint64_t most = RTE_MIN((uint64_t)info->max_nblk, z->zone_nblk);

	if (z->zone_nblk == 0)
		return;
	info->zone_nblk = z->zone_nblk;
	info->nb_zones = (uint32_t)((info->nblocks - 1) / z->zone_nblk + 1);
	info->max_open_zones = z->max_open;
	info->max_active_zones = z->max_active;
	/* what NOIOB says would only be faster */
	if (!z->cross_read && z->zone_nblk <= UINT32_MAX &&
		(info->boundary_nblk == 0 || z->zone_nblk % info->boundary_nblk != 0))
		info->boundary_nblk = (uint32_t)z->zone_nblk;
	info->max_append_nblk = (uint32_t)RTE_MIN(most, z->max_append / info->block_size);
}

/* An append is never cut: a bounce buffer has room for the longest. */
size_t
nvme_zns_bounce(const struct plx_blk_info *info)
{
	return plx_blk_bytes(info, info->max_append_nblk);
}

/* ---- commands ---- */

static uint8_t
send_action(uint8_t op)
{
	switch (op) {
	case PLX_OP_ZONE_OPEN:
		return NVME_ZNS_ZSA_OPEN;
	case PLX_OP_ZONE_CLOSE:
		return NVME_ZNS_ZSA_CLOSE;
	case PLX_OP_ZONE_FINISH:
		return NVME_ZNS_ZSA_FINISH;
	default:
		return NVME_ZNS_ZSA_RESET;
	}
}

/* Append, zone management and report; sqe has its opcode and namespace. */
int
nvme_zns_build(struct nvme_qpair *q, struct nvme_tracker *t, struct nvme_sqe *sqe,
	const struct plx_blk_req *req)
{
	uint64_t lba = req->lba;
	uint32_t words;

	if (req->op == PLX_OP_ZONE_REPORT)
		lba -= lba % q->dq.q.blk->info.zone_nblk;
	sqe->cdw10 = rte_cpu_to_le_32((uint32_t)lba);
	sqe->cdw11 = rte_cpu_to_le_32((uint32_t)(lba >> 32));
	if (req->op == PLX_OP_ZONE_APPEND) {
		words = (req->nblk - 1) & 0xffff;
		words |= req->flags & PLX_IO_FUA ? NVME_CDW12_FUA : 0;
		sqe->cdw12 = rte_cpu_to_le_32(words);
	} else if (req->op == PLX_OP_ZONE_REPORT) {
		words = (req->nblk << q->lba_shift) / sizeof(uint32_t);
		sqe->cdw12 = rte_cpu_to_le_32(words - 1);
	} else {
		words = send_action(req->op);
		words |= req->flags & PLX_IO_ALL_ZONES ? SEND_ALL : 0;
		sqe->cdw13 = rte_cpu_to_le_32(words);
		return 0;
	}
	t->flags |= NVME_TRK_RESULT | NVME_TRK_ZONE;
	return nvme_data_req(q, t, sqe, req);
}

/* ---- answers ---- */

/* Make a descriptor ours. @return it is of the zone that it should be, and makes sense */
static bool
take_zone(void *at, uint64_t lba, uint64_t zone_nblk)
{
	struct nvme_zns_desc d;
	struct plx_zone *to = at, z;

	memcpy(&d, at, sizeof(d)); /* the device may write there any time: read once */
	rte_compiler_barrier();
	z = (struct plx_zone){
		.lba = rte_le_to_cpu_64(d.zslba),
		.capacity = rte_le_to_cpu_64(d.zcap),
		.wp = rte_le_to_cpu_64(d.wp),
		.state = d.zs >> 4,
		.type = d.zt & 0xf,
		.attrs = d.za,
	};
	*to = z;
	if (z.lba != lba || z.capacity == 0 || z.capacity > zone_nblk)
		return false;
	if (z.state >= PLX_ZONE_EMPTY && z.state <= PLX_ZONE_CLOSED)
		return z.wp >= lba && z.wp - lba <= z.capacity;
	return z.state >= PLX_ZONE_RDONLY && z.state <= PLX_ZONE_OFFLINE;
}

static bool
take_report(const struct plx_blk_info *info, struct plx_blk_req *req)
{
	struct plx_zone_report *r = req->buf;
	uint64_t first = req->lba / info->zone_nblk, left = info->nb_zones - first, n, i;
	uint64_t room = (plx_blk_bytes(info, req->nblk) - sizeof(*r)) / sizeof(r->zones[0]);

	n = rte_le_to_cpu_64(__atomic_load_n(&r->nr_zones, __ATOMIC_RELAXED));
	req->result = 0;
	if (n == 0 || n > left)
		return false;
	r->nr_zones = n;
	memset(r->rsvd, 0, sizeof(r->rsvd));
	n = RTE_MIN(n, room);
	for (i = 0; i < n; i++)
		if (!take_zone(&r->zones[i], (first + i) * info->zone_nblk, info->zone_nblk))
			return false;
	req->result = n;
	return true;
}

/* An append or a report has succeeded, says the device. */
void
nvme_zns_done(struct nvme_qpair *q, struct plx_blk_req *req)
{
	const struct plx_blk_info *info = &q->dq.q.blk->info;
	uint64_t at = req->result - req->lba;
	bool ok;

	if (req->op == PLX_OP_ZONE_REPORT)
		ok = take_report(info, req);
	else
		ok = req->result >= req->lba && at < info->zone_nblk &&
		     req->nblk <= info->zone_nblk - at && req->result <= info->nblocks - req->nblk;
	if (ok)
		return;
	plx_stat_add(&q->dq.st.bad_device, 1);
	req->status = -EIO;
}
