/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef PLX_MEM_H
#define PLX_MEM_H
/**
 * @file
 * Memory that devices reach: EAL's segments, the arena, and registered memory.
 *
 * Each device (or group of devices behind one IOMMU context, or one vfio-user connection) has a
 * DMA domain with a map of its own. A domain maps at attach what exists then. Memory that EAL
 * adds later becomes usable after plx_mem_sync(); until then requests into it are bounced.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Allocate zeroed DMA-able memory. Control path, any thread.
 * @param size   bytes
 * @param align  power of two; 0: a cache line
 * @param socket NUMA node, SOCKET_ID_ANY (-1) for the caller's; another node when it is full
 * @return memory for plx_mem_free(), or NULL: one line says how to give EAL more (-m)
 */
void *plx_mem_alloc(size_t size, size_t align, int socket);
/** Free memory of plx_mem_alloc(); NULL is harmless. No device may be using it. */
void plx_mem_free(void *ptr);

/**
 * Make foreign memory usable for requests. Domains map it at their next plx_mem_sync(), which the
 * caller runs.
 * @param va, len   page aligned
 * @param fd, off   the file behind it, so that a peer process can map it; fd -1: none. The fd is
 *                  duplicated.
 * @return 0; -EINVAL unaligned, empty or wrapping; -EEXIST overlaps memory known already; -ENOMEM;
 *         -EBADF
 */
int plx_mem_register(void *va, size_t len, int fd, uint64_t off);
/**
 * Forget registered memory. No request may be in flight on it.
 * @return 0: translations are gone, and peers told by the next plx_mem_sync(); -ENOENT not
 *         registered with this va and len
 */
int plx_mem_unregister(void *va, size_t len);

/**
 * Bring every domain up to date. Any thread; polled: one pass each call.
 * @return 0 all domains map all memory they can; -EINPROGRESS call again; -errno the first
 *         domain's error (logged), the others went on
 */
int plx_mem_sync(void);

/** One piece of known memory. */
struct plx_mem_seg {
	uintptr_t va;
	size_t len;
	int fd; /**< -1: none; owned by lib/mem or EAL */
	uint64_t fd_off;
	bool fixed;       /**< can't be freed while the process lives: may be mapped in one piece */
	size_t page_size; /**< of the backing; what is not fixed is one page or one registration */
	int socket;       /**< NUMA node, -1 unknown */
};
/** Walk all known memory in address order, neighbours merged where that is allowed. Under the
 * control lock. @return the first non-zero return of fn, else 0 */
int plx_mem_walk(int (*fn)(const struct plx_mem_seg *seg, void *arg), void *arg);

/* ---- DMA domains: for transports (lib/vfio, lib/virtio) and drivers ---- */

#define PLX_BAD_IOVA UINT64_MAX

/** One translation: [va, va + len) is at iova. */
struct plx_mem_range {
	uintptr_t va;
	size_t len;
	uint64_t iova;
};
/** A domain's translations: look them up by plx_mem_iova() only. */
struct plx_mem_table {
	uint32_t n;        /**< at least 1; r[0] may be empty */
	const void *owner; /**< private; NULL in a table that is none of a domain's */
	struct plx_mem_range r[];
};

/** An inclusive range of I/O addresses. */
struct plx_iova_range {
	uint64_t start, last;
};

/** What a domain's transport can do, and how it maps. */
struct plx_mem_domain_ops {
	/**
	 * Map or unmap, READ and WRITE for the device. Unmaps name exactly what was mapped. NULL
	 * with phys. When immediate, neither may take memory from EAL or wait for who does, and
	 * map says itself why there is -ENOMEM.
	 * @return 0; -EINPROGRESS: poll() follows; -errno
	 */
	int (*map)(void *ctx, const struct plx_mem_seg *seg, uint64_t iova);
	int (*unmap)(void *ctx, uint64_t iova, size_t len);
	/** The outcome of the one under way. NULL when both are immediate */
	int (*poll)(void *ctx);
	/**
	 * Instead of map, for a device that another process drives: begin to learn, and go on
	 * learning, where that process maps EAL's memory now; then, of each piece, where.
	 * @return 0; -EINPROGRESS: call again; -errno @{ */
	int (*learn)(void *ctx);
	/** @return its address, contiguous for len bytes, or PLX_BAD_IOVA @} */
	uint64_t (*where)(void *ctx, uintptr_t va, size_t len);
};
struct plx_mem_domain_conf {
	const char *name; /**< for messages; copied */
	const struct plx_mem_domain_ops *ops;
	void *ctx;
	const struct plx_iova_range *iova; /**< usable addresses, NULL: all */
	uint32_t nb_iova;
	uint32_t max_maps; /**< mappings at a time, 0: no limit */
	uint64_t min_page; /**< smallest mappable page, bytes */
	bool need_fd;      /**< memory without a file descriptor can't be mapped */
	bool immediate;    /**< map/unmap may run inside EAL's memory events */
	bool phys;         /**< no IOMMU: addresses are physical */
};

/** A DMA domain; the table is read by queue owners at any time. The rest is in mem_priv.h. */
struct plx_mem_domain {
	const struct plx_mem_table *table; /**< never NULL */
};

/** Create a domain; maps nothing yet. Under the control lock.
 * @return 0; -EINVAL; -ENOMEM */
int plx_mem_domain_create(const struct plx_mem_domain_conf *conf, struct plx_mem_domain **dom);
/** One step towards mapping all that is known now; after an error the next call starts again.
 * What the domain can't map (no fd, too small, too many) is left out. Under the control lock.
 * @return 0 in sync; -EINPROGRESS; -errno: a
 * mapping failed (logged), the rest is mapped */
int plx_mem_domain_sync(struct plx_mem_domain *dom);
/** The transport lost every mapping, and the operation under way with them (reconnect): the next
 * plx_mem_domain_sync() maps all again, at the same addresses; until then plx_mem_sync() leaves
 * the domain alone. Translations stay. Under the control lock. */
void plx_mem_domain_lost(struct plx_mem_domain *dom);
/** Destroy; unmaps nothing (the transport closes). NULL is harmless. Under the control lock. */
void plx_mem_domain_destroy(struct plx_mem_domain *dom);

/**
 * Copy between a buffer and memory that the domain maps: for a device that reaches it by messages.
 * Such memory isn't freed meanwhile. Under the control lock.
 * @return 0; -EFAULT part of [iova, iova + len) isn't mapped, and nothing was copied
 */
int plx_mem_domain_copy(
	struct plx_mem_domain *dom, uint64_t iova, void *buf, size_t len, bool to_memory);

/** Private: the search behind plx_mem_iova(). */
uint64_t plx_mem_iova_search(const struct plx_mem_table *t, uintptr_t va, size_t len);

/**
 * Translate. Any thread; lock-free.
 * @return the I/O address of va, contiguous for len bytes, or PLX_BAD_IOVA
 */
static inline uint64_t
plx_mem_iova(const struct plx_mem_domain *dom, const void *va, size_t len)
{
	const struct plx_mem_table *t = __atomic_load_n(&dom->table, __ATOMIC_ACQUIRE);
	uintptr_t off = (uintptr_t)va - t->r[0].va;

	/* r[0] is the largest range of fixed memory (the arena) or empty; r[1..n-1] are sorted */
	if (__builtin_expect(off < t->r[0].len && len <= t->r[0].len - off, 1))
		return t->r[0].iova + off;
	return plx_mem_iova_search(t, (uintptr_t)va, len);
}

#ifdef __cplusplus
}
#endif
#endif
