/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VFIO_USER_SPEC_H
#define VFIO_USER_SPEC_H
/**
 * @file
 * The vfio-user wire format (protocol specification 0.9.2), shared by client and server.
 * Integers have the byte order of the host. Sizes are those of a message's parts without the
 * header, unless said otherwise. Region and interrupt flags and indexes are those of
 * linux/vfio.h, whose structures may be longer than what travels here.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#define VFIO_USER_MAJOR 0
#define VFIO_USER_MINOR 2 /* the newest 0.x whose messages these are */

/* "Commands" */
enum vfio_user_command {
	VFIO_USER_VERSION = 1,
	VFIO_USER_DMA_MAP = 2,
	VFIO_USER_DMA_UNMAP = 3,
	VFIO_USER_DEVICE_GET_INFO = 4,
	VFIO_USER_DEVICE_GET_REGION_INFO = 5,
	VFIO_USER_DEVICE_GET_REGION_IO_FDS = 6,
	VFIO_USER_DEVICE_GET_IRQ_INFO = 7,
	VFIO_USER_DEVICE_SET_IRQS = 8,
	VFIO_USER_REGION_READ = 9,
	VFIO_USER_REGION_WRITE = 10,
	VFIO_USER_DMA_READ = 11,  /* server to client */
	VFIO_USER_DMA_WRITE = 12, /* server to client */
	VFIO_USER_DEVICE_RESET = 13,
	VFIO_USER_REGION_WRITE_MULTI = 15,
	VFIO_USER_DEVICE_FEATURE = 16,
	VFIO_USER_MIG_DATA_READ = 17,
	VFIO_USER_MIG_DATA_WRITE = 18,
};

/* "Header": every message, both ways. */
struct vfio_user_header {
	uint16_t msg_id; /* the sender's choice; a reply repeats it */
	uint16_t command;
	uint32_t msg_size; /* with this header */
	uint32_t flags;
	uint32_t error_no; /* errno, in a reply with VFIO_USER_F_ERROR */
};
static_assert(sizeof(struct vfio_user_header) == 16, "vfio-user header");

#define VFIO_USER_F_TYPE_MASK 0xfu
#define VFIO_USER_F_TYPE_COMMAND 0u
#define VFIO_USER_F_TYPE_REPLY 1u
#define VFIO_USER_F_NO_REPLY 0x10u
#define VFIO_USER_F_ERROR 0x20u

/* VERSION, both ways; a NUL-terminated JSON text may follow. */
struct vfio_user_version {
	uint16_t major;
	uint16_t minor;
};
static_assert(sizeof(struct vfio_user_version) == 4, "VERSION");

/* Values of capabilities that the JSON text doesn't name. */
#define VFIO_USER_DEFAULT_MAX_MSG_FDS 1
#define VFIO_USER_DEFAULT_MAX_DATA_XFER_SIZE 1048576
#define VFIO_USER_DEFAULT_MAX_DMA_MAPS 65535
#define VFIO_USER_DEFAULT_PGSIZE 4096

/* One SCM_RIGHTS block holds no more (SCM_MAX_FD of Linux). */
#define VFIO_USER_SCM_MAX_FD 253

/* DMA_MAP; at most one fd; the reply is a header. */
struct vfio_user_dma_map {
	uint32_t argsz;
	uint32_t flags;
	uint64_t offset; /* in the file */
	uint64_t addr;   /* IOVA */
	uint64_t size;
};
static_assert(sizeof(struct vfio_user_dma_map) == 32, "DMA_MAP");

#define VFIO_USER_DMA_MAP_READ 1u
#define VFIO_USER_DMA_MAP_WRITE 2u

/* DMA_UNMAP, both ways. */
struct vfio_user_dma_unmap {
	uint32_t argsz;
	uint32_t flags;
	uint64_t addr;
	uint64_t size;
};
static_assert(sizeof(struct vfio_user_dma_unmap) == 24, "DMA_UNMAP");

#define VFIO_USER_DMA_UNMAP_GET_DIRTY 1u
#define VFIO_USER_DMA_UNMAP_ALL 2u

/* Follows DMA_UNMAP with GET_DIRTY, both ways; in the reply size bytes of bitmap follow. */
struct vfio_user_bitmap {
	uint64_t pgsize;
	uint64_t size; /* bytes */
};
static_assert(sizeof(struct vfio_user_bitmap) == 16, "dirty bitmap");

/* DEVICE_GET_INFO, both ways. */
struct vfio_user_device_info {
	uint32_t argsz;
	uint32_t flags; /* VFIO_DEVICE_FLAGS_ */
	uint32_t num_regions;
	uint32_t num_irqs;
};
static_assert(sizeof(struct vfio_user_device_info) == 16, "DEVICE_GET_INFO");

/* DEVICE_GET_REGION_INFO, both ways; capabilities may follow in the reply. */
struct vfio_user_region_info {
	uint32_t argsz;
	uint32_t flags; /* VFIO_REGION_INFO_FLAG_ */
	uint32_t index;
	uint32_t cap_offset; /* from the start of this structure */
	uint64_t size;
	uint64_t offset; /* for mmap */
};
static_assert(sizeof(struct vfio_user_region_info) == 32, "DEVICE_GET_REGION_INFO");

/* A capability's head. */
struct vfio_user_cap_header {
	uint16_t id; /* VFIO_REGION_INFO_CAP_ */
	uint16_t version;
	uint32_t next; /* from the start of the region info; 0 ends the list */
};
static_assert(sizeof(struct vfio_user_cap_header) == 8, "capability header");

struct vfio_user_sparse_area {
	uint64_t offset;
	uint64_t size;
};
static_assert(sizeof(struct vfio_user_sparse_area) == 16, "sparse area");

/* VFIO_REGION_INFO_CAP_SPARSE_MMAP, version 1. */
struct vfio_user_cap_sparse {
	struct vfio_user_cap_header header;
	uint32_t nr_areas;
	uint32_t reserved;
	struct vfio_user_sparse_area areas[];
};
static_assert(sizeof(struct vfio_user_cap_sparse) == 16, "sparse mmap capability");

/* DEVICE_GET_REGION_IO_FDS, both ways; count entries follow in the reply. */
struct vfio_user_region_io_fds {
	uint32_t argsz;
	uint32_t flags;
	uint32_t index;
	uint32_t count;
};
static_assert(sizeof(struct vfio_user_region_io_fds) == 16, "DEVICE_GET_REGION_IO_FDS");

/* DEVICE_GET_IRQ_INFO, both ways. */
struct vfio_user_irq_info {
	uint32_t argsz;
	uint32_t flags; /* VFIO_IRQ_INFO_ */
	uint32_t index;
	uint32_t count;
};
static_assert(sizeof(struct vfio_user_irq_info) == 16, "DEVICE_GET_IRQ_INFO");

/* DEVICE_SET_IRQS; data of DATA_BOOL follow, eventfds travel beside; the reply is a header. */
struct vfio_user_irq_set {
	uint32_t argsz;
	uint32_t flags; /* VFIO_IRQ_SET_ */
	uint32_t index;
	uint32_t start;
	uint32_t count;
};
static_assert(sizeof(struct vfio_user_irq_set) == 20, "DEVICE_SET_IRQS");

/* REGION_READ and REGION_WRITE, both ways; data follow in a write and in the reply to a read. */
struct vfio_user_region_access {
	uint64_t offset;
	uint32_t region;
	uint32_t count;
};
static_assert(sizeof(struct vfio_user_region_access) == 16, "REGION_READ, REGION_WRITE");

/* REGION_WRITE_MULTI, both ways; wr_cnt entries follow in the request. */
struct vfio_user_region_write_multi {
	uint64_t wr_cnt;
};
static_assert(sizeof(struct vfio_user_region_write_multi) == 8, "REGION_WRITE_MULTI");

struct vfio_user_write_multi_entry {
	uint64_t offset;
	uint32_t region;
	uint32_t count; /* bytes of data, up to 8 */
	uint8_t data[8];
};
static_assert(sizeof(struct vfio_user_write_multi_entry) == 24, "REGION_WRITE_MULTI entry");

/* DMA_READ and DMA_WRITE, both ways; data follow in a write and in the reply to a read. */
struct vfio_user_dma_access {
	uint64_t addr;
	uint64_t count;
};
static_assert(sizeof(struct vfio_user_dma_access) == 16, "DMA_READ, DMA_WRITE");

/* DEVICE_FEATURE, both ways; data may follow. */
struct vfio_user_device_feature {
	uint32_t argsz;
	uint32_t flags; /* VFIO_DEVICE_FEATURE_ */
};
static_assert(sizeof(struct vfio_user_device_feature) == 8, "DEVICE_FEATURE");

#endif
