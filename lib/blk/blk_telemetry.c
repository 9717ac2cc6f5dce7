/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Telemetry: /plx/dev/... for dpdk-telemetry.py and whatever else talks to EAL's socket. The
 * callbacks run in EAL's telemetry thread, and take the control lock as any other thread does.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_common.h>
#include <rte_telemetry.h>

#include "plx_ctrl.h"

#include "blk_priv.h"

static const char *const op_names[PLX_OP_MAX] = {
	[PLX_OP_READ] = "read",
	[PLX_OP_WRITE] = "write",
	[PLX_OP_FLUSH] = "flush",
	[PLX_OP_WRITE_ZEROES] = "write_zeroes",
	[PLX_OP_DISCARD] = "discard",
	[PLX_OP_COMPARE] = "compare",
	[PLX_OP_VERIFY] = "verify",
	[PLX_OP_NVME] = "nvme",
	[PLX_OP_ZONE_APPEND] = "zone_append",
	[PLX_OP_ZONE_OPEN] = "zone_open",
	[PLX_OP_ZONE_CLOSE] = "zone_close",
	[PLX_OP_ZONE_FINISH] = "zone_finish",
	[PLX_OP_ZONE_RESET] = "zone_reset",
	[PLX_OP_ZONE_REPORT] = "zone_report",
	[PLX_OP_COPY] = "copy",
	[PLX_OP_SECURE_ERASE] = "secure_erase",
};

/* @return the queue that a word names, UINT16_MAX for none given, -EINVAL */
static int
queue_id(const struct plx_blk *blk, const char *word)
{
	unsigned long qid;
	char *end;

	if (word == NULL)
		return UINT16_MAX;
	qid = strtoul(word, &end, 10);
	if (*word == '\0' || *end != '\0' || qid >= blk->info.nb_queues)
		return -EINVAL;
	return (int)qid;
}

static int
list(const char *cmd, const char *params, struct rte_tel_data *d)
{
	struct plx_blk *blk = NULL;

	(void)cmd;
	(void)params;
	rte_tel_data_start_array(d, RTE_TEL_STRING_VAL);
	plx_ctrl_lock();
	while ((blk = plx_blk_next(blk)) != NULL)
		rte_tel_data_add_array_string(d, blk->info.name);
	plx_ctrl_unlock();
	return 0;
}

static int
info(struct plx_blk *blk, const char *word, struct rte_tel_data *d)
{
	const struct plx_blk_info *i = &blk->info;

	(void)word;
	rte_tel_data_add_dict_string(d, "name", i->name);
	rte_tel_data_add_dict_string(d, "driver", i->driver);
	rte_tel_data_add_dict_string(d, "state", plx_blk_state_name(i->state));
	rte_tel_data_add_dict_string(d, "model", i->model);
	rte_tel_data_add_dict_string(d, "serial", i->serial);
	rte_tel_data_add_dict_string(d, "firmware", i->firmware);
	rte_tel_data_add_dict_u64(d, "nblocks", i->nblocks);
	rte_tel_data_add_dict_u64(d, "block_size", i->block_size);
	rte_tel_data_add_dict_u64(d, "phys_block_size", i->phys_block_size);
	rte_tel_data_add_dict_u64(d, "meta_size", i->meta_size);
	rte_tel_data_add_dict_u64(d, "pi_type", i->pi_type);
	rte_tel_data_add_dict_u64(d, "zone_nblk", i->zone_nblk);
	rte_tel_data_add_dict_u64(d, "caps", i->caps);
	rte_tel_data_add_dict_u64(d, "max_nblk", i->max_nblk);
	rte_tel_data_add_dict_u64(d, "max_segs", i->max_segs);
	rte_tel_data_add_dict_u64(d, "atomic_nblk", i->atomic_nblk);
	rte_tel_data_add_dict_int(d, "max_queues", i->max_queues);
	rte_tel_data_add_dict_int(d, "max_depth", i->max_depth);
	rte_tel_data_add_dict_int(d, "nb_queues", i->nb_queues);
	rte_tel_data_add_dict_int(d, "numa_node", i->numa_node);
	return 0;
}

static void
add_stats(struct rte_tel_data *d, const struct plx_blk_stats *st)
{
	char name[32];

	for (unsigned int op = 0; op < PLX_OP_MAX; op++) {
		snprintf(name, sizeof(name), "%s_ops", op_names[op]);
		rte_tel_data_add_dict_u64(d, name, st->ops[op]);
		snprintf(name, sizeof(name), "%s_blocks", op_names[op]);
		rte_tel_data_add_dict_u64(d, name, st->blocks[op]);
	}
	rte_tel_data_add_dict_u64(d, "unknown_ops", st->unknown);
	rte_tel_data_add_dict_u64(d, "completed", st->completed);
	rte_tel_data_add_dict_u64(d, "errors", st->errors);
	rte_tel_data_add_dict_u64(d, "doorbells", st->doorbells);
	rte_tel_data_add_dict_u64(d, "polls", st->polls);
	rte_tel_data_add_dict_u64(d, "empty_polls", st->empty_polls);
	rte_tel_data_add_dict_u64(d, "split", st->split);
	rte_tel_data_add_dict_u64(d, "bounced", st->bounced);
	rte_tel_data_add_dict_u64(d, "retried", st->retried);
	rte_tel_data_add_dict_u64(d, "bad_device", st->bad_device);
	rte_tel_data_add_dict_u64(d, "late", st->late);
}

static int
stats(struct plx_blk *blk, const char *word, struct rte_tel_data *d)
{
	struct plx_blk_stats st;
	int qid = queue_id(blk, word);
	int rc = qid >= 0 ? plx_blk_stats_get(blk, (uint16_t)qid, &st) : qid;

	if (rc == 0)
		add_stats(d, &st);
	return rc;
}

static void
add_queue(struct rte_tel_data *d, const struct plx_blk *blk, uint16_t qid)
{
	const struct plx_drvq *dq = blk->queues[qid];
	struct rte_tel_data *sub = rte_tel_data_alloc();
	char name[16];

	if (sub == NULL)
		return;
	snprintf(name, sizeof(name), "%u", qid);
	rte_tel_data_start_dict(sub);
	rte_tel_data_add_dict_int(sub, "depth", dq->q.depth);
	rte_tel_data_add_dict_u64(
		sub, "inflight", __atomic_load_n(&dq->q.inflight, __ATOMIC_RELAXED));
	rte_tel_data_add_dict_string(sub, "state", dq->taken ? "taken over" : "running");
	rte_tel_data_add_dict_int(sub, "interrupt_fd", dq->intr_fd);
	rte_tel_data_add_dict_u64(
		sub, "completed", __atomic_load_n(&dq->st.completed, __ATOMIC_RELAXED));
	rte_tel_data_add_dict_u64(sub, "errors", __atomic_load_n(&dq->st.errors, __ATOMIC_RELAXED));
	if (rte_tel_data_add_dict_container(d, name, sub, 0) != 0)
		rte_tel_data_free(sub);
}

static int
queues(struct plx_blk *blk, const char *word, struct rte_tel_data *d)
{
	(void)word;
	for (uint16_t i = 0; i < blk->info.nb_queues; i++)
		if (blk->queues[i] != NULL)
			add_queue(d, blk, i);
	return 0;
}

static void
add_latency(struct rte_tel_data *d, const char *name, const struct plx_blk_latency *l)
{
	static const char *const q[PLX_BLK_LATENCY_QUANTILES] = {
		"p50_ns", "p90_ns", "p99_ns", "p999_ns", "p9999_ns"};
	struct rte_tel_data *sub = rte_tel_data_alloc();

	if (sub == NULL)
		return;
	rte_tel_data_start_dict(sub);
	rte_tel_data_add_dict_u64(sub, "count", l->count);
	rte_tel_data_add_dict_u64(sub, "mean_ns", l->mean_ns);
	for (unsigned int i = 0; i < PLX_BLK_LATENCY_QUANTILES; i++)
		rte_tel_data_add_dict_u64(sub, q[i], l->quantile_ns[i]);
	rte_tel_data_add_dict_u64(sub, "max_ns", l->max_ns);
	if (rte_tel_data_add_dict_container(d, name, sub, 0) != 0)
		rte_tel_data_free(sub);
}

static int
latency(struct plx_blk *blk, const char *word, struct rte_tel_data *d)
{
	static const char *const kinds[PLX_BLK_LATENCY_KINDS] = {"read", "write", "other"};
	struct plx_blk_latency l = {0};
	int rc = 0;

	if (word != NULL && (strcmp(word, "on") == 0 || strcmp(word, "off") == 0))
		rc = plx_blk_latency_enable(blk, word[1] == 'n');
	else if (word != NULL)
		rc = -EINVAL;
	if (rc == 0)
		rte_tel_data_add_dict_string(d, "measured", blk->latency ? "yes" : "no");
	for (unsigned int k = 0; rc == 0 && blk->latency && k < PLX_BLK_LATENCY_KINDS; k++) {
		rc = plx_blk_latency_get(blk, UINT16_MAX, (enum plx_blk_latency_kind)k, &l);
		if (rc == 0)
			add_latency(d, kinds[k], &l);
	}
	if (rc == 0)
		rte_tel_data_add_dict_u64(d, "missed", l.missed);
	return rc;
}

/* What is asked of one device, with NAME[,WORD]. */
static const struct command {
	const char *name;
	int (*run)(struct plx_blk *blk, const char *word, struct rte_tel_data *d);
	const char *help;
} commands[] = {
	{"/plx/dev/info", info, "What a device is. Parameters: name"},
	{"/plx/dev/stats", stats, "Counters of a device or queue. Parameters: name[,queue]"},
	{"/plx/dev/queues", queues, "A device's queues. Parameters: name"},
	{"/plx/dev/latency", latency,
		"Latency of requests, measured between 'on' and 'off'. Parameters: name[,on|off]"},
};

static int
of_device(const char *cmd, const char *params, struct rte_tel_data *d)
{
	char name[PLX_BLK_NAME_MAX + 32];
	const struct command *c = commands;
	struct plx_blk *blk = NULL;
	char *word;
	int rc;

	while (strcmp(c->name, cmd) != 0)
		c++;
	if (params == NULL || strlen(params) >= sizeof(name))
		return -EINVAL;
	strcpy(name, params);
	word = strchr(name, ',');
	if (word != NULL)
		*word++ = '\0';
	rte_tel_data_start_dict(d);
	plx_ctrl_lock();
	while ((blk = plx_blk_next(blk)) != NULL && strcmp(blk->info.name, name) != 0)
		;
	rc = blk != NULL ? c->run(blk, word, d) : -EINVAL;
	plx_ctrl_unlock();
	return rc;
}

void
blk_telemetry_register(void)
{
	static bool done;

	if (done)
		return;
	done = true;
	/* with no room for more commands there are none of ours: nothing else suffers */
	rte_telemetry_register_cmd("/plx/dev/list", list, "Block devices. No parameters");
	for (unsigned int i = 0; i < RTE_DIM(commands); i++)
		rte_telemetry_register_cmd(commands[i].name, of_device, commands[i].help);
}
