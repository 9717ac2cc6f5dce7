/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The primary's side: secondary processes, what they borrowed, the channels they have. One that
 * dies is known by the end of its socket; its memory is given back when the last of its channels
 * is released.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <rte_eal.h>

#include "eal_priv.h"
#include "plx_blk_drv.h"
#include "plx_ctrl.h"
#include "plx_log.h"

#include "mp_priv.h"

PLX_LOG_USE(mp);

#define BURST 64 /* packets of one secondary at a time */

/* Under the control lock. */
static struct {
	const struct plx_mp_server *ops; /* NULL: not serving */
	struct sockaddr_un addr;
	int listen, epoll;
	struct mp_peer *peers;
	struct mp_packet packet;
} server = {.listen = -1, .epoll = -1};

static int
reply(struct mp_peer *peer, const struct mp_head *h, const void *data)
{
	return mp_send(peer->fd, h, data, NULL, 0);
}

/* ---- coming and going ---- */

static void
accept_one(void)
{
	int fd = accept4(server.listen, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct mp_peer *peer = fd >= 0 ? calloc(1, sizeof(*peer)) : NULL;
	struct epoll_event ev = {.events = EPOLLIN, .data.ptr = peer};
	struct ucred cred;
	socklen_t len = sizeof(cred);

	if (peer == NULL || getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) != 0 ||
		(cred.uid != 0 && cred.uid != geteuid()) ||
		epoll_ctl(server.epoll, EPOLL_CTL_ADD, fd, &ev) != 0) {
		free(peer);
		if (fd >= 0)
			close(fd);
		return;
	}
	peer->fd = fd;
	peer->pid = cred.pid;
	peer->next = server.peers;
	server.peers = peer;
}

void
mp_server_reap(struct mp_peer *peer)
{
	struct mp_peer **at;

	mp_unlend_idle(peer, false);
	if (peer->fd >= 0 || peer->chans != NULL || peer->ending)
		return;
	for (at = &server.peers; *at != peer; at = &(*at)->next)
		;
	*at = peer->next;
	mp_unlend_idle(peer, true);
	free(peer);
}

static void
drop(struct mp_peer *peer)
{
	mp_peer_end(peer);
	mp_server_reap(peer);
}

/* ---- what is asked ---- */

static int
on_hello(struct mp_peer *peer, const struct mp_packet *p)
{
	struct mp_head h = {.type = MP_WELCOME};
	struct mp_hello mine;

	mp_hello_fill(&mine);
	peer->welcome = p->h.len == sizeof(mine) && memcmp(p->m.data, &mine, sizeof(mine)) == 0;
	h.rc = peer->welcome ? 0 : -EPROTONOSUPPORT;
	return reply(peer, &h, NULL);
}

static int
on_alloc(struct mp_peer *peer, const struct mp_packet *p)
{
	struct mp_head h = {.type = MP_ALLOCED, .len = sizeof(struct mp_alloc)};
	struct mp_alloc a;

	if (p->h.len != sizeof(a))
		return -EPROTO;
	memcpy(&a, p->m.data, sizeof(a));
	a.va = (uintptr_t)mp_lend(peer, &a);
	return reply(peer, &h, &a);
}

static int
on_free(struct mp_peer *peer, const struct mp_packet *p)
{
	struct mp_alloc a;

	if (p->h.len != sizeof(a))
		return -EPROTO;
	memcpy(&a, p->m.data, sizeof(a));
	mp_unlend(peer, (void *)(uintptr_t)a.va);
	return 0;
}

static int
on_open(struct mp_peer *peer, const struct mp_packet *p)
{
	struct mp_head h = {.type = MP_REFUSED, .chan = p->h.chan};
	const struct mp_open *o = (const struct mp_open *)p->m.data;
	struct plx_mp_chan *ch;
	char why[256] = "";

	if (p->h.len < sizeof(*o) || o->name[MP_NAME - 1] != '\0' ||
		mp_chan(peer, p->h.chan) != NULL)
		return -EPROTO;
	ch = calloc(1, sizeof(*ch));
	if (ch == NULL)
		return -ENOMEM;
	ch->id = p->h.chan;
	mp_chan_add(peer, ch);
	h.rc = server.ops->open(
		ch, o->name, o + 1, p->h.len - (uint32_t)sizeof(*o), why, sizeof(why));
	if (h.rc == 0)
		return 0;
	ch->over = true;
	plx_mp_release(ch);
	h.len = (uint32_t)strlen(why) + 1;
	return reply(peer, &h, why);
}

int
mp_server_queue(const struct plx_blk *blk, uint32_t i, struct plx_mp_queue *out)
{
	return server.ops != NULL ? server.ops->queue(blk, i, out) : -ENOENT;
}

/* The device itself, or one of its queues: the primary's own first. */
static int
view(const struct plx_blk *blk, uint32_t queue, void *out, uint32_t *len)
{
	struct plx_mp_dev *dev = out;
	struct plx_mp_queue *q = out;
	uint32_t i, n = 0;

	for (i = 0; i < blk->info.nb_queues; i++) {
		if (blk->queues[i] == NULL || n++ != queue)
			continue;
		*len = sizeof(*q);
		*q = (struct plx_mp_queue){.pid = getpid(),
			.qid = (uint16_t)i,
			.depth = blk->queues[i]->q.depth,
			.inflight = __atomic_load_n(&blk->queues[i]->q.inflight, __ATOMIC_RELAXED)};
		return plx_blk_stats_get(blk, (uint16_t)i, &q->stats);
	}
	if (queue != UINT32_MAX) {
		*len = sizeof(*q);
		*q = (struct plx_mp_queue){0};
		return server.ops->queue(blk, queue - n, q);
	}
	*len = sizeof(*dev);
	*dev = (struct plx_mp_dev){.info = blk->info, .open = blk->open};
	for (i = 0; server.ops->queue(blk, i, &(struct plx_mp_queue){0}) == 0; i++)
		;
	dev->nb_queues = n + i;
	return plx_blk_stats_get(blk, UINT16_MAX, &dev->stats);
}

static int
on_look(struct mp_peer *peer, const struct mp_packet *p)
{
	union {
		struct plx_mp_dev dev;
		struct plx_mp_queue queue;
	} out;
	struct mp_head h = {.type = MP_VIEW, .rc = -ENOENT};
	const struct plx_blk *blk;
	struct mp_look look;

	if (p->h.len != sizeof(look))
		return -EPROTO;
	memcpy(&look, p->m.data, sizeof(look));
	for (blk = plx_blk_next(NULL); blk != NULL && look.dev > 0; blk = plx_blk_next(blk))
		look.dev--;
	if (blk != NULL)
		h.rc = view(blk, look.queue, &out, &h.len);
	if (h.rc != 0)
		h.len = 0;
	return reply(peer, &h, &out);
}

static int
on_packet(struct mp_peer *peer, struct mp_packet *p)
{
	struct plx_mp_chan *ch = mp_chan(peer, p->h.chan);

	if (!peer->welcome && p->h.type != MP_HELLO)
		return -EPROTO;
	switch (p->h.type) {
	case MP_HELLO:
		return on_hello(peer, p);
	case MP_ALLOC:
		return on_alloc(peer, p);
	case MP_FREE:
		return on_free(peer, p);
	case MP_OPEN:
		return on_open(peer, p);
	case MP_LOOK:
		return on_look(peer, p);
	case MP_DATA:
		return ch != NULL ? ch->recv(ch, &p->m) : 0; /* it crossed our end of it */
	case MP_CLOSE:
		if (ch != NULL)
			mp_chan_end(ch, -ENODEV);
		return 0;
	default:
		return -EPROTO;
	}
}

static int
peer_poll(struct mp_peer *peer)
{
	struct mp_packet *p = &server.packet;
	int rc = 1, n;

	for (n = 0; n < BURST && rc > 0; n++) {
		rc = mp_recv(peer->fd, p);
		if (rc <= 0)
			break;
		rc = on_packet(peer, p);
		mp_close_fds(&p->m);
		if (rc < 0 && rc != -ENODEV)
			PLX_LOG(ERR, "mp: process %d is cut off: what it asks makes no sense (%s)",
				peer->pid, strerror(-rc));
		rc = rc < 0 ? rc : 1;
	}
	if (rc < 0)
		drop(peer);
	return n;
}

static int
server_poll(struct plx_ctrl_work *work)
{
	struct epoll_event ev[8];
	int n = epoll_wait(server.epoll, ev, RTE_DIM(ev), 0);

	for (int i = 0; i < n; i++)
		if (ev[i].data.ptr == NULL)
			accept_one();
		else
			peer_poll(ev[i].data.ptr);
	return n > 0 ? n : 0;
}

static struct plx_ctrl_work server_work = {.poll = server_poll};

/* ---- begin and end ---- */

static void
stop(void)
{
	struct mp_peer *peer, *next;

	plx_ctrl_del(&server_work);
	for (peer = server.peers; peer != NULL; peer = next) {
		next = peer->next;
		drop(peer);
	}
	if (server.ops != NULL)
		unlink(server.addr.sun_path);
	if (server.epoll >= 0)
		close(server.epoll);
	if (server.listen >= 0)
		close(server.listen);
	server.listen = server.epoll = -1;
	server.ops = NULL;
}

/* EAL's own channel is there when it can have secondary processes. What is left of a socket is
 * that of a primary before this one: EAL lets only one live. */
static int
listen_there(const char *dir)
{
	struct epoll_event ev = {.events = EPOLLIN};
	char path[128];

	snprintf(path, sizeof(path), "%s/mp_socket", dir);
	if (access(path, F_OK) != 0)
		return -ENOENT;
	if (mp_address(dir, &server.addr) != 0)
		return -ENAMETOOLONG;
	unlink(server.addr.sun_path);
	server.listen = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	server.epoll = epoll_create1(EPOLL_CLOEXEC);
	if (server.listen < 0 || server.epoll < 0 ||
		bind(server.listen, (struct sockaddr *)&server.addr, sizeof(server.addr)) != 0 ||
		listen(server.listen, 16) != 0 ||
		epoll_ctl(server.epoll, EPOLL_CTL_ADD, server.listen, &ev) != 0)
		return -errno;
	return 0;
}

void
plx_mp_serve(const struct plx_mp_server *ops)
{
	static struct eal_hook hook = {.fn = stop};
	int rc;

	if (server.ops != NULL || rte_eal_process_type() != RTE_PROC_PRIMARY)
		return;
	rc = listen_there(rte_eal_get_runtime_dir());
	if (rc == 0) {
		server.ops = ops;
		mp_telemetry_register();
		plx_ctrl_add(&server_work);
		eal_at_cleanup(&hook);
		return;
	}
	if (rc != -ENOENT)
		PLX_LOG(WARNING, "mp: secondary processes can't reach this one: %s: %s",
			server.addr.sun_path, strerror(-rc));
	stop();
}
