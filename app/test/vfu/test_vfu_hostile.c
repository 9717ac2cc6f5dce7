/* SPDX-License-Identifier: BSD-3-Clause */
/* Clients that break the rules, by accident or not: the server stays, and serves the next one. */
#include <dirent.h>
#include <sys/resource.h>

#include "vfu_client.h"

static int
count_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	REQUIRE(d != NULL);
	while (readdir(d) != NULL)
		n++;
	closedir(d);
	return n;
}

static void
still_serves(struct rig *r)
{
	rig_leave(r);
	hello(r);
	ASK(r, "0200 0400 20000000 00000000 00000000 10000000 00000000 00000000 00000000",
		"0200 0400 20000000 01000000 00000000 10000000 03000000 09000000 05000000");
}

/* The message is answered by the end of the connection, perhaps after an error reply. */
static void
ends(struct rig *r, int line, const char *hex, const int *fds, unsigned int nfds)
{
	uint8_t in[BUF];
	uint32_t len = unhex(hex, in);
	int n;

	REQUIRE(send_bytes(r->fd, in, len, fds, nfds) == 0);
	n = await(r);
	if (n > 0)
		n = await(r);
	if (n != 0) {
		test_failures++;
		fprintf(stderr, "line %d: the connection goes on (%d)\n", line, n);
	}
}
#define ENDS(r, hex) ends(r, __LINE__, hex, NULL, 0)

static void
bad_frames(void)
{
	static const char *const frames[] = {
		"0000 0d00 0f000000 00000000 00000000", /* shorter than its header */
		"0000 0d00 00000000 00000000 00000000",
		"0000 0a00 21001000 00000000 00000000", /* a byte more than the most */
		"0000 0d00 ffffffff 00000000 00000000",
		"0000 0d00 10000000 01000000 00000000", /* a reply; a third type */
		"0000 0d00 10000000 02000000 00000000",
	};
	struct rig r;
	size_t i;

	rig_open(&r);
	for (i = 0; i < sizeof(frames) / sizeof(frames[0]); i++) {
		hello(&r);
		ENDS(&r, frames[i]);
		rig_leave(&r);
		rig_connect(&r);
		ENDS(&r, frames[i]);
		still_serves(&r);
		rig_leave(&r);
	}
	rig_close(&r);
}

static void
bad_hello(void)
{
	int fd = make_memfd(4096);
	struct rig r;

	rig_open(&r);
	/* something else first; too short; version 1.0; no NUL; not JSON; wrong types */
	rig_connect(&r);
	ENDS(&r, "0000 0d00 10000000 00000000 00000000");
	still_serves(&r);
	rig_leave(&r);
	rig_connect(&r);
	ENDS(&r, "0000 0100 12000000 00000000 00000000 0000");
	still_serves(&r);
	rig_leave(&r);
	rig_connect(&r);
	ENDS(&r, "0000 0100 14000000 00000000 00000000 0100 0000");
	still_serves(&r);
	rig_leave(&r);
	rig_connect(&r);
	ENDS(&r, "0000 0100 16000000 00000000 00000000 0000 0000 7b7d");
	still_serves(&r);
	rig_leave(&r);
	rig_connect(&r);
	ends(&r, __LINE__, "0000 0100 14000000 00000000 00000000 0000 0000", &fd, 1);
	still_serves(&r);
	close(fd);
	rig_close(&r);
}

static void
bad_json(void)
{
	static const char *const texts[] = {
		"",
		"{",
		"[]",
		"nonsense",
		"{\"capabilities\":[]}",
		"{\"capabilities\":{",
		"{\"capabilities\":{\"max_msg_fds\":\"8\"}}",
		"{\"capabilities\":{\"max_msg_fds\":-1}}",
		"{\"capabilities\":{\"write_multiple\":1}}",
		"{\"capabilities\":{\"pgsizes\":[]}}",
		"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]",
		"{\"capabilities\":{\"max_dma_maps\":null}}",
	};
	uint8_t in[BUF];
	struct rig r;
	uint32_t n;
	size_t i;

	rig_open(&r);
	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		rig_connect(&r);
		n = unhex("0000 0100 00000000 00000000 00000000 0000 0000", in);
		memcpy(in + n, texts[i], strlen(texts[i]) + 1);
		n += (uint32_t)strlen(texts[i]) + 1;
		in[4] = (uint8_t)n;
		REQUIRE(send_bytes(r.fd, in, n, NULL, 0) == 0);
		CHECK_EQ(await(&r), 16);
		CHECK_EQ(r.reply[8], 0x21);
		CHECK_EQ(await(&r), 0);
		rig_leave(&r);
	}
	still_serves(&r);
	rig_close(&r);
}

/* Every command with every payload length from 0 up: refused or done, never more than that. */
static void
truncated(void)
{
	uint8_t in[BUF];
	uint16_t cmd;
	uint32_t len;
	struct rig r;

	rig_open(&r);
	hello(&r);
	for (cmd = 0; cmd < 20; cmd++) {
		for (len = 16; len < 70; len++) {
			memset(in, 0, sizeof(in));
			memset(in + 16, cmd & 1 ? 0xff : 0, len - 16);
			memcpy(in + 2, &cmd, 2);
			memcpy(in + 4, &len, 4);
			REQUIRE(send_bytes(r.fd, in, len, NULL, 0) == 0);
			CHECK(await(&r) >= 16);
		}
	}
	still_serves(&r);
	rig_close(&r);
}

/* A message byte by byte, several at once, and one left unfinished. */
static void
in_pieces(void)
{
	uint8_t one[BUF], in[BUF];
	uint32_t len = unhex(
		"0200 0400 20000000 00000000 00000000 10000000 00000000 00000000 00000000", one);
	struct rig r;
	uint32_t i;

	rig_open(&r);
	hello(&r);
	for (i = 0; i < len; i++) {
		REQUIRE(send_bytes(r.fd, one + i, 1, NULL, 0) == 0);
		plx_vfu_poll(r.vfu);
		CHECK_EQ(recv_once(&r) > 0, i == len - 1);
	}
	for (i = 0; i < 100; i++)
		memcpy(in + i * len, one, len);
	REQUIRE(send_bytes(r.fd, in, 100 * len, NULL, 0) == 0);
	rig_poll(&r);
	CHECK_EQ(recv_once(&r), 100 * len);
	for (i = 1; i < len; i++) {
		REQUIRE(send_bytes(r.fd, one, i, NULL, 0) == 0);
		still_serves(&r);
	}
	CHECK_EQ(r.model.losses, len - 1);
	rig_close(&r);
}

/* A client that asks much and reads nothing: the server waits with it, not for it. */
static void
never_reads(void)
{
	uint8_t in[BUF];
	uint32_t len = unhex(
		"0000 0900 20000000 00000000 00000000 0000000000000000 07000000 00100000", in);
	struct rig r;
	int i, sent = 0;

	rig_open(&r);
	hello(&r);
	for (i = 0; i < 100000; i++) {
		if (send_bytes(r.fd, in, len, NULL, 0) == 0)
			sent++;
		else if (plx_vfu_poll(r.vfu) == 0)
			break;
	}
	CHECK(i < 100000);
	CHECK(sent > 10);
	/* and then reads on */
	for (i = 0; i < 10; i++)
		CHECK(await(&r) > 0);
	still_serves(&r);
	rig_close(&r);
}

static void
fd_floods(void)
{
	int fds[253], file = make_memfd(0x1000), i, before;
	struct rlimit old, tight;
	struct rig r;

	for (i = 0; i < 253; i++)
		fds[i] = file;
	rig_open(&r);
	hello(&r);
	before = count_fds();
	/* with commands that want none, or one; with each half of a message */
	ASK_FDS(&r, "0200 0400 20000000 00000000 00000000 10000000 00000000 00000000 00000000", fds,
		253, "0200 0400 20000000 01000000 00000000 10000000 03000000 09000000 05000000");
	ASK_FDS(&r,
		"0900 0200 30000000 00000000 00000000"
		" 20000000 03000000 0000000000000000 0000100000000000 0010000000000000",
		fds, 2, "0900 0200 10000000 21000000 16000000");
	CHECK_EQ(count_fds(), before);
	/* more than a message may bring, in pieces: the end */
	REQUIRE(send_bytes(r.fd, "\2\0\4\0", 4, fds, 253) == 0);
	rig_poll(&r);
	CHECK_EQ(count_fds(), before + 253);
	ends(&r, __LINE__, "20000000", fds, 1);
	still_serves(&r);
	CHECK_EQ(count_fds(), before);
	/* no room for them here: what arrives is truncated, and the client has to go */
	REQUIRE(getrlimit(RLIMIT_NOFILE, &old) == 0);
	tight = old;
	tight.rlim_cur = (rlim_t)before + 2;
	REQUIRE(setrlimit(RLIMIT_NOFILE, &tight) == 0);
	ends(&r, __LINE__,
		"0200 0400 20000000 00000000 00000000 10000000 00000000 00000000 00000000", fds,
		253);
	REQUIRE(setrlimit(RLIMIT_NOFILE, &old) == 0);
	still_serves(&r);
	CHECK_EQ(count_fds(), before);
	close(file);
	rig_close(&r);
}

static void
bad_maps(void)
{
	static const struct {
		const char *what, *bytes;
	} bad[] = {
		{"short argsz",
			"1f000000 03000000 0000000000000000 0000100000000000 0010000000000000"},
		{"no access",
			"20000000 00000000 0000000000000000 0000100000000000 0010000000000000"},
		{"unknown flag",
			"20000000 07000000 0000000000000000 0000100000000000 0010000000000000"},
		{"empty", "20000000 03000000 0000000000000000 0000100000000000 0000000000000000"},
		{"wraps", "20000000 03000000 0000000000000000 00f0ffffffffffff 0020000000000000"},
		{"address", "20000000 03000000 0000000000000000 0008100000000000 0010000000000000"},
		{"size", "20000000 03000000 0000000000000000 0000100000000000 0110000000000000"},
		{"offset", "20000000 03000000 0002000000000000 0000100000000000 0010000000000000"},
		{"behind the file",
			"20000000 03000000 0040000000000000 0000100000000000 0010000000000000"},
		{"longer than the file",
			"20000000 03000000 0010000000000000 0000100000000000 0040000000000000"},
		{"offset wraps",
			"20000000 03000000 00f0ffffffffffff 0000100000000000 0020000000000000"},
		{"8 EiB", "20000000 03000000 0000000000000000 0000000000000000 0000000000000080"},
	};
	int fd = make_memfd(0x4000), dir = open("/tmp", O_RDONLY), pipefd[2], rdonly, before;
	struct plx_vfu_dma cache = {0};
	char hex[256], path[64];
	struct rig r;
	size_t i;

	REQUIRE(pipe(pipefd) == 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	rdonly = open(path, O_RDONLY);
	rig_open(&r);
	hello(&r);
	before = count_fds();
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		snprintf(hex, sizeof(hex), "0900 0200 30000000 00000000 00000000 %s", bad[i].bytes);
		REQUIRE(send_bytes(r.fd, hex, unhex(hex, (uint8_t *)hex), &fd, 1) == 0);
		CHECK_EQ(await(&r), 16);
		CHECK(r.reply[8] == 0x21 && r.reply[12] == EINVAL, "%s", bad[i].what);
	}
	snprintf(hex, sizeof(hex), "%s",
		"0900 0200 30000000 00000000 00000000"
		" 20000000 03000000 0000000000000000 0000100000000000 0010000000000000");
	ASK_FDS(&r, hex, &dir, 1, "0900 0200 10000000 21000000 16000000");
	ASK_FDS(&r, hex, &pipefd[1], 1, "0900 0200 10000000 21000000 16000000");
	ASK_FDS(&r, hex, &rdonly, 1, "0900 0200 10000000 21000000 0d000000"); /* EACCES */
	CHECK(!plx_vfu_dma_find(r.vfu, 0x100000, &cache));
	CHECK_EQ(r.model.added, 0);
	CHECK_EQ(count_fds(), before);
	close(fd);
	close(dir);
	close(rdonly);
	close(pipefd[0]);
	close(pipefd[1]);
	rig_close(&r);
}

/* Fill the table in a shuffled order, look up each, and see the bound. */
static void
many_maps(void)
{
	const uint32_t max = 16384;
	int fd = make_memfd(0x1000), step = 0;
	uint8_t in[BUF];
	struct plx_vfu_dma c = {0};
	struct rig r;
	uint64_t addr;
	uint32_t i, bad = 0;

	rig_open(&r);
	hello(&r);
	unhex("0900 0200 30000000 10000000 00000000"
	      " 20000000 03000000 0000000000000000 0000000000000000 0010000000000000",
		in);
	for (i = 0; i < max; i++) {
		addr = (uint64_t)(i * 7919u % max) * 0x2000;
		memcpy(in + 32, &addr, 8);
		REQUIRE(send_bytes(r.fd, in, 48, &fd, 1) == 0);
		if (++step % 16 == 0)
			rig_poll(&r);
	}
	rig_poll(&r);
	CHECK_EQ(r.model.added, max);
	for (i = 0; i < max; i++) {
		addr = (uint64_t)i * 0x2000;
		bad += plx_vfu_dma_ptr(r.vfu, &c, addr + 0xfff, 1, true) == NULL;
		bad += plx_vfu_dma_ptr(r.vfu, &c, addr + 0x1000, 1, false) != NULL;
	}
	CHECK_EQ(bad, 0);
	ASK_FDS(&r,
		"0900 0200 30000000 00000000 00000000"
		" 20000000 03000000 0000000000000000 0000000000000010 0010000000000000",
		&fd, 1, "0900 0200 10000000 21000000 1c000000"); /* ENOSPC */
	close(fd);
	rig_close(&r);
}

/* After each of these the client is gone, with memory mapped and an interrupt wired. */
static void
leaves_any_time(void)
{
	static const char *const last[] = {
		"0000 0d00 10000000 00000000 00000000",
		"0a00 0300 28000000 00000000 00000000"
		" 18000000 00000000 0000100000000000 0010000000000000",
		"0100 0a00 22000000 00000000 00000000 6800000000000000 07000000 02000000 0080",
		"0200 0400 20000000 00000000",
		"",
	};
	int fd = make_memfd(0x1000), efd = eventfd(0, 0), before, waits;
	struct plx_vfu_dma cache;
	uint8_t in[BUF];
	struct rig r;
	size_t i;
	void *mem;

	rig_open(&r);
	before = count_fds();
	for (i = 0; i < sizeof(last) / sizeof(last[0]); i++) {
		for (waits = 0; waits < 30; waits += 10) {
			hello(&r);
			ASK_FDS(&r,
				"0900 0200 30000000 00000000 00000000 20000000 03000000"
				" 0000000000000000 0000100000000000 0010000000000000",
				&fd, 1, "0900 0200 10000000 01000000 00000000");
			ASK_FDS(&r,
				"0100 0800 24000000 00000000 00000000"
				" 14000000 24000000 02000000 00000000 01000000",
				&efd, 1, "0100 0800 10000000 01000000 00000000");
			tell(&r, "0100 0a00 22000000 10000000 00000000"
				 " 0400000000000000 07000000 02000000 0404");
			mem = plx_vfu_bar_mem(r.vfu, 0);
			memset(mem, 0xee, 4096);
			r.model.reset_waits = r.model.gone_waits = waits;
			r.model.losses = 0;
			REQUIRE(send_bytes(r.fd, in, unhex(last[i], in), NULL, 0) == 0);
			if (waits != 0)
				plx_vfu_poll(r.vfu);
			rig_leave(&r);
			rig_poll(&r);
			rig_poll(&r);
			CHECK_EQ(r.model.losses, 1);
			CHECK_EQ(r.model.gone_len, 0);
			CHECK(!plx_vfu_connected(r.vfu));
			CHECK(!plx_vfu_bus_master(r.vfu));
			CHECK(!plx_vfu_dma_find(r.vfu, 0x100000, &cache));
			CHECK_EQ(*(uint8_t *)plx_vfu_bar_mem(r.vfu, 0), 0);
			CHECK_EQ(count_fds(), before);
			plx_vfu_irq(r.vfu, 0);
		}
	}
	close(fd);
	close(efd);
	rig_close(&r);
}

int
main(void)
{
	int before = count_fds();

	RUN(bad_frames);
	RUN(bad_hello);
	RUN(bad_json);
	RUN(truncated);
	RUN(in_pieces);
	RUN(never_reads);
	RUN(fd_floods);
	RUN(bad_maps);
	RUN(many_maps);
	RUN(leaves_any_time);
	CHECK_EQ(count_fds(), before);
	return TEST_RESULT();
}
