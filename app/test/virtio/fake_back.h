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

	char path[108];
	int listener, fd, backend, call;
	pthread_t thread;
	bool stop;
	bool running, fired; /* the ring; the wrong was done */
	struct vqd q;
	unsigned int done;
};

/* There is one at a time. */
extern struct fake_back back;

void fake_begin(enum evil evil, bool packed);
void fake_end(void);
/* Attach it as "v". @return of plx_attach() */
int fake_attach(const char *keys);

#endif
