/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "testblk.h"

enum tb_dir
tb_dir_of(uint8_t op)
{
	return op == PLX_OP_READ ? TB_DIR_READ : op == PLX_OP_DISCARD ? TB_DIR_TRIM : TB_DIR_WRITE;
}

void
tb_load_took(struct tb_queue *q, uint32_t nblk)
{
	struct tb_load *l = q->load;

	q->left--;
	if (l->left_blocks == UINT64_MAX)
		return;
	l->left_blocks -= RTE_MIN(l->left_blocks, nblk);
	if (l->left_blocks == 0)
		q->left = 0;
}

/* ---- mixes ---- */

static uint8_t
pick_op(const struct tb_load *l, uint32_t bits)
{
	uint32_t i = 0;

	while (bits > l->op_upto[i])
		i++;
	return l->op[i];
}

/* Where n units go; the last that fit when a range or a distribution ends. */
static uint64_t
pick_unit(struct tb_queue *q, enum tb_dir dir, uint32_t n)
{
	struct tb_walk *w = &q->walk;
	uint64_t u;

	if (w->kind == TB_WALK_SEQ) {
		if (w->pos + n > w->units)
			w->pos = 0;
		u = w->pos;
		w->pos += n;
		return u;
	}
	u = tb_dist_next(&q->load->dist[dir], &w->rng);
	return RTE_MIN(u, w->units - n);
}

static bool
mix_next(struct tb_queue *q, struct plx_blk_req *req)
{
	struct tb_load *l = q->load;
	uint64_t bits = tb_random(&q->walk.rng), unit;
	enum tb_dir dir;
	uint32_t n;

	req->op = l->nop == 1 ? l->op[0] : pick_op(l, (uint32_t)bits);
	if (req->op == PLX_OP_FLUSH) {
		req->lba = req->nblk = 0;
		tb_load_took(q, 0);
		return true;
	}
	dir = tb_dir_of(req->op);
	n = tb_sizes_pick(&l->sizes[dir], (uint32_t)(bits >> 32));
	if (q->walk.kind == TB_WALK_SEQ && !tb_data_idle(q, q->walk.pos))
		return false;
	unit = pick_unit(q, dir, n);
	for (int i = 0; !tb_data_idle(q, unit); i++) {
		if (i == TB_DRAWS)
			return false;
		unit = pick_unit(q, dir, n);
	}
	req->lba = q->base + unit * q->nblk;
	req->nblk = n * q->nblk;
	tb_load_took(q, req->nblk);
	return true;
}

/* ---- one after the other ---- */

static bool
trimwrite_back(struct tb_queue *q, struct plx_blk_req *req)
{
	if (req->op != PLX_OP_DISCARD || req->status != 0)
		return false;
	req->op = PLX_OP_WRITE;
	q->pend[q->npend++] = req;
	return true;
}

/* What was read is written: bytes stay where they are. */
static bool
copy_back(struct tb_queue *q, struct plx_blk_req *req)
{
	const struct plx_blk_info *from = &q->task->dev->info, *to = &q->task->to->info;
	uint64_t bytes = req->lba * from->block_size;

	if (req->op != PLX_OP_READ || req->status != 0)
		return false;
	req->op = PLX_OP_WRITE;
	req->nblk = (uint32_t)((uint64_t)req->nblk * from->block_size / to->block_size);
	req->lba = bytes / to->block_size;
	q->pend_to[q->npend_to++] = req;
	return true;
}

/* ---- making one ---- */

bool
tb_load_needed(const struct tb_opts *o)
{
	return (o->mode != TB_MODE_PLAIN && o->mode != TB_MODE_NULL) || o->opmix || o->mixed_bs ||
	       o->dist[0].kind != TB_DIST_UNIFORM ||
	       (o->ops & ~(1u << PLX_OP_READ | 1u << PLX_OP_WRITE)) != 0;
}

/* Operations with their shares; reads and writes have those of rwmixread. */
static void
make_ops(struct tb_load *l, const struct tb_opts *o)
{
	double at = 0;

	for (uint8_t op = 0; op < PLX_OP_MAX; op++) {
		if (!(o->ops & 1u << op) || l->nop == TB_LOAD_OPS)
			continue;
		at += o->opmix ? o->share[op] : op == PLX_OP_READ ? o->rwmix : 100 - o->rwmix;
		l->op[l->nop] = op;
		l->op_upto[l->nop++] = at >= 99.99 ? UINT32_MAX : (uint32_t)(at / 100 * 0x1p32);
	}
	if (o->mode == TB_MODE_TRIMWRITE || o->mode == TB_MODE_COPY)
		l->nop = 1; /* the writes follow */
	if (o->mode == TB_MODE_TRIMWRITE)
		l->op[0] = PLX_OP_DISCARD;
	if (l->nop != 0)
		l->op_upto[l->nop - 1] = UINT32_MAX;
}

static void
make_sizes(struct tb_load *l, const struct tb_opts *o)
{
	memcpy(l->sizes, o->sizes, sizeof(l->sizes));
	for (unsigned int d = 0; d < TB_DIRS; d++)
		for (uint32_t i = 0; i < TB_SIZES_MAX; i++)
			l->sizes[d].bytes[i] /= o->unit;
}

int
tb_load_create(struct tb_queue *q, const struct tb_opts *o, struct tb_zone *zones, uint32_t nzones)
{
	struct tb_load *l = calloc(1, sizeof(*l));

	if (l == NULL) {
		free(zones);
		return -ENOMEM;
	}
	q->load = l;
	l->next = mix_next;
	l->left_blocks = UINT64_MAX;
	make_ops(l, o);
	make_sizes(l, o);
	for (unsigned int d = 0; d < TB_DIRS; d++)
		tb_dist_init(&l->dist[d], &o->dist[d], q->walk.units, o->unit, q->walk.start);
	l->zones = zones;
	l->nzones = nzones;
	l->once = o->once;
	l->ios = q->task->ios;
	if (o->mode == TB_MODE_REPLAY) {
		l->next = tb_replay_next;
	} else if (o->mode == TB_MODE_TRIMWRITE) {
		l->back = trimwrite_back;
	} else if (o->mode == TB_MODE_COPY) {
		l->back = copy_back;
	} else if (o->mode == TB_MODE_APPEND) {
		l->next = tb_append_next;
		l->back = tb_append_back;
	}
	return 0;
}

void
tb_load_free(struct tb_load *l)
{
	if (l != NULL)
		free(l->zones);
	free(l);
}
