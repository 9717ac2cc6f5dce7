/* SPDX-License-Identifier: BSD-3-Clause */
/* The choice of EAL options. No I/O here: tests give it machines of their own making. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "eal_priv.h"

enum given {
	NO_HUGE = 1 << 0,
	IN_MEMORY = 1 << 1,
	NO_SHCONF = 1 << 2,
	LEGACY_MEM = 1 << 3,
	SINGLE_FILE = 1 << 4,
	SOCKET_MEM = 1 << 5,
	HUGE_ONLY = 1 << 6,  /* makes sense with hugepages only, and works with --in-memory */
	HUGE_FILES = 1 << 7, /* is about files in hugetlbfs */
	FILE_PREFIX = 1 << 8,
	PROC_TYPE = 1 << 9,
	MEMORY = 1 << 10,
	NO_PCI = 1 << 11,
	ALLOW = 1 << 12,
	LOG_LEVEL = 1 << 13,
	HUGE_UNLINK = 1 << 14,
	SECONDARY = 1 << 15,
	TELEMETRY = 1 << 16,
	PRIMARY = 1 << 17,
};

/* Any of these means that the user asked for hugepages, so ordinary memory would be wrong. */
#define WANTS_HUGE \
	(IN_MEMORY | LEGACY_MEM | SINGLE_FILE | SOCKET_MEM | HUGE_ONLY | HUGE_FILES | HUGE_UNLINK)
/* What --in-memory contradicts: it leaves nothing that a second process could open. */
#define NEEDS_FILES (LEGACY_MEM | HUGE_FILES | HUGE_UNLINK | FILE_PREFIX | PROC_TYPE)

static const struct long_opt {
	const char *name;
	unsigned int bit;
} long_opts[] = {
	{"no-huge", NO_HUGE},
	{"in-memory", IN_MEMORY},
	{"no-shconf", NO_SHCONF},
	{"legacy-mem", LEGACY_MEM},
	{"single-file-segments", SINGLE_FILE},
	{"socket-mem", SOCKET_MEM},
	{"numa-mem", SOCKET_MEM},
	{"socket-limit", HUGE_ONLY},
	{"numa-limit", HUGE_ONLY},
	{"match-allocations", HUGE_ONLY},
	{"huge-worker-stack", HUGE_ONLY},
	{"huge-dir", HUGE_FILES},
	{"huge-unlink", HUGE_UNLINK},
	{"file-prefix", FILE_PREFIX},
	{"proc-type", PROC_TYPE},
	{"no-pci", NO_PCI},
	{"no-telemetry", TELEMETRY},
	{"telemetry", TELEMETRY},
	{"allow", ALLOW},
	{"log-level", LOG_LEVEL},
	{"memory-size", MEMORY},
};

struct scan {
	unsigned int given;
	uint64_t mb;        /* of -m */
	const char *prefix; /* of --file-prefix */
};

/* getopt_long() takes any unambiguous beginning of a name; an ambiguous one EAL refuses itself. */
static unsigned int
long_opt_find(const char *arg, const char **value)
{
	size_t len = strcspn(arg, "=");

	*value = arg[len] == '=' ? arg + len + 1 : NULL;
	for (size_t i = 0; len > 0 && i < sizeof(long_opts) / sizeof(long_opts[0]); i++)
		if (strncmp(long_opts[i].name, arg, len) == 0)
			return long_opts[i].bit;
	return 0;
}

static unsigned int
short_opt_find(const char *arg, const char **value)
{
	*value = arg[1] != '\0' ? arg + 1 : NULL;
	return arg[0] == 'm' ? MEMORY : arg[0] == 'a' ? ALLOW : 0;
}

static void
args_scan(int argc, char *const argv[], struct scan *s)
{
	memset(s, 0, sizeof(*s));
	for (int i = 1; i < argc; i++) {
		const char *value, *a = argv[i];
		unsigned int bit;

		if (strcmp(a, "--") == 0)
			break;
		if (a[0] != '-' || a[1] == '\0')
			continue;
		bit = a[1] == '-' ? long_opt_find(a + 2, &value) : short_opt_find(a + 1, &value);
		if (value == NULL && i + 1 < argc)
			value = argv[i + 1];
		s->given |= bit;
		if (bit == MEMORY && value != NULL)
			s->mb = strtoull(value, NULL, 0);
		if (bit == FILE_PREFIX && value != NULL)
			s->prefix = value;
		if (bit == PROC_TYPE && value != NULL && strcmp(value, "secondary") == 0)
			s->given |= SECONDARY;
		if (bit == PROC_TYPE && value != NULL && strcmp(value, "primary") == 0)
			s->given |= PRIMARY;
	}
}

static void __attribute__((format(printf, 2, 3))) add(struct eal_plan *p, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(p->add[p->nb_add++], sizeof(p->add[0]), fmt, ap);
	va_end(ap);
}

static void
plan_huge(const struct eal_view *view, const struct scan *s, struct eal_plan *p)
{
	uint64_t mb = view->huge_free >> 20;

	p->huge = true;
	if ((s->given & (IN_MEMORY | NEEDS_FILES)) == 0)
		add(p, "--in-memory");
	if ((s->given & (SINGLE_FILE | LEGACY_MEM)) == 0 &&
		((s->given & HUGE_UNLINK) == 0 || (s->given & IN_MEMORY) != 0))
		add(p, "--single-file-segments");
	/* Memory given by -m is never returned, so a device may map it in one piece. */
	if ((s->given & (MEMORY | SOCKET_MEM)) == 0 &&
		(s->given & (PROC_TYPE | PRIMARY)) != PROC_TYPE)
		add(p, "-m%u", mb != 0 && mb < EAL_HUGE_MB ? (unsigned int)mb : EAL_HUGE_MB);
}

static void
plan_nohuge(const struct scan *s, struct eal_plan *p)
{
	if ((s->given & NO_HUGE) == 0)
		add(p, "--no-huge");
	if ((s->given & (NO_SHCONF | FILE_PREFIX | PROC_TYPE)) == 0)
		add(p, "--no-shconf");
	if ((s->given & MEMORY) == 0)
		add(p, "-m%u", EAL_NOHUGE_MB);
}

static void __attribute__((format(printf, 2, 3))) note(struct eal_plan *p, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(p->note, sizeof(p->note), fmt, ap);
	va_end(ap);
}

#define MOUNT_HINT "mount -t hugetlbfs none /dev/hugepages"

static void
plan_fallback(const struct eal_view *view, const struct scan *s, bool no_mount, struct eal_plan *p)
{
	bool sized = (s->given & MEMORY) != 0;
	uint64_t page = view->default_page != 0 ? view->default_page : 2 << 20;
	uint64_t want = (sized ? s->mb : EAL_HUGE_MB) << 20;
	uint64_t lack = want > view->huge_free ? want - view->huge_free : 0;
	char runs[80], few[32] = "no";

	plan_nohuge(s, p);
	p->fallback = true;
	snprintf(runs, sizeof(runs), "running on %u MB of ordinary memory, slower",
		sized ? (unsigned int)s->mb : EAL_NOHUGE_MB);
	if (view->blocked[0] != '\0') {
		note(p, "hugepages can't be used (%s): %s", view->blocked, runs);
	} else if (no_mount && lack == 0) {
		note(p, "no hugetlbfs for shared hugepages: %s; sudo " MOUNT_HINT, runs);
	} else {
		if (view->huge_free != 0)
			snprintf(few, sizeof(few), "only %u MB of",
				(unsigned int)(view->huge_free >> 20));
		note(p,
			"%s free hugepages: %s; to reserve some: "
			"echo %u | sudo tee /proc/sys/vm/nr_hugepages",
			few, runs, (unsigned int)(view->default_nr + (lack + page - 1) / page));
	}
}

/* What the user will want to know if this goes wrong. */
static void
note_why_not(const struct eal_view *view, bool enough, bool no_mount, struct eal_plan *p)
{
	if (view->blocked[0] != '\0')
		note(p, "hugepages can't be used: %s", view->blocked);
	else if (no_mount)
		note(p, "no hugetlbfs that it may use: sudo " MOUNT_HINT);
	else if (!enough)
		note(p, "only %u MB of hugepages are free: reserve more, or give it --no-huge",
			(unsigned int)(view->huge_free >> 20));
}

static void
plan_memory(const struct eal_view *view, const struct scan *s, struct eal_plan *p)
{
	uint64_t want = (s->given & MEMORY) != 0 ? s->mb : EAL_HUGE_MIN_MB;
	bool enough = view->huge_free > 0 && view->huge_free >> 20 >= want;
	bool no_mount =
		(s->given & IN_MEMORY) == 0 && (s->given & NEEDS_FILES) != 0 && !view->hugetlbfs;

	if ((s->given & NO_HUGE) != 0) {
		plan_nohuge(s, p);
	} else if ((s->given & WANTS_HUGE) != 0 ||
		   (enough && !no_mount && view->blocked[0] == '\0')) {
		plan_huge(view, s, p);
		note_why_not(view, enough, no_mount, p);
	} else {
		plan_fallback(view, s, no_mount, p);
	}
}

void
eal_plan_make(
	const struct eal_view *view, int argc, char *const argv[], bool app, struct eal_plan *p)
{
	struct scan s;

	memset(p, 0, sizeof(*p));
	args_scan(argc, argv, &s);
	/* a secondary process has what the primary has */
	p->secondary = (s.given & SECONDARY) != 0;
	if (p->secondary)
		snprintf(p->prefix, sizeof(p->prefix), "%s", s.prefix != NULL ? s.prefix : "rte");
	else
		plan_memory(view, &s, p);
	if (view->no_runtime_dir && (s.given & (TELEMETRY | NEEDS_FILES)) == 0)
		add(p, "--no-telemetry");
	if (app && (s.given & (NO_PCI | ALLOW)) == 0)
		add(p, "--no-pci");
	if (app && (s.given & LOG_LEVEL) == 0) {
		add(p, "--log-level=lib.eal:error");
		add(p, "--log-level=lib.telemetry:error");
	}
}
