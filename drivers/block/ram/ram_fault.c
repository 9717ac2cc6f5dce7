/* SPDX-License-Identifier: BSD-3-Clause */
/* Faults of a disk, as its keys ask for them: errors, delays, and lies about what was done. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_cycles.h>

#include "ram_priv.h"

/* LBA or FIRST-LAST */
static int
range_arg(const struct plx_dev *dev, const char *key, struct ram_range *r)
{
	const char *val = plx_arg_str(dev, key), *dash;
	char first[32];

	*r = (struct ram_range){.first = UINT64_MAX};
	if (val == NULL)
		return 0;
	dash = strchr(val, '-');
	snprintf(first, sizeof(first), "%.*s", dash == NULL ? 31 : (int)(dash - val), val);
	if (plx_parse_size(first, &r->first) != 0 ||
		plx_parse_size(dash == NULL ? first : dash + 1, &r->last) != 0 ||
		r->last < r->first)
		return plx_arg_bad(dev, key, "is no block, nor FIRST-LAST");
	return 0;
}

static int
errno_arg(const struct plx_dev *dev, int *err)
{
	const char *val = plx_arg_str(dev, "error"), *name;

	*err = EIO;
	if (val == NULL)
		return 0;
	for (*err = 1; *err < 134; ++*err) {
		name = strerrorname_np(*err);
		if (name != NULL && strcmp(name, val) == 0)
			return 0;
	}
	return plx_arg_bad(dev, "error", "is no error, as EIO or ENODATA");
}

int
ram_fault_args(struct plx_dev *dev, struct ram_faults *f)
{
	static const char *const every[RAM_FAULTS] = {
		"error_every", "slow_every", "lose_every", "tear_every", "flip_every"};
	uint32_t slow;

	if (range_arg(dev, "error_read", &f->error_read) != 0 ||
		range_arg(dev, "error_write", &f->error_write) != 0 ||
		errno_arg(dev, &f->error) != 0 ||
		plx_arg_u32(dev, "slow", 0, 10000000, 0, &slow) != 0)
		return -EINVAL;
	for (unsigned int i = 0; i < RAM_FAULTS; i++) {
		if (plx_arg_u32(dev, every[i], 1, UINT32_MAX, 0, &f->every[i]) != 0)
			return -EINVAL;
		f->any |= f->every[i] != 0;
	}
	if ((slow != 0) != (f->every[RAM_SLOW] != 0))
		return plx_arg_bad(dev, "slow_every", "and slow go together");
	f->slow = slow * (rte_get_tsc_hz() / 1000000);
	f->any |= f->error_read.first != UINT64_MAX || f->error_write.first != UINT64_MAX;
	return 0;
}

static bool
reads(uint8_t op)
{
	return op == PLX_OP_READ || op == PLX_OP_COMPARE || op == PLX_OP_VERIFY;
}

static bool
hits(const struct plx_blk_req *req, const struct ram_range *r)
{
	return req->lba <= r->last && r->first < req->lba + req->nblk;
}

/* Is this command one of those that come up each Nth time? */
static bool
turn(const struct ram_faults *f, uint32_t *count, enum ram_fault which)
{
	if (f->every[which] == 0 || ++count[which] < f->every[which])
		return false;
	count[which] = 0;
	return true;
}

uint64_t
ram_fault_delay(const struct ram_faults *f, uint32_t *count)
{
	return turn(f, count, RAM_SLOW) ? f->slow : 0;
}

/* The second half of the first block stays what it was. */
static int
tear(struct ram *ram, struct plx_blk_req *req)
{
	size_t half = ram->blk.info.block_size / 2;
	uint8_t *at = ram->base + req->lba * 2 * half + half, old[RAM_BLOCK_MAX / 2];
	int rc;

	memcpy(old, at, half);
	rc = ram_honest(ram, req);
	memcpy(at, old, half);
	if (rc == 0 && ram->file != NULL)
		rc = ram_file_wrote(ram, req->lba, 1);
	return rc;
}

/* A bit is wrong while it is read. */
static int
flip(struct ram *ram, struct plx_blk_req *req)
{
	uint8_t *at = ram->base + req->lba * ram->blk.info.block_size + 100;
	int rc;

	*at ^= 4;
	rc = ram_honest(ram, req);
	*at ^= 4;
	return rc;
}

int
ram_fault_run(struct ram *ram, uint32_t *count, struct plx_blk_req *req)
{
	const struct ram_faults *f = &ram->faults;

	if (turn(f, count, RAM_ERROR) ||
		hits(req, reads(req->op) ? &f->error_read : &f->error_write))
		return -f->error;
	if (req->op == PLX_OP_WRITE) {
		if (turn(f, count, RAM_LOSE))
			return 0;
		if (turn(f, count, RAM_TEAR))
			return tear(ram, req);
	}
	if (req->op == PLX_OP_READ && turn(f, count, RAM_FLIP))
		return flip(ram, req);
	return ram_honest(ram, req);
}
