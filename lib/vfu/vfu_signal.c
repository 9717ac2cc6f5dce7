/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Eventfds of a client that must not stall us. O_NONBLOCK belongs to the open file, which the
 * client has too: it may set the flag back at any time, fill the counter, and a write would then
 * wait for as long as it likes. The kernel's own signal never waits, and it gives one where a
 * request of asynchronous I/O names an eventfd to be told of its completion (io_submit(2),
 * IOCB_FLAG_RESFD). The request reads nothing from /dev/null, and is complete at once. It costs
 * about twice a write.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include <rte_common.h>

#include "vfu_priv.h"

#define REAP 64

/* Without (another limit of the system, a filter of system calls) it is write(2) again. */
void
vfu_signal_init(struct vfu_signal *s)
{
	s->ctx = 0;
	s->null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (s->null >= 0 && syscall(SYS_io_setup, REAP, &s->ctx) != 0)
		s->ctx = 0;
}

void
vfu_signal_free(struct vfu_signal *s)
{
	if (s->ctx != 0)
		syscall(SYS_io_destroy, s->ctx);
	if (s->null >= 0)
		close(s->null);
}

static bool
submit(struct vfu_signal *s, int fd)
{
	uint8_t none;
	struct iocb cb = {
		.aio_lio_opcode = IOCB_CMD_PREAD,
		.aio_fildes = (uint32_t)s->null,
		.aio_buf = (uintptr_t)&none,
		.aio_nbytes = sizeof(none),
		.aio_flags = IOCB_FLAG_RESFD,
		.aio_resfd = (uint32_t)fd,
	};
	struct iocb *one = &cb;

	return syscall(SYS_io_submit, s->ctx, 1, &one) == 1;
}

void
vfu_signal(struct vfu_signal *s, int fd)
{
	const uint64_t one = 1;
	struct io_event done[REAP];
	struct timespec now = {0};
	ssize_t n;

	if (fd < 0)
		return;
	if (s->ctx == 0) {
		/* EAGAIN says that the counter is full, so it is set: nothing is lost */
		n = write(fd, &one, sizeof(one));
		RTE_SET_USED(n);
		return;
	}
	if (submit(s, fd) || errno != EAGAIN)
		return;
	/* completions that nobody looked at fill the ring */
	syscall(SYS_io_getevents, s->ctx, 0, REAP, done, &now);
	submit(s, fd);
}

bool
vfu_signalled(int fd)
{
	uint64_t n;
	struct iovec v = {.iov_base = &n, .iov_len = sizeof(n)};
	ssize_t got = preadv2(fd, &v, 1, -1, RWF_NOWAIT);

	if (got < 0 && errno == EOPNOTSUPP) /* before Linux 5.8 */
		got = read(fd, &n, sizeof(n));
	return got == sizeof(n);
}
