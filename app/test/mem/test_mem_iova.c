/* SPDX-License-Identifier: BSD-3-Clause */
/* Choosing I/O addresses, and looking translations up. */
#include <errno.h>

#include "mem_priv.h"
#include "plx_test.h"

#define K UINT64_C(1024)
#define PAGE (4 * K)

static struct mem_iova_space sp;

static void
space(const struct plx_iova_range *r, uint32_t n)
{
	free(sp.used);
	sp = (struct mem_iova_space){.range = r, .nb_range = n};
}

static uint64_t
take(uintptr_t va, size_t len, size_t align)
{
	REQUIRE(mem_iova_reserve(&sp, 1) == 0);
	return mem_iova_take(&sp, va, len, align);
}

static void
test_identity(void)
{
	space(NULL, 0);
	CHECK_EQ(take(16 * PAGE, 4 * PAGE, PAGE), 16 * PAGE);
	CHECK_EQ(take(20 * PAGE, PAGE, PAGE), 20 * PAGE);
	CHECK_EQ(take(15 * PAGE, PAGE, PAGE), 15 * PAGE);
	CHECK_EQ(take(UINT64_MAX - PAGE + 1, PAGE, PAGE), UINT64_MAX - PAGE + 1);
	/* a collision, at either end and inside: the first gap, but not at 0 */
	CHECK_EQ(take(19 * PAGE, PAGE, PAGE), PAGE);
	CHECK_EQ(take(14 * PAGE, 2 * PAGE, PAGE), 2 * PAGE);
	CHECK_EQ(take(10 * PAGE, 20 * PAGE, PAGE), 21 * PAGE);
}

static void
test_ranges(void)
{
	static const struct plx_iova_range r[] = {
		{0, 8 * PAGE - 1}, {16 * PAGE, 20 * PAGE - 1}, {64 * PAGE, 80 * PAGE - 1}};

	space(r, 3);
	CHECK_EQ(take(16 * PAGE, 4 * PAGE, PAGE), 16 * PAGE);         /* to the last byte */
	CHECK_EQ(take(63 * PAGE, 2 * PAGE, PAGE), PAGE);              /* sticks out below */
	CHECK_EQ(take(79 * PAGE, 2 * PAGE, PAGE), 3 * PAGE);          /* and above */
	CHECK_EQ(take(UINT64_C(1) << 40, 4 * PAGE, PAGE), 64 * PAGE); /* 3 pages are left below */
	CHECK_EQ(take(UINT64_C(1) << 40, 3 * PAGE, PAGE), 5 * PAGE);
	CHECK_EQ(take(UINT64_C(1) << 40, 13 * PAGE, PAGE), PLX_BAD_IOVA);
	CHECK_EQ(take(UINT64_C(1) << 40, 12 * PAGE, PAGE), 68 * PAGE);
	CHECK_EQ(take(UINT64_C(1) << 40, PAGE, PAGE), PLX_BAD_IOVA);
	mem_iova_give(&sp, 3 * PAGE);
	CHECK_EQ(take(UINT64_C(1) << 40, 3 * PAGE, PAGE), PLX_BAD_IOVA);
	CHECK_EQ(take(UINT64_C(1) << 40, 2 * PAGE, PAGE), 3 * PAGE);
}

static void
test_alignment(void)
{
	static const struct plx_iova_range r[] = {{3 * PAGE, 2048 * K - 1 + 2048 * K}};

	space(r, 1);
	CHECK_EQ(take(UINT64_C(1) << 40, PAGE, PAGE), 3 * PAGE);
	CHECK_EQ(take(UINT64_C(1) << 40, 2048 * K, 2048 * K), 2048 * K);
	CHECK_EQ(take(UINT64_C(1) << 40, 2048 * K, 2048 * K), PLX_BAD_IOVA);
	CHECK_EQ(take(UINT64_C(1) << 40, 64 * K, 64 * K), 64 * K);
	CHECK_EQ(take(UINT64_C(1) << 40, PAGE, PAGE), 4 * PAGE);
}

static void
test_top(void)
{
	static const struct plx_iova_range r[] = {{UINT64_MAX - 4 * PAGE + 1, UINT64_MAX}};

	space(r, 1);
	CHECK_EQ(take(PAGE, 2 * PAGE, PAGE), UINT64_MAX - 4 * PAGE + 1);
	CHECK_EQ(take(PAGE, 4 * PAGE, PAGE), PLX_BAD_IOVA);
	CHECK_EQ(take(PAGE, 2 * PAGE, PAGE), UINT64_MAX - 2 * PAGE + 1);
	CHECK_EQ(take(PAGE, PAGE, PAGE), PLX_BAD_IOVA);
	CHECK_EQ(take(PAGE, PAGE, UINT64_C(1) << 63), PLX_BAD_IOVA);
}

/* Against a bitmap. */
static void
test_random(void)
{
	static const struct plx_iova_range r[] = {
		{0, 100 * PAGE - 1}, {120 * PAGE, 200 * PAGE - 1}};
	struct {
		uint64_t iova, len;
	} got[64] = {0};
	bool used[200] = {false};

	space(r, 2);
	srand(1);
	for (int i = 0; i < 20000; i++) {
		int k = rand() % 64;
		uint64_t len = (uint64_t)(rand() % 8 + 1);

		if (got[k].len != 0) {
			mem_iova_give(&sp, got[k].iova);
			memset(&used[got[k].iova / PAGE], 0, got[k].len);
			got[k].len = 0;
			continue;
		}
		got[k].iova = take((uintptr_t)(rand() % 300) * PAGE, len * PAGE, PAGE);
		if (got[k].iova == PLX_BAD_IOVA)
			continue;
		got[k].len = len;
		for (uint64_t p = got[k].iova / PAGE; p < got[k].iova / PAGE + len; p++) {
			CHECK(p < 100 || (p >= 120 && p < 200), "page %" PRIu64, p);
			REQUIRE(p < 200 && !used[p]);
			used[p] = true;
		}
	}
}

/* A table of one's own: edges, gaps, neighbours. */
static void
test_search(void)
{
	static const struct {
		uint32_t n;
		const void *owner;
		struct plx_mem_range r[6];
	} t = {5, NULL,
		{{0x100000, 0x10000, 0x900000}, {0x1000, 0x1000, 0x5000}, {0x2000, 0x1000, 0x8000},
			{0x200000, 0x2000, 0x1000}, {0x7ff000, 0x1000, 0x0}}};
	struct plx_mem_domain d = {.table = (const struct plx_mem_table *)&t};
	static const struct {
		uintptr_t va;
		size_t len;
		uint64_t iova;
	} c[] = {
		{0x100000, 1, 0x900000},
		{0x10ffff, 1, 0x90ffff},
		{0x10ffff, 2, PLX_BAD_IOVA},
		{0x100000, 0x10000, 0x900000},
		{0x100000, 0x10001, PLX_BAD_IOVA},
		{0x110000, 1, PLX_BAD_IOVA},
		{0xfffff, 1, PLX_BAD_IOVA},
		{0xfff, 1, PLX_BAD_IOVA},
		{0x1000, 0x1000, 0x5000},
		{0x1fff, 2, PLX_BAD_IOVA},
		{0x1000, 0x2000, PLX_BAD_IOVA},
		{0x2000, 0x1000, 0x8000},
		{0x2fff, 1, 0x8fff},
		{0x3000, 1, PLX_BAD_IOVA},
		{0x201fff, 1, 0x2fff},
		{0x202000, 1, PLX_BAD_IOVA},
		{0x7ff000, 0x1000, 0},
		{0x800000, 1, PLX_BAD_IOVA},
		{UINTPTR_MAX, 1, PLX_BAD_IOVA},
		{0x100008, SIZE_MAX, PLX_BAD_IOVA},
		{0x1008, SIZE_MAX, PLX_BAD_IOVA},
		{0, 1, PLX_BAD_IOVA},
	};

	for (size_t i = 0; i < sizeof(c) / sizeof(c[0]); i++)
		CHECK(plx_mem_iova(&d, (void *)c[i].va, c[i].len) == c[i].iova,
			"%#" PRIxPTR " + %#zx is %#" PRIx64, c[i].va, c[i].len,
			plx_mem_iova(&d, (void *)c[i].va, c[i].len));
}

int
main(void)
{
	RUN(test_identity);
	RUN(test_ranges);
	RUN(test_alignment);
	RUN(test_top);
	RUN(test_random);
	RUN(test_search);
	free(sp.used);
	return TEST_RESULT();
}
