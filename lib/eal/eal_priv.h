/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef EAL_PRIV_H
#define EAL_PRIV_H
/**
 * @file
 * Which EAL options to add, decided from what the machine has and what the user gave.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	EAL_HUGE_MB = 64,     /* fixed memory taken when hugepages are there */
	EAL_HUGE_MIN_MB = 32, /* less than this free is as good as none */
	EAL_NOHUGE_MB = 128,  /* address space of one memfd, touched when used */
	EAL_MAX_ADDED = 8,
};

/** What was found on the machine. */
struct eal_view {
	uint64_t huge_free;    /**< bytes in free hugepages, of all sizes */
	uint64_t default_page; /**< bytes of a page of /proc/sys/vm/nr_hugepages */
	uint64_t default_nr;   /**< its value now */
	bool hugetlbfs;        /**< one is mounted, and this process may make files there */
	bool no_runtime_dir;   /**< EAL's can't be made: its telemetry would fail the start */
	char blocked[96];      /**< why this process can't use them; "": it can */
};

/** What to do. */
struct eal_plan {
	int nb_add;
	char add[EAL_MAX_ADDED][40]; /**< options to put before the user's */
	bool huge;                   /**< it takes hugepages */
	bool fallback;               /**< ordinary memory was chosen for lack of hugepages */
	char note[320];              /**< a line for the user: of the fallback; else of why not */
	bool secondary;              /**< the user wants one, */
	char prefix[64];             /**< of the primary with this --file-prefix */
};

/** Look at the machine; never fails. */
void eal_view_get(struct eal_view *view);
/** Decide; pure. app: see plx_eal_init_app(). */
void eal_plan_make(
	const struct eal_view *view, int argc, char *const argv[], bool app, struct eal_plan *plan);

/** The path of a file that EAL's processes with this --file-prefix have in common.
 * @return 0; -ENAMETOOLONG */
int eal_runtime_path(const char *prefix, const char *file, char *path, size_t len);
/** @return whether a primary process with this --file-prefix runs */
bool eal_primary_alive(const char *prefix);

/** @return whether EAL runs and Pollux is a user of it. Under the control lock. */
bool eal_in_use(void);

/** Something to undo before EAL goes away; for the components that stand on lib/eal. */
struct eal_hook {
	void (*fn)(void);
	struct eal_hook *next;
};
/** Run hook->fn at the next last plx_eal_cleanup(), once. Under the control lock. */
void eal_at_cleanup(struct eal_hook *hook);

#endif
