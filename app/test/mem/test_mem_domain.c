/* SPDX-License-Identifier: BSD-3-Clause */
/* Domains against a strict fake device: EAL's memory and registrations come and go. */
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fake_domain.h"
#include "plx_ctrl.h"
#include "plx_eal.h"

#define PAGE ((size_t)4096)
#define NB_PAGES 64

static char *page; /* NB_PAGES of them, of nobody */
static const struct plx_iova_range low[] = {{0, (UINT64_C(1) << 30) - 1}};

static char *
pg(int i)
{
	return page + (size_t)i * PAGE;
}

static void
reg(int i, int n)
{
	CHECK_EQ(plx_mem_register(pg(i), (size_t)n * PAGE, -1, 0), 0);
}

static void
unreg(int i, int n)
{
	CHECK_EQ(plx_mem_unregister(pg(i), (size_t)n * PAGE), 0);
}

static void
test_conf(void)
{
	struct plx_mem_domain *d;
	struct plx_mem_domain_ops ops = {fake_map, fake_unmap, NULL};
	struct plx_mem_domain_conf c = {.ops = &ops};
	struct plx_iova_range bad = {2, 1};

	CHECK_EQ(plx_mem_domain_create(&c, &d), -EINVAL); /* it talks, and has no poll */
	c.ops = &fake_ops;
	c.min_page = 3000;
	CHECK_EQ(plx_mem_domain_create(&c, &d), -EINVAL);
	c.min_page = 0;
	c.nb_iova = 1;
	CHECK_EQ(plx_mem_domain_create(&c, &d), -EINVAL);
	c.iova = &bad;
	CHECK_EQ(plx_mem_domain_create(&c, &d), -EINVAL);
	plx_mem_domain_destroy(NULL);
}

/* Without hugepages EAL's memory is one piece of one file. */
static void
test_eal_memory(void)
{
	struct plx_mem_domain_conf c = {.need_fd = true};
	const struct plx_mem_range *r;
	char *p = plx_mem_alloc(100000, 4096, -1);
	struct fake f;
	char there;

	REQUIRE(p != NULL);
	CHECK_EQ((uintptr_t)p % 4096, 0);
	fake_create(&f, c, 0);
	CHECK_EQ(plx_mem_iova(f.dom, p, 1), PLX_BAD_IOVA);
	CHECK_EQ(fake_sync(&f), 0);
	CHECK_EQ(f.nb, 1);
	r = fake_at(&f, p);
	REQUIRE(r != NULL);
	CHECK_EQ(r->iova, r->va);
	CHECK_EQ(plx_mem_iova(f.dom, p, 100000), (uintptr_t)p);
	CHECK_EQ(plx_mem_iova(f.dom, &there, 1), PLX_BAD_IOVA);
	CHECK_EQ(plx_mem_iova(f.dom, (void *)(r->va + r->len - 1), 2), PLX_BAD_IOVA);
	fake_agrees(&f);
	/* the file is the memory */
	p[4097] = 'x';
	CHECK_EQ(pread(f.fd[0], &there, 1, (off_t)((uintptr_t)p + 4097 - r->va + f.off[0])), 1);
	CHECK_EQ(there, 'x');
	CHECK_EQ(fake_sync(&f), 0);
	CHECK_EQ(f.maps, 1);
	fake_destroy(&f);
	plx_mem_free(p);
	plx_mem_free(NULL);
}

static int
walk_check(const struct plx_mem_seg *seg, void *arg)
{
	struct plx_mem_seg *last = arg;

	CHECK(seg->va >= last->va + last->len, "order");
	*last = *seg;
	return seg->va == (uintptr_t)pg(8) ? 7 : 0;
}

static void
test_walk(void)
{
	struct plx_mem_seg last = {0};

	reg(8, 2);
	reg(4, 4);
	plx_ctrl_lock();
	CHECK_EQ(plx_mem_walk(walk_check, &last), 7);
	plx_ctrl_unlock();
	CHECK_EQ(last.len, 2 * PAGE);
	CHECK(!last.fixed, "a registration can go");
	unreg(4, 4);
	unreg(8, 2);
}

static void
test_register_errors(void)
{
	void *eal = plx_mem_alloc(PAGE, PAGE, -1);

	CHECK_EQ(plx_mem_register(page + 1, PAGE, -1, 0), -EINVAL);
	CHECK_EQ(plx_mem_register(page, PAGE + 1, -1, 0), -EINVAL);
	CHECK_EQ(plx_mem_register(page, 0, -1, 0), -EINVAL);
	CHECK_EQ(plx_mem_register(page, (size_t)-4096, -1, 0), -EINVAL);
	CHECK_EQ(plx_mem_register(page, PAGE, 9999, 0), -EBADF);
	CHECK_EQ(plx_mem_register(eal, PAGE, -1, 0), -EEXIST);
	reg(4, 4);
	CHECK_EQ(plx_mem_register(pg(4), 4 * PAGE, -1, 0), -EEXIST);
	CHECK_EQ(plx_mem_register(pg(3), 2 * PAGE, -1, 0), -EEXIST);
	CHECK_EQ(plx_mem_register(pg(7), 2 * PAGE, -1, 0), -EEXIST);
	CHECK_EQ(plx_mem_register(pg(5), PAGE, -1, 0), -EEXIST);
	CHECK_EQ(plx_mem_register(pg(2), 8 * PAGE, -1, 0), -EEXIST);
	CHECK_EQ(plx_mem_unregister(pg(4), 3 * PAGE), -ENOENT);
	CHECK_EQ(plx_mem_unregister(pg(5), 3 * PAGE), -ENOENT);
	reg(3, 1);
	reg(8, 1);
	unreg(8, 1);
	unreg(3, 1);
	unreg(4, 4);
	CHECK_EQ(plx_mem_unregister(pg(4), 4 * PAGE), -ENOENT);
	plx_mem_free(eal);
}

/* Neighbours are mapped apart, so that each can go, and translate as one where addresses allow. */
static void
registered(int polls)
{
	struct plx_mem_domain_conf c = {0};
	struct fake f;

	fake_create(&f, c, polls);
	reg(2, 2);
	reg(4, 3);
	CHECK_EQ(fake_sync(&f), 0);
	CHECK_EQ(f.nb, 3);
	CHECK_EQ(plx_mem_iova(f.dom, pg(2), 5 * PAGE), (uintptr_t)pg(2));
	CHECK_EQ(plx_mem_iova(f.dom, pg(2) - 1, 2), PLX_BAD_IOVA);
	CHECK_EQ(plx_mem_iova(f.dom, pg(6), PAGE + 1), PLX_BAD_IOVA);
	fake_agrees(&f);
	unreg(2, 2);
	CHECK_EQ(plx_mem_iova(f.dom, pg(3), 1), PLX_BAD_IOVA); /* at once */
	CHECK_EQ(plx_mem_iova(f.dom, pg(4), 3 * PAGE), (uintptr_t)pg(4));
	CHECK_EQ(f.nb, polls == 0 ? 2 : 3);
	CHECK_EQ(fake_sync(&f), 0);
	CHECK_EQ(f.nb, 2);
	/* away and back between two syncs: it is another mapping */
	unreg(4, 3);
	reg(4, 3);
	CHECK_EQ(plx_mem_iova(f.dom, pg(4), 1), PLX_BAD_IOVA);
	CHECK_EQ(fake_sync(&f), 0);
	CHECK_EQ(f.unmaps, 2);
	CHECK_EQ(f.maps, 4);
	fake_agrees(&f);
	unreg(4, 3);
	fake_destroy(&f);
}

static void
test_registered(void)
{
	registered(0);
	registered(1);
	registered(3);
}

static void
test_file(void)
{
	struct plx_mem_domain_conf c = {.need_fd = true};
	int fd = memfd_create("test", MFD_CLOEXEC);
	struct fake f;

	REQUIRE(fd >= 0 && ftruncate(fd, 16 * (off_t)PAGE) == 0);
	fake_create(&f, c, 1);
	reg(2, 2); /* nothing a peer could map */
	CHECK_EQ(plx_mem_register(pg(8), 2 * PAGE, fd, 5 * PAGE), 0);
	close(fd);
	CHECK_EQ(fake_sync(&f), 0);
	CHECK(fake_at(&f, pg(2)) == NULL, "mapped without a file");
	CHECK_EQ(plx_mem_iova(f.dom, pg(2), 1), PLX_BAD_IOVA);
	REQUIRE(fake_at(&f, pg(8)) != NULL);
	fd = f.fd[fake_at(&f, pg(8)) - f.map];
	CHECK_EQ(f.off[fake_at(&f, pg(8)) - f.map], 5 * PAGE);
	CHECK(fcntl(fd, F_GETFD) == FD_CLOEXEC, "the file is open");
	unreg(8, 2);
	CHECK(fcntl(fd, F_GETFD) >= 0, "still mapped, so still open");
	CHECK_EQ(fake_sync(&f), 0);
	CHECK(fcntl(fd, F_GETFD) < 0, "closed when unmapped");
	unreg(2, 2);
	fake_destroy(&f);
}

/* An IOMMU that can't reach these addresses. */
static void
test_assigned(void)
{
	struct plx_mem_domain_conf c = {.iova = low, .nb_iova = 1};
	uint64_t at;
	struct fake f;

	fake_create(&f, c, 2);
	reg(2, 2);
	reg(4, 2);
	reg(10, 1);
	CHECK_EQ(fake_sync(&f), 0);
	fake_agrees(&f);
	for (uint32_t i = 0; i < f.nb; i++)
		CHECK(f.map[i].iova != 0 && f.map[i].iova + f.map[i].len <= low[0].last + 1,
			"out of range");
	at = plx_mem_iova(f.dom, pg(4), 2 * PAGE);
	unreg(4, 2);
	reg(5, 2); /* another piece: what was there before goes first */
	CHECK_EQ(fake_sync(&f), 0);
	fake_agrees(&f);
	CHECK(plx_mem_iova(f.dom, pg(5), 2 * PAGE) == at, "the first gap");
	CHECK_EQ(plx_mem_iova(f.dom, pg(4), PAGE), PLX_BAD_IOVA);
	unreg(2, 2);
	unreg(5, 2);
	unreg(10, 1);
	fake_destroy(&f);
}

static void
test_unregister_under_way(void)
{
	struct plx_mem_domain_conf c = {0};
	struct fake f;

	fake_create(&f, c, 2);
	CHECK_EQ(fake_sync(&f), 0);
	reg(2, 2);
	CHECK_EQ(plx_mem_domain_sync(f.dom), -EINPROGRESS);
	CHECK(f.busy && f.op.va == (uintptr_t)pg(2), "being mapped");
	unreg(2, 2);
	reg(3, 2);
	CHECK_EQ(fake_sync(&f), 0);
	CHECK(fake_at(&f, pg(2)) == NULL, "unmapped after all");
	CHECK(fake_at(&f, pg(4)) != NULL, "mapped");
	fake_agrees(&f);
	unreg(3, 2);
	CHECK_EQ(plx_mem_domain_sync(f.dom), -EINPROGRESS);
	CHECK(f.busy && !f.op_map, "being unmapped");
	reg(3, 2);
	CHECK_EQ(fake_sync(&f), 0);
	fake_agrees(&f);
	CHECK(fake_at(&f, pg(4)) != NULL, "mapped anew");
	unreg(3, 2);
	fake_destroy(&f);
}

static void
test_lost(void)
{
	struct plx_mem_domain_conf c = {.iova = low, .nb_iova = 1};
	uint64_t a, b;
	struct fake f;

	fake_create(&f, c, 2);
	reg(2, 2);
	reg(6, 1);
	reg(8, 1);
	CHECK_EQ(fake_sync(&f), 0);
	a = plx_mem_iova(f.dom, pg(2), 2 * PAGE);
	b = plx_mem_iova(f.dom, pg(8), PAGE);
	unreg(6, 1);
	reg(12, 1);
	CHECK_EQ(plx_mem_domain_sync(f.dom), -EINPROGRESS); /* and then the connection is gone */
	plx_mem_domain_lost(f.dom);
	f.nb = 0;
	f.busy = false;
	CHECK_EQ(plx_mem_iova(f.dom, pg(2), 2 * PAGE), a);
	CHECK_EQ(plx_mem_iova(f.dom, pg(6), 1), PLX_BAD_IOVA);
	CHECK_EQ(plx_mem_sync(), 0); /* leaves it alone */
	CHECK_EQ(f.nb, 0);
	CHECK_EQ(plx_mem_domain_sync(f.dom), -EINPROGRESS);
	plx_mem_domain_lost(f.dom); /* once more */
	f.nb = 0;
	f.busy = false;
	CHECK_EQ(fake_sync(&f), 0);
	CHECK_EQ(plx_mem_iova(f.dom, pg(2), 2 * PAGE), a);
	CHECK_EQ(plx_mem_iova(f.dom, pg(8), PAGE), b);
	CHECK(plx_mem_iova(f.dom, pg(12), PAGE) != PLX_BAD_IOVA, "new memory");
	CHECK(fake_at(&f, pg(6)) == NULL, "gone memory");
	fake_agrees(&f);
	unreg(2, 2);
	unreg(8, 1);
	unreg(12, 1);
	fake_destroy(&f);
}

static void
failures(int polls)
{
	struct plx_mem_domain_conf c = {0};
	struct fake f;

	fake_create(&f, c, polls);
	reg(2, 1);
	reg(4, 1);
	reg(6, 1);
	f.fail_map = -EFAULT;
	f.fail_va = (uintptr_t)pg(4);
	CHECK_EQ(fake_sync(&f), -EFAULT);
	CHECK_EQ(f.nb, 3); /* with EAL's */
	fake_agrees(&f);
	CHECK_EQ(plx_mem_iova(f.dom, pg(4), 1), PLX_BAD_IOVA);
	f.fail_map = 0;
	CHECK_EQ(fake_sync(&f), 0);
	CHECK_EQ(f.nb, 4);
	fake_agrees(&f);
	/* what can't be unmapped keeps its address */
	f.fail_unmap = -EIO;
	unreg(4, 1);
	reg(4, 1);
	CHECK_EQ(fake_sync(&f), -EIO);
	CHECK_EQ(f.nb, 5);
	CHECK(plx_mem_iova(f.dom, pg(4), 1) != (uintptr_t)pg(4), "taken address");
	CHECK(plx_mem_iova(f.dom, pg(4), 1) != PLX_BAD_IOVA, "no address");
	f.fail_unmap = 0;
	CHECK_EQ(fake_sync(&f), 0);
	CHECK_EQ(f.nb, 4);
	fake_agrees(&f);
	unreg(2, 1);
	unreg(4, 1);
	unreg(6, 1);
	fake_destroy(&f);
}

static void
test_op_failures(void)
{
	failures(0);
	failures(1);
}

/* As if page were a file. */
static void
reg_file(int i, int n)
{
	int fd = memfd_create("test", MFD_CLOEXEC);

	REQUIRE(fd >= 0);
	CHECK_EQ(plx_mem_register(pg(i), (size_t)n * PAGE, fd, (size_t)i * PAGE), 0);
	close(fd);
}

static void
test_limits(void)
{
	struct plx_mem_domain_conf c = {.max_maps = 3, .min_page = 4 * PAGE, .need_fd = true};
	uintptr_t even = ((uintptr_t)page + 4 * PAGE - 1) & ~(4 * PAGE - 1);
	int first = (int)((even - (uintptr_t)page) / PAGE);
	struct fake f;

	fake_create(&f, c, 1);
	reg_file(first + 1, 2);  /* no whole large page in it */
	reg_file(first + 3, 9);  /* two of them */
	reg_file(first + 16, 4); /* exactly one */
	reg_file(first + 24, 4); /* one too many */
	CHECK_EQ(fake_sync(&f), 0);
	CHECK_EQ(f.nb, 3);
	CHECK(fake_at(&f, pg(first + 1)) == NULL, "too small");
	CHECK_EQ(plx_mem_iova(f.dom, pg(first + 4), 8 * PAGE), (uintptr_t)pg(first + 4));
	CHECK_EQ(f.off[fake_at(&f, pg(first + 4)) - f.map], (size_t)(first + 4) * PAGE);
	CHECK_EQ(plx_mem_iova(f.dom, pg(first + 3), 1), PLX_BAD_IOVA);
	CHECK_EQ(plx_mem_iova(f.dom, pg(first + 24), 1), PLX_BAD_IOVA);
	fake_agrees(&f);
	unreg(first + 16, 4);
	CHECK_EQ(fake_sync(&f), 0);
	CHECK_EQ(plx_mem_iova(f.dom, pg(first + 24), 1), (uintptr_t)pg(first + 24));
	unreg(first + 1, 2);
	unreg(first + 3, 9);
	unreg(first + 24, 4);
	fake_destroy(&f);
}

static int
sync_all(void)
{
	int rc;

	do
		rc = plx_mem_sync();
	while (rc == -EINPROGRESS);
	return rc;
}

static void
test_sync_all(void)
{
	struct plx_mem_domain_conf c = {0};
	struct fake f[3];
	uint32_t maps;

	for (int i = 0; i < 3; i++)
		fake_create(&f[i], c, i);
	CHECK_EQ(sync_all(), 0);
	CHECK_EQ(f[0].nb + f[1].nb + f[2].nb, 0); /* none is attached yet */
	CHECK_EQ(fake_sync(&f[0]) + fake_sync(&f[1]), 0);
	reg(2, 2);
	CHECK_EQ(sync_all(), 0);
	CHECK_EQ(f[2].nb, 0);
	fake_agrees(&f[0]);
	fake_agrees(&f[1]);
	CHECK(fake_at(&f[0], pg(2)) != NULL && fake_at(&f[1], pg(2)) != NULL, "not mapped");
	CHECK_EQ(fake_sync(&f[2]), 0);
	/* one fails, once a round; the others go on */
	f[0].fail_map = -EFAULT;
	reg(6, 1);
	maps = f[0].maps;
	CHECK_EQ(sync_all(), -EFAULT);
	CHECK_EQ(f[0].maps, maps + 1);
	CHECK(fake_at(&f[1], pg(6)) != NULL && fake_at(&f[2], pg(6)) != NULL, "not mapped");
	f[0].fail_map = 0;
	CHECK_EQ(sync_all(), 0);
	CHECK(fake_at(&f[0], pg(6)) != NULL, "not mapped");
	unreg(2, 2);
	unreg(6, 1);
	for (int i = 0; i < 3; i++)
		fake_destroy(&f[i]);
}

/* Any order of registrations, losses, partial syncs: what is translated is what is mapped. */
static void
test_random(void)
{
	struct plx_mem_domain_conf c = {.iova = low, .nb_iova = 1};
	bool on[NB_PAGES] = {false};
	struct fake f;

	fake_create(&f, c, 2);
	srand(2);
	for (int i = 0; i < 20000; i++) {
		int k = rand() % NB_PAGES, what = rand() % 100;

		if (what < 60) {
			if (on[k])
				unreg(k, 1);
			else
				reg(k, 1);
			on[k] = !on[k];
			CHECK(on[k] || plx_mem_iova(f.dom, pg(k), 1) == PLX_BAD_IOVA,
				"still there");
		} else if (what < 98) {
			for (int n = rand() % 20; n > 0; n--)
				plx_mem_domain_sync(f.dom);
		} else if (what == 98) {
			plx_mem_domain_lost(f.dom);
			f.nb = 0;
			f.busy = false;
		} else {
			CHECK_EQ(fake_sync(&f), 0);
			for (int n = 0; n < NB_PAGES; n++)
				CHECK((fake_at(&f, pg(n)) != NULL) == on[n], "page %d", n);
			CHECK_EQ(((struct mem_domain *)f.dom)->nb_maps, f.nb);
			fake_agrees(&f);
		}
	}
	for (int k = 0; k < NB_PAGES; k++)
		if (on[k])
			unreg(k, 1);
	fake_destroy(&f);
}

/* What a device without shared memory does by messages. */
static void
test_copy(void)
{
	struct plx_mem_domain_conf c = {.iova = low, .nb_iova = 1};
	char *m = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char buf[2 * PAGE], back[2 * PAGE];
	struct fake f;
	uint64_t at;

	REQUIRE(m != MAP_FAILED);
	memset(buf, 'c', sizeof(buf));
	CHECK_EQ(plx_mem_register(m, PAGE, -1, 0), 0);
	CHECK_EQ(plx_mem_register(m + PAGE, PAGE, -1, 0), 0);
	fake_create(&f, c, 0);
	CHECK_EQ(plx_mem_domain_copy(f.dom, 0, buf, 1, true), -EFAULT);
	CHECK_EQ(fake_sync(&f), 0);
	at = plx_mem_iova(f.dom, m, 2 * PAGE);
	REQUIRE(at != PLX_BAD_IOVA);
	CHECK_EQ(plx_mem_domain_copy(f.dom, at + PAGE - 1, buf, 3, true), 0);
	CHECK(m[PAGE - 2] == 0 && m[PAGE - 1] == 'c' && m[PAGE + 1] == 'c' && m[PAGE + 2] == 0,
		"across two pieces");
	CHECK_EQ(plx_mem_domain_copy(f.dom, at, back, 2 * PAGE, false), 0);
	CHECK(memcmp(back, m, 2 * PAGE) == 0, "back");
	CHECK_EQ(plx_mem_domain_copy(f.dom, at + 1, buf, 2 * PAGE, true), -EFAULT);
	CHECK_EQ(m[1], 0); /* all or nothing */
	CHECK_EQ(plx_mem_domain_copy(f.dom, UINT64_MAX, buf, 2, true), -EFAULT);
	CHECK_EQ(plx_mem_unregister(m, PAGE), 0);
	CHECK_EQ(plx_mem_domain_copy(f.dom, at, buf, 1, true), -EFAULT);
	CHECK_EQ(plx_mem_domain_copy(f.dom, at + PAGE, buf, PAGE, true), 0);
	CHECK_EQ(plx_mem_unregister(m + PAGE, PAGE), 0);
	fake_destroy(&f);
	munmap(m, 4 * PAGE);
}

static struct fake rf;
static bool readers_stop;

/* Fixed memory and a registration that stays translate at all times. */
static void *
reader(void *arg)
{
	char *eal = arg;
	uint64_t stays = plx_mem_iova(rf.dom, pg(32), PAGE), bad = 0, n = 0;

	while (!__atomic_load_n(&readers_stop, __ATOMIC_RELAXED)) {
		int k = (int)(n++ % NB_PAGES);
		uint64_t iova = plx_mem_iova(rf.dom, pg(k), PAGE);

		bad += plx_mem_iova(rf.dom, eal, PAGE) != (uintptr_t)eal;
		bad += plx_mem_iova(rf.dom, pg(32), PAGE) != stays;
		bad += iova != PLX_BAD_IOVA && iova != (uintptr_t)pg(k);
	}
	CHECK_EQ(bad, 0);
	return NULL;
}

static void
test_readers(void)
{
	struct plx_mem_domain_conf c = {0};
	void *eal = plx_mem_alloc(PAGE, PAGE, -1);
	pthread_t t;

	fake_create(&rf, c, 0);
	reg(32, 1);
	CHECK_EQ(fake_sync(&rf), 0);
	REQUIRE(pthread_create(&t, NULL, reader, eal) == 0);
	for (int i = 0; i < 1000; i++) {
		int k = i % 31;

		reg(k, 1);
		fake_sync(&rf);
		if (i % 3 == 0)
			sched_yield();
		unreg(k, 1);
	}
	__atomic_store_n(&readers_stop, true, __ATOMIC_RELAXED);
	pthread_join(t, NULL);
	unreg(32, 1);
	fake_destroy(&rf);
	plx_mem_free(eal);
}

/* Tables take turns: a domain that lives long doesn't grow. */
static void
test_tables_bounded(void)
{
	struct plx_mem_domain_conf c = {0};
	struct mem_table *t;
	struct fake f;
	int n = 0;

	fake_create(&f, c, 0);
	for (int i = 0; i < 1000; i++) {
		reg(i % NB_PAGES, 1);
		fake_sync(&f);
		unreg(i % NB_PAGES, 1);
		fake_sync(&f);
	}
	for (t = ((struct mem_domain *)f.dom)->tables.retired; t != NULL; t = t->next)
		n++;
	CHECK(n < 8, "%d retired tables", n);
	fake_destroy(&f);
}

int
main(void)
{
	char *argv[] = {"test", "--no-huge", "-m", "32", NULL};

	CHECK(plx_mem_alloc(64, 0, -1) == NULL, "memory before EAL");
	REQUIRE(plx_eal_init_app(4, argv) >= 0);
	page = mmap(NULL, NB_PAGES * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	REQUIRE(page != MAP_FAILED);
	RUN(test_conf);
	RUN(test_eal_memory);
	RUN(test_walk);
	RUN(test_register_errors);
	RUN(test_registered);
	RUN(test_file);
	RUN(test_assigned);
	RUN(test_unregister_under_way);
	RUN(test_lost);
	RUN(test_op_failures);
	RUN(test_limits);
	RUN(test_sync_all);
	RUN(test_random);
	RUN(test_copy);
	RUN(test_readers);
	RUN(test_tables_bounded);
	plx_eal_cleanup();
	return TEST_RESULT();
}
