/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * While the controller runs: the watch over it, and recovery. Each step that fails leads to the
 * next, and each has a deadline:
 *
 *	a command is not answered	io_timeout	Abort (nvme_abort.c)
 *	it doesn't come back		5 s + 1 s	controller reset (CC.EN)
 *	that fails			CAP.TO a step	function-level reset and once more, twice
 *	that fails too					the controller is dead: -ENODEV
 *	a server is gone that is waited for		nvme_away.c, then a controller reset
 *
 * A fatal status (CSTS.CFS) and an admin command without an answer begin at the controller reset;
 * registers that read all ones, and another controller in its place, mean the end at once.
 */
#include <errno.h>
#include <string.h>

#include "plx_log.h"

#include "nvme_priv.h"

PLX_LOG_USE(nvme);

#define RESETS 3       /* in a row that fail */
#define STORM 10       /* that succeed, but the controller fails again */
#define QUIET_TICKS 20 /* without trouble: not in a row any more */
#define TELL_MOST 64   /* lines before it is silent */
#define SETTLE_MS 1000 /* commands may take to end before a reset that was asked for */

/* TELL_MOST lines, then none for as many ticks; after that one in as many. */
bool
nvme_may_tell(struct nvme_ctrlr *c)
{
	if (c->told >= TELL_MOST)
		return false;
	if (++c->told == TELL_MOST) {
		c->told = 2 * TELL_MOST;
		PLX_LOG(WARNING, "nvme: %s: more lines about it are left out for half a minute",
			c->name);
	}
	return true;
}

/* ---- the end ---- */

/*
 * End what is in flight on the queues of a dead controller. Once no owner can ring it any more, the
 * device is given back first: the kernel that removes it need not wait for the application, and
 * nothing can be written to the memory of what ends here. A peer by vfio-user may still do that.
 */
static void
bury(struct nvme_ctrlr *c)
{
	uint8_t flags = PLX_IO_MAYBE_DMA;
	bool all_taken = true;
	struct nvme_qpair *q;

	for (q = c->queues; q != NULL; q = q->next) {
		if (q->dq.taken)
			nvme_queue_drain(q); /* rings: while there are registers */
		all_taken &= q->dq.taken;
	}
	if (all_taken && plx_vfio_cut(c->vfio) == 0) {
		c->regs = NULL;
		/* the kernel lets go of it when all processes have */
		if (c->mp != NULL ? nvme_mp_off(c) : c->lends == NULL)
			flags = 0;
	}
	for (q = c->queues; q != NULL; q = q->next) {
		if (!q->dq.taken)
			continue;
		if (flags == 0)
			q->created = q->sq_created = false;
		nvme_queue_cancel(q, -ENODEV, flags);
	}
}

/* Owners that were stuck inside a call when the controller died: once they are out, their queues
 * are taken too. */
void
nvme_recover_late(struct nvme_ctrlr *c)
{
	struct nvme_qpair *q;
	bool late = false;

	for (q = c->queues; q != NULL; q = q->next)
		if (!q->dq.taken && plx_drvq_takeover(&q->dq, -ENODEV) == 0) {
			plx_drvq_split_cancel(&q->dq, -ENODEV);
			late = true;
		}
	if (late)
		bury(c);
}

/* The controller is gone or beyond help: everything in flight ends with -ENODEV. */
void
nvme_ctrlr_dead(struct nvme_ctrlr *c, int err)
{
	bool orderly = c->state == NVME_LEAVING && c->vfio->lost == 0;
	struct nvme_ns *ns;

	if (c->state == NVME_DEAD)
		return;
	c->state = NVME_DEAD;
	if (c->reset_rc == -EINPROGRESS) /* whoever waits for a reset */
		c->reset_rc = err;
	PLX_LOG(ERR,
		"nvme: %s: the controller is %s (%s); its requests end with -ENODEV, detach it",
		c->name, orderly ? "given back" : "lost", strerror(-err));
	for (ns = c->ns; ns != NULL; ns = ns->next)
		plx_blk_removed(&ns->blk);
	c->admin.ready = false; /* after owners have left: they read it */
	nvme_lend_lost(c);
	bury(c);
}

/* ---- reset ---- */

void
nvme_ctrlr_want_reset(struct nvme_ctrlr *c)
{
	if (c->state != NVME_RUNNING || c->reset_wanted)
		return;
	c->reset_wanted = true;
	c->reset_rc = -EINPROGRESS;
}

/* It failed by itself. */
static void
trouble(struct nvme_ctrlr *c)
{
	if (c->reset_wanted)
		return;
	c->quiet = 0;
	if (c->storm++ < STORM) {
		nvme_ctrlr_want_reset(c);
		return;
	}
	PLX_LOG(ERR, "nvme: %s: it fails again after each of %u resets", c->name, STORM);
	nvme_ctrlr_dead(c, -EIO);
}

static int
park_all(struct nvme_ctrlr *c)
{
	struct nvme_ns *ns;
	int rc = 0;

	for (ns = c->ns; ns != NULL && rc == 0; ns = ns->next)
		rc = plx_blk_park(&ns->blk);
	return rc;
}

/* Whether what a working controller was doing is done. Reset in the middle of fetching commands,
 * some never come to: QEMU's touches queues that it freed. */
static bool
settled(struct nvme_ctrlr *c)
{
	struct nvme_qpair *q;
	uint32_t left = 0;

	for (q = c->queues; q != NULL; q = q->next)
		if (q->created)
			left += nvme_queue_drain(q);
	return left == 0 || !c->gentle || plx_deadline_past(c->pause);
}

/* Every queue that the device had is created again, but those that were being stopped. What it
 * had finished before the reset was only not looked at yet. */
static void
take_stock(struct nvme_ctrlr *c)
{
	struct nvme_qpair *q;

	for (q = c->queues; q != NULL; q = q->next) {
		if (!q->created)
			continue;
		nvme_queue_drain(q);
		if (q->drop)
			nvme_queue_dropped(q);
	}
	nvme_queue_orphans(c, false);
	nvme_lend_disabled(c);
}

static void
replay_all(struct nvme_ctrlr *c)
{
	uint32_t queues = 0, sent = 0, ended = 0;
	struct nvme_qpair *q;

	for (q = c->queues; q != NULL; q = q->next)
		if (q->created) {
			nvme_queue_replay(q, &sent, &ended);
			queues++;
		}
	PLX_LOG(NOTICE,
		"nvme: %s: reset: %u queues created again, %u commands sent again, %u ended",
		c->name, queues, sent, ended);
}

/*
 * Controller reset: the controller is disabled, which takes its hands off all memory, and brought
 * up again. What was in flight stays as it is until the last step.
 */
static int
try_reset(struct nvme_ctrlr *c)
{
	PLX_PT_BEGIN(&c->pt);
	PLX_PT_CALL(&c->pt, c->rc, nvme_disable(c), nvme_disable(c));
	NVME_OR_RETURN(&c->pt, c->rc);
	take_stock(c);
	PLX_PT_CALL(&c->pt, c->rc, nvme_ctrlr_bring_up(c), nvme_ctrlr_bring_up(c));
	if (c->rc == 0)
		c->rc = nvme_queue_qids(c);
	NVME_OR_RETURN(&c->pt, c->rc);
	/* what is sent again must fit what the namespaces are now */
	c->rescan = false;
	PLX_PT_CALL(&c->pt, c->rc, nvme_ctrlr_scan(c), nvme_ctrlr_scan(c));
	NVME_OR_RETURN(&c->pt, c->rc);
	for (c->q = c->queues; c->q != NULL; c->q = c->q->next) {
		if (!c->q->created)
			continue;
		PLX_PT_CALL(&c->pt, c->rc, nvme_queue_create(c->q), nvme_queue_create(c->q));
		c->q->created = true; /* the next try's to do, else */
		NVME_OR_RETURN(&c->pt, c->rc);
	}
	replay_all(c);
	PLX_PT_END(&c->pt);
}

static int
function_reset(struct nvme_ctrlr *c)
{
	PLX_PT_BEGIN(&c->sub);
	PLX_PT_CALL(&c->sub, c->sub_rc, plx_vfio_reset(c->vfio), plx_vfio_poll(c->vfio));
	if (c->sub_rc == 0)
		PLX_PT_CALL(&c->sub, c->sub_rc, plx_pci_enable(c->dev->pci, true),
			plx_pci_poll(c->dev->pci));
	c->pause = plx_deadline_in(nvme_quirk(c, NVME_QUIRK_SLOW_INIT) ? NVME_INIT_MS : 0);
	PLX_PT_WAIT(&c->sub, plx_deadline_past(c->pause));
	PLX_PT_RETURN(&c->sub, c->sub_rc);
	PLX_PT_END(&c->sub);
}

/* Errors that another try may be spared: it is gone, or another one, or has too few queues. */
static bool
worth_another(struct nvme_ctrlr *c)
{
	if (nvme_away(c))
		return !plx_deadline_past(c->away_until);
	return (c->try_rc == -ETIMEDOUT || c->try_rc == -EIO) && c->resets < RESETS &&
	       c->state == NVME_RESETTING;
}

static int
reset_step(struct nvme_ctrlr *c)
{
	PLX_PT_BEGIN(&c->ladder);
	c->try_rc = park_all(c);
	NVME_OR_RETURN(&c->ladder, c->try_rc);
	PLX_PT_CALL(&c->ladder, c->try_rc, nvme_lend_park(c), nvme_lend_parked(c));
	c->pause = plx_deadline_in(SETTLE_MS);
	PLX_PT_WAIT(&c->ladder, settled(c));
	for (c->resets = 1;; c->resets++) {
		c->try_rc = 0;
		if (nvme_away(c))
			PLX_PT_CALL(&c->ladder, c->try_rc, nvme_rejoin(c), nvme_rejoin(c));
		if (c->try_rc == 0)
			PLX_PT_CALL(&c->ladder, c->try_rc, try_reset(c), try_reset(c));
		if (c->try_rc == 0 || !worth_another(c))
			PLX_PT_RETURN(&c->ladder, c->try_rc);
		if (nvme_away(c))
			continue;
		PLX_LOG(ERR, "nvme: %s: reset %u of %u failed (%s): resetting the PCI function",
			c->name, c->resets, RESETS, strerror(-c->try_rc));
		/* one that has no such reset gets another controller reset */
		PLX_PT_CALL(&c->ladder, c->rc, function_reset(c), function_reset(c));
	}
	PLX_PT_END(&c->ladder);
}

static void
reset_end(struct nvme_ctrlr *c, int rc)
{
	struct nvme_ns *ns;

	c->reset_wanted = c->gentle = c->away = false;
	c->reset_rc = rc;
	if (rc != 0) {
		nvme_ctrlr_dead(c, rc);
		return;
	}
	c->state = NVME_RUNNING;
	nvme_lend_resume(c);
	for (ns = c->ns; ns != NULL; ns = ns->next)
		plx_blk_unpark(&ns->blk, 0);
}

/* ---- the watch ---- */

/* Once a tick, whoever has the admin queue: CSTS, and commands that are too old. */
static int
look_step(struct nvme_ctrlr *c)
{
	struct nvme_qpair *q;

	PLX_PT_BEGIN(&c->look);
	c->tick = plx_deadline_in(NVME_TICK_MS);
	__atomic_store_n(&c->epoch, (uint16_t)(c->epoch + 1), __ATOMIC_RELAXED);
	c->told -= c->told != 0;
	if (c->mp == NULL) { /* else the primary process looks */
		NVME_READ(&c->look, c->look_rc, c, NVME_REG_CSTS, 4);
		NVME_OR_RETURN(&c->look, c->look_rc);
		c->csts = (uint32_t)c->reg;
	}
	if (c->csts == NVME_ALL_ONES) {
		PLX_LOG(ERR, "nvme: %s: registers read all ones: the device is gone", c->name);
		PLX_PT_RETURN(&c->look, -ENODEV);
	}
	if (NVME_CSTS_CFS(c->csts)) {
		if (!c->reset_wanted)
			PLX_LOG(ERR, "nvme: %s: fatal controller status (CSTS %#x): resetting it",
				c->name, c->csts);
		PLX_PT_RETURN(&c->look, -EIO);
	}
	for (q = c->queues; q != NULL; q = q->next)
		if (q->created &&
			(__atomic_load_n(&q->stuck, __ATOMIC_RELAXED) || nvme_intr_asleep(q)))
			nvme_abort_look(q);
	nvme_intr_tick(c);
	PLX_PT_RETURN(&c->look, nvme_aborts_ok(c) ? 0 : -EIO);
	PLX_PT_END(&c->look);
}

/* Take the next log page to be read. @return false: none */
static bool
next_log(struct nvme_ctrlr *c)
{
	unsigned int i;

	for (i = 0; i < 256; i++) {
		if (c->logs[i / 64] & 1ull << i % 64) {
			c->logs[i / 64] &= ~(1ull << i % 64);
			c->log = (uint8_t)i;
			return true;
		}
	}
	return false;
}

/* What events asked for, by the admin queue. */
static int
chores_step(struct nvme_ctrlr *c)
{
	PLX_PT_BEGIN(&c->pt);
	while (!c->reset_wanted && next_log(c)) {
		PLX_PT_CALL(&c->pt, c->rc, nvme_admin_log(c, c->log), nvme_admin_wait(c));
		NVME_OR_RETURN(&c->pt, c->rc);
	}
	if (c->rescan && !c->reset_wanted) {
		c->rescan = false;
		PLX_PT_CALL(&c->pt, c->rc, nvme_ctrlr_scan(c), nvme_ctrlr_scan(c));
		NVME_OR_RETURN(&c->pt, c->rc);
	}
	if (!c->reset_wanted) {
		PLX_PT_CALL(&c->pt, c->rc, nvme_queue_drops(c), nvme_queue_drops(c));
		NVME_OR_RETURN(&c->pt, c->rc);
	}
	PLX_PT_END(&c->pt);
}

static void
outcome(struct nvme_ctrlr *c, int rc)
{
	if (rc == -ETIMEDOUT || rc == -EIO)
		trouble(c);
	else if (rc != 0 && rc != -EINPROGRESS && !nvme_away(c))
		nvme_ctrlr_dead(c, rc);
}

static void
look(struct nvme_ctrlr *c)
{
	int rc = look_step(c);

	c->looking = rc == -EINPROGRESS;
	outcome(c, rc);
	if (rc == 0 && ++c->quiet == QUIET_TICKS)
		c->storm = 0;
}

static void
chores(struct nvme_ctrlr *c)
{
	int rc = chores_step(c);

	c->watching = rc == -EINPROGRESS;
	outcome(c, rc);
}

static int
running_poll(struct nvme_ctrlr *c)
{
	bool due = c->looking || plx_deadline_past(c->tick);
	int n = nvme_admin_poll(c) + due;

	if (c->abort_news && !nvme_aborts_ok(c))
		trouble(c);
	if (due)
		look(c);
	if (c->wiring || __atomic_load_n(&c->intr_wanted, __ATOMIC_RELAXED)) {
		__atomic_store_n(&c->intr_wanted, false, __ATOMIC_RELAXED);
		c->wiring = nvme_intr_step(c) == -EINPROGRESS;
	}
	if (c->state != NVME_RUNNING || c->owner != NULL) /* an operation has the admin queue */
		return n;
	if (c->watching || (due && !c->reset_wanted)) {
		chores(c);
		return n + 1;
	}
	if (c->reset_wanted && !c->looking && !c->wiring) {
		c->state = NVME_RESETTING;
		return n + 1;
	}
	return n;
}

int
nvme_recover_poll(struct nvme_ctrlr *c)
{
	int rc;

	if (c->state == NVME_RUNNING)
		return running_poll(c);
	rc = reset_step(c);
	if (rc != -EINPROGRESS)
		reset_end(c, rc);
	return 1;
}

/* Before a detach: what the watch or a reset had begun comes to its end. */
int
nvme_recover_finish(struct nvme_ctrlr *c)
{
	int rc;

	if (c->resetting) {
		rc = reset_step(c);
		if (rc == -EINPROGRESS)
			return rc;
		c->resetting = false;
		if (rc != 0)
			nvme_ctrlr_dead(c, rc);
	}
	if (c->looking && look_step(c) == -EINPROGRESS)
		return -EINPROGRESS;
	c->looking = false;
	if (c->wiring && nvme_intr_step(c) == -EINPROGRESS)
		return -EINPROGRESS;
	c->wiring = false;
	if (c->watching && chores_step(c) == -EINPROGRESS)
		return -EINPROGRESS;
	c->watching = false;
	return 0;
}
