/* SPDX-License-Identifier: BSD-3-Clause */
/* The options of a command. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

static const struct cli_option common[] = {
	{"namespace-id", 'n', CLI_NUM, "namespace"},
	{"output-format", 'o', CLI_STRING, "normal, json or binary"},
	{"force", 0, CLI_FLAG, "do it, though data may be lost"},
	{0},
};

static void
print_options(const struct cli_option *o)
{
	for (; o != NULL && o->name != NULL; o++) {
		char head[64];

		snprintf(
			head, sizeof(head), "--%s%s", o->name, o->kind == CLI_FLAG ? "" : " VALUE");
		if (o->letter != 0)
			printf("  -%c, %-26s %s\n", o->letter, head, o->help);
		else
			printf("      %-26s %s\n", head, o->help);
	}
}

void
cli_help(const struct cli_command *cmd)
{
	printf("Usage: plx-nvme [EAL options --] %s %s[options]\n\n%s\n\n", cmd->name,
		cmd->no_device ? "[DEVICE...] " : "DEVICE ", cmd->help);
	print_options(cmd->options);
	print_options(common);
}

/* @return the option of that name or letter */
static const struct cli_option *
find(const struct cli_option *o, const char *name, size_t len, char letter)
{
	for (; o != NULL && o->name != NULL; o++)
		if (letter != 0 ? o->letter == letter
				: strlen(o->name) == len && strncmp(o->name, name, len) == 0)
			return o;
	return NULL;
}

static int
number(const char *text, uint64_t *out)
{
	char *end;

	errno = 0;
	*out = strtoull(text, &end, 0);
	return errno == 0 && *text != '\0' && *text != '-' && *end == '\0' ? 0 : -EINVAL;
}

static int
set_common(struct cli_args *a, char which, const char *val)
{
	static const char *const formats[] = {
		[CLI_TEXT] = "normal", [CLI_JSON] = "json", [CLI_BINARY] = "binary"};
	uint64_t n;

	if (which == 0) {
		a->force = true;
		return 0;
	}
	if (which == 'n') {
		if (number(val, &n) != 0 || n > UINT32_MAX)
			return -EINVAL;
		a->nsid = (uint32_t)n;
		return 0;
	}
	for (unsigned int i = 0; i < 3; i++)
		if (strcmp(val, formats[i]) == 0) {
			a->format = (enum cli_format)i;
			return 0;
		}
	return -EINVAL;
}

static int
set(struct cli *c, const struct cli_option *o, const char *val)
{
	ptrdiff_t i;

	if (o >= common && o < common + sizeof(common) / sizeof(common[0]))
		return set_common(&c->a, o->letter, val);
	i = o - c->cmd->options;
	c->a.given[i] = true;
	c->a.text[i] = val;
	c->a.num[i] = 1;
	return o->kind == CLI_NUM ? number(val, &c->a.num[i]) : 0;
}

/* One option at argv[*i]. */
static int
parse_one(struct cli *c, int argc, char **argv, int *i)
{
	const char *arg = argv[*i], *name = arg + 2, *val = NULL, *eq = strchr(arg, '=');
	bool isword = arg[1] == '-';
	size_t len = eq != NULL ? (size_t)(eq - name) : strlen(name);
	const struct cli_option *o;

	o = find(c->cmd->options, name, len, isword ? 0 : arg[1]);
	if (o == NULL)
		o = find(common, name, len, isword ? 0 : arg[1]);
	if (o == NULL) {
		cli_say("%s has no option '%s'; see plx-nvme help %s", c->cmd->name, arg,
			c->cmd->name);
		return CLI_USAGE;
	}
	if (o->kind != CLI_FLAG) {
		if (isword && eq != NULL)
			val = eq + 1;
		else if (!isword && arg[2] != '\0')
			val = arg[2] == '=' ? arg + 3 : arg + 2;
		else if (*i + 1 < argc)
			val = argv[++*i];
	}
	if (o->kind != CLI_FLAG && val == NULL) {
		cli_say("--%s needs a value: %s", o->name, o->help);
		return CLI_USAGE;
	}
	if (set(c, o, val) == 0)
		return CLI_OK;
	cli_say("--%s: '%s' is not right: %s", o->name, val,
		o->kind == CLI_NUM ? "a number, 0x for hexadecimal" : o->help);
	return CLI_USAGE;
}

int
cli_parse(struct cli *c, int argc, char **argv)
{
	for (int i = 0; i < argc; i++) {
		int rc;

		if (argv[i][0] != '-' || argv[i][1] == '\0') {
			cli_say("'%s' belongs to no option", argv[i]);
			return CLI_USAGE;
		}
		rc = parse_one(c, argc, argv, &i);
		if (rc != CLI_OK)
			return rc;
	}
	if (!c->cmd->destroys || c->a.force)
		return CLI_OK;
	cli_say("%s may destroy data or stop the device: say --force", c->cmd->name);
	return CLI_USAGE;
}
