/* SPDX-License-Identifier: BSD-3-Clause */
/* fio's iolog, versions 2 and 3: a line an action. Times are microseconds. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "opts.h"
#include "replay.h"

#define WORDS 5
#define WAIT_LEAST 100 /* us; shorter ones are discarded, as fio does */

/* Where the parser is. */
struct iolog {
	struct tb_trace *t;
	const char *path;
	unsigned int line, version;
	uint64_t clock_us; /* version 2: the sum of all waits */
};

static int
wrong(const struct iolog *l, const char *what)
{
	tb_say("%s: line %u: %s", l->path, l->line, what);
	return -EINVAL;
}

static int
add_io(struct iolog *l, uint8_t op, int file, uint64_t us, const char *offset, const char *length)
{
	struct tb_trace_io io = {.op = op, .file = (uint16_t)file};
	uint64_t n = 0;

	if (us > UINT64_MAX / 1000)
		return wrong(l, "a time that can't be");
	io.due_ns = us * 1000;
	if (op != PLX_OP_FLUSH) {
		if (offset == NULL || length == NULL ||
			!tb_parse_number(offset, 0, INT64_MAX, &io.offset) ||
			!tb_parse_number(length, 1, UINT32_MAX, &n))
			return wrong(l, "an I/O has an offset and a length, in bytes");
		if (op != PLX_OP_DISCARD && n > TB_SIZE_BYTES_MAX)
			return wrong(l, "an I/O of more than 1G");
		io.bytes = (uint32_t)n;
	}
	return tb_trace_add(l->t, &io);
}

static uint8_t
op_of(const char *action)
{
	static const struct {
		const char *name;
		uint8_t op;
	} ops[] = {{"read", PLX_OP_READ}, {"write", PLX_OP_WRITE}, {"trim", PLX_OP_DISCARD},
		{"sync", PLX_OP_FLUSH}, {"datasync", PLX_OP_FLUSH}};

	for (unsigned int i = 0; i < sizeof(ops) / sizeof(ops[0]); i++)
		if (strcmp(action, ops[i].name) == 0)
			return ops[i].op;
	return PLX_OP_MAX;
}

/* Of version 2, words[0] is the file's name; of version 3 the time stands before it. */
static int
action(struct iolog *l, char **words)
{
	uint64_t us = l->clock_us;
	uint8_t op;
	int file;

	if (l->version == 3 && !tb_parse_number(*words++, 0, UINT64_MAX, &us))
		return wrong(l, "no time at its begin");
	if (words[0] == NULL || words[1] == NULL)
		return wrong(l, "a file and an action were expected");
	if (l->version == 2 && strcmp(words[1], "wait") == 0) {
		if (words[2] == NULL || !tb_parse_number(words[2], 0, INT64_MAX, &us) ||
			l->clock_us + us < us)
			return wrong(l, "wait has a number of microseconds");
		l->clock_us += us >= WAIT_LEAST ? us : 0;
		return 0;
	}
	file = tb_trace_file(l->t, words[0]);
	if (file < 0)
		return wrong(l, "too many files, or a name that is too long");
	if (strcmp(words[1], "add") == 0 || strcmp(words[1], "open") == 0 ||
		strcmp(words[1], "close") == 0)
		return 0;
	op = op_of(words[1]);
	if (op == PLX_OP_MAX)
		return wrong(l, "an action that iologs don't have");
	return add_io(l, op, file, us, words[2], words[2] == NULL ? NULL : words[3]);
}

static int
parse_line(struct iolog *l, char *text)
{
	char *words[WORDS + 3] = {NULL}, *save;
	unsigned int n = 0;

	for (char *w = strtok_r(text, " \t\r", &save); w != NULL;
		w = strtok_r(NULL, " \t\r", &save)) {
		if (n == WORDS)
			return wrong(l, "too many words");
		words[n++] = w;
	}
	return n == 0 ? 0 : action(l, words);
}

int
tb_iolog_parse(struct tb_trace *t, const char *path, char *text, size_t len)
{
	struct iolog l = {.t = t, .path = path, .line = 1};
	char *end = text + len, *next;
	int rc = 0;

	for (; rc == 0 && text < end; text = next, l.line++) {
		next = memchr(text, '\n', (size_t)(end - text));
		if (next == NULL)
			return wrong(&l, "cut off");
		*next++ = '\0';
		if (l.line > 1)
			rc = parse_line(&l, text);
		else if (sscanf(text, "fio version %u iolog", &l.version) != 1 ||
			 (l.version != 2 && l.version != 3))
			rc = wrong(&l, "not 'fio version 2 iolog' or 'fio version 3 iolog'");
	}
	return rc;
}
