/* SPDX-License-Identifier: BSD-3-Clause */
/* The shell's commands that do something; those that show something are in show.c. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_cycles.h>

#include "shell.h"

static int
idle_only(const struct tb_shell *sh)
{
	if (sh->session->run == NULL)
		return TB_OK;
	tb_say("a run is under way: 'stop' it, or 'wait' for its end");
	return TB_FAIL;
}

/* ---- settings ---- */

static int
setting(const char *name)
{
	const struct tb_option *table, *opt = tb_opts_find(name);

	tb_opts_table(&table);
	return opt == NULL ? -1 : (int)(opt - table);
}

static void
read_settings(char *const *value, struct tb_opts *o)
{
	const struct tb_option *table;
	unsigned int n = tb_opts_table(&table);

	tb_opts_init(o);
	for (unsigned int i = 0; i < n; i++)
		if (value[i] != NULL) /* it was right when it was set */
			tb_option_set(&table[i], o, value[i]);
}

void
shell_opts(const struct tb_shell *sh, struct tb_opts *o)
{
	read_settings(sh->value, o);
}

/* For a run, under which settings may change. */
static int
use_settings(struct tb_shell *sh, struct tb_opts *o)
{
	for (unsigned int i = 0; i < TB_OPTIONS_MAX; i++) {
		free(sh->used[i]);
		sh->used[i] = sh->value[i] == NULL ? NULL : strdup(sh->value[i]);
		if (sh->value[i] != NULL && sh->used[i] == NULL) {
			tb_say("out of memory");
			return TB_FAIL;
		}
	}
	read_settings(sh->used, o);
	return TB_OK;
}

/* @return NULL, or what would have been right */
static const char *
try_setting(const struct tb_option *opt, const char *val)
{
	struct tb_opts o;

	tb_opts_init(&o);
	return tb_option_set(opt, &o, val);
}

static int
set_to(struct tb_shell *sh, const char *name, const char *val)
{
	const char *right;
	const struct tb_option *table;
	int i = setting(name);
	char *copy;

	if (i < 0)
		return TB_USAGE;
	tb_opts_table(&table);
	right = try_setting(&table[i], val);
	if (right != NULL) {
		tb_say("%s: '%s' is not %s", name, val, right);
		return TB_USAGE;
	}
	copy = strdup(val);
	if (copy == NULL)
		return TB_FAIL;
	free(sh->value[i]);
	sh->value[i] = copy;
	return TB_OK;
}

static int
cmd_set(struct tb_shell *sh, const struct shell_args *a)
{
	return set_to(sh, a->word[1], a->word[2]);
}

static int
cmd_set_poll_mode(struct tb_shell *sh, const struct shell_args *a)
{
	return set_to(sh, "poll-mode", a->word[3]);
}

static int
cmd_unset(struct tb_shell *sh, const struct shell_args *a)
{
	int i = setting(a->word[1]);

	if (i < 0)
		return TB_USAGE;
	free(sh->value[i]);
	sh->value[i] = NULL;
	return TB_OK;
}

/* ---- runs ---- */

static int
cmd_start(struct tb_shell *sh, const struct shell_args *a)
{
	struct tb_opts o;
	const char *what;
	int rc = idle_only(sh);

	(void)a;
	if (rc == TB_OK)
		rc = use_settings(sh, &o);
	if (rc != TB_OK)
		return rc;
	what = tb_opts_complete(&o);
	if (what != NULL) {
		tb_say("%s", what);
		return TB_USAGE;
	}
	rc = tb_run_start(sh->session, &o, 1);
	sh->begun = sh->shown = rte_rdtsc();
	sh->shown_ios = 0;
	return rc;
}

static int
cmd_stop(struct tb_shell *sh, const struct shell_args *a)
{
	(void)a;
	if (sh->session->run == NULL) {
		tb_say("nothing runs");
		return TB_FAIL;
	}
	tb_stop = 1;
	shell_wait(sh, 0);
	return TB_OK;
}

static int
cmd_wait(struct tb_shell *sh, const struct shell_args *a)
{
	(void)a;
	shell_wait(sh, 0);
	return TB_OK;
}

static int
cmd_sleep(struct tb_shell *sh, const struct shell_args *a)
{
	char *end;
	double s = strtod(a->word[1], &end);

	if (*end != '\0' || !(s > 0 && s < 1e6)) {
		tb_say("sleep: '%s' is not a number of seconds", a->word[1]);
		return TB_USAGE;
	}
	shell_wait(sh, s);
	return TB_OK;
}

/* ---- the rest ---- */

static int
cmd_help(struct tb_shell *sh, const struct shell_args *a)
{
	const char *about = a->word[1];
	bool found = false;

	(void)sh;
	for (unsigned int i = 0; i < shell_ncommand; i++) {
		const struct shell_command *c = &shell_commands[i];

		if (about[0] != '\0' && strncmp(c->pattern, about, strlen(about)) != 0)
			continue;
		printf("  %-32s  %s\n", c->pattern, c->help);
		found = true;
	}
	if (found)
		return TB_OK;
	tb_say("there is no command '%s'", about);
	return TB_USAGE;
}

static int
cmd_quit(struct tb_shell *sh, const struct shell_args *a)
{
	(void)a;
	sh->session->quit = true;
	return TB_OK;
}

const struct shell_command shell_commands[] = {
	{"help", cmd_help, "all commands"},
	{"help <command>", cmd_help, "those that begin so"},
	{"attach <string>", dev_command, "attach a device by its device string"},
	{"detach <dev>", dev_command, "detach it, or the controller that it belongs to"},
	{"reset <dev>", dev_command, "reset a device, also while a run works on it"},
	{"dev attach <string>", dev_command, "the same"},
	{"dev detach|reset <dev>", dev_command, "the same"},
	{"dev stop <dev>", dev_command, "stop a device that a run works on, once it is idle"},
	{"dev start <dev>", dev_command, "start it again, and the run goes on"},
	{"dev format <dev> <lbaf>", dev_command, "format an NVMe namespace: all its data is lost"},
	{"set <setting> <value>", cmd_set, "of the next run: the options of the command line"},
	{"set poll mode busy|adaptive|interrupt", cmd_set_poll_mode, "whether idle lcores sleep"},
	{"unset <setting>", cmd_unset, "back to its default"},
	{"start", cmd_start, "start a run on all devices; commands go on meanwhile"},
	{"stop", cmd_stop, "end the run, and report"},
	{"wait", cmd_wait, "until the run has ended by itself"},
	{"sleep <seconds>", cmd_sleep, "do nothing, or until the run has ended"},
	{"queue <dev> <n> pause|resume", dev_queue, "keep a queue of the run from new I/Os"},
	{"queue <dev> <n> stop|start", dev_queue, "the same, and wait until it is idle"},
	{"latency <dev> on|off", dev_latency, "let the device class measure latencies of the run"},
	{"clear stats|latency <dev>", dev_clear, "count and measure from now on"},
	{"show devs", show_devs, "what is attached"},
	{"show dev <dev>", show_dev, "what a device is and can do"},
	{"show ns <dev>", show_ns, "all namespaces of its controller"},
	{"show queues <dev>", show_queues, "its queues in the run"},
	{"show stats <dev>", show_stats, "its counters"},
	{"show xstats <dev>", show_xstats,
		"its counters and those of each queue, as name and value"},
	{"show latency <dev>", show_lat, "latencies that the device class measured"},
	{"show lcores", show_lcores, "lcores, and how busy they were"},
	{"show mem", show_mem, "memory that devices reach"},
	{"show config", show_config, "the settings of the next run"},
	{"show run", show_run, "how the run gets on"},
	{"dump regs <dev>", dump_dev, "registers of its controller, or what stands for them"},
	{"dump sq|cq|virtqueue <dev> <n>", dump_dev, "entries of a queue of the run, or 'admin'"},
	{"dump memzones|mempools|heap", dump, "EAL's own tables"},
	{"quit", cmd_quit, "end the run, detach everything, leave"},
};
const unsigned int shell_ncommand = RTE_DIM(shell_commands);
