/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef RAM_PRIV_H
#define RAM_PRIV_H
#include "plx_blk_drv.h"
#include "plx_probe_drv.h"

struct ram {
	struct plx_blk blk;
	uint8_t *base, *meta; /* data; metadata, NULL: none */
	uint64_t delay;       /* TSC cycles */
	uint64_t error_read, error_write;
	uint32_t error_every;
};

/* ram.c: data to or from the medium, or compared with it. @return status */
int ram_data(const struct plx_blk_req *req, uint8_t *at, size_t len);
void ram_zero(uint8_t *at, size_t len);

/* ram_meta.c: blocks with metadata */
int ram_meta_args(struct plx_dev *dev, struct plx_blk_info *info);
int ram_meta_alloc(struct ram *ram);
void ram_meta_free(struct ram *ram);
/* Run a command. @return its status; sets raw */
int ram_meta_run(const struct ram *ram, struct plx_blk_req *req);

#endif
