/* SPDX-License-Identifier: BSD-3-Clause */
/* A served device: creation, the client's coming and going, dispatch of commands. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <rte_common.h>

#include "plx_log.h"
#include "vfu_priv.h"

PLX_LOG_TYPE(vfu, NOTICE);

#define MAX_TURN 32 /* commands answered in one poll */

static time_t
now_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec;
}

static int
device_reset(struct plx_vfu *v, struct vfu_msg *m)
{
	int rc = 0;

	if (v->ops->reset != NULL)
		rc = v->ops->reset(v->arg, false);
	if (rc == 0 && vfu_reply(v, 0) == NULL)
		return -ENOMEM;
	return rc;
}

/* What isn't here is refused with EINVAL: migration, dirty logging, the server's own commands. */
static const struct {
	int (*handle)(struct plx_vfu *v, struct vfu_msg *m);
	uint32_t min; /* bytes of payload; more are accepted */
} commands[] = {
	[VFIO_USER_VERSION] = {vfu_version, sizeof(struct vfio_user_version)},
	[VFIO_USER_DMA_MAP] = {vfu_dma_map, sizeof(struct vfio_user_dma_map)},
	[VFIO_USER_DMA_UNMAP] = {vfu_dma_unmap, sizeof(struct vfio_user_dma_unmap)},
	[VFIO_USER_DEVICE_GET_INFO] = {vfu_get_info, sizeof(struct vfio_user_device_info)},
	[VFIO_USER_DEVICE_GET_REGION_INFO] = {vfu_region_info,
		sizeof(struct vfio_user_region_info)},
	[VFIO_USER_DEVICE_GET_REGION_IO_FDS] = {vfu_region_io_fds,
		sizeof(struct vfio_user_region_io_fds)},
	[VFIO_USER_DEVICE_GET_IRQ_INFO] = {vfu_irq_info, sizeof(struct vfio_user_irq_info)},
	[VFIO_USER_DEVICE_SET_IRQS] = {vfu_set_irqs, sizeof(struct vfio_user_irq_set)},
	[VFIO_USER_REGION_READ] = {vfu_region_read, sizeof(struct vfio_user_region_access)},
	[VFIO_USER_REGION_WRITE] = {vfu_region_write, sizeof(struct vfio_user_region_access)},
	[VFIO_USER_DEVICE_RESET] = {device_reset, 0},
	[VFIO_USER_REGION_WRITE_MULTI] = {vfu_region_write_multi,
		sizeof(struct vfio_user_region_write_multi)},
};

static int
run_handler(struct plx_vfu *v)
{
	struct vfu_msg *m = &v->msg;
	uint16_t cmd = m->hdr.command;

	if (v->state == VFU_HELLO && cmd != VFIO_USER_VERSION)
		return -EINVAL;
	if (cmd >= RTE_DIM(commands) || commands[cmd].handle == NULL || m->len < commands[cmd].min)
		return -EINVAL;
	return commands[cmd].handle(v, m);
}

static const char *
why_text(int why)
{
	switch (why) {
	case -EFAULT:
		return "memory that it shared is gone: truncated, or of huge pages that ran out";
	case -EPROTO:
		return "it doesn't keep to the vfio-user protocol";
	case -ETIMEDOUT:
		return "it said nothing";
	case -EMFILE:
		return "more file descriptors than can be taken (see ulimit -n)";
	default:
		return strerror(-why);
	}
}

/* The connection is of no use any more; the device model is asked to let go, see leave(). */
static void
drop_client(struct plx_vfu *v, int why)
{
	if (why == -ENOTCONN || why == -ECONNRESET || why == -EPIPE)
		PLX_LOG(INFO, "vfio-user:%s: the client left", v->path);
	else
		PLX_LOG(WARNING, "vfio-user:%s: client dropped: %s", v->path, why_text(why));
	close(v->fd);
	v->fd = -1;
	vfu_msg_clear(&v->msg);
	v->out.end = v->out.sent = 0;
	v->busy = v->close_after = false;
	/* before VERSION it got nothing that would have to go */
	v->dma_let_go = v->was_reset = v->state == VFU_HELLO;
	v->state = VFU_LEAVING;
}

/* 0 ready for the next client, or -EINPROGRESS */
static int
leave(struct plx_vfu *v)
{
	int rc;

	if (!v->dma_let_go && v->ops->dma_gone != NULL &&
		v->ops->dma_gone(v->arg, 0, 0) == -EINPROGRESS)
		return -EINPROGRESS;
	v->dma_let_go = true;
	if (!v->was_reset && v->ops->reset != NULL && v->ops->reset(v->arg, true) == -EINPROGRESS)
		return -EINPROGRESS;
	v->was_reset = true;
	vfu_dma_clear(v);
	vfu_irqs_reset(v);
	vfu_cfg_reset(v);
	__atomic_store_n(&v->gone, 0, __ATOMIC_RELAXED);
	rc = vfu_bars_renew(v);
	if (rc != 0) {
		if (!v->warned)
			PLX_LOG(ERR, "vfio-user:%s: no memory for the next client, trying on: %s",
				v->path, strerror(-rc));
		v->warned = true;
		return -EINPROGRESS;
	}
	v->warned = false;
	free(v->msg.body);
	free(v->out.buf);
	v->msg.body = v->out.buf = NULL;
	v->in_room = v->out.room = 0;
	v->state = VFU_LISTENING;
	return 0;
}

/* Answer the command in v->msg with what its handler said. */
static void
answer(struct plx_vfu *v, int rc)
{
	struct vfio_user_header h = v->msg.hdr;
	bool quiet = (h.flags & VFIO_USER_F_NO_REPLY) != 0;

	if (v->state == VFU_HELLO) /* VERSION failed: there is nothing to go on with */
		v->close_after = true;
	h.flags = VFIO_USER_F_TYPE_REPLY;
	h.error_no = 0;
	if (rc != 0) {
		h.flags |= VFIO_USER_F_ERROR;
		h.error_no = (uint32_t)-rc;
		if (vfu_reply(v, 0) == NULL)
			v->close_after = quiet = true;
	}
	h.msg_size = (uint32_t)v->out.len;
	if (!quiet) {
		memcpy(v->out.buf, &h, sizeof(h));
		v->out.end = v->out.len;
	}
	vfu_msg_clear(&v->msg);
	v->busy = false;
}

/* One step with the client: send, handle or receive. 1 a command was handled, 0 nothing to do
 * now, -errno drop it */
static int
serve(struct plx_vfu *v)
{
	int rc = vfu_flush(v);

	if (rc != 0)
		return rc == -EAGAIN ? 0 : rc;
	if (v->close_after)
		return -EPROTO;
	if (!v->busy) {
		rc = vfu_recv(v);
		if (rc <= 0)
			return rc;
		v->busy = true;
	}
	rc = run_handler(v);
	if (rc == -EINPROGRESS)
		return 0;
	answer(v, rc);
	rc = vfu_flush(v);
	return rc != 0 && rc != -EAGAIN ? rc : 1;
}

static int
hello_overdue(const struct plx_vfu *v)
{
	return v->state == VFU_HELLO && now_s() > v->hello_until ? -ETIMEDOUT : 0;
}

int
plx_vfu_poll(struct plx_vfu *v)
{
	int n = 0, rc = 1;

	if (v->state == VFU_LEAVING && leave(v) != 0)
		return 0;
	if (v->state == VFU_LISTENING) {
		if (vfu_accept(v) == 0)
			return 0;
		v->state = VFU_HELLO;
		v->hello_until = now_s() + VFU_HELLO_S;
	}
	if (v->intx_unmask >= 0 && v->intx.masked)
		vfu_intx_poll_unmask(v);
	for (; n < MAX_TURN && rc > 0; n += rc > 0) {
		/* the client truncated its memory while it was in use */
		rc = __atomic_load_n(&v->gone, __ATOMIC_ACQUIRE) != 0 ? -EFAULT : serve(v);
	}
	if (rc == 0)
		rc = hello_overdue(v);
	if (rc < 0)
		drop_client(v, rc);
	return n;
}

bool
plx_vfu_connected(const struct plx_vfu *v)
{
	return v->fd >= 0;
}

static bool
bar_valid(const struct plx_vfu_region *r)
{
	return r->size <= 1ull << 40 && r->map_size <= r->size &&
	       r->map_off <= r->size - r->map_size &&
	       ((r->map_off | r->map_size) & (VFU_PGSIZE - 1)) == 0;
}

/* BAR sizes are powers of two; table and PBA each get pages of their own behind what the device
 * model has there. */
static int
lay_out_bars(struct plx_vfu *v, const struct plx_vfu_conf *conf)
{
	struct vfu_bar *bar;
	uint64_t size;
	unsigned int i;

	for (i = 0; i < RTE_DIM(v->bars); i++) {
		bar = &v->bars[i];
		bar->fd = -1;
		if (!bar_valid(&conf->bars[i]))
			return -EINVAL;
		size = bar->dev_size = conf->bars[i].size;
		bar->map_off = conf->bars[i].map_off;
		bar->map_size = conf->bars[i].map_size;
		if (conf->msix_count != 0 && i == conf->msix_bar) {
			v->table_off = RTE_ALIGN_CEIL(size, VFU_PGSIZE);
			v->pba_off =
				RTE_ALIGN_CEIL(v->table_off + conf->msix_count * 16ull, VFU_PGSIZE);
			v->pba_end = v->pba_off + (conf->msix_count + 63u) / 64 * 8;
			size = v->pba_end;
		}
		if (size != 0)
			bar->size = RTE_MAX(rte_align64pow2(size), (uint64_t)VFU_PGSIZE);
	}
	return 0;
}

static int
init(struct plx_vfu *v, const struct plx_vfu_conf *conf)
{
	struct stat st;
	int n;

	v->fd = v->listen_fd = -1;
	v->ops = conf->ops;
	v->arg = conf->arg;
	v->ids[0] = conf->vendor;
	v->ids[1] = conf->device;
	v->ids[2] = conf->subvendor;
	v->ids[3] = conf->subdevice;
	v->class_code = conf->class_code;
	v->msix_count = conf->msix_count;
	v->msix_bar = conf->msix_bar;
	v->out.fd = -1;
	if (conf->msix_count > 2048 || conf->msix_bar >= RTE_DIM(v->bars) ||
		lay_out_bars(v, conf) != 0) {
		PLX_LOG(ERR, "vfio-user:%s: invalid BARs or MSI-X vectors", conf->path);
		return -EINVAL;
	}
	n = snprintf(v->path, sizeof(v->path), "%s%s", conf->path,
		stat(conf->path, &st) == 0 && S_ISDIR(st.st_mode) ? "/cntrl" : "");
	if (n < 1 || n >= (int)sizeof(v->path)) {
		PLX_LOG(ERR, "vfio-user:%s: a socket's path has 1 to %zu characters", conf->path,
			sizeof(v->path) - 1);
		return n < 1 ? -EINVAL : -ENAMETOOLONG;
	}
	return 0;
}

int
plx_vfu_create(const struct plx_vfu_conf *conf, struct plx_vfu **vfu)
{
	struct plx_vfu *v;
	int rc;

	v = calloc(1, sizeof(*v));
	if (v == NULL)
		return -ENOMEM;
	rc = init(v, conf);
	if (rc != 0)
		goto free_v;
	rc = vfu_irqs_init(v);
	if (rc == 0)
		rc = vfu_bars_renew(v);
	if (rc != 0) {
		PLX_LOG(ERR, "vfio-user:%s: no memory for BARs: %s", v->path, strerror(-rc));
		goto free_parts;
	}
	vfu_cfg_reset(v);
	rc = vfu_listen(v);
	if (rc != 0)
		goto free_parts;
	*vfu = v;
	return 0;
free_parts:
	vfu_bars_free(v);
	vfu_irqs_free(v);
free_v:
	free(v);
	return rc;
}

void
plx_vfu_destroy(struct plx_vfu *v)
{
	if (v == NULL)
		return;
	vfu_unlisten(v);
	if (v->fd >= 0)
		close(v->fd);
	vfu_msg_clear(&v->msg);
	vfu_dma_clear(v);
	vfu_bars_free(v);
	vfu_irqs_free(v);
	free(v->msg.body);
	free(v->out.buf);
	free(v);
}
