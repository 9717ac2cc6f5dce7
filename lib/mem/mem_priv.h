/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef MEM_PRIV_H
#define MEM_PRIV_H
/**
 * @file
 * Locks: the control lock, then EAL's memory lock, then mem.lock. EAL calls mem_event() with its
 * lock held, so nothing that may allocate from EAL runs under mem.lock; an immediate domain's
 * map and unmap do run under it.
 *
 * Known memory is a sorted list, built from a walk of EAL, the arena and the registrations. A
 * domain steps towards that list when it changed (mem.gen): first unmaps what is gone (what
 * goes is marked dead in every domain at once), then adds and maps what is new. So an I/O address
 * is never given away before the device lost it.
 */
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "plx_mem.h"

/** Registered memory; lives while it is registered or some domain still maps it. */
struct mem_reg {
	struct mem_reg *next;
	uintptr_t va;
	size_t len;
	uint64_t off;
	int fd;
	uint32_t refs;
};

/** A piece of known memory; reg NULL: EAL's or the arena's. */
struct mem_known {
	struct plx_mem_seg seg;
	struct mem_reg *reg;
};

struct mem_domain;

struct mem_state {
	pthread_mutex_t lock;
	struct mem_known *known; /* by address */
	uint32_t nb_known, cap_known;
	uint64_t gen; /* grows with each change of known */
	struct mem_domain *domains;
	struct mem_reg *regs; /* control lock */
	uint64_t frees;       /* events of memory that EAL freed */
	bool stale;           /* EAL allocated since the last walk; atomic */
	bool attached;        /* to EAL; control lock */
	bool all_fixed;       /* EAL never frees memory: --no-huge, --legacy-mem */
	uintptr_t arena_va;
	size_t arena_len, arena_page;
	int arena_fd; /* -1: none */
	/* In a secondary process, plx_mem_alloc() borrows from the primary, which takes it back
	 * when this process dies; unborrow() says whether it was. Atomic. */
	void *(*borrow)(size_t size, size_t align, int socket);
	bool (*unborrow)(void *ptr);
};
extern struct mem_state mem;

/* mem_known.c */
/** Attach to EAL when it runs, and walk it when it changed. Control lock. @return 0 or -ENOMEM */
int mem_refresh(void);
/** Attach to EAL: events, arena. Control lock. */
void mem_attach(void);
struct mem_reg *mem_reg_get(struct mem_reg *reg);
void mem_reg_put(struct mem_reg *reg);

/* mem_arena.c */
void mem_arena_create(void);
void mem_arena_destroy(void);

/* mem_iova.c: one I/O address space, who uses what */
struct mem_iova_space {
	const struct plx_iova_range *range; /* by address */
	uint32_t nb_range;
	struct plx_iova_range *used; /* by address */
	uint32_t nb_used, cap_used;
};
/** Room for that many more uses. @return 0 or -ENOMEM */
int mem_iova_reserve(struct mem_iova_space *sp, uint32_t more);
/** Take va itself where that is usable and free, else the first gap. Needs reserved room.
 * @return the address, or PLX_BAD_IOVA */
uint64_t mem_iova_take(struct mem_iova_space *sp, uintptr_t va, size_t len, size_t align);
void mem_iova_give(struct mem_iova_space *sp, uint64_t iova);

/* mem_table.c: what readers see */
struct mem_table {
	struct mem_table *next;
	uint32_t cap;
	struct plx_mem_table t;
};
/**
 * A domain's tables. Readers take no lock and tell nobody, so a table is never freed before its
 * domain; instead two take turns. r[0], which readers compare without any check, is the largest
 * range of fixed memory and never changes in a table; seq tells a search in the rest that the
 * table under it was taken for the turn after next.
 */
struct mem_tables {
	struct plx_mem_domain *pub;
	uint32_t seq;
	struct mem_table *cur, *spare, *retired;
};
struct mem_map;
int mem_tables_init(struct mem_tables *ts, struct plx_mem_domain *pub);
void mem_tables_free(struct mem_tables *ts);
/** Make sure that publishing up to n ranges needs no memory. @return 0 or -ENOMEM */
int mem_tables_reserve(struct mem_tables *ts, uint32_t n);
/** Publish the translations of live mappings. mem.lock. @return 0; -ENOMEM: r[0] changed, and
 * then nothing is translated */
int mem_tables_publish(struct mem_tables *ts, const struct mem_map *maps, uint32_t n);

/* mem_step.c */
enum mem_map_state {
	MEM_MAP_NEW,    /* to be mapped */
	MEM_MAP_LOST,   /* to be mapped again; translated */
	MEM_MAP_DONE,   /* mapped and translated */
	MEM_MAP_FAILED, /* map or, when dead, unmap failed: not tried again in this pass */
};
struct mem_map {
	struct plx_mem_seg seg;
	uint64_t iova;
	struct mem_reg *reg;
	uint8_t state;
	bool dead; /* to be unmapped; not translated */
};
static inline bool
mem_map_live(const struct mem_map *m)
{
	return !m->dead && (m->state == MEM_MAP_DONE || m->state == MEM_MAP_LOST);
}

struct mem_domain {
	struct plx_mem_domain pub;
	struct mem_domain *next;
	struct plx_mem_domain_conf conf;
	char name[32];
	struct mem_iova_space space;
	struct mem_tables tables;
	struct mem_map *maps; /* by address */
	uint32_t nb_maps, cap_maps;
	uint64_t gen; /* of mem, that maps reflect */
	uint8_t phase;
	uint32_t cursor;
	uint8_t op;     /* under way, on maps[cursor] */
	int err;        /* the first of this pass */
	bool offline;   /* not to be touched by plx_mem_sync(): lost, or never synced */
	bool todo;      /* in this round of plx_mem_sync() */
	bool full;      /* max_maps was told */
	bool unshared;  /* memory without a file was told */
	bool learning;  /* where another process maps memory, */
	uint64_t frees; /* from mem.frees on */
};
/** One step, under mem.lock: an immediate domain runs through in one call, others wait between the
 * operations. @return as plx_mem_domain_sync() */
int mem_domain_step(struct mem_domain *d);
/** The device has nothing any more. mem.lock */
void mem_domain_lose(struct mem_domain *d);
/** Forget [va, va + len): translations at once, mappings when the domain is immediate.
 * mem.lock. */
void mem_domain_forget(struct mem_domain *d, uintptr_t va, size_t len);

#endif
