/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>
#include <sys/mman.h>

#include <rte_common.h>
#include <rte_spinlock.h>

#include "plx_sigbus.h"

/*
 * A handler may take this lock: SIGBUS with BUS_ADRERR is raised by the access itself, and
 * nobody touches a watched range while holding it.
 */
static rte_spinlock_t lock = RTE_SPINLOCK_INITIALIZER;
static struct plx_sigbus_range *ranges;

void
plx_sigbus_add(struct plx_sigbus_range *range)
{
	rte_spinlock_lock(&lock);
	range->next = ranges;
	range->prev = &ranges;
	if (ranges != NULL)
		ranges->prev = &range->next;
	ranges = range;
	rte_spinlock_unlock(&lock);
}

void
plx_sigbus_del(struct plx_sigbus_range *range)
{
	rte_spinlock_lock(&lock);
	if (range->prev != NULL) {
		*range->prev = range->next;
		if (range->next != NULL)
			range->next->prev = range->prev;
		range->prev = NULL;
	}
	rte_spinlock_unlock(&lock);
}

/* Another thread may have replaced the page meanwhile; doing so again loses only filler. */
static bool
replace(struct plx_sigbus_range *range, uintptr_t addr)
{
	void *page = (void *)RTE_ALIGN_FLOOR(addr, range->page);

	if (mmap(page, range->page, PROT_READ | PROT_WRITE,
		    MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0) == MAP_FAILED)
		return false;
	if (range->fill != 0)
		memset(page, range->fill, range->page);
	__atomic_fetch_add(range->hits, 1, __ATOMIC_RELEASE);
	return true;
}

bool
plx_sigbus_try_handle(int sig, const siginfo_t *info, void *uctx)
{
	uintptr_t addr = (uintptr_t)info->si_addr;
	struct plx_sigbus_range *range;
	bool done = false;

	RTE_SET_USED(uctx);
	/* not one sent by kill(), which may come in the middle of anything */
	if (sig != SIGBUS || info->si_code != BUS_ADRERR)
		return false;
	rte_spinlock_lock(&lock);
	for (range = ranges; range != NULL && !done; range = range->next)
		if (addr - (uintptr_t)range->va < range->len)
			done = replace(range, addr);
	rte_spinlock_unlock(&lock);
	return done;
}
