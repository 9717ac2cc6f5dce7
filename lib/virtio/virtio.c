/* SPDX-License-Identifier: BSD-3-Clause */
/* Virtio devices: what all transports have in common. */
#include <errno.h>

#include "plx_log.h"
#include "plx_mem.h"

#include "plx_virtio.h"

PLX_LOG_TYPE(virtio, NOTICE);

static int
lost(const struct plx_virtio_dev *dev)
{
	return __atomic_load_n(&dev->lost, __ATOMIC_RELAXED);
}

static int
may_begin(const struct plx_virtio_dev *dev)
{
	if (dev->busy)
		return -EBUSY;
	return lost(dev) != 0 ? -ENODEV : 0;
}

static int
begun(struct plx_virtio_dev *dev, int rc)
{
	dev->busy = rc == -EINPROGRESS;
	return rc;
}

int
plx_virtio_poll(struct plx_virtio_dev *dev)
{
	int rc = dev->ops->poll(dev);

	if (rc != -EINPROGRESS)
		dev->busy = false;
	return rc;
}

int
plx_virtio_negotiate(struct plx_virtio_dev *dev, uint64_t features)
{
	int rc = may_begin(dev);

	if (rc != 0)
		return rc;
	features |= 1ull << VIRTIO_F_VERSION_1;
	if ((features & ~dev->offered) != 0)
		return -EINVAL;
	return begun(dev, dev->ops->negotiate(dev, features));
}

int
plx_virtio_config_read(struct plx_virtio_dev *dev, uint32_t off, void *buf, uint32_t len)
{
	int rc = may_begin(dev);

	return rc != 0 ? rc : begun(dev, dev->ops->config_read(dev, off, buf, len));
}

int
plx_virtio_config_write(struct plx_virtio_dev *dev, uint32_t off, const void *buf, uint32_t len)
{
	int rc = may_begin(dev);

	if (rc != 0)
		return rc;
	if (dev->ops->config_write == NULL)
		return -ENOTSUP;
	return begun(dev, dev->ops->config_write(dev, off, buf, len));
}

int
plx_virtio_queue_max(struct plx_virtio_dev *dev, uint16_t qid, uint16_t *size)
{
	int rc = may_begin(dev);

	if (rc != 0)
		return rc;
	if (dev->max_queues != 0 && qid >= dev->max_queues)
		return -EINVAL;
	return begun(dev, dev->ops->queue_max(dev, qid, size));
}

static bool
ring_mapped(const struct plx_virtio_dev *dev, const struct plx_virtq *vq)
{
	return plx_mem_iova(dev->domain, vq->parts.desc, plx_virtq_bytes(vq->size, vq->packed)) !=
	       PLX_BAD_IOVA;
}

int
plx_virtio_start(struct plx_virtio_dev *dev, struct plx_virtio_queue *const *q, uint16_t n)
{
	int rc = may_begin(dev);
	uint16_t i;

	if (rc != 0)
		return rc;
	if (n == 0 || (dev->max_queues != 0 && n > dev->max_queues))
		return -EINVAL;
	for (i = 0; i < n; i++) {
		if (!ring_mapped(dev, q[i]->vq)) {
			PLX_LOG(ERR, "%s: memory of queue %u can't be mapped for the device",
				dev->name, i);
			return -ENOMEM;
		}
		q[i]->dev = dev;
		q[i]->qid = i;
		q[i]->db = NULL;
		q[i]->kick_fd = -1;
	}
	return begun(dev, dev->ops->start(dev, q, n));
}

int
plx_virtio_status(struct plx_virtio_dev *dev)
{
	int rc = may_begin(dev);

	return rc != 0 ? rc : begun(dev, dev->ops->status(dev));
}

int
plx_virtio_reset(struct plx_virtio_dev *dev)
{
	int rc = may_begin(dev);

	if (rc != 0)
		return rc;
	dev->remembers = false;
	return begun(dev, dev->ops->reset(dev));
}

int
plx_virtio_reconnect(struct plx_virtio_dev *dev)
{
	if (dev->busy)
		return -EBUSY;
	if (dev->ops->reconnect == NULL || lost(dev) == 0)
		return -ENOTSUP;
	return begun(dev, dev->ops->reconnect(dev));
}

void
plx_virtio_give_up(struct plx_virtio_dev *dev, int why)
{
	int none = 0;

	__atomic_compare_exchange_n(
		&dev->lost, &none, why, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

void
plx_virtio_close(struct plx_virtio_dev *dev)
{
	if (dev != NULL)
		dev->ops->close(dev);
}
