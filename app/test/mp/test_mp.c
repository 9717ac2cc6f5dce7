/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Several processes drive one NVMe controller, which plx-export serves, or that of a device string.
 * Each writes and reads back blocks of its own without end (mp_child.c); they are killed, reset and
 * detached meanwhile.
 * usage: test_mp PLX_INFO KILLS PLX_EXPORT | DEVICE
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>

#include "mp_child.h"
#include "mp_priv.h"
#include "nvme_mp_priv.h"

#include "../export/daemon.h"

static int kills;
static char prefix[32], attach_pri[128];
static const char *info_program;
static struct daemon server; /* pid 0: none, a device */

struct child {
	struct daemon d; /* out is read by say() */
	int in;
};

/* ---- children ---- */

static void
child_start(struct child *c, const char *type)
{
	char arg[2][64];
	bool first = strcmp(type, "primary") == 0;
	/* where sanitizers leave room */
	char *argv[] = {"test_mp", "-l0", arg[0], arg[1], first ? "-m96" : NULL,
		"--base-virtaddr=0x200000000000", NULL};
	int in[2], out[2];

	memset(c, 0, sizeof(*c));
	snprintf(arg[0], sizeof(arg[0]), "--file-prefix=%s", prefix);
	snprintf(arg[1], sizeof(arg[1]), "--proc-type=%s", type);
	REQUIRE(pipe2(in, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0);
	c->d.pid = fork();
	REQUIRE(c->d.pid >= 0);
	if (c->d.pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(in[0], 0);
		dup2(out[1], 1);
		setenv("MP_CHILD", "1", 1);
		execv("/proc/self/exe", argv);
		_exit(127);
	}
	close(in[0]);
	close(out[1]);
	c->in = in[1];
	c->d.out = out[0];
}

/* Wait for a line that begins so. @return what follows in it, or NULL: the child ended */
static const char *
answer(struct child *c, const char *word)
{
	static char line[256];
	char *end, *at;

	for (;;) {
		while ((end = strchr(c->d.text, '\n')) == NULL) {
			struct pollfd p = {.fd = c->d.out, .events = POLLIN};
			ssize_t n;

			if (poll(&p, 1, PATIENCE_S * 1000) <= 0)
				return NULL;
			n = read(c->d.out, c->d.text + c->d.len, sizeof(c->d.text) - 1 - c->d.len);
			if (n <= 0)
				return NULL;
			c->d.len += (size_t)n;
			c->d.text[c->d.len] = '\0';
		}
		*end = '\0';
		snprintf(line, sizeof(line), "%.255s", c->d.text);
		c->d.len -= (size_t)(end + 1 - c->d.text);
		memmove(c->d.text, end + 1, c->d.len + 1);
		at = strstr(line, word);
		if (at == line)
			return line + strlen(word);
		if (strncmp(line, "failed", 6) == 0) {
			printf("'%s' instead of '%s'\n", line, word);
			return NULL;
		}
	}
}

static void
tell(struct child *c, const char *text)
{
	CHECK(write(c->in, text, strlen(text)) == (ssize_t)strlen(text), "it is gone: %s", text);
}

static int
ask(struct child *c, const char *text, const char *word)
{
	const char *rest;

	tell(c, text);
	rest = answer(c, word);
	CHECK(rest != NULL, "no answer to %s", text);
	return rest != NULL ? atoi(rest) : INT32_MIN;
}

struct count {
	unsigned long long accepted, returned, bad;
	int last;
};

static struct count
counted(const char *rest)
{
	struct count n = {.bad = 1};

	CHECK(rest != NULL && sscanf(rest, "%llu %llu %llu %d", &n.accepted, &n.returned, &n.bad,
				      &n.last) == 4,
		"no count");
	return n;
}

static struct count
count(struct child *c)
{
	tell(c, "count\n");
	return counted(answer(c, "count"));
}

/* It works: more comes back, all of it good. */
static void
works(struct child *c)
{
	struct count n, first = count(c);

	for (int i = 0; i < 500; i++) {
		n = count(c);
		CHECK_EQ(n.bad, 0);
		CHECK_EQ(n.last, 0);
		if (n.returned > first.returned + 100 || n.bad != 0)
			return;
		usleep(10000);
	}
	CHECK(false, "it stands still at %llu", n.returned);
}

static int
child_end(struct child *c, int sig)
{
	int rc;

	if (sig == 0)
		tell(c, "quit\n");
	rc = end(&c->d, sig);
	close(c->in);
	return rc;
}

static void
secondary(struct child *c, const char *str, uint64_t base)
{
	char text[128];

	child_start(c, "secondary");
	REQUIRE(answer(c, "ready") != NULL);
	snprintf(text, sizeof(text), "attach %s\n", str);
	tell(c, text);
	REQUIRE(answer(c, "attached") != NULL);
	snprintf(text, sizeof(text), "open s %llu\n", (unsigned long long)base);
	tell(c, text);
	REQUIRE(answer(c, "open") != NULL);
}

#define SECONDARY "mp:nv,queues=2,name=s"

/* ---- what is there ---- */

struct seen {
	uint32_t devs, queues, of_pid;
	int pid;
	uint64_t completed;
};

static int
see(const struct plx_mp_dev *dev, const struct plx_mp_queue *q, void *arg)
{
	struct seen *s = arg;

	s->devs += dev != NULL && strcmp(dev->info.name, "nv/n1") == 0;
	s->queues += q != NULL;
	if (q != NULL && q->pid == s->pid) {
		s->of_pid++;
		s->completed += q->stats.completed;
	}
	return 0;
}

static struct seen
seen(int pid)
{
	struct seen s = {.pid = pid};

	CHECK_EQ(plx_mp_inspect(prefix, see, &s), 0);
	return s;
}

/* Queues come and go within moments of what is done. */
static void
queues_are(uint32_t n)
{
	struct seen s;

	for (int i = 0; i < 500; i++) {
		s = seen(0);
		if (s.queues == n)
			return;
		usleep(10000);
	}
	CHECK_EQ(s.queues, n);
}

static void
primary(struct child *c)
{
	char text[160];

	child_start(c, "primary");
	REQUIRE(answer(c, "ready") != NULL);
	tell(c, "attach ram:size=1M,name=r\n");
	REQUIRE(answer(c, "attached") != NULL);
	snprintf(text, sizeof(text), "attach %s\n", attach_pri);
	tell(c, text);
	REQUIRE(answer(c, "attached") != NULL);
	tell(c, "open nv 0\n");
	REQUIRE(answer(c, "open") != NULL);
}

/* ---- tests ---- */

static void
test_alone(void)
{
	struct seen s = {0};
	struct child c;

	child_start(&c, "secondary");
	CHECK_EQ(atoi(answer(&c, "failed") ?: "0"), -ESRCH);
	CHECK_EQ(end(&c.d, 0), 1);
	close(c.in);
	CHECK_EQ(plx_mp_inspect(prefix, see, &s), -ESRCH);
}

static void
refused(struct child *c, const char *str, int rc)
{
	char text[160];

	snprintf(text, sizeof(text), "attach %s\n", str);
	CHECK_EQ(ask(c, text, "failed"), rc);
}

static void
test_refusals(struct child *pri)
{
	struct child c;

	refused(pri, "mp:nv", -ENOTSUP);
	child_start(&c, "secondary");
	REQUIRE(answer(&c, "ready") != NULL);
	refused(&c, attach_pri, -ENOTSUP);
	refused(&c, "soft-nvme:size=16M", -ENOTSUP);
	refused(&c, "mp:other", -ENOENT);
	refused(&c, "mp:r", -ENOTSUP); /* a ram device */
	refused(&c, "mp:", -EINVAL);
	tell(&c, "attach null:size=1M\n"); /* its own */
	CHECK(answer(&c, "attached") != NULL, "null");
	CHECK_EQ(child_end(&c, 0), 0);
}

/* ---- a secondary process that does not keep to the rules ---- */

static struct mp_packet packet;

static int
raw_connect(void)
{
	struct sockaddr_un addr;
	char path[96];
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	snprintf(path, sizeof(path), "/var/run/dpdk/%s", prefix);
	REQUIRE(fd >= 0 && mp_address(path, &addr) == 0);
	REQUIRE(connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0);
	return fd;
}

static int
raw(int fd, enum mp_type type, uint32_t kind, const void *data, size_t len)
{
	struct mp_head h = {.type = (uint16_t)type, .chan = 1, .kind = kind, .len = (uint32_t)len};

	return mp_send(fd, &h, data, NULL, 0);
}

/* @return 1; < 0: it hung up */
static int
raw_answer(int fd, enum mp_type type, uint32_t kind)
{
	int rc = mp_recv_wait(fd, &packet, mp_now_ms() + 5000);

	if (rc <= 0)
		return rc;
	mp_close_fds(&packet.m);
	CHECK_EQ(packet.h.type, type);
	CHECK_EQ(packet.h.kind, kind);
	return 1;
}

static int
raw_opened(void)
{
	struct {
		struct mp_open o;
		struct nvme_mp_want w;
	} req = {.o.name = "nv", .w.queues = 1};
	struct mp_hello hello;
	int fd = raw_connect();

	mp_hello_fill(&hello);
	CHECK_EQ(raw(fd, MP_HELLO, 0, &hello, sizeof(hello)), 0);
	CHECK_EQ(raw_answer(fd, MP_WELCOME, 0), 1);
	CHECK_EQ(packet.h.rc, 0);
	CHECK_EQ(raw(fd, MP_OPEN, 0, &req, sizeof(req)), 0);
	CHECK_EQ(raw_answer(fd, MP_DATA, NVME_MP_OPENED), 1);
	return fd;
}

/* @return the status of an admin command */
static uint16_t
raw_admin(int fd, uint8_t opcode, uint32_t cdw10, uint32_t cdw11)
{
	struct nvme_mp_cmd cmd = {
		.sqe = {.opcode = opcode, .nsid = 1, .cdw10 = cdw10, .cdw11 = cdw11}, .cid = 5};

	CHECK_EQ(raw(fd, MP_DATA, NVME_MP_ADMIN, &cmd, sizeof(cmd)), 0);
	CHECK_EQ(raw_answer(fd, MP_DATA, NVME_MP_DONE), 1);
	return ((struct nvme_mp_done *)packet.m.data)->status;
}

/* It gets nothing that isn't its own, and is cut off for nonsense. */
static void
test_hostile(struct child *pri)
{
	static const uint8_t junk[64];
	struct nvme_mp_stats st = {.id = 1};
	struct mp_hello hello;
	uint32_t mine = 0;
	int fd = raw_opened();

	for (uint32_t i = 0; i < NVME_QIDS; i++)
		if (((struct nvme_mp_opened *)packet.m.data)->qids[i / 64] & 1ull << i % 64)
			mine = i;
	REQUIRE(mine > 1); /* 1 is the primary's */
	CHECK_EQ(raw_admin(fd, nvme_admin_delete_sq, 1, 0), NVME_SC_INVALID_FIELD);
	CHECK_EQ(raw_admin(fd, nvme_admin_delete_cq, 1, 0), NVME_SC_INVALID_FIELD);
	CHECK_EQ(raw_admin(fd, nvme_admin_abort_cmd, 1, 0), NVME_SC_INVALID_FIELD);
	CHECK_EQ(raw_admin(fd, nvme_admin_create_cq, 2, NVME_Q_PC), NVME_SC_INVALID_FIELD);
	CHECK_EQ(raw_admin(fd, nvme_admin_create_cq, mine, NVME_Q_PC | NVME_Q_IEN),
		NVME_SC_INVALID_FIELD);
	CHECK_EQ(raw_admin(fd, nvme_admin_create_sq, mine, mine << 16 | NVME_Q_PC),
		NVME_SC_INVALID_FIELD); /* no completion queue */
	CHECK_EQ(raw_admin(fd, nvme_admin_format_nvm, 0, 0), NVME_SC_INVALID_OPCODE);
	CHECK_EQ(raw_admin(fd, nvme_admin_set_features, 7, 0), NVME_SC_INVALID_OPCODE);
	CHECK_EQ(raw_admin(fd, nvme_admin_dbbuf, 0, 0), NVME_SC_INVALID_OPCODE);
	CHECK_EQ(raw(fd, MP_DATA, NVME_MP_STATS, &st, sizeof(st)), 0); /* another's */
	CHECK(raw_answer(fd, MP_DATA, 0) < 0, "not cut off");
	close(fd);
	fd = raw_opened();
	CHECK_EQ(raw(fd, MP_DATA, NVME_MP_ADMIN, junk, sizeof(junk)), 0); /* too short */
	CHECK(raw_answer(fd, MP_DATA, 0) < 0, "not cut off");
	close(fd);
	fd = raw_connect();
	CHECK(send(fd, junk, 3, MSG_NOSIGNAL) == 3, "no packet");
	CHECK(raw_answer(fd, MP_DATA, 0) < 0, "not cut off");
	close(fd);
	fd = raw_connect(); /* another version */
	mp_hello_fill(&hello);
	hello.protocol++;
	CHECK_EQ(raw(fd, MP_HELLO, 0, &hello, sizeof(hello)), 0);
	CHECK_EQ(raw_answer(fd, MP_WELCOME, 0), 1);
	CHECK_EQ(packet.h.rc, -EPROTONOSUPPORT);
	CHECK_EQ(raw(fd, MP_LOOK, 0, junk, sizeof(struct mp_look)), 0);
	CHECK(raw_answer(fd, MP_VIEW, 0) < 0, "not cut off");
	close(fd);
	works(pri);
}

/* What EAL's telemetry answers. */
static void
telemetry(const char *cmd, char *text, size_t size)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	ssize_t n;

	snprintf(
		addr.sun_path, sizeof(addr.sun_path), "/var/run/dpdk/%s/dpdk_telemetry.v2", prefix);
	REQUIRE(fd >= 0 && connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0);
	REQUIRE(recv(fd, text, size, 0) > 0); /* a greeting */
	REQUIRE(send(fd, cmd, strlen(cmd), 0) > 0);
	n = recv(fd, text, size - 1, 0);
	text[n > 0 ? n : 0] = '\0';
	close(fd);
}

static void
test_both(struct child *pri)
{
	struct child c, c2;
	struct seen s;
	char text[16384], pid[32];

	secondary(&c, SECONDARY, 1000);
	works(&c);
	works(pri);
	secondary(&c2, SECONDARY, 2000);
	works(&c2);
	queues_are(3);
	for (int i = 0; i < 200 && seen(c.d.pid).completed == 0; i++)
		usleep(10000);
	s = seen(c.d.pid);
	CHECK_EQ(s.devs, 1);
	CHECK_EQ(s.of_pid, 1);
	CHECK(s.completed > 0, "no statistics");
	telemetry("/plx/dev/shared,nv/n1", text, sizeof(text));
	snprintf(pid, sizeof(pid), "\"pid\":%d", c2.d.pid);
	CHECK(strstr(text, pid) != NULL, "%s", text);
	CHECK_EQ(ask(&c, "log\n", "log"), 0);
	CHECK_EQ(ask(&c, "format\n", "format"), NVME_SC_INVALID_OPCODE); /* the primary's */
	CHECK_EQ(ask(&c, "late\n", "late"), 0);
	works(&c);
	CHECK_EQ(ask(&c, "close\n", "closed"), 0);
	queues_are(2);
	CHECK_EQ(ask(&c, "detach\n", "detached"), 0);
	tell(&c, "attach " SECONDARY "\n"); /* and again */
	CHECK(answer(&c, "attached") != NULL, "again");
	tell(&c, "open s 3000\n");
	CHECK(answer(&c, "open") != NULL, "again");
	works(&c);
	CHECK_EQ(child_end(&c, 0), 0);
	CHECK_EQ(child_end(&c2, 0), 0);
	queues_are(1);
	works(pri);
}

static void
test_killed(struct child *pri)
{
	int before = ask(pri, "heap\n", "heap"), eal, after;
	struct child c;

	child_start(&c, "secondary");
	REQUIRE(answer(&c, "ready") != NULL);
	CHECK_EQ(child_end(&c, SIGKILL), -SIGKILL);
	eal = ask(pri, "heap\n", "heap") - before;
	for (int i = 0; i < kills; i++) {
		secondary(&c, SECONDARY, 1000 + 100 * (uint64_t)i);
		works(&c);
		CHECK_EQ(child_end(&c, SIGKILL), -SIGKILL);
		queues_are(1);
		works(pri);
	}
	/* nothing is lost but what EAL loses of each */
	after = ask(pri, "heap\n", "heap");
	CHECK(after - before <= (kills + 1) * (eal + 4096), "%d bytes lost, EAL's are %d each",
		after - before, eal);
}

/* A reset is for all, whoever asks for it; a secondary that doesn't listen finds its queues gone
 * when it does. */
static void
test_reset(struct child *pri)
{
	struct child c;

	secondary(&c, SECONDARY, 1000);
	for (int i = 0; i < 3; i++) {
		CHECK_EQ(ask(pri, "reset\n", "reset"), 0);
		works(pri);
		works(&c);
		CHECK_EQ(ask(&c, "reset\n", "reset"), 0);
		works(pri);
		works(&c);
	}
	tell(&c, "hush\n");
	CHECK_EQ(ask(pri, "reset\n", "reset"), 0);
	works(pri);
	tell(&c, "speak\n");
	works(&c);
	CHECK_EQ(child_end(&c, 0), 0);
	queues_are(1);
}

/* Everything came back once. What the device had finished by then, it had. */
static void
lost(struct child *c, int last)
{
	struct count n = counted(answer(c, "lost"));

	CHECK(n.accepted > 0, "nothing was done");
	CHECK_EQ(n.accepted, n.returned);
	CHECK_EQ(n.bad, 0);
	CHECK(n.last == -ENODEV || n.last == last, "last is %d", n.last);
}

static void
test_detach(struct child *pri)
{
	struct child c;
	char text[160];

	secondary(&c, SECONDARY, 1000);
	works(&c);
	CHECK_EQ(ask(pri, "detach\n", "detached"), 0);
	lost(&c, 0);
	/* the primary has it again, and so has who detaches the lost one */
	snprintf(text, sizeof(text), "attach %s\n", attach_pri);
	tell(pri, text);
	REQUIRE(answer(pri, "attached") != NULL);
	tell(pri, "open nv 0\n");
	REQUIRE(answer(pri, "open") != NULL);
	CHECK_EQ(ask(&c, "detach\n", "detached"), 0);
	tell(&c, "attach " SECONDARY "\n");
	CHECK(answer(&c, "attached") != NULL, "again");
	tell(&c, "open s 1000\n");
	CHECK(answer(&c, "open") != NULL, "again");
	works(pri);
	CHECK_EQ(child_end(&c, 0), 0);
	queues_are(1);
}

static void
test_info(struct child *pri)
{
	static const char *const none[] = {"--file-prefix", "plx-nobody", NULL};
	const char *text[] = {"--file-prefix", prefix, "--stats", "nv", NULL};
	const char *json[] = {"--file-prefix", prefix, "-o", "json", NULL};
	const char *const *runs[] = {text, json, none};
	char pid[48];
	struct daemon d;

	program = info_program;
	for (int i = 0; i < 3; i++) {
		start(&d, runs[i]);
		CHECK_EQ(end(&d, 0), i == 2);
		snprintf(pid, sizeof(pid), i == 0 ? "process %d queue 0: depth" : "\"pid\": %d",
			pri->d.pid);
		CHECK(i == 2 || strstr(d.text, pid) != NULL, "%s", d.text);
		CHECK(i != 2 || strstr(d.text, "no primary process") != NULL, "%s", d.text);
		CHECK(i != 2 || strchr(d.text, '\n') == d.text + strlen(d.text) - 1, "%s", d.text);
	}
}

static void
test_primary_killed(struct child *pri)
{
	struct child c[2];

	for (int i = 0; i < 2; i++)
		secondary(&c[i], SECONDARY, 1000 + 1000 * (uint64_t)i);
	works(&c[0]);
	/* with requests in flight that nobody finishes */
	if (server.pid != 0)
		CHECK_EQ(kill(server.pid, SIGSTOP), 0);
	usleep(100000);
	CHECK_EQ(child_end(pri, SIGKILL), -SIGKILL);
	for (int i = 0; i < 2; i++) {
		lost(&c[i], server.pid != 0 ? -ENODEV : 0);
		refused(&c[i], "mp:nv,name=t", -ENODEV);
		CHECK_EQ(child_end(&c[i], 0), 0);
	}
	if (server.pid != 0)
		CHECK_EQ(kill(server.pid, SIGCONT), 0);
}

static long
free_pages(void)
{
	char line[128];
	long n = 0;
	FILE *f = fopen("/proc/meminfo", "re");

	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		if (sscanf(line, "HugePages_Free: %ld", &n) == 1)
			break;
	if (f != NULL)
		fclose(f);
	return n;
}

static bool
has_hugetlbfs(void)
{
	char line[512];
	bool has = false;
	FILE *f = fopen("/proc/mounts", "re");

	while (f != NULL && !has && fgets(line, sizeof(line), f) != NULL)
		has = strstr(line, " /dev/hugepages hugetlbfs ") != NULL;
	if (f != NULL)
		fclose(f);
	return has;
}

/* What EAL leaves of a process that was killed. */
static void
clean(void)
{
	char text[128];

	snprintf(text, sizeof(text), "rm -rf /dev/hugepages/%smap_* /var/run/dpdk/%s", prefix,
		prefix);
	CHECK_EQ(system(text), 0);
	rmdir(dir);
}

static void
serve(const char *exporter)
{
	const char *args[] = {"--no-huge", "-m", "64", "-l1", "--", "--dev", "ram:size=64M,name=r0",
		"--export", NULL, "--idle", "adaptive", NULL};
	char export[96], sock[64];

	snprintf(sock, sizeof(sock), "%s/s", dir);
	snprintf(attach_pri, sizeof(attach_pri), "vfio-user:%s,name=nv", sock);
	snprintf(export, sizeof(export), "vfio-user:%s,dev=r0", sock);
	args[8] = export;
	program = exporter;
	start(&server, args);
	REQUIRE(prints(&server, "serving"));
}

static void
run(void (*test)(struct child *), const char *name, struct child *pri)
{
	int before = test_failures;

	test(pri);
	printf("%s %s\n", test_failures == before ? "ok  " : "FAIL", name);
	fflush(stdout);
}
#define RUN_ON(test) run(test, #test, &pri)

int
main(int argc, char **argv)
{
	struct child pri;

	if (getenv("MP_CHILD") != NULL)
		return mp_child(argc, argv);
	REQUIRE(argc == 4);
	if (free_pages() < 96 || !has_hugetlbfs())
		skip("needs 96 free hugepages of 2 MB, and a hugetlbfs on /dev/hugepages");
	info_program = argv[1];
	kills = atoi(argv[2]);
	REQUIRE(mkdtemp(dir) != NULL);
	snprintf(prefix, sizeof(prefix), "plx-mp-%d", getpid());
	if (strchr(argv[3], ':') != NULL)
		snprintf(attach_pri, sizeof(attach_pri), "%s,name=nv", argv[3]);
	else
		serve(argv[3]);
	RUN(test_alone);
	primary(&pri);
	RUN_ON(test_refusals);
	RUN_ON(test_hostile);
	RUN_ON(test_both);
	RUN_ON(test_killed);
	RUN_ON(test_reset);
	RUN_ON(test_detach);
	RUN_ON(test_info);
	RUN_ON(test_primary_killed);
	if (server.pid != 0)
		CHECK_EQ(end(&server, SIGTERM), 0);
	clean();
	return TEST_RESULT();
}
