/* SPDX-License-Identifier: BSD-3-Clause */
/* Completion callbacks: a poller over a queue. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_common.h>

#include "plx_blk_drv.h"

#include "blkr_priv.h"

#define BURST 64
#define OUT_US 10000 /* longest sleep while requests are out */

struct blkr {
	struct plx_blkr pub; /* first */
	struct plx_blk_req **staged;
	struct plx_blkq *q;
	struct plx_poller *poller;
	bool armed;
};

/* ---- the queue and sleep ---- */

int
blkr_queue_arm(struct plx_blkq *q, bool *armed)
{
	if (q->inflight == 0)
		return 0;
	if (!blkr_is_user(q)) {
		if (plx_blkq_intr_arm(q) != 0)
			return -EBUSY;
		*armed = true;
	}
	return OUT_US;
}

void
blkr_queue_disarm(struct plx_blkq *q, bool *armed)
{
	int fd = plx_blkq_intr_fd(q);
	uint64_t n;

	if (*armed)
		plx_blkq_intr_disarm(q);
	*armed = false;
	/* Armed or not: an interrupt may come long after what it tells of was polled, and ends
	 * every sleep until it is read. */
	if (fd >= 0 && read(fd, &n, sizeof(n)) < 0)
		return; /* nothing there */
}

static uint32_t
nb_staged(const struct blkr *b)
{
	return (uint32_t)(b->pub.next - b->staged);
}

static int
arm(void *arg)
{
	struct blkr *b = arg;

	return nb_staged(b) != 0 ? -EBUSY : blkr_queue_arm(b->q, &b->armed);
}

static void
disarm(void *arg)
{
	struct blkr *b = arg;

	blkr_queue_disarm(b->q, &b->armed);
}

/* ---- the data path ---- */

static uint32_t
flush(struct blkr *b)
{
	uint32_t left = nb_staged(b), n;

	n = plx_blkq_submit(b->q, b->staged, (uint16_t)left);
	left -= n;
	if (left != 0)
		memmove(b->staged, b->staged + n, left * sizeof(*b->staged));
	b->pub.next = b->staged + left;
	return n;
}

static int
poll_queue(void *arg)
{
	struct plx_blk_req *reqs[BURST];
	struct blkr *b = arg;
	uint32_t n = plx_blkq_poll(b->q, reqs, BURST), i;

	for (i = 0; i < n; i++)
		((plx_blkr_done_fn)reqs[i]->user)(reqs[i]);
	if (b->pub.next != b->staged)
		n += flush(b);
	return (int)n;
}

uint32_t
plx_blkr_flush(struct plx_blkr *pub)
{
	struct blkr *b = (struct blkr *)pub;

	return nb_staged(b) != 0 ? flush(b) : 0;
}

uint32_t
plx_blkr_inflight(const struct plx_blkr *pub)
{
	const struct blkr *b = (const struct blkr *)pub;

	return b->q->inflight + nb_staged(b);
}

/* ---- create and destroy ---- */

int
plx_blkr_create(struct plx_reactor *r, struct plx_blkq *q, struct plx_blkr **out)
{
	struct plx_poller_idle idle = {.fd = plx_blkq_intr_fd(q), .arm = arm, .disarm = disarm};
	struct blkr *b = calloc(1, sizeof(*b));
	int rc = -ENOMEM;

	if (b == NULL)
		return rc;
	b->q = q;
	b->staged = calloc(q->depth, sizeof(*b->staged));
	b->poller = plx_poller_add(r, q->blk->info.name, poll_queue, b, 0);
	if (b->staged == NULL || b->poller == NULL)
		goto err;
	b->pub.next = b->staged;
	b->pub.end = b->staged + q->depth;
	if (plx_reactor_idle(r) != PLX_IDLE_BUSY) {
		rc = plx_poller_idle_set(b->poller, &idle);
		if (rc != 0)
			goto err;
	}
	*out = &b->pub;
	return 0;
err:
	plx_poller_del(b->poller);
	free(b->staged);
	free(b);
	return rc;
}

int
plx_blkr_destroy(struct plx_blkr *pub)
{
	struct blkr *b = (struct blkr *)pub;

	if (b == NULL)
		return 0;
	if (plx_blkr_inflight(pub) != 0)
		return -EBUSY;
	plx_poller_del(b->poller);
	free(b->staged);
	free(b);
	return 0;
}
