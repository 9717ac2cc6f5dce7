/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sanitize (NVMe Base 2.0, 5.24 and 8.21): block erase and overwrite of all namespaces, in the
 * background. It goes on over resets. There is nothing encrypted, so no crypto erase.
 */
#include <string.h>

#include "nvmet_priv.h"

#define SANACT 0x7u
#define AUSE (1u << 3)
#define OIPBP (1u << 8)
#define NDAS (1u << 9)

static void
open_all(struct plx_nvmet *c, bool shut)
{
	uint32_t i;

	for (i = 0; i < c->nns; i++) {
		c->ns[i].shut = shut;
		nvmet_ns_open(&c->ns[i]);
	}
}

/* What would make the medium hold user data again. */
static uint64_t
writes(const struct plx_nvmet *c)
{
	uint64_t n = 0;
	uint32_t i;

	for (i = 0; i < c->nns; i++)
		n += c->ns[i].ops[PLX_OP_WRITE] + c->ns[i].ops[PLX_OP_ZONE_APPEND] +
		     c->ns[i].ops[PLX_OP_COPY];
	return n;
}

static bool
overwrites(const struct nvmet_sanitize *s)
{
	return (s->dw10 & SANACT) == NVME_SANITIZE_SANACT_START_OVERWRITE;
}

static void
fill(struct plx_nvmet *c)
{
	const struct nvmet_sanitize *s = &c->san;
	uint32_t v = (s->dw10 & OIPBP) != 0 && s->pass % 2 != 0 ? ~s->pattern : s->pattern, i;
	uint32_t *p = c->job.buf;

	for (i = 0; i < NVMET_JOB_BUF / sizeof(*p); i++)
		p[i] = rte_cpu_to_le_32(v);
}

static uint64_t
san_next(struct plx_nvmet *c, struct nvmet_ns *ns, struct plx_blk_req *req)
{
	const struct nvmet_sanitize *s = &c->san;

	if (s->pass == s->passes) /* all of them done, if any: deallocate */
		return nvmet_erase(ns, req, (s->dw10 & NDAS) != 0 ? 0 : PLX_IO_UNMAP);
	if (req->lba == 0) /* not before: a request of a self-test may have had the buffer */
		fill(c);
	req->op = PLX_OP_WRITE;
	req->buf = c->job.buf;
	req->nblk = (uint32_t)RTE_MIN(
		ns->info.nblocks - req->lba, (uint64_t)(NVMET_JOB_BUF >> ns->shift));
	return req->nblk;
}

static bool
san_again(struct plx_nvmet *c)
{
	struct nvmet_sanitize *s = &c->san;

	if (s->pass == s->passes)
		return false;
	s->pass++;
	return s->pass < s->passes || (s->dw10 & NDAS) == 0;
}

static void
san_end(struct plx_nvmet *c, uint16_t status)
{
	struct nvmet_sanitize *s = &c->san;

	s->state = status == 0 ? NVME_SANITIZE_SSTAT_STATUS_COMPLETE_SUCCESS
			       : NVME_SANITIZE_SSTAT_STATUS_COMPLETED_FAILED;
	s->failure_mode = status != 0;
	s->writes = writes(c);
	open_all(c, s->failure_mode);
	nvmet_event(c, NVME_AER_CSS, NVME_AER_CSS_NVM_SANITIZE_COMPLETED, NVME_LOG_LID_SANITIZE);
}

static const struct nvmet_job_ops san_ops = {
	.alone = true,
	.next = san_next,
	.again = san_again,
	.end = san_end,
};

static bool
sanitizing(const struct plx_nvmet *c)
{
	return c->job.ops == &san_ops;
}

uint16_t
nvmet_sanitize_status(const struct plx_nvmet *c)
{
	if (sanitizing(c))
		return NVMET_SC(GENERIC, SANITIZE_IN_PROGRESS);
	return c->san.failure_mode ? NVMET_ERR(GENERIC, SANITIZE_FAILED) : 0;
}

/* What the host may ask for meanwhile (8.21.1), and what it takes to get there again after it
 * reset the controller. */
uint16_t
nvmet_sanitize_gate(const struct plx_nvmet *c, uint8_t opc)
{
	switch (opc) {
	case nvme_admin_delete_sq:
	case nvme_admin_create_sq:
	case nvme_admin_get_log_page:
	case nvme_admin_delete_cq:
	case nvme_admin_create_cq:
	case nvme_admin_identify:
	case nvme_admin_abort_cmd:
	case nvme_admin_set_features:
	case nvme_admin_get_features:
	case nvme_admin_async_event:
	case nvme_admin_dbbuf:
		return 0;
	case nvme_admin_sanitize_nvm: /* may lead out of a failure */
		return sanitizing(c) ? nvmet_sanitize_status(c) : 0;
	default:
		return nvmet_sanitize_status(c);
	}
}

uint32_t
nvmet_sanitize_cap(const struct plx_nvmet *c)
{
	uint32_t i, cap = NVME_CTRL_SANICAP_BES | NVME_CTRL_SANICAP_OWS;

	if ((c->oacs & NVME_CTRL_OACS_FORMAT) == 0)
		return 0;
	/* any pattern at all places: not in zones, nor in protected metadata */
	for (i = 0; i < c->nns; i++)
		if (c->ns[i].info.zone_nblk != 0 || c->ns[i].info.meta_size != 0)
			cap &= ~(uint32_t)NVME_CTRL_SANICAP_OWS;
	return cap | 1u << 30; /* NODMMAS: nothing more is modified afterwards */
}

/* @return why it can't begin */
static uint16_t
check(const struct plx_nvmet *c, uint32_t dw10)
{
	const struct nvmet_sanitize *s = &c->san;
	uint32_t cap = nvmet_sanitize_cap(c), act = dw10 & SANACT;

	if (cap == 0)
		return NVMET_ERR(GENERIC, INVALID_OPCODE);
	/* a failure in restricted mode is left by a success in restricted mode only */
	if (s->failure_mode && (s->dw10 & AUSE) == 0 &&
		(act == NVME_SANITIZE_SANACT_EXIT_FAILURE || (dw10 & AUSE) != 0))
		return NVMET_ERR(GENERIC, SANITIZE_FAILED);
	if (act == NVME_SANITIZE_SANACT_EXIT_FAILURE)
		return 0;
	if (act != NVME_SANITIZE_SANACT_START_BLOCK_ERASE &&
		(act != NVME_SANITIZE_SANACT_START_OVERWRITE || (cap & NVME_CTRL_SANICAP_OWS) == 0))
		return NVMET_ERR(GENERIC, INVALID_FIELD);
	if (nvmet_formatting(c))
		return NVMET_SC(GENERIC, FORMAT_IN_PROGRESS);
	if (c->fw.next != 0) /* an activation waits for a reset */
		return NVMET_ERR(CMD_SPECIFIC, FW_NEEDS_RESET);
	return nvmet_may_erase(c, NVME_NSID_ALL) ? 0 : NVMET_ERR(GENERIC, RESERVATION_CONFLICT);
}

uint16_t
nvmet_sanitize(struct plx_nvmet *c, const struct nvmet_sqe *e)
{
	uint32_t dw10 = rte_le_to_cpu_32(e->cdw10), pattern = rte_le_to_cpu_32(e->cdw11);
	struct nvmet_sanitize *s = &c->san;
	uint32_t passes = dw10 >> 4 & 0xf;
	uint16_t rc = check(c, dw10);

	if (rc != 0)
		return rc;
	if ((dw10 & SANACT) == NVME_SANITIZE_SANACT_EXIT_FAILURE) {
		s->failure_mode = false;
		open_all(c, false);
		return 0;
	}
	if ((dw10 & SANACT) == NVME_SANITIZE_SANACT_START_OVERWRITE && nvmet_job_buf(c) == NULL)
		return NVMET_SC(GENERIC, INTERNAL);
	nvmet_test_abort(c, NVME_ST_RESULT_ABORTED_SANITIZE);
	*s = (struct nvmet_sanitize){
		.state = NVME_SANITIZE_SSTAT_STATUS_IN_PROGESS, .dw10 = dw10, .pattern = pattern};
	if (overwrites(s))
		s->passes = (uint8_t)(passes != 0 ? passes : 16);
	open_all(c, true);
	nvmet_job_begin(c, &san_ops, 0, c->nns);
	return 0;
}

/* Of 65536, as the log has it. */
static uint16_t
progress(const struct plx_nvmet *c)
{
	const struct nvmet_sanitize *s = &c->san;
	uint64_t rounds = s->passes + (!overwrites(s) || (s->dw10 & NDAS) == 0 ? 1u : 0u);
	double part = (double)c->job.done / ((double)c->job.total * (double)rounds + 1);

	return (uint16_t)RTE_MIN(part * 65536, 65534.0);
}

uint32_t
nvmet_log_sanitize(struct plx_nvmet *c)
{
	struct nvme_sanitize_log_page *log = (void *)c->page;
	const struct nvmet_sanitize *s = &c->san;
	uint32_t stat = s->state;

	if (overwrites(s))
		stat |= (uint32_t)s->pass << NVME_SANITIZE_SSTAT_COMPLETED_PASSES_SHIFT;
	if (s->state == NVME_SANITIZE_SSTAT_STATUS_COMPLETE_SUCCESS && s->writes == writes(c))
		stat |= NVME_SANITIZE_SSTAT_GLOBAL_DATA_ERASED;
	log->sprog = rte_cpu_to_le_16(sanitizing(c) ? progress(c) : UINT16_MAX);
	log->sstat = rte_cpu_to_le_16((uint16_t)stat);
	log->scdw10 = rte_cpu_to_le_32(s->dw10);
	/* no times are promised */
	memset(&log->eto, 0xff,
		offsetof(struct nvme_sanitize_log_page, rsvd32) -
			offsetof(struct nvme_sanitize_log_page, eto));
	return sizeof(*log);
}
