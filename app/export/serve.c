/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_lcore.h>

#include "plx_blk.h"
#include "plx_eal.h"
#include "plx_export.h"
#include "plx_probe.h"
#include "plx_reactor.h"
#include "plx_sigbus.h"

#include "export.h"

#define SPIN_US 100  /* without work, before an lcore sleeps */
#define LOOK_US 1000 /* asleep, how long a client's doorbell may go unseen */

/* One export and the lcore that polls it. */
struct served {
	struct plx_export *exp;
	unsigned int lcore;
};

/* What signal handlers reach, on any thread: reactors by lcore. */
static struct plx_reactor *reactors[RTE_MAX_LCORE];
static bool stop_flag;

static bool
stopping(void)
{
	return __atomic_load_n(&stop_flag, __ATOMIC_ACQUIRE);
}

static void
stop_reactors(void)
{
	struct plx_reactor *r;
	unsigned int i;

	for (i = 0; i < RTE_MAX_LCORE; i++) {
		r = __atomic_load_n(&reactors[i], __ATOMIC_ACQUIRE);
		if (r != NULL)
			plx_reactor_stop(r);
	}
}

/* A second signal changes nothing: the reactors may be going already. */
static void
on_stop(int sig)
{
	(void)sig;
	if (!__atomic_exchange_n(&stop_flag, true, __ATOMIC_ACQ_REL))
		stop_reactors();
}

/* A client that truncates its memory while we are in it is dropped; all else is fatal as ever. */
static void
on_sigbus(int sig, siginfo_t *info, void *uctx)
{
	if (!plx_sigbus_try_handle(sig, info, uctx))
		signal(SIGBUS, SIG_DFL);
}

static void
take_signals(void)
{
	struct sigaction sa = {.sa_handler = on_stop};

	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	sa = (struct sigaction){.sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO};
	sigaction(SIGBUS, &sa, NULL);
	signal(SIGPIPE, SIG_IGN);
}

/* What the user wrote is wrong, or something failed? Both were logged. */
static int
exit_code(int rc)
{
	switch (rc) {
	case -EINVAL:
	case -ENOENT:
	case -EEXIST:
	case -ENAMETOOLONG:
		return EXIT_USAGE;
	default:
		return EXIT_FAILED;
	}
}

static int
attach_devs(const struct opts *o)
{
	unsigned int i;
	int rc;

	for (i = 0; i < o->nb_devs && !stopping(); i++) {
		rc = plx_attach(o->devs[i], NULL);
		if (rc != 0)
			return exit_code(rc);
	}
	return EXIT_OK;
}

static int
create_exports(const struct opts *o, struct served *s)
{
	unsigned int lcores[RTE_MAX_LCORE], n = plx_eal_lcores(lcores, RTE_MAX_LCORE), i;
	int rc;

	for (i = 0; i < o->nb_exports && !stopping(); i++) {
		rc = plx_export_create(o->exports[i], &s[i].exp);
		if (rc != 0)
			return exit_code(rc);
		s[i].lcore = lcores[i % n];
	}
	return EXIT_OK;
}

/* ---- reactors ---- */

static int
poll_export(void *exp)
{
	return plx_export_poll(exp);
}

static int
arm_export(void *exp)
{
	return plx_export_quiet(exp) ? LOOK_US : -EBUSY;
}

static struct plx_reactor *
reactor_of(const struct opts *o, unsigned int lcore)
{
	struct plx_reactor_conf conf = {
		.idle = o->adaptive ? PLX_IDLE_ADAPTIVE : PLX_IDLE_BUSY, .spin_us = SPIN_US};
	struct plx_reactor *r = reactors[lcore];
	char name[32];

	if (r != NULL)
		return r;
	snprintf(name, sizeof(name), "lcore %u", lcore);
	if (plx_reactor_create_conf(name, &conf, &r) != 0)
		return NULL;
	__atomic_store_n(&reactors[lcore], r, __ATOMIC_RELEASE);
	return r;
}

static int
place_one(const struct opts *o, const struct served *s)
{
	static const struct plx_poller_idle idle = {.fd = -1, .arm = arm_export};
	struct plx_reactor *r = reactor_of(o, s->lcore);
	struct plx_poller *p;

	if (r == NULL)
		return -ENOMEM;
	p = plx_poller_add(r, plx_export_name(s->exp), poll_export, s->exp, 0);
	return p != NULL ? plx_poller_idle_set(p, &idle) : -ENOMEM;
}

static int
place(const struct opts *o, struct served *s)
{
	struct plx_reactor *r = reactor_of(o, rte_get_main_lcore());
	unsigned int i;
	int rc = r != NULL && plx_reactor_add_ctrl(r) != NULL ? 0 : -ENOMEM;

	for (i = 0; i < o->nb_exports && rc == 0; i++)
		rc = place_one(o, &s[i]);
	return rc;
}

static void
run(void)
{
	unsigned int i;

	for (i = 0; i < RTE_MAX_LCORE; i++)
		if (reactors[i] != NULL && i != rte_get_main_lcore())
			plx_reactor_launch(reactors[i], i);
	if (!stopping())
		plx_reactor_run(reactors[rte_get_main_lcore()]);
	/* the signal may have come before some of them were there to be stopped */
	__atomic_store_n(&stop_flag, true, __ATOMIC_RELEASE);
	stop_reactors();
	for (i = 0; i < RTE_MAX_LCORE; i++)
		if (reactors[i] != NULL)
			plx_reactor_wait(reactors[i]);
}

static void
drop_reactors(void)
{
	struct plx_reactor *r;
	unsigned int i;

	for (i = 0; i < RTE_MAX_LCORE; i++) {
		r = __atomic_exchange_n(&reactors[i], NULL, __ATOMIC_ACQ_REL);
		plx_reactor_destroy(r);
	}
}

/* ---- what is printed ---- */

/* "1 GiB", "1.5 TiB": whole where it is whole */
static void
print_size(uint64_t bytes)
{
	static const char *const unit[] = {"bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	unsigned int i = 0, rest = 0;

	for (; bytes >= 1024; bytes /= 1024, i++)
		rest = (unsigned int)(bytes % 1024);
	if (rest == 0)
		printf("%" PRIu64 " %s", bytes, unit[i]);
	else
		printf("%" PRIu64 ".%u %s", bytes, rest * 10 / 1024, unit[i]);
}

static void
print_dev(const char *name)
{
	const struct plx_blk *blk;
	struct plx_blk_info info;

	printf("%s", name);
	for (blk = plx_blk_next(NULL); blk != NULL; blk = plx_blk_next(blk)) {
		plx_blk_info_get(blk, &info);
		if (strcmp(info.name, name) != 0)
			continue;
		printf(" (");
		print_size(info.nblocks * info.block_size);
		printf(", %u-byte blocks)", info.block_size);
	}
}

static void
print_serving(const struct opts *o, const struct served *s)
{
	const char *dev;
	unsigned int i, d;

	for (i = 0; i < o->nb_exports; i++) {
		printf("export %s: serving ", plx_export_name(s[i].exp));
		for (d = 0; (dev = plx_export_dev(s[i].exp, d)) != NULL; d++) {
			if (d != 0)
				printf(", ");
			print_dev(dev);
		}
		printf(" on lcore %u\n", s[i].lcore);
	}
	fflush(stdout);
}

static void
print_counters(const struct opts *o, const struct served *s)
{
	struct plx_export_stats st;
	struct plx_reactor_stats rs;
	unsigned int i;

	for (i = 0; i < o->nb_exports; i++) {
		plx_export_stats_get(s[i].exp, &st);
		printf("export %s: %" PRIu64 " commands, %" PRIu64 " blocks read, %" PRIu64
		       " written, %" PRIu64 " errors, %" PRIu64 " protocol errors\n",
			plx_export_name(s[i].exp), st.commands, st.read_blocks, st.write_blocks,
			st.errors, st.protocol_errors);
	}
	for (i = 0; i < RTE_MAX_LCORE; i++) {
		if (reactors[i] == NULL)
			continue;
		plx_reactor_stats_get(reactors[i], &rs);
		printf("lcore %u: busy %.1f %% of the time\n", i,
			100.0 * (double)rs.busy_cycles /
				((double)rs.busy_cycles + (double)rs.idle_cycles +
					(double)rs.sleep_cycles + 1.0));
	}
	fflush(stdout);
}

int
serve(const struct opts *o)
{
	struct served *s = calloc(o->nb_exports, sizeof(*s));
	unsigned int i;
	int rc;

	if (s == NULL)
		return EXIT_FAILED;
	take_signals();
	rc = attach_devs(o);
	if (rc == EXIT_OK)
		rc = create_exports(o, s);
	if (rc == EXIT_OK && !stopping()) {
		if (place(o, s) == 0) {
			print_serving(o, s);
			run();
			print_counters(o, s);
		} else {
			fprintf(stderr, PROG ": no memory for reactors\n");
			rc = EXIT_FAILED;
		}
	}
	drop_reactors();
	for (i = o->nb_exports; i-- > 0;)
		plx_export_destroy(s[i].exp);
	plx_detach_all();
	free(s);
	return rc;
}
