/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VFIO_KERNEL_PRIV_H
#define VFIO_KERNEL_PRIV_H
/**
 * @file
 * Devices of the kernel's VFIO. The two ways to one, by group and by character device, differ in
 * how it is opened and in how memory is mapped; what is done with an open one is the same.
 * All under the control lock.
 */
#include <stdio.h>

#include "plx_ctrl.h"
#include "plx_mem.h"
#include "plx_vfio.h"

/**
 * An I/O address space of the IOMMU. The functions of one IOMMU group can't be told apart by it,
 * and the kernel gives the group to one opener: so they share this, and its domain.
 */
struct vfio_space {
	struct vfio_space *next;
	int group; /* IOMMU group */
	bool cdev;
	unsigned int refs;  /* open devices, and those that were cut off */
	unsigned int users; /* open devices */
	int iommu;          /* container, or iommufd; -1 without users */
	int group_fd;       /* -1 with cdev */
	uint32_t ioas;
	char name[32]; /* for messages */
	struct plx_mem_domain *domain;
};

struct vfio_kernel {
	struct plx_vfio_dev dev; /* dev.name is the address */
	struct vfio_kernel *next;
	struct vfio_space *space;
	int fd;
	uint64_t offset[PLX_VFIO_REGIONS]; /* of a region in fd */
	unsigned int wired;                /* interrupt indexes that are enabled, bits */
	int notice[2];                     /* eventfds: error, request to give it back */
	struct plx_deadline look;          /* when to look at them again */
	struct plx_deadline give_back;     /* when it is wanted back */
	bool cut;
	bool resetting;
	struct plx_deadline until;
};

/* vfio_kernel.c: fd is an open device: ask for all there is to know, map, watch. Logged. */
int vfio_kernel_setup(struct vfio_kernel *k);
/* vfio_pci.c */
void vfio_kernel_cut(struct plx_vfio_dev *dev);
void vfio_kernel_close(struct plx_vfio_dev *dev);
extern const struct plx_vfio_ops vfio_kernel_ops;

/* vfio_space.c */
struct vfio_space *vfio_space_find(int group, bool cdev);
struct vfio_space *vfio_space_new(int group, bool cdev);
/* A device of it is closed; its domain stays until the device has put it. */
void vfio_space_leave(struct vfio_space *s);
void vfio_space_put(struct vfio_space *s);
/* Why memory could not be pinned, with the limit. */
void vfio_space_no_memory(const struct vfio_space *s, size_t len);

/* vfio_group.c, vfio_cdev.c: open the device, in a space. Logged. */
int vfio_group_open(struct vfio_kernel *k, int group, bool noiommu);
int vfio_cdev_open(struct vfio_kernel *k, int group, const char *cdev);

/* vfio_sysfs.c: what the kernel says about a function. */
extern const char *vfio_host_root; /* before /sys, /dev and /proc: tests have a tree of their own */
/* Make a path below the root. @return path */
const char *vfio_path(char *path, size_t size, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
bool vfio_path_exists(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* @return false and an empty word when it isn't bound */
bool vfio_sysfs_driver(const char *bdf, char *driver, size_t size);
int vfio_sysfs_group(const char *bdf); /* -1: none */
bool vfio_sysfs_noiommu(int group);
bool vfio_sysfs_cdev(const char *bdf, char *name, size_t size);
int vfio_sysfs_numa(const char *bdf); /* -1: unknown */
/* A member of the group, bound to a driver that is none of VFIO's. */
bool vfio_sysfs_foreigner(int group, char *bdf, char *driver, size_t size);
/* In words, who has one of the nodes of this group open. */
void vfio_sysfs_holder(int group, char *text, size_t size);

#endif
