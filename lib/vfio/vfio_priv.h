/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VFIO_PRIV_H
#define VFIO_PRIV_H
/**
 * @file
 * What providers of VFIO devices share: region information and mapping. The bytes come from a
 * peer and are believed only where they can do no harm.
 */
#include "plx_vfio.h"

/**
 * Take over a region info, struct vfio_region_info with the capabilities behind it: size, flags
 * and the areas that may be mapped, still without addresses.
 * @param len  bytes at info, at least the structure
 * @param why  set on error
 * @return 0; -EPROTO a capability list or an area that can't be
 */
int vfio_region_parse(struct plx_vfio_region *r, const void *info, size_t len, const char **why);

/**
 * Map the areas of a region. None mapped on error. Pages that the peer takes away later count in
 * dev->gone, when the program handles SIGBUS.
 * @param fds     one for all areas, or one an area; stay the caller's
 * @param offset  of the region in the file
 * @return 0; -EPROTO the file is too short, or nfds makes no sense; -errno of mmap
 */
int vfio_region_map(struct plx_vfio_dev *dev, unsigned int region, const int *fds,
	unsigned int nfds, uint64_t offset, const char **why);

/** Unmap every area of every region. */
void vfio_regions_unmap(struct plx_vfio_dev *dev);

#endif
