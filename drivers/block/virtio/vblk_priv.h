/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VBLK_PRIV_H
#define VBLK_PRIV_H
/*
 * The virtio-blk driver's parts:
 *
 *	vblk_io.c       the fast path: submit and poll of a queue
 *	vblk_data.c     requests as chains: segments, ranges, what isn't plain
 *	vblk_queue.c    queues as objects: memory, drain, cancel, replay
 *	vblk_info.c     what the device is: features, configuration, identity
 *	vblk_ops.c      the class's control operations
 *	vblk_recover.c  what the driver does by itself: reconnect, reset, resize
 *	vblk_late.c     requests that are not answered in time
 *	vblk_dev.c      the attachment: attach, housekeeping, detach
 *	vblk_probe.c    device strings
 *	vblk_dump.c     registers and rings as text
 */
#include <stdbool.h>
#include <stddef.h>

#include "plx_blk_drv.h"
#include "plx_ctrl.h"
#include "plx_mem.h"
#include "plx_probe_drv.h"
#include "plx_pt.h"
#include "plx_virtio.h"
#include "vblk_spec.h"

#define VBLK_SECTOR_SHIFT 9
#define VBLK_SEGS 62             /* data descriptors of a command, at most: a table of 1 KiB */
#define VBLK_MAX_XFER (4u << 20) /* bytes of a command */
#define VBLK_BOUNCE 65536        /* bytes of a bounce buffer; a queue has a few */
#define VBLK_RETRIES 4           /* of a command, each by a reset of the device */
#define VBLK_MAX_QUEUES 256

/* What the commonest command consists of: header, one piece of data, status. One cache line of
 * memory that the device reads; only the data's descriptor and the header ever change. */
struct vblk_line {
	uint64_t head[2], data[2], status[2]; /* descriptors */
	uint64_t header[2];
} __rte_cache_aligned;
static_assert(sizeof(struct vblk_line) == 64, "a cache line");

/* What the device writes of a command. */
struct vblk_result {
	uint64_t append_sector;
	uint8_t status;
	uint8_t rsvd[7];
};

/* Of a command in flight, in q->mark: its completion takes the long way. 0 otherwise. */
enum vblk_mark {
	VBLK_MARK_FUA = 1 << 0,   /* a write that a flush follows */
	VBLK_MARK_FLUSH = 1 << 1, /* that flush */
	VBLK_MARK_ZONE = 1 << 2,  /* has a result, or its data are to be turned round */
	VBLK_MARK_LATE = 1 << 3,  /* was not answered in time, and was sent again */
	VBLK_MARK_RETRY = 1 << 4, /* times it was sent again, from here on */
	VBLK_MARK_RETRIES = 7 << 4,
	VBLK_MARK_CHILD = 1 << 7, /* a part of a request */
	VBLK_MARK_AGE = 1 << 8,   /* looks at it (vblk_late.c), from here on */
};

struct vblk;

struct vblk_queue {
	struct plx_drvq dq;

	/* submit and poll */
	struct plx_virtq vq __rte_cache_aligned;
	struct vblk_line *lines;
	struct vblk_result *results;
	uint16_t *mark; /* enum vblk_mark, by id */
	uint64_t lines_iova;
	struct plx_mem_range dma; /* the domain's largest range, which can't go away */
	uint64_t data_flags[2];   /* upper half of a data descriptor: of reads, of writes */
	uint64_t plain_bytes;     /* of the one piece of a plain command; 0: there are none */
	uint8_t lba_shift, sector_shift;
	bool sick; /* its device did wrong; told once */

	/* the rest */
	struct plx_virtio_queue tq;
	struct vblk *v;
	const struct plx_mem_domain *dom;
	uint8_t *extra; /* longer tables, or a range; extra_bytes each */
	uint64_t results_iova, extra_iova;
	uint32_t extra_bytes;
	uint32_t size_max;
	uint16_t max_segs;
	bool indirect;
	void *mem;
	bool lost_memory; /* the device may still reach it */
	struct vblk_queue *next;
};

enum vblk_state {
	VBLK_DOWN, /* the device is reset: no queues */
	VBLK_UP,   /* it has our queues */
	VBLK_LOST, /* the connection is gone, for now */
	VBLK_DEAD,
};

struct vblk {
	struct plx_blk blk;
	struct plx_dev *dev;
	struct plx_virtio_dev *vio;
	enum vblk_state state;

	/* what the device string says */
	uint32_t want_queues, reconnect_ms, io_ms;
	int want_cache; /* 0: as it is, 1: writeback, 2: writethrough */
	bool packed, packed_given;
	bool registered; /* attached */

	/* what was agreed on at attach: a device that comes back must do as much */
	uint64_t features;
	struct vblk_config cfg;
	uint16_t max_queue_size;

	/* state machines: what runs in the background has pt, the class's operations op */
	struct plx_pt pt, op, up, sub;
	int (*job)(struct vblk *v); /* in the background, NULL: none */
	int (*step)(struct vblk *v);
	int rc, op_rc, up_rc, sub_rc;
	bool owned; /* an operation of the class has the transport */
	uint16_t i, size;
	uint32_t changes_seen;
	struct plx_deadline until, op_until, pause, tick, look;
	bool expired, told; /* of a reconnect */
	bool anew;          /* what the back end remembers of before counts no more */
	const void *answer; /* to the driver's own command */
	struct vblk_config fresh;
	uint8_t writeback;
	bool sick;     /* a queue is; atomic */
	uint64_t worn; /* lifetime, when it is near its end */

	struct vblk_queue *queues;
	struct plx_virtio_queue **tqs;
	struct vblk_queue *ident; /* a queue of the driver's own, while attaching */
	struct vblk_kept *quarantine;
};

/* Memory that the device may reach until the transport is closed. */
struct vblk_kept {
	struct vblk_kept *next;
	void *mem;
};

static inline bool
vblk_has(const struct vblk *v, unsigned int bit)
{
	return (v->features >> bit & 1) != 0;
}

/* vblk_io.c */
uint16_t vblk_submit_split(struct plx_blkq *q, struct plx_blk_req *const *reqs, uint16_t n);
uint16_t vblk_submit_packed(struct plx_blkq *q, struct plx_blk_req *const *reqs, uint16_t n);
uint16_t vblk_poll_split(struct plx_blkq *q, struct plx_blk_req **reqs, uint16_t n);
uint16_t vblk_poll_packed(struct plx_blkq *q, struct plx_blk_req **reqs, uint16_t n);
/* For control code that has taken the queue over. */
uint16_t vblk_reap(struct vblk_queue *q, struct plx_blk_req **reqs, uint16_t n);
void vblk_ring(struct vblk_queue *q);

/* vblk_data.c */
int vblk_issue(struct plx_drvq *dq, struct plx_blk_req *req);
int vblk_issue_marked(struct vblk_queue *q, struct plx_blk_req *req, uint16_t mark);
size_t vblk_direct(struct plx_drvq *dq, const struct plx_seg *segs, uint32_t nseg, size_t max);
/* A command of the driver's own on an empty queue. @return where len bytes will be */
const void *vblk_ask(struct vblk_queue *q, uint32_t type, uint32_t len);
/* What a zoned device answered. */
void vblk_zone_result(struct vblk_queue *q, struct plx_blk_req *req, uint16_t id);
int vblk_status_errno(uint8_t status);

/* vblk_queue.c */
int vblk_queue_alloc(
	struct vblk *v, uint16_t qid, const struct plx_blkq_conf *conf, struct vblk_queue **q);
void vblk_queue_free(struct vblk_queue *q);
int vblk_queue_map(struct vblk_queue *q);
uint32_t vblk_queue_drain(struct vblk_queue *q);
void vblk_queue_cancel(struct vblk_queue *q, int status, uint8_t flags);
void vblk_queue_replay(struct vblk_queue *q);
uint16_t vblk_ring_size(const struct vblk *v, uint16_t depth);

/* vblk_info.c */
uint64_t vblk_want(const struct vblk *v);
uint32_t vblk_size_max(const struct vblk *v);
int vblk_check(struct vblk *v);
int vblk_fill_info(struct vblk *v);
int vblk_same(struct vblk *v);
void vblk_resize(struct vblk *v);

/* vblk_ops.c */
extern const struct plx_blk_ops vblk_ops;
/* State machines on v->up: negotiate and read what the device is now (v->fresh); then give it the
 * n queues in v->tqs, which vblk_gather() takes from the class. */
int vblk_bring_up(struct vblk *v);
int vblk_give_queues(struct vblk *v, uint16_t n);
int vblk_gather(struct vblk *v);
int vblk_take_back(struct vblk *v);
void vblk_cancel_all(struct vblk *v, int status, uint8_t flags);
uint32_t vblk_drain_all(struct vblk *v);

/* vblk_recover.c */
int vblk_reconnect(struct vblk *v);
int vblk_recover(struct vblk *v);
int vblk_watch(struct vblk *v);
int vblk_leave(struct vblk *v);
void vblk_dead(struct vblk *v, int why);
/* A dead device's queues that are taken over by now: end what is in flight. */
void vblk_bury(struct vblk *v);

/* vblk_late.c */
/* @return whether it is late, by its mark */
bool vblk_is_late(uint16_t mark);
/* Time begins anew for what is in flight. */
void vblk_rejuvenate(struct vblk *v);
/* Look whether something is late: v->sick then. */
void vblk_late_look(struct vblk *v);

/* vblk_dump.c */
int vblk_dump(struct plx_blk *blk, const char *what, uint16_t qid, FILE *out);

/* vblk_dev.c */
typedef int (*vblk_open_t)(struct plx_dev *dev, struct plx_virtio_dev **vio);
int vblk_attach(struct plx_dev *dev, vblk_open_t open);
int vblk_poll(struct plx_dev *dev);
int vblk_detach(struct plx_dev *dev);
void vblk_release(struct plx_dev *dev);

#define VBLK_OR_RETURN(pt, rc)                 \
	do {                                   \
		if ((rc) != 0)                 \
			PLX_PT_RETURN(pt, rc); \
	} while (0)
/* An operation of the transport inside a state machine. */
#define VBLK_CALL(pt, rc, v, begin) PLX_PT_CALL(pt, rc, begin, plx_virtio_poll((v)->vio))

#endif
