/* SPDX-License-Identifier: BSD-3-Clause */
/* What a job asks of a device. Each check prints one line when it fails. */
#include <inttypes.h>
#include <string.h>

#include "plan.h"

/* Where the task begins; UINT64_MAX: beyond all devices. */
static uint64_t
task_offset(const struct tb_opts *o, const struct tb_task *t)
{
	uint64_t offset;

	return __builtin_mul_overflow(t->clone, o->offset_increment, &offset) ||
			       __builtin_add_overflow(offset, o->offset, &offset)
		       ? UINT64_MAX
		       : offset;
}

/* Are zones of addresses within the range? */
static int
check_spread(const struct tb_opts *o, const struct tb_task *t)
{
	uint64_t bytes = t->nblocks * t->dev->info.block_size, most = 0;

	for (unsigned int d = 0; d < TB_DIRS; d++)
		most = RTE_MAX(most, tb_dist_bytes(&o->dist[d]));
	if (most <= bytes)
		return TB_OK;
	tb_say("--random_distribution: its zones are larger than the %" PRIu64
	       " bytes of %s that are worked on",
		bytes, t->dev->info.name);
	return TB_USAGE;
}

/* Which part of the device is worked on. */
static int
check_range(const struct tb_opts *o, struct tb_task *t)
{
	const struct tb_dev *d = t->dev;
	const char *name = d->info.name;
	uint32_t bsz = d->info.block_size;
	uint64_t bytes = d->info.nblocks * bsz, offset = task_offset(o, t);

	if (o->mode == TB_MODE_REPLAY) { /* each I/O was checked */
		t->nblocks = d->info.nblocks;
		return TB_OK;
	}
	if (o->unit % bsz != 0) {
		tb_say("--bs %" PRIu32 ": not a multiple of the block size of %s, %" PRIu32,
			o->unit, name, bsz);
		return TB_USAGE;
	}
	if (offset % bsz != 0 || offset >= bytes) {
		tb_say("--offset %" PRIu64 ": not a multiple of %" PRIu32 " below %" PRIu64
		       ", the block and device size of %s",
			offset, bsz, bytes, name);
		return TB_USAGE;
	}
	bytes -= offset;
	if (o->size == 0 && bytes < o->bs) {
		tb_say("--bs %" PRIu32 ": larger than %s, which has %" PRIu64 " bytes%s", o->bs,
			name, bytes, offset != 0 ? " behind --offset" : "");
		return TB_USAGE;
	}
	if (o->size > bytes || o->size % o->unit != 0 || (o->size != 0 && o->size < o->bs)) {
		tb_say("--size %" PRIu64 ": not a multiple of --bs that fits %s, which has %" PRIu64
		       " bytes%s",
			o->size, name, bytes, offset != 0 ? " behind --offset" : "");
		return TB_USAGE;
	}
	t->first = offset / bsz;
	t->nblocks = (o->size != 0 ? o->size : bytes / o->unit * o->unit) / bsz;
	return check_spread(o, t);
}

static int
check_queues(const struct tb_opts *o, const struct plx_blk_info *i)
{
	if (o->qd > i->max_depth) {
		tb_say("--iodepth %u: a queue of %s has at most %u", o->qd, i->name, i->max_depth);
		return TB_USAGE;
	}
	if (o->queues > i->max_queues) {
		tb_say("--queues %u: %s has at most %u", o->queues, i->name, i->max_queues);
		return TB_USAGE;
	}
	return TB_OK;
}

static int
check_write(const struct tb_opts *o, const struct plx_blk_info *i)
{
	if (o->allow_write || (i->caps & PLX_BLK_CAP_SOFTWARE))
		return TB_OK;
	tb_say("--rw %s overwrites %s (%s %s): say --allow-write if its data may be lost", o->rw,
		i->name, i->driver, i->model);
	return TB_USAGE;
}

/* Operations that not every device has. */
static int
check_ops(const struct tb_opts *o, const struct plx_blk_info *i)
{
	static const struct {
		uint8_t op;
		uint32_t cap;
		const char *what;
	} needs[] = {{PLX_OP_DISCARD, PLX_BLK_CAP_DISCARD, "discard"},
		{PLX_OP_WRITE_ZEROES, PLX_BLK_CAP_WRITE_ZEROES, "write zeroes"}};

	for (unsigned int k = 0; k < RTE_DIM(needs); k++)
		if ((o->ops & 1u << needs[k].op) && !(i->caps & needs[k].cap)) {
			tb_say("--rw %s: %s (%s) can't %s", o->rw, i->name, i->driver,
				needs[k].what);
			return TB_USAGE;
		}
	return TB_OK;
}

static int
check_verify(const struct tb_opts *o, const struct plx_blk_info *i)
{
	if (o->verify && (i->caps & PLX_BLK_CAP_NODATA)) {
		tb_say("--verify: %s (%s) keeps no data", i->name, i->driver);
		return TB_USAGE;
	}
	if (o->meta && i->meta_size == 0) {
		tb_say("--%s: blocks of %s have no metadata", o->pi ? "pi" : "meta", i->name);
		return TB_USAGE;
	}
	if (o->pi != TB_PI_DRIVER && i->pi_type == 0) {
		tb_say("--pi: metadata of %s has no protection information; --meta moves it",
			i->name);
		return TB_USAGE;
	}
	return TB_OK;
}

/* Zones are written at their write pointers, or appended to whole. */
static int
check_zones(const struct tb_opts *o, const struct tb_task *t)
{
	const struct plx_blk_info *i = &t->dev->info;

	if (o->mode != TB_MODE_APPEND) {
		if (!o->writes || i->zone_nblk == 0 ||
			(o->ops == 1u << PLX_OP_WRITE && !o->random && o->qd == 1))
			return TB_OK;
		tb_say("--rw %s: %s is zoned: only --rw write with --iodepth 1 writes at a write "
		       "pointer, and --rw append appends",
			o->rw, i->name);
		return TB_USAGE;
	}
	if (i->zone_nblk == 0 || i->max_append_nblk == 0) {
		tb_say("--rw append: %s %s", i->name,
			i->zone_nblk == 0 ? "has no zones" : "can't append to its zones");
		return TB_USAGE;
	}
	if (o->bs / i->block_size > i->max_append_nblk) {
		tb_say("--bs %" PRIu32 ": %s appends at most %" PRIu32 " bytes", o->bs, i->name,
			i->max_append_nblk * i->block_size);
		return TB_USAGE;
	}
	if (t->first % i->zone_nblk != 0 || t->nblocks % i->zone_nblk != 0) {
		tb_say("--rw append: --offset and --size are whole zones of %s, of %" PRIu64
		       " bytes",
			i->name, i->zone_nblk * i->block_size);
		return TB_USAGE;
	}
	return TB_OK;
}

/* The device that is copied to: a place for each byte. */
static int
check_target(const struct tb_opts *o, const struct tb_task *t)
{
	const struct plx_blk_info *from = &t->dev->info, *to = &t->to->info;
	uint64_t end = (t->first + t->nblocks) * from->block_size;

	if (o->unit % to->block_size != 0) {
		tb_say("--bs %" PRIu32 ": not a multiple of the block size of %s, %" PRIu32, o->bs,
			to->name, to->block_size);
		return TB_USAGE;
	}
	if (end > to->nblocks * to->block_size) {
		tb_say("--copy_to %s: too small for %s: give a --size", to->name, from->name);
		return TB_USAGE;
	}
	if (to->zone_nblk != 0) {
		tb_say("--copy_to %s: it is zoned", to->name);
		return TB_USAGE;
	}
	return TB_OK;
}

int
plan_check(const struct tb_opts *o, struct tb_task *t)
{
	const struct plx_blk_info *i = &t->dev->info;
	int rc = check_queues(o, i);

	if (rc == TB_OK)
		rc = check_verify(o, i);
	if (rc == TB_OK && o->writes)
		rc = check_write(o, i);
	if (rc == TB_OK)
		rc = check_ops(o, i);
	if (rc == TB_OK)
		rc = check_range(o, t);
	if (rc == TB_OK)
		rc = check_zones(o, t);
	if (rc == TB_OK && t->to != NULL)
		rc = check_queues(o, &t->to->info);
	if (rc == TB_OK && t->to != NULL)
		rc = check_write(o, &t->to->info);
	if (rc == TB_OK && t->to != NULL)
		rc = check_target(o, t);
	return rc;
}
