/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "plx_log.h"
#include "plx_sock.h"
#include "vhost_user_priv.h"

PLX_LOG_USE(virtio);

#define HDR ((uint32_t)sizeof(struct vhu_header))

const char *
vhu_request_name(uint32_t request)
{
	static const char *const names[] = {
		[VHU_GET_FEATURES] = "GET_FEATURES",
		[VHU_SET_FEATURES] = "SET_FEATURES",
		[VHU_SET_OWNER] = "SET_OWNER",
		[VHU_SET_MEM_TABLE] = "SET_MEM_TABLE",
		[VHU_SET_VRING_NUM] = "SET_VRING_NUM",
		[VHU_SET_VRING_ADDR] = "SET_VRING_ADDR",
		[VHU_SET_VRING_BASE] = "SET_VRING_BASE",
		[VHU_GET_VRING_BASE] = "GET_VRING_BASE",
		[VHU_SET_VRING_KICK] = "SET_VRING_KICK",
		[VHU_SET_VRING_CALL] = "SET_VRING_CALL",
		[VHU_GET_PROTOCOL_FEATURES] = "GET_PROTOCOL_FEATURES",
		[VHU_SET_PROTOCOL_FEATURES] = "SET_PROTOCOL_FEATURES",
		[VHU_GET_QUEUE_NUM] = "GET_QUEUE_NUM",
		[VHU_SET_VRING_ENABLE] = "SET_VRING_ENABLE",
		[VHU_SET_BACKEND_REQ_FD] = "SET_BACKEND_REQ_FD",
		[VHU_GET_CONFIG] = "GET_CONFIG",
		[VHU_SET_CONFIG] = "SET_CONFIG",
		[VHU_GET_INFLIGHT_FD] = "GET_INFLIGHT_FD",
		[VHU_SET_INFLIGHT_FD] = "SET_INFLIGHT_FD",
		[VHU_GET_MAX_MEM_SLOTS] = "GET_MAX_MEM_SLOTS",
		[VHU_ADD_MEM_REG] = "ADD_MEM_REG",
		[VHU_REM_MEM_REG] = "REM_MEM_REG",
	};

	return request < RTE_DIM(names) && names[request] != NULL ? names[request] : "?";
}

/* ---- the connection ---- */

int
vhu_refuse(const struct vhost_user *u, int err, bool quiet)
{
	const char *way = strerror(err);

	switch (err) {
	case ENOENT:
		way = "no such socket: start the back end, or correct the path";
		break;
	case EACCES:
		way = "no permission: run as the back end's user, or chmod the socket";
		break;
	case ECONNREFUSED:
		way = "nobody listens there any more: start the back end";
		break;
	case ENOTSOCK:
		way = "not a socket: give the path of the back end's socket";
		break;
	case EPROTOTYPE:
		way = "a socket, but not a stream: no vhost-user back end";
		break;
	case EAGAIN:
		err = ETIMEDOUT;
		way = "the back end accepts nobody: it has another front end, or hangs";
		break;
	}
	if (!quiet)
		PLX_LOG(ERR, "%s: %s", u->dev.name, way);
	return -err;
}

int
vhu_socket(struct vhost_user *u)
{
	struct stat st;

	if (stat(u->addr.sun_path, &st) != 0)
		return -errno;
	if (!S_ISSOCK(st.st_mode))
		return -ENOTSOCK;
	u->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (u->fd < 0)
		return -errno;
	u->connected = false;
	u->until = plx_deadline_in(u->conf.timeout_ms);
	return 0;
}

int
vhu_connect(struct vhost_user *u)
{
	if (u->connected || connect(u->fd, (struct sockaddr *)&u->addr, sizeof(u->addr)) == 0) {
		u->connected = true;
		return 0;
	}
	if (errno != EAGAIN && errno != EINTR)
		return -errno;
	return plx_deadline_past(u->until) ? -EAGAIN : -EINPROGRESS;
}

/* The first reason is the one. The descriptor stays until the device is closed or reconnected. */
int
vhu_lose(struct vhost_user *u, int rc, const char *fmt, ...)
{
	int none = 0;
	char why[256];
	va_list ap;

	if (!__atomic_compare_exchange_n(
		    &u->dev.lost, &none, rc, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
		return rc;
	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	if (u->tries <= 1)
		PLX_LOG(ERR, "%s: %s", u->dev.name, why);
	shutdown(u->fd, SHUT_RDWR);
	return rc;
}

static void
lose_errno(struct vhost_user *u, int err)
{
	if (err != EPIPE && err != ECONNRESET)
		vhu_lose(u, -err, "socket: %s", strerror(err));
	else if (u->virtio == 0)
		vhu_lose(u, -EPROTO,
			"the other side closed the connection at our first message: no vhost-user "
			"back end, or it has another front end");
	else
		vhu_lose(u, -ENODEV, "the back end closed the connection");
}

/* ---- sending ---- */

/* The message's fds go with its first byte. */
static int
send_some(struct vhost_user *u)
{
	struct vhu_call *c = &u->call;
	uint8_t msg[HDR + VHU_PAYLOAD];
	uint32_t len = HDR + c->hdr.size;
	ssize_t n;

	memcpy(msg, &c->hdr, HDR);
	memcpy(msg + HDR, c->payload, c->hdr.size);
	n = plx_sock_send(u->fd, msg + c->sent, len - c->sent, c->fds, c->sent == 0 ? c->nfds : 0);
	if (n < 0)
		return (int)n;
	c->sent += (uint32_t)n;
	return c->sent == len ? 0 : -EAGAIN;
}

static void
send_step(struct vhost_user *u)
{
	struct vhu_call *c = &u->call;
	int rc = send_some(u);

	/* ETOOMANYREFS: fds on their way, the back end has to read first */
	if (rc == -EAGAIN || rc == -ENOBUFS || rc == -ENOMEM || rc == -ETOOMANYREFS)
		return;
	if (rc != 0)
		lose_errno(u, -rc);
	else if (c->replies || (c->hdr.flags & VHU_F_NEED_REPLY))
		c->state = VHU_WAITING;
	else
		c->state = VHU_DONE;
}

int
vhu_call(struct vhost_user *u, enum vhu_request request, uint32_t len, bool replies)
{
	struct vhu_call *c = &u->call;

	c->state = VHU_SENDING;
	c->rc = 0;
	c->replies = replies;
	c->until = plx_deadline_in(u->conf.timeout_ms);
	c->hdr = (struct vhu_header){.request = request, .flags = VHU_VERSION, .size = len};
	if (!replies && vhu_has(u, VHU_P_REPLY_ACK))
		c->hdr.flags |= VHU_F_NEED_REPLY;
	c->sent = 0;
	c->got = 0;
	c->reply_fd = -1;
	return vhu_call_poll(u);
}

int
vhu_call_fd(struct vhost_user *u, enum vhu_request request, uint32_t len, int fd)
{
	u->call.fds[0] = fd;
	u->call.nfds = 1;
	return vhu_call(u, request, len, false);
}

int
vhu_call_u64(struct vhost_user *u, enum vhu_request request, uint64_t value)
{
	u->call.u64 = value;
	return vhu_call(u, request, sizeof(value), false);
}

/* ---- receiving ---- */

/* One file descriptor may come with a reply; there is no message with more.
 * @return bytes received, 0 for none yet; the connection may be lost */
static uint32_t
recv_some(struct vhost_user *u, void *dst, uint32_t want)
{
	struct vhu_call *c = &u->call;
	bool waits = c->state == VHU_WAITING;
	unsigned int nfds = waits && c->reply_fd >= 0;
	ssize_t n = plx_sock_recv(u->fd, dst, want, &c->reply_fd, &nfds, waits);

	if (n > 0)
		return (uint32_t)n;
	if (n == -EMFILE)
		vhu_lose(u, -EPROTO,
			"a file descriptor where none belongs, or this process has "
			"reached its limit (ulimit -n)");
	else if (n != -EAGAIN)
		lose_errno(u, (int)-n);
	return 0;
}

/* @return NULL, or what is wrong with a reply's header */
static const char *
check_header(const struct vhu_call *c)
{
	const struct vhu_header *h = &c->reply_hdr;

	if (c->state != VHU_WAITING)
		return "a message that nobody waits for";
	if ((h->flags & VHU_VERSION_MASK) != VHU_VERSION || !(h->flags & VHU_F_REPLY))
		return "a message that is no reply";
	if (h->request != c->hdr.request)
		return "a reply to another request";
	if (h->size > VHU_PAYLOAD || (!c->replies && h->size != sizeof(uint64_t)))
		return "a reply of impossible size";
	return NULL;
}

static void
reply_done(struct vhost_user *u)
{
	struct vhu_call *c = &u->call;

	c->state = VHU_DONE;
	if (c->replies || c->reply_u64 == 0)
		return;
	c->rc = -EREMOTEIO;
	PLX_LOG(ERR, "%s: the back end refuses %s", u->dev.name, vhu_request_name(c->hdr.request));
}

static void
recv_step(struct vhost_user *u)
{
	struct vhu_call *c = &u->call;
	const char *why;
	uint32_t n;

	if (c->got < HDR) {
		n = recv_some(u, (uint8_t *)&c->reply_hdr + c->got, HDR - c->got);
		c->got += n;
		if (n == 0 || c->got < HDR)
			return;
		why = check_header(c);
		if (why != NULL) {
			vhu_lose(u, -EPROTO, "%s: no vhost-user back end, or a broken one", why);
			return;
		}
		memset(c->reply, 0, sizeof(c->reply));
	}
	if (c->got < HDR + c->reply_hdr.size)
		c->got += recv_some(u, c->reply + (c->got - HDR), HDR + c->reply_hdr.size - c->got);
	if (c->got == HDR + c->reply_hdr.size)
		reply_done(u);
}

void
vhu_pump(struct vhost_user *u)
{
	struct vhu_call *c = &u->call;

	if (!u->connected || __atomic_load_n(&u->dev.lost, __ATOMIC_RELAXED) != 0)
		return;
	if (c->state == VHU_SENDING)
		send_step(u);
	if (c->state != VHU_DONE)
		recv_step(u);
	if ((c->state == VHU_SENDING || c->state == VHU_WAITING) && plx_deadline_past(c->until))
		vhu_lose(u, -ETIMEDOUT,
			"no answer to %s within %u ms: the back end hangs, or is "
			"none; timeout= gives it longer",
			vhu_request_name(c->hdr.request), u->conf.timeout_ms);
}

int
vhu_call_poll(struct vhost_user *u)
{
	struct vhu_call *c = &u->call;
	int rc = __atomic_load_n(&u->dev.lost, __ATOMIC_RELAXED);

	if (rc == 0) {
		vhu_pump(u);
		rc = __atomic_load_n(&u->dev.lost, __ATOMIC_RELAXED);
	}
	if (rc == 0 && c->state != VHU_DONE)
		return -EINPROGRESS;
	if (rc == 0)
		rc = c->rc;
	if (rc != 0 && c->reply_fd >= 0) {
		close(c->reply_fd);
		c->reply_fd = -1;
	}
	c->state = VHU_IDLE;
	c->owner = NULL;
	c->nfds = 0;
	c->got = 0;
	return rc;
}
