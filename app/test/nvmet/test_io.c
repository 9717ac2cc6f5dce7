/* SPDX-License-Identifier: BSD-3-Clause */
/* I/O commands, data pointers, full queues, shadow doorbells. */
#include <unistd.h>

#include "nvmet_host.h"
#include "plx_eal.h"
#include "plx_test.h"

static struct plx_nvmet *ctrl;
static struct host h;
static uint64_t buf, list;

#define BAD_PRP SC(GENERIC, PRP_INVALID_OFFSET)
#define NO_MEM SC(GENERIC, DATA_XFER_ERROR)

static void
up(struct plx_nvmet_conf *conf, const char *dev1, const char *dev2)
{
	ctrl = host_serve(conf, dev2 != NULL ? 2 : 1, dev1, dev2);
	host_open(&h, ctrl);
	CHECK_EQ(host_enable(&h, 32), 1);
	host_queue(&h, 1, 64);
	buf = host_alloc(&h, 4 << 20);
	list = host_alloc(&h, 64 << 10);
}

static void
down(void)
{
	host_close(&h);
	host_unserve(ctrl);
}

static void
fill(uint64_t iova, size_t len, unsigned int seed)
{
	uint8_t *p = host_va(&h, iova);
	size_t i;

	for (i = 0; i < len; i++)
		p[i] = (uint8_t)(i * 7 + i / 512 + seed);
}

static bool
same(uint64_t a, uint64_t b, size_t len)
{
	return memcmp(host_va(&h, a), host_va(&h, b), len) == 0;
}

#define RW(opc, nsid, slba, nblk, prp1, prp2) \
	host_rw(&h, 1, nvme_cmd_##opc, nsid, slba, nblk, prp1, prp2)

static void
test_namespaces(void)
{
	up(NULL, "ram:size=4M", "ram:size=8M,block=4096");
	fill(buf, 8192, 1);
	CHECK_EQ(RW(write, 1, 3, 8, buf, 0), 0);
	CHECK_EQ(RW(write, 2, 3, 1, buf + 4096, 0), 0);
	CHECK_EQ(RW(read, 1, 3, 8, buf + 16384, 0), 0);
	CHECK_EQ(RW(read, 2, 3, 1, buf + 20480, 0), 0);
	CHECK(same(buf, buf + 16384, 8192));
	/* ends */
	CHECK_EQ(RW(read, 1, 8191, 1, buf, 0), 0);
	CHECK_EQ(RW(read, 1, 8192, 1, buf, 0), SC(GENERIC, LBA_RANGE));
	CHECK_EQ(RW(read, 1, 8190, 3, buf, 0), SC(GENERIC, LBA_RANGE));
	CHECK_EQ(RW(read, 1, UINT64_MAX, 1, buf, 0), SC(GENERIC, LBA_RANGE));
	CHECK_EQ(RW(read, 2, 2048, 1, buf, 0), SC(GENERIC, LBA_RANGE));
	CHECK_EQ(RW(read, 0, 0, 1, buf, 0), SC(GENERIC, INVALID_NS));
	CHECK_EQ(RW(read, 3, 0, 1, buf, 0), SC(GENERIC, INVALID_NS));
	CHECK_EQ(RW(read, NVME_NSID_ALL, 0, 1, buf, 0), SC(GENERIC, INVALID_NS));
	down();
}

/* In one go with other namespaces and with bad ones: each gets its own completion. */
static void
test_mixed_burst(void)
{
	uint16_t want[65536];
	struct host_cqe cqe;
	int i, k;

	up(NULL, "ram:size=4M", "ram:size=8M,block=4096");
	for (k = 0; k < 8; k++) {
		memset(want, 0xff, sizeof(want));
		for (i = 0; i < 63; i++) {
			struct host_cmd c = host_rw_cmd(i % 5 == 0 ? nvme_cmd_write : nvme_cmd_read,
				1 + (unsigned)i % 3, (unsigned)i, 1, buf + 4096u * (unsigned)i, 0);

			want[host_put(&h, 1, &c)] = i % 3 == 2 ? SC(GENERIC, INVALID_NS) : 0;
		}
		host_ring(&h, 1);
		for (i = 0; i < 63; i++) {
			REQUIRE(host_get(&h, 1, &cqe));
			CHECK_EQ(cqe.dw[3] >> 17, want[(uint16_t)cqe.dw[3]]);
			want[(uint16_t)cqe.dw[3]] = 0xffff;
		}
		CHECK(host_silent(&h, 1));
	}
	down();
}

/* One write and read through a PRP list laid out as in 4.3, at the given place. */
static uint16_t
through_list(uint32_t bytes, uint32_t first_off, uint64_t list_at)
{
	uint64_t at = list_at, data = buf + 4096, prp1 = data + first_off;
	uint32_t left = bytes - (4096 - first_off);
	uint16_t rc;

	fill(prp1, 4096 - first_off, 9);
	while (left != 0) {
		uint64_t *slot = host_va(&h, at);

		if (at % 4096 == 4088 && left > 4096) {
			*slot = at = (at & ~UINT64_C(4095)) + 8192;
			continue;
		}
		data += 8192; /* scattered */
		*slot = data;
		fill(data, left < 4096 ? left : 4096, left);
		left -= left < 4096 ? left : 4096;
		at += 8;
	}
	rc = RW(write, 1, 16, bytes / 512, prp1, list_at);
	if (rc == 0)
		rc = RW(compare, 1, 16, bytes / 512, prp1, list_at);
	return rc;
}

static void
test_prp(void)
{
	uint64_t *e;

	up(NULL, "ram:size=4M", NULL);
	e = host_va(&h, list);
	/* one page, wherever it begins */
	CHECK_EQ(RW(write, 1, 0, 1, buf + 4096 - 512, 0), 0);
	CHECK_EQ(RW(write, 1, 0, 1, buf + 2, 0), BAD_PRP);
	CHECK_EQ(RW(write, 1, 0, 1, buf + 1, 0), BAD_PRP);
	CHECK_EQ(RW(write, 1, 0, 1, buf + 4, 0), 0);
	/* two: PRP2 has no offset */
	fill(buf, 8192, 3);
	CHECK_EQ(RW(write, 1, 0, 16, buf, buf + 4096), 0);
	CHECK_EQ(RW(read, 1, 0, 16, buf + 65536, buf + 69632), 0);
	CHECK(same(buf, buf + 65536, 8192));
	CHECK_EQ(RW(read, 1, 0, 8, buf + 65536 + 512, buf + 131072), 0);
	CHECK(same(buf, buf + 65536 + 512, 3584));
	CHECK(same(buf + 3584, buf + 131072, 512));
	CHECK_EQ(RW(read, 1, 0, 8, buf + 512, buf + 4096 + 8), BAD_PRP);
	CHECK_EQ(RW(read, 1, 0, 8, buf + 4, buf + 4096), 0);
	/* two that follow each other, and whose memory doesn't */
	fill(buf, 8192, 4);
	CHECK_EQ(RW(write, 1, 0, 16, buf, buf + 4096), 0);
	CHECK_EQ(RW(read, 1, 0, 8, buf + 65536 + 512, buf + 69632), 0);
	CHECK(same(buf, buf + 65536 + 512, 4096));
	CHECK_EQ(RW(read, 1, 0, 8, buf + 65536 + 512, buf + 69632 + 512), BAD_PRP);
	CHECK_EQ(RW(write, 1, 0, 16, HOST_IOVA + HOST_MEM - 4096, HOST_IOVA + HOST_MEM), NO_MEM);
	CHECK_EQ(wire_map(h.w, HOST_IOVA + HOST_MEM, 65536, h.fd, buf - HOST_IOVA, true), 0);
	fill(HOST_IOVA + HOST_MEM - 4096, 4096, 77);
	CHECK_EQ(RW(write, 1, 0, 16, HOST_IOVA + HOST_MEM - 4096, HOST_IOVA + HOST_MEM), 0);
	CHECK_EQ(RW(read, 1, 0, 16, buf + 65536, buf + 69632), 0);
	CHECK(same(HOST_IOVA + HOST_MEM - 4096, buf + 65536, 4096));
	CHECK(same(buf, buf + 69632, 4096));
	CHECK_EQ(wire_unmap(h.w, HOST_IOVA + HOST_MEM, 65536), 0);
	/* lists */
	CHECK_EQ(through_list(12288, 0, list), 0);
	CHECK_EQ(through_list(12288, 1024, list), 0);
	CHECK_EQ(through_list(12288, 0, list + 512), 0);           /* begins inside a page */
	CHECK_EQ(through_list(12288, 0, list + 4080), 0);          /* 2 entries fill it exactly */
	CHECK_EQ(through_list(16384, 0, list + 4080), 0);          /* 3: entry and pointer */
	CHECK_EQ(through_list(16384, 0, list + 4088), 0);          /* nothing but a pointer */
	CHECK_EQ(through_list(1 << 20, 0, list), 0);               /* 255 entries */
	CHECK_EQ(through_list(1 << 20, 512, list + 3072), 0);      /* 128 slots: chained */
	CHECK_EQ(RW(write, 1, 0, 24, buf, list + 36868), BAD_PRP); /* not a qword's */
	e[0] = buf + 4096;
	e[1] = buf + 8192 + 16;
	CHECK_EQ(RW(write, 1, 0, 24, buf, list), BAD_PRP);
	e[511] = list + 4096 + 8; /* a pointer with an offset */
	CHECK_EQ(RW(write, 1, 0, 32, buf, list + 4088), BAD_PRP);
	/* memory that isn't */
	CHECK_EQ(RW(write, 1, 0, 1, 0x1000, 0), NO_MEM);
	CHECK_EQ(RW(write, 1, 0, 16, buf, HOST_IOVA + HOST_MEM), NO_MEM);
	CHECK_EQ(RW(write, 1, 0, 24, buf, 0x7000), NO_MEM);
	CHECK_EQ(RW(write, 1, 0, 24, buf, UINT64_MAX - 4095), NO_MEM);
	e[0] = 0;
	CHECK_EQ(RW(write, 1, 0, 24, buf, list), NO_MEM);
	e[511] = list + 4088 - 4088; /* a list that bites its tail: bounded by the length */
	e[0] = e[1] = e[2] = buf;
	CHECK_EQ(RW(write, 1, 0, 40, buf, list + 4088), 0);
	/* MDTS */
	CHECK_EQ(RW(write, 1, 0, 2049, buf, list), SC(GENERIC, INVALID_FIELD));
	down();
}

static struct nvme_sgl {
	uint64_t addr;
	uint32_t len;
	uint8_t rsvd[3], type;
} __attribute__((packed)) * sgl;

static uint16_t
sgl_cmd(uint8_t opc, uint32_t nblk, uint64_t addr, uint32_t len, uint8_t type)
{
	struct host_cmd c = host_rw_cmd(opc, 1, 100, nblk, addr, 0);

	c.dw[0] |= 0x40 << 8;
	c.dw[8] = len;
	c.dw[9] = (uint32_t)type << 24;
	return host_run(&h, 1, &c);
}

static void
desc(unsigned int i, uint64_t addr, uint32_t len, uint8_t type)
{
	sgl[i] = (struct nvme_sgl){.addr = addr, .len = len, .type = type};
}

static void
test_sgl(void)
{
	uint64_t seg2;
	unsigned int i;

	up(NULL, "ram:size=4M", NULL);
	sgl = host_va(&h, list);
	seg2 = list + 8192;
	fill(buf, 65536, 5);
#define W(nblk, addr, len, type) sgl_cmd(nvme_cmd_write, nblk, addr, len, type)
#define R(nblk, addr, len, type) sgl_cmd(nvme_cmd_read, nblk, addr, len, type)
	CHECK_EQ(W(8, buf + 3, 4096, 0), 0); /* any alignment */
	CHECK_EQ(R(8, buf + (1 << 20) + 1, 4096, 0), 0);
	CHECK(same(buf + 3, buf + (1 << 20) + 1, 4096));
	CHECK_EQ(W(8, buf, 4095, 0), SC(GENERIC, SGL_INVALID_DATA));
	CHECK_EQ(W(8, buf, 4097, 0), SC(GENERIC, SGL_INVALID_DATA));
	CHECK_EQ(W(8, buf, 4096, 0x10), SC(GENERIC, SGL_INVALID_TYPE)); /* bit bucket */
	CHECK_EQ(W(8, buf, 4096, 0x40), SC(GENERIC, SGL_INVALID_TYPE));
	CHECK_EQ(W(8, buf, 4096, 0x01), SC(GENERIC, SGL_INVALID_TYPE)); /* offset */
	CHECK_EQ(W(8, 0x100, 4096, 0), NO_MEM);
	/* a last segment: pieces of any length */
	desc(0, buf + 1, 1, 0);
	desc(1, buf + 4097, 0, 0);
	desc(2, buf + 12289, 1000, 0);
	desc(3, buf + 2, 3095, 0);
	CHECK_EQ(W(8, list, 64, 0x30), 0);
	CHECK_EQ(R(8, buf + (2 << 20), 4096, 0), 0);
	CHECK(same(buf + 1, buf + (2 << 20), 1));
	CHECK(same(buf + 12289, buf + (2 << 20) + 1, 1000));
	CHECK(same(buf + 2, buf + (2 << 20) + 1001, 3095));
	CHECK_EQ(W(8, list, 63, 0x30), SC(GENERIC, SGL_INVALID_LAST));
	CHECK_EQ(W(8, list, 0, 0x30), SC(GENERIC, SGL_INVALID_LAST));
	CHECK_EQ(W(8, list + 4, 64, 0x30), SC(GENERIC, SGL_INVALID_LAST));
	CHECK_EQ(W(8, list, 48, 0x30), SC(GENERIC, SGL_INVALID_DATA));
	CHECK_EQ(W(8, 0x8000, 64, 0x30), NO_MEM);
	desc(2, seg2, 16, 0x30); /* a pointer in a last segment */
	CHECK_EQ(W(8, list, 64, 0x30), SC(GENERIC, SGL_INVALID_LAST));
	/* segment, segment, last */
	desc(0, buf, 512, 0);
	desc(1, list + 4096, 32, 0x20);
	desc(256, buf + 1024, 1024, 0);
	desc(257, seg2, 32, 0x30);
	desc(512, buf + 4096, 512, 0);
	desc(513, buf + 8192, 2048, 0);
	CHECK_EQ(W(8, list, 32, 0x20), 0);
	CHECK_EQ(R(8, list, 32, 0x20), 0);
	CHECK_EQ(W(8, list, 16, 0x20), SC(GENERIC, SGL_INVALID_LAST)); /* no pointer at its end */
	desc(0, seg2, 32, 0x30);                                       /* a pointer in its midst */
	CHECK_EQ(W(8, list, 32, 0x20), SC(GENERIC, SGL_INVALID_LAST));
	/* for ever */
	desc(0, buf, 0, 0);
	desc(1, list, 32, 0x20);
	CHECK_EQ(W(8, list, 32, 0x20), SC(GENERIC, SGL_INVALID_COUNT));
	CHECK_EQ(W(8, list, 0xfffffff0, 0x30), SC(GENERIC, SGL_INVALID_COUNT));
	/* a thousand pieces that don't touch, and one too many */
	for (i = 0; i < 2048; i++)
		desc(i, buf + i * 1024, 512, 0);
	CHECK_EQ(W(1024, list, 1024 * 16, 0x30), 0);
	CHECK_EQ(R(1024, list, 1024 * 16, 0x30), 0);
	CHECK_EQ(W(1025, list, 1025 * 16, 0x30), SC(GENERIC, SGL_INVALID_COUNT));
	/* PSDT 2 and 3: there is no metadata */
	for (i = 2; i < 4; i++) {
		struct host_cmd c = host_rw_cmd(nvme_cmd_read, 1, 0, 1, buf, 0);

		c.dw[0] |= i << 14;
		CHECK_EQ(host_run(&h, 1, &c), SC(GENERIC, INVALID_FIELD));
	}
	down();
}

/* One descriptor across two mappings that follow each other for the client, but not in its file. */
static void
test_sgl_mappings(void)
{
	const uint64_t at = HOST_IOVA + HOST_MEM;
	uint64_t off, back;

	up(NULL, "ram:size=4M", NULL);
	off = buf - HOST_IOVA;
	back = buf + 65536;
	fill(buf, 65536, 6);
	CHECK_EQ(wire_map(h.w, at, 4096, h.fd, off + 5 * 4096, true), 0);
	CHECK_EQ(wire_map(h.w, at + 4096, 4096, h.fd, off + 3 * 4096, true), 0);
	CHECK_EQ(W(8, at + 1000, 4096, 0), 0);
	CHECK_EQ(R(8, back, 4096, 0), 0);
	CHECK(same(buf + 5 * 4096 + 1000, back, 3096));
	CHECK(same(buf + 3 * 4096, back + 3096, 1000));
	fill(back, 4096, 7);
	CHECK_EQ(W(8, back, 4096, 0), 0);
	CHECK_EQ(R(8, at + 1000, 4096, 0), 0);
	CHECK(same(buf + 5 * 4096 + 1000, back, 3096));
	CHECK(same(buf + 3 * 4096, back + 3096, 1000));
	CHECK_EQ(W(16, at + 1000, 8192, 0), NO_MEM); /* and beyond them */
	CHECK_EQ(R(8, at + 4097, 4096, 0), NO_MEM);
	down();
}

static uint16_t
dsm(uint32_t n, uint32_t attr)
{
	struct host_cmd c = host_rw_cmd(nvme_cmd_dsm, 1, 0, 1, list, 0);

	c.dw[10] = n - 1;
	c.dw[11] = attr;
	c.dw[12] = 0;
	return host_run(&h, 1, &c);
}

static void
test_others(void)
{
	struct host_cmd c;
	struct nvme_dsm_range *r;
	const uint8_t *p;
	unsigned int i;

	up(NULL, "ram:size=4M", NULL);
	p = host_va(&h, buf);
	fill(buf, 4096, 1);
	CHECK_EQ(RW(write, 1, 0, 8, buf, 0), 0);
	CHECK_EQ(RW(compare, 1, 0, 8, buf, 0), 0);
	((uint8_t *)host_va(&h, buf))[4095] ^= 1;
	CHECK_EQ(RW(compare, 1, 0, 8, buf, 0), SC(MEDIA, COMPARE_FAILED));
	CHECK_EQ(RW(verify, 1, 0, 8, 0, 0), 0);
	CHECK_EQ(RW(verify, 1, 8190, 8, 0, 0), SC(GENERIC, LBA_RANGE));
	CHECK_EQ(RW(write_zeroes, 1, 2, 3, 0, 0), 0);
	CHECK_EQ(RW(read, 1, 0, 8, buf, 0), 0);
	CHECK(p[1023] != 0 && p[1024] == 0 && p[2559] == 0 && p[2560] != 0);
	c = host_rw_cmd(nvme_cmd_write_zeroes, 1, 0, 8, 0, 0);
	c.dw[12] |= 1 << 25;
	CHECK_EQ(host_run(&h, 1, &c), 0);
	CHECK_EQ(RW(read, 1, 0, 8, buf, 0), 0);
	CHECK(p[0] == 0 && p[4095] == 0);
	CHECK_EQ(RW(write_zeroes, 1, 0, 65536, 0, 0), SC(GENERIC, LBA_RANGE));
	c = host_rw_cmd(nvme_cmd_write, 1, 0, 8, buf, 0);
	c.dw[12] |= 1 << 30; /* FUA */
	CHECK_EQ(host_run(&h, 1, &c), 0);
	c = (struct host_cmd){.dw = {nvme_cmd_flush, 1}};
	CHECK_EQ(host_run(&h, 1, &c), 0);
	c.dw[1] = NVME_NSID_ALL;
	CHECK_EQ(host_run(&h, 1, &c), SC(GENERIC, INVALID_NS));
	CHECK_EQ(RW(write_uncor, 1, 0, 1, buf, 0), SC(GENERIC, INVALID_OPCODE));
	c = host_rw_cmd(nvme_cmd_read, 1, 0, 8, buf, 0);
	c.dw[0] |= 1 << 8; /* fused */
	CHECK_EQ(host_run(&h, 1, &c), SC(GENERIC, INVALID_FIELD));
	/* dataset management */
	r = host_va(&h, list);
	for (i = 0; i < 256; i++)
		r[i] = (struct nvme_dsm_range){.nlb = i % 3, .slba = i * 2};
	CHECK_EQ(dsm(256, 4), 0);
	CHECK_EQ(dsm(1, 4), 0); /* empty */
	CHECK_EQ(dsm(2, 0), 0); /* a hint */
	r[255].slba = 8191;
	r[255].nlb = 2;
	CHECK_EQ(dsm(256, 4), SC(GENERIC, LBA_RANGE));
	CHECK_EQ(dsm(255, 4), 0);
	r[0].slba = UINT64_MAX;
	r[0].nlb = 2;
	CHECK_EQ(dsm(1, 4), SC(GENERIC, LBA_RANGE));
	down();
}

/* A completion queue smaller than the load never overflows. */
static void
test_cq_full(void)
{
	struct host_ring *r;
	uint64_t cq, sq;
	const struct host_cqe *e;
	int i, n, total = 0;

	up(NULL, "ram:size=4M", NULL);
	cq = host_alloc(&h, 4096);
	sq = host_alloc(&h, 4096);
	CHECK_EQ(host_admin(&h, nvme_admin_create_cq, 0, cq, 0, 2 | 3 << 16, 1), 0);
	CHECK_EQ(host_admin(&h, nvme_admin_create_sq, 0, sq, 0, 2 | 31 << 16, 1 | 2 << 16), 0);
	r = &h.q[2];
	*r = (struct host_ring){
		.sq_iova = sq, .cq_iova = cq, .sq_size = 32, .cq_size = 4, .phase = 1};
	for (i = 0; i < 20; i++) {
		struct host_cmd c = host_rw_cmd(nvme_cmd_read, 1, (unsigned)i, 1, buf, 0);

		host_put(&h, 2, &c);
	}
	host_ring(&h, 2);
	e = host_va(&h, cq);
	while (total < 20) {
		struct host_cqe cqe;

		for (i = 0; i < 2000; i++)
			plx_nvmet_poll(ctrl);
		/* with 4 entries, 3 may be there, if so many are left */
		for (n = 0; n < 4; n++)
			if ((e[(r->head + n) % 4].dw[3] >> 16 & 1) !=
				(r->head + n >= 4 ? r->phase ^ 1 : r->phase))
				break;
		CHECK_EQ(n, 20 - total < 3 ? 20 - total : 3);
		REQUIRE(host_get(&h, 2, &cqe));
		CHECK_EQ(cqe.dw[3] >> 17, 0);
		CHECK_EQ(cqe.dw[2] >> 16, 2);
		total++;
	}
	CHECK(host_silent(&h, 2));
	down();
}

/* A head just beyond the ring, when what was posted wraps. */
static void
test_cq_head(void)
{
	struct plx_nvmet_stats before, after;
	struct host_ring *r = &h.q[2];
	struct host_cqe cqe;
	int i;

	up(NULL, "ram:size=4M", NULL);
	host_queue(&h, 2, 8);
	for (i = 0; i < 6; i++)
		CHECK_EQ(host_rw(&h, 2, nvme_cmd_read, 1, 0, 1, buf, 0), 0);
	for (i = 0; i < 3; i++) {
		struct host_cmd c = host_rw_cmd(nvme_cmd_read, 1, 0, 1, buf, 0);

		host_put(&h, 2, &c);
	}
	host_ring(&h, 2);
	CHECK(host_silent(&h, 1));
	plx_nvmet_stats_get(ctrl, &before);
	wire_doorbells(h.w)[(128 + 32) / 4] = 8;
	CHECK(host_silent(&h, 1));
	plx_nvmet_stats_get(ctrl, &after);
	CHECK_EQ(after.protocol_errors, before.protocol_errors + 1);
	CHECK_EQ(after.commands, 9);
	CHECK_EQ(after.errors, 0);
	CHECK_EQ(after.read_blocks, 9);
	for (i = 0; i < 3; i++)
		CHECK(host_get(&h, 2, &cqe));
	CHECK_EQ(r->head, 1);
	CHECK_EQ(host_rw(&h, 2, nvme_cmd_read, 1, 0, 1, buf, 0), 0);
	down();
}

/* A queue is deleted under load: every command that was fetched completes before the delete. */
static void
test_delete_busy(void)
{
	struct host_cqe cqe;
	int i, n = 0;

	up(NULL, "ram:size=4M,delay=3000", NULL);
	for (i = 0; i < 30; i++) {
		struct host_cmd c = host_rw_cmd(nvme_cmd_read, 1, (unsigned)i, 1, buf, 0);

		host_put(&h, 1, &c);
	}
	host_ring(&h, 1);
	plx_nvmet_poll(ctrl);
	CHECK_EQ(host_admin(&h, nvme_admin_delete_sq, 0, 0, 0, 1, 0), 0);
	while (host_take(&h, 1, &cqe)) /* they were first */
		n++;
	CHECK_EQ(n, 30);
	CHECK_EQ(host_admin(&h, nvme_admin_delete_cq, 0, 0, 0, 1, 0), 0);
	down();
}

/* A slow command ends at once, with its status, and only once. */
static void
test_abort(void)
{
	struct host_cmd c = host_rw_cmd(nvme_cmd_read, 1, 0, 1, buf, 0);
	struct host_cqe cqe;
	uint16_t cid[3];
	int i;

	up(NULL, "ram:size=4M,delay=10000000", "null:size=4M");
	host_queue(&h, 2, 16);
	for (i = 0; i < 3; i++)
		cid[i] = host_put(&h, 2, &c);
	host_ring(&h, 2);
	for (i = 0; i < 100; i++)
		plx_nvmet_poll(ctrl);
	for (i = 2; i >= 0; i--) { /* the last first: each leaves its hole */
		uint32_t which = 2 | (uint32_t)cid[i] << 16;

		CHECK_EQ(host_admin(&h, nvme_admin_abort_cmd, 0, 0, 0, which, 0), 0);
		CHECK_EQ(h.result, 0);
		REQUIRE(host_get(&h, 2, &cqe));
		CHECK_EQ((uint16_t)cqe.dw[3], cid[i]);
		CHECK_EQ(cqe.dw[3] >> 17, SC_RETRY(GENERIC, ABORT_REQ));
		CHECK_EQ(host_admin(&h, nvme_admin_abort_cmd, 0, 0, 0, which, 0), 0);
		CHECK_EQ(h.result, 1); /* not there any more */
	}
	CHECK(host_silent(&h, 2));
	down();
}

/* More commands than the device's queue takes: the rest waits, and can be aborted there. */
static void
test_parked(void)
{
	struct host_cmd c;
	struct host_cqe cqe;
	uint16_t cid = 0, first = 0;
	int i, q, got[4] = {0}, aborted = 0;

	up(NULL, "ram:size=4M,delay=300000", NULL);
	host_queue(&h, 2, 1024);
	host_queue(&h, 3, 1024);
	for (q = 2; q < 4; q++) {
		for (i = 0; i < 1000; i++) {
			c = host_rw_cmd(nvme_cmd_read, 1, 0, 1, buf, 0);
			cid = host_put(&h, (unsigned)q, &c);
			if (i == 0)
				first = cid;
		}
		host_ring(&h, (unsigned)q);
	}
	for (i = 0; i < 100; i++)
		plx_nvmet_poll(ctrl);
	CHECK_EQ(host_admin(&h, nvme_admin_abort_cmd, 0, 0, 0, 3 | (uint32_t)cid << 16, 0), 0);
	CHECK_EQ(h.result, 0);
	CHECK_EQ(host_admin(&h, nvme_admin_abort_cmd, 0, 0, 0, 2 | (uint32_t)first << 16, 0), 0);
	CHECK_EQ(h.result, 0);                           /* with the device */
	c = host_rw_cmd(nvme_cmd_read, 1, 0, 1, buf, 0); /* queues up behind */
	host_put(&h, 3, &c);
	host_ring(&h, 3);
	for (i = 0; i < 2001; i++) {
		q = i == 2000 ? 3 : i % 2 + 2;
		REQUIRE(host_get(&h, (unsigned)q, &cqe));
		got[q]++;
		if (cqe.dw[3] >> 17 == SC_RETRY(GENERIC, ABORT_REQ)) {
			CHECK_EQ((uint16_t)cqe.dw[3], q == 3 ? cid : first);
			aborted++;
		} else {
			CHECK_EQ(cqe.dw[3] >> 17, 0);
		}
	}
	CHECK_EQ(aborted, 2);
	CHECK(host_silent(&h, 2) && host_silent(&h, 3));
	/* a reset with some parked */
	for (i = 0; i < 1000; i++) {
		host_put(&h, 2, &c);
		host_put(&h, 3, &c);
	}
	host_ring(&h, 2);
	host_ring(&h, 3);
	for (i = 0; i < 100; i++)
		plx_nvmet_poll(ctrl);
	host_set(&h, NVME_REG_CC, 0);
	CHECK_EQ(host_wait_csts(&h, 1, 0), 0);
	CHECK(!host_take(&h, 2, &cqe) && !host_take(&h, 3, &cqe)); /* dropped, not completed */
	CHECK_EQ(host_enable(&h, 16), 1);
	host_queue(&h, 1, 64);
	CHECK_EQ(RW(read, 1, 0, 1, buf, 0), 0);
	down();
}

static void
test_shadow_doorbells(void)
{
	volatile uint32_t *db;
	struct host_cqe cqe;
	uint64_t sh;
	int i;

	up(NULL, "ram:size=4M", NULL);
	db = wire_doorbells(h.w);
	sh = host_alloc(&h, 8192);
#define DBBUF(a, b) host_admin(&h, nvme_admin_dbbuf, 0, a, b, 0, 0)
	CHECK_EQ(DBBUF(sh, sh), SC(GENERIC, INVALID_FIELD));
	CHECK_EQ(DBBUF(sh + 8, sh + 4096), BAD_PRP);
	CHECK_EQ(DBBUF(sh, 0x4000), NO_MEM);
	CHECK_EQ(RW(read, 1, 0, 1, buf, 0), 0);
	CHECK_EQ(DBBUF(sh, sh + 4096), 0);
	h.shadow = host_va(&h, sh);
	h.evidx = host_va(&h, sh + 4096);
	/* a queue that was there goes on where it was */
	CHECK_EQ(h.shadow[64 / 4], 1);
	for (i = 0; i < 200; i++) {
		uint16_t old = h.q[1].tail, ev, now;
		struct host_cmd c = host_rw_cmd(nvme_cmd_read, 1, 0, 1, buf, 0);

		ev = (uint16_t)h.evidx[64 / 4];
		host_put(&h, 1, &c);
		now = h.q[1].tail;
		/* need not be rung, but when the ring wraps */
		CHECK((uint16_t)(now - ev - 1) >= (uint16_t)(now - old) || now < old);
		host_ring(&h, 1);
		REQUIRE(host_get(&h, 1, &cqe));
	}
	host_queue(&h, 2, 8); /* one that comes later */
	for (i = 0; i < 30; i++)
		CHECK_EQ(host_rw(&h, 2, nvme_cmd_read, 1, 0, 1, buf, 0), 0);
	db[64 / 4] = 77; /* the register means nothing now */
	CHECK_EQ(RW(read, 1, 0, 1, buf, 0), 0);
	/* nonsense in the shadow */
	h.shadow[64 / 4] = 0xffffffff;
	CHECK(host_silent(&h, 1));
	CHECK_EQ(RW(read, 1, 0, 1, buf, 0), 0);
	/* gone with the reset */
	host_set(&h, NVME_REG_CC, 0);
	h.shadow = NULL;
	CHECK_EQ(host_enable(&h, 16), 1);
	host_queue(&h, 1, 8);
	CHECK_EQ(RW(read, 1, 0, 1, buf, 0), 0);
	down();
}

/* Device errors reach the host. */
static void
test_errors(void)
{
	up(NULL, "ram:size=4M,error_read=5,error_write=6", NULL);
	CHECK_EQ(RW(read, 1, 5, 1, buf, 0), SC_RETRY(MEDIA, READ_ERROR));
	CHECK_EQ(RW(write, 1, 6, 1, buf, 0), SC_RETRY(MEDIA, WRITE_FAULT));
	CHECK_EQ(RW(write, 1, 5, 1, buf, 0), 0);
	CHECK_EQ(RW(read, 1, 6, 1, buf, 0), 0);
	down();
}

int
main(int argc, char **argv)
{
	(void)argc;
	REQUIRE(plx_eal_init(1, argv) >= 0);
	RUN(test_namespaces);
	RUN(test_mixed_burst);
	RUN(test_prp);
	RUN(test_sgl);
	RUN(test_sgl_mappings);
	RUN(test_others);
	RUN(test_cq_full);
	RUN(test_cq_head);
	RUN(test_delete_busy);
	RUN(test_abort);
	RUN(test_parked);
	RUN(test_shadow_doorbells);
	RUN(test_errors);
	plx_eal_cleanup();
	return TEST_RESULT();
}
