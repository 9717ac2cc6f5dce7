/* SPDX-License-Identifier: BSD-3-Clause */
#include <pthread.h>
#include <time.h>

#include <rte_cycles.h>

#include "plx_ctrl.h"

static pthread_mutex_t ctrl_mutex = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;

/* Under the lock. The rounds under way, the innermost first: work may make a blocking control
 * call, which polls; work that runs already isn't entered again. */
struct ctrl_round {
	struct plx_ctrl_work *next;
	struct plx_ctrl_work *running;
	struct ctrl_round *outer;
};
static struct plx_ctrl_work *ctrl_head;
static struct ctrl_round *ctrl_rounds;

void
plx_ctrl_lock(void)
{
	pthread_mutex_lock(&ctrl_mutex);
}

void
plx_ctrl_unlock(void)
{
	pthread_mutex_unlock(&ctrl_mutex);
}

void
plx_ctrl_add(struct plx_ctrl_work *work)
{
	if (work->prev != NULL)
		return;
	work->next = ctrl_head;
	work->prev = &ctrl_head;
	if (ctrl_head != NULL)
		ctrl_head->prev = &work->next;
	ctrl_head = work;
}

void
plx_ctrl_del(struct plx_ctrl_work *work)
{
	if (work->prev == NULL)
		return;
	for (struct ctrl_round *r = ctrl_rounds; r != NULL; r = r->outer)
		if (r->next == work)
			r->next = work->next;
	*work->prev = work->next;
	if (work->next != NULL)
		work->next->prev = work->prev;
	work->next = NULL;
	work->prev = NULL;
}

static int
ctrl_run(struct ctrl_round *round, struct plx_ctrl_work *work)
{
	for (struct ctrl_round *r = round->outer; r != NULL; r = r->outer)
		if (r->running == work)
			return 0;
	round->running = work;
	return work->poll(work);
}

int
plx_ctrl_poll(void)
{
	struct ctrl_round round;
	int n = 0;

	if (pthread_mutex_trylock(&ctrl_mutex) != 0)
		return 0;
	round.outer = ctrl_rounds;
	round.next = ctrl_head;
	ctrl_rounds = &round;
	while (round.next != NULL) {
		struct plx_ctrl_work *w = round.next;

		round.next = w->next;
		n += ctrl_run(&round, w);
	}
	ctrl_rounds = round.outer;
	pthread_mutex_unlock(&ctrl_mutex);
	return n;
}

uint32_t
plx_ctrl_quiet_ms(void)
{
	const struct plx_ctrl_work *w;
	uint32_t ms = PLX_CTRL_QUIET_MS;

	/* who has the lock drives it, or is about to change it */
	if (pthread_mutex_trylock(&ctrl_mutex) != 0)
		return 1;
	for (w = ctrl_head; w != NULL; w = w->next)
		if (w->quiet_ms != 0 && w->quiet_ms < ms)
			ms = w->quiet_ms;
	pthread_mutex_unlock(&ctrl_mutex);
	return ms;
}

struct plx_deadline
plx_deadline_in(uint32_t ms)
{
	return (struct plx_deadline){rte_rdtsc() + rte_get_tsc_hz() / 1000 * ms};
}

int
plx_deadline_past(struct plx_deadline d)
{
	return (int64_t)(rte_rdtsc() - d.tsc) >= 0;
}

void
plx_ctrl_drive(unsigned int *idle)
{
	if (plx_ctrl_poll() != 0)
		*idle = 0;
	else if (++*idle > 100)
		nanosleep(&(struct timespec){.tv_nsec = 20000}, NULL);
}
