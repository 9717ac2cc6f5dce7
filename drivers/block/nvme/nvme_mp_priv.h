/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef NVME_MP_PRIV_H
#define NVME_MP_PRIV_H
/*
 * A controller that several processes drive. The primary has the registers, the admin queue and
 * the DMA domain (nvme_lend.c). A secondary runs the same driver (nvme_mp.c) with I/O queues of
 * its own in memory that all processes share, and rings their doorbells itself; in place of
 * registers and admin queue it has a channel to the primary:
 *
 *	secondary				primary
 *	NVME_MP_ADMIN: a command	->	checked, put into the admin queue
 *	the completion			<-	NVME_MP_DONE
 *	NVME_MP_LEARN			->	its domain is synced
 *	where EAL's memory is		<-	NVME_MP_MAP, as many as it takes
 *	queues are parked		<-	NVME_MP_PARK: before a reset or detach
 *	NVME_MP_PARKED			->	the controller is disabled
 *	queues are created again,	<-	NVME_MP_RESUME
 *	commands are sent again
 *	NVME_MP_RESET			->	a reset, for all
 *	doorbells are unmapped		<-	NVME_MP_OFF: it was shut down
 *	NVME_MP_PARKED			->	the kernel has it back
 */
#include "nvme_priv.h"
#include "plx_mp_drv.h"

#define NVME_QIDS 511 /* the most I/O queues that c->qid_used has bits for */

enum nvme_mp_kind {
	NVME_MP_OPENED = 1, /* primary: struct nvme_mp_opened, with descriptors of doorbells */
	NVME_MP_ADMIN,      /* secondary: struct nvme_mp_cmd */
	NVME_MP_DONE,       /* primary: struct nvme_mp_done */
	NVME_MP_LEARN,      /* secondary */
	NVME_MP_MAP,        /* primary: struct nvme_mp_map */
	NVME_MP_PARK,       /* primary */
	NVME_MP_PARKED,     /* secondary */
	NVME_MP_RESUME,     /* primary */
	NVME_MP_RESET,      /* secondary */
	NVME_MP_EVENT,      /* primary: dword 0 of an event, uint32_t */
	NVME_MP_OFF,        /* primary: it was shut down, and reaches no memory any more */
	NVME_MP_GONE,       /* primary: it is lost */
	NVME_MP_STATS,      /* secondary: struct nvme_mp_stats */
};

struct nvme_mp_want {
	uint32_t queues;
};
struct nvme_mp_opened {
	uint64_t cap;
	uint32_t vs, quirks;
	uint32_t queues;                     /* granted: */
	uint64_t qids[(NVME_QIDS + 1) / 64]; /* their ids on the controller, a bit each */
	uint64_t shadow, shadow_iova;        /* doorbell buffers; 0: none */
	struct plx_vfio_share share;         /* of BAR 0 */
	uint32_t io_ms, admin_ms;
	int32_t numa_node;
	bool no_sgl;
};
struct nvme_mp_cmd {
	struct nvme_sqe sqe;
	uint64_t cid; /* the secondary's */
};
struct nvme_mp_done {
	uint64_t result;
	uint16_t cid, status;
	uint32_t rsvd;
};
struct nvme_mp_map {
	int32_t rc;
	uint32_t n;
	uint32_t last; /* no more follow */
	uint32_t rsvd;
	struct plx_mem_range r[160];
};
struct nvme_mp_stats {
	uint32_t nsid;
	uint16_t id; /* on the controller */
	struct plx_mp_queue queue;
};
static_assert(sizeof(struct nvme_mp_map) <= PLX_MP_DATA &&
		      sizeof(struct nvme_mp_opened) <= PLX_MP_DATA &&
		      sizeof(struct nvme_mp_stats) <= PLX_MP_DATA,
	"one message each");

#endif
