/* SPDX-License-Identifier: BSD-3-Clause */
#include "lat_search.h"

void
tb_lat_search_init(struct tb_lat_search *s, uint64_t target, uint64_t window, double share,
	uint32_t max, uint64_t now)
{
	*s = (struct tb_lat_search){.target = target,
		.window = window,
		.share = share,
		.depth = 1,
		.bad = max + 1,
		.since = now};
}

/* A window is over: where to look next. */
static void
next_depth(struct tb_lat_search *s, bool met, uint64_t now)
{
	uint32_t twice = 2 * s->depth;

	if (met)
		s->good = s->depth;
	else
		s->bad = s->depth;
	s->ios = s->missed = 0;
	s->since = now;
	if (s->bad - s->good <= 1) {
		s->depth = s->good;
		s->done = true;
	} else if (met && twice < s->bad) {
		s->depth = twice;
	} else {
		s->depth = (s->good + s->bad) / 2;
	}
}

bool
tb_lat_search_add(struct tb_lat_search *s, uint64_t lent, uint64_t now)
{
	if (s->done || lent < s->since)
		return false;
	s->ios++;
	s->missed += now - lent > s->target;
	if (now - s->since < s->window || s->ios < TB_LAT_MIN_IOS)
		return false;
	next_depth(s, (double)s->missed <= (1 - s->share) * (double)s->ios + 1e-9, now);
	return true;
}
