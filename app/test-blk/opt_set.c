/* SPDX-License-Identifier: BSD-3-Clause */
/* Values of no common kind, and what follows from all of them. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "load.h"
#include "opt_set.h"
#include "plx_reactor.h"
#include "verify_meta.h"

const char *
opt_dev(struct tb_opts *o, const char *val)
{
	if (o->ndev == TB_DEVS_MAX)
		return "one of at most 64 devices";
	if (strchr(val, ':') == NULL)
		return "a device string, as ram:size=64M or pci:0000:01:00.0";
	o->dev[o->ndev++] = val;
	return NULL;
}

/* Modes by name, without their "rand". */
static const struct {
	const char *name;
	uint32_t ops;
	uint8_t mode;
	bool random; /* may stand behind "rand" */
} modes[] = {
	{"read", 1u << PLX_OP_READ, TB_MODE_PLAIN, true},
	{"write", 1u << PLX_OP_WRITE, TB_MODE_PLAIN, true},
	{"rw", 1u << PLX_OP_READ | 1u << PLX_OP_WRITE, TB_MODE_PLAIN, true},
	{"readwrite", 1u << PLX_OP_READ | 1u << PLX_OP_WRITE, TB_MODE_PLAIN, false},
	{"trim", 1u << PLX_OP_DISCARD, TB_MODE_PLAIN, true},
	{"zeroes", 1u << PLX_OP_WRITE_ZEROES, TB_MODE_PLAIN, true},
	{"trimwrite", 1u << PLX_OP_DISCARD | 1u << PLX_OP_WRITE, TB_MODE_TRIMWRITE, true},
	{"append", 1u << PLX_OP_ZONE_APPEND, TB_MODE_APPEND, false},
	{"copy", 1u << PLX_OP_READ, TB_MODE_COPY, false},
	{"null", 1u << PLX_OP_READ, TB_MODE_NULL, false},
};

const char *
opt_rw(struct tb_opts *o, const char *val)
{
	bool random = strncmp(val, "rand", 4) == 0;
	const char *what = random ? val + 4 : val;

	for (unsigned int i = 0; i < RTE_DIM(modes); i++) {
		if (strcmp(what, modes[i].name) != 0 || (random && !modes[i].random))
			continue;
		o->rw = val;
		o->random = random;
		o->mode = modes[i].mode;
		o->ops = modes[i].ops;
		return NULL;
	}
	return "read, write, randread, randwrite, rw or randrw; trim, zeroes, trimwrite, also with "
	       "rand; append, copy or null";
}

const char *
opt_rwmixwrite(struct tb_opts *o, const char *val)
{
	uint64_t n;

	if (!tb_parse_number(val, 0, 100, &n))
		return "a number from 0 to 100";
	o->rwmix = 100 - (uint32_t)n;
	return NULL;
}

/* @return the operation of that name, if it is one of ops, else PLX_OP_MAX */
static uint8_t
op_named(const char *name, size_t len, uint32_t ops)
{
	static const struct {
		const char *name;
		uint8_t op;
	} names[] = {{"read", PLX_OP_READ}, {"write", PLX_OP_WRITE}, {"trim", PLX_OP_DISCARD},
		{"zeroes", PLX_OP_WRITE_ZEROES}, {"flush", PLX_OP_FLUSH}, {"sync", PLX_OP_FLUSH}};

	for (unsigned int i = 0; i < RTE_DIM(names); i++)
		if (strlen(names[i].name) == len && strncmp(name, names[i].name, len) == 0 &&
			(ops & 1u << names[i].op))
			return names[i].op;
	return PLX_OP_MAX;
}

const char *
opt_opmix(struct tb_opts *o, const char *val)
{
	static const char right[] =
		"operations (read, write, trim, zeroes, flush) with shares that make 100, as "
		"read/70:write/30";
	unsigned long sum = 0, share;
	char *end;

	memset(o->share, 0, sizeof(o->share));
	for (;; val = end + 1) {
		size_t len = strcspn(val, "/");
		uint8_t op = op_named(val, len, UINT32_MAX);

		if (op == PLX_OP_MAX || val[len] == '\0' || !isdigit((unsigned char)val[len + 1]))
			return right;
		share = strtoul(val + len + 1, &end, 10);
		if (share == 0 || share > 100 || o->share[op] != 0)
			return right;
		o->share[op] = (uint8_t)share;
		sum += share;
		if (*end == '\0')
			break;
		if (*end != ':')
			return right;
	}
	o->opmix = true;
	return sum == 100 ? NULL : right;
}

const char *
opt_bs(struct tb_opts *o, const char *val)
{
	return tb_sizes_list(o->sizes, val);
}

const char *
opt_bsrange(struct tb_opts *o, const char *val)
{
	return tb_sizes_range(o->sizes, val);
}

const char *
opt_bssplit(struct tb_opts *o, const char *val)
{
	return tb_sizes_split(o->sizes, val);
}

const char *
opt_dist(struct tb_opts *o, const char *val)
{
	return tb_dist_parse(val, o->dist)
		       ? NULL
		       : "random, zipf:THETA (up to 10), pareto:H (below 1), normal:DEV (percent), "
			 "zoned:SHARE/PERCENT:... or zoned_abs:SHARE/SIZE:...";
}

/* Of a direction; an empty one is no limit. */
static bool
limit_part(void *out, char *text)
{
	uint64_t *limit = out;

	*limit = 0;
	return *text == '\0' || (tb_parse_size(text, limit) && *limit != 0);
}

static bool
limits(const char *val, uint64_t out[TB_DIRS])
{
	return tb_dirs_parse(val, out, sizeof(out[0]), false, limit_part);
}

const char *
opt_rate(struct tb_opts *o, const char *val)
{
	return limits(val, o->rate) ? NULL
				    : "bytes a second, as 100M; also 100M,20M,5M for reads, "
				      "writes, trims";
}

const char *
opt_rate_iops(struct tb_opts *o, const char *val)
{
	return limits(val, o->rate_iops) ? NULL
					 : "I/Os a second, as 1000; also 1000,200,50 for "
					   "reads, writes, trims";
}

const char *
opt_lat_percentile(struct tb_opts *o, const char *val)
{
	char *end;

	o->lat_percentile = strtod(val, &end);
	return isdigit((unsigned char)*val) && *end == '\0' && o->lat_percentile > 0 &&
			       o->lat_percentile <= 100
		       ? NULL
		       : "percent, up to 100, as 99.9";
}

const char *
opt_replay_skip(struct tb_opts *o, const char *val)
{
	const uint32_t ops =
		1u << PLX_OP_READ | 1u << PLX_OP_WRITE | 1u << PLX_OP_DISCARD | 1u << PLX_OP_FLUSH;

	o->replay_skip = 0;
	for (;; val++) {
		size_t len = strcspn(val, ",");
		uint8_t op = op_named(val, len, ops);

		if (op == PLX_OP_MAX)
			return "a list of read, write, trim and sync, with commas";
		o->replay_skip |= 1u << op;
		val += len;
		if (*val == '\0')
			return NULL;
	}
}

const char *
opt_lcores(struct tb_opts *o, const char *val)
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

const char *const tb_poll_modes[3] = {[PLX_IDLE_BUSY] = "busy",
	[PLX_IDLE_ADAPTIVE] = "adaptive",
	[PLX_IDLE_INTERRUPT] = "interrupt"};

const char *
opt_poll_mode(struct tb_opts *o, const char *val)
{
	for (uint8_t i = 0; i < RTE_DIM(tb_poll_modes); i++)
		if (strcmp(val, tb_poll_modes[i]) == 0) {
			o->poll_mode = i;
			return NULL;
		}
	return "busy, adaptive or interrupt";
}

const char *
opt_verify(struct tb_opts *o, const char *val)
{
	o->verify = true;
	return strcmp(val, "crc32c") == 0 ? NULL : "crc32c";
}

const char *
opt_pi(struct tb_opts *o, const char *val)
{
	o->meta = true;
	o->pi = strcmp(val, "host") == 0 ? TB_PI_HOST : TB_PI_ACT;
	return o->pi == TB_PI_HOST || strcmp(val, "act") == 0 ? NULL : "act or host";
}

const char *
opt_log_avg(struct tb_opts *o, const char *val)
{
	if (tb_parse_time(val, "ms", &o->log_interval_s) && o->log_interval_s >= 0.001)
		return NULL;
	return "milliseconds, as 100; also 1s";
}

const char *
opt_cmd(struct tb_opts *o, const char *val)
{
	if (o->ncmd == TB_CMDS_MAX)
		return "one of at most 64";
	o->cmd[o->ncmd++] = val;
	return NULL;
}

/* ---- all together ---- */

void
tb_opts_init(struct tb_opts *o)
{
	*o = (struct tb_opts){.rwmix = UINT32_MAX,
		.replay_time_scale = 100,
		.replay_scale = 1,
		.replay_align = 1,
		.qd = 32,
		.numjobs = 1,
		.think_blocks = 1,
		.lat_window_s = 0.1,
		.lat_percentile = 100,
		.log_interval_s = 0.5,
		.seed = 1};
	opt_rw(o, "randread");
	opt_bs(o, "4k");
}

/* What is done, from rw and opmix. */
static const char *
complete_ops(struct tb_opts *o)
{
	const uint32_t both = 1u << PLX_OP_READ | 1u << PLX_OP_WRITE;
	const uint32_t change = 1u << PLX_OP_WRITE | 1u << PLX_OP_WRITE_ZEROES |
				1u << PLX_OP_DISCARD | 1u << PLX_OP_ZONE_APPEND;

	if (o->verify_only) {
		o->rw = "read";
		o->ops = 1u << PLX_OP_READ;
		o->mode = TB_MODE_PLAIN;
		o->dist[0].kind = TB_DIST_UNIFORM;
		o->rwmix = UINT32_MAX;
		o->random = o->opmix = false;
		o->verify = true;
	}
	if (o->opmix) {
		if (o->mode != TB_MODE_PLAIN || (o->ops & both) != both)
			return "--opmix is for --rw rw and --rw randrw";
		if (o->rwmix != UINT32_MAX)
			return "--rwmixread and --opmix contradict each other";
		o->ops = 0;
		for (unsigned int op = 0; op < PLX_OP_MAX; op++)
			o->ops |= (uint32_t)(o->share[op] != 0) << op;
	} else if (o->rwmix != UINT32_MAX && (o->ops & both) != both) {
		return "--rwmixread is for --rw rw and --rw randrw";
	}
	if (o->rwmix == UINT32_MAX)
		o->rwmix = 50;
	o->reads = (o->ops & 1u << PLX_OP_READ) != 0;
	o->writes = (o->ops & change) != 0;
	if (o->dist[0].kind != TB_DIST_UNIFORM && !o->random)
		return "--random_distribution is for the random modes";
	if (o->hop && o->mode == TB_MODE_COPY)
		return "--hop and --rw copy don't go together";
	if ((o->mode == TB_MODE_COPY) != (o->copy_to != NULL))
		return "--rw copy and --copy_to go together";
	return NULL;
}

/* A trace says what is done, where, and when. */
static const char *
complete_replay(struct tb_opts *o)
{
	if (o->iolog == NULL)
		return o->no_stall || o->replay_redirect != NULL
			       ? "--replay_no_stall and --replay_redirect are for --read_iolog"
			       : NULL;
	if (o->size != 0 || o->offset != 0 || o->io_size != 0 || o->queues > 1)
		return "--read_iolog brings its own range, and has one queue a device";
	if (o->numjobs > 1)
		return "--read_iolog is replayed once: no --numjobs";
	o->mode = TB_MODE_REPLAY;
	o->rw = "replay";
	o->random = o->opmix = o->reads = o->writes = false;
	o->ops = 0;
	o->rwmix = UINT32_MAX;
	o->dist[0].kind = TB_DIST_UNIFORM;
	o->queues = 1;
	return NULL;
}

/* Does what is done take its place in the data that --verify looks for? */
static const char *
complete_verify(const struct tb_opts *o)
{
	const uint32_t both = 1u << PLX_OP_READ | 1u << PLX_OP_WRITE;

	if ((o->fsync != 0 || o->fua) && o->mode != TB_MODE_PLAIN)
		return "--fsync and --fua are for reads, writes and mixes";
	if (o->verify_state != NULL && !o->verify)
		return "--verify-state is for --verify";
	if (o->numjobs > 1 && (o->verify_state != NULL || o->mode == TB_MODE_APPEND))
		return "--numjobs goes together neither with --verify-state nor with --rw append";
	if (o->verify_state_sync && o->verify_state == NULL)
		return "--verify-state-sync is for --verify-state";
	if (!o->verify && !o->meta)
		return NULL;
	if (o->mode != TB_MODE_PLAIN || (o->ops & ~both) != 0)
		return "--verify and --meta are for reads and writes";
	if (o->mixed_bs)
		return "--verify and --meta are for I/Os of one size";
	if (o->numjobs > 1 && o->writes && (o->size == 0 || o->offset_increment < o->size))
		return "--verify of --numjobs that write is for ranges of their own: --size, and "
		       "an --offset_increment that is no smaller";
	if (tb_dist_zoned(o->dist) && o->queues != 1)
		return "--verify with zones, which queues share, is for --queues 1";
	return NULL;
}

static const char *
complete_bounds(struct tb_opts *o)
{
	if (o->verify_only && (o->time_s != 0 || o->runtime_s != 0))
		return "--verify_only reads each block once: a time is no part of it";
	if (o->time_based && o->runtime_s == 0)
		return "--time_based needs --runtime";
	if (o->time_s != 0 && o->runtime_s != 0)
		return "--time and --runtime contradict each other";
	if (o->mode == TB_MODE_REPLAY) { /* its end */
		o->time_s = RTE_MAX(o->time_s, o->runtime_s);
		return NULL;
	}
	o->once = o->time_s == 0 && !o->time_based && o->io_size == 0 &&
		  (o->size != 0 || o->runtime_s != 0 || o->verify_only);
	if (o->runtime_s != 0)
		o->time_s = o->runtime_s;
	if (o->lat_target_s != 0 && !o->lat_run) {
		o->once = false; /* until the depth is found */
	} else if (o->time_s == 0 && !o->once && o->io_size == 0 && o->number_ios == 0) {
		o->time_s = 5;
	}
	return NULL;
}

const char *
tb_opts_complete(struct tb_opts *o)
{
	const char *what = complete_ops(o);

	/* what no single option can tell */
	if (o->batch > o->qd)
		return "--iodepth_batch is larger than --iodepth";
	if (o->batch == 0)
		o->batch = o->qd < 32 ? o->qd : 32;
	o->unit = tb_sizes_unit(o->sizes);
	o->bs = tb_sizes_max(o->sizes);
	o->mixed_bs = o->unit != o->bs;
	if (what == NULL)
		what = complete_replay(o);
	if (what == NULL)
		what = complete_verify(o);
	return what != NULL ? what : complete_bounds(o);
}
