/* SPDX-License-Identifier: BSD-3-Clause */
/* Which way to a PCI function of the kernel's VFIO, and what is in it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/vfio.h>

#include "plx_log.h"
#include "vfio_kernel_priv.h"
#include "vfio_priv.h"

PLX_LOG_USE(vfio);

#define NOIOMMU_KNOB "/sys/module/vfio/parameters/enable_unsafe_noiommu_mode"

static struct vfio_kernel *opened;

static int
no_iommu(const char *bdf, const char *verb)
{
	PLX_LOG(ERR,
		"vfio: %s: %s: turn on VT-d or AMD-Vi in the firmware and boot with "
		"intel_iommu=on; or, without any protection, as root: echo 1 > " NOIOMMU_KNOB
		", plx-devbind --bind vfio-pci %s, and vfio=noiommu",
		bdf, verb, bdf);
	return -ENODEV;
}

static int
not_bound(const char *bdf, const char *driver)
{
	char has[128] = "it has no driver";

	if (driver[0] != '\0')
		snprintf(has, sizeof(has), "it belongs to the kernel's driver '%s'", driver);
	PLX_LOG(ERR, "vfio: %s: %s; %sas root: plx-devbind --bind vfio-pci %s", bdf, has,
		driver[0] != '\0' ? "unmount what is on it, then " : "", bdf);
	return driver[0] != '\0' ? -EBUSY : -ENODEV;
}

/* @return its IOMMU group, or -errno, logged */
static int
check(const char *bdf, enum plx_vfio_mode mode)
{
	char driver[64];
	int group = vfio_sysfs_group(bdf);

	if (!vfio_path_exists("/sys/bus/pci/devices/%s", bdf)) {
		PLX_LOG(ERR, "vfio: %s: no such PCI function; lspci -D lists them", bdf);
		return -ENOENT;
	}
	vfio_sysfs_driver(bdf, driver, sizeof(driver));
	if (strstr(driver, "vfio") == NULL) {
		if (group < 0 && mode != PLX_VFIO_NOIOMMU)
			return no_iommu(bdf, "there is no IOMMU, or it is off");
		return not_bound(bdf, driver);
	}
	if (group < 0)
		return no_iommu(bdf, "it is in no IOMMU group");
	if (vfio_sysfs_noiommu(group) != (mode == PLX_VFIO_NOIOMMU)) {
		if (mode != PLX_VFIO_NOIOMMU)
			return no_iommu(bdf, "it is bound to vfio-pci without an IOMMU");
		PLX_LOG(ERR, "vfio: %s: an IOMMU protects it: use vfio=auto", bdf);
		return -EINVAL;
	}
	return group;
}

static int
open_by(struct vfio_kernel *k, enum plx_vfio_mode mode, int group)
{
	char cdev[32];
	bool has = vfio_sysfs_cdev(k->dev.name, cdev, sizeof(cdev));

	if (mode == PLX_VFIO_CDEV && !has) {
		PLX_LOG(ERR,
			"vfio: %s: this kernel has no character device for it (Linux 6.6 with "
			"VFIO_DEVICE_CDEV): use vfio=group",
			k->dev.name);
		return -ENOTSUP;
	}
	if (mode == PLX_VFIO_CDEV ||
		(mode == PLX_VFIO_AUTO && has && vfio_path_exists("/dev/iommu")))
		return vfio_cdev_open(k, group, cdev);
	return vfio_group_open(k, group, mode == PLX_VFIO_NOIOMMU);
}

/* From here on the address may be that of another device. */
void
vfio_kernel_cut(struct plx_vfio_dev *dev)
{
	struct vfio_kernel *k = (struct vfio_kernel *)dev, **at;
	unsigned int i;

	if (k->cut)
		return;
	k->cut = true;
	for (at = &opened; *at != NULL; at = &(*at)->next)
		if (*at == k) {
			*at = k->next;
			break;
		}
	/* a mapping keeps the device open; the kernel resets what it closes */
	vfio_regions_unmap(dev);
	if (k->fd >= 0)
		close(k->fd);
	for (i = 0; i < 2; i++)
		if (k->notice[i] >= 0)
			close(k->notice[i]);
	k->fd = k->notice[0] = k->notice[1] = -1;
	if (k->space != NULL)
		vfio_space_leave(k->space);
}

void
vfio_kernel_close(struct plx_vfio_dev *dev)
{
	struct vfio_kernel *k = (struct vfio_kernel *)dev;

	vfio_kernel_cut(dev);
	if (k->space != NULL)
		vfio_space_put(k->space);
	free(k);
}

static bool
is_open(const char *bdf)
{
	struct vfio_kernel *k;

	for (k = opened; k != NULL; k = k->next)
		if (strcmp(k->dev.name, bdf) == 0)
			return true;
	return false;
}

static struct vfio_kernel *
create(const char *bdf)
{
	struct vfio_kernel *k = calloc(1, sizeof(*k));

	if (k == NULL)
		return NULL;
	snprintf(k->dev.name, sizeof(k->dev.name), "%s", bdf);
	k->dev.ops = &vfio_kernel_ops;
	k->dev.numa_node = vfio_sysfs_numa(bdf);
	k->fd = k->notice[0] = k->notice[1] = -1;
	k->next = opened;
	opened = k;
	return k;
}

int
plx_vfio_pci_open(const char *bdf, enum plx_vfio_mode mode, struct plx_vfio_dev **dev)
{
	struct vfio_kernel *k;
	int group = check(bdf, mode), rc;

	if (group < 0)
		return group;
	if (is_open(bdf)) {
		PLX_LOG(ERR, "vfio: %s: this process has it attached already", bdf);
		return -EBUSY;
	}
	k = create(bdf);
	if (k == NULL)
		return -ENOMEM;
	k->dev.iommu = mode != PLX_VFIO_NOIOMMU;
	rc = open_by(k, mode, group);
	if (rc == 0)
		rc = vfio_kernel_setup(k);
	if (rc != 0) {
		vfio_kernel_close(&k->dev);
		return rc;
	}
	k->dev.domain = k->space->domain;
	*dev = &k->dev;
	return 0;
}
