/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef WALK_H
#define WALK_H
/*
 * Data pointers of a command as a strict controller reads them (NVMe Base 2.0, 4.1): written from
 * the specification, not from the driver.
 */
#include <stdint.h>
#include <sys/uio.h>

#include "nvme_spec.h"

#define WALK_MAX 2100

/* Where the controller finds len bytes of I/O address space, NULL: nowhere. */
typedef void *(*walk_at_t)(void *ctx, uint64_t iova, uint64_t len);

/* @return pieces stored, or -1 with *why set */
static inline int
walk_prp(const struct nvme_sqe *s, uint64_t len, uint64_t page, walk_at_t at, void *ctx,
	struct iovec *v, const char **why)
{
	uint64_t mask = page - 1, p1 = s->dptr[0], p2 = s->dptr[1], left = len, take, next;
	uint64_t *list, room;
	int n = 0;

	*why = "PRP1 is not dword aligned";
	if (p1 & 3)
		return -1;
	take = left < page - (p1 & mask) ? left : page - (p1 & mask);
	v[n++] = (struct iovec){at(ctx, p1, take), take};
	left -= take;
	*why = "PRP2 is not 0 where it means nothing";
	if (left == 0)
		return p2 == 0 ? n : -1;
	if (left <= page) {
		*why = "PRP2 has an offset";
		v[n++] = (struct iovec){at(ctx, p2, left), left};
		return (p2 & mask) == 0 ? n : -1;
	}
	*why = "a list is not qword aligned";
	if (p2 & 7)
		return -1;
	for (next = p2; left != 0;) {
		room = (page - (next & mask)) / 8;
		*why = "a list lies outside of memory";
		list = at(ctx, next,
			room * 8 < (left + mask) / page * 8 ? room * 8 : (left + mask) / page * 8);
		if (list == NULL)
			return -1;
		for (; room != 0 && left != 0; room--, list++) {
			*why = "a list entry has an offset";
			if (*list & mask)
				return -1;
			if (room == 1 && left > page) {
				next = *list;
				break;
			}
			take = left < page ? left : page;
			*why = "too many entries";
			if (n == WALK_MAX)
				return -1;
			v[n++] = (struct iovec){at(ctx, *list, take), take};
			left -= take;
		}
	}
	return n;
}

static inline int
walk_sgl(const struct nvme_sqe *s, uint64_t len, walk_at_t at, void *ctx, struct iovec *v,
	const char **why)
{
	const struct nvme_sgl *d = (const struct nvme_sgl *)s->dptr;
	uint64_t count = 1, i, sum = 0;

	if (d->type == NVME_SGL_LAST_SEGMENT) {
		*why = "a segment's length";
		if (d->len == 0 || d->len % 16 != 0 || d->len / 16 > WALK_MAX || (d->addr & 7) != 0)
			return -1;
		count = d->len / 16;
		*why = "a segment lies outside of memory";
		d = at(ctx, d->addr, d->len);
		if (d == NULL)
			return -1;
	}
	for (i = 0; i < count; i++, d++) {
		*why = "a descriptor";
		if (d->type != NVME_SGL_DATA || d->len == 0 || d->rsvd[0] || d->rsvd[1] ||
			d->rsvd[2])
			return -1;
		v[i] = (struct iovec){at(ctx, d->addr, d->len), d->len};
		sum += d->len;
	}
	*why = "the descriptors' sum";
	return sum == len ? (int)count : -1;
}

static inline int
walk(const struct nvme_sqe *s, uint64_t len, uint64_t page, walk_at_t at, void *ctx,
	struct iovec *v, const char **why)
{
	int n = s->flags & 0xc0 ? walk_sgl(s, len, at, ctx, v, why)
				: walk_prp(s, len, page, at, ctx, v, why),
	    i;

	for (i = 0; i < n; i++) {
		if (v[i].iov_base == NULL) {
			*why = "data outside of memory";
			return -1;
		}
	}
	return n;
}

#endif
