/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TB_OPT_SET_H
#define TB_OPT_SET_H
/**
 * @file
 * Options whose values are of no common kind: what struct tb_option.set is for the table.
 */
#include "opts.h"

const char *opt_dev(struct tb_opts *o, const char *val);
const char *opt_rw(struct tb_opts *o, const char *val);
const char *opt_rwmixwrite(struct tb_opts *o, const char *val);
const char *opt_opmix(struct tb_opts *o, const char *val);
const char *opt_bs(struct tb_opts *o, const char *val);
const char *opt_bsrange(struct tb_opts *o, const char *val);
const char *opt_bssplit(struct tb_opts *o, const char *val);
const char *opt_dist(struct tb_opts *o, const char *val);
const char *opt_rate(struct tb_opts *o, const char *val);
const char *opt_rate_iops(struct tb_opts *o, const char *val);
const char *opt_lat_percentile(struct tb_opts *o, const char *val);
const char *opt_replay_skip(struct tb_opts *o, const char *val);
const char *opt_lcores(struct tb_opts *o, const char *val);
const char *opt_poll_mode(struct tb_opts *o, const char *val);
const char *opt_verify(struct tb_opts *o, const char *val);
const char *opt_pi(struct tb_opts *o, const char *val);
const char *opt_log_avg(struct tb_opts *o, const char *val);
const char *opt_cmd(struct tb_opts *o, const char *val);

#endif
