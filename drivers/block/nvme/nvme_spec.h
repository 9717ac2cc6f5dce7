/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef NVME_SPEC_H
#define NVME_SPEC_H
/*
 * Wire formats of NVMe that libnvme's <nvme/types.h> does not have: queue entries and SGL
 * descriptors. All fields are little-endian.
 */
#include <assert.h>
#include <stdint.h>

#include <nvme/types.h>

/* Submission queue entry (NVMe Base 2.0, 3.3.3.1). */
struct nvme_sqe {
	uint8_t opcode;
	uint8_t flags; /* 1:0 FUSE, 7:6 PSDT */
	uint16_t cid;
	uint32_t nsid;
	uint32_t cdw2, cdw3;
	uint64_t mptr;
	uint64_t dptr[2]; /* PRP1 and PRP2, or one SGL descriptor */
	uint32_t cdw10, cdw11, cdw12, cdw13, cdw14, cdw15;
} __attribute__((aligned(64)));
static_assert(sizeof(struct nvme_sqe) == 64, "NVMe Base 2.0, 3.3.3.1");

#define NVME_SQE_PSDT_SGL 0x40 /* SGL for data, MPTR is a buffer */

/* Completion queue entry (NVMe Base 2.0, 3.3.3.2). */
struct nvme_cqe {
	uint64_t result; /* dwords 0 and 1 */
	uint16_t sqhd, sqid;
	uint32_t cid_status; /* 15:0 CID, 16 phase, 31:17 status */
};
static_assert(sizeof(struct nvme_cqe) == 16, "NVMe Base 2.0, 3.3.3.2");

/* SGL descriptor (NVMe Base 2.0, 4.1.2). */
struct nvme_sgl {
	uint64_t addr;
	uint32_t len;
	uint8_t rsvd[3];
	uint8_t type; /* 7:4 type, 3:0 subtype */
};
static_assert(sizeof(struct nvme_sgl) == 16, "NVMe Base 2.0, 4.1.2");

#define NVME_SGL_DATA 0x00
#define NVME_SGL_LAST_SEGMENT 0x30

/* Dword 12 of commands that write */
#define NVME_CDW12_FUA (1u << 30)

#define NVME_Q_PC 1            /* create queue, dword 11: physically contiguous */
#define NVME_Q_MEDIUM (2 << 1) /* submission queue: priority */
#define NVME_Q_IEN 2           /* completion queue: interrupts, by the vector in 31:16 */
#define NVME_DB_BASE 0x1000
#define NVME_ALL_ONES 0xffffffffu

#endif
