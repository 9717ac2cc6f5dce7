/* SPDX-License-Identifier: BSD-3-Clause */
/* Admin commands: identify, features, logs, events, queues, format. Statuses are NVMe 1.4's. */
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#include "nvmet_host.h"
#include "plx_eal.h"
#include "plx_test.h"

static struct plx_nvmet *ctrl;
static struct host h;
static uint64_t page;

static void
up(struct plx_nvmet_conf *conf, const char *dev1, const char *dev2)
{
	ctrl = host_serve(conf, dev2 != NULL ? 2 : 1, dev1, dev2);
	host_open(&h, ctrl);
	CHECK_EQ(host_enable(&h, 32), 1);
	page = host_alloc(&h, 4096);
}

static void
down(void)
{
	host_close(&h);
	host_unserve(ctrl);
}

static uint16_t
identify(uint8_t cns, uint32_t nsid)
{
	memset(host_va(&h, page), 0xa5, 4096);
	return host_admin(&h, nvme_admin_identify, nsid, page, 0, cns, 0);
}

static void
test_identify_ctrl(void)
{
	struct plx_nvmet_conf conf = {.serial = "S1", .model = "M two", .mdts = 5};
	const uint8_t *raw;
	const struct nvme_id_ctrl *id;

	up(&conf, "ram:size=4M", NULL);
	raw = host_va(&h, page);
	id = (const void *)raw;
	CHECK_EQ(identify(1, 0), 0);
	/* by the offsets of the specification */
	CHECK_EQ(raw[77], 5);
	CHECK(memcmp(raw + 4, "S1                  ", 20) == 0);
	CHECK(memcmp(raw + 24, "M two                                   ", 40) == 0);
	CHECK(raw[80] == 0 && raw[81] == 4 && raw[82] == 1 && raw[83] == 0);
	CHECK_EQ(raw[512], 0x66);
	CHECK_EQ(raw[513], 0x44);
	CHECK_EQ(raw[516], 1);
	CHECK_EQ(raw[536] & 3, 1);
	CHECK_EQ(raw[257] & 1, 1); /* OACS bit 8: doorbell buffers */
	CHECK_EQ(raw[258], 3);
	CHECK(raw[259] >= 3);
	CHECK_EQ(raw[111], 1);
	CHECK_EQ(raw[320] | raw[321], 0); /* KAS */
	CHECK_EQ(raw[522] | raw[523], 0); /* FUSES */
	CHECK(memcmp(raw + 768, "nqn.2014-08.org.nvmexpress:uuid:", 32) == 0);
	CHECK_EQ(strlen((const char *)raw + 768), 68);
	CHECK_EQ(id->oncs & ~0x1ff, 0);
	CHECK((id->oncs & 0x9d) == 0x9d); /* compare, DSM, zeroes, save/select, verify */
	/* at an offset, and over two pages */
	CHECK_EQ(
		host_admin(&h, nvme_admin_identify, 0, page + 2048, host_alloc(&h, 4096), 1, 0), 0);
	CHECK(memcmp(raw + 2048 + 4, "S1 ", 3) == 0);
	down();
}

static void
test_identify_ns(void)
{
	struct nvme_id_ns *id;
	uint8_t nguid[16], *raw;
	uint32_t *u;

	up(NULL, "ram:size=4M", "ram:size=8M,block=4096");
	id = host_va(&h, page);
	raw = host_va(&h, page);
	u = host_va(&h, page);
	CHECK_EQ(identify(0, 1), 0);
	CHECK_EQ(id->nsze, (4 << 20) / 512);
	CHECK_EQ(id->ncap, id->nsze);
	CHECK_EQ(id->nlbaf, 0);
	CHECK_EQ(id->dlfeat, 8); /* Write Zeroes may deallocate */
	CHECK_EQ(raw[128 + 2], 9);
	memcpy(nguid, id->nguid, 16);
	CHECK_EQ(identify(3, 1), 0);
	CHECK(raw[0] == 2 && raw[1] == 16 && memcmp(raw + 4, nguid, 16) == 0);
	CHECK(raw[20] == 4 && raw[21] == 1 && raw[24] == 0 && raw[25] == 0);
	CHECK_EQ(identify(0, 2), 0);
	CHECK_EQ(id->nsze, (8 << 20) / 4096);
	CHECK_EQ(raw[128 + 2], 12);
	CHECK(memcmp(nguid, id->nguid, 16) != 0);
	CHECK_EQ(identify(0, NVME_NSID_ALL), 0);
	CHECK_EQ(identify(0, 0), SC(GENERIC, INVALID_NS));
	CHECK_EQ(identify(0, 3), SC(GENERIC, INVALID_NS));
	CHECK_EQ(identify(3, 9), SC(GENERIC, INVALID_NS));
	CHECK_EQ(identify(2, 0), 0);
	CHECK(u[0] == 1 && u[1] == 2 && u[2] == 0);
	CHECK_EQ(identify(2, 1), 0);
	CHECK(u[0] == 2 && u[1] == 0);
	CHECK_EQ(identify(2, 0xfffffffe), SC(GENERIC, INVALID_NS));
	CHECK_EQ(identify(0x10, 0), 0);
	CHECK(u[0] == 1 && u[1] == 2 && u[2] == 0);
	CHECK_EQ(identify(0x11, 2), 0);
	CHECK_EQ(identify(0x13, 0), 0);
	CHECK(raw[0] == 1 && raw[2] == 1);
	CHECK_EQ(identify(0x12, 2), 0);
	CHECK(raw[0] == 1 && raw[2] == 1);
	CHECK_EQ(identify(0x77, 1), SC(GENERIC, INVALID_FIELD));
	down();
}

/* A volatile device is another one at each start, another serial too; the reset leaves it. */
static void
test_identity(void)
{
	const struct nvme_id_ns *id;
	uint8_t nguid[16];

	up(NULL, "ram:size=4M", NULL);
	id = host_va(&h, page);
	CHECK_EQ(identify(0, 1), 0);
	memcpy(nguid, id->nguid, 16);
	host_set(&h, NVME_REG_CC, 0);
	CHECK_EQ(host_enable(&h, 16), 1);
	CHECK_EQ(identify(0, 1), 0);
	CHECK(memcmp(nguid, id->nguid, 16) == 0);
	down();
	up(NULL, "ram:size=4M", NULL);
	id = host_va(&h, page);
	CHECK_EQ(identify(0, 1), 0);
	CHECK(memcmp(nguid, id->nguid, 16) != 0);
	down();
}

static uint16_t
set(uint8_t fid, uint32_t v)
{
	return host_admin(&h, nvme_admin_set_features, 0, 0, 0, fid, v);
}

static uint16_t
get(uint32_t dw10, uint32_t dw11)
{
	return host_admin(&h, nvme_admin_get_features, 0, 0, 0, dw10, dw11);
}

static void
test_features(void)
{
	up(NULL, "ram:size=4M", NULL);
	CHECK_EQ(get(7, 0), 0);
	CHECK_EQ(h.result, 62 * 0x10001);
	CHECK_EQ(set(7, 3 | 1 << 16), 0);
	CHECK_EQ(h.result, 3 | 1 << 16);
	CHECK_EQ(set(7, 0xfffe), 0);
	CHECK_EQ(h.result, 62);
	CHECK_EQ(set(7, 0xffff), SC(GENERIC, INVALID_FIELD));
	CHECK_EQ(set(7, 3 | 3 << 16), 0);
	CHECK_EQ(get(7, 0), 0);
	CHECK_EQ(h.result, 3 | 3 << 16);
	CHECK_EQ(get(7 | 1 << 8, 0), 0); /* default */
	CHECK_EQ(h.result, 62 * 0x10001);
	CHECK_EQ(get(7 | 3 << 8, 0), 0); /* capabilities */
	CHECK_EQ(h.result, 4);
	CHECK_EQ(get(7 | 4 << 8, 0), SC(GENERIC, INVALID_FIELD));
	CHECK_EQ(set(1, 0x03020104), 0);
	CHECK_EQ(get(1, 0), 0);
	CHECK_EQ(h.result, 0x03020104);
	CHECK_EQ(host_admin(&h, nvme_admin_set_features, 0, 0, 0, 1 | 1u << 31, 0),
		SC(CMD_SPECIFIC, FEATURE_NOT_SAVEABLE));
	CHECK_EQ(set(2, 1), SC(GENERIC, INVALID_FIELD));
	CHECK_EQ(set(5, 1 << 16), SC(GENERIC, INVALID_FIELD));
	CHECK_EQ(set(8, 0x1234), 0);
	CHECK_EQ(get(8, 0), 0);
	CHECK_EQ(h.result, 0x1234);
	CHECK_EQ(set(9, 5 | 1 << 16), 0);
	CHECK_EQ(get(9, 5), 0);
	CHECK_EQ(h.result, 5 | 1 << 16);
	CHECK_EQ(get(9, 64), SC(GENERIC, INVALID_FIELD));
	CHECK_EQ(get(0x7e, 0), SC(GENERIC, INVALID_FIELD));
	CHECK_EQ(set(0, 0), SC(GENERIC, INVALID_FIELD));
	CHECK_EQ(get(4, 0), 0);
	CHECK_EQ(h.result, 0xffff);
	host_queue(&h, 1, 8);
	CHECK_EQ(set(7, 1 | 1 << 16), SC(GENERIC, CMD_SEQ_ERROR));
	down();
}

/* The cache is off once what it holds is flushed, and not before. */
static void
test_cache_off(void)
{
	struct host_cmd off = {.dw = {nvme_admin_set_features, 0, 0, 0, 0, 0, 0, 0, 0, 0, 6}};
	char path[] = "/tmp/plx-cache-XXXXXX", dev[128];
	struct host_cqe cqe;
	int fd = mkstemp(path);
	uint16_t cid;

	REQUIRE(fd >= 0);
	snprintf(dev, sizeof(dev), "ram:size=4M,file=%s,cache=1,delay=500000", path);
	up(NULL, dev, NULL);
	cid = host_put(&h, 0, &off);
	host_ring(&h, 0);
	CHECK(host_silent(&h, 0));
	CHECK_EQ(set(6, 0), SC_RETRY(GENERIC, CMD_INTERRUPTED)); /* one at a time */
	CHECK_EQ(get(6, 0), 0);
	CHECK_EQ(h.result, 0);
	REQUIRE(host_get(&h, 0, &cqe));
	CHECK_EQ(cqe.dw[3] & ~(1u << 16), cid); /* status 0 */
	CHECK_EQ(set(6, 1), 0);
	/* a reset while it waits: nobody is told */
	host_put(&h, 0, &off);
	host_ring(&h, 0);
	CHECK(host_silent(&h, 0));
	host_set(&h, NVME_REG_CC, 0);
	CHECK_EQ(host_wait_csts(&h, 1, 0), 0);
	CHECK_EQ(host_enable(&h, 32), 1);
	CHECK(host_silent(&h, 0));
	CHECK_EQ(get(6, 0), 0);
	CHECK_EQ(h.result, 1);
	down();
	close(fd);
	unlink(path);
}

/* Creating and deleting, in every wrong way. */
static void
test_queues(void)
{
	uint64_t mem;

	up(NULL, "ram:size=4M", NULL);
	CHECK_EQ(set(7, 3 | 3 << 16), 0);
	mem = host_alloc(&h, 1 << 20);
#define CQ(id, size, dw11, iova) \
	host_admin(&h, nvme_admin_create_cq, 0, iova, 0, (id) | ((size)-1u) << 16, dw11)
#define SQ(id, size, dw11, iova) \
	host_admin(&h, nvme_admin_create_sq, 0, iova, 0, (id) | ((size)-1u) << 16, dw11)
#define DEL(kind, id) host_admin(&h, nvme_admin_delete_##kind, 0, 0, 0, id, 0)
	CHECK_EQ(CQ(0, 16, 1, mem), SC(CMD_SPECIFIC, QID_INVALID));
	CHECK_EQ(CQ(5, 16, 1, mem), SC(CMD_SPECIFIC, QID_INVALID));
	CHECK_EQ(CQ(0xffff, 16, 1, mem), SC(CMD_SPECIFIC, QID_INVALID));
	CHECK_EQ(CQ(1, 1, 1, mem), SC(CMD_SPECIFIC, QUEUE_SIZE));
	CHECK_EQ(CQ(1, 1025, 1, mem), SC(CMD_SPECIFIC, QUEUE_SIZE));
	CHECK_EQ(CQ(1, 16, 0, mem), SC(GENERIC, INVALID_FIELD)); /* not contiguous */
	CHECK_EQ(CQ(1, 16, 3 | 64 << 16, mem), SC(CMD_SPECIFIC, INVALID_VECTOR));
	CHECK_EQ(CQ(1, 16, 1, mem + 16), SC(GENERIC, PRP_INVALID_OFFSET));
	CHECK_EQ(CQ(1, 16, 1, 0x5000), SC(GENERIC, DATA_XFER_ERROR));
	CHECK_EQ(CQ(1, 1024, 1, HOST_IOVA + HOST_MEM - 4096), SC(GENERIC, DATA_XFER_ERROR));
	CHECK_EQ(CQ(1, 1024, 1, mem), 0);
	CHECK_EQ(CQ(1, 16, 1, mem), SC(CMD_SPECIFIC, QID_INVALID)); /* exists */
	CHECK_EQ(SQ(0, 16, 1 | 1 << 16, mem), SC(CMD_SPECIFIC, QID_INVALID));
	CHECK_EQ(SQ(5, 16, 1 | 1 << 16, mem), SC(CMD_SPECIFIC, QID_INVALID));
	CHECK_EQ(SQ(1, 1, 1 | 1 << 16, mem), SC(CMD_SPECIFIC, QUEUE_SIZE));
	CHECK_EQ(SQ(1, 16, 1, mem), SC(CMD_SPECIFIC, QID_INVALID)); /* CQ 0 */
	CHECK_EQ(SQ(1, 16, 1 | 9 << 16, mem), SC(CMD_SPECIFIC, QID_INVALID));
	CHECK_EQ(SQ(1, 16, 1 | 2 << 16, mem), SC(CMD_SPECIFIC, CQ_INVALID));
	CHECK_EQ(SQ(1, 16, 1 << 16, mem), SC(GENERIC, INVALID_FIELD));
	CHECK_EQ(SQ(1, 16, 1 | 1 << 16, mem + 65536 + 64), SC(GENERIC, PRP_INVALID_OFFSET));
	CHECK_EQ(SQ(1, 16, 1 | 1 << 16, mem + 65536), 0);
	CHECK_EQ(SQ(1, 16, 1 | 1 << 16, mem + 65536), SC(CMD_SPECIFIC, QID_INVALID));
	CHECK_EQ(SQ(2, 16, 1 | 1 << 16, mem + 131072), 0); /* two on one */
	CHECK_EQ(DEL(cq, 1), SC(CMD_SPECIFIC, INVALID_QUEUE));
	CHECK_EQ(DEL(cq, 0), SC(CMD_SPECIFIC, QID_INVALID));
	CHECK_EQ(DEL(cq, 2), SC(CMD_SPECIFIC, QID_INVALID));
	CHECK_EQ(DEL(cq, 500), SC(CMD_SPECIFIC, QID_INVALID));
	CHECK_EQ(DEL(sq, 0), SC(CMD_SPECIFIC, QID_INVALID));
	CHECK_EQ(DEL(sq, 3), SC(CMD_SPECIFIC, QID_INVALID));
	CHECK_EQ(DEL(sq, 1), 0);
	CHECK_EQ(DEL(sq, 1), SC(CMD_SPECIFIC, QID_INVALID));
	CHECK_EQ(DEL(cq, 1), SC(CMD_SPECIFIC, INVALID_QUEUE));
	CHECK_EQ(DEL(sq, 2), 0);
	CHECK_EQ(DEL(cq, 1), 0);
	CHECK_EQ(DEL(cq, 1), SC(CMD_SPECIFIC, QID_INVALID));
	down();
}

static uint16_t
get_log(uint8_t lid, uint32_t nsid, uint32_t bytes, uint64_t off, bool rae)
{
	struct host_cmd c = {.dw = {nvme_admin_get_log_page, nsid}};

	memset(host_va(&h, page), 0xa5, 4096);
	c.dw[6] = (uint32_t)page;
	c.dw[7] = (uint32_t)(page >> 32);
	c.dw[10] = lid | (bytes / 4 - 1) << 16 | (rae ? 1u << 15 : 0);
	c.dw[11] = (bytes / 4 - 1) >> 16;
	c.dw[12] = (uint32_t)off;
	c.dw[13] = (uint32_t)(off >> 32);
	return host_run(&h, 0, &c);
}

static uint64_t
le64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, 8);
	return v;
}

static void
test_logs(void)
{
	const uint8_t *raw;
	const struct nvme_error_log_page *err;
	uint64_t buf, errors;
	int i;

	up(NULL, "ram:size=4M", NULL);
	raw = host_va(&h, page);
	err = (const void *)raw;
	host_queue(&h, 1, 16);
	buf = host_alloc(&h, 1 << 20);
	for (i = 0; i < 5; i++)
		CHECK_EQ(host_rw(&h, 1, nvme_cmd_write, 1, 0, 1, buf, 0), 0);
	for (i = 0; i < 1001; i++)
		CHECK_EQ(host_rw(&h, 1, nvme_cmd_read, 1, 0, 2, buf, 0), 0);
	CHECK_EQ(get_log(2, NVME_NSID_ALL, 512, 0, false), 0);
	CHECK_EQ(raw[0], 0);
	CHECK_EQ(raw[1] | raw[2] << 8, 298);
	CHECK_EQ(raw[3], 100);
	CHECK_EQ(le64(raw + 32), 3); /* 2002 blocks in thousands, up */
	CHECK_EQ(le64(raw + 48), 1);
	CHECK_EQ(le64(raw + 64), 1001);
	CHECK_EQ(le64(raw + 80), 5);
	CHECK_EQ(get_log(2, 1, 512, 0, false), SC(GENERIC, INVALID_FIELD)); /* per namespace */
	/* in parts; past the end zeroes; offsets */
	CHECK_EQ(get_log(2, 0, 16, 32, false), 0);
	CHECK_EQ(le64(raw), 3);
	CHECK_EQ(raw[16], 0xa5);
	CHECK_EQ(get_log(2, 0, 64, 500, false), 0);
	CHECK_EQ(raw[63], 0);
	CHECK_EQ(raw[64], 0xa5);
	CHECK_EQ(get_log(2, 0, 4, 512, false), 0);
	CHECK_EQ(get_log(2, 0, 4, 516, false), SC(GENERIC, INVALID_FIELD));
	CHECK_EQ(get_log(2, 0, 4, 2, false), SC(GENERIC, INVALID_FIELD));
	CHECK_EQ(get_log(2, 0, 2 << 20, 0, false), SC(GENERIC, INVALID_FIELD));
	CHECK_EQ(get_log(3, 0, 512, 0, false), 0);
	CHECK(raw[0] == 1 && raw[8] >= '0');
	CHECK_EQ(get_log(5, 0, 4096, 0, false), 0);
	CHECK_EQ(raw[nvme_admin_identify * 4] & 1, 1);
	CHECK_EQ(raw[nvme_admin_keep_alive * 4] & 1, 0);
	CHECK_EQ(raw[1024 + nvme_cmd_write * 4] & 3, 3);
	CHECK_EQ(raw[1024 + nvme_cmd_write_uncor * 4], 0);
	CHECK_EQ(get_log(0x42, 0, 512, 0, false), SC(CMD_SPECIFIC, INVALID_LOG_PAGE));
	/* errors, newest first */
	CHECK_EQ(get_log(1, 0, 64, 0, false), 0);
	errors = le64(raw);
	CHECK_EQ(host_rw(&h, 1, nvme_cmd_read, 1, 1 << 20, 1, buf, 0), SC(GENERIC, LBA_RANGE));
	CHECK_EQ(host_rw(&h, 1, nvme_cmd_read, 9, 7, 1, buf, 0), SC(GENERIC, INVALID_NS));
	CHECK_EQ(get_log(1, 0, 4096, 0, false), 0);
	CHECK_EQ(err[0].error_count, errors + 2);
	CHECK_EQ(err[0].sqid, 1);
	CHECK_EQ(err[0].cmdid, h.q[1].cid);
	CHECK_EQ(err[0].status_field >> 1, SC(GENERIC, INVALID_NS));
	CHECK_EQ(err[0].nsid, 9);
	CHECK_EQ(err[0].lba, 7);
	CHECK_EQ(err[1].error_count, errors + 1);
	CHECK_EQ(err[1].lba, 1 << 20);
	CHECK_EQ(err[1].status_field >> 1, SC(GENERIC, LBA_RANGE));
	down();
}

/* Run a command during which the event comes that cid waits for. @return the event */
static uint32_t
collect(const struct host_cmd *cmd, uint16_t cid)
{
	uint16_t mine = host_put(&h, 0, cmd);
	uint32_t event = 0;
	struct host_cqe cqe;
	int i;

	host_ring(&h, 0);
	for (i = 0; i < 2; i++) {
		REQUIRE(host_get(&h, 0, &cqe));
		CHECK_EQ(cqe.dw[3] >> 17, 0);
		if ((uint16_t)cqe.dw[3] == cid)
			event = cqe.dw[0];
		else
			CHECK_EQ((uint16_t)cqe.dw[3], mine);
	}
	return event;
}

static void
test_events(void)
{
	struct host_cmd aer = {.dw = {nvme_admin_async_event}};
	volatile uint32_t *db;
	struct host_cqe cqe;
	uint16_t cid;
	int i;

	up(NULL, "ram:size=4M", NULL);
	db = wire_doorbells(h.w);
	host_queue(&h, 1, 16);
	cid = host_put(&h, 0, &aer);
	host_ring(&h, 0);
	CHECK(host_silent(&h, 0));
	/* a tail beyond the queue */
	db[64 / 4] = 16;
	REQUIRE(host_get(&h, 0, &cqe));
	CHECK_EQ((uint16_t)cqe.dw[3], cid);
	CHECK_EQ(cqe.dw[3] >> 17, 0);
	CHECK_EQ(cqe.dw[0], 0x010100); /* error, invalid doorbell value, log page 1 */
	/* the queue is none the worse */
	CHECK_EQ(host_rw(&h, 1, nvme_cmd_read, 1, 0, 1, page, 0), 0);
	/* masked until the log is read, with RAE clear */
	cid = host_put(&h, 0, &aer);
	host_ring(&h, 0);
	db[(64 + 32) / 4] = 15; /* a head beyond what was posted */
	CHECK(host_silent(&h, 0));
	CHECK_EQ(get_log(1, 0, 64, 0, true), 0);
	CHECK(host_silent(&h, 0));
	CHECK_EQ(collect(&(struct host_cmd){.dw = {nvme_admin_get_log_page, 0, 0, 0, 0, 0,
						    (uint32_t)page, (uint32_t)(page >> 32), 0, 0,
						    1 | 15 << 16}},
			 cid),
		0x010100);
	/* queues that are not there */
	CHECK_EQ(get_log(1, 0, 64, 0, false), 0);
	cid = host_put(&h, 0, &aer);
	host_ring(&h, 0);
	CHECK(host_silent(&h, 0));
	db[5 * 64 / 4] = 1;
	REQUIRE(host_get(&h, 0, &cqe));
	CHECK_EQ((uint16_t)cqe.dw[3], cid);
	CHECK_EQ(cqe.dw[0], 0x010000);
	/* the temperature, SMART */
	CHECK_EQ(set(0x0b, 2), 0);
	cid = host_put(&h, 0, &aer);
	host_ring(&h, 0);
	CHECK(host_silent(&h, 0));
	CHECK_EQ(collect(&(struct host_cmd){.dw = {nvme_admin_set_features, 0, 0, 0, 0, 0, 0, 0, 0,
						    0, 4, 290}},
			 cid),
		0x020101);
	CHECK_EQ(get_log(2, 0, 512, 0, false), 0);
	CHECK_EQ(*(uint8_t *)host_va(&h, page), 2);
	/* no more than AERL + 1 */
	for (i = 0; i < 5; i++)
		host_put(&h, 0, &aer);
	host_ring(&h, 0);
	REQUIRE(host_get(&h, 0, &cqe));
	CHECK_EQ(cqe.dw[3] >> 17, SC(CMD_SPECIFIC, ASYNC_LIMIT));
	CHECK(host_silent(&h, 0));
	CHECK_EQ(identify(1, 0), 0);
	down();
}

static void
test_format(void)
{
	const uint8_t *p;
	uint64_t buf;
	int i;

	up(NULL, "ram:size=8M", "ram:size=4M");
	host_queue(&h, 1, 16);
	buf = host_alloc(&h, 4096);
	p = host_va(&h, buf);
	for (i = 1; i < 3; i++) {
		memset(host_va(&h, buf), 0x77, 4096);
		CHECK_EQ(host_rw(&h, 1, nvme_cmd_write, (uint32_t)i, 0, 8, buf, 0), 0);
		CHECK_EQ(host_rw(&h, 1, nvme_cmd_write, (uint32_t)i, 8184, 8, buf, 0), 0);
	}
#define FORMAT(nsid, dw10) host_admin(&h, nvme_admin_format_nvm, nsid, 0, 0, dw10, 0)
	CHECK_EQ(FORMAT(1, 1), SC(CMD_SPECIFIC, INVALID_FORMAT));
	CHECK_EQ(FORMAT(1, 1 << 5), SC(CMD_SPECIFIC, INVALID_FORMAT));
	CHECK_EQ(FORMAT(1, 2 << 9), SC(GENERIC, INVALID_FIELD));
	CHECK_EQ(FORMAT(0, 0), SC(GENERIC, INVALID_NS));
	CHECK_EQ(FORMAT(3, 0), SC(GENERIC, INVALID_NS));
	CHECK_EQ(FORMAT(1, 1 << 9), 0);
	CHECK_EQ(host_rw(&h, 1, nvme_cmd_read, 1, 0, 8, buf, 0), 0);
	CHECK(p[0] == 0 && p[4095] == 0);
	CHECK_EQ(host_rw(&h, 1, nvme_cmd_read, 2, 0, 8, buf, 0), 0);
	CHECK_EQ(p[0], 0x77);
	CHECK_EQ(FORMAT(NVME_NSID_ALL, 0), 0);
	CHECK_EQ(host_rw(&h, 1, nvme_cmd_read, 2, 8184, 8, buf, 0), 0);
	CHECK(p[0] == 0 && p[4095] == 0);
	CHECK_EQ(host_rw(&h, 1, nvme_cmd_write, 2, 0, 8, buf, 0), 0);
	down();
}

/* While a format runs its namespace refuses, others work; a reset in its midst is survived. */
static void
test_format_busy(void)
{
	struct host_cmd format = {.dw = {nvme_admin_format_nvm, 1}};
	struct host_cqe cqe;
	uint64_t buf;

	up(NULL, "ram:size=64M,delay=20000", "ram:size=4M");
	host_queue(&h, 1, 16);
	buf = host_alloc(&h, 4096);
	host_put(&h, 0, &format);
	host_ring(&h, 0);
	CHECK(host_silent(&h, 0));
	CHECK_EQ(host_rw(&h, 1, nvme_cmd_read, 1, 0, 1, buf, 0),
		SC_RETRY(GENERIC, FORMAT_IN_PROGRESS));
	CHECK_EQ(host_rw(&h, 1, nvme_cmd_read, 2, 0, 1, buf, 0), 0);
	host_put(&h, 0, &format);
	host_ring(&h, 0);
	REQUIRE(host_get(&h, 0, &cqe));
	CHECK_EQ(cqe.dw[3] >> 17, SC_RETRY(GENERIC, FORMAT_IN_PROGRESS));
	host_set(&h, NVME_REG_CC, 0);
	CHECK_EQ(host_wait_csts(&h, 1, 0), 0);
	CHECK_EQ(host_enable(&h, 16), 1);
	host_queue(&h, 1, 16);
	CHECK_EQ(host_rw(&h, 1, nvme_cmd_read, 1, 0, 1, buf, 0), 0);
	down();
}

static void
test_others(void)
{
	struct plx_nvmet_conf conf = {.no_dbbuf = true, .no_sgl = true, .rdonly = true};
	struct host_cmd c = {.dw = {nvme_admin_identify | 0x40 << 8}};
	const uint8_t *raw;

	up(&conf, "ram:size=4M", NULL);
	raw = host_va(&h, page);
	CHECK_EQ(host_admin(&h, nvme_admin_keep_alive, 0, 0, 0, 0, 0), SC(GENERIC, INVALID_OPCODE));
	CHECK_EQ(host_admin(&h, 0xc3, 0, 0, 0, 0, 0), SC(GENERIC, INVALID_OPCODE));
	CHECK_EQ(host_admin(&h, nvme_admin_dbbuf, 0, page, page + 4096, 0, 0),
		SC(GENERIC, INVALID_OPCODE));
	CHECK_EQ(host_admin(&h, nvme_admin_format_nvm, 1, 0, 0, 0, 0), SC(GENERIC, INVALID_OPCODE));
	/* abort of what isn't there: not aborted */
	CHECK_EQ(host_admin(&h, nvme_admin_abort_cmd, 0, 0, 0, 1 | 5 << 16, 0), 0);
	CHECK_EQ(h.result, 1);
	CHECK_EQ(host_run(&h, 0, &c), SC(GENERIC, INVALID_FIELD)); /* SGL for admin */
	CHECK_EQ(identify(1, 0), 0);
	CHECK_EQ(raw[536], 0);
	CHECK_EQ(raw[257] & 1, 0);
	CHECK_EQ(identify(0, 1), 0);
	CHECK_EQ(raw[99], 1); /* write protected */
	host_queue(&h, 1, 8);
	CHECK_EQ(host_rw(&h, 1, nvme_cmd_write, 1, 0, 1, page, 0), SC(GENERIC, NS_WRITE_PROTECTED));
	CHECK_EQ(host_rw(&h, 1, nvme_cmd_read, 1, 0, 1, page, 0), 0);
	down();
}

int
main(int argc, char **argv)
{
	(void)argc;
	REQUIRE(plx_eal_init(1, argv) >= 0);
	RUN(test_identify_ctrl);
	RUN(test_identify_ns);
	RUN(test_identity);
	RUN(test_features);
	RUN(test_cache_off);
	RUN(test_queues);
	RUN(test_logs);
	RUN(test_events);
	RUN(test_format);
	RUN(test_format_busy);
	RUN(test_others);
	plx_eal_cleanup();
	return TEST_RESULT();
}
