/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef RAM_PRIV_H
#define RAM_PRIV_H
/*
 *	ram.c       the device: attach, queues, and commands with a range
 *	ram_meta.c  blocks with metadata
 *	ram_zone.c  zoned devices: states, write pointers, reports
 *	ram_file.c  what is written goes to a file, at once or at a flush
 *	ram_fault.c errors, delays and lies on request
 */
#include <stdbool.h>

#include "plx_blk_drv.h"
#include "plx_probe_drv.h"

#define RAM_BLOCK_MAX 65536

struct ram_zones;
struct ram_file;

struct ram_range {
	uint64_t first, last; /* blocks; first UINT64_MAX: none */
};

/* What each Nth command of a queue meets. */
enum ram_fault { RAM_ERROR, RAM_SLOW, RAM_LOSE, RAM_TEAR, RAM_FLIP, RAM_FAULTS };
struct ram_faults {
	struct ram_range error_read, error_write;
	int error;
	uint64_t slow; /* TSC cycles */
	uint32_t every[RAM_FAULTS];
	bool any; /* but RAM_SLOW alone */
};

struct ram {
	struct plx_blk blk;
	uint8_t *base, *meta;    /* data; metadata, NULL: none */
	struct ram_zones *zones; /* NULL: not zoned */
	struct ram_file *file;   /* NULL: memory is all there is */
	uint64_t delay;          /* TSC cycles */
	struct ram_faults faults;
};

/* ram.c: data to or from the medium, or compared with it. @return status */
int ram_data(const struct plx_blk_req *req, uint8_t *at, size_t len);
void ram_zero(uint8_t *at, size_t len);

/* Run a command of any kind of ours, or one on the medium alone. @return its status */
int ram_honest(struct ram *ram, struct plx_blk_req *req);
int ram_medium(const struct ram *ram, const struct plx_blk_req *req, uint64_t lba);

/* ram_fault.c */
int ram_fault_args(struct plx_dev *dev, struct ram_faults *f);
/* count: a queue's, of RAM_FAULTS. @return cycles that the next command takes longer */
uint64_t ram_fault_delay(const struct ram_faults *f, uint32_t *count);
/* Run a command where faults.any is set. @return its status */
int ram_fault_run(struct ram *ram, uint32_t *count, struct plx_blk_req *req);

/* ram_file.c. The memory, and all of info, is there. @return 0 or -errno, logged */
int ram_file_attach(struct plx_dev *dev, struct ram *ram);
void ram_file_free(struct ram *ram);
/* Run a command. @return its status */
int ram_file_run(struct ram *ram, struct plx_blk_req *req);
/* The memory of these blocks has changed. @return status */
int ram_file_wrote(struct ram *ram, uint64_t lba, uint32_t nblk);

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
