/* SPDX-License-Identifier: BSD-3-Clause */
/* A device of another process, of which this one has a mapped region: enough for doorbells. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "plx_log.h"
#include "plx_mem.h"
#include "vfio_priv.h"

PLX_LOG_USE(vfio);

int
plx_vfio_share(
	const struct plx_vfio_dev *dev, unsigned int region, struct plx_vfio_share *share, int *fds)
{
	const struct plx_vfio_region *r = &dev->regions[region];

	if (region >= PLX_VFIO_REGIONS)
		return -EINVAL;
	*share = (struct plx_vfio_share){
		.size = r->size, .fd_off = r->fd_off, .flags = r->flags, .shmem = r->shmem};
	for (uint32_t i = 0; i < r->nb_areas; i++) {
		if (r->areas[i].va == NULL)
			continue;
		fds[share->nb_areas] = r->areas[i].fd;
		share->areas[share->nb_areas].off = r->areas[i].off;
		share->areas[share->nb_areas++].size = r->areas[i].size;
	}
	return share->nb_areas > 0 ? 0 : -ENOTSUP;
}

static int
none_poll(struct plx_vfio_dev *dev)
{
	return __atomic_load_n(&dev->lost, __ATOMIC_RELAXED) != 0 ? -ENODEV : 0;
}

static int
none_read(struct plx_vfio_dev *dev, unsigned int region, uint64_t off, void *buf, uint32_t len)
{
	return -EIO;
}

static int
none_write(
	struct plx_vfio_dev *dev, unsigned int region, uint64_t off, const void *buf, uint32_t len)
{
	return -EIO;
}

static void
none_post(struct plx_vfio_dev *dev, unsigned int region, uint64_t off, uint32_t v)
{
}

static void
shared_cut(struct plx_vfio_dev *dev)
{
	vfio_regions_unmap(dev);
}

static void
shared_close(struct plx_vfio_dev *dev)
{
	vfio_regions_unmap(dev);
	plx_mem_domain_destroy(dev->domain);
	free(dev);
}

/* irq_set and reset are never called: the device has no interrupts, and no flag for a reset. */
static const struct plx_vfio_ops shared_ops = {
	.name = "shared",
	.poll = none_poll,
	.region_read = none_read,
	.region_write = none_write,
	.region_post = none_post,
	.cut = shared_cut,
	.close = shared_close,
};

static int
map_areas(struct plx_vfio_dev *dev, unsigned int region, const struct plx_vfio_share *share,
	const int *fds)
{
	struct plx_vfio_region *r = &dev->regions[region];
	const char *why = "";
	int rc;

	r->size = share->size;
	r->flags = share->flags;
	r->shmem = share->shmem;
	r->nb_areas = share->nb_areas;
	for (uint32_t i = 0; i < share->nb_areas; i++)
		r->areas[i] = (struct plx_vfio_area){
			.off = share->areas[i].off, .size = share->areas[i].size};
	rc = vfio_region_map(dev, region, fds, share->nb_areas, share->fd_off, &why);
	if (rc != 0)
		PLX_LOG(ERR, "vfio: %s: region %u: %s", dev->name, region, why);
	return rc;
}

int
plx_vfio_shared_open(const char *name, unsigned int region, const struct plx_vfio_share *share,
	const int *fds, struct plx_mem_domain *domain, struct plx_vfio_dev **out)
{
	struct plx_vfio_dev *dev = calloc(1, sizeof(*dev));
	int rc = -ENOMEM;

	if (dev == NULL)
		goto fail;
	rc = -EPROTO;
	if (region >= PLX_VFIO_REGIONS || share->nb_areas == 0 || share->nb_areas > PLX_VFIO_AREAS)
		goto fail;
	dev->ops = &shared_ops;
	dev->domain = domain;
	dev->numa_node = -1;
	snprintf(dev->name, sizeof(dev->name), "%s", name);
	rc = map_areas(dev, region, share, fds);
	if (rc == 0) {
		*out = dev;
		return 0;
	}
fail:
	free(dev);
	plx_mem_domain_destroy(domain);
	return rc;
}
