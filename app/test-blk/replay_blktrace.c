/* SPDX-License-Identifier: BSD-3-Clause */
/* What blktrace(8) records: struct blk_io_trace, each with data behind it. Requests count when they
 * were queued. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <linux/blktrace_api.h>
#include <rte_byteorder.h>

#include "opts.h"
#include "replay.h"

_Static_assert(sizeof(struct blk_io_trace) == 48, "as in the file");

#define SECTOR 512

/* Recorded on a machine of the other byte order? */
static void
swap(struct blk_io_trace *e)
{
	e->magic = rte_bswap32(e->magic);
	e->sequence = rte_bswap32(e->sequence);
	e->time = rte_bswap64(e->time);
	e->sector = rte_bswap64(e->sector);
	e->bytes = rte_bswap32(e->bytes);
	e->action = rte_bswap32(e->action);
	e->device = rte_bswap32(e->device);
	e->pdu_len = rte_bswap16(e->pdu_len);
}

static bool
is_magic(uint32_t magic)
{
	return magic == (BLK_IO_TRACE_MAGIC | BLK_IO_TRACE_VERSION);
}

static int
wrong(const char *path, size_t at, const char *what)
{
	tb_say("%s: byte %zu: %s", path, at, what);
	return -EINVAL;
}

static int
add_event(struct tb_trace *t, const struct blk_io_trace *e, const char *path, size_t at)
{
	/* Linux' dev_t inside the kernel */
	unsigned int major = e->device >> 20, minor = e->device & 0xfffff;
	uint32_t what = e->action >> BLK_TC_SHIFT;
	struct tb_trace_io io = {
		.due_ns = e->time, .offset = e->sector * SECTOR, .bytes = e->bytes};
	struct tb_trace_io flush = {.due_ns = e->time, .op = PLX_OP_FLUSH};
	char name[24];
	int file, rc = 0;

	if ((what & BLK_TC_NOTIFY) ||
		(e->action & 0xffff & ~(uint32_t)__BLK_TA_CGROUP) != __BLK_TA_QUEUE)
		return 0;
	if (e->sector > INT64_MAX / SECTOR)
		return wrong(path, at, "a sector that can't be");
	snprintf(name, sizeof(name), "%u:%u", major, minor);
	file = tb_trace_file(t, name);
	if (file < 0)
		return wrong(path, at, "too many devices");
	io.file = flush.file = (uint16_t)file;
	io.op = what & BLK_TC_DISCARD ? PLX_OP_DISCARD
		: what & BLK_TC_WRITE ? PLX_OP_WRITE
				      : PLX_OP_READ;
	if (io.op != PLX_OP_DISCARD && io.bytes > TB_SIZE_BYTES_MAX)
		return wrong(path, at, "a request of more than 1G");
	if (what & BLK_TC_FLUSH) /* before the data, if any */
		rc = tb_trace_add(t, &flush);
	return rc != 0 || io.bytes == 0 ? rc : tb_trace_add(t, &io);
}

int
tb_blktrace_parse(struct tb_trace *t, const char *path, const uint8_t *bytes, size_t len)
{
	struct blk_io_trace e;
	size_t at = 0;
	int rc = 0;

	while (rc == 0 && at < len) {
		if (len - at < sizeof(e))
			return wrong(path, at, "cut off");
		memcpy(&e, bytes + at, sizeof(e));
		if (!is_magic(e.magic))
			swap(&e);
		if (!is_magic(e.magic))
			return wrong(path, at,
				"no event of blktrace, version 7 (what blkparse prints is not "
				"read: give "
				"the binary files)");
		if (len - at - sizeof(e) < e.pdu_len)
			return wrong(path, at, "cut off");
		rc = add_event(t, &e, path, at);
		at += sizeof(e) + e.pdu_len;
	}
	return rc;
}
