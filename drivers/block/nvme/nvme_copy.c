/* SPDX-License-Identifier: BSD-3-Clause */
/* Copy (NVM Command Set 1.0, 3.2.2), with descriptors of format 0. */
#include <rte_byteorder.h>

#include "nvme_priv.h"

#define FORMAT_0 1u /* in OCFS */

/* A command's descriptors are in its tracker's slot. */
#define MAX_RANGES (NVME_SLOT_BYTES / sizeof(struct nvme_copy_range))
static_assert(sizeof(struct nvme_copy_range) == 32, "NVM Command Set 1.0, figure 30");

/* Protection information would have to be made again, tags and all: applications do that by
 * reading and writing. */
void
nvme_copy_info(const struct nvme_ctrlr *c, const struct nvme_id_ns *id, struct plx_blk_info *info)
{
	if ((rte_le_to_cpu_16(c->id.oncs) & NVME_CTRL_ONCS_COPY) == 0 ||
		(rte_le_to_cpu_16(c->id.ocfs) & FORMAT_0) == 0 || id->mcl == 0 || id->mssrl == 0 ||
		info->pi_type != 0)
		return;
	info->caps |= PLX_BLK_CAP_COPY;
	info->max_copy_nblk = rte_le_to_cpu_32(id->mcl);
	info->max_copy_range_nblk = rte_le_to_cpu_16(id->mssrl);
	info->max_copy_ranges = (uint16_t)RTE_MIN(id->msrc + 1u, MAX_RANGES);
}

/* sqe has its opcode and namespace. */
void
nvme_copy_build(struct nvme_qpair *q, const struct nvme_tracker *t, struct nvme_sqe *sqe,
	const struct plx_blk_req *req)
{
	size_t off = (size_t)(t - q->trk) * NVME_SLOT_BYTES;
	struct nvme_copy_range *d = (void *)(q->slots + off);
	uint32_t cdw12 = req->nseg - 1u;
	uint16_t i;

	for (i = 0; i < req->nseg; i++)
		d[i] = (struct nvme_copy_range){
			.slba = rte_cpu_to_le_64(req->ranges[i].lba),
			.nlb = rte_cpu_to_le_16((uint16_t)(req->ranges[i].nblk - 1)),
		};
	cdw12 |= req->flags & PLX_IO_FUA ? NVME_CDW12_FUA : 0;
	sqe->dptr[0] = rte_cpu_to_le_64(q->slots_iova + off);
	sqe->cdw10 = rte_cpu_to_le_32((uint32_t)req->lba);
	sqe->cdw11 = rte_cpu_to_le_32((uint32_t)(req->lba >> 32));
	sqe->cdw12 = rte_cpu_to_le_32(cdw12);
}
