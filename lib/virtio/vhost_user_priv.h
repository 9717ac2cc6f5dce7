/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VHOST_USER_PRIV_H
#define VHOST_USER_PRIV_H
/*
 * The vhost-user front end's parts:
 *
 *	vhost_user.c          the device: open, reconnect, features, configuration
 *	vhost_user_sock.c     connecting, one message after the other, losing the connection
 *	vhost_user_queues.c   start and reset: queues, and what the back end had in flight
 *	vhost_user_mem.c      the memory table
 *	vhost_user_backend.c  the back end's own requests
 *
 * All state machines (plx_pt.h), under the control lock; only kicks come from other threads. No
 * byte of the back end's is believed before it was checked.
 */
#include <sys/socket.h>
#include <sys/un.h>

#include "plx_ctrl.h"
#include "plx_pt.h"
#include "plx_virtio.h"
#include "vhost_user_spec.h"

#define VHU_FDS VHU_TABLE_REGIONS
#define VHU_QUEUE_SIZE 1024 /* what every back end takes: there is no way to ask */
#define VHU_PAYLOAD sizeof(struct vhu_config)
#define VHU_SLOTS_MAX 512

/* The message under way: one at a time, since replies have no id but come in order. */
struct vhu_call {
	enum { VHU_IDLE, VHU_SENDING, VHU_WAITING, VHU_DONE } state;
	const struct plx_pt *owner; /* the state machine that it is of */
	int rc;
	bool replies; /* has a reply of its own, beyond an acknowledgement */
	struct plx_deadline until;
	struct vhu_header hdr;
	union {
		uint8_t payload[VHU_PAYLOAD];
		uint64_t u64;
		struct vhu_mem_table table;
		struct vhu_config config;
		struct vhu_inflight inflight;
		struct vhu_vring_state vring;
		struct vhu_vring_addr addr;
		struct vhu_mem_reg reg;
	};
	int fds[VHU_FDS];
	unsigned int nfds;
	uint32_t sent;
	/* its reply */
	struct vhu_header reply_hdr;
	union {
		uint8_t reply[VHU_PAYLOAD];
		uint64_t reply_u64;
		struct vhu_vring_state reply_vring;
		struct vhu_config reply_config;
		struct vhu_inflight reply_inflight;
	};
	uint32_t got; /* bytes received, header included */
	int reply_fd; /* -1: none came */
};

/* Memory that the back end is told of. */
struct vhu_mem {
	struct vhu_region r;
	int fd; /* lib/mem's */
};

struct vhost_user {
	struct plx_virtio_dev dev;
	struct sockaddr_un addr;
	struct plx_vhost_user_conf conf;

	int fd;
	bool connected;
	unsigned int tries; /* to reconnect; only the first tells what is wrong */
	bool protocol_on;   /* bit 30 was negotiated */
	struct plx_deadline until;
	struct vhu_call call;
	int backend_fd;  /* our end; -1: none */
	uint64_t virtio; /* features, bit 30 included */
	uint64_t protocol;
	uint64_t mem_slots, first_slots;
	uint64_t number; /* an answer */
	int call_end;    /* on its way to the back end */

	/* the operation under way */
	int (*step)(struct vhost_user *u);
	struct plx_pt pt, sub;
	int rc;
	uint32_t i;
	uint64_t features;
	struct {
		uint32_t off, len, ask;
		void *buf;
		uint8_t bytes[VHU_CONFIG_MAX];
	} config;

	/* queues */
	struct plx_virtio_queue **q;
	int *kick_fds, *call_fds; /* a queue each */
	uint16_t nb_queues;
	uint16_t nb_begun; /* of which the back end may know */
	struct vhu_inflight inflight;
	int inflight_fd; /* -1: none */

	/* memory */
	struct vhu_mem *mem;
	uint32_t nb_mem;
	bool mem_live;    /* the back end has the table, and is told of changes */
	bool mem_telling; /* it is just being told: changes wait */
	struct plx_pt mem_pt;
	int (*mem_step)(struct vhost_user *u);
	int mem_rc;
	struct vhu_mem mem_change;
};

static inline bool
vhu_has(const struct vhost_user *u, enum vhu_protocol_feature bit)
{
	return (u->protocol >> bit & 1) != 0;
}

/* vhost_user_sock.c */
/* Why a socket can't be had, in one line unless quiet. @return -err, or what it means */
int vhu_refuse(const struct vhost_user *u, int err, bool quiet);
int vhu_socket(struct vhost_user *u);
/* @return 0; -EINPROGRESS; -errno, unlogged */
int vhu_connect(struct vhost_user *u);
int vhu_lose(struct vhost_user *u, int rc, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* Send call.payload; replies: it is answered anyway. Call vhu_call_poll() until it ends.
 * @return -EINPROGRESS or what that returns */
int vhu_call(struct vhost_user *u, enum vhu_request request, uint32_t len, bool replies);
/* The same with a file descriptor. */
int vhu_call_fd(struct vhost_user *u, enum vhu_request request, uint32_t len, int fd);
int vhu_call_u64(struct vhost_user *u, enum vhu_request request, uint64_t value);
/* @return 0; -EINPROGRESS; -EREMOTEIO the back end refused (logged); -ENODEV lost */
int vhu_call_poll(struct vhost_user *u);
/* The socket's side of all that; also when no message is under way. */
void vhu_pump(struct vhost_user *u);
const char *vhu_request_name(uint32_t request);

/* A message inside a state machine, which waits for its turn; begin is one of the calls above. */
#define VHU_CALL(pt, rc, u, begin)                                \
	do {                                                      \
		(pt)->line = __LINE__;                            \
		__attribute__((fallthrough));                     \
	case __LINE__:                                            \
		if ((u)->call.owner == (pt))                      \
			(rc) = vhu_call_poll(u);                  \
		else if ((u)->call.owner != NULL)                 \
			(rc) = -EINPROGRESS;                      \
		else                                              \
			(rc) = ((u)->call.owner = (pt), (begin)); \
		if ((rc) == -EINPROGRESS)                         \
			return -EINPROGRESS;                      \
		(u)->call.owner = NULL;                           \
	} while (0)
#define VHU_OR_RETURN(pt, rc)                  \
	do {                                   \
		if ((rc) != 0)                 \
			PLX_PT_RETURN(pt, rc); \
	} while (0)

/* vhost_user_queues.c */
int vhu_start(struct plx_virtio_dev *dev, struct plx_virtio_queue *const *q, uint16_t n);
int vhu_reset(struct plx_virtio_dev *dev);
void vhu_notify(struct plx_virtio_queue *q, uint16_t data);
void vhu_queues_free(struct vhost_user *u);

/* vhost_user_mem.c */
int vhu_domain_create(struct vhost_user *u);
/* Tell the whole table: a state machine on u->sub. */
int vhu_mem_tell(struct vhost_user *u);
/* The back end knows nothing any more. */
void vhu_mem_lost(struct vhost_user *u);

/* vhost_user_backend.c */
/* @return the end for the back end, or -errno */
int vhu_backend_open(struct vhost_user *u);
void vhu_backend_poll(struct vhost_user *u);
void vhu_backend_close(struct vhost_user *u);

/* vhost_user.c: begin an operation, whose state machine is on u->pt */
int vhu_run(struct vhost_user *u, int (*step)(struct vhost_user *u));

#endif
