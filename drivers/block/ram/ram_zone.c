/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Zones as NVMe has them (Zoned Namespace Command Set 1.1, 2.1): a zone is written at its write
 * pointer; a write opens it; so many may be open, and so many open or closed, at a time. Queues
 * are different threads': the states are under a lock, data is moved outside of it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_spinlock.h>

#include "ram_priv.h"

struct zone {
	uint64_t wp; /* from the zone's start */
	enum plx_zone_state state;
};

struct ram_zones {
	rte_spinlock_t lock;
	uint64_t nblk, cap;
	uint32_t nb, nb_open, nb_active;
	uint32_t max_open, max_active; /* UINT32_MAX: no limit */
	uint32_t victim;               /* where to look for a zone to close */
	struct zone z[];
};

/* ---- states ---- */

static bool
is_open(enum plx_zone_state s)
{
	return s == PLX_ZONE_IMP_OPEN || s == PLX_ZONE_EXP_OPEN;
}

static bool
is_active(enum plx_zone_state s)
{
	return is_open(s) || s == PLX_ZONE_CLOSED;
}

static void
enter(struct ram_zones *zs, struct zone *z, enum plx_zone_state to)
{
	zs->nb_open = zs->nb_open + is_open(to) - is_open(z->state);
	zs->nb_active = zs->nb_active + is_active(to) - is_active(z->state);
	z->state = to;
}

/* Close one that a write has opened. @return false: there is none */
static bool
close_one(struct ram_zones *zs)
{
	uint32_t i;

	for (i = 0; i < zs->nb; i++) {
		struct zone *z = &zs->z[zs->victim++ % zs->nb];

		if (z->state == PLX_ZONE_IMP_OPEN) {
			enter(zs, z, PLX_ZONE_CLOSED);
			return true;
		}
	}
	return false;
}

/* to: one of the open states */
static int
open_zone(struct ram_zones *zs, struct zone *z, enum plx_zone_state to)
{
	if (!is_active(z->state) && z->state != PLX_ZONE_EMPTY)
		return -EBADFD;
	if (!is_active(z->state) && zs->nb_active >= zs->max_active)
		return -EOVERFLOW;
	if (!is_open(z->state) && zs->nb_open >= zs->max_open && !close_one(zs))
		return -ETOOMANYREFS;
	if (z->state != PLX_ZONE_EXP_OPEN)
		enter(zs, z, to);
	return 0;
}

static void
finish_zone(struct ram_zones *zs, struct zone *z)
{
	z->wp = zs->cap;
	enter(zs, z, PLX_ZONE_FULL);
}

static void
reset_zone(struct ram *ram, struct zone *z)
{
	struct ram_zones *zs = ram->zones;
	uint64_t lba = (uint64_t)(z - zs->z) * zs->nblk, bs = ram->blk.info.block_size;

	ram_zero(ram->base + lba * bs, zs->cap * bs);
	z->wp = 0;
	enter(zs, z, PLX_ZONE_EMPTY);
}

/* ---- commands ---- */

static int
manage_one(struct ram *ram, struct zone *z, uint8_t op)
{
	struct ram_zones *zs = ram->zones;

	switch (op) {
	case PLX_OP_ZONE_OPEN:
		return open_zone(zs, z, PLX_ZONE_EXP_OPEN);
	case PLX_OP_ZONE_CLOSE:
		if (!is_active(z->state))
			return -EBADFD;
		enter(zs, z, PLX_ZONE_CLOSED);
		return 0;
	case PLX_OP_ZONE_FINISH:
		finish_zone(zs, z);
		return 0;
	default:
		reset_zone(ram, z);
		return 0;
	}
}

/* Does the operation on all zones mean this one? (1.1, 3.4.3) */
static bool
meant(uint8_t op, enum plx_zone_state s)
{
	switch (op) {
	case PLX_OP_ZONE_OPEN:
		return s == PLX_ZONE_CLOSED;
	case PLX_OP_ZONE_CLOSE:
		return is_open(s);
	case PLX_OP_ZONE_FINISH:
		return is_active(s);
	default:
		return s != PLX_ZONE_EMPTY;
	}
}

static int
manage_all(struct ram *ram, uint8_t op)
{
	struct ram_zones *zs = ram->zones;
	uint32_t i;

	if (op == PLX_OP_ZONE_OPEN && zs->nb_active > zs->max_open) /* all or none */
		return -ETOOMANYREFS;
	for (i = 0; i < zs->nb; i++)
		if (meant(op, zs->z[i].state))
			manage_one(ram, &zs->z[i], op);
	return 0;
}

int
ram_zone_manage(struct ram *ram, const struct plx_blk_req *req)
{
	struct ram_zones *zs = ram->zones;
	int rc;

	rte_spinlock_lock(&zs->lock);
	if (req->flags & PLX_IO_ALL_ZONES)
		rc = manage_all(ram, req->op);
	else
		rc = manage_one(ram, &zs->z[req->lba / zs->nblk], req->op);
	rte_spinlock_unlock(&zs->lock);
	return rc;
}

static int
write_zone(struct ram_zones *zs, struct zone *z, uint64_t at, uint32_t nblk)
{
	int rc;

	if (z->state == PLX_ZONE_FULL)
		return -ENOSPC;
	if (at + nblk > zs->cap)
		return -ERANGE;
	if (at != z->wp)
		return -ESPIPE;
	rc = open_zone(zs, z, PLX_ZONE_IMP_OPEN);
	if (rc != 0)
		return rc;
	z->wp += nblk;
	if (z->wp == zs->cap)
		enter(zs, z, PLX_ZONE_FULL);
	return 0;
}

int
ram_zone_write(struct ram *ram, uint64_t *lba, uint32_t nblk, bool append)
{
	struct ram_zones *zs = ram->zones;
	struct zone *z = &zs->z[*lba / zs->nblk];
	uint64_t at;
	int rc;

	rte_spinlock_lock(&zs->lock);
	at = append ? z->wp : *lba % zs->nblk;
	rc = write_zone(zs, z, at, nblk);
	rte_spinlock_unlock(&zs->lock);
	if (append)
		*lba += at;
	return rc;
}

uint64_t
ram_zone_report(struct ram *ram, const struct plx_blk_req *req)
{
	struct ram_zones *zs = ram->zones;
	struct plx_zone_report *to = req->buf;
	size_t bytes = plx_blk_bytes(&ram->blk.info, req->nblk);
	uint64_t first = req->lba / zs->nblk, i, n;

	n = RTE_MIN(zs->nb - first, (bytes - sizeof(*to)) / sizeof(to->zones[0]));
	memset(to, 0, sizeof(*to) + n * sizeof(to->zones[0]));
	to->nr_zones = zs->nb - first;
	rte_spinlock_lock(&zs->lock);
	for (i = 0; i < n; i++) {
		const struct zone *z = &zs->z[first + i];
		uint64_t lba = (first + i) * zs->nblk;

		to->zones[i] = (struct plx_zone){
			.lba = lba,
			.capacity = zs->cap,
			.wp = lba + z->wp,
			.state = (uint8_t)z->state,
			.type = 2,
		};
	}
	rte_spinlock_unlock(&zs->lock);
	return n;
}

/* ---- attach ---- */

static int
make(struct ram *ram, uint64_t nblk, uint64_t cap, uint32_t max_open, uint32_t max_active)
{
	struct plx_blk_info *info = &ram->blk.info;
	uint32_t nb = (uint32_t)(info->nblocks / nblk), i;
	struct ram_zones *zs = calloc(1, sizeof(*zs) + nb * sizeof(zs->z[0]));

	if (zs == NULL)
		return -ENOMEM;
	rte_spinlock_init(&zs->lock);
	zs->nblk = nblk;
	zs->cap = cap;
	zs->nb = nb;
	zs->max_open = max_open != 0 ? max_open : UINT32_MAX;
	zs->max_active = max_active != 0 ? max_active : UINT32_MAX;
	for (i = 0; i < nb; i++)
		zs->z[i].state = PLX_ZONE_EMPTY;
	ram->zones = zs;
	info->zone_nblk = nblk;
	info->nb_zones = nb;
	info->max_open_zones = max_open;
	info->max_active_zones = max_active;
	info->max_append_nblk = (uint32_t)RTE_MIN(cap, UINT32_MAX);
	if (info->max_nblk != 0)
		info->max_append_nblk = RTE_MIN(info->max_append_nblk, info->max_nblk);
	return 0;
}

int
ram_zones_args(struct plx_dev *dev, struct ram *ram)
{
	const struct plx_blk_info *info = &ram->blk.info;
	uint64_t zone, cap, bs = info->block_size;
	uint32_t max_open, max_active;

	if (plx_arg_size(dev, "zone", 0, &zone) != 0 ||
		plx_arg_size(dev, "zcap", zone, &cap) != 0 ||
		plx_arg_u32(dev, "max_open", 1, UINT32_MAX, 0, &max_open) != 0 ||
		plx_arg_u32(dev, "max_active", 1, UINT32_MAX, 0, &max_active) != 0)
		return -EINVAL;
	if (zone == 0)
		return plx_arg_str(dev, "zone") != NULL || cap != 0 || max_open + max_active != 0
			       ? plx_arg_bad(dev, "zone", "is missing or 0")
			       : 0;
	if (info->meta_size != 0)
		return plx_arg_bad(dev, "zone", "is for blocks without metadata");
	if (zone % bs != 0 || info->nblocks % (zone / bs) != 0 ||
		info->nblocks / (zone / bs) > UINT32_MAX)
		return plx_arg_bad(
			dev, "zone", "is not a multiple of the block size, a part of the size");
	if (cap == 0 || cap > zone || cap % bs != 0)
		return plx_arg_bad(dev, "zcap", "is no number of blocks of a zone");
	if (max_active != 0 && (max_open == 0 || max_open > max_active))
		return plx_arg_bad(dev, "max_open", "is missing or over max_active");
	return make(ram, zone / bs, cap / bs, max_open, max_active);
}
