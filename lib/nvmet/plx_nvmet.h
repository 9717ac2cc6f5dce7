/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef PLX_NVMET_H
#define PLX_NVMET_H
/**
 * @file
 * A software NVMe 1.4 controller over Pollux block devices, served by vfio-user.
 * A controller belongs to one thread: the one that polls it. It opens its devices with one queue
 * each and submits to them from that thread.
 */
#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct plx_nvmet;

struct plx_nvmet_conf {
	const char *path;        /**< the vfio-user socket */
	const char *const *devs; /**< names of attached block devices; namespace i + 1 each */
	uint32_t nb_devs;
	const char *serial;            /**< NULL: made from the path */
	const char *model;             /**< NULL: "Pollux NVMe" */
	uint16_t max_queues;           /**< I/O queue pairs, 0: 63 */
	uint16_t max_depth;            /**< entries a queue, 0: 1024 */
	uint8_t mdts;                  /**< power of two of 4 KiB pages, 0: 8 (1 MiB) */
	bool rdonly;                   /**< namespaces are write protected */
	bool no_sgl, no_dbbuf, no_map; /**< for tests: leave these features out */
};

/** What it did. */
struct plx_nvmet_stats {
	uint64_t commands, errors; /**< I/O commands completed */
	uint64_t read_blocks, write_blocks;
	uint64_t protocol_errors; /**< invalid doorbells, addresses, fields */
	uint64_t polls, empty_polls;
};

/**
 * Open the devices, start them and listen. The controller takes every device for itself.
 * @return 0, or with one line logged: errors of plx_blk_open(), plx_blk_start() and
 *         plx_vfu_create()
 */
int plx_nvmet_create(const struct plx_nvmet_conf *conf, struct plx_nvmet **ctrl);
/** Stop serving, finish what is in flight, close the devices. */
void plx_nvmet_destroy(struct plx_nvmet *ctrl);
/** Poll doorbells, devices, and every so often the socket. @return commands handled + messages */
int plx_nvmet_poll(struct plx_nvmet *ctrl);
/** Any thread. */
void plx_nvmet_stats_get(const struct plx_nvmet *ctrl, struct plx_nvmet_stats *st);

#ifdef __cplusplus
}
#endif
#endif
