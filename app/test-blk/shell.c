/* SPDX-License-Identifier: BSD-3-Clause */
/* The shell's engine: commands to librte_cmdline's instructions, and where lines come from. */
#include <ctype.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmdline.h>
#include <cmdline_parse.h>
#include <cmdline_parse_string.h>
#include <cmdline_socket.h>
#include <rte_cycles.h>

#include "shell.h"

#define PROMPT "testblk> "
#define LINE 1024

/* ---- tokens ---- */

/* A word to be filled in: <dev>, <setting> or anything. */
struct word {
	struct cmdline_token_hdr hdr;
	const struct tb_shell *sh;
	char what[32]; /* between the angle brackets */
};

static int
word_parse(cmdline_parse_token_hdr_t *tk, const char *src, void *res, unsigned int size)
{
	unsigned int n = 0;

	(void)tk;
	while (src[n] != '\0' && !isspace((unsigned char)src[n]))
		n++;
	if (n == 0 || n >= SHELL_WORD)
		return -1;
	if (res != NULL && n < size) {
		memcpy(res, src, n);
		((char *)res)[n] = '\0';
	}
	return (int)n;
}

/* Candidate i, or NULL. */
static const char *
candidate(const struct word *w, int i)
{
	const struct tb_option *table;

	if (strcmp(w->what, "dev") == 0) {
		for (const struct tb_dev *d = w->sh->session->devs; d != NULL; d = d->next)
			if (i-- == 0)
				return d->info.name;
	} else if (strcmp(w->what, "setting") == 0) {
		for (unsigned int n = tb_opts_table(&table); n > 0; n--, table++)
			if (table->def != NULL && i-- == 0)
				return table->name;
	}
	return NULL;
}

static int
word_complete_nb(cmdline_parse_token_hdr_t *tk)
{
	int n = 0;

	while (candidate((struct word *)tk, n) != NULL)
		n++;
	return n;
}

static int
word_complete(cmdline_parse_token_hdr_t *tk, int i, char *dst, unsigned int size)
{
	const char *text = candidate((struct word *)tk, i);

	if (text == NULL || strlen(text) >= size)
		return -1;
	strcpy(dst, text);
	return 0;
}

static int
word_help(cmdline_parse_token_hdr_t *tk, char *dst, unsigned int size)
{
	snprintf(dst, size, "<%s>", ((struct word *)tk)->what);
	return 0;
}

static struct cmdline_token_ops word_ops = {
	.parse = word_parse,
	.complete_get_nb = word_complete_nb,
	.complete_get_elt = word_complete,
	.get_help = word_help,
};

/* ---- instructions ---- */

union token {
	struct word word;
	struct cmdline_token_string literal;
	struct cmdline_token_hdr hdr;
};

/* A command in cmdline's form. */
struct instruction {
	struct tb_shell *sh;
	const struct shell_command *command;
	union token tokens[SHELL_WORDS];
	char text[128]; /* the literals */
	struct cmdline_inst *inst;
};

static void
run_command(void *parsed, struct cmdline *cl, void *data)
{
	const struct instruction *in = data;
	int rc;

	(void)cl;
	rc = in->command->fn(in->sh, parsed);
	in->sh->rc = RTE_MAX(in->sh->rc, rc);
	fflush(stdout);
}

static void
make_token(struct instruction *in, union token *t, char *word, unsigned int i)
{
	if (word[0] == '<') {
		t->word = (struct word){.hdr = {&word_ops, 0}, .sh = in->sh};
		snprintf(t->word.what, sizeof(t->word.what), "%.*s", (int)strlen(word) - 2,
			word + 1);
	} else {
		for (char *c = word; *c != '\0'; c++) /* a choice, as cmdline writes it */
			*c = *c == '|' ? '#' : *c;
		t->literal = (struct cmdline_token_string){
			{&cmdline_token_string_ops, 0}, {.str = word}};
	}
	t->hdr.offset = i * SHELL_WORD;
}

static int
make_instruction(struct instruction *in, struct tb_shell *sh, const struct shell_command *c)
{
	unsigned int n = 0;
	char *save;

	in->sh = sh;
	in->command = c;
	in->inst = calloc(1, sizeof(*in->inst) + (SHELL_WORDS + 1) * sizeof(in->inst->tokens[0]));
	if (in->inst == NULL)
		return -ENOMEM;
	snprintf(in->text, sizeof(in->text), "%s", c->pattern);
	for (char *w = strtok_r(in->text, " ", &save); w != NULL; w = strtok_r(NULL, " ", &save)) {
		make_token(in, &in->tokens[n], w, n);
		in->inst->tokens[n] = &in->tokens[n].hdr;
		n++;
	}
	in->inst->f = run_command;
	in->inst->data = in;
	in->inst->help_str = c->help;
	return 0;
}

/* ---- the run ---- */

static void
finish_run(struct tb_shell *sh)
{
	struct tb_run *run = sh->session->run;
	int rc = tb_report(run, NULL, tb_run_end(run));

	tb_run_free(run);
	fflush(stdout);
	sh->rc = RTE_MAX(sh->rc, rc);
}

struct until {
	struct tb_shell *sh;
	uint64_t tsc;
};

static int
time_is_up(void *arg)
{
	const struct until *u = arg;

	return rte_rdtsc() >= u->tsc || (tb_interrupted && u->sh->session->run == NULL);
}

void
shell_wait(struct tb_shell *sh, double seconds)
{
	struct until u = {sh, UINT64_MAX};

	if (seconds > 0)
		u.tsc = rte_rdtsc() + (uint64_t)(seconds * sh->session->hz);
	if (seconds <= 0 && sh->session->run == NULL)
		return;
	tb_run_drive(sh->session, time_is_up, &u);
	if (sh->session->run != NULL && tb_run_over(sh->session->run))
		finish_run(sh);
}

/* ---- lines ---- */

/* Remarks begin with '#', a line with blanks only is no command. @return its begin, or NULL */
static char *
strip(char *line)
{
	while (isspace((unsigned char)*line))
		line++;
	line[strcspn(line, "\n")] = '\0';
	return *line == '\0' || *line == '#' ? NULL : line;
}

static int
run_line(struct tb_shell *sh, char *line)
{
	char text[LINE];
	int rc;

	line = strip(line);
	if (line == NULL)
		return TB_OK;
	sh->rc = TB_OK;
	if (snprintf(text, sizeof(text), "%s\n", line) >= LINE) {
		tb_say("'%.20s...': a command has at most %u characters", line, LINE - 2);
		return TB_USAGE;
	}
	rc = cmdline_parse(sh->cl, text);
	if (rc >= 0)
		return sh->rc;
	tb_say("'%s': %s", line,
		rc == CMDLINE_PARSE_AMBIGUOUS  ? "stands for several commands"
		: rc == CMDLINE_PARSE_BAD_ARGS ? "its arguments are wrong; see help"
					       : "no such command; see help");
	return TB_USAGE;
}

static int
no_text(const char *path)
{
	tb_say("--cmdline-file %s: there is a zero byte in it: it is no text", path);
	return TB_USAGE;
}

/* Lines of a file; the first that fails ends them. */
static int
run_file(struct tb_shell *sh, const char *path)
{
	FILE *f = strcmp(path, "-") == 0 ? stdin : fopen(path, "r");
	char *line = NULL;
	size_t room = 0;
	ssize_t len = 0;
	int rc = TB_OK;

	if (f == NULL) {
		tb_say("--cmdline-file %s: %s", path, strerror(errno));
		return TB_USAGE;
	}
	while (rc == TB_OK && !sh->session->quit && (len = getline(&line, &room, f)) >= 0)
		rc = strlen(line) == (size_t)len ? run_line(sh, line) : no_text(path);
	if (len < 0 && ferror(f)) {
		tb_say("--cmdline-file %s: %s", path, strerror(errno));
		rc = TB_USAGE;
	}
	free(line);
	if (f != stdin)
		fclose(f);
	return rc;
}

static int
run_commands(struct tb_shell *sh, const char *text)
{
	char *copy = strdup(text), *save;
	int rc = copy == NULL ? TB_FAIL : TB_OK;

	for (char *c = copy == NULL ? NULL : strtok_r(copy, ";", &save);
		rc == TB_OK && c != NULL && !sh->session->quit; c = strtok_r(NULL, ";", &save))
		rc = run_line(sh, c);
	free(copy);
	return rc;
}

static bool
key_pressed(void)
{
	struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};

	return poll(&in, 1, 0) > 0 || tb_interrupted;
}

/* Something was printed where the user types: their line again. */
static void
show_line(struct tb_shell *sh)
{
	sh->session->told = false;
	fflush(stdout);
	cmdline_in(sh->cl, "\f", 1); /* control-L: the editor draws it */
}

static int
key_or_event(void *arg)
{
	struct tb_shell *sh = arg;

	if (sh->session->told)
		show_line(sh);
	return key_pressed();
}

/* The terminal: what runs goes on while nobody types. */
static void
interact(struct tb_shell *sh, cmdline_parse_ctx_t *ctx)
{
	struct cmdline *batch = sh->cl, *cl = cmdline_stdin_new(ctx, PROMPT);

	if (cl == NULL) {
		tb_say("the terminal can't be used");
		sh->rc = TB_FAIL;
		return;
	}
	sh->cl = cl;
	while (!sh->session->quit && !tb_interrupted) {
		tb_run_drive(sh->session, key_or_event, sh);
		if (sh->session->run != NULL && tb_run_over(sh->session->run)) {
			putchar('\n');
			finish_run(sh);
			show_line(sh);
		}
		while (!sh->session->quit && key_pressed() && !tb_interrupted)
			if (cmdline_poll(cl) != RDLINE_RUNNING)
				sh->session->quit = true;
		sh->session->told = false; /* the line came after it */
	}
	sh->cl = batch;
	cmdline_stdin_exit(cl); /* frees it */
}

/* ---- all of it ---- */

static int
run_given(struct tb_shell *sh, const struct tb_opts *opts)
{
	int rc = TB_OK;

	for (uint32_t i = 0; rc == TB_OK && i < opts->ndev; i++)
		rc = tb_session_attach(sh->session, opts->dev[i]);
	for (uint32_t i = 0; rc == TB_OK && i < opts->ncmd; i++)
		rc = run_commands(sh, opts->cmd[i]);
	if (rc == TB_OK && opts->file != NULL)
		rc = run_file(sh, opts->file);
	return rc;
}

static int
copy_settings(struct tb_shell *sh, const struct tb_opts *opts)
{
	const struct tb_option *table;
	unsigned int n = tb_opts_table(&table);

	for (unsigned int i = 0; i < n; i++) {
		if (opts->given[i] == NULL || table[i].def == NULL)
			continue;
		sh->value[i] = strdup(opts->given[i]);
		if (sh->value[i] == NULL)
			return -ENOMEM;
	}
	return 0;
}

int
tb_shell_run(struct tb_session *s, const struct tb_opts *opts)
{
	struct tb_shell sh = {.session = s};
	struct instruction *in = calloc(shell_ncommand, sizeof(*in));
	cmdline_parse_ctx_t *ctx = calloc(shell_ncommand + 1, sizeof(*ctx));
	int rc = in == NULL || ctx == NULL ? -ENOMEM : copy_settings(&sh, opts);

	for (unsigned int i = 0; rc == 0 && i < shell_ncommand; i++) {
		rc = make_instruction(&in[i], &sh, &shell_commands[i]);
		ctx[i] = in[i].inst;
	}
	if (rc == 0)
		sh.cl = cmdline_new(ctx, "", -1, -1);
	if (sh.cl == NULL) {
		tb_say("out of memory");
		rc = TB_FAIL;
	} else {
		rc = run_given(&sh, opts);
		if (rc == TB_OK && opts->interactive && !s->quit)
			interact(&sh, ctx);
		if (s->run != NULL) {
			/* the commands end with a run: it is waited for, unless they failed or quit
			 */
			tb_stop |= rc != TB_OK || s->quit || opts->interactive;
			sh.rc = rc;
			shell_wait(&sh, 0);
			rc = sh.rc;
		}
		cmdline_free(sh.cl);
	}
	for (unsigned int i = 0; in != NULL && i < shell_ncommand; i++)
		free(in[i].inst);
	for (unsigned int i = 0; i < TB_OPTIONS_MAX; i++) {
		free(sh.value[i]);
		free(sh.used[i]);
	}
	free(in);
	free(ctx);
	return rc;
}
