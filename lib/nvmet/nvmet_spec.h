/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef NVMET_SPEC_H
#define NVMET_SPEC_H
/*
 * Wire formats that <nvme/types.h> lacks: queue entries and SGL descriptors (NVMe Base 1.4,
 * 4.2, 4.4, 4.6). All fields are little-endian.
 */
#include <assert.h>
#include <stdint.h>

/* An SGL descriptor (1.4, 4.4). */
struct nvmet_sgl {
	uint64_t addr;
	uint32_t len;
	uint8_t rsvd[3];
	uint8_t type; /* 7:4 type, 3:0 subtype */
};
static_assert(sizeof(struct nvmet_sgl) == 16, "SGL descriptor");

enum nvmet_sgl_type {
	NVMET_SGL_DATA = 0x00,
	NVMET_SGL_SEGMENT = 0x20,
	NVMET_SGL_LAST = 0x30,
};

/* A submission queue entry (1.4, 4.2). */
struct nvmet_sqe {
	uint8_t opc;
	uint8_t flags; /* 1:0 FUSE, 7:6 PSDT */
	uint16_t cid;
	uint32_t nsid;
	uint32_t cdw2, cdw3;
	uint64_t mptr;
	union {
		struct {
			uint64_t prp1, prp2;
		};
		struct nvmet_sgl sgl;
	};
	union {
		uint64_t slba;
		struct {
			uint32_t cdw10, cdw11;
		};
	};
	uint32_t cdw12, cdw13, cdw14, cdw15;
};
static_assert(sizeof(struct nvmet_sqe) == 64, "submission queue entry");

#define NVMET_FUSE 0x03
#define NVMET_PSDT 0xc0
#define NVMET_PSDT_SGL 0x40

/* A completion queue entry (1.4, 4.6), as the two words that are stored. */
struct nvmet_cqe {
	uint64_t result;
	uint64_t tail; /* 15:0 SQHD, 31:16 SQID, 47:32 CID, 48 phase, 63:49 status */
};
static_assert(sizeof(struct nvmet_cqe) == 16, "completion queue entry");

/* Fields of command dwords. */
#define NVMET_DW12_FUA (1u << 30)
#define NVMET_DW12_DEAC (1u << 25)

/* Controller registers that are not in CAP of <nvme/types.h>'s form. */
#define NVMET_CSTS_RDY 0x01u
#define NVMET_CSTS_CFS 0x02u
#define NVMET_CSTS_SHST 0x0cu
#define NVMET_CSTS_SHST_BUSY 0x04u
#define NVMET_CSTS_SHST_DONE 0x08u

#define NVMET_PAGE 4096u
#define NVMET_DSTRD 3u /* doorbells 32 bytes apart: a pair, a line */
#define NVMET_DB_BYTES (4u << NVMET_DSTRD)
#define NVMET_DB_OFF 0x1000u
#define NVMET_DB_LEN 0x1000u
#define NVMET_QUEUES (NVMET_DB_LEN / (2 * NVMET_DB_BYTES)) /* 64, the admin pair included */

/* Byte offset of a doorbell in the doorbell page, and in the shadow pages. */
static inline uint32_t
nvmet_db_off(uint32_t qid, uint32_t is_cq)
{
	return (2 * qid + is_cq) * NVMET_DB_BYTES;
}
#endif
