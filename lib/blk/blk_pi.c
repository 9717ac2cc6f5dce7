/* SPDX-License-Identifier: BSD-3-Clause */
/* Protection information: made and checked by this side (NVM Command Set 1.0, 5.2). */
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include <isa-l/crc.h>
#include <rte_byteorder.h>

#include "plx_pi.h"

#include "blk_priv.h"

#define REF32 UINT32_MAX
#define REF48 ((UINT64_C(1) << 48) - 1)
#define NO_APP 0xffff /* this block is not protected */

/* ---- the guard ---- */

/* CRC-64 NVMe (5.2.1.3.4), reflected, eight bytes a step: libisal has other polynomials only. */
#define CRC64_POLY UINT64_C(0x9a6c9329ac4bc9b5)

static uint64_t crc64_table[8][256];
static pthread_once_t crc64_once = PTHREAD_ONCE_INIT;

static void
crc64_init(void)
{
	uint64_t crc;
	int i, k;

	for (i = 0; i < 256; i++) {
		crc = (uint64_t)i;
		for (k = 0; k < 8; k++)
			crc = crc >> 1 ^ (crc & 1 ? CRC64_POLY : 0);
		crc64_table[0][i] = crc;
	}
	for (k = 1; k < 8; k++) {
		for (i = 0; i < 256; i++) {
			crc = crc64_table[k - 1][i];
			crc64_table[k][i] = crc >> 8 ^ crc64_table[0][crc & 0xff];
		}
	}
}

static uint64_t
crc64(uint64_t crc, const uint8_t *p, size_t len)
{
	uint64_t word;

	crc = ~crc;
	for (; len >= sizeof(word); len -= sizeof(word), p += sizeof(word)) {
		memcpy(&word, p, sizeof(word));
		crc ^= rte_le_to_cpu_64(word);
		crc = crc64_table[7][crc & 0xff] ^ crc64_table[6][crc >> 8 & 0xff] ^
		      crc64_table[5][crc >> 16 & 0xff] ^ crc64_table[4][crc >> 24 & 0xff] ^
		      crc64_table[3][crc >> 32 & 0xff] ^ crc64_table[2][crc >> 40 & 0xff] ^
		      crc64_table[1][crc >> 48 & 0xff] ^ crc64_table[0][crc >> 56];
	}
	for (; len != 0; len--)
		crc = crc >> 8 ^ crc64_table[0][(crc ^ *p++) & 0xff];
	return ~crc;
}

static uint64_t
guard_add(const struct plx_blk_info *info, uint64_t guard, const void *p, size_t len)
{
	if (info->pi_size == 8)
		return crc16_t10dif((uint16_t)guard, p, len);
	return crc64(guard, p, len);
}

/* ---- the tuple: guard, application tag, reference tag, big-endian (5.2.1) ---- */

struct tuple {
	uint64_t guard, ref;
	uint16_t app;
};

static void
tuple_put(const struct plx_blk_info *info, uint8_t *p, const struct tuple *t)
{
	uint64_t guard = rte_cpu_to_be_64(info->pi_size == 8 ? t->guard << 48 : t->guard);
	size_t guard_len = info->pi_size == 8 ? 2 : 8, ref_len = info->pi_size == 8 ? 4 : 6;
	uint64_t ref = rte_cpu_to_be_64(t->ref << 8 * (8 - ref_len));
	uint16_t app = rte_cpu_to_be_16(t->app);

	memcpy(p, &guard, guard_len);
	memcpy(p + guard_len, &app, 2);
	memcpy(p + guard_len + 2, &ref, ref_len);
}

static void
tuple_get(const struct plx_blk_info *info, const uint8_t *p, struct tuple *t)
{
	size_t guard_len = info->pi_size == 8 ? 2 : 8, ref_len = info->pi_size == 8 ? 4 : 6;
	uint64_t guard = 0, ref = 0;
	uint16_t app;

	memcpy(&guard, p, guard_len);
	memcpy(&app, p + guard_len, 2);
	memcpy(&ref, p + guard_len + 2, ref_len);
	t->guard = rte_be_to_cpu_64(guard) >> 8 * (8 - guard_len);
	t->app = rte_be_to_cpu_16(app);
	t->ref = rte_be_to_cpu_64(ref) >> 8 * (8 - ref_len);
}

/* ---- blocks of a request ---- */

struct walk {
	const struct plx_blk_info *info;
	const struct plx_blk_req *req;
	uint8_t *meta; /* of the block that is next */
	uint32_t i;    /* its number */
	uint32_t seg;  /* where its data begins */
	size_t off;
};

static int
walk_begin(struct walk *w, const struct plx_blk_info *info, const struct plx_blk_req *req)
{
	if (info->pi_type == 0 || req->ext == NULL || req->ext->meta == NULL ||
		!plx_req_data_ok(req, (size_t)req->nblk * info->block_size))
		return -EINVAL;
	if (info->pi_size != 8)
		pthread_once(&crc64_once, crc64_init);
	*w = (struct walk){.info = info, .req = req, .meta = req->ext->meta};
	return 0;
}

static uint64_t
block_guard(struct walk *w)
{
	const struct plx_blk_req *req = w->req;
	size_t left = w->info->block_size, n;
	uint64_t guard = 0;

	if (req->nseg == 0) {
		const uint8_t *at = (const uint8_t *)req->buf + (size_t)w->i * left;

		return guard_add(w->info, 0, at, left);
	}
	for (; left != 0; left -= n, w->off += n) {
		for (; w->off == req->segs[w->seg].len; w->off = 0)
			w->seg++;
		n = RTE_MIN(left, req->segs[w->seg].len - w->off);
		guard = guard_add(
			w->info, guard, (const uint8_t *)req->segs[w->seg].addr + w->off, n);
	}
	return guard;
}

/* The next block: what its protection information ought to be. @return where it is, NULL: end */
static uint8_t *
walk_next(struct walk *w, struct tuple *t, bool guard)
{
	const struct plx_blk_info *info = w->info;
	const struct plx_blk_ext *ext = w->req->ext;
	uint8_t *meta = w->meta;

	if (w->i == w->req->nblk)
		return NULL;
	t->app = ext->pi_app;
	t->ref = info->pi_type == 1 ? w->req->lba + w->i
				    : ext->pi_ref + (info->pi_type == 2 ? w->i : 0);
	t->ref &= info->pi_size == 8 ? REF32 : REF48;
	if (guard) {
		t->guard = block_guard(w);
		if (info->pi_offset != 0)
			t->guard = guard_add(info, t->guard, meta, info->pi_offset);
	}
	w->i++;
	w->meta += info->meta_size;
	return meta + info->pi_offset;
}

int
plx_pi_make(const struct plx_blk_info *info, const struct plx_blk_req *req)
{
	struct walk w;
	struct tuple t;
	uint8_t *at;
	int rc = walk_begin(&w, info, req);

	while (rc == 0 && (at = walk_next(&w, &t, true)) != NULL)
		tuple_put(info, at, &t);
	return rc;
}

static bool
unprotected(const struct plx_blk_info *info, const struct tuple *t)
{
	return t->app == NO_APP &&
	       (info->pi_type != 3 || t->ref == (info->pi_size == 8 ? REF32 : REF48));
}

/* @return the field that is wrong, 0: none */
static uint8_t
compare(const struct plx_blk_info *info, const struct tuple *want, const struct tuple *got,
	uint16_t mask, unsigned int flags)
{
	if (unprotected(info, got))
		return 0;
	if ((flags & PLX_PI_GUARD) && want->guard != got->guard)
		return PLX_PI_GUARD;
	if ((flags & PLX_PI_APP) && ((want->app ^ got->app) & mask) != 0)
		return PLX_PI_APP;
	if ((flags & PLX_PI_REF) && info->pi_type != 3 && want->ref != got->ref)
		return PLX_PI_REF;
	return 0;
}

static void
report(struct plx_pi_error *err, const struct walk *w, uint8_t field, const struct tuple *want,
	const struct tuple *got)
{
	uint16_t mask = w->req->ext->pi_mask;

	if (err == NULL)
		return;
	*err = (struct plx_pi_error){.lba = w->req->lba + w->i - 1, .field = field};
	err->expected = field == PLX_PI_GUARD ? want->guard
			: field == PLX_PI_REF ? want->ref
					      : want->app & mask;
	err->found = field == PLX_PI_GUARD ? got->guard
		     : field == PLX_PI_REF ? got->ref
					   : got->app & mask;
}

int
plx_pi_check(const struct plx_blk_info *info, const struct plx_blk_req *req, unsigned int flags,
	struct plx_pi_error *err)
{
	struct tuple want = {0}, got;
	struct walk w;
	uint8_t *at, bad;
	int rc = walk_begin(&w, info, req);

	while (rc == 0 && (at = walk_next(&w, &want, (flags & PLX_PI_GUARD) != 0)) != NULL) {
		tuple_get(info, at, &got);
		bad = compare(info, &want, &got, req->ext->pi_mask, flags);
		if (bad != 0) {
			report(err, &w, bad, &want, &got);
			return -EBADMSG;
		}
	}
	return rc;
}
