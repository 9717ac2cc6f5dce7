/* SPDX-License-Identifier: BSD-3-Clause */
/* What a controller says that can't be true, and what is wrong with one request among others. */
#include "plx_test_log.h"
#include "rig.h"

/* ---- zones ---- */

#define CSS_CSI (1ull << 43)
#define ZONES (FAKE_BLOCKS / FAKE_ZONE)

static void
zone(unsigned int i, uint8_t state, uint64_t lba, uint64_t cap, uint64_t wp)
{
	struct nvme_zns_desc *d = (struct nvme_zns_desc *)(f.report + 64) + i;

	*d = (struct nvme_zns_desc){
		.zt = 2, .zs = (uint8_t)(state << 4), .zcap = cap, .zslba = lba, .wp = wp};
}

/* As it should be: zones of every state. */
static void
good_report(void)
{
	static const uint8_t states[ZONES] = {1, 2, 3, 4, 13, 14, 15, 1};
	uint64_t i, n = ZONES;

	memset(f.report, 0, sizeof(f.report));
	memcpy(f.report, &n, sizeof(n));
	for (i = 0; i < ZONES; i++)
		zone((unsigned int)i, states[i], i * FAKE_ZONE, FAKE_ZONE - 24,
			states[i] == 14 ? UINT64_MAX
			: i == 0        ? 0
					: i * FAKE_ZONE + 100);
}

/* A change of a good report. @return what the request ends with */
static void
number(uint64_t n)
{
	good_report();
	memcpy(f.report, &n, sizeof(n));
}

static struct nvme_zns_desc *
change(unsigned int i)
{
	good_report();
	return (struct nvme_zns_desc *)(f.report + 64) + i;
}

static void
more_than_there_are(void)
{
	number(ZONES + 1);
}

static void
none(void)
{
	number(0);
}

static void
all_ones(void)
{
	number(UINT64_MAX);
}

static void
not_in_order(void)
{
	*change(1) = *change(2);
}

static void
backwards(void)
{
	change(3)->zslba = 2 * FAKE_ZONE;
}

static void
between(void)
{
	change(3)->zslba = 3 * FAKE_ZONE + 1;
}

static void
beyond(void)
{
	change(7)->zslba = FAKE_BLOCKS;
}

static void
wp_before(void)
{
	change(1)->wp = FAKE_ZONE - 1;
}

static void
wp_behind(void)
{
	change(1)->wp = FAKE_ZONE + FAKE_ZONE - 23;
}

static void
wp_elsewhere(void)
{
	change(2)->wp = 0;
}

static void
no_capacity(void)
{
	change(0)->zcap = 0;
}

static void
too_much_capacity(void)
{
	change(0)->zcap = FAKE_ZONE + 1;
}

static void
state_0(void)
{
	change(6)->zs = 0;
}

static void
state_5(void)
{
	change(0)->zs = 5 << 4;
}

static void
state_12(void)
{
	change(0)->zs = 12 << 4;
}

static const struct {
	void (*make)(void);
	const char *what;
} bad_reports[] = {{more_than_there_are, "more zones than there are"}, {none, "no zones"},
	{all_ones, "2^64 - 1 zones"}, {not_in_order, "twice the same zone"},
	{backwards, "addresses that go back"}, {between, "a zone that begins in another"},
	{beyond, "a zone behind the end"}, {wp_before, "a write pointer before its zone"},
	{wp_behind, "a write pointer behind the capacity"},
	{wp_elsewhere, "a write pointer in another zone"}, {no_capacity, "no capacity"},
	{too_much_capacity, "more capacity than blocks"}, {state_0, "state 0"},
	{state_5, "state 5"}, {state_12, "state 12"}};

static void
attach_zoned(void)
{
	begin();
	f.zoned = true;
	f.cap |= CSS_CSI;
	good_report();
	attach("");
	host_open(&h, "fk");
	CHECK_EQ(h.info.zone_nblk, FAKE_ZONE);
	CHECK_EQ(h.info.nb_zones, ZONES);
}

static uint64_t
bad_device(void)
{
	struct plx_blk_stats st;

	REQUIRE(plx_blk_stats_get(h.blk, 0, &st) == 0);
	return st.bad_device;
}

static void
zone_reports(void)
{
	const struct plx_zone_report *r;
	unsigned int i;

	attach_zoned();
	r = (const struct plx_zone_report *)h.mem;
	CHECK_EQ(host_one(&h, PLX_OP_ZONE_REPORT, 0, 8), 0);
	CHECK_EQ(h.reqs[0].result, ZONES);
	CHECK(r->zones[1].wp == FAKE_ZONE + 100 && r->zones[5].state == PLX_ZONE_FULL);
	/* as many as find room, though it tells of all */
	CHECK_EQ(host_one(&h, PLX_OP_ZONE_REPORT, 0, 1), 0);
	CHECK_EQ(h.reqs[0].result, 7);
	CHECK_EQ(r->nr_zones, ZONES);
	for (i = 0; i < RTE_DIM(bad_reports); i++) {
		uint64_t bad = bad_device();

		fake_lock(&f);
		bad_reports[i].make();
		fake_unlock(&f);
		CHECK(host_one(&h, PLX_OP_ZONE_REPORT, 0, 8) == -EIO, "%s", bad_reports[i].what);
		CHECK_EQ(h.reqs[0].result, 0);
		CHECK_EQ(bad_device(), bad + 1);
	}
	/* zones of others, for a report that begins further on */
	fake_lock(&f);
	good_report();
	fake_unlock(&f);
	CHECK_EQ(host_one(&h, PLX_OP_ZONE_REPORT, 2 * FAKE_ZONE, 8), -EIO);
	CHECK_EQ(host_one(&h, PLX_OP_ZONE_REPORT, 0, 8), 0);
	CHECK_EQ(host_close(&h), 0);
	end();
}

static void
appends(void)
{
	static const uint64_t wrong[] = {0, FAKE_ZONE - 1, 2 * FAKE_ZONE - 3, 2 * FAKE_ZONE,
		FAKE_BLOCKS, UINT64_MAX, UINT64_MAX - 3};
	unsigned int i;

	attach_zoned();
	fake_lock(&f);
	f.appended = FAKE_ZONE + 7;
	fake_unlock(&f);
	CHECK_EQ(host_one(&h, PLX_OP_ZONE_APPEND, FAKE_ZONE, 4), 0);
	CHECK_EQ(h.reqs[0].result, FAKE_ZONE + 7);
	for (i = 0; i < RTE_DIM(wrong); i++) {
		fake_lock(&f);
		f.appended = wrong[i];
		fake_unlock(&f);
		CHECK_EQ(host_one(&h, PLX_OP_ZONE_APPEND, FAKE_ZONE, 4), -EIO);
	}
	CHECK_EQ(bad_device(), RTE_DIM(wrong));
	CHECK_EQ(host_close(&h), 0);
	end();
}

/* Zones that can't be: the namespace is left out, with one line. */
static void
zone_sizes(void)
{
	static const uint64_t size[] = {0, FAKE_BLOCKS + 1, UINT64_MAX};
	unsigned int i;

	for (i = 0; i < RTE_DIM(size); i++) {
		begin();
		f.zoned = true;
		f.cap |= CSS_CSI;
		f.zns.lbafe[0].zsze = size[i];
		logged[0] = '\0';
		log_catch();
		attach("");
		log_release();
		CHECK(strstr(logged, "namespace 1 is left out: zones of") != NULL, "%s", logged);
		CHECK(plx_blk_next(NULL) == NULL);
		CHECK_EQ(host_close(&h), 0);
		end();
	}
}

/* ---- protection information ---- */

/* One of many requests finds a tag that is wrong: that one has the error, and only that. */
static void
protection(void)
{
	static const uint16_t statuses[] = {0x282, 0x283, 0x284};
	unsigned int i, k, op;

	begin();
	f.ns[0].lbaf[0].ms = 8;
	f.ns[0].dps = 1;
	f.ns[0].noiob = 8;
	attach("");
	host_open(&h, "fk");
	CHECK_EQ(h.info.pi_type, 1);
	for (k = 0; k < RTE_DIM(statuses); k++)
		for (op = 0; op < 2; op++) {
			fake_lock(&f);
			f.fault_lba = 17 * 8;
			fake_unlock(&f);
			fault(FAKE_STATUS, statuses[k], 1);
			for (i = 0; i < HOST_DEPTH; i++)
				host_prepare(&h, i, op == 0 ? PLX_OP_READ : PLX_OP_WRITE, i * 8, 8);
			host_submit(&h, HOST_DEPTH);
			CHECK_EQ(host_collect(&h, HOST_DEPTH, 10), HOST_DEPTH);
			for (i = 0; i < HOST_DEPTH; i++) {
				CHECK_EQ(h.reqs[i].status, i == 17 ? -EBADMSG : 0);
				CHECK_EQ(h.reqs[i].raw, i == 17 ? statuses[k] : 0);
			}
			/* a part of a request that takes several commands */
			fault(FAKE_STATUS, statuses[k], 1);
			CHECK_EQ(host_one(&h, op == 0 ? PLX_OP_READ : PLX_OP_WRITE, 15 * 8, 32),
				-EBADMSG);
			CHECK_EQ(h.reqs[0].raw, statuses[k]);
			CHECK_EQ(host_one(&h, PLX_OP_READ, 15 * 8, 32), 0);
		}
	CHECK_EQ(host_close(&h), 0);
	end();
}

/* ---- controllers ---- */

/* Refused, with one line that says that, and nothing stays. */
static void
refused(int err, const char *words)
{
	fake_start(&f);
	logged[0] = '\0';
	log_catch();
	CHECK_EQ(host_attach(&h, string("")), err);
	log_release();
	CHECK(strstr(logged, words) != NULL && strchr(logged, '\n') == strrchr(logged, '\n'),
		"'%s' is not '%s'", logged, words);
	CHECK(plx_blk_next(NULL) == NULL && plx_dev_next(NULL) == NULL);
	end();
}

static void
controllers(void)
{
	begin();
	f.cap &= ~0xffffull;
	refused(-EPROTO, "one entry (MQES 0)");
	begin();
	f.cap |= 5ull << 48;
	refused(-EPROTO, "(MPSMIN)");
	begin();
	f.cap |= 15ull << 32;
	refused(-EPROTO, "(DSTRD)");
	begin();
	f.cap = (f.cap & ~(0xffull << 37)) | 1ull << 44;
	refused(-EPROTO, "(CSS)");
	begin();
	f.vs = 0;
	refused(-EPROTO, "no version");
	begin();
	f.id.sqes = 0x77;
	refused(-EPROTO, "(SQES 0x77, CQES 0x44)");
	begin();
	f.id.cqes = 0xff;
	refused(-EPROTO, "(SQES 0x66, CQES 0xff)");
	begin();
	f.all_ones = true;
	refused(-ENODEV, "all ones");
}

/* Its only namespace can't be used: the controller is there, and one line says why there is no
 * device, another that there is none. */
static void
left_out(const char *words)
{
	logged[0] = '\0';
	log_catch();
	attach("");
	log_release();
	CHECK(strstr(logged, words) != NULL && strstr(logged, "no usable namespace") != NULL, "%s",
		logged);
	CHECK(plx_blk_next(NULL) == NULL);
	CHECK_EQ(plx_detach(h.dev), 0);
	end();
}

static void
namespaces(void)
{
	begin();
	f.ns[0].lbaf[0].ds = 8;
	left_out("blocks of 2^8 bytes");
	begin();
	f.ns[0].lbaf[0].ds = 63;
	left_out("blocks of 2^63 bytes");
	begin(); /* a block that no command could move */
	f.ns[0].lbaf[0].ds = 16;
	f.id.mdts = 1;
	left_out("blocks of 2^16 bytes");
	begin();
	f.ns[0].nsze = 0;
	left_out("");
	begin();
	f.ns[0].nsze = UINT64_MAX;
	left_out("2^64 bytes or more");
}

/* Whatever a controller makes happen without end, the log stays readable. */
static void
told(void)
{
	static struct nvme_ctrlr c = {.name = "fk"};
	unsigned int i, lines = 0;

	log_catch();
	for (i = 0; i < 10000; i++) {
		lines += nvme_may_tell(&c);
		c.told -= i % 10 == 0 && c.told != 0; /* a tick */
	}
	log_release();
	CHECK(lines >= 64 && lines < 90, "%u lines in 1000 ticks", lines);
}

int
main(int argc, char **argv)
{
	host_eal(argc, argv);
	RUN(zone_reports);
	RUN(appends);
	RUN(zone_sizes);
	RUN(protection);
	RUN(controllers);
	RUN(namespaces);
	RUN(told);
	plx_eal_cleanup();
	return TEST_RESULT();
}
