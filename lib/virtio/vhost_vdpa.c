/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The kernel's vhost-vdpa (linux/vhost.h): a vDPA device by ioctl, its memory map by IOTLB
 * messages, doorbells by eventfd or mapped. Everything is answered at once; a device that a
 * daemon provides (VDUSE) may keep the kernel, and so the caller, waiting for it.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <linux/vhost.h>

#include "plx_log.h"
#include "plx_mem.h"

#include "plx_virtio.h"

PLX_LOG_USE(virtio);

#define CONFIG_TRIES 16
#define CONFIG_MAX 256
#define BIT(n) (UINT64_C(1) << (n))
#define TRANSPORT_FEATURES (BIT(VIRTIO_F_ACCESS_PLATFORM) | BIT(VIRTIO_F_ORDER_PLATFORM))
#define NEVER_FEATURES                                                       \
	(BIT(VIRTIO_F_NOTIFICATION_DATA) | BIT(VIRTIO_F_NOTIF_CONFIG_DATA) | \
		BIT(VIRTIO_F_SR_IOV) | BIT(40) /* RING_RESET */ | BIT(41) /* ADMIN_VQ */)

/* newer than Linux 6.1 */
#define BACKEND_F_RESUME 5
#define BACKEND_F_ENABLE_AFTER_DRIVER_OK 6
#define BACKEND_F_IOTLB_PERSIST 8
#define BACKEND_WANTED                                                           \
	(BIT(VHOST_BACKEND_F_IOTLB_MSG_V2) | BIT(VHOST_BACKEND_F_IOTLB_BATCH) |  \
		BIT(VHOST_BACKEND_F_IOTLB_ASID) | BIT(VHOST_BACKEND_F_SUSPEND) | \
		BIT(BACKEND_F_RESUME) | BIT(BACKEND_F_ENABLE_AFTER_DRIVER_OK) |  \
		BIT(BACKEND_F_IOTLB_PERSIST))

/* A queue's doorbell. */
struct bell {
	int kick;
	void *page; /* NULL: by eventfd */
};

struct vdpa {
	struct plx_virtio_dev dev;
	int fd;
	int config_fd;    /* eventfd: the configuration changed */
	uint64_t backend; /* features acknowledged */
	struct plx_iova_range range;
	bool batch;   /* mappings are being gathered */
	bool running; /* DRIVER_OK */
	struct bell *bells;
	uint16_t nbells;
};

static int
call(const struct vdpa *v, unsigned long request, void *arg, const char *what)
{
	int err;

	if (ioctl(v->fd, request, arg) == 0)
		return 0;
	err = errno;
	PLX_LOG(ERR, "%s: %s: %s", v->dev.name, what, strerror(err));
	return -err;
}

/* ---- the memory map ---- */

static int
iotlb(const struct vdpa *v, uint8_t type, uint64_t iova, uint64_t size, const void *va)
{
	struct vhost_msg_v2 msg = {.type = VHOST_IOTLB_MSG_V2,
		.iotlb = {.iova = iova,
			.size = size,
			.uaddr = (uintptr_t)va,
			.perm = VHOST_ACCESS_RW,
			.type = type}};
	ssize_t n = write(v->fd, &msg, sizeof(msg));

	if (n == (ssize_t)sizeof(msg))
		return 0;
	return n < 0 ? -errno : -EIO;
}

/* What is mapped before the device runs goes to it in one piece. */
static void
batch_begin(struct vdpa *v)
{
	if (v->running || v->batch || !(v->backend & BIT(VHOST_BACKEND_F_IOTLB_BATCH)))
		return;
	v->batch = iotlb(v, VHOST_IOTLB_BATCH_BEGIN, 0, 0, NULL) == 0;
}

static int
batch_end(struct vdpa *v)
{
	int rc;

	if (!v->batch)
		return 0;
	v->batch = false;
	rc = iotlb(v, VHOST_IOTLB_BATCH_END, 0, 0, NULL);
	if (rc != 0)
		PLX_LOG(ERR, "%s: the device takes no memory map: %s", v->dev.name, strerror(-rc));
	return rc;
}

static int
vdpa_map(void *ctx, const struct plx_mem_seg *seg, uint64_t iova)
{
	struct vdpa *v = ctx;
	struct rlimit lim = {0};
	int rc;

	batch_begin(v);
	rc = iotlb(v, VHOST_IOTLB_UPDATE, iova, seg->len, (const void *)seg->va);
	if (rc == 0)
		return 0;
	/* EFAULT is all that the kernel says */
	getrlimit(RLIMIT_MEMLOCK, &lim);
	PLX_LOG(ERR,
		"%s: can't map %zu bytes at %#" PRIxPTR
		": %s; the kernel pins them, and the limit is %llu KiB: raise it (ulimit -l)",
		v->dev.name, seg->len, seg->va, strerror(-rc),
		(unsigned long long)lim.rlim_cur / 1024);
	return rc;
}

static int
vdpa_unmap(void *ctx, uint64_t iova, size_t len)
{
	return iotlb(ctx, VHOST_IOTLB_INVALIDATE, iova, len, NULL);
}

static const struct plx_mem_domain_ops domain_ops = {.map = vdpa_map, .unmap = vdpa_unmap};

static int
create_domain(struct vdpa *v)
{
	struct plx_mem_domain_conf conf = {.name = v->dev.name,
		.ops = &domain_ops,
		.ctx = v,
		.iova = &v->range,
		.nb_iova = 1,
		.min_page = (uint64_t)sysconf(_SC_PAGESIZE),
		/* a daemon behind VDUSE maps the files; of other memory it would see nothing */
		.need_fd = true,
		.immediate = true};

	return plx_mem_domain_create(&conf, &v->dev.domain);
}

/* Begin with an empty map again, where the reset left the kernel's and the device's apart. */
static void
forget_map(struct vdpa *v)
{
	uint64_t half = (v->range.last - v->range.start) / 2;

	if (v->backend & BIT(BACKEND_F_IOTLB_PERSIST))
		return;
	/* the whole of 64 bits has no size */
	iotlb(v, VHOST_IOTLB_INVALIDATE, v->range.start, half + 1, NULL);
	iotlb(v, VHOST_IOTLB_INVALIDATE, v->range.start + half + 1,
		v->range.last - v->range.start - half, NULL);
	plx_mem_domain_lost(v->dev.domain);
}

/* ---- status and features ---- */

static int
get_status(struct vdpa *v)
{
	return call(v, VHOST_VDPA_GET_STATUS, &v->dev.status, "reading its status");
}

static int
set_status(struct vdpa *v, uint8_t status)
{
	return call(v, VHOST_VDPA_SET_STATUS, &status, "setting its status");
}

/* The kernel resets before it answers. */
static int
to_zero(struct vdpa *v)
{
	int rc = set_status(v, 0);

	if (rc == 0)
		rc = get_status(v);
	if (rc != 0 || v->dev.status == 0)
		return rc;
	PLX_LOG(ERR, "%s: it can't be reset (status %#x)", v->dev.name, v->dev.status);
	return -EIO;
}

static int
vdpa_negotiate(struct plx_virtio_dev *dev, uint64_t features)
{
	struct vdpa *v = (struct vdpa *)dev;
	uint8_t status = VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER;
	uint64_t offered = 0;
	int rc = set_status(v, VIRTIO_CONFIG_S_ACKNOWLEDGE);

	if (rc == 0)
		rc = set_status(v, status);
	if (rc == 0)
		rc = call(v, VHOST_GET_FEATURES, &offered, "reading its features");
	features |= offered & TRANSPORT_FEATURES;
	if (rc == 0)
		rc = call(v, VHOST_SET_FEATURES, &features, "setting its features");
	status |= VIRTIO_CONFIG_S_FEATURES_OK;
	if (rc == 0)
		rc = set_status(v, status);
	if (rc == 0)
		rc = get_status(v);
	if (rc != 0)
		return rc;
	if (!(dev->status & VIRTIO_CONFIG_S_FEATURES_OK)) {
		PLX_LOG(ERR, "%s: refuses the features %#" PRIx64 " of those that it offers",
			dev->name, features);
		return -EPROTONOSUPPORT;
	}
	dev->features = features;
	return 0;
}

static int
vdpa_status(struct plx_virtio_dev *dev)
{
	return get_status((struct vdpa *)dev);
}

static int
vdpa_poll(struct plx_virtio_dev *dev)
{
	struct vdpa *v = (struct vdpa *)dev;
	uint64_t n;

	if (dev->lost != 0)
		return -ENODEV;
	if (v->config_fd >= 0 && read(v->config_fd, &n, sizeof(n)) == (ssize_t)sizeof(n))
		dev->config_changes++;
	return 0;
}

/* ---- configuration ---- */

struct config {
	struct vhost_vdpa_config head;
	uint8_t data[CONFIG_MAX];
};

/* The kernel gives no generation: read until two readings agree. */
static int
vdpa_config_read(struct plx_virtio_dev *dev, uint32_t off, void *buf, uint32_t len)
{
	struct vdpa *v = (struct vdpa *)dev;
	struct config c = {.head = {.off = off}}, again;
	uint32_t size = 0;
	int rc;

	if (len > CONFIG_MAX)
		return -EINVAL;
	rc = call(v, VHOST_VDPA_GET_CONFIG_SIZE, &size, "reading the size of its configuration");
	if (rc != 0)
		return rc;
	memset(buf, 0, len);
	c.head.len = off >= size ? 0 : RTE_MIN(len, size - off);
	if (c.head.len == 0)
		return 0;
	for (int i = 0; i < CONFIG_TRIES; i++) {
		again = c;
		rc = call(v, VHOST_VDPA_GET_CONFIG, &c, "reading its configuration");
		if (rc != 0)
			return rc;
		if (i > 0 && memcmp(again.data, c.data, c.head.len) == 0) {
			memcpy(buf, c.data, c.head.len);
			return 0;
		}
	}
	PLX_LOG(ERR, "%s: its configuration changed %d times while it was read", dev->name,
		CONFIG_TRIES);
	return -EPROTO;
}

static int
vdpa_config_write(struct plx_virtio_dev *dev, uint32_t off, const void *buf, uint32_t len)
{
	struct config c = {.head = {.off = off, .len = len}};

	if (len > CONFIG_MAX)
		return -ENOTSUP;
	memcpy(c.data, buf, len);
	return call((struct vdpa *)dev, VHOST_VDPA_SET_CONFIG, &c, "writing its configuration");
}

/* ---- queues ---- */

static int
vdpa_queue_max(struct plx_virtio_dev *dev, uint16_t qid, uint16_t *size)
{
	(void)qid;
	return call((struct vdpa *)dev, VHOST_VDPA_GET_VRING_NUM, size,
		"reading the size of its queues");
}

static void
free_bells(struct vdpa *v)
{
	for (uint16_t i = 0; i < v->nbells; i++) {
		if (v->bells[i].page != NULL)
			munmap(v->bells[i].page, (size_t)sysconf(_SC_PAGESIZE));
		if (v->bells[i].kick >= 0)
			close(v->bells[i].kick);
	}
	free(v->bells);
	v->bells = NULL;
	v->nbells = 0;
}

static int
make_bell(struct vdpa *v, struct plx_virtio_queue *q)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	struct bell *b = &v->bells[q->qid];
	void *va = mmap(NULL, page, PROT_WRITE, MAP_SHARED, v->fd, (off_t)(q->qid * page));

	b->page = va != MAP_FAILED ? va : NULL; /* most devices have none */
	b->kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (b->kick < 0)
		return -errno;
	q->db = b->page;
	q->db_wide = false;
	q->db_value = q->qid;
	q->kick_fd = b->kick;
	return 0;
}

static int
set_up_queue(struct vdpa *v, struct plx_virtio_queue *q)
{
	struct plx_mem_domain *dom = v->dev.domain;
	struct vhost_vring_state num = {.index = q->qid, .num = q->vq->size};
	struct vhost_vring_state base = {.index = q->qid, .num = plx_virtq_base(q->vq)};
	struct vhost_vring_state enable = {.index = q->qid, .num = 1};
	struct vhost_vring_file kick = {.index = q->qid}, used = {.index = q->qid};
	struct vhost_vring_addr addr = {.index = q->qid,
		.desc_user_addr = plx_mem_iova(dom, q->vq->parts.desc, 1),
		.avail_user_addr = plx_mem_iova(dom, q->vq->parts.driver, 1),
		.used_user_addr = plx_mem_iova(dom, q->vq->parts.device, 1)};
	int rc = make_bell(v, q);

	kick.fd = q->kick_fd;
	used.fd = q->call_fd;
	if (rc == 0)
		rc = call(v, VHOST_SET_VRING_NUM, &num, "setting the size of a queue");
	if (rc == 0)
		rc = call(v, VHOST_SET_VRING_BASE, &base, "setting the state of a queue");
	if (rc == 0)
		rc = call(v, VHOST_SET_VRING_ADDR, &addr, "setting the addresses of a queue");
	if (rc == 0)
		rc = call(v, VHOST_SET_VRING_CALL, &used, "setting the interrupt of a queue");
	if (rc == 0)
		rc = call(v, VHOST_SET_VRING_KICK, &kick, "setting the doorbell of a queue");
	if (rc == 0)
		rc = call(v, VHOST_VDPA_SET_VRING_ENABLE, &enable, "enabling a queue");
	return rc;
}

static int
vdpa_start(struct plx_virtio_dev *dev, struct plx_virtio_queue *const *q, uint16_t n)
{
	struct vdpa *v = (struct vdpa *)dev;
	int rc = batch_end(v);

	if (rc != 0)
		return rc;
	free_bells(v);
	v->bells = calloc(n, sizeof(*v->bells));
	if (v->bells == NULL)
		return -ENOMEM;
	for (v->nbells = 0; v->nbells < n; v->nbells++)
		v->bells[v->nbells].kick = -1;
	for (uint16_t i = 0; rc == 0 && i < n; i++)
		rc = set_up_queue(v, q[i]);
	if (rc == 0)
		rc = set_status(v, VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER |
					   VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK);
	v->running = rc == 0;
	return rc;
}

static void
vdpa_notify(struct plx_virtio_queue *q, uint16_t data)
{
	(void)data;
	/* a full counter is a ring not yet heard */
	if (eventfd_write(q->kick_fd, 1) != 0 && errno != EAGAIN)
		q->dev->lost = -errno;
}

static int
vdpa_reset(struct plx_virtio_dev *dev)
{
	struct vdpa *v = (struct vdpa *)dev;
	int rc;

	/* lets it finish what it is doing, where it can */
	if (v->running && (v->backend & BIT(VHOST_BACKEND_F_SUSPEND)) != 0)
		ioctl(v->fd, VHOST_VDPA_SUSPEND);
	v->running = false;
	rc = batch_end(v);
	if (rc == 0)
		rc = to_zero(v);
	if (rc == 0)
		forget_map(v);
	free_bells(v);
	return rc;
}

/* ---- opening ---- */

static void
vdpa_close(struct plx_virtio_dev *dev)
{
	struct vdpa *v = (struct vdpa *)dev;

	/* the kernel resets the device and drops its map */
	if (v->fd >= 0)
		close(v->fd);
	plx_mem_domain_destroy(dev->domain);
	free_bells(v);
	if (v->config_fd >= 0)
		close(v->config_fd);
	free(v);
}

static const struct plx_virtio_ops vdpa_ops = {
	.name = "vhost-vdpa",
	.poll = vdpa_poll,
	.negotiate = vdpa_negotiate,
	.config_read = vdpa_config_read,
	.config_write = vdpa_config_write,
	.queue_max = vdpa_queue_max,
	.start = vdpa_start,
	.status = vdpa_status,
	.reset = vdpa_reset,
	.notify = vdpa_notify,
	.close = vdpa_close,
};

static int
open_node(struct vdpa *v, const char *path)
{
	const char *way = "";
	int err;

	v->fd = open(path, O_RDWR | O_CLOEXEC);
	if (v->fd >= 0)
		return 0;
	err = errno;
	if (err == ENOENT)
		way = "; bind a vDPA device to vhost_vdpa: vdpa dev add ..., modprobe vhost_vdpa";
	else if (err == EACCES || err == EPERM)
		way = "; run as root, or give yourself the node: chown $USER";
	else if (err == EBUSY)
		way = "; another process has it open";
	PLX_LOG(ERR, "%s: %s%s", v->dev.name, strerror(err), way);
	return -err;
}

/* Other files don't know the ioctl, or know it as something else. */
static int
identify(struct vdpa *v, const char *path)
{
	uint32_t id;

	if (ioctl(v->fd, VHOST_VDPA_GET_DEVICE_ID, &id) != 0) {
		PLX_LOG(ERR, "%s: %s is not a vhost-vdpa device: %s", v->dev.name, path,
			strerror(errno));
		return -ENOTTY;
	}
	v->dev.device_id = id;
	return 0;
}

static int
agree(struct vdpa *v)
{
	uint64_t offered;
	int rc = call(v, VHOST_SET_OWNER, NULL, "becoming its owner");

	if (rc == 0)
		rc = call(v, VHOST_GET_BACKEND_FEATURES, &offered, "reading what vhost-vdpa can");
	if (rc != 0)
		return rc;
	v->backend = offered & BACKEND_WANTED;
	if (!(v->backend & BIT(VHOST_BACKEND_F_IOTLB_MSG_V2))) {
		PLX_LOG(ERR, "%s: the kernel's vhost-vdpa takes no IOTLB messages of version 2",
			v->dev.name);
		return -EPROTONOSUPPORT;
	}
	return call(v, VHOST_SET_BACKEND_FEATURES, &v->backend, "agreeing with vhost-vdpa");
}

static int
look(struct vdpa *v)
{
	struct vhost_vdpa_iova_range range = {.last = UINT64_MAX};
	uint64_t features;
	uint32_t queues;
	int rc = to_zero(v);

	if (rc == 0)
		rc = call(v, VHOST_GET_FEATURES, &features, "reading its features");
	if (rc == 0)
		rc = call(v, VHOST_VDPA_GET_IOVA_RANGE, &range, "reading its I/O addresses");
	if (rc != 0)
		return rc;
	v->range = (struct plx_iova_range){range.first, range.last};
	if (!(features & BIT(VIRTIO_F_VERSION_1)) || range.first > range.last) {
		PLX_LOG(ERR, "%s: it doesn't offer VERSION_1: a legacy device", v->dev.name);
		return -EPROTONOSUPPORT;
	}
	v->dev.offered = features & ~TRANSPORT_FEATURES & ~NEVER_FEATURES;
	/* Linux before 5.19 has no such call */
	if (ioctl(v->fd, VHOST_VDPA_GET_VQS_COUNT, &queues) == 0)
		v->dev.max_queues = (uint16_t)RTE_MIN(queues, UINT16_MAX);
	v->config_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (v->config_fd >= 0)
		ioctl(v->fd, VHOST_VDPA_SET_CONFIG_CALL, &v->config_fd); /* else: no events */
	return 0;
}

int
plx_vhost_vdpa_open(const char *path, struct plx_virtio_dev **dev)
{
	struct vdpa *v = calloc(1, sizeof(*v));
	int rc;

	if (v == NULL)
		return -ENOMEM;
	v->dev.ops = &vdpa_ops;
	v->dev.numa_node = -1;
	v->fd = v->config_fd = -1;
	snprintf(v->dev.name, sizeof(v->dev.name), "vhost-vdpa:%s", path);
	rc = open_node(v, path);
	if (rc == 0)
		rc = identify(v, path);
	if (rc == 0)
		rc = agree(v);
	if (rc == 0)
		rc = look(v);
	if (rc == 0)
		rc = create_domain(v);
	if (rc != 0) {
		vdpa_close(&v->dev);
		return rc;
	}
	*dev = &v->dev;
	return 0;
}
