/* SPDX-License-Identifier: BSD-3-Clause */
/* Identify. */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <nvme/types.h>

#include <rte_byteorder.h>
#include <rte_common.h>

#include "plx_blk.h"
#include "plx_probe.h"

#include "cmds.h"

#define CTRL(member, how) FIELD(nvme_id_ctrl, member, #member, how)
static const struct cli_field ctrl_fields[] = {CTRL(vid, F_HEX), CTRL(ssvid, F_HEX),
	CTRL(sn, F_TEXT), CTRL(mn, F_TEXT), CTRL(fr, F_TEXT), CTRL(rab, F_DEC), CTRL(ieee, F_IEEE),
	CTRL(cmic, F_HEX), CTRL(mdts, F_DEC), CTRL(cntlid, F_HEX), CTRL(ver, F_HEX),
	CTRL(rtd3r, F_HEX), CTRL(rtd3e, F_HEX), CTRL(oaes, F_HEX), CTRL(ctratt, F_HEX),
	CTRL(rrls, F_HEX), CTRL(cntrltype, F_DEC), CTRL(fguid, F_UUID), CTRL(crdt1, F_DEC),
	CTRL(crdt2, F_DEC), CTRL(crdt3, F_DEC), CTRL(nvmsr, F_DEC), CTRL(vwci, F_DEC),
	CTRL(mec, F_DEC), CTRL(oacs, F_HEX), CTRL(acl, F_DEC), CTRL(aerl, F_DEC), CTRL(frmw, F_HEX),
	CTRL(lpa, F_HEX), CTRL(elpe, F_DEC), CTRL(npss, F_DEC), CTRL(avscc, F_HEX),
	CTRL(apsta, F_HEX), CTRL(wctemp, F_DEC), CTRL(cctemp, F_DEC), CTRL(mtfa, F_DEC),
	CTRL(hmpre, F_DEC), CTRL(hmmin, F_DEC), CTRL(tnvmcap, F_BIG), CTRL(unvmcap, F_BIG),
	CTRL(rpmbs, F_HEX), CTRL(edstt, F_DEC), CTRL(dsto, F_DEC), CTRL(fwug, F_DEC),
	CTRL(kas, F_DEC), CTRL(hctma, F_HEX), CTRL(mntmt, F_DEC), CTRL(mxtmt, F_DEC),
	CTRL(sanicap, F_HEX), CTRL(hmminds, F_DEC), CTRL(hmmaxd, F_DEC), CTRL(nsetidmax, F_DEC),
	CTRL(endgidmax, F_DEC), CTRL(anatt, F_DEC), CTRL(anacap, F_DEC), CTRL(anagrpmax, F_DEC),
	CTRL(nanagrpid, F_DEC), CTRL(pels, F_DEC), CTRL(domainid, F_DEC), CTRL(megcap, F_BIG),
	CTRL(sqes, F_HEX), CTRL(cqes, F_HEX), CTRL(maxcmd, F_DEC), CTRL(nn, F_DEC),
	CTRL(oncs, F_HEX), CTRL(fuses, F_HEX), CTRL(fna, F_HEX), CTRL(vwc, F_HEX),
	CTRL(awun, F_DEC), CTRL(awupf, F_DEC), CTRL(icsvscc, F_DEC), CTRL(nwpc, F_DEC),
	CTRL(acwu, F_DEC), CTRL(ocfs, F_HEX), CTRL(sgls, F_HEX), CTRL(mnan, F_DEC),
	CTRL(maxdna, F_BIG), CTRL(maxcna, F_DEC), CTRL(subnqn, F_TEXT), CTRL(ioccsz, F_DEC),
	CTRL(iorcsz, F_DEC), CTRL(icdoff, F_DEC), CTRL(fcatt, F_DEC), CTRL(msdbd, F_DEC),
	CTRL(ofcs, F_DEC)};

#define PSD(member, name, how) FIELD(nvme_id_psd, member, name, how)
static const struct cli_field psd_fields[] = {PSD(mp, "max_power", F_DEC),
	PSD(flags, "flags", F_DEC), PSD(enlat, "entry_lat", F_DEC), PSD(exlat, "exit_lat", F_DEC),
	PSD(rrt, "read_tput", F_DEC), PSD(rrl, "read_lat", F_DEC), PSD(rwt, "write_tput", F_DEC),
	PSD(rwl, "write_lat", F_DEC), PSD(idlp, "idle_power", F_DEC), PSD(ips, "idle_scale", F_DEC),
	PSD(actp, "active_power", F_DEC), PSD(apws, "active_power_work", F_DEC),
	PSD(apws, "active_scale", F_SCALE)};

#define NS(member, how) FIELD(nvme_id_ns, member, #member, how)
static const struct cli_field ns_fields[] = {NS(nsze, F_HEX), NS(ncap, F_HEX), NS(nuse, F_HEX),
	NS(nsfeat, F_HEX), NS(nlbaf, F_DEC), NS(flbas, F_HEX), NS(mc, F_HEX), NS(dpc, F_HEX),
	NS(dps, F_HEX), NS(nmic, F_HEX), NS(rescap, F_HEX), NS(fpi, F_HEX), NS(dlfeat, F_DEC),
	NS(nawun, F_DEC), NS(nawupf, F_DEC), NS(nacwu, F_DEC), NS(nabsn, F_DEC), NS(nabo, F_DEC),
	NS(nabspf, F_DEC), NS(noiob, F_DEC), NS(nvmcap, F_BIG), NS(npwg, F_DEC), NS(npwa, F_DEC),
	NS(npdg, F_DEC), NS(npda, F_DEC), NS(nows, F_DEC), NS(mssrl, F_DEC), NS(mcl, F_DEC),
	NS(msrc, F_DEC), NS(nulbaf, F_DEC), NS(anagrpid, F_DEC), NS(nsattr, F_DEC),
	NS(nvmsetid, F_DEC), NS(endgid, F_DEC), NS(nguid, F_BYTES), NS(eui64, F_BYTES)};

static int
ctrl_json(const struct nvme_id_ctrl *id)
{
	json_object *o = json_object_new_object(), *psds = json_object_new_array();

	cli_json_fields(o, ctrl_fields, RTE_DIM(ctrl_fields), id);
	for (unsigned int i = 0; i <= RTE_MIN(id->npss, 31u); i++) {
		json_object *psd = json_object_new_object();

		cli_json_fields(psd, psd_fields, RTE_DIM(psd_fields), &id->psd[i]);
		json_object_array_add(psds, psd);
	}
	json_object_object_add(o, "psds", psds);
	return cli_print_json(o);
}

struct nvme_id_ctrl *
cli_id_ctrl(const struct cli *c)
{
	struct nvme_id_ctrl *id = calloc(1, sizeof(*id));
	int rc = id == NULL ? -ENOMEM
			    : plx_nvme_identify(c->dev, NVME_IDENTIFY_CNS_CTRL, 0, 0, 0, id);

	if (cli_result(c, rc) == CLI_OK)
		return id;
	free(id);
	return NULL;
}

int
cmd_id_ctrl(struct cli *c)
{
	struct nvme_id_ctrl *id = cli_id_ctrl(c);
	int rc = id != NULL ? CLI_OK : CLI_FAIL;

	if (rc == CLI_OK && c->a.format == CLI_JSON) {
		rc = ctrl_json(id);
	} else if (rc == CLI_OK && c->a.format == CLI_BINARY) {
		rc = cli_print_binary(id, sizeof(*id));
	} else if (rc == CLI_OK) {
		printf("NVME Identify Controller:\n");
		cli_print_fields(ctrl_fields, RTE_DIM(ctrl_fields), id, 10);
		for (unsigned int i = 0; i <= RTE_MIN(id->npss, 31u); i++)
			printf("ps %4u   : mp:%.2fW enlat:%u exlat:%u rrt:%u rrl:%u rwt:%u "
			       "rwl:%u\n",
				i,
				rte_le_to_cpu_16(id->psd[i].mp) *
					(id->psd[i].flags & 1 ? 0.0001 : 0.01),
				rte_le_to_cpu_32(id->psd[i].enlat),
				rte_le_to_cpu_32(id->psd[i].exlat), id->psd[i].rrt, id->psd[i].rrl,
				id->psd[i].rwt, id->psd[i].rwl);
	}
	free(id);
	return rc;
}

static unsigned int
in_use(const struct nvme_id_ns *id)
{
	return (id->flbas & 0xf) | (id->flbas & 0x60u) >> 1;
}

static int
ns_json(const struct nvme_id_ns *id)
{
	json_object *o = json_object_new_object(), *lbafs = json_object_new_array();

	cli_json_fields(o, ns_fields, RTE_DIM(ns_fields), id);
	for (unsigned int i = 0; i <= RTE_MIN(id->nlbaf, 63u); i++) {
		json_object *f = json_object_new_object();

		json_object_object_add(
			f, "ms", json_object_new_int(rte_le_to_cpu_16(id->lbaf[i].ms)));
		json_object_object_add(f, "ds", json_object_new_int(id->lbaf[i].ds));
		json_object_object_add(f, "rp", json_object_new_int(id->lbaf[i].rp & 3));
		json_object_array_add(lbafs, f);
	}
	json_object_object_add(o, "lbafs", lbafs);
	return cli_print_json(o);
}

int
cmd_id_ns(struct cli *c)
{
	struct nvme_id_ns *id = calloc(1, sizeof(*id));
	uint32_t nsid = 0;
	int rc = cli_nsid(c, &nsid);

	if (rc == CLI_OK)
		rc = cli_result(c, id == NULL ? -ENOMEM
					      : plx_nvme_identify(c->dev, NVME_IDENTIFY_CNS_NS,
							nsid, 0, 0, id));
	if (rc == CLI_OK && c->a.format == CLI_JSON) {
		rc = ns_json(id);
	} else if (rc == CLI_OK && c->a.format == CLI_BINARY) {
		rc = cli_print_binary(id, sizeof(*id));
	} else if (rc == CLI_OK) {
		printf("NVME Identify Namespace %u:\n", nsid);
		cli_print_fields(ns_fields, RTE_DIM(ns_fields), id, 8);
		for (unsigned int i = 0; i <= RTE_MIN(id->nlbaf, 63u); i++)
			printf("lbaf %2u : ms:%-3u lbads:%-2u rp:%#x %s\n", i,
				rte_le_to_cpu_16(id->lbaf[i].ms), id->lbaf[i].ds,
				id->lbaf[i].rp & 3, i == in_use(id) ? "(in use)" : "");
	}
	free(id);
	return rc;
}

int
cmd_list_ns(struct cli *c)
{
	uint8_t cns = c->a.given[0] ? NVME_IDENTIFY_CNS_ALLOCATED_NS_LIST
				    : NVME_IDENTIFY_CNS_NS_ACTIVE_LIST;
	uint32_t list[NVME_IDENTIFY_DATA_SIZE / 4];
	json_object *nsids = json_object_new_array(), *o;
	int rc = cli_result(
		c, plx_nvme_identify(c->dev, cns, c->a.nsid != 0 ? c->a.nsid - 1 : 0, 0, 0, list));

	for (unsigned int i = 0; rc == CLI_OK && i < RTE_DIM(list) && list[i] != 0; i++) {
		uint32_t nsid = rte_le_to_cpu_32(list[i]);

		if (c->a.format == CLI_TEXT)
			printf("[%4u]:%#x\n", i, nsid);
		o = json_object_new_object();
		json_object_object_add(o, "nsid", json_object_new_uint64(nsid));
		json_object_array_add(nsids, o);
	}
	if (rc != CLI_OK || c->a.format != CLI_JSON) {
		json_object_put(nsids);
		return rc != CLI_OK || c->a.format != CLI_BINARY
			       ? rc
			       : cli_print_binary(list, sizeof(list));
	}
	o = json_object_new_object();
	json_object_object_add(o, "nsid_list", nsids);
	return cli_print_json(o);
}

/* ---- list ---- */

static void
list_blk(const struct plx_blk_info *i, const char *str, json_object *devices, bool text)
{
	json_object *o = json_object_new_object();
	const char *n = strrchr(i->name, '/');

	json_object_object_add(
		o, "NameSpace", json_object_new_uint64(n != NULL ? strtoul(n + 2, NULL, 10) : 0));
	json_object_object_add(o, "DevicePath", json_object_new_string(str));
	json_object_object_add(o, "Firmware", json_object_new_string(i->firmware));
	json_object_object_add(o, "ModelNumber", json_object_new_string(i->model));
	json_object_object_add(o, "SerialNumber", json_object_new_string(i->serial));
	json_object_object_add(o, "MaximumLBA", json_object_new_uint64(i->nblocks));
	json_object_object_add(
		o, "PhysicalSize", json_object_new_uint64(i->nblocks * i->block_size));
	json_object_object_add(o, "SectorSize", json_object_new_uint64(i->block_size));
	json_object_array_add(devices, o);
	if (text)
		printf("%-28s %-20s %-32s %-9s %9.2f GB  %6u B + %2u B  %s\n", str, i->serial,
			i->model, n != NULL ? n + 2 : "", (double)i->nblocks * i->block_size / 1e9,
			i->block_size, i->meta_size, i->firmware);
}

static int
list_one(const char *str, json_object *devices, bool text)
{
	struct plx_blk_info info;
	struct plx_dev *dev;
	size_t len;

	if (plx_attach(str, &dev) != 0)
		return CLI_FAIL; /* logged */
	len = strlen(plx_dev_name(dev));
	for (struct plx_blk *b = plx_blk_next(NULL); b != NULL; b = plx_blk_next(b)) {
		plx_blk_info_get(b, &info);
		if (strcmp(info.driver, "nvme") == 0 && info.name[len] == '/' &&
			strncmp(info.name, plx_dev_name(dev), len) == 0)
			list_blk(&info, str, devices, text);
	}
	plx_detach(dev);
	return CLI_OK;
}

static bool
reads(const char *bdf, const char *file, const char *want)
{
	char path[300], text[32] = "";
	FILE *f;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/%s", bdf, file);
	f = fopen(path, "re");
	if (f == NULL)
		return false;
	if (fgets(text, sizeof(text), f) == NULL)
		text[0] = '\0';
	fclose(f);
	return strncmp(text, want, strlen(want)) == 0;
}

static bool
bound_to_vfio(const char *bdf)
{
	char path[300], to[300] = "";
	ssize_t n;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/driver", bdf);
	n = readlink(path, to, sizeof(to) - 1);
	return n > 0 && strstr(to, "/vfio-pci") != NULL;
}

/* NVMe functions that are bound to vfio-pci. */
static int
list_all(json_object *devices, bool text)
{
	DIR *d = opendir("/sys/bus/pci/devices");
	struct dirent *e;
	char str[300];
	int rc = CLI_OK;

	while (d != NULL && (e = readdir(d)) != NULL) {
		if (!reads(e->d_name, "class", "0x010802") || !bound_to_vfio(e->d_name))
			continue;
		snprintf(str, sizeof(str), "pci:%s", e->d_name);
		rc = RTE_MAX(rc, list_one(str, devices, text));
	}
	if (d != NULL)
		closedir(d);
	return rc;
}

int
cmd_list(struct cli *c)
{
	json_object *devices = json_object_new_array(), *o;
	bool text = c->a.format != CLI_JSON;
	int rc;

	if (text)
		printf("%-28s %-20s %-32s %-9s %12s  %-15s %s\n", "Device", "SN", "Model",
			"Namespace", "Size", "Format", "FW Rev");
	rc = c->str != NULL ? list_one(c->str, devices, text) : list_all(devices, text);
	if (text) {
		json_object_put(devices);
		return rc;
	}
	o = json_object_new_object();
	json_object_object_add(o, "Devices", devices);
	return RTE_MAX(rc, cli_print_json(o));
}
