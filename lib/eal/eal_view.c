/* SPDX-License-Identifier: BSD-3-Clause */
/* A look at the machine's hugepages, before EAL commits itself to them. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <mntent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <rte_eal.h>

#include "eal_priv.h"

#define SYS_HUGE "/sys/kernel/mm/hugepages"

static uint64_t
huge_read(const char *dir, const char *file)
{
	char path[320];
	uint64_t v = 0;
	FILE *f;

	snprintf(path, sizeof(path), SYS_HUGE "/%s/%s", dir, file);
	f = fopen(path, "re");
	if (f == NULL)
		return 0;
	if (fscanf(f, "%" SCNu64, &v) != 1)
		v = 0;
	fclose(f);
	return v;
}

/* As EAL counts: what others reserved but did not touch yet isn't free. */
static uint64_t
huge_free(const char *dir)
{
	uint64_t nr = huge_read(dir, "free_hugepages"), resv = huge_read(dir, "resv_hugepages");
	uint64_t over = huge_read(dir, "nr_overcommit_hugepages");
	uint64_t surplus = huge_read(dir, "surplus_hugepages");

	return (nr > resv ? nr - resv : 0) + (over > surplus ? over - surplus : 0);
}

/* A container may show pages that its hugetlb controller or a seccomp filter denies: take one. */
static void
huge_try(uint64_t page, char *why, size_t len)
{
	unsigned int shift = (unsigned int)__builtin_ctzll(page);
	int fd = memfd_create("plx_probe", MFD_CLOEXEC | MFD_HUGETLB | shift << MAP_HUGE_SHIFT);

	if (fd < 0 || fallocate(fd, 0, 0, (off_t)page) != 0)
		snprintf(why, len, "%s", strerror(errno));
	if (fd >= 0)
		close(fd);
}

/* EAL opens the first hugetlbfs mount of each size, even in memory, and fails when it can't. */
static void
huge_mounts_check(struct eal_view *view)
{
	struct mntent m;
	char buf[1024];
	FILE *f = setmntent("/proc/mounts", "re");

	if (f == NULL)
		return;
	while (getmntent_r(f, &m, buf, sizeof(buf)) != NULL) {
		int fd;

		if (strcmp(m.mnt_type, "hugetlbfs") != 0)
			continue;
		view->hugetlbfs |= access(m.mnt_dir, W_OK | X_OK) == 0;
		fd = open(m.mnt_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd < 0)
			snprintf(view->blocked, sizeof(view->blocked), "%.64s: %s", m.mnt_dir,
				strerror(errno));
		else
			close(fd);
	}
	endmntent(f);
}

static uint64_t
default_page_size(void)
{
	char line[128];
	uint64_t kb = 0;
	FILE *f = fopen("/proc/meminfo", "re");

	if (f == NULL)
		return 0;
	while (fgets(line, sizeof(line), f) != NULL)
		if (sscanf(line, "Hugepagesize: %" SCNu64 " kB", &kb) == 1)
			break;
	fclose(f);
	return kb << 10;
}

/* Where EAL makes its directory. */
static const char *
runtime_base(void)
{
	const char *base = getenv("RUNTIME_DIRECTORY");

	if (base == NULL)
		base = getuid() == 0 ? "/var/run" : getenv("XDG_RUNTIME_DIR");
	return base != NULL ? base : "/tmp";
}

int
eal_runtime_path(const char *prefix, const char *file, char *path, size_t len)
{
	int n = snprintf(path, len, "%s/dpdk/%s/%s", runtime_base(), prefix, file);

	return n >= 0 && (size_t)n < len ? 0 : -ENAMETOOLONG;
}

bool
eal_primary_alive(const char *prefix)
{
	char path[PATH_MAX];

	return eal_runtime_path(prefix, "config", path, sizeof(path)) == 0 &&
	       rte_eal_primary_proc_alive(path) == 1;
}

/* Another user's /tmp/dpdk is a common reason why it can't be made. */
static bool
runtime_dir_bad(void)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/dpdk/rte", runtime_base());
	for (int i = 0; i < 3; i++) { /* the deepest that is there */
		if (access(path, W_OK | X_OK) == 0)
			return false;
		if (errno != ENOENT)
			return true;
		*strrchr(path, '/') = '\0';
	}
	return true;
}

void
eal_view_get(struct eal_view *view)
{
	struct dirent *e;
	DIR *d = opendir(SYS_HUGE);

	memset(view, 0, sizeof(*view));
	view->no_runtime_dir = runtime_dir_bad();
	view->default_page = default_page_size();
	if (d == NULL)
		return;
	while ((e = readdir(d)) != NULL) {
		uint64_t kb, n;

		if (sscanf(e->d_name, "hugepages-%" SCNu64 "kB", &kb) != 1 || kb == 0)
			continue;
		if (kb << 10 == view->default_page)
			view->default_nr = huge_read(e->d_name, "nr_hugepages");
		n = huge_free(e->d_name);
		if (n == 0)
			continue;
		view->huge_free += n * (kb << 10);
		huge_try(kb << 10, view->blocked, sizeof(view->blocked));
	}
	closedir(d);
	huge_mounts_check(view);
}
