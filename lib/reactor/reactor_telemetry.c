/* SPDX-License-Identifier: BSD-3-Clause */
/* Telemetry: /plx/reactor/... The callbacks run in EAL's telemetry thread. */
#include <errno.h>
#include <string.h>

#include <rte_telemetry.h>

#include "reactor_priv.h"

static int
add_name(struct plx_reactor *r, void *d)
{
	rte_tel_data_add_array_string(d, plx_reactor_name(r));
	return 0;
}

static int
list(const char *cmd, const char *params, struct rte_tel_data *d)
{
	(void)cmd;
	(void)params;
	rte_tel_data_start_array(d, RTE_TEL_STRING_VAL);
	plx_reactor_walk(add_name, d);
	return 0;
}

struct asked {
	const char *name;
	struct rte_tel_data *d;
};

static int
add_stats(struct plx_reactor *r, void *arg)
{
	static const char *const policies[] = {
		[PLX_IDLE_BUSY] = "busy",
		[PLX_IDLE_ADAPTIVE] = "adaptive",
		[PLX_IDLE_INTERRUPT] = "interrupt",
	};
	const struct asked *a = arg;
	struct plx_reactor_stats st;

	if (strcmp(plx_reactor_name(r), a->name) != 0)
		return 0;
	plx_reactor_stats_get(r, &st);
	rte_tel_data_start_dict(a->d);
	rte_tel_data_add_dict_string(a->d, "idle", policies[plx_reactor_idle(r)]);
	rte_tel_data_add_dict_u64(a->d, "turns", st.turns);
	rte_tel_data_add_dict_u64(a->d, "busy_turns", st.busy_turns);
	rte_tel_data_add_dict_u64(a->d, "busy_cycles", st.busy_cycles);
	rte_tel_data_add_dict_u64(a->d, "idle_cycles", st.idle_cycles);
	rte_tel_data_add_dict_u64(a->d, "sleep_cycles", st.sleep_cycles);
	rte_tel_data_add_dict_u64(a->d, "sleeps", st.sleeps);
	rte_tel_data_add_dict_u64(a->d, "wakes", st.wakes);
	rte_tel_data_add_dict_u64(a->d, "messages", st.messages);
	rte_tel_data_add_dict_u64(a->d, "timers", st.timers);
	rte_tel_data_add_dict_u64(a->d, "longest_poll", st.longest_poll);
	return 1;
}

/* Of the first of that name. */
static int
stats(const char *cmd, const char *params, struct rte_tel_data *d)
{
	struct asked a = {params, d};

	(void)cmd;
	return params != NULL && plx_reactor_walk(add_stats, &a) == 1 ? 0 : -EINVAL;
}

void
reactor_telemetry_register(void)
{
	static bool done; /* under the lock of the list */

	if (done)
		return;
	done = true;
	rte_telemetry_register_cmd("/plx/reactor/list", list, "Reactors. No parameters");
	rte_telemetry_register_cmd(
		"/plx/reactor/stats", stats, "What a reactor did. Parameters: name");
}
