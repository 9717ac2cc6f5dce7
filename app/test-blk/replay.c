/* SPDX-License-Identifier: BSD-3-Clause */
/* Traces: from files, by time, to the devices of a job. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "replay.h"
#include "testblk.h"

/* ---- a trace ---- */

int
tb_trace_add(struct tb_trace *t, const struct tb_trace_io *io)
{
	if (t->n == t->room) {
		size_t room = t->room == 0 ? 1024 : 2 * t->room;
		struct tb_trace_io *more = realloc(t->ios, room * sizeof(*more));

		if (more == NULL) {
			tb_say("out of memory");
			return -ENOMEM;
		}
		t->ios = more;
		t->room = room;
	}
	t->ios[t->n++] = *io;
	return 0;
}

int
tb_trace_file(struct tb_trace *t, const char *name)
{
	uint16_t i;

	for (i = 0; i < t->nfiles; i++)
		if (strcmp(t->file[i], name) == 0)
			return i;
	if (i == TB_TRACE_FILES || strlen(name) >= TB_TRACE_NAME)
		return -1;
	strcpy(t->file[t->nfiles++], name);
	return i;
}

void
tb_trace_free(struct tb_trace *t)
{
	free(t->ios);
	t->ios = NULL;
}

/* ---- files ---- */

static char *
read_all(FILE *f, size_t *len)
{
	size_t room = 1 << 16, n;
	char *buf = malloc(room), *more;

	for (*len = 0; buf != NULL; buf = more) {
		n = fread(buf + *len, 1, room - *len, f);
		*len += n;
		if (n == 0)
			return buf;
		if (*len < room) {
			more = buf;
			continue;
		}
		room *= 2;
		more = realloc(buf, room);
		if (more == NULL)
			free(buf);
	}
	return NULL;
}

static int
load_file(struct tb_trace *t, const char *path)
{
	FILE *f = fopen(path, "rb");
	char *text;
	size_t len;
	int rc;

	if (f == NULL) {
		tb_say("--read_iolog %s: %s", path, strerror(errno));
		return TB_USAGE;
	}
	text = read_all(f, &len);
	if (text == NULL) {
		tb_say("%s: out of memory", path);
		rc = TB_FAIL;
	} else if (ferror(f)) {
		tb_say("%s: %s", path, strerror(errno));
		rc = TB_USAGE;
	} else if (len >= 4 && strncmp(text, "fio ", 4) == 0) {
		rc = tb_iolog_parse(t, path, text, len) == 0 ? TB_OK : TB_USAGE;
	} else {
		rc = tb_blktrace_parse(t, path, (const uint8_t *)text, len) == 0 ? TB_OK : TB_USAGE;
	}
	free(text);
	fclose(f);
	return rc;
}

/* A merge that keeps the order of what has the same time. */
static void
sort(struct tb_trace_io *v, struct tb_trace_io *tmp, size_t n)
{
	size_t half = n / 2, a = 0, b = half, k = 0;

	if (n < 2)
		return;
	sort(v, tmp, half);
	sort(v + half, tmp, n - half);
	while (a < half && b < n)
		tmp[k++] = v[b].due_ns < v[a].due_ns ? v[b++] : v[a++];
	while (a < half)
		tmp[k++] = v[a++];
	memcpy(v, tmp, k * sizeof(*v)); /* what is left of the second half stands there already */
}

/* Leave out what is not wanted, move what is, and count time from the first on. */
static void
shape(struct tb_trace *t, const struct tb_opts *o, bool from_first)
{
	uint64_t first = t->n == 0 || !from_first ? 0 : t->ios[0].due_ns;
	size_t kept = 0;

	for (size_t i = 0; i < t->n; i++) {
		struct tb_trace_io io = t->ios[i];

		if (o->replay_skip & 1u << io.op)
			continue;
		io.offset /= o->replay_scale;
		io.offset -= io.offset % o->replay_align;
		io.due_ns = (uint64_t)((double)(io.due_ns - first) * 100 / o->replay_time_scale);
		t->ios[kept++] = io;
	}
	t->n = kept;
}

int
tb_trace_load(struct tb_trace *t, const struct tb_opts *o)
{
	char *paths = strdup(o->iolog), *save;
	struct tb_trace_io *tmp;
	int rc = paths == NULL ? TB_FAIL : TB_OK;
	bool iolog;

	memset(t, 0, sizeof(*t));
	for (char *p = paths == NULL ? NULL : strtok_r(paths, ":", &save); rc == TB_OK && p != NULL;
		p = strtok_r(NULL, ":", &save))
		rc = load_file(t, p);
	free(paths);
	if (rc != TB_OK)
		return rc;
	/* iologs count from the begin of their run, blktrace from some time before */
	iolog = t->nfiles != 0 && strchr(t->file[0], '/') != NULL;
	tmp = malloc((t->n + 1) * sizeof(*tmp));
	if (tmp == NULL) {
		tb_say("out of memory");
		return TB_FAIL;
	}
	sort(t->ios, tmp, t->n);
	free(tmp);
	shape(t, o, !iolog);
	if (t->n != 0)
		return TB_OK;
	tb_say("--read_iolog %s: there is no I/O in it", o->iolog);
	return TB_USAGE;
}

/* ---- a task's part ---- */

/* Which task's device a file of the trace is: that of its name, else by its place. NULL: none. */
static const struct tb_task *
task_of(const struct tb_job *job, uint16_t file)
{
	const char *name = job->opts.replay_redirect;

	if (name == NULL)
		name = job->trace.file[file];
	for (uint32_t i = 0; i < job->ntask; i++)
		if (strcmp(job->tasks[i].dev->info.name, name) == 0)
			return &job->tasks[i];
	return job->opts.replay_redirect == NULL && file < job->ntask ? &job->tasks[file] : NULL;
}

static int
check_files(const struct tb_job *job)
{
	for (uint16_t f = 0; f < job->trace.nfiles; f++) {
		if (task_of(job, f) != NULL)
			continue;
		if (job->opts.replay_redirect != NULL)
			tb_say("--replay_redirect %s: no device of that name is attached",
				job->opts.replay_redirect);
		else
			tb_say("%s: '%s' is the %u. device of this trace: attach as many, or say "
			       "--replay_redirect",
				job->opts.iolog, job->trace.file[f], f + 1u);
		return TB_USAGE;
	}
	return TB_OK;
}

static int
translate(struct tb_task *t, const struct tb_trace_io *io, size_t index)
{
	const struct plx_blk_info *i = &t->dev->info;
	uint32_t bsz = i->block_size;

	if (io->offset % bsz != 0 || io->bytes % bsz != 0) {
		tb_say("%s: I/O %zu, %" PRIu32 " bytes at %" PRIu64
		       ": not in blocks of %s, of %" PRIu32 " bytes; --replay_align moves it",
			t->job->opts.iolog, index + 1, io->bytes, io->offset, i->name, bsz);
		return TB_USAGE;
	}
	if (io->offset / bsz + io->bytes / bsz > i->nblocks) {
		tb_say("%s: I/O %zu, %" PRIu32 " bytes at %" PRIu64
		       ": beyond the end of %s, at %" PRIu64
		       " bytes; --replay_scale shrinks offsets",
			t->job->opts.iolog, index + 1, io->bytes, io->offset, i->name,
			i->nblocks * bsz);
		return TB_USAGE;
	}
	t->ios[t->nios++] = (struct tb_replay_io){.lba = io->offset / bsz,
		.nblk = io->bytes / bsz,
		.op = io->op,
		.due = (uint64_t)((double)io->due_ns * t->job->run->hz * 1e-9)};
	return TB_OK;
}

int
tb_replay_plan(struct tb_task *t)
{
	struct tb_job *job = t->job;
	struct tb_opts *o = &job->opts;
	const struct tb_trace *trace = &job->trace;
	int rc = check_files(job);

	if (rc != TB_OK)
		return rc;
	t->ios = calloc(trace->n, sizeof(*t->ios));
	if (t->ios == NULL) {
		tb_say("out of memory");
		return TB_FAIL;
	}
	for (size_t i = 0; rc == TB_OK && i < trace->n; i++) {
		const struct tb_trace_io *io = &trace->ios[i];

		if (task_of(job, io->file) != t)
			continue;
		rc = translate(t, io, i);
		o->ops |= 1u << io->op;
		o->writes |= io->op == PLX_OP_WRITE || io->op == PLX_OP_DISCARD;
		o->reads |= io->op == PLX_OP_READ;
		if (io->op != PLX_OP_DISCARD)
			o->bs = RTE_MAX(o->bs, io->bytes);
	}
	return rc;
}

bool
tb_replay_next(struct tb_queue *q, struct plx_blk_req *req)
{
	struct tb_load *l = q->load;
	const struct tb_replay_io *io = &l->ios[l->at++];

	req->op = io->op;
	req->lba = io->lba;
	req->nblk = io->nblk;
	if (q->pace->due != NULL)
		q->pace->due[req - q->reqs] = io->due;
	tb_load_took(q, io->nblk);
	return true;
}
