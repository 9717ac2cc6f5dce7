/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VFU_CLIENT_H
#define VFU_CLIENT_H
/**
 * @file
 * A served device whose model records what it is asked, and a client that sends bytes as they
 * are written in a test. Both in one thread: what waits for an answer polls the server.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "plx_test.h"
#include "plx_vfu.h"

#define BUF 8192

/* The device model. */
struct model {
	uint8_t regs[0x1000];
	int last_len; /* of the latest write */
	unsigned int resets, losses, gone_calls, added;
	uint64_t gone_iova, gone_len;
	int reset_waits, gone_waits; /* how often to answer -EINPROGRESS */
};

static inline int
model_read(void *arg, unsigned int region, uint64_t off, void *buf, uint32_t len)
{
	struct model *m = arg;

	if (region != 0 || off + len > sizeof(m->regs))
		return -EPERM;
	memcpy(buf, m->regs + off, len);
	return 0;
}

static inline int
model_write(void *arg, unsigned int region, uint64_t off, const void *buf, uint32_t len)
{
	struct model *m = arg;

	if (region != 0 || off + len > sizeof(m->regs))
		return -EPERM;
	memcpy(m->regs + off, buf, len);
	m->last_len = (int)len;
	return 0;
}

static inline int
model_gone(void *arg, uint64_t iova, uint64_t len)
{
	struct model *m = arg;

	m->gone_calls++;
	m->gone_iova = iova;
	m->gone_len = len;
	return m->gone_waits > 0 && m->gone_waits-- > 0 ? -EINPROGRESS : 0;
}

static inline void
model_added(void *arg, uint64_t iova, uint64_t len)
{
	(void)iova;
	(void)len;
	((struct model *)arg)->added++;
}

static inline int
model_reset(void *arg, bool client_lost)
{
	struct model *m = arg;

	if (m->reset_waits > 0 && m->reset_waits-- > 0)
		return -EINPROGRESS;
	if (client_lost)
		m->losses++;
	else
		m->resets++;
	return 0;
}

static const struct plx_vfu_ops model_ops = {
	.read = model_read,
	.write = model_write,
	.dma_gone = model_gone,
	.dma_added = model_added,
	.reset = model_reset,
};

/* Server and client of a test. */
struct rig {
	struct plx_vfu *vfu;
	struct model model;
	char dir[32], path[64];
	int fd;     /* the client's end */
	int got_fd; /* came with the latest reply, -1: none */
	uint8_t reply[BUF];
	uint32_t reply_len;
};

static inline int
rig_connect_fd(const struct rig *r)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	strcpy(sa.sun_path, r->path);
	REQUIRE(fd >= 0 && connect(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0);
	return fd;
}

static inline void
rig_conf(struct rig *r, struct plx_vfu_conf *conf)
{
	*conf = (struct plx_vfu_conf){
		.path = r->path,
		.vendor = 0x1b36,
		.device = 0x0010,
		.subvendor = 0x1af4,
		.subdevice = 0x1100,
		.class_code = 0x010802,
		.bars[0] = {.size = 0x2000, .map_off = 0x1000, .map_size = 0x1000},
		.msix_count = 4,
		.msix_bar = 4,
		.ops = &model_ops,
		.arg = &r->model,
	};
}

static inline void
rig_open(struct rig *r)
{
	struct plx_vfu_conf conf;

	memset(r, 0, sizeof(*r));
	r->got_fd = r->fd = -1;
	strcpy(r->dir, "/tmp/plx-vfu-XXXXXX");
	REQUIRE(mkdtemp(r->dir) != NULL);
	snprintf(r->path, sizeof(r->path), "%s/sock", r->dir);
	rig_conf(r, &conf);
	REQUIRE(plx_vfu_create(&conf, &r->vfu) == 0);
}

static inline void
rig_poll(struct rig *r)
{
	int i;

	for (i = 0; i < 20; i++)
		plx_vfu_poll(r->vfu);
}

static inline void
rig_connect(struct rig *r)
{
	r->fd = rig_connect_fd(r);
	rig_poll(r);
}

static inline void
rig_drop_fd(struct rig *r)
{
	if (r->got_fd >= 0)
		close(r->got_fd);
	r->got_fd = -1;
}

static inline void
rig_leave(struct rig *r)
{
	rig_drop_fd(r);
	if (r->fd >= 0)
		close(r->fd);
	r->fd = -1;
	rig_poll(r);
}

static inline void
rig_close(struct rig *r)
{
	rig_leave(r);
	plx_vfu_destroy(r->vfu);
	CHECK(access(r->path, F_OK) != 0, "the socket is still there");
	rmdir(r->dir);
}

static inline int
send_bytes(int fd, const void *buf, size_t len, const int *fds, unsigned int nfds)
{
	char ctl[CMSG_SPACE(sizeof(int) * 256)] = {0};
	struct iovec iov = {(void *)(uintptr_t)buf, len};
	struct msghdr mh = {.msg_iov = &iov, .msg_iovlen = 1};
	struct cmsghdr *c;

	if (nfds > 0) {
		mh.msg_control = ctl;
		mh.msg_controllen = CMSG_SPACE(sizeof(int) * nfds);
		c = CMSG_FIRSTHDR(&mh);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int) * nfds);
		memcpy(CMSG_DATA(c), fds, sizeof(int) * nfds);
	}
	return sendmsg(fd, &mh, MSG_NOSIGNAL) == (ssize_t)len ? 0 : -errno;
}

/* What is there now, in one read. @return bytes, 0 closed, -EAGAIN nothing */
static inline int
recv_once(struct rig *r)
{
	char ctl[CMSG_SPACE(sizeof(int) * 4)];
	struct iovec iov = {r->reply, sizeof(r->reply)};
	struct msghdr mh = {.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = ctl,
		.msg_controllen = sizeof(ctl)};
	struct cmsghdr *c;
	ssize_t n = recvmsg(r->fd, &mh, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	rig_drop_fd(r);
	if (n < 0)
		return errno == ECONNRESET ? 0 : -errno;
	c = CMSG_FIRSTHDR(&mh);
	if (c != NULL && c->cmsg_type == SCM_RIGHTS)
		memcpy(&r->got_fd, CMSG_DATA(c), sizeof(int));
	r->reply_len = (uint32_t)n;
	return (int)n;
}

/* Poll the server until it answered or closed. @return as recv_once() */
static inline int
await(struct rig *r)
{
	int i, n = -EAGAIN;

	for (i = 0; i < 1000 && n == -EAGAIN; i++) {
		plx_vfu_poll(r->vfu);
		n = recv_once(r);
	}
	return n;
}

/* "01 00 ..." -> bytes; blanks are ignored. @return how many */
static inline uint32_t
unhex(const char *hex, uint8_t *out)
{
	uint32_t n = 0;
	unsigned int byte;

	for (; *hex != '\0'; hex++) {
		if (*hex == ' ')
			continue;
		REQUIRE(sscanf(hex, "%2x", &byte) == 1 && n < BUF);
		out[n++] = (uint8_t)byte;
		hex++;
	}
	return n;
}

static inline void
show(const char *what, const uint8_t *p, uint32_t n)
{
	uint32_t i;

	fprintf(stderr, "  %s:", what);
	for (i = 0; i < n; i++)
		fprintf(stderr, "%s%02x", i % 4 == 0 ? " " : "", p[i]);
	fputc('\n', stderr);
}

/* Send a message with fds and compare the reply byte for byte; it must come in one piece. */
static inline void
exchange_fds(struct rig *r, int line, const char *req, const int *fds, unsigned int nfds,
	const char *want)
{
	uint8_t in[BUF], out[BUF];
	uint32_t len = unhex(req, in), n = unhex(want, out);

	REQUIRE(send_bytes(r->fd, in, len, fds, nfds) == 0);
	await(r);
	if (r->reply_len == n && memcmp(r->reply, out, n) == 0)
		return;
	test_failures++;
	fprintf(stderr, "line %d: wrong reply\n", line);
	show("sent", in, len);
	show("want", out, n);
	show("got ", r->reply, r->reply_len);
}
#define ASK(r, req, want) exchange_fds(r, __LINE__, req, NULL, 0, want)
#define ASK_FDS(r, req, fds, nfds, want) exchange_fds(r, __LINE__, req, fds, nfds, want)

/* Send what has no answer, and see that none comes. */
static inline void
tell(struct rig *r, const char *req)
{
	uint8_t in[BUF];
	uint32_t len = unhex(req, in);

	REQUIRE(send_bytes(r->fd, in, len, NULL, 0) == 0);
	rig_poll(r);
	CHECK_EQ(recv_once(r), -EAGAIN);
}

/* The shortest VERSION: 0.1, no JSON. The reply's JSON is looked at elsewhere. */
static inline void
hello(struct rig *r)
{
	uint8_t in[BUF];
	uint32_t len = unhex("0000 0100 14000000 00000000 00000000 0000 0100", in);

	rig_connect(r);
	REQUIRE(send_bytes(r->fd, in, len, NULL, 0) == 0);
	REQUIRE(await(r) > 20);
}

/* Shared memory as a client has it. */
static inline int
make_memfd(size_t len)
{
	int fd = memfd_create("client", MFD_CLOEXEC);

	REQUIRE(fd >= 0 && ftruncate(fd, (off_t)len) == 0);
	return fd;
}

#endif
