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

static struct tb_dev *
named(const struct tb_shell *sh, const char *name)
{
	struct tb_dev *d = tb_session_dev(sh->session, name);

	if (d == NULL)
		tb_say("'%s' is not attached; 'show devs' lists what is", name);
	return d;
}

/* ---- settings ---- */

static int
setting(const char *name)
{
	const struct tb_option *table, *opt = tb_opts_find(name);

	tb_opts_table(&table);
	return opt == NULL ? -1 : (int)(opt - table);
}

int
shell_opts(const struct tb_shell *sh, struct tb_opts *o)
{
	const struct tb_option *table;
	unsigned int n = tb_opts_table(&table);

	tb_opts_init(o);
	for (unsigned int i = 0; i < n; i++)
		if (sh->value[i] != NULL)
			tb_option_set(
				&table[i], o, sh->value[i]); /* it was right when it was set */
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
cmd_set(struct tb_shell *sh, const struct shell_args *a)
{
	const char *name = a->word[1], *val = a->word[2], *right;
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
	if (rc != TB_OK)
		return rc;
	shell_opts(sh, &o);
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

static struct tb_queue *
queue(const struct tb_shell *sh, const struct tb_dev *d, const char *text)
{
	struct tb_run *run = sh->session->run;
	unsigned long qid;
	char *end;

	qid = strtoul(text, &end, 10);
	for (uint32_t j = 0; run != NULL && *end == '\0' && j < run->njob; j++)
		for (uint32_t i = 0; i < run->jobs[j].ntask; i++) {
			struct tb_task *t = &run->jobs[j].tasks[i];

			if (t->dev == d && qid >= t->first_qid && qid < t->first_qid + t->nq)
				return &t->queues[qid - t->first_qid];
		}
	tb_say("%s: the run has no queue '%s' on it", d->info.name, text);
	return NULL;
}

/* queue <dev> <n> pause|resume: from the run's side; the device's queue stays as it is. */
static int
cmd_queue(struct tb_shell *sh, const struct shell_args *a)
{
	struct tb_dev *d = named(sh, a->word[1]);
	struct tb_queue *q = d == NULL ? NULL : queue(sh, d, a->word[2]);

	if (q == NULL)
		return TB_USAGE;
	__atomic_store_n(&q->paused, a->word[3][0] == 'p', __ATOMIC_RELAXED);
	return TB_OK;
}

/* ---- devices ---- */

static int
cmd_attach(struct tb_shell *sh, const struct shell_args *a)
{
	return tb_session_attach(sh->session, a->word[1]);
}

/* Under load its I/Os end with -ECANCELED; the run's account has them all. */
static int
cmd_detach(struct tb_shell *sh, const struct shell_args *a)
{
	return tb_session_detach(sh->session, a->word[1]);
}

/* With a run under way or without. */
static int
cmd_reset(struct tb_shell *sh, const struct shell_args *a)
{
	struct tb_dev *d = named(sh, a->word[1]);
	struct plx_blk *blk;
	int rc;

	if (d == NULL)
		return TB_USAGE;
	blk = d->blk;
	rc = blk != NULL ? 0 : plx_blk_open(d->info.name, 0, &blk);
	if (rc == 0)
		rc = plx_blk_reset(blk);
	if (d->blk == NULL && blk != NULL)
		plx_blk_close(blk);
	if (rc == 0)
		return TB_OK;
	tb_say("%s: reset: %s", d->info.name, strerror(-rc));
	return TB_FAIL;
}

static int
cmd_lat(struct tb_shell *sh, const struct shell_args *a)
{
	struct tb_dev *d = named(sh, a->word[1]);
	int rc;

	if (d == NULL)
		return TB_USAGE;
	if (d->blk == NULL) {
		tb_say("%s: the class measures latencies while a run has it open", d->info.name);
		return TB_FAIL;
	}
	rc = plx_blk_latency_enable(d->blk, strcmp(a->word[2], "on") == 0);
	if (rc == 0)
		return TB_OK;
	tb_say("%s: %s", d->info.name, strerror(-rc));
	return TB_FAIL;
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
	{"attach <string>", cmd_attach, "attach a device by its device string"},
	{"detach <dev>", cmd_detach, "detach it, or the controller that it belongs to"},
	{"set <setting> <value>", cmd_set, "of the next run: the options of the command line"},
	{"unset <setting>", cmd_unset, "back to its default"},
	{"start", cmd_start, "start a run on all devices; commands go on meanwhile"},
	{"stop", cmd_stop, "end the run, and report"},
	{"wait", cmd_wait, "until the run has ended by itself"},
	{"sleep <seconds>", cmd_sleep, "do nothing, or until the run has ended"},
	{"reset <dev>", cmd_reset, "reset a device, also while a run works on it"},
	{"queue <dev> <n> pause|resume", cmd_queue, "keep a queue of the run from new I/Os"},
	{"latency <dev> on|off", cmd_lat, "let the device class measure latencies of the run"},
	{"show devs", show_devs, "what is attached"},
	{"show dev <dev>", show_dev, "what a device is and can do"},
	{"show queues <dev>", show_queues, "its queues in the run"},
	{"show stats <dev>", show_stats, "its counters"},
	{"show latency <dev>", show_lat, "latencies that the device class measured"},
	{"show lcores", show_lcores, "lcores, and how busy they were"},
	{"show mem", show_mem, "memory that devices reach"},
	{"show config", show_config, "the settings of the next run"},
	{"show run", show_run, "how the run gets on"},
	{"dump memzones|mempools|heap", dump, "EAL's own tables"},
	{"quit", cmd_quit, "end the run, detach everything, leave"},
};
const unsigned int shell_ncommand = RTE_DIM(shell_commands);
