/* SPDX-License-Identifier: BSD-3-Clause */
/* The tester's parts: histogram, address walks, block tags, numbers on the command line. */
#include <stddef.h>

#include "hist.h"
#include "opts.h"
#include "plx_test.h"
#include "verify.h"
#include "walk.h"

static int
cmp_u64(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* Buckets follow each other without gap, and none is wider than 1 % of what it holds. */
static void
hist_buckets(void)
{
	uint64_t first = 0;
	unsigned int b = 0;

	CHECK_EQ(tb_hist_bucket(0), 0);
	CHECK_EQ(tb_hist_bucket(UINT64_MAX), TB_HIST_BUCKETS - 1);
	for (uint64_t v = 1; v < 1u << 20; v++) {
		unsigned int at = tb_hist_bucket(v);

		if (at == b)
			continue;
		CHECK_EQ(at, b + 1);
		CHECK((double)(v - 1 - first) <= 0.01 * (double)v, "at %" PRIu64, v);
		b = at;
		first = v;
	}
	for (unsigned int bit = 9; bit < 64; bit++)
		CHECK_EQ(tb_hist_bucket(1ull << bit), tb_hist_bucket((1ull << bit) - 1) + 1);
}

/* One percent, or the half of a bucket of one. */
static bool
close_to(double got, double exact)
{
	double diff = got > exact ? got - exact : exact - got;

	return diff <= 0.01 * exact;
}

static void
hist_check_against(const uint64_t *v, unsigned int n, const struct tb_hist *h)
{
	static const double q[] = {0.01, 0.5, 0.9, 0.99, 0.999, 0.9999, 1};
	double got[7];

	tb_hist_quantiles(h, q, got, 7);
	for (unsigned int i = 0; i < 7; i++) {
		unsigned int rank = (unsigned int)(q[i] * n);

		if ((double)rank < q[i] * n - 1e-6)
			rank++;
		CHECK(close_to(got[i], (double)v[rank - 1]), "p%g of %u: %g, exactly %" PRIu64,
			100 * q[i], n, got[i], v[rank - 1]);
	}
}

/* Quantiles against sorted data of shapes that latencies have; merged from two halves. */
static void
hist_quantiles(void)
{
	static const unsigned int sizes[] = {1, 2, 10, 1000, 100000};
	struct tb_hist *a = calloc(1, sizeof(*a)), *b = calloc(1, sizeof(*b));
	uint64_t *v = calloc(100000, sizeof(*v)), rng = 7, sum;

	REQUIRE(a != NULL && b != NULL && v != NULL);
	for (unsigned int s = 0; s < 5; s++) {
		unsigned int n = sizes[s];

		memset(a, 0, sizeof(*a));
		memset(b, 0, sizeof(*b));
		sum = 0;
		for (unsigned int i = 0; i < n; i++) {
			v[i] = 100 + (tb_random(&rng) >> (34 + tb_range(tb_random(&rng), 24)));
			sum += v[i];
			tb_hist_add(i % 2 ? a : b, v[i]);
		}
		tb_hist_merge(a, b);
		qsort(v, n, sizeof(*v), cmp_u64);
		CHECK_EQ(tb_hist_total(a), n);
		CHECK_EQ(a->sum, sum);
		CHECK_EQ(a->max, v[n - 1]);
		hist_check_against(v, n, a);
	}
	free(a);
	free(b);
	free(v);
}

static void
hist_empty(void)
{
	struct tb_hist *h = calloc(1, sizeof(*h));
	double q = 0.5, got = 1;

	REQUIRE(h != NULL);
	tb_hist_quantiles(h, &q, &got, 1);
	CHECK(got == 0);
	free(h);
}

/* A shuffle gives each unit once, for sizes around powers of two. */
static void
walk_shuffle(void)
{
	static const uint64_t sizes[] = {1, 2, 3, 4, 5, 7, 8, 9, 1000, 1023, 1024, 1025, 65537};
	uint8_t *seen = calloc(65537, 1);

	REQUIRE(seen != NULL);
	for (unsigned int s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++)
		for (uint64_t seed = 0; seed < 5; seed++) {
			uint64_t n = sizes[s], bad = 0, straight = 0;
			struct tb_walk w;

			memset(seen, 0, n);
			tb_walk_init(&w, TB_WALK_SHUFFLE, n, seed);
			for (uint64_t i = 0; i < n; i++) {
				uint64_t u = tb_walk_next(&w, TB_WALK_SHUFFLE, 0);

				REQUIRE(u < n);
				bad += seen[u]++ != 0;
				straight += u == i;
			}
			CHECK_EQ(bad, 0);
			CHECK(n < 1000 || straight < n / 50, "not shuffled");
		}
	free(seen);
}

static void
walk_random(void)
{
	enum { N = 1000, DRAWS = 1000000 };
	uint32_t hits[N] = {0}, low = UINT32_MAX, high = 0;
	struct tb_walk w;

	tb_walk_init(&w, TB_WALK_RANDOM, N, 3);
	for (unsigned int i = 0; i < DRAWS; i++) {
		uint64_t u = tb_walk_next(&w, TB_WALK_RANDOM, tb_random(&w.rng));

		REQUIRE(u < N);
		hits[u]++;
	}
	for (unsigned int i = 0; i < N; i++) {
		low = hits[i] < low ? hits[i] : low;
		high = hits[i] > high ? hits[i] : high;
	}
	CHECK(low > 820 && high < 1180, "%u to %u of 1000", low, high); /* 5.7 sigma */
}

static void
walk_sequence(void)
{
	struct tb_walk w;

	tb_walk_init(&w, TB_WALK_SEQ, 3, 1);
	for (unsigned int i = 0; i < 10; i++)
		CHECK_EQ(tb_walk_next(&w, TB_WALK_SEQ, 0), i % 3);
}

/* The checksum is CRC-32C, bit by bit (RFC 3720, B.4 has the polynomial). */
static uint32_t
slow_crc32c(const uint8_t *p, size_t n)
{
	uint32_t crc = UINT32_MAX;

	while (n-- > 0) {
		crc ^= *p++;
		for (int i = 0; i < 8; i++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
	}
	return ~crc;
}

static const struct tb_verify spec = {.seed = 99, .dev = 2, .block_size = 512};

static enum tb_verdict
look_for(const void *buf, uint64_t lba, uint32_t low, uint32_t high)
{
	uint32_t crc;

	return tb_verify_block(&spec, buf, lba, (struct tb_gens){low, high}, &crc);
}

static enum tb_verdict
look(const void *buf, uint64_t lba, uint32_t gen)
{
	return look_for(buf, lba, gen, gen);
}

static void
verify_good(void)
{
	_Alignas(8) uint8_t buf[4][512];
	struct tb_mismatch m = {0};
	struct tb_tag tag;

	tb_verify_fill(&spec, buf, 1000, 4, 7);
	for (unsigned int i = 0; i < 4; i++) {
		memcpy(&tag, buf[i], sizeof(tag));
		CHECK_EQ(tag.crc, slow_crc32c(buf[i] + 8, 512 - 8));
		CHECK_EQ(look(buf[i], 1000 + i, 7), TB_GOOD);
		CHECK_EQ(look_for(buf[i], 1000 + i, 1, UINT32_MAX), TB_GOOD);
	}
	CHECK(memcmp(buf[0] + 40, buf[1] + 40, 472) != 0);
	CHECK_EQ(tb_verify_check(&spec, buf, 1000, 4, (struct tb_gens){7, 7}, &m), 0);
	CHECK_EQ(m.checked, 4);
	CHECK_EQ(m.blocks, 0);
}

/* Each flipped bit of a block is seen. */
static void
verify_bits(void)
{
	_Alignas(8) uint8_t buf[512];

	tb_verify_fill(&spec, buf, 5, 1, 1);
	for (unsigned int bit = 0; bit < 512 * 8; bit++) {
		bool len = bit / 8 >= offsetof(struct tb_tag, len) &&
			   bit / 8 < offsetof(struct tb_tag, rsvd);

		buf[bit / 8] ^= (uint8_t)(1 << bit % 8);
		CHECK_EQ(look(buf, 5, 1), bit < 32 ? TB_NO_TAG : len ? TB_BAD_LEN : TB_BAD_CRC);
		buf[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
}

static void
verify_wrong(void)
{
	struct tb_verify other = spec;
	_Alignas(8) uint8_t buf[512];

	tb_verify_fill(&spec, buf, 5, 1, 3);
	CHECK_EQ(look(buf, 6, 3), TB_BAD_LBA);
	CHECK_EQ(look(buf, 5, 4), TB_STALE);
	CHECK_EQ(look(buf, 5, 2), TB_UNEXPECTED);
	other.dev = 1;
	tb_verify_fill(&other, buf, 5, 1, 3);
	CHECK_EQ(look(buf, 5, 3), TB_BAD_DEV);
	other = spec;
	other.seed = 98;
	tb_verify_fill(&other, buf, 5, 1, 3);
	CHECK_EQ(look(buf, 5, 3), TB_BAD_SEED);
	memset(buf, 0, sizeof(buf));
	CHECK_EQ(look(buf, 5, 3), TB_NO_TAG);
}

/* After a power cut: from what was flushed to what was submitted. */
static void
verify_range(void)
{
	struct tb_verify other = spec;
	_Alignas(8) uint8_t buf[512];

	tb_verify_fill(&spec, buf, 5, 1, 7);
	CHECK_EQ(look_for(buf, 5, 7, 9), TB_GOOD);
	CHECK_EQ(look_for(buf, 5, 5, 7), TB_GOOD);
	CHECK_EQ(look_for(buf, 5, 0, 7), TB_GOOD);
	CHECK_EQ(look_for(buf, 5, 8, 9), TB_STALE);
	CHECK_EQ(look_for(buf, 5, 5, 6), TB_UNEXPECTED);
	CHECK_EQ(look_for(buf, 5, 0, 6), TB_UNEXPECTED);
	/* generations that began again */
	CHECK_EQ(look_for(buf, 5, 1000, 8), TB_GOOD);
	CHECK_EQ(look_for(buf, 5, 6, 2), TB_GOOD);
	CHECK_EQ(look_for(buf, 5, 1000, 6), TB_STALE);
	/* where nothing was flushed yet: what was there before, but nothing damaged or misplaced */
	CHECK_EQ(look_for(buf, 6, 0, 9), TB_BAD_LBA);
	buf[500] ^= 1;
	CHECK_EQ(look_for(buf, 5, 0, 9), TB_BAD_CRC);
	other.seed = 98;
	tb_verify_fill(&other, buf, 5, 1, 30);
	CHECK_EQ(look_for(buf, 5, 0, 9), TB_GOOD);
	CHECK_EQ(look_for(buf, 5, 1, 9), TB_BAD_SEED);
	memset(buf, 0, sizeof(buf));
	CHECK_EQ(look_for(buf, 5, 0, 9), TB_GOOD);
	CHECK_EQ(look_for(buf, 5, 1, 9), TB_NO_TAG);
}

/* The first mismatch is kept with what was wanted, the others are counted; merging keeps the
 * earlier one. */
static void
verify_account(void)
{
	_Alignas(8) uint8_t buf[4][512];
	struct tb_mismatch m = {0}, later = {.blocks = 2, .checked = 8, .tsc = 500};
	struct tb_tag tag;

	tb_verify_fill(&spec, buf, 0, 4, 2);
	memcpy(&tag, buf[1], sizeof(tag));
	tb_verify_fill(&spec, buf[1], 1, 1, 1);
	memset(buf[3], 0, 512);
	CHECK_EQ(tb_verify_check(&spec, buf, 0, 4, (struct tb_gens){2, 2}, &m), 2);
	CHECK_EQ(m.blocks, 2);
	CHECK_EQ(m.verdict, TB_STALE);
	CHECK_EQ(m.want.lba, 1);
	CHECK_EQ(m.want.gen, 2);
	CHECK_EQ(m.want.crc, tag.crc);
	CHECK_EQ(m.got.gen, 1);
	CHECK_EQ(m.crc, m.got.crc);
	m.tsc = 100;
	tb_mismatch_merge(&later, &m);
	CHECK_EQ(later.blocks, 4);
	CHECK_EQ(later.checked, 12);
	CHECK_EQ(later.verdict, TB_STALE);
}

static enum tb_parsed
parse(struct tb_opts *o, char **argv)
{
	int n = 0;

	while (argv[n] != NULL)
		n++;
	return tb_opts_parse(o, n, argv);
}

static void
options(void)
{
	char *argv[] = {"--dev", "ram:size=1M", "--bs=16KiB", "--size", "2g", "--time", "500ms",
		"--lcores", "1,3-5", "--qd", "8", "--rw", "randrw", "--seed", "0x10", NULL};
	char *least[] = {"--dev", "null:size=1M", NULL};
	struct tb_opts o;

	CHECK_EQ(parse(&o, argv), TB_PARSED_RUN);
	CHECK_EQ(o.bs, 16384);
	CHECK_EQ(o.size, 2ull << 30);
	CHECK(o.time_s > 0.499 && o.time_s < 0.501);
	CHECK(!o.lcore[0] && o.lcore[1] && !o.lcore[2] && o.lcore[3] && o.lcore[5] && !o.lcore[6]);
	CHECK_EQ(o.batch, 8);
	CHECK(o.random && o.reads && o.writes);
	CHECK_EQ(o.rwmix, 50);
	CHECK_EQ(o.seed, 16);

	CHECK_EQ(parse(&o, least), TB_PARSED_RUN);
	CHECK(o.random && o.reads && !o.writes);
	CHECK_EQ(o.bs, 4096);
	CHECK_EQ(o.qd, 32);
	CHECK_EQ(o.batch, 32);
	CHECK(o.time_s > 4.9 && o.time_s < 5.1);
}

int
main(void)
{
	RUN(hist_buckets);
	RUN(hist_quantiles);
	RUN(hist_empty);
	RUN(walk_shuffle);
	RUN(walk_random);
	RUN(walk_sequence);
	RUN(verify_good);
	RUN(verify_bits);
	RUN(verify_wrong);
	RUN(verify_range);
	RUN(verify_account);
	RUN(options);
	return TEST_RESULT();
}
