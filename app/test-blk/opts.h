/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TB_OPTS_H
#define TB_OPTS_H
/**
 * @file
 * The command line.
 */
#include <stdbool.h>
#include <stdint.h>

#include <rte_config.h>

#define TB_DEVS_MAX 64
#define TB_CMDS_MAX 64
#define TB_OPTIONS_MAX 32

/** What the program was asked to do. */
struct tb_opts {
	const char *dev[TB_DEVS_MAX]; /**< device strings */
	uint32_t ndev;
	const char *rw;     /**< as given */
	bool random;        /**< addresses: random, else sequential */
	bool reads, writes; /**< both: mixed */
	uint32_t rwmix;     /**< percent of reads when mixed */
	uint32_t bs;        /**< bytes an I/O */
	uint16_t qd;        /**< I/Os in flight a queue */
	uint16_t batch;     /**< I/Os a submit and a poll */
	double time_s;      /**< 0: until size has moved */
	uint64_t size;      /**< bytes of each device to work on; 0: all */
	uint64_t offset;    /**< where they begin */
	uint16_t queues;    /**< of each device; 0: one an lcore */
	bool lcores_given;
	bool lcore[RTE_MAX_LCORE];
	bool verify, allow_write;
	bool meta;        /**< metadata moves, */
	uint8_t pi;       /**< and enum tb_pi */
	const char *json; /**< file, "-" for stdout, or NULL */
	uint64_t seed;
	bool interactive;             /**< a shell on the terminal */
	const char *file;             /**< commands to run, "-" for stdin, or NULL */
	const char *cmd[TB_CMDS_MAX]; /**< and these */
	uint32_t ncmd;
	const char *given[TB_OPTIONS_MAX]; /**< what was said, by index in tb_opts_table() */
};

enum tb_parsed {
	TB_PARSED_RUN = 0, /**< go on */
	TB_PARSED_DONE,    /**< --help or --version was answered */
	TB_PARSED_BAD,     /**< one line was printed */
};

/** Parse the program's own arguments (what stands behind "--"). Unless there are commands, the
 * options are complete then. */
enum tb_parsed tb_opts_parse(struct tb_opts *o, int argc, char **argv);

/** An option. */
struct tb_option {
	const char *name;
	const char *arg; /**< NULL: takes none */
	/** @return NULL, or what would have been right; val must outlive o */
	const char *(*set)(struct tb_opts *o, const char *val);
	const char *help;
	const char *def; /**< its default as text; NULL: none, or no setting of a run */
};
/** All of them. @return how many */
unsigned int tb_opts_table(const struct tb_option **table);
/** @return the option of that name, or NULL after one line */
const struct tb_option *tb_opts_find(const char *name);
/** What the command line begins with. */
void tb_opts_init(struct tb_opts *o);
/** Fill in what follows from the rest. @return NULL, or what contradicts it */
const char *tb_opts_complete(struct tb_opts *o);

/** Print one line for the user: "plx-testblk: ..." on stderr. */
void tb_say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
