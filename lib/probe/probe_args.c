/* SPDX-License-Identifier: BSD-3-Clause */
/* What drivers ask about their arguments. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "plx_log.h"

#include "probe_priv.h"

PLX_LOG_USE(probe);

static int
unit_shift(char c)
{
	switch (toupper((unsigned char)c)) {
	case 'K':
		return 10;
	case 'M':
		return 20;
	case 'G':
		return 30;
	case 'T':
		return 40;
	default:
		return 0;
	}
}

int
plx_parse_size(const char *s, uint64_t *out)
{
	unsigned long long v;
	int shift;
	char *end;

	if (!isdigit((unsigned char)*s))
		return -EINVAL;
	errno = 0;
	v = strtoull(s, &end, 10);
	if (errno != 0)
		return -ERANGE;
	shift = unit_shift(*end);
	if (shift != 0) {
		end++;
		if (*end == 'i')
			end++;
	}
	if (*end == 'B')
		end++;
	if (*end != '\0')
		return -EINVAL;
	if (v > UINT64_MAX >> shift)
		return -ERANGE;
	*out = v << shift;
	return 0;
}

const char *
plx_arg_str(const struct plx_dev *dev, const char *key)
{
	return rte_kvargs_get(dev->args, key);
}

int
plx_arg_bad(const struct plx_dev *dev, const char *key, const char *why)
{
	const char *v = plx_arg_str(dev, key);

	PLX_LOG(ERR, "'%s': %s%s%s %s; use %s", dev->str, key, v != NULL ? "=" : "",
		v != NULL ? v : "", why, probe_help(dev));
	return -EINVAL;
}

int
plx_arg_size(const struct plx_dev *dev, const char *key, uint64_t def, uint64_t *out)
{
	const char *v = plx_arg_str(dev, key);

	*out = def;
	if (v == NULL)
		return 0;
	switch (plx_parse_size(v, out)) {
	case 0:
		return 0;
	case -ERANGE:
		return plx_arg_bad(dev, key, "is too large");
	default:
		return plx_arg_bad(dev, key, "is not a size such as 4096, 4K or 1G");
	}
}

int
plx_arg_u32(const struct plx_dev *dev, const char *key, uint32_t min, uint32_t max, uint32_t def,
	uint32_t *out)
{
	char why[64];
	uint64_t v;

	if (plx_arg_size(dev, key, def, &v) != 0)
		return -EINVAL;
	if (plx_arg_str(dev, key) != NULL && (v < min || v > max)) {
		snprintf(why, sizeof(why), "is not within %u to %u", min, max);
		return plx_arg_bad(dev, key, why);
	}
	*out = (uint32_t)v;
	return 0;
}

int
plx_arg_bool(const struct plx_dev *dev, const char *key, bool def, bool *out)
{
	static const char *const yes[] = {"1", "yes", "on", "true"};
	static const char *const no[] = {"0", "no", "off", "false"};
	const char *v = plx_arg_str(dev, key);
	unsigned int i;

	*out = def;
	if (v == NULL)
		return 0;
	for (i = 0; i < RTE_DIM(yes); i++) {
		if (strcmp(v, yes[i]) == 0 || strcmp(v, no[i]) == 0) {
			*out = strcmp(v, yes[i]) == 0;
			return 0;
		}
	}
	return plx_arg_bad(dev, key, "is neither 0 nor 1");
}
