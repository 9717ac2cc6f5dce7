/* SPDX-License-Identifier: BSD-3-Clause */
/* Workloads: distributions against theory, sizes, rates and pauses by a clock of the test's own,
 * the search for a depth. */
#include <math.h>

#include "plx_test.h"
#include "testblk.h"

volatile sig_atomic_t tb_stop;

#define DRAWS 1000000

/* ---- distributions ---- */

/* Chi-square of the n most likely ranks, and one class for the rest, against p(k). */
static double
chi_square(const struct tb_dist *d, uint32_t n, double (*p)(const struct tb_dist *, uint64_t))
{
	uint32_t *hits = calloc(n + 1, sizeof(*hits));
	uint64_t rng = 5;
	double x2 = 0, rest = 1;

	REQUIRE(hits != NULL);
	for (unsigned int i = 0; i < DRAWS; i++) {
		uint64_t k = tb_dist_rank(d, &rng);

		REQUIRE(k < d->n);
		hits[k < n ? k : n]++;
	}
	for (uint32_t k = 0; k <= n; k++) {
		double want = DRAWS * (k < n ? p(d, k) : rest), diff = hits[k] - want;

		if (k < n)
			rest -= p(d, k);
		if (want >= 5)
			x2 += diff * diff / want;
	}
	free(hits);
	return x2;
}

static double zeta;

static double
p_zipf(const struct tb_dist *d, uint64_t k)
{
	return pow((double)k + 1, -d->theta) / zeta;
}

static double
p_pareto(const struct tb_dist *d, uint64_t k)
{
	double n = (double)d->n;

	return pow(((double)k + 1) / n, 1 / d->power) - pow((double)k / n, 1 / d->power);
}

static void
zipf(void)
{
	static const double thetas[] = {0.5, 0.99, 1, 1.2, 2.5};
	static const uint64_t sizes[] = {1, 2, 100, 65536};

	for (unsigned int t = 0; t < RTE_DIM(thetas); t++)
		for (unsigned int s = 0; s < RTE_DIM(sizes); s++) {
			uint64_t n = sizes[s];
			uint32_t classes = n < 200 ? (uint32_t)n - 1 : 200;
			struct tb_dist d;
			double x2;

			tb_dist_init(
				&d, &(struct tb_dist_spec){TB_DIST_ZIPF, thetas[t]}, n, 4096, 1);
			zeta = 0;
			for (uint64_t k = 1; k <= n; k++)
				zeta += pow((double)k, -thetas[t]);
			x2 = chi_square(&d, classes, p_zipf);
			/* mean: classes; five times its deviation */
			CHECK(x2 < classes + 5 * sqrt(2.0 * classes) + 5,
				"theta %g of %" PRIu64 ": chi-square %g", thetas[t], n, x2);
		}
}

static void
pareto(void)
{
	static const double hs[] = {0.1, 0.2, 0.5, 0.9};

	for (unsigned int i = 0; i < RTE_DIM(hs); i++) {
		uint64_t rng = 3, hot = 0;
		struct tb_dist d;
		double x2;

		tb_dist_init(&d, &(struct tb_dist_spec){TB_DIST_PARETO, hs[i]}, 10000, 4096, 1);
		x2 = chi_square(&d, 200, p_pareto);
		CHECK(x2 < 200 + 5 * sqrt(400), "h %g: chi-square %g", hs[i], x2);
		/* what h stands for: that part of the ranks has the rest of the draws */
		for (unsigned int k = 0; k < DRAWS; k++)
			hot += (double)tb_dist_rank(&d, &rng) < hs[i] * 10000;
		CHECK(fabs((double)hot / DRAWS - (1 - hs[i])) < 0.003, "h %g: %" PRIu64, hs[i],
			hot);
	}
}

/* Ranks are scattered, but each unit has one: counts by unit are those by rank. */
static void
scattered(void)
{
	enum { N = 1000 };
	uint32_t hits[N] = {0}, most = 0, above = 0;
	uint64_t rng = 9, again = 9, hottest = 0;
	struct tb_dist d;

	tb_dist_init(&d, &(struct tb_dist_spec){TB_DIST_ZIPF, 1.2}, N, 4096, 7);
	for (unsigned int i = 0; i < DRAWS; i++) {
		uint64_t u = tb_dist_next(&d, &rng);

		REQUIRE(u < N);
		hits[u]++;
	}
	for (unsigned int u = 0; u < N; u++) {
		above += hits[u] > 0;
		if (hits[u] > most) {
			most = hits[u];
			hottest = u;
		}
	}
	CHECK(above > 990 && hottest != 0, "%u units, the hottest %" PRIu64, above, hottest);
	CHECK(most > DRAWS / 5, "%u", most);
	for (unsigned int i = 0; i < 100; i++) { /* the same seed, the same draws */
		uint64_t one = tb_dist_next(&d, &again);

		rng = i == 0 ? 9 : rng;
		CHECK_EQ(one, tb_dist_next(&d, &rng));
	}
}

static double
p_normal(const struct tb_dist *d, uint64_t k)
{
	double one = sqrt(8) * d->theta; /* two ranks a unit of distance */

	return (erf((double)(k + 1) / one) - erf((double)k / one)) / erf((double)d->n / one);
}

static void
normal(void)
{
	static const double devs[] = {0.5, 10, 20, 100};

	for (unsigned int i = 0; i < RTE_DIM(devs); i++) {
		struct tb_dist d;
		double x2;

		tb_dist_init(&d, &(struct tb_dist_spec){TB_DIST_NORMAL, devs[i]}, 1000, 4096, 1);
		x2 = chi_square(&d, 15, p_normal);
		CHECK(x2 < 15 + 5 * sqrt(30) + 5, "deviation %g: chi-square %g", devs[i], x2);
	}
}

/* Draws by zone of a range of 1000 units of 4 KiB; the last is what no zone has. */
static void
check_zones(const char *text, uint32_t nzone, const uint64_t *ends, const double *shares)
{
	uint32_t hits[8] = {0};
	struct tb_dist_spec spec[TB_DIRS];
	uint64_t rng = 5;
	struct tb_dist d;

	REQUIRE(tb_dist_parse(text, spec));
	CHECK_EQ(spec[0].nzone, nzone);
	tb_dist_init(&d, spec, 1000, 4096, 1);
	for (unsigned int i = 0; i < DRAWS; i++) {
		uint64_t u = tb_dist_next(&d, &rng);
		uint32_t z = 0;

		REQUIRE(u < 1000);
		while (z < nzone && u >= ends[z])
			z++;
		hits[z]++;
	}
	for (uint32_t z = 0; z < nzone; z++)
		CHECK(fabs((double)hits[z] / DRAWS - shares[z]) < 0.005, "%s: %u in %u", text,
			hits[z], z);
	CHECK_EQ(hits[nzone], 0);
}

static void
zones(void)
{
	check_zones("zoned:60/10:30/20:8/30:2/40", 4, (const uint64_t[]){100, 300, 600, 1000},
		(const double[]){0.6, 0.3, 0.08, 0.02});
	check_zones("zoned:90/1:/49:0/50", 3, (const uint64_t[]){10, 500, 1000},
		(const double[]){0.9, 0.1, 0});
	check_zones("zoned_abs:75/40k:25/2000K", 2, (const uint64_t[]){10, 510},
		(const double[]){0.75, 0.25});
	check_zones("zoned:100/0.01", 1, (const uint64_t[]){1}, (const double[]){1});
}

static void
dist_names(void)
{
	static const char *const bad[] = {"", "zipf", "zipf:", "zipf:x", "zipf:0", "zipf:-1",
		"zipf:11", "pareto:1", "pareto:0", "pareto:0.2x", "random:1", "normal:", "normal:0",
		"normal:101", "normal:1:2", "norm:1", "zoned", "zoned:", "zoned:50", "zoned:50/",
		"zoned:50/50", "zoned:60/50:50/50", "zoned:50/50:50/51", "zoned:100/0",
		"zoned:100/10k", "zoned:100/50:", "zoned:-1/50", "zoned:100/50,50/50",
		"zoned:100/1,100/2,100/3,100/4", "zoned:,100/1", "zipf:1.2,1.3", "zoned_abs:100/0",
		"zoned_abs:100/", "zoned_abs:100/x"};
	struct tb_dist_spec s[TB_DIRS];
	char many[TB_DIST_ZONES * 4 + 16] = "zoned:";

	for (unsigned int i = 0; i < RTE_DIM(bad); i++)
		CHECK(!tb_dist_parse(bad[i], s), "%s", bad[i]);
	for (unsigned int i = 0; i <= TB_DIST_ZONES; i++)
		strcat(many, i == 0 ? "/1" : ":/1");
	CHECK(!tb_dist_parse(many, s), "%s", many);
	CHECK(tb_dist_parse("zipf:1.2", s) && s->kind == TB_DIST_ZIPF && s[2].theta == 1.2);
	CHECK(tb_dist_parse("pareto:0.2", s) && s->kind == TB_DIST_PARETO);
	CHECK(tb_dist_parse("random", s) && s->kind == TB_DIST_UNIFORM);
	CHECK(tb_dist_parse("zoned:100/10,40/5:60/5", s) && s[0].nzone == 1 && s[1].nzone == 2 &&
			s[2].nzone == 2,
		"%u %u %u", s[0].nzone, s[1].nzone, s[2].nzone);
}

/* ---- sizes ---- */

static void
split(void)
{
	struct tb_sizes s[TB_DIRS];
	uint32_t hits[3] = {0};
	uint64_t rng = 1;

	CHECK(tb_sizes_split(s, "4k/50:8k/:16k/20,64k") == NULL);
	CHECK_EQ(tb_sizes_unit(s), 4096);
	CHECK_EQ(tb_sizes_max(s), 65536);
	for (unsigned int i = 0; i < DRAWS; i++) {
		uint32_t b = tb_sizes_pick(&s[TB_DIR_READ], (uint32_t)tb_random(&rng));

		REQUIRE(b == 4096 || b == 8192 || b == 16384);
		hits[b / 8192]++;
		CHECK_EQ(tb_sizes_pick(&s[TB_DIR_WRITE], (uint32_t)rng), 65536);
	}
	CHECK(abs((int)hits[0] - DRAWS / 2) < 2500, "%u", hits[0]); /* five deviations */
	CHECK(abs((int)hits[1] - DRAWS * 3 / 10) < 2300, "%u", hits[1]);
	CHECK(abs((int)hits[2] - DRAWS / 5) < 2000, "%u", hits[2]);
}

static void
range(void)
{
	struct tb_sizes s[TB_DIRS];
	uint32_t hits[5] = {0};
	uint64_t rng = 1;

	CHECK(tb_sizes_range(s, "1k-4k,512-512") == NULL);
	CHECK_EQ(tb_sizes_unit(s), 512);
	for (unsigned int i = 0; i < DRAWS; i++) {
		uint32_t b = tb_sizes_pick(&s[TB_DIR_READ], (uint32_t)tb_random(&rng));

		REQUIRE(b % 1024 == 0 && b >= 1024 && b <= 4096);
		hits[b / 1024]++;
	}
	for (unsigned int i = 1; i < 5; i++)
		CHECK(abs((int)hits[i] - DRAWS / 4) < 2200, "%u", hits[i]);
}

static void
size_names(void)
{
	static const char *const bad[] = {"", "4k/", "4k/101", "4k/50:8k/49", "4k/60:8k/50", "4k:x",
		"0/100", "4k/100,8k/100,16k/100,32k/100", "/100", ":"};
	struct tb_sizes s[TB_DIRS];

	for (unsigned int i = 1; i < RTE_DIM(bad); i++)
		CHECK(i == 1 || tb_sizes_split(s, bad[i]) != NULL, "%s", bad[i]);
	CHECK(tb_sizes_split(s, "4k/") == NULL && s[0].n == 1);
	CHECK(tb_sizes_list(s, "4k,8k") == NULL);
	CHECK_EQ(s[TB_DIR_TRIM].bytes[0], 8192);
	CHECK(tb_sizes_list(s, "4k,,16k") == NULL);
	CHECK_EQ(s[TB_DIR_WRITE].bytes[0], 4096);
	CHECK(tb_sizes_list(s, "") != NULL && tb_sizes_list(s, "2G") != NULL);
	CHECK(tb_sizes_range(s, "8k-4k") != NULL && tb_sizes_range(s, "4k-") != NULL);
}

/* ---- pace: a queue with requests that wait, and a clock that the test turns ---- */

#define HZ 1000000.0

struct rig {
	struct tb_queue q;
	struct tb_pace pace;
	struct tb_sum sum;
	struct tb_task task;
	struct tb_dev dev;
	struct plx_blk_req reqs[8], *pend[8];
	uint64_t sent[3]; /* by op */
};

static struct rig *
rig_new(void)
{
	struct rig *r = aligned_alloc(64, RTE_ALIGN_CEIL(sizeof(*r), 64));

	REQUIRE(r != NULL);
	memset(r, 0, sizeof(*r));
	r->dev.info.block_size = 512;
	r->task.dev = &r->dev;
	r->q.pace = &r->pace;
	r->q.sum = &r->sum;
	r->q.task = &r->task;
	r->q.reqs = r->reqs;
	r->q.pend = r->pend;
	r->q.qd = 8;
	r->pace.think_ios = 1;
	for (unsigned int i = 0; i < 8; i++)
		r->reqs[i].nblk = 8;
	return r;
}

/* Fill up what waits (every third a write), send what may go, and have it back at once when told
 * so. @return how many went */
static uint16_t
turn(struct rig *r, uint64_t now, bool back)
{
	uint16_t n;

	for (; r->q.npend < 8; r->q.npend++) {
		r->pend[r->q.npend] = &r->reqs[r->q.npend];
		r->reqs[r->q.npend].op = (r->sum.c.submitted + r->q.npend) % 3 == 0;
	}
	n = tb_pace_allow(&r->q, now);
	for (uint16_t i = 0; i < n; i++)
		r->sent[r->pend[i]->op]++;
	r->pace.passed = 0;
	r->sum.c.submitted += n;
	r->sum.c.returned = back ? r->sum.c.submitted : r->sum.c.returned;
	memset(r->pend, 0, sizeof(r->pend));
	r->q.npend = 0;
	return n;
}

/* Counts of a second are those of the limit, whatever the time between two looks. */
static void
rates(void)
{
	static const uint64_t steps[] = {1, 7, 333, 20000};

	for (unsigned int s = 0; s < RTE_DIM(steps); s++) {
		struct rig *r = rig_new();
		uint64_t at = 12345;

		for (unsigned int d = 0; d < TB_DIRS; d++)
			tb_rate_init(&r->pace.rate[d], 300, 0, HZ, 0);
		tb_pace_begin(&r->q, at);
		for (uint64_t t = 0; t <= HZ; t += steps[s])
			while (turn(r, at + t, true) != 0)
				;
		/* the third that is writes holds the reads up, or they each other */
		CHECK(r->sent[0] + r->sent[1] <= 602 && r->sent[0] <= 301 && r->sent[0] >= 295,
			"step %" PRIu64 ": %" PRIu64 " reads, %" PRIu64 " writes", steps[s],
			r->sent[0], r->sent[1]);
		free(r);
	}
}

static void
bandwidth(void)
{
	struct rig *r = rig_new();

	tb_rate_init(&r->pace.rate[TB_DIR_READ], 0, 409600, HZ, 0); /* 100 of 4 KiB a second */
	tb_pace_begin(&r->q, 0);
	for (uint64_t t = 0; t <= 10 * HZ; t += 10)
		turn(r, t, true);
	CHECK(r->sent[0] >= 995 && r->sent[0] <= 1001, "%" PRIu64, r->sent[0]);
	free(r);
}

/* An lcore's limit is one of all its queues. */
static void
lcore_rate(void)
{
	struct rig *a = rig_new(), *b = rig_new();
	struct tb_rate both;

	tb_rate_init(&both, 1000, 0, HZ, 0);
	a->pace.lcore = b->pace.lcore = &both;
	tb_pace_begin(&a->q, 50);
	tb_pace_begin(&b->q, 60);
	for (uint64_t t = 100; t <= HZ + 100; t += 100) {
		turn(t / 1000 % 2 ? a : b, t, true);
		turn(t / 1000 % 2 ? b : a, t, true);
	}
	CHECK(a->sum.c.submitted + b->sum.c.submitted >= 999);
	CHECK(a->sum.c.submitted + b->sum.c.submitted <= 1002);
	CHECK(a->sum.c.submitted > 300 && b->sum.c.submitted > 300);
	free(a);
	free(b);
}

/* A stall is made up for, but for no more than a tenth of a second. */
static void
stall(void)
{
	struct rig *r = rig_new();
	unsigned int n = 0;

	for (unsigned int d = 0; d < TB_DIRS; d++)
		tb_rate_init(&r->pace.rate[d], 1000, 0, HZ, 0);
	tb_pace_begin(&r->q, 0);
	for (unsigned int k; (k = turn(r, (uint64_t)(5 * HZ), true)) != 0;)
		n += k;
	CHECK(n >= 100 && n <= 202, "%u", n);
	free(r);
}

/* A burst, all of it back, a pause. */
static void
thinks(void)
{
	struct rig *r = rig_new();

	r->pace.think = 1000;
	r->pace.think_ios = 5;
	tb_pace_begin(&r->q, 100);
	CHECK_EQ(turn(r, 100, false), 5);
	CHECK_EQ(turn(r, 5000, false), 0); /* in flight */
	r->sum.c.returned = r->sum.c.submitted;
	CHECK_EQ(turn(r, 5001, true), 0); /* the pause begins */
	CHECK_EQ(turn(r, 6000, true), 0);
	CHECK_EQ(turn(r, 6001, true), 5);
	CHECK_EQ(turn(r, 6001, true), 0);
	r->pace.think_io = 300; /* by time, now */
	CHECK_EQ(turn(r, 7001, true), 8);
	CHECK_EQ(turn(r, 7300, true), 8);
	CHECK_EQ(turn(r, 7301, true), 0);
	free(r);
}

/* ---- the search for a depth ---- */

/* A device whose latency is 10 an I/O in flight, but long now and then. @return the depth that was
 * found */
static uint32_t
search(uint64_t target, double share, uint32_t max, unsigned int slow_every)
{
	struct tb_lat_search s;
	uint64_t now = 1000000, n = 0;

	tb_lat_search_init(&s, target, 5000, share, max, now);
	while (!s.done) {
		uint64_t lat = 10 * s.depth;

		REQUIRE(s.depth >= 1 && s.depth <= max && ++n < 10000000);
		if (slow_every != 0 && n % slow_every == 0)
			lat = 4000;
		now += 10;
		if (now > lat)
			tb_lat_search_add(&s, now - lat, now);
	}
	return s.depth;
}

static void
depths(void)
{
	for (uint32_t want = 1; want <= 130; want++)
		CHECK_EQ(search(10 * want + 3, 1, 128, 0), RTE_MIN(want, 128u));
	CHECK_EQ(search(5, 1, 128, 0), 0); /* not even one */
	CHECK_EQ(search(505, 0.99, 128, 200), 50);
	CHECK_EQ(search(505, 0.999, 128, 200), 0);
}

int
main(void)
{
	RUN(zipf);
	RUN(pareto);
	RUN(scattered);
	RUN(normal);
	RUN(zones);
	RUN(dist_names);
	RUN(split);
	RUN(range);
	RUN(size_names);
	RUN(rates);
	RUN(bandwidth);
	RUN(lcore_rate);
	RUN(stall);
	RUN(thinks);
	RUN(depths);
	return TEST_RESULT();
}
