/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <string.h>

#include <linux/vfio.h>

#include "plx_log.h"
#include "plx_vfio.h"

PLX_LOG_TYPE(vfio, NOTICE);

static bool
inside(const struct plx_vfio_dev *dev, unsigned int region, uint64_t off, uint64_t len)
{
	uint64_t size;

	if (region >= PLX_VFIO_REGIONS || len == 0)
		return false;
	size = dev->regions[region].size;
	return off <= size && len <= size - off;
}

/* Whether an operation may begin. */
static int
ready(const struct plx_vfio_dev *dev)
{
	if (__atomic_load_n(&dev->lost, __ATOMIC_RELAXED) != 0)
		return -ENODEV;
	return dev->busy ? -EBUSY : 0;
}

static int
begun(struct plx_vfio_dev *dev, int rc)
{
	dev->busy = rc == -EINPROGRESS;
	return rc;
}

int
plx_vfio_poll(struct plx_vfio_dev *dev)
{
	return begun(dev, dev->ops->poll(dev));
}

void *
plx_vfio_region_ptr(const struct plx_vfio_dev *dev, unsigned int region, uint64_t off, uint64_t len)
{
	const struct plx_vfio_region *r;
	uint32_t i;

	if (!inside(dev, region, off, len))
		return NULL;
	r = &dev->regions[region];
	for (i = 0; i < r->nb_areas; i++) {
		const struct plx_vfio_area *a = &r->areas[i];

		if (off >= a->off && off - a->off <= a->size && len <= a->size - (off - a->off))
			return (uint8_t *)a->va + (off - a->off);
	}
	return NULL;
}

/* One access of the register's own size, where it has one. */
static void
copy_sized(void *dst, const void *src, uint32_t len)
{
	uintptr_t both = (uintptr_t)dst | (uintptr_t)src;

	if (len == 8 && both % 8 == 0)
		*(volatile uint64_t *)dst = *(const volatile uint64_t *)src;
	else if (len == 4 && both % 4 == 0)
		*(volatile uint32_t *)dst = *(const volatile uint32_t *)src;
	else if (len == 2 && both % 2 == 0)
		*(volatile uint16_t *)dst = *(const volatile uint16_t *)src;
	else
		memcpy(dst, src, len);
}

/* Ordinary memory needs no message; a device's is left to the provider, who sees faults. */
static void *
shared(const struct plx_vfio_dev *dev, unsigned int region, uint64_t off, uint32_t len,
	uint32_t flag)
{
	const struct plx_vfio_region *r = &dev->regions[region];

	if (!r->shmem || (r->flags & flag) == 0)
		return NULL;
	return plx_vfio_region_ptr(dev, region, off, len);
}

int
plx_vfio_region_read(
	struct plx_vfio_dev *dev, unsigned int region, uint64_t off, void *buf, uint32_t len)
{
	int rc = ready(dev);
	void *mem;

	if (rc != 0)
		return rc;
	if (!inside(dev, region, off, len))
		return -EINVAL;
	mem = shared(dev, region, off, len, VFIO_REGION_INFO_FLAG_READ);
	if (mem != NULL) {
		copy_sized(buf, mem, len);
		/* later loads see what was stored before what this one saw */
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		return 0;
	}
	return begun(dev, dev->ops->region_read(dev, region, off, buf, len));
}

int
plx_vfio_region_write(
	struct plx_vfio_dev *dev, unsigned int region, uint64_t off, const void *buf, uint32_t len)
{
	int rc = ready(dev);
	void *mem;

	if (rc != 0)
		return rc;
	if (!inside(dev, region, off, len))
		return -EINVAL;
	mem = shared(dev, region, off, len, VFIO_REGION_INFO_FLAG_WRITE);
	if (mem != NULL) {
		/* earlier stores to memory are seen by who sees this one */
		__atomic_thread_fence(__ATOMIC_RELEASE);
		copy_sized(mem, buf, len);
		return 0;
	}
	return begun(dev, dev->ops->region_write(dev, region, off, buf, len));
}

void
plx_vfio_region_post(struct plx_vfio_dev *dev, unsigned int region, uint64_t off, uint32_t v)
{
	if (__atomic_load_n(&dev->lost, __ATOMIC_RELAXED) == 0 &&
		inside(dev, region, off, sizeof(v)))
		dev->ops->region_post(dev, region, off, v);
}

int
plx_vfio_irq_set(struct plx_vfio_dev *dev, unsigned int index, unsigned int start, const int *fds,
	unsigned int n)
{
	const struct plx_vfio_irq *irq;
	int rc = ready(dev);
	unsigned int i;

	if (rc != 0)
		return rc;
	if (index >= PLX_VFIO_IRQS)
		return -EINVAL;
	irq = &dev->irqs[index];
	if (n == 0) {
		/* servers refuse to disable what has no vectors */
		if (irq->count == 0)
			return 0;
		return begun(dev, dev->ops->irq_set(dev, index, 0, NULL, 0));
	}
	if ((irq->flags & VFIO_IRQ_INFO_EVENTFD) == 0 || start >= irq->count ||
		n > irq->count - start)
		return -EINVAL;
	for (i = 0; i < n; i++)
		if (fds[i] < -1)
			return -EINVAL;
	return begun(dev, dev->ops->irq_set(dev, index, start, fds, n));
}

int
plx_vfio_reset(struct plx_vfio_dev *dev)
{
	int rc = ready(dev);

	if (rc != 0)
		return rc;
	if ((dev->flags & VFIO_DEVICE_FLAGS_RESET) == 0)
		return -ENOTSUP;
	return begun(dev, dev->ops->reset(dev));
}

int
plx_vfio_cut(struct plx_vfio_dev *dev)
{
	int held = 0;

	if (dev->ops->cut == NULL)
		return -ENOTSUP;
	__atomic_compare_exchange_n(
		&dev->lost, &held, -ENODEV, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
	dev->ops->cut(dev);
	return 0;
}

int
plx_vfio_reconnect(struct plx_vfio_dev *dev)
{
	if (dev->busy)
		return -EBUSY;
	if (dev->ops->reconnect == NULL || ready(dev) == 0)
		return -ENOTSUP;
	return begun(dev, dev->ops->reconnect(dev));
}

void
plx_vfio_close(struct plx_vfio_dev *dev)
{
	if (dev != NULL)
		dev->ops->close(dev);
}
