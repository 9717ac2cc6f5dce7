/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Memory of plx_mem_alloc() in a secondary process: the primary takes it from EAL, and gives it
 * back when that process dies, as soon as no device reaches it. EAL itself would never learn of
 * the death, and the heap's lock could die with the process.
 */
#include <stdlib.h>

#include <rte_malloc.h>
#include <rte_memory.h>

#include "mp_priv.h"

int
mp_loan_add(struct mp_loan **list, void *ptr)
{
	struct mp_loan *l = malloc(sizeof(*l));

	if (l == NULL)
		return -1;
	l->ptr = ptr;
	l->returned = false;
	l->next = *list;
	*list = l;
	return 0;
}

bool
mp_loan_del(struct mp_loan **list, void *ptr)
{
	for (; *list != NULL; list = &(*list)->next) {
		struct mp_loan *l = *list;

		if (l->ptr != ptr)
			continue;
		*list = l->next;
		free(l);
		return true;
	}
	return false;
}

void *
mp_lend(struct mp_peer *peer, const struct mp_alloc *a)
{
	unsigned int align = (unsigned int)a->align;
	void *ptr;

	if (a->align > UINT32_MAX || (a->align & (a->align - 1)) != 0)
		return NULL;
	ptr = rte_zmalloc_socket(NULL, (size_t)a->size, align, a->socket);
	if (ptr == NULL && a->socket != SOCKET_ID_ANY)
		ptr = rte_zmalloc_socket(NULL, (size_t)a->size, align, SOCKET_ID_ANY);
	if (ptr != NULL && mp_loan_add(&peer->loans, ptr) != 0) {
		rte_free(ptr);
		ptr = NULL;
	}
	return ptr;
}

/* A channel that ended is released when its device can't reach the process' memory any more. */
static bool
reachable(const struct mp_peer *peer)
{
	const struct plx_mp_chan *ch;

	for (ch = peer->chans; ch != NULL && !ch->over; ch = ch->next)
		;
	return ch != NULL;
}

void
mp_unlend_idle(struct mp_peer *peer, bool all)
{
	struct mp_loan **at, *l;

	if (reachable(peer))
		return;
	for (at = &peer->loans; (l = *at) != NULL;) {
		if (!all && !l->returned) {
			at = &l->next;
			continue;
		}
		*at = l->next;
		rte_free(l->ptr);
		free(l);
	}
}

void
mp_unlend(struct mp_peer *peer, void *ptr)
{
	struct mp_loan *l;

	for (l = peer->loans; l != NULL; l = l->next)
		if (l->ptr == ptr)
			l->returned = true;
	mp_unlend_idle(peer, false);
}
