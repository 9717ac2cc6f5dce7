/* SPDX-License-Identifier: BSD-3-Clause */
/* Attaching to controllers that describe themselves in strange ways: usable ones are used, others
 * refused, and nothing stays behind. */
#include "fake.h"
#include "host.h"
#include "nvme_priv.h"
#include "plx_nvme.h"

static struct fake f;
static struct host h;
static struct host_use before;
static char str[256];
static bool slow;

static void
begin(void)
{
	before = host_use();
	fake_init(&f);
}

static int
attach(const char *more)
{
	fake_start(&f);
	snprintf(str, sizeof(str), "vfio-user:%s,name=fk%s", f.path, more);
	return host_attach(&h, str);
}

static void
end(void)
{
	fake_stop(&f);
	CHECK(f.broken == NULL, "the host's fault: %s", f.broken);
	host_unused(&before);
}

static void
refused(int err, const char *more, double seconds)
{
	double t = host_now();

	CHECK_EQ(attach(more), err);
	CHECK(host_now() - t < seconds, "%f s", host_now() - t);
	CHECK(plx_blk_next(NULL) == NULL);
	CHECK(plx_dev_next(NULL) == NULL);
	end();
}

/* It attaches, and the first blocks can be written and read back. */
static void
works(const char *more)
{
	unsigned int i;

	CHECK_EQ(attach(more), 0);
	host_open(&h, "fk");
	for (i = 0; i < HOST_BYTES; i++)
		h.mem[i] = (uint8_t)(i * 7 + i / 512);
	CHECK_EQ(host_one(&h, PLX_OP_WRITE, 8, HOST_BYTES / h.info.block_size), 0);
	memset(h.mem, 0, HOST_BYTES);
	CHECK_EQ(host_one(&h, PLX_OP_READ, 8, HOST_BYTES / h.info.block_size), 0);
	for (i = 0; i < HOST_BYTES && h.mem[i] == (uint8_t)(i * 7 + i / 512); i++)
		;
	CHECK_EQ(i, HOST_BYTES);
	CHECK_EQ(host_close(&h), 0);
	end();
}

static void
gone(void)
{
	begin();
	f.all_ones = true;
	refused(-ENODEV, "", 3);
}

static void
never_ready(void)
{
	begin();
	f.never_ready = true;
	f.cap = (f.cap & ~(0xffull << 24)) | 1ull << 24;
	refused(-ETIMEDOUT, "", 3);
}

static void
silent_commands(void)
{
	static const uint8_t ops[] = {nvme_admin_identify, nvme_admin_set_features};
	unsigned int i;

	for (i = 0; i < RTE_DIM(ops); i++) {
		begin();
		f.silent_admin = ops[i];
		refused(-ETIMEDOUT, ",admin_timeout=300", 3);
	}
}

static void
failing_commands(void)
{
	static const uint8_t ops[] = {nvme_admin_identify, nvme_admin_set_features};
	unsigned int i;

	for (i = 0; i < RTE_DIM(ops); i++) {
		begin();
		f.failed_admin = ops[i];
		f.admin_status = 0x4006;
		refused(-EIO, "", 3);
	}
	begin();
	f.failed_admin = nvme_admin_async_event;
	f.admin_status = 0x4001;
	works("");
}

static void
registers(void)
{
	begin();
	f.cap &= ~(0xffull << 24); /* no time to become ready: half a second, then */
	works("");
	begin();
	f.cap &= ~0xffffull; /* one entry */
	refused(-EPROTO, "", 3);
	begin();
	f.vs = 0;
	refused(-EPROTO, "", 3);
	begin();
	f.cap |= 5ull << 48; /* pages of 128 KiB */
	refused(-EPROTO, "", 3);
	begin();
	f.cap |= 15ull << 32; /* doorbells 128 KiB apart: not in this BAR */
	refused(-EPROTO, "", 3);
	begin();
	f.cap |= 0xffff; /* 65536 entries */
	works("");
}

/* Doorbells that the BAR has no room for aren't used. */
static void
far_doorbells(void)
{
	begin();
	f.cap |= 8ull << 32; /* 1 KiB apart: 4 in the BAR */
	works("");
	CHECK_EQ(h.info.max_queues, 1);
}

static void
limits(void)
{
	static const uint8_t mdts[] = {0, 1, 2, 15, 16, 30, 63, 64, 255};
	static const uint32_t queues[] = {0, 0xffff, 0xffff0000, UINT32_MAX};
	unsigned int i;

	for (i = 0; i < RTE_DIM(mdts); i++) {
		begin();
		f.id.mdts = mdts[i];
		works("");
	}
	for (i = 0; i < RTE_DIM(queues); i++) {
		begin();
		f.nr_queues = queues[i];
		works("");
	}
	begin();
	f.id.sgls = 3;
	works("");
	CHECK_EQ(f.nr_sgl, 0);
	begin();
	f.id.sgls = 1;
	works("");
	CHECK(f.nr_sgl != 0);
	begin();
	f.id.sgls = 1;
	works(",sgl=0");
	CHECK_EQ(f.nr_sgl, 0);
	begin();
	f.id.nn = 0;
	f.id.oncs = 0xffff;
	f.id.aerl = 255;
	f.id.oaes = UINT32_MAX;
	memset(f.id.sn, 0xff, sizeof(f.id.sn));
	memset(f.id.mn, '%', sizeof(f.id.mn));
	works("");
}

/* A controller without a usable namespace is there, to be repaired. */
static void
bare(void)
{
	static uint8_t id[4096];
	struct plx_dev *dev;

	CHECK_EQ(attach(""), 0);
	CHECK(plx_blk_next(NULL) == NULL);
	dev = plx_dev_find("fk");
	REQUIRE(dev != NULL);
	CHECK_EQ(plx_nvme_identify(dev, 1, 0, 0, 0, id), 0);
	CHECK(memcmp(id, &f.id, 64) == 0);
	CHECK_EQ(plx_detach(dev), 0);
	end();
}

static void
namespaces(void)
{
	unsigned int i;

	begin();
	f.ns_there[0] = false;
	bare();
	for (i = 0; i < 256; i++) {
		if (i == 9 || (i > 9 && i < 17))
			continue;
		if (i > 20 && i % 16 != 0)
			continue;
		begin();
		f.ns[0].lbaf[0].ds = (uint8_t)i;
		bare();
	}
	begin();
	f.ns[0].nsze = 0;
	bare();
	begin();
	f.ns[0].nsze = UINT64_MAX;
	bare();
	begin();
	f.ns[0].lbaf[0].ms = 0xffff;
	bare();
	begin(); /* protection information that finds no room, of no type */
	f.ns[0].lbaf[0].ms = 4;
	f.ns[0].dps = 1;
	bare();
	begin();
	f.ns[0].lbaf[0].ms = 8;
	f.ns[0].dps = 7;
	bare();
	begin(); /* and the identify data that would tell more is not there */
	f.id.ctratt = NVME_CTRL_CTRATT_ELBAS;
	f.ns[0].lbaf[0].ms = 8;
	f.ns[0].dps = 7;
	bare();
	begin();
	f.ns[0].flbas = 0x6f; /* a format that isn't there: 2^0 bytes */
	bare();
	/* hints that say nothing true */
	begin();
	f.ns[0].noiob = 3;
	f.ns[0].nsfeat = 0xff;
	f.ns[0].npwg = f.ns[0].nawupf = 0xffff;
	works("");
}

/* What a controller says is corrected. */
static void
quirks(void)
{
	static const char *const bad[] = {"no_sgl+", "no_sgl+x", "", "auto+no_sgl", "stripes"};
	unsigned int i;
	char key[64];

	for (i = 0; i < RTE_DIM(bad); i++) {
		begin();
		snprintf(key, sizeof(key), ",quirks=%s", bad[i]);
		refused(-EINVAL, key, 3);
	}
	begin();
	f.id.sgls = 1;
	f.id.vs[3] = 1;
	works(",quirks=no_sgl+no_zeroes+stripe+bad_id");
	CHECK_EQ(f.nr_sgl, 0);
	CHECK_EQ(h.info.boundary_nblk, 16);
	CHECK_EQ(h.info.caps & PLX_BLK_CAP_WRITE_ZEROES, 0);
	CHECK_EQ(h.info.nguid[0], 0);
	begin();
	f.id.sgls = 1;
	f.id.vs[3] = 1;
	works(",quirks=none");
	CHECK(f.nr_sgl != 0);
	CHECK_EQ(h.info.boundary_nblk, 0);
	CHECK(h.info.caps & PLX_BLK_CAP_WRITE_ZEROES);
	CHECK_EQ(h.info.nguid[0], 1);
	for (i = 0; i < 256; i += 15) {
		begin();
		f.id.vs[3] = (uint8_t)i;
		works(",quirks=stripe");
	}
	begin();
	works(",quirks=no_ns_list+medium_prio+late_queue");
	CHECK_EQ(f.nr_lists, 0);
	CHECK_EQ(f.prio, 2);
	begin();
	f.no_shutdown = true;
	works(",quirks=no_shutdown");
	if (slow) {
		double t = host_now();

		begin();
		works(",quirks=late_ready+slow_init");
		CHECK(host_now() - t > 7);
	}
}

/* Each byte of what it says at random. It may attach or not; nothing stays behind. */
static void
at_random(void)
{
	unsigned int turn, i;
	uint8_t *p;
	int rc;

	for (turn = 0; turn < 60; turn++) {
		begin();
		for (i = 0; i < 40; i++) {
			p = turn % 2 ? (uint8_t *)&f.id : (uint8_t *)&f.ns[0];
			p[(unsigned int)rand() % (turn % 2 ? 1024 : 256)] = (uint8_t)rand();
		}
		rc = attach("");
		if (rc == 0)
			host_close(&h);
		end();
	}
}

int
main(int argc, char **argv)
{
	slow = argc == 2 && strcmp(argv[1], "slow") == 0;
	host_eal(argc, argv);
	srand(1);
	RUN(gone);
	RUN(never_ready);
	RUN(silent_commands);
	RUN(failing_commands);
	RUN(registers);
	RUN(far_doorbells);
	RUN(limits);
	RUN(namespaces);
	RUN(quirks);
	RUN(at_random);
	plx_eal_cleanup();
	return TEST_RESULT();
}
