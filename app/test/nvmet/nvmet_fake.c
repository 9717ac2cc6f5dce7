/* SPDX-License-Identifier: BSD-3-Clause */
/* A stand-in for lib/vfu: the same calls, no socket. For fuzzing and counting instructions. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "nvmet_wire.h"
#include "plx_vfu.h"

#define MAX_DMA 8

struct plx_vfu {
	struct plx_vfu_conf conf;
	struct plx_vfu_dma dma[MAX_DMA];
	void *bar;
	bool connected, bus_master;
	int irq[64];
	unsigned int nirq;
};
struct wire {
	struct plx_nvmet *ctrl;
	struct plx_vfu *v;
};

static struct plx_vfu *served;

int
plx_vfu_create(const struct plx_vfu_conf *conf, struct plx_vfu **vfu)
{
	struct plx_vfu *v = calloc(1, sizeof(*v));

	v->conf = *conf;
	if (conf->bars[0].map_size != 0)
		v->bar = aligned_alloc(4096, conf->bars[0].map_size);
	served = *vfu = v;
	return 0;
}

void
plx_vfu_destroy(struct plx_vfu *v)
{
	free(v->bar);
	free(v);
	served = NULL;
}

int
plx_vfu_poll(struct plx_vfu *v)
{
	(void)v;
	return 0;
}

bool
plx_vfu_connected(const struct plx_vfu *v)
{
	return v->connected;
}

void *
plx_vfu_bar_mem(struct plx_vfu *v, unsigned int bar)
{
	return bar == 0 ? v->bar : NULL;
}

bool
plx_vfu_bus_master(const struct plx_vfu *v)
{
	return v->bus_master;
}

void
plx_vfu_irq(struct plx_vfu *v, unsigned int vector)
{
	uint64_t one = 1;

	if (vector < v->nirq && v->irq[vector] >= 0)
		(void)!write(v->irq[vector], &one, sizeof(one));
}

/* What a client maps here is in one piece. */
void *
plx_vfu_dma_join(struct plx_vfu *v, uint64_t iova, uint64_t len, bool write)
{
	return NULL;
}

bool
plx_vfu_dma_find(struct plx_vfu *v, uint64_t iova, struct plx_vfu_dma *out)
{
	unsigned int i;

	for (i = 0; i < MAX_DMA; i++)
		if (iova - v->dma[i].iova < v->dma[i].len) {
			*out = v->dma[i];
			return true;
		}
	return false;
}

struct wire *
wire_open(struct plx_nvmet *ctrl, const char *path)
{
	struct wire *w = calloc(1, sizeof(*w));

	(void)path;
	w->ctrl = ctrl;
	w->v = served;
	w->v->connected = true;
	if (w->v->bar != NULL)
		memset(w->v->bar, 0, 4096);
	return w;
}

void
wire_close(struct wire *w)
{
	struct plx_vfu *v = w->v;
	unsigned int i;

	v->connected = v->bus_master = false;
	while (v->conf.ops->dma_gone(v->conf.arg, 0, 0) == -EINPROGRESS)
		plx_nvmet_poll(w->ctrl);
	while (v->conf.ops->reset(v->conf.arg, true) == -EINPROGRESS)
		plx_nvmet_poll(w->ctrl);
	for (i = 0; i < MAX_DMA; i++)
		if (v->dma[i].len != 0)
			munmap(v->dma[i].va, v->dma[i].len);
	memset(v->dma, 0, sizeof(v->dma));
	v->nirq = 0;
	free(w);
}

int
wire_read(struct wire *w, unsigned int region, uint64_t off, void *buf, uint32_t len)
{
	plx_nvmet_poll(w->ctrl);
	return w->v->conf.ops->read(w->v->conf.arg, region, off, buf, len);
}

int
wire_write(struct wire *w, unsigned int region, uint64_t off, const void *buf, uint32_t len)
{
	int rc = w->v->conf.ops->write(w->v->conf.arg, region, off, buf, len);

	plx_nvmet_poll(w->ctrl);
	return rc;
}

int
wire_map(struct wire *w, uint64_t iova, uint64_t len, int fd, uint64_t off, bool writable)
{
	unsigned int i;

	for (i = 0; i < MAX_DMA && w->v->dma[i].len != 0; i++)
		;
	if (i == MAX_DMA)
		return -ENOSPC;
	w->v->dma[i].va = mmap(
		NULL, len, PROT_READ | (writable ? PROT_WRITE : 0), MAP_SHARED, fd, (off_t)off);
	if (w->v->dma[i].va == MAP_FAILED)
		return -errno;
	w->v->dma[i].iova = iova;
	w->v->dma[i].len = len;
	w->v->dma[i].writable = writable;
	w->v->conf.ops->dma_added(w->v->conf.arg, iova, len);
	return 0;
}

int
wire_unmap(struct wire *w, uint64_t iova, uint64_t len)
{
	unsigned int i;

	for (i = 0; i < MAX_DMA; i++) {
		struct plx_vfu_dma *d = &w->v->dma[i];

		if (d->len == 0 || d->iova != iova || d->len != len)
			continue;
		while (w->v->conf.ops->dma_gone(w->v->conf.arg, iova, len) == -EINPROGRESS)
			plx_nvmet_poll(w->ctrl);
		munmap(d->va, d->len);
		memset(d, 0, sizeof(*d));
		return 0;
	}
	return -ENOENT;
}

int
wire_reset(struct wire *w)
{
	while (w->v->conf.ops->reset(w->v->conf.arg, false) == -EINPROGRESS)
		plx_nvmet_poll(w->ctrl);
	return 0;
}

void
wire_bus_master(struct wire *w, bool on)
{
	unsigned int i;

	w->v->bus_master = on;
	for (i = 0; i < 32; i++) /* the real one tells by plx_vfu_poll(), so let that pass */
		plx_nvmet_poll(w->ctrl);
	usleep(150);
	for (i = 0; i < 32; i++)
		plx_nvmet_poll(w->ctrl);
}

int
wire_irqs(struct wire *w, const int *fds, unsigned int n)
{
	memcpy(w->v->irq, fds, n * sizeof(*fds));
	w->v->nirq = n;
	return 0;
}

volatile uint32_t *
wire_doorbells(struct wire *w)
{
	return w->v->bar;
}
