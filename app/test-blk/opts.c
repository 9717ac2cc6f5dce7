/* SPDX-License-Identifier: BSD-3-Clause */
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "opts.h"
#include "verify_meta.h"

void
tb_say(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fputs("plx-testblk: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
}

/* Digits with K, M, G or T (powers of 1024), also written as KiB, kB. */
static bool
parse_size(const char *s, uint64_t *out)
{
	static const char units[] = "KMGT";
	const char *unit;
	unsigned int shift = 0;
	char *end;

	if (!isdigit((unsigned char)*s))
		return false;
	errno = 0;
	*out = strtoull(s, &end, 10);
	if (errno != 0)
		return false;
	unit = *end == '\0' ? NULL : strchr(units, toupper((unsigned char)*end));
	if (unit != NULL) {
		shift = 10 * (unsigned int)(unit - units + 1);
		end++;
		if (end[0] == 'i')
			end++;
	}
	if (end[0] == 'B')
		end++;
	if (*end != '\0' || *out > UINT64_MAX >> shift)
		return false;
	*out <<= shift;
	return true;
}

static bool
parse_number(const char *s, uint64_t min, uint64_t max, uint64_t *out)
{
	char *end;

	if (!isdigit((unsigned char)*s))
		return false;
	errno = 0;
	*out = strtoull(s, &end, 0);
	return errno == 0 && *end == '\0' && *out >= min && *out <= max;
}

static const char *
set_u16(const char *val, uint16_t *out)
{
	uint64_t n;

	if (!parse_number(val, 1, UINT16_MAX, &n))
		return "a number from 1 to 65535";
	*out = (uint16_t)n;
	return NULL;
}

static const char *
set_dev(struct tb_opts *o, const char *val)
{
	if (o->ndev == TB_DEVS_MAX)
		return "one of at most 64 devices";
	if (strchr(val, ':') == NULL)
		return "a device string, as ram:size=64M or pci:0000:01:00.0";
	o->dev[o->ndev++] = val;
	return NULL;
}

static const char *
set_rw(struct tb_opts *o, const char *val)
{
	const char *what = val;

	o->rw = val;
	o->random = strncmp(val, "rand", 4) == 0;
	if (o->random)
		what += 4;
	o->reads = strcmp(what, "read") == 0 || strcmp(what, "rw") == 0;
	o->writes = strcmp(what, "write") == 0 || strcmp(what, "rw") == 0;
	if (!o->reads && !o->writes)
		return "read, write, randread, randwrite, rw or randrw";
	return NULL;
}

static const char *
set_rwmix(struct tb_opts *o, const char *val)
{
	uint64_t n;

	if (!parse_number(val, 0, 100, &n))
		return "a percentage of reads, 0 to 100";
	o->rwmix = (uint32_t)n;
	return NULL;
}

static const char *
set_bs(struct tb_opts *o, const char *val)
{
	uint64_t n;

	if (!parse_size(val, &n) || n == 0 || n > 1u << 30)
		return "a size of 1 byte to 1G, as 4k or 128K";
	o->bs = (uint32_t)n;
	return NULL;
}

static const char *
set_qd(struct tb_opts *o, const char *val)
{
	return set_u16(val, &o->qd);
}

static const char *
set_batch(struct tb_opts *o, const char *val)
{
	return set_u16(val, &o->batch);
}

static const char *
set_time(struct tb_opts *o, const char *val)
{
	static const struct {
		const char *unit;
		double s;
	} units[] = {{"", 1}, {"s", 1}, {"ms", 1e-3}, {"m", 60}, {"h", 3600}};
	char *end;

	errno = 0;
	o->time_s = strtod(val, &end);
	if (isdigit((unsigned char)*val) && errno == 0 && end != val) {
		for (unsigned int i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
			if (strcmp(end, units[i].unit) != 0)
				continue;
			o->time_s *= units[i].s;
			if (o->time_s > 0 && o->time_s < 1e7)
				return NULL;
		}
	}
	return "seconds, as 10 or 0.5; also 500ms, 2m, 1h";
}

static const char *
set_size(struct tb_opts *o, const char *val)
{
	if (!parse_size(val, &o->size) || o->size == 0)
		return "a size, as 64M or 1G";
	return NULL;
}

static const char *
set_offset(struct tb_opts *o, const char *val)
{
	return parse_size(val, &o->offset) ? NULL : "a size, as 64M or 1G";
}

static const char *
set_queues(struct tb_opts *o, const char *val)
{
	return set_u16(val, &o->queues);
}

static const char *
set_lcores(struct tb_opts *o, const char *val)
{
	static const char right[] = "a list of lcores, as 1,3-5";
	unsigned long lo, hi;
	char *end;

	memset(o->lcore, 0, sizeof(o->lcore));
	for (;; val = end + 1) {
		if (!isdigit((unsigned char)*val))
			return right;
		lo = hi = strtoul(val, &end, 10);
		if (*end == '-') {
			if (!isdigit((unsigned char)end[1]))
				return right;
			hi = strtoul(end + 1, &end, 10);
		}
		if (lo > hi || hi >= RTE_MAX_LCORE)
			return right;
		for (; lo <= hi; lo++)
			o->lcore[lo] = true;
		if (*end == '\0')
			break;
		if (*end != ',')
			return right;
	}
	o->lcores_given = true;
	return NULL;
}

static const char *
set_verify(struct tb_opts *o, const char *val)
{
	o->verify = true;
	return strcmp(val, "crc32c") == 0 ? NULL : "crc32c";
}

static const char *
set_meta(struct tb_opts *o, const char *val)
{
	(void)val;
	o->meta = true;
	return NULL;
}

static const char *
set_pi(struct tb_opts *o, const char *val)
{
	o->meta = true;
	o->pi = strcmp(val, "host") == 0 ? TB_PI_HOST : TB_PI_ACT;
	return o->pi == TB_PI_HOST || strcmp(val, "act") == 0 ? NULL : "act or host";
}

static const char *
set_json(struct tb_opts *o, const char *val)
{
	o->json = val;
	return *val != '\0' ? NULL : "a file, or - for the standard output";
}

static const char *
set_allow_write(struct tb_opts *o, const char *val)
{
	(void)val;
	o->allow_write = true;
	return NULL;
}

static const char *
set_seed(struct tb_opts *o, const char *val)
{
	return parse_number(val, 0, UINT64_MAX, &o->seed) ? NULL : "a number";
}

static const char *
set_interactive(struct tb_opts *o, const char *val)
{
	(void)val;
	o->interactive = true;
	return NULL;
}

static const char *
set_file(struct tb_opts *o, const char *val)
{
	o->file = val;
	return *val != '\0' ? NULL : "a file, or - for the standard input";
}

static const char *
set_cmd(struct tb_opts *o, const char *val)
{
	if (o->ncmd == TB_CMDS_MAX)
		return "one of at most 64";
	o->cmd[o->ncmd++] = val;
	return NULL;
}

static const struct tb_option options[] = {
	{"dev", "STRING", set_dev, "a device to test; may be given several times", NULL},
	{"rw", "MODE", set_rw, "read, write, randread (default), randwrite, rw or randrw",
		"randread"},
	{"rwmix", "N", set_rwmix, "percent of reads in rw and randrw (50)", "50"},
	{"bs", "SIZE", set_bs, "bytes an I/O (4k)", "4k"},
	{"qd", "N", set_qd, "I/Os in flight in each queue (32)", "32"},
	{"batch", "N", set_batch, "I/Os submitted and polled at a time (32, or qd when less)", ""},
	{"time", "S", set_time, "how long: 10, 0.5, 500ms, 2m (5 s, or until --size has moved)",
		""},
	{"size", "SIZE", set_size,
		"work on this much of each device, each block once; with --time, over and over",
		""},
	{"offset", "SIZE", set_offset, "begin here in each device (0)", "0"},
	{"queues", "N", set_queues, "queues of each device (one for each lcore)", ""},
	{"lcores", "LIST", set_lcores, "run queues on these of EAL's lcores (all)", ""},
	{"verify", "crc32c", set_verify, "tag written blocks, read all back and check them", ""},
	{"meta", NULL, set_meta, "metadata moves with its blocks; with --verify a pattern", "no"},
	{"pi", "MODE", set_pi,
		"protection information: act: each I/O lets the device make and check it; host: "
		"the tester makes and checks it, too",
		""},
	{"json", "FILE", set_json, "the report as JSON; - for the standard output", ""},
	{"allow-write", NULL, set_allow_write, "permit writes to more than software devices", "no"},
	{"seed", "N", set_seed, "of addresses and data (1)", "1"},
	{"interactive", NULL, set_interactive, "a shell: begin with 'help' (also -i)", NULL},
	{"cmdline-file", "FILE", set_file, "run the shell's commands in a file; - for stdin", NULL},
	{"cmd", "COMMANDS", set_cmd, "run these, with ';' between; may be given several times",
		NULL},
	{"help", NULL, NULL, "this text", NULL},
	{"version", NULL, NULL, "the version", NULL},
};
#define NB_OPTIONS (sizeof(options) / sizeof(options[0]))
_Static_assert(NB_OPTIONS <= TB_OPTIONS_MAX, "as large as the table");

static void
help(void)
{
	char head[64];

	printf("Test block devices: throughput, latency, data.\n\n"
	       "Usage: plx-testblk [EAL options --] --dev STRING [options]\n\n");
	for (unsigned int i = 0; i < NB_OPTIONS; i++) {
		snprintf(head, sizeof(head), "--%s%s%s", options[i].name,
			options[i].arg == NULL ? "" : " ",
			options[i].arg == NULL ? "" : options[i].arg);
		printf("  %-18s  %s\n", head, options[i].help);
	}
	printf("\nSizes take K, M, G and T, powers of 1024. Exit code: 0; 1 an I/O or the\n"
	       "verification failed; 2 a wrong command line.\n\n"
	       "Examples:\n"
	       "  plx-testblk --dev ram:size=64M\n"
	       "\t4 KiB random reads from memory for 5 s\n"
	       "  plx-testblk -l 0-1 -- --dev soft-nvme:size=256M --rw randwrite --size 64M "
	       "--verify crc32c\n"
	       "\tthe NVMe driver against the software controller, one queue on each of two\n"
	       "\tlcores; every block is written once, read back and checked\n"
	       "  plx-testblk -l 2 -- --dev pci:0000:01:00.0 --qd 128 --time 10 --json -\n"
	       "\ta drive on lcore 2, the report as JSON\n"
	       "  plx-testblk -l 2-3 -- --dev pci:0000:01:00.0 --rw randrw --rwmix 70 "
	       "--allow-write\n"
	       "\t70 %% reads, 30 %% writes: what is on the drive is lost\n"
	       "  plx-testblk -i --dev soft-nvme:size=1G\n"
	       "\ta shell: 'set qd 128', 'start', 'show run', 'stop', 'help'\n");
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
			row[j] = diag + (*a != b[j - 1]);
			if (up + 1 < row[j])
				row[j] = up + 1;
			if (row[j - 1] + 1 < row[j])
				row[j] = row[j - 1] + 1;
			diag = up;
		}
	}
	return row[nb];
}

static const char *
nearest(const char *name)
{
	unsigned int best = 3, d;
	const char *found = NULL;

	for (unsigned int i = 0; i < NB_OPTIONS; i++) {
		d = distance(name, options[i].name);
		if (d < best && d < strlen(options[i].name)) {
			best = d;
			found = options[i].name;
		}
	}
	return found;
}

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

/* One option with its value, at *i. */
static enum tb_parsed
parse_one(struct tb_opts *o, int argc, char **argv, int *i)
{
	const char *arg = argv[*i], *val, *right;
	const struct tb_option *opt = NULL;
	char name[32];

	if (strcmp(arg, "-h") == 0)
		arg = "--help";
	if (strcmp(arg, "-i") == 0)
		arg = "--interactive";
	val = strchr(arg, '=');
	snprintf(name, sizeof(name), "%.*s", val == NULL ? 31 : (int)(val - arg - 2),
		arg[0] == '-' && arg[1] == '-' ? arg + 2 : "");
	for (unsigned int k = 0; k < NB_OPTIONS; k++)
		if (strcmp(name, options[k].name) == 0)
			opt = &options[k];
	if (opt == NULL)
		return unknown(argv[*i], name);
	if (val != NULL && opt->arg == NULL) {
		tb_say("--%s takes no value", name);
		return TB_PARSED_BAD;
	}
	if (opt->set == NULL) {
		if (opt->name[0] == 'h')
			help();
		else
			printf("plx-testblk %s\n", TB_VERSION);
		return TB_PARSED_DONE;
	}
	if (val != NULL)
		val++;
	else if (opt->arg != NULL && *i + 1 < argc)
		val = argv[++*i];
	if (val == NULL && opt->arg != NULL) {
		tb_say("--%s needs a value: %s", name, opt->help);
		return TB_PARSED_BAD;
	}
	right = opt->set(o, val);
	o->given[opt - options] = val != NULL ? val : "yes";
	if (right == NULL)
		return TB_PARSED_RUN;
	tb_say("--%s: '%s' is not %s", name, val, right);
	return TB_PARSED_BAD;
}

unsigned int
tb_opts_table(const struct tb_option **table)
{
	*table = options;
	return NB_OPTIONS;
}

const struct tb_option *
tb_opts_find(const char *name)
{
	const char *near = nearest(name);

	for (unsigned int i = 0; i < NB_OPTIONS; i++)
		if (options[i].def != NULL && strcmp(options[i].name, name) == 0)
			return &options[i];
	if (near != NULL)
		tb_say("there is no setting '%s': did you mean '%s'?", name, near);
	else
		tb_say("there is no setting '%s'; 'show config' lists them", name);
	return NULL;
}

void
tb_opts_init(struct tb_opts *o)
{
	*o = (struct tb_opts){.rw = "randread",
		.random = true,
		.reads = true,
		.rwmix = UINT32_MAX,
		.bs = 4096,
		.qd = 32,
		.seed = 1};
}

const char *
tb_opts_complete(struct tb_opts *o)
{
	/* what no single option can tell */
	if (o->rwmix != UINT32_MAX && !(o->reads && o->writes))
		return "--rwmix is for --rw rw and --rw randrw";
	if (o->batch > o->qd)
		return "--batch is larger than --qd";
	if (o->rwmix == UINT32_MAX)
		o->rwmix = 50;
	if (o->batch == 0)
		o->batch = o->qd < 32 ? o->qd : 32;
	if (o->time_s == 0 && o->size == 0)
		o->time_s = 5;
	return NULL;
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
	if (o->interactive || o->file != NULL || o->ncmd != 0)
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
