/* SPDX-License-Identifier: BSD-3-Clause */
/* Device strings: one driver, several ways to a device. */
#include <errno.h>

#include "plx_log.h"
#include "vblk_priv.h"

PLX_LOG_USE(vblk);

#define TIMEOUT_MAX_MS 600000

static int
open_vhost_user(struct plx_dev *dev, struct plx_virtio_dev **vio)
{
	const struct vblk *v = dev->priv;
	struct plx_vhost_user_conf conf = {.split = !v->packed};
	bool inflight;

	if (dev->addr[0] == '\0') {
		PLX_LOG(ERR, "'%s': the socket is missing; use vhost-user:/path/to/socket",
			dev->str);
		return -EINVAL;
	}
	if (plx_arg_u32(dev, "timeout", 1, TIMEOUT_MAX_MS, 0, &conf.timeout_ms) != 0 ||
		plx_arg_bool(dev, "inflight", true, &inflight) != 0)
		return -EINVAL;
	if (plx_arg_str(dev, "inflight") != NULL)
		conf.inflight =
			inflight ? PLX_VHOST_USER_INFLIGHT_ALWAYS : PLX_VHOST_USER_INFLIGHT_NEVER;
	return plx_vhost_user_open(dev->addr, &conf, vio);
}

static int
attach_vhost_user(struct plx_dev *dev)
{
	return vblk_attach(dev, open_vhost_user);
}

static int
open_vhost_vdpa(struct plx_dev *dev, struct plx_virtio_dev **vio)
{
	if (dev->addr[0] == '\0') {
		PLX_LOG(ERR, "'%s': the device is missing; use vhost-vdpa:/dev/vhost-vdpa-0",
			dev->str);
		return -EINVAL;
	}
	return plx_vhost_vdpa_open(dev->addr, vio);
}

static int
attach_vhost_vdpa(struct plx_dev *dev)
{
	return vblk_attach(dev, open_vhost_vdpa);
}

static int
open_pci(struct plx_dev *dev, struct plx_virtio_dev **vio)
{
	return plx_virtio_pci_open(dev->pci, vio);
}

static int
attach_pci(struct plx_dev *dev)
{
	return vblk_attach(dev, open_pci);
}

#define KEYS "queues", "packed", "cache", "io_timeout"
#define KEYS_HELP "[,queues=N][,packed=0|1][,cache=writeback|writethrough][,io_timeout=30000]"

static const char *const vhost_user_keys[] = {KEYS, "reconnect", "inflight", "timeout", NULL};
static const char *const keys[] = {KEYS, NULL};

extern const struct plx_driver plx_vhost_user_driver;
const struct plx_driver plx_vhost_user_driver = {
	.name = "vhost-user",
	.help = "vhost-user:/path/to/socket" KEYS_HELP
		"[,reconnect=30][,inflight=0|1][,timeout=10000][,name=NAME]",
	.keys = vhost_user_keys,
	.attach = attach_vhost_user,
	.poll = vblk_poll,
	.detach = vblk_detach,
};
PLX_DRIVER_INFO(plx_vhost_user_driver);

extern const struct plx_driver plx_vhost_vdpa_driver;
const struct plx_driver plx_vhost_vdpa_driver = {
	.name = "vhost-vdpa",
	.help = "vhost-vdpa:/dev/vhost-vdpa-0" KEYS_HELP "[,name=NAME]",
	.keys = keys,
	.attach = attach_vhost_vdpa,
	.poll = vblk_poll,
	.detach = vblk_detach,
};
PLX_DRIVER_INFO(plx_vhost_vdpa_driver);

/* The second may be a legacy device, which can't be used, or one that is both (4.1.2.3). */
static const struct plx_pci_id virtio_ids[] = {
	{0x1af4, 0x1042, PLX_PCI_ANY},
	{0x1af4, 0x1001, PLX_PCI_ANY},
	{0},
};

extern const struct plx_driver plx_virtio_driver;
const struct plx_driver plx_virtio_driver = {
	.name = "virtio",
	.help = "pci:0000:01:00.0 or vfio-user:/path/sock" KEYS_HELP "[,name=NAME]",
	.keys = keys,
	.pci_ids = virtio_ids,
	.attach = attach_pci,
	.poll = vblk_poll,
	.detach = vblk_detach,
	.release = vblk_release,
	.kmod = "* vfio-pci",
};
PLX_DRIVER_INFO(plx_virtio_driver);
