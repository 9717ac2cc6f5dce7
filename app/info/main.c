/* SPDX-License-Identifier: BSD-3-Clause */
/* What a primary process has: devices, queues, whose they are, counters. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "info.h"

enum { EXIT_OK, EXIT_FAILED, EXIT_USAGE };

static void
help(void)
{
	printf("Show the block devices of a running Pollux process.\n\n"
	       "usage: " PROG " [--file-prefix PREFIX] [-o normal|json] [--stats] [DEVICE]\n\n"
	       "  --file-prefix PREFIX   the process' EAL option of that name; without: rte\n"
	       "  -o normal|json         how; json has all counters\n"
	       "  --stats                also counters\n"
	       "  --help, --version\n\n"
	       "DEVICE: a block device (nvme0/n1), or an attachment (nvme0); without: all.\n"
	       "The process must share its EAL: it was started with --file-prefix, on hugepages.\n"
	       "Exit codes: 0 shown, 1 there is no such process or device, 2 wrong options.\n");
}

/* The value of "--name VALUE", "--name=VALUE" or "-o VALUE". @return NULL: not this option */
static const char *
value(const char *name, int argc, char **argv, int *i)
{
	size_t len = strlen(name);

	if (strncmp(argv[*i], name, len) != 0)
		return NULL;
	if (argv[*i][len] == '=')
		return argv[*i] + len + 1;
	if (argv[*i][len] != '\0')
		return NULL;
	return *i + 1 < argc ? argv[++*i] : "";
}

static int
wrong(const char *what, const char *text)
{
	fprintf(stderr, PROG ": %s '%s'; see --help\n", what, text);
	return EXIT_USAGE;
}

static int
parse(struct show *s, const char **prefix, int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		const char *val;

		if (strcmp(argv[i], "--stats") == 0) {
			s->stats = true;
		} else if ((val = value("--file-prefix", argc, argv, &i)) != NULL) {
			if (*val == '\0' || strchr(val, '/') != NULL)
				return wrong("not a prefix:", val);
			*prefix = val;
		} else if ((val = value("-o", argc, argv, &i)) != NULL) {
			s->json = strcmp(val, "json") == 0;
			if (!s->json && strcmp(val, "normal") != 0)
				return wrong("-o is neither normal nor json:", val);
		} else if (argv[i][0] == '-') {
			return wrong("unknown option", argv[i]);
		} else if (s->device != NULL) {
			return wrong("one device at a time, not also", argv[i]);
		} else {
			s->device = argv[i];
		}
	}
	return EXIT_OK;
}

int
main(int argc, char **argv)
{
	const char *prefix = "rte";
	struct show s = {0};
	int rc;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
			help();
			return EXIT_OK;
		}
		if (strcmp(argv[i], "--version") == 0) {
			printf(PROG " " VERSION "\n");
			return EXIT_OK;
		}
	}
	rc = parse(&s, &prefix, argc, argv);
	if (rc != EXIT_OK)
		return rc;
	rc = plx_mp_inspect(prefix, show_one, &s);
	show_end(&s, rc == 0);
	if (rc == 0 && s.device != NULL && !s.any) {
		fprintf(stderr, PROG ": no device '%s' in the process of --file-prefix=%s\n",
			s.device, prefix);
		rc = -1;
	}
	return rc == 0 ? EXIT_OK : EXIT_FAILED;
}
