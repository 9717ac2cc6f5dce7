/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The application of a block device that is hostile: fuzz_nvme.c, fuzz_vhost_user.c. What it does
 * is the input's, and so is what the device does meanwhile. Whatever that is, each request comes
 * back once, none while the device may still write to its buffer, no such memory is freed, and at
 * the end nothing is left.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_malloc.h>

#include "fuzz_blk.h"
#include "plx_blk.h"
#include "plx_ctrl.h"
#include "plx_mem.h"
#include "plx_nvme.h"
#include "plx_probe.h"

#define NREQ 16
#define BYTES 65536u
#define META 8192u
#define NSEG 48

static struct plx_blk_req reqs[NREQ];
static struct plx_seg segs[NREQ][NSEG];
static struct plx_copy_range ranges[NREQ][4];
static struct plx_blk_ext exts[NREQ];
static struct plx_nvme_cmd cmds[NREQ];
static enum { IDLE, LENT, KEPT } state[NREQ]; /* kept: the device may still be at it */
static uint8_t *mem, *meta, *foreign;
static struct plx_blk *blk;
static struct plx_blkq *q;
static struct plx_blk_info info;

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	fuzz_eal((*argv)[0]);
	mem = plx_mem_alloc(NREQ * BYTES, 4096, -1);
	meta = plx_mem_alloc(NREQ * META, 4096, -1);
	foreign = malloc(NREQ * BYTES);
	fuzz_check(mem != NULL && meta != NULL && foreign != NULL);
	dev_init();
	return 0;
}

void __wrap_plx_mem_free(void *ptr);
void __real_plx_mem_free(void *ptr);

void
__wrap_plx_mem_free(void *ptr)
{
	size_t len;

	if (ptr != NULL && rte_malloc_validate(ptr, &len) == 0)
		fuzz_check(!dev_may_write(ptr, len));
	__real_plx_mem_free(ptr);
}

/* ---- requests ---- */

static void
aim_data(unsigned int i, uint8_t how)
{
	struct plx_blk_req *r = &reqs[i];
	size_t left = plx_blk_bytes(&info, r->nblk);
	unsigned int most;
	uint8_t *at = (how & 1 ? foreign : mem) + (size_t)i * BYTES;

	if ((how & 6) != 6 || left < 64) {
		r->buf = at + (how & 8 && left < BYTES ? how >> 4 : 0);
		return;
	}
	r->segs = segs[i];
	for (most = take() % NSEG; r->nseg < most && left > 1; r->nseg++) {
		segs[i][r->nseg] = (struct plx_seg){at, 1 + take() % (left - 1)};
		at += segs[i][r->nseg].len;
		left -= segs[i][r->nseg].len;
	}
	segs[i][r->nseg++] = (struct plx_seg){at, left};
}

static void
aim_ext(unsigned int i, uint8_t how)
{
	struct plx_blk_ext *e = &exts[i];

	reqs[i].ext = e;
	*e = (struct plx_blk_ext){.pi_flags = how >> 4, .pi_ref = take(), .pi_app = take()};
	if ((how & 1) && (uint64_t)reqs[i].nblk * info.meta_size <= META)
		e->meta = meta + (size_t)i * META;
	if (reqs[i].op != PLX_OP_NVME)
		return;
	e->nvme = &cmds[i];
	cmds[i] = (struct plx_nvme_cmd){.data_len = (uint32_t)take_n(2)};
	cmds[i].cdw[0] = take();
	cmds[i].cdw[10] = take();
	cmds[i].cdw[12] = take();
}

/* Ranges that add up, or not. */
static void
aim_copy(unsigned int i, bool sum)
{
	struct plx_blk_req *r = &reqs[i];
	unsigned int k;

	r->ranges = ranges[i];
	r->nseg = take() & 3;
	r->nblk = sum ? 0 : r->nblk;
	for (k = 0; k < r->nseg; k++) {
		ranges[i][k] = (struct plx_copy_range){take_n(2), take(), 0};
		r->nblk += sum ? ranges[i][k].nblk : 0;
	}
}

static void
aim(unsigned int i)
{
	struct plx_blk_req *r = &reqs[i];
	uint8_t how = take();

	*r = (struct plx_blk_req){.op = take() % (PLX_OP_MAX + 1), .status = 1};
	r->flags = how & 7;
	r->lba = how & 8 ? take_odd() : take();
	r->nblk = r->op == PLX_OP_FLUSH ? 0 : 1u + take();
	if (r->op == PLX_OP_ZONE_REPORT || r->op == PLX_OP_NVME)
		r->buf = mem + (size_t)i * BYTES;
	else if (r->op == PLX_OP_FLUSH || (r->op >= PLX_OP_ZONE_OPEN && r->op != PLX_OP_COPY))
		r->nblk = how & 16 ? r->nblk : 0;
	for (; plx_blk_bytes(&info, r->nblk) > BYTES; r->nblk /= 2)
		;
	if (r->op == PLX_OP_COPY)
		aim_copy(i, how & 64);
	else if (r->buf == NULL && r->nblk != 0)
		aim_data(i, take());
	if ((how & 32) || r->op == PLX_OP_NVME)
		aim_ext(i, take());
}

static void
submit(void)
{
	struct plx_blk_req *p[NREQ];
	unsigned int i, n = 0, most = 1 + take() % NREQ;

	for (i = 0; i < NREQ && n < most; i++)
		if (state[i] == IDLE) {
			aim(i);
			p[n++] = &reqs[i];
		}
	most = plx_blkq_submit(q, p, (uint16_t)n);
	fuzz_check(most <= n);
	for (i = 0; i < most; i++)
		state[p[i] - reqs] = LENT;
}

static void
collect(void)
{
	struct plx_blk_req *got[NREQ];
	unsigned int i, slot, n = plx_blkq_poll(q, got, 1 + take() % NREQ);

	fuzz_check(n <= NREQ);
	for (i = 0; i < n; i++) {
		slot = (unsigned int)(got[i] - reqs);
		fuzz_check(slot < NREQ && state[slot] == LENT && got[i]->status <= 0);
		state[slot] = got[i]->flags & PLX_IO_MAYBE_DMA ? KEPT : IDLE;
		if (state[slot] == IDLE) {
			fuzz_check(!dev_may_write(mem + slot * BYTES, BYTES));
			fuzz_check(!dev_may_write(meta + slot * META, META));
		}
	}
}

static bool
lent(void)
{
	unsigned int i;

	for (i = 0; i < NREQ; i++)
		if (state[i] == LENT)
			return true;
	return false;
}

/* Everything comes back from a queue that was stopped; of a device that is leaving, in a while. */
static void
stop(void)
{
	unsigned int i;

	plx_blk_stop(blk);
	for (i = 0; i < 1000 && lent(); i++) {
		collect();
		plx_ctrl_poll();
		fuzz_ms += 100;
	}
	fuzz_check(!lent());
}

/* ---- the application ---- */

static void
open_device(void)
{
	struct plx_blkq_conf conf = {.depth = (uint16_t)take(), .socket = -1, .intr = take() & 1};

	q = NULL;
	blk = plx_blk_next(NULL);
	if (blk == NULL)
		return;
	plx_blk_info_get(blk, &info);
	if (plx_blk_open(info.name, PLX_BLK_O_WRITE, &blk) != 0 &&
		plx_blk_open(info.name, 0, &blk) != 0) {
		blk = NULL;
		return;
	}
	if (plx_blk_configure(blk, 1) == 0 && plx_blkq_setup(blk, 0, &conf) == 0)
		plx_blk_start(blk);
	q = plx_blk_queue_get(blk, 0);
	plx_blk_info_get(blk, &info);
}

static void
close_device(void)
{
	if (blk == NULL)
		return;
	if (q != NULL)
		stop();
	plx_blk_close(blk);
	blk = NULL;
	q = NULL;
}

static void
admin(struct plx_dev *dev)
{
	static uint8_t data[8192];
	struct plx_nvme_cmd cmd = {.data = data, .data_len = take_n(2) % sizeof(data)};
	uint8_t how;

	cmd.cdw[0] = take();
	cmd.cdw[1] = take();
	cmd.cdw[10] = (uint32_t)take_n(4);
	cmd.cdw[11] = (uint32_t)take_n(2);
	how = take();
	cmd.to_device = how & 1;
	cmd.timeout_ms = take();
	if ((how & 2) && blk != NULL)
		plx_blk_nvme_admin(blk, &cmd);
	else if (how & 4)
		plx_nvme_reset(dev);
	else
		plx_nvme_admin(dev, &cmd);
}

static void
look(void)
{
	static const char *const what[] = {"regs", "sq", "cq", "?"};
	struct plx_blk_event ev;
	struct plx_blk_stats st;
	FILE *null;
	unsigned int i;

	null = fopen("/dev/null", "w"); /* each time: descriptors are counted */
	plx_blk_dump(blk, what[take() & 3], (uint16_t)(take() & 1 ? UINT16_MAX : 0), null);
	fclose(null);
	plx_blk_stats_get(blk, UINT16_MAX, &st);
	while (plx_blk_event_get(blk, &ev) == 1)
		;
	plx_blk_info_get(blk, &info);
	plx_blk_latency_enable(blk, take() & 1);
	i = take() % NREQ;
	if (state[i] == LENT)
		plx_blkq_cancel(q, &reqs[i]);
}

/* Long enough for what is late. */
static void
wait(void)
{
	unsigned int n;

	for (n = take() % 32; n != 0; n--) {
		fuzz_ms += 250;
		plx_ctrl_poll();
		if (q != NULL)
			collect();
	}
}

static void
act(struct plx_dev *dev)
{
	uint8_t what = take() % 16;

	if (what == 8)
		admin(dev);
	else if (what == 9)
		wait();
	else if (what == 10)
		dev_mischief();
	else if (blk == NULL || q == NULL)
		plx_ctrl_poll();
	else if (what < 4)
		submit();
	else if (what < 8)
		collect();
	else if (what == 11)
		plx_blk_reset(blk);
	else if (what == 12)
		stop(), plx_blk_start(blk);
	else if (what == 13 && plx_blkq_intr_fd(q) >= 0)
		plx_blkq_intr_arm(q), plx_ctrl_poll(), plx_blkq_intr_disarm(q);
	else if (what == 14)
		look();
	else
		close_device(), open_device();
	plx_ctrl_poll();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_use before = fuzz_use(), after;
	struct plx_dev *dev;

	fuzz_begin(data, size);
	memset(state, 0, sizeof(state));
	if (plx_attach(dev_begin(), &dev) == 0) {
		open_device();
		while (fuzz_in.left > 0)
			act(dev);
		close_device();
		plx_detach(dev);
	}
	dev_end();
	after = fuzz_use();
	fuzz_check(after.fd == before.fd);
	fuzz_check(after.heap == before.heap);
	fuzz_check(fuzz_lines < 1000 + fuzz_ms / 10);
	return 0;
}
