/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TB_REPORT_JSON_H
#define TB_REPORT_JSON_H
/**
 * @file
 * Keys and values of the JSON report; report_json.c has ours, report_fio.c those of fio.
 */
#include <stdio.h>

#include <json-c/json.h>

#include "testblk.h"

typedef struct json_object json; /* short, for what follows */

static inline void
add_u64(json *o, const char *key, uint64_t v)
{
	json_object_object_add(o, key, json_object_new_uint64(v));
}

static inline json *
number(double v)
{
	char text[32];

	snprintf(text, sizeof(text), "%.9g", v);
	return json_object_new_double_s(v, text);
}

static inline void
add_double(json *o, const char *key, double v)
{
	json_object_object_add(o, key, number(v));
}

static inline void
add_str(json *o, const char *key, const char *v)
{
	json_object_object_add(o, key, json_object_new_string(v));
}

static inline void
add_bool(json *o, const char *key, bool v)
{
	json_object_object_add(o, key, json_object_new_boolean(v));
}

static inline json *
add_object(json *o, const char *key)
{
	json *sub = json_object_new_object();

	json_object_object_add(o, key, sub);
	return sub;
}

static inline json *
add_array(json *o, const char *key)
{
	json *sub = json_object_new_array();

	json_object_object_add(o, key, sub);
	return sub;
}

/** What fio says at the top of its report. */
void tb_fio_head(json *root);
/** A job as fio reports it; ours goes under "plx". */
json *tb_fio_job(const struct tb_job *job, uint32_t index);

#endif
