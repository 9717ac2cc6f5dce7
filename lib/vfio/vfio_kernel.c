/* SPDX-License-Identifier: BSD-3-Clause */
/* An open device of the kernel's VFIO: information, registers, interrupts, reset. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/vfio.h>

#include "plx_log.h"
#include "vfio_kernel_priv.h"
#include "vfio_priv.h"

PLX_LOG_USE(vfio);

#define CONFIG_MIN 256
#define REGION_INFO_MAX 65536
#define MAX_VECTORS 2048
#define LOOK_MS 10
#define RESET_MS 1000
#define GIVE_BACK_MS 5000

enum { NOTICE_ERR, NOTICE_REQ };

static int
lose(struct plx_vfio_dev *dev, const char *why)
{
	if (__atomic_exchange_n(&dev->lost, -ENODEV, __ATOMIC_RELAXED) == 0)
		PLX_LOG(ERR, "vfio: %s: %s; detach it", dev->name, why);
	return -ENODEV;
}

static int
failed(const struct vfio_kernel *k, const char *what)
{
	int err = errno;

	PLX_LOG(ERR, "vfio: %s: %s: %s", k->dev.name, what, strerror(err));
	return -err;
}

/* ---- registers ---- */

/* The kernel does what is aligned in one access of 1, 2 or 4 bytes, or 8 where it can. */
static int
access_failed(struct plx_vfio_dev *dev, const char *what, unsigned int region, uint64_t off)
{
	PLX_LOG(ERR, "vfio: %s: can't %s region %u offset %#llx: %s", dev->name, what, region,
		(unsigned long long)off, strerror(errno));
	return -EIO;
}

static int
kernel_read(struct plx_vfio_dev *dev, unsigned int region, uint64_t off, void *buf, uint32_t len)
{
	struct vfio_kernel *k = (struct vfio_kernel *)dev;
	uint32_t done;
	ssize_t n;

	for (done = 0; done < len; done += (uint32_t)n) {
		n = pread(k->fd, (char *)buf + done, len - done,
			(off_t)(k->offset[region] + off + done));
		if (n <= 0)
			return access_failed(dev, "read", region, off + done);
	}
	return 0;
}

static int
kernel_write(
	struct plx_vfio_dev *dev, unsigned int region, uint64_t off, const void *buf, uint32_t len)
{
	struct vfio_kernel *k = (struct vfio_kernel *)dev;
	uint32_t done;
	ssize_t n;

	for (done = 0; done < len; done += (uint32_t)n) {
		n = pwrite(k->fd, (const char *)buf + done, len - done,
			(off_t)(k->offset[region] + off + done));
		if (n <= 0)
			return access_failed(dev, "write", region, off + done);
	}
	return 0;
}

static void
kernel_post(struct plx_vfio_dev *dev, unsigned int region, uint64_t off, uint32_t v)
{
	struct vfio_kernel *k = (struct vfio_kernel *)dev;

	/* a device that is gone says so elsewhere */
	(void)!pwrite(k->fd, &v, sizeof(v), (off_t)(k->offset[region] + off));
}

/* ---- interrupts ---- */

/* @return as the ioctl: 0; vectors that can be had instead; -errno */
static int
set_irqs(struct vfio_kernel *k, unsigned int index, unsigned int start, const int *fds,
	unsigned int n)
{
	size_t size = sizeof(struct vfio_irq_set) + n * sizeof(*fds);
	struct vfio_irq_set *q = calloc(1, size);
	int rc;

	if (q == NULL)
		return -ENOMEM;
	q->argsz = (uint32_t)size;
	q->flags = VFIO_IRQ_SET_ACTION_TRIGGER |
		   (n == 0 ? VFIO_IRQ_SET_DATA_NONE : VFIO_IRQ_SET_DATA_EVENTFD);
	q->index = index;
	q->start = start;
	q->count = n;
	if (n > 0)
		memcpy(q->data, fds, n * sizeof(*fds));
	rc = ioctl(k->fd, VFIO_DEVICE_SET_IRQS, q);
	if (rc < 0)
		rc = -errno;
	free(q);
	return rc;
}

/* The first call fixes how many vectors there are where the index can't grow: take them all, or
 * as many as the host has, unwired but for these. */
static int
enable_irqs(struct vfio_kernel *k, unsigned int index, unsigned int start, const int *fds,
	unsigned int n)
{
	const struct plx_vfio_irq *irq = &k->dev.irqs[index];
	unsigned int all = (irq->flags & VFIO_IRQ_INFO_NORESIZE) != 0 ? irq->count : start + n;
	int *every = malloc(all * sizeof(*every)), rc;

	if (every == NULL)
		return -ENOMEM;
	memset(every, 0xff, all * sizeof(*every));
	memcpy(every + start, fds, n * sizeof(*fds));
	rc = set_irqs(k, index, 0, every, all);
	if (rc > 0 && (unsigned int)rc >= start + n)
		rc = set_irqs(k, index, 0, every, (unsigned int)rc);
	free(every);
	return rc;
}

static int
kernel_irq_set(struct plx_vfio_dev *dev, unsigned int index, unsigned int start, const int *fds,
	unsigned int n)
{
	struct vfio_kernel *k = (struct vfio_kernel *)dev;
	bool wired = (k->wired & 1u << index) != 0;
	int rc;

	if (n == 0 && !wired)
		return 0;
	rc = n == 0 || wired ? set_irqs(k, index, start, fds, n)
			     : enable_irqs(k, index, start, fds, n);
	if (rc == 0)
		k->wired = n == 0 ? k->wired & ~(1u << index) : k->wired | 1u << index;
	else
		PLX_LOG(ERR, "vfio: %s: can't set interrupts, index %u, vectors %u to %u: %s",
			dev->name, index, start, start + n - 1,
			rc > 0 ? "the host has too few vectors" : strerror(-rc));
	return rc > 0 || rc == -ENOMEM ? -ENOSPC : rc;
}

/* The kernel's notices come by interrupt indexes of their own. */
static void
watch_notices(struct vfio_kernel *k)
{
	static const unsigned int index[] = {VFIO_PCI_ERR_IRQ_INDEX, VFIO_PCI_REQ_IRQ_INDEX};
	unsigned int i;

	for (i = 0; i < 2; i++) {
		if (k->dev.irqs[index[i]].count == 0)
			continue;
		k->notice[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		if (k->notice[i] >= 0)
			set_irqs(k, index[i], 0, &k->notice[i], 1);
		/* they are taken: nobody else wires them */
		k->dev.irqs[index[i]] = (struct plx_vfio_irq){0};
	}
}

/* It is still there: its user may shut it down in order, but not take for ever. */
static void
want_back(struct vfio_kernel *k)
{
	if (k->dev.wanted_back)
		return;
	PLX_LOG(WARNING, "vfio: %s: the kernel asks for it back: it is being removed or unbound",
		k->dev.name);
	k->dev.wanted_back = true;
	k->give_back = plx_deadline_in(GIVE_BACK_MS);
}

static bool
noticed(const struct vfio_kernel *k, unsigned int i)
{
	uint64_t n;

	return k->notice[i] >= 0 && read(k->notice[i], &n, sizeof(n)) == sizeof(n);
}

/* ---- reset ---- */

/* The kernel does not wait for locks that others hold: try again. */
static int
reset_step(struct vfio_kernel *k)
{
	k->resetting = false;
	if (ioctl(k->fd, VFIO_DEVICE_RESET) == 0)
		return 0;
	if (errno == EAGAIN && !plx_deadline_past(k->until)) {
		k->resetting = true;
		return -EINPROGRESS;
	}
	return failed(k, "can't reset it");
}

static int
kernel_reset(struct plx_vfio_dev *dev)
{
	struct vfio_kernel *k = (struct vfio_kernel *)dev;

	k->until = plx_deadline_in(RESET_MS);
	return reset_step(k);
}

static int
kernel_poll(struct plx_vfio_dev *dev)
{
	struct vfio_kernel *k = (struct vfio_kernel *)dev;

	if (__atomic_load_n(&dev->lost, __ATOMIC_RELAXED) != 0)
		return -ENODEV;
	if (__atomic_load_n(&dev->gone, __ATOMIC_RELAXED) != 0)
		return lose(dev, "its registers went away: it was removed, or switched off");
	if (plx_deadline_past(k->look)) {
		k->look = plx_deadline_in(LOOK_MS);
		if (noticed(k, NOTICE_REQ))
			want_back(k);
		if (dev->wanted_back && plx_deadline_past(k->give_back))
			return lose(dev, "it was not given back when the kernel asked for it");
		if (noticed(k, NOTICE_ERR))
			return lose(dev, "it reported a fatal PCI Express error: see dmesg");
	}
	return k->resetting ? reset_step(k) : 0;
}

/* ---- information ---- */

static int
get_info(struct vfio_kernel *k, uint32_t *regions, uint32_t *irqs)
{
	struct vfio_device_info a = {.argsz = sizeof(a)};

	*regions = *irqs = 0;
	if (ioctl(k->fd, VFIO_DEVICE_GET_INFO, &a) != 0)
		return failed(k, "can't learn what it is");
	if ((a.flags & VFIO_DEVICE_FLAGS_PCI) == 0) {
		PLX_LOG(ERR, "vfio: %s: it is not a PCI device", k->dev.name);
		return -ENODEV;
	}
	k->dev.flags = a.flags & (VFIO_DEVICE_FLAGS_PCI | VFIO_DEVICE_FLAGS_RESET);
	*regions = a.num_regions < PLX_VFIO_REGIONS ? a.num_regions : PLX_VFIO_REGIONS;
	*irqs = a.num_irqs < PLX_VFIO_IRQS ? a.num_irqs : PLX_VFIO_IRQS;
	return 0;
}

/* @return the region's information with its capabilities, of *len bytes; NULL: it has none */
static struct vfio_region_info *
region_info(const struct vfio_kernel *k, unsigned int region, size_t *len)
{
	struct vfio_region_info *info = NULL, *p;

	for (*len = sizeof(*info);; *len = info->argsz) {
		p = realloc(info, *len);
		if (p == NULL)
			break;
		info = p;
		memset(info, 0, *len);
		info->argsz = (uint32_t)*len;
		info->index = region;
		if (ioctl(k->fd, VFIO_DEVICE_GET_REGION_INFO, info) != 0)
			break;
		if (info->argsz <= *len)
			return info;
		if (info->argsz > REGION_INFO_MAX)
			break;
	}
	free(info);
	return NULL;
}

/* What can't be mapped, as an MSI-X table of old kernels, is reached by read and write. */
static int
get_region(struct vfio_kernel *k, unsigned int region)
{
	struct plx_vfio_region *r = &k->dev.regions[region];
	const char *why = "";
	size_t len;
	struct vfio_region_info *info = region_info(k, region, &len);
	int rc;

	if (info == NULL)
		return 0;
	k->offset[region] = info->offset;
	rc = vfio_region_parse(r, info, len, &why);
	free(info);
	if (rc != 0) {
		PLX_LOG(ERR, "vfio: %s: region %u: %s", k->dev.name, region, why);
		return rc;
	}
	if (r->nb_areas > 0 &&
		vfio_region_map(&k->dev, region, &k->fd, 1, k->offset[region], &why) != 0)
		r->nb_areas = 0;
	if (r->nb_areas == 0)
		r->flags &= ~(uint32_t)VFIO_REGION_INFO_FLAG_MMAP;
	return 0;
}

static void
get_irq(struct vfio_kernel *k, unsigned int index)
{
	struct vfio_irq_info a = {.argsz = sizeof(a), .index = index};

	if (ioctl(k->fd, VFIO_DEVICE_GET_IRQ_INFO, &a) == 0 && a.count <= MAX_VECTORS)
		k->dev.irqs[index] = (struct plx_vfio_irq){.flags = a.flags, .count = a.count};
}

int
vfio_kernel_setup(struct vfio_kernel *k)
{
	uint32_t regions, irqs, i;
	int rc = get_info(k, &regions, &irqs);

	if (rc != 0)
		return rc;
	for (i = 0; i < regions; i++) {
		rc = get_region(k, i);
		if (rc != 0)
			return rc;
	}
	if (k->dev.regions[VFIO_PCI_CONFIG_REGION_INDEX].size < CONFIG_MIN) {
		PLX_LOG(ERR, "vfio: %s: config space is too short: it is not a PCI device",
			k->dev.name);
		return -EPROTO;
	}
	for (i = 0; i < irqs; i++)
		get_irq(k, i);
	watch_notices(k);
	return 0;
}

const struct plx_vfio_ops vfio_kernel_ops = {
	.name = "vfio-pci",
	.poll = kernel_poll,
	.region_read = kernel_read,
	.region_write = kernel_write,
	.region_post = kernel_post,
	.irq_set = kernel_irq_set,
	.reset = kernel_reset,
	.cut = vfio_kernel_cut,
	.close = vfio_kernel_close,
};
