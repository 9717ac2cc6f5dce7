/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The fast path: submit and poll of a queue, compiled once for each ring layout.
 *
 * A plain command is a table of three descriptors in a cache line of its own, prepared but for
 * the data's address, and one descriptor in the ring; the device is rung once a burst. A used
 * buffer is looked up in private slots (plx_virtq.h): what the device writes chooses among the
 * requests that it has, and is their status.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <rte_byteorder.h>

#include "vblk_priv.h"

#define REAP 64 /* completions in one poll */

/* Any request but those that the loop below takes. @return 0; -EAGAIN no room */
static __rte_noinline int
submit_other(struct vblk_queue *q, struct plx_blk_req *req)
{
	struct plx_drvq *dq = &q->dq;
	int rc = 0;

	if (plx_drvq_plain(dq, req)) {
		rc = vblk_issue(dq, req);
		if (rc == 0) {
			plx_trace_submit(dq, req);
			plx_drvq_count_ops(dq, req->op, 1, req->nblk);
		}
		if (rc == 0 || rc == -EAGAIN)
			return rc;
	}
	return plx_drvq_submit_slow(dq, req, rc);
}

static void
ring(struct vblk_queue *q)
{
	plx_trace_doorbell(&q->dq);
	plx_stat_add(&q->dq.st.doorbells, 1);
	plx_virtio_kick(&q->tq);
}

void
vblk_ring(struct vblk_queue *q)
{
	if (plx_virtq_publish(&q->vq, q->vq.packed))
		ring(q);
}

/* The loop: reads and writes of one piece in the arena. */
static __rte_always_inline uint16_t
submit(struct vblk_queue *q, struct plx_blk_req *const *reqs, uint16_t n, const bool packed)
{
	struct plx_virtq_burst b = plx_virtq_begin(&q->vq);
	uint64_t count[2] = {0}, blocks[2] = {0}; /* reads, writes */
	bool stop = false;
	uint16_t i;

	n = (uint16_t)RTE_MIN(n, q->dq.q.depth - q->dq.q.inflight);
	for (i = 0; i < n; i++) {
		struct plx_blk_req *req = reqs[i];
		uint64_t off = (uintptr_t)req->buf - q->dma.va, nblk = req->nblk, len;
		uint32_t op, word, id;
		struct vblk_line *line;

		memcpy(&word, req, sizeof(word)); /* op, flags, nseg: only op 0 or 1 */
		op = word & 1;
		len = nblk << q->lba_shift;
		if (unlikely((word & ~1u) != 0 || req->ext != NULL ||
			     nblk - 1 >= q->dq.max_nblk[op] || req->lba > q->dq.nblocks - nblk ||
			     len > q->plain_bytes || off > q->dma.len - len || b.next == b.end)) {
			plx_virtq_end(&q->vq, packed, &b);
			if (submit_other(q, req) != 0)
				stop = true;
			b = plx_virtq_begin(&q->vq);
			if (unlikely(stop))
				break;
			continue;
		}
		id = plx_virtq_burst_id(&b);
		line = &q->lines[id];
		/* READ 0 is IN 0, WRITE 1 is OUT 1 */
		line->header[0] = rte_cpu_to_le_64(op);
		line->header[1] = rte_cpu_to_le_64(req->lba << q->sector_shift);
		line->data[0] = rte_cpu_to_le_64(q->dma.iova + off);
		line->data[1] = rte_cpu_to_le_64(len) | q->data_flags[op];
		q->results[id].status = VBLK_S_UNSET;
		plx_virtq_burst_add(&q->vq, packed, &b, id, q->lines_iova + id * sizeof(*line), 3,
			op != 0 ? 1 : (uint32_t)len + 1, req);
		plx_trace_submit(&q->dq, req);
		count[op]++;
		blocks[op] += nblk;
	}
	plx_virtq_end(&q->vq, packed, &b);
	if (plx_virtq_publish(&q->vq, packed))
		ring(q);
	if (count[0] != 0)
		plx_drvq_count_ops(&q->dq, PLX_OP_READ, count[0], blocks[0]);
	if (count[1] != 0)
		plx_drvq_count_ops(&q->dq, PLX_OP_WRITE, count[1], blocks[1]);
	return plx_drvq_count_submit(&q->dq, i);
}

/* FUA writes that are done, whose flush is due. */
struct due {
	uint16_t n;
	struct plx_blk_req *req[REAP];
};

/* A completion with a status, or of a command that needs more than handing out. Nothing is issued
 * here: the ids of a burst are free already, but not all of their results were looked at. */
static __rte_noinline struct plx_blk_req *
complete_slow(
	struct vblk_queue *q, struct plx_blk_req *req, uint16_t id, uint8_t status, struct due *due)
{
	uint16_t mark = q->mark[id];

	q->mark[id] = 0;
	if (status == VBLK_S_UNSET)
		plx_stat_add(&q->dq.st.bad_device, 1);
	if (status == 0 && (mark & VBLK_MARK_FUA)) {
		due->req[due->n++] = req;
		return NULL;
	}
	req->status = vblk_status_errno(status);
	req->raw = status;
	if (status == 0 && (mark & VBLK_MARK_ZONE))
		vblk_zone_result(q, req, id);
	return plx_drvq_resolve(&q->dq, req);
}

/* There is room: each one's own place is free now. */
static __rte_noinline void
flush_due(struct vblk_queue *q, const struct due *due)
{
	uint16_t i;

	for (i = 0; i < due->n; i++)
		if (vblk_issue_marked(q, due->req[i], VBLK_MARK_FLUSH) != 0)
			plx_drvq_finish(&q->dq, due->req[i], -EIO);
}

/* The device did what none may do: it is reset, and what it has is sent again. */
static __rte_noinline void
sick(struct vblk_queue *q)
{
	if (q->sick)
		return;
	q->sick = true;
	plx_stat_add(&q->dq.st.bad_device, 1);
	__atomic_store_n(&q->v->sick, true, __ATOMIC_RELAXED);
}

/* Some say of writes that they wrote the data, too: it is counted, and does no harm. */
static __rte_noinline void
too_long(struct vblk_queue *q)
{
	plx_stat_add(&q->dq.st.bad_device, q->vq.too_long);
	q->vq.too_long = 0;
}

/* A command is back. @return the request that is finished by it, if any */
static __rte_always_inline struct plx_blk_req *
complete(struct vblk_queue *q, struct plx_blk_req *req, uint32_t id, uint16_t *errors,
	struct due *due)
{
	uint8_t status = *(const volatile uint8_t *)&q->results[id].status;

	if (likely((status | q->mark[id]) == 0)) {
		req->status = 0;
		req->raw = 0;
		return req;
	}
	req = complete_slow(q, req, (uint16_t)id, status, due);
	if (req != NULL)
		*errors = (uint16_t)(*errors + (req->status != 0));
	return req;
}

static __rte_always_inline struct plx_blk_req **
hand_out(struct vblk_queue *q, struct plx_blk_req **out, struct plx_blk_req *req, const bool owner)
{
	if (req == NULL)
		return out;
	if (owner)
		plx_trace_complete(&q->dq, req);
	*out++ = req;
	return out;
}

static __rte_noinline uint16_t
reap_in_order(struct vblk_queue *q, struct plx_blk_req **reqs, uint16_t n, uint16_t *errors,
	struct due *due, bool owner)
{
	struct plx_blk_req **out = reqs;
	uint16_t i, ids[REAP];

	n = plx_virtq_pop(&q->vq, q->vq.packed, (void **)reqs, ids, n);
	for (i = 0; i < n; i++) /* over themselves */
		out = hand_out(q, out, complete(q, reqs[i], ids[i], errors, due), owner);
	return (uint16_t)(out - reqs);
}

static __rte_always_inline uint16_t
reap_any_order(struct vblk_queue *q, struct plx_blk_req **reqs, uint16_t n, uint16_t *errors,
	struct due *due, const bool packed, const bool owner)
{
	struct plx_virtq_reap r = plx_virtq_reap_begin(&q->vq, packed, n);
	struct plx_blk_req *req, **out = reqs;
	uint32_t id;

	while ((req = plx_virtq_reap_next(&q->vq, packed, &r, &id)) != NULL)
		out = hand_out(q, out, complete(q, req, id, errors, due), owner);
	plx_virtq_reap_end(&q->vq, packed, &r);
	return (uint16_t)(out - reqs);
}

static __rte_always_inline uint16_t
reap(struct vblk_queue *q, struct plx_blk_req **reqs, uint16_t n, uint16_t *errors,
	const bool packed, const bool owner)
{
	struct due due;

	due.n = 0;
	n = (uint16_t)RTE_MIN(n, REAP);
	if (unlikely(q->vq.in_order || q->vq.broken != 0))
		n = reap_in_order(q, reqs, n, errors, &due, owner);
	else
		n = reap_any_order(q, reqs, n, errors, &due, packed, owner);
	if (unlikely(due.n != 0))
		flush_due(q, &due);
	if (unlikely(q->vq.too_long != 0))
		too_long(q);
	if (unlikely(q->vq.broken != 0))
		sick(q);
	return n;
}

uint16_t
vblk_reap(struct vblk_queue *q, struct plx_blk_req **reqs, uint16_t n)
{
	uint16_t errors = 0;

	return q->vq.packed ? reap(q, reqs, n, &errors, true, false)
			    : reap(q, reqs, n, &errors, false, false);
}

/* Armed, each completion is to ring: what came since is told here. */
static __rte_noinline void
rearm(struct vblk_queue *q)
{
	uint64_t one = 1;

	if (plx_virtq_intr(&q->vq, true) && write(q->dq.intr_fd, &one, sizeof(one)) < 0)
		return; /* it is readable already */
}

/* A poll that finds nothing is most polls, and has no more to do than to find that. */
static __rte_always_inline bool
nothing(const struct vblk_queue *q, const bool packed)
{
	return plx_virtq_idle(&q->vq, packed) && q->dq.done == NULL && q->dq.split_active == 0;
}

static __rte_always_inline uint16_t
poll(struct vblk_queue *q, struct plx_blk_req **reqs, uint16_t n, const bool packed)
{
	uint16_t popped = 0, done, errors = 0;

	if (unlikely(q->dq.done != NULL))
		popped = plx_drvq_pop(&q->dq, reqs, n);
	done = reap(q, reqs + popped, (uint16_t)(n - popped), &errors, packed, true);
	if (unlikely(q->dq.split_active != 0))
		plx_drvq_pump(&q->dq);
	if (unlikely(plx_virtq_publish(&q->vq, packed)))
		ring(q);
	if (unlikely(q->vq.intr) && done != 0)
		rearm(q);
	return plx_drvq_count_poll(&q->dq, popped, done, errors);
}

uint16_t
vblk_submit_split(struct plx_blkq *q, struct plx_blk_req *const *reqs, uint16_t n)
{
	return submit((struct vblk_queue *)q, reqs, n, false);
}

uint16_t
vblk_submit_packed(struct plx_blkq *q, struct plx_blk_req *const *reqs, uint16_t n)
{
	return submit((struct vblk_queue *)q, reqs, n, true);
}

static __rte_noinline uint16_t
poll_split(struct vblk_queue *q, struct plx_blk_req **reqs, uint16_t n)
{
	return poll(q, reqs, n, false);
}

static __rte_noinline uint16_t
poll_packed(struct vblk_queue *q, struct plx_blk_req **reqs, uint16_t n)
{
	return poll(q, reqs, n, true);
}

uint16_t
vblk_poll_split(struct plx_blkq *dq, struct plx_blk_req **reqs, uint16_t n)
{
	struct vblk_queue *q = (struct vblk_queue *)dq;

	return nothing(q, false) ? plx_drvq_count_poll(&q->dq, 0, 0, 0) : poll_split(q, reqs, n);
}

uint16_t
vblk_poll_packed(struct plx_blkq *dq, struct plx_blk_req **reqs, uint16_t n)
{
	struct vblk_queue *q = (struct vblk_queue *)dq;

	return nothing(q, true) ? plx_drvq_count_poll(&q->dq, 0, 0, 0) : poll_packed(q, reqs, n);
}
