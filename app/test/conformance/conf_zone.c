/* SPDX-License-Identifier: BSD-3-Clause */
/* Checks of zoned devices: reports, states, writes at the write pointer, appends. */
#include <errno.h>
#include <string.h>

#include <rte_cycles.h>

#include "conf.h"

#define MAX_ZONES 16 /* zones that the checks use, all known to the model */

/* ---- single operations ---- */

static int
manage(struct conf *c, uint8_t op, uint8_t flags, uint64_t lba)
{
	struct io *io = io_new(c, op, lba, 0);

	io->req.flags = flags;
	return io_run(c, 0, io);
}

static uint64_t
start_of(const struct conf *c, uint32_t zone)
{
	return zone * c->info.zone_nblk;
}

/* Back to empty; what reads give then is nobody's business. */
static void
reset_zones(struct conf *c)
{
	int rc = manage(c, PLX_OP_ZONE_RESET, PLX_IO_ALL_ZONES, 0);

	EXPECT(c, rc == 0, "reset of all zones: %s", strerror(-rc));
	memset(c->known, 0, c->nblk);
}

/* A report into memory of this shape. @return the slot that holds it */
static const struct plx_zone_report *
report(struct conf *c, uint64_t lba, uint32_t nblk, enum io_shape shape, uint64_t *n)
{
	struct io *io = io_new(c, PLX_OP_ZONE_REPORT, lba, nblk);
	const struct plx_zone_report *r;
	uint64_t room = (io->bytes - sizeof(*r)) / sizeof(r->zones[0]);
	uint64_t left = c->info.nb_zones - lba / c->info.zone_nblk;
	int rc;

	io_data(c, io, shape);
	io->req.buf = (void *)((uintptr_t)io->req.buf & ~(uintptr_t)7);
	io->segs[0].addr = io->req.buf;
	rc = io_run(c, 0, io);
	EXPECT(c, rc == 0, "report from block %llu: %s", (unsigned long long)lba, strerror(-rc));
	r = io->req.buf;
	*n = io->req.result;
	EXPECT(c, *n != 0 && *n <= RTE_MIN(room, left), "a report of %llu zones of %llu",
		(unsigned long long)*n, (unsigned long long)left);
	EXPECT(c, r->nr_zones == left, "a report says %llu zones follow, there are %llu",
		(unsigned long long)r->nr_zones, (unsigned long long)left);
	return r;
}

static struct plx_zone
zone_of(struct conf *c, uint32_t zone)
{
	uint64_t n;

	return report(c, start_of(c, zone), 1, IO_PLAIN, &n)->zones[0];
}

static void
expect_zone(struct conf *c, uint32_t zone, enum plx_zone_state state, uint64_t written)
{
	struct plx_zone z = zone_of(c, zone);

	EXPECT(c, z.state == state, "zone %u is in state %u, should be in %u", zone, z.state,
		state);
	EXPECT(c, state == PLX_ZONE_FULL || z.wp == z.lba + written,
		"zone %u: %lld blocks before the write pointer, should be %llu", zone,
		(long long)(z.wp - z.lba), (unsigned long long)written);
}

static int
transfer(struct conf *c, uint8_t op, uint64_t lba, uint32_t nblk, enum io_shape shape)
{
	struct io *io = io_new(c, op, lba, nblk);
	int rc;

	io_data(c, io, shape);
	if (op != PLX_OP_READ)
		io_fill(c, io, NULL);
	rc = io_run(c, 0, io);
	if (rc == 0 && op != PLX_OP_ZONE_APPEND)
		model_done(c, io);
	return rc;
}

static void
expect(struct conf *c, int rc, int want, const char *what)
{
	EXPECT(c, rc == want, "%s: %s, should be %s", what, strerror(-rc), strerror(-want));
}

/* ---- reports ---- */

static void
check_report(struct conf *c)
{
	uint64_t zn = c->info.zone_nblk, lba, n, i;
	enum io_shape shape = IO_PLAIN;

	dev_start(c, 1, (uint16_t)RTE_MIN(4, c->info.max_depth));
	EXPECT(c, c->info.nb_zones == (c->info.nblocks + zn - 1) / zn, "%u zones",
		c->info.nb_zones);
	/* from the middle of a zone on, too, and into any memory */
	for (lba = 0; lba < c->info.nblocks; lba = (lba / zn + n) * zn + zn / 2) {
		uint32_t nblk = 1 + rnd(c, 65536 / c->info.block_size);
		const struct plx_zone_report *r = report(c, lba, nblk, shape, &n);

		for (i = 0; i < n; i++) {
			const struct plx_zone *z = &r->zones[i];

			EXPECT(c, z->lba == (lba / zn + i) * zn, "zone at block %llu",
				(unsigned long long)z->lba);
			EXPECT(c, z->capacity != 0 && z->capacity <= zn && z->type == 2,
				"zone %llu: capacity %llu, type %u",
				(unsigned long long)(lba / zn + i), (unsigned long long)z->capacity,
				z->type);
			EXPECT(c, z->state != 0 && z->state <= PLX_ZONE_OFFLINE, "state %u",
				z->state);
		}
		shape = shape == IO_FOREIGN ? IO_PLAIN : shape + 1;
	}
}

/* ---- states ---- */

static void
check_states(struct conf *c)
{
	const uint64_t z1 = start_of(c, 1);
	uint32_t cap;

	dev_start(c, 1, (uint16_t)RTE_MIN(4, c->info.max_depth));
	reset_zones(c);
	expect_zone(c, 1, PLX_ZONE_EMPTY, 0);
	cap = (uint32_t)zone_of(c, 1).capacity;
	expect(c, manage(c, PLX_OP_ZONE_CLOSE, 0, z1), -EBADFD, "close of an empty zone");
	expect(c, transfer(c, PLX_OP_WRITE, z1, 2, IO_PLAIN), 0, "write at the write pointer");
	expect_zone(c, 1, PLX_ZONE_IMP_OPEN, 2);
	expect(c, manage(c, PLX_OP_ZONE_CLOSE, 0, z1), 0, "close");
	expect_zone(c, 1, PLX_ZONE_CLOSED, 2);
	expect(c, manage(c, PLX_OP_ZONE_OPEN, 0, z1), 0, "open");
	expect_zone(c, 1, PLX_ZONE_EXP_OPEN, 2);
	expect(c, transfer(c, PLX_OP_WRITE, z1 + 2, 1, IO_PLAIN), 0, "write to an open zone");
	expect_zone(c, 1, PLX_ZONE_EXP_OPEN, 3);
	expect(c, transfer(c, PLX_OP_WRITE, z1 + 2, 1, IO_PLAIN), -ESPIPE, "write behind");
	expect(c, transfer(c, PLX_OP_WRITE, z1 + 4, 1, IO_PLAIN), -ESPIPE, "write ahead");
	expect_zone(c, 1, PLX_ZONE_EXP_OPEN, 3);
	expect(c, manage(c, PLX_OP_ZONE_FINISH, 0, z1), 0, "finish");
	expect_zone(c, 1, PLX_ZONE_FULL, 0);
	expect(c, transfer(c, PLX_OP_WRITE, z1 + 3, 1, IO_PLAIN), -ENOSPC, "write to a full zone");
	expect(c, manage(c, PLX_OP_ZONE_OPEN, 0, z1), -EBADFD, "open of a full zone");
	expect(c, transfer(c, PLX_OP_READ, z1, 3, IO_PLAIN), 0, "read of a full zone");
	expect(c, manage(c, PLX_OP_ZONE_RESET, 0, z1), 0, "reset");
	expect_zone(c, 1, PLX_ZONE_EMPTY, 0);
	memset(c->known + z1, 0, c->info.zone_nblk);
	expect(c, transfer(c, PLX_OP_ZONE_APPEND, z1, 1, IO_PLAIN), 0, "append");
	if (cap <= c->info.max_append_nblk && cap <= (512u << 10) / c->info.block_size)
		expect(c, transfer(c, PLX_OP_ZONE_APPEND, z1, cap, IO_PLAIN), -ERANGE,
			"append of more than is left");
	expect_zone(c, 1, PLX_ZONE_IMP_OPEN, 1);

	/* all of them, each as it makes sense */
	expect(c, transfer(c, PLX_OP_WRITE, 0, 1, IO_PLAIN), 0, "write");
	expect(c, manage(c, PLX_OP_ZONE_CLOSE, PLX_IO_ALL_ZONES, 0), 0, "close all");
	expect_zone(c, 0, PLX_ZONE_CLOSED, 1);
	expect_zone(c, 1, PLX_ZONE_CLOSED, 1);
	expect(c, manage(c, PLX_OP_ZONE_OPEN, PLX_IO_ALL_ZONES, 0), 0, "open all that are closed");
	expect_zone(c, 0, PLX_ZONE_EXP_OPEN, 1);
	expect_zone(c, 2, PLX_ZONE_EMPTY, 0);
	expect(c, manage(c, PLX_OP_ZONE_FINISH, PLX_IO_ALL_ZONES, 0), 0, "finish all");
	expect_zone(c, 1, PLX_ZONE_FULL, 0);
	expect_zone(c, 2, PLX_ZONE_EMPTY, 0);
	reset_zones(c);
	expect_zone(c, 1, PLX_ZONE_EMPTY, 0);
}

/* As many open and active zones as the device has, and one more. */
static void
check_limits(struct conf *c)
{
	uint32_t open = c->info.max_open_zones, active = c->info.max_active_zones, i;

	dev_start(c, 1, (uint16_t)RTE_MIN(4, c->info.max_depth));
	reset_zones(c);
	if (open != 0 && open < c->info.nb_zones) {
		for (i = 0; i < open; i++)
			expect(c, manage(c, PLX_OP_ZONE_OPEN, 0, start_of(c, i)), 0, "open");
		expect(c, manage(c, PLX_OP_ZONE_OPEN, 0, start_of(c, i)),
			active == open ? -EOVERFLOW : -ETOOMANYREFS, "open one too many");
		expect(c, manage(c, PLX_OP_ZONE_CLOSE, PLX_IO_ALL_ZONES, 0), 0, "close all");
		reset_zones(c);
	}
	if (active != 0 && active < c->info.nb_zones) {
		for (i = 0; i < active; i++) {
			expect(c, manage(c, PLX_OP_ZONE_OPEN, 0, start_of(c, i)), 0, "open");
			expect(c, manage(c, PLX_OP_ZONE_CLOSE, 0, start_of(c, i)), 0, "close");
		}
		expect(c, manage(c, PLX_OP_ZONE_OPEN, 0, start_of(c, i)), -EOVERFLOW,
			"activate one too many");
	}
	reset_zones(c);
}

/* ---- writes ---- */

/* A zone filled in pieces of any size and shape, also such as take several commands. */
static void
fill_zone(struct conf *c, uint32_t zone)
{
	uint64_t lba = start_of(c, zone), end = lba + zone_of(c, zone).capacity;
	uint32_t most =
		RTE_MIN((256u << 10) / c->info.block_size, 4 * (c->info.max_nblk & 0xffffff));
	int rc;

	while (lba < end) {
		uint32_t n = 1 + rnd(c, rnd(c, 3) == 0 ? most : 8);

		n = (uint32_t)RTE_MIN(n, end - lba);
		if (rnd(c, 8) == 0 && (c->info.caps & PLX_BLK_CAP_WRITE_ZEROES)) {
			struct io *io = io_new(c, PLX_OP_WRITE_ZEROES, lba, n);

			rc = io_run(c, 0, io);
			if (rc == 0)
				model_done(c, io);
		} else {
			rc = transfer(c, PLX_OP_WRITE, lba, n, rnd(c, IO_SHAPES));
		}
		EXPECT(c, rc == 0, "write of blocks %llu to %llu: %s", (unsigned long long)lba,
			(unsigned long long)lba + n - 1, strerror(-rc));
		lba += n;
	}
}

static void
check_writes(struct conf *c)
{
	uint32_t zones = RTE_MIN(c->nblk / (uint32_t)c->info.zone_nblk, 3u), i;
	uint64_t zn = c->info.zone_nblk;
	int rc;

	dev_start(c, 1, (uint16_t)RTE_MIN(4, c->info.max_depth));
	reset_zones(c);
	for (i = 0; i < zones; i++) {
		fill_zone(c, i);
		expect_zone(c, i, PLX_ZONE_FULL, 0);
		expect(c, transfer(c, PLX_OP_WRITE, start_of(c, i), 1, IO_PLAIN), -ENOSPC,
			"write to a zone that writes filled");
	}
	/* reads know nothing of zones */
	for (i = 0; i < 20; i++)
		expect(c,
			transfer(c, PLX_OP_READ, zn - 1 - rnd(c, (uint32_t)RTE_MIN(zn, 8u)),
				2 + rnd(c, 30), rnd(c, IO_SHAPES)),
			0, "read across zones");
	model_verify(c);
	reset_zones(c);
	expect(c, transfer(c, PLX_OP_WRITE, 0, 1, IO_PLAIN), 0, "write");
	/* it is both wrong: not at the write pointer either */
	rc = transfer(c, PLX_OP_WRITE, zn - 1, 2, IO_PLAIN);
	EXPECT(c, rc == -ERANGE || rc == -ESPIPE, "write across zones: %s", strerror(-rc));
	expect_zone(c, 0, PLX_ZONE_IMP_OPEN, 1);
	expect_zone(c, 1, PLX_ZONE_EMPTY, 0);
}

static void
check_zone_copy(struct conf *c)
{
	uint64_t z1 = start_of(c, 1), z2 = start_of(c, 2);
	struct io *io;
	uint32_t i;
	int rc;

	if (!(c->info.caps & PLX_BLK_CAP_COPY))
		return;
	dev_start(c, 1, (uint16_t)RTE_MIN(4, c->info.max_depth));
	reset_zones(c);
	for (i = 0; i < 4; i++)
		expect(c, transfer(c, PLX_OP_WRITE, z1 + 8 * i, 8, IO_PLAIN), 0, "write");
	for (i = 0; i < 4; i++) {
		io = copy_new(c, z2 + 6 * i, 2);
		copy_range(io, z1 + rnd(c, 16), 2);
		copy_range(io, z1 + 16 + rnd(c, 8), 4);
		rc = io_run(c, 0, io);
		EXPECT(c, rc == 0, "copy to the write pointer: %s", strerror(-rc));
		model_done(c, io);
	}
	expect_zone(c, 2, PLX_ZONE_IMP_OPEN, 24);
	io = copy_new(c, z2 + 30, 1);
	copy_range(io, z1, 1);
	/* QEMU's controller only says that it failed */
	rc = io_run(c, 0, io);
	EXPECT(c, rc == -ESPIPE || rc == -EIO, "copy to elsewhere than the write pointer: %s",
		strerror(-rc));
	expect(c, transfer(c, PLX_OP_READ, z2, 24, IO_PLAIN), 0, "read what was copied");
}

/* ---- appends ---- */

/* Data that was appended is where the device says; nothing else was there. */
static void
appended(struct conf *c, struct io *io)
{
	uint64_t at = io->req.result, i;

	if (io->req.status == -ECANCELED) {
		/* in doubt, and so is what the rest of the zone holds */
		return;
	}
	EXPECT(c, io->req.status == 0, "append: %s", strerror(-io->req.status));
	EXPECT(c,
		at / c->info.zone_nblk == io->req.lba / c->info.zone_nblk &&
			at + io->req.nblk <= c->nblk,
		"an append to the zone at %llu went to block %llu", (unsigned long long)io->req.lba,
		(unsigned long long)at);
	for (i = 0; i < io->req.nblk; i++)
		EXPECT(c, !c->known[at + i], "two appends went to block %llu",
			(unsigned long long)(at + i));
	io_gather(io, c->shadow + at * c->info.block_size);
	memset(c->known + at, 1, io->req.nblk);
}

static bool
append(struct conf *c, int qid, uint32_t zone, uint32_t n, enum io_shape shape)
{
	struct io *io = io_new(c, PLX_OP_ZONE_APPEND, start_of(c, zone), n);

	io_data(c, io, shape);
	io_fill(c, io, NULL);
	return io_submit(c, qid, io);
}

/* Many at a time, from two queues, into one zone. */
static void
check_append(struct conf *c)
{
	uint16_t nq = (uint16_t)RTE_MIN(c->info.max_queues, 2);
	struct plx_zone z;
	uint64_t sum, i;
	uint32_t round, n;

	if (c->info.max_append_nblk == 0)
		return;
	dev_start(c, nq, (uint16_t)RTE_MIN(16, c->info.max_depth));
	for (round = 0; round < 6; round++) {
		reset_zones(c);
		z = zone_of(c, 1);
		for (sum = 0, i = 0; i < 28; i++) {
			n = 1 + rnd(c, RTE_MIN(c->info.max_append_nblk, 12u));
			if (sum + n > z.capacity)
				break;
			if (append(c, (int)(i % nq), 1, n, rnd(c, IO_SHAPES)))
				sum += n;
		}
		io_drain(c, appended);
		for (i = 0; i < sum; i++)
			EXPECT(c, c->known[z.lba + i], "appends left a gap");
		expect_zone(c, 1, sum == z.capacity ? PLX_ZONE_FULL : PLX_ZONE_IMP_OPEN, sum);
		expect(c, transfer(c, PLX_OP_READ, z.lba, (uint32_t)sum, IO_PLAIN), 0, "read");
	}
	n = c->info.max_append_nblk;
	if (n < c->info.zone_nblk && n < (512u << 10) / c->info.block_size)
		expect(c, transfer(c, PLX_OP_ZONE_APPEND, 0, n + 1, IO_PLAIN), -EMSGSIZE,
			"append past the limit");
}

/* ---- random ---- */

struct zone_state {
	uint64_t wp; /* appends in flight included */
	uint32_t out;
	bool alone; /* what is in flight takes no append beside it */
};
static struct zone_state zones[MAX_ZONES];
static uint64_t zone_cap;

static void
random_done(struct conf *c, struct io *io)
{
	struct zone_state *z = &zones[io->req.lba / c->info.zone_nblk];

	z->out--;
	if (io->req.op == PLX_OP_ZONE_APPEND) {
		appended(c, io);
		return;
	}
	if (io->req.op != PLX_OP_READ)
		z->alone = false;
	if (io->req.op == PLX_OP_ZONE_RESET || io->req.op == PLX_OP_ZONE_FINISH)
		expect(c, io->req.status, 0, "zone operation");
	else
		model_done(c, io);
}

static bool
all_known(const struct conf *c, uint64_t lba, uint32_t n)
{
	while (n-- != 0)
		if (!c->known[lba + n])
			return false;
	return true;
}

static struct io *
random_io(struct conf *c, uint32_t zone)
{
	uint32_t most = RTE_MIN((128u << 10) / c->info.block_size, 64u);
	uint32_t n = 1 + rnd(c, rnd(c, 4) == 0 ? most : 8), what = rnd(c, 16);
	struct zone_state *z = &zones[zone];
	uint64_t lba = start_of(c, zone);
	bool fits = z->wp + n <= zone_cap;
	struct io *io;

	if (what < 6 && z->wp > n) {
		lba += rnd(c, (uint32_t)(z->wp - n));
		return all_known(c, lba, n) ? io_new(c, PLX_OP_READ, lba, n) : NULL;
	}
	if (what < 11 && fits && !z->alone && n <= c->info.max_append_nblk) {
		z->wp += n;
		return io_new(c, PLX_OP_ZONE_APPEND, lba, n);
	}
	if (z->out != 0)
		return NULL;
	if (what < 14 && fits) {
		io = io_new(c, PLX_OP_WRITE, lba + z->wp, n);
		z->wp += n;
		z->alone = true;
		return io;
	}
	if (what == 14 && z->wp != 0 && z->wp < zone_cap) {
		z->wp = zone_cap;
		return io_new(c, PLX_OP_ZONE_FINISH, lba, 0);
	}
	if (fits)
		return NULL;
	z->wp = 0;
	z->alone = true;
	memset(c->known + lba, 0, c->info.zone_nblk);
	return io_new(c, PLX_OP_ZONE_RESET, lba, 0);
}

static void
submit_random(struct conf *c, int qid, uint32_t nz)
{
	uint32_t zone = rnd(c, nz);
	struct zone_state before = zones[zone];
	struct io *io = random_io(c, zone);

	if (io == NULL)
		return;
	if (io->bytes != 0)
		io_data(c, io, rnd(c, IO_SHAPES));
	if (io->bytes != 0 && io->req.op != PLX_OP_READ)
		io_fill(c, io, NULL);
	if (io_submit(c, qid, io))
		zones[zone].out++;
	else
		zones[zone] = before;
}

static void
check_random(struct conf *c)
{
	uint16_t nq = (uint16_t)RTE_MIN(c->info.max_queues, 3);
	uint64_t until = rte_rdtsc() + (uint64_t)(c->opts.seconds * (double)rte_get_tsc_hz());
	uint32_t nz = RTE_MIN(c->nblk / (uint32_t)c->info.zone_nblk, (uint32_t)MAX_ZONES), i;
	struct io *done[8];

	if (c->info.max_open_zones != 0)
		nz = RTE_MIN(nz, c->info.max_open_zones);
	dev_start(c, nq, (uint16_t)RTE_MIN(16, c->info.max_depth));
	reset_zones(c);
	zone_cap = zone_of(c, 0).capacity;
	memset(zones, 0, sizeof(zones));
	for (i = 0; i < 3000 || rte_rdtsc() < until; i++) {
		int qid = (int)rnd(c, nq);
		unsigned int n;

		if (c->in_flight < 28)
			submit_random(c, qid, nz);
		n = rnd(c, 2) == 0 || c->in_flight >= 28 ? io_poll(c, qid, done, 1 + rnd(c, 8)) : 0;
		while (n-- != 0)
			random_done(c, done[n]);
		dev_idle(c, i);
	}
	io_drain(c, random_done);
	model_verify(c);
}

/* ---- stop and reset with appends in flight: none is done twice, and none lost ---- */

static uint64_t
written(struct conf *c, uint32_t zone)
{
	struct plx_zone z = zone_of(c, zone);

	return z.state == PLX_ZONE_FULL ? z.capacity : z.wp - z.lba;
}

static void
check_interrupted(struct conf *c)
{
	uint32_t round, i, n;
	uint64_t done;
	int rc = 0;

	if (c->info.max_append_nblk == 0)
		return;
	dev_start(c, 1, (uint16_t)RTE_MIN(16, c->info.max_depth));
	for (round = 0; round < 8 && rc != -ENOTSUP; round++) {
		reset_zones(c);
		for (n = 0, i = 0; i < 16; i++)
			n += append(c, 0, 1, 1, i % IO_SHAPES);
		if (round % 2 == 0) {
			dev_stop(c);
			EXPECT(c, plx_blk_start(c->blk) == 0, "start after stop");
		} else {
			rc = plx_blk_reset(c->blk);
			EXPECT(c, rc == 0 || rc == -ENOTSUP, "reset: %s", strerror(-rc));
		}
		io_drain(c, appended);
		for (done = 0, i = 0; i < c->info.zone_nblk; i++)
			done += c->known[start_of(c, 1) + i];
		i = (uint32_t)written(c, 1);
		EXPECT(c, done <= i && i <= n,
			"%llu appends of %u came back done, the zone holds %u",
			(unsigned long long)done, n, i);
		model_verify(c);
	}
}

/* ---- bad requests ---- */

static void
check_zone_errors(struct conf *c)
{
	const uint64_t end = c->info.nblocks;
	struct io *io;
	uint8_t op;

	dev_start(c, 1, 1);
	reset_zones(c);
	for (op = PLX_OP_ZONE_OPEN; op <= PLX_OP_ZONE_RESET; op++) {
		expect(c, manage(c, op, 0, 1), -EINVAL, "not a zone's start");
		expect(c, manage(c, op, 0, end + c->info.zone_nblk), -ERANGE, "no zone");
		expect(c, manage(c, op, PLX_IO_ALL_ZONES, c->info.zone_nblk), -EINVAL,
			"all zones, and one");
		io = io_new(c, op, 0, 1);
		expect(c, io_run(c, 0, io), -EINVAL, "a zone operation with blocks");
	}
	expect(c, transfer(c, PLX_OP_ZONE_APPEND, 1, 1, IO_PLAIN), -EINVAL,
		"append to the middle of a zone");
	io = io_new(c, PLX_OP_ZONE_REPORT, end, 1);
	io_data(c, io, IO_PLAIN);
	expect(c, io_run(c, 0, io), -ERANGE, "report from behind the end");
	io = io_new(c, PLX_OP_ZONE_REPORT, 0, 1);
	io_data(c, io, IO_PLAIN);
	io->req.buf = (uint8_t *)io->req.buf + 4;
	expect(c, io_run(c, 0, io), -EINVAL, "report to an odd place");
	expect_zone(c, 0, PLX_ZONE_EMPTY, 0);
}

const struct conf_check conf_checks_zone[] = {
	{"zone-report", check_report, true},
	{"zone-states", check_states, true},
	{"zone-limits", check_limits, true},
	{"zone-writes", check_writes, true},
	{"zone-append", check_append, true},
	{"zone-copy", check_zone_copy, true},
	{"zone-random", check_random, true},
	{"zone-interrupted", check_interrupted, true},
	{"zone-errors", check_zone_errors, true},
	{NULL, NULL},
};
