/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A reactor on an lcore of its own reads a device by callbacks, and sleeps when it has nothing to
 * do. Build and run:
 *	cc -o reactor_hello main.c $(pkg-config --cflags --libs pollux)
 *	./reactor_hello [device string]
 */
#include <inttypes.h>
#include <stdio.h>

#include <rte_lcore.h>

#include <plx_blkr.h>
#include <plx_eal.h>
#include <plx_mem.h>
#include <plx_probe.h>
#include <plx_reactor.h>

#define READS 1000

static struct plx_reactor *r;
static struct plx_blkr *b;
static unsigned int done, failed;

/* A read is back, on the reactor's lcore: send it off again. */
static void
on_read(struct plx_blk_req *req)
{
	failed += req->status != 0;
	req->lba++;
	if (++done == READS || plx_blkr_submit(b, req, on_read) != 0)
		printf("%u blocks read, %u failed\n", done, failed);
}

/* A message from the main lcore. */
static void
begin(void *req)
{
	plx_blkr_submit(b, req, on_read);
}

static void
on_timer(void *arg)
{
	struct plx_reactor_stats st;

	plx_reactor_stats_get(arg, &st);
	printf("%" PRIu64 " turns, asleep %" PRIu64 " times, for %.0f %% of the time\n", st.turns,
		st.sleeps,
		100.0 * (double)st.sleep_cycles /
			(double)(st.sleep_cycles + st.busy_cycles + st.idle_cycles));
	plx_reactor_stop(arg);
}

static int
run(struct plx_blk *blk, struct plx_blk_req *req)
{
	const struct plx_reactor_conf conf = {.idle = PLX_IDLE_ADAPTIVE};
	struct plx_timer timer = {.fn = on_timer};
	unsigned int lcore = rte_get_next_lcore(-1, 1, 0);

	if (plx_reactor_create_conf("hello", &conf, &r) != 0)
		return 1;
	if (plx_reactor_add_ctrl(r) == NULL ||
		plx_blkr_create(r, plx_blk_queue_get(blk, 0), &b) != 0)
		return 1;
	timer.arg = r;
	plx_timer_arm(r, &timer, 500000, 0);
	plx_reactor_send(r, begin, req);
	if (plx_reactor_launch(r, lcore) != 0) /* there is but one lcore */
		plx_reactor_run(r);
	plx_reactor_wait(r);
	plx_blkr_destroy(b);
	plx_reactor_destroy(r);
	return done != READS || failed != 0;
}

int
main(int argc, char **argv)
{
	struct plx_blk_req req = {.op = PLX_OP_READ, .nblk = 1};
	struct plx_dev *dev;
	struct plx_blk *blk;
	int rc = 1;

	if (plx_eal_init_app(1, argv) < 0)
		return 1;
	req.buf = plx_mem_alloc(4096, 4096, -1);
	if (plx_attach(argc > 1 ? argv[1] : "soft-nvme:size=64M", &dev) == 0 &&
		plx_blk_open(plx_dev_name(dev), 0, &blk) == 0 && plx_blk_configure(blk, 1) == 0 &&
		plx_blkq_setup(blk, 0, NULL) == 0 && plx_blk_start(blk) == 0)
		rc = run(blk, &req);
	plx_detach_all();
	plx_mem_free(req.buf);
	plx_eal_cleanup();
	return rc;
}
