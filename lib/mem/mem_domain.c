/* SPDX-License-Identifier: BSD-3-Clause */
/* DMA domains, as their owners see them. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "mem_priv.h"
#include "plx_ctrl.h"

static struct mem_domain *
domain_of(struct plx_mem_domain *pub)
{
	return (struct mem_domain *)pub; /* its first member */
}

/* What was learnt of memory that has been freed meanwhile may be wrong by now. */
static int
learn(struct mem_domain *d)
{
	int rc;

	if (d->conf.ops->learn == NULL)
		return 0;
	if (!d->learning) {
		pthread_mutex_lock(&mem.lock);
		d->frees = mem.frees;
		pthread_mutex_unlock(&mem.lock);
	}
	rc = d->conf.ops->learn(d->conf.ctx);
	d->learning = rc == -EINPROGRESS;
	return rc;
}

int
plx_mem_domain_sync(struct plx_mem_domain *pub)
{
	struct mem_domain *d = domain_of(pub);
	int rc;

	plx_ctrl_lock();
	d->offline = false;
	rc = learn(d);
	if (rc == 0)
		rc = mem_refresh();
	if (rc == 0) {
		pthread_mutex_lock(&mem.lock);
		rc = d->conf.ops->learn != NULL && d->frees != mem.frees ? -EINPROGRESS
									 : mem_domain_step(d);
		pthread_mutex_unlock(&mem.lock);
	}
	plx_ctrl_unlock();
	return rc;
}

void
plx_mem_domain_lost(struct plx_mem_domain *pub)
{
	struct mem_domain *d = domain_of(pub);

	plx_ctrl_lock();
	pthread_mutex_lock(&mem.lock);
	mem_domain_lose(d);
	d->offline = true;
	pthread_mutex_unlock(&mem.lock);
	plx_ctrl_unlock();
}

/* The mapped memory at iova, up to *len bytes of it. */
static void *
memory_at(const struct mem_domain *d, uint64_t iova, size_t *len)
{
	for (uint32_t i = 0; i < d->nb_maps; i++) {
		const struct mem_map *m = &d->maps[i];
		uint64_t off = iova - m->iova;

		if (off >= m->seg.len || !mem_map_live(m))
			continue;
		if (*len > m->seg.len - off)
			*len = m->seg.len - off;
		return (void *)(m->seg.va + off);
	}
	return NULL;
}

/* Who frees memory of EAL's waits for mem.lock. */
int
plx_mem_domain_copy(
	struct plx_mem_domain *pub, uint64_t iova, void *buf, size_t len, bool to_memory)
{
	struct mem_domain *d = domain_of(pub);
	uint64_t end;
	size_t done, n;
	int rc = __builtin_add_overflow(iova, len, &end) ? -EFAULT : 0;

	pthread_mutex_lock(&mem.lock);
	for (done = 0; done < len && rc == 0; done += n) {
		n = len - done;
		if (memory_at(d, iova + done, &n) == NULL)
			rc = -EFAULT;
	}
	for (done = 0; done < len && rc == 0; done += n) {
		char *at = (char *)buf + done, *m;

		n = len - done;
		m = memory_at(d, iova + done, &n);
		memcpy(to_memory ? m : at, to_memory ? at : m, n);
	}
	pthread_mutex_unlock(&mem.lock);
	return rc;
}

static int
conf_check(const struct plx_mem_domain_conf *c)
{
	if (c->ops == NULL || (c->ops->map == NULL) != (c->ops->unmap == NULL) ||
		(c->ops->map == NULL && !c->phys && c->ops->where == NULL) ||
		(c->ops->learn == NULL) != (c->ops->where == NULL) ||
		(!c->immediate && c->ops->poll == NULL) || (c->min_page & (c->min_page - 1)) != 0 ||
		(c->nb_iova != 0 && c->iova == NULL))
		return -EINVAL;
	for (uint32_t i = 0; i < c->nb_iova; i++)
		if (c->iova[i].start > c->iova[i].last)
			return -EINVAL;
	return 0;
}

static int
domain_init(struct mem_domain *d, const struct plx_mem_domain_conf *conf)
{
	d->conf = *conf;
	d->offline = true;
	strncpy(d->name, conf->name != NULL ? conf->name : "domain", sizeof(d->name) - 1);
	d->conf.name = d->name;
	d->conf.iova = NULL;
	if (conf->nb_iova != 0) {
		struct plx_iova_range *r = calloc(conf->nb_iova, sizeof(*r));

		if (r == NULL)
			return -ENOMEM;
		memcpy(r, conf->iova, conf->nb_iova * sizeof(*r));
		d->conf.iova = r;
	}
	d->space.range = d->conf.iova;
	d->space.nb_range = conf->nb_iova;
	return mem_tables_init(&d->tables, &d->pub);
}

static void
domain_free(struct mem_domain *d)
{
	for (uint32_t i = 0; i < d->nb_maps; i++)
		mem_reg_put(d->maps[i].reg);
	mem_tables_free(&d->tables);
	free(d->space.used);
	free((void *)(uintptr_t)d->conf.iova);
	free(d->maps);
	free(d);
}

int
plx_mem_domain_create(const struct plx_mem_domain_conf *conf, struct plx_mem_domain **dom)
{
	struct mem_domain *d;
	int rc = conf_check(conf);

	if (rc != 0)
		return rc;
	d = calloc(1, sizeof(*d));
	if (d == NULL)
		return -ENOMEM;
	rc = domain_init(d, conf);
	if (rc != 0) {
		domain_free(d);
		return rc;
	}
	plx_ctrl_lock();
	pthread_mutex_lock(&mem.lock);
	d->next = mem.domains;
	mem.domains = d;
	pthread_mutex_unlock(&mem.lock);
	plx_ctrl_unlock();
	*dom = &d->pub;
	return 0;
}

void
plx_mem_domain_destroy(struct plx_mem_domain *pub)
{
	struct mem_domain **p, *d = domain_of(pub);

	if (pub == NULL)
		return;
	plx_ctrl_lock();
	pthread_mutex_lock(&mem.lock);
	for (p = &mem.domains; *p != NULL; p = &(*p)->next)
		if (*p == d) {
			*p = d->next;
			break;
		}
	pthread_mutex_unlock(&mem.lock);
	domain_free(d);
	plx_ctrl_unlock();
}

/* A round ends when each domain that took part is through; one that fails isn't tried again in
 * it, and one created meanwhile maps what there is by itself. */
int
plx_mem_sync(void)
{
	static bool round;
	static int round_rc;
	bool left = false;

	plx_ctrl_lock();
	if (!round) {
		for (struct mem_domain *d = mem.domains; d != NULL; d = d->next)
			d->todo = true;
		round_rc = 0;
	}
	for (struct mem_domain *d = mem.domains; d != NULL; d = d->next) {
		int rc;

		if (!d->todo || d->offline) {
			d->todo = false;
			continue;
		}
		rc = plx_mem_domain_sync(&d->pub);
		d->todo = rc == -EINPROGRESS;
		left |= d->todo;
		if (rc != -EINPROGRESS && round_rc == 0)
			round_rc = rc;
	}
	round = left;
	plx_ctrl_unlock();
	return left ? -EINPROGRESS : round_rc;
}
