/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VBLK_SPEC_H
#define VBLK_SPEC_H
/* The block device (Virtio 1.2, 5.2), as far as <linux/virtio_blk.h> of Linux 6.1 lacks it. */
#include <assert.h>
#include <stdint.h>

#include <linux/virtio_blk.h>

#ifndef VIRTIO_BLK_F_LIFETIME
#define VIRTIO_BLK_F_LIFETIME 15
#endif
#ifndef VIRTIO_BLK_F_ZONED
#define VIRTIO_BLK_F_ZONED 17
#endif

/* Configuration space whole; fields of features that aren't there read as 0. */
struct vblk_config {
	uint64_t capacity; /* in 512-byte sectors, as all that follows */
	uint32_t size_max, seg_max;
	uint16_t cylinders;
	uint8_t heads, sectors;
	uint32_t blk_size;
	uint8_t physical_block_exp, alignment_offset;
	uint16_t min_io_size;
	uint32_t opt_io_size;
	uint8_t writeback, unused0;
	uint16_t num_queues;
	uint32_t max_discard_sectors, max_discard_seg, discard_sector_alignment;
	uint32_t max_write_zeroes_sectors, max_write_zeroes_seg;
	uint8_t write_zeroes_may_unmap, unused1[3];
	uint32_t max_secure_erase_sectors, max_secure_erase_seg, secure_erase_sector_alignment;
	uint32_t zone_sectors, max_open_zones, max_active_zones, max_append_sectors;
	uint32_t write_granularity; /* bytes */
	uint8_t zone_model, unused2[3];
} __attribute__((packed));
static_assert(sizeof(struct vblk_config) == 96, "5.2.4");

enum vblk_type {
	VBLK_T_IN = 0,
	VBLK_T_OUT = 1,
	VBLK_T_FLUSH = 4,
	VBLK_T_GET_ID = 8,
	VBLK_T_GET_LIFETIME = 10,
	VBLK_T_DISCARD = 11,
	VBLK_T_WRITE_ZEROES = 13,
	VBLK_T_SECURE_ERASE = 14,
	VBLK_T_ZONE_APPEND = 15,
	VBLK_T_ZONE_REPORT = 16,
	VBLK_T_ZONE_OPEN = 18,
	VBLK_T_ZONE_CLOSE = 20,
	VBLK_T_ZONE_FINISH = 22,
	VBLK_T_ZONE_RESET = 24,
	VBLK_T_ZONE_RESET_ALL = 26,
};

enum vblk_status {
	VBLK_S_OK = 0,
	VBLK_S_IOERR = 1,
	VBLK_S_UNSUPP = 2,
	VBLK_S_ZONE_INVALID_CMD = 3,
	VBLK_S_ZONE_UNALIGNED_WP = 4,
	VBLK_S_ZONE_OPEN_RESOURCE = 5,
	VBLK_S_ZONE_ACTIVE_RESOURCE = 6,
	VBLK_S_UNSET = 0xff, /* ours: the device wrote none */
};

struct vblk_header {
	uint32_t type, reserved;
	uint64_t sector;
};
static_assert(sizeof(struct vblk_header) == 16, "5.2.6");

/* The data of discard, write zeroes and secure erase. */
struct vblk_range {
	uint64_t sector;
	uint32_t num_sectors, flags;
};
#define VBLK_RANGE_UNMAP 1u
static_assert(sizeof(struct vblk_range) == 16, "5.2.6");

#define VBLK_ID_BYTES 20
struct vblk_lifetime {
	uint16_t pre_eol_info;         /* 1 normal, 2 80% of spares used, 3 90% */
	uint16_t est_typ_a, est_typ_b; /* tenths of its life used up, 11: beyond it */
};
static_assert(sizeof(struct vblk_lifetime) == 6, "5.2.6.2");

#define VBLK_MODEL_HOST_MANAGED 1

#endif
