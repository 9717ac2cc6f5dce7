/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The controller as a whole: create, destroy, poll.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include <rte_cycles.h>

#include "plx_log.h"
#include "nvmet_priv.h"

PLX_LOG_TYPE(nvmet, NOTICE);

/* Passes between looks at the clock: an idle one takes a few ns. */
#define PASSES 16
/* The socket: how often it is read, while somebody talks and otherwise. A register access waits
 * that long. */
#define HOT_US 2
#define COLD_US 100
#define HOT_FOR_US 1000
#define HOUSE_US 1000
#define DRAIN_MS 5000

/* FNV-1a, twice: an identity that stays the same, not a secret. */
static uint64_t
hash(const void *data, size_t len, uint64_t seed)
{
	const uint8_t *p = data;
	uint64_t h = UINT64_C(0xcbf29ce484222325) ^ seed;

	while (len-- != 0)
		h = (h ^ *p++) * UINT64_C(0x100000001b3);
	return h;
}

static void
hash128(uint8_t out[16], const void *data, size_t len)
{
	uint64_t h[2] = {hash(data, len, 0), hash(data, len, UINT64_C(0x9e3779b97f4a7c15))};

	memcpy(out, h, sizeof(h));
}

static void
make_names(struct plx_nvmet *c, const struct plx_nvmet_conf *conf)
{
	uint8_t id[16];

	hash128(id, conf->path, strlen(conf->path));
	if (conf->serial != NULL)
		snprintf(c->serial, sizeof(c->serial), "%s", conf->serial);
	else
		snprintf(c->serial, sizeof(c->serial), "PLX%016" PRIx64, hash(id, sizeof(id), 0));
	snprintf(c->model, sizeof(c->model), "%s",
		conf->model != NULL ? conf->model : "Pollux NVMe");
	hash128(id, c->serial, strlen(c->serial));
	id[6] = (id[6] & 0x0f) | 0x80; /* UUID version 8, RFC 9562 */
	id[8] = (id[8] & 0x3f) | 0x80;
	snprintf(c->subnqn, sizeof(c->subnqn),
		"nqn.2014-08.org.nvmexpress:uuid:%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-"
		"%02x%02x%02x%02x%02x%02x",
		id[0], id[1], id[2], id[3], id[4], id[5], id[6], id[7], id[8], id[9], id[10],
		id[11], id[12], id[13], id[14], id[15]);
}

/* What loses its data is another device at each start; what keeps it stays the same. */
static void
make_nguid(struct nvmet_ns *ns)
{
	static const uint8_t none[16];
	const struct plx_blk_info *info = &ns->info;
	char text[256];
	int n;

	if ((info->caps & PLX_BLK_CAP_VOLATILE) != 0 &&
		getrandom(ns->nguid, sizeof(ns->nguid), 0) == sizeof(ns->nguid))
		return;
	if (memcmp(info->nguid, none, sizeof(none)) != 0) {
		hash128(ns->nguid, info->nguid, sizeof(info->nguid));
		return;
	}
	n = snprintf(text, sizeof(text), "%.48s %.24s %s %" PRIu64, info->model, info->serial,
		info->name, info->nblocks);
	hash128(ns->nguid, text, (size_t)n);
}

static int
ns_create(struct plx_nvmet *c, struct nvmet_ns *ns, const char *name)
{
	struct plx_blkq_conf qconf = {.socket = -1};
	int rc = plx_blk_open(name, PLX_BLK_O_HOLD | (c->rdonly ? 0 : PLX_BLK_O_WRITE), &ns->blk);

	if (rc != 0) {
		ns->blk = NULL;
		return rc;
	}
	plx_blk_info_get(ns->blk, &ns->info);
	qconf.depth = ns->info.max_depth < NVMET_DEV_DEPTH ? ns->info.max_depth : NVMET_DEV_DEPTH;
	ns->pend_tail = &ns->pend;
	ns->shift = (uint32_t)__builtin_ctz(ns->info.block_size);
	make_nguid(ns);
	ns->extended = ns->info.meta_size != 0 && c->meta_ext;
	c->elbas |= ns->info.pi_size == 16;
	if (ns->info.meta_size > 4096 || ns->info.block_size > 32768) {
		PLX_LOG(ERR,
			"nvmet: '%s': blocks over 32 KiB, or with over 4 KiB of metadata, can't be "
			"served",
			name);
		return -ENOTSUP;
	}
	if (nvmet_zns_check(ns) != 0) {
		PLX_LOG(ERR,
			"nvmet: '%s': a zoned device with metadata, or without appends of 8 KiB, "
			"can't be served",
			name);
		return -ENOTSUP;
	}
	c->zns |= ns->info.zone_nblk != 0;
	rc = plx_blk_configure(ns->blk, 1);
	if (rc == 0)
		rc = plx_blkq_setup(ns->blk, 0, &qconf);
	if (rc == 0)
		rc = plx_blk_start(ns->blk);
	if (rc != 0)
		return rc;
	ns->q = plx_blk_queue_get(ns->blk, 0);
	ns->allocated = ns->attached = true;
	nvmet_ns_open(ns);
	return 0;
}

/* What every namespace can do, the controller offers. */
static void
offer(struct plx_nvmet *c, const struct plx_nvmet_conf *conf)
{
	uint32_t all = UINT32_MAX, any = 0, i;
	bool pi = false; /* copying would have to make it anew */

	for (i = 0; i < c->nns; i++) {
		all &= c->ns[i].info.caps;
		any |= c->ns[i].info.caps;
		pi |= c->ns[i].info.pi_type != 0;
	}
	c->vwc = (any & PLX_BLK_CAP_FLUSH) != 0;
	c->oncs = NVME_CTRL_ONCS_SAVE_FEATURES | NVME_CTRL_ONCS_RESERVATIONS;
	c->oacs = NVME_CTRL_OACS_FW | NVME_CTRL_OACS_SELF_TEST;
	if ((all & PLX_BLK_CAP_COMPARE) != 0)
		c->oncs |= NVME_CTRL_ONCS_COMPARE;
	if ((all & PLX_BLK_CAP_VERIFY) != 0)
		c->oncs |= NVME_CTRL_ONCS_VERIFY;
	if ((all & PLX_BLK_CAP_COPY) != 0 && !pi)
		c->oncs |= NVME_CTRL_ONCS_COPY;
	if ((all & PLX_BLK_CAP_DISCARD) != 0)
		c->oncs |= NVME_CTRL_ONCS_DSM;
	if ((all & PLX_BLK_CAP_WRITE_ZEROES) != 0) {
		c->oncs |= NVME_CTRL_ONCS_WRITE_ZEROES;
		if (!conf->rdonly && (any & PLX_BLK_CAP_RDONLY) == 0)
			c->oacs |= NVME_CTRL_OACS_FORMAT | NVME_CTRL_OACS_NS_MGMT;
	}
	if (!conf->no_dbbuf)
		c->oacs |= NVME_CTRL_OACS_DBBUF_CFG;
	c->sgl = !conf->no_sgl;
}

static void *
alloc_lines(size_t size)
{
	void *p = NULL;

	if (posix_memalign(&p, NVMET_PAGE, size) != 0)
		return NULL;
	return memset(p, 0, size);
}

static int
make_cmds(struct plx_nvmet *c)
{
	uint32_t i, n = RTE_MIN((uint32_t)NVMET_MAX_CMDS, (uint32_t)c->max_queues * c->max_depth);

	n = RTE_MAX(n, 2u * NVMET_MAX_NS); /* at shutdown each namespace is flushed */
	c->cmds = alloc_lines((n + 1) * sizeof(*c->cmds)); /* one spare: nvmet_data_put() */
	c->free = calloc(n, sizeof(*c->free));
	c->own_db = alloc_lines(NVMET_DB_LEN);
	if (c->cmds == NULL || c->free == NULL || c->own_db == NULL)
		return -ENOMEM;
	for (i = 0; i <= n; i++) {
		c->cmds[i].segs = c->cmds[i].own;
		c->cmds[i].cap = RTE_DIM(c->cmds[i].own);
	}
	c->ncmd = n;
	for (i = 0; i < n; i++)
		nvmet_cmd_free(c, &c->cmds[n - 1 - i]);
	return 0;
}

static int
check_conf(const struct plx_nvmet_conf *conf)
{
	if (conf->path == NULL || conf->devs == NULL || conf->nb_devs == 0 ||
		conf->nb_devs > NVMET_MAX_NS || conf->max_queues >= NVMET_QUEUES ||
		conf->max_depth == 1 || conf->mdts > NVMET_MAX_MDTS) {
		PLX_LOG(ERR,
			"nvmet: a controller needs a path, 1 to %d devices, up to %u queues of 2 "
			"or more entries, and an MDTS up to %d",
			NVMET_MAX_NS, NVMET_QUEUES - 1, NVMET_MAX_MDTS);
		return -EINVAL;
	}
	return 0;
}

static int
listen_on(struct plx_nvmet *c, const struct plx_nvmet_conf *conf)
{
	struct plx_vfu_conf v = {
		.path = conf->path,
		.vendor = NVMET_PCI_VENDOR,
		.device = NVMET_PCI_DEVICE,
		.subvendor = NVMET_PCI_VENDOR,
		.subdevice = NVMET_PCI_DEVICE,
		.class_code = 0x010802,
		.bars[0] = {.size = 0x4000},
		.msix_count = c->vectors,
		.msix_bar = 4,
		.ops = &nvmet_vfu_ops,
		.arg = c,
	};

	if (!conf->no_map) {
		v.bars[0].map_off = NVMET_DB_OFF;
		v.bars[0].map_size = NVMET_DB_LEN;
	}
	return plx_vfu_create(&v, &c->vfu);
}

static void
free_all(struct plx_nvmet *c)
{
	uint32_t i;

	for (i = 0; c->ns != NULL && i < c->nns; i++) {
		if (c->ns[i].blk != NULL)
			plx_blk_close(c->ns[i].blk);
		nvmet_resv_forget(&c->ns[i]);
	}
	free(c->job.buf);
	for (i = 0; c->cmds != NULL && i <= c->ncmd; i++) {
		if (c->cmds[i].segs != c->cmds[i].own)
			free(c->cmds[i].segs);
		nvmet_meta_end(&c->cmds[i]);
		nvmet_zns_end(&c->cmds[i]);
		free(c->cmds[i].meta);
	}
	free(c->ns);
	free(c->cmds);
	free(c->free);
	free(c->own_db);
	free(c);
}

int
plx_nvmet_create(const struct plx_nvmet_conf *conf, struct plx_nvmet **ctrl)
{
	struct plx_nvmet *c;
	uint32_t i;
	int rc = check_conf(conf);

	if (rc != 0)
		return rc;
	c = alloc_lines(sizeof(*c));
	if (c == NULL)
		return -ENOMEM;
	make_names(c, conf);
	c->max_queues = conf->max_queues != 0 ? conf->max_queues : NVMET_QUEUES - 1;
	c->max_depth = conf->max_depth != 0 ? conf->max_depth : 1024;
	c->mdts = conf->mdts != 0 ? conf->mdts : 8;
	c->vectors = (uint16_t)(c->max_queues + 1);
	c->rdonly = conf->rdonly;
	c->meta_ext = conf->meta_ext;
	c->born = rte_rdtsc();
	c->us = RTE_MAX(rte_get_tsc_hz() / 1000000, UINT64_C(1));
	c->pass = 1;
	rc = make_cmds(c);
	if (rc == 0 && (c->ns = alloc_lines(conf->nb_devs * sizeof(*c->ns))) == NULL)
		rc = -ENOMEM;
	for (i = 0; rc == 0 && i < conf->nb_devs; i++) {
		c->nns = i + 1;
		rc = ns_create(c, &c->ns[i], conf->devs[i]);
	}
	if (rc == 0) {
		offer(c, conf);
		nvmet_fw_init(c);
		nvmet_queues_reset(c);
		rc = listen_on(c, conf);
	}
	if (rc != 0) {
		free_all(c);
		return rc;
	}
	PLX_LOG(INFO, "nvmet: %s: serving %u namespaces on %s", c->serial, c->nns, conf->path);
	*ctrl = c;
	return 0;
}

/* Take back what the devices have, by force in the end: the client's memory is about to go. */
static void
drain(struct plx_nvmet *c)
{
	struct plx_deadline until = plx_deadline_in(DRAIN_MS);
	uint32_t i;

	c->run = 0;
	c->drop = true;
	nvmet_cmds_drop(c);
	while (nvmet_inflight(c) != 0 && !plx_deadline_past(until))
		nvmet_io_pass(c);
	for (i = 0; i < c->nns; i++)
		plx_blk_stop(c->ns[i].blk);
	until = plx_deadline_in(DRAIN_MS);
	while (nvmet_inflight(c) != 0 && !plx_deadline_past(until))
		nvmet_io_pass(c);
	if (nvmet_inflight(c) != 0)
		PLX_LOG(ERR, "nvmet: %s: a block device kept %u commands", c->serial,
			nvmet_inflight(c));
}

void
plx_nvmet_destroy(struct plx_nvmet *c)
{
	if (c == NULL)
		return;
	drain(c);
	plx_vfu_destroy(c->vfu);
	free_all(c);
}

static __rte_noinline void
interrupt(struct plx_nvmet *c)
{
	while (c->fire != 0) {
		uint16_t id = (uint16_t)__builtin_ctzll(c->fire), vector = c->cq[id].vector;

		c->fire &= c->fire - 1;
		if (vector >= 32 || (c->intmask & 1u << vector) == 0)
			plx_vfu_irq(c->vfu, vector);
	}
}

static void
housekeeping(struct plx_nvmet *c, uint64_t now)
{
	uint64_t cmds = c->errors;
	uint32_t i, op;

	for (i = 0; i < c->nns; i++)
		for (op = 0; op < PLX_OP_MAX; op++)
			cmds += c->ns[i].ops[op];
	if (cmds != c->busy_cmds || nvmet_inflight(c) != 0)
		c->busy_tsc += now - c->last_house;
	c->busy_cmds = cmds;
	c->last_house = now;
	nvmet_ns_watch(c);
	if (c->run) {
		nvmet_doorbells_check(c);
		nvmet_events_run(c);
	}
}

/* What need not be done in every pass: the socket, changes of state. */
static __rte_noinline uint32_t
slow(struct plx_nvmet *c)
{
	uint64_t now = rte_rdtsc();
	int n;

	c->pass = PASSES;
	if (c->attention == 0 && now < c->next_slow)
		return 0;
	nvmet_state_poll(c);
	nvmet_deletes_poll(c);
	nvmet_job_poll(c);
	n = plx_vfu_poll(c->vfu);
	if (n > 0)
		c->hot_until = now + HOT_FOR_US * c->us;
	c->next_slow = now + (now < c->hot_until ? HOT_US : COLD_US) * c->us;
	c->attention = c->state != NVMET_STEADY || c->hold || c->drop || c->deleting != 0 ? 1 : 0;
	nvmet_run_update(c); /* bus master may have changed */
	if (now - c->last_house > HOUSE_US * c->us)
		housekeeping(c, now);
	if (unlikely(c->fire != 0))
		interrupt(c);
	return (uint32_t)n;
}

int
plx_nvmet_poll(struct plx_nvmet *c)
{
	const struct nvmet_sq *asq = &c->sq[0];
	uint32_t done = nvmet_io_pass(c);

	if (likely(c->run) && unlikely(__atomic_load_n(asq->db, __ATOMIC_RELAXED) != asq->seen ||
				       asq->head != asq->tail))
		done += nvmet_admin_poll(c);
	if (unlikely(c->fire != 0))
		interrupt(c);
	if (unlikely(--c->pass == 0 || c->attention != 0))
		done += slow(c);
	plx_stat_add(&c->polls, 1);
	if (done == 0)
		plx_stat_add(&c->empty_polls, 1);
	return (int)done;
}

bool
plx_nvmet_quiet(struct plx_nvmet *c)
{
	if (nvmet_inflight(c) != 0 || c->job.ops != NULL || c->attention != 0 || c->fire != 0 ||
		rte_rdtsc() < c->hot_until)
		return false;
	/* the next pass looks at the socket, however few there are from now on */
	c->pass = 1;
	c->next_slow = 0;
	return true;
}

/* Counters are written by the polling thread only, each in one store. */
static uint64_t
peek(const uint64_t *counter)
{
	return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

void
plx_nvmet_stats_get(const struct plx_nvmet *c, struct plx_nvmet_stats *st)
{
	uint32_t i, op;

	*st = (struct plx_nvmet_stats){
		.errors = peek(&c->errors),
		.protocol_errors = peek(&c->protocol_errors),
		.polls = peek(&c->polls),
		.empty_polls = peek(&c->empty_polls),
	};
	st->commands = st->errors;
	for (i = 0; i < c->nns; i++) {
		const struct nvmet_ns *ns = &c->ns[i];

		for (op = 0; op < PLX_OP_MAX; op++)
			st->commands += peek(&ns->ops[op]);
		st->read_blocks += peek(&ns->blocks[PLX_OP_READ]);
		st->write_blocks += peek(&ns->blocks[PLX_OP_WRITE]);
	}
}
