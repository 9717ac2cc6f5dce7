/* SPDX-License-Identifier: BSD-3-Clause */
/* Device strings, arguments, and the state machines of attachments with a driver made for it. */
#include <errno.h>

#include "plx_blk.h"
#include "plx_ctrl.h"
#include "plx_eal.h"
#include "plx_probe_drv.h"
#include "plx_test_log.h"

/* Attaching must fail so, with one line that says all of these. */
static void
refused(int want, const char *str, const char *say1, const char *say2)
{
	struct plx_dev *dev = NULL;
	char *end;
	int rc;

	logged[0] = '\0';
	rc = plx_attach(str, &dev);
	CHECK(rc == want, "'%s': got %d, wanted %d", str, rc, want);
	end = strchr(logged, '\n');
	CHECK(end != NULL && end[1] == '\0', "'%s': not one line: '%s'", str, logged);
	CHECK(strstr(logged, str) != NULL, "'%s' not in '%s'", str, logged);
	CHECK(strstr(logged, say1) != NULL, "'%s': '%s' not in '%s'", str, say1, logged);
	CHECK(strstr(logged, say2) != NULL, "'%s': '%s' not in '%s'", str, say2, logged);
	CHECK(plx_dev_next(NULL) == NULL, "'%s' left something behind", str);
}

/* ---- a driver ---- */

static struct {
	int attach_polls, detach_polls; /* how often to say -EINPROGRESS */
	int attach_rc, detach_rc;
	int attached; /* now */
	int idle_polls;
	bool inner; /* attach another */
	struct plx_dev *inner_dev;
	bool detaching;
} fake;

static int
fake_attach(struct plx_dev *dev)
{
	if (fake.inner && dev->parent == NULL) {
		char str[128];

		snprintf(str, sizeof(str), "ram:size=1M,name=%s", dev->name);
		CHECK_EQ(plx_attach_start(str, &fake.inner_dev), 0);
		CHECK_EQ(plx_attach_poll(fake.inner_dev), 0);
	}
	if (fake.attach_polls > 0)
		return -EINPROGRESS;
	fake.attached += fake.attach_rc == 0;
	return fake.attach_rc;
}

static int
fake_poll(struct plx_dev *dev)
{
	int *left = fake.detaching ? &fake.detach_polls : &fake.attach_polls;

	if (fake.attached && !fake.detaching) {
		fake.idle_polls++;
		return 0;
	}
	if (--*left > 0)
		return -EINPROGRESS;
	if (!fake.detaching) {
		fake.attached += fake.attach_rc == 0;
		return fake.attach_rc;
	}
	fake.attached--;
	return fake.detach_rc;
}

static int
fake_detach(struct plx_dev *dev)
{
	int rc;

	if (fake.inner_dev != NULL) {
		CHECK_EQ(plx_detach_start(fake.inner_dev), 0);
		rc = plx_detach_poll(fake.inner_dev);
		CHECK_EQ(rc, 0);
		fake.inner_dev = NULL;
	}
	fake.detaching = true;
	if (fake.detach_polls > 0)
		return -EINPROGRESS;
	fake.attached--;
	return fake.detach_rc;
}

static const char *const fake_keys[] = {"num", "flag", "size", "text", NULL};
static const struct plx_driver fake_driver = {
	.name = "fake",
	.help = "fake:[/path][,num=N]",
	.keys = fake_keys,
	.attach = fake_attach,
	.poll = fake_poll,
	.detach = fake_detach,
};

static struct plx_dev *
attach(const char *str)
{
	struct plx_dev *dev = NULL;

	fake.detaching = false;
	CHECK(plx_attach(str, &dev) == 0, "'%s'", str);
	REQUIRE(dev != NULL);
	return dev;
}

/* ---- tests ---- */

static void
test_strings_refused(void)
{
	refused(-ENOENT, "rom:size=1M", "no driver 'rom'", "did you mean 'ram'?");
	refused(-ENOENT, "xyzzy:size=1M", "no driver 'xyzzy'", "known are:");
	refused(-ENOENT, "nvme:/x", "no driver 'nvme'", "known are:");
	refused(-ENOENT, ":size=1M", "no driver ''", "known are:");
	refused(-EINVAL, "ram", "size is missing", "use ram:size=");
	refused(-EINVAL, "ram:", "size is missing", "use ram:size=");
	refused(-EINVAL, "ram:1G", "size is missing", "use ram:size=");
	refused(-EINVAL, "ram:sise=1M", "unknown key 'sise'", "did you mean 'size'?");
	refused(-EINVAL, "ram:size=1M,qqqqqqqq=1", "unknown key 'qqqqqqqq'; known are: name, size",
		"");
	refused(-EINVAL, "ram:size=1M,size=2M", "'size=2M' repeats a key", "use ram:");
	refused(-EINVAL, "ram:size", "size is missing", "use ram:");
	refused(-EINVAL, "ram:size=1M,block", "'block' has no value", "use ram:");
	refused(-EINVAL, "ram:size=", "'size=' has no value", "use ram:");
	refused(-EINVAL, "ram:size=1M=2", "'size=1M=2' has two '='", "use ram:");
	refused(-EINVAL, "ram:=1M", "'=1M' has no key", "use ram:");
	refused(-EINVAL, "ram:size=1M, block=512", "' block=512' has a blank", "use ram:");
	refused(-EINVAL, "ram:size=1 M", "has a blank", "use ram:");
	refused(-EINVAL, "ram:size=1M,", "',' too many", "use ram:");
	refused(-EINVAL, "ram:size=1M,,block=512", "',' too many", "use ram:");
	refused(-EINVAL, "ram:,size=1M", "',' too many", "use ram:");
	refused(-EINVAL, "ram:size=[1M,2M]", "has a bracket", "use ram:");
	refused(-EINVAL, "ram:size=1M,name=", "has no value", "use ram:");
	refused(-EINVAL, "ram:size=1M,name=a/b", "letters, digits", "use ram:");
	refused(-EINVAL, "ram:size=1M,name=a,name=b", "'name=b' is there twice", "use ram:");
	refused(-EINVAL, "ram:size=1M,name=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
		"too long a name", "use ram:");
	refused(-EINVAL, "ram:size=1000", "size=1000", "multiple of the block size");
	refused(-EINVAL, "ram:size=0", "size=0", "multiple of the block size");
	refused(-EINVAL, "ram:size=-1M", "size=-1M is not a size", "use ram:");
	refused(-EINVAL, "ram:size=99999999T", "is too large", "use ram:");
	refused(-EINVAL, "ram:size=1M,block=100", "not within 512 to 65536", "use ram:");
	refused(-EINVAL, "ram:size=1M,block=1000", "not a power of two", "use ram:");
	refused(-EINVAL, "vfio-user", "socket is missing", "use vfio-user:/");
	refused(-EINVAL, "vfio-user:", "socket is missing", "use vfio-user:/");
	refused(-EINVAL, "vfio-user:/x,sise=1", "unknown key 'sise'", "timeout");
	refused(-EINVAL, "vfio-user:/x,timeout=0", "timeout=0 is not within", "use vfio-user:/");
	refused(-EINVAL, "vfio-user:/x ", "ends with a blank", "use vfio-user:/");
}

static void
test_missing_socket(void)
{
	struct plx_dev *dev;

	CHECK_EQ(plx_attach("vfio-user:/nonexistent/sock", &dev), -ENOENT);
	CHECK(plx_dev_next(NULL) == NULL);
}

static void
test_strings_accepted(void)
{
	struct plx_dev *dev = attach("fake:/a b=c/d,num=7,name=x-1_.y");
	uint32_t num;

	CHECK(strcmp(dev->addr, "/a b=c/d") == 0, "'%s'", dev->addr);
	CHECK(strcmp(plx_dev_name(dev), "x-1_.y") == 0);
	CHECK_EQ(plx_arg_u32(dev, "num", 0, 10, 3, &num), 0);
	CHECK_EQ(num, 7);
	CHECK(plx_arg_str(dev, "name") == NULL);
	CHECK(plx_dev_find("x-1_.y") == dev);
	CHECK_EQ(plx_detach(dev), 0);

	dev = attach("fake:0000:01:00.0");
	CHECK(strcmp(dev->addr, "0000:01:00.0") == 0, "'%s'", dev->addr);
	CHECK_EQ(plx_detach(dev), 0);
	dev = attach("fake");
	CHECK(strcmp(dev->addr, "") == 0, "'%s'", dev->addr);
	CHECK_EQ(dev->args->count, 0);
	CHECK_EQ(plx_detach(dev), 0);
}

static void
test_sizes(void)
{
	static const struct {
		const char *s;
		int rc;
		uint64_t v;
	} t[] = {
		{"0", 0, 0},
		{"4096", 0, 4096},
		{"4k", 0, 4096},
		{"4K", 0, 4096},
		{"4KiB", 0, 4096},
		{"4KB", 0, 4096},
		{"7B", 0, 7},
		{"1M", 0, 1 << 20},
		{"3Gi", 0, 3ull << 30},
		{"2T", 0, 2ull << 40},
		{"16777215T", 0, 16777215ull << 40},
		{"16777216T", -ERANGE, 0},
		{"18446744073709551615", 0, UINT64_MAX},
		{"18446744073709551616", -ERANGE, 0},
		{"", -EINVAL, 0},
		{"K", -EINVAL, 0},
		{"-1", -EINVAL, 0},
		{"+1", -EINVAL, 0},
		{" 1", -EINVAL, 0},
		{"1 ", -EINVAL, 0},
		{"1i", -EINVAL, 0},
		{"1KK", -EINVAL, 0},
		{"1Kx", -EINVAL, 0},
		{"0x10", -EINVAL, 0},
		{"1.5G", -EINVAL, 0},
	};
	unsigned int i;
	uint64_t v;
	int rc;

	for (i = 0; i < RTE_DIM(t); i++) {
		v = 0;
		rc = plx_parse_size(t[i].s, &v);
		CHECK(rc == t[i].rc && (rc != 0 || v == t[i].v), "'%s': %d, %" PRIu64, t[i].s, rc,
			v);
	}
}

static void
test_args(void)
{
	struct plx_dev *dev = attach("fake:num=12,flag=on,size=8K,text=abc");
	uint64_t size;
	uint32_t num;
	bool flag;

	CHECK_EQ(plx_arg_u32(dev, "num", 0, 11, 3, &num), -EINVAL);
	CHECK_EQ(plx_arg_u32(dev, "num", 13, 20, 3, &num), -EINVAL);
	CHECK_EQ(plx_arg_u32(dev, "num", 12, 12, 3, &num), 0);
	CHECK_EQ(plx_arg_u32(dev, "text", 0, 11, 3, &num), -EINVAL);
	CHECK_EQ(plx_arg_u32(dev, "none", 4, 11, 3, &num), 0);
	CHECK_EQ(num, 3);
	CHECK_EQ(plx_arg_bool(dev, "flag", false, &flag), 0);
	CHECK(flag);
	CHECK_EQ(plx_arg_bool(dev, "none", true, &flag), 0);
	CHECK(flag);
	CHECK_EQ(plx_arg_bool(dev, "num", false, &flag), -EINVAL);
	CHECK_EQ(plx_arg_size(dev, "size", 1, &size), 0);
	CHECK_EQ(size, 8192);
	CHECK(strcmp(plx_arg_str(dev, "text"), "abc") == 0);
	CHECK_EQ(plx_detach(dev), 0);
}

static void
test_names(void)
{
	struct plx_dev *a = attach("ram:size=1M"), *b = attach("ram:size=1M"), *c;

	CHECK(strcmp(plx_dev_name(a), "ram0") == 0);
	CHECK(strcmp(plx_dev_name(b), "ram1") == 0);
	CHECK_EQ(plx_attach("ram:size=1M,name=ram1", NULL), -EEXIST);
	CHECK_EQ(plx_detach(a), 0);
	c = attach("null:size=1M,name=ram0");
	a = attach("ram:size=1M");
	CHECK(strcmp(plx_dev_name(a), "ram2") == 0);
	CHECK(plx_dev_next(NULL) == b && plx_dev_next(b) == c && plx_dev_next(c) == a);
	CHECK(plx_dev_next(a) == NULL);
	CHECK_EQ(plx_detach_all(), 0);
	CHECK(plx_dev_next(NULL) == NULL && plx_blk_next(NULL) == NULL);
}

static void
test_polled(void)
{
	struct plx_dev *dev = NULL;
	int n = 0;

	memset(&fake, 0, sizeof(fake));
	fake.attach_polls = 5;
	CHECK_EQ(plx_attach_start("fake:", &dev), 0);
	CHECK_EQ(plx_attach_poll(dev), -EINPROGRESS);
	CHECK(plx_dev_find("fake0") == dev);
	for (; plx_attach_poll(dev) == -EINPROGRESS; n++)
		plx_ctrl_poll();
	CHECK_EQ(n, 5);
	CHECK_EQ(fake.attached, 1);
	plx_ctrl_poll();
	CHECK(fake.idle_polls != 0);
	fake.detach_polls = 3;
	fake.detach_rc = -EIO;
	CHECK_EQ(plx_detach_start(dev), 0);
	CHECK_EQ(plx_detach_start(dev), -EALREADY);
	CHECK_EQ(plx_detach_poll(dev), -EINPROGRESS);
	for (n = 0; plx_detach_poll(dev) == -EINPROGRESS && n < 10; n++)
		plx_ctrl_poll();
	CHECK_EQ(n, 3);
	CHECK_EQ(fake.attached, 0);
	CHECK(plx_dev_next(NULL) == NULL);

	/* a late failure leaves nothing */
	memset(&fake, 0, sizeof(fake));
	fake.attach_polls = 2;
	fake.attach_rc = -EACCES;
	CHECK_EQ(plx_attach("fake:", NULL), -EACCES);
	CHECK(plx_dev_next(NULL) == NULL);
	fake.attach_polls = 0;
	CHECK_EQ(plx_attach("fake:", NULL), -EACCES);
	CHECK(plx_dev_next(NULL) == NULL);

	/* detaching what is still attaching */
	memset(&fake, 0, sizeof(fake));
	fake.attach_polls = 3;
	CHECK_EQ(plx_attach_start("fake:", &dev), 0);
	CHECK_EQ(plx_detach(dev), 0);
	CHECK_EQ(fake.attached, 0);
	CHECK(plx_dev_next(NULL) == NULL);
}

/* What a driver attaches is its own: unlisted, and may have its name. */
static void
test_inner(void)
{
	struct plx_blk *blk;
	struct plx_dev *dev;

	memset(&fake, 0, sizeof(fake));
	fake.inner = true;
	dev = attach("fake:name=both");
	CHECK(plx_dev_next(NULL) == dev && plx_dev_next(dev) == NULL);
	CHECK_EQ(plx_blk_open("both", 0, &blk), 0);
	CHECK_EQ(plx_attach("ram:size=1M,name=both", NULL), -EEXIST);
	CHECK_EQ(plx_detach_all(), 0);
	CHECK(fake.inner_dev == NULL && plx_blk_next(NULL) == NULL);
}

/* Detaching an open, started device stops and closes it. */
static void
test_detach_started(void)
{
	struct plx_dev *dev = attach("ram:size=1M,name=r");
	struct plx_blk *blk;

	REQUIRE(plx_blk_open("r", 0, &blk) == 0);
	REQUIRE(plx_blk_configure(blk, 1) == 0);
	REQUIRE(plx_blkq_setup(blk, 0, NULL) == 0);
	REQUIRE(plx_blk_start(blk) == 0);
	CHECK_EQ(plx_detach(dev), 0);
	CHECK(plx_blk_next(NULL) == NULL);
}

static void
test_registry(void)
{
	static const struct plx_driver again = {.name = "ram"};
	const struct plx_driver *d;
	int n = 0;

	CHECK_EQ(plx_driver_register(&again), -EEXIST);
	for (d = plx_driver_next(NULL); d != NULL; d = plx_driver_next(d))
		n += d == &fake_driver;
	CHECK_EQ(n, 1);
}

int
main(int argc, char **argv)
{
	REQUIRE(plx_eal_init_app(argc, argv) >= 0);
	REQUIRE(plx_driver_register(&fake_driver) == 0);
	log_catch();
	RUN(test_strings_refused);
	RUN(test_missing_socket);
	RUN(test_strings_accepted);
	RUN(test_sizes);
	RUN(test_args);
	RUN(test_names);
	RUN(test_polled);
	RUN(test_inner);
	RUN(test_detach_started);
	RUN(test_registry);
	log_release();
	plx_eal_cleanup();
	return TEST_RESULT();
}
