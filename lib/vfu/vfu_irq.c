/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Interrupts. As with the kernel's VFIO, wiring an eventfd is what enables a vector: some clients
 * (QEMU) keep table and masks to themselves and never write ours. A vector is masked only by who
 * says so, by SET_IRQS, in the table, or by the function mask; then it is pending until unmasked.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <rte_common.h>

#include "vfu_priv.h"

static void
vec_close(struct vfu_vec *vec)
{
	if (vec->fd >= 0)
		close(vec->fd);
	*vec = (struct vfu_vec){.fd = -1};
}

int
vfu_irqs_init(struct plx_vfu *v)
{
	uint32_t i;

	vfu_signal_init(&v->signal);
	v->intx.fd = -1;
	v->intx_unmask = -1;
	if (v->msix_count == 0)
		return 0;
	v->msix = calloc(v->msix_count, sizeof(*v->msix));
	v->msix_table = malloc((size_t)v->msix_count * PCI_MSIX_ENTRY_SIZE);
	if (v->msix == NULL || v->msix_table == NULL)
		return -ENOMEM;
	for (i = 0; i < v->msix_count; i++)
		v->msix[i].fd = -1;
	vfu_irqs_reset(v);
	return 0;
}

void
vfu_irqs_reset(struct plx_vfu *v)
{
	uint8_t *ctrl;
	uint32_t i;

	vec_close(&v->intx);
	if (v->intx_unmask >= 0)
		close(v->intx_unmask);
	v->intx_unmask = -1;
	for (i = 0; i < v->msix_count; i++)
		vec_close(&v->msix[i]);
	v->msix_wired = 0;
	if (v->msix_count == 0)
		return;
	memset(v->msix_table, 0, (size_t)v->msix_count * PCI_MSIX_ENTRY_SIZE);
	for (i = 0; i < v->msix_count; i++) {
		ctrl = v->msix_table + i * PCI_MSIX_ENTRY_SIZE + PCI_MSIX_ENTRY_VECTOR_CTRL;
		*ctrl = PCI_MSIX_ENTRY_CTRL_MASKBIT;
	}
}

void
vfu_irqs_free(struct plx_vfu *v)
{
	if (v->msix_count == 0 || (v->msix != NULL && v->msix_table != NULL))
		vfu_irqs_reset(v);
	free(v->msix);
	free(v->msix_table);
	vfu_signal_free(&v->signal);
}

static void
msix_fire(struct plx_vfu *v, struct vfu_vec *vec)
{
	vec->pending = vec->masked || v->msix_fmask;
	if (!vec->pending)
		vfu_signal(&v->signal, vec->fd);
}

/* INTx is a level: once triggered it is masked until the client has seen to it and unmasks. */
static void
intx_fire(struct plx_vfu *v)
{
	v->intx.pending = v->intx.masked || vfu_intx_disabled(v);
	if (v->intx.pending || v->intx.fd < 0)
		return;
	v->intx.masked = true;
	vfu_signal(&v->signal, v->intx.fd);
}

void
plx_vfu_irq(struct plx_vfu *v, unsigned int vector)
{
	if (v->msix_wired == 0)
		intx_fire(v);
	else if (vector < v->msix_count)
		msix_fire(v, &v->msix[vector]);
}

void
vfu_irqs_flush(struct plx_vfu *v)
{
	uint32_t i;

	if (v->intx.pending)
		intx_fire(v);
	for (i = 0; i < v->msix_count && v->msix_wired != 0; i++)
		if (v->msix[i].pending)
			msix_fire(v, &v->msix[i]);
}

static void
set_mask(struct plx_vfu *v, struct vfu_vec *vec, bool masked)
{
	vec->masked = masked;
	if (masked || !vec->pending)
		return;
	if (vec == &v->intx)
		intx_fire(v);
	else
		msix_fire(v, vec);
}

void
vfu_intx_poll_unmask(struct plx_vfu *v)
{
	if (vfu_signalled(v->intx_unmask))
		set_mask(v, &v->intx, false);
}

void
vfu_msix_read(const struct plx_vfu *v, uint64_t off, uint8_t *buf, uint32_t len)
{
	uint64_t table_end = v->table_off + (uint64_t)v->msix_count * PCI_MSIX_ENTRY_SIZE;
	uint64_t bit;
	uint32_t i;

	for (; len > 0; len--, off++, buf++) {
		*buf = 0;
		if (off < table_end) {
			*buf = v->msix_table[off - v->table_off];
		} else if (off >= v->pba_off && off < v->pba_end) {
			bit = (off - v->pba_off) * 8;
			for (i = 0; i < 8 && bit + i < v->msix_count; i++)
				*buf |= (uint8_t)(v->msix[bit + i].pending << i);
		}
	}
}

/* The PBA is read-only; of the vector control only the mask bit is writable. */
void
vfu_msix_write(struct plx_vfu *v, uint64_t off, const uint8_t *buf, uint32_t len)
{
	uint64_t at = off - v->table_off, size = (uint64_t)v->msix_count * PCI_MSIX_ENTRY_SIZE;
	uint32_t reg;

	for (; len > 0 && at < size; len--, at++, buf++) {
		reg = at % PCI_MSIX_ENTRY_SIZE;
		if (reg < PCI_MSIX_ENTRY_VECTOR_CTRL) {
			v->msix_table[at] = *buf;
		} else if (reg == PCI_MSIX_ENTRY_VECTOR_CTRL) {
			v->msix_table[at] = *buf & PCI_MSIX_ENTRY_CTRL_MASKBIT;
			set_mask(v, &v->msix[at / PCI_MSIX_ENTRY_SIZE], v->msix_table[at] != 0);
		}
	}
}

static uint32_t
irq_count(const struct plx_vfu *v, uint32_t index)
{
	if (index == VFIO_PCI_INTX_IRQ_INDEX)
		return 1;
	return index == VFIO_PCI_MSIX_IRQ_INDEX ? v->msix_count : 0;
}

int
vfu_irq_info(struct plx_vfu *v, struct vfu_msg *m)
{
	struct vfio_user_irq_info info;
	void *out;

	memcpy(&info, m->body, sizeof(info));
	if (info.argsz < sizeof(info) || info.index >= VFU_NB_IRQS)
		return -EINVAL;
	out = vfu_reply(v, sizeof(info));
	if (out == NULL)
		return -ENOMEM;
	info.argsz = sizeof(info);
	info.flags = VFIO_IRQ_INFO_EVENTFD;
	if (info.index == VFIO_PCI_INTX_IRQ_INDEX)
		info.flags |= VFIO_IRQ_INFO_MASKABLE | VFIO_IRQ_INFO_AUTOMASKED;
	info.count = irq_count(v, info.index);
	memcpy(out, &info, sizeof(info));
	return 0;
}

/*
 * Is it an eventfd, or at least of the kind that can't stall us (anonymous inodes have no file
 * type; pipes, terminals and files of a FUSE mount do)? Where there is no better way than a write,
 * see vfu_signal.c, it should not wait.
 */
static int
check_eventfd(int fd)
{
	struct stat st;
	int fl;

	if (fstat(fd, &st) != 0 || (st.st_mode & S_IFMT) != 0)
		return -EINVAL;
	fl = fcntl(fd, F_GETFL);
	if (fl < 0 || fcntl(fd, F_SETFL, fl | O_NONBLOCK) != 0)
		return -errno;
	return 0;
}

static void
wire(struct plx_vfu *v, struct vfu_vec *vec, int fd)
{
	if (vec != &v->intx)
		v->msix_wired += (uint32_t)(fd >= 0) - (uint32_t)(vec->fd >= 0);
	if (vec->fd >= 0)
		close(vec->fd);
	vec->fd = fd;
	/* what was held back belongs to whom it was wired */
	if (fd < 0)
		vec->pending = false;
	if (vec == &v->intx)
		vec->masked = false;
}

/* One fd a vector, or none at all: they are unwired. */
static int
set_eventfds(struct plx_vfu *v, struct vfu_msg *m, struct vfu_vec *vecs, uint32_t count)
{
	uint32_t i;
	int rc;

	if (m->nb_fds != 0 && m->nb_fds != count)
		return -EINVAL;
	for (i = 0; i < m->nb_fds; i++) {
		rc = check_eventfd(m->fds[i]);
		if (rc != 0)
			return rc;
	}
	for (i = 0; i < count; i++)
		wire(v, &vecs[i], m->nb_fds != 0 ? m->fds[i] : -1);
	m->nb_fds = 0; /* they are ours now */
	return 0;
}

/* INTx only: the client's eventfd unmasks (KVM's resample). */
static int
set_unmask_fd(struct plx_vfu *v, struct vfu_msg *m)
{
	int rc;

	if (m->nb_fds > 1)
		return -EINVAL;
	if (m->nb_fds == 1) {
		rc = check_eventfd(m->fds[0]);
		if (rc != 0)
			return rc;
	}
	if (v->intx_unmask >= 0)
		close(v->intx_unmask);
	v->intx_unmask = m->nb_fds == 1 ? m->fds[0] : -1;
	m->nb_fds = 0;
	return 0;
}

static void
disable_index(struct plx_vfu *v, uint32_t index)
{
	uint32_t i, n = irq_count(v, index);
	struct vfu_vec *vecs = index == VFIO_PCI_INTX_IRQ_INDEX ? &v->intx : v->msix;

	for (i = 0; i < n; i++) {
		wire(v, &vecs[i], -1);
		vecs[i].masked = false;
	}
}

static void
vec_action(struct plx_vfu *v, struct vfu_vec *vec, uint32_t action)
{
	if (action != VFIO_IRQ_SET_ACTION_TRIGGER)
		set_mask(v, vec, action == VFIO_IRQ_SET_ACTION_MASK);
	else if (vec == &v->intx)
		intx_fire(v);
	else
		msix_fire(v, vec);
}

static bool
one_bit(uint32_t x)
{
	return x != 0 && (x & (x - 1)) == 0;
}

static int
irq_set(struct plx_vfu *v, struct vfu_msg *m, const struct vfio_user_irq_set *req)
{
	uint32_t type = req->flags & VFIO_IRQ_SET_DATA_TYPE_MASK;
	uint32_t action = req->flags & VFIO_IRQ_SET_ACTION_TYPE_MASK;
	bool intx = req->index == VFIO_PCI_INTX_IRQ_INDEX;
	struct vfu_vec *vecs = intx ? &v->intx : v->msix + req->start;
	const uint8_t *bools = m->body + sizeof(*req);
	uint32_t i;

	if (type == VFIO_IRQ_SET_DATA_EVENTFD) {
		if (action == VFIO_IRQ_SET_ACTION_TRIGGER)
			return set_eventfds(v, m, vecs, req->count);
		if (action == VFIO_IRQ_SET_ACTION_UNMASK && intx)
			return set_unmask_fd(v, m);
		return -EINVAL;
	}
	if (type == VFIO_IRQ_SET_DATA_BOOL && m->len - sizeof(*req) < req->count)
		return -EINVAL;
	if (req->flags == (VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER) && req->count == 0)
		disable_index(v, req->index);
	for (i = 0; i < req->count; i++)
		if (type == VFIO_IRQ_SET_DATA_NONE || bools[i] != 0)
			vec_action(v, &vecs[i], action);
	return 0;
}

int
vfu_set_irqs(struct plx_vfu *v, struct vfu_msg *m)
{
	struct vfio_user_irq_set req;
	uint32_t n;
	int rc;

	memcpy(&req, m->body, sizeof(req));
	if (req.argsz < sizeof(req) || req.index >= VFU_NB_IRQS ||
		!one_bit(req.flags & VFIO_IRQ_SET_DATA_TYPE_MASK) ||
		!one_bit(req.flags & VFIO_IRQ_SET_ACTION_TYPE_MASK) ||
		(req.flags & ~(VFIO_IRQ_SET_DATA_TYPE_MASK | VFIO_IRQ_SET_ACTION_TYPE_MASK)) != 0)
		return -EINVAL;
	n = irq_count(v, req.index);
	if (req.start >= n || req.count > n - req.start)
		return -EINVAL;
	rc = irq_set(v, m, &req);
	if (rc == 0 && vfu_reply(v, 0) == NULL)
		return -ENOMEM;
	return rc;
}
