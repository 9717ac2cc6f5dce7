/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The NVMe driver in this process, plx-export in another: clients are killed in the middle of
 * their I/O, data goes there and back, and when the daemon is killed every request comes back.
 * usage: test_export_nvme PATH_OF_PLX_EXPORT
 * As a client to be killed it starts itself with the directory of the socket for a second argument.
 */
#include <sched.h>

#include "daemon.h"
#include "plx_blk.h"
#include "plx_ctrl.h"
#include "plx_eal.h"
#include "plx_mem.h"
#include "plx_probe.h"

#define DEPTH 64
#define MAX_BLOCKS 300 /* more than one page of PRPs */
#define BLOCK 512u

static struct daemon exporter;
static struct plx_dev *dev;
static struct plx_blk *blk;
static struct plx_blkq *q;
static struct plx_blk_info info;
static struct plx_blk_req reqs[DEPTH];
static uint8_t *mem; /* DEPTH pieces of MAX_BLOCKS blocks */
static uint8_t *model;

/* One lcore that floats over the CPUs we may use: two processes poll at a time. */
static const char *
any_cpu(void)
{
	static char text[64];
	cpu_set_t set;
	int i, first = -1, last = -1;

	REQUIRE(sched_getaffinity(0, sizeof(set), &set) == 0);
	for (i = 0; i < CPU_SETSIZE; i++) {
		if (!CPU_ISSET(i, &set))
			continue;
		if (first < 0)
			first = i;
		if (last < 0 || i == last + 1)
			last = i;
	}
	snprintf(text, sizeof(text), "0@(%d-%d)", first, last);
	return text;
}

static void
attach(void)
{
	char str[128];

	snprintf(str, sizeof(str), "vfio-user:%s/sock,name=nv", dir);
	REQUIRE(plx_attach(str, &dev) == 0);
	REQUIRE(plx_blk_open("nv", PLX_BLK_O_WRITE, &blk) == 0);
	REQUIRE(plx_blk_info_get(blk, &info) == 0);
	CHECK_EQ(info.nblocks, (16 << 20) / BLOCK);
	CHECK_EQ(info.block_size, BLOCK);
	REQUIRE(plx_blk_configure(blk, 1) == 0);
	REQUIRE(plx_blkq_setup(blk, 0, &(struct plx_blkq_conf){.depth = DEPTH, .socket = -1}) == 0);
	REQUIRE(plx_blk_start(blk) == 0);
	q = plx_blk_queue_get(blk, 0);
	mem = plx_mem_alloc((size_t)DEPTH * MAX_BLOCKS * BLOCK, 4096, -1);
	REQUIRE(q != NULL && mem != NULL);
}

static void
prepare(unsigned int i, uint8_t op, uint64_t lba, uint32_t nblk)
{
	reqs[i] = (struct plx_blk_req){.op = op,
		.lba = lba,
		.nblk = nblk,
		.buf = mem + (size_t)i * MAX_BLOCKS * BLOCK,
		.status = 1};
}

/* Run reqs[sent..n); those before were submitted. @return how many came back, of these n, within
 * the time */
static unsigned int
run(unsigned int sent, unsigned int n, int seconds)
{
	struct plx_blk_req *p[DEPTH], *got[DEPTH];
	time_t until = time(NULL) + seconds;
	unsigned int done = 0, i;

	for (i = 0; i < n; i++)
		p[i] = &reqs[i];
	while (done < n && time(NULL) < until) {
		if (sent < n)
			sent += plx_blkq_submit(q, p + sent, (uint16_t)(n - sent));
		done += plx_blkq_poll(q, got, DEPTH);
		plx_ctrl_poll();
	}
	return done;
}

/* The client: writes zeroes, as the device has them already, until it is killed. */
static void
be_client(void)
{
	unsigned int i;

	attach();
	printf("at it\n");
	fflush(stdout);
	for (;;) {
		for (i = 0; i < DEPTH; i++)
			prepare(i, i % 2 != 0 ? PLX_OP_READ : PLX_OP_WRITE, i * MAX_BLOCKS, 64);
		REQUIRE(run(0, DEPTH, PATIENCE_S) == DEPTH);
	}
}

static void
killed_clients(void)
{
	const char *exporter_path = program;
	struct daemon client;
	int i;

	for (i = 0; i < 3; i++) {
		program = "/proc/self/exe";
		start(&client, (const char *const[]){exporter_path, dir, NULL});
		CHECK(prints(&client, "at it"), "%s", client.text);
		usleep(100000);
		CHECK_EQ(end(&client, SIGKILL), -SIGKILL);
		program = exporter_path;
	}
}

/* Bursts of writes to places that don't overlap, each checked with reads of other shapes. */
static void
data(void)
{
	uint32_t slot = (uint32_t)(info.nblocks / DEPTH), n;
	unsigned int turn, i;
	uint64_t lba;
	uint8_t *p;
	size_t k;

	for (turn = 0; turn < 30; turn++) {
		for (i = 0; i < DEPTH; i++) {
			n = 1 + (uint32_t)rand() % MAX_BLOCKS;
			lba = (uint64_t)i * slot + (uint32_t)rand() % (slot - MAX_BLOCKS);
			prepare(i, PLX_OP_WRITE, lba, n);
			p = reqs[i].buf;
			for (k = 0; k < n * BLOCK; k++)
				p[k] = (uint8_t)(k * 7 + k / BLOCK + i + turn);
			memcpy(model + lba * BLOCK, p, n * BLOCK);
		}
		CHECK_EQ(run(0, DEPTH, PATIENCE_S), DEPTH);
		for (i = 0; i < DEPTH; i++) {
			CHECK_EQ(reqs[i].status, 0);
			n = 1 + (uint32_t)rand() % MAX_BLOCKS;
			prepare(i, PLX_OP_READ, (uint64_t)rand() % (info.nblocks - n), n);
			memset(reqs[i].buf, 0xee, n * BLOCK);
		}
		CHECK_EQ(run(0, DEPTH, PATIENCE_S), DEPTH);
		for (i = 0; i < DEPTH; i++) {
			CHECK_EQ(reqs[i].status, 0);
			CHECK(memcmp(reqs[i].buf, model + reqs[i].lba * BLOCK,
				      reqs[i].nblk * BLOCK) == 0,
				"turn %u lba %" PRIu64 "+%u", turn, reqs[i].lba, reqs[i].nblk);
		}
	}
	prepare(0, PLX_OP_FLUSH, 0, 0);
	prepare(1, PLX_OP_READ, info.nblocks - 1, 2);
	CHECK_EQ(run(0, 2, PATIENCE_S), 2);
	CHECK_EQ(reqs[0].status, 0);
	CHECK(reqs[1].status < 0, "a read past the end");
}

/* Killed with a full queue, of which it saw nothing: each request comes back once, with an error.
 */
static void
kill_it(void)
{
	struct plx_blk_req *p[DEPTH];
	unsigned int i;
	int status;

	for (i = 0; i < DEPTH; i++) {
		prepare(i, PLX_OP_READ, i, 1);
		p[i] = &reqs[i];
	}
	REQUIRE(kill(exporter.pid, SIGSTOP) == 0);
	REQUIRE(waitpid(exporter.pid, &status, WUNTRACED) == exporter.pid && WIFSTOPPED(status));
	CHECK_EQ(plx_blkq_submit(q, p, DEPTH), DEPTH);
	CHECK_EQ(run(DEPTH, 1, 1), 0);
	CHECK_EQ(end(&exporter, SIGKILL), -SIGKILL);
	CHECK_EQ(run(DEPTH, DEPTH, 60), DEPTH);
	for (i = 0; i < DEPTH; i++)
		CHECK(reqs[i].status < 0, "request %u: %d", i, reqs[i].status);
	/* and there is life after it */
	prepare(0, PLX_OP_READ, 0, 1);
	CHECK_EQ(run(0, 1, 60), 1);
	CHECK(reqs[0].status < 0);
}

static void
close_all(void)
{
	plx_blk_close(blk);
	plx_detach(dev);
	plx_mem_free(mem);
	free(model);
}

static void
open_all(void)
{
	model = calloc(1, 16 << 20);
	REQUIRE(model != NULL);
	attach();
}

/* CPU time of a process in ms: fields 14 and 15 of its stat, the name in parentheses is the 2nd. */
static long
cpu_ms(pid_t pid)
{
	unsigned long user = 0, sys = 0;
	char path[32], line[1024] = "";
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	f = fopen(path, "r");
	REQUIRE(f != NULL && fgets(line, sizeof(line), f) != NULL);
	fclose(f);
	REQUIRE(sscanf(strrchr(line, ')'), ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu",
			&user, &sys) == 2);
	return (long)(user + sys) * 1000 / sysconf(_SC_CLK_TCK);
}

/* With --idle adaptive: no CPU without work, awake for a client, and asleep again after. */
static void
asleep(void)
{
	struct daemon d;
	char str[64];
	long ms;

	snprintf(str, sizeof(str), "vfio-user:%s/idle,dev=r1", dir);
	start(&d, (const char *const[]){"--lcores", any_cpu(), "--", "--idle=adaptive", "--dev",
			  "ram:size=16M,name=r1", "--export", str, NULL});
	REQUIRE(prints(&d, "serving r1"));
	str[strlen(str) - strlen(",dev=r1")] = '\0';
	for (int i = 0; i < 2; i++) {
		usleep(300000);
		ms = cpu_ms(d.pid);
		sleep(1);
		ms = cpu_ms(d.pid) - ms;
		CHECK(ms <= 100, "%ld ms of CPU in a second", ms); /* polling takes all */
		CHECK_EQ(plx_attach(str, &dev), 0);
		CHECK_EQ(plx_detach(dev), 0);
	}
	CHECK_EQ(end(&d, SIGTERM), 0);
}

int
main(int argc, char **argv)
{
	char *eal[] = {argv[0], (char *)(uintptr_t) "--lcores", (char *)(uintptr_t)any_cpu(), NULL};
	char str[128];

	REQUIRE(argc >= 2);
	if (argc == 3) {
		snprintf(dir, sizeof(dir), "%s", argv[2]);
		REQUIRE(plx_eal_init_app(3, eal) >= 0);
		be_client();
	}
	REQUIRE(mkdtemp(dir) != NULL);
	program = argv[1];
	snprintf(str, sizeof(str), "vfio-user:%s/sock,dev=r0", dir);
	start(&exporter, (const char *const[]){"--lcores", any_cpu(), "--", "--dev",
				 "ram:size=16M,name=r0", "--export", str, NULL});
	REQUIRE(prints(&exporter, "serving r0"));
	RUN(killed_clients);
	REQUIRE(plx_eal_init_app(3, eal) >= 0);
	RUN(open_all);
	RUN(data);
	RUN(kill_it);
	RUN(close_all);
	RUN(asleep);
	snprintf(str, sizeof(str), "%s/sock", dir);
	unlink(str);
	CHECK_EQ(rmdir(dir), 0);
	plx_eal_cleanup();
	return TEST_RESULT();
}
