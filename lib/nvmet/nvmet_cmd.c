/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * I/O commands as a whole: every opcode (NVM Command Set, 1.4, 6), what is wrong with a bad one,
 * how device errors look to the host, and commands that take several requests.
 */
#include <errno.h>
#include <string.h>

#include "nvmet_priv.h"

/* @return 0, or why this namespace doesn't take commands */
static uint16_t
ns_find(struct plx_nvmet *c, const struct nvmet_sqe *e, struct nvmet_ns **ns)
{
	uint32_t nsid = rte_le_to_cpu_32(e->nsid);

	if (nsid == 0 || nsid > c->nns || c->ns[nsid - 1].hidden)
		return NVMET_ERR(GENERIC, INVALID_NS);
	*ns = &c->ns[nsid - 1];
	if (!nvmet_ns_active(*ns))
		return NVMET_ERR(GENERIC, INVALID_FIELD);
	if ((*ns)->gone)
		return NVMET_ERR(GENERIC, NS_NOT_READY);
	if ((*ns)->formatting)
		return NVMET_SC(GENERIC, FORMAT_IN_PROGRESS);
	return (*ns)->shut ? nvmet_sanitize_status(c) : 0;
}

/* Range of a command with SLBA and NLB. */
static uint16_t
set_range(struct nvmet_cmd *cmd, const struct nvmet_sqe *e, const struct nvmet_ns *ns)
{
	cmd->req.lba = rte_le_to_cpu_64(e->slba);
	cmd->req.nblk = (rte_le_to_cpu_32(e->cdw12) & 0xffff) + 1;
	if (cmd->req.lba >= ns->lim || cmd->req.nblk > ns->lim - cmd->req.lba)
		return NVMET_ERR(GENERIC, LBA_RANGE);
	return 0;
}

static uint16_t
set_data(struct plx_nvmet *c, struct nvmet_cmd *cmd, const struct nvmet_sqe *e,
	const struct nvmet_ns *ns, bool in)
{
	uint64_t len = ((uint64_t)cmd->req.nblk << ns->shift) + nvmet_meta_len(cmd, ns);
	uint16_t rc;

	if (len > (uint64_t)NVMET_PAGE << c->mdts)
		return NVMET_ERR(GENERIC, INVALID_FIELD);
	rc = nvmet_data_map(c, cmd, e, len, in);
	if (rc != 0)
		return rc;
	if (cmd->nsegs == 1) {
		cmd->req.buf = cmd->segs[0].addr;
	} else {
		cmd->req.segs = cmd->segs;
		cmd->req.nseg = cmd->nsegs;
	}
	return nvmet_meta_map(c, cmd, ns, in);
}

/* Force unit access: by the device, or by a flush after the write. */
static void
set_fua(const struct plx_nvmet *c, struct nvmet_cmd *cmd, const struct nvmet_sqe *e,
	const struct nvmet_ns *ns)
{
	if (((rte_le_to_cpu_32(e->cdw12) | c->fua_all) & NVMET_DW12_FUA) == 0)
		return;
	if ((ns->info.caps & PLX_BLK_CAP_FUA) != 0)
		cmd->req.flags |= PLX_IO_FUA;
	else if ((ns->info.caps & PLX_BLK_CAP_FLUSH) != 0 && cmd->req.ext != NULL)
		nvmet_meta_fua(cmd);
	else if ((ns->info.caps & PLX_BLK_CAP_FLUSH) != 0)
		cmd->req.user =
			(void *)((uintptr_t)cmd->req.user | (uintptr_t)NVMET_STEP_FUA << 32);
}

/* The next range of a Dataset Management command. @return false: there is none */
static bool
dsm_next(struct nvmet_cmd *cmd)
{
	const struct nvme_dsm_range *r = (const void *)cmd->segs;

	while (cmd->step_i < cmd->nsegs && r[cmd->step_i].nlb == 0)
		cmd->step_i++;
	if (cmd->step_i == cmd->nsegs)
		return false;
	cmd->req.lba = rte_le_to_cpu_64(r[cmd->step_i].slba);
	cmd->req.nblk = rte_le_to_cpu_32(r[cmd->step_i].nlb);
	cmd->step_i++;
	return true;
}

static uint32_t
prepare_dsm(struct plx_nvmet *c, struct nvmet_cmd *cmd, const struct nvmet_sqe *e,
	const struct nvmet_ns *ns)
{
	uint32_t i, n = (rte_le_to_cpu_32(e->cdw10) & 0xff) + 1;
	const struct nvme_dsm_range *r = (const void *)c->page;
	uint16_t rc = nvmet_data_get(c, e, c->page, n * sizeof(*r));

	static_assert(sizeof(*r) == sizeof(struct plx_seg), "ranges are kept in segs");
	if (rc != 0)
		return rc;
	for (i = 0; i < n; i++) {
		uint64_t slba = rte_le_to_cpu_64(r[i].slba);

		if (slba > ns->lim || rte_le_to_cpu_32(r[i].nlb) > ns->lim - slba)
			return NVMET_ERR(GENERIC, LBA_RANGE);
	}
	if ((rte_le_to_cpu_32(e->cdw11) & 4) == 0) /* only Deallocate does something */
		return NVMET_DONE;
	if (c->rdonly)
		return NVMET_ERR(GENERIC, NS_WRITE_PROTECTED);
	if (!nvmet_segs_room(cmd, n))
		return NVMET_SC(GENERIC, INTERNAL);
	memcpy(cmd->segs, r, n * sizeof(*r));
	cmd->nsegs = (uint16_t)n;
	cmd->step_i = 0;
	cmd->req.op = PLX_OP_DISCARD;
	cmd->req.user = (void *)((uintptr_t)cmd->req.user | (uintptr_t)NVMET_STEP_DSM << 32);
	return dsm_next(cmd) ? 0 : NVMET_DONE;
}

/* Commands with a range: op without data, or with data to or from the client. */
static uint16_t
prepare_range(struct plx_nvmet *c, struct nvmet_cmd *cmd, const struct nvmet_sqe *e,
	const struct nvmet_ns *ns)
{
	uint16_t rc = set_range(cmd, e, ns);

	if (rc == 0 && ns->info.meta_size != 0)
		rc = nvmet_meta_begin(c, cmd, e, ns);
	if (rc != 0)
		return rc;
	switch (e->opc) {
	case nvme_cmd_read:
		cmd->req.op = PLX_OP_READ;
		return set_data(c, cmd, e, ns, true);
	case nvme_cmd_write:
		cmd->req.op = PLX_OP_WRITE;
		set_fua(c, cmd, e, ns);
		return set_data(c, cmd, e, ns, false);
	case nvme_zns_cmd_append:
		cmd->req.op = PLX_OP_WRITE;
		set_fua(c, cmd, e, ns);
		nvmet_zns_append(cmd);
		return set_data(c, cmd, e, ns, false);
	case nvme_cmd_compare:
		cmd->req.op = PLX_OP_COMPARE;
		return set_data(c, cmd, e, ns, false);
	case nvme_cmd_verify:
		cmd->req.op = PLX_OP_VERIFY;
		return 0;
	default:
		cmd->req.op = PLX_OP_WRITE_ZEROES;
		if ((rte_le_to_cpu_32(e->cdw12) & NVMET_DW12_DEAC) != 0)
			cmd->req.flags |= PLX_IO_UNMAP;
		set_fua(c, cmd, e, ns);
		return 0;
	}
}

/* @return the opcode is one of ours */
static bool
opcode_ok(const struct plx_nvmet *c, uint8_t opc)
{
	switch (opc) {
	case nvme_cmd_flush:
	case nvme_cmd_write:
	case nvme_cmd_read:
		return true;
	case nvme_cmd_compare:
		return (c->oncs & NVME_CTRL_ONCS_COMPARE) != 0;
	case nvme_cmd_write_zeroes:
		return (c->oncs & NVME_CTRL_ONCS_WRITE_ZEROES) != 0;
	case nvme_cmd_dsm:
		return (c->oncs & NVME_CTRL_ONCS_DSM) != 0;
	case nvme_cmd_verify:
		return (c->oncs & NVME_CTRL_ONCS_VERIFY) != 0;
	case nvme_cmd_copy:
		return (c->oncs & NVME_CTRL_ONCS_COPY) != 0;
	case nvme_cmd_resv_register:
	case nvme_cmd_resv_report:
	case nvme_cmd_resv_acquire:
	case nvme_cmd_resv_release:
		return (c->oncs & NVME_CTRL_ONCS_RESERVATIONS) != 0;
	case nvme_zns_cmd_mgmt_send:
	case nvme_zns_cmd_mgmt_recv:
	case nvme_zns_cmd_append:
		return c->zns;
	default:
		return false;
	}
}

/* Copy, and the commands of zoned namespaces. */
static uint16_t
prepare_more(struct plx_nvmet *c, struct nvmet_cmd *cmd, const struct nvmet_sqe *e,
	const struct nvmet_ns *ns)
{
	if (e->opc == nvme_cmd_copy) {
		set_fua(c, cmd, e, ns);
		return nvmet_copy(c, cmd, e, ns);
	}
	if (ns->info.zone_nblk == 0)
		return NVMET_ERR(GENERIC, INVALID_OPCODE);
	if (e->opc == nvme_zns_cmd_mgmt_send)
		return nvmet_zns_send(cmd, e, ns);
	if (e->opc == nvme_zns_cmd_mgmt_recv)
		return nvmet_zns_recv(c, cmd, e, ns);
	return prepare_range(c, cmd, e, ns);
}

uint32_t
nvmet_cmd_prepare(struct plx_nvmet *c, const struct nvmet_sq *sq, const struct nvmet_sqe *e,
	struct nvmet_cmd *cmd, struct nvmet_ns **ns)
{
	uint8_t psdt = e->flags & NVMET_PSDT;
	uint16_t rc;

	if (!opcode_ok(c, e->opc))
		return NVMET_ERR(GENERIC, INVALID_OPCODE);
	if ((e->flags & NVMET_FUSE) != 0 || psdt > NVMET_PSDT_SGL || (psdt != 0 && !c->sgl))
		return NVMET_ERR(GENERIC, INVALID_FIELD);
	rc = ns_find(c, e, ns);
	if (rc != 0)
		return rc;
	if (nvmet_resv_is(e->opc))
		return nvmet_resv_run(c, e, *ns);
	if ((*ns)->deny != 0 && nvmet_resv_conflict(*ns, e->opc))
		return NVMET_ERR(GENERIC, RESERVATION_CONFLICT);
	cmd->req.flags = 0;
	cmd->req.nseg = 0;
	cmd->req.buf = NULL;
	cmd->req.user = nvmet_user(sq->id, e->cid, NVMET_STEP_NONE);
	if (e->opc >= nvme_cmd_copy)
		return prepare_more(c, cmd, e, *ns);
	if (e->opc == nvme_cmd_flush) {
		cmd->req.op = PLX_OP_FLUSH;
		cmd->req.lba = 0;
		cmd->req.nblk = 0;
		return 0;
	}
	if (e->opc == nvme_cmd_dsm)
		return prepare_dsm(c, cmd, e, *ns);
	return prepare_range(c, cmd, e, *ns);
}

/* A device's error as the host sees it (1.4, 4.6.1.2). */
uint16_t
nvmet_status_of(const struct nvmet_ns *ns, const struct plx_blk_req *req)
{
	bool out = req->op != PLX_OP_READ && req->op != PLX_OP_COMPARE && req->op != PLX_OP_VERIFY;

	if (req->status == 0)
		return 0;
	if (req->raw == 0 && nvmet_zns_status(ns, req) != 0)
		return nvmet_zns_status(ns, req);
	if (req->raw != 0) /* an NVMe device said it itself */
		return req->raw & (NVME_SC_MASK | NVME_SCT_MASK << NVME_SCT_SHIFT | NVME_SC_DNR);
	switch (req->status) {
	case -EILSEQ:
		return NVMET_ERR(MEDIA, COMPARE_FAILED);
	case -ENODATA:
		return NVMET_ERR(MEDIA, READ_ERROR);
	case -EBADMSG:
		return NVMET_ERR(MEDIA, GUARD_CHECK);
	case -EIO:
		return out ? NVMET_SC(MEDIA, WRITE_FAULT) : NVMET_SC(MEDIA, READ_ERROR);
	case -EROFS:
		return NVMET_ERR(GENERIC, NS_WRITE_PROTECTED);
	case -ENOSPC:
		return NVMET_ERR(GENERIC, CAP_EXCEEDED);
	case -ERANGE:
		return NVMET_ERR(GENERIC, LBA_RANGE);
	case -EINVAL:
	case -EMSGSIZE:
		return NVMET_ERR(GENERIC, INVALID_FIELD);
	case -EOPNOTSUPP:
		return NVMET_ERR(GENERIC, INVALID_OPCODE);
	case -ENODEV:
		return NVMET_ERR(GENERIC, NS_NOT_READY);
	case -ECANCELED:
	case -ESHUTDOWN:
		return NVMET_SC(GENERIC, CMD_INTERRUPTED);
	default:
		return NVMET_SC(GENERIC, INTERNAL);
	}
}

static void
finish(struct plx_nvmet *c, struct nvmet_ns *ns, struct nvmet_cmd *cmd, uint16_t status,
	uint64_t result)
{
	uintptr_t user = (uintptr_t)cmd->req.user;
	struct nvmet_sq *sq = &c->sq[(user >> 16) % NVMET_QUEUES];

	if (status == 0) {
		nvmet_count(ns, &cmd->req);
	} else {
		plx_stat_add(&c->errors, 1);
		c->media_errors += (status >> NVME_SCT_SHIFT & NVME_SCT_MASK) == NVME_SCT_MEDIA &&
				   (status & NVME_SC_MASK) != NVME_SC_COMPARE_FAILED;
		nvmet_errlog(c, sq->id, (uint16_t)user, status, (uint32_t)(ns - c->ns) + 1,
			cmd->req.lba);
	}
	sq->inflight--;
	sq->cq->inflight--;
	nvmet_post(c, sq, (uint16_t)user, status, status == 0 ? result : 0);
	nvmet_cmd_drop(c, cmd);
}

void
nvmet_cmd_again(struct nvmet_ns *ns, struct nvmet_cmd *cmd)
{
	struct plx_blk_req *req = &cmd->req;

	req->raw = 0;
	nvmet_ns_submit(ns, &req, 1);
}

static void
begin_flush(struct nvmet_ns *ns, struct nvmet_cmd *cmd, void *user)
{
	cmd->req.op = PLX_OP_FLUSH;
	cmd->req.flags = 0;
	cmd->req.nseg = 0;
	cmd->req.buf = NULL;
	cmd->req.lba = 0;
	cmd->req.nblk = 0;
	cmd->req.user = user;
	nvmet_cmd_again(ns, cmd);
}

bool
nvmet_flush_quiet(struct plx_nvmet *c, struct nvmet_ns *ns)
{
	struct nvmet_cmd *cmd;

	if ((ns->info.caps & PLX_BLK_CAP_FLUSH) == 0 || ns->gone)
		return false;
	cmd = nvmet_cmd_alloc(c);
	if (cmd == NULL)
		return false;
	begin_flush(ns, cmd, nvmet_user(0, 0, NVMET_STEP_QUIET));
	return true;
}

void
nvmet_cmd_back(struct plx_nvmet *c, struct nvmet_ns *ns, struct nvmet_cmd *cmd)
{
	uintptr_t user = (uintptr_t)cmd->req.user;
	uint64_t result = 0;

	switch ((enum nvmet_step)(user >> 32)) {
	case NVMET_STEP_QUIET:
		nvmet_cache_flushed(c, nvmet_status_of(ns, &cmd->req));
		nvmet_cmd_drop(c, cmd);
		return;
	case NVMET_STEP_JOB:
		nvmet_job_back(c, ns, cmd);
		return;
	case NVMET_STEP_DSM:
		if (cmd->req.status != 0 || !dsm_next(cmd))
			break;
		nvmet_cmd_again(ns, cmd);
		return;
	case NVMET_STEP_FUA:
		if (cmd->req.status != 0)
			break;
		nvmet_count(ns, &cmd->req);
		begin_flush(ns, cmd, (void *)(user & UINT32_MAX));
		return;
	case NVMET_STEP_META:
		if (!nvmet_meta_back(c, ns, cmd))
			break;
		nvmet_count(ns, &cmd->req);
		begin_flush(ns, cmd, (void *)(user & UINT32_MAX));
		return;
	case NVMET_STEP_ABORT:
		finish(c, ns, cmd, NVMET_SC(GENERIC, ABORT_REQ), 0);
		return;
	case NVMET_STEP_APPEND_FUA:
		if (cmd->req.status != 0)
			break;
		nvmet_count(ns, &cmd->req);
		cmd->at = cmd->req.result;
		begin_flush(ns, cmd,
			nvmet_user((uint16_t)(user >> 16), (uint16_t)user, NVMET_STEP_APPENDED));
		return;
	case NVMET_STEP_APPEND:
		result = cmd->req.result;
		break;
	case NVMET_STEP_APPENDED:
		result = cmd->at;
		break;
	case NVMET_STEP_REPORT:
		if (!nvmet_zns_report_back(ns, cmd))
			break;
		nvmet_cmd_again(ns, cmd);
		return;
	case NVMET_STEP_NONE:
		break;
	}
	finish(c, ns, cmd, nvmet_status_of(ns, &cmd->req), result);
}

/* Whose command it is, whatever its step. */
static bool
is_of(const struct plx_blk_req *req, uint16_t sqid, uint16_t cid)
{
	return (uint32_t)(uintptr_t)req->user == (cid | (uint32_t)sqid << 16);
}

/* One that waits for room in the device's queue. */
static bool
abort_waiting(struct plx_nvmet *c, struct nvmet_ns *ns, uint16_t sqid, uint16_t cid)
{
	struct plx_blk_req **p = &ns->pend, *req;

	for (; (req = *p) != NULL; p = (struct plx_blk_req **)&req->drv[0]) {
		if (!is_of(req, sqid, cid))
			continue;
		*p = (struct plx_blk_req *)(uintptr_t)req->drv[0];
		if (*p == NULL)
			ns->pend_tail = p;
		ns->inflight--;
		finish(c, ns, (struct nvmet_cmd *)req, NVMET_SC(GENERIC, ABORT_REQ), 0);
		return true;
	}
	return false;
}

/* One that the device has, and gives back: free commands are with none, so their old ids don't
 * matter. */
static bool
abort_running(struct plx_nvmet *c, struct nvmet_ns *ns, uint16_t sqid, uint16_t cid)
{
	uint32_t i;

	for (i = 0; ns->inflight != 0 && i < c->ncmd; i++) {
		struct plx_blk_req *req = &c->cmds[i].req;

		if (!is_of(req, sqid, cid) || plx_blkq_cancel(ns->q, req) != 0)
			continue;
		req->user = nvmet_user(sqid, cid, NVMET_STEP_ABORT);
		return true;
	}
	return false;
}

bool
nvmet_cmd_abort(struct plx_nvmet *c, uint16_t sqid, uint16_t cid)
{
	uint32_t i;

	if (sqid == 0) /* formats and what nobody waits for */
		return false;
	for (i = 0; i < c->nns; i++)
		if (abort_waiting(c, &c->ns[i], sqid, cid) ||
			abort_running(c, &c->ns[i], sqid, cid))
			return true;
	return false;
}

void
nvmet_cmd_drop(struct plx_nvmet *c, struct nvmet_cmd *cmd)
{
	if ((uintptr_t)cmd->req.user >> 32 == NVMET_STEP_JOB)
		c->job.out = c->job.stale = false;
	cmd->req.raw = 0;
	nvmet_meta_end(cmd);
	nvmet_zns_end(cmd);
	nvmet_cmd_free(c, cmd);
}

void
nvmet_cmds_drop(struct plx_nvmet *c)
{
	uint32_t i;

	for (i = 0; i < c->nns; i++) {
		struct nvmet_ns *ns = &c->ns[i];

		while (ns->pend != NULL) {
			struct plx_blk_req *req = ns->pend;

			ns->pend = (struct plx_blk_req *)(uintptr_t)req->drv[0];
			ns->inflight--;
			nvmet_cmd_drop(c, (struct nvmet_cmd *)req);
		}
		ns->pend_tail = &ns->pend;
		ns->formatting = false;
		nvmet_ns_open(ns);
	}
	if (nvmet_formatting(c))
		nvmet_job_cancel(c);
}
