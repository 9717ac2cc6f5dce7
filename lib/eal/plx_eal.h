/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef PLX_EAL_H
#define PLX_EAL_H
/**
 * @file
 * Starting Pollux: its own EAL, or the one that runs already.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct rte_memzone;

/**
 * Start EAL with these arguments, or join it when it runs already (then argc is not read).
 * Takes EAL's own options unchanged. When the user gave none that decide it, adds
 * `--in-memory --single-file-segments` with hugepages, else `--no-huge --no-shconf -m N`; in the
 * second case one line says so and how to reserve hugepages. Takes no signal, starts no thread
 * of its own. Any thread, once for each plx_eal_cleanup().
 *
 * @param argc, argv  as given to main; argv[0] is the program's name
 * @return the number of arguments consumed, as rte_eal_init() (0 when joined): the application's
 *         own begin behind a "--"; -EINVAL bad options, -ENOMEM, -EACCES and others with one
 *         line logged; -ESRCH `--proc-type=secondary` and there is no primary process with that
 *         `--file-prefix`; -EALREADY EAL was started and cleaned up before in this process
 */
int plx_eal_init(int argc, char **argv);

/** As plx_eal_init(), for programs: also `--no-pci` unless the user named a device with -a, and
 * less chatter from EAL unless --log-level was given. */
int plx_eal_init_app(int argc, char **argv);

/** Undo: cleans EAL up only when plx_eal_init() started it. @return 0 */
int plx_eal_cleanup(void);

/** What memory EAL runs on; see plx_eal_mem_mode(). */
enum plx_eal_mem_mode {
	PLX_EAL_MEM_HUGE,   /**< hugepages, shareable by file descriptor in few regions */
	PLX_EAL_MEM_NOHUGE, /**< ordinary pages of one memfd, shareable */
	PLX_EAL_MEM_FOREIGN /**< joined, and its memory can't be shared in few regions */
};
/** @return the mode; only after plx_eal_init() */
enum plx_eal_mem_mode plx_eal_mem_mode(void);
/** @return whether plx_eal_init() joined an EAL that somebody else started */
bool plx_eal_joined(void);

/**
 * Reserve a zeroed, DMA-able, IOVA-contiguous memzone near a NUMA node; falls back to any node.
 * It is EAL's own memory: where the mode is PLX_EAL_MEM_FOREIGN a peer process can't reach it, so
 * memory of queues is taken by plx_mem_alloc().
 * @param name   shorter than 32 bytes, unique in the process
 * @param len    bytes
 * @param socket NUMA node or SOCKET_ID_ANY
 * @param align  power of two, 0 for a cache line
 * @return the zone, or NULL with rte_errno as rte_memzone_reserve_aligned()
 */
const struct rte_memzone *plx_eal_memzone(const char *name, size_t len, int socket, size_t align);

/** The lcores that a program may run pollers on: all enabled ones, main last.
 * @return how many were stored */
unsigned int plx_eal_lcores(unsigned int *lcores, unsigned int max);

#ifdef __cplusplus
}
#endif
#endif
