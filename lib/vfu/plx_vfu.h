/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef PLX_VFU_H
#define PLX_VFU_H
/**
 * @file
 * A vfio-user server: one PCI device, served to one client at a time (vfio-user 0.9.2).
 * A served device belongs to one thread, which creates, polls and destroys it.
 * Everything that a client sends is checked here; callbacks see only accesses inside regions.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct plx_vfu;

/** What the device model provides. All run inside plx_vfu_poll(). */
struct plx_vfu_ops {
	/** Access to a region that isn't config space or mapped only. @return 0 or -errno: the
	 * client gets an error reply */
	int (*read)(void *arg, unsigned int region, uint64_t off, void *buf, uint32_t len);
	int (*write)(void *arg, unsigned int region, uint64_t off, const void *buf, uint32_t len);
	/** Memory is about to go: stop using [iova, iova + len), now or, returning -EINPROGRESS,
	 * soon: it is asked again. len 0: all of it (the client left, or asked for it). */
	int (*dma_gone)(void *arg, uint64_t iova, uint64_t len);
	/** Memory came that plx_vfu_dma_ptr() finds: the client sent a file with it. */
	void (*dma_added)(void *arg, uint64_t iova, uint64_t len);
	/** Device reset (DEVICE_RESET, FLR), or client_lost: the client is gone. Config space,
	 * memory and interrupts outlive the first, as with the kernel's VFIO; they go with the
	 * client. @return 0; -EINPROGRESS: asked again, nothing else is served until then */
	int (*reset)(void *arg, bool client_lost);
};

/** How a region is made. */
struct plx_vfu_region {
	uint64_t size;
	uint64_t map_off, map_size; /**< the part that clients map; size 0: none */
};

struct plx_vfu_conf {
	/** socket; a stale one is replaced, one in use is refused; in a directory: "cntrl" */
	const char *path;
	uint16_t vendor, device, subvendor, subdevice;
	uint32_t class_code;
	struct plx_vfu_region bars[6];
	uint16_t msix_count; /**< vectors; table and PBA are put into BAR msix_bar by lib/vfu */
	uint8_t msix_bar;
	const struct plx_vfu_ops *ops;
	void *arg;
};

/**
 * Create the device and listen.
 * @return 0; one line logged: -EADDRINUSE somebody serves this path; -ENAMETOOLONG; -EACCES;
 *         -ENOENT no such directory; -EINVAL; -ENOMEM
 */
int plx_vfu_create(const struct plx_vfu_conf *conf, struct plx_vfu **vfu);
/** Stop serving, drop the client, remove the socket. Calls none of the ops. NULL is harmless. */
void plx_vfu_destroy(struct plx_vfu *vfu);

/**
 * Serve what came: accept, answer. Never blocks; one system call when there is nothing to do.
 * Register accesses and interrupts' wiring wait for it: 100 us apart serve well. A client that
 * breaks the protocol, or truncates memory in use (plx_sigbus.h), is dropped here.
 * @return messages handled
 */
int plx_vfu_poll(struct plx_vfu *vfu);
/** @return a client is connected */
bool plx_vfu_connected(const struct plx_vfu *vfu);

/** @return the mapped part of a BAR, shared with the client; lives as long as the client, zeroed
 * for each new one. Hostile memory: read each word once */
void *plx_vfu_bar_mem(struct plx_vfu *vfu, unsigned int bar);

/** Bus master is enabled, so DMA and interrupts are allowed. */
bool plx_vfu_bus_master(const struct plx_vfu *vfu);

/** Trigger an MSI-X vector, or INTx when no eventfd is wired to MSI-X. Masked, it is pending. */
void plx_vfu_irq(struct plx_vfu *vfu, unsigned int vector);

/** A mapped piece of client memory. Private cache for plx_vfu_dma(). */
struct plx_vfu_dma {
	uint64_t iova, len;
	uint8_t *va;
	bool writable;
};
/** Find the piece that holds iova. @return false: none */
bool plx_vfu_dma_find(struct plx_vfu *vfu, uint64_t iova, struct plx_vfu_dma *out);

/**
 * Translate client memory; contiguous for len bytes in one mapping. cache: a caller's, zeroed at
 * first, and again after dma_gone.
 * @return the address, or NULL: not mapped, crosses mappings, or not writable
 */
static inline void *
plx_vfu_dma_ptr(
	struct plx_vfu *vfu, struct plx_vfu_dma *cache, uint64_t iova, uint64_t len, bool write)
{
	uint64_t off = iova - cache->iova;

	if (__builtin_expect(off >= cache->len || len > cache->len - off, 0)) {
		if (!plx_vfu_dma_find(vfu, iova, cache))
			return NULL;
		off = iova - cache->iova;
		if (off >= cache->len || len > cache->len - off)
			return NULL;
	}
	if (write && !cache->writable)
		return NULL;
	return cache->va + off;
}

/**
 * The same for memory that may lie in several mappings, for what is used long, as a queue: all of
 * it is mapped once more in one piece, which is there until dma_gone has returned 0 for a part of
 * it.
 * @param vfu   the controller
 * @param iova  a multiple of 4 KiB
 * @param len   up to 1 MiB
 * @param write whether it is to be written, too
 * @return the address, or NULL: not mapped, not writable, hugepages, or too many
 */
void *plx_vfu_dma_join(struct plx_vfu *vfu, uint64_t iova, uint64_t len, bool write);

#ifdef __cplusplus
}
#endif
#endif
