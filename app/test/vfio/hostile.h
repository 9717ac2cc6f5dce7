/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef HOSTILE_H
#define HOSTILE_H
/**
 * @file
 * What tests with wrong servers share; each includes it once.
 */
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include <rte_common.h>
#include <rte_log.h>

#include "fake.h"
#include "plx_eal.h"
#include "plx_test.h"
#include "plx_vfio.h"

static struct fake f;
static struct plx_vfio_dev *dev;

/* What was logged since the last look. */
static FILE *log_file;
static char *log_text;
static size_t log_size;

static unsigned int
log_lines(void)
{
	unsigned int n = 0;
	size_t i;

	fflush(log_file);
	for (i = 0; i < log_size; i++)
		n += log_text[i] == '\n';
	fwrite(log_text, 1, log_size, stdout);
	rewind(log_file);
	return n;
}

static inline void
put16(struct fake_msg *m, size_t at, uint16_t v)
{
	memcpy(m->data + at, &v, sizeof(v));
}

static inline void
put32(struct fake_msg *m, size_t at, uint32_t v)
{
	memcpy(m->data + at, &v, sizeof(v));
}

static inline void
put64(struct fake_msg *m, size_t at, uint64_t v)
{
	memcpy(m->data + at, &v, sizeof(v));
}

/* Ways to bend a reply. */
/* clang-format off */
static inline void larger_size(struct fake_msg *m) { m->size++; m->body++; }
static inline void smaller_size(struct fake_msg *m) { m->size--; m->body--; }
static inline void other_id(struct fake_msg *m) { m->id++; }
static inline void other_command(struct fake_msg *m) { m->cmd++; }
static inline void error_with_body(struct fake_msg *m) { m->flags = 0x21; }
/* clang-format on */

/* The server stops at its nth request: it hangs, leaves, or leaves within a header or a body. */
enum stop { STOP_HANG, STOP_EOF, STOP_HEADER, STOP_BODY };
static enum stop stop_how;
static unsigned int stop_at;

static bool
stop_hook(struct fake *fk, const uint8_t *req, struct fake_msg *m)
{
	if (fk->served != stop_at)
		return false;
	if (stop_how == STOP_HANG) {
		fk->deaf = true;
		return true;
	}
	if (stop_how == STOP_HEADER)
		fake_send(fk, req, 9, fk->memfd, 1);
	if (stop_how == STOP_BODY) {
		m->body--;
		m->nfds = 1;
		m->fd = fk->memfd;
		fake_send_msg(fk, m);
	}
	close(fk->fd);
	fk->fd = -1;
	return true;
}

/* Log lines are counted from here on. @return open descriptors */
static unsigned int
hostile_begin(int argc, char **argv)
{
	REQUIRE(plx_eal_init_app(argc, argv) >= 0);
	log_file = open_memstream(&log_text, &log_size);
	rte_openlog_stream(log_file);
	return fake_open_fds();
}

static int
hostile_end(unsigned int fds)
{
	CHECK_EQ(fake_open_fds(), fds);
	rte_openlog_stream(NULL);
	fclose(log_file);
	free(log_text);
	plx_eal_cleanup();
	return TEST_RESULT();
}

#endif
