/* SPDX-License-Identifier: BSD-3-Clause */
/* Running the checks in turn on one device. */
#include <stdarg.h>
#include <string.h>

#include "conf.h"

void
fail(struct conf *c, const char *fmt, ...)
{
	char why[sizeof(c->why)];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap); /* c->why may be an argument */
	va_end(ap);
	memcpy(c->why, why, sizeof(why));
	longjmp(c->failed, 1);
}

static void
run_check(struct conf *c, const struct conf_check *check)
{
	c->check = check->name;
	c->small = false;
	check->run(c);
	if (c->nq != 0) {
		io_drain(c, NULL);
		dev_check_stats(c);
		dev_stop(c);
	}
	if (!c->opts.quiet) {
		printf("ok   %s\n", check->name);
		fflush(stdout);
	}
}

static void
run_all(struct conf *c)
{
	static const struct conf_check *const groups[] = {conf_checks_basic, conf_checks_ops,
		conf_checks_copy, conf_checks_queue, conf_checks_random, conf_checks_threads,
		conf_checks_meta};
	const struct conf_check *check;
	unsigned int i;

	for (i = 0; i < RTE_DIM(groups); i++)
		for (check = groups[i]; check->name != NULL; check++)
			if (c->info.zone_nblk == 0 || check->zoned)
				run_check(c, check);
	for (check = conf_checks_zone; c->info.zone_nblk != 0 && check->name != NULL; check++)
		run_check(c, check);
}

const char *
conf_run(struct conf *c, const struct conf_opts *opts)
{
	struct io *slots = c->slots;
	unsigned int i;

	c->opts = *opts;
	c->rng = opts->seed * 2 + 1;
	c->check = "attach";
	c->in_flight = 0;
	for (i = 0; slots != NULL && i < CONF_SLOTS; i++)
		slots[i].lent = false;
	if (setjmp(c->failed) != 0) {
		if (!c->opts.quiet)
			printf("FAIL %s: %s\n", c->check, c->why);
		dev_abandon(c);
		return c->check;
	}
	dev_attach(c);
	c->opts.nodata |= (c->info.caps & PLX_BLK_CAP_NODATA) != 0;
	io_pool_init(c);
	model_init(c);
	run_all(c);
	c->check = "detach";
	dev_detach(c);
	return NULL;
}
