/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "plx_eal.h"
#include "plx_sigbus.h"
#include "jobfile.h"
#include "shell.h"

volatile sig_atomic_t tb_interrupted, tb_stop;

/* The first asks for an orderly end, the second doesn't wait for it. */
static void
on_signal(int sig)
{
	(void)sig;
	if (tb_interrupted)
		_exit(130);
	tb_interrupted = 1;
	tb_stop = 1;
}

/* A device or a peer's file that went away under its mapping. */
static void
on_sigbus(int sig, siginfo_t *info, void *uctx)
{
	if (!plx_sigbus_try_handle(sig, info, uctx))
		signal(SIGBUS, SIG_DFL); /* the access is repeated, and kills */
}

static void
catch_signals(void)
{
	struct sigaction end = {.sa_handler = on_signal, .sa_flags = SA_RESTART}, hup;
	struct sigaction bus = {.sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO};

	sigaction(SIGINT, &end, NULL);
	sigaction(SIGTERM, &end, NULL);
	sigaction(SIGBUS, &bus, NULL);
	if (sigaction(SIGHUP, NULL, &hup) == 0 && hup.sa_handler != SIG_IGN) /* by nohup(1) */
		sigaction(SIGHUP, &end, NULL);
	signal(SIGPIPE, SIG_IGN); /* told at the end: the devices come first */
}

/* What is closed would be the number of the next file, or of a device's socket. */
static void
keep_standard_files(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

/* All that was printed has to be where it was to go. */
static int
flush_output(int rc)
{
	bool failed = ferror(stdout) != 0;

	if (fflush(stdout) == 0 && !failed)
		return rc;
	tb_say("the standard output could not be written%s%s", failed ? "" : ": ",
		failed ? "" : strerror(errno));
	return RTE_MAX(rc, TB_FAIL);
}

/* Where the program's own arguments begin: behind "--", or all when there is none. */
static int
own_args(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], "--") == 0)
			return i + 1;
	return 1;
}

/* EAL's arguments: what stands before "--"; EAL keeps pointers and reorders. */
static int
start_eal(int own, char **argv)
{
	int n = own > 1 ? own - 1 : 1, rc;
	char **eal = calloc((size_t)n + 1, sizeof(*eal));

	if (eal == NULL)
		return -ENOMEM;
	memcpy(eal, argv, (size_t)n * sizeof(*eal));
	rc = plx_eal_init_app(n, eal);
	free(eal);
	return rc;
}

/* Opened before the run: a wrong path must not cost the figures. */
static FILE *
open_json(const char *path)
{
	FILE *f;

	if (path == NULL || strcmp(path, "-") == 0)
		return stdout;
	f = fopen(path, "w");
	if (f == NULL)
		tb_say("--json %s: %s", path, strerror(errno));
	return f;
}

/* Is device i of a job there already, for another job that names as many of the same? */
static bool
attached(const struct tb_session *s, const struct tb_opts *o, uint32_t i)
{
	const struct plx_dev *last = NULL;
	uint32_t want = 0, have = 0;

	for (uint32_t k = 0; k <= i; k++)
		want += strcmp(o->dev[k], o->dev[i]) == 0;
	for (const struct tb_dev *d = s->devs; d != NULL; d = d->next) {
		have += strcmp(d->str, o->dev[i]) == 0 && d->attachment != last;
		last = d->attachment;
	}
	return have >= want;
}

/* One run of n jobs on the devices of them all; what two jobs name is one. */
static int
batch(struct tb_session *s, const struct tb_opts *opts, uint32_t n, FILE *json)
{
	struct tb_run *run;
	int rc = TB_OK;

	for (uint32_t j = 0; j < n; j++)
		for (uint32_t i = 0; rc == TB_OK && i < opts[j].ndev; i++)
			if (!attached(s, &opts[j], i))
				rc = tb_session_attach(s, opts[j].dev[i]);
	if (rc == TB_OK)
		rc = tb_run_start(s, opts, n);
	if (rc != TB_OK)
		return rc;
	run = s->run;
	tb_run_drive(s, NULL, NULL);
	rc = tb_report(run, json, tb_run_end(run));
	tb_run_free(run);
	return rc;
}

static int
session(const struct tb_opts *opts, const struct tb_jobs *jobs, FILE *json)
{
	struct tb_session s;
	int rc = tb_session_init(&s);

	if (rc == TB_OK && (opts->interactive || opts->file != NULL || opts->ncmd != 0))
		rc = tb_shell_run(&s, opts);
	else if (rc == TB_OK)
		rc = batch(&s, jobs->opts, jobs->n, json);
	return RTE_MAX(rc, tb_session_fini(&s));
}

int
main(int argc, char **argv)
{
	struct tb_opts opts;
	struct tb_jobs jobs = {.opts = &opts, .n = 1};
	int own = own_args(argc, argv), rc;
	FILE *json;

	keep_standard_files();
	switch (tb_opts_parse(&opts, argc - own, argv + own)) {
	case TB_PARSED_DONE:
		return flush_output(TB_OK);
	case TB_PARSED_BAD:
		return TB_USAGE;
	case TB_PARSED_RUN:
		break;
	}
	if (opts.jobfile != NULL && (rc = tb_jobs_load(&jobs, opts.jobfile, &opts)) != TB_OK) {
		tb_jobs_free(&jobs);
		return rc;
	}
	json = open_json(jobs.opts[0].json);
	if (json == NULL)
		return TB_USAGE;
	rc = start_eal(own, argv);
	if (rc < 0)
		return rc == -EINVAL ? TB_USAGE : TB_FAIL;
	catch_signals();
	rc = session(&opts, &jobs, json);
	plx_eal_cleanup();
	if (opts.jobfile != NULL)
		tb_jobs_free(&jobs);
	if (json != stdout)
		fclose(json);
	return flush_output(rc);
}
