/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ram: a block device in this process' memory.
 *
 *	ram:size=1G[,block=512][,max_io=SIZE][,boundary=SIZE][,delay=US]
 *	    [,meta=BYTES][,pi=1|2|3][,guard=16|64][,pi_first=0|1]
 *	    [,file=PATH[,cache=0|1]][,error_every=N ...]
 *	    [,zone=SIZE[,zcap=SIZE][,max_open=N][,max_active=N]][,name=r0]
 *
 * The driver to copy from: submit() runs a command with memcpy and puts the request into a ring
 * of finished ones, poll() hands them out. max_io and boundary are limits that the class splits
 * at; delay is how long a command takes; faults are ram_fault.c's, blocks with metadata
 * ram_meta.c's, zones ram_zone.c's, a file behind it all is ram_file.c's. Memory is taken when a
 * block is first written.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>

#include <rte_cycles.h>

#include "plx_log.h"
#include "plx_mem.h"

#include "ram_priv.h"

PLX_LOG_TYPE(ram, NOTICE);

#define RAM_QUEUES 64
#define RAM_DEPTH 4096
/* zeroing this much frees the pages rather than writing them */
#define RAM_GIVE_BACK (256u << 10)

/* A command that has been run. */
struct ram_done {
	struct plx_blk_req *req;
	uint64_t due;
};

struct ram_queue {
	struct plx_drvq dq; /* first */
	struct ram *ram;
	uint32_t head, tail, mask;   /* of ring: head next to hand out */
	uint32_t faults[RAM_FAULTS]; /* commands since the last of each */
	struct ram_done ring[];
};

/* ---- running commands ---- */

void
ram_zero(uint8_t *at, size_t len)
{
	uint8_t *page = RTE_PTR_ALIGN_CEIL(at, 4096), *end = RTE_PTR_ALIGN_FLOOR(at + len, 4096);

	if (len < RAM_GIVE_BACK || madvise(page, (size_t)(end - page), MADV_DONTNEED) != 0) {
		memset(at, 0, len);
		return;
	}
	memset(at, 0, (size_t)(page - at));
	memset(end, 0, (size_t)(at + len - end));
}

static int
ram_move(uint8_t op, uint8_t *at, void *buf, size_t len)
{
	switch (op) {
	case PLX_OP_READ:
		memcpy(buf, at, len);
		return 0;
	case PLX_OP_WRITE:
	case PLX_OP_ZONE_APPEND:
		memcpy(at, buf, len);
		return 0;
	default:
		return memcmp(at, buf, len) == 0 ? 0 : -EILSEQ;
	}
}

int
ram_data(const struct plx_blk_req *req, uint8_t *at, size_t len)
{
	uint16_t i;
	int rc = 0;

	if (!plx_req_data_ok(req, len))
		return -EINVAL;
	if (req->nseg == 0)
		return ram_move(req->op, at, req->buf, len);
	for (i = 0; i < req->nseg && rc == 0; i++) {
		rc = ram_move(req->op, at, req->segs[i].addr, req->segs[i].len);
		at += req->segs[i].len;
	}
	return rc;
}

static void
ram_copy(const struct ram *ram, const struct plx_blk_req *req)
{
	uint32_t bs = ram->blk.info.block_size;
	uint8_t *to = ram->base + req->lba * bs;
	uint16_t i;

	for (i = 0; i < req->nseg; i++) {
		size_t len = (size_t)req->ranges[i].nblk * bs;

		memcpy(to, ram->base + req->ranges[i].lba * bs, len);
		to += len;
	}
}

/* What has to go through the zones first: where it writes to is in lba then. */
static int
ram_run_zoned(struct ram *ram, struct plx_blk_req *req, uint64_t *lba)
{
	bool append = req->op == PLX_OP_ZONE_APPEND;
	int rc;

	switch (req->op) {
	case PLX_OP_WRITE:
	case PLX_OP_ZONE_APPEND:
		if (!plx_req_data_ok(req, (size_t)req->nblk * ram->blk.info.block_size))
			return -EINVAL;
		/* fall through */
	case PLX_OP_WRITE_ZEROES:
	case PLX_OP_COPY:
		rc = ram_zone_write(ram, lba, req->nblk, append);
		if (append)
			req->result = *lba;
		return rc;
	case PLX_OP_ZONE_REPORT:
		req->result = ram_zone_report(ram, req);
		return 0;
	case PLX_OP_ZONE_OPEN:
	case PLX_OP_ZONE_CLOSE:
	case PLX_OP_ZONE_FINISH:
	case PLX_OP_ZONE_RESET:
		return ram_zone_manage(ram, req);
	default:
		return 0;
	}
}

int
ram_medium(const struct ram *ram, const struct plx_blk_req *req, uint64_t lba)
{
	size_t bs = ram->blk.info.block_size, len = req->nblk * bs;
	uint8_t *at = ram->base + lba * bs;

	switch (req->op) {
	case PLX_OP_WRITE_ZEROES:
	case PLX_OP_DISCARD:
	case PLX_OP_SECURE_ERASE:
		ram_zero(at, len);
		return 0;
	case PLX_OP_VERIFY:
		return 0;
	case PLX_OP_COPY:
		ram_copy(ram, req);
		return 0;
	default:
		return ram_data(req, at, len);
	}
}

int
ram_honest(struct ram *ram, struct plx_blk_req *req)
{
	uint64_t lba = req->lba;
	int rc;

	if (ram->meta != NULL)
		return ram_meta_run(ram, req);
	if (ram->file != NULL)
		return ram_file_run(ram, req);
	if (ram->zones != NULL) {
		rc = ram_run_zoned(ram, req, &lba);
		if (rc != 0 || (req->op > PLX_OP_ZONE_APPEND && req->op <= PLX_OP_ZONE_REPORT))
			return rc;
	}
	return ram_medium(ram, req, lba);
}

/* ---- the queue ---- */

static int
ram_issue(struct plx_drvq *dq, struct plx_blk_req *req)
{
	struct ram_queue *rq = (struct ram_queue *)dq;
	struct ram_done *done = &rq->ring[rq->tail & rq->mask];
	struct ram *ram = rq->ram;
	uint64_t delay = ram->delay;

	if (rq->tail - rq->head == dq->q.depth)
		return -EAGAIN;
	req->raw = 0;
	req->status = unlikely(ram->faults.any) ? ram_fault_run(ram, rq->faults, req)
						: ram_honest(ram, req);
	if (req->status == -EINVAL)
		return -EINVAL;
	done->req = req;
	if (unlikely(ram->faults.slow != 0))
		delay += ram_fault_delay(&ram->faults, rq->faults);
	done->due = delay != 0 ? rte_rdtsc() + delay : 0;
	rq->tail++;
	return 0;
}

static uint16_t
ram_submit(struct plx_blkq *q, struct plx_blk_req *const *reqs, uint16_t n)
{
	struct plx_drvq *dq = (struct plx_drvq *)q;
	uint16_t i;
	int rc;

	for (i = 0; i < n; i++) {
		bool plain = plx_drvq_plain(dq, reqs[i]);

		rc = plain ? ram_issue(dq, reqs[i]) : 0;
		if (likely(plain && rc == 0)) {
			plx_trace_submit(dq, reqs[i]);
			plx_drvq_count_ops(dq, reqs[i]->op, 1, reqs[i]->nblk);
		} else if (rc == -EAGAIN || plx_drvq_submit_slow(dq, reqs[i], rc) != 0) {
			break;
		}
	}
	return plx_drvq_count_submit(dq, i);
}

/* A command that ran is only waiting for its time: the request goes before that. */
static int
ram_cancel(struct plx_drvq *dq, struct plx_blk_req *req)
{
	struct ram_queue *rq = (struct ram_queue *)dq;
	uint32_t i;

	for (i = rq->head; i != rq->tail && rq->ring[i & rq->mask].req != req; i++)
		;
	if (i == rq->tail || rq->ring[i & rq->mask].due <= rte_rdtsc())
		return -ENOENT;
	rq->ring[i & rq->mask].req = NULL;
	plx_drvq_finish(dq, req, -ECANCELED);
	return 0;
}

static uint16_t
ram_poll(struct plx_blkq *q, struct plx_blk_req **reqs, uint16_t n)
{
	struct ram_queue *rq = (struct ram_queue *)q;
	struct plx_drvq *dq = &rq->dq;
	uint64_t now = (rq->ram->delay | rq->ram->faults.slow) != 0 ? rte_rdtsc() : 0;
	uint16_t popped = 0, i = 0, errors = 0;
	struct plx_blk_req *req;

	if (unlikely(dq->done != NULL))
		popped = plx_drvq_pop(dq, reqs, n);
	for (; popped + i < n && rq->head != rq->tail; rq->head++) {
		if (rq->ring[rq->head & rq->mask].due > now)
			break;
		req = rq->ring[rq->head & rq->mask].req;
		if (req != NULL)
			req = plx_drvq_resolve(dq, req);
		if (req == NULL) /* cancelled; or a part of a request, others are still out */
			continue;
		errors = (uint16_t)(errors + (req->status != 0));
		plx_trace_complete(dq, req);
		reqs[popped + i++] = req;
	}
	if (unlikely(dq->split_active != 0))
		plx_drvq_pump(dq);
	return plx_drvq_count_poll(dq, popped, i, errors);
}

/* ---- control; under the control lock ---- */

static int
ram_queue_setup(
	struct plx_blk *blk, uint16_t qid, const struct plx_blkq_conf *conf, struct plx_drvq **dq)
{
	uint32_t entries = rte_align32pow2(conf->depth);
	struct ram_queue *rq;
	int rc;

	rq = plx_mem_alloc(sizeof(*rq) + entries * sizeof(rq->ring[0]), 0, conf->socket);
	if (rq == NULL)
		return -ENOMEM;
	rq->ram = blk->priv;
	rq->mask = entries - 1;
	rq->dq.submit = ram_submit;
	rq->dq.poll = ram_poll;
	rq->dq.issue = ram_issue;
	rc = plx_drvq_init(&rq->dq, blk, qid, conf, 0);
	rq->dq.cancel = ram_cancel;
	if (rc != 0) {
		plx_mem_free(rq);
		return rc;
	}
	*dq = &rq->dq;
	return 0;
}

static void
ram_queue_release(struct plx_blk *blk, struct plx_drvq *dq)
{
	plx_drvq_fini(dq);
	plx_mem_free(dq);
}

/* Stop and reset: what is due comes back as it ended, the rest is cancelled. */
static int
ram_stop(struct plx_blk *blk)
{
	uint64_t now = rte_rdtsc();
	uint16_t i;

	for (i = 0; i < blk->info.nb_queues; i++) {
		struct ram_queue *rq = (struct ram_queue *)blk->queues[i];

		for (; rq != NULL && rq->head != rq->tail; rq->head++) {
			struct ram_done *done = &rq->ring[rq->head & rq->mask];

			if (done->req != NULL)
				plx_drvq_finish(&rq->dq, done->req,
					done->due > now ? -ECANCELED : done->req->status);
		}
	}
	return 0;
}

static const struct plx_blk_ops ram_ops = {
	.queue_setup = ram_queue_setup,
	.queue_release = ram_queue_release,
	.stop = ram_stop,
	.reset = ram_stop,
};

/* ---- attach and detach ---- */

static int
ram_args(struct plx_dev *dev, struct ram *ram)
{
	struct plx_blk_info *info = &ram->blk.info;
	uint64_t size, max_io, boundary;
	uint32_t block, delay;
	int rc;

	if (dev->addr[0] != '\0' || plx_arg_str(dev, "size") == NULL)
		return plx_arg_bad(dev, "size", "is missing");
	if (plx_arg_size(dev, "size", 0, &size) != 0 ||
		plx_arg_u32(dev, "block", 512, RAM_BLOCK_MAX, 512, &block) != 0 ||
		plx_arg_size(dev, "max_io", 0, &max_io) != 0 ||
		plx_arg_size(dev, "boundary", 0, &boundary) != 0 ||
		plx_arg_u32(dev, "delay", 0, 10000000, 0, &delay) != 0 ||
		ram_fault_args(dev, &ram->faults) != 0)
		return -EINVAL;
	if (!rte_is_power_of_2(block))
		return plx_arg_bad(dev, "block", "is not a power of two");
	if (size == 0 || size % block != 0 || size > INT64_MAX)
		return plx_arg_bad(dev, "size", "is not a multiple of the block size");
	if (max_io % block != 0 || max_io / block > UINT32_MAX)
		return plx_arg_bad(dev, "max_io", "is not a multiple of the block size");
	if (boundary % block != 0 || boundary / block > UINT32_MAX)
		return plx_arg_bad(dev, "boundary", "is not a multiple of the block size");

	ram->delay = delay * (rte_get_tsc_hz() / 1000000);
	info->nblocks = size / block;
	info->block_size = block;
	info->max_nblk = info->max_zeroes_nblk = info->max_discard_nblk = info->max_copy_nblk =
		(uint32_t)(max_io / block);
	info->boundary_nblk = (uint32_t)(boundary / block);
	rc = ram_meta_args(dev, info);
	return rc == 0 ? ram_zones_args(dev, ram) : rc;
}

static void
ram_info(struct plx_dev *dev, struct plx_blk_info *info)
{
	strcpy(info->name, dev->name);
	strcpy(info->driver, "ram");
	strcpy(info->model, "Pollux RAM disk");
	/* volatile: another identity each time */
	if (getrandom(info->nguid, sizeof(info->nguid), 0) < 0)
		memset(info->nguid, 0, sizeof(info->nguid));
	info->caps = PLX_BLK_CAP_FUA | PLX_BLK_CAP_WRITE_ZEROES | PLX_BLK_CAP_COMPARE |
		     PLX_BLK_CAP_VERIFY | PLX_BLK_CAP_SGL | PLX_BLK_CAP_VOLATILE |
		     PLX_BLK_CAP_SOFTWARE;
	if (info->zone_nblk == 0)
		info->caps |= PLX_BLK_CAP_DISCARD;
	if (info->meta_size == 0)
		info->caps |= PLX_BLK_CAP_COPY;
	if (info->zone_nblk == 0 && info->meta_size == 0)
		info->caps |= PLX_BLK_CAP_SECURE_ERASE;
	info->atomic_nblk = 1;
	info->max_queues = RAM_QUEUES;
	info->max_depth = RAM_DEPTH;
	info->numa_node = -1;
}

static int
ram_attach(struct plx_dev *dev)
{
	struct ram *ram = calloc(1, sizeof(*ram));
	size_t size;
	int rc = -ENOMEM;

	if (ram == NULL)
		return rc;
	rc = ram_args(dev, ram);
	if (rc != 0)
		goto err_free;
	ram_info(dev, &ram->blk.info);
	size = ram->blk.info.nblocks * ram->blk.info.block_size;
	ram->base = mmap(NULL, size, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (ram->base == MAP_FAILED) {
		PLX_LOG(ERR, "ram: %s: no room for %zu bytes: %s", dev->name, size,
			strerror(errno));
		rc = -ENOMEM;
		goto err_free;
	}
	madvise(ram->base, size, MADV_HUGEPAGE);
	rc = ram_meta_alloc(ram);
	if (rc == 0)
		rc = ram_file_attach(dev, ram);
	if (rc != 0)
		goto err_unmap;
	ram->blk.ops = &ram_ops;
	ram->blk.priv = ram;
	ram->blk.dev = dev;
	rc = plx_blk_register(&ram->blk);
	if (rc != 0)
		goto err_unmap;
	dev->priv = ram;
	return 0;

err_unmap:
	ram_file_free(ram);
	ram_meta_free(ram);
	munmap(ram->base, size);
err_free:
	free(ram->zones);
	free(ram);
	return rc;
}

static int
ram_detach(struct plx_dev *dev)
{
	struct ram *ram = dev->priv;

	plx_blk_unregister(&ram->blk);
	ram_file_free(ram);
	ram_meta_free(ram);
	munmap(ram->base, ram->blk.info.nblocks * ram->blk.info.block_size);
	free(ram->zones);
	free(ram);
	return 0;
}

static const char *const ram_keys[] = {"size", "block", "max_io", "boundary", "file", "cache",
	"delay", "error_read", "error_write", "error_every", "error", "slow", "slow_every",
	"lose_every", "tear_every", "flip_every", "lose_flush", "meta", "pi", "guard", "pi_first",
	"zone", "zcap", "max_open", "max_active", NULL};

extern const struct plx_driver plx_ram_driver;
const struct plx_driver plx_ram_driver = {
	.name = "ram",
	.help = "ram:size=SIZE[,block=512][,max_io=SIZE][,boundary=SIZE][,delay=US]"
		"[,meta=BYTES][,pi=1|2|3][,guard=16|64][,pi_first=0|1]"
		"[,file=PATH[,cache=0|1][,lose_flush=0|1]]"
		"[,error_read=LBA[-LBA]][,error_write=LBA[-LBA]][,error_every=N][,error=ERRNO]"
		"[,slow_every=N,slow=US][,lose_every=N][,tear_every=N][,flip_every=N]"
		"[,zone=SIZE[,zcap=SIZE][,max_open=N][,max_active=N]][,name=NAME]",
	.keys = ram_keys,
	.attach = ram_attach,
	.detach = ram_detach,
	.secondary = true,
};
PLX_DRIVER_INFO(plx_ram_driver);
