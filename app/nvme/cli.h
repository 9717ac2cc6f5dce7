/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CLI_H
#define CLI_H
/**
 * @file
 * plx-nvme inside: main.c starts, attaches and finds the command; args.c parses its options;
 * fields.c turns structures into text and JSON by tables; the commands are in id.c, log.c, admin.c,
 * ns.c, resv.c and pass.c.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <json-c/json.h>

#include "plx_nvme.h"

/** Exit codes. */
enum cli_exit { CLI_OK = 0, CLI_FAIL = 1, CLI_USAGE = 2 };
enum cli_format { CLI_TEXT, CLI_JSON, CLI_BINARY };

/** What was asked for. Options that a command doesn't have are at their defaults. */
struct cli_args {
	enum cli_format format;
	uint32_t nsid; /**< 0: not given */
	bool force;
	uint64_t num[24]; /**< of the command's options, by index in its table */
	bool given[24];
	const char *text[24];
};

enum cli_kind { CLI_NUM, CLI_FLAG, CLI_STRING };
/** An option of a command; -n, -o, --force are everyone's. */
struct cli_option {
	const char *name;
	char letter; /**< 0: none */
	enum cli_kind kind;
	const char *help;
};

struct cli {
	const struct cli_command *cmd;
	struct cli_args a;
	const char *str; /**< device string */
	struct plx_dev *dev;
};

/** A command. @return enum cli_exit */
typedef int (*cli_fn)(struct cli *c);
struct cli_command {
	const char *name;
	cli_fn fn;
	const char *help;
	const struct cli_option *options; /**< ended by name NULL; or NULL */
	bool destroys;                    /**< needs --force */
	bool no_device;                   /**< takes any number of device strings, or none */
};
extern const struct cli_command cli_commands[];
extern const unsigned int cli_ncommand;

/** One line on stderr: "plx-nvme: ...". */
void cli_say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/** The outcome of a call of plx_nvme.h: one line unless 0. @return enum cli_exit */
int cli_result(const struct cli *c, int rc);
/** Parse what stands behind the command and device. @return CLI_OK, or CLI_USAGE after one line */
int cli_parse(struct cli *c, int argc, char **argv);
void cli_help(const struct cli_command *cmd);
/** The namespace asked for; when there is none, the only one. @return CLI_OK, or after one line */
int cli_nsid(const struct cli *c, uint32_t *nsid);
/** Open its block device. @return CLI_OK, or after one line */
int cli_open(const struct cli *c, uint32_t nsid, unsigned int flags, struct plx_blk **blk);

/* fields.c */
enum cli_type { F_DEC, F_HEX, F_TEXT, F_BIG, F_BYTES, F_UUID, F_SCALE, F_IEEE, F_KELVIN };
/** A member of a structure. */
struct cli_field {
	const char *name; /**< as nvme-cli has it */
	uint16_t off, size;
	enum cli_type type; /**< how it is shown as text */
};
#define FIELD(type, member, name, how)                                       \
	{                                                                    \
		name, (uint16_t)offsetof(struct type, member),               \
			(uint16_t)sizeof(((struct type *)NULL)->member), how \
	}
uint64_t cli_number(const void *p, unsigned int size);
void cli_print_fields(const struct cli_field *f, unsigned int n, const void *base, int width);
void cli_json_fields(json_object *o, const struct cli_field *f, unsigned int n, const void *base);
/** Print and free. @return CLI_OK, or CLI_FAIL when stdout is broken */
int cli_print_json(json_object *o);
int cli_print_binary(const void *data, size_t len);
void cli_hexdump(const void *data, size_t len);

#endif
