/* SPDX-License-Identifier: BSD-3-Clause */
/* From device strings to queues, and back. Each step prints one line when it fails. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "testblk.h"

static int
add_dev(struct tb_job *job, const char *str, struct plx_blk *blk)
{
	struct tb_dev *devs = realloc(job->devs, (job->ndev + 1) * sizeof(*devs));

	if (devs == NULL) {
		tb_say("out of memory");
		return TB_FAIL;
	}
	job->devs = devs;
	devs[job->ndev] = (struct tb_dev){.str = str};
	plx_blk_info_get(blk, &devs[job->ndev++].info);
	return TB_OK;
}

/* The device of an attachment, or the namespaces of a controller: "nvme0/n1". */
static bool
belongs_to(const struct plx_blk *blk, const char *name)
{
	struct plx_blk_info info;
	size_t len = strlen(name);

	plx_blk_info_get(blk, &info);
	return strncmp(info.name, name, len) == 0 &&
	       (info.name[len] == '\0' || info.name[len] == '/');
}

static int
attach(struct tb_job *job, const char *str)
{
	uint32_t before = job->ndev;
	struct plx_dev *dev;
	int rc = plx_attach(str, &dev);

	if (rc != 0) {
		/* the library has told the cause */
		return rc == -EINVAL || rc == -ENOENT || rc == -EEXIST ? TB_USAGE : TB_FAIL;
	}
	for (struct plx_blk *b = plx_blk_next(NULL); b != NULL; b = plx_blk_next(b))
		if (belongs_to(b, plx_dev_name(dev)) && add_dev(job, str, b) != TB_OK)
			return TB_FAIL;
	if (job->ndev != before)
		return TB_OK;
	tb_say("%s: there is no block device, or no active namespace, behind it", str);
	return TB_FAIL;
}

/* Which part of the device is worked on. */
static int
check_range(const struct tb_opts *o, struct tb_dev *d)
{
	const char *name = d->info.name;
	uint32_t bsz = d->info.block_size;
	uint64_t bytes = d->info.nblocks * bsz;

	if (o->bs % bsz != 0) {
		tb_say("--bs %" PRIu32 ": not a multiple of the block size of %s, %" PRIu32, o->bs,
			name, bsz);
		return TB_USAGE;
	}
	if (o->offset % bsz != 0 || o->offset >= bytes) {
		tb_say("--offset %" PRIu64 ": not a multiple of %" PRIu32 " below %" PRIu64
		       ", the block and device size of %s",
			o->offset, bsz, bytes, name);
		return TB_USAGE;
	}
	bytes -= o->offset;
	if (o->size == 0 && bytes < o->bs) {
		tb_say("--bs %" PRIu32 ": larger than %s, which has %" PRIu64 " bytes%s", o->bs,
			name, bytes, o->offset != 0 ? " behind --offset" : "");
		return TB_USAGE;
	}
	if (o->size > bytes || o->size % o->bs != 0) {
		tb_say("--size %" PRIu64 ": not a multiple of --bs that fits %s, which has %" PRIu64
		       " bytes%s",
			o->size, name, bytes, o->offset != 0 ? " behind --offset" : "");
		return TB_USAGE;
	}
	d->first = o->offset / bsz;
	d->nblocks = (o->size != 0 ? o->size : bytes / o->bs * o->bs) / bsz;
	return TB_OK;
}

static int
check_dev(const struct tb_opts *o, struct tb_dev *d)
{
	const struct plx_blk_info *i = &d->info;

	if (o->qd > i->max_depth) {
		tb_say("--qd %u: a queue of %s has at most %u", o->qd, i->name, i->max_depth);
		return TB_USAGE;
	}
	if (o->queues > i->max_queues) {
		tb_say("--queues %u: %s has at most %u", o->queues, i->name, i->max_queues);
		return TB_USAGE;
	}
	if (o->verify && (i->caps & PLX_BLK_CAP_NODATA)) {
		tb_say("--verify: %s (%s) keeps no data", i->name, i->driver);
		return TB_USAGE;
	}
	if (o->writes && !o->allow_write && !(i->caps & PLX_BLK_CAP_SOFTWARE)) {
		tb_say("--rw %s overwrites %s (%s %s): say --allow-write if its data may be lost",
			o->rw, i->name, i->driver, i->model);
		return TB_USAGE;
	}
	return check_range(o, d);
}

static int
open_dev(const struct tb_opts *o, struct tb_dev *d)
{
	int rc = plx_blk_open(d->info.name, o->writes ? PLX_BLK_O_WRITE : 0, &d->blk);

	if (rc == 0)
		return TB_OK;
	d->blk = NULL;
	tb_say("%s: can't be opened: %s", d->info.name,
		rc == -EROFS ? "it is read-only" : strerror(-rc));
	return TB_FAIL;
}

int
tb_job_open(struct tb_job *job)
{
	const struct tb_opts *o = job->opts;
	int rc = TB_OK;

	for (uint32_t i = 0; rc == TB_OK && i < o->ndev; i++)
		rc = attach(job, o->dev[i]);
	for (uint32_t d = 0; rc == TB_OK && d < job->ndev; d++)
		rc = check_dev(o, &job->devs[d]);
	for (uint32_t d = 0; rc == TB_OK && d < job->ndev; d++)
		rc = open_dev(o, &job->devs[d]);
	return rc;
}

/* Close a device; its queues keep their figures. */
static int
close_dev(struct tb_dev *d)
{
	int rc;

	if (d->blk == NULL)
		return TB_OK;
	rc = plx_blk_close(d->blk);
	d->blk = NULL;
	if (rc == 0 || rc == -ENODEV)
		return TB_OK;
	tb_say("%s: closing: %s", d->info.name, strerror(-rc));
	return TB_FAIL;
}

int
tb_job_close(struct tb_job *job)
{
	int rc = TB_OK;

	for (uint32_t d = 0; d < job->ndev; d++)
		if (close_dev(&job->devs[d]) != TB_OK)
			rc = TB_FAIL;
	/* a device that was removed says so when it is detached; the I/Os have told already */
	if (plx_detach_all() != 0)
		rc = TB_FAIL;
	for (uint32_t d = 0; d < job->ndev; d++)
		tb_plan_free(&job->devs[d]);
	for (uint32_t i = 0; i < job->nworkers; i++)
		plx_reactor_destroy(job->workers[i].reactor);
	free(job->workers);
	free(job->devs);
	free(job->total);
	return rc;
}
