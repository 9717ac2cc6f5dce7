/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef NVME_LEND_PRIV_H
#define NVME_LEND_PRIV_H
/* Between nvme_lend.c and nvme_lend_ask.c: what secondary processes have of a controller. */
#include "nvme_mp_priv.h"

#define NVME_LENDS 8     /* processes at a time, of which each has at most: */
#define NVME_LEND_CMDS 5 /* admin commands: the control plane's and its Aborts */

struct nvme_lent_queue {
	uint16_t id;
	bool sq, cq; /* the controller may have them */
	uint32_t nsid;
	struct plx_mp_queue told;
};

/* What a secondary process has of a controller. */
struct nvme_lend {
	struct nvme_lend *next;
	struct nvme_ctrlr *c;
	struct plx_mp_chan *ch;
	bool gone; /* the process, or it is through with us */
	bool parked, learning;
	bool late;        /* it did not answer */
	unsigned int out; /* commands at the controller */
	struct plx_deadline until;
	uint32_t nq;
	struct nvme_lent_queue q[];
};

/* A command at the controller, for a secondary, or to delete what a dead one left. */
struct nvme_lent_cmd {
	struct nvme_lend *l; /* NULL: free */
	struct nvme_lent_queue *q;
	uint16_t cid;
	uint8_t opcode;
	bool own; /* nobody waits for it */
};
struct nvme_lent_cmds {
	struct nvme_lent_cmd cmd[NVME_LENT];
};
static_assert(NVME_LENDS * NVME_LEND_CMDS <= NVME_LENT, "never short of room");

static inline void
nvme_lend_tell(struct nvme_lend *l, enum nvme_mp_kind kind, const void *data, size_t len)
{
	if (!l->gone)
		plx_mp_send(l->ch, kind, data, (uint32_t)len, NULL, 0);
}

/* nvme_lend_ask.c */
struct nvme_lent_queue *nvme_lend_own(struct nvme_lend *l, uint32_t id);
int nvme_lend_admin(struct nvme_lend *l, const struct plx_mp_msg *msg);
void nvme_lend_done(struct nvme_lend *l, uint16_t cid, uint16_t status, uint64_t result);
int nvme_lend_learn(struct nvme_lend *l);
void nvme_lend_delete(struct nvme_lend *l, struct nvme_lent_queue *q);

#endif
