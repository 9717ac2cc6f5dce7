/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The primary's side of a controller that several processes drive: I/O queue ids lent to secondary
 * processes, and what becomes of them at a reset, at the end, and when such a process dies. Then
 * its queues are deleted, and only after that the memory they lay in is given back (lib/mp).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "plx_eal.h"
#include "plx_log.h"

#include "nvme_lend_priv.h"

PLX_LOG_USE(nvme);

#define PARK_MS 2000u /* for taking their hands off */

/* ---- a secondary comes, asks and goes ---- */

static int
on_stats(struct nvme_lend *l, const struct plx_mp_msg *msg)
{
	struct nvme_mp_stats st;
	struct nvme_lent_queue *q;

	if (msg->len != sizeof(st))
		return -EPROTO;
	memcpy(&st, msg->data, sizeof(st));
	q = nvme_lend_own(l, st.id);
	if (q == NULL)
		return -EPROTO;
	q->nsid = st.nsid;
	q->told = st.queue;
	q->told.pid = l->ch->pid;
	return 0;
}

static int
lend_recv(struct plx_mp_chan *ch, struct plx_mp_msg *msg)
{
	struct nvme_lend *l = ch->priv;

	switch (msg->kind) {
	case NVME_MP_ADMIN:
		return nvme_lend_admin(l, msg);
	case NVME_MP_LEARN:
		l->learning = true;
		return 0;
	case NVME_MP_PARKED:
		l->parked = true;
		return 0;
	case NVME_MP_RESET:
		nvme_ctrlr_want_reset(l->c);
		return 0;
	case NVME_MP_STATS:
		return on_stats(l, msg);
	default:
		return -EPROTO;
	}
}

static void
lend_closed(struct plx_mp_chan *ch, int rc)
{
	struct nvme_lend *l = ch->priv;

	l->gone = true;
	l->until = plx_deadline_in(l->c->admin_ms);
}

static bool
doorbells_mapped(struct nvme_ctrlr *c, uint32_t qid)
{
	return nvme_ctrlr_db(c, 2 * qid) != NULL && nvme_ctrlr_db(c, 2 * qid + 1) != NULL;
}

/* The highest ids: the primary takes its own from below. */
static uint32_t
take_qids(struct nvme_lend *l, uint32_t want)
{
	struct nvme_ctrlr *c = l->c;
	uint32_t qid;

	for (qid = c->max_queues; qid > 0 && l->nq < want; qid--) {
		if (c->qid_used[qid / 64] & 1ull << qid % 64 || !doorbells_mapped(c, qid))
			continue;
		c->qid_used[qid / 64] |= 1ull << qid % 64;
		l->q[l->nq++].id = (uint16_t)qid;
	}
	return l->nq;
}

static int
refuse(char *why, size_t size, int rc, const char *name, const char *text)
{
	snprintf(why, size, "%s: %s", name, text);
	return rc;
}

static int
check(struct nvme_ctrlr *c, char *why, size_t size)
{
	const struct nvme_lend *l;
	unsigned int n = 0;

	for (l = c->lends; l != NULL; l = l->next)
		n++;
	if (c->state != NVME_RUNNING || c->reset_wanted)
		return refuse(
			why, size, -EAGAIN, c->name, "it is being reset or detached; try again");
	if (plx_eal_mem_mode() != PLX_EAL_MEM_HUGE)
		return refuse(why, size, -ENOTSUP, c->name,
			"EAL's memory is in a file a page; start the primary with "
			"--single-file-segments");
	if (!doorbells_mapped(c, 1))
		return refuse(why, size, -ENOTSUP, c->name,
			"its doorbells can't be mapped, they are messages of one process");
	if (n == NVME_LENDS)
		return refuse(why, size, -ENOSPC, c->name, "8 secondary processes have it already");
	return 0;
}

static int
send_opened(struct nvme_lend *l)
{
	struct nvme_ctrlr *c = l->c;
	struct nvme_mp_opened o = {
		.cap = c->cap,
		.vs = c->vs,
		.quirks = c->quirks,
		.queues = l->nq,
		.shadow = c->dbbuf_on ? (uintptr_t)c->shadow : 0,
		.shadow_iova = c->shadow_iova,
		.io_ms = c->io_ms,
		.admin_ms = c->admin_ms,
		.numa_node = c->vfio->numa_node,
		.no_sgl = c->no_sgl,
	};
	int fds[PLX_VFIO_AREAS];
	uint32_t i;

	for (i = 0; i < l->nq; i++)
		o.qids[l->q[i].id / 64] |= 1ull << l->q[i].id % 64;
	if (plx_vfio_share(c->vfio, 0, &o.share, fds) != 0)
		return -ENOTSUP;
	return plx_mp_send(l->ch, NVME_MP_OPENED, &o, sizeof(o), fds, o.share.nb_areas);
}

static void
give_qids(struct nvme_lend *l)
{
	uint32_t i;

	for (i = 0; i < l->nq; i++)
		l->c->qid_used[l->q[i].id / 64] &= ~(1ull << l->q[i].id % 64);
}

int
nvme_lend_open(struct plx_dev *dev, struct plx_mp_chan *ch, const void *req, uint32_t len,
	char *why, size_t size)
{
	struct nvme_ctrlr *c = dev->priv;
	struct nvme_mp_want want;
	struct nvme_lend *l;
	int rc = check(c, why, size);

	if (rc != 0)
		return rc;
	if (len != sizeof(want))
		return refuse(why, size, -EPROTO, c->name, "the request makes no sense");
	memcpy(&want, req, sizeof(want));
	want.queues = RTE_MIN(want.queues, (uint32_t)NVME_QIDS);
	if (c->lent == NULL)
		c->lent = calloc(1, sizeof(*c->lent));
	l = calloc(1, sizeof(*l) + want.queues * sizeof(l->q[0]));
	if (l == NULL || c->lent == NULL) {
		free(l);
		return refuse(why, size, -ENOMEM, c->name, "out of memory");
	}
	l->c = c;
	l->ch = ch;
	if (take_qids(l, want.queues) == 0) {
		free(l);
		return refuse(why, size, -ENOSPC, c->name, "all of its I/O queues are in use");
	}
	ch->priv = l;
	ch->recv = lend_recv;
	ch->closed = lend_closed;
	rc = send_opened(l);
	if (rc != 0) {
		give_qids(l);
		free(l);
		ch->closed = NULL;
		return refuse(why, size, rc, c->name, "its doorbells can't be shared");
	}
	l->next = c->lends;
	c->lends = l;
	return 0;
}

static void
forget(struct nvme_lend *l)
{
	struct nvme_lend **at;

	for (at = &l->c->lends; *at != l; at = &(*at)->next)
		;
	*at = l->next;
	give_qids(l);
	plx_mp_release(l->ch);
	free(l);
}

/* One that is gone: its queues are deleted, one command at a time, then it is forgotten. What it
 * doesn't get done that way a reset does. */
static int
reclaim(struct nvme_lend *l)
{
	struct nvme_ctrlr *c = l->c;
	uint32_t i;

	if (c->state != NVME_RUNNING || c->reset_wanted || !c->admin.ready)
		return 0;
	if (l->out > 0) {
		if (plx_deadline_past(l->until))
			nvme_ctrlr_want_reset(c);
		return 0;
	}
	for (i = 0; i < l->nq; i++)
		if (l->q[i].sq || l->q[i].cq) {
			nvme_lend_delete(l, &l->q[i]);
			return 1;
		}
	PLX_LOG(NOTICE, "nvme: %s: process %d has left, %u queues are free again", c->name,
		l->ch->pid, l->nq);
	forget(l);
	return 1;
}

int
nvme_lend_poll(struct nvme_ctrlr *c)
{
	struct nvme_lend *l, *next;
	int n = 0;

	for (l = c->lends; l != NULL; l = next) {
		next = l->next;
		if (l->gone)
			n += reclaim(l);
		else if (l->learning && c->state == NVME_RUNNING)
			n += nvme_lend_learn(l);
	}
	return n;
}

/* ---- resets, and the end ---- */

/* Ask all for their hands off, and wait for it. One that doesn't answer is not waited for twice:
 * it finds its queues gone when it wakes up. */
static int
ask_off(struct nvme_ctrlr *c, enum nvme_mp_kind kind)
{
	struct nvme_lend *l;

	for (l = c->lends; l != NULL; l = l->next) {
		l->parked = false;
		l->until = plx_deadline_in(l->late ? 0 : PARK_MS);
		nvme_lend_tell(l, kind, NULL, 0);
	}
	return nvme_lend_parked(c);
}

int
nvme_lend_park(struct nvme_ctrlr *c)
{
	return ask_off(c, NVME_MP_PARK);
}

/* It was shut down, and reaches nobody's memory any more. */
int
nvme_lend_off(struct nvme_ctrlr *c)
{
	return ask_off(c, NVME_MP_OFF);
}

int
nvme_lend_parked(struct nvme_ctrlr *c)
{
	struct nvme_lend *l;

	for (l = c->lends; l != NULL; l = l->next) {
		if (l->gone || l->parked) {
			l->late = false;
			continue;
		}
		if (!plx_deadline_past(l->until))
			return -EINPROGRESS;
		if (!l->late)
			PLX_LOG(WARNING,
				"nvme: %s: process %d did not let go of its queues within %u ms: "
				"it "
				"does not call plx_ctrl_poll()",
				c->name, l->ch->pid, PARK_MS);
		l->late = true;
	}
	return 0;
}

/* The controller is disabled: it has no queues and no commands any more. */
void
nvme_lend_disabled(struct nvme_ctrlr *c)
{
	struct nvme_lend *l;
	uint32_t i;

	for (i = 0; c->lent != NULL && i < NVME_LENT; i++) {
		struct nvme_lent_cmd *cmd = &c->lent->cmd[i];

		if (cmd->l == NULL)
			continue;
		if (!cmd->own)
			nvme_lend_done(cmd->l, cmd->cid, NVME_SC_ABORT_REQ, 0);
		cmd->l->out--;
		cmd->l = NULL;
	}
	for (l = c->lends; l != NULL; l = l->next)
		for (i = 0; i < l->nq; i++)
			l->q[i].sq = l->q[i].cq = false;
}

/* Ids that are lent stay lent over a reset. */
void
nvme_lend_qids(struct nvme_ctrlr *c)
{
	struct nvme_lend *l;
	uint32_t i;

	for (l = c->lends; l != NULL; l = l->next)
		for (i = 0; i < l->nq; i++)
			c->qid_used[l->q[i].id / 64] |= 1ull << l->q[i].id % 64;
}

static void
tell_all(struct nvme_ctrlr *c, enum nvme_mp_kind kind, const void *data, size_t len)
{
	struct nvme_lend *l;

	for (l = c->lends; l != NULL; l = l->next)
		nvme_lend_tell(l, kind, data, len);
}

void
nvme_lend_resume(struct nvme_ctrlr *c)
{
	tell_all(c, NVME_MP_RESUME, NULL, 0);
}

void
nvme_lend_event(struct nvme_ctrlr *c, uint32_t dw0)
{
	tell_all(c, NVME_MP_EVENT, &dw0, sizeof(dw0));
}

void
nvme_lend_lost(struct nvme_ctrlr *c)
{
	tell_all(c, NVME_MP_GONE, NULL, 0);
}

/* The transport is closed. */
void
nvme_lend_free(struct nvme_ctrlr *c)
{
	while (c->lends != NULL)
		forget(c->lends);
	free(c->lent);
	c->lent = NULL;
}

/* ---- what others see of it ---- */

int
nvme_lend_queue(const struct plx_blk *blk, uint32_t i, struct plx_mp_queue *out)
{
	const struct nvme_ns *ns = blk->priv;
	const struct nvme_lend *l;
	uint32_t j;

	for (l = ns->c->lends; l != NULL; l = l->next)
		for (j = 0; j < l->nq; j++)
			if (l->q[j].sq && l->q[j].nsid == ns->nsid && i-- == 0) {
				*out = l->q[j].told;
				return 0;
			}
	return -ENOENT;
}
