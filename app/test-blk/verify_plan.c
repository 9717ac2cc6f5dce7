/* SPDX-License-Identifier: BSD-3-Clause */
/* What verification, metadata and flushes need of a task and its queues, before the run. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <rte_lcore.h>

#include "testblk.h"

int
tb_verify_opts(struct tb_opts *o)
{
	struct tb_state_head h;
	int rc;

	if (!o->verify_only || o->verify_state == NULL)
		return TB_OK;
	rc = tb_state_peek(o->verify_state, &h);
	if (rc != TB_OK)
		return rc;
	o->bs = o->unit = h.nblk * h.dev_block;
	o->mixed_bs = false;
	o->offset = h.first * h.dev_block;
	o->size = h.units * o->bs;
	return TB_OK;
}

static bool
stable_at_once(const struct tb_task *t)
{
	return t->job->opts.fua || !(t->dev->info.caps & PLX_BLK_CAP_FLUSH);
}

int
tb_verify_task(struct tb_task *t)
{
	const struct tb_opts *o = &t->job->opts;
	const struct plx_blk_info *i = &t->dev->info;
	struct tb_state_head mine = {.seed = o->seed,
		.dev_nblk = i->nblocks,
		.dev_block = i->block_size,
		.dev_index = t->dev->index,
		.first = t->first,
		.nblk = o->bs / i->block_size};
	int rc;

	if (o->fua && (i->caps & PLX_BLK_CAP_FLUSH) && !(i->caps & PLX_BLK_CAP_FUA)) {
		tb_say("--fua: %s can't write through its cache: say --fsync N", i->name);
		return TB_USAGE;
	}
	if (o->verify_state == NULL)
		return TB_OK;
	if (t != t->job->tasks) {
		tb_say("--verify-state is for one device");
		return TB_USAGE;
	}
	if (o->writes && o->fsync == 0 && !stable_at_once(t)) {
		tb_say("--verify-state: %s has a volatile write cache: nothing is certain "
		       "without --fsync N or --fua",
			i->name);
		return TB_USAGE;
	}
	memcpy(mine.nguid, i->nguid, sizeof(mine.nguid));
	mine.units = t->nblocks / mine.nblk;
	rc = tb_state_open(&t->state, o->verify_state, &mine);
	if (rc == TB_OK)
		t->state->sync = o->verify_state_sync;
	return rc;
}

static void
load(struct tb_queue *q)
{
	for (uint64_t i = 0; i < q->walk.units; i++) {
		const struct tb_gens *g = &q->state->units[q->state_at + i];

		q->gen[i] = g->high | (g->low == g->high ? 0 : TB_GEN_UNKNOWN);
	}
}

int
tb_verify_queue(struct tb_queue *q)
{
	struct tb_task *t = q->task;
	const struct tb_opts *o = &t->job->opts;
	const struct plx_blk_info *info = &t->dev->info;
	int socket = (int)rte_lcore_to_socket_id(q->worker->lcore);

	q->v = (struct tb_verify){
		.seed = o->seed, .dev = t->dev->index, .block_size = info->block_size};
	q->verify = o->verify;
	q->fua = o->fua;
	q->state = t->state;
	q->stable_at_once = stable_at_once(t);
	if (q->state != NULL) {
		q->v.seed = q->state->head->seed;
		q->v.dev = q->state->head->dev_index;
		q->state_at = (q->base - t->first) / q->nblk;
	}
	if (o->verify && (o->writes || q->state != NULL)) {
		q->gen = calloc(q->walk.units, sizeof(*q->gen));
		if (q->gen == NULL) {
			tb_say("--verify: no memory for %" PRIu64
			       " generations: give a smaller --size",
				q->walk.units);
			return TB_FAIL;
		}
	}
	if (q->state != NULL)
		load(q);
	if ((o->meta && tb_meta_alloc(&q->meta, info, o->pi, o->qd, q->nblk, socket) != 0) ||
		tb_flush_alloc(q, o->fsync, q->state != NULL && !q->stable_at_once) != 0) {
		tb_say("out of memory");
		return TB_FAIL;
	}
	q->only_reads_back = o->verify_only && q->gen != NULL;
	return TB_OK;
}

void
tb_verify_queue_free(struct tb_queue *q)
{
	free(q->gen);
	tb_meta_free(&q->meta);
	free(q->flush.list);
}
