/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_cycles.h>

#include "plx_ctrl.h"
#include "plx_probe.h"

#include "vm_dev.h"

static int
with_queues(struct plx_blk *blk, uint16_t queues, const struct plx_blkq_conf *conf)
{
	int rc = plx_blk_configure(blk, queues);
	uint16_t i;

	for (i = 0; rc == 0 && i < queues; i++)
		rc = plx_blkq_setup(blk, i, conf);
	return rc != 0 ? rc : plx_blk_start(blk);
}

int
vm_dev_run(const char *str, uint16_t queues, uint16_t depth, vm_dev_fn fn, void *arg)
{
	const struct plx_blkq_conf conf = {.depth = depth, .socket = -1};
	struct plx_blk *blk;
	struct plx_dev *dev;
	int rc = plx_attach(str, &dev);

	if (rc == 0)
		rc = plx_blk_open(plx_dev_name(dev), PLX_BLK_O_WRITE, &blk);
	if (rc == 0) {
		rc = with_queues(blk, queues, &conf);
		if (rc == 0)
			rc = fn(blk, arg);
		plx_blk_close(blk);
	}
	if (rc != 0)
		fprintf(stderr, "%s: %s\n", str, strerror(-rc));
	plx_detach_all();
	return rc;
}

int
vm_dev_io(struct plx_blkq *q, struct plx_blk_req *req)
{
	uint64_t end = rte_get_timer_cycles() + VM_LATE_S * rte_get_timer_hz();
	struct plx_blk_req *back = NULL;

	if (plx_blkq_submit(q, &req, 1) != 1)
		return -EAGAIN;
	while (plx_blkq_poll(q, &back, 1) == 0) {
		plx_ctrl_poll();
		if (rte_get_timer_cycles() > end) {
			fprintf(stderr, "no answer within %d s\n", VM_LATE_S);
			exit(1);
		}
	}
	return back->status;
}
