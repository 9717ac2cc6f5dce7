/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef PLX_BLK_DRV_H
#define PLX_BLK_DRV_H
/**
 * @file
 * The block device class: what a driver includes.
 *
 * A driver embeds struct plx_blk in its device and struct plx_drvq, first, in its queue. The
 * class validates every control call once; drivers trust it. On the data path nothing stands
 * between application and driver, so a driver's submit() starts each request with
 * plx_drvq_plain(): true means one device command runs it. Everything else (bad requests,
 * flush, splitting, bouncing) goes to plx_drvq_submit_slow(), which comes back through
 * plx_drvq.issue with commands the device can run.
 *
 *	submit(): for each request:
 *			plain and issue() took it, or plx_drvq_submit_slow() == 0, else stop
 *			plx_trace_submit() of the former
 *		  ring once; plx_drvq_count_submit()
 *	poll():	  plx_drvq_pop() when dq->done is not empty; then for each completion
 *			req = plx_drvq_resolve(dq, req); plx_trace_complete() and hand it out
 *			unless NULL
 *		  plx_drvq_pump() when dq->split_active, ring once; plx_drvq_count_poll()
 *
 * Takeover (blk_quiesce.c): control code swaps submit/poll for functions that refuse, issues
 * membarrier(2), and waits until plx_blkq.busy is 0. From then on the owner can't be inside the
 * driver, and control code may use the driver's queue functions itself; what completes goes to
 * the done list, where the owner collects it.
 */
#include <rte_branch_prediction.h>
#include <rte_spinlock.h>

#include "plx_blk.h"
#include "plx_trace.h"

#ifdef __cplusplus
extern "C" {
#endif

struct plx_dev;
struct plx_drvq;
struct plx_split;   /* blk_split.c */
struct blk_latency; /* blk_latency.c */

/** Control operations of a driver; all run under the control lock. */
struct plx_blk_ops {
	/**
	 * Allocate a queue (memory only; the device learns of it in start). conf is complete: no
	 * zeroes left. The driver sets dq->submit, dq->poll, dq->issue, and calls plx_drvq_init().
	 * @return 0 or -errno
	 */
	int (*queue_setup)(struct plx_blk *blk, uint16_t qid, const struct plx_blkq_conf *conf,
		struct plx_drvq **dq);
	/** Free a stopped queue. */
	void (*queue_release)(struct plx_blk *blk, struct plx_drvq *dq);
	/**
	 * Begin starting (create the queues on the device), stopping (queues are already taken
	 * over: let the device finish, delete them, then finish what is left with
	 * plx_drvq_finish(-ECANCELED)), or resetting (queues are parked; started or not).
	 * A reset of a started device is followed by start().
	 * @return 0 done, -EINPROGRESS: op_poll() follows, or -errno. start, stop, reset may be
	 *         NULL: nothing to do; reset: -ENOTSUP
	 */
	int (*start)(struct plx_blk *blk);
	int (*stop)(struct plx_blk *blk);
	int (*reset)(struct plx_blk *blk);
	/** Go on with the operation under way. @return 0, -EINPROGRESS or -errno, once. NULL when
	 * none of the others returns -EINPROGRESS */
	int (*op_poll)(struct plx_blk *blk);
	/** Begin an admin command; the same returns. NULL: not an NVMe device */
	int (*nvme_admin)(struct plx_blk *blk, struct plx_nvme_cmd *cmd);
	/** See plx_blk_dump(); qid: a queue that is set up, or UINT16_MAX. What the device writes
	 * is read once and only printed. NULL: there is nothing to see */
	int (*dump)(struct plx_blk *blk, const char *what, uint16_t qid, FILE *out);
};

enum plx_blk_op_kind { PLX_CTL_NONE, PLX_CTL_START, PLX_CTL_STOP, PLX_CTL_RESET, PLX_CTL_ADMIN };

#define PLX_BLK_EVENTS 16 /* a power of two */

/** A block device. The driver fills ops, priv and info (but the name), then registers it. */
struct plx_blk {
	struct plx_blk_info info;
	const struct plx_blk_ops *ops;
	void *priv;          /**< the driver's */
	struct plx_dev *dev; /**< the attachment it came with */
	/* below: the class's own */
	struct plx_blk *next;
	struct plx_drvq **queues;
	unsigned int open_flags;
	enum plx_blk_op_kind ctl;
	int ctl_rc;
	bool restart; /* start again when the reset under way has ended */
	bool held;    /* a blocking call will collect ctl_rc: no other may begin */
	struct plx_blk_event events[PLX_BLK_EVENTS];
	uint32_t ev_head, ev_tail;
	uint64_t ev_lost;
	bool open;                 /* by somebody, whatever the state */
	struct plx_blk_stats gone; /* counters of queues that were released */
	bool latency;              /* is measured */
};

/**
 * A driver's queue: the class's part. The first cache line is what the application calls.
 * Everything here but the done list belongs to the owner, or to whoever took the queue over.
 */
struct plx_drvq {
	struct plx_blkq q;

	/* read on every request */
	uint32_t max_nblk[PLX_OP_MAX]; /**< plain up to this many blocks; 0: never plain */
	uint64_t nblocks;              /**< device size; max_nblk is never larger */
	uint32_t block_size;
	uint32_t split_active; /**< requests with parts to issue: poll must call plx_drvq_pump() */

	/* finished outside poll: bad requests, split parents, what control code completed */
	struct plx_blk_req *done; /**< linked by drv[1]; owner or, taken over, under lock */
	struct plx_blk_req **done_tail;
	rte_spinlock_t lock; /**< guards the done list while the queue is taken over */
	int refuse;          /**< while taken over: 0 park (submit takes none), else the status */
	bool taken;
	bool outside; /* the owner was seen outside of the driver; atomic */

	/* what the driver provides */
	plx_blkq_submit_t submit;
	plx_blkq_poll_t poll;
	/**
	 * Place one command for req, without ringing. req is within the device's limits in blocks
	 * (info.max_nblk etc.) and its boundary, or a flush or PLX_OP_NVME. It may have any number
	 * of segments, adding up to anything, and NULL data. Zone operations name a zone of the
	 * device, or all; the ranges of a copy are good and within the limits. A report or append
	 * sets req->result before it completes.
	 * @return 0; -EAGAIN no room; -EXDEV the data can't be reached in this shape: the class
	 *         will slice and bounce it; -EINVAL the segments don't add up, or NULL data;
	 *         other -errno: req is bad. The class finishes it with that
	 */
	int (*issue)(struct plx_drvq *dq, struct plx_blk_req *req);
	/**
	 * How many bytes from the start of these segments one command can move directly.
	 * NULL: everything always fits. @return bytes, 0 to max
	 */
	size_t (*direct)(
		struct plx_drvq *dq, const struct plx_seg *segs, uint32_t nseg, size_t max);
	/** Owner's thread: finish one of its commands with -ECANCELED. See plx_blkq_cancel(); NULL:
	 * can't */
	int (*cancel)(struct plx_drvq *dq, struct plx_blk_req *req);
	/** Interrupts, owner's thread: see plx_blkq_intr_arm(). NULL when intr_fd is -1. */
	int (*intr_arm)(struct plx_drvq *dq, bool on);
	int intr_fd;                 /**< -1: none; plx_drvq_init() sets that */
	struct plx_split *split;     /**< the class's: requests being split */
	struct blk_latency *latency; /**< the class's, NULL when off */

	struct plx_blk_stats st __rte_cache_aligned;
};

/**
 * Ready a queue's class part from the device's info and the open flags; called by the driver in
 * queue_setup once dq->submit, poll, issue, direct are set.
 * bounce_unit: bytes of each bounce buffer, 0 when the driver never returns -EXDEV.
 * @return 0 or -ENOMEM
 */
int plx_drvq_init(struct plx_drvq *dq, struct plx_blk *blk, uint16_t qid,
	const struct plx_blkq_conf *conf, size_t bounce_unit);
/** Undo plx_drvq_init(). Bounce buffers that a peer may still write into are kept until
 * plx_blk_detached(). */
void plx_drvq_fini(struct plx_drvq *dq);
/** For lib/probe: this attachment's transport is closed, nothing reaches memory by it any more. */
void plx_blk_detached(const struct plx_dev *dev);

/** One command can run it, as far as range and length go, and it has no ext; the data's shape is
 * issue()'s. */
static __rte_always_inline bool
plx_drvq_plain(const struct plx_drvq *dq, const struct plx_blk_req *req)
{
	return req->op < PLX_OP_MAX && !(req->flags & ~(PLX_IO_FUA | PLX_IO_UNMAP)) &&
	       req->nblk - 1 < dq->max_nblk[req->op] && req->lba <= dq->nblocks - req->nblk &&
	       req->ext == NULL;
}

/**
 * Take a request that is not plain, or that issue() refused with anything but -EAGAIN (why: its
 * return; 0 when issue was not tried).
 * @return 0 accepted: issued, being split, or finished with an error; -EAGAIN no room
 */
int plx_drvq_submit_slow(struct plx_drvq *dq, struct plx_blk_req *req, int why);

/** Issue more of the requests being split. */
void plx_drvq_pump(struct plx_drvq *dq);

/** Private: a child of a split request is back. @return the parent when complete, else NULL */
struct plx_blk_req *plx_drvq_child_done(struct plx_drvq *dq, struct plx_blk_req *child);

/**
 * A command's request is finished, its status set. @return what to hand to the application:
 * req, the request it was a part of, or NULL when other parts are still out.
 */
static __rte_always_inline struct plx_blk_req *
plx_drvq_resolve(struct plx_drvq *dq, struct plx_blk_req *req)
{
	if (likely(!(req->flags & PLX_IO_CHILD)))
		return req;
	return plx_drvq_child_done(dq, req);
}

/**
 * Finish a request, or a part of one (status is then the part's), outside poll: onto the done
 * list, which poll hands out and counts. Takes the lock when taken over.
 */
void plx_drvq_finish(struct plx_drvq *dq, struct plx_blk_req *req, int status);

/** Hand out from the done list; plx_drvq_count_poll() wants to know how many. @return how many */
uint16_t plx_drvq_pop(struct plx_drvq *dq, struct plx_blk_req **reqs, uint16_t n);

/**
 * Cancel the requests being split that have parts left to issue: those with no command out are
 * finished with status, the others end with it (or with the error of an earlier part) as soon as
 * their last command is back. Requests whose commands are all out are left to them. For a
 * taken-over queue; the class does it at stop and removal, a driver at a reset that it does not
 * resend after.
 */
void plx_drvq_split_cancel(struct plx_drvq *dq, int status);

/**
 * Take a queue over from its owner. refuse: what submit does meanwhile: 0 takes nothing (park),
 * a -errno accepts each request and finishes it so. Calling it again only changes refuse.
 * @return 0; -ETIMEDOUT the owner is stuck inside a call for longer than 2 s
 */
int plx_drvq_takeover(struct plx_drvq *dq, int refuse);
/** Give it back: opens the fast path. */
void plx_drvq_giveback(struct plx_drvq *dq);

/** Add to a counter that only this thread writes and others read. */
static __rte_always_inline void
plx_stat_add(uint64_t *counter, uint64_t n)
{
	__atomic_store_n(counter, __atomic_load_n(counter, __ATOMIC_RELAXED) + n, __ATOMIC_RELAXED);
}

/** Probe "submit": a request was accepted without the slow path (which has its own). */
static __rte_always_inline void
plx_trace_submit(const struct plx_drvq *dq __rte_unused, const struct plx_blk_req *req __rte_unused)
{
	PLX_TRACE(submit, dq, req, dq->q.qid, req->op, req->lba, req->nblk);
}

/** Probe "complete": poll hands out a request that plx_drvq_pop() didn't. */
static __rte_always_inline void
plx_trace_complete(
	const struct plx_drvq *dq __rte_unused, const struct plx_blk_req *req __rte_unused)
{
	PLX_TRACE(complete, dq, req, dq->q.qid, req->status);
}

/** Probe "doorbell": the device is about to be rung. */
static __rte_always_inline void
plx_trace_doorbell(const struct plx_drvq *dq __rte_unused)
{
	PLX_TRACE(doorbell, dq, dq->q.qid);
}

/** Count n requests of one operation and their blocks, accepted without the slow path (which
 * counts for itself). Fast drivers gather a burst in locals first. */
static __rte_always_inline void
plx_drvq_count_ops(struct plx_drvq *dq, uint8_t op, uint64_t n, uint64_t blocks)
{
	plx_stat_add(&dq->st.ops[op], n);
	plx_stat_add(&dq->st.blocks[op], blocks);
}

/** The end of submit(): n requests were accepted, by whichever path. @return n */
static __rte_always_inline uint16_t
plx_drvq_count_submit(struct plx_drvq *dq, uint16_t n)
{
	dq->q.inflight += n;
	return n;
}

/**
 * The end of poll(): popped requests came from plx_drvq_pop(), n others were handed out, errors
 * of those with a status other than 0. @return popped + n
 */
static __rte_always_inline uint16_t
plx_drvq_count_poll(struct plx_drvq *dq, uint16_t popped, uint16_t n, uint16_t errors)
{
	plx_stat_add(&dq->st.polls, 1);
	if (popped + n == 0) {
		plx_stat_add(&dq->st.empty_polls, 1);
		return 0;
	}
	plx_stat_add(&dq->st.completed, (uint64_t)popped + n);
	if (unlikely(errors != 0))
		plx_stat_add(&dq->st.errors, errors);
	dq->q.inflight -= (uint32_t)popped + n;
	return (uint16_t)(popped + n);
}

/** @return whether a request's segments add up to len bytes and none is NULL; for issue(), which
 * answers -EINVAL otherwise. Drivers that walk the segments anyway sum them up on the way. */
bool plx_req_data_ok(const struct plx_blk_req *req, size_t len);

/** @return whether the operation has data (nblk blocks of it) to move */
static __rte_always_inline bool
plx_op_has_data(uint8_t op)
{
	return (1u << op) & (1u << PLX_OP_READ | 1u << PLX_OP_WRITE | 1u << PLX_OP_COMPARE |
				    1u << PLX_OP_ZONE_APPEND | 1u << PLX_OP_ZONE_REPORT);
}

/** Name (blk->info.name set by the driver) and list a device; info is checked, and limits left 0
 * mean none. @return 0; -EEXIST the name is taken; -EINVAL info makes no sense (logged) */
int plx_blk_register(struct plx_blk *blk);
/**
 * Unlist; every queue is taken over with -ENODEV first, then released. The struct may be freed
 * after. The driver has finished what was in flight, or it is lost track of: plx_detach() has
 * stopped and closed the device before the driver's detach() is called.
 */
void plx_blk_unregister(struct plx_blk *blk);
/** The device is gone: queues refuse with -ENODEV, state and event say so. The driver finishes
 * what was in flight. Idempotent. */
void plx_blk_removed(struct plx_blk *blk);
/**
 * A removed device that nobody has open (blk->open) is there again, and the driver filled info
 * anew, name included: it may be opened as before.
 * @return 0; -EINVAL info makes no sense (logged), it stays removed
 */
int plx_blk_back(struct plx_blk *blk);
/**
 * The driver recovers a device by itself (reconnects, or resets the controller that it shares
 * with others): park every queue of a started device and make it RESETTING. Queues of a device
 * that is not started are taken over already. @return 0; -ETIMEDOUT an owner is stuck
 */
int plx_blk_park(struct plx_blk *blk);
/** Its end. rc 0: queues run again, PLX_BLK_EVENT_RESET is posted. Else the device is stopped:
 * queues refuse with -ESHUTDOWN, what is still being split ends with -ECANCELED. */
void plx_blk_unpark(struct plx_blk *blk, int rc);
/** The device has another size now: tells the queues and posts PLX_BLK_EVENT_RESIZED. */
void plx_blk_resized(struct plx_blk *blk, uint64_t nblocks);
/** Post an event; drops and counts when the application doesn't fetch. */
void plx_blk_event_post(struct plx_blk *blk, enum plx_blk_event_type type, uint64_t value);

#ifdef __cplusplus
}
#endif
#endif
