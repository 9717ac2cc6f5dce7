/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef AOE_H
#define AOE_H
/* ATA over Ethernet: packets to requests, and back, in place. */
#include <rte_mbuf.h>

#include <plx_blk.h>

#define AOE_SECTOR 512

enum aoe_verdict {
	AOE_IGNORE,   /* not for us, or malformed */
	AOE_ANSWERED, /* the packet is the answer now */
	AOE_REQUEST,  /* the request is to be run; then aoe_reply() */
};

/* Look at a packet that came in. */
enum aoe_verdict aoe_receive(
	struct rte_mbuf *m, const struct plx_blk_info *info, struct plx_blk_req *req);
/* Make the packet the answer to its request, which is finished. */
void aoe_reply(struct rte_mbuf *m, const struct plx_blk_req *req);

#endif
