/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TB_SHELL_H
#define TB_SHELL_H
/**
 * @file
 * The shell: librte_cmdline's line editing, completion and help over a table of commands.
 */
#include <stdio.h>

#include "testblk.h"

#define SHELL_WORDS 6  /**< of a command, at most */
#define SHELL_WORD 512 /**< bytes of a word */

struct tb_shell {
	struct tb_session *session;
	struct cmdline *cl;
	char *value[TB_OPTIONS_MAX]; /**< settings, by index in tb_opts_table(); NULL: the default
				      */
	char *used[TB_OPTIONS_MAX];  /**< those that the run was started with: it refers to them */
	uint64_t begun, shown;       /**< TSC: when the run began, when it was shown last */
	uint64_t shown_ios;
	int rc; /**< enum tb_exit of the command; of a list of them, the worst */
};

/** The words of a command as they were typed. */
struct shell_args {
	char word[SHELL_WORDS][SHELL_WORD];
};

/** A command. It prints one line when it fails. @return enum tb_exit */
typedef int (*shell_fn)(struct tb_shell *sh, const struct shell_args *args);
struct shell_command {
	/** Words: a literal, a choice "a|b", or <dev>, <setting>, <anything> */
	const char *pattern;
	shell_fn fn;
	const char *help;
};
extern const struct shell_command shell_commands[];
extern const unsigned int shell_ncommand;

/** Run what the command line asks for: --cmd, --cmdline-file, -i. @return enum tb_exit */
int tb_shell_run(struct tb_session *s, const struct tb_opts *opts);

/** Drive the session for some time, or until its run is over: then report and free it. */
void shell_wait(struct tb_shell *sh, double seconds);
/** The settings as options, good until one changes. */
void shell_opts(const struct tb_shell *sh, struct tb_opts *o);

/* devs.c: commands on a device */
/** @return the attached device of that name, or NULL after one line */
struct tb_dev *dev_named(const struct tb_shell *sh, const char *name);
/** @return the class's handle of a device, open or not; NULL: it is gone */
struct plx_blk *dev_handle(const char *name);
/** Its counters, or a queue's. @return 0 or -errno */
int dev_stats(const char *name, uint16_t qid, struct plx_blk_stats *st);
int dev_command(struct tb_shell *sh, const struct shell_args *a);
int dev_queue(struct tb_shell *sh, const struct shell_args *a);
int dev_latency(struct tb_shell *sh, const struct shell_args *a);
int dev_clear(struct tb_shell *sh, const struct shell_args *a);
int dump_dev(struct tb_shell *sh, const struct shell_args *a);

/* show.c */
int show_devs(struct tb_shell *sh, const struct shell_args *a);
int show_dev(struct tb_shell *sh, const struct shell_args *a);
int show_ns(struct tb_shell *sh, const struct shell_args *a);
int show_queues(struct tb_shell *sh, const struct shell_args *a);
int show_stats(struct tb_shell *sh, const struct shell_args *a);
int show_xstats(struct tb_shell *sh, const struct shell_args *a);
int show_lat(struct tb_shell *sh, const struct shell_args *a);
int show_lcores(struct tb_shell *sh, const struct shell_args *a);
int show_mem(struct tb_shell *sh, const struct shell_args *a);
int show_config(struct tb_shell *sh, const struct shell_args *a);
int show_run(struct tb_shell *sh, const struct shell_args *a);
int dump(struct tb_shell *sh, const struct shell_args *a);

#endif
