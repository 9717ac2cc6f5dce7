/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "fake.h"

#define DB 0x1000

/* What the test can't do without. Its CHECKs count in its own file: see fake.broken. */
#define REQUIRE(cond)                                         \
	do {                                                  \
		if (!(cond)) {                                \
			fprintf(stderr, "fake: %s\n", #cond); \
			exit(1);                              \
		}                                             \
	} while (0)

void
fake_broken(struct fake *f, const char *what)
{
	if (f->broken == NULL)
		f->broken = what;
}

void *
fake_at(void *fake, uint64_t iova, uint64_t len)
{
	struct fake *f = fake;
	/* in the buffer, of 4 KiB units */
	uint64_t at = iova - (f->cmbmsc & ~4095ull), size = (f->cmbsz >> 12) * 4096ull;

	if ((f->cmbmsc & 2) != 0 && at < size && len <= size - at)
		return (uint8_t *)plx_vfu_bar_mem(f->vfu, 2) + (f->cmbloc >> 12) * 4096ull + at;
	return plx_vfu_dma_ptr(f->vfu, &f->cache, iova, len, true);
}

uint32_t
fake_page(const struct fake *f)
{
	return 4096u << ((f->cc >> 7) & 15);
}

/* ---- doorbells ---- */

static uint32_t *
doorbell(struct fake *f, unsigned int i)
{
	uint32_t *shadow, *event;

	if (f->shadow != 0 && i >= 2) {
		shadow = fake_at(f, f->shadow + 4 * i, 4);
		event = fake_at(f, f->event + 4 * i, 4);
		if (shadow == NULL || event == NULL) {
			fake_broken(f, "doorbell buffers outside of memory");
			return NULL;
		}
		f->seed = f->seed * 1103515245 + 12345;
		if (f->mad_event_index)
			__atomic_store_n(event, f->seed, __ATOMIC_RELAXED);
		return shadow;
	}
	if (f->post)
		return &f->posted[i];
	i <<= (f->cap >> 32) & 15;
	return i < 1024 ? (uint32_t *)plx_vfu_bar_mem(f->vfu, 0) + i : NULL;
}

/* The tail that is in the buffer, but only after a ring; the event index says that none is due. */
static uint32_t
sleepy_tail(struct fake *f, unsigned int qid, uint32_t tail)
{
	uint32_t *event = fake_at(f, f->event + 8 * qid, 4);
	uint32_t *reg =
		(uint32_t *)plx_vfu_bar_mem(f->vfu, 0) + ((2 * qid) << ((f->cap >> 32) & 15));

	if (event != NULL)
		__atomic_store_n(event, tail + 0x4000, __ATOMIC_RELAXED);
	if (__atomic_exchange_n(reg, UINT32_MAX, __ATOMIC_ACQUIRE) != UINT32_MAX)
		f->tails[qid] = tail;
	return f->tails[qid];
}

static uint32_t
rung(struct fake *f, unsigned int i)
{
	uint32_t *db = doorbell(f, i), v = 0;

	if (db != NULL)
		v = __atomic_load_n(db, __ATOMIC_ACQUIRE);
	if (f->sleepy && f->shadow != 0 && i >= 2 && i % 2 == 0)
		return sleepy_tail(f, i / 2, v);
	return v;
}

void
fake_zero_doorbells(struct fake *f, uint32_t qid)
{
	uint32_t *sq, *cq;

	f->tails[qid] = 0;
	if (f->shadow != 0)
		return; /* the host zeroes them */
	sq = doorbell(f, 2 * qid);
	cq = doorbell(f, 2 * qid + 1);
	if (sq == NULL || cq == NULL)
		fake_broken(f, "a queue whose doorbells aren't there");
	else
		*sq = *cq = 0;
}

/* ---- queues ---- */

static void
post(struct fake *f, unsigned int qid, uint16_t cid, uint16_t status, uint64_t result)
{
	struct fake_queue *q = &f->q[qid];
	struct nvme_cqe *c = fake_at(f, q->cq_iova + (uint64_t)q->cq_tail * 16, 16);

	if (c == NULL) {
		fake_broken(f, "a completion queue outside of memory");
		return;
	}
	if ((q->cq_tail + 1) % q->cq_size == rung(f, 2 * qid + 1)) {
		fake_broken(f, "no room for a completion");
		return;
	}
	c->result = result;
	c->sqhd = (uint16_t)q->head;
	c->sqid = (uint16_t)qid;
	__atomic_store_n(&c->cid_status, cid | (uint32_t)q->phase << 16 | (uint32_t)status << 17,
		__ATOMIC_RELEASE);
	q->cq_tail = (q->cq_tail + 1) % q->cq_size;
	q->phase ^= q->cq_tail == 0;
	if (q->ien)
		plx_vfu_irq(f->vfu, q->vector);
}

static bool
out(struct fake_queue *q, uint16_t cid, bool set)
{
	bool was = q->out[cid / 8] & 1 << cid % 8;

	if (set)
		q->out[cid / 8] |= (uint8_t)(1 << cid % 8);
	else
		q->out[cid / 8] &= (uint8_t) ~(1 << cid % 8);
	return was;
}

static void
answer(struct fake *f, unsigned int qid, uint16_t cid, uint16_t status, uint64_t result)
{
	if (!out(&f->q[qid], cid, false))
		fake_broken(f, "the test answered what was not asked");
	post(f, qid, cid, status, result);
}

bool
fake_give_back(struct fake *f, unsigned int qid, uint16_t cid)
{
	if (qid == 0 || qid >= FAKE_QUEUES || !f->q[qid].sq ||
		!(f->q[qid].out[cid / 8] & 1 << cid % 8))
		return false;
	answer(f, qid, cid, NVME_SC_ABORT_REQ, 0);
	return true;
}

bool
fake_event(struct fake *f, uint32_t dw0)
{
	if (f->nr_aer == 0 || !(f->csts & 1))
		return false;
	f->nr_aer--;
	answer(f, 0, f->aer[f->nr_aer], 0, dw0);
	return true;
}

static void
run_admin(struct fake *f, const struct nvme_sqe *s)
{
	uint64_t result = 0;
	uint16_t status;

	f->nr_admin++;
	if (s->opcode == f->silent_admin)
		return;
	if (s->flags != 0)
		fake_broken(f, "an admin command with SGLs or fused");
	status = s->opcode == f->failed_admin ? f->admin_status : fake_admin(f, s, &result);
	if (status != FAKE_NO_ANSWER)
		answer(f, 0, s->cid, status, result);
}

static void
junk(struct fake *f, unsigned int qid)
{
	unsigned int i;

	for (i = 0; i < 3; i++) {
		f->seed = f->seed * 1103515245 + 12345;
		if (!(f->q[qid].out[(f->seed >> 16) / 8] & 1 << (f->seed >> 16) % 8))
			post(f, qid, (uint16_t)(f->seed >> 16), (uint16_t)f->seed & 0x7fff,
				f->seed);
	}
}

static void
run_io(struct fake *f, unsigned int qid, const struct nvme_sqe *s)
{
	bool hit =
		f->fault_lba == UINT64_MAX || f->fault_lba == (s->cdw10 | (uint64_t)s->cdw11 << 32);
	enum fake_fault fault = f->nr_faults != 0 && hit ? f->fault : FAKE_NONE;
	uint16_t status;

	f->nr_io++;
	if (fault != FAKE_NONE)
		f->nr_faults--;
	if (fault == FAKE_SILENT)
		return;
	if (fault == FAKE_FATAL) {
		f->csts |= 2;
		return;
	}
	status = fault == FAKE_STATUS ? f->status : fake_io(f, s);
	if (fault == FAKE_BAD_ID)
		post(f, qid, s->cid ^ 0x1000, 0, 0);
	if (fault == FAKE_JUNK)
		junk(f, qid);
	answer(f, qid, s->cid, status, s->opcode == nvme_zns_cmd_append ? f->appended : 0x1234);
	if (fault == FAKE_TWICE)
		post(f, qid, s->cid, 0, 0);
}

static bool
has_room(struct fake *f, unsigned int qid)
{
	struct fake_queue *q = &f->q[qid];
	uint32_t used = (q->cq_tail + q->cq_size - rung(f, 2 * qid + 1)) % q->cq_size;

	return q->cq_size - 1 - used >= (q->cq_size > 8 ? 5u : 1u);
}

static void
run_queue(struct fake *f, unsigned int qid)
{
	struct fake_queue *q = &f->q[qid];
	uint32_t tail = rung(f, 2 * qid);
	struct nvme_sqe s, *at;

	if (tail >= q->sq_size) {
		fake_broken(f, "a doorbell's value");
		return;
	}
	while (q->sq && q->head != tail && (f->csts & 3) == 1 && has_room(f, qid)) {
		at = fake_at(f, q->sq_iova + (uint64_t)q->head * 64, 64);
		if (at == NULL) {
			fake_broken(f, "a submission queue outside of memory");
			return;
		}
		s = *at;
		q->head = (q->head + 1) % q->sq_size;
		if (out(q, s.cid, true))
			fake_broken(f, "a command id that is in use");
		if (qid == 0)
			run_admin(f, &s);
		else
			run_io(f, qid, &s);
	}
}

/* ---- registers ---- */

static void
forget(struct fake *f)
{
	memset(f->q, 0, sizeof(f->q));
	memset(f->posted, 0, sizeof(f->posted));
	if (!f->post && plx_vfu_connected(f->vfu))
		memset(plx_vfu_bar_mem(f->vfu, 0), 0, 4096);
	f->shadow = f->event = 0;
	f->nr_aer = f->nr_aborts_out = 0;
}

static void
enable(struct fake *f)
{
	struct fake_queue *q = &f->q[0];

	forget(f);
	f->nr_enabled++;
	q->sq = q->cq = true;
	q->sq_size = (f->aqa & 0xfff) + 1;
	q->cq_size = ((f->aqa >> 16) & 0xfff) + 1;
	q->sq_iova = f->asq;
	q->cq_iova = f->acq;
	q->phase = 1;
	if (((f->asq | f->acq) & 0xfff) != 0 || q->sq_size < 2 || q->cq_size < 2)
		fake_broken(f, "the admin queue's registers");
	if (!f->never_ready)
		f->csts = 1;
}

static void
write_cc(struct fake *f, uint32_t cc)
{
	uint32_t old = f->cc;

	f->cc = cc;
	if ((cc & ~old & 1) != 0)
		enable(f);
	if ((old & ~cc & 1) != 0 && !f->never_stops) {
		forget(f);
		f->csts = 0;
	}
	if ((cc & 1) != 0 && (cc >> 14 & 3) != 0 && !f->no_shutdown) {
		f->was_shut_down = true;
		f->csts |= 8;
	}
}

static int
reg_read(void *arg, unsigned int region, uint64_t off, void *buf, uint32_t len)
{
	struct fake *f = arg;
	uint32_t refuse = f->cmb_refuse;
	uint8_t regs[0x60] = {0};

	memcpy(regs, &f->cap, 8);
	memcpy(regs + 8, &f->vs, 4);
	memcpy(regs + 0x14, &f->cc, 4);
	memcpy(regs + 0x1c, &f->csts, 4);
	if ((f->cmbmsc & 1) != 0) {
		memcpy(regs + 0x38, &f->cmbloc, 4);
		memcpy(regs + 0x3c, &f->cmbsz, 4);
		memcpy(regs + 0x50, &f->cmbmsc, 8);
		memcpy(regs + 0x58, &refuse, 4);
	}
	if (f->all_ones)
		memset(regs, 0xff, sizeof(regs));
	if (off + len > sizeof(regs))
		memset(buf, 0, len);
	else
		memcpy(buf, regs + off, len);
	return 0;
}

static int
reg_write(void *arg, unsigned int region, uint64_t off, const void *buf, uint32_t len)
{
	struct fake *f = arg;
	uint64_t v = 0;

	memcpy(&v, buf, len > 8 ? 8 : len);
	if (f->all_ones)
		fake_broken(f, "a write to a controller that is gone");
	if (off == 0x14)
		write_cc(f, (uint32_t)v);
	else if (off == 0x24)
		f->aqa = (uint32_t)v;
	else if (off == 0x28)
		f->asq = v;
	else if (off == 0x30)
		f->acq = v;
	else if (off == 0x50 && (f->cap & 1ull << 57) != 0)
		f->cmbmsc = (f->cmbmsc >> 32) << 32 | (uint32_t)v;
	else if (off == 0x54 && (f->cap & 1ull << 57) != 0)
		f->cmbmsc = (uint32_t)f->cmbmsc | v << 32;
	else if (f->post && off >= DB && off < DB + sizeof(f->posted))
		f->posted[(off - DB) / 4] = (uint32_t)v;
	else
		fake_broken(f, "a write to no register");
	if (off < DB && (f->csts & 1) != 0 && off != 0x14)
		fake_broken(f, "a register written while enabled");
	return 0;
}

static int
dma_gone(void *arg, uint64_t iova, uint64_t len)
{
	struct fake *f = arg;

	f->cache = (struct plx_vfu_dma){0};
	return 0;
}

static void
dma_added(void *arg, uint64_t iova, uint64_t len)
{
}

static int
on_reset(void *arg, bool client_lost)
{
	struct fake *f = arg;

	f->cache = (struct plx_vfu_dma){0};
	f->cc = f->csts = 0;
	f->cmbmsc = 0;
	f->nr_flr++;
	if (f->cured_by_flr)
		f->never_ready = f->never_stops = false;
	forget(f);
	return 0;
}

static const struct plx_vfu_ops ops = {
	.read = reg_read,
	.write = reg_write,
	.dma_gone = dma_gone,
	.dma_added = dma_added,
	.reset = on_reset,
};

/* ---- the thread ---- */

static void
serve(struct fake *f)
{
	unsigned int i;

	plx_vfu_poll(f->vfu);
	if (!plx_vfu_connected(f->vfu) || (f->csts & 3) != 1)
		return;
	for (i = 0; i < FAKE_QUEUES; i++)
		if (f->q[i].sq)
			run_queue(f, i);
}

static void *
run(void *arg)
{
	struct fake *f = arg;
	const struct plx_vfu_conf conf = {
		.path = f->path,
		.vendor = 0x4e58,
		.device = 1,
		.class_code = 0x010802,
		.bars[0] = {.size = 0x2000, .map_off = DB, .map_size = f->post ? 0 : 0x1000},
		.bars[2] = {.size = FAKE_CMB, .map_size = FAKE_CMB},
		.msix_count = FAKE_VECTORS,
		.msix_bar = 4,
		.ops = &ops,
		.arg = f,
	};

	fake_lock(f);
	f->failed = plx_vfu_create(&conf, &f->vfu) != 0;
	f->started = true;
	while (!f->stop && !f->failed) {
		serve(f);
		fake_unlock(f);
		nanosleep(&(struct timespec){.tv_nsec = 20000}, NULL);
		fake_lock(f);
	}
	if (!f->failed)
		plx_vfu_destroy(f->vfu);
	fake_unlock(f);
	return NULL;
}

void
fake_lock(struct fake *f)
{
	pthread_mutex_lock(&f->mutex);
}

void
fake_unlock(struct fake *f)
{
	pthread_mutex_unlock(&f->mutex);
}

void
fake_start(struct fake *f)
{
	unsigned int i;

	snprintf(f->dir, sizeof(f->dir), "/tmp/plx-fake-XXXXXX");
	REQUIRE(mkdtemp(f->dir) != NULL);
	snprintf(f->path, sizeof(f->path), "%s/cntrl", f->dir);
	for (i = 0; i < FAKE_NS; i++) {
		f->disk[i] = calloc(FAKE_BLOCKS, FAKE_BLOCK);
		REQUIRE(f->disk[i] != NULL);
	}
	REQUIRE(pthread_mutex_init(&f->mutex, NULL) == 0);
	REQUIRE(pthread_create(&f->thread, NULL, run, f) == 0);
	for (;;) {
		fake_lock(f);
		if (f->started)
			break;
		fake_unlock(f);
		usleep(100);
	}
	REQUIRE(!f->failed);
	fake_unlock(f);
}

void
fake_stop(struct fake *f)
{
	unsigned int i;

	fake_lock(f);
	f->stop = true;
	fake_unlock(f);
	REQUIRE(pthread_join(f->thread, NULL) == 0);
	REQUIRE(rmdir(f->dir) == 0);
	for (i = 0; i < FAKE_NS; i++)
		free(f->disk[i]);
	pthread_mutex_destroy(&f->mutex);
}
