/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VHOST_USER_SPEC_H
#define VHOST_USER_SPEC_H
/* The vhost-user protocol (QEMU, docs/interop/vhost-user.rst): messages in the host's byte order,
 * file descriptors with the header. */
#include <assert.h>
#include <stdint.h>

enum vhu_request {
	VHU_GET_FEATURES = 1,
	VHU_SET_FEATURES = 2,
	VHU_SET_OWNER = 3,
	VHU_SET_MEM_TABLE = 5,
	VHU_SET_VRING_NUM = 8,
	VHU_SET_VRING_ADDR = 9,
	VHU_SET_VRING_BASE = 10,
	VHU_GET_VRING_BASE = 11,
	VHU_SET_VRING_KICK = 12,
	VHU_SET_VRING_CALL = 13,
	VHU_GET_PROTOCOL_FEATURES = 15,
	VHU_SET_PROTOCOL_FEATURES = 16,
	VHU_GET_QUEUE_NUM = 17,
	VHU_SET_VRING_ENABLE = 18,
	VHU_SET_BACKEND_REQ_FD = 21,
	VHU_GET_CONFIG = 24,
	VHU_SET_CONFIG = 25,
	VHU_GET_INFLIGHT_FD = 31,
	VHU_SET_INFLIGHT_FD = 32,
	VHU_GET_MAX_MEM_SLOTS = 36,
	VHU_ADD_MEM_REG = 37,
	VHU_REM_MEM_REG = 38,
};

/* From the back end, on a socket of its own. */
#define VHU_BACKEND_CONFIG_CHANGE 2

/* A virtio feature bit that means: there are protocol features. */
#define VHU_F_PROTOCOL_FEATURES 30
enum vhu_protocol_feature {
	VHU_P_MQ = 0,
	VHU_P_REPLY_ACK = 3,
	VHU_P_BACKEND_REQ = 5,
	VHU_P_CONFIG = 9,
	VHU_P_INFLIGHT_SHMFD = 12,
	VHU_P_CONFIGURE_MEM_SLOTS = 15,
};

#define VHU_VERSION 1u
#define VHU_VERSION_MASK 3u
#define VHU_F_REPLY (1u << 2)
#define VHU_F_NEED_REPLY (1u << 3)

struct vhu_header {
	uint32_t request, flags, size; /* size: of the payload */
};
struct vhu_vring_state {
	uint32_t index, num;
};
struct vhu_vring_addr {
	uint32_t index, flags;
	uint64_t desc, used, avail, log; /* of this process */
};
struct vhu_region {
	uint64_t gpa, size, uaddr, mmap_offset;
};
#define VHU_TABLE_REGIONS 8
struct vhu_mem_table {
	uint32_t n, pad;
	struct vhu_region r[VHU_TABLE_REGIONS];
};
struct vhu_mem_reg {
	uint64_t pad;
	struct vhu_region r;
};
#define VHU_CONFIG_MAX 256
struct vhu_config {
	uint32_t offset, size, flags;
	uint8_t data[VHU_CONFIG_MAX];
};
#define VHU_CONFIG_HDR 12
struct vhu_inflight {
	uint64_t mmap_size, mmap_offset;
	uint16_t nb_queues, queue_size;
	uint32_t pad; /* sent as the C structure that it is on 64-bit machines */
};

static_assert(sizeof(struct vhu_header) == 12, "wire size");
static_assert(sizeof(struct vhu_vring_state) == 8, "wire size");
static_assert(sizeof(struct vhu_vring_addr) == 40, "wire size");
static_assert(sizeof(struct vhu_region) == 32, "wire size");
static_assert(sizeof(struct vhu_mem_table) == 8 + 8 * 32, "wire size");
static_assert(sizeof(struct vhu_mem_reg) == 40, "wire size");
static_assert(sizeof(struct vhu_config) == 268, "wire size");
static_assert(sizeof(struct vhu_inflight) == 24, "wire size");

#endif
