/* SPDX-License-Identifier: BSD-3-Clause */
/* What no back end at hand has: each operation as the device gets it, and what comes of its answer:
 * ranges, zones, lifetime, a device that can't be written. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "plx_blk.h"
#include "plx_ctrl.h"
#include "plx_eal.h"
#include "plx_mem.h"
#include "plx_probe.h"
#include "plx_test.h"

#include "fake_back.h"

#define ZONE 512 /* sectors */
#define ZONES (SECTORS / ZONE)
#define MORE_ZONES 3 /* that a report claims to have */

/* The last request; its status is given before. */
static struct {
	uint32_t type;
	uint64_t sector;
	struct vblk_range range;
	uint8_t status;
	bool lies; /* about zones */
} seen;

static struct plx_blk *blk;
static struct plx_blkq *q;
static uint8_t *buf;

static uint32_t
report(uint8_t *to, uint32_t len)
{
	uint64_t i, n = (len - 64) / 64, at = seen.sector / ZONE;

	memset(to, 0xff, len);
	n = n < ZONES - at ? n : ZONES - at;
	for (i = 0; i < n; i++) { /* capacity, start, write pointer; type, state */
		uint64_t zone[3] = {
			ZONE - 8, (at + i) * ZONE + 8 * seen.lies, (at + i) * ZONE + 8 * i};

		memcpy(to + 64 + i * 64, zone, sizeof(zone));
		memcpy(to + 64 + i * 64 + 24, (uint8_t[]){2, 4}, 2);
	}
	n += MORE_ZONES;
	memcpy(to, &n, sizeof(n));
	return len;
}

static uint8_t
execute(const struct vqd_chain *c, uint32_t *written)
{
	const struct vblk_lifetime life = {.pre_eol_info = 2, .est_typ_a = 11, .est_typ_b = 3};
	uint8_t *in = c->piece[c->nout].va;
	struct vblk_header h;
	uint64_t at;

	memcpy(&h, c->piece[0].va, sizeof(h));
	seen.type = h.type;
	seen.sector = h.sector;
	switch (h.type) {
	case VBLK_T_GET_ID:
		memcpy(in, "fake\0xxxxxxxxxxxxxxx", VBLK_ID_BYTES);
		*written = VBLK_ID_BYTES;
		break;
	case VBLK_T_GET_LIFETIME:
		memcpy(in, &life, sizeof(life));
		*written = sizeof(life);
		break;
	case VBLK_T_DISCARD:
	case VBLK_T_WRITE_ZEROES:
	case VBLK_T_SECURE_ERASE:
		memcpy(&seen.range, c->piece[1].va, sizeof(seen.range));
		break;
	case VBLK_T_ZONE_REPORT:
		*written = report(in, c->piece[c->nout].len);
		break;
	case VBLK_T_ZONE_APPEND:
		at = h.sector + (seen.lies ? ZONE : 16);
		memcpy(in, &at, sizeof(at));
		*written = sizeof(at);
		break;
	}
	return h.type == VBLK_T_GET_ID || h.type == VBLK_T_GET_LIFETIME ? 0 : seen.status;
}

static void
device(uint64_t features, bool packed, uint32_t block)
{
	struct plx_blkq_conf conf = {.depth = 4};

	fake_begin(HONEST, packed);
	back.execute = execute;
	back.features |= features | BIT(VIRTIO_BLK_F_BLK_SIZE);
	back.cfg = (struct vblk_config){
		.blk_size = block,
		.max_discard_sectors = 1024,
		.max_discard_seg = 1,
		.max_write_zeroes_sectors = 1024,
		.max_write_zeroes_seg = 1,
		.write_zeroes_may_unmap = 1,
		.max_secure_erase_sectors = 1024,
		.max_secure_erase_seg = 1,
		.zone_sectors = ZONE,
		.max_open_zones = 3,
		.max_active_zones = 4,
		.max_append_sectors = 64,
		.write_granularity = 4096,
		.zone_model = VBLK_MODEL_HOST_MANAGED,
	};
	REQUIRE(fake_attach(",reconnect=1") == 0);
	REQUIRE(plx_blk_open("v", features & BIT(VIRTIO_BLK_F_RO) ? 0 : PLX_BLK_O_WRITE, &blk) ==
		0);
	REQUIRE(plx_blk_configure(blk, 1) == 0 && plx_blkq_setup(blk, 0, &conf) == 0);
	REQUIRE(plx_blk_start(blk) == 0);
	q = plx_blk_queue_get(blk, 0);
}

static void
gone(void)
{
	CHECK_EQ(plx_blk_close(blk), 0);
	CHECK_EQ(plx_detach_all(), 0);
	fake_end();
}

/* @return its status; where an append went and how many zones were reported is in *result */
static int
one(uint8_t op, uint8_t flags, uint64_t lba, uint32_t nblk, uint8_t status, uint64_t *result)
{
	struct plx_blk_req r = {.op = op, .flags = flags, .lba = lba, .nblk = nblk, .buf = buf};
	struct plx_blk_req *p = &r;
	time_t until = time(NULL) + 10;

	seen.status = status;
	seen.type = UINT32_MAX;
	REQUIRE(plx_blkq_submit(q, &p, 1) == 1);
	while (plx_blkq_poll(q, &p, 1) == 0) {
		plx_ctrl_poll();
		REQUIRE(time(NULL) < until);
	}
	if (result != NULL)
		*result = r.result;
	return r.status;
}

/* ---- ranges ---- */

static void
range(uint8_t op, uint8_t flags, uint32_t type, uint32_t unmap)
{
	CHECK_EQ(one(op, flags, 3, 5, 0, NULL), 0);
	CHECK_EQ(seen.type, type);
	CHECK_EQ(seen.sector, 0);
	CHECK_EQ(seen.range.sector, 24);
	CHECK_EQ(seen.range.num_sectors, 40);
	CHECK_EQ(seen.range.flags, unmap);
	CHECK_EQ(one(op, flags, 3, 5, VBLK_S_UNSUPP, NULL), -EOPNOTSUPP);
	CHECK_EQ(one(op, flags, 3, 5, VBLK_S_IOERR, NULL), -EIO);
}

static void
test_ranges(void)
{
	const uint64_t features = BIT(VIRTIO_BLK_F_DISCARD) | BIT(VIRTIO_BLK_F_WRITE_ZEROES) |
				  BIT(VIRTIO_BLK_F_SECURE_ERASE);
	struct plx_blk_info info;

	for (int packed = 0; packed < 2; packed++) {
		device(features, packed, 4096);
		plx_blk_info_get(blk, &info);
		CHECK_EQ(info.block_size, 4096);
		CHECK_EQ(info.nblocks, SECTORS / 8);
		CHECK(strcmp(info.serial, "fake") == 0);
		range(PLX_OP_DISCARD, 0, VBLK_T_DISCARD, 0);
		range(PLX_OP_SECURE_ERASE, 0, VBLK_T_SECURE_ERASE, 0);
		range(PLX_OP_WRITE_ZEROES, 0, VBLK_T_WRITE_ZEROES, 0);
		range(PLX_OP_WRITE_ZEROES, PLX_IO_UNMAP, VBLK_T_WRITE_ZEROES, VBLK_RANGE_UNMAP);
		gone();
	}
}

/* ---- zones ---- */

static void
manage(uint8_t op, uint32_t type)
{
	CHECK_EQ(one(op, 0, 128, 0, 0, NULL), 0);
	CHECK_EQ(seen.type, type);
	CHECK_EQ(seen.sector, 1024);
	CHECK_EQ(one(op, 0, 128, 0, VBLK_S_ZONE_INVALID_CMD, NULL), -EBADFD);
	CHECK_EQ(one(op, 0, 128, 0, VBLK_S_ZONE_OPEN_RESOURCE, NULL), -ETOOMANYREFS);
	CHECK_EQ(one(op, 0, 128, 0, VBLK_S_ZONE_ACTIVE_RESOURCE, NULL), -EOVERFLOW);
	if (op == PLX_OP_ZONE_RESET) {
		CHECK_EQ(one(op, PLX_IO_ALL_ZONES, 0, 0, 0, NULL), 0);
		CHECK_EQ(seen.type, VBLK_T_ZONE_RESET_ALL);
		CHECK_EQ(seen.sector, 0);
	} else {
		CHECK_EQ(one(op, PLX_IO_ALL_ZONES, 0, 0, 0, NULL), -EOPNOTSUPP);
	}
}

/* As many as find room, and no more than there are, whatever the device says. */
static void
reports(void)
{
	const struct plx_zone_report *r = (void *)buf;
	uint64_t n;

	CHECK_EQ(one(PLX_OP_ZONE_REPORT, 0, 70, 1, 0, &n), 0);
	CHECK_EQ(seen.type, VBLK_T_ZONE_REPORT);
	CHECK_EQ(seen.sector, 512);
	CHECK_EQ(n, ZONES - 1);
	CHECK_EQ(r->nr_zones, ZONES - 1);
	for (uint64_t i = 0; i < n; i++) {
		CHECK_EQ(r->zones[i].lba, (i + 1) * ZONE / 8);
		CHECK_EQ(r->zones[i].capacity, (ZONE - 8) / 8);
		CHECK_EQ(r->zones[i].wp, (i + 1) * ZONE / 8 + i);
		CHECK_EQ(r->zones[i].type, 2);
		CHECK_EQ(r->zones[i].state, PLX_ZONE_CLOSED);
	}
}

static void
test_zones(void)
{
	struct plx_blk_stats st;
	struct plx_blk_info info;
	uint64_t at;

	for (int packed = 0; packed < 2; packed++) {
		device(BIT(VIRTIO_BLK_F_ZONED), packed, 4096);
		plx_blk_info_get(blk, &info);
		CHECK_EQ(info.zone_nblk, ZONE / 8);
		CHECK_EQ(info.nb_zones, ZONES);
		CHECK_EQ(info.max_open_zones, 3);
		CHECK_EQ(info.max_active_zones, 4);
		CHECK_EQ(info.max_append_nblk, 8);
		manage(PLX_OP_ZONE_OPEN, VBLK_T_ZONE_OPEN);
		manage(PLX_OP_ZONE_CLOSE, VBLK_T_ZONE_CLOSE);
		manage(PLX_OP_ZONE_FINISH, VBLK_T_ZONE_FINISH);
		manage(PLX_OP_ZONE_RESET, VBLK_T_ZONE_RESET);
		reports();
		CHECK_EQ(one(PLX_OP_ZONE_APPEND, 0, 128, 2, 0, &at), 0);
		CHECK_EQ(seen.sector, 1024);
		CHECK_EQ(at, 130);
		CHECK_EQ(one(PLX_OP_ZONE_APPEND, 0, 128, 9, 0, NULL), -EMSGSIZE);
		seen.lies = true;
		CHECK_EQ(one(PLX_OP_ZONE_APPEND, 0, 128, 2, 0, &at), -EIO);
		CHECK_EQ(one(PLX_OP_ZONE_REPORT, 0, 0, 1, 0, &at), -EIO);
		seen.lies = false;
		plx_blk_stats_get(blk, UINT16_MAX, &st);
		CHECK_EQ(st.bad_device, 2);
		CHECK_EQ(one(PLX_OP_WRITE, 0, 128, 2, VBLK_S_ZONE_UNALIGNED_WP, NULL), -ESPIPE);
		gone();
	}
}

/* ---- the rest ---- */

static void
test_lifetime(void)
{
	struct plx_blk_event ev = {0};

	device(BIT(VIRTIO_BLK_F_LIFETIME), false, 512);
	CHECK_EQ(plx_blk_event_get(blk, &ev), 1);
	CHECK_EQ(ev.type, PLX_BLK_EVENT_HEALTH);
	CHECK(ev.value == (2 | 11 << 16 | 3ull << 32));
	gone();
}

static void
test_read_only(void)
{
	struct plx_blk *again;

	device(BIT(VIRTIO_BLK_F_RO), true, 512);
	CHECK_EQ(one(PLX_OP_READ, 0, 0, 1, 0, NULL), 0);
	CHECK_EQ(one(PLX_OP_WRITE, 0, 0, 1, 0, NULL), -EROFS);
	CHECK_EQ(plx_blk_close(blk), 0);
	CHECK_EQ(plx_blk_open("v", PLX_BLK_O_WRITE, &again), -EROFS);
	CHECK_EQ(plx_detach_all(), 0);
	fake_end();
}

/* What could be written when it was opened must not come back read-only, to fail every write. */
static void
test_read_only_later(void)
{
	struct plx_blk_req r = {.op = PLX_OP_WRITE, .nblk = 1, .buf = buf}, *p = &r;
	time_t until = time(NULL) + 10;

	device(0, true, 512);
	CHECK_EQ(one(PLX_OP_WRITE, 0, 0, 1, 0, NULL), 0);
	back.features |= BIT(VIRTIO_BLK_F_RO);
	shutdown(back.fd, SHUT_RDWR);
	do {
		plx_ctrl_poll();
		plx_blkq_submit(q, &p, 1);
		while (plx_blkq_poll(q, &p, 1) == 0 && time(NULL) < until)
			plx_ctrl_poll();
	} while (r.status == 0 && time(NULL) < until);
	CHECK_EQ(r.status, -ENOTCONN);
	CHECK_EQ(plx_blk_reset(blk), -ENOTCONN); /* nobody is waited for any more */
	CHECK_EQ(plx_blk_start(blk), -ENOTCONN);
	gone();
}

int
main(int argc, char **argv)
{
	REQUIRE(plx_eal_init_app(1, argv) >= 0);
	buf = plx_mem_alloc(65536, 4096, -1);
	REQUIRE(buf != NULL);
	RUN(test_ranges);
	RUN(test_zones);
	RUN(test_lifetime);
	RUN(test_read_only);
	RUN(test_read_only_later);
	plx_mem_free(buf);
	plx_eal_cleanup();
	return TEST_RESULT();
}
