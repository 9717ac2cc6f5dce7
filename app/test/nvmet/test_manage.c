/* SPDX-License-Identifier: BSD-3-Clause */
/* Sanitize, self-test, firmware slots, namespace management. Statuses are NVMe Base 2.0's. */
#include <time.h>
#include <unistd.h>

#include "nvmet_host.h"
#include "plx_eal.h"
#include "plx_test.h"

static struct plx_nvmet *ctrl;
static struct host h;
static uint64_t page, buf;

static void
up(struct plx_nvmet_conf *conf, const char *dev1, const char *dev2)
{
	ctrl = host_serve(conf, dev2 != NULL ? 2 : 1, dev1, dev2);
	host_open(&h, ctrl);
	CHECK_EQ(host_enable(&h, 32), 1);
	host_queue(&h, 1, 16);
	page = host_alloc(&h, 4096);
	buf = host_alloc(&h, 65536);
}

static void
reset(void)
{
	host_set(&h, NVME_REG_CC, 0);
	CHECK_EQ(host_wait_csts(&h, 1, 0), 0);
	CHECK_EQ(host_enable(&h, 32), 1);
	host_queue(&h, 1, 16);
}

static void
down(void)
{
	host_close(&h);
	host_unserve(ctrl);
}

static uint16_t
get_log(uint8_t lid, uint32_t bytes)
{
	memset(host_va(&h, page), 0xa5, 4096);
	return host_admin(&h, nvme_admin_get_log_page, NVME_NSID_ALL, page, 0,
		lid | (bytes / 4 - 1) << 16, 0);
}

static uint16_t
identify(uint8_t cns, uint32_t nsid)
{
	return host_admin(&h, nvme_admin_identify, nsid, page, 0, cns, 0);
}

#define RW(opc, nsid, slba) host_rw(&h, 1, nvme_cmd_##opc, nsid, slba, 8, buf, 0)
#define BUSY SC_RETRY(GENERIC, SANITIZE_IN_PROGRESS)
#define FAILED SC(GENERIC, SANITIZE_FAILED)

/* ---- sanitize ---- */

static uint16_t
sanitize(uint32_t dw10, uint32_t pattern)
{
	return host_admin(&h, nvme_admin_sanitize_nvm, 0, 0, 0, dw10, pattern);
}

static const struct nvme_sanitize_log_page *
san_log(void)
{
	CHECK_EQ(get_log(0x81, 512), 0);
	return host_va(&h, page);
}

static bool
wait_sanitized(void)
{
	time_t end = time(NULL) + 10;

	while ((san_log()->sstat & 7) == 2 && time(NULL) < end)
		;
	return (san_log()->sstat & 7) == 1;
}

static void
write_all(uint32_t nsids)
{
	uint32_t i;

	memset(host_va(&h, buf), 0x77, 4096);
	for (i = 1; i <= nsids; i++) {
		CHECK_EQ(RW(write, i, 0), 0);
		CHECK_EQ(RW(write, i, 2040), 0);
	}
}

/* @return every word read from the namespaces is this */
static bool
holds(uint32_t nsids, uint32_t word)
{
	const uint32_t *p = host_va(&h, buf);
	uint32_t i, k, n;

	for (i = 1; i <= nsids; i++)
		for (k = 0; k < 2; k++) {
			CHECK_EQ(RW(read, i, k * 2040), 0);
			for (n = 0; n < 1024; n++)
				if (p[n] != word)
					return false;
		}
	return true;
}

static void
test_block_erase(void)
{
	struct host_cmd aer = {.dw = {nvme_admin_async_event}};
	struct host_cqe cqe;

	up(NULL, "ram:size=4M", "ram:size=8M");
	CHECK_EQ(identify(1, 0), 0);
	CHECK_EQ(*(uint32_t *)((uint8_t *)host_va(&h, page) + 328), 6 | 1 << 30);
	CHECK(san_log()->sprog == 0xffff && san_log()->sstat == 0);
	write_all(2);
	CHECK_EQ(sanitize(0, 0), SC(GENERIC, INVALID_FIELD));
	CHECK_EQ(sanitize(4, 0), SC(GENERIC, INVALID_FIELD)); /* crypto */
	CHECK_EQ(sanitize(7, 0), SC(GENERIC, INVALID_FIELD));
	CHECK_EQ(sanitize(1, 0), 0); /* nothing to leave */
	CHECK_EQ(sanitize(2, 0), 0);
	CHECK(wait_sanitized());
	CHECK_EQ(san_log()->sstat, 1 | 1 << 8);
	CHECK_EQ(san_log()->sprog, 0xffff);
	CHECK_EQ(san_log()->scdw10, 2);
	CHECK(holds(2, 0));
	CHECK_EQ(san_log()->sstat, 1 | 1 << 8);
	write_all(1);
	CHECK_EQ(san_log()->sstat, 1); /* data was written since */
	/* its event */
	host_put(&h, 0, &aer);
	host_ring(&h, 0);
	CHECK(host_silent(&h, 0) == false, "of the one before: the log was read without one");
	host_put(&h, 0, &aer);
	host_ring(&h, 0);
	CHECK_EQ(san_log()->sstat, 1);
	host_put(&h, 0, &(struct host_cmd){.dw = {nvme_admin_sanitize_nvm, [10] = 2}});
	host_ring(&h, 0);
	REQUIRE(host_get(&h, 0, &cqe));
	CHECK_EQ(cqe.dw[3] >> 17, 0);
	REQUIRE(host_get(&h, 0, &cqe));
	CHECK_EQ(cqe.dw[0], 0x810106);
	down();
}

static void
test_overwrite(void)
{
	up(NULL, "ram:size=2M", "ram:size=8M");
	write_all(2);
	CHECK_EQ(sanitize(3 | 3 << 4 | 1 << 8 | 1 << 9, 0x12345678), 0);
	CHECK(wait_sanitized());
	CHECK_EQ(san_log()->sstat, 1 | 3 << 3 | 1 << 8);
	CHECK(holds(2, 0x12345678)); /* inverted in the second of three */
	CHECK_EQ(sanitize(3 | 2 << 4 | 1 << 8 | 1 << 9, 0x12345678), 0);
	CHECK(wait_sanitized());
	CHECK(holds(2, ~0x12345678u));
	CHECK_EQ(sanitize(3 | 1 << 4, 1), 0); /* and deallocated */
	CHECK(wait_sanitized());
	CHECK(holds(2, 0));
	down();
}

/* While it runs, nothing goes; it outlives resets. */
static void
test_sanitize_busy(void)
{
	uint16_t before;

	up(NULL, "ram:size=4M,delay=30000", "ram:size=4M");
	write_all(2);
	CHECK_EQ(sanitize(3 | 1 << 4 | 1 << 9, 5), 0);
	CHECK_EQ(RW(read, 1, 0), BUSY);
	CHECK_EQ(RW(write, 2, 0), BUSY);
	CHECK_EQ(sanitize(2, 0), BUSY);
	CHECK_EQ(host_admin(&h, nvme_admin_format_nvm, 1, 0, 0, 0, 0), BUSY);
	CHECK_EQ(host_admin(&h, nvme_admin_dev_self_test, 1, 0, 0, 1, 0), BUSY);
	CHECK_EQ(identify(1, 0), 0);
	CHECK_EQ(san_log()->sstat & 7, 2);
	before = san_log()->sprog;
	while (san_log()->sprog < 8000)
		;
	CHECK(before < san_log()->sprog && san_log()->sprog != 0xffff);
	reset();
	CHECK_EQ(san_log()->sstat & 7, 2);
	CHECK(san_log()->sprog > 7000);
	CHECK_EQ(RW(read, 1, 0), BUSY);
	CHECK(wait_sanitized());
	CHECK(holds(2, 5));
	down();
}

static void
test_sanitize_fails(void)
{
	up(NULL, "ram:size=4M,error_write=4000", NULL);
	/* unrestricted: it can be left */
	CHECK_EQ(sanitize(2 | 8, 0), 0);
	CHECK(!wait_sanitized());
	CHECK_EQ(san_log()->sstat & 7, 3);
	CHECK_EQ(RW(read, 1, 0), FAILED);
	CHECK_EQ(host_admin(&h, nvme_admin_format_nvm, 1, 0, 0, 0, 0), FAILED);
	CHECK_EQ(sanitize(1, 0), 0);
	CHECK_EQ(RW(read, 1, 0), 0);
	CHECK_EQ(san_log()->sstat & 7, 3);
	/* restricted: only by a success */
	CHECK_EQ(sanitize(2, 0), 0);
	CHECK(!wait_sanitized());
	CHECK_EQ(sanitize(1, 0), FAILED);
	CHECK_EQ(sanitize(2 | 8, 0), FAILED);
	reset();
	CHECK_EQ(RW(read, 1, 0), FAILED);
	CHECK_EQ(sanitize(2, 0), 0);
	CHECK(!wait_sanitized());
	down();
}

/* ---- self-test ---- */

static uint16_t
self_test(uint32_t nsid, uint32_t code)
{
	return host_admin(&h, nvme_admin_dev_self_test, nsid, 0, 0, code, 0);
}

static const struct nvme_self_test_log *
test_log(void)
{
	CHECK_EQ(get_log(6, 564), 0);
	return host_va(&h, page);
}

static uint8_t
wait_tested(void)
{
	time_t end = time(NULL) + 10;

	while (test_log()->current_operation != 0 && time(NULL) < end)
		;
	return test_log()->result[0].dsts;
}

static void
test_self_tests(void)
{
	up(NULL, "ram:size=4M,error_read=4001", "ram:size=8M,delay=10000");
	CHECK_EQ(test_log()->result[0].dsts, 0xf);
	CHECK_EQ(self_test(1, 3), SC(GENERIC, INVALID_FIELD));
	CHECK_EQ(self_test(9, 1), SC(GENERIC, INVALID_NS));
	CHECK_EQ(self_test(0, 0xf), 0); /* nothing to abort */
	CHECK_EQ(self_test(0, 1), 0);
	CHECK_EQ(wait_tested(), 0x10);
	CHECK_EQ(test_log()->result[0].vdi, 0);
	CHECK_EQ(self_test(1, 2), 0);
	CHECK_EQ(wait_tested(), 0x27);
	CHECK_EQ(test_log()->result[0].seg, 1);
	CHECK_EQ(test_log()->result[0].vdi, 0xf);
	CHECK_EQ(test_log()->result[0].nsid, 1);
	CHECK(test_log()->result[0].flba <= 4001 && test_log()->result[0].flba > 1900);
	CHECK_EQ(test_log()->result[0].sct, 2);
	CHECK_EQ(test_log()->result[0].sc, 0x81);
	CHECK_EQ(test_log()->result[1].dsts, 0x10);
	/* one at a time, and aborted */
	CHECK_EQ(self_test(2, 2), 0);
	CHECK_EQ(test_log()->current_operation, 2);
	CHECK_EQ(self_test(2, 1), SC(CMD_SPECIFIC, SELF_TEST_IN_PROGRESS));
	CHECK_EQ(RW(write, 2, 0), 0); /* commands go on beside it */
	CHECK(test_log()->completion < 100);
	CHECK_EQ(self_test(2, 0xf), 0);
	CHECK_EQ(wait_tested(), 0x21);
	/* by a format, a sanitize, a reset: of the short one */
	CHECK_EQ(self_test(2, 2), 0);
	CHECK_EQ(host_admin(&h, nvme_admin_format_nvm, 2, 0, 0, 0, 0), 0);
	CHECK_EQ(wait_tested(), 0x24);
	CHECK_EQ(self_test(2, 1), 0);
	reset();
	CHECK_EQ(wait_tested(), 0x12);
	CHECK_EQ(self_test(2, 2), 0);
	reset();
	CHECK_EQ(test_log()->current_operation, 2);
	CHECK_EQ(wait_tested(), 0x20);
	CHECK_EQ(self_test(2, 2), 0);
	CHECK_EQ(sanitize(2, 0), 0);
	CHECK_EQ(wait_tested(), 0x29);
	CHECK(wait_sanitized());
	CHECK_EQ(test_log()->result[6].dsts, 0x10);
	CHECK_EQ(test_log()->result[7].dsts, 0xf);
	down();
}

/* ---- firmware ---- */

static uint16_t
download(uint32_t offset, uint32_t len)
{
	uint32_t pages = len > 4096;

	return host_admin(&h, nvme_admin_fw_download, 0, buf, pages ? buf + 4096 : 0, len / 4 - 1,
		offset / 4);
}

static uint16_t
commit(uint32_t slot, uint32_t action)
{
	return host_admin(&h, nvme_admin_fw_commit, 0, 0, 0, slot | action << 3, 0);
}

static void
image(const char *rev)
{
	memset(host_va(&h, buf), 0x5a, 8192);
	memcpy(host_va(&h, buf), "PLXNVMET", 8);
	memcpy((uint8_t *)host_va(&h, buf) + 8, rev, 8);
}

static bool
runs(const char *rev)
{
	CHECK_EQ(identify(1, 0), 0);
	return memcmp((uint8_t *)host_va(&h, page) + 64, rev, 8) == 0;
}

static void
test_firmware(void)
{
	const struct nvme_firmware_slot *log;

#define BAD_IMAGE SC(CMD_SPECIFIC, FIRMWARE_IMAGE)
#define BAD_SLOT SC(CMD_SPECIFIC, FIRMWARE_SLOT)
	up(NULL, "ram:size=4M", NULL);
	log = host_va(&h, page);
	CHECK_EQ(identify(1, 0), 0);
	CHECK_EQ(*((uint8_t *)host_va(&h, page) + 260), 1 | 3 << 1 | 1 << 4);
	image("2.0     ");
	CHECK_EQ(commit(2, 0), BAD_IMAGE); /* none */
	CHECK_EQ(download(16, 4096), SC(GENERIC, INVALID_FIELD));
	CHECK_EQ(download(256 << 10, 4096), SC(GENERIC, INVALID_FIELD));
	CHECK_EQ(download(4096, 8192), 0);
	CHECK_EQ(commit(2, 0), BAD_IMAGE); /* a hole */
	CHECK_EQ(download(4096, 8192), 0);
	CHECK_EQ(download(8192, 4096), SC(CMD_SPECIFIC, OVERLAPPING_RANGE));
	CHECK_EQ(download(0, 4096), 0); /* another image */
	CHECK_EQ(download(4096, 8), 0);
	CHECK_EQ(commit(4, 0), BAD_SLOT);
	CHECK_EQ(commit(2, 6), SC(GENERIC, INVALID_FIELD)); /* boot partitions */
	CHECK_EQ(commit(3, 2), BAD_IMAGE);                  /* empty */
	CHECK_EQ(commit(1, 0), BAD_SLOT);                   /* read-only */
	CHECK_EQ(download(0, 8192), 0);
	CHECK_EQ(commit(2, 1), 0);
	CHECK_EQ(get_log(3, 512), 0);
	CHECK_EQ(log->afi, 1 | 2 << 4);
	CHECK(memcmp(log->frs[1], "2.0     ", 8) == 0);
	CHECK(runs("0.1     "));
	CHECK_EQ(sanitize(2, 0), SC(CMD_SPECIFIC, FW_NEEDS_RESET));
	reset();
	CHECK(runs("2.0     "));
	CHECK_EQ(get_log(3, 512), 0);
	CHECK_EQ(log->afi, 2);
	image("3.0 \"x\" ");
	CHECK_EQ(download(0, 4096), 0);
	CHECK_EQ(commit(0, 3), 0); /* now, in a slot that is not running */
	CHECK(runs("3.0 \"x\" "));
	CHECK_EQ(get_log(3, 512), 0);
	CHECK_EQ(log->afi, 3);
	CHECK_EQ(commit(1, 2), 0); /* back */
	CHECK(runs("3.0 \"x\" "));
	reset();
	CHECK(runs("0.1     "));
	image("\001\002\003     ");
	CHECK_EQ(download(0, 4096), 0);
	CHECK_EQ(commit(2, 0), BAD_IMAGE);
	memset(host_va(&h, buf), 0, 4096);
	CHECK_EQ(download(0, 4096), 0);
	CHECK_EQ(commit(2, 0), BAD_IMAGE);
	down();
}

/* ---- namespaces ---- */

static uint16_t
attach(uint32_t nsid, uint32_t sel, uint16_t num, uint16_t id)
{
	uint16_t *l = host_va(&h, page);

	memset(l, 0, 4096);
	l[0] = num;
	l[1] = id;
	return host_admin(&h, nvme_admin_ns_attach, nsid, page, 0, sel, 0);
}

static uint16_t
create(uint64_t nsze, uint64_t ncap, uint8_t flbas)
{
	struct nvme_id_ns *id = host_va(&h, page);

	memset(id, 0, sizeof(*id));
	id->nsze = nsze;
	id->ncap = ncap;
	id->flbas = flbas;
	return host_admin(&h, nvme_admin_ns_mgmt, 0, page, 0, 0, 0);
}

static uint16_t
delete_ns(uint32_t nsid)
{
	return host_admin(&h, nvme_admin_ns_mgmt, nsid, 0, 0, 1, 0);
}

/* @return the ids are those two */
static bool
listed(uint8_t cns, uint32_t a, uint32_t b)
{
	const uint32_t *l = host_va(&h, page);

	CHECK_EQ(identify(cns, 0), 0);
	return l[0] == a && l[1] == b;
}

static void
test_attachment(void)
{
	struct host_cmd aer = {.dw = {nvme_admin_async_event}};
	struct host_cqe cqe;
	const uint32_t *l;
	uint16_t cid;

	up(NULL, "ram:size=4M", "ram:size=8M");
	l = host_va(&h, page);
	CHECK_EQ(host_admin(&h, nvme_admin_set_features, 0, 0, 0, 0x0b, 0x100), 0);
	CHECK_EQ(attach(1, 0, 1, 1), SC(CMD_SPECIFIC, NS_ALREADY_ATTACHED));
	CHECK_EQ(attach(1, 2, 1, 1), SC(GENERIC, INVALID_FIELD));
	CHECK_EQ(attach(3, 1, 1, 1), SC(GENERIC, INVALID_NS));
	CHECK_EQ(attach(1, 1, 0, 1), SC(CMD_SPECIFIC, CTRL_LIST_INVALID));
	CHECK_EQ(attach(1, 1, 1, 2), SC(CMD_SPECIFIC, CTRL_LIST_INVALID));
	CHECK_EQ(attach(1, 1, 2047, 1), SC(CMD_SPECIFIC, CTRL_LIST_INVALID));
	CHECK_EQ(RW(write, 1, 0), 0);
	CHECK_EQ(attach(1, 1, 1, 1), 0);
	cid = host_put(&h, 0, &aer);
	host_ring(&h, 0);
	REQUIRE(host_get(&h, 0, &cqe));
	CHECK_EQ((uint16_t)cqe.dw[3], cid);
	CHECK_EQ(cqe.dw[0], 0x040002);
	CHECK_EQ(get_log(4, 4096), 0);
	CHECK(l[0] == 1 && l[1] == 0);
	CHECK_EQ(attach(1, 1, 1, 1), SC(CMD_SPECIFIC, NS_NOT_ATTACHED));
	CHECK_EQ(RW(read, 1, 0), SC(GENERIC, INVALID_FIELD));
	CHECK_EQ(RW(read, 2, 0), 0);
	CHECK(listed(2, 2, 0));
	CHECK(listed(0x10, 1, 2));
	CHECK_EQ(identify(0, 1), 0);
	CHECK_EQ(l[0], 0);
	CHECK_EQ(identify(0x11, 1), 0);
	CHECK_EQ(l[0], 8192);
	CHECK_EQ(identify(3, 1), SC(GENERIC, INVALID_FIELD));
	reset(); /* that changes nothing */
	CHECK(listed(2, 2, 0));
	CHECK_EQ(attach(1, 0, 1, 1), 0);
	CHECK_EQ(RW(read, 1, 0), 0);
	down();
}

static void
test_management(void)
{
	uint8_t nguid[16];
	const struct nvme_id_ns *id;

	up(NULL, "ram:size=4M", "ram:size=8M");
	id = host_va(&h, page);
	write_all(2);
	CHECK_EQ(create(100, 100, 0), SC(CMD_SPECIFIC, NS_INSUFFICIENT_CAP));
	CHECK_EQ(delete_ns(0), SC(GENERIC, INVALID_NS));
	CHECK_EQ(delete_ns(3), SC(GENERIC, INVALID_NS));
	CHECK_EQ(host_admin(&h, nvme_admin_ns_mgmt, 1, page, 0, 2, 0), SC(GENERIC, INVALID_FIELD));
	CHECK_EQ(identify(0, 1), 0);
	memcpy(nguid, id->nguid, 16);
	CHECK_EQ(delete_ns(1), 0);
	CHECK_EQ(delete_ns(1), SC(GENERIC, INVALID_FIELD));
	CHECK_EQ(RW(read, 1, 0), SC(GENERIC, INVALID_FIELD));
	CHECK(listed(2, 2, 0) && listed(0x10, 2, 0));
	CHECK_EQ(attach(1, 0, 1, 1), SC(GENERIC, INVALID_FIELD));
	CHECK_EQ(identify(1, 0), 0);
	CHECK_EQ(*(uint64_t *)((uint8_t *)host_va(&h, page) + 280), 12 << 20);
	CHECK_EQ(*(uint64_t *)((uint8_t *)host_va(&h, page) + 296), 4 << 20);
	CHECK_EQ(create(0, 0, 0), SC(GENERIC, INVALID_FIELD));
	CHECK_EQ(create(100, 50, 0), SC(CMD_SPECIFIC, THIN_PROV_NOT_SUPP));
	CHECK_EQ(create(100, 100, 1), SC(CMD_SPECIFIC, INVALID_FORMAT));
	CHECK_EQ(create(8193, 8193, 0), SC(CMD_SPECIFIC, NS_INSUFFICIENT_CAP));
	CHECK_EQ(create(4096, 4096, 0), 0);
	CHECK_EQ(h.result, 1);
	CHECK(listed(2, 2, 0) && listed(0x10, 1, 2));
	CHECK_EQ(attach(1, 0, 1, 1), 0);
	CHECK_EQ(identify(0, 1), 0);
	CHECK_EQ(id->nsze, 4096);
	CHECK(memcmp(id->nguid, nguid, 16) != 0);
	CHECK(holds(1, 0)); /* nothing of what was there */
	CHECK_EQ(RW(read, 1, 4092), SC(GENERIC, LBA_RANGE));
	usleep(3000); /* the size is looked at in the background */
	CHECK_EQ(RW(read, 1, 4088), 0);
	CHECK_EQ(RW(read, 1, 4092), SC(GENERIC, LBA_RANGE));
	CHECK_EQ(RW(read, 2, 0), 0);
	CHECK_EQ(*(uint8_t *)host_va(&h, buf), 0x77);
	CHECK_EQ(delete_ns(NVME_NSID_ALL), 0);
	CHECK(listed(0x10, 0, 0));
	CHECK_EQ(create(5000, 5000, 0), 0);
	CHECK_EQ(h.result, 1); /* the smallest that has room */
	CHECK_EQ(create(5000, 5000, 0), 0);
	CHECK_EQ(h.result, 2);
	down();
}

/* A namespace is made as its device is: with protection information where that is. */
static void
test_create_protected(void)
{
	struct nvme_id_ns *id;

	up(NULL, "ram:size=4M,meta=16,pi=1,pi_first=1", NULL);
	id = host_va(&h, page);
	CHECK_EQ(identify(0, 1), 0);
	CHECK_EQ(id->dps, 9);
	CHECK_EQ(delete_ns(1), 0);
	CHECK_EQ(create(4096, 4096, 0), SC(CMD_SPECIFIC, INVALID_FORMAT));
	id->dps = 1; /* at the other end */
	CHECK_EQ(host_admin(&h, nvme_admin_ns_mgmt, 0, page, 0, 0, 0),
		SC(CMD_SPECIFIC, INVALID_FORMAT));
	id->dps = 9;
	CHECK_EQ(host_admin(&h, nvme_admin_ns_mgmt, 0, page, 0, 0, 0), 0);
	CHECK_EQ(h.result, 1);
	down();
}

/* A reset in the midst of a delete leaves the namespace, detached. */
static void
test_delete_reset(void)
{
	struct host_cmd c = {.dw = {nvme_admin_ns_mgmt, 1, [10] = 1}};

	up(NULL, "ram:size=16M,delay=20000", NULL);
	host_put(&h, 0, &c);
	host_ring(&h, 0);
	CHECK(host_silent(&h, 0));
	reset();
	CHECK(listed(2, 0, 0) && listed(0x10, 1, 0));
	CHECK_EQ(attach(1, 0, 1, 1), 0);
	CHECK_EQ(RW(read, 1, 0), 0);
	down();
}

/* The queues' memory goes while a format runs: its end is told when it is back. */
static void
test_format_unmapped(void)
{
	struct host_cmd c = {.dw = {nvme_admin_format_nvm, 1}};
	struct host_cqe cqe;
	int i;

	up(NULL, "ram:size=8M,delay=2000", NULL);
	host_put(&h, 0, &c);
	host_ring(&h, 0);
	CHECK(plx_nvmet_poll(ctrl) > 0);
	CHECK_EQ(wire_unmap(h.w, HOST_IOVA, HOST_MEM), 0);
	for (i = 0; i < 3; i++)
		CHECK(host_silent(&h, 0));
	CHECK_EQ(wire_map(h.w, HOST_IOVA, HOST_MEM, h.fd, 0, true), 0);
	REQUIRE(host_get(&h, 0, &cqe));
	CHECK_EQ(cqe.dw[3] >> 17, 0);
	CHECK_EQ(RW(read, 1, 0), 0);
	down();
}

/* A format that a shutdown finds says nothing any more: the host may have given the memory away. */
static void
test_format_shutdown(void)
{
	struct host_cmd c = {.dw = {nvme_admin_format_nvm, 1}};

	up(NULL, "ram:size=8M,delay=2000", NULL);
	host_put(&h, 0, &c);
	host_ring(&h, 0);
	CHECK(plx_nvmet_poll(ctrl) > 0);
	host_set(&h, NVME_REG_CC, 1 << 14 | 4 << 20 | 6 << 16 | 1);
	CHECK_EQ(host_wait_csts(&h, 0xc, 8), 9);
	CHECK(host_silent(&h, 0) && host_silent(&h, 0));
	reset();
	CHECK_EQ(RW(read, 1, 0), 0);
	down();
}

/* What is write protected has none of it. */
static void
test_protected(void)
{
	struct plx_nvmet_conf conf = {.rdonly = true};

	up(&conf, "ram:size=4M", NULL);
	CHECK_EQ(sanitize(2, 0), SC(GENERIC, INVALID_OPCODE));
	CHECK_EQ(get_log(0x81, 512), SC(CMD_SPECIFIC, INVALID_LOG_PAGE));
	CHECK_EQ(delete_ns(1), SC(GENERIC, INVALID_OPCODE));
	CHECK_EQ(attach(1, 1, 1, 1), SC(GENERIC, INVALID_OPCODE));
	CHECK_EQ(self_test(1, 1), 0);
	CHECK_EQ(wait_tested(), 0x10);
	down();
}

int
main(int argc, char **argv)
{
	(void)argc;
	REQUIRE(plx_eal_init(1, argv) >= 0);
	RUN(test_block_erase);
	RUN(test_overwrite);
	RUN(test_sanitize_busy);
	RUN(test_sanitize_fails);
	RUN(test_self_tests);
	RUN(test_firmware);
	RUN(test_attachment);
	RUN(test_management);
	RUN(test_create_protected);
	RUN(test_delete_reset);
	RUN(test_format_unmapped);
	RUN(test_format_shutdown);
	RUN(test_protected);
	plx_eal_cleanup();
	return TEST_RESULT();
}
