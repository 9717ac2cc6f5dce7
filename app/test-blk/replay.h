/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TB_REPLAY_H
#define TB_REPLAY_H
/**
 * @file
 * Traces to be run again: fio's iolog (versions 2 and 3) and what blktrace(8) records. Files are
 * foreign: whatever is in them, the answer is a trace or one line that says where it is wrong.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tb_opts;
struct tb_queue;
struct tb_task;
struct plx_blk_req;

/** An I/O of a trace. */
struct tb_trace_io {
	uint64_t due_ns; /**< since the trace began */
	uint64_t offset; /**< bytes */
	uint32_t bytes;
	uint16_t file; /**< which of the trace's */
	uint8_t op;    /**< PLX_OP_READ, WRITE, DISCARD, FLUSH */
};

#define TB_TRACE_FILES 64
#define TB_TRACE_NAME 256

struct tb_trace {
	struct tb_trace_io *ios;
	size_t n, room;
	char file[TB_TRACE_FILES][TB_TRACE_NAME]; /**< names; of blktrace "major:minor" */
	uint16_t nfiles;
};

/** Read one or several files with ':' between, in the order of time, as --replay_skip, _scale and
 * _align want it. @return enum tb_exit, after one line when not TB_OK; tb_trace_free() in any case
 */
int tb_trace_load(struct tb_trace *t, const struct tb_opts *o);
void tb_trace_free(struct tb_trace *t);

/** Parse len bytes of a file, which is what `path` stands for in messages.
 * @return 0, or -EINVAL or -ENOMEM after one line */
int tb_iolog_parse(struct tb_trace *t, const char *path, char *text, size_t len);
int tb_blktrace_parse(struct tb_trace *t, const char *path, const uint8_t *bytes, size_t len);
/** Append one. @return 0 or -ENOMEM */
int tb_trace_add(struct tb_trace *t, const struct tb_trace_io *io);
/** @return the file of that name, a new one if need be; -1: there are too many */
int tb_trace_file(struct tb_trace *t, const char *name);

/** An I/O of one device's part of a trace, in its own blocks. */
struct tb_replay_io {
	uint64_t lba, due; /**< due: cycles */
	uint32_t nblk;
	uint8_t op;
};

/** Give a task its part of the job's trace: task->ios; and what the job does, in job->opts.
 * @return enum tb_exit, after one line when not TB_OK */
int tb_replay_plan(struct tb_task *task);
/** tb_load.next */
bool tb_replay_next(struct tb_queue *q, struct plx_blk_req *req);

#endif
