/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Attachments: each is a state machine, driven by one piece of control work.
 *
 *	ATTACHING -> ATTACHED -> DETACHING -> DETACHED, freed by plx_detach_poll()
 *	    `-----> FAILED, freed by plx_attach_poll()
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_eal.h>

#include "plx_blk_drv.h"
#include "plx_ctrl.h"
#include "plx_log.h"

#include "probe_priv.h"

PLX_LOG_USE(probe);

/* All under the control lock. */
static struct plx_dev *devices;
static struct plx_dev *current; /* its driver runs: what that attaches is its own */

static int work_poll(struct plx_ctrl_work *work);
static struct plx_ctrl_work work = {.poll = work_poll};

/* ---- the list ---- */

static bool
listed(const struct plx_dev *dev)
{
	return dev->parent == NULL && (dev->state == DEV_ATTACHING || dev->state == DEV_ATTACHED ||
					      dev->state == DEV_DETACHING);
}

struct plx_dev *
plx_dev_next(const struct plx_dev *prev)
{
	struct plx_dev *dev;

	plx_ctrl_lock();
	dev = prev == NULL ? devices : prev->next;
	while (dev != NULL && !listed(dev))
		dev = dev->next;
	plx_ctrl_unlock();
	return dev;
}

struct plx_dev *
plx_dev_find(const char *name)
{
	struct plx_dev *dev;

	plx_ctrl_lock();
	for (dev = plx_dev_next(NULL); dev != NULL; dev = plx_dev_next(dev))
		if (strcmp(dev->name, name) == 0)
			break;
	plx_ctrl_unlock();
	return dev;
}

struct plx_dev *
probe_attached(const char *name)
{
	struct plx_dev *dev = plx_dev_find(name);

	return dev != NULL && dev->state == DEV_ATTACHED ? dev : NULL;
}

void
probe_names(char *list, size_t size)
{
	const struct plx_dev *dev;

	snprintf(list, size, "%s", devices == NULL ? "none" : "");
	for (dev = plx_dev_next(NULL); dev != NULL; dev = plx_dev_next(dev))
		probe_append(list, size, dev->name);
}

const char *
plx_dev_name(const struct plx_dev *dev)
{
	return dev->name;
}

static void
unlink_free(struct plx_dev *dev)
{
	struct plx_dev **at, *d;

	for (at = &devices; *at != dev; at = &(*at)->next)
		;
	*at = dev->next;
	for (d = devices; d != NULL; d = d->next)
		if (d->parent == dev)
			d->parent = NULL;
	rte_kvargs_free(dev->args);
	free(dev->str);
	free(dev);
	if (devices == NULL)
		plx_ctrl_del(&work);
}

struct plx_dev *
probe_hotplug_next(bool ended)
{
	struct plx_dev *dev;

	for (dev = devices; dev != NULL; dev = dev->next)
		if (dev->hotplug &&
			(!ended || dev->state == DEV_ATTACHED || dev->state == DEV_FAILED))
			break;
	return dev;
}

/* Whoever else has that name, but for the attachment that this one is a part of. */
static struct plx_dev *
taken_by(const struct plx_dev *dev, const char *name)
{
	struct plx_dev *d;

	for (d = devices; d != NULL; d = d->next)
		if (d != dev && d != dev->parent && listed(d) && strcmp(d->name, name) == 0)
			return d;
	return NULL;
}

int
probe_name(struct plx_dev *dev)
{
	unsigned int i;

	if (dev->name[0] == '\0' && dev->drv != NULL) {
		for (i = 0; dev->name[0] == '\0' || taken_by(dev, dev->name) != NULL; i++)
			snprintf(dev->name, sizeof(dev->name), "%s%u", dev->drv->name, i);
	} else if (taken_by(dev, dev->name) != NULL) {
		PLX_LOG(ERR,
			"'%s': the name '%s' is taken by '%s'; choose another with name=", dev->str,
			dev->name, taken_by(dev, dev->name)->str);
		return -EEXIST;
	}
	return 0;
}

/* ---- state machines ---- */

static int
driver_call(struct plx_dev *dev, int (*fn)(struct plx_dev *))
{
	struct plx_dev *outer = current;
	int rc;

	current = dev;
	rc = fn(dev);
	current = outer;
	return rc;
}

static int
attach_step(struct plx_dev *dev)
{
	PLX_PT_BEGIN(&dev->pt);
	if (probe_transport(dev) != NULL) {
		PLX_PT_CALL(&dev->pt, dev->rc, probe_pci(dev), probe_pci(dev));
		if (dev->rc != 0)
			PLX_PT_RETURN(&dev->pt, dev->rc);
	}
	PLX_PT_CALL(&dev->pt, dev->rc, driver_call(dev, dev->drv->attach),
		driver_call(dev, dev->drv->poll));
	PLX_PT_RETURN(&dev->pt, dev->rc);
	PLX_PT_END(&dev->pt);
}

/* A block device of this attachment that somebody has open. */
static struct plx_blk *
open_blk(const struct plx_dev *dev)
{
	struct plx_blk *blk;

	for (blk = plx_blk_next(NULL); blk != NULL; blk = plx_blk_next(blk))
		if (blk->dev == dev &&
			(blk->info.state != PLX_BLK_CLOSED &&
				!(blk->info.state == PLX_BLK_REMOVED && blk->queues == NULL)))
			return blk;
	return NULL;
}

/* Stop and close one; called again until no operation is under way on it any more. */
static int
close_blk(struct plx_dev *dev, struct plx_blk *blk)
{
	int rc;

	if (blk->ctl != PLX_CTL_NONE || blk->held)
		return -EINPROGRESS;
	if (blk->info.state == PLX_BLK_STARTED || blk->info.state == PLX_BLK_RESETTING) {
		rc = plx_blk_stop_begin(blk);
		if (rc == 0)
			return -EINPROGRESS;
		/* an owner is stuck in a call: unregistering will take what it can */
		dev->result = rc;
		return rc;
	}
	return plx_blk_close(blk);
}

static int
close_blks(struct plx_dev *dev)
{
	struct plx_blk *blk;
	int rc;

	while ((blk = open_blk(dev)) != NULL) {
		rc = close_blk(dev, blk);
		if (rc != 0)
			return rc;
	}
	return 0;
}

/* Until its block devices are closed it lives on: what their operations wait for is its driver's to
 * see through. */
static int
close_step(struct plx_dev *dev)
{
	int rc = close_blks(dev);

	if (rc == -EINPROGRESS && dev->drv->poll != NULL)
		driver_call(dev, dev->drv->poll);
	return rc;
}

static int
detach_step(struct plx_dev *dev)
{
	PLX_PT_BEGIN(&dev->pt);
	PLX_PT_CALL(&dev->pt, dev->rc, close_step(dev), close_step(dev));
	PLX_PT_CALL(&dev->pt, dev->rc, driver_call(dev, dev->drv->detach),
		driver_call(dev, dev->drv->poll));
	if (dev->rc != 0)
		dev->result = dev->rc;
	probe_pci_close(dev);
	plx_blk_detached(dev);
	PLX_PT_END(&dev->pt);
}

static void
attach_end(struct plx_dev *dev, int rc)
{
	if (rc != 0)
		probe_pci_close(dev);
	if (dev->detach)
		dev->state = rc == 0 ? DEV_DETACHING : DEV_DETACHED;
	else
		dev->state = rc == 0 ? DEV_ATTACHED : DEV_FAILED;
	dev->result = dev->detach ? 0 : rc;
}

static int
step(struct plx_dev *dev)
{
	int rc;

	switch (dev->state) {
	case DEV_ATTACHING:
		rc = attach_step(dev);
		if (rc == -EINPROGRESS)
			return 1;
		attach_end(dev, rc);
		return 1;
	case DEV_ATTACHED:
		return dev->drv->poll != NULL ? driver_call(dev, dev->drv->poll) > 0 : 0;
	case DEV_DETACHING:
		if (detach_step(dev) != -EINPROGRESS)
			dev->state = DEV_DETACHED;
		return 1;
	default:
		return 0;
	}
}

static int
work_poll(struct plx_ctrl_work *w)
{
	struct plx_dev *dev;
	int n = 0;

	/* a step may free others, never its own */
	for (dev = devices; dev != NULL; dev = dev->next)
		n += step(dev);
	return n;
}

/* ---- calls ---- */

static struct plx_dev *
new_dev(const char *str, int *rc)
{
	struct plx_dev *dev = calloc(1, sizeof(*dev)), **at;

	*rc = -ENOMEM;
	if (dev == NULL)
		return NULL;
	dev->parent = current;
	for (at = &devices; *at != NULL; at = &(*at)->next)
		;
	*at = dev;
	*rc = probe_parse(dev, str);
	if (*rc == 0)
		*rc = probe_name(dev);
	if (*rc == 0)
		return dev;
	unlink_free(dev);
	return NULL;
}

static int
start_locked(const char *str, struct plx_dev **out)
{
	struct plx_dev *dev;
	int rc;

	dev = new_dev(str, &rc);
	if (dev == NULL)
		return rc;
	if (!probe_mp_allowed(dev)) {
		unlink_free(dev);
		return -ENOTSUP;
	}
	plx_ctrl_del(&work);
	plx_ctrl_add(&work);
	step(dev);
	if (dev->state == DEV_FAILED) {
		rc = dev->result;
		unlink_free(dev);
		return rc;
	}
	*out = dev;
	return 0;
}

int
plx_attach_start(const char *str, struct plx_dev **dev)
{
	int rc;

	plx_ctrl_lock();
	rc = start_locked(str, dev);
	plx_ctrl_unlock();
	return rc;
}

int
plx_attach_poll(struct plx_dev *dev)
{
	int rc;

	plx_ctrl_lock();
	rc = dev->state == DEV_ATTACHING ? -EINPROGRESS : dev->result;
	if (dev->state == DEV_FAILED)
		unlink_free(dev);
	plx_ctrl_unlock();
	return rc;
}

/* A block device of it that something else runs on, which a detach would pull away. */
static bool
held(const struct plx_dev *dev)
{
	const struct plx_blk *blk;

	for (blk = plx_blk_next(NULL); blk != NULL; blk = plx_blk_next(blk)) {
		if (blk->dev != dev || !(blk->open_flags & PLX_BLK_O_HOLD))
			continue;
		PLX_LOG(ERR, "'%s': %s is exported, or below another device; end that first",
			dev->str, blk->info.name);
		return true;
	}
	return false;
}

int
plx_detach_start(struct plx_dev *dev)
{
	int rc = 0;

	plx_ctrl_lock();
	if (dev->detach || dev->state == DEV_DETACHED)
		rc = -EALREADY;
	else if (held(dev))
		rc = -EBUSY;
	else if (dev->state == DEV_ATTACHED)
		dev->state = DEV_DETACHING;
	else if (dev->state == DEV_FAILED)
		dev->state = DEV_DETACHED;
	if (rc == 0) {
		dev->detach = true;
		dev->result = 0;
		step(dev);
	}
	plx_ctrl_unlock();
	return rc;
}

int
plx_detach_poll(struct plx_dev *dev)
{
	int rc = -EINPROGRESS;

	plx_ctrl_lock();
	if (dev->state == DEV_DETACHED) {
		rc = dev->result;
		unlink_free(dev);
	}
	plx_ctrl_unlock();
	return rc;
}

int
plx_attach(const char *str, struct plx_dev **out)
{
	unsigned int idle = 0;
	struct plx_dev *dev;
	int rc = plx_attach_start(str, &dev);

	if (rc != 0)
		return rc;
	for (; (rc = plx_attach_poll(dev)) == -EINPROGRESS; plx_ctrl_drive(&idle))
		;
	if (rc == 0 && out != NULL)
		*out = dev;
	return rc;
}

int
plx_detach(struct plx_dev *dev)
{
	unsigned int idle = 0;
	int rc = plx_detach_start(dev);

	if (rc != 0)
		return rc;
	for (; (rc = plx_detach_poll(dev)) == -EINPROGRESS; plx_ctrl_drive(&idle))
		;
	return rc;
}

int
plx_detach_all(void)
{
	struct plx_dev *dev, *last, *busy = NULL;
	int rc, first = 0;

	do {
		last = NULL;
		for (dev = plx_dev_next(NULL); dev != NULL && dev != busy; dev = plx_dev_next(dev))
			if (!dev->detach)
				last = dev;
		rc = last != NULL ? plx_detach(last) : 0;
		if (rc == -EBUSY)
			busy = last; /* it stays; those attached before it go */
		first = first != 0 ? first : rc;
	} while (last != NULL);
	return first;
}
