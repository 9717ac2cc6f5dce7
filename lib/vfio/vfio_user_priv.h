/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VFIO_USER_PRIV_H
#define VFIO_USER_PRIV_H
/**
 * @file
 * The vfio-user client: one connection, one device. vfio_user_send.c and vfio_user_recv.c move
 * messages, vfio_user_caps.c reads the server's JSON, vfio_user_dma.c maps memory and serves the
 * server's accesses to it, vfio_user_open.c asks what the device has, vfio_user.c works it.
 *
 * Two commands may be under way at a time, one of the device and one of its DMA domain. Only
 * posts come from other threads: what sends is under tx_lock, all else under the control lock.
 */
#include <pthread.h>
#include <sys/un.h>

#include "plx_ctrl.h"
#include "plx_pt.h"
#include "plx_vfio.h"
#include "vfio_user_spec.h"

/* Nothing beyond 0.1 is used, and servers of that version are around. */
#define VFIO_USER_OUR_MINOR 1
/* What we tell the server that we take: fds and data bytes in one message. */
#define VFIO_USER_OUR_FDS 16
#define VFIO_USER_OUR_XFER 1048576u
#define VFIO_USER_OUR_CAPS                                                      \
	"{\"capabilities\":{\"max_msg_fds\":16,\"max_data_xfer_size\":1048576," \
	"\"max_dma_maps\":65535,\"pgsizes\":4096}}"

/* The most region info that is taken: hundreds of mappable areas. */
#define VFIO_USER_INFO_MAX 16384u
/* Data in one of our messages: small enough for the kernel to take it whole, since servers read
 * a message's body with one call. */
#define VFIO_USER_CHUNK 16384u
/* The longest body of a reply that we ask for: an access, region info with its capabilities. */
#define VFIO_USER_REPLY (VFIO_USER_CHUNK + sizeof(struct vfio_user_region_access))
#define VFIO_USER_MAX_MSG \
	(sizeof(struct vfio_user_header) + sizeof(struct vfio_user_dma_access) + VFIO_USER_OUR_XFER)

#define VFIO_USER_POST_MSG                                                          \
	(sizeof(struct vfio_user_header) + sizeof(struct vfio_user_region_access) + \
		sizeof(uint32_t))
/* Doorbells that wait for a full socket: NVMe has at most 512 queue pairs on such servers. */
#define VFIO_USER_POSTS 1024

/* What the server's JSON says, or the defaults. */
struct vfio_user_caps {
	uint32_t max_msg_fds;
	uint32_t max_data_xfer_size;
	uint32_t max_dma_maps;
	uint64_t pgsizes;
};

/* The smallest page that the server maps. */
static inline uint64_t
vfio_user_page(const struct vfio_user_caps *caps)
{
	return caps->pgsizes & (0 - caps->pgsizes);
}

enum vfio_user_call_state {
	VFIO_USER_CALL_IDLE,
	VFIO_USER_CALL_QUEUED, /* the socket took nothing of it yet */
	VFIO_USER_CALL_SENT,
	VFIO_USER_CALL_DONE,
};

/* A command of ours and its reply. */
struct vfio_user_call {
	enum vfio_user_call_state state;
	int rc; /* when done: 0 or the server's -errno */
	struct plx_deadline until;
	struct vfio_user_header *hdr;             /* the message: header and body, */
	uint8_t *req;                             /* which begins here */
	uint32_t len;                             /* of the message */
	uint8_t *reply;                           /* body */
	uint32_t reply_min, reply_max, reply_len; /* of the body */
	unsigned int nfds, nrfds;
	bool want_fds; /* else those of the reply are closed */
	int fds[VFIO_USER_OUR_FDS];
	int rfds[VFIO_USER_OUR_FDS];
};

struct vfio_user_post {
	uint64_t off;
	uint32_t region, value;
};

/* The message that is coming in. */
struct vfio_user_rx {
	struct vfio_user_header hdr;
	uint32_t got;                /* bytes, with the header */
	struct vfio_user_call *call; /* whose reply it is, NULL: a command */
	unsigned int nfds;
	int fds[VFIO_USER_OUR_FDS];
	uint8_t *cmd; /* body of a command */
};

struct vfio_user {
	struct plx_vfio_dev dev;
	int fd;
	struct sockaddr_un addr;
	uint32_t timeout_ms;
	bool connected, negotiated, opened;
	unsigned int tries;                /* to reconnect; what is wrong is told at the first */
	struct vfio_user_caps caps, first; /* now, and when the domain was made */

	/* sending, under tx_lock; what waits goes in the order rest, posts, reply, calls */
	pthread_mutex_t tx_lock;
	const uint8_t *rest; /* of a message that the socket took in part */
	uint32_t rest_len;
	bool tx_waits;                /* the socket is full: */
	struct plx_deadline tx_until; /* when the server must have read */
	unsigned int nb_posts;
	struct vfio_user_post posts[VFIO_USER_POSTS];
	uint8_t post_msg[VFIO_USER_POST_MSG];

	/* under the control lock */
	uint16_t last_id;
	uint8_t *out;     /* a reply of ours */
	uint32_t out_len; /* 0: all of it is sent */
	struct vfio_user_rx rx;
	struct vfio_user_call call;     /* the device's */
	struct vfio_user_call dma_call; /* the domain's */

	/* the operation under way */
	int (*op)(struct vfio_user *u);
	struct plx_pt pt;
	int rc;
	uint32_t i, argsz, num_regions, num_irqs;
	struct plx_deadline until;
	struct { /* region access */
		unsigned int region;
		uint64_t off;
		uint32_t len, done;
		uint8_t *buf;  /* where a read goes, the caller's */
		uint8_t *data; /* of a write, a copy */
	} acc;
	struct { /* eventfds */
		unsigned int index, start, n, done, now;
		int *fds;
	} irq;
};

/* ---- vfio_user_send.c ---- */

/** Give the device up, once: log why, set dev.lost, end the connection. Any thread.
 * @return rc */
int vfio_user_lose(struct vfio_user *u, int rc, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/** The same, because of an error of the socket. */
void vfio_user_lose_errno(struct vfio_user *u, int err);

/** The name of a command, for messages. */
const char *vfio_user_command_name(uint16_t command);

/** Send what waits. @return nothing waits any more */
bool vfio_user_flush(struct vfio_user *u);

/** A doorbell. Any thread. */
void vfio_user_post(struct plx_vfio_dev *dev, unsigned int region, uint64_t off, uint32_t v);

/* ---- vfio_user_recv.c ---- */

/**
 * Begin a command; req and fds were filled in. The reply's fds are closed unless want_fds.
 * @param req_len  bytes of body
 * @param reply_min, reply_max  bytes that the reply's body may have
 * @return -EINPROGRESS: vfio_user_call_poll() follows
 */
int vfio_user_call_begin(struct vfio_user *u, struct vfio_user_call *c, uint16_t command,
	uint32_t req_len, uint32_t reply_min, uint32_t reply_max);
/** @return -EINPROGRESS; 0: the reply is in c->reply; the server's -errno; why the device is
 * lost */
int vfio_user_call_poll(struct vfio_user *u, struct vfio_user_call *c);
/** Close fds that came with the reply. */
void vfio_user_call_drop_fds(struct vfio_user_call *c);

/** Send and receive what is possible now. */
void vfio_user_pump(struct vfio_user *u);

/* ---- vfio_user_caps.c ---- */

/**
 * Read what follows the version in VERSION.
 * @param len  bytes, 0: no JSON
 * @return 0; -EPROTO, why set
 */
int vfio_user_caps_parse(
	const char *text, size_t len, struct vfio_user_caps *caps, const char **why);

/* ---- vfio_user_dma.c ---- */

/** Create u->dev.domain from what was negotiated. @return as plx_mem_domain_create() */
int vfio_user_domain_create(struct vfio_user *u);

/**
 * Do what the server's command in u->rx asks for.
 * @param n    bytes of its body
 * @param out  where the reply's body goes
 * @return its bytes, or -errno for an error reply
 */
int vfio_user_serve(struct vfio_user *u, uint32_t n, uint8_t *out);

/* ---- vfio_user_open.c ---- */

/** The operation that plx_vfio_user_open() begins. */
int vfio_user_op_open(struct vfio_user *u);
int vfio_user_reconnect(struct plx_vfio_dev *dev);
void vfio_user_close(struct plx_vfio_dev *dev);

/** A client on a connected socket, which it takes over even on error; then as
 * plx_vfio_user_open(). For tests. */
int vfio_user_open_fd(
	int fd, const char *name, const struct plx_vfio_user_conf *conf, struct plx_vfio_dev **dev);

/* ---- vfio_user.c ---- */

extern const struct plx_vfio_ops vfio_user_ops;

/** The step after vfio_user_call_begin() on u->call: got() judges the server's reply or its
 * -errno. @return -EINPROGRESS; got()'s result; why the device is lost */
int vfio_user_answer(struct vfio_user *u, int (*got)(struct vfio_user *u, int rc));

#endif
