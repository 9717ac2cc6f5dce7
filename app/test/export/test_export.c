/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * plx-export from outside: started as a user starts it, spoken to by a client of nothing but
 * sockets and shared memory. usage: test_export PATH_OF_PLX_EXPORT
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "daemon.h"
#include "vfio_user_spec.h"

/* Start, wait for the end, compare. */
static void
ends_with(int line, int code, const char *says, const char *const *args)
{
	struct daemon d;
	int got;

	start(&d, args);
	got = end(&d, 0);
	if (got == code && strstr(d.text, says) != NULL)
		return;
	test_failures++;
	fprintf(stderr, "line %d: exit %d, wanted %d and \"%s\":\n%s\n", line, got, code, says,
		d.text);
}
#define ENDS(code, says, ...) \
	ends_with(__LINE__, code, says, (const char *const[]){__VA_ARGS__, NULL})

/* ---- a client ---- */

static int
connect_to(const char *path)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	struct timeval tv = {.tv_sec = PATIENCE_S};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path);
	REQUIRE(fd >= 0);
	REQUIRE(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)) == 0);
	if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0)
		return fd;
	close(fd);
	return -1;
}

/* One message and its reply. @return bytes of the reply's payload, or -errno it was refused with,
 * or -EPIPE */
static int
ask(int fd, uint16_t cmd, const void *body, uint32_t len, int pass, void *reply, uint32_t room)
{
	struct vfio_user_header h = {.command = cmd, .msg_size = (uint32_t)sizeof(h) + len};
	uint8_t buf[8192];
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(sizeof(int))];
	} ctl = {0};
	struct iovec iov = {buf, sizeof(h) + len};
	struct msghdr mh = {.msg_iov = &iov, .msg_iovlen = 1};
	ssize_t n;

	memcpy(buf, &h, sizeof(h));
	memcpy(buf + sizeof(h), body, len);
	if (pass >= 0) {
		mh.msg_control = ctl.buf;
		mh.msg_controllen = sizeof(ctl.buf);
		ctl.align.cmsg_level = SOL_SOCKET;
		ctl.align.cmsg_type = SCM_RIGHTS;
		ctl.align.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&ctl.align), &pass, sizeof(int));
	}
	if (sendmsg(fd, &mh, MSG_NOSIGNAL) < 0)
		return -EPIPE;
	n = recv(fd, buf, sizeof(buf), 0);
	if (n < (ssize_t)sizeof(h))
		return -EPIPE;
	memcpy(&h, buf, sizeof(h));
	if (h.error_no != 0)
		return -(int)h.error_no;
	n -= (ssize_t)sizeof(h);
	memcpy(reply, buf + sizeof(h), (size_t)n < room ? (size_t)n : room);
	return (int)n;
}

static int
hello(int fd)
{
	struct vfio_user_version v = {0, 1};
	uint8_t reply[1024];

	return ask(fd, VFIO_USER_VERSION, &v, sizeof(v), -1, reply, sizeof(reply)) > 4 ? 0 : -1;
}

static uint64_t
reg_read(int fd, uint64_t off, uint32_t len)
{
	struct vfio_user_region_access a = {off, 0, len};
	struct {
		struct vfio_user_region_access a;
		uint64_t val;
	} reply = {.val = 0};

	CHECK_EQ(ask(fd, VFIO_USER_REGION_READ, &a, sizeof(a), -1, &reply, sizeof(reply)),
		sizeof(a) + len);
	return reply.val;
}

static void
write_region(int fd, uint32_t region, uint64_t off, uint64_t val, uint32_t len)
{
	struct {
		struct vfio_user_region_access a;
		uint64_t val;
	} req = {{off, region, len}, val};

	CHECK_EQ(ask(fd, VFIO_USER_REGION_WRITE, &req, (uint32_t)sizeof(req.a) + len, -1, &req,
			 sizeof(req)),
		sizeof(req.a));
}

static int
map(int fd, int file, uint64_t iova, uint64_t size)
{
	struct vfio_user_dma_map m = {sizeof(m), 3, 0, iova, size};
	uint8_t none;

	return ask(fd, VFIO_USER_DMA_MAP, &m, sizeof(m), file, &none, 0);
}

/* ---- an NVMe host's first steps (NVMe Base 2.0, 3.5.1), with its memory at IOVA 1 MiB ---- */

#define IOVA 0x100000u
#define MEM_SIZE 0x10000u
#define DATA 0x8000u /* behind the queues */

/* A queue pair; never more than 15 commands in the life of one, so nothing wraps. */
struct host_queue {
	uint32_t sq, cq; /* offsets in memory */
	uint32_t tail;
};

struct host {
	int fd, file;
	uint8_t *mem;
	uint32_t stride; /* between doorbells */
	struct host_queue q[2];
};

static void
host_open(struct host *h, const char *path)
{
	time_t until = time(NULL) + PATIENCE_S;

	*h = (struct host){.q = {{0x0, 0x1000, 0}, {0x2000, 0x3000, 0}}};
	h->fd = connect_to(path);
	REQUIRE(h->fd >= 0 && hello(h->fd) == 0);
	h->file = memfd_create("host", MFD_CLOEXEC);
	REQUIRE(h->file >= 0 && ftruncate(h->file, MEM_SIZE) == 0);
	h->mem = mmap(NULL, MEM_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, h->file, 0);
	REQUIRE(h->mem != MAP_FAILED);
	CHECK_EQ(map(h->fd, h->file, IOVA, MEM_SIZE), 0);
	write_region(h->fd, 7, 4, 0x406, 2);
	write_region(h->fd, 0, 0x24, 15 << 16 | 15, 4); /* AQA */
	write_region(h->fd, 0, 0x28, IOVA + h->q[0].sq, 8);
	write_region(h->fd, 0, 0x30, IOVA + h->q[0].cq, 8);
	write_region(h->fd, 0, 0x14, 6 << 16 | 4 << 20 | 1, 4); /* CC */
	h->stride = 4u << (reg_read(h->fd, 0, 8) >> 32 & 0xf);
	while ((reg_read(h->fd, 0x1c, 4) & 1) == 0 && time(NULL) < until)
		;
	CHECK_EQ(reg_read(h->fd, 0x1c, 4), 1);
}

static void
host_close(struct host *h)
{
	close(h->fd);
	close(h->file);
	munmap(h->mem, MEM_SIZE);
}

/* Hand over one command: dwords 0, 1 and 10 to 12, data at an offset of our memory. The doorbell
 * is rung by message. */
static void
submit(struct host *h, int qid, uint32_t op, uint32_t nsid, uint32_t data, const uint32_t *cdw10)
{
	struct host_queue *q = &h->q[qid];
	uint32_t *sqe = (uint32_t *)(h->mem + q->sq + q->tail * 64);

	memset(sqe, 0, 64);
	sqe[0] = op | 7 << 16;
	sqe[1] = nsid;
	sqe[6] = IOVA + data;
	memcpy(sqe + 10, cdw10, 12);
	q->tail++;
	write_region(h->fd, 0, 0x1000 + 2u * (uint32_t)qid * h->stride, q->tail, 4);
}

/* @return the latest command was completed, with status 0 */
static bool
completes(struct host *h, int qid)
{
	struct host_queue *q = &h->q[qid];
	volatile uint32_t *cqe = (volatile uint32_t *)(h->mem + q->cq + (q->tail - 1) * 16);
	time_t until = time(NULL) + PATIENCE_S;

	while ((cqe[3] >> 16 & 1) == 0 && time(NULL) < until)
		;
	return cqe[3] == (1u << 16 | 7);
}

/* Identify, of the controller (nsid 0) or a namespace, into DATA. */
static bool
identify(struct host *h, uint32_t nsid)
{
	submit(h, 0, 0x06, nsid, DATA, (uint32_t[3]){nsid == 0});
	return completes(h, 0);
}

/* One I/O queue pair of 16 entries. */
static bool
create_queues(struct host *h)
{
	submit(h, 0, 0x05, 0, h->q[1].cq, (uint32_t[3]){15 << 16 | 1, 1});
	if (!completes(h, 0))
		return false;
	submit(h, 0, 0x01, 0, h->q[1].sq, (uint32_t[3]){15 << 16 | 1, 1 << 16 | 1});
	return completes(h, 0);
}

/* A page of namespace 1: 8 blocks. */
static void
submit_io(struct host *h, uint32_t op, uint32_t lba, uint32_t data)
{
	submit(h, 1, op, 1, data, (uint32_t[3]){lba, 0, 7});
}

/* ---- tests ---- */

static void
usage(void)
{
	ENDS(0, "usage: plx-export [EAL options] --", "--help");
	ENDS(0, "plx-export 0.", "--version");
	ENDS(0, "usage:", "-l", "0", "--", "-h");
	ENDS(2, "--export is missing", "-l", "0");
	ENDS(2, "unknown option '--exprot'", "-l", "0", "--", "--exprot", "x");
	ENDS(2, "--idle 'lazy' is neither busy nor adaptive", "-l", "0", "--", "--idle", "lazy");
	ENDS(2, "--dev needs a value", "-l", "0", "--", "--dev");
	ENDS(2, "no driver 'rma'", "--", "--dev", "rma:size=1M", "--export",
		"vfio-user:/tmp/x,dev=r0");
	ENDS(2, "no protocol 'vhost'", "--", "--export", "vhost:/tmp/x,dev=r0");
	ENDS(2, "doesn't say where", "--", "--export", "vfio-user:,dev=r0");
	ENDS(2, "dev=NAME is missing", "--", "--export", "vfio-user:/tmp/x");
	ENDS(2, "no device 'r1'; attached are: r0", "--", "--dev", "ram:size=1M,name=r0",
		"--export", "vfio-user:/tmp/x,dev=r1");
	ENDS(2, "'queus' is no known key", "--", "--dev", "ram:size=1M,name=r0", "--export",
		"vfio-user:/tmp/x,dev=r0,queus=1");
	ENDS(2, "queues=64 is not a number from 1 to 63", "--", "--dev", "ram:size=1M,name=r0",
		"--export", "vfio-user:/tmp/x,dev=r0,queues=64");
	ENDS(2, "serial= takes up to 20", "--", "--dev", "ram:size=1M,name=r0", "--export",
		"vfio-user:/tmp/x,dev=r0,serial=123456789012345678901");
	ENDS(2, "'r0' is exported twice", "--", "--dev", "ram:size=1M,name=r0", "--export",
		"vfio-user:/tmp/x,dev=r0,dev=r0");
	ENDS(2, "No such file or directory", "--", "--dev", "ram:size=1M,name=r0", "--export",
		"vfio-user:/nowhere/at/all,dev=r0");
}

static void
serves(void)
{
	char sock[64], sock2[64], export1[160], export2[160];
	struct daemon d, other;
	struct host h;

	snprintf(sock, sizeof(sock), "%s/a", dir);
	snprintf(sock2, sizeof(sock2), "%s/b", dir);
	snprintf(export1, sizeof(export1), "vfio-user:%s,dev=r0,serial=PLXTEST,model=Test disk",
		sock);
	snprintf(export2, sizeof(export2), "vfio-user:%s,dev=n0,rdonly=1,queues=2,depth=16", sock2);
	start(&d, (const char *const[]){"-l", "0", "--", "--dev", "ram:size=64M,name=r0", "--dev",
			  "null:size=1T,block=4096,name=n0", "--export", export1, "--export",
			  export2, NULL});
	CHECK(prints(&d, "serving n0 (1 TiB, 4096-byte blocks) on lcore 0"), "%s", d.text);
	CHECK(strstr(d.text, ": serving r0 (64 MiB, 512-byte blocks) on lcore 0") != NULL, "%s",
		d.text);
	/* a second daemon may not have the socket */
	start(&other, (const char *const[]){"-l", "0", "--", "--dev", "ram:size=1M,name=r0",
			      "--export", export1, NULL});
	CHECK_EQ(end(&other, 0), 1);
	CHECK(strstr(other.text, "another server") != NULL, "%s", other.text);
	/* both exports at a time */
	host_open(&h, sock);
	CHECK_EQ(reg_read(h.fd, 0x08, 4), 0x10400); /* NVMe 1.4 */
	CHECK(identify(&h, 0));
	CHECK(memcmp(h.mem + DATA + 4, "PLXTEST             ", 20) == 0);
	CHECK(memcmp(h.mem + DATA + 24, "Test disk   ", 12) == 0);
	CHECK(identify(&h, 1));
	CHECK_EQ(*(uint64_t *)(h.mem + DATA), (64 << 20) / 512);
	host_close(&h);
	host_open(&h, sock2);
	CHECK_EQ(reg_read(h.fd, 0, 8) & 0xffff, 15); /* CAP.MQES */
	CHECK(identify(&h, 1));
	CHECK_EQ(*(uint64_t *)(h.mem + DATA), (1ull << 40) / 4096);
	/* SIGTERM ends it while a client is there */
	CHECK_EQ(end(&d, SIGTERM), 0);
	CHECK(strstr(d.text, "commands") != NULL && strstr(d.text, "lcore 0: busy") != NULL, "%s",
		d.text);
	CHECK(access(sock, F_OK) != 0 && access(sock2, F_OK) != 0, "sockets are left");
	host_close(&h);
}

/* Three exports on two lcores (of one CPU, so it works anywhere), one of them with two devices. */
static void
spreads(void)
{
	char text[3][128], sock[64];
	struct daemon d;
	struct host h;
	int i;

	for (i = 0; i < 3; i++)
		snprintf(text[i], sizeof(text[i]), "vfio-user:%s/s%d,dev=r%d%s", dir, i, i,
			i == 1 ? ",dev=r3" : "");
	start(&d, (const char *const[]){"--lcores", "0@0,1@0", "--", "--dev=ram:size=1M,name=r0",
			  "--dev=ram:size=1M,name=r1", "--dev=ram:size=1M,name=r2",
			  "--dev=ram:size=3M,name=r3", "--export", text[0], "--export", text[1],
			  "--export", text[2], NULL});
	REQUIRE(prints(&d, "/s2: serving r2 (1 MiB, 512-byte blocks) on lcore 1"));
	CHECK(strstr(d.text, "/s0: serving r0 (1 MiB, 512-byte blocks) on lcore 1") != NULL);
	CHECK(strstr(d.text, "/s1: serving r1 (1 MiB, 512-byte blocks), r3 (3 MiB, 512-byte "
			     "blocks) on lcore 0") != NULL,
		"%s", d.text);
	for (i = 0; i < 3; i++) {
		snprintf(sock, sizeof(sock), "%s/s%d", dir, i);
		host_open(&h, sock);
		CHECK(identify(&h, 1));
		CHECK_EQ(*(uint64_t *)(h.mem + DATA), (1 << 20) / 512);
		if (i == 1) {
			CHECK(identify(&h, 2));
			CHECK_EQ(*(uint64_t *)(h.mem + DATA), (3 << 20) / 512);
		}
		host_close(&h);
	}
	CHECK_EQ(end(&d, SIGINT), 0);
	CHECK(strstr(d.text, "lcore 1: busy") != NULL, "%s", d.text);
}

/* Killed, it leaves a socket behind; the next one takes it over. */
static void
killed(void)
{
	char sock[64], export[128];
	struct daemon d;
	struct host h;

	snprintf(sock, sizeof(sock), "%s/k", dir);
	snprintf(export, sizeof(export), "vfio-user:%s,dev=r0", sock);
	start(&d, (const char *const[]){"-l", "0", "--", "--dev", "ram:size=1M,name=r0", "--export",
			  export, NULL});
	REQUIRE(prints(&d, "serving r0"));
	CHECK_EQ(end(&d, SIGKILL), -SIGKILL);
	CHECK_EQ(access(sock, F_OK), 0);
	start(&d, (const char *const[]){"-l", "0", "--", "--dev", "ram:size=1M,name=r0", "--export",
			  export, NULL});
	REQUIRE(prints(&d, "serving r0"));
	host_open(&h, sock);
	host_close(&h);
	CHECK_EQ(end(&d, SIGINT), 0);
	CHECK(access(sock, F_OK) != 0);
}

/* Data goes there and back, and stays when the client leaves. */
static void
moves_data(void)
{
	char sock[64], export[128];
	struct daemon d;
	struct host h;

	snprintf(sock, sizeof(sock), "%s/m", dir);
	snprintf(export, sizeof(export), "vfio-user:%s,dev=r0", sock);
	start(&d, (const char *const[]){"-l", "0", "--", "--dev", "ram:size=1M,name=r0", "--export",
			  export, NULL});
	REQUIRE(prints(&d, "serving r0"));
	host_open(&h, sock);
	CHECK(create_queues(&h));
	memset(h.mem + DATA, 0x5a, 4096);
	submit_io(&h, 0x01, 64, DATA);
	CHECK(completes(&h, 1));
	host_close(&h);
	host_open(&h, sock);
	CHECK(create_queues(&h));
	memset(h.mem + DATA, 0x11, 0x2000);
	submit_io(&h, 0x02, 64, DATA);
	CHECK(completes(&h, 1));
	submit_io(&h, 0x02, 72, DATA + 0x1000);
	CHECK(completes(&h, 1));
	CHECK_EQ(h.mem[DATA], 0x5a);
	CHECK_EQ(h.mem[DATA + 4095], 0x5a);
	CHECK_EQ(h.mem[DATA + 4096], 0);
	/* past the end of the namespace */
	submit_io(&h, 0x02, 2048, DATA);
	CHECK(!completes(&h, 1));
	host_close(&h);
	CHECK_EQ(end(&d, SIGTERM), 0);
	CHECK(strstr(d.text, "4 commands, 16 blocks read, 8 written, 1 errors") != NULL, "%s",
		d.text);
}

/* A client that truncates its memory under the controller, queues and all or only the data, is
 * dropped; the next one is served. */
static void
truncates(void)
{
	char sock[64], export[128];
	struct daemon d;
	struct host h;
	uint8_t none;
	int i;

	snprintf(sock, sizeof(sock), "%s/t", dir);
	snprintf(export, sizeof(export), "vfio-user:%s,dev=r0", sock);
	start(&d, (const char *const[]){"-l", "0", "--", "--dev", "ram:size=1M,name=r0", "--export",
			  export, NULL});
	REQUIRE(prints(&d, "serving r0"));
	for (i = 0; i < 2; i++) {
		host_open(&h, sock);
		CHECK(create_queues(&h));
		if (i == 0) {
			REQUIRE(ftruncate(h.file, DATA) == 0);
			submit_io(&h, 0x02, 0, DATA);
		} else {
			/* the doorbell makes it fetch a command from what is gone */
			REQUIRE(ftruncate(h.file, 0) == 0);
			write_region(h.fd, 0, 0x1000, h.q[0].tail + 1, 4);
		}
		CHECK(prints(&d, "memory that it shared is gone"), "%s", d.text);
		CHECK_EQ(recv(h.fd, &none, 1, 0), 0);
		host_close(&h);
		d.len = 0;
		d.text[0] = '\0';
	}
	host_open(&h, sock);
	CHECK(identify(&h, 0));
	host_close(&h);
	CHECK_EQ(end(&d, SIGTERM), 0);
}

int
main(int argc, char **argv)
{
	REQUIRE(argc == 2 && mkdtemp(dir) != NULL);
	program = argv[1];
	RUN(usage);
	RUN(serves);
	RUN(spreads);
	RUN(killed);
	RUN(moves_data);
	RUN(truncates);
	CHECK_EQ(rmdir(dir), 0);
	return TEST_RESULT();
}
