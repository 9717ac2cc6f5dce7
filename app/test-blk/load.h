/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TB_LOAD_H
#define TB_LOAD_H
/**
 * @file
 * Workloads that the fast turn doesn't know: what the next I/O of a queue is, from mixes of
 * operations and sizes, distributions, zones or a trace; and what follows from one that came back.
 */
#include <stdbool.h>
#include <stdint.h>

#include "bssplit.h"
#include "dist.h"

struct tb_opts;
struct tb_queue;
struct tb_replay_io;
struct plx_blk_req;

#define TB_LOAD_OPS 5

/** What a job does. */
enum tb_mode {
	TB_MODE_PLAIN = 0, /**< reads, writes, or a mix of operations */
	TB_MODE_TRIMWRITE, /**< each trim is followed by a write to the same blocks */
	TB_MODE_APPEND,    /**< zones are reset and filled by appends */
	TB_MODE_COPY,      /**< what is read is written to another device */
	TB_MODE_NULL,      /**< the same requests over and over, and no latencies */
	TB_MODE_REPLAY,    /**< a trace */
};

/** A zone that is appended to. */
struct tb_zone {
	uint64_t lba, capacity;
	uint32_t inflight; /**< appends */
};

struct tb_load {
	/** The next I/O, in req; q->left goes down. @return false: none now */
	bool (*next)(struct tb_queue *q, struct plx_blk_req *req);
	/** One came back. NULL: nothing follows. @return whether it goes on, and was put to those
	 * that wait for a submit */
	bool (*back)(struct tb_queue *q, struct plx_blk_req *req);

	/* mixes */
	uint8_t op[TB_LOAD_OPS], nop;
	uint32_t op_upto[TB_LOAD_OPS];  /**< as tb_sizes.upto */
	struct tb_sizes sizes[TB_DIRS]; /**< in units */
	struct tb_dist dist[TB_DIRS];   /**< of random addresses */
	uint64_t left_blocks;           /**< UINT64_MAX: no end */

	/* append */
	struct tb_zone *zones;
	uint32_t nzones, zone; /**< the one that is filled now, */
	uint64_t zone_used;    /**< and blocks of it that are */
	bool zone_ready, resetting, once;

	/* replay */
	const struct tb_replay_io *ios;
	uint64_t at;
};

/** Does this job need a tb_load? Else q->walk, q->op and q->mixed say all. */
bool tb_load_needed(const struct tb_opts *o);
/** Make a queue's; its range and walk are set. zones: of its range, for append; they are the
 * load's from then on, also when it fails. @return 0 or -ENOMEM */
int tb_load_create(
	struct tb_queue *q, const struct tb_opts *o, struct tb_zone *zones, uint32_t nzones);
void tb_load_free(struct tb_load *l);

/** Which limits and statistics an operation belongs to: of PLX_OP_*. */
enum tb_dir tb_dir_of(uint8_t op);

/** An I/O of so many blocks is on its way: count it down. */
void tb_load_took(struct tb_queue *q, uint32_t nblk);

/* zoned.c: next and back of append */
bool tb_append_next(struct tb_queue *q, struct plx_blk_req *req);
bool tb_append_back(struct tb_queue *q, struct plx_blk_req *req);
/** @return whether an append says that it went to a place outside of its zone */
bool tb_append_misplaced(const struct tb_queue *q, const struct plx_blk_req *req);

#endif
