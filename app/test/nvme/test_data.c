/* SPDX-License-Identifier: BSD-3-Clause */
/* Data pointers, read back by a walker that knows only the specification. */
#include <errno.h>

#include "nvme_priv.h"
#include "plx_test.h"
#include "walk.h"

#define PAGE 4096u
#define PAGES 1100u
#define TRACKERS 4
#define SLOTS_IOVA 0x7000000000ull
#define POOL_IOVA 0x7100000000ull

static uint8_t *mem;          /* PAGES pages */
static uint32_t where[PAGES]; /* of each, in I/O address space, in pages */
static struct {
	struct plx_mem_table t;
	struct plx_mem_range r[PAGES + 1];
} table;
static struct plx_mem_domain dom = {.table = &table.t};

static struct nvme_tracker trk[TRACKERS];
static uint8_t pool_of[TRACKERS][NVME_POOL_PAGES];
static uint8_t slots[TRACKERS * NVME_SLOT_BYTES] __attribute__((aligned(PAGE)));
static uint8_t pool[NVME_POOL_PAGES * PAGE] __attribute__((aligned(PAGE)));
static struct nvme_qpair q;
static struct nvme_sqe sqe;

/* ---- the rig ---- */

static void
rig(bool sgl, bool dword)
{
	unsigned int i;

	memset(&q, 0, sizeof(q));
	memset(trk, 0, sizeof(trk));
	memset(slots, 0xa5, sizeof(slots));
	memset(pool, 0xa5, sizeof(pool));
	q.trk = trk;
	q.pool_of = pool_of;
	q.dom = &dom;
	q.page_size = PAGE;
	q.slots = slots;
	q.slots_iova = SLOTS_IOVA;
	q.pool = pool;
	q.pool_iova = POOL_IOVA;
	q.sgl = sgl;
	q.sgl_dword = dword;
	q.max_sgls = PAGE / 16;
	for (i = 0; i < NVME_POOL_PAGES; i++)
		q.pool_free[i] = (uint8_t)i;
	q.npool = NVME_POOL_PAGES;
}

/* One range of its own for each page (far apart, in any order), or all in one. */
static void
map_memory(bool scattered)
{
	unsigned int i, k, w;

	memset(&table, 0, sizeof(table));
	for (i = 0; i < PAGES; i++)
		where[i] = i;
	for (i = PAGES - 1; scattered && i > 0; i--) {
		k = (unsigned int)rand() % (i + 1);
		w = where[i];
		where[i] = where[k];
		where[k] = w;
	}
	table.t.n = scattered ? PAGES + 1 : 1;
	if (!scattered)
		table.r[0] = (struct plx_mem_range){(uintptr_t)mem, PAGES * PAGE, 1u << 30};
	for (i = 0; scattered && i < PAGES; i++)
		table.r[i + 1] = (struct plx_mem_range){(uintptr_t)mem + i * PAGE, PAGE,
			(1u << 30) + (uint64_t)where[i] * 2 * PAGE};
}

static void *
at(void *ctx, uint64_t iova, uint64_t len)
{
	unsigned int i;

	if (iova >= SLOTS_IOVA && iova + len <= SLOTS_IOVA + sizeof(slots))
		return slots + (iova - SLOTS_IOVA);
	if (iova >= POOL_IOVA && iova + len <= POOL_IOVA + sizeof(pool) &&
		iova / PAGE == (iova + len - 1) / PAGE)
		return pool + (iova - POOL_IOVA);
	for (i = 0; i < table.t.n; i++)
		if (iova >= table.r[i].iova && iova + len <= table.r[i].iova + table.r[i].len)
			return (uint8_t *)table.r[i].va + (iova - table.r[i].iova);
	return NULL;
}

static int
map(struct nvme_tracker *t, const struct plx_seg *segs, uint32_t nseg, size_t len)
{
	sqe = (struct nvme_sqe){0};
	return nvme_data_map(&q, t, &sqe, segs, nseg, len);
}

static bool
untouched(const uint8_t *p, size_t len)
{
	size_t i;

	for (i = 0; i < len && p[i] == 0xa5; i++)
		;
	return i == len;
}

/* What the controller sees is what the segments say, byte by byte. */
static void
check_walk(const struct plx_seg *segs, uint32_t nseg, size_t len)
{
	static struct iovec v[WALK_MAX];
	const char *why = "";
	int n = walk(&sqe, len, PAGE, at, NULL, v, &why), i;
	uint32_t s = 0;
	size_t off = 0, k, take;

	CHECK(n > 0, "%zu bytes in %u segments: %s", len, nseg, why);
	for (i = 0; i < n; i++) {
		for (k = 0; k < v[i].iov_len; k += take) {
			while (s < nseg && off == segs[s].len) {
				s++;
				off = 0;
			}
			REQUIRE(s < nseg);
			take = RTE_MIN(v[i].iov_len - k, segs[s].len - off);
			if ((uint8_t *)v[i].iov_base + k != (uint8_t *)segs[s].addr + off) {
				CHECK(0, "%zu bytes: piece %d is elsewhere", len, i);
				return;
			}
			off += take;
		}
	}
}

/* Map, check, free; nothing outside of the tracker's own memory was written. */
static void
good(const struct plx_seg *segs, uint32_t nseg, size_t len, unsigned int pages)
{
	struct nvme_tracker *t = &trk[1];

	CHECK_EQ(map(t, segs, nseg, len), 0);
	check_walk(segs, nseg, len);
	CHECK_EQ(t->npool, pages);
	CHECK_EQ(q.npool, NVME_POOL_PAGES - pages);
	CHECK((t->flags & NVME_TRK_POOL) != 0 || pages == 0);
	CHECK(untouched(slots, NVME_SLOT_BYTES), "the slot before");
	CHECK(untouched(slots + 2 * NVME_SLOT_BYTES, 2 * NVME_SLOT_BYTES), "the slots after");
	CHECK(untouched(pool, (NVME_POOL_PAGES - pages) * PAGE), "pages of others");
	if (pages != 0)
		CHECK(untouched(slots, sizeof(slots)));
	nvme_data_free(&q, t);
	CHECK_EQ(q.npool, NVME_POOL_PAGES);
	CHECK((t->flags & NVME_TRK_POOL) == 0);
	memset(slots, 0xa5, sizeof(slots));
	memset(pool, 0xa5, sizeof(pool));
}

static void
bad(const struct plx_seg *segs, uint32_t nseg, size_t len, int err)
{
	CHECK_EQ(map(&trk[1], segs, nseg, len), err);
	CHECK_EQ(q.npool, NVME_POOL_PAGES);
	CHECK_EQ(trk[1].npool, 0);
}

/* ---- PRPs ---- */

/* Pages of lists that this many pages of data take. */
static unsigned int
list_pages(unsigned int pages)
{
	unsigned int entries = pages - 1;

	if (pages <= 2 || entries <= 64)
		return 0;
	return entries <= 512 ? 1 : 1 + (entries - 512 + 510) / 511;
}

static void
prp_edges(void)
{
	static const unsigned int counts[] = {
		1, 2, 3, 4, 64, 65, 66, 67, 512, 513, 514, 515, 1023, 1024, 1025, 1026};
	static const unsigned int offs[] = {0, 4, 8, 512, 2048, 4092};
	unsigned int c, o, how, last, pages;
	struct plx_seg s;

	for (how = 0; how < 2; how++) {
		map_memory(how == 1);
		rig(false, false);
		for (c = 0; c < RTE_DIM(counts); c++) {
			pages = counts[c];
			for (o = 0; o < RTE_DIM(offs); o++) {
				for (last = 0; last < 3; last++) {
					/* the last page: whole, its first byte, all but one */
					size_t end = last == 0 ? PAGE : last == 1 ? 1 : PAGE - 1;

					s.addr = mem + 5 * PAGE + offs[o];
					if (pages == 1 && end <= offs[o])
						continue;
					s.len = (pages - 1) * PAGE + end - offs[o];
					good(&s, 1, s.len, list_pages(pages));
				}
			}
		}
	}
}

static void
prp_segments(void)
{
	struct plx_seg s[8];

	map_memory(true);
	rig(false, false);
	/* in pages of any order, the first with an offset, the last short, none-length between */
	s[0] = (struct plx_seg){NULL, 0};
	s[1] = (struct plx_seg){mem + 3 * PAGE + 1024, PAGE - 1024};
	s[2] = (struct plx_seg){mem + 7 * PAGE, 2 * PAGE};
	s[3] = (struct plx_seg){mem + 1, 0};
	s[4] = (struct plx_seg){mem + 2 * PAGE, PAGE};
	s[5] = (struct plx_seg){mem + 9 * PAGE, 512};
	s[6] = (struct plx_seg){NULL, 0};
	good(s, 7, 4 * PAGE - 512, 0);
	good(s, 6, 4 * PAGE - 512, 0);
	bad(s, 7, 4 * PAGE, -EINVAL);
	bad(s, 7, 4 * PAGE - 1024, -EINVAL);
	bad(s, 5, 4 * PAGE - 512, -EINVAL);
	bad(NULL, 1, 512, -EINVAL);
	s[5].addr = NULL;
	bad(s, 7, 4 * PAGE - 512, -EINVAL);
	/* a hole before the last: two pieces in one page */
	s[0] = (struct plx_seg){mem, 512};
	s[1] = (struct plx_seg){mem + PAGE, PAGE};
	bad(s, 2, PAGE + 512, -EXDEV);
	s[0] = (struct plx_seg){mem + PAGE - 512, 512};
	good(s, 2, PAGE + 512, 0);
	s[1].addr = mem + PAGE + 512;
	bad(s, 2, PAGE + 512, -EXDEV);
	/* what devices can't be told */
	s[0] = (struct plx_seg){mem + 2, 512};
	bad(s, 1, 512, -EXDEV);
	s[0] = (struct plx_seg){slots, 512};
	bad(s, 1, 512, -EXDEV);
	s[0] = (struct plx_seg){mem + PAGES * PAGE - 512, 1024};
	bad(s, 1, 1024, -EXDEV);
	s[0].len = SIZE_MAX;
	bad(s, 1, 1024, -EINVAL);
}

/* With the pool empty a long one must wait, and what it took comes back. */
static void
pool_empty(void)
{
	struct plx_seg s = {mem, 600 * PAGE}, small = {mem, 40 * PAGE};

	map_memory(false);
	rig(false, false);
	q.npool = 1;
	CHECK_EQ(map(&trk[0], &s, 1, s.len), -EAGAIN);
	CHECK_EQ(q.npool, 1);
	CHECK_EQ(trk[0].npool, 0);
	CHECK_EQ(map(&trk[0], &small, 1, small.len), 0);
	q.npool = 2;
	CHECK_EQ(map(&trk[1], &s, 1, s.len), 0);
	check_walk(&s, 1, s.len);
	CHECK_EQ(q.npool, 0);
	CHECK_EQ(map(&trk[2], &s, 1, s.len), -EAGAIN);
	nvme_data_free(&q, &trk[1]);
	CHECK_EQ(q.npool, 2);
}

/* ---- SGLs ---- */

/* n pieces of odd places and lengths, none two of which PRPs could take. */
static size_t
pieces(struct plx_seg *s, unsigned int n, unsigned int grain)
{
	unsigned int i;
	size_t sum = 0;

	for (i = 0; i < n; i++) {
		s[i].len = (1 + (unsigned int)rand() % 100) * grain;
		s[i].addr = mem + i * PAGE + (1 + (unsigned int)rand() % 100) * grain;
		sum += s[i].len;
	}
	return sum;
}

static void
sgl_edges(void)
{
	static const unsigned int counts[] = {1, 2, 31, 32, 33, 255, 256};
	struct plx_seg s[258];
	unsigned int i, dword;
	size_t len;

	for (dword = 0; dword < 2; dword++) {
		map_memory(true);
		rig(true, dword);
		for (i = 0; i < RTE_DIM(counts); i++) {
			len = pieces(s, counts[i], dword ? 4 : 1);
			if (counts[i] == 1)
				s[0].addr = mem + 8;
			good(s, counts[i], len, counts[i] > 32);
			CHECK((sqe.flags & 0xc0) != 0 || counts[i] == 1);
			if (counts[i] > 1) /* a last segment */
				CHECK_EQ(sqe.dptr[1] >> 56, 0x30);
		}
		len = pieces(s, 257, 4);
		bad(s, 257, len, -EXDEV);
		CHECK_EQ(nvme_data_direct(&q.dq, s, 257, len), len - s[256].len);
		s[257] = (struct plx_seg){mem, 0};
		s[100].len = 0;
		len = 0;
		for (i = 0; i < 258; i++)
			len += s[i].len;
		good(s, 258, len, 1); /* of none-length segments it takes no notice */
		/* where it has room for fewer */
		q.max_sgls = 33;
		good(s, 33, pieces(s, 33, 4), 1);
		len = pieces(s, 34, 4);
		bad(s, 34, len, -EXDEV);
		CHECK_EQ(nvme_data_direct(&q.dq, s, 34, len), len - s[33].len);
	}
	len = pieces(s, 3, 4);
	s[1].addr = (uint8_t *)s[1].addr + 2;
	bad(s, 3, len, -EXDEV);
	CHECK_EQ(nvme_data_direct(&q.dq, s, 3, len), s[0].len);
	s[1].addr = (uint8_t *)s[1].addr - 2;
	s[1].len += 2;
	bad(s, 3, len + 2, -EXDEV);
}

/* ---- at random ---- */

static unsigned int
random_segs(struct plx_seg *s, size_t *len)
{
	unsigned int n = 1 + (unsigned int)rand() % 12, i;

	*len = 0;
	for (i = 0; i < n; i++) {
		unsigned int page = (unsigned int)rand() % (PAGES - 8),
			     how = (unsigned int)rand() % 8;

		s[i].addr = mem + page * PAGE;
		s[i].len = PAGE * (1 + (unsigned int)rand() % 5);
		if (how == 0 || (how < 4 && i == 0)) {
			s[i].addr = (uint8_t *)s[i].addr + 4 * ((unsigned int)rand() % 1024);
			s[i].len -= (uintptr_t)s[i].addr % PAGE;
		}
		if (how == 1 || (how < 5 && i == n - 1))
			s[i].len = 1 + (unsigned int)rand() % s[i].len;
		if (how == 7)
			s[i].len = 0;
		*len += s[i].len;
	}
	return n;
}

/* Either it maps and the controller sees it right, or it is refused and a part of it, as long as
 * said, maps. */
static void
at_random(void)
{
	unsigned int turn, n, i, k, mapped = 0;
	struct plx_seg s[12];
	size_t len, part, left;

	for (turn = 0; turn < 20000; turn++) {
		if (turn % 500 == 0) {
			map_memory(turn % 1000 == 0);
			rig(turn % 3 != 0, turn % 3 == 1);
		}
		n = random_segs(s, &len);
		if (len == 0)
			continue;
		part = nvme_data_direct(&q.dq, s, n, len);
		CHECK(part <= len);
		if (map(&trk[2], s, n, len) == 0) {
			mapped++;
			check_walk(s, n, len);
			nvme_data_free(&q, &trk[2]);
			continue;
		}
		CHECK(part < len);
		for (i = 0, left = part; left > s[i].len; i++)
			left -= s[i].len;
		s[i].len = left;
		for (k = i + 1; k < n; k++)
			s[k].len = 0;
		if (part != 0) {
			CHECK_EQ(map(&trk[2], s, n, part), 0);
			check_walk(s, n, part);
			nvme_data_free(&q, &trk[2]);
		}
		CHECK_EQ(q.npool, NVME_POOL_PAGES);
	}
	CHECK(mapped > 2000 && mapped < 18000, "%u", mapped);
}

int
main(void)
{
	mem = aligned_alloc(PAGE, PAGES * PAGE);
	REQUIRE(mem != NULL);
	srand(1);
	RUN(prp_edges);
	RUN(prp_segments);
	RUN(pool_empty);
	RUN(sgl_edges);
	RUN(at_random);
	free(mem);
	return TEST_RESULT();
}
