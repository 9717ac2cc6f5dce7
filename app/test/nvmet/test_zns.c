/* SPDX-License-Identifier: BSD-3-Clause */
/* Zoned namespaces and Copy, as a host sees them. */
#include <unistd.h>

#include "nvmet_host.h"
#include "plx_eal.h"
#include "plx_test.h"

#define ZONED "ram:size=4M,zone=16K,zcap=12K,max_open=3,max_active=5"
#define NB 256  /* zones */
#define ZONE 32 /* blocks of one, 24 of them to write */

static struct plx_nvmet *ctrl;
static struct host h;
static uint64_t buf, list;

static void
up(const char *dev1, const char *dev2, bool all_sets)
{
	struct plx_nvmet_conf conf = {.mdts = 5};

	ctrl = host_serve(&conf, dev2 != NULL ? 2 : 1, dev1, dev2);
	host_open(&h, ctrl);
	h.all_sets = all_sets;
	CHECK_EQ(host_enable(&h, 32), 1);
	host_queue(&h, 1, 64);
	buf = host_alloc(&h, 128 << 10);
	list = host_alloc(&h, 64 << 10);
}

static void
down(void)
{
	host_close(&h);
	host_unserve(ctrl);
}

static uint16_t
identify(uint32_t cns, uint32_t nsid, uint32_t csi)
{
	return host_admin(&h, nvme_admin_identify, nsid, buf, 0, cns, csi << 24);
}

/* A host that enables the NVM command set alone doesn't see zones. */
static void
test_hidden(void)
{
	uint32_t *u;

	up(ZONED, "ram:size=4M", false);
	u = host_va(&h, buf);
	CHECK_EQ(host_reg64(&h, NVME_REG_CAP) >> 37 & 0xff, 0x41);
	CHECK_EQ(identify(2, 0, 0), 0);
	CHECK(u[0] == 2 && u[1] == 0);
	CHECK_EQ(identify(0, 1, 0), SC(GENERIC, INVALID_NS));
	CHECK_EQ(host_rw(&h, 1, nvme_cmd_read, 1, 0, 1, buf, 0), SC(GENERIC, INVALID_NS));
	CHECK_EQ(host_rw(&h, 1, nvme_cmd_read, 2, 0, 1, buf, 0), 0);
	down();
	/* without zones no command sets are offered */
	up("ram:size=4M", NULL, false);
	CHECK_EQ(host_reg64(&h, NVME_REG_CAP) >> 37 & 0xff, 1);
	CHECK_EQ(identify(0x1c, 0, 0), SC(GENERIC, INVALID_FIELD));
	CHECK_EQ(host_rw(&h, 1, nvme_zns_cmd_append, 1, 0, 1, buf, 0), SC(GENERIC, INVALID_OPCODE));
	down();
}

static void
test_identify(void)
{
	struct nvme_zns_id_ns *id;
	uint8_t *raw;
	uint32_t *u;

	up(ZONED, "ram:size=4M", true);
	raw = host_va(&h, buf);
	u = host_va(&h, buf);
	id = host_va(&h, buf);
	CHECK_EQ(identify(2, 0, 0), 0);
	CHECK(u[0] == 1 && u[1] == 2 && u[2] == 0);
	CHECK_EQ(identify(7, 0, 2), 0);
	CHECK(u[0] == 1 && u[1] == 0);
	CHECK_EQ(identify(7, 0, 0), 0);
	CHECK(u[0] == 2 && u[1] == 0);
	CHECK_EQ(identify(3, 1, 0), 0);
	CHECK(raw[20] == 4 && raw[21] == 1 && raw[24] == 2 && raw[25] == 0);
	CHECK_EQ(identify(5, 1, 2), 0);
	CHECK(id->mar == 4 && id->mor == 2 && id->lbafe[0].zsze == ZONE && id->ozcs == 1);
	CHECK_EQ(identify(5, 2, 2), SC(GENERIC, INVALID_FIELD));
	CHECK_EQ(identify(6, 0, 2), 0);
	CHECK_EQ(raw[0], 1); /* 8 KiB, of 12 */
	CHECK_EQ(identify(6, 0, 1), SC(GENERIC, INVALID_FIELD));
	CHECK_EQ(identify(0x1c, 0, 0), 0);
	CHECK_EQ(raw[0], 5);
	CHECK_EQ(host_admin(&h, nvme_admin_set_features, 0, 0, 0, 0x19, 0), 0);
	CHECK_EQ(host_admin(&h, nvme_admin_set_features, 0, 0, 0, 0x19, 1),
		SC(GENERIC, IOCS_COMBINATION_REJECTED));
	down();
}

static uint16_t
send(uint64_t lba, uint32_t dw13)
{
	struct host_cmd c = host_rw_cmd(nvme_zns_cmd_mgmt_send, 1, lba, 1, 0, 0);

	c.dw[13] = dw13;
	return host_run(&h, 1, &c);
}

/* Into the middle of a page, in two pieces. */
static uint16_t
recv(uint64_t lba, uint32_t bytes, uint32_t dw13)
{
	struct host_cmd c = host_rw_cmd(nvme_zns_cmd_mgmt_recv, 1, lba, 1, buf + 2048, list);
	uint64_t *l = host_va(&h, list);
	uint32_t i;

	if (bytes <= 2048 + 4096)
		c = host_rw_cmd(nvme_zns_cmd_mgmt_recv, 1, lba, 1, buf + 2048, buf + 8192);
	for (i = 0; i < 16; i++) /* pages that don't follow each other */
		l[i] = buf + (2 * i + 2) * 4096;
	c.dw[12] = bytes / 4 - 1;
	c.dw[13] = dw13;
	memset(host_va(&h, buf), 0xa5, 128 << 10);
	return host_run(&h, 1, &c);
}

/* The zone at a place of such a report. */
static struct nvme_zns_desc
zone_at(uint32_t i)
{
	uint32_t off = 64 + 64 * i, page = (off + 2048) / 4096;
	uint64_t at = page == 0 ? buf + 2048 + off : buf + page * 8192 + (off + 2048) % 4096;
	struct nvme_zns_desc d;

	memcpy(&d, host_va(&h, at), sizeof(d));
	return d;
}

static uint64_t
nr_zones(void)
{
	return *(uint64_t *)host_va(&h, buf + 2048);
}

static void
test_reports(void)
{
	uint8_t *raw;
	uint32_t i;

	up(ZONED, NULL, true);
	raw = host_va(&h, buf);
	CHECK_EQ(host_rw(&h, 1, nvme_cmd_write, 1, 7 * ZONE, 3, buf, 0), 0);
	CHECK_EQ(send(9 * ZONE, NVME_ZNS_ZSA_OPEN), 0);
	CHECK_EQ(send(11 * ZONE, NVME_ZNS_ZSA_FINISH), 0);
	CHECK_EQ(recv(0, 64 + NB * 64, 0), 0);
	CHECK_EQ(nr_zones(), NB);
	for (i = 0; i < NB; i++) {
		struct nvme_zns_desc d = zone_at(i);

		CHECK_EQ(d.zslba, i * ZONE);
		CHECK_EQ(d.zcap, 24);
		CHECK_EQ(d.zs >> 4, i == 7 ? 2 : i == 9 ? 3 : i == 11 ? 14 : 1);
		CHECK(i == 11 || d.wp == i * ZONE + (i == 7 ? 3 : 0));
	}
	/* too long: what is left is zero; too short: as many as there is room for */
	CHECK_EQ(recv(250 * ZONE + 5, 64 + 8 * 64, 0), 0);
	CHECK_EQ(nr_zones(), 6);
	CHECK_EQ(zone_at(5).zslba, 255 * ZONE);
	CHECK_EQ(zone_at(6).zs | zone_at(7).zs, 0);
	CHECK_EQ(recv(0, 64 + 2 * 64 + 60, 0), 0);
	CHECK_EQ(nr_zones(), NB);
	CHECK_EQ(zone_at(1).zslba, ZONE);
	CHECK_EQ(raw[2048 + 3 * 64] | raw[2048 + 3 * 64 + 59], 0);
	CHECK_EQ(raw[2048 + 3 * 64 + 60], 0xa5);
	CHECK_EQ(recv(0, 64 + 2 * 64, 1 << 16), 0);
	CHECK_EQ(nr_zones(), 2);
	CHECK_EQ(recv(0, 64, 0), 0);
	CHECK_EQ(nr_zones(), NB);
	/* in one state */
	CHECK_EQ(recv(0, 64 + 2 * 64, NVME_ZNS_ZRAS_REPORT_EXPL_OPENED << 8), 0);
	CHECK_EQ(nr_zones(), 1);
	CHECK_EQ(zone_at(0).zslba, 9 * ZONE);
	CHECK_EQ(recv(10 * ZONE, 64 + 2 * 64, NVME_ZNS_ZRAS_REPORT_EXPL_OPENED << 8), 0);
	CHECK_EQ(nr_zones(), 0);
	CHECK_EQ(recv(0, 64 + 2 * 64, NVME_ZNS_ZRAS_REPORT_EMPTY << 8), 0);
	CHECK_EQ(nr_zones(), NB - 3);
	CHECK_EQ(recv(0, 64, NVME_ZNS_ZRAS_REPORT_OFFLINE << 8), 0);
	CHECK_EQ(nr_zones(), 0);
	/* bad ones */
	CHECK_EQ(recv(0, 60, 0), SC(GENERIC, INVALID_FIELD));
	CHECK_EQ(recv(0, 132 << 10, 0), SC(GENERIC, INVALID_FIELD));
	CHECK_EQ(recv(0, 128, 8 << 8), SC(GENERIC, INVALID_FIELD));
	CHECK_EQ(recv(0, 128, NVME_ZNS_ZRA_EXTENDED_REPORT_ZONES), SC(GENERIC, INVALID_FIELD));
	CHECK_EQ(recv(NB * ZONE, 128, 0), SC(GENERIC, LBA_RANGE));
	down();
}

static void
test_commands(void)
{
	uint32_t i;

	up(ZONED, "ram:size=4M", true);
	/* appends say where they went, also those that are forced to the medium */
	for (i = 0; i < 3; i++) {
		struct host_cmd c = host_rw_cmd(nvme_zns_cmd_append, 1, 2 * ZONE, 4, buf, 0);

		c.dw[12] |= i == 1 ? 1u << 30 : 0;
		CHECK_EQ(host_run(&h, 1, &c), 0);
		CHECK_EQ(h.result, 2 * ZONE + 4 * i);
	}
	CHECK_EQ(host_rw(&h, 1, nvme_cmd_write, 1, 2 * ZONE, 1, buf, 0),
		SC(CMD_SPECIFIC, ZNS_INVALID_WRITE));
	CHECK_EQ(h.result, 0);
	CHECK_EQ(host_rw(&h, 1, nvme_cmd_write_zeroes, 1, 2 * ZONE + 12, 13, buf, 0),
		SC(CMD_SPECIFIC, ZNS_BOUNDARY_ERROR));
	CHECK_EQ(host_rw(&h, 1, nvme_zns_cmd_append, 1, 2 * ZONE + 1, 1, buf, 0),
		SC(GENERIC, INVALID_FIELD));
	CHECK_EQ(host_rw(&h, 1, nvme_zns_cmd_append, 2, 0, 1, buf, 0), SC(GENERIC, INVALID_OPCODE));
	CHECK_EQ(send(2 * ZONE, NVME_ZNS_ZSA_FINISH), 0);
	CHECK_EQ(host_rw(&h, 1, nvme_cmd_write, 1, 2 * ZONE + 12, 1, buf, 0),
		SC(CMD_SPECIFIC, ZNS_FULL));
	CHECK_EQ(send(2 * ZONE, NVME_ZNS_ZSA_CLOSE), SC(CMD_SPECIFIC, ZNS_INVAL_TRANSITION));
	for (i = 3; i < 6; i++)
		CHECK_EQ(send(i * ZONE, NVME_ZNS_ZSA_OPEN), 0);
	CHECK_EQ(send(6 * ZONE, NVME_ZNS_ZSA_OPEN), SC(CMD_SPECIFIC, ZNS_TOO_MANY_OPENS));
	CHECK_EQ(send(99, NVME_ZNS_ZSA_CLOSE | 1 << 8), 0); /* all, wherever */
	for (i = 6; i < 8; i++)
		CHECK_EQ(send(i * ZONE, NVME_ZNS_ZSA_OPEN), 0);
	CHECK_EQ(send(8 * ZONE, NVME_ZNS_ZSA_OPEN), SC(CMD_SPECIFIC, ZNS_TOO_MANY_ACTIVE));
	CHECK_EQ(send(0, 0), SC(GENERIC, INVALID_FIELD));
	CHECK_EQ(send(0, NVME_ZNS_ZSA_OFFLINE), SC(GENERIC, INVALID_FIELD));
	CHECK_EQ(send(0, NVME_ZNS_ZSA_SET_DESC_EXT), SC(GENERIC, INVALID_FIELD));
	CHECK_EQ(send(1, NVME_ZNS_ZSA_RESET), SC(GENERIC, INVALID_FIELD));
	CHECK_EQ(send(NB * ZONE, NVME_ZNS_ZSA_RESET), SC(GENERIC, LBA_RANGE));
	/* formatting empties all of them */
	CHECK_EQ(host_admin(&h, nvme_admin_format_nvm, 1, 0, 0, 0, 0), 0);
	CHECK_EQ(recv(0, 64, NVME_ZNS_ZRAS_REPORT_EMPTY << 8), 0);
	CHECK_EQ(nr_zones(), NB);
	down();
}

static uint16_t
copy(uint64_t to, uint32_t dw12)
{
	struct host_cmd c = host_rw_cmd(nvme_cmd_copy, 1, to, 1, list, 0);

	c.dw[12] = dw12;
	return host_run(&h, 1, &c);
}

static void
test_copy(void)
{
	struct nvme_copy_range *r;
	struct nvme_id_ns *id;
	uint8_t *p;
	uint32_t i;

	up("ram:size=64M", NULL, false);
	p = host_va(&h, buf);
	r = host_va(&h, list);
	id = host_va(&h, buf);
	CHECK_EQ(identify(0, 1, 0), 0);
	CHECK(id->mssrl == 32768 && id->mcl == 65536 && id->msrc == 127);
	CHECK_EQ(identify(1, 0, 0), 0);
	CHECK((((struct nvme_id_ctrl *)id)->ocfs & 1) != 0);
	for (i = 0; i < 8; i++)
		memset(p + i * 512, (int)i + 1, 512);
	CHECK_EQ(host_rw(&h, 1, nvme_cmd_write, 1, 1000, 8, buf, 0), 0);
	memset(r, 0, 128 * sizeof(*r));
	for (i = 0; i < 128; i++)
		r[i].slba = 1000 + 7 - i % 8;
	CHECK_EQ(copy(0, 127), 0);
	CHECK_EQ(host_rw(&h, 1, nvme_cmd_read, 1, 120, 8, buf, 0), 0);
	for (i = 0; i < 8; i++)
		CHECK(p[i * 512] == 8 - i && p[i * 512 + 511] == 8 - i);
	CHECK_EQ(copy(0, 128), SC(CMD_SPECIFIC, CMD_SIZE_LIMIT_EXCEEDED));
	CHECK_EQ(copy(0, 1 << 8), SC(GENERIC, INVALID_FIELD)); /* format 1 */
	r[1].nlb = 32768;
	CHECK_EQ(copy(0, 1), SC(CMD_SPECIFIC, CMD_SIZE_LIMIT_EXCEEDED));
	for (i = 0; i < 3; i++)
		r[i].nlb = 32767;
	CHECK_EQ(copy(0, 2), SC(CMD_SPECIFIC, CMD_SIZE_LIMIT_EXCEEDED));
	r[0] = (struct nvme_copy_range){.slba = 131071, .nlb = 1};
	CHECK_EQ(copy(0, 0), SC(GENERIC, LBA_RANGE));
	r[0].slba = UINT64_MAX;
	CHECK_EQ(copy(0, 0), SC(GENERIC, LBA_RANGE));
	r[0].slba = 0;
	CHECK_EQ(copy(131071, 0), SC(GENERIC, LBA_RANGE));
	CHECK_EQ(copy(1, 0), SC(GENERIC, INVALID_FIELD)); /* to where it is */
	CHECK_EQ(copy(2, 0), 0);
	down();
}

/* Of a device with a write cache, only what was forced out is in the file. */
static bool
is_stable(int fd, uint64_t lba)
{
	uint8_t b[16 * 512];

	CHECK_EQ(pread(fd, b, sizeof(b), (off_t)lba * 512), sizeof(b));
	return b[0] == 0x5a && memcmp(b, b + 1, sizeof(b) - 1) == 0;
}

static void
test_copy_fua(void)
{
	char path[] = "/tmp/plx-copy-XXXXXX", dev[128];
	struct nvme_copy_range *r;
	int fd = mkstemp(path);

	REQUIRE(fd >= 0);
	snprintf(dev, sizeof(dev), "ram:size=4M,file=%s,cache=1", path);
	up(dev, NULL, false);
	memset(host_va(&h, buf), 0x5a, 16 * 512);
	CHECK_EQ(host_rw(&h, 1, nvme_cmd_write, 1, 0, 16, buf, buf + 4096), 0);
	r = host_va(&h, list);
	r[0].nlb = 15;
	CHECK_EQ(copy(1000, 0), 0);
	CHECK(!is_stable(fd, 1000));
	CHECK_EQ(copy(2000, 1u << 30), 0);
	CHECK(is_stable(fd, 2000));
	CHECK_EQ(host_admin(&h, nvme_admin_set_features, 0, 0, 0, NVME_FEAT_FID_VOLATILE_WC, 0), 0);
	CHECK_EQ(copy(3000, 0), 0);
	CHECK(is_stable(fd, 3000));
	down();
	close(fd);
	unlink(path);
}

int
main(int argc, char **argv)
{
	(void)argc;
	REQUIRE(plx_eal_init(1, argv) >= 0);
	RUN(test_hidden);
	RUN(test_identify);
	RUN(test_reports);
	RUN(test_commands);
	RUN(test_copy);
	RUN(test_copy_fua);
	plx_eal_cleanup();
	return TEST_RESULT();
}
