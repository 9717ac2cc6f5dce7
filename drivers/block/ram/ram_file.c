/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A file that keeps what is written, from attachment to attachment. Memory holds it all; the file
 * gets each write at once, or, with cache=1, as a disk with a volatile cache does it: some
 * blocks early, in no order, the others at a flush, or never when the process is killed before.
 *
 * A flush, and FUA, bring data through the kernel's cache as well. A block is written by one
 * pwrite(2) within a page, which a kill doesn't tear.
 */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <rte_common.h>
#include <rte_spinlock.h>

#include "plx_log.h"

#include "ram_priv.h"

PLX_LOG_USE(ram);

#define BLOCK_MAX 4096

struct ram_file {
	int fd;
	bool cache, lose_flush;
	uint32_t rng;
	rte_spinlock_t lock; /* a block goes to the file whole */
	uint64_t nwords;
	uint64_t dirty[]; /* a bit a block, with cache */
};

/* ---- writing; under the lock ---- */

static int
put(const struct ram *ram, uint64_t lba, uint64_t nblk)
{
	size_t bs = ram->blk.info.block_size, left = nblk * bs;
	off_t at = (off_t)(lba * bs);
	ssize_t n;

	for (; left != 0; left -= (size_t)n, at += n) {
		n = pwrite(ram->file->fd, ram->base + at, left, at);
		if (n < 0 && errno == EINTR)
			n = 0;
		if (n < 0)
			return errno == ENOSPC ? -ENOSPC : -EIO;
	}
	return 0;
}

static void
mark(struct ram_file *f, uint64_t lba, bool dirty)
{
	uint64_t bit = UINT64_C(1) << lba % 64;

	f->dirty[lba / 64] = dirty ? f->dirty[lba / 64] | bit : f->dirty[lba / 64] & ~bit;
}

/* One of four, at random. */
static bool
early(struct ram_file *f)
{
	f->rng = f->rng * 1664525 + 1013904223;
	return f->rng >> 30 == 0;
}

static int
wrote(struct ram *ram, uint64_t lba, uint32_t nblk, bool through)
{
	struct ram_file *f = ram->file;
	int rc = 0;

	if (!f->cache)
		return put(ram, lba, nblk);
	if (through)
		rc = put(ram, lba, nblk);
	for (; nblk != 0 && rc == 0; lba++, nblk--) {
		bool now = !through && early(f);

		if (now)
			rc = put(ram, lba, 1);
		mark(f, lba, !through && !now);
	}
	return rc;
}

static int
put_dirty(struct ram *ram)
{
	struct ram_file *f = ram->file;
	int rc = 0;

	for (uint64_t i = 0; i < f->nwords; i++)
		while (f->dirty[i] != 0 && rc == 0) {
			uint64_t lba = i * 64 + (uint64_t)__builtin_ctzll(f->dirty[i]);

			rc = put(ram, lba, 1);
			if (rc != 0)
				return rc;
			mark(f, lba, false);
		}
	return 0;
}

/* ---- commands ---- */

static int
sync_file(const struct ram_file *f)
{
	return fdatasync(f->fd) == 0 ? 0 : -EIO;
}

static int
flush(struct ram *ram)
{
	struct ram_file *f = ram->file;
	int rc;

	if (f->lose_flush)
		return 0;
	rte_spinlock_lock(&f->lock);
	rc = put_dirty(ram);
	rte_spinlock_unlock(&f->lock);
	return rc != 0 ? rc : sync_file(f);
}

int
ram_file_run(struct ram *ram, struct plx_blk_req *req)
{
	struct ram_file *f = ram->file;
	bool fua = (req->flags & PLX_IO_FUA) != 0 && !f->lose_flush;
	int rc;

	switch (req->op) {
	case PLX_OP_FLUSH:
		return flush(ram);
	case PLX_OP_READ:
	case PLX_OP_COMPARE:
	case PLX_OP_VERIFY:
		return ram_medium(ram, req, req->lba);
	default:
		rte_spinlock_lock(&f->lock);
		rc = ram_medium(ram, req, req->lba);
		if (rc == 0)
			rc = wrote(ram, req->lba, req->nblk, fua);
		rte_spinlock_unlock(&f->lock);
		return rc == 0 && fua ? sync_file(f) : rc;
	}
}

int
ram_file_wrote(struct ram *ram, uint64_t lba, uint32_t nblk)
{
	int rc;

	rte_spinlock_lock(&ram->file->lock);
	rc = wrote(ram, lba, nblk, false);
	rte_spinlock_unlock(&ram->file->lock);
	return rc;
}

/* ---- attach ---- */

/* The kernel's loop devices hold no lock. */
static bool
looped(const char *path, char *dev, size_t len)
{
	char *real = realpath(path, NULL), line[PATH_MAX];
	bool found = false;
	glob_t g = {0};
	FILE *f;

	if (real != NULL && glob("/sys/block/loop*/loop/backing_file", 0, NULL, &g) == 0)
		for (size_t i = 0; i < g.gl_pathc && !found; i++) {
			f = fopen(g.gl_pathv[i], "r");
			if (f != NULL && fgets(line, sizeof(line), f) != NULL) {
				line[strcspn(line, "\n")] = '\0';
				found = strcmp(line, real) == 0;
				snprintf(dev, len, "%.*s", 15,
					g.gl_pathv[i] + strlen("/sys/block/"));
				dev[strcspn(dev, "/")] = '\0';
			}
			if (f != NULL)
				fclose(f);
		}
	globfree(&g);
	free(real);
	return found;
}

/* Ours alone, of the device's size. */
static int
take(const struct ram *ram, const char *path, int fd)
{
	uint64_t size = ram->blk.info.nblocks * ram->blk.info.block_size;
	const char *name = ram->blk.info.name;
	char loop[16];
	struct stat st;

	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
		PLX_LOG(ERR, "ram: %s: %s is not a regular file", name, path);
		return -EINVAL;
	}
	if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
		PLX_LOG(ERR, "ram: %s: %s is in use by another process, which has locked it", name,
			path);
		return -EBUSY;
	}
	if (looped(path, loop, sizeof(loop))) {
		PLX_LOG(ERR, "ram: %s: %s is in use by the kernel: detach /dev/%s first", name,
			path, loop);
		return -EBUSY;
	}
	if (st.st_size != 0 && (uint64_t)st.st_size != size) {
		PLX_LOG(ERR, "ram: %s: %s has %lld bytes: say size=%lld, or give another file",
			name, path, (long long)st.st_size, (long long)st.st_size);
		return -EINVAL;
	}
	if (st.st_size == 0 && ftruncate(fd, (off_t)size) != 0) {
		PLX_LOG(ERR, "ram: %s: %s: %s", name, path, strerror(errno));
		return -EIO;
	}
	return 0;
}

/* Holes stay holes. */
static int
load(const struct ram *ram, int fd)
{
	off_t at = 0, end;
	ssize_t n;

	while ((at = lseek(fd, at, SEEK_DATA)) >= 0) {
		end = lseek(fd, at, SEEK_HOLE);
		for (; at < end; at += n) {
			n = pread(fd, ram->base + at, (size_t)(end - at), at);
			if (n <= 0)
				return -EIO;
		}
	}
	return errno == ENXIO ? 0 : -EIO;
}

/* The same for the same file, and another for one in its place. */
static void
identify(struct plx_blk_info *info, int fd)
{
	struct statx st;
	uint64_t id[2];

	if (statx(fd, "", AT_EMPTY_PATH, STATX_INO | STATX_BTIME, &st) != 0)
		return;
	id[0] = st.stx_ino ^ (uint64_t)st.stx_dev_major << 48 ^ (uint64_t)st.stx_dev_minor << 32;
	id[1] = (uint64_t)st.stx_btime.tv_sec << 32 | st.stx_btime.tv_nsec;
	memcpy(info->nguid, id, sizeof(info->nguid));
}

static int
open_file(struct ram *ram, const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644), rc;

	if (fd < 0) {
		rc = -errno;
		PLX_LOG(ERR, "ram: %s: %s: %s", ram->blk.info.name, path, strerror(errno));
		return rc;
	}
	rc = take(ram, path, fd);
	if (rc == 0 && (rc = load(ram, fd)) != 0)
		PLX_LOG(ERR, "ram: %s: %s can't be read", ram->blk.info.name, path);
	if (rc == 0)
		return fd;
	close(fd);
	return rc;
}

int
ram_file_attach(struct plx_dev *dev, struct ram *ram)
{
	struct plx_blk_info *info = &ram->blk.info;
	const char *path = plx_arg_str(dev, "file");
	uint64_t nwords = (info->nblocks + 63) / 64;
	bool cache, lose_flush;
	struct ram_file *f;
	int fd;

	if (plx_arg_bool(dev, "cache", false, &cache) != 0 ||
		plx_arg_bool(dev, "lose_flush", false, &lose_flush) != 0)
		return -EINVAL;
	if (path == NULL)
		return cache || lose_flush
			       ? plx_arg_bad(dev, cache ? "cache" : "lose_flush", "is for file=")
			       : 0;
	if (info->meta_size != 0 || info->zone_nblk != 0 || info->block_size > BLOCK_MAX)
		return plx_arg_bad(dev, "file",
			"is for blocks of up to 4096 bytes, without metadata and zones");
	fd = open_file(ram, path);
	if (fd < 0)
		return fd;
	f = calloc(1, sizeof(*f) + (cache ? nwords * sizeof(f->dirty[0]) : 0));
	if (f == NULL) {
		close(fd);
		return -ENOMEM;
	}
	f->fd = fd;
	f->cache = cache;
	f->lose_flush = lose_flush;
	f->nwords = cache ? nwords : 0;
	f->rng = (uint32_t)getpid();
	rte_spinlock_init(&f->lock);
	ram->file = f;
	identify(info, fd);
	info->caps &= ~(uint32_t)(PLX_BLK_CAP_VOLATILE | PLX_BLK_CAP_SOFTWARE);
	info->caps |= PLX_BLK_CAP_FLUSH;
	return 0;
}

/* An orderly end loses nothing. */
void
ram_file_free(struct ram *ram)
{
	struct ram_file *f = ram->file;

	if (f == NULL)
		return;
	if (flush(ram) != 0)
		PLX_LOG(ERR, "ram: %s: its file did not take all of the data", ram->blk.info.name);
	close(f->fd);
	free(f);
}
