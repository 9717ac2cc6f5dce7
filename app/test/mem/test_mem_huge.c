/* SPDX-License-Identifier: BSD-3-Clause */
/* Hugepages: one fixed piece at first, then pages that EAL takes and gives back. */
#include <sys/wait.h>
#include <unistd.h>

#include <rte_eal.h>
#include <rte_memory.h>

#include "eal_priv.h"
#include "fake_domain.h"
#include "plx_ctrl.h"
#include "plx_eal.h"

#define MB ((size_t)1 << 20)

static void
grow_and_shrink(int polls, const struct plx_iova_range *range)
{
	struct plx_mem_domain_conf c = {.iova = range, .nb_iova = range != NULL, .need_fd = true};
	struct fake f;
	char *p;

	fake_create(&f, c, polls);
	CHECK_EQ(fake_sync(&f), 0);
	CHECK_EQ(f.nb, 1);
	CHECK_EQ(f.map[0].len, 16 * MB);
	p = plx_mem_alloc(20 * MB, 4096, -1);
	REQUIRE(p != NULL);
	CHECK_EQ(plx_mem_iova(f.dom, p + 10 * MB, 1), PLX_BAD_IOVA); /* not synced yet */
	CHECK_EQ(fake_sync(&f), 0);
	CHECK(f.nb >= 10, "%u mappings", f.nb); /* one a page: each may go alone */
	fake_agrees(&f);
	CHECK(plx_mem_iova(f.dom, p, 20 * MB) != PLX_BAD_IOVA, "one run");
	plx_mem_free(p);
	CHECK_EQ(plx_mem_iova(f.dom, p + 10 * MB, 1), PLX_BAD_IOVA); /* at once */
	if (polls == 0)
		CHECK_EQ(f.nb, 1);
	/* the same addresses again, before the device was told */
	p = plx_mem_alloc(20 * MB, 4096, -1);
	REQUIRE(p != NULL);
	CHECK_EQ(plx_mem_iova(f.dom, p + 10 * MB, 1), PLX_BAD_IOVA);
	CHECK_EQ(fake_sync(&f), 0);
	fake_agrees(&f);
	CHECK_EQ(f.maps, 1 + 2 * (f.nb - 1));
	plx_mem_free(p);
	CHECK_EQ(fake_sync(&f), 0);
	CHECK_EQ(f.nb, 1);
	fake_destroy(&f);
}

/* Without an IOMMU: page by page, wherever the kernel put it. */
static void
physical(void)
{
	static const struct plx_mem_domain_ops none;
	struct plx_mem_domain_conf c = {
		.name = "phys", .ops = &none, .immediate = true, .phys = true};
	struct plx_mem_domain *d;
	char *p = plx_mem_alloc(5 * MB, 4096, -1);

	REQUIRE(p != NULL);
	if (rte_mem_virt2phy(p) == RTE_BAD_IOVA || rte_mem_virt2phy(p) == 0) {
		printf("no physical addresses here\n");
		plx_mem_free(p);
		return;
	}
	REQUIRE(plx_mem_domain_create(&c, &d) == 0);
	CHECK_EQ(plx_mem_domain_sync(d), 0);
	for (char *at = p; at < p + 5 * MB; at += 4096)
		CHECK_EQ(plx_mem_iova(d, at, 4096), rte_mem_virt2phy(at));
	plx_mem_domain_destroy(d);
	plx_mem_free(p);
}

static int
own(void)
{
	static const struct plx_iova_range low = {0, (UINT64_C(1) << 30) - 1};
	char *argv[] = {"test", "-m", "16", NULL};

	REQUIRE(plx_eal_init_app(3, argv) >= 0);
	CHECK(plx_eal_mem_mode() == PLX_EAL_MEM_HUGE, "mode");
	grow_and_shrink(0, NULL);
	grow_and_shrink(0, &low);
	grow_and_shrink(2, NULL);
	grow_and_shrink(2, &low);
	physical();
	plx_eal_cleanup();
	return TEST_RESULT();
}

/* Joined, with a file for each page: queues live in the arena, the rest is reached by kernel VFIO
 * only. */
static int
foreign(void)
{
	char *argv[] = {"test", "--in-memory", "--no-pci", "--no-telemetry", "-m", "16", NULL};
	struct plx_mem_domain_conf c = {.need_fd = true};
	struct fake f;
	void *p;

	REQUIRE(rte_eal_init(6, argv) >= 0);
	CHECK_EQ(plx_eal_init(0, NULL), 0);
	CHECK(plx_eal_mem_mode() == PLX_EAL_MEM_FOREIGN, "mode");
	p = plx_mem_alloc(MB, 0, -1);
	REQUIRE(p != NULL);
	CHECK(mem.arena_fd >= 0, "no arena");
	fake_create(&f, c, 1);
	CHECK_EQ(fake_sync(&f), 0);
	fake_agrees(&f);
	CHECK_EQ(plx_mem_iova(f.dom, p, MB), (uintptr_t)p);
	fake_destroy(&f);
	plx_mem_free(p);
	plx_eal_cleanup();
	CHECK_EQ(rte_eal_cleanup(), 0);
	return TEST_RESULT();
}

static void
in_child(int (*fn)(void))
{
	int status = -1;
	pid_t pid = fork();

	REQUIRE(pid >= 0);
	if (pid == 0) {
		alarm(60);
		exit(fn());
	}
	REQUIRE(waitpid(pid, &status, 0) == pid);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %#x", (unsigned int)status);
}

static void
test_own(void)
{
	in_child(own);
}

static void
test_foreign(void)
{
	in_child(foreign);
}

int
main(void)
{
	struct eal_view view;

	eal_view_get(&view);
	if (view.blocked[0] != '\0' || view.default_page != 2 * MB || view.huge_free < 100 * MB)
		skip("needs 100 MB of free 2 MB hugepages");
	RUN(test_own);
	RUN(test_foreign);
	return TEST_RESULT();
}
