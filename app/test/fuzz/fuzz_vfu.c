/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The vfio-user server against any client. The input is a list of steps: well-formed messages of
 * any content with any file descriptors, raw bytes, polls, what the device model does meanwhile,
 * memory that is truncated, leaving and coming back.
 */
#include <signal.h>

#include <rte_log.h>

#include "plx_sigbus.h"
#include "vfu_client.h"

#define FILE_SIZE 0x20000

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct rig rig;

struct input {
	const uint8_t *p;
	size_t left;
};

static uint8_t
take(struct input *in)
{
	if (in->left == 0)
		return 0;
	in->left--;
	return *in->p++;
}

static void
on_sigbus(int sig, siginfo_t *info, void *uctx)
{
	if (!plx_sigbus_try_handle(sig, info, uctx))
		abort();
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	struct sigaction sa = {.sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO};

	(void)argc;
	(void)argv;
	sigaction(SIGBUS, &sa, NULL);
	rte_log_set_global_level(RTE_LOG_EMERG);
	rig_open(&rig);
	return 0;
}

static void
drain(void)
{
	while (recv_once(&rig) > 0)
		;
}

/* Which files go with a message. */
static unsigned int
choose_fds(uint8_t kind, int file, int *fds)
{
	unsigned int i, n = kind >> 4;

	for (i = 0; i < n; i++)
		fds[i] = kind & 1 ? file : -1;
	if (n > 0 && (kind & 2))
		fds[0] = file;
	return n;
}

static void
send_message(struct input *in, int file)
{
	uint8_t msg[16 + 256];
	int fds[15], efd = eventfd(0, EFD_NONBLOCK);
	uint16_t cmd = take(in);
	uint8_t flags = take(in), kind = take(in);
	uint32_t len = 16u + take(in), i;
	unsigned int n = choose_fds(kind, file, fds);

	memset(msg, 0, sizeof(msg));
	memcpy(msg + 2, &cmd, 2);
	memcpy(msg + 4, &len, 4);
	msg[8] = flags & 0x30;
	for (i = 16; i < len; i++)
		msg[i] = take(in);
	for (i = 0; i < n; i++)
		if (fds[i] < 0)
			fds[i] = efd;
	send_bytes(rig.fd, msg, len, fds, n);
	close(efd);
	plx_vfu_poll(rig.vfu);
	drain();
}

static void
send_raw(struct input *in)
{
	size_t n = take(in);

	n = n < in->left ? n : in->left;
	if (n > 0)
		send_bytes(rig.fd, in->p, n, NULL, 0);
	in->p += n;
	in->left -= n;
	rig_poll(&rig);
	drain();
}

/* What the device model would do: touch memory where it is, interrupt. */
static void
work(struct input *in)
{
	struct plx_vfu_dma cache = {0};
	uint64_t iova = (uint64_t)take(in) << (take(in) & 63);
	uint32_t len = 1u + take(in);
	uint8_t *p;

	plx_vfu_irq(rig.vfu, take(in));
	p = plx_vfu_dma_ptr(rig.vfu, &cache, iova, len, false);
	if (p != NULL)
		rig.model.regs[0] += (uint8_t)(p[0] + p[len - 1]);
	p = plx_vfu_dma_ptr(rig.vfu, &cache, iova, len, true);
	if (p != NULL)
		p[0] = p[len - 1] = 0x5a;
}

static void
step(struct input *in, int file)
{
	switch (take(in) % 12) {
	default:
		send_message(in, file);
		break;
	case 7:
		send_raw(in);
		break;
	case 8:
		work(in);
		break;
	case 9:
		rig.model.gone_waits = take(in) & 3;
		rig.model.reset_waits = take(in) & 3;
		break;
	case 10:
		if (ftruncate(file, (off_t)take(in) << 12) != 0)
			abort();
		break;
	case 11:
		close(rig.fd);
		rig.fd = rig_connect_fd(&rig);
		rig_poll(&rig);
		if (take(in) & 1)
			send_bytes(
				rig.fd, "\0\0\1\0\24\0\0\0\0\0\0\0\0\0\0\0\0\0\1\0", 20, NULL, 0);
		rig_poll(&rig);
		drain();
		break;
	}
}

static int
open_fds(void)
{
	int fd, n = 0;

	for (fd = 0; fd < 100; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

/* The server stays: to destroy one takes the kernel tens of milliseconds. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};
	int before = open_fds(), file = memfd_create("fuzz", MFD_CLOEXEC);
	uint8_t first = take(&in);

	if (file < 0 || ftruncate(file, FILE_SIZE) != 0)
		abort();
	if (first & 1)
		hello(&rig);
	else
		rig_connect(&rig);
	while (in.left > 0)
		step(&in, file);
	rig.model.gone_waits = rig.model.reset_waits = 0;
	rig_leave(&rig);
	if (plx_vfu_connected(rig.vfu))
		abort();
	hello(&rig); /* always ready for the next */
	rig_leave(&rig);
	close(file);
	if (first == 0xfe) {
		rig_close(&rig);
		rig_open(&rig);
	}
	if (open_fds() != before || test_failures != 0)
		abort();
	return 0;
}
