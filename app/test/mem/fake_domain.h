/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FAKE_DOMAIN_H
#define FAKE_DOMAIN_H
/**
 * @file
 * A DMA domain on a strict device: no overlaps, and an unmap names exactly what was mapped.
 */
#include <errno.h>

#include "mem_priv.h"
#include "plx_test.h"

enum { FAKE_MAX = 256 };

struct fake {
	struct plx_mem_domain *dom;
	struct plx_mem_range map[FAKE_MAX];
	int fd[FAKE_MAX];
	uint64_t off[FAKE_MAX];
	uint32_t nb, maps, unmaps;
	int polls;                /* how often a talking device says -EINPROGRESS */
	int left;                 /* of the operation under way */
	int fail_map, fail_unmap; /* -errno of the next ones */
	uintptr_t fail_va;        /* 0: any */
	/* the operation under way, done when it ends */
	struct plx_mem_range op;
	int op_fd;
	uint64_t op_off;
	bool op_map, busy;
};

static inline int
fake_done(struct fake *f)
{
	uint32_t i;

	f->busy = false;
	if (f->op_map) {
		f->maps++;
		if (f->fail_map != 0 && (f->fail_va == 0 || f->fail_va == f->op.va))
			return f->fail_map;
		for (i = 0; i < f->nb; i++)
			CHECK(f->op.iova >= f->map[i].iova + f->map[i].len ||
					f->map[i].iova >= f->op.iova + f->op.len,
				"overlap at I/O address %#" PRIx64, f->op.iova);
		REQUIRE(f->nb < FAKE_MAX);
		f->fd[f->nb] = f->op_fd;
		f->off[f->nb] = f->op_off;
		f->map[f->nb++] = f->op;
		return 0;
	}
	f->unmaps++;
	if (f->fail_unmap != 0)
		return f->fail_unmap;
	for (i = 0; i < f->nb; i++)
		if (f->map[i].iova == f->op.iova && f->map[i].len == f->op.len)
			break;
	CHECK(i < f->nb, "unmap of what was not mapped: %#" PRIx64 " + %#zx", f->op.iova,
		f->op.len);
	if (i == f->nb)
		return -ENOENT;
	f->nb--;
	f->map[i] = f->map[f->nb];
	f->fd[i] = f->fd[f->nb];
	f->off[i] = f->off[f->nb];
	return 0;
}

static inline int
fake_begin(struct fake *f)
{
	CHECK(!f->busy, "two operations at a time");
	f->busy = true;
	f->left = f->polls;
	return f->polls > 0 ? -EINPROGRESS : fake_done(f);
}

static inline int
fake_map(void *ctx, const struct plx_mem_seg *seg, uint64_t iova)
{
	struct fake *f = ctx;

	f->op = (struct plx_mem_range){seg->va, seg->len, iova};
	f->op_fd = seg->fd;
	f->op_off = seg->fd_off;
	f->op_map = true;
	return fake_begin(f);
}

static inline int
fake_unmap(void *ctx, uint64_t iova, size_t len)
{
	struct fake *f = ctx;

	f->op = (struct plx_mem_range){0, len, iova};
	f->op_map = false;
	return fake_begin(f);
}

static inline int
fake_poll(void *ctx)
{
	struct fake *f = ctx;

	CHECK(f->busy, "nothing to poll for");
	return --f->left > 0 ? -EINPROGRESS : fake_done(f);
}

static const struct plx_mem_domain_ops fake_ops = {fake_map, fake_unmap, fake_poll};

/** The rest of conf is the caller's. */
static inline void
fake_create(struct fake *f, struct plx_mem_domain_conf conf, int polls)
{
	*f = (struct fake){.polls = polls};
	conf.name = "fake";
	conf.ops = &fake_ops;
	conf.ctx = f;
	conf.immediate = polls == 0;
	REQUIRE(plx_mem_domain_create(&conf, &f->dom) == 0);
}

static inline void
fake_destroy(struct fake *f)
{
	plx_mem_domain_destroy(f->dom);
}

/** Step to the end. */
static inline int
fake_sync(struct fake *f)
{
	int rc;

	do
		rc = plx_mem_domain_sync(f->dom);
	while (rc == -EINPROGRESS);
	return rc;
}

/** What the device has at va. */
static inline const struct plx_mem_range *
fake_at(const struct fake *f, const void *va)
{
	for (uint32_t i = 0; i < f->nb; i++)
		if ((uintptr_t)va - f->map[i].va < f->map[i].len)
			return &f->map[i];
	return NULL;
}

/** Each translation that the domain gives out is one that the device has. */
static inline void
fake_agrees(const struct fake *f)
{
	for (uint32_t i = 0; i < f->nb; i++) {
		const struct plx_mem_range *r = &f->map[i];
		size_t at[] = {0, 1, r->len / 2, r->len - 1};

		for (int k = 0; k < 4; k++)
			CHECK_EQ(plx_mem_iova(f->dom, (void *)(r->va + at[k]), 1), r->iova + at[k]);
		CHECK_EQ(plx_mem_iova(f->dom, (void *)r->va, r->len), r->iova);
	}
}

#endif
