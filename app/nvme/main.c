/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <nvme/types.h>
#include <nvme/util.h>

#include <rte_byteorder.h>

#include "plx_eal.h"
#include "plx_probe.h"

#include "cli.h"

void
cli_say(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fputs("plx-nvme: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
}

int
cli_result(const struct cli *c, int rc)
{
	if (rc == 0)
		return CLI_OK;
	if (rc > 0)
		cli_say("%s: NVMe status: %s (%#x)", c->cmd->name,
			nvme_status_to_string(rc & 0x7ff, false), (unsigned int)rc);
	else if (rc == -ENOTSUP)
		cli_say("%s is not an NVMe controller", c->str);
	else
		cli_say("%s: %s", c->cmd->name, strerror(-rc));
	return CLI_FAIL;
}

int
cli_nsid(const struct cli *c, uint32_t *nsid)
{
	uint32_t *list;
	int rc;

	*nsid = c->a.nsid;
	if (*nsid != 0)
		return CLI_OK;
	list = malloc(NVME_IDENTIFY_DATA_SIZE);
	rc = list == NULL
		     ? -ENOMEM
		     : plx_nvme_identify(c->dev, NVME_IDENTIFY_CNS_NS_ACTIVE_LIST, 0, 0, 0, list);
	if (rc == 0 && (list[0] == 0 || list[1] != 0)) {
		cli_say("there %s: name one with -n",
			list[0] == 0 ? "is no active namespace" : "are several namespaces");
		free(list);
		return CLI_USAGE;
	}
	if (rc == 0)
		*nsid = rte_le_to_cpu_32(list[0]);
	free(list);
	return cli_result(c, rc);
}

int
cli_open(const struct cli *c, uint32_t nsid, unsigned int flags, struct plx_blk **blk)
{
	char name[PLX_BLK_NAME_MAX];
	int rc;

	snprintf(name, sizeof(name), "%s/n%u", plx_dev_name(c->dev), nsid);
	rc = plx_blk_open(name, flags, blk);
	if (rc == 0)
		return CLI_OK;
	cli_say("%s: namespace %u can't be opened: %s", c->str, nsid, strerror(-rc));
	return CLI_FAIL;
}

static const struct cli_command *
find(const char *name)
{
	for (unsigned int i = 0; i < cli_ncommand; i++)
		if (strcmp(cli_commands[i].name, name) == 0)
			return &cli_commands[i];
	return NULL;
}

static void
usage(void)
{
	printf("NVMe controllers, as nvme(1) has it, through Pollux' own driver.\n\n"
	       "Usage: plx-nvme [EAL options --] COMMAND DEVICE [options]\n\n"
	       "DEVICE is a device string: pci:0000:01:00.0, vfio-user:/run/x.sock, "
	       "soft-nvme:size=1G\n\n");
	for (unsigned int i = 0; i < cli_ncommand; i++)
		printf("  %-20s %s\n", cli_commands[i].name, cli_commands[i].help);
	printf("  %-20s %s\n", "help [COMMAND]", "this, or a command's options");
	printf("\nExit code: 0; 1 the device, or NVMe, says no; 2 a wrong command line.\n");
}

static int
help(int argc, char **argv)
{
	const struct cli_command *cmd = argc > 0 ? find(argv[0]) : NULL;

	if (argc > 0 && cmd == NULL) {
		cli_say("there is no command '%s'", argv[0]);
		return CLI_USAGE;
	}
	if (cmd != NULL)
		cli_help(cmd);
	else
		usage();
	return CLI_OK;
}

/* A command on one device. */
static int
on_device(struct cli *c)
{
	int rc = plx_attach(c->str, &c->dev), err;

	if (rc != 0) /* logged */
		return rc == -EINVAL || rc == -ENOENT ? CLI_USAGE : CLI_FAIL;
	rc = c->cmd->fn(c);
	err = plx_detach(c->dev);
	if (err == 0 || err == -ENODEV)
		return rc;
	cli_say("%s: detaching: %s", c->str, strerror(-err));
	return CLI_FAIL;
}

static bool
is_option(const char *arg)
{
	return arg[0] == '-';
}

static int
run(int argc, char **argv)
{
	struct cli c = {0};
	int rc;

	c.cmd = find(argv[0]);
	if (c.cmd == NULL) {
		cli_say("there is no command '%s'; see plx-nvme help", argv[0]);
		return CLI_USAGE;
	}
	if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
		cli_help(c.cmd);
		return CLI_OK;
	}
	if (argc > 1 && !is_option(argv[1])) {
		c.str = argv[1];
		argc--;
		argv++;
	} else if (!c.cmd->no_device) {
		cli_say("%s needs a device string, as pci:0000:01:00.0", c.cmd->name);
		return CLI_USAGE;
	}
	rc = cli_parse(&c, argc - 1, argv + 1);
	if (rc != CLI_OK)
		return rc;
	return c.cmd->no_device ? c.cmd->fn(&c) : on_device(&c);
}

/* Where the program's own arguments begin: behind "--", or all when there is none. */
static int
own_args(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], "--") == 0)
			return i + 1;
	return 1;
}

int
main(int argc, char **argv)
{
	int own = own_args(argc, argv), eal = own > 1 ? own - 1 : 1, rc;

	if (own >= argc) {
		usage();
		return CLI_USAGE;
	}
	if (strcmp(argv[own], "help") == 0 || strcmp(argv[own], "--help") == 0 ||
		strcmp(argv[own], "-h") == 0)
		return help(argc - own - 1, argv + own + 1);
	if (strcmp(argv[own], "version") == 0 || strcmp(argv[own], "--version") == 0) {
		printf("plx-nvme %s\n", VERSION);
		return CLI_OK;
	}
	if (strcmp(argv[own], "zns") == 0 && own + 1 < argc) /* nvme(1) has it as a plugin */
		own++;
	if (find(argv[own]) == NULL) /* before EAL starts */
		return run(1, argv + own);
	rc = plx_eal_init_app(eal, argv);
	if (rc < 0)
		return rc == -EINVAL ? CLI_USAGE : CLI_FAIL;
	rc = run(argc - own, argv + own);
	plx_eal_cleanup();
	return rc;
}
