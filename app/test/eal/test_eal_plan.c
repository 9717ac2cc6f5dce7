/* SPDX-License-Identifier: BSD-3-Clause */
/* Which options are added on which machine: no EAL runs here. */
#include <errno.h>

#include "eal_priv.h"
#include "plx_test.h"

#define MB (UINT64_C(1) << 20)

static const struct eal_view none = {.default_page = 2 * MB, .hugetlbfs = true};
static const struct eal_view plenty = {
	.huge_free = 1024 * MB, .default_page = 2 * MB, .default_nr = 512, .hugetlbfs = true};
static const struct eal_view unmounted = {
	.huge_free = 1024 * MB, .default_page = 2 * MB, .default_nr = 512};
static const struct eal_view little = {
	.huge_free = 40 * MB, .default_page = 2 * MB, .default_nr = 100};
static const struct eal_view crumbs = {
	.huge_free = 4 * MB, .default_page = 2 * MB, .default_nr = 100};
static const struct eal_view denied = {.huge_free = 1024 * MB,
	.default_page = 2 * MB,
	.default_nr = 512,
	.blocked = "/dev/hugepages: Permission denied"};

static struct eal_plan plan;
static char added[512];

/* The options that are added to these, which blanks separate. */
static const char *
plan_for(const struct eal_view *view, const char *args, bool app)
{
	char buf[256], *argv[32] = {"prog"}, *save = NULL;
	int argc = 1;

	snprintf(buf, sizeof(buf), "%s", args);
	for (char *w = strtok_r(buf, " ", &save); w != NULL; w = strtok_r(NULL, " ", &save))
		argv[argc++] = w;
	eal_plan_make(view, argc, argv, app, &plan);
	added[0] = '\0';
	for (int i = 0; i < plan.nb_add; i++)
		snprintf(added + strlen(added), sizeof(added) - strlen(added), "%s%s",
			i > 0 ? " " : "", plan.add[i]);
	return added;
}

static void
check(int line, const struct eal_view *view, const char *args, const char *want)
{
	const char *got = plan_for(view, args, false);

	CHECK(strcmp(got, want) == 0, "line %d: '%s' gets '%s', not '%s'", line, args, got, want);
}
#define EXPECT(view, args, want) check(__LINE__, view, args, want)

#define HUGE "--in-memory --single-file-segments -m64"
#define NOHUGE "--no-huge --no-shconf -m128"

static void
test_no_options(void)
{
	EXPECT(&plenty, "", HUGE);
	EXPECT(&plenty, "-l 0-1 -n 4", HUGE);
	EXPECT(&little, "", "--in-memory --single-file-segments -m40");
	EXPECT(&none, "", NOHUGE);
	EXPECT(&crumbs, "", NOHUGE);
	EXPECT(&denied, "", NOHUGE);
}

static void
test_memory_given(void)
{
	EXPECT(&plenty, "-m 512", "--in-memory --single-file-segments");
	EXPECT(&plenty, "-m512", "--in-memory --single-file-segments");
	EXPECT(&plenty, "-m 4096", "--no-huge --no-shconf");
	EXPECT(&crumbs, "-m 4", "--in-memory --single-file-segments");
	EXPECT(&crumbs, "-m 6", "--no-huge --no-shconf");
	EXPECT(&plenty, "--socket-mem 512", "--in-memory --single-file-segments");
	EXPECT(&none, "--socket-mem=512", "--in-memory --single-file-segments");
}

static void
test_user_decides(void)
{
	EXPECT(&plenty, "--no-huge", "--no-shconf -m128");
	EXPECT(&plenty, "--no-huge --no-shconf -m 32", "");
	EXPECT(&plenty, "--no-huge --file-prefix=x", "-m128");
	EXPECT(&plenty, "--in-memory", "--single-file-segments -m64");
	EXPECT(&none, "--in-memory", "--single-file-segments -m64");
	EXPECT(&plenty, "--single-file-segments", "--in-memory -m64");
	EXPECT(&plenty, "--legacy-mem", "-m64");
	EXPECT(&plenty, "--huge-unlink", "-m64");
	EXPECT(&plenty, "--huge-unlink --in-memory", "--single-file-segments -m64");
	EXPECT(&plenty, "--huge-dir /mnt/huge", "--single-file-segments -m64");
	EXPECT(&plenty, "--file-prefix x", "--single-file-segments -m64");
	EXPECT(&none, "--file-prefix x", "--no-huge -m128");
	EXPECT(&plenty, "--proc-type=primary", "--single-file-segments -m64");
	EXPECT(&plenty, "--match-allocations", HUGE);
	EXPECT(&unmounted, "", HUGE);
	EXPECT(&unmounted, "--file-prefix x", "--no-huge -m128");
	EXPECT(&unmounted, "--file-prefix x --huge-dir /y", "--single-file-segments -m64");
}

static void
test_runtime_dir(void)
{
	struct eal_view v = none;

	v.no_runtime_dir = true;
	EXPECT(&v, "", NOHUGE " --no-telemetry");
	EXPECT(&v, "--no-telemetry", NOHUGE);
	EXPECT(&v, "--file-prefix=x", "--no-huge -m128"); /* EAL says what is wrong */
}

static void
test_spelling(void)
{
	EXPECT(&plenty, "--in-mem", "--single-file-segments -m64");
	EXPECT(&plenty, "--file-pre=x -m 8", "--single-file-segments");
	EXPECT(&plenty, "-- --no-huge", HUGE);
	EXPECT(&plenty, "-l 0 -- -m 9999", HUGE);
	EXPECT(&plenty, "-m", "--in-memory --single-file-segments");
	EXPECT(&plenty, "-", HUGE);
}

static void
test_app(void)
{
	CHECK(strstr(plan_for(&none, "", true), " --no-pci --log-level=") != NULL, "%s", added);
	CHECK(strstr(plan_for(&none, "-a 0000:01:00.0", true), "--no-pci") == NULL, "%s", added);
	CHECK(strstr(plan_for(&none, "--allow=0000:01:00.0", true), "--no-pci") == NULL, "%s",
		added);
	CHECK(strstr(plan_for(&none, "--no-pci", true), "--no-pci") == NULL, "%s", added);
	CHECK(strstr(plan_for(&none, "--log-level=8", true), "--log-level") == NULL, "%s", added);
	CHECK(strstr(plan_for(&none, "", false), "--no-pci") == NULL, "%s", added);
}

static void
test_notes(void)
{
	plan_for(&plenty, "", false);
	CHECK(!plan.fallback && plan.note[0] == '\0', "%s", plan.note);
	plan_for(&none, "", false);
	CHECK(plan.fallback && strstr(plan.note, "echo 32 | sudo tee") != NULL, "%s", plan.note);
	plan_for(&crumbs, "", false); /* 64 MB are 30 pages more than there are */
	CHECK(strstr(plan.note, "only 4 MB of free") != NULL, "%s", plan.note);
	CHECK(strstr(plan.note, "echo 130 |") != NULL, "%s", plan.note);
	plan_for(&denied, "", false);
	CHECK(strstr(plan.note, "Permission denied") != NULL, "%s", plan.note);
	plan_for(&denied, "--in-memory", false); /* why it is going to fail */
	CHECK(!plan.fallback && strstr(plan.note, "Permission denied") != NULL, "%s", plan.note);
	plan_for(&unmounted, "--file-prefix x", false);
	CHECK(plan.fallback && strstr(plan.note, "mount -t hugetlbfs") != NULL, "%s", plan.note);
	plan_for(&unmounted, "--huge-unlink", false);
	CHECK(!plan.fallback && strstr(plan.note, "mount -t hugetlbfs") != NULL, "%s", plan.note);
	plan_for(&none, "--no-huge", false); /* as asked for */
	CHECK(plan.note[0] == '\0', "%s", plan.note);
}

static void
test_secondary(void)
{
	plan_for(&plenty, "--proc-type secondary", false);
	CHECK(plan.secondary && strcmp(plan.prefix, "rte") == 0, "%s", plan.prefix);
	CHECK_EQ(plan.nb_add, 0);
	plan_for(&none, "--proc-type=secondary --file-prefix=x", false);
	CHECK(plan.secondary && strcmp(plan.prefix, "x") == 0, "%s", plan.prefix);
	CHECK(plan.nb_add == 0 && !plan.fallback, "hugepages are the primary's affair");
	plan_for(&plenty, "--proc-type=auto", false);
	CHECK(!plan.secondary, "nobody said so");
	CHECK(strstr(added, "-m") == NULL, "it may become a secondary: %s", added);
	plan_for(&plenty, "--proc-type=primary", false);
	CHECK(strstr(added, "-m64") != NULL, "a primary has memory that stays: %s", added);
}

int
main(void)
{
	RUN(test_no_options);
	RUN(test_memory_given);
	RUN(test_user_decides);
	RUN(test_runtime_dir);
	RUN(test_spelling);
	RUN(test_app);
	RUN(test_notes);
	RUN(test_secondary);
	return TEST_RESULT();
}
