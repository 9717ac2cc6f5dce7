/* SPDX-License-Identifier: BSD-3-Clause */
/* Our client and our server, in turn in one thread. */
#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <linux/vfio.h>

#include "plx_eal.h"
#include "plx_mem.h"
#include "plx_pci.h"
#include "plx_test.h"
#include "plx_vfio.h"
#include "plx_vfu.h"

#define CONFIG VFIO_PCI_CONFIG_REGION_INDEX

static char dir[] = "/tmp/plx-vfio-XXXXXX";
static char path[64];
static struct plx_vfu *vfu;
static struct plx_vfio_dev *dev;

/* The device: registers that keep what is written, those at 0x100 refuse it. */
static uint8_t regs[0x1000];
static unsigned int resets, gone;
static int slow; /* answers of reset() and dma_gone() that come too early */

static int
reg_read(void *arg, unsigned int region, uint64_t off, void *buf, uint32_t len)
{
	if (off >= 0x100)
		return -EIO;
	memcpy(buf, regs + off, len);
	return 0;
}

static int
reg_write(void *arg, unsigned int region, uint64_t off, const void *buf, uint32_t len)
{
	if (off >= 0x100)
		return -EIO;
	memcpy(regs + off, buf, len);
	return 0;
}

static int
dma_gone(void *arg, uint64_t iova, uint64_t len)
{
	gone++;
	return slow > 0 && slow-- > 0 ? -EINPROGRESS : 0;
}

static void
dma_added(void *arg, uint64_t iova, uint64_t len)
{
}

static int
on_reset(void *arg, bool client_lost)
{
	if (slow > 0 && slow-- > 0)
		return -EINPROGRESS;
	resets += !client_lost;
	return 0;
}

static const struct plx_vfu_ops ops = {
	.read = reg_read,
	.write = reg_write,
	.dma_gone = dma_gone,
	.dma_added = dma_added,
	.reset = on_reset,
};

static void
serve(void)
{
	const struct plx_vfu_conf conf = {
		.path = path,
		.vendor = 0x4e58,
		.device = 1,
		.subvendor = 0x1af4,
		.subdevice = 0x1100,
		.class_code = 0x010802,
		.bars[0] = {.size = 0x2000, .map_off = 0x1000, .map_size = 0x1000},
		.msix_count = 40,
		.msix_bar = 4,
		.ops = &ops,
	};

	snprintf(path, sizeof(path), "%s/cntrl", dir);
	REQUIRE(plx_vfu_create(&conf, &vfu) == 0);
}

static int
run(int rc)
{
	while (rc == -EINPROGRESS) {
		plx_vfu_poll(vfu);
		rc = plx_vfio_poll(dev);
	}
	return rc;
}

static void
open_device(void)
{
	REQUIRE(plx_vfio_user_open(dir, NULL, &dev) == 0);
	REQUIRE(run(-EINPROGRESS) == 0);
}

static int
sync_memory(void)
{
	int rc;

	do {
		rc = plx_mem_domain_sync(dev->domain);
		plx_vfu_poll(vfu);
	} while (rc == -EINPROGRESS);
	return rc;
}

static int
run_pci(struct plx_pci *pci, int rc)
{
	while (rc == -EINPROGRESS) {
		plx_vfu_poll(vfu);
		rc = plx_pci_poll(pci);
	}
	return rc;
}

static void
device(void)
{
	struct plx_pci pci = {.vfio = dev};

	CHECK_EQ(dev->flags, VFIO_DEVICE_FLAGS_PCI | VFIO_DEVICE_FLAGS_RESET);
	CHECK_EQ(dev->regions[0].size, 0x2000);
	CHECK_EQ(dev->regions[0].nb_areas, 1);
	CHECK_EQ(dev->irqs[VFIO_PCI_MSIX_IRQ_INDEX].count, 40);
	CHECK_EQ(run_pci(&pci, plx_pci_probe(&pci)), 0);
	CHECK_EQ(pci.vendor, 0x4e58);
	CHECK_EQ(pci.subdevice, 0x1100);
	CHECK_EQ(pci.class_code, 0x010802);
	CHECK_EQ(pci.msix_count, 40);
	CHECK_EQ(pci.msix_bar, 4);
	CHECK(pci.cap_pcie != 0);
	CHECK(!plx_vfu_bus_master(vfu));
	CHECK_EQ(run_pci(&pci, plx_pci_enable(&pci, true)), 0);
	CHECK(plx_vfu_bus_master(vfu));
	CHECK_EQ(run_pci(&pci, plx_pci_enable(&pci, false)), 0);
	CHECK(!plx_vfu_bus_master(vfu));
	CHECK_EQ(run_pci(&pci, plx_pci_enable(&pci, true)), 0);
}

static void
registers(void)
{
	uint64_t v = 0x1122334455667788, w = 0;
	volatile uint32_t *db;

	CHECK_EQ(run(plx_vfio_region_write(dev, 0, 0x28, &v, 8)), 0);
	CHECK(memcmp(regs + 0x28, &v, 8) == 0);
	CHECK_EQ(run(plx_vfio_region_read(dev, 0, 0x28, &w, 8)), 0);
	CHECK(w == v);
	CHECK_EQ(run(plx_vfio_region_read(dev, 0, 0x100, &w, 4)), -EIO);
	CHECK_EQ(dev->lost, 0);
	db = plx_vfio_region_ptr(dev, 0, 0x1008, 4);
	REQUIRE(db != NULL);
	*db = 77;
	CHECK_EQ(((volatile uint32_t *)plx_vfu_bar_mem(vfu, 0))[2], 77);
	plx_vfio_region_post(dev, 0, 0x30, 0xabcdef01);
	plx_vfio_region_post(dev, 0, 0x200, 1); /* refused: nobody says so */
	while (plx_vfu_poll(vfu) > 0)
		;
	CHECK(memcmp(regs + 0x30, "\x01\xef\xcd\xab", 4) == 0);
	CHECK_EQ(plx_vfio_poll(dev), 0);
}

static void
memory(void)
{
	struct plx_vfu_dma cache = {0};
	char *mem, *seen;
	uint64_t iova;

	CHECK_EQ(sync_memory(), 0);
	mem = plx_mem_alloc(8192, 4096, -1);
	REQUIRE(mem != NULL);
	iova = plx_mem_iova(dev->domain, mem, 8192);
	REQUIRE(iova != PLX_BAD_IOVA);
	strcpy(mem + 5000, "through the socket's file");
	seen = plx_vfu_dma_ptr(vfu, &cache, iova, 8192, true);
	REQUIRE(seen != NULL);
	CHECK(strcmp(seen + 5000, mem + 5000) == 0);
	strcpy(seen, "and back");
	CHECK(strcmp(mem, "and back") == 0);
	plx_mem_free(mem);
}

static void
interrupts(void)
{
	struct plx_pci pci = {.vfio = dev};
	int fds[40], i;
	eventfd_t n;

	for (i = 0; i < 40; i++)
		fds[i] = i % 7 == 3 ? -1 : eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	CHECK_EQ(run_pci(&pci, plx_pci_probe(&pci)), 0);
	CHECK_EQ(run(plx_vfio_irq_set(dev, VFIO_PCI_MSIX_IRQ_INDEX, 0, fds, 40)), 0);
	CHECK_EQ(run_pci(&pci, plx_pci_msix_enable(&pci, true)), 0);
	for (i = 0; i < 40; i++)
		plx_vfu_irq(vfu, (unsigned int)i);
	for (i = 0; i < 40; i++)
		if (fds[i] >= 0)
			CHECK_EQ(eventfd_read(fds[i], &n), 0);
	CHECK_EQ(run(plx_vfio_irq_set(dev, VFIO_PCI_MSIX_IRQ_INDEX, 0, NULL, 0)), 0);
	plx_vfu_irq(vfu, 0);
	CHECK(eventfd_read(fds[0], &n) != 0);
	for (i = 0; i < 40; i++)
		if (fds[i] >= 0)
			close(fds[i]);
}

static void
reset(void)
{
	resets = 0;
	slow = 5;
	CHECK_EQ(run(plx_vfio_reset(dev)), 0);
	CHECK_EQ(resets, 1);
	CHECK_EQ(slow, 0);
}

/* Close while the server holds on to memory for some rounds, then open again. */
static void
reopen(void)
{
	struct plx_vfio_dev *second;
	int i;

	gone = 0;
	slow = 3;
	plx_vfio_close(dev);
	for (i = 0; i < 10; i++)
		plx_vfu_poll(vfu);
	CHECK(gone > 0);
	CHECK(!plx_vfu_connected(vfu));
	open_device();
	registers();
	memory();
	/* one client at a time: the second waits until the first goes */
	CHECK_EQ(plx_vfio_user_open(path, NULL, &second), 0);
	for (i = 0; i < 100; i++) {
		plx_vfu_poll(vfu);
		CHECK_EQ(plx_vfio_poll(second), -EINPROGRESS);
	}
	plx_vfio_close(dev);
	dev = second;
	CHECK_EQ(run(-EINPROGRESS), 0);
}

static void
server_dies(void)
{
	uint32_t v;

	CHECK_EQ(plx_vfio_region_read(dev, CONFIG, 0, &v, 4), -EINPROGRESS);
	plx_vfu_destroy(vfu);
	CHECK_EQ(plx_vfio_poll(dev), -ENODEV);
	CHECK_EQ(dev->lost, -ENODEV);
	plx_vfio_close(dev);
}

int
main(int argc, char **argv)
{
	REQUIRE(plx_eal_init_app(argc, argv) >= 0);
	REQUIRE(mkdtemp(dir) != NULL);
	serve();
	open_device();
	RUN(device);
	RUN(registers);
	RUN(memory);
	RUN(interrupts);
	RUN(reset);
	RUN(reopen);
	RUN(server_dies);
	rmdir(dir);
	plx_eal_cleanup();
	return TEST_RESULT();
}
