/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The vfio-user client against any server. The input says, for each reply of an honest device,
 * how it is bent, and between them what the client does: registers, doorbells, interrupts,
 * reset, mapping memory.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <rte_common.h>
#include <rte_log.h>

#include "fake.h"
#include "plx_eal.h"
#include "plx_mem.h"
#include "plx_sigbus.h"
#include "plx_vfio.h"

#define SHARED_SIZE 0x20000

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct {
	const uint8_t *p;
	size_t left;
} in;
static struct fake f;
static struct plx_vfio_dev *dev;
static uint8_t *shared;
static int pipe_fds[2];

static uint8_t
take(void)
{
	if (in.left == 0)
		return 0;
	in.left--;
	return *in.p++;
}

static uint64_t
take_n(unsigned int n)
{
	uint64_t v = 0;

	while (n-- > 0)
		v = v << 8 | take();
	return v;
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
	static char name[] = "fuzz";
	static char *args[] = {name, NULL};
	struct sigaction sa = {.sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO};
	int fd = memfd_create("shared", MFD_CLOEXEC);

	(void)argc;
	(void)argv;
	sigaction(SIGBUS, &sa, NULL);
	if (plx_eal_init_app(1, args) < 0 || ftruncate(fd, SHARED_SIZE) != 0 || pipe(pipe_fds) != 0)
		abort();
	shared = mmap(NULL, SHARED_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (shared == MAP_FAILED || plx_mem_register(shared, SHARED_SIZE, fd, 0) != 0)
		abort();
	rte_log_set_global_level(RTE_LOG_EMERG);
	return 0;
}

/* The server reaches for memory: what is shared, from before its start to behind its end. */
static void
dma_command(void)
{
	static struct fake_msg m;
	uint64_t iova, count = take_n(3);
	uint8_t kind = take();

	iova = dev->domain != NULL ? plx_mem_iova(dev->domain, shared, SHARED_SIZE) : 0;
	iova += take_n(3) - 0x1000;
	m = (struct fake_msg){.id = kind, .cmd = kind & 1 ? C_DMA_WRITE : C_DMA_READ, .body = 16};
	memcpy(m.data, &iova, 8);
	memcpy(m.data + 8, &count, 8);
	if (kind & 1)
		m.body += count < 0x8000 ? count : 0x8000;
	if (kind & 2)
		m.body -= kind & 15;
	m.flags = kind & 4 ? 0x10 : 0;
	m.size = (uint32_t)(16 + m.body);
	fake_send_msg(&f, &m);
}

static void
raw(void)
{
	unsigned int nfds = take() & 3;
	size_t n = take();

	n = n < in.left ? n : in.left;
	if (n > 0)
		fake_send(&f, in.p, n, f.memfd, nfds);
	in.p += n;
	in.left -= n;
}

static void
set_body(struct fake_msg *m, size_t body)
{
	m->body = body <= sizeof(m->data) ? body : sizeof(m->data);
	m->size = (uint32_t)(16 + m->body);
}

static void
bend_header(struct fake_msg *m)
{
	switch (take() % 5) {
	case 0:
		m->id ^= take();
		break;
	case 1:
		m->cmd ^= take();
		break;
	case 2:
		m->size = (uint32_t)take_n(4);
		break;
	case 3:
		m->flags ^= take();
		break;
	case 4:
		m->flags |= 0x20;
		m->err = (uint32_t)take_n(4);
		set_body(m, 0);
		break;
	}
}

static void
bend_body(struct fake_msg *m)
{
	static const uint64_t odd[] = {0, 1, 8, 32, 0x1000, 0x2000, 0x4000, 0x7fffffff, 0xffffffff,
		INT64_MAX, UINT64_MAX, (uint64_t)-0x1000};
	size_t at = take_n(1) * 4u;
	uint8_t len = take();
	uint64_t v = len & 0x80 ? odd[take() % RTE_DIM(odd)] : take_n((len & 7) + 1);

	memcpy(m->data + at, &v, (len & 7) + 1);
}

/* Text for VERSION, more areas for a region, or whatever. */
static void
new_tail(struct fake_msg *m)
{
	size_t from = take_n(1), n = take_n(1), i;

	for (i = 0; i < n; i++)
		m->data[from + i] = take();
	set_body(m, from + n);
}

/* @return the message is swallowed */
static bool
bend(struct fake *fk, const uint8_t *req, struct fake_msg *m)
{
	for (;;) {
		switch (take() % 16) {
		default:
			return false;
		case 5:
			bend_body(m);
			break;
		case 6:
			bend_header(m);
			break;
		case 7:
			new_tail(m);
			break;
		case 8:
			set_body(m, m->body + take() - 128);
			break;
		case 9:
			m->nfds = take() % 20;
			m->fd = m->nfds & 1 ? f.memfd : pipe_fds[0];
			break;
		case 10:
			raw();
			break;
		case 11:
			dma_command();
			break;
		case 12:
			fake_send_msg(fk, m);
			break;
		case 13:
			if (ftruncate(fk->memfd, (off_t)take() << 12) != 0)
				abort();
			break;
		case 14:
			fake_socket.max_send = take();
			fake_socket.refuse = take();
			break;
		case 15:
			return true;
		}
	}
}

/* Until the operation ends; a server that has nothing more to say leaves. */
static int
run(int rc)
{
	int i;

	for (i = 0; rc == -EINPROGRESS; i++) {
		fake_step(&f);
		rc = plx_vfio_poll(dev);
		if (i > 1500 && f.fd >= 0) {
			close(f.fd);
			f.fd = -1;
		}
		if (i > 4000)
			abort();
	}
	return rc;
}

static void
sync_memory(void)
{
	int i;

	for (i = 0; i < 600 && plx_mem_domain_sync(dev->domain) == -EINPROGRESS; i++)
		fake_step(&f);
}

static void
irqs(void)
{
	int fds[64];
	unsigned int i, n = take() & 63;

	for (i = 0; i < n; i++)
		fds[i] = i % 9 == 4 ? -1 : pipe_fds[1];
	run(plx_vfio_irq_set(dev, take() & 7, take(), fds, n));
}

static void
act(void)
{
	static uint8_t buf[70000];
	uint64_t off;
	uint32_t len;
	uint8_t what = take();
	volatile uint32_t *db;

	off = take_n(2);
	len = what & 0x80 ? (uint32_t)take_n(2) : 1u << (what >> 4 & 3);
	switch (what & 7) {
	case 0:
		run(plx_vfio_region_read(dev, what >> 3 & 15, off, buf, len));
		break;
	case 1:
		run(plx_vfio_region_write(dev, what >> 3 & 15, off, buf, len));
		break;
	case 2:
		plx_vfio_region_post(dev, 0, off, len);
		break;
	case 3:
		irqs();
		break;
	case 4:
		run(plx_vfio_reset(dev));
		break;
	case 5:
		sync_memory();
		break;
	case 6:
		dma_command();
		run(-EINPROGRESS);
		break;
	case 7:
		db = plx_vfio_region_ptr(dev, what >> 3 & 7, off & ~3u, 4);
		if (db != NULL)
			db[0] += 1;
		break;
	}
}

/* The fuzzer's own thread has a file open for a moment now and then. */
static bool
leaks(unsigned int before)
{
	int i;

	for (i = 0; i < 200 && fake_open_fds() > before; i++)
		usleep(1000);
	return i == 200;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned int before = fake_open_fds();

	in.p = data;
	in.left = size;
	fake_start(&f, 0, &dev);
	f.hook = bend;
	if (take() & 1)
		raw();
	if (run(-EINPROGRESS) == 0) {
		while (in.left > 0 && dev->lost == 0)
			act();
	}
	if (fake_socket.wrong != 0)
		abort();
	fake_stop(&f, dev);
	if (leaks(before))
		abort();
	return 0;
}
