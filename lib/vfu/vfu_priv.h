/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VFU_PRIV_H
#define VFU_PRIV_H

#include <sys/types.h>
#include <time.h>

#include "plx_sigbus.h"
#include "plx_vfu.h"
#include "vfio_user_spec.h"

#define VFU_NB_REGIONS 9
#define VFU_NB_IRQS 5
#define VFU_CFG_SIZE 4096 /* config space as a region */
#define VFU_CFG_USED 256  /* of it, what holds anything */

/* What VERSION tells the client. QEMU wants max_msg_fds <= 16, max_dma_maps <= 65535. */
#define VFU_MAX_MSG_FDS 16
#define VFU_MAX_XFER (1u << 20)
#define VFU_MAX_DMA_MAPS 16384
#define VFU_PGSIZE 4096
#define VFU_MAX_JOINS 256 /* more than a controller has queues */
/* the largest message: REGION_WRITE with all its data */
#define VFU_MAX_MSG (16 + 16 + VFU_MAX_XFER)

/* A client that doesn't say VERSION in this time makes room for the next. */
#define VFU_HELLO_S 10

enum vfu_state {
	VFU_LISTENING, /* no client */
	VFU_HELLO,     /* connected, VERSION hasn't come */
	VFU_SERVING,
	VFU_LEAVING, /* the client is gone, the device model is letting go */
};

/* One command: being received, or being handled. */
struct vfu_msg {
	struct vfio_user_header hdr;
	uint32_t got;  /* bytes received, with the header */
	uint32_t len;  /* of the payload */
	uint8_t *body; /* the payload; vfu->in */
	uint32_t nb_fds;
	int fds[VFIO_USER_SCM_MAX_FD]; /* -1: taken */
	uint64_t done;                 /* handling: entries of REGION_WRITE_MULTI behind us */
};

/* Header and payload of the reply, in one piece. */
struct vfu_reply {
	uint8_t *buf;
	size_t room, len; /* as its handler makes it */
	size_t end, sent; /* under way: bytes to send, bytes sent */
	int fd;           /* to attach, -1: none */
};

/* A DMA region. */
struct vfu_map {
	void *base;
	size_t len;
	struct plx_sigbus_range guard;
};
struct vfu_dma {
	uint64_t iova, len;
	uint8_t *va; /* NULL: came without a file, not reachable */
	bool writable;
	struct vfu_map *map;
};

struct vfu_bar {
	uint64_t size;     /* as the client sees it, a power of two; 0: none */
	uint64_t dev_size; /* the device model's part */
	uint64_t map_off, map_size;
	int fd; /* memfd with the mappable part */
	void *mem;
};

/* An interrupt source. */
struct vfu_vec {
	int fd; /* eventfd or -1 */
	bool masked, pending;
};

/* How eventfds are signalled. */
struct vfu_signal {
	unsigned long ctx; /* of asynchronous I/O, 0: none */
	int null;
};

struct plx_vfu {
	enum vfu_state state;
	int fd;           /* the client, or -1 */
	uint32_t gone;    /* touched client memory that wasn't there any more (plx_sigbus.h) */
	bool busy;        /* msg is complete and not answered: its handler is called again */
	bool write_multi; /* negotiated */
	bool close_after; /* the reply under way is the last */
	bool dma_let_go, was_reset; /* how far VFU_LEAVING is */
	bool warned;                /* of what keeps the next client out */
	uint32_t peer_fds;          /* how many fds the client takes in a message */
	time_t hello_until;
	struct vfu_msg msg;
	size_t in_room;
	struct vfu_reply out;

	const struct plx_vfu_ops *ops;
	void *arg;
	struct vfu_dma *dma; /* sorted by iova */
	uint32_t nb_dma, dma_room;
	struct vfu_join *joins;
	uint32_t nb_joins;

	struct vfu_signal signal;
	struct vfu_vec intx, *msix;
	int intx_unmask; /* eventfd with which the client unmasks INTx, or -1 */
	uint32_t msix_count, msix_wired;
	bool msix_fmask; /* function mask of the capability */
	uint8_t *msix_table;
	uint32_t msix_bar;
	uint64_t table_off, pba_off, pba_end;

	struct vfu_bar bars[6];
	uint16_t ids[4]; /* vendor, device, subvendor, subdevice */
	uint32_t class_code;
	uint8_t cfg[VFU_CFG_USED], wmask[VFU_CFG_USED];

	int listen_fd;
	char path[108];
	dev_t sock_dev;
	ino_t sock_ino;
};

/* vfu_signal.c: never wait for the client */
void vfu_signal_init(struct vfu_signal *s);
void vfu_signal_free(struct vfu_signal *s);
void vfu_signal(struct vfu_signal *s, int fd);
/* It was; the counter is taken. */
bool vfu_signalled(int fd);

/* vfu_sock.c */
int vfu_listen(struct plx_vfu *v);
void vfu_unlisten(struct plx_vfu *v);
/* 1 connected, 0 nobody there */
int vfu_accept(struct plx_vfu *v);
/* 1 a whole command is in v->msg, 0 not yet, -errno the connection is to be closed */
int vfu_recv(struct plx_vfu *v);
/* 0 all is out, -EAGAIN, -errno the connection is to be closed */
int vfu_flush(struct plx_vfu *v);
/* Ready for the next message: closes the fds that nobody took. */
void vfu_msg_clear(struct vfu_msg *m);
/* Room for a reply's payload of len bytes, NULL: no memory. May be called again to begin anew. */
void *vfu_reply(struct plx_vfu *v, size_t len);

/*
 * Handlers of commands: 0, the reply is v->out; -EINPROGRESS, call again; -errno, an error
 * reply. The payload is at least as long as the command table in vfu.c says.
 */
int vfu_version(struct plx_vfu *v, struct vfu_msg *m);
int vfu_get_info(struct plx_vfu *v, struct vfu_msg *m);
int vfu_region_info(struct plx_vfu *v, struct vfu_msg *m);
int vfu_region_io_fds(struct plx_vfu *v, struct vfu_msg *m);
int vfu_region_read(struct plx_vfu *v, struct vfu_msg *m);
int vfu_region_write(struct plx_vfu *v, struct vfu_msg *m);
int vfu_region_write_multi(struct plx_vfu *v, struct vfu_msg *m);
int vfu_irq_info(struct plx_vfu *v, struct vfu_msg *m);
int vfu_set_irqs(struct plx_vfu *v, struct vfu_msg *m);
int vfu_dma_map(struct plx_vfu *v, struct vfu_msg *m);
int vfu_dma_unmap(struct plx_vfu *v, struct vfu_msg *m);

/* vfu_region.c: shared memory of the BARs, fresh for a client; the old one stays on an error */
int vfu_bars_renew(struct plx_vfu *v);
void vfu_bars_free(struct plx_vfu *v);

/* vfu_pci.c: config space; accesses are inside it */
void vfu_cfg_reset(struct plx_vfu *v);
void vfu_cfg_read(const struct plx_vfu *v, uint64_t off, void *buf, uint32_t len);
int vfu_cfg_write(struct plx_vfu *v, uint64_t off, const void *buf, uint32_t len);
bool vfu_intx_disabled(const struct plx_vfu *v);

/* vfu_irq.c */
int vfu_irqs_init(struct plx_vfu *v);
void vfu_irqs_reset(struct plx_vfu *v);
void vfu_irqs_free(struct plx_vfu *v);
/* A mask of config space changed: let go what was held back. */
void vfu_irqs_flush(struct plx_vfu *v);
/* INTx is masked and the client may unmask by eventfd. */
void vfu_intx_poll_unmask(struct plx_vfu *v);
/* The part of msix_bar from table_off on. */
void vfu_msix_read(const struct plx_vfu *v, uint64_t off, uint8_t *buf, uint32_t len);
void vfu_msix_write(struct plx_vfu *v, uint64_t off, const uint8_t *buf, uint32_t len);

/* vfu_dma.c */
void vfu_dma_clear(struct plx_vfu *v);

/* vfu_join.c: pieces in this range go */
void vfu_joins_drop(struct plx_vfu *v, uint64_t iova, uint64_t len);

#endif
