/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The vhost-user front end and the virtio-blk driver on it against any back end: the tests' fake
 * one, whose answers, configuration, messages and ring are bent by the input. It writes to what it
 * was given, and no further than until it answered GET_VRING_BASE or closed the connection.
 */
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../virtio/fake_back.h"
#include "fuzz_blk.h"
#include "plx_ctrl.h"
#include "plx_virtio.h"

#define OWED 128u
#define ZONE 1024u

static struct vqd_chain owed[OWED];
static unsigned int nowed;
static bool there; /* the front end has not closed the device */
static bool hangs, wild;
static bool ordered; /* it has offered to complete in order, and that may hold */

void __wrap_plx_virtio_close(struct plx_virtio_dev *dev);
void __real_plx_virtio_close(struct plx_virtio_dev *dev);

/* From then on nothing keeps a back end from writing but that it knows better. */
void
__wrap_plx_virtio_close(struct plx_virtio_dev *dev)
{
	there = false;
	__real_plx_virtio_close(dev);
}

/* ---- answers ---- */

static void
bend(uint8_t *msg, size_t *len, int *fd)
{
	uint64_t v;
	size_t at;

	switch (take() % 32) {
	case 20 ... 23: /* the payload */
		at = sizeof(struct vhu_header) + take();
		v = take_odd();
		memcpy(msg + at, &v, sizeof(v));
		break;
	case 24: /* the header */
		at = take() % sizeof(struct vhu_header);
		msg[at] = take();
		break;
	case 25: /* of another length, and says so or not */
		at = take() * 2u;
		if (take() & 1)
			memcpy(msg + 8, &(uint32_t){(uint32_t)(at - sizeof(struct vhu_header))}, 4);
		memset(msg + *len, 0x5a, FAKE_MSG - *len);
		*len = at;
		break;
	case 26:
		*len = 0;
		break;
	case 27:
		*fd = *fd >= 0 ? -1 : back.listener;
		break;
	case 28:
		hangs = true;
		break;
	case 29:
		shutdown(back.fd, SHUT_RDWR);
		break;
	}
}

/* ---- requests ---- */

static void
zone_report(const struct vqd_chain *c, unsigned int i)
{
	uint64_t z[8] = {SECTORS / ZONE}, k;

	if (c->piece[i].len < sizeof(z) * (1 + SECTORS / ZONE))
		return;
	memcpy(c->piece[i].va, z, sizeof(z));
	for (k = 0; k < SECTORS / ZONE; k++) {
		memset(z, 0, sizeof(z));
		z[0] = ZONE;
		z[1] = z[2] = k * ZONE;
		z[3] = 2 | 1 << 8;
		memcpy(c->piece[i].va + sizeof(z) * (k + 1), z, sizeof(z));
	}
}

/* It has said that it is done: with all before, too, where these come in order. */
static void
forget(uint32_t id)
{
	unsigned int i;

	if (ordered)
		nowed = 0;
	for (i = 0; i < nowed;)
		if (owed[i].id == id)
			owed[i] = owed[--nowed];
		else
			i++;
}

static void
give(const struct vqd_chain *c, uint32_t len)
{
	vqd_push(&back.q, c, len);
	forget(c->id);
}

static void
answer(const struct vqd_chain *c, uint8_t how)
{
	unsigned int i, last = c->nout + c->nin - 1u;
	uint32_t type = UINT32_MAX, len = 0;

	if (c->nin == 0 || c->piece[last].len == 0) {
		give(c, 0);
		return;
	}
	if (c->nout != 0 && c->piece[0].len >= sizeof(type))
		memcpy(&type, c->piece[0].va, sizeof(type));
	if (type == VBLK_T_ZONE_REPORT && c->nin > 1)
		zone_report(c, c->nout);
	for (i = c->nout; i <= last; i++) {
		uint32_t at = how >= 16 ? take() : 0;

		if (how >= 16 && at < c->piece[i].len)
			c->piece[i].va[at] = take();
		len += c->piece[i].len;
	}
	if (how != 8)
		c->piece[last].va[c->piece[last].len - 1] = how == 9 ? take() : 0;
	give(c, how == 10 ? (uint32_t)take_odd() : len);
	if (how == 11)
		vqd_push(&back.q, c, len);
}

static void
serve(const struct vqd_chain *c)
{
	uint8_t how = take() % 20;
	uint16_t id;

	if (nowed == OWED)
		return;
	owed[nowed++] = *c;
	if (how == 12)
		return;
	if (how == 13) {
		id = (uint16_t)take_n(2);
		vqd_push_n(&back.q, id, take(), take(), take() & 3);
		forget(id);
	}
	answer(c, how);
}

/* A word of the ring's part that is the device's: whatever that says. */
static void
scribble(void)
{
	uint16_t *ring = back.packed ? back.q.parts.desc : back.q.parts.device;
	size_t words = back.packed ? back.q.size * 8u : back.q.size * 4u + 3u;

	if (ring != NULL && back.q.size != 0)
		ring[take_n(2) % words] = (uint16_t)take_n(2);
	nowed = 0;
}

/* ---- by itself ---- */

static void
message(int fd)
{
	struct {
		struct vhu_header h;
		uint8_t more[16];
	} m = {{VHU_BACKEND_CONFIG_CHANGE, VHU_VERSION, 0}, {0}};
	uint8_t n = take();

	if (n & 1)
		m.h.size = (uint32_t)take_odd();
	if (n & 2)
		m.h.request = take();
	if (n & 4)
		m.h.flags |= take();
	send(fd, &m, n & 8 ? take() % sizeof(m) : sizeof(m.h), MSG_NOSIGNAL | MSG_DONTWAIT);
}

void
dev_mischief(void)
{
	uint8_t what = take() % 16;
	uint64_t v;

	if (!there)
		return;
	if (what < 4 && back.running && nowed != 0) {
		struct vqd_chain c = owed[take() % nowed];

		answer(&c, take() % 20);
	} else if (what < 6 && back.running) {
		scribble();
	} else if (what == 6 && back.backend >= 0) {
		message(back.backend);
	} else if (what == 7 && back.fd >= 0) {
		message(back.fd);
	} else if (what == 8 && back.fd >= 0) {
		shutdown(back.fd, SHUT_RDWR);
	} else if (what == 9) {
		hangs = take() & 1;
	} else if (what == 10) {
		wild = take() & 1;
	} else if (what == 11) {
		back.sectors = take_odd();
	} else if (what == 12) {
		v = take_odd();
		memcpy((uint8_t *)&back.cfg + take() % (sizeof(back.cfg) - sizeof(v)), &v,
			sizeof(v));
	} else if (what == 13) {
		back.features ^= 1ull << take() % 64;
	}
}

static int
device(struct plx_ctrl_work *work)
{
	fuzz_ms++;
	if (back.listener < 0)
		return 0;
	if (!hangs)
		fake_step();
	if (!back.running)
		nowed = 0;
	ordered |= (back.features & BIT(VIRTIO_F_IN_ORDER)) != 0;
	if (wild)
		dev_mischief();
	return 0;
}

static bool
overlaps(const void *a, size_t alen, const void *b, size_t blen)
{
	return (uintptr_t)a - (uintptr_t)b < blen || (uintptr_t)b - (uintptr_t)a < alen;
}

bool
dev_may_write(const void *va, size_t len)
{
	unsigned int i, k;

	if (!there || !back.running)
		return false;
	for (i = 0; i < nowed; i++)
		for (k = owed[i].nout; k < owed[i].nout + owed[i].nin; k++)
			if (overlaps(va, len, owed[i].piece[k].va, owed[i].piece[k].len))
				return true;
	return overlaps(va, len, back.packed ? back.q.parts.desc : back.q.parts.device, 4);
}

/* ---- beginning and end ---- */

void
dev_init(void)
{
	static struct plx_ctrl_work work = {.poll = device};

	back.listener = -1;
	plx_ctrl_lock();
	plx_ctrl_add(&work);
	plx_ctrl_unlock();
}

const char *
dev_begin(void)
{
	static const char *const more[] = {"", ",packed=0", ",reconnect=1", ",inflight=1",
		",cache=writeback", ",queues=1", ",inflight=0", ",reconnect=0"};
	static char str[200];
	uint8_t how = take();

	fake_open(HONEST, how & 8);
	back.bend = bend;
	back.serve = serve;
	back.inflight = memfd_create("inflight", MFD_CLOEXEC);
	back.protocol = how & 16 ? UINT64_MAX : 0;
	if (how & 32)
		back.features |= take_n(5);
	if (how & 64)
		back.features |= BIT(VIRTIO_BLK_F_ZONED) | BIT(VIRTIO_BLK_F_DISCARD) |
				 BIT(VIRTIO_BLK_F_WRITE_ZEROES) | BIT(VIRTIO_BLK_F_FLUSH);
	back.cfg = (struct vblk_config){.max_discard_sectors = 64,
		.max_discard_seg = 1,
		.max_write_zeroes_sectors = 64,
		.max_write_zeroes_seg = 1,
		.zone_sectors = ZONE,
		.max_append_sectors = 64,
		.zone_model = VBLK_MODEL_HOST_MANAGED};
	nowed = 0;
	hangs = wild = ordered = false;
	there = true;
	snprintf(str, sizeof(str), "vhost-user:%s,name=fz,io_timeout=1000,timeout=1000%s",
		back.path, more[how & 7]);
	return str;
}

void
dev_end(void)
{
	fake_close();
	back.listener = -1;
	back.running = false;
}
