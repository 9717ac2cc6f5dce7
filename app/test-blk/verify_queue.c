/* SPDX-License-Identifier: BSD-3-Clause */
/* What a queue knows of the data in its part of the device, and checks. */
#include "testblk.h"

/* A unit's entry in tb_queue.gen. */
#define GEN_BUSY (1u << 31)    /* in flight: nothing else may go there */
#define GEN_UNKNOWN (1u << 30) /* a write failed: either generation may be there */
#define GEN_MASK (GEN_UNKNOWN - 1)

static uint64_t
unit_of(const struct tb_queue *q, const struct plx_blk_req *req)
{
	return (req->lba - q->base) / q->nblk;
}

static uint32_t
gen_after(uint32_t gen)
{
	gen = (gen + 1) & GEN_MASK;
	return gen == 0 ? 1 : gen;
}

/* Are the blocks of an I/O ours, whatever came before? */
static bool
known(const struct tb_queue *q, const struct plx_blk_req *req)
{
	uint32_t gen;

	if (q->gen == NULL) /* written by an earlier run, if verified */
		return q->verify;
	gen = q->gen[unit_of(q, req)];
	return (gen & GEN_MASK) != 0 && !(gen & GEN_UNKNOWN);
}

bool
tb_data_idle(const struct tb_queue *q, uint64_t unit)
{
	return q->gen == NULL || !(q->gen[unit] & GEN_BUSY);
}

bool
tb_data_readback(struct tb_queue *q, uint64_t *unit)
{
	for (; q->back_pos < q->walk.units; q->back_pos++) {
		if (q->gen[q->back_pos] & GEN_UNKNOWN) {
			q->sum->skipped += q->nblk;
		} else if (q->gen[q->back_pos] != 0) {
			*unit = q->back_pos++;
			return true;
		}
	}
	return false;
}

void
tb_data_lend(struct tb_queue *q, struct plx_blk_req *req)
{
	bool read = req->op == PLX_OP_READ;
	uint32_t *gen = q->gen == NULL ? NULL : &q->gen[unit_of(q, req)];

	if (q->verify && read)
		tb_verify_spoil(&q->v, req->buf, req->nblk);
	if (gen != NULL && !read)
		tb_verify_fill(&q->v, req->buf, req->lba, req->nblk, gen_after(*gen & GEN_MASK));
	if (gen != NULL)
		*gen |= GEN_BUSY;
	if (q->meta.ext != NULL)
		tb_meta_lend(
			&q->meta, req, (uint16_t)(req - q->reqs), read ? known(q, req) : q->verify);
}

void
tb_data_unlend(struct tb_queue *q, const struct plx_blk_req *req)
{
	if (q->gen != NULL)
		q->gen[unit_of(q, req)] &= ~GEN_BUSY;
}

/* A read's data, then its metadata. ours: the data is of this run or an earlier one. */
static void
check(struct tb_queue *q, const struct plx_blk_req *req, uint32_t gen, bool ours, uint64_t now)
{
	struct tb_mismatch *bad = &q->sum->bad;
	uint64_t before = bad->blocks;
	uint32_t wrong = 0;

	if (ours)
		wrong = tb_verify_check(&q->v, req->buf, req->lba, req->nblk, gen, bad);
	if (wrong == 0 && req->ext != NULL)
		wrong = tb_meta_check(&q->meta, req, ours ? &q->v : NULL, bad);
	if (!q->verify && q->meta.pi_seen)
		bad->checked += req->nblk;
	if (wrong != 0 && before == 0)
		bad->tsc = now;
}

void
tb_data_back(struct tb_queue *q, const struct plx_blk_req *req, uint64_t now)
{
	bool read = req->op == PLX_OP_READ && req->status == 0;
	uint32_t *gen;

	if (q->gen == NULL) { /* any generation */
		if (read)
			check(q, req, 0, known(q, req), now);
		return;
	}
	gen = &q->gen[unit_of(q, req)];
	if (req->op == PLX_OP_WRITE)
		*gen = GEN_BUSY | gen_after(*gen & GEN_MASK) | (req->status == 0 ? 0 : GEN_UNKNOWN);
	else if (read)
		check(q, req, *gen & GEN_MASK, known(q, req), now);
	/* a write that may still be under way keeps its unit for ever */
	if (!(req->flags & PLX_IO_MAYBE_DMA))
		*gen &= ~GEN_BUSY;
}
