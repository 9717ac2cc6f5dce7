/* SPDX-License-Identifier: BSD-3-Clause */
/* PCI functions on a device made of an array. */
#include <errno.h>

#include <linux/vfio.h>

#include "plx_pci.h"
#include "plx_test.h"
#include "plx_vfio.h"

static uint8_t config[256];
static struct plx_vfio_dev vfio;
static struct plx_pci pci;
static unsigned int reads, writes;
static uint64_t write_off;
static uint32_t write_len;
static bool immediate;
static int fail; /* of the next access */
static struct {
	uint64_t off;
	void *dst;
	uint32_t len;
} waiting;

static int
fake_read(struct plx_vfio_dev *dev, unsigned int region, uint64_t off, void *buf, uint32_t len)
{
	reads++;
	CHECK_EQ(region, VFIO_PCI_CONFIG_REGION_INDEX);
	if (!immediate) {
		waiting.off = off;
		waiting.dst = buf;
		waiting.len = len;
		return -EINPROGRESS;
	}
	memcpy(buf, config + off, len);
	return fail;
}

static int
fake_write(
	struct plx_vfio_dev *dev, unsigned int region, uint64_t off, const void *buf, uint32_t len)
{
	writes++;
	write_off = off;
	write_len = len;
	memcpy(config + off, buf, len);
	return immediate ? fail : -EINPROGRESS;
}

static int
fake_poll(struct plx_vfio_dev *dev)
{
	if (waiting.dst != NULL)
		memcpy(waiting.dst, config + waiting.off, waiting.len);
	waiting.dst = NULL;
	return fail;
}

static const struct plx_vfio_ops ops = {
	.name = "array",
	.poll = fake_poll,
	.region_read = fake_read,
	.region_write = fake_write,
};

/* An NVMe controller: PM at 0x40, MSI-X at 0x50 with 16 vectors in BAR 4, PCIe at 0x60. */
static void
make(void)
{
	static const uint8_t header[] = {
		0x58, 0x4e, 0x01, 0x00, 0x03, 0x00, 0x10, 0x00, 0x07, 0x02, 0x08, 0x01};

	memset(config, 0, sizeof(config));
	memcpy(config, header, sizeof(header));
	memcpy(config + 0x2c, "\x86\x80\x34\x12", 4);
	config[0x34] = 0x41; /* the two low bits don't count */
	memcpy(config + 0x40, "\x01\x50", 2);
	memcpy(config + 0x50, "\x11\x60\x0f\x40\x04\x00\x00\x00\x04\x10\x00\x00", 12);
	memcpy(config + 0x60, "\x10\x00", 2);
	memset(&vfio, 0, sizeof(vfio));
	vfio.ops = &ops;
	strcpy(vfio.name, "array");
	vfio.regions[4].size = 0x1008;
	vfio.regions[7].size = 256;
	memset(&pci, 0, sizeof(pci));
	pci.vfio = &vfio;
	fail = 0;
	reads = writes = 0;
}

static int
run(int rc)
{
	int i;

	for (i = 0; i < 10 && rc == -EINPROGRESS; i++)
		rc = plx_pci_poll(&pci);
	return rc;
}

static void
probe(void)
{
	static const struct plx_pci_id yes[] = {
		{0x1af4, PLX_PCI_ANY, PLX_PCI_ANY}, {PLX_PCI_ANY, PLX_PCI_ANY, 0x010802}, {0}};
	static const struct plx_pci_id no[] = {{0x4e58, 2, PLX_PCI_ANY}, {0x4e58, 1, 0x010803},
		{PLX_PCI_ANY, PLX_PCI_ANY, 0x01}, {0}};

	make();
	CHECK_EQ(run(plx_pci_probe(&pci)), 0);
	CHECK_EQ(pci.vendor, 0x4e58);
	CHECK_EQ(pci.device, 1);
	CHECK_EQ(pci.subvendor, 0x8086);
	CHECK_EQ(pci.subdevice, 0x1234);
	CHECK_EQ(pci.class_code, 0x010802);
	CHECK_EQ(pci.revision, 7);
	CHECK_EQ(pci.cap_pm, 0x40);
	CHECK_EQ(pci.cap_msix, 0x50);
	CHECK_EQ(pci.cap_pcie, 0x60);
	CHECK_EQ(pci.msix_count, 16);
	CHECK_EQ(pci.msix_bar, 4);
	CHECK_EQ(pci.msix_off, 0);
	CHECK_EQ(pci.pba_bar, 4);
	CHECK_EQ(pci.pba_off, 0x1000);
	CHECK(plx_pci_match(&pci, yes));
	CHECK(!plx_pci_match(&pci, no));
	CHECK_EQ(writes, 0);
	CHECK_EQ(plx_pci_poll(&pci), 0); /* nothing under way */
}

static void
no_capabilities(void)
{
	make();
	config[6] = 0; /* the list isn't to be looked at */
	CHECK_EQ(run(plx_pci_probe(&pci)), 0);
	CHECK_EQ(pci.cap_msix, 0);
	CHECK_EQ(plx_pci_msix_enable(&pci, true), -ENOTSUP);
	CHECK_EQ(writes, 0);
}

static void
enable(void)
{
	make();
	CHECK_EQ(run(plx_pci_enable(&pci, true)), 0);
	CHECK(memcmp(config + 4, "\x07\x04", 2) == 0);
	CHECK_EQ(write_off, 4);
	CHECK_EQ(write_len, 2);
	CHECK_EQ(writes, 1);
	CHECK_EQ(run(plx_pci_enable(&pci, false)), 0);
	CHECK(memcmp(config + 4, "\x03\x04", 2) == 0);
}

static void
msix(void)
{
	make();
	CHECK_EQ(run(plx_pci_probe(&pci)), 0);
	CHECK_EQ(run(plx_pci_msix_enable(&pci, true)), 0);
	CHECK(memcmp(config + 0x52, "\x0f\x80", 2) == 0); /* enabled, unmasked, size kept */
	CHECK_EQ(write_off, 0x52);
	CHECK_EQ(write_len, 2);
	CHECK_EQ(run(plx_pci_msix_enable(&pci, false)), 0);
	CHECK(memcmp(config + 0x52, "\x0f\x00", 2) == 0);
}

static int
probe_with(unsigned int at, uint8_t v)
{
	make();
	config[at] = v;
	return run(plx_pci_probe(&pci));
}

static void
bad_lists(void)
{
	CHECK_EQ(probe_with(0x61, 0x40), -EPROTO); /* a loop */
	CHECK_EQ(probe_with(0x41, 0x40), -EPROTO); /* to itself */
	CHECK_EQ(probe_with(0x61, 0x3c), -EPROTO); /* into the header */
	CHECK_EQ(probe_with(0x34, 0x10), -EPROTO);
	CHECK_EQ(probe_with(0x34, 0), 0);
	CHECK_EQ(pci.cap_pm, 0);
	CHECK_EQ(probe_with(0x61, 0xfc), 0); /* the last place is one */
	make();
	memset(config + 0x40, 0xff, sizeof(config) - 0x40);
	CHECK_EQ(run(plx_pci_probe(&pci)), -EPROTO);
}

static void
all_ones(void)
{
	make();
	memset(config, 0xff, sizeof(config));
	CHECK_EQ(run(plx_pci_probe(&pci)), -ENODEV);
	CHECK_EQ(run(plx_pci_enable(&pci, true)), -ENODEV);
	CHECK_EQ(writes, 0);
}

static void
header_types(void)
{
	CHECK_EQ(probe_with(0x0e, 0x80), 0); /* several functions */
	CHECK_EQ(probe_with(0x0e, 0x01), -EPROTO);
	CHECK_EQ(probe_with(0x0e, 0x02), -EPROTO);
}

/* An MSI-X that doesn't fit counts as none. */
static void
bad_msix(void)
{
	CHECK_EQ(probe_with(0x54, 0x05), 0); /* a BAR of no size */
	CHECK_EQ(pci.cap_msix, 0);
	CHECK_EQ(pci.msix_count, 0);
	CHECK_EQ(plx_pci_msix_enable(&pci, true), -ENOTSUP);
	CHECK_EQ(probe_with(0x54, 0x07), 0); /* not a BAR: config space */
	CHECK_EQ(pci.cap_msix, 0);
	CHECK_EQ(probe_with(0x57, 0xff), 0); /* far out */
	CHECK_EQ(pci.cap_msix, 0);
	CHECK_EQ(probe_with(0x55, 0x10), 0); /* ends beyond */
	CHECK_EQ(pci.cap_msix, 0);
	CHECK_EQ(probe_with(0x58, 0x0c), 0); /* PBA ends beyond */
	CHECK_EQ(pci.cap_msix, 0);
	CHECK_EQ(probe_with(0x53, 0x07), 0); /* 1808 vectors need more room */
	CHECK_EQ(pci.cap_msix, 0);
	/* cut off by the end of config space */
	make();
	config[0x34] = 0xfc;
	config[0xfc] = 0x11;
	CHECK_EQ(run(plx_pci_probe(&pci)), 0);
	CHECK_EQ(pci.cap_msix, 0);
}

static void
errors(void)
{
	make();
	fail = -EIO;
	CHECK_EQ(run(plx_pci_probe(&pci)), -EIO);
	CHECK_EQ(run(plx_pci_enable(&pci, true)), -EIO);
	CHECK_EQ(writes, 0);
	fail = 0;
	CHECK_EQ(run(plx_pci_probe(&pci)), 0);
	vfio.regions[7].size = 64;
	CHECK_EQ(run(plx_pci_probe(&pci)), -EINVAL);
	vfio.regions[7].size = 256;
	if (immediate)
		return;
	CHECK_EQ(plx_pci_enable(&pci, true), -EINPROGRESS);
	CHECK_EQ(plx_pci_enable(&pci, false), -EBUSY);
	CHECK_EQ(plx_pci_probe(&pci), -EBUSY);
	CHECK_EQ(run(-EINPROGRESS), 0);
	CHECK(memcmp(config + 4, "\x07\x04", 2) == 0);
	vfio.lost = -ENODEV;
	CHECK_EQ(plx_pci_enable(&pci, true), -ENODEV);
}

int
main(void)
{
	int i;

	/* a provider that answers at once, as the kernel does, and one that doesn't */
	for (i = 0; i < 2; i++) {
		immediate = i == 0;
		RUN(probe);
		RUN(no_capabilities);
		RUN(enable);
		RUN(msix);
		RUN(bad_lists);
		RUN(all_ones);
		RUN(header_types);
		RUN(bad_msix);
		RUN(errors);
	}
	return TEST_RESULT();
}
