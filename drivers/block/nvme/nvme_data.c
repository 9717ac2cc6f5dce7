/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Data pointers: PRP lists with chaining (NVMe Base 2.0, 4.1.1) and SGLs (4.1.2). Lists live in
 * the tracker's own slot when they are short, else in pages of the queue's pool.
 *
 * The host address space may map neighbouring pages to I/O addresses far apart, so every page
 * (PRP) or segment (SGL) is translated by itself.
 */
#include <errno.h>
#include <string.h>

#include <rte_byteorder.h>

#include "nvme_priv.h"

#define SLOT_PRPS (NVME_SLOT_BYTES / sizeof(uint64_t))

/* Where list entries go: filled up, it continues in a page of the pool. */
struct list {
	struct nvme_qpair *q;
	struct nvme_tracker *t;
	uint64_t *at, *end; /* of the present page or slot */
};

static int
pool_page(struct nvme_qpair *q, struct nvme_tracker *t, uint64_t **va, uint64_t *iova)
{
	uint32_t size = q->page_size, n;

	if (q->npool == 0)
		return -EAGAIN;
	n = q->pool_free[--q->npool];
	q->pool_of[t - q->trk][t->npool++] = (uint8_t)n;
	t->flags |= NVME_TRK_POOL;
	*va = (uint64_t *)(q->pool + (size_t)n * size);
	*iova = q->pool_iova + (uint64_t)n * size;
	return 0;
}

void
nvme_data_free(struct nvme_qpair *q, struct nvme_tracker *t)
{
	while (t->npool != 0)
		q->pool_free[q->npool++] = q->pool_of[t - q->trk][--t->npool];
	t->flags &= (uint16_t)~NVME_TRK_POOL;
}

/* Begin a list for this many entries of this size. @return its address for the command */
static int
list_begin(struct list *l, size_t bytes, uint64_t *iova)
{
	size_t idx = (size_t)(l->t - l->q->trk) * NVME_SLOT_BYTES;
	int rc;

	if (bytes <= NVME_SLOT_BYTES) {
		l->at = (uint64_t *)(l->q->slots + idx);
		l->end = l->at + SLOT_PRPS;
		*iova = l->q->slots_iova + idx;
		return 0;
	}
	rc = pool_page(l->q, l->t, &l->at, iova);
	if (rc == 0)
		l->end = l->at + l->q->page_size / sizeof(uint64_t);
	return rc;
}

/* One PRP entry, of left that are to come with it: the last place of a page is the pointer to
 * the next page, unless this is the last entry (4.1.1). */
static int
list_prp(struct list *l, uint64_t prp, uint32_t left)
{
	uint64_t *page, iova;
	int rc;

	if (l->at == l->end - 1 && left > 1) {
		rc = pool_page(l->q, l->t, &page, &iova);
		if (rc != 0)
			return rc;
		*l->at = rte_cpu_to_le_64(iova);
		l->at = page;
		l->end = page + l->q->page_size / sizeof(uint64_t);
	}
	*l->at++ = rte_cpu_to_le_64(prp);
	return 0;
}

/* Pages that segments touch as one PRP run: all but the first start on a page, all but the last
 * end on one, and the first is dword aligned. @return bytes from the start that do */
static size_t
prp_run(const struct nvme_qpair *q, const struct plx_seg *segs, uint32_t nseg, size_t max)
{
	uint64_t mask = q->page_size - 1, iova, end = 0;
	size_t got = 0;
	uint32_t i;

	for (i = 0; i < nseg && got < max; i++) {
		const uint8_t *va = segs[i].addr;
		size_t len = RTE_MIN(segs[i].len, max - got), step;

		if (len == 0)
			continue;
		for (; len != 0; len -= step, va += step, got += step) {
			step = RTE_MIN(len, (size_t)(mask + 1 - ((uintptr_t)va & mask)));
			iova = plx_mem_iova(q->dom, va, step);
			/* I/O addresses share the page offset with the virtual ones */
			if (iova == PLX_BAD_IOVA || ((iova ^ (uintptr_t)va) & mask) != 0 ||
				(got == 0 && (iova & 3) != 0))
				return got;
			if (got != 0 && ((end & mask) != 0 || (iova & mask) != 0))
				return got;
			end = iova + step;
		}
	}
	return got;
}

static int
map_prp(struct nvme_qpair *q, struct nvme_tracker *t, struct nvme_sqe *sqe,
	const struct plx_seg *segs, uint32_t nseg, size_t len)
{
	uint64_t mask = q->page_size - 1, iova, list_iova, page = mask + 1;
	struct list l = {.q = q, .t = t};
	uint32_t n, left, i;
	size_t off = 0;
	int rc = 0;

	for (i = 0; segs[i].len == 0; i++)
		;
	n = (uint32_t)((((uintptr_t)segs[i].addr & mask) + len + mask) / page);
	if (n > 2) {
		rc = list_begin(&l, (n - 1) * sizeof(uint64_t), &list_iova);
		if (rc != 0)
			return rc;
		sqe->dptr[1] = rte_cpu_to_le_64(list_iova);
	}
	for (left = n; left != 0 && rc == 0; left--) {
		const uint8_t *va = (const uint8_t *)segs[i].addr + off;
		size_t step = RTE_MIN(segs[i].len - off, (size_t)(page - ((uintptr_t)va & mask)));

		iova = plx_mem_iova(q->dom, va, step);
		if (left == n)
			sqe->dptr[0] = rte_cpu_to_le_64(iova);
		else if (n == 2)
			sqe->dptr[1] = rte_cpu_to_le_64(iova);
		else
			rc = list_prp(&l, iova, left);
		for (off += step; i < nseg - 1 && off == segs[i].len; off = 0)
			i++;
	}
	if (rc != 0)
		nvme_data_free(q, t);
	return rc;
}

static void
sgl_set(struct nvme_sgl *d, uint64_t addr, size_t len, uint8_t type)
{
	*d = (struct nvme_sgl){
		.addr = rte_cpu_to_le_64(addr),
		.len = rte_cpu_to_le_32((uint32_t)len),
		.type = type,
	};
}

static bool
sgl_piece_ok(const struct nvme_qpair *q, uint64_t iova, size_t len)
{
	return iova != PLX_BAD_IOVA && (!q->sgl_dword || ((iova | len) & 3) == 0);
}

/* Bytes from the start that one SGL segment can describe, and in how many descriptors. */
static size_t
sgl_run(const struct nvme_qpair *q, const struct plx_seg *segs, uint32_t nseg, size_t max,
	uint32_t *count)
{
	uint32_t i, room = q->max_sgls;
	size_t got = 0;

	*count = 0;
	for (i = 0; i < nseg && got < max && *count < room; i++) {
		size_t len = RTE_MIN(segs[i].len, max - got);

		if (len == 0)
			continue;
		if (!sgl_piece_ok(q, plx_mem_iova(q->dom, segs[i].addr, len), len))
			break;
		got += len;
		++*count;
	}
	return got;
}

static int
map_sgl(struct nvme_qpair *q, struct nvme_tracker *t, struct nvme_sqe *sqe,
	const struct plx_seg *segs, uint32_t nseg, uint32_t count)
{
	struct nvme_sgl *inl = (struct nvme_sgl *)sqe->dptr, *d = inl;
	struct list l = {.q = q, .t = t};
	uint64_t iova;
	uint32_t i;
	int rc;

	sqe->flags |= NVME_SQE_PSDT_SGL;
	if (count > 1) {
		rc = list_begin(&l, count * sizeof(*d), &iova);
		if (rc != 0)
			return rc;
		sgl_set(inl, iova, count * sizeof(*d), NVME_SGL_LAST_SEGMENT);
		d = (struct nvme_sgl *)l.at;
	}
	for (i = 0; i < nseg; i++)
		if (segs[i].len != 0)
			sgl_set(d++, plx_mem_iova(q->dom, segs[i].addr, segs[i].len), segs[i].len,
				NVME_SGL_DATA);
	return 0;
}

/* The segments' sum must be len, exactly. */
static bool
adds_up(const struct plx_seg *segs, uint32_t nseg, size_t len)
{
	uint32_t i;

	if (segs == NULL)
		return false;
	for (i = 0; i < nseg; i++) {
		if (segs[i].len > len || (segs[i].addr == NULL && segs[i].len != 0))
			return false;
		len -= segs[i].len;
	}
	return len == 0;
}

/*
 * PRPs for what one or two cover, which is every short aligned transfer; beyond, one SGL
 * descriptor says more than a list of pages.
 */
int
nvme_data_map(struct nvme_qpair *q, struct nvme_tracker *t, struct nvme_sqe *sqe,
	const struct plx_seg *segs, uint32_t nseg, size_t len)
{
	size_t two = 2 * ((size_t)q->page_size);
	uint32_t count;

	if (!adds_up(segs, nseg, len))
		return -EINVAL;
	if (len <= two / 2 && prp_run(q, segs, nseg, len) == len)
		return map_prp(q, t, sqe, segs, nseg, len);
	if (q->sgl && sgl_run(q, segs, nseg, len, &count) == len)
		return map_sgl(q, t, sqe, segs, nseg, count);
	if (prp_run(q, segs, nseg, len) == len)
		return map_prp(q, t, sqe, segs, nseg, len);
	return -EXDEV;
}

/* Data of a range command: inline buffer or segments. */
int
nvme_data_req(struct nvme_qpair *q, struct nvme_tracker *t, struct nvme_sqe *sqe,
	const struct plx_blk_req *req)
{
	size_t len = (size_t)req->nblk << q->lba_shift;
	struct plx_seg one = {.addr = req->buf, .len = len};

	return nvme_data_map(
		q, t, sqe, req->nseg != 0 ? req->segs : &one, req->nseg != 0 ? req->nseg : 1, len);
}

size_t
nvme_data_direct(struct plx_drvq *dq, const struct plx_seg *segs, uint32_t nseg, size_t max)
{
	struct nvme_qpair *q = (struct nvme_qpair *)dq;
	uint32_t count;

	if (q->sgl)
		return sgl_run(q, segs, nseg, max, &count);
	return prp_run(q, segs, nseg, max);
}
