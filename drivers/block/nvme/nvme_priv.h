/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef NVME_PRIV_H
#define NVME_PRIV_H
/*
 * The NVMe driver's parts:
 *
 *	nvme_qpair.c  the fast path: submit and poll of an I/O queue pair
 *	nvme_data.c   data pointers: PRP lists and SGLs
 *	nvme_meta.c   metadata and protection information
 *	nvme_zns.c    zoned namespaces
 *	nvme_copy.c   copy
 *	nvme_queue.c  I/O queue pairs as objects: allocate, create, delete, cancel, replay
 *	nvme_cmb.c    submission queues in the controller's memory
 *	nvme_admin.c  the admin queue and asynchronous events
 *	nvme_regs.c   registers: access, enable, disable
 *	nvme_ctrlr.c  the controller: identify, features, namespaces there are
 *	nvme_dev.c    the attachment: attach, detach
 *	nvme_recover.c the watch over a running controller, reset
 *	nvme_away.c   a server that went away and is waited for
 *	nvme_abort.c  commands that are not answered in time
 *	nvme_intr.c   interrupts of I/O queues
 *	nvme_ns.c     namespaces as block devices
 *	nvme_pass.c   admin commands of the application
 *	nvme_quirks.c what certain controllers don't say
 *	nvme_status.c statuses to errno
 *	nvme_lend.c   queues that secondary processes have, in the primary
 *	nvme_lend_ask.c what they ask of the controller
 *	nvme_mp.c     the same, in the secondary
 *	nvme_dump.c   registers and queues as text
 */
#include <stdbool.h>
#include <stddef.h>

#include <nvme/util.h>

#include "nvme_spec.h"
#include "plx_blk_drv.h"
#include "plx_ctrl.h"
#include "plx_mem.h"
#include "plx_probe_drv.h"
#include "plx_pt.h"
#include "plx_vfio.h"

#define NVME_ADMIN_DEPTH 64      /* a page of entries: one device wants no less */
#define NVME_MAX_DEPTH 4095      /* 12 bits of a command id; the other 4 are its generation */
#define NVME_MAX_XFER (4u << 20) /* bytes a command, where the controller sets no limit */
#define NVME_SLOT_BYTES 512      /* a tracker's own list memory: 64 PRPs or 32 SGL descriptors */
#define NVME_POOL_PAGES 16       /* pages for longer lists, shared by a queue's trackers */
#define NVME_RETRIES 4           /* of a command, resets of the controller included */
#define NVME_BOUNCE 65536        /* bytes of a bounce buffer; a queue has a few */
#define NVME_MAX_APPEND (256u << 10) /* bytes of a zone append */
#define NVME_NB_AER 4
#define NVME_ABORTS 4       /* outstanding */
#define NVME_LENT 40        /* admin commands of secondary processes */
#define NVME_PASS_MS 60000u /* bound of an admin command of the application */
#define NVME_INIT_MS 2000   /* NVME_QUIRK_SLOW_INIT */
#define NVME_TICK_MS 500    /* the watch looks at the controller, and commands age */

struct nvme_ctrlr;

enum nvme_trk_flag {
	NVME_TRK_CHILD = PLX_IO_CHILD, /* resolve through the class */
	NVME_TRK_RESULT = 1 << 8,      /* the completion's result matters */
	NVME_TRK_POOL = 1 << 9,        /* holds pool pages */
	NVME_TRK_LATE = 1 << 10,       /* not answered in time: it is being aborted */
	NVME_TRK_META = 1 << 11,       /* holds a buffer of q->meta */
	NVME_TRK_ZONE = 1 << 12,       /* a zone append or report: its answer is looked at */
};

/* One command in flight. Private memory: the device never sees it. */
struct nvme_tracker {
	struct plx_blk_req *req; /* NULL: free */
	union {
		struct {
			uint16_t cid;   /* as sent: generation in the high bits */
			uint16_t epoch; /* when it was sent, in ticks */
			uint16_t flags; /* enum nvme_trk_flag: completion takes the long way */
			uint8_t retries;
			uint8_t npool; /* pages of q->pool_of */
		};
		uint64_t all; /* the same, for one store */
	};
};
static_assert(sizeof(struct nvme_tracker) == 16, "four to a cache line");

/* How the submission doorbell is rung. */
enum nvme_ring { NVME_RING_MMIO, NVME_RING_SHADOW, NVME_RING_POST };

/* The interrupt of an I/O queue: see nvme_intr.c. */
struct nvme_intr {
	uint16_t vector;
	uint16_t awake;            /* ticks in which it was not armed */
	bool wired, failed;        /* written by control code, read by the owner */
	bool armed, slept, wanted; /* by the owner; armed since the last tick; to be wired */
};

/* An I/O queue pair. */
struct nvme_qpair {
	struct plx_drvq dq;

	/* submit */
	struct nvme_sqe *sq __rte_cache_aligned;
	struct nvme_tracker *trk;
	uint16_t *free;           /* stack of the command ids to use next, one a free tracker */
	uint64_t opc_nsid;        /* nsid << 32 */
	struct plx_mem_range dma; /* the domain's largest range, which can't go away */
	uint32_t page_size;
	uint16_t sq_tail, sq_last;
	volatile uint32_t *sq_db;
	uint16_t nfree;
	uint16_t sq_rung; /* tail the device knows */
	uint16_t epoch;
	uint8_t lba_shift;
	uint8_t ring; /* enum nvme_ring */

	/* poll */
	struct nvme_cqe *cq __rte_cache_aligned;
	volatile uint32_t *cq_db;
	struct nvme_ctrlr *c;
	uint32_t phase; /* 0 or 1 << 16 */
	uint16_t cq_head, cq_size;
	uint16_t cq_unrung, cq_lazy; /* entries consumed since the doorbell; ring from here on */
	uint16_t cq_most;            /* of cq_lazy */
	uint16_t depth;
	bool in_cmb; /* the submission queue is in the controller's memory: never read it */
	bool stuck;  /* a command is older than the time-out */
	const struct plx_mem_domain *dom;

	/* data pointers */
	uint8_t *slots; /* NVME_SLOT_BYTES a tracker */
	uint64_t slots_iova;
	uint8_t *pool; /* NVME_POOL_PAGES pages */
	uint64_t pool_iova;
	uint8_t pool_free[NVME_POOL_PAGES]; /* stack of page numbers */
	uint8_t npool;
	uint8_t (*pool_of)[NVME_POOL_PAGES]; /* pages a tracker holds */
	bool sgl, sgl_dword;                 /* the controller takes SGLs; dword aligned only */
	uint16_t max_sgls;                   /* descriptors a command */
	struct nvme_meta *meta;              /* NULL: blocks have no metadata */

	/* control */
	uint8_t *mem; /* all of its memory that the device reaches */
	size_t cmb_used;
	uint64_t sq_iova, cq_iova;
	volatile uint32_t *sq_shadow, *sq_event, *cq_shadow, *cq_event;
	uint16_t qid, sq_size;
	bool created;     /* the device knows its memory */
	bool sq_created;  /* its submission queue too */
	bool lost_memory; /* the device may still reach its memory */
	bool drop;        /* to be deleted, by a reset if need be: cancel what is in flight */
	bool orphan;      /* freed by its namespace before the device let go of it */
	struct nvme_intr intr;
	struct nvme_ns *ns;
	struct nvme_qpair *next; /* in its controller */
};

/* The command the control plane waits for, one at a time. */
struct nvme_admin_cmd {
	struct nvme_sqe sqe;
	bool busy;
	uint16_t cid;
	uint16_t status; /* without phase */
	uint64_t result;
	struct plx_deadline until;
};

struct nvme_admin {
	struct nvme_sqe *sq;
	struct nvme_cqe *cq;
	uint64_t sq_iova, cq_iova;
	uint16_t tail, head;
	uint32_t phase;
	struct nvme_admin_cmd cmd;
	uint8_t aer;       /* event requests outstanding, a bit each; see NVME_NB_AER */
	bool aer_refused;  /* ask for no more */
	uint32_t nb_event; /* events so far: only the first are logged */
	bool ready;
	uint64_t bad; /* completions that made no sense */
};

/* A command that the controller was asked to abort. */
struct nvme_abort {
	enum { NVME_ABORT_FREE, NVME_ABORT_SENT, NVME_ABORT_ANSWERED } state;
	bool refused;
	uint16_t qid, cid;
	struct plx_deadline until; /* the answer, then the command */
};

/* What blocks look like on the medium. */
struct nvme_format {
	uint8_t shift; /* of the data's bytes */
	bool extended; /* metadata is mixed with data */
	uint8_t pi_type, pi_size;
	uint16_t ms, pi_offset;
};
static_assert(sizeof(struct nvme_format) == 8, "compared as a whole");

/* Zones of a namespace; max_append 0: it has none. */
struct nvme_zoned {
	uint64_t zone_nblk;
	uint32_t max_open, max_active; /* 0: no limit */
	uint32_t max_append;           /* bytes */
	bool cross_read;               /* reads may cross zones */
};

/* A namespace: one block device. */
struct nvme_ns {
	struct plx_blk blk;
	struct nvme_ctrlr *c;
	struct nvme_ns *next;
	uint32_t nsid;
	struct nvme_format fmt;
	bool deac; /* it knows the Deallocate bit of Write Zeroes */
	/* the operation under way */
	struct plx_pt pt;
	int (*step)(struct nvme_ns *ns);
	int rc, start_rc;
	struct plx_pt del; /* called by the operation */
	int del_rc;
	uint16_t i;
	struct plx_deadline until;
	struct plx_nvme_cmd *cmd;
};

/* Memory that the device may reach until the transport is closed. */
struct nvme_kept {
	struct nvme_kept *next;
	void *mem;
};

enum nvme_quirk {
	NVME_QUIRK_LATE_READY = 1 << 0,  /* don't look at CSTS for a while after CC.EN changed */
	NVME_QUIRK_SLOW_INIT = 1 << 1,   /* leave it alone after a reset of the function */
	NVME_QUIRK_STRIPE = 1 << 2,      /* commands should not cross a stripe (vendor's bytes) */
	NVME_QUIRK_NO_NS_LIST = 1 << 3,  /* Identify has no list of namespaces */
	NVME_QUIRK_NO_ZEROES = 1 << 4,   /* don't use Write Zeroes */
	NVME_QUIRK_BAD_ID = 1 << 5,      /* NGUID identifies nothing */
	NVME_QUIRK_MEDIUM_PRIO = 1 << 6, /* submission queues of medium priority only */
	NVME_QUIRK_NO_SHUTDOWN = 1 << 7, /* a shutdown is never complete */
	NVME_QUIRK_NO_SGL = 1 << 8,      /* don't use SGLs */
	NVME_QUIRK_LATE_QUEUE = 1 << 9,  /* wait a little after creating a queue */
	NVME_QUIRK_BAD_PI = 1 << 10,     /* Compare, Deallocate don't work with it */
	NVME_QUIRK_META_512 = 1 << 11,   /* moves metadata in whole 512 bytes, or less than that */
};

/* Shadow doorbells: where a doorbell costs something, or as told. */
enum nvme_dbbuf { NVME_DBBUF_AUTO, NVME_DBBUF_ON, NVME_DBBUF_OFF };

enum nvme_ctrlr_state {
	NVME_ATTACHING,
	NVME_RUNNING,
	NVME_RESETTING,
	NVME_LEAVING, /* it is wanted back, and being shut down */
	NVME_DETACHING,
	NVME_DEAD
};

struct nvme_ctrlr {
	struct plx_dev *dev;
	struct plx_vfio_dev *vfio;
	const char *name;
	enum nvme_ctrlr_state state;
	uint16_t epoch;    /* ticks; read by queue owners */
	uint16_t io_limit; /* ticks a command may take, 0: no limit */
	uint32_t io_ms;

	/* registers */
	uint8_t *regs; /* mapped, or NULL: by message */
	uint64_t cap, reg;
	uint32_t cc, csts, vs;
	uint32_t page_size;
	uint32_t db_stride; /* bytes */
	uint32_t ready_ms;
	uint32_t admin_ms; /* bound of an admin command */

	/* state machines */
	struct plx_pt ladder, pt, up, sub, sub2, io; /* each is called by those before it; an
						      * attach is pt, ladder, up */
	int try_rc, rc, up_rc, sub_rc, sub2_rc, io_rc;
	struct plx_pt look, intr; /* beside them */
	int look_rc, intr_rc;
	struct plx_deadline until, pause, tick;
	uint32_t i;
	struct nvme_ns *owner; /* whose operation has the admin queue */
	struct nvme_ns self;   /* for the controller's own: its state machine, nothing else */
	struct nvme_qpair *q;  /* being created by a reset, or deleted by the watch */
	int reset_rc;          /* of the last reset; -EINPROGRESS until it ended */
	bool reset_wanted;
	bool gentle;               /* by the application: commands in flight may end first */
	bool detaching, resetting; /* detach waits for a reset to end */
	unsigned int resets;       /* tries of the reset under way */
	unsigned int storm, quiet; /* resets for trouble, ticks without */
	bool looking;              /* the watch waits for a register */
	bool watching;             /* the watch has the admin queue */
	bool abort_news;           /* an Abort was answered */
	bool wiring;               /* interrupts: waits for the transport */
	bool intr_wanted;          /* atomic; there is something to wire */
	bool intr_on;
	struct nvme_qpair *intr_q; /* being wired, or taken off */
	int intr_orphan;           /* -1, or its eventfd when it was freed meanwhile */
	uint32_t reconnect_ms;     /* how long a server that went away is waited for; 0: not */
	struct plx_deadline away_until;
	bool away;    /* its server is gone, and is waited for until then */
	bool waiting; /* nobody is there to stop it: queues may be dropped */
	struct nvme_abort aborts[NVME_ABORTS];
	bool rescan;   /* namespaces changed */
	uint32_t told; /* lines about it, less one a tick */
	/* log pages of events, a bit each, to be read so that the next event comes; the one read */
	uint64_t logs[4];
	uint8_t log;
	struct nvme_kept *quarantine;

	/* the register access under way */
	struct {
		uint64_t value;
		uint32_t off, len;
		bool write, begun;
	} io_reg;

	struct nvme_admin admin;
	uint8_t *buf; /* one page for identify and the like */
	uint64_t buf_iova;
	uint8_t *big; /* PRP list and data of an admin passthrough */

	/* from identify */
	struct nvme_id_ctrl id;
	uint32_t max_xfer; /* bytes */
	bool sgl, sgl_dword, dbbuf_on;
	uint16_t max_sgls;        /* SGL descriptors a command */
	uint32_t *shadow, *event; /* doorbell buffers, a page each */
	uint64_t shadow_iova;
	uint16_t max_queues, max_entries;
	uint16_t want_queues;
	bool asked_queues; /* by the user */
	uint32_t quirks;   /* enum nvme_quirk */
	bool use_cmb;      /* asked for */
	uint8_t *cmb;      /* Controller Memory Buffer, NULL: none */
	uint64_t cmb_len;
	uint32_t cmb_loc, cmb_sz; /* registers */
	enum nvme_dbbuf use_dbbuf;
	uint8_t hostid[16]; /* for reservations */
	bool use_hostid;
	bool no_sgl;

	struct nvme_id_ns id_ns; /* of the namespace being scanned */
	uint32_t elbaf;          /* and its extended format */
	struct nvme_zoned zoned; /* and its zones */
	uint8_t csi;
	bool all_sets; /* the controller runs with all of its I/O command sets */
	struct nvme_ns *ns;
	struct nvme_qpair *queues;
	struct nvme_lend *lends;     /* secondary processes that have queues of it */
	struct nvme_lent_cmds *lent; /* and their admin commands; NULL before the first */
	struct nvme_mp *mp;          /* in a secondary process: the way to the primary; or NULL */
	uint64_t qid_used[8];        /* bit set of I/O queue ids, 1-based, up to 511 */
	uint32_t nsids[1024];        /* active list, while attaching */
};

/* nvme_qpair.c */
uint16_t nvme_qpair_submit(struct plx_blkq *bq, struct plx_blk_req *const *reqs, uint16_t n);
uint16_t nvme_qpair_submit_meta(struct plx_blkq *bq, struct plx_blk_req *const *reqs, uint16_t n);
uint16_t nvme_qpair_poll(struct plx_blkq *bq, struct plx_blk_req **reqs, uint16_t n);
int nvme_qpair_issue(struct plx_drvq *dq, struct plx_blk_req *req);
uint16_t nvme_qpair_reap(struct nvme_qpair *q, struct plx_blk_req **reqs, uint16_t n);
void nvme_qpair_ring(struct nvme_qpair *q);
void nvme_qpair_tick(struct nvme_qpair *q);

/* nvme_data.c */
int nvme_data_map(struct nvme_qpair *q, struct nvme_tracker *t, struct nvme_sqe *sqe,
	const struct plx_seg *segs, uint32_t nseg, size_t len);
int nvme_data_req(struct nvme_qpair *q, struct nvme_tracker *t, struct nvme_sqe *sqe,
	const struct plx_blk_req *req);
void nvme_data_free(struct nvme_qpair *q, struct nvme_tracker *t);
size_t nvme_data_direct(struct plx_drvq *dq, const struct plx_seg *segs, uint32_t nseg, size_t max);

/* nvme_meta.c */
int nvme_meta_format(struct nvme_ctrlr *c, uint32_t nsid, const struct nvme_id_ns *id,
	const struct nvme_lbaf *lbaf, struct nvme_format *f);
uint32_t nvme_meta_max_nblk(const struct nvme_ctrlr *c, const struct nvme_format *f);
size_t nvme_meta_bounce(const struct nvme_format *f);
bool nvme_meta_elbaf_wanted(const struct nvme_ctrlr *c, const struct nvme_id_ns *id);
int nvme_meta_enable(struct nvme_ctrlr *c);
int nvme_meta_alloc(struct nvme_qpair *q, int socket);
int nvme_meta_map(struct nvme_qpair *q);
void nvme_meta_free(struct nvme_qpair *q, bool lost);
void nvme_meta_reset(struct nvme_qpair *q);
int nvme_meta_build(struct nvme_qpair *q, struct nvme_tracker *t, struct nvme_sqe *sqe,
	const struct plx_blk_req *req);
int nvme_meta_pass(struct nvme_qpair *q, struct nvme_tracker *t, struct nvme_sqe *sqe,
	const struct plx_blk_req *req);
void nvme_meta_done(struct nvme_qpair *q, struct nvme_tracker *t, bool ok);
void nvme_meta_put(struct nvme_qpair *q, struct nvme_tracker *t);

/* nvme_zns.c */
int nvme_zns_identify(struct nvme_ctrlr *c, uint32_t nsid);
int nvme_zns_check(struct nvme_ctrlr *c, uint32_t nsid, const struct nvme_format *f);
void nvme_zns_info(const struct nvme_ctrlr *c, struct plx_blk_info *info);
size_t nvme_zns_bounce(const struct plx_blk_info *info);
int nvme_zns_build(struct nvme_qpair *q, struct nvme_tracker *t, struct nvme_sqe *sqe,
	const struct plx_blk_req *req);
void nvme_zns_done(struct nvme_qpair *q, struct plx_blk_req *req);

/* nvme_copy.c */
void nvme_copy_info(
	const struct nvme_ctrlr *c, const struct nvme_id_ns *id, struct plx_blk_info *info);
void nvme_copy_build(struct nvme_qpair *q, const struct nvme_tracker *t, struct nvme_sqe *sqe,
	const struct plx_blk_req *req);

/* nvme_queue.c */
int nvme_queue_alloc(
	struct nvme_ns *ns, uint16_t qid, const struct plx_blkq_conf *conf, struct plx_drvq **dq);
void nvme_queue_free(struct nvme_qpair *q);
void nvme_queue_orphans(struct nvme_ctrlr *c, bool all);
int nvme_queue_drops(struct nvme_ctrlr *c);
int nvme_queue_create(struct nvme_qpair *q);
int nvme_queue_delete(struct nvme_qpair *q);
uint32_t nvme_queue_drain(struct nvme_qpair *q);
void nvme_queue_unplug(struct nvme_qpair *q);
void nvme_queue_cancel(struct nvme_qpair *q, int status, uint8_t flags);
void nvme_queue_dropped(struct nvme_qpair *q);
void nvme_queue_replay(struct nvme_qpair *q, uint32_t *sent, uint32_t *ended);
int nvme_queue_qids(struct nvme_ctrlr *c);

/* nvme_admin.c */
int nvme_admin_alloc(struct nvme_ctrlr *c);
int nvme_admin_map(struct nvme_ctrlr *c);
void nvme_admin_free(struct nvme_ctrlr *c);
void nvme_admin_reset(struct nvme_ctrlr *c);
int nvme_admin_start(struct nvme_ctrlr *c, uint32_t timeout_ms);
int nvme_admin_wait(struct nvme_ctrlr *c);
int nvme_admin_poll(struct nvme_ctrlr *c);
int nvme_admin_ident(struct nvme_ctrlr *c, uint8_t cns, uint32_t nsid, uint8_t csi);
int nvme_admin_log(struct nvme_ctrlr *c, uint8_t lid);
int nvme_admin_set_feature(struct nvme_ctrlr *c, uint8_t fid, uint32_t value);
void nvme_admin_arm_aer(struct nvme_ctrlr *c);
void nvme_admin_abort(struct nvme_ctrlr *c, uint16_t i);
void nvme_admin_lent(struct nvme_ctrlr *c, const struct nvme_sqe *sqe, uint16_t i);
void nvme_admin_answered(struct nvme_ctrlr *c, uint16_t cid, uint16_t status, uint64_t result);
void nvme_admin_event(struct nvme_ctrlr *c, uint32_t dw0);

/* nvme_regs.c: state machines all but the last; use the macros below */
int nvme_reg_read(struct nvme_ctrlr *c, uint32_t off, uint32_t len);
int nvme_reg_write(struct nvme_ctrlr *c, uint32_t off, uint64_t value, uint32_t len);
int nvme_reg_step(struct nvme_ctrlr *c);
int nvme_wait_csts(struct nvme_ctrlr *c, uint32_t mask, uint32_t want, const char *what);
int nvme_disable(struct nvme_ctrlr *c);
int nvme_enable(struct nvme_ctrlr *c);
volatile uint32_t *nvme_ctrlr_db(struct nvme_ctrlr *c, uint32_t index);

/* Register access inside a state machine; the value read is in c->reg. */
#define NVME_READ(pt, rc, c, off, len) \
	PLX_PT_CALL(pt, rc, nvme_reg_read(c, off, len), nvme_reg_step(c))
#define NVME_WRITE(pt, rc, c, off, value, len) \
	PLX_PT_CALL(pt, rc, nvme_reg_write(c, off, value, len), nvme_reg_step(c))
#define NVME_OR_RETURN(pt, rc)                 \
	do {                                   \
		if ((rc) != 0)                 \
			PLX_PT_RETURN(pt, rc); \
	} while (0)

/* nvme_ctrlr.c */
int nvme_ctrlr_check_caps(struct nvme_ctrlr *c);
int nvme_ctrlr_bring_up(struct nvme_ctrlr *c);
int nvme_ctrlr_scan(struct nvme_ctrlr *c);

/* nvme_dev.c */
struct nvme_ctrlr *nvme_ctrlr_new(struct plx_dev *dev);
int nvme_attach_rest(struct nvme_ctrlr *c);
void nvme_quarantine(struct nvme_ctrlr *c, void *mem);
int nvme_map_regs(struct nvme_ctrlr *c);
int nvme_poll(struct plx_dev *dev);
int nvme_detach(struct plx_dev *dev);
void nvme_release(struct plx_dev *dev);

/* nvme_lend.c: nothing happens where nothing is lent. park, off, parked: -EINPROGRESS until all
 * that answer have their hands off */
struct plx_mp_chan;
struct plx_mp_queue;
int nvme_lend_open(struct plx_dev *dev, struct plx_mp_chan *ch, const void *req, uint32_t len,
	char *why, size_t size);
int nvme_lend_queue(const struct plx_blk *blk, uint32_t i, struct plx_mp_queue *out);
int nvme_lend_poll(struct nvme_ctrlr *c);
void nvme_lend_answered(struct nvme_ctrlr *c, uint16_t i, uint16_t status, uint64_t result);
int nvme_lend_park(struct nvme_ctrlr *c);
int nvme_lend_parked(struct nvme_ctrlr *c);
void nvme_lend_disabled(struct nvme_ctrlr *c);
void nvme_lend_qids(struct nvme_ctrlr *c);
void nvme_lend_resume(struct nvme_ctrlr *c);
void nvme_lend_event(struct nvme_ctrlr *c, uint32_t dw0);
int nvme_lend_off(struct nvme_ctrlr *c);
void nvme_lend_lost(struct nvme_ctrlr *c);
void nvme_lend_free(struct nvme_ctrlr *c);

/* nvme_mp.c; only where c->mp is set */
void nvme_mp_submit(struct nvme_ctrlr *c, const struct nvme_sqe *sqe, uint16_t cid);
int nvme_mp_disable(struct nvme_ctrlr *c);
int nvme_mp_attach_step(struct nvme_ctrlr *c);
void nvme_mp_ready(struct nvme_ctrlr *c);
void nvme_mp_poll(struct nvme_ctrlr *c);
bool nvme_mp_off(const struct nvme_ctrlr *c);

/* nvme_cmb.c */
int nvme_cmb_find(struct nvme_ctrlr *c);
int nvme_cmb_enable(struct nvme_ctrlr *c);
bool nvme_cmb_get(struct nvme_qpair *q);

/* nvme_quirks.c */
int nvme_quirks_find(struct nvme_ctrlr *c);
void nvme_quirks_ctrlr(struct nvme_ctrlr *c);
void nvme_quirks_ns(const struct nvme_ctrlr *c, struct nvme_id_ns *id);
void nvme_quirks_info(const struct nvme_ctrlr *c, struct plx_blk_info *info);
static inline bool
nvme_quirk(const struct nvme_ctrlr *c, uint32_t quirk)
{
	return (c->quirks & quirk) != 0;
}

/* nvme_recover.c */
bool nvme_may_tell(struct nvme_ctrlr *c);
/* Log what a controller makes happen, which it may do without end. */
#define NVME_TELL(c, level, ...)                     \
	do {                                         \
		if (nvme_may_tell(c))                \
			PLX_LOG(level, __VA_ARGS__); \
	} while (0)
int nvme_recover_poll(struct nvme_ctrlr *c);
int nvme_recover_finish(struct nvme_ctrlr *c);
void nvme_recover_late(struct nvme_ctrlr *c);
void nvme_ctrlr_dead(struct nvme_ctrlr *c, int err);
void nvme_ctrlr_want_reset(struct nvme_ctrlr *c);

/* nvme_away.c */
bool nvme_away(struct nvme_ctrlr *c);
int nvme_rejoin(struct nvme_ctrlr *c);

/* nvme_intr.c */
void nvme_intr_open(struct nvme_qpair *q);
void nvme_intr_close(struct nvme_qpair *q);
void nvme_intr_orphan(struct nvme_ctrlr *c);
int nvme_intr_start(struct nvme_qpair *q);
void nvme_intr_unplug(struct nvme_qpair *q);
void nvme_intr_tick(struct nvme_ctrlr *c);
int nvme_intr_step(struct nvme_ctrlr *c);
/* The owner may not come to poll until something completes. */
static inline bool
nvme_intr_asleep(const struct nvme_qpair *q)
{
	return __atomic_load_n(&q->intr.armed, __ATOMIC_ACQUIRE);
}

/* nvme_abort.c */
void nvme_abort_look(struct nvme_qpair *q);
void nvme_abort_answered(struct nvme_ctrlr *c, uint16_t i, bool refused);
bool nvme_aborts_ok(struct nvme_ctrlr *c);

/* nvme_ns.c */
void nvme_text(char *dst, size_t size, const char *src, size_t len);
extern const struct plx_nvme_ops nvme_ctrlr_ops;
/* The format in use, of those listed. */
static inline uint32_t
nvme_ns_lbaf(const struct nvme_id_ns *id)
{
	return (id->flbas & 0xf) | (id->flbas & 0x60) >> 1;
}
int nvme_ns_add(struct nvme_ctrlr *c, uint32_t nsid, const struct nvme_id_ns *id);
void nvme_ns_free(struct nvme_ns *ns);
void nvme_ns_refresh(struct nvme_ns *ns, const struct nvme_id_ns *id);
void nvme_ns_gone(struct nvme_ns *ns);
void nvme_ns_back(struct nvme_ns *ns, const struct nvme_id_ns *id);

/* nvme_pass.c */
int nvme_pass_prepare(struct nvme_ctrlr *c, const struct plx_nvme_cmd *cmd);
int nvme_pass_start(struct nvme_ctrlr *c, const struct plx_nvme_cmd *cmd);
void nvme_pass_end(struct nvme_ctrlr *c, struct plx_nvme_cmd *cmd, int rc);

/* nvme_dump.c */
int nvme_dump(struct plx_blk *blk, const char *what, uint16_t qid, FILE *out);

/* nvme_status.c */
int nvme_status_errno(uint16_t status);
bool nvme_status_retry(uint16_t status);
bool nvme_status_not_done(uint16_t status);
bool nvme_op_repeatable(const struct plx_blk_req *req, bool zoned);

#endif
