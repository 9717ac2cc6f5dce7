/* SPDX-License-Identifier: BSD-3-Clause */
/* Devices served as the namespaces of an NVMe controller, over vfio-user. */
#include <errno.h>

#include <rte_common.h>

#include "plx_export_drv.h"
#include "plx_log.h"
#include "plx_nvmet.h"

PLX_LOG_TYPE(export_vfio_user, NOTICE);

/* what Identify Controller has room for */
#define SERIAL_MAX 20
#define MODEL_MAX 40

static int
text_arg(const struct plx_export *exp, const char *key, size_t max, const char **out)
{
	const char *p;

	*out = plx_export_arg(exp, key);
	if (*out == NULL)
		return 0;
	for (p = *out; *p >= 0x20 && *p < 0x7f; p++)
		;
	if (*p == '\0' && (size_t)(p - *out) <= max)
		return 0;
	PLX_LOG(ERR, "export '%s': %s= takes up to %zu printable ASCII characters", exp->str, key,
		max);
	return -EINVAL;
}

static int
create(struct plx_export *exp)
{
	struct plx_nvmet_conf conf = {
		.path = exp->addr, .devs = exp->devs, .nb_devs = exp->nb_devs};
	struct plx_nvmet *ctrl;
	uint32_t queues, depth;
	int rc;

	rc = text_arg(exp, "serial", SERIAL_MAX, &conf.serial);
	if (rc == 0)
		rc = text_arg(exp, "model", MODEL_MAX, &conf.model);
	if (rc == 0)
		rc = plx_export_arg_bool(exp, "rdonly", false, &conf.rdonly);
	if (rc == 0)
		rc = plx_export_arg_u32(exp, "queues", 1, 63, 0, &queues);
	if (rc == 0)
		rc = plx_export_arg_u32(exp, "depth", 2, 4096, 0, &depth);
	if (rc != 0)
		return rc;
	conf.max_queues = (uint16_t)queues;
	conf.max_depth = (uint16_t)depth;
	rc = plx_nvmet_create(&conf, &ctrl);
	if (rc == 0)
		exp->priv = ctrl;
	return rc;
}

static int
poll(void *priv)
{
	return plx_nvmet_poll(priv);
}

static bool
quiet(void *priv)
{
	return plx_nvmet_quiet(priv);
}

static void
destroy(void *priv)
{
	plx_nvmet_destroy(priv);
}

static void
stats(const void *priv, struct plx_export_stats *st)
{
	struct plx_nvmet_stats s;

	plx_nvmet_stats_get(priv, &s);
	*st = (struct plx_export_stats){
		.commands = s.commands,
		.errors = s.errors,
		.read_blocks = s.read_blocks,
		.write_blocks = s.write_blocks,
		.protocol_errors = s.protocol_errors,
		.polls = s.polls,
		.empty_polls = s.empty_polls,
	};
}

static const char *const keys[] = {"serial", "model", "rdonly", "queues", "depth", NULL};

extern const struct plx_exporter plx_vfio_user_exporter;
const struct plx_exporter plx_vfio_user_exporter = {
	.name = "vfio-user",
	.help = "vfio-user:/path/"
		"sock,dev=NAME[,dev=NAME...][,serial=TEXT][,model=TEXT][,rdonly=0|1]"
		"[,queues=1-63][,depth=2-4096]",
	.keys = keys,
	.create = create,
	.poll = poll,
	.quiet = quiet,
	.destroy = destroy,
	.stats = stats,
};
