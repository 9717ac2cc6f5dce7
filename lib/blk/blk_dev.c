/* SPDX-License-Identifier: BSD-3-Clause */
/* Devices: the list, open and close, info, queues, statistics, events. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "plx_ctrl.h"
#include "plx_log.h"

#include "blk_priv.h"

PLX_LOG_TYPE(blk, NOTICE);

#define DEFAULT_DEPTH 128

static struct plx_blk *devices; /* in order of attach; under the control lock */

/* ---- the queues of a device ---- */

static void
stats_add(struct plx_blk_stats *sum, const struct plx_blk_stats *st)
{
	const uint64_t *from = (const uint64_t *)st;
	uint64_t *to = (uint64_t *)sum;
	size_t i;

	static_assert(sizeof(*st) % sizeof(uint64_t) == 0, "counters only");
	for (i = 0; i < sizeof(*st) / sizeof(uint64_t); i++)
		to[i] += __atomic_load_n(&from[i], __ATOMIC_RELAXED);
}

static void
queue_release(struct plx_blk *blk, uint16_t qid)
{
	struct plx_drvq *dq = blk->queues[qid];

	if (dq == NULL)
		return;
	blk->queues[qid] = NULL;
	stats_add(&blk->gone, &dq->st);
	blk->ops->queue_release(blk, dq);
}

static void
queues_release(struct plx_blk *blk)
{
	uint16_t i;

	for (i = 0; i < blk->info.nb_queues; i++)
		queue_release(blk, i);
	free(blk->queues);
	blk->queues = NULL;
	blk->info.nb_queues = 0;
}

/* ---- the list ---- */

struct plx_blk *
plx_blk_next(const struct plx_blk *prev)
{
	struct plx_blk *blk;

	plx_ctrl_lock();
	blk = prev == NULL ? devices : prev->next;
	plx_ctrl_unlock();
	return blk;
}

static struct plx_blk *
find(const char *name)
{
	struct plx_blk *blk;

	for (blk = devices; blk != NULL; blk = blk->next)
		if (strcmp(blk->info.name, name) == 0)
			return blk;
	return NULL;
}

/* "nvme0" stands for "nvme0/n1" when that is its only namespace. */
static struct plx_blk *
find_only(const char *name, unsigned int *count)
{
	size_t len = strlen(name);
	struct plx_blk *blk, *found = NULL;

	*count = 0;
	for (blk = devices; blk != NULL; blk = blk->next) {
		if (strncmp(blk->info.name, name, len) == 0 && blk->info.name[len] == '/') {
			found = blk;
			(*count)++;
		}
	}
	return found;
}

static void
names(char *out, size_t size)
{
	struct plx_blk *blk;
	size_t n = 0;

	snprintf(out, size, "none");
	for (blk = devices; blk != NULL && n < size; blk = blk->next)
		n += (size_t)snprintf(
			out + n, size - n, "%s%s", n != 0 ? ", " : "", blk->info.name);
}

static bool
pi_ok(const struct plx_blk_info *info)
{
	if (info->pi_type == 0)
		return true;
	return info->pi_type <= 3 && (info->pi_size == 8 || info->pi_size == 16) &&
	       info->pi_offset <= info->meta_size &&
	       info->pi_size <= info->meta_size - info->pi_offset;
}

static int
check_info(struct plx_blk_info *info)
{
	if (info->name[0] == '\0' || info->nblocks == 0 || info->block_size < 512 ||
		!rte_is_power_of_2(info->block_size) || info->max_queues == 0 ||
		info->max_depth == 0 || info->nblocks > UINT64_MAX / info->block_size ||
		!pi_ok(info))
		return -EINVAL;
	if (info->phys_block_size == 0)
		info->phys_block_size = info->block_size;
	if (info->max_nblk == 0)
		info->max_nblk = UINT32_MAX;
	if (info->max_zeroes_nblk == 0)
		info->max_zeroes_nblk = UINT32_MAX;
	if (info->max_discard_nblk == 0)
		info->max_discard_nblk = UINT32_MAX;
	if (info->max_segs == 0)
		info->max_segs = UINT16_MAX;
	if (info->max_secure_erase_nblk == 0)
		info->max_secure_erase_nblk = UINT32_MAX;
	if (info->max_copy_nblk == 0)
		info->max_copy_nblk = UINT32_MAX;
	if (info->max_copy_range_nblk == 0)
		info->max_copy_range_nblk = UINT32_MAX;
	if (info->max_copy_ranges == 0)
		info->max_copy_ranges = UINT16_MAX;
	if (info->zone_nblk != 0 && info->nb_zones != (info->nblocks - 1) / info->zone_nblk + 1)
		return -EINVAL;
	return 0;
}

static int
check_device(struct plx_blk *blk)
{
	if (check_info(&blk->info) == 0)
		return 0;
	PLX_LOG(ERR, "blk: %s: %llu blocks of %u bytes, %u queues of %u: not a device",
		blk->info.name, (unsigned long long)blk->info.nblocks, blk->info.block_size,
		blk->info.max_queues, blk->info.max_depth);
	return -EINVAL;
}

int
plx_blk_back(struct plx_blk *blk)
{
	int rc = check_device(blk);

	blk->info.state = rc == 0 ? PLX_BLK_CLOSED : PLX_BLK_REMOVED;
	blk->ev_tail = blk->ev_head;
	blk->ev_lost = 0;
	return rc;
}

int
plx_blk_register(struct plx_blk *blk)
{
	struct plx_blk **at;

	if (check_device(blk) != 0)
		return -EINVAL;
	if (find(blk->info.name) != NULL) {
		PLX_LOG(ERR, "blk: %s is there already; choose another name=", blk->info.name);
		return -EEXIST;
	}
	blk_state_set(blk, PLX_BLK_CLOSED);
	for (at = &devices; *at != NULL; at = &(*at)->next)
		;
	blk->next = NULL;
	*at = blk;
	blk_telemetry_register();
	return 0;
}

void
plx_blk_unregister(struct plx_blk *blk)
{
	struct plx_blk **at;

	plx_blk_removed(blk);
	queues_release(blk);
	for (at = &devices; *at != NULL && *at != blk; at = &(*at)->next)
		;
	if (*at == blk)
		*at = blk->next;
}

/* ---- open, close, info ---- */

static int
look_up(const char *name, struct plx_blk **blk)
{
	unsigned int count;
	char list[256];

	*blk = find(name);
	if (*blk != NULL)
		return 0;
	*blk = find_only(name, &count);
	if (count == 1)
		return 0;
	names(list, sizeof(list));
	if (count > 1) {
		PLX_LOG(ERR, "blk: '%s' has %u namespaces, name one; attached are: %s", name, count,
			list);
		return -EINVAL;
	}
	PLX_LOG(ERR, "blk: no device '%s'; attached are: %s", name, list);
	return -ENODEV;
}

static int
open_locked(const char *name, unsigned int flags, struct plx_blk **out)
{
	struct plx_blk *blk;
	int rc;

	if ((flags & ~(unsigned int)(PLX_BLK_O_WRITE | PLX_BLK_O_HOLD)) != 0)
		return -EINVAL;
	rc = look_up(name, &blk);
	if (rc != 0)
		return rc;
	if (blk->info.state == PLX_BLK_REMOVED) {
		PLX_LOG(ERR, "blk: %s was removed; detach it", blk->info.name);
		return -ENODEV;
	}
	if (blk->info.state != PLX_BLK_CLOSED) {
		PLX_LOG(ERR, "blk: %s is open already in this process", blk->info.name);
		return -EBUSY;
	}
	if ((flags & PLX_BLK_O_WRITE) && (blk->info.caps & PLX_BLK_CAP_RDONLY)) {
		PLX_LOG(ERR, "blk: %s is read-only; open it without PLX_BLK_O_WRITE",
			blk->info.name);
		return -EROFS;
	}
	blk->open_flags = flags;
	blk->open = true;
	blk_state_set(blk, PLX_BLK_OPEN);
	*out = blk;
	return 0;
}

int
plx_blk_open(const char *name, unsigned int flags, struct plx_blk **blk)
{
	int rc;

	plx_ctrl_lock();
	rc = open_locked(name, flags, blk);
	plx_ctrl_unlock();
	return rc;
}

void
blk_closed(struct plx_blk *blk)
{
	queues_release(blk);
	blk->open_flags = 0;
	blk->open = false;
	blk->latency = false;
	if (blk->info.state != PLX_BLK_REMOVED)
		blk_state_set(blk, PLX_BLK_CLOSED);
}

const char *
plx_blk_state_name(enum plx_blk_state state)
{
	static const char *const names[] = {
		[PLX_BLK_CLOSED] = "closed",
		[PLX_BLK_OPEN] = "open",
		[PLX_BLK_CONFIGURED] = "configured",
		[PLX_BLK_STARTED] = "started",
		[PLX_BLK_RESETTING] = "resetting",
		[PLX_BLK_STOPPED] = "stopped",
		[PLX_BLK_REMOVED] = "removed",
	};

	return (unsigned int)state < RTE_DIM(names) ? names[state] : "?";
}

int
plx_blk_info_get(const struct plx_blk *blk, struct plx_blk_info *info)
{
	plx_ctrl_lock();
	*info = blk->info;
	plx_ctrl_unlock();
	return 0;
}

/* ---- configuring ---- */

/* May queues be changed? */
static int
check_idle(const struct plx_blk *blk)
{
	switch (blk->info.state) {
	case PLX_BLK_CLOSED:
		return -EINVAL;
	case PLX_BLK_REMOVED:
		return -ENODEV;
	case PLX_BLK_STARTED:
	case PLX_BLK_RESETTING:
		return -EBUSY;
	default:
		return blk->ctl != PLX_CTL_NONE || blk->held ? -EBUSY : 0;
	}
}

static int
configure_locked(struct plx_blk *blk, uint16_t nb_queues)
{
	int rc = check_idle(blk);

	if (rc != 0)
		return rc;
	if (nb_queues == 0 || nb_queues > blk->info.max_queues) {
		PLX_LOG(ERR, "blk: %s: %u queues asked for, it has 1 to %u", blk->info.name,
			nb_queues, blk->info.max_queues);
		return -EINVAL;
	}
	queues_release(blk);
	blk_state_set(blk, PLX_BLK_OPEN);
	blk->queues = calloc(nb_queues, sizeof(*blk->queues));
	if (blk->queues == NULL)
		return -ENOMEM;
	blk->info.nb_queues = nb_queues;
	blk_state_set(blk, PLX_BLK_CONFIGURED);
	return 0;
}

int
plx_blk_configure(struct plx_blk *blk, uint16_t nb_queues)
{
	int rc;

	plx_ctrl_lock();
	rc = configure_locked(blk, nb_queues);
	plx_ctrl_unlock();
	return rc;
}

static int
setup_locked(struct plx_blk *blk, uint16_t qid, const struct plx_blkq_conf *given)
{
	struct plx_blkq_conf conf = {.socket = -1};
	int rc = check_idle(blk);

	if (rc != 0)
		return rc;
	if (given != NULL)
		conf = *given;
	if (qid >= blk->info.nb_queues || conf.depth > blk->info.max_depth) {
		PLX_LOG(ERR,
			"blk: %s: queue %u of depth %u asked for; %u queues are configured, "
			"the depth is at most %u",
			blk->info.name, qid, conf.depth, blk->info.nb_queues, blk->info.max_depth);
		return -EINVAL;
	}
	if (conf.depth == 0)
		conf.depth = (uint16_t)RTE_MIN(blk->info.max_depth, DEFAULT_DEPTH);
	if (conf.socket < 0)
		conf.socket = blk->info.numa_node;
	queue_release(blk, qid);
	rc = blk->ops->queue_setup(blk, qid, &conf, &blk->queues[qid]);
	if (rc != 0 || !blk->latency)
		return rc;
	rc = blk_latency_set(blk->queues[qid], true);
	if (rc != 0)
		queue_release(blk, qid);
	return rc;
}

int
plx_blkq_setup(struct plx_blk *blk, uint16_t qid, const struct plx_blkq_conf *conf)
{
	int rc;

	plx_ctrl_lock();
	rc = setup_locked(blk, qid, conf);
	plx_ctrl_unlock();
	return rc;
}

/* What version 1 is: programs have it compiled in. Another layout is another version of the call.
 */
static_assert(offsetof(struct plx_blkq, submit) == 0 && offsetof(struct plx_blkq, poll) == 8 &&
		      offsetof(struct plx_blkq, busy) == 16 &&
		      offsetof(struct plx_blkq, qid) == 20 &&
		      offsetof(struct plx_blkq, depth) == 22 &&
		      offsetof(struct plx_blkq, inflight) == 24 &&
		      offsetof(struct plx_blkq, blk) == 32 && offsetof(struct plx_blkq, lib) == 40,
	"a queue");
static_assert(offsetof(struct plx_blk_req, flags) == 1 && offsetof(struct plx_blk_req, nseg) == 2 &&
		      offsetof(struct plx_blk_req, status) == 4 &&
		      offsetof(struct plx_blk_req, lba) == 8 &&
		      offsetof(struct plx_blk_req, nblk) == 16 &&
		      offsetof(struct plx_blk_req, raw) == 20 &&
		      offsetof(struct plx_blk_req, buf) == 24 &&
		      offsetof(struct plx_blk_req, ext) == 32 &&
		      offsetof(struct plx_blk_req, user) == 40 &&
		      offsetof(struct plx_blk_req, drv) == 48,
	"a request");

struct plx_blkq *
plx_blk_queue_get_v1(const struct plx_blk *blk, uint16_t qid)
{
	struct plx_blkq *q = NULL;

	plx_ctrl_lock();
	if (qid < blk->info.nb_queues && blk->queues[qid] != NULL)
		q = &blk->queues[qid]->q;
	plx_ctrl_unlock();
	return q;
}

int
plx_blk_stats_get(const struct plx_blk *blk, uint16_t qid, struct plx_blk_stats *stats)
{
	uint16_t i;
	int rc = 0;

	*stats = (struct plx_blk_stats){0};
	plx_ctrl_lock();
	if (qid == UINT16_MAX) {
		*stats = blk->gone;
		for (i = 0; i < blk->info.nb_queues; i++)
			if (blk->queues[i] != NULL)
				stats_add(stats, &blk->queues[i]->st);
	} else if (qid < blk->info.nb_queues && blk->queues[qid] != NULL) {
		stats_add(stats, &blk->queues[qid]->st);
	} else {
		rc = -EINVAL;
	}
	plx_ctrl_unlock();
	return rc;
}

int
plx_blk_dump(struct plx_blk *blk, const char *what, uint16_t qid, FILE *out)
{
	int rc = -ENOTSUP;
	bool is;

	plx_ctrl_lock();
	is = qid < blk->info.nb_queues && blk->queues[qid] != NULL;
	if (blk->ops->dump != NULL)
		rc = is || qid == UINT16_MAX ? blk->ops->dump(blk, what, qid, out) : -EINVAL;
	plx_ctrl_unlock();
	return rc;
}

/* ---- events ---- */

void
plx_blk_event_post(struct plx_blk *blk, enum plx_blk_event_type type, uint64_t value)
{
	struct plx_blk_event *ev = &blk->events[blk->ev_tail % PLX_BLK_EVENTS];

	if (blk->ev_tail - blk->ev_head == PLX_BLK_EVENTS) {
		blk->ev_lost++;
		return;
	}
	*ev = (struct plx_blk_event){.type = type, .value = value, .lost = blk->ev_lost};
	blk->ev_lost = 0;
	blk->ev_tail++;
}

int
plx_blk_event_get(struct plx_blk *blk, struct plx_blk_event *ev)
{
	int n = 0;

	plx_ctrl_lock();
	if (blk->ev_head != blk->ev_tail) {
		*ev = blk->events[blk->ev_head++ % PLX_BLK_EVENTS];
		n = 1;
	}
	plx_ctrl_unlock();
	return n;
}

void
plx_blk_resized(struct plx_blk *blk, uint64_t nblocks)
{
	uint16_t i;

	blk->info.nblocks = nblocks;
	for (i = 0; i < blk->info.nb_queues; i++)
		if (blk->queues[i] != NULL)
			blk_queue_resize(blk->queues[i], nblocks);
	plx_blk_event_post(blk, PLX_BLK_EVENT_RESIZED, nblocks);
}
