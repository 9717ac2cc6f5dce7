/* SPDX-License-Identifier: BSD-3-Clause */
/* Command lines: options by their names, help, and what a wrong name may have meant. */
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "opts.h"

/* One line, whatever users put into it. */
void
tb_say(const char *fmt, ...)
{
	char line[1024];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	for (char *c = line; *c != '\0'; c++)
		*c = iscntrl((unsigned char)*c) ? '?' : *c;
	fprintf(stderr, "plx-testblk: %s%s\n", line, n < (int)sizeof(line) ? "" : "...");
}

/* ---- names ---- */

/* '-' and '_' are the same. */
static bool
same(const char *a, const char *b, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (a[i] != b[i] && !(memchr("-_", a[i], 2) && memchr("-_", b[i], 2)))
			return false;
	return b[len] == '\0';
}

const struct tb_option *
tb_opts_lookup(const char *name, size_t len)
{
	const struct tb_option *t;

	if (memchr(name, '\0', len) != NULL)
		return NULL;
	for (unsigned int n = tb_opts_table(&t); n > 0; n--, t++)
		if (same(name, t->name, len) || (t->alias != NULL && same(name, t->alias, len)))
			return t;
	return NULL;
}

/* How many insertions, deletions and exchanges lead from a to b. */
static unsigned int
distance(const char *a, const char *b)
{
	unsigned int row[32], diag, up;
	unsigned int nb = (unsigned int)strlen(b);

	if (nb >= sizeof(row) / sizeof(row[0]))
		return UINT32_MAX;
	for (unsigned int j = 0; j <= nb; j++)
		row[j] = j;
	for (unsigned int i = 1; *a != '\0'; a++, i++) {
		diag = row[0];
		row[0] = i;
		for (unsigned int j = 1; j <= nb; j++) {
			up = row[j];
			row[j] = diag + !same(a, (const char[]){b[j - 1], '\0'}, 1);
			if (up + 1 < row[j])
				row[j] = up + 1;
			if (row[j - 1] + 1 < row[j])
				row[j] = row[j - 1] + 1;
			diag = up;
		}
	}
	return row[nb];
}

static void
nearer(const char *name, const char *known, unsigned int *best, const char **found)
{
	unsigned int d = known == NULL ? UINT32_MAX : distance(name, known);

	if (d < *best && d < strlen(known)) {
		*best = d;
		*found = known;
	}
}

static const char *
nearest(const char *name)
{
	const struct tb_option *t;
	const char *found = NULL;
	unsigned int best = 3;

	for (unsigned int n = tb_opts_table(&t); n > 0; n--, t++) {
		nearer(name, t->name, &best, &found);
		nearer(name, t->alias, &best, &found);
	}
	return found;
}

const struct tb_option *
tb_opts_find(const char *name)
{
	const struct tb_option *opt = tb_opts_lookup(name, strlen(name));
	const char *near = opt == NULL ? nearest(name) : NULL;

	if (opt != NULL && opt->def != NULL)
		return opt;
	if (near != NULL)
		tb_say("there is no setting '%s': did you mean '%s'?", name, near);
	else
		tb_say("there is no setting '%s'; 'show config' lists them", name);
	return NULL;
}

/* ---- help ---- */

static void
help(void)
{
	char head[64];
	const struct tb_option *t;
	unsigned int n = tb_opts_table(&t);

	printf("Test block devices: throughput, latency, data.\n\n"
	       "Usage: plx-testblk [EAL options --] --dev STRING [options]\n");
	for (unsigned int g = 0; g < TB_GROUPS; g++) {
		printf("\n%s:\n", tb_opts_group((enum tb_option_group)g));
		for (unsigned int i = 0; i < n; i++) {
			if (t[i].group != g)
				continue;
			snprintf(head, sizeof(head), "--%s%s%s", t[i].name,
				t[i].arg == NULL ? "" : " ", t[i].arg == NULL ? "" : t[i].arg);
			printf("  %-24s  %s\n", head, t[i].help);
		}
	}
	printf("\nSizes take K, M, G and T, powers of 1024. Names of fio's options mean what they\n"
	       "mean there. Exit code: 0; 1 an I/O or the verification failed; 2 a wrong command\n"
	       "line.\n\n"
	       "Examples:\n"
	       "  plx-testblk --dev ram:size=64M\n"
	       "\t4 KiB random reads from memory for 5 s\n"
	       "  plx-testblk -l 0-1 -- --dev soft-nvme:size=256M --rw randwrite --size 64M "
	       "--verify crc32c\n"
	       "\tthe NVMe driver against the software controller, one queue on each of two\n"
	       "\tlcores; every block is written once, read back and checked\n"
	       "  plx-testblk -l 2 -- --dev pci:0000:01:00.0 --iodepth 128 --time 10 --json -\n"
	       "\ta drive on lcore 2, the report as JSON\n"
	       "  plx-testblk -l 2-3 -- --dev pci:0000:01:00.0 --rw randrw --rwmixread 70 "
	       "--allow-write\n"
	       "\t70 %% reads, 30 %% writes: what is on the drive is lost\n"
	       "  plx-testblk -i --dev soft-nvme:size=1G\n"
	       "\ta shell: 'set iodepth 128', 'start', 'show run', 'stop', 'help'\n");
}

/* A definition; where the line of help says all, that. */
static void
rst_option(const struct tb_option *t)
{
	printf("``--%s%s%s``", t->name, t->arg == NULL ? "" : " ", t->arg == NULL ? "" : t->arg);
	if (t->alias != NULL)
		printf(", ``--%s``", t->alias);
	printf("\n    %c%s.", toupper((unsigned char)t->help[0]), t->help + 1);
	if (t->doc != NULL)
		printf(" %s", t->doc);
	printf("\n\n");
}

void
tb_opts_rst(void)
{
	const struct tb_option *t;
	unsigned int n = tb_opts_table(&t);

	printf(".. Made by plx-testblk --help-rst.\n\n");
	for (unsigned int g = 0; g < TB_GROUPS; g++) {
		const char *name = tb_opts_group((enum tb_option_group)g);

		printf("%s\n", name);
		for (const char *c = name; *c != '\0'; c++)
			putchar('^');
		printf("\n\n");
		for (unsigned int i = 0; i < n; i++)
			if (t[i].group == g)
				rst_option(&t[i]);
	}
}

static void
answer(const struct tb_option *opt)
{
	if (strcmp(opt->name, "help") == 0)
		help();
	else if (strcmp(opt->name, "help-rst") == 0)
		tb_opts_rst();
	else
		printf("plx-testblk %s\n", TB_VERSION);
}

/* ---- the command line ---- */

static enum tb_parsed
unknown(const char *arg, const char *name)
{
	const char *near = arg[0] == '-' && arg[1] == '-' ? nearest(name) : NULL;

	if (near != NULL)
		tb_say("unknown option '--%s': did you mean '--%s'?", name, near);
	else if (arg[0] == '-')
		tb_say("unknown option '%s': see --help; EAL's own options stand before a '--'",
			arg);
	else
		tb_say("'%s' belongs to no option%s", arg,
			strchr(arg, ':') != NULL ? ": a device is given with --dev" : "");
	return TB_PARSED_BAD;
}

/* The value of an option, from behind '=' or the next argument; NULL: none was given. */
static const char *
value_of(const struct tb_option *opt, const char *equals, int argc, char **argv, int *i)
{
	if (equals != NULL)
		return equals + 1;
	return opt->arg != NULL && *i + 1 < argc ? argv[++*i] : NULL;
}

/* One option with its value, at *i. */
static enum tb_parsed
parse_one(struct tb_opts *o, int argc, char **argv, int *i)
{
	const char *arg = argv[*i], *equals, *val, *right;
	const struct tb_option *opt, *table;
	int len;

	arg = strcmp(arg, "-h") == 0 ? "--help" : strcmp(arg, "-i") == 0 ? "--interactive" : arg;
	if (strncmp(arg, "--", 2) != 0)
		return unknown(arg, "");
	arg += 2;
	equals = strchr(arg, '=');
	len = equals == NULL ? (int)strlen(arg) : (int)(equals - arg);
	opt = tb_opts_lookup(arg, (size_t)len);
	if (opt == NULL) {
		char name[32];

		snprintf(name, sizeof(name), "%.*s", len, arg);
		return unknown(arg - 2, name);
	}
	if (equals != NULL && opt->kind == TB_OPT_ANSWER) {
		tb_say("--%.*s takes no value", len, arg);
		return TB_PARSED_BAD;
	}
	if (opt->kind == TB_OPT_ANSWER) {
		answer(opt);
		return TB_PARSED_DONE;
	}
	val = value_of(opt, equals, argc, argv, i);
	if (val == NULL && opt->arg != NULL) {
		tb_say("--%s needs a value: %s", arg, opt->help);
		return TB_PARSED_BAD;
	}
	right = tb_option_set(opt, o, val);
	tb_opts_table(&table);
	o->given[opt - table] = val != NULL ? val : "yes";
	if (right == NULL)
		return TB_PARSED_RUN;
	tb_say("--%.*s: '%s' is not %s", len, arg, val, right);
	return TB_PARSED_BAD;
}

enum tb_parsed
tb_opts_parse(struct tb_opts *o, int argc, char **argv)
{
	const char *what = NULL;
	enum tb_parsed p;

	tb_opts_init(o);
	for (int i = 0; i < argc; i++) {
		p = parse_one(o, argc, argv, &i);
		if (p != TB_PARSED_RUN)
			return p;
	}
	if (o->interactive || o->file != NULL || o->ncmd != 0 || o->jobfile != NULL)
		return TB_PARSED_RUN;
	if (o->ndev == 0)
		what = "--dev is missing; try --dev ram:size=64M, or --help";
	if (what == NULL)
		what = tb_opts_complete(o);
	if (what == NULL)
		return TB_PARSED_RUN;
	tb_say("%s", what);
	return TB_PARSED_BAD;
}
