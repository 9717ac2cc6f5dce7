/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FAKE_H
#define FAKE_H
/**
 * @file
 * A vfio-user server for tests of the client, on one end of a socket pair, stepped between the
 * client's polls. It plays a script of bytes, or is an honest little device that a hook can turn
 * bad. It knows the protocol from the specification only: nothing here uses our structures.
 *
 * Every send of the client goes by: each must hand exactly one whole message to the kernel.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct plx_vfio_dev;

/* Commands, from the specification's table. */
enum {
	C_VERSION = 1,
	C_DMA_MAP = 2,
	C_DMA_UNMAP = 3,
	C_INFO = 4,
	C_REGION = 5,
	C_IRQ = 7,
	C_SET_IRQS = 8,
	C_READ = 9,
	C_WRITE = 10,
	C_DMA_READ = 11,
	C_DMA_WRITE = 12,
	C_RESET = 13,
};

#define FAKE_BAR0_SIZE 0x4000u
#define FAKE_MEM_SIZE 0x2000u /* of the file behind BAR 0's doorbells */

/** A reply or command that the server sends. */
struct fake_msg {
	uint16_t id, cmd;
	uint32_t size; /* as its header says */
	uint32_t flags, err;
	size_t body; /* bytes that follow the header */
	unsigned int nfds;
	int fd; /* sent nfds times */
	uint8_t data[66000];
};

struct fake {
	int fd, client_fd;
	int memfd;
	uint8_t *mem;
	const char *script; /* NULL: honest */
	int line;
	uint8_t *in;
	size_t in_len;
	int in_fds[300];
	unsigned int in_nfds;
	unsigned int served; /* requests seen */
	unsigned int by_cmd[32];
	unsigned int eventfds;             /* got by SET_IRQS */
	uint16_t command_reg;              /* of config space */
	unsigned int posts;                /* writes without reply */
	uint32_t post[FAKE_BAR0_SIZE / 4]; /* the last of each register */
	bool deaf;                         /* reads nothing */
	/**
	 * Sees each reply before it is sent, req with the request. Changes it; or returns true: it
	 * did all there is to do.
	 */
	bool (*hook)(struct fake *f, const uint8_t *req, struct fake_msg *m);
	const void *arg;
};

/** Make a pair of the server and a client that begins to open; timeout of each message. */
void fake_start(struct fake *f, uint32_t timeout_ms, struct plx_vfio_dev **dev);
/** Close both sides. */
void fake_stop(struct fake *f, struct plx_vfio_dev *dev);

/** Take what came and answer. */
void fake_step(struct fake *f);
/** Poll the client and step the server until the operation ends. rc: what began it. */
int fake_run(struct fake *f, struct plx_vfio_dev *dev, int rc);
/** fake_start() and fake_run() of the opening. */
int fake_open(struct fake *f, uint32_t timeout_ms, struct plx_vfio_dev **dev);
/** Some polls and steps, when no operation is under way. */
void fake_idle(struct fake *f, struct plx_vfio_dev *dev);

/**
 * Play lines; the rest of a script must be used up when it ends:
 *	> 0100 'text' 00	the client's next bytes; digits in hex, ?? any byte
 *	>2 ...			and that many descriptors came with them
 *	< ...			send them; <2 with two descriptors of the memory file
 *	x			close the connection
 */
void fake_script(struct fake *f, const char *script);
bool fake_script_done(const struct fake *f);

/** Send bytes as they are, with nfds times fd. */
void fake_send(struct fake *f, const void *buf, size_t len, int fd, unsigned int nfds);
void fake_send_msg(struct fake *f, const struct fake_msg *m);

/** How the client's socket behaves. */
extern struct fake_socket {
	size_t max_send;       /* bytes of one send, 0: all */
	unsigned int allow;    /* after that many sends, */
	unsigned int refuse;   /* that many come back with EAGAIN */
	unsigned int messages; /* sends that began a message */
	unsigned int wrong;    /* that held less or more than one */
} fake_socket;

/** @return open descriptors of this process */
unsigned int fake_open_fds(void);

#endif
