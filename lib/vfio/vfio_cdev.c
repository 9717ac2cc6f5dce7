/* SPDX-License-Identifier: BSD-3-Clause */
/* Devices by a character device of their own and iommufd, Linux 6.6 and later. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_common.h>

#include "plx_log.h"
#include "vfio_iommufd_spec.h"
#include "vfio_kernel_priv.h"

PLX_LOG_USE(vfio);

#define RANGES_MAX 4096

/* ---- memory ---- */

static int
cdev_map(void *ctx, const struct plx_mem_seg *seg, uint64_t iova)
{
	const struct vfio_space *s = ctx;
	struct vfio_ioas_map m = {
		.size = sizeof(m),
		.flags =
			VFIO_IOAS_MAP_FIXED_IOVA | VFIO_IOAS_MAP_READABLE | VFIO_IOAS_MAP_WRITEABLE,
		.ioas_id = s->ioas,
		.user_va = seg->va,
		.length = seg->len,
		.iova = iova,
	};
	int err;

	if (s->iommu < 0 || ioctl(s->iommu, VFIO_IOC_IOAS_MAP, &m) == 0)
		return 0;
	err = errno;
	if (err == ENOMEM)
		vfio_space_no_memory(s, seg->len);
	return -err;
}

static int
cdev_unmap(void *ctx, uint64_t iova, size_t len)
{
	const struct vfio_space *s = ctx;
	struct vfio_ioas_unmap m = {
		.size = sizeof(m), .ioas_id = s->ioas, .iova = iova, .length = len};

	return s->iommu < 0 || ioctl(s->iommu, VFIO_IOC_IOAS_UNMAP, &m) == 0 ? 0 : -errno;
}

static const struct plx_mem_domain_ops cdev_domain_ops = {
	.map = cdev_map,
	.unmap = cdev_unmap,
};

/* The first call says how many there are. */
static int
get_ranges(const struct vfio_space *s, struct vfio_ioas_iova_ranges *q)
{
	struct plx_iova_range *r;

	*q = (struct vfio_ioas_iova_ranges){.size = sizeof(*q), .ioas_id = s->ioas};
	if (ioctl(s->iommu, VFIO_IOC_IOAS_IOVA_RANGES, q) != 0 && errno != EMSGSIZE)
		return -errno;
	if (q->num_iovas == 0 || q->num_iovas > RANGES_MAX)
		return -ENOSPC;
	r = calloc(q->num_iovas, sizeof(*r));
	if (r == NULL)
		return -ENOMEM;
	q->allowed_iovas = (uintptr_t)r;
	if (ioctl(s->iommu, VFIO_IOC_IOAS_IOVA_RANGES, q) == 0)
		return 0;
	free(r);
	return -EIO;
}

/* Once a device is attached: only then are the IOMMU's page size and its holes known. */
static int
create_domain(struct vfio_space *s)
{
	struct vfio_ioas_iova_ranges q;
	struct plx_mem_domain_conf conf = {
		.name = s->name, .ops = &cdev_domain_ops, .ctx = s, .immediate = true};
	int rc = get_ranges(s, &q);

	if (rc != 0) {
		PLX_LOG(ERR, "vfio: %s: no I/O addresses: %s", s->name, strerror(-rc));
		return rc;
	}
	conf.min_page = RTE_MAX((uint64_t)sysconf(_SC_PAGESIZE), q.out_iova_alignment);
	conf.iova = (const struct plx_iova_range *)(uintptr_t)q.allowed_iovas;
	conf.nb_iova = q.num_iovas;
	rc = plx_mem_domain_create(&conf, &s->domain);
	free((void *)(uintptr_t)q.allowed_iovas);
	return rc;
}

/* ---- opening ---- */

static int
open_node(const char *name, const char *node, const char *missing, int *fd)
{
	char path[PATH_MAX], way[160];
	int err;

	*fd = open(vfio_path(path, sizeof(path), "%s", node), O_RDWR | O_CLOEXEC);
	if (*fd >= 0)
		return 0;
	err = errno;
	if (err == EACCES || err == EPERM)
		snprintf(way, sizeof(way),
			"run as root, or give yourself the node, as root: plx-devbind --bind "
			"vfio-pci --user $USER %s",
			name);
	else
		snprintf(way, sizeof(way), "%s", missing);
	PLX_LOG(ERR, "vfio: %s: can't open %s: %s; %s", name, node, strerror(err), way);
	return -err;
}

static int
bind_failed(const struct vfio_kernel *k, int err)
{
	char bdf[64], driver[64], way[192];

	if (err == EPERM && vfio_sysfs_foreigner(k->space->group, bdf, driver, sizeof(bdf)))
		PLX_LOG(ERR,
			"vfio: %s: can't have group %d: %s is still bound to '%s'; as root: "
			"plx-devbind --bind vfio-pci %s, or --unbind %s",
			k->dev.name, k->space->group, bdf, driver, bdf, bdf);
	else if (err == EPERM)
		PLX_LOG(ERR,
			"vfio: %s: another has a device of group %d, or the platform can't "
			"isolate interrupts: turn on interrupt remapping in the firmware",
			k->dev.name, k->space->group);
	else {
		/* EINVAL: a node that is open elsewhere takes no second user; our own open of it
		 * must not be found */
		vfio_sysfs_holder(k->space->group, way, sizeof(way));
		PLX_LOG(ERR, "vfio: %s: can't have it: %s", k->dev.name,
			err == EBUSY || err == EINVAL ? way : strerror(err));
		return err == EINVAL ? -EBUSY : -err;
	}
	return -EBUSY;
}

static int
bind_device(struct vfio_kernel *k)
{
	struct vfio_bind_iommufd b = {.argsz = sizeof(b), .iommufd = k->space->iommu};
	int err;

	if (ioctl(k->fd, VFIO_IOC_BIND_IOMMUFD, &b) == 0)
		return 0;
	err = errno;
	close(k->fd);
	k->fd = -1;
	return bind_failed(k, err);
}

static int
alloc_ioas(struct vfio_space *s, const char *name)
{
	struct vfio_ioas_alloc a = {.size = sizeof(a)};
	int err;

	if (ioctl(s->iommu, VFIO_IOC_IOAS_ALLOC, &a) != 0) {
		err = errno;
		PLX_LOG(ERR, "vfio: %s: no I/O address space: %s", name, strerror(err));
		return -err;
	}
	s->ioas = a.out_ioas_id;
	return 0;
}

static int
attach_device(const struct vfio_kernel *k)
{
	struct vfio_attach_iommufd_pt a = {.argsz = sizeof(a), .pt_id = k->space->ioas};
	int err;

	if (ioctl(k->fd, VFIO_IOC_ATTACH_IOMMUFD_PT, &a) == 0)
		return 0;
	err = errno;
	PLX_LOG(ERR, "vfio: %s: can't attach it to an I/O address space: %s", k->dev.name,
		strerror(err));
	return -err;
}

static int
get_space(struct vfio_kernel *k, int group)
{
	int rc;

	k->space = vfio_space_find(group, true);
	if (k->space != NULL)
		return 0;
	k->space = vfio_space_new(group, true);
	if (k->space == NULL)
		return -ENOMEM;
	rc = open_node(
		k->dev.name, "/dev/iommu", "modprobe iommufd, or use vfio=group", &k->space->iommu);
	return rc == 0 ? alloc_ioas(k->space, k->dev.name) : rc;
}

int
vfio_cdev_open(struct vfio_kernel *k, int group, const char *cdev)
{
	char node[64];
	int rc;

	snprintf(node, sizeof(node), "/dev/vfio/devices/%s", cdev);
	rc = get_space(k, group);
	if (rc == 0)
		rc = open_node(k->dev.name, node,
			"the node is missing: is udev running? In a container, pass it in", &k->fd);
	if (rc == 0)
		rc = bind_device(k);
	if (rc == 0)
		rc = attach_device(k);
	if (rc == 0 && k->space->domain == NULL)
		rc = create_domain(k->space);
	return rc;
}
