/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * plx-conformance [EAL options] -- DEVICE-STRING [--nodata] [--no-races] [--seconds N] [--seed N]
 * plx-conformance [EAL options] -- --faults [NAME]
 *
 * Runs a block device through everything that the class promises; what is on it is lost. With
 * --no-races no writes race for the same blocks: there are emulated controllers that mix the data
 * of one with the protection information of the other. With --faults, runs drivers with planted
 * faults, of which each must fail the right check.
 */
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "plx_eal.h"

#include "conf.h"

#define ZONED "ram:size=4M,zone=512K,zcap=448K,max_io=8K,max_open=3,max_active=4"

static struct conf conf;

static int
usage(void)
{
	fprintf(stderr, "usage: plx-conformance [EAL options] -- "
			"DEVICE-STRING [--nodata] [--no-races] [--seconds N] [--seed N] | "
			"--faults [NAME]\n");
	return 2;
}

static bool
listed(const char *list, const char *word)
{
	const char *at = strstr(list, word);
	size_t n = strlen(word);

	for (; at != NULL; at = strstr(at + 1, word))
		if ((at == list || at[-1] == ' ') && (at[n] == ' ' || at[n] == '\0'))
			return true;
	return false;
}

/* @return whether the suite judged the driver rightly */
static bool
run_fault(const struct conf_fault *fault, bool zoned, const struct conf_opts *opts)
{
	struct conf_opts o = *opts;
	const char *failed;
	bool good;
	char str[64];

	snprintf(str, sizeof(str), "faulty:fault=%s", fault->name);
	o.str = str;
	if (zoned) {
		o.str = ZONED;
		o.zfault = fault;
	}
	o.quiet = true;
	failed = conf_run(&conf, &o);
	if (fault->checks == NULL)
		good = failed == NULL;
	else
		good = failed != NULL && listed(fault->checks, failed);
	printf("%s %s: %s%s%s\n", good ? "ok  " : "FAIL", fault->name,
		failed != NULL ? failed : "no check failed", failed != NULL ? ": " : "",
		failed != NULL ? conf.why : "");
	fflush(stdout);
	return good;
}

static int
run_faults(const char *name, const struct conf_opts *opts)
{
	static const struct conf_fault *const lists[] = {conf_faults, conf_zfaults};
	const struct conf_fault *fault;
	int bad = 0, run = 0, i;

	if (conf_faulty_register() != 0)
		return 1;
	for (i = 0; i < 2; i++) {
		for (fault = lists[i]; fault->name != NULL; fault++) {
			if (name != NULL && strcmp(name, fault->name) != 0)
				continue;
			bad += !run_fault(fault, i == 1, opts);
			run++;
		}
	}
	return bad != 0 || run == 0;
}

static int
options(int argc, char **argv, struct conf_opts *o, bool *faults)
{
	static const struct option longs[] = {{"nodata", 0, NULL, 'n'}, {"no-races", 0, NULL, 'w'},
		{"seconds", 1, NULL, 's'}, {"seed", 1, NULL, 'r'}, {"faults", 0, NULL, 'f'},
		{NULL, 0, NULL, 0}};
	int opt;

	optind = 1;
	while ((opt = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		switch (opt) {
		case 'n':
			o->nodata = true;
			break;
		case 'w':
			o->no_races = true;
			break;
		case 's':
			o->seconds = strtod(optarg, NULL);
			break;
		case 'r':
			o->seed = strtoull(optarg, NULL, 0);
			break;
		case 'f':
			*faults = true;
			break;
		default:
			return -1;
		}
	}
	o->str = argv[optind]; /* NULL: none */
	return o->str != NULL || *faults ? 0 : -1;
}

int
main(int argc, char **argv)
{
	struct conf_opts opts = {.seconds = 1, .seed = 1, .patience_ms = 20000};
	bool faults = false;
	int used = plx_eal_init_app(argc, argv), rc;

	if (used < 0)
		return 2;
	if (options(argc - used, argv + used, &opts, &faults) != 0)
		return usage();
	if (faults) {
		opts.patience_ms = 100;
		opts.seconds = 0;
		rc = run_faults(opts.str, &opts);
	} else {
		rc = conf_run(&conf, &opts) != NULL;
		if (rc != 0)
			printf("failed with --seed %llu\n", (unsigned long long)opts.seed);
	}
	plx_eal_cleanup();
	return rc;
}
