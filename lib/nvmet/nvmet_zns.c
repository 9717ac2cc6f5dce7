/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Namespaces on zoned devices (NVMe Zoned Namespace Command Set 1.1), for hosts that enable the
 * controller with all I/O command sets; and Copy.
 *
 * A host's report may be of any length and of zones in one state only: it is made from as many
 * reports of the device as that takes, in a buffer of the command's.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "nvmet_priv.h"

#define CROSS_READ 1u /* OZCS */
#define SELECT_ALL (1u << 8)
#define PARTIAL (1u << 16)
#define MIN_ZASL_BYTES (2 * NVMET_PAGE) /* ZASL 0 would mean MDTS */
#define REPORT_BYTES 65536u             /* asked of the device at a time */
#define COPY_RANGES (NVMET_PAGE / sizeof(struct nvme_copy_range))
#define COPY_RANGE_NBLK 32768u
#define COPY_NBLK 65536u

/* A report under way. */
struct nvmet_report {
	uint64_t next;     /* where it goes on */
	uint64_t room, nr; /* zones that the host's memory has room for, and that match */
	size_t off;        /* in the host's segment */
	uint16_t seg;
	uint8_t filter;
	bool partial;
	uint8_t buf[REPORT_BYTES] __rte_aligned(8);
};

static bool
zoned(const struct nvmet_ns *ns)
{
	return ns->info.zone_nblk != 0;
}

/* ---- identify ---- */

int
nvmet_zns_check(const struct nvmet_ns *ns)
{
	const struct plx_blk_info *info = &ns->info;

	if (!zoned(ns))
		return 0;
	return info->meta_size == 0 && plx_blk_bytes(info, info->max_append_nblk) >= MIN_ZASL_BYTES
		       ? 0
		       : -ENOTSUP;
}

void
nvmet_zns_identify_ns(const struct nvmet_ns *ns, struct nvme_zns_id_ns *id)
{
	id->ozcs = rte_cpu_to_le_16(CROSS_READ);
	/* zero-based; no limit, our 0, is all ones */
	id->mar = rte_cpu_to_le_32(ns->info.max_active_zones - 1);
	id->mor = rte_cpu_to_le_32(ns->info.max_open_zones - 1);
	id->lbafe[0].zsze = rte_cpu_to_le_64(ns->info.zone_nblk);
}

/* The append limit that all of them have. */
void
nvmet_zns_identify_ctrl(const struct plx_nvmet *c, struct nvme_zns_id_ctrl *id)
{
	uint64_t least = (uint64_t)NVMET_PAGE << c->mdts;
	uint32_t i;

	for (i = 0; i < c->nns; i++)
		if (zoned(&c->ns[i]))
			least = RTE_MIN(least, (uint64_t)plx_blk_bytes(&c->ns[i].info,
						       c->ns[i].info.max_append_nblk));
	id->zasl = (uint8_t)rte_log2_u64(least / NVMET_PAGE);
	if (least / NVMET_PAGE < UINT64_C(1) << id->zasl) /* that rounds up */
		id->zasl--;
}

void
nvmet_copy_identify(const struct plx_nvmet *c, struct nvme_id_ns *id)
{
	if ((c->oncs & NVME_CTRL_ONCS_COPY) == 0)
		return;
	id->mssrl = rte_cpu_to_le_16(COPY_RANGE_NBLK);
	id->mcl = rte_cpu_to_le_32(COPY_NBLK);
	id->msrc = COPY_RANGES - 1;
}

/* ---- commands ---- */

static void
set_step(struct nvmet_cmd *cmd, enum nvmet_step step)
{
	cmd->req.user = (void *)(((uintptr_t)cmd->req.user & UINT32_MAX) | (uintptr_t)step << 32);
}

uint16_t
nvmet_zns_send(struct nvmet_cmd *cmd, const struct nvmet_sqe *e, const struct nvmet_ns *ns)
{
	static const uint8_t op[] = {
		[NVME_ZNS_ZSA_CLOSE] = PLX_OP_ZONE_CLOSE,
		[NVME_ZNS_ZSA_FINISH] = PLX_OP_ZONE_FINISH,
		[NVME_ZNS_ZSA_OPEN] = PLX_OP_ZONE_OPEN,
		[NVME_ZNS_ZSA_RESET] = PLX_OP_ZONE_RESET,
	};
	uint32_t dw13 = rte_le_to_cpu_32(e->cdw13), action = dw13 & 0xff;

	if (action >= RTE_DIM(op) || op[action] == 0)
		return NVMET_ERR(GENERIC, INVALID_FIELD);
	cmd->req.op = op[action];
	cmd->req.lba = rte_le_to_cpu_64(e->slba);
	cmd->req.nblk = 0;
	if ((dw13 & SELECT_ALL) != 0) {
		cmd->req.lba = 0;
		cmd->req.flags = PLX_IO_ALL_ZONES;
	} else if (cmd->req.lba >= ns->lim) {
		return NVMET_ERR(GENERIC, LBA_RANGE);
	}
	return 0;
}

/* An append's data and range are set. A flush that stands in for FUA comes before the answer. */
void
nvmet_zns_append(struct nvmet_cmd *cmd)
{
	bool flush = (uintptr_t)cmd->req.user >> 32 == NVMET_STEP_FUA;

	cmd->req.op = PLX_OP_ZONE_APPEND;
	set_step(cmd, flush ? NVMET_STEP_APPEND_FUA : NVMET_STEP_APPEND);
}

/* The device's next report. */
static void
ask(struct nvmet_cmd *cmd, const struct nvmet_ns *ns)
{
	cmd->req.op = PLX_OP_ZONE_REPORT;
	cmd->req.lba = cmd->report->next;
	cmd->req.nblk = REPORT_BYTES >> ns->shift;
	cmd->req.nseg = 0;
	cmd->req.buf = cmd->report->buf;
}

uint16_t
nvmet_zns_recv(struct plx_nvmet *c, struct nvmet_cmd *cmd, const struct nvmet_sqe *e,
	const struct nvmet_ns *ns)
{
	uint32_t dw13 = rte_le_to_cpu_32(e->cdw13), filter = dw13 >> 8 & 0xff, i;
	uint64_t lba = rte_le_to_cpu_64(e->slba), len;
	uint16_t rc;

	len = ((uint64_t)rte_le_to_cpu_32(e->cdw12) + 1) * sizeof(uint32_t);
	if ((dw13 & 0xff) != NVME_ZNS_ZRA_REPORT_ZONES || filter > NVME_ZNS_ZRAS_REPORT_OFFLINE ||
		len < sizeof(struct nvme_zone_report) || len > (uint64_t)NVMET_PAGE << c->mdts)
		return NVMET_ERR(GENERIC, INVALID_FIELD);
	if (lba >= ns->lim)
		return NVMET_ERR(GENERIC, LBA_RANGE);
	rc = nvmet_data_map(c, cmd, e, len, true);
	if (rc != 0)
		return rc;
	cmd->report = malloc(sizeof(*cmd->report));
	if (cmd->report == NULL)
		return NVMET_SC(GENERIC, INTERNAL);
	*cmd->report = (struct nvmet_report){
		.next = lba - lba % ns->info.zone_nblk,
		.room = (len - sizeof(struct nvme_zone_report)) / sizeof(struct nvme_zns_desc),
		.filter = (uint8_t)filter,
		.partial = (dw13 & PARTIAL) != 0,
	};
	for (i = 0; i < cmd->nsegs; i++)
		memset(cmd->segs[i].addr, 0, cmd->segs[i].len);
	set_step(cmd, NVMET_STEP_REPORT);
	ask(cmd, ns);
	return 0;
}

/* Ranges of the host to those of the class, in place of the command's segments. */
uint16_t
nvmet_copy(struct plx_nvmet *c, struct nvmet_cmd *cmd, const struct nvmet_sqe *e,
	const struct nvmet_ns *ns)
{
	uint32_t dw12 = rte_le_to_cpu_32(e->cdw12), n = (dw12 & 0xff) + 1, i;
	const struct nvme_copy_range *from = (const void *)c->page;
	struct plx_copy_range *to;
	uint16_t rc;

	static_assert(sizeof(*to) == sizeof(struct plx_seg), "ranges are kept in segs");
	if ((dw12 >> 8 & 0xf) != 0) /* only descriptors of format 0 */
		return NVMET_ERR(GENERIC, INVALID_FIELD);
	if (n > COPY_RANGES)
		return NVMET_ERR(CMD_SPECIFIC, CMD_SIZE_LIMIT_EXCEEDED);
	rc = nvmet_data_get(c, e, c->page, n * sizeof(*from));
	if (rc == 0 && !nvmet_segs_room(cmd, n))
		rc = NVMET_SC(GENERIC, INTERNAL);
	if (rc != 0)
		return rc;
	to = (void *)cmd->segs;
	cmd->req.op = PLX_OP_COPY;
	cmd->req.ranges = to;
	cmd->req.nseg = (uint16_t)n;
	cmd->req.lba = rte_le_to_cpu_64(e->slba);
	cmd->req.nblk = 0;
	for (i = 0; i < n; i++) {
		to[i] = (struct plx_copy_range){
			.lba = rte_le_to_cpu_64(from[i].slba),
			.nblk = rte_le_to_cpu_16(from[i].nlb) + 1u,
		};
		cmd->req.nblk += to[i].nblk;
		if (to[i].nblk > COPY_RANGE_NBLK || cmd->req.nblk > COPY_NBLK)
			return NVMET_ERR(CMD_SPECIFIC, CMD_SIZE_LIMIT_EXCEEDED);
		if (to[i].lba >= ns->lim || to[i].nblk > ns->lim - to[i].lba)
			return NVMET_ERR(GENERIC, LBA_RANGE);
	}
	if (cmd->req.lba >= ns->lim || cmd->req.nblk > ns->lim - cmd->req.lba)
		return NVMET_ERR(GENERIC, LBA_RANGE);
	return 0;
}

/* ---- reports ---- */

/* The next bytes of the host's memory, which has room for them. */
static void
put(struct nvmet_cmd *cmd, struct nvmet_report *r, const void *from, size_t len)
{
	size_t n;

	for (; len != 0; len -= n, from = (const uint8_t *)from + n, r->off += n) {
		if (r->off == cmd->segs[r->seg].len) {
			r->seg++;
			r->off = 0;
		}
		n = RTE_MIN(len, cmd->segs[r->seg].len - r->off);
		memcpy((uint8_t *)cmd->segs[r->seg].addr + r->off, from, n);
	}
}

static bool
matches(uint8_t filter, uint8_t state)
{
	static const uint8_t states[] = {
		[NVME_ZNS_ZRAS_REPORT_EMPTY] = PLX_ZONE_EMPTY,
		[NVME_ZNS_ZRAS_REPORT_IMPL_OPENED] = PLX_ZONE_IMP_OPEN,
		[NVME_ZNS_ZRAS_REPORT_EXPL_OPENED] = PLX_ZONE_EXP_OPEN,
		[NVME_ZNS_ZRAS_REPORT_CLOSED] = PLX_ZONE_CLOSED,
		[NVME_ZNS_ZRAS_REPORT_FULL] = PLX_ZONE_FULL,
		[NVME_ZNS_ZRAS_REPORT_READ_ONLY] = PLX_ZONE_RDONLY,
		[NVME_ZNS_ZRAS_REPORT_OFFLINE] = PLX_ZONE_OFFLINE,
	};

	return filter == NVME_ZNS_ZRAS_REPORT_ALL || states[filter] == state;
}

static void
put_zone(struct nvmet_cmd *cmd, struct nvmet_report *r, const struct plx_zone *z)
{
	const struct nvme_zns_desc d = {
		.zt = z->type,
		.zs = (uint8_t)(z->state << 4),
		.za = z->attrs,
		.zcap = rte_cpu_to_le_64(z->capacity),
		.zslba = rte_cpu_to_le_64(z->lba),
		.wp = rte_cpu_to_le_64(z->wp),
	};

	if (!matches(r->filter, z->state))
		return;
	if (r->nr++ < r->room)
		put(cmd, r, &d, sizeof(d));
}

/* A report of the device is back. @return another is wanted: cmd->req asks for it */
bool
nvmet_zns_report_back(const struct nvmet_ns *ns, struct nvmet_cmd *cmd)
{
	const struct nvme_zone_report head = {0};
	struct nvmet_report *r = cmd->report;
	const struct plx_zone_report *got = (const void *)r->buf;
	uint64_t i, n = cmd->req.result, nr;

	if (cmd->req.status != 0)
		return false;
	if (r->off == 0 && r->seg == 0)
		put(cmd, r, &head, sizeof(head));
	for (i = 0; i < n && !(r->partial && r->nr == r->room); i++)
		put_zone(cmd, r, &got->zones[i]);
	r->next += n * ns->info.zone_nblk;
	if (n != 0 && r->next < ns->info.nblocks && !(r->partial && r->nr == r->room)) {
		ask(cmd, ns);
		return true;
	}
	nr = rte_cpu_to_le_64(r->nr);
	r->seg = 0;
	r->off = 0;
	put(cmd, r, &nr, sizeof(nr));
	return false;
}

void
nvmet_zns_end(struct nvmet_cmd *cmd)
{
	if (cmd->req.op != PLX_OP_ZONE_REPORT)
		return;
	cmd->req.op = PLX_OP_READ;
	free(cmd->report);
}

/* ---- statuses ---- */

/* A device's error on a zoned namespace. @return 0: it has nothing to do with zones */
uint16_t
nvmet_zns_status(const struct nvmet_ns *ns, const struct plx_blk_req *req)
{
	if (!zoned(ns))
		return 0;
	switch (req->status) {
	case -ERANGE:
		return NVMET_ERR(CMD_SPECIFIC, ZNS_BOUNDARY_ERROR);
	case -ENOSPC:
		return NVMET_ERR(CMD_SPECIFIC, ZNS_FULL);
	case -EROFS:
		/* the zone; or all of the device, when it was opened so */
		return (ns->blk->open_flags & PLX_BLK_O_WRITE) != 0
			       ? NVMET_ERR(CMD_SPECIFIC, ZNS_READ_ONLY)
			       : 0;
	case -ENXIO:
		return NVMET_ERR(CMD_SPECIFIC, ZNS_OFFLINE);
	case -ESPIPE:
		return NVMET_ERR(CMD_SPECIFIC, ZNS_INVALID_WRITE);
	case -EOVERFLOW:
		return NVMET_ERR(CMD_SPECIFIC, ZNS_TOO_MANY_ACTIVE);
	case -ETOOMANYREFS:
		return NVMET_ERR(CMD_SPECIFIC, ZNS_TOO_MANY_OPENS);
	case -EBADFD:
		return NVMET_ERR(CMD_SPECIFIC, ZNS_INVAL_TRANSITION);
	default:
		return 0;
	}
}
