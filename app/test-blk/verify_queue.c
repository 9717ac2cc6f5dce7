/* SPDX-License-Identifier: BSD-3-Clause */
/* What a queue knows of the data in its part of the device, and checks. */
#include "testblk.h"

static uint64_t
unit_of(const struct tb_queue *q, const struct plx_blk_req *req)
{
	return (req->lba - q->base) / q->nblk;
}

static uint32_t
gen_after(uint32_t gen)
{
	gen = (gen + 1) & TB_GEN_MASK;
	return gen == 0 ? 1 : gen;
}

/* The generations that may be there. @return false: nothing is known */
static bool
expect(const struct tb_queue *q, uint64_t unit, struct tb_gens *want)
{
	uint32_t gen;

	if (q->gen == NULL) { /* written by an earlier run, if verified */
		*want = q->verify ? TB_ANY_GEN : (struct tb_gens){0, 0};
		return q->verify;
	}
	gen = q->gen[unit];
	*want = (struct tb_gens){gen & TB_GEN_MASK, gen & TB_GEN_MASK};
	if (want->high == 0 || !(gen & TB_GEN_UNKNOWN))
		return want->high != 0;
	if (q->state != NULL)
		*want = q->state->units[q->state_at + unit];
	return q->state != NULL;
}

bool
tb_data_idle(const struct tb_queue *q, uint64_t unit)
{
	return q->gen == NULL || !(q->gen[unit] & TB_GEN_BUSY);
}

bool
tb_data_readback(struct tb_queue *q, uint64_t *unit)
{
	struct tb_gens want;

	for (; q->back_pos < q->walk.units; q->back_pos++) {
		if (expect(q, q->back_pos, &want)) {
			*unit = q->back_pos++;
			return true;
		}
		if (q->gen[q->back_pos] & TB_GEN_MASK)
			q->sum->skipped += q->nblk;
	}
	return false;
}

void
tb_data_lend(struct tb_queue *q, struct plx_blk_req *req)
{
	bool read = req->op == PLX_OP_READ, tagged = q->verify;
	uint64_t unit = unit_of(q, req);
	struct tb_gens want;

	if (q->verify && read) {
		tb_verify_spoil(&q->v, req->buf, req->nblk);
		tagged = expect(q, unit, &want) && want.low != 0;
	} else if (q->gen != NULL && !read) {
		uint32_t gen = gen_after(q->gen[unit] & TB_GEN_MASK);

		tb_verify_fill(&q->v, req->buf, req->lba, req->nblk, gen);
		if (q->state != NULL)
			tb_state_permit(q->state, q->state_at + unit, gen);
	}
	if (q->gen != NULL)
		q->gen[unit] |= TB_GEN_BUSY;
	if (q->meta.ext != NULL)
		tb_meta_lend(&q->meta, req, (uint16_t)(req - q->reqs), tagged);
}

void
tb_data_commit(const struct tb_queue *q)
{
	if (q->state != NULL)
		tb_state_sync(q->state);
}

void
tb_data_unlend(struct tb_queue *q, const struct plx_blk_req *req)
{
	if (q->gen != NULL)
		q->gen[unit_of(q, req)] &= ~TB_GEN_BUSY;
}

/* A read's data, then its metadata. */
static void
check(struct tb_queue *q, const struct plx_blk_req *req, uint64_t now)
{
	struct tb_mismatch *bad = &q->sum->bad;
	uint64_t before = bad->blocks;
	struct tb_gens want = {0};
	uint32_t wrong = 0;

	if (expect(q, q->gen == NULL ? 0 : unit_of(q, req), &want))
		wrong = tb_verify_check(&q->v, req->buf, req->lba, req->nblk, want, bad);
	if (wrong == 0 && req->ext != NULL)
		wrong = tb_meta_check(&q->meta, req, want.low != 0 ? &q->v : NULL, bad);
	if (!q->verify && q->meta.pi_seen)
		bad->checked += req->nblk;
	if (wrong != 0 && before == 0)
		bad->tsc = now;
}

static void
wrote(struct tb_queue *q, uint64_t unit, bool ok)
{
	uint32_t gen = gen_after(q->gen[unit] & TB_GEN_MASK);

	q->gen[unit] = TB_GEN_BUSY | gen | (ok ? 0 : TB_GEN_UNKNOWN);
	if (!ok || q->state == NULL)
		return;
	if (q->stable_at_once)
		tb_state_demand(q->state, q->state_at + unit, gen);
	else
		tb_flush_wrote(q, q->state_at + unit, gen);
}

void
tb_data_back(struct tb_queue *q, const struct plx_blk_req *req, uint64_t now)
{
	if (req->op == PLX_OP_READ && req->status == 0)
		check(q, req, now);
	if (q->gen == NULL)
		return;
	if (req->op == PLX_OP_WRITE)
		wrote(q, unit_of(q, req), req->status == 0);
	/* a write that may still be under way keeps its unit for ever */
	if (!(req->flags & PLX_IO_MAYBE_DMA))
		q->gen[unit_of(q, req)] &= ~TB_GEN_BUSY;
}
