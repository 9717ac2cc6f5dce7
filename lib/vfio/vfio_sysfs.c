/* SPDX-License-Identifier: BSD-3-Clause */
/* What sysfs and /proc say about a function, its group, and who uses it. */
#include <ctype.h>
#include <dirent.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vfio_kernel_priv.h"

#define DEVICES "/sys/bus/pci/devices/"
#define GROUPS "/sys/kernel/iommu_groups/"

const char *vfio_host_root = "";

static const char *
vpath(char *path, size_t size, const char *fmt, va_list ap)
{
	int n = snprintf(path, size, "%s", vfio_host_root);

	if (n >= 0 && (size_t)n < size)
		vsnprintf(path + n, size - (size_t)n, fmt, ap);
	return path;
}

const char *
vfio_path(char *path, size_t size, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vpath(path, size, fmt, ap);
	va_end(ap);
	return path;
}

bool
vfio_path_exists(const char *fmt, ...)
{
	char path[PATH_MAX];
	va_list ap;

	va_start(ap, fmt);
	vpath(path, sizeof(path), fmt, ap);
	va_end(ap);
	return access(path, F_OK) == 0;
}

/* The last part of where a link leads. */
static bool
link_name(const char *path, char *name, size_t size)
{
	char to[PATH_MAX];
	const char *last;
	size_t len;
	ssize_t n = readlink(path, to, sizeof(to) - 1);

	name[0] = '\0';
	if (n < 0)
		return false;
	to[n] = '\0';
	last = strrchr(to, '/');
	last = last != NULL ? last + 1 : to;
	len = strnlen(last, size - 1);
	memcpy(name, last, len);
	name[len] = '\0';
	return true;
}

/* The first line of a file. */
static bool
read_word(const char *path, char *word, size_t size)
{
	FILE *f = fopen(path, "re");
	bool ok;

	word[0] = '\0';
	if (f == NULL)
		return false;
	ok = fgets(word, (int)size, f) != NULL;
	fclose(f);
	word[strcspn(word, "\n")] = '\0';
	return ok;
}

bool
vfio_sysfs_driver(const char *bdf, char *driver, size_t size)
{
	char path[PATH_MAX];

	return link_name(vfio_path(path, sizeof(path), DEVICES "%s/driver", bdf), driver, size);
}

int
vfio_sysfs_group(const char *bdf)
{
	char path[PATH_MAX], name[32];

	if (!link_name(vfio_path(path, sizeof(path), DEVICES "%s/iommu_group", bdf), name,
		    sizeof(name)))
		return -1;
	return atoi(name);
}

bool
vfio_sysfs_noiommu(int group)
{
	char path[PATH_MAX], name[32];

	return read_word(vfio_path(path, sizeof(path), GROUPS "%d/name", group), name,
		       sizeof(name)) &&
	       strcmp(name, "vfio-noiommu") == 0;
}

bool
vfio_sysfs_cdev(const char *bdf, char *name, size_t size)
{
	char path[PATH_MAX];
	struct dirent *e;
	DIR *d = opendir(vfio_path(path, sizeof(path), DEVICES "%s/vfio-dev", bdf));

	name[0] = '\0';
	if (d == NULL)
		return false;
	while ((e = readdir(d)) != NULL)
		if (strncmp(e->d_name, "vfio", 4) == 0)
			snprintf(name, size, "%s", e->d_name);
	closedir(d);
	/* without a number of its own it has no node: a kernel without them */
	if (name[0] != '\0' && !vfio_path_exists(DEVICES "%s/vfio-dev/%s/dev", bdf, name))
		name[0] = '\0';
	return name[0] != '\0';
}

int
vfio_sysfs_numa(const char *bdf)
{
	char path[PATH_MAX], word[16];

	if (!read_word(
		    vfio_path(path, sizeof(path), DEVICES "%s/numa_node", bdf), word, sizeof(word)))
		return -1;
	return atoi(word);
}

/* Of a directory, in turn: names that fn takes. */
static bool
find_entry(const char *path, bool (*fn)(const char *name, void *arg), void *arg)
{
	struct dirent *e;
	DIR *d = opendir(path);
	bool found = false;

	if (d == NULL)
		return false;
	while (!found && (e = readdir(d)) != NULL)
		if (e->d_name[0] != '.')
			found = fn(e->d_name, arg);
	closedir(d);
	return found;
}

struct foreigner {
	char *bdf, *driver;
	size_t size;
};

/* Bridges may keep their driver. */
static bool
is_foreigner(const char *name, void *arg)
{
	struct foreigner *f = arg;

	if (!vfio_sysfs_driver(name, f->driver, f->size) || strstr(f->driver, "vfio") != NULL ||
		strcmp(f->driver, "pcieport") == 0 || strcmp(f->driver, "pci-stub") == 0)
		return false;
	snprintf(f->bdf, f->size, "%s", name);
	return true;
}

bool
vfio_sysfs_foreigner(int group, char *bdf, char *driver, size_t size)
{
	struct foreigner f = {bdf, driver, size};
	char path[PATH_MAX];

	return find_entry(
		vfio_path(path, sizeof(path), GROUPS "%d/devices", group), is_foreigner, &f);
}

struct holder {
	int group;
	char pid[16];
};

/* Whether that descriptor is the group's node, or that of one of its functions. */
static bool
is_node(const char *fd, void *arg)
{
	char path[PATH_MAX], to[PATH_MAX], node[64];
	struct holder *h = arg;
	ssize_t n;

	vfio_path(path, sizeof(path), "/proc/%s/fd/%s", h->pid, fd);
	n = readlink(path, to, sizeof(to) - 1);
	if (n < 0)
		return false;
	to[n] = '\0';
	snprintf(node, sizeof(node), "/dev/vfio/%d", h->group);
	if (strcmp(to, node) == 0)
		return true;
	snprintf(node, sizeof(node), "/dev/vfio/noiommu-%d", h->group);
	if (strcmp(to, node) == 0)
		return true;
	if (strncmp(to, "/dev/vfio/devices/", 18) != 0)
		return false;
	/* class/vfio-dev/vfioN/device is the function */
	vfio_path(path, sizeof(path), "/sys/class/vfio-dev/%s/device/iommu_group", to + 18);
	return link_name(path, node, sizeof(node)) && atoi(node) == h->group;
}

static bool
holds(const char *pid, void *arg)
{
	struct holder *h = arg;
	char path[PATH_MAX];

	if (!isdigit((unsigned char)pid[0]) || strlen(pid) >= sizeof(h->pid))
		return false;
	strcpy(h->pid, pid);
	return find_entry(vfio_path(path, sizeof(path), "/proc/%s/fd", pid), is_node, h);
}

void
vfio_sysfs_holder(int group, char *text, size_t size)
{
	struct holder h = {.group = group};
	char path[PATH_MAX], comm[32];

	if (!find_entry(vfio_path(path, sizeof(path), "/proc"), holds, &h)) {
		snprintf(text, size,
			"in use by a process that can't be seen from here: run as root to learn "
			"which, or look for an open /dev/vfio/%d",
			group);
	} else if (atoi(h.pid) == getpid()) {
		snprintf(text, size,
			"in use by DPDK in this process: start EAL with --no-pci, or block the "
			"device with -b");
	} else {
		read_word(
			vfio_path(path, sizeof(path), "/proc/%s/comm", h.pid), comm, sizeof(comm));
		snprintf(text, size, "in use by process %s (%s): end it first", h.pid, comm);
	}
}
