/* SPDX-License-Identifier: BSD-3-Clause */
/* The engine as fio calls it: set up on fio's main thread, then a job on its own. */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <fio.h>
#include <optgroup.h>

#include "engine.h"
#include "plx_ctrl.h"
#include "plx_mem.h"

#define CTRL_POLLS 256 /* polls between two looks at the control plane */

/* A file of a job: a queue of a device. */
struct unit {
	struct eng_dev *dev;
	struct plx_blkq *q;
	struct plx_blk_req **pend; /* queued by fio, not taken by the device yet */
	uint16_t npend;
	uint32_t block_size;
};

struct job {
	struct plx_blk_req *reqs; /* one for each io_u, by its index */
	struct io_u **done;       /* given back by the last getevents() */
	struct unit *units;
	unsigned int nunit;
	unsigned int polls;
	bool dirty; /* a device may still reach the memory */
};

struct options {
	void *pad; /* fio's */
	char *eal;
};

static struct fio_option options[] = {
	{
		.name = "eal",
		.lname = "EAL options",
		.type = FIO_OPT_STR_STORE,
		.off1 = offsetof(struct options, eal),
		.help = "Options of DPDK's EAL, between blanks; those of the first job count",
		.category = FIO_OPT_C_ENGINE,
		.group = FIO_OPT_G_INVALID,
	},
	{.name = NULL},
};

void
eng_say(const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	log_err("plx-fio: %s\n", text);
}

static int
out_of_memory(void)
{
	eng_say("out of memory");
	return 1;
}

/* ---- before the run ---- */

static int
setup_file(struct thread_data *td, struct fio_file *f, struct unit *u)
{
	const struct plx_blk_info *info;

	u->dev = eng_dev_get(f->file_name, td->o.iodepth, td_write(td) || td_trim(td));
	if (u->dev == NULL)
		return 1;
	info = eng_dev_info(u->dev);
	u->block_size = info->block_size;
	u->pend = calloc(td->o.iodepth, sizeof(struct plx_blk_req *));
	f->real_file_size = info->nblocks * info->block_size;
	f->filetype = FIO_TYPE_BLOCK;
	fio_file_set_size_known(f);
	FILE_SET_ENG_DATA(f, u);
	return u->pend == NULL ? out_of_memory() : 0;
}

static int
plx_setup(struct thread_data *td)
{
	const struct options *eo = td->eo;
	struct fio_file *f;
	struct job *job;
	unsigned int i;

	if (!td->o.use_thread || !td->o.create_serialize) {
		eng_say("jobs share devices, so they are threads that are set up in turn: say "
			"thread=1, and leave create_serialize on");
		return 1;
	}
	if (eng_start(eo->eal) != 0)
		return 1;
	job = calloc(1, sizeof(*job));
	if (job == NULL)
		return out_of_memory();
	td->io_ops_data = job;
	job->reqs = aligned_alloc(64, td->o.iodepth * sizeof(*job->reqs));
	job->done = calloc(td->o.iodepth, sizeof(struct io_u *));
	job->units = calloc(td->o.nr_files, sizeof(*job->units));
	if (job->reqs == NULL || job->done == NULL || job->units == NULL)
		return out_of_memory();
	for_each_file(td, f, i) if (job->nunit == td->o.nr_files ||
				    setup_file(td, f, &job->units[job->nunit++])) return 1;
	return 0;
}

static int
plx_init(struct thread_data *td)
{
	struct job *job = td->io_ops_data;

	if (job == NULL)
		return 1;
	for (unsigned int i = 0; i < job->nunit; i++) {
		job->units[i].q = eng_queue_get(job->units[i].dev);
		if (job->units[i].q == NULL)
			return 1;
	}
	return 0;
}

static void
plx_cleanup(struct thread_data *td)
{
	struct job *job = td->io_ops_data;

	for (unsigned int i = 0; job != NULL && i < job->nunit; i++) {
		struct unit *u = &job->units[i];

		if (u->q != NULL)
			eng_queue_put(u->dev, u->q);
		if (u->dev != NULL)
			eng_dev_put(u->dev);
		free(u->pend);
	}
	if (job != NULL) {
		free(job->units);
		free(job->done);
		free(job->reqs);
	}
	free(job);
}

/* Data in memory that devices reach: nothing is copied. */
static int
plx_iomem_alloc(struct thread_data *td, size_t total)
{
	td->orig_buffer = plx_mem_alloc(total, 4096, -1);
	if (td->orig_buffer == NULL) {
		eng_say("no memory for %zu bytes of data; give more with eal=-m MIB", total);
		return 1;
	}
	eng_sync_memory();
	return 0;
}

static void
plx_iomem_free(struct thread_data *td)
{
	const struct job *job = td->io_ops_data;

	if (!job->dirty)
		plx_mem_free(td->orig_buffer);
}

static int
plx_io_u_init(struct thread_data *td, struct io_u *io_u)
{
	struct job *job = td->io_ops_data;

	io_u->engine_data = &job->reqs[io_u->index];
	return 0;
}

/* ---- I/O ---- */

static int
operation(const struct io_u *io_u)
{
	switch (io_u->ddir) {
	case DDIR_READ:
		return PLX_OP_READ;
	case DDIR_WRITE:
		return PLX_OP_WRITE;
	case DDIR_TRIM:
		return PLX_OP_DISCARD;
	case DDIR_SYNC:
	case DDIR_DATASYNC:
		return PLX_OP_FLUSH;
	default:
		return -EOPNOTSUPP;
	}
}

static enum fio_q_status
refuse(struct io_u *io_u, int err)
{
	io_u->error = (unsigned int)err;
	return FIO_Q_COMPLETED;
}

static enum fio_q_status
plx_queue(struct thread_data *td, struct io_u *io_u)
{
	struct unit *u = FILE_ENG_DATA(io_u->file);
	struct plx_blk_req *req = io_u->engine_data;
	int op = operation(io_u);

	if (op < 0)
		return refuse(io_u, -op);
	*req = (struct plx_blk_req){.op = (uint8_t)op, .user = io_u};
	if (op != PLX_OP_FLUSH) {
		if (io_u->offset % u->block_size != 0 || io_u->xfer_buflen % u->block_size != 0 ||
			io_u->xfer_buflen / u->block_size > UINT32_MAX)
			return refuse(io_u, EINVAL);
		req->lba = io_u->offset / u->block_size;
		req->nblk = (uint32_t)(io_u->xfer_buflen / u->block_size);
		req->buf = op == PLX_OP_DISCARD ? NULL : io_u->xfer_buf;
	}
	u->pend[u->npend++] = req;
	return FIO_Q_QUEUED;
}

static void
push(struct unit *u)
{
	uint16_t n = plx_blkq_submit(u->q, u->pend, u->npend);

	u->npend = (uint16_t)(u->npend - n);
	memmove(u->pend, u->pend + n, u->npend * sizeof(*u->pend));
}

/* What finds no room goes with the next getevents(). */
static int
plx_commit(struct thread_data *td)
{
	struct job *job = td->io_ops_data;

	if (td->io_u_queued == 0)
		return 0;
	for (unsigned int i = 0; i < job->nunit; i++)
		if (job->units[i].npend != 0)
			push(&job->units[i]);
	io_u_mark_submit(td, td->io_u_queued);
	td->io_u_in_flight += td->io_u_queued;
	td->io_u_queued = 0;
	return 0;
}

static void
finish(struct job *job, struct plx_blk_req *req)
{
	struct io_u *io_u = req->user;

	if (req->status != 0) {
		io_u->error = (unsigned int)-req->status;
		io_u->resid = io_u->xfer_buflen;
		job->dirty |= (req->flags & PLX_IO_MAYBE_DMA) != 0;
	}
}

/* One look at every queue. @return how many I/Os there are in job->done */
static unsigned int
reap(struct job *job, unsigned int n, unsigned int max)
{
	struct plx_blk_req *reqs[64];

	for (unsigned int i = 0; i < job->nunit && n < max; i++) {
		struct unit *u = &job->units[i];
		uint16_t got = plx_blkq_poll(
			u->q, reqs, (uint16_t)RTE_MIN(max - n, (unsigned int)RTE_DIM(reqs)));

		for (uint16_t k = 0; k < got; k++) {
			finish(job, reqs[k]);
			job->done[n++] = reqs[k]->user;
		}
		if (u->npend != 0)
			push(u);
	}
	return n;
}

static bool
past(const struct timespec *begin, const struct timespec *limit)
{
	struct timespec now;
	int64_t ns;

	clock_gettime(CLOCK_MONOTONIC, &now);
	ns = (int64_t)(now.tv_sec - begin->tv_sec) * 1000000000 + now.tv_nsec - begin->tv_nsec;
	return ns >= (int64_t)limit->tv_sec * 1000000000 + limit->tv_nsec;
}

static int
plx_getevents(
	struct thread_data *td, unsigned int min, unsigned int max, const struct timespec *limit)
{
	struct job *job = td->io_ops_data;
	struct timespec begin;
	unsigned int n = 0;

	if (limit != NULL)
		clock_gettime(CLOCK_MONOTONIC, &begin);
	for (;;) {
		n = reap(job, n, max);
		if (++job->polls % CTRL_POLLS == 0)
			plx_ctrl_poll(); /* of the jobs that call it one gets through */
		if (n >= min || (limit != NULL && past(&begin, limit)))
			return (int)n;
	}
}

static struct io_u *
plx_event(struct thread_data *td, int event)
{
	const struct job *job = td->io_ops_data;

	return job->done[event];
}

/* ---- files that are none ---- */

static int
plx_no_file(struct thread_data *td, struct fio_file *f)
{
	return 0;
}

struct ioengine_ops ioengine = {
	.name = "pollux",
	.version = FIO_IOOPS_VERSION,
	.flags = FIO_RAWIO | FIO_NOEXTEND | FIO_NODISKUTIL | FIO_MEMALIGN,
	.setup = plx_setup,
	.init = plx_init,
	.cleanup = plx_cleanup,
	.queue = plx_queue,
	.commit = plx_commit,
	.getevents = plx_getevents,
	.event = plx_event,
	.open_file = plx_no_file,
	.close_file = plx_no_file,
	.invalidate = plx_no_file,
	.get_file_size = plx_no_file,
	.iomem_alloc = plx_iomem_alloc,
	.iomem_free = plx_iomem_free,
	.io_u_init = plx_io_u_init,
	.option_struct_size = sizeof(struct options),
	.options = options,
};
