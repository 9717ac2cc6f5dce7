/* SPDX-License-Identifier: BSD-3-Clause */
/* The shell's commands on a device, with a run on it or without. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_cycles.h>

#include <nvme/util.h>

#include "plx_ctrl.h"
#include "plx_nvme.h"
#include "shell.h"

#define IDLE_SECONDS 10  /* for the I/Os in flight of what is to be stopped */
#define FORMAT_SECONDS 5 /* for a formatted namespace to come back */

struct tb_dev *
dev_named(const struct tb_shell *sh, const char *name)
{
	struct tb_dev *d = tb_session_dev(sh->session, name);

	if (d == NULL)
		tb_say("'%s' is not attached; 'show devs' lists what is", name);
	return d;
}

struct plx_blk *
dev_handle(const char *name)
{
	struct plx_blk_info i;
	struct plx_blk *b = NULL;

	while ((b = plx_blk_next(b)) != NULL) {
		plx_blk_info_get(b, &i);
		if (strcmp(i.name, name) == 0)
			break;
	}
	return b;
}

int
dev_stats(const char *name, uint16_t qid, struct plx_blk_stats *st)
{
	struct plx_blk *b = dev_handle(name);

	return b == NULL ? -ENODEV : plx_blk_stats_get(b, qid, st);
}

static int
failed(const char *name, const char *what, int rc)
{
	tb_say("%s: %s: %s", name, what, strerror(-rc));
	return TB_FAIL;
}

/* ---- queues of the run ---- */

/* Queue qid of a device in the run. */
static struct tb_queue *
find_queue(const struct tb_run *run, const struct tb_dev *d, unsigned long qid)
{
	for (uint32_t j = 0; run != NULL && j < run->njob; j++)
		for (uint32_t i = 0; i < run->jobs[j].ntask; i++) {
			struct tb_task *t = &run->jobs[j].tasks[i];

			if (t->dev == d && qid >= t->first_qid && qid < t->first_qid + t->nq)
				return &t->queues[qid - t->first_qid];
		}
	return NULL;
}

static void
pause_queue(struct tb_queue *q, bool on)
{
	__atomic_store_n(&q->paused, on, __ATOMIC_RELAXED);
}

struct idle {
	const struct tb_run *run;
	const struct tb_dev *dev;
	unsigned long first, last; /* queues */
	uint64_t until;            /* TSC */
};

static bool
all_idle(const struct idle *i)
{
	for (unsigned long q = i->first; q <= i->last; q++)
		if (__atomic_load_n(
			    &find_queue(i->run, i->dev, q)->bq->inflight, __ATOMIC_RELAXED) != 0)
			return false;
	return true;
}

static int
idle_or_late(void *arg)
{
	const struct idle *i = arg;

	return all_idle(i) || rte_rdtsc() > i->until;
}

/* Keep queues from new I/Os until those in flight are back. */
static int
hold(const struct tb_shell *sh, const struct tb_dev *d, unsigned long first, unsigned long last)
{
	struct idle idle = {sh->session->run, d, first, last,
		rte_rdtsc() + (uint64_t)(IDLE_SECONDS * sh->session->hz)};

	for (unsigned long q = first; q <= last; q++)
		pause_queue(find_queue(sh->session->run, d, q), true);
	tb_run_drive(sh->session, idle_or_late, &idle);
	if (all_idle(&idle))
		return TB_OK;
	tb_say("%s: its I/Os did not come back within %d s", d->info.name, IDLE_SECONDS);
	return TB_FAIL;
}

/* queue <dev> <n> pause|resume|stop|start: of the run; the device's queue stays as it is. */
int
dev_queue(struct tb_shell *sh, const struct shell_args *a)
{
	struct tb_dev *d = dev_named(sh, a->word[1]);
	char *end;
	unsigned long qid = strtoul(a->word[2], &end, 10);
	struct tb_queue *q;

	if (d == NULL)
		return TB_USAGE;
	q = *end == '\0' ? find_queue(sh->session->run, d, qid) : NULL;
	if (q == NULL || d->blk == NULL) {
		tb_say("%s: the run has no queue '%s' on it", d->info.name, a->word[2]);
		return TB_USAGE;
	}
	if (strcmp(a->word[3], "stop") == 0)
		return hold(sh, d, qid, qid);
	pause_queue(q, strcmp(a->word[3], "pause") == 0);
	return TB_OK;
}

/* ---- devices ---- */

static int
attach(struct tb_shell *sh, const char *str)
{
	return tb_session_attach(sh->session, str);
}

/* Under load its I/Os end with -ECANCELED; the run's account has them all. */
static int
detach(struct tb_shell *sh, const char *name)
{
	return tb_session_detach(sh->session, name);
}

/* With a run under way or without. */
static int
reset(struct tb_shell *sh, const char *name)
{
	struct tb_dev *d = dev_named(sh, name);
	struct plx_blk *blk;
	int rc;

	if (d == NULL)
		return TB_USAGE;
	blk = d->blk;
	rc = blk != NULL ? 0 : plx_blk_open(d->info.name, 0, &blk);
	if (rc == 0)
		rc = plx_blk_reset(blk);
	if (d->blk == NULL && blk != NULL)
		plx_blk_close(blk);
	return rc == 0 ? TB_OK : failed(name, "reset", rc);
}

/* @return one that the run works on, or NULL after one line */
static struct tb_dev *
in_run(struct tb_shell *sh, const char *name)
{
	struct tb_dev *d = dev_named(sh, name);

	if (d != NULL && d->blk == NULL) {
		tb_say("%s: no run works on it", d->info.name);
		return NULL;
	}
	return d;
}

static int
stop(struct tb_shell *sh, const char *name)
{
	struct tb_dev *d = in_run(sh, name);
	int rc;

	if (d == NULL)
		return TB_USAGE;
	rc = hold(sh, d, 0, d->nq - 1u);
	if (rc != TB_OK)
		return rc;
	rc = plx_blk_stop(d->blk);
	return rc == 0 ? TB_OK : failed(name, "stop", rc);
}

static int
start(struct tb_shell *sh, const char *name)
{
	struct tb_dev *d = in_run(sh, name);
	int rc;

	if (d == NULL)
		return TB_USAGE;
	rc = plx_blk_start(d->blk);
	if (rc != 0)
		return failed(name, "start", rc);
	for (uint16_t q = 0; q < d->nq; q++)
		pause_queue(find_queue(sh->session->run, d, q), false);
	return TB_OK;
}

/* ---- format ---- */

/* "nvme0/n1" */
static uint32_t
nsid_of(const char *name)
{
	const char *n = strrchr(name, '/');

	return n == NULL || n[1] != 'n' ? 0 : (uint32_t)strtoul(n + 2, NULL, 10);
}

/* Its block device has another size, or went and came. */
static int
back_again(struct tb_dev *d, double hz)
{
	uint64_t until = rte_rdtsc() + (uint64_t)(FORMAT_SECONDS * hz);
	struct plx_blk_info i;
	unsigned int idle = 0;

	while (rte_rdtsc() < until) {
		struct plx_blk *b = dev_handle(d->info.name);

		plx_ctrl_drive(&idle);
		if (b == NULL || plx_blk_info_get(b, &i) != 0 || i.state == PLX_BLK_REMOVED)
			continue;
		d->info = i;
		d->removed = false;
		return TB_OK;
	}
	tb_say("%s did not come back after the format", d->info.name);
	return TB_FAIL;
}

static int
format(struct tb_shell *sh, const char *name, const char *lbaf)
{
	struct tb_dev *d = dev_named(sh, name);
	char *end;
	unsigned long n = strtoul(lbaf, &end, 10);
	struct tb_opts o;
	int rc;

	if (d == NULL)
		return TB_USAGE;
	if (*end != '\0' || n > 63) {
		tb_say("%s: format '%s' is not a number up to 63", name, lbaf);
		return TB_USAGE;
	}
	shell_opts(sh, &o);
	if (!o.allow_write && !(d->info.caps & PLX_BLK_CAP_SOFTWARE)) {
		tb_say("%s: a format destroys all its data: 'set allow-write yes' first", name);
		return TB_USAGE;
	}
	if (d->blk != NULL) {
		tb_say("%s: a run works on it", name);
		return TB_FAIL;
	}
	/* NVM Command Set 1.0, 5.1: LBAFL and LBAFU */
	rc = plx_nvme_format(d->attachment, nsid_of(d->info.name),
		(uint32_t)((n & 0xf) | (n >> 4 & 3) << 12), 0);
	if (rc < 0)
		return failed(name, "format", rc);
	if (rc > 0) {
		tb_say("%s: format: %s", name, nvme_status_to_string(rc, false));
		return TB_FAIL;
	}
	return back_again(d, sh->session->hz);
}

/* attach, detach, reset; dev with those, and with stop, start, format. */
int
dev_command(struct tb_shell *sh, const struct shell_args *a)
{
	static const struct {
		const char *name;
		int (*fn)(struct tb_shell *sh, const char *arg);
	} commands[] = {{"attach", attach}, {"detach", detach}, {"reset", reset}, {"stop", stop},
		{"start", start}};
	unsigned int at = strcmp(a->word[0], "dev") == 0;

	for (unsigned int i = 0; i < RTE_DIM(commands); i++)
		if (strcmp(a->word[at], commands[i].name) == 0)
			return commands[i].fn(sh, a->word[at + 1]);
	return format(sh, a->word[at + 1], a->word[at + 2]);
}

/* ---- what is measured ---- */

int
dev_latency(struct tb_shell *sh, const struct shell_args *a)
{
	struct tb_dev *d = dev_named(sh, a->word[1]);
	int rc;

	if (d == NULL)
		return TB_USAGE;
	if (d->blk == NULL) {
		tb_say("%s: the class measures latencies while a run has it open", d->info.name);
		return TB_FAIL;
	}
	rc = plx_blk_latency_enable(d->blk, strcmp(a->word[2], "on") == 0);
	return rc == 0 ? TB_OK : failed(d->info.name, "latency", rc);
}

/* Counters of the class only grow: what is shown is what came since. */
int
dev_clear(struct tb_shell *sh, const struct shell_args *a)
{
	struct tb_dev *d = dev_named(sh, a->word[2]);
	struct plx_blk_latency l;
	int rc;

	if (d == NULL)
		return TB_USAGE;
	if (strcmp(a->word[1], "stats") == 0) {
		rc = dev_stats(d->info.name, UINT16_MAX, &d->cleared);
		return rc == 0 ? TB_OK : failed(d->info.name, "clear", rc);
	}
	if (d->blk == NULL ||
		plx_blk_latency_get(d->blk, UINT16_MAX, PLX_BLK_LATENCY_READ, &l) != 0)
		return TB_OK; /* nothing is measured */
	rc = plx_blk_latency_enable(d->blk, false);
	if (rc == 0)
		rc = plx_blk_latency_enable(d->blk, true);
	return rc == 0 ? TB_OK : failed(d->info.name, "clear", rc);
}

/* ---- insides ---- */

/* dump regs <dev>, dump sq|cq|virtqueue <dev> <n>|admin */
int
dump_dev(struct tb_shell *sh, const struct shell_args *a)
{
	const char *what = a->word[1], *queue = a->word[3];
	struct tb_dev *d = dev_named(sh, a->word[2]);
	bool of_queue = strcmp(what, "regs") != 0 && strcmp(queue, "admin") != 0;
	unsigned long qid = UINT16_MAX;
	struct plx_blk *blk;
	char *end;
	int rc;

	if (d == NULL)
		return TB_USAGE;
	if (of_queue) {
		qid = strtoul(queue, &end, 10);
		if (*end != '\0' || qid >= UINT16_MAX) {
			tb_say("'%s' is not a queue: give a number, or 'admin'", queue);
			return TB_USAGE;
		}
	}
	blk = dev_handle(d->info.name);
	rc = blk == NULL ? -ENODEV : plx_blk_dump(blk, what, (uint16_t)qid, stdout);
	if (rc == -EINVAL) {
		tb_say("%s: there is no queue '%s' now; queues are there while a run is on",
			d->info.name, queue);
		return TB_FAIL;
	}
	if (rc == -ENOTSUP) {
		tb_say("%s: driver %s has no %s to show", d->info.name, d->info.driver, what);
		return TB_FAIL;
	}
	return rc == 0 ? TB_OK : failed(d->info.name, "dump", rc);
}
