/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_byteorder.h>
#include <rte_common.h>

#include "plx_mem.h"
#include "plx_pi.h"

#include "verify_meta.h"

#define APP_TAG 0x504c /* "PL" */
#define NO_APP 0xffff  /* this block is not protected */
#define SPOILT 0xa5

int
tb_meta_alloc(struct tb_meta *m, const struct plx_blk_info *info, enum tb_pi pi, uint16_t qd,
	uint32_t nblk, int socket)
{
	bool moves = pi == TB_PI_HOST || info->meta_size != info->pi_size;

	*m = (struct tb_meta){.info = *info, .pi = pi};
	m->ext = calloc(qd, sizeof(*m->ext));
	if (m->ext == NULL)
		return -ENOMEM;
	if (!moves) /* all of it is made by the device, and taken away */
		return 0;
	m->pi_seen = info->pi_type != 0;
	m->stride = RTE_ALIGN_CEIL(nblk * info->meta_size, (uint32_t)RTE_CACHE_LINE_SIZE);
	m->mem = plx_mem_alloc((size_t)qd * m->stride, RTE_CACHE_LINE_SIZE, socket);
	return m->mem != NULL ? 0 : -ENOMEM;
}

void
tb_meta_free(struct tb_meta *m)
{
	free(m->ext);
	plx_mem_free(m->mem);
}

/* ---- the pattern ---- */

static uint64_t
pattern_start(const struct tb_tag *t)
{
	return (t->seed ^ ~t->lba * 0x9e3779b97f4a7c15u) + t->gen * 0xd6e8feb86659fd93u;
}

static uint8_t
pattern_next(uint64_t *x)
{
	*x += 0xbf58476d1ce4e5b9u;
	return (uint8_t)(*x >> 56);
}

static bool
is_pi(const struct plx_blk_info *info, uint32_t at)
{
	return at - info->pi_offset < info->pi_size;
}

static void
fill(const struct tb_meta *m, const struct plx_blk_req *req)
{
	const struct plx_blk_info *info = &m->info;
	uint8_t *meta = req->ext->meta;

	for (uint32_t i = 0; i < req->nblk; i++, meta += info->meta_size) {
		struct tb_tag tag;
		uint64_t x;

		tb_verify_tag((const uint8_t *)req->buf + (size_t)i * info->block_size, &tag);
		x = pattern_start(&tag);
		for (uint32_t k = 0; k < info->meta_size; k++)
			meta[k] = pattern_next(&x);
	}
}

static bool
pattern_holds(const struct plx_blk_info *info, const uint8_t *meta, const struct tb_tag *tag)
{
	uint64_t x = pattern_start(tag);

	for (uint32_t k = 0; k < info->meta_size; k++)
		if (pattern_next(&x) != meta[k] && !is_pi(info, k))
			return false;
	return true;
}

/* ---- requests ---- */

static uint16_t
pi_flags(const struct tb_meta *m, bool app)
{
	unsigned int flags = PLX_PI_GUARD;

	if (m->info.pi_type == 0)
		return 0;
	if (m->info.pi_type != 3)
		flags |= PLX_PI_REF;
	if (app)
		flags |= PLX_PI_APP;
	if (m->pi != TB_PI_HOST)
		flags |= PLX_PI_ACT;
	return (uint16_t)flags;
}

void
tb_meta_lend(const struct tb_meta *m, struct plx_blk_req *req, uint16_t i, bool tagged)
{
	bool write = req->op == PLX_OP_WRITE;
	struct plx_blk_ext *ext = &m->ext[i];

	req->ext = ext;
	*ext = (struct plx_blk_ext){
		.meta = m->mem == NULL ? NULL : m->mem + (size_t)i * m->stride,
		.pi_ref = m->info.pi_type == 3 ? 0 : req->lba,
		.pi_app = APP_TAG,
		.pi_mask = UINT16_MAX,
		.pi_flags = pi_flags(m, write || tagged),
	};
	if (ext->meta == NULL)
		return;
	if (!write)
		memset(ext->meta, SPOILT, (size_t)req->nblk * m->info.meta_size);
	else if (tagged)
		fill(m, req);
	if (write && m->pi == TB_PI_HOST)
		plx_pi_make(&m->info, req);
}

/* ---- what came back ---- */

static uint32_t
wrong(struct tb_mismatch *bad, enum tb_verdict verdict, uint64_t lba, const struct tb_verify *v,
	uint64_t want, uint64_t got)
{
	if (bad->blocks++ == 0) {
		bad->verdict = verdict;
		bad->want = (struct tb_tag){.lba = lba};
		if (v != NULL) {
			bad->want.seed = v->seed;
			bad->want.dev = v->dev;
		}
		bad->meta_want = want;
		bad->meta_got = got;
	}
	return 1;
}

static uint16_t
app_tag(const struct plx_blk_info *info, const uint8_t *meta)
{
	uint16_t app;

	memcpy(&app, meta + info->pi_offset + (info->pi_size == 8 ? 2 : 8), sizeof(app));
	return rte_be_to_cpu_16(app);
}

/* One block of those that were written by us. */
static uint32_t
check_block(const struct tb_meta *m, const struct plx_blk_req *req, uint32_t i,
	const struct tb_verify *v, struct tb_mismatch *bad)
{
	const struct plx_blk_info *info = &m->info;
	const uint8_t *meta = (const uint8_t *)req->ext->meta + (size_t)i * info->meta_size;
	struct tb_tag tag;

	/* plx_pi_check() lets it pass: to it, the block was never written */
	if (m->pi_seen && app_tag(info, meta) == NO_APP)
		return wrong(bad, TB_BAD_APP, req->lba + i, v, APP_TAG, NO_APP);
	tb_verify_tag((const uint8_t *)req->buf + (size_t)i * info->block_size, &tag);
	if (pattern_holds(info, meta, &tag))
		return 0;
	return wrong(bad, TB_BAD_META, req->lba + i, v, 0, 0);
}

static uint32_t
check_pi(const struct tb_meta *m, const struct plx_blk_req *req, const struct tb_verify *v,
	struct tb_mismatch *bad)
{
	unsigned int flags = pi_flags(m, v != NULL) & ~(unsigned int)PLX_PI_ACT;
	struct plx_pi_error err;

	if (plx_pi_check(&m->info, req, flags, &err) == 0)
		return 0;
	return wrong(bad,
		err.field == PLX_PI_GUARD ? TB_BAD_GUARD
		: err.field == PLX_PI_APP ? TB_BAD_APP
					  : TB_BAD_REF,
		err.lba, v, err.expected, err.found);
}

uint32_t
tb_meta_check(const struct tb_meta *m, const struct plx_blk_req *req, const struct tb_verify *v,
	struct tb_mismatch *bad)
{
	uint32_t n = 0;

	if (m->mem == NULL)
		return 0;
	if (m->pi_seen)
		n = check_pi(m, req, v, bad);
	for (uint32_t i = 0; v != NULL && n == 0 && i < req->nblk; i++)
		n = check_block(m, req, i, v, bad);
	return n;
}
