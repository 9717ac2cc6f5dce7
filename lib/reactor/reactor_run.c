/* SPDX-License-Identifier: BSD-3-Clause */
/* The ways to run a reactor. */
#include <errno.h>
#include <time.h>

#include <rte_cpuflags.h>
#include <rte_cycles.h>
#include <rte_launch.h>
#include <rte_lcore.h>
#include <rte_memory.h>
#include <rte_pause.h>
#include <rte_service.h>
#include <rte_service_component.h>

#include "plx_ctrl.h"

#include "reactor_priv.h"

#define SERVICE_MS 1000
#define RETRY_US 20 /* after something kept it from sleeping; arming costs system calls */
#define REST_US 5   /* idle for so long, it need not look all the time */

int
plx_reactor_step(struct plx_reactor *r)
{
	struct plx_reactor *outer = reactor_enter(r);
	int work;

	reactor_turn(r, rte_rdtsc(), &work);
	reactor_leave(outer);
	return work;
}

/* ---- the loop ---- */

static bool
stopping(const struct plx_reactor *r)
{
	return __atomic_load_n(&r->stop, __ATOMIC_ACQUIRE);
}

#ifdef RTE_ARCH_X86_64
/* Rest for a fraction of a microsecond, where the CPU can (TPAUSE in C0.1, the light state), before
 * it is worth a sleep. */
static void
tpause(uint64_t until)
{
	__asm__ volatile(".byte 0x66, 0x0f, 0xae, 0xf7" /* tpause %edi */
			 :
			 : "D"(1), "a"((uint32_t)until), "d"((uint32_t)(until >> 32))
			 : "cc");
}

static bool
can_rest(void)
{
	return rte_cpu_get_flag_enabled(RTE_CPUFLAG_WAITPKG) > 0;
}
#else
static void
tpause(uint64_t until)
{
	rte_pause();
}

static bool
can_rest(void)
{
	return false;
}
#endif

/* With the spin behind it, sleep; so that what sleep found, or kept from it, is looked at first.
 * @return when to try again */
static uint64_t
try_sleep(struct plx_reactor *r)
{
	if (reactor_sleep(r))
		return rte_rdtsc();
	return rte_rdtsc() + RTE_MAX(r->spin, reactor_cycles(RETRY_US));
}

static void
loop(struct plx_reactor *r)
{
	struct plx_reactor *outer = reactor_enter(r);
	uint64_t now = rte_rdtsc(), sleep_at = now + r->spin, rest_at = now;
	uint64_t rest = reactor_cycles(1) / 4, rest_after = reactor_cycles(REST_US);
	bool rests = r->sleeps && can_rest();
	int work;

	/* A stop that came before the first turn counts too. */
	for (;;) {
		now = reactor_turn(r, now, &work);
		if (stopping(r))
			break;
		if (work != 0 || !r->sleeps) {
			sleep_at = now + r->spin;
			rest_at = now + rest_after;
		} else if ((int64_t)(now - sleep_at) >= 0) {
			sleep_at = try_sleep(r);
			now = rte_rdtsc();
		} else if (rests && (int64_t)(now - rest_at) >= 0) {
			tpause(now + rest);
		}
	}
	__atomic_store_n(&r->stop, false, __ATOMIC_RELAXED);
	reactor_leave(outer);
}

/* ---- who runs it ---- */

static bool
claim(struct plx_reactor *r)
{
	uint32_t no = 0;

	return __atomic_compare_exchange_n(
		&r->running, &no, 1, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

static void
unclaim(struct plx_reactor *r)
{
	/* pairs with plx_reactor_wait(): from here r may be gone */
	__atomic_store_n(&r->running, 0, __ATOMIC_RELEASE);
}

int
plx_reactor_run(struct plx_reactor *r)
{
	if (!claim(r))
		return -EBUSY;
	loop(r);
	unclaim(r);
	return 0;
}

static int
lcore_main(void *arg)
{
	loop(arg);
	unclaim(arg);
	return 0;
}

int
plx_reactor_launch(struct plx_reactor *r, unsigned int lcore)
{
	int rc;

	if (lcore >= RTE_MAX_LCORE || !rte_lcore_is_enabled(lcore) || lcore == rte_get_main_lcore())
		return -EINVAL;
	if (!claim(r))
		return -EBUSY;
	__atomic_store_n(&r->lcore, lcore, __ATOMIC_RELAXED);
	rc = rte_eal_remote_launch(lcore_main, r, lcore);
	if (rc != 0) {
		__atomic_store_n(&r->lcore, LCORE_ID_ANY, __ATOMIC_RELAXED);
		unclaim(r);
	}
	return rc;
}

void
plx_reactor_stop(struct plx_reactor *r)
{
	__atomic_store_n(&r->stop, true, __ATOMIC_RELEASE);
	plx_reactor_wake(r);
}

void
plx_reactor_wait(struct plx_reactor *r)
{
	unsigned int lcore;

	while (__atomic_load_n(&r->running, __ATOMIC_ACQUIRE) != 0)
		nanosleep(&(struct timespec){.tv_nsec = 20000}, NULL);
	lcore = __atomic_exchange_n(&r->lcore, LCORE_ID_ANY, __ATOMIC_RELAXED);
	if (lcore != LCORE_ID_ANY)
		rte_eal_wait_lcore(lcore);
}

/* ---- as a service ---- */

/* -EAGAIN: rte_service counts the call as an idle one */
static int32_t
service_turn(void *arg)
{
	return plx_reactor_step(arg) != 0 ? 0 : -EAGAIN;
}

int
plx_reactor_service_add(struct plx_reactor *r, uint32_t *id)
{
	struct rte_service_spec spec = {
		.callback = service_turn, .callback_userdata = r, .socket_id = SOCKET_ID_ANY};
	int rc;

	if (!claim(r))
		return -EBUSY;
	snprintf(spec.name, sizeof(spec.name), "%s", r->name);
	rc = rte_service_component_register(&spec, id);
	if (rc != 0) {
		unclaim(r);
		return rc;
	}
	r->service = *id;
	rte_service_component_runstate_set(*id, 1);
	return 0;
}

int
plx_reactor_service_del(struct plx_reactor *r)
{
	struct plx_deadline until;
	unsigned int id = r->service;

	if (id == UINT32_MAX)
		return -ENOENT;
	rte_service_component_runstate_set(id, 0);
	rte_service_runstate_set(id, 0);
	until = plx_deadline_in(SERVICE_MS);
	while (rte_service_may_be_active(id) == 1) {
		if (plx_deadline_past(until))
			return -EBUSY;
		nanosleep(&(struct timespec){.tv_nsec = 20000}, NULL);
	}
	rte_service_component_unregister(id);
	r->service = UINT32_MAX;
	unclaim(r);
	return 0;
}
