/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Firmware slots (NVMe Base 2.0, 5.12 and 5.13). There is no firmware to replace: an image is
 * what begins with a mark and a revision, and an active one is but the revision told. That is
 * enough for what hosts do about it.
 */
#include <string.h>

#include "nvmet_priv.h"

#define IMAGE_MARK "PLXNVMET"
#define PIECE 4096u /* FWUG 1 */
#define MAX_IMAGE (64 * PIECE)

void
nvmet_fw_init(struct plx_nvmet *c)
{
	c->fw.active = 1;
	memset(c->fw.rev[0], ' ', sizeof(c->fw.rev[0]));
	memcpy(c->fw.rev[0], NVMET_FIRMWARE, strlen(NVMET_FIRMWARE));
}

void
nvmet_fw_reset(struct plx_nvmet *c)
{
	c->fw.have = 0;
	if (c->fw.next != 0)
		c->fw.active = c->fw.next;
	c->fw.next = 0;
}

/* Pieces of an image come in any order; what is kept is the head, and which there were. */
uint16_t
nvmet_fw_download(struct plx_nvmet *c, const struct nvmet_sqe *e)
{
	uint64_t len = ((uint64_t)rte_le_to_cpu_32(e->cdw10) + 1) * 4;
	uint64_t off = (uint64_t)rte_le_to_cpu_32(e->cdw11) * 4, mask;
	struct nvmet_cmd *spare = &c->cmds[c->ncmd];
	struct nvmet_fw *fw = &c->fw;
	uint64_t n = (len + PIECE - 1) / PIECE;
	uint16_t rc;

	if (len > (uint64_t)NVMET_PAGE << c->mdts || off % PIECE != 0 || off + len > MAX_IMAGE)
		return NVMET_ERR(GENERIC, INVALID_FIELD);
	rc = nvmet_data_map(c, spare, e, len, false);
	if (rc != 0)
		return rc;
	mask = (n == 64 ? UINT64_MAX : (UINT64_C(1) << n) - 1) << off / PIECE;
	if (off == 0) /* another one */
		fw->have = 0;
	if ((fw->have & mask) != 0)
		return NVMET_ERR(CMD_SPECIFIC, OVERLAPPING_RANGE);
	if (off == 0) {
		memset(fw->head, 0, sizeof(fw->head));
		rc = nvmet_data_get(c, e, c->page, RTE_MIN(len, (uint64_t)sizeof(fw->head)));
		if (rc != 0)
			return rc;
		memcpy(fw->head, c->page, RTE_MIN(len, (uint64_t)sizeof(fw->head)));
	}
	fw->have |= mask;
	return 0;
}

/* @return the image is whole, and one of ours */
static bool
image_ok(const struct nvmet_fw *fw)
{
	uint32_t i;

	if (fw->have == 0 || (fw->have & (fw->have + 1)) != 0 ||
		memcmp(fw->head, IMAGE_MARK, strlen(IMAGE_MARK)) != 0)
		return false;
	for (i = strlen(IMAGE_MARK); i < sizeof(fw->head); i++)
		if (fw->head[i] < ' ' || fw->head[i] > '~')
			return false;
	return true;
}

/* Put what was downloaded into a slot. @return status */
static uint16_t
replace(struct nvmet_fw *fw, uint32_t slot)
{
	bool ok = image_ok(fw);

	fw->have = 0;
	if (!ok)
		return NVMET_ERR(CMD_SPECIFIC, FIRMWARE_IMAGE);
	if (slot == 1) /* is read-only */
		return NVMET_ERR(CMD_SPECIFIC, FIRMWARE_SLOT);
	memcpy(fw->rev[slot - 1], fw->head + strlen(IMAGE_MARK), sizeof(fw->rev[0]));
	return 0;
}

uint16_t
nvmet_fw_commit(struct plx_nvmet *c, const struct nvmet_sqe *e)
{
	uint32_t dw10 = rte_le_to_cpu_32(e->cdw10), slot = dw10 & 7, act = dw10 >> 3 & 7;
	struct nvmet_fw *fw = &c->fw;
	uint16_t rc = 0;

	if (act > NVME_FW_COMMIT_CA_REPLACE_AND_ACTIVATE_IMMEDIATE)
		return NVMET_ERR(GENERIC, INVALID_FIELD); /* no boot partitions */
	if (slot > NVMET_FW_SLOTS)
		return NVMET_ERR(CMD_SPECIFIC, FIRMWARE_SLOT);
	if (slot == 0) /* ours to choose: one that is not running */
		slot = fw->active == 2 ? 3 : 2;
	if (act <= NVME_FW_COMMIT_CA_REPLACE_AND_ACTIVATE ||
		(act > NVME_FW_COMMIT_CA_SET_ACTIVE && fw->have != 0))
		rc = replace(fw, slot);
	if (rc == 0 && fw->rev[slot - 1][0] == '\0')
		rc = NVMET_ERR(CMD_SPECIFIC, FIRMWARE_IMAGE);
	if (rc != 0 || act == NVME_FW_COMMIT_CA_REPLACE)
		return rc;
	if (act > NVME_FW_COMMIT_CA_SET_ACTIVE) { /* at once */
		fw->active = (uint8_t)slot;
		fw->next = 0;
	} else {
		fw->next = (uint8_t)slot;
	}
	return 0;
}

uint32_t
nvmet_log_firmware(struct plx_nvmet *c)
{
	struct nvme_firmware_slot *log = (void *)c->page;

	log->afi = (uint8_t)(c->fw.active | c->fw.next << 4);
	memcpy(log->frs, c->fw.rev, sizeof(c->fw.rev));
	return sizeof(*log);
}
