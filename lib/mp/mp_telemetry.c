/* SPDX-License-Identifier: BSD-3-Clause */
/* Telemetry: queues that secondary processes have. Runs in EAL's telemetry thread. */
#include <errno.h>
#include <string.h>

#include <rte_telemetry.h>

#include "plx_blk_drv.h"
#include "plx_ctrl.h"

#include "mp_priv.h"

static void
add_queue(struct rte_tel_data *d, const struct plx_mp_queue *q)
{
	struct rte_tel_data *sub = rte_tel_data_alloc();
	char name[32];

	if (sub == NULL)
		return;
	snprintf(name, sizeof(name), "%d_%u", q->pid, q->qid);
	rte_tel_data_start_dict(sub);
	rte_tel_data_add_dict_int(sub, "pid", q->pid);
	rte_tel_data_add_dict_int(sub, "queue", q->qid);
	rte_tel_data_add_dict_int(sub, "depth", q->depth);
	rte_tel_data_add_dict_u64(sub, "inflight", q->inflight);
	rte_tel_data_add_dict_u64(sub, "completed", q->stats.completed);
	rte_tel_data_add_dict_u64(sub, "errors", q->stats.errors);
	if (rte_tel_data_add_dict_container(d, name, sub, 0) != 0)
		rte_tel_data_free(sub);
}

static int
shared(const char *cmd, const char *params, struct rte_tel_data *d)
{
	struct plx_blk *blk = NULL;
	struct plx_mp_queue q;

	(void)cmd;
	if (params == NULL)
		return -EINVAL;
	plx_ctrl_lock();
	while ((blk = plx_blk_next(blk)) != NULL && strcmp(blk->info.name, params) != 0)
		;
	if (blk != NULL)
		rte_tel_data_start_dict(d);
	for (uint32_t i = 0; blk != NULL && mp_server_queue(blk, i, &q) == 0; i++)
		add_queue(d, &q);
	plx_ctrl_unlock();
	return blk != NULL ? 0 : -EINVAL;
}

void
mp_telemetry_register(void)
{
	static bool done;

	if (!done)
		rte_telemetry_register_cmd("/plx/dev/shared", shared,
			"A device's queues in secondary processes. Parameters: name");
	done = true;
}
