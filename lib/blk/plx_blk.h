/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef PLX_BLK_H
#define PLX_BLK_H
/**
 * @file
 * The block device class: what an application includes.
 *
 *      application            fills a struct plx_blk_req (one cache line)
 *          |  plx_blkq_submit()           ^  plx_blkq_poll()
 *          v                              |
 *      struct plx_blkq        one queue, owned by one thread; inline calls
 *          |                              |
 *      driver (nvme, virtio, ram, ...)    no layer in between
 *
 * Call order: plx_attach() -> plx_blk_open() -> plx_blk_info_get() -> plx_blk_configure() ->
 * plx_blkq_setup() for each queue -> plx_blk_start() -> submit/poll ... -> plx_blk_stop() ->
 * plx_blk_close() -> plx_detach().
 *
 * The contract of requests and queues
 *
 *  - A queue is owned by one thread at a time, any thread: an lcore or not. Only the owner calls
 *    plx_blkq_submit() and plx_blkq_poll(). Different queues share nothing.
 *  - Submit takes a burst. A count short of what was given means only that there was no room:
 *    poll, then submit the rest. Requests [0, returned) are lent to the queue; the rest were
 *    not touched.
 *  - A bad request is accepted and comes back from poll with its status. Every accepted request
 *    comes back exactly once: with 0, with an error, or with -ECANCELED (stop, reset) or -ENODEV
 *    (removal).
 *    Its status then says: -EINVAL malformed (no such operation, 0 blocks, segments that don't
 *    add up to nblk * block_size, NULL data); -ERANGE beyond the end; -EOPNOTSUPP the device
 *    can't; -EROFS opened read-only; -EMSGSIZE a compare past what one command takes;
 *    -EILSEQ compare: different; -EBADMSG protection information is wrong;
 *    -ENODATA the medium can't give it back; -ENOSPC; -EIO other device errors; -ETIMEDOUT;
 *    -EBUSY the device is being erased (NVMe format, sanitize); -EACCES another host has it
 *    reserved; -ECANCELED by stop or reset; -ESHUTDOWN submitted to a stopped queue; -ENODEV the
 *    device is gone. A request that took several commands has the error of its lowest failed
 *    block.
 *  - Zones add: -ERANGE a write past the end of its zone's capacity; -ESPIPE a write elsewhere
 *    than at the write pointer; -ENOSPC the zone is full; -EROFS read-only; -ENXIO offline;
 *    -ETOOMANYREFS too many zones open, -EOVERFLOW active; -EBADFD not in this state of the zone.
 *  - No order is promised between requests, neither in execution nor in completion.
 *  - A flush covers every write, on any queue of the device, that poll gave back before the
 *    flush was submitted.
 *  - A request comes back only when the device can no longer touch its buffer. Where that can't
 *    be known (a peer that died or hangs), PLX_IO_MAYBE_DMA is set in its flags: leave that
 *    buffer alone until plx_detach() returned.
 *  - A request may be of any length and its segments of any alignment and length, as long as the
 *    whole is a multiple of the block size: what the device can't do in one command is split or
 *    bounced, and counted. Compare and zone append are never split: past the device's limit they
 *    end with -EMSGSIZE.
 *  - The parts of a write, of write zeroes or of a copy to a zoned device are done one after the
 *    other, and end with the first that fails: what was written is all below it. Two requests
 *    that write to one zone may be executed in any order: wait for the first, or append.
 *  - What a zoned device had in flight at a reset that may have been done is not sent again:
 *    writes, write zeroes, copies and appends end with -ECANCELED, and a report tells what came of
 * them.
 *  - The data of a request must lie in memory that devices reach: EAL memory (rte_malloc,
 *    mempool, mbuf), plx_mem_alloc(), or plx_mem_register()ed. Other memory is bounced.
 *  - Stop, reset and recovery take a queue over from its owner without the owner's help: after
 *    them, submit and poll of the stopped queue stay safe to call. Requests that were in flight
 *    come back from poll as usual.
 *
 * Control calls (everything but submit and poll): any thread; they take one process-wide control
 * lock. None may be called from inside a driver's or a reactor's callback of this library unless it
 * says so.
 */
#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <rte_common.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Operations. The data direction is given by the operation. */
enum plx_blk_op {
	PLX_OP_READ = 0,     /**< device to memory */
	PLX_OP_WRITE,        /**< memory to device; PLX_IO_FUA */
	PLX_OP_FLUSH,        /**< no range: nblk 0 */
	PLX_OP_WRITE_ZEROES, /**< range; PLX_IO_UNMAP lets the device deallocate */
	PLX_OP_DISCARD,      /**< range; content is undefined afterwards */
	PLX_OP_COMPARE,      /**< memory against device; -EILSEQ when they differ */
	PLX_OP_VERIFY,       /**< the device reads and checks, no data moves */
	PLX_OP_NVME, /**< one NVMe I/O command from ext->nvme (devices with PLX_BLK_CAP_NVME) */

	/* zoned devices (info.zone_nblk != 0); NVMe Zoned Namespace Command Set 1.1 */
	PLX_OP_ZONE_APPEND, /**< memory to the zone that starts at lba; result: the block it went to
			     */
	PLX_OP_ZONE_OPEN,   /**< lba: a zone's start; nblk 0. This and the next three take
			       PLX_IO_ALL_ZONES: every zone that it makes sense for, lba 0 */
	PLX_OP_ZONE_CLOSE,
	PLX_OP_ZONE_FINISH,
	PLX_OP_ZONE_RESET,
	PLX_OP_ZONE_REPORT, /**< fills buf (nseg 0, nblk blocks long, 8-byte aligned) with a struct
			       plx_zone_report from the zone that holds lba on; result: zones in
			       it: as many as there are, as find room, or as one command tells */

	PLX_OP_COPY, /**< inside the device: the nseg ranges one behind the other to lba, nblk in
			all; -EINVAL when one overlaps the target */
	PLX_OP_SECURE_ERASE, /**< range; its content can't be got back from the medium */
	PLX_OP_MAX
};

/** Request flags. Bits 0-3 are the application's, 4-7 are set on the way back and must be 0 at
 * submit. */
enum plx_blk_req_flag {
	PLX_IO_FUA = 1 << 0,       /**< write: on stable media before completion */
	PLX_IO_UNMAP = 1 << 1,     /**< write zeroes: may deallocate */
	PLX_IO_ALL_ZONES = 1 << 2, /**< zone open, close, finish, reset */
	PLX_IO_CHILD = 1 << 3,     /**< library private: part of a split request */
	PLX_IO_MAYBE_DMA = 1 << 4, /**< returned: the device may still reach the buffer */
};

/** One piece of a request's data. */
struct plx_seg {
	void *addr;
	size_t len; /**< bytes, any */
};

/** A source of PLX_OP_COPY. */
struct plx_copy_range {
	uint64_t lba;
	uint32_t nblk;
	uint32_t rsvd; /**< 0 */
};

enum plx_zone_state {
	PLX_ZONE_EMPTY = 1,
	PLX_ZONE_IMP_OPEN, /**< opened by a write */
	PLX_ZONE_EXP_OPEN, /**< opened by PLX_OP_ZONE_OPEN */
	PLX_ZONE_CLOSED,
	PLX_ZONE_RDONLY = 13,
	PLX_ZONE_FULL,
	PLX_ZONE_OFFLINE,
};

/** A zone. All are of info.zone_nblk blocks, the last may be shorter. */
struct plx_zone {
	uint64_t lba;      /**< its first block */
	uint64_t capacity; /**< blocks that can be written */
	uint64_t wp;       /**< the next block to write; undefined in full and broken zones */
	uint8_t state;     /**< enum plx_zone_state */
	uint8_t type;      /**< 2: must be written in sequence */
	uint8_t attrs;     /**< ZA of the NVMe report; 0 elsewhere */
	uint8_t rsvd[37];
};
struct plx_zone_report {
	uint64_t nr_zones; /**< from there to the end of the device; may be more than found room */
	uint8_t rsvd[56];
	struct plx_zone zones[];
};
static_assert(sizeof(struct plx_zone) == 64 && sizeof(struct plx_zone_report) == 64,
	"as the devices' reports, so that these are turned into ours in place");

/** An NVMe command to pass through (NVMe Base 2.0, 3.3.3.1). Little-endian as on the wire. */
struct plx_nvme_cmd {
	uint32_t cdw[16];  /**< the driver sets the command id, namespace if 0, and data pointers */
	void *data;        /**< admin commands only; I/O commands use the request's data */
	uint32_t data_len; /**< bytes to move, 0 for none */
	bool to_device;    /**< the data's direction */
	uint16_t status;   /**< out, admin only: status field without phase; 0 is success */
	uint64_t result;   /**< out, admin only: dwords 0 and 1 of the completion */
	uint32_t timeout_ms; /**< admin only: bound of the wait, 0: the driver's (a minute) */
};

/** What the device does with protection information (NVM Command Set 1.0, 5.2). */
enum plx_pi_flag {
	PLX_PI_REF = 1 << 0,   /**< checks the reference tag */
	PLX_PI_APP = 1 << 1,   /**< checks the application tag, where mask has 1 bits */
	PLX_PI_GUARD = 1 << 2, /**< checks the guard */
	PLX_PI_ACT = 1 << 3,   /**< writes it and takes it away (metadata of just that size), or
				  writes it into the metadata and leaves it there */
};

/**
 * What does not fit the hot line; lives as long as the request.
 *
 * Metadata travels apart from data, whatever the format on the medium is. A request without ext
 * (or with meta NULL) moves data alone: its blocks' metadata is written as zeroes, and compared
 * with zeroes; protection information in it is made by the device, and guard and reference tag
 * are checked by it, unless pi_flags says something else; metadata read is dropped.
 * A block nobody wrote, or that was discarded, is not protected: its tags are all ones.
 *
 * Write zeroes makes protection information as well, verify checks what pi_flags says; compare
 * leaves it out of the comparison. A check that fails ends a request with -EBADMSG, and raw is
 * 0x282 (guard), 0x283 (application tag) or 0x284 (reference tag), on all devices.
 *
 * pi_flags without a type of protection information, or meta without metadata: -EOPNOTSUPP; meta
 * where no data moves, PLX_PI_ACT with compare and verify: -EINVAL.
 * plx_pi.h makes and checks protection information on this side.
 */
struct plx_blk_ext {
	void *meta;        /**< nblk * info.meta_size bytes, memory as for data; NULL for none */
	uint64_t pi_ref;   /**< reference tag of the first block; type 1 takes the block's address
			      instead, type 3 doesn't check it */
	uint16_t pi_app;   /**< application tag */
	uint16_t pi_mask;  /**< application tag mask */
	uint16_t pi_flags; /**< enum plx_pi_flag */
	struct plx_nvme_cmd *nvme; /**< PLX_OP_NVME */
};

/**
 * A request: one cache line, owned by the application, lent to the queue between submit and
 * poll. The application sets everything above drv; the queue sets status, raw, result and the
 * returned flags. It may be embedded in a larger structure of the application.
 */
struct plx_blk_req {
	uint8_t op;     /**< enum plx_blk_op */
	uint8_t flags;  /**< enum plx_blk_req_flag */
	uint16_t nseg;  /**< 0: data at buf; else entries of segs, or of ranges */
	int32_t status; /**< returned: 0 or -errno */

	uint64_t lba;  /**< first block */
	uint32_t nblk; /**< blocks; 0 for flush; PLX_OP_NVME: ignored */
	uint16_t raw;  /**< returned: the device's own status (NVMe: status field >> 1) */
	uint16_t rsvd; /**< 0; the library's while lent */

	union {
		void *buf;                           /**< nseg 0: nblk * block_size bytes */
		const struct plx_seg *segs;          /**< nseg > 0; must stay valid until poll */
		const struct plx_copy_range *ranges; /**< copy; the same */
	};
	struct plx_blk_ext *ext; /**< NULL for plain I/O */
	void *user;              /**< the application's, untouched */

	union {
		uint64_t result; /**< returned: append address, passthrough result */
		uint64_t drv[2]; /**< driver-private while lent */
	};
} __rte_aligned(64);
static_assert(sizeof(struct plx_blk_req) == 64, "a request is one cache line");

struct plx_blkq;
typedef uint16_t (*plx_blkq_submit_t)(
	struct plx_blkq *q, struct plx_blk_req *const *reqs, uint16_t n);
typedef uint16_t (*plx_blkq_poll_t)(struct plx_blkq *q, struct plx_blk_req **reqs, uint16_t n);

/**
 * A queue's fast path, read by the inline calls. Version 1: getting a queue by
 * plx_blk_queue_get() binds to this layout when linking.
 */
struct plx_blkq {
	plx_blkq_submit_t submit; /**< never NULL: a stopped queue has functions that refuse */
	plx_blkq_poll_t poll;
	uint32_t busy;     /**< the owner is inside submit or poll; see plx_blk_drv.h */
	uint16_t qid;      /**< index in the device */
	uint16_t depth;    /**< requests that may be in flight */
	uint32_t inflight; /**< requests lent and not given back; the owner's view */
	uint32_t rsvd;
	struct plx_blk *blk;
	void *lib; /**< library private */
} __rte_cache_aligned;

/**
 * Lend up to n requests to the queue, ringing the device at most once.
 * Owner of the queue only. Never blocks, never fails.
 *
 * @param q     a queue of plx_blk_queue_get()
 * @param reqs  requests; none may be in flight already
 * @param n     how many
 * @return      how many were accepted, from the first on; fewer than n only for want of room.
 *              Every accepted request comes back once from plx_blkq_poll().
 */
static inline uint16_t
plx_blkq_submit(struct plx_blkq *q, struct plx_blk_req *const *reqs, uint16_t n)
{
	/* The takeover of a queue (blk_quiesce.c) pairs with these two stores. */
	__atomic_store_n(&q->busy, 1, __ATOMIC_RELAXED);
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	n = __atomic_load_n(&q->submit, __ATOMIC_ACQUIRE)(q, reqs, n);
	__atomic_store_n(&q->busy, 0, __ATOMIC_RELEASE);
	return n;
}

/**
 * Get back up to n finished requests.
 * Owner of the queue only. Never blocks, never fails.
 *
 * @param q     a queue of plx_blk_queue_get()
 * @param reqs  room for n pointers
 * @param n     how many at most
 * @return      how many were stored; each has its status set and belongs to the caller again
 */
static inline uint16_t
plx_blkq_poll(struct plx_blkq *q, struct plx_blk_req **reqs, uint16_t n)
{
	__atomic_store_n(&q->busy, 1, __ATOMIC_RELAXED);
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	n = __atomic_load_n(&q->poll, __ATOMIC_ACQUIRE)(q, reqs, n);
	__atomic_store_n(&q->busy, 0, __ATOMIC_RELEASE);
	return n;
}

/** Capabilities of a device. */
enum plx_blk_cap {
	PLX_BLK_CAP_FLUSH = 1 << 0, /**< has a volatile write cache: flush means something */
	PLX_BLK_CAP_FUA = 1 << 1,
	PLX_BLK_CAP_WRITE_ZEROES = 1 << 2,
	PLX_BLK_CAP_DISCARD = 1 << 3,
	PLX_BLK_CAP_COMPARE = 1 << 4,
	PLX_BLK_CAP_VERIFY = 1 << 5,
	PLX_BLK_CAP_NVME = 1 << 6,      /**< PLX_OP_NVME and plx_blk_nvme_admin() */
	PLX_BLK_CAP_SGL = 1 << 7,       /**< byte-granular segments without a bounce */
	PLX_BLK_CAP_NODATA = 1 << 8,    /**< keeps no data: reads return anything (null) */
	PLX_BLK_CAP_VOLATILE = 1 << 9,  /**< loses its data when detached */
	PLX_BLK_CAP_SOFTWARE = 1 << 10, /**< nothing outside this process or its peer is written */
	PLX_BLK_CAP_RDONLY = 1 << 11,
	PLX_BLK_CAP_COPY = 1 << 12,
	PLX_BLK_CAP_SECURE_ERASE = 1 << 13,
};

enum plx_blk_state {
	PLX_BLK_CLOSED = 0, /**< attached, nobody has it open */
	PLX_BLK_OPEN,
	PLX_BLK_CONFIGURED,
	PLX_BLK_STARTED,
	PLX_BLK_RESETTING, /**< recovering; queues accept and park, or refuse */
	PLX_BLK_STOPPED,
	PLX_BLK_REMOVED, /**< gone: every request ends with -ENODEV */
};

#define PLX_BLK_NAME_MAX 64

/** What a device is and can do. */
struct plx_blk_info {
	char name[PLX_BLK_NAME_MAX]; /**< "r0", "nvme0/n1" */
	char driver[16];             /**< "nvme", "ram" */
	char model[48], serial[24], firmware[12];
	uint8_t nguid[16];         /**< identity; all zero when the device has none */
	uint64_t nblocks;          /**< size in blocks */
	uint32_t block_size;       /**< bytes, power of two, 512 or more, without metadata */
	uint32_t phys_block_size;  /**< bytes: writes of this size avoid read-modify-write */
	uint32_t meta_size;        /**< metadata bytes a block, 0 for none */
	uint32_t caps;             /**< enum plx_blk_cap */
	uint32_t max_nblk;         /**< blocks in one device command; larger requests are split */
	uint32_t max_segs;         /**< segments in one device command */
	uint32_t boundary_nblk;    /**< commands don't cross multiples of it; 0 for none */
	uint32_t atomic_nblk;      /**< blocks written atomically, also over power failure */
	uint32_t max_zeroes_nblk;  /**< blocks in one write-zeroes command */
	uint32_t max_discard_nblk; /**< blocks in one discard command */
	uint32_t max_secure_erase_nblk; /**< blocks in one secure erase command */
	uint32_t max_copy_nblk;         /**< blocks in one copy command */
	uint32_t max_copy_range_nblk;   /**< of these, in one range */
	uint16_t max_copy_ranges;       /**< ranges in one copy command */
	uint8_t pi_type;                /**< protection information, 1 to 3; 0: none */
	uint8_t pi_size;                /**< its bytes: 8, or 16 with 64-bit guards */
	uint32_t pi_offset;             /**< where in a block's metadata it is */
	uint64_t zone_nblk;             /**< blocks from zone to zone; 0: not zoned */
	uint32_t nb_zones;
	uint32_t max_open_zones, max_active_zones; /**< 0: no limit */
	uint32_t max_append_nblk;                  /**< blocks in one zone append; 0: has none */
	uint16_t max_queues;
	uint16_t max_depth; /**< requests in flight a queue */
	uint16_t nb_queues; /**< as configured */
	int16_t numa_node;  /**< SOCKET_ID_ANY when unknown */
	enum plx_blk_state state;
};

/** Counters of a queue; of a device, the sum over its queues. They only grow. */
struct plx_blk_stats {
	uint64_t ops[PLX_OP_MAX];    /**< requests accepted, by operation */
	uint64_t blocks[PLX_OP_MAX]; /**< blocks of them, as far as they were in range */
	uint64_t unknown;            /**< requests accepted with an operation that there is not */
	uint64_t completed;          /**< requests given back */
	uint64_t errors;             /**< of these, with a status other than 0 */
	uint64_t doorbells;          /**< times the device was rung */
	uint64_t polls, empty_polls;
	uint64_t split;      /**< requests that took more than one command */
	uint64_t bounced;    /**< commands whose data went through a bounce buffer */
	uint64_t retried;    /**< commands sent again by the driver */
	uint64_t bad_device; /**< completions that made no sense and were dropped */
	uint64_t late;       /**< commands not answered in time, and aborted */
};

/** Open flags. */
enum plx_blk_open_flag {
	PLX_BLK_O_WRITE = 1 << 0, /**< else writes, write zeroes, discards, NVMe commands that
				     may write, and admin commands that send data or change
				     state end with -EROFS */
	PLX_BLK_O_HOLD = 1 << 1,  /**< plx_detach() answers -EBUSY until it is closed: for code that
				     runs on by itself, like an export */
};

/** How a queue is set up; all zero gives the defaults. */
struct plx_blkq_conf {
	uint16_t depth; /**< requests in flight; 0: 128, or what the device has */
	int16_t socket; /**< NUMA node of its memory, SOCKET_ID_ANY (-1): the device's */
	bool intr;      /**< with an interrupt, for plx_blkq_intr_fd() */
};

/** What happened to a device. */
enum plx_blk_event_type {
	PLX_BLK_EVENT_REMOVED = 1, /**< gone: stop, close, detach */
	PLX_BLK_EVENT_RESIZED,     /**< info.nblocks changed */
	PLX_BLK_EVENT_RESET,       /**< was reset and runs again */
	PLX_BLK_EVENT_NS_CHANGED,  /**< the controller's namespaces changed */
	/** The peer went away; requests are parked. What it had cached in itself is lost with it:
	 * all that was written since the last flush that ended before may have to be written again
	 */
	PLX_BLK_EVENT_RECONNECTING,
	PLX_BLK_EVENT_HEALTH,       /**< the device reports a health warning; value: its bits */
	PLX_BLK_EVENT_ZONE_CHANGED, /**< the device changed a zone's state; value: its first block,
				       UINT64_MAX: many, report them all */
};
struct plx_blk_event {
	enum plx_blk_event_type type;
	uint64_t value;
	uint64_t lost; /**< events that found no room before this one */
};

/**
 * Open an attached device for this process' sole use.
 *
 * @param name   a device ("r0", "nvme0/n1"), or an attached controller with one namespace ("nvme0")
 * @param flags  enum plx_blk_open_flag
 * @param blk    out
 * @return 0; -ENODEV no such device; -EBUSY it is open already; -EROFS PLX_BLK_O_WRITE on a
 *         read-only device; -EINVAL unknown flags, or the name stands for several namespaces
 */
int plx_blk_open(const char *name, unsigned int flags, struct plx_blk **blk);

/** Close; stops first when it is started. Requests still lent are lost track of: poll them out
 * before. @return 0; the error of plx_blk_stop(), and it is closed all the same, unless an owner is
 * stuck inside a call (-ETIMEDOUT): then, and when somebody starts it again meanwhile (-EBUSY), it
 * stays open; -EINVAL it isn't open */
int plx_blk_close(struct plx_blk *blk);

/** The attached devices in order of attach, open or not; a device is good until it is detached.
 * @return the one after prev, or the first for NULL */
struct plx_blk *plx_blk_next(const struct plx_blk *prev);

/** @return a state in a word: "started"; "?" for none. Any thread */
const char *plx_blk_state_name(enum plx_blk_state state);

/** Fill info. @return 0 */
int plx_blk_info_get(const struct plx_blk *blk, struct plx_blk_info *info);

/**
 * Set the number of queues; drops earlier queues. The device must not be started.
 * @return 0; -EINVAL none or more than info.max_queues, or not open; -EBUSY started, or an
 *         operation is under way; -ENODEV removed; -ENOMEM
 */
int plx_blk_configure(struct plx_blk *blk, uint16_t nb_queues);

/**
 * Set up one queue. conf NULL: defaults.
 * @return 0; -EINVAL no such queue, or depth over info.max_depth; -EBUSY started, or an operation
 *         is under way; -ENODEV removed; -ENOMEM
 */
int plx_blkq_setup(struct plx_blk *blk, uint16_t qid, const struct plx_blkq_conf *conf);

/**
 * Start: queues are created on the device and their fast path opened. Drives plx_ctrl_poll()
 * until done.
 * @return 0, also when it is started already; -EINVAL not configured, or a configured queue was
 *         not set up; -ENODEV; -ENOTCONN a peer that went away did not come back in time;
 *         -ETIMEDOUT; other device errors
 */
int plx_blk_start(struct plx_blk *blk);

/**
 * Stop: closes the fast paths, lets the device finish what is in flight for up to 5 s and takes
 * the rest back as -ECANCELED. Owners need not help; they collect from plx_blkq_poll() as ever.
 * @return 0, also when it isn't started; -ETIMEDOUT the device would not let go (it was
 *         disabled), or an owner is stuck inside a call (nothing was changed); -ENODEV removed
 */
int plx_blk_stop(struct plx_blk *blk);

/**
 * Reset the device (NVMe: the controller, so all its namespaces) and, when it was started, start
 * it again. Requests in flight come back with -ECANCELED, or were sent again where that is safe.
 * Meanwhile submit takes nothing. When it fails, a started device ends up stopped.
 * @return 0; -EINVAL not open; -ENODEV; -ENOTCONN a peer that went away did not come back in
 *         time; -ETIMEDOUT; -ENOTSUP
 */
int plx_blk_reset(struct plx_blk *blk);

/** The same three, without waiting: @return 0 under way, then plx_blk_op_poll(); -EBUSY another
 * operation is under way (the waiting calls wait for it); or an error as above */
int plx_blk_start_begin(struct plx_blk *blk);
int plx_blk_stop_begin(struct plx_blk *blk);
int plx_blk_reset_begin(struct plx_blk *blk);
/** @return -EINPROGRESS while plx_ctrl_poll() has work left on it; else the operation's result */
int plx_blk_op_poll(struct plx_blk *blk);

/**
 * The queue for the fast path, valid until plx_blk_configure() or plx_blk_close().
 * @return NULL when there is no such queue or it was not set up
 */
struct plx_blkq *plx_blk_queue_get_v1(const struct plx_blk *blk, uint16_t qid);
#define plx_blk_queue_get plx_blk_queue_get_v1

/**
 * Sleeping until a queue has something to poll. Setup with conf.intr, then, in the owner:
 *
 *	if (plx_blkq_intr_arm(q) == 0 && plx_blkq_poll(q, ...) == 0)
 *		wait for the fd (epoll), read it empty
 *	plx_blkq_intr_disarm(q);  poll on
 *
 * What completes after arm returned 0 makes the fd readable, once or more often. A queue with
 * nothing in flight needs none of it, and a software device, whose work is done inside poll, has
 * none. Armed queues cost the device and this CPU an interrupt a completion; those that have not
 * been armed for a second or so cost nothing, and the next arm answers -EAGAIN at first.
 *
 * @return the eventfd, the library's and good until plx_blk_configure() or plx_blk_close();
 *         -ENOTSUP the queue was set up without interrupt, or the device has none
 */
int plx_blkq_intr_fd(const struct plx_blkq *q);
/** Owner of the queue, outside of poll and submit. @return 0; arm: -EAGAIN not yet: poll on, let
 * plx_ctrl_poll() run, try again; -ENOTSUP it has none; -EIO it can't be had */
int plx_blkq_intr_arm(struct plx_blkq *q);
int plx_blkq_intr_disarm(struct plx_blkq *q);

/**
 * Take a request back from a device that takes long. It comes from poll as ever, with -ECANCELED;
 * what it had to write may have been written. Owner of the queue, outside of poll and submit.
 * @return 0; -ENOENT the device doesn't have it, or has it in parts, or it is as good as done: poll
 *         on; -ENOTSUP this device gives nothing back; -EAGAIN the queue is stopped or parked
 */
int plx_blkq_cancel(struct plx_blkq *q, struct plx_blk_req *req);

/** Counters of queue qid, or of all for qid UINT16_MAX. Any thread; each counter is consistent
 * by itself. @return 0; -EINVAL no such queue */
int plx_blk_stats_get(const struct plx_blk *blk, uint16_t qid, struct plx_blk_stats *stats);

/** What latencies are told apart. */
enum plx_blk_latency_kind {
	PLX_BLK_LATENCY_READ = 0,
	PLX_BLK_LATENCY_WRITE, /**< writes and zone appends */
	PLX_BLK_LATENCY_OTHER,
	PLX_BLK_LATENCY_KINDS
};
#define PLX_BLK_LATENCY_QUANTILES 5

/** Latency from submit to the poll that gave a request back, whatever its status. */
struct plx_blk_latency {
	uint64_t count;  /**< requests measured */
	uint64_t missed; /**< of all kinds, not measured: far more were lent than the queue is deep
			  */
	uint64_t mean_ns, max_ns;
	uint64_t quantile_ns[PLX_BLK_LATENCY_QUANTILES]; /**< 50, 90, 99, 99.9, 99.99 %, to 1.6 % */
};

/**
 * Begin or end to measure latencies on every queue, also those set up later; off at first. May be
 * called while the device runs. Ending forgets what was measured. It costs about 100 instructions a
 * request while it is on, and nothing otherwise. Any thread.
 * @return 0; -ENOMEM; -ETIMEDOUT an owner is stuck inside a call
 */
int plx_blk_latency_enable(struct plx_blk *blk, bool on);
/** Figures of queue qid, or of all for qid UINT16_MAX. Any thread.
 * @return 0; -ENODATA it isn't measured; -EINVAL no such queue or kind; -ENOMEM */
int plx_blk_latency_get(const struct plx_blk *blk, uint16_t qid, enum plx_blk_latency_kind kind,
	struct plx_blk_latency *out);

/**
 * Print how a device looks from inside, for people who look for a fault. It runs on meanwhile, so
 * what is printed need not be of one moment. Any thread.
 * @param blk   a device, open or not
 * @param what  "regs", "sq", "cq" (NVMe); "virtqueue" (virtio)
 * @param qid   which queue; UINT16_MAX: the admin queue (NVMe), or where it doesn't matter
 * @param out   where to
 * @return 0; -ENOTSUP its driver has no such thing; -EINVAL no such queue, or it isn't set up
 */
int plx_blk_dump(struct plx_blk *blk, const char *what, uint16_t qid, FILE *out);

/** Fetch the oldest event. @return 1 stored, 0 none */
int plx_blk_event_get(struct plx_blk *blk, struct plx_blk_event *ev);

/**
 * Run one NVMe admin command and wait for it, driving plx_ctrl_poll(). cmd->data may be any
 * memory, up to 1 MiB (or the device's MDTS); cmd->status has the device's verdict.
 * @return 0 the device answered (see cmd->status); -ENOTSUP not an NVMe device; -EINVAL not open;
 *         -EROFS not opened for writing and not a command that only reads; -ENODEV;
 *         -ETIMEDOUT the command was aborted by a reset
 */
int plx_blk_nvme_admin(struct plx_blk *blk, struct plx_nvme_cmd *cmd);

/** @return bytes of the data of a request with this many blocks */
static inline size_t
plx_blk_bytes(const struct plx_blk_info *info, uint32_t nblk)
{
	return (size_t)nblk * info->block_size;
}

#ifdef __cplusplus
}
#endif
#endif
