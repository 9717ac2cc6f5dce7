/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Taking a queue over from its owner, without the owner's help, and giving it back.
 *
 * The owner, in the inline calls of plx_blk.h:	Control, here:
 *	O1 busy = 1				C1 submit, poll = functions that refuse
 *	O2 call what submit or poll say		C2 membarrier: a full barrier on every running
 *	O3 busy = 0 (release)			   thread of the process
 *						C3 wait until busy == 0 (acquire)
 *
 * O1 and O2 have only a compiler barrier between them, so that the fast path pays nothing. C2
 * falls somewhere into the owner's program: what the owner loads after it at O2 is C1's; what it
 * did before it, O1 included, C3 sees. So once C3 has seen 0 the owner can't be inside the
 * driver, nor get there; O3's release gives control the owner's last writes. At giveback the
 * release of the pointers pairs with the owner's acquire at O2.
 *
 * An owner that polls without a pause is hardly ever seen with busy == 0, so C3 is also content
 * when it sees that the owner ran one of the refusing functions after C2: `outside` is cleared
 * between C2 and C3, and what sets it after that comes later in the owner's program than any
 * call into the driver.
 */
#include <errno.h>
#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <rte_atomic.h>
#include <rte_pause.h>

#include "plx_ctrl.h"
#include "plx_log.h"

#include "blk_priv.h"

PLX_LOG_USE(blk);

#define OWNER_TIMEOUT_MS 2000

static long
membarrier(int cmd)
{
	return syscall(SYS_membarrier, cmd, 0, 0);
}

static void
sleep_us(long us)
{
	nanosleep(&(struct timespec){.tv_nsec = us * 1000}, NULL);
}

/*
 * Without membarrier(2) (valgrind, a strict seccomp filter): a store leaves its store buffer
 * within microseconds, and at the latest when its CPU takes a timer interrupt, so O1 is visible
 * long before this sleep ends.
 */
static void
all_threads_barrier(void)
{
	static int cmd = MEMBARRIER_CMD_PRIVATE_EXPEDITED; /* under the control lock */

	if (cmd == MEMBARRIER_CMD_PRIVATE_EXPEDITED && membarrier(cmd) != 0) {
		/* EPERM: not registered yet */
		if (membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) != 0 ||
			membarrier(cmd) != 0)
			cmd = MEMBARRIER_CMD_GLOBAL;
	}
	if (cmd == MEMBARRIER_CMD_GLOBAL && membarrier(cmd) != 0)
		cmd = -1;
	if (cmd == -1) {
		rte_mb();
		sleep_us(20000);
	}
}

static uint16_t
refuse_submit(struct plx_blkq *q, struct plx_blk_req *const *reqs, uint16_t n)
{
	struct plx_drvq *dq = (struct plx_drvq *)q;
	uint16_t i;

	__atomic_store_n(&dq->outside, true, __ATOMIC_RELEASE);
	rte_spinlock_lock(&dq->lock);
	if (dq->refuse == 0)
		n = 0;
	for (i = 0; i < n; i++) {
		blk_count_slow(dq, reqs[i]);
		plx_trace_submit(dq, reqs[i]);
		reqs[i]->status = dq->refuse;
		blk_done_push(dq, reqs[i]);
	}
	rte_spinlock_unlock(&dq->lock);
	return plx_drvq_count_submit(dq, n);
}

static uint16_t
refuse_poll(struct plx_blkq *q, struct plx_blk_req **reqs, uint16_t n)
{
	struct plx_drvq *dq = (struct plx_drvq *)q;

	__atomic_store_n(&dq->outside, true, __ATOMIC_RELEASE);
	rte_spinlock_lock(&dq->lock);
	n = plx_drvq_pop(dq, reqs, n);
	rte_spinlock_unlock(&dq->lock);
	return plx_drvq_count_poll(dq, n, 0, 0);
}

static void
open_path(struct plx_drvq *dq)
{
	__atomic_store_n(&dq->q.poll, dq->poll, __ATOMIC_RELEASE);
	__atomic_store_n(&dq->q.submit, dq->submit, __ATOMIC_RELEASE);
}

void
blk_close_path(struct plx_drvq *dq)
{
	__atomic_store_n(&dq->q.submit, refuse_submit, __ATOMIC_RELEASE);
	__atomic_store_n(&dq->q.poll, refuse_poll, __ATOMIC_RELEASE);
}

/* C3. An owner that was preempted inside needs the CPU, perhaps this one. */
static int
wait_outside(struct plx_drvq *dq)
{
	struct plx_deadline until = plx_deadline_in(OWNER_TIMEOUT_MS);
	unsigned int turn;

	for (turn = 0; __atomic_load_n(&dq->q.busy, __ATOMIC_ACQUIRE) != 0 &&
		       !__atomic_load_n(&dq->outside, __ATOMIC_ACQUIRE);
		turn++) {
		if (plx_deadline_past(until))
			return -ETIMEDOUT;
		if (turn < 200)
			rte_pause();
		else
			sleep_us(20);
	}
	return 0;
}

int
plx_drvq_takeover(struct plx_drvq *dq, int refuse)
{
	rte_spinlock_lock(&dq->lock);
	dq->refuse = refuse;
	rte_spinlock_unlock(&dq->lock);
	if (dq->taken)
		return 0;

	blk_close_path(dq);
	all_threads_barrier();
	__atomic_store_n(&dq->outside, false, __ATOMIC_RELAXED);
	if (wait_outside(dq) != 0) {
		PLX_LOG(ERR,
			"blk: %s: queue %u: its owner has been inside submit or poll for %d ms; "
			"a queue can't be stopped from within its own calls",
			dq->q.blk->info.name, dq->q.qid, OWNER_TIMEOUT_MS);
		open_path(dq);
		return -ETIMEDOUT;
	}
	dq->taken = true;
	return 0;
}

void
plx_drvq_giveback(struct plx_drvq *dq)
{
	if (!dq->taken)
		return;
	dq->taken = false;
	blk_split_renew(dq);
	blk_latency_forget(dq);
	open_path(dq);
}
