/* SPDX-License-Identifier: BSD-3-Clause */
/* Reactors on lcores: launched, and as a component of rte_service on a service lcore. */
#include <errno.h>
#include <unistd.h>

#include <rte_lcore.h>
#include <rte_service.h>

#include "plx_eal.h"
#include "plx_reactor.h"
#include "plx_test.h"

static unsigned int lcore;

static void
add_one(void *arg)
{
	__atomic_fetch_add((unsigned int *)arg, 1, __ATOMIC_RELAXED);
}

static bool
reaches(const unsigned int *count, unsigned int want)
{
	for (int i = 0; i < 5000 && __atomic_load_n(count, __ATOMIC_RELAXED) < want; i++)
		usleep(1000);
	return __atomic_load_n(count, __ATOMIC_RELAXED) == want;
}

/* Again and again on the same lcore; stopped and waited for, or by destroy alone. */
static void
test_launch(void)
{
	for (int i = 0; i < 20; i++) {
		struct plx_reactor_conf conf = {.idle = (enum plx_reactor_idle)(i % 3)};
		struct plx_reactor *r, *other;
		unsigned int runs = 0;

		REQUIRE(plx_reactor_create_conf("launched", &conf, &r) == 0);
		CHECK_EQ(plx_reactor_launch(r, RTE_MAX_LCORE), -EINVAL);
		CHECK_EQ(plx_reactor_launch(r, rte_get_main_lcore()), -EINVAL);
		CHECK_EQ(plx_reactor_launch(r, lcore), 0);
		CHECK_EQ(plx_reactor_launch(r, lcore), -EBUSY);
		CHECK_EQ(plx_reactor_run(r), -EBUSY);
		other = plx_reactor_create("other");
		CHECK_EQ(plx_reactor_launch(other, lcore), -EBUSY); /* the lcore is taken */
		plx_reactor_wait(other);                            /* and it doesn't run */
		plx_reactor_destroy(other);
		CHECK_EQ(plx_reactor_send(r, add_one, &runs), 0);
		CHECK(reaches(&runs, 1), "no message");
		if (i % 2 == 0) {
			plx_reactor_stop(r);
			plx_reactor_wait(r);
			CHECK_EQ(rte_eal_get_lcore_state(lcore), WAIT);
		}
		plx_reactor_destroy(r);
		CHECK_EQ(rte_eal_get_lcore_state(lcore), WAIT);
	}
}

static void
test_service(void)
{
	struct plx_reactor *r = plx_reactor_create("service");
	unsigned int runs = 0;
	uint32_t id, again;

	CHECK_EQ(plx_reactor_service_del(r), -ENOENT);
	REQUIRE(plx_reactor_service_add(r, &id) == 0);
	CHECK_EQ(plx_reactor_service_add(r, &again), -EBUSY);
	CHECK_EQ(plx_reactor_run(r), -EBUSY);
	CHECK(strcmp(rte_service_get_name(id), "service") == 0, "%s", rte_service_get_name(id));
	REQUIRE(rte_service_lcore_add(lcore) == 0);
	REQUIRE(rte_service_map_lcore_set(id, lcore, 1) == 0);
	REQUIRE(rte_service_runstate_set(id, 1) == 0);
	REQUIRE(rte_service_lcore_start(lcore) == 0);
	for (unsigned int i = 0; i < 10; i++)
		CHECK_EQ(plx_reactor_send(r, add_one, &runs), 0);
	CHECK(reaches(&runs, 10), "%u messages", runs);
	CHECK_EQ(plx_reactor_service_del(r), 0);
	CHECK_EQ(plx_reactor_send(r, add_one, &runs), 0);
	CHECK_EQ(plx_reactor_step(r), 1); /* it is ours again */
	CHECK_EQ(plx_reactor_service_add(r, &id), 0);
	rte_service_map_lcore_set(id, lcore, 1);
	rte_service_runstate_set(id, 1);
	CHECK_EQ(plx_reactor_send(r, add_one, &runs), 0);
	CHECK(reaches(&runs, 12), "%u messages", runs);
	plx_reactor_destroy(r); /* takes the service away */
	CHECK_EQ(rte_service_get_count(), 0);
	rte_service_lcore_stop(lcore);
	rte_service_lcore_del(lcore);
}

int
main(void)
{
	char *argv[] = {"test", "--no-huge", "--lcores=0@(0-1),1@(0-1)", NULL};

	if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
		argv[2] = "--lcores=0@0,1@0";
	REQUIRE(plx_eal_init_app(3, argv) >= 0);
	lcore = rte_get_next_lcore(-1, 1, 0);
	REQUIRE(lcore < RTE_MAX_LCORE);
	RUN(test_launch);
	RUN(test_service);
	plx_eal_cleanup();
	return TEST_RESULT();
}
