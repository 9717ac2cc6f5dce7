/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTBLK_H
#define TESTBLK_H
/**
 * @file
 * plx-testblk inside. opts.c reads the command line, session.c has lcores and attached devices,
 * plan.c makes queues of jobs, run.c sees a run through, run_devs.c its devices; worker.c is the
 * loop that moves data, with walk.h (where to) or load.c (what, too), pace.c (when), verify.c and
 * hist.c; sum.c adds up, sleep.c lets idle lcores sleep; series.c looks on over time; report*.c and
 * live.c tell.
 */
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>

#include <rte_common.h>

#include "plx_blk.h"
#include "plx_probe.h"
#include "plx_reactor.h"

#include "hist.h"
#include "load.h"
#include "opts.h"
#include "pace.h"
#include "replay.h"
#include "verify.h"
#include "verify_meta.h"
#include "verify_state.h"
#include "walk.h"

/** Exit codes. */
enum tb_exit { TB_OK = 0, TB_FAIL = 1, TB_USAGE = 2 };

/** What latencies are told apart. */
enum tb_side {
	TB_READ = 0,  /**< as PLX_OP_READ */
	TB_WRITE = 1, /**< as PLX_OP_WRITE; appends too */
	TB_TRIM,      /**< discards */
	TB_ZEROES,    /**< write zeroes */
	TB_OTHER,     /**< flushes, zone resets */
	TB_BACK,      /**< reads of the verification that follows */
	TB_SIDES
};

#define TB_ERRNOS 160
#define TB_LOG2S 17 /**< powers of two that a burst or a depth may have */

/** Counters of a queue; of a device, the sum over its queues. Times in TSC cycles; of those of a
 * sum, begin and end are the longest of its parts. */
struct tb_counts {
	uint64_t submitted; /**< accepted by the queue */
	uint64_t returned;  /**< given back; of these */
	uint64_t failed;    /**< with an error */
	uint64_t cancelled; /**< with -ECANCELED */
	uint64_t retired;   /**< with an error, and the device may still reach the buffer */
	uint64_t polls, empty_polls;
	uint64_t
		lent_calls[TB_LOG2S]; /**< submits, by the power of two that holds what was taken */
	uint64_t got_calls[TB_LOG2S]; /**< polls, likewise */
	uint64_t depth[TB_LOG2S];     /**< I/Os, by the largest power of two of those in flight */
	uint64_t t_poll;              /**< in polls that gave something */
	uint64_t t_empty;             /**< in polls that gave nothing */
	uint64_t t_submit;            /**< in submits */
	uint64_t t_work;     /**< from the end of a poll to the end of the submit after it */
	uint64_t begin, end; /**< of the run: first submit, last completion */
	uint64_t back_begin, back_end; /**< of reading back */
};

/** All that is measured. Large: never on a stack. */
struct tb_sum {
	struct tb_counts c;
	struct tb_mismatch bad;
	uint64_t skipped;             /**< blocks not verified: a write to them failed */
	uint64_t errs[TB_ERRNOS];     /**< failed by errno, 0: any other */
	struct tb_hist lat[TB_SIDES]; /**< latency of what succeeded, cycles */
	uint64_t moved[TB_SIDES];     /**< bytes, where I/Os are of several sizes; else 0 */
};

/** What came back in an interval. */
struct tb_point {
	double seconds; /**< its end, since the run began */
	struct {
		uint64_t ios, cycles; /**< without error; the sum of their latencies */
	} side[TB_SIDES];
};

/** How a job went over time. */
struct tb_series {
	struct tb_point *at;
	uint32_t n, room;
	uint64_t turns;       /**< intervals that have passed */
	struct tb_point last; /**< all until then */
};

/** Rates of whole intervals. */
struct tb_spread {
	double min, max, mean, stddev;
	uint32_t n;
};

enum tb_phase {
	TB_RUN = 0,
	TB_READBACK,
	TB_DONE,
};

/** A write that came back, and is not on stable media yet. */
struct tb_written {
	uint64_t unit; /**< of the state */
	uint32_t gen;
};

/** Flushes of a queue by --fsync; flush.c. */
struct tb_flush {
	uint32_t every;           /**< writes; 0: never */
	uint32_t since;           /**< writes that came back since the last was lent */
	struct plx_blk_req *lent; /**< the one that is, or NULL */
	uint32_t n, room, covers;
	struct tb_written *list; /**< of n; the first ones are covered by that; NULL: no state */
};

struct tb_queue;
/** One turn of a queue: poll, account, submit, a few times. @return 0: nothing came back or went */
typedef int (*tb_turn)(struct tb_queue *q);

/** A queue and its I/Os; belongs to its lcore while the job runs. */
struct tb_queue {
	struct plx_blkq *bq;
	tb_turn turn;
	uint64_t deadline;   /**< TSC, UINT64_MAX: none; before the first turn: cycles from then */
	uint64_t left;       /**< units to submit in this phase, UINT64_MAX: no end */
	uint64_t base;       /**< block where this queue's range begins */
	uint32_t nblk;       /**< blocks a unit */
	uint64_t read_below; /**< mixed: read when 32 random bits are below, up to 2^32 */
	struct tb_walk walk;
	struct plx_blk_req **burst; /**< batch pointers */
	uint16_t batch, qd;
	bool halt;   /**< submit no more: the device is gone */
	bool paused; /**< nor for now; set by the main lcore */
	uint8_t op;  /**< when not mixed */
	bool mixed;

	/* what the fast turn never meets */
	struct tb_load *load;         /**< what comes next; NULL: walk, op and mixed say it */
	struct tb_pace *pace;         /**< when; NULL: at once */
	struct plx_blkq *bq_to;       /**< copy: of the device that is written to */
	struct plx_blk_req **pend_to; /**< read, and not accepted there yet */
	uint16_t npend_to;
	uint64_t after_ramp;          /**< the deadline then; 0: that is over, or there is none */
	bool null;                    /**< TB_MODE_NULL */
	bool held;                    /**< not begun yet; set by the main lcore */
	struct plx_blkr_share *share; /**< hop: what bq is a user's queue of; */
	struct tb_worker *owner;      /**< who works the device's */
	enum tb_phase phase;
	bool done;             /**< nothing is done on its lcore any more; read by the main lcore */
	uint16_t nidle, npend; /**< entries of idle and pend */
	struct plx_blk_req **idle; /**< not prepared */
	struct plx_blk_req **pend; /**< prepared, not accepted yet */
	struct plx_blk_req *reqs;
	uint8_t *data;           /**< qd buffers, */
	uint32_t stride;         /**< so far apart */
	uint64_t draining_since; /**< TSC, or of the last completion since; 0: not draining */
	bool lost;               /**< draining came to no end */
	bool looks;              /**< verify, or metadata moves: verify_queue.c sees each I/O */
	bool verify;
	struct tb_verify v;
	struct tb_meta meta;
	bool fua; /**< of writes */
	struct tb_flush flush;
	struct tb_state *state; /**< the task's, or NULL */
	uint64_t state_at;      /**< this queue's first unit there */
	bool stable_at_once;    /**< a write that came back is on stable media */
	bool only_reads_back;   /**< there is no other phase */
	uint32_t *gen;     /**< by unit, see verify_queue.c; NULL: nothing is written or verified */
	uint64_t back_pos; /**< next unit to read back */

	struct tb_worker *worker;
	struct plx_poller *poller;
	struct plx_poller *poller_to; /**< for its sleep: of bq_to, or NULL */
	bool armed, armed_to;         /**< the interrupts of bq and bq_to */
	struct tb_task *task;
	uint16_t qid; /**< of the task; of the device: + task->first_qid */
	struct tb_sum *sum;
} __rte_cache_aligned;

/** An attached block device. */
struct tb_dev {
	struct tb_dev *next;
	char *str; /**< its device string */
	struct plx_dev *attachment;
	struct plx_blk *blk; /**< while a run has it open */
	struct plx_blk_info info;
	uint32_t index; /**< in order of attachment: in the tags of its blocks */
	bool writable, removed;
	bool looked_at;               /**< what is on it may be overwritten */
	bool detached;                /**< while a run worked on it: kept for the report */
	uint16_t nq;                  /**< queues that the run has on it */
	struct plx_blk_stats stats;   /**< of the run; before its end, when it began */
	struct plx_blk_stats cleared; /**< when the shell was told to count anew */
};

/** What a job does on one device. */
struct tb_task {
	struct tb_job *job;
	struct tb_dev *dev;
	uint32_t clone;          /**< of the job: which */
	uint64_t first, nblocks; /**< the range that is worked on */
	struct tb_queue *queues;
	uint16_t nq, first_qid;
	struct tb_dev *to; /**< copy: written to, with as many queues; else NULL */
	uint16_t to_first_qid;
	struct tb_state *state;   /**< or NULL */
	struct tb_replay_io *ios; /**< its part of the job's trace */
	uint64_t nios;
};

/** Work of one kind on one or several devices. */
struct tb_job {
	struct tb_opts opts;
	struct tb_run *run;
	struct tb_task *tasks;
	uint32_t ntask;
	struct tb_sum *total; /**< when the run has ended */
	struct tb_trace trace;
	struct tb_rate *lcore_rates; /**< by worker, or NULL */
	struct tb_series series;
	bool held;              /**< waits for other jobs, or its time */
	uint32_t clone, clones; /**< of --numjobs: the first that it is, and how many */
};

/** An lcore with a reactor. */
struct tb_worker {
	unsigned int lcore;
	bool main; /**< also drives the control plane, and outlasts the others */
	bool launched;
	struct plx_reactor *reactor;
	uint32_t planned; /**< queues of the run that are to run here */
	uint32_t active;  /**< queues here that are not done yet; read by the main lcore */
};

/** Jobs that run together, from start to report. */
struct tb_run {
	struct tb_session *session;
	struct tb_job *jobs;
	uint32_t njob;
	double hz;              /**< TSC */
	uint64_t begun, ended;  /**< TSC */
	struct rusage usage[2]; /**< of the process, then */
};

/** Devices and lcores, for one run or many. */
struct tb_session {
	struct tb_dev *devs;
	uint32_t attached;         /**< so far: the index of the next */
	struct tb_worker *workers; /**< the main lcore's is the last */
	uint32_t nworker;
	struct plx_reactor *resting; /**< of the main lcore while there is no run: it sleeps */
	struct tb_run *run;          /**< the one under way, or NULL */
	double hz;
	bool told; /**< of an event; for a shell to show its prompt again */
	bool quit;
};

#define TB_DRAWS 8 /**< random addresses tried for one that is not in flight */

/** A signal asked to end. */
extern volatile sig_atomic_t tb_interrupted;
/** The run is to end: by that, or a command; the workers look at it. */
extern volatile sig_atomic_t tb_stop;

/* Each returns an enum tb_exit, and prints one line when that isn't TB_OK. */
/* session.c */
/** A reactor for each lcore of EAL. */
int tb_session_init(struct tb_session *s);
/** Give the lcores, none of which runs, this policy. @return enum tb_exit */
int tb_session_idle(struct tb_session *s, enum plx_reactor_idle idle);
/** Detach everything and free. */
int tb_session_fini(struct tb_session *s);
/** Attach a device, or a controller with its namespaces. */
int tb_session_attach(struct tb_session *s, const char *str);
/** Detach what an attachment of this name, or a device of it, belongs to; also under load. */
int tb_session_detach(struct tb_session *s, const char *name);
/** Forget devices that were detached under load. */
void tb_session_purge(struct tb_session *s);
/** @return the device of that name, or NULL */
struct tb_dev *tb_session_dev(const struct tb_session *s, const char *name);
/** Tell of what happened to devices. */
void tb_session_events(struct tb_session *s);

/* plan.c */
/** Give the job its tasks: one on each device, which are checked for what is asked. */
int tb_job_plan(struct tb_job *job);
/** Its queues, dealt out over lcores, with their memory. The devices are open. */
int tb_job_queues(struct tb_job *job);
void tb_job_free(struct tb_job *job);

/* run.c */
/** Begin a run of n jobs on all that is attached; nothing is left behind when that fails. */
int tb_run_start(struct tb_session *s, const struct tb_opts *opts, uint32_t n);
/** Drive the session on the main lcore until its run has ended, or wake() is true, which is asked
 * every millisecond, or fifty times a second while there is no run. */
void tb_run_drive(struct tb_session *s, int (*wake)(void *arg), void *arg);
/** Take a device away from the run: its I/Os end, those in flight cancelled. */
int tb_run_drop_dev(struct tb_run *run, struct tb_dev *d);
/** @return whether all queues of the run are done */
bool tb_run_over(const struct tb_run *run);
/** Stop the devices of a run that is over and add up; then reports can be made. */
int tb_run_end(struct tb_run *run);
void tb_run_free(struct tb_run *run);
/** @return TB_FAIL when an I/O or the verification failed, or the account doesn't balance */
int tb_job_verdict(const struct tb_job *job);

/* run_devs.c */
/** Open the devices that the run has queues on. */
int tb_devs_open(struct tb_session *s);
/** Let them reach the buffers, give them their queues, and start them. */
int tb_devs_start(struct tb_run *run);
/** Stop one: what it never finished is taken back. */
int tb_dev_stop(struct tb_dev *d);
/** Take its counters since the run began. */
void tb_dev_count(struct tb_dev *d);
/** Close them; their queues keep their figures. */
int tb_devs_close(struct tb_session *s);

/* zoned.c */
/** Learn the capacities of the zones that a task appends to; its device is started. */
int tb_zones_fetch(struct tb_task *task);

/* worker.c */
/** Choose the turn and begin; the reactor's poller is tb_queue_poll. */
void tb_queue_init(struct tb_queue *q);
int tb_queue_poll(void *queue);
/** Nothing of it is done any more on w, which stops when that was its last. */
void tb_queue_done(struct tb_queue *q, struct tb_worker *w);
/** After plx_blk_stop(): collect what is left. */
void tb_queue_collect(struct tb_queue *q);

/* sleep.c */
/** Let the reactor of a queue that was added to it sleep as its policy says. @return enum tb_exit,
 * after one line when not TB_OK */
int tb_sleep_open(struct tb_queue *q);
/** Take the queue from its reactor; on its lcore, or when that doesn't run. */
void tb_sleep_close(struct tb_queue *q);

/* verify_plan.c: what is verified; each @return an enum tb_exit, after one line */
/** Take from the file of a state what the options leave open. */
int tb_verify_opts(struct tb_opts *o);
/** Open the task's state. Its range is known. */
int tb_verify_task(struct tb_task *t);
/** Ready a queue, whose range is known. */
int tb_verify_queue(struct tb_queue *q);
void tb_verify_queue_free(struct tb_queue *q);

/* flush.c */
/** listed: what was written is told to the state. @return 0, or -1: no memory */
int tb_flush_alloc(struct tb_queue *q, uint32_t every, bool listed);
/** @return whether to submit one now; whether writes must wait for one */
bool tb_flush_due(const struct tb_queue *q);
bool tb_flush_holds(const struct tb_queue *q);
/** Make an idle request one; or take that back: it will not be submitted. */
void tb_flush_lend(struct tb_queue *q, struct plx_blk_req *req);
void tb_flush_unlend(struct tb_queue *q);
/** It came back; its request is one for data again. */
void tb_flush_back(struct tb_queue *q);
/** A write came back without error: it is stable when the next flush is done. */
void tb_flush_wrote(struct tb_queue *q, uint64_t unit, uint32_t gen);

/* verify_queue.c: of queues with .looks */
#define TB_GEN_BUSY (1u << 31)    /**< of tb_queue.gen: in flight: nothing else may go there */
#define TB_GEN_UNKNOWN (1u << 30) /**< an earlier generation may be there instead */
#define TB_GEN_MASK (TB_GEN_UNKNOWN - 1)
/** @return whether nothing in flight touches the unit */
bool tb_data_idle(const struct tb_queue *q, uint64_t unit);
/** The next unit to read back, of a queue with .gen. @return false: there are no more */
bool tb_data_readback(struct tb_queue *q, uint64_t *unit);
/** Fill an I/O's buffers, before it is submitted; or take that back: it will not be. */
void tb_data_lend(struct tb_queue *q, struct plx_blk_req *req);
void tb_data_unlend(struct tb_queue *q, const struct plx_blk_req *req);
/** Before what was lent is submitted. */
void tb_data_commit(const struct tb_queue *q);
/** What a finished I/O means for the data that is known to be on the device. */
void tb_data_back(struct tb_queue *q, const struct plx_blk_req *req, uint64_t now);

/* hop.c */
/** Make q->bq, the device's queue, one that q->owner works and q is a user of. No reactor runs. */
int tb_hop_open(struct tb_queue *q);
/** Its user is done: let the owner end it, which then is tb_queue_done(). @return false: not now,
 * try again */
bool tb_hop_end(struct tb_queue *q);
/** tb_queue_collect() of what was lost, and the end of its share; no reactor runs. */
void tb_hop_collect(struct tb_queue *q);

/* sum.c */
/** @return an empty one, or NULL after one line */
struct tb_sum *tb_sum_alloc(void);
void tb_sum_merge(struct tb_sum *dst, const struct tb_sum *src);
/** @return the sum of a task's, or of all queues, for free(); NULL after one line */
struct tb_sum *tb_sum_task(const struct tb_task *task);
struct tb_sum *tb_sum_job(const struct tb_job *job);
/** @return bytes of an I/O of a side, in the mean; bs: of each, unless they are of several sizes */
double tb_sum_bytes(const struct tb_sum *s, unsigned int side, uint32_t bs);
/** @return what a side is called */
const char *tb_side_name(unsigned int side);
/** @return whether everything that was accepted came back, once */
bool tb_sum_balances(const struct tb_sum *s);
/** @return whether all that was written was also read back; true without --verify */
bool tb_verified_all(const struct tb_job *job);

/* series.c */
/** Look at the jobs whose interval has passed; often. */
void tb_series_poll(struct tb_run *run);
/** Take what came after the last interval. */
void tb_series_end(struct tb_run *run);
/** I/Os a second of one side. */
void tb_series_spread(
	const struct tb_series *s, unsigned int side, double interval, struct tb_spread *out);

/* live.c: the line of each second on a terminal */
struct tb_live *tb_live_create(const struct tb_run *run);
int tb_live_poll(void *live);
void tb_live_destroy(struct tb_live *live);

/** Figures derived from a tb_sum, for both reports. */
struct tb_side_figures {
	uint64_t ios;
	double iops, mib_s;
	double mean, p50, p99, p999, p9999, max; /**< latency, us */
};
struct tb_figures {
	struct tb_side_figures side[TB_SIDES];
	uint64_t completed; /**< without error, all sides */
	double seconds, back_seconds;
	double submit_ns, complete_ns, self_ns; /**< an I/O */
	double cycles;                          /**< TSC, an I/O: the three together */
	double mean_submit, mean_poll;          /**< I/Os a submit; a poll that gave some */
	double empty_share;                     /**< of polls */
};
void tb_figures(struct tb_figures *f, const struct tb_sum *s, uint32_t bs, double hz);
/** @return the name of the device that a tag names by its index, "" for one that is gone */
const char *tb_job_dev_name(const struct tb_job *job, uint32_t index);
/** @return "EIO"; "other" for 0 */
const char *tb_errno_name(unsigned int err);

/* report.c, report_json.c, report_log.c: each @return TB_OK, or TB_FAIL after one line */
/** All that was asked for, when a run has ended. rc: its enum tb_exit so far; json: where that
 * goes, or NULL: where the options say. @return rc, or what is worse */
int tb_report(const struct tb_run *run, FILE *json, int rc);
void tb_report_text(const struct tb_job *job, FILE *out);
int tb_report_json(const struct tb_run *run, FILE *out, int exit_code);
/** Time series, for --log */
int tb_report_logs(const struct tb_job *job, uint32_t index);
/** Percentile distributions, for --hist */
int tb_report_hists(const struct tb_job *job, uint32_t index);

#endif
