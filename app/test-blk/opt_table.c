/* SPDX-License-Identifier: BSD-3-Clause */
/* The options. */
#include "opt_set.h"

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
	{OPT("dev", "filename", "STRING", NULL, DEVICE), FN(opt_dev),
		HELP("a device to test; may be given several times"),
		DOC("A device string, see :doc:`/device_strings`. A controller with several "
		    "namespaces is tested on all of them. Several devices are tested at the "
		    "same time.")},
	{OPT("queues", NULL, "N", "", DEVICE), NUMBER(queues, 1, UINT16_MAX),
		HELP("queues of each device (one for each lcore)"),
		DOC("By default as far as the device has them. Queues of all devices are dealt "
		    "out over the lcores in turn, the main lcore being the last. Each queue "
		    "works on its own part of the device.")},
	{OPT("lcores", NULL, "LIST", "", DEVICE), FN(opt_lcores),
		HELP("run queues on these of EAL's lcores (all)")},
	{OPT("allow-write", NULL, NULL, "no", DEVICE), FLAG(allow_write),
		HELP("permit writes to more than software devices"),
		DOC("Without it nothing is written to a device that is not a software device of "
		    "this process or its peer.")},

	{OPT("yes", NULL, NULL, "no", DEVICE), FLAG(yes),
		HELP("overwrite file systems and partition tables without asking"),
		DOC("See :ref:`testblk_safety`.")},
	{OPT("on", NULL, "NAMES", "", DEVICE), TEXT(on),
		HELP("of the devices that are attached, work on these only: ram0,nvme0/n1")},
	{OPT("hop", NULL, NULL, "no", DEVICE), FLAG(hop),
		HELP("each queue is worked by another lcore than the one that submits to it"),
		DOC("Requests and completions go over rings to the next lcore, which owns the "
		    "device's queue: what a device with fewer queues than lcores costs. See "
		    ":doc:`/reactor`.")},
	{OPT("poll-mode", NULL, "MODE", "busy", DEVICE), FN(opt_poll_mode),
		HELP("what lcores do while nothing comes back: busy (default), adaptive or "
		     "interrupt"),
		DOC("``busy`` polls on. ``adaptive`` polls for 50 us and then sleeps until an I/O "
		    "interrupts, or the next one is due; ``interrupt`` sleeps at once. What works "
		    "inside of a poll (ram, null, soft-nvme) lets its lcore sleep only while it "
		    "has nothing in flight. One for all jobs of a run.")},

	/* ---- what is done ---- */
	{OPT("rw", "readwrite", "MODE", "randread", LOAD), FN(opt_rw),
		HELP("read, write, randread (default), randwrite, rw or randrw; trim, zeroes, "
		     "append, copy, null: see the guide"),
		DOC("``rw`` and ``randrw`` mix reads and writes. ``trim``, ``randtrim``, "
		    "``zeroes`` and ``randzeroes`` discard, or write zeroes. ``trimwrite`` and "
		    "``randtrimwrite`` discard blocks and then write them. ``append`` resets the "
		    "zones of a zoned device one after the other and fills them by zone append. "
		    "``copy`` reads each device from its begin to its end and writes what was "
		    "read to the device of ``--copy_to``. ``null`` sends the same reads over and "
		    "over and measures no latencies: the driver's cost alone.")},
	{OPT("rwmixread", "rwmix", "N", "50", LOAD), NUMBER(rwmix, 0, 100),
		HELP("percent of reads in rw and randrw (50)")},
	{OPT("rwmixwrite", NULL, "N", "", LOAD), FN(opt_rwmixwrite),
		HELP("percent of writes there; the other way to say it")},
	{OPT("opmix", NULL, "LIST", "", LOAD), FN(opt_opmix),
		HELP("shares of operations: read/70:write/20:trim/5:zeroes/4:flush/1"),
		DOC("In percent, and 100 together. ``--rw rw`` or ``--rw randrw`` says where "
		    "they go.")},
	{OPT("bs", "blocksize", "SIZE", "4k", LOAD), FN(opt_bs), HELP("bytes an I/O (4k)"),
		DOC("A multiple of each device's block size. Two or three sizes with commas are "
		    "of reads, writes and trims.")},
	{OPT("bsrange", "blocksize_range", "LIST", "", LOAD), FN(opt_bsrange),
		HELP("any multiple of the first size up to the second: 4k-64k"),
		DOC("Also with commas, for reads, writes and trims.")},
	{OPT("bssplit", NULL, "LIST", "", LOAD), FN(opt_bssplit),
		HELP("sizes with their shares in percent: 4k/60:64k/40"),
		DOC("What has no share, as in ``4k/60:8k/:64k/``, shares what is left. Also with "
		    "commas, for reads, writes and trims.")},
	{OPT("random_distribution", NULL, "DIST", "random", LOAD), FN(opt_dist),
		HELP("of random addresses: random, zipf:THETA, pareto:H, normal:DEV, zoned:LIST or "
		     "zoned_abs:LIST"),
		DOC("``zipf:1.2``: the k-th of the most popular units is drawn with a share "
		    "of 1/k\\ :sup:`1.2`. ``pareto:0.2``: a fifth of the units have four fifths "
		    "of the I/Os. ``normal:20``: the popularity of a normal distribution whose "
		    "deviation is 20 percent of the range. What is popular lies anywhere in the "
		    "range. ``zoned:90/10:10/40``: 90 percent of the I/Os go to its first 10 "
		    "percent, the others to the next 40, and none to the rest; "
		    "``zoned_abs:90/1G:10/4G`` says it in bytes. Both also with commas, for reads, "
		    "writes and trims. Zones are the device's: its "
		    "queues "
		    "have none of their own.")},
	{OPT("iodepth", "qd", "N", "32", LOAD), NUMBER(qd, 1, UINT16_MAX),
		HELP("I/Os in flight in each queue (32)")},
	{OPT("iodepth_batch", "batch", "N", "", LOAD), NUMBER(batch, 1, UINT16_MAX),
		HELP("I/Os submitted and polled at a time (32, or iodepth when less)"),
		DOC("What a poll gave back is submitted again at once, be it a full batch or "
		    "not.")},
	{OPT("fsync", NULL, "N", "", LOAD), NUMBER(fsync, 1, 1000000),
		HELP("a flush after each N writes of a queue, and at the end"),
		DOC("One at a time in a queue; writes go on meanwhile.")},
	{OPT("fua", NULL, NULL, "no", LOAD), FLAG(fua),
		HELP("writes are on stable media before they complete")},
	{OPT("randseed", "seed", "N", "1", LOAD), NUMBER(seed, 0, UINT64_MAX),
		HELP("of addresses and data (1)"), DOC("The same seed gives the same run.")},
	{OPT("numjobs", NULL, "N", "1", LOAD), NUMBER(numjobs, 1, 256),
		HELP("clones of the job that run side by side (1)"),
		DOC("Each works on the whole range with queues of its own, one of each device "
		    "unless ``--queues`` says more, and its own random addresses; they are dealt "
		    "out over the lcores. Rates and bounds are of each clone.")},
	{OPT("group_reporting", NULL, NULL, "no", LOAD), FLAG(group_reporting),
		HELP("report the clones of a job as one")},
	{OPT("copy_to", NULL, "DEVICE", "", LOAD), TEXT(copy_to),
		HELP("the device that --rw copy writes to, by its name"),
		DOC("Each byte goes to the place that it had.")},

	{OPT("read_iolog", NULL, "FILE", "", LOAD), TEXT(iolog),
		HELP("replay a trace: fio's iolog (version 2 or 3), or blktrace's binary files"),
		DOC("Several files with ``:`` between, as blktrace writes one for each CPU, are "
		    "merged by time. The files of a trace are the devices of the run: by their "
		    "names, else the first is the first. I/Os are submitted in the order of the "
		    "trace, at its times, and a flush waits for all before it.")},
	{OPT("replay_no_stall", NULL, NULL, "no", LOAD), FLAG(no_stall),
		HELP("as fast as --iodepth allows, without its times")},
	{OPT("replay_redirect", NULL, "DEVICE", "", LOAD), TEXT(replay_redirect),
		HELP("all of it to this device, by its name")},
	{OPT("replay_time_scale", NULL, "N", "100", LOAD), NUMBER(replay_time_scale, 1, 1000000),
		HELP("percent of its speed: 200 is twice as "
		     "fast (100)")},
	{OPT("replay_scale", NULL, "N", "1", LOAD), NUMBER(replay_scale, 1, UINT32_MAX),
		HELP("divide offsets by it")},
	{OPT("replay_align", NULL, "SIZE", "", LOAD), SIZE(replay_align, 1, 1u << 30),
		HELP("move offsets down to a multiple")},
	{OPT("replay_skip", NULL, "LIST", "", LOAD), FN(opt_replay_skip),
		HELP("leave out some of read, write, trim, sync")},

	/* ---- how fast ---- */
	{OPT("rate", NULL, "SIZE", "", RATE), FN(opt_rate),
		HELP("bytes a second of each device, for each direction: 100M; 100M,20M"),
		DOC("One value is a limit of reads, one of writes and one of trims; several, with "
		    "commas, are of reads, writes and trims, and an empty one is none. A mix keeps "
		    "its shares: the direction that is at its limit first holds the others. Queues "
		    "of a device have equal parts of it.")},
	{OPT("rate_iops", NULL, "N", "", RATE), FN(opt_rate_iops), HELP("likewise I/Os a second"),
		DOC("With ``--rate``, what is reached first.")},
	{OPT("lcore_rate", NULL, "SIZE", "", RATE), SIZE(lcore_rate, 1, UINT64_MAX),
		HELP("bytes a second of all queues of an lcore together")},
	{OPT("lcore_rate_iops", NULL, "N", "", RATE), NUMBER(lcore_rate_iops, 1, UINT64_MAX),
		HELP("I/Os a second of all queues of an lcore together")},
	{OPT("thinktime", NULL, "US", "", RATE), USEC(think_s),
		HELP("pause for so many microseconds after each burst"),
		DOC("A queue submits a burst, waits until all of it is back, and pauses.")},
	{OPT("thinktime_blocks", NULL, "N", "1", RATE), NUMBER(think_blocks, 1, UINT32_MAX),
		HELP("I/Os of a burst (1)")},
	{OPT("thinktime_iotime", NULL, "S", "", RATE), SECONDS(think_io_s),
		HELP("bursts that last so long, instead")},
	{OPT("latency_target", NULL, "US", "", RATE), USEC(lat_target_s),
		HELP("search the highest depth that keeps latencies below so many microseconds"),
		DOC("Up to ``--iodepth``, for each queue by itself: depths are doubled as long as "
		    "the target is met, then the interval is halved. The run ends with the "
		    "answer.")},
	{OPT("latency_window", NULL, "US", "100ms", RATE), USEC(lat_window_s),
		HELP("how long a depth is looked at (100ms), and 100 I/Os at least")},
	{OPT("latency_percentile", NULL, "P", "100", RATE), FN(opt_lat_percentile),
		HELP("percent of I/Os that have to meet the target (100)")},
	{OPT("latency_run", NULL, NULL, "no", RATE), FLAG(lat_run),
		HELP("go on with the depth that was found, until the run is over")},

	/* ---- how long, how much ---- */
	{OPT("time", NULL, "S", "", BOUND), SECONDS(time_s),
		HELP("how long: 10, 0.5, 500ms, 2m (5 s, or until --size has moved)"),
		DOC("Over and over: as ``--runtime`` with ``--time_based``.")},
	{OPT("runtime", NULL, "S", "", BOUND), SECONDS(runtime_s),
		HELP("how long at most; over when each block had its I/O")},
	{OPT("time_based", NULL, NULL, "no", BOUND), FLAG(time_based),
		HELP("go on over and over until --runtime")},
	{OPT("ramp_time", NULL, "S", "", BOUND), SECONDS(ramp_s),
		HELP("run so long before anything is measured; a time counts from then on"),
		DOC("I/Os that came back meanwhile are in no figure, but that errors are.")},
	{OPT("size", NULL, "SIZE", "", BOUND), SIZE(size, 1, UINT64_MAX),
		HELP("work on this much of each device, each block once; with --time, over and "
		     "over"),
		DOC("All of the device by default. With ``--size`` and without a time each block "
		    "of it is read or written exactly once, in random order for the random modes, "
		    "and then the run is over. With sizes, operations or distributions mixed, as "
		    "much as that is moved, at any places.")},
	{OPT("io_size", "io_limit", "SIZE", "", BOUND), SIZE(io_size, 1, UINT64_MAX),
		HELP("end when so much was moved on each device")},
	{OPT("number_ios", NULL, "N", "", BOUND), NUMBER(number_ios, 1, UINT64_MAX),
		HELP("end after so many I/Os on each device")},
	{OPT("startdelay", NULL, "S", "", BOUND), SECONDS(start_delay_s),
		HELP("begin so long after the run")},
	{OPT("offset", NULL, "SIZE", "0", BOUND), SIZE(offset, 0, UINT64_MAX),
		HELP("begin here in each device (0)")},
	{OPT("offset_increment", NULL, "SIZE", "0", BOUND), SIZE(offset_increment, 0, UINT64_MAX),
		HELP("each clone of --numjobs begins so far behind the one before")},

	/* ---- what is checked ---- */
	{OPT("verify", NULL, "crc32c", "", CHECK), FN(opt_verify),
		HELP("tag written blocks, read all back and check them")},
	{OPT("verify_only", NULL, NULL, "no", CHECK), FLAG(verify_only),
		HELP("write nothing, check what earlier runs have written"),
		DOC("With ``--verify-state`` all that the file tells of, in the generations that "
		    "it "
		    "permits; ``--bs``, ``--size`` and ``--offset`` are the file's. Without, all "
		    "of "
		    "``--size``, in any generation.")},
	{OPT("verify-state", NULL, "FILE", "", CHECK), TEXT(verify_state),
		HELP("keep there what must be on the device whatever happens"),
		DOC("Made when it isn't there; see :ref:`testblk_power_cut`. For one device, with "
		    "``--fsync`` or ``--fua`` where it has a volatile write cache.")},
	{OPT("verify-state-sync", NULL, NULL, "no", CHECK), FLAG(verify_state_sync),
		HELP("and let the file be right after the end of this machine, too")},
	{OPT("meta", NULL, NULL, "no", CHECK), FLAG(meta),
		HELP("metadata moves with its blocks; with --verify a pattern")},
	{OPT("pi", NULL, "MODE", "", CHECK), FN(opt_pi),
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
	{OPT("log_avg_msec", "log-interval", "MS", "500", REPORT), FN(opt_log_avg),
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
	{OPT("cmd", NULL, "COMMANDS", NULL, PROGRAM), FN(opt_cmd),
		HELP("run these, with ';' between; may be given several times")},
	{OPT("jobfile", NULL, "FILE", NULL, PROGRAM), TEXT(jobfile),
		HELP("run the jobs of a file in fio's format; - for stdin")},
	{OPT("ignore-unknown", NULL, NULL, NULL, PROGRAM), FLAG(ignore_unknown),
		HELP("warn of options in it that there are none of, and go on")},
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
		[TB_GROUP_RATE] = "Pace",
		[TB_GROUP_BOUND] = "Bounds",
		[TB_GROUP_CHECK] = "Verification",
		[TB_GROUP_REPORT] = "Report",
		[TB_GROUP_PROGRAM] = "Program",
	};

	return names[group];
}
