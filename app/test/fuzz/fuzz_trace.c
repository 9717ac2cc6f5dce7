/* SPDX-License-Identifier: BSD-3-Clause */
/* Fuzz what plx-testblk replays: iologs of fio and records of blktrace, and its job files. */
#include <string.h>

#include "jobfile.h"
#include "testblk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

volatile sig_atomic_t tb_stop;

static void
job_file(char *text)
{
	struct tb_jobs jobs = {.n = 0};
	struct tb_opts base;

	tb_opts_init(&base);
	tb_jobs_parse(&jobs, "f", text, &base);
	tb_jobs_free(&jobs);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct tb_trace t = {.n = 0};
	char *copy;

	if (size == 0)
		return 0;
	copy = malloc(size);
	if (copy == NULL)
		return 0;
	memcpy(copy, data + 1, size - 1);
	copy[size - 1] = '\0';
	if (data[0] % 3 == 0)
		tb_blktrace_parse(&t, "f", (uint8_t *)copy, size - 1);
	else if (data[0] % 3 == 1)
		tb_iolog_parse(&t, "f", copy, size - 1);
	else
		job_file(copy);
	for (size_t i = 0; i < t.n; i++)
		if (t.ios[i].file >= t.nfiles)
			__builtin_trap();
	tb_trace_free(&t);
	free(copy);
	return 0;
}
