/* SPDX-License-Identifier: BSD-3-Clause */
/* The options, and those of their values that are of no common kind. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "opts.h"
#include "verify_meta.h"

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
set_pi(struct tb_opts *o, const char *val)
{
	o->meta = true;
	o->pi = strcmp(val, "host") == 0 ? TB_PI_HOST : TB_PI_ACT;
	return o->pi == TB_PI_HOST || strcmp(val, "act") == 0 ? NULL : "act or host";
}

static const char *
set_log_avg(struct tb_opts *o, const char *val)
{
	if (tb_parse_time(val, "ms", &o->log_interval_s) && o->log_interval_s >= 0.001)
		return NULL;
	return "milliseconds, as 100; also 1s";
}

static const char *
set_cmd(struct tb_opts *o, const char *val)
{
	if (o->ncmd == TB_CMDS_MAX)
		return "one of at most 64";
	o->cmd[o->ncmd++] = val;
	return NULL;
}

/* Name, alias, what stands for the value, default, group; kinds with their member and limits. */
#define OPT(n, al, a, d, g) .name = n, .alias = al, .arg = a, .def = d, .group = TB_GROUP_##g
#define AT(member) .at = offsetof(struct tb_opts, member)
#define SIZED(member) AT(member), .width = sizeof(((struct tb_opts *)NULL)->member)
#define FLAG(member) .kind = TB_OPT_FLAG, AT(member)
#define NUMBER(member, lo, hi) .kind = TB_OPT_NUMBER, SIZED(member), .min = lo, .max = hi
#define SIZE(member, lo, hi) .kind = TB_OPT_SIZE, SIZED(member), .min = lo, .max = hi
#define SECONDS(member) .kind = TB_OPT_SECONDS, AT(member)
#define USEC(member) .kind = TB_OPT_USEC, AT(member)
#define TEXT(member) .kind = TB_OPT_TEXT, AT(member)
#define FN(fn) .kind = TB_OPT_FN, .set = fn
#define ANSWER .kind = TB_OPT_ANSWER
#define HELP(text) .help = text
#define DOC(text) .doc = text

static const struct tb_option options[] = {
	/* ---- devices ---- */
	{OPT("dev", NULL, "STRING", NULL, DEVICE), FN(set_dev),
		HELP("a device to test; may be given several times"),
		DOC("A device string, see :doc:`/device_strings`. A controller with several "
		    "namespaces is tested on all of them. Several devices are tested at the "
		    "same time.")},
	{OPT("queues", NULL, "N", "", DEVICE), NUMBER(queues, 1, UINT16_MAX),
		HELP("queues of each device (one for each lcore)"),
		DOC("By default as far as the device has them. Queues of all devices are dealt "
		    "out over the lcores in turn, the main lcore being the last. Each queue "
		    "works on its own part of the device.")},
	{OPT("lcores", NULL, "LIST", "", DEVICE), FN(set_lcores),
		HELP("run queues on these of EAL's lcores (all)")},
	{OPT("allow-write", NULL, NULL, "no", DEVICE), FLAG(allow_write),
		HELP("permit writes to more than software devices"),
		DOC("Without it nothing is written to a device that is not a software device of "
		    "this process or its peer.")},

	/* ---- what is done ---- */
	{OPT("rw", "readwrite", "MODE", "randread", LOAD), FN(set_rw),
		HELP("read, write, randread (default), randwrite, rw or randrw")},
	{OPT("rwmixread", "rwmix", "N", "50", LOAD), NUMBER(rwmix, 0, 100),
		HELP("percent of reads in rw and randrw (50)")},
	{OPT("bs", "blocksize", "SIZE", "4k", LOAD), SIZE(bs, 1, 1u << 30),
		HELP("bytes an I/O (4k)"), DOC("A multiple of each device's block size.")},
	{OPT("iodepth", "qd", "N", "32", LOAD), NUMBER(qd, 1, UINT16_MAX),
		HELP("I/Os in flight in each queue (32)")},
	{OPT("iodepth_batch", "batch", "N", "", LOAD), NUMBER(batch, 1, UINT16_MAX),
		HELP("I/Os submitted and polled at a time (32, or iodepth when less)"),
		DOC("What a poll gave back is submitted again at once, be it a full batch or "
		    "not.")},
	{OPT("randseed", "seed", "N", "1", LOAD), NUMBER(seed, 0, UINT64_MAX),
		HELP("of addresses and data (1)"), DOC("The same seed gives the same run.")},

	/* ---- how long, how much ---- */
	{OPT("time", NULL, "S", "", BOUND), SECONDS(time_s),
		HELP("how long: 10, 0.5, 500ms, 2m (5 s, or until --size has moved)")},
	{OPT("size", NULL, "SIZE", "", BOUND), SIZE(size, 1, UINT64_MAX),
		HELP("work on this much of each device, each block once; with --time, over and "
		     "over"),
		DOC("All of the device by default. With ``--size`` and without a time each block "
		    "of it is read or written exactly once, in random order for the random modes, "
		    "and then the run is over.")},
	{OPT("offset", NULL, "SIZE", "0", BOUND), SIZE(offset, 0, UINT64_MAX),
		HELP("begin here in each device (0)")},

	/* ---- what is checked ---- */
	{OPT("verify", NULL, "crc32c", "", CHECK), FN(set_verify),
		HELP("tag written blocks, read all back and check them")},
	{OPT("meta", NULL, NULL, "no", CHECK), FLAG(meta),
		HELP("metadata moves with its blocks; with --verify a pattern")},
	{OPT("pi", NULL, "MODE", "", CHECK), FN(set_pi),
		HELP("protection information: act: each I/O lets the device make and check it; "
		     "host: the tester makes and checks it, too")},

	/* ---- what is told ---- */
	{OPT("json", NULL, "FILE", "", REPORT), TEXT(json),
		HELP("the report as JSON; - for the standard output"),
		DOC("With ``-`` it is all that goes to the standard output, the tables go to the "
		    "standard error.")},
	{OPT("log", NULL, "PREFIX", "", REPORT), TEXT(log),
		HELP("IOPS, bandwidth and latency over time as fio's logs: PREFIX_iops.1.log, "
		     "..."),
		DOC("Also ``PREFIX_bw.1.log`` (KiB/s) and ``PREFIX_lat.1.log`` (ns), by the "
		    "number of the job. The columns are fio's: milliseconds, value, direction (0 "
		    "read, 1 write), and three that an average has no value for.")},
	{OPT("log_avg_msec", "log-interval", "MS", "500", REPORT), FN(set_log_avg),
		HELP("milliseconds between two values of these (500)"),
		DOC("Also of the series in the JSON report, and of the least and largest rates "
		    "there.")},
	{OPT("hist", NULL, "PREFIX", "", REPORT), TEXT(hist),
		HELP("latency distributions as HdrHistogram's: PREFIX_read.1.hgrm"),
		DOC("Percentiles in microseconds, in the text form that HdrHistogram's plotters "
		    "read.")},

	/* ---- the program ---- */
	{OPT("interactive", NULL, NULL, NULL, PROGRAM), FLAG(interactive),
		HELP("a shell: begin with 'help' (also -i)")},
	{OPT("cmdline-file", NULL, "FILE", NULL, PROGRAM), TEXT(file),
		HELP("run the shell's commands in a file; - for stdin")},
	{OPT("cmd", NULL, "COMMANDS", NULL, PROGRAM), FN(set_cmd),
		HELP("run these, with ';' between; may be given several times")},
	{OPT("help", NULL, NULL, NULL, PROGRAM), ANSWER, HELP("this text")},
	{OPT("help-rst", NULL, NULL, NULL, PROGRAM), ANSWER,
		HELP("the options as reStructuredText, as the guide has them")},
	{OPT("version", NULL, NULL, NULL, PROGRAM), ANSWER, HELP("the version")},
};
#define NB_OPTIONS (sizeof(options) / sizeof(options[0]))
_Static_assert(NB_OPTIONS <= TB_OPTIONS_MAX, "as large as the table");

unsigned int
tb_opts_table(const struct tb_option **table)
{
	*table = options;
	return NB_OPTIONS;
}

const char *
tb_opts_group(enum tb_option_group group)
{
	static const char *const names[TB_GROUPS] = {
		[TB_GROUP_DEVICE] = "Devices",
		[TB_GROUP_LOAD] = "Workload",
		[TB_GROUP_BOUND] = "Bounds",
		[TB_GROUP_CHECK] = "Verification",
		[TB_GROUP_REPORT] = "Report",
		[TB_GROUP_PROGRAM] = "Program",
	};

	return names[group];
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
		.log_interval_s = 0.5,
		.seed = 1};
}

const char *
tb_opts_complete(struct tb_opts *o)
{
	/* what no single option can tell */
	if (o->rwmix != UINT32_MAX && !(o->reads && o->writes))
		return "--rwmixread is for --rw rw and --rw randrw";
	if (o->batch > o->qd)
		return "--iodepth_batch is larger than --iodepth";
	if (o->rwmix == UINT32_MAX)
		o->rwmix = 50;
	if (o->batch == 0)
		o->batch = o->qd < 32 ? o->qd : 32;
	if (o->time_s == 0 && o->size == 0)
		o->time_s = 5;
	return NULL;
}
