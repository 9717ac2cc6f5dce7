/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * "faulty:fault=NAME": a driver with one fault planted, which the suite must find; with
 * fault=none it is a good one. It has few blocks and segments a command and a boundary, so that
 * the class splits and bounces for it, and runs commands in poll.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "plx_blk_drv.h"
#include "plx_probe_drv.h"

#include "conf.h"

#define NBLOCKS 8192u
#define BS 512u
#define DEPTH 64u
#define MAX_NBLK 32u
#define BOUNDARY 56u

enum fault {
	NONE,
	DROP_SEGMENT,
	SHORT_SEGMENT,
	ALIGN_DOWN,
	MANY_SEGMENTS,
	OVERRUN,
	SCRIBBLE,
	WRITE_LBA_UP,
	READ_LBA_UP,
	PARTIAL_WRITE,
	PARTIAL_READ,
	SWAP_READS,
	TORN_WRITE,
	LATE_WRITE,
	ZEROES_SHORT,
	ZEROES_LONG,
	ZEROES_UNMAP,
	DISCARD_LONG,
	COMPARE_EQUAL,
	COMPARE_FIRST,
	COMPARE_STATUS,
	COPY_SHORT,
	COPY_ORDER,
	ERASE_NOTHING,
	NO_SEG_CHECK,
	NO_NULL_CHECK,
	STALE_STATUS,
	POSITIVE_STATUS,
	CLOBBER_USER,
	CLOBBER_SEGS,
	TWICE,
	NEVER,
	UNDERCOUNT,
	OVERCOUNT,
	SHALLOW,
	WRONG_QUEUE,
	STOP_LOSES,
	STOP_LIES,
	STOP_KEEPS,
	RESET_LOSES,
	STATS_OPS,
	STATS_ERRORS,
	NO_BOUNDARY,
	NO_INFLIGHT,
	FAULTS
};

const struct conf_fault conf_faults[] = {
	[NONE] = {"none", NULL},
	[DROP_SEGMENT] = {"drop_segment", "segments"},
	[SHORT_SEGMENT] = {"short_segment", "segments"},
	[ALIGN_DOWN] = {"align_down", "segments"},
	[MANY_SEGMENTS] = {"many_segments", "segments"},
	[OVERRUN] = {"overrun", "rw"},
	[SCRIBBLE] = {"scribble", "rw"},
	[WRITE_LBA_UP] = {"write_lba_up", "rw segments"},
	[READ_LBA_UP] = {"read_lba_up", "rw segments"},
	[PARTIAL_WRITE] = {"partial_write", "rw segments large"},
	[PARTIAL_READ] = {"partial_read", "rw segments large"},
	[SWAP_READS] = {"swap_reads", "rw depth queues random"},
	[TORN_WRITE] = {"torn_write", "generations"},
	[LATE_WRITE] = {"late_write", "depth generations"},
	[ZEROES_SHORT] = {"zeroes_short", "zeroes"},
	[ZEROES_LONG] = {"zeroes_long", "zeroes"},
	[ZEROES_UNMAP] = {"zeroes_unmap", "zeroes"},
	[DISCARD_LONG] = {"discard_long", "discard"},
	[COMPARE_EQUAL] = {"compare_equal", "compare"},
	[COMPARE_FIRST] = {"compare_first", "compare"},
	[COMPARE_STATUS] = {"compare_status", "compare"},
	[COPY_SHORT] = {"copy_short", "copy"},
	[COPY_ORDER] = {"copy_order", "copy"},
	[ERASE_NOTHING] = {"erase_nothing", "erase"},
	[NO_SEG_CHECK] = {"no_seg_check", "errors"},
	[NO_NULL_CHECK] = {"no_null_check", "errors"},
	[STALE_STATUS] = {"stale_status", "rw"},
	[POSITIVE_STATUS] = {"positive_status", "compare"},
	[CLOBBER_USER] = {"clobber_user", "rw"},
	[CLOBBER_SEGS] = {"clobber_segs", "segments"},
	[TWICE] = {"twice", "rw segments"},
	[NEVER] = {"never", "rw segments"},
	[UNDERCOUNT] = {"undercount", "end depth"},
	[OVERCOUNT] = {"overcount", "depth"},
	[SHALLOW] = {"shallow", "depth"},
	[WRONG_QUEUE] = {"wrong_queue", "queues"},
	[STOP_LOSES] = {"stop_loses", "stop"},
	[STOP_LIES] = {"stop_lies", "stop"},
	[STOP_KEEPS] = {"stop_keeps", "stop"},
	[RESET_LOSES] = {"reset_loses", "reset"},
	[STATS_OPS] = {"stats_ops", "rw"},
	[STATS_ERRORS] = {"stats_errors", "compare"},
	[NO_BOUNDARY] = {"no_boundary", "segments large rw"},
	[NO_INFLIGHT] = {"no_inflight", "rw depth"},
	[FAULTS] = {NULL, NULL},
};

struct faulty {
	struct plx_blk blk;
	enum fault fault;
	uint8_t media[NBLOCKS * BS];
	uint8_t late[NBLOCKS * BS]; /* LATE_WRITE: what the medium held a write ago */
	unsigned int count;         /* of commands */
};

struct faulty_queue {
	struct plx_drvq dq; /* first */
	struct faulty *f;
	struct plx_blk_req *cmds[DEPTH];
	uint32_t n;
	struct plx_blk_req *again; /* TWICE */
};

static bool
has_data(const struct plx_blk_req *req)
{
	return plx_op_has_data(req->op);
}

/* ---- running a command ---- */

static int
move(struct faulty *f, uint8_t op, uint8_t *at, uint8_t *addr, size_t len)
{
	if (f->fault == ALIGN_DOWN)
		addr = (uint8_t *)((uintptr_t)addr & ~(uintptr_t)3);
	switch (op) {
	case PLX_OP_READ:
		memcpy(addr, at, len);
		return 0;
	case PLX_OP_WRITE:
		memcpy(at, addr, len);
		return 0;
	default:
		return memcmp(at, addr, len) == 0 ? 0 : -EILSEQ;
	}
}

static int
move_segs(struct faulty *f, struct plx_blk_req *req, uint8_t *at, size_t len)
{
	struct plx_seg one = {req->buf, len};
	const struct plx_seg *segs = req->nseg == 0 ? &one : req->segs;
	uint32_t n = req->nseg == 0 ? 1 : req->nseg, i;
	size_t left = len, l;
	int rc = 0;

	if (f->fault == DROP_SEGMENT && n > 2)
		n--;
	if (f->fault == MANY_SEGMENTS)
		n = RTE_MIN(n, 24u);
	for (i = 0; i < n && left != 0 && rc == 0; i++) {
		l = RTE_MIN(segs[i].len, left);
		left -= l;
		if (f->fault == SHORT_SEGMENT && i == n - 1 && n > 1)
			l--;
		rc = move(f, req->op, at, segs[i].addr, l);
		at += segs[i].len;
	}
	if (f->fault == OVERRUN && req->op == PLX_OP_READ)
		((uint8_t *)segs[n - 1].addr)[segs[n - 1].len] = 0;
	if (f->fault == SCRIBBLE && req->op == PLX_OP_WRITE)
		((uint8_t *)segs[0].addr)[0] ^= 1;
	if (f->fault == CLOBBER_SEGS && req->nseg > 1)
		((struct plx_seg *)(uintptr_t)req->segs)[0].len++;
	return rc;
}

static int
data(struct faulty *f, struct plx_blk_req *req)
{
	uint64_t lba = req->lba;
	uint32_t nblk = req->nblk;

	if (nblk > 1 && lba + nblk < NBLOCKS &&
		((f->fault == WRITE_LBA_UP && req->op == PLX_OP_WRITE && lba % 8 == 7) ||
			(f->fault == READ_LBA_UP && req->op == PLX_OP_READ && lba % 8 == 7)))
		lba++;
	if ((f->fault == PARTIAL_WRITE && req->op == PLX_OP_WRITE && nblk == MAX_NBLK) ||
		(f->fault == PARTIAL_READ && req->op == PLX_OP_READ && nblk > 16))
		nblk--;
	if (f->fault == NO_BOUNDARY && req->op == PLX_OP_WRITE &&
		lba / BOUNDARY != (lba + nblk - 1) / BOUNDARY)
		nblk = (uint32_t)(BOUNDARY - lba % BOUNDARY);
	if (req->op == PLX_OP_COMPARE && f->fault == COMPARE_EQUAL)
		return 0;
	if (req->op == PLX_OP_COMPARE && f->fault == COMPARE_FIRST)
		nblk = 1;
	return move_segs(f, req, f->media + lba * BS, (size_t)nblk * BS);
}

static void
zeroes(struct faulty *f, const struct plx_blk_req *req)
{
	uint64_t lba = req->lba;
	uint32_t n = req->nblk;

	if (req->op == PLX_OP_DISCARD) {
		n += f->fault == DISCARD_LONG && n > 2 && lba + n < NBLOCKS;
	} else {
		if (f->fault == ZEROES_UNMAP && (req->flags & PLX_IO_UNMAP))
			return;
		n += f->fault == ZEROES_LONG && n % 4 == 3 && lba + n < NBLOCKS;
		n -= f->fault == ZEROES_SHORT && n % 4 == 3;
	}
	memset(f->media + lba * BS, 0, (size_t)n * BS);
}

static void
copy(struct faulty *f, const struct plx_blk_req *req)
{
	uint8_t *to = f->media + req->lba * BS;
	uint16_t i;

	for (i = 0; i < req->nseg; i++) {
		uint16_t at = f->fault == COPY_ORDER ? (uint16_t)(req->nseg - 1 - i) : i;
		size_t len = req->ranges[at].nblk * (size_t)BS;

		memcpy(to, f->media + req->ranges[at].lba * BS,
			f->fault == COPY_SHORT && len > 4 * BS ? len - BS : len);
		to += len;
	}
}

/* Now and then a write to a block comes with the data of the write before. */
static void
late(struct faulty *f, const struct plx_blk_req *req)
{
	uint8_t *at = f->media + req->lba * BS, *old = f->late + req->lba * BS, tmp[BS];

	if (req->op != PLX_OP_WRITE || req->lba >= 16 || req->nblk != 1)
		return;
	memcpy(tmp, at, BS);
	if (f->count % 50 == 0)
		memcpy(at, old, BS);
	memcpy(old, tmp, BS);
}

static int
run(struct faulty *f, struct plx_blk_req *req)
{
	uint8_t *at = f->media + req->lba * BS;
	int rc = 0;

	f->count++;
	if (req->op == PLX_OP_WRITE_ZEROES || req->op == PLX_OP_DISCARD) {
		zeroes(f, req);
	} else if (req->op == PLX_OP_COPY) {
		copy(f, req);
	} else if (req->op == PLX_OP_SECURE_ERASE && f->fault != ERASE_NOTHING) {
		memset(at, 0, (size_t)req->nblk * BS);
	} else if (has_data(req)) {
		/* a writer that is interrupted half-way through a block */
		if (f->fault == TORN_WRITE && req->op == PLX_OP_WRITE && req->lba < 16 &&
			f->count % 50 == 0) {
			uint8_t old[BS / 2];

			memcpy(old, at, sizeof(old));
			rc = data(f, req);
			if (req->nblk == 3)
				memcpy(at, old, sizeof(old));
		} else {
			rc = data(f, req);
		}
	}
	if (f->fault == LATE_WRITE)
		late(f, req);
	if (f->fault == COMPARE_STATUS && rc == -EILSEQ)
		rc = -EIO;
	if (f->fault == POSITIVE_STATUS)
		rc = -rc;
	return rc;
}

static void
finish(struct faulty *f, struct plx_blk_req *req)
{
	int rc = run(f, req);

	if (f->fault != STALE_STATUS || rc != 0 || (req->flags & PLX_IO_CHILD))
		req->status = rc;
	if (f->fault == CLOBBER_USER && !(req->flags & PLX_IO_CHILD))
		req->user = NULL;
}

/* ---- the queue ---- */

static int
issue(struct plx_drvq *dq, struct plx_blk_req *req)
{
	struct faulty_queue *fq = (struct faulty_queue *)dq;
	enum fault fault = fq->f->fault;
	size_t len = (size_t)req->nblk * BS;

	if (fq->n >= (fault == SHALLOW ? dq->q.depth - 1u + (dq->q.depth < 4) : dq->q.depth))
		return -EAGAIN;
	if (has_data(req) && req->nseg == 0 && req->buf == NULL && fault != NO_NULL_CHECK)
		return -EINVAL;
	if (has_data(req) && req->nseg != 0 && fault != NO_SEG_CHECK && !plx_req_data_ok(req, len))
		return -EINVAL;
	if (has_data(req) && (req->nseg != 0 ? req->segs == NULL : req->buf == NULL)) {
		req->status = 0; /* only NO_..._CHECK come here: they do nothing, well */
		plx_drvq_finish(dq, req, 0);
		return 0;
	}
	fq->cmds[fq->n++] = req;
	return 0;
}

static uint16_t
submit(struct plx_blkq *q, struct plx_blk_req *const *reqs, uint16_t n)
{
	struct faulty_queue *fq = (struct faulty_queue *)q;
	struct plx_drvq *dq = &fq->dq;
	uint16_t i;
	int rc;

	for (i = 0; i < n; i++) {
		bool plain = plx_drvq_plain(dq, reqs[i]);

		/* it doesn't know its boundary */
		if (fq->f->fault == NO_BOUNDARY && reqs[i]->op == PLX_OP_WRITE &&
			reqs[i]->nblk - 1 < MAX_NBLK && reqs[i]->lba + MAX_NBLK < NBLOCKS)
			plain = true;
		rc = plain ? issue(dq, reqs[i]) : 0;
		if (plain && rc == 0)
			plx_drvq_count_ops(
				dq, reqs[i]->op, fq->f->fault != STATS_OPS, reqs[i]->nblk);
		else if (rc == -EAGAIN || plx_drvq_submit_slow(dq, reqs[i], rc) != 0)
			break;
	}
	if (fq->f->fault == NO_INFLIGHT)
		return i;
	if (fq->f->fault == OVERCOUNT && i < n)
		i++;
	plx_drvq_count_submit(dq, i);
	if (fq->f->fault == UNDERCOUNT && i != 0 && fq->n == dq->q.depth)
		i--;
	return i;
}

static struct plx_blk_req *
take(struct faulty_queue *fq)
{
	struct plx_blk_req *req, *a, *b, tmp;

	if (fq->again != NULL) {
		req = fq->again;
		fq->again = NULL;
		return req;
	}
	if (fq->n == 0)
		return NULL;
	/* oldest first, but every third time the newest */
	if (fq->f->fault == SWAP_READS && fq->n > 1) {
		a = fq->cmds[0];
		b = fq->cmds[1];
		if (a->op == PLX_OP_READ && b->op == PLX_OP_READ && a->nblk == b->nblk) {
			tmp = *a;
			a->lba = b->lba;
			finish(fq->f, a);
			a->lba = tmp.lba;
			memmove(fq->cmds, fq->cmds + 1, --fq->n * sizeof(a));
			return a;
		}
	}
	if (fq->f->count % 3 == 2) {
		req = fq->cmds[--fq->n];
	} else {
		req = fq->cmds[0];
		memmove(fq->cmds, fq->cmds + 1, --fq->n * sizeof(req));
	}
	finish(fq->f, req);
	if (fq->f->fault == NEVER && fq->f->count % 100 == 0)
		return NULL;
	if (fq->f->fault == TWICE && fq->f->count % 100 == 0 && !(req->flags & PLX_IO_CHILD))
		fq->again = req;
	return req;
}

static uint16_t
poll_queue(struct plx_blkq *q, struct plx_blk_req **reqs, uint16_t n)
{
	struct faulty_queue *fq = (struct faulty_queue *)q;
	struct plx_drvq *dq = &fq->dq;
	uint16_t popped = plx_drvq_pop(dq, reqs, n), i = 0, errors = 0;
	struct plx_blk_req *req;

	/* a bystander's completion */
	if (fq->f->fault == WRONG_QUEUE && q->qid == 0 && fq->f->blk.info.nb_queues > 1 &&
		fq->n < 4)
		fq = (struct faulty_queue *)fq->f->blk.queues[1];
	while (popped + i < n && (req = take(fq)) != NULL) {
		req = plx_drvq_resolve(dq, req);
		if (req == NULL)
			continue;
		errors = (uint16_t)(errors + (req->status != 0));
		reqs[popped + i++] = req;
	}
	if (dq->split_active != 0)
		plx_drvq_pump(dq);
	if (fq->f->fault == NO_INFLIGHT)
		q->inflight += popped + i;
	return plx_drvq_count_poll(
		dq, popped, i, fq->f->fault == STATS_ERRORS ? (uint16_t)(errors / 2) : errors);
}

/* ---- control ---- */

static int
queue_setup(
	struct plx_blk *blk, uint16_t qid, const struct plx_blkq_conf *conf, struct plx_drvq **dq)
{
	struct faulty_queue *fq = aligned_alloc(64, sizeof(*fq));

	if (fq == NULL)
		return -ENOMEM;
	memset(fq, 0, sizeof(*fq));
	fq->f = blk->priv;
	fq->dq.submit = submit;
	fq->dq.poll = poll_queue;
	fq->dq.issue = issue;
	*dq = &fq->dq;
	return plx_drvq_init(&fq->dq, blk, qid, conf, 0);
}

static void
queue_release(struct plx_blk *blk, struct plx_drvq *dq)
{
	plx_drvq_fini(dq);
	free(dq);
}

static int
halt(struct plx_blk *blk, enum fault loses)
{
	struct faulty *f = blk->priv;
	uint16_t i;

	for (i = 0; i < blk->info.nb_queues; i++) {
		struct faulty_queue *fq = (struct faulty_queue *)blk->queues[i];

		if (f->fault == STOP_KEEPS && loses == STOP_LOSES && fq->n != 0)
			plx_drvq_finish(&fq->dq, fq->cmds[0], -ECANCELED);
		if (f->fault == STOP_KEEPS && loses == STOP_LOSES)
			continue;
		if (f->fault == loses && fq->n != 0)
			fq->n--;
		while (fq->n != 0)
			plx_drvq_finish(&fq->dq, fq->cmds[--fq->n],
				f->fault == STOP_LIES && loses == STOP_LOSES ? 0 : -ECANCELED);
	}
	return 0;
}

static int
stop(struct plx_blk *blk)
{
	return halt(blk, STOP_LOSES);
}

static int
reset(struct plx_blk *blk)
{
	return halt(blk, RESET_LOSES);
}

static const struct plx_blk_ops ops = {
	.queue_setup = queue_setup,
	.queue_release = queue_release,
	.stop = stop,
	.reset = reset,
};

static int
attach(struct plx_dev *dev)
{
	const char *name = plx_arg_str(dev, "fault");
	struct faulty *f;
	int i, rc;

	for (i = 0; i < FAULTS && name != NULL && strcmp(name, conf_faults[i].name) != 0; i++)
		;
	if (name == NULL || i == FAULTS)
		return plx_arg_bad(dev, "fault", "is not known");
	f = calloc(1, sizeof(*f));
	if (f == NULL)
		return -ENOMEM;
	f->fault = (enum fault)i;
	f->blk.info = (struct plx_blk_info){
		.driver = "faulty",
		.nblocks = NBLOCKS,
		.block_size = BS,
		.caps = PLX_BLK_CAP_WRITE_ZEROES | PLX_BLK_CAP_DISCARD | PLX_BLK_CAP_COMPARE |
			PLX_BLK_CAP_VERIFY | PLX_BLK_CAP_FUA | PLX_BLK_CAP_VOLATILE |
			PLX_BLK_CAP_COPY | PLX_BLK_CAP_SECURE_ERASE,
		.max_nblk = MAX_NBLK,
		.max_zeroes_nblk = 100,
		.max_discard_nblk = 100,
		.max_copy_nblk = 50,
		.max_copy_range_nblk = 20,
		.max_copy_ranges = 5,
		.boundary_nblk = f->fault == NO_BOUNDARY || f->fault == NONE ? BOUNDARY : 0,
		.max_queues = 4,
		.max_depth = DEPTH,
		.numa_node = -1,
	};
	strcpy(f->blk.info.name, dev->name);
	f->blk.ops = &ops;
	f->blk.priv = f;
	f->blk.dev = dev;
	dev->priv = f;
	rc = plx_blk_register(&f->blk);
	if (rc != 0)
		free(f);
	return rc;
}

static int
detach(struct plx_dev *dev)
{
	struct faulty *f = dev->priv;

	plx_blk_unregister(&f->blk);
	free(f);
	return 0;
}

static const char *const keys[] = {"fault", NULL};
static const struct plx_driver driver = {
	.name = "faulty",
	.help = "faulty:fault=NAME",
	.keys = keys,
	.attach = attach,
	.detach = detach,
};

int
conf_faulty_register(void)
{
	return plx_driver_register(&driver);
}
