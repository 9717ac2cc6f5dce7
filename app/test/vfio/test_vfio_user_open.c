/* SPDX-License-Identifier: BSD-3-Clause */
/* Opening by path: what isn't there, isn't a server, or is busy. */
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "plx_eal.h"
#include "plx_test.h"
#include "plx_vfio.h"

static char dir[] = "/tmp/plx-vfio-XXXXXX";
static char path[256];

static const char *
in_dir(const char *name)
{
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static int
bound(const char *name, int type)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

	snprintf(a.sun_path, sizeof(a.sun_path), "%s/%s", dir, name);
	REQUIRE(fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof(a)) == 0);
	return fd;
}

static int
open_path(const char *p, uint32_t timeout_ms, struct plx_vfio_dev **dev)
{
	*dev = NULL;
	return plx_vfio_user_open(p, &(struct plx_vfio_user_conf){.timeout_ms = timeout_ms}, dev);
}

static int
finish(struct plx_vfio_dev *dev)
{
	int rc;

	do
		rc = plx_vfio_poll(dev);
	while (rc == -EINPROGRESS);
	plx_vfio_close(dev);
	return rc;
}

static void
not_there(void)
{
	struct plx_vfio_dev *dev;
	char name[120];
	int fd;

	CHECK_EQ(open_path(in_dir("none"), 0, &dev), -ENOENT);
	CHECK_EQ(open_path(in_dir("none/none"), 0, &dev), -ENOENT);
	CHECK_EQ(open_path("", 0, &dev), -ENOENT);
	CHECK_EQ(open_path(dir, 0, &dev), -ENOENT); /* no cntrl in it */
	fd = open(in_dir("file"), O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	CHECK_EQ(open_path(in_dir("file"), 0, &dev), -ENOTSOCK);
	CHECK_EQ(open_path(in_dir("file/x"), 0, &dev), -ENOTDIR);
	close(fd);
	fd = bound("left", SOCK_STREAM);
	close(fd);
	CHECK_EQ(open_path(in_dir("left"), 0, &dev), -ECONNREFUSED);
	fd = bound("dgram", SOCK_DGRAM);
	CHECK_EQ(open_path(in_dir("dgram"), 0, &dev), -EPROTOTYPE);
	close(fd);
	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	CHECK_EQ(mkdir(in_dir(name), 0700), 0);
	CHECK_EQ(open_path(in_dir(name), 0, &dev), -ENAMETOOLONG);
	CHECK(dev == NULL);
}

static void
no_permission(void)
{
	struct plx_vfio_dev *dev;
	int fd = bound("shut", SOCK_STREAM);

	CHECK_EQ(listen(fd, 1), 0);
	CHECK_EQ(chmod(in_dir("shut"), 0), 0);
	if (geteuid() != 0)
		CHECK_EQ(open_path(in_dir("shut"), 0, &dev), -EACCES);
	close(fd);
}

/* Nobody accepts: first our message gets no answer, then the backlog is full. */
static void
busy(void)
{
	int fd = bound("cntrl", SOCK_STREAM), others[64], n, i;
	struct plx_vfio_dev *dev;
	struct sockaddr_un a = {.sun_family = AF_UNIX};

	CHECK_EQ(listen(fd, 0), 0);
	CHECK_EQ(open_path(dir, 150, &dev), 0);
	CHECK(strstr(dev->name, "/cntrl") != NULL);
	CHECK_EQ(plx_vfio_reset(dev), -EBUSY);
	CHECK_EQ(finish(dev), -ETIMEDOUT);
	snprintf(a.sun_path, sizeof(a.sun_path), "%s/cntrl", dir);
	for (n = 0; n < 64; n++) {
		others[n] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		if (connect(others[n], (struct sockaddr *)&a, sizeof(a)) != 0)
			break;
	}
	CHECK_EQ(errno, EAGAIN);
	CHECK_EQ(open_path(dir, 150, &dev), 0);
	CHECK_EQ(finish(dev), -ETIMEDOUT);
	for (i = 0; i <= n && i < 64; i++)
		close(others[i]);
	close(fd);
}

/* Servers of something else: one that talks first, one that gives back what it gets. */
static void
no_vfio_user(void)
{
	static const char hello[] = "220 mail.example.org ESMTP\r\n";
	int fd = bound("other", SOCK_STREAM), s, i, rc;
	struct plx_vfio_dev *dev;
	char buf[256];
	ssize_t n;

	CHECK_EQ(listen(fd, 1), 0);
	for (i = 0; i < 2; i++) {
		CHECK_EQ(open_path(in_dir("other"), 2000, &dev), 0);
		s = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
		if (i == 0)
			CHECK(send(s, hello, sizeof(hello) - 1, 0) > 0);
		rc = -EINPROGRESS;
		while (rc == -EINPROGRESS) {
			rc = plx_vfio_poll(dev);
			n = recv(s, buf, sizeof(buf), MSG_DONTWAIT);
			if (i == 1 && n > 0)
				CHECK_EQ(send(s, buf, (size_t)n, MSG_NOSIGNAL), n);
		}
		CHECK_EQ(rc, -EPROTO);
		plx_vfio_close(dev);
		close(s);
	}
	close(fd);
}

int
main(int argc, char **argv)
{
	char cmd[300];

	REQUIRE(plx_eal_init_app(argc, argv) >= 0);
	REQUIRE(mkdtemp(dir) != NULL);
	RUN(not_there);
	RUN(no_permission);
	RUN(busy);
	RUN(no_vfio_user);
	plx_vfio_close(NULL);
	snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	CHECK_EQ(system(cmd), 0);
	plx_eal_cleanup();
	return TEST_RESULT();
}
