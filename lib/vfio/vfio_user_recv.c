/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "plx_sock.h"
#include "vfio_user_priv.h"

/* Messages handled in one go, so that a server that talks without end doesn't hold its caller. */
#define RX_BUDGET 32

#define HDR ((uint32_t)sizeof(struct vfio_user_header))

static int
is_lost(const struct vfio_user *u)
{
	return __atomic_load_n(&u->dev.lost, __ATOMIC_ACQUIRE);
}

static void
close_fds(int *fds, unsigned int *n)
{
	while (*n > 0)
		close(fds[--*n]);
}

/* @return 1 all of it is there; 0 not yet; <0 lost */
static int
recv_upto(struct vfio_user *u, void *dst, uint32_t want)
{
	ssize_t n = plx_sock_recv(u->fd, dst, want, u->rx.fds, &u->rx.nfds, VFIO_USER_OUR_FDS);

	if (n == -EAGAIN)
		return 0;
	if (n == -EMFILE)
		vfio_user_lose(u, -EPROTO,
			"the server sent more than %d file descriptors at once, or this process "
			"has reached its limit (ulimit -n)",
			VFIO_USER_OUR_FDS);
	else if (n < 0)
		vfio_user_lose_errno(u, (int)-n);
	if (n < 0)
		return -1;
	u->rx.got += (uint32_t)n;
	return (uint32_t)n == want;
}

static struct vfio_user_call *
call_of(struct vfio_user *u, uint16_t id)
{
	struct vfio_user_call *c[2] = {&u->call, &u->dma_call};
	unsigned int i;

	for (i = 0; i < 2; i++)
		if (c[i]->state != VFIO_USER_CALL_IDLE && c[i]->hdr->msg_id == id)
			return c[i];
	return NULL;
}

/* @return NULL, or what is wrong with a reply's header */
static const char *
check_reply(const struct vfio_user_header *h, const struct vfio_user_call *c)
{
	uint32_t body = h->msg_size - HDR;

	if (c == NULL || c->state != VFIO_USER_CALL_SENT)
		return "a reply that nobody waits for";
	if (h->command != c->hdr->command)
		return "a reply to another command";
	/* older libvfio-user, as in QEMU 7.2, sends the body all the same */
	if ((h->flags & VFIO_USER_F_ERROR) != 0)
		return body > c->reply_max ? "an error reply with a body" : NULL;
	return body < c->reply_min || body > c->reply_max ? "a reply of wrong size" : NULL;
}

/* A header is complete. @return NULL, or what is wrong with it */
static const char *
check_header(struct vfio_user *u)
{
	const struct vfio_user_header *h = &u->rx.hdr;
	uint32_t type = h->flags & VFIO_USER_F_TYPE_MASK;

	u->rx.call = NULL;
	if (h->msg_size < HDR || h->msg_size > VFIO_USER_MAX_MSG)
		return "a message of impossible size";
	if (type == VFIO_USER_F_TYPE_REPLY) {
		u->rx.call = call_of(u, h->msg_id);
		return check_reply(h, u->rx.call);
	}
	if (type != VFIO_USER_F_TYPE_COMMAND)
		return "a message that is neither command nor reply";
	return u->negotiated ? NULL : "a command before the version was settled";
}

static void
reply_done(struct vfio_user *u, struct vfio_user_call *c)
{
	const struct vfio_user_header *h = &u->rx.hdr;

	c->rc = 0;
	if ((h->flags & VFIO_USER_F_ERROR) != 0)
		c->rc = h->error_no > 0 && h->error_no <= 4096 ? -(int)h->error_no : -EINVAL;
	c->reply_len = h->msg_size - HDR;
	c->state = VFIO_USER_CALL_DONE;
	if (c->want_fds) {
		memcpy(c->rfds, u->rx.fds, sizeof(c->rfds));
		c->nrfds = u->rx.nfds;
		u->rx.nfds = 0;
	}
}

static void
serve(struct vfio_user *u)
{
	const struct vfio_user_header *h = &u->rx.hdr;
	struct vfio_user_header r = {.msg_id = h->msg_id,
		.command = h->command,
		.msg_size = HDR,
		.flags = VFIO_USER_F_TYPE_REPLY};
	int rc = vfio_user_serve(u, h->msg_size - HDR, u->out + HDR);

	if ((h->flags & VFIO_USER_F_NO_REPLY) != 0)
		return;
	if (rc < 0) {
		r.flags |= VFIO_USER_F_ERROR;
		r.error_no = (uint32_t)-rc;
	} else {
		r.msg_size += (uint32_t)rc;
	}
	memcpy(u->out, &r, HDR);
	u->out_len = r.msg_size;
	vfio_user_flush(u);
}

/* Go on with the message that comes in. @return 1 it is complete; 0 not yet; <0 lost */
static int
recv_msg(struct vfio_user *u)
{
	struct vfio_user_rx *rx = &u->rx;
	const char *wrong;
	uint8_t *body;
	int rc = 1;

	if (rx->got < HDR) {
		rc = recv_upto(u, (uint8_t *)&rx->hdr + rx->got, HDR - rx->got);
		if (rc <= 0)
			return rc;
		wrong = check_header(u);
		if (wrong != NULL) {
			vfio_user_lose(u, -EPROTO, "the server sent %s%s", wrong,
				u->negotiated ? "" : ": not a vfio-user server?");
			return -1;
		}
	}
	if (rx->got < rx->hdr.msg_size) {
		body = rx->call != NULL ? rx->call->reply : rx->cmd;
		rc = recv_upto(u, body + (rx->got - HDR), rx->hdr.msg_size - rx->got);
	}
	return rc;
}

/* Ends with a reply: what it says comes before what follows it, such as the end. */
static void
receive(struct vfio_user *u)
{
	struct vfio_user_rx *rx = &u->rx;
	bool reply = false;
	unsigned int i;

	for (i = 0; i < RX_BUDGET && !reply && recv_msg(u) > 0; i++) {
		reply = rx->call != NULL;
		/* a command waits until its answer has room */
		if (!reply && !vfio_user_flush(u))
			return;
		if (reply)
			reply_done(u, rx->call);
		else
			serve(u);
		close_fds(rx->fds, &rx->nfds);
		rx->got = 0;
	}
}

/* ---- commands ---- */

static void
check_deadline(struct vfio_user *u, const struct vfio_user_call *c)
{
	if (c->state != VFIO_USER_CALL_QUEUED && c->state != VFIO_USER_CALL_SENT)
		return;
	if (!plx_deadline_past(c->until))
		return;
	if (!u->negotiated)
		vfio_user_lose(u, -ETIMEDOUT,
			"no answer within %u ms: the server has another client (it takes one at a "
			"time) or hangs; end that client or restart the server",
			u->timeout_ms);
	else
		vfio_user_lose(u, -ETIMEDOUT, "no answer to %s within %u ms; restart the server",
			vfio_user_command_name(c->hdr->command), u->timeout_ms);
}

void
vfio_user_pump(struct vfio_user *u)
{
	if (is_lost(u) != 0)
		return;
	if (__atomic_load_n(&u->dev.gone, __ATOMIC_RELAXED) != 0)
		vfio_user_lose(u, -ENODEV, "the server truncated the file behind a mapped region");
	vfio_user_flush(u);
	receive(u);
	if (is_lost(u) != 0)
		return;
	check_deadline(u, &u->call);
	check_deadline(u, &u->dma_call);
}

int
vfio_user_call_begin(struct vfio_user *u, struct vfio_user_call *c, uint16_t command,
	uint32_t req_len, uint32_t reply_min, uint32_t reply_max)
{
	if (is_lost(u) != 0)
		return -ENODEV;
	do
		u->last_id++;
	while (call_of(u, u->last_id) != NULL);
	*c->hdr = (struct vfio_user_header){.msg_id = u->last_id,
		.command = command,
		.msg_size = HDR + req_len,
		.flags = VFIO_USER_F_TYPE_COMMAND};
	c->len = HDR + req_len;
	c->reply_min = reply_min;
	c->reply_max = reply_max;
	c->nrfds = 0;
	c->until = plx_deadline_in(u->timeout_ms);
	c->state = VFIO_USER_CALL_QUEUED;
	vfio_user_flush(u);
	return -EINPROGRESS;
}

int
vfio_user_call_poll(struct vfio_user *u, struct vfio_user_call *c)
{
	vfio_user_pump(u);
	if (is_lost(u) != 0)
		c->rc = is_lost(u);
	else if (c->state != VFIO_USER_CALL_DONE)
		return -EINPROGRESS;
	c->state = VFIO_USER_CALL_IDLE;
	c->nfds = 0;
	return c->rc;
}

void
vfio_user_call_drop_fds(struct vfio_user_call *c)
{
	close_fds(c->rfds, &c->nrfds);
}
