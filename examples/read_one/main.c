/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One read, end to end: the least that a program does to read a block, and where to read on.
 * Three files each way, in this order:
 *
 *	examples/read_one/main.c	fills a request                 prints the data
 *	lib/blk/plx_blk.h		plx_blkq_submit()               plx_blkq_poll()
 *	drivers/block/nvme/nvme_qpair.c	nvme_qpair_submit()             nvme_qpair_poll()
 *					        \                       /
 *					         the device: queues in memory
 *
 * No other function lies on the way: the class is those two inline functions, and the pointers
 * they call lead straight into the driver. Build and run:
 *	cc -o read_one main.c $(pkg-config --cflags --libs pollux)
 *	./read_one [device string [block]]
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <plx_blk.h>
#include <plx_ctrl.h>
#include <plx_eal.h>
#include <plx_mem.h>
#include <plx_probe.h>

static struct plx_blk_req *
read_block(struct plx_blkq *q, uint64_t lba, void *buf)
{
	/*
	 * 1. The request is one cache line. We own it, lend it to the queue with submit, and get
	 * it back from poll; all above its drv is ours to set. It is static because it must live
	 * until then, and because it could as well be one of many, allocated once.
	 */
	static struct plx_blk_req req;
	struct plx_blk_req *one = &req, *back;

	req = (struct plx_blk_req){.op = PLX_OP_READ, .lba = lba, .nblk = 1, .buf = buf};

	/*
	 * 2. lib/blk/plx_blk.h: plx_blkq_submit() marks the queue as in use, for the sake of
	 * whoever would stop it, and calls its driver: q->submit was set by plx_blk_start(), to a
	 * function that refuses when the device is stopped, so nobody tests for NULL.
	 *
	 * 3. drivers/block/nvme/nvme_qpair.c: nvme_qpair_submit() takes a command id from a list
	 * that the device can't write to, fills a 64-byte entry of the submission queue (NVMe
	 * Base 2.0, 3.3.3.1) with opcode, address and the I/O address of buf, which
	 * plx_mem_iova() in lib/mem/plx_mem.h looks up, and, after the last request of the
	 * burst, tells the device the new tail by one write to its doorbell.
	 *
	 * It returns how many were accepted: 0 would mean that the queue is full. A wrong
	 * request is accepted too, and comes back with its error.
	 */
	while (plx_blkq_submit(q, &one, 1) == 0)
		plx_ctrl_poll();

	/*
	 * 4. The device reads the entry, writes the data to buf and then a 16-byte entry to the
	 * completion queue, with a phase bit that turns each time round (NVMe Base 2.0, 3.3.3.2).
	 * Nothing interrupts us: we look.
	 *
	 * 5. nvme_qpair.c: nvme_qpair_poll() reads that bit with acquire order, so that what it
	 * reads afterwards is not older; checks that the command id is one it has given out,
	 * since the device may be broken or hostile; turns the device's status into -errno,
	 * leaving the original in raw; and gives the request back.
	 *
	 * 6. plx_blk.h: plx_blkq_poll() returns how many are back. A thread that polls is busy
	 * all the time; the control plane (admin commands, sockets, deadlines) asks for a turn
	 * now and then.
	 */
	while (plx_blkq_poll(q, &back, 1) == 0)
		plx_ctrl_poll();
	return back; /* == &req */
}

static void
dump(const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		printf("%02x%c", p[i], i % 16 == 15 ? '\n' : ' ');
}

static int
show_block(struct plx_blkq *q, uint64_t lba, uint32_t block_size)
{
	/* Memory that the device reaches. Other memory would do, through a bounce buffer. */
	uint8_t *buf = plx_mem_alloc(block_size, 4096, -1);
	struct plx_blk_req *req;
	int status;

	if (buf == NULL)
		return -1;
	req = read_block(q, lba, buf);
	status = req->status;
	printf("block %" PRIu64 ": %s\n", lba, status == 0 ? "read" : strerror(-status));
	if (status == 0)
		dump(buf, 64);
	/* Only a peer that died may still write to a request's buffer after it came back. */
	if (!(req->flags & PLX_IO_MAYBE_DMA))
		plx_mem_free(buf);
	return status;
}

/* Open the device with one queue, for this thread. Read-only: a write would end with -EROFS. */
static int
with_device(const char *name, uint64_t lba)
{
	struct plx_blk_info info;
	struct plx_blk *blk;
	int rc = plx_blk_open(name, 0, &blk);

	if (rc != 0) {
		fprintf(stderr, "%s: can't be opened: %s\n", name, strerror(-rc));
		return rc;
	}
	plx_blk_info_get(blk, &info);
	rc = plx_blk_configure(blk, 1);
	if (rc == 0)
		rc = plx_blkq_setup(blk, 0, NULL); /* default depth and NUMA node */
	if (rc == 0)
		rc = plx_blk_start(blk);
	if (rc == 0)
		rc = show_block(plx_blk_queue_get(blk, 0), lba, info.block_size);
	else
		fprintf(stderr, "%s: can't be started: %s\n", name, strerror(-rc));
	plx_blk_close(blk);
	return rc;
}

int
main(int argc, char **argv)
{
	const char *str = argc > 1 ? argv[1] : "soft-nvme:size=64M";
	uint64_t lba = argc > 2 ? strtoull(argv[2], NULL, 0) : 0;
	struct plx_dev *dev;
	int rc;

	/* EAL with our defaults; a DPDK program calls plx_eal_init() and joins its own. */
	if (plx_eal_init_app(1, argv) < 0)
		return 1;
	/* From string to driver: lib/probe. The reason of a failure has been printed. */
	rc = plx_attach(str, &dev);
	if (rc == 0)
		rc = with_device(plx_dev_name(dev), lba);
	plx_detach_all();
	plx_eal_cleanup();
	return rc != 0;
}
