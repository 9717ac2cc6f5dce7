/* SPDX-License-Identifier: BSD-3-Clause */
/* Check: queues share nothing, so each may have a thread of its own. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <rte_cycles.h>

#include "plx_ctrl.h"
#include "plx_mem.h"

#include "conf.h"

#define IN_FLIGHT 8
#define BLOCKS 4

/* One thread's part: writes and reads back blocks of its own. */
struct part {
	struct plx_blkq *q;
	struct plx_blk_req reqs[IN_FLIGHT];
	uint8_t *mem;
	uint32_t first, bytes;
	uint64_t until;
	bool nodata;
	const char *wrong;
	pthread_t thread;
};

static uint8_t
pattern(uint32_t first, uint32_t round, uint32_t i)
{
	return (uint8_t)(first * 31 + round * 7 + i * 3 + i / 512);
}

static void
pass(struct part *p, uint8_t op)
{
	struct plx_blk_req *out[IN_FLIGHT], *in;
	uint16_t sent, back = 0, n, i;

	for (sent = 0; sent < IN_FLIGHT; sent++) {
		in = &p->reqs[sent];
		*in = (struct plx_blk_req){.op = op,
			.lba = p->first + sent * BLOCKS,
			.nblk = BLOCKS,
			.buf = p->mem + sent * (size_t)p->bytes};
		while (plx_blkq_submit(p->q, &in, 1) == 0 && p->wrong == NULL) {
			n = plx_blkq_poll(p->q, out, IN_FLIGHT);
			back = (uint16_t)(back + n);
			if (rte_rdtsc() > p->until + 30 * rte_get_tsc_hz())
				p->wrong = "no room for a long time";
		}
	}
	while (back < IN_FLIGHT && p->wrong == NULL) {
		n = plx_blkq_poll(p->q, out, IN_FLIGHT);
		for (i = 0; i < n; i++)
			if (out[i] < p->reqs || out[i] >= p->reqs + IN_FLIGHT)
				p->wrong = "another thread's request came back";
		back = (uint16_t)(back + n);
		if (rte_rdtsc() > p->until + 30 * rte_get_tsc_hz())
			p->wrong = "a request did not come back";
	}
	for (i = 0; i < IN_FLIGHT && p->wrong == NULL; i++)
		if (p->reqs[i].status != 0)
			p->wrong = strerror(-p->reqs[i].status);
}

static void *
part_main(void *arg)
{
	struct part *p = arg;
	uint32_t round, i, size = p->bytes * IN_FLIGHT;

	for (round = 0; (round < 20 || rte_rdtsc() < p->until) && p->wrong == NULL; round++) {
		for (i = 0; i < size; i++)
			p->mem[i] = pattern(p->first, round, i);
		pass(p, PLX_OP_WRITE);
		memset(p->mem, 0xee, size);
		if (p->wrong == NULL)
			pass(p, PLX_OP_READ);
		for (i = 0; i < size && !p->nodata && p->wrong == NULL; i++)
			if (p->mem[i] != pattern(p->first, round, i))
				p->wrong = "wrong data";
	}
	__atomic_store_n(&p->q, NULL, __ATOMIC_RELEASE);
	return NULL;
}

static void
check_threads(struct conf *c)
{
	static struct part parts[CONF_QUEUES];
	uint16_t nq = (uint16_t)RTE_MIN(c->info.max_queues, CONF_QUEUES), i;

	if (nq < 2 || c->nblk < CONF_QUEUES * IN_FLIGHT * BLOCKS)
		return;
	memset(c->known, 0, CONF_QUEUES * IN_FLIGHT * BLOCKS);
	dev_start(c, nq, (uint16_t)RTE_MIN(16, c->info.max_depth));
	for (i = 0; i < nq; i++) {
		struct part *p = &parts[i];

		*p = (struct part){.q = c->q[i],
			.first = i * IN_FLIGHT * BLOCKS,
			.bytes = BLOCKS * c->info.block_size,
			.nodata = c->opts.nodata};
		p->until = rte_rdtsc() + (uint64_t)(c->opts.seconds / 2 * (double)rte_get_tsc_hz());
		p->mem = plx_mem_alloc(IN_FLIGHT * (size_t)p->bytes, 4096, -1);
		EXPECT(c, p->mem != NULL, "no memory");
		EXPECT(c, pthread_create(&p->thread, NULL, part_main, p) == 0, "no thread");
	}
	for (i = 0; i < nq; i++) {
		while (__atomic_load_n(&parts[i].q, __ATOMIC_ACQUIRE) != NULL)
			dev_idle(c, 1023);
		pthread_join(parts[i].thread, NULL);
	}
	for (i = 0; i < nq; i++) {
		EXPECT(c, parts[i].wrong == NULL, "the thread of queue %u: %s", i, parts[i].wrong);
		plx_mem_free(parts[i].mem);
	}
	/* the threads have counted for themselves */
	dev_stop(c);
	dev_start(c, 1, 1);
}

const struct conf_check conf_checks_threads[] = {
	{"threads", check_threads},
	{NULL, NULL},
};
