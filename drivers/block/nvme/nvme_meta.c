/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Namespaces whose blocks have metadata (NVM Command Set 1.0, 2.1.6 and 5.2). On the medium it is
 * separate (moved by MPTR) or behind each block's data (moved with it, "extended"); requests have
 * it apart from data either way.
 *
 * - Protection information alone, made by the controller: no metadata moves (PRACT).
 * - Separate: MPTR is the request's memory, zeroes to write, or a place that nobody reads. What the
 *   device can't reach is copied.
 * - Extended: data and metadata are copied together.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <rte_byteorder.h>

#include "plx_log.h"

#include "nvme_priv.h"

PLX_LOG_USE(nvme);

#define NB_BUFS 8
#define BUF_BYTES (128u << 10) /* of an extended format's command at most */
#define AREA_BYTES (64u << 10) /* metadata of a separate format's command at most */
#define ZEROES NB_BUFS         /* what is written where nothing is given */
#define JUNK (NB_BUFS + 1u)    /* where nobody reads */
#define CDW12_PRINFO(flags) ((uint32_t)(flags) << 26) /* REF, APP, GUARD, ACT: bits 26 to 29 */
#define CDW12_PRACT CDW12_PRINFO(PLX_PI_ACT)

/* A queue's memory for it: buffers, and in a separate format the two areas, one behind another. */
struct nvme_meta {
	uint8_t *mem;
	uint64_t iova[NB_BUFS + 2];
	uint32_t unit; /* bytes of each */
	uint8_t nfree, free[NB_BUFS];
	uint8_t of[]; /* by tracker */
};

/* ---- formats ---- */

static int
left_out(struct nvme_ctrlr *c, uint32_t nsid, const char *why)
{
	NVME_TELL(c, WARNING, "nvme: %s: namespace %u is left out: %s", c->name, nsid, why);
	return -ENOTSUP;
}

/* Guards of 16 bits, or what the extended format says: 64 bits. */
static int
pi_format(struct nvme_ctrlr *c, uint32_t nsid, const struct nvme_id_ns *id, struct nvme_format *f)
{
	uint32_t pif = (c->elbaf & NVME_NVM_ELBAF_PIF_MASK) >> 7;

	f->pi_type = id->dps & NVME_NS_DPS_PI_MASK;
	if (f->pi_type == 0)
		return 0;
	f->pi_size = pif == 0 ? 8 : 16;
	if (f->pi_type > 3 || f->ms < f->pi_size)
		return left_out(c, nsid, "its protection information makes no sense");
	if (pif != 0 && pif != 2)
		return left_out(c, nsid, "its guards are neither of 16 nor of 64 bits");
	if (c->elbaf & NVME_NVM_ELBAF_STS_MASK)
		return left_out(c, nsid, "its protection information has storage tags");
	f->pi_offset = id->dps & NVME_NS_DPS_PI_FIRST ? 0 : (uint16_t)(f->ms - f->pi_size);
	return 0;
}

/* Blocks a command: MDTS counts metadata that is mixed with data (NVMe Base 2.0, 5.17.2.1). */
uint32_t
nvme_meta_max_nblk(const struct nvme_ctrlr *c, const struct nvme_format *f)
{
	uint32_t most = c->max_xfer >> f->shift;

	if (f->extended)
		most = RTE_MIN(c->max_xfer, BUF_BYTES) / ((1u << f->shift) + f->ms);
	else if (f->ms != 0)
		most = RTE_MIN(most, AREA_BYTES / f->ms);
	if (f->ms % 512 != 0 && f->pi_type == 0 && nvme_quirk(c, NVME_QUIRK_META_512))
		most = RTE_MIN(most, 512u / f->ms);
	return most;
}

int
nvme_meta_format(struct nvme_ctrlr *c, uint32_t nsid, const struct nvme_id_ns *id,
	const struct nvme_lbaf *lbaf, struct nvme_format *f)
{
	int rc;

	f->ms = rte_le_to_cpu_16(lbaf->ms);
	if (f->ms == 0)
		return 0;
	f->extended = (id->flbas & NVME_NS_FLBAS_META_EXT) != 0;
	rc = pi_format(c, nsid, id, f);
	if (rc == 0 && (f->ms > AREA_BYTES / 2 || nvme_meta_max_nblk(c, f) == 0))
		return left_out(c, nsid, "its metadata is too large");
	return rc;
}

/* Bytes of the class's bounce buffers: of any command that is copied anyway. */
size_t
nvme_meta_bounce(const struct nvme_format *f)
{
	return f->extended ? BUF_BYTES : NVME_BOUNCE;
}

/* Does it take another command to know the format? */
bool
nvme_meta_elbaf_wanted(const struct nvme_ctrlr *c, const struct nvme_id_ns *id)
{
	return (rte_le_to_cpu_32(c->id.ctratt) & NVME_CTRL_CTRATT_ELBAS) != 0 &&
	       (id->dps & NVME_NS_DPS_PI_MASK) != 0;
}

/* Namespaces of extended formats take I/O from hosts that know them only (5.27.1.18). */
int
nvme_meta_enable(struct nvme_ctrlr *c)
{
	if ((rte_le_to_cpu_32(c->id.ctratt) & NVME_CTRL_CTRATT_ELBAS) == 0)
		return 0;
	memset(c->buf, 0, sizeof(struct nvme_feat_host_behavior));
	c->buf[2] = 1; /* LBAFEE */
	c->admin.cmd.sqe = (struct nvme_sqe){
		.opcode = nvme_admin_set_features,
		.dptr[0] = rte_cpu_to_le_64(c->buf_iova),
		.cdw10 = rte_cpu_to_le_32(NVME_FEAT_FID_HOST_BEHAVIOR),
	};
	return nvme_admin_start(c, c->admin_ms);
}

/* ---- memory ---- */

int
nvme_meta_alloc(struct nvme_qpair *q, int socket)
{
	const struct nvme_format *f = &q->ns->fmt;
	struct nvme_meta *m;
	uint8_t i;

	if (f->ms == 0)
		return 0;
	m = calloc(1, sizeof(*m) + q->depth * sizeof(m->of[0]));
	if (m == NULL)
		return -ENOMEM;
	q->meta = m;
	m->unit = BUF_BYTES;
	if (!f->extended)
		m->unit = RTE_ALIGN_CEIL(q->ns->blk.info.max_nblk * f->ms, 64u);
	for (i = 0; i < NB_BUFS; i++)
		m->free[i] = i;
	m->nfree = NB_BUFS;
	m->mem = plx_mem_alloc((size_t)m->unit * (NB_BUFS + 2),
		RTE_MAX(rte_align32pow2(m->unit), q->page_size), socket);
	if (m->mem == NULL)
		return -ENOMEM;
	memset(m->mem + (size_t)ZEROES * m->unit, 0, m->unit);
	return 0;
}

int
nvme_meta_map(struct nvme_qpair *q)
{
	struct nvme_meta *m = q->meta;
	uint32_t i;

	for (i = 0; m != NULL && i < RTE_DIM(m->iova); i++) {
		m->iova[i] = plx_mem_iova(q->dom, m->mem + (size_t)i * m->unit, m->unit);
		if (m->iova[i] == PLX_BAD_IOVA)
			return -ENOMEM;
	}
	return 0;
}

void
nvme_meta_free(struct nvme_qpair *q, bool lost)
{
	if (q->meta == NULL)
		return;
	if (lost)
		nvme_quarantine(q->c, q->meta->mem);
	else
		plx_mem_free(q->meta->mem);
	free(q->meta);
}

void
nvme_meta_reset(struct nvme_qpair *q)
{
	uint8_t i;

	for (i = 0; q->meta != NULL && i < NB_BUFS; i++)
		q->meta->free[i] = i;
	if (q->meta != NULL)
		q->meta->nfree = NB_BUFS;
}

/* The class keeps what finds no buffer, and brings it again as a child. */
static int
no_buf(const struct plx_blk_req *req)
{
	return req->flags & PLX_IO_CHILD ? -EAGAIN : -EXDEV;
}

static uint8_t *
buf_get(struct nvme_qpair *q, struct nvme_tracker *t, uint8_t *i)
{
	struct nvme_meta *m = q->meta;

	if (m->nfree == 0)
		return NULL;
	*i = m->of[t - q->trk] = m->free[--m->nfree];
	t->flags |= NVME_TRK_META;
	return m->mem + (size_t)*i * m->unit;
}

void
nvme_meta_put(struct nvme_qpair *q, struct nvme_tracker *t)
{
	q->meta->free[q->meta->nfree++] = q->meta->of[t - q->trk];
	t->flags &= (uint16_t)~NVME_TRK_META;
}

/* ---- data and metadata, one behind another ---- */

static void
copy_segs(
	const struct plx_blk_req *req, uint32_t *seg, size_t *off, uint8_t *p, size_t len, bool in)
{
	size_t n;

	for (; len != 0; len -= n, *off += n, p += n) {
		for (; *off == req->segs[*seg].len; *off = 0)
			++*seg;
		n = RTE_MIN(len, req->segs[*seg].len - *off);
		if (in)
			memcpy(p, (uint8_t *)req->segs[*seg].addr + *off, n);
		else
			memcpy((uint8_t *)req->segs[*seg].addr + *off, p, n);
	}
}

/* in: from the request to the buffer. */
static void
copy_blocks(const struct nvme_qpair *q, const struct plx_blk_req *req, uint8_t *buf, bool in)
{
	size_t bs = (size_t)1 << q->lba_shift, ms = q->ns->fmt.ms, off = 0;
	uint8_t *meta = req->ext != NULL ? req->ext->meta : NULL, *data = req->buf;
	uint32_t i, seg = 0;

	for (i = 0; i < req->nblk; i++, buf += bs + ms, data += bs) {
		if (req->nseg != 0)
			copy_segs(req, &seg, &off, buf, bs, in);
		else if (in)
			memcpy(buf, data, bs);
		else
			memcpy(data, buf, bs);
		if (meta == NULL && in)
			memset(buf + bs, 0, ms);
		else if (meta != NULL && in)
			memcpy(buf + bs, meta + i * ms, ms);
		else if (meta != NULL)
			memcpy(meta + i * ms, buf + bs, ms);
	}
}

static int
map_extended(struct nvme_qpair *q, struct nvme_tracker *t, struct nvme_sqe *sqe,
	const struct plx_blk_req *req)
{
	size_t len = (size_t)req->nblk * ((1u << q->lba_shift) + q->ns->fmt.ms);
	struct plx_seg one = {.len = len};
	uint8_t i;
	int rc;

	if (!plx_req_data_ok(req, (size_t)req->nblk << q->lba_shift))
		return -EINVAL;
	one.addr = buf_get(q, t, &i);
	if (one.addr == NULL)
		return no_buf(req);
	if (req->op != PLX_OP_READ)
		copy_blocks(q, req, one.addr, true);
	rc = nvme_data_map(q, t, sqe, &one, 1, len);
	if (rc != 0)
		nvme_meta_put(q, t);
	return rc;
}

/* ---- metadata by MPTR ---- */

/* Metadata of the application's, of so many bytes; NULL: none is given. */
static int
map_pointer(struct nvme_qpair *q, struct nvme_tracker *t, struct nvme_sqe *sqe, void *meta,
	size_t len, bool to_device)
{
	struct nvme_meta *m = q->meta;
	uint64_t iova;
	uint8_t *buf, i;

	if (meta == NULL) {
		sqe->mptr = rte_cpu_to_le_64(m->iova[to_device ? ZEROES : JUNK]);
		return 0;
	}
	iova = plx_mem_iova(q->dom, meta, len);
	if (iova == PLX_BAD_IOVA || (iova & 3) != 0) { /* dword aligned (NVMe Base 2.0, 3.3.3.1) */
		buf = buf_get(q, t, &i);
		if (buf == NULL)
			return no_buf(t->req);
		if (to_device)
			memcpy(buf, meta, len);
		iova = m->iova[i];
	}
	sqe->mptr = rte_cpu_to_le_64(iova);
	return 0;
}

static int
map_separate(struct nvme_qpair *q, struct nvme_tracker *t, struct nvme_sqe *sqe,
	const struct plx_blk_req *req)
{
	size_t len = (size_t)req->nblk * q->ns->fmt.ms;
	void *meta = req->ext != NULL ? req->ext->meta : NULL;
	int rc = map_pointer(q, t, sqe, meta, len, req->op != PLX_OP_READ);

	if (rc != 0)
		return rc;
	rc = nvme_data_req(q, t, sqe, req);
	if (rc != 0 && (t->flags & NVME_TRK_META))
		nvme_meta_put(q, t);
	return rc;
}

/* ---- commands ---- */

/* @return what the controller does with protection information: enum plx_pi_flag */
static unsigned int
pi_flags(const struct plx_blk_req *req, bool own, uint8_t type)
{
	unsigned int flags = own ? req->ext->pi_flags : PLX_PI_GUARD | PLX_PI_REF;

	if (!own && req->op == PLX_OP_COMPARE)
		flags = 0; /* there is none with the data */
	if (type == 3)
		flags &= ~(unsigned int)PLX_PI_REF;
	if (req->op == PLX_OP_WRITE_ZEROES) /* there is nothing to check, and some say so */
		return PLX_PI_ACT;
	if ((req->op == PLX_OP_READ || req->op == PLX_OP_WRITE) && (!own || req->ext->meta == NULL))
		flags |= PLX_PI_ACT;
	return flags;
}

/* @return whether metadata moves */
static bool
set_prinfo(const struct nvme_format *f, struct nvme_sqe *sqe, const struct plx_blk_req *req)
{
	const struct plx_blk_ext *ext = req->ext;
	bool own = ext != NULL && (ext->meta != NULL || ext->pi_flags != 0);
	unsigned int flags;
	uint64_t ref;

	if (f->pi_type == 0)
		return true;
	flags = pi_flags(req, own, f->pi_type);
	ref = own && f->pi_type != 1 ? ext->pi_ref : f->pi_type == 3 ? 0 : req->lba;
	sqe->cdw12 |= rte_cpu_to_le_32(CDW12_PRINFO(flags));
	sqe->cdw14 = rte_cpu_to_le_32((uint32_t)ref);
	if (f->pi_size == 16) /* 48 bits (5.2.1.4) */
		sqe->cdw3 = rte_cpu_to_le_32((uint32_t)(ref >> 32) & 0xffff);
	if (own)
		sqe->cdw15 = rte_cpu_to_le_32(ext->pi_app | (uint32_t)ext->pi_mask << 16);
	return !(flags & PLX_PI_ACT) || f->ms != f->pi_size;
}

int
nvme_meta_build(struct nvme_qpair *q, struct nvme_tracker *t, struct nvme_sqe *sqe,
	const struct plx_blk_req *req)
{
	const struct nvme_format *f = &q->ns->fmt;
	bool moves = set_prinfo(f, sqe, req);

	if (!plx_op_has_data(req->op))
		return 0;
	if (!moves)
		return nvme_data_req(q, t, sqe, req);
	return f->extended ? map_extended(q, t, sqe, req) : map_separate(q, t, sqe, req);
}

/* Commands that have metadata: NLB blocks of it. */
static size_t
pass_len(const struct nvme_format *f, const struct nvme_sqe *sqe)
{
	uint32_t cdw12 = rte_le_to_cpu_32(sqe->cdw12);

	if (f->pi_type != 0 && f->ms == f->pi_size && (cdw12 & CDW12_PRACT) != 0)
		return 0;
	switch (sqe->opcode) {
	case nvme_cmd_read:
	case nvme_cmd_write:
	case nvme_cmd_compare:
	case nvme_zns_cmd_append:
		return ((cdw12 & 0xffff) + 1) * (size_t)f->ms;
	default:
		return 0;
	}
}

/*
 * A command of the application: data of an extended format is its own to mix; else it gives
 * metadata or none, and the controller finds a valid pointer in any case.
 */
int
nvme_meta_pass(struct nvme_qpair *q, struct nvme_tracker *t, struct nvme_sqe *sqe,
	const struct plx_blk_req *req)
{
	const struct nvme_format *f = &q->ns->fmt;
	size_t len = pass_len(f, sqe);

	if (f->extended)
		return 0;
	if (len > q->meta->unit)
		return -EMSGSIZE;
	return map_pointer(q, t, sqe, len != 0 ? req->ext->meta : NULL, len,
		(sqe->opcode & 3) != nvme_cmd_read);
}

/* A command that holds a buffer is back. */
void
nvme_meta_done(struct nvme_qpair *q, struct nvme_tracker *t, bool ok)
{
	const struct nvme_format *f = &q->ns->fmt;
	const struct plx_blk_req *req = t->req;
	uint8_t *buf = q->meta->mem + (size_t)q->meta->of[t - q->trk] * q->meta->unit;
	uint32_t nblk = req->nblk;
	bool in = req->op == PLX_OP_READ;

	if (req->op == PLX_OP_NVME) {
		const uint32_t *cdw = req->ext->nvme->cdw;

		nblk = (rte_le_to_cpu_32(cdw[12]) & 0xffff) + 1;
		in = (rte_le_to_cpu_32(cdw[0]) & 3) == nvme_cmd_read;
	}
	if (ok && in && f->extended)
		copy_blocks(q, req, buf, false);
	else if (ok && in)
		memcpy(req->ext->meta, buf, (size_t)nblk * f->ms);
	nvme_meta_put(q, t);
}
