/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TB_VERIFY_META_H
#define TB_VERIFY_META_H
/**
 * @file
 * Metadata of blocks, and protection information in it. The bytes that are no protection
 * information are a pattern made from what the block's tag says.
 */
#include <stdbool.h>
#include <stdint.h>

#include "plx_blk.h"

#include "verify.h"

/** Who makes and checks protection information; on the command line, --pi. */
enum tb_pi {
	TB_PI_DRIVER = 0, /**< nothing is said: the driver lets the device do it */
	TB_PI_ACT,        /**< the device, as each request says, with tags of ours */
	TB_PI_HOST,       /**< the tester; the device checks as well */
};

/** A queue's metadata. */
struct tb_meta {
	struct plx_blk_ext *ext; /**< by request; NULL: data moves alone */
	uint8_t *mem;            /**< by request; NULL: no metadata moves */
	uint32_t stride;         /**< so far apart */
	bool pi_seen;            /**< protection information comes with what is read */
	enum tb_pi pi;
	struct plx_blk_info info; /**< the device's */
};

/** Memory for qd requests of nblk blocks on an lcore of this socket.
 * @return 0 or -ENOMEM; tb_meta_free() in any case */
int tb_meta_alloc(struct tb_meta *m, const struct plx_blk_info *info, enum tb_pi pi, uint16_t qd,
	uint32_t nblk, int socket);
void tb_meta_free(struct tb_meta *m);

/** Complete request i before it is submitted: its ext, and its metadata. tagged: the blocks of a
 * write have their tags; those of a read are known to. */
void tb_meta_lend(const struct tb_meta *m, struct plx_blk_req *req, uint16_t i, bool tagged);

/** Check what a read brought; v: its data was found good, NULL: not known to be tagged. Accounts
 * what is wrong in bad. @return how many blocks were */
uint32_t tb_meta_check(const struct tb_meta *m, const struct plx_blk_req *req,
	const struct tb_verify *v, struct tb_mismatch *bad);

#endif
