/* SPDX-License-Identifier: BSD-3-Clause */
/* The client's memory: a sorted table of regions, mapped where they came with a file. */
#include <errno.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <rte_common.h>

#include "vfu_priv.h"

/* @return the first region that ends behind iova */
static uint32_t
lower_bound(const struct plx_vfu *v, uint64_t iova)
{
	uint32_t lo = 0, hi = v->nb_dma, mid;

	while (lo < hi) {
		mid = lo + (hi - lo) / 2;
		if (v->dma[mid].iova + (v->dma[mid].len - 1) < iova)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

bool
plx_vfu_dma_find(struct plx_vfu *v, uint64_t iova, struct plx_vfu_dma *out)
{
	uint32_t i = lower_bound(v, iova);
	const struct vfu_dma *r;

	if (i == v->nb_dma)
		return false;
	r = &v->dma[i];
	if (r->iova > iova || r->va == NULL)
		return false;
	*out = (struct plx_vfu_dma){r->iova, r->len, r->va, r->writable};
	return true;
}

/*
 * Only files whose pages can be had without anybody's consent, and only what the file holds now:
 * touching more raises SIGBUS, and a page of a FUSE file comes when its owner pleases.
 */
static int
check_file(int fd, uint64_t off, uint64_t len, size_t *page)
{
	struct statfs sfs;
	struct stat st;

	if (fstat(fd, &st) != 0 || fstatfs(fd, &sfs) != 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || sfs.f_type == FUSE_SUPER_MAGIC)
		return -EINVAL;
	if (off > (uint64_t)st.st_size || len > (uint64_t)st.st_size - off)
		return -EINVAL;
	/* hugetlbfs tells the size of its pages here, and maps only multiples of it */
	*page = (size_t)sysconf(_SC_PAGESIZE);
	if (st.st_blksize > (blksize_t)*page && rte_is_power_of_2((uint32_t)st.st_blksize))
		*page = (size_t)st.st_blksize;
	return 0;
}

static int
map_file(struct plx_vfu *v, struct vfu_dma *r, int fd, uint64_t off)
{
	int rc, prot = r->writable ? PROT_READ | PROT_WRITE : PROT_READ;
	struct vfu_map *map;
	uint64_t start;
	size_t page;

	rc = check_file(fd, off, r->len, &page);
	if (rc != 0)
		return rc;
	map = calloc(1, sizeof(*map));
	if (map == NULL)
		return -ENOMEM;
	start = RTE_ALIGN_FLOOR(off, page);
	map->len = RTE_ALIGN_CEIL(off + r->len, page) - start;
	map->base = mmap(NULL, map->len, prot, MAP_SHARED | MAP_NORESERVE, fd, (off_t)start);
	if (map->base == MAP_FAILED) {
		rc = -errno;
		free(map);
		return rc;
	}
	/* not into a core dump of ours */
	(void)madvise(map->base, map->len, MADV_DONTDUMP);
	map->guard = (struct plx_sigbus_range){
		.va = map->base, .len = map->len, .page = page, .hits = &v->gone};
	plx_sigbus_add(&map->guard);
	r->map = map;
	r->va = (uint8_t *)map->base + (off - start);
	return 0;
}

static void
unmap_file(struct vfu_dma *r)
{
	if (r->map == NULL)
		return;
	plx_sigbus_del(&r->map->guard);
	munmap(r->map->base, r->map->len);
	free(r->map);
}

static int
make_room(struct plx_vfu *v)
{
	uint32_t room = v->dma_room == 0 ? 16 : v->dma_room * 2;
	struct vfu_dma *p;

	if (v->nb_dma < v->dma_room)
		return 0;
	if (v->nb_dma >= VFU_MAX_DMA_MAPS)
		return -ENOSPC;
	p = realloc(v->dma, room * sizeof(*p));
	if (p == NULL)
		return -ENOMEM;
	v->dma = p;
	v->dma_room = room;
	return 0;
}

static bool
map_valid(const struct vfio_user_dma_map *req)
{
	const uint32_t known = VFIO_USER_DMA_MAP_READ | VFIO_USER_DMA_MAP_WRITE;

	return req->argsz >= sizeof(*req) && (req->flags & known) != 0 &&
	       (req->flags & ~known) == 0 && req->size != 0 &&
	       ((req->addr | req->size | req->offset) & (VFU_PGSIZE - 1)) == 0 &&
	       req->addr + (req->size - 1) >= req->addr;
}

int
vfu_dma_map(struct plx_vfu *v, struct vfu_msg *m)
{
	struct vfio_user_dma_map req;
	struct vfu_dma r = {0};
	uint32_t i;
	int rc;

	memcpy(&req, m->body, sizeof(req));
	if (!map_valid(&req) || m->nb_fds > 1)
		return -EINVAL;
	i = lower_bound(v, req.addr);
	if (i < v->nb_dma && v->dma[i].iova <= req.addr + (req.size - 1))
		return -EEXIST;
	rc = make_room(v);
	if (rc != 0)
		return rc;
	if (vfu_reply(v, 0) == NULL)
		return -ENOMEM;
	r.iova = req.addr;
	r.len = req.size;
	r.writable = (req.flags & VFIO_USER_DMA_MAP_WRITE) != 0;
	if (m->nb_fds == 1) {
		rc = map_file(v, &r, m->fds[0], req.offset);
		if (rc != 0)
			return rc;
	}
	memmove(&v->dma[i + 1], &v->dma[i], (v->nb_dma - i) * sizeof(r));
	v->dma[i] = r;
	v->nb_dma++;
	if (r.va != NULL && v->ops->dma_added != NULL)
		v->ops->dma_added(v->arg, r.iova, r.len);
	return 0;
}

/* The device model lets go first; len 0: of everything. 0 or -EINPROGRESS */
static int
let_go(struct plx_vfu *v, uint64_t iova, uint64_t len)
{
	if (v->ops->dma_gone == NULL)
		return 0;
	return v->ops->dma_gone(v->arg, iova, len) == -EINPROGRESS ? -EINPROGRESS : 0;
}

void
vfu_dma_clear(struct plx_vfu *v)
{
	uint32_t i;

	vfu_joins_drop(v, 0, UINT64_MAX);
	for (i = 0; i < v->nb_dma; i++)
		unmap_file(&v->dma[i]);
	free(v->dma);
	v->dma = NULL;
	v->nb_dma = v->dma_room = 0;
}

static int
reply_plain(struct plx_vfu *v, const struct vfio_user_dma_unmap *req)
{
	void *out = vfu_reply(v, sizeof(*req));

	if (out == NULL)
		return -ENOMEM;
	memcpy(out, req, sizeof(*req));
	return 0;
}

static int
unmap_all(struct plx_vfu *v, const struct vfio_user_dma_unmap *req)
{
	if (req->addr != 0 || req->size != 0)
		return -EINVAL;
	if (reply_plain(v, req) != 0)
		return -ENOMEM;
	if (v->nb_dma != 0 && let_go(v, 0, 0) != 0)
		return -EINPROGRESS;
	vfu_dma_clear(v);
	return 0;
}

/* Writes aren't tracked, so every page of the region counts as written. */
static int
reply_dirty(struct plx_vfu *v, struct vfu_msg *m, const struct vfio_user_dma_unmap *req)
{
	struct vfio_user_bitmap bm;
	uint64_t bits, i;
	uint8_t *out;

	if (m->len < sizeof(*req) + sizeof(bm))
		return -EINVAL;
	memcpy(&bm, m->body + sizeof(*req), sizeof(bm));
	if (bm.pgsize < VFU_PGSIZE || (bm.pgsize & (bm.pgsize - 1)) != 0 ||
		bm.size > VFU_MAX_XFER || req->argsz < sizeof(*req) + sizeof(bm) + bm.size)
		return -EINVAL;
	bits = (req->size - 1) / bm.pgsize + 1;
	if (bm.size < (bits + 63) / 64 * 8)
		return -EINVAL;
	out = vfu_reply(v, sizeof(*req) + sizeof(bm) + bm.size);
	if (out == NULL)
		return -ENOMEM;
	memcpy(out, req, sizeof(*req));
	memcpy(out + sizeof(*req), &bm, sizeof(bm));
	out += sizeof(*req) + sizeof(bm);
	memset(out, 0, bm.size);
	memset(out, 0xff, bits / 8);
	for (i = bits & ~7ull; i < bits; i++)
		out[i / 8] |= (uint8_t)(1u << (i & 7));
	return 0;
}

/*
 * The regions that lie in the range, first to end - 1, of which none may stick out. The protocol
 * knows of one at a time; QEMU takes away all of an address space when a guest turns its IOMMU on
 * or off, as it does with the kernel's VFIO.
 */
static int
covered(const struct plx_vfu *v, const struct vfio_user_dma_unmap *req, uint32_t *first,
	uint32_t *end)
{
	uint64_t last = req->addr + (req->size - 1);
	uint32_t i = lower_bound(v, req->addr);

	if (req->size == 0 || last < req->addr || i == v->nb_dma || v->dma[i].iova < req->addr)
		return -ENOENT;
	*first = i;
	while (i < v->nb_dma && v->dma[i].iova <= last) {
		if (last - v->dma[i].iova < v->dma[i].len - 1)
			return -ENOENT;
		i++;
	}
	*end = i;
	return i == *first ? -ENOENT : 0;
}

int
vfu_dma_unmap(struct plx_vfu *v, struct vfu_msg *m)
{
	struct vfio_user_dma_unmap req;
	uint32_t first, end, i;
	bool reached = false;
	int rc;

	memcpy(&req, m->body, sizeof(req));
	if (req.argsz < sizeof(req))
		return -EINVAL;
	if (req.flags == VFIO_USER_DMA_UNMAP_ALL)
		return unmap_all(v, &req);
	if ((req.flags & ~VFIO_USER_DMA_UNMAP_GET_DIRTY) != 0)
		return -EINVAL;
	rc = covered(v, &req, &first, &end);
	if (rc != 0)
		return rc;
	/* what can fail comes before the device model is asked: the reply is made first */
	rc = req.flags != 0 ? reply_dirty(v, m, &req) : reply_plain(v, &req);
	if (rc != 0)
		return rc;
	for (i = first; i < end; i++)
		reached |= v->dma[i].va != NULL;
	if (reached && let_go(v, req.addr, req.size) != 0)
		return -EINPROGRESS;
	vfu_joins_drop(v, req.addr, req.size);
	for (i = first; i < end; i++)
		unmap_file(&v->dma[i]);
	memmove(&v->dma[first], &v->dma[end], (v->nb_dma - end) * sizeof(v->dma[0]));
	v->nb_dma -= end - first;
	return 0;
}
