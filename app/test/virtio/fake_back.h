/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FAKE_BACK_H
#define FAKE_BACK_H
/* A vhost-user-blk back end in a thread, which does what it is told to, wrong too. */
#include <pthread.h>

#include "../virtq/vq_device.h"
#include "vblk_spec.h"
#include "vhost_user_spec.h"

#define BIT(n) (1ull << (n))
#define SECTORS 4096
#define FORGOTTEN 800 /* a sector */
#define FAKE_MSG 600  /* bytes of the longest message */

enum evil {
	HONEST,
	/* in the protocol */
	CLOSES,      /* at the first message */
	SILENT,      /* never answers */
	BABBLES,     /* answers with noise */
	OTHER_REPLY, /* to another request */
	HUGE_REPLY,  /* says that it has 4 GiB */
	LEGACY,      /* no VERSION_1 */
	NO_CONFIG,   /* no block device */
	EMPTY,       /* of size 0 */
	REFUSES,     /* the memory */
	/* on the ring, once */
	BAD_ID,
	TWICE,
	TOO_LONG,
	JUMPS,
	NO_STATUS,
	FORGETS, /* a request */
	/* the requests of a block, each time */
	FORGETS_BLOCK,
	/* the configuration */
	GROWS,
};

struct fake_back {
	enum evil evil;
	bool packed;
	/* may be changed between fake_begin() and fake_attach() */
	uint64_t sectors, features;
	struct vblk_config cfg; /* beyond size and seg_max */
	/* a request. @return its status; *written: bytes before it. NULL: reads give 0x5a */
	uint8_t (*execute)(const struct vqd_chain *c, uint32_t *written);

	/* for fuzzing: an answer before it is sent, at most FAKE_MSG bytes, 0: none; and instead of
	 * execute, a chain to keep or give back */
	void (*bend)(uint8_t *msg, size_t *len, int *fd);
	void (*serve)(const struct vqd_chain *c);
	uint64_t protocol; /* more features of the protocol */

	char path[108];
	int listener, fd, backend, call, inflight;
	pthread_t thread;
	bool stop;
	bool running, fired; /* the ring; the wrong was done */
	unsigned int forgot; /* on this connection */
	bool let_be; /* asked to stop its ring with such requests, which it may still be at */
	struct vqd q;
	unsigned int done;
};

/* There is one at a time. */
extern struct fake_back back;

void fake_begin(enum evil evil, bool packed);
void fake_end(void);
/* The same without a thread: fake_step() does what there is to do. */
void fake_open(enum evil evil, bool packed);
void fake_step(void);
void fake_close(void);
/* Attach it as "v". @return of plx_attach() */
int fake_attach(const char *keys);

#endif
