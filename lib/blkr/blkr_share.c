/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A queue that several threads share. Each user's queue is two rings with one sender and one
 * receiver each, with room for all that it may have out: no ring is ever full. Between submit and
 * poll of the device's queue, the reserved field of a request tells whose it is.
 */
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include <rte_common.h>
#include <rte_ring.h>

#include "plx_blk_drv.h"

#include "blkr_priv.h"

#define BURST 64
#define MAX_DEPTH 32768
#define TURN 256 /* requests that the owner moves before others on its CPU have it */
#define CPUS 256

/* Of an owner or user, for take_turns(). */
struct turns {
	bool shared;    /* its CPU, with another thread of the share */
	uint32_t since; /* requests since it gave it away */
};

struct user {
	struct plx_drvq dq; /* first: the user's queue; the class asks it for its interrupt: none */
	struct plx_blkr_share *s;
	struct plx_reactor *reactor; /* of the user; NULL: nobody to wake */
	struct rte_ring *there, *back;
	struct turns turns;
	bool closed; /* by the user; the owner frees it */
};

struct plx_blkr_share {
	struct plx_reactor *owner;
	struct plx_blkq *q;
	struct plx_poller *poller;
	pthread_mutex_t lock; /* who opens takes a free place */
	struct user *users[PLX_BLKR_USERS];
	uint32_t nb_users; /* places that were ever taken */

	/* the owner's */
	bool armed;
	uint32_t next; /* whose turn it is */
	uint32_t nb_held, held_at;
	struct plx_blk_req *held[BURST]; /* taken from users, not yet from us by the device */
	struct turns turns;

	pthread_t last[CPUS]; /* who polled last on each CPU; anybody's */
};

/*
 * Threads that poll on one CPU each spin away time that another would need to bring or fetch
 * requests, and while the owner runs it would serve nobody but itself. So each gives the CPU away
 * when it got nothing, or enough for a turn. That another of them runs on this CPU shows in who
 * polled here last; on a CPU of one's own that is never another, and all this costs is a look.
 */
static void
take_turns(struct plx_blkr_share *s, struct turns *t, uint32_t n, uint32_t turn)
{
	pthread_t *last = &s->last[(unsigned int)sched_getcpu() % CPUS], self = pthread_self();

	if (__atomic_load_n(last, __ATOMIC_RELAXED) != self) {
		__atomic_store_n(last, self, __ATOMIC_RELAXED);
		t->shared = true;
	}
	t->since += n;
	if (likely(!t->shared) || (n != 0 && t->since < turn))
		return;
	*t = (struct turns){0};
	sched_yield();
}

/* ---- a user's queue ---- */

static uint16_t
user_submit(struct plx_blkq *q, struct plx_blk_req *const *reqs, uint16_t n)
{
	struct user *u = (struct user *)q;
	uint32_t room = q->depth - q->inflight;

	n = (uint16_t)rte_ring_sp_enqueue_burst(
		u->there, (void *const *)reqs, RTE_MIN(room, n), NULL);
	q->inflight += n;
	if (n != 0)
		plx_reactor_wake(u->s->owner);
	return n;
}

static uint16_t
user_poll(struct plx_blkq *q, struct plx_blk_req **reqs, uint16_t n)
{
	struct user *u = (struct user *)q;

	if (q->inflight == 0)
		return 0;
	n = (uint16_t)rte_ring_sc_dequeue_burst(u->back, (void **)reqs, n, NULL);
	q->inflight -= n;
	take_turns(u->s, &u->turns, n, q->depth);
	return n;
}

bool
blkr_is_user(const struct plx_blkq *q)
{
	return q->submit == user_submit;
}

/* ---- the owner ---- */

static struct user *
user_at(struct plx_blkr_share *s, uint32_t i)
{
	/* pairs with plx_blkr_share_open() */
	return __atomic_load_n(&s->users[i], __ATOMIC_ACQUIRE);
}

static void
user_free(struct user *u)
{
	if (u == NULL)
		return;
	free(u->there);
	free(u->back);
	free(u);
}

/* Give back what the device finished, each run of one user's requests at once. */
static uint32_t
give_back(struct plx_blkr_share *s)
{
	struct plx_blk_req *reqs[BURST];
	uint32_t n = plx_blkq_poll(s->q, reqs, BURST), i, first;

	for (first = 0; first < n; first = i) {
		uint16_t who = reqs[first]->rsvd;
		struct user *u = s->users[who];

		for (i = first; i < n && reqs[i]->rsvd == who; i++)
			reqs[i]->rsvd = 0;
		rte_ring_sp_enqueue_bulk(u->back, (void **)&reqs[first], i - first, NULL);
		if (u->reactor != NULL)
			plx_reactor_wake(u->reactor);
	}
	return n;
}

/* rte_ring_empty() for the one who takes: its load is atomic. */
static bool
has_some(const struct rte_ring *ring)
{
	return __atomic_load_n(&ring->prod.tail, __ATOMIC_ACQUIRE) != ring->cons.tail;
}

/* Who has something, as bits. Queues that were closed go. */
static uint64_t
look(struct plx_blkr_share *s)
{
	uint32_t nb = __atomic_load_n(&s->nb_users, __ATOMIC_RELAXED), i;
	uint64_t have = 0;

	for (i = 0; i < nb; i++) {
		struct user *u = user_at(s, i);

		if (u == NULL)
			continue;
		if (has_some(u->there)) {
			have |= UINT64_C(1) << i;
		} else if (__atomic_load_n(&u->closed, __ATOMIC_ACQUIRE)) {
			__atomic_store_n(&s->users[i], NULL, __ATOMIC_RELEASE);
			user_free(u);
		}
	}
	return have;
}

/* Fill held with up to room requests, as many of each user, from the one on whose turn it is. */
static void
take(struct plx_blkr_share *s, uint64_t have, uint32_t room)
{
	uint32_t each = RTE_MAX(room / (uint32_t)__builtin_popcountll(have), 1u), k, i, n;
	uint32_t turn = s->next;

	s->held_at = 0;
	for (k = 0; k < PLX_BLKR_USERS && room != 0; k++) {
		i = (turn + k) % PLX_BLKR_USERS;
		if ((have & UINT64_C(1) << i) == 0)
			continue;
		n = rte_ring_sc_dequeue_burst(s->users[i]->there, (void **)&s->held[s->nb_held],
			RTE_MIN(each, room), NULL);
		room -= n;
		for (; n != 0; n--)
			s->held[s->nb_held++]->rsvd = (uint16_t)i;
		s->next = i + 1;
	}
}

static uint32_t
hand_on(struct plx_blkr_share *s)
{
	uint32_t room = (uint32_t)s->q->depth - s->q->inflight, n;

	if (s->nb_held == 0) {
		uint64_t have = look(s);

		if (have == 0 || room == 0)
			return 0;
		take(s, have, RTE_MIN(room, (uint32_t)BURST));
	}
	n = plx_blkq_submit(s->q, s->held + s->held_at, (uint16_t)s->nb_held);
	s->held_at += n;
	s->nb_held -= n;
	return n;
}

static int
poll_share(void *arg)
{
	struct plx_blkr_share *s = arg;
	uint32_t n = give_back(s);

	n += hand_on(s);
	take_turns(s, &s->turns, n, TURN);
	return (int)n;
}

static int
arm(void *arg)
{
	struct plx_blkr_share *s = arg;

	return s->nb_held != 0 ? -EBUSY : blkr_queue_arm(s->q, &s->armed);
}

static void
disarm(void *arg)
{
	struct plx_blkr_share *s = arg;

	blkr_queue_disarm(s->q, &s->armed);
}

/* ---- create, open, close, destroy ---- */

int
plx_blkr_share_create(struct plx_reactor *owner, struct plx_blkq *q, struct plx_blkr_share **out)
{
	struct plx_poller_idle idle = {.fd = plx_blkq_intr_fd(q), .arm = arm, .disarm = disarm};
	struct plx_blkr_share *s;
	int rc = 0;

	if (blkr_is_user(q))
		return -EINVAL;
	s = calloc(1, sizeof(*s));
	if (s == NULL)
		return -ENOMEM;
	s->owner = owner;
	s->q = q;
	pthread_mutex_init(&s->lock, NULL);
	s->poller = plx_poller_add(owner, q->blk->info.name, poll_share, s, 0);
	if (s->poller == NULL)
		rc = -ENOMEM;
	else if (plx_reactor_idle(owner) != PLX_IDLE_BUSY)
		rc = plx_poller_idle_set(s->poller, &idle);
	if (rc != 0) {
		plx_poller_del(s->poller);
		free(s);
		return rc;
	}
	*out = s;
	return 0;
}

int
plx_blkr_share_destroy(struct plx_blkr_share *s)
{
	uint32_t i;

	if (s == NULL)
		return 0;
	look(s);
	for (i = 0; i < PLX_BLKR_USERS; i++)
		if (user_at(s, i) != NULL)
			return -EBUSY;
	plx_poller_del(s->poller);
	pthread_mutex_destroy(&s->lock);
	free(s);
	return 0;
}

static struct rte_ring *
make_ring(uint32_t depth)
{
	ssize_t size = rte_ring_get_memsize(rte_align32pow2(depth + 1));
	struct rte_ring *ring = aligned_alloc(
		RTE_CACHE_LINE_SIZE, RTE_ALIGN_CEIL((size_t)size, RTE_CACHE_LINE_SIZE));

	if (ring != NULL)
		rte_ring_init(
			ring, "plx_blkr", depth, RING_F_SP_ENQ | RING_F_SC_DEQ | RING_F_EXACT_SZ);
	return ring;
}

static struct user *
user_new(struct plx_blkr_share *s, struct plx_reactor *reactor, uint16_t depth)
{
	struct user *u =
		aligned_alloc(RTE_CACHE_LINE_SIZE, RTE_ALIGN_CEIL(sizeof(*u), RTE_CACHE_LINE_SIZE));

	if (u == NULL)
		return NULL;
	memset(u, 0, sizeof(*u));
	u->dq.q = (struct plx_blkq){.submit = user_submit,
		.poll = user_poll,
		.qid = s->q->qid,
		.depth = depth,
		.blk = s->q->blk,
		.lib = &u->dq};
	u->dq.submit = user_submit; /* for plx_blkq_cancel(): it is not stopped */
	u->dq.intr_fd = -1;
	u->s = s;
	u->reactor = reactor;
	u->there = make_ring(depth);
	u->back = make_ring(depth);
	if (u->there != NULL && u->back != NULL)
		return u;
	user_free(u);
	return NULL;
}

int
plx_blkr_share_open(
	struct plx_blkr_share *s, struct plx_reactor *reactor, uint16_t depth, struct plx_blkq **q)
{
	struct user *u;
	uint32_t i;
	int rc = -ENOSPC;

	if (depth > MAX_DEPTH)
		return -EINVAL;
	u = user_new(s, reactor, depth != 0 ? depth : s->q->depth);
	if (u == NULL)
		return -ENOMEM;
	pthread_mutex_lock(&s->lock);
	for (i = 0; i < PLX_BLKR_USERS && rc != 0; i++)
		if (user_at(s, i) == NULL) {
			__atomic_store_n(&s->users[i], u, __ATOMIC_RELEASE);
			if (i >= s->nb_users)
				__atomic_store_n(&s->nb_users, i + 1, __ATOMIC_RELAXED);
			rc = 0;
		}
	pthread_mutex_unlock(&s->lock);
	if (rc == 0)
		*q = &u->dq.q;
	else
		user_free(u);
	return rc;
}

int
plx_blkr_share_close(struct plx_blkq *q)
{
	struct user *u = (struct user *)q;
	struct plx_reactor *owner = u->s->owner;

	if (q->inflight != 0)
		return -EBUSY;
	/* from here it is the owner's, and may be gone */
	__atomic_store_n(&u->closed, true, __ATOMIC_RELEASE);
	plx_reactor_wake(owner);
	return 0;
}
