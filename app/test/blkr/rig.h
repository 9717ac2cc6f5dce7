/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BLKR_RIG_H
#define BLKR_RIG_H
/* A device with one queue, started. */
#include <errno.h>

#include "plx_blk.h"
#include "plx_blkr.h"
#include "plx_ctrl.h"
#include "plx_eal.h"
#include "plx_mem.h"
#include "plx_probe.h"
#include "plx_reactor.h"
#include "plx_test.h"

struct rig {
	struct plx_dev *dev;
	struct plx_blk *blk;
	struct plx_blk_info info;
	struct plx_blkq *q;
	struct plx_reactor *r;
};

static inline void
rig_up(struct rig *g, const char *str, uint16_t depth, bool intr)
{
	struct plx_blkq_conf conf = {.depth = depth, .socket = -1, .intr = intr};

	REQUIRE(plx_attach(str, &g->dev) == 0);
	REQUIRE(plx_blk_open(plx_dev_name(g->dev), PLX_BLK_O_WRITE, &g->blk) == 0);
	plx_blk_info_get(g->blk, &g->info);
	REQUIRE(plx_blk_configure(g->blk, 1) == 0);
	REQUIRE(plx_blkq_setup(g->blk, 0, &conf) == 0);
	REQUIRE(plx_blk_start(g->blk) == 0);
	g->q = plx_blk_queue_get(g->blk, 0);
	REQUIRE(g->q != NULL);
}

static inline void
rig_down(struct rig *g)
{
	CHECK_EQ(plx_detach(g->dev), 0);
}

#endif
