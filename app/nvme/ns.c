/* SPDX-License-Identifier: BSD-3-Clause */
/* Namespaces: managing them, and their zones. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <nvme/types.h>

#include <rte_byteorder.h>
#include <rte_common.h>

#include "plx_mem.h"

#include "cmds.h"

/* nsze, ncap, flbas, dps, nmic */
int
cmd_create_ns(struct cli *c)
{
	struct nvme_id_ns *ns = calloc(1, sizeof(*ns));
	uint32_t nsid;
	int rc;

	if (!c->a.given[0] || c->a.num[2] > 255 || c->a.num[3] > 255 || c->a.num[4] > 255) {
		cli_say("create-ns wants --nsze in blocks; --flbas, --dps and --nmic are bytes");
		free(ns);
		return CLI_USAGE;
	}
	rc = ns == NULL ? cli_result(c, -ENOMEM) : CLI_OK;
	if (rc == CLI_OK) {
		ns->nsze = rte_cpu_to_le_64(c->a.num[0]);
		ns->ncap = rte_cpu_to_le_64(c->a.given[1] ? c->a.num[1] : c->a.num[0]);
		ns->flbas = (uint8_t)c->a.num[2];
		ns->dps = (uint8_t)c->a.num[3];
		ns->nmic = (uint8_t)c->a.num[4];
		rc = cli_result(c, plx_nvme_ns_create(c->dev, ns, 0, &nsid));
	}
	if (rc == CLI_OK)
		printf("create-ns: Success, created nsid:%u\n", nsid);
	free(ns);
	return rc;
}

static int
wants_nsid(const struct cli *c)
{
	if (c->a.nsid != 0)
		return CLI_OK;
	cli_say("%s wants a namespace: -n", c->cmd->name);
	return CLI_USAGE;
}

int
cmd_delete_ns(struct cli *c)
{
	int rc = wants_nsid(c);

	if (rc == CLI_OK)
		rc = cli_result(c, plx_nvme_ns_delete(c->dev, c->a.nsid));
	if (rc == CLI_OK)
		printf("delete-ns: Success, deleted nsid:%u\n", c->a.nsid);
	return rc;
}

/* controllers: ids with ',' between; without, this one. */
static int
attach(struct cli *c, bool on)
{
	uint16_t ids[64], n = 0;
	struct nvme_id_ctrl *id;
	char *text, *end;
	int rc = wants_nsid(c);

	if (rc != CLI_OK)
		return rc;
	for (text = (char *)(uintptr_t)c->a.text[0]; text != NULL && n < RTE_DIM(ids); n++) {
		unsigned long v = strtoul(text, &end, 0);

		if (end == text || v > UINT16_MAX || (*end != '\0' && *end != ',')) {
			cli_say("--controllers: '%s' is no list of ids, as 1,2", c->a.text[0]);
			return CLI_USAGE;
		}
		ids[n] = (uint16_t)v;
		text = *end == ',' ? end + 1 : NULL;
	}
	if (n == 0) {
		id = cli_id_ctrl(c);
		if (id == NULL)
			return CLI_FAIL;
		ids[n++] = rte_le_to_cpu_16(id->cntlid);
		free(id);
	}
	rc = cli_result(c, plx_nvme_ns_attach(c->dev, c->a.nsid, ids, n, on));
	if (rc == CLI_OK)
		printf("%s: Success, nsid:%u\n", c->cmd->name, c->a.nsid);
	return rc;
}

int
cmd_attach_ns(struct cli *c)
{
	return attach(c, true);
}

int
cmd_detach_ns(struct cli *c)
{
	return attach(c, false);
}

/* ---- zones ---- */

static const char *
state_name(uint8_t state)
{
	static const char *const names[] = {[PLX_ZONE_EMPTY] = "EMPTY",
		[PLX_ZONE_IMP_OPEN] = "IMP_OPENED",
		[PLX_ZONE_EXP_OPEN] = "EXP_OPENED",
		[PLX_ZONE_CLOSED] = "CLOSED",
		[PLX_ZONE_RDONLY] = "READONLY",
		[PLX_ZONE_FULL] = "FULL",
		[PLX_ZONE_OFFLINE] = "OFFLINE"};

	return state < RTE_DIM(names) && names[state] != NULL ? names[state] : "?";
}

struct zones {
	struct plx_blk *blk;
	struct plx_blk_info info;
	struct plx_blkq *q;
	struct plx_zone_report *report;
	uint32_t nblk, room;
	json_object *list;
};

static void
zone(const struct cli *c, struct zones *z, const struct plx_zone *zone)
{
	json_object *o = json_object_new_object();

	if (c->a.format == CLI_TEXT)
		printf("SLBA: %#-10" PRIx64 " WP: %#-10" PRIx64 " Cap: %#-10" PRIx64
		       " State: %-12s Type: %-12s Attrs: %#x\n",
			zone->lba, zone->wp, zone->capacity, state_name(zone->state),
			zone->type == 2 ? "SEQWRITE_REQ" : "?", zone->attrs);
	json_object_object_add(o, "slba", json_object_new_uint64(zone->lba));
	json_object_object_add(o, "wp", json_object_new_uint64(zone->wp));
	json_object_object_add(o, "cap", json_object_new_uint64(zone->capacity));
	json_object_object_add(o, "state", json_object_new_string(state_name(zone->state)));
	json_object_object_add(
		o, "type", json_object_new_string(zone->type == 2 ? "SEQWRITE_REQ" : "?"));
	json_object_object_add(o, "attrs", json_object_new_int(zone->attrs));
	json_object_array_add(z->list, o);
}

/* From lba on, up to max zones. */
static int
report(const struct cli *c, struct zones *z, uint64_t lba, uint64_t max)
{
	struct plx_blk_req req;
	uint64_t n, done = 0;
	int rc;

	while (done < max && lba < z->info.nblocks) {
		req = (struct plx_blk_req){
			.op = PLX_OP_ZONE_REPORT, .lba = lba, .nblk = z->nblk, .buf = z->report};
		rc = cli_result(c, cli_io(z->q, &req));
		if (rc != CLI_OK)
			return rc;
		n = RTE_MIN(req.result, z->room);
		for (uint64_t i = 0; i < n && done < max; i++, done++)
			zone(c, z, &z->report->zones[i]);
		if (n == 0)
			break;
		lba = z->report->zones[n - 1].lba + z->info.zone_nblk;
	}
	return CLI_OK;
}

static int
start(const struct cli *c, struct zones *z)
{
	int rc = cli_result(c, cli_start(z->blk, &z->q));

	if (rc != CLI_OK)
		return rc;
	z->nblk = RTE_MAX(65536 / z->info.block_size, 1u);
	z->room = (uint32_t)((z->nblk * (size_t)z->info.block_size - sizeof(*z->report)) /
			     sizeof(struct plx_zone));
	z->report = plx_mem_alloc(z->nblk * (size_t)z->info.block_size, 4096, -1);
	return z->report != NULL ? CLI_OK : CLI_FAIL;
}

/* start-lba, descs */
int
cmd_report_zones(struct cli *c)
{
	uint64_t max = c->a.given[1] ? c->a.num[1] : UINT64_MAX;
	struct zones z = {0};
	json_object *o;
	uint32_t nsid;
	int rc = cli_nsid(c, &nsid);

	if (rc == CLI_OK)
		rc = cli_open(c, nsid, 0, &z.blk);
	if (rc != CLI_OK)
		return rc;
	plx_blk_info_get(z.blk, &z.info);
	if (z.info.zone_nblk == 0) {
		cli_say("namespace %u is not zoned", nsid);
		plx_blk_close(z.blk);
		return CLI_FAIL;
	}
	z.list = json_object_new_array();
	rc = start(c, &z);
	if (rc == CLI_OK && c->a.format == CLI_TEXT)
		printf("nr_zones: %u\n", z.info.nb_zones);
	if (rc == CLI_OK)
		rc = report(c, &z, c->a.num[0], max);
	plx_blk_close(z.blk);
	plx_mem_free(z.report);
	if (rc != CLI_OK || c->a.format != CLI_JSON) {
		json_object_put(z.list);
		return rc;
	}
	o = json_object_new_object();
	json_object_object_add(o, "nr_zones", json_object_new_uint64(z.info.nb_zones));
	json_object_object_add(o, "zone_list", z.list);
	return cli_print_json(o);
}
