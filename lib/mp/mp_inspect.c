/* SPDX-License-Identifier: BSD-3-Clause */
/* Looking at a primary process from any other. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "eal_priv.h"
#include "plx_log.h"

#include "mp_priv.h"

PLX_LOG_USE(mp);

/* @return 0; -ENOENT no such thing; -errno */
static int
look(int fd, uint32_t dev, uint32_t queue, struct mp_packet *p, uint32_t want)
{
	struct mp_head h = {.type = MP_LOOK, .len = sizeof(struct mp_look)};
	struct mp_look l = {.dev = dev, .queue = queue};
	int rc = mp_send(fd, &h, &l, NULL, 0);

	if (rc == 0)
		rc = mp_recv_wait(fd, p, mp_now_ms() + MP_WAIT_MS);
	if (rc < 0)
		return rc;
	mp_close_fds(&p->m);
	if (p->h.type != MP_VIEW || (p->h.rc == 0 && p->h.len != want))
		return -EPROTO;
	return p->h.rc;
}

static int
queues(int fd, uint32_t dev, plx_mp_inspect_t fn, void *arg, struct mp_packet *p)
{
	int rc = 0;

	for (uint32_t i = 0; rc == 0; i++) {
		rc = look(fd, dev, i, p, sizeof(struct plx_mp_queue));
		if (rc == 0)
			rc = fn(NULL, (const struct plx_mp_queue *)p->m.data, arg);
	}
	return rc == -ENOENT ? 0 : rc;
}

static int
inspect(int fd, plx_mp_inspect_t fn, void *arg, struct mp_packet *p)
{
	int rc = 0;

	for (uint32_t dev = 0; rc == 0; dev++) {
		rc = look(fd, dev, UINT32_MAX, p, sizeof(struct plx_mp_dev));
		if (rc == 0)
			rc = fn((const struct plx_mp_dev *)p->m.data, NULL, arg);
		if (rc == 0)
			rc = queues(fd, dev, fn, arg, p);
	}
	return rc == -ENOENT ? 0 : rc;
}

int
plx_mp_inspect(const char *prefix, plx_mp_inspect_t fn, void *arg)
{
	char dir[PATH_MAX];
	struct mp_packet *p;
	int fd, rc;

	if (eal_runtime_path(prefix, "", dir, sizeof(dir)) != 0 || !eal_primary_alive(prefix)) {
		PLX_LOG(ERR, "mp: no primary process runs with --file-prefix=%s", prefix);
		return -ESRCH;
	}
	fd = mp_connect(dir, prefix);
	if (fd < 0)
		return fd;
	p = malloc(sizeof(*p));
	rc = p != NULL ? inspect(fd, fn, arg, p) : -ENOMEM;
	free(p);
	close(fd);
	if (rc == -ETIMEDOUT || rc == -ENODEV || rc == -EPROTO)
		PLX_LOG(ERR, "mp: the primary process of --file-prefix=%s: %s", prefix,
			strerror(-rc));
	return rc;
}
