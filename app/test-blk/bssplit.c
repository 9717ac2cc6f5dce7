/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bssplit.h"
#include "opts.h"

#define TEXT 1024 /* of one direction */

static bool
one_size(const char *text, uint32_t *out)
{
	uint64_t n;

	if (!tb_parse_size(text, &n) || n == 0 || n > TB_SIZE_BYTES_MAX)
		return false;
	*out = (uint32_t)n;
	return true;
}

static bool
list_part(void *out, char *text)
{
	struct tb_sizes *s = out;
	*s = (struct tb_sizes){.n = 1, .upto = {UINT32_MAX}};
	return one_size(text, &s->bytes[0]);
}

static bool
range_part(void *out, char *text)
{
	struct tb_sizes *s = out;
	char *to = strchr(text, '-');

	*s = (struct tb_sizes){.n = 0};
	if (to == NULL)
		return list_part(s, text);
	*to++ = '\0';
	return one_size(text, &s->bytes[0]) && one_size(to, &s->bytes[1]) &&
	       s->bytes[0] <= s->bytes[1];
}

/* "4k/60", "4k/" or "4k"; share -1: left out. */
static bool
split_item(char *text, uint32_t *bytes, double *share)
{
	char *slash = strchr(text, '/'), *end;

	*share = -1;
	if (slash != NULL) {
		*slash++ = '\0';
		if (*slash != '\0') {
			*share = strtod(slash, &end);
			if (end == slash || *end != '\0' || !(*share >= 0 && *share <= 100))
				return false;
		}
	}
	return one_size(text, bytes);
}

bool
tb_share_out(const double *share, uint32_t n, uint32_t *upto)
{
	double given = 0, at = 0, rest;
	uint32_t left_out = 0;

	for (uint32_t i = 0; i < n; i++) {
		left_out += share[i] < 0;
		given += share[i] < 0 ? 0 : share[i];
	}
	if (given > 100.0001 || (left_out == 0 && given < 99.9999))
		return false;
	rest = left_out == 0 ? 0 : (100 - given) / left_out;
	for (uint32_t i = 0; i < n; i++) {
		at += share[i] < 0 ? rest : share[i];
		upto[i] = at >= 99.9999 ? UINT32_MAX : (uint32_t)(at / 100 * 0x1p32);
	}
	upto[n - 1] = UINT32_MAX;
	return true;
}

static bool
split_part(void *out, char *text)
{
	struct tb_sizes *s = out;
	double share[TB_SIZES_MAX];
	char *save = NULL;

	*s = (struct tb_sizes){.n = 0};
	for (char *t = strtok_r(text, ":", &save); t != NULL; t = strtok_r(NULL, ":", &save)) {
		if (s->n == TB_SIZES_MAX || !split_item(t, &s->bytes[s->n], &share[s->n]))
			return false;
		s->n++;
	}
	return s->n > 0 && tb_share_out(share, s->n, s->upto);
}

bool
tb_dirs_parse(
	const char *text, void *out, size_t size, bool inherit, bool (*part)(void *out, char *text))
{
	char *at = out, copy[TEXT];
	unsigned int n = 0;

	for (;; text++, at += size) {
		size_t len = strcspn(text, ",");

		if (n == TB_DIRS || len >= sizeof(copy))
			return false;
		snprintf(copy, sizeof(copy), "%.*s", (int)len, text);
		if (len == 0 && n > 0 && inherit)
			memcpy(at, at - size, size);
		else if (!part(at, copy))
			return false;
		n++;
		text += len;
		if (*text == '\0')
			break;
	}
	for (inherit |= n == 1; n < TB_DIRS; n++) {
		at += size;
		if (inherit)
			memcpy(at, at - size, size);
		else
			memset(at, 0, size);
	}
	return true;
}

static bool
sizes_parse(struct tb_sizes s[TB_DIRS], const char *text, bool (*part)(void *out, char *text))
{
	struct tb_sizes new[TB_DIRS];

	if (!tb_dirs_parse(text, new, sizeof(new[0]), true, part))
		return false;
	memcpy(s, new, sizeof(new));
	return true;
}

const char *
tb_sizes_list(struct tb_sizes s[TB_DIRS], const char *text)
{
	return sizes_parse(s, text, list_part)
		       ? NULL
		       : "a size of 1 byte to 1G, as 4k or 128K; also 4k,8k,16k for "
			 "reads, writes, trims";
}

const char *
tb_sizes_range(struct tb_sizes s[TB_DIRS], const char *text)
{
	return sizes_parse(s, text, range_part)
		       ? NULL
		       : "a range of sizes, as 4k-64k, or two with a comma";
}

const char *
tb_sizes_split(struct tb_sizes s[TB_DIRS], const char *text)
{
	return sizes_parse(s, text, split_part)
		       ? NULL
		       : "sizes with shares that make 100, as 4k/60:64k/40, for reads, writes and "
			 "trims with commas";
}

static uint32_t
gcd(uint32_t a, uint32_t b)
{
	while (b != 0) {
		uint32_t r = a % b;

		a = b;
		b = r;
	}
	return a;
}

uint32_t
tb_sizes_unit(const struct tb_sizes s[TB_DIRS])
{
	uint32_t unit = 0;

	for (unsigned int d = 0; d < TB_DIRS; d++)
		for (uint32_t i = 0; i < (s[d].n == 0 ? 1 : s[d].n); i++)
			unit = gcd(s[d].bytes[i], unit);
	return unit;
}

uint32_t
tb_sizes_max(const struct tb_sizes s[TB_DIRS])
{
	uint32_t max = 0;

	for (unsigned int d = 0; d < TB_DIRS; d++)
		for (uint32_t i = 0; i < (s[d].n == 0 ? 2 : s[d].n); i++)
			max = s[d].bytes[i] > max ? s[d].bytes[i] : max;
	return max;
}
