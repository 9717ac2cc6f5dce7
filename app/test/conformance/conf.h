/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CONF_H
#define CONF_H
/*
 * The conformance suite: what every block device must do. A check ends with fail() at the first
 * thing that is wrong, which jumps back to conf_run().
 */
#include <setjmp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "plx_blk.h"
#include "plx_probe.h"

#define CONF_SEGS 40
#define CONF_SLOTS 320   /* requests in flight at most */
#define CONF_ARENA 65536 /* bytes of each memory of a slot, gaps included */
#define CONF_QUEUES 4
#define CONF_STATUS 0x5a5a5a5a /* what status says before a request is given back */

struct conf;

/* A request with its memory. Slots are never freed: a broken device may hold on to them. */
struct io {
	struct plx_blk_req req, sent; /* as it is, as it was submitted */
	struct plx_seg segs[CONF_SEGS], sent_segs[CONF_SEGS];
	uint8_t *mem[2];   /* DMA-able; malloc'ed */
	uint8_t *image[2]; /* what mem should hold afterwards */
	size_t mem_size, used[2];
	uint32_t bytes;
	uint64_t gen;
	int qid;
	bool lent;
};

struct conf_opts {
	const char *str; /* the device */
	bool nodata;
	bool no_races;  /* data and protection information of writes that race may get mixed */
	double seconds; /* of each random check */
	uint64_t seed;
	unsigned int patience_ms; /* how long a request may take */
	bool quiet;
	const struct conf_fault *zfault; /* to plant in a zoned device */
};

struct conf {
	struct conf_opts opts;
	struct plx_dev *dev;
	struct plx_blk *blk;
	struct plx_blk_info info;
	struct plx_blkq *q[CONF_QUEUES];
	uint16_t nq, depth;
	const char *check; /* by name */
	jmp_buf failed;
	char why[512];
	uint64_t rng;

	struct io *slots;
	bool small; /* many requests of up to 16 KiB, in one piece */
	uint32_t in_flight;
	uint64_t accepted, back, errors; /* since the queues were set up */

	/* the reference: what the first blocks of the device hold */
	uint32_t nblk;
	uint8_t *shadow;
	uint8_t *known; /* a byte a block: 0 after a discard, or a write that was cancelled */
};

void fail(struct conf *c, const char *fmt, ...) __attribute__((format(printf, 2, 3), noreturn));
#define EXPECT(c, cond, ...)                  \
	do {                                  \
		if (!(cond))                  \
			fail(c, __VA_ARGS__); \
	} while (0)

/* conf_io.c */
uint32_t rnd(struct conf *c, uint32_t n);
void io_pool_init(struct conf *c);
/* A free slot, with an operation and no data yet. */
struct io *io_new(struct conf *c, uint8_t op, uint64_t lba, uint32_t nblk);
/* How its data lies. */
enum io_shape {
	IO_PLAIN,   /* one piece, page-aligned */
	IO_ODD,     /* one piece, any address */
	IO_FOREIGN, /* one piece that devices don't reach */
	IO_PIECES,  /* up to 40 pieces of any length, anywhere */
	IO_MBUFS,   /* 2 KiB pieces as in mbufs */
	IO_PAGES,   /* 4 KiB pieces, page-aligned */
	IO_SHAPES
};
void io_data(struct conf *c, struct io *io, enum io_shape shape);
/* Fill the data of a write or compare; NULL: random. */
void io_fill(struct conf *c, struct io *io, const uint8_t *data);
/* Copy the data out. */
void io_gather(const struct io *io, uint8_t *data);
/* Submit one. @return whether there was room */
bool io_submit(struct conf *c, int qid, struct io *io);
/* Poll a queue once. done[i] are free slots afterwards. */
unsigned int io_poll(struct conf *c, int qid, struct io **done, unsigned int max);
/* Submit, wait, and return the status. The queue is empty before and after. */
int io_run(struct conf *c, int qid, struct io *io);
/* Wait for all that is in flight; each goes to fn (may be NULL). */
typedef void (*io_fn)(struct conf *c, struct io *io);
void io_drain(struct conf *c, io_fn fn);

/* conf_dev.c */
void dev_attach(struct conf *c);
void dev_detach(struct conf *c);
void dev_start(struct conf *c, uint16_t nq, uint16_t depth);
void dev_stop(struct conf *c);
void dev_abandon(struct conf *c);
/* Counters add up while nothing is in flight. */
void dev_check_stats(struct conf *c);
/* Drive control work, seldom enough to cost nothing. */
void dev_idle(struct conf *c, unsigned int turn);

/* conf_model.c */
void model_init(struct conf *c);
void model_submitted(struct conf *c, const struct io *io);
void model_done(struct conf *c, struct io *io); /* checks what it can */
void model_verify(struct conf *c);              /* reads all back */
/* Write random data to all of it. */
void model_write_all(struct conf *c);

/* conf_copy.c: a copy to lba, and its ranges, one after the other */
struct io *copy_new(struct conf *c, uint64_t lba, uint16_t nseg);
void copy_range(struct io *io, uint64_t lba, uint32_t nblk);

struct conf_check {
	const char *name;
	void (*run)(struct conf *c);
	bool zoned; /* for zoned devices, too, or only */
};
extern const struct conf_check conf_checks_basic[], conf_checks_ops[], conf_checks_queue[],
	conf_checks_random[], conf_checks_threads[], conf_checks_meta[], conf_checks_zone[],
	conf_checks_copy[];

/* conf_run.c: @return the name of the check that failed, NULL: none */
const char *conf_run(struct conf *c, const struct conf_opts *opts);

/* conf_faulty.c: the driver "faulty" */
struct conf_fault {
	const char *name;
	const char *checks; /* those which may find it */
};
extern const struct conf_fault conf_faults[];
int conf_faulty_register(void);

/* conf_zfaults.c: a good zoned device becomes a faulty one */
extern const struct conf_fault conf_zfaults[];
void conf_zfault_plant(struct plx_blk *blk, const struct conf_fault *fault);

#endif
