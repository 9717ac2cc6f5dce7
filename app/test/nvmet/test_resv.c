/* SPDX-License-Identifier: BSD-3-Clause */
/* Reservations (NVMe Base 2.0, 8.19). Hosts are clients that come one after the other, each with
 * its identifier. */
#include <unistd.h>

#include "nvmet_host.h"
#include "plx_eal.h"
#include "plx_test.h"

static struct plx_nvmet *ctrl;
static struct host h;
static uint64_t page, buf;
static bool wide; /* identifiers of 16 bytes */

#define CONFLICT SC(GENERIC, RESERVATION_CONFLICT)
#define INVALID SC(GENERIC, INVALID_FIELD)

static uint16_t
set_host(uint64_t id)
{
	uint64_t *p = host_va(&h, page);

	p[0] = id;
	p[1] = wide ? ~id : 0;
	return host_admin(&h, nvme_admin_set_features, 0, page, 0, 0x81, wide);
}

/* The client leaves, and that one comes. */
static void
come(uint64_t id)
{
	if (h.ctrl != NULL)
		host_close(&h);
	host_open(&h, ctrl);
	CHECK_EQ(host_enable(&h, 32), 1);
	host_queue(&h, 1, 16);
	page = host_alloc(&h, 4096);
	buf = host_alloc(&h, 4096);
	if (id != 0)
		CHECK_EQ(set_host(id), 0);
}

static void
begin(bool eds)
{
	wide = eds;
	ctrl = host_serve(NULL, 2, "ram:size=4M", "ram:size=4M");
	come(0xa);
}

static void
end(void)
{
	host_close(&h);
	h.ctrl = NULL;
	host_unserve(ctrl);
}

static uint16_t
keys(uint8_t opc, uint64_t key1, uint64_t key2, uint32_t dw10)
{
	struct host_cmd c = {.dw = {opc, 1}};
	uint64_t *p = host_va(&h, buf);

	p[0] = key1;
	p[1] = key2;
	c.dw[6] = (uint32_t)buf;
	c.dw[7] = (uint32_t)(buf >> 32);
	c.dw[10] = dw10;
	return host_run(&h, 1, &c);
}

#define REGISTER(cr, nr, dw10) keys(nvme_cmd_resv_register, cr, nr, dw10)
#define ACQUIRE(cr, pr, act, type) keys(nvme_cmd_resv_acquire, cr, pr, (act) | (type) << 8)
#define RELEASE(cr, act, type) keys(nvme_cmd_resv_release, cr, 0, (act) | (type) << 8)
#define RW(opc, nsid) host_rw(&h, 1, nvme_cmd_##opc, nsid, 0, 1, buf, 0)

static const struct nvme_resv_status *
report(void)
{
	struct host_cmd c = {.dw = {nvme_cmd_resv_report, 1}};

	memset(host_va(&h, page), 0xa5, 4096);
	c.dw[6] = (uint32_t)page;
	c.dw[7] = (uint32_t)(page >> 32);
	c.dw[10] = 1023;
	c.dw[11] = wide;
	CHECK_EQ(host_run(&h, 1, &c), 0);
	c.dw[11] = !wide;
	CHECK_EQ(host_run(&h, 1, &c), SC(GENERIC, HOSTID_FORMAT));
	return host_va(&h, page);
}

/* What this host may do with namespace 1: read, write; the other namespace is not concerned. */
static void
may(bool read, bool write)
{
	const uint16_t r = read ? 0 : CONFLICT, w = write ? 0 : CONFLICT;
	struct host_cmd flush = {.dw = {nvme_cmd_flush, 1}};

	CHECK_EQ(RW(read, 1), r);
	CHECK_EQ(RW(verify, 1), r);
	CHECK_EQ(RW(compare, 1), r);
	CHECK_EQ(RW(write, 1), w);
	CHECK_EQ(RW(write_zeroes, 1), w);
	CHECK_EQ(host_run(&h, 1, &flush), w);
	if (!write) {
		CHECK_EQ(host_admin(&h, nvme_admin_format_nvm, 1, 0, 0, 0, 0), CONFLICT);
		CHECK_EQ(host_admin(&h, nvme_admin_sanitize_nvm, 0, 0, 0, 2, 0), CONFLICT);
		CHECK_EQ(host_admin(&h, nvme_admin_ns_mgmt, 1, 0, 0, 1, 0), CONFLICT);
	}
	CHECK_EQ(RW(write, 2), 0);
}

static void
identifiers(bool eds)
{
	const uint8_t *raw;
	const uint64_t *p;

	begin(eds);
	raw = host_va(&h, page);
	p = host_va(&h, page);
	CHECK_EQ(set_host(0xb), SC(GENERIC, CMD_SEQ_ERROR));
	CHECK_EQ(set_host(0xa), 0);
	CHECK_EQ(host_admin(&h, nvme_admin_get_features, 0, page, 0, 0x81, eds), 0);
	CHECK_EQ(p[0], 0xa);
	CHECK_EQ(host_admin(&h, nvme_admin_get_features, 0, page, 0, 0x81, !eds),
		SC(GENERIC, HOSTID_FORMAT));
	CHECK_EQ(host_admin(&h, nvme_admin_set_features, 0, 0, 0, 0x83, 1), INVALID);
	CHECK_EQ(host_admin(&h, nvme_admin_get_features, 0, 0, 0, 0x83, 0), 0);
	CHECK_EQ(h.result, 0);
	CHECK_EQ(host_admin(&h, nvme_admin_identify, 1, page, 0, 0, 0), 0);
	CHECK_EQ(raw[31], 0xfe);
	CHECK_EQ(host_admin(&h, nvme_admin_identify, 0, page, 0, 1, 0), 0);
	CHECK(raw[520] & 1 << 5 && raw[96] & 1);
	end();
}

static void
test_identifiers(void)
{
	identifiers(false);
	identifiers(true);
}

static void
registering(bool eds)
{
	const struct nvme_resv_status *s;

	begin(eds);
	CHECK_EQ(report()->regctl[0], 0);
	CHECK_EQ(REGISTER(1, 2, 1), CONFLICT); /* not registered */
	CHECK_EQ(REGISTER(1, 2, 2), CONFLICT);
	CHECK_EQ(REGISTER(0, 0x1111, 3), INVALID);
	CHECK_EQ(REGISTER(0, 0x1111, 3u << 30), INVALID); /* through power loss */
	CHECK_EQ(REGISTER(0, 0x1111, 0), 0);
	CHECK_EQ(REGISTER(0, 0x1111, 0), 0);
	CHECK_EQ(REGISTER(0, 0x2222, 0), CONFLICT);
	CHECK_EQ(REGISTER(0x3333, 0x2222, 2), CONFLICT);
	CHECK_EQ(REGISTER(0x1111, 0x2222, 2), 0);
	CHECK_EQ(REGISTER(0x9999, 0x3333, 2 | 8), 0); /* ignoring the key */
	come(0xb);
	CHECK_EQ(REGISTER(0, 0x4444, 0), 0);
	s = report();
	CHECK_EQ(s->gen, 4);
	CHECK_EQ(s->rtype, 0);
	CHECK_EQ(s->regctl[0], 2);
	if (eds) {
		CHECK(s->regctl_eds[0].rkey == 0x3333 && s->regctl_eds[1].rkey == 0x4444);
		CHECK(s->regctl_eds[0].cntlid == 0xffff && s->regctl_eds[1].cntlid == 1);
		CHECK(s->regctl_eds[1].hostid[0] == 0xb && s->regctl_eds[1].hostid[15] == 0xff);
	} else {
		CHECK(s->regctl_ds[0].rkey == 0x3333 && s->regctl_ds[1].rkey == 0x4444);
		CHECK(s->regctl_ds[0].cntlid == 0xffff && s->regctl_ds[1].cntlid == 1);
		CHECK(s->regctl_ds[0].hostid == 0xa && s->regctl_ds[1].hostid == 0xb);
	}
	CHECK_EQ(REGISTER(0x4444, 0, 1), 0);
	CHECK_EQ(report()->regctl[0], 1);
	/* a host without identifier: only until its reset */
	come(0);
	wide = false;
	CHECK_EQ(report()->regctl[0], 1);
	CHECK_EQ(REGISTER(0, 0x5555, 0), 0);
	CHECK_EQ(report()->regctl[0], 2);
	come(0);
	CHECK_EQ(report()->regctl[0], 1);
	end();
}

static void
test_register(void)
{
	registering(false);
	registering(true);
}

/* Who may do what, by type: the holder, another registrant, any other host. */
static void
test_types(void)
{
	static const struct {
		bool reg_read, reg_write, other_read;
	} want[] = {[1] = {true, false, true},
		[2] = {false, false, false},
		[3] = {true, true, true},
		[4] = {true, true, false},
		[5] = {true, true, true},
		[6] = {true, true, false}};
	uint32_t t;

	for (t = 1; t <= 6; t++) {
		begin(t % 2);
		CHECK_EQ(ACQUIRE(0x1111, 0, 0, t), CONFLICT); /* not registered */
		CHECK_EQ(REGISTER(0, 0x1111, 0), 0);
		CHECK_EQ(ACQUIRE(0x2222, 0, 0, t), CONFLICT);
		CHECK_EQ(ACQUIRE(0x1111, 0, 0, 0), INVALID);
		CHECK_EQ(ACQUIRE(0x1111, 0, 0, 7), INVALID);
		CHECK_EQ(ACQUIRE(0x1111, 0, 3, t), INVALID);
		CHECK_EQ(ACQUIRE(0x1111, 0, 0, t), 0);
		CHECK_EQ(ACQUIRE(0x1111, 0, 0, t), 0);
		CHECK_EQ(ACQUIRE(0x1111, 0, 0, 1 + t % 6), CONFLICT);
		CHECK_EQ(report()->rtype, t);
		may(true, true);
		come(0xb);
		may(want[t].other_read, false);
		CHECK_EQ(REGISTER(0, 0x2222, 0), 0);
		may(want[t].reg_read, want[t].reg_write);
		CHECK_EQ(ACQUIRE(0x2222, 0, 0, t), t >= 5 ? 0 : CONFLICT);
		come(0);
		may(want[t].other_read, false);
		come(0xa);
		may(true, true);
		CHECK_EQ(RELEASE(0x9999, 0, t), CONFLICT);
		CHECK_EQ(RELEASE(0x1111, 0, 1 + t % 6), INVALID);
		CHECK_EQ(RELEASE(0x1111, 2, t), INVALID);
		CHECK_EQ(RELEASE(0x1111, 0, t), 0);
		CHECK_EQ(RELEASE(0x1111, 0, t), 0);
		CHECK_EQ(report()->rtype, 0);
		come(0);
		may(true, true);
		end();
	}
}

/* The holder unregisters: that ends it, but where all registrants hold it. */
static void
test_holder_leaves(void)
{
	uint32_t t;

	for (t = 1; t <= 6; t++) {
		begin(false);
		CHECK_EQ(REGISTER(0, 0x1111, 0), 0);
		come(0xb);
		CHECK_EQ(REGISTER(0, 0x2222, 0), 0);
		CHECK_EQ(ACQUIRE(0x2222, 0, 0, t), 0);
		CHECK_EQ(REGISTER(0x2222, 0, 1), 0);
		CHECK_EQ(report()->rtype, t >= 5 ? t : 0);
		come(0xa);
		may(true, true);
		CHECK_EQ(REGISTER(0x1111, 0, 1), 0);
		CHECK_EQ(report()->rtype, 0);
		end();
	}
}

static void
test_preempt(void)
{
	const struct nvme_resv_status *s;
	uint32_t abort;

	for (abort = 1; abort <= 2; abort++) {
		begin(false);
		CHECK_EQ(REGISTER(0, 0x1111, 0), 0);
		CHECK_EQ(ACQUIRE(0x1111, 0, 0, 2), 0);
		come(0xb);
		CHECK_EQ(ACQUIRE(0x2222, 0x1111, abort, 1), CONFLICT);
		CHECK_EQ(REGISTER(0, 0x2222, 0), 0);
		CHECK_EQ(ACQUIRE(0x2222, 0, abort, 1), INVALID);
		CHECK_EQ(ACQUIRE(0x2222, 0x7777, abort, 1), CONFLICT);
		may(false, false);
		CHECK_EQ(ACQUIRE(0x2222, 0x1111, abort, 1), 0);
		may(true, true);
		s = report();
		CHECK_EQ(s->rtype, 1);
		CHECK_EQ(s->regctl[0], 1);
		CHECK_EQ(s->regctl_ds[0].rcsts, 1);
		/* of itself: another type */
		CHECK_EQ(ACQUIRE(0x2222, 0x2222, abort, 6), 0);
		CHECK_EQ(report()->rtype, 6);
		come(0xa);
		may(false, false);
		/* all registrants hold it: key 0 is all the others */
		CHECK_EQ(REGISTER(0, 0x1111, 0), 0);
		may(true, true);
		CHECK_EQ(ACQUIRE(0x1111, 0, abort, 1), 0);
		CHECK_EQ(report()->rtype, 1);
		CHECK_EQ(report()->regctl[0], 1);
		/* registrants without a reservation, by key */
		come(0xb);
		CHECK_EQ(REGISTER(0, 0x2222, 0), 0);
		come(0xa);
		CHECK_EQ(RELEASE(0x1111, 0, 1), 0);
		CHECK_EQ(ACQUIRE(0x1111, 0x2222, abort, 1), 0);
		CHECK_EQ(report()->rtype, 0);
		CHECK_EQ(report()->regctl[0], 1);
		/* clear */
		CHECK_EQ(ACQUIRE(0x1111, 0, 0, 2), 0);
		CHECK_EQ(RELEASE(0x1111, 1, 0), 0);
		CHECK(report()->rtype == 0 && report()->regctl[0] == 0);
		end();
	}
}

/* More hosts than there is room for, and a report that is shorter than they are. */
static void
test_many(void)
{
	struct host_cmd c = {.dw = {nvme_cmd_resv_report, 1}};
	uint64_t i;

	begin(true);
	CHECK_EQ(REGISTER(0, 0xa, 0), 0);
	for (i = 1; i < 34; i++) {
		come(0x100 + i);
		CHECK_EQ(REGISTER(0, i, 0), i < 32 ? 0 : SC(GENERIC, INTERNAL));
	}
	CHECK_EQ(report()->regctl[0], 32);
	memset(host_va(&h, page), 0xa5, 4096);
	c.dw[6] = (uint32_t)page;
	c.dw[7] = (uint32_t)(page >> 32);
	c.dw[10] = 3;
	c.dw[11] = 1;
	CHECK_EQ(host_run(&h, 1, &c), 0);
	CHECK_EQ(((uint8_t *)host_va(&h, page))[15], 0);
	CHECK_EQ(((uint8_t *)host_va(&h, page))[16], 0xa5);
	c.dw[10] = UINT32_MAX;
	CHECK_EQ(host_run(&h, 1, &c), INVALID);
	end();
}

int
main(int argc, char **argv)
{
	(void)argc;
	REQUIRE(plx_eal_init(1, argv) >= 0);
	RUN(test_identifiers);
	RUN(test_register);
	RUN(test_types);
	RUN(test_holder_leaves);
	RUN(test_preempt);
	RUN(test_many);
	plx_eal_cleanup();
	return TEST_RESULT();
}
