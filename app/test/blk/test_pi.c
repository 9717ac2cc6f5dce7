/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Protection information made and checked by the host, against bytes that were worked out from
 * the specification (NVM Command Set 1.0, 5.2) by bitwise division with its polynomials.
 */
#include <errno.h>

#include "plx_pi.h"
#include "plx_test.h"

static uint8_t data[2 * 4096], meta[2 * 64];

static struct plx_blk_info
format(uint32_t block, uint32_t meta_size, uint8_t type, uint8_t size, bool first)
{
	return (struct plx_blk_info){
		.block_size = block,
		.meta_size = meta_size,
		.pi_type = type,
		.pi_size = size,
		.pi_offset = first ? 0 : meta_size - size,
	};
}

static void
count_up(uint8_t *p, size_t len, uint8_t from)
{
	while (len-- != 0)
		*p++ = from++;
}

/* Two blocks at 0x1fffffffe whose bytes count up; see that the metadata is this then. */
static void
vector(const struct plx_blk_info *info, const char *want, size_t len)
{
	struct plx_blk_ext ext = {.meta = meta, .pi_ref = 0x123456789abcdef0, .pi_app = 0xbeef};
	struct plx_blk_req req = {.lba = 0x1fffffffe, .nblk = 2, .buf = data, .ext = &ext};
	size_t i;

	count_up(data, sizeof(data), 0);
	count_up(meta, sizeof(meta), 0xa0);
	CHECK_EQ(plx_pi_make(info, &req), 0);
	for (i = 0; i < len; i++)
		if (meta[i] != (uint8_t)want[i])
			break;
	CHECK(i == len, "type %u, %u of %u bytes: byte %zu is %02x", info->pi_type, info->pi_size,
		info->meta_size, i, meta[i]);
	CHECK_EQ(plx_pi_check(info, &req, PLX_PI_GUARD | PLX_PI_REF | PLX_PI_APP, NULL), 0);
}
#define VECTOR(info, bytes) vector(&(info), bytes, sizeof(bytes) - 1)

static void
test_vectors(void)
{
	struct plx_blk_info info = format(512, 8, 1, 8, false);

	VECTOR(info, "\x4f\x10\xbe\xef\xff\xff\xff\xfe"
		     "\x4f\x10\xbe\xef\xff\xff\xff\xff");
	info.pi_type = 2;
	VECTOR(info, "\x4f\x10\xbe\xef\x9a\xbc\xde\xf0"
		     "\x4f\x10\xbe\xef\x9a\xbc\xde\xf1");
	info.pi_type = 3;
	VECTOR(info, "\x4f\x10\xbe\xef\x9a\xbc\xde\xf0"
		     "\x4f\x10\xbe\xef\x9a\xbc\xde\xf0");
	info = format(4096, 8, 1, 8, false);
	VECTOR(info, "\x8f\x6d\xbe\xef\xff\xff\xff\xfe"
		     "\x8f\x6d\xbe\xef\xff\xff\xff\xff");
	/* what is in front of it is covered, what is behind is not */
	info = format(512, 16, 2, 8, false);
	VECTOR(info, "\xa0\xa1\xa2\xa3\xa4\xa5\xa6\xa7\xf9\xcd\xbe\xef\x9a\xbc\xde\xf0");
	info = format(512, 16, 2, 8, true);
	VECTOR(info, "\x4f\x10\xbe\xef\x9a\xbc\xde\xf0\xa8\xa9\xaa\xab\xac\xad\xae\xaf");
	info = format(4096, 16, 1, 16, false);
	VECTOR(info, "\x3e\x72\x9f\x5f\x67\x50\x44\x9c\xbe\xef\x00\x01\xff\xff\xff\xfe"
		     "\x3e\x72\x9f\x5f\x67\x50\x44\x9c\xbe\xef\x00\x01\xff\xff\xff\xff");
	info.pi_type = 2;
	VECTOR(info, "\x3e\x72\x9f\x5f\x67\x50\x44\x9c\xbe\xef\x56\x78\x9a\xbc\xde\xf0"
		     "\x3e\x72\x9f\x5f\x67\x50\x44\x9c\xbe\xef\x56\x78\x9a\xbc\xde\xf1");
	info = format(4096, 32, 2, 16, false);
	VECTOR(info, "\xa0\xa1\xa2\xa3\xa4\xa5\xa6\xa7\xa8\xa9\xaa\xab\xac\xad\xae\xaf"
		     "\x0b\x01\x0a\x1b\x87\xb9\x2a\x0c\xbe\xef\x56\x78\x9a\xbc\xde\xf0");
}

static uint64_t
guard_of(const struct plx_blk_info *info, const struct plx_seg *segs, uint16_t nseg)
{
	struct plx_blk_ext ext = {.meta = meta};
	struct plx_blk_req req = {.nblk = 1, .nseg = nseg, .segs = segs, .ext = &ext};
	uint64_t guard = 0;
	size_t i;

	REQUIRE(plx_pi_make(info, &req) == 0);
	for (i = 0; i < (info->pi_size == 8 ? 2 : 8); i++)
		guard = guard << 8 | meta[i];
	return guard;
}

/* The test cases of the specification (5.2.1.3.5). */
static void
test_crc64_cases(void)
{
	struct plx_blk_info info = format(4096, 16, 1, 16, false);
	struct plx_seg seg = {data, 4096};
	int i;

	memset(data, 0, 4096);
	CHECK_EQ(guard_of(&info, &seg, 1), 0x6482d367eb22b64e);
	memset(data, 0xff, 4096);
	CHECK_EQ(guard_of(&info, &seg, 1), 0xc0ddba7302eca3ac);
	count_up(data, 4096, 0);
	CHECK_EQ(guard_of(&info, &seg, 1), 0x3e729f5f6750449c);
	for (i = 0; i < 4096; i++)
		data[i] = (uint8_t)~i;
	CHECK_EQ(guard_of(&info, &seg, 1), 0x9a2df64b8e9e517e);
}

/* Whatever pieces the data comes in, it is the same. */
static void
test_segments(void)
{
	static const uint8_t sizes[] = {8, 16};
	struct plx_seg segs[64];
	uint32_t seed = 1, left;
	int i, s, k;

	count_up(data, 4096, 0);
	for (s = 0; s < 2; s++) {
		struct plx_blk_info info = format(4096, sizes[s], 1, sizes[s], false);
		uint64_t want = s == 0 ? 0x8f6d : 0x3e729f5f6750449c;

		for (k = 0; k < 100; k++) {
			for (i = 0, left = 4096; i < 63; i++) {
				seed = seed * 1103515245 + 12345;
				segs[i].addr = data + 4096 - left;
				segs[i].len = (seed >> 16) % 150 % (left + 1);
				left -= (uint32_t)segs[i].len;
			}
			segs[63] = (struct plx_seg){data + 4096 - left, left};
			CHECK_EQ(guard_of(&info, segs, 64), want);
		}
		CHECK_EQ(plx_pi_make(&info, &(struct plx_blk_req){.nblk = 2,
						    .nseg = 64,
						    .segs = segs,
						    .ext = &(struct plx_blk_ext){.meta = meta}}),
			-EINVAL);
	}
}

/* One field of the second block is wrong: said which, where, and what was there instead. */
static void
finds(const struct plx_blk_info *info, uint8_t field, size_t byte, uint64_t expected,
	uint64_t found)
{
	struct plx_blk_ext ext = {.meta = meta, .pi_ref = 0x7, .pi_app = 0x1234, .pi_mask = 0xff0f};
	struct plx_blk_req req = {.lba = 100, .nblk = 2, .buf = data, .ext = &ext};
	unsigned int all = PLX_PI_GUARD | PLX_PI_APP | PLX_PI_REF;
	struct plx_pi_error err = {0};

	count_up(data, sizeof(data), 0);
	REQUIRE(plx_pi_make(info, &req) == 0);
	meta[info->meta_size + info->pi_offset + byte] ^= 0x11;
	CHECK_EQ(plx_pi_check(info, &req, all, &err), -EBADMSG);
	CHECK_EQ(err.lba, 101);
	CHECK_EQ(err.field, field);
	CHECK_EQ(err.expected, expected);
	CHECK_EQ(err.found, found);
	CHECK_EQ(plx_pi_check(info, &req, all & ~(unsigned int)field, NULL), 0);
}

static void
test_errors(void)
{
	struct plx_blk_info info = format(512, 8, 1, 8, false);

	finds(&info, PLX_PI_GUARD, 0, 0x4f10, 0x5e10);
	finds(&info, PLX_PI_APP, 2, 0x1204, 0x0304);
	finds(&info, PLX_PI_APP, 3, 0x1204, 0x1205);
	finds(&info, PLX_PI_REF, 7, 101, 101 ^ 0x11);
	info.pi_type = 2;
	finds(&info, PLX_PI_REF, 4, 8, 0x11000008);
	info.pi_type = 3;
	finds(&info, PLX_PI_GUARD, 1, 0x4f10, 0x4f01);
	info = format(512, 64, 2, 16, true);
	finds(&info, PLX_PI_REF, 10, 8, 0x110000000008);
	finds(&info, PLX_PI_APP, 8, 0x1204, 0x0304);
}

/* Data that changed, and metadata that the guard covers. */
static void
test_guard_covers(void)
{
	struct plx_blk_info info = format(512, 16, 1, 8, false);
	struct plx_blk_ext ext = {.meta = meta};
	struct plx_blk_req req = {.nblk = 1, .buf = data, .ext = &ext};

	REQUIRE(plx_pi_make(&info, &req) == 0);
	data[511] ^= 1;
	CHECK_EQ(plx_pi_check(&info, &req, PLX_PI_GUARD, NULL), -EBADMSG);
	data[511] ^= 1;
	meta[7] ^= 1;
	CHECK_EQ(plx_pi_check(&info, &req, PLX_PI_GUARD, NULL), -EBADMSG);
	meta[7] ^= 1;
	CHECK_EQ(plx_pi_check(&info, &req, PLX_PI_GUARD, NULL), 0);
}

/* Tags that say: not protected. */
static void
test_escape(void)
{
	struct plx_blk_info info = format(512, 8, 1, 8, false);
	struct plx_blk_ext ext = {.meta = meta};
	struct plx_blk_req req = {.lba = 5, .nblk = 1, .buf = data, .ext = &ext};

	memset(meta, 0xff, 8);
	meta[7] = 0;
	CHECK_EQ(plx_pi_check(&info, &req, PLX_PI_GUARD | PLX_PI_REF, NULL), 0);
	info.pi_type = 3;
	CHECK_EQ(plx_pi_check(&info, &req, PLX_PI_GUARD, NULL), -EBADMSG);
	meta[7] = 0xff;
	CHECK_EQ(plx_pi_check(&info, &req, PLX_PI_GUARD, NULL), 0);
	meta[2] = 0;
	CHECK_EQ(plx_pi_check(&info, &req, PLX_PI_GUARD, NULL), -EBADMSG);
}

static void
test_refused(void)
{
	struct plx_blk_info info = format(512, 8, 1, 8, false);
	struct plx_blk_ext ext = {0};
	struct plx_blk_req req = {.nblk = 1, .buf = data};

	CHECK_EQ(plx_pi_make(&info, &req), -EINVAL);
	req.ext = &ext;
	CHECK_EQ(plx_pi_make(&info, &req), -EINVAL);
	ext.meta = meta;
	CHECK_EQ(plx_pi_make(&info, &req), 0);
	info.pi_type = 0;
	CHECK_EQ(plx_pi_make(&info, &req), -EINVAL);
	CHECK_EQ(plx_pi_check(&info, &req, 0, NULL), -EINVAL);
}

int
main(void)
{
	RUN(test_vectors);
	RUN(test_crc64_cases);
	RUN(test_segments);
	RUN(test_errors);
	RUN(test_guard_covers);
	RUN(test_escape);
	RUN(test_refused);
	return TEST_RESULT();
}
