/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef PLX_PROBE_DRV_H
#define PLX_PROBE_DRV_H
/**
 * @file
 * Device strings: what a driver includes to be found.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <rte_kvargs.h>

#include "plx_pci.h"
#include "plx_probe.h"

struct plx_nvme_cmd;
struct plx_blk;
struct plx_mp_chan;
struct plx_mp_queue;

#ifdef __cplusplus
extern "C" {
#endif

#define PLX_DEV_NAME_MAX 48

/** An attachment, as its driver sees it. */
struct plx_dev {
	char name[PLX_DEV_NAME_MAX];
	char *str;               /**< the device string */
	const char *addr;        /**< its address part ("/path/sock"), or "" */
	struct rte_kvargs *args; /**< its key=value part; "name" is stripped; never NULL */
	const struct plx_driver *drv;
	void *priv;          /**< the driver's */
	struct plx_pci *pci; /**< PCI drivers: the probed function; freed after detach */
	/* private to lib/probe */
	struct plx_dev *next;
	struct plx_dev *parent; /* attached by this one's driver: hidden, may share its name */
	struct plx_vfio_dev *vfio;
	struct plx_pt pt, pci_pt;
	int state, rc;
	int result;   /* of a failed attach, or of a detach */
	bool detach;  /* as soon as it is attached */
	bool hotplug; /* hotplug began it, and tells the outcome */
	bool nvme;    /* one of plx_nvme_ops is under way */
	int nvme_rc;  /* -EINPROGRESS, or its outcome */
};

/** What a driver of NVMe controllers gives plx_nvme.h. One operation at a time on a device. */
struct plx_nvme_ops {
	/** Begin an admin command, or a reset of the controller. @return 0 done; -EINPROGRESS:
	 * poll() follows; -errno */
	int (*admin)(struct plx_dev *dev, struct plx_nvme_cmd *cmd);
	int (*reset)(struct plx_dev *dev);
	/** Go on with it. @return 0; -EINPROGRESS; -errno, once */
	int (*poll)(struct plx_dev *dev);
};

/**
 * A driver. All functions run under the control lock. They may attach and detach others with
 * plx_attach_start() and plx_detach_start(); such an attachment belongs to theirs: it is not
 * listed and may have the same name.
 */
struct plx_driver {
	const char *name; /**< of the driver, and the prefix of its device strings unless pci_ids */
	const char *help; /**< one line: the device string with its keys */
	const char *const *keys;          /**< accepted keys, ended by NULL */
	const struct plx_pci_id *pci_ids; /**< binds PCI functions; ended by vendor 0 */
	/**
	 * Begin attaching: validate args, allocate, set dev->priv. @return 0 attached (devices are
	 * registered), -EINPROGRESS: poll() follows, or -errno with one line logged and nothing
	 * left behind.
	 */
	int (*attach)(struct plx_dev *dev);
	/**
	 * Drive it. While attaching or detaching: @return -EINPROGRESS, 0 done, or -errno (failed
	 * attach: everything is freed). Afterwards housekeeping: @return >0 did something, 0 idle.
	 */
	int (*poll)(struct plx_dev *dev);
	/**
	 * Begin detaching; its block devices are closed. @return 0 done and freed; -EINPROGRESS;
	 * -errno done, with an error
	 */
	int (*detach)(struct plx_dev *dev);
	/** PCI drivers: the transport is closed, after a detach or a failed attach: free what the
	 * device could reach. May be NULL. */
	void (*release)(struct plx_dev *dev);
	/** Kernel modules that its functions need on the PCI bus of this machine, alternatives
	 * apart by '|', behind "* " for all of pci_ids: "* vfio-pci"; NULL: none. For plx-pmdinfo
	 */
	const char *kmod;
	/** The controller's own commands; NULL: not NVMe. */
	const struct plx_nvme_ops *nvme;
	/** Share an attached device with a secondary process, as struct plx_mp_server has it, and
	 * tell of the queues of its that such processes have. NULL: it can't be shared */
	int (*share)(struct plx_dev *dev, struct plx_mp_chan *ch, const void *req, uint32_t len,
		char *why, size_t size);
	int (*shared)(const struct plx_blk *blk, uint32_t i, struct plx_mp_queue *out);
	/** It works in a secondary process. */
	bool secondary;
};

/**
 * Describe a driver in the file that holds it: one line at file scope behind its struct. What is
 * kept is a pointer to the struct, in a section that neither the linker nor strip drops;
 * plx-pmdinfo follows it in any library or program, and plx-devbind takes its PCI ids from there.
 * plx-pmdinfo knows the order of the struct's members.
 */
#define PLX_DRIVER_INFO(drv)                                             \
	static const struct plx_driver *const drv##_info PLX_DRIVER_KEEP \
		__attribute__((used, section("plx_driver_info"))) = &drv
#ifndef __has_attribute
#define __has_attribute(x) 0
#endif
#if __has_attribute(retain)
#define PLX_DRIVER_KEEP __attribute__((retain))
#else
#define PLX_DRIVER_KEEP
#endif

/** Register a driver that is not part of the library; it must outlive all. @return 0; -EEXIST */
int plx_driver_register(const struct plx_driver *drv);
/** Built-in and registered drivers, in order. @return the next, the first for NULL */
const struct plx_driver *plx_driver_next(const struct plx_driver *prev);
/** Built-in drivers, ended by NULL: generated from the build's options. */
extern const struct plx_driver *const plx_builtin_drivers[];

/** Log one line: what is wrong with an argument, its value, and the driver's help.
 * @return -EINVAL */
int plx_arg_bad(const struct plx_dev *dev, const char *key, const char *why);

/** Parse a size: digits with K, M, G, T (powers of 1024), optional 'i' and 'B'.
 * @return 0; -EINVAL; -ERANGE */
int plx_parse_size(const char *s, uint64_t *out);
/** Argument access: value of a key or def when absent; on a bad value one line is logged.
 * @return 0; -EINVAL */
int plx_arg_size(const struct plx_dev *dev, const char *key, uint64_t def, uint64_t *out);
int plx_arg_u32(const struct plx_dev *dev, const char *key, uint32_t min, uint32_t max,
	uint32_t def, uint32_t *out);
int plx_arg_bool(const struct plx_dev *dev, const char *key, bool def, bool *out);
const char *plx_arg_str(const struct plx_dev *dev, const char *key);

#ifdef __cplusplus
}
#endif
#endif
