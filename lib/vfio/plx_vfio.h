/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef PLX_VFIO_H
#define PLX_VFIO_H
/**
 * @file
 * The VFIO device interface: what drivers sit on, whoever provides the device - the kernel or a
 * vfio-user server. Names, indexes and flags are those of linux/vfio.h.
 *
 * Operations that may need an answer from elsewhere return -EINPROGRESS; then plx_vfio_poll()
 * gives their outcome. One operation at a time on a device (-EBUSY). All calls are made under
 * the control lock, except plx_vfio_region_post() and reads of `lost`.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "plx_sigbus.h"

#ifdef __cplusplus
extern "C" {
#endif

struct plx_mem_domain;
struct plx_vfio_dev;
struct plx_vfio_ops;

#define PLX_VFIO_REGIONS 9 /**< VFIO_PCI_NUM_REGIONS */
#define PLX_VFIO_IRQS 5    /**< VFIO_PCI_NUM_IRQS */
#define PLX_VFIO_AREAS 8   /**< mappable areas of a region that are kept */

/** A part of a region that is mapped into this process. */
struct plx_vfio_area {
	uint64_t off, size; /**< inside the region */
	void *va;
	struct plx_sigbus_range guard; /**< private */
	int fd;                        /**< private: what is mapped */
};
struct plx_vfio_region {
	uint64_t size;
	uint32_t flags; /**< VFIO_REGION_INFO_FLAG_READ, _WRITE, _MMAP */
	uint32_t nb_areas;
	struct plx_vfio_area areas[PLX_VFIO_AREAS];
	bool shmem; /**< areas are ordinary memory that the other side polls: stores are cheap */
	uint64_t fd_off; /**< private: where the region begins in the files of its areas */
};
struct plx_vfio_irq {
	uint32_t flags, count;
};

/** An open device. Read-only to users. */
struct plx_vfio_dev {
	const struct plx_vfio_ops *ops;
	struct plx_mem_domain *domain; /**< where its DMA goes */
	char name[128];                /**< for messages: "vfio-user:/run/x", "0000:01:00.0" */
	uint32_t flags;                /**< VFIO_DEVICE_FLAGS_RESET, _PCI */
	int numa_node;
	bool iommu; /**< an IOMMU of this machine translates what the device says */
	struct plx_vfio_region regions[PLX_VFIO_REGIONS];
	struct plx_vfio_irq irqs[PLX_VFIO_IRQS];
	int lost;         /**< 0, or why the device can't be reached any more (-errno); atomic */
	bool wanted_back; /**< the kernel asks for it: end what is under way, shut it down, and
			     plx_vfio_cut() or close it. It is lost 5 s later. Under the lock */
	/* private */
	bool busy;     /**< an operation is under way */
	uint32_t gone; /**< mapped pages that went away under us; atomic */
};

/** Options of the vfio-user client. */
struct plx_vfio_user_conf {
	uint32_t timeout_ms; /**< bound of connecting and of each message, 0: 10 s */
};

/**
 * Begin opening a device served by vfio-user (protocol version 0.x): connect, negotiate, read
 * info, regions (mapping what is mappable) and interrupts, create the domain. plx_vfio_poll()
 * ends with 0 when the device is usable, else with an error that was logged with its way out.
 * @param path  UNIX socket, or a directory that holds it under the name "cntrl"
 * @param conf  options, NULL for the defaults
 * @param dev   out
 * @return 0; logged: -ENAMETOOLONG; -ENOENT; -EACCES; -ENOTSOCK; -EPROTOTYPE another kind of
 *         socket; -ECONNREFUSED nobody serves it; -ENOMEM. Of plx_vfio_poll(): these, -ETIMEDOUT,
 *         -ENODEV the server left, -EPROTO it broke the protocol, -EPROTONOSUPPORT its version or
 *         device can't be used
 */
int plx_vfio_user_open(
	const char *path, const struct plx_vfio_user_conf *conf, struct plx_vfio_dev **dev);

/** The kernel's ways to a PCI function. */
enum plx_vfio_mode {
	PLX_VFIO_AUTO,   /**< by character device where there is one, else by group */
	PLX_VFIO_CDEV,   /**< character device and iommufd, Linux 6.6 */
	PLX_VFIO_GROUP,  /**< IOMMU group and container */
	PLX_VFIO_NOIOMMU /**< without an IOMMU: physical addresses, nothing protects memory */
};

/**
 * Open a PCI function that is bound to vfio-pci: read info, map regions, create the domain, which
 * functions of one IOMMU group share. The kernel resets the function where it can, which takes up
 * to a second or so; this call waits for it. The device is usable at once.
 * @param bdf   "0000:01:00.0": domain, and lower case
 * @param mode  which way; PLX_VFIO_NOIOMMU only when asked for
 * @param dev   out
 * @return 0; logged, with the way out: -ENOENT no such function or node; -EBUSY another driver or
 *         process has it, or a function of its group; -ENODEV no driver, or no IOMMU; -EACCES;
 *         -EPERM; -EINVAL noiommu, but there is an IOMMU; -ENOTSUP the kernel, or EAL without
 *         hugepages, can't; -ENOMEM; -EPROTO; -EIO
 */
int plx_vfio_pci_open(const char *bdf, enum plx_vfio_mode mode, struct plx_vfio_dev **dev);

/**
 * Go on with the operation under way and serve the other side's requests (a vfio-user server
 * may read and write memory by message). Also to be called when none is under way.
 * @return -EINPROGRESS; the operation's result, once; 0 when there is none;
 *         -ENODEV the device is lost
 */
int plx_vfio_poll(struct plx_vfio_dev *dev);

/**
 * Read or write a region, config space included (region VFIO_PCI_CONFIG_REGION_INDEX), at the
 * access size the register wants: 1, 2, 4, 8 bytes, or more for plain memory. buf of a read
 * must live until the end of the operation.
 * @return 0; -EINPROGRESS; -EINVAL outside the region; -EBUSY; -ENODEV lost; -EIO refused
 */
int plx_vfio_region_read(
	struct plx_vfio_dev *dev, unsigned int region, uint64_t off, void *buf, uint32_t len);
int plx_vfio_region_write(
	struct plx_vfio_dev *dev, unsigned int region, uint64_t off, const void *buf, uint32_t len);

/** Write 4 bytes without waiting or learning the outcome, any thread: a doorbell that isn't
 * mapped. While the other side takes none, a later value for the same register replaces one that
 * is waiting here; plx_vfio_poll() sends those. */
void plx_vfio_region_post(struct plx_vfio_dev *dev, unsigned int region, uint64_t off, uint32_t v);

/** @return the address of [off, off + len) of a region if all of it is mapped, else NULL */
void *plx_vfio_region_ptr(
	const struct plx_vfio_dev *dev, unsigned int region, uint64_t off, uint64_t len);

/**
 * Wire eventfds to vectors [start, start + n) of an interrupt index; fd -1 unwires one, n 0
 * disables the index. The array is copied; its fds stay open until the end of the operation.
 * @return 0; -EINPROGRESS; -EINVAL no such vectors; -ENOSPC the host has fewer
 */
int plx_vfio_irq_set(struct plx_vfio_dev *dev, unsigned int index, unsigned int start,
	const int *fds, unsigned int n);

/** Function-level reset. @return 0; -EINPROGRESS; -ENOTSUP */
int plx_vfio_reset(struct plx_vfio_dev *dev);

/**
 * Let go of a device that is lost or wanted back, while users still hold this object: unmap its
 * regions and give it back to the kernel, which can remove it then. No thread may reach into its
 * regions any more, or wait for an interrupt. The domain stays, but nothing is mapped in it.
 * @return 0: it can't reach memory any more, and counts as lost; -ENOTSUP a peer by vfio-user may
 *         hold on to memory: nothing was done
 */
int plx_vfio_cut(struct plx_vfio_dev *dev);

/**
 * Begin opening a vfio-user device anew whose server closed the connection, on the same path: as
 * plx_vfio_user_open(), but into this object. No thread may reach into its regions any more: they
 * are unmapped, and mapped where the new server has them. Nothing is mapped in the domain, whose
 * addresses stay, until plx_mem_domain_sync(); no interrupt is wired.
 * @return 0; -EINPROGRESS, then plx_vfio_poll() ends with 0 or why it stays lost, which is logged
 *         only where more than the server is missing; -EBUSY; -ENOTSUP it isn't lost, or is of a
 *         kind that doesn't come back; -ESTALE the server takes less memory than before
 */
int plx_vfio_reconnect(struct plx_vfio_dev *dev);

/** Close at once, destroying the domain; the device can't reach memory afterwards (vfio-user: as
 * far as the server keeps the protocol). NULL is harmless. */
void plx_vfio_close(struct plx_vfio_dev *dev);

/** Areas of a region that are mapped, as another process is told of them. */
struct plx_vfio_share {
	uint64_t size, fd_off; /**< as those of struct plx_vfio_region */
	uint32_t flags, nb_areas;
	bool shmem;
	struct {
		uint64_t off, size; /**< inside the region */
	} areas[PLX_VFIO_AREAS];
};

/**
 * Share a region that is mapped.
 * @param dev     the device
 * @param region  index of the region
 * @param share   out
 * @param fds     out: room for PLX_VFIO_AREAS; they stay the device's
 * @return 0; -EINVAL no such region, -ENOTSUP nothing of it is mapped
 */
int plx_vfio_share(const struct plx_vfio_dev *dev, unsigned int region,
	struct plx_vfio_share *share, int *fds);

/**
 * Open what another process shares: a device of one region, that knows no messages, interrupts or
 * reset: reading and writing end with -EIO, resets with -ENOTSUP.
 * @param name    for messages
 * @param region  index of the region
 * @param share   what plx_vfio_share() told there
 * @param fds     share->nb_areas; stay the caller's
 * @param domain  where its DMA goes; destroyed with the device, and when this fails
 * @param dev     out
 * @return 0; -ENOMEM; -EPROTO, -errno: it can't be mapped, logged
 */
int plx_vfio_shared_open(const char *name, unsigned int region, const struct plx_vfio_share *share,
	const int *fds, struct plx_mem_domain *domain, struct plx_vfio_dev **dev);

/** A provider of devices. Validation is done by the calls above. */
struct plx_vfio_ops {
	const char *name;
	int (*poll)(struct plx_vfio_dev *dev);
	int (*region_read)(struct plx_vfio_dev *, unsigned int, uint64_t, void *, uint32_t);
	int (*region_write)(struct plx_vfio_dev *, unsigned int, uint64_t, const void *, uint32_t);
	void (*region_post)(struct plx_vfio_dev *, unsigned int, uint64_t, uint32_t);
	int (*irq_set)(
		struct plx_vfio_dev *, unsigned int, unsigned int, const int *, unsigned int);
	int (*reset)(struct plx_vfio_dev *);
	void (*cut)(struct plx_vfio_dev *);      /**< may be NULL */
	int (*reconnect)(struct plx_vfio_dev *); /**< may be NULL */
	void (*close)(struct plx_vfio_dev *);
};

#ifdef __cplusplus
}
#endif
#endif
