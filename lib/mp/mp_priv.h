/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef MP_PRIV_H
#define MP_PRIV_H
/**
 * @file
 * What goes over the socket: one packet a message, in the byte order and layout of the machine,
 * since both ends are the same version of the library; MP_HELLO makes sure of that.
 */
#include <stdbool.h>
#include <sys/un.h>

#include "plx_mp_drv.h"

#define MP_SOCKET "plx_mp.sock" /* in EAL's runtime directory */
#define MP_PROTOCOL 1
#define MP_WAIT_MS 5000
#define MP_NAME 64

enum mp_type {
	MP_HELLO = 1, /* struct mp_hello; answered by MP_WELCOME */
	MP_WELCOME,   /* rc */
	MP_ALLOC,     /* struct mp_alloc; answered by MP_ALLOCED */
	MP_ALLOCED,   /* struct mp_alloc: va */
	MP_FREE,      /* struct mp_alloc: va */
	MP_OPEN,      /* chan; struct mp_open and the driver's request */
	MP_REFUSED,   /* chan, rc; the reason as text */
	MP_DATA,      /* chan, kind; the driver's */
	MP_CLOSE,     /* chan */
	MP_LOOK,      /* struct mp_look; answered by MP_VIEW */
	MP_VIEW,      /* rc; struct plx_mp_dev or plx_mp_queue */
};

struct mp_head {
	uint16_t type;
	uint16_t chan;
	uint32_t kind;
	int32_t rc;
	uint32_t len; /* of what follows */
};
struct mp_hello {
	uint32_t protocol;
	uint32_t info_size, stats_size; /* of structures that go over */
	char version[32];
};
struct mp_alloc {
	uint64_t size, align, va;
	int32_t socket;
	uint32_t seq; /* the answer has it, too */
};
struct mp_open {
	char name[MP_NAME];
};
struct mp_look {
	uint32_t dev, queue; /* indexes; queue UINT32_MAX: the device itself */
};

/* A packet as it came. */
struct mp_packet {
	struct mp_packet *next;
	struct mp_head h;
	struct plx_mp_msg m;
};

/* The process at the other end of a socket. */
struct mp_peer {
	int fd; /* -1: it is gone */
	int32_t pid;
	bool welcome;
	bool server; /* it is the primary */
	bool ending; /* its channels are being told */
	struct plx_mp_chan *chans;
	struct mp_loan *loans; /* what it borrowed, or (server) lent; its death keeps them */
	struct mp_peer *next;
};

/* mp_wire.c */
int mp_address(const char *dir, struct sockaddr_un *addr);
/* @return 0; -EAGAIN it has no room; -errno it is gone */
int mp_send(int fd, const struct mp_head *h, const void *data, const int *fds, unsigned int nfds);
/* @return 1; 0 nothing there; -errno it is gone, or what came is not ours */
int mp_recv(int fd, struct mp_packet *p);
void mp_close_fds(struct plx_mp_msg *m);
void mp_hello_fill(struct mp_hello *hello);
/* Wait for a packet, until then at most. @return 1; -ETIMEDOUT; -errno */
int mp_recv_wait(int fd, struct mp_packet *p, uint64_t until_ms);
uint64_t mp_now_ms(void);
/* Connect, and be welcome. @return the descriptor; -errno, logged */
int mp_connect(const char *dir, const char *prefix);

/* mp_loan.c: memory that a secondary process has of the primary. */
struct mp_loan {
	struct mp_loan *next;
	void *ptr;
	bool returned; /* by a process whose devices may still reach it */
};
int mp_loan_add(struct mp_loan **list, void *ptr);
bool mp_loan_del(struct mp_loan **list, void *ptr);
void *mp_lend(struct mp_peer *peer, const struct mp_alloc *a);
/* It is given back. */
void mp_unlend(struct mp_peer *peer, void *ptr);
/* Free what was given back, or all, unless a device may reach it. */
void mp_unlend_idle(struct mp_peer *peer, bool all);

/* The channels of a peer. @return the one of that id, or NULL */
struct plx_mp_chan *mp_chan(const struct mp_peer *peer, uint16_t id);
void mp_chan_add(struct mp_peer *peer, struct plx_mp_chan *ch);
void mp_chan_end(struct plx_mp_chan *ch, int rc);
/* The peer is gone, or is to go: close its socket, end its channels. */
void mp_peer_end(struct mp_peer *peer);

/* mp_server.c */
/* A secondary that is gone, and has no channel any more, can be forgotten. */
void mp_server_reap(struct mp_peer *peer);
/* As that of struct plx_mp_server. */
int mp_server_queue(const struct plx_blk *blk, uint32_t i, struct plx_mp_queue *out);

/* mp_telemetry.c */
void mp_telemetry_register(void);

#endif
