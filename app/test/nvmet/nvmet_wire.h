/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef NVMET_WIRE_H
#define NVMET_WIRE_H
/*
 * How a test reaches the controller's PCI function. Two implementations: nvmet_wire.c speaks
 * vfio-user by hand over the socket, nvmet_fake.c stands in for lib/vfu in this process.
 * The controller is polled by the same thread, while a call waits.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "plx_nvmet.h"

struct wire;

struct wire *wire_open(struct plx_nvmet *ctrl, const char *path);
/* Leave without a word. */
void wire_close(struct wire *w);

/* @return 0 or -errno as the server said */
int wire_read(struct wire *w, unsigned int region, uint64_t off, void *buf, uint32_t len);
int wire_write(struct wire *w, unsigned int region, uint64_t off, const void *buf, uint32_t len);
int wire_map(struct wire *w, uint64_t iova, uint64_t len, int fd, uint64_t off, bool writable);
int wire_unmap(struct wire *w, uint64_t iova, uint64_t len);
int wire_reset(struct wire *w);
/* Set bus master, and eventfds for vectors 0 to n - 1. */
void wire_bus_master(struct wire *w, bool on);
int wire_irqs(struct wire *w, const int *fds, unsigned int n);
/* The doorbell page, NULL when it isn't mappable. */
volatile uint32_t *wire_doorbells(struct wire *w);
#endif
