/* SPDX-License-Identifier: BSD-3-Clause */
/* Reservations. Who this host is says the device string: hostid=. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <nvme/types.h>

#include <rte_byteorder.h>

#include "plx_mem.h"

#include "cmds.h"

#define REPORT 4096u

/* Send it to the namespace. data: in memory that devices reach. @return CLI_OK, or after one line
 */
static int
send(const struct cli *c, uint32_t nsid, struct plx_nvme_cmd *cmd, void *data)
{
	struct plx_blk_ext ext = {.nvme = cmd};
	struct plx_blk_req req = {.op = PLX_OP_NVME, .ext = &ext, .buf = data};
	struct plx_blk *blk;
	struct plx_blkq *q;
	int rc = cli_open(c, nsid, cmd->to_device ? PLX_BLK_O_WRITE : 0, &blk);

	if (rc != CLI_OK)
		return rc;
	rc = cli_result(c, cli_start(blk, &q));
	if (rc == CLI_OK)
		rc = cli_result(c, cli_io(q, &req));
	plx_blk_close(blk);
	return rc;
}

typedef void (*resv_fn)(struct plx_nvme_cmd *, void *, const struct plx_nvme_resv *);

static int
run(const struct cli *c, resv_fn fill, const struct plx_nvme_resv *r, const char *what)
{
	struct plx_nvme_cmd cmd;
	uint32_t nsid;
	uint8_t *data;
	int rc = cli_nsid(c, &nsid);

	if (rc != CLI_OK)
		return rc;
	data = plx_mem_alloc(16, 16, -1);
	if (data == NULL)
		return cli_result(c, -ENOMEM);
	fill(&cmd, data, r);
	rc = send(c, nsid, &cmd, data);
	plx_mem_free(data);
	if (rc == CLI_OK)
		printf("NVME Reservation %s success\n", what);
	return rc;
}

/* crkey, nrkey, rrega, cptpl, iekey */
int
cmd_resv_register(struct cli *c)
{
	const struct plx_nvme_resv r = {.crkey = c->a.num[0],
		.key = c->a.num[1],
		.action = (uint8_t)c->a.num[2],
		.cptpl = (uint8_t)c->a.num[3],
		.iekey = c->a.given[4]};

	if (c->a.num[2] > 2 || c->a.num[3] > 3) {
		cli_say("--rrega is 0 to 2, --cptpl 0, 2 or 3");
		return CLI_USAGE;
	}
	return run(c, plx_nvme_resv_register, &r, "");
}

/* crkey, prkey, rtype, racqa, iekey */
int
cmd_resv_acquire(struct cli *c)
{
	const struct plx_nvme_resv r = {.crkey = c->a.num[0],
		.key = c->a.num[1],
		.rtype = (uint8_t)c->a.num[2],
		.action = (uint8_t)c->a.num[3],
		.iekey = c->a.given[4]};

	if (c->a.num[2] < 1 || c->a.num[2] > 6 || c->a.num[3] > 2) {
		cli_say("resv-acquire wants --rtype, 1 to 6; --racqa is 0 to 2");
		return CLI_USAGE;
	}
	return run(c, plx_nvme_resv_acquire, &r, "Acquire");
}

/* crkey, rtype, rrela, iekey */
int
cmd_resv_release(struct cli *c)
{
	const struct plx_nvme_resv r = {.crkey = c->a.num[0],
		.rtype = (uint8_t)c->a.num[1],
		.action = (uint8_t)c->a.num[2],
		.iekey = c->a.given[3]};

	if (c->a.num[1] > 6 || c->a.num[2] > 1) {
		cli_say("--rtype is 0 to 6, --rrela 0 or 1");
		return CLI_USAGE;
	}
	return run(c, plx_nvme_resv_release, &r, "Release");
}

/* ---- report ---- */

#define STATUS(member, name) FIELD(nvme_resv_status, member, name, F_DEC)
static const struct cli_field status_fields[] = {STATUS(gen, "gen"), STATUS(rtype, "rtype"),
	STATUS(regctl, "regctl"), STATUS(ptpls, "ptpls")};
#define REG(member, how) FIELD(nvme_registered_ctrl, member, #member, how)
static const struct cli_field reg_fields[] = {
	REG(cntlid, F_HEX), REG(rcsts, F_HEX), REG(hostid, F_HEX), REG(rkey, F_HEX)};
#define EXT(member, how) FIELD(nvme_registered_ctrl_ext, member, #member, how)
static const struct cli_field ext_fields[] = {
	EXT(cntlid, F_HEX), EXT(rcsts, F_HEX), EXT(rkey, F_HEX), EXT(hostid, F_BYTES)};

/* The registrants that found room. */
static void
registrants(const struct cli *c, const struct nvme_resv_status *s, bool eds, json_object *o)
{
	const char *name = eds ? "regctlext" : "regctls";
	const struct cli_field *f = eds ? ext_fields : reg_fields;
	size_t head = eds ? 64 : 24;
	size_t size = eds ? sizeof(s->regctl_eds[0]) : sizeof(s->regctl_ds[0]);
	json_object *list = json_object_new_array();
	uint64_t i, n = cli_number(s->regctl, sizeof(s->regctl));

	for (i = 0; i < n && head + (i + 1) * size <= REPORT; i++) {
		const uint8_t *at = (const uint8_t *)s + head + i * size;
		json_object *r = json_object_new_object();

		if (c->a.format == CLI_TEXT) {
			printf("%s[%" PRIu64 "] :\n", eds ? name : "regctl", i);
			cli_print_fields(f, 4, at, 10);
		}
		cli_json_fields(r, f, 4, at);
		json_object_array_add(list, r);
	}
	json_object_object_add(o, name, list);
}

/* eds */
int
cmd_resv_report(struct cli *c)
{
	struct nvme_resv_status *s;
	struct plx_nvme_cmd cmd;
	json_object *o;
	uint32_t nsid;
	int rc = cli_nsid(c, &nsid);

	if (rc != CLI_OK)
		return rc;
	s = plx_mem_alloc(REPORT, 4096, -1);
	if (s == NULL)
		return cli_result(c, -ENOMEM);
	plx_nvme_resv_report(&cmd, REPORT, c->a.given[0]);
	rc = send(c, nsid, &cmd, s);
	if (rc == CLI_OK && c->a.format == CLI_BINARY) {
		rc = cli_print_binary(s, REPORT);
	} else if (rc == CLI_OK) {
		o = json_object_new_object();
		if (c->a.format == CLI_TEXT) {
			printf("NVME Reservation status:\n\n");
			cli_print_fields(status_fields, 4, s, 10);
		}
		cli_json_fields(o, status_fields, 4, s);
		registrants(c, s, c->a.given[0], o);
		if (c->a.format == CLI_JSON)
			rc = cli_print_json(o);
		else
			json_object_put(o);
	}
	plx_mem_free(s);
	return rc;
}
