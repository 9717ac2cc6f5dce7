/* SPDX-License-Identifier: BSD-3-Clause */
/* PCI functions: open what provides them, read config space, find their driver. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_common.h>

#include "plx_log.h"
#include "plx_vfio.h"

#include "probe_priv.h"

PLX_LOG_USE(probe);

#define TIMEOUT_MAX_MS 600000

static int
open_vfio_user(struct plx_dev *dev)
{
	struct plx_vfio_user_conf conf = {0};

	if (dev->addr[0] == '\0') {
		PLX_LOG(ERR, "'%s': the server's socket is missing; use vfio-user:/path/to/socket",
			dev->str);
		return -EINVAL;
	}
	if (plx_arg_u32(dev, "timeout", 1, TIMEOUT_MAX_MS, 0, &conf.timeout_ms) != 0)
		return -EINVAL;
	return plx_vfio_user_open(dev->addr, &conf, &dev->vfio);
}

static int
vfio_mode(struct plx_dev *dev, enum plx_vfio_mode *mode)
{
	static const char *const modes[] = {"auto", "cdev", "group", "noiommu"};
	const char *word = plx_arg_str(dev, "vfio");
	unsigned int i;

	*mode = PLX_VFIO_AUTO;
	for (i = 0; word != NULL && i < RTE_DIM(modes); i++)
		if (strcmp(word, modes[i]) == 0) {
			*mode = (enum plx_vfio_mode)i;
			return 0;
		}
	return word == NULL ? 0 : plx_arg_bad(dev, "vfio", "is none of auto, cdev, group, noiommu");
}

static int match(struct plx_dev *dev, const struct plx_pci *pci);

/* What no driver is for is left alone: opening it would reset it. */
static int
open_pci(struct plx_dev *dev)
{
	char bdf[PLX_PCI_ADDRESS_LEN];
	enum plx_vfio_mode mode;
	struct plx_pci ids;
	int rc;

	if (plx_pci_address(dev->addr, bdf) != 0) {
		PLX_LOG(ERR, "'%s': '%s' is not a PCI address; use pci:0000:01:00.0 (lspci -D)",
			dev->str, dev->addr);
		return -EINVAL;
	}
	rc = vfio_mode(dev, &mode);
	if (rc != 0)
		return rc;
	if (plx_pci_sysfs_ids(bdf, &ids) != 0) {
		PLX_LOG(ERR, "'%s': there is no PCI function %s; lspci -D lists them", dev->str,
			bdf);
		return -ENOENT;
	}
	rc = match(dev, &ids);
	return rc == 0 ? plx_vfio_pci_open(bdf, mode, &dev->vfio) : rc;
}

static const char *const vfio_user_keys[] = {"timeout", NULL};
static const char *const pci_keys[] = {"vfio", NULL};

const struct probe_transport probe_transports[] = {
	{"vfio-user", "vfio-user:/path/to/socket[,key=value...]", vfio_user_keys, open_vfio_user},
	{"pci", "pci:0000:01:00.0[,vfio=auto|cdev|group|noiommu][,key=value...]", pci_keys,
		open_pci},
	{0},
};

static int
new_pci(struct plx_dev *dev)
{
	dev->pci = calloc(1, sizeof(*dev->pci));
	if (dev->pci == NULL)
		return -ENOMEM;
	dev->pci->vfio = dev->vfio;
	return plx_pci_probe(dev->pci);
}

const struct plx_driver *
probe_pci_driver(const struct plx_pci *pci)
{
	const struct plx_driver *d;

	for (d = plx_driver_next(NULL); d != NULL; d = plx_driver_next(d))
		if (d->pci_ids != NULL && plx_pci_match(pci, d->pci_ids))
			break;
	return d;
}

static int
match(struct plx_dev *dev, const struct plx_pci *pci)
{
	const struct plx_driver *d = probe_pci_driver(pci);
	char known[256] = "";

	if (d != NULL) {
		dev->drv = d;
		return probe_check_keys(dev, d);
	}
	for (d = plx_driver_next(NULL); d != NULL; d = plx_driver_next(d))
		if (d->pci_ids != NULL)
			probe_append(known, sizeof(known), d->name);
	PLX_LOG(ERR,
		"'%s': no driver for PCI device %04x:%04x, class %06x; drivers in this build: %s",
		dev->str, pci->vendor, pci->device, pci->class_code,
		known[0] != '\0' ? known : "none");
	return -ENODEV;
}

int
probe_pci(struct plx_dev *dev)
{
	PLX_PT_BEGIN(&dev->pci_pt);
	dev->rc = probe_transport(dev)->open(dev);
	if (dev->rc != 0)
		PLX_PT_RETURN(&dev->pci_pt, dev->rc);
	PLX_PT_CALL(&dev->pci_pt, dev->rc, plx_vfio_poll(dev->vfio), plx_vfio_poll(dev->vfio));
	if (dev->rc != 0)
		PLX_PT_RETURN(&dev->pci_pt, dev->rc);
	PLX_PT_CALL(&dev->pci_pt, dev->rc, new_pci(dev), plx_pci_poll(dev->pci));
	if (dev->rc == 0)
		dev->rc = match(dev, dev->pci);
	if (dev->rc == 0)
		dev->rc = probe_name(dev);
	PLX_PT_RETURN(&dev->pci_pt, dev->rc);
	PLX_PT_END(&dev->pci_pt);
}

void
probe_pci_close(struct plx_dev *dev)
{
	plx_vfio_close(dev->vfio);
	dev->vfio = NULL;
	free(dev->pci);
	dev->pci = NULL;
	if (dev->drv != NULL && dev->drv->release != NULL)
		dev->drv->release(dev);
}
