/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Checks: metadata and protection information; on devices without, that they say so. What blocks
 * hold is rewritten at the end, as the other checks know data only.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "plx_mem.h"
#include "plx_pi.h"

#include "conf.h"

#define ROOM 65536 /* bytes of metadata, at most */
#define GAP 64
#define CANARY 0x5a

static uint8_t *places[2]; /* metadata of requests: memory that devices reach, and other */

/* A few blocks as they should be on the device. */
struct area {
	struct plx_blk_ext ext;
	struct plx_blk_req req; /* of data and meta, for plx_pi_make() and plx_pi_check() */
	uint8_t *data, *meta;
	size_t len, meta_len;
};

static bool
begin(struct conf *c)
{
	if (c->opts.nodata)
		return false;
	if (places[0] == NULL) {
		places[0] = plx_mem_alloc(ROOM + 2 * GAP, 4096, -1);
		places[1] = malloc(ROOM + 2 * GAP);
		if (places[0] == NULL || places[1] == NULL)
			exit(1);
	}
	dev_start(c, 1, (uint16_t)RTE_MIN(8, c->info.max_depth));
	return true;
}

static void
area_init(struct conf *c, struct area *a, uint64_t lba, uint32_t nblk)
{
	size_t i;

	*a = (struct area){.len = (size_t)nblk * c->info.block_size,
		.meta_len = (size_t)nblk * c->info.meta_size};
	a->data = malloc(a->len);
	a->meta = malloc(a->meta_len + 1);
	if (a->data == NULL || a->meta == NULL)
		exit(1);
	for (i = 0; i < a->len; i++)
		a->data[i] = (uint8_t)(i % 5 == 0 ? rnd(c, 256) : i);
	for (i = 0; i < a->meta_len; i++)
		a->meta[i] = (uint8_t)rnd(c, 256);
	a->ext = (struct plx_blk_ext){
		.meta = a->meta, .pi_ref = lba, .pi_app = 0x4321, .pi_mask = 0xffff};
	a->req = (struct plx_blk_req){.lba = lba, .nblk = nblk, .buf = a->data, .ext = &a->ext};
	if (c->info.pi_type != 0)
		EXPECT(c, plx_pi_make(&c->info, &a->req) == 0, "plx_pi_make()");
}

static void
area_free(struct area *a)
{
	free(a->data);
	free(a->meta);
}

/* A few blocks, or as many as there is room for; a compare takes one command. */
static uint64_t
place(struct conf *c, uint32_t *n, bool one)
{
	uint32_t b = c->info.boundary_nblk, lba;
	uint32_t max = RTE_MIN(128u, (uint32_t)(ROOM / RTE_MAX(c->info.meta_size, 1u)));

	if (one) /* of data that may have to be bounced as a whole */
		max = RTE_MIN(max, RTE_MIN(c->info.max_nblk, 60000 / c->info.block_size));
	*n = 1 + rnd(c, RTE_MIN(max, c->nblk / 2));
	lba = rnd(c, c->nblk - *n);
	if (one && b != 0)
		*n = RTE_MIN(*n, b - lba % b);
	return lba;
}

/* The status of NVMe that says which check failed, of those asked for. */
static bool
raw_ok(uint16_t raw, unsigned int flags)
{
	if (flags == 0)
		flags = PLX_PI_GUARD | PLX_PI_REF;
	return (raw == 0x282 && (flags & PLX_PI_GUARD)) || (raw == 0x283 && (flags & PLX_PI_APP)) ||
	       (raw == 0x284 && (flags & PLX_PI_REF));
}

/*
 * Run an operation on an area: data in some shape, metadata in some memory. Without meta, data
 * alone. What a read gives goes to got, of the same size, and got->meta.
 */
static int
run(struct conf *c, uint8_t op, const struct area *a, struct area *got, bool meta,
	unsigned int flags)
{
	struct plx_blk_ext ext = a->ext;
	struct io *io = io_new(c, op, a->req.lba, a->req.nblk);
	size_t off = rnd(c, 2) == 0 ? GAP : GAP + 1 + rnd(c, GAP - 1);
	uint8_t *mem = places[rnd(c, 2)];
	int rc;

	memset(mem, CANARY, ROOM + 2 * GAP);
	ext.meta = meta ? mem + off : NULL;
	ext.pi_flags = (uint16_t)flags;
	io->req.ext = &ext;
	if (meta && op != PLX_OP_READ)
		memcpy(ext.meta, a->meta, a->meta_len);
	if (io->bytes != 0) {
		io_data(c, io, (enum io_shape)rnd(c, IO_SHAPES));
		if (op != PLX_OP_READ)
			io_fill(c, io, a->data);
	}
	rc = io_run(c, 0, io);
	EXPECT(c, mem[off - 1] == CANARY && mem[off + (meta ? a->meta_len : 0)] == CANARY,
		"op %u: written beside the metadata", op);
	EXPECT(c, op == PLX_OP_READ || !meta || memcmp(ext.meta, a->meta, a->meta_len) == 0,
		"op %u: the metadata of the request was changed", op);
	if (op == PLX_OP_READ && rc == 0) {
		io_gather(io, got->data);
		if (meta)
			memcpy(got->meta, ext.meta, got->meta_len);
	}
	if (rc == -EBADMSG)
		EXPECT(c, raw_ok(io->req.raw & 0x7ff, flags), "op %u, flags %x: raw is %#x", op,
			flags, io->req.raw);
	return rc;
}

static void
must(struct conf *c, uint8_t op, const struct area *a, bool meta, unsigned int flags, int want)
{
	struct area got;
	int rc;

	area_init(c, &got, a->req.lba, a->req.nblk);
	rc = run(c, op, a, &got, meta, flags);
	EXPECT(c, rc == want, "op %u, %u blocks at %llu, %s metadata, flags %x: %s instead of %s",
		op, a->req.nblk, (unsigned long long)a->req.lba, meta ? "with" : "without", flags,
		strerror(-rc), strerror(-want));
	if (op == PLX_OP_READ && rc == 0) {
		EXPECT(c, memcmp(got.data, a->data, a->len) == 0, "wrong data");
		EXPECT(c, !meta || memcmp(got.meta, a->meta, a->meta_len) == 0, "wrong metadata");
	}
	area_free(&got);
}

static bool
has(const struct conf *c, uint32_t cap)
{
	return (c->info.caps & cap) != 0;
}

static unsigned int
all_checks(const struct conf *c)
{
	return c->info.pi_type != 0 ? PLX_PI_GUARD | PLX_PI_APP | PLX_PI_REF : 0;
}

/* What devices must refuse. */
static void
check_refused(struct conf *c)
{
	const struct plx_blk_info *info = &c->info;
	struct area a;

	if (!begin(c))
		return;
	area_init(c, &a, 0, 1);
	must(c, PLX_OP_WRITE, &a, false, 0, 0); /* an ext with nothing in it */
	if (info->meta_size == 0)
		must(c, PLX_OP_READ, &a, true, 0, -EOPNOTSUPP);
	if (info->pi_type == 0)
		must(c, PLX_OP_READ, &a, false, PLX_PI_GUARD, -EOPNOTSUPP);
	else
		must(c, PLX_OP_READ, &a, false, 1 << 4, -EINVAL);
	if (info->meta_size != 0 && has(c, PLX_BLK_CAP_WRITE_ZEROES))
		must(c, PLX_OP_WRITE_ZEROES, &a, true, 0, -EINVAL);
	if (info->pi_type != 0 && has(c, PLX_BLK_CAP_COMPARE))
		must(c, PLX_OP_COMPARE, &a, true, PLX_PI_ACT, -EINVAL);
	area_free(&a);
	model_write_all(c);
}

/* Metadata comes back as it was written, with data in any shape and itself in any memory. */
static void
check_roundtrip(struct conf *c)
{
	struct area a;
	uint64_t lba;
	uint32_t n, i;

	if (c->info.meta_size == 0 || !begin(c))
		return;
	for (i = 0; i < 150; i++) {
		lba = place(c, &n, false);
		area_init(c, &a, lba, n);
		must(c, PLX_OP_WRITE, &a, true, rnd(c, 2) * all_checks(c), 0);
		must(c, PLX_OP_READ, &a, true, rnd(c, 2) * all_checks(c), 0);
		must(c, PLX_OP_READ, &a, false, 0, 0);
		if (has(c, PLX_BLK_CAP_VERIFY))
			must(c, PLX_OP_VERIFY, &a, false, all_checks(c), 0);
		area_free(&a);
	}
	model_write_all(c);
}

/* Data alone: its metadata is zeroes, and protection information is made by the device. */
static void
check_alone(struct conf *c)
{
	const struct plx_blk_info *info = &c->info;
	struct area a;
	uint64_t lba;
	uint32_t n, i;

	if (info->meta_size == 0 || !begin(c))
		return;
	for (i = 0; i < 60; i++) {
		lba = place(c, &n, true);
		area_init(c, &a, lba, n);
		must(c, PLX_OP_WRITE, &a, true, 0, 0);
		memset(a.meta, 0, a.meta_len);
		a.ext.pi_app = 0;
		a.ext.pi_ref = info->pi_type == 3 ? 0 : lba;
		if (info->pi_type != 0)
			plx_pi_make(info, &a.req);
		must(c, PLX_OP_WRITE, &a, false, 0, 0);
		must(c, PLX_OP_READ, &a, true, all_checks(c), 0);
		if (has(c, PLX_BLK_CAP_COMPARE))
			must(c, PLX_OP_COMPARE, &a, false, 0, 0);
		area_free(&a);
	}
	model_write_all(c);
}

/* Metadata that differs, but for protection information. */
static void
check_compare(struct conf *c)
{
	const struct plx_blk_info *info = &c->info;
	struct area a;
	uint64_t lba;
	uint32_t n, i, at;

	if (info->meta_size == 0 || !has(c, PLX_BLK_CAP_COMPARE) || !begin(c))
		return;
	for (i = 0; i < 40; i++) {
		lba = place(c, &n, true);
		area_init(c, &a, lba, n);
		must(c, PLX_OP_WRITE, &a, true, 0, 0);
		must(c, PLX_OP_COMPARE, &a, true, 0, 0);
		at = rnd(c, info->meta_size);
		a.meta[rnd(c, n) * info->meta_size + at] ^= 0x20;
		must(c, PLX_OP_COMPARE, &a, true, 0,
			at - info->pi_offset < info->pi_size ? 0 : -EILSEQ);
		area_free(&a);
	}
	model_write_all(c);
}

static size_t
byte_of(const struct plx_blk_info *info, unsigned int field)
{
	size_t guard = info->pi_size == 8 ? 2 : 8;

	if (field == PLX_PI_GUARD)
		return guard - 1;
	return field == PLX_PI_APP ? guard + 1 : info->pi_size - 1u;
}

/* One field of one block is wrong: found where it is to be checked, and only there. */
static void
wrong_field(struct conf *c, unsigned int field)
{
	const struct plx_blk_info *info = &c->info;
	unsigned int others = all_checks(c) & ~field;
	bool matters = field != PLX_PI_REF || info->pi_type != 3;
	int bad = matters ? -EBADMSG : 0;
	struct area a;
	uint64_t lba;
	uint32_t n;

	lba = place(c, &n, false);
	area_init(c, &a, lba, n);
	a.meta[rnd(c, n) * info->meta_size + info->pi_offset + byte_of(info, field)] ^= 0x40;
	must(c, PLX_OP_WRITE, &a, true, field, bad);
	must(c, PLX_OP_WRITE, &a, true, others, 0);
	must(c, PLX_OP_READ, &a, true, field, bad);
	must(c, PLX_OP_READ, &a, true, others, 0);
	if (has(c, PLX_BLK_CAP_VERIFY)) {
		must(c, PLX_OP_VERIFY, &a, false, field, bad);
		must(c, PLX_OP_VERIFY, &a, false, others, 0);
	}
	if (field != PLX_PI_APP) /* guard and reference tag without a word */
		must(c, PLX_OP_READ, &a, false, 0, bad);
	area_free(&a);
}

static void
check_tags(struct conf *c)
{
	uint32_t i;

	if (c->info.pi_type == 0 || !begin(c))
		return;
	for (i = 0; i < 20; i++) {
		wrong_field(c, PLX_PI_GUARD);
		wrong_field(c, PLX_PI_APP);
		wrong_field(c, PLX_PI_REF);
	}
	model_write_all(c);
}

/* Tags that say: not protected. */
static void
check_escape(struct conf *c)
{
	const struct plx_blk_info *info = &c->info;
	size_t guard = info->pi_size == 8 ? 2 : 8;
	struct area a;

	if (info->pi_type == 0 || !begin(c))
		return;
	area_init(c, &a, 3, 1);
	memset(a.meta + info->pi_offset, 0xff, info->pi_size);
	a.meta[info->pi_offset] = 0;
	must(c, PLX_OP_WRITE, &a, true, 0, 0);
	must(c, PLX_OP_READ, &a, true, all_checks(c), 0);
	a.meta[info->pi_offset + guard + 2] = 0; /* in the reference tag */
	must(c, PLX_OP_WRITE, &a, true, 0, 0);
	must(c, PLX_OP_READ, &a, true, all_checks(c), info->pi_type == 3 ? -EBADMSG : 0);
	area_free(&a);
	model_write_all(c);
}

/* The device makes protection information with the tags it is given. */
static void
check_act(struct conf *c)
{
	const struct plx_blk_info *info = &c->info;
	struct area a;
	uint64_t lba;
	uint32_t n, i;

	if (info->pi_type == 0 || !begin(c))
		return;
	for (i = 0; i < 40; i++) {
		lba = place(c, &n, false);
		area_init(c, &a, lba, n);
		if (info->pi_type == 2)
			a.ext.pi_ref = lba + 77;
		plx_pi_make(info, &a.req);
		if (info->meta_size == info->pi_size) {
			must(c, PLX_OP_WRITE, &a, false, PLX_PI_ACT, 0);
			must(c, PLX_OP_READ, &a, false, PLX_PI_ACT | all_checks(c), 0);
		} else { /* what is around it comes from the host, and what it was is no matter */
			struct plx_blk_ext ext = a.ext;

			a.ext.pi_app = 0x1111;
			plx_pi_make(info, &a.req);
			a.ext = ext;
			must(c, PLX_OP_WRITE, &a, true, PLX_PI_ACT, 0);
			plx_pi_make(info, &a.req);
			must(c, PLX_OP_READ, &a, true, PLX_PI_ACT | all_checks(c), 0);
		}
		must(c, PLX_OP_READ, &a, true, all_checks(c), 0);
		a.ext.pi_app ^= 1;
		must(c, PLX_OP_READ, &a, false, PLX_PI_APP, -EBADMSG);
		a.ext.pi_mask = 0xfffe;
		must(c, PLX_OP_READ, &a, false, PLX_PI_APP, 0);
		area_free(&a);
	}
	model_write_all(c);
}

const struct conf_check conf_checks_meta[] = {
	{"meta_refused", check_refused},
	{"meta", check_roundtrip},
	{"meta_alone", check_alone},
	{"meta_compare", check_compare},
	{"pi_tags", check_tags},
	{"pi_escape", check_escape},
	{"pi_act", check_act},
	{NULL, NULL},
};
