/* SPDX-License-Identifier: BSD-3-Clause */
/* The drivers: built-in and registered; which name was meant. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_common.h>

#include "plx_ctrl.h"

#include "probe_priv.h"

#define WORD_MAX 32

struct entry {
	const struct plx_driver *drv;
	struct entry *next;
};
static struct entry *registered; /* under the control lock */

const struct plx_driver *
plx_driver_next(const struct plx_driver *prev)
{
	const struct plx_driver *const *d;
	const struct plx_driver *next = NULL;
	bool found = prev == NULL;
	struct entry *e;

	plx_ctrl_lock();
	for (d = plx_builtin_drivers; *d != NULL && next == NULL; d++) {
		if (found)
			next = *d;
		found |= *d == prev;
	}
	for (e = registered; e != NULL && next == NULL; e = e->next) {
		if (found)
			next = e->drv;
		found |= e->drv == prev;
	}
	plx_ctrl_unlock();
	return next;
}

const struct plx_driver *
probe_driver_find(const char *name, size_t len)
{
	const struct plx_driver *d;

	for (d = plx_driver_next(NULL); d != NULL; d = plx_driver_next(d))
		if (strlen(d->name) == len && strncmp(d->name, name, len) == 0)
			return d;
	return NULL;
}

static int
add(const struct plx_driver *drv)
{
	struct entry *e, **at;

	if (probe_driver_find(drv->name, strlen(drv->name)) != NULL)
		return -EEXIST;
	e = calloc(1, sizeof(*e));
	if (e == NULL)
		return -ENOMEM;
	e->drv = drv;
	for (at = &registered; *at != NULL; at = &(*at)->next)
		;
	*at = e;
	return 0;
}

int
plx_driver_register(const struct plx_driver *drv)
{
	int rc;

	plx_ctrl_lock();
	rc = add(drv);
	plx_ctrl_unlock();
	return rc;
}

/* Levenshtein's distance, one row at a time. */
static unsigned int
distance(const char *a, size_t la, const char *b, size_t lb)
{
	unsigned int row[WORD_MAX + 1], diag, up;
	size_t i, j;

	for (j = 0; j <= lb; j++)
		row[j] = (unsigned int)j;
	for (i = 1; i <= la; i++) {
		diag = row[0];
		row[0] = (unsigned int)i;
		for (j = 1; j <= lb; j++) {
			up = row[j];
			row[j] = RTE_MIN(RTE_MIN(up, row[j - 1]) + 1,
				diag + (a[i - 1] != b[j - 1] ? 1u : 0u));
			diag = up;
		}
	}
	return row[lb];
}

void
probe_near_try(struct probe_near *near, const char *candidate)
{
	size_t len = strlen(candidate);
	unsigned int d;

	if (near->len > WORD_MAX || len > WORD_MAX)
		return;
	d = distance(near->word, near->len, candidate, len);
	if (d > RTE_MAX(near->len, len) / 2 || (near->best != NULL && d >= near->distance))
		return;
	near->best = candidate;
	near->distance = d;
}
