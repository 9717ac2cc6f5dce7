/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VFIO_IOMMUFD_SPEC_H
#define VFIO_IOMMUFD_SPEC_H
/**
 * @file
 * What linux/iommufd.h, and linux/vfio.h of Linux 6.6, define: their headers are newer than those
 * we build with. Kernel and program share these layouts; sizes are part of them.
 */
#include <assert.h>
#include <stdint.h>
#include <sys/ioctl.h>

#define VFIO_IOMMUFD_IO(n) _IO(';', n)

#define VFIO_IOC_BIND_IOMMUFD VFIO_IOMMUFD_IO(118)
struct vfio_bind_iommufd {
	uint32_t argsz, flags;
	int32_t iommufd;
	uint32_t out_devid;
};
static_assert(sizeof(struct vfio_bind_iommufd) == 16, "layout");

#define VFIO_IOC_ATTACH_IOMMUFD_PT VFIO_IOMMUFD_IO(119)
struct vfio_attach_iommufd_pt {
	uint32_t argsz, flags, pt_id;
};
static_assert(sizeof(struct vfio_attach_iommufd_pt) == 12, "layout");

#define VFIO_IOC_IOAS_ALLOC VFIO_IOMMUFD_IO(0x81)
struct vfio_ioas_alloc {
	uint32_t size, flags, out_ioas_id;
};
static_assert(sizeof(struct vfio_ioas_alloc) == 12, "layout");

#define VFIO_IOC_IOAS_IOVA_RANGES VFIO_IOMMUFD_IO(0x84)
struct vfio_ioas_iova_ranges {
	uint32_t size, ioas_id, num_iovas, reserved;
	uint64_t allowed_iovas; /* address of {u64 start, u64 last}[num_iovas] */
	uint64_t out_iova_alignment;
};
static_assert(sizeof(struct vfio_ioas_iova_ranges) == 32, "layout");

#define VFIO_IOC_IOAS_MAP VFIO_IOMMUFD_IO(0x85)
#define VFIO_IOAS_MAP_FIXED_IOVA 1
#define VFIO_IOAS_MAP_WRITEABLE 2
#define VFIO_IOAS_MAP_READABLE 4
struct vfio_ioas_map {
	uint32_t size, flags, ioas_id, reserved;
	uint64_t user_va, length, iova;
};
static_assert(sizeof(struct vfio_ioas_map) == 40, "layout");

#define VFIO_IOC_IOAS_UNMAP VFIO_IOMMUFD_IO(0x86)
struct vfio_ioas_unmap {
	uint32_t size, ioas_id;
	uint64_t iova, length;
};
static_assert(sizeof(struct vfio_ioas_unmap) == 24, "layout");

#endif
