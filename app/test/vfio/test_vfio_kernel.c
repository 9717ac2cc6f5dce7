/* SPDX-License-Identifier: BSD-3-Clause */
/* The kernel's VFIO, as far as a tree of files can stand for it: what is said when it can't be had.
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include "plx_test_log.h"
#include "plx_vfio.h"
#include "vfio_kernel_priv.h"

#define BDF "0000:01:00.0"
#define DEVICES "/sys/bus/pci/devices/"
#define GROUPS "/sys/kernel/iommu_groups/"

static char root[64] = "/tmp/plx-vfio-XXXXXX";

/* ---- the tree ---- */

/* Make what is missing on the way to a path. */
static void
make_parents(const char *path)
{
	char part[PATH_MAX];

	snprintf(part, sizeof(part), "%s", path);
	for (char *at = part + 1; (at = strchr(at, '/')) != NULL; at++) {
		*at = '\0';
		mkdir(part, 0755);
		*at = '/';
	}
}

static void
file(const char *where, const char *text)
{
	char path[PATH_MAX];
	FILE *f;

	make_parents(vfio_path(path, sizeof(path), "%s", where));
	f = fopen(path, "w");
	REQUIRE(f != NULL);
	fputs(text, f);
	fclose(f);
}

static void
point(const char *where, const char *to)
{
	char path[PATH_MAX];

	make_parents(vfio_path(path, sizeof(path), "%s", where));
	REQUIRE(symlink(to, path) == 0);
}

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

static void
clean(void)
{
	nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void
fresh(void)
{
	clean();
	REQUIRE(mkdir(root, 0700) == 0);
	file(DEVICES BDF "/numa_node", "1\n");
}

/* One line that says all of these. */
static void
refused(enum plx_vfio_mode mode, int want, const char *say1, const char *say2)
{
	struct plx_vfio_dev *dev = NULL;
	char *end;
	int rc;

	logged[0] = '\0';
	rc = plx_vfio_pci_open(BDF, mode, &dev);
	CHECK_EQ(rc, want);
	end = strchr(logged, '\n');
	CHECK(end != NULL && end[1] == '\0', "not one line: '%s'", logged);
	CHECK(strstr(logged, BDF) != NULL, "%s", logged);
	CHECK(strstr(logged, say1) != NULL, "'%s' not in '%s'", say1, logged);
	CHECK(strstr(logged, say2) != NULL, "'%s' not in '%s'", say2, logged);
}

/* ---- tests ---- */

static void
before_it_is_bound(void)
{
	clean();
	REQUIRE(mkdir(root, 0700) == 0);
	refused(PLX_VFIO_AUTO, -ENOENT, "no such PCI function", "lspci");
	fresh();
	refused(PLX_VFIO_AUTO, -ENODEV, "no IOMMU", "intel_iommu=on");
	refused(PLX_VFIO_NOIOMMU, -ENODEV, "has no driver", "plx-devbind --bind vfio-pci");
	point(DEVICES BDF "/iommu_group", "../../../../kernel/iommu_groups/7");
	refused(PLX_VFIO_AUTO, -ENODEV, "has no driver",
		"as root: plx-devbind --bind vfio-pci " BDF);
	file("/sys/bus/pci/drivers/vfio-pci/bind", "");
	point(DEVICES BDF "/driver", "../../drivers/nvme");
	refused(PLX_VFIO_GROUP, -EBUSY, "belongs to the kernel's driver 'nvme'",
		"unmount what is on it, then as root: plx-devbind --bind vfio-pci " BDF);
}

static void
bound(void)
{
	fresh();
	point(DEVICES BDF "/driver", "../../drivers/vfio-pci");
	refused(PLX_VFIO_AUTO, -ENODEV, "in no IOMMU group", "intel_iommu=on");
	point(DEVICES BDF "/iommu_group", "../../../../kernel/iommu_groups/7");
	refused(PLX_VFIO_NOIOMMU, -EINVAL, "an IOMMU protects it", "vfio=auto");
	refused(PLX_VFIO_CDEV, -ENOTSUP, "no character device", "vfio=group");
	refused(PLX_VFIO_GROUP, -ENOENT, "/dev/vfio/vfio", "modprobe vfio-pci");
	file(GROUPS "7/name", "vfio-noiommu\n");
	refused(PLX_VFIO_AUTO, -ENODEV, "without an IOMMU", "vfio=noiommu");
}

/* A node of the device makes cdev the way that auto goes. */
static void
character_device(void)
{
	fresh();
	point(DEVICES BDF "/driver", "../../drivers/vfio-pci");
	point(DEVICES BDF "/iommu_group", "../../../../kernel/iommu_groups/7");
	file(DEVICES BDF "/vfio-dev/vfio3/dev", "245:0\n");
	refused(PLX_VFIO_CDEV, -ENOENT, "/dev/iommu", "modprobe iommufd");
	refused(PLX_VFIO_AUTO, -ENOENT, "/dev/vfio/vfio", "modprobe");
	file("/dev/iommu", "");
	refused(PLX_VFIO_AUTO, -ENOTTY, "no I/O address space", BDF);
}

static void
siblings(void)
{
	char bdf[64], driver[64];

	fresh();
	file(GROUPS "7/devices/" BDF, "");
	point(DEVICES BDF "/driver", "../../drivers/vfio-pci");
	CHECK(!vfio_sysfs_foreigner(7, bdf, driver, sizeof(bdf)));
	file(GROUPS "7/devices/0000:00:01.0", "");
	point(DEVICES "0000:00:01.0/driver", "../../drivers/pcieport");
	CHECK(!vfio_sysfs_foreigner(7, bdf, driver, sizeof(bdf)));
	file(GROUPS "7/devices/0000:01:00.1", "");
	point(DEVICES "0000:01:00.1/driver", "../../drivers/ixgbe");
	CHECK(vfio_sysfs_foreigner(7, bdf, driver, sizeof(bdf)));
	CHECK(strcmp(bdf, "0000:01:00.1") == 0 && strcmp(driver, "ixgbe") == 0, "%s %s", bdf,
		driver);
	CHECK_EQ(vfio_sysfs_numa(BDF), 1);
}

static void
holders(void)
{
	char text[192], self[64];

	fresh();
	point("/proc/41/fd/3", "/dev/vfio/70");
	vfio_sysfs_holder(7, text, sizeof(text));
	CHECK(strstr(text, "can't be seen") != NULL, "%s", text);
	point("/proc/42/fd/5", "/dev/vfio/7");
	file("/proc/42/comm", "dd\n");
	vfio_sysfs_holder(7, text, sizeof(text));
	CHECK(strstr(text, "process 42 (dd)") != NULL, "%s", text);
	fresh();
	point("/proc/43/fd/5", "/dev/vfio/devices/vfio3");
	file("/proc/43/comm", "vpp\n");
	point("/sys/class/vfio-dev/vfio3/device/iommu_group", "../../kernel/iommu_groups/7");
	vfio_sysfs_holder(7, text, sizeof(text));
	CHECK(strstr(text, "process 43 (vpp)") != NULL, "%s", text);
	fresh();
	snprintf(self, sizeof(self), "/proc/%d/fd/9", getpid());
	point(self, "/dev/vfio/7");
	vfio_sysfs_holder(7, text, sizeof(text));
	CHECK(strstr(text, "DPDK in this process") != NULL, "%s", text);
}

int
main(void)
{
	REQUIRE(mkdtemp(root) != NULL);
	vfio_host_root = root;
	log_catch();
	RUN(before_it_is_bound);
	RUN(bound);
	RUN(character_device);
	RUN(siblings);
	RUN(holders);
	clean();
	log_release();
	return TEST_RESULT();
}
