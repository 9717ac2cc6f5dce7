/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What people and other programs write: device and export strings, options, EAL's options, job
 * files, traces of fio and blktrace, files of verification state, the kernel's messages about
 * devices. The first byte says which.
 */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <rte_common.h>

#include "eal_priv.h"
#include "export_priv.h"
#include "fuzz.h"
#include "jobfile.h"
#include "pci_priv.h"
#include "probe_priv.h"
#include "testblk.h"

#define WORDS 64

volatile sig_atomic_t tb_stop;

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	fuzz_eal((*argv)[0]);
	return 0;
}

/* ---- files ---- */

static void
trace_end(struct tb_trace *t)
{
	for (size_t i = 0; i < t->n; i++)
		fuzz_check(t->ios[i].file < t->nfiles);
	tb_trace_free(t);
}

static void
blktrace(char *text, size_t len)
{
	struct tb_trace t = {.n = 0};

	tb_blktrace_parse(&t, "f", (uint8_t *)text, len);
	trace_end(&t);
}

static void
iolog(char *text, size_t len)
{
	struct tb_trace t = {.n = 0};

	tb_iolog_parse(&t, "f", text, len);
	trace_end(&t);
}

static void
job_file(char *text, size_t len)
{
	struct tb_jobs jobs = {.n = 0};
	struct tb_opts base;

	tb_opts_init(&base);
	tb_jobs_parse(&jobs, "f", text, &base);
	tb_jobs_free(&jobs);
}

/* The file is about what the run wants, or not, by a byte. */
static void
state_file(char *text, size_t len)
{
	struct tb_state_head mine = {
		.dev_nblk = 1000, .dev_block = 512, .first = 8, .units = 16, .nblk = 8};
	char path[32];
	struct tb_state_head head;
	struct tb_state *st;
	int fd = memfd_create("state", MFD_CLOEXEC);

	fuzz_check(fd >= 0 && write(fd, text, len) == (ssize_t)len);
	if (len > 0 && (text[len - 1] & 1) != 0)
		fuzz_check(ftruncate(fd, 4096 + 16 * sizeof(struct tb_gens)) == 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (tb_state_peek(path, &head) == TB_OK)
		mine = head;
	if (tb_state_open(&st, path, &mine) == TB_OK)
		fuzz_check(st->stable + st->open + st->never == mine.units);
	tb_state_close(st);
	close(fd);
}

/* ---- strings ---- */

static void
device_string(char *text, size_t len)
{
	struct plx_dev dev = {0};
	uint64_t size;
	uint32_t n;
	bool on;

	if (probe_parse(&dev, text) == 0) {
		fuzz_check(strlen(dev.name) < PLX_DEV_NAME_MAX);
		for (unsigned int i = 0; i < dev.args->count; i++) {
			const char *key = dev.args->pairs[i].key;

			plx_arg_size(&dev, key, 1, &size);
			if (plx_arg_u32(&dev, key, 2, 9, 3, &n) == 0)
				fuzz_check(n >= 2 && n <= 9);
			plx_arg_bool(&dev, key, true, &on);
		}
	}
	rte_kvargs_free(dev.args);
	free(dev.str);
}

static void
export_string(char *text, size_t len)
{
	struct plx_export exp = {.str = text};

	if (export_parse(&exp) == 0)
		fuzz_check(exp.nb_devs > 0 && exp.addr[0] != '\0');
	free(exp.name);
	free(exp.parts);
}

static void
uevent(char *text, size_t len)
{
	struct plx_pci_uevent ev;

	if (pci_uevent_parse(text, len, &ev))
		fuzz_check(strlen(ev.bdf) == 12 && strlen(ev.driver) < sizeof(ev.driver));
}

/* ---- options: a word a line ---- */

static int
words(char *text, char **argv)
{
	int n = 0;

	while (text != NULL && n < WORDS)
		argv[n++] = strsep(&text, "\n");
	argv[n] = NULL;
	return n;
}

static void
options(char *text, size_t len)
{
	char *argv[WORDS + 1];
	struct tb_opts o;

	tb_opts_parse(&o, words(text, argv), argv);
}

static void
eal_options(char *text, size_t len)
{
	struct eal_view view = {.huge_free = len % 3 << 25, .hugetlbfs = len % 5 != 0};
	char *argv[WORDS + 1];
	struct eal_plan plan;

	memset(&plan, 0, sizeof(plan));
	eal_plan_make(&view, words(text, argv), argv, len & 1, &plan);
	fuzz_check(plan.nb_add <= EAL_MAX_ADDED);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const kinds[])(char *text, size_t len) = {blktrace, iolog, job_file,
		state_file, device_string, export_string, uevent, options, eal_options};
	char *copy;

	if (size == 0)
		return 0;
	copy = malloc(size);
	fuzz_check(copy != NULL);
	memcpy(copy, data + 1, size - 1);
	copy[size - 1] = '\0';
	kinds[data[0] % RTE_DIM(kinds)](copy, size - 1);
	free(copy);
	return 0;
}
