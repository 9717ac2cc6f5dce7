/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Device strings. rte_kvargs keeps the pairs, but each part is checked before it is let near:
 * rte_kvargs_parse() takes "a=b=c" for b=c, "a" for a NULL value, keeps duplicates and blanks.
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_common.h>

#include "plx_log.h"

#include "probe_priv.h"

PLX_LOG_TYPE(probe, NOTICE);

#define PAIRS_MAX 31 /* RTE_KVARGS_MAX is 32 */

const struct probe_transport *
probe_transport(const struct plx_dev *dev)
{
	size_t len = strcspn(dev->str, ":");
	const struct probe_transport *t;

	for (t = probe_transports; t->name != NULL; t++)
		if (strlen(t->name) == len && strncmp(dev->str, t->name, len) == 0)
			return t;
	return NULL;
}

/* ---- the prefix ---- */

void
probe_append(char *list, size_t size, const char *word)
{
	size_t n = strlen(list);

	snprintf(list + n, size - n, "%s%s", n != 0 ? ", " : "", word);
}

static int
no_driver(const char *str, size_t len)
{
	struct probe_near near = {.word = str, .len = len};
	const struct probe_transport *t;
	const struct plx_driver *d;
	char known[256] = "";

	for (t = probe_transports; t->name != NULL; t++) {
		probe_append(known, sizeof(known), t->name);
		probe_near_try(&near, t->name);
	}
	for (d = plx_driver_next(NULL); d != NULL; d = plx_driver_next(d)) {
		if (d->pci_ids != NULL)
			continue;
		probe_append(known, sizeof(known), d->name);
		probe_near_try(&near, d->name);
	}
	PLX_LOG(ERR, "'%s': no driver '%.*s'%s%s%s; known are: %s", str, (int)len, str,
		near.best != NULL ? ", did you mean '" : "", near.best != NULL ? near.best : "",
		near.best != NULL ? "'?" : "", known);
	return -ENOENT;
}

static int
find_driver(struct plx_dev *dev, size_t len)
{
	if (probe_transport(dev) != NULL)
		return 0;
	dev->drv = probe_driver_find(dev->str, len);
	if (dev->drv == NULL || dev->drv->pci_ids != NULL) {
		dev->drv = NULL;
		return no_driver(dev->str, len);
	}
	return 0;
}

/* ---- keys ---- */

static bool
in(const char *const *keys, const char *key, size_t len)
{
	for (; keys != NULL && *keys != NULL; keys++)
		if (strlen(*keys) == len && strncmp(*keys, key, len) == 0)
			return true;
	return false;
}

/* Each key list that applies: the transport's, and those of drv, or of all PCI drivers. */
static const char *const *
next_keys(const struct plx_dev *dev, const struct plx_driver *drv, unsigned int i)
{
	const struct probe_transport *t = probe_transport(dev);
	const struct plx_driver *d;

	if (t != NULL && i-- == 0)
		return t->keys;
	if (drv != NULL)
		return i == 0 ? drv->keys : NULL;
	for (d = plx_driver_next(NULL); d != NULL; d = plx_driver_next(d))
		if (d->pci_ids != NULL && d->keys != NULL && i-- == 0)
			return d->keys;
	return NULL;
}

static int
check_key(const struct plx_dev *dev, const struct plx_driver *drv, const char *key, size_t len)
{
	struct probe_near near = {.word = key, .len = len};
	const char *const *keys;
	char known[256] = "name";
	unsigned int i;

	for (i = 0; (keys = next_keys(dev, drv, i)) != NULL; i++)
		if (in(keys, key, len))
			return 0;
	probe_near_try(&near, "name");
	for (i = 0; (keys = next_keys(dev, drv, i)) != NULL; i++) {
		for (; *keys != NULL; keys++) {
			probe_append(known, sizeof(known), *keys);
			probe_near_try(&near, *keys);
		}
	}
	PLX_LOG(ERR, "'%s': unknown key '%.*s'%s%s%s; known are: %s", dev->str, (int)len, key,
		near.best != NULL ? ", did you mean '" : "", near.best != NULL ? near.best : "",
		near.best != NULL ? "'?" : "", known);
	return -EINVAL;
}

int
probe_check_keys(const struct plx_dev *dev, const struct plx_driver *drv)
{
	unsigned int i;
	int rc = 0;

	for (i = 0; i < dev->args->count && rc == 0; i++)
		rc = check_key(dev, drv, dev->args->pairs[i].key, strlen(dev->args->pairs[i].key));
	return rc;
}

/* ---- parts ---- */

const char *
probe_help(const struct plx_dev *dev)
{
	const struct probe_transport *t = probe_transport(dev);

	return t != NULL ? t->help : dev->drv->help;
}

static int
refuse(const struct plx_dev *dev, const char *part, const char *why)
{
	PLX_LOG(ERR, "'%s': '%s' %s; use %s", dev->str, part, why, probe_help(dev));
	return -EINVAL;
}

static bool
has_blank(const char *s)
{
	for (; *s != '\0'; s++)
		if (isspace((unsigned char)*s))
			return true;
	return false;
}

static int
check_pair(const struct plx_dev *dev, const char *part)
{
	const char *eq = strchr(part, '=');

	if (*part == '\0')
		return refuse(dev, part, "is an empty part: a ',' too many");
	if (has_blank(part))
		return refuse(dev, part, "has a blank in it");
	if (eq == NULL)
		return refuse(dev, part, "has no value: key=value is wanted");
	if (eq == part)
		return refuse(dev, part, "has no key");
	if (eq[1] == '\0')
		return refuse(dev, part, "has no value");
	if (strchr(eq + 1, '=') != NULL)
		return refuse(dev, part, "has two '='");
	if (strpbrk(part, "[]") != NULL)
		return refuse(dev, part, "has a bracket in it");
	return 0;
}

static int
set_name(struct plx_dev *dev, const char *part, const char *name)
{
	const char *c;

	if (dev->name[0] != '\0')
		return refuse(dev, part, "is there twice");
	for (c = name; *c != '\0'; c++)
		if (!isalnum((unsigned char)*c) && strchr("_.-", *c) == NULL)
			return refuse(
				dev, part, "is not made of letters, digits, '_', '.' and '-'");
	if (c - name >= PLX_DEV_NAME_MAX)
		return refuse(dev, part, "is too long a name");
	memcpy(dev->name, name, (size_t)(c - name) + 1);
	return 0;
}

/* One key=value; those that rte_kvargs will keep are gathered in pairs. */
static int
take_pair(struct plx_dev *dev, const char *part, char *pairs)
{
	size_t len = strcspn(part, "="), n = strlen(pairs);
	const char *p;
	int rc = check_pair(dev, part);

	if (rc != 0)
		return rc;
	if (strncmp(part, "name=", 5) == 0)
		return set_name(dev, part, part + 5);
	rc = check_key(dev, dev->drv, part, len);
	if (rc != 0)
		return rc;
	for (p = pairs; *p != '\0'; p += strcspn(p, ","), p += *p == ',')
		if (strncmp(p, part, len + 1) == 0)
			return refuse(dev, part, "repeats a key");
	sprintf(pairs + n, "%s%s", n != 0 ? "," : "", part);
	return 0;
}

static int
take_parts(struct plx_dev *dev, char *rest, char *pairs)
{
	unsigned int count;
	char *part;
	int rc = 0;

	if (*rest != '\0' && (*rest == '/' || strchr(rest, '=') == NULL ||
				     strcspn(rest, ",") < strcspn(rest, "="))) {
		dev->addr = strsep(&rest, ",");
		if (*dev->addr == '\0')
			return refuse(dev, dev->addr, "is an empty part: a ',' too many");
		if (isspace((unsigned char)dev->addr[0]) ||
			isspace((unsigned char)dev->addr[strlen(dev->addr) - 1]))
			return refuse(dev, dev->addr, "begins or ends with a blank");
	} else if (*rest == '\0') {
		rest = NULL;
	}
	for (count = 0; rc == 0 && (part = strsep(&rest, ",")) != NULL; count++)
		rc = count == PAIRS_MAX ? refuse(dev, part, "is one key too many")
					: take_pair(dev, part, pairs);
	return rc;
}

int
probe_parse(struct plx_dev *dev, const char *str)
{
	size_t len = strcspn(str, ":"), size = strlen(str) + 1;
	char *pairs = NULL;
	int rc = -ENOMEM;

	/* the string for messages, and behind it a copy to cut the address from */
	dev->str = malloc(2 * size);
	pairs = calloc(1, size);
	if (dev->str == NULL || pairs == NULL)
		goto out;
	memcpy(dev->str, str, size);
	memcpy(dev->str + size, str, size);
	dev->addr = dev->str + size - 1; /* "" */

	rc = find_driver(dev, len);
	if (rc != 0)
		goto out;
	rc = take_parts(dev, dev->str + size + RTE_MIN(len + 1, size - 1), pairs);
	if (rc != 0)
		goto out;
	dev->args = rte_kvargs_parse(pairs, NULL);
	rc = dev->args == NULL ? -ENOMEM : 0;
out:
	free(pairs);
	return rc;
}
