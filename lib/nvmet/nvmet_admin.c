/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Admin commands (NVMe 1.4, 5). Most end at once; those that start I/O end when that does, and
 * Async Event Requests when something happens.
 */
#include "nvmet_priv.h"

#define ADMIN_BURST 16

void
nvmet_admin_done(struct plx_nvmet *c, uint16_t cid, uint16_t status, uint32_t result)
{
	struct nvmet_sq *sq = &c->sq[0];

	if (!sq->live || (c->csts & NVMET_CSTS_CFS) != 0) /* nobody to tell, or nowhere */
		return;
	sq->inflight--;
	sq->cq->inflight--;
	if (status != 0)
		nvmet_errlog(c, 0, cid, status, 0, 0);
	nvmet_post(c, sq, cid, status, result);
}

/* Best effort: not every device gives back what it has (1.4, 5.1). */
static uint32_t
admin_abort(struct plx_nvmet *c, const struct nvmet_sqe *e, uint32_t *result)
{
	uint32_t dw10 = rte_le_to_cpu_32(e->cdw10);

	*result = nvmet_cmd_abort(c, (uint16_t)dw10, (uint16_t)(dw10 >> 16)) ? 0 : 1;
	return 0;
}

/* An event request holds no entry of the completion queue until there is an event. */
static uint32_t
admin_aer(struct plx_nvmet *c, const struct nvmet_sqe *e)
{
	if (c->naer == NVMET_AERS)
		return NVMET_ERR(CMD_SPECIFIC, ASYNC_LIMIT);
	c->aer[c->naer++] = e->cid;
	c->sq[0].inflight--;
	c->cq[0].inflight--;
	return NVMET_LATER;
}

static uint32_t
later(uint16_t status)
{
	return status != 0 ? status : NVMET_LATER;
}

/* @return the status, or NVMET_LATER */
static uint32_t
admin_run(struct plx_nvmet *c, const struct nvmet_sqe *e, uint32_t *result)
{
	uint16_t shut = nvmet_sanitize_gate(c, e->opc);

	/* no fused admin commands; SGLs are for I/O commands (1.4, 4.4) */
	if ((e->flags & (NVMET_FUSE | NVMET_PSDT)) != 0)
		return NVMET_ERR(GENERIC, INVALID_FIELD);
	if (shut != 0)
		return shut;
	switch (e->opc) {
	case nvme_admin_delete_sq:
		return later(nvmet_delete_sq(c, e));
	case nvme_admin_create_sq:
		return nvmet_create_sq(c, e);
	case nvme_admin_get_log_page:
		return nvmet_get_log(c, e);
	case nvme_admin_delete_cq:
		return nvmet_delete_cq(c, e);
	case nvme_admin_create_cq:
		return nvmet_create_cq(c, e);
	case nvme_admin_identify:
		return nvmet_identify(c, e);
	case nvme_admin_abort_cmd:
		return admin_abort(c, e, result);
	case nvme_admin_set_features:
		return nvmet_set_features(c, e, result);
	case nvme_admin_get_features:
		return nvmet_get_features(c, e, result);
	case nvme_admin_async_event:
		return admin_aer(c, e);
	case nvme_admin_dbbuf:
		return nvmet_dbbuf_config(c, e);
	case nvme_admin_format_nvm:
		return nvmet_format(c, e);
	case nvme_admin_sanitize_nvm:
		return nvmet_sanitize(c, e);
	case nvme_admin_dev_self_test:
		return nvmet_self_test(c, e);
	case nvme_admin_fw_download:
		return nvmet_fw_download(c, e);
	case nvme_admin_fw_commit:
		return nvmet_fw_commit(c, e);
	case nvme_admin_ns_mgmt:
		return nvmet_ns_manage(c, e, result);
	case nvme_admin_ns_attach:
		return nvmet_ns_attach(c, e);
	default:
		return NVMET_ERR(GENERIC, INVALID_OPCODE);
	}
}

uint32_t
nvmet_admin_poll(struct plx_nvmet *c)
{
	struct nvmet_sq *sq = &c->sq[0];
	uint32_t n;

	nvmet_sq_rang(c, sq);
	for (n = 0; n < ADMIN_BURST && c->run && sq->head != sq->tail; n++) {
		struct nvmet_sqe e;
		uint32_t what, result = 0;

		if (nvmet_cq_room(c, sq->cq) == 0)
			break;
		e = sq->mem[sq->head];
		rte_compiler_barrier();
		sq->head = sq->head + 1 == sq->size ? 0 : sq->head + 1;
		sq->inflight++;
		sq->cq->inflight++;
		what = admin_run(c, &e, &result);
		if (what != NVMET_LATER)
			nvmet_admin_done(c, e.cid, (uint16_t)what, result);
		nvmet_events_run(c);
	}
	return n;
}
