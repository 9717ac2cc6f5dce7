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
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "plx_eal.h"
#include "plx_mem.h"

#include "vm_dev.h"

#define CHUNK (256 << 10)

struct copy {
	int fd;
	bool write;
};

static int
copy_chunk(
	struct plx_blkq *q, const struct copy *c, uint64_t at, size_t n, uint32_t block, void *buf)
{
	struct plx_blk_req req = {
		.op = c->write ? PLX_OP_WRITE : PLX_OP_READ,
		.lba = at / block,
		.nblk = (uint32_t)(n / block),
		.buf = buf,
	};
	int rc;

	if (c->write && pread(c->fd, buf, n, (off_t)at) != (ssize_t)n)
		return -EIO;
	rc = vm_dev_io(q, &req);
	if (rc == 0 && !c->write && pwrite(c->fd, buf, n, (off_t)at) != (ssize_t)n)
		rc = -EIO;
	return rc;
}

static int
copy(struct plx_blk *blk, void *arg)
{
	const struct copy *c = arg;
	struct plx_blkq *q = plx_blk_queue_get(blk, 0);
	void *buf = plx_mem_alloc(CHUNK, 4096, -1);
	struct plx_blk_info info;
	struct stat st;
	uint64_t at, left;
	int rc = buf == NULL || fstat(c->fd, &st) != 0 ? -ENOMEM : 0;

	plx_blk_info_get(blk, &info);
	for (at = 0; rc == 0 && at < (uint64_t)st.st_size; at += CHUNK) {
		left = RTE_MIN((uint64_t)st.st_size - at, (uint64_t)CHUNK);
		rc = copy_chunk(q, c, at, left, info.block_size, buf);
	}
	if (rc == 0 && c->write)
		rc = vm_dev_io(q, &(struct plx_blk_req){.op = PLX_OP_FLUSH});
	plx_mem_free(buf);
	return rc;
}

int
main(int argc, char **argv)
{
	int n = plx_eal_init_app(argc, argv), rc = 1;
	struct copy c;

	if (n < 0)
		return 1;
	argv += n;
	if (argc - n != 4) {
		fprintf(stderr, "usage: plx-blk-copy [EAL options] -- DEVICE to|from FILE\n");
		return 2;
	}
	c.write = strcmp(argv[2], "to") == 0;
	c.fd = open(argv[3], c.write ? O_RDONLY : O_RDWR);
	if (c.fd < 0)
		fprintf(stderr, "%s: %s\n", argv[3], strerror(errno));
	else
		rc = vm_dev_run(argv[1], 1, 0, copy, &c);
	plx_eal_cleanup();
	return rc != 0;
}
