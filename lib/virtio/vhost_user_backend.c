/* SPDX-License-Identifier: BSD-3-Clause */
/* The back end's own requests, on a socket that we gave it. All that it may ask is to look at the
 * configuration again; what else it says is read over, and refused if it wants an answer. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "vhost_user_priv.h"

#define MESSAGES 8 /* handled in one go */
#define PAYLOAD_MAX 256

int
vhu_backend_open(struct vhost_user *u)
{
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0)
		return -errno;
	u->backend_fd = fds[0];
	return fds[1];
}

void
vhu_backend_close(struct vhost_user *u)
{
	if (u->backend_fd >= 0)
		close(u->backend_fd);
	u->backend_fd = -1;
}

static void
answer(struct vhost_user *u, const struct vhu_header *h, bool good)
{
	struct {
		struct vhu_header hdr;
		uint8_t rc[sizeof(uint64_t)];
	} m = {{h->request, VHU_VERSION | VHU_F_REPLY, sizeof(m.rc)}, {good ? 0 : 1}};

	if (send(u->backend_fd, &m, sizeof(m), MSG_DONTWAIT | MSG_NOSIGNAL) != sizeof(m))
		vhu_backend_close(u);
}

/* A message is sent in one piece; it is taken when all of it is there. File descriptors that
 * come along are dropped by the kernel: we make no room for them. @return false: no more */
static bool
take_one(struct vhost_user *u)
{
	uint8_t msg[sizeof(struct vhu_header) + PAYLOAD_MAX];
	struct vhu_header h;
	ssize_t n = recv(u->backend_fd, &h, sizeof(h), MSG_DONTWAIT | MSG_PEEK);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n != sizeof(h)) {
		if (n <= 0) /* less than a header: the rest is on its way */
			vhu_backend_close(u);
		return false;
	}
	if ((h.flags & VHU_VERSION_MASK) != VHU_VERSION || h.size > PAYLOAD_MAX) {
		vhu_backend_close(u);
		return false;
	}
	n = recv(u->backend_fd, msg, sizeof(h) + h.size, MSG_DONTWAIT | MSG_PEEK);
	if (n != (ssize_t)(sizeof(h) + h.size))
		return false;
	recv(u->backend_fd, msg, sizeof(h) + h.size, MSG_DONTWAIT);
	if (h.request == VHU_BACKEND_CONFIG_CHANGE)
		u->dev.config_changes++;
	if (h.flags & VHU_F_NEED_REPLY)
		answer(u, &h, h.request == VHU_BACKEND_CONFIG_CHANGE);
	return u->backend_fd >= 0;
}

void
vhu_backend_poll(struct vhost_user *u)
{
	int i;

	for (i = 0; i < MESSAGES && u->backend_fd >= 0 && take_one(u); i++)
		;
}
