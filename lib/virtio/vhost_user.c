/* SPDX-License-Identifier: BSD-3-Clause */
/* The vhost-user front end: the device. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "plx_log.h"
#include "plx_mem.h"
#include "vhost_user_priv.h"

PLX_LOG_USE(virtio);

#define DEFAULT_TIMEOUT_MS 10000
#define BIT(n) (1ull << (n))

/* What is between us and the back end, or would need messages that we don't send: IOTLB for
 * ACCESS_PLATFORM, in-band data for notifications. */
#define NOT_THE_DRIVERS                                                        \
	(BIT(VHU_F_PROTOCOL_FEATURES) | BIT(24) | BIT(26) | BIT(27) |          \
		BIT(VIRTIO_F_ACCESS_PLATFORM) | BIT(VIRTIO_F_ORDER_PLATFORM) | \
		BIT(VIRTIO_F_SR_IOV) | BIT(VIRTIO_F_NOTIFICATION_DATA) |       \
		BIT(VIRTIO_F_NOTIF_CONFIG_DATA) | BIT(VIRTIO_F_RING_RESET) | ~(BIT(41) - 1))
#define OUR_PROTOCOL                                                                         \
	(BIT(VHU_P_MQ) | BIT(VHU_P_REPLY_ACK) | BIT(VHU_P_BACKEND_REQ) | BIT(VHU_P_CONFIG) | \
		BIT(VHU_P_INFLIGHT_SHMFD) | BIT(VHU_P_CONFIGURE_MEM_SLOTS))

static struct vhost_user *
of(struct plx_virtio_dev *dev)
{
	return (struct vhost_user *)dev; /* its first member */
}

int
vhu_run(struct vhost_user *u, int (*step)(struct vhost_user *u))
{
	int rc;

	u->pt = u->sub = (struct plx_pt){0};
	rc = step(u);
	u->step = rc == -EINPROGRESS ? step : NULL;
	return rc;
}

/* ---- open and reconnect ---- */

/* Ask for a number. */
static int
get(struct vhost_user *u, enum vhu_request request)
{
	return vhu_call(u, request, 0, true);
}

static int
got(struct vhost_user *u, uint64_t *out)
{
	if (u->call.reply_hdr.size != sizeof(uint64_t))
		return vhu_lose(u, -EPROTO, "the back end's answer to %s has %u bytes, not 8",
			vhu_request_name(u->call.hdr.request), u->call.reply_hdr.size);
	*out = u->call.reply_u64;
	return 0;
}

#define GET(pt, u, request, out)                           \
	do {                                               \
		VHU_CALL(pt, (u)->rc, u, get(u, request)); \
		if ((u)->rc == 0)                          \
			(u)->rc = got(u, out);             \
		VHU_OR_RETURN(pt, (u)->rc);                \
	} while (0)

static int
check_features(struct vhost_user *u)
{
	if (!(u->virtio & BIT(VIRTIO_F_VERSION_1)))
		return vhu_lose(u, -EPROTONOSUPPORT,
			"the back end offers no VERSION_1 (features %#" PRIx64
			"): it is a legacy device; update it",
			u->virtio);
	u->dev.offered = u->virtio & ~NOT_THE_DRIVERS;
	u->protocol_on = (u->virtio & BIT(VHU_F_PROTOCOL_FEATURES)) != 0;
	return 0;
}

static void
end_close(struct vhost_user *u)
{
	if (u->call_end >= 0)
		close(u->call_end);
	u->call_end = -1;
}

/* Only the end for the back end crosses; who has it may use it from now on. */
static int
send_backend_fd(struct vhost_user *u)
{
	int fd = vhu_backend_open(u);

	if (fd < 0)
		return fd;
	u->call_end = fd;
	return vhu_call_fd(u, VHU_SET_BACKEND_REQ_FD, 0, fd);
}

/* Rings will be packed where that is offered. */
static bool
use_inflight(const struct vhost_user *u)
{
	if (u->conf.inflight == PLX_VHOST_USER_INFLIGHT_SPLIT)
		return u->conf.split || !(u->virtio & BIT(VIRTIO_F_RING_PACKED));
	return u->conf.inflight == PLX_VHOST_USER_INFLIGHT_ALWAYS;
}

static int
protocol_step(struct vhost_user *u)
{
	PLX_PT_BEGIN(&u->sub);
	u->protocol = 0;
	u->dev.max_queues = 1;
	u->mem_slots = VHU_TABLE_REGIONS;
	if (!u->protocol_on)
		PLX_PT_RETURN(&u->sub, 0);
	GET(&u->sub, u, VHU_GET_PROTOCOL_FEATURES, &u->number);
	u->number &= OUR_PROTOCOL;
	if (!use_inflight(u))
		u->number &= ~BIT(VHU_P_INFLIGHT_SHMFD);
	VHU_CALL(&u->sub, u->rc, u, vhu_call_u64(u, VHU_SET_PROTOCOL_FEATURES, u->number));
	VHU_OR_RETURN(&u->sub, u->rc);
	u->protocol = u->number;
	if (vhu_has(u, VHU_P_MQ)) {
		GET(&u->sub, u, VHU_GET_QUEUE_NUM, &u->number);
		u->dev.max_queues = (uint16_t)RTE_MIN(u->number, (uint64_t)UINT16_MAX);
	}
	if (vhu_has(u, VHU_P_BACKEND_REQ)) {
		VHU_CALL(&u->sub, u->rc, u, send_backend_fd(u));
		end_close(u);
		VHU_OR_RETURN(&u->sub, u->rc);
	}
	if (vhu_has(u, VHU_P_CONFIGURE_MEM_SLOTS))
		GET(&u->sub, u, VHU_GET_MAX_MEM_SLOTS, &u->mem_slots);
	PLX_PT_END(&u->sub);
}

/* The domain stays for good: a back end that comes back must hold as much. */
static int
memory(struct vhost_user *u)
{
	if (u->mem_slots == 0)
		return vhu_lose(u, -EPROTO, "the back end has no slots for memory");
	if (u->dev.domain == NULL) {
		u->first_slots = RTE_MIN(u->mem_slots, (uint64_t)VHU_SLOTS_MAX);
		return vhu_domain_create(u);
	}
	if (u->mem_slots < u->first_slots)
		return vhu_lose(u, -EPROTONOSUPPORT,
			"the back end came back with %" PRIu64 " memory slots; it had %" PRIu64,
			u->mem_slots, u->first_slots);
	return 0;
}

static int
open_step(struct vhost_user *u)
{
	PLX_PT_BEGIN(&u->pt);
	PLX_PT_CALL(&u->pt, u->rc, vhu_connect(u), vhu_connect(u));
	if (u->rc != 0)
		PLX_PT_RETURN(&u->pt, vhu_refuse(u, -u->rc, u->tries != 0));
	VHU_CALL(&u->pt, u->rc, u, vhu_call(u, VHU_SET_OWNER, 0, false));
	VHU_OR_RETURN(&u->pt, u->rc);
	GET(&u->pt, u, VHU_GET_FEATURES, &u->virtio);
	u->rc = check_features(u);
	VHU_OR_RETURN(&u->pt, u->rc);
	PLX_PT_CALL(&u->pt, u->rc, protocol_step(u), protocol_step(u));
	if (u->rc == 0)
		u->rc = memory(u);
	VHU_OR_RETURN(&u->pt, u->rc);
	u->tries = 0;
	u->dev.remembers = u->inflight_fd >= 0 && vhu_has(u, VHU_P_INFLIGHT_SHMFD);
	PLX_PT_END(&u->pt);
}

static void
disconnect(struct vhost_user *u)
{
	if (u->fd >= 0)
		close(u->fd);
	u->fd = -1;
	u->connected = false;
	if (u->call.state != VHU_IDLE && u->call.reply_fd >= 0)
		close(u->call.reply_fd);
	u->call.state = VHU_IDLE;
	u->call.owner = NULL;
	u->call.nfds = 0;
	u->call.got = 0;
	end_close(u);
	vhu_backend_close(u);
	u->virtio = u->protocol = 0;
}

/* An attempt that fails leaves the device lost as it was. */
static int
reconnect_step(struct vhost_user *u)
{
	int rc = open_step(u);

	if (rc != 0 && rc != -EINPROGRESS)
		__atomic_store_n(&u->dev.lost, rc, __ATOMIC_RELEASE);
	return rc;
}

static int
reconnect(struct plx_virtio_dev *dev)
{
	struct vhost_user *u = of(dev);
	int rc;

	disconnect(u);
	vhu_mem_lost(u);
	u->nb_begun = 0;
	u->tries++;
	rc = vhu_socket(u);
	if (rc != 0)
		return vhu_refuse(u, -rc, rc == -ENOENT || u->tries > 1);
	__atomic_store_n(&dev->lost, 0, __ATOMIC_RELEASE);
	return vhu_run(u, reconnect_step);
}

/* ---- features and configuration ---- */

static int
negotiate_step(struct vhost_user *u)
{
	uint64_t bits = u->features;

	PLX_PT_BEGIN(&u->pt);
	bits |= u->protocol_on ? BIT(VHU_F_PROTOCOL_FEATURES) : 0;
	VHU_CALL(&u->pt, u->rc, u, vhu_call_u64(u, VHU_SET_FEATURES, bits));
	if (u->rc == -EREMOTEIO)
		u->rc = -EPROTONOSUPPORT;
	VHU_OR_RETURN(&u->pt, u->rc);
	u->dev.features = u->features;
	PLX_PT_END(&u->pt);
}

static int
negotiate(struct plx_virtio_dev *dev, uint64_t features)
{
	of(dev)->features = features;
	return vhu_run(of(dev), negotiate_step);
}

static int
get_config(struct vhost_user *u)
{
	u->call.config = (struct vhu_config){.size = u->config.ask};
	return vhu_call(u, VHU_GET_CONFIG, VHU_CONFIG_HDR + u->config.ask, true);
}

/* @return how much of the structure came, 0: refused. Some back ends answer with all that they
 * have room for. */
static uint32_t
got_config(const struct vhost_user *u)
{
	const struct vhu_config *r = &u->call.reply_config;
	uint32_t n = u->call.reply_hdr.size;

	if (n <= VHU_CONFIG_HDR || r->offset != 0 || r->size == 0)
		return 0;
	n = RTE_MIN(n - VHU_CONFIG_HDR, r->size);
	return RTE_MIN(n, u->config.ask);
}

/* The structure grew over the years, and back ends refuse to be asked beyond what they know of
 * it: then less is asked for, in steps of the fields' size. */
static int
config_step(struct vhost_user *u)
{
	PLX_PT_BEGIN(&u->pt);
	memset(u->config.bytes, 0, sizeof(u->config.bytes));
	for (u->config.ask = u->config.off + u->config.len; u->config.ask >= 8;
		u->config.ask -= 4) {
		VHU_CALL(&u->pt, u->rc, u, get_config(u));
		VHU_OR_RETURN(&u->pt, u->rc);
		if (got_config(u) == 0)
			continue;
		memcpy(u->config.bytes, u->call.reply_config.data, got_config(u));
		memcpy(u->config.buf, u->config.bytes + u->config.off, u->config.len);
		PLX_PT_RETURN(&u->pt, 0);
	}
	PLX_LOG(ERR, "%s: the back end refuses to show its configuration", u->dev.name);
	PLX_PT_RETURN(&u->pt, -EPROTO);
	PLX_PT_END(&u->pt);
}

static int
config_read(struct plx_virtio_dev *dev, uint32_t off, void *buf, uint32_t len)
{
	struct vhost_user *u = of(dev);

	if (!vhu_has(u, VHU_P_CONFIG)) {
		PLX_LOG(ERR, "%s: the back end has no configuration space: it is no block device",
			dev->name);
		return -EPROTO;
	}
	if (off > VHU_CONFIG_MAX || len > VHU_CONFIG_MAX - off)
		return -EINVAL;
	u->config.off = off;
	u->config.len = len;
	u->config.buf = buf;
	return vhu_run(u, config_step);
}

static int
config_write_step(struct vhost_user *u)
{
	PLX_PT_BEGIN(&u->pt);
	VHU_CALL(&u->pt, u->rc, u,
		vhu_call(u, VHU_SET_CONFIG, VHU_CONFIG_HDR + u->config.len, false));
	PLX_PT_RETURN(&u->pt, u->rc);
	PLX_PT_END(&u->pt);
}

static int
config_write(struct plx_virtio_dev *dev, uint32_t off, const void *buf, uint32_t len)
{
	struct vhost_user *u = of(dev);

	if (!vhu_has(u, VHU_P_CONFIG))
		return -ENOTSUP;
	if (off > VHU_CONFIG_MAX || len > VHU_CONFIG_MAX - off)
		return -EINVAL;
	if (u->call.owner != NULL)
		return -EBUSY;
	u->config.len = len;
	u->call.config = (struct vhu_config){.offset = off, .size = len};
	memcpy(u->call.config.data, buf, len);
	return vhu_run(u, config_write_step);
}

/* ---- the rest ---- */

static int
queue_max(struct plx_virtio_dev *dev, uint16_t qid, uint16_t *size)
{
	*size = VHU_QUEUE_SIZE;
	return 0;
}

static int
status(struct plx_virtio_dev *dev)
{
	dev->status = VIRTIO_CONFIG_S_DRIVER_OK;
	return 0;
}

static int
poll(struct plx_virtio_dev *dev)
{
	struct vhost_user *u = of(dev);
	int rc;

	if (u->call.owner == NULL)
		vhu_pump(u);
	vhu_backend_poll(u);
	if (u->step == NULL)
		return __atomic_load_n(&dev->lost, __ATOMIC_RELAXED) != 0 ? -ENODEV : 0;
	rc = u->step(u);
	if (rc != -EINPROGRESS)
		u->step = NULL;
	return rc;
}

static void
vhu_close(struct plx_virtio_dev *dev)
{
	struct vhost_user *u = of(dev);

	disconnect(u);
	vhu_queues_free(u);
	if (u->inflight_fd >= 0)
		close(u->inflight_fd);
	plx_mem_domain_destroy(dev->domain);
	free(u->mem);
	free(u);
}

static const struct plx_virtio_ops ops = {
	.name = "vhost-user",
	.poll = poll,
	.negotiate = negotiate,
	.config_read = config_read,
	.config_write = config_write,
	.queue_max = queue_max,
	.start = vhu_start,
	.status = status,
	.reset = vhu_reset,
	.reconnect = reconnect,
	.notify = vhu_notify,
	.close = vhu_close,
};

int
plx_vhost_user_open(
	const char *path, const struct plx_vhost_user_conf *conf, struct plx_virtio_dev **dev)
{
	struct vhost_user *u = calloc(1, sizeof(*u));
	int rc;

	if (u == NULL)
		return -ENOMEM;
	u->dev.ops = &ops;
	u->dev.numa_node = -1;
	u->fd = u->backend_fd = u->call_end = u->inflight_fd = u->call.reply_fd = -1;
	if (conf != NULL)
		u->conf = *conf;
	if (u->conf.timeout_ms == 0)
		u->conf.timeout_ms = DEFAULT_TIMEOUT_MS;
	u->addr.sun_family = AF_UNIX;
	snprintf(u->dev.name, sizeof(u->dev.name), "vhost-user:%s", path);
	if (strlen(path) >= sizeof(u->addr.sun_path)) {
		PLX_LOG(ERR, "%s: a socket's path has at most %zu bytes: use a shorter one",
			u->dev.name, sizeof(u->addr.sun_path) - 1);
		free(u);
		return -ENAMETOOLONG;
	}
	strcpy(u->addr.sun_path, path);
	rc = vhu_socket(u);
	if (rc != 0) {
		rc = vhu_refuse(u, -rc, false);
		vhu_close(&u->dev);
		return rc;
	}
	u->step = open_step; /* plx_virtio_poll() goes on */
	u->dev.busy = true;
	*dev = &u->dev;
	return 0;
}
