/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * null: a block device that does nothing, at once: for measuring what is above it.
 *
 *	null:size=1G[,block=512][,name=n0]
 *
 * No data moves and nothing is kept. It has no limits, so nothing is ever split and poll() hands
 * out pointers from a ring without looking at the requests.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "plx_blk_drv.h"
#include "plx_mem.h"
#include "plx_probe_drv.h"

#define NULL_QUEUES 64
#define NULL_DEPTH 4096

struct null_queue {
	struct plx_drvq dq;        /* first */
	uint32_t head, tail, mask; /* of ring: head next to hand out */
	struct plx_blk_req *ring[];
};

/* Plain, and its data is where it is said to be, as far as that costs next to nothing to see. */
static __rte_always_inline bool
null_simple(const struct plx_drvq *dq, const struct plx_blk_req *req)
{
	return plx_drvq_plain(dq, req) && req->nseg == 0 && req->buf != NULL;
}

static int
null_issue(struct plx_drvq *dq, struct plx_blk_req *req)
{
	struct null_queue *nq = (struct null_queue *)dq;

	if (nq->tail - nq->head == dq->q.depth)
		return -EAGAIN;
	if (plx_op_has_data(req->op) && !plx_req_data_ok(req, (size_t)req->nblk * dq->block_size))
		return -EINVAL;
	req->status = 0;
	nq->ring[nq->tail++ & nq->mask] = req;
	return 0;
}

/* As many requests of one operation as there are at the front: the fast path. */
static __rte_always_inline uint16_t
null_submit_run(struct null_queue *nq, struct plx_blk_req *const *reqs, uint16_t n)
{
	struct plx_drvq *dq = &nq->dq;
	uint32_t tail = nq->tail, mask = nq->mask, room = dq->q.depth - (tail - nq->head);
	uint8_t op = reqs[0]->op;
	uint64_t blocks = 0;
	uint16_t i;

	n = (uint16_t)RTE_MIN(n, room);
	for (i = 0; i < n; i++) {
		struct plx_blk_req *req = reqs[i];

		if (unlikely(req->op != op || !null_simple(dq, req)))
			break;
		req->status = 0;
		blocks += req->nblk;
		nq->ring[(tail + i) & mask] = req;
		plx_trace_submit(dq, req);
	}
	nq->tail = tail + i;
	if (i != 0)
		plx_drvq_count_ops(dq, op, i, blocks);
	return i;
}

static uint16_t
null_submit(struct plx_blkq *q, struct plx_blk_req *const *reqs, uint16_t n)
{
	struct null_queue *nq = (struct null_queue *)q;
	struct plx_drvq *dq = &nq->dq;
	uint16_t i = 0, run;

	while (i < n) {
		run = null_submit_run(nq, reqs + i, (uint16_t)(n - i));
		i = (uint16_t)(i + run);
		if (run != 0)
			continue;
		/* the class counts it, and calls null_issue() if it is good after all */
		if (plx_drvq_submit_slow(dq, reqs[i], 0) != 0)
			break;
		i++;
	}
	return plx_drvq_count_submit(dq, i);
}

static uint16_t
null_poll(struct plx_blkq *q, struct plx_blk_req **reqs, uint16_t n)
{
	struct null_queue *nq = (struct null_queue *)q;
	struct plx_drvq *dq = &nq->dq;
	uint32_t head = nq->head, i;
	uint16_t popped = 0;

	if (unlikely(dq->done != NULL))
		popped = plx_drvq_pop(dq, reqs, n);
	n = (uint16_t)RTE_MIN((uint32_t)(n - popped), nq->tail - head);
	for (i = 0; i < n; i++) {
		struct plx_blk_req *req = nq->ring[(head + i) & nq->mask];

		plx_trace_complete(dq, req);
		reqs[popped + i] = req;
	}
	nq->head = head + n;
	return plx_drvq_count_poll(dq, popped, n, 0);
}

/* ---- control; under the control lock ---- */

static int
null_queue_setup(
	struct plx_blk *blk, uint16_t qid, const struct plx_blkq_conf *conf, struct plx_drvq **dq)
{
	uint32_t entries = rte_align32pow2(conf->depth);
	struct null_queue *nq;
	int rc;

	nq = plx_mem_alloc(sizeof(*nq) + entries * sizeof(nq->ring[0]), 0, conf->socket);
	if (nq == NULL)
		return -ENOMEM;
	nq->mask = entries - 1;
	nq->dq.submit = null_submit;
	nq->dq.poll = null_poll;
	nq->dq.issue = null_issue;
	rc = plx_drvq_init(&nq->dq, blk, qid, conf, 0);
	if (rc != 0) {
		plx_mem_free(nq);
		return rc;
	}
	*dq = &nq->dq;
	return 0;
}

static void
null_queue_release(struct plx_blk *blk, struct plx_drvq *dq)
{
	plx_drvq_fini(dq);
	plx_mem_free(dq);
}

static int
null_stop(struct plx_blk *blk)
{
	uint16_t i;

	for (i = 0; i < blk->info.nb_queues; i++) {
		struct null_queue *nq = (struct null_queue *)blk->queues[i];

		while (nq != NULL && nq->head != nq->tail)
			plx_drvq_finish(&nq->dq, nq->ring[nq->head++ & nq->mask], 0);
	}
	return 0;
}

static const struct plx_blk_ops null_ops = {
	.queue_setup = null_queue_setup,
	.queue_release = null_queue_release,
	.stop = null_stop,
	.reset = null_stop,
};

static int
null_info(struct plx_dev *dev, struct plx_blk_info *info)
{
	uint32_t block;
	uint64_t size;

	if (dev->addr[0] != '\0' || plx_arg_str(dev, "size") == NULL)
		return plx_arg_bad(dev, "size", "is missing");
	if (plx_arg_size(dev, "size", 0, &size) != 0 ||
		plx_arg_u32(dev, "block", 512, 65536, 512, &block) != 0)
		return -EINVAL;
	if (!rte_is_power_of_2(block))
		return plx_arg_bad(dev, "block", "is not a power of two");
	if (size == 0 || size % block != 0)
		return plx_arg_bad(dev, "size", "is not a multiple of the block size");
	*info = (struct plx_blk_info){
		.driver = "null",
		.model = "Pollux null device",
		.nblocks = size / block,
		.block_size = block,
		.caps = PLX_BLK_CAP_FUA | PLX_BLK_CAP_WRITE_ZEROES | PLX_BLK_CAP_DISCARD |
			PLX_BLK_CAP_VERIFY | PLX_BLK_CAP_SGL | PLX_BLK_CAP_NODATA |
			PLX_BLK_CAP_VOLATILE | PLX_BLK_CAP_SOFTWARE,
		.atomic_nblk = 1,
		.max_queues = NULL_QUEUES,
		.max_depth = NULL_DEPTH,
		.numa_node = -1,
	};
	strcpy(info->name, dev->name);
	return 0;
}

static int
null_attach(struct plx_dev *dev)
{
	struct plx_blk *blk = calloc(1, sizeof(*blk));
	int rc;

	if (blk == NULL)
		return -ENOMEM;
	rc = null_info(dev, &blk->info);
	if (rc == 0) {
		blk->ops = &null_ops;
		blk->dev = dev;
		rc = plx_blk_register(blk);
	}
	if (rc != 0) {
		free(blk);
		return rc;
	}
	dev->priv = blk;
	return 0;
}

static int
null_detach(struct plx_dev *dev)
{
	plx_blk_unregister(dev->priv);
	free(dev->priv);
	return 0;
}

static const char *const null_keys[] = {"size", "block", NULL};

extern const struct plx_driver plx_null_driver;
const struct plx_driver plx_null_driver = {
	.name = "null",
	.help = "null:size=SIZE[,block=512][,name=NAME]",
	.keys = null_keys,
	.attach = null_attach,
	.detach = null_detach,
	.secondary = true,
};
PLX_DRIVER_INFO(plx_null_driver);
