/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Splitting and bouncing, on a device made to need them: few blocks and segments a command,
 * boundaries, and only page-aligned pieces of its own memory reachable (as PRPs are). The device
 * checks each command against its limits; a shadow copy checks the data.
 */
#include <errno.h>
#include <stdbool.h>

#include <rte_malloc.h>

#include "made.h"
#include "plx_eal.h"
#include "plx_mem.h"

#define BS 512u
#define NBLOCKS 512u
#define PAGE 4096u
#define ROOM 6
#define MAX_NBLK 16
#define MAX_SEGS 3
#define BOUNDARY 20 /* not a power of two */
#define POOL (1u << 20)

static struct {
	uint8_t media[NBLOCKS * BS];
	struct plx_blk_req *cmds[ROOM]; /* at the device */
	unsigned int n;
	uint64_t bad_lba;    /* commands that reach it fail */
	unsigned int refuse; /* issue() says -EIO in so many calls */
	uint64_t lowest;     /* of the failed blocks of the request under test */
	bool no_direct, no_room;
	unsigned int bounced, commands;
	struct plx_blk_ext ext[8]; /* of commands, as far as they had one */
} dev;

static uint8_t *pool; /* memory that the device reaches */

static unsigned int
rnd(unsigned int n)
{
	static uint64_t s = 88172645463325252ull;

	s ^= s << 13;
	s ^= s >> 7;
	s ^= s << 17;
	return (unsigned int)(s >> 20) % n;
}

static bool
reachable(const void *addr, size_t len)
{
	uintptr_t off = (uintptr_t)addr - (uintptr_t)pool;

	return off < POOL && len <= POOL - off;
}

/* As PRPs: every piece but the first begins on a page, every one but the last ends on one. */
static size_t
direct(struct plx_drvq *dq, const struct plx_seg *segs, uint32_t nseg, size_t max)
{
	size_t sum = 0;
	uint32_t i;

	if (dev.no_direct)
		return 0;
	CHECK(nseg <= MAX_SEGS);
	for (i = 0; i < nseg && sum < max; i++) {
		if (!reachable(segs[i].addr, segs[i].len) || (uintptr_t)segs[i].addr % 4 != 0)
			break;
		if (i != 0 && (uintptr_t)segs[i].addr % PAGE != 0)
			break;
		sum += segs[i].len;
		if (((uintptr_t)segs[i].addr + segs[i].len) % PAGE != 0)
			break;
	}
	return RTE_MIN(sum, max);
}

static bool
data_op(const struct plx_blk_req *req)
{
	return req->op == PLX_OP_READ || req->op == PLX_OP_WRITE || req->op == PLX_OP_COMPARE;
}

static int
issue(struct plx_drvq *dq, struct plx_blk_req *req)
{
	struct plx_seg one = {req->buf, req->nblk * (size_t)BS};
	const struct plx_seg *segs = req->nseg == 0 ? &one : req->segs;
	uint32_t nseg = req->nseg == 0 ? 1 : req->nseg;
	struct plx_blk_req *copy = req;

	CHECK(req->nblk != 0 && req->nblk <= MAX_NBLK, "%u blocks", req->nblk);
	CHECK(req->lba / BOUNDARY == (req->lba + req->nblk - 1) / BOUNDARY);
	if (dev.n == ROOM || dev.no_room)
		return -EAGAIN;
	if (dev.refuse != 0 && --dev.refuse == 0) {
		dev.lowest = RTE_MIN(dev.lowest, req->lba);
		return -EIO;
	}
	if (data_op(req)) {
		if (!plx_req_data_ok(req, one.len))
			return -EINVAL;
		if (nseg > MAX_SEGS || direct(dq, segs, nseg, one.len) != one.len) {
			/* bounce memory is always good */
			if (nseg != 1 || reachable(segs[0].addr, 1) || !(req->flags & PLX_IO_CHILD))
				return -EXDEV;
			if (((uintptr_t)segs[0].addr % PAGE) != 0)
				return -EXDEV;
			dev.bounced++;
		}
	}
	if (req->ext != NULL && dev.commands < RTE_DIM(dev.ext))
		dev.ext[dev.commands] = *req->ext;
	dev.commands++;
	dev.cmds[dev.n++] = copy;
	return 0;
}

static void
execute(struct plx_blk_req *req)
{
	struct plx_seg one = {req->buf, req->nblk * (size_t)BS};
	const struct plx_seg *segs = req->nseg == 0 ? &one : req->segs;
	uint32_t nseg = req->nseg == 0 ? 1 : req->nseg, i;
	uint8_t *at = dev.media + req->lba * BS;

	req->status = 0;
	if (req->lba + req->nblk > dev.bad_lba) {
		req->status = -ENODATA;
		req->raw = (uint16_t)req->lba;
		dev.lowest = RTE_MIN(dev.lowest, req->lba);
		return;
	}
	if (req->op == PLX_OP_WRITE_ZEROES)
		memset(at, 0, one.len);
	for (i = 0; data_op(req) && i < nseg; at += segs[i].len, i++) {
		if (req->op == PLX_OP_READ)
			memcpy(segs[i].addr, at, segs[i].len);
		else if (req->op == PLX_OP_WRITE)
			memcpy(at, segs[i].addr, segs[i].len);
		else if (memcmp(at, segs[i].addr, segs[i].len) != 0)
			req->status = -EILSEQ;
	}
}

/* Some of the commands, in any order. */
static struct plx_blk_req *
end_one(void)
{
	unsigned int i;
	struct plx_blk_req *req;

	if (dev.n == 0 || rnd(4) == 0)
		return NULL;
	i = rnd(dev.n);
	req = dev.cmds[i];
	dev.cmds[i] = dev.cmds[--dev.n];
	execute(req);
	return req;
}

static void
made_queue(struct plx_drvq *dq)
{
	dq->direct = direct;
}

static int
dev_stop(struct plx_blk *blk)
{
	while (dev.n != 0)
		plx_drvq_finish(blk->queues[0], dev.cmds[--dev.n], -ECANCELED);
	return 0;
}

static const struct plx_blk_ops ops = {
	.queue_setup = made_queue_setup,
	.queue_release = made_queue_release,
	.stop = dev_stop,
};

static void
set_up(void)
{
	static const struct plx_blk_info info = {
		.nblocks = NBLOCKS,
		.block_size = BS,
		.max_nblk = MAX_NBLK,
		.max_zeroes_nblk = MAX_NBLK,
		.max_secure_erase_nblk = MAX_NBLK,
		.boundary_nblk = BOUNDARY,
		.max_segs = MAX_SEGS,
		.meta_size = 8,
		.pi_type = 1,
		.pi_size = 8,
		.caps = PLX_BLK_CAP_COMPARE | PLX_BLK_CAP_WRITE_ZEROES | PLX_BLK_CAP_SECURE_ERASE,
	};

	memset(&dev, 0, sizeof(dev));
	dev.bad_lba = UINT64_MAX;
	dev.lowest = UINT64_MAX;
	made_start(&info, &ops, PLX_BLK_O_WRITE);
}

static void
tear_down(void)
{
	struct plx_blk_stats st;

	plx_blk_stats_get(&made, 0, &st);
	CHECK_EQ(st.completed, st.ops[PLX_OP_READ] + st.ops[PLX_OP_WRITE] + st.ops[PLX_OP_COMPARE] +
				       st.ops[PLX_OP_WRITE_ZEROES] + st.ops[PLX_OP_FLUSH] +
				       st.ops[PLX_OP_SECURE_ERASE] + st.unknown);
	CHECK_EQ(st.bounced, dev.bounced);
	made_close();
}

static int
run(struct plx_blk_req *req)
{
	struct plx_blk_req *out = NULL;
	int turns = 0;

	REQUIRE(plx_blkq_submit(q, &req, 1) == 1);
	while (plx_blkq_poll(q, &out, 1) == 0)
		REQUIRE(++turns < 100000);
	CHECK(out == req);
	return req->status;
}

/* ---- random requests ---- */

#define NSEGS 40

struct io {
	struct plx_blk_req req;
	struct plx_seg segs[NSEGS];
	uint8_t *heap; /* memory that the device doesn't reach */
	uint8_t *dma;
	size_t dma_off;
	bool busy;
};

static void
fill(uint8_t *p, size_t len)
{
	while (len-- != 0)
		*p++ = (uint8_t)rnd(256);
}

/* Cut len bytes into pieces of either memory, some page-aligned, some odd. */
static void
make_segs(struct io *io, size_t len)
{
	size_t dma = rnd(2) * PAGE, heap = 0;
	uint16_t n;

	for (n = 0; len != 0; n++) {
		size_t piece = rnd(3) == 0 ? PAGE : 1 + rnd(3000);

		piece = n == NSEGS - 1 ? len : RTE_MIN(piece, len);
		if (rnd(3) != 0) {
			if (rnd(2) == 0)
				dma = RTE_ALIGN_CEIL(dma, PAGE);
			io->segs[n] = (struct plx_seg){io->dma + dma, piece};
			dma += piece;
		} else {
			heap += rnd(5);
			io->segs[n] = (struct plx_seg){io->heap + heap, piece};
			heap += piece;
		}
		len -= piece;
	}
	io->req.nseg = n;
	io->req.segs = io->segs;
}

static void
seg_copy(const struct io *io, uint8_t *flat, bool to_segs)
{
	uint16_t i;

	for (i = 0; i < io->req.nseg; flat += io->segs[i].len, i++) {
		if (to_segs)
			memcpy(io->segs[i].addr, flat, io->segs[i].len);
		else
			memcpy(flat, io->segs[i].addr, io->segs[i].len);
	}
}

#define IO_BLOCKS 80
static uint8_t shadow[NBLOCKS * BS], flat[IO_BLOCKS * BS];

static void
random_io(struct io *io)
{
	static const uint8_t pick[] = {PLX_OP_READ, PLX_OP_WRITE, PLX_OP_WRITE_ZEROES};
	uint32_t nblk = 1 + rnd(IO_BLOCKS);
	uint64_t lba = rnd(NBLOCKS - nblk);
	size_t len = nblk * (size_t)BS;
	int rc;

	io->req = (struct plx_blk_req){.op = pick[rnd(3)], .lba = lba, .nblk = nblk};
	if (io->req.op != PLX_OP_WRITE_ZEROES)
		make_segs(io, len);
	fill(flat, len);
	seg_copy(io, flat, true);
	dev.no_direct = rnd(4) == 0;
	rc = run(&io->req);
	CHECK_EQ(rc, 0);
	if (io->req.op == PLX_OP_WRITE)
		memcpy(shadow + lba * BS, flat, len);
	if (io->req.op == PLX_OP_WRITE_ZEROES)
		memset(shadow + lba * BS, 0, len);
	if (io->req.op == PLX_OP_READ) {
		seg_copy(io, flat, false);
		CHECK(memcmp(flat, shadow + lba * BS, len) == 0);
	}
	CHECK(memcmp(dev.media, shadow, sizeof(shadow)) == 0);
}

static struct io *
new_ios(unsigned int n)
{
	struct io *ios = aligned_alloc(64, n * sizeof(*ios));
	unsigned int i;

	memset(ios, 0, n * sizeof(*ios));
	for (i = 0; i < n; i++) {
		ios[i].heap = malloc(IO_BLOCKS * BS + 64 * NSEGS);
		ios[i].dma = pool + i * (POOL / n) / PAGE * PAGE;
	}
	return ios;
}

static void
free_ios(struct io *ios, unsigned int n)
{
	while (n-- != 0)
		free(ios[n].heap);
	free(ios);
}

static void
test_random(void)
{
	struct io *io = new_ios(1);
	int i;

	set_up();
	memset(shadow, 0, sizeof(shadow));
	for (i = 0; i < 3000 && test_failures == 0; i++)
		random_io(io);
	CHECK(dev.bounced != 0 && dev.commands > 3 * 3000);
	tear_down();
	free_ios(io, 1);
}

/* The error of the lowest failed block is the request's; the rest is not begun after it. */
static void
test_errors(void)
{
	struct io *io = new_ios(1);
	unsigned int i, before;

	set_up();
	for (i = 0; i < 500; i++) {
		io->req = (struct plx_blk_req){.op = rnd(2) ? PLX_OP_READ : PLX_OP_WRITE,
			.lba = rnd(100),
			.nblk = IO_BLOCKS};
		make_segs(io, IO_BLOCKS * BS);
		dev.lowest = UINT64_MAX;
		dev.bad_lba = rnd(2) ? io->req.lba + rnd(IO_BLOCKS) : UINT64_MAX;
		dev.refuse = dev.bad_lba == UINT64_MAX ? 1 + rnd(5) : 0;
		CHECK_EQ(run(&io->req), dev.bad_lba == UINT64_MAX ? -EIO : -ENODATA);
		if (dev.bad_lba != UINT64_MAX)
			CHECK_EQ(io->req.raw, dev.lowest);
		dev.refuse = 0;
	}
	/* the first block fails: with room for 6, at most that many commands are spent */
	for (i = 0; i < 50; i++) {
		io->req = (struct plx_blk_req){.op = PLX_OP_WRITE_ZEROES, .nblk = NBLOCKS};
		dev.bad_lba = 0;
		before = dev.commands;
		CHECK_EQ(run(&io->req), -ENODATA);
		CHECK(dev.commands - before < NBLOCKS / BOUNDARY);
	}
	tear_down();
	free_ios(io, 1);
}

static void
test_compare(void)
{
	struct io *io = new_ios(1);
	static uint8_t odd[20 * BS];

	set_up();
	fill(dev.media, sizeof(dev.media));
	memcpy(odd + 1, dev.media + 40 * BS, 16 * BS);
	io->req = (struct plx_blk_req){.op = PLX_OP_COMPARE, .lba = 40, .nblk = 8, .buf = odd + 1};
	CHECK_EQ(run(&io->req), 0); /* bounced as one */
	CHECK_EQ(dev.commands, 1);
	odd[1 + 8 * BS - 1] ^= 1;
	CHECK_EQ(run(&io->req), -EILSEQ);
	io->req.nblk = 9; /* past a bounce buffer */
	CHECK_EQ(run(&io->req), -EMSGSIZE);
	io->req.nblk = 17; /* past a command */
	CHECK_EQ(run(&io->req), -EMSGSIZE);
	io->req.nblk = 2;
	io->req.lba = 39; /* across the boundary at 40 */
	CHECK_EQ(run(&io->req), -EMSGSIZE);
	tear_down();
	free_ios(io, 1);
}

/* Each part has its metadata, and tags that follow from the first's. */
static void
test_ext(void)
{
	struct plx_blk_ext ext = {.pi_flags = PLX_PI_REF, .pi_ref = 70, .pi_app = 9, .meta = pool};
	struct plx_blk_req req = {
		.op = PLX_OP_READ, .nblk = MAX_NBLK + 1, .buf = pool + PAGE, .ext = &ext};

	set_up();
	made.info.pi_type = 2;
	CHECK_EQ(run(&req), 0);
	CHECK_EQ(dev.commands, 2);
	CHECK_EQ(dev.ext[0].pi_ref, 70);
	CHECK(dev.ext[0].meta == pool);
	CHECK_EQ(dev.ext[1].pi_ref, 70 + MAX_NBLK);
	CHECK(dev.ext[1].meta == pool + 8 * MAX_NBLK);
	CHECK_EQ(dev.ext[1].pi_app, 9);
	CHECK_EQ(dev.ext[1].pi_flags, PLX_PI_REF);
	made.info.pi_type = 3;
	CHECK_EQ(run(&req), 0);
	CHECK_EQ(dev.ext[3].pi_ref, 70);
	tear_down();
}

/* The device's own status is that of the part that failed, whichever part comes back last. */
static void
test_raw(void)
{
	struct plx_blk_req req = {.op = PLX_OP_SECURE_ERASE, .nblk = 2 * BOUNDARY};
	int i;

	set_up();
	dev.bad_lba = BOUNDARY;
	for (i = 0; i < 20; i++) {
		req.raw = 0;
		dev.lowest = UINT64_MAX;
		CHECK_EQ(run(&req), -ENODATA);
		CHECK_EQ(req.raw, dev.lowest);
	}
	tear_down();
}

/* What makes no sense does not reach the device. */
static void
test_bad_ext(void)
{
	struct plx_blk_ext ext = {.pi_flags = 1 << 4};
	struct plx_blk_req req = {.op = PLX_OP_READ, .nblk = 1, .buf = pool, .ext = &ext};

	set_up();
	CHECK_EQ(run(&req), -EINVAL);
	ext.pi_flags = PLX_PI_ACT;
	req.op = PLX_OP_COMPARE;
	CHECK_EQ(run(&req), -EINVAL);
	req.op = PLX_OP_WRITE_ZEROES;
	ext.meta = pool;
	CHECK_EQ(run(&req), -EINVAL);
	made.info.meta_size = made.info.pi_type = 0;
	req.op = PLX_OP_READ;
	CHECK_EQ(run(&req), -EOPNOTSUPP);
	ext.meta = NULL;
	CHECK_EQ(run(&req), -EOPNOTSUPP);
	CHECK_EQ(dev.commands, 0);
	ext.pi_flags = 0; /* nothing in it */
	CHECK_EQ(run(&req), 0);
	tear_down();
}

/* Many at once, with a device that has room for few: all come back once, also by stop. */
static void
test_many(bool stop)
{
	enum { N = 100 };
	struct io *ios = new_ios(N);
	struct plx_blk_req *req, *out[16];
	unsigned int i, n, accepted = 0, back = 0, turns, cancelled = 0;

	set_up();
	for (turns = 0; back < N * 5 && turns < 100000; turns++) {
		for (i = 0; i < N; i++) {
			struct io *io = &ios[i];

			if (io->busy || accepted == N * 5)
				continue;
			io->req = (struct plx_blk_req){.op = rnd(2) ? PLX_OP_READ : PLX_OP_WRITE,
				.lba = rnd(400),
				.nblk = 1 + rnd(20)};
			make_segs(io, io->req.nblk * (size_t)BS);
			req = &io->req;
			if (plx_blkq_submit(q, &req, 1) == 0)
				break;
			io->busy = true;
			accepted++;
		}
		if (stop && turns % 40 == 39) {
			CHECK_EQ(plx_blk_stop(&made), 0);
			CHECK_EQ(dev.n, 0);
		}
		do {
			n = plx_blkq_poll(q, out, 16);
			back += n;
			for (i = 0; i < n; i++) {
				struct io *io = container_of(out[i], struct io, req);

				CHECK(io->busy);
				io->busy = false;
				cancelled += out[i]->status == -ECANCELED;
				CHECK(out[i]->status == 0 ||
					(stop && out[i]->status == -ECANCELED));
			}
		} while (n != 0);
		if (stop && turns % 40 == 39) {
			CHECK_EQ(q->inflight, 0);
			CHECK_EQ(plx_blk_start(&made), 0);
		}
	}
	CHECK_EQ(back, N * 5);
	CHECK(!stop || cancelled != 0);
	tear_down();
	free_ios(ios, N);
}

static void
test_many_run(void)
{
	test_many(false);
}

static void
test_many_stopped(void)
{
	test_many(true);
}

/* Read one block that has to be bounced, and end it so. @return the bounce buffer */
static void *
bounced(int status, uint8_t flags)
{
	static uint8_t odd[BS + 1];
	struct plx_blk_req req = {.op = PLX_OP_READ, .nblk = 1, .buf = odd + 1}, *r = &req, *out;
	struct plx_blk_req *cmd;
	void *bounce;

	REQUIRE(plx_blkq_submit(q, &r, 1) == 1);
	REQUIRE(dev.n == 1);
	cmd = dev.cmds[--dev.n];
	bounce = cmd->buf;
	cmd->flags |= flags;
	plx_drvq_finish((struct plx_drvq *)q, cmd, status);
	REQUIRE(plx_blkq_poll(q, &out, 1) == 1);
	CHECK_EQ(req.status, status);
	CHECK_EQ(req.flags, flags);
	return bounce;
}

static size_t
heaps(void)
{
	struct rte_malloc_socket_stats st;
	size_t sum = 0;
	int i;

	for (i = 0; i < 64; i++)
		if (rte_malloc_get_socket_stats(i, &st) == 0)
			sum += st.heap_allocsz_bytes;
	return sum;
}

/* The peer may still write: the flag comes through, and the bounce buffer is not used again before
 * the device is detached. When all are lost so, those of the next start are others. */
static void
test_maybe_dma(void)
{
	size_t before = heaps();
	void *lost[4];
	int i, k;

	set_up();
	for (i = 0; i < 4; i++) {
		lost[i] = bounced(-ETIMEDOUT, PLX_IO_MAYBE_DMA);
		for (k = 0; k < 10 && i < 3; k++)
			CHECK(bounced(0, 0) != lost[i]);
	}
	CHECK_EQ(plx_blk_stop(&made), 0);
	CHECK_EQ(plx_blk_start(&made), 0);
	for (i = 0; i < 10; i++)
		for (k = 0; k < 4; k++)
			CHECK(bounced(0, 0) != lost[k]);
	tear_down();
	CHECK(heaps() > before, "freed too early");
	plx_blk_detached(made.dev);
	CHECK_EQ(heaps(), before);
}

int
main(int argc, char **argv)
{
	REQUIRE(plx_eal_init_app(argc, argv) >= 0);
	pool = plx_mem_alloc(POOL, PAGE, -1);
	REQUIRE(pool != NULL);
	RUN(test_random);
	RUN(test_errors);
	RUN(test_compare);
	RUN(test_ext);
	RUN(test_raw);
	RUN(test_bad_ext);
	RUN(test_many_run);
	RUN(test_many_stopped);
	RUN(test_maybe_dma);
	plx_mem_free(pool);
	plx_eal_cleanup();
	return TEST_RESULT();
}
