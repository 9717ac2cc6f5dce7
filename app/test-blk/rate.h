/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TB_RATE_H
#define TB_RATE_H
/**
 * @file
 * Limits of IOPS and bandwidth: each I/O pushes the time of the next one on by what it costs. What
 * was not used stays good for a tenth of a second, so that a poll that came late costs no rate.
 */
#include <stdbool.h>
#include <stdint.h>

/** A limit; owned by one thread. All zero: none. */
struct tb_rate {
	double per_io, per_byte; /**< cycles; the dearer counts */
	double next;             /**< when the next I/O may go */
	double slack;            /**< cycles that next may lie behind now */
};

/** iops, bytes: a second, 0 for no limit. hz: of the clock, which stands at now. */
static inline void
tb_rate_init(struct tb_rate *r, double iops, double bytes, double hz, uint64_t now)
{
	*r = (struct tb_rate){.per_io = iops > 0 ? hz / iops : 0,
		.per_byte = bytes > 0 ? hz / bytes : 0,
		.next = (double)now,
		.slack = hz / 10};
}

static inline bool
tb_rate_limits(const struct tb_rate *r)
{
	return r->per_io > 0 || r->per_byte > 0;
}

/** @return whether an I/O may go now */
static inline bool
tb_rate_ready(const struct tb_rate *r, uint64_t now)
{
	return r->next <= (double)now;
}

/** One of so many bytes went. */
static inline void
tb_rate_charge(struct tb_rate *r, uint64_t now, uint32_t bytes)
{
	double oldest = (double)now - r->slack, cost = r->per_byte * bytes;

	if (r->next < oldest)
		r->next = oldest;
	r->next += cost > r->per_io ? cost : r->per_io;
}

#endif
