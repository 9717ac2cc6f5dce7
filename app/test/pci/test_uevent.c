/* SPDX-License-Identifier: BSD-3-Clause */
/* What the kernel says when functions come and go, and what else may come that way. */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "pci_priv.h"
#include "plx_test.h"

#define DEV "/devices/pci0000:00/0000:00:08.0/0000:01:00.0"
#define FN                                                                 \
	"SUBSYSTEM=pci\0PCI_CLASS=10802\0PCI_ID=1B36:0010\0"               \
	"PCI_SUBSYS_ID=1AF4:1100\0PCI_SLOT_NAME=0000:01:00.0\0"            \
	"MODALIAS=pci:v00001B36d00000010sv00001AF4sd00001100bc01sc08i02\0" \
	"SEQNUM=1234\0"
#define MSG(action, more) action "@" DEV "\0ACTION=" action "\0DEVPATH=" DEV "\0" more FN

static struct plx_pci_uevent ev;

static bool
parse(const char *msg, size_t len)
{
	return pci_uevent_parse(msg, len - 1, &ev); /* without C's own NUL */
}
#define PARSE(msg) parse(msg, sizeof(msg))

static void
functions(void)
{
	CHECK(PARSE(MSG("add", "")));
	CHECK_EQ(ev.type, PLX_PCI_ADDED);
	CHECK(strcmp(ev.bdf, "0000:01:00.0") == 0);
	CHECK_EQ(ev.ids.vendor, 0x1b36);
	CHECK_EQ(ev.ids.device, 0x0010);
	CHECK_EQ(ev.ids.class_code, 0x010802);
	CHECK(strcmp(ev.driver, "") == 0);
	CHECK(PARSE(MSG("bind", "DRIVER=vfio-pci\0")));
	CHECK_EQ(ev.type, PLX_PCI_BOUND);
	CHECK(strcmp(ev.driver, "vfio-pci") == 0);
	CHECK(PARSE(MSG("remove", "")));
	CHECK_EQ(ev.type, PLX_PCI_REMOVED);
}

static void
of_no_interest(void)
{
	CHECK(!PARSE(MSG("change", "")));
	CHECK(!PARSE(MSG("unbind", "")));
	CHECK(!PARSE("add@/x\0ACTION=add\0SUBSYSTEM=block\0DEVNAME=sda\0"));
	CHECK(!PARSE("add@/x\0ACTION=add\0SUBSYSTEM=pci\0")); /* no function */
	CHECK(!PARSE("add@/x\0ACTION=add\0SUBSYSTEM=pci\0PCI_SLOT_NAME=../../etc\0"));
	CHECK(!pci_uevent_parse("", 0, &ev));
}

/* Cut anywhere, or with bytes turned, it is taken or left, and no byte beyond is looked at. */
static void
hostile(void)
{
	static const char whole[] = MSG("bind", "DRIVER=vfio-pci\0");
	size_t len, i;
	char *copy;

	for (len = 0; len < sizeof(whole); len++) {
		copy = malloc(len + 1);
		REQUIRE(copy != NULL);
		memcpy(copy, whole, len);
		copy = realloc(copy, len > 0 ? len : 1);
		pci_uevent_parse(copy, len, &ev);
		for (i = 0; i < len; i++) {
			copy[i] = (char)rand();
			pci_uevent_parse(copy, len, &ev);
			CHECK(memchr(ev.driver, '\0', sizeof(ev.driver)) != NULL);
			CHECK(memchr(ev.bdf, '\0', sizeof(ev.bdf)) != NULL);
			i += 7;
		}
		free(copy);
	}
}

static void
by_socket(void)
{
	static const char add[] = MSG("add", ""), other[] = "x\0SUBSYSTEM=net\0";
	int fds[2];

	REQUIRE(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds) == 0);
	CHECK_EQ(plx_pci_uevent_get(fds[0], &ev), 0);
	REQUIRE(write(fds[1], other, sizeof(other) - 1) > 0);
	REQUIRE(write(fds[1], add, sizeof(add) - 1) > 0);
	CHECK_EQ(plx_pci_uevent_get(fds[0], &ev), 1);
	CHECK_EQ(ev.type, PLX_PCI_ADDED);
	CHECK_EQ(plx_pci_uevent_get(fds[0], &ev), 0);
	close(fds[0]);
	CHECK_EQ(plx_pci_uevent_get(fds[0], &ev), -EBADF);
	close(fds[1]);
	fds[0] = plx_pci_uevent_open(); /* not everybody may */
	if (fds[0] < 0)
		return;
	CHECK(plx_pci_uevent_get(fds[0], &ev) >= 0);
	close(fds[0]);
}

int
main(void)
{
	RUN(functions);
	RUN(of_no_interest);
	RUN(hostile);
	RUN(by_socket);
	return TEST_RESULT();
}
