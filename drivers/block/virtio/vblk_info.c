/* SPDX-License-Identifier: BSD-3-Clause */
/* What the device is: features, configuration space, and whether it is still the same. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <rte_byteorder.h>

#include "plx_log.h"
#include "vblk_priv.h"

PLX_LOG_USE(vblk);

#define BIT(n) (1ull << (n))
#define RING \
	(BIT(VIRTIO_RING_F_INDIRECT_DESC) | BIT(VIRTIO_RING_F_EVENT_IDX) | BIT(VIRTIO_F_IN_ORDER))
#define BLOCK                                                                                      \
	(BIT(VIRTIO_BLK_F_SIZE_MAX) | BIT(VIRTIO_BLK_F_SEG_MAX) | BIT(VIRTIO_BLK_F_RO) |           \
		BIT(VIRTIO_BLK_F_BLK_SIZE) | BIT(VIRTIO_BLK_F_FLUSH) |                             \
		BIT(VIRTIO_BLK_F_TOPOLOGY) | BIT(VIRTIO_BLK_F_CONFIG_WCE) | BIT(VIRTIO_BLK_F_MQ) | \
		BIT(VIRTIO_BLK_F_DISCARD) | BIT(VIRTIO_BLK_F_WRITE_ZEROES) |                       \
		BIT(VIRTIO_BLK_F_LIFETIME) | BIT(VIRTIO_BLK_F_SECURE_ERASE) |                      \
		BIT(VIRTIO_BLK_F_ZONED))

/* The features to ask for, of those offered: at attach all that is known here, later the same, but
 * write protection when it is there now: vblk_same() shall see it. */
uint64_t
vblk_want(const struct vblk *v)
{
	uint64_t want = RING | BLOCK;

	if (v->features != 0)
		return (v->features | BIT(VIRTIO_BLK_F_RO)) &
		       (RING | BLOCK | BIT(VIRTIO_F_RING_PACKED)) & v->vio->offered;
	if (v->packed)
		want |= BIT(VIRTIO_F_RING_PACKED);
	return want & v->vio->offered;
}

static uint32_t
block_size(const struct vblk *v)
{
	uint32_t bs = rte_le_to_cpu_32(v->cfg.blk_size);

	if (!vblk_has(v, VIRTIO_BLK_F_BLK_SIZE) || bs < 512 || bs > 65536 || !rte_is_power_of_2(bs))
		return 512;
	return bs;
}

/* Bytes of a data descriptor. QEMU's storage daemon offers the feature and says 0. */
uint32_t
vblk_size_max(const struct vblk *v)
{
	uint32_t max = rte_le_to_cpu_32(v->cfg.size_max);

	return vblk_has(v, VIRTIO_BLK_F_SIZE_MAX) && max != 0 ? max : VBLK_MAX_XFER;
}

/* After the first reading of the configuration: can it be used? */
int
vblk_check(struct vblk *v)
{
	const struct vblk_config *cfg = &v->cfg;
	uint64_t sectors = rte_le_to_cpu_64(cfg->capacity);
	const char *why = NULL;

	if (v->vio->device_id != 0 && v->vio->device_id != 2)
		why = "is no block device";
	else if (sectors == 0 || sectors > UINT64_MAX >> VBLK_SECTOR_SHIFT)
		why = "has no plausible size: it is empty, or no block device";
	else if (vblk_has(v, VIRTIO_BLK_F_SEG_MAX) && cfg->seg_max == 0)
		why = "takes no data segments (seg_max 0)";
	else if (vblk_size_max(v) < block_size(v))
		why = "takes segments shorter than a block only (size_max)";
	else if (vblk_has(v, VIRTIO_BLK_F_ZONED) && cfg->zone_model == VBLK_MODEL_HOST_MANAGED &&
		 rte_le_to_cpu_32(cfg->zone_sectors) << VBLK_SECTOR_SHIFT < block_size(v))
		why = "has zones shorter than a block";
	if (why == NULL)
		return 0;
	PLX_LOG(ERR, "virtio-blk: %s: %s: the device %s", v->dev->name, v->vio->name, why);
	return -EPROTO;
}

/* Flush means something where there may be a cache, unless it was told to be off (5.2.5.2). That
 * the device says it is off by itself is not enough: qemu-storage-daemon says so, and has one. */
static bool
cached(const struct vblk *v)
{
	if (vblk_has(v, VIRTIO_BLK_F_CONFIG_WCE) && v->want_cache != 0)
		return v->cfg.writeback != 0;
	return vblk_has(v, VIRTIO_BLK_F_FLUSH);
}

/* Blocks in a range command; 0: the device can't. */
static uint32_t
range_limit(
	const struct vblk *v, unsigned int feature, uint32_t sectors, uint32_t segs, uint32_t shift)
{
	if (!vblk_has(v, feature) || segs == 0)
		return 0;
	return rte_le_to_cpu_32(sectors) >> shift;
}

static void
fill_limits(struct vblk *v, uint32_t shift)
{
	struct plx_blk_info *info = &v->blk.info;
	const struct vblk_config *c = &v->cfg;
	uint64_t bytes = VBLK_MAX_XFER;
	uint32_t segs = VBLK_SEGS;

	segs = RTE_MIN(segs, v->max_queue_size - 2u);
	if (vblk_has(v, VIRTIO_BLK_F_SEG_MAX))
		segs = RTE_MIN(segs, rte_le_to_cpu_32(c->seg_max));
	bytes = RTE_MIN(bytes, (uint64_t)segs * vblk_size_max(v));
	info->max_segs = segs;
	info->max_nblk = (uint32_t)(bytes / info->block_size);
	info->max_discard_nblk = range_limit(
		v, VIRTIO_BLK_F_DISCARD, c->max_discard_sectors, c->max_discard_seg, shift);
	info->max_zeroes_nblk = range_limit(v, VIRTIO_BLK_F_WRITE_ZEROES,
		c->max_write_zeroes_sectors, c->max_write_zeroes_seg, shift);
	info->max_secure_erase_nblk = range_limit(v, VIRTIO_BLK_F_SECURE_ERASE,
		c->max_secure_erase_sectors, c->max_secure_erase_seg, shift);
}

static void
fill_zones(struct vblk *v, uint32_t shift)
{
	struct plx_blk_info *info = &v->blk.info;
	const struct vblk_config *c = &v->cfg;

	if (!vblk_has(v, VIRTIO_BLK_F_ZONED) || c->zone_model != VBLK_MODEL_HOST_MANAGED)
		return;
	info->zone_nblk = rte_le_to_cpu_32(c->zone_sectors) >> shift;
	info->nb_zones = (uint32_t)((info->nblocks + info->zone_nblk - 1) / info->zone_nblk);
	info->max_open_zones = rte_le_to_cpu_32(c->max_open_zones);
	info->max_active_zones = rte_le_to_cpu_32(c->max_active_zones);
	info->max_append_nblk =
		RTE_MIN(rte_le_to_cpu_32(c->max_append_sectors) >> shift, info->max_nblk);
	info->boundary_nblk = (uint32_t)info->zone_nblk;
	/* the unit of writing is what the zones say (5.2.4) */
	info->phys_block_size =
		RTE_MAX(info->phys_block_size, rte_le_to_cpu_32(c->write_granularity));
}

int
vblk_fill_info(struct vblk *v)
{
	struct plx_blk_info *info = &v->blk.info;
	uint32_t shift, queues = 1;
	uint16_t longest = (uint16_t)RTE_MIN(v->max_queue_size, 4096);

	info->block_size = block_size(v);
	shift = rte_bsf32(info->block_size) - VBLK_SECTOR_SHIFT;
	info->nblocks = rte_le_to_cpu_64(v->cfg.capacity) >> shift;
	info->phys_block_size = info->block_size;
	if (vblk_has(v, VIRTIO_BLK_F_TOPOLOGY) && v->cfg.physical_block_exp < 8)
		info->phys_block_size <<= v->cfg.physical_block_exp;
	if (vblk_has(v, VIRTIO_BLK_F_MQ))
		queues = RTE_MAX((uint32_t)rte_le_to_cpu_16(v->cfg.num_queues), 1u);
	if (v->vio->max_queues != 0)
		queues = RTE_MIN(queues, (uint32_t)v->vio->max_queues);
	if (v->want_queues > queues) {
		PLX_LOG(ERR, "virtio-blk: %s: queues=%u: the device has %u; ask for no more",
			v->dev->name, v->want_queues, queues);
		return -EINVAL;
	}
	if (v->want_queues != 0)
		queues = v->want_queues;
	info->max_queues = (uint16_t)RTE_MIN(queues, (uint32_t)VBLK_MAX_QUEUES);
	info->max_depth = vblk_has(v, VIRTIO_RING_F_INDIRECT_DESC) ? longest : longest / 3;
	info->numa_node = (int16_t)v->vio->numa_node;
	fill_limits(v, shift);
	info->caps = PLX_BLK_CAP_FUA | PLX_BLK_CAP_SGL;
	info->caps |= cached(v) ? PLX_BLK_CAP_FLUSH : 0;
	info->caps |= vblk_has(v, VIRTIO_BLK_F_RO) ? PLX_BLK_CAP_RDONLY : 0;
	info->caps |= info->max_discard_nblk != 0 ? PLX_BLK_CAP_DISCARD : 0;
	info->caps |= info->max_zeroes_nblk != 0 ? PLX_BLK_CAP_WRITE_ZEROES : 0;
	info->caps |= info->max_secure_erase_nblk != 0 ? PLX_BLK_CAP_SECURE_ERASE : 0;
	fill_zones(v, shift);
	snprintf(info->driver, sizeof(info->driver), "virtio");
	snprintf(info->name, sizeof(info->name), "%s", v->dev->name);
	return 0;
}

/* Other than in what may change while it runs: size and cache. */
static const char *
differs(const struct vblk *v)
{
	struct vblk_config a = v->cfg, b = v->fresh;

	a.capacity = b.capacity = 0;
	a.writeback = b.writeback = 0;
	a.num_queues = b.num_queues = 0;
	if (memcmp(&a, &b, sizeof(a)) != 0)
		return "other limits";
	if (rte_le_to_cpu_16(v->fresh.num_queues) < rte_le_to_cpu_16(v->cfg.num_queues))
		return "fewer queues";
	return NULL;
}

/* A device that was away, before it gets what was in flight: v->fresh is what it says now. */
int
vblk_same(struct vblk *v)
{
	const char *why = differs(v);

	if ((v->vio->features & ~v->features & BIT(VIRTIO_BLK_F_RO)) != 0)
		why = "write protection";
	else if (v->vio->features != v->features)
		why = "other features";
	else if (v->fresh.capacity != v->cfg.capacity)
		why = "another size";
	if (why == NULL)
		return 0;
	if (!v->told)
		PLX_LOG(ERR,
			"virtio-blk: %s: %s came back with %s (%#" PRIx64 ", %" PRIu64
			" sectors; before %#" PRIx64 ", %" PRIu64 "): refused; attach it anew, or "
			"start the one of before",
			v->dev->name, v->vio->name, why, v->vio->features,
			rte_le_to_cpu_64(v->fresh.capacity), v->features,
			rte_le_to_cpu_64(v->cfg.capacity));
	v->told = true;
	return -ESTALE;
}

/* v->fresh was read while the device runs, or after a reset: its size may be another. */
void
vblk_resize(struct vblk *v)
{
	uint64_t sectors = rte_le_to_cpu_64(v->fresh.capacity), nblocks;

	if (v->fresh.capacity == v->cfg.capacity)
		return;
	nblocks = sectors >> (rte_bsf32(v->blk.info.block_size) - VBLK_SECTOR_SHIFT);
	if (nblocks == 0 || sectors > UINT64_MAX >> VBLK_SECTOR_SHIFT) {
		PLX_LOG(ERR,
			"virtio-blk: %s: the device says that it has %" PRIu64
			" sectors now: ignored",
			v->dev->name, sectors);
		return;
	}
	v->cfg.capacity = v->fresh.capacity;
	plx_blk_resized(&v->blk, nblocks);
}
