/* SPDX-License-Identifier: BSD-3-Clause */
/* The listening socket, and messages on a connection. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <rte_common.h>

#include "plx_log.h"
#include "plx_sock.h"
#include "vfu_priv.h"

PLX_LOG_USE(vfu);

static void
sock_addr(const struct plx_vfu *v, struct sockaddr_un *sa)
{
	memset(sa, 0, sizeof(*sa));
	sa->sun_family = AF_UNIX;
	memcpy(sa->sun_path, v->path, sizeof(v->path));
}

/* 0: nobody serves it; -EADDRINUSE somebody does; other errors: can't tell */
static int
probe_path(const struct sockaddr_un *sa)
{
	int fd, rc = 0;

	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	/* EAGAIN: its backlog is full, so it is alive */
	if (connect(fd, (const struct sockaddr *)sa, sizeof(*sa)) == 0 || errno == EAGAIN)
		rc = -EADDRINUSE;
	else if (errno != ECONNREFUSED && errno != ENOENT)
		rc = -errno;
	close(fd);
	return rc;
}

static int
bind_over_stale(const struct plx_vfu *v, const struct sockaddr_un *sa)
{
	struct stat st;
	int rc;

	if (bind(v->listen_fd, (const struct sockaddr *)sa, sizeof(*sa)) == 0)
		return 0;
	if (errno != EADDRINUSE)
		return -errno;
	if (lstat(v->path, &st) == 0 && !S_ISSOCK(st.st_mode))
		return -EADDRINUSE;
	rc = probe_path(sa);
	if (rc != 0)
		return rc;
	if (unlink(v->path) != 0 && errno != ENOENT)
		return -errno;
	return bind(v->listen_fd, (const struct sockaddr *)sa, sizeof(*sa)) == 0 ? 0 : -errno;
}

/*
 * Two servers that find the same stale socket must not both replace it: the directory is locked
 * meanwhile. A lock that somebody keeps is not waited for: that race then is theirs.
 */
static int
lock_dir(const char *path)
{
	char dir[sizeof(((struct plx_vfu *)0)->path)];
	char *slash;
	int fd, i;

	strcpy(dir, path);
	slash = strrchr(dir, '/');
	if (slash == NULL)
		strcpy(dir, ".");
	else
		slash[slash == dir] = '\0';
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (i = 0; fd >= 0 && i < 100 && flock(fd, LOCK_EX | LOCK_NB) != 0; i++)
		usleep(1000);
	return fd;
}

static const char *
listen_advice(int rc)
{
	switch (rc) {
	case -EADDRINUSE:
		return "; another server or file is there: stop it, or give another path";
	case -ENOENT:
		return "; create its directory first";
	case -EACCES:
		return "; give a path in a directory that you may write";
	default:
		return "";
	}
}

int
vfu_listen(struct plx_vfu *v)
{
	struct sockaddr_un sa;
	struct stat st;
	int lock, rc;

	v->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (v->listen_fd < 0) {
		rc = -errno;
		PLX_LOG(ERR, "vfio-user:%s: can't create a socket: %s", v->path, strerror(-rc));
		return rc;
	}
	sock_addr(v, &sa);
	lock = lock_dir(v->path);
	rc = bind_over_stale(v, &sa);
	/* further clients wait here until the one being served leaves */
	if (rc == 0 && listen(v->listen_fd, 16) != 0)
		rc = -errno;
	if (lock >= 0)
		close(lock);
	if (rc != 0) {
		PLX_LOG(ERR, "vfio-user:%s: can't listen: %s%s", v->path, strerror(-rc),
			listen_advice(rc));
		close(v->listen_fd);
		v->listen_fd = -1;
		return rc;
	}
	if (stat(v->path, &st) == 0) {
		v->sock_dev = st.st_dev;
		v->sock_ino = st.st_ino;
	}
	return 0;
}

void
vfu_unlisten(struct plx_vfu *v)
{
	struct stat st;

	if (v->listen_fd < 0)
		return;
	/* not a socket that took our path since */
	if (lstat(v->path, &st) == 0 && st.st_dev == v->sock_dev && st.st_ino == v->sock_ino)
		unlink(v->path);
	close(v->listen_fd);
	v->listen_fd = -1;
}

int
vfu_accept(struct plx_vfu *v)
{
	int fd = accept4(v->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0) {
		if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED && !v->warned) {
			v->warned = true;
			PLX_LOG(ERR, "vfio-user:%s: can't accept a client, trying on: %s%s",
				v->path, strerror(errno),
				errno == EMFILE ? "; raise ulimit -n" : "");
		}
		return 0;
	}
	v->warned = false;
	v->fd = fd;
	return 1;
}

void
vfu_msg_clear(struct vfu_msg *m)
{
	uint32_t i;

	for (i = 0; i < m->nb_fds; i++)
		if (m->fds[i] >= 0)
			close(m->fds[i]);
	m->nb_fds = 0;
	m->got = 0;
	m->done = 0;
}

/* Read exactly what is missing up to len, never into the next message: its fds would be mixed
 * with ours. 1 done, 0 not yet, -errno */
static int
recv_part(struct plx_vfu *v, uint8_t *to, uint32_t len)
{
	struct vfu_msg *m = &v->msg;
	ssize_t n;

	if (len == 0)
		return 1;
	n = plx_sock_recv(v->fd, to, len, m->fds, &m->nb_fds, RTE_DIM(m->fds));
	if (n < 0)
		return n == -EAGAIN ? 0 : (int)n;
	m->got += (uint32_t)n;
	return (uint32_t)n == len;
}

static int
begin_body(struct plx_vfu *v)
{
	struct vfu_msg *m = &v->msg;
	uint8_t *p;

	if ((m->hdr.flags & VFIO_USER_F_TYPE_MASK) != VFIO_USER_F_TYPE_COMMAND ||
		m->hdr.msg_size < sizeof(m->hdr) || m->hdr.msg_size > VFU_MAX_MSG)
		return -EPROTO;
	m->len = m->hdr.msg_size - (uint32_t)sizeof(m->hdr);
	if (m->len > v->in_room) {
		p = realloc(m->body, m->len);
		if (p == NULL)
			return -ENOMEM;
		m->body = p;
		v->in_room = m->len;
	}
	return 0;
}

int
vfu_recv(struct plx_vfu *v)
{
	struct vfu_msg *m = &v->msg;
	uint32_t head = sizeof(m->hdr);
	int rc;

	if (m->got < head) {
		rc = recv_part(v, (uint8_t *)&m->hdr + m->got, head - m->got);
		if (rc <= 0)
			return rc;
		rc = begin_body(v);
		if (rc != 0)
			return rc;
	}
	return recv_part(v, m->body + (m->got - head), m->hdr.msg_size - m->got);
}

void *
vfu_reply(struct plx_vfu *v, size_t len)
{
	struct vfu_reply *out = &v->out;
	size_t need = sizeof(struct vfio_user_header) + len;
	uint8_t *p;

	if (need > out->room) {
		p = realloc(out->buf, need);
		if (p == NULL)
			return NULL;
		out->buf = p;
		out->room = need;
	}
	out->len = need;
	out->end = out->sent = 0;
	out->fd = -1;
	return out->buf + sizeof(struct vfio_user_header);
}

/* Header and payload leave in one sendmsg: some clients read a reply with one read(). */
int
vfu_flush(struct plx_vfu *v)
{
	struct vfu_reply *out = &v->out;
	ssize_t n;

	if (out->sent == out->end)
		return 0;
	n = plx_sock_send(v->fd, out->buf + out->sent, out->end - out->sent, &out->fd,
		out->sent == 0 && out->fd >= 0);
	if (n < 0)
		return (int)n;
	out->sent += (size_t)n;
	return out->sent == out->end ? 0 : -EAGAIN;
}
