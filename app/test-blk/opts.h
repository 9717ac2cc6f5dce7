/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TB_OPTS_H
#define TB_OPTS_H
/**
 * @file
 * Options: one table (opt_table.c) for the command line, the shell's settings, its completion and
 * the guide. opt_parse.c reads values, opts.c command lines.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <rte_config.h>

#include "bssplit.h"
#include "dist.h"
#include "plx_blk.h"

#define TB_DEVS_MAX 64
#define TB_CMDS_MAX 64
#define TB_OPTIONS_MAX 96

/** What the program was asked to do. */
struct tb_opts {
	const char *dev[TB_DEVS_MAX]; /**< device strings */
	uint32_t ndev;
	const char *on;   /**< names of devices to work on, with commas; NULL: all */
	const char *name; /**< of a job in a file */
	uint32_t group;   /**< begins when jobs of lesser groups are over */
	double start_delay_s;
	const char *jobfile;
	bool ignore_unknown;                        /**< in job files */
	const char *rw;                             /**< as given */
	bool random;                                /**< addresses: random, else sequential */
	bool reads, writes;                         /**< both: mixed */
	uint32_t rwmix;                             /**< percent of reads when mixed */
	bool opmix;                                 /**< operations have the shares of opmix */
	uint8_t mode;                               /**< enum tb_mode */
	uint32_t ops;                               /**< 1 << PLX_OP_*: what is done, */
	uint8_t share[PLX_OP_MAX];                  /**< and for opmix, in percent */
	struct tb_sizes sizes[TB_DIRS];             /**< of I/Os, bytes; from these: */
	bool mixed_bs;                              /**< there are several */
	uint32_t unit;                              /**< divides all */
	uint32_t bs;                                /**< bytes an I/O, the largest */
	struct tb_dist_spec dist[TB_DIRS];          /**< of one kind */
	const char *copy_to;                        /**< device to copy to */
	bool hop;                                   /**< queues are those of another lcore */
	uint8_t poll_mode;                          /**< enum plx_reactor_idle */
	uint64_t rate[TB_DIRS], rate_iops[TB_DIRS]; /**< a second and device; 0: no limit */
	uint64_t lcore_rate, lcore_rate_iops;       /**< a second and lcore */
	double think_s, think_io_s;
	uint32_t think_blocks;
	double lat_target_s, lat_window_s, lat_percentile;
	bool lat_run;
	double ramp_s, runtime_s;
	bool time_based;
	bool once;                    /**< each block once, then it is over */
	uint64_t io_size, number_ios; /**< of each device; 0: no bound */
	const char *iolog;            /**< trace to replay */
	bool no_stall;
	const char *replay_redirect;
	uint32_t replay_time_scale; /**< percent */
	uint64_t replay_scale, replay_align;
	uint32_t replay_skip; /**< 1 << PLX_OP_* */
	uint16_t qd;          /**< I/Os in flight a queue */
	uint16_t batch;       /**< I/Os a submit and a poll */
	double time_s;        /**< 0: until size has moved */
	uint64_t size;        /**< bytes of each device to work on; 0: all */
	uint64_t offset;      /**< where they begin */
	uint16_t queues;      /**< of each device; 0: one an lcore, for clones one */
	uint32_t numjobs;     /**< clones of the job */
	bool group_reporting; /**< of these */
	uint64_t offset_increment;
	bool lcores_given;
	bool lcore[RTE_MAX_LCORE];
	bool verify, allow_write;
	bool yes;
	bool verify_only;
	const char *verify_state; /**< file, or NULL */
	bool verify_state_sync;
	uint32_t fsync; /**< a flush after so many writes of a queue; 0: none */
	bool fua;
	bool meta;              /**< metadata moves, */
	uint8_t pi;             /**< and enum tb_pi */
	const char *json;       /**< file, "-" for stdout, or NULL */
	const char *log, *hist; /**< begins of file names, or NULL */
	double log_interval_s;
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

/** How a value is read, and what lies at tb_option.at. */
enum tb_option_kind {
	TB_OPT_FLAG,    /**< bool; no value, or 0, 1, no, yes */
	TB_OPT_NUMBER,  /**< min to max; an unsigned integer of .width bytes */
	TB_OPT_SIZE,    /**< bytes, with K, M, G, T; the same */
	TB_OPT_SECONDS, /**< double, seconds; a plain number is seconds, */
	TB_OPT_USEC,    /**< or microseconds */
	TB_OPT_TEXT,    /**< const char * */
	TB_OPT_FN,      /**< .set does it */
	TB_OPT_ANSWER,  /**< prints something, and the program is done */
};

enum tb_option_group {
	TB_GROUP_DEVICE,
	TB_GROUP_LOAD,
	TB_GROUP_RATE,
	TB_GROUP_BOUND,
	TB_GROUP_CHECK,
	TB_GROUP_REPORT,
	TB_GROUP_PROGRAM,
	TB_GROUPS
};

/** An option: --name on the command line, a setting of the shell. '-' and '_' are the same. */
struct tb_option {
	const char *name;  /**< fio's where fio has it */
	const char *alias; /**< another name, or NULL */
	const char *arg;   /**< what stands for its value; NULL: takes none */
	const char *def;   /**< its default as text, "" for none; NULL: no setting of a run */
	const char *help;  /**< a line */
	const char *doc;   /**< more, for the guide: reST; or NULL */
	enum tb_option_group group;
	enum tb_option_kind kind;
	uint16_t width; /**< NUMBER, SIZE: sizeof the member */
	size_t at;      /**< offset in struct tb_opts */
	uint64_t min, max;
	/** FN. @return NULL, or what would have been right; val must outlive o */
	const char *(*set)(struct tb_opts *o, const char *val);
};
/** All of them. @return how many */
unsigned int tb_opts_table(const struct tb_option **table);
/** What a group is called. */
const char *tb_opts_group(enum tb_option_group group);
/** @return the option of that name or alias, len bytes long, or NULL */
const struct tb_option *tb_opts_lookup(const char *name, size_t len);
/** @return the setting of a run of that name, or NULL after one line */
const struct tb_option *tb_opts_find(const char *name);
/** Set it; val, which must outlive o, is NULL when a flag was given alone. @return NULL, or what
 * would have been right: text that lasts until the next call */
const char *tb_option_set(const struct tb_option *opt, struct tb_opts *o, const char *val);
/** What --poll-mode calls them, by enum plx_reactor_idle. */
extern const char *const tb_poll_modes[3];
/** Print the options as reST definitions, for the guide. */
void tb_opts_rst(void);

/** What the command line begins with. */
void tb_opts_init(struct tb_opts *o);
/** Fill in what follows from the rest. @return NULL, or what contradicts it */
const char *tb_opts_complete(struct tb_opts *o);

/* opt_parse.c: values. @return whether text is one, and all of it was used */
/** Digits with K, M, G or T (powers of 1024), also written as KiB, kB. */
bool tb_parse_size(const char *text, uint64_t *out);
bool tb_parse_number(const char *text, uint64_t min, uint64_t max, uint64_t *out);
/** A number with us, ms, s, m, h or d, or else of the unit given; > 0. In seconds. */
bool tb_parse_time(const char *text, const char *unit, double *out);

/** Print one line for the user: "plx-testblk: ..." on stderr. */
void tb_say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
