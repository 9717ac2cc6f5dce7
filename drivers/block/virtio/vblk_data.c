/* SPDX-License-Identifier: BSD-3-Clause */
/* Requests as chains (Virtio 1.2, 5.2.6): header, data, status; whatever isn't plain. */
#include <errno.h>
#include <string.h>

#include <rte_byteorder.h>

#include "vblk_priv.h"

static const uint8_t type_of[PLX_OP_MAX] = {
	[PLX_OP_READ] = VBLK_T_IN,
	[PLX_OP_WRITE] = VBLK_T_OUT,
	[PLX_OP_FLUSH] = VBLK_T_FLUSH,
	[PLX_OP_WRITE_ZEROES] = VBLK_T_WRITE_ZEROES,
	[PLX_OP_DISCARD] = VBLK_T_DISCARD,
	[PLX_OP_SECURE_ERASE] = VBLK_T_SECURE_ERASE,
	[PLX_OP_ZONE_APPEND] = VBLK_T_ZONE_APPEND,
	[PLX_OP_ZONE_OPEN] = VBLK_T_ZONE_OPEN,
	[PLX_OP_ZONE_CLOSE] = VBLK_T_ZONE_CLOSE,
	[PLX_OP_ZONE_FINISH] = VBLK_T_ZONE_FINISH,
	[PLX_OP_ZONE_RESET] = VBLK_T_ZONE_RESET,
	[PLX_OP_ZONE_REPORT] = VBLK_T_ZONE_REPORT,
};

int
vblk_status_errno(uint8_t status)
{
	switch (status) {
	case VBLK_S_OK:
		return 0;
	case VBLK_S_UNSUPP:
		return -EOPNOTSUPP;
	case VBLK_S_ZONE_INVALID_CMD:
		return -EBADFD;
	case VBLK_S_ZONE_UNALIGNED_WP:
		return -ESPIPE;
	case VBLK_S_ZONE_OPEN_RESOURCE:
		return -ETOOMANYREFS;
	case VBLK_S_ZONE_ACTIVE_RESOURCE:
		return -EOVERFLOW;
	default:
		return -EIO;
	}
}

/* A command being put together. */
struct chain {
	struct plx_virtq_buf buf[VBLK_SEGS + 2];
	uint16_t n, nout; /* in all; of which the device reads */
	uint16_t mark;
};

static void
piece(struct chain *c, uint64_t iova, size_t len)
{
	c->buf[c->n++] = (struct plx_virtq_buf){iova, (uint32_t)len};
}

/* Where mappings of hugepages may meet. */
#define SEAM (2u << 20)

/* As much of a piece as one descriptor can name. @return its I/O address, or PLX_BAD_IOVA */
static uint64_t
translate(const struct vblk_queue *q, const uint8_t *va, size_t *len)
{
	uint64_t iova = plx_mem_iova(q->dom, va, *len);
	size_t seam = SEAM - ((uintptr_t)va & (SEAM - 1));

	if (iova != PLX_BAD_IOVA || *len <= seam)
		return iova;
	*len = seam;
	return plx_mem_iova(q->dom, va, seam);
}

/* Descriptors for one segment. @return bytes of it that found room */
static size_t
place_segment(const struct vblk_queue *q, struct chain *c, const uint8_t *va, size_t len)
{
	size_t off, n;

	for (off = 0; off < len; off += n) {
		uint64_t iova;

		n = RTE_MIN(len - off, (size_t)q->size_max);
		if (c->n == q->max_segs)
			break;
		iova = translate(q, va + off, &n);
		if (iova == PLX_BAD_IOVA)
			break;
		piece(c, iova, n);
	}
	return RTE_MIN(off, len);
}

/* Bytes from the start that the data descriptors of one command can describe; they are put into c.
 */
static size_t
place_data(const struct vblk_queue *q, struct chain *c, const struct plx_seg *segs, uint32_t nseg,
	size_t max)
{
	size_t got = 0, len, n;
	uint32_t i;

	for (i = 0; i < nseg && got < max; i++) {
		len = RTE_MIN(segs[i].len, max - got);
		n = place_segment(q, c, segs[i].addr, len);
		got += n;
		if (n != len)
			break;
	}
	return got;
}

size_t
vblk_direct(struct plx_drvq *dq, const struct plx_seg *segs, uint32_t nseg, size_t max)
{
	struct chain c = {.n = 0};

	return place_data((struct vblk_queue *)dq, &c, segs, nseg, max);
}

/* Data behind the header; what is put into c is cut there. */
static int
put_data(const struct vblk_queue *q, struct chain *c, const struct plx_blk_req *req)
{
	size_t len = (size_t)req->nblk << q->lba_shift;
	struct plx_seg one = {.addr = req->buf, .len = len};
	struct chain data = {.n = 0};

	if (!plx_req_data_ok(req, len))
		return -EINVAL;
	if (place_data(q, &data, req->nseg != 0 ? req->segs : &one, req->nseg != 0 ? req->nseg : 1,
		    len) != len)
		return -EXDEV;
	memcpy(&c->buf[c->n], data.buf, data.n * sizeof(data.buf[0]));
	c->n = (uint16_t)(c->n + data.n);
	return 0;
}

/* The range of a discard and the like takes the end of the slot's own memory. */
static void
put_range(const struct vblk_queue *q, struct chain *c, const struct plx_blk_req *req, uint16_t id)
{
	size_t off = (size_t)(id + 1) * q->extra_bytes - sizeof(struct vblk_range);
	struct vblk_range *r = (void *)(q->extra + off);
	bool unmap = req->op == PLX_OP_WRITE_ZEROES && (req->flags & PLX_IO_UNMAP) &&
		     q->v->cfg.write_zeroes_may_unmap != 0;

	*r = (struct vblk_range){
		.sector = rte_cpu_to_le_64(req->lba << q->sector_shift),
		.num_sectors = rte_cpu_to_le_32(req->nblk << q->sector_shift),
		.flags = rte_cpu_to_le_32(unmap ? VBLK_RANGE_UNMAP : 0),
	};
	piece(c, q->extra_iova + off, sizeof(*r));
}

/* Data of every operation. @return 0 or -errno */
static int
put_body(const struct vblk_queue *q, struct chain *c, const struct plx_blk_req *req, uint16_t id)
{
	int rc = 0;

	switch (req->op) {
	case PLX_OP_WRITE_ZEROES:
	case PLX_OP_DISCARD:
	case PLX_OP_SECURE_ERASE:
		put_range(q, c, req, id);
		break;
	case PLX_OP_READ:
	case PLX_OP_WRITE:
	case PLX_OP_ZONE_APPEND:
	case PLX_OP_ZONE_REPORT:
		rc = put_data(q, c, req);
		break;
	}
	return rc;
}

static bool
reads_data(uint8_t op)
{
	return op == PLX_OP_READ || op == PLX_OP_ZONE_REPORT;
}

static void
put_header(struct vblk_queue *q, struct chain *c, uint16_t id, uint32_t type, uint64_t sector)
{
	struct vblk_header *h = (void *)&q->lines[id].header;

	*h = (struct vblk_header){
		.type = rte_cpu_to_le_32(type),
		.sector = rte_cpu_to_le_64(sector),
	};
	piece(c, q->lines_iova + id * sizeof(struct vblk_line) + offsetof(struct vblk_line, header),
		sizeof(*h));
}

/* The status comes last; in front of it, for an append, where it went. */
static void
put_status(struct vblk_queue *q, struct chain *c, uint16_t id, bool append)
{
	uint64_t iova = q->results_iova + id * sizeof(struct vblk_result);
	size_t off = offsetof(struct vblk_result, status);

	q->results[id].status = VBLK_S_UNSET;
	piece(c, iova + (append ? 0 : off), append ? off + 1 : 1);
}

/* Table entries are laid out as the ring's: split 2.7.5, packed 2.8.7. */
static void
put_table(struct vblk_queue *q, const struct chain *c, uint16_t id, struct plx_blk_req *req)
{
	uint8_t *mem = q->extra + (size_t)id * q->extra_bytes;
	struct vring_packed_desc *p = (void *)mem;
	struct vring_desc *s = (void *)mem;
	uint32_t writable = 0;
	uint16_t i;

	for (i = 0; i < c->n; i++) {
		uint64_t addr = rte_cpu_to_le_64(c->buf[i].iova);
		uint32_t len = rte_cpu_to_le_32(c->buf[i].len);
		uint16_t flags = i < c->nout ? 0 : VRING_DESC_F_WRITE;

		writable += i < c->nout ? 0 : c->buf[i].len;
		if (q->vq.packed) {
			p[i] = (struct vring_packed_desc){addr, len, 0, rte_cpu_to_le_16(flags)};
			continue;
		}
		flags |= i < c->n - 1 ? VRING_DESC_F_NEXT : 0;
		s[i] = (struct vring_desc){
			addr, len, rte_cpu_to_le_16(flags), rte_cpu_to_le_16((uint16_t)(i + 1))};
	}
	plx_virtq_add_indirect(
		&q->vq, q->extra_iova + (uint64_t)id * q->extra_bytes, c->n, writable, req);
}

static int
put(struct vblk_queue *q, const struct chain *c, uint16_t id, struct plx_blk_req *req, bool table)
{
	if (table) {
		put_table(q, c, id, req);
	} else {
		if (!plx_virtq_room(&q->vq, c->n))
			return -EAGAIN;
		plx_virtq_add_chain(&q->vq, c->buf, c->nout, (uint16_t)(c->n - c->nout), req);
	}
	q->mark[id] = c->mark;
	return 0;
}

static uint32_t
type(const struct plx_blk_req *req)
{
	if (req->op == PLX_OP_ZONE_RESET && (req->flags & PLX_IO_ALL_ZONES))
		return VBLK_T_ZONE_RESET_ALL;
	return type_of[req->op];
}

/* 0 where the command is of no place, or of ranges (5.2.6): some devices look. */
static uint64_t
sector(const struct vblk_queue *q, const struct plx_blk_req *req)
{
	switch (req->op) {
	case PLX_OP_WRITE_ZEROES:
	case PLX_OP_DISCARD:
	case PLX_OP_SECURE_ERASE:
		return 0;
	case PLX_OP_ZONE_REPORT:
		return (req->lba - req->lba % q->v->blk.info.zone_nblk) << q->sector_shift;
	default:
		return req->flags & PLX_IO_ALL_ZONES ? 0 : req->lba << q->sector_shift;
	}
}

int
vblk_issue_marked(struct vblk_queue *q, struct plx_blk_req *req, uint16_t mark)
{
	bool flush = req->op == PLX_OP_FLUSH || (mark & VBLK_MARK_FLUSH);
	bool append = req->op == PLX_OP_ZONE_APPEND;
	uint16_t child = req->flags & PLX_IO_CHILD ? VBLK_MARK_CHILD : 0;
	struct chain c = {.n = 0, .mark = mark | child};
	uint16_t id;
	int rc;

	if (!plx_virtq_room(&q->vq, 1))
		return -EAGAIN;
	id = plx_virtq_next_id(&q->vq);
	put_header(q, &c, id, flush ? VBLK_T_FLUSH : type(req), flush ? 0 : sector(q, req));
	c.nout = c.n;
	rc = flush ? 0 : put_body(q, &c, req, id);
	if (rc != 0)
		return rc;
	if (!reads_data(req->op) || flush)
		c.nout = c.n;
	put_status(q, &c, id, append);
	return put(q, &c, id, req, q->indirect);
}

/* Zone operations on all zones are the device's to do, but only reset knows that (5.2.6). */
static int
check(const struct vblk_queue *q, const struct plx_blk_req *req)
{
	if ((req->flags & PLX_IO_ALL_ZONES) && req->op != PLX_OP_ZONE_RESET)
		return -EOPNOTSUPP;
	return 0;
}

int
vblk_issue(struct plx_drvq *dq, struct plx_blk_req *req)
{
	struct vblk_queue *q = (struct vblk_queue *)dq;
	uint16_t mark = 0;
	int rc = check(q, req);

	if (rc != 0)
		return rc;
	if ((req->flags & PLX_IO_FUA) &&
		(req->op == PLX_OP_WRITE || req->op == PLX_OP_WRITE_ZEROES) &&
		(q->v->blk.info.caps & PLX_BLK_CAP_FLUSH))
		mark = VBLK_MARK_FUA;
	if (req->op == PLX_OP_ZONE_APPEND || req->op == PLX_OP_ZONE_REPORT)
		mark |= VBLK_MARK_ZONE;
	return vblk_issue_marked(q, req, mark);
}

const void *
vblk_ask(struct vblk_queue *q, uint32_t what, uint32_t len)
{
	static struct plx_blk_req nobody;
	struct chain c = {.n = 0};
	uint16_t id = plx_virtq_next_id(&q->vq);

	put_header(q, &c, id, what, 0);
	c.nout = 1;
	piece(&c, q->extra_iova + (uint64_t)id * q->extra_bytes, len);
	put_status(q, &c, id, false);
	put(q, &c, id, &nobody, false);
	vblk_ring(q);
	return q->extra + (size_t)id * q->extra_bytes;
}

/* ---- zones ---- */

static uint64_t
blocks(const struct vblk_queue *q, uint64_t sectors)
{
	return rte_le_to_cpu_64(sectors) >> q->sector_shift;
}

/* A zone of the device's report becomes ours in place: capacity, start, write pointer; type, state.
 * @return it is the one that it should be, and makes sense */
static bool
take_zone(const struct vblk_queue *q, struct plx_zone *to, uint64_t lba)
{
	uint8_t raw[sizeof(*to)];
	struct plx_zone z;
	uint64_t w[3];

	memcpy(raw, to, sizeof(raw)); /* read once: the device may write on */
	rte_compiler_barrier();
	memcpy(w, raw, sizeof(w));
	z = (struct plx_zone){
		.lba = blocks(q, w[1]),
		.capacity = blocks(q, w[0]),
		.wp = blocks(q, w[2]),
		.type = raw[24],
		.state = raw[25],
	};
	*to = z;
	if (z.lba != lba || z.capacity == 0 || z.capacity > q->v->blk.info.zone_nblk)
		return false;
	if (z.state >= PLX_ZONE_EMPTY && z.state <= PLX_ZONE_CLOSED)
		return z.wp >= lba && z.wp - lba <= z.capacity;
	return z.state == 0 || (z.state >= PLX_ZONE_RDONLY && z.state <= PLX_ZONE_OFFLINE);
}

/* The device counts the zones that it reports, the class those that follow. */
static bool
take_report(const struct vblk_queue *q, struct plx_blk_req *req)
{
	const struct plx_blk_info *info = &q->v->blk.info;
	uint64_t first = req->lba / info->zone_nblk, left = info->nb_zones - first, n, i;
	struct plx_zone_report *r = req->buf;

	n = (plx_blk_bytes(info, req->nblk) - sizeof(*r)) / sizeof(r->zones[0]);
	n = RTE_MIN(n, rte_le_to_cpu_64(__atomic_load_n(&r->nr_zones, __ATOMIC_RELAXED)));
	n = RTE_MIN(n, left);
	r->nr_zones = left;
	memset(r->rsvd, 0, sizeof(r->rsvd));
	for (i = 0; i < n; i++)
		if (!take_zone(q, &r->zones[i], (first + i) * info->zone_nblk))
			return false;
	req->result = n;
	return n != 0;
}

static bool
take_append(const struct vblk_queue *q, struct plx_blk_req *req, uint16_t id)
{
	const struct plx_blk_info *info = &q->v->blk.info;
	uint64_t at = blocks(q, *(const volatile uint64_t *)&q->results[id].append_sector);

	req->result = at;
	return at >= req->lba && at - req->lba < info->zone_nblk &&
	       req->nblk <= info->zone_nblk - (at - req->lba) && at <= info->nblocks - req->nblk;
}

void
vblk_zone_result(struct vblk_queue *q, struct plx_blk_req *req, uint16_t id)
{
	bool report = req->op == PLX_OP_ZONE_REPORT;

	if (report ? take_report(q, req) : take_append(q, req, id))
		return;
	req->result = 0;
	req->status = -EIO;
	plx_stat_add(&q->dq.st.bad_device, 1);
}
