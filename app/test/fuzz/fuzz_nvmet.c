/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Fuzz the controller with what a host can write: entries, PRP lists, SGLs, doorbells. The input
 * is client memory, and its 64-byte pieces are the commands. The last byte of a piece says for
 * which queue it is and which pointers to move into memory; without that few would hit.
 */
#include "nvmet_host.h"
#include "plx_eal.h"
#include "plx_test.h"

#define MEM (64u << 10)

#ifdef __SANITIZE_ADDRESS__
#define LEAKS 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define LEAKS 1
#endif
#endif
#ifdef LEAKS
#include <sanitizer/lsan_interface.h>
#else
#define __lsan_disable()
#define __lsan_enable()
#endif

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

static struct plx_nvmet *ctrl;
static struct host h;
static uint64_t buf;

static void
end(void)
{
	host_close(&h);
	host_unserve(ctrl);
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	char *args[] = {(*argv)[0], (char *)(uintptr_t) "--log-level=critical", NULL};

	(void)argc;
	REQUIRE(plx_eal_init(2, args) >= 0);
	__lsan_disable(); /* it can't see what EAL memory points to */
	ctrl = host_serve(NULL, 2, "ram:size=1M", "ram:size=1M,block=4096,error_every=5");
	host_open(&h, ctrl);
	__lsan_enable();
	buf = host_alloc(&h, MEM);
	atexit(end);
	return 0;
}

static uint32_t
inside(uint32_t low)
{
	return (uint32_t)HOST_IOVA + (low & (MEM - 1));
}

static void
feed(const uint8_t *piece)
{
	struct host_cmd c;
	uint8_t how = piece[63];
	int i;

	memcpy(&c, piece, sizeof(c));
	if ((how & 2) != 0) {
		c.dw[6] = inside(c.dw[6]);
		c.dw[7] = HOST_IOVA >> 32;
	}
	if ((how & 4) != 0) {
		c.dw[8] = inside(c.dw[8]);
		c.dw[9] = HOST_IOVA >> 32;
	}
	if ((how & 8) != 0)
		c.dw[0] &= 0xff;
	if ((how & 16) != 0)
		c.dw[1] = 1 + (c.dw[1] & 1);
	if ((how & 32) != 0) {
		c.dw[11] = 0;
		c.dw[12] &= 0xff;
	}
	if ((how & 1) == 0 && (c.dw[0] & 0xff) == nvme_admin_sanitize_nvm)
		c.dw[10] |= 8; /* unrestricted: a failure must not shut everything for good */
	host_put(&h, how & 1, &c);
	host_ring(&h, how & 1);
	if ((how & 64) != 0)
		wire_doorbells(h.w)[c.dw[13] % 1024] = c.dw[14];
	for (i = 0; i < 4; i++) {
		struct host_cqe cqe;

		plx_nvmet_poll(ctrl);
		host_take(&h, how & 1, &cqe);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t i;

	if (size > MEM)
		return -1;
	h.next = MEM;
	memcpy(host_va(&h, buf), data, size);
	REQUIRE(host_enable(&h, 32) == 1);
	host_queue(&h, 1, 32);
	for (i = 0; i + 64 <= size; i += 64)
		feed(data + i);
	host_set(&h, NVME_REG_CC, 0);
	REQUIRE((host_wait_csts(&h, 3, 0) & 3) == 0);
	return 0;
}
