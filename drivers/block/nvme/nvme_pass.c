/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Admin commands of the application: data of any memory goes through a buffer of the arena, as
 * these are few and the device must never reach what it was not given.
 */
#include <errno.h>
#include <string.h>

#include <rte_byteorder.h>

#include "nvme_priv.h"

#define PASS_MAX (1u << 20)

/* Queues, events and doorbells are the driver's, and no command may give the device addresses
 * that the driver doesn't know. */
static bool
forbidden(const struct plx_nvme_cmd *cmd)
{
	uint32_t cdw10 = rte_le_to_cpu_32(cmd->cdw[10]);

	switch (rte_le_to_cpu_32(cmd->cdw[0]) & 0xff) {
	case nvme_admin_create_cq:
	case nvme_admin_create_sq:
	case nvme_admin_delete_cq:
	case nvme_admin_delete_sq:
	case nvme_admin_async_event:
	case nvme_admin_dbbuf:
		return true;
	case nvme_admin_set_features:
		return (cdw10 & 0xff) == NVME_FEAT_FID_NUM_QUEUES ||
		       (cdw10 & 0xff) == NVME_FEAT_FID_HOST_MEM_BUF;
	default:
		return false;
	}
}

int
nvme_pass_prepare(struct nvme_ctrlr *c, const struct plx_nvme_cmd *cmd)
{
	size_t pages = (cmd->data_len + (size_t)c->page_size - 1) / c->page_size;

	if (forbidden(cmd) || cmd->data_len > RTE_MIN(PASS_MAX, c->max_xfer))
		return -EINVAL;
	if (cmd->data_len == 0)
		return 0;
	/* the page in front holds the PRP list */
	c->big = plx_mem_alloc((pages + 1) * c->page_size, c->page_size, c->vfio->numa_node);
	if (c->big == NULL)
		return -ENOMEM;
	if (cmd->to_device)
		memcpy(c->big + c->page_size, cmd->data, cmd->data_len);
	return 0;
}

/* Admin commands over PCIe take PRPs only (NVMe Base 2.0, 4.1). */
static int
map(struct nvme_ctrlr *c, struct nvme_sqe *sqe, size_t len)
{
	uint64_t page = c->page_size, *list = (uint64_t *)c->big, iova;
	size_t pages = (len + page - 1) / page, i;

	iova = plx_mem_iova(c->vfio->domain, c->big, (pages + 1) * page);
	if (iova == PLX_BAD_IOVA)
		return -ENOMEM;
	sqe->dptr[0] = rte_cpu_to_le_64(iova + page);
	if (pages == 2)
		sqe->dptr[1] = rte_cpu_to_le_64(iova + 2 * page);
	if (pages <= 2)
		return 0;
	for (i = 1; i < pages; i++)
		list[i - 1] = rte_cpu_to_le_64(iova + (i + 1) * page);
	sqe->dptr[1] = rte_cpu_to_le_64(iova);
	return 0;
}

int
nvme_pass_start(struct nvme_ctrlr *c, const struct plx_nvme_cmd *cmd)
{
	struct nvme_sqe *sqe = &c->admin.cmd.sqe;
	int rc = 0;

	memcpy(sqe, cmd->cdw, sizeof(*sqe));
	sqe->flags &= 3;
	sqe->mptr = sqe->dptr[0] = sqe->dptr[1] = 0;
	if (cmd->data_len != 0)
		rc = map(c, sqe, cmd->data_len);
	if (rc == 0)
		rc = nvme_admin_start(c, cmd->timeout_ms != 0 ? cmd->timeout_ms
							      : RTE_MAX(c->admin_ms, NVME_PASS_MS));
	if (rc != -EINPROGRESS) { /* the device has not seen it */
		plx_mem_free(c->big);
		c->big = NULL;
	}
	return rc;
}

static bool
changes_namespaces(const struct plx_nvme_cmd *cmd)
{
	uint8_t opcode = (uint8_t)rte_le_to_cpu_32(cmd->cdw[0]);

	return opcode == nvme_admin_format_nvm || opcode == nvme_admin_ns_mgmt ||
	       opcode == nvme_admin_ns_attach;
}

void
nvme_pass_end(struct nvme_ctrlr *c, struct plx_nvme_cmd *cmd, int rc)
{
	if (rc == 0) {
		cmd->status = c->admin.cmd.status;
		cmd->result = c->admin.cmd.result;
		if (c->big != NULL && !cmd->to_device)
			memcpy(cmd->data, c->big + c->page_size, cmd->data_len);
		if (cmd->status == 0 && changes_namespaces(cmd)) {
			c->rescan = true;
			/* other processes look, too, as at the event that others cause */
			nvme_lend_event(c, NVME_AER_NOTICE | NVME_AER_NOTICE_NS_CHANGED << 8 |
						   NVME_LOG_LID_CHANGED_NS << 16);
		}
		plx_mem_free(c->big);
	} else { /* not answered: the device may still be at it */
		nvme_quarantine(c, c->big);
	}
	c->big = NULL;
}
