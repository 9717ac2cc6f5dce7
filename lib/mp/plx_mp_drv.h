/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef PLX_MP_DRV_H
#define PLX_MP_DRV_H
/**
 * @file
 * Several processes on one EAL: channels between the two halves of a driver, one in the primary
 * and one in a secondary process.
 *
 *	secondary: plx_mp_open()  ------->  primary: plx_mp_server.open(), or it is refused
 *	           recv()  <-------------->  plx_mp_send(), recv()
 *	           plx_mp_close()  ------->  closed(); then plx_mp_release(), when the device can't
 *	                                     reach the secondary's memory any more
 *
 * A socket carries them all. Its end tells each side of the other's death, at once and whatever
 * the cause. Everything is driven by plx_ctrl_poll() and runs under the control lock.
 */
#include <stddef.h>
#include <stdint.h>

#include "plx_blk.h"
#include "plx_mp.h"

#ifdef __cplusplus
extern "C" {
#endif

#define PLX_MP_DATA 4032 /**< bytes of a message, at most */
#define PLX_MP_FDS 8     /**< descriptors that go with it */

/** A message. The descriptors are closed after recv(): take them out by setting them to -1. */
struct plx_mp_msg {
	uint32_t kind; /**< the driver's */
	uint32_t len;
	uint32_t nfds;
	int fds[PLX_MP_FDS];
	uint8_t data[PLX_MP_DATA] __rte_aligned(8);
};

/** One end of a channel. Its owner sets recv, closed and priv as soon as it has it. */
struct plx_mp_chan {
	/** A message came. @return 0; -errno: it makes no sense, the other process is cut off */
	int (*recv)(struct plx_mp_chan *ch, struct plx_mp_msg *msg);
	/** The other end is gone, for the reason that rc says: -ENODEV closed or dead, and in the
	 * secondary also what open() answered (logged). Nothing can be sent any more; the end is
	 * to be given back by plx_mp_release(), now or later. */
	void (*closed)(struct plx_mp_chan *ch, int rc);
	void *priv;
	int32_t pid; /**< of the other process */
	/* private */
	struct mp_peer *peer;
	struct plx_mp_chan *next;
	uint16_t id;
	bool over; /* closed */
};

/** What the primary offers, and who offers it: lib/probe. */
struct plx_mp_server {
	/**
	 * Share the attachment of that name.
	 * @return 0: ch is the device's, and its first message tells the secondary; -errno:
	 * refused, and why says the reason
	 */
	int (*open)(struct plx_mp_chan *ch, const char *name, const void *req, uint32_t len,
		char *why, size_t size);
	/** Queue i of a device that secondary processes have. @return 0; -ENOENT there are i */
	int (*queue)(const struct plx_blk *blk, uint32_t i, struct plx_mp_queue *out);
};

/** Serve secondary processes of this EAL from now to its end; harmless when EAL can't have any,
 * and when it is called again. Under the control lock. */
void plx_mp_serve(const struct plx_mp_server *server);

/**
 * In a secondary process: ask the primary for a device of its.
 * @param name  of the attachment there
 * @param req   the driver's, len bytes
 * @param len   bytes of req
 * @param ch    out
 * @return 0: recv() or closed() follows; logged: -ECONNREFUSED the primary has no device;
 *         -EPROTONOSUPPORT; -ETIMEDOUT; -ENODEV it died; -EINVAL name or req is too long; -ENOMEM
 */
int plx_mp_open(const char *name, const void *req, uint32_t len, struct plx_mp_chan **ch);

/**
 * Send a message; it never waits.
 * @return 0; -EAGAIN, in a secondary only, the primary has not read what was sent before; -ENODEV
 *         the other end is gone; -EINVAL
 */
int plx_mp_send(struct plx_mp_chan *ch, uint32_t kind, const void *data, uint32_t len,
	const int *fds, unsigned int nfds);

/** End a channel and free it. Primary: only when the device can't reach the secondary's memory any
 * more. NULL is harmless. */
void plx_mp_release(struct plx_mp_chan *ch);

#ifdef __cplusplus
}
#endif
#endif
