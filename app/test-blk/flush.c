/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Flushes among the writes of a queue, and what they make stable: a flush covers the writes that
 * came back before it was submitted. One is in flight at a time.
 */
#include <stdlib.h>
#include <string.h>

#include "testblk.h"

int
tb_flush_alloc(struct tb_queue *q, uint32_t every, bool listed)
{
	struct tb_flush *f = &q->flush;

	f->every = every;
	if (!listed)
		return 0;
	f->room = every + 2u * q->qd;
	f->list = calloc(f->room, sizeof(*f->list));
	return f->list != NULL ? 0 : -1;
}

bool
tb_flush_holds(const struct tb_queue *q)
{
	return q->flush.list != NULL && q->flush.n + q->qd > q->flush.room;
}

bool
tb_flush_due(const struct tb_queue *q)
{
	const struct tb_flush *f = &q->flush;

	return f->every != 0 && f->lent == NULL && f->since >= f->every;
}

void
tb_flush_lend(struct tb_queue *q, struct plx_blk_req *req)
{
	struct tb_flush *f = &q->flush;

	*req = (struct plx_blk_req){.op = PLX_OP_FLUSH, .buf = req->buf};
	f->lent = req;
	f->since = 0;
	f->covers = f->n;
}

void
tb_flush_unlend(struct tb_queue *q)
{
	q->flush.lent->nblk = q->nblk;
	q->flush.lent = NULL;
	q->flush.since = q->flush.every; /* still due */
}

void
tb_flush_wrote(struct tb_queue *q, uint64_t unit, uint32_t gen)
{
	struct tb_flush *f = &q->flush;

	if (f->list != NULL)
		f->list[f->n++] = (struct tb_written){unit, gen};
}

/* After one that failed, a later one may say that all is well, and mean what came since. */
void
tb_flush_back(struct tb_queue *q)
{
	struct tb_flush *f = &q->flush;

	for (uint32_t i = 0; f->lent->status == 0 && i < f->covers && f->list != NULL; i++)
		tb_state_demand(q->state, f->list[i].unit, f->list[i].gen);
	if (f->list != NULL) {
		f->n -= f->covers;
		memmove(f->list, f->list + f->covers, f->n * sizeof(*f->list));
	}
	f->lent->nblk = q->nblk;
	f->lent = NULL;
}
