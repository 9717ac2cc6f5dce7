/* SPDX-License-Identifier: BSD-3-Clause */
/* A vfio-user client by hand: one message out, the answer in, the controller polled meanwhile. */
#include <errno.h>
#include <linux/vfio.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "nvmet_wire.h"
#include "plx_test.h"

struct wire {
	struct plx_nvmet *ctrl;
	int sock;
	volatile uint32_t *db;
	uint16_t id;
};

struct msg {
	uint16_t id, cmd;
	uint32_t size, flags, error;
	uint8_t body[4096];
};

static time_t
now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec;
}

static void
send_msg(struct wire *w, const struct msg *m, const int *fds, unsigned int nfd)
{
	char ctl[CMSG_SPACE(sizeof(int) * 16)] = {0};
	struct iovec iov = {(void *)(uintptr_t)m, m->size};
	struct msghdr h = {.msg_iov = &iov, .msg_iovlen = 1};

	if (nfd != 0) {
		struct cmsghdr *c;

		h.msg_control = ctl;
		h.msg_controllen = CMSG_SPACE(sizeof(int) * nfd);
		c = CMSG_FIRSTHDR(&h);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int) * nfd);
		memcpy(CMSG_DATA(c), fds, sizeof(int) * nfd);
	}
	REQUIRE(sendmsg(w->sock, &h, MSG_NOSIGNAL) == (ssize_t)m->size);
}

/* @return bytes of the body, or -errno; fd: one that came along, or -1 */
static int
recv_msg(struct wire *w, struct msg *m, int *fd)
{
	char ctl[CMSG_SPACE(sizeof(int) * 16)];
	struct iovec iov = {m, sizeof(*m)};
	struct msghdr h = {.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = ctl,
		.msg_controllen = sizeof(ctl)};
	time_t end = now() + 10;
	struct cmsghdr *c;
	ssize_t n;

	do {
		plx_nvmet_poll(w->ctrl);
		n = recvmsg(w->sock, &h, MSG_DONTWAIT);
	} while (n < 0 && errno == EAGAIN && now() < end);
	if (n <= 0)
		return n == 0 ? -ENOTCONN : -errno;
	REQUIRE(n >= 16 && m->size == n);
	*fd = -1;
	c = CMSG_FIRSTHDR(&h);
	if (c != NULL)
		memcpy(fd, CMSG_DATA(c), sizeof(*fd));
	if ((m->flags & 0x20) != 0)
		return -(int)m->error;
	return (int)n - 16;
}

static int
call(struct wire *w, struct msg *m, uint16_t cmd, uint32_t len, const int *fds, unsigned int nfd,
	int *fd)
{
	int none, rc;

	m->id = ++w->id;
	m->cmd = cmd;
	m->size = 16 + len;
	m->flags = m->error = 0;
	send_msg(w, m, fds, nfd);
	rc = recv_msg(w, m, fd != NULL ? fd : &none);
	if (rc >= 0)
		CHECK(m->id == w->id && m->cmd == cmd && (m->flags & 0xf) == 1);
	return rc;
}

/* The doorbell page: the one sparse area of BAR 0. */
static void
map_doorbells(struct wire *w)
{
	struct msg m = {0};
	uint32_t *u = (uint32_t *)m.body;
	uint64_t off, len;
	int fd = -1;

	u[0] = 1024;
	u[2] = 0;
	REQUIRE(call(w, &m, 5, 32, NULL, 0, &fd) >= 32);
	if (fd < 0)
		return;
	REQUIRE(u[3] == 32 && u[10] == 1);
	memcpy(&off, m.body + 48, 8);
	memcpy(&len, m.body + 56, 8);
	CHECK_EQ(off, 0x1000);
	CHECK_EQ(len, 0x1000);
	w->db = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)off);
	REQUIRE(w->db != MAP_FAILED);
	close(fd);
}

struct wire *
wire_open(struct plx_nvmet *ctrl, const char *path)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	struct wire *w = calloc(1, sizeof(*w));
	struct msg m = {0};

	w->ctrl = ctrl;
	w->sock = socket(AF_UNIX, SOCK_STREAM, 0);
	snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
	REQUIRE(connect(w->sock, (struct sockaddr *)&a, sizeof(a)) == 0);
	m.body[2] = 1; /* 0.1 */
	strcpy((char *)m.body + 4, "{\"capabilities\":{\"max_msg_fds\":16}}");
	REQUIRE(call(w, &m, 1, 4 + 1 + (uint32_t)strlen((char *)m.body + 4), NULL, 0, NULL) >= 4);
	map_doorbells(w);
	return w;
}

void
wire_close(struct wire *w)
{
	if (w->db != NULL)
		munmap((void *)(uintptr_t)w->db, 0x1000);
	close(w->sock);
	free(w);
}

int
wire_read(struct wire *w, unsigned int region, uint64_t off, void *buf, uint32_t len)
{
	struct msg m = {0};
	int rc;

	memcpy(m.body, &off, 8);
	memcpy(m.body + 8, &region, 4);
	memcpy(m.body + 12, &len, 4);
	rc = call(w, &m, 9, 16, NULL, 0, NULL);
	if (rc < 0)
		return rc;
	memcpy(buf, m.body + 16, len);
	return rc == 16 + (int)len ? 0 : -EPROTO;
}

int
wire_write(struct wire *w, unsigned int region, uint64_t off, const void *buf, uint32_t len)
{
	struct msg m = {0};
	int rc;

	memcpy(m.body, &off, 8);
	memcpy(m.body + 8, &region, 4);
	memcpy(m.body + 12, &len, 4);
	memcpy(m.body + 16, buf, len);
	rc = call(w, &m, 10, 16 + len, NULL, 0, NULL);
	return rc == 16 ? 0 : rc < 0 ? rc : -EPROTO;
}

int
wire_map(struct wire *w, uint64_t iova, uint64_t len, int fd, uint64_t off, bool writable)
{
	struct msg m = {0};
	uint32_t *u = (uint32_t *)m.body;

	u[0] = 32;
	u[1] = writable ? 3 : 1;
	memcpy(m.body + 8, &off, 8);
	memcpy(m.body + 16, &iova, 8);
	memcpy(m.body + 24, &len, 8);
	return call(w, &m, 2, 32, &fd, 1, NULL);
}

int
wire_unmap(struct wire *w, uint64_t iova, uint64_t len)
{
	struct msg m = {0};
	int rc;

	m.body[0] = 24;
	memcpy(m.body + 8, &iova, 8);
	memcpy(m.body + 16, &len, 8);
	rc = call(w, &m, 3, 24, NULL, 0, NULL);
	return rc < 0 ? rc : 0;
}

int
wire_reset(struct wire *w)
{
	struct msg m = {0};

	return call(w, &m, 13, 0, NULL, 0, NULL);
}

void
wire_bus_master(struct wire *w, bool on)
{
	uint16_t cmd = on ? 0x406 : 0x402;

	CHECK_EQ(wire_write(w, 7, 4, &cmd, sizeof(cmd)), 0);
}

int
wire_irqs(struct wire *w, const int *fds, unsigned int n)
{
	struct msg m = {0};
	uint32_t *u = (uint32_t *)m.body;
	uint8_t cap = 0;
	uint16_t ctl = 0;
	int rc;

	u[0] = 20;
	u[1] = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER;
	u[2] = VFIO_PCI_MSIX_IRQ_INDEX;
	u[4] = n;
	rc = call(w, &m, 8, 20, fds, n, NULL);
	if (rc < 0)
		return rc;
	/* MSI-X enable, in its capability */
	wire_read(w, 7, 0x34, &cap, 1);
	while (cap != 0) {
		uint16_t head = 0;

		wire_read(w, 7, cap, &head, 2);
		if ((head & 0xff) == 0x11)
			break;
		cap = (uint8_t)(head >> 8);
	}
	REQUIRE(cap != 0);
	wire_read(w, 7, cap + 2u, &ctl, 2);
	ctl |= 0x8000;
	return wire_write(w, 7, cap + 2u, &ctl, 2);
}

volatile uint32_t *
wire_doorbells(struct wire *w)
{
	return w->db;
}
