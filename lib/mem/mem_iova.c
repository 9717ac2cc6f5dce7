/* SPDX-License-Identifier: BSD-3-Clause */
/* Which I/O addresses a domain uses: a sorted list of inclusive ranges. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "mem_priv.h"

static const struct plx_iova_range whole = {0, UINT64_MAX};

int
mem_iova_reserve(struct mem_iova_space *sp, uint32_t more)
{
	uint32_t cap = sp->cap_used;
	void *p;

	if (sp->nb_used + more <= cap)
		return 0;
	cap = sp->nb_used + more > 2 * cap ? sp->nb_used + more : 2 * cap;
	p = realloc(sp->used, cap * sizeof(sp->used[0]));
	if (p == NULL)
		return -ENOMEM;
	sp->used = p;
	sp->cap_used = cap;
	return 0;
}

/* The first use that ends at or above addr. */
static uint32_t
used_from(const struct mem_iova_space *sp, uint64_t addr)
{
	uint32_t lo = 0, hi = sp->nb_used;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (sp->used[mid].last < addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static uint64_t
used_insert(struct mem_iova_space *sp, uint32_t at, uint64_t start, uint64_t last)
{
	memmove(&sp->used[at + 1], &sp->used[at], (sp->nb_used - at) * sizeof(sp->used[0]));
	sp->used[at] = (struct plx_iova_range){start, last};
	sp->nb_used++;
	return start;
}

static bool
usable(const struct mem_iova_space *sp, uint64_t start, uint64_t last)
{
	for (uint32_t i = 0; i < sp->nb_range; i++)
		if (start >= sp->range[i].start && last <= sp->range[i].last)
			return true;
	return sp->nb_range == 0;
}

/* The first aligned gap of a range. Not at address 0, which some take for none. */
static uint64_t
gap_take(struct mem_iova_space *sp, const struct plx_iova_range *r, size_t len, size_t align)
{
	uint64_t at = r->start != 0 ? r->start : 1, last;

	for (uint32_t i = used_from(sp, at);; i++) {
		if (at > UINT64_MAX - (align - 1))
			return PLX_BAD_IOVA;
		at = (at + align - 1) & ~(uint64_t)(align - 1);
		if (__builtin_add_overflow(at, len - 1, &last) || last > r->last)
			return PLX_BAD_IOVA;
		if (i == sp->nb_used || last < sp->used[i].start)
			return used_insert(sp, i, at, last);
		if (at > sp->used[i].last)
			continue;
		if (sp->used[i].last == UINT64_MAX)
			return PLX_BAD_IOVA;
		at = sp->used[i].last + 1;
	}
}

uint64_t
mem_iova_take(struct mem_iova_space *sp, uintptr_t va, size_t len, size_t align)
{
	uint64_t iova, last = va + len - 1;
	uint32_t at = used_from(sp, va);

	if (usable(sp, va, last) && (at == sp->nb_used || last < sp->used[at].start))
		return used_insert(sp, at, va, last);
	if (sp->nb_range == 0)
		return gap_take(sp, &whole, len, align);
	for (uint32_t i = 0; i < sp->nb_range; i++) {
		iova = gap_take(sp, &sp->range[i], len, align);
		if (iova != PLX_BAD_IOVA)
			return iova;
	}
	return PLX_BAD_IOVA;
}

void
mem_iova_give(struct mem_iova_space *sp, uint64_t iova)
{
	uint32_t at = used_from(sp, iova);

	if (at == sp->nb_used || sp->used[at].start != iova)
		return;
	sp->nb_used--;
	memmove(&sp->used[at], &sp->used[at + 1], (sp->nb_used - at) * sizeof(sp->used[0]));
}
