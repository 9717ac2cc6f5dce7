/* SPDX-License-Identifier: BSD-3-Clause */
/* Secondary processes: what they may attach, and what they find in the primary. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <rte_eal.h>

#include "plx_blk_drv.h"
#include "plx_log.h"
#include "plx_mp_drv.h"

#include "probe_priv.h"

PLX_LOG_USE(probe);

static int
server_open(struct plx_mp_chan *ch, const char *name, const void *req, uint32_t len, char *why,
	size_t size)
{
	struct plx_dev *dev = probe_attached(name);
	char list[128];

	if (dev == NULL) {
		probe_names(list, sizeof(list));
		snprintf(why, size, "the primary process has no device '%s'; attached are: %s",
			name, list);
		return -ENOENT;
	}
	if (dev->drv->share == NULL) {
		snprintf(why, size,
			"%s: a device of the %s driver can't be driven by several processes, only "
			"NVMe controllers can; serve it with plx-export",
			name, dev->drv->name);
		return -ENOTSUP;
	}
	return dev->drv->share(dev, ch, req, len, why, size);
}

static int
server_queue(const struct plx_blk *blk, uint32_t i, struct plx_mp_queue *out)
{
	const struct plx_driver *drv = blk->dev != NULL ? blk->dev->drv : NULL;

	return drv != NULL && drv->shared != NULL ? drv->shared(blk, i, out) : -ENOENT;
}

bool
probe_mp_allowed(const struct plx_dev *dev)
{
	static const struct plx_mp_server server = {.open = server_open, .queue = server_queue};

	if (rte_eal_process_type() != RTE_PROC_SECONDARY) {
		plx_mp_serve(&server);
		return true;
	}
	if (dev->drv != NULL && dev->drv->secondary)
		return true;
	PLX_LOG(ERR,
		"'%s': in a secondary process there are mp:NAME, for an NVMe controller that the "
		"primary has attached, and devices that lie in its memory (ram, null); attach this "
		"one in the primary, or in a process with another --file-prefix",
		dev->str);
	return false;
}
