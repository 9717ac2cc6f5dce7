/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Queues as objects: memory, and what is in flight on one that was taken over from its owner.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <rte_byteorder.h>

#include "plx_log.h"
#include "vblk_priv.h"

PLX_LOG_USE(vblk);

/* ---- memory ---- */

/* Where the DMA-able parts begin: ring, lines, results, extra. */
struct layout {
	size_t lines, results, extra, size;
};

static struct layout
layout(const struct vblk_queue *q, uint16_t size)
{
	struct layout l;

	l.lines = RTE_ALIGN_CEIL(
		plx_virtq_bytes(size, vblk_has(q->v, VIRTIO_F_RING_PACKED)), (size_t)4096);
	l.results = l.lines + size * sizeof(struct vblk_line);
	l.extra = l.results + size * sizeof(struct vblk_result);
	l.size = l.extra + (size_t)size * q->extra_bytes;
	return l;
}

/* A chain, a table's too, is no longer than the ring (2.7.5.3): there must be room for the
 * longest. Without tables a command takes three descriptors or more. */
uint16_t
vblk_ring_size(const struct vblk *v, uint16_t depth)
{
	uint32_t want = vblk_has(v, VIRTIO_RING_F_INDIRECT_DESC) ? depth : 3u * depth;

	want = RTE_MAX(rte_align32pow2(want), (uint32_t)VBLK_SEGS + 2);
	return (uint16_t)RTE_MIN(want, (uint32_t)v->max_queue_size);
}

static int
alloc_dma(struct vblk_queue *q, uint16_t size, int socket)
{
	struct layout l = layout(q, size);

	/* no ring across hugepages: back ends want it inside one mapping */
	q->mem = plx_mem_alloc(l.size, rte_align64pow2(l.lines), socket);
	if (q->mem == NULL)
		return -ENOMEM;
	q->lines = (void *)((uint8_t *)q->mem + l.lines);
	q->results = (void *)((uint8_t *)q->mem + l.results);
	q->extra = (uint8_t *)q->mem + l.extra;
	return 0;
}

/* What never changes in a line: header, status, how they hang together. */
static void
prepare_lines(struct vblk_queue *q)
{
	uint64_t f = q->vq.packed ? 0 : (uint64_t)VRING_DESC_F_NEXT << 32;
	uint64_t w = (uint64_t)VRING_DESC_F_WRITE << (q->vq.packed ? 48 : 32);
	uint16_t i;

	for (i = 0; i < q->vq.size; i++) {
		uint64_t line = q->lines_iova + i * sizeof(struct vblk_line);
		uint64_t result = q->results_iova + i * sizeof(struct vblk_result);

		q->lines[i].head[0] = rte_cpu_to_le_64(line + offsetof(struct vblk_line, header));
		q->lines[i].head[1] = rte_cpu_to_le_64(
			sizeof(struct vblk_header) | f | (q->vq.packed ? 0 : 1ull << 48));
		q->lines[i].status[0] =
			rte_cpu_to_le_64(result + offsetof(struct vblk_result, status));
		q->lines[i].status[1] = rte_cpu_to_le_64(1 | w);
	}
	q->data_flags[0] = rte_cpu_to_le_64(f | w | (q->vq.packed ? 0 : 2ull << 48));
	q->data_flags[1] = rte_cpu_to_le_64(f | (q->vq.packed ? 0 : 2ull << 48));
}

/* The memory may have come after attach: it is mapped by the time of start. */
int
vblk_queue_map(struct vblk_queue *q)
{
	struct layout l = layout(q, q->vq.size);
	uint64_t iova = plx_mem_iova(q->dom, q->mem, l.size);

	if (iova == PLX_BAD_IOVA) {
		PLX_LOG(ERR, "virtio-blk: %s: memory of queue %u can't be mapped for the device",
			q->v->dev->name, q->dq.q.qid);
		return -ENOMEM;
	}
	q->lines_iova = iova + l.lines;
	q->results_iova = iova + l.results;
	q->extra_iova = iova + l.extra;
	q->dma = q->dom->table->r[0];
	q->plain_bytes = q->indirect ? RTE_MIN((uint64_t)q->size_max, (uint64_t)q->dma.len) : 0;
	prepare_lines(q);
	return 0;
}

static void
set_limits(struct vblk_queue *q)
{
	const struct vblk *v = q->v;
	const struct plx_blk_info *info = &v->blk.info;

	q->indirect = vblk_has(v, VIRTIO_RING_F_INDIRECT_DESC);
	q->max_segs = (uint16_t)info->max_segs;
	q->size_max = vblk_size_max(v);
	q->extra_bytes =
		(uint32_t)(sizeof(struct vblk_range) +
			   sizeof(struct vring_desc) * (q->indirect ? q->max_segs + 2 : 2));
	q->lba_shift = (uint8_t)rte_bsf32(info->block_size);
	q->sector_shift = (uint8_t)(q->lba_shift - VBLK_SECTOR_SHIFT);
	q->dq.submit = vblk_has(v, VIRTIO_F_RING_PACKED) ? vblk_submit_packed : vblk_submit_split;
	q->dq.poll = vblk_has(v, VIRTIO_F_RING_PACKED) ? vblk_poll_packed : vblk_poll_split;
	q->dq.issue = vblk_issue;
	q->dq.direct = vblk_direct;
}

static int
intr_arm(struct plx_drvq *dq, bool on)
{
	struct vblk_queue *q = (struct vblk_queue *)dq;
	uint64_t one = 1;

	if (plx_virtq_intr(&q->vq, on) && write(dq->intr_fd, &one, sizeof(one)) < 0)
		return errno == EAGAIN ? 0 : -EIO;
	return 0;
}

static int
alloc_intr(struct vblk_queue *q, bool intr)
{
	q->tq.call_fd = -1;
	if (!intr)
		return 0;
	q->tq.call_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (q->tq.call_fd < 0)
		return -errno;
	q->dq.intr_fd = q->tq.call_fd;
	q->dq.intr_arm = intr_arm;
	return 0;
}

int
vblk_queue_alloc(
	struct vblk *v, uint16_t qid, const struct plx_blkq_conf *conf, struct vblk_queue **out)
{
	struct vblk_queue *q = aligned_alloc(RTE_CACHE_LINE_SIZE, sizeof(*q));
	uint16_t size = vblk_ring_size(v, conf->depth);
	int rc;

	if (q == NULL)
		return -ENOMEM;
	memset(q, 0, sizeof(*q));
	q->v = v;
	q->dom = v->vio->domain;
	q->tq.vq = &q->vq;
	q->tq.call_fd = q->tq.kick_fd = -1;
	set_limits(q);
	q->mark = calloc(size, sizeof(*q->mark));
	rc = q->mark == NULL ? -ENOMEM : alloc_dma(q, size, conf->socket);
	if (rc == 0)
		rc = plx_virtq_init(&q->vq, size, v->features, q->mem);
	if (rc == 0)
		rc = plx_drvq_init(&q->dq, &v->blk, qid, conf, VBLK_BOUNCE);
	if (rc == 0)
		rc = alloc_intr(q, conf->intr);
	if (rc != 0) {
		vblk_queue_free(q);
		return rc;
	}
	q->next = v->queues;
	v->queues = q;
	*out = q;
	return 0;
}

static void
quarantine(struct vblk *v, void *mem)
{
	struct vblk_kept *k = malloc(sizeof(*k));

	if (k == NULL)
		return; /* without memory to note it, a leak is the safe way out */
	k->mem = mem;
	k->next = v->quarantine;
	v->quarantine = k;
}

void
vblk_queue_free(struct vblk_queue *q)
{
	struct vblk_queue **at;

	for (at = &q->v->queues; *at != NULL; at = &(*at)->next)
		if (*at == q) {
			*at = q->next;
			break;
		}
	plx_drvq_fini(&q->dq);
	plx_virtq_fini(&q->vq);
	if (q->tq.call_fd >= 0)
		close(q->tq.call_fd);
	if (q->lost_memory && q->mem != NULL)
		quarantine(q->v, q->mem);
	else
		plx_mem_free(q->mem);
	free(q->mark);
	free(q);
}

/* ---- what is in flight on a queue that was taken over ---- */

/* Reap what the device finished, onto the done list. @return commands still in flight */
uint32_t
vblk_queue_drain(struct vblk_queue *q)
{
	struct plx_blk_req *reqs[32];
	uint16_t i, n;

	do {
		n = vblk_reap(q, reqs, RTE_DIM(reqs));
		for (i = 0; i < n; i++)
			plx_drvq_finish(&q->dq, reqs[i], reqs[i]->status);
	} while (plx_virtq_pending(&q->vq));
	if (q->v->state == VBLK_UP && q->vq.broken == 0)
		vblk_ring(q); /* the flush behind a FUA write */
	return plx_virtq_inflight(&q->vq);
}

/* End everything with status. flags: PLX_IO_MAYBE_DMA when the device may still be at it. */
void
vblk_queue_cancel(struct vblk_queue *q, int status, uint8_t flags)
{
	uint16_t i;

	for (i = 0; i < q->vq.size; i++) {
		struct plx_blk_req *req = q->vq.slots[i].cookie;

		q->mark[i] = 0;
		if (req == NULL)
			continue;
		req->flags |= flags;
		req->raw = 0;
		plx_drvq_finish(&q->dq, req, status);
	}
	if (flags & PLX_IO_MAYBE_DMA)
		q->lost_memory = true;
	plx_virtq_reset(&q->vq);
}

struct again {
	struct plx_blk_req *req;
	uint16_t mark;
};

/* What a command is sent again with. @return 0: not again, *rc says how it ends */
static uint16_t
mark_again(const struct again *a, int *rc)
{
	uint16_t mark = (a->mark & (VBLK_MARK_AGE - 1)) + VBLK_MARK_RETRY;

	*rc = -EIO; /* as it seems, it is what the device stumbles over */
	if ((mark & VBLK_MARK_RETRIES) > VBLK_MARK_RETRY * VBLK_RETRIES)
		return 0;
	if (!vblk_is_late(a->mark))
		return mark;
	*rc = -ETIMEDOUT;
	return mark & VBLK_MARK_LATE ? 0 : mark | VBLK_MARK_LATE;
}

/* Whether it was executed isn't known: again, an append could append twice, and a write to a zone
 * would be behind the write pointer. */
static bool
repeatable(const struct vblk_queue *q, const struct plx_blk_req *req)
{
	bool zoned = q->v->blk.info.zone_nblk != 0;

	return req->op != PLX_OP_ZONE_APPEND && !(zoned && req->op == PLX_OP_WRITE);
}

static int
send_again(struct vblk_queue *q, const struct again *a)
{
	uint16_t mark;
	int rc;

	if (!(a->mark & VBLK_MARK_FLUSH) && !repeatable(q, a->req))
		return -ECANCELED;
	mark = mark_again(a, &rc);
	if (mark == 0)
		return rc;
	rc = vblk_issue_marked(q, a->req, mark);
	if (rc == 0)
		plx_stat_add(&q->dq.st.retried, 1);
	return rc == 0 ? 0 : -EIO;
}

/*
 * For a device that has nothing of ours any more: begin the ring anew, and send again what was in
 * flight. None of it was given back, so the application can't have put anything behind it that
 * must not come first; doing it twice does no harm.
 */
void
vblk_queue_replay(struct vblk_queue *q)
{
	struct again *all = calloc(q->vq.size, sizeof(*all));
	uint16_t i, n = 0;
	int rc;

	if (all == NULL) {
		vblk_queue_cancel(q, -ECANCELED, 0);
		return;
	}
	for (i = 0; i < q->vq.size; i++)
		if (q->vq.slots[i].cookie != NULL)
			all[n++] = (struct again){q->vq.slots[i].cookie, q->mark[i]};
	memset(q->mark, 0, q->vq.size * sizeof(*q->mark));
	plx_virtq_reset(&q->vq);
	q->sick = false;
	for (i = 0; i < n; i++) {
		rc = send_again(q, &all[i]);
		if (rc != 0)
			plx_drvq_finish(&q->dq, all[i].req, rc);
	}
	free(all);
}
