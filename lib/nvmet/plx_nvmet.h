/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef PLX_NVMET_H
#define PLX_NVMET_H
/**
 * @file
 * A software NVMe 1.4 controller over Pollux block devices, served by vfio-user.
 *
 *	host: a VM, the NVMe driver         mapped doorbells, queues and data in shared memory
 *	     |  vfio-user socket                 |
 *	lib/vfu  registers, DMA maps         plx_nvmet_poll(): fetch, submit, complete
 *	     |                                   |
 *	plx_nvmet  one namespace a device --> plx_blkq_submit() / plx_blkq_poll()
 *
 * A controller belongs to one thread: the one that polls it. It opens its devices with one queue
 * each and submits to them from that thread. Data is not copied: requests point at the client's
 * memory, which a device that does DMA by itself has to bounce.
 *
 * To the host: up to 63 I/O queue pairs, each with both its doorbells in a cache line of their
 * own (CAP.DSTRD 3) in a page that can be mapped; SGLs of any alignment; shadow doorbells, with
 * event indexes that ask to be rung once a lap of the ring at most, as the controller polls them;
 * MSI-X; flush, write zeroes, dataset management, compare and verify as far as all devices have
 * them, and copy; metadata and protection information as a device has it; zoned devices as zoned
 * namespaces, which a host sees that enables all I/O command sets; error and SMART logs, async
 * events, Abort. Namespaces on devices that lose their data get another NGUID at each start.
 *
 * To whoever manages it (NVMe Base 2.0): format, sanitize by block erase and overwrite, in the
 * background and over resets; short and extended self-tests, which read the devices; namespaces can
 * be detached and attached, deleted, which erases them, and created again, one a device, of its
 * size or smaller; three firmware slots, where an image is "PLXNVMET", a revision of eight
 * characters and anything up to 256 KiB, and activating it changes the revision told and nothing
 * else; reservations of all types for up to 32 hosts a namespace, told apart by the identifier that
 * each sets (feature 81h), which outlive connections but not the process. Where a device is
 * read-only, or conf says so, nothing that destroys data is offered.
 *
 * A host may write anything anywhere: bad commands get their status, bad doorbells an event, and
 * when it takes away memory that a queue lies in, CSTS.CFS says so until it resets the controller.
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
	uint8_t mdts;                  /**< power of two of 4 KiB pages up to 9, 0: 8 (1 MiB) */
	bool rdonly;                   /**< namespaces are write protected */
	bool meta_ext;                 /**< metadata is mixed with data: an extended format */
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
 * A control call: any thread, not from inside a callback.
 * @return 0, or with one line logged: errors of plx_blk_open(), plx_blk_start() and
 *         plx_vfu_create(); -EINVAL conf asks for too much; -ENOTSUP a device has blocks over
 *         32 KiB, or over 4 KiB of metadata, or is zoned with metadata or without appends of
 *         8 KiB; -ENOMEM
 */
int plx_nvmet_create(const struct plx_nvmet_conf *conf, struct plx_nvmet **ctrl);
/** Stop serving, finish what is in flight (up to 10 s), close the devices. The polling thread's
 * call, or when that has ended any; NULL is harmless. */
void plx_nvmet_destroy(struct plx_nvmet *ctrl);
/** Poll doorbells, devices, and every so often the socket. Never blocks. The owning thread only.
 * @return commands fetched and finished, and messages; 0: it was idle */
int plx_nvmet_poll(struct plx_nvmet *ctrl);
/** May it be left alone for a while? See plx_export_quiet(). The owning thread only. @return true:
 * nothing is in flight, and nobody talked to it within the last millisecond */
bool plx_nvmet_quiet(struct plx_nvmet *ctrl);
/** Any thread. */
void plx_nvmet_stats_get(const struct plx_nvmet *ctrl, struct plx_nvmet_stats *st);

#ifdef __cplusplus
}
#endif
#endif
