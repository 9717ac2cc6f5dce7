/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <linux/vfio.h>

#include "vfio_priv.h"

/* Fixed layouts of linux/vfio.h, also those of vfio-user; copied out, since nothing is aligned. */
#define CAP_MAX_AREAS 4096

static int
refuse(const char **why, const char *text)
{
	*why = text;
	return -EPROTO;
}

static bool
overlaps(const uint8_t *raw, uint32_t n, const struct vfio_region_sparse_mmap_area *a)
{
	struct vfio_region_sparse_mmap_area b;
	uint32_t i;

	for (i = 0; i < n; i++) {
		memcpy(&b, raw + i * sizeof(b), sizeof(b));
		if (b.size != 0 && a->offset < b.offset + b.size && b.offset < a->offset + a->size)
			return true;
	}
	return false;
}

/* raw: the capability from its header on, room bytes of it received */
static int
parse_sparse(struct plx_vfio_region *r, const uint8_t *raw, size_t room, const char **why)
{
	const uint64_t page_mask = (uint64_t)sysconf(_SC_PAGESIZE) - 1;
	struct vfio_region_info_cap_sparse_mmap cap;
	struct vfio_region_sparse_mmap_area a;
	uint32_t i;

	if (room < sizeof(cap))
		return refuse(why, "a sparse mmap capability is cut off");
	memcpy(&cap, raw, sizeof(cap));
	if (cap.nr_areas > CAP_MAX_AREAS || cap.nr_areas > (room - sizeof(cap)) / sizeof(a))
		return refuse(why, "a sparse mmap capability holds fewer areas than it says");
	raw += sizeof(cap);
	r->nb_areas = 0;
	for (i = 0; i < cap.nr_areas; i++) {
		memcpy(&a, raw + i * sizeof(a), sizeof(a));
		if (a.size == 0)
			continue;
		if (a.offset > r->size || a.size > r->size - a.offset)
			return refuse(why, "a mappable area lies outside the region");
		if (((a.offset | a.size) & page_mask) != 0)
			return refuse(why, "a mappable area is not page aligned");
		if (overlaps(raw, i, &a))
			return refuse(why, "mappable areas overlap");
		/* what doesn't fit here is reached by read and write */
		if (r->nb_areas < PLX_VFIO_AREAS)
			r->areas[r->nb_areas++] =
				(struct plx_vfio_area){.off = a.offset, .size = a.size};
	}
	return 0;
}

static int
parse_caps(
	struct plx_vfio_region *r, const uint8_t *raw, size_t len, uint32_t pos, const char **why)
{
	size_t hops = len / sizeof(struct vfio_info_cap_header);
	struct vfio_info_cap_header h;
	bool sparse = false;
	int rc;

	for (; pos != 0; pos = h.next) {
		if (hops-- == 0)
			return refuse(why, "the capability list has a loop");
		if (pos < sizeof(struct vfio_region_info) || pos > len || len - pos < sizeof(h))
			return refuse(why, "a capability lies outside the region info");
		memcpy(&h, raw + pos, sizeof(h));
		if (h.id != VFIO_REGION_INFO_CAP_SPARSE_MMAP || h.version != 1)
			continue;
		if (sparse)
			return refuse(why, "there are two sparse mmap capabilities");
		sparse = true;
		rc = parse_sparse(r, raw + pos, len - pos, why);
		if (rc != 0)
			return rc;
	}
	return 0;
}

int
vfio_region_parse(struct plx_vfio_region *r, const void *info, size_t len, const char **why)
{
	struct vfio_region_info fix;

	memcpy(&fix, info, sizeof(fix));
	memset(r, 0, sizeof(*r));
	r->size = fix.size;
	r->flags = fix.flags & (VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE |
				       VFIO_REGION_INFO_FLAG_MMAP);
	if ((fix.flags & VFIO_REGION_INFO_FLAG_MMAP) == 0 || fix.size == 0)
		return 0;
	r->areas[0] = (struct plx_vfio_area){.off = 0, .size = fix.size};
	r->nb_areas = 1;
	if ((fix.flags & VFIO_REGION_INFO_FLAG_CAPS) == 0)
		return 0;
	return parse_caps(r, info, len, fix.cap_offset, why);
}

/* Reads of what the peer takes away find all ones, as those of a device that left do. */
static void
watch(struct plx_vfio_dev *dev, struct plx_vfio_area *a, const struct stat *st)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), blk = (size_t)st->st_blksize;

	/* a huge page goes as a whole */
	if (blk > page && a->size % blk == 0 && (uintptr_t)a->va % blk == 0)
		page = blk;
	a->guard = (struct plx_sigbus_range){
		.va = a->va, .len = a->size, .page = page, .fill = 0xff, .hits = &dev->gone};
	plx_sigbus_add(&a->guard);
}

/* A character device, or the nameless file that the kernel makes for a device of a group. */
static bool
is_device(const struct stat *st)
{
	return S_ISCHR(st->st_mode) || (st->st_mode & S_IFMT) == 0;
}

/* A store beyond the end of a file is SIGBUS: only devices are taken at their word. */
static int
map_area(struct plx_vfio_dev *dev, struct plx_vfio_area *a, int fd, int prot, uint64_t offset,
	const char **why)
{
	uint64_t end;
	struct stat st;
	void *va;

	if (__builtin_add_overflow(offset, a->off, &offset) ||
		__builtin_add_overflow(offset, a->size, &end) || end > INT64_MAX)
		return refuse(why, "a mappable area's file offset is out of range");
	*why = "a mappable area can't be mapped";
	if (fstat(fd, &st) != 0)
		return -errno;
	if (!is_device(&st) && end > (uint64_t)st.st_size)
		return refuse(why, "a mappable area is longer than the file behind it");
	/* kept: it may be shared with other processes */
	a->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (a->fd < 0)
		return -errno;
	va = mmap(NULL, a->size, prot, MAP_SHARED, fd, (off_t)offset);
	if (va == MAP_FAILED) {
		int rc = -errno;

		close(a->fd);
		return rc;
	}
	a->va = va;
	watch(dev, a, &st);
	return 0;
}

static void
unmap(struct plx_vfio_region *r)
{
	uint32_t i;

	for (i = 0; i < r->nb_areas; i++) {
		if (r->areas[i].va == NULL)
			continue;
		plx_sigbus_del(&r->areas[i].guard);
		munmap(r->areas[i].va, r->areas[i].size);
		close(r->areas[i].fd);
	}
	r->nb_areas = 0;
}

int
vfio_region_map(struct plx_vfio_dev *dev, unsigned int region, const int *fds, unsigned int nfds,
	uint64_t offset, const char **why)
{
	struct plx_vfio_region *r = &dev->regions[region];
	uint32_t i;
	int prot = 0, rc;

	if (nfds != 1 && nfds < r->nb_areas)
		return refuse(why, "there are more mappable areas than file descriptors");
	if ((r->flags & VFIO_REGION_INFO_FLAG_READ) != 0)
		prot |= PROT_READ;
	if ((r->flags & VFIO_REGION_INFO_FLAG_WRITE) != 0)
		prot |= PROT_WRITE;
	r->fd_off = offset;
	for (i = 0; i < r->nb_areas; i++) {
		rc = map_area(dev, &r->areas[i], fds[nfds == 1 ? 0 : i], prot, offset, why);
		if (rc != 0) {
			unmap(r);
			return rc;
		}
	}
	return 0;
}

void
vfio_regions_unmap(struct plx_vfio_dev *dev)
{
	unsigned int i;

	for (i = 0; i < PLX_VFIO_REGIONS; i++)
		unmap(&dev->regions[i]);
}
