/* SPDX-License-Identifier: BSD-3-Clause */
/* The way of one domain from what is known to what is mapped, operation by operation. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <rte_memory.h>

#include "mem_priv.h"
#include "plx_log.h"

PLX_LOG_USE(mem);

enum phase {
	PHASE_BEGIN,
	PHASE_UNMAP,
	PHASE_ADD, /* which are to be made */
	PHASE_MAP,
	PHASE_DONE,
};
enum op { OP_NONE, OP_MAP, OP_UNMAP };

/* What this domain can map of a piece. */
static bool
trim(const struct mem_domain *d, const struct plx_mem_seg *from, struct plx_mem_seg *seg)
{
	uint64_t mask = d->conf.min_page != 0 ? d->conf.min_page - 1 : 0;
	uintptr_t va = (from->va + mask) & ~mask, end = (from->va + from->len) & ~mask;

	if (d->conf.need_fd && from->fd < 0)
		return false;
	/* ordinary pages move: without an IOMMU a device would miss it */
	if (d->conf.phys && from->page_size < (2 << 20))
		return false;
	*seg = *from;
	seg->fd_off += va - from->va;
	seg->va = va;
	seg->len = end - va;
	return va < end && end <= from->va + from->len;
}

static bool
same(const struct mem_map *m, const struct plx_mem_seg *s, const struct mem_reg *reg)
{
	return !m->dead && m->seg.va == s->va && m->seg.len == s->len && m->reg == reg &&
	       m->seg.fd == s->fd && (s->fd < 0 || m->seg.fd_off == s->fd_off);
}

/* The first mapping at or above va. */
static uint32_t
maps_from(const struct mem_domain *d, uintptr_t va)
{
	uint32_t lo = 0, hi = d->nb_maps;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (d->maps[mid].seg.va < va)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static struct mem_map *
map_find(struct mem_domain *d, const struct plx_mem_seg *seg, const struct mem_reg *reg)
{
	for (uint32_t i = maps_from(d, seg->va); i < d->nb_maps && d->maps[i].seg.va == seg->va;
		i++)
		if (same(&d->maps[i], seg, reg))
			return &d->maps[i];
	return NULL;
}

/* A device without an IOMMU sees each page somewhere else. */
static size_t
piece_len(const struct mem_domain *d, const struct plx_mem_seg *seg, uintptr_t at)
{
	size_t rest = seg->va + seg->len - at;
	bool whole = !d->conf.phys;

	if (d->conf.ops->where != NULL)
		whole = d->conf.ops->where(d->conf.ctx, at, rest) != PLX_BAD_IOVA;
	return whole || rest < seg->page_size ? rest : seg->page_size;
}

/* Call fn for each piece of known memory that this domain should map. */
static int
for_each_piece(struct mem_domain *d, bool fixed,
	int (*fn)(struct mem_domain *d, const struct plx_mem_seg *seg, struct mem_reg *reg))
{
	int rc = 0;

	for (uint32_t i = 0; i < mem.nb_known && rc == 0; i++) {
		struct plx_mem_seg seg, piece;

		if (mem.known[i].seg.fixed != fixed || !trim(d, &mem.known[i].seg, &seg))
			continue;
		/* registered memory is this process' own */
		if (d->conf.ops->where != NULL && mem.known[i].reg != NULL)
			continue;
		piece = seg;
		for (uintptr_t at = seg.va; at < seg.va + seg.len && rc == 0; at += piece.len) {
			piece.va = at;
			piece.len = piece_len(d, &seg, at);
			piece.fd_off = seg.fd_off + (at - seg.va);
			rc = fn(d, &piece, mem.known[i].reg);
		}
	}
	return rc;
}

/* Let go of maps[i], which the device doesn't have. */
static void
map_drop(struct mem_domain *d, uint32_t i)
{
	if (!d->conf.phys && d->conf.ops->where == NULL)
		mem_iova_give(&d->space, d->maps[i].iova);
	mem_reg_put(d->maps[i].reg);
	d->nb_maps--;
	memmove(&d->maps[i], &d->maps[i + 1], (d->nb_maps - i) * sizeof(d->maps[0]));
}

/* Translations of all that is alive, and room to take any of them away later without memory. */
static int
publish(struct mem_domain *d)
{
	int rc = mem_tables_publish(&d->tables, d->maps, d->nb_maps);

	return rc == 0 ? mem_tables_reserve(&d->tables, d->nb_maps) : rc;
}

/* What failed in the last pass is due again; what the device never had can just go. */
static void
phase_begin(struct mem_domain *d)
{
	for (uint32_t i = d->nb_maps; i-- > 0;) {
		struct mem_map *m = &d->maps[i];

		if (m->state == MEM_MAP_FAILED)
			m->state = m->dead ? MEM_MAP_DONE : MEM_MAP_NEW;
		if (m->dead && m->state != MEM_MAP_DONE)
			map_drop(d, i);
	}
}

static int
maps_grow(struct mem_domain *d)
{
	uint32_t cap = d->cap_maps != 0 ? 2 * d->cap_maps : 8;
	void *p;

	if (d->nb_maps < d->cap_maps)
		return 0;
	p = realloc(d->maps, cap * sizeof(d->maps[0]));
	if (p == NULL)
		return -ENOMEM;
	d->maps = p;
	d->cap_maps = cap;
	return 0;
}

static uint64_t
piece_iova(struct mem_domain *d, const struct plx_mem_seg *seg)
{
	uint64_t align = seg->page_size;

	if (d->conf.ops->where != NULL)
		return d->conf.ops->where(d->conf.ctx, seg->va, seg->len);
	if (d->conf.phys)
		return rte_mem_virt2phy((const void *)seg->va);
	if (align < d->conf.min_page)
		align = d->conf.min_page;
	return mem_iova_take(&d->space, seg->va, seg->len, align);
}

static int
piece_add(struct mem_domain *d, const struct plx_mem_seg *seg, struct mem_reg *reg)
{
	uint64_t iova;
	uint32_t at;

	if (map_find(d, seg, reg) != NULL)
		return 0;
	if (d->conf.max_maps != 0 && d->nb_maps >= d->conf.max_maps) {
		if (!d->full)
			PLX_LOG(WARNING,
				"mem: %s: takes %u mappings only; requests into other memory are "
				"copied; give EAL its memory in one piece: --single-file-segments "
				"-m MB",
				d->name, d->conf.max_maps);
		d->full = true;
		return 0;
	}
	if (maps_grow(d) != 0 || mem_iova_reserve(&d->space, 1) != 0)
		return -ENOMEM;
	iova = piece_iova(d, seg);
	if (iova == PLX_BAD_IOVA && d->conf.ops->where != NULL)
		return 0; /* not mapped there */
	if (iova == PLX_BAD_IOVA) {
		PLX_LOG(ERR, "mem: %s: no I/O address for %zu KB at %#" PRIxPTR "%s", d->name,
			seg->len >> 10, seg->va,
			d->conf.phys ? "; physical addresses need CAP_SYS_ADMIN" : "");
		if (d->err == 0)
			d->err = -ENOSPC;
		return 0;
	}
	at = maps_from(d, seg->va);
	memmove(&d->maps[at + 1], &d->maps[at], (d->nb_maps - at) * sizeof(d->maps[0]));
	d->maps[at] = (struct mem_map){.seg = *seg, .iova = iova, .reg = mem_reg_get(reg)};
	d->nb_maps++;
	return 0;
}

/* Memory registered without a file can't be shared with another process; told once. */
static void
tell_unshared(struct mem_domain *d)
{
	for (uint32_t i = 0; d->conf.need_fd && !d->unshared && i < mem.nb_known; i++) {
		const struct plx_mem_seg *seg = &mem.known[i].seg;

		if (mem.known[i].reg == NULL || seg->fd >= 0)
			continue;
		d->unshared = true;
		PLX_LOG(WARNING,
			"mem: %s: can't share %zu KB at %#" PRIxPTR ", no file is behind it: "
			"requests into it are copied; take memory of memfd_create() and register "
			"it with its fd",
			d->name, seg->len >> 10, seg->va);
	}
}

/* Fixed memory first: where mappings are few it gets them. */
static int
phase_add(struct mem_domain *d)
{
	int rc = for_each_piece(d, true, piece_add);

	tell_unshared(d);
	return rc == 0 ? for_each_piece(d, false, piece_add) : rc;
}

static int
op_begin(struct mem_domain *d, enum op op)
{
	const struct plx_mem_domain_ops *ops = d->conf.ops;
	struct mem_map m = d->maps[d->cursor];
	int rc = 0;

	d->op = (uint8_t)op;
	if (ops->map == NULL)
		return 0;
	/* A transport that talks may run anything; nobody moves maps meanwhile. */
	if (!d->conf.immediate)
		pthread_mutex_unlock(&mem.lock);
	rc = op == OP_MAP ? ops->map(d->conf.ctx, &m.seg, m.iova)
			  : ops->unmap(d->conf.ctx, m.iova, m.seg.len);
	if (!d->conf.immediate)
		pthread_mutex_lock(&mem.lock);
	return rc;
}

static int
op_poll(struct mem_domain *d)
{
	int rc;

	pthread_mutex_unlock(&mem.lock);
	rc = d->conf.ops->poll(d->conf.ctx);
	pthread_mutex_lock(&mem.lock);
	return rc;
}

static void
op_failed(struct mem_domain *d, const struct mem_map *m, int rc)
{
	bool said = rc == -ENOMEM && d->conf.immediate; /* by the transport, and the cure */

	if (!said)
		PLX_LOG(ERR,
			"mem: %s: can't %s %zu KB at %#" PRIxPTR " (I/O address %#" PRIx64 "): %s",
			d->name, d->op == OP_MAP ? "map" : "unmap", m->seg.len >> 10, m->seg.va,
			m->iova, strerror(-rc));
	if (d->err == 0)
		d->err = rc;
}

static void
op_end(struct mem_domain *d, int rc)
{
	struct mem_map *m = &d->maps[d->cursor];

	if (rc != 0) {
		op_failed(d, m, rc);
		m->state = MEM_MAP_FAILED;
		d->cursor++;
	} else if (d->op == OP_MAP) {
		m->state = MEM_MAP_DONE;
		d->cursor++;
	} else {
		map_drop(d, d->cursor);
	}
	d->op = OP_NONE;
}

/* Run one operation after the other on the mappings that need it. */
static int
phase_run(struct mem_domain *d, enum op op)
{
	while (d->cursor < d->nb_maps) {
		const struct mem_map *m = &d->maps[d->cursor];
		bool due = op == OP_UNMAP ? m->dead && m->state == MEM_MAP_DONE
					  : !m->dead && (m->state == MEM_MAP_NEW ||
								m->state == MEM_MAP_LOST);
		int rc;

		if (!due) {
			d->cursor++;
			continue;
		}
		rc = op_begin(d, op);
		if (rc == -EINPROGRESS || d->op == OP_NONE) /* or lost, in the midst of it */
			return -EINPROGRESS;
		op_end(d, rc);
	}
	return 0;
}

static void
phase_set(struct mem_domain *d, enum phase phase)
{
	d->phase = (uint8_t)phase;
	d->cursor = 0;
}

static int
phase_step(struct mem_domain *d)
{
	int rc;

	switch (d->phase) {
	case PHASE_BEGIN:
		d->gen = mem.gen;
		phase_begin(d);
		return 0;
	case PHASE_UNMAP:
		return phase_run(d, OP_UNMAP);
	case PHASE_ADD:
		return phase_add(d);
	default:
		rc = phase_run(d, OP_MAP);
		return rc == 0 ? publish(d) : rc;
	}
}

int
mem_domain_step(struct mem_domain *d)
{
	int rc = 0;

	if (d->op != OP_NONE) {
		rc = op_poll(d);
		if (rc == -EINPROGRESS || d->op == OP_NONE)
			return -EINPROGRESS;
		op_end(d, rc);
	}
	for (rc = 0; rc == 0;) {
		if (d->gen != mem.gen) /* changed while unlocked, too */
			phase_set(d, PHASE_BEGIN);
		if (d->phase == PHASE_DONE)
			break;
		rc = phase_step(d);
		if (rc == -EINPROGRESS)
			return rc;
		phase_set(d, d->phase + 1);
	}
	if (rc != 0)
		PLX_LOG(ERR, "mem: %s: %s", d->name, strerror(-rc));
	else
		rc = d->err;
	d->err = 0;
	if (rc != 0)
		phase_set(d, PHASE_BEGIN); /* the next call tries what failed again */
	return rc;
}

void
mem_domain_forget(struct mem_domain *d, uintptr_t va, size_t len)
{
	bool any = false;

	for (uint32_t i = 0; i < d->nb_maps; i++) {
		if (d->maps[i].seg.va - va >= len)
			continue;
		d->maps[i].dead = true;
		any = true;
	}
	if (!any)
		return;
	mem_tables_publish(&d->tables, d->maps, d->nb_maps);
	if (!d->conf.immediate)
		return;
	d->cursor = 0;
	phase_run(d, OP_UNMAP);
	phase_set(d, PHASE_BEGIN);
}

void
mem_domain_lose(struct mem_domain *d)
{
	for (uint32_t i = d->nb_maps; i-- > 0;) {
		struct mem_map *m = &d->maps[i];

		if (m->dead)
			map_drop(d, i);
		else if (m->state == MEM_MAP_DONE)
			m->state = MEM_MAP_LOST;
	}
	d->op = OP_NONE;
	d->err = 0;
	phase_set(d, PHASE_BEGIN);
}
