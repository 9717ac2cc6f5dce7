/* SPDX-License-Identifier: BSD-3-Clause */
#include "fake.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "plx_vfio.h"
#include "vfio_user_priv.h"

struct fake_socket fake_socket;
static int watched = -1;
static size_t owed; /* of a message that was taken in part */

static uint32_t
get32(const void *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static uint64_t
get64(const void *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static void
put32(void *p, uint32_t v)
{
	memcpy(p, &v, sizeof(v));
}

static void
put64(void *p, uint64_t v)
{
	memcpy(p, &v, sizeof(v));
}

/* Instead of libc's: servers read a message's body with one call, so that a message has to be
 * handed to the kernel in one piece. */
ssize_t
sendmsg(int fd, const struct msghdr *mh, int flags)
{
	struct msghdr part = *mh;
	struct iovec iov;
	ssize_t n;

	if (fd != watched)
		return syscall(SYS_sendmsg, fd, mh, flags);
	if (fake_socket.allow > 0) {
		fake_socket.allow--;
	} else if (fake_socket.refuse > 0) {
		fake_socket.refuse--;
		errno = EAGAIN;
		return -1;
	}
	iov = mh->msg_iov[0];
	if (owed == 0)
		fake_socket.wrong += mh->msg_iovlen != 1 || iov.iov_len < 16 ||
				     get32((uint8_t *)iov.iov_base + 4) != iov.iov_len;
	else
		fake_socket.wrong += mh->msg_controllen != 0 || iov.iov_len != owed;
	if (fake_socket.max_send != 0 && iov.iov_len > fake_socket.max_send)
		iov.iov_len = fake_socket.max_send;
	part.msg_iov = &iov;
	n = syscall(SYS_sendmsg, fd, &part, flags);
	if (n > 0) {
		fake_socket.messages += owed == 0;
		owed = mh->msg_iov[0].iov_len - (size_t)n;
	}
	return n;
}

void
fake_start(struct fake *f, uint32_t timeout_ms, struct plx_vfio_dev **dev)
{
	int fds[2];

	memset(f, 0, sizeof(*f));
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) != 0)
		abort();
	f->fd = fds[0];
	f->client_fd = fds[1];
	f->in = malloc(4 << 20);
	f->memfd = memfd_create("fake", MFD_CLOEXEC);
	if (f->memfd < 0 || f->in == NULL || ftruncate(f->memfd, FAKE_MEM_SIZE) != 0)
		abort();
	f->mem = mmap(NULL, FAKE_MEM_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, f->memfd, 0);
	memset(&fake_socket, 0, sizeof(fake_socket));
	watched = fds[1];
	owed = 0;
	if (vfio_user_open_fd(fds[1], "fake",
		    &(struct plx_vfio_user_conf){.timeout_ms = timeout_ms}, dev) != 0)
		abort();
}

void
fake_stop(struct fake *f, struct plx_vfio_dev *dev)
{
	plx_vfio_close(dev);
	watched = -1;
	while (f->in_nfds > 0)
		close(f->in_fds[--f->in_nfds]);
	if (f->fd >= 0)
		close(f->fd);
	close(f->memfd);
	munmap(f->mem, FAKE_MEM_SIZE);
	free(f->in);
}

unsigned int
fake_open_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned int n = 0;

	while (readdir(d) != NULL)
		n++;
	closedir(d);
	return n;
}

void
fake_send(struct fake *f, const void *buf, size_t len, int fd, unsigned int nfds)
{
	char ctl[CMSG_SPACE(253 * sizeof(int))] = {0};
	struct iovec iov = {.iov_base = (void *)(uintptr_t)buf, .iov_len = len};
	struct msghdr mh = {.msg_iov = &iov, .msg_iovlen = 1};
	struct cmsghdr *c;
	unsigned int i;

	if (nfds > 0) {
		mh.msg_control = ctl;
		mh.msg_controllen = CMSG_SPACE(nfds * sizeof(int));
		c = CMSG_FIRSTHDR(&mh);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(nfds * sizeof(int));
		for (i = 0; i < nfds; i++)
			memcpy(CMSG_DATA(c) + i * sizeof(int), &fd, sizeof(int));
	}
	if (syscall(SYS_sendmsg, f->fd, &mh, MSG_NOSIGNAL) < 0 && errno != EPIPE && errno != EAGAIN)
		perror("fake: sendmsg");
}

void
fake_send_msg(struct fake *f, const struct fake_msg *m)
{
	static uint8_t buf[16 + sizeof(m->data)];

	memcpy(buf, &m->id, 2);
	memcpy(buf + 2, &m->cmd, 2);
	put32(buf + 4, m->size);
	put32(buf + 8, m->flags);
	put32(buf + 12, m->err);
	memcpy(buf + 16, m->data, m->body);
	fake_send(f, buf, 16 + m->body, m->fd, m->nfds);
}

static void
take(struct fake *f)
{
	char ctl[CMSG_SPACE(253 * sizeof(int))];
	struct cmsghdr *c;
	ssize_t n;

	for (;;) {
		struct iovec iov = {f->in + f->in_len, (4u << 20) - f->in_len};
		struct msghdr mh = {.msg_iov = &iov,
			.msg_iovlen = 1,
			.msg_control = ctl,
			.msg_controllen = sizeof(ctl)};

		n = recvmsg(f->fd, &mh, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
		if (n <= 0)
			return;
		f->in_len += (size_t)n;
		for (c = CMSG_FIRSTHDR(&mh); c != NULL; c = CMSG_NXTHDR(&mh, c)) {
			unsigned int k = (unsigned int)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));

			memcpy(f->in_fds + f->in_nfds, CMSG_DATA(c), k * sizeof(int));
			f->in_nfds += k;
		}
	}
}

static void
consume(struct fake *f, size_t n)
{
	f->in_len -= n;
	memmove(f->in, f->in + n, f->in_len);
	while (f->in_nfds > 0)
		close(f->in_fds[--f->in_nfds]);
}

/* ---- scripts ---- */

/* One line's bytes; mask 0 where any will do. @return how many */
static size_t
bytes_of(const char *s, uint8_t *val, uint8_t *mask)
{
	size_t n = 0;

	while (*s != '\0' && *s != '\n') {
		if (*s == '\'') {
			for (s++; *s != '\''; s++, n++) {
				val[n] = (uint8_t)*s;
				mask[n] = 0xff;
			}
			s++;
		} else if (isspace((unsigned char)*s)) {
			s++;
		} else {
			char hex[3] = {s[0], s[1], 0};

			mask[n] = s[0] == '?' ? 0 : 0xff;
			val[n++] = (uint8_t)strtoul(hex, NULL, 16);
			s += 2;
		}
	}
	return n;
}

static void
mismatch(const struct fake *f, const uint8_t *val, const uint8_t *mask, size_t n, unsigned int nfds)
{
	size_t i;

	fprintf(stderr, "script line %d: expected, got (%u fds wanted, %u came)\n", f->line, nfds,
		f->in_nfds);
	for (i = 0; i < n; i++)
		fprintf(stderr, mask[i] ? "%02x " : "?? ", val[i]);
	fputc('\n', stderr);
	for (i = 0; i < n; i++)
		fprintf(stderr, "%02x ", f->in[i]);
	fputc('\n', stderr);
}

/* @return whether the line was dealt with */
static bool
play_line(struct fake *f)
{
	static uint8_t val[70000], mask[70000];
	const char *s = f->script;
	unsigned int nfds = 0;
	size_t n, i;
	char *end = NULL;

	if (s[0] == 'x') {
		close(f->fd);
		f->fd = -1;
		return true;
	}
	if (isdigit((unsigned char)s[1]))
		nfds = (unsigned int)strtoul(s + 1, &end, 10);
	n = bytes_of(end != NULL ? end : s + 1, val, mask);
	if (s[0] == '<') {
		fake_send(f, val, n, f->memfd, nfds);
		return true;
	}
	if (f->in_len < n)
		return false;
	for (i = 0; i < n && (f->in[i] & mask[i]) == (val[i] & mask[i]); i++)
		;
	if (i < n || f->in_nfds != nfds) {
		mismatch(f, val, mask, n, nfds);
		fake_socket.wrong++;
	}
	consume(f, n);
	return true;
}

void
fake_script(struct fake *f, const char *script)
{
	f->script = script;
	f->line = 1;
}

bool
fake_script_done(const struct fake *f)
{
	return f->script[0] == '\0' && f->in_len == 0;
}

static void
play(struct fake *f)
{
	while (f->script[0] != '\0' && play_line(f)) {
		f->script = strchrnul(f->script, '\n');
		f->script += *f->script == '\n';
		f->line++;
	}
}

/* ---- an honest device ---- */

static const uint8_t config[256] = {0x58, 0x4e, 1, 0, 0, 0, 0x10, 0, 3, 0x02, 0x08,
	0x01, [0x2c] = 0x34, 0x12, 0x78, 0x56, [0x34] = 0x40, [0x40] = 0x01, 0x50, [0x50] = 0x11, 0,
	0x0f, 0, 4, 0, 0, 0, 5, 0, 0, 0};

static void
answer_region(struct fake *f, const uint8_t *q, struct fake_msg *m)
{
	uint32_t index = get32(q + 8);

	m->body = 32;
	put32(m->data, 32);
	put32(m->data + 8, index);
	put32(m->data + 4, 3);
	if (index == 7)
		put64(m->data + 16, 256);
	if (index == 4 || index == 5)
		put64(m->data + 16, 0x1000);
	if (index != 0)
		return;
	/* BAR 0: registers, then one page of doorbells, at the same place in the file */
	m->body = 64;
	put32(m->data, 64);
	put32(m->data + 4, 1 | 2 | 4 | 8);
	put32(m->data + 12, 32);
	put64(m->data + 16, FAKE_BAR0_SIZE);
	memcpy(m->data + 32, "\1\0\1\0\0\0\0\0\1\0\0\0\0\0\0\0", 16);
	put64(m->data + 48, 0x1000);
	put64(m->data + 56, 0x1000);
	m->nfds = 1;
	m->fd = f->memfd;
}

static void
answer_access(struct fake *f, const uint8_t *q, struct fake_msg *m)
{
	uint64_t off = get64(q);
	uint32_t region = get32(q + 8), count = get32(q + 12), i;

	m->body = 16;
	memcpy(m->data, q, 16);
	if (m->cmd == C_WRITE) {
		if (region == 7 && off == 4 && count == 2)
			memcpy(&f->command_reg, q + 16, 2);
		return;
	}
	m->body += count;
	for (i = 0; i < count; i++)
		m->data[16 + i] = (uint8_t)(region + off + i);
	if (region == 7 && off + count <= sizeof(config)) {
		memcpy(m->data + 16, config + off, count);
		if (off == 4 && count == 2)
			memcpy(m->data + 16, &f->command_reg, 2);
	}
}

static void
answer(struct fake *f, const uint8_t *q, struct fake_msg *m)
{
	switch (m->cmd) {
	case C_VERSION:
		m->body = 4;
		memcpy(m->data, "\0\0\1\0", 4);
		break;
	case C_DMA_UNMAP:
		m->body = 24;
		memcpy(m->data, q, 24);
		break;
	case C_INFO:
		m->body = 16;
		put32(m->data, 16);
		put32(m->data + 4, 3);
		put32(m->data + 8, 9);
		put32(m->data + 12, 5);
		break;
	case C_REGION:
		answer_region(f, q, m);
		break;
	case C_IRQ:
		m->body = 16;
		memcpy(m->data, q, 16);
		put32(m->data + 4, 1);
		put32(m->data + 12, get32(q + 8) == 2 ? 20 : get32(q + 8) == 1 ? 0 : 1);
		break;
	case C_SET_IRQS:
		f->eventfds += f->in_nfds;
		break;
	case C_READ:
	case C_WRITE:
		answer_access(f, q, m);
		break;
	}
}

/* @return whether there was a whole message */
static bool
serve(struct fake *f)
{
	static struct fake_msg m;
	uint32_t size;

	if (f->in_len < 16 || f->in_len < get32(f->in + 4))
		return false;
	size = get32(f->in + 4);
	m = (struct fake_msg){.flags = 1};
	memcpy(&m.id, f->in, 2);
	memcpy(&m.cmd, f->in + 2, 2);
	f->served++;
	f->by_cmd[m.cmd % 32]++;
	if (get32(f->in + 8) == 0x10 && m.cmd == C_WRITE) {
		f->posts++;
		f->post[get64(f->in + 16) % FAKE_BAR0_SIZE / 4] = get32(f->in + 32);
	} else if ((get32(f->in + 8) & 0xf) == 0) {
		answer(f, f->in + 16, &m);
		m.size = (uint32_t)(16 + m.body);
		if (f->hook == NULL || !f->hook(f, f->in, &m))
			fake_send_msg(f, &m);
	}
	consume(f, size);
	return true;
}

void
fake_step(struct fake *f)
{
	if (f->fd < 0 || f->deaf)
		return;
	take(f);
	if (f->script != NULL) {
		play(f);
		return;
	}
	while (f->fd >= 0 && serve(f))
		;
}

int
fake_run(struct fake *f, struct plx_vfio_dev *dev, int rc)
{
	while (rc == -EINPROGRESS) {
		fake_step(f);
		rc = plx_vfio_poll(dev);
	}
	return rc;
}

int
fake_open(struct fake *f, uint32_t timeout_ms, struct plx_vfio_dev **dev)
{
	fake_start(f, timeout_ms, dev);
	return fake_run(f, *dev, -EINPROGRESS);
}

void
fake_idle(struct fake *f, struct plx_vfio_dev *dev)
{
	int i;

	for (i = 0; i < 20; i++) {
		fake_step(f);
		plx_vfio_poll(dev);
	}
}
