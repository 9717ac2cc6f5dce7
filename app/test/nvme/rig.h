/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef RIG_H
#define RIG_H
/* The host and the fake controller of one test. */
#include "fake.h"
#include "host.h"
#include "nvme_priv.h"

static struct fake f;
static struct host h;
static struct host_use before;
static char str[256];

static inline const char *
string(const char *more)
{
	snprintf(str, sizeof(str), "vfio-user:%s,name=fk%s", f.path, more);
	return str;
}

static inline void
begin(void)
{
	before = host_use();
	fake_init(&f);
}

static inline void
attach(const char *more)
{
	fake_start(&f);
	REQUIRE(host_attach(&h, string(more)) == 0);
}

static inline void
end(void)
{
	fake_stop(&f);
	CHECK(f.broken == NULL, "the host's fault: %s", f.broken);
	host_unused(&before);
}

/* A counter of the controller's. */
static inline unsigned int
seen(const unsigned int *counter)
{
	unsigned int n;

	fake_lock(&f);
	n = *counter;
	fake_unlock(&f);
	return n;
}

static inline void
io(void)
{
	unsigned int i;

	for (i = 0; i < 400; i++) {
		uint32_t n = 1 + (uint32_t)rand() % (HOST_BYTES / FAKE_BLOCK);
		uint64_t lba = (uint32_t)rand() % (FAKE_BLOCKS - n);

		memset(h.mem, rand(), n * FAKE_BLOCK);
		memcpy(h.mem, &i, sizeof(i));
		CHECK_EQ(host_one(&h, PLX_OP_WRITE, lba, n), 0);
		fake_lock(&f);
		CHECK(memcmp(h.mem, f.disk[0] + lba * FAKE_BLOCK, n * FAKE_BLOCK) == 0);
		fake_unlock(&f);
		memset(h.mem, 0, n * FAKE_BLOCK);
		CHECK_EQ(host_one(&h, PLX_OP_READ, lba, n), 0);
		fake_lock(&f);
		CHECK(memcmp(h.mem, f.disk[0] + lba * FAKE_BLOCK, n * FAKE_BLOCK) == 0);
		fake_unlock(&f);
	}
}

static inline void
fault(enum fake_fault what, uint16_t status, unsigned int times)
{
	fake_lock(&f);
	f.fault = what;
	f.status = status;
	f.nr_faults = times;
	fake_unlock(&f);
}

static inline void
all_end_with(int status, double seconds)
{
	unsigned int i;

	CHECK_EQ(host_collect(&h, HOST_DEPTH, seconds), HOST_DEPTH);
	for (i = 0; i < HOST_DEPTH; i++)
		CHECK_EQ(h.reqs[i].status, status);
	CHECK(host_event(&h, PLX_BLK_EVENT_REMOVED, 0, 2));
	CHECK_EQ(host_one(&h, PLX_OP_READ, 0, 1), -ENODEV);
	CHECK_EQ(host_close(&h), 0);
	end();
}

static inline void
keep_busy(void)
{
	unsigned int i;

	fault(FAKE_SILENT, 0, 1000);
	for (i = 0; i < HOST_DEPTH; i++)
		host_prepare(&h, i, PLX_OP_READ, i, 1);
	host_submit(&h, HOST_DEPTH);
}

#endif
