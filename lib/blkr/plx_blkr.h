/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef PLX_BLKR_H
#define PLX_BLKR_H
/**
 * @file
 * Block devices on reactors: completion callbacks, and queues that several threads share.
 *
 *	plx_blkr_submit(b, req, done)            any reactor or thread:
 *	    |  gathered over a turn                 plx_blkq_submit(), plx_blkq_poll()
 *	    v                                           |  rings, there and back
 *	reactor: plx_blkq_submit(), _poll(),            v
 *	    done(req) for each                   the owner's reactor: round robin over all users,
 *	    |                                        plx_blkq_submit(), plx_blkq_poll()
 *	    v                                           v
 *	  a queue: the device's own, or a shared one    the device's queue
 *
 * A queue that a reactor uses keeps it from sleeping only while requests are out that can't wake
 * it: set the queue up with conf.intr, so that those can as well.
 */
#include <errno.h>

#include "plx_blk.h"
#include "plx_reactor.h"

#ifdef __cplusplus
extern "C" {
#endif

/** @name Callbacks
 * @{ */

/** A request is back: its status is set and it is the application's again. On the reactor's thread,
 * outside of the queue: may submit, this request too. */
typedef void (*plx_blkr_done_fn)(struct plx_blk_req *req);

/** A queue that a reactor polls. What stands here is for the inline call. */
struct plx_blkr {
	struct plx_blk_req **next, **end; /**< place for what the next flush submits */
};

/**
 * Let a reactor own and poll a queue. The reactor's thread, or before it runs.
 * @param r  the reactor
 * @param q  of a started device, or shared (plx_blkr_share_open() with this reactor as its user);
 *           nobody else may submit to or poll it until plx_blkr_destroy()
 * @param b  out
 * @return 0; -ENOMEM; errors of plx_poller_idle_set()
 */
int plx_blkr_create(struct plx_reactor *r, struct plx_blkq *q, struct plx_blkr **b);
/** Undo. The reactor's thread, not from a done function; or while it doesn't run. NULL is harmless.
 * @return 0; -EBUSY requests are out: they have to come back first */
int plx_blkr_destroy(struct plx_blkr *b);

/**
 * Submit a request. It goes to the queue at the end of the reactor's poll, together with all that
 * were submitted in the same turn, so that the device is rung once; plx_blkr_flush() is earlier.
 * The reactor's thread only.
 *
 * @param b     a queue on a reactor
 * @param req   as for plx_blkq_submit(), but that user holds done: what else belongs to a request
 *              stands around it in a structure of the application's
 * @param done  called once, for success and for errors
 * @return 0; -EAGAIN as many wait already as the queue is deep: wait for a completion
 */
static inline int
plx_blkr_submit(struct plx_blkr *b, struct plx_blk_req *req, plx_blkr_done_fn done)
{
	struct plx_blk_req **place = b->next;

	if (__builtin_expect(place == b->end, 0))
		return -EAGAIN;
	req->user = (void *)done;
	*place = req;
	b->next = place + 1;
	return 0;
}

/** Hand what was submitted to the queue now. The reactor's thread. @return how many it took; the
 * others stay for later */
uint32_t plx_blkr_flush(struct plx_blkr *b);
/** @return requests that are out: submitted and not given back. The reactor's thread */
uint32_t plx_blkr_inflight(const struct plx_blkr *b);
/** @} */

/** @name Shared queues
 * For a device with fewer queues than threads that want it: the reactor that owns a queue serves
 * users, each with a queue of its own kind: a struct plx_blkq with the contract of plx_blk.h.
 * Requests and completions travel over rings, in bursts; users are served in turns, a request
 * each while the device is short of room, and one that has no room left sees a short count.
 *
 * Where threads of a share have to do with one CPU for several, each gives it to the others
 * (sched_yield(2)) in poll when nothing came, or after a queue's depth of requests.
 *
 * Stop, reset and removal of the device are seen by users as by any owner: requests come back with
 * -ECANCELED, -ESHUTDOWN or -ENODEV, or wait while it is parked. All of it takes the owner's
 * reactor to run: while it doesn't, requests wait.
 * @{ */

struct plx_blkr_share;

#define PLX_BLKR_USERS 64 /**< of a shared queue */

/**
 * Share a queue. The owner's thread, or before its reactor runs.
 * @param owner  the reactor that will submit to the queue and poll it
 * @param q      of a started device; nobody else uses it until plx_blkr_share_destroy()
 * @param s      out
 * @return 0; -EINVAL q is a user's queue; -ENOMEM; errors of plx_poller_idle_set()
 */
int plx_blkr_share_create(struct plx_reactor *owner, struct plx_blkq *q, struct plx_blkr_share **s);
/** Undo. The owner's thread, or while its reactor doesn't run. NULL is harmless.
 * @return 0; -EBUSY it has users still, or requests are out */
int plx_blkr_share_destroy(struct plx_blkr_share *s);

/**
 * A queue for one more user, which a single thread owns. Any thread.
 * @param s      a shared queue
 * @param user   the reactor that will poll it, woken when something comes back; NULL: none, or
 *               one that never sleeps
 * @param depth  requests that may be out; 0: as the device's queue
 * @param q      out: for plx_blkq_submit() and plx_blkq_poll(), or plx_blkr_create(); it has no
 *               interrupt of its own, and nothing can be taken back (plx_blkq_cancel())
 * @return 0; -ENOSPC PLX_BLKR_USERS have it; -EINVAL depth over 32768; -ENOMEM
 */
int plx_blkr_share_open(
	struct plx_blkr_share *s, struct plx_reactor *user, uint16_t depth, struct plx_blkq **q);
/** Give it back. Its thread, or any when that is done with it. @return 0; -EBUSY requests are out:
 * poll them out first */
int plx_blkr_share_close(struct plx_blkq *q);
/** @} */

#ifdef __cplusplus
}
#endif
#endif
