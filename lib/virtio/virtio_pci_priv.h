/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIRTIO_PCI_PRIV_H
#define VIRTIO_PCI_PRIV_H
/*
 * The PCI transport: virtio_pci.c opens the device and has its status, features and configuration,
 * virtio_pci_queue.c its queues.
 */
#include <stdbool.h>
#include <stdint.h>

#include "plx_ctrl.h"
#include "plx_pci.h"
#include "plx_pt.h"
#include "plx_vfio.h"
#include "plx_virtio.h"

#define CONFIG_MAX 256
#define BIT(n) (UINT64_C(1) << (n))

/* of the common configuration (4.1.4.3), where linux/virtio_pci.h has no name */
enum {
	COMMON_NDATA = 56,
	COMMON_LEN = 56, /* what every modern device has */
};

/* A structure in a BAR; len 0: the device has none. */
struct part {
	uint8_t bar;
	uint32_t off, len;
};

struct virtio_pci {
	struct plx_virtio_dev dev;
	struct plx_pci *pci;
	struct plx_vfio_dev *vfio;
	struct part common, notify, config;
	uint32_t notify_mult;
	uint64_t device_features;
	uint8_t generation;
	bool msix;

	/* the operation under way */
	int (*run)(struct virtio_pci *p);
	struct plx_pt pt, sub;
	int rc;
	struct plx_deadline until, pause;
	uint64_t val; /* what was read */
	uint32_t i, pos, tries;
	uint64_t want; /* features */
	uint32_t off, len;
	uint8_t *buf;
	uint8_t cfg[CONFIG_MAX];
	uint16_t *size;
	struct plx_virtio_queue *const *queues;
	uint16_t nqueues;
	int *fds;
	uint32_t *db_off; /* of each queue's doorbell in its structure */

	/* the register access under way */
	struct {
		const struct part *part;
		uint32_t off, len;
		uint64_t value; /* little-endian */
		bool write, begun;
	} io;
};

/* virtio_pci.c: register accesses are for run functions, by the macros below */
int virtio_pci_reg(struct virtio_pci *p, const struct part *part, uint32_t off, uint32_t len,
	bool write, uint64_t value);
int virtio_pci_reg_step(struct virtio_pci *p);
/* Begin an operation. */
int virtio_pci_begin(struct virtio_pci *p, int (*run)(struct virtio_pci *p));

/* virtio_pci_queue.c */
int virtio_pci_start(struct plx_virtio_dev *dev, struct plx_virtio_queue *const *q, uint16_t n);
void virtio_pci_notify(struct plx_virtio_queue *q, uint16_t data);

/* Inside a run function or a part of one: it ends with the error of an access. One a line. */
#define ACCESS(p, t, part, off, len, write, value)                                       \
	do {                                                                             \
		PLX_PT_CALL(t, (p)->rc, virtio_pci_reg(p, part, off, len, write, value), \
			virtio_pci_reg_step(p));                                         \
		if ((p)->rc != 0)                                                        \
			PLX_PT_RETURN(t, (p)->rc);                                       \
	} while (0)
#define READ(p, off, len) ACCESS(p, &(p)->pt, &(p)->common, off, len, false, 0)
#define WRITE(p, off, len, value) ACCESS(p, &(p)->pt, &(p)->common, off, len, true, value)

#endif
