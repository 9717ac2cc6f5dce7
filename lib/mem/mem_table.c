/* SPDX-License-Identifier: BSD-3-Clause */
/* Translation tables: lock-free readers, one writer under mem.lock. */
#include <errno.h>
#include <stdlib.h>

#include "mem_priv.h"

/* Ranges but r[0] are rewritten while a late reader may look: word by word. The release here and
 * the acquire there carry seq along. */
static void
range_store(struct plx_mem_range *to, const struct plx_mem_range *from)
{
	__atomic_store_n(&to->va, from->va, __ATOMIC_RELEASE);
	__atomic_store_n(&to->len, from->len, __ATOMIC_RELEASE);
	__atomic_store_n(&to->iova, from->iova, __ATOMIC_RELEASE);
}

static struct plx_mem_range
range_load(const struct plx_mem_range *r)
{
	return (struct plx_mem_range){
		.va = __atomic_load_n(&r->va, __ATOMIC_ACQUIRE),
		.len = __atomic_load_n(&r->len, __ATOMIC_ACQUIRE),
		.iova = __atomic_load_n(&r->iova, __ATOMIC_ACQUIRE),
	};
}

static uint64_t
range_find(const struct plx_mem_range *r, uintptr_t va, size_t len)
{
	uintptr_t off = va - r->va;

	return off < r->len && len <= r->len - off ? r->iova + off : PLX_BAD_IOVA;
}

static uint64_t
table_find(const struct plx_mem_table *t, uintptr_t va, size_t len)
{
	uint32_t lo = 1, hi = __atomic_load_n(&t->n, __ATOMIC_ACQUIRE);
	uint64_t iova = range_find(&t->r[0], va, len);
	struct plx_mem_range r;

	if (iova != PLX_BAD_IOVA)
		return iova;
	while (lo < hi) { /* the first that begins above va is r[lo] */
		uint32_t mid = lo + (hi - lo) / 2;

		if (__atomic_load_n(&t->r[mid].va, __ATOMIC_ACQUIRE) <= va)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo == 1)
		return PLX_BAD_IOVA;
	r = range_load(&t->r[lo - 1]);
	return range_find(&r, va, len);
}

uint64_t
plx_mem_iova_search(const struct plx_mem_table *t, uintptr_t va, size_t len)
{
	const struct mem_tables *ts = t->owner;
	uint64_t iova;
	uint32_t seq;

	if (ts == NULL)
		return table_find(t, va, len);
	do {
		seq = __atomic_load_n(&ts->seq, __ATOMIC_ACQUIRE);
		t = __atomic_load_n(&ts->pub->table, __ATOMIC_ACQUIRE);
		iova = table_find(t, va, len);
	} while (__atomic_load_n(&ts->seq, __ATOMIC_ACQUIRE) != seq);
	return iova;
}

static struct mem_table *
table_new(struct mem_tables *ts, uint32_t cap, const struct plx_mem_range *first)
{
	struct mem_table *t = calloc(1, sizeof(*t) + cap * sizeof(t->t.r[0]));

	if (t == NULL)
		return NULL;
	t->cap = cap;
	t->t.n = 1;
	t->t.owner = ts;
	t->t.r[0] = *first;
	return t;
}

static bool
table_fits(const struct mem_table *t, uint32_t cap, const struct plx_mem_range *first)
{
	const struct plx_mem_range *r = &t->t.r[0];

	return t->cap >= cap && r->va == first->va && r->len == first->len &&
	       r->iova == first->iova;
}

/* A spare table with that first range and room for cap ranges. */
static int
spare_ready(struct mem_tables *ts, uint32_t cap, const struct plx_mem_range *first)
{
	struct mem_table *t;

	if (ts->spare != NULL && table_fits(ts->spare, cap, first))
		return 0;
	t = table_new(ts, cap, first);
	if (t == NULL)
		return -ENOMEM;
	if (ts->spare != NULL) {
		ts->spare->next = ts->retired;
		ts->retired = ts->spare;
	}
	ts->spare = t;
	return 0;
}

int
mem_tables_init(struct mem_tables *ts, struct plx_mem_domain *pub)
{
	static const struct plx_mem_range none;

	ts->pub = pub;
	if (spare_ready(ts, 8, &none) != 0)
		return -ENOMEM;
	ts->cur = ts->spare;
	ts->spare = NULL;
	pub->table = &ts->cur->t;
	return 0;
}

void
mem_tables_free(struct mem_tables *ts)
{
	free(ts->cur);
	free(ts->spare);
	while (ts->retired != NULL) {
		struct mem_table *t = ts->retired;

		ts->retired = t->next;
		free(t);
	}
}

int
mem_tables_reserve(struct mem_tables *ts, uint32_t n)
{
	uint32_t cap = ts->cur->cap;

	while (cap < n + 1) /* doubled, so that few are retired */
		cap *= 2;
	return spare_ready(ts, cap, &ts->cur->t.r[0]);
}

/* The next run of live mappings from maps[*i] on that one range can tell. */
static bool
run_next(const struct mem_map *maps, uint32_t n, uint32_t *i, struct plx_mem_range *r, bool *fixed)
{
	while (*i < n && !mem_map_live(&maps[*i]))
		++*i;
	if (*i == n)
		return false;
	*r = (struct plx_mem_range){maps[*i].seg.va, maps[*i].seg.len, maps[*i].iova};
	*fixed = maps[*i].seg.fixed;
	while (++*i < n && mem_map_live(&maps[*i]) && maps[*i].seg.fixed == *fixed &&
		maps[*i].seg.va == r->va + r->len && maps[*i].iova == r->iova + r->len)
		r->len += maps[*i].seg.len;
	return true;
}

static void
spare_publish(struct mem_tables *ts)
{
	struct mem_table *t = ts->cur;

	ts->cur = ts->spare;
	ts->spare = t;
	__atomic_store_n(&ts->pub->table, &ts->cur->t, __ATOMIC_RELEASE);
}

int
mem_tables_publish(struct mem_tables *ts, const struct mem_map *maps, uint32_t n)
{
	struct plx_mem_range r, first = {0};
	uint32_t k = 1, nb = 0, cap = ts->cur->cap;
	bool fixed;
	int rc;

	for (uint32_t i = 0; run_next(maps, n, &i, &r, &fixed); nb++)
		if (fixed && r.len > first.len)
			first = r;
	while (cap < nb + 1)
		cap *= 2;
	rc = spare_ready(ts, cap, &first);
	if (rc != 0) {
		static const struct plx_mem_table none = {.n = 1};

		__atomic_store_n(&ts->pub->table, &none, __ATOMIC_RELEASE);
		return rc;
	}
	/* Late readers of the spare table must notice: before it changes. */
	__atomic_store_n(&ts->seq, ts->seq + 1, __ATOMIC_RELAXED);
	for (uint32_t i = 0; run_next(maps, n, &i, &r, &fixed);)
		if (!fixed || r.va != first.va)
			range_store(&ts->spare->t.r[k++], &r);
	__atomic_store_n(&ts->spare->t.n, k, __ATOMIC_RELEASE);
	spare_publish(ts);
	return 0;
}
