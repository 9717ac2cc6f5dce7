/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * plx-blk-node [EAL options] -- DEVICE-STRING
 *
 * On which NUMA node an NVMe device and the memory of its queue are: 0 when it is the same.
 */
#include <errno.h>
#include <numaif.h>
#include <stdio.h>
#include <string.h>

#include "nvme_priv.h"
#include "plx_eal.h"

#include "vm_dev.h"

static bool
check(const char *what, void *mem, int node)
{
	int at = -1;

	if (move_pages(0, 1, &mem, NULL, &at, 0) != 0 || at < 0) {
		printf("%s: %s\n", what, strerror(at < 0 ? -at : errno));
		return false;
	}
	printf("%s: node %d\n", what, at);
	return at == node;
}

static int
nodes(struct plx_blk *blk, void *arg)
{
	struct nvme_qpair *q = (struct nvme_qpair *)plx_blk_queue_get(blk, 0);
	struct plx_blk_info info;
	bool ok;

	(void)arg;
	plx_blk_info_get(blk, &info);
	printf("device: node %d\n", info.numa_node);
	ok = check("submission queue", q->sq, info.numa_node);
	ok &= check("completion queue", q->cq, info.numa_node);
	ok &= check("descriptors", q->slots, info.numa_node);
	ok &= check("admin queue", q->c->admin.sq, info.numa_node);
	return ok ? 0 : -EXDEV;
}

int
main(int argc, char **argv)
{
	int n = plx_eal_init_app(argc, argv), rc;

	if (n < 0)
		return 1;
	if (argc - n != 2) {
		fprintf(stderr, "usage: plx-blk-node [EAL options] -- DEVICE\n");
		return 2;
	}
	rc = vm_dev_run(argv[n + 1], 1, 0, nodes, NULL);
	plx_eal_cleanup();
	return rc != 0;
}
