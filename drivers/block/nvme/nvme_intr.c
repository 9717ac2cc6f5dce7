/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Interrupts of I/O queues: an MSI-X vector and an eventfd each. Vector 0 is the admin queue's,
 * which is polled.
 *
 * Whether a completion queue interrupts is fixed when it is created, and nobody can mask MSI-X from
 * here: what can be changed is the eventfd's wiring, by the control plane, and on vfio-user only by
 * a message. So a queue is wired from its start on, and taken off the wire once its owner has
 * polled for a while without arming it: an interrupt a completion would be for nothing. Arming a
 * queue that is not wired asks for it, and refuses until it is.
 *
 * No wake-up is lost: arm returns 0 only while wired, and the owner polls after it. What was
 * posted before that poll's look is seen by it, what comes later makes the eventfd readable. Arm
 * and the taking off meet as follows:
 *
 *	owner:	armed = true; fence; is it wired?
 *	control: wired = false; fence; is it armed? then leave it
 */
#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <linux/vfio.h>

#include "plx_log.h"
#include "plx_pci.h"

#include "nvme_priv.h"

PLX_LOG_USE(nvme);

#define AWAKE_TICKS 2 /* without being armed */

/* ---- the owner's part ---- */

static int
arm(struct plx_drvq *dq, bool on)
{
	struct nvme_qpair *q = (struct nvme_qpair *)dq;
	struct nvme_intr *in = &q->intr;
	uint64_t n;

	__atomic_store_n(&q->cq_lazy, q->cq_most, __ATOMIC_RELAXED);
	if (!on) {
		__atomic_store_n(&in->armed, false, __ATOMIC_RELEASE);
		return 0;
	}
	/* completions told of so far are seen by the poll that follows */
	(void)!read(dq->intr_fd, &n, sizeof(n));
	__atomic_store_n(&in->slept, true, __ATOMIC_RELAXED);
	__atomic_store_n(&in->armed, true, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (__atomic_load_n(&in->wired, __ATOMIC_ACQUIRE)) {
		/* some devices interrupt for what is new behind the head they know */
		__atomic_store_n(&q->cq_lazy, 1, __ATOMIC_RELAXED);
		return 0;
	}
	__atomic_store_n(&in->armed, false, __ATOMIC_RELAXED);
	if (__atomic_load_n(&in->failed, __ATOMIC_RELAXED))
		return -EIO;
	__atomic_store_n(&in->wanted, true, __ATOMIC_RELAXED);
	__atomic_store_n(&q->c->intr_wanted, true, __ATOMIC_RELEASE);
	return -EAGAIN;
}

/* ---- vectors ---- */

static uint32_t
nb_vectors(const struct nvme_ctrlr *c)
{
	if (c->mp != NULL) /* they are the primary process' */
		return 0;
	return RTE_MIN(
		(uint32_t)c->dev->pci->msix_count, c->vfio->irqs[VFIO_PCI_MSIX_IRQ_INDEX].count);
}

/* One that no other queue has. Of several, the first is the admin queue's. @return -1: none */
static int
vector_get(const struct nvme_ctrlr *c)
{
	uint32_t n = nb_vectors(c), v;
	const struct nvme_qpair *q;

	for (v = n > 1; v < n; v++) {
		for (q = c->queues; q != NULL; q = q->next)
			if (q->dq.intr_fd >= 0 && q->intr.vector == v)
				break;
		if (q == NULL)
			return (int)v;
	}
	return -1;
}

/* Give a queue an interrupt. Without one it works as well, polled. */
void
nvme_intr_open(struct nvme_qpair *q)
{
	struct nvme_ctrlr *c = q->c;
	int v = vector_get(c);

	if (v < 0) {
		PLX_LOG(NOTICE,
			"nvme: %s: queue %u has no interrupt: the controller has %u vectors",
			c->name, q->qid, nb_vectors(c));
		return;
	}
	q->dq.intr_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	q->dq.intr_arm = arm;
	q->intr.vector = (uint16_t)v;
}

/* The other side may hold on to the eventfd, which does no harm; on its way there it stays open. */
void
nvme_intr_close(struct nvme_qpair *q)
{
	if (q->c->intr_q == q) {
		q->c->intr_q = NULL;
		q->c->intr_orphan = q->dq.intr_fd;
	} else if (q->dq.intr_fd >= 0) {
		close(q->dq.intr_fd);
	}
	q->dq.intr_fd = -1;
	q->intr = (struct nvme_intr){0}; /* the vector may be another queue's now */
}

void
nvme_intr_orphan(struct nvme_ctrlr *c)
{
	if (c->intr_orphan >= 0)
		close(c->intr_orphan);
	c->intr_orphan = -1;
}

/* ---- wiring ---- */

static int
wire(struct nvme_qpair *q, bool on)
{
	int fd = on ? q->dq.intr_fd : -1;

	return plx_vfio_irq_set(q->c->vfio, VFIO_PCI_MSIX_IRQ_INDEX, q->intr.vector, &fd, 1);
}

static void
wired(struct nvme_qpair *q, int rc)
{
	__atomic_store_n(&q->intr.failed, rc != 0, __ATOMIC_RELAXED);
	__atomic_store_n(&q->intr.wired, rc == 0, __ATOMIC_RELEASE);
}

/* When a queue is created: see it through. @return 0, -EINPROGRESS */
int
nvme_intr_start(struct nvme_qpair *q)
{
	struct nvme_ctrlr *c = q->c;

	if (q->dq.intr_fd < 0 || q->intr.wired)
		return 0;
	PLX_PT_BEGIN(&c->sub);
	PLX_PT_WAIT(&c->sub, (c->sub_rc = wire(q, true)) != -EBUSY);
	if (c->sub_rc == -EINPROGRESS)
		PLX_PT_WAIT(&c->sub, (c->sub_rc = plx_vfio_poll(c->vfio)) != -EINPROGRESS);
	wired(q, c->sub_rc);
	c->sub.line = 0;
	return 0; /* polled, it works without */
	PLX_PT_END(&c->sub);
}

/* The wire is gone. Who sleeps on it gets up, and arms it again when it is there again. */
void
nvme_intr_unplug(struct nvme_qpair *q)
{
	__atomic_store_n(&q->intr.wired, false, __ATOMIC_RELEASE);
	if (q->dq.intr_fd >= 0)
		eventfd_write(q->dq.intr_fd, 1);
}

/* @return it may be taken off the wire */
static bool
take_off(struct nvme_intr *in)
{
	__atomic_store_n(&in->wired, false, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (!__atomic_load_n(&in->armed, __ATOMIC_RELAXED))
		return true;
	__atomic_store_n(&in->wired, true, __ATOMIC_RELEASE);
	return false;
}

static struct nvme_qpair *
next_wanted(const struct nvme_ctrlr *c)
{
	struct nvme_qpair *q;

	for (q = c->queues; q != NULL; q = q->next)
		if (q->created && __atomic_exchange_n(&q->intr.wanted, false, __ATOMIC_RELAXED) &&
			!q->intr.wired)
			return q;
	return NULL;
}

static struct nvme_qpair *
next_idle(const struct nvme_ctrlr *c)
{
	struct nvme_qpair *q;

	for (q = c->queues; q != NULL; q = q->next)
		if (q->created && q->intr.wired && q->intr.awake >= AWAKE_TICKS &&
			take_off(&q->intr))
			return q;
	return NULL;
}

/* Once a tick: who polls all the time? */
void
nvme_intr_tick(struct nvme_ctrlr *c)
{
	struct nvme_qpair *q;

	for (q = c->queues; q != NULL; q = q->next) {
		if (!q->intr.wired)
			continue;
		q->intr.awake++;
		if (__atomic_exchange_n(&q->intr.slept, false, __ATOMIC_RELAXED) ||
			nvme_intr_asleep(q))
			q->intr.awake = 0;
		else if (q->intr.awake >= AWAKE_TICKS)
			__atomic_store_n(&c->intr_wanted, true, __ATOMIC_RELAXED);
	}
}

/* Wire or take off one queue after the other, as was asked for. @return 0, -EINPROGRESS */
int
nvme_intr_step(struct nvme_ctrlr *c)
{
	PLX_PT_BEGIN(&c->intr);
	PLX_PT_WAIT(&c->intr, !c->vfio->busy);
	while (c->vfio->irqs[VFIO_PCI_MSIX_IRQ_INDEX].count != 0) {
		c->intr_on = true;
		c->intr_q = next_wanted(c);
		if (c->intr_q == NULL) {
			c->intr_on = false;
			c->intr_q = next_idle(c);
		}
		if (c->intr_q == NULL)
			break;
		c->intr_q->intr.awake = 0;
		PLX_PT_CALL(
			&c->intr, c->intr_rc, wire(c->intr_q, c->intr_on), plx_vfio_poll(c->vfio));
		if (c->intr_q != NULL && c->intr_on)
			wired(c->intr_q, c->intr_rc);
		nvme_intr_orphan(c);
		PLX_PT_WAIT(&c->intr, !c->vfio->busy);
	}
	PLX_PT_END(&c->intr);
}
