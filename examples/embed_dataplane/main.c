/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A dataplane program with a disk: it owns EAL, polls an ethdev port and a Pollux device on one
 * lcore, and serves the disk by ATA over Ethernet (AoE revision 11). A packet carries its request
 * in the mbuf's private area, and its payload is the request's buffer: the device reads into the
 * packet that goes out, and writes from the one that came in. Build and run:
 *	cc -o embed_dataplane *.c $(pkg-config --cflags --libs pollux)
 *	./embed_dataplane -l 0 --no-pci --vdev=net_af_packet0,iface=veth0 -- soft-nvme:size=64M
 * SIGHUP: leave Pollux and join it again, with the port running. SIGINT, SIGTERM: end.
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <rte_eal.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include <plx_blk.h>
#include <plx_ctrl.h>
#include <plx_eal.h>
#include <plx_probe.h>

#include "aoe.h"
#include "port.h"

#define BURST 32
#define DEPTH 128

static volatile sig_atomic_t quit, rejoin;

struct disk {
	struct plx_dev *dev;
	struct plx_blk *blk;
	struct plx_blkq *q;
	struct plx_blk_info info;
	struct rte_mbuf *held; /* packets that a lost device may still write to */
	uint64_t reads, writes, errors, dropped, copied;
};

static void
on_signal(int sig)
{
	if (sig == SIGHUP)
		rejoin = 1;
	else
		quit = 1;
}

static void
transmit(struct disk *d, uint16_t port, struct rte_mbuf **pkts, uint16_t n)
{
	uint16_t sent = rte_eth_tx_burst(port, 0, pkts, n);

	/* who asked asks again (AoE 2.5) */
	d->dropped += (uint64_t)n - sent;
	rte_pktmbuf_free_bulk(pkts + sent, (unsigned int)n - sent);
}

/*
 * Is the packet of a finished request ours again? Not where a peer died or hangs: it is kept until
 * the device is detached. Kept packets are linked by the requests in them.
 */
static bool
is_ours(struct disk *d, struct plx_blk_req *req)
{
	struct rte_mbuf *m = req->user;

	if ((req->flags & PLX_IO_MAYBE_DMA) == 0)
		return true;
	req->user = d->held;
	d->held = m;
	return false;
}

static void
free_held(struct disk *d)
{
	while (d->held != NULL) {
		struct rte_mbuf *m = d->held;
		struct plx_blk_req *req = rte_mbuf_to_priv(m);

		d->held = req->user;
		rte_pktmbuf_free(m);
	}
}

/* ---- joining and leaving Pollux: EAL and the port go on ---- */

static int
join(struct disk *d, const char *str)
{
	struct plx_blkq_conf conf = {.depth = DEPTH, .socket = -1};
	int rc = plx_eal_init(0, NULL); /* EAL runs: nothing is started */

	if (rc < 0)
		return rc;
	rc = plx_attach(str, &d->dev);
	if (rc != 0)
		return rc;
	rc = plx_blk_open(plx_dev_name(d->dev), PLX_BLK_O_WRITE, &d->blk);
	if (rc == -EROFS)
		rc = plx_blk_open(plx_dev_name(d->dev), 0, &d->blk);
	if (rc != 0)
		return rc;
	plx_blk_info_get(d->blk, &d->info);
	if (d->info.block_size != AOE_SECTOR) {
		fprintf(stderr, "%s has blocks of %u bytes; AoE wants 512\n", d->info.name,
			d->info.block_size);
		return -ENOTSUP;
	}
	if (conf.depth > d->info.max_depth)
		conf.depth = d->info.max_depth;
	rc = plx_blk_configure(d->blk, 1);
	if (rc == 0)
		rc = plx_blkq_setup(d->blk, 0, &conf);
	if (rc == 0)
		rc = plx_blk_start(d->blk);
	d->q = plx_blk_queue_get(d->blk, 0);
	return rc;
}

/* What the device did not finish comes back cancelled. */
static int
leave(struct disk *d)
{
	struct plx_blk_req *back[BURST];
	struct plx_blk_stats st;
	int rc = 0;

	if (d->q != NULL) {
		plx_blk_stop(d->blk);
		while (d->q->inflight != 0)
			for (uint16_t n = plx_blkq_poll(d->q, back, BURST); n > 0; n--)
				if (is_ours(d, back[n - 1]))
					rte_pktmbuf_free(back[n - 1]->user);
		plx_blk_stats_get(d->blk, UINT16_MAX, &st);
		d->copied += st.bounced;
	}
	if (d->dev != NULL)
		rc = plx_detach(d->dev); /* ours only: others may use Pollux as well */
	free_held(d);
	d->dev = NULL;
	d->blk = NULL;
	d->q = NULL;
	plx_eal_cleanup();
	return rc;
}

/* ---- packets to requests and back ---- */

/* Packets that come in become requests, are answered, or freed. */
static void
receive(struct disk *d, uint16_t port)
{
	struct rte_mbuf *pkts[BURST], *out[BURST];
	struct plx_blk_req *reqs[BURST];
	uint16_t n = rte_eth_rx_burst(port, 0, pkts, BURST), nreq = 0, nout = 0;

	for (uint16_t i = 0; i < n; i++) {
		struct plx_blk_req *req = rte_mbuf_to_priv(pkts[i]);

		switch (aoe_receive(pkts[i], &d->info, req)) {
		case AOE_IGNORE:
			rte_pktmbuf_free(pkts[i]);
			break;
		case AOE_ANSWERED:
			out[nout++] = pkts[i];
			break;
		case AOE_REQUEST:
			req->user = pkts[i];
			reqs[nreq++] = req;
			break;
		}
	}
	transmit(d, port, out, nout);
	n = plx_blkq_submit(d->q, reqs, nreq);
	for (uint16_t i = n; i < nreq; i++) /* the queue is full: who asked asks again */
		rte_pktmbuf_free(reqs[i]->user);
	d->dropped += (uint64_t)nreq - n;
}

static void
reply(struct disk *d, uint16_t port)
{
	struct plx_blk_req *back[BURST];
	struct rte_mbuf *out[BURST];
	uint16_t n = plx_blkq_poll(d->q, back, BURST), nout = 0;

	for (uint16_t i = 0; i < n; i++) {
		d->errors += back[i]->status != 0;
		*(back[i]->op == PLX_OP_READ ? &d->reads : &d->writes) += 1;
		if (!is_ours(d, back[i]))
			continue; /* who asked asks again */
		out[nout] = back[i]->user;
		aoe_reply(out[nout++], back[i]);
	}
	transmit(d, port, out, nout);
}

/* What the control plane has to tell. */
static void
show_events(struct disk *d)
{
	struct plx_blk_event ev;

	while (plx_blk_event_get(d->blk, &ev) == 1) {
		plx_blk_info_get(d->blk, &d->info); /* it may have another size */
		printf("%s is %s\n", d->info.name, plx_blk_state_name(d->info.state));
		fflush(stdout);
	}
}

static int
loop(struct disk *d, uint16_t port, const char *str)
{
	int rc = join(d, str);

	if (rc == 0)
		printf("serving %s\n", d->info.name);
	fflush(stdout);
	while (rc == 0 && !quit) {
		receive(d, port);
		reply(d, port);
		if (plx_ctrl_poll() != 0)
			show_events(d);
		if (rejoin) {
			rejoin = 0;
			leave(d);
			rc = join(d, str);
			printf("%s\n", rc == 0 ? "joined again" : "could not join again");
			fflush(stdout);
		}
	}
	return RTE_MIN(rc, leave(d));
}

int
main(int argc, char **argv)
{
	struct disk disk = {0};
	struct rte_mempool *pool = NULL;
	struct sigaction act = {.sa_handler = on_signal};
	int n = rte_eal_init(argc, argv), rc;

	if (n < 0) /* EAL said why */
		return 1;
	if (n + 1 >= argc || rte_eth_dev_count_avail() == 0) {
		fprintf(stderr, "usage: %s EAL-options -- DEVICE, with one port among the former\n",
			argv[0]);
		return 2;
	}
	sigaction(SIGINT, &act, NULL);
	sigaction(SIGTERM, &act, NULL);
	sigaction(SIGHUP, &act, NULL);
	rc = port_start(0, sizeof(struct plx_blk_req), &pool);
	if (rc != 0)
		fprintf(stderr, "port 0: %s\n", strerror(-rc));
	else
		rc = loop(&disk, 0, argv[n + 1]);
	printf("%" PRIu64 " reads, %" PRIu64 " writes, %" PRIu64 " errors, %" PRIu64
	       " packets dropped, %" PRIu64 " payloads copied\n",
		disk.reads, disk.writes, disk.errors, disk.dropped, disk.copied);
	rte_eth_dev_stop(0);
	rte_eth_dev_close(0);
	rte_eal_cleanup();
	return rc != 0 || disk.copied != 0;
}
