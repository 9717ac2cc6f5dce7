/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The memory table. The domain's mappings are noted here; from the first start on the back end has
 * them, and is told of each change as it is made: region by region where it can
 * (CONFIGURE_MEM_SLOTS), else the whole table again. Nothing of this runs in a memory event.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "plx_log.h"
#include "plx_mem.h"
#include "vhost_user_priv.h"

PLX_LOG_USE(virtio);

static int
call_table(struct vhost_user *u)
{
	struct vhu_call *c = &u->call;
	uint32_t i;

	c->table = (struct vhu_mem_table){.n = u->nb_mem};
	for (i = 0; i < u->nb_mem; i++) {
		c->table.r[i] = u->mem[i].r;
		c->fds[i] = u->mem[i].fd;
	}
	c->nfds = u->nb_mem;
	return vhu_call(u, VHU_SET_MEM_TABLE,
		(uint32_t)(offsetof(struct vhu_mem_table, r) + u->nb_mem * sizeof(c->table.r[0])),
		false);
}

static int
call_region(struct vhost_user *u, enum vhu_request request, const struct vhu_mem *m)
{
	u->call.reg = (struct vhu_mem_reg){.r = m->r};
	if (request == VHU_ADD_MEM_REG)
		return vhu_call_fd(u, request, sizeof(u->call.reg), m->fd);
	return vhu_call(u, request, sizeof(u->call.reg), false);
}

static int
tell_step(struct vhost_user *u)
{
	PLX_PT_BEGIN(&u->sub);
	if (!vhu_has(u, VHU_P_CONFIGURE_MEM_SLOTS)) {
		VHU_CALL(&u->sub, u->rc, u, call_table(u));
		PLX_PT_RETURN(&u->sub, u->rc);
	}
	for (u->i = 0; u->i < u->nb_mem; u->i++) {
		VHU_CALL(&u->sub, u->rc, u, call_region(u, VHU_ADD_MEM_REG, &u->mem[u->i]));
		VHU_OR_RETURN(&u->sub, u->rc);
	}
	PLX_PT_END(&u->sub);
}

int
vhu_mem_tell(struct vhost_user *u)
{
	int rc = tell_step(u);

	u->mem_telling = rc == -EINPROGRESS;
	u->mem_live |= rc == 0;
	return rc;
}

void
vhu_mem_lost(struct vhost_user *u)
{
	u->nb_mem = 0;
	u->mem_live = u->mem_telling = false;
	u->mem_step = NULL;
	u->mem_pt = (struct plx_pt){0};
	plx_mem_domain_lost(u->dev.domain);
}

/* ---- the domain ---- */

static int
add_step(struct vhost_user *u)
{
	PLX_PT_BEGIN(&u->mem_pt);
	PLX_PT_WAIT(&u->mem_pt, !u->mem_telling);
	u->mem[u->nb_mem++] = u->mem_change;
	if (!u->mem_live)
		PLX_PT_RETURN(&u->mem_pt, 0);
	if (vhu_has(u, VHU_P_CONFIGURE_MEM_SLOTS))
		VHU_CALL(&u->mem_pt, u->mem_rc, u, call_region(u, VHU_ADD_MEM_REG, &u->mem_change));
	else
		VHU_CALL(&u->mem_pt, u->mem_rc, u, call_table(u));
	if (u->mem_rc != 0)
		u->nb_mem--;
	PLX_PT_RETURN(&u->mem_pt, u->mem_rc);
	PLX_PT_END(&u->mem_pt);
}

static int
remove_step(struct vhost_user *u)
{
	uint32_t i;

	PLX_PT_BEGIN(&u->mem_pt);
	PLX_PT_WAIT(&u->mem_pt, !u->mem_telling);
	for (i = 0; i < u->nb_mem && u->mem[i].r.gpa != u->mem_change.r.gpa; i++)
		;
	if (i == u->nb_mem)
		PLX_PT_RETURN(&u->mem_pt, -ENOENT);
	u->mem_change = u->mem[i];
	u->mem[i] = u->mem[--u->nb_mem];
	if (!u->mem_live)
		PLX_PT_RETURN(&u->mem_pt, 0);
	if (vhu_has(u, VHU_P_CONFIGURE_MEM_SLOTS))
		VHU_CALL(&u->mem_pt, u->mem_rc, u, call_region(u, VHU_REM_MEM_REG, &u->mem_change));
	else
		VHU_CALL(&u->mem_pt, u->mem_rc, u, call_table(u));
	PLX_PT_RETURN(&u->mem_pt, u->mem_rc);
	PLX_PT_END(&u->mem_pt);
}

static int
mem_run(struct vhost_user *u, int (*step)(struct vhost_user *))
{
	int rc = step(u);

	u->mem_step = step;
	if (rc != -EINPROGRESS)
		u->mem_step = NULL;
	return rc;
}

static int
domain_map(void *ctx, const struct plx_mem_seg *seg, uint64_t iova)
{
	struct vhost_user *u = ctx;

	if (u->mem_step != NULL)
		return -EBUSY;
	u->mem_change = (struct vhu_mem){
		.r = {.gpa = iova, .size = seg->len, .uaddr = seg->va, .mmap_offset = seg->fd_off},
		.fd = seg->fd,
	};
	return mem_run(u, add_step);
}

static int
domain_unmap(void *ctx, uint64_t iova, size_t len)
{
	struct vhost_user *u = ctx;

	if (u->mem_step != NULL)
		return -EBUSY;
	u->mem_change = (struct vhu_mem){.r.gpa = iova};
	return mem_run(u, remove_step);
}

static int
domain_poll(void *ctx)
{
	struct vhost_user *u = ctx;
	int rc;

	if (u->mem_step == NULL)
		return -ENODEV;
	rc = u->mem_step(u);
	if (rc != -EINPROGRESS)
		u->mem_step = NULL;
	return rc;
}

static const struct plx_mem_domain_ops domain_ops = {
	.map = domain_map,
	.unmap = domain_unmap,
	.poll = domain_poll,
};

int
vhu_domain_create(struct vhost_user *u)
{
	uint32_t max = (uint32_t)RTE_MIN(u->mem_slots, (uint64_t)VHU_SLOTS_MAX);

	u->mem = calloc(max, sizeof(*u->mem));
	if (u->mem == NULL)
		return -ENOMEM;
	return plx_mem_domain_create(
		&(struct plx_mem_domain_conf){
			.name = u->dev.name,
			.ops = &domain_ops,
			.ctx = u,
			.max_maps = max,
			.min_page = (uint64_t)sysconf(_SC_PAGESIZE),
			.need_fd = true,
		},
		&u->dev.domain);
}
