/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_version.h>

#include "plx_export.h"

#include "export.h"

static void
help(void)
{
	const char *form;
	unsigned int i;

	printf("Serve block devices to other processes and virtual machines.\n\n"
	       "usage: " PROG " [EAL options] -- --dev STRING [--dev ...] --export STRING "
	       "[--export ...]\n\n"
	       "  --dev STRING     attach a device: ram:size=1G,name=r0  null:size=1T  "
	       "vfio-user:/path\n"
	       "  --export STRING  serve attached devices; each export is polled by one lcore,\n"
	       "                   which they take in turns:\n");
	for (i = 0; (form = plx_export_help(i)) != NULL; i++)
		printf("                     %s\n", form);
	printf("  --idle MODE      what lcores do without work: busy (poll, the default), or "
	       "adaptive:\n"
	       "                   sleep, and look every millisecond at what clients want\n"
	       "  --help           this text\n"
	       "  --version        the version\n\n"
	       "EAL's options stand before a '--': -l 0,1 chooses lcores, -m 512 memory in MiB.\n"
	       "SIGINT and SIGTERM end it: sockets are removed, counters printed.\n"
	       "Exit codes: 0 ended by a signal, 1 something failed, 2 wrong options.\n\n"
	       "example: " PROG " -l 0 -- --dev ram:size=1G,name=r0 \\\n"
	       "             --export vfio-user:/tmp/r0.sock,dev=r0\n");
}

bool
opts_answer(int argc, char **argv)
{
	int i;

	for (i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
			help();
			return true;
		}
		if (strcmp(argv[i], "--version") == 0) {
			printf(PROG " " VERSION " (%s)\n", rte_version());
			return true;
		}
	}
	return false;
}

/* The value of "--name VALUE" or "--name=VALUE". @return NULL: it isn't this option, or (bad) its
 * value is missing */
static const char *
value(const char *name, int argc, char **argv, int *i, bool *bad)
{
	size_t len = strlen(name);

	if (strncmp(argv[*i], name, len) != 0)
		return NULL;
	if (argv[*i][len] == '=' && argv[*i][len + 1] != '\0')
		return argv[*i] + len + 1;
	if (argv[*i][len] != '\0' && argv[*i][len] != '=')
		return NULL;
	if (argv[*i][len] == '\0' && *i + 1 < argc)
		return argv[++*i];
	fprintf(stderr, PROG ": %s needs a value; see --help\n", name);
	*bad = true;
	return NULL;
}

static int
parse_idle(struct opts *o, const char *val)
{
	o->adaptive = strcmp(val, "adaptive") == 0;
	if (o->adaptive || strcmp(val, "busy") == 0)
		return 0;
	fprintf(stderr, PROG ": --idle '%s' is neither busy nor adaptive\n", val);
	return -EINVAL;
}

static int
parse_one(struct opts *o, int argc, char **argv, int *i)
{
	bool bad = false;
	const char *val;

	val = value("--dev", argc, argv, i, &bad);
	if (val != NULL) {
		o->devs[o->nb_devs++] = val;
		return 0;
	}
	if (!bad)
		val = value("--export", argc, argv, i, &bad);
	if (val != NULL) {
		o->exports[o->nb_exports++] = val;
		return 0;
	}
	if (!bad)
		val = value("--idle", argc, argv, i, &bad);
	if (val != NULL)
		return parse_idle(o, val);
	if (!bad)
		fprintf(stderr,
			PROG ": unknown option '%s'; known are --dev, --export, --idle, --help, "
			     "--version; EAL's stand before a '--'\n",
			argv[*i]);
	return -EINVAL;
}

int
opts_parse(struct opts *o, int argc, char **argv)
{
	int i, rc = 0;

	*o = (struct opts){0};
	o->devs = calloc((size_t)argc + 1, sizeof(*o->devs));
	o->exports = calloc((size_t)argc + 1, sizeof(*o->exports));
	if (o->devs == NULL || o->exports == NULL)
		return -ENOMEM;
	for (i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
		;
	for (i++; i < argc && rc == 0; i++)
		rc = parse_one(o, argc, argv, &i);
	if (rc == 0 && o->nb_exports == 0) {
		fprintf(stderr, PROG
			": nothing to serve: --export is missing (behind a '--'); see --help\n");
		return -EINVAL;
	}
	return rc;
}

void
opts_free(struct opts *o)
{
	free(o->devs);
	free(o->exports);
}
