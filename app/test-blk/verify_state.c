/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "testblk.h"

#define MAGIC "PLXVST1" /* with its 0 */
#define UNITS_AT 4096

static size_t
file_len(const struct tb_state_head *h)
{
	return UNITS_AT + h->units * sizeof(struct tb_gens);
}

static int
no_file(const char *path)
{
	tb_say("--verify-state %s: %s", path, strerror(errno));
	return TB_USAGE;
}

static int
other(const char *path, const char *what)
{
	tb_say("--verify-state %s: %s", path, what);
	return TB_USAGE;
}

static bool
is_ours(const struct tb_state_head *h, uint64_t len)
{
	return memcmp(h->magic, MAGIC, sizeof(h->magic)) == 0 && h->units <= len / 8 &&
	       len == file_len(h);
}

int
tb_state_peek(const char *path, struct tb_state_head *head)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	ssize_t n;

	if (fd < 0)
		return no_file(path);
	n = fstat(fd, &st) == 0 ? pread(fd, head, sizeof(*head), 0) : 0;
	close(fd);
	if (n != sizeof(*head) || !is_ours(head, (uint64_t)st.st_size))
		return other(path, "is not a file of verification state");
	return TB_OK;
}

/* ---- opening ---- */

/* A file is ours when it has the magic; one without was not used for an I/O yet. */
static void
begin(struct tb_state_head *h, const struct tb_state_head *mine)
{
	uint64_t nonce = 0;

	if (getrandom(&nonce, sizeof(nonce), 0) < 0)
		nonce = (uint64_t)getpid();
	*h = *mine;
	memset(h->magic, 0, sizeof(h->magic));
	h->seed ^= nonce;
	__atomic_thread_fence(__ATOMIC_RELEASE);
	memcpy(h->magic, MAGIC, sizeof(h->magic));
}

static int
check_head(const char *path, const struct tb_state_head *h, const struct tb_state_head *mine)
{
	if (memcmp(h->nguid, mine->nguid, sizeof(h->nguid)) != 0 || h->dev_nblk != mine->dev_nblk ||
		h->dev_block != mine->dev_block)
		return other(path, "is about another device, or this one has lost its data since");
	if (h->first == mine->first && h->nblk == mine->nblk && h->units == mine->units)
		return TB_OK;
	tb_say("--verify-state %s: goes with --bs %" PRIu32 " --offset %" PRIu64 " --size %" PRIu64,
		path, h->nblk * h->dev_block, h->first * h->dev_block,
		h->units * h->nblk * h->dev_block);
	return TB_USAGE;
}

static int
map(struct tb_state *s, const char *path, const struct tb_state_head *mine)
{
	size_t len = file_len(mine);
	struct tb_state_head old = {0};
	struct stat st;
	void *at;
	int rc;

	if (fstat(s->fd, &st) != 0 || pread(s->fd, &old, sizeof(old), 0) < 0)
		return no_file(path);
	/* one that was begun and not used yet has its length, and no magic */
	if (old.magic[0] != 0 ? !is_ours(&old, (uint64_t)st.st_size)
			      : st.st_size != 0 && (size_t)st.st_size != len)
		return other(path, "is not a file of verification state");
	if (old.magic[0] != 0) {
		rc = check_head(path, &old, mine);
		if (rc != TB_OK)
			return rc;
	} else if (ftruncate(s->fd, 0) != 0 || ftruncate(s->fd, (off_t)len) != 0 ||
		   (errno = posix_fallocate(s->fd, 0, (off_t)len)) != 0) {
		return no_file(path); /* a store in it must not find the disk full */
	}
	at = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, s->fd, 0);
	if (at == MAP_FAILED)
		return no_file(path);
	s->head = at;
	s->units = (void *)((uint8_t *)at + UNITS_AT);
	if (old.magic[0] == 0)
		begin(s->head, mine);
	return TB_OK;
}

static void
count(struct tb_state *s)
{
	for (uint64_t i = 0; i < s->head->units; i++) {
		const struct tb_gens *g = &s->units[i];

		++*(g->high == 0 ? &s->never : g->low == g->high ? &s->stable : &s->open);
	}
}

int
tb_state_open(struct tb_state **out, const char *path, const struct tb_state_head *mine)
{
	struct tb_state *s = calloc(1, sizeof(*s));
	int rc;

	*out = s;
	if (s == NULL) {
		tb_say("out of memory");
		return TB_FAIL;
	}
	s->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	if (s->fd < 0)
		return no_file(path);
	if (flock(s->fd, LOCK_EX | LOCK_NB) != 0)
		return other(path, "is in use by another process");
	rc = map(s, path, mine);
	if (rc == TB_OK)
		count(s);
	return rc;
}

void
tb_state_close(struct tb_state *s)
{
	if (s == NULL)
		return;
	if (s->head != NULL)
		munmap(s->head, file_len(s->head));
	if (s->fd >= 0)
		close(s->fd);
	free(s);
}

void
tb_state_sync(const struct tb_state *s)
{
	if (s->sync)
		msync(s->head, file_len(s->head), MS_SYNC);
}
