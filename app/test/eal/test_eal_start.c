/* SPDX-License-Identifier: BSD-3-Clause */
/* Starting EAL: arguments, a second user, several processes, an ordinary user. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <rte_errno.h>
#include <rte_lcore.h>
#include <rte_memzone.h>

#include "plx_eal.h"
#include "plx_test.h"

/* Always without hugepages: EAL keeps the options of a start that failed, --in-memory too. */
static int
start(const char *opt)
{
	char prog[] = "test", no_huge[] = "--no-huge", arg[64];
	char *argv[] = {prog, no_huge, arg, NULL};

	snprintf(arg, sizeof(arg), "%s", opt);
	return plx_eal_init_app(3, argv);
}

/* Two processes run at a time: neither ends before both have started. */
static void
child(int in, int out, bool as_nobody)
{
	char c = 0;

	if (as_nobody &&
		(setresgid(65534, 65534, 65534) != 0 || setresuid(65534, 65534, 65534) != 0))
		_exit(2);
	if (start("--no-shconf") < 0)
		_exit(1);
	if (write(out, &c, 1) != 1 || read(in, &c, 1) != 1)
		_exit(3);
	plx_eal_cleanup();
	_exit(0);
}

static void
test_side_by_side(void)
{
	int up[2], down[2], status;
	pid_t pid[3];
	char c = 0;

	REQUIRE(pipe(up) == 0 && pipe(down) == 0);
	for (int i = 0; i < 3; i++) {
		pid[i] = fork();
		REQUIRE(pid[i] >= 0);
		if (pid[i] == 0) {
			alarm(30);
			close(up[0]);
			close(down[1]);
			child(down[0], up[1], i == 2 && getuid() == 0);
		}
	}
	close(up[1]);
	for (int i = 0; i < 3; i++)
		CHECK(read(up[0], &c, 1) == 1, "a process didn't start");
	for (int i = 0; i < 3; i++)
		CHECK(write(down[1], &c, 1) == 1, "a process is gone");
	for (int i = 0; i < 3; i++) {
		CHECK(waitpid(pid[i], &status, 0) == pid[i], "no child");
		CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0, "process %d: status %#x", i,
			(unsigned int)status);
	}
	close(up[0]);
	close(down[0]);
	close(down[1]);
}

static void
in_child(void (*fn)(void))
{
	int status = -1;
	pid_t pid = fork();

	REQUIRE(pid >= 0);
	if (pid == 0) {
		alarm(30);
		fn();
		_exit(TEST_RESULT());
	}
	REQUIRE(waitpid(pid, &status, 0) == pid);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %#x", (unsigned int)status);
}

static void
bad_options(void)
{
	CHECK_EQ(start("--no-such-option"), -EINVAL);
	CHECK_EQ(start("--proc-type=secondary"), -ESRCH);
	CHECK(!plx_eal_joined(), "joined what failed");
	CHECK(start("--no-huge") >= 0, "a good start");
	plx_eal_cleanup();
}

/* And a good start after a bad one. In a child, which doesn't see the memory that EAL leaks. */
static void
test_bad_options(void)
{
	in_child(bad_options);
}

/* The application's own arguments begin behind EAL's, and its getopt() is as new. */
static void
arguments(void)
{
	char *argv[] = {"test", "--no-huge", "-m", "64", "--", "-x", "3", "rest", "-y", NULL};
	char **v = argv;
	int n, o, argc = 9;

	n = plx_eal_init_app(argc, argv);
	REQUIRE(n >= 0);
	CHECK_EQ(n, 4);
	argc -= n;
	v += n;
	CHECK(strcmp(v[0], "test") == 0, "argv[0] is '%s'", v[0]);
	o = getopt(argc, v, "+x:y");
	CHECK_EQ(o, 'x');
	CHECK(optarg != NULL && strcmp(optarg, "3") == 0, "its argument");
	CHECK_EQ(getopt(argc, v, "+x:y"), -1); /* + stops at "rest" */
	CHECK_EQ(optind, 3);
}

static void
arguments_amidst(void)
{
	char *argv[] = {"test", "-axyz", NULL};

	CHECK_EQ(getopt(2, argv, "+axyz"), 'a');
	optind = 1; /* EAL would go on with x */
	arguments();
}

static void
test_arguments(void)
{
	in_child(arguments_amidst);
	arguments();
	CHECK(plx_eal_mem_mode() == PLX_EAL_MEM_NOHUGE, "mode");
	CHECK(!plx_eal_joined(), "joined");
}

static void
test_second_user(void)
{
	CHECK_EQ(plx_eal_init(0, NULL), 0);
	CHECK_EQ(plx_eal_cleanup(), 0);
	CHECK(!plx_eal_joined(), "joined its own");
}

static void
test_memzone(void)
{
	const struct rte_memzone *mz = plx_eal_memzone("test zone", 5000, 31, 8192);

	REQUIRE(mz != NULL);
	CHECK_EQ((uintptr_t)mz->addr % 8192, 0);
	for (size_t i = 0; i < 5000; i++)
		if (((char *)mz->addr)[i] != 0) {
			CHECK(0, "byte %zu isn't zero", i);
			break;
		}
	CHECK(plx_eal_memzone("test zone", 64, SOCKET_ID_ANY, 0) == NULL, "twice");
	CHECK_EQ(rte_errno, EEXIST);
	rte_memzone_free(mz);
	CHECK(plx_eal_memzone("too large", (size_t)1 << 40, 0, 0) == NULL, "1 TB");
}

static void
test_lcores(void)
{
	unsigned int l[RTE_MAX_LCORE], n = plx_eal_lcores(l, RTE_MAX_LCORE);

	CHECK_EQ(n, rte_lcore_count());
	CHECK_EQ(l[n - 1], rte_get_main_lcore());
	CHECK_EQ(plx_eal_lcores(l, 0), 0);
}

static void
test_only_once(void)
{
	CHECK_EQ(plx_eal_cleanup(), 0);
	CHECK_EQ(start("--no-huge"), -EALREADY);
	CHECK_EQ(plx_eal_cleanup(), 0);
}

int
main(void)
{
	/* the ordinary user has no runtime directory: EAL must start all the same */
	unsetenv("RUNTIME_DIRECTORY");
	setenv("XDG_RUNTIME_DIR", "/nonexistent", 1);
	RUN(test_side_by_side);
	RUN(test_bad_options);
	RUN(test_arguments);
	RUN(test_second_user);
	RUN(test_memzone);
	RUN(test_lcores);
	RUN(test_only_once);
	return TEST_RESULT();
}
