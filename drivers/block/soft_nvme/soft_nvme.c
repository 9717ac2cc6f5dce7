/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * soft-nvme: the software controller in this process, and the NVMe driver on it over a vfio-user
 * socket: the very path that drives hardware, without any.
 *
 * The block device is the NVMe driver's own. Its queues' poll is put behind one that polls the
 * controller first, so that one lcore is enough; with several, whoever comes first does it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_spinlock.h>

#include "plx_blk_drv.h"
#include "plx_ctrl.h"
#include "plx_log.h"
#include "plx_nvmet.h"
#include "plx_probe_drv.h"
#include "plx_pt.h"

PLX_LOG_TYPE(soft_nvme, NOTICE);

struct soft {
	struct plx_dev *dev;
	struct plx_nvmet *ctrl;
	rte_spinlock_t polling; /* the controller is one thread's at a time */

	/* what the NVMe driver's device had before we stepped in */
	const struct plx_blk_ops *inner;
	plx_blkq_poll_t inner_poll;
	struct plx_blk_ops ops; /* the same, but for queue_setup */

	struct plx_dev *back, *nvme; /* our attachments; back NULL: a device of the user's */
	char path[64];               /* the socket, in a directory of its own */
	struct plx_pt pt;
	int rc;
	bool attached, detaching;
};

/* ---- the data path ---- */

static int
poll_ctrl(struct soft *s)
{
	int n;

	if (!rte_spinlock_trylock(&s->polling))
		return 0;
	n = plx_nvmet_poll(s->ctrl);
	rte_spinlock_unlock(&s->polling);
	return n;
}

static uint16_t
soft_poll(struct plx_blkq *q, struct plx_blk_req **reqs, uint16_t n)
{
	struct soft *s = container_of(q->blk->ops, struct soft, ops);

	poll_ctrl(s);
	return s->inner_poll(q, reqs, n);
}

static int
soft_queue_setup(
	struct plx_blk *blk, uint16_t qid, const struct plx_blkq_conf *conf, struct plx_drvq **dq)
{
	struct soft *s = container_of(blk->ops, struct soft, ops);
	struct plx_blkq_conf polled = *conf;
	int rc;

	/* asleep, nobody would run the controller */
	polled.intr = false;
	rc = s->inner->queue_setup(blk, qid, &polled, dq);
	if (rc != 0)
		return rc;
	s->inner_poll = (*dq)->poll;
	(*dq)->poll = soft_poll;
	return 0;
}

/* ---- attach ---- */

static struct plx_blk *
blk_of(const struct plx_dev *dev)
{
	struct plx_blk *blk;

	for (blk = plx_blk_next(NULL); blk != NULL && blk->dev != dev; blk = plx_blk_next(blk))
		;
	return blk;
}

/* The device that the controller serves. "nvme0" stands for its only namespace. */
static const struct plx_blk *
served(const struct soft *s)
{
	const char *name = plx_arg_str(s->dev, "backend");
	const struct plx_blk *blk;
	size_t len;

	if (name == NULL)
		return blk_of(s->back);
	len = strlen(name);
	for (blk = plx_blk_next(NULL); blk != NULL; blk = plx_blk_next(blk))
		if (strncmp(blk->info.name, name, len) == 0 &&
			(blk->info.name[len] == '\0' || blk->info.name[len] == '/'))
			break;
	return blk;
}

/* What is written here ends up there: whether that is software, or kept, is the medium's to say. */
static void
step_in(struct soft *s)
{
	const uint32_t caps = PLX_BLK_CAP_SOFTWARE | PLX_BLK_CAP_VOLATILE | PLX_BLK_CAP_NODATA;
	const struct plx_blk *medium = served(s);
	struct plx_blk *blk = blk_of(s->nvme);

	s->inner = blk->ops;
	s->ops = *blk->ops;
	s->ops.queue_setup = soft_queue_setup;
	blk->ops = &s->ops;
	if (medium != NULL)
		blk->info.caps |= medium->info.caps & caps;
}

static int
make_path(struct soft *s)
{
	char dir[] = "/tmp/plx-XXXXXX";
	int rc;

	if (mkdtemp(dir) == NULL) {
		rc = -errno;
		PLX_LOG(ERR, "soft-nvme: %s: can't make a directory for its socket in /tmp: %s",
			s->dev->name, strerror(-rc));
		return rc;
	}
	snprintf(s->path, sizeof(s->path), "%s/cntrl", dir);
	return 0;
}

static void
drop_path(struct soft *s)
{
	char *slash = strrchr(s->path, '/');

	if (slash == NULL)
		return;
	unlink(s->path);
	*slash = '\0';
	rmdir(s->path);
	s->path[0] = '\0';
}

/* Add those of the keys that were given to a device string of n bytes. */
static int
hand_on(struct plx_dev *dev, const char *const *keys, char *str, size_t size, size_t n)
{
	for (; *keys != NULL; keys++) {
		const char *v = plx_arg_str(dev, *keys);

		if (v != NULL && n < size)
			n += (size_t)snprintf(str + n, size - n, ",%s=%s", *keys, v);
	}
	return n < size ? 0 : plx_arg_bad(dev, "name", "is too long");
}

/* The medium: an attached device, or one of our own. @return its name, NULL: rc says why */
static const char *
medium(struct soft *s, int *rc)
{
	const char *backend = plx_arg_str(s->dev, "backend"), *size = plx_arg_str(s->dev, "size");
	const char *block = plx_arg_str(s->dev, "block"), *kind = plx_arg_str(s->dev, "medium");
	static const char *const keys[] = {
		"meta", "pi", "guard", "pi_first", "zone", "zcap", "max_open", "max_active", NULL};
	char str[256];
	int n;

	*rc = -EINVAL;
	if (s->dev->addr[0] != '\0') {
		PLX_LOG(ERR, "'%s': it has no address: its socket is in a directory of its own",
			s->dev->str);
		return NULL;
	}
	if ((backend == NULL) == (size == NULL)) {
		plx_arg_bad(s->dev, "size", "or else backend= is needed");
		return NULL;
	}
	if (backend != NULL)
		return backend;
	if (kind != NULL && strcmp(kind, "ram") != 0 && strcmp(kind, "null") != 0) {
		plx_arg_bad(s->dev, "medium", "is neither ram nor null");
		return NULL;
	}
	n = snprintf(str, sizeof(str), "%s:size=%s,block=%s,name=%s-medium",
		kind != NULL ? kind : "ram", size, block != NULL ? block : "512", s->dev->name);
	if (hand_on(s->dev, keys, str, sizeof(str), (size_t)n) != 0)
		return NULL;
	*rc = plx_attach_start(str, &s->back);
	return *rc == 0 ? plx_dev_name(s->back) : NULL;
}

static int
serve(struct soft *s)
{
	const char *name;
	struct plx_nvmet_conf conf = {.path = s->path, .devs = &name, .nb_devs = 1};
	uint32_t ext;
	int rc;

	if (plx_arg_u32(s->dev, "meta_ext", 0, 1, 0, &ext) != 0)
		return -EINVAL;
	conf.meta_ext = ext != 0;
	name = medium(s, &rc);
	if (name == NULL)
		return rc;
	rc = make_path(s);
	return rc == 0 ? plx_nvmet_create(&conf, &s->ctrl) : rc;
}

static int
attach_nvme(struct soft *s)
{
	static const char *const keys[] = {
		"queues", "io_timeout", "admin_timeout", "dbbuf", "sgl", "quirks", "hostid", NULL};
	char str[512];
	int n = snprintf(str, sizeof(str), "vfio-user:%s,name=%s", s->path, s->dev->name);

	if (hand_on(s->dev, keys, str, sizeof(str), (size_t)n) != 0)
		return -EINVAL;
	return plx_attach_start(str, &s->nvme);
}

static int
step_attach(struct soft *s)
{
	PLX_PT_BEGIN(&s->pt);
	s->rc = serve(s);
	if (s->rc == 0)
		s->rc = attach_nvme(s);
	if (s->rc == 0) {
		PLX_PT_WAIT(&s->pt,
			poll_ctrl(s) >= 0 && (s->rc = plx_attach_poll(s->nvme)) != -EINPROGRESS);
		if (s->rc != 0)
			s->nvme = NULL;
	}
	if (s->rc == 0)
		step_in(s);
	drop_path(s); /* nobody else is to connect, and a process that is killed leaves none */
	PLX_PT_RETURN(&s->pt, s->rc);
	PLX_PT_END(&s->pt);
}

/* ---- detach, also of what a failed attach left ---- */

static int
gone(struct soft *s, struct plx_dev **dev)
{
	int rc;

	if (*dev == NULL)
		return 1;
	if (s->ctrl != NULL)
		poll_ctrl(s);
	rc = plx_detach_poll(*dev);
	if (rc == -EINPROGRESS)
		return 0;
	if (s->rc == 0)
		s->rc = rc;
	*dev = NULL;
	return 1;
}

static int
step_detach(struct soft *s)
{
	int rc;

	PLX_PT_BEGIN(&s->pt);
	if (s->nvme != NULL)
		plx_detach_start(s->nvme);
	PLX_PT_WAIT(&s->pt, gone(s, &s->nvme));
	plx_nvmet_destroy(s->ctrl);
	s->ctrl = NULL;
	drop_path(s);
	if (s->back != NULL)
		plx_detach_start(s->back);
	PLX_PT_WAIT(&s->pt, gone(s, &s->back));
	s->pt.line = 0;
	rc = s->rc;
	s->dev->priv = NULL;
	free(s);
	return rc;
	PLX_PT_END(&s->pt);
}

static int
drive(struct soft *s)
{
	int rc;

	if (!s->attached && !s->detaching) {
		rc = step_attach(s);
		s->attached = rc == 0;
		s->detaching = rc != 0 && rc != -EINPROGRESS;
		if (!s->detaching)
			return rc;
	}
	return s->detaching ? step_detach(s) : poll_ctrl(s);
}

static int
soft_attach(struct plx_dev *dev)
{
	struct soft *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return -ENOMEM;
	s->dev = dev;
	dev->priv = s;
	rte_spinlock_init(&s->polling);
	return drive(s);
}

static int
soft_dev_poll(struct plx_dev *dev)
{
	return drive(dev->priv);
}

static int
soft_detach(struct plx_dev *dev)
{
	struct soft *s = dev->priv;

	s->detaching = true;
	s->rc = 0;
	return step_detach(s);
}

static const char *const soft_keys[] = {"size", "block", "medium", "backend", "queues",
	"io_timeout", "admin_timeout", "dbbuf", "sgl", "quirks", "hostid", "meta", "pi", "guard",
	"pi_first", "meta_ext", "zone", "zcap", "max_open", "max_active", NULL};

/* ---- the controller's own commands are the NVMe driver's ---- */

static int
soft_admin(struct plx_dev *dev, struct plx_nvme_cmd *cmd)
{
	struct soft *s = dev->priv;

	return s->nvme->drv->nvme->admin(s->nvme, cmd);
}

static int
soft_reset(struct plx_dev *dev)
{
	struct soft *s = dev->priv;

	return s->nvme->drv->nvme->reset(s->nvme);
}

static int
soft_nvme_poll(struct plx_dev *dev)
{
	struct soft *s = dev->priv;

	return s->nvme->drv->nvme->poll(s->nvme);
}

static const struct plx_nvme_ops soft_nvme_ops = {
	.admin = soft_admin,
	.reset = soft_reset,
	.poll = soft_nvme_poll,
};

extern const struct plx_driver plx_soft_nvme_driver;
const struct plx_driver plx_soft_nvme_driver = {
	.name = "soft-nvme",
	.help = "soft-nvme:size=SIZE[,block=512][,medium=ram|null] or soft-nvme:backend=NAME, "
		"[,meta=][,pi=][,guard=][,pi_first=][,meta_ext=0|1]"
		"[,zone=][,zcap=][,max_open=][,max_active=]"
		"[,queues=][,io_timeout=][,admin_timeout=][,dbbuf=][,sgl=][,quirks=][,hostid=]"
		"[,name=NAME]",
	.keys = soft_keys,
	.attach = soft_attach,
	.poll = soft_dev_poll,
	.detach = soft_detach,
	.nvme = &soft_nvme_ops,
};
PLX_DRIVER_INFO(plx_soft_nvme_driver);
