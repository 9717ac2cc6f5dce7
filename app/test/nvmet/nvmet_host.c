/* SPDX-License-Identifier: BSD-3-Clause */
#include <fcntl.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "nvmet_host.h"
#include "plx_probe.h"
#include "plx_test.h"

#define DB_STRIDE 32 /* CAP.DSTRD 3 */
#define WAIT_S 10

char host_path[108];
static char dir[64];

static double
now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

struct plx_nvmet *
host_serve(struct plx_nvmet_conf *conf, unsigned int ndev, ...)
{
	const char *names[16];
	struct plx_nvmet_conf none = {0};
	struct plx_nvmet *ctrl;
	struct plx_dev *dev;
	va_list ap;
	unsigned int i;

	if (conf == NULL)
		conf = &none;
	va_start(ap, ndev);
	for (i = 0; i < ndev; i++) {
		REQUIRE(plx_attach(va_arg(ap, const char *), &dev) == 0);
		names[i] = plx_dev_name(dev);
	}
	va_end(ap);
	snprintf(dir, sizeof(dir), "/tmp/plx-nvmet-XXXXXX");
	REQUIRE(mkdtemp(dir) != NULL);
	snprintf(host_path, sizeof(host_path), "%s/s", dir);
	conf->path = host_path;
	conf->devs = names;
	conf->nb_devs = ndev;
	REQUIRE(plx_nvmet_create(conf, &ctrl) == 0);
	return ctrl;
}

void
host_unserve(struct plx_nvmet *ctrl)
{
	plx_nvmet_destroy(ctrl);
	CHECK_EQ(plx_detach_all(), 0);
	unlink(host_path);
	CHECK_EQ(rmdir(dir), 0);
}

void
host_open(struct host *h, struct plx_nvmet *ctrl)
{
	memset(h, 0, sizeof(*h));
	h->ctrl = ctrl;
	h->fd = memfd_create("host", 0);
	REQUIRE(ftruncate(h->fd, HOST_MEM) == 0);
	h->mem = mmap(NULL, HOST_MEM, PROT_READ | PROT_WRITE, MAP_SHARED, h->fd, 0);
	REQUIRE(h->mem != MAP_FAILED);
	h->w = wire_open(ctrl, host_path);
	REQUIRE(h->w != NULL);
	h->by_message = wire_doorbells(h->w) == NULL;
	CHECK_EQ(wire_map(h->w, HOST_IOVA, HOST_MEM, h->fd, 0, true), 0);
	wire_bus_master(h->w, true);
}

void
host_close(struct host *h)
{
	wire_close(h->w);
	munmap(h->mem, HOST_MEM);
	close(h->fd);
}

uint32_t
host_reg(struct host *h, uint32_t off)
{
	uint32_t v = 0xdeadbeef;

	CHECK_EQ(wire_read(h->w, 0, off, &v, sizeof(v)), 0);
	return v;
}

uint64_t
host_reg64(struct host *h, uint32_t off)
{
	uint64_t v = 0xdeadbeef;

	CHECK_EQ(wire_read(h->w, 0, off, &v, sizeof(v)), 0);
	return v;
}

void
host_set(struct host *h, uint32_t off, uint32_t v)
{
	CHECK_EQ(wire_write(h->w, 0, off, &v, sizeof(v)), 0);
}

void
host_set64(struct host *h, uint32_t off, uint64_t v)
{
	CHECK_EQ(wire_write(h->w, 0, off, &v, sizeof(v)), 0);
}

uint32_t
host_wait_csts(struct host *h, uint32_t mask, uint32_t value)
{
	double end = now() + WAIT_S;
	uint32_t csts;

	do
		csts = host_reg(h, NVME_REG_CSTS);
	while ((csts & mask) != value && now() < end);
	return csts;
}

uint64_t
host_alloc(struct host *h, size_t size)
{
	uint64_t iova = HOST_IOVA + h->next;

	h->next += (size + 4095) & ~(size_t)4095;
	REQUIRE(h->next <= HOST_MEM);
	return iova;
}

void *
host_va(struct host *h, uint64_t iova)
{
	return h->mem + (iova - HOST_IOVA);
}

static void
ring_init(struct host *h, unsigned int qid, uint16_t sq_size, uint16_t cq_size)
{
	struct host_ring *r = &h->q[qid];

	r->sq_iova = host_alloc(h, sq_size * 64u);
	r->cq_iova = host_alloc(h, cq_size * 16u);
	r->sq_size = sq_size;
	r->cq_size = cq_size;
	r->head = r->tail = 0;
	r->phase = 1;
	memset(host_va(h, r->cq_iova), 0, cq_size * 16u);
}

uint32_t
host_enable(struct host *h, uint16_t entries)
{
	ring_init(h, 0, entries, entries);
	host_set(h, NVME_REG_AQA, (entries - 1u) | (entries - 1u) << 16);
	host_set64(h, NVME_REG_ASQ, h->q[0].sq_iova);
	host_set64(h, NVME_REG_ACQ, h->q[0].cq_iova);
	host_set(h, NVME_REG_CC, 4 << 20 | 6 << 16 | (h->all_sets ? 6 << 4 : 0) | 1);
	return host_wait_csts(h, 1, 1);
}

uint16_t
host_put(struct host *h, unsigned int qid, const struct host_cmd *cmd)
{
	struct host_ring *r = &h->q[qid];
	struct host_cmd c = *cmd;

	r->cid += 7; /* ids are any */
	c.dw[0] = (c.dw[0] & 0xffff) | (uint32_t)r->cid << 16;
	memcpy((uint8_t *)host_va(h, r->sq_iova) + r->tail * 64u, &c, sizeof(c));
	r->tail = (uint16_t)((r->tail + 1) % r->sq_size);
	return r->cid;
}

static void
ring_doorbell(struct host *h, uint32_t slot, uint32_t value)
{
	volatile uint32_t *db = wire_doorbells(h->w);

	if (h->shadow != NULL && slot >= 2) {
		__atomic_store_n(&h->shadow[slot * DB_STRIDE / 4], value, __ATOMIC_RELEASE);
		return;
	}
	if (h->by_message)
		host_set(h, 0x1000 + slot * DB_STRIDE, value);
	else
		__atomic_store_n(&db[slot * DB_STRIDE / 4], value, __ATOMIC_RELEASE);
}

void
host_ring(struct host *h, unsigned int qid)
{
	ring_doorbell(h, 2 * qid, h->q[qid].tail);
}

bool
host_take(struct host *h, unsigned int qid, struct host_cqe *cqe)
{
	struct host_ring *r = &h->q[qid];
	const struct host_cqe *e =
		(const void *)((uint8_t *)host_va(h, r->cq_iova) + r->head * 16u);
	uint32_t dw3 = __atomic_load_n(&e->dw[3], __ATOMIC_ACQUIRE);

	if ((dw3 >> 16 & 1) != r->phase)
		return false;
	*cqe = *e;
	r->head = (uint16_t)(r->head + 1);
	if (r->head == r->cq_size) {
		r->head = 0;
		r->phase ^= 1;
	}
	ring_doorbell(h, 2 * qid + 1, r->head);
	return true;
}

bool
host_get(struct host *h, unsigned int qid, struct host_cqe *cqe)
{
	double end = now() + WAIT_S;
	unsigned int i = 0;

	while (!host_take(h, qid, cqe)) {
		plx_nvmet_poll(h->ctrl);
		if (++i % 1024 == 0 && now() > end)
			return false;
	}
	return true;
}

bool
host_silent(struct host *h, unsigned int qid)
{
	double end = now() + 0.02;
	struct host_cqe cqe;

	while (now() < end) {
		plx_nvmet_poll(h->ctrl);
		if (host_take(h, qid, &cqe))
			return false;
	}
	return true;
}

uint16_t
host_run(struct host *h, unsigned int qid, const struct host_cmd *cmd)
{
	uint16_t cid = host_put(h, qid, cmd);
	struct host_cqe cqe;

	host_ring(h, qid);
	if (!host_get(h, qid, &cqe))
		return 0xffff;
	h->result = cqe.dw[0];
	if ((uint16_t)cqe.dw[3] != cid || cqe.dw[2] >> 16 != qid ||
		(uint16_t)cqe.dw[2] != h->q[qid].tail)
		return 0xffff;
	return (uint16_t)(cqe.dw[3] >> 17);
}

static struct host_cmd
command(uint8_t opc, uint32_t nsid, uint64_t prp1, uint64_t prp2)
{
	struct host_cmd c = {.dw = {opc, nsid}};

	c.dw[6] = (uint32_t)prp1;
	c.dw[7] = (uint32_t)(prp1 >> 32);
	c.dw[8] = (uint32_t)prp2;
	c.dw[9] = (uint32_t)(prp2 >> 32);
	return c;
}

uint16_t
host_admin(struct host *h, uint8_t opc, uint32_t nsid, uint64_t prp1, uint64_t prp2, uint32_t dw10,
	uint32_t dw11)
{
	struct host_cmd c = command(opc, nsid, prp1, prp2);

	c.dw[10] = dw10;
	c.dw[11] = dw11;
	return host_run(h, 0, &c);
}

uint16_t
host_create_cq(struct host *h, uint16_t qid, uint16_t size, uint32_t flags, uint16_t iv)
{
	uint64_t iova = h->q[qid % HOST_QUEUES].cq_iova;

	return host_admin(h, nvme_admin_create_cq, 0, iova, 0, qid | (size - 1u) << 16,
		flags | (uint32_t)iv << 16);
}

uint16_t
host_create_sq(struct host *h, uint16_t qid, uint16_t size, uint16_t cqid)
{
	uint64_t iova = h->q[qid % HOST_QUEUES].sq_iova;

	return host_admin(h, nvme_admin_create_sq, 0, iova, 0, qid | (size - 1u) << 16,
		1 | (uint32_t)cqid << 16);
}

void
host_queue(struct host *h, uint16_t qid, uint16_t size)
{
	ring_init(h, qid, size, size);
	CHECK_EQ(host_create_cq(h, qid, size, 1, 0), 0);
	CHECK_EQ(host_create_sq(h, qid, size, qid), 0);
}

struct host_cmd
host_rw_cmd(uint8_t opc, uint32_t nsid, uint64_t slba, uint32_t nblk, uint64_t prp1, uint64_t prp2)
{
	struct host_cmd c = command(opc, nsid, prp1, prp2);

	c.dw[10] = (uint32_t)slba;
	c.dw[11] = (uint32_t)(slba >> 32);
	c.dw[12] = nblk - 1;
	return c;
}

uint16_t
host_rw(struct host *h, unsigned int qid, uint8_t opc, uint32_t nsid, uint64_t slba, uint32_t nblk,
	uint64_t prp1, uint64_t prp2)
{
	struct host_cmd c = host_rw_cmd(opc, nsid, slba, nblk, prp1, prp2);

	return host_run(h, qid, &c);
}
