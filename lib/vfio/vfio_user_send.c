/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "plx_log.h"
#include "plx_sock.h"
#include "vfio_user_priv.h"

PLX_LOG_USE(vfio);

const char *
vfio_user_command_name(uint16_t command)
{
	static const char *const names[] = {
		[VFIO_USER_VERSION] = "VERSION",
		[VFIO_USER_DMA_MAP] = "DMA_MAP",
		[VFIO_USER_DMA_UNMAP] = "DMA_UNMAP",
		[VFIO_USER_DEVICE_GET_INFO] = "DEVICE_GET_INFO",
		[VFIO_USER_DEVICE_GET_REGION_INFO] = "DEVICE_GET_REGION_INFO",
		[VFIO_USER_DEVICE_GET_IRQ_INFO] = "DEVICE_GET_IRQ_INFO",
		[VFIO_USER_DEVICE_SET_IRQS] = "DEVICE_SET_IRQS",
		[VFIO_USER_REGION_READ] = "REGION_READ",
		[VFIO_USER_REGION_WRITE] = "REGION_WRITE",
		[VFIO_USER_DEVICE_RESET] = "DEVICE_RESET",
	};

	if (command >= sizeof(names) / sizeof(names[0]) || names[command] == NULL)
		return "?";
	return names[command];
}

int
vfio_user_lose(struct vfio_user *u, int rc, const char *fmt, ...)
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
		PLX_LOG(ERR, "%s: %s%s", u->dev.name, u->opened ? "device lost: " : "", why);
	/* the server drops its mappings; the descriptor stays until nobody posts any more */
	shutdown(u->fd, SHUT_RDWR);
	return rc;
}

void
vfio_user_lose_errno(struct vfio_user *u, int err)
{
	if (err == EPIPE || err == ECONNRESET)
		vfio_user_lose(u, -ENODEV, "the server closed the connection%s",
			u->negotiated ? ""
				      : " at our first message: no vfio-user server, or it "
					"refuses version 0.1");
	else
		vfio_user_lose(u, -err, "socket: %s", strerror(err));
}

static int
send_failed(struct vfio_user *u, int err)
{
	/* ETOOMANYREFS: fds on their way, the server has to read first */
	if (err != EAGAIN && err != ENOBUFS && err != ENOMEM && err != ETOOMANYREFS)
		return -err;
	if (!u->tx_waits) {
		u->tx_waits = true;
		u->tx_until = plx_deadline_in(u->timeout_ms);
	}
	return -EAGAIN;
}

/*
 * Hand a message to the socket, its fds with the first byte. Nothing else may be half sent.
 * @return 0, what was not taken is the rest; -EAGAIN nothing was taken; -errno
 */
static int
send_msg(struct vfio_user *u, const void *msg, uint32_t len, const int *fds, unsigned int nfds)
{
	ssize_t n = plx_sock_send(u->fd, msg, len, fds, nfds);

	if (n < 0)
		return send_failed(u, (int)-n);
	u->rest = (const uint8_t *)msg + n;
	u->rest_len = len - (uint32_t)n;
	u->tx_waits = false;
	return 0;
}

static int
send_rest(struct vfio_user *u)
{
	while (u->rest_len > 0) {
		int rc = send_msg(u, u->rest, u->rest_len, NULL, 0);

		if (rc != 0)
			return rc;
	}
	return 0;
}

static int
send_post(struct vfio_user *u, const struct vfio_user_post *p)
{
	struct {
		struct vfio_user_header hdr;
		struct vfio_user_region_access acc;
		uint32_t value;
	} m = {
		.hdr = {.command = VFIO_USER_REGION_WRITE,
			.msg_size = VFIO_USER_POST_MSG,
			.flags = VFIO_USER_F_TYPE_COMMAND | VFIO_USER_F_NO_REPLY},
		.acc = {.offset = p->off, .region = p->region, .count = sizeof(m.value)},
		.value = p->value,
	};

	memcpy(u->post_msg, &m, VFIO_USER_POST_MSG);
	return send_msg(u, u->post_msg, VFIO_USER_POST_MSG, NULL, 0);
}

static int
send_posts(struct vfio_user *u)
{
	unsigned int done;
	int rc = 0;

	for (done = 0; done < u->nb_posts && rc == 0; done++) {
		rc = send_post(u, &u->posts[done]);
		if (rc != 0)
			break;
		rc = send_rest(u);
	}
	u->nb_posts -= done;
	memmove(u->posts, u->posts + done, u->nb_posts * sizeof(u->posts[0]));
	return rc;
}

static int
send_reply(struct vfio_user *u)
{
	int rc;

	if (u->out_len == 0)
		return 0;
	rc = send_msg(u, u->out, u->out_len, NULL, 0);
	if (rc != 0)
		return rc;
	u->out_len = 0;
	return send_rest(u);
}

static int
send_call(struct vfio_user *u, struct vfio_user_call *c)
{
	int rc;

	if (c->state != VFIO_USER_CALL_QUEUED)
		return 0;
	rc = send_msg(u, c->hdr, c->len, c->fds, c->nfds);
	if (rc == -EBADF && c->nfds > 0) {
		/* one of the caller's */
		c->state = VFIO_USER_CALL_DONE;
		c->rc = rc;
		return 0;
	}
	if (rc != 0)
		return rc;
	c->state = VFIO_USER_CALL_SENT;
	return send_rest(u);
}

bool
vfio_user_flush(struct vfio_user *u)
{
	int rc;

	pthread_mutex_lock(&u->tx_lock);
	rc = send_rest(u);
	if (rc == 0)
		rc = send_posts(u);
	if (rc == 0)
		rc = send_reply(u);
	if (rc == 0)
		rc = send_call(u, &u->call);
	if (rc == 0)
		rc = send_call(u, &u->dma_call);
	if (rc == -EAGAIN && plx_deadline_past(u->tx_until))
		rc = -ETIMEDOUT;
	pthread_mutex_unlock(&u->tx_lock);
	if (rc == -ETIMEDOUT)
		vfio_user_lose(
			u, rc, "the server has not read its socket for %u ms", u->timeout_ms);
	else if (rc != 0 && rc != -EAGAIN)
		vfio_user_lose_errno(u, -rc);
	return rc == 0;
}

/* A register that waits already takes the newer value. @return false: no room */
static bool
post_queue(struct vfio_user *u, const struct vfio_user_post *p)
{
	unsigned int i;

	for (i = 0; i < u->nb_posts; i++) {
		if (u->posts[i].off == p->off && u->posts[i].region == p->region) {
			u->posts[i].value = p->value;
			return true;
		}
	}
	if (u->nb_posts == VFIO_USER_POSTS)
		return false;
	u->posts[u->nb_posts++] = *p;
	return true;
}

void
vfio_user_post(struct plx_vfio_dev *dev, unsigned int region, uint64_t off, uint32_t v)
{
	struct vfio_user *u = (struct vfio_user *)dev;
	const struct vfio_user_post p = {.off = off, .region = region, .value = v};
	int rc = -EAGAIN;
	bool queued = true;

	pthread_mutex_lock(&u->tx_lock);
	if (u->rest_len == 0 && u->nb_posts == 0)
		rc = send_post(u, &p);
	if (rc == -EAGAIN)
		queued = post_queue(u, &p);
	pthread_mutex_unlock(&u->tx_lock);
	if (!queued)
		vfio_user_lose(
			u, -EIO, "the server takes no doorbells: %u wait for it", VFIO_USER_POSTS);
	else if (rc != 0 && rc != -EAGAIN)
		vfio_user_lose_errno(u, -rc);
}
