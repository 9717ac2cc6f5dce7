/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FAKE_H
#define FAKE_H
/*
 * A small NVMe controller in a thread, served by vfio-user: it checks the host strictly, and
 * misbehaves as it is told. Change anything of a running one between fake_lock() and
 * fake_unlock().
 */
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include <nvme/types.h>

#include "nvme_spec.h"
#include "plx_vfu.h"

#define FAKE_QUEUES 8 /* the admin queue and 7 more */
#define FAKE_NS 2
#define FAKE_BLOCKS 8192u
#define FAKE_BLOCK 512u
#define FAKE_ZONE 1024u
#define FAKE_VECTORS 4
#define FAKE_CMB 0x10000u

/* What happens to an I/O command. */
enum fake_fault {
	FAKE_NONE,
	FAKE_STATUS, /* ends with fake.status, nothing is done */
	FAKE_SILENT, /* is never answered */
	FAKE_BAD_ID, /* done; before its completion comes one of an id that is not out */
	FAKE_TWICE,  /* done; its completion comes twice */
	FAKE_JUNK,   /* done; before its completion come random ones */
	FAKE_FATAL,  /* the controller fails */
};

/* What it does with Aborts. */
enum fake_abort { FAKE_ABORTS, FAKE_REFUSES, FAKE_IGNORES };

struct fake_queue {
	bool cq, sq, ien;
	uint16_t vector;
	uint64_t sq_iova, cq_iova;
	uint32_t sq_size, cq_size, head, cq_tail;
	uint16_t phase;
	uint8_t out[65536 / 8]; /* command ids outstanding */
};

struct fake {
	/* as it describes itself; set before fake_start() */
	uint64_t cap;
	uint32_t vs;
	uint32_t nr_queues; /* the answer to Number of Queues */
	struct nvme_id_ctrl id;
	struct nvme_id_ns ns[FAKE_NS];
	bool ns_there[FAKE_NS];
	bool post;              /* doorbells are not mapped */
	uint32_t cmbloc, cmbsz; /* Controller Memory Buffer: BAR 2 has FAKE_CMB bytes */
	bool zoned;             /* namespace 1 has zones of FAKE_ZONE blocks; cap has to say so */
	struct nvme_zns_id_ns zns;
	uint8_t report[4096]; /* what every report of zones is */
	uint64_t appended;    /* where every append went */

	/* misbehaviour */
	bool all_ones, never_ready, no_shutdown, never_stops;
	bool cured_by_flr; /* of these */
	bool fails_again;  /* as soon as it has an I/O queue */
	enum fake_abort abort;
	int silent_admin, failed_admin; /* opcodes, -1: none */
	uint16_t admin_status;
	enum fake_fault fault;
	unsigned int nr_faults; /* commands that it happens to */
	uint64_t fault_lba;     /* only to those from there on, UINT64_MAX: all */
	uint16_t status;
	bool mad_event_index;
	bool sleepy; /* with doorbell buffers: looks for commands when it is rung, and asks for no
			ring */

	/* what it saw */
	const char *broken; /* what the host did wrong */
	unsigned int nr_enabled, nr_io, nr_admin, nr_sgl, nr_events_read, nr_aborts, nr_flr;
	unsigned int nr_aborts_out;  /* ignored */
	unsigned int nr_lists, prio; /* of namespaces; of the last submission queue */
	unsigned int nr_cmb;         /* submission queues in the buffer */
	bool cmb_refuse;             /* its address */
	bool was_shut_down;
	uint16_t aer[16];
	unsigned int nr_aer;

	/* private */
	char dir[32], path[64];
	struct plx_vfu *vfu;
	struct plx_vfu_dma cache;
	pthread_t thread;
	pthread_mutex_t mutex;
	bool stop, started, failed;
	uint32_t cc, csts, aqa;
	uint64_t asq, acq, shadow, event, cmbmsc;
	struct fake_queue q[FAKE_QUEUES];
	uint32_t posted[2 * FAKE_QUEUES];
	uint8_t *disk[FAKE_NS];
	uint32_t seed;
	uint32_t tails[FAKE_QUEUES]; /* that it knows of, when sleepy */
};

/* A healthy controller with one namespace; in fake_cmd.c. */
void fake_init(struct fake *f);
void fake_start(struct fake *f);
/* Then f->broken says what the host did wrong: for the test to check. */
void fake_stop(struct fake *f);
void fake_lock(struct fake *f);
void fake_unlock(struct fake *f);
/* Complete an event request, as soon as there is one; between lock and unlock. @return there was */
bool fake_event(struct fake *f, uint32_t dw0);

/* fake_cmd.c: run a command. @return the status, or FAKE_NO_ANSWER */
#define FAKE_NO_ANSWER 0xffff
uint16_t fake_admin(struct fake *f, const struct nvme_sqe *s, uint64_t *result);
uint16_t fake_io(struct fake *f, const struct nvme_sqe *s);

/* fake.c, for fake_cmd.c */
void fake_broken(struct fake *f, const char *what);
void *fake_at(void *fake, uint64_t iova, uint64_t len);
void fake_zero_doorbells(struct fake *f, uint32_t qid);
uint32_t fake_page(const struct fake *f);
/* End a command that was never answered as aborted. @return there was one */
bool fake_give_back(struct fake *f, unsigned int qid, uint16_t cid);

#endif
