/* SPDX-License-Identifier: BSD-3-Clause */
/* Power cuts at any turn, by a disk that keeps no more than it must: what the state of a
 * verification demands is there, and what it doesn't permit is not. Disks that lie are found out.
 */
#include <stdlib.h>
#include <unistd.h>

#include "plx_test.h"
#include "testblk.h"

#define BLOCKS 128
#define BS 512
#define NBLK 2 /* a unit; its blocks may be cut apart */
#define DEPTH 16
#define CUTS 150

volatile sig_atomic_t tb_stop;

enum lie {
	HONEST,
	NO_CACHE,   /* honest, too: what came back is stable */
	LOSE_FLUSH, /* says done */
	LOSE_FUA,
	LOSE_BLOCK, /* at the cut, one that was flushed */
	TEAR,       /* at the cut, a block in flight */
	MISPLACE,   /* at the cut, a block in flight */
	LATE_FLUSH, /* flushes what came back before the flush before */
};

/* What is in a block, and how new that is. */
struct block {
	uint8_t data[BS];
	uint64_t age;
};

struct disk {
	struct plx_blkq q;                                   /* first */
	struct block cache[BLOCKS], stable[BLOCKS];          /* the cache has all */
	struct block snap[DEPTH][BLOCKS], last_snap[BLOCKS]; /* when a flush was submitted */
	struct plx_blk_req *held[DEPTH];
	unsigned int n;
	enum lie lie;
	uint64_t now, rng;
};

static uint64_t
below(struct disk *d, uint64_t n)
{
	return tb_range(tb_random(&d->rng), n);
}

/* Blocks of a write to the cache or to the medium. */
static void
put(struct disk *d, struct block *to, const struct plx_blk_req *req)
{
	for (uint32_t i = 0; i < req->nblk; i++) {
		memcpy(to[req->lba + i].data, (uint8_t *)req->buf + i * BS, BS);
		to[req->lba + i].age = d->now;
	}
}

static void
settle(struct disk *d, const struct block *from)
{
	for (unsigned int i = 0; i < BLOCKS; i++)
		if (from[i].age > d->stable[i].age)
			d->stable[i] = from[i];
}

static void
finish(struct disk *d, unsigned int k)
{
	struct plx_blk_req *req = d->held[k];
	bool fua = (req->flags & PLX_IO_FUA) && d->lie != LOSE_FUA;

	d->now++;
	req->status = 0;
	if (req->op == PLX_OP_READ) {
		for (uint32_t i = 0; i < req->nblk; i++)
			memcpy((uint8_t *)req->buf + i * BS, d->cache[req->lba + i].data, BS);
	} else if (req->op == PLX_OP_WRITE) {
		put(d, d->cache, req);
		if (fua || d->lie == NO_CACHE || below(d, 4) == 0)
			put(d, d->stable, req);
	} else if (d->lie == LATE_FLUSH) {
		settle(d, d->last_snap);
		memcpy(d->last_snap, d->snap[k], sizeof(d->last_snap));
	} else if (d->lie != LOSE_FLUSH) {
		settle(d, d->snap[k]);
	}
}

static uint16_t
disk_submit(struct plx_blkq *q, struct plx_blk_req *const *reqs, uint16_t n)
{
	struct disk *d = (struct disk *)q;
	uint16_t i;

	for (i = 0; i < n && d->n < DEPTH; i++) {
		if (reqs[i]->op == PLX_OP_FLUSH)
			memcpy(d->snap[d->n], d->cache, sizeof(d->cache));
		else
			REQUIRE(reqs[i]->nblk == NBLK && reqs[i]->lba + NBLK <= BLOCKS);
		d->held[d->n++] = reqs[i];
	}
	return i;
}

static uint16_t
disk_poll(struct plx_blkq *q, struct plx_blk_req **reqs, uint16_t n)
{
	struct disk *d = (struct disk *)q;
	uint16_t i, most = (uint16_t)below(d, 4);

	for (i = 0; i < n && i < most && d->n > 0; i++) {
		unsigned int k = (unsigned int)below(d, d->n);

		finish(d, k);
		reqs[i] = d->held[k];
		d->n--;
		d->held[k] = d->held[d->n];
		memcpy(d->snap[k], d->snap[d->n], sizeof(d->snap[k]));
	}
	return i;
}

/* A write in flight at the cut may be there, in part. */
static void
cut_off(struct disk *d, const struct plx_blk_req *req)
{
	for (uint32_t i = 0; i < req->nblk; i++) {
		const uint8_t *data = (uint8_t *)req->buf + i * BS;
		struct block *b = &d->stable[req->lba + i];

		if (d->lie == MISPLACE)
			b = &d->stable[(req->lba + i + 4) % BLOCKS];
		if (below(d, 3) == 0)
			memcpy(b->data, data, d->lie == TEAR ? BS / 2 : BS);
	}
}

static void
cut(struct disk *d)
{
	for (unsigned int i = 0; i < d->n; i++)
		if (d->held[i]->op == PLX_OP_WRITE)
			cut_off(d, d->held[i]);
	if (d->lie == LOSE_BLOCK)
		memset(d->stable[below(d, BLOCKS)].data, 0, BS);
	for (unsigned int i = 0; i < BLOCKS; i++)
		d->stable[i].age = 0;
	memcpy(d->cache, d->stable, sizeof(d->cache));
	memset(d->last_snap, 0, sizeof(d->last_snap));
	d->n = 0;
	d->now = 0;
}

/* ---- a tester on it ---- */

struct bench {
	struct tb_queue q;
	struct tb_worker worker;
	struct tb_job job;
	struct tb_run run;
	struct tb_dev dev;
	struct tb_task task;
	struct plx_blk_req reqs[DEPTH], *idle[DEPTH], *pend[DEPTH], *burst[DEPTH];
	_Alignas(64) uint8_t data[DEPTH][NBLK * BS];
};

struct setup {
	const char *path;
	struct disk *disk;
	uint32_t fsync;
	bool fua;
};

static struct bench *
bench_new(const struct setup *s, bool verify_only)
{
	struct bench *b = aligned_alloc(64, RTE_ALIGN_CEIL(sizeof(*b), 64));
	struct disk *d = s->disk;

	REQUIRE(b != NULL);
	memset(b, 0, sizeof(*b));
	b->run.hz = 1e9;
	b->dev.info = (struct plx_blk_info){.nblocks = BLOCKS, .block_size = BS};
	if (d->lie != NO_CACHE)
		b->dev.info.caps = PLX_BLK_CAP_FLUSH | PLX_BLK_CAP_FUA;
	b->job = (struct tb_job){.run = &b->run, .tasks = &b->task, .ntask = 1};
	b->job.opts = (struct tb_opts){.verify = true,
		.verify_only = verify_only,
		.verify_state = s->path,
		.reads = true,
		.writes = !verify_only,
		.bs = NBLK * BS,
		.qd = DEPTH,
		.fsync = s->fsync,
		.fua = s->fua};
	b->task = (struct tb_task){.job = &b->job, .dev = &b->dev, .nblocks = BLOCKS};
	REQUIRE(tb_verify_task(&b->task) == TB_OK);
	b->worker = (struct tb_worker){.reactor = plx_reactor_create("test"), .active = 1};
	b->q = (struct tb_queue){.bq = &d->q,
		.deadline = UINT64_MAX,
		.left = UINT64_MAX,
		.nblk = NBLK,
		.read_below = UINT32_MAX / 4,
		.burst = b->burst,
		.batch = 8,
		.qd = DEPTH,
		.op = PLX_OP_WRITE,
		.mixed = true,
		.idle = b->idle,
		.pend = b->pend,
		.reqs = b->reqs,
		.data = b->data[0],
		.stride = NBLK * BS,
		.worker = &b->worker,
		.task = &b->task,
		.sum = calloc(1, sizeof(*b->q.sum))};
	tb_walk_init(&b->q.walk, TB_WALK_RANDOM, BLOCKS / NBLK, tb_random(&d->rng));
	REQUIRE(b->q.sum != NULL && tb_verify_queue(&b->q) == TB_OK);
	tb_queue_init(&b->q);
	b->q.poller = plx_poller_add(b->worker.reactor, "q", tb_queue_poll, &b->q, 0);
	REQUIRE(b->q.poller != NULL);
	return b;
}

static void
bench_free(struct bench *b)
{
	plx_poller_del(b->q.poller);
	plx_reactor_destroy(b->worker.reactor);
	tb_verify_queue_free(&b->q);
	tb_state_close(b->task.state);
	free(b->q.sum);
	free(b);
}

/* Write for some turns, and die. @return what was wrong while it ran */
static uint64_t
write_and_die(const struct setup *s)
{
	struct bench *b = bench_new(s, false);
	uint64_t turns = below(s->disk, 60), bad;

	for (uint64_t i = 0; i < turns; i++)
		plx_reactor_step(b->worker.reactor);
	bad = b->q.sum->bad.blocks;
	cut(s->disk);
	bench_free(b);
	return bad;
}

/* @return how many blocks were wrong; adds what the state has */
static uint64_t
look_again(const struct setup *s, uint64_t *stable, uint64_t *open)
{
	struct bench *b = bench_new(s, true);
	uint64_t bad;

	*stable += b->task.state->stable;
	*open += b->task.state->open;
	plx_reactor_run(b->worker.reactor);
	CHECK_EQ(b->q.phase, TB_DONE);
	CHECK_EQ(b->q.back_pos, BLOCKS / NBLK);
	bad = b->q.sum->bad.blocks;
	bench_free(b);
	return bad;
}

/* Until one is found wrong. @return whether one was */
static unsigned int
cuts(enum lie lie, uint32_t fsync, bool fua)
{
	struct disk *d = calloc(1, sizeof(*d));
	char path[] = "/tmp/plx-state-XXXXXX";
	struct setup s = {.path = path, .disk = d, .fsync = fsync, .fua = fua};
	uint64_t stable = 0, open = 0;
	unsigned int wrong = 0;
	int fd = mkstemp(path);

	REQUIRE(d != NULL && fd >= 0);
	close(fd);
	d->q = (struct plx_blkq){.submit = disk_submit, .poll = disk_poll};
	d->lie = lie;
	d->rng = lie * 1000 + fsync;
	for (int i = 0; i < CUTS && wrong == 0; i++) {
		CHECK_EQ(write_and_die(&s), 0);
		wrong += look_again(&s, &stable, &open) != 0;
	}
	CHECK(wrong != 0 || (stable > 0 && open > 0), "%" PRIu64 " stable, %" PRIu64 " open",
		stable, open);
	unlink(path);
	free(d);
	return wrong;
}

static void
honest(void)
{
	CHECK_EQ(cuts(HONEST, 1, false), 0);
	CHECK_EQ(cuts(HONEST, 5, false), 0);
	CHECK_EQ(cuts(HONEST, 40, false), 0);
	CHECK_EQ(cuts(HONEST, 0, true), 0);
	CHECK_EQ(cuts(HONEST, 5, true), 0);
	CHECK_EQ(cuts(NO_CACHE, 0, false), 0);
}

static void
liars(void)
{
	CHECK(cuts(LOSE_FLUSH, 5, false) > 0);
	CHECK(cuts(LATE_FLUSH, 5, false) > 0);
	CHECK(cuts(LOSE_FUA, 0, true) > 0);
	CHECK(cuts(LOSE_BLOCK, 5, false) > 0);
	CHECK(cuts(TEAR, 5, false) > 0);
	CHECK(cuts(MISPLACE, 5, false) > 0);
}

/* The file is one device's, one range's, and one process'. */
static void
other(void)
{
	static const struct tb_state_head mine = {
		.seed = 1, .nguid = "a", .dev_nblk = 100, .dev_block = 512, .units = 25, .nblk = 4};
	struct tb_state_head h = mine, peeked;
	char path[] = "/tmp/plx-state-XXXXXX";
	struct tb_state *st, *second;
	int fd = mkstemp(path);

	CHECK_EQ(tb_state_peek(path, &peeked), TB_USAGE); /* empty */
	REQUIRE(tb_state_open(&st, path, &mine) == TB_OK);
	CHECK_EQ(st->never, 25);
	tb_state_permit(st, 3, 7);
	tb_state_demand(st, 3, 6);
	CHECK_EQ(tb_state_open(&second, path, &mine), TB_USAGE);
	tb_state_close(second);
	tb_state_close(st);
	CHECK_EQ(tb_state_peek(path, &peeked), TB_OK);
	CHECK_EQ(peeked.units, 25);
	for (int i = 0; i < 5; i++) {
		h = mine;
		switch (i) {
		case 0:
			h.nguid[0] = 'b';
			break;
		case 1:
			h.dev_nblk = 101;
			break;
		case 2:
			h.dev_block = 4096;
			break;
		case 3:
			h.first = 4;
			break;
		default:
			h.nblk = 2;
		}
		CHECK_EQ(tb_state_open(&st, path, &h), TB_USAGE);
		tb_state_close(st);
	}
	REQUIRE(tb_state_open(&st, path, &mine) == TB_OK);
	CHECK(st->head->seed == peeked.seed && st->units[3].low == 6 && st->units[3].high == 7);
	CHECK_EQ(st->open, 1);
	tb_state_close(st);
	CHECK_EQ(ftruncate(fd, 5000), 0);
	CHECK_EQ(tb_state_open(&st, path, &mine), TB_USAGE);
	tb_state_close(st);
	CHECK_EQ(pwrite(fd, "something", 9, 0), 9);
	CHECK_EQ(tb_state_open(&st, path, &mine), TB_USAGE);
	tb_state_close(st);
	/* somebody's file that begins with zeroes stays as it is */
	CHECK(ftruncate(fd, 0) == 0 && ftruncate(fd, 100) == 0);
	CHECK_EQ(tb_state_open(&st, path, &mine), TB_USAGE);
	tb_state_close(st);
	CHECK_EQ(lseek(fd, 0, SEEK_END), 100);
	close(fd);
	unlink(path);
}

int
main(void)
{
	RUN(honest);
	RUN(liars);
	RUN(other);
	return TEST_RESULT();
}
