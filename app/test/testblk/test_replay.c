/* SPDX-License-Identifier: BSD-3-Clause */
/* Traces: what is parsed, what is refused, and that a replay is the trace, request by request. */
#include <errno.h>

#include <linux/blktrace_api.h>
#include <rte_byteorder.h>
#include <rte_cycles.h>
#include <unistd.h>

#include "../blkr/rig.h"
#include "testblk.h"

volatile sig_atomic_t tb_stop;

/* ---- parsing ---- */

static int
parse_text(struct tb_trace *t, const char *text)
{
	char *copy = strdup(text);
	int rc;

	REQUIRE(copy != NULL);
	memset(t, 0, sizeof(*t));
	rc = tb_iolog_parse(t, "t", copy, strlen(copy));
	free(copy);
	return rc;
}

static void
check_io(const struct tb_trace *t, size_t i, uint64_t due_us, uint8_t op, uint64_t offset,
	uint32_t bytes, uint16_t file)
{
	REQUIRE(i < t->n);
	CHECK_EQ(t->ios[i].due_ns, due_us * 1000);
	CHECK_EQ(t->ios[i].op, op);
	CHECK_EQ(t->ios[i].offset, offset);
	CHECK_EQ(t->ios[i].bytes, bytes);
	CHECK_EQ(t->ios[i].file, file);
}

static void
iolog(void)
{
	struct tb_trace t;

	CHECK_EQ(
		parse_text(&t, "fio version 2 iolog\n/a add\n/b add\n/a open\n/b open\n"
			       "/a read 4096 512\n/a wait 50 0\n/a wait 1500 0\n/b write 0 8192\n"
			       "\n/a sync 0 0\n/a wait 500 0\n/b trim 8192 4294967295\n/a close\n"),
		0);
	CHECK_EQ(t.n, 4);
	CHECK_EQ(t.nfiles, 2);
	check_io(&t, 0, 0, PLX_OP_READ, 4096, 512, 0);
	check_io(&t, 1, 1500, PLX_OP_WRITE, 0, 8192, 1);
	check_io(&t, 2, 1500, PLX_OP_FLUSH, 0, 0, 0);
	check_io(&t, 3, 2000, PLX_OP_DISCARD, 8192, 4294967295u, 1);
	tb_trace_free(&t);
	CHECK_EQ(parse_text(&t, "fio version 3 iolog\r\n0 /a add\n7 /a write 512 512\n"
				"9 /a datasync\n"),
		0);
	CHECK_EQ(t.n, 2);
	check_io(&t, 0, 7, PLX_OP_WRITE, 512, 512, 0);
	check_io(&t, 1, 9, PLX_OP_FLUSH, 0, 0, 0);
	tb_trace_free(&t);
}

static void
iolog_bad(void)
{
	static const char *const bad[] = {"", "fio version 1 iolog\n", "fio version 4 iolog\n",
		"fio version 2 iolog", "fio version 2 iolog\n/a\n",
		"fio version 2 iolog\n/a jump 0 1\n", "fio version 2 iolog\n/a read 0\n",
		"fio version 2 iolog\n/a read 0 0\n", "fio version 2 iolog\n/a read -1 512\n",
		"fio version 2 iolog\n/a read 0 99999999999\n",
		"fio version 2 iolog\n/a read 0 2147483648\n",
		"fio version 2 iolog\n/a read x 512\n", "fio version 2 iolog\n/a wait\n",
		"fio version 3 iolog\n/a read 0 512\n", "fio version 3 iolog\n5 /a wait 100 0\n",
		"fio version 3 iolog\n5 /a read 0 512 1\n",
		"fio version 3 iolog\n99999999999999999999 /a read 0 512\n",
		"fio version 3 iolog\n18446744073709551615 /a read 0 512\n",
		"fio version 3 iolog\n1 /a read 0 512\n2 /a read 0"};
	struct tb_trace t;

	for (unsigned int i = 1; i < RTE_DIM(bad); i++) {
		CHECK_EQ(parse_text(&t, bad[i]), -EINVAL);
		tb_trace_free(&t);
	}
}

static struct blk_io_trace
event(uint64_t ns, uint32_t what, uint64_t sector, uint32_t bytes)
{
	return (struct blk_io_trace){.magic = BLK_IO_TRACE_MAGIC | BLK_IO_TRACE_VERSION,
		.time = ns,
		.sector = sector,
		.bytes = bytes,
		.action = __BLK_TA_QUEUE | BLK_TC_ACT(BLK_TC_QUEUE | what),
		.device = 8 << 20 | 16};
}

static size_t
put(uint8_t *to, struct blk_io_trace e, uint16_t pdu, bool swapped)
{
	e.pdu_len = pdu;
	if (swapped) {
		e.magic = rte_bswap32(e.magic);
		e.time = rte_bswap64(e.time);
		e.sector = rte_bswap64(e.sector);
		e.bytes = rte_bswap32(e.bytes);
		e.action = rte_bswap32(e.action);
		e.device = rte_bswap32(e.device);
		e.pdu_len = rte_bswap16(e.pdu_len);
	}
	memcpy(to, &e, sizeof(e));
	memset(to + sizeof(e), 0xa5, pdu);
	return sizeof(e) + pdu;
}

/* Events that are I/Os among those that are not. */
static size_t
record(uint8_t *to, bool swapped)
{
	struct blk_io_trace e = event(10, BLK_TC_NOTIFY, 0, 0);
	size_t n = put(to, e, 13, swapped);

	n += put(to + n, event(1000, BLK_TC_READ, 8, 4096), 0, swapped);
	e = event(1100, BLK_TC_READ, 8, 4096);
	e.action = BLK_TA_ISSUE | BLK_TC_ACT(BLK_TC_READ);
	n += put(to + n, e, 0, swapped);
	e = event(2000, BLK_TC_WRITE | BLK_TC_FUA, 16, 8192);
	e.action |= __BLK_TA_CGROUP;
	n += put(to + n, e, 8, swapped);
	n += put(to + n, event(3000, BLK_TC_WRITE | BLK_TC_DISCARD, 64, 1 << 20), 0, swapped);
	n += put(to + n, event(4000, BLK_TC_WRITE | BLK_TC_FLUSH, 0, 0), 0, swapped);
	n += put(to + n, event(5000, BLK_TC_WRITE | BLK_TC_FLUSH, 24, 512), 0, swapped);
	return n;
}

static void
blktrace(void)
{
	uint8_t bytes[1024];
	struct tb_trace t;

	for (int swapped = 0; swapped < 2; swapped++) {
		size_t n = record(bytes, swapped);

		memset(&t, 0, sizeof(t));
		CHECK_EQ(tb_blktrace_parse(&t, "t", bytes, n), 0);
		CHECK_EQ(t.n, 6);
		CHECK(strcmp(t.file[0], "8:16") == 0, "%s", t.file[0]);
		check_io(&t, 0, 1, PLX_OP_READ, 4096, 4096, 0);
		check_io(&t, 1, 2, PLX_OP_WRITE, 8192, 8192, 0);
		check_io(&t, 2, 3, PLX_OP_DISCARD, 32768, 1 << 20, 0);
		check_io(&t, 3, 4, PLX_OP_FLUSH, 0, 0, 0);
		check_io(&t, 4, 5, PLX_OP_FLUSH, 0, 0, 0);
		check_io(&t, 5, 5, PLX_OP_WRITE, 12288, 512, 0);
		tb_trace_free(&t);
	}
}

/* Write the file that DATA has of a CPU as digits. */
static void
unhex(unsigned int cpu, const char *to)
{
	char from[sizeof(DATA) + 64];
	FILE *in, *out = fopen(to, "wb");
	unsigned int byte;

	snprintf(from, sizeof(from), "%s/nvme0n1.blktrace.%u.hex", DATA, cpu);
	in = fopen(from, "r");
	REQUIRE(in != NULL && out != NULL);
	while (fscanf(in, "%2x", &byte) == 1)
		fputc((int)byte, out);
	fclose(in);
	REQUIRE(fclose(out) == 0);
}

/* A capture of Linux 6.1's nvme0n1 under a little load, by blktrace 1.2 on two CPUs; and what
 * blkparse prints of its requests when they are queued. */
static void
captured(void)
{
	static const struct {
		uint64_t ns, sector;
		uint32_t sectors;
		uint8_t op;
	} want[] = {{0, 984, 8, PLX_OP_WRITE}, {23489690, 12128, 8, PLX_OP_WRITE},
		{26823670, 13808, 8, PLX_OP_READ}, {27308810, 7696, 8, PLX_OP_READ},
		{27493750, 6584, 8, PLX_OP_READ}, {27626030, 13760, 8, PLX_OP_WRITE},
		{36590700, 6232, 8, PLX_OP_WRITE}, {70973330, 5792, 8, PLX_OP_WRITE},
		{82905030, 14952, 8, PLX_OP_READ}, {83165440, 1088, 8, PLX_OP_WRITE},
		{86704990, 14008, 8, PLX_OP_READ}, {86970180, 10664, 8, PLX_OP_WRITE},
		{1577610340, 32768, 16, PLX_OP_WRITE}, {1593335280, 0, 0, PLX_OP_FLUSH},
		{1607306070, 32784, 16, PLX_OP_WRITE}, {1614789810, 0, 0, PLX_OP_FLUSH},
		{1621924170, 32800, 16, PLX_OP_WRITE}, {2242612240, 65536, 128, PLX_OP_DISCARD},
		{2263565650, 65664, 128, PLX_OP_DISCARD}};
	char dir[] = "/tmp/plx-replay-XXXXXX", path[2][64], paths[128];
	struct tb_trace t;
	struct tb_opts o;

	REQUIRE(mkdtemp(dir) != NULL);
	for (unsigned int cpu = 0; cpu < 2; cpu++) {
		snprintf(path[cpu], sizeof(path[cpu]), "%s/%u", dir, cpu);
		unhex(cpu, path[cpu]);
	}
	snprintf(paths, sizeof(paths), "%s:%s", path[1], path[0]);
	tb_opts_init(&o);
	o.iolog = paths;
	REQUIRE(tb_trace_load(&t, &o) == TB_OK);
	CHECK_EQ(t.n, RTE_DIM(want));
	CHECK_EQ(t.nfiles, 1);
	CHECK(strcmp(t.file[0], "259:0") == 0, "%s", t.file[0]);
	for (size_t i = 0; i < RTE_DIM(want) && i < t.n; i++) {
		CHECK_EQ(t.ios[i].due_ns, want[i].ns);
		CHECK_EQ(t.ios[i].offset, want[i].sector * 512);
		CHECK_EQ(t.ios[i].bytes, want[i].sectors * 512);
		CHECK_EQ(t.ios[i].op, want[i].op);
	}
	tb_trace_free(&t);
	for (unsigned int cpu = 0; cpu < 2; cpu++)
		unlink(path[cpu]);
	rmdir(dir);
}

/* Cut off anywhere, or with any byte changed, it is a trace or an error. */
static void
blktrace_bad(void)
{
	uint8_t good[1024], *bytes;
	size_t n = record(good, false);
	uint64_t rng = 1;
	struct tb_trace t;
	int saved = dup(2);

	REQUIRE(freopen("/dev/null", "w", stderr) != NULL);
	for (size_t cut = 0; cut <= n; cut++) {
		bytes = malloc(cut + 1); /* exact, for a sanitizer */
		REQUIRE(bytes != NULL);
		memcpy(bytes, good, cut);
		memset(&t, 0, sizeof(t));
		tb_blktrace_parse(&t, "t", bytes, cut);
		tb_trace_free(&t);
		free(bytes);
	}
	for (unsigned int i = 0; i < 20000; i++) {
		bytes = malloc(n);
		REQUIRE(bytes != NULL);
		memcpy(bytes, good, n);
		for (uint64_t k = tb_range(tb_random(&rng), 3) + 1; k > 0; k--)
			bytes[tb_range(tb_random(&rng), n)] = (uint8_t)tb_random(&rng);
		memset(&t, 0, sizeof(t));
		tb_blktrace_parse(&t, "t", bytes, n);
		for (size_t k = 0; k < t.n; k++)
			REQUIRE(t.ios[k].file < t.nfiles && t.ios[k].offset <= INT64_MAX);
		tb_trace_free(&t);
		free(bytes);
	}
	fflush(stderr);
	dup2(saved, 2);
	close(saved);
}

/* ---- replay ---- */

#define SIZE (1 << 20)
#define QD 4
#define ZONE 512 /* blocks */

/* A queue of the device that keeps a list of what was submitted. */
struct recorder {
	struct plx_blkq q; /* first */
	struct plx_blkq *real;
	struct {
		uint8_t op;
		uint64_t lba, at;
		uint32_t nblk;
	} log[64];
	unsigned int n, inflight, most;
	bool alone; /* nothing went together with a flush */
	bool flush;
	uint8_t appended[2048]; /* times that a block was, since its zone was reset */
	unsigned int resets;
};

static uint16_t
recorder_submit(struct plx_blkq *q, struct plx_blk_req *const *reqs, uint16_t n)
{
	struct recorder *r = (struct recorder *)q;

	for (uint16_t i = 0; i < n; i++) {
		if (reqs[i]->op == PLX_OP_ZONE_APPEND || reqs[i]->op == PLX_OP_ZONE_RESET)
			continue;
		REQUIRE(r->n < RTE_DIM(r->log));
		r->log[r->n].op = reqs[i]->op;
		r->log[r->n].lba = reqs[i]->lba;
		r->log[r->n].at = rte_get_tsc_cycles();
		r->log[r->n++].nblk = reqs[i]->nblk;
		r->alone &= !r->flush && (reqs[i]->op != PLX_OP_FLUSH || r->inflight == 0);
		r->flush |= reqs[i]->op == PLX_OP_FLUSH;
		r->inflight++;
		r->most = RTE_MAX(r->most, r->inflight);
	}
	REQUIRE(plx_blkq_submit(r->real, reqs, n) == n);
	return n;
}

static uint16_t
recorder_poll(struct plx_blkq *q, struct plx_blk_req **reqs, uint16_t n)
{
	struct recorder *r = (struct recorder *)q;

	n = plx_blkq_poll(r->real, reqs, n);
	for (uint16_t i = 0; i < n; i++) {
		const struct plx_blk_req *req = reqs[i];
		bool append = req->op == PLX_OP_ZONE_APPEND;

		r->inflight -= !append && req->op != PLX_OP_ZONE_RESET;
		if (req->op == PLX_OP_ZONE_RESET) {
			r->resets++;
			memset(r->appended + req->lba, 0, ZONE);
		}
		for (uint32_t k = 0; append && req->status == 0 && k < req->nblk; k++)
			r->appended[req->result + k]++;
	}
	r->flush &= r->inflight != 0;
	return n;
}

struct bench {
	struct recorder rec;
	struct tb_queue q;
	struct tb_worker worker;
	struct tb_job job;
	struct tb_run run;
	struct tb_task task;
	struct tb_dev dev;
	struct plx_blk_req reqs[QD], *idle[QD], *pend[QD], *burst[QD];
};

static void
bench_up(struct bench *b, const struct rig *g, const struct tb_opts *o, struct tb_zone *zones,
	uint32_t nzones)
{
	struct tb_queue *q = &b->q;

	b->rec.real = g->q;
	b->rec.alone = true;
	b->rec.q = (struct plx_blkq){.submit = recorder_submit, .poll = recorder_poll};
	b->run.hz = (double)rte_get_tsc_hz();
	b->dev.info = g->info;
	b->job.run = &b->run;
	b->job.opts = *o;
	b->job.tasks = &b->task;
	b->job.ntask = 1;
	b->task = (struct tb_task){.job = &b->job, .dev = &b->dev};
	b->worker = (struct tb_worker){.reactor = plx_reactor_create("t"), .active = 1};
	*q = (struct tb_queue){.bq = &b->rec.q,
		.deadline = UINT64_MAX,
		.nblk = 1,
		.burst = b->burst,
		.batch = QD,
		.qd = QD,
		.idle = b->idle,
		.pend = b->pend,
		.reqs = b->reqs,
		.stride = 65536,
		.worker = &b->worker,
		.task = &b->task,
		.sum = calloc(1, sizeof(*q->sum))};
	q->data = plx_mem_alloc((size_t)QD * q->stride, 4096, -1);
	REQUIRE(q->data != NULL && q->sum != NULL);
	memset(q->data, 0x77, (size_t)QD * q->stride);
	if (o->mode == TB_MODE_REPLAY)
		REQUIRE(tb_replay_plan(&b->task) == TB_OK);
	tb_walk_init(&q->walk, TB_WALK_SEQ, g->info.nblocks, 1);
	REQUIRE(tb_load_create(q, &b->job.opts, zones, nzones) == 0);
	REQUIRE(tb_pace_create(q, &b->job.opts, 1, NULL, b->run.hz) == 0);
	q->left = o->mode == TB_MODE_REPLAY ? b->task.nios : UINT64_MAX;
	tb_queue_init(q);
	q->poller = plx_poller_add(b->worker.reactor, "q", tb_queue_poll, q, 0);
	REQUIRE(q->poller != NULL);
}

static void
bench_down(struct bench *b)
{
	plx_reactor_destroy(b->worker.reactor);
	tb_load_free(b->q.load);
	tb_pace_free(b->q.pace);
	plx_mem_free(b->q.data);
	free(b->q.sum);
	free(b->task.ios);
	free(b);
}

static void
one_io(struct plx_blkq *q, uint8_t op, void *buf)
{
	struct plx_blk_req req = {.op = op, .nblk = SIZE / 512, .buf = buf}, *p = &req;

	REQUIRE(plx_blkq_submit(q, &p, 1) == 1);
	while (plx_blkq_poll(q, &p, 1) == 0)
		;
	REQUIRE(req.status == 0);
}

static const char trace_text[] =
	"fio version 3 iolog\n0 /d add\n0 /d open\n"
	"0 /d write 4096 8192\n10 /d read 0 512\n20 /d write 65536 512\n"
	"30 /d trim 131072 4096\n40 /d write 262144 65536\n"
	"50 /d read 4096 4096\n60 /d sync 0 0\n70 /d write 8192 512\n"
	"20000 /d read 512 512\n20000 /d sync 0 0\n30000 /d write 1048064 512\n"
	"30000 /d close\n";

/* In its order, at its times or not, with a flush for itself; and the medium holds just that. */
static void
replayed(bool no_stall)
{
	struct bench *b = aligned_alloc(64, RTE_ALIGN_CEIL(sizeof(*b), 64));
	struct tb_opts o;
	uint8_t *media;
	struct rig g;
	uint64_t begun;

	REQUIRE(b != NULL);
	memset(b, 0, sizeof(*b));
	rig_up(&g, "ram:size=1M", 64, false);
	media = plx_mem_alloc(SIZE, 4096, -1);
	REQUIRE(media != NULL);
	memset(media, 0x11, SIZE);
	memset(media, 0x77, 12288); /* what is read stands in buffers that are written later */
	one_io(g.q, PLX_OP_WRITE, media);

	tb_opts_init(&o);
	o.iolog = "t";
	o.qd = QD;
	o.no_stall = no_stall;
	REQUIRE(tb_opts_complete(&o) == NULL);
	REQUIRE(parse_text(&b->job.trace, trace_text) == 0);
	bench_up(b, &g, &o, NULL, 0);
	begun = rte_get_tsc_cycles();
	plx_reactor_run(b->worker.reactor);

	CHECK_EQ(b->rec.n, b->job.trace.n);
	for (unsigned int i = 0; i < b->rec.n; i++) {
		const struct tb_trace_io *io = &b->job.trace.ios[i];
		double ns = (double)(b->rec.log[i].at - begun) / b->run.hz * 1e9;

		CHECK_EQ(b->rec.log[i].op, io->op);
		CHECK_EQ(b->rec.log[i].lba, io->offset / 512);
		CHECK_EQ(b->rec.log[i].nblk, io->bytes / 512);
		CHECK(no_stall || ns >= (double)io->due_ns * 0.999, "I/O %u after %g ns", i, ns);
	}
	CHECK(b->rec.alone);
	CHECK(b->rec.most <= QD && (!no_stall || b->rec.most > 1));
	CHECK(tb_sum_balances(b->q.sum));
	CHECK_EQ(b->q.sum->c.submitted, b->job.trace.n);
	CHECK_EQ(b->q.sum->moved[TB_WRITE], 8192 + 512 + 65536 + 512 + 512);

	one_io(g.q, PLX_OP_READ, media);
	for (uint64_t at = 0; at < SIZE; at += 512) {
		bool written =
			at < 12288 || at == 65536 || (at >= 262144 && at < 327680) || at == 1048064;
		bool trimmed = at >= 131072 && at < 135168;

		CHECK_EQ(media[at + 7], written ? 0x77 : trimmed ? 0 : 0x11);
	}
	tb_trace_free(&b->job.trace);
	plx_mem_free(media);
	bench_down(b);
	rig_down(&g);
}

/* Each block of a zone's capacity is appended to once for each reset; four requests are in flight,
 * of sizes that don't fill a zone evenly. */
static void
append(void)
{
	struct bench *b = aligned_alloc(64, RTE_ALIGN_CEIL(sizeof(*b), 64));
	struct tb_zone *zones = calloc(4, sizeof(*zones));
	struct tb_opts o;
	struct rig g;

	REQUIRE(b != NULL && zones != NULL);
	memset(b, 0, sizeof(*b));
	rig_up(&g, "ram:size=1M,zone=256K,zcap=200K", 64, false);
	CHECK_EQ(g.info.zone_nblk, ZONE);
	for (unsigned int i = 0; i < 4; i++)
		zones[i] = (struct tb_zone){.lba = i * ZONE, .capacity = 400};
	tb_opts_init(&o);
	o.qd = QD;
	REQUIRE(tb_option_set(tb_opts_lookup("rw", 2), &o, "append") == NULL);
	REQUIRE(tb_sizes_split(o.sizes, "512/30:1536/30:4608/") == NULL);
	o.size = SIZE;
	REQUIRE(tb_opts_complete(&o) == NULL && o.once && o.writes);
	bench_up(b, &g, &o, zones, 4);
	plx_reactor_run(b->worker.reactor);
	CHECK_EQ(b->rec.resets, 4);
	for (unsigned int i = 0; i < 4 * ZONE; i++)
		CHECK_EQ(b->rec.appended[i], i % ZONE < 400);
	CHECK(tb_sum_balances(b->q.sum));
	CHECK_EQ(b->q.sum->c.failed, 0);
	CHECK_EQ(b->q.sum->moved[TB_WRITE], 4 * 400 * 512);
	bench_down(b);
	rig_down(&g);
}

static void
replay_timed(void)
{
	replayed(false);
}

static void
replay_fast(void)
{
	replayed(true);
}

int
main(int argc, char **argv)
{
	(void)argc;
	RUN(iolog);
	RUN(iolog_bad);
	RUN(blktrace);
	RUN(blktrace_bad);
	RUN(captured);
	REQUIRE(plx_eal_init_app(1, argv) >= 0);
	RUN(replay_timed);
	RUN(replay_fast);
	RUN(append);
	plx_eal_cleanup();
	return TEST_RESULT();
}
