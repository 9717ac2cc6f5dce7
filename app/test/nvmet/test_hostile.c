/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A host without manners: garbage in every entry, list and doorbell. Nothing may crash (the
 * sanitizers watch), each command that was fetched completes exactly once, and after a reset the
 * controller is as good as new.
 */
#include <unistd.h>

#include "nvmet_host.h"
#include "plx_eal.h"
#include "plx_test.h"

static struct plx_nvmet *ctrl;
static struct host h;
static uint64_t seed = 0x9e3779b97f4a7c15;

static uint32_t
rnd(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (uint32_t)(seed >> 16);
}

static uint64_t buf, mem_len = 1 << 20;

/* An address: mostly of our memory, mostly aligned. */
static uint64_t
address(void)
{
	switch (rnd() % 16) {
	case 0:
		return (uint64_t)rnd() << 32 | rnd();
	case 1:
		return HOST_IOVA + HOST_MEM - rnd() % 8192;
	case 2:
		return buf + rnd() % mem_len;
	case 3:
		return buf + rnd() % mem_len / 8 * 8;
	default:
		return buf + rnd() % mem_len / 4096 * 4096;
	}
}

/* Lists that hold addresses, and descriptors that look like some. */
static void
salt_memory(void)
{
	uint64_t *p = host_va(&h, buf);
	size_t i;

	for (i = 0; i < mem_len / 8; i++)
		p[i] = rnd() % 2 != 0 ? address()
				      : (uint64_t)(rnd() % 0x40 & 0x31) << 56 | rnd() % 8192;
}

static struct host_cmd
garbage(bool wild)
{
	static const uint8_t opcodes[] = {0, 1, 2, 5, 8, 9, 12, 0xd, 0xe, 0x11, 0x15};
	struct host_cmd c;
	uint64_t prp1 = address(), prp2 = address();
	unsigned int i;

	for (i = 0; i < 16; i++)
		c.dw[i] = rnd();
	if (wild)
		return c;
	c.dw[0] = opcodes[rnd() % sizeof(opcodes)] | (rnd() % 4 == 0 ? 0x40u << 8 : 0);
	c.dw[1] = 1 + rnd() % 2;
	memcpy(&c.dw[6], &prp1, 8);
	memcpy(&c.dw[8], &prp2, 8);
	if ((c.dw[0] >> 14) != 0) { /* an SGL descriptor */
		c.dw[8] = rnd() % 3 != 0 ? rnd() % 65536 / 16 * 16 : rnd();
		c.dw[9] = (rnd() % 4 << 28) | (rnd() % 8 == 0 ? rnd() : 0);
	}
	c.dw[10] = rnd() % 9000;
	c.dw[11] = rnd() % 8 == 0 ? rnd() : 0;
	c.dw[12] = rnd() % (rnd() % 2 != 0 ? 64 : 3000);
	return c;
}

static void
test_io_garbage(void)
{
	uint8_t out[65536];
	struct host_cqe cqe;
	int round, i, n;

	for (round = 0; round < 300; round++) {
		memset(out, 0, sizeof(out));
		if (round % 30 == 0)
			salt_memory();
		n = 1 + (int)(rnd() % 63);
		for (i = 0; i < n; i++) {
			struct host_cmd c = garbage(rnd() % 4 == 0);

			out[host_put(&h, 1, &c)] = 1;
		}
		host_ring(&h, 1);
		for (i = 0; i < n; i++) {
			REQUIRE(host_get(&h, 1, &cqe));
			CHECK_EQ(out[(uint16_t)cqe.dw[3]], 1);
			out[(uint16_t)cqe.dw[3]] = 0;
		}
	}
	CHECK(host_silent(&h, 1));
}

/* Admin: what deletes our queues or takes long is left out, so that each completes in turn. */
static void
test_admin_garbage(void)
{
	static const uint8_t opcodes[] = {
		2, 6, 8, 9, 0xa, 0xd, 0x10, 0x11, 0x14, 0x15, 0x18, 0x81, 0x84, 0xc0};
	struct host_cqe cqe;
	int i;

	for (i = 0; i < 5000; i++) {
		struct host_cmd c = garbage(false);
		uint16_t cid;

		c.dw[0] = opcodes[rnd() % sizeof(opcodes)] | (rnd() % 16 == 0 ? rnd() & 0xff00 : 0);
		c.dw[1] = rnd() % 4 == 0 ? rnd() : rnd() % 4;
		c.dw[10] = (rnd() % 2 != 0 ? rnd() : rnd() & 0xff) & ~(rnd() % 2 != 0 ? 0x70u : 0);
		c.dw[11] = rnd() % 2 != 0 ? rnd() : 0;
		if ((c.dw[0] & 0xff) == 9 && (c.dw[10] & 0xff) == 7)
			continue;
		if ((c.dw[0] & 0xff) == nvme_admin_sanitize_nvm)
			c.dw[10] |= 8; /* a failure can be left */
		cid = host_put(&h, 0, &c);
		host_ring(&h, 0);
		REQUIRE(host_get(&h, 0, &cqe));
		CHECK_EQ((uint16_t)cqe.dw[3], cid);
	}
	CHECK(host_silent(&h, 0));
}

/* Queues come and go at random places and of random kinds. */
static void
test_queue_garbage(void)
{
	struct host_cqe cqe;
	int i;

	for (i = 0; i < 3000; i++) {
		struct host_cmd c = garbage(false);

		c.dw[0] = (const uint8_t[]){0, 1, 4, 5, 0x7c, 0x80}[rnd() % 6];
		c.dw[10] = (2 + rnd() % 8) | rnd() % 40 << 16;
		c.dw[11] = (rnd() % 4 != 0) | (rnd() % 2) << 1 | (rnd() % 10) << 16;
		if ((c.dw[0] & 0xff) == 0x80)
			c.dw[10] = rnd() % 20;
		host_put(&h, 0, &c);
		host_ring(&h, 0);
		REQUIRE(host_get(&h, 0, &cqe));
	}
}

/* Doorbells are written from another thread's view: any value at any time. */
static void
test_doorbell_garbage(void)
{
	volatile uint32_t *db = wire_doorbells(h.w);
	int i, k;

	for (i = 0; i < 3000; i++) {
		db[rnd() % 1024] = rnd() % 2 != 0 ? rnd() % 70 : rnd();
		for (k = 0; k < 20; k++)
			plx_nvmet_poll(ctrl);
	}
	/* entries are rewritten while they are read */
	for (i = 0; i < 3000; i++) {
		uint64_t *sq = host_va(&h, h.q[1].sq_iova), *cq = host_va(&h, h.q[1].cq_iova);

		sq[rnd() % 512] = rnd();
		cq[rnd() % 128] = rnd();
		db[64 / 4] = rnd() % 64;
		db[96 / 4] = rnd() % 64;
		plx_nvmet_poll(ctrl);
	}
}

static void
test_register_garbage(void)
{
	int i;

	for (i = 0; i < 2000; i++) {
		uint64_t v = rnd() | (uint64_t)rnd() << 32;
		uint32_t len = (const uint32_t[]){1, 2, 4, 4, 4, 8, 8, 3}[rnd() % 8];
		uint64_t off = rnd() % 4 == 0 ? rnd() % 0x5000 : rnd() % 0x48;

		if (rnd() % 2 != 0)
			off = off / len * len;
		if (rnd() % 3 == 0)
			wire_read(h.w, 0, off, &v, len);
		else
			wire_write(h.w, 0, off, &v, len);
	}
	/* however it stands, this brings it back */
	host_set(&h, NVME_REG_CC, 0);
	CHECK_EQ(host_wait_csts(&h, 3, 0) & 3, 0);
}

/* Namespaces may be gone, or shut by a sanitize that goes on or has failed. */
static void
restore(void)
{
	const uint8_t *log = host_va(&h, buf);
	struct nvme_id_ns *id = host_va(&h, buf);
	static const uint32_t nsze[] = {8192, 2048};
	uint16_t *list = host_va(&h, buf);
	uint32_t i;

	do
		CHECK_EQ(
			host_admin(&h, nvme_admin_get_log_page, 0, buf, 0, 0x81 | 127 << 16, 0), 0);
	while ((log[2] & 7) == NVME_SANITIZE_SSTAT_STATUS_IN_PROGESS);
	CHECK_EQ(host_admin(&h, nvme_admin_sanitize_nvm, 0, 0, 0, 1, 0), 0);
	for (i = 0; i < 2; i++) {
		memset(id, 0, sizeof(*id));
		id->nsze = id->ncap = nsze[i];
		host_admin(&h, nvme_admin_ns_mgmt, 0, buf, 0, 0, 0);
		memset(list, 0, 4096);
		list[0] = list[1] = 1;
		host_admin(&h, nvme_admin_ns_attach, i + 1, buf, 0, 0, 0);
	}
}

static void
fresh(void)
{
	h.next = buf + mem_len - HOST_IOVA;
	host_set(&h, NVME_REG_CC, 0);
	CHECK_EQ(host_wait_csts(&h, 3, 0) & 3, 0);
	host_set(&h, NVME_REG_INTMC, UINT32_MAX);
	CHECK_EQ(host_enable(&h, 16), 1);
	restore();
	host_queue(&h, 1, 64);
	CHECK_EQ(host_rw(&h, 1, nvme_cmd_write, 1, 0, 8, buf, 0), 0);
	CHECK_EQ(host_rw(&h, 1, nvme_cmd_compare, 1, 0, 8, buf, 0), 0);
}

int
main(int argc, char **argv)
{
	REQUIRE(plx_eal_init(1, argv) >= 0);
	if (argc > 1)
		seed = strtoull(argv[1], NULL, 0);
	ctrl = host_serve(NULL, 2, "ram:size=4M", "ram:size=8M,block=4096,delay=30,error_every=7");
	host_open(&h, ctrl);
	buf = host_alloc(&h, mem_len);
	RUN(fresh);
	RUN(test_io_garbage);
	RUN(test_admin_garbage);
	RUN(fresh);
	RUN(test_queue_garbage);
	RUN(fresh);
	RUN(test_doorbell_garbage);
	RUN(fresh);
	RUN(test_register_garbage);
	RUN(fresh);
	host_close(&h);
	host_unserve(ctrl);
	plx_eal_cleanup();
	return TEST_RESULT();
}
