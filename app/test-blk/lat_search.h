/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TB_LAT_SEARCH_H
#define TB_LAT_SEARCH_H
/**
 * @file
 * The highest depth at which a share of I/Os stays within a latency: fio's latency_target,
 * latency_window, latency_percentile. Depths double as long as a window meets the target, then the
 * interval between the best that did and the least that didn't is halved. Clock and latencies are
 * the caller's.
 */
#include <stdbool.h>
#include <stdint.h>

#define TB_LAT_MIN_IOS 100 /**< a window is no shorter than that */

struct tb_lat_search {
	uint64_t target; /**< cycles */
	uint64_t window; /**< cycles that a depth is looked at */
	double share;    /**< of I/Os that meet the target, 0 to 1 */
	uint32_t depth;  /**< tried now */
	uint32_t good;   /**< the highest that met it, 0: none yet */
	uint32_t bad;    /**< the least that didn't, or one above the highest */
	uint64_t since;  /**< when this depth began; I/Os lent before don't count */
	uint64_t ios, missed;
	bool done; /**< depth is the answer; 0: not even one I/O in flight meets it */
};

/** Begin at depth 1; max: the highest to try. */
void tb_lat_search_init(struct tb_lat_search *s, uint64_t target, uint64_t window, double share,
	uint32_t max, uint64_t now);
/** An I/O that was lent at `lent` came back now. @return whether the depth changed, or it is done
 */
bool tb_lat_search_add(struct tb_lat_search *s, uint64_t lent, uint64_t now);

#endif
