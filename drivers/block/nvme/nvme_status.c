/* SPDX-License-Identifier: BSD-3-Clause */
/* NVMe statuses (NVMe Base 2.0, 3.3.3.2.1), as in struct plx_blk_req.raw: status field >> 1. */
#include <errno.h>

#include "nvme_priv.h"

/* Status code type and status code. */
#define SCT_SC(status) ((status)&0x7ff)
#define SCT(status) (((status) >> 8) & 7)
#define MEDIA(sc) (NVME_SCT_MEDIA << 8 | (sc))
#define SPECIFIC(sc) (NVME_SCT_CMD_SPECIFIC << 8 | (sc))

static const struct {
	uint16_t sct_sc;
	int err;
} errnos[] = {
	{NVME_SC_INVALID_OPCODE, EOPNOTSUPP},
	{NVME_SC_INVALID_FIELD, EINVAL},
	{NVME_SC_INVALID_NS, ENODEV},
	{NVME_SC_ABORT_REQ, ECANCELED},
	{NVME_SC_ABORT_QUEUE, ECANCELED},
	{NVME_SC_NS_WRITE_PROTECTED, EROFS},
	{NVME_SC_LBA_RANGE, ERANGE},
	{NVME_SC_CAP_EXCEEDED, ENOSPC},
	{NVME_SC_RESERVATION_CONFLICT, EACCES},
	{NVME_SC_SANITIZE_IN_PROGRESS, EBUSY},
	{NVME_SC_FORMAT_IN_PROGRESS, EBUSY},
	{SPECIFIC(NVME_SC_READ_ONLY), EROFS},
	{SPECIFIC(NVME_SC_ZNS_BOUNDARY_ERROR), ERANGE},
	{SPECIFIC(NVME_SC_ZNS_FULL), ENOSPC},
	{SPECIFIC(NVME_SC_ZNS_READ_ONLY), EROFS},
	{SPECIFIC(NVME_SC_ZNS_OFFLINE), ENXIO},
	{SPECIFIC(NVME_SC_ZNS_INVALID_WRITE), ESPIPE},
	{SPECIFIC(NVME_SC_ZNS_TOO_MANY_ACTIVE), EOVERFLOW},
	{SPECIFIC(NVME_SC_ZNS_TOO_MANY_OPENS), ETOOMANYREFS},
	{SPECIFIC(NVME_SC_ZNS_INVAL_TRANSITION), EBADFD},
	{MEDIA(NVME_SC_WRITE_FAULT), EIO},
	{MEDIA(NVME_SC_READ_ERROR), ENODATA},
	{MEDIA(NVME_SC_GUARD_CHECK), EBADMSG},
	{MEDIA(NVME_SC_APPTAG_CHECK), EBADMSG},
	{MEDIA(NVME_SC_REFTAG_CHECK), EBADMSG},
	{MEDIA(NVME_SC_COMPARE_FAILED), EILSEQ},
	{MEDIA(NVME_SC_ACCESS_DENIED), EACCES},
	{MEDIA(NVME_SC_UNWRITTEN_BLOCK), ENODATA},
};

int
nvme_status_errno(uint16_t status)
{
	size_t i;

	for (i = 0; i < RTE_DIM(errnos); i++)
		if (errnos[i].sct_sc == SCT_SC(status))
			return -errnos[i].err;
	return -EIO;
}

/* Do Not Retry clear, and not a command that the host itself had aborted. Media errors were
 * retried by the device, and erasing takes longer than retries would. */
bool
nvme_status_retry(uint16_t status)
{
	uint16_t s = SCT_SC(status);

	return !(status & NVME_SC_DNR) && SCT(status) != NVME_SCT_MEDIA && s != NVME_SC_ABORT_REQ &&
	       s != NVME_SC_ABORT_QUEUE && s != NVME_SC_SANITIZE_IN_PROGRESS &&
	       s != NVME_SC_FORMAT_IN_PROGRESS;
}

/* The device says that it has not begun the command, and DNR is clear. */
bool
nvme_status_not_done(uint16_t status)
{
	uint16_t s = SCT_SC(status);

	return !(status & NVME_SC_DNR) && s == NVME_SC_NS_NOT_READY;
}

/*
 * Doing it twice is as good as once, as far as it has not been reported done: no other request can
 * rely on it yet. Not so what moves a write pointer, and what we don't know.
 */
bool
nvme_op_repeatable(const struct plx_blk_req *req, bool zoned)
{
	switch (req->op) {
	case PLX_OP_NVME:
	case PLX_OP_ZONE_APPEND:
		return false;
	case PLX_OP_WRITE:
	case PLX_OP_WRITE_ZEROES:
	case PLX_OP_COPY:
		return !zoned;
	default:
		return true;
	}
}
