/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What secondary processes ask of the controller that they were lent queues of: admin commands, and
 * where memory is. They are believed only as far as it concerns their own queues. Their commands go
 * to the controller beside those of the control plane, with ids of their own.
 */
#include <errno.h>
#include <string.h>

#include <rte_byteorder.h>

#include "nvme_lend_priv.h"

/* ---- admin commands ---- */

struct nvme_lent_queue *
nvme_lend_own(struct nvme_lend *l, uint32_t id)
{
	uint32_t i;

	for (i = 0; i < l->nq; i++)
		if (l->q[i].id == id)
			return &l->q[i];
	return NULL;
}

/* What a secondary may ask of the controller, and for which queue of its. @return 0, or the status
 * that it gets instead */
static uint16_t
permit(struct nvme_lend *l, struct nvme_sqe *sqe, struct nvme_lent_queue **q)
{
	uint32_t cdw10 = rte_le_to_cpu_32(sqe->cdw10), cdw11 = rte_le_to_cpu_32(sqe->cdw11);

	*q = NULL;
	switch (sqe->opcode) {
	case nvme_admin_identify:
	case nvme_admin_get_log_page:
	case nvme_admin_get_features:
		return 0;
	case nvme_admin_create_cq:
		*q = nvme_lend_own(l, cdw10 & 0xffff);
		/* interrupts are the primary's */
		return *q != NULL && !(*q)->cq && cdw11 == NVME_Q_PC ? 0 : NVME_SC_INVALID_FIELD;
	case nvme_admin_create_sq:
		*q = nvme_lend_own(l, cdw10 & 0xffff);
		return *q != NULL && (*q)->cq && !(*q)->sq && cdw11 >> 16 == (*q)->id
			       ? 0
			       : NVME_SC_INVALID_FIELD;
	case nvme_admin_delete_cq:
	case nvme_admin_delete_sq:
		*q = nvme_lend_own(l, cdw10 & 0xffff);
		return *q != NULL ? 0 : NVME_SC_INVALID_FIELD;
	case nvme_admin_abort_cmd:
		return nvme_lend_own(l, cdw10 & 0xffff) != NULL ? 0 : NVME_SC_INVALID_FIELD;
	default:
		return NVME_SC_INVALID_OPCODE;
	}
}

void
nvme_lend_done(struct nvme_lend *l, uint16_t cid, uint16_t status, uint64_t result)
{
	struct nvme_mp_done d = {.cid = cid, .status = status, .result = result};

	nvme_lend_tell(l, NVME_MP_DONE, &d, sizeof(d));
}

static void
send_cmd(struct nvme_lend *l, struct nvme_lent_queue *q, const struct nvme_sqe *sqe, uint16_t cid,
	bool own)
{
	struct nvme_ctrlr *c = l->c;
	uint16_t i;

	for (i = 0; c->lent->cmd[i].l != NULL; i++)
		;
	c->lent->cmd[i] = (struct nvme_lent_cmd){
		.l = l, .q = q, .cid = cid, .opcode = sqe->opcode, .own = own};
	l->out++;
	if (sqe->opcode == nvme_admin_create_cq)
		q->cq = true; /* from here on: it may do it without answering */
	else if (sqe->opcode == nvme_admin_create_sq)
		q->sq = true;
	nvme_admin_lent(c, sqe, i);
}

int
nvme_lend_admin(struct nvme_lend *l, const struct plx_mp_msg *msg)
{
	struct nvme_ctrlr *c = l->c;
	struct nvme_mp_cmd cmd;
	struct nvme_lent_queue *q;
	uint16_t status;

	if (msg->len != sizeof(cmd))
		return -EPROTO;
	memcpy(&cmd, msg->data, sizeof(cmd));
	status = permit(l, &cmd.sqe, &q);
	if (status == 0 &&
		(!c->admin.ready || c->state != NVME_RUNNING || l->out >= NVME_LEND_CMDS))
		status = NVME_SC_ABORT_REQ;
	if (status != 0)
		nvme_lend_done(l, (uint16_t)cmd.cid, status, 0);
	else
		send_cmd(l, q, &cmd.sqe, (uint16_t)cmd.cid, false);
	return 0;
}

/* Delete it, for one that can't any more: the submission queue first (NVMe Base 2.0, 5.6). */
void
nvme_lend_delete(struct nvme_lend *l, struct nvme_lent_queue *q)
{
	struct nvme_sqe sqe = {
		.opcode = q->sq ? nvme_admin_delete_sq : nvme_admin_delete_cq,
		.cdw10 = rte_cpu_to_le_32(q->id),
	};

	l->until = plx_deadline_in(l->c->admin_ms);
	send_cmd(l, q, &sqe, 0, true);
}

/* The controller's verdict on command i. */
void
nvme_lend_answered(struct nvme_ctrlr *c, uint16_t i, uint16_t status, uint64_t result)
{
	struct nvme_lent_cmd *cmd = c->lent != NULL ? &c->lent->cmd[i] : NULL;
	struct nvme_lend *l = cmd != NULL ? cmd->l : NULL;

	if (l == NULL) {
		c->admin.bad++;
		return;
	}
	cmd->l = NULL;
	l->out--;
	if (cmd->opcode == nvme_admin_create_cq)
		cmd->q->cq = status == 0;
	else if (cmd->opcode == nvme_admin_create_sq)
		cmd->q->sq = status == 0;
	else if (cmd->opcode == nvme_admin_delete_cq && status == 0)
		cmd->q->cq = false;
	else if (cmd->opcode == nvme_admin_delete_sq && status == 0)
		cmd->q->sq = false;
	if (!cmd->own)
		nvme_lend_done(l, cmd->cid, status, result);
	else if (status != 0) /* it would not let go: only disabling it helps */
		nvme_ctrlr_want_reset(c);
}

/* ---- where memory is ---- */

struct map_walk {
	struct nvme_lend *l;
	struct nvme_mp_map m;
};

static void
map_add(struct map_walk *w, uintptr_t va, size_t len, uint64_t iova)
{
	struct nvme_mp_map *m = &w->m;
	struct plx_mem_range *r = m->n > 0 ? &m->r[m->n - 1] : NULL;

	if (r != NULL && r->va + r->len == va && r->iova + r->len == iova) {
		r->len += len;
		return;
	}
	if (m->n == RTE_DIM(m->r)) {
		nvme_lend_tell(w->l, NVME_MP_MAP, m, sizeof(*m));
		m->n = 0;
	}
	m->r[m->n++] = (struct plx_mem_range){.va = va, .len = len, .iova = iova};
}

/* Pieces that the domain has apart are told page by page. */
static int
map_seg(const struct plx_mem_seg *seg, void *arg)
{
	struct map_walk *w = arg;
	const struct plx_mem_domain *dom = w->l->c->vfio->domain;
	size_t step = seg->len, off;
	uint64_t iova = plx_mem_iova(dom, (void *)seg->va, seg->len);

	if (iova == PLX_BAD_IOVA)
		step = RTE_MIN(seg->page_size, seg->len);
	for (off = 0; off < seg->len; off += step) {
		step = RTE_MIN(step, seg->len - off);
		iova = plx_mem_iova(dom, (void *)(seg->va + off), step);
		if (iova != PLX_BAD_IOVA)
			map_add(w, seg->va + off, step, iova);
	}
	return 0;
}

int
nvme_lend_learn(struct nvme_lend *l)
{
	int rc = plx_mem_domain_sync(l->c->vfio->domain);
	struct map_walk w = {.l = l};

	if (rc == -EINPROGRESS)
		return 0;
	l->learning = false;
	if (rc == 0)
		rc = plx_mem_walk(map_seg, &w);
	w.m.rc = rc;
	w.m.last = 1;
	nvme_lend_tell(l, NVME_MP_MAP, &w.m, sizeof(w.m));
	return 1;
}
