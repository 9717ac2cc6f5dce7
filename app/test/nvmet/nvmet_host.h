/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef NVMET_HOST_H
#define NVMET_HOST_H
/*
 * An NVMe host for tests, written by hand from the specification: it shares no code with the
 * driver, so that both can't be wrong alike. It sees client memory as one piece.
 */
#include <stdbool.h>
#include <stdint.h>

#include <nvme/types.h>

#include "nvmet_wire.h"

#define HOST_IOVA UINT64_C(0x100000000)
#define HOST_MEM (16u << 20)
#define HOST_QUEUES 8

/* A command, in dwords. */
struct host_cmd {
	uint32_t dw[16];
};
struct host_cqe {
	uint32_t dw[4];
};

struct host_ring {
	uint64_t sq_iova, cq_iova;
	uint16_t sq_size, cq_size, tail, head, cid;
	uint8_t phase;
};

struct host {
	struct plx_nvmet *ctrl;
	struct wire *w;
	int fd;
	uint8_t *mem;
	uint64_t next;   /* of the page allocator */
	bool by_message; /* ring by REGION_WRITE */
	bool all_sets;   /* enable all I/O command sets */
	uint32_t *shadow, *evidx;
	struct host_ring q[HOST_QUEUES];
	uint32_t result; /* dword 0 of the last completion */
};

/* Attach devices ("ram:size=16M" ...), create a controller on a fresh socket. */
struct plx_nvmet *host_serve(struct plx_nvmet_conf *conf, unsigned int ndev, ...);
void host_unserve(struct plx_nvmet *ctrl);
extern char host_path[108];

/* Connect, map memory, set bus master. */
void host_open(struct host *h, struct plx_nvmet *ctrl);
void host_close(struct host *h);
/* Enable with admin queues of that many entries. @return CSTS */
uint32_t host_enable(struct host *h, uint16_t entries);
uint32_t host_wait_csts(struct host *h, uint32_t mask, uint32_t value);

uint32_t host_reg(struct host *h, uint32_t off);
uint64_t host_reg64(struct host *h, uint32_t off);
void host_set(struct host *h, uint32_t off, uint32_t value);
void host_set64(struct host *h, uint32_t off, uint64_t value);

/* Pages of client memory. */
uint64_t host_alloc(struct host *h, size_t size);
void *host_va(struct host *h, uint64_t iova);

/* Put a command on a ring (its command id is filled in and returned); ring; poll. */
uint16_t host_put(struct host *h, unsigned int qid, const struct host_cmd *cmd);
void host_ring(struct host *h, unsigned int qid);
/* @return a completion is there */
bool host_take(struct host *h, unsigned int qid, struct host_cqe *cqe);
/* @return a completion came within some seconds */
bool host_get(struct host *h, unsigned int qid, struct host_cqe *cqe);
/* @return none came in a while */
bool host_silent(struct host *h, unsigned int qid);
/* All three. @return status without phase, or 0xffff: none came, or it was not ours */
uint16_t host_run(struct host *h, unsigned int qid, const struct host_cmd *cmd);

/* Admin: @return status */
uint16_t host_admin(struct host *h, uint8_t opc, uint32_t nsid, uint64_t prp1, uint64_t prp2,
	uint32_t dw10, uint32_t dw11);
uint16_t host_create_cq(struct host *h, uint16_t qid, uint16_t size, uint32_t flags, uint16_t iv);
uint16_t host_create_sq(struct host *h, uint16_t qid, uint16_t size, uint16_t cqid);
/* A pair of queues. */
void host_queue(struct host *h, uint16_t qid, uint16_t size);
/* Read, write, compare and the like with PRPs. */
uint16_t host_rw(struct host *h, unsigned int qid, uint8_t opc, uint32_t nsid, uint64_t slba,
	uint32_t nblk, uint64_t prp1, uint64_t prp2);
struct host_cmd host_rw_cmd(
	uint8_t opc, uint32_t nsid, uint64_t slba, uint32_t nblk, uint64_t prp1, uint64_t prp2);

#define SC(sct, sc) (NVME_SCT_##sct << 8 | NVME_SC_##sc | NVME_SC_DNR)
#define SC_RETRY(sct, sc) (NVME_SCT_##sct << 8 | NVME_SC_##sc)
#endif
