/* SPDX-License-Identifier: BSD-3-Clause */
/* Features, format, sanitize, firmware, reset. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <nvme/types.h>
#include <nvme/util.h>

#include "cmds.h"

#define FW_MAX (64u << 20)

/* ---- features ---- */

static int
show_feature(const struct cli *c, const struct plx_nvme_feature *f, uint32_t value)
{
	json_object *o;

	if (c->a.format == CLI_BINARY)
		return cli_print_binary(f->data != NULL ? f->data : &value,
			f->data != NULL ? f->data_len : sizeof(value));
	if (c->a.format == CLI_JSON) {
		o = json_object_new_object();
		json_object_object_add(o, "feature", json_object_new_int(f->fid));
		json_object_object_add(o, "value", json_object_new_uint64(value));
		return cli_print_json(o);
	}
	printf("get-feature:%#04x, %s value:%#010x\n", f->fid,
		f->sel == 3   ? "supported capabilities"
		: f->sel == 2 ? "saved"
		: f->sel == 1 ? "default"
			      : "Current",
		value);
	if (f->data != NULL)
		cli_hexdump(f->data, f->data_len);
	return CLI_OK;
}

/* How much data the feature has: what was asked for, else what libnvme knows. */
static uint32_t
feature_len(const struct cli *c, unsigned int option, uint8_t fid, uint32_t cdw11, bool to_device)
{
	__u32 len = 0;

	if (c->a.given[option])
		return c->a.num[option] > 1u << 20 ? UINT32_MAX : (uint32_t)c->a.num[option];
	if (nvme_get_feature_length2(fid, cdw11,
		    to_device ? NVME_DATA_TFR_HOST_TO_CTRL : NVME_DATA_TFR_CTRL_TO_HOST, &len) != 0)
		return 0;
	return len;
}

static int
feature_data(struct plx_nvme_feature *f)
{
	if (f->data_len == UINT32_MAX) {
		cli_say("--data-len is at most 1 MiB");
		return CLI_USAGE;
	}
	if (f->data_len == 0)
		return CLI_OK;
	f->data = calloc(1, f->data_len);
	if (f->data != NULL)
		return CLI_OK;
	cli_say("out of memory");
	return CLI_FAIL;
}

/* feature-id, sel, data-len, cdw11 */
int
cmd_get_feature(struct cli *c)
{
	struct plx_nvme_feature f = {.fid = (uint8_t)c->a.num[0],
		.sel = (uint8_t)c->a.num[1],
		.nsid = c->a.nsid,
		.cdw11 = (uint32_t)c->a.num[3]};
	uint32_t value;
	int rc;

	if (!c->a.given[0] || c->a.num[0] == 0 || c->a.num[0] > 255 || c->a.num[1] > 7) {
		cli_say("get-feature wants --feature-id, 1 to 255; --sel is 0 to 7");
		return CLI_USAGE;
	}
	f.data_len = f.sel == 3 ? 0 : feature_len(c, 2, f.fid, f.cdw11, false);
	rc = feature_data(&f);
	if (rc == CLI_OK)
		rc = cli_result(c, plx_nvme_get_feature(c->dev, &f, &value));
	if (rc == CLI_OK)
		rc = show_feature(c, &f, value);
	free(f.data);
	return rc;
}

/* A file's content, at most max bytes. @return CLI_OK; else after one line */
static int
read_file(const char *path, void *buf, uint32_t max, uint32_t *len)
{
	FILE *f = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
	int rc = CLI_OK;

	if (f == NULL) {
		cli_say("%s: %s", path, strerror(errno));
		return CLI_USAGE;
	}
	*len = (uint32_t)fread(buf, 1, max, f);
	if (ferror(f) || fgetc(f) != EOF) {
		cli_say("%s: %s", path, ferror(f) ? "can't be read" : "is longer than expected");
		rc = CLI_USAGE;
	}
	if (f != stdin)
		fclose(f);
	return rc;
}

/* feature-id, value, cdw12, data-len, data, save */
int
cmd_set_feature(struct cli *c)
{
	struct plx_nvme_feature f = {.fid = (uint8_t)c->a.num[0],
		.save = c->a.given[5],
		.nsid = c->a.nsid,
		.cdw11 = (uint32_t)c->a.num[1],
		.cdw12 = (uint32_t)c->a.num[2]};
	uint32_t value, len;
	int rc;

	if (!c->a.given[0] || c->a.num[0] == 0 || c->a.num[0] > 255 ||
		(!c->a.given[1] && !c->a.given[4])) {
		cli_say("set-feature wants --feature-id, 1 to 255, and --value or --data");
		return CLI_USAGE;
	}
	f.data_len = feature_len(c, 3, f.fid, f.cdw11, true);
	rc = feature_data(&f);
	if (rc == CLI_OK && f.data != NULL && !c->a.given[4]) {
		cli_say("feature %#x has %u bytes of data: give --data", f.fid, f.data_len);
		rc = CLI_USAGE;
	}
	if (rc == CLI_OK && f.data != NULL)
		rc = read_file(c->a.text[4], f.data, f.data_len, &len);
	if (rc == CLI_OK)
		rc = cli_result(c, plx_nvme_set_feature(c->dev, &f, &value));
	if (rc == CLI_OK)
		printf("set-feature:%#04x, value:%#010x, cdw12:%#010x, save:%d\n", f.fid, f.cdw11,
			f.cdw12, f.save);
	free(f.data);
	return rc;
}

/* ---- what destroys ---- */

/* lbaf, ses, pi, pil, ms, timeout */
int
cmd_format(struct cli *c)
{
	uint64_t lbaf = c->a.num[0], ses = c->a.num[1], pi = c->a.num[2], pil = c->a.num[3];
	uint32_t nsid, cdw10;
	int rc = cli_nsid(c, &nsid);

	if (rc != CLI_OK)
		return rc;
	if (lbaf > 63 || ses > 2 || pi > 3 || pil > 1 || c->a.num[4] > 1 ||
		c->a.num[5] > UINT32_MAX) {
		cli_say("--lbaf is 0 to 63, --ses 0 to 2, --pi 0 to 3, --pil and --ms 0 or 1");
		return CLI_USAGE;
	}
	cdw10 = (uint32_t)((lbaf & 0xf) | c->a.num[4] << 4 | pi << 5 | pil << 8 | ses << 9 |
			   (lbaf >> 4) << 12);
	rc = cli_result(c, plx_nvme_format(c->dev, nsid, cdw10, (uint32_t)c->a.num[5]));
	if (rc == CLI_OK)
		printf("Success formatting namespace:%x\n", nsid);
	return rc;
}

/* sanact, ause, owpass, oipbp, nodas, ovrpat */
int
cmd_sanitize(struct cli *c)
{
	uint32_t cdw10;
	int rc;

	if (!c->a.given[0] || c->a.num[0] < 1 || c->a.num[0] > 4 || c->a.num[2] > 15) {
		cli_say("sanitize wants --sanact: 1 exit failure mode, 2 block erase, 3 overwrite, "
			"4 crypto erase; --owpass is 0 to 15");
		return CLI_USAGE;
	}
	cdw10 = (uint32_t)(c->a.num[0] | (uint64_t)c->a.given[1] << 3 | c->a.num[2] << 4 |
			   (uint64_t)c->a.given[3] << 8 | (uint64_t)c->a.given[4] << 9);
	rc = cli_result(c, plx_nvme_sanitize(c->dev, cdw10, (uint32_t)c->a.num[5]));
	if (rc == CLI_OK)
		printf("sanitize has begun: see sanitize-log\n");
	return rc;
}

/* Send the image in the file named by option i. */
static int
download(const struct cli *c, unsigned int i, uint64_t offset)
{
	void *image;
	uint32_t len;
	int rc;

	image = malloc(FW_MAX);
	rc = image == NULL ? cli_result(c, -ENOMEM) : read_file(c->a.text[i], image, FW_MAX, &len);
	if (rc == CLI_OK && (len == 0 || len % 4 != 0 || offset % 4 != 0 || offset > UINT32_MAX)) {
		cli_say("an image has a multiple of 4 bytes, and so does its offset");
		rc = CLI_USAGE;
	}
	if (rc == CLI_OK)
		rc = cli_result(c, plx_nvme_fw_download(c->dev, image, len, (uint32_t)offset));
	if (rc == CLI_OK)
		printf("Firmware download success\n");
	free(image);
	return rc;
}

/* fw, offset */
int
cmd_fw_download(struct cli *c)
{
	if (c->a.given[0])
		return download(c, 0, c->a.num[1]);
	cli_say("fw-download wants --fw FILE");
	return CLI_USAGE;
}

/* slot, action, fw: a download in a run of its own would be lost with its reset */
int
cmd_fw_commit(struct cli *c)
{
	uint32_t result;
	int rc;

	if (c->a.num[0] > 7 || c->a.num[1] > 7) {
		cli_say("--slot and --action are 0 to 7");
		return CLI_USAGE;
	}
	rc = c->a.given[2] ? download(c, 2, 0) : CLI_OK;
	if (rc != CLI_OK)
		return rc;
	rc = plx_nvme_fw_commit(c->dev, (uint8_t)c->a.num[0], (uint8_t)c->a.num[1], &result);
	if (rc > 0 &&
		((rc & 0x7ff) == (NVME_SCT_CMD_SPECIFIC << 8 | NVME_SC_FW_NEEDS_CONV_RESET) ||
			(rc & 0x7ff) == (NVME_SCT_CMD_SPECIFIC << 8 | NVME_SC_FW_NEEDS_RESET) ||
			(rc & 0x7ff) ==
				(NVME_SCT_CMD_SPECIFIC << 8 | NVME_SC_FW_NEEDS_SUBSYS_RESET))) {
		printf("Success activating firmware action:%u slot:%u, but firmware requires a "
		       "reset: %s\n",
			(unsigned int)c->a.num[1], (unsigned int)c->a.num[0],
			nvme_status_to_string(rc & 0x7ff, false));
		return CLI_OK;
	}
	rc = cli_result(c, rc);
	if (rc == CLI_OK)
		printf("Success committing firmware action:%u slot:%u\n", (unsigned int)c->a.num[1],
			(unsigned int)c->a.num[0]);
	return rc;
}

int
cmd_reset(struct cli *c)
{
	return cli_result(c, plx_nvme_reset(c->dev));
}
