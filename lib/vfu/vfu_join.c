/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Client memory that is contiguous for the device, but came in several pieces, as a guest's queue
 * does whose IOMMU has pages of 4 KiB: mapped once more, side by side.
 *
 * A join lasts until one of its pieces goes, so nobody need let go of it, and who asks for the same
 * range again gets the same. Hugepages can't be cut into pieces, and are not joined.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include <rte_common.h>

#include "vfu_priv.h"

struct vfu_join {
	struct vfu_join *next;
	uint64_t iova, len;
	bool writable;
	void *va;
	struct plx_sigbus_range guard;
};

/* A second mapping of shared memory that is mapped already (mremap(2), old_size 0). */
static bool
map_again(struct plx_vfu *v, struct vfu_join *j)
{
	struct plx_vfu_dma d;
	uint64_t off, at, n;

	for (off = 0; off < j->len; off += n) {
		if (!plx_vfu_dma_find(v, j->iova + off, &d) || (j->writable && !d.writable))
			return false;
		at = j->iova + off - d.iova;
		n = RTE_MIN(d.len - at, j->len - off);
		if (mremap(d.va + at, 0, n, MREMAP_MAYMOVE | MREMAP_FIXED,
			    (uint8_t *)j->va + off) == MAP_FAILED)
			return false;
	}
	return true;
}

static void
drop(struct plx_vfu *v, struct vfu_join *j)
{
	plx_sigbus_del(&j->guard);
	munmap(j->va, j->len);
	free(j);
	v->nb_joins--;
}

static struct vfu_join *
make(struct plx_vfu *v, uint64_t iova, uint64_t len, bool write)
{
	struct vfu_join *j = calloc(1, sizeof(*j));

	if (j == NULL)
		return NULL;
	*j = (struct vfu_join){.iova = iova, .len = len, .writable = write};
	j->va = mmap(NULL, len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (j->va == MAP_FAILED) {
		free(j);
		return NULL;
	}
	v->nb_joins++;
	j->guard = (struct plx_sigbus_range){
		.va = j->va, .len = len, .page = VFU_PGSIZE, .hits = &v->gone};
	plx_sigbus_add(&j->guard);
	if (map_again(v, j)) {
		(void)madvise(j->va, len, MADV_DONTDUMP);
		return j;
	}
	drop(v, j);
	return NULL;
}

void *
plx_vfu_dma_join(struct plx_vfu *v, uint64_t iova, uint64_t len, bool write)
{
	struct vfu_join *j;

	if (iova % VFU_PGSIZE != 0 || len == 0 || len > VFU_MAX_XFER || iova + (len - 1) < iova)
		return NULL;
	len = RTE_ALIGN_CEIL(len, (uint64_t)VFU_PGSIZE);
	for (j = v->joins; j != NULL; j = j->next)
		if (j->iova == iova && j->len >= len && (j->writable || !write))
			return j->va;
	if (v->nb_joins >= VFU_MAX_JOINS)
		return NULL;
	j = make(v, iova, len, write);
	if (j == NULL)
		return NULL;
	j->next = v->joins;
	v->joins = j;
	return j->va;
}

void
vfu_joins_drop(struct plx_vfu *v, uint64_t iova, uint64_t len)
{
	struct vfu_join *j, **at = &v->joins;

	while ((j = *at) != NULL) {
		if (j->iova <= iova + (len - 1) && iova <= j->iova + (j->len - 1)) {
			*at = j->next;
			drop(v, j);
		} else {
			at = &j->next;
		}
	}
}
