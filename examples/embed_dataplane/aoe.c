/* SPDX-License-Identifier: BSD-3-Clause */
/* ATA over Ethernet, revision 11; ATA commands of ATA8-ACS. */
#include <stdbool.h>
#include <string.h>

#include <rte_byteorder.h>
#include <rte_ether.h>

#include "aoe.h"

#define ETHERTYPE 0x88a2
#define MAX_SECTORS 2 /* in a frame of 1500 bytes */
#define SHELF 1
#define SLOT 0

enum { CMD_ATA = 0, CMD_CONFIG = 1 };
enum { FLAG_RESPONSE = 0x08, FLAG_ERROR = 0x04, VERSION = 0x10 };
enum { ERR_COMMAND = 1, ERR_ARGUMENT = 2 };
enum { AFLAG_WRITE = 0x01, AFLAG_LBA48 = 0x40 };
enum { ATA_READ = 0x20, ATA_READ_EXT = 0x24, ATA_WRITE = 0x30, ATA_WRITE_EXT = 0x34 };
enum { ATA_IDENTIFY = 0xec, ATA_DRDY = 0x40, ATA_ERR = 0x01, ATA_ABRT = 0x04 };

struct aoe {
	struct rte_ether_hdr eth;
	uint8_t ver_flags, error;
	rte_be16_t shelf;
	uint8_t slot, command;
	uint32_t tag;
	union {
		struct {
			uint8_t aflags, err_feature, count, cmd_status, lba[6], rsvd[2];
		} ata;
		struct {
			rte_be16_t buffers, firmware;
			uint8_t sectors, ver_cmd;
			rte_be16_t len;
		} __rte_packed config;
	};
} __rte_packed __rte_aligned(2);
static_assert(sizeof(struct aoe) == 36, "payload begins here, aligned to a dword");

/* The packet of len bytes goes back to where it came from. */
static enum aoe_verdict
answer(struct rte_mbuf *m, uint8_t error, size_t len)
{
	struct aoe *a = rte_pktmbuf_mtod(m, struct aoe *);
	struct rte_ether_addr to = a->eth.src_addr;

	/* a broadcast is answered from an address of ours; locally administered, "plx" and slot */
	a->eth.src_addr = (struct rte_ether_addr){{0x02, 'p', 'l', 'x', SHELF, SLOT}};
	a->eth.dst_addr = to;
	a->ver_flags = VERSION | FLAG_RESPONSE | (error != 0 ? FLAG_ERROR : 0);
	a->error = error;
	a->shelf = rte_cpu_to_be_16(SHELF);
	a->slot = SLOT;
	m->data_len = (uint16_t)len;
	m->pkt_len = (uint32_t)len;
	return AOE_ANSWERED;
}

static enum aoe_verdict
config(struct rte_mbuf *m)
{
	struct aoe *a = rte_pktmbuf_mtod(m, struct aoe *);

	if ((a->config.ver_cmd & 0xf) != 0) /* read: the only one; the string is empty */
		return answer(m, ERR_ARGUMENT, sizeof(*a));
	a->config.buffers = rte_cpu_to_be_16(64);
	a->config.firmware = rte_cpu_to_be_16(1);
	a->config.sectors = MAX_SECTORS;
	a->config.ver_cmd = VERSION;
	a->config.len = 0;
	return answer(m, 0, sizeof(*a));
}

/* ATA strings have their bytes swapped in pairs, and blanks behind. */
static void
ata_string(uint16_t *words, size_t n, const char *text)
{
	size_t len = strlen(text);

	for (size_t i = 0; i < n; i++) {
		char hi = 2 * i < len ? text[2 * i] : ' ',
		     lo = 2 * i + 1 < len ? text[2 * i + 1] : ' ';

		words[i] = rte_cpu_to_le_16((uint16_t)((uint8_t)hi << 8 | (uint8_t)lo));
	}
}

static enum aoe_verdict
identify(struct rte_mbuf *m, const struct plx_blk_info *info)
{
	struct aoe *a = rte_pktmbuf_mtod(m, struct aoe *);
	uint64_t n = info->nblocks, n28 = RTE_MIN(n, 0x0fffffffu);
	uint16_t w[AOE_SECTOR / 2] = {0};

	ata_string(w + 10, 10, info->serial);
	ata_string(w + 23, 4, info->firmware);
	ata_string(w + 27, 20, info->model);
	w[49] = rte_cpu_to_le_16(1 << 9);                    /* LBA */
	w[83] = w[86] = rte_cpu_to_le_16(1 << 14 | 1 << 10); /* 48-bit addresses */
	w[60] = rte_cpu_to_le_16((uint16_t)n28);
	w[61] = rte_cpu_to_le_16((uint16_t)(n28 >> 16));
	for (int i = 0; i < 4; i++)
		w[100 + i] = rte_cpu_to_le_16((uint16_t)(n >> 16 * i));
	memcpy(a + 1, w, sizeof(w));
	a->ata.cmd_status = ATA_DRDY;
	a->ata.err_feature = 0;
	return answer(m, 0, sizeof(*a) + sizeof(w));
}

static enum aoe_verdict
refuse(struct rte_mbuf *m)
{
	struct aoe *a = rte_pktmbuf_mtod(m, struct aoe *);

	a->ata.cmd_status = ATA_DRDY | ATA_ERR;
	a->ata.err_feature = ATA_ABRT;
	return answer(m, 0, sizeof(*a));
}

static enum aoe_verdict
ata(struct rte_mbuf *m, const struct plx_blk_info *info, struct plx_blk_req *req)
{
	struct aoe *a = rte_pktmbuf_mtod(m, struct aoe *);
	bool wr = a->ata.cmd_status == ATA_WRITE || a->ata.cmd_status == ATA_WRITE_EXT;
	bool rd = a->ata.cmd_status == ATA_READ || a->ata.cmd_status == ATA_READ_EXT;
	bool ext = (a->ata.aflags & AFLAG_LBA48) != 0;
	uint32_t bytes = (uint32_t)a->ata.count * AOE_SECTOR;
	uint64_t lba = 0;

	for (int i = ext ? 5 : 3; i >= 0; i--)
		lba = lba << 8 | (ext || i < 3 ? a->ata.lba[i] : a->ata.lba[i] & 0xf);
	if (a->ata.cmd_status == ATA_IDENTIFY)
		return identify(m, info);
	if ((!rd && !wr) || a->ata.count == 0 || a->ata.count > MAX_SECTORS)
		return refuse(m);
	if (wr && m->data_len < sizeof(*a) + bytes)
		return AOE_IGNORE;
	*req = (struct plx_blk_req){.op = wr ? PLX_OP_WRITE : PLX_OP_READ,
		.lba = lba,
		.nblk = a->ata.count,
		.buf = a + 1};
	return AOE_REQUEST;
}

enum aoe_verdict
aoe_receive(struct rte_mbuf *m, const struct plx_blk_info *info, struct plx_blk_req *req)
{
	struct aoe *a = rte_pktmbuf_mtod(m, struct aoe *);

	/* short frames are padded to more than this; one segment, as the pool's buffers are large
	 */
	if (m->nb_segs != 1 || m->data_len < sizeof(*a) ||
		a->eth.ether_type != rte_cpu_to_be_16(ETHERTYPE) ||
		(a->ver_flags & (0xf0 | FLAG_RESPONSE)) != VERSION)
		return AOE_IGNORE;
	if ((a->shelf != rte_cpu_to_be_16(SHELF) && a->shelf != 0xffff) ||
		(a->slot != SLOT && a->slot != 0xff))
		return AOE_IGNORE;
	switch (a->command) {
	case CMD_ATA:
		return ata(m, info, req);
	case CMD_CONFIG:
		return config(m);
	default:
		return answer(m, ERR_COMMAND, sizeof(*a));
	}
}

void
aoe_reply(struct rte_mbuf *m, const struct plx_blk_req *req)
{
	struct aoe *a = rte_pktmbuf_mtod(m, struct aoe *);

	if (req->status != 0) {
		refuse(m);
		return;
	}
	a->ata.cmd_status = ATA_DRDY;
	a->ata.err_feature = 0;
	answer(m, 0, sizeof(*a) + (req->op == PLX_OP_READ ? req->nblk * AOE_SECTOR : 0));
}
