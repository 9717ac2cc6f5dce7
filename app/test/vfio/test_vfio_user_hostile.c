/* SPDX-License-Identifier: BSD-3-Clause */
/* Servers that do wrong while the device is opened: each costs one error, within the deadline, and
 * nothing else. */
#include <time.h>

#include "hostile.h"

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* A wrong server: the reply to one request of the opening is twisted. */
struct bad {
	const char *name;
	uint16_t cmd;
	unsigned int nth; /* of this command, from 1; so of REGION it is index + 1 */
	void (*twist)(struct fake_msg *m);
	int rc;           /* of the opening */
	const char *text; /* of VERSION: JSON of the reply, instead of twist; else to be logged */
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
static void missing_tail(struct fake_msg *m) { m->body--; }
static void no_reply_flag(struct fake_msg *m) { m->flags = 0; }
static void strange_type(struct fake_msg *m) { m->flags = 2; }
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
static void area_beyond(struct fake_msg *m) { put64(m, 48, 0x4000); if (ftruncate(f.memfd, 0x8000)) abort(); }
static void area_wraps(struct fake_msg *m) { put64(m, 48, 0x1000); put64(m, 56, (uint64_t)-0x1000); }
static void area_unaligned(struct fake_msg *m) { put64(m, 48, 0x1800); }
static void area_odd_size(struct fake_msg *m) { put64(m, 56, 0x804); }
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

/* the first is mapped and let go of */
static void
second_beyond_file(struct fake_msg *m)
{
	areas(m, 2, 0x2000);
}

/* config space isn't mapped, whatever the server offers */
static void
mapped_config(struct fake_msg *m)
{
	put32(m, 4, 7);
	m->nfds = 1;
	m->fd = f.memfd;
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
#define BAR0(name, rc, ...)                                 \
	{                                                   \
#name, C_REGION, 1, name, rc, ##__VA_ARGS__ \
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
	{"error_with_body", C_VERSION, 1, error_with_body, -EPROTONOSUPPORT},
	{"error_with_body", C_INFO, 1, error_with_body, -EPROTO},
	{"error_with_body", C_REGION, 9, error_with_body, OK},
	{"error_with_body", C_IRQ, 5, error_with_body, OK},
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
	BAR0(cap_in_front, -EPROTO, "outside the region info"),
	BAR0(cap_behind, -EPROTO, "outside the region info"),
	BAR0(cap_far, -EPROTO, "outside the region info"),
	BAR0(cap_loop, -EPROTO, "loop"),
	BAR0(cap_next_far, -EPROTO, "outside the region info"),
	BAR0(cap_cut_off, -EPROTO, "cut off"),
	BAR0(two_sparse, -EPROTO, "two sparse"),
	BAR0(too_many_areas, -EPROTO, "fewer areas"),
	BAR0(endless_areas, -EPROTO, "fewer areas"),
	BAR0(area_beyond, -EPROTO, "outside the region"),
	BAR0(area_wraps, -EPROTO, "outside the region"),
	BAR0(area_unaligned, -EPROTO, "not page aligned"),
	BAR0(area_odd_size, -EPROTO, "not page aligned"),
	BAR0(overlapping, -EPROTO, "overlap"),
	BAR0(area_beyond_file, -EPROTO, "longer than the file"),
	BAR0(region_beyond_file, -EPROTO, "longer than the file"),
	BAR0(region_wraps, -EPROTO, "out of range"),
	BAR0(region_negative, -EPROTO, "out of range"),
	BAR0(region_odd_offset, -EINVAL),
	BAR0(not_a_file, -EPROTO, "longer than the file"),
	BAR0(two_fds_for_three, -EPROTO, "more mappable areas"),
	BAR0(second_beyond_file, -EPROTO, "longer than the file"),
	{"mapped_config", C_REGION, 8, mapped_config, OK},
	BAR0(whole_region, -EPROTO, "longer than the file"), /* longer than the file */
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
		if (b->cmd != C_VERSION && b->text != NULL)
			CHECK(strstr(log_text, b->text) != NULL, "%s", log_text);
		if (rc == 0 && b->cmd == C_REGION && b->nth == 1 && b->twist != growing_argsz)
			CHECK_EQ(dev->regions[0].nb_areas, 0);
		CHECK_EQ(dev->regions[7].nb_areas, 0);
		CHECK_EQ(plx_vfio_poll(dev), rc != 0 ? -ENODEV : 0);
		fake_stop(&f, dev);
		CHECK_EQ(fake_open_fds(), fds);
		CHECK(now() - t < 5);
		if (failed != (unsigned int)test_failures)
			fprintf(stderr, "... with %s, command %u number %u\n", b->name, b->cmd,
				b->nth);
	}
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

/* What it said before it left counts. */
static bool
refuse_and_leave(struct fake *fk, const uint8_t *req, struct fake_msg *m)
{
	error(m);
	fake_send_msg(fk, m);
	close(fk->fd);
	fk->fd = -1;
	return true;
}

static bool
ask_for_more(struct fake *fk, const uint8_t *req, struct fake_msg *m)
{
	uint32_t argsz;

	memcpy(&argsz, req + 16, sizeof(argsz));
	if (m->cmd == C_REGION)
		put32(m, 0, argsz + 16);
	return false;
}

/* Reaches for memory when none is mapped yet. */
static bool
dma_too_early(struct fake *fk, const uint8_t *req, struct fake_msg *m)
{
	static const struct fake_msg dma = {.cmd = C_DMA_READ, .size = 32, .body = 16};

	if (m->cmd == C_INFO)
		fake_send_msg(fk, &dma);
	return false;
}

static void
hooks(void)
{
	static const struct {
		bool (*hook)(struct fake *fk, const uint8_t *req, struct fake_msg *m);
		int rc;
	} cases[] = {
		{refuse_and_leave, -EPROTONOSUPPORT}, {ask_for_more, -EPROTO}, {dma_too_early, 0}};
	unsigned int i;

	for (i = 0; i < RTE_DIM(cases); i++) {
		fake_start(&f, 0, &dev);
		f.hook = cases[i].hook;
		CHECK_EQ(fake_run(&f, dev, -EINPROGRESS), cases[i].rc);
		CHECK_EQ(log_lines(), cases[i].rc != 0);
		fake_stop(&f, dev);
	}
}

int
main(int argc, char **argv)
{
	unsigned int fds = hostile_begin(argc, argv);

	RUN(opening);
	RUN(stopping);
	RUN(hooks);
	return hostile_end(fds);
}
