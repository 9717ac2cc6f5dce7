/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <termios.h>
#include <unistd.h>

#include <rte_cycles.h>

#include "plx_ctrl.h"
#include "plx_mem.h"
#include "safety.h"
#include "testblk.h"

#define HEAD_BYTES (4u << 20) /* what is known to have its place farther in is a second copy */
#define TAIL_BYTES (1u << 20)
#define CHUNK (128u << 10)
#define READ_SECONDS 10

/* ---- reading ---- */

/* One read. @return its status; -ETIMEDOUT: the device keeps the request */
static int
read_chunk(struct plx_blkq *q, struct plx_blk_req *req, double hz)
{
	uint64_t until = rte_rdtsc() + (uint64_t)(READ_SECONDS * hz);
	struct plx_blk_req *back;
	bool lent = false;

	while (rte_rdtsc() < until && !tb_interrupted) {
		lent = lent || plx_blkq_submit(q, &req, 1) == 1;
		if (plx_blkq_poll(q, &back, 1) == 1)
			return back->status;
		plx_ctrl_poll();
	}
	return lent ? -ETIMEDOUT : -EAGAIN;
}

/* A part of the device into the image. What can't be read looks empty. @return 0 or -ETIMEDOUT */
static int
copy_part(const struct tb_dev *d, struct plx_blk_req *req, int fd, uint64_t lba, uint64_t end,
	double hz)
{
	struct plx_blkq *q = plx_blk_queue_get(d->blk, 0);
	uint32_t bs = d->info.block_size, most = RTE_MAX(CHUNK / bs, 1u), n;
	int rc = 0;

	for (; lba < end && rc != -ETIMEDOUT; lba += n) {
		n = (uint32_t)RTE_MIN(most, end - lba);
		*req = (struct plx_blk_req){
			.op = PLX_OP_READ, .lba = lba, .nblk = n, .buf = req->buf};
		rc = read_chunk(q, req, hz);
		if (rc == 0 && pwrite(fd, req->buf, (size_t)n * bs, (off_t)(lba * bs)) < 0)
			return -errno;
	}
	return rc == -ETIMEDOUT ? rc : 0;
}

/* @return a file like the device at both ends, or -errno, after one line */
static int
image(const struct tb_dev *d, double hz)
{
	uint64_t n = d->info.nblocks, bs = d->info.block_size;
	uint64_t head = RTE_MIN(n, HEAD_BYTES / bs), tail = RTE_MIN(n - head, TAIL_BYTES / bs);
	struct plx_blk_req *req = aligned_alloc(RTE_CACHE_LINE_SIZE, sizeof(*req));
	void *buf = plx_mem_alloc(RTE_MAX(CHUNK, bs), 4096, d->info.numa_node);
	int fd = memfd_create("plx-testblk", MFD_CLOEXEC), rc = -ENOMEM;

	if (req != NULL && buf != NULL && fd >= 0 && ftruncate(fd, (off_t)(n * bs)) == 0) {
		while (plx_mem_sync() == -EINPROGRESS)
			plx_ctrl_poll();
		req->buf = buf;
		rc = copy_part(d, req, fd, 0, head, hz);
		if (rc == 0)
			rc = copy_part(d, req, fd, n - tail, n, hz);
	}
	if (rc != -ETIMEDOUT) { /* else the device still has them */
		plx_mem_free(buf);
		free(req);
	}
	if (rc == 0)
		return fd;
	tb_say("%s: can't look what is on it: %s", d->info.name, strerror(-rc));
	if (fd >= 0)
		close(fd);
	return rc;
}

/* ---- asking ---- */

/* A line from the terminal, whatever mode a shell has it in. The control plane goes on. */
static bool
answer(char *line, size_t len)
{
	struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
	struct termios was, cooked;
	ssize_t n = 0;

	if (tcgetattr(STDIN_FILENO, &was) != 0)
		return false;
	cooked = was;
	cooked.c_lflag |= ICANON | ECHO | ISIG;
	tcsetattr(STDIN_FILENO, TCSANOW, &cooked);
	while (!tb_interrupted && poll(&in, 1, 50) <= 0)
		plx_ctrl_poll();
	if (!tb_interrupted)
		n = read(STDIN_FILENO, line, len - 1);
	tcsetattr(STDIN_FILENO, TCSANOW, &was);
	line[n > 0 ? n : 0] = '\0';
	line[strcspn(line, "\r\n")] = '\0';
	return n > 0;
}

static int
consent(const struct tb_dev *d, bool yes)
{
	char line[16];

	if (yes)
		return TB_OK;
	if (!isatty(STDIN_FILENO) || !isatty(STDERR_FILENO)) {
		tb_say("%s holds the above: say --yes if it may be overwritten", d->info.name);
		return TB_USAGE;
	}
	fprintf(stderr, "Overwrite %s? (yes/no) ", d->info.name);
	if (answer(line, sizeof(line)) && strcmp(line, "yes") == 0)
		return TB_OK;
	tb_say("%s: nothing was written", d->info.name);
	return TB_USAGE;
}

static int
look(struct tb_dev *d, double hz, bool yes)
{
	char head[sizeof(d->info.name) + sizeof(d->info.model) + sizeof(d->info.serial) + 32];
	int fd = image(d, hz), rc = TB_OK;

	if (fd < 0)
		return TB_FAIL;
	snprintf(head, sizeof(head), "plx-testblk: %s (%s%s%s) holds:\n", d->info.name,
		d->info.model[0] != '\0' ? d->info.model : d->info.driver,
		d->info.serial[0] != '\0' ? ", " : "", d->info.serial);
	if (tb_signatures(head, fd, d->info.nblocks * d->info.block_size, d->info.block_size) != 0)
		rc = consent(d, yes);
	close(fd);
	d->looked_at = rc == TB_OK;
	plx_blk_stats_get(d->blk, UINT16_MAX, &d->stats); /* these reads are none of the run's */
	return rc;
}

int
tb_safety_check(struct tb_run *run)
{
	bool yes = run->njob != 0;
	int rc = TB_OK;

	for (uint32_t j = 0; j < run->njob; j++)
		yes &= run->jobs[j].opts.yes;
	for (struct tb_dev *d = run->session->devs; rc == TB_OK && d != NULL; d = d->next)
		if (d->nq != 0 && d->writable && !d->looked_at &&
			!(d->info.caps & (PLX_BLK_CAP_SOFTWARE | PLX_BLK_CAP_NODATA)))
			rc = look(d, run->hz, yes);
	return rc;
}
