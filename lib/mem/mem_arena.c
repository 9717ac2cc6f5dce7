/* SPDX-License-Identifier: BSD-3-Clause */
/* Allocation, and an arena of our own where EAL's memory can't be shared with a peer process. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <rte_errno.h>
#include <rte_malloc.h>
#include <rte_memory.h>

#include "mem_priv.h"
#include "plx_ctrl.h"
#include "plx_log.h"

PLX_LOG_USE(mem);

#define ARENA_HEAP "plx_arena"
#define ARENA_LEN ((size_t)32 << 20)

/* Hugepages if they are there for the whole of it: fallocate() really takes them. */
static int
arena_file(size_t *page)
{
	int fd = memfd_create(ARENA_HEAP, MFD_CLOEXEC | MFD_HUGETLB | 21U << MAP_HUGE_SHIFT);

	if (fd >= 0) {
		*page = 2 << 20;
		if (fallocate(fd, 0, 0, ARENA_LEN) == 0)
			return fd;
		close(fd);
	}
	*page = (size_t)sysconf(_SC_PAGESIZE);
	fd = memfd_create(ARENA_HEAP, MFD_CLOEXEC);
	if (fd >= 0 && ftruncate(fd, ARENA_LEN) != 0) {
		close(fd);
		return -1;
	}
	return fd;
}

static int
arena_heap(void *va, size_t page)
{
	if (rte_malloc_heap_create(ARENA_HEAP) != 0)
		return -1;
	if (rte_malloc_heap_memory_add(
		    ARENA_HEAP, va, ARENA_LEN, NULL, (unsigned int)(ARENA_LEN / page), page) == 0)
		return 0;
	rte_malloc_heap_destroy(ARENA_HEAP);
	return -1;
}

void
mem_arena_create(void)
{
	size_t page;
	int fd = arena_file(&page);
	void *va = MAP_FAILED;

	if (fd < 0) {
		rte_errno = errno;
		goto fail;
	}
	va = mmap(NULL, ARENA_LEN, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (va == MAP_FAILED) {
		rte_errno = errno;
		goto fail;
	}
	/* known before EAL shows it in its walks */
	mem.arena_va = (uintptr_t)va;
	mem.arena_len = ARENA_LEN;
	mem.arena_page = page;
	if (arena_heap(va, page) != 0)
		goto fail;
	mem.arena_fd = fd;
	PLX_LOG(NOTICE,
		"mem: EAL's memory can't be shared with other processes in few pieces: %zu MB of "
		"our own for queues, data in EAL's is copied for devices that other processes "
		"serve; EAL's option --single-file-segments avoids that",
		ARENA_LEN >> 20);
	return;
fail:
	PLX_LOG(ERR, "mem: no arena: %s; start EAL with --single-file-segments",
		rte_strerror(rte_errno));
	mem.arena_va = 0;
	mem.arena_len = 0;
	if (va != MAP_FAILED)
		munmap(va, ARENA_LEN);
	if (fd >= 0)
		close(fd);
}

void
mem_arena_destroy(void)
{
	void *va = (void *)mem.arena_va;

	if (mem.arena_fd < 0)
		return;
	/* refused while something of it is allocated: then it stays */
	if (rte_malloc_heap_memory_remove(ARENA_HEAP, va, mem.arena_len) != 0) {
		PLX_LOG(WARNING, "mem: the arena is still in use, left in place");
	} else {
		rte_malloc_heap_destroy(ARENA_HEAP);
		munmap(va, mem.arena_len);
		close(mem.arena_fd);
	}
	mem.arena_fd = -1;
	mem.arena_va = 0;
	mem.arena_len = 0;
}

static void *
arena_alloc(size_t size, unsigned int align)
{
	void *p = rte_zmalloc_socket(NULL, size, align, rte_malloc_heap_get_socket(ARENA_HEAP));

	if (p == NULL)
		PLX_LOG(ERR,
			"mem: the arena of %zu MB has no room for %zu bytes; start EAL with "
			"--single-file-segments -m N",
			mem.arena_len >> 20, size);
	return p;
}

void *
plx_mem_alloc(size_t size, size_t align, int socket)
{
	unsigned int a = align > RTE_CACHE_LINE_SIZE ? (unsigned int)align : RTE_CACHE_LINE_SIZE;
	void *(*borrow)(size_t, size_t, int) = __atomic_load_n(&mem.borrow, __ATOMIC_ACQUIRE);
	bool arena, ready;
	void *p;

	if (borrow != NULL)
		return borrow(size, a, socket);
	plx_ctrl_lock();
	mem_attach();
	ready = mem.attached;
	arena = mem.arena_fd >= 0;
	plx_ctrl_unlock();
	if (!ready) {
		PLX_LOG(ERR, "mem: no memory before plx_eal_init()");
		return NULL;
	}
	if (arena)
		return arena_alloc(size, a);
	p = rte_zmalloc_socket(NULL, size, a, socket);
	if (p == NULL && socket != SOCKET_ID_ANY)
		p = rte_zmalloc_socket(NULL, size, a, SOCKET_ID_ANY);
	if (p == NULL)
		PLX_LOG(ERR, "mem: EAL has no %zu bytes; give it more memory: -m MB", size);
	return p;
}

void
plx_mem_free(void *ptr)
{
	bool (*unborrow)(void *) = __atomic_load_n(&mem.unborrow, __ATOMIC_ACQUIRE);

	if (ptr != NULL && (unborrow == NULL || !unborrow(ptr)))
		rte_free(ptr);
}
