/* SPDX-License-Identifier: BSD-3-Clause */
/* What sysfs says about PCI functions, whoever drives them. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plx_pci.h"

static bool
read_hex(const char *bdf, const char *file, uint32_t *v)
{
	char path[128];
	FILE *f;
	bool ok;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/%s", bdf, file);
	f = fopen(path, "re");
	if (f == NULL)
		return false;
	ok = fscanf(f, "%x", v) == 1;
	fclose(f);
	return ok;
}

int
plx_pci_address(const char *text, char bdf[PLX_PCI_ADDRESS_LEN])
{
	unsigned int dom = 0, bus, dev, fn;
	int n = 0;

	if (sscanf(text, "%4x:%2x:%2x.%1u%n", &dom, &bus, &dev, &fn, &n) != 4) {
		dom = 0;
		n = 0;
		if (sscanf(text, "%2x:%2x.%1u%n", &bus, &dev, &fn, &n) != 3)
			return -EINVAL;
	}
	if (text[n] != '\0' || dev > 0x1f || fn > 7)
		return -EINVAL;
	snprintf(bdf, PLX_PCI_ADDRESS_LEN, "%04x:%02x:%02x.%u", dom & 0xffff, bus & 0xff, dev, fn);
	return 0;
}

int
plx_pci_sysfs_ids(const char *bdf, struct plx_pci *pci)
{
	uint32_t vendor, device, class_code;

	memset(pci, 0, sizeof(*pci));
	if (!read_hex(bdf, "vendor", &vendor) || !read_hex(bdf, "device", &device) ||
		!read_hex(bdf, "class", &class_code))
		return -ENOENT;
	pci->vendor = (uint16_t)vendor;
	pci->device = (uint16_t)device;
	pci->class_code = class_code;
	return 0;
}
