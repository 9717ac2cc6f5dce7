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

/* Commands that there are, but for reads and writes, which are found without. */
static uint32_t
known(unsigned int io, uint8_t n)
{
	static const uint8_t opcodes[2][16] = {
		{nvme_admin_get_log_page, nvme_admin_identify, nvme_admin_abort_cmd,
			nvme_admin_set_features, nvme_admin_get_features, nvme_admin_async_event,
			nvme_admin_ns_mgmt, nvme_admin_fw_commit, nvme_admin_fw_download,
			nvme_admin_dev_self_test, nvme_admin_ns_attach, nvme_admin_dbbuf,
			nvme_admin_format_nvm, nvme_admin_sanitize_nvm, nvme_admin_delete_sq,
			nvme_admin_create_sq},
		{nvme_cmd_flush, nvme_cmd_compare, nvme_cmd_write_zeroes, nvme_cmd_dsm,
			nvme_cmd_verify, nvme_cmd_copy, nvme_cmd_resv_register,
			nvme_cmd_resv_register, nvme_cmd_resv_report, nvme_cmd_resv_report,
			nvme_cmd_resv_acquire, nvme_cmd_resv_acquire, nvme_cmd_resv_release,
			nvme_cmd_resv_release, nvme_cmd_write, nvme_cmd_read}};

	return opcodes[io][n % 16];
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
		c.dw[0] = known(how & 1, (uint8_t)c.dw[0]);
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

/* The input before may have left a failed sanitize, and namespaces that are gone. */
static void
restore(void)
{
	struct nvme_id_ns *id = host_va(&h, buf);
	uint16_t *list = host_va(&h, buf);
	uint32_t i;

	host_admin(&h, nvme_admin_sanitize_nvm, 0, 0, 0, NVME_SANITIZE_SANACT_EXIT_FAILURE, 0);
	for (i = 0; i < 2; i++) {
		memset(id, 0, sizeof(*id));
		id->nsze = id->ncap = i == 0 ? 2048 : 256;
		host_admin(&h, nvme_admin_ns_mgmt, 0, buf, 0, NVME_NS_MGMT_SEL_CREATE, 0);
		memset(list, 0, 4096);
		list[0] = list[1] = 1;
		host_admin(
			&h, nvme_admin_ns_attach, i + 1, buf, 0, NVME_NS_ATTACH_SEL_CTRL_ATTACH, 0);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t i;

	if (size > MEM)
		return -1;
	h.next = MEM;
	REQUIRE(host_enable(&h, 32) == 1);
	restore();
	memcpy(host_va(&h, buf), data, size);
	host_queue(&h, 1, 32);
	for (i = 0; i + 64 <= size; i += 64)
		feed(data + i);
	host_set(&h, NVME_REG_CC, 0);
	REQUIRE((host_wait_csts(&h, 3, 0) & 3) == 0);
	return 0;
}
