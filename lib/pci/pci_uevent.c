/* SPDX-License-Identifier: BSD-3-Clause */
/* The kernel's messages about devices, by netlink. */
#include <errno.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "plx_log.h"

#include "pci_priv.h"

PLX_LOG_USE(pci);

#define FROM_KERNEL 1 /* the multicast group; 2 is udev's */
#define MSG_MAX 8192
#define BACKLOG (1 << 20)

static enum plx_pci_uevent_type
type_of(const char *action)
{
	if (strcmp(action, "add") == 0)
		return PLX_PCI_ADDED;
	if (strcmp(action, "bind") == 0)
		return PLX_PCI_BOUND;
	return strcmp(action, "remove") == 0 ? PLX_PCI_REMOVED : 0;
}

static void
take(struct plx_pci_uevent *ev, const char *key, const char *value, bool *pci)
{
	unsigned int vendor, device, class_code;

	if (strcmp(key, "ACTION") == 0)
		ev->type = type_of(value);
	else if (strcmp(key, "SUBSYSTEM") == 0)
		*pci = strcmp(value, "pci") == 0;
	else if (strcmp(key, "PCI_SLOT_NAME") == 0 && plx_pci_address(value, ev->bdf) != 0)
		ev->bdf[0] = '\0';
	else if (strcmp(key, "DRIVER") == 0)
		snprintf(ev->driver, sizeof(ev->driver), "%s", value);
	else if (strcmp(key, "PCI_CLASS") == 0 && sscanf(value, "%6x", &class_code) == 1)
		ev->ids.class_code = class_code;
	else if (strcmp(key, "PCI_ID") == 0 && sscanf(value, "%4x:%4x", &vendor, &device) == 2) {
		ev->ids.vendor = (uint16_t)vendor;
		ev->ids.device = (uint16_t)device;
	}
}

bool
pci_uevent_parse(const char *msg, size_t len, struct plx_pci_uevent *ev)
{
	const char *s, *end = msg + len, *eq;
	bool pci = false;
	char key[32];

	memset(ev, 0, sizeof(*ev));
	if (len == 0 || end[-1] != '\0')
		return false;
	for (s = msg; s < end; s += strlen(s) + 1) {
		eq = strchr(s, '=');
		if (eq == NULL || (size_t)(eq - s) >= sizeof(key))
			continue;
		memcpy(key, s, (size_t)(eq - s));
		key[eq - s] = '\0';
		take(ev, key, eq + 1, &pci);
	}
	return pci && ev->type != 0 && ev->bdf[0] != '\0';
}

int
plx_pci_uevent_open(void)
{
	const struct sockaddr_nl addr = {.nl_family = AF_NETLINK, .nl_groups = FROM_KERNEL};
	int fd = socket(
		    AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_KOBJECT_UEVENT),
	    err, size = BACKLOG;

	if (fd >= 0 && bind(fd, (const struct sockaddr *)&addr, sizeof(addr)) == 0) {
		/* as much as is allowed */
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
		return fd;
	}
	err = errno;
	PLX_LOG(ERR, "hotplug: the kernel's messages about devices can't be had: %s",
		strerror(err));
	if (fd >= 0)
		close(fd);
	return -err;
}

int
plx_pci_uevent_get(int fd, struct plx_pci_uevent *ev)
{
	struct sockaddr_nl from;
	char msg[MSG_MAX];
	socklen_t len;
	ssize_t n;

	for (;;) {
		len = sizeof(from);
		memset(&from, 0, sizeof(from));
		n = recvfrom(fd, msg, sizeof(msg), MSG_DONTWAIT, (struct sockaddr *)&from, &len);
		if (n == 0 || (n < 0 && (errno == EAGAIN || errno == EINTR)))
			return 0;
		if (n < 0 && errno == ENOBUFS) {
			*ev = (struct plx_pci_uevent){.type = PLX_PCI_MISSED};
			return 1;
		}
		if (n < 0)
			return -errno;
		/* only the kernel is believed */
		if (from.nl_pid == 0 && pci_uevent_parse(msg, (size_t)n, ev))
			return 1;
	}
}
