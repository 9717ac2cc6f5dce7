/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BLKR_PRIV_H
#define BLKR_PRIV_H

#include "plx_blkr.h"

/* A queue before its reactor sleeps, as a poller's arm(): nothing out needs no wake-up, a shared
 * one is woken by its owner, others by the device. What control code finishes (stop, removal) wakes
 * nobody: while something is out, sleep is bounded. */
int blkr_queue_arm(struct plx_blkq *q, bool *armed);
void blkr_queue_disarm(struct plx_blkq *q, bool *armed);

/* blkr_share.c: q is a user's */
bool blkr_is_user(const struct plx_blkq *q);

#endif
