/* SPDX-License-Identifier: BSD-3-Clause */
/* The software controller is managed while its namespace is in use: sanitize, detach, Abort. */
#include <nvme/types.h>

#include "host.h"
#include "plx_nvme.h"

static struct host h;
static struct plx_dev *ram;
static struct host_use before;

static void
begin(const char *medium, const char *more)
{
	char str[128];

	before = host_use();
	REQUIRE(plx_attach(medium, &ram) == 0);
	snprintf(str, sizeof(str), "soft-nvme:backend=r0,name=sn%s", more);
	REQUIRE(host_attach(&h, str) == 0);
	host_open(&h, "sn/n1");
}

static void
end(void)
{
	CHECK_EQ(host_close(&h), 0);
	CHECK_EQ(plx_detach(ram), 0);
	host_unused(&before);
}

static unsigned int
sanitize_state(void)
{
	static struct nvme_sanitize_log_page log;
	const struct plx_nvme_log which = {.lid = NVME_LOG_LID_SANITIZE};

	CHECK_EQ(plx_nvme_get_log(h.dev, &which, &log, sizeof(log)), 0);
	return log.sstat & NVME_SANITIZE_SSTAT_STATUS_MASK;
}

/* What is submitted meanwhile is refused, each request once; before and after it all goes. */
static void
sanitize_under_load(void)
{
	unsigned int i, turn, refused = 0, done = 0;

	begin("ram:size=2M,delay=10000,name=r0", "");
	memset(h.mem, 0x55, HOST_BYTES);
	CHECK_EQ(host_one(&h, PLX_OP_WRITE, 8, 8), 0);
	/* writes that are under way when it begins must not survive it */
	for (i = 0; i < HOST_DEPTH; i++) {
		host_prepare(&h, i, PLX_OP_WRITE, i, 1);
		memset(h.reqs[i].buf, 0x55, 512);
	}
	host_submit(&h, HOST_DEPTH);
	CHECK_EQ(plx_nvme_sanitize(h.dev, 3 | 1 << 4 | 1 << 9, 0x01020304), 0);
	CHECK_EQ(host_collect(&h, HOST_DEPTH, 5), HOST_DEPTH);
	for (i = 0; i < HOST_DEPTH; i++)
		CHECK(h.reqs[i].status == 0 || h.reqs[i].status == -EBUSY, "%d", h.reqs[i].status);
	for (turn = 0; turn < 5 && sanitize_state() == 2; turn++) {
		for (i = 0; i < HOST_DEPTH; i++)
			host_prepare(&h, i, i % 2 ? PLX_OP_READ : PLX_OP_WRITE, i, 1);
		host_submit(&h, HOST_DEPTH);
		CHECK_EQ(host_collect(&h, HOST_DEPTH, 5), HOST_DEPTH);
		for (i = 0; i < HOST_DEPTH; i++) {
			refused += h.reqs[i].status == -EBUSY;
			done += h.reqs[i].status == 0;
		}
	}
	CHECK(refused >= HOST_DEPTH && refused + done == turn * HOST_DEPTH, "%u refused, %u done",
		refused, done);
	/* it goes on over a reset */
	CHECK_EQ(plx_blk_reset(h.blk), 0);
	while (sanitize_state() == 2)
		plx_ctrl_poll();
	CHECK_EQ(sanitize_state(), 1);
	for (i = 0; i < h.info.nblocks; i += 32) {
		CHECK_EQ(host_one(&h, PLX_OP_READ, i, 32), 0);
		CHECK(h.mem[0] == 4 && h.mem[3] == 1 && h.mem[HOST_BYTES - 4] == 4);
	}
	end();
}

/* Until the device that was taken off can be opened again. */
static void
wait_back(void)
{
	double until = host_now() + 5;
	struct plx_blk_info info;

	do {
		plx_ctrl_poll();
		plx_blk_info_get(h.blk, &info);
	} while (info.state != PLX_BLK_CLOSED && host_now() < until);
}

/* Detached from the controller, its device is gone; attached again and opened, it is there. */
static void
detach_and_attach(void)
{
	const uint16_t self = 1;
	uint32_t caps;

	begin("ram:size=2M,name=r0", "");
	caps = h.info.caps;
	CHECK((caps & PLX_BLK_CAP_SOFTWARE) != 0 && (caps & PLX_BLK_CAP_VOLATILE) != 0);
	memset(h.mem, 0x66, 4096);
	CHECK_EQ(host_one(&h, PLX_OP_WRITE, 0, 8), 0);
	CHECK_EQ(plx_nvme_ns_attach(h.dev, 1, &self, 1, false), 0);
	CHECK(host_event(&h, PLX_BLK_EVENT_REMOVED, 0, 5));
	CHECK_EQ(host_one(&h, PLX_OP_READ, 0, 8), -ENODEV);
	CHECK_EQ(plx_blk_close(h.blk), 0);
	plx_mem_free(h.mem);
	CHECK_EQ(plx_nvme_ns_attach(h.dev, 1, &self, 1, true), 0);
	wait_back();
	host_open(&h, "sn/n1");
	CHECK_EQ(h.info.caps, caps);
	CHECK_EQ(host_one(&h, PLX_OP_READ, 0, 8), 0);
	CHECK(h.mem[0] == 0x66 && h.mem[4095] == 0x66);
	end();
}

/* Deleted and created, smaller. */
static void
create_anew(void)
{
	static struct nvme_id_ns ns = {.nsze = 1000, .ncap = 1000};
	const uint16_t self = 1;
	uint32_t nsid = 0;

	begin("ram:size=2M,name=r0", "");
	CHECK_EQ(plx_nvme_ns_delete(h.dev, 1), 0);
	CHECK(host_event(&h, PLX_BLK_EVENT_REMOVED, 0, 5));
	CHECK_EQ(plx_blk_close(h.blk), 0);
	plx_mem_free(h.mem);
	CHECK(plx_nvme_ns_create(h.dev, &(struct nvme_id_ns){.nsze = 1}, 0, &nsid) > 0);
	CHECK_EQ(plx_nvme_ns_create(h.dev, &ns, 0, &nsid), 0);
	CHECK_EQ(nsid, 1);
	CHECK_EQ(plx_nvme_ns_attach(h.dev, nsid, &self, 1, true), 0);
	wait_back();
	host_open(&h, "sn/n1");
	CHECK_EQ(h.info.nblocks, 1000);
	CHECK_EQ(host_one(&h, PLX_OP_WRITE, 999, 1), 0);
	CHECK_EQ(host_one(&h, PLX_OP_WRITE, 1000, 1), -ERANGE);
	end();
}

/* The medium is slower than the driver's patience: the controller gives back what it is asked for,
 * the rest is not disturbed, and the request ends once. */
static void
abort_succeeds(void)
{
	struct plx_blk_stats st;

	begin("ram:size=2M,delay=10000000,name=r0", ",io_timeout=500");
	host_prepare(&h, 0, PLX_OP_WRITE, 0, 1);
	host_submit(&h, 1);
	CHECK_EQ(host_collect(&h, 1, 15), 1);
	CHECK_EQ(h.reqs[0].status, -ETIMEDOUT);
	CHECK_EQ(h.reqs[0].raw & 0x7ff, NVME_SC_ABORT_REQ);
	REQUIRE(plx_blk_stats_get(h.blk, 0, &st) == 0);
	CHECK_EQ(st.late, 5);
	CHECK_EQ(st.retried, 4);
	CHECK(!host_event(&h, PLX_BLK_EVENT_RESET, 0, 0.1), "a reset was not needed");
	end();
}

static void
self_test(void)
{
	const struct plx_nvme_log which = {.lid = NVME_LOG_LID_DEVICE_SELF_TEST};
	static struct nvme_self_test_log log;

	begin("ram:size=2M,name=r0", "");
	CHECK_EQ(plx_nvme_self_test(h.dev, 1, NVME_ST_CODE_EXTENDED), 0);
	do
		CHECK_EQ(plx_nvme_get_log(h.dev, &which, &log, sizeof(log)), 0);
	while (log.current_operation != 0);
	CHECK_EQ(log.result[0].dsts, NVME_ST_CODE_EXTENDED << 4);
	CHECK_EQ(host_one(&h, PLX_OP_READ, 0, 8), 0);
	end();
}

int
main(int argc, char **argv)
{
	bool all = argc == 2 && strcmp(argv[1], "slow") == 0;

	host_eal(argc, argv);
	RUN(sanitize_under_load);
	RUN(detach_and_attach);
	RUN(create_anew);
	RUN(self_test);
	if (all)
		RUN(abort_succeeds);
	plx_eal_cleanup();
	return TEST_RESULT();
}
