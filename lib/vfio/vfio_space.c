/* SPDX-License-Identifier: BSD-3-Clause */
/* I/O address spaces: one an IOMMU group, shared by the functions in it that are open here. */
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "plx_log.h"
#include "vfio_kernel_priv.h"

PLX_LOG_USE(vfio);

static struct vfio_space *spaces;

struct vfio_space *
vfio_space_find(int group, bool cdev)
{
	struct vfio_space *s;

	for (s = spaces; s != NULL; s = s->next)
		if (s->group == group && s->cdev == cdev && s->users > 0)
			break;
	if (s == NULL)
		return NULL;
	s->refs++;
	s->users++;
	return s;
}

struct vfio_space *
vfio_space_new(int group, bool cdev)
{
	struct vfio_space *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->group = group;
	s->cdev = cdev;
	s->refs = s->users = 1;
	s->iommu = s->group_fd = -1;
	snprintf(s->name, sizeof(s->name), "IOMMU group %d", group);
	s->next = spaces;
	spaces = s;
	return s;
}

void
vfio_space_leave(struct vfio_space *s)
{
	if (--s->users > 0)
		return;
	if (s->group_fd >= 0)
		close(s->group_fd);
	/* with the last user of the address space the kernel unmaps and unpins all */
	if (s->iommu >= 0)
		close(s->iommu);
	s->group_fd = s->iommu = -1;
}

void
vfio_space_put(struct vfio_space *s)
{
	struct vfio_space **at;

	if (--s->refs > 0)
		return;
	for (at = &spaces; *at != s; at = &(*at)->next)
		;
	*at = s->next;
	plx_mem_domain_destroy(s->domain);
	free(s);
}

/* What this process has locked, in KiB. */
static unsigned long
locked_kib(void)
{
	unsigned long kib = 0, pinned = 0;
	char line[128];
	FILE *f = fopen("/proc/self/status", "re");

	if (f == NULL)
		return 0;
	while (fgets(line, sizeof(line), f) != NULL) {
		sscanf(line, "VmLck: %lu", &kib);
		sscanf(line, "VmPin: %lu", &pinned);
	}
	fclose(f);
	return kib > pinned ? kib : pinned;
}

void
vfio_space_no_memory(const struct vfio_space *s, size_t len)
{
	struct rlimit r = {0};

	getrlimit(RLIMIT_MEMLOCK, &r);
	if (r.rlim_cur == RLIM_INFINITY) {
		PLX_LOG(ERR, "vfio: %s: the kernel has no memory to pin %zu KiB", s->name,
			len >> 10);
		return;
	}
	PLX_LOG(ERR,
		"vfio: %s: can't pin %zu KiB: this process may lock %llu KiB and has locked %lu; "
		"raise the limit to %llu KiB or more (ulimit -l, LimitMEMLOCK= of systemd), give "
		"EAL less memory (-m), or run with CAP_IPC_LOCK",
		s->name, len >> 10, (unsigned long long)r.rlim_cur >> 10, locked_kib(),
		(unsigned long long)locked_kib() + (len >> 10));
}
