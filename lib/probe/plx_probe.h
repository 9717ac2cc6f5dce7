/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef PLX_PROBE_H
#define PLX_PROBE_H
/**
 * @file
 * Device strings: attach and detach.
 *
 *	ram:size=1G[,block=4096][,name=r0]	null:size=1G
 *	vfio-user:/path/sock			soft-nvme:size=1G
 *	mp:NAME					in a secondary process
 *
 * What stands before the first ':' names the driver or the transport. Then come parts separated by
 * ','. A first part without '=', or that begins with '/', is the address (a path or PCI address);
 * the others are key=value. "name=" names the attachment, else it is the driver's name and a
 * number. Sizes take K, M, G, T. Unknown and repeated keys, missing values and blanks are refused
 * with the list of what is known. There is no escape: neither paths nor values hold a ','.
 */
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct plx_dev; /**< an attachment: a device, or a controller with several */

/**
 * Attach a device and wait for it, driving plx_ctrl_poll(). Any thread.
 * @param str  a device string
 * @param dev  out, may be NULL
 * @return 0; one line was logged for: -EINVAL malformed (what, and what would be right);
 *         -ENOENT no such driver, file or device; -EEXIST the name is taken; -EBUSY in use, by
 *         whom; -ECONNREFUSED; -EACCES; -ENODEV no driver for what was found; -ETIMEDOUT;
 *         -ENOTSUP not in a secondary process, or not to be shared with one
 */
int plx_attach(const char *str, struct plx_dev **dev);

/** Begin attaching. dev is not NULL. @return 0: plx_attach_poll() follows; or an error as above */
int plx_attach_start(const char *str, struct plx_dev **dev);
/** @return -EINPROGRESS while plx_ctrl_poll() has work on it, 0 attached, or its error: the
 * attachment is gone then */
int plx_attach_poll(struct plx_dev *dev);

/**
 * Detach: closes its block devices, shuts the device down in an orderly way, frees everything.
 * Drives plx_ctrl_poll(). No queue may be used afterwards: destroy exports of its devices, and
 * detach what stands on them (soft-nvme:backend=), before.
 * @return 0; -EBUSY it is exported, or below another device (logged), and stays as it is; or the
 *         error met on the way, and it is detached all the same
 */
int plx_detach(struct plx_dev *dev);
/** Begin detaching. @return 0: plx_detach_poll() follows; -EALREADY it is being detached;
 * -EBUSY */
int plx_detach_start(struct plx_dev *dev);
/** @return -EINPROGRESS while plx_ctrl_poll() has work on it; else as plx_detach(), and dev is
 * freed */
int plx_detach_poll(struct plx_dev *dev);
/** Detach everything, in reverse order. @return 0 or the first error */
int plx_detach_all(void);

/** @return the attachment of that name, or NULL */
struct plx_dev *plx_dev_find(const char *name);
/** @return its name */
const char *plx_dev_name(const struct plx_dev *dev);
/** Attachments in order of attach. @return the next, the first for NULL */
struct plx_dev *plx_dev_next(const struct plx_dev *prev);

/* ---- hotplug: PCI functions that come and go ---- */

enum plx_hotplug_type {
	PLX_HOTPLUG_ADDED =
		1,            /**< a function that there is a driver for; to be bound to vfio-pci */
	PLX_HOTPLUG_READY,    /**< it is bound: "pci:<bdf>" can be attached */
	PLX_HOTPLUG_ATTACHED, /**< it was attached, as name */
	PLX_HOTPLUG_FAILED,   /**< attaching it failed with status; logged */
	PLX_HOTPLUG_REMOVED,  /**< it is gone. Its block devices said so before */
	PLX_HOTPLUG_MISSED,   /**< some events were lost: look what there is */
};

struct plx_hotplug_event {
	enum plx_hotplug_type type;
	int status;      /**< 0 or -errno */
	char bdf[16];    /**< "0000:01:00.0" */
	char driver[32]; /**< which takes it: "nvme" */
	char name[48];   /**< of the attachment */
};

/**
 * Begin to watch for PCI functions that a driver is for; plx_ctrl_poll() does it. Functions that
 * are there already are not told. Any thread.
 * @param attach  NULL: only tell. Else what is ready is attached, with these keys in its device
 *                string: "", "vfio=group,queues=4". Opening a function takes up to a second
 * @return 0; -EALREADY; -EINVAL attach begins with ',' or has a "name="; -errno, logged
 */
int plx_hotplug_enable(const char *attach);
/** End it; what is attached stays. Harmless when it is off. */
void plx_hotplug_disable(void);
/** Fetch the next event. Any thread. @return 1; 0 none */
int plx_hotplug_event_get(struct plx_hotplug_event *ev);

#ifdef __cplusplus
}
#endif
#endif
