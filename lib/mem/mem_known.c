/* SPDX-License-Identifier: BSD-3-Clause */
/* What memory there is: EAL's pages, the arena, registrations. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_eal.h>
#include <rte_eal_memconfig.h>
#include <rte_errno.h>
#include <rte_memory.h>

#include "eal_priv.h"
#include "mem_priv.h"
#include "plx_ctrl.h"
#include "plx_eal.h"
#include "plx_log.h"

PLX_LOG_TYPE(mem, NOTICE);

#define MEM_EVENT_NAME "plx_mem"

struct mem_state mem = {.lock = PTHREAD_MUTEX_INITIALIZER, .arena_fd = -1};

struct list {
	struct mem_known *k;
	uint32_t nb, cap;
};

static bool
mergeable(const struct mem_known *a, const struct mem_known *b)
{
	return a->seg.fixed && b->seg.fixed && a->seg.va + a->seg.len == b->seg.va &&
	       a->seg.fd == b->seg.fd &&
	       (a->seg.fd < 0 || a->seg.fd_off + a->seg.len == b->seg.fd_off) &&
	       a->seg.page_size == b->seg.page_size;
}

static void
merge(struct mem_known *a, const struct mem_known *b)
{
	a->seg.len += b->seg.len;
	if (a->seg.socket != b->seg.socket)
		a->seg.socket = -1;
}

static int
list_add(struct list *l, const struct mem_known *k)
{
	if (l->nb > 0 && mergeable(&l->k[l->nb - 1], k)) {
		merge(&l->k[l->nb - 1], k);
		return 0;
	}
	if (l->nb == l->cap) {
		uint32_t cap = l->cap != 0 ? 2 * l->cap : 16;
		void *p = realloc(l->k, cap * sizeof(*l->k));

		if (p == NULL)
			return -ENOMEM;
		l->k = p;
		l->cap = cap;
	}
	l->k[l->nb++] = *k;
	return 0;
}

static int
known_cmp(const void *a, const void *b)
{
	const struct mem_known *x = a, *y = b;

	return (x->seg.va > y->seg.va) - (x->seg.va < y->seg.va);
}

static void
list_sort(struct list *l)
{
	uint32_t out = 0;

	if (l->nb == 0)
		return;
	qsort(l->k, l->nb, sizeof(*l->k), known_cmp);
	for (uint32_t i = 1; i < l->nb; i++) {
		if (mergeable(&l->k[out], &l->k[i]))
			merge(&l->k[out], &l->k[i]);
		else
			l->k[++out] = l->k[i];
	}
	l->nb = out + 1;
}

static int
collect_page(const struct rte_memseg_list *msl, const struct rte_memseg *ms, void *arg)
{
	struct mem_known k = {.seg = {
				      .va = (uintptr_t)ms->addr,
				      .len = ms->len,
				      .page_size = ms->hugepage_sz,
				      .socket = msl->external ? -1 : (int)ms->socket_id,
			      }};
	size_t off = 0;

	/* rte_extmem_register()ed memory is its owner's to register here too */
	if (msl->external && (!msl->heap || k.seg.va - mem.arena_va < mem.arena_len))
		return 0;
	k.seg.fixed =
		!msl->external && (mem.all_fixed || (ms->flags & RTE_MEMSEG_FLAG_DO_NOT_FREE) != 0);
	k.seg.fd = msl->external ? -1 : rte_memseg_get_fd_thread_unsafe(ms);
	if (k.seg.fd < 0 || rte_memseg_get_fd_offset_thread_unsafe(ms, &off) < 0)
		k.seg.fd = -1;
	k.seg.fd_off = off;
	return list_add(arg, &k);
}

static struct mem_known
known_of(struct mem_reg *r)
{
	return (struct mem_known){.seg = {.va = r->va,
					  .len = r->len,
					  .fd = r->fd,
					  .fd_off = r->off,
					  .page_size = 4096,
					  .socket = -1},
		.reg = r};
}

static int
collect_own(struct list *l)
{
	int rc = 0;

	if (mem.arena_fd >= 0) {
		struct mem_known k = {.seg = {.va = mem.arena_va,
					      .len = mem.arena_len,
					      .fd = mem.arena_fd,
					      .fixed = true,
					      .page_size = mem.arena_page,
					      .socket = -1}};

		rc = list_add(l, &k);
	}
	for (struct mem_reg *r = mem.regs; r != NULL && rc == 0; r = r->next) {
		struct mem_known k = known_of(r);

		rc = list_add(l, &k);
	}
	return rc;
}

static void
known_replace(struct list *l)
{
	free(mem.known);
	mem.known = l->k;
	mem.nb_known = l->nb;
	mem.cap_known = l->cap;
	mem.gen++;
}

int
mem_refresh(void)
{
	struct list l = {0};
	int rc = 0;

	mem_attach();
	if (!__atomic_exchange_n(&mem.stale, false, __ATOMIC_ACQ_REL))
		return 0;
	/* EAL's lock until the list is in place: a page freed in between would stay in it. */
	if (mem.attached) {
		rte_mcfg_mem_read_lock();
		rc = rte_memseg_walk_thread_unsafe(collect_page, &l);
	}
	if (rc == 0)
		rc = collect_own(&l);
	if (rc == 0) {
		list_sort(&l);
		pthread_mutex_lock(&mem.lock);
		known_replace(&l);
		pthread_mutex_unlock(&mem.lock);
	}
	if (mem.attached)
		rte_mcfg_mem_read_unlock();
	if (rc != 0) {
		free(l.k);
		__atomic_store_n(&mem.stale, true, __ATOMIC_RELEASE);
		return -ENOMEM;
	}
	return 0;
}

/* mem.lock. What is freed is whole pieces: pages or registrations. */
static void
known_forget(uintptr_t va, size_t len)
{
	uint32_t out = 0;

	for (uint32_t i = 0; i < mem.nb_known; i++)
		if (mem.known[i].seg.va - va >= len)
			mem.known[out++] = mem.known[i];
	mem.nb_known = out;
	mem.gen++;
	for (struct mem_domain *d = mem.domains; d != NULL; d = d->next)
		mem_domain_forget(d, va, len);
}

static void
mem_event(enum rte_mem_event event, const void *addr, size_t len, void *arg)
{
	if (event == RTE_MEM_EVENT_ALLOC) {
		__atomic_store_n(&mem.stale, true, __ATOMIC_RELEASE);
		return;
	}
	pthread_mutex_lock(&mem.lock);
	mem.frees++;
	known_forget((uintptr_t)addr, len);
	pthread_mutex_unlock(&mem.lock);
}

/* Before EAL goes, or is left to itself: only registrations remain. */
static void
mem_detach(void)
{
	if (!mem.all_fixed)
		rte_mem_event_callback_unregister(MEM_EVENT_NAME, NULL);
	pthread_mutex_lock(&mem.lock);
	for (uint32_t i = mem.nb_known; i-- > 0;)
		if (mem.known[i].reg == NULL)
			known_forget(mem.known[i].seg.va, mem.known[i].seg.len);
	pthread_mutex_unlock(&mem.lock);
	mem_arena_destroy();
	mem.attached = false;
	__atomic_store_n(&mem.stale, true, __ATOMIC_RELEASE);
}

void
mem_attach(void)
{
	static struct eal_hook hook = {.fn = mem_detach};

	if (mem.attached || !eal_in_use())
		return;
	mem.attached = true;
	mem.all_fixed = rte_mem_event_callback_register(MEM_EVENT_NAME, mem_event, NULL) != 0;
	if (mem.all_fixed && rte_errno != ENOTSUP)
		PLX_LOG(ERR, "mem: no events from EAL: %s; memory that it frees stays mapped",
			rte_strerror(rte_errno));
	if (plx_eal_mem_mode() == PLX_EAL_MEM_FOREIGN && rte_eal_process_type() == RTE_PROC_PRIMARY)
		mem_arena_create();
	eal_at_cleanup(&hook);
	__atomic_store_n(&mem.stale, true, __ATOMIC_RELEASE);
}

int
plx_mem_walk(int (*fn)(const struct plx_mem_seg *seg, void *arg), void *arg)
{
	struct mem_known *copy;
	uint32_t n;
	int rc = mem_refresh();

	if (rc != 0)
		return rc;
	/* fn may take memory from EAL, whose events need the lock */
	pthread_mutex_lock(&mem.lock);
	n = mem.nb_known;
	copy = malloc((n + 1) * sizeof(*copy));
	if (copy != NULL && n > 0)
		memcpy(copy, mem.known, n * sizeof(*copy));
	pthread_mutex_unlock(&mem.lock);
	if (copy == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < n && rc == 0; i++)
		rc = fn(&copy[i].seg, arg);
	free(copy);
	return rc;
}

struct mem_reg *
mem_reg_get(struct mem_reg *reg)
{
	if (reg != NULL)
		reg->refs++;
	return reg;
}

void
mem_reg_put(struct mem_reg *reg)
{
	if (reg == NULL || --reg->refs > 0)
		return;
	if (reg->fd >= 0)
		close(reg->fd);
	free(reg);
}

static int
reg_check(uintptr_t va, size_t len)
{
	uintptr_t end;
	int rc;

	if (len == 0 || (va | len) % 4096 != 0 || __builtin_add_overflow(va, len, &end))
		return -EINVAL;
	rc = mem_refresh();
	if (rc != 0)
		return rc;
	pthread_mutex_lock(&mem.lock);
	for (uint32_t i = 0; i < mem.nb_known && rc == 0; i++) {
		const struct plx_mem_seg *s = &mem.known[i].seg;

		if (va < s->va + s->len && s->va < end)
			rc = -EEXIST;
	}
	pthread_mutex_unlock(&mem.lock);
	return rc;
}

static struct mem_reg *
reg_new(uintptr_t va, size_t len, int fd, uint64_t off)
{
	struct mem_reg *r = calloc(1, sizeof(*r));

	if (r == NULL) {
		errno = ENOMEM;
		return NULL;
	}
	*r = (struct mem_reg){.va = va, .len = len, .fd = -1, .off = off, .refs = 1};
	if (fd >= 0) {
		r->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
		if (r->fd < 0) {
			free(r);
			return NULL;
		}
	}
	return r;
}

/* mem.lock */
static int
known_insert(const struct mem_known *k)
{
	struct list l = {mem.known, mem.nb_known, mem.cap_known};
	int rc = list_add(&l, k);

	if (rc == 0) {
		list_sort(&l);
		mem.gen++;
	}
	mem.known = l.k;
	mem.nb_known = l.nb;
	mem.cap_known = l.cap;
	return rc;
}

static int
reg_add(uintptr_t va, size_t len, int fd, uint64_t off)
{
	struct mem_reg *r = reg_new(va, len, fd, off);
	struct mem_known k;
	int rc;

	if (r == NULL)
		return -errno;
	k = known_of(r);
	pthread_mutex_lock(&mem.lock);
	rc = known_insert(&k);
	pthread_mutex_unlock(&mem.lock);
	if (rc != 0) {
		mem_reg_put(r);
		return rc;
	}
	r->next = mem.regs;
	mem.regs = r;
	return 0;
}

int
plx_mem_register(void *va, size_t len, int fd, uint64_t off)
{
	int rc;

	plx_ctrl_lock();
	rc = reg_check((uintptr_t)va, len);
	if (rc == 0)
		rc = reg_add((uintptr_t)va, len, fd, off);
	plx_ctrl_unlock();
	return rc;
}

int
plx_mem_unregister(void *va, size_t len)
{
	struct mem_reg **p, *r;

	plx_ctrl_lock();
	for (p = &mem.regs; *p != NULL; p = &(*p)->next)
		if ((*p)->va == (uintptr_t)va && (*p)->len == len)
			break;
	r = *p;
	if (r != NULL) {
		*p = r->next;
		pthread_mutex_lock(&mem.lock);
		known_forget(r->va, r->len);
		pthread_mutex_unlock(&mem.lock);
		mem_reg_put(r);
	}
	plx_ctrl_unlock();
	return r != NULL ? 0 : -ENOENT;
}
