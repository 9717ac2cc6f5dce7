/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * plx-blk-resize [EAL options] -- DEVICE-STRING BYTES COMMAND
 *
 * A shell command makes a device in use BYTES large: an event must say so, and its new last block
 * must be there.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <rte_cycles.h>

#include "plx_ctrl.h"
#include "plx_eal.h"
#include "plx_mem.h"

#include "vm_dev.h"

struct size {
	uint64_t bytes;
	const char *command;
};

static int
event_of(struct plx_blk *blk)
{
	uint64_t end = rte_get_timer_cycles() + VM_LATE_S * rte_get_timer_hz();
	struct plx_blk_event ev;

	while (rte_get_timer_cycles() < end) {
		plx_ctrl_poll();
		if (plx_blk_event_get(blk, &ev) == 1 && ev.type == PLX_BLK_EVENT_RESIZED)
			return 0;
	}
	return -ETIMEDOUT;
}

static int
resize(struct plx_blk *blk, void *arg)
{
	const struct size *want = arg;
	struct plx_blk_info info;
	struct plx_blk_req req;
	void *buf;
	int rc;

	if (system(want->command) != 0)
		return -ECHILD;
	rc = event_of(blk);
	if (rc != 0)
		return rc;
	plx_blk_info_get(blk, &info);
	printf("%lu blocks of %u bytes\n", info.nblocks, info.block_size);
	if (info.nblocks * info.block_size != want->bytes)
		return -ERANGE;
	buf = plx_mem_alloc(info.block_size, info.block_size, -1);
	if (buf == NULL)
		return -ENOMEM;
	req = (struct plx_blk_req){
		.op = PLX_OP_READ, .lba = info.nblocks - 1, .nblk = 1, .buf = buf};
	rc = vm_dev_io(plx_blk_queue_get(blk, 0), &req);
	plx_mem_free(buf);
	return rc;
}

int
main(int argc, char **argv)
{
	int n = plx_eal_init_app(argc, argv), rc;
	struct size want;

	if (n < 0)
		return 1;
	argv += n;
	if (argc - n != 4) {
		fprintf(stderr, "usage: plx-blk-resize [EAL options] -- DEVICE-STRING BYTES "
				"COMMAND\n");
		return 2;
	}
	want = (struct size){strtoull(argv[2], NULL, 0), argv[3]};
	rc = vm_dev_run(argv[1], 1, 32, resize, &want);
	plx_eal_cleanup();
	return rc != 0;
}
