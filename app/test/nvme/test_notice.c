/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The notices that the kernel's VFIO gives by eventfd: a fatal error of the bus, and the wish to
 * have the device back. The fake controller is behind vfio-user, which has none: the kernel's poll
 * is put in front of its own, with eventfds of the test.
 */
#include <sys/eventfd.h>

#include "plx_nvme.h"
#include "rig.h"
#include "vfio_kernel_priv.h"

enum { ERR, REQ };

static struct vfio_kernel kernel;
static const struct plx_vfio_ops *beneath;
static struct plx_vfio_ops both;

static int
poll_both(struct plx_vfio_dev *dev)
{
	int rc = vfio_kernel_ops.poll(&kernel.dev);

	dev->wanted_back = kernel.dev.wanted_back;
	if (rc == 0)
		return beneath->poll(dev);
	__atomic_store_n(&dev->lost, rc, __ATOMIC_RELAXED);
	return rc;
}

static struct nvme_ctrlr *
ctrlr(void)
{
	return h.dev->priv;
}

/* Two queues, all requests out; none will be answered. */
static void
start_busy(void)
{
	unsigned int i;

	begin();
	attach("");
	host_set_up(&h, "fk", 2, HOST_DEPTH);
	REQUIRE(plx_blk_start(h.blk) == 0);
	CHECK_EQ(host_one(&h, PLX_OP_WRITE, 0, 1), 0);
	kernel = (struct vfio_kernel){.fd = -1};
	snprintf(kernel.dev.name, sizeof(kernel.dev.name), "notices");
	for (i = 0; i < 2; i++) {
		kernel.notice[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		REQUIRE(kernel.notice[i] >= 0);
	}
	beneath = ctrlr()->vfio->ops;
	both = *beneath;
	both.poll = poll_both;
	ctrlr()->vfio->ops = &both;
	keep_busy();
}

static void
notify(unsigned int which)
{
	REQUIRE(eventfd_write(kernel.notice[which], 1) == 0);
}

static void
stop(int err)
{
	struct plx_vfio_dev *vfio = ctrlr()->vfio;

	plx_blk_close(h.blk);
	vfio->ops = beneath;
	CHECK_EQ(plx_detach(h.dev), err);
	plx_mem_free(h.mem);
	close(kernel.notice[ERR]);
	close(kernel.notice[REQ]);
	end();
}

/* All come back, once, with that status; and then nothing. */
static void
all_end(void)
{
	struct plx_blkq *other = plx_blk_queue_get(h.blk, 1);
	struct plx_blk_req *got;
	unsigned int i;

	CHECK_EQ(host_collect(&h, HOST_DEPTH, 5), HOST_DEPTH);
	for (i = 0; i < HOST_DEPTH; i++)
		CHECK_EQ(h.reqs[i].status, -ENODEV);
	CHECK(host_event(&h, PLX_BLK_EVENT_REMOVED, 0, 2));
	CHECK_EQ(plx_blkq_poll(h.q, &got, 1), 0);
	CHECK_EQ(host_one(&h, PLX_OP_READ, 0, 1), -ENODEV);
	h.q = other;
	CHECK_EQ(host_one(&h, PLX_OP_READ, 0, 1), -ENODEV);
}

static void
error(void)
{
	start_busy();
	notify(ERR);
	all_end();
	stop(0);
	CHECK(!f.was_shut_down, "who talks to it?");
}

/* An admin command of the application waits meanwhile, with minutes to go. */
static void
error_in_admin(void)
{
	struct plx_nvme_cmd cmd = {.cdw = {nvme_admin_format_nvm, 1}, .timeout_ms = 600000};
	double t = host_now();
	int rc;

	start_busy();
	fake_lock(&f);
	f.silent_admin = nvme_admin_format_nvm;
	fake_unlock(&f);
	CHECK_EQ(plx_nvme_admin_begin(h.dev, &cmd), 0);
	plx_ctrl_poll();
	notify(ERR);
	while ((rc = plx_nvme_poll(h.dev)) == -EINPROGRESS && host_now() - t < 10)
		plx_ctrl_poll();
	CHECK_EQ(rc, -ENODEV);
	all_end();
	stop(0);
}

/* A reset is under way, which the controller never comes back from. */
static void
error_in_reset(void)
{
	start_busy();
	fake_lock(&f);
	f.never_ready = true;
	fake_unlock(&f);
	CHECK_EQ(plx_blk_reset_begin(h.blk), 0);
	while (seen(&f.nr_enabled) < 2)
		plx_ctrl_poll();
	notify(ERR);
	all_end();
	CHECK_EQ(plx_blk_op_poll(h.blk), -ENODEV);
	stop(0);
}

/* The kernel wants it back: the same, but the controller is shut down in order. */
static void
request(void)
{
	start_busy();
	notify(REQ);
	all_end();
	stop(0);
	CHECK(f.was_shut_down);
}

/* Both, and more than once. */
static void
storm(void)
{
	unsigned int i;

	start_busy();
	for (i = 0; i < 100; i++)
		notify(i % 2);
	all_end();
	notify(ERR);
	plx_ctrl_poll();
	stop(0);
}

int
main(int argc, char **argv)
{
	host_eal(argc, argv);
	RUN(error);
	RUN(error_in_admin);
	RUN(error_in_reset);
	RUN(request);
	RUN(storm);
	plx_eal_cleanup();
	return TEST_RESULT();
}
