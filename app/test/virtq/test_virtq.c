/* SPDX-License-Identifier: BSD-3-Clause */
/* Virtqueues against a device of the tests: honest, out of order, hostile. */
#include <errno.h>

#include "plx_test.h"
#include "vq_device.h"

#define F(bit) (1ull << (bit))
#define SPLIT 0ull
#define PACKED F(VIRTIO_F_RING_PACKED)
#define IN_ORDER F(VIRTIO_F_IN_ORDER)
#define EVENTS F(VIRTIO_RING_F_EVENT_IDX)
#define ROUNDS 5000

struct rig {
	struct plx_virtq vq;
	struct vqd dev;
	void *mem;
};

static void
rig_open(struct rig *r, uint16_t size, uint64_t features)
{
	size_t bytes = plx_virtq_bytes(size, (features & PACKED) != 0);

	memset(r, 0, sizeof(*r));
	r->mem = aligned_alloc(4096, RTE_ALIGN_CEIL(bytes, 4096));
	REQUIRE(r->mem != NULL);
	memset(r->mem, 0xa5, bytes);
	REQUIRE(plx_virtq_init(&r->vq, size, features, r->mem) == 0);
	vqd_init(&r->dev, &r->vq);
}

static void
rig_close(struct rig *r)
{
	plx_virtq_fini(&r->vq);
	free(r->mem);
}

/* One chain of two readable and one writable piece; cookie: its number. */
static uint8_t buf[64];
static void
add(struct rig *r, uintptr_t n)
{
	const struct plx_virtq_buf b[3] = {
		{(uintptr_t)buf, 16}, {(uintptr_t)(buf + 16), 8}, {(uintptr_t)(buf + 32), 4}};

	plx_virtq_add_chain(&r->vq, b, 2, 1, (void *)n);
}
/* The same in a table of its own, whose entries are laid out as the ring's. */
static struct vring_desc table[3];
static struct vring_packed_desc packed_table[3];
static void
add_indirect(struct rig *r, uintptr_t n)
{
	for (uint16_t i = 0; i < 3; i++) {
		uint32_t len = i == 2 ? 4 : 16;
		uint16_t write = i == 2 ? VRING_DESC_F_WRITE : 0;

		table[i] = (struct vring_desc){
			(uintptr_t)buf, len, i == 2 ? write : VRING_DESC_F_NEXT, (uint16_t)(i + 1)};
		packed_table[i] = (struct vring_packed_desc){(uintptr_t)buf, len, 0, write};
	}
	plx_virtq_add_indirect(
		&r->vq, r->vq.packed ? (uintptr_t)packed_table : (uintptr_t)table, 3, 4, (void *)n);
}

static void *
pop(struct rig *r)
{
	uint16_t id = UINT16_MAX;
	void *cookie;

	if (plx_virtq_pop(&r->vq, r->vq.packed, &cookie, &id, 1) == 0)
		return NULL;
	CHECK(cookie != NULL && id < r->vq.size);
	return cookie;
}

/* Random bursts in and out; the device holds some back and shuffles, unless in order. */
static void
traffic(uint64_t features)
{
	struct vqd_chain held[16], c = {0};
	uintptr_t next = 1, expect = 1, out = 0, seen[64] = {0};
	unsigned int nheld = 0, i, n, done = 0;
	bool order = (features & IN_ORDER) != 0;
	struct rig r;

	rig_open(&r, 16, features);
	srandom(1);
	for (i = 0; i < ROUNDS; i++) {
		for (n = (unsigned int)random() % 4; n != 0; n--) {
			bool indirect = random() % 2 != 0;

			if (!plx_virtq_room(&r.vq, indirect ? 1 : 3))
				break;
			if (indirect)
				add_indirect(&r, next++);
			else
				add(&r, next++);
			out++;
		}
		plx_virtq_publish(&r.vq, r.vq.packed);
		while (nheld < 16 && vqd_pop(&r.dev, &c)) {
			CHECK(c.nout == 2 && c.nin == 1);
			CHECK(c.piece[2].len == 4);
			held[nheld++] = c;
		}
		for (n = (unsigned int)random() % 4; n != 0 && nheld != 0; n--) {
			unsigned int k = order ? 0 : (unsigned int)random() % nheld;

			vqd_push(&r.dev, &held[k], 4);
			memmove(&held[k], &held[k + 1], (nheld - k - 1) * sizeof(held[0]));
			nheld--;
		}
		for (void *p; (p = pop(&r)) != NULL; done++, out--) {
			uintptr_t v = (uintptr_t)p;

			if (order)
				CHECK_EQ(v, expect++);
			CHECK(v < next && seen[v % 64] != v, "came twice or never went");
			seen[v % 64] = v;
		}
		CHECK_EQ(plx_virtq_inflight(&r.vq), out);
	}
	CHECK_EQ(r.vq.broken, PLX_VIRTQ_SOUND);
	CHECK(done > ROUNDS, "%u", done);
	CHECK_EQ(done + out + 1, next);
	rig_close(&r);
}

static void
test_traffic_split(void)
{
	traffic(SPLIT);
	traffic(SPLIT | EVENTS);
}

static void
test_traffic_packed(void)
{
	traffic(PACKED);
	traffic(PACKED | EVENTS);
}

static void
test_traffic_in_order(void)
{
	traffic(SPLIT | IN_ORDER);
	traffic(PACKED | IN_ORDER);
}

/* A batch: one used entry for several buffers, again and again around the ring. */
static void
batches(uint64_t features)
{
	struct vqd_chain c = {0};
	uintptr_t next = 1, expect = 1;
	struct rig r;

	rig_open(&r, 16, features | IN_ORDER);
	for (int round = 0; round < 100; round++) {
		uint16_t n, ndesc = 0;

		for (n = 0; n < 3; n++)
			add(&r, next++);
		add_indirect(&r, next++);
		plx_virtq_publish(&r.vq, r.vq.packed);
		for (n = 0; vqd_pop(&r.dev, &c); n++)
			ndesc = (uint16_t)(ndesc + c.ndesc);
		CHECK_EQ(n, 4);
		vqd_push_n(&r.dev, c.id, 4, n, ndesc);
		CHECK(plx_virtq_pending(&r.vq));
		for (n = 0; n < 4; n++)
			CHECK_EQ((uintptr_t)pop(&r), expect++);
		CHECK(pop(&r) == NULL && r.vq.broken == 0);
		CHECK_EQ(plx_virtq_inflight(&r.vq), 0);
	}
	rig_close(&r);
}

static void
test_batches(void)
{
	batches(SPLIT);
	batches(PACKED);
}

/* A full ring has no room, and one entry back makes room for one. */
static void
test_full(void)
{
	const uint64_t features[] = {SPLIT, PACKED, IN_ORDER, PACKED | IN_ORDER};
	struct vqd_chain c = {0};
	struct rig r;

	for (unsigned int i = 0; i < RTE_DIM(features); i++) {
		rig_open(&r, 4, features[i]);
		for (uintptr_t n = 1; n <= 4; n++)
			add_indirect(&r, n);
		CHECK(!plx_virtq_room(&r.vq, 1));
		plx_virtq_publish(&r.vq, r.vq.packed);
		CHECK(vqd_pop(&r.dev, &c));
		vqd_push(&r.dev, &c, 0);
		CHECK_EQ((uintptr_t)pop(&r), 1);
		CHECK(plx_virtq_room(&r.vq, 1) && !plx_virtq_room(&r.vq, 2));
		plx_virtq_reset(&r.vq);
		CHECK(plx_virtq_room(&r.vq, 4) && pop(&r) == NULL);
		rig_close(&r);
	}
}

/* ---- notifications ---- */

static bool
burst(struct rig *r, unsigned int n)
{
	struct vqd_chain c = {0};
	bool kick;

	for (unsigned int i = 0; i < n; i++)
		add_indirect(r, 1);
	kick = plx_virtq_publish(&r->vq, r->vq.packed);
	while (vqd_pop(&r->dev, &c))
		vqd_push(&r->dev, &c, 0);
	while (pop(r) != NULL)
		;
	return kick;
}

static void
test_kick(void)
{
	const uint64_t features[] = {SPLIT, PACKED};
	struct rig r;

	for (unsigned int i = 0; i < 2; i++) {
		rig_open(&r, 8, features[i]);
		CHECK(burst(&r, 3));
		vqd_no_kick(&r.dev, true);
		CHECK(!burst(&r, 8));
		vqd_no_kick(&r.dev, false);
		CHECK(burst(&r, 1));
		CHECK(!plx_virtq_publish(&r.vq, r.vq.packed), "there is nothing new");
		rig_close(&r);
	}
}

/* Event indexes: with the k-th of n descriptors marked, a burst kicks when it reaches it. */
static void
test_kick_event(void)
{
	const uint64_t features[] = {SPLIT | EVENTS, PACKED | EVENTS};
	struct rig r;

	for (unsigned int i = 0; i < 2; i++) {
		rig_open(&r, 8, features[i]);
		for (unsigned int round = 0; round < 40; round++) {
			unsigned int n = 1 + round % 7;

			vqd_want_kick(&r.dev, (uint16_t)(n - 1));
			CHECK(burst(&r, n), "round %u", round);
			vqd_want_kick(&r.dev, (uint16_t)n);
			CHECK(!burst(&r, n), "round %u", round);
		}
		rig_close(&r);
	}
}

static void
test_intr(void)
{
	struct vqd_chain c = {0};
	struct rig r;

	rig_open(&r, 8, SPLIT);
	CHECK_EQ(r.vq.avail->flags, VRING_AVAIL_F_NO_INTERRUPT);
	CHECK(!plx_virtq_intr(&r.vq, true));
	CHECK_EQ(r.vq.avail->flags, 0);
	add(&r, 1);
	plx_virtq_publish(&r.vq, false);
	CHECK(vqd_pop(&r.dev, &c));
	vqd_push(&r.dev, &c, 0);
	CHECK(plx_virtq_intr(&r.vq, true), "one is waiting");
	CHECK(pop(&r) != NULL);
	rig_close(&r);

	rig_open(&r, 8, SPLIT | EVENTS);
	CHECK_EQ(*r.vq.used_event, UINT16_MAX);
	CHECK(!plx_virtq_intr(&r.vq, true));
	CHECK_EQ(*r.vq.used_event, 0);
	CHECK_EQ(r.vq.avail->flags, 0);
	plx_virtq_reset(&r.vq);
	CHECK_EQ(*r.vq.used_event, 0);
	rig_close(&r);

	rig_open(&r, 8, PACKED);
	CHECK_EQ(r.vq.driver_event->flags, VRING_PACKED_EVENT_FLAG_DISABLE);
	CHECK(!plx_virtq_intr(&r.vq, true));
	CHECK_EQ(r.vq.driver_event->flags, VRING_PACKED_EVENT_FLAG_ENABLE);
	rig_close(&r);
}

/* Where a device that knows nothing begins. */
static void
test_base(void)
{
	struct rig r;

	rig_open(&r, 8, SPLIT);
	for (int i = 0; i < 5; i++)
		burst(&r, 5);
	CHECK_EQ(plx_virtq_base(&r.vq), 25);
	CHECK_EQ(plx_virtq_notify_data(&r.vq), 25);
	rig_close(&r);
	rig_open(&r, 8, PACKED);
	CHECK_EQ(plx_virtq_base(&r.vq), 0x80008000u);
	burst(&r, 5);
	CHECK_EQ(plx_virtq_base(&r.vq), 0x80058005u);
	burst(&r, 5);
	CHECK_EQ(plx_virtq_base(&r.vq), 0x00020002);
	CHECK_EQ(plx_virtq_notify_data(&r.vq), 2);
	rig_close(&r);
}

/* ---- hostile ---- */

/* Two chains are out; the device says (id, len) n times. */
static uint8_t
fault(uint64_t features, uint32_t id, uint32_t len, int times)
{
	struct vqd_chain c = {0};
	uint8_t broken;
	int got = 0;
	struct rig r;

	rig_open(&r, 8, features);
	add(&r, 1);
	add(&r, 2);
	plx_virtq_publish(&r.vq, r.vq.packed);
	CHECK(vqd_pop(&r.dev, &c));
	CHECK_EQ(c.id, 0);
	for (; times != 0; times--)
		vqd_push_n(&r.dev, id, len, 1, 3);
	while (pop(&r) != NULL)
		got++;
	CHECK(got <= 2);
	broken = r.vq.broken;
	CHECK_EQ(r.vq.too_long, id == 0 && len > 4);
	CHECK(pop(&r) == NULL && r.vq.broken == broken);
	CHECK_EQ(plx_virtq_inflight(&r.vq), 2 - got);
	plx_virtq_reset(&r.vq);
	vqd_init(&r.dev, &r.vq);
	CHECK(burst(&r, 8));
	CHECK_EQ(r.vq.broken, PLX_VIRTQ_SOUND);
	rig_close(&r);
	return broken;
}

static void
test_hostile(void)
{
	const uint64_t features[] = {SPLIT, PACKED, IN_ORDER, PACKED | IN_ORDER};

	for (unsigned int i = 0; i < RTE_DIM(features); i++) {
		CHECK_EQ(fault(features[i], 0, 4, 1), PLX_VIRTQ_SOUND);
		CHECK_EQ(fault(features[i], 8, 4, 1), PLX_VIRTQ_BAD_ID);
		CHECK_EQ(fault(features[i], 0xffff, 4, 1), PLX_VIRTQ_BAD_ID);
		CHECK_EQ(fault(features[i], 6, 4, 1), PLX_VIRTQ_NOT_LENT);
		CHECK_EQ(fault(features[i], 0, 5, 1), PLX_VIRTQ_SOUND);
		CHECK_EQ(fault(features[i], 0, UINT32_MAX, 1), PLX_VIRTQ_SOUND);
		CHECK_EQ(fault(features[i], 0, 4, 2), PLX_VIRTQ_NOT_LENT);
	}
	CHECK_EQ(fault(SPLIT, 0x10000, 4, 1), PLX_VIRTQ_BAD_ID);
	/* inside a chain is no chain */
	CHECK_EQ(fault(SPLIT, 1, 4, 1), PLX_VIRTQ_NOT_LENT);
	CHECK_EQ(fault(SPLIT, 0, 4, 3), PLX_VIRTQ_BAD_INDEX);
	CHECK_EQ(fault(SPLIT, 0, 4, 1000), PLX_VIRTQ_BAD_INDEX);
}

/* In order, the last of a batch may not be one that the index doesn't cover. */
static void
test_hostile_batch(void)
{
	struct vqd_chain c = {0};
	struct rig r;

	rig_open(&r, 8, IN_ORDER);
	add(&r, 1);
	add(&r, 2);
	plx_virtq_publish(&r.vq, false);
	CHECK(vqd_pop(&r.dev, &c) && vqd_pop(&r.dev, &c));
	vqd_push_n(&r.dev, c.id, 4, 1, 3);
	CHECK_EQ((uintptr_t)pop(&r), 1);
	CHECK(pop(&r) == NULL);
	CHECK_EQ(r.vq.broken, PLX_VIRTQ_BAD_INDEX);
	CHECK_EQ(plx_virtq_inflight(&r.vq), 1);
	rig_close(&r);
}

/* The descriptors lie in shared memory; what the device makes of them is nothing to us. */
static void
test_hostile_descriptors(void)
{
	const uint64_t features[] = {SPLIT, PACKED};
	struct rig r;

	srandom(2);
	for (unsigned int i = 0; i < 2000; i++) {
		rig_open(&r, 8, features[i % 2]);
		for (int k = 0; k < 50; k++) {
			uint8_t *at = (uint8_t *)r.mem;

			if (plx_virtq_room(&r.vq, 3))
				add(&r, 1);
			if (plx_virtq_room(&r.vq, 1))
				add_indirect(&r, 2);
			plx_virtq_publish(&r.vq, r.vq.packed);
			at[(size_t)random() % plx_virtq_bytes(8, r.vq.packed)] ^=
				(uint8_t)(1 << random() % 8);
			for (int n = 0; pop(&r) != NULL; n++)
				CHECK(n < 8);
			if (r.vq.broken != 0)
				plx_virtq_reset(&r.vq);
		}
		rig_close(&r);
	}
}

static void
test_init(void)
{
	static uint8_t mem[64];
	struct plx_virtq vq = {0};

	CHECK_EQ(plx_virtq_init(&vq, 0, 0, mem), -EINVAL);
	CHECK_EQ(plx_virtq_init(&vq, 3, 0, mem), -EINVAL);
	CHECK_EQ(plx_virtq_init(&vq, PLX_VIRTQ_MAX + 1, 0, mem), -EINVAL);
	CHECK_EQ(plx_virtq_bytes(128, false) % 64, 0);
}

int
main(void)
{
	RUN(test_init);
	RUN(test_traffic_split);
	RUN(test_traffic_packed);
	RUN(test_traffic_in_order);
	RUN(test_batches);
	RUN(test_full);
	RUN(test_kick);
	RUN(test_kick_event);
	RUN(test_intr);
	RUN(test_base);
	RUN(test_hostile);
	RUN(test_hostile_batch);
	RUN(test_hostile_descriptors);
	return TEST_RESULT();
}
