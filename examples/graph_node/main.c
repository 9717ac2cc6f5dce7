/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * examples/embed_dataplane as nodes of an rte_graph: a block device is a node that takes packets
 * with requests in them, and a source that gives them back.
 *
 *	disk-rx ---> disk-aoe ---> disk-submit - - > (the device) - - > disk-poll
 *	                |  \            |                                   |
 *	                |   '------> disk-drop                              |
 *	                '-----------------------------------> disk-tx <-----'
 *
 * It is kept to what the graph is about: for packets of a lost device, events and leaving Pollux
 * see there. rte_graph is experimental in DPDK 22.11. Build, in the same way, and run:
 *	e=../embed_dataplane
 *	cc -DALLOW_EXPERIMENTAL_API -I$e -o graph_node main.c $e/aoe.c $e/port.c \
 *		$(pkg-config --cflags --libs pollux)
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include <rte_eal.h>
#include <rte_ethdev.h>
#include <rte_graph.h>
#include <rte_graph_worker.h>
#include <rte_mbuf.h>

#include <plx_blk.h>
#include <plx_ctrl.h>
#include <plx_eal.h>
#include <plx_probe.h>

#include "aoe.h"
#include "port.h"

#define BURST 32
#define PORT 0

/* What the nodes of the one graph share. */
static struct {
	struct plx_dev *dev;
	struct plx_blk *blk;
	struct plx_blkq *q;
	struct plx_blk_info info;
	uint64_t reads, writes, errors, dropped;
} disk;

static volatile sig_atomic_t quit;

static void
on_signal(int sig)
{
	(void)sig;
	quit = 1;
}

static uint16_t
rx_process(struct rte_graph *graph, struct rte_node *node, void **objs, uint16_t n)
{
	(void)objs;
	n = rte_eth_rx_burst(PORT, 0, (struct rte_mbuf **)node->objs, BURST);
	node->idx = n;
	if (n != 0)
		rte_node_next_stream_move(graph, node, 0);
	return n;
}

/* Its edges are the verdicts. */
static uint16_t
aoe_process(struct rte_graph *graph, struct rte_node *node, void **objs, uint16_t n)
{
	for (uint16_t i = 0; i < n; i++) {
		struct plx_blk_req *req = rte_mbuf_to_priv(objs[i]);

		rte_node_enqueue_x1(
			graph, node, (rte_edge_t)aoe_receive(objs[i], &disk.info, req), objs[i]);
	}
	return n;
}

static uint16_t
submit_process(struct rte_graph *graph, struct rte_node *node, void **objs, uint16_t n)
{
	struct plx_blk_req *reqs[RTE_GRAPH_BURST_SIZE];
	uint16_t taken = 0;

	for (uint16_t done = 0, some; done < n; done = (uint16_t)(done + some)) {
		some = (uint16_t)RTE_MIN(n - done, RTE_GRAPH_BURST_SIZE);
		for (uint16_t i = 0; i < some; i++) {
			reqs[i] = rte_mbuf_to_priv(objs[done + i]);
			reqs[i]->user = objs[done + i];
		}
		taken = plx_blkq_submit(disk.q, reqs, some);
		if (taken < some) /* no room: who asked asks again */
			rte_node_enqueue(
				graph, node, 0, objs + done + taken, (uint16_t)(some - taken));
	}
	return n;
}

static uint16_t
poll_process(struct rte_graph *graph, struct rte_node *node, void **objs, uint16_t n)
{
	struct plx_blk_req *back[BURST];

	(void)objs;
	n = plx_blkq_poll(disk.q, back, BURST);
	for (uint16_t i = 0; i < n; i++) {
		node->objs[i] = back[i]->user;
		disk.errors += back[i]->status != 0;
		*(back[i]->op == PLX_OP_READ ? &disk.reads : &disk.writes) += 1;
		aoe_reply(node->objs[i], back[i]);
	}
	node->idx = n;
	if (n != 0)
		rte_node_next_stream_move(graph, node, 0);
	return n;
}

static uint16_t
tx_process(struct rte_graph *graph, struct rte_node *node, void **objs, uint16_t n)
{
	uint16_t sent = rte_eth_tx_burst(PORT, 0, (struct rte_mbuf **)objs, n);

	if (sent < n)
		rte_node_enqueue(graph, node, 0, objs + sent, (uint16_t)(n - sent));
	return n;
}

static uint16_t
drop_process(struct rte_graph *graph, struct rte_node *node, void **objs, uint16_t n)
{
	(void)graph;
	(void)node;
	disk.dropped += n;
	rte_pktmbuf_free_bulk((struct rte_mbuf **)objs, n);
	return n;
}

static struct rte_node_register rx_node = {
	.name = "disk-rx",
	.flags = RTE_NODE_SOURCE_F,
	.process = rx_process,
	.nb_edges = 1,
	.next_nodes = {"disk-aoe"},
};
static struct rte_node_register aoe_node = {
	.name = "disk-aoe",
	.process = aoe_process,
	.nb_edges = 3,
	.next_nodes = {[AOE_IGNORE] = "disk-drop",
		[AOE_ANSWERED] = "disk-tx",
		[AOE_REQUEST] = "disk-submit"},
};
static struct rte_node_register submit_node = {
	.name = "disk-submit",
	.process = submit_process,
	.nb_edges = 1,
	.next_nodes = {"disk-drop"},
};
static struct rte_node_register poll_node = {
	.name = "disk-poll",
	.flags = RTE_NODE_SOURCE_F,
	.process = poll_process,
	.nb_edges = 1,
	.next_nodes = {"disk-tx"},
};
static struct rte_node_register tx_node = {
	.name = "disk-tx",
	.process = tx_process,
	.nb_edges = 1,
	.next_nodes = {"disk-drop"},
};
static struct rte_node_register drop_node = {
	.name = "disk-drop",
	.process = drop_process,
};
RTE_NODE_REGISTER(rx_node)
RTE_NODE_REGISTER(aoe_node)
RTE_NODE_REGISTER(submit_node)
RTE_NODE_REGISTER(poll_node)
RTE_NODE_REGISTER(tx_node)
RTE_NODE_REGISTER(drop_node)

static int
disk_start(const char *str)
{
	int rc = plx_eal_init(0, NULL);

	if (rc == 0)
		rc = plx_attach(str, &disk.dev);
	if (rc == 0)
		rc = plx_blk_open(plx_dev_name(disk.dev), PLX_BLK_O_WRITE, &disk.blk);
	if (rc != 0)
		return rc;
	plx_blk_info_get(disk.blk, &disk.info);
	if (disk.info.block_size != AOE_SECTOR)
		return -ENOTSUP;
	rc = plx_blk_configure(disk.blk, 1);
	if (rc == 0)
		rc = plx_blkq_setup(disk.blk, 0, NULL);
	if (rc == 0)
		rc = plx_blk_start(disk.blk);
	disk.q = plx_blk_queue_get(disk.blk, 0);
	return rc;
}

/* @return payloads that were copied */
static uint64_t
disk_stop(void)
{
	struct plx_blk_stats st = {0};
	struct plx_blk_req *back[BURST];

	if (disk.q != NULL) {
		plx_blk_stop(disk.blk);
		while (disk.q->inflight != 0)
			for (uint16_t n = plx_blkq_poll(disk.q, back, BURST); n > 0; n--)
				rte_pktmbuf_free(back[n - 1]->user);
		plx_blk_stats_get(disk.blk, UINT16_MAX, &st);
	}
	if (disk.dev != NULL)
		plx_detach(disk.dev);
	plx_eal_cleanup();
	return st.bounced;
}

static int
walk(void)
{
	const char *patterns[] = {"disk-*"};
	struct rte_graph_param prm = {
		.socket_id = SOCKET_ID_ANY, .nb_node_patterns = 1, .node_patterns = patterns};
	rte_graph_t id = rte_graph_create("disk", &prm);
	struct rte_graph *graph = rte_graph_lookup("disk");

	if (graph == NULL)
		return -rte_errno;
	printf("serving %s\n", disk.info.name);
	fflush(stdout);
	while (!quit) {
		rte_graph_walk(graph);
		plx_ctrl_poll();
	}
	return rte_graph_destroy(id);
}

int
main(int argc, char **argv)
{
	struct rte_mempool *pool = NULL;
	struct sigaction act = {.sa_handler = on_signal};
	int n = rte_eal_init(argc, argv), rc;
	uint64_t copied;

	if (n < 0) /* EAL said why */
		return 1;
	if (n + 1 >= argc || rte_eth_dev_count_avail() == 0) {
		fprintf(stderr, "usage: %s EAL-options -- DEVICE, with one port among the former\n",
			argv[0]);
		return 2;
	}
	sigaction(SIGINT, &act, NULL);
	sigaction(SIGTERM, &act, NULL);
	rc = port_start(PORT, sizeof(struct plx_blk_req), &pool);
	if (rc == 0)
		rc = disk_start(argv[n + 1]);
	if (rc == 0)
		rc = walk();
	if (rc != 0)
		fprintf(stderr, "%s: %s\n", argv[n + 1], strerror(-rc));
	copied = disk_stop();
	printf("%" PRIu64 " reads, %" PRIu64 " writes, %" PRIu64 " errors, %" PRIu64
	       " packets dropped, %" PRIu64 " payloads copied\n",
		disk.reads, disk.writes, disk.errors, disk.dropped, copied);
	rte_eth_dev_stop(PORT);
	rte_eth_dev_close(PORT);
	rte_eal_cleanup();
	return rc != 0 || copied != 0;
}
