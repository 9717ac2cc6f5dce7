/* SPDX-License-Identifier: BSD-3-Clause */
/* EAL that does not find the hugepages which were free a moment ago; views and failures are made
 * up. */
#include <errno.h>
#include <sys/wait.h>
#include <unistd.h>

#include <rte_eal.h>
#include <rte_errno.h>

#include "eal_priv.h"
#include "plx_eal.h"
#include "plx_test.h"

static int looks, starts, fails, error, gone_at;

void __wrap_eal_view_get(struct eal_view *view);
int __wrap_rte_eal_init(int argc, char **argv);
int __real_rte_eal_init(int argc, char **argv);

void
__wrap_eal_view_get(struct eal_view *view)
{
	*view = (struct eal_view){.default_page = 2 << 20, .hugetlbfs = true};
	if (++looks != gone_at)
		view->huge_free = UINT64_C(1) << 30;
}

int
__wrap_rte_eal_init(int argc, char **argv)
{
	char *ordinary[] = {"test", "--no-huge", "--no-shconf", "--no-pci", "-m64", NULL};
	bool huge = false;

	for (int i = 1; i < argc; i++)
		huge |= strcmp(argv[i], "--in-memory") == 0;
	CHECK(huge, "a start without hugepages");
	if (++starts > fails)
		return __real_rte_eal_init(5, ordinary) < 0 ? -1 : 0;
	rte_errno = error;
	return -1;
}

/* Where the first starts fail so, and hugepages are gone at this look. */
static void
expect(int failing, int err, int gone, int rc, int want)
{
	int status = -1;
	pid_t pid = fork();

	REQUIRE(pid >= 0);
	if (pid == 0) {
		char *argv[] = {"test", NULL};

		fails = failing, error = err, gone_at = gone;
		CHECK_EQ(plx_eal_init(1, argv), rc);
		CHECK_EQ(starts, want);
		_exit(TEST_RESULT());
	}
	REQUIRE(waitpid(pid, &status, 0) == pid);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %#x", (unsigned int)status);
}

static void
test_again(void)
{
	expect(1, EACCES, 0, 0, 2);
}

static void
test_no_end(void)
{
	expect(99, EACCES, 0, -EACCES, 3);
	expect(99, EACCES, 2, -EACCES, 1);
	/* EAL allows no second start after other failures */
	expect(99, ENOMEM, 0, -ENOMEM, 1);
}

int
main(void)
{
	RUN(test_again);
	RUN(test_no_end);
	return TEST_RESULT();
}
