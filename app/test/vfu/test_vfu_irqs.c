/* SPDX-License-Identifier: BSD-3-Clause */
/* SET_IRQS in all its forms, byte for byte, and what then arrives on the eventfds. */
#include "vfu_client.h"

#define OK(id) id " 0800 10000000 01000000 00000000"
#define INVAL(id) id " 0800 10000000 21000000 16000000"

static int
make_eventfd(void)
{
	int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);

	REQUIRE(fd >= 0);
	return fd;
}

/* @return how often it was signalled since the last time */
static int
fired(int fd)
{
	uint64_t n = 0;

	return read(fd, &n, sizeof(n)) == sizeof(n) ? (int)n : 0;
}

static void
msix_eventfds(void)
{
	int efd[4], i;
	struct rig r;

	rig_open(&r);
	hello(&r);
	for (i = 0; i < 4; i++)
		efd[i] = make_eventfd();
	/* eventfds for all four vectors: eventfd + trigger is 0x24 */
	ASK_FDS(&r,
		"0100 0800 24000000 00000000 00000000 14000000 24000000 02000000 00000000 04000000",
		efd, 4, OK("0100"));
	plx_vfu_irq(r.vfu, 2);
	plx_vfu_irq(r.vfu, 2);
	plx_vfu_irq(r.vfu, 4); /* no such vector */
	CHECK_EQ(fired(efd[2]), 2);
	CHECK_EQ(fired(efd[0]) + fired(efd[1]) + fired(efd[3]), 0);
	/* trigger 1 and 2 by hand: none + trigger */
	ASK(&r, "0100 0800 24000000 00000000 00000000 14000000 21000000 02000000 01000000 02000000",
		OK("0100"));
	CHECK_EQ(fired(efd[1]), 1);
	CHECK_EQ(fired(efd[2]), 1);
	/* bool + trigger: the second and fourth of four */
	ASK(&r,
		"0100 0800 28000000 00000000 00000000 18000000 22000000 02000000 00000000 04000000"
		" 00010001",
		OK("0100"));
	CHECK_EQ(fired(efd[1]) + fired(efd[3]), 2);
	CHECK_EQ(fired(efd[0]) + fired(efd[2]), 0);
	/* unwire vectors 1 and 2: no fds */
	ASK(&r, "0100 0800 24000000 00000000 00000000 14000000 24000000 02000000 01000000 02000000",
		OK("0100"));
	for (i = 0; i < 4; i++)
		plx_vfu_irq(r.vfu, (unsigned int)i);
	CHECK_EQ(fired(efd[0]) + fired(efd[3]), 2);
	CHECK_EQ(fired(efd[1]) + fired(efd[2]), 0);
	/* disable: none + trigger, count 0 */
	ASK(&r, "0100 0800 24000000 00000000 00000000 14000000 21000000 02000000 00000000 00000000",
		OK("0100"));
	plx_vfu_irq(r.vfu, 0);
	CHECK_EQ(fired(efd[0]), 0);
	for (i = 0; i < 4; i++)
		close(efd[i]);
	rig_close(&r);
}

static void
msix_masks(void)
{
	int efd[2] = {make_eventfd(), make_eventfd()};
	struct rig r;

	rig_open(&r);
	hello(&r);
	ASK_FDS(&r,
		"0100 0800 24000000 00000000 00000000 14000000 24000000 02000000 00000000 02000000",
		efd, 2, OK("0100"));
	/* mask vector 1: none + mask; it is pending then, bit 1 of the PBA */
	ASK(&r, "0100 0800 24000000 00000000 00000000 14000000 09000000 02000000 01000000 01000000",
		OK("0100"));
	plx_vfu_irq(r.vfu, 0);
	plx_vfu_irq(r.vfu, 1);
	plx_vfu_irq(r.vfu, 1);
	CHECK_EQ(fired(efd[0]), 1);
	CHECK_EQ(fired(efd[1]), 0);
	ASK(&r, "0200 0900 20000000 00000000 00000000 0010000000000000 04000000 08000000",
		"0200 0900 28000000 01000000 00000000 0010000000000000 04000000 08000000"
		" 02000000 00000000");
	/* unmask by bool: one interrupt, however many were held back */
	ASK(&r,
		"0100 0800 26000000 00000000 00000000 16000000 12000000 02000000 00000000 02000000"
		" 0001",
		OK("0100"));
	CHECK_EQ(fired(efd[1]), 1);
	/* by the table: vector control of entry 1 at 0x1c; other words are kept as written */
	ASK(&r,
		"0200 0a00 30000000 00000000 00000000 1000000000000000 04000000 10000000"
		" 0000e0fe 00000000 41000000 ffffffff",
		"0200 0a00 20000000 01000000 00000000 1000000000000000 04000000 10000000");
	ASK(&r, "0200 0900 20000000 00000000 00000000 1000000000000000 04000000 10000000",
		"0200 0900 30000000 01000000 00000000 1000000000000000 04000000 10000000"
		" 0000e0fe 00000000 41000000 01000000");
	plx_vfu_irq(r.vfu, 1);
	CHECK_EQ(fired(efd[1]), 0);
	tell(&r,
		"0200 0a00 24000000 10000000 00000000 1c00000000000000 04000000 04000000 00000000");
	CHECK_EQ(fired(efd[1]), 1);
	/* by the function mask, bit 14 of the word at 0x52, set with enable */
	tell(&r, "0200 0a00 22000000 10000000 00000000 5200000000000000 07000000 02000000 00c0");
	plx_vfu_irq(r.vfu, 0);
	CHECK_EQ(fired(efd[0]), 0);
	tell(&r, "0200 0a00 22000000 10000000 00000000 5200000000000000 07000000 02000000 0080");
	CHECK_EQ(fired(efd[0]), 1);
	/* the PBA can't be written, nor what lies between */
	tell(&r,
		"0200 0a00 24000000 10000000 00000000 0010000000000000 04000000 04000000 ffffffff");
	ASK(&r, "0200 0900 20000000 00000000 00000000 0010000000000000 04000000 04000000",
		"0200 0900 24000000 01000000 00000000 0010000000000000 04000000 04000000 00000000");
	close(efd[0]);
	close(efd[1]);
	rig_close(&r);
}

static void
intx(void)
{
	int efd = make_eventfd(), unmask = make_eventfd();
	const uint64_t one = 1;
	struct rig r;

	rig_open(&r);
	hello(&r);
	plx_vfu_irq(r.vfu, 0); /* not wired: nobody wanted it */
	ASK_FDS(&r,
		"0100 0800 24000000 00000000 00000000 14000000 24000000 00000000 00000000 01000000",
		&efd, 1, OK("0100"));
	plx_vfu_irq(r.vfu, 3);
	plx_vfu_irq(r.vfu, 0);
	CHECK_EQ(fired(efd), 1); /* masked itself; the second one is pending */
	ASK(&r, "0100 0800 24000000 00000000 00000000 14000000 11000000 00000000 00000000 01000000",
		OK("0100"));
	CHECK_EQ(fired(efd), 1);
	/* unmasked by eventfd: eventfd + unmask */
	ASK_FDS(&r,
		"0100 0800 24000000 00000000 00000000 14000000 14000000 00000000 00000000 01000000",
		&unmask, 1, OK("0100"));
	plx_vfu_irq(r.vfu, 0);
	rig_poll(&r);
	CHECK_EQ(fired(efd), 0);
	CHECK(write(unmask, &one, sizeof(one)) == sizeof(one));
	rig_poll(&r);
	CHECK_EQ(fired(efd), 1);
	CHECK(write(unmask, &one, sizeof(one)) == sizeof(one));
	rig_poll(&r);
	CHECK_EQ(fired(efd), 0);
	/* the command register's INTx disable holds it back */
	tell(&r, "0200 0a00 22000000 10000000 00000000 0400000000000000 07000000 02000000 0004");
	plx_vfu_irq(r.vfu, 0);
	CHECK_EQ(fired(efd), 0);
	tell(&r, "0200 0a00 22000000 10000000 00000000 0400000000000000 07000000 02000000 0000");
	CHECK_EQ(fired(efd), 1);
	close(efd);
	close(unmask);
	rig_close(&r);
}

static void
refused(void)
{
	static const char *const bad[] = {
		/* no such index; MSI has none; start past the end; start + count wraps */
		"14000000 21000000 05000000 00000000 00000000",
		"14000000 21000000 01000000 00000000 00000000",
		"14000000 21000000 02000000 04000000 01000000",
		"14000000 21000000 02000000 02000000 ffffffff",
		/* two data types; none; two actions; none; an unknown bit; short argsz */
		"14000000 23000000 02000000 00000000 01000000",
		"14000000 20000000 02000000 00000000 01000000",
		"14000000 31000000 02000000 00000000 01000000",
		"14000000 01000000 02000000 00000000 01000000",
		"14000000 61000000 02000000 00000000 01000000",
		"13000000 21000000 02000000 00000000 01000000",
		/* bool without its bytes; eventfds that mask; that unmask MSI-X */
		"14000000 22000000 02000000 00000000 01000000",
		"14000000 0c000000 00000000 00000000 01000000",
		"14000000 14000000 02000000 00000000 01000000",
	};
	int pipefd[2], file = make_memfd(4096), efd = make_eventfd(), two[2] = {efd, efd};
	char hex[256];
	struct rig r;
	size_t i;

	rig_open(&r);
	hello(&r);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		snprintf(hex, sizeof(hex), "0100 0800 24000000 00000000 00000000 %s", bad[i]);
		ASK(&r, hex, INVAL("0100"));
	}
	/* fds that don't fit the count, and what isn't an eventfd: a write to it may stall us */
	ASK_FDS(&r,
		"0100 0800 24000000 00000000 00000000 14000000 24000000 02000000 00000000 01000000",
		two, 2, INVAL("0100"));
	REQUIRE(pipe(pipefd) == 0);
	ASK_FDS(&r,
		"0100 0800 24000000 00000000 00000000 14000000 24000000 02000000 00000000 01000000",
		&pipefd[1], 1, INVAL("0100"));
	ASK_FDS(&r,
		"0100 0800 24000000 00000000 00000000 14000000 24000000 02000000 00000000 01000000",
		&file, 1, INVAL("0100"));
	close(pipefd[0]);
	close(pipefd[1]);
	close(file);
	close(efd);
	rig_close(&r);
}

/* A counter that the client filled up must not stall the server, even if it was blocking. */
static void
full_counter(void)
{
	const uint64_t full = UINT64_MAX - 1;
	int efd = eventfd(0, EFD_CLOEXEC), i;
	struct rig r;
	uint64_t n;

	rig_open(&r);
	hello(&r);
	ASK_FDS(&r,
		"0100 0800 24000000 00000000 00000000 14000000 24000000 02000000 00000000 01000000",
		&efd, 1, OK("0100"));
	CHECK(write(efd, &full, sizeof(full)) == sizeof(full));
	plx_vfu_irq(r.vfu, 0);
	/* the flag that we set on it belongs to the client as well */
	CHECK(fcntl(efd, F_SETFL, 0) == 0);
	alarm(10);
	plx_vfu_irq(r.vfu, 0);
	for (i = 0; i < 3000; i++) /* more than any queue of ours has room for */
		plx_vfu_irq(r.vfu, 0);
	CHECK(read(efd, &n, sizeof(n)) == sizeof(n) && n >= full);
	plx_vfu_irq(r.vfu, 0);
	CHECK_EQ(fired(efd), 1);
	alarm(0);
	rig_close(&r);
	close(efd);
}

int
main(void)
{
	RUN(msix_eventfds);
	RUN(msix_masks);
	RUN(intx);
	RUN(refused);
	RUN(full_counter);
	return TEST_RESULT();
}
