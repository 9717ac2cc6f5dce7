/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "plx_probe.h"
#include "plx_sock.h"

#include "fake_back.h"

#define REQUIRE(cond)                                         \
	do {                                                  \
		if (!(cond)) {                                \
			fprintf(stderr, "fake: %s\n", #cond); \
			exit(1);                              \
		}                                             \
	} while (0)

struct fake_back back;

/* ---- requests ---- */

static void
serve_one(struct fake_back *b, struct vqd_chain *c)
{
	uint32_t type, len = 1;
	bool wrong = b->evil >= BAD_ID && b->evil <= FORGETS && !b->fired && b->done > 20;
	uint64_t sector;
	int last;

	if (b->serve != NULL) {
		b->serve(c);
		return;
	}
	if (b->execute != NULL) {
		len = 0;
		last = c->nout + c->nin - 1;
		c->piece[last].va[c->piece[last].len - 1] = b->execute(c, &len);
		vqd_push(&b->q, c, len + 1);
		eventfd_write(b->call, 1);
		return;
	}
	memcpy(&type, c->piece[0].va, sizeof(type));
	memcpy(&sector, c->piece[0].va + 8, sizeof(sector));
	if (b->evil == FORGETS_BLOCK && sector == FORGOTTEN) {
		b->forgot++;
		return;
	}
	if (type == 0)
		for (uint16_t i = c->nout; i < c->nout + c->nin - 1; i++) {
			memset(c->piece[i].va, 0x5a, c->piece[i].len);
			len += c->piece[i].len;
		}
	b->done++;
	b->fired |= wrong;
	if (wrong && b->evil == FORGETS) {
		b->forgot++;
		return;
	}
	if (!wrong || b->evil != NO_STATUS)
		*c->piece[c->nout + c->nin - 1].va = type > 1 ? 2 : 0;
	if (wrong && b->evil == BAD_ID)
		vqd_push_n(&b->q, 0xfffe, len, 1, 1);
	else if (wrong && b->evil == TOO_LONG)
		vqd_push(&b->q, c, len + 100000);
	else if (wrong && b->evil == JUMPS && !b->packed)
		vqd_push_n(&b->q, c->id, len, 1000, 1);
	else
		vqd_push(&b->q, c, len);
	if (wrong && b->evil == TWICE)
		vqd_push(&b->q, c, len);
	eventfd_write(b->call, 1);
}

/* ---- messages ---- */

static void
reply(struct fake_back *b, const struct vhu_header *h, const void *data, uint32_t len)
{
	struct vhu_header r = {h->request, VHU_VERSION | VHU_F_REPLY, len};
	uint8_t msg[FAKE_MSG];
	size_t n = sizeof(r) + len;
	int fd = h->request == VHU_GET_INFLIGHT_FD ? b->inflight : -1;

	if (b->evil == OTHER_REPLY)
		r.request++;
	if (b->evil == HUGE_REPLY)
		r.size = UINT32_MAX;
	if (b->evil == BABBLES)
		memset(&r, 0xa5, sizeof(r));
	memcpy(msg, &r, sizeof(r));
	memcpy(msg + sizeof(r), data, len);
	if (b->bend != NULL)
		b->bend(msg, &n, &fd);
	if (n != 0 && plx_sock_send(b->fd, msg, n, &fd, fd >= 0) < 0)
		return;
}

static void
reply_u64(struct fake_back *b, const struct vhu_header *h, uint64_t v)
{
	reply(b, h, &v, sizeof(v));
}

static void
config(struct fake_back *b, const struct vhu_header *h, struct vhu_config *c)
{
	struct vblk_config cfg = b->cfg;

	cfg.capacity = b->sectors;
	cfg.seg_max = 16;
	memset(c->data, 0, sizeof(c->data));
	memcpy(c->data, &cfg, sizeof(cfg));
	if (b->evil == GROWS && b->backend >= 0)
		b->sectors += 8; /* at each look */
	reply(b, h, c, h->size);
}

static void
keep(int *at, int fd)
{
	if (*at >= 0)
		close(*at);
	*at = dup(fd);
}

static void
handle(struct fake_back *b, const struct vhu_header *h, void *payload, int fd)
{
	struct vhu_vring_addr *a = payload;
	struct vhu_vring_state *s = payload;
	uint64_t features = b->features;

	switch (h->request) {
	case VHU_GET_FEATURES:
		if (b->evil == LEGACY)
			features &= ~BIT(VIRTIO_F_VERSION_1);
		reply_u64(b, h, features);
		return;
	case VHU_GET_PROTOCOL_FEATURES:
		reply_u64(b, h,
			BIT(VHU_P_REPLY_ACK) | BIT(VHU_P_BACKEND_REQ) | b->protocol |
				(b->evil != NO_CONFIG ? BIT(VHU_P_CONFIG) : 0));
		return;
	case VHU_GET_QUEUE_NUM:
		reply_u64(b, h, 1);
		return;
	case VHU_GET_MAX_MEM_SLOTS:
		reply_u64(b, h, 32);
		return;
	case VHU_GET_INFLIGHT_FD:
		reply(b, h, &(struct vhu_inflight){4096, 0, 1, 128, 0},
			sizeof(struct vhu_inflight));
		return;
	case VHU_GET_CONFIG:
		config(b, h, payload);
		return;
	case VHU_SET_BACKEND_REQ_FD:
		keep(&b->backend, fd);
		break;
	case VHU_SET_VRING_NUM:
		b->q = (struct vqd){.size = (uint16_t)s->num,
			.packed = b->packed,
			.avail_wrap = true,
			.used_wrap = true};
		break;
	case VHU_SET_VRING_ADDR:
		b->q.parts = (struct plx_virtq_parts){(void *)(uintptr_t)a->desc,
			(void *)(uintptr_t)a->avail, (void *)(uintptr_t)a->used};
		break;
	case VHU_SET_VRING_CALL:
		keep(&b->call, fd);
		break;
	case VHU_SET_VRING_ENABLE:
		b->running = true;
		break;
	case VHU_GET_VRING_BASE:
		b->running = false;
		b->let_be |= b->forgot != 0;
		reply(b, h, payload, sizeof(*s));
		return;
	}
	if (h->flags & VHU_F_NEED_REPLY)
		reply_u64(b, h, b->evil == REFUSES && h->request == VHU_SET_MEM_TABLE);
}

/* @return false: the connection is over */
static bool
receive(struct fake_back *b)
{
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(8 * sizeof(int))];
	} ctl;
	static uint8_t payload[512] __attribute__((aligned(8)));
	struct vhu_header h;
	struct iovec iov = {&h, sizeof(h)};
	struct msghdr mh = {.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = ctl.buf,
		.msg_controllen = sizeof(ctl.buf)};
	ssize_t n = recvmsg(b->fd, &mh, MSG_DONTWAIT);
	struct cmsghdr *c = n > 0 ? CMSG_FIRSTHDR(&mh) : NULL;
	int fds[8], nfds = 0;

	if (n < 0 && errno == EAGAIN)
		return true;
	if (n != sizeof(h) || h.size > sizeof(payload) || b->evil == CLOSES)
		return false;
	if (c != NULL) {
		nfds = (int)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
		memcpy(fds, CMSG_DATA(c), (size_t)nfds * sizeof(int));
	}
	if (h.size != 0 && recv(b->fd, payload, h.size, MSG_WAITALL) != (ssize_t)h.size)
		return false;
	if (b->evil != SILENT)
		handle(b, &h, payload, nfds != 0 ? fds[0] : -1);
	while (nfds > 0)
		close(fds[--nfds]);
	return true;
}

void
fake_step(void)
{
	struct fake_back *b = &back;
	struct vqd_chain c;

	if (b->fd < 0)
		b->fd = accept4(b->listener, NULL, NULL, SOCK_CLOEXEC);
	if (b->fd >= 0 && !receive(b)) {
		close(b->fd);
		b->fd = -1;
		b->running = false;
		b->forgot = 0;
	}
	while (b->running && b->evil != SILENT && vqd_pop(&b->q, &c))
		serve_one(b, &c);
}

static void *
run(void *arg)
{
	while (!__atomic_load_n(&back.stop, __ATOMIC_ACQUIRE)) {
		fake_step();
		usleep(20);
	}
	return NULL;
}

void
fake_open(enum evil evil, bool packed)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	char dir[] = "/tmp/plx-virtio-XXXXXX";

	REQUIRE(mkdtemp(dir) != NULL);
	back = (struct fake_back){.evil = evil,
		.packed = packed,
		.fd = -1,
		.backend = -1,
		.call = -1,
		.inflight = -1,
		.sectors = evil == EMPTY ? 0 : SECTORS};
	back.features = BIT(VIRTIO_F_VERSION_1) | BIT(VHU_F_PROTOCOL_FEATURES) |
			BIT(VIRTIO_RING_F_INDIRECT_DESC) | BIT(2) /* SEG_MAX */ |
			(packed ? BIT(VIRTIO_F_RING_PACKED) : 0);
	snprintf(back.path, sizeof(back.path), "%s/sock", dir);
	snprintf(a.sun_path, sizeof(a.sun_path), "%s", back.path);
	back.listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	REQUIRE(bind(back.listener, (struct sockaddr *)&a, sizeof(a)) == 0);
	REQUIRE(listen(back.listener, 1) == 0);
}

void
fake_begin(enum evil evil, bool packed)
{
	fake_open(evil, packed);
	REQUIRE(pthread_create(&back.thread, NULL, run, NULL) == 0);
}

void
fake_end(void)
{
	__atomic_store_n(&back.stop, true, __ATOMIC_RELEASE);
	pthread_join(back.thread, NULL);
	fake_close();
}

void
fake_close(void)
{
	close(back.listener);
	for (int i = 0; i < 4; i++) {
		int fd = ((int[]){back.fd, back.backend, back.call, back.inflight})[i];

		if (fd >= 0)
			close(fd);
	}
	unlink(back.path);
	*strrchr(back.path, '/') = '\0';
	rmdir(back.path);
}

int
fake_attach(const char *keys)
{
	char str[200];

	snprintf(str, sizeof(str), "vhost-user:%s,name=v%s", back.path, keys);
	return plx_attach(str, NULL);
}
