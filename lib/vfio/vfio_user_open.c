/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <linux/vfio.h>

#include "plx_log.h"
#include "plx_mem.h"
#include "vfio_priv.h"
#include "vfio_user_priv.h"

PLX_LOG_USE(vfio);

#define DEFAULT_TIMEOUT_MS 10000
/* Config space of a conventional PCI function. */
#define CONFIG_MIN 256
/* MSI-X has the most vectors. */
#define MAX_VECTORS 2048
/* Room for as many areas as are kept spares most servers a second question. */
#define FIRST_ARGSZ                                                                              \
	((uint32_t)(sizeof(struct vfio_user_region_info) + sizeof(struct vfio_user_cap_sparse) + \
		    PLX_VFIO_AREAS * sizeof(struct vfio_user_sparse_area)))

/* ---- the socket ---- */

static int
refuse(const char *path, int err)
{
	const char *way = strerror(err);

	switch (err) {
	case ENOENT:
		way = "no such socket: start the exporter, or correct the path";
		break;
	case EACCES:
		way = "no permission: run as the exporter's user, or chmod the socket";
		break;
	case ECONNREFUSED:
		way = "nobody listens there any more: start the exporter";
		break;
	case ENOTSOCK:
		way = "not a socket";
		break;
	case EPROTOTYPE:
		way = "a socket, but not a stream: no vfio-user server";
		break;
	case ENAMETOOLONG:
		way = "a socket's path has at most 107 bytes: use a shorter one";
		break;
	case EAGAIN:
		err = ETIMEDOUT;
		way = "the server accepts nobody: it has another client (it takes one at a time), "
		      "or hangs; end that client or restart the server";
		break;
	}
	PLX_LOG(ERR, "vfio-user:%s: %s", path, way);
	return -err;
}

/* A directory holds the socket under the name that NVMe targets use. */
static int
resolve(const char *path, struct sockaddr_un *a)
{
	struct stat st;
	int n;

	if (stat(path, &st) != 0)
		return refuse(path, errno);
	n = snprintf(a->sun_path, sizeof(a->sun_path), "%s%s", path,
		S_ISDIR(st.st_mode) ? "/cntrl" : "");
	if (n < 0 || (size_t)n >= sizeof(a->sun_path))
		return refuse(path, ENAMETOOLONG);
	if (S_ISDIR(st.st_mode) && stat(a->sun_path, &st) != 0)
		return refuse(a->sun_path, errno);
	if (!S_ISSOCK(st.st_mode))
		return refuse(a->sun_path, ENOTSOCK);
	a->sun_family = AF_UNIX;
	return 0;
}

/* Whoever waits for a server knows that there is none. */
static int
connect_failed(const struct vfio_user *u, int err)
{
	if (u->tries == 0)
		return refuse(u->addr.sun_path, err);
	return err == EAGAIN ? -ETIMEDOUT : -err;
}

/* @return 0; -EINPROGRESS the server's backlog is full; -errno, logged at the first opening */
static int
connect_step(struct vfio_user *u)
{
	if (u->connected || connect(u->fd, (struct sockaddr *)&u->addr, sizeof(u->addr)) == 0) {
		u->connected = true;
		return 0;
	}
	if (errno != EAGAIN && errno != EINTR)
		return connect_failed(u, errno);
	return plx_deadline_past(u->until) ? connect_failed(u, EAGAIN) : -EINPROGRESS;
}

/* ---- the questions, and what is done with their answers ---- */

static int
begin_version(struct vfio_user *u)
{
	const struct vfio_user_version v = {VFIO_USER_MAJOR, VFIO_USER_OUR_MINOR};

	memcpy(u->call.req, &v, sizeof(v));
	memcpy(u->call.req + sizeof(v), VFIO_USER_OUR_CAPS, sizeof(VFIO_USER_OUR_CAPS));
	return vfio_user_call_begin(u, &u->call, VFIO_USER_VERSION,
		sizeof(v) + sizeof(VFIO_USER_OUR_CAPS), sizeof(v), VFIO_USER_REPLY);
}

static int
got_version(struct vfio_user *u, int rc)
{
	struct vfio_user_version v;
	const char *why = "";

	if (rc != 0)
		return vfio_user_lose(u, -EPROTONOSUPPORT,
			"the server refuses protocol version 0.%u: %s", VFIO_USER_OUR_MINOR,
			strerror(-rc));
	memcpy(&v, u->call.reply, sizeof(v));
	if (v.major != VFIO_USER_MAJOR || v.minor > VFIO_USER_OUR_MINOR)
		return vfio_user_lose(u, -EPROTONOSUPPORT,
			"the server speaks protocol version %u.%u, we 0.0 to 0.%u", v.major,
			v.minor, VFIO_USER_OUR_MINOR);
	rc = vfio_user_caps_parse((const char *)u->call.reply + sizeof(v),
		u->call.reply_len - sizeof(v), &u->caps, &why);
	if (rc != 0)
		return vfio_user_lose(u, rc, "the server's capabilities can't be used: %s", why);
	u->negotiated = true;
	return 0;
}

static int
begin_info(struct vfio_user *u)
{
	const struct vfio_user_device_info q = {.argsz = sizeof(q)};

	memcpy(u->call.req, &q, sizeof(q));
	return vfio_user_call_begin(
		u, &u->call, VFIO_USER_DEVICE_GET_INFO, sizeof(q), sizeof(q), sizeof(q));
}

static int
got_info(struct vfio_user *u, int rc)
{
	struct vfio_user_device_info a;

	if (rc != 0)
		return vfio_user_lose(
			u, -EPROTO, "the server refuses DEVICE_GET_INFO: %s", strerror(-rc));
	memcpy(&a, u->call.reply, sizeof(a));
	if ((a.flags & VFIO_DEVICE_FLAGS_PCI) == 0)
		return vfio_user_lose(u, -EPROTONOSUPPORT, "it is not a PCI device");
	u->dev.flags = a.flags & (VFIO_DEVICE_FLAGS_PCI | VFIO_DEVICE_FLAGS_RESET);
	u->num_regions = a.num_regions < PLX_VFIO_REGIONS ? a.num_regions : PLX_VFIO_REGIONS;
	u->num_irqs = a.num_irqs < PLX_VFIO_IRQS ? a.num_irqs : PLX_VFIO_IRQS;
	return 0;
}

static int
begin_region(struct vfio_user *u)
{
	const struct vfio_user_region_info q = {.argsz = u->argsz, .index = u->i};

	memcpy(u->call.req, &q, sizeof(q));
	u->call.want_fds = true;
	return vfio_user_call_begin(
		u, &u->call, VFIO_USER_DEVICE_GET_REGION_INFO, sizeof(q), sizeof(q), u->argsz);
}

/* BARs only: config space and ROM are to be read as the server wants to show them. An area
 * without a file is reached by messages. */
static int
map_region(struct vfio_user *u, struct plx_vfio_region *r, uint64_t offset)
{
	const char *why = "";
	int rc;

	if (u->i > VFIO_PCI_BAR5_REGION_INDEX || u->call.nrfds == 0)
		r->nb_areas = 0;
	if (r->nb_areas == 0) {
		r->flags &= ~VFIO_REGION_INFO_FLAG_MMAP;
		return 0;
	}
	r->shmem = true;
	rc = vfio_region_map(&u->dev, u->i, u->call.rfds, u->call.nrfds, offset, &why);
	if (rc == -EPROTO)
		vfio_user_lose(u, rc, "region %u: %s", u->i, why);
	else if (rc != 0)
		vfio_user_lose(u, rc, "region %u: %s: %s", u->i, why, strerror(-rc));
	return rc;
}

/* @return -EAGAIN: ask again, with the argsz that the server wants */
static int
got_region(struct vfio_user *u, int rc)
{
	struct plx_vfio_region *r = &u->dev.regions[u->i];
	struct vfio_user_region_info a;
	const char *why = "";

	/* some refuse what the device lacks, as the kernel does with VGA */
	if (rc != 0)
		return 0;
	memcpy(&a, u->call.reply, sizeof(a));
	if (a.index != u->i)
		return vfio_user_lose(
			u, -EPROTO, "asked for region %u, the server answers %u", u->i, a.index);
	if (a.argsz > u->argsz) {
		if (u->argsz != FIRST_ARGSZ || a.argsz > VFIO_USER_INFO_MAX)
			return vfio_user_lose(u, -EPROTO,
				"region %u: %u bytes of information are too many", u->i, a.argsz);
		u->argsz = a.argsz;
		return -EAGAIN;
	}
	rc = vfio_region_parse(r, u->call.reply, u->call.reply_len, &why);
	if (rc != 0)
		return vfio_user_lose(u, rc, "region %u: %s", u->i, why);
	return map_region(u, r, a.offset);
}

static int
begin_irq(struct vfio_user *u)
{
	const struct vfio_user_irq_info q = {.argsz = sizeof(q), .index = u->i};

	memcpy(u->call.req, &q, sizeof(q));
	return vfio_user_call_begin(
		u, &u->call, VFIO_USER_DEVICE_GET_IRQ_INFO, sizeof(q), sizeof(q), sizeof(q));
}

static int
got_irq(struct vfio_user *u, int rc)
{
	struct vfio_user_irq_info a;

	if (rc != 0)
		return 0;
	memcpy(&a, u->call.reply, sizeof(a));
	if (a.index != u->i)
		return vfio_user_lose(
			u, -EPROTO, "asked for interrupt %u, the server answers %u", u->i, a.index);
	if (a.count > MAX_VECTORS)
		return vfio_user_lose(
			u, -EPROTO, "interrupt %u can't have %u vectors", u->i, a.count);
	u->dev.irqs[u->i] = (struct plx_vfio_irq){.flags = a.flags, .count = a.count};
	return 0;
}

/* The domain stays for good: a server that comes back must take as much. */
static int
domain(struct vfio_user *u)
{
	const struct vfio_user_caps *now = &u->caps, *first = &u->first;
	int rc;

	if (u->dev.domain != NULL) {
		if (now->max_dma_maps >= first->max_dma_maps &&
			vfio_user_page(now) <= vfio_user_page(first))
			return 0;
		return vfio_user_lose(u, -ESTALE,
			"the server came back and takes less memory (max_dma_maps %u, pgsizes "
			"%#llx; it was %u, %#llx)",
			now->max_dma_maps, (unsigned long long)now->pgsizes, first->max_dma_maps,
			(unsigned long long)first->pgsizes);
	}
	rc = vfio_user_domain_create(u);
	if (rc != 0)
		return vfio_user_lose(u, rc, "no DMA domain: %s", strerror(-rc));
	u->first = *now;
	return 0;
}

static int
finish(struct vfio_user *u)
{
	int rc;

	if (u->dev.regions[VFIO_PCI_CONFIG_REGION_INDEX].size < CONFIG_MIN)
		return vfio_user_lose(u, -EPROTONOSUPPORT,
			"region %u, config space, is missing or too short: it is not a PCI device",
			VFIO_PCI_CONFIG_REGION_INDEX);
	rc = domain(u);
	if (rc != 0)
		return rc;
	u->opened = true;
	u->tries = 0;
	return 0;
}

int
vfio_user_op_open(struct vfio_user *u)
{
	PLX_PT_BEGIN(&u->pt);
	PLX_PT_CALL(&u->pt, u->rc, connect_step(u), connect_step(u));
	if (u->rc != 0)
		PLX_PT_RETURN(&u->pt, u->rc);
	PLX_PT_CALL(&u->pt, u->rc, begin_version(u), vfio_user_answer(u, got_version));
	if (u->rc != 0)
		PLX_PT_RETURN(&u->pt, u->rc);
	PLX_PT_CALL(&u->pt, u->rc, begin_info(u), vfio_user_answer(u, got_info));
	if (u->rc != 0)
		PLX_PT_RETURN(&u->pt, u->rc);
	for (u->i = 0; u->i < u->num_regions; u->i++) {
		u->argsz = FIRST_ARGSZ;
		do
			PLX_PT_CALL(
				&u->pt, u->rc, begin_region(u), vfio_user_answer(u, got_region));
		while (u->rc == -EAGAIN);
		if (u->rc != 0)
			PLX_PT_RETURN(&u->pt, u->rc);
	}
	for (u->i = 0; u->i < u->num_irqs; u->i++) {
		PLX_PT_CALL(&u->pt, u->rc, begin_irq(u), vfio_user_answer(u, got_irq));
		if (u->rc != 0)
			PLX_PT_RETURN(&u->pt, u->rc);
	}
	PLX_PT_RETURN(&u->pt, finish(u));
	PLX_PT_END(&u->pt);
}

/* ---- making and unmaking ---- */

static int
alloc_call(struct vfio_user_call *c, size_t req, size_t reply)
{
	c->hdr = malloc(sizeof(*c->hdr) + req);
	c->reply = malloc(reply);
	if (c->hdr == NULL || c->reply == NULL)
		return -ENOMEM;
	c->req = (uint8_t *)(c->hdr + 1);
	return 0;
}

static void
free_call(struct vfio_user_call *c)
{
	vfio_user_call_drop_fds(c);
	free(c->hdr);
	free(c->reply);
}

static void
disconnect(struct vfio_user *u)
{
	shutdown(u->fd, SHUT_RDWR);
	close(u->fd);
	while (u->rx.nfds > 0)
		close(u->rx.fds[--u->rx.nfds]);
	vfio_regions_unmap(&u->dev);
}

/* Nothing of the connection before is left, sent or received in part. */
static void
begin_anew(struct vfio_user *u)
{
	u->connected = u->negotiated = u->opened = u->tx_waits = false;
	u->rest_len = u->out_len = u->nb_posts = u->rx.got = 0;
	u->call.state = u->dma_call.state = VFIO_USER_CALL_IDLE;
	u->call.nfds = u->dma_call.nfds = 0;
	memset(u->dev.regions, 0, sizeof(u->dev.regions));
	memset(u->dev.irqs, 0, sizeof(u->dev.irqs));
	u->num_regions = u->num_irqs = 0;
	__atomic_store_n(&u->dev.gone, 0, __ATOMIC_RELAXED);
	plx_mem_domain_lost(u->dev.domain);
}

/* An attempt that fails leaves the device lost as it was. */
static int
op_reopen(struct vfio_user *u)
{
	int rc = vfio_user_op_open(u);

	if (rc != 0 && rc != -EINPROGRESS)
		__atomic_store_n(&u->dev.lost, rc, __ATOMIC_RELEASE);
	return rc;
}

int
vfio_user_reconnect(struct plx_vfio_dev *dev)
{
	struct vfio_user *u = (struct vfio_user *)dev;
	int fd;

	if (u->addr.sun_family != AF_UNIX || dev->domain == NULL)
		return -ENOTSUP;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	disconnect(u);
	begin_anew(u);
	u->fd = fd;
	u->tries++;
	u->until = plx_deadline_in(u->timeout_ms);
	u->op = op_reopen;
	u->pt = (struct plx_pt){0};
	__atomic_store_n(&dev->lost, 0, __ATOMIC_RELEASE);
	return dev->ops->poll(dev);
}

void
vfio_user_close(struct plx_vfio_dev *dev)
{
	struct vfio_user *u = (struct vfio_user *)dev;

	disconnect(u);
	plx_mem_domain_destroy(dev->domain);
	free_call(&u->call);
	free_call(&u->dma_call);
	free(u->rx.cmd);
	free(u->out);
	free(u->acc.data);
	free(u->irq.fds);
	pthread_mutex_destroy(&u->tx_lock);
	free(u);
}

static struct vfio_user *
create(int fd, const char *name, const struct plx_vfio_user_conf *conf)
{
	struct vfio_user *u = calloc(1, sizeof(*u));

	if (u == NULL) {
		close(fd);
		return NULL;
	}
	u->fd = fd;
	pthread_mutex_init(&u->tx_lock, NULL);
	snprintf(u->dev.name, sizeof(u->dev.name), "vfio-user:%s", name);
	u->dev.ops = &vfio_user_ops;
	u->dev.numa_node = -1;
	u->timeout_ms =
		conf != NULL && conf->timeout_ms != 0 ? conf->timeout_ms : DEFAULT_TIMEOUT_MS;
	u->until = plx_deadline_in(u->timeout_ms);
	u->out = malloc(VFIO_USER_MAX_MSG);
	u->rx.cmd = malloc(VFIO_USER_MAX_MSG);
	if (u->out == NULL || u->rx.cmd == NULL ||
		alloc_call(&u->call, VFIO_USER_REPLY, VFIO_USER_REPLY) != 0 ||
		alloc_call(&u->dma_call, sizeof(struct vfio_user_dma_map),
			sizeof(struct vfio_user_dma_unmap)) != 0) {
		vfio_user_close(&u->dev);
		return NULL;
	}
	return u;
}

static void
begin_open(struct vfio_user *u, struct plx_vfio_dev **dev)
{
	u->op = vfio_user_op_open;
	u->dev.busy = true;
	*dev = &u->dev;
}

int
vfio_user_open_fd(
	int fd, const char *name, const struct plx_vfio_user_conf *conf, struct plx_vfio_dev **dev)
{
	struct vfio_user *u = create(fd, name, conf);

	if (u == NULL)
		return -ENOMEM;
	u->connected = true;
	begin_open(u, dev);
	return 0;
}

int
plx_vfio_user_open(
	const char *path, const struct plx_vfio_user_conf *conf, struct plx_vfio_dev **dev)
{
	struct sockaddr_un addr = {0};
	struct vfio_user *u;
	int rc, fd;

	rc = resolve(path, &addr);
	if (rc != 0)
		return rc;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return refuse(path, errno);
	u = create(fd, addr.sun_path, conf);
	if (u == NULL)
		return refuse(path, ENOMEM);
	u->addr = addr;
	rc = connect_step(u);
	if (rc != 0 && rc != -EINPROGRESS) {
		vfio_user_close(&u->dev);
		return rc;
	}
	begin_open(u, dev);
	return 0;
}
