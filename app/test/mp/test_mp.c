/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Several processes drive one NVMe controller, which plx-export serves. Each writes and reads back
 * blocks of its own without end (mp_child.c); they are killed, reset and detached meanwhile.
 * usage: test_mp PLX_EXPORT PLX_INFO
 */
#include <errno.h>
#include <fcntl.h>

#include "mp_child.h"
#include "plx_mp.h"

#include "../export/daemon.h"

#define KILLS 20

static char prefix[32], sock[64], attach_pri[128];
static const char *info_program;
static struct daemon server;

struct child {
	struct daemon d; /* out is read by say() */
	int in;
};

/* ---- children ---- */

static void
child_start(struct child *c, const char *type)
{
	char arg[2][64];
	char *argv[] = {"test_mp", "-l0", arg[0], arg[1],
		strcmp(type, "primary") == 0 ? "-m96" : NULL, NULL};
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

static void
test_both(struct child *pri)
{
	struct child c, c2;
	struct seen s;

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
	struct child c;

	for (int i = 0; i < KILLS; i++) {
		secondary(&c, SECONDARY, 1000 + 100 * (uint64_t)i);
		works(&c);
		CHECK_EQ(child_end(&c, SIGKILL), -SIGKILL);
		queues_are(1);
		works(pri);
	}
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
	CHECK_EQ(kill(server.pid, SIGSTOP), 0);
	usleep(100000);
	CHECK_EQ(child_end(pri, SIGKILL), -SIGKILL);
	for (int i = 0; i < 2; i++) {
		lost(&c[i], -ENODEV);
		refused(&c[i], "mp:nv,name=t", -ENODEV);
		CHECK_EQ(child_end(&c[i], 0), 0);
	}
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
	char export[96];

	REQUIRE(mkdtemp(dir) != NULL);
	snprintf(prefix, sizeof(prefix), "plx-mp-%d", getpid());
	snprintf(sock, sizeof(sock), "%s/s", dir);
	snprintf(attach_pri, sizeof(attach_pri), "vfio-user:%s,name=nv", sock);
	snprintf(export, sizeof(export), "vfio-user:%s,dev=r0", sock);
	args[8] = export;
	program = exporter;
	start(&server, args);
	REQUIRE(prints(&server, "serving") || !printf("%s", server.text));
}

int
main(int argc, char **argv)
{
	struct child pri;
	int before;

	if (getenv("MP_CHILD") != NULL)
		return mp_child(argc, argv);
	REQUIRE(argc == 3);
	if (free_pages() < 96)
		skip("needs 96 free hugepages of 2 MB, and a hugetlbfs to share them");
	info_program = argv[2];
	serve(argv[1]);
	RUN(test_alone);
	primary(&pri);
#define RUN_ON(test)                                                                 \
	do {                                                                         \
		before = test_failures;                                              \
		test(&pri);                                                          \
		printf("%s %s\n", test_failures == before ? "ok  " : "FAIL", #test); \
		fflush(stdout);                                                      \
	} while (0)
	RUN_ON(test_refusals);
	RUN_ON(test_both);
	RUN_ON(test_killed);
	RUN_ON(test_reset);
	RUN_ON(test_detach);
	RUN_ON(test_info);
	RUN_ON(test_primary_killed);
	CHECK_EQ(end(&server, SIGTERM), 0);
	clean();
	return TEST_RESULT();
}
