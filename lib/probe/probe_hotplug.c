/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Hotplug. What the kernel says of functions is passed on as far as a driver is for them. It says
 * all that is needed: sysfs is left alone, which may wait for a removal that waits for us to
 * close a device.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "plx_ctrl.h"
#include "plx_log.h"

#include "probe_priv.h"

PLX_LOG_USE(probe);

#define EVENTS 64 /* a power of two */
#define QUIET_MS 50

static int hotplug_poll(struct plx_ctrl_work *w);

/* All under the control lock. */
static struct plx_ctrl_work work = {.poll = hotplug_poll, .quiet_ms = QUIET_MS};
static int source = -1;
static char *keys; /* to attach with; NULL: only tell */
static struct plx_hotplug_event events[EVENTS];
static uint32_t head, tail;

/* What finds no room is left in the socket: the kernel says when that was too small. */
static bool
room(void)
{
	return tail - head < EVENTS - 2; /* one message is up to two events */
}

static void
post(enum plx_hotplug_type type, const char *bdf, const struct plx_driver *drv, const char *name,
	int status)
{
	struct plx_hotplug_event *ev = &events[tail++ % EVENTS];

	*ev = (struct plx_hotplug_event){.type = type, .status = status};
	snprintf(ev->bdf, sizeof(ev->bdf), "%s", bdf);
	snprintf(ev->driver, sizeof(ev->driver), "%s", drv != NULL ? drv->name : "");
	snprintf(ev->name, sizeof(ev->name), "%s", name);
}

static void
attach(const char *bdf, const struct plx_driver *drv)
{
	size_t size = strlen(keys) + 32;
	char *str = malloc(size);
	struct plx_dev *dev;
	int rc = -ENOMEM;

	if (str != NULL) {
		snprintf(str, size, "pci:%s%s%s", bdf, keys[0] != '\0' ? "," : "", keys);
		rc = plx_attach_start(str, &dev);
	}
	free(str);
	if (rc == 0)
		dev->hotplug = true;
	else
		post(PLX_HOTPLUG_FAILED, bdf, drv, "", rc);
}

static void
told(const struct plx_pci_uevent *u)
{
	const struct plx_driver *drv = probe_pci_driver(&u->ids);

	if (u->type == PLX_PCI_MISSED)
		post(PLX_HOTPLUG_MISSED, "", NULL, "", 0);
	else if (drv == NULL)
		return;
	else if (u->type == PLX_PCI_ADDED)
		post(PLX_HOTPLUG_ADDED, u->bdf, drv, "", 0);
	else if (u->type == PLX_PCI_REMOVED)
		post(PLX_HOTPLUG_REMOVED, u->bdf, drv, "", 0);
	else if (strstr(u->driver, "vfio") != NULL) {
		post(PLX_HOTPLUG_READY, u->bdf, drv, "", 0);
		if (keys != NULL)
			attach(u->bdf, drv);
	}
}

static void
ended(struct plx_dev *dev)
{
	char bdf[PLX_PCI_ADDRESS_LEN], name[PLX_DEV_NAME_MAX];
	const struct plx_driver *drv = dev->drv;
	int rc;

	snprintf(bdf, sizeof(bdf), "%s", dev->addr);
	snprintf(name, sizeof(name), "%s", dev->name);
	dev->hotplug = false;
	rc = plx_attach_poll(dev);
	post(rc == 0 ? PLX_HOTPLUG_ATTACHED : PLX_HOTPLUG_FAILED, bdf, drv, rc == 0 ? name : "",
		rc);
}

static int
hotplug_poll(struct plx_ctrl_work *w)
{
	struct plx_pci_uevent u;
	struct plx_dev *dev;
	int n = 0, rc;

	for (; room() && (dev = probe_hotplug_next(true)) != NULL; n++)
		ended(dev);
	if (source < 0) { /* off: those under way are still to be collected */
		head = tail;
		if (probe_hotplug_next(false) == NULL)
			plx_ctrl_del(w);
		return n;
	}
	for (; room() && (rc = plx_pci_uevent_get(source, &u)) != 0; n++) {
		if (rc > 0) {
			told(&u);
			continue;
		}
		PLX_LOG(ERR, "hotplug: no more messages from the kernel: %s", strerror(-rc));
		plx_ctrl_del(w);
		break;
	}
	return n;
}

int
probe_hotplug_on(int fd, const char *attach_keys)
{
	int rc = -EALREADY;

	plx_ctrl_lock();
	if (source < 0) {
		keys = attach_keys != NULL ? strdup(attach_keys) : NULL;
		rc = attach_keys != NULL && keys == NULL ? -ENOMEM : 0;
	}
	if (rc == 0) {
		source = fd;
		head = tail = 0;
		plx_ctrl_del(&work);
		plx_ctrl_add(&work);
	}
	plx_ctrl_unlock();
	return rc;
}

int
plx_hotplug_enable(const char *attach_keys)
{
	int fd, rc;

	if (attach_keys != NULL && (*attach_keys == ',' || strstr(attach_keys, "name=") != NULL)) {
		PLX_LOG(ERR,
			"hotplug: '%s' are not keys for several devices, as in vfio=group,queues=4",
			attach_keys);
		return -EINVAL;
	}
	fd = plx_pci_uevent_open();
	if (fd < 0)
		return fd;
	rc = probe_hotplug_on(fd, attach_keys);
	if (rc != 0)
		close(fd);
	return rc;
}

void
plx_hotplug_disable(void)
{
	plx_ctrl_lock();
	if (source >= 0) {
		close(source);
		source = -1;
		head = tail;
		free(keys);
		keys = NULL;
	}
	plx_ctrl_unlock();
}

int
plx_hotplug_event_get(struct plx_hotplug_event *ev)
{
	int n = 0;

	plx_ctrl_lock();
	if (head != tail) {
		*ev = events[head++ % EVENTS];
		n = 1;
	}
	plx_ctrl_unlock();
	return n;
}
