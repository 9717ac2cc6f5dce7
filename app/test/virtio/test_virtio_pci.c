/* SPDX-License-Identifier: BSD-3-Clause */
/* The PCI transport on a function made of arrays, sane and not. */
#include <errno.h>
#include <stddef.h>

#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <linux/virtio_pci.h>

#include "plx_ctrl.h"
#include "plx_eal.h"
#include "plx_mem.h"
#include "plx_pci.h"
#include "plx_test.h"
#include "plx_vfio.h"
#include "plx_virtio.h"

#define BAR 4
#define COMMON 0x000
#define CONFIG 0x100
#define NOTIFY 0x200
#define BAR_SIZE 0x400
#define RING 64
#define BIT(n) (UINT64_C(1) << (n))
#define FEATURES                                                                               \
	(BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_F_ACCESS_PLATFORM) | BIT(VIRTIO_F_RING_PACKED) | \
		BIT(9))

/* The function, and what is wrong with it. */
static struct {
	uint8_t cfg[256], bar[BAR_SIZE];
	uint64_t features, driver_features;
	uint32_t select, driver_select;
	uint16_t queue, sizes[4], notify_off[4], enabled[4], vectors[4];
	uint64_t desc[4];
	bool async, refuse_features, restless, no_vectors;
	uint32_t posted_off, posted;
	int fds, irqs;
} f;

static struct {
	uint64_t off;
	void *dst;
	uint32_t len, region;
	bool pending;
} later;

static struct plx_vfio_dev vfio;
static struct plx_pci pci;
static struct plx_mem_domain *domain;

static void
set(uint32_t off, uint64_t v, uint32_t len)
{
	memcpy(f.bar + COMMON + off, &v, len);
}

/* Bring the array to what a read finds. */
static void
before_read(uint64_t off)
{
	uint16_t q = f.queue & 3;

	set(VIRTIO_PCI_COMMON_DF, f.features >> 32 * (f.select & 1), 4);
	set(VIRTIO_PCI_COMMON_Q_SIZE, f.queue < 4 ? f.sizes[q] : 0, 2);
	set(VIRTIO_PCI_COMMON_Q_NOFF, f.notify_off[q], 2);
	set(VIRTIO_PCI_COMMON_Q_MSIX, f.no_vectors ? VIRTIO_MSI_NO_VECTOR : f.vectors[q], 2);
	if (f.restless && off == COMMON + VIRTIO_PCI_COMMON_CFGGENERATION)
		f.bar[off]++;
	if (f.refuse_features)
		f.bar[COMMON + VIRTIO_PCI_COMMON_STATUS] &= (uint8_t)~VIRTIO_CONFIG_S_FEATURES_OK;
}

static void
after_write(uint64_t off, uint64_t v)
{
	uint16_t q = f.queue & 3;

	switch (off - COMMON) {
	case VIRTIO_PCI_COMMON_DFSELECT:
		f.select = (uint32_t)v;
		break;
	case VIRTIO_PCI_COMMON_GFSELECT:
		f.driver_select = (uint32_t)v;
		break;
	case VIRTIO_PCI_COMMON_GF:
		f.driver_features &= ~((uint64_t)UINT32_MAX << 32 * (f.driver_select & 1));
		f.driver_features |= v << 32 * (f.driver_select & 1);
		break;
	case VIRTIO_PCI_COMMON_Q_SELECT:
		f.queue = (uint16_t)v;
		break;
	case VIRTIO_PCI_COMMON_Q_DESCLO:
		f.desc[q] = v;
		break;
	case VIRTIO_PCI_COMMON_Q_DESCHI:
		f.desc[q] |= v << 32;
		break;
	case VIRTIO_PCI_COMMON_Q_MSIX:
		f.vectors[q] = (uint16_t)v;
		break;
	case VIRTIO_PCI_COMMON_Q_ENABLE:
		f.enabled[q] = (uint16_t)v;
		break;
	default:
		break;
	}
}

static void
give(unsigned int region, uint64_t off, void *buf, uint32_t len)
{
	if (region == BAR)
		before_read(off);
	memcpy(buf, (region == BAR ? f.bar : f.cfg) + off, len);
}

static int
fake_read(struct plx_vfio_dev *dev, unsigned int region, uint64_t off, void *buf, uint32_t len)
{
	if (!f.async) {
		give(region, off, buf, len);
		return 0;
	}
	later.off = off;
	later.dst = buf;
	later.len = len;
	later.region = region;
	later.pending = true;
	return -EINPROGRESS;
}

static int
fake_write(
	struct plx_vfio_dev *dev, unsigned int region, uint64_t off, const void *buf, uint32_t len)
{
	uint64_t v = 0;

	memcpy((region == BAR ? f.bar : f.cfg) + off, buf, len);
	memcpy(&v, buf, len);
	if (region == BAR)
		after_write(off, v);
	later.dst = NULL;
	later.pending = f.async;
	return f.async ? -EINPROGRESS : 0;
}

static int
fake_poll(struct plx_vfio_dev *dev)
{
	if (later.pending && later.dst != NULL)
		give(later.region, later.off, later.dst, later.len);
	later.pending = false;
	return 0;
}

static void
fake_post(struct plx_vfio_dev *dev, unsigned int region, uint64_t off, uint32_t v)
{
	CHECK_EQ(region, BAR);
	f.posted_off = (uint32_t)off;
	f.posted = v;
}

static int
fake_irq(struct plx_vfio_dev *dev, unsigned int index, unsigned int start, const int *fds,
	unsigned int n)
{
	CHECK_EQ(index, VFIO_PCI_MSIX_IRQ_INDEX);
	f.irqs = (int)n;
	return 0;
}

static const struct plx_vfio_ops ops = {
	.name = "array",
	.poll = fake_poll,
	.region_read = fake_read,
	.region_write = fake_write,
	.region_post = fake_post,
	.irq_set = fake_irq,
};

static void
put_cap(uint8_t pos, uint8_t next, uint8_t type, uint8_t bar, uint32_t off, uint32_t len)
{
	uint8_t cap[20] = {PCI_CAP_ID_VNDR, next, 20, type, bar};

	memcpy(cap + 8, &off, 4);
	memcpy(cap + 12, &len, 4);
	cap[16] = 4; /* the multiplier */
	memcpy(f.cfg + pos, cap, sizeof(cap));
}

/* A virtio-blk function with 4 queues; MSI-X with 4 vectors. */
static void
make(bool async)
{
	static const uint8_t msix[] = {PCI_CAP_ID_MSIX, 0, 3, 0, 0, 0, 0, 0, 0, 1, 0, 0};

	memset(&f, 0, sizeof(f));
	memcpy(f.cfg, "\xf4\x1a\x42\x10\x06\x00\x10\x00\x01\x00\x00\x01", 12);
	f.cfg[PCI_CAPABILITY_LIST] = 0x40;
	put_cap(0x40, 0x54, VIRTIO_PCI_CAP_COMMON_CFG, 5, 0, 64); /* in a BAR that isn't there */
	put_cap(0x54, 0x68, VIRTIO_PCI_CAP_COMMON_CFG, BAR, COMMON, 64);
	put_cap(0x68, 0x7c, VIRTIO_PCI_CAP_NOTIFY_CFG, BAR, NOTIFY, 16);
	put_cap(0x7c, 0x90, VIRTIO_PCI_CAP_DEVICE_CFG, BAR, CONFIG, 60);
	memcpy(f.cfg + 0x90, msix, sizeof(msix));
	f.features = FEATURES;
	for (uint16_t i = 0; i < 4; i++) {
		f.sizes[i] = 256;
		f.notify_off[i] = i;
	}
	f.bar[COMMON + VIRTIO_PCI_COMMON_NUMQ] = 4;
	for (uint8_t i = 0; i < 60; i++)
		f.bar[CONFIG + i] = i;
	f.async = async;
	vfio = (struct plx_vfio_dev){
		.ops = &ops, .name = "function", .domain = domain, .iommu = true};
	vfio.regions[0] = (struct plx_vfio_region){.size = 0x1000};
	vfio.regions[BAR] = (struct plx_vfio_region){.size = BAR_SIZE};
	vfio.regions[VFIO_PCI_CONFIG_REGION_INDEX].size = sizeof(f.cfg);
	vfio.irqs[VFIO_PCI_MSIX_IRQ_INDEX].count = 4;
	vfio.irqs[VFIO_PCI_MSIX_IRQ_INDEX].flags = VFIO_IRQ_INFO_EVENTFD;
}

static int
finish(struct plx_virtio_dev *dev, int rc)
{
	while (rc == -EINPROGRESS)
		rc = plx_virtio_poll(dev);
	return rc;
}

/* @return the outcome of opening it */
static int
open_it(struct plx_virtio_dev **dev)
{
	int rc;

	pci = (struct plx_pci){.vfio = &vfio};
	rc = plx_pci_probe(&pci);
	while (rc == -EINPROGRESS)
		rc = plx_pci_poll(&pci);
	REQUIRE(rc == 0);
	*dev = NULL;
	rc = plx_virtio_pci_open(&pci, dev);
	if (rc != 0)
		return rc;
	rc = finish(*dev, plx_virtio_poll(*dev));
	if (rc == 0)
		return 0;
	plx_virtio_close(*dev);
	*dev = NULL;
	return rc;
}

static void
use(struct plx_virtio_dev *dev, struct plx_virtq *vq, int call_fd)
{
	struct plx_virtio_queue q[2] = {
		{.vq = &vq[0], .call_fd = call_fd}, {.vq = &vq[1], .call_fd = -1}};
	struct plx_virtio_queue *qs[2] = {&q[0], &q[1]};
	uint32_t changes = dev->config_changes;
	uint8_t cfg[64];
	uint16_t size;

	CHECK_EQ(dev->device_id, 2);
	CHECK_EQ(dev->max_queues, 4);
	CHECK(dev->offered == (BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_F_RING_PACKED) | BIT(9)));
	CHECK_EQ(plx_virtio_negotiate(dev, BIT(10)), -EINVAL);
	CHECK_EQ(finish(dev, plx_virtio_negotiate(dev, BIT(9))), 0);
	CHECK(dev->features == (BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_F_ACCESS_PLATFORM) | BIT(9)));
	CHECK(f.driver_features == dev->features);
	memset(cfg, 0xff, sizeof(cfg));
	CHECK_EQ(finish(dev, plx_virtio_config_read(dev, 0, cfg, sizeof(cfg))), 0);
	for (uint8_t i = 0; i < 64; i++)
		CHECK_EQ(cfg[i], i < 60 ? i : 0);
	CHECK_EQ(finish(dev, plx_virtio_config_write(dev, 32, "\x55", 1)), 0);
	CHECK_EQ(f.bar[CONFIG + 32], 0x55);
	f.bar[CONFIG + 32] = 32;
	CHECK_EQ(plx_virtio_config_write(dev, 60, cfg, 1), -ENOTSUP);
	CHECK_EQ(finish(dev, plx_virtio_queue_max(dev, 3, &size)), 0);
	CHECK_EQ(size, 256);
	CHECK_EQ(plx_virtio_queue_max(dev, 4, &size), -EINVAL);
	CHECK_EQ(finish(dev, plx_virtio_start(dev, qs, 2)), 0);
	CHECK_EQ(f.bar[COMMON + VIRTIO_PCI_COMMON_STATUS], 15);
	CHECK(f.enabled[0] == 1 && f.enabled[1] == 1 && f.enabled[2] == 0);
	CHECK(f.desc[1] == plx_mem_iova(domain, vq[1].parts.desc, 1));
	CHECK_EQ(f.irqs, call_fd >= 0 ? 2 : 0);
	plx_virtio_kick(&q[1]);
	CHECK_EQ(f.posted_off, NOTIFY + 4);
	CHECK_EQ(f.posted, 1);
	f.bar[COMMON + VIRTIO_PCI_COMMON_STATUS] |= VIRTIO_CONFIG_S_NEEDS_RESET;
	f.bar[COMMON + VIRTIO_PCI_COMMON_CFGGENERATION]++;
	CHECK_EQ(finish(dev, plx_virtio_status(dev)), 0);
	CHECK(dev->status & VIRTIO_CONFIG_S_NEEDS_RESET);
	CHECK_EQ(dev->config_changes, changes + 1);
	CHECK_EQ(finish(dev, plx_virtio_reset(dev)), 0);
	CHECK_EQ(f.bar[COMMON + VIRTIO_PCI_COMMON_STATUS], 0);
	CHECK_EQ(f.irqs, 0);
}

static struct plx_virtq vqs[2];

static void
test_life(void)
{
	struct plx_virtio_dev *dev;

	for (int i = 0; i < 4; i++) {
		make((i & 1) != 0);
		REQUIRE(open_it(&dev) == 0);
		use(dev, vqs, (i & 2) != 0 ? 0 : -1);
		use(dev, vqs, -1);
		plx_virtio_close(dev);
	}
}

static void
test_refused(void)
{
	struct plx_virtio_dev *dev;

	make(false);
	f.features &= ~BIT(VIRTIO_F_VERSION_1);
	CHECK_EQ(open_it(&dev), -EPROTONOSUPPORT);
	make(false);
	f.features &= ~BIT(VIRTIO_F_ACCESS_PLATFORM);
	CHECK_EQ(open_it(&dev), -EPROTONOSUPPORT);
	vfio.iommu = false; /* by vfio-user its server translates */
	CHECK_EQ(open_it(&dev), 0);
	plx_virtio_close(dev);
	make(false); /* legacy: no vendor capability */
	f.cfg[PCI_CAPABILITY_LIST] = 0x90;
	CHECK_EQ(open_it(&dev), -EPROTONOSUPPORT);
	make(false); /* the common configuration ends behind its BAR */
	put_cap(0x54, 0x68, VIRTIO_PCI_CAP_COMMON_CFG, BAR, BAR_SIZE - 32, 64);
	CHECK_EQ(open_it(&dev), -EPROTO);
	put_cap(0x54, 0x68, VIRTIO_PCI_CAP_COMMON_CFG, BAR, UINT32_MAX - 31, 64);
	CHECK_EQ(open_it(&dev), -EPROTO);
	put_cap(0x54, 0x68, VIRTIO_PCI_CAP_COMMON_CFG, BAR, COMMON, 55);
	CHECK_EQ(open_it(&dev), -EPROTO);
	make(false);
	put_cap(0x68, 0x7c, VIRTIO_PCI_CAP_NOTIFY_CFG, 6, NOTIFY, 16);
	CHECK_EQ(open_it(&dev), -EPROTO);
}

static void
test_senseless(void)
{
	struct plx_virtio_queue q = {.vq = &vqs[0], .call_fd = -1}, *qs[] = {&q};
	struct plx_virtio_dev *dev;
	uint8_t cfg[60];
	uint16_t size;

	make(true);
	REQUIRE(open_it(&dev) == 0);
	f.refuse_features = true;
	CHECK_EQ(finish(dev, plx_virtio_negotiate(dev, 0)), -EPROTONOSUPPORT);
	f.refuse_features = false;
	CHECK_EQ(finish(dev, plx_virtio_negotiate(dev, 0)), 0);
	f.restless = true;
	CHECK_EQ(finish(dev, plx_virtio_config_read(dev, 0, cfg, 60)), -EPROTO);
	f.restless = false;
	f.sizes[0] = 0;
	CHECK_EQ(finish(dev, plx_virtio_queue_max(dev, 0, &size)), -EINVAL);
	f.sizes[0] = RING / 2;
	CHECK_EQ(finish(dev, plx_virtio_start(dev, qs, 1)), -EINVAL);
	f.sizes[0] = RING;
	f.notify_off[0] = 4; /* behind the structure */
	CHECK_EQ(finish(dev, plx_virtio_start(dev, qs, 1)), -EPROTO);
	f.notify_off[0] = UINT16_MAX;
	CHECK_EQ(finish(dev, plx_virtio_start(dev, qs, 1)), -EPROTO);
	f.notify_off[0] = 0;
	q.call_fd = 0;
	f.no_vectors = true;
	CHECK_EQ(finish(dev, plx_virtio_start(dev, qs, 1)), -ENOSPC);
	pci.msix_count = 0;
	CHECK_EQ(finish(dev, plx_virtio_start(dev, qs, 1)), -ENOTSUP);
	q.call_fd = -1;
	CHECK_EQ(finish(dev, plx_virtio_start(dev, qs, 1)), 0);
	f.bar[COMMON + VIRTIO_PCI_COMMON_STATUS] = 0xff;
	CHECK_EQ(finish(dev, plx_virtio_status(dev)), -ENODEV);
	CHECK_EQ(plx_virtio_reset(dev), -ENODEV);
	plx_virtio_close(dev);
}

static int
map(void *ctx, const struct plx_mem_seg *seg, uint64_t iova)
{
	return 0;
}

static int
unmap(void *ctx, uint64_t iova, size_t len)
{
	return 0;
}

int
main(int argc, char **argv)
{
	static const struct plx_mem_domain_ops dom_ops = {.map = map, .unmap = unmap};
	struct plx_mem_domain_conf conf = {
		.name = "test", .ops = &dom_ops, .min_page = 4096, .immediate = true};
	void *mem[2];

	REQUIRE(plx_eal_init_app(argc, argv) >= 0);
	plx_ctrl_lock();
	REQUIRE(plx_mem_domain_create(&conf, &domain) == 0);
	while (plx_mem_domain_sync(domain) == -EINPROGRESS)
		;
	for (int i = 0; i < 2; i++) {
		mem[i] = plx_mem_alloc(plx_virtq_bytes(RING, false), 4096, -1);
		REQUIRE(mem[i] != NULL);
		REQUIRE(plx_virtq_init(&vqs[i], RING, 0, mem[i]) == 0);
	}
	RUN(test_life);
	RUN(test_refused);
	RUN(test_senseless);
	for (int i = 0; i < 2; i++) {
		plx_virtq_fini(&vqs[i]);
		plx_mem_free(mem[i]);
	}
	plx_mem_domain_destroy(domain);
	plx_ctrl_unlock();
	plx_eal_cleanup();
	return TEST_RESULT();
}
