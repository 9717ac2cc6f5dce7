/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef RAM_PRIV_H
#define RAM_PRIV_H
/*
 *	ram.c       the device: attach, queues, and commands with a range
 *	ram_meta.c  blocks with metadata
 *	ram_zone.c  zoned devices: states, write pointers, reports
 */
#include <stdbool.h>

#include "plx_blk_drv.h"
#include "plx_probe_drv.h"

struct ram_zones;

struct ram {
	struct plx_blk blk;
	uint8_t *base, *meta;    /* data; metadata, NULL: none */
	struct ram_zones *zones; /* NULL: not zoned */
	uint64_t delay;          /* TSC cycles */
	uint64_t error_read, error_write;
	uint32_t error_every;
};

/* ram.c: data to or from the medium, or compared with it. @return status */
int ram_data(const struct plx_blk_req *req, uint8_t *at, size_t len);
void ram_zero(uint8_t *at, size_t len);

/* ram_meta.c: blocks with metadata */
int ram_meta_args(struct plx_dev *dev, struct plx_blk_info *info);
int ram_meta_alloc(struct ram *ram);
void ram_meta_free(struct ram *ram);
/* Run a command. @return its status; sets raw */
int ram_meta_run(const struct ram *ram, struct plx_blk_req *req);

/* ram_zone.c. The device's size, block size and limits are set. @return 0 or -errno, logged */
int ram_zones_args(struct plx_dev *dev, struct ram *ram);
/*
 * A command that moves a write pointer: the blocks are the caller's to write. lba: where it writes
 * to; of an append, the zone's start, replaced by where it goes.
 * @return 0 or the status
 */
int ram_zone_write(struct ram *ram, uint64_t *lba, uint32_t nblk, bool append);
/* Open, close, finish, reset. @return the status */
int ram_zone_manage(struct ram *ram, const struct plx_blk_req *req);
/* @return zones told of */
uint64_t ram_zone_report(struct ram *ram, const struct plx_blk_req *req);

#endif
