/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * plx-blk-copy [EAL options] -- DEVICE-STRING to|from FILE
 *
 * Copy a file to the start of a block device, or as much as fits into an existing file from it.
 * What the kernel's driver finds on the device afterwards, and the other way round, is compared by
 * the scripts of this folder.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <rte_cycles.h>

#include "plx_blk.h"
#include "plx_ctrl.h"
#include "plx_eal.h"
#include "plx_mem.h"
#include "plx_probe.h"

#define CHUNK (256 << 10)
#define LATE_S 20

static int
run_request(struct plx_blkq *q, struct plx_blk_req *req)
{
	uint64_t end = rte_get_timer_cycles() + LATE_S * rte_get_timer_hz();
	struct plx_blk_req *back = NULL;

	if (plx_blkq_submit(q, &req, 1) != 1)
		return -EAGAIN;
	while (plx_blkq_poll(q, &back, 1) == 0) {
		plx_ctrl_poll();
		if (rte_get_timer_cycles() > end) {
			fprintf(stderr, "no answer within %d s\n", LATE_S);
			exit(1);
		}
	}
	return back->status;
}

static int
copy_chunk(struct plx_blkq *q, int fd, bool write, uint64_t at, size_t n, uint32_t block, void *buf)
{
	struct plx_blk_req req = {
		.op = write ? PLX_OP_WRITE : PLX_OP_READ,
		.lba = at / block,
		.nblk = (uint32_t)(n / block),
		.buf = buf,
	};
	int rc;

	if (write && pread(fd, buf, n, (off_t)at) != (ssize_t)n)
		return -EIO;
	rc = run_request(q, &req);
	if (rc == 0 && !write && pwrite(fd, buf, n, (off_t)at) != (ssize_t)n)
		rc = -EIO;
	return rc;
}

static int
copy(struct plx_blk *blk, int fd, bool write)
{
	struct plx_blkq *q = plx_blk_queue_get(blk, 0);
	void *buf = plx_mem_alloc(CHUNK, 4096, -1);
	struct plx_blk_info info;
	struct stat st;
	uint64_t at, left;
	int rc = buf == NULL || fstat(fd, &st) != 0 ? -ENOMEM : 0;

	plx_blk_info_get(blk, &info);
	for (at = 0; rc == 0 && at < (uint64_t)st.st_size; at += CHUNK) {
		left = RTE_MIN((uint64_t)st.st_size - at, (uint64_t)CHUNK);
		rc = copy_chunk(q, fd, write, at, left, info.block_size, buf);
	}
	if (rc == 0 && write)
		rc = run_request(q, &(struct plx_blk_req){.op = PLX_OP_FLUSH});
	plx_mem_free(buf);
	return rc;
}

static int
with_device(const char *name, int fd, bool write)
{
	struct plx_blk *blk;
	int rc = plx_blk_open(name, write ? PLX_BLK_O_WRITE : 0, &blk);

	if (rc != 0)
		return rc;
	rc = plx_blk_configure(blk, 1);
	if (rc == 0)
		rc = plx_blkq_setup(blk, 0, NULL);
	if (rc == 0)
		rc = plx_blk_start(blk);
	if (rc == 0)
		rc = copy(blk, fd, write);
	plx_blk_close(blk);
	return rc;
}

int
main(int argc, char **argv)
{
	struct plx_dev *dev;
	int n = plx_eal_init_app(argc, argv), fd, rc;
	bool write;

	if (n < 0)
		return 1;
	argv += n;
	if (argc - n != 4) {
		fprintf(stderr, "usage: plx-blk-copy [EAL options] -- DEVICE to|from FILE\n");
		return 2;
	}
	write = strcmp(argv[2], "to") == 0;
	fd = open(argv[3], write ? O_RDONLY : O_RDWR);
	rc = fd < 0 ? -ENOENT : plx_attach(argv[1], &dev);
	if (rc == 0)
		rc = with_device(plx_dev_name(dev), fd, write);
	if (rc != 0)
		fprintf(stderr, "copying %s failed: %s\n", argv[2], strerror(-rc));
	plx_detach_all();
	plx_eal_cleanup();
	return rc != 0;
}
