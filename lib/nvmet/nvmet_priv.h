/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef NVMET_PRIV_H
#define NVMET_PRIV_H
/*
 * The controller's insides. One thread owns all of it; only counters are read from outside.
 *
 *   nvmet.c          create, destroy, the poll loop and its slow half
 *   nvmet_regs.c     registers, enable, disable, shutdown, reset
 *   nvmet_queue.c    queues: create, delete, what happens when their memory goes
 *   nvmet_admin.c    admin commands;   nvmet_identify.c  nvmet_feat.c  nvmet_log.c
 *   nvmet_ns.c       namespaces: attached or not, created, deleted
 *   nvmet_job.c      what goes over whole namespaces: format;  nvmet_sanitize.c  nvmet_selftest.c
 *   nvmet_fw.c       firmware slots
 *   nvmet_resv.c     reservations
 *   nvmet_event.c    async events and the error log
 *   nvmet_data.c     PRPs and SGLs to host pointers
 *   nvmet_meta.c     blocks with metadata, and protection information
 *   nvmet_zns.c      zoned namespaces, and copy
 *   nvmet_io.c       the fast path
 *   nvmet_cmd.c      I/O commands that the fast path leaves: other opcodes, errors, steps
 */
#include <stdbool.h>
#include <stdint.h>

#include <nvme/types.h>
#include <rte_atomic.h>
#include <rte_branch_prediction.h>
#include <rte_byteorder.h>
#include <rte_common.h>

#include "plx_blk.h"
#include "plx_blk_drv.h"
#include "plx_nvmet.h"
#include "plx_pt.h"
#include "plx_ctrl.h"
#include "plx_vfu.h"
#include "nvmet_spec.h"

#define NVMET_BURST 32
#define NVMET_MAX_NS 256
#define NVMET_MAX_CMDS 4096
#define NVMET_DEV_DEPTH 1024 /* of our queue on a device */
#define NVMET_MAX_SEGS 1024  /* segments of one command's data */
#define NVMET_MAX_SGL 4096   /* descriptors of one command */
#define NVMET_MAX_MDTS 9
#define NVMET_AERS 4
#define NVMET_ERRLOG 64
#define NVMET_EVENTS 8
#define NVMET_ACL 3
#define NVMET_FIRMWARE "0.1"
#define NVMET_FW_SLOTS 3
#define NVMET_CNTLID 1
#define NVMET_JOB_BUF 65536u
#define NVMET_DENY_READ 1
#define NVMET_DENY_WRITE 2
#define NVMET_PCI_VENDOR 0x4e58 /* not assigned to anybody */
#define NVMET_PCI_DEVICE 0x504c
#define NVMET_KELVIN 298 /* what SMART says */

/* Status: NVMe status field without phase; DNR: the same command would fail again. */
#define NVMET_SC(sct, sc) ((uint16_t)(NVME_SCT_##sct << NVME_SCT_SHIFT | NVME_SC_##sc))
#define NVMET_ERR(sct, sc) ((uint16_t)(NVMET_SC(sct, sc) | NVME_SC_DNR))
/* Beyond the 15 bits of a status: what became of a command. */
#define NVMET_DONE 0x8000u  /* complete it now, with success */
#define NVMET_LATER 0x8001u /* it completes by itself */

/*
 * A submission queue. db points into memory that the client writes at any time: read once,
 * compared, bounds-checked.
 */
struct nvmet_sq {
	const uint32_t *db; /* tail doorbell, or its shadow */
	const struct nvmet_sqe *mem;
	struct nvmet_cq *cq;
	uint64_t iova;
	uint32_t seen; /* doorbell as it was last read, good or bad */
	uint32_t size, head, tail;
	uint32_t inflight;
	uint16_t id;
	uint16_t delete_cid;
	bool live, deleting;
} __rte_cache_aligned;
static_assert(sizeof(struct nvmet_sq) == 64, "a queue is a cache line");

/* A completion queue. */
struct nvmet_cq {
	const uint32_t *db; /* head doorbell, or its shadow */
	struct nvmet_cqe *mem;
	uint64_t iova;
	uint32_t seen;
	uint32_t size, head, tail;
	uint32_t inflight; /* commands fetched whose entry will go here */
	uint16_t id, vector;
	uint16_t nsq; /* submission queues that use it */
	bool live, ien;
	uint8_t phase;
} __rte_cache_aligned;
static_assert(sizeof(struct nvmet_cq) == 64, "a queue is a cache line");

/* A namespace: a block device and the one queue we have on it. */
struct nvmet_ns {
	uint64_t fast;  /* blocks the fast path may reach; 0: it may not, or there is metadata */
	uint64_t lim;   /* blocks that commands may reach */
	uint32_t shift; /* log2 of the block size */
	uint32_t inflight;
	struct plx_blkq *q;
	struct plx_blk_req *pend, **pend_tail;        /* found no room; linked by drv[0] */
	uint64_t ops[PLX_OP_MAX], blocks[PLX_OP_MAX]; /* completed */
	struct plx_blk *blk;
	struct plx_blk_info info;
	uint8_t nguid[16];
	uint64_t changed; /* generation of the last change that the log page told of */
	bool formatting, gone;
	bool extended; /* to the host, metadata is mixed with data */
	bool hidden;   /* zoned, and the host enabled the NVM command set alone */
	bool shut;     /* by sanitize */
	bool allocated, attached;
	uint8_t deny;  /* to this host, by a reservation: NVMET_DENY_ */
	uint64_t size; /* blocks it was created with, 0: all that the device has */
	struct nvmet_resv *resv;
} __rte_cache_aligned;

/* Commands that take more than one request. */
enum nvmet_step {
	NVMET_STEP_NONE = 0,
	NVMET_STEP_DSM,
	NVMET_STEP_FUA, /* a flush stands in for FUA */
	NVMET_STEP_JOB,
	NVMET_STEP_QUIET, /* nobody waits for it: flush at shutdown */
	NVMET_STEP_META,  /* has metadata to give back */
	NVMET_STEP_ABORT, /* taken back from the device */
	NVMET_STEP_APPEND,
	NVMET_STEP_APPEND_FUA, /* a flush follows */
	NVMET_STEP_APPENDED,   /* this is it */
	NVMET_STEP_REPORT,
};

/*
 * A command in flight. The request's user word holds cid | sqid << 16 | step << 32, so that
 * the fast path touches the first line only.
 */
struct nvmet_cmd {
	struct plx_blk_req req;
	struct plx_seg *segs; /* own, or more; DSM: its ranges */
	struct plx_seg own[2];
	uint16_t nsegs, cap;
	uint16_t step_i; /* DSM: the range after this one */
	union {
		uint64_t at;                 /* append: where it went */
		struct nvmet_report *report; /* while req.op says so */
	};
	struct nvmet_meta *meta; /* in use while req.ext is set */
} __rte_cache_aligned;
static_assert(sizeof(struct nvmet_cmd) == 128, "a command is two cache lines");

static inline void *
nvmet_user(uint16_t sqid, uint16_t cid, enum nvmet_step step)
{
	return (void *)((uintptr_t)cid | (uintptr_t)sqid << 16 | (uintptr_t)step << 32);
}

struct nvmet_event {
	uint8_t type, info, lid;
};

/* What goes over namespaces by itself: see nvmet_job.c. */
struct nvmet_job_ops {
	bool alone; /* not beside commands of before */
	/* A namespace's turn comes; it is over. May be NULL */
	void (*enter)(struct plx_nvmet *c, struct nvmet_ns *ns);
	void (*leave)(struct plx_nvmet *c, struct nvmet_ns *ns);
	/* Fill in op and the like of a request from block lba on. @return how many blocks are done
	 * with it, 0: the namespace is */
	uint64_t (*next)(struct plx_nvmet *c, struct nvmet_ns *ns, struct plx_blk_req *req);
	/* All had their turn. @return once more. May be NULL */
	bool (*again)(struct plx_nvmet *c);
	/* It is over; status: of the request that failed, or 0 */
	void (*end)(struct plx_nvmet *c, uint16_t status);
};
struct nvmet_job {
	const struct nvmet_job_ops *ops; /* NULL: there is none */
	bool out, stale;                 /* a request of it is with a device; of one before it */
	bool entered;
	bool deletes; /* format: its namespaces go */
	uint16_t cid; /* format: the command that waits */
	uint32_t first, end, ns;
	uint64_t at, step;    /* blocks: where it is, and in the request that is out */
	uint64_t done, total; /* bytes */
	void *buf;            /* NVMET_JOB_BUF, once it was needed */
};
struct nvmet_sanitize {
	uint8_t state; /* as in the log */
	uint8_t pass, passes;
	bool failure_mode;
	uint32_t dw10, pattern;
	uint64_t writes; /* to the namespaces, when it ended */
};
struct nvmet_test {
	uint8_t code; /* of the one under way */
	uint8_t nb;   /* in the log */
	uint32_t nsid;
	struct nvme_st_result log[NVME_LOG_ST_MAX_RESULTS];
};
struct nvmet_fw {
	char rev[NVMET_FW_SLOTS][8]; /* first byte 0: the slot is empty */
	uint8_t active, next;        /* next: at the next reset, 0: as it is */
	char head[16];               /* of the image that comes in */
	uint64_t have;               /* its pieces that came, a bit each */
};

/* Lifecycle; see nvmet_regs.c. */
enum nvmet_state { NVMET_STEADY, NVMET_DISABLING, NVMET_SHUTTING };

struct plx_nvmet {
	/* every pass */
	uint32_t run; /* fetch commands: enabled, ready, bus master, nothing being taken away */
	uint32_t nact;
	uint32_t nfree;
	uint32_t nns;
	uint32_t pass;      /* passes until the clock is looked at */
	uint32_t attention; /* something in the slow half waits */
	uint64_t polls, empty_polls;
	uint64_t fire; /* completion queues to interrupt, by id */
	struct nvmet_cmd **free;
	struct plx_vfu *vfu;
	struct plx_vfu_dma dma, dma_list; /* where data was, and lists */
	struct nvmet_ns *ns;
	uint32_t fua_all; /* NVMET_DW12_FUA while the write cache is off */
	uint64_t errors, protocol_errors;
	struct nvmet_sq *act[NVMET_QUEUES]; /* live I/O submission queues, compact */
	struct nvmet_sq sq[NVMET_QUEUES];
	struct nvmet_cq cq[NVMET_QUEUES];

	/* the clock */
	uint64_t next_slow, hot_until, last_house;
	uint64_t us; /* TSC ticks */
	uint64_t born, busy_tsc, busy_cmds;

	/* registers */
	uint32_t cc, csts, aqa, intmask;
	uint64_t asq, acq;
	enum nvmet_state state;
	struct plx_pt pt;
	struct plx_deadline until;
	bool drop;   /* completions are for nobody */
	bool hold;   /* a mapping is being taken away */
	bool parked; /* memory of a queue was, and is not back: until */
	struct plx_deadline park_until;
	bool was_enabled;
	uint32_t complaints; /* logged about this client */

	/* doorbells */
	uint32_t *db; /* the mapped page, or own_db */
	uint32_t *own_db;
	uint32_t *shadow, *evidx; /* doorbell buffers; NULL: not configured */
	uint64_t shadow_iova, evidx_iova;

	/* admin */
	uint32_t deleting; /* submission queues that wait for their commands */
	uint16_t nsq_alloc, ncq_alloc;
	struct nvmet_job job;
	struct nvmet_sanitize san;
	struct nvmet_test test;
	struct nvmet_fw fw;
	uint8_t host[16]; /* identifier */
	bool exhid;       /* of 16 bytes */
	uint16_t aer[NVMET_AERS];
	uint32_t naer;
	struct nvmet_event events[NVMET_EVENTS];
	uint32_t nevents;
	uint32_t masked;                              /* event types reported and not yet read */
	uint32_t feat[NVME_FEAT_FID_ASYNC_EVENT + 1]; /* current values, by feature */
	uint32_t flushing; /* flushes that Set Features flush_cid waits for; 0: nobody does */
	uint16_t flush_cid, flush_status;
	uint16_t temp_over, temp_under;
	uint32_t vec_cd[2]; /* interrupt vectors with coalescing disabled */
	struct nvme_error_log_page errlog[NVMET_ERRLOG];
	uint64_t nerrors;
	uint64_t unsafe_shutdowns, media_errors, resets;
	uint32_t changed[NVME_ID_NS_LIST_MAX];
	uint32_t nchanged;

	/* what we are */
	uint32_t ncmd;
	uint16_t max_queues; /* I/O queue pairs */
	uint16_t max_depth;
	uint16_t vectors;
	uint8_t mdts;
	uint16_t oncs, oacs;
	bool sgl, rdonly, vwc, meta_ext, elbas;
	bool zns;    /* a namespace is zoned: command sets are offered */
	bool lbafee; /* the host knows extended formats */
	char serial[21], model[41], subnqn[72];
	struct nvmet_cmd *cmds;
	uint8_t page[NVMET_PAGE] __rte_cache_aligned; /* identify data, logs: built here */
};

/* Commands out; each holds one context. */
static inline uint32_t
nvmet_inflight(const struct plx_nvmet *c)
{
	return c->ncmd - c->nfree;
}

/* ---- nvmet_regs.c ---- */
extern const struct plx_vfu_ops nvmet_vfu_ops;
uint64_t nvmet_cap(const struct plx_nvmet *c);
/* Move disable and shutdown on. */
void nvmet_state_poll(struct plx_nvmet *c);
/* Decide whether commands are fetched. */
void nvmet_run_update(struct plx_nvmet *c);
/* The host has to reset us: say so once. */
void nvmet_fatal(struct plx_nvmet *c, const char *why);

/* ---- nvmet_queue.c ---- */
/* Lay out a queue in client memory. @return status */
uint16_t nvmet_cq_open(struct plx_nvmet *c, uint16_t id, uint64_t iova, uint32_t size);
uint16_t nvmet_sq_open(
	struct plx_nvmet *c, uint16_t id, uint64_t iova, uint32_t size, struct nvmet_cq *cq);
uint16_t nvmet_create_cq(struct plx_nvmet *c, const struct nvmet_sqe *e);
uint16_t nvmet_create_sq(struct plx_nvmet *c, const struct nvmet_sqe *e);
uint16_t nvmet_delete_cq(struct plx_nvmet *c, const struct nvmet_sqe *e);
uint16_t nvmet_delete_sq(struct plx_nvmet *c, const struct nvmet_sqe *e);
/* Finish deletes whose commands are back. */
void nvmet_deletes_poll(struct plx_nvmet *c);
/* @return an I/O queue exists */
bool nvmet_has_queues(const struct plx_nvmet *c);
/* Forget every queue and what was agreed with this host. Nothing is in flight. */
void nvmet_queues_reset(struct plx_nvmet *c);
uint16_t nvmet_dbbuf_config(struct plx_nvmet *c, const struct nvmet_sqe *e);
/* Nothing is in flight and [iova, iova + len) goes (len 0: all). @return a queue was in it */
bool nvmet_queues_lost(struct plx_nvmet *c, uint64_t iova, uint64_t len);
bool nvmet_queues_find(struct plx_nvmet *c);
/* Write the event index of a shadow doorbell whose value is known. */
void nvmet_event_index(struct plx_nvmet *c, uint16_t id, bool cq, uint32_t value);
/* The head of a submission queue wraps: keep the host from ringing (shadow doorbells). */
void nvmet_lap(struct plx_nvmet *c, const struct nvmet_sq *sq, uint32_t head);
/* Look at the doorbells that the fast path doesn't: completion queues', and of no queue. */
void nvmet_doorbells_check(struct plx_nvmet *c);
/* A client's message wrote a doorbell. */
void nvmet_doorbell_write(struct plx_nvmet *c, uint64_t off, uint32_t value);

/* ---- nvmet_admin.c ---- */
/* Fetch and run admin commands. @return how many */
uint32_t nvmet_admin_poll(struct plx_nvmet *c);
/* Complete an admin command. */
void nvmet_admin_done(struct plx_nvmet *c, uint16_t cid, uint16_t status, uint32_t result);

/* ---- nvmet_identify.c, nvmet_feat.c, nvmet_log.c ---- */
uint16_t nvmet_identify(struct plx_nvmet *c, const struct nvmet_sqe *e);
/* @return status, or NVMET_LATER */
uint32_t nvmet_set_features(struct plx_nvmet *c, const struct nvmet_sqe *e, uint32_t *result);
uint16_t nvmet_get_features(struct plx_nvmet *c, const struct nvmet_sqe *e, uint32_t *result);
void nvmet_features_reset(struct plx_nvmet *c);
/* A flush that no I/O command waits for is back: the last one ends what turned the cache off. */
void nvmet_cache_flushed(struct plx_nvmet *c, uint16_t status);
uint16_t nvmet_get_log(struct plx_nvmet *c, const struct nvmet_sqe *e);
/* @return SMART's critical warning bits */
uint8_t nvmet_critical(const struct plx_nvmet *c);

/* ---- nvmet_event.c ---- */
/* Something for an Async Event Request. */
void nvmet_event(struct plx_nvmet *c, uint8_t type, uint8_t info, uint8_t lid);
/* Pair requests with events. */
void nvmet_events_run(struct plx_nvmet *c);
/* The host read this log page: its events may come again. */
void nvmet_events_unmask(struct plx_nvmet *c, uint8_t lid);
/* Enter a failure into the error log. cid UINT16_MAX: not of a command. */
void nvmet_errlog(struct plx_nvmet *c, uint16_t sqid, uint16_t cid, uint16_t status, uint32_t nsid,
	uint64_t lba);
/* A doorbell had nonsense. info: enum nvme_ae_info_error */
void nvmet_bad_doorbell(struct plx_nvmet *c, uint16_t qid, uint8_t info);
/* Look for changes of the block devices. */
void nvmet_ns_watch(struct plx_nvmet *c);
void nvmet_ns_changed(struct plx_nvmet *c, uint32_t nsid);

/* ---- nvmet_ns.c ---- */
static inline bool
nvmet_ns_active(const struct nvmet_ns *ns)
{
	return ns->allocated && ns->attached;
}
/* Let commands into a namespace, if nothing keeps them out. */
void nvmet_ns_open(struct nvmet_ns *ns);
void nvmet_ns_capacity(const struct plx_nvmet *c, struct nvme_id_ctrl *id);
uint16_t nvmet_ns_attach(struct plx_nvmet *c, const struct nvmet_sqe *e);
uint32_t nvmet_ns_manage(struct plx_nvmet *c, const struct nvmet_sqe *e, uint32_t *result);
/* It is erased. */
void nvmet_ns_deleted(struct plx_nvmet *c, struct nvmet_ns *ns);

/* ---- nvmet_job.c ---- */
void nvmet_job_begin(
	struct plx_nvmet *c, const struct nvmet_job_ops *ops, uint32_t first, uint32_t end);
/* Without its end. */
void nvmet_job_cancel(struct plx_nvmet *c);
/* Go on, if it has to. */
void nvmet_job_poll(struct plx_nvmet *c);
/* Its request came back. */
void nvmet_job_back(struct plx_nvmet *c, struct nvmet_ns *ns, struct nvmet_cmd *cmd);
/* @return its buffer, or NULL */
void *nvmet_job_buf(struct plx_nvmet *c);
/* Make a request erase from block lba on. flags: of write zeroes. @return how many blocks */
uint64_t nvmet_erase(const struct nvmet_ns *ns, struct plx_blk_req *req, uint8_t flags);
/* Format NVM. @return status, or NVMET_LATER */
uint32_t nvmet_format(struct plx_nvmet *c, const struct nvmet_sqe *e);
void nvmet_format_begin(struct plx_nvmet *c, uint16_t cid, uint32_t nsid, bool deletes);
bool nvmet_formatting(const struct plx_nvmet *c);
bool nvmet_may_erase(const struct plx_nvmet *c, uint32_t nsid);

/* ---- nvmet_sanitize.c ---- */
uint16_t nvmet_sanitize(struct plx_nvmet *c, const struct nvmet_sqe *e);
/* @return what commands end with, or 0 */
uint16_t nvmet_sanitize_status(const struct plx_nvmet *c);
/* @return the same for an admin command */
uint16_t nvmet_sanitize_gate(const struct plx_nvmet *c, uint8_t opc);
/* @return SANICAP */
uint32_t nvmet_sanitize_cap(const struct plx_nvmet *c);
uint32_t nvmet_log_sanitize(struct plx_nvmet *c);

/* ---- nvmet_selftest.c ---- */
uint16_t nvmet_self_test(struct plx_nvmet *c, const struct nvmet_sqe *e);
void nvmet_test_abort(struct plx_nvmet *c, uint8_t why);
void nvmet_test_reset(struct plx_nvmet *c);
uint32_t nvmet_log_self_test(struct plx_nvmet *c);

/* ---- nvmet_fw.c ---- */
void nvmet_fw_init(struct plx_nvmet *c);
/* The controller was reset: activate what waits for it. */
void nvmet_fw_reset(struct plx_nvmet *c);
uint16_t nvmet_fw_download(struct plx_nvmet *c, const struct nvmet_sqe *e);
uint16_t nvmet_fw_commit(struct plx_nvmet *c, const struct nvmet_sqe *e);
uint32_t nvmet_log_firmware(struct plx_nvmet *c);

/* ---- nvmet_resv.c ---- */
bool nvmet_resv_is(uint8_t opc);
/* Run such a command. @return NVMET_DONE or status */
uint32_t nvmet_resv_run(struct plx_nvmet *c, const struct nvmet_sqe *e, struct nvmet_ns *ns);
/* @return this host may not do that to a namespace with deny set */
bool nvmet_resv_conflict(const struct nvmet_ns *ns, uint8_t opc);
/* Nobody has an identifier any more. */
void nvmet_resv_reset(struct plx_nvmet *c);
void nvmet_resv_forget(struct nvmet_ns *ns);
uint16_t nvmet_set_host(struct plx_nvmet *c, const struct nvmet_sqe *e);
uint16_t nvmet_get_host(struct plx_nvmet *c, const struct nvmet_sqe *e, bool current);

/* ---- nvmet_data.c ---- */
/*
 * Resolve a command's data pointer to cmd->segs. in: data goes to the client.
 * @return status
 */
uint16_t nvmet_data_map(struct plx_nvmet *c, struct nvmet_cmd *cmd, const struct nvmet_sqe *e,
	uint64_t len, bool in);
/* Copy len bytes out to, or in from the client; past src_len zeroes follow. @return status */
uint16_t nvmet_data_put(struct plx_nvmet *c, const struct nvmet_sqe *e, const void *src,
	uint64_t src_len, uint64_t len);
uint16_t nvmet_data_get(struct plx_nvmet *c, const struct nvmet_sqe *e, void *dst, uint64_t len);

/* Room for n segs in cmd->segs. @return false: no memory */
bool nvmet_segs_room(struct nvmet_cmd *cmd, uint32_t n);

/* ---- nvmet_meta.c ---- */
void nvmet_meta_identify(const struct nvmet_ns *ns, struct nvme_id_ns *id);
void nvmet_meta_identify_nvm(const struct nvmet_ns *ns, struct nvme_nvm_id_ns *id);
/* @return bits 8:4 of Format NVM's dword 10 that leave the format as it is */
uint32_t nvmet_meta_format(const struct nvmet_ns *ns);
/* A command of a namespace with metadata: req.ext. @return status */
uint16_t nvmet_meta_begin(struct plx_nvmet *c, struct nvmet_cmd *cmd, const struct nvmet_sqe *e,
	const struct nvmet_ns *ns);
/* @return bytes that its data pointer has beyond data */
uint64_t nvmet_meta_len(const struct nvmet_cmd *cmd, const struct nvmet_ns *ns);
/* Its data is mapped: the metadata. @return status */
uint16_t nvmet_meta_map(
	struct plx_nvmet *c, struct nvmet_cmd *cmd, const struct nvmet_ns *ns, bool in);
/* A flush is to follow. */
void nvmet_meta_fua(struct nvmet_cmd *cmd);
/* It is back. @return it is to be flushed */
bool nvmet_meta_back(struct plx_nvmet *c, const struct nvmet_ns *ns, struct nvmet_cmd *cmd);
/* It goes no further, wherever it is; harmless without metadata. */
void nvmet_meta_end(struct nvmet_cmd *cmd);

/* ---- nvmet_zns.c ---- */
/* @return 0; -ENOTSUP a zoned device that can't be served */
int nvmet_zns_check(const struct nvmet_ns *ns);
void nvmet_zns_identify_ns(const struct nvmet_ns *ns, struct nvme_zns_id_ns *id);
void nvmet_zns_identify_ctrl(const struct plx_nvmet *c, struct nvme_zns_id_ctrl *id);
void nvmet_copy_identify(const struct plx_nvmet *c, struct nvme_id_ns *id);
/* Prepare a command. @return status */
uint16_t nvmet_zns_send(
	struct nvmet_cmd *cmd, const struct nvmet_sqe *e, const struct nvmet_ns *ns);
uint16_t nvmet_zns_recv(struct plx_nvmet *c, struct nvmet_cmd *cmd, const struct nvmet_sqe *e,
	const struct nvmet_ns *ns);
uint16_t nvmet_copy(struct plx_nvmet *c, struct nvmet_cmd *cmd, const struct nvmet_sqe *e,
	const struct nvmet_ns *ns);
/* Make a prepared write an append. */
void nvmet_zns_append(struct nvmet_cmd *cmd);
/* The device's report is back. @return req asks for another */
bool nvmet_zns_report_back(const struct nvmet_ns *ns, struct nvmet_cmd *cmd);
/* It goes no further, wherever it is; harmless for other commands. */
void nvmet_zns_end(struct nvmet_cmd *cmd);
/* @return the status of an error that has to do with zones, or 0 */
uint16_t nvmet_zns_status(const struct nvmet_ns *ns, const struct plx_blk_req *req);

/* ---- nvmet_cmd.c ---- */
/*
 * Prepare any I/O command. @return 0: cmd->req is ready for *ns; NVMET_DONE, or the status to
 * complete it with
 */
uint32_t nvmet_cmd_prepare(struct plx_nvmet *c, const struct nvmet_sq *sq,
	const struct nvmet_sqe *e, struct nvmet_cmd *cmd, struct nvmet_ns **ns);
/* A request came back with an error, or is a step. */
void nvmet_cmd_back(struct plx_nvmet *c, struct nvmet_ns *ns, struct nvmet_cmd *cmd);
/* @return a device's error as the host sees it, or 0 */
uint16_t nvmet_status_of(const struct nvmet_ns *ns, const struct plx_blk_req *req);
/* Submit it once more, as another request. */
void nvmet_cmd_again(struct nvmet_ns *ns, struct nvmet_cmd *cmd);
/* Flush a namespace for no I/O command. @return there is something to wait for */
bool nvmet_flush_quiet(struct plx_nvmet *c, struct nvmet_ns *ns);
/* Abort a command that waits for room, or that the device gives back. @return false: it runs on, or
 * there is none */
bool nvmet_cmd_abort(struct plx_nvmet *c, uint16_t sqid, uint16_t cid);
/* A command that nobody waits for any more is back: make it one of those free. */
void nvmet_cmd_drop(struct plx_nvmet *c, struct nvmet_cmd *cmd);
/* Drop what waits for room. */
void nvmet_cmds_drop(struct plx_nvmet *c);

/* ---- nvmet_io.c ---- */
/* Fetch, submit, complete: once for every queue. @return commands fetched + completed */
uint32_t nvmet_io_pass(struct plx_nvmet *c);
void nvmet_ns_submit(struct nvmet_ns *ns, struct plx_blk_req **reqs, uint32_t n);
/* Read a completion queue's head. @return entries free for commands not fetched yet */
uint32_t nvmet_cq_room(struct plx_nvmet *c, struct nvmet_cq *cq);
/* Read a tail doorbell and take its value if it is one. */
void nvmet_sq_rang(struct plx_nvmet *c, struct nvmet_sq *sq);

/* Count a finished request. */
static inline void
nvmet_count(struct nvmet_ns *ns, const struct plx_blk_req *req)
{
	plx_stat_add(&ns->ops[req->op], 1);
	plx_stat_add(&ns->blocks[req->op], req->nblk);
}

static inline struct nvmet_cmd *
nvmet_cmd_alloc(struct plx_nvmet *c)
{
	return c->nfree != 0 ? c->free[--c->nfree] : NULL;
}

static inline void
nvmet_cmd_free(struct plx_nvmet *c, struct nvmet_cmd *cmd)
{
	c->free[c->nfree++] = cmd;
}

/*
 * Post a completion. The caller knows that there is room. The word with the phase goes last:
 * whoever sees it sees the rest (pairs with the host's acquire of the phase).
 */
static inline void
nvmet_post(struct plx_nvmet *c, struct nvmet_sq *sq, uint16_t cid, uint32_t status, uint64_t result)
{
	struct nvmet_cq *cq = sq->cq;
	struct nvmet_cqe *cqe = &cq->mem[cq->tail];
	uint64_t word = sq->head | (uint32_t)sq->id << 16 |
			(uint64_t)(cid | (uint32_t)cq->phase << 16 | status << 17) << 32;

	__atomic_store_n(&cqe->result, rte_cpu_to_le_64(result), __ATOMIC_RELAXED);
	__atomic_store_n(&cqe->tail, rte_cpu_to_le_64(word), __ATOMIC_RELEASE);
	if (unlikely(++cq->tail == cq->size)) {
		cq->tail = 0;
		cq->phase ^= 1;
	}
	if (cq->ien)
		c->fire |= UINT64_C(1) << cq->id;
}
#endif
