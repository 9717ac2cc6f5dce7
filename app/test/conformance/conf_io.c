/* SPDX-License-Identifier: BSD-3-Clause */
/* Requests: their memory, what must not change in them, and that each comes back once. */
#include <stdlib.h>
#include <string.h>

#include <rte_cycles.h>

#include "plx_mem.h"

#include "conf.h"

#define CANARY 0xa5
#define GAP 64 /* between pieces */

uint32_t
rnd(struct conf *c, uint32_t n)
{
	c->rng ^= c->rng << 13;
	c->rng ^= c->rng >> 7;
	c->rng ^= c->rng << 17;
	return n == 0 ? 0 : (uint32_t)(c->rng >> 24) % n;
}

static void
slot_init(struct io *io, size_t size, bool dma)
{
	io->mem[0] = dma ? plx_mem_alloc(size, 4096, -1) : NULL;
	io->mem[1] = aligned_alloc(4096, size);
	io->image[0] = malloc(size);
	io->image[1] = malloc(size);
	if (io->mem[1] == NULL || io->image[0] == NULL || io->image[1] == NULL ||
		(dma && io->mem[0] == NULL)) {
		fprintf(stderr, "no memory for requests\n");
		exit(1);
	}
	io->mem_size = size;
}

/* A few slots for large requests, many for small ones. */
#define LARGE_SLOTS 32
#define LARGE (3u << 20)
#define MEDIUM (CONF_ARENA * 8)

void
io_pool_init(struct conf *c)
{
	unsigned int i;

	if (c->slots != NULL)
		return;
	c->slots = aligned_alloc(64, CONF_SLOTS * sizeof(*c->slots));
	if (c->slots == NULL)
		exit(1);
	memset(c->slots, 0, CONF_SLOTS * sizeof(*c->slots));
	for (i = 0; i < CONF_SLOTS; i++)
		slot_init(&c->slots[i],
			i == 0            ? LARGE
			: i < LARGE_SLOTS ? MEDIUM
					  : 16384 + 2 * 4096,
			true);
}

static bool
reads(uint8_t op)
{
	return op == PLX_OP_READ || op == PLX_OP_ZONE_REPORT;
}

static bool
has_data(uint8_t op)
{
	return reads(op) || op == PLX_OP_WRITE || op == PLX_OP_COMPARE || op == PLX_OP_ZONE_APPEND;
}

static size_t
room_for(const struct conf *c, uint8_t op, uint32_t nblk)
{
	size_t bytes = has_data(op) ? (size_t)nblk * c->info.block_size : 0;

	if (c->small)
		return bytes + 1024;
	/* pieces with their gaps, at the worst */
	return bytes * 2 + (CONF_SEGS + 2) * (size_t)4096;
}

struct io *
io_new(struct conf *c, uint8_t op, uint64_t lba, uint32_t nblk)
{
	size_t room = room_for(c, op, nblk);
	struct io *io = NULL;
	int i;

	/* the smallest that will do: they come last */
	for (i = CONF_SLOTS - 1; i >= 0 && io == NULL; i--)
		if (!c->slots[i].lent && c->slots[i].mem_size >= room)
			io = &c->slots[i];
	EXPECT(c, io != NULL, "the suite has no slot for %u blocks", nblk);
	io->req = (struct plx_blk_req){.op = op, .lba = lba, .nblk = nblk, .user = io};
	io->bytes = 0;
	io->used[0] = io->used[1] = 0;
	io->gen = 0;
	if (has_data(op))
		io->bytes = nblk * c->info.block_size;
	return io;
}

/* ---- data ---- */

static void
set_canary(struct io *io)
{
	int m;

	for (m = 0; m < 2; m++) {
		io->used[m] = RTE_MIN(io->used[m] + GAP, io->mem_size);
		memset(io->mem[m], CANARY, io->used[m]);
		memset(io->image[m], CANARY, io->used[m]);
	}
}

static void
one_piece(struct io *io, int m, size_t off)
{
	io->req.nseg = 0;
	io->req.buf = io->mem[m] + off;
	io->segs[0] = (struct plx_seg){io->req.buf, io->bytes};
	io->used[m] = off + io->bytes;
}

/* The next piece; it begins at a multiple of align, then shift bytes on. */
static void
add_piece(struct io *io, int m, size_t len, size_t align, size_t shift)
{
	size_t off = (io->used[m] + align - 1) / align * align + shift;

	io->segs[io->req.nseg++] = (struct plx_seg){io->mem[m] + off, len};
	io->used[m] = off + len;
}

static void
pieces(struct conf *c, struct io *io)
{
	uint32_t left = io->bytes, n = 1 + rnd(c, CONF_SEGS), len;

	while (left != 0) {
		if (io->req.nseg == n - 1 || io->req.nseg == CONF_SEGS - 1)
			len = left;
		else if (io->bytes / n > 2048 && rnd(c, 4) == 0)
			len = 4096;
		else
			len = 1 + rnd(c, RTE_MIN(left, 2 * io->bytes / n + 1));
		len = RTE_MIN(len, left);
		add_piece(io, (int)rnd(c, 3) / 2, len, 1, rnd(c, 3) == 0 ? rnd(c, 64) : 0);
		left -= len;
	}
}

static void
equal_pieces(struct io *io, uint32_t size, size_t align, size_t shift)
{
	uint32_t left = io->bytes, len;

	for (; left != 0; left -= len) {
		len = io->req.nseg == CONF_SEGS - 1 ? left : RTE_MIN(left, size);
		add_piece(io, 0, len, align, shift);
	}
}

void
io_data(struct conf *c, struct io *io, enum io_shape shape)
{
	io->req.nseg = 0;
	if (c->small && shape > IO_FOREIGN)
		shape = IO_PLAIN;
	switch (shape) {
	case IO_ODD:
		one_piece(io, 0, 1 + rnd(c, 512));
		break;
	case IO_FOREIGN:
		one_piece(io, 1, rnd(c, 512));
		break;
	case IO_PIECES:
		pieces(c, io);
		break;
	case IO_MBUFS:
		equal_pieces(io, 2048, 2048 + 128, 128);
		break;
	case IO_PAGES:
		equal_pieces(io, 4096, 4096, 0);
		break;
	default:
		one_piece(io, 0, 0);
		break;
	}
	EXPECT(c, io->used[0] <= io->mem_size && io->used[1] <= io->mem_size,
		"the suite's slot is too small");
	if (io->req.nseg != 0)
		io->req.segs = io->segs;
	set_canary(io);
}

static uint32_t
nsegs(const struct io *io)
{
	if (io->bytes == 0 && io->req.op != PLX_OP_COPY)
		return 0;
	return io->req.nseg == 0 ? 1 : io->req.nseg;
}

/* Where a piece lies in the image of its memory. */
static uint8_t *
in_image(const struct io *io, const struct plx_seg *seg)
{
	size_t off = (size_t)((uint8_t *)seg->addr - io->mem[0]);

	if (off < io->mem_size)
		return io->image[0] + off;
	return io->image[1] + ((uint8_t *)seg->addr - io->mem[1]);
}

void
io_fill(struct conf *c, struct io *io, const uint8_t *data)
{
	uint32_t i;
	size_t j;

	for (i = 0; i < nsegs(io); i++) {
		uint8_t *p = io->segs[i].addr;

		if (data != NULL) {
			memcpy(p, data, io->segs[i].len);
			data += io->segs[i].len;
		} else {
			for (j = 0; j < io->segs[i].len; j++)
				p[j] = (uint8_t)(j % 7 == 0 ? rnd(c, 256) : p[j - 1] + 31u);
		}
		memcpy(in_image(io, &io->segs[i]), p, io->segs[i].len);
	}
}

void
io_gather(const struct io *io, uint8_t *data)
{
	uint32_t i;

	for (i = 0; i < nsegs(io); data += io->segs[i].len, i++)
		memcpy(data, io->segs[i].addr, io->segs[i].len);
}

/* ---- submit and poll ---- */

bool
io_submit(struct conf *c, int qid, struct io *io)
{
	struct plx_blk_req *req = &io->req;

	req->status = CONF_STATUS;
	io->sent = *req;
	memcpy(io->sent_segs, io->segs, nsegs(io) * sizeof(io->segs[0]));
	io->qid = qid;
	io->lent = true;
	if (plx_blkq_submit(c->q[qid], &req, 1) == 1) {
		c->in_flight++;
		c->accepted++;
		return true;
	}
	io->lent = false;
	EXPECT(c, req->status == CONF_STATUS && req->lba == io->sent.lba && req->op == io->sent.op,
		"a request that was not accepted was written to");
	return false;
}

static void
check_back(struct conf *c, int qid, struct io *io)
{
	const struct plx_blk_req *r = &io->req, *s = &io->sent;
	size_t i = (size_t)(io - c->slots);
	int m;

	EXPECT(c, i < CONF_SLOTS && &c->slots[i] == io, "poll gave back a pointer to nothing");
	EXPECT(c, io->lent, "a request came back twice (op %u, lba %llu)", s->op,
		(unsigned long long)s->lba);
	EXPECT(c, io->qid == qid, "a request of queue %d came back on queue %d", io->qid, qid);
	io->lent = false;
	c->in_flight--;
	c->back++;
	EXPECT(c, r->status != CONF_STATUS, "a request came back without a status (op %u)", s->op);
	EXPECT(c, r->status <= 0, "a request came back with status %d", r->status);
	c->errors += r->status != 0;
	EXPECT(c,
		r->op == s->op && r->lba == s->lba && r->nblk == s->nblk && r->nseg == s->nseg &&
			r->buf == s->buf && r->ext == s->ext && r->user == s->user &&
			(r->flags & 15) == (s->flags & 15),
		"a request came back changed (op %u)", s->op);
	EXPECT(c, memcmp(io->segs, io->sent_segs, nsegs(io) * sizeof(io->segs[0])) == 0,
		"the segment list of a request was changed");
	/* data of a read is the model's to look at */
	for (i = 0; reads(r->op) && i < nsegs(io); i++)
		memcpy(in_image(io, &io->segs[i]), io->segs[i].addr, io->segs[i].len);
	for (m = 0; m < 2; m++)
		EXPECT(c, memcmp(io->mem[m], io->image[m], io->used[m]) == 0,
			"%s (op %u, %u bytes, %u segments)",
			reads(r->op) ? "a read wrote outside its segments"
				     : "the data of a request was written to",
			r->op, io->bytes, r->nseg);
}

unsigned int
io_poll(struct conf *c, int qid, struct io **done, unsigned int max)
{
	struct plx_blk_req *reqs[32];
	uint16_t n, i;

	n = plx_blkq_poll(c->q[qid], reqs, (uint16_t)RTE_MIN(max, RTE_DIM(reqs)));
	EXPECT(c, n <= max, "poll gave more than was asked for");
	for (i = 0; i < n; i++) {
		done[i] = container_of(reqs[i], struct io, req);
		check_back(c, qid, done[i]);
	}
	return n;
}

/* A device has a time and a number of turns to finish something. */
struct patience {
	uint64_t until;
	unsigned int turns;
};

static void
lose_patience(struct conf *c, struct patience *p)
{
	if (p->turns++ == 0)
		p->until = rte_rdtsc() + rte_get_tsc_hz() / 1000 * c->opts.patience_ms;
	dev_idle(c, p->turns);
	if (p->turns <= 10000 || p->turns % 64 != 0 || rte_rdtsc() < p->until)
		return;
	EXPECT(c, c->in_flight != 0, "an empty queue has no room");
	fail(c, "%u requests did not come back within %u ms", c->in_flight, c->opts.patience_ms);
}

int
io_run(struct conf *c, int qid, struct io *io)
{
	struct patience p = {0};
	struct io *done[2];
	unsigned int n;

	while (!io_submit(c, qid, io))
		lose_patience(c, &p);
	while ((n = io_poll(c, qid, done, 2)) == 0)
		lose_patience(c, &p);
	EXPECT(c, n == 1 && done[0] == io, "poll gave back another request");
	return io->req.status;
}

void
io_drain(struct conf *c, io_fn fn)
{
	struct patience p = {0};
	struct io *done[32];
	unsigned int n, i;
	int qid;

	while (c->in_flight != 0) {
		for (qid = 0; qid < c->nq; qid++) {
			n = io_poll(c, qid, done, 32);
			for (i = 0; i < n && fn != NULL; i++)
				fn(c, done[i]);
			if (n != 0)
				p.turns = 0;
		}
		lose_patience(c, &p);
	}
}
