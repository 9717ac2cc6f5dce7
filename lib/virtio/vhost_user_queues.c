/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Queues: given to the back end all at once, taken back by GET_VRING_BASE, which it answers when
 * it has finished what it was at.
 *
 * A back end with INFLIGHT_SHMFD notes in a shared file which chains it has. The file is ours to
 * keep: one that comes back gets it again, together with the rings as they are, does what was
 * left, and goes on at the used index.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "plx_log.h"
#include "vhost_user_priv.h"

PLX_LOG_USE(virtio);

/* ---- what was in flight ---- */

static void
inflight_drop(struct vhost_user *u)
{
	if (u->inflight_fd >= 0)
		close(u->inflight_fd);
	u->inflight_fd = -1;
}

static uint16_t
largest(const struct vhost_user *u)
{
	uint16_t i, size = 0;

	for (i = 0; i < u->nb_queues; i++)
		size = (uint16_t)RTE_MAX(size, u->q[i]->vq->size);
	return size;
}

static int
get_inflight(struct vhost_user *u)
{
	u->call.inflight = (struct vhu_inflight){
		.nb_queues = u->nb_queues,
		.queue_size = largest(u),
	};
	return vhu_call(u, VHU_GET_INFLIGHT_FD, sizeof(u->call.inflight), true);
}

/* We never look into it: that is between the back end and its successor. */
static int
got_inflight(struct vhost_user *u)
{
	const struct vhu_call *c = &u->call;

	if (c->reply_hdr.size != sizeof(u->inflight) || c->reply_fd < 0 ||
		c->reply_inflight.mmap_size == 0)
		return vhu_lose(u, -EPROTO, "the back end's answer to GET_INFLIGHT_FD has no file");
	u->inflight = c->reply_inflight;
	u->inflight.nb_queues = u->nb_queues;
	u->inflight.queue_size = largest(u);
	u->inflight.pad = 0;
	u->inflight_fd = c->reply_fd;
	return 0;
}

static int
set_inflight(struct vhost_user *u)
{
	u->call.inflight = u->inflight;
	return vhu_call_fd(u, VHU_SET_INFLIGHT_FD, sizeof(u->call.inflight), u->inflight_fd);
}

/* ---- one queue ---- */

static int
set_num(struct vhost_user *u)
{
	u->call.vring = (struct vhu_vring_state){u->i, u->q[u->i]->vq->size};
	return vhu_call(u, VHU_SET_VRING_NUM, sizeof(u->call.vring), false);
}

static int
set_base(struct vhost_user *u)
{
	u->call.vring = (struct vhu_vring_state){u->i, plx_virtq_base(u->q[u->i]->vq)};
	return vhu_call(u, VHU_SET_VRING_BASE, sizeof(u->call.vring), false);
}

/* Rings are named by our addresses, buffers by those of the table. */
static int
set_addr(struct vhost_user *u)
{
	const struct plx_virtq_parts *p = &u->q[u->i]->vq->parts;

	u->call.addr = (struct vhu_vring_addr){
		.index = u->i,
		.desc = (uintptr_t)p->desc,
		.avail = (uintptr_t)p->driver,
		.used = (uintptr_t)p->device,
	};
	return vhu_call(u, VHU_SET_VRING_ADDR, sizeof(u->call.addr), false);
}

static int
set_fd(struct vhost_user *u, enum vhu_request request, int fd)
{
	u->call.u64 = u->i;
	return vhu_call_fd(u, request, sizeof(u->call.u64), fd);
}

static int
set_enable(struct vhost_user *u)
{
	u->call.vring = (struct vhu_vring_state){u->i, 1};
	return vhu_call(u, VHU_SET_VRING_ENABLE, sizeof(u->call.vring), false);
}

static int
get_base(struct vhost_user *u)
{
	u->call.vring = (struct vhu_vring_state){u->i, 0};
	return vhu_call(u, VHU_GET_VRING_BASE, sizeof(u->call.vring), true);
}

static int
queue_step(struct vhost_user *u)
{
	PLX_PT_BEGIN(&u->sub);
	VHU_CALL(&u->sub, u->rc, u, set_num(u));
	VHU_OR_RETURN(&u->sub, u->rc);
	VHU_CALL(&u->sub, u->rc, u, set_base(u));
	VHU_OR_RETURN(&u->sub, u->rc);
	VHU_CALL(&u->sub, u->rc, u, set_addr(u));
	VHU_OR_RETURN(&u->sub, u->rc);
	VHU_CALL(&u->sub, u->rc, u, set_fd(u, VHU_SET_VRING_CALL, u->call_fds[u->i]));
	VHU_OR_RETURN(&u->sub, u->rc);
	VHU_CALL(&u->sub, u->rc, u, set_fd(u, VHU_SET_VRING_KICK, u->kick_fds[u->i]));
	PLX_PT_RETURN(&u->sub, u->rc);
	PLX_PT_END(&u->sub);
}

/* ---- start ---- */

/* Some back ends die of a call that they can't make: each queue has an eventfd. */
static int
make_fds(struct vhost_user *u)
{
	const int flags = EFD_NONBLOCK | EFD_CLOEXEC;
	uint16_t i;

	for (i = 0; i < u->nb_queues; i++) {
		int call = u->q[i]->call_fd;

		u->kick_fds[i] = u->q[i]->kick_fd = eventfd(0, flags);
		u->call_fds[i] = call >= 0 ? dup(call) : eventfd(0, flags);
		if (u->kick_fds[i] < 0 || u->call_fds[i] < 0)
			return -errno;
	}
	return 0;
}

/* The queues themselves may be gone: they are looked at during start only. */
void
vhu_queues_free(struct vhost_user *u)
{
	uint16_t i;

	for (i = 0; i < u->nb_queues; i++) {
		if (u->kick_fds[i] >= 0)
			close(u->kick_fds[i]);
		if (u->call_fds[i] >= 0)
			close(u->call_fds[i]);
	}
	free(u->q);
	free(u->kick_fds);
	free(u->call_fds);
	u->q = NULL;
	u->kick_fds = u->call_fds = NULL;
	u->nb_queues = u->nb_begun = 0;
}

static int
take_queues(struct vhost_user *u, struct plx_virtio_queue *const *q, uint16_t n)
{
	uint16_t i;

	u->q = calloc(n, sizeof(*u->q));
	u->kick_fds = calloc(n, sizeof(*u->kick_fds));
	u->call_fds = calloc(n, sizeof(*u->call_fds));
	if (u->q == NULL || u->kick_fds == NULL || u->call_fds == NULL) {
		vhu_queues_free(u);
		return -ENOMEM;
	}
	u->nb_queues = n;
	for (i = 0; i < n; i++) {
		u->q[i] = q[i];
		u->kick_fds[i] = u->call_fds[i] = -1;
	}
	return make_fds(u);
}

static int
inflight_step(struct vhost_user *u)
{
	PLX_PT_BEGIN(&u->sub);
	if (!vhu_has(u, VHU_P_INFLIGHT_SHMFD))
		PLX_PT_RETURN(&u->sub, 0);
	if (!u->dev.remembers)
		inflight_drop(u);
	if (u->inflight_fd < 0) {
		VHU_CALL(&u->sub, u->rc, u, get_inflight(u));
		if (u->rc == 0)
			u->rc = got_inflight(u);
		VHU_OR_RETURN(&u->sub, u->rc);
	}
	VHU_CALL(&u->sub, u->rc, u, set_inflight(u));
	PLX_PT_RETURN(&u->sub, u->rc);
	PLX_PT_END(&u->sub);
}

/* A ring starts with its first kick; what is in it already needs that, too. */
static int
start_step(struct vhost_user *u)
{
	PLX_PT_BEGIN(&u->pt);
	if (!u->mem_live)
		PLX_PT_CALL(&u->pt, u->rc, vhu_mem_tell(u), vhu_mem_tell(u));
	VHU_OR_RETURN(&u->pt, u->rc);
	PLX_PT_CALL(&u->pt, u->rc, inflight_step(u), inflight_step(u));
	VHU_OR_RETURN(&u->pt, u->rc);
	for (u->i = 0; u->i < u->nb_queues; u->i++) {
		u->nb_begun = (uint16_t)(u->i + 1);
		PLX_PT_CALL(&u->pt, u->rc, queue_step(u), queue_step(u));
		VHU_OR_RETURN(&u->pt, u->rc);
	}
	for (u->i = 0; u->i < u->nb_queues && u->protocol_on; u->i++) {
		VHU_CALL(&u->pt, u->rc, u, set_enable(u));
		VHU_OR_RETURN(&u->pt, u->rc);
	}
	for (u->i = 0; u->i < u->nb_queues; u->i++)
		vhu_notify(u->q[u->i], 0);
	PLX_PT_END(&u->pt);
}

int
vhu_start(struct plx_virtio_dev *dev, struct plx_virtio_queue *const *q, uint16_t n)
{
	struct vhost_user *u = (struct vhost_user *)dev;
	int rc;

	vhu_queues_free(u);
	rc = take_queues(u, q, n);
	u->rc = 0;
	return rc != 0 ? rc : vhu_run(u, start_step);
}

/* ---- reset ---- */

static int
reset_step(struct vhost_user *u)
{
	PLX_PT_BEGIN(&u->pt);
	for (u->i = 0; u->i < u->nb_begun; u->i++) {
		VHU_CALL(&u->pt, u->rc, u, get_base(u));
		VHU_OR_RETURN(&u->pt, u->rc);
	}
	vhu_queues_free(u);
	inflight_drop(u);
	PLX_PT_END(&u->pt);
}

int
vhu_reset(struct plx_virtio_dev *dev)
{
	return vhu_run((struct vhost_user *)dev, reset_step);
}

/* Any thread. A full eventfd has rung already. */
void
vhu_notify(struct plx_virtio_queue *q, uint16_t data)
{
	uint64_t one = 1;

	if (write(q->kick_fd, &one, sizeof(one)) < 0)
		return;
}
