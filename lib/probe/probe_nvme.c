/* SPDX-License-Identifier: BSD-3-Clause */
/* Admin commands of NVMe controllers. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <nvme/types.h>

#include <rte_byteorder.h>
#include <rte_common.h>

#include "plx_ctrl.h"
#include "plx_nvme.h"

#include "probe_priv.h"

#define CHUNK 4096u /* of logs and images: every controller takes a page */
#define FORMAT_MS 600000u
#define SLOW_MS 120000u /* firmware, namespaces */

/* ---- operations ---- */

static int
begin(struct plx_dev *dev, struct plx_nvme_cmd *cmd)
{
	const struct plx_nvme_ops *ops = dev->drv != NULL ? dev->drv->nvme : NULL;
	int rc;

	if (ops == NULL || dev->state != DEV_ATTACHED)
		return -ENOTSUP;
	if (dev->nvme)
		return -EBUSY;
	if (cmd != NULL && cmd->data_len != 0 && cmd->data == NULL)
		return -EINVAL;
	rc = cmd != NULL ? ops->admin(dev, cmd) : ops->reset(dev);
	if (rc != 0 && rc != -EINPROGRESS)
		return rc;
	dev->nvme = true;
	dev->nvme_rc = rc;
	return 0;
}

int
plx_nvme_admin_begin(struct plx_dev *dev, struct plx_nvme_cmd *cmd)
{
	int rc;

	plx_ctrl_lock();
	rc = begin(dev, cmd);
	plx_ctrl_unlock();
	return rc;
}

int
plx_nvme_reset_begin(struct plx_dev *dev)
{
	return plx_nvme_admin_begin(dev, NULL);
}

int
plx_nvme_poll(struct plx_dev *dev)
{
	int rc;

	plx_ctrl_lock();
	rc = dev->nvme ? dev->nvme_rc : 0;
	if (rc == -EINPROGRESS)
		rc = dev->drv->nvme->poll(dev);
	if (rc != -EINPROGRESS)
		dev->nvme = false;
	plx_ctrl_unlock();
	return rc;
}

static int
wait_for(struct plx_dev *dev, struct plx_nvme_cmd *cmd)
{
	unsigned int idle = 0;
	int rc;

	while ((rc = plx_nvme_admin_begin(dev, cmd)) == -EBUSY)
		plx_ctrl_drive(&idle);
	while (rc == 0 && (rc = plx_nvme_poll(dev)) == -EINPROGRESS) {
		plx_ctrl_drive(&idle);
		rc = 0;
	}
	return rc;
}

int
plx_nvme_admin(struct plx_dev *dev, struct plx_nvme_cmd *cmd)
{
	int rc = wait_for(dev, cmd);

	return rc == 0 ? cmd->status : rc;
}

int
plx_nvme_reset(struct plx_dev *dev)
{
	return wait_for(dev, NULL);
}

/* ---- helpers ---- */

static struct plx_nvme_cmd
command(uint8_t opcode, uint32_t nsid)
{
	struct plx_nvme_cmd cmd = {0};

	cmd.cdw[0] = rte_cpu_to_le_32(opcode);
	cmd.cdw[1] = rte_cpu_to_le_32(nsid);
	return cmd;
}

static void
set(struct plx_nvme_cmd *cmd, unsigned int dword, uint32_t value)
{
	cmd->cdw[dword] = rte_cpu_to_le_32(value);
}

int
plx_nvme_identify(
	struct plx_dev *dev, uint8_t cns, uint32_t nsid, uint16_t cntid, uint8_t csi, void *buf)
{
	struct plx_nvme_cmd cmd = command(nvme_admin_identify, nsid);

	set(&cmd, 10, cns | (uint32_t)cntid << 16);
	set(&cmd, 11, (uint32_t)csi << 24);
	cmd.data = buf;
	cmd.data_len = NVME_IDENTIFY_DATA_SIZE;
	return plx_nvme_admin(dev, &cmd);
}

int
plx_nvme_get_log(struct plx_dev *dev, const struct plx_nvme_log *log, void *buf, uint32_t len)
{
	struct plx_nvme_cmd cmd;
	uint32_t done, dwords;
	int rc = 0;

	if (len == 0 || len % 4 != 0)
		return -EINVAL;
	for (done = 0; rc == 0 && done < len; done += cmd.data_len) {
		cmd = command(nvme_admin_get_log_page, log->nsid != 0 ? log->nsid : NVME_NSID_ALL);
		cmd.data = (uint8_t *)buf + done;
		cmd.data_len = RTE_MIN(len - done, CHUNK);
		dwords = cmd.data_len / 4 - 1;
		/* the event goes with the last piece */
		set(&cmd, 10,
			log->lid | (uint32_t)(log->lsp & 0x7f) << 8 |
				(uint32_t)(log->rae || done + cmd.data_len < len) << 15 |
				dwords << 16);
		set(&cmd, 11, dwords >> 16 | (uint32_t)log->lsi << 16);
		set(&cmd, 12, (uint32_t)(log->offset + done));
		set(&cmd, 13, (uint32_t)((log->offset + done) >> 32));
		set(&cmd, 14, (uint32_t)log->csi << 24);
		rc = plx_nvme_admin(dev, &cmd);
	}
	return rc;
}

static int
feature(struct plx_dev *dev, uint8_t opcode, const struct plx_nvme_feature *f, uint32_t cdw10,
	uint32_t *value)
{
	struct plx_nvme_cmd cmd = command(opcode, f->nsid);
	int rc;

	set(&cmd, 10, f->fid | cdw10);
	set(&cmd, 11, f->cdw11);
	set(&cmd, 12, f->cdw12);
	cmd.data = f->data;
	cmd.data_len = f->data_len;
	cmd.to_device = opcode == nvme_admin_set_features;
	rc = plx_nvme_admin(dev, &cmd);
	if (rc == 0 && value != NULL)
		*value = (uint32_t)cmd.result;
	return rc;
}

int
plx_nvme_get_feature(struct plx_dev *dev, const struct plx_nvme_feature *f, uint32_t *value)
{
	return feature(dev, nvme_admin_get_features, f, (uint32_t)(f->sel & 7) << 8, value);
}

int
plx_nvme_set_feature(struct plx_dev *dev, const struct plx_nvme_feature *f, uint32_t *value)
{
	return feature(dev, nvme_admin_set_features, f, (uint32_t)f->save << 31, value);
}

int
plx_nvme_format(struct plx_dev *dev, uint32_t nsid, uint32_t cdw10, uint32_t timeout_ms)
{
	struct plx_nvme_cmd cmd = command(nvme_admin_format_nvm, nsid);

	set(&cmd, 10, cdw10);
	cmd.timeout_ms = timeout_ms != 0 ? timeout_ms : FORMAT_MS;
	return plx_nvme_admin(dev, &cmd);
}

int
plx_nvme_sanitize(struct plx_dev *dev, uint32_t cdw10, uint32_t pattern)
{
	struct plx_nvme_cmd cmd = command(nvme_admin_sanitize_nvm, 0);

	set(&cmd, 10, cdw10);
	set(&cmd, 11, pattern);
	return plx_nvme_admin(dev, &cmd);
}

int
plx_nvme_self_test(struct plx_dev *dev, uint32_t nsid, uint8_t stc)
{
	struct plx_nvme_cmd cmd = command(nvme_admin_dev_self_test, nsid);

	set(&cmd, 10, stc);
	return plx_nvme_admin(dev, &cmd);
}

/* Pieces of FWUG x 4 KiB, or of 4 KiB where the controller asks for nothing (5.13). */
static int
granularity(struct plx_dev *dev, uint32_t *bytes)
{
	struct nvme_id_ctrl *id = malloc(sizeof(*id));
	int rc = id == NULL ? -ENOMEM : plx_nvme_identify(dev, NVME_IDENTIFY_CNS_CTRL, 0, 0, 0, id);

	if (rc == 0)
		*bytes = CHUNK * (id->fwug != 0 && id->fwug != 0xff ? id->fwug : 1);
	free(id);
	return rc;
}

int
plx_nvme_fw_download(struct plx_dev *dev, const void *image, uint32_t len, uint32_t offset)
{
	uint32_t piece, done;
	int rc;

	if (len == 0 || len % 4 != 0 || offset % 4 != 0)
		return -EINVAL;
	rc = granularity(dev, &piece);
	for (done = 0; rc == 0 && done < len; done += piece) {
		struct plx_nvme_cmd cmd = command(nvme_admin_fw_download, 0);

		cmd.data = (uint8_t *)(uintptr_t)image + done;
		cmd.data_len = RTE_MIN(piece, len - done);
		cmd.to_device = true;
		cmd.timeout_ms = SLOW_MS;
		set(&cmd, 10, cmd.data_len / 4 - 1);
		set(&cmd, 11, (offset + done) / 4);
		rc = plx_nvme_admin(dev, &cmd);
	}
	return rc;
}

int
plx_nvme_fw_commit(struct plx_dev *dev, uint8_t slot, uint8_t action, uint32_t *result)
{
	struct plx_nvme_cmd cmd = command(nvme_admin_fw_commit, 0);
	int rc;

	set(&cmd, 10, (slot & 7) | (uint32_t)(action & 7) << 3);
	cmd.timeout_ms = SLOW_MS;
	rc = plx_nvme_admin(dev, &cmd);
	if (result != NULL)
		*result = (uint32_t)cmd.result;
	return rc;
}

int
plx_nvme_ns_create(struct plx_dev *dev, const void *data, uint8_t csi, uint32_t *nsid)
{
	struct plx_nvme_cmd cmd = command(nvme_admin_ns_mgmt, 0);
	int rc;

	set(&cmd, 10, NVME_NS_MGMT_SEL_CREATE);
	set(&cmd, 11, (uint32_t)csi << 24);
	cmd.data = (void *)(uintptr_t)data;
	cmd.data_len = NVME_IDENTIFY_DATA_SIZE;
	cmd.to_device = true;
	cmd.timeout_ms = SLOW_MS;
	rc = plx_nvme_admin(dev, &cmd);
	if (rc == 0)
		*nsid = (uint32_t)cmd.result;
	return rc;
}

int
plx_nvme_ns_delete(struct plx_dev *dev, uint32_t nsid)
{
	struct plx_nvme_cmd cmd = command(nvme_admin_ns_mgmt, nsid);

	set(&cmd, 10, NVME_NS_MGMT_SEL_DELETE);
	cmd.timeout_ms = SLOW_MS;
	return plx_nvme_admin(dev, &cmd);
}

int
plx_nvme_ns_attach(
	struct plx_dev *dev, uint32_t nsid, const uint16_t *cntids, uint16_t n, bool attach)
{
	struct plx_nvme_cmd cmd = command(nvme_admin_ns_attach, nsid);
	uint16_t list[NVME_IDENTIFY_DATA_SIZE / 2] = {rte_cpu_to_le_16(n)};

	if (n == 0 || n >= RTE_DIM(list))
		return -EINVAL;
	for (uint16_t i = 0; i < n; i++)
		list[i + 1] = rte_cpu_to_le_16(cntids[i]);
	set(&cmd, 10, attach ? NVME_NS_ATTACH_SEL_CTRL_ATTACH : NVME_NS_ATTACH_SEL_CTRL_DEATTACH);
	cmd.data = list;
	cmd.data_len = sizeof(list);
	cmd.to_device = true;
	return plx_nvme_admin(dev, &cmd);
}

/* ---- reservations: I/O commands ---- */

static void
resv(struct plx_nvme_cmd *cmd, uint8_t opcode, void *data, const struct plx_nvme_resv *r,
	uint32_t cdw10)
{
	uint64_t *keys = data;

	*cmd = command(opcode, 0);
	set(cmd, 10, cdw10 | (r->action & 7u) | (uint32_t)r->iekey << 3);
	keys[0] = rte_cpu_to_le_64(r->crkey);
	keys[1] = rte_cpu_to_le_64(r->key);
	cmd->data_len = opcode == nvme_cmd_resv_release ? 8 : 16;
	cmd->to_device = true;
}

void
plx_nvme_resv_register(struct plx_nvme_cmd *cmd, void *data, const struct plx_nvme_resv *r)
{
	resv(cmd, nvme_cmd_resv_register, data, r, (uint32_t)r->cptpl << 30);
}

void
plx_nvme_resv_acquire(struct plx_nvme_cmd *cmd, void *data, const struct plx_nvme_resv *r)
{
	resv(cmd, nvme_cmd_resv_acquire, data, r, (uint32_t)r->rtype << 8);
}

void
plx_nvme_resv_release(struct plx_nvme_cmd *cmd, void *data, const struct plx_nvme_resv *r)
{
	resv(cmd, nvme_cmd_resv_release, data, r, (uint32_t)r->rtype << 8);
}

void
plx_nvme_resv_report(struct plx_nvme_cmd *cmd, uint32_t len, bool eds)
{
	*cmd = command(nvme_cmd_resv_report, 0);
	set(cmd, 10, len / 4 - 1);
	set(cmd, 11, eds);
	cmd->data_len = len;
}
