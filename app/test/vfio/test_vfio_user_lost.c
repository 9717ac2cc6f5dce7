/* SPDX-License-Identifier: BSD-3-Clause */
/* An open device whose server leaves, hangs, lies or asks for too much. */
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>

#include "hostile.h"
#include "plx_mem.h"
#include "vfio_user_priv.h"

static void
open_honest(uint32_t timeout_ms)
{
	REQUIRE(fake_open(&f, timeout_ms, &dev) == 0);
	CHECK_EQ(log_lines(), 0);
}

/* Everything fails at once, and nothing is said again. */
static void
check_lost(int why)
{
	uint32_t v = 0;

	CHECK_EQ(dev->lost, why);
	CHECK_EQ(log_lines(), 1);
	CHECK_EQ(plx_vfio_poll(dev), -ENODEV);
	CHECK_EQ(plx_vfio_region_read(dev, 0, 0, &v, 4), -ENODEV);
	CHECK_EQ(plx_vfio_region_write(dev, 0, 0, &v, 4), -ENODEV);
	CHECK_EQ(plx_vfio_irq_set(dev, 2, 0, NULL, 0), -ENODEV);
	CHECK_EQ(plx_vfio_reset(dev), -ENODEV);
	plx_vfio_region_post(dev, 0, 0, 1);
	/* what was mapped is memory still */
	*(volatile uint32_t *)plx_vfio_region_ptr(dev, 0, 0x1000, 4) = 1;
	CHECK_EQ(log_lines(), 0);
	/* and the server learns of it at once */
	if (f.fd >= 0) {
		static char buf[65536];
		ssize_t n;

		do
			n = recv(f.fd, buf, sizeof(buf), MSG_DONTWAIT);
		while (n > 0);
		CHECK(n == 0 || errno == ECONNRESET);
	}
	fake_stop(&f, dev);
}

static void
leaves_when_idle(void)
{
	open_honest(0);
	CHECK_EQ(plx_vfio_poll(dev), 0);
	close(f.fd);
	f.fd = -1;
	CHECK_EQ(plx_vfio_poll(dev), -ENODEV);
	check_lost(-ENODEV);
}

static void
leaves_at_post(void)
{
	open_honest(0);
	close(f.fd);
	f.fd = -1;
	plx_vfio_region_post(dev, 0, 0x2000, 1);
	check_lost(-ENODEV);
}

static void
leaves_during_reset(void)
{
	open_honest(0);
	stop_how = STOP_EOF;
	stop_at = f.served + 1;
	f.hook = stop_hook;
	CHECK_EQ(fake_run(&f, dev, plx_vfio_reset(dev)), -ENODEV);
	check_lost(-ENODEV);
}

static void
hangs_during_read(void)
{
	uint32_t v;

	open_honest(150);
	f.deaf = true;
	CHECK_EQ(fake_run(&f, dev, plx_vfio_region_read(dev, 0, 0, &v, 4)), -ENODEV);
	check_lost(-ETIMEDOUT);
}

static void
unasked_reply(void)
{
	static const struct fake_msg m = {.id = 17, .cmd = C_READ, .size = 16, .flags = 1};

	open_honest(0);
	fake_send_msg(&f, &m);
	CHECK_EQ(plx_vfio_poll(dev), -ENODEV);
	check_lost(-EPROTO);
}

/* A server that guesses the next id answers a command that didn't leave yet. */
static void
reply_too_early(void)
{
	static struct fake_msg m = {.cmd = C_RESET, .size = 16, .flags = 1};

	open_honest(0);
	m.id = (uint16_t)(((struct vfio_user *)dev)->last_id + 1);
	fake_send_msg(&f, &m);
	fake_socket.refuse = 3;
	CHECK_EQ(plx_vfio_reset(dev), -EINPROGRESS);
	CHECK_EQ(plx_vfio_poll(dev), -ENODEV);
	check_lost(-EPROTO);
}

static bool
twist_reply(struct fake *fk, const uint8_t *req, struct fake_msg *m)
{
	((void (*)(struct fake_msg *))fk->arg)(m);
	return false;
}

/* clang-format off */
static void other_offset(struct fake_msg *m) { put64(m, 0, 4); }
static void other_region(struct fake_msg *m) { put32(m, 8, 4); }
static void other_count(struct fake_msg *m) { put32(m, 12, 8); }
static void other_iova(struct fake_msg *m) { if (m->cmd == C_DMA_UNMAP) put64(m, 8, 0x7000); }
/* clang-format on */

static void
wrong_replies(void)
{
	static void (*const twists[])(struct fake_msg * m) = {other_offset, other_region,
		other_count, larger_size, smaller_size, other_id, other_command};
	unsigned int i, write;
	uint32_t v = 0;

	for (i = 0; i < RTE_DIM(twists); i++) {
		for (write = 0; write < 2; write++) {
			open_honest(0);
			f.hook = twist_reply;
			f.arg = (const void *)twists[i];
			CHECK_EQ(fake_run(&f, dev,
					 write ? plx_vfio_region_write(dev, 0, 0, &v, 4)
					       : plx_vfio_region_read(dev, 0, 0, &v, 4)),
				-ENODEV);
			CHECK_EQ(v, 0);
			check_lost(-EPROTO);
		}
	}
}

/* Any errno is taken from an error reply, but never as success. */
static void
strange_errors(void)
{
	static struct fake_msg m;
	static const uint32_t errs[] = {0, UINT32_MAX, 0x80000000, 4097, 12};
	unsigned int i;

	open_honest(0);
	for (i = 0; i < RTE_DIM(errs); i++) {
		CHECK_EQ(plx_vfio_reset(dev), -EINPROGRESS);
		f.deaf = false;
		fake_step(&f);
		/* the honest reply came already: put another reset under way, answered by hand */
		CHECK_EQ(fake_run(&f, dev, -EINPROGRESS), 0);
		f.deaf = true;
		CHECK_EQ(plx_vfio_reset(dev), -EINPROGRESS);
		m = (struct fake_msg){.cmd = C_RESET, .size = 16, .flags = 0x21, .err = errs[i]};
		m.id = ((struct vfio_user *)dev)->last_id;
		fake_send_msg(&f, &m);
		CHECK_EQ(plx_vfio_poll(dev), errs[i] == 12 ? -ENOMEM : -EINVAL);
		CHECK_EQ(log_lines(), 1);
		recv(f.fd, m.data, 16, MSG_DONTWAIT);
		f.deaf = false;
	}
	fake_stop(&f, dev);
}

/* ---- doorbells and a server that doesn't read ---- */

static void
deaf_few_registers(void)
{
	uint32_t i;

	open_honest(0);
	f.deaf = true;
	for (i = 1; i <= 100000; i++) {
		plx_vfio_region_post(dev, 0, 0x2000 + i % 16 * 4, i);
		if (i % 1000 == 0)
			CHECK_EQ(plx_vfio_poll(dev), 0);
	}
	f.deaf = false;
	fake_idle(&f, dev);
	for (i = 99985; i <= 100000; i++)
		CHECK_EQ(f.post[0x800 + i % 16], i); /* the last of each register arrives */
	CHECK(f.posts < 10000);
	CHECK_EQ(dev->lost, 0);
	CHECK_EQ(fake_socket.wrong, 0);
	fake_stop(&f, dev);
}

static void
deaf_many_registers(void)
{
	uint32_t i;

	open_honest(0);
	f.deaf = true;
	for (i = 0; i < 0x4000; i += 4)
		plx_vfio_region_post(dev, 0, i, i);
	check_lost(-EIO);
}

static void
deaf_too_long(void)
{
	uint32_t i = 0;

	open_honest(150);
	f.deaf = true;
	while (plx_vfio_poll(dev) == 0)
		plx_vfio_region_post(dev, 0, 0x2000, i++);
	check_lost(-ETIMEDOUT);
}

/* Doorbells of two threads, while the control thread reads registers and the server stops
 * listening now and then: each register ends with its last value. */
#define ROUNDS 20000u
static unsigned int posters;

static void *
poster(void *arg)
{
	uint32_t off = *(const uint32_t *)arg, i;

	for (i = 1; i <= ROUNDS; i++)
		plx_vfio_region_post(dev, 0, off + i % 4 * 4, i);
	__atomic_fetch_sub(&posters, 1, __ATOMIC_RELEASE);
	return NULL;
}

static void
posts_of_threads(void)
{
	static const uint32_t offs[2] = {0x2000, 0x3000};
	pthread_t threads[2];
	uint32_t i, k, v;

	open_honest(0);
	posters = 2;
	for (k = 0; k < 2; k++)
		REQUIRE(pthread_create(&threads[k], NULL, poster, (void *)(uintptr_t)&offs[k]) ==
			0);
	for (i = 0; __atomic_load_n(&posters, __ATOMIC_ACQUIRE) != 0; i++) {
		f.deaf = i % 3 == 0;
		fake_step(&f);
		f.deaf = false;
		if (i % 16 == 0)
			CHECK_EQ(fake_run(&f, dev, plx_vfio_region_read(dev, 0, 0, &v, 4)), 0);
		else
			CHECK_EQ(plx_vfio_poll(dev), 0);
	}
	for (k = 0; k < 2; k++)
		pthread_join(threads[k], NULL);
	fake_idle(&f, dev);
	for (i = 0; i < 4; i++)
		for (k = 0; k < 2; k++)
			CHECK_EQ(f.post[offs[k] / 4 + i], ROUNDS - (4 - i) % 4);
	CHECK_EQ(dev->lost, 0);
	CHECK_EQ(fake_socket.wrong, 0);
	fake_stop(&f, dev);
}

/* Asks for a megabyte again and again and takes none: one answer waits, nothing more. */
static void
greedy(void)
{
	static struct fake_msg m = {.cmd = C_DMA_READ, .size = 32, .body = 16};
	uint8_t *mem;
	int rc;

	open_honest(150);
	do {
		rc = plx_mem_domain_sync(dev->domain);
		fake_step(&f);
	} while (rc == -EINPROGRESS);
	CHECK_EQ(rc, 0);
	mem = plx_mem_alloc(1 << 20, 4096, -1);
	REQUIRE(mem != NULL);
	put64(&m, 0, plx_mem_iova(dev->domain, mem, 1 << 20));
	put64(&m, 8, 1 << 20);
	f.deaf = true;
	for (rc = 0; rc < 50; rc++)
		fake_send_msg(&f, &m);
	while (plx_vfio_poll(dev) == 0)
		;
	plx_mem_free(mem);
	check_lost(-ETIMEDOUT);
}

/* Asks for a lot before it reads anything: the answers come one after the other, whole. */
#define ASKED 6
#define PIECE 0x40000u
static void
answers_wait(void)
{
	static struct fake_msg m = {.cmd = C_DMA_READ, .size = 32, .body = 16};
	static uint8_t got[ASKED * (PIECE + 32)];
	size_t n = 0, i, k;
	uint64_t iova;
	uint8_t *mem;
	ssize_t r;
	int rc;

	open_honest(0);
	do {
		rc = plx_mem_domain_sync(dev->domain);
		fake_step(&f);
	} while (rc == -EINPROGRESS);
	mem = plx_mem_alloc(ASKED * PIECE, 4096, -1);
	REQUIRE(rc == 0 && mem != NULL);
	for (i = 0; i < ASKED; i++) {
		memset(mem + i * PIECE, (int)i + 1, PIECE);
		iova = plx_mem_iova(dev->domain, mem + i * PIECE, PIECE);
		m.id = (uint16_t)(i + 100);
		put64(&m, 0, iova);
		put64(&m, 8, PIECE);
		fake_send_msg(&f, &m);
	}
	for (i = 0; i < 50; i++)
		CHECK_EQ(plx_vfio_poll(dev), 0);
	while (n < sizeof(got) && plx_vfio_poll(dev) == 0) {
		r = recv(f.fd, got + n, sizeof(got) - n, MSG_DONTWAIT);
		n += r > 0 ? (size_t)r : 0;
	}
	CHECK_EQ(n, sizeof(got));
	for (i = 0; i < ASKED; i++) {
		const uint8_t *a = got + i * (PIECE + 32);

		CHECK_EQ(a[0], i + 100);
		for (k = 32; k < PIECE + 32 && a[k] == i + 1; k++)
			;
		CHECK_EQ(k, PIECE + 32);
	}
	plx_mem_free(mem);
	CHECK_EQ(log_lines(), 0);
	fake_stop(&f, dev);
}

static void
on_sigbus(int sig, siginfo_t *info, void *uctx)
{
	if (!plx_sigbus_try_handle(sig, info, uctx))
		signal(SIGBUS, SIG_DFL);
}

static void
truncates(void)
{
	volatile uint32_t *db;

	open_honest(0);
	db = plx_vfio_region_ptr(dev, 0, 0x1000, 4);
	REQUIRE(sigaction(SIGBUS,
			&(struct sigaction){.sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO},
			NULL) == 0);
	CHECK_EQ(ftruncate(f.memfd, 0), 0);
	CHECK_EQ(plx_vfio_poll(dev), 0); /* nobody touched it yet */
	db[1] = 7;
	CHECK_EQ(db[0], 0xffffffff);
	CHECK_EQ(plx_vfio_poll(dev), -ENODEV);
	check_lost(-ENODEV);
}

static void
unmap_of_another(void)
{
	int rc, i;

	open_honest(0);
	f.hook = twist_reply;
	f.arg = (const void *)other_iova;
	do {
		rc = plx_mem_domain_sync(dev->domain);
		fake_step(&f);
	} while (rc == -EINPROGRESS);
	CHECK_EQ(rc, 0);
	{
		int fd = memfd_create("x", MFD_CLOEXEC);
		void *p;

		REQUIRE(ftruncate(fd, 0x10000) == 0);
		p = mmap(NULL, 0x10000, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		CHECK_EQ(plx_mem_register(p, 0x10000, fd, 0), 0);
		for (i = 0; i < 2; i++) {
			do {
				rc = plx_mem_domain_sync(dev->domain);
				fake_step(&f);
			} while (rc == -EINPROGRESS);
			if (i == 0)
				CHECK_EQ(plx_mem_unregister(p, 0x10000), 0);
		}
		CHECK_EQ(rc, -ENODEV);
		munmap(p, 0x10000);
		close(fd);
	}
	CHECK_EQ(dev->lost, -EPROTO);
	CHECK(log_lines() >= 1);
	fake_stop(&f, dev);
}

int
main(int argc, char **argv)
{
	unsigned int fds = hostile_begin(argc, argv);

	RUN(leaves_when_idle);
	RUN(leaves_at_post);
	RUN(leaves_during_reset);
	RUN(hangs_during_read);
	RUN(unasked_reply);
	RUN(reply_too_early);
	RUN(wrong_replies);
	RUN(strange_errors);
	RUN(deaf_few_registers);
	RUN(deaf_many_registers);
	RUN(deaf_too_long);
	RUN(posts_of_threads);
	RUN(greedy);
	RUN(answers_wait);
	RUN(truncates);
	RUN(unmap_of_another);
	return hostile_end(fds);
}
