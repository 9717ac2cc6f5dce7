/* SPDX-License-Identifier: BSD-3-Clause */
/* The run itself: a reactor on each worker's lcore; the main one drives the control plane too. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <rte_launch.h>
#include <rte_lcore.h>

#include "plx_ctrl.h"
#include "testblk.h"

#define CTRL_US 50
#define WATCH_US 1000
#define LIVE_US 1000000

/* Sockets, admin queues and deadlines of devices. */
static int
poll_ctrl(void *arg)
{
	(void)arg;
	return plx_ctrl_poll();
}

static void
show_event(const struct tb_dev *d, const struct plx_blk_event *ev)
{
	static const char *const text[] = {
		[PLX_BLK_EVENT_REMOVED] = "was removed",
		[PLX_BLK_EVENT_RESIZED] = "changed its size",
		[PLX_BLK_EVENT_RESET] = "was reset and goes on",
		[PLX_BLK_EVENT_NS_CHANGED] = "changed its namespaces",
		[PLX_BLK_EVENT_RECONNECTING] = "lost its peer and waits for it",
		[PLX_BLK_EVENT_HEALTH] = "reports a health warning",
	};

	if ((unsigned int)ev->type < RTE_DIM(text) && text[ev->type] != NULL)
		tb_say("%s %s", d->info.name, text[ev->type]);
}

/* End when all workers did; tell of what happened to devices meanwhile. */
static int
watch(void *arg)
{
	struct tb_worker *w = arg;
	struct tb_job *job = w->job;
	struct plx_blk_event ev;
	uint32_t active = 0;

	for (uint32_t d = 0; d < job->ndev; d++)
		while (plx_blk_event_get(job->devs[d].blk, &ev) == 1)
			show_event(&job->devs[d], &ev);
	for (uint32_t i = 0; i < job->nworkers; i++)
		active += __atomic_load_n(&job->workers[i].active, __ATOMIC_ACQUIRE);
	if (active == 0)
		plx_reactor_stop(w->reactor);
	return 0;
}

static int
run_worker(void *arg)
{
	struct tb_worker *w = arg;

	return plx_reactor_run(w->reactor);
}

static int
run_main(struct tb_worker *w)
{
	struct tb_live *live = isatty(STDERR_FILENO) ? tb_live_create(w->job) : NULL;
	int rc = TB_OK;

	if (plx_poller_add(w->reactor, "control", poll_ctrl, NULL, CTRL_US) == NULL ||
		plx_poller_add(w->reactor, "watch", watch, w, WATCH_US) == NULL ||
		(live != NULL &&
			plx_poller_add(w->reactor, "live", tb_live_poll, live, LIVE_US) == NULL)) {
		tb_say("out of memory");
		tb_interrupted = 1; /* the others are running */
		rc = TB_FAIL;
	} else {
		plx_reactor_run(w->reactor);
	}
	tb_live_destroy(live);
	return rc;
}

/* Stop a device and take back what it never finished. */
static int
stop_dev(struct tb_dev *d)
{
	int rc = plx_blk_stop(d->blk);

	for (uint16_t i = 0; i < d->nq; i++)
		tb_queue_collect(&d->queues[i]);
	plx_blk_stats_get(d->blk, UINT16_MAX, &d->stats);
	for (uint16_t i = 0; i < d->nq; i++)
		if (d->queues[i].lost)
			tb_say("%s: queue %u did not finish its I/Os", d->info.name, i);
	if (rc == 0)
		return TB_OK;
	tb_say("%s: stopping: %s", d->info.name, strerror(-rc));
	return TB_FAIL;
}

int
tb_job_run(struct tb_job *job)
{
	struct tb_worker *main_worker = &job->workers[job->nworkers - 1];
	int rc = TB_OK;

	for (uint32_t i = 0; i < job->nworkers; i++)
		if (!job->workers[i].main && job->workers[i].nq != 0)
			rte_eal_remote_launch(run_worker, &job->workers[i], job->workers[i].lcore);
	rc = run_main(main_worker);
	for (uint32_t i = 0; i < job->nworkers; i++)
		if (!job->workers[i].main)
			rte_eal_wait_lcore(job->workers[i].lcore);
	for (uint32_t d = 0; d < job->ndev; d++)
		if (stop_dev(&job->devs[d]) != TB_OK)
			rc = TB_FAIL;
	job->total = tb_sum_job(job);
	return job->total == NULL ? TB_FAIL : rc;
}
