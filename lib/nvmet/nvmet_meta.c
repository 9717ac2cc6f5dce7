/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Namespaces with metadata (NVM Command Set 1.0, 2.1.6 and 5.2): on devices that have it, in a
 * memory of its own (MPTR) or behind each block's data (extended). What a command says of
 * protection information is handed to the device, which makes and checks it.
 *
 * The client's metadata is used in place where it lies in one mapping. Else, and for extended
 * blocks, a command has a buffer: data, if extended, then metadata.
 */
#include <stdlib.h>
#include <string.h>

#include "nvmet_priv.h"

#define PRACT (1u << 29)
#define PRCHK(dw12) ((dw12) >> 26 & 7)
static_assert(PLX_PI_REF == 1 && PLX_PI_APP == 2 && PLX_PI_GUARD == 4, "as in PRCHK");

struct nvmet_meta {
	struct plx_blk_ext ext;
	uint64_t mptr;
	uint8_t *buf;    /* NULL: the client's memory is used */
	bool moves, fua; /* metadata goes with data; a flush follows */
};

/* ---- what a namespace says of it ---- */

void
nvmet_meta_identify(const struct nvmet_ns *ns, struct nvme_id_ns *id)
{
	const struct plx_blk_info *info = &ns->info;

	if (info->meta_size == 0)
		return;
	id->lbaf[0].ms = rte_cpu_to_le_16((uint16_t)info->meta_size);
	id->flbas = ns->extended ? NVME_NS_FLBAS_META_EXT : 0;
	id->mc = ns->extended ? NVME_NS_MC_EXTENDED : NVME_NS_MC_SEPARATE;
	if (info->pi_type == 0)
		return;
	id->dps = info->pi_type;
	id->dpc = (uint8_t)(1u << (info->pi_type - 1));
	if (info->pi_offset == 0 && info->meta_size != info->pi_size) {
		id->dps |= NVME_NS_DPS_PI_FIRST;
		id->dpc |= NVME_NS_DPC_PI_FIRST;
	} else {
		id->dpc |= NVME_NS_DPC_PI_LAST;
	}
}

/* Guards of 64 bits: an extended format (5.2.1.3). */
void
nvmet_meta_identify_nvm(const struct nvmet_ns *ns, struct nvme_nvm_id_ns *id)
{
	if (ns->info.pi_size == 16)
		id->elbaf[0] = rte_cpu_to_le_32(2u << 7);
}

/* What Format NVM has to say of it: MSET, PI and PIL, the one way there is. */
uint32_t
nvmet_meta_format(const struct nvmet_ns *ns)
{
	struct nvme_id_ns id = {0};

	nvmet_meta_identify(ns, &id);
	return (uint32_t)(id.flbas >> 4 & 1) << 4 | (id.dps & 7u) << 5 | (id.dps >> 3 & 1u) << 8;
}

/* ---- the client's metadata ---- */

/* Copy between the client's memory and the buffer; to NULL: only see that it can be reached. */
static bool
copy_client(struct plx_nvmet *c, uint64_t iova, uint8_t *buf, size_t len, bool in)
{
	size_t n;

	for (; len != 0; len -= n, iova += n) {
		uint8_t *va = plx_vfu_dma_ptr(c->vfu, &c->dma, iova, 1, in);

		if (va == NULL)
			return false;
		n = RTE_MIN(len, (size_t)(c->dma.len - (iova - c->dma.iova)));
		if (buf != NULL && in)
			memcpy(va, buf, n);
		else if (buf != NULL)
			memcpy(buf, va, n);
		buf += buf != NULL ? n : 0;
	}
	return true;
}

static uint16_t
map_separate(struct plx_nvmet *c, struct nvmet_cmd *cmd, const struct nvmet_ns *ns, bool in)
{
	size_t len = (size_t)cmd->req.nblk * ns->info.meta_size;
	struct nvmet_meta *m = cmd->meta;

	m->ext.meta = plx_vfu_dma_ptr(c->vfu, &c->dma, m->mptr, len, in);
	if (m->ext.meta != NULL)
		return 0;
	if (len > UINT64_MAX - m->mptr || !copy_client(c, m->mptr, NULL, len, in)) {
		plx_stat_add(&c->protocol_errors, 1);
		return NVMET_ERR(GENERIC, DATA_XFER_ERROR);
	}
	m->ext.meta = m->buf = malloc(len);
	if (m->buf == NULL)
		return NVMET_SC(GENERIC, INTERNAL);
	if (!in)
		copy_client(c, m->mptr, m->buf, len, false);
	return 0;
}

/* Between the client's pieces, blocks with metadata behind, and the buffer, which has both apart.
 */
static void
copy_extended(const struct nvmet_ns *ns, struct nvmet_cmd *cmd, bool in)
{
	size_t bs = ns->info.block_size, ms = ns->info.meta_size, off = 0, n;
	uint8_t *data = cmd->meta->buf, *meta = cmd->meta->ext.meta;
	uint32_t seg = 0, i;

	for (i = 0; i < 2 * cmd->req.nblk; i++) {
		size_t len = i % 2 == 0 ? bs : ms;
		uint8_t **p = i % 2 == 0 ? &data : &meta;

		for (; len != 0; len -= n, off += n, *p += n) {
			if (off == cmd->segs[seg].len) {
				seg++;
				off = 0;
			}
			n = RTE_MIN(len, cmd->segs[seg].len - off);
			if (in)
				memcpy((uint8_t *)cmd->segs[seg].addr + off, *p, n);
			else
				memcpy(*p, (uint8_t *)cmd->segs[seg].addr + off, n);
		}
	}
}

static uint16_t
map_extended(struct nvmet_cmd *cmd, const struct nvmet_ns *ns, bool in)
{
	size_t len = (size_t)cmd->req.nblk * ns->info.block_size;
	struct nvmet_meta *m = cmd->meta;

	m->buf = malloc(len + (size_t)cmd->req.nblk * ns->info.meta_size);
	if (m->buf == NULL)
		return NVMET_SC(GENERIC, INTERNAL);
	m->ext.meta = m->buf + len;
	cmd->req.nseg = 0;
	cmd->req.buf = m->buf;
	if (!in)
		copy_extended(ns, cmd, false);
	return 0;
}

uint64_t
nvmet_meta_len(const struct nvmet_cmd *cmd, const struct nvmet_ns *ns)
{
	if (cmd->req.ext == NULL || !cmd->meta->moves || !ns->extended)
		return 0;
	return (uint64_t)cmd->req.nblk * ns->info.meta_size;
}

uint16_t
nvmet_meta_map(struct plx_nvmet *c, struct nvmet_cmd *cmd, const struct nvmet_ns *ns, bool in)
{
	if (cmd->req.ext == NULL || !cmd->meta->moves)
		return 0;
	return ns->extended ? map_extended(cmd, ns, in) : map_separate(c, cmd, ns, in);
}

/* ---- commands ---- */

/* Tags and checks that make no sense (5.2.3). */
static uint16_t
check_prinfo(const struct nvmet_ns *ns, const struct nvmet_sqe *e, uint32_t dw12, uint64_t ref)
{
	uint64_t mask = ns->info.pi_size == 16 ? (UINT64_C(1) << 48) - 1 : UINT32_MAX;
	bool check_ref = (PRCHK(dw12) & PLX_PI_REF) != 0, bad;

	bad = check_ref && ns->info.pi_type == 1 && ref != (rte_le_to_cpu_64(e->slba) & mask);
	bad |= check_ref && ns->info.pi_type == 3;
	bad |= (dw12 & PRACT) != 0 && (e->opc == nvme_cmd_compare || e->opc == nvme_cmd_verify);
	return bad ? NVMET_ERR(CMD_SPECIFIC, INVALID_PI) : 0;
}

/* What the device is to do: said in so many words, as nothing said would mean the usual checks. */
static uint16_t
pi_flags(const struct nvmet_sqe *e, uint32_t dw12)
{
	unsigned int flags = PRCHK(dw12);

	if ((dw12 & PRACT) != 0 || e->opc == nvme_cmd_write_zeroes)
		flags |= PLX_PI_ACT;
	return (uint16_t)flags;
}

uint16_t
nvmet_meta_begin(struct plx_nvmet *c, struct nvmet_cmd *cmd, const struct nvmet_sqe *e,
	const struct nvmet_ns *ns)
{
	const struct plx_blk_info *info = &ns->info;
	uint32_t dw12 = rte_le_to_cpu_32(e->cdw12), dw15 = rte_le_to_cpu_32(e->cdw15);
	uint64_t ref = rte_le_to_cpu_32(e->cdw14);
	uint16_t rc = 0;

	if (info->pi_size == 16) {
		ref |= (uint64_t)(rte_le_to_cpu_32(e->cdw3) & 0xffff) << 32;
		if (!c->lbafee)
			return NVMET_ERR(GENERIC, INVALID_NS);
	}
	if (info->pi_type != 0)
		rc = check_prinfo(ns, e, dw12, ref);
	if (rc != 0)
		return rc;
	if (cmd->meta == NULL)
		cmd->meta = malloc(sizeof(*cmd->meta));
	if (cmd->meta == NULL)
		return NVMET_SC(GENERIC, INTERNAL);
	*cmd->meta = (struct nvmet_meta){.mptr = rte_le_to_cpu_64(e->mptr), .moves = true};
	cmd->req.ext = &cmd->meta->ext;
	cmd->req.user = (void *)((uintptr_t)cmd->req.user | (uintptr_t)NVMET_STEP_META << 32);
	if (info->pi_type == 0)
		return 0;
	cmd->meta->ext.pi_ref = ref;
	cmd->meta->ext.pi_app = (uint16_t)dw15;
	cmd->meta->ext.pi_mask = (uint16_t)(dw15 >> 16);
	cmd->meta->ext.pi_flags = pi_flags(e, dw12);
	if ((dw12 & PRACT) != 0 && info->meta_size == info->pi_size)
		cmd->meta->moves = false;
	if (e->opc == nvme_cmd_verify && cmd->meta->ext.pi_flags == 0) { /* of no bit of it */
		cmd->meta->ext.pi_flags = PLX_PI_APP;
		cmd->meta->ext.pi_mask = 0;
	}
	return 0;
}

void
nvmet_meta_fua(struct nvmet_cmd *cmd)
{
	cmd->meta->fua = true;
}

/* The device is done with it: give the client what it read. @return a flush is to follow */
bool
nvmet_meta_back(struct plx_nvmet *c, const struct nvmet_ns *ns, struct nvmet_cmd *cmd)
{
	struct nvmet_meta *m = cmd->meta;

	if (cmd->req.status == 0 && cmd->req.op == PLX_OP_READ && m->buf != NULL) {
		if (ns->extended)
			copy_extended(ns, cmd, true);
		else
			copy_client(c, m->mptr, m->buf, (size_t)cmd->req.nblk * ns->info.meta_size,
				true);
	}
	nvmet_meta_end(cmd);
	return cmd->req.status == 0 && m->fua;
}

void
nvmet_meta_end(struct nvmet_cmd *cmd)
{
	if (cmd->req.ext == NULL)
		return;
	cmd->req.ext = NULL;
	free(cmd->meta->buf);
	cmd->meta->buf = NULL;
}
