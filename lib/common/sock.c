/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "plx_sock.h"

union control {
	struct cmsghdr align;
	char buf[CMSG_SPACE(sizeof(int) * PLX_SOCK_FDS)];
};

ssize_t
plx_sock_send(int sock, const void *buf, size_t len, const int *fds, unsigned int nfds)
{
	union control ctl;
	struct iovec iov = {.iov_base = (void *)(uintptr_t)buf, .iov_len = len};
	struct msghdr mh = {.msg_iov = &iov, .msg_iovlen = 1};
	ssize_t n;

	if (nfds > PLX_SOCK_FDS)
		return -EINVAL;
	if (nfds != 0) {
		mh.msg_control = ctl.buf;
		mh.msg_controllen = CMSG_SPACE(sizeof(int) * nfds);
		memset(ctl.buf, 0, mh.msg_controllen);
		ctl.align = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof(int) * nfds),
			.cmsg_level = SOL_SOCKET,
			.cmsg_type = SCM_RIGHTS};
		memcpy(CMSG_DATA(&ctl.align), fds, sizeof(int) * nfds);
	}
	do
		n = sendmsg(sock, &mh, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

/* @return false: there were more than find room, or the kernel kept some back */
static bool
take_fds(struct msghdr *mh, int *fds, unsigned int *nfds, unsigned int room)
{
	bool all = (mh->msg_flags & MSG_CTRUNC) == 0;
	struct cmsghdr *c;

	for (c = CMSG_FIRSTHDR(mh); c != NULL; c = CMSG_NXTHDR(mh, c)) {
		const unsigned char *p = CMSG_DATA(c);
		const unsigned char *end = (const unsigned char *)c + c->cmsg_len;
		int fd;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (; p + sizeof(fd) <= end; p += sizeof(fd)) {
			memcpy(&fd, p, sizeof(fd));
			if (*nfds < room) {
				fds[(*nfds)++] = fd;
				continue;
			}
			close(fd);
			all = false;
		}
	}
	return all;
}

ssize_t
plx_sock_recv(int sock, void *buf, size_t len, int *fds, unsigned int *nfds, unsigned int room)
{
	union control ctl;
	struct iovec iov = {.iov_base = buf, .iov_len = len};
	struct msghdr mh = {.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = ctl.buf,
		.msg_controllen = sizeof(ctl.buf)};
	ssize_t n;

	do
		n = recvmsg(sock, &mh, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	if (!take_fds(&mh, fds, nfds, room))
		return -EMFILE;
	return n == 0 ? -ECONNRESET : n;
}
