/* SPDX-License-Identifier: BSD-3-Clause */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "jobfile.h"
#include "testblk.h"

/* Where the parser is. */
struct parser {
	struct tb_jobs *jobs;
	const char *path;
	unsigned int line;
	struct tb_opts global; /* what the next job begins with */
	struct tb_opts *at;    /* what the lines are about; NULL: no section yet */
	bool devs_here;        /* this section has named a device */
	uint32_t walls;
};

static char *
trim(char *s)
{
	char *end;

	while (isspace((unsigned char)*s))
		s++;
	for (end = s + strlen(s); end > s && isspace((unsigned char)end[-1]); end--)
		;
	*end = '\0';
	return s;
}

static int
wrong(const struct parser *p, const char *what, const char *name)
{
	tb_say("%s: line %u: %s%s", p->path, p->line, what, name);
	return TB_USAGE;
}

/* ---- sections ---- */

static int
end_section(struct parser *p)
{
	const char *what;

	if (p->at == NULL || p->at == &p->global)
		return TB_OK;
	what = tb_opts_complete(p->at);
	return what == NULL ? TB_OK : wrong(p, what, "");
}

static int
begin_section(struct parser *p, char *text)
{
	char *end = strchr(text, ']'), *name = text + 1;
	int rc = end_section(p);

	if (rc != TB_OK)
		return rc;
	if (end == NULL || end == name || end[1] != '\0')
		return wrong(p, "a section is [name]", "");
	*end = '\0';
	p->devs_here = false;
	p->at = &p->global;
	if (strcmp(name, "global") == 0)
		return TB_OK;
	if (p->jobs->n == TB_JOBS_MAX)
		return wrong(p, "more than 64 jobs", "");
	p->at = &p->jobs->opts[p->jobs->n++];
	*p->at = p->global;
	p->at->name = name;
	p->at->group = p->walls;
	return TB_OK;
}

/* ---- lines ---- */

/* Keys that only job files have. @return whether it is one */
static bool
own_key(struct parser *p, const char *key, char *val)
{
	if (strcmp(key, "name") == 0 && val != NULL)
		p->at->name = val;
	else if (strcmp(key, "stonewall") == 0)
		p->at->group = p->at == &p->global ? 0 : ++p->walls;
	else
		return strcmp(key, "description") == 0;
	return true;
}

/* fio writes a ':' in a file's name as "\:". */
static void
unescape(char *s)
{
	char *to = s;

	for (; *s != '\0'; s++)
		if (s[0] != '\\' || s[1] != ':')
			*to++ = *s;
	*to = '\0';
}

static int
unknown(const struct parser *p, const char *key)
{
	if (p->global.ignore_unknown) {
		tb_say("%s: line %u: '%s' is ignored: there is no such option", p->path, p->line,
			key);
		return TB_OK;
	}
	tb_say("%s: line %u: '%s' is no option of plx-testblk; --ignore-unknown goes on without",
		p->path, p->line, key);
	return TB_USAGE;
}

static int
set_key(struct parser *p, char *key, char *val)
{
	const struct tb_option *opt = tb_opts_lookup(key, strlen(key));
	bool dev = opt != NULL && strcmp(opt->name, "dev") == 0;
	const char *right;

	if (own_key(p, key, val))
		return TB_OK;
	if (opt == NULL || (opt->def == NULL && !dev))
		return unknown(p, key);
	if (val == NULL && opt->arg != NULL)
		return wrong(p, "no value for ", key);
	if (dev) { /* a section that names devices works on these */
		p->at->ndev = p->devs_here ? p->at->ndev : 0;
		p->devs_here = true;
		unescape(val);
	}
	right = tb_option_set(opt, p->at, val);
	if (right == NULL)
		return TB_OK;
	tb_say("%s: line %u: %s: '%s' is not %s", p->path, p->line, key, val, right);
	return TB_USAGE;
}

static int
parse_line(struct parser *p, char *text)
{
	char *equals;

	text = trim(text);
	if (*text == '\0' || *text == ';' || *text == '#')
		return TB_OK;
	if (*text == '[')
		return begin_section(p, text);
	if (p->at == NULL)
		return wrong(p, "no [section] before ", text);
	equals = strchr(text, '=');
	if (equals != NULL)
		*equals = '\0';
	return set_key(p, trim(text), equals == NULL ? NULL : trim(equals + 1));
}

int
tb_jobs_parse(struct tb_jobs *jobs, const char *path, char *text, const struct tb_opts *base)
{
	struct parser p = {.jobs = jobs, .path = path, .global = *base};
	int rc = TB_OK;

	jobs->n = 0;
	jobs->opts = calloc(TB_JOBS_MAX, sizeof(*jobs->opts));
	if (jobs->opts == NULL) {
		tb_say("out of memory");
		return TB_FAIL;
	}
	while (rc == TB_OK && text != NULL) {
		char *next = strchr(text, '\n');

		if (next != NULL)
			*next++ = '\0';
		p.line++;
		rc = parse_line(&p, text);
		text = next;
	}
	if (rc == TB_OK)
		rc = end_section(&p);
	if (rc == TB_OK && jobs->n == 0) {
		tb_say("%s: there is no job in it", path);
		rc = TB_USAGE;
	}
	return rc;
}

int
tb_jobs_load(struct tb_jobs *jobs, const char *path, const struct tb_opts *base)
{
	FILE *f = strcmp(path, "-") == 0 ? stdin : fopen(path, "r");
	size_t room = 0;
	bool whole;
	ssize_t len;

	*jobs = (struct tb_jobs){.n = 0};
	if (f == NULL) {
		tb_say("--jobfile %s: %s", path, strerror(errno));
		return TB_USAGE;
	}
	len = getdelim(&jobs->text, &room, '\0', f);
	whole = len > 0 && feof(f) != 0;
	if (f != stdin)
		fclose(f);
	if (!whole) {
		tb_say("%s: %s", path,
			len <= 0 ? "nothing in it could be read"
				 : "there is a zero byte in it: it is no text");
		return TB_USAGE;
	}
	return tb_jobs_parse(jobs, path, jobs->text, base);
}

void
tb_jobs_free(struct tb_jobs *jobs)
{
	free(jobs->opts);
	free(jobs->text);
}
