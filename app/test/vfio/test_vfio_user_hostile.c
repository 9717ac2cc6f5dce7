/* SPDX-License-Identifier: BSD-3-Clause */
/* Servers that do wrong: each costs one error, within the deadline, and nothing else. */
#include <errno.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <rte_common.h>
#include <rte_log.h>

#include "fake.h"
#include "plx_eal.h"
#include "plx_mem.h"
#include "plx_test.h"
#include "plx_vfio.h"
#include "vfio_user_priv.h"

static struct fake f;
static struct plx_vfio_dev *dev;

/* What was logged since the last look. */
static FILE *log_file;
static char *log_text;
static size_t log_size;

static unsigned int
log_lines(void)
{
	unsigned int n = 0;
	size_t i;

	fflush(log_file);
	for (i = 0; i < log_size; i++)
		n += log_text[i] == '\n';
	fwrite(log_text, 1, log_size, stdout);
	rewind(log_file);
	return n;
}

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void
put16(struct fake_msg *m, size_t at, uint16_t v)
{
	memcpy(m->data + at, &v, sizeof(v));
}

static void
put32(struct fake_msg *m, size_t at, uint32_t v)
{
	memcpy(m->data + at, &v, sizeof(v));
}

static void
put64(struct fake_msg *m, size_t at, uint64_t v)
{
	memcpy(m->data + at, &v, sizeof(v));
}

/* A wrong server: the reply to one request of the opening is twisted. */
struct bad {
	const char *name;
	uint16_t cmd;
	unsigned int nth; /* of this command, from 1; so of REGION it is index + 1 */
	void (*twist)(struct fake_msg *m);
	int rc;           /* of the opening */
	const char *text; /* VERSION only: JSON of the reply, instead of twist */
	uint32_t timeout_ms;
};

static bool
twist(struct fake *fk, const uint8_t *req, struct fake_msg *m)
{
	const struct bad *b = fk->arg;

	if (m->cmd != b->cmd || fk->by_cmd[b->cmd] != b->nth)
		return false;
	if (b->twist != NULL) {
		b->twist(m);
	} else {
		memcpy(m->data + 4, b->text, strlen(b->text) + 1);
		m->body = 4 + strlen(b->text) + 1;
		m->size = (uint32_t)(16 + m->body);
	}
	return false;
}

/* clang-format off */
static void short_size(struct fake_msg *m) { m->size = 15; }
static void no_size(struct fake_msg *m) { m->size = 0; }
static void huge_size(struct fake_msg *m) { m->size = UINT32_MAX; }
static void larger_size(struct fake_msg *m) { m->size++; m->body++; }
static void smaller_size(struct fake_msg *m) { m->size--; m->body--; }
static void missing_tail(struct fake_msg *m) { m->body--; }
static void other_id(struct fake_msg *m) { m->id++; }
static void other_command(struct fake_msg *m) { m->cmd++; }
static void no_reply_flag(struct fake_msg *m) { m->flags = 0; }
static void strange_type(struct fake_msg *m) { m->flags = 2; }
static void error_with_body(struct fake_msg *m) { m->flags = 0x21; }
static void twice(struct fake_msg *m) { fake_send_msg(&f, m); }
static void error(struct fake_msg *m) { m->flags = 0x21; m->err = EPERM; m->size = 16; m->body = 0; }
static void fds_16(struct fake_msg *m) { m->fd = f.memfd; m->nfds = 16; }
static void fds_17(struct fake_msg *m) { m->fd = f.memfd; m->nfds = 17; }
static void fds_253(struct fake_msg *m) { m->fd = f.memfd; m->nfds = 253; }
static void hang(struct fake_msg *m) { f.deaf = true; m->body = 0; m->size = 16; m->flags = 0x10; }
static void part_of_header(struct fake_msg *m) { fake_send(&f, m, 7, -1, 0); hang(m); }

static void major_1(struct fake_msg *m) { put16(m, 0, 1); }
static void minor_2(struct fake_msg *m) { put16(m, 2, 2); }
static void no_nul(struct fake_msg *m) { memcpy(m->data + 4, "{}", 2); m->body = 6; m->size = 22; }
static void only_nul(struct fake_msg *m) { m->data[4] = 0; m->body = 5; m->size = 21; }

static void not_pci(struct fake_msg *m) { put32(m, 4, 1); }
static void no_regions(struct fake_msg *m) { put32(m, 8, 0); }
static void all_regions(struct fake_msg *m) { put32(m, 8, UINT32_MAX); }
static void all_irqs(struct fake_msg *m) { put32(m, 12, UINT32_MAX); }

static void other_index(struct fake_msg *m) { put32(m, 8, 1); }
static void growing_argsz(struct fake_msg *m) { put32(m, 0, 8000); m->body = 32; m->size = 48; m->nfds = 0; }
static void huge_argsz(struct fake_msg *m) { put32(m, 0, 0x80000000); }
static void cap_in_front(struct fake_msg *m) { put32(m, 12, 8); }
static void cap_behind(struct fake_msg *m) { put32(m, 12, 60); }
static void cap_far(struct fake_msg *m) { put32(m, 12, UINT32_MAX - 3); }
static void cap_loop(struct fake_msg *m) { put16(m, 32, 9); put32(m, 36, 32); }
static void cap_next_far(struct fake_msg *m) { put32(m, 36, UINT32_MAX); }
static void too_many_areas(struct fake_msg *m) { put32(m, 40, 2); }
static void endless_areas(struct fake_msg *m) { put32(m, 40, UINT32_MAX); }
static void area_beyond(struct fake_msg *m) { put64(m, 48, 0x4000); }
static void area_wraps(struct fake_msg *m) { put64(m, 48, 0x1000); put64(m, 56, (uint64_t)-0x1000); }
static void area_unaligned(struct fake_msg *m) { put64(m, 48, 0x1800); }
static void area_odd_size(struct fake_msg *m) { put64(m, 56, 0x1004); }
static void area_beyond_file(struct fake_msg *m) { put64(m, 48, 0x2000); }
static void region_beyond_file(struct fake_msg *m) { put64(m, 24, 0x1000); }
static void region_wraps(struct fake_msg *m) { put64(m, 24, (uint64_t)-0x1000); }
static void region_negative(struct fake_msg *m) { put64(m, 24, (uint64_t)INT64_MAX - 0xfff); }
static void region_odd_offset(struct fake_msg *m) { put64(m, 24, 0x800); put64(m, 48, 0); }
static void no_fd(struct fake_msg *m) { m->nfds = 0; }
static void not_a_file(struct fake_msg *m) { m->fd = f.fd; }
static void empty_area(struct fake_msg *m) { put64(m, 56, 0); }
static void no_areas(struct fake_msg *m) { put32(m, 40, 0); }
static void whole_region(struct fake_msg *m) { put32(m, 4, 7); }
static void many_vectors(struct fake_msg *m) { put32(m, 12, 2049); }
/* clang-format on */

/* n areas of a page each, from..; the reply has 32 + 16 + 16 * n bytes */
static void
areas(struct fake_msg *m, unsigned int n, uint64_t step)
{
	unsigned int i;

	put32(m, 40, n);
	for (i = 0; i < n; i++) {
		put64(m, 48 + 16 * i, i * step);
		put64(m, 56 + 16 * i, 0x1000);
	}
	m->body = 48 + 16 * n;
	m->size = (uint32_t)(16 + m->body);
	put32(m, 0, (uint32_t)m->body);
}

static void
overlapping(struct fake_msg *m)
{
	areas(m, 2, 0);
}

/* one or one for each area, but not this */
static void
two_fds_for_three(struct fake_msg *m)
{
	areas(m, 3, 0x1000);
	m->nfds = 2;
}

static void
two_sparse(struct fake_msg *m)
{
	memcpy(m->data + 64, m->data + 32, 32);
	put32(m, 36, 64);
	m->body = 96;
	m->size = 112;
	put32(m, 0, 96);
}

static void
cap_cut_off(struct fake_msg *m)
{
	m->body = 44;
	m->size = 60;
}

static void
more_than_asked(struct fake_msg *m)
{
	m->body = 32 + 16 + 16 * 8 + 8;
	m->size = (uint32_t)(16 + m->body);
}

#define OK 0
#define ANY(name, rc)                                                  \
	{#name, C_VERSION, 1, name, rc}, {#name, C_INFO, 1, name, rc}, \
		{#name, C_REGION, 8, name, rc},                        \
	{                                                              \
#name, C_IRQ, 3, name, rc                              \
	}
#define BAR0(name, rc)                       \
	{                                    \
#name, C_REGION, 1, name, rc \
	}
#define JSON(text, rc)                                     \
	{                                                  \
		"json " text, C_VERSION, 1, NULL, rc, text \
	}
#define CAP(text) "{\"capabilities\":{" text "}}"

static const struct bad bads[] = {
	ANY(short_size, -EPROTO),
	ANY(no_size, -EPROTO),
	ANY(huge_size, -EPROTO),
	ANY(other_id, -EPROTO),
	ANY(other_command, -EPROTO),
	ANY(strange_type, -EPROTO),
	ANY(error_with_body, -EPROTO),
	ANY(fds_16, OK),
	ANY(fds_17, -EPROTO),
	ANY(fds_253, -EPROTO),
	ANY(twice, -EPROTO),
	{"larger_size", C_INFO, 1, larger_size, -EPROTO},
	{"larger_size", C_IRQ, 1, larger_size, -EPROTO},
	{"larger_size", C_REGION, 2, larger_size, OK},
	{"smaller_size", C_VERSION, 1, smaller_size, -EPROTO},
	{"smaller_size", C_INFO, 1, smaller_size, -EPROTO},
	{"smaller_size", C_REGION, 2, smaller_size, -EPROTO},
	{"smaller_size", C_IRQ, 1, smaller_size, -EPROTO},
	{"missing_tail", C_IRQ, 5, missing_tail, -ETIMEDOUT, NULL, 200},
	{"part_of_header", C_IRQ, 1, part_of_header, -EPROTO, NULL, 200},
	{"no_reply_flag", C_VERSION, 1, no_reply_flag, -EPROTO},
	{"no_reply_flag", C_INFO, 1, no_reply_flag, -ETIMEDOUT, NULL, 200},
	{"error", C_VERSION, 1, error, -EPROTONOSUPPORT},
	{"error", C_INFO, 1, error, -EPROTO},
	{"error", C_REGION, 9, error, OK},
	{"error", C_REGION, 8, error, -EPROTONOSUPPORT},
	{"error", C_IRQ, 5, error, OK},
	{"major_1", C_VERSION, 1, major_1, -EPROTONOSUPPORT},
	{"minor_2", C_VERSION, 1, minor_2, -EPROTONOSUPPORT},
	{"no_nul", C_VERSION, 1, no_nul, -EPROTO},
	{"only_nul", C_VERSION, 1, only_nul, -EPROTO},
	JSON("{}", OK),
	JSON(" { \"capabilities\" : { } } ", OK),
	JSON(CAP("\"max_msg_fds\":1,\"unknown\":{\"a\":[null]}"), OK),
	JSON("[]", -EPROTO),
	JSON("0", -EPROTO),
	JSON("null", -EPROTO),
	JSON("{", -EPROTO),
	JSON("{}x", -EPROTO),
	JSON("{}{}", -EPROTO),
	JSON("garbage", -EPROTO),
	JSON("{\"capabilities\":1}", -EPROTO),
	JSON("{\"capabilities\":null}", -EPROTO),
	JSON("{\"\xff\":1}", -EPROTO),
	JSON(CAP("\"max_msg_fds\":\"8\""), -EPROTO),
	JSON(CAP("\"max_msg_fds\":0"), -EPROTO),
	JSON(CAP("\"max_msg_fds\":-1"), -EPROTO),
	JSON(CAP("\"max_msg_fds\":1.5"), -EPROTO),
	JSON(CAP("\"max_msg_fds\":true"), -EPROTO),
	JSON(CAP("\"max_data_xfer_size\":7"), -EPROTO),
	JSON(CAP("\"max_data_xfer_size\":4294967296"), -EPROTO),
	JSON(CAP("\"max_data_xfer_size\":4294967295"), OK),
	JSON(CAP("\"max_dma_maps\":0"), -EPROTO),
	JSON(CAP("\"max_dma_maps\":[]"), -EPROTO),
	JSON(CAP("\"pgsizes\":0"), -EPROTO),
	JSON(CAP("\"pgsizes\":18446744073709547520"), OK),
	JSON("[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[", -EPROTO),
	{"not_pci", C_INFO, 1, not_pci, -EPROTONOSUPPORT},
	{"no_regions", C_INFO, 1, no_regions, -EPROTONOSUPPORT},
	{"all_regions", C_INFO, 1, all_regions, OK},
	{"all_irqs", C_INFO, 1, all_irqs, OK},
	BAR0(other_index, -EPROTO),
	{"growing_argsz", C_REGION, 1, growing_argsz, OK},
	BAR0(huge_argsz, -EPROTO),
	BAR0(more_than_asked, -EPROTO),
	BAR0(cap_in_front, -EPROTO),
	BAR0(cap_behind, -EPROTO),
	BAR0(cap_far, -EPROTO),
	BAR0(cap_loop, -EPROTO),
	BAR0(cap_next_far, -EPROTO),
	BAR0(cap_cut_off, -EPROTO),
	BAR0(two_sparse, -EPROTO),
	BAR0(too_many_areas, -EPROTO),
	BAR0(endless_areas, -EPROTO),
	BAR0(area_beyond, -EPROTO),
	BAR0(area_wraps, -EPROTO),
	BAR0(area_unaligned, -EPROTO),
	BAR0(area_odd_size, -EPROTO),
	BAR0(overlapping, -EPROTO),
	BAR0(area_beyond_file, -EPROTO),
	BAR0(region_beyond_file, -EPROTO),
	BAR0(region_wraps, -EPROTO),
	BAR0(region_negative, -EPROTO),
	BAR0(region_odd_offset, -EINVAL),
	BAR0(not_a_file, -EPROTO),
	BAR0(two_fds_for_three, -EPROTO),
	BAR0(whole_region, -EPROTO), /* longer than the file */
	BAR0(no_fd, OK),
	BAR0(empty_area, OK),
	BAR0(no_areas, OK),
	{"other_index", C_IRQ, 1, other_index, -EPROTO},
	{"many_vectors", C_IRQ, 3, many_vectors, -EPROTO},
};

static void
opening(void)
{
	unsigned int i, fds, failed;

	for (i = 0; i < RTE_DIM(bads); i++) {
		const struct bad *b = &bads[i];
		double t = now();
		int rc;

		fds = fake_open_fds();
		failed = (unsigned int)test_failures;
		fake_start(&f, b->timeout_ms, &dev);
		f.hook = twist;
		f.arg = b;
		rc = fake_run(&f, dev, -EINPROGRESS);
		CHECK_EQ(rc, b->rc);
		CHECK_EQ(dev->lost, b->rc);
		CHECK_EQ(log_lines(), b->rc != 0);
		if (rc == 0 && b->cmd == C_REGION && b->nth == 1 && b->twist != growing_argsz)
			CHECK_EQ(dev->regions[0].nb_areas, 0);
		CHECK_EQ(plx_vfio_poll(dev), rc != 0 ? -ENODEV : 0);
		fake_stop(&f, dev);
		CHECK_EQ(fake_open_fds(), fds);
		CHECK(now() - t < 5);
		if (failed != (unsigned int)test_failures)
			fprintf(stderr, "... with %s, command %u number %u\n", b->name, b->cmd,
				b->nth);
	}
}

/* The server stops at its nth request: it hangs, leaves, or leaves within a header or a body. */
enum stop { STOP_HANG, STOP_EOF, STOP_HEADER, STOP_BODY };
static enum stop stop_how;
static unsigned int stop_at;

static bool
stop_hook(struct fake *fk, const uint8_t *req, struct fake_msg *m)
{
	if (fk->served != stop_at)
		return false;
	if (stop_how == STOP_HANG) {
		fk->deaf = true;
		return true;
	}
	if (stop_how == STOP_HEADER)
		fake_send(fk, req, 9, fk->memfd, 1);
	if (stop_how == STOP_BODY) {
		m->body--;
		m->nfds = 1;
		m->fd = fk->memfd;
		fake_send_msg(fk, m);
	}
	close(fk->fd);
	fk->fd = -1;
	return true;
}

/* VERSION, INFO, 9 regions and 5 interrupts are 16 questions. */
static void
stopping(void)
{
	unsigned int fds = fake_open_fds();

	for (stop_how = STOP_HANG; stop_how <= STOP_BODY; stop_how++) {
		for (stop_at = 1; stop_at <= 16; stop_at++) {
			double t = now();

			fake_start(&f, stop_how == STOP_HANG ? 100 : 0, &dev);
			f.hook = stop_hook;
			CHECK_EQ(fake_run(&f, dev, -EINPROGRESS),
				stop_how == STOP_HANG ? -ETIMEDOUT : -ENODEV);
			CHECK_EQ(log_lines(), 1);
			fake_stop(&f, dev);
			CHECK(now() - t < 5);
			CHECK_EQ(fake_open_fds(), fds);
		}
	}
}

/* ---- with an open device ---- */

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
		other_count, larger_size, smaller_size, other_id, other_command, error_with_body};
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
	unsigned int fds;

	REQUIRE(plx_eal_init_app(argc, argv) >= 0);
	log_file = open_memstream(&log_text, &log_size);
	rte_openlog_stream(log_file);
	fds = fake_open_fds();
	RUN(opening);
	RUN(stopping);
	RUN(leaves_when_idle);
	RUN(leaves_at_post);
	RUN(leaves_during_reset);
	RUN(hangs_during_read);
	RUN(unasked_reply);
	RUN(wrong_replies);
	RUN(strange_errors);
	RUN(deaf_few_registers);
	RUN(deaf_many_registers);
	RUN(deaf_too_long);
	RUN(posts_of_threads);
	RUN(greedy);
	RUN(truncates);
	RUN(unmap_of_another);
	CHECK_EQ(fake_open_fds(), fds);
	rte_openlog_stream(NULL);
	fclose(log_file);
	free(log_text);
	plx_eal_cleanup();
	return TEST_RESULT();
}
