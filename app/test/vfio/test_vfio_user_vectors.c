/* SPDX-License-Identifier: BSD-3-Clause */
/* The client's messages byte by byte, against vectors written from the specification. */
#include <errno.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <rte_common.h>

#include "fake.h"
#include "mem_priv.h"
#include "plx_eal.h"
#include "plx_test.h"
#include "plx_vfio.h"

/* header: id, command, size, flags, error */
#define VERSION_ASKED                                                            \
	"> 0100 0100 79000000 00000000 00000000  0000 0100 "                     \
	"'{\"capabilities\":{\"max_msg_fds\":16,\"max_data_xfer_size\":1048576," \
	"\"max_dma_maps\":65535,\"pgsizes\":4096}}' 00\n"
#define VERSION_PLAIN "< 0100 0100 14000000 01000000 00000000  0000 0000\n"

/* DEVICE_GET_INFO: argsz, flags RESET|PCI, 8 regions, 3 interrupts */
#define INFO                                                                            \
	"> 0200 0400 20000000 00000000 00000000  10000000 00000000 00000000 00000000\n" \
	"< 0200 0400 20000000 01000000 00000000  10000000 03000000 08000000 03000000\n"

/* DEVICE_GET_REGION_INFO, argsz 0xb0 */
#define REGION_ASKED(id, index)                                              \
	"> " id " 0500 30000000 00000000 00000000  b0000000 00000000 " index \
	" 00000000 0000000000000000 0000000000000000\n"
#define REGION_NONE(id, index)                                               \
	REGION_ASKED(id, index)                                              \
	"< " id " 0500 30000000 01000000 00000000  20000000 00000000 " index \
	" 00000000 0000000000000000 0000000000000000\n"
#define CONFIG(id)                                                                       \
	REGION_ASKED(id, "07000000")                                                     \
	"< " id " 0500 30000000 01000000 00000000  20000000 03000000 07000000 00000000 " \
	"0001000000000000 0000000000000000\n"

#define IRQ(id, index, count)                                                              \
	"> " id " 0700 20000000 00000000 00000000  10000000 00000000 " index " 00000000\n" \
	"< " id " 0700 20000000 01000000 00000000  10000000 01000000 " index " " count "\n"

/* BAR 0 of 0x4000 bytes with one sparse area at 0x1000, in the first answer already */
#define BAR0_ONE                                                                        \
	REGION_ASKED("0300", "00000000")                                                \
	"<1 0300 0500 50000000 01000000 00000000  40000000 0f000000 00000000 20000000 " \
	"0040000000000000 0000000000000000 "                                            \
	"0100 0100 00000000 01000000 00000000 0010000000000000 0010000000000000\n"

#define REST_FROM_4                         \
	REGION_NONE("0400", "01000000")     \
	REGION_NONE("0500", "02000000")     \
	REGION_NONE("0600", "03000000")     \
	REGION_NONE("0700", "04000000")     \
	REGION_NONE("0800", "05000000")     \
	REGION_NONE("0900", "06000000")     \
	CONFIG("0a00")                      \
	IRQ("0b00", "00000000", "01000000") \
	IRQ("0c00", "01000000", "00000000") IRQ("0d00", "02000000", "28000000")

#define OPEN VERSION_ASKED VERSION_PLAIN INFO BAR0_ONE REST_FROM_4

static struct fake f;
static struct plx_vfio_dev *dev;

/* Begin with the opening; the next message has id 0x0e. */
static void
open_with(const char *script)
{
	fake_start(&f, 0, &dev);
	fake_script(&f, script);
	REQUIRE(fake_run(&f, dev, -EINPROGRESS) == 0);
	CHECK(fake_script_done(&f));
}

/* The operation that rc began, against a script. */
static int
play(const char *script, int rc)
{
	fake_script(&f, script);
	rc = fake_run(&f, dev, rc);
	fake_idle(&f, dev);
	CHECK(fake_script_done(&f));
	return rc;
}

static void
done(void)
{
	CHECK_EQ(fake_socket.wrong, 0);
	fake_stop(&f, dev);
}

static void
open_without_json(void)
{
	open_with(OPEN);
	CHECK_EQ(dev->flags, 3);
	CHECK_EQ(dev->regions[0].size, 0x4000);
	CHECK_EQ(dev->regions[0].flags, 7);
	CHECK_EQ(dev->regions[0].nb_areas, 1);
	CHECK(dev->regions[0].shmem);
	CHECK_EQ(dev->regions[7].size, 256);
	CHECK_EQ(dev->irqs[0].count, 1);
	CHECK_EQ(dev->irqs[1].count, 0);
	CHECK_EQ(dev->irqs[2].count, 40);
	CHECK_EQ(dev->irqs[2].flags, 1);
	CHECK(dev->domain != NULL);
	CHECK_EQ(dev->lost, 0);
	CHECK(strcmp(dev->name, "vfio-user:fake") == 0);
	done();
}

static void
open_with_json(void)
{
	open_with(VERSION_ASKED
		"< 0100 0100 88000000 01000000 00000000  0000 0100 "
		"'{\"capabilities\":{\"max_msg_fds\":8,\"max_data_xfer_size\":65536,\"new\":[1],"
		"\"max_dma_maps\":32,\"pgsizes\":2101248}, \"x\":{}}' 00\n" INFO BAR0_ONE
			REST_FROM_4);
	CHECK_EQ(((struct mem_domain *)dev->domain)->conf.max_maps, 32);
	CHECK_EQ(((struct mem_domain *)dev->domain)->conf.min_page, 4096);
	CHECK(((struct mem_domain *)dev->domain)->conf.need_fd);
	done();
}

/* The first answer holds no capabilities but says how much they need: 0x1b0 bytes. Then two
 * areas of one file, behind a capability that isn't known; the region is at 0x0 of the file. */
static void
open_argsz_retry(void)
{
	open_with(VERSION_ASKED VERSION_PLAIN INFO REGION_ASKED("0300",
		"00000000") "< 0300 0500 30000000 01000000 00000000  b8000000 0f000000 00000000 "
			    "00000000 "
			    "0040000000000000 0000000000000000\n"
			    "> 0400 0500 30000000 00000000 00000000  b8000000 00000000 00000000 "
			    "00000000 "
			    "0000000000000000 0000000000000000\n"
			    "<1 0400 0500 68000000 01000000 00000000  b8000000 0f000000 00000000 "
			    "20000000 "
			    "0040000000000000 0000000000000000 "
			    "0300 0100 28000000 "
			    "0100 0100 00000000 02000000 00000000 "
			    "0000000000000000 0010000000000000 0010000000000000 "
			    "0010000000000000\n" REGION_NONE("0500", "01000000") REGION_NONE("0600",
				    "02000000") REGION_NONE("0700", "03000000") REGION_NONE("0800",
				    "04000000") REGION_NONE("0900", "05000000") REGION_NONE("0a00",
				    "06000000") CONFIG("0b00") IRQ("0c00", "00000000", "01000000")
				    IRQ("0d00", "01000000", "01000000")
					    IRQ("0e00", "02000000", "01000000"));
	CHECK_EQ(dev->regions[0].nb_areas, 2);
	CHECK(plx_vfio_region_ptr(dev, 0, 0xff8, 8) != NULL);
	CHECK(plx_vfio_region_ptr(dev, 0, 0xffc, 8) == NULL); /* across two areas */
	strcpy((char *)plx_vfio_region_ptr(dev, 0, 0x1000, 8), "second");
	CHECK(strcmp((char *)f.mem + 0x1000, "second") == 0);
	CHECK(plx_vfio_region_ptr(dev, 0, 0x1fff, 2) == NULL);
	CHECK(plx_vfio_region_ptr(dev, 0, UINT64_MAX, 2) == NULL);
	done();
}

static void
mapped_access(void)
{
	uint32_t v = 0x11223344, w = 0;

	open_with(OPEN);
	/* no message: the area is memory */
	CHECK_EQ(play("", plx_vfio_region_write(dev, 0, 0x1008, &v, 4)), 0);
	CHECK(memcmp(f.mem + 0x1008, "\x44\x33\x22\x11", 4) == 0);
	CHECK_EQ(play("", plx_vfio_region_read(dev, 0, 0x1008, &w, 4)), 0);
	CHECK_EQ(w, v);
	done();
}

static void
region_access(void)
{
	uint64_t v = 0;
	uint32_t cc = 0x00460001;

	open_with(OPEN);
	CHECK_EQ(play("> 0e00 0900 20000000 00000000 00000000  0000000000000000 00000000 08000000\n"
		      "< 0e00 0900 28000000 01000000 00000000  0000000000000000 00000000 08000000 "
		      "ff00010203040506\n",
			 plx_vfio_region_read(dev, 0, 0, &v, 8)),
		0);
	CHECK(v == 0x06050403020100ff);
	CHECK_EQ(
		play("> 0f00 0a00 24000000 00000000 00000000  1400000000000000 00000000 04000000 "
		     "01004600\n"
		     "< 0f00 0a00 20000000 01000000 00000000  1400000000000000 00000000 04000000\n",
			plx_vfio_region_write(dev, 0, 0x14, &cc, 4)),
		0);
	CHECK_EQ(
		play("> 1000 0a00 22000000 00000000 00000000  0400000000000000 07000000 02000000 "
		     "0604\n"
		     "< 1000 0a00 20000000 01000000 00000000  0400000000000000 07000000 02000000\n",
			plx_vfio_region_write(dev, 7, 4, "\x06\x04", 2)),
		0);
	/* refused: the header alone, flags reply|error; error 0 means EINVAL */
	CHECK_EQ(plx_vfio_region_read(dev, 4, 0x1000, &v, 4), -EINVAL); /* no such region */
	CHECK_EQ(play("> 1100 0900 20000000 00000000 00000000  0000000000000000 00000000 04000000\n"
		      "< 1100 0900 10000000 21000000 01000000\n",
			 plx_vfio_region_read(dev, 0, 0, &v, 4)),
		-EIO);
	CHECK_EQ(play("> 1200 0a00 24000000 00000000 00000000  1400000000000000 00000000 04000000 "
		      "01004600\n"
		      "< 1200 0a00 10000000 21000000 00000000\n",
			 plx_vfio_region_write(dev, 0, 0x14, &cc, 4)),
		-EIO);
	CHECK_EQ(dev->lost, 0);
	done();
}

/* A server that takes 24 bytes at a time: a register of 8 is never cut. */
static void
region_access_in_pieces(void)
{
	char buf[40];

	open_with(VERSION_ASKED
		"< 0100 0100 3f000000 01000000 00000000  0000 0000 "
		"'{\"capabilities\":{\"max_data_xfer_size\":27}}' 00\n" INFO BAR0_ONE REST_FROM_4);
	CHECK_EQ(play("> 0e00 0900 20000000 00000000 00000000  0800000000000000 07000000 18000000\n"
		      "< 0e00 0900 38000000 01000000 00000000  0800000000000000 07000000 18000000 "
		      "'abcdefghijklmnopqrstuvwx'\n"
		      "> 0f00 0900 20000000 00000000 00000000  2000000000000000 07000000 10000000\n"
		      "< 0f00 0900 30000000 01000000 00000000  2000000000000000 07000000 10000000 "
		      "'0123456789ABCDEF'\n",
			 plx_vfio_region_read(dev, 7, 8, buf, 40)),
		0);
	CHECK(memcmp(buf, "abcdefghijklmnopqrstuvwx0123456789ABCDEF", 40) == 0);
	CHECK_EQ(
		play("> 1000 0a00 38000000 00000000 00000000  4000000000000000 07000000 18000000 "
		     "'abcdefghijklmnopqrstuvwx'\n"
		     "< 1000 0a00 20000000 01000000 00000000  4000000000000000 07000000 18000000\n"
		     "> 1100 0a00 30000000 00000000 00000000  5800000000000000 07000000 10000000 "
		     "'0123456789ABCDEF'\n"
		     "< 1100 0a00 20000000 01000000 00000000  5800000000000000 07000000 10000000\n",
			plx_vfio_region_write(dev, 7, 0x40, buf, 40)),
		0);
	done();
}

/* No reply is asked for and none comes: flags 0x10. */
static void
posts(void)
{
	open_with(OPEN);
	plx_vfio_region_post(dev, 0, 0x2000, 0xa1b2c3d4);
	plx_vfio_region_post(dev, 0, 0x2004, 7);
	plx_vfio_region_post(dev, 0, 0x3ffd, 7); /* not inside the region */
	CHECK_EQ(play("> 0000 0a00 24000000 10000000 00000000  0020000000000000 00000000 04000000 "
		      "d4c3b2a1\n"
		      "> 0000 0a00 24000000 10000000 00000000  0420000000000000 00000000 04000000 "
		      "07000000\n",
			 0),
		0);
	done();
}

static void
irqs(void)
{
	int fds[40], i;

	for (i = 0; i < 40; i++)
		fds[i] = eventfd(0, EFD_CLOEXEC);
	open_with(VERSION_ASKED
		"< 0100 0100 37000000 01000000 00000000  0000 0000 "
		"'{\"capabilities\":{\"max_msg_fds\":8}}' 00\n" INFO BAR0_ONE REST_FROM_4);
	/* argsz 20, flags EVENTFD|TRIGGER, index MSI-X; 8 descriptors at a time */
	CHECK_EQ(play(">8 0e00 0800 24000000 00000000 00000000  14000000 24000000 02000000 "
		      "00000000 08000000\n"
		      "< 0e00 0800 10000000 01000000 00000000\n"
		      ">2 0f00 0800 24000000 00000000 00000000  14000000 24000000 02000000 "
		      "08000000 02000000\n"
		      "< 0f00 0800 10000000 01000000 00000000\n",
			 plx_vfio_irq_set(dev, 2, 0, fds, 10)),
		0);
	/* -1 in the midst: a message without descriptors takes those away */
	close(fds[4]);
	close(fds[5]);
	fds[4] = fds[5] = -1;
	CHECK_EQ(play(">1 1000 0800 24000000 00000000 00000000  14000000 24000000 02000000 "
		      "17000000 01000000\n"
		      "< 1000 0800 10000000 01000000 00000000\n"
		      "> 1100 0800 24000000 00000000 00000000  14000000 24000000 02000000 "
		      "18000000 02000000\n"
		      "< 1100 0800 10000000 01000000 00000000\n"
		      ">3 1200 0800 24000000 00000000 00000000  14000000 24000000 02000000 "
		      "1a000000 03000000\n"
		      "< 1200 0800 10000000 01000000 00000000\n",
			 plx_vfio_irq_set(dev, 2, 23, fds + 3, 6)),
		0);
	/* disable all: NONE|TRIGGER */
	CHECK_EQ(play("> 1300 0800 24000000 00000000 00000000  14000000 21000000 02000000 "
		      "00000000 00000000\n"
		      "< 1300 0800 10000000 01000000 00000000\n",
			 plx_vfio_irq_set(dev, 2, 5, NULL, 0)),
		0);
	/* without a message: an index that has none, and vectors that are not */
	CHECK_EQ(plx_vfio_irq_set(dev, 1, 0, NULL, 0), 0);
	CHECK_EQ(plx_vfio_irq_set(dev, 1, 0, fds, 1), -EINVAL);
	CHECK_EQ(plx_vfio_irq_set(dev, 2, 39, fds, 2), -EINVAL);
	CHECK_EQ(plx_vfio_irq_set(dev, 2, UINT32_MAX, fds, 2), -EINVAL);
	CHECK_EQ(plx_vfio_irq_set(dev, 5, 0, fds, 1), -EINVAL);
	/* the host has fewer */
	CHECK_EQ(play(">1 1400 0800 24000000 00000000 00000000  14000000 24000000 02000000 "
		      "00000000 01000000\n"
		      "< 1400 0800 10000000 21000000 1c000000\n",
			 plx_vfio_irq_set(dev, 2, 0, fds, 1)),
		-ENOSPC);
	/* the caller's mistake costs no device */
	CHECK_EQ(play("", plx_vfio_irq_set(dev, 2, 0, &(int){100000}, 1)), -EBADF);
	CHECK_EQ(dev->lost, 0);
	done();
	for (i = 0; i < 40; i++)
		if (fds[i] >= 0)
			close(fds[i]);
}

static void
reset(void)
{
	open_with(OPEN);
	CHECK_EQ(play("> 0e00 0d00 10000000 00000000 00000000\n"
		      "< 0e00 0d00 10000000 01000000 00000000\n",
			 plx_vfio_reset(dev)),
		0);
	CHECK_EQ(play("> 0f00 0d00 10000000 00000000 00000000\n"
		      "< 0f00 0d00 10000000 21000000 10000000\n",
			 plx_vfio_reset(dev)),
		-EBUSY);
	done();
}

static int
dma_run(const struct plx_mem_domain_ops *ops, void *ctx, const char *script, int rc)
{
	fake_script(&f, script);
	while (rc == -EINPROGRESS) {
		fake_step(&f);
		rc = ops->poll(ctx);
	}
	CHECK(fake_script_done(&f));
	return rc;
}

static void
dma_maps(void)
{
	const struct plx_mem_domain_ops *ops;
	struct plx_mem_seg seg = {.va = 0x10000, .len = 0x2000, .page_size = 4096};
	void *ctx;

	open_with(OPEN);
	ops = ((struct mem_domain *)dev->domain)->conf.ops;
	ctx = ((struct mem_domain *)dev->domain)->conf.ctx;
	seg.fd = memfd_create("x", MFD_CLOEXEC);
	REQUIRE(seg.fd >= 0 && ftruncate(seg.fd, 0x203000) == 0);
	seg.fd_off = 0x1000;
	/* argsz 32, flags READ|WRITE, file offset, IOVA, size; one descriptor */
	CHECK_EQ(dma_run(ops, ctx,
			 ">1 0e00 0200 30000000 00000000 00000000  20000000 03000000 "
			 "0010000000000000 0000341200000000 0020000000000000\n"
			 "< 0e00 0200 10000000 01000000 00000000\n",
			 ops->map(ctx, &seg, 0x12340000)),
		0);
	CHECK_EQ(dma_run(ops, ctx,
			 "> 0f00 0300 28000000 00000000 00000000  18000000 00000000 "
			 "0000341200000000 0020000000000000\n"
			 "< 0f00 0300 28000000 01000000 00000000  18000000 00000000 "
			 "0000341200000000 0020000000000000\n",
			 ops->unmap(ctx, 0x12340000, 0x2000)),
		0);
	/* too many regions, or whatever the server has against it */
	CHECK_EQ(dma_run(ops, ctx,
			 ">1 1000 0200 30000000 00000000 00000000  20000000 03000000 "
			 "0010000000000000 0000000000000000 0020000000000000\n"
			 "< 1000 0200 10000000 21000000 16000000\n",
			 ops->map(ctx, &seg, 0)),
		-EINVAL);
	CHECK_EQ(dma_run(ops, ctx,
			 "> 1100 0300 28000000 00000000 00000000  18000000 00000000 "
			 "0000000000000000 0020000000000000\n"
			 "< 1100 0300 10000000 21000000 02000000\n",
			 ops->unmap(ctx, 0, 0x2000)),
		-ENOENT);
	/* what is wrong is not sent */
	CHECK_EQ(ops->map(ctx, &seg, 0x800), -EINVAL);
	CHECK_EQ(ops->map(ctx, &seg, 0 - 0x1000ul), -EINVAL);
	seg.fd_off = 0x202000; /* beyond the end of the file */
	CHECK_EQ(ops->map(ctx, &seg, 0), -EINVAL);
	seg.fd_off = 0x1800;
	CHECK_EQ(ops->map(ctx, &seg, 0), -EINVAL);
	seg.fd_off = 0;
	seg.len = 0;
	CHECK_EQ(ops->map(ctx, &seg, 0), -EINVAL);
	close(seg.fd);
	CHECK_EQ(ops->map(ctx, &seg, 0), -EINVAL);
	seg.len = 0x1000;
	CHECK_EQ(ops->map(ctx, &seg, 0), -EBADF);
	CHECK_EQ(dev->lost, 0);
	done();
}

/* An access of the device and one of its domain are under way at a time; the server answers
 * the second first, and asks for memory between. */
static void
interleaved(void)
{
	const struct plx_mem_domain_ops *ops;
	void *ctx;
	uint32_t v = 0;

	open_with(OPEN);
	ops = ((struct mem_domain *)dev->domain)->conf.ops;
	ctx = ((struct mem_domain *)dev->domain)->conf.ctx;
	CHECK_EQ(plx_vfio_region_read(dev, 0, 0x1c, &v, 4), -EINPROGRESS);
	CHECK_EQ(plx_vfio_region_read(dev, 0, 0x1c, &v, 4), -EBUSY);
	CHECK_EQ(plx_vfio_reset(dev), -EBUSY);
	CHECK_EQ(dma_run(ops, ctx,
			 "> 0e00 0900 20000000 00000000 00000000  1c00000000000000 00000000 "
			 "04000000\n"
			 "> 0f00 0300 28000000 00000000 00000000  18000000 00000000 "
			 "0000341200000000 0020000000000000\n"
			 "< 3412 0b00 20000000 00000000 00000000  0000000000000000 "
			 "1000000000000000\n"
			 "> 3412 0b00 10000000 21000000 0e000000\n"
			 "< 0f00 0300 28000000 01000000 00000000  18000000 00000000 "
			 "0000341200000000 0020000000000000\n",
			 ops->unmap(ctx, 0x12340000, 0x2000)),
		0);
	CHECK_EQ(v, 0);
	CHECK_EQ(play("< 0e00 0900 24000000 01000000 00000000  1c00000000000000 00000000 "
		      "04000000 01000000\n",
			 -EINPROGRESS),
		0);
	CHECK_EQ(v, 1);
	done();
}

/* DMA_READ and DMA_WRITE of the server while the client waits for a reply. */
static void
server_dma(void)
{
	char script[2048], iova[17];
	uint64_t io;
	uint32_t v;
	uint8_t *buf;
	int rc, i;

	open_with(OPEN);
	f.script = NULL;
	do {
		rc = plx_mem_domain_sync(dev->domain);
		fake_step(&f);
	} while (rc == -EINPROGRESS);
	CHECK_EQ(rc, 0);
	buf = plx_mem_alloc(64, 64, -1);
	REQUIRE(buf != NULL);
	memcpy(buf, "0123456789abcdef", 16);
	io = plx_mem_iova(dev->domain, buf, 64);
	REQUIRE(io != PLX_BAD_IOVA);
	for (i = 0; i < 8; i++)
		sprintf(iova + 2 * i, "%02x", (unsigned int)(io >> 8 * i) & 0xff);
	snprintf(script, sizeof(script),
		"> ???? 0900 20000000 00000000 00000000  1c00000000000000 00000000 04000000\n"
		"< 0700 0b00 20000000 00000000 00000000  %s 0a00000000000000\n"
		"> 0700 0b00 2a000000 01000000 00000000  %s 0a00000000000000 '0123456789'\n"
		"< 0800 0c00 24000000 00000000 00000000  %s 0400000000000000 'WXYZ'\n"
		"> 0800 0c00 20000000 01000000 00000000  %s 0400000000000000\n"
		/* the whole 64-bit count is looked at */
		"< 0900 0b00 20000000 00000000 00000000  %s 0a00000001000000\n"
		"> 0900 0b00 10000000 21000000 16000000\n"
		"< 0900 0b00 20000000 00000000 00000000  0000000000000000 0100000000000000\n"
		"> 0900 0b00 10000000 21000000 0e000000\n"
		"< 0900 0b00 20000000 00000000 00000000  ffffffffffffffff 0200000000000000\n"
		"> 0900 0b00 10000000 21000000 0e000000\n"
		/* fewer data than it says; no room for the fixed part */
		"< 0a00 0c00 23000000 00000000 00000000  %s 0400000000000000 'WXY'\n"
		"> 0a00 0c00 10000000 21000000 16000000\n"
		"< 0b00 0c00 18000000 00000000 00000000  %s\n"
		"> 0b00 0c00 10000000 21000000 16000000\n"
		/* unknown commands; one that wants no reply */
		"< 0c00 0900 20000000 00000000 00000000  1c00000000000000 00000000 04000000\n"
		"> 0c00 0900 10000000 21000000 16000000\n"
		"< 0d00 ffff 10000000 00000000 00000000\n"
		"> 0d00 ffff 10000000 21000000 16000000\n"
		"< 0e00 7777 10000000 10000000 00000000\n",
		iova, iova, iova, iova, iova, iova, iova);
	rc = plx_vfio_region_read(dev, 0, 0x1c, &v, 4);
	fake_script(&f, script);
	for (i = 0; i < 40; i++) {
		fake_step(&f);
		CHECK_EQ(plx_vfio_poll(dev), -EINPROGRESS);
	}
	CHECK(fake_script_done(&f));
	CHECK(memcmp(buf, "WXYZ456789abcdef", 16) == 0);
	f.script = NULL;
	CHECK_EQ(dev->lost, 0);
	plx_mem_free(buf);
	done();
}

/* A socket that takes a few bytes at a time, or none for a while: the bytes are the same. */
static void
slow_socket(void)
{
	uint32_t v;
	size_t max;

	for (max = 1; max < 40; max += 6) {
		fake_start(&f, 0, &dev);
		fake_socket.max_send = max;
		fake_script(&f, OPEN);
		REQUIRE(fake_run(&f, dev, -EINPROGRESS) == 0);
		fake_socket.refuse = 5;
		plx_vfio_region_post(dev, 0, 0x2000, 1);
		plx_vfio_region_post(dev, 0, 0x2004, 2);
		plx_vfio_region_post(dev, 0, 0x2000, 3); /* instead of 1 */
		CHECK_EQ(play("> 0000 0a00 24000000 10000000 00000000  0020000000000000 00000000 "
			      "04000000 03000000\n"
			      "> 0000 0a00 24000000 10000000 00000000  0420000000000000 00000000 "
			      "04000000 02000000\n"
			      "> 0e00 0900 20000000 00000000 00000000  1c00000000000000 00000000 "
			      "04000000\n"
			      "< 0e00 0900 24000000 01000000 00000000  1c00000000000000 00000000 "
			      "04000000 05000000\n",
				 plx_vfio_region_read(dev, 0, 0x1c, &v, 4)),
			0);
		CHECK_EQ(v, 5);
		CHECK_EQ(fake_socket.refuse, 0);
		done();
	}
}

/* The socket takes one send, or part of one, and then none for a moment. */
static int
stutter(size_t max, unsigned int allow, unsigned int refuse)
{
	fake_socket.max_send = max;
	fake_socket.allow = allow;
	fake_socket.refuse = refuse;
	return 0;
}

#define POST(off, value)                                                                          \
	"> 0000 0a00 24000000 10000000 00000000  " off "200000 00000000 00000000 04000000 " value \
	"000000\n"

static void
order(void)
{
	uint32_t v;
	int rc;

	open_with(OPEN);
	/* a doorbell doesn't overtake one that waits */
	stutter(0, 0, 1);
	plx_vfio_region_post(dev, 0, 0x2000, 1);
	plx_vfio_region_post(dev, 0, 0x2004, 2);
	CHECK_EQ(play(POST("00", "01") POST("04", "02"), 0), 0);
	/* the first of those that wait goes, the second not yet */
	stutter(0, 0, 1);
	plx_vfio_region_post(dev, 0, 0x2000, 3);
	plx_vfio_region_post(dev, 0, 0x2004, 4);
	stutter(0, 1, 1);
	CHECK_EQ(play(POST("00", "03") POST("04", "04"), 0), 0);
	/* nor does it get into a message that is half sent, be it a doorbell or a command */
	stutter(10, 1, 1);
	plx_vfio_region_post(dev, 0, 0x2000, 5);
	plx_vfio_region_post(dev, 0, 0x2004, 6);
	CHECK_EQ(play(POST("00", "05") POST("04", "06"), 0), 0);
	stutter(10, 1, 1);
	rc = plx_vfio_region_read(dev, 0, 0x1c, &v, 4);
	plx_vfio_region_post(dev, 0, 0x2000, 7);
	CHECK_EQ(play("> 0e00 0900 20000000 00000000 00000000  1c00000000000000 00000000 "
		      "04000000\n" POST("00", "07") "< 0e00 0900 24000000 01000000 00000000  "
						    "1c00000000000000 00000000 "
						    "04000000 05000000\n",
			 rc),
		0);
	done();
}

int
main(int argc, char **argv)
{
	unsigned int fds;

	REQUIRE(plx_eal_init_app(argc, argv) >= 0);
	fds = fake_open_fds();
	RUN(open_without_json);
	RUN(open_with_json);
	RUN(open_argsz_retry);
	RUN(mapped_access);
	RUN(region_access);
	RUN(region_access_in_pieces);
	RUN(posts);
	RUN(irqs);
	RUN(reset);
	RUN(dma_maps);
	RUN(interleaved);
	RUN(server_dma);
	RUN(slow_socket);
	RUN(order);
	CHECK_EQ(fake_open_fds(), fds);
	plx_eal_cleanup();
	return TEST_RESULT();
}
