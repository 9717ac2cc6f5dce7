/* SPDX-License-Identifier: BSD-3-Clause */
/* Registers, enable and disable, shutdown, reset, clients that come and go. */
#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "nvmet_host.h"
#include "plx_eal.h"
#include "plx_probe.h"
#include "plx_test.h"

static void
test_registers(void)
{
	struct plx_nvmet_conf conf = {.max_depth = 256};
	struct plx_nvmet *ctrl = host_serve(&conf, 1, "ram:size=4M");
	struct host h;
	uint64_t cap;
	uint16_t id16;
	uint32_t v;

	host_open(&h, ctrl);
	cap = host_reg64(&h, NVME_REG_CAP);
	CHECK_EQ(NVME_CAP_MQES(cap), 255);
	CHECK_EQ(NVME_CAP_CQR(cap), 1);
	CHECK_EQ(NVME_CAP_TO(cap), 30);
	CHECK_EQ(NVME_CAP_DSTRD(cap), 3);
	CHECK_EQ(NVME_CAP_CSS(cap), 1);
	CHECK_EQ(cap >> 45, 0); /* BPS, MPSMIN, MPSMAX and all above */
	/* as two halves, too */
	CHECK_EQ(host_reg(&h, 0), (uint32_t)cap);
	CHECK_EQ(host_reg(&h, 4), (uint32_t)(cap >> 32));
	CHECK_EQ(host_reg(&h, NVME_REG_VS), 0x10400);
	CHECK_EQ(host_reg(&h, NVME_REG_CSTS), 0);
	CHECK_EQ(host_reg(&h, NVME_REG_CC), 0);
	host_set64(&h, NVME_REG_ASQ, 0x123456789000);
	host_set(&h, NVME_REG_ACQ + 4, 0x77);
	host_set(&h, NVME_REG_ACQ, 0x1000);
	CHECK_EQ(host_reg64(&h, NVME_REG_ASQ), 0x123456789000);
	CHECK_EQ(host_reg(&h, NVME_REG_ASQ + 4), 0x1234);
	CHECK_EQ(host_reg64(&h, NVME_REG_ACQ), 0x7700001000);
	host_set(&h, NVME_REG_INTMS, 0x5);
	host_set(&h, NVME_REG_INTMC, 0x4);
	CHECK_EQ(host_reg(&h, NVME_REG_INTMS), 1);
	host_set(&h, NVME_REG_INTMC, 1);
	/* not there: zero; read-only: unmoved */
	CHECK_EQ(host_reg(&h, NVME_REG_CMBSZ), 0);
	host_set(&h, NVME_REG_VS, 7);
	CHECK_EQ(host_reg(&h, NVME_REG_VS), 0x10400);
	host_set(&h, NVME_REG_NSSR, 0x4e564d65);
	/* sizes and alignments that are none */
	CHECK(wire_read(h.w, 0, 0, &id16, 2) < 0);
	CHECK(wire_read(h.w, 0, 2, &v, 4) < 0);
	CHECK(wire_write(h.w, 0, 0x14, &id16, 1) < 0);
	CHECK_EQ(host_reg(&h, 0x2000), 0);
	host_close(&h);
	host_unserve(ctrl);
}

/* What can't be served is refused, and nothing is left open. */
static void
test_create(void)
{
	const char *devs[] = {"c0", "c0"}, *none[] = {"nosuch"};
	struct plx_nvmet_conf conf = {.path = "/tmp/plx-no-such-dir/s", .devs = devs, .nb_devs = 1};
	struct plx_nvmet *ctrl;

	REQUIRE(plx_attach("ram:size=1M,name=c0", NULL) == 0);
	CHECK_EQ(plx_nvmet_create(&conf, &ctrl), -ENOENT);
	conf.mdts = 10;
	CHECK_EQ(plx_nvmet_create(&conf, &ctrl), -EINVAL);
	conf.mdts = 0;
	conf.max_depth = 1;
	CHECK_EQ(plx_nvmet_create(&conf, &ctrl), -EINVAL);
	conf.max_depth = 0;
	conf.max_queues = 64;
	CHECK_EQ(plx_nvmet_create(&conf, &ctrl), -EINVAL);
	conf.max_queues = 0;
	conf.nb_devs = 2; /* the same one twice */
	CHECK_EQ(plx_nvmet_create(&conf, &ctrl), -EBUSY);
	conf.devs = none;
	conf.nb_devs = 1;
	CHECK_EQ(plx_nvmet_create(&conf, &ctrl), -ENODEV);
	conf.nb_devs = 0;
	CHECK_EQ(plx_nvmet_create(&conf, &ctrl), -EINVAL);
	conf.devs = devs;
	conf.nb_devs = 1;
	CHECK_EQ(plx_nvmet_create(&conf, &ctrl), -ENOENT); /* c0 is free again */
	plx_nvmet_destroy(NULL);
	CHECK_EQ(plx_detach_all(), 0);
}

static void
test_enable(void)
{
	struct plx_nvmet *ctrl = host_serve(NULL, 1, "ram:size=4M");
	struct host h;
	uint64_t data;

	host_open(&h, ctrl);
	CHECK_EQ(host_enable(&h, 16), 1);
	data = host_alloc(&h, 4096);
	CHECK_EQ(host_admin(&h, nvme_admin_identify, 0, data, 0, 1, 0), 0);
	/* frozen while enabled */
	host_set(&h, NVME_REG_AQA, 0);
	CHECK_EQ(host_reg(&h, NVME_REG_AQA), 0x000f000f);
	host_set(&h, NVME_REG_CC, 0);
	CHECK_EQ(host_wait_csts(&h, 1, 0), 0);
	CHECK_EQ(host_reg(&h, NVME_REG_AQA), 0x000f000f);
	/* again, and again at once */
	CHECK_EQ(host_enable(&h, 32), 1);
	CHECK_EQ(host_admin(&h, nvme_admin_identify, 0, data, 0, 1, 0), 0);
	host_set(&h, NVME_REG_CC, 0);
	CHECK_EQ(host_enable(&h, 2), 1);
	CHECK_EQ(host_admin(&h, nvme_admin_identify, 0, data, 0, 1, 0), 0);
	CHECK_EQ(host_admin(&h, nvme_admin_identify, 0, data, 0, 1, 0), 0);
	host_set(&h, NVME_REG_CC, 0);
	host_close(&h);
	host_unserve(ctrl);
}

/* What can't be enabled says so in CSTS.CFS, and can be after the cause is gone. */
static void
test_enable_refused(void)
{
	static const struct {
		uint32_t cc, aqa;
		uint64_t asq, acq;
	} bad[] = {
		{1 | 1 << 7, 0x0f000f, HOST_IOVA, HOST_IOVA + 4096},  /* MPS */
		{1 | 6 << 4, 0x0f000f, HOST_IOVA, HOST_IOVA + 4096},  /* CSS */
		{1 | 1 << 11, 0x0f000f, HOST_IOVA, HOST_IOVA + 4096}, /* AMS */
		{1, 0x00000f, HOST_IOVA, HOST_IOVA + 4096},           /* 1 entry */
		{1, 0x0f0000, HOST_IOVA, HOST_IOVA + 4096},
		{1, 0x0f000f, HOST_IOVA + 64, HOST_IOVA + 4096}, /* unaligned */
		{1, 0x0f000f, HOST_IOVA, HOST_IOVA + 16},
		{1, 0x0f000f, 0x1000, HOST_IOVA + 4096}, /* not mapped */
		{1, 0x0f000f, HOST_IOVA, HOST_IOVA + HOST_MEM},
		{1, 0xfff00ff, HOST_IOVA + HOST_MEM - 4096, HOST_IOVA}, /* beyond its end */
	};
	struct plx_nvmet *ctrl = host_serve(NULL, 1, "ram:size=4M");
	struct host h;
	size_t i;

	host_open(&h, ctrl);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		host_set(&h, NVME_REG_AQA, bad[i].aqa);
		host_set64(&h, NVME_REG_ASQ, bad[i].asq);
		host_set64(&h, NVME_REG_ACQ, bad[i].acq);
		host_set(&h, NVME_REG_CC, bad[i].cc | 4 << 20 | 6 << 16);
		CHECK(host_wait_csts(&h, 2, 2) == 2, "case %zu", i);
		host_set(&h, NVME_REG_CC, 0);
		CHECK(host_wait_csts(&h, 3, 0) == 0, "case %zu", i);
	}
	CHECK_EQ(host_enable(&h, 16), 1);
	host_close(&h);
	host_unserve(ctrl);
}

static void
test_shutdown(void)
{
	struct plx_nvmet *ctrl = host_serve(NULL, 1, "ram:size=4M");
	struct host_cmd id = {.dw = {nvme_admin_identify}};
	struct host h;

	host_open(&h, ctrl);
	CHECK_EQ(host_enable(&h, 16), 1);
	host_queue(&h, 1, 16);
	host_set(&h, NVME_REG_CC, 4 << 20 | 6 << 16 | 1 << 14 | 1);
	CHECK_EQ(host_wait_csts(&h, 0xc, 8), 9);
	/* nothing is served any more */
	id.dw[10] = 1;
	host_put(&h, 0, &id);
	host_ring(&h, 0);
	CHECK(host_silent(&h, 0));
	host_set(&h, NVME_REG_CC, 0);
	CHECK_EQ(host_wait_csts(&h, 1, 0), 0);
	CHECK_EQ(host_enable(&h, 16), 1);
	host_queue(&h, 1, 16);
	host_set(&h, NVME_REG_CC, 4 << 20 | 6 << 16 | 2 << 14 | 1); /* abrupt */
	CHECK_EQ(host_wait_csts(&h, 0xc, 8), 9);
	/* then the host may take its memory away: no failure */
	CHECK_EQ(wire_unmap(h.w, HOST_IOVA, HOST_MEM), 0);
	CHECK_EQ(host_reg(&h, NVME_REG_CSTS), 9);
	CHECK_EQ(wire_map(h.w, HOST_IOVA, HOST_MEM, h.fd, 0, true), 0);
	CHECK_EQ(host_reg(&h, NVME_REG_CSTS), 9);
	host_set(&h, NVME_REG_CC, 0);
	CHECK_EQ(host_wait_csts(&h, 0xf, 0), 0);
	CHECK_EQ(host_enable(&h, 16), 1);
	host_close(&h);
	host_unserve(ctrl);
}

static void
test_reset(void)
{
	struct plx_nvmet *ctrl = host_serve(NULL, 1, "ram:size=4M");
	struct host h;
	uint64_t buf;

	host_open(&h, ctrl);
	CHECK_EQ(host_enable(&h, 16), 1);
	host_queue(&h, 1, 16);
	CHECK_EQ(wire_reset(h.w), 0);
	CHECK_EQ(host_reg(&h, NVME_REG_CSTS), 0);
	CHECK_EQ(host_reg(&h, NVME_REG_CC), 0);
	CHECK_EQ(host_reg(&h, NVME_REG_AQA), 0);
	CHECK_EQ(host_reg64(&h, NVME_REG_ASQ), 0);
	/* memory stays mapped */
	wire_bus_master(h.w, true);
	CHECK_EQ(host_enable(&h, 16), 1);
	host_queue(&h, 1, 16);
	buf = host_alloc(&h, 4096);
	CHECK_EQ(host_rw(&h, 1, nvme_cmd_write, 1, 0, 1, buf, 0), 0);
	host_close(&h);
	host_unserve(ctrl);
}

static void
test_bus_master(void)
{
	struct plx_nvmet *ctrl = host_serve(NULL, 1, "ram:size=4M");
	struct host_cmd id = {.dw = {nvme_admin_identify}};
	struct host h;
	struct host_cqe cqe;
	uint64_t data;

	host_open(&h, ctrl);
	wire_bus_master(h.w, false);
	CHECK_EQ(host_enable(&h, 16), 1);
	data = host_alloc(&h, 4096);
	id.dw[6] = (uint32_t)data;
	id.dw[7] = (uint32_t)(data >> 32);
	id.dw[10] = 1;
	host_put(&h, 0, &id);
	host_ring(&h, 0);
	CHECK(host_silent(&h, 0));
	wire_bus_master(h.w, true);
	CHECK(host_get(&h, 0, &cqe));
	CHECK_EQ(cqe.dw[3] >> 17, 0);
	host_close(&h);
	host_unserve(ctrl);
}

/* Memory is taken away under a running controller. */
static void
test_unmap(void)
{
	struct plx_nvmet *ctrl = host_serve(NULL, 1, "ram:size=4M,delay=3000");
	struct host h;
	uint64_t buf, far = UINT64_C(0x7000000000);
	uint16_t sc;
	int i, fetched;

	host_open(&h, ctrl);
	CHECK_EQ(wire_map(h.w, far, 1 << 20, h.fd, 8 << 20, true), 0);
	CHECK_EQ(host_enable(&h, 16), 1);
	host_queue(&h, 1, 16);
	CHECK_EQ(host_rw(&h, 1, nvme_cmd_write, 1, 0, 1, far + 4096, 0), 0);
	/* under load */
	for (i = 0; i < 15; i++) {
		struct host_cmd c =
			host_rw_cmd(nvme_cmd_read, 1, i, 1, far + 512u * (unsigned)i, 0);

		host_put(&h, 1, &c);
	}
	host_ring(&h, 1);
	fetched = plx_nvmet_poll(ctrl);
	CHECK(fetched >= 15); /* on a busy machine some are finished in the same turn */
	CHECK_EQ(wire_unmap(h.w, far, 1 << 20), 0);
	for (i = 0; i < 15; i++) {
		struct host_cqe cqe;

		/* what was in flight ended before the memory went */
		REQUIRE(i < fetched ? host_take(&h, 1, &cqe) : host_get(&h, 1, &cqe));
		sc = (uint16_t)(cqe.dw[3] >> 17);
		CHECK(sc == 0 || sc == SC(GENERIC, DATA_XFER_ERROR));
	}
	CHECK_EQ(host_rw(&h, 1, nvme_cmd_write, 1, 0, 1, far + 4096, 0),
		SC(GENERIC, DATA_XFER_ERROR));
	/* queues were elsewhere: all is well */
	buf = host_alloc(&h, 4096);
	CHECK_EQ(host_rw(&h, 1, nvme_cmd_write, 1, 0, 1, buf, 0), 0);
	CHECK_EQ(host_reg(&h, NVME_REG_CSTS), 1);
	/* theirs, for a moment: nothing is fetched meanwhile, and then it goes on */
	for (i = 0; i < 3; i++) {
		struct host_cmd c = host_rw_cmd(nvme_cmd_write, 1, 0, 1, buf, 0);
		struct host_cqe cqe;

		CHECK_EQ(wire_unmap(h.w, HOST_IOVA, HOST_MEM), 0);
		host_put(&h, 1, &c);
		host_ring(&h, 1);
		for (fetched = 0; fetched < 1000; fetched++)
			plx_nvmet_poll(ctrl);
		CHECK_EQ(host_reg(&h, NVME_REG_CSTS), 1);
		CHECK_EQ(wire_map(h.w, HOST_IOVA, HOST_MEM / 2, h.fd, 0, true), 0);
		CHECK_EQ(host_reg(&h, NVME_REG_CSTS), 1);
		REQUIRE(host_get(&h, 1, &cqe));
		CHECK_EQ(cqe.dw[3] >> 17, 0);
		CHECK_EQ(wire_unmap(h.w, HOST_IOVA, HOST_MEM / 2), 0);
		CHECK_EQ(wire_map(h.w, HOST_IOVA, HOST_MEM, h.fd, 0, true), 0);
		CHECK_EQ(host_rw(&h, 1, nvme_cmd_write, 1, 0, 1, buf, 0), 0);
	}
	/* for good */
	CHECK_EQ(wire_unmap(h.w, HOST_IOVA, HOST_MEM), 0);
	CHECK_EQ(host_reg(&h, NVME_REG_CSTS), 1);
	CHECK_EQ(host_wait_csts(&h, 2, 2), 3);
	CHECK_EQ(wire_map(h.w, HOST_IOVA, HOST_MEM, h.fd, 0, true), 0);
	CHECK_EQ(host_reg(&h, NVME_REG_CSTS), 3);
	host_set(&h, NVME_REG_CC, 0);
	CHECK_EQ(host_wait_csts(&h, 3, 0), 0);
	CHECK_EQ(host_enable(&h, 16), 1);
	host_close(&h);
	host_unserve(ctrl);
}

/* The same at the very end of the address space, where the last address plus one is 0. */
static void
test_unmap_top(void)
{
	struct plx_nvmet *ctrl = host_serve(NULL, 1, "ram:size=4M");
	const uint64_t len = 1 << 20, top = 0 - len;
	const struct host_cqe *cqe;
	struct host_cmd c;
	struct host h;

	host_open(&h, ctrl);
	CHECK_EQ(host_enable(&h, 16), 1);
	CHECK_EQ(wire_map(h.w, top, len, h.fd, 8 << 20, true), 0);
	cqe = (const void *)(h.mem + (8 << 20));
	h.q[1] = (struct host_ring){
		.sq_iova = host_alloc(&h, 4096), .cq_iova = top, .sq_size = 16, .cq_size = 16};
	CHECK_EQ(host_create_cq(&h, 1, 16, 1, 0), 0);
	CHECK_EQ(host_create_sq(&h, 1, 16, 1), 0);
	CHECK_EQ(wire_unmap(h.w, top, len), 0);
	c = host_rw_cmd(nvme_cmd_read, 1, 0, 1, host_alloc(&h, 4096), 0);
	host_put(&h, 1, &c);
	host_ring(&h, 1);
	CHECK(host_silent(&h, 0));
	CHECK_EQ(cqe->dw[3], 0);
	CHECK_EQ(wire_map(h.w, top, len, h.fd, 8 << 20, true), 0);
	CHECK(host_silent(&h, 0));
	CHECK_EQ(cqe->dw[3], h.q[1].cid | 1u << 16);
	host_close(&h);
	host_unserve(ctrl);
}

/* A client vanishes at any moment; the next finds a fresh controller. */
static void
test_clients(void)
{
	struct plx_nvmet *ctrl = host_serve(NULL, 1, "ram:size=4M,delay=200");
	struct host h;
	uint64_t buf;
	int i, k;

	for (i = 0; i < 12; i++) {
		host_open(&h, ctrl);
		CHECK_EQ(host_reg(&h, NVME_REG_CSTS), 0);
		if (i > 0) {
			CHECK_EQ(host_enable(&h, 16), 1);
			host_queue(&h, 1, 16);
			buf = host_alloc(&h, 4096);
			CHECK_EQ(host_rw(&h, 1, nvme_cmd_write, 1, 0, 1, buf, 0), 0);
			for (k = 0; k < i; k++) {
				struct host_cmd c = host_rw_cmd(nvme_cmd_read, 1, 0, 8, buf, 0);

				host_put(&h, 1, &c);
			}
			host_ring(&h, 1);
		}
		for (k = 0; k < i * 5; k++)
			plx_nvmet_poll(ctrl);
		host_close(&h);
	}
	host_unserve(ctrl);
}

static void
test_interrupts(void)
{
	struct plx_nvmet *ctrl = host_serve(NULL, 1, "ram:size=4M");
	int fds[3] = {eventfd(0, EFD_NONBLOCK), eventfd(0, EFD_NONBLOCK), eventfd(0, EFD_NONBLOCK)};
	struct host h;
	uint64_t buf, n;

	host_open(&h, ctrl);
	CHECK_EQ(wire_irqs(h.w, fds, 3), 0);
	CHECK_EQ(host_enable(&h, 16), 1);
	buf = host_alloc(&h, 4096);
	CHECK_EQ(host_admin(&h, nvme_admin_identify, 0, buf, 0, 1, 0), 0);
	CHECK(read(fds[0], &n, sizeof(n)) == sizeof(n)); /* the admin queue's */
	host_queue(&h, 1, 16);                           /* IEN 0 */
	host_queue(&h, 2, 16);
	/* again with IEN and a vector of its own */
	CHECK_EQ(host_admin(&h, nvme_admin_delete_sq, 0, 0, 0, 2, 0), 0);
	CHECK_EQ(host_admin(&h, nvme_admin_delete_cq, 0, 0, 0, 2, 0), 0);
	memset(host_va(&h, h.q[2].cq_iova), 0, 256);
	CHECK_EQ(host_create_cq(&h, 2, 16, 3, 2), 0);
	CHECK_EQ(host_create_sq(&h, 2, 16, 2), 0);
	CHECK_EQ(host_rw(&h, 1, nvme_cmd_read, 1, 0, 1, buf, 0), 0);
	CHECK(read(fds[1], &n, sizeof(n)) < 0);
	CHECK(read(fds[2], &n, sizeof(n)) < 0);
	CHECK_EQ(host_rw(&h, 2, nvme_cmd_read, 1, 0, 1, buf, 0), 0);
	CHECK(read(fds[2], &n, sizeof(n)) == sizeof(n) && n == 1);
	CHECK(read(fds[1], &n, sizeof(n)) < 0);
	host_close(&h);
	host_unserve(ctrl);
	close(fds[0]);
	close(fds[1]);
	close(fds[2]);
}

/* Doorbells by message, no mapping. */
static void
test_no_map(void)
{
	struct plx_nvmet_conf conf = {.no_map = true};
	struct plx_nvmet *ctrl = host_serve(&conf, 1, "ram:size=4M");
	struct host h;
	uint64_t buf;

	host_open(&h, ctrl);
	CHECK(h.by_message);
	CHECK_EQ(host_enable(&h, 16), 1);
	host_queue(&h, 1, 4);
	buf = host_alloc(&h, 4096);
	CHECK_EQ(host_rw(&h, 1, nvme_cmd_write, 1, 0, 1, buf, 0), 0);
	CHECK_EQ(host_rw(&h, 1, nvme_cmd_read, 1, 0, 1, buf, 0), 0);
	CHECK_EQ(host_reg(&h, 0x1000 + 64), 0);
	host_close(&h);
	host_unserve(ctrl);
}

int
main(int argc, char **argv)
{
	(void)argc;
	REQUIRE(plx_eal_init(1, argv) >= 0);
	RUN(test_registers);
	RUN(test_create);
	RUN(test_enable);
	RUN(test_enable_refused);
	RUN(test_shutdown);
	RUN(test_reset);
	RUN(test_bus_master);
	RUN(test_unmap);
	RUN(test_unmap_top);
	RUN(test_clients);
	RUN(test_interrupts);
	RUN(test_no_map);
	plx_eal_cleanup();
	return TEST_RESULT();
}
