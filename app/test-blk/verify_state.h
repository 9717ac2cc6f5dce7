/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TB_VERIFY_STATE_H
#define TB_VERIFY_STATE_H
/**
 * @file
 * What must be on a device, and what may be: a file that outlives the process. For each unit (an
 * I/O's worth of blocks) it has two generations: the last that is known to be on stable media, by a
 * flush, FUA, or a device without a volatile cache; and the last that was submitted. Whatever
 * happens, each block of the unit is of one of the generations from the one to the other.
 *
 * The file is mapped. A word is stored in it before what it permits is submitted, and after what it
 * demands is known to be done; so it is right after a kill of the process at any moment, without a
 * system call. After the end of the machine it is right with --verify-state-sync: the file is
 * synced before each submit that permits more. What it demands may always lag.
 */
#include <stdbool.h>
#include <stdint.h>

#include "verify.h"

/** What the file is about; the same for each run that uses it. In this machine's byte order. */
struct tb_state_head {
	char magic[8];      /**< written last */
	uint64_t seed;      /**< of the tags: another for each file */
	uint8_t nguid[16];  /**< of the device, 0: it has none */
	uint64_t dev_nblk;  /**< its blocks, */
	uint32_t dev_block; /**< of so many bytes */
	uint32_t dev_index; /**< in the tags */
	uint64_t first;     /**< the block where units begin */
	uint64_t units;
	uint32_t nblk; /**< blocks a unit */
	uint32_t rsvd;
};

struct tb_state {
	struct tb_state_head *head; /**< mapped */
	struct tb_gens *units;      /**< mapped */
	bool sync;
	int fd;
	uint64_t stable, open, never; /**< units, when it was opened: see tb_state_open() */
};

/**
 * Open the file, or make it, for a run on what mine says; its magic, seed and dev_index don't
 * matter, but the seed is taken into that of a new file. Counts the units that were stable in their
 * last generation, those that may be of an earlier one, and those that were never written.
 * @return an enum tb_exit, after one line when that isn't 0
 */
int tb_state_open(struct tb_state **st, const char *path, const struct tb_state_head *mine);
/** Read what a file is about. @return as above; TB_USAGE too when there is none */
int tb_state_peek(const char *path, struct tb_state_head *head);
void tb_state_close(struct tb_state *st);

/** A generation is about to be submitted; tb_state_sync() before it is. */
static inline void
tb_state_permit(struct tb_state *st, uint64_t unit, uint32_t gen)
{
	__atomic_store_n(&st->units[unit].high, gen, __ATOMIC_RELEASE);
}

/** A generation is on stable media, and was the last one when it was written. */
static inline void
tb_state_demand(struct tb_state *st, uint64_t unit, uint32_t gen)
{
	__atomic_store_n(&st->units[unit].low, gen, __ATOMIC_RELEASE);
}

/** With --verify-state-sync, bring it to stable media. */
void tb_state_sync(const struct tb_state *st);

#endif
