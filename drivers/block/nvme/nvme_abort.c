/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Commands that are not answered in time. First the controller is asked for them by Abort (NVMe
 * Base 2.0, 5.1): one that comes back is sent again where that is safe. When it doesn't come back,
 * or the Abort isn't answered, only a reset helps.
 *
 * Whether a command is out is the queue owner's to know, so its queue is taken over for a look:
 * submit then takes nothing for some microseconds.
 */
#include <errno.h>

#include "plx_log.h"

#include "nvme_priv.h"

PLX_LOG_USE(nvme);

#define ABORT_MS 5000 /* for the answer, at most */
#define BACK_MS 1000  /* then, for the command to come back */

/* Take a queue over for a look. *mine: it was, before. @return false: its owner is stuck */
static bool
look_begin(struct nvme_qpair *q, bool *mine)
{
	*mine = q->dq.taken;
	if (!*mine && plx_drvq_takeover(&q->dq, 0) != 0)
		return false;
	nvme_queue_drain(q);
	return true;
}

static void
look_end(struct nvme_qpair *q, bool mine)
{
	if (!mine)
		plx_drvq_giveback(&q->dq);
}

/* As many as the controller takes at a time (ACL, zero-based). @return NULL: no more now */
static struct nvme_abort *
free_slot(struct nvme_ctrlr *c)
{
	unsigned int i, max = RTE_MIN(NVME_ABORTS, c->id.acl + 1u);

	for (i = 0; i < max; i++)
		if (c->aborts[i].state == NVME_ABORT_FREE)
			return &c->aborts[i];
	return NULL;
}

static void
ask_back(struct nvme_qpair *q, struct nvme_tracker *t, struct nvme_abort *a)
{
	struct nvme_ctrlr *c = q->c;
	uint32_t ms = RTE_MIN(c->admin_ms, (uint32_t)ABORT_MS);

	NVME_TELL(c, WARNING,
		"nvme: %s: queue %u: command %04x was not answered for %u ms: aborting it", c->name,
		q->qid, t->cid, c->io_ms);
	t->flags |= NVME_TRK_LATE;
	plx_stat_add(&q->dq.st.late, 1);
	*a = (struct nvme_abort){.state = NVME_ABORT_SENT,
		.qid = q->qid,
		.cid = t->cid,
		.until = plx_deadline_in(ms)};
	nvme_admin_abort(c, (uint16_t)(a - c->aborts));
}

static void
ask_for_late(struct nvme_qpair *q)
{
	struct nvme_abort *a;
	uint16_t i;

	for (i = 0; i < q->depth; i++) {
		struct nvme_tracker *t = &q->trk[i];

		if (t->req == NULL || (t->flags & NVME_TRK_LATE) != 0 ||
			(uint16_t)(q->epoch - t->epoch) <= q->c->io_limit)
			continue;
		a = free_slot(q->c);
		if (a == NULL)
			return; /* the next tick finds it again */
		ask_back(q, t, a);
	}
}

void
nvme_abort_look(struct nvme_qpair *q)
{
	bool mine;

	if (!look_begin(q, &mine))
		return;
	if (nvme_intr_asleep(q)) /* it doesn't look at the clock itself */
		nvme_qpair_tick(q);
	ask_for_late(q);
	__atomic_store_n(&q->stuck, false, __ATOMIC_RELAXED);
	look_end(q, mine);
}

/* @return the command has not come back */
static bool
still_out(struct nvme_ctrlr *c, const struct nvme_abort *a)
{
	const struct nvme_tracker *t;
	struct nvme_qpair *q;
	bool out, mine;

	for (q = c->queues; q != NULL && q->qid != a->qid; q = q->next)
		;
	if (q == NULL || !q->created)
		return false;
	if (!look_begin(q, &mine))
		return true;
	t = &q->trk[(a->cid & NVME_MAX_DEPTH) % q->depth];
	out = t->req != NULL && t->cid == a->cid;
	look_end(q, mine);
	return out;
}

/* @return false: the controller has to be reset, logged */
static bool
judge(struct nvme_ctrlr *c, struct nvme_abort *a)
{
	const char *why = "the Abort was not answered";

	if (a->state == NVME_ABORT_ANSWERED) {
		if (!still_out(c, a)) {
			NVME_TELL(c, NOTICE, "nvme: %s: queue %u: command %04x came back", c->name,
				a->qid, a->cid);
			a->state = NVME_ABORT_FREE;
			return true;
		}
		why = a->refused ? "the controller could not abort it"
				 : "it did not come back, though it was aborted";
	}
	if (!plx_deadline_past(a->until))
		return true;
	PLX_LOG(ERR, "nvme: %s: queue %u: command %04x: %s: resetting the controller", c->name,
		a->qid, a->cid, why);
	return false;
}

void
nvme_abort_answered(struct nvme_ctrlr *c, uint16_t i, bool refused)
{
	struct nvme_abort *a = &c->aborts[i];

	if (a->state != NVME_ABORT_SENT) {
		c->admin.bad++;
		return;
	}
	a->state = NVME_ABORT_ANSWERED;
	a->refused = refused;
	a->until = plx_deadline_in(BACK_MS);
	c->abort_news = true;
}

bool
nvme_aborts_ok(struct nvme_ctrlr *c)
{
	unsigned int i;
	bool ok = true;

	c->abort_news = false;
	for (i = 0; i < NVME_ABORTS && ok; i++)
		if (c->aborts[i].state != NVME_ABORT_FREE)
			ok = judge(c, &c->aborts[i]);
	return ok;
}
