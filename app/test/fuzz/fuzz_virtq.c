/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A virtqueue whose device is the input: each step adds, publishes and pops, and writes input bytes
 * where a device could: anywhere in the ring's memory. The ring format is the macro FORMAT.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <linux/virtio_config.h>

#include "plx_virtq.h"

#define SIZE 16
#define F(bit) (1ull << (bit))

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void
check(bool cond)
{
	if (!cond)
		abort();
}

static void
add(struct plx_virtq *vq, uint8_t how, uint8_t *lent)
{
	struct plx_virtq_buf b[3] = {{0x1000, 16}, {0x2000, 512}, {0x3000, 1}};
	uint16_t n = 1 + how % 3, id;

	if (!plx_virtq_room(vq, n))
		return;
	id = plx_virtq_next_id(vq);
	check(id < SIZE && !lent[id]);
	lent[id] = 1;
	if (how & 4)
		plx_virtq_add_indirect(vq, 0x4000, 3, 513, &lent[id]);
	else
		plx_virtq_add_chain(vq, b, 1, (uint16_t)(n - 1), &lent[id]);
}

static void
pop(struct plx_virtq *vq, uint8_t *lent)
{
	void *cookies[8];
	uint16_t ids[8], i, n = plx_virtq_pop(vq, vq->packed, cookies, ids, 8);

	check(n <= 8);
	for (i = 0; i < n; i++) { /* each once, and the right one */
		check(ids[i] < SIZE && cookies[i] == &lent[ids[i]] && lent[ids[i]]);
		lent[ids[i]] = 0;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static uint8_t mem[4096] __attribute__((aligned(4096)));
	const size_t bytes = plx_virtq_bytes(SIZE, (FORMAT & F(VIRTIO_F_RING_PACKED)) != 0);
	struct plx_virtq vq = {0};
	uint8_t lent[SIZE] = {0};
	uint64_t more = 0;

	if (len == 0)
		return 0;
	more |= data[0] & 1 ? F(VIRTIO_RING_F_EVENT_IDX) : 0;
	more |= data[0] & 2 ? F(VIRTIO_F_IN_ORDER) : 0;
	check(plx_virtq_init(&vq, SIZE, FORMAT | more, mem) == 0);
	for (data++, len--; len >= 4; data += 4, len -= 4) {
		uint16_t at = (uint16_t)(data[1] | data[2] << 8);

		add(&vq, data[0], lent);
		plx_virtq_publish(&vq, vq.packed);
		mem[at % bytes] = data[3];
		if (data[0] & 8)
			plx_virtq_intr(&vq, data[0] & 16);
		pop(&vq, lent);
		if (vq.broken != 0 && (data[0] & 32)) {
			plx_virtq_reset(&vq);
			memset(lent, 0, sizeof(lent));
		}
	}
	plx_virtq_fini(&vq);
	return 0;
}
