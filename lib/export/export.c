/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_common.h>

#include "plx_blk.h"
#include "plx_log.h"
#include "plx_probe.h"

#include "export_priv.h"

PLX_LOG_USE(export);

static bool
attached(const char *name)
{
	const struct plx_blk *blk;
	struct plx_blk_info info;

	if (plx_dev_find(name) != NULL) /* a controller with one namespace */
		return true;
	for (blk = plx_blk_next(NULL); blk != NULL; blk = plx_blk_next(blk)) {
		plx_blk_info_get(blk, &info);
		if (strcmp(info.name, name) == 0)
			return true;
	}
	return false;
}

/* Before anything is opened, so that a typo is told as what it is. */
static int
check_devs(const struct plx_export *exp)
{
	const struct plx_blk *blk;
	struct plx_blk_info info;
	char known[256] = "";
	size_t n = 0;
	uint32_t i;

	for (i = 0; i < exp->nb_devs && attached(exp->devs[i]); i++)
		;
	if (i == exp->nb_devs)
		return 0;
	for (blk = plx_blk_next(NULL); blk != NULL && n < sizeof(known); blk = plx_blk_next(blk)) {
		plx_blk_info_get(blk, &info);
		n += (size_t)snprintf(
			known + n, sizeof(known) - n, "%s%s", n != 0 ? ", " : "", info.name);
	}
	PLX_LOG(ERR, "export '%s': no device '%s'; attached are: %s", exp->str, exp->devs[i],
		known[0] != '\0' ? known : "none");
	return -ENOENT;
}

static void
export_free(struct plx_export *exp)
{
	free(exp->str);
	free(exp->name);
	free(exp->parts);
	free(exp);
}

int
plx_export_create(const char *str, struct plx_export **exp)
{
	struct plx_export *e = calloc(1, sizeof(*e));
	int rc = -ENOMEM;

	if (e == NULL)
		return -ENOMEM;
	e->str = strdup(str);
	if (e->str != NULL)
		rc = export_parse(e);
	if (rc == 0)
		rc = check_devs(e);
	if (rc == 0)
		rc = e->drv->create(e);
	if (rc != 0) {
		export_free(e);
		return rc;
	}
	*exp = e;
	return 0;
}

int
plx_export_poll(struct plx_export *exp)
{
	return exp->drv->poll(exp->priv);
}

bool
plx_export_quiet(struct plx_export *exp)
{
	return exp->drv->quiet != NULL && exp->drv->quiet(exp->priv);
}

void
plx_export_destroy(struct plx_export *exp)
{
	if (exp == NULL)
		return;
	exp->drv->destroy(exp->priv);
	export_free(exp);
}

const char *
plx_export_name(const struct plx_export *exp)
{
	return exp->name;
}

const char *
plx_export_dev(const struct plx_export *exp, uint32_t i)
{
	return i < exp->nb_devs ? exp->devs[i] : NULL;
}

void
plx_export_stats_get(const struct plx_export *exp, struct plx_export_stats *st)
{
	exp->drv->stats(exp->priv, st);
}

const char *
plx_export_help(uint32_t i)
{
	const struct plx_exporter *const *e = plx_builtin_exporters;

	while (*e != NULL && i-- > 0)
		e++;
	return *e != NULL ? (*e)->help : NULL;
}
