/* SPDX-License-Identifier: BSD-3-Clause */
/* Devices of a run: opened, with queues, started; stopped and closed again. */
#include <errno.h>
#include <string.h>

#include <rte_lcore.h>

#include "plx_ctrl.h"
#include "plx_mem.h"
#include "testblk.h"

static int
failed(const struct tb_dev *d, const char *what, int rc)
{
	tb_say("%s: %s: %s", d->info.name, what, rc == -EROFS ? "it is read-only" : strerror(-rc));
	return TB_FAIL;
}

int
tb_devs_open(struct tb_session *s)
{
	for (struct tb_dev *d = s->devs; d != NULL; d = d->next) {
		int rc;

		if (d->nq == 0)
			continue;
		rc = plx_blk_open(d->info.name, d->writable ? PLX_BLK_O_WRITE : 0, &d->blk);
		if (rc != 0) {
			d->blk = NULL;
			return failed(d, "can't be opened", rc);
		}
		plx_blk_info_get(d->blk, &d->info);
		plx_blk_stats_get(d->blk, UINT16_MAX, &d->stats);
	}
	return TB_OK;
}

int
tb_devs_close(struct tb_session *s)
{
	int rc = TB_OK, err;

	for (struct tb_dev *d = s->devs; d != NULL; d = d->next) {
		if (d->blk != NULL && (err = plx_blk_close(d->blk)) != 0 && err != -ENODEV)
			rc = failed(d, "closing", err);
		d->blk = NULL;
		d->nq = 0;
		d->writable = false;
	}
	return rc;
}

static int
set_up_task(struct tb_task *t)
{
	for (uint16_t i = 0; i < t->nq; i++) {
		const struct tb_queue *q = &t->queues[i];
		struct plx_blkq_conf conf = {.depth = q->qd,
			.intr = t->job->opts.poll_mode != PLX_IDLE_BUSY,
			.socket = (int16_t)rte_lcore_to_socket_id(q->worker->lcore)};
		int rc = plx_blkq_setup(t->dev->blk, (uint16_t)(t->first_qid + i), &conf);

		if (rc != 0)
			return failed(t->dev, "can't set up a queue", rc);
		if (t->to != NULL)
			rc = plx_blkq_setup(t->to->blk, (uint16_t)(t->to_first_qid + i), &conf);
		if (rc != 0)
			return failed(t->to, "can't set up a queue", rc);
	}
	return TB_OK;
}

static int
configure(struct tb_run *run)
{
	int rc = TB_OK;

	for (struct tb_dev *d = run->session->devs; d != NULL; d = d->next)
		if (d->nq != 0 && (rc = plx_blk_configure(d->blk, d->nq)) != 0)
			return failed(d, "can't configure its queues", rc);
	for (uint32_t j = 0; j < run->njob; j++)
		for (uint32_t i = 0; rc == TB_OK && i < run->jobs[j].ntask; i++)
			rc = set_up_task(&run->jobs[j].tasks[i]);
	return rc;
}

static int
start_devs(struct tb_session *s)
{
	int rc;

	for (struct tb_dev *d = s->devs; d != NULL; d = d->next)
		if (d->nq != 0 && (rc = plx_blk_start(d->blk)) != 0)
			return failed(d, "can't start", rc);
	return TB_OK;
}

/* Devices map what was allocated after they were attached. */
static void
sync_memory(void)
{
	int rc;

	while ((rc = plx_mem_sync()) == -EINPROGRESS)
		plx_ctrl_poll();
	if (rc != 0) /* not fatal: such memory is bounced, and the report shows it */
		tb_say("a device can't reach all of the buffers directly: %s", strerror(-rc));
}

int
tb_devs_start(struct tb_run *run)
{
	int rc;

	sync_memory();
	rc = configure(run);
	return rc == TB_OK ? start_devs(run->session) : rc;
}

int
tb_dev_stop(struct tb_dev *d)
{
	int rc = plx_blk_stop(d->blk);

	/* of one that was removed, an event and the I/Os have told */
	return rc == 0 || rc == -ENODEV ? TB_OK : failed(d, "stopping", rc);
}

void
tb_dev_count(struct tb_dev *d)
{
	struct plx_blk_stats now;
	const uint64_t *from = (const uint64_t *)&now;
	uint64_t *to = (uint64_t *)&d->stats;

	plx_blk_stats_get(d->blk, UINT16_MAX, &now);
	for (size_t i = 0; i < sizeof(now) / sizeof(*from); i++)
		to[i] = from[i] - to[i];
}
