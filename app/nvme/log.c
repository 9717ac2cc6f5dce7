/* SPDX-License-Identifier: BSD-3-Clause */
/* Log pages. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <nvme/types.h>
#include <nvme/util.h>

#include <rte_byteorder.h>
#include <rte_common.h>

#include "cmds.h"

#define ERRORS_DEFAULT 64

void *
cli_get_log(const struct cli *c, uint8_t lid, uint32_t nsid, uint32_t len)
{
	struct plx_nvme_log log = {.lid = lid, .nsid = nsid};
	void *buf = calloc(1, len);
	int rc = buf == NULL ? -ENOMEM : plx_nvme_get_log(c->dev, &log, buf, len);

	if (cli_result(c, rc) == CLI_OK)
		return buf;
	free(buf);
	return NULL;
}

#define SMART(member, name, how) FIELD(nvme_smart_log, member, name, how)
static const struct cli_field smart_fields[] = {SMART(critical_warning, "critical_warning", F_HEX),
	SMART(temperature, "temperature", F_KELVIN), SMART(avail_spare, "avail_spare", F_DEC),
	SMART(spare_thresh, "spare_thresh", F_DEC), SMART(percent_used, "percent_used", F_DEC),
	SMART(endu_grp_crit_warn_sumry, "endurance_grp_critical_warning_summary", F_HEX),
	SMART(data_units_read, "data_units_read", F_BIG),
	SMART(data_units_written, "data_units_written", F_BIG),
	SMART(host_reads, "host_read_commands", F_BIG),
	SMART(host_writes, "host_write_commands", F_BIG),
	SMART(ctrl_busy_time, "controller_busy_time", F_BIG),
	SMART(power_cycles, "power_cycles", F_BIG), SMART(power_on_hours, "power_on_hours", F_BIG),
	SMART(unsafe_shutdowns, "unsafe_shutdowns", F_BIG),
	SMART(media_errors, "media_errors", F_BIG),
	SMART(num_err_log_entries, "num_err_log_entries", F_BIG),
	SMART(warning_temp_time, "warning_temp_time", F_DEC),
	SMART(critical_comp_time, "critical_comp_time", F_DEC),
	SMART(temp_sensor[0], "temperature_sensor_1", F_KELVIN),
	SMART(temp_sensor[1], "temperature_sensor_2", F_KELVIN),
	SMART(temp_sensor[2], "temperature_sensor_3", F_KELVIN),
	SMART(temp_sensor[3], "temperature_sensor_4", F_KELVIN),
	SMART(temp_sensor[4], "temperature_sensor_5", F_KELVIN),
	SMART(temp_sensor[5], "temperature_sensor_6", F_KELVIN),
	SMART(temp_sensor[6], "temperature_sensor_7", F_KELVIN),
	SMART(temp_sensor[7], "temperature_sensor_8", F_KELVIN),
	SMART(thm_temp1_trans_count, "thm_temp1_trans_count", F_DEC),
	SMART(thm_temp2_trans_count, "thm_temp2_trans_count", F_DEC),
	SMART(thm_temp1_total_time, "thm_temp1_total_time", F_DEC),
	SMART(thm_temp2_total_time, "thm_temp2_total_time", F_DEC)};

/* Sensors that aren't there say 0 (5.16.1.3): they are left out. */
static unsigned int
without_sensors(const struct nvme_smart_log *log, struct cli_field *out)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < RTE_DIM(smart_fields); i++) {
		const struct cli_field *f = &smart_fields[i];

		if (strncmp(f->name, "temperature_sensor", 18) != 0 ||
			cli_number((const uint8_t *)log + f->off, f->size) != 0)
			out[n++] = *f;
	}
	return n;
}

int
cmd_smart_log(struct cli *c)
{
	struct nvme_smart_log *log = cli_get_log(c, NVME_LOG_LID_SMART, c->a.nsid, sizeof(*log));
	struct cli_field fields[RTE_DIM(smart_fields)];
	json_object *o;
	unsigned int n;
	int rc = CLI_OK;

	if (log == NULL)
		return CLI_FAIL;
	n = without_sensors(log, fields);
	if (c->a.format == CLI_BINARY) {
		rc = cli_print_binary(log, sizeof(*log));
	} else if (c->a.format == CLI_JSON) {
		o = json_object_new_object();
		cli_json_fields(o, fields, n, log);
		rc = cli_print_json(o);
	} else {
		printf("Smart Log for NVME device:%s namespace-id:%x\n", c->str,
			c->a.nsid != 0 ? c->a.nsid : NVME_NSID_ALL);
		cli_print_fields(fields, n, log, 40);
	}
	free(log);
	return rc;
}

#define ERRF(member, name, how) FIELD(nvme_error_log_page, member, name, how)
static const struct cli_field error_fields[] = {ERRF(error_count, "error_count", F_DEC),
	ERRF(sqid, "sqid", F_DEC), ERRF(cmdid, "cmdid", F_HEX),
	ERRF(parm_error_location, "parm_error_location", F_HEX), ERRF(lba, "lba", F_HEX),
	ERRF(nsid, "nsid", F_HEX), ERRF(vs, "vs", F_DEC), ERRF(trtype, "trtype", F_DEC),
	ERRF(cs, "cs", F_HEX), ERRF(trtype_spec_info, "trtype_spec_info", F_HEX)};

static void
error_text(const struct nvme_error_log_page *e, unsigned int i)
{
	uint16_t status = rte_le_to_cpu_16(e->status_field);

	printf(" Entry[%2u]\n.................\n", i);
	cli_print_fields(error_fields, RTE_DIM(error_fields), e, 13);
	printf("%-13s: %#x(%s)\n%-13s: %u\n.................\n", "status_field", status >> 1,
		nvme_status_to_string(status >> 1 & 0x7ff, false), "phase_tag", status & 1u);
}

static int
errors_json(const struct nvme_error_log_page *log, uint32_t n)
{
	json_object *o, *errors = json_object_new_array();

	for (uint32_t i = 0; i < n; i++) {
		uint16_t status = rte_le_to_cpu_16(log[i].status_field);

		o = json_object_new_object();
		cli_json_fields(o, error_fields, RTE_DIM(error_fields), &log[i]);
		json_object_object_add(o, "status_field", json_object_new_int(status >> 1));
		json_object_object_add(o, "phase_tag", json_object_new_int(status & 1));
		json_object_array_add(errors, o);
	}
	o = json_object_new_object();
	json_object_object_add(o, "errors", errors);
	return cli_print_json(o);
}

int
cmd_error_log(struct cli *c)
{
	uint64_t want = c->a.given[0] ? c->a.num[0] : ERRORS_DEFAULT;
	struct nvme_id_ctrl *id = cli_id_ctrl(c);
	struct nvme_error_log_page *log;
	uint32_t n;
	int rc = CLI_OK;

	if (id == NULL)
		return CLI_FAIL;
	n = RTE_MAX((uint32_t)RTE_MIN(want, id->elpe + 1u), 1u);
	free(id);
	log = cli_get_log(c, NVME_LOG_LID_ERROR, 0, n * (uint32_t)sizeof(*log));
	if (log == NULL)
		return CLI_FAIL;
	if (c->a.format == CLI_BINARY) {
		rc = cli_print_binary(log, n * sizeof(*log));
	} else if (c->a.format == CLI_TEXT) {
		printf("Error Log Entries for device:%s entries:%u\n.................\n", c->str,
			n);
		for (uint32_t i = 0; i < n; i++)
			error_text(&log[i], i);
	} else {
		rc = errors_json(log, n);
	}
	free(log);
	return rc;
}

/* As nvme-cli shows it: what is no character, a blank too, as a dot. @return false: it is empty */
static bool
revision(const struct nvme_firmware_slot *log, unsigned int slot, char *text)
{
	char name[9] = "";

	for (unsigned int i = 0; i < 8; i++)
		name[i] = log->frs[slot][i] > ' ' && log->frs[slot][i] <= '~' ? log->frs[slot][i]
									      : '.';
	sprintf(text, "%" PRIu64 " (%s)", cli_number(log->frs[slot], 8), name);
	return log->frs[slot][0] != '\0';
}

int
cmd_fw_log(struct cli *c)
{
	struct nvme_firmware_slot *log = cli_get_log(c, NVME_LOG_LID_FW_SLOT, 0, sizeof(*log));
	json_object *o = json_object_new_object(), *root = json_object_new_object();
	char name[32], text[48];
	int rc = CLI_OK;

	if (log == NULL) {
		json_object_put(o);
		json_object_put(root);
		return CLI_FAIL;
	}
	if (c->a.format == CLI_TEXT)
		printf("Firmware Log for device:%s\nafi  : %#x\n", c->str, log->afi);
	json_object_object_add(o, "Active Firmware Slot (afi)", json_object_new_int(log->afi));
	for (unsigned int i = 0; i < 7; i++) {
		if (!revision(log, i, text))
			continue;
		if (c->a.format == CLI_TEXT)
			printf("frs%u : %#018" PRIx64 " %s\n", i + 1, cli_number(log->frs[i], 8),
				strchr(text, '('));
		snprintf(name, sizeof(name), "Firmware Rev Slot %u", i + 1);
		json_object_object_add(o, name, json_object_new_string(text));
	}
	json_object_object_add(root, c->str, o);
	if (c->a.format == CLI_JSON)
		rc = cli_print_json(root);
	else
		json_object_put(root);
	if (c->a.format == CLI_BINARY)
		rc = cli_print_binary(log, sizeof(*log));
	free(log);
	return rc;
}

static void
effects(const struct cli *c, json_object *o, const char *kind, const __le32 *list)
{
	char name[24];

	for (unsigned int i = 0; i < 256; i++) {
		uint32_t v = rte_le_to_cpu_32(list[i]);

		if ((v & 1) == 0) /* not supported */
			continue;
		if (c->a.format == CLI_TEXT)
			printf("%s%-6u[%02x] %08x%s%s%s%s%s\n", kind, i, i, v, v & 2 ? " LBCC" : "",
				v & 4 ? " NCC" : "", v & 8 ? " NIC" : "", v & 16 ? " CCC" : "",
				v >> 16 & 7 ? " CSE" : "");
		snprintf(name, sizeof(name), "%s%u (%#x)", kind, i, i);
		json_object_object_add(o, name, json_object_new_uint64(v));
	}
}

int
cmd_effects_log(struct cli *c)
{
	struct nvme_cmd_effects_log *log = cli_get_log(c, NVME_LOG_LID_CMD_EFFECTS, 0, 4096);
	json_object *o = json_object_new_object();
	int rc = log == NULL ? CLI_FAIL : CLI_OK;

	if (log != NULL && c->a.format == CLI_BINARY) {
		rc = cli_print_binary(log, sizeof(*log));
	} else if (log != NULL) {
		effects(c, o, "ACS", log->acs);
		effects(c, o, "IOCS", log->iocs);
	}
	if (log != NULL && c->a.format == CLI_JSON)
		rc = cli_print_json(o);
	else
		json_object_put(o);
	free(log);
	return rc;
}

int
cmd_changed_ns(struct cli *c)
{
	__le32 *log = cli_get_log(c, NVME_LOG_LID_CHANGED_NS, 0, 4096);
	json_object *o, *list;
	int rc = CLI_OK;

	if (log == NULL)
		return CLI_FAIL;
	if (c->a.format == CLI_BINARY) {
		rc = cli_print_binary(log, 4096);
		free(log);
		return rc;
	}
	list = json_object_new_array();
	if (c->a.format == CLI_TEXT && log[0] == 0)
		printf("no namespace changed\n");
	for (unsigned int i = 0; i < 1024 && log[i] != 0; i++) {
		if (c->a.format == CLI_TEXT)
			printf("[%4u]:%#x\n", i, rte_le_to_cpu_32(log[i]));
		json_object_array_add(list, json_object_new_uint64(rte_le_to_cpu_32(log[i])));
	}
	free(log);
	if (c->a.format == CLI_TEXT) {
		json_object_put(list);
		return CLI_OK;
	}
	o = json_object_new_object();
	json_object_object_add(o, "changed_ns", list);
	return cli_print_json(o);
}

int
cmd_get_log(struct cli *c)
{
	uint32_t len = (uint32_t)c->a.num[1];
	struct plx_nvme_log log = {.lid = (uint8_t)c->a.num[0],
		.nsid = c->a.nsid,
		.lsp = (uint8_t)c->a.num[2],
		.offset = c->a.num[3],
		.rae = c->a.given[4]};
	void *buf;
	int rc;

	if (!c->a.given[0] || c->a.num[0] > 255 || len == 0 || len % 4 != 0 || len > 1u << 24) {
		cli_say("get-log wants --log-id, 0 to 255, and --log-len, a multiple of 4 up to 16 "
			"MiB");
		return CLI_USAGE;
	}
	buf = calloc(1, len);
	rc = cli_result(c, buf == NULL ? -ENOMEM : plx_nvme_get_log(c->dev, &log, buf, len));
	if (rc == CLI_OK && c->a.format == CLI_BINARY)
		rc = cli_print_binary(buf, len);
	else if (rc == CLI_OK)
		cli_hexdump(buf, len);
	free(buf);
	return rc;
}
