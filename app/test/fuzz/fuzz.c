/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <rte_common.h>
#include <rte_log.h>
#include <rte_malloc.h>

#include "fuzz.h"
#include "plx_ctrl.h"
#include "plx_eal.h"

struct fuzz_input fuzz_in;
uint64_t fuzz_ms;
unsigned int fuzz_lines;

void
fuzz_begin(const uint8_t *data, size_t size)
{
	fuzz_in = (struct fuzz_input){data, size};
	fuzz_ms = 0;
	fuzz_lines = 0;
}

uint64_t
take_odd(void)
{
	static const uint64_t odd[] = {0, 1, 8, 16, 64, 255, 256, 512, 4095, 4096, 0xffff, 0x10000,
		INT32_MAX, UINT32_MAX, 1ull << 32, INT64_MAX, UINT64_MAX, (uint64_t)-4096};
	uint8_t how = take();

	return how & 0x80 ? odd[how % RTE_DIM(odd)] : take_n((how & 7) + 1u);
}

/* ---- the clock ---- */

struct plx_deadline __wrap_plx_deadline_in(uint32_t ms);
int __wrap_plx_deadline_past(struct plx_deadline d);
int __wrap_nanosleep(const struct timespec *t, struct timespec *left);

struct plx_deadline
__wrap_plx_deadline_in(uint32_t ms)
{
	return (struct plx_deadline){fuzz_ms + ms};
}

int
__wrap_plx_deadline_past(struct plx_deadline d)
{
	return fuzz_ms >= d.tsc;
}

/* Who sleeps waits for something: let time go by. */
int
__wrap_nanosleep(const struct timespec *t, struct timespec *left)
{
	fuzz_ms += 100;
	return 0;
}

/* ---- EAL ---- */

static ssize_t
count_lines(void *cookie, const char *buf, size_t size)
{
	fuzz_lines++;
	return (ssize_t)size;
}

void
fuzz_eal(char *name)
{
	char *args[] = {name, (char *)(uintptr_t) "-l", (char *)(uintptr_t) "0",
		(char *)(uintptr_t) "--no-telemetry", NULL};
	FILE *f = fopencookie(NULL, "w", (cookie_io_functions_t){.write = count_lines});

	if (plx_eal_init_app(RTE_DIM(args) - 1, args) < 0 || f == NULL)
		abort();
	setvbuf(f, NULL, _IOLBF, 0);
	if (getenv("FUZZ_LOG") == NULL)
		rte_openlog_stream(f);
}

struct fuzz_use
fuzz_use(void)
{
	struct fuzz_use u = {.fd = dup(0)};
	struct rte_malloc_socket_stats st;
	int i;

	close(u.fd);
	for (i = 0; i < 64; i++) /* the arena is a heap behind those of the nodes */
		if (rte_malloc_get_socket_stats(i, &st) == 0)
			u.heap += st.heap_allocsz_bytes;
	return u;
}
