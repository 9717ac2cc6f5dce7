/* SPDX-License-Identifier: BSD-3-Clause */
/* Packets, and the ends of channels that both sides have. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <rte_eal.h>
#include <rte_version.h>

#include "plx_log.h"

#include "mp_priv.h"

PLX_LOG_TYPE(mp, NOTICE);

int
mp_address(const char *dir, struct sockaddr_un *addr)
{
	int n;

	memset(addr, 0, sizeof(*addr));
	addr->sun_family = AF_UNIX;
	n = snprintf(addr->sun_path, sizeof(addr->sun_path), "%s/" MP_SOCKET, dir);
	return n >= 0 && (size_t)n < sizeof(addr->sun_path) ? 0 : -ENAMETOOLONG;
}

uint64_t
mp_now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

int
mp_send(int fd, const struct mp_head *h, const void *data, const int *fds, unsigned int nfds)
{
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(PLX_MP_FDS * sizeof(int))];
	} c = {0};
	struct iovec iov[2] = {{.iov_base = (void *)(uintptr_t)h, .iov_len = sizeof(*h)},
		{.iov_base = (void *)(uintptr_t)data, .iov_len = h->len}};
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = h->len != 0 ? 2 : 1};

	if (h->len > PLX_MP_DATA || nfds > PLX_MP_FDS)
		return -EINVAL;
	if (nfds > 0) {
		msg.msg_control = c.buf;
		msg.msg_controllen = CMSG_SPACE(nfds * sizeof(int));
		c.align.cmsg_level = SOL_SOCKET;
		c.align.cmsg_type = SCM_RIGHTS;
		c.align.cmsg_len = CMSG_LEN(nfds * sizeof(int));
		memcpy(CMSG_DATA(&c.align), fds, nfds * sizeof(int));
	}
	if (sendmsg(fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0)
		return 0;
	return errno == EAGAIN || errno == ENOBUFS ? -EAGAIN : -ENODEV;
}

static void
take_fds(struct msghdr *msg, struct plx_mp_msg *m)
{
	struct cmsghdr *c;

	m->nfds = 0;
	for (c = CMSG_FIRSTHDR(msg); c != NULL; c = CMSG_NXTHDR(msg, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		m->nfds = (uint32_t)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
		memcpy(m->fds, CMSG_DATA(c), m->nfds * sizeof(int));
		return; /* the buffer has no room for another */
	}
}

int
mp_recv(int fd, struct mp_packet *p)
{
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(PLX_MP_FDS * sizeof(int))];
	} c;
	struct iovec iov[2] = {{.iov_base = &p->h, .iov_len = sizeof(p->h)},
		{.iov_base = p->m.data, .iov_len = sizeof(p->m.data)}};
	struct msghdr msg = {.msg_iov = iov,
		.msg_iovlen = 2,
		.msg_control = c.buf,
		.msg_controllen = sizeof(c.buf)};
	ssize_t n = recvmsg(fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -ENODEV;
	take_fds(&msg, &p->m);
	if ((size_t)n < sizeof(p->h) || (size_t)n - sizeof(p->h) != p->h.len ||
		(msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) {
		mp_close_fds(&p->m);
		return n == 0 ? -ENODEV : -EPROTO;
	}
	p->m.kind = p->h.kind;
	p->m.len = p->h.len;
	return 1;
}

void
mp_close_fds(struct plx_mp_msg *m)
{
	for (uint32_t i = 0; i < m->nfds; i++)
		if (m->fds[i] >= 0)
			close(m->fds[i]);
	m->nfds = 0;
}

int
mp_recv_wait(int fd, struct mp_packet *p, uint64_t until_ms)
{
	struct pollfd pfd = {.fd = fd, .events = POLLIN};

	for (;;) {
		int rc = mp_recv(fd, p);
		uint64_t now = mp_now_ms();

		if (rc != 0)
			return rc;
		if (now >= until_ms)
			return -ETIMEDOUT;
		poll(&pfd, 1, (int)(until_ms - now));
	}
}

void
mp_hello_fill(struct mp_hello *hello)
{
	*hello = (struct mp_hello){.protocol = MP_PROTOCOL,
		.info_size = sizeof(struct plx_blk_info),
		.stats_size = sizeof(struct plx_blk_stats)};
	snprintf(hello->version, sizeof(hello->version), "%s", rte_version());
}

static int
greet(int fd, const char *prefix)
{
	struct mp_packet *p = malloc(sizeof(*p));
	struct mp_hello hello;
	struct mp_head h = {.type = MP_HELLO, .len = sizeof(hello)};
	int rc;

	if (p == NULL)
		return -ENOMEM;
	mp_hello_fill(&hello);
	rc = mp_send(fd, &h, &hello, NULL, 0);
	if (rc == 0)
		rc = mp_recv_wait(fd, p, mp_now_ms() + MP_WAIT_MS);
	if (rc > 0) {
		mp_close_fds(&p->m);
		rc = p->h.type == MP_WELCOME ? p->h.rc : -EPROTO;
	}
	free(p);
	if (rc == -ETIMEDOUT)
		PLX_LOG(ERR,
			"mp: the primary process of --file-prefix=%s does not answer: it must call "
			"plx_ctrl_poll()",
			prefix);
	else if (rc == -EPROTONOSUPPORT)
		PLX_LOG(ERR,
			"mp: the primary process of --file-prefix=%s runs another version: start "
			"both from one build",
			prefix);
	else if (rc != 0)
		PLX_LOG(ERR, "mp: the primary process of --file-prefix=%s hung up: %s", prefix,
			strerror(-rc));
	return rc;
}

int
mp_connect(const char *dir, const char *prefix)
{
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0), rc;
	struct sockaddr_un addr;

	if (fd < 0)
		return -errno;
	rc = mp_address(dir, &addr);
	if (rc == 0 && connect(fd, (struct sockaddr *)&addr, sizeof(addr)) != 0) {
		rc = errno == ENOENT ? -ECONNREFUSED : -errno;
		if (rc == -ECONNREFUSED)
			PLX_LOG(ERR,
				"mp: the primary process of --file-prefix=%s has no device "
				"attached "
				"so far",
				prefix);
		else
			PLX_LOG(ERR, "mp: %s: %s", addr.sun_path, strerror(-rc));
	} else if (rc == 0) {
		rc = greet(fd, prefix);
	}
	if (rc == 0)
		return fd;
	close(fd);
	return rc;
}

/* ---- channels ---- */

struct plx_mp_chan *
mp_chan(const struct mp_peer *peer, uint16_t id)
{
	struct plx_mp_chan *ch;

	for (ch = peer->chans; ch != NULL && (ch->id != id || ch->over); ch = ch->next)
		;
	return ch;
}

void
mp_chan_add(struct mp_peer *peer, struct plx_mp_chan *ch)
{
	ch->peer = peer;
	ch->pid = peer->pid;
	ch->next = peer->chans;
	peer->chans = ch;
}

void
mp_chan_end(struct plx_mp_chan *ch, int rc)
{
	if (ch->over)
		return;
	ch->over = true;
	if (ch->closed != NULL)
		ch->closed(ch, rc);
}

void
mp_peer_end(struct mp_peer *peer)
{
	struct plx_mp_chan *ch, *next;

	close(peer->fd);
	peer->fd = -1;
	peer->ending = true;
	for (ch = peer->chans; ch != NULL; ch = next) {
		next = ch->next;
		mp_chan_end(ch, -ENODEV);
	}
	peer->ending = false;
}

int
plx_mp_send(struct plx_mp_chan *ch, uint32_t kind, const void *data, uint32_t len, const int *fds,
	unsigned int nfds)
{
	struct mp_head h = {.type = MP_DATA, .chan = ch->id, .kind = kind, .len = len};
	int rc;

	if (ch->over || ch->peer->fd < 0)
		return -ENODEV;
	rc = mp_send(ch->peer->fd, &h, data, fds, nfds);
	if (rc == -EAGAIN && !ch->peer->server) {
		PLX_LOG(ERR, "mp: process %d does not read what it is told: it is cut off",
			ch->pid);
		/* its channels end from the poll, not in the midst of whatever this is */
		shutdown(ch->peer->fd, SHUT_RDWR);
		rc = -ENODEV;
	}
	return rc;
}

void
plx_mp_release(struct plx_mp_chan *ch)
{
	struct mp_head h = {.type = MP_CLOSE};
	struct plx_mp_chan **at;
	struct mp_peer *peer;

	if (ch == NULL)
		return;
	peer = ch->peer;
	h.chan = ch->id;
	if (!ch->over && peer->fd >= 0)
		mp_send(peer->fd, &h, NULL, NULL, 0);
	for (at = &peer->chans; *at != ch; at = &(*at)->next)
		;
	*at = ch->next;
	free(ch);
	if (!peer->server)
		mp_server_reap(peer);
}
