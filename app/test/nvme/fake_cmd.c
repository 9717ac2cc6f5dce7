/* SPDX-License-Identifier: BSD-3-Clause */
/* The fake controller: what it is, and its commands. */
#include <string.h>

#include "fake.h"
#include "walk.h"

#define DNR 0x4000

void
fake_init(struct fake *f)
{
	unsigned int i;

	memset(f, 0, sizeof(*f));
	/* 256 entries, contiguous queues, 1 s, NVM command set */
	f->cap = 255 | 1ull << 16 | 2ull << 24 | 1ull << 37;
	f->vs = 0x10400;
	f->nr_queues = (FAKE_QUEUES - 2) * 0x10001u;
	f->silent_admin = f->failed_admin = -1;
	f->seed = 1;
	f->fault_lba = UINT64_MAX;
	f->zns.mar = f->zns.mor = UINT32_MAX;
	f->zns.lbafe[0].zsze = FAKE_ZONE;
	memcpy(f->id.sn, "FAKE0001            ", 20);
	memcpy(f->id.mn, "Fake controller                         ", 40);
	memcpy(f->id.fr, "1.0     ", 8);
	f->id.mdts = 5;
	f->id.aerl = 3;
	f->id.oaes = 0x100;
	f->id.sqes = 0x66;
	f->id.cqes = 0x44;
	f->id.nn = FAKE_NS;
	f->id.oncs = 0xd;
	f->id.vwc = 1;
	for (i = 0; i < FAKE_NS; i++) {
		f->ns[i].nsze = f->ns[i].ncap = FAKE_BLOCKS;
		f->ns[i].lbaf[0].ds = 9;
		f->ns[i].nguid[0] = (uint8_t)(i + 1);
	}
	f->ns_there[0] = true;
}

/* Move len bytes between buf and the data of a command. */
static uint16_t
move(struct fake *f, const struct nvme_sqe *s, void *buf, uint64_t len, bool to_host)
{
	static struct iovec v[WALK_MAX];
	const char *why;
	uint8_t *p = buf;
	int n = walk(s, len, fake_page(f), fake_at, f, v, &why), i;

	if (n < 0) {
		fake_broken(f, why);
		return NVME_SC_DATA_XFER_ERROR | DNR;
	}
	for (i = 0; i < n; p += v[i].iov_len, i++) {
		if (to_host)
			memcpy(v[i].iov_base, p, v[i].iov_len);
		else
			memcpy(p, v[i].iov_base, v[i].iov_len);
	}
	return 0;
}

/* ---- admin ---- */

static uint16_t
identify(struct fake *f, const struct nvme_sqe *s)
{
	uint32_t list[1024] = {0}, i, n = 0;

	switch (s->cdw10 & 0xff) {
	case NVME_IDENTIFY_CNS_CTRL:
		return move(f, s, &f->id, 4096, true);
	case NVME_IDENTIFY_CNS_NS:
		if (s->nsid == 0 || s->nsid > FAKE_NS)
			return NVME_SC_INVALID_NS | DNR;
		if (!f->ns_there[s->nsid - 1])
			return move(f, s, list, 4096, true);
		return move(f, s, &f->ns[s->nsid - 1], 4096, true);
	case NVME_IDENTIFY_CNS_NS_ACTIVE_LIST:
		f->nr_lists++;
		for (i = 0; i < FAKE_NS; i++)
			if (f->ns_there[i] && i + 1 > s->nsid)
				list[n++] = i + 1;
		return move(f, s, list, 4096, true);
	case NVME_IDENTIFY_CNS_NS_DESC_LIST:
		((uint8_t *)list)[0] = NVME_NIDT_CSI;
		((uint8_t *)list)[1] = 1;
		((uint8_t *)list)[4] = f->zoned && s->nsid == 1 ? NVME_CSI_ZNS : NVME_CSI_NVM;
		return move(f, s, list, 4096, true);
	case NVME_IDENTIFY_CNS_CSI_NS:
		if (!f->zoned || s->cdw11 >> 24 != NVME_CSI_ZNS)
			return NVME_SC_INVALID_FIELD | DNR;
		return move(f, s, &f->zns, 4096, true);
	case NVME_IDENTIFY_CNS_CSI_CTRL:
		return move(f, s, list, 4096, true);
	default:
		return NVME_SC_INVALID_FIELD | DNR;
	}
}

static uint16_t
create(struct fake *f, const struct nvme_sqe *s, bool sq)
{
	uint32_t qid = s->cdw10 & 0xffff, size = (s->cdw10 >> 16) + 1;
	struct fake_queue *q = &f->q[qid];

	if (qid == 0 || qid >= FAKE_QUEUES || (sq ? q->sq : q->cq))
		return NVME_SCT_CMD_SPECIFIC << 8 | NVME_SC_QID_INVALID | DNR;
	if (size < 2 || size > (f->cap & 0xffff) + 1 || (s->dptr[0] & 0xfff) != 0 ||
		!(s->cdw11 & 1) || (sq && (!q->cq || s->cdw11 >> 16 != qid))) {
		fake_broken(f, "a queue to be created");
		return NVME_SC_INVALID_FIELD | DNR;
	}
	if (!sq) {
		*q = (struct fake_queue){
			.cq = true, .cq_size = size, .cq_iova = s->dptr[0], .phase = 1};
		q->ien = (s->cdw11 & 2) != 0;
		q->vector = (uint16_t)(s->cdw11 >> 16);
		if (q->ien && (q->vector == 0 || q->vector >= FAKE_VECTORS))
			fake_broken(f, "an interrupt vector");
		return 0;
	}
	fake_zero_doorbells(f, qid);
	q->sq = true;
	q->sq_size = size;
	q->sq_iova = s->dptr[0];
	f->nr_cmb += (f->cmbmsc & 2) != 0 && q->sq_iova - (f->cmbmsc & ~4095ull) < FAKE_CMB;
	f->prio = s->cdw11 >> 1 & 3;
	if (f->fails_again)
		f->csts |= 2;
	return 0;
}

static uint16_t delete (struct fake *f, const struct nvme_sqe *s, bool sq)
{
	uint32_t qid = s->cdw10 & 0xffff;

	if (qid == 0 || qid >= FAKE_QUEUES || !(sq ? f->q[qid].sq : f->q[qid].cq)) {
		fake_broken(f, "a queue to be deleted that is not there");
		return NVME_SCT_CMD_SPECIFIC << 8 | NVME_SC_QID_INVALID | DNR;
	}
	if (sq)
		f->q[qid].sq = false;
	else if (f->q[qid].sq)
		fake_broken(f, "a completion queue deleted before its submission queue");
	else
		f->q[qid].cq = false;
	return 0;
}

static uint16_t
event_request(struct fake *f, const struct nvme_sqe *s)
{
	if (f->nr_aer > f->id.aerl || f->nr_aer == 16) {
		fake_broken(f, "more event requests than AERL says");
		return NVME_SCT_CMD_SPECIFIC << 8 | NVME_SC_ASYNC_LIMIT | DNR;
	}
	f->aer[f->nr_aer++] = s->cid;
	return FAKE_NO_ANSWER;
}

static uint16_t
abort_cmd(struct fake *f, const struct nvme_sqe *s, uint64_t *result)
{
	f->nr_aborts++;
	if (f->abort == FAKE_IGNORES) {
		if (f->nr_aborts_out++ > f->id.acl)
			fake_broken(f, "more Aborts than ACL says");
		return FAKE_NO_ANSWER;
	}
	*result = f->abort == FAKE_REFUSES ||
		  !fake_give_back(f, s->cdw10 & 0xffff, (uint16_t)(s->cdw10 >> 16));
	return 0;
}

static uint16_t
get_log(struct fake *f, const struct nvme_sqe *s)
{
	uint8_t log[512];

	if (s->cdw10 >> 16 != 127)
		return NVME_SC_INVALID_FIELD | DNR;
	memset(log, (int)(s->cdw10 & 0xff), sizeof(log));
	f->nr_events_read++;
	return move(f, s, log, sizeof(log), true);
}

uint16_t
fake_admin(struct fake *f, const struct nvme_sqe *s, uint64_t *result)
{
	switch (s->opcode) {
	case nvme_admin_identify:
		return identify(f, s);
	case nvme_admin_set_features:
		if ((s->cdw10 & 0xff) == NVME_FEAT_FID_NUM_QUEUES)
			*result = f->nr_queues;
		return 0;
	case nvme_admin_create_cq:
		return create(f, s, false);
	case nvme_admin_create_sq:
		return create(f, s, true);
	case nvme_admin_delete_sq:
		return delete (f, s, true);
	case nvme_admin_delete_cq:
		return delete (f, s, false);
	case nvme_admin_abort_cmd:
		return abort_cmd(f, s, result);
	case nvme_admin_async_event:
		return event_request(f, s);
	case nvme_admin_get_log_page:
		return get_log(f, s);
	case nvme_admin_dbbuf:
		if (((s->dptr[0] | s->dptr[1]) & 0xfff) != 0)
			fake_broken(f, "doorbell buffers not page aligned");
		f->shadow = s->dptr[0];
		f->event = s->dptr[1];
		return 0;
	default:
		return NVME_SC_INVALID_OPCODE | DNR;
	}
}

/* ---- I/O ---- */

uint16_t
fake_io(struct fake *f, const struct nvme_sqe *s)
{
	uint64_t lba = s->cdw10 | (uint64_t)s->cdw11 << 32, n = (s->cdw12 & 0xffff) + 1ull;
	uint8_t *at;

	if (s->nsid == 0 || s->nsid > FAKE_NS || !f->ns_there[s->nsid - 1])
		return NVME_SC_INVALID_NS | DNR;
	if (s->opcode == nvme_cmd_flush)
		return 0;
	if (f->zoned && s->opcode == nvme_zns_cmd_mgmt_recv) {
		uint8_t report[4096];
		uint64_t len = (s->cdw12 + 1ull) * 4;

		memcpy(report, f->report, sizeof(report));
		return move(f, s, report, len < sizeof(report) ? len : sizeof(report), true);
	}
	if (s->opcode != nvme_cmd_read && s->opcode != nvme_cmd_write &&
		!(f->zoned && s->opcode == nvme_zns_cmd_append))
		return NVME_SC_INVALID_OPCODE | DNR;
	if (lba >= f->ns[s->nsid - 1].nsze || n > f->ns[s->nsid - 1].nsze - lba)
		return NVME_SC_LBA_RANGE | DNR;
	if (f->id.mdts != 0 && f->id.mdts < 32 && n * FAKE_BLOCK > 4096ull << f->id.mdts)
		fake_broken(f, "a transfer beyond MDTS");
	if ((s->flags & 0xc0) != 0) {
		f->nr_sgl++;
		if ((f->id.sgls & 3) == 0)
			fake_broken(f, "an SGL");
	}
	at = f->disk[s->nsid - 1] + (lba % FAKE_BLOCKS) * FAKE_BLOCK;
	if (lba + n > FAKE_BLOCKS)
		return NVME_SC_INTERNAL | DNR;
	return move(f, s, at, n * FAKE_BLOCK, s->opcode == nvme_cmd_read);
}
