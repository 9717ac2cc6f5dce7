/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef PLX_PCI_H
#define PLX_PCI_H
/**
 * @file
 * A PCI function on top of a VFIO device: identity, capabilities, command register, MSI-X.
 * Under the control lock; polled like lib/vfio.
 */
#include <stdbool.h>
#include <stdint.h>

#include "plx_pt.h"

#ifdef __cplusplus
extern "C" {
#endif

struct plx_vfio_dev;

#define PLX_PCI_ANY 0xffffffffu

/** What a driver binds to. */
struct plx_pci_id {
	uint32_t vendor, device; /**< PLX_PCI_ANY */
	uint32_t class_code;     /**< 24 bits, PLX_PCI_ANY */
};

/** A PCI function. Read-only to users. */
struct plx_pci {
	struct plx_vfio_dev *vfio;
	uint16_t vendor, device, subvendor, subdevice;
	uint32_t class_code; /**< 24 bits: class, subclass, interface */
	uint8_t revision;
	uint8_t cap_msix, cap_pcie, cap_pm; /**< config offsets, 0: absent */
	uint16_t msix_count;                /**< vectors */
	uint8_t msix_bar, pba_bar;
	uint32_t msix_off, pba_off;
	uint8_t cfg[256]; /**< config space, as it was when probed */
	/* private */
	struct plx_pt pt;
	int rc;
	int (*run)(struct plx_pci *pci);
	uint16_t reg, val, set, clear;
};

/** Begin reading config space; then plx_pci_poll(). pci is zeroed by the caller but for vfio.
 * An MSI-X capability that points outside its BARs counts as absent.
 * @return 0 or -EINPROGRESS or -errno, logged: -ENODEV all ones, -EPROTO a header that isn't
 *         type 0 or a capability list with a loop; as plx_vfio_region_read() */
int plx_pci_probe(struct plx_pci *pci);

/** Set memory space, bus master and INTx-disable in the command register (0x406), or, off, clear
 * bus master. @return as plx_vfio_region_write(); -ENODEV all ones */
int plx_pci_enable(struct plx_pci *pci, bool on);

/** Set or clear MSI-X enable in its capability. @return the same; -ENOTSUP no MSI-X */
int plx_pci_msix_enable(struct plx_pci *pci, bool on);

/** Continue whichever is under way. @return 0, -EINPROGRESS, -errno */
int plx_pci_poll(struct plx_pci *pci);

/** Walk the capabilities of one kind; the list was checked when probing.
 * @param pci    probed
 * @param id     PCI_CAP_ID_*
 * @param after  0, or the one found last
 * @return its offset in cfg, 0: no more */
uint8_t plx_pci_cap_next(const struct plx_pci *pci, uint8_t id, uint8_t after);

#define PLX_PCI_ADDRESS_LEN 16 /**< room for "0000:01:00.0" */

/** Bring an address into the kernel's form: with a domain, in lower case.
 * @return 0; -EINVAL not an address */
int plx_pci_address(const char *text, char bdf[PLX_PCI_ADDRESS_LEN]);

/** Vendor, device and class of a function, from sysfs: it needs no driver, and is not opened. The
 * rest of pci is zeroed. Any thread. @return 0; -ENOENT no such function */
int plx_pci_sysfs_ids(const char *bdf, struct plx_pci *pci);

/** @return whether the id list (ended by vendor 0) has this function */
bool plx_pci_match(const struct plx_pci *pci, const struct plx_pci_id *ids);

/** What the kernel tells of functions as they come and go. */
enum plx_pci_uevent_type {
	PLX_PCI_ADDED = 1, /**< it is there */
	PLX_PCI_BOUND,     /**< a driver of the kernel has it now */
	PLX_PCI_REMOVED,   /**< gone; who had it has given it back */
	PLX_PCI_MISSED,    /**< some were lost: too many at once */
};
struct plx_pci_uevent {
	enum plx_pci_uevent_type type;
	char bdf[PLX_PCI_ADDRESS_LEN];
	struct plx_pci ids; /**< as plx_pci_sysfs_ids() */
	char driver[32];    /**< the kernel's, when bound */
};

/**
 * Listen. All is in the messages: nothing has to be looked up in sysfs, which may wait for a
 * removal that waits for us. Any thread. @return a file descriptor, readable when there is
 * something; or -errno, logged
 */
int plx_pci_uevent_open(void);
/** Take the next one, without waiting. One thread at a time. @return 1; 0 none; -errno */
int plx_pci_uevent_get(int fd, struct plx_pci_uevent *ev);

#ifdef __cplusplus
}
#endif
#endif
