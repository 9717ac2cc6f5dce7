/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Blocks with metadata, kept apart from the data, and protection information in it: made, checked
 * and taken away as an NVMe namespace does (NVM Command Set 1.0, 5.2).
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "plx_log.h"
#include "plx_pi.h"

#include "ram_priv.h"

PLX_LOG_USE(ram);

/* What a command does with protection information. */
struct pi {
	struct plx_blk_ext ext; /* the blocks on the medium, with the command's tags */
	struct plx_blk_req req;
	unsigned int flags;
	bool moves; /* metadata from or to the application */
};

static size_t
meta_len(const struct ram *ram)
{
	return ram->blk.info.nblocks * ram->blk.info.meta_size;
}

int
ram_meta_args(struct plx_dev *dev, struct plx_blk_info *info)
{
	uint32_t type, guard, meta, first;

	if (plx_arg_u32(dev, "pi", 0, 3, 0, &type) != 0 ||
		plx_arg_u32(dev, "guard", 16, 64, 16, &guard) != 0 ||
		plx_arg_u32(dev, "pi_first", 0, 1, 0, &first) != 0)
		return -EINVAL;
	if (guard != 16 && guard != 64)
		return plx_arg_bad(dev, "guard", "is neither 16 nor 64");
	info->pi_type = (uint8_t)type;
	info->pi_size = type == 0 ? 0 : guard == 16 ? 8 : 16;
	if (plx_arg_u32(dev, "meta", 0, 4096, info->pi_size, &meta) != 0)
		return -EINVAL;
	if (meta % 4 != 0 || meta < info->pi_size)
		return plx_arg_bad(
			dev, "meta", "is not a multiple of 4 with room for the protection");
	info->meta_size = meta;
	info->pi_offset = first ? 0 : meta - info->pi_size;
	return 0;
}

/* Where nobody has written, nothing is protected: all tags are ones. */
int
ram_meta_alloc(struct ram *ram)
{
	size_t len = meta_len(ram);

	if (len == 0)
		return 0;
	ram->meta = mmap(NULL, len, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (ram->meta == MAP_FAILED) {
		PLX_LOG(ERR, "ram: %s: no room for %zu bytes of metadata", ram->blk.info.name, len);
		ram->meta = NULL;
		return -ENOMEM;
	}
	if (ram->blk.info.pi_type != 0)
		memset(ram->meta, 0xff, len);
	return 0;
}

void
ram_meta_free(struct ram *ram)
{
	if (ram->meta != NULL)
		munmap(ram->meta, meta_len(ram));
}

static void
pi_begin(const struct ram *ram, struct pi *pi, const struct plx_blk_req *req)
{
	const struct plx_blk_info *info = &ram->blk.info;
	const struct plx_blk_ext *ext = req->ext;

	memset(pi, 0, sizeof(*pi));
	if (ext != NULL && (ext->meta != NULL || ext->pi_flags != 0)) {
		pi->ext = *ext;
		pi->flags = ext->pi_flags;
	} else {
		pi->flags = PLX_PI_GUARD | PLX_PI_REF;
		pi->ext.pi_ref = info->pi_type == 3 ? 0 : req->lba;
	}
	pi->moves = pi->ext.meta != NULL;
	if (!pi->moves)
		pi->flags |= PLX_PI_ACT;
	else if ((pi->flags & PLX_PI_ACT) && info->meta_size == info->pi_size)
		pi->moves = false; /* it is all made here, and taken away */
	pi->ext.meta = ram->meta + req->lba * info->meta_size;
	pi->req = (struct plx_blk_req){
		.lba = req->lba,
		.nblk = req->nblk,
		.buf = ram->base + req->lba * info->block_size,
		.ext = &pi->ext,
	};
}

/* As NVMe devices tell which check failed. */
static int
pi_check(const struct ram *ram, const struct plx_blk_req *at, struct plx_blk_req *req,
	unsigned int flags)
{
	struct plx_pi_error err;
	int rc;

	if (ram->blk.info.pi_type == 0)
		return 0;
	rc = plx_pi_check(&ram->blk.info, at, flags, &err);
	if (rc == -EBADMSG)
		req->raw = err.field == PLX_PI_GUARD ? 0x282
			   : err.field == PLX_PI_APP ? 0x283
						     : 0x284;
	return rc;
}

static int
read_meta(const struct ram *ram, struct pi *pi, struct plx_blk_req *req, size_t len, size_t mlen)
{
	int rc = pi_check(ram, &pi->req, req, pi->flags);

	if (rc == 0)
		rc = ram_data(req, pi->req.buf, len);
	if (rc == 0 && pi->moves)
		memcpy(req->ext->meta, pi->ext.meta, mlen);
	return rc;
}

static int
write_meta(const struct ram *ram, struct pi *pi, struct plx_blk_req *req, size_t len, size_t mlen)
{
	const struct plx_blk_info *info = &ram->blk.info;
	int rc = 0;

	if (!plx_req_data_ok(req, len))
		return -EINVAL;
	if (!(pi->flags & PLX_PI_ACT))
		rc = pi_check(ram, req, req, pi->flags);
	if (rc != 0)
		return rc;
	ram_data(req, pi->req.buf, len);
	if (pi->moves)
		memcpy(pi->ext.meta, req->ext->meta, mlen);
	else
		memset(pi->ext.meta, 0, mlen);
	if (info->pi_type != 0 && (pi->flags & PLX_PI_ACT))
		plx_pi_make(info, &pi->req);
	return 0;
}

/* Protection information is left out of the comparison (3.2.1). */
static int
compare_meta(const struct ram *ram, struct pi *pi, struct plx_blk_req *req, size_t len)
{
	static const uint8_t zeroes[4096];
	const struct plx_blk_info *info = &ram->blk.info;
	size_t front = info->pi_type != 0 ? info->pi_offset : info->meta_size;
	size_t back = front + info->pi_size, tail = info->meta_size - back;
	const uint8_t *want = pi->moves ? req->ext->meta : zeroes, *got = pi->ext.meta;
	int rc = pi_check(ram, &pi->req, req, pi->flags);
	uint32_t i;

	if (rc == 0)
		rc = ram_data(req, pi->req.buf, len);
	for (i = 0; rc == 0 && i < req->nblk; i++) {
		if (memcmp(got, want, front) != 0 || memcmp(got + back, want + back, tail) != 0)
			rc = -EILSEQ;
		got += info->meta_size;
		want += pi->moves ? info->meta_size : 0;
	}
	return rc;
}

int
ram_meta_run(const struct ram *ram, struct plx_blk_req *req)
{
	const struct plx_blk_info *info = &ram->blk.info;
	size_t len = (size_t)req->nblk * info->block_size;
	size_t mlen = (size_t)req->nblk * info->meta_size;
	struct pi pi;

	pi_begin(ram, &pi, req);
	switch (req->op) {
	case PLX_OP_READ:
		return read_meta(ram, &pi, req, len, mlen);
	case PLX_OP_WRITE:
		return write_meta(ram, &pi, req, len, mlen);
	case PLX_OP_COMPARE:
		return compare_meta(ram, &pi, req, len);
	case PLX_OP_VERIFY:
		return pi_check(ram, &pi.req, req, pi.flags);
	case PLX_OP_DISCARD:
		ram_zero(pi.req.buf, len);
		memset(pi.ext.meta, info->pi_type != 0 ? 0xff : 0, mlen);
		return 0;
	default: /* write zeroes */
		ram_zero(pi.req.buf, len);
		memset(pi.ext.meta, 0, mlen);
		if (info->pi_type != 0)
			plx_pi_make(info, &pi.req);
		return 0;
	}
}
