/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <linux/vfio.h>

#include "plx_log.h"
#include "vfio_user_priv.h"

PLX_LOG_USE(vfio);

int
vfio_user_answer(struct vfio_user *u, int (*got)(struct vfio_user *u, int rc))
{
	int rc = vfio_user_call_poll(u, &u->call);

	if (rc == -EINPROGRESS)
		return rc;
	if (__atomic_load_n(&u->dev.lost, __ATOMIC_RELAXED) == 0)
		rc = got(u, rc);
	vfio_user_call_drop_fds(&u->call);
	u->call.want_fds = false;
	return rc;
}

/* The operation's function goes on where it waited. */
static int
run(struct vfio_user *u)
{
	bool opening = !u->opened;
	int rc = u->op(u);

	if (rc == -EINPROGRESS)
		return rc;
	u->op = NULL;
	free(u->acc.data);
	u->acc.data = NULL;
	free(u->irq.fds);
	u->irq.fds = NULL;
	if (!opening && __atomic_load_n(&u->dev.lost, __ATOMIC_RELAXED) != 0)
		rc = -ENODEV;
	return rc;
}

static int
user_poll(struct plx_vfio_dev *dev)
{
	struct vfio_user *u = (struct vfio_user *)dev;

	if (u->op != NULL)
		return run(u);
	vfio_user_pump(u);
	return __atomic_load_n(&dev->lost, __ATOMIC_RELAXED) != 0 ? -ENODEV : 0;
}

/* ---- region access, in pieces that fit into one message ---- */

static uint32_t
piece_len(const struct vfio_user *u)
{
	uint32_t n = u->acc.len - u->acc.done;
	uint32_t max = u->caps.max_data_xfer_size;

	if (max > VFIO_USER_CHUNK)
		max = VFIO_USER_CHUNK;
	/* a register is never cut */
	max &= ~7u;
	return n < max ? n : max;
}

static int
begin_access(struct vfio_user *u, uint16_t command)
{
	struct vfio_user_region_access *q = (struct vfio_user_region_access *)u->call.req;
	uint32_t n = piece_len(u), out = sizeof(*q), back = sizeof(*q);

	q->offset = u->acc.off + u->acc.done;
	q->region = u->acc.region;
	q->count = n;
	if (command == VFIO_USER_REGION_WRITE) {
		memcpy(q + 1, u->acc.data + u->acc.done, n);
		out += n;
	} else {
		back += n;
	}
	return vfio_user_call_begin(u, &u->call, command, out, back, back);
}

static int
got_access(struct vfio_user *u, int rc)
{
	const struct vfio_user_region_access *a =
		(const struct vfio_user_region_access *)u->call.reply;
	uint16_t command = u->call.hdr->command;
	uint32_t n = piece_len(u);

	if (rc != 0) {
		PLX_LOG(ERR, "%s: %s refused, region %u offset 0x%llx, %u bytes: %s", u->dev.name,
			vfio_user_command_name(command), u->acc.region,
			(unsigned long long)u->acc.off + u->acc.done, n, strerror(-rc));
		return -EIO;
	}
	if (memcmp(a, u->call.req, sizeof(*a)) != 0)
		return vfio_user_lose(u, -EPROTO, "the reply to %s names another access",
			vfio_user_command_name(command));
	if (command == VFIO_USER_REGION_READ)
		memcpy(u->acc.buf + u->acc.done, a + 1, n);
	u->acc.done += n;
	return 0;
}

static int
op_access(struct vfio_user *u, uint16_t command)
{
	PLX_PT_BEGIN(&u->pt);
	while (u->acc.done < u->acc.len) {
		PLX_PT_CALL(
			&u->pt, u->rc, begin_access(u, command), vfio_user_answer(u, got_access));
		if (u->rc != 0)
			PLX_PT_RETURN(&u->pt, u->rc);
	}
	PLX_PT_END(&u->pt);
}

static int
op_read(struct vfio_user *u)
{
	return op_access(u, VFIO_USER_REGION_READ);
}

static int
op_write(struct vfio_user *u)
{
	return op_access(u, VFIO_USER_REGION_WRITE);
}

static int
begin_op(struct vfio_user *u, int (*op)(struct vfio_user *u))
{
	u->op = op;
	u->pt = (struct plx_pt){0};
	return run(u);
}

static void
set_access(struct vfio_user *u, unsigned int region, uint64_t off, uint32_t len)
{
	u->acc.region = region;
	u->acc.off = off;
	u->acc.len = len;
	u->acc.done = 0;
}

static int
user_region_read(
	struct plx_vfio_dev *dev, unsigned int region, uint64_t off, void *buf, uint32_t len)
{
	struct vfio_user *u = (struct vfio_user *)dev;

	set_access(u, region, off, len);
	u->acc.buf = buf;
	return begin_op(u, op_read);
}

static int
user_region_write(
	struct plx_vfio_dev *dev, unsigned int region, uint64_t off, const void *buf, uint32_t len)
{
	struct vfio_user *u = (struct vfio_user *)dev;

	u->acc.data = malloc(len);
	if (u->acc.data == NULL)
		return -ENOMEM;
	memcpy(u->acc.data, buf, len);
	set_access(u, region, off, len);
	return begin_op(u, op_write);
}

/* ---- interrupts ---- */

/* How many of the next vectors one message takes: alike, wired or not, and no more descriptors
 * than the server receives at once. */
static unsigned int
irq_run(const struct vfio_user *u)
{
	const int *fds = u->irq.fds;
	unsigned int first = u->irq.done, max = u->irq.n, i;

	if (first == max)
		return 0;
	if (fds[first] >= 0) {
		if (max > first + u->caps.max_msg_fds)
			max = first + u->caps.max_msg_fds;
		if (max > first + VFIO_USER_OUR_FDS)
			max = first + VFIO_USER_OUR_FDS;
	}
	for (i = first; i < max && (fds[i] >= 0) == (fds[first] >= 0); i++)
		;
	return i - first;
}

static int
begin_irqs(struct vfio_user *u)
{
	struct vfio_user_irq_set *q = (struct vfio_user_irq_set *)u->call.req;
	unsigned int i;

	u->irq.now = irq_run(u);
	*q = (struct vfio_user_irq_set){
		.argsz = sizeof(*q),
		.flags = VFIO_IRQ_SET_ACTION_TRIGGER |
			 (u->irq.n == 0 ? VFIO_IRQ_SET_DATA_NONE : VFIO_IRQ_SET_DATA_EVENTFD),
		.index = u->irq.index,
		.start = u->irq.start + u->irq.done,
		.count = u->irq.now,
	};
	u->call.nfds = 0;
	for (i = 0; i < u->irq.now && u->irq.fds[u->irq.done + i] >= 0; i++)
		u->call.fds[u->call.nfds++] = u->irq.fds[u->irq.done + i];
	return vfio_user_call_begin(u, &u->call, VFIO_USER_DEVICE_SET_IRQS, sizeof(*q), 0, 0);
}

static int
got_irqs(struct vfio_user *u, int rc)
{
	if (rc != 0)
		PLX_LOG(ERR, "%s: SET_IRQS refused, index %u from vector %u: %s", u->dev.name,
			u->irq.index, u->irq.start + u->irq.done, strerror(-rc));
	u->irq.done += u->irq.now;
	return rc;
}

static int
op_irqs(struct vfio_user *u)
{
	PLX_PT_BEGIN(&u->pt);
	do {
		PLX_PT_CALL(&u->pt, u->rc, begin_irqs(u), vfio_user_answer(u, got_irqs));
		if (u->rc != 0)
			PLX_PT_RETURN(&u->pt, u->rc);
	} while (u->irq.done < u->irq.n);
	PLX_PT_END(&u->pt);
}

static int
user_irq_set(struct plx_vfio_dev *dev, unsigned int index, unsigned int start, const int *fds,
	unsigned int n)
{
	struct vfio_user *u = (struct vfio_user *)dev;

	if (n > 0) {
		u->irq.fds = malloc(n * sizeof(*fds));
		if (u->irq.fds == NULL)
			return -ENOMEM;
		memcpy(u->irq.fds, fds, n * sizeof(*fds));
	}
	u->irq.index = index;
	u->irq.start = start;
	u->irq.n = n;
	u->irq.done = 0;
	return begin_op(u, op_irqs);
}

/* ---- reset ---- */

static int
begin_reset(struct vfio_user *u)
{
	return vfio_user_call_begin(u, &u->call, VFIO_USER_DEVICE_RESET, 0, 0, 0);
}

static int
got_reset(struct vfio_user *u, int rc)
{
	if (rc != 0)
		PLX_LOG(ERR, "%s: the server refuses to reset it: %s", u->dev.name, strerror(-rc));
	return rc;
}

static int
op_reset(struct vfio_user *u)
{
	PLX_PT_BEGIN(&u->pt);
	PLX_PT_CALL(&u->pt, u->rc, begin_reset(u), vfio_user_answer(u, got_reset));
	PLX_PT_RETURN(&u->pt, u->rc);
	PLX_PT_END(&u->pt);
}

static int
user_reset(struct plx_vfio_dev *dev)
{
	return begin_op((struct vfio_user *)dev, op_reset);
}

const struct plx_vfio_ops vfio_user_ops = {
	.name = "vfio-user",
	.poll = user_poll,
	.region_read = user_region_read,
	.region_write = user_region_write,
	.region_post = vfio_user_post,
	.irq_set = user_irq_set,
	.reset = user_reset,
	.reconnect = vfio_user_reconnect,
	.close = vfio_user_close,
};
