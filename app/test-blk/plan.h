/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TB_PLAN_H
#define TB_PLAN_H
/**
 * @file
 * What plan.c asks of plan_check.c.
 */
#include "testblk.h"

/** Whether the task's device, and the one it is copied to, can do what is asked; sets the range.
 * @return enum tb_exit, after one line when not TB_OK */
int plan_check(const struct tb_opts *o, struct tb_task *t);

#endif
