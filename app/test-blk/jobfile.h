/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TB_JOBFILE_H
#define TB_JOBFILE_H
/**
 * @file
 * Job files in fio's format: sections with key = value lines, of which [global] ones are defaults
 * for the jobs that follow. Keys are the options of the command line.
 */
#include <stdbool.h>
#include <stdint.h>

#include "opts.h"

#define TB_JOBS_MAX 64

struct tb_jobs {
	struct tb_opts *opts; /**< one a job, complete */
	uint32_t n;
	char *text; /**< what their strings point into */
};

/** Read a file ("-": the standard input). base: what the command line said, where jobs begin.
 * @return enum tb_exit, after one line when not TB_OK; tb_jobs_free() in any case */
int tb_jobs_load(struct tb_jobs *jobs, const char *path, const struct tb_opts *base);
/** The same of text that is in memory; it is changed, and has to outlive the jobs. */
int tb_jobs_parse(struct tb_jobs *jobs, const char *path, char *text, const struct tb_opts *base);
void tb_jobs_free(struct tb_jobs *jobs);

#endif
