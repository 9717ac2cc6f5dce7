/* SPDX-License-Identifier: BSD-3-Clause */
/* Export strings: protocol:address,key=value,... */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_common.h>

#include "plx_log.h"

#include "export_priv.h"

PLX_LOG_TYPE(export, NOTICE);

static int
refuse(const struct plx_export *exp, const char *part, const char *why)
{
	PLX_LOG(ERR, "export '%s': '%s' %s; use %s", exp->str, part, why, exp->drv->help);
	return -EINVAL;
}

static int
no_protocol(const struct plx_export *exp, size_t len)
{
	const struct plx_exporter *const *e;
	char known[128] = "";
	size_t n = 0;

	for (e = plx_builtin_exporters; *e != NULL && n < sizeof(known); e++)
		n += (size_t)snprintf(
			known + n, sizeof(known) - n, "%s%s", n != 0 ? ", " : "", (*e)->name);
	PLX_LOG(ERR, "export '%s': no protocol '%.*s'; known are: %s", exp->str, (int)len, exp->str,
		known[0] != '\0' ? known : "none, this build has no exports");
	return -ENOENT;
}

static int
find_protocol(struct plx_export *exp, size_t len)
{
	const struct plx_exporter *const *e;

	for (e = plx_builtin_exporters; *e != NULL; e++) {
		if (strlen((*e)->name) == len && strncmp((*e)->name, exp->str, len) == 0) {
			exp->drv = *e;
			return 0;
		}
	}
	return no_protocol(exp, len);
}

static bool
known_key(const struct plx_export *exp, const char *key)
{
	const char *const *k;

	for (k = exp->drv->keys; *k != NULL; k++)
		if (strcmp(*k, key) == 0)
			return true;
	return false;
}

static int
take_dev(struct plx_export *exp, const char *name)
{
	uint32_t i;

	for (i = 0; i < exp->nb_devs; i++)
		if (strcmp(exp->devs[i], name) == 0)
			return refuse(exp, name, "is exported twice");
	if (exp->nb_devs == PLX_EXPORT_DEVS)
		return refuse(exp, name, "is one device too many");
	exp->devs[exp->nb_devs++] = name;
	return 0;
}

static int
take_part(struct plx_export *exp, char *part)
{
	char *val = strchr(part, '=');

	if (val == NULL || val == part || val[1] == '\0')
		return refuse(exp, part, "is not key=value");
	*val++ = '\0';
	if (strcmp(part, "dev") == 0)
		return take_dev(exp, val);
	if (!known_key(exp, part))
		return refuse(exp, part, "is no known key");
	if (plx_export_arg(exp, part) != NULL)
		return refuse(exp, part, "is there twice");
	if (exp->nb_args == PLX_EXPORT_ARGS)
		return refuse(exp, part, "is one key too many");
	exp->args[exp->nb_args].key = part;
	exp->args[exp->nb_args++].val = val;
	return 0;
}

int
export_parse(struct plx_export *exp)
{
	size_t len = strcspn(exp->str, ":"), end = strcspn(exp->str, ",");
	char *rest, *part;
	int rc = find_protocol(exp, len);

	if (rc != 0)
		return rc;
	if (exp->str[len] == '\0' || end <= len + 1)
		return refuse(exp, exp->str, "doesn't say where");
	exp->name = strndup(exp->str, end);
	exp->parts = strdup(exp->str + end);
	if (exp->name == NULL || exp->parts == NULL)
		return -ENOMEM;
	exp->addr = exp->name + len + 1;
	rest = exp->parts[0] == ',' ? exp->parts + 1 : NULL;
	while (rc == 0 && (part = strsep(&rest, ",")) != NULL)
		rc = take_part(exp, part);
	if (rc == 0 && exp->nb_devs == 0)
		return refuse(exp, exp->str, "names no device: dev=NAME is missing");
	return rc;
}

const char *
plx_export_arg(const struct plx_export *exp, const char *key)
{
	uint32_t i;

	for (i = 0; i < exp->nb_args; i++)
		if (strcmp(exp->args[i].key, key) == 0)
			return exp->args[i].val;
	return NULL;
}

int
plx_export_arg_u32(const struct plx_export *exp, const char *key, uint32_t min, uint32_t max,
	uint32_t def, uint32_t *out)
{
	const char *val = plx_export_arg(exp, key);
	unsigned long n;
	char *end;

	*out = def;
	if (val == NULL)
		return 0;
	errno = 0;
	n = strtoul(val, &end, 10);
	if (errno != 0 || *end != '\0' || val[0] < '0' || val[0] > '9' || n < min || n > max) {
		PLX_LOG(ERR, "export '%s': %s=%s is not a number from %u to %u", exp->str, key, val,
			min, max);
		return -EINVAL;
	}
	*out = (uint32_t)n;
	return 0;
}

int
plx_export_arg_bool(const struct plx_export *exp, const char *key, bool def, bool *out)
{
	uint32_t n;
	int rc = plx_export_arg_u32(exp, key, 0, 1, def, &n);

	*out = n != 0;
	return rc;
}
