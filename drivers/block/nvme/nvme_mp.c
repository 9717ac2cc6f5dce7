/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A controller of the primary process, driven from a secondary one: "mp:NAME". See nvme_mp_priv.h.
 * Everything but what is here is the driver as ever: namespaces, queues, time-outs and resets.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_eal.h>

#include "plx_log.h"

#include "nvme_mp_priv.h"

PLX_LOG_USE(nvme);

#define DEF_QUEUES 4
#define LEARN_MS 10000
#define RESET_MS 120000 /* as long as the primary's ladder may take */

struct nvme_mp {
	struct nvme_ctrlr *c;
	struct plx_mp_chan *ch;
	bool opened;
	int closed; /* 0, or why the channel ended */
	bool park, resume, off, cut;
	uint16_t told; /* epoch of the last statistics */

	/* where the primary maps memory */
	enum { MAP_IDLE, MAP_ASKED, MAP_COMING, MAP_LATE } map;
	int map_rc;
	struct plx_deadline until;
	struct plx_mem_range *r;
	uint32_t nr;
};

/* ---- memory ---- */

static int
map_learn(void *ctx)
{
	struct nvme_mp *mp = ctx;
	int rc;

	if (mp->closed != 0)
		return mp->closed;
	if (mp->map == MAP_IDLE) {
		rc = plx_mp_send(mp->ch, NVME_MP_LEARN, NULL, 0, NULL, 0);
		if (rc != 0)
			return rc == -EAGAIN ? -EINPROGRESS : rc;
		mp->map = MAP_ASKED;
		mp->until = plx_deadline_in(LEARN_MS);
		return -EINPROGRESS;
	}
	if (mp->map == MAP_COMING && mp->map_rc != -EINPROGRESS) {
		mp->map = MAP_IDLE;
		return mp->map_rc;
	}
	if (!plx_deadline_past(mp->until))
		return -EINPROGRESS;
	mp->map = MAP_LATE; /* what comes now may be old: it is asked for again after it came */
	return -ETIMEDOUT;
}

static uint64_t
map_where(void *ctx, uintptr_t va, size_t len)
{
	const struct nvme_mp *mp = ctx;
	uint32_t i;

	for (i = 0; i < mp->nr; i++) {
		const struct plx_mem_range *r = &mp->r[i];

		if (va - r->va < r->len && len <= r->len - (va - r->va))
			return r->iova + (va - r->va);
	}
	return PLX_BAD_IOVA;
}

static const struct plx_mem_domain_ops map_ops = {.learn = map_learn, .where = map_where};

static int
on_map(struct nvme_mp *mp, const struct plx_mp_msg *msg)
{
	const struct nvme_mp_map *m = (const struct nvme_mp_map *)msg->data;
	struct plx_mem_range *r;

	if (msg->len != sizeof(*m) || m->n > RTE_DIM(m->r))
		return -EPROTO;
	if (mp->map == MAP_LATE) {
		mp->map = m->last ? MAP_IDLE : MAP_LATE;
		return 0;
	}
	if (mp->map == MAP_ASKED) {
		mp->map = MAP_COMING;
		mp->map_rc = -EINPROGRESS;
		mp->nr = 0;
	}
	r = realloc(mp->r, (mp->nr + RTE_DIM(m->r)) * sizeof(*r));
	if (r == NULL) {
		mp->map_rc = -ENOMEM;
		return 0;
	}
	mp->r = r;
	memcpy(&r[mp->nr], m->r, m->n * sizeof(*r));
	mp->nr += m->n;
	if (m->last)
		mp->map_rc = m->rc;
	return 0;
}

/* ---- the controller ---- */

/* As nvme_attach() finds it, from what the primary says. */
static int
take_opened(struct nvme_mp *mp, struct plx_mp_msg *msg)
{
	const struct nvme_mp_opened *o = (const struct nvme_mp_opened *)msg->data;
	const struct plx_mem_domain_conf conf = {
		.name = mp->c->name, .ops = &map_ops, .ctx = mp, .immediate = true};
	struct nvme_ctrlr *c = mp->c;
	struct plx_mem_domain *dom;
	uint32_t i;
	int rc;

	if (msg->len != sizeof(*o) || msg->nfds != o->share.nb_areas)
		return -EPROTO;
	rc = plx_mem_domain_create(&conf, &dom);
	if (rc == 0)
		rc = plx_vfio_shared_open(c->name, 0, &o->share, msg->fds, dom, &c->vfio);
	if (rc != 0)
		return rc;
	c->vfio->numa_node = o->numa_node;
	c->cap = o->cap;
	c->vs = o->vs;
	c->quirks = o->quirks;
	c->no_sgl = o->no_sgl;
	rc = nvme_ctrlr_check_caps(c);
	if (rc != 0)
		return rc;
	c->max_queues = c->want_queues = (uint16_t)o->queues;
	for (i = 0; i < RTE_DIM(c->qid_used); i++)
		c->qid_used[i] = ~o->qids[i];
	c->io_ms = o->io_ms;
	c->io_limit = c->io_ms != 0 ? (uint16_t)(c->io_ms / NVME_TICK_MS + 1) : 0;
	c->admin_ms = o->admin_ms;
	if (o->shadow != 0) {
		c->shadow = (uint32_t *)(uintptr_t)o->shadow;
		c->event = c->shadow + c->page_size / sizeof(uint32_t);
		c->dbbuf_on = true;
	}
	mp->opened = true;
	return 0;
}

/* Its admin queue, that is the channel, may be used. */
void
nvme_mp_ready(struct nvme_ctrlr *c)
{
	nvme_admin_reset(c);
	c->admin.aer_refused = true; /* they are the primary's */
}

static int
on_event(struct nvme_mp *mp, const struct plx_mp_msg *msg)
{
	uint32_t dw0;

	memcpy(&dw0, msg->data, sizeof(dw0));
	nvme_admin_event(mp->c, dw0);
	memset(mp->c->logs, 0, sizeof(mp->c->logs)); /* the primary reads them */
	return 0;
}

/* Who has no queues there, or not any more, has nothing to take his hands off. */
static void
on_park(struct nvme_mp *mp)
{
	nvme_ctrlr_want_reset(mp->c);
	mp->park = mp->c->reset_wanted;
	mp->resume = false;
	if (!mp->park)
		plx_mp_send(mp->ch, NVME_MP_PARKED, NULL, 0, NULL, 0);
}

/* Before anything else is told. */
static int
on_opened(struct nvme_mp *mp, struct plx_mp_msg *msg)
{
	int rc = take_opened(mp, msg);

	if (rc != 0)
		mp->closed = rc;
	return 0;
}

static int
mp_recv(struct plx_mp_chan *ch, struct plx_mp_msg *msg)
{
	struct nvme_mp *mp = ch->priv;
	const struct nvme_mp_done *d = (const struct nvme_mp_done *)msg->data;

	if (!mp->opened)
		return msg->kind == NVME_MP_OPENED ? on_opened(mp, msg) : 0;
	switch (msg->kind) {
	case NVME_MP_DONE:
		nvme_admin_answered(mp->c, d->cid, d->status, d->result);
		return 0;
	case NVME_MP_MAP:
		return on_map(mp, msg);
	case NVME_MP_PARK:
		on_park(mp);
		return 0;
	case NVME_MP_RESUME:
		mp->resume = mp->c->reset_wanted;
		mp->park &= mp->resume;
		return 0;
	case NVME_MP_EVENT:
		return on_event(mp, msg);
	case NVME_MP_OFF:
		mp->off = true;
		mp->closed = -ENODEV;
		return 0;
	case NVME_MP_GONE:
		mp->closed = -ENODEV;
		return 0;
	default:
		return -EPROTO;
	}
}

static void
mp_closed(struct plx_mp_chan *ch, int rc)
{
	struct nvme_mp *mp = ch->priv;

	if (mp->closed == 0)
		mp->closed = rc;
}

void
nvme_mp_submit(struct nvme_ctrlr *c, const struct nvme_sqe *sqe, uint16_t cid)
{
	struct nvme_mp_cmd cmd = {.sqe = *sqe, .cid = cid};

	/* one that is not sent is not answered either: a reset follows */
	plx_mp_send(c->mp->ch, NVME_MP_ADMIN, &cmd, sizeof(cmd), NULL, 0);
}

/*
 * In place of disabling the controller: take the hands off, and wait until the primary has reset
 * it. What was in flight stays as it is.
 */
int
nvme_mp_disable(struct nvme_ctrlr *c)
{
	struct nvme_mp *mp = c->mp;

	PLX_PT_BEGIN(&c->sub);
	c->admin.ready = false;
	c->until = plx_deadline_in(RESET_MS);
	if (!mp->park)
		plx_mp_send(mp->ch, NVME_MP_RESET, NULL, 0, NULL, 0);
	PLX_PT_WAIT(&c->sub, mp->park || mp->closed != 0 || plx_deadline_past(c->until));
	plx_mp_send(mp->ch, NVME_MP_PARKED, NULL, 0, NULL, 0);
	PLX_PT_WAIT(&c->sub, mp->resume || mp->closed != 0 || plx_deadline_past(c->until));
	if (mp->closed != 0 || !mp->resume)
		PLX_PT_RETURN(&c->sub, -ENODEV);
	mp->park = mp->resume = false;
	nvme_mp_ready(c);
	PLX_PT_END(&c->sub);
}

bool
nvme_mp_off(const struct nvme_ctrlr *c)
{
	return c->mp->off;
}

/* Once a tick the primary is told what the queues did. */
void
nvme_mp_poll(struct nvme_ctrlr *c)
{
	struct nvme_mp *mp = c->mp;
	struct nvme_qpair *q;

	if (c->vfio == NULL)
		return;
	if (mp->closed != 0)
		c->vfio->lost = mp->closed;
	if (mp->park) /* it came at the end of another reset */
		nvme_ctrlr_want_reset(c);
	if (mp->off && !mp->cut && c->vfio->regions[0].nb_areas == 0) {
		mp->cut = true; /* the kernel may have the device back */
		plx_mp_send(mp->ch, NVME_MP_PARKED, NULL, 0, NULL, 0);
	}
	if (mp->told == c->epoch || mp->closed != 0)
		return;
	mp->told = c->epoch;
	for (q = c->queues; q != NULL; q = q->next) {
		struct nvme_mp_stats st = {.id = q->qid,
			.queue = {.qid = q->dq.q.qid,
				.depth = q->depth,
				.inflight = __atomic_load_n(&q->dq.q.inflight, __ATOMIC_RELAXED)}};

		if (!q->created || q->orphan)
			continue;
		st.nsid = q->ns->nsid;
		plx_blk_stats_get(&q->ns->blk, q->dq.q.qid, &st.queue.stats);
		plx_mp_send(mp->ch, NVME_MP_STATS, &st, sizeof(st), NULL, 0);
	}
}

/* ---- attach and detach ---- */

int
nvme_mp_attach_step(struct nvme_ctrlr *c)
{
	struct nvme_mp *mp = c->mp;

	PLX_PT_BEGIN(&c->pt);
	c->until = plx_deadline_in(LEARN_MS);
	PLX_PT_WAIT(&c->pt, mp->opened || mp->closed != 0 || plx_deadline_past(c->until));
	if (!mp->opened) {
		if (mp->closed == 0)
			PLX_LOG(ERR,
				"nvme: %s: the primary process does not answer: it must call "
				"plx_ctrl_poll()",
				c->name);
		PLX_PT_RETURN(&c->pt, mp->closed != 0 ? mp->closed : -ETIMEDOUT);
	}
	PLX_PT_CALL(&c->pt, c->rc, nvme_attach_rest(c), nvme_attach_rest(c));
	PLX_PT_RETURN(&c->pt, c->rc);
	PLX_PT_END(&c->pt);
}

static int
open_channel(struct nvme_ctrlr *c)
{
	struct nvme_mp_want want;
	uint32_t queues;
	int rc;

	if (plx_arg_u32(c->dev, "queues", 1, NVME_QIDS, DEF_QUEUES, &queues) != 0)
		return -EINVAL;
	if (rte_eal_process_type() == RTE_PROC_PRIMARY) {
		PLX_LOG(ERR,
			"'%s': this is no secondary process: attach the device itself, or start "
			"with --proc-type=secondary and the primary's --file-prefix",
			c->dev->str);
		return -ENOTSUP;
	}
	if (c->dev->addr[0] == '\0')
		return plx_arg_bad(c->dev, "NAME", "is missing");
	want.queues = queues;
	rc = plx_mp_open(c->dev->addr, &want, sizeof(want), &c->mp->ch);
	if (rc != 0)
		return rc;
	c->mp->ch->priv = c->mp;
	c->mp->ch->recv = mp_recv;
	c->mp->ch->closed = mp_closed;
	return 0;
}

static int
mp_attach(struct plx_dev *dev)
{
	struct nvme_mp *mp = calloc(1, sizeof(*mp));
	struct nvme_ctrlr *c = mp != NULL ? nvme_ctrlr_new(dev) : NULL;
	int rc;

	if (c == NULL) {
		free(mp);
		return -ENOMEM;
	}
	c->mp = mp;
	mp->c = c;
	rc = open_channel(c);
	return rc != 0 ? rc : nvme_mp_attach_step(c);
}

/* Our memory goes only after the channel: until then the primary may have queues there. */
static void
mp_release(struct plx_dev *dev)
{
	struct nvme_ctrlr *c = dev->priv;
	struct nvme_mp *mp = c != NULL ? c->mp : NULL;

	if (c == NULL)
		return;
	plx_mp_release(mp->ch);
	plx_vfio_close(c->vfio);
	c->vfio = NULL;
	c->shadow = NULL; /* the primary's */
	free(mp->r);
	free(mp);
	nvme_release(dev);
}

static const char *const mp_keys[] = {"queues", NULL};

extern const struct plx_driver plx_nvme_mp_driver;
const struct plx_driver plx_nvme_mp_driver = {
	.name = "mp",
	.help = "mp:NAME[,queues=4][,name=NAME], in a secondary process; NAME is that of an "
		"attached NVMe controller in the primary",
	.keys = mp_keys,
	.attach = mp_attach,
	.poll = nvme_poll,
	.detach = nvme_detach,
	.release = mp_release,
	.nvme = &nvme_ctrlr_ops,
	.secondary = true,
};
PLX_DRIVER_INFO(plx_nvme_mp_driver);
