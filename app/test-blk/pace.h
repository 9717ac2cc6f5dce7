/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TB_PACE_H
#define TB_PACE_H
/**
 * @file
 * When the I/Os that a queue has prepared may go: limits of rate, pauses, the times of a trace, and
 * the search for a depth. A queue without any of that has no tb_pace.
 */
#include <stdbool.h>
#include <stdint.h>

#include "bssplit.h"
#include "lat_search.h"
#include "rate.h"

struct tb_opts;
struct tb_queue;

struct tb_pace {
	bool begun;
	uint16_t passed; /**< of q->pend, from the first: they may go */
	struct tb_rate rate[TB_DIRS];
	struct tb_rate *lcore; /**< of all queues of the job on this lcore, or NULL */

	/* pauses */
	uint64_t think;      /**< cycles; 0: none */
	uint64_t think_io;   /**< cycles of a burst, 0: it is counted */
	uint32_t think_ios;  /**< I/Os of a burst */
	uint32_t burst_left; /**< I/Os */
	uint64_t burst_end;  /**< its time is up */
	uint64_t until;      /**< the pause ends, 0: there is none */

	/* a trace: when each request is due, since it began; NULL: at once */
	uint64_t *due;
	uint64_t origin;
	bool in_order; /**< a flush waits for what is in flight, and all for it: */
	bool flushing; /**< one is out, or may go */

	/* depth */
	bool searching, search_once;
	struct tb_lat_search lat;
};

/** Make one if the job needs it. nq: queues that share the device's rates. lcore: as in tb_pace.
 * @return 0 or -ENOMEM */
int tb_pace_create(
	struct tb_queue *q, const struct tb_opts *o, uint16_t nq, struct tb_rate *lcore, double hz);
void tb_pace_free(struct tb_pace *p);

/** The queue begins now. */
void tb_pace_begin(struct tb_queue *q, uint64_t now);
/** @return how many of q->pend may be submitted now, from the first on */
uint16_t tb_pace_allow(struct tb_queue *q, uint64_t now);
/** @return when the next of q->pend may go if no I/O comes back: now, or UINT64_MAX: not before one
 * does */
uint64_t tb_pace_until(const struct tb_queue *q, uint64_t now);
/** An I/O that was lent at `lent` came back. */
void tb_pace_back(struct tb_queue *q, uint64_t lent, uint64_t now);

#endif
