/* SPDX-License-Identifier: BSD-3-Clause */
/* Joining an EAL that the application started, and leaving it as it was. */
#include <rte_eal.h>
#include <rte_malloc.h>

#include "plx_eal.h"
#include "plx_mem.h"
#include "plx_test.h"

int
main(void)
{
	char *argv[] = {
		"test", "--no-huge", "--no-shconf", "--no-pci", "--no-telemetry", "-m", "64", NULL};
	char *junk[] = {"test", "--no-such-option", NULL};
	void *p;

	REQUIRE(rte_eal_init(7, argv) >= 0);
	for (int round = 0; round < 2; round++) {
		CHECK_EQ(plx_eal_init(2, junk), 0);
		CHECK(plx_eal_joined(), "not joined");
		CHECK(plx_eal_mem_mode() == PLX_EAL_MEM_NOHUGE, "mode");
		CHECK_EQ(plx_eal_init_app(2, junk), 0);
		p = plx_mem_alloc(4096, 4096, -1);
		CHECK(p != NULL, "no memory");
		plx_mem_free(p);
		CHECK_EQ(plx_eal_cleanup(), 0);
		CHECK_EQ(plx_eal_cleanup(), 0);
		p = rte_malloc(NULL, 100, 0);
		CHECK(p != NULL, "EAL is gone");
		rte_free(p);
	}
	CHECK(plx_mem_alloc(64, 0, -1) == NULL, "memory after the end");
	CHECK_EQ(rte_eal_cleanup(), 0);
	return TEST_RESULT();
}
