/* SPDX-License-Identifier: BSD-3-Clause */
/* The arena of our own, as in a joined EAL whose memory can't be shared in few pieces. */
#include <unistd.h>

#include "fake_domain.h"
#include "plx_ctrl.h"
#include "plx_eal.h"

static int
in_arena(const struct plx_mem_seg *seg, void *arg)
{
	const struct plx_mem_seg *want = arg;

	return seg->va == want->va && seg->len == want->len && seg->fd == want->fd && seg->fixed;
}

static int
count_arena(const struct plx_mem_seg *seg, void *arg)
{
	*(int *)arg += seg->va >= mem.arena_va && seg->va < mem.arena_va + mem.arena_len;
	return 0;
}

int
main(void)
{
	char *argv[] = {"test", "--no-huge", "-m", "32", NULL}, there = 0;
	struct plx_mem_domain_conf c = {.need_fd = true};
	struct plx_mem_seg want;
	struct fake f;
	char *p, *q;
	int n = 0;

	REQUIRE(plx_eal_init_app(4, argv) >= 0);
	plx_ctrl_lock();
	mem_attach();
	mem_arena_create();
	plx_ctrl_unlock();
	REQUIRE(mem.arena_fd >= 0);
	want = (struct plx_mem_seg){.va = mem.arena_va, .len = mem.arena_len, .fd = mem.arena_fd};

	p = plx_mem_alloc(1 << 20, 4096, 0);
	REQUIRE(p != NULL);
	CHECK((uintptr_t)p - mem.arena_va < mem.arena_len, "not from the arena");
	CHECK(plx_mem_alloc(mem.arena_len, 0, 0) == NULL, "more than it has");
	plx_ctrl_lock();
	mem.stale = true; /* in this mode of EAL no event tells */
	CHECK_EQ(plx_mem_walk(in_arena, &want), 1);
	plx_mem_walk(count_arena, &n);
	plx_ctrl_unlock();
	CHECK_EQ(n, 1); /* and not EAL's view of it once more */

	fake_create(&f, c, 1);
	CHECK_EQ(fake_sync(&f), 0);
	fake_agrees(&f);
	CHECK_EQ(plx_mem_iova(f.dom, p, 1 << 20), (uintptr_t)p);
	p[5] = 'y';
	CHECK_EQ(pread(mem.arena_fd, &there, 1, (off_t)((uintptr_t)p + 5 - mem.arena_va)), 1);
	CHECK_EQ(there, 'y');
	fake_destroy(&f);

	plx_mem_free(p);
	q = plx_mem_alloc(1 << 20, 4096, 0);
	REQUIRE(q != NULL);
	CHECK_EQ(q[5], 0);
	plx_mem_free(q);
	plx_eal_cleanup();
	CHECK_EQ(mem.arena_fd, -1);
	return TEST_RESULT();
}
