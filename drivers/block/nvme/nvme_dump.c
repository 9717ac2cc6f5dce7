/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Registers and queues as text. The owner of a queue works on meanwhile: entries are read once,
 * and only printed. Registers behind a socket are those that the driver read last.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <rte_byteorder.h>
#include <rte_io.h>

#include "nvme_priv.h"

#define AROUND 16 /* entries shown up to a tail, or from a head on */

/* ---- registers: NVMe Base 2.0, 3.1.3 ---- */

static uint64_t
reg(const struct nvme_ctrlr *c, uint32_t off, bool wide)
{
	uint64_t v = rte_read32(c->regs + off);

	return wide ? v | (uint64_t)rte_read32(c->regs + off + 4) << 32 : v;
}

static void
dump_decoded(const struct nvme_ctrlr *c, uint64_t cap, uint32_t cc, uint32_t csts, FILE *out)
{
	fprintf(out,
		"cap     mqes %" PRIu64 ", to %" PRIu64 " ms, dstrd %" PRIu64 ", css %#" PRIx64
		", mps %" PRIu64 " to %" PRIu64 " KiB\n",
		(cap & 0xffff) + 1, (cap >> 24 & 0xff) * 500, cap >> 32 & 0xf, cap >> 37 & 0xff,
		UINT64_C(4) << (cap >> 48 & 0xf), UINT64_C(4) << (cap >> 52 & 0xf));
	fprintf(out, "cc      en %u, css %u, mps %u, ams %u, shn %u, iosqes %u, iocqes %u\n",
		cc & 1, cc >> 4 & 7, cc >> 7 & 0xf, cc >> 11 & 7, cc >> 14 & 3, cc >> 16 & 0xf,
		cc >> 20 & 0xf);
	fprintf(out, "csts    rdy %u, cfs %u, shst %u, nssro %u, pp %u\n", csts & 1, csts >> 1 & 1,
		csts >> 2 & 3, csts >> 4 & 1, csts >> 5 & 1);
	fprintf(out, "queues  %u I/O queues of up to %u entries, page size %u\n", c->max_queues,
		c->max_entries, c->page_size);
}

static void
dump_regs(const struct nvme_ctrlr *c, FILE *out)
{
	static const struct {
		const char *name;
		uint32_t off;
		bool wide;
	} regs[] = {{"cap", 0x00, true}, {"vs", 0x08, false}, {"intms", 0x0c, false},
		{"cc", 0x14, false}, {"csts", 0x1c, false}, {"aqa", 0x24, false},
		{"asq", 0x28, true}, {"acq", 0x30, true}, {"cmbloc", 0x38, false},
		{"cmbsz", 0x3c, false}, {"bpinfo", 0x40, false}};
	uint32_t cc = c->cc;

	if (c->regs == NULL) {
		cc |= c->csts & 1; /* EN is added when it is written */
		fprintf(out,
			"cap     0x%016" PRIx64
			"\nvs      0x%08x\ncc      0x%08x\ncsts    0x%08x\n",
			c->cap, c->vs, cc, c->csts);
		dump_decoded(c, c->cap, cc, c->csts, out);
		return;
	}
	for (unsigned int i = 0; i < RTE_DIM(regs); i++)
		fprintf(out, regs[i].wide ? "%-7s 0x%016" PRIx64 "\n" : "%-7s 0x%08" PRIx64 "\n",
			regs[i].name, reg(c, regs[i].off, regs[i].wide));
	dump_decoded(c, reg(c, 0, true), (uint32_t)reg(c, 0x14, false),
		(uint32_t)reg(c, 0x1c, false), out);
}

/* ---- queues ---- */

static void
dump_sqe(const struct nvme_sqe *entry, unsigned int i, FILE *out)
{
	struct nvme_sqe e;

	memcpy(&e, entry, sizeof(e));
	fprintf(out,
		"%5u  opc %02x flags %02x cid %04x nsid %u cdw10-15 %08x %08x %08x %08x %08x %08x "
		"dptr %#" PRIx64 " %#" PRIx64 " mptr %#" PRIx64 "\n",
		i, e.opcode, e.flags, rte_le_to_cpu_16(e.cid), rte_le_to_cpu_32(e.nsid),
		rte_le_to_cpu_32(e.cdw10), rte_le_to_cpu_32(e.cdw11), rte_le_to_cpu_32(e.cdw12),
		rte_le_to_cpu_32(e.cdw13), rte_le_to_cpu_32(e.cdw14), rte_le_to_cpu_32(e.cdw15),
		rte_le_to_cpu_64(e.dptr[0]), rte_le_to_cpu_64(e.dptr[1]), rte_le_to_cpu_64(e.mptr));
}

static void
dump_cqe(const struct nvme_cqe *entry, unsigned int i, FILE *out)
{
	const volatile struct nvme_cqe *e = entry;
	uint32_t word = rte_le_to_cpu_32(e->cid_status);
	uint16_t sqhd = rte_le_to_cpu_16(e->sqhd), sqid = rte_le_to_cpu_16(e->sqid);
	uint64_t result = rte_le_to_cpu_64(e->result);

	fprintf(out, "%5u  phase %u cid %04x status %#x sqid %u sqhd %u result %#" PRIx64 "\n", i,
		word >> 16 & 1, word & 0xffff, word >> 17, sqid, sqhd, result);
}

/* The entries before the tail. */
static void
dump_sqes(const struct nvme_sqe *sq, unsigned int size, unsigned int tail, FILE *out)
{
	unsigned int n = RTE_MIN(size, AROUND);

	for (unsigned int k = 0; k < n; k++) {
		unsigned int i = (tail + size - n + k) % size;

		dump_sqe(&sq[i], i, out);
	}
}

/* Those before the head, which were taken, and those behind it. */
static void
dump_cqes(const struct nvme_cqe *cq, unsigned int size, unsigned int head, FILE *out)
{
	unsigned int n = RTE_MIN(size, AROUND);

	for (unsigned int k = 0; k < n; k++) {
		unsigned int i = (head + size - n / 2 + k) % size;

		if (i == head)
			fprintf(out, "head\n");
		dump_cqe(&cq[i], i, out);
	}
}

static int
dump_admin(const struct nvme_ctrlr *c, bool sq, FILE *out)
{
	const struct nvme_admin *a = &c->admin;

	fprintf(out,
		"admin queue, %u entries; tail %u, head %u, phase %u; %u event requests; %" PRIu64
		" senseless completions\n",
		NVME_ADMIN_DEPTH, a->tail, a->head, a->phase != 0, __builtin_popcount(a->aer),
		a->bad);
	if (sq)
		dump_sqes(a->sq, NVME_ADMIN_DEPTH, a->tail % NVME_ADMIN_DEPTH, out);
	else
		dump_cqes(a->cq, NVME_ADMIN_DEPTH, a->head % NVME_ADMIN_DEPTH, out);
	return 0;
}

static int
dump_sq(const struct nvme_qpair *q, FILE *out)
{
	uint16_t tail = __atomic_load_n(&q->sq_tail, __ATOMIC_RELAXED);

	fprintf(out,
		"submission queue %u at %#" PRIx64 ", %u entries%s; tail %u, rung %u; %u of %u "
		"commands free\n",
		q->qid, q->sq_iova, q->sq_size, q->in_cmb ? " in the controller's memory" : "",
		tail, q->sq_rung, q->nfree, q->depth);
	if (!q->in_cmb)
		dump_sqes(q->sq, q->sq_size, tail % q->sq_size, out);
	return 0;
}

static int
dump_cq(const struct nvme_qpair *q, FILE *out)
{
	uint16_t head = __atomic_load_n(&q->cq_head, __ATOMIC_RELAXED);

	fprintf(out,
		"completion queue %u at %#" PRIx64
		", %u entries; head %u, phase %u; %u taken since "
		"the doorbell\n",
		q->qid, q->cq_iova, q->cq_size, head, q->phase != 0, q->cq_unrung);
	dump_cqes(q->cq, q->cq_size, head % q->cq_size, out);
	return 0;
}

int
nvme_dump(struct plx_blk *blk, const char *what, uint16_t qid, FILE *out)
{
	const struct nvme_ns *ns = blk->priv;
	bool sq = strcmp(what, "sq") == 0;

	if (strcmp(what, "regs") == 0) {
		dump_regs(ns->c, out);
		return 0;
	}
	if (!sq && strcmp(what, "cq") != 0)
		return -ENOTSUP;
	if (qid == UINT16_MAX)
		return dump_admin(ns->c, sq, out);
	return sq ? dump_sq((struct nvme_qpair *)blk->queues[qid], out)
		  : dump_cq((struct nvme_qpair *)blk->queues[qid], out);
}
