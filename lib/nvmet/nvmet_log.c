/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Log pages (NVMe 1.4, 5.14). Each is built whole in c->page, then the part asked for goes out.
 */
#include <string.h>

#include <rte_cycles.h>

#include "nvmet_priv.h"

#define RAE (1u << 15)

/* Newest first (1.4, 5.14.1.1). */
static uint32_t
log_error(struct plx_nvmet *c)
{
	struct nvme_error_log_page *log = (void *)c->page;
	uint32_t i;

	for (i = 0; i < NVMET_ERRLOG && i < c->nerrors; i++)
		log[i] = c->errlog[(c->nerrors - 1 - i) % NVMET_ERRLOG];
	return sizeof(*log) * NVMET_ERRLOG;
}

/* A 128-bit counter. */
static void
set128(uint8_t *to, uint64_t v)
{
	v = rte_cpu_to_le_64(v);
	memcpy(to, &v, sizeof(v));
}

static uint64_t
minutes(uint64_t tsc)
{
	return tsc / rte_get_tsc_hz() / 60;
}

static uint32_t
log_smart(struct plx_nvmet *c)
{
	struct nvme_smart_log *log = (void *)c->page;
	uint64_t rd = 0, wr = 0, rd_bytes = 0, wr_bytes = 0;
	uint32_t i;

	for (i = 0; i < c->nns; i++) {
		const struct nvmet_ns *ns = &c->ns[i];

		rd += ns->ops[PLX_OP_READ] + ns->ops[PLX_OP_COMPARE];
		wr += ns->ops[PLX_OP_WRITE] + ns->ops[PLX_OP_ZONE_APPEND];
		rd_bytes += (ns->blocks[PLX_OP_READ] + ns->blocks[PLX_OP_COMPARE]) << ns->shift;
		wr_bytes += (ns->blocks[PLX_OP_WRITE] + ns->blocks[PLX_OP_ZONE_APPEND])
			    << ns->shift;
	}
	log->critical_warning = nvmet_critical(c);
	log->temperature[0] = NVMET_KELVIN & 0xff;
	log->temperature[1] = NVMET_KELVIN >> 8;
	log->avail_spare = 100;
	log->spare_thresh = 10;
	/* thousands of 512 bytes, rounded up */
	set128(log->data_units_read, (rd_bytes + 511999) / 512000);
	set128(log->data_units_written, (wr_bytes + 511999) / 512000);
	set128(log->host_reads, rd);
	set128(log->host_writes, wr);
	set128(log->ctrl_busy_time, minutes(c->busy_tsc));
	set128(log->power_cycles, 1);
	set128(log->power_on_hours, minutes(rte_rdtsc() - c->born) / 60);
	set128(log->unsafe_shutdowns, c->unsafe_shutdowns);
	set128(log->media_errors, c->media_errors);
	set128(log->num_err_log_entries, c->nerrors);
	log->temp_sensor[0] = rte_cpu_to_le_16(NVMET_KELVIN);
	return sizeof(*log);
}

static uint32_t
log_changed_ns(struct plx_nvmet *c)
{
	struct nvme_ns_list *log = (void *)c->page;
	uint32_t i;

	for (i = 0; i < c->nchanged; i++)
		log->ns[i] = rte_cpu_to_le_32(c->changed[i]);
	return sizeof(*log);
}

static uint32_t
log_effects(struct plx_nvmet *c)
{
	struct nvme_cmd_effects_log *log = (void *)c->page;
	const uint32_t supp = rte_cpu_to_le_32(NVME_CMD_EFFECTS_CSUPP);
	const uint32_t changes = rte_cpu_to_le_32(NVME_CMD_EFFECTS_CSUPP | NVME_CMD_EFFECTS_LBCC);
	static const uint8_t admin[] = {nvme_admin_delete_sq, nvme_admin_create_sq,
		nvme_admin_get_log_page, nvme_admin_delete_cq, nvme_admin_create_cq,
		nvme_admin_identify, nvme_admin_abort_cmd, nvme_admin_set_features,
		nvme_admin_get_features, nvme_admin_async_event, nvme_admin_fw_commit,
		nvme_admin_fw_download, nvme_admin_dev_self_test};
	uint32_t i;

	for (i = 0; i < RTE_DIM(admin); i++)
		log->acs[admin[i]] = supp;
	if ((c->oacs & NVME_CTRL_OACS_DBBUF_CFG) != 0)
		log->acs[nvme_admin_dbbuf] = supp;
	if ((c->oacs & NVME_CTRL_OACS_FORMAT) != 0)
		log->acs[nvme_admin_format_nvm] =
			changes | rte_cpu_to_le_32(1 << 16); /* alone on its namespace */
	if (nvmet_sanitize_cap(c) != 0)
		log->acs[nvme_admin_sanitize_nvm] =
			changes | rte_cpu_to_le_32(2 << 16); /* alone in the subsystem */
	if ((c->oacs & NVME_CTRL_OACS_NS_MGMT) != 0)
		log->acs[nvme_admin_ns_mgmt] = log->acs[nvme_admin_ns_attach] =
			rte_cpu_to_le_32(NVME_CMD_EFFECTS_CSUPP | NVME_CMD_EFFECTS_NIC);
	log->iocs[nvme_cmd_flush] = supp;
	log->iocs[nvme_cmd_read] = supp;
	log->iocs[nvme_cmd_write] = changes;
	if ((c->oncs & NVME_CTRL_ONCS_COMPARE) != 0)
		log->iocs[nvme_cmd_compare] = supp;
	if ((c->oncs & NVME_CTRL_ONCS_WRITE_ZEROES) != 0)
		log->iocs[nvme_cmd_write_zeroes] = changes;
	if ((c->oncs & NVME_CTRL_ONCS_DSM) != 0)
		log->iocs[nvme_cmd_dsm] = changes;
	if ((c->oncs & NVME_CTRL_ONCS_VERIFY) != 0)
		log->iocs[nvme_cmd_verify] = supp;
	if ((c->oncs & NVME_CTRL_ONCS_COPY) != 0)
		log->iocs[nvme_cmd_copy] = changes;
	log->iocs[nvme_cmd_resv_register] = supp;
	log->iocs[nvme_cmd_resv_report] = supp;
	log->iocs[nvme_cmd_resv_acquire] = supp;
	log->iocs[nvme_cmd_resv_release] = supp;
	if (!c->zns)
		return sizeof(*log);
	log->iocs[nvme_zns_cmd_mgmt_send] = changes;
	log->iocs[nvme_zns_cmd_mgmt_recv] = supp;
	log->iocs[nvme_zns_cmd_append] = changes;
	return sizeof(*log);
}

/* @return its size, 0: there is no such page */
static uint32_t
log_build(struct plx_nvmet *c, uint8_t lid)
{
	memset(c->page, 0, sizeof(c->page));
	switch (lid) {
	case NVME_LOG_LID_ERROR:
		return log_error(c);
	case NVME_LOG_LID_SMART:
		return log_smart(c);
	case NVME_LOG_LID_FW_SLOT:
		return nvmet_log_firmware(c);
	case NVME_LOG_LID_CHANGED_NS:
		return log_changed_ns(c);
	case NVME_LOG_LID_CMD_EFFECTS:
		return log_effects(c);
	case NVME_LOG_LID_DEVICE_SELF_TEST:
		return nvmet_log_self_test(c);
	case NVME_LOG_LID_RESERVATION: /* empty: whom something happened to is not here */
		return sizeof(struct nvme_resv_notification_log);
	case NVME_LOG_LID_SANITIZE:
		return nvmet_sanitize_cap(c) != 0 ? nvmet_log_sanitize(c) : 0;
	default:
		return 0;
	}
}

uint16_t
nvmet_get_log(struct plx_nvmet *c, const struct nvmet_sqe *e)
{
	uint32_t dw10 = rte_le_to_cpu_32(e->cdw10), dw11 = rte_le_to_cpu_32(e->cdw11);
	uint32_t nsid = rte_le_to_cpu_32(e->nsid), size;
	uint64_t len = ((uint64_t)(dw10 >> 16 | (dw11 & 0xffff) << 16) + 1) * 4;
	uint64_t off = rte_le_to_cpu_32(e->cdw12) | (uint64_t)rte_le_to_cpu_32(e->cdw13) << 32;
	uint8_t lid = (uint8_t)dw10;
	uint16_t rc;

	size = log_build(c, lid);
	if (size == 0)
		return NVMET_ERR(CMD_SPECIFIC, INVALID_LOG_PAGE);
	/* LPA bit 0: SMART is the controller's */
	if (lid == NVME_LOG_LID_SMART && nsid != 0 && nsid != NVME_NSID_ALL)
		return NVMET_ERR(GENERIC, INVALID_FIELD);
	if (off % 4 != 0 || off > size || len > (uint64_t)NVMET_PAGE << c->mdts)
		return NVMET_ERR(GENERIC, INVALID_FIELD);
	rc = nvmet_data_put(c, e, c->page + off, size - off, len);
	if (rc == 0 && (dw10 & RAE) == 0) {
		if (lid == NVME_LOG_LID_CHANGED_NS)
			c->nchanged = 0;
		nvmet_events_unmask(c, lid);
	}
	return rc;
}
