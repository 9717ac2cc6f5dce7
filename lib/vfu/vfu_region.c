/* SPDX-License-Identifier: BSD-3-Clause */
/* Device and region info, region accesses, the memory of mappable BARs. */
#include <errno.h>
#include <fcntl.h>
#include <linux/vfio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <rte_common.h>

#include "vfu_priv.h"

int
vfu_get_info(struct plx_vfu *v, struct vfu_msg *m)
{
	struct vfio_user_device_info info, *out;

	memcpy(&info, m->body, sizeof(info));
	if (info.argsz < sizeof(info))
		return -EINVAL;
	out = vfu_reply(v, sizeof(info));
	if (out == NULL)
		return -ENOMEM;
	info = (struct vfio_user_device_info){
		.argsz = sizeof(info),
		.flags = VFIO_DEVICE_FLAGS_RESET | VFIO_DEVICE_FLAGS_PCI,
		.num_regions = VFU_NB_REGIONS,
		.num_irqs = VFU_NB_IRQS,
	};
	memcpy(out, &info, sizeof(info));
	return 0;
}

static uint64_t
region_size(const struct plx_vfu *v, uint32_t region)
{
	if (region < RTE_DIM(v->bars))
		return v->bars[region].size;
	return region == VFIO_PCI_CONFIG_REGION_INDEX ? VFU_CFG_SIZE : 0;
}

/* The one capability: a single sparse area. @return its bytes */
static uint32_t
put_sparse(uint8_t *out, const struct vfu_bar *bar)
{
	const struct vfio_user_cap_sparse cap = {
		.header = {.id = VFIO_REGION_INFO_CAP_SPARSE_MMAP, .version = 1}, .nr_areas = 1};
	const struct vfio_user_sparse_area area = {bar->map_off, bar->map_size};

	memcpy(out, &cap, sizeof(cap));
	memcpy(out + sizeof(cap), &area, sizeof(area));
	return sizeof(cap) + sizeof(area);
}

/* The sparse capability and the file travel only to who has room for the capability. */
int
vfu_region_info(struct plx_vfu *v, struct vfu_msg *m)
{
	struct vfio_user_region_info info;
	const struct vfu_bar *bar = NULL;
	uint8_t caps[sizeof(struct vfio_user_cap_sparse) + sizeof(struct vfio_user_sparse_area)];
	uint32_t room, len = sizeof(info);
	uint8_t *out;

	memcpy(&info, m->body, sizeof(info));
	if (info.argsz < sizeof(info) || info.index >= VFU_NB_REGIONS)
		return -EINVAL;
	room = info.argsz;
	info = (struct vfio_user_region_info){.argsz = len, .index = info.index};
	info.size = region_size(v, info.index);
	if (info.size != 0)
		info.flags = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE;
	if (info.index < RTE_DIM(v->bars) && v->bars[info.index].map_size != 0 && v->peer_fds != 0)
		bar = &v->bars[info.index];
	if (bar != NULL) {
		info.flags |= VFIO_REGION_INFO_FLAG_MMAP;
		info.argsz += put_sparse(caps, bar);
	}
	/* without room for them there is no offset either, and QEMU takes the flag alone for an
	 * error */
	if (bar != NULL && room >= info.argsz) {
		len = info.argsz;
		info.flags |= VFIO_REGION_INFO_FLAG_CAPS;
		info.cap_offset = sizeof(info);
	}
	out = vfu_reply(v, len);
	if (out == NULL)
		return -ENOMEM;
	memcpy(out, &info, sizeof(info));
	if (info.cap_offset != 0) {
		memcpy(out + sizeof(info), caps, sizeof(caps));
		v->out.fd = bar->fd;
	}
	return 0;
}

/* None are offered; the client uses messages, or the mapping. */
int
vfu_region_io_fds(struct plx_vfu *v, struct vfu_msg *m)
{
	struct vfio_user_region_io_fds req;
	void *out;

	memcpy(&req, m->body, sizeof(req));
	if (req.argsz < sizeof(req) || req.flags != 0 || req.count != 0 ||
		req.index >= VFU_NB_REGIONS)
		return -EINVAL;
	out = vfu_reply(v, sizeof(req));
	if (out == NULL)
		return -ENOMEM;
	req.argsz = sizeof(req);
	memcpy(out, &req, sizeof(req));
	return 0;
}

/* Registers that the client could have mapped: the store must not be torn. */
static void
mem_access(uint8_t *mem, uint8_t *buf, uint32_t len, bool write)
{
	uint32_t v32;

	if (len == 4 && ((uintptr_t)mem & 3) == 0) {
		memcpy(&v32, buf, 4);
		if (write)
			__atomic_store_n((uint32_t *)mem, v32, __ATOMIC_RELEASE);
		else
			v32 = __atomic_load_n((uint32_t *)mem, __ATOMIC_ACQUIRE);
		memcpy(buf, &v32, 4);
	} else if (write) {
		memcpy(mem, buf, len);
	} else {
		memcpy(buf, mem, len);
	}
}

/*
 * A BAR holds up to four kinds of addresses: the device model's, those that are shared memory,
 * MSI-X table and PBA, and padding, which reads as zero. One step of an access stays in one
 * kind. @return bytes done, or -errno
 */
static int64_t
bar_step(struct plx_vfu *v, uint32_t region, uint64_t off, uint8_t *buf, uint32_t len, bool write)
{
	struct vfu_bar *bar = &v->bars[region];
	bool msix = v->msix_count != 0 && region == v->msix_bar;
	uint64_t end;
	int rc = -EINVAL;

	if (off - bar->map_off < bar->map_size) {
		len = (uint32_t)RTE_MIN(len, bar->map_off + bar->map_size - off);
		mem_access((uint8_t *)bar->mem + (off - bar->map_off), buf, len, write);
		return len;
	}
	if (off < bar->dev_size) {
		end = off < bar->map_off && bar->map_size != 0 ? bar->map_off : bar->dev_size;
		len = (uint32_t)RTE_MIN(len, end - off);
		if (write && v->ops->write != NULL)
			rc = v->ops->write(v->arg, region, off, buf, len);
		else if (!write && v->ops->read != NULL)
			rc = v->ops->read(v->arg, region, off, buf, len);
		return rc < 0 ? rc : (int64_t)len;
	}
	if (msix && off >= v->table_off) {
		if (write)
			vfu_msix_write(v, off, buf, len);
		else
			vfu_msix_read(v, off, buf, len);
		return len;
	}
	end = msix ? v->table_off : bar->size;
	len = (uint32_t)RTE_MIN(len, end - off);
	if (!write)
		memset(buf, 0, len);
	return len;
}

/* buf of a write is the message's own, or a copy. */
static int
region_access(
	struct plx_vfu *v, uint32_t region, uint64_t off, uint8_t *buf, uint32_t len, bool write)
{
	uint64_t size = region_size(v, region);
	int64_t n;

	if (size == 0 || off > size || len > size - off)
		return -EINVAL;
	if (region == VFIO_PCI_CONFIG_REGION_INDEX) {
		if (write)
			return vfu_cfg_write(v, off, buf, len);
		vfu_cfg_read(v, off, buf, len);
		return 0;
	}
	while (len > 0) {
		n = bar_step(v, region, off, buf, len, write);
		if (n < 0)
			return (int)n;
		off += (uint64_t)n;
		buf += n;
		len -= (uint32_t)n;
	}
	return 0;
}

int
vfu_region_read(struct plx_vfu *v, struct vfu_msg *m)
{
	struct vfio_user_region_access req;
	uint8_t *out;

	memcpy(&req, m->body, sizeof(req));
	if (req.count > VFU_MAX_XFER || req.count > region_size(v, req.region))
		return -EINVAL;
	out = vfu_reply(v, sizeof(req) + req.count);
	if (out == NULL)
		return -ENOMEM;
	memcpy(out, &req, sizeof(req));
	return region_access(v, req.region, req.offset, out + sizeof(req), req.count, false);
}

int
vfu_region_write(struct plx_vfu *v, struct vfu_msg *m)
{
	struct vfio_user_region_access req;
	void *out;
	int rc;

	memcpy(&req, m->body, sizeof(req));
	if (req.count != m->len - sizeof(req))
		return -EINVAL;
	rc = region_access(v, req.region, req.offset, m->body + sizeof(req), req.count, true);
	if (rc != 0)
		return rc;
	out = vfu_reply(v, sizeof(req));
	if (out == NULL)
		return -ENOMEM;
	memcpy(out, &req, sizeof(req));
	return 0;
}

int
vfu_region_write_multi(struct plx_vfu *v, struct vfu_msg *m)
{
	struct vfio_user_region_write_multi req;
	struct vfio_user_write_multi_entry e;
	void *out;
	int rc;

	memcpy(&req, m->body, sizeof(req));
	if (!v->write_multi || req.wr_cnt > (m->len - sizeof(req)) / sizeof(e) ||
		m->len != sizeof(req) + req.wr_cnt * sizeof(e))
		return -EINVAL;
	/* called again after -EINPROGRESS, it goes on where it was */
	for (; m->done < req.wr_cnt; m->done++) {
		memcpy(&e, m->body + sizeof(req) + m->done * sizeof(e), sizeof(e));
		if (e.count > sizeof(e.data))
			return -EINVAL;
		rc = region_access(v, e.region, e.offset, e.data, e.count, true);
		if (rc != 0)
			return rc;
	}
	out = vfu_reply(v, sizeof(req));
	if (out == NULL)
		return -ENOMEM;
	memcpy(out, &req, sizeof(req));
	return 0;
}

/* A file of its own for each client: one that left can't write into the next one's. Sealed, as
 * the client could else truncate it under us. */
static int
bar_create(const struct vfu_bar *bar, int *fd, void **mem)
{
	int rc;

	*mem = NULL;
	*fd = memfd_create("pollux-bar", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (*fd < 0)
		return -errno;
	if (ftruncate(*fd, (off_t)(bar->map_off + bar->map_size)) != 0 ||
		fcntl(*fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
		goto fail;
	*mem = mmap(
		NULL, bar->map_size, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, (off_t)bar->map_off);
	if (*mem != MAP_FAILED)
		return 0;
fail:
	rc = -errno;
	close(*fd);
	return rc;
}

static void
bar_free(struct vfu_bar *bar)
{
	if (bar->mem != NULL)
		munmap(bar->mem, bar->map_size);
	if (bar->fd >= 0)
		close(bar->fd);
	bar->mem = NULL;
	bar->fd = -1;
}

int
vfu_bars_renew(struct plx_vfu *v)
{
	struct vfu_bar *bar;
	void *mem;
	int fd, rc;

	for (bar = v->bars; bar < v->bars + RTE_DIM(v->bars); bar++) {
		if (bar->map_size == 0)
			continue;
		rc = bar_create(bar, &fd, &mem);
		if (rc != 0)
			return rc;
		bar_free(bar);
		bar->fd = fd;
		bar->mem = mem;
	}
	return 0;
}

void
vfu_bars_free(struct plx_vfu *v)
{
	struct vfu_bar *bar;

	for (bar = v->bars; bar < v->bars + RTE_DIM(v->bars); bar++)
		bar_free(bar);
}

void *
plx_vfu_bar_mem(struct plx_vfu *v, unsigned int bar)
{
	return bar < RTE_DIM(v->bars) ? v->bars[bar].mem : NULL;
}
