/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A back end is killed in the middle of verified random I/O and started again, over and over: each
 * request comes back exactly once and well, each block holds what was last written to it, and the
 * I/O goes on soon after the back end is back.
 * usage: test_reconnect ROUNDS BOUND_MS DEVICE KEYS SOCKET COMMAND [ARGUMENT...]
 * DEVICE: vhost-user or vfio-user; KEYS follow the device string; BOUND_MS is for the first
 * completion after the socket is there.
 */
#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "plx_blk.h"
#include "plx_ctrl.h"
#include "plx_eal.h"
#include "plx_mem.h"
#include "plx_probe.h"
#include "plx_test.h"

#define DEPTH 32
#define BLOCK 4096
#define BLOCKS 1024

struct slot {
	struct plx_blk_req req;
	uint64_t *buf;
	uint32_t block;
	uint64_t gen;
	bool out;
};

static struct slot slots[DEPTH];
static uint64_t last[BLOCKS], gen; /* what each block holds; the newest */
static bool busy[BLOCKS];
static unsigned int inflight;
static int resets, reconnects; /* events */
static struct plx_blk *blk;
static struct plx_blkq *q;
static struct plx_blk_info info;
static const char *sock;
static char **command;
static pid_t pid;

static double
now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* @return when its socket was there */
static double
start(void)
{
	double until = now() + 20;
	struct stat st;

	unlink(sock);
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		execvp(command[0], command);
		_exit(127);
	}
	REQUIRE(pid > 0);
	while (stat(sock, &st) != 0) {
		REQUIRE(now() < until && waitpid(pid, NULL, WNOHANG) == 0);
		usleep(1000);
	}
	return now();
}

static void
stop(int sig)
{
	kill(pid, sig);
	waitpid(pid, NULL, 0);
}

static void
aim(struct slot *s)
{
	unsigned int i;

	do
		s->block = (uint32_t)rand() % BLOCKS;
	while (busy[s->block]);
	s->req = (struct plx_blk_req){
		.op = rand() % 4 != 0 ? PLX_OP_WRITE : PLX_OP_READ,
		.lba = (uint64_t)s->block * BLOCK / info.block_size,
		.nblk = BLOCK / info.block_size,
		.buf = s->buf,
	};
	if (s->req.op == PLX_OP_READ) {
		memset(s->buf, 0xee, BLOCK);
		return;
	}
	s->gen = ++gen;
	for (i = 0; i < BLOCK / 8; i += 2) {
		s->buf[i] = s->block;
		s->buf[i + 1] = s->gen;
	}
}

static void
check_read(const struct slot *s)
{
	unsigned int i;

	for (i = 0; i < BLOCK / 8; i += 2)
		if (s->buf[i + 1] != last[s->block] ||
			(last[s->block] != 0 && s->buf[i] != s->block)) {
			CHECK(false,
				"block %u holds %" PRIu64 " of block %" PRIu64 ", not %" PRIu64,
				s->block, s->buf[i + 1], s->buf[i], last[s->block]);
			return;
		}
}

/* @return how many came back */
static unsigned int
collect(void)
{
	struct plx_blk_req *got[DEPTH];
	uint16_t i, n = plx_blkq_poll(q, got, DEPTH);
	struct plx_blk_event ev;

	for (i = 0; i < n; i++) {
		struct slot *s = container_of(got[i], struct slot, req);

		CHECK(s->out, "came back twice");
		CHECK_EQ(s->req.status, 0);
		if (s->req.op == PLX_OP_READ)
			check_read(s);
		else
			last[s->block] = s->gen;
		s->out = busy[s->block] = false;
		inflight--;
	}
	plx_ctrl_poll();
	while (plx_blk_event_get(blk, &ev) == 1) {
		resets += ev.type == PLX_BLK_EVENT_RESET;
		reconnects += ev.type == PLX_BLK_EVENT_RECONNECTING;
	}
	return n;
}

static void
submit(void)
{
	unsigned int i;

	for (i = 0; i < DEPTH; i++) {
		struct plx_blk_req *p = &slots[i].req;

		if (slots[i].out)
			continue;
		aim(&slots[i]);
		if (plx_blkq_submit(q, &p, 1) == 0)
			return;
		slots[i].out = busy[slots[i].block] = true;
		inflight++;
	}
}

static void
one_round(double *worst)
{
	double until = now() + 0.02 + (rand() % 60) / 1000.0, back, took;
	unsigned int n;

	for (n = 0; now() < until || n < DEPTH; n += collect()) {
		submit();
		REQUIRE(now() < until + 20);
	}
	stop(SIGKILL);
	for (n = 0; n < 50; n++) { /* it goes on submitting until it is told */
		submit();
		collect();
	}
	back = start();
	for (n = 0; n == 0; submit()) {
		n = collect();
		REQUIRE(now() < back + 20);
	}
	took = now() - back;
	*worst = took > *worst ? took : *worst;
}

/* A back end that came back is a device as any other: after a reset it begins anew. */
static void
reset(void)
{
	double until = now() + 20;
	unsigned int n;

	submit();
	CHECK_EQ(plx_blk_reset(blk), 0);
	for (n = 0; n < 4 * DEPTH; n += collect()) {
		submit();
		REQUIRE(now() < until);
	}
}

static void
read_all(void)
{
	struct plx_blk_req *p = &slots[0].req;
	uint32_t b;

	for (b = 0; b < BLOCKS; b++) {
		slots[0].block = b;
		slots[0].req = (struct plx_blk_req){
			.op = PLX_OP_READ,
			.lba = (uint64_t)b * BLOCK / info.block_size,
			.nblk = BLOCK / info.block_size,
			.buf = slots[0].buf,
		};
		slots[0].out = true;
		inflight++;
		REQUIRE(plx_blkq_submit(q, &p, 1) == 1);
		while (slots[0].out)
			collect();
	}
}

static void
open_device(const char *device, const char *keys)
{
	struct plx_blkq_conf conf = {.depth = DEPTH};
	struct plx_dev *dev;
	char str[256];
	int i;

	snprintf(str, sizeof(str), "%s:%s,name=v%s", device, sock, keys);
	for (i = 0; plx_attach(str, &dev) != 0;
		i++) { /* a socket that is there may not listen yet */
		REQUIRE(i < 20);
		usleep(50000);
	}
	REQUIRE(plx_blk_open("v", PLX_BLK_O_WRITE, &blk) == 0);
	plx_blk_info_get(blk, &info);
	REQUIRE(info.nblocks * info.block_size >= BLOCKS * BLOCK);
	REQUIRE(plx_blk_configure(blk, 1) == 0 && plx_blkq_setup(blk, 0, &conf) == 0);
	REQUIRE(plx_blk_start(blk) == 0);
	q = plx_blk_queue_get(blk, 0);
	for (i = 0; i < DEPTH; i++) {
		slots[i].buf = plx_mem_alloc(BLOCK, BLOCK, -1);
		REQUIRE(slots[i].buf != NULL);
	}
}

int
main(int argc, char **argv)
{
	double worst = 0;
	int i, rounds;

	REQUIRE(argc >= 7);
	rounds = atoi(argv[1]);
	sock = argv[5];
	command = argv + 6;
	REQUIRE(plx_eal_init_app(1, argv) >= 0);
	srand(1);
	start();
	open_device(argv[3], argv[4]);
	for (i = 0; i < rounds; i++)
		one_round(&worst);
	reset();
	while (inflight != 0)
		collect();
	read_all();
	CHECK_EQ(reconnects, rounds);
	CHECK_EQ(resets, rounds + 1);
	printf("%d times killed, %" PRIu64 " writes, I/O went on within %.0f ms\n", rounds, gen,
		worst * 1000);
	CHECK(worst * 1000 < atof(argv[2]), "%.0f ms", worst * 1000);
	CHECK_EQ(plx_blk_close(blk), 0);
	CHECK_EQ(plx_detach_all(), 0);
	stop(SIGTERM);
	plx_eal_cleanup();
	return TEST_RESULT();
}
