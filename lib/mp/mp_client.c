/* SPDX-License-Identifier: BSD-3-Clause */
/* A secondary's side: one connection to the primary, from the first channel to the end of EAL. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_eal.h>

#include "eal_priv.h"
#include "mem_priv.h"
#include "plx_ctrl.h"
#include "plx_log.h"

#include "mp_priv.h"

PLX_LOG_USE(mp);

#define BURST 64

/* Under the control lock. */
static struct {
	struct mp_peer primary;
	bool used;              /* it was connected, and may be gone */
	uint16_t id;            /* of the last channel */
	uint32_t seq;           /* of the last request for memory */
	struct mp_packet *late; /* came while an answer was awaited */
	struct mp_packet packet, answer;
} client = {.primary = {.fd = -1, .server = true}};

static void
on_refused(struct plx_mp_chan *ch, struct mp_packet *p)
{
	p->m.data[RTE_MIN(p->h.len, PLX_MP_DATA - 1u)] = '\0';
	PLX_LOG(ERR, "mp: %s", (const char *)p->m.data);
	mp_chan_end(ch, p->h.rc < 0 ? p->h.rc : -EPROTO);
}

static void
give_back(const struct mp_alloc *a)
{
	struct mp_head h = {.type = MP_FREE, .len = sizeof(*a)};

	if (a->va != 0 && client.primary.fd >= 0)
		mp_send(client.primary.fd, &h, a, NULL, 0);
}

static int
on_packet(struct mp_packet *p)
{
	struct plx_mp_chan *ch = mp_chan(&client.primary, p->h.chan);
	int rc = 0;

	if (p->h.type == MP_DATA && ch != NULL)
		rc = ch->recv(ch, &p->m);
	else if (p->h.type == MP_REFUSED && ch != NULL)
		on_refused(ch, p);
	else if (p->h.type == MP_CLOSE && ch != NULL)
		mp_chan_end(ch, -ENODEV);
	else if (p->h.type == MP_ALLOCED) /* nobody waits for it any more */
		give_back((const struct mp_alloc *)p->m.data);
	mp_close_fds(&p->m);
	return rc;
}

static void
lost(int rc)
{
	if (client.primary.fd < 0)
		return;
	PLX_LOG(ERR, "mp: the primary process is gone%s%s", rc == -ENODEV ? "" : ": ",
		rc == -ENODEV ? "" : strerror(-rc));
	mp_peer_end(&client.primary);
}

static int
client_poll(struct plx_ctrl_work *work)
{
	int rc = 1, n = 0;

	while (client.late != NULL && rc >= 0) {
		struct mp_packet *p = client.late;

		client.late = p->next;
		rc = on_packet(p);
		free(p);
		n++;
	}
	for (rc = rc < 0 ? rc : 1; rc > 0 && n < BURST && client.primary.fd >= 0; n++) {
		rc = mp_recv(client.primary.fd, &client.packet);
		if (rc <= 0)
			break;
		rc = on_packet(&client.packet) < 0 ? -EPROTO : 1;
	}
	if (rc < 0)
		lost(rc);
	return n;
}

static struct plx_ctrl_work client_work = {.poll = client_poll};

/* ---- memory ---- */

/* What isn't the answer is for later: this may be in the midst of anything. */
static int
await(enum mp_type type, struct mp_packet *p)
{
	uint64_t until = mp_now_ms() + MP_WAIT_MS;
	struct mp_packet **at, *copy;
	int rc;

	while ((rc = mp_recv_wait(client.primary.fd, p, until)) > 0 && p->h.type != type) {
		copy = malloc(sizeof(*copy));
		if (copy == NULL)
			return -ENOMEM;
		*copy = *p;
		copy->next = NULL;
		for (at = &client.late; *at != NULL; at = &(*at)->next)
			;
		*at = copy;
	}
	return rc > 0 ? 0 : rc;
}

/* An answer that came too late for another request goes back. */
static int
await_memory(struct mp_alloc *a)
{
	uint32_t seq = a->seq;
	int rc;

	do {
		rc = await(MP_ALLOCED, &client.answer);
		if (rc != 0)
			return rc;
		memcpy(a, client.answer.m.data, sizeof(*a));
		if (a->seq != seq)
			give_back(a);
	} while (a->seq != seq);
	return 0;
}

static void *
borrow_locked(struct mp_alloc *a)
{
	struct mp_head h = {.type = MP_ALLOC, .len = sizeof(*a)};
	int rc = client.primary.fd < 0 ? -ENODEV : 0;

	a->seq = ++client.seq;
	if (rc == 0)
		rc = mp_send(client.primary.fd, &h, a, NULL, 0);
	if (rc == 0)
		rc = await_memory(a);
	if (rc == 0 && a->va != 0 && mp_loan_add(&client.primary.loans, (void *)a->va) == 0)
		return (void *)a->va;
	if (rc == 0)
		give_back(a);
	if (rc == 0)
		PLX_LOG(ERR,
			"mem: the primary process has no %zu bytes; give it more memory: -m MB",
			(size_t)a->size);
	else
		PLX_LOG(ERR, "mem: no %zu bytes from the primary process: %s", (size_t)a->size,
			strerror(-rc));
	return NULL;
}

static void *
borrow(size_t size, size_t align, int socket)
{
	struct mp_alloc a = {.size = size, .align = align, .socket = socket};
	void *p;

	plx_ctrl_lock();
	p = borrow_locked(&a);
	plx_ctrl_unlock();
	return p;
}

static bool
unborrow(void *ptr)
{
	struct mp_alloc a = {.va = (uintptr_t)ptr};
	bool mine;

	plx_ctrl_lock();
	mine = mp_loan_del(&client.primary.loans, ptr);
	if (mine)
		give_back(&a);
	plx_ctrl_unlock();
	return mine;
}

/* ---- begin and end ---- */

static void
stop(void)
{
	plx_ctrl_del(&client_work);
	__atomic_store_n(&mem.borrow, NULL, __ATOMIC_RELEASE);
	__atomic_store_n(&mem.unborrow, NULL, __ATOMIC_RELEASE);
	while (client.late != NULL) {
		struct mp_packet *p = client.late;

		client.late = p->next;
		mp_close_fds(&p->m);
		free(p);
	}
	if (client.primary.fd >= 0)
		mp_peer_end(&client.primary);
	while (client.primary.loans != NULL)
		mp_loan_del(&client.primary.loans, client.primary.loans->ptr);
	client.used = false;
}

static int
join(void)
{
	static struct eal_hook hook = {.fn = stop};
	const char *dir = rte_eal_get_runtime_dir(), *base = strrchr(dir, '/');
	int fd;

	if (client.primary.fd >= 0)
		return 0;
	if (client.used) {
		PLX_LOG(ERR, "mp: the primary process is gone");
		return -ENODEV;
	}
	fd = mp_connect(dir, base != NULL ? base + 1 : dir);
	if (fd < 0)
		return fd;
	client.primary.fd = fd;
	client.used = true;
	eal_at_cleanup(&hook);
	plx_ctrl_add(&client_work);
	__atomic_store_n(&mem.unborrow, unborrow, __ATOMIC_RELEASE);
	__atomic_store_n(&mem.borrow, borrow, __ATOMIC_RELEASE);
	return 0;
}

static int
open_locked(const char *name, const void *req, uint32_t len, struct plx_mp_chan **out)
{
	uint8_t buf[sizeof(struct mp_open) + 256] = {0};
	struct mp_open *o = (struct mp_open *)buf;
	struct mp_head h = {.type = MP_OPEN, .len = (uint32_t)sizeof(*o) + len};
	struct plx_mp_chan *ch;
	int rc = join();

	if (rc != 0)
		return rc;
	if (strlen(name) >= sizeof(o->name) || len > sizeof(buf) - sizeof(*o))
		return -EINVAL;
	strcpy(o->name, name);
	memcpy(o + 1, req, len);
	ch = calloc(1, sizeof(*ch));
	if (ch == NULL)
		return -ENOMEM;
	while (mp_chan(&client.primary, ++client.id) != NULL)
		;
	h.chan = ch->id = client.id;
	mp_chan_add(&client.primary, ch);
	rc = mp_send(client.primary.fd, &h, buf, NULL, 0);
	if (rc != 0) {
		ch->over = true;
		plx_mp_release(ch);
		return rc == -EAGAIN ? -ETIMEDOUT : rc;
	}
	*out = ch;
	return 0;
}

int
plx_mp_open(const char *name, const void *req, uint32_t len, struct plx_mp_chan **ch)
{
	int rc;

	plx_ctrl_lock();
	rc = open_locked(name, req, len, ch);
	plx_ctrl_unlock();
	return rc;
}
