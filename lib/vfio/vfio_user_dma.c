/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "plx_log.h"
#include "plx_mem.h"
#include "vfio_user_priv.h"

PLX_LOG_USE(vfio);

/*
 * What a peer can map of a file: all of it exists, and since peers round the offset down to the
 * file's block size (a huge page of hugetlbfs), it is a multiple of that.
 */
static int
check_file(const struct vfio_user *u, const struct plx_mem_seg *seg)
{
	struct stat st;
	uint64_t end;

	if (seg->fd < 0 || fstat(seg->fd, &st) != 0)
		return -EBADF;
	if (__builtin_add_overflow(seg->fd_off, seg->len, &end))
		return -EINVAL;
	if (S_ISREG(st.st_mode) && end > (uint64_t)st.st_size) {
		PLX_LOG(ERR,
			"%s: memory at %p reaches beyond the end of its file: a server would get "
			"SIGBUS; extend the file before registering",
			u->dev.name, (void *)seg->va);
		return -EINVAL;
	}
	if (st.st_blksize > 0 && seg->fd_off % (uint64_t)st.st_blksize != 0) {
		PLX_LOG(ERR,
			"%s: memory at %p begins within a block of its file: servers map whole "
			"blocks; use an offset that is a multiple of %ld",
			u->dev.name, (void *)seg->va, (long)st.st_blksize);
		return -EINVAL;
	}
	return 0;
}

static int
domain_map(void *ctx, const struct plx_mem_seg *seg, uint64_t iova)
{
	struct vfio_user *u = ctx;
	struct vfio_user_dma_map m = {
		.argsz = sizeof(m),
		.flags = VFIO_USER_DMA_MAP_READ | VFIO_USER_DMA_MAP_WRITE,
		.offset = seg->fd_off,
		.addr = iova,
		.size = seg->len,
	};
	uint64_t page = vfio_user_page(&u->caps);
	int rc;

	if (u->dma_call.state != VFIO_USER_CALL_IDLE)
		return -EBUSY;
	if (m.size == 0 || m.addr + (m.size - 1) < m.addr ||
		((m.addr | m.size | m.offset) & (page - 1)) != 0)
		return -EINVAL;
	rc = check_file(u, seg);
	if (rc != 0)
		return rc;
	memcpy(u->dma_call.req, &m, sizeof(m));
	u->dma_call.fds[0] = seg->fd;
	u->dma_call.nfds = 1;
	return vfio_user_call_begin(u, &u->dma_call, VFIO_USER_DMA_MAP, sizeof(m), 0, 0);
}

static int
domain_unmap(void *ctx, uint64_t iova, size_t len)
{
	struct vfio_user *u = ctx;
	struct vfio_user_dma_unmap m = {.argsz = sizeof(m), .addr = iova, .size = len};

	if (u->dma_call.state != VFIO_USER_CALL_IDLE)
		return -EBUSY;
	memcpy(u->dma_call.req, &m, sizeof(m));
	return vfio_user_call_begin(
		u, &u->dma_call, VFIO_USER_DMA_UNMAP, sizeof(m), sizeof(m), sizeof(m));
}

static int
domain_poll(void *ctx)
{
	struct vfio_user *u = ctx;
	struct vfio_user_call *c = &u->dma_call;
	int rc = vfio_user_call_poll(u, c);

	if (rc == 0 && c->hdr->command == VFIO_USER_DMA_UNMAP &&
		memcmp(c->req + offsetof(struct vfio_user_dma_unmap, addr),
			c->reply + offsetof(struct vfio_user_dma_unmap, addr),
			2 * sizeof(uint64_t)) != 0)
		vfio_user_lose(u, -EPROTO, "the reply to DMA_UNMAP names another range");
	return __atomic_load_n(&u->dev.lost, __ATOMIC_RELAXED) != 0 ? -ENODEV : rc;
}

static const struct plx_mem_domain_ops domain_ops = {
	.map = domain_map,
	.unmap = domain_unmap,
	.poll = domain_poll,
};

int
vfio_user_domain_create(struct vfio_user *u)
{
	uint64_t page = vfio_user_page(&u->caps);
	const uint64_t ours = (uint64_t)sysconf(_SC_PAGESIZE);

	return plx_mem_domain_create(
		&(struct plx_mem_domain_conf){
			.name = u->dev.name,
			.ops = &domain_ops,
			.ctx = u,
			.max_maps = u->caps.max_dma_maps,
			.min_page = page > ours ? page : ours,
			.need_fd = true,
		},
		&u->dev.domain);
}

int
vfio_user_serve(struct vfio_user *u, uint32_t n, uint8_t *out)
{
	const bool write = u->rx.hdr.command == VFIO_USER_DMA_WRITE;
	struct vfio_user_dma_access a;
	int rc;

	if ((!write && u->rx.hdr.command != VFIO_USER_DMA_READ) || n < sizeof(a))
		return -EINVAL;
	memcpy(&a, u->rx.cmd, sizeof(a));
	if (a.count > VFIO_USER_OUR_XFER || n - sizeof(a) != (write ? a.count : 0))
		return -EINVAL;
	if (u->dev.domain == NULL)
		return -EFAULT;
	/* memory that was freed or unregistered is out of reach at once, before the server is told
	 */
	rc = plx_mem_domain_copy(u->dev.domain, a.addr,
		write ? u->rx.cmd + sizeof(a) : out + sizeof(a), a.count, write);
	if (rc != 0)
		return rc;
	memcpy(out, &a, sizeof(a));
	return (int)(sizeof(a) + (write ? 0 : a.count));
}
