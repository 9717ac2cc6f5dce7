/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Data pointers: PRPs (NVMe 1.4, 4.3) and SGLs (4.4) to pieces of mapped client memory. Lists lie
 * in memory that the client may change meanwhile: each word is read once, and the transfer's
 * length bounds every walk.
 */
#include <stdlib.h>
#include <string.h>

#include "nvmet_priv.h"

/* Where a walk stands. */
struct walk {
	struct plx_nvmet *c;
	struct nvmet_cmd *cmd;
	uint64_t left; /* bytes still to map */
	bool in;       /* data goes to the client */
};

static bool
grow(struct nvmet_cmd *cmd)
{
	bool own = cmd->segs == cmd->own;
	uint32_t cap = own ? 32 : cmd->cap * 2u;
	struct plx_seg *segs = realloc(own ? NULL : cmd->segs, cap * sizeof(*segs));

	if (segs == NULL)
		return false;
	if (own)
		memcpy(segs, cmd->own, sizeof(cmd->own));
	cmd->segs = segs;
	cmd->cap = (uint16_t)cap;
	return true;
}

bool
nvmet_segs_room(struct nvmet_cmd *cmd, uint32_t n)
{
	while (cmd->cap < n)
		if (!grow(cmd))
			return false;
	return true;
}

/* Where iova is, and how many of *len bytes from there lie in the same mapping. */
static uint8_t *
reach(struct walk *w, uint64_t iova, uint64_t *len)
{
	const struct plx_vfu_dma *map = &w->c->dma;
	uint8_t *va = plx_vfu_dma_ptr(w->c->vfu, &w->c->dma, iova, 1, w->in);

	if (va != NULL)
		*len = RTE_MIN(*len, map->len - (iova - map->iova));
	return va;
}

/* Add a segment, joined to the one before where they touch. */
static uint16_t
seg_add(struct nvmet_cmd *cmd, uint8_t *va, uint64_t len)
{
	struct plx_seg *last = &cmd->segs[cmd->nsegs];

	if (cmd->nsegs != 0 && (uint8_t *)last[-1].addr + last[-1].len == va) {
		last[-1].len += len;
		return 0;
	}
	if (cmd->nsegs == NVMET_MAX_SEGS)
		return NVMET_ERR(GENERIC, SGL_INVALID_COUNT);
	if (!nvmet_segs_room(cmd, cmd->nsegs + 1u))
		return NVMET_SC(GENERIC, INTERNAL);
	cmd->segs[cmd->nsegs++] = (struct plx_seg){va, len};
	return 0;
}

/* Add a piece of client memory. To its host that is one: mappings may follow each other in it. */
static uint16_t
piece(struct walk *w, uint64_t iova, uint64_t len)
{
	uint64_t n;
	uint16_t rc = 0;

	for (; len != 0 && rc == 0; len -= n, iova += n, w->left -= n) {
		uint8_t *va;

		n = len;
		va = reach(w, iova, &n);
		if (va == NULL) {
			plx_stat_add(&w->c->protocol_errors, 1);
			return NVMET_ERR(GENERIC, DATA_XFER_ERROR);
		}
		rc = seg_add(w->cmd, va, n);
	}
	return rc;
}

/* The entries of one page of a PRP list. next: where the list goes on. */
static uint16_t
prp_page(struct walk *w, uint64_t list, uint64_t *next)
{
	uint64_t slots = (NVMET_PAGE - list % NVMET_PAGE) / 8;
	uint64_t want = (w->left + NVMET_PAGE - 1) / NVMET_PAGE;
	uint64_t i, n = RTE_MIN(slots, want);
	const uint64_t *e = plx_vfu_dma_ptr(w->c->vfu, &w->c->dma_list, list, n * 8, false);
	uint16_t rc;

	if (e == NULL)
		return NVMET_ERR(GENERIC, DATA_XFER_ERROR);
	for (i = 0; i < n; i++) {
		uint64_t prp = rte_le_to_cpu_64(__atomic_load_n(&e[i], __ATOMIC_RELAXED));

		if (prp % NVMET_PAGE != 0)
			return NVMET_ERR(GENERIC, PRP_INVALID_OFFSET);
		/* the last slot of a page points on, unless it is the last page of data */
		if (i == slots - 1 && want > slots) {
			*next = prp;
			return 0;
		}
		rc = piece(w, prp, RTE_MIN(w->left, (uint64_t)NVMET_PAGE));
		if (rc != 0)
			return rc;
	}
	return 0;
}

static uint16_t
map_prp(struct walk *w, uint64_t prp1, uint64_t prp2)
{
	uint64_t first = RTE_MIN(w->left, NVMET_PAGE - prp1 % NVMET_PAGE);
	uint16_t rc;

	if ((prp1 & 3) != 0)
		return NVMET_ERR(GENERIC, PRP_INVALID_OFFSET);
	rc = piece(w, prp1, first);
	if (rc != 0 || w->left == 0)
		return rc;
	if (w->left <= NVMET_PAGE) {
		if (prp2 % NVMET_PAGE != 0)
			return NVMET_ERR(GENERIC, PRP_INVALID_OFFSET);
		return piece(w, prp2, w->left);
	}
	if ((prp2 & 7) != 0)
		return NVMET_ERR(GENERIC, PRP_INVALID_OFFSET);
	/* every list page but the first has 512 slots, so this ends with the data */
	while (rc == 0 && w->left != 0)
		rc = prp_page(w, prp2, &prp2);
	return rc;
}

/* A data block descriptor. */
static uint16_t
sgl_data(struct walk *w, const struct nvmet_sgl *d)
{
	uint32_t len = rte_le_to_cpu_32(d->len);

	if (d->type != NVMET_SGL_DATA)
		return NVMET_ERR(GENERIC, SGL_INVALID_TYPE);
	if (len > w->left) /* longer than the data: not offered (SGLS bit 18) */
		return NVMET_ERR(GENERIC, SGL_INVALID_DATA);
	return len == 0 ? 0 : piece(w, rte_le_to_cpu_64(d->addr), len);
}

static inline bool
sgl_is_pointer(const struct nvmet_sgl *d)
{
	return d->type == NVMET_SGL_SEGMENT || d->type == NVMET_SGL_LAST;
}

/*
 * One segment: seg points at it, and is replaced by its last descriptor if that points on.
 * budget: descriptors that may still be read.
 */
static uint16_t
sgl_segment(struct walk *w, struct nvmet_sgl *seg, uint32_t *budget)
{
	uint64_t addr = rte_le_to_cpu_64(seg->addr);
	uint32_t len = rte_le_to_cpu_32(seg->len), i, n = len / sizeof(*seg);
	bool last = seg->type == NVMET_SGL_LAST;

	if (len == 0 || len % sizeof(*seg) != 0 || (addr & 7) != 0)
		return NVMET_ERR(GENERIC, SGL_INVALID_LAST);
	if (n > *budget)
		return NVMET_ERR(GENERIC, SGL_INVALID_COUNT);
	*budget -= n;
	for (i = 0; i < n; i++) {
		const struct nvmet_sgl *p = plx_vfu_dma_ptr(
			w->c->vfu, &w->c->dma_list, addr + i * sizeof(*p), sizeof(*p), false);
		struct nvmet_sgl d;
		uint16_t rc;

		if (p == NULL)
			return NVMET_ERR(GENERIC, DATA_XFER_ERROR);
		memcpy(&d, p, sizeof(d));
		rte_compiler_barrier();
		if (!last && i == n - 1) {
			if (!sgl_is_pointer(&d))
				return NVMET_ERR(GENERIC, SGL_INVALID_LAST);
			*seg = d;
			return 0;
		}
		if (sgl_is_pointer(&d)) /* only the last of a segment points on */
			return NVMET_ERR(GENERIC, SGL_INVALID_LAST);
		rc = sgl_data(w, &d);
		if (rc != 0)
			return rc;
	}
	return 0;
}

static uint16_t
map_sgl(struct walk *w, const struct nvmet_sgl *first)
{
	struct nvmet_sgl seg = *first;
	uint32_t budget = NVMET_MAX_SGL;
	uint16_t rc = 0;
	bool last;

	if (!sgl_is_pointer(&seg)) {
		rc = sgl_data(w, &seg);
	} else {
		do {
			last = seg.type == NVMET_SGL_LAST;
			rc = sgl_segment(w, &seg, &budget);
		} while (rc == 0 && !last);
	}
	if (rc == 0 && w->left != 0) /* shorter than the data */
		rc = NVMET_ERR(GENERIC, SGL_INVALID_DATA);
	return rc;
}

uint16_t
nvmet_data_map(struct plx_nvmet *c, struct nvmet_cmd *cmd, const struct nvmet_sqe *e, uint64_t len,
	bool in)
{
	struct walk w = {.c = c, .cmd = cmd, .left = len, .in = in};

	cmd->nsegs = 0;
	if ((e->flags & NVMET_PSDT) == 0)
		return map_prp(&w, rte_le_to_cpu_64(e->prp1), rte_le_to_cpu_64(e->prp2));
	return map_sgl(&w, &e->sgl);
}

uint16_t
nvmet_data_put(struct plx_nvmet *c, const struct nvmet_sqe *e, const void *src, uint64_t src_len,
	uint64_t len)
{
	struct nvmet_cmd *cmd = &c->cmds[c->ncmd]; /* the spare one */
	uint16_t rc = nvmet_data_map(c, cmd, e, len, true);
	const uint8_t *from = src;
	uint32_t i;

	for (i = 0; rc == 0 && i < cmd->nsegs; i++) {
		size_t have = RTE_MIN(cmd->segs[i].len, src_len);

		memcpy(cmd->segs[i].addr, from, have);
		memset((uint8_t *)cmd->segs[i].addr + have, 0, cmd->segs[i].len - have);
		from += have;
		src_len -= have;
	}
	return rc;
}

uint16_t
nvmet_data_get(struct plx_nvmet *c, const struct nvmet_sqe *e, void *dst, uint64_t len)
{
	struct nvmet_cmd *cmd = &c->cmds[c->ncmd];
	uint16_t rc = nvmet_data_map(c, cmd, e, len, false);
	uint8_t *to = dst;
	uint32_t i;

	for (i = 0; rc == 0 && i < cmd->nsegs; i++) {
		memcpy(to, cmd->segs[i].addr, cmd->segs[i].len);
		to += cmd->segs[i].len;
	}
	return rc;
}
