/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sleeping, and being woken.
 *
 * The reactor:				Whoever has something for it:
 *	R1 state = ARMED; arm pollers		W1 publish: a message, stop, what a poller polls
 *	R2 full fence				W2 full fence
 *	R3 one more turn looks at everything	W3 if state == ARMED, and it is this one that
 *	R4 nothing: sleep on epoll		   changes it to AWAKE: write the eventfd
 *	R5 state = AWAKE; read the eventfd
 *
 * Of R1 before R3 and W1 before W3, with a fence between each, at least one sees the other: either
 * the turn finds what was published, or the waker finds it armed. Only one waker writes. Its write
 * may come after R5: then the next sleep ends at once, for nothing. What the fences are good for is
 * tried exhaustively by app/test/reactor/test_handshake.c.
 */
#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <rte_cycles.h>

#include "plx_trace.h"

#include "reactor_priv.h"

#define FOR_EVER UINT64_MAX
#define MIN_US 5 /* shorter sleeps cost more than they save */

/* ---- descriptors ---- */

int
reactor_sleep_init(struct plx_reactor *r)
{
	struct epoll_event ev = {.events = EPOLLIN};
	int rc = 0;

	r->efd = r->epfd = -1;
	if (!r->sleeps)
		return 0;
	r->efd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	r->epfd = r->efd >= 0 ? epoll_create1(EPOLL_CLOEXEC) : -1;
	if (r->epfd < 0 || epoll_ctl(r->epfd, EPOLL_CTL_ADD, r->efd, &ev) != 0) {
		rc = -errno;
		reactor_sleep_fini(r);
	}
	return rc;
}

void
reactor_sleep_fini(struct plx_reactor *r)
{
	if (r->epfd >= 0)
		close(r->epfd);
	if (r->efd >= 0)
		close(r->efd);
}

static void
poller_disarm(struct plx_poller *p)
{
	if (p->armed && p->idle.disarm != NULL)
		p->idle.disarm(p->arg);
	p->armed = false;
}

/* A poller that is about to go, or to sleep otherwise. */
void
reactor_poller_awake(struct plx_poller *p)
{
	poller_disarm(p);
	if (p->idle.fd >= 0)
		epoll_ctl(p->reactor->epfd, EPOLL_CTL_DEL, p->idle.fd, NULL);
	p->idle.fd = -1;
}

int
plx_poller_idle_set(struct plx_poller *p, const struct plx_poller_idle *idle)
{
	struct plx_reactor *r = p->reactor;
	struct epoll_event ev = {.events = EPOLLIN};

	reactor_poller_awake(p);
	p->has_idle = false;
	r->changed = true;
	if (idle->fd >= 0) {
		if (!r->sleeps)
			return -ENOTSUP;
		if (epoll_ctl(r->epfd, EPOLL_CTL_ADD, idle->fd, &ev) != 0)
			return -errno;
	}
	p->idle = *idle;
	p->has_idle = true;
	return 0;
}

int
plx_reactor_fd(const struct plx_reactor *r)
{
	return r->sleeps ? r->epfd : -ENOTSUP;
}

/* ---- the handshake ---- */

void
plx_reactor_wake(struct plx_reactor *r)
{
	uint32_t armed = REACTOR_ARMED;
	const uint64_t one = 1;

	if (!r->sleeps)
		return;
	__atomic_thread_fence(__ATOMIC_SEQ_CST); /* W2 */
	if (likely(__atomic_load_n(&r->state, __ATOMIC_RELAXED) != REACTOR_ARMED))
		return;
	/* W3; a full eventfd can't be: it is read before the next may be written */
	if (__atomic_compare_exchange_n(
		    &r->state, &armed, REACTOR_AWAKE, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED) &&
		write(r->efd, &one, sizeof(one)) < 0)
		return;
}

static uint64_t
until(uint64_t due, uint64_t now)
{
	int64_t left = (int64_t)(due - now);

	return left <= 0 ? 0 : (uint64_t)((double)left * 1e6 / (double)rte_get_tsc_hz()) + 1;
}

/* @return 0, *us: what they allow; or -EBUSY */
static int
arm_pollers(struct plx_reactor *r, uint64_t *us)
{
	struct plx_poller *p;
	int rc;

	*us = FOR_EVER;
	for (p = r->head; p != NULL; p = p->next) {
		if (!p->has_idle) {
			if (p->period == 0)
				*us = RTE_MIN(*us, r->conf.doze_us);
			continue;
		}
		p->armed = true;
		rc = p->idle.arm != NULL ? p->idle.arm(p->arg) : 0;
		if (rc < 0)
			return rc;
		if (rc > 0)
			*us = RTE_MIN(*us, (uint64_t)rc);
	}
	return 0;
}

/* When something is due that nobody wakes it for. */
static uint64_t
until_due(const struct plx_reactor *r)
{
	const struct plx_poller *p;
	uint64_t now = rte_rdtsc(), us = FOR_EVER;

	if (r->timers != NULL)
		us = until(r->timers->due, now);
	for (p = r->head; p != NULL; p = p->next)
		if (p->period != 0 && !p->has_idle)
			us = RTE_MIN(us, until(p->due, now));
	return us;
}

int
plx_reactor_arm(struct plx_reactor *r, uint64_t *us)
{
	uint64_t due;
	int rc;

	if (!r->sleeps)
		return -ENOTSUP;
	r->changed = false;
	__atomic_store_n(&r->state, REACTOR_ARMED, __ATOMIC_RELAXED); /* R1 */
	rc = arm_pollers(r, us);
	if (rc == 0) {
		__atomic_thread_fence(__ATOMIC_SEQ_CST); /* R2 */
		rc = plx_reactor_step(r);                /* R3 */
	}
	if (rc == 0 && !r->changed && !__atomic_load_n(&r->stop, __ATOMIC_ACQUIRE)) {
		due = until_due(r);
		*us = RTE_MIN(*us, due);
		if (*us >= MIN_US)
			return 0;
	}
	plx_reactor_disarm(r);
	return -EBUSY;
}

void
plx_reactor_disarm(struct plx_reactor *r)
{
	struct plx_poller *p;
	uint64_t n;

	__atomic_store_n(&r->state, REACTOR_AWAKE, __ATOMIC_RELAXED); /* R5 */
	/* also a write that came late after an earlier sleep */
	if (read(r->efd, &n, sizeof(n)) > 0)
		reactor_count(&r->stats.wakes, 1);
	for (p = r->head; p != NULL; p = p->next)
		poller_disarm(p);
}

/* Without epoll_pwait2(2) (Linux before 5.11, valgrind), by whole milliseconds. */
static void
wait_for(int epfd, uint64_t us)
{
	struct timespec ts = {(time_t)(us / 1000000), (long)(us % 1000000) * 1000};
	struct epoll_event ev;

	if (epoll_pwait2(epfd, &ev, 1, us == FOR_EVER ? NULL : &ts, NULL) < 0 && errno == ENOSYS)
		epoll_wait(epfd, &ev, 1,
			us == FOR_EVER ? -1 : (int)RTE_MIN((us + 999) / 1000, 1000000u));
}

/* @return false: something kept it from sleeping */
bool
reactor_sleep(struct plx_reactor *r)
{
	uint64_t us, begin;

	if (plx_reactor_arm(r, &us) != 0)
		return false;
	PLX_TRACE(sleep, r->name, us);
	begin = rte_rdtsc();
	wait_for(r->epfd, us);
	PLX_TRACE(awake, r->name);
	reactor_count(&r->stats.sleep_cycles, rte_rdtsc() - begin);
	reactor_count(&r->stats.sleeps, 1);
	plx_reactor_disarm(r);
	return true;
}
