/* SPDX-License-Identifier: BSD-3-Clause */
/* The tester's loop on a queue that can be told to misbehave: no fault goes unseen. */
#include <errno.h>

#include <rte_cycles.h>

#include "plx_test.h"
#include "testblk.h"

#define BLOCKS 256
#define BS 512
#define DEPTH 16

volatile sig_atomic_t tb_stop;

enum fault {
	NONE,
	LOSE_WRITE,   /* says done, did nothing */
	MISPLACE,     /* writes a block too far */
	FLIP_ON_READ, /* one bit */
	LAZY_READ,    /* says done, moved nothing */
	STALE_READ,   /* answers a read from before the last write */
	EIO_WRITE,    /* fails, having written nothing */
	EIO_READ,
	CANCEL,    /* -ECANCELED */
	GONE,      /* -ENODEV from then on */
	MAYBE_DMA, /* -ETIMEDOUT, and the buffer is not free */
	ABANDONED, /* so do all from then on */
	SWALLOW,   /* never comes back */
	TWICE,     /* comes back twice */
};

/* A queue over memory that completes in a random order, and takes few at a time. */
struct fake {
	struct plx_blkq q; /* first */
	uint8_t mem[BLOCKS][BS], before[BLOCKS][BS];
	struct plx_blk_req *held[2 * DEPTH];
	unsigned int n, room;
	enum fault fault;
	uint64_t at;          /* the I/O that goes wrong, counted from 1 */
	uint64_t seen;        /* I/Os of the kind that the fault hits */
	uint8_t busy[BLOCKS]; /* requests in flight on the block: must never be two */
	unsigned int overlaps;
	struct plx_blk_req *dirty; /* lent out with MAYBE_DMA */
	unsigned int reused;
	bool gone, abandoned;
	uint64_t rng;
};

static bool
strikes(struct fake *f, enum fault fault)
{
	return f->fault == fault && ++f->seen == f->at;
}

static void
do_write(struct fake *f, const struct plx_blk_req *req)
{
	uint64_t lba = req->lba;

	if (strikes(f, LOSE_WRITE))
		return;
	if (strikes(f, MISPLACE))
		lba = (lba + 1) % BLOCKS;
	memcpy(f->before[lba], f->mem[lba], BS);
	memcpy(f->mem[lba], req->buf, BS);
}

static void
do_read(struct fake *f, const struct plx_blk_req *req)
{
	if (strikes(f, LAZY_READ))
		return;
	memcpy(req->buf, f->mem[req->lba], BS);
	if (strikes(f, FLIP_ON_READ))
		((uint8_t *)req->buf)[300] ^= 4;
	if (strikes(f, STALE_READ))
		memcpy(req->buf, f->before[req->lba], BS);
}

static int
status_of(struct fake *f, struct plx_blk_req *req)
{
	bool write = req->op == PLX_OP_WRITE;

	if (strikes(f, GONE))
		f->gone = true;
	if (f->gone)
		return -ENODEV;
	if ((write && strikes(f, EIO_WRITE)) || (!write && strikes(f, EIO_READ)))
		return -EIO;
	if (strikes(f, CANCEL))
		return -ECANCELED;
	if (strikes(f, ABANDONED))
		f->abandoned = true;
	if (f->abandoned || strikes(f, MAYBE_DMA)) {
		req->flags |= PLX_IO_MAYBE_DMA;
		f->dirty = req;
		return -ETIMEDOUT;
	}
	write ? do_write(f, req) : do_read(f, req);
	return 0;
}

static uint16_t
fake_submit(struct plx_blkq *q, struct plx_blk_req *const *reqs, uint16_t n)
{
	struct fake *f = (struct fake *)q;
	uint16_t i;

	for (i = 0; i < n && f->n < f->room; i++) {
		REQUIRE(reqs[i]->lba < BLOCKS && reqs[i]->nblk == 1);
		f->reused += reqs[i] == f->dirty || reqs[i]->flags != 0;
		f->overlaps += f->busy[reqs[i]->lba]++ != 0;
		reqs[i]->status = status_of(f, reqs[i]);
		if (strikes(f, TWICE))
			f->held[f->n++] = reqs[i];
		if (!strikes(f, SWALLOW))
			f->held[f->n++] = reqs[i];
	}
	return i;
}

static uint16_t
fake_poll(struct plx_blkq *q, struct plx_blk_req **reqs, uint16_t n)
{
	struct fake *f = (struct fake *)q;
	uint16_t i, most = (uint16_t)tb_range(tb_random(&f->rng), 6);

	for (i = 0; i < n && i < most && f->n > 0; i++) {
		uint64_t k = tb_range(tb_random(&f->rng), f->n);

		reqs[i] = f->held[k];
		f->held[k] = f->held[--f->n];
		f->busy[reqs[i]->lba]--;
	}
	return i;
}

/* A planned queue, as plan.c makes it. */
struct bench {
	struct fake fake;
	struct tb_queue q;
	struct tb_worker worker;
	struct tb_job job;
	struct tb_run run;
	struct tb_task task;
	struct plx_blk_req reqs[DEPTH], *idle[DEPTH], *pend[DEPTH], *burst[DEPTH];
	uint32_t gen[BLOCKS];
	_Alignas(64) uint8_t data[DEPTH][BS];
};

static struct bench *
bench_new(enum fault fault, uint64_t at, uint32_t walk, bool mixed, bool verify)
{
	struct bench *b = aligned_alloc(64, RTE_ALIGN_CEIL(sizeof(*b), 64));
	struct tb_queue *q;

	REQUIRE(b != NULL);
	memset(b, 0, sizeof(*b));
	b->fake = (struct fake){.q = {.submit = fake_submit, .poll = fake_poll},
		.fault = fault,
		.at = at,
		.room = DEPTH - 3,
		.rng = at};
	b->run.hz = 1e8; /* a fraction of the real one: a drain gives up within a second */
	b->job.run = &b->run;
	b->task.job = &b->job;
	b->worker = (struct tb_worker){.reactor = plx_reactor_create("test"), .active = 1};
	q = &b->q;
	*q = (struct tb_queue){.bq = &b->fake.q,
		.deadline = UINT64_MAX,
		.left = walk == TB_WALK_RANDOM ? 5000 : BLOCKS,
		.nblk = 1,
		.read_below = UINT32_MAX / 2,
		.burst = b->burst,
		.batch = 8,
		.qd = DEPTH,
		.op = mixed ? PLX_OP_READ : PLX_OP_WRITE,
		.mixed = mixed,
		.idle = b->idle,
		.pend = b->pend,
		.reqs = b->reqs,
		.data = b->data[0],
		.stride = BS,
		.verify = verify,
		.v = {.seed = 1, .block_size = BS},
		.gen = verify ? b->gen : NULL,
		.worker = &b->worker,
		.task = &b->task,
		.sum = calloc(1, sizeof(*q->sum))};
	tb_walk_init(&q->walk, walk, BLOCKS, 11);
	tb_queue_init(q);
	q->poller = plx_poller_add(b->worker.reactor, "q", tb_queue_poll, q, 0);
	REQUIRE(q->poller != NULL && q->sum != NULL);
	return b;
}

static void
bench_free(struct bench *b)
{
	plx_reactor_destroy(b->worker.reactor);
	free(b->q.sum);
	free(b);
}

static const struct tb_sum *
run(struct bench *b)
{
	const struct tb_sum *s = b->q.sum;

	plx_reactor_run(b->worker.reactor);
	CHECK_EQ(b->q.phase, TB_DONE);
	CHECK_EQ(b->worker.active, 0);
	CHECK_EQ(b->fake.reused, 0);
	return s;
}

static uint64_t
good(const struct tb_sum *s)
{
	uint64_t n = 0;

	for (unsigned int i = 0; i < TB_SIDES; i++)
		n += tb_hist_total(&s->lat[i]);
	return n;
}

/* Without faults: each unit once, or as many as asked; all is accounted for. */
static void
clean_at(unsigned int room)
{
	for (uint32_t walk = TB_WALK_SEQ; walk <= TB_WALK_SHUFFLE; walk++)
		for (int mixed = 0; mixed < 2; mixed++)
			for (int verify = 0; verify < 2; verify++) {
				struct bench *b = bench_new(NONE, 1, walk, mixed, verify);
				uint64_t asked = walk == TB_WALK_RANDOM ? 5000 : BLOCKS;
				const struct tb_sum *s;

				b->fake.room = room;
				s = run(b);
				CHECK(tb_sum_balances(s));
				CHECK_EQ(good(s) - tb_hist_total(&s->lat[TB_BACK]), asked);
				CHECK_EQ(s->bad.blocks, 0);
				CHECK(verify == (s->bad.checked > 0));
				CHECK(!verify || b->fake.overlaps == 0);
				CHECK(!verify || b->q.back_pos == BLOCKS);
				CHECK(mixed == (tb_hist_total(&s->lat[TB_READ]) > 0));
				CHECK(tb_hist_total(&s->lat[TB_WRITE]) > 0);
				bench_free(b);
			}
}

/* With room for all, mostly in the fast turn; without, in the slow one. */
static void
clean(void)
{
	clean_at(2 * DEPTH);
	clean_at(DEPTH - 3);
}

/* What is wrong with the data is found, whatever the pattern. */
static void
bad_data(void)
{
	static const enum fault faults[] = {
		LOSE_WRITE, MISPLACE, FLIP_ON_READ, LAZY_READ, STALE_READ};

	for (unsigned int i = 0; i < RTE_DIM(faults); i++)
		for (int mixed = 0; mixed < 2; mixed++) {
			/* late enough that the block has earlier generations */
			uint64_t at = faults[i] >= FLIP_ON_READ && !mixed ? 100 : 2480;
			uint32_t walk = TB_WALK_RANDOM;
			struct bench *b = bench_new(faults[i], at, walk, mixed, true);
			const struct tb_sum *s = run(b);

			CHECK(tb_sum_balances(s));
			/* a lost write may be followed by a good one before anyone looks */
			CHECK(s->bad.blocks > 0 || (mixed == 0 && faults[i] < FLIP_ON_READ),
				"fault %d mixed %d", faults[i], mixed);
			bench_free(b);
		}
	for (unsigned int i = 0; i < 2; i++) { /* each block written once: always found */
		struct bench *b = bench_new(faults[i], 200, TB_WALK_SHUFFLE, false, true);

		CHECK(run(b)->bad.blocks > 0, "fault %d", faults[i]);
		CHECK_EQ(b->q.sum->bad.verdict, TB_NO_TAG);
		bench_free(b);
	}
}

/* Errors are counted by kind, the rest goes on. */
static void
errors(void)
{
	static const struct {
		enum fault fault;
		int err;
	} t[] = {{EIO_WRITE, EIO}, {EIO_READ, EIO}, {CANCEL, ECANCELED}, {MAYBE_DMA, ETIMEDOUT}};

	for (unsigned int i = 0; i < 4; i++)
		for (int verify = 0; verify < 2; verify++) {
			struct bench *b = bench_new(t[i].fault, 77, TB_WALK_RANDOM, true, verify);
			const struct tb_sum *s = run(b);

			CHECK(tb_sum_balances(s));
			CHECK_EQ(s->c.failed + s->c.cancelled, 1);
			CHECK_EQ(t[i].err == ECANCELED ? s->c.cancelled : s->errs[t[i].err], 1);
			CHECK_EQ(s->c.retired, t[i].fault == MAYBE_DMA);
			CHECK_EQ(s->bad.blocks, 0);
			CHECK_EQ(good(s) - tb_hist_total(&s->lat[TB_BACK]), 4999);
			bench_free(b);
		}
}

/* A device that is gone ends the run; each I/O still comes back. */
static void
gone(void)
{
	for (int verify = 0; verify < 2; verify++) {
		struct bench *b = bench_new(GONE, 500, TB_WALK_RANDOM, true, verify);
		const struct tb_sum *s = run(b);

		CHECK(tb_sum_balances(s));
		CHECK(s->errs[ENODEV] >= 1 && s->errs[ENODEV] <= 3 * DEPTH);
		CHECK_EQ(good(s), 499);
		bench_free(b);
	}
}

/* When no buffer is free any more the run ends, though blocks are left and time is. */
static void
abandoned(void)
{
	for (uint64_t at = 100; at <= 5100; at += 5000) /* while it writes; while it reads back */
		for (int mixed = 0; mixed < 2; mixed++) {
			struct bench *b = bench_new(ABANDONED, at, TB_WALK_RANDOM, mixed, true);
			const struct tb_sum *s = run(b);

			CHECK(tb_sum_balances(s));
			CHECK_EQ(s->errs[ETIMEDOUT], DEPTH);
			CHECK_EQ(s->c.retired, DEPTH);
			CHECK(b->q.back_pos < BLOCKS);
			bench_free(b);
		}
}

/* An I/O that never comes back, or comes twice, upsets the account. */
static void
unbalanced(void)
{
	static const enum fault faults[] = {SWALLOW, TWICE};

	for (unsigned int i = 0; i < 2; i++) {
		struct bench *b = bench_new(faults[i], 300, TB_WALK_RANDOM, false, false);
		const struct tb_sum *s = run(b);

		CHECK(!tb_sum_balances(s));
		CHECK(b->q.lost);
		bench_free(b);
	}
}

/* A device whose reads move nothing is not believed, even where each buffer still holds what it
 * had written to the very block. */
static void
lazy(void)
{
	struct bench *b = bench_new(LAZY_READ, 1, TB_WALK_SHUFFLE, false, true);
	const struct tb_sum *s;

	b->q.walk.units = b->q.left = 1;
	s = run(b);
	CHECK_EQ(s->bad.checked, 1);
	CHECK_EQ(s->bad.blocks, 1);
	bench_free(b);
}

/* Asked to end, it finishes what is in flight and reads nothing back. */
static void
interrupted(void)
{
	struct bench *b = bench_new(NONE, 1, TB_WALK_RANDOM, false, true);
	const struct tb_sum *s = b->q.sum;

	for (int i = 0; i < 5; i++)
		plx_reactor_step(b->worker.reactor);
	tb_stop = 1;
	run(b);
	tb_stop = 0;
	CHECK(tb_sum_balances(s));
	CHECK(s->c.submitted > 0 && s->c.submitted < 5000);
	CHECK_EQ(tb_hist_total(&s->lat[TB_BACK]), 0);
	bench_free(b);
}

int
main(void)
{
	RUN(clean);
	RUN(bad_data);
	RUN(errors);
	RUN(lazy);
	RUN(gone);
	RUN(abandoned);
	RUN(unbalanced);
	RUN(interrupted);
	return TEST_RESULT();
}
