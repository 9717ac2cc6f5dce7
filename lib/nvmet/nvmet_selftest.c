/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Device self-test (NVMe Base 2.0, 5.9 and 8.6): namespaces are verified, or read where a device
 * can't verify; all of them by the extended test, some places by the short one, which a reset
 * ends.
 */
#include <stddef.h>
#include <string.h>

#include <rte_cycles.h>

#include "nvmet_priv.h"

#define PLACES 32u             /* of a namespace, in a short test */
#define VERIFY_STEP (1u << 20) /* bytes verified by one request */
#define NSID_VALID 1
#define FLBA_VALID 2
#define SCT_VALID 4
#define SC_VALID 8

static void
result(struct plx_nvmet *c, uint8_t code, const struct nvme_st_result *more)
{
	struct nvmet_test *t = &c->test;
	struct nvme_st_result *r = t->log;

	memmove(r + 1, r, sizeof(t->log) - sizeof(*r));
	*r = *more;
	r->dsts = (uint8_t)(t->code << NVME_ST_CODE_SHIFT | code);
	r->poh = rte_cpu_to_le_64((rte_rdtsc() - c->born) / rte_get_tsc_hz() / 3600);
	if (t->nsid != 0) {
		r->vdi |= NSID_VALID;
		r->nsid = rte_cpu_to_le_32(t->nsid);
	}
	t->nb = (uint8_t)RTE_MIN(t->nb + 1u, (uint32_t)RTE_DIM(t->log));
	t->code = 0;
}

static uint64_t
test_next(struct plx_nvmet *c, struct nvmet_ns *ns, struct plx_blk_req *req)
{
	uint64_t left = ns->info.nblocks - req->lba, stride = ns->info.nblocks / PLACES;
	bool verify = (ns->info.caps & PLX_BLK_CAP_VERIFY) != 0;
	uint32_t most = (verify ? VERIFY_STEP : NVMET_JOB_BUF) >> ns->shift;

	if (!ns->attached || c->test.nsid == 0) /* the controller alone */
		return 0;
	req->op = verify ? PLX_OP_VERIFY : PLX_OP_READ;
	req->buf = verify ? NULL : c->job.buf;
	req->nblk = (uint32_t)RTE_MIN(left, (uint64_t)most);
	if (c->test.code != NVME_ST_CODE_SHORT || stride <= req->nblk)
		return req->nblk;
	return stride;
}

/* The request that failed is the last one. */
static void
test_end(struct plx_nvmet *c, uint16_t status)
{
	struct nvme_st_result more = {0};

	if (status == 0) {
		result(c, NVME_ST_RESULT_NO_ERR, &more);
		return;
	}
	more.seg = 1;
	more.vdi = FLBA_VALID | SCT_VALID | SC_VALID;
	more.flba = rte_cpu_to_le_64(c->job.at);
	more.sct = (uint8_t)(status >> NVME_SCT_SHIFT & NVME_SCT_MASK);
	more.sc = (uint8_t)(status & NVME_SC_MASK);
	c->test.nsid = c->job.ns + 1;
	result(c, NVME_ST_RESULT_KNOWN_SEG_FAIL, &more);
}

static const struct nvmet_job_ops test_ops = {
	.next = test_next,
	.end = test_end,
};

void
nvmet_test_abort(struct plx_nvmet *c, uint8_t why)
{
	if (c->job.ops != &test_ops)
		return;
	nvmet_job_cancel(c);
	result(c, why, &(struct nvme_st_result){0});
}

void
nvmet_test_reset(struct plx_nvmet *c)
{
	if (c->test.code == NVME_ST_CODE_SHORT)
		nvmet_test_abort(c, NVME_ST_RESULT_CLR);
}

uint16_t
nvmet_self_test(struct plx_nvmet *c, const struct nvmet_sqe *e)
{
	uint32_t nsid = rte_le_to_cpu_32(e->nsid), stc = rte_le_to_cpu_32(e->cdw10) & 0xf;
	bool all = nsid == NVME_NSID_ALL || nsid == 0;

	if (!all && nsid > c->nns)
		return NVMET_ERR(GENERIC, INVALID_NS);
	if (!all && !nvmet_ns_active(&c->ns[nsid - 1]))
		return NVMET_ERR(GENERIC, INVALID_FIELD);
	if (stc == NVME_ST_CODE_ABORT) {
		nvmet_test_abort(c, NVME_ST_RESULT_ABORTED);
		return 0;
	}
	if (stc != NVME_ST_CODE_SHORT && stc != NVME_ST_CODE_EXTENDED)
		return NVMET_ERR(GENERIC, INVALID_FIELD);
	if (nvmet_formatting(c))
		return NVMET_SC(GENERIC, FORMAT_IN_PROGRESS);
	if (c->job.ops != NULL)
		return NVMET_ERR(CMD_SPECIFIC, SELF_TEST_IN_PROGRESS);
	if (nvmet_job_buf(c) == NULL)
		return NVMET_SC(GENERIC, INTERNAL);
	c->test.code = (uint8_t)stc;
	c->test.nsid = nsid;
	nvmet_job_begin(c, &test_ops, all ? 0 : nsid - 1, all ? c->nns : nsid);
	return 0;
}

uint32_t
nvmet_log_self_test(struct plx_nvmet *c)
{
	struct nvme_self_test_log *log = (void *)c->page;
	uint32_t i;

	static_assert(RTE_DIM(c->test.log) == NVME_LOG_ST_MAX_RESULTS, "as the page has");
	static_assert(sizeof(*log) == 564, "the page");
	if (c->job.ops == &test_ops) {
		log->current_operation = c->test.code;
		log->completion = (uint8_t)RTE_MIN(
			99.0, 100.0 * (double)c->job.done / ((double)c->job.total + 1));
	}
	memcpy(log->result, c->test.log, sizeof(log->result));
	for (i = c->test.nb; i < RTE_DIM(log->result); i++)
		log->result[i].dsts = NVME_ST_RESULT_NOT_USED;
	return sizeof(*log);
}
