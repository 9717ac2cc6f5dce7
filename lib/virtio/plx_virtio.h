/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef PLX_VIRTIO_H
#define PLX_VIRTIO_H
/**
 * @file
 * A virtio device, whoever brings it: a PCI function, a vhost-user back end behind a socket, or
 * the kernel's vhost-vdpa. Drivers sit on this; queues (plx_virtq.h) know nothing of it.
 *
 *	plx_virtio_*_open()		its device id, what it offers
 *	  plx_virtio_negotiate()	features; then configuration space may be read
 *	  plx_virtio_queue_max()	sizes of rings
 *	  plx_mem_domain_sync()		memory that the rings and requests lie in
 *	  plx_virtio_start()		all queues at once, then DRIVER_OK
 *	... kicks and calls ...
 *	  plx_virtio_reset()		the device lets go of queues; begin again at negotiate
 *	plx_virtio_close()
 *
 * Everything but the kick is control work: under the control lock, one operation at a time on a
 * device. Each returns 0, -EINPROGRESS or -errno; after -EINPROGRESS plx_virtio_poll() gives the
 * outcome, within the transport's time-out. A failure is logged where its cause is known.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/virtio_config.h>

#include "plx_virtq.h"

#ifdef __cplusplus
extern "C" {
#endif

/* missing in headers older than Linux 6.2 (Virtio 1.2, 6) */
#ifndef VIRTIO_F_NOTIFICATION_DATA
#define VIRTIO_F_NOTIFICATION_DATA 38
#endif
#ifndef VIRTIO_F_NOTIF_CONFIG_DATA
#define VIRTIO_F_NOTIF_CONFIG_DATA 39
#endif

struct plx_mem_domain;
struct plx_pci;
struct plx_virtio_dev;
struct plx_virtio_ops;

/** One queue, from plx_virtio_start() until plx_virtio_reset(). */
struct plx_virtio_queue {
	/* the driver's, before start */
	struct plx_virtq *vq; /**< set up; lies in memory that the device's domain maps. The device
				 goes on at plx_virtq_base(): the beginning, if it was reset */
	int call_fd;          /**< eventfd that used buffers make readable; -1: polled only */
	/* the transport's, by start */
	struct plx_virtio_dev *dev;
	uint16_t qid;
	bool db_wide;      /**< the doorbell takes NOTIFICATION_DATA in its upper half: 32 bits */
	uint16_t db_value; /**< what the doorbell is told: mostly qid */
	volatile void *db; /**< the doorbell, mapped; NULL: ops->notify rings */
	int kick_fd;       /**< an eventfd that rings, or -1 */
};

/** An open device. Read-only to users, but for remembers. */
struct plx_virtio_dev {
	const struct plx_virtio_ops *ops;
	struct plx_mem_domain *domain; /**< where its DMA goes */
	char name[128];                /**< for messages: "vhost-user:/run/x", "0000:01:00.0" */
	uint32_t device_id;            /**< 2: block; 0: the transport can't tell */
	/** What the device offers and the driver may choose from. VERSION_1 is always there.
	 * ACCESS_PLATFORM, ORDER_PLATFORM, NOTIFICATION_DATA and the like are the transport's
	 * business: it adds them by itself */
	uint64_t offered;
	uint64_t features;   /**< as negotiated, the transport's included */
	uint16_t max_queues; /**< the device has at most so many; 0: the transport can't tell */
	int numa_node;       /**< -1: unknown */
	/** Grows when the device says that its configuration changed; see plx_virtio_poll() */
	uint32_t config_changes;
	uint8_t status; /**< device status as last read by plx_virtio_status() */
	int lost;       /**< 0, or why it can't be reached any more (-errno); atomic */
	/** Lost, then reconnected: the device remembers what it had in flight (vhost-user's
	 * INFLIGHT_SHMFD), and goes on with it when rings are started as they are. The driver
	 * clears it to begin afresh */
	bool remembers;
	/* private */
	bool busy; /**< an operation is under way */
};

/**
 * A transport. Validation and `busy` are the business of the calls below, which say what each
 * does; a transport without reconnect has NULL there.
 */
struct plx_virtio_ops {
	const char *name;
	int (*poll)(struct plx_virtio_dev *dev);
	int (*negotiate)(struct plx_virtio_dev *dev, uint64_t features);
	int (*config_read)(struct plx_virtio_dev *dev, uint32_t off, void *buf, uint32_t len);
	int (*config_write)(
		struct plx_virtio_dev *dev, uint32_t off, const void *buf, uint32_t len);
	int (*queue_max)(struct plx_virtio_dev *dev, uint16_t qid, uint16_t *size);
	int (*start)(struct plx_virtio_dev *dev, struct plx_virtio_queue *const *q, uint16_t n);
	int (*status)(struct plx_virtio_dev *dev);
	int (*reset)(struct plx_virtio_dev *dev);
	int (*reconnect)(struct plx_virtio_dev *dev);
	/** Ring, any thread: data is the upper half of NOTIFICATION_DATA. Never blocks */
	void (*notify)(struct plx_virtio_queue *q, uint16_t data);
	void (*close)(struct plx_virtio_dev *dev);
};

/** Whether a back end's notes of what it has in flight (INFLIGHT_SHMFD) are used. */
enum plx_vhost_user_inflight {
	/** With split rings only: what librte_vhost (22.11 and later) makes of its notes on packed
	 * rings can complete a request that was not executed, when it is killed at the wrong
	 * moment */
	PLX_VHOST_USER_INFLIGHT_SPLIT,
	PLX_VHOST_USER_INFLIGHT_NEVER,
	PLX_VHOST_USER_INFLIGHT_ALWAYS,
};

/** Options of the vhost-user front end. */
struct plx_vhost_user_conf {
	uint32_t timeout_ms; /**< bound of connecting and of each message, 0: 10 s */
	enum plx_vhost_user_inflight inflight;
	bool split; /**< packed rings won't be asked for */
};

/**
 * Begin opening a vhost-user back end (QEMU's vhost-user specification): connect, negotiate
 * the protocol. plx_virtio_poll() ends with 0, or an error that was logged with its way out.
 * @param path  UNIX socket that the back end listens on
 * @param conf  options, NULL for the defaults
 * @param dev   out
 * @return 0; logged: -ENAMETOOLONG; -ENOENT; -EACCES; -ENOTSOCK; -EPROTOTYPE; -ECONNREFUSED;
 *         -ENOMEM. Of plx_virtio_poll(): these, -ETIMEDOUT, -ENODEV the back end left, -EPROTO it
 *         doesn't speak vhost-user, -EPROTONOSUPPORT it offers no VERSION_1
 */
int plx_vhost_user_open(
	const char *path, const struct plx_vhost_user_conf *conf, struct plx_virtio_dev **dev);

/**
 * Open a vDPA device: /dev/vhost-vdpa-N. It is usable at once.
 * @return 0; logged: -ENOENT; -EACCES; -EBUSY somebody has it; -ENOTTY another kind of file;
 *         -EPROTONOSUPPORT; -ENOMEM; -EIO
 */
int plx_vhost_vdpa_open(const char *path, struct plx_virtio_dev **dev);

/**
 * Begin opening a virtio device behind PCI; pci was probed and stays the caller's.
 * @return 0 then plx_virtio_poll(), which ends with 0, or logged: -EPROTONOSUPPORT a legacy device;
 *         -EPROTO capabilities that make no sense; -ENOMEM; as plx_vfio_region_read()
 */
int plx_virtio_pci_open(struct plx_pci *pci, struct plx_virtio_dev **dev);

/**
 * Go on with the operation under way and see what the device says; also to be called when none
 * is under way.
 * @return -EINPROGRESS; the operation's result, once; 0 when there is none; -ENODEV the device is
 *         lost (then dev->lost says why, and no operation is under way any more)
 */
int plx_virtio_poll(struct plx_virtio_dev *dev);

/**
 * Agree on features: ACKNOWLEDGE, DRIVER, FEATURES_OK (Virtio 1.2, 3.1.1). VERSION_1 is added.
 * @param dev       the device
 * @param features  of dev->offered
 * @return 0: dev->features is set; -EPROTONOSUPPORT the device refuses them (logged); -EINVAL
 */
int plx_virtio_negotiate(struct plx_virtio_dev *dev, uint64_t features);

/**
 * Read configuration space, as one state of it (2.5.1). buf lives to the end of the operation.
 * What the device doesn't have reads as zeroes.
 * @return 0; -EPROTO the device has none, or it never stands still (logged)
 */
int plx_virtio_config_read(struct plx_virtio_dev *dev, uint32_t off, void *buf, uint32_t len);
/** Write a field of it. @return 0; -ENOTSUP the transport can't */
int plx_virtio_config_write(
	struct plx_virtio_dev *dev, uint32_t off, const void *buf, uint32_t len);

/** The largest ring that queue qid takes. @return 0; -EINVAL there is no such queue */
int plx_virtio_queue_max(struct plx_virtio_dev *dev, uint16_t qid, uint16_t *size);

/**
 * Give the device queues 0 to n - 1 and set DRIVER_OK. They live until reset or close.
 * @return 0; -ENOMEM a ring isn't in mapped memory (logged); -EINVAL more than it has
 */
int plx_virtio_start(struct plx_virtio_dev *dev, struct plx_virtio_queue *const *q, uint16_t n);

/** Read the device status into dev->status, for NEEDS_RESET; transports without it say
 * DRIVER_OK as long as they reach the device. @return 0 */
int plx_virtio_status(struct plx_virtio_dev *dev);

/**
 * Reset: when it is done, the device has let go of rings and buffers. It may forget its memory
 * map: plx_mem_domain_sync() before the next start.
 * @return 0; -ETIMEDOUT it wouldn't let go (logged)
 */
int plx_virtio_reset(struct plx_virtio_dev *dev);

/**
 * The device is lost: one attempt to reach it again. When it succeeds, all is as after open.
 * @return 0; -ENOTSUP no such transport; -ENOENT, -ECONNREFUSED nobody serves it yet, not
 *         logged; else as open
 */
int plx_virtio_reconnect(struct plx_virtio_dev *dev);

/** Give the connection up: the device is lost, for this reason (-errno). */
void plx_virtio_give_up(struct plx_virtio_dev *dev, int why);

/** Close at once. NULL is harmless. */
void plx_virtio_close(struct plx_virtio_dev *dev);

/** Ring a queue that plx_virtq_publish() wants to be rung. Its owner; never blocks. */
static __rte_always_inline void
plx_virtio_kick(struct plx_virtio_queue *q)
{
	if (q->db == NULL)
		q->dev->ops->notify(q, plx_virtq_notify_data(q->vq));
	else if (q->db_wide)
		rte_write32(rte_cpu_to_le_32(
				    q->db_value | (uint32_t)plx_virtq_notify_data(q->vq) << 16),
			q->db);
	else
		rte_write16(rte_cpu_to_le_16(q->db_value), q->db);
}

/** @return whether a feature was negotiated */
static inline bool
plx_virtio_has(const struct plx_virtio_dev *dev, unsigned int bit)
{
	return (dev->features >> bit & 1) != 0;
}

#ifdef __cplusplus
}
#endif
#endif
