/* SPDX-License-Identifier: BSD-3-Clause */
/* soft-nvme: what it says of its medium, and that nothing of it stays behind. */
#include <dirent.h>
#include <errno.h>

#include "plx_blk_drv.h"
#include "plx_eal.h"
#include "plx_probe.h"
#include "plx_test.h"

#define OF_MEDIUM (PLX_BLK_CAP_SOFTWARE | PLX_BLK_CAP_VOLATILE | PLX_BLK_CAP_NODATA)

static struct plx_blk *
named(const char *name)
{
	struct plx_blk *blk;

	for (blk = plx_blk_next(NULL); blk != NULL; blk = plx_blk_next(blk))
		if (strcmp(blk->info.name, name) == 0)
			break;
	return blk;
}

/* Attach as "s". @return the medium's capabilities as they are told of the namespace */
static uint32_t
caps_of(const char *str)
{
	struct plx_dev *dev = NULL;
	struct plx_blk_info info;

	REQUIRE(plx_attach(str, &dev) == 0);
	REQUIRE(named("s/n1") != NULL);
	plx_blk_info_get(named("s/n1"), &info);
	CHECK_EQ(plx_detach(dev), 0);
	return info.caps & OF_MEDIUM;
}

static void
test_own_medium(void)
{
	CHECK_EQ(caps_of("soft-nvme:size=1M,name=s"), PLX_BLK_CAP_SOFTWARE | PLX_BLK_CAP_VOLATILE);
	CHECK_EQ(caps_of("soft-nvme:size=1M,medium=null,name=s"), OF_MEDIUM);
}

/* Writes to it end on a device that may be a drive: it must not pass for software. */
static void
test_backend(void)
{
	struct plx_dev *back;

	REQUIRE(plx_attach("ram:size=1M,name=r", &back) == 0);
	CHECK_EQ(
		caps_of("soft-nvme:backend=r,name=s"), PLX_BLK_CAP_SOFTWARE | PLX_BLK_CAP_VOLATILE);
	named("r")->info.caps &= ~(uint32_t)OF_MEDIUM;
	CHECK_EQ(caps_of("soft-nvme:backend=r,name=s"), 0);
	CHECK_EQ(plx_detach(back), 0);
	CHECK_EQ(plx_attach("soft-nvme:backend=r,name=s", NULL), -ENODEV);
	CHECK(plx_dev_next(NULL) == NULL && plx_blk_next(NULL) == NULL);
}

static unsigned int
entries(const char *path, const char *prefix)
{
	DIR *d = opendir(path);
	unsigned int n = 0;
	struct dirent *e;

	REQUIRE(d != NULL);
	while ((e = readdir(d)) != NULL)
		n += strncmp(e->d_name, prefix, strlen(prefix)) == 0;
	closedir(d);
	return n;
}

static void
test_leaves_nothing(void)
{
	unsigned int fds = entries("/proc/self/fd", ""), i;

	for (i = 0; i < 20; i++) {
		caps_of("soft-nvme:size=1M,name=s");
		/* fails when all is set up but the driver's attachment */
		CHECK_EQ(plx_attach("soft-nvme:size=1M,name=s,sgl=2", NULL), -EINVAL);
	}
	CHECK_EQ(entries("/proc/self/fd", ""), fds);
	CHECK(plx_dev_next(NULL) == NULL && plx_blk_next(NULL) == NULL);
}

int
main(int argc, char **argv)
{
	if (plx_eal_init_app(argc, argv) < 0)
		return 1;
	RUN(test_own_medium);
	RUN(test_backend);
	RUN(test_leaves_nothing);
	plx_eal_cleanup();
	return TEST_RESULT();
}
