/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A controller for fuzz_nvme.c, behind a VFIO device of its own: the commands of the tests' fake
 * one, bent by the input. It writes where it was allowed to and nowhere else: memory of a queue
 * until it said that this is deleted, or until it is disabled, and data of commands that it has not
 * answered. What the driver must not free, or give back, is that.
 */
#include <errno.h>
#include <string.h>

#include <linux/pci_regs.h>
#include <linux/vfio.h>

#include <rte_common.h>

#include "fake.h"
#include "fuzz_blk.h"
#include "plx_mem.h"
#include "plx_vfio.h"

#define BAR 0x3000u
#define DB 0x1000u
#define OWED 256u

static struct fake f;
static struct plx_vfio_dev vd;
static _Alignas(4096) uint8_t bar[BAR], cmb[FAKE_CMB];
static uint8_t cfg[256], *disks[FAKE_NS];
static bool there;     /* it can reach memory */
static bool slow_regs; /* register accesses take a while */
static bool wild;      /* it does something at each look */
static struct owed {
	unsigned int qid;
	struct nvme_sqe s;
} owed[OWED];
static unsigned int nowed;
static struct {
	bool busy, write;
	unsigned int region;
	uint64_t off;
	void *buf;
	uint32_t len;
	uint8_t data[8];
} op;

int __wrap_plx_vfio_user_open(
	const char *path, const struct plx_vfio_user_conf *conf, struct plx_vfio_dev **dev);

/* ---- what fake_cmd.c wants ---- */

void
fake_broken(struct fake *fk, const char *what)
{
}

void *
fake_at(void *fake, uint64_t iova, uint64_t len)
{
	uint64_t at = iova - (f.cmbmsc & ~4095ull);

	if ((f.cmbmsc & 2) != 0 && at < FAKE_CMB && len <= FAKE_CMB - at)
		return cmb + at;
	/* what the domain maps is at its own address */
	return plx_mem_iova(vd.domain, (void *)(uintptr_t)iova, len) == iova
		       ? (void *)(uintptr_t)iova
		       : NULL;
}

uint32_t
fake_page(const struct fake *fk)
{
	return 4096u << ((f.cc >> 7) & 15);
}

static uint32_t *
doorbell(unsigned int i)
{
	uint64_t at = DB + ((uint64_t)i << (2 + (f.cap >> 32 & 15)));

	if (f.shadow != 0 && i >= 2)
		return fake_at(&f, f.shadow + 4 * i, 4);
	return at <= BAR - 4 ? (uint32_t *)(bar + at) : NULL;
}

void
fake_zero_doorbells(struct fake *fk, uint32_t qid)
{
	for (unsigned int i = 2 * qid; f.shadow == 0 && i < 2 * qid + 2; i++)
		if (doorbell(i) != NULL)
			*doorbell(i) = 0;
}

/* ---- completions ---- */

static void
forget(unsigned int qid, uint16_t cid, bool all)
{
	unsigned int i;

	for (i = 0; i < nowed;)
		if (owed[i].qid == qid && (all || owed[i].s.cid == cid))
			owed[i] = owed[--nowed];
		else
			i++;
}

/* That there is no such queue holds once it was said. */
static void
no_queue(const struct nvme_sqe *s, bool ok)
{
	unsigned int qid = s->cdw10 & 0xffff;

	if (qid == 0 || qid >= FAKE_QUEUES)
		return;
	if (s->opcode == (ok ? nvme_admin_delete_cq : nvme_admin_create_cq))
		f.q[qid].cq = false;
	if (s->opcode != (ok ? nvme_admin_delete_sq : nvme_admin_create_sq))
		return;
	f.q[qid].sq = false;
	forget(qid, 0, true);
}

static void
said(unsigned int qid, uint16_t cid, uint16_t status)
{
	struct nvme_sqe s = {0};
	unsigned int i;

	for (i = 0; i < nowed; i++)
		if (owed[i].qid == qid && owed[i].s.cid == cid)
			s = owed[i].s;
	forget(qid, cid, false);
	if (qid == 0)
		no_queue(&s, status == 0);
}

static void
post(unsigned int qid, uint16_t cid, uint16_t status, uint64_t result)
{
	struct fake_queue *q = &f.q[qid];
	struct nvme_cqe *c = fake_at(&f, q->cq_iova + (uint64_t)q->cq_tail * 16, 16);
	uint32_t *head = doorbell(2 * qid + 1);

	if (!q->cq || c == NULL || (head != NULL && (q->cq_tail + 1) % q->cq_size == *head))
		return;
	c->result = result;
	c->sqhd = (uint16_t)q->head;
	c->sqid = (uint16_t)qid;
	c->cid_status = cid | (uint32_t)q->phase << 16 | (uint32_t)status << 17;
	q->cq_tail = (q->cq_tail + 1) % q->cq_size;
	q->phase ^= q->cq_tail == 0;
	said(qid, cid, status);
}

bool
fake_give_back(struct fake *fk, unsigned int qid, uint16_t cid)
{
	unsigned int i;

	for (i = 0; i < nowed; i++)
		if (qid != 0 && owed[i].qid == qid && owed[i].s.cid == cid) {
			post(qid, cid, NVME_SC_ABORT_REQ, 0);
			return true;
		}
	return false;
}

/* An entry of any queue, of any content. */
static void
raw_completion(void)
{
	unsigned int qid = take() % FAKE_QUEUES, n = take();
	struct fake_queue *q = &f.q[qid];
	struct nvme_cqe c = {.result = take_odd(), .sqid = (uint16_t)take_n(2)}, *at;

	c.cid_status = n < nowed ? owed[n].s.cid : (uint32_t)take_n(2);
	c.cid_status |= (uint32_t)take_n(2) << 16;
	at = q->cq ? fake_at(&f, q->cq_iova + take_n(2) % q->cq_size * 16, 16) : NULL;
	if (at == NULL)
		return;
	*at = c;
	said(qid, (uint16_t)c.cid_status, (uint16_t)(c.cid_status >> 17));
}

/* ---- commands ---- */

/* Other data than it would be. */
static void
bend_data(const struct nvme_sqe *s, unsigned int n)
{
	for (; n != 0; n--) {
		uint64_t off = take_n(2) & 0xfff, v = take_odd(),
			 page = 4096 - (s->dptr[0] & 0xfff);
		unsigned int len = 1u << (take() & 3);
		void *at = off + len <= page && (s->flags & 0xc0) == 0
				   ? fake_at(&f, s->dptr[0] + off, len)
				   : NULL;

		if (at != NULL)
			memcpy(at, &v, len);
	}
}

static bool
reads(unsigned int qid, const struct nvme_sqe *s)
{
	return qid == 0 ? s->opcode == nvme_admin_identify || s->opcode == nvme_admin_get_log_page
			: s->opcode == nvme_zns_cmd_mgmt_recv;
}

static void
answer(unsigned int qid, const struct nvme_sqe *s, uint8_t how)
{
	uint64_t result = 0x1234;
	uint16_t status = qid == 0 ? fake_admin(&f, s, &result) : fake_io(&f, s);

	if (qid != 0 && s->opcode == nvme_zns_cmd_append)
		result = s->cdw10;
	if (how == 8 || how == 9)
		status = (uint16_t)take_n(2) & 0x7fff;
	if (how == 10)
		result = take_odd();
	if (how >= 16 && reads(qid, s))
		bend_data(s, how - 15u);
	if (status != FAKE_NO_ANSWER)
		post(qid, s->cid, status, result);
	if (how == 11)
		post(qid, s->cid, status, result);
}

static void
command(unsigned int qid, const struct nvme_sqe *s)
{
	uint8_t how = take() % 20;

	if (nowed == OWED)
		return;
	owed[nowed++] = (struct owed){qid, *s};
	if (how == 12)
		return;
	if (how == 13)
		post(qid, (uint16_t)take_n(2), (uint16_t)take_n(2), take_odd());
	if (how == 14)
		raw_completion();
	if (how == 15)
		f.csts |= 2;
	answer(qid, s, how);
}

static void
serve(unsigned int qid)
{
	struct fake_queue *q = &f.q[qid];
	uint32_t *tail = doorbell(2 * qid);
	struct nvme_sqe *at, s;
	unsigned int i;

	for (i = 0; i < 64 && q->sq && tail != NULL && q->head != *tail; i++) {
		at = *tail < q->sq_size ? fake_at(&f, q->sq_iova + q->head * 64ull, 64) : NULL;
		if (at == NULL)
			return;
		s = *at;
		q->head = (q->head + 1) % q->sq_size;
		command(qid, &s);
		tail = doorbell(2 * qid);
	}
}

/* ---- registers ---- */

static uint32_t *
reg(unsigned int off)
{
	return (uint32_t *)(bar + off);
}

static void
disabled(void)
{
	memset(f.q, 0, sizeof(f.q));
	f.shadow = f.event = 0;
	f.nr_aer = f.nr_aborts_out = 0;
	nowed = 0;
}

static void
enabled(void)
{
	struct fake_queue *q = &f.q[0];
	uint32_t aqa = *reg(0x24);

	disabled();
	memcpy(&f.cap, bar, 8);
	memset(bar + DB, 0, BAR - DB);
	memcpy(&q->sq_iova, bar + 0x28, 8);
	memcpy(&q->cq_iova, bar + 0x30, 8);
	q->sq = q->cq = true;
	q->sq_size = (aqa & 0xfff) + 1;
	q->cq_size = (aqa >> 16 & 0xfff) + 1;
	q->phase = 1;
	f.csts = take() % 8 == 7 ? take() : 1;
}

/* What the host wrote since the last look. */
static void
registers(void)
{
	uint32_t cc = *reg(0x14), was = f.cc;

	f.cc = cc;
	memcpy(&f.cmbmsc, bar + 0x50, 8);
	f.cmbmsc &= f.cmbsz != 0 ? UINT64_MAX : 0;
	if ((cc & ~was & 1) != 0)
		enabled();
	if ((was & ~cc & 1) != 0 && take() % 8 != 7)
		f.csts = 0;
	if ((cc & 1) != 0 && (cc >> 14 & 3) != 0 && take() % 8 != 7)
		f.csts |= 8;
	if (((f.csts | cc) & 1) == 0)
		disabled();
	*reg(0x1c) = f.csts;
}

static void
bend_register(void)
{
	static const uint8_t at[] = {0, 4, 8, 0x1c, 0x38, 0x3c, 0x58, 0x1c};
	uint8_t off = at[take() % RTE_DIM(at)];
	uint32_t v = (uint32_t)take_odd();

	*reg(off) = v;
	if (off == 0x1c)
		f.csts = v;
}

/* Its server has ended, or the connection to one that may go on. */
static void
lose(bool ended)
{
	vd.lost = ended ? -ENODEV : -ETIMEDOUT;
	if (!ended)
		return;
	there = false;
	disabled();
}

void
dev_mischief(void)
{
	uint8_t what = take() % 16;
	unsigned int n = take();

	if (!there)
		return;
	if (what < 4 && nowed != 0) { /* late, and in another order */
		struct owed o = owed[n % nowed];

		answer(o.qid, &o.s, take() % 20);
	} else if (what < 6)
		raw_completion();
	else if (what < 8 && f.nr_aer != 0)
		post(0, f.aer[--f.nr_aer], 0, take_n(3));
	else if (what == 8)
		bend_register();
	else if (what == 9)
		f.csts |= 2;
	else if (what == 10)
		lose(n & 1);
	else if (what == 11)
		vd.wanted_back = true;
	else if (what == 12)
		wild = n & 1;
	else if (what == 13)
		f.ns_there[n % FAKE_NS] ^= true;
	else if (what == 14)
		f.ns[0].nsze = take_odd();
	else if (what == 15)
		f.abort = n % 3;
}

static void
device(void)
{
	unsigned int i;

	if (!there)
		return;
	registers();
	for (i = 0; i < FAKE_QUEUES && (f.csts & 3) == 1; i++)
		serve(i);
	if (wild)
		dev_mischief();
}

bool
dev_may_write(const void *va, size_t len)
{
	unsigned int i;

	for (i = 0; i < nowed; i++)
		if (owed[i].s.dptr[0] - (uintptr_t)va < len ||
			(owed[i].s.mptr != 0 && owed[i].s.mptr - (uintptr_t)va < len))
			return true;
	for (i = 0; i < FAKE_QUEUES; i++)
		if (f.q[i].cq && f.q[i].cq_iova - (uintptr_t)va < len)
			return true;
	return false;
}

void
dev_end(void)
{
}

/* ---- the VFIO device ---- */

static int
op_done(void)
{
	uint8_t *at = op.region == 0 ? bar : op.region == 2 ? cmb : op.region == 7 ? cfg : NULL;
	uint64_t size = op.region == 0 ? BAR : op.region == 2 ? FAKE_CMB : sizeof(cfg);
	uint8_t how = take();

	op.busy = false;
	if (at == NULL || op.off > size || op.len > size - op.off || how % 64 == 63)
		return -EIO;
	if (op.write) {
		memcpy(at + op.off, op.data, op.len);
		return 0;
	}
	memcpy(op.buf, at + op.off, op.len);
	if (how % 64 == 62 && op.len <= 8)
		memset(op.buf, how & 64 ? take() : 0xff, op.len);
	return 0;
}

static int
op_begin(void)
{
	int rc;

	device();
	op.busy = true;
	if (slow_regs)
		return -EINPROGRESS;
	rc = op_done();
	device();
	return rc;
}

static int
v_poll(struct plx_vfio_dev *dev)
{
	fuzz_ms++;
	device();
	if (vd.lost != 0)
		return -ENODEV;
	return op.busy ? op_done() : 0;
}

static int
v_read(struct plx_vfio_dev *dev, unsigned int region, uint64_t off, void *buf, uint32_t len)
{
	op.write = false;
	op.region = region;
	op.off = off;
	op.buf = buf;
	op.len = len;
	return op_begin();
}

static int
v_write(struct plx_vfio_dev *dev, unsigned int region, uint64_t off, const void *buf, uint32_t len)
{
	op.write = true;
	op.region = region;
	op.off = off;
	op.len = RTE_MIN(len, (uint32_t)sizeof(op.data));
	memcpy(op.data, buf, op.len);
	return op_begin();
}

static void
v_post(struct plx_vfio_dev *dev, unsigned int region, uint64_t off, uint32_t v)
{
	if (region == 0 && off <= BAR - 4)
		memcpy(bar + off, &v, 4);
}

static int
v_irq_set(struct plx_vfio_dev *dev, unsigned int index, unsigned int start, const int *fds,
	unsigned int n)
{
	return take() % 16 == 15 ? -EIO : 0;
}

static int
v_reset(struct plx_vfio_dev *dev)
{
	if (take() % 8 == 7)
		return -EIO;
	*reg(0x14) = *reg(0x1c) = f.cc = f.csts = 0;
	disabled();
	return 0;
}

/* What its registers say of it. */
static void
power_on(void)
{
	memset(bar, 0, sizeof(bar));
	memcpy(bar, &f.cap, 8);
	memcpy(bar + 8, &f.vs, 4);
	memcpy(bar + 0x38, &f.cmbloc, 4);
	memcpy(bar + 0x3c, &f.cmbsz, 4);
	f.cc = f.csts = 0;
}

static int
v_reconnect(struct plx_vfio_dev *dev)
{
	static const int errors[] = {-ECONNREFUSED, -ESTALE, -EPROTO, -EIO};
	uint8_t how = take() % 16;

	if (how >= 12)
		return errors[how - 12];
	plx_mem_domain_lost(vd.domain);
	power_on();
	if (how == 11)
		bar[take() & 7] = take();
	disabled();
	there = true;
	vd.lost = 0;
	return 0;
}

static void
v_cut(struct plx_vfio_dev *dev)
{
	unsigned int i;

	there = false;
	disabled();
	for (i = 0; i < PLX_VFIO_REGIONS; i++)
		vd.regions[i] = (struct plx_vfio_region){0};
}

static void
v_close(struct plx_vfio_dev *dev)
{
	there = false;
	disabled();
	plx_mem_domain_destroy(vd.domain);
	vd.domain = NULL;
}

static int
d_map(void *ctx, const struct plx_mem_seg *seg, uint64_t iova)
{
	return 0;
}

static int
d_unmap(void *ctx, uint64_t iova, size_t len)
{
	return 0;
}

static void
region(unsigned int i, uint64_t size, void *va, uint64_t off, uint64_t mapped, bool shmem)
{
	struct plx_vfio_region *r = &vd.regions[i];

	*r = (struct plx_vfio_region){.size = size,
		.flags = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE,
		.shmem = shmem};
	if (va != NULL) {
		r->nb_areas = 1;
		r->areas[0] =
			(struct plx_vfio_area){.off = off, .size = mapped, .va = va, .fd = -1};
	}
}

static void
config(void)
{
	static const uint8_t good[] = {0x58, 0x4e, 1, 0, 6, 0, 0x10, 0, 0, 2, 8, 1};
	uint8_t n;

	memset(cfg, 0, sizeof(cfg));
	memcpy(cfg, good, sizeof(good));
	cfg[PCI_CAPABILITY_LIST] = 0x40;
	cfg[0x40] = PCI_CAP_ID_MSIX;
	cfg[0x42] = 3;
	cfg[0x44] = 4; /* BAR 4 */
	cfg[0x48] = 4;
	cfg[0x49] = 8;
	for (n = take() % 16; n > 12; n--)
		cfg[take()] = take();
}

int
__wrap_plx_vfio_user_open(
	const char *path, const struct plx_vfio_user_conf *conf, struct plx_vfio_dev **dev)
{
	static const struct plx_mem_domain_ops dops = {.map = d_map, .unmap = d_unmap};
	static struct plx_vfio_ops ops = {.name = "fuzz",
		.poll = v_poll,
		.region_read = v_read,
		.region_write = v_write,
		.region_post = v_post,
		.irq_set = v_irq_set,
		.reset = v_reset,
		.close = v_close};
	const struct plx_mem_domain_conf dconf = {.name = "fuzz", .ops = &dops, .immediate = true};
	uint8_t how = take();

	/* the kernel's, or a peer's */
	ops.cut = how & 1 ? v_cut : NULL;
	ops.reconnect = how & 1 ? NULL : v_reconnect;
	vd = (struct plx_vfio_dev){.ops = &ops,
		.name = "fuzz",
		.flags = VFIO_DEVICE_FLAGS_PCI | (how & 2 ? 0 : VFIO_DEVICE_FLAGS_RESET),
		.numa_node = -1};
	if (how & 4)
		region(0, BAR, NULL, 0, 0, false);
	else if (how & 8)
		region(0, BAR, bar, 0, BAR, false);
	else
		region(0, BAR, bar + DB, DB, BAR - DB, how & 16);
	if (how & 32)
		vd.regions[0].size = take_odd() & 0xffffff;
	region(2, FAKE_CMB, cmb, 0, FAKE_CMB, false);
	region(4, 0x1000, NULL, 0, 0, false);
	region(7, sizeof(cfg), NULL, 0, 0, false);
	vd.irqs[VFIO_PCI_MSIX_IRQ_INDEX] = (struct plx_vfio_irq){VFIO_IRQ_INFO_EVENTFD, 4};
	slow_regs = how & 64;
	config();
	there = true;
	*dev = &vd;
	return plx_mem_domain_create(&dconf, &vd.domain);
}

void
dev_init(void)
{
	for (unsigned int i = 0; i < FAKE_NS; i++) {
		disks[i] = calloc(FAKE_BLOCKS, FAKE_BLOCK);
		fuzz_check(disks[i] != NULL);
	}
}

static void
report(void)
{
	const uint64_t n = FAKE_BLOCKS / FAKE_ZONE;
	struct nvme_zns_desc *d = (struct nvme_zns_desc *)(f.report + 64);

	memcpy(f.report, &n, sizeof(n));
	for (uint64_t i = 0; i < n; i++)
		d[i] = (struct nvme_zns_desc){.zt = 2,
			.zs = 1 << 4,
			.zcap = FAKE_ZONE,
			.zslba = i * FAKE_ZONE,
			.wp = i * FAKE_ZONE};
}

const char *
dev_begin(void)
{
	static const char *const more[] = {"", ",dbbuf=on", ",sgl=0", ",cmb=1", ",queues=200",
		",quirks=none", ",reconnect=2", ",cmb=1"};
	static char str[160];
	uint8_t how = take();
	unsigned int i;

	fake_init(&f);
	for (i = 0; i < FAKE_NS; i++)
		f.disk[i] = disks[i];
	nowed = 0;
	op.busy = wild = false;
	f.id.oacs = how & 8 ? 0x100 : 0;
	f.id.sgls = how & 16 ? 1 : 0;
	f.id.oncs = how & 32 ? 0x1ff : 0xd;
	f.zoned = how & 64;
	if (how & 128) {
		f.ns[0].lbaf[0].ms = 8;
		f.ns[0].dps = how & 4 ? 1 : 0;
		f.ns[0].flbas = how & 2 ? 0x10 : 0;
	}
	f.cap |= (f.zoned ? 1ull << 43 : 0) | ((how & 3) == 3 ? 1ull << 57 : 0);
	if ((how & 3) == 3) {
		f.cmbloc = 2;
		f.cmbsz = 1 | FAKE_CMB / 4096 << 12;
	}
	for (i = 0; i < FAKE_NS; i++) {
		f.ns[i].mssrl = 64;
		f.ns[i].mcl = 128;
		f.ns[i].msrc = 3;
	}
	report();
	power_on();
	snprintf(str, sizeof(str), "vfio-user:/fuzz,name=fz,io_timeout=1000,admin_timeout=1000%s",
		more[how & 7]);
	return str;
}
