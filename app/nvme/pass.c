/* SPDX-License-Identifier: BSD-3-Clause */
/* Commands of the user's own. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <nvme/util.h>

#include <rte_byteorder.h>

#include "plx_ctrl.h"
#include "plx_mem.h"

#include "cmds.h"

#define DATA_MAX (1u << 20)

/* The options of both, in this order. */
enum {
	OPCODE,
	FLAGS,
	CDW2,
	CDW3,
	CDW10,
	CDW11,
	CDW12,
	CDW13,
	CDW14,
	CDW15,
	LEN,
	FILE_,
	TIMEOUT,
	READ,
	WRITE,
	LAST
};

const struct cli_option pass_options[] = {
	{"opcode", 'O', CLI_NUM, "the command"},
	{"flags", 'f', CLI_NUM, "its flags byte (0)"},
	{"cdw2", '2', CLI_NUM, "command dword 2 (0)"},
	{"cdw3", '3', CLI_NUM, "3"},
	{"cdw10", '4', CLI_NUM, "10"},
	{"cdw11", '5', CLI_NUM, "11"},
	{"cdw12", '6', CLI_NUM, "12"},
	{"cdw13", '7', CLI_NUM, "13"},
	{"cdw14", '8', CLI_NUM, "14"},
	{"cdw15", '9', CLI_NUM, "15"},
	{"data-len", 'l', CLI_NUM, "bytes of data (0)"},
	{"input-file", 'i', CLI_STRING, "data to write; - for stdin"},
	{"timeout", 't', CLI_NUM, "ms to wait (60000)"},
	{"read", 'r', CLI_FLAG, "data comes from the device"},
	{"write", 'w', CLI_FLAG, "data goes to it; needs --force"},
	{0},
};

static int
fill(const struct cli *c, struct plx_nvme_cmd *cmd)
{
	static const uint8_t dword[] = {[CDW2] = 2,
		[CDW3] = 3,
		[CDW10] = 10,
		[CDW11] = 11,
		[CDW12] = 12,
		[CDW13] = 13,
		[CDW14] = 14,
		[CDW15] = 15};

	if (!c->a.given[OPCODE] || c->a.num[OPCODE] > 255 || c->a.num[FLAGS] > 255 ||
		c->a.num[LEN] > DATA_MAX || (c->a.given[READ] && c->a.given[WRITE]) ||
		(c->a.num[LEN] != 0 && !c->a.given[READ] && !c->a.given[WRITE])) {
		cli_say("%s wants --opcode, and with --data-len, up to 1 MiB, --read or --write",
			c->cmd->name);
		return CLI_USAGE;
	}
	/* what only brings data changes nothing (bits 1:0 of the opcode) */
	if ((c->a.num[OPCODE] & 3) != 2 && !c->a.force) {
		cli_say("command %#" PRIx64 " may change the device: say --force",
			c->a.num[OPCODE]);
		return CLI_USAGE;
	}
	cmd->cdw[0] = rte_cpu_to_le_32((uint32_t)(c->a.num[OPCODE] | c->a.num[FLAGS] << 8));
	cmd->cdw[1] = rte_cpu_to_le_32(c->a.nsid);
	for (unsigned int i = CDW2; i <= CDW15; i++)
		cmd->cdw[dword[i]] = rte_cpu_to_le_32((uint32_t)c->a.num[i]);
	cmd->data_len = (uint32_t)c->a.num[LEN];
	cmd->to_device = c->a.given[WRITE];
	cmd->timeout_ms = (uint32_t)c->a.num[TIMEOUT];
	return CLI_OK;
}

static int
load(const struct cli *c, void *data, uint32_t len)
{
	const char *path = c->a.text[FILE_];
	FILE *f;
	size_t n;

	if (!c->a.given[WRITE] || len == 0 || path == NULL)
		return CLI_OK; /* zeroes */
	f = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
	n = f == NULL ? 0 : fread(data, 1, len, f);
	if (f != NULL && f != stdin)
		fclose(f);
	if (n == len)
		return CLI_OK;
	cli_say("--input-file %s: %s", path,
		f == NULL ? strerror(errno) : "shorter than --data-len");
	return CLI_USAGE;
}

static int
show(const struct cli *c, const struct plx_nvme_cmd *cmd, const void *data, uint64_t result)
{
	if (c->a.format == CLI_BINARY)
		return cli_print_binary(data, c->a.given[READ] ? cmd->data_len : 0);
	printf("NVMe command result:%08" PRIx64 "\n", result);
	if (c->a.given[READ] && cmd->data_len != 0)
		cli_hexdump(data, cmd->data_len);
	return CLI_OK;
}

int
cmd_admin_passthru(struct cli *c)
{
	struct plx_nvme_cmd cmd = {0};
	int rc = fill(c, &cmd);

	if (rc != CLI_OK)
		return rc;
	cmd.data = calloc(1, cmd.data_len + 1u);
	rc = cmd.data == NULL ? cli_result(c, -ENOMEM) : load(c, cmd.data, cmd.data_len);
	if (rc == CLI_OK)
		rc = cli_result(c, plx_nvme_admin(c->dev, &cmd));
	if (rc == CLI_OK)
		rc = show(c, &cmd, cmd.data, cmd.result);
	free(cmd.data);
	return rc;
}

int
cli_start(struct plx_blk *blk, struct plx_blkq **q)
{
	int rc = plx_blk_configure(blk, 1);

	if (rc == 0)
		rc = plx_blkq_setup(blk, 0, NULL);
	if (rc == 0)
		rc = plx_blk_start(blk);
	*q = plx_blk_queue_get(blk, 0);
	return rc;
}

int
cli_io(struct plx_blkq *q, struct plx_blk_req *req)
{
	while (plx_blkq_submit(q, &req, 1) == 0)
		plx_ctrl_poll();
	while (plx_blkq_poll(q, &req, 1) == 0)
		plx_ctrl_poll();
	return req->raw != 0 ? req->raw : req->status;
}

int
cmd_io_passthru(struct cli *c)
{
	struct plx_nvme_cmd cmd = {0};
	struct plx_blk_ext ext = {.nvme = &cmd};
	struct plx_blk_req req = {.op = PLX_OP_NVME, .ext = &ext};
	struct plx_blk *blk;
	struct plx_blkq *q;
	uint32_t nsid;
	int rc = fill(c, &cmd);

	if (rc == CLI_OK)
		rc = cli_nsid(c, &nsid);
	if (rc == CLI_OK)
		rc = cli_open(c, nsid, c->a.force ? PLX_BLK_O_WRITE : 0, &blk);
	if (rc != CLI_OK)
		return rc;
	req.buf = plx_mem_alloc(cmd.data_len + 1u, 4096, -1);
	rc = req.buf == NULL ? CLI_FAIL : load(c, req.buf, cmd.data_len);
	if (rc == CLI_OK)
		rc = cli_result(c, cli_start(blk, &q));
	if (rc == CLI_OK)
		rc = cli_result(c, cli_io(q, &req));
	if (rc == CLI_OK)
		rc = show(c, &cmd, req.buf, req.result);
	plx_blk_close(blk);
	plx_mem_free(req.buf);
	return rc;
}
