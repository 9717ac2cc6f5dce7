/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Write a block, read it back, compare. Build and run:
 *	cc -o helloworld main.c $(pkg-config --cflags --libs pollux)
 *	./helloworld [device string]
 */
#include <stdio.h>
#include <string.h>

#include <plx_blk.h>
#include <plx_ctrl.h>
#include <plx_eal.h>
#include <plx_mem.h>
#include <plx_probe.h>

/* Run one request to its end. Returns its status. */
static int
io(struct plx_blkq *q, struct plx_blk_req *req)
{
	struct plx_blk_req *back;

	while (plx_blkq_submit(q, &req, 1) == 0)
		plx_ctrl_poll();
	while (plx_blkq_poll(q, &back, 1) == 0)
		plx_ctrl_poll();
	return back->status;
}

static int
hello(struct plx_blkq *q, char *buf, uint32_t block_size)
{
	struct plx_blk_req wr = {.op = PLX_OP_WRITE, .lba = 7, .nblk = 1, .buf = buf};
	struct plx_blk_req flush = {.op = PLX_OP_FLUSH};
	struct plx_blk_req rd = {.op = PLX_OP_READ, .lba = 7, .nblk = 1, .buf = buf + block_size};
	int rc;

	strcpy(buf, "Hello, world, from block 7!");
	rc = io(q, &wr);
	if (rc == 0)
		rc = io(q, &flush);
	if (rc == 0)
		rc = io(q, &rd);
	if (rc != 0)
		printf("block 7: %s\n", strerror(-rc));
	else if ((rc = memcmp(buf, buf + block_size, block_size)) != 0)
		printf("what was read is not what was written\n");
	else
		printf("%s\n", buf + block_size);
	return rc;
}

int
main(int argc, char **argv)
{
	const char *str = argc > 1 ? argv[1] : "soft-nvme:size=64M";
	struct plx_blk_info info;
	struct plx_dev *dev;
	struct plx_blk *blk = NULL;
	char *buf = NULL;
	int rc = 1;

	if (plx_eal_init_app(1, argv) < 0)
		return 1;
	if (plx_attach(str, &dev) != 0 ||
		plx_blk_open(plx_dev_name(dev), PLX_BLK_O_WRITE, &blk) != 0)
		goto out;
	plx_blk_info_get(blk, &info);
	buf = plx_mem_alloc(2 * info.block_size, 4096, -1);
	if (buf != NULL && plx_blk_configure(blk, 1) == 0 && plx_blkq_setup(blk, 0, NULL) == 0 &&
		plx_blk_start(blk) == 0)
		rc = hello(plx_blk_queue_get(blk, 0), buf, info.block_size);
out:
	plx_detach_all();
	plx_mem_free(buf);
	plx_eal_cleanup();
	return rc != 0;
}
