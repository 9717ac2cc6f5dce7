/* SPDX-License-Identifier: BSD-3-Clause */
/* Values of options. */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "opts.h"

bool
tb_parse_size(const char *s, uint64_t *out)
{
	static const char units[] = "KMGT";
	const char *unit;
	unsigned int shift = 0;
	char *end;

	if (!isdigit((unsigned char)*s))
		return false;
	errno = 0;
	*out = strtoull(s, &end, 10);
	if (errno != 0)
		return false;
	unit = *end == '\0' ? NULL : strchr(units, toupper((unsigned char)*end));
	if (unit != NULL) {
		shift = 10 * (unsigned int)(unit - units + 1);
		end++;
		if (end[0] == 'i')
			end++;
	}
	if (end[0] == 'B' || end[0] == 'b')
		end++;
	if (*end != '\0' || *out > UINT64_MAX >> shift)
		return false;
	*out <<= shift;
	return true;
}

bool
tb_parse_number(const char *s, uint64_t min, uint64_t max, uint64_t *out)
{
	char *end;

	if (!isdigit((unsigned char)*s))
		return false;
	errno = 0;
	*out = strtoull(s, &end, 0);
	return errno == 0 && *end == '\0' && *out >= min && *out <= max;
}

bool
tb_parse_time(const char *s, const char *unit, double *out)
{
	static const struct {
		const char *unit;
		double s;
	} units[] = {{"us", 1e-6}, {"ms", 1e-3}, {"s", 1}, {"m", 60}, {"h", 3600}, {"d", 86400}};
	char *end;

	if (!isdigit((unsigned char)*s))
		return false;
	errno = 0;
	*out = strtod(s, &end);
	if (errno != 0 || end == s)
		return false;
	if (*end != '\0')
		unit = end;
	for (unsigned int i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (strcmp(unit, units[i].unit) != 0)
			continue;
		*out *= units[i].s;
		return *out > 0 && *out < 1e7;
	}
	return false;
}

static void
store(void *at, uint16_t width, uint64_t n)
{
	if (width == sizeof(uint16_t))
		*(uint16_t *)at = (uint16_t)n;
	else if (width == sizeof(uint32_t))
		*(uint32_t *)at = (uint32_t)n;
	else
		*(uint64_t *)at = n;
}

static const char *
set_number(const struct tb_option *opt, void *at, const char *val)
{
	static char right[64];
	uint64_t n;

	if (tb_parse_number(val, opt->min, opt->max, &n)) {
		store(at, opt->width, n);
		return NULL;
	}
	if (opt->max == UINT64_MAX)
		return "a number";
	snprintf(right, sizeof(right), "a number from %" PRIu64 " to %" PRIu64, opt->min, opt->max);
	return right;
}

static const char *
set_size(const struct tb_option *opt, void *at, const char *val)
{
	static char right[64];
	uint64_t n;

	if (tb_parse_size(val, &n) && n >= opt->min && n <= opt->max) {
		store(at, opt->width, n);
		return NULL;
	}
	if (opt->max == UINT64_MAX)
		return "a size, as 64M or 1G";
	snprintf(right, sizeof(right), "a size of %" PRIu64 " to %" PRIu64 " bytes, as 4k or 128K",
		opt->min, opt->max);
	return right;
}

static const char *
set_flag(bool *flag, const char *val)
{
	bool yes = val == NULL || strcmp(val, "1") == 0 || strcmp(val, "yes") == 0;

	if (!yes && strcmp(val, "0") != 0 && strcmp(val, "no") != 0)
		return "yes or no, or 1 or 0";
	*flag = yes;
	return NULL;
}

const char *
tb_option_set(const struct tb_option *opt, struct tb_opts *o, const char *val)
{
	void *at = (char *)o + opt->at;

	switch (opt->kind) {
	case TB_OPT_FLAG:
		return set_flag(at, val);
	case TB_OPT_NUMBER:
		return set_number(opt, at, val);
	case TB_OPT_SIZE:
		return set_size(opt, at, val);
	case TB_OPT_SECONDS:
		return tb_parse_time(val, "s", at) ? NULL
						   : "seconds, as 10 or 0.5; also 500ms, 2m, 1h";
	case TB_OPT_USEC:
		return tb_parse_time(val, "us", at) ? NULL : "microseconds, as 100; also 5ms, 1s";
	case TB_OPT_TEXT:
		*(const char **)at = val;
		return *val != '\0' ? NULL : "a name";
	case TB_OPT_FN:
		return opt->set(o, val);
	case TB_OPT_ANSWER:
		break;
	}
	return "for the command line";
}
