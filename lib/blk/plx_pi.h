/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef PLX_PI_H
#define PLX_PI_H
/**
 * @file
 * Protection information on this side: made before a write, checked after a read, so that data
 * is covered all the way from the application to the medium and back.
 *
 *	write:	plx_pi_make(info, req);                     then submit
 *	read:	submit, poll, status 0;                     then plx_pi_check(info, req, ...)
 *
 * req->ext->meta has the metadata of all of the request's blocks, protection information in it at
 * info.pi_offset (NVM Command Set 1.0, 5.2). What the device checks on its way is ext->pi_flags.
 * Any thread; a request that is not lent to a queue.
 *
 * A guard is a CRC over the block's data and the metadata in front of the protection information:
 * CRC-16 T10-DIF in 8 bytes of it, CRC-64 NVMe in 16. The application tag is the application's.
 * The reference tag goes up by one a block; type 1: it is the block's address whatever pi_ref says;
 * type 3: pi_ref in every block, and nobody checks it.
 */
#include "plx_blk.h"

#ifdef __cplusplus
extern "C" {
#endif

/** What was wrong in the first bad block. */
struct plx_pi_error {
	uint64_t lba;
	uint64_t expected, found; /**< application tag: as they are under the mask */
	uint8_t field;            /**< PLX_PI_GUARD, PLX_PI_APP or PLX_PI_REF */
};

/**
 * Write the protection information of a request's blocks into its metadata, with ext->pi_app and
 * ext->pi_ref as tags. Reads lba, nblk, data and ext; the operation doesn't matter.
 * @return 0; -EINVAL the device has none, there is no metadata, or the segments don't add up
 */
int plx_pi_make(const struct plx_blk_info *info, const struct plx_blk_req *req);

/**
 * Check it: what flags says of guard, application tag (where ext->pi_mask has bits) and reference
 * tag. Blocks whose application tag is 0xffff (type 3: and whose reference tag is all ones)
 * are not protected and pass: so are blocks that nobody wrote.
 *
 * @param info   the device's
 * @param req    a request that came back
 * @param flags  PLX_PI_GUARD, PLX_PI_APP, PLX_PI_REF
 * @param err    out, when -EBADMSG; may be NULL
 * @return 0; -EBADMSG; -EINVAL as above
 */
int plx_pi_check(const struct plx_blk_info *info, const struct plx_blk_req *req, unsigned int flags,
	struct plx_pi_error *err);

#ifdef __cplusplus
}
#endif
#endif
