/* SPDX-License-Identifier: BSD-3-Clause */
/* The socket's life: stale and busy paths, clients that queue up, memory that goes away. */
#include <signal.h>
#include <sys/wait.h>

#include "plx_sigbus.h"
#include "vfu_client.h"

static int
create(struct rig *r, const char *path, struct plx_vfu **vfu)
{
	struct plx_vfu_conf conf;

	rig_conf(r, &conf);
	conf.path = path;
	*vfu = NULL;
	return plx_vfu_create(&conf, vfu);
}

static void
paths(void)
{
	char path[256], longest[200];
	struct plx_vfu *v;
	struct rig r;
	int fd;

	rig_open(&r);
	/* somebody serves it, with and without a client */
	CHECK_EQ(create(&r, r.path, &v), -EADDRINUSE);
	hello(&r);
	CHECK_EQ(create(&r, r.path, &v), -EADDRINUSE);
	/* a file that isn't a socket stays */
	snprintf(path, sizeof(path), "%s/file", r.dir);
	fd = open(path, O_CREAT | O_WRONLY, 0600);
	CHECK_EQ(create(&r, path, &v), -EADDRINUSE);
	CHECK_EQ(unlink(path), 0);
	close(fd);
	snprintf(path, sizeof(path), "%s/nodir/sock", r.dir);
	CHECK_EQ(create(&r, path, &v), -ENOENT);
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	snprintf(path, sizeof(path), "%s/%s", r.dir, longest);
	CHECK_EQ(create(&r, path, &v), -ENAMETOOLONG);
	/* a directory stands for the name "cntrl" in it */
	CHECK_EQ(create(&r, r.dir, &v), 0);
	snprintf(path, sizeof(path), "%s/cntrl", r.dir);
	CHECK_EQ(access(path, F_OK), 0);
	plx_vfu_destroy(v);
	CHECK(access(path, F_OK) != 0);
	rig_close(&r);
}

/* A server that was killed leaves its socket behind. */
static void
stale(void)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	struct plx_vfu *v;
	struct rig r;
	int fd;

	rig_open(&r);
	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/old", r.dir);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	REQUIRE(bind(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0);
	close(fd);
	CHECK_EQ(create(&r, sa.sun_path, &v), 0);
	/* and when ours was replaced by somebody else's, that one stays */
	CHECK_EQ(unlink(sa.sun_path), 0);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	REQUIRE(bind(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0);
	plx_vfu_destroy(v);
	CHECK_EQ(unlink(sa.sun_path), 0);
	close(fd);
	rig_close(&r);
}

/* One client at a time: the others wait in the backlog and are served one after the other. */
static void
queueing(void)
{
	uint8_t in[BUF];
	uint32_t len = unhex("0000 0100 14000000 00000000 00000000 0000 0100", in);
	int others[3], i;
	struct rig r;

	rig_open(&r);
	CHECK(!plx_vfu_connected(r.vfu));
	hello(&r);
	CHECK(plx_vfu_connected(r.vfu));
	for (i = 0; i < 3; i++) {
		others[i] = rig_connect_fd(&r);
		REQUIRE(send_bytes(others[i], in, len, NULL, 0) == 0);
	}
	ASK(&r, "0200 0400 20000000 00000000 00000000 10000000 00000000 00000000 00000000",
		"0200 0400 20000000 01000000 00000000 10000000 03000000 09000000 05000000");
	for (i = 0; i < 3; i++) {
		close(r.fd);
		r.fd = others[i];
		CHECK_EQ(recv_once(&r), -EAGAIN);
		rig_poll(&r);
		CHECK(recv_once(&r) > 20);
	}
	rig_close(&r);
}

static void
on_sigbus(int sig, siginfo_t *info, void *uctx)
{
	if (!plx_sigbus_try_handle(sig, info, uctx))
		signal(SIGBUS, SIG_DFL);
}

static void
install(void)
{
	struct sigaction sa = {.sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO};

	REQUIRE(sigaction(SIGBUS, &sa, NULL) == 0);
}

/* The client truncates its file while the device works in it: reads see zeros, writes go
 * nowhere, and the client is dropped at the next poll. */
static void
truncated_memory(void)
{
	int fd = make_memfd(0x10000);
	struct plx_vfu_dma cache = {0};
	volatile uint8_t *p;
	struct rig r;

	install();
	rig_open(&r);
	hello(&r);
	ASK_FDS(&r,
		"0900 0200 30000000 00000000 00000000"
		" 20000000 03000000 0000000000000000 0000100000000000 0000010000000000",
		&fd, 1, "0900 0200 10000000 01000000 00000000");
	p = plx_vfu_dma_ptr(r.vfu, &cache, 0x100000, 0x10000, true);
	REQUIRE(p != NULL);
	p[0] = 0x11;
	p[0x8000] = 0x22;
	CHECK_EQ(ftruncate(fd, 0x1000), 0);
	CHECK_EQ(p[0], 0x11);
	CHECK_EQ(p[0x8000], 0);
	p[0x8000] = 0x33;
	memset((void *)(uintptr_t)(p + 0x1000), 0x44, 0xf000);
	CHECK_EQ(p[0xffff], 0x44);
	CHECK_EQ(await(&r), 0);
	rig_poll(&r);
	CHECK_EQ(r.model.losses, 1);
	CHECK(!plx_vfu_dma_find(r.vfu, 0x100000, &cache));
	rig_leave(&r);
	hello(&r);
	close(fd);
	rig_close(&r);
}

/* Huge pages are mapped by multiples of their size, wherever in them the client's region begins.
 * Where the machine has none, touching them is the same trap as a truncated file. */
static void
huge_memory(void)
{
	int fd = memfd_create("huge", MFD_CLOEXEC | MFD_HUGETLB);
	struct plx_vfu_dma cache = {0};
	volatile uint8_t *p;
	struct rig r;

	if (fd < 0 || ftruncate(fd, 4 << 20) != 0) {
		printf("no huge pages in this kernel: not tested\n");
		return;
	}
	install();
	rig_open(&r);
	hello(&r);
	/* 8 KiB from 2 MiB + 4 KiB on */
	ASK_FDS(&r,
		"0900 0200 30000000 00000000 00000000"
		" 20000000 03000000 0010200000000000 0000100000000000 0020000000000000",
		&fd, 1, "0900 0200 10000000 01000000 00000000");
	p = plx_vfu_dma_ptr(r.vfu, &cache, 0x100000, 0x2000, true);
	REQUIRE(p != NULL);
	CHECK_EQ((uintptr_t)p & 0x1fffff, 0x1000);
	p[0x1fff] = 0x5a;
	CHECK_EQ(p[0x1fff], 0x5a);
	rig_poll(&r);
	close(fd);
	rig_close(&r);
}

/* A mapping of nobody's: the handler leaves it alone, so the process dies of it as usual. */
static void
foreign_sigbus(void)
{
	int fd = make_memfd(0x1000), status = 0;
	volatile uint8_t *p;
	pid_t pid = fork();

	REQUIRE(pid >= 0);
	if (pid == 0) {
		install();
		p = mmap(NULL, 0x1000, PROT_READ, MAP_SHARED, fd, 0);
		if (p == MAP_FAILED || ftruncate(fd, 0) != 0)
			_exit(1);
		_exit(p[0] + 2);
	}
	REQUIRE(waitpid(pid, &status, 0) == pid);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS, "status %x", (unsigned int)status);
	close(fd);
}

int
main(void)
{
	RUN(paths);
	RUN(stale);
	RUN(queueing);
	RUN(truncated_memory);
	RUN(huge_memory);
	RUN(foreign_sigbus);
	return TEST_RESULT();
}
