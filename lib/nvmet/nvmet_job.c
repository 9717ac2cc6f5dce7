/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What goes over whole namespaces by itself, one request at a time so that others get their turn:
 * format and the erasing before a delete, sanitize, self-test. One at a time; a reset leaves it
 * where it is, unless a command waits for it.
 */
#include <stdlib.h>

#include "nvmet_priv.h"

#define ERASE_STEP (1u << 20) /* bytes zeroed by one request */

void
nvmet_job_begin(struct plx_nvmet *c, const struct nvmet_job_ops *ops, uint32_t first, uint32_t end)
{
	struct nvmet_job *j = &c->job;
	uint32_t i;

	j->ops = ops;
	j->first = j->ns = first;
	j->end = end;
	j->at = j->done = j->total = 0;
	j->entered = false;
	for (i = first; i < end; i++)
		if (c->ns[i].allocated)
			j->total += c->ns[i].info.nblocks << c->ns[i].shift;
	nvmet_job_poll(c);
}

void
nvmet_job_cancel(struct plx_nvmet *c)
{
	c->job.ops = NULL;
	c->job.stale = c->job.out;
}

static void
job_end(struct plx_nvmet *c, uint16_t status)
{
	const struct nvmet_job_ops *ops = c->job.ops;

	c->job.ops = NULL;
	ops->end(c, status);
}

/* @return there is a namespace to go on with */
static bool
next_ns(struct plx_nvmet *c)
{
	struct nvmet_job *j = &c->job;

	j->at = 0;
	j->entered = false;
	if (++j->ns < j->end)
		return true;
	j->ns = j->first;
	if (j->ops->again != NULL && j->ops->again(c))
		return true;
	job_end(c, 0);
	return false;
}

/* Commands that the host sent before come first. @return it may go on here */
static bool
enter(struct plx_nvmet *c, struct nvmet_ns *ns)
{
	struct nvmet_job *j = &c->job;

	if (!j->entered && j->ops->enter != NULL)
		j->ops->enter(c, ns);
	j->entered = true;
	return !j->ops->alone || j->at != 0 || ns->inflight == 0;
}

void
nvmet_job_poll(struct plx_nvmet *c)
{
	struct nvmet_job *j = &c->job;
	struct plx_blk_req *req;
	struct nvmet_cmd *cmd;
	struct nvmet_ns *ns;

	/* parked: where to tell of its end is gone for now */
	if (likely(j->ops == NULL) || j->out || c->drop || c->hold || c->parked ||
		c->state != NVMET_STEADY || c->nfree == 0)
		return;
	for (;;) {
		ns = &c->ns[j->ns];
		cmd = c->free[c->nfree - 1];
		req = &cmd->req;
		if (ns->allocated && ns->gone && j->ops->alone) { /* it is not erased */
			job_end(c, NVMET_ERR(GENERIC, NS_NOT_READY));
			return;
		}
		if (ns->allocated && !ns->gone) {
			if (!enter(c, ns))
				return;
			req->flags = 0;
			req->nseg = 0;
			req->buf = NULL;
			req->lba = j->at;
			j->step = j->at < ns->info.nblocks ? j->ops->next(c, ns, req) : 0;
			if (j->step != 0)
				break;
			if (j->ops->leave != NULL)
				j->ops->leave(c, ns);
		}
		if (!next_ns(c))
			return;
	}
	c->nfree--;
	req->raw = 0;
	req->user = nvmet_user(0, 0, NVMET_STEP_JOB);
	j->out = true;
	nvmet_ns_submit(ns, &req, 1);
}

void
nvmet_job_back(struct plx_nvmet *c, struct nvmet_ns *ns, struct nvmet_cmd *cmd)
{
	uint16_t status = nvmet_status_of(ns, &cmd->req);
	struct nvmet_job *j = &c->job;
	bool ours = !j->stale && j->ops != NULL;

	cmd->req.raw = 0;
	nvmet_cmd_free(c, cmd);
	j->out = j->stale = false;
	if (ours && status != 0) {
		job_end(c, status);
		return;
	}
	if (ours) {
		j->at += j->step;
		j->done += j->step << ns->shift;
	}
	nvmet_job_poll(c);
}

void *
nvmet_job_buf(struct plx_nvmet *c)
{
	if (c->job.buf == NULL && posix_memalign(&c->job.buf, NVMET_PAGE, NVMET_JOB_BUF) != 0)
		c->job.buf = NULL;
	return c->job.buf;
}

uint64_t
nvmet_erase(const struct nvmet_ns *ns, struct plx_blk_req *req, uint8_t flags)
{
	uint64_t left = ns->info.nblocks - req->lba;

	if (ns->info.zone_nblk != 0) {
		req->op = PLX_OP_ZONE_RESET;
		req->flags = PLX_IO_ALL_ZONES;
		req->nblk = 0;
		return left;
	}
	req->op = PLX_OP_WRITE_ZEROES;
	req->flags = flags;
	req->nblk = (uint32_t)RTE_MIN(left, (uint64_t)(ERASE_STEP >> ns->shift));
	return req->nblk;
}

/* ---- format (NVMe 1.4, 5.23), and what goes before a delete ---- */

static void
format_enter(struct plx_nvmet *c, struct nvmet_ns *ns)
{
	(void)c;
	ns->formatting = true;
	nvmet_ns_open(ns);
}

static uint64_t
format_next(struct plx_nvmet *c, struct nvmet_ns *ns, struct plx_blk_req *req)
{
	(void)c;
	return nvmet_erase(ns, req, PLX_IO_UNMAP);
}

static void
format_leave(struct plx_nvmet *c, struct nvmet_ns *ns)
{
	ns->formatting = false;
	if (c->job.deletes)
		nvmet_ns_deleted(c, ns);
	nvmet_ns_open(ns);
}

static void
format_end(struct plx_nvmet *c, uint16_t status)
{
	if (status != 0) {
		c->ns[c->job.ns].formatting = false;
		nvmet_ns_open(&c->ns[c->job.ns]);
	}
	nvmet_admin_done(c, c->job.cid, status, 0);
}

static const struct nvmet_job_ops format_ops = {
	.alone = true,
	.enter = format_enter,
	.next = format_next,
	.leave = format_leave,
	.end = format_end,
};

bool
nvmet_formatting(const struct plx_nvmet *c)
{
	return c->job.ops == &format_ops;
}

void
nvmet_format_begin(struct plx_nvmet *c, uint16_t cid, uint32_t nsid, bool deletes)
{
	bool all = nsid == NVME_NSID_ALL;

	nvmet_test_abort(c, NVME_ST_RESULT_ABORTED_FORMAT);
	c->job.cid = cid;
	c->job.deletes = deletes;
	nvmet_job_begin(c, &format_ops, all ? 0 : nsid - 1, all ? c->nns : nsid);
}

/* Each namespace has one format, whatever it is: formatting is erasing. */
static bool
format_ok(const struct plx_nvmet *c, uint32_t nsid, uint32_t dw10)
{
	uint32_t i;

	for (i = 0; i < c->nns; i++)
		if ((nsid == NVME_NSID_ALL || nsid == i + 1) &&
			(dw10 & 0x1f0) != nvmet_meta_format(&c->ns[i]))
			return false;
	return (dw10 & 0xf) == 0;
}

/* A reservation of another host's keeps this one from erasing (Base 2.0, 8.19). */
bool
nvmet_may_erase(const struct plx_nvmet *c, uint32_t nsid)
{
	uint32_t i;

	for (i = 0; i < c->nns; i++)
		if ((nsid == NVME_NSID_ALL || nsid == i + 1) &&
			(c->ns[i].deny & NVMET_DENY_WRITE) != 0)
			return false;
	return true;
}

uint32_t
nvmet_format(struct plx_nvmet *c, const struct nvmet_sqe *e)
{
	uint32_t dw10 = rte_le_to_cpu_32(e->cdw10), nsid = rte_le_to_cpu_32(e->nsid);
	uint32_t ses = dw10 >> 9 & 7;

	if ((c->oacs & NVME_CTRL_OACS_FORMAT) == 0)
		return NVMET_ERR(GENERIC, INVALID_OPCODE);
	if (nsid != NVME_NSID_ALL && (nsid == 0 || nsid > c->nns))
		return NVMET_ERR(GENERIC, INVALID_NS);
	if (nsid != NVME_NSID_ALL && !nvmet_ns_active(&c->ns[nsid - 1]))
		return NVMET_ERR(GENERIC, INVALID_FIELD);
	if (!format_ok(c, nsid, dw10))
		return NVMET_ERR(CMD_SPECIFIC, INVALID_FORMAT);
	if (ses > 1)
		return NVMET_ERR(GENERIC, INVALID_FIELD);
	if (nvmet_formatting(c))
		return NVMET_SC(GENERIC, FORMAT_IN_PROGRESS);
	if (!nvmet_may_erase(c, nsid))
		return NVMET_ERR(GENERIC, RESERVATION_CONFLICT);
	nvmet_format_begin(c, e->cid, nsid, false);
	return NVMET_LATER;
}
