/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef PROBE_PRIV_H
#define PROBE_PRIV_H
#include "plx_probe_drv.h"

enum { DEV_ATTACHING, DEV_ATTACHED, DEV_FAILED, DEV_DETACHING, DEV_DETACHED };

/* probe_str.c */
/* Take the string apart: str, addr, args, name, drv. Logs what is wrong. */
int probe_parse(struct plx_dev *dev, const char *str);
/* The keys of a PCI device are known when its driver is. */
int probe_check_keys(const struct plx_dev *dev, const struct plx_driver *drv);
/* What brings PCI functions, before it is known which driver they have. */
struct probe_transport {
	const char *name; /* the prefix */
	const char *help;
	const char *const *keys; /* beside the driver's */
	int (*open)(struct plx_dev *dev);
};
extern const struct probe_transport probe_transports[]; /* probe_pci.c; ended by no name */
/* The string's, or NULL: it names a driver. */
const struct probe_transport *probe_transport(const struct plx_dev *dev);
/* What the string should look like. */
const char *probe_help(const struct plx_dev *dev);
/* Add to a list in words. */
void probe_append(char *list, size_t size, const char *word);

/* probe_driver.c */
const struct plx_driver *probe_driver_find(const char *name, size_t len);
/* The candidate nearest to word by edit distance, when it is near. */
struct probe_near {
	const char *word;
	size_t len;
	const char *best;
	unsigned int distance;
};
void probe_near_try(struct probe_near *near, const char *candidate);

/* probe_pci.c: open the transport, read config space, find the driver. Polled. */
int probe_pci(struct plx_dev *dev);
void probe_pci_close(struct plx_dev *dev);

/* The driver for a function, or NULL. */
const struct plx_driver *probe_pci_driver(const struct plx_pci *pci);

/* probe_hotplug.c: watch that descriptor, which is closed at the end: tests write to it. */
int probe_hotplug_on(int fd, const char *attach);

/* probe_mp.c: whether a device may be attached in this process, else logged. In a primary, share
 * what is attached from now on. */
bool probe_mp_allowed(const struct plx_dev *dev);

/* probe_dev.c: an attachment by that name that is complete, or NULL; their names as a list */
struct plx_dev *probe_attached(const char *name);
void probe_names(char *list, size_t size);

/* probe_dev.c: an attachment that hotplug began and has not collected yet, or only one that has
 * come to its end; NULL: none */
struct plx_dev *probe_hotplug_next(bool ended);
/* Give it a name if the string didn't; check that it is free */
int probe_name(struct plx_dev *dev);

#endif
