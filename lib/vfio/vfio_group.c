/* SPDX-License-Identifier: BSD-3-Clause */
/* Devices by IOMMU group and container, the way of every kernel; and without an IOMMU. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/vfio.h>

#include <rte_eal.h>

#include "plx_log.h"
#include "vfio_kernel_priv.h"

PLX_LOG_USE(vfio);

#define INFO_MAX 65536

/* ---- memory ---- */

static int
group_map(void *ctx, const struct plx_mem_seg *seg, uint64_t iova)
{
	const struct vfio_space *s = ctx;
	struct vfio_iommu_type1_dma_map m = {
		.argsz = sizeof(m),
		.flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
		.vaddr = seg->va,
		.iova = iova,
		.size = seg->len,
	};
	int err;

	if (s->iommu < 0 || ioctl(s->iommu, VFIO_IOMMU_MAP_DMA, &m) == 0)
		return 0;
	err = errno;
	if (err == ENOMEM)
		vfio_space_no_memory(s, seg->len);
	else if (err == ENOSPC)
		PLX_LOG(ERR,
			"vfio: %s: no more mappings: use larger hugepages or "
			"--single-file-segments, or raise vfio_iommu_type1.dma_entry_limit",
			s->name);
	return -err;
}

static int
group_unmap(void *ctx, uint64_t iova, size_t len)
{
	const struct vfio_space *s = ctx;
	struct vfio_iommu_type1_dma_unmap m = {.argsz = sizeof(m), .iova = iova, .size = len};

	if (s->iommu < 0)
		return 0;
	if (ioctl(s->iommu, VFIO_IOMMU_UNMAP_DMA, &m) != 0)
		return -errno;
	return m.size == len ? 0 : -ENOENT;
}

static const struct plx_mem_domain_ops group_domain_ops = {
	.map = group_map,
	.unmap = group_unmap,
};
static const struct plx_mem_domain_ops phys_domain_ops = {0};

/* @return what the IOMMU can do, with its capabilities, of *len bytes; NULL: errno */
static struct vfio_iommu_type1_info *
iommu_info(int fd, size_t *len)
{
	struct vfio_iommu_type1_info *info = NULL, *p;

	for (*len = sizeof(*info);; *len = info->argsz) {
		p = realloc(info, *len);
		if (p == NULL)
			break;
		info = p;
		memset(info, 0, *len);
		info->argsz = (uint32_t)*len;
		if (ioctl(fd, VFIO_IOMMU_GET_INFO, info) != 0 || info->argsz > INFO_MAX)
			break;
		if (info->argsz <= *len)
			return info;
	}
	free(info);
	return NULL;
}

/* @return the capability, or NULL */
static const void *
find_cap(const struct vfio_iommu_type1_info *info, size_t len, uint16_t id, size_t size)
{
	uint32_t pos = (info->flags & VFIO_IOMMU_INFO_CAPS) != 0 ? info->cap_offset : 0;
	size_t hops = len / sizeof(struct vfio_info_cap_header);
	const struct vfio_info_cap_header *h;

	for (; pos != 0 && hops > 0 && pos <= len - sizeof(*h); pos = h->next, hops--) {
		h = (const void *)((const char *)info + pos);
		if (h->id == id)
			return len - pos >= size ? h : NULL;
	}
	return NULL;
}

/* The kernel's ranges are laid out as ours. */
static void
set_ranges(struct plx_mem_domain_conf *conf, const struct vfio_iommu_type1_info *info, size_t len)
{
	const struct vfio_iommu_type1_info_cap_iova_range *cap =
		find_cap(info, len, VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE, sizeof(*cap));
	size_t room;

	_Static_assert(sizeof(struct vfio_iova_range) == sizeof(struct plx_iova_range), "layout");
	if (cap == NULL)
		return;
	room = len - (size_t)((const char *)cap->iova_ranges - (const char *)info);
	if (cap->nr_iovas > room / sizeof(cap->iova_ranges[0]))
		return;
	conf->iova = (const struct plx_iova_range *)(const void *)cap->iova_ranges;
	conf->nb_iova = cap->nr_iovas;
}

static int
create_domain(struct vfio_space *s)
{
	const struct vfio_iommu_type1_info_dma_avail *avail;
	size_t len;
	struct vfio_iommu_type1_info *info = iommu_info(s->iommu, &len);
	struct plx_mem_domain_conf conf = {.name = s->name,
		.ops = &group_domain_ops,
		.ctx = s,
		.immediate = true,
		.min_page = (uint64_t)sysconf(_SC_PAGESIZE)};
	int rc;

	if (info == NULL) {
		PLX_LOG(ERR, "vfio: %s: the IOMMU says nothing of itself: %s", s->name,
			strerror(errno));
		return -EIO;
	}
	if ((info->flags & VFIO_IOMMU_INFO_PGSIZES) != 0 && info->iova_pgsizes != 0)
		conf.min_page =
			RTE_MAX(conf.min_page, info->iova_pgsizes & (0 - info->iova_pgsizes));
	set_ranges(&conf, info, len);
	avail = find_cap(info, len, VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL, sizeof(*avail));
	if (avail != NULL)
		conf.max_maps = avail->avail;
	rc = plx_mem_domain_create(&conf, &s->domain);
	free(info);
	return rc;
}

static int
create_phys_domain(struct vfio_space *s)
{
	return plx_mem_domain_create(&(struct plx_mem_domain_conf){.name = s->name,
					     .ops = &phys_domain_ops,
					     .min_page = (uint64_t)sysconf(_SC_PAGESIZE),
					     .immediate = true,
					     .phys = true},
		&s->domain);
}

/* ---- opening ---- */

static int
open_container(struct vfio_space *s, const char *name)
{
	char path[PATH_MAX];
	int err;

	s->iommu = open(vfio_path(path, sizeof(path), "/dev/vfio/vfio"), O_RDWR | O_CLOEXEC);
	if (s->iommu < 0) {
		err = errno;
		PLX_LOG(ERR, "vfio: %s: can't open /dev/vfio/vfio: %s; %s", name, strerror(err),
			err == EACCES ? "its mode is normally 0666: chmod it, or look at the "
					"container's device rules"
				      : "modprobe vfio-pci; in a container, pass the node in");
		return -err;
	}
	if (ioctl(s->iommu, VFIO_GET_API_VERSION) == VFIO_API_VERSION)
		return 0;
	PLX_LOG(ERR, "vfio: %s: the kernel's VFIO has another version than ours (%d)", name,
		VFIO_API_VERSION);
	return -EPROTONOSUPPORT;
}

static int
open_group_failed(const struct vfio_space *s, const char *name, const char *node, int err)
{
	char way[192];

	switch (err) {
	case EBUSY:
		vfio_sysfs_holder(s->group, way, sizeof(way));
		break;
	case EACCES:
		snprintf(way, sizeof(way),
			"run as root, or give yourself the node, as root: plx-devbind --bind "
			"vfio-pci --user $USER %s (and raise ulimit -l)",
			name);
		break;
	case EPERM:
		snprintf(way, sizeof(way), "without an IOMMU it takes root (CAP_SYS_RAWIO)");
		break;
	default:
		snprintf(way, sizeof(way),
			"%s: bind the device to vfio-pci again; in a container, pass the node in",
			strerror(err));
	}
	PLX_LOG(ERR, "vfio: %s: can't open %s: %s", name, node, way);
	return -err;
}

static int
not_viable(const struct vfio_space *s, const char *name)
{
	char bdf[64], driver[64];

	if (vfio_sysfs_foreigner(s->group, bdf, driver, sizeof(bdf)))
		PLX_LOG(ERR,
			"vfio: %s: group %d is not viable: %s is still bound to '%s'; as root: "
			"plx-devbind --bind vfio-pci %s, or --unbind %s",
			name, s->group, bdf, driver, bdf, bdf);
	else
		PLX_LOG(ERR,
			"vfio: %s: group %d is not viable: the kernel uses a device of it; see "
			"/sys/kernel/iommu_groups/%d/devices",
			name, s->group, s->group);
	return -EBUSY;
}

static int
open_group(struct vfio_space *s, const char *name, bool noiommu)
{
	struct vfio_group_status st = {.argsz = sizeof(st)};
	char node[64], path[PATH_MAX];

	snprintf(node, sizeof(node), "/dev/vfio/%s%d", noiommu ? "noiommu-" : "", s->group);
	s->group_fd = open(vfio_path(path, sizeof(path), "%s", node), O_RDWR | O_CLOEXEC);
	if (s->group_fd < 0)
		return open_group_failed(s, name, node, errno);
	if (ioctl(s->group_fd, VFIO_GROUP_GET_STATUS, &st) != 0)
		return open_group_failed(s, name, node, errno);
	return (st.flags & VFIO_GROUP_FLAGS_VIABLE) != 0 ? 0 : not_viable(s, name);
}

static int
set_iommu_failed(const struct vfio_space *s, const char *name, int err)
{
	const char *way = strerror(err);

	if (err == ENODEV)
		way = "no driver for this kind of IOMMU: modprobe vfio_iommu_type1";
	else if (err == EPERM)
		way = "the platform can't isolate interrupts: turn on interrupt remapping in the "
		      "firmware, or, at your risk, vfio_iommu_type1.allow_unsafe_interrupts=1";
	PLX_LOG(ERR, "vfio: %s: can't use the IOMMU of group %d: %s", name, s->group, way);
	return -err;
}

static int
join(struct vfio_space *s, const char *name, bool noiommu)
{
	int type = VFIO_NOIOMMU_IOMMU, err;
	char way[192];

	if (ioctl(s->group_fd, VFIO_GROUP_SET_CONTAINER, &s->iommu) != 0) {
		err = errno;
		if (err == EPERM)
			return not_viable(s, name);
		vfio_sysfs_holder(s->group, way, sizeof(way));
		PLX_LOG(ERR, "vfio: %s: group %d can't join a container: %s", name, s->group,
			err == EBUSY ? way : strerror(err));
		return -err;
	}
	if (!noiommu)
		type = ioctl(s->iommu, VFIO_CHECK_EXTENSION, VFIO_TYPE1v2_IOMMU) > 0
			       ? VFIO_TYPE1v2_IOMMU
			       : VFIO_TYPE1_IOMMU;
	if (ioctl(s->iommu, VFIO_SET_IOMMU, type) != 0)
		return set_iommu_failed(s, name, errno);
	return 0;
}

static int
open_space(struct vfio_space *s, const char *name, bool noiommu)
{
	int rc = open_container(s, name);

	if (rc == 0)
		rc = open_group(s, name, noiommu);
	if (rc == 0)
		rc = join(s, name, noiommu);
	if (rc == 0)
		rc = noiommu ? create_phys_domain(s) : create_domain(s);
	return rc;
}

/* The kernel tries to reset the function here. */
static int
open_device(struct vfio_kernel *k)
{
	const char *way;
	int err;

	k->fd = ioctl(k->space->group_fd, VFIO_GROUP_GET_DEVICE_FD, k->dev.name);
	if (k->fd >= 0)
		return 0;
	err = errno;
	switch (err) {
	case EACCES:
	case EINVAL:
		way = "a virtual function whose physical function is in user space as well takes "
		      "a token, which is not supported";
		break;
	case EAGAIN:
	case EBUSY:
		way = "it is being reset or handed over: try again";
		break;
	default:
		way = "look at dmesg for what vfio-pci says of it";
	}
	PLX_LOG(ERR, "vfio: %s: can't open it in group %d: %s; %s", k->dev.name, k->space->group,
		strerror(err), way);
	return -err;
}

static int
check_noiommu(const struct vfio_kernel *k)
{
	if (!rte_eal_has_hugepages()) {
		PLX_LOG(ERR,
			"vfio: %s: without an IOMMU the device needs memory that never moves: "
			"reserve hugepages (echo 256 > /proc/sys/vm/nr_hugepages) and start EAL "
			"with them",
			k->dev.name);
		return -ENOTSUP;
	}
	PLX_LOG(WARNING,
		"vfio: %s: NO IOMMU: a wrong address, from a bug or from the device, overwrites "
		"any memory of this machine",
		k->dev.name);
	return 0;
}

int
vfio_group_open(struct vfio_kernel *k, int group, bool noiommu)
{
	int rc = noiommu ? check_noiommu(k) : 0;

	if (rc != 0)
		return rc;
	k->space = vfio_space_find(group, false);
	if (k->space == NULL) {
		k->space = vfio_space_new(group, false);
		if (k->space == NULL)
			return -ENOMEM;
		rc = open_space(k->space, k->dev.name, noiommu);
	}
	return rc == 0 ? open_device(k) : rc;
}
