/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Operations of a device that take time: start, stop, reset, admin commands. One at a time on a
 * device; the driver's op_poll() is driven by one piece of control work for all devices. Also
 * what a driver does by itself: recovery and removal.
 */
#include <errno.h>

#include <rte_byteorder.h>

#include "plx_ctrl.h"
#include "plx_log.h"

#include "blk_priv.h"

PLX_LOG_USE(blk);

void
blk_state_set(struct plx_blk *blk, enum plx_blk_state state)
{
	if (blk->info.state != state)
		PLX_TRACE(state, blk->info.name, blk->info.state, state);
	blk->info.state = state;
}

/* ---- the queues of a device ---- */

static void
queues_give(struct plx_blk *blk)
{
	uint16_t i;

	for (i = 0; i < blk->info.nb_queues; i++)
		if (blk->queues[i] != NULL)
			plx_drvq_giveback(blk->queues[i]);
}

/* All or none; of queues taken already, only what they refuse with changes. */
static int
queues_take(struct plx_blk *blk, int refuse)
{
	uint16_t i;
	int rc = 0;

	for (i = 0; i < blk->info.nb_queues && rc == 0; i++)
		if (blk->queues[i] != NULL)
			rc = plx_drvq_takeover(blk->queues[i], refuse);
	if (rc != 0 && blk->info.state == PLX_BLK_STARTED)
		queues_give(blk);
	return rc;
}

static void
queues_cancel(struct plx_blk *blk, int status)
{
	uint16_t i;

	for (i = 0; i < blk->info.nb_queues; i++)
		if (blk->queues[i] != NULL && blk->queues[i]->taken)
			plx_drvq_split_cancel(blk->queues[i], status);
}

static bool
queues_set_up(const struct plx_blk *blk)
{
	uint16_t i;

	for (i = 0; i < blk->info.nb_queues; i++)
		if (blk->queues[i] == NULL)
			return false;
	return blk->info.nb_queues != 0;
}

/* ---- what a driver does by itself ---- */

int
plx_blk_park(struct plx_blk *blk)
{
	int rc;

	if (blk->info.state != PLX_BLK_STARTED)
		return 0;
	rc = queues_take(blk, 0);
	if (rc != 0)
		return rc;
	PLX_TRACE(reset, blk->info.name);
	blk_state_set(blk, PLX_BLK_RESETTING);
	return 0;
}

static void
unpark(struct plx_blk *blk, int rc)
{
	PLX_TRACE(reset_end, blk->info.name, rc);
	if (rc == 0) {
		blk_state_set(blk, PLX_BLK_STARTED);
		queues_give(blk);
		plx_blk_event_post(blk, PLX_BLK_EVENT_RESET, 0);
		return;
	}
	blk_state_set(blk, PLX_BLK_STOPPED);
	queues_take(blk, -ESHUTDOWN);
	queues_cancel(blk, -ECANCELED);
}

void
plx_blk_unpark(struct plx_blk *blk, int rc)
{
	/* a reset that the application asked for ends by itself */
	if (blk->info.state == PLX_BLK_RESETTING && blk->ctl != PLX_CTL_RESET)
		unpark(blk, rc);
}

void
plx_blk_removed(struct plx_blk *blk)
{
	uint16_t i;

	if (blk->info.state == PLX_BLK_REMOVED)
		return;
	blk_state_set(blk, PLX_BLK_REMOVED);
	for (i = 0; i < blk->info.nb_queues; i++)
		if (blk->queues[i] != NULL)
			plx_drvq_takeover(blk->queues[i], -ENODEV);
	queues_cancel(blk, -ENODEV);
	plx_blk_event_post(blk, PLX_BLK_EVENT_REMOVED, 0);
}

/* ---- operations: driving and ending them ---- */

static void
op_end(struct plx_blk *blk, int rc)
{
	enum plx_blk_op_kind kind = blk->ctl;

	blk->ctl = PLX_CTL_NONE;
	blk->restart = false;
	blk->ctl_rc = rc;
	if (blk->info.state == PLX_BLK_REMOVED) {
		blk->ctl_rc = rc != 0 ? rc : -ENODEV;
	} else if (kind == PLX_CTL_START && rc == 0) {
		blk_state_set(blk, PLX_BLK_STARTED);
		queues_give(blk);
	} else if (kind == PLX_CTL_RESET && blk->info.state == PLX_BLK_RESETTING) {
		unpark(blk, rc);
	} else if (kind == PLX_CTL_RESET && rc == 0) {
		plx_blk_event_post(blk, PLX_BLK_EVENT_RESET, 0);
	}
}

static int
run(struct plx_blk *blk, int (*op)(struct plx_blk *))
{
	return op != NULL ? op(blk) : 0;
}

/* The driver said rc: begin the second half of a reset, go on waiting, or end. */
static void
op_advance(struct plx_blk *blk, int rc)
{
	if (rc == 0 && blk->restart && blk->info.state == PLX_BLK_RESETTING) {
		blk->restart = false;
		rc = run(blk, blk->ops->start);
	}
	if (rc != -EINPROGRESS)
		op_end(blk, rc);
}

static int
ctl_poll(struct plx_ctrl_work *work)
{
	struct plx_blk *blk, *next;
	int n = 0;

	for (blk = plx_blk_next(NULL); blk != NULL; blk = next) {
		next = blk->next;
		if (blk->ctl == PLX_CTL_NONE)
			continue;
		op_advance(blk, blk->ops->op_poll(blk));
		n++;
	}
	if (n == 0)
		plx_ctrl_del(work);
	return n;
}

static struct plx_ctrl_work ctl_work = {.poll = ctl_poll};

static int
op_begin(struct plx_blk *blk, enum plx_blk_op_kind kind, int rc)
{
	blk->ctl = kind;
	op_advance(blk, rc);
	if (blk->ctl != PLX_CTL_NONE) {
		plx_ctrl_del(&ctl_work);
		plx_ctrl_add(&ctl_work);
	}
	return 0;
}

/* ---- the operations; all under the lock ---- */

/* May an operation begin? */
static int
check(const struct plx_blk *blk)
{
	if (blk->info.state == PLX_BLK_CLOSED)
		return -EINVAL;
	if (blk->ctl != PLX_CTL_NONE || blk->held)
		return -EBUSY;
	return blk->info.state == PLX_BLK_REMOVED ? -ENODEV : 0;
}

static int
nothing_to_do(struct plx_blk *blk)
{
	blk->ctl_rc = 0;
	return 0;
}

/* It recovers by itself: later; or it is not waited for any more, as its queues say. */
static int
recovering(const struct plx_blk *blk)
{
	uint16_t i;

	for (i = 0; i < blk->info.nb_queues; i++)
		if (blk->queues[i] != NULL && blk->queues[i]->refuse != 0)
			return blk->queues[i]->refuse;
	return -EBUSY;
}

static int
start(struct plx_blk *blk, void *arg)
{
	int rc = check(blk);

	if (rc != 0)
		return rc;
	if (blk->info.state == PLX_BLK_STARTED)
		return nothing_to_do(blk);
	if (blk->info.state == PLX_BLK_RESETTING)
		return recovering(blk);
	if (!queues_set_up(blk)) {
		PLX_LOG(ERR, "blk: %s: can't start: %s", blk->info.name,
			blk->info.nb_queues == 0 ? "call plx_blk_configure() first"
						 : "plx_blkq_setup() is missing for a queue");
		return -EINVAL;
	}
	return op_begin(blk, PLX_CTL_START, run(blk, blk->ops->start));
}

static int
stop(struct plx_blk *blk, void *arg)
{
	int rc = check(blk);

	if (rc != 0)
		return rc;
	if (blk->info.state != PLX_BLK_STARTED && blk->info.state != PLX_BLK_RESETTING)
		return nothing_to_do(blk);
	rc = queues_take(blk, -ESHUTDOWN);
	if (rc != 0)
		return rc;
	blk_state_set(blk, PLX_BLK_STOPPED);
	queues_cancel(blk, -ECANCELED);
	return op_begin(blk, PLX_CTL_STOP, run(blk, blk->ops->stop));
}

static int
reset(struct plx_blk *blk, void *arg)
{
	int rc = check(blk);

	if (rc != 0)
		return rc;
	if (blk->ops->reset == NULL)
		return -ENOTSUP;
	if (blk->info.state == PLX_BLK_RESETTING)
		return recovering(blk);
	rc = plx_blk_park(blk);
	if (rc != 0)
		return rc;
	blk->restart = blk->info.state == PLX_BLK_RESETTING;
	return op_begin(blk, PLX_CTL_RESET, blk->ops->reset(blk));
}

/* Opened read-only, only commands pass that bring data and change nothing: bits 1:0 of the
 * opcode say the direction (NVMe Base 2.0, figure 88). */
static int
admin(struct plx_blk *blk, void *arg)
{
	struct plx_nvme_cmd *cmd = arg;
	int rc = check(blk);

	if (rc != 0)
		return rc;
	if (blk->ops->nvme_admin == NULL)
		return -ENOTSUP;
	if (cmd->data_len != 0 && cmd->data == NULL)
		return -EINVAL;
	if (!(blk->open_flags & PLX_BLK_O_WRITE) && (rte_le_to_cpu_32(cmd->cdw[0]) & 3) != 2)
		return -EROFS;
	return op_begin(blk, PLX_CTL_ADMIN, blk->ops->nvme_admin(blk, cmd));
}

/* ---- calls ---- */

static int
begin(struct plx_blk *blk, int (*op)(struct plx_blk *, void *))
{
	int rc;

	plx_ctrl_lock();
	rc = op(blk, NULL);
	plx_ctrl_unlock();
	return rc;
}

int
plx_blk_start_begin(struct plx_blk *blk)
{
	return begin(blk, start);
}

int
plx_blk_stop_begin(struct plx_blk *blk)
{
	return begin(blk, stop);
}

int
plx_blk_reset_begin(struct plx_blk *blk)
{
	return begin(blk, reset);
}

int
plx_blk_op_poll(struct plx_blk *blk)
{
	int rc;

	plx_ctrl_lock();
	rc = blk->ctl != PLX_CTL_NONE ? -EINPROGRESS : blk->ctl_rc;
	plx_ctrl_unlock();
	return rc;
}

/* Begin, as soon as no other operation is under way, and wait. The result is held for this
 * caller: nobody else begins before it was collected. */
static int
wait_for(struct plx_blk *blk, int (*op)(struct plx_blk *, void *), void *arg)
{
	unsigned int idle = 0;
	bool begun = false;
	int rc;

	for (;; plx_ctrl_drive(&idle)) {
		plx_ctrl_lock();
		rc = begun ? 0 : op(blk, arg);
		if (rc == 0) {
			rc = plx_blk_op_poll(blk);
			begun = true;
			blk->held = rc == -EINPROGRESS;
		}
		plx_ctrl_unlock();
		if (rc != -EINPROGRESS && (begun || rc != -EBUSY))
			return rc;
	}
}

int
plx_blk_start(struct plx_blk *blk)
{
	return wait_for(blk, start, NULL);
}

int
plx_blk_stop(struct plx_blk *blk)
{
	return wait_for(blk, stop, NULL);
}

int
plx_blk_reset(struct plx_blk *blk)
{
	return wait_for(blk, reset, NULL);
}

int
plx_blk_nvme_admin(struct plx_blk *blk, struct plx_nvme_cmd *cmd)
{
	return wait_for(blk, admin, cmd);
}

/* Let go of the queues of a stopped device. @return -EBUSY something is under way again */
static int
let_go(struct plx_blk *blk, void *arg)
{
	int rc = check(blk);

	if (rc != 0 && rc != -ENODEV)
		return rc;
	if (blk->info.state == PLX_BLK_STARTED || blk->info.state == PLX_BLK_RESETTING)
		return -EALREADY;
	blk_closed(blk);
	return nothing_to_do(blk);
}

int
plx_blk_close(struct plx_blk *blk)
{
	int stopped = plx_blk_stop(blk), rc = wait_for(blk, let_go, NULL);

	if (rc == -EALREADY) /* not stopped: an owner is stuck, or somebody started it again */
		return stopped != 0 ? stopped : -EBUSY;
	return rc != 0 || stopped == -ENODEV ? rc : stopped;
}
