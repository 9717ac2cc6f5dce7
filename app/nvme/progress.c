/* SPDX-License-Identifier: BSD-3-Clause */
/* What goes on in the background: the logs of sanitize and of self-tests. */
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include <nvme/types.h>

#include <rte_byteorder.h>
#include <rte_common.h>

#include "plx_ctrl.h"

#include "cmds.h"

/* ---- sanitize (NVMe Base 2.0, 5.16.1.25) ---- */

#define SAN(member, name) FIELD(nvme_sanitize_log_page, member, name, F_DEC)
static const struct cli_field time_fields[] = {SAN(eto, "time_over_write"),
	SAN(etbe, "time_block_erase"), SAN(etce, "time_crypto_erase"),
	SAN(etond, "time_over_write_no_dealloc"), SAN(etbend, "time_block_erase_no_dealloc"),
	SAN(etcend, "time_crypto_erase_no_dealloc")};

static const char *
sanitize_state(unsigned int state)
{
	static const char *const names[] = {"never sanitized", "completed", "in progress", "failed",
		"completed, deallocated all the same"};

	return state < RTE_DIM(names) ? names[state] : "?";
}

static json_object *
sanitize_json(const struct nvme_sanitize_log_page *log)
{
	json_object *o = json_object_new_object(), *st = json_object_new_object();
	uint16_t stat = rte_le_to_cpu_16(log->sstat);
	char text[64];

	snprintf(text, sizeof(text), "(%d) %s", stat & 7, sanitize_state(stat & 7));
	json_object_object_add(o, "sprog", json_object_new_int(rte_le_to_cpu_16(log->sprog)));
	json_object_object_add(st, "global_erased", json_object_new_int(stat >> 8 & 1));
	json_object_object_add(st, "no_cmplted_passes", json_object_new_int(stat >> 3 & 0x1f));
	json_object_object_add(st, "status", json_object_new_string(text));
	json_object_object_add(o, "sstat", st);
	json_object_object_add(
		o, "cdw10_info", json_object_new_uint64(rte_le_to_cpu_32(log->scdw10)));
	cli_json_fields(o, time_fields, RTE_DIM(time_fields), log);
	return o;
}

static void
sanitize_text(const struct nvme_sanitize_log_page *log)
{
	static const char *const what[] = {"Overwrite", "Block Erase", "Crypto Erase",
		"Overwrite (No-Deallocate)", "Block Erase (No-Deallocate)",
		"Crypto Erase (No-Deallocate)"};

	printf("Sanitize Progress                      (SPROG) :  %u\n",
		rte_le_to_cpu_16(log->sprog));
	printf("Sanitize Status                        (SSTAT) :  %#x\n",
		rte_le_to_cpu_16(log->sstat));
	printf("Sanitize Command Dword 10 Information (SCDW10) :  %#x\n",
		rte_le_to_cpu_32(log->scdw10));
	for (unsigned int i = 0; i < RTE_DIM(what); i++) {
		uint64_t s = cli_number((const uint8_t *)log + time_fields[i].off, 4);

		printf("Estimated Time For %-28s:  %" PRIu64 "%s\n", what[i], s,
			s == UINT32_MAX ? " (No time period reported)" : "");
	}
}

int
cmd_sanitize_log(struct cli *c)
{
	struct nvme_sanitize_log_page *log = cli_get_log(c, NVME_LOG_LID_SANITIZE, 0, sizeof(*log));
	json_object *root;
	int rc = CLI_OK;

	if (log == NULL)
		return CLI_FAIL;
	if (c->a.format == CLI_BINARY) {
		rc = cli_print_binary(log, sizeof(*log));
	} else if (c->a.format == CLI_JSON) {
		root = json_object_new_object();
		json_object_object_add(root, c->str, sanitize_json(log));
		rc = cli_print_json(root);
	} else {
		sanitize_text(log);
	}
	free(log);
	return rc;
}

/* ---- self-tests (5.16.1.7) ---- */

/* Members that say something only when their bit of VDI is set; bit -1: always. */
static const struct {
	struct cli_field f;
	const char *text;
	int bit;
} result_fields[] = {
#define RES(member, json, text, bit)                                    \
	{                                                               \
		FIELD(nvme_st_result, member, json, F_HEX), (text), bit \
	}
	RES(vdi, "Valid Diagnostic Information", "Valid Diagnostic Information", -1),
	RES(poh, "Power on hours", "Power on hours (POH)", -1),
	RES(nsid, "Namespace Identifier", "Namespace Identifier", 0),
	RES(flba, "Failing LBA", "Failing LBA", 1),
	RES(sct, "Status Code Type", "Status Code Type", 2),
	RES(sc, "Status Code", "Status Code", 3),
};

static void
put_result(const struct cli *c, const struct nvme_st_result *r, unsigned int i, json_object *list)
{
	unsigned int result = r->dsts & 0xf, code = r->dsts >> 4;
	json_object *o = json_object_new_object();

	json_object_object_add(o, "Self test result", json_object_new_int((int)result));
	json_object_object_add(o, "Self test code", json_object_new_int((int)code));
	if (c->a.format == CLI_TEXT)
		printf("Self Test Result[%u]:\n  %-29s: %#x\n  %-29s: %x\n", i, "Operation Result",
			result, "Self Test Code", code);
	if (result == NVME_ST_RESULT_KNOWN_SEG_FAIL) {
		json_object_object_add(o, "Segment number", json_object_new_int(r->seg));
		if (c->a.format == CLI_TEXT)
			printf("  %-29s: %#x\n", "Segment Number", r->seg);
	}
	for (unsigned int k = 0; k < RTE_DIM(result_fields); k++) {
		const struct cli_field *f = &result_fields[k].f;

		if (result_fields[k].bit >= 0 && !(r->vdi & 1 << result_fields[k].bit))
			continue;
		cli_json_fields(o, f, 1, r);
		if (c->a.format == CLI_TEXT)
			printf("  %-29s: %#" PRIx64 "\n", result_fields[k].text,
				cli_number((const uint8_t *)r + f->off, f->size));
	}
	json_object_array_add(list, o);
}

static int
show_self_test(const struct cli *c, const struct nvme_self_test_log *log)
{
	json_object *o, *list = json_object_new_array();

	if (c->a.format == CLI_TEXT)
		printf("Device Self Test Log for NVME device:%s\nCurrent operation  : %#x\n"
		       "Current Completion : %u%%\n",
			c->str, log->current_operation & 0xfu, log->completion & 0x7fu);
	for (unsigned int i = 0; i < RTE_DIM(log->result); i++)
		if ((log->result[i].dsts & NVME_ST_RESULT_MASK) != NVME_ST_RESULT_NOT_USED)
			put_result(c, &log->result[i], i, list);
	if (c->a.format == CLI_TEXT) {
		json_object_put(list);
		return CLI_OK;
	}
	o = json_object_new_object();
	json_object_object_add(o, "Current Device Self-Test Operation",
		json_object_new_int(log->current_operation & 0xf));
	json_object_object_add(o, "Current Device Self-Test Completion",
		json_object_new_int(log->completion & 0x7f));
	json_object_object_add(o, "List of Valid Reports", list);
	return cli_print_json(o);
}

int
cmd_self_test_log(struct cli *c)
{
	struct nvme_self_test_log *log =
		cli_get_log(c, NVME_LOG_LID_DEVICE_SELF_TEST, 0, sizeof(*log));
	int rc;

	if (log == NULL)
		return CLI_FAIL;
	if (c->a.format == CLI_BINARY)
		rc = cli_print_binary(log, sizeof(*log));
	else
		rc = show_self_test(c, log);
	free(log);
	return rc;
}

/* @return CLI_OK: no error was found */
static int
wait_tested(const struct cli *c)
{
	struct nvme_self_test_log *log;
	unsigned int i, op, result;

	do {
		for (i = 0; i < 100; i++, usleep(1000))
			plx_ctrl_poll();
		log = cli_get_log(c, NVME_LOG_LID_DEVICE_SELF_TEST, 0, sizeof(*log));
		if (log == NULL)
			return CLI_FAIL;
		op = log->current_operation & 0xf;
		result = log->result[0].dsts & NVME_ST_RESULT_MASK;
		free(log);
	} while (op != 0);
	if (result == NVME_ST_RESULT_NO_ERR)
		return CLI_OK;
	cli_say("%s: result %#x: see self-test-log", c->cmd->name, result);
	return CLI_FAIL;
}

/* self-test-code, wait */
int
cmd_self_test(struct cli *c)
{
	uint32_t nsid = c->a.nsid != 0 ? c->a.nsid : NVME_NSID_ALL;
	uint64_t code = c->a.num[0];
	int rc;

	if (!c->a.given[0] || code > NVME_ST_CODE_ABORT) {
		cli_say("device-self-test wants --self-test-code: 0 how it gets on, 1 short, "
			"2 extended, 0xf abort");
		return CLI_USAGE;
	}
	if (code == NVME_ST_CODE_RESERVED)
		return cmd_self_test_log(c);
	rc = cli_result(c, plx_nvme_self_test(c->dev, nsid, (uint8_t)code));
	if (rc != CLI_OK)
		return rc;
	if (code == NVME_ST_CODE_ABORT)
		printf("Aborting device self-test operation\n");
	else
		printf("%s Device self-test started\n",
			code == NVME_ST_CODE_SHORT ? "Short" : "Extended");
	fflush(stdout);
	return c->a.given[1] ? wait_tested(c) : CLI_OK;
}
