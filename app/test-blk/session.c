/* SPDX-License-Identifier: BSD-3-Clause */
/* Lcores and attached devices: what outlasts a run. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <rte_cycles.h>
#include <rte_lcore.h>

#include "plx_eal.h"
#include "testblk.h"

static int
no_memory(void)
{
	tb_say("out of memory");
	return TB_FAIL;
}

/* Another one instead of what there is, which stays when that fails. */
static int
make_reactor(struct tb_worker *w, enum plx_reactor_idle idle)
{
	const struct plx_reactor_conf conf = {.idle = idle};
	struct plx_reactor *reactor;
	char name[16];
	int rc;

	snprintf(name, sizeof(name), "lcore%u", w->lcore);
	rc = plx_reactor_create_conf(name, &conf, &reactor);
	if (rc != 0) {
		tb_say("lcore %u: no reactor: %s", w->lcore, strerror(-rc));
		return TB_FAIL;
	}
	plx_reactor_destroy(w->reactor);
	w->reactor = reactor;
	return TB_OK;
}

int
tb_session_idle(struct tb_session *s, enum plx_reactor_idle idle)
{
	int rc = TB_OK;

	for (uint32_t i = 0; rc == TB_OK && i < s->nworker; i++) {
		struct tb_worker *w = &s->workers[i];

		if (w->reactor == NULL || plx_reactor_idle(w->reactor) != idle)
			rc = make_reactor(w, idle);
	}
	return rc;
}

int
tb_session_init(struct tb_session *s)
{
	unsigned int lcores[RTE_MAX_LCORE], n = plx_eal_lcores(lcores, RTE_MAX_LCORE);

	const struct plx_reactor_conf resting = {.idle = PLX_IDLE_INTERRUPT};
	int rc;

	*s = (struct tb_session){.hz = (double)rte_get_tsc_hz()};
	rc = plx_reactor_create_conf("resting", &resting, &s->resting);
	if (rc != 0) {
		tb_say("no reactor: %s", strerror(-rc));
		return TB_FAIL;
	}
	s->workers = calloc(n, sizeof(*s->workers));
	if (s->workers == NULL)
		return no_memory();
	for (; s->nworker < n; s->nworker++) {
		struct tb_worker *w = &s->workers[s->nworker];

		w->lcore = lcores[s->nworker];
		w->main = w->lcore == rte_get_main_lcore();
	}
	return tb_session_idle(s, PLX_IDLE_BUSY);
}

/* ---- devices ---- */

static int
add_dev(struct tb_session *s, const char *str, struct plx_dev *attachment, struct plx_blk *blk)
{
	struct tb_dev *d = calloc(1, sizeof(*d)), **at;

	if (d == NULL)
		return no_memory();
	d->str = strdup(str);
	if (d->str == NULL) {
		free(d);
		return no_memory();
	}
	d->attachment = attachment;
	d->index = s->attached++;
	plx_blk_info_get(blk, &d->info);
	for (at = &s->devs; *at != NULL; at = &(*at)->next)
		;
	*at = d;
	return TB_OK;
}

/* Those of an attachment, or, NULL, that are attached no more. */
static void
drop_devs(struct tb_session *s, const struct plx_dev *attachment)
{
	struct tb_dev **at = &s->devs, *d;

	while ((d = *at) != NULL) {
		if (attachment != NULL ? d->attachment != attachment : !d->detached) {
			at = &d->next;
			continue;
		}
		*at = d->next;
		free(d->str);
		free(d);
	}
}

/* The device of an attachment, or the namespaces of a controller: "nvme0/n1". */
static bool
belongs_to(const struct plx_blk *blk, const char *name)
{
	struct plx_blk_info info;
	size_t len = strlen(name);

	plx_blk_info_get(blk, &info);
	return strncmp(info.name, name, len) == 0 &&
	       (info.name[len] == '\0' || info.name[len] == '/');
}

int
tb_session_attach(struct tb_session *s, const char *str)
{
	uint32_t before = s->attached;
	struct plx_dev *dev;
	int rc = plx_attach(str, &dev);

	if (rc != 0) {
		/* the library has told the cause */
		return rc == -EINVAL || rc == -ENOENT || rc == -EEXIST ? TB_USAGE : TB_FAIL;
	}
	rc = TB_OK;
	for (struct plx_blk *b = plx_blk_next(NULL); rc == TB_OK && b != NULL; b = plx_blk_next(b))
		if (belongs_to(b, plx_dev_name(dev)))
			rc = add_dev(s, str, dev, b);
	if (rc == TB_OK && s->attached == before) {
		tb_say("%s: there is no block device, or no active namespace, behind it", str);
		rc = TB_FAIL;
	}
	if (rc != TB_OK) {
		drop_devs(s, dev);
		plx_detach(dev);
	}
	return rc;
}

struct tb_dev *
tb_session_dev(const struct tb_session *s, const char *name)
{
	struct tb_dev *d;

	for (d = s->devs; d != NULL; d = d->next)
		if (!d->detached && strcmp(d->info.name, name) == 0)
			break;
	return d;
}

int
tb_session_detach(struct tb_session *s, const char *name)
{
	struct tb_dev *d = tb_session_dev(s, name);
	struct plx_dev *dev = d != NULL ? d->attachment : plx_dev_find(name);
	int rc;

	if (dev == NULL) {
		tb_say("'%s' is not attached", name);
		return TB_USAGE;
	}
	for (d = s->devs; s->run != NULL && d != NULL; d = d->next)
		if (d->attachment == dev && tb_run_drop_dev(s->run, d) != TB_OK)
			return TB_FAIL;
	rc = plx_detach(dev);
	if (rc == -EBUSY) /* logged; it stays */
		return TB_FAIL;
	for (d = s->devs; d != NULL; d = d->next)
		d->detached |= d->attachment == dev;
	if (s->run == NULL)
		tb_session_purge(s);
	if (rc == 0 || rc == -ENODEV)
		return TB_OK;
	tb_say("%s: detaching: %s", name, strerror(-rc));
	return TB_FAIL;
}

void
tb_session_purge(struct tb_session *s)
{
	drop_devs(s, NULL);
}

static void
tell_event(struct tb_dev *d, const struct plx_blk_event *ev)
{
	static const char *const text[] = {
		[PLX_BLK_EVENT_REMOVED] = "was removed",
		[PLX_BLK_EVENT_RESIZED] = "changed its size",
		[PLX_BLK_EVENT_RESET] = "was reset and goes on",
		[PLX_BLK_EVENT_NS_CHANGED] = "changed its namespaces",
		[PLX_BLK_EVENT_RECONNECTING] = "lost its peer and waits for it",
		[PLX_BLK_EVENT_HEALTH] = "reports a health warning",
		[PLX_BLK_EVENT_ZONE_CHANGED] = "changed the state of zones",
	};

	if (ev->type == PLX_BLK_EVENT_REMOVED)
		d->removed = true;
	if (ev->lost != 0)
		tb_say("%s: %" PRIu64 " events were lost", d->info.name, ev->lost);
	if ((unsigned int)ev->type < RTE_DIM(text) && text[ev->type] != NULL)
		tb_say("%s %s", d->info.name, text[ev->type]);
}

/* Of devices that no run has open, too. */
void
tb_session_events(struct tb_session *s)
{
	struct plx_blk_info info;
	struct plx_blk_event ev;

	for (struct plx_blk *b = plx_blk_next(NULL); b != NULL; b = plx_blk_next(b)) {
		struct tb_dev *d;

		plx_blk_info_get(b, &info);
		d = tb_session_dev(s, info.name);
		while (d != NULL && plx_blk_event_get(b, &ev) == 1) {
			tell_event(d, &ev);
			s->told = true;
		}
	}
}

int
tb_session_fini(struct tb_session *s)
{
	/* a device that was removed says so when it is detached; the I/Os have told already */
	int rc = plx_detach_all() == 0 ? TB_OK : TB_FAIL;

	for (struct tb_dev *d = s->devs; d != NULL; d = d->next)
		d->detached = true;
	drop_devs(s, NULL);
	for (uint32_t i = 0; i < s->nworker; i++)
		plx_reactor_destroy(s->workers[i].reactor);
	plx_reactor_destroy(s->resting);
	free(s->workers);
	return rc;
}
