/* SPDX-License-Identifier: BSD-3-Clause */
/* Reactors as objects: create, destroy, the list of all, statistics. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <rte_cycles.h>
#include <rte_lcore.h>

#include "reactor_priv.h"

#define MESSAGES 1024
#define MAX_MESSAGES (1u << 20)
#define SPIN_US 50
#define DOZE_US 1000
#define MAX_US (UINT64_C(1) << 50) /* a time this long fits the TSC, too */

static pthread_mutex_t all_lock = PTHREAD_MUTEX_INITIALIZER;
static struct plx_reactor *all;

uint64_t
reactor_cycles(uint64_t us)
{
	return (uint64_t)((double)RTE_MIN(us, MAX_US) * 1e-6 * (double)rte_get_tsc_hz());
}

/* ---- create and destroy ---- */

static void *
alloc_lines(size_t size)
{
	void *p = aligned_alloc(RTE_CACHE_LINE_SIZE, RTE_ALIGN_CEIL(size, RTE_CACHE_LINE_SIZE));

	return p != NULL ? memset(p, 0, size) : NULL;
}

static int
take_conf(struct plx_reactor *r, const struct plx_reactor_conf *conf)
{
	if (conf != NULL)
		r->conf = *conf;
	if (r->conf.messages > MAX_MESSAGES || (unsigned int)r->conf.idle > PLX_IDLE_INTERRUPT)
		return -EINVAL;
	if (r->conf.messages == 0)
		r->conf.messages = MESSAGES;
	if (r->conf.doze_us == 0)
		r->conf.doze_us = DOZE_US;
	if (r->conf.spin_us == 0)
		r->conf.spin_us = SPIN_US;
	r->spin = r->conf.idle == PLX_IDLE_ADAPTIVE ? reactor_cycles(r->conf.spin_us) : 0;
	r->sleeps = r->conf.idle != PLX_IDLE_BUSY;
	return 0;
}

static int
init(struct plx_reactor *r, const char *name, const struct plx_reactor_conf *conf)
{
	int rc = take_conf(r, conf);

	if (rc != 0)
		return rc;
	strncpy(r->name, name, sizeof(r->name) - 1);
	r->tail = &r->head;
	r->lcore = LCORE_ID_ANY;
	r->service = UINT32_MAX;
	rte_spinlock_init(&r->lock);
	rc = reactor_ring_init(&r->ring, r->conf.messages, r->conf.one_sender);
	if (rc != 0)
		return rc;
	rc = reactor_sleep_init(r);
	if (rc != 0)
		free(r->ring.lines);
	return rc;
}

int
plx_reactor_create_conf(
	const char *name, const struct plx_reactor_conf *conf, struct plx_reactor **out)
{
	struct plx_reactor *r = alloc_lines(sizeof(*r));
	int rc;

	if (r == NULL)
		return -ENOMEM;
	rc = init(r, name, conf);
	if (rc != 0) {
		free(r);
		return rc;
	}
	pthread_mutex_lock(&all_lock);
	reactor_telemetry_register();
	r->all = all;
	all = r;
	pthread_mutex_unlock(&all_lock);
	*out = r;
	return 0;
}

struct plx_reactor *
plx_reactor_create(const char *name)
{
	struct plx_reactor *r;

	return plx_reactor_create_conf(name, NULL, &r) == 0 ? r : NULL;
}

static void
unlist(const struct plx_reactor *r)
{
	struct plx_reactor **at;

	pthread_mutex_lock(&all_lock);
	for (at = &all; *at != r; at = &(*at)->all)
		;
	*at = r->all;
	pthread_mutex_unlock(&all_lock);
}

void
plx_reactor_destroy(struct plx_reactor *r)
{
	struct plx_reactor *outer;
	int rc;

	if (r == NULL)
		return;
	while ((rc = plx_reactor_service_del(r)) == -EBUSY)
		;
	if (rc == -ENOENT) {
		plx_reactor_stop(r);
		plx_reactor_wait(r);
	}
	unlist(r);
	outer = reactor_enter(r);
	while (reactor_messages(r) != 0)
		;
	reactor_leave(outer);
	while (r->head != NULL)
		plx_poller_del(r->head);
	while (r->timers != NULL)
		plx_timer_cancel(r->timers);
	reactor_sleep_fini(r);
	free(r->ring.lines);
	free(r);
}

/* ---- what can be seen of them ---- */

const char *
plx_reactor_name(const struct plx_reactor *r)
{
	return r->name;
}

enum plx_reactor_idle
plx_reactor_idle(const struct plx_reactor *r)
{
	return r->conf.idle;
}

int
plx_reactor_walk(int (*fn)(struct plx_reactor *r, void *arg), void *arg)
{
	struct plx_reactor *r;
	int rc = 0;

	pthread_mutex_lock(&all_lock);
	for (r = all; r != NULL && rc == 0; r = r->all)
		rc = fn(r, arg);
	pthread_mutex_unlock(&all_lock);
	return rc;
}

/* Counters that their thread goes on counting. */
static void
peek(uint64_t *to, const uint64_t *from, size_t n)
{
	for (size_t i = 0; i < n; i++)
		to[i] = __atomic_load_n(&from[i], __ATOMIC_RELAXED);
}

void
plx_reactor_stats_get(const struct plx_reactor *r, struct plx_reactor_stats *st)
{
	peek((uint64_t *)st, (const uint64_t *)&r->stats, sizeof(*st) / sizeof(uint64_t));
}

void
plx_poller_walk(
	struct plx_reactor *r, void (*fn)(const struct plx_poller_stats *st, void *arg), void *arg)
{
	struct plx_poller_stats st;
	struct plx_poller *p;

	rte_spinlock_lock(&r->lock);
	for (p = r->head; p != NULL; p = p->next) {
		memcpy(st.name, p->st.name, sizeof(st.name));
		st.period_us = p->st.period_us;
		peek(&st.calls, &p->st.calls, 4);
		fn(&st, arg);
	}
	rte_spinlock_unlock(&r->lock);
}
