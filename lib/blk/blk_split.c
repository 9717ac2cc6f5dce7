/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Splitting and bouncing: a request that one command can't run becomes a parent, its commands
 * are children, and the driver sees only children. Parents wait in order of arrival for
 * children, bounce buffers and room in the device; plx_drvq_pump() moves them on. Everything
 * here belongs to the queue's owner, or to control code that has taken the queue over.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "plx_mem.h"

#include "blk_priv.h"

#define NB_CHILDREN 32
#define NB_BOUNCE 4
#define CHILD_SEGS 64
#define CPU_BOUNCE_UNIT 16384
#define BOUNCE_ALIGN 4096

/* A place in a request's segments. */
struct cursor {
	uint32_t seg;
	size_t off;
};

struct parent {
	TAILQ_ENTRY(parent) link; /* in pending, while there is something left to issue */
	struct plx_blk_req *req;
	const struct plx_seg *segs;
	struct plx_seg one; /* for nseg 0 */
	uint32_t nseg;
	uint32_t unit;       /* bytes of a block; of the whole data for PLX_OP_NVME */
	uint32_t nblk;       /* in all */
	uint32_t next;       /* blocks issued */
	struct cursor at;    /* the place of block next */
	struct child *ready; /* the next child, which found no room */
	bool in_sequence;    /* a child is issued when the one before is back */
	uint32_t out;        /* children at the device */
	uint32_t commands;
	bool pending;
	int status; /* of the failed child with the lowest block */
	uint16_t raw;
	uint64_t failed; /* that block */
};

struct child {
	struct plx_blk_req req;
	struct parent *parent;
	struct plx_blk_ext ext;
	uint8_t *bounce;     /* NULL: direct */
	struct cursor start; /* where its data begins in the parent's */
	size_t len;
	union {
		struct plx_seg segs[CHILD_SEGS];
		struct plx_copy_range ranges[CHILD_SEGS];
	};
};

/* Pools hand out what came back last; what was never used is never touched. */
struct pool {
	uint32_t used, nfree;
	uint16_t *free;
};

struct plx_split {
	TAILQ_HEAD(, parent) pending;
	struct pool parent_pool, child_pool, bounce_pool;
	uint16_t child_free[NB_CHILDREN], bounce_free[NB_BOUNCE];
	size_t bounce_unit;
	int socket;
	bool cpu;         /* the bounce memory is libc's */
	uint32_t tainted; /* bounce buffers that a peer may still write into */
	uint32_t max_segs;
	uint8_t *bounce;
	struct child children[NB_CHILDREN];
	struct parent parents[]; /* q.depth of them, then their pool's free list */
};

static int
pool_get(struct pool *p, uint32_t size)
{
	if (p->nfree != 0)
		return p->free[--p->nfree];
	return p->used < size ? (int)p->used++ : -1;
}

static void
pool_put(struct pool *p, long i)
{
	p->free[p->nfree++] = (uint16_t)i;
}

/* Bounce memory that a peer may still write into, until its device is detached. Under the control
 * lock. */
static struct kept {
	struct kept *next;
	const struct plx_dev *dev;
	void *mem;
} * kept;

static void
keep(const struct plx_drvq *dq)
{
	struct kept *k = malloc(sizeof(*k));

	if (k == NULL)
		return; /* without memory to note it, a leak is the safe way out */
	*k = (struct kept){kept, dq->q.blk->dev, dq->split->bounce};
	kept = k;
}

void
plx_blk_detached(const struct plx_dev *dev)
{
	struct kept **at = &kept, *k;

	while ((k = *at) != NULL) {
		if (k->dev != dev) {
			at = &k->next;
			continue;
		}
		*at = k->next;
		plx_mem_free(k->mem);
		free(k);
	}
}

static uint8_t *
bounce_alloc(const struct plx_split *s)
{
	return plx_mem_alloc(NB_BOUNCE * s->bounce_unit, BOUNCE_ALIGN, s->socket);
}

int
blk_split_init(struct plx_drvq *dq, size_t bounce_unit, int socket)
{
	/* as many parents as requests: a device may have to bounce every one of them */
	size_t size =
		sizeof(struct plx_split) + dq->q.depth * (sizeof(struct parent) + sizeof(uint16_t));
	struct plx_split *s =
		aligned_alloc(RTE_CACHE_LINE_SIZE, RTE_ALIGN_CEIL(size, RTE_CACHE_LINE_SIZE));

	if (s == NULL)
		return -ENOMEM;
	memset(s, 0, offsetof(struct plx_split, children));
	TAILQ_INIT(&s->pending);
	s->parent_pool.free = (uint16_t *)&s->parents[dq->q.depth];
	s->child_pool.free = s->child_free;
	s->bounce_pool.free = s->bounce_free;
	s->max_segs = CHILD_SEGS;
	if (dq->q.blk->info.max_segs != 0)
		s->max_segs = RTE_MIN(s->max_segs, dq->q.blk->info.max_segs);
	s->cpu = bounce_unit == 0;
	if (s->cpu)
		bounce_unit = RTE_MAX(CPU_BOUNCE_UNIT, dq->block_size);
	s->bounce_unit = RTE_ALIGN_FLOOR(bounce_unit, dq->block_size);
	s->socket = socket;
	s->bounce = s->cpu ? aligned_alloc(BOUNCE_ALIGN, NB_BOUNCE * bounce_unit) : bounce_alloc(s);
	if (s->bounce == NULL) {
		free(s);
		return -ENOMEM;
	}
	dq->split = s;
	return 0;
}

void
blk_split_fini(struct plx_drvq *dq)
{
	struct plx_split *s = dq->split;

	if (s == NULL)
		return;
	if (s->cpu)
		free(s->bounce);
	else if (s->tainted != 0)
		keep(dq);
	else
		plx_mem_free(s->bounce);
	free(s);
	dq->split = NULL;
}

void
blk_split_renew(struct plx_drvq *dq)
{
	struct plx_split *s = dq->split;
	uint8_t *mem;

	if (s->tainted == 0 || s->bounce_pool.used - s->bounce_pool.nfree != s->tainted)
		return;
	mem = bounce_alloc(s);
	if (mem == NULL)
		return;
	keep(dq);
	s->bounce = mem;
	s->tainted = s->bounce_pool.used = s->bounce_pool.nfree = 0;
}

/* ---- segments ---- */

/* The next piece of at most want bytes at a place, which moves behind it. */
static struct plx_seg
piece(const struct parent *p, struct cursor *at, size_t want)
{
	struct plx_seg seg;

	while (p->segs[at->seg].len == at->off) {
		at->seg++;
		at->off = 0;
	}
	seg.addr = (uint8_t *)p->segs[at->seg].addr + at->off;
	seg.len = RTE_MIN(want, p->segs[at->seg].len - at->off);
	at->off += seg.len;
	return seg;
}

/* Segments of up to want bytes from the parent's place on; how many bytes they hold. */
static size_t
gather(const struct parent *p, struct child *c, uint32_t max_segs, size_t want)
{
	struct cursor at = p->at;
	size_t got = 0;
	uint16_t n;

	for (n = 0; n < max_segs && got < want; n++) {
		c->segs[n] = piece(p, &at, want - got);
		got += c->segs[n].len;
	}
	c->req.nseg = n;
	return got;
}

static void
copy_data(const struct parent *p, struct cursor at, uint8_t *bounce, size_t len, bool in)
{
	while (len != 0) {
		struct plx_seg seg = piece(p, &at, len);

		if (in)
			memcpy(bounce, seg.addr, seg.len);
		else
			memcpy(seg.addr, bounce, seg.len);
		bounce += seg.len;
		len -= seg.len;
	}
}

static void
advance(struct parent *p, size_t len)
{
	while (len != 0)
		len -= piece(p, &p->at, len).len;
}

/* ---- children ---- */

static bool
moves_data(const struct parent *p)
{
	return p->nseg != 0;
}

static bool
to_device(const struct plx_blk_req *req)
{
	if (req->op == PLX_OP_NVME)
		return req->ext->nvme->to_device;
	return req->op != PLX_OP_READ && req->op != PLX_OP_ZONE_REPORT;
}

/* Blocks of the next command, as far as the range goes. */
static uint32_t
cut(const struct plx_drvq *dq, const struct parent *p)
{
	const struct plx_blk_info *info = &dq->q.blk->info;
	uint32_t n = p->nblk - p->next, b = info->boundary_nblk;

	if (blk_never_cut(p->req))
		return n;
	n = RTE_MIN(n, blk_cmd_max(info, p->req->op));
	if (b != 0 && p->req->op != PLX_OP_COPY && p->req->op != PLX_OP_ZONE_REPORT)
		n = RTE_MIN(n, b - (uint32_t)((p->req->lba + p->next) % b));
	return n;
}

/* Give the child ranges of up to n blocks of a copy, from where the parent stands. @return blocks
 */
static uint32_t
make_copy(const struct plx_drvq *dq, const struct parent *p, struct child *c, uint32_t n)
{
	const struct plx_blk_info *info = &dq->q.blk->info;
	uint32_t max = RTE_MIN(info->max_copy_ranges, CHILD_SEGS);
	const struct plx_copy_range *from = p->req->ranges;
	uint32_t skip = p->next, got = 0, len;

	static_assert(sizeof(c->segs[0]) == sizeof(c->ranges[0]), "ranges in place of segments");
	for (c->req.nseg = 0; got < n && c->req.nseg < max; skip += len) {
		for (; skip >= from->nblk; from++)
			skip -= from->nblk;
		len = RTE_MIN(RTE_MIN(from->nblk - skip, n - got), info->max_copy_range_nblk);
		c->ranges[c->req.nseg++] = (struct plx_copy_range){from->lba + skip, len, 0};
		got += len;
	}
	c->req.ranges = c->ranges;
	return got;
}

/* Give the child the data of up to n blocks without moving any. @return blocks, 0: it can't */
static uint32_t
make_direct(struct plx_drvq *dq, struct parent *p, struct child *c, uint32_t n)
{
	size_t want = (size_t)n * p->unit, got = gather(p, c, dq->split->max_segs, want);

	if (dq->direct != NULL)
		got = dq->direct(dq, c->segs, c->req.nseg, got);
	if (got < want && blk_never_cut(p->req))
		return 0;
	n = (uint32_t)(got / p->unit);
	gather(p, c, dq->split->max_segs, (size_t)n * p->unit);
	c->req.segs = c->segs;
	if (p->req->op == PLX_OP_ZONE_REPORT) {
		c->req.nseg = 0;
		c->req.buf = c->segs[0].addr;
	}
	return n;
}

/* The same through a bounce buffer. @return 0; -EAGAIN none is free; -EMSGSIZE too small */
static int
make_bounced(struct plx_drvq *dq, struct parent *p, struct child *c, uint32_t n)
{
	struct plx_split *s = dq->split;
	uint32_t fit = (uint32_t)(s->bounce_unit / p->unit);
	int i;

	if (fit == 0 || (fit < n && blk_never_cut(p->req)))
		return -EMSGSIZE;
	i = pool_get(&s->bounce_pool, NB_BOUNCE);
	if (i < 0)
		return -EAGAIN;
	n = RTE_MIN(n, fit);
	c->bounce = s->bounce + (size_t)i * s->bounce_unit;
	c->req.nseg = 0;
	c->req.buf = c->bounce;
	c->req.nblk = n;
	if (to_device(p->req))
		copy_data(p, p->at, c->bounce, (size_t)n * p->unit, true);
	return 0;
}

static void
child_free(struct plx_split *s, struct child *c)
{
	if (c->bounce != NULL) {
		if (c->req.flags & PLX_IO_MAYBE_DMA)
			s->tainted++;
		else
			pool_put(&s->bounce_pool, (c->bounce - s->bounce) / s->bounce_unit);
	}
	pool_put(&s->child_pool, c - s->children);
}

/* A part's metadata lies that much further on, and its tags follow from the first's. */
static struct plx_blk_ext *
child_ext(const struct plx_drvq *dq, const struct parent *p, struct child *c)
{
	const struct plx_blk_info *info = &dq->q.blk->info;

	if (blk_never_cut(p->req))
		return p->req->ext;
	if (!blk_has_ext(p->req))
		return NULL;
	c->ext = *p->req->ext;
	if (c->ext.meta != NULL)
		c->ext.meta = (uint8_t *)c->ext.meta + (size_t)p->next * info->meta_size;
	if (info->pi_type == 2)
		c->ext.pi_ref += p->next;
	return &c->ext;
}

static struct child *
child_get(struct plx_drvq *dq, struct parent *p)
{
	struct plx_split *s = dq->split;
	int i = pool_get(&s->child_pool, NB_CHILDREN);
	struct child *c;

	if (i < 0)
		return NULL;
	c = &s->children[i];
	c->req = (struct plx_blk_req){
		.op = p->req->op,
		.flags = (uint8_t)((p->req->flags & (PLX_IO_FUA | PLX_IO_UNMAP)) | PLX_IO_CHILD),
		.lba = p->req->lba + p->next,
		.ext = child_ext(dq, p, c),
	};
	c->parent = p;
	c->bounce = NULL;
	c->start = p->at;
	return c;
}

/* Shape a child, unless that was done when there was no room, and issue it, by bounce if need
 * be. @return 0 or -errno */
static int
child_issue(struct plx_drvq *dq, struct parent *p, struct child *c)
{
	uint32_t n = c->req.nblk;
	int rc = -EXDEV;

	if (n == 0) {
		n = cut(dq, p);
		if (p->req->op == PLX_OP_COPY)
			n = make_copy(dq, p, c, n);
		c->req.nblk = moves_data(p) ? make_direct(dq, p, c, n) : n;
	}
	if (c->req.nblk != 0) {
		n = c->req.nblk;
		rc = dq->issue(dq, &c->req);
	}
	if (rc == -EXDEV && moves_data(p) && c->bounce == NULL) {
		c->req.nblk = 0;
		rc = make_bounced(dq, p, c, n);
		if (rc == 0)
			rc = dq->issue(dq, &c->req);
	}
	return rc == -EXDEV ? -EIO : rc;
}

/* ---- parents ---- */

static void
unpend(struct plx_drvq *dq, struct parent *p)
{
	if (!p->pending)
		return;
	p->pending = false;
	TAILQ_REMOVE(&dq->split->pending, p, link);
	dq->split_active--;
	if (p->ready != NULL)
		child_free(dq->split, p->ready);
	p->ready = NULL;
}

static void
fail(struct plx_drvq *dq, struct parent *p, uint64_t lba, int status, uint16_t raw)
{
	if (p->status == 0 || lba < p->failed) {
		p->status = status;
		p->raw = raw;
		p->failed = lba;
	}
	unpend(dq, p);
}

/* The request, if nothing of it is left to issue or out. */
static struct plx_blk_req *
parent_end(struct plx_drvq *dq, struct parent *p)
{
	struct plx_blk_req *req = p->req;

	if (p->pending || p->out != 0)
		return NULL;
	req->status = p->status;
	req->raw = p->raw;
	pool_put(&dq->split->parent_pool, p - dq->split->parents);
	return req;
}

/* One more command of a parent. @return 0, or -errno */
static int
step(struct plx_drvq *dq, struct parent *p)
{
	struct child *c = p->ready != NULL ? p->ready : child_get(dq, p);
	int rc;

	if (c == NULL)
		return -EAGAIN;
	rc = child_issue(dq, p, c);
	p->ready = rc == 0 ? NULL : c;
	if (rc != 0)
		return rc;
	c->len = moves_data(p) ? (size_t)c->req.nblk * p->unit : 0;
	p->out++;
	/* a report is as long as one command makes it */
	p->next = p->req->op == PLX_OP_ZONE_REPORT ? p->nblk : p->next + c->req.nblk;
	advance(p, c->len);
	if (++p->commands == 2)
		plx_stat_add(&dq->st.split, 1);
	if (c->bounce != NULL)
		plx_stat_add(&dq->st.bounced, 1);
	return 0;
}

void
plx_drvq_pump(struct plx_drvq *dq)
{
	struct parent *p, *next = TAILQ_FIRST(&dq->split->pending);
	struct plx_blk_req *req;
	int rc;

	while ((p = next) != NULL) {
		next = TAILQ_NEXT(p, link);
		if (p->in_sequence && p->out != 0)
			continue;
		rc = step(dq, p);
		if (rc == -EAGAIN)
			return;
		if (rc != 0)
			fail(dq, p, p->req->lba + p->next, rc, 0);
		else if (p->next == p->nblk)
			unpend(dq, p);
		else
			next = p;
		req = rc != 0 ? parent_end(dq, p) : NULL;
		if (req != NULL)
			plx_drvq_finish(dq, req, req->status);
	}
}

struct plx_blk_req *
plx_drvq_child_done(struct plx_drvq *dq, struct plx_blk_req *child)
{
	struct child *c = container_of(child, struct child, req);
	struct parent *p = c->parent;

	if (child->status != 0)
		fail(dq, p, child->lba, child->status, child->raw);
	else if (c->bounce != NULL && !to_device(p->req))
		copy_data(p, c->start, c->bounce, c->len, false);
	if (p->req->op >= PLX_OP_NVME)
		p->req->result = child->result;
	p->req->flags |= (uint8_t)(child->flags & PLX_IO_MAYBE_DMA);
	p->out--;
	child_free(dq->split, c);
	return parent_end(dq, p);
}

void
plx_drvq_split_cancel(struct plx_drvq *dq, int status)
{
	struct plx_blk_req *req;
	struct parent *p;

	if (dq->split == NULL)
		return;
	while ((p = TAILQ_FIRST(&dq->split->pending)) != NULL) {
		fail(dq, p, UINT64_MAX, status, 0);
		req = parent_end(dq, p);
		if (req != NULL)
			plx_drvq_finish(dq, req, req->status);
	}
}

static void
set_data(struct plx_drvq *dq, struct parent *p, struct plx_blk_req *req)
{
	bool nvme = req->op == PLX_OP_NVME;

	p->unit = nvme ? req->ext->nvme->data_len : dq->block_size;
	p->nblk = nvme ? 1 : req->nblk;
	p->segs = req->segs;
	p->nseg = req->nseg;
	if (req->nseg == 0) {
		p->one = (struct plx_seg){req->buf, (size_t)p->nblk * p->unit};
		p->segs = &p->one;
		p->nseg = 1;
	}
	if (nvme ? p->unit == 0 : !plx_op_has_data(req->op))
		p->nseg = 0;
}

int
blk_split_start(struct plx_drvq *dq, struct plx_blk_req *req)
{
	struct plx_split *s = dq->split;
	struct parent *p;
	int i;

	if (blk_never_cut(req) && !blk_one_command(dq, req))
		return -EMSGSIZE;
	i = pool_get(&s->parent_pool, dq->q.depth);
	if (i < 0)
		return -EAGAIN;
	p = &s->parents[i];
	*p = (struct parent){
		.req = req, .pending = true, .in_sequence = blk_in_sequence(dq, req->op)};
	set_data(dq, p, req);
	TAILQ_INSERT_TAIL(&s->pending, p, link);
	dq->split_active++;
	plx_drvq_pump(dq);
	return 0;
}
