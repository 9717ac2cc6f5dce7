/* SPDX-License-Identifier: BSD-3-Clause */
/* Hotplug, with messages of the test's in place of the kernel's. Attaching what came is for the
 * tests in guests: here it fails. */
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "plx_ctrl.h"
#include "plx_eal.h"
#include "plx_test.h"

#include "probe_priv.h"

static const struct plx_pci_id ids[] = {{0x4e58, 0x0001, PLX_PCI_ANY}, {0}};
static const struct plx_driver driver = {.name = "mine", .help = "pci:...", .pci_ids = ids};
static struct plx_hotplug_event ev;
static int kernel; /* its end of the socket */

static int
begin(const char *keys)
{
	int fds[2], rc;

	REQUIRE(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds) == 0);
	rc = probe_hotplug_on(fds[0], keys);
	if (rc == 0)
		kernel = fds[1];
	else
		CHECK(close(fds[0]) == 0 && close(fds[1]) == 0);
	return rc;
}

static void
end(void)
{
	plx_hotplug_disable();
	close(kernel);
	plx_ctrl_poll();
	CHECK_EQ(plx_hotplug_event_get(&ev), 0);
}

static void
say(const char *action, const char *id, const char *bdf, const char *drv)
{
	char msg[256];
	int n = snprintf(msg, sizeof(msg),
		"%s@/devices/x%cACTION=%s%cSUBSYSTEM=pci%cPCI_CLASS=ff0000%cPCI_ID=%s%c"
		"PCI_SLOT_NAME=%s%cDRIVER=%s",
		action, 0, action, 0, 0, 0, id, 0, bdf, 0, drv);

	REQUIRE(send(kernel, msg, (size_t)n + 1, MSG_DONTWAIT) == n + 1);
}

static bool
next(enum plx_hotplug_type type, const char *bdf)
{
	plx_ctrl_poll();
	return plx_hotplug_event_get(&ev) == 1 && ev.type == type && strcmp(ev.bdf, bdf) == 0 &&
	       strcmp(ev.driver, "mine") == 0;
}

static bool
nothing(void)
{
	plx_ctrl_poll();
	return plx_hotplug_event_get(&ev) == 0;
}

static void
telling(void)
{
	CHECK_EQ(begin(NULL), 0);
	CHECK_EQ(begin(NULL), -EALREADY);
	CHECK(nothing());
	say("add", "4E58:0001", "0000:7f:1f.7", "");
	CHECK(next(PLX_HOTPLUG_ADDED, "0000:7f:1f.7"));
	say("bind", "4E58:0001", "0000:7f:1f.7", "nvme"); /* the kernel's own */
	CHECK(nothing());
	say("bind", "4E58:0001", "0000:7f:1f.7", "vfio-pci");
	CHECK(next(PLX_HOTPLUG_READY, "0000:7f:1f.7"));
	CHECK(nothing());
	say("remove", "4E58:0001", "0000:7f:1f.7", "");
	CHECK(next(PLX_HOTPLUG_REMOVED, "0000:7f:1f.7"));
	say("add", "8086:0001", "0000:7f:1f.6", ""); /* nobody's */
	CHECK(nothing());
	end();
}

static void
attaching(void)
{
	CHECK_EQ(begin("vfio=group"), 0);
	say("bind", "4E58:0001", "0000:7f:1f.7", "vfio-pci");
	CHECK(next(PLX_HOTPLUG_READY, "0000:7f:1f.7"));
	CHECK(next(PLX_HOTPLUG_FAILED, "0000:7f:1f.7"));
	CHECK_EQ(ev.status, -ENOENT);
	CHECK(nothing());
	end();
	CHECK_EQ(plx_hotplug_enable(",vfio=group"), -EINVAL);
	CHECK_EQ(plx_hotplug_enable("vfio=group,name=x"), -EINVAL);
}

/* Events that nobody fetches stay in the socket, in order. */
static void
many(void)
{
	unsigned int i, n = 0;
	char bdf[PLX_PCI_ADDRESS_LEN];

	CHECK_EQ(begin(NULL), 0);
	for (i = 0; i < 150; i++) {
		snprintf(bdf, sizeof(bdf), "0000:%02x:00.0", i);
		say("add", "4E58:0001", bdf, "");
		plx_ctrl_poll();
	}
	for (; plx_hotplug_event_get(&ev) == 1; n++) {
		snprintf(bdf, sizeof(bdf), "0000:%02x:00.0", n);
		CHECK(strcmp(ev.bdf, bdf) == 0, "%s, not %s", ev.bdf, bdf);
		plx_ctrl_poll();
	}
	CHECK_EQ(n, 150);
	end();
}

int
main(int argc, char **argv)
{
	REQUIRE(plx_eal_init_app(argc, argv) >= 0);
	REQUIRE(plx_driver_register(&driver) == 0);
	RUN(telling);
	RUN(attaching);
	RUN(many);
	RUN(telling);
	plx_eal_cleanup();
	return TEST_RESULT();
}
