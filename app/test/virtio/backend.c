/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A vhost-user-blk back end on librte_vhost, for tests: backend SOCKET FILE [packed] [split]
 * [inflight] [small] [nofeature]. It keeps its data in a file, so that it can be killed and started
 * again; it holds requests back and completes them in any order. With inflight it notes in the
 * shared region what it has (QEMU's vhost-user specification, "Inflight I/O tracking").
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>

#include <rte_eal.h>
#include <rte_vhost.h>

#define QUEUES 4
#define HELD 64
#define PIECES 80
#define BIT(n) (1ull << (n))
#define AVAIL (1u << VRING_PACKED_DESC_F_AVAIL)
#define USED (1u << VRING_PACKED_DESC_F_USED)

struct task {
	uint16_t id, ndesc; /* split: the head; packed: the buffer id */
	uint16_t entry;     /* packed: in the inflight region */
	uint16_t n, nout;
	struct {
		uint8_t *va;
		uint32_t len;
	} piece[PIECES];
};

struct queue {
	struct rte_vhost_vring ring;
	struct rte_vhost_ring_inflight infl;
	uint16_t avail, used;
	bool avail_wrap, used_wrap;
	struct task held[HELD];
	unsigned int nheld;
};

static struct queue queues[QUEUES];
static unsigned int nqueues;
static int vid = -1;
static bool packed;
static bool inflight; /* offered, then: the front end wants it */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct rte_vhost_memory *mem;
static uint8_t *data;
static uint64_t size;

/* ---- chains ---- */

static uint8_t *
at(uint64_t gpa, uint64_t len)
{
	uint64_t n = len;
	uint8_t *va = (uint8_t *)(uintptr_t)rte_vhost_va_from_guest_pa(mem, gpa, &n);

	if (va == NULL || n != len) {
		fprintf(stderr, "backend: %#llx, %llu bytes: not in the table\n",
			(unsigned long long)gpa, (unsigned long long)len);
		exit(1);
	}
	return va;
}

static void
piece(struct task *t, uint64_t addr, uint32_t len, uint16_t flags)
{
	if (t->n == PIECES || (!(flags & VRING_DESC_F_WRITE) && t->n != t->nout))
		exit(1);
	t->piece[t->n].va = at(addr, len);
	t->piece[t->n++].len = len;
	if (!(flags & VRING_DESC_F_WRITE))
		t->nout++;
}

static void
indirect(struct task *t, uint64_t addr, uint32_t len)
{
	const struct vring_packed_desc *p = (const void *)at(addr, len);
	const struct vring_desc *s = (const void *)p;
	uint32_t i;

	for (i = 0; i < len / sizeof(*s); i++) {
		if (packed)
			piece(t, p[i].addr, p[i].len, p[i].flags);
		else
			piece(t, s[i].addr, s[i].len, s[i].flags);
	}
}

static void
fetch_split(struct queue *q, struct task *t, uint16_t head)
{
	const struct vring_desc *d;

	*t = (struct task){.id = head, .ndesc = 1};
	for (;; head = d->next) {
		d = &q->ring.desc[head];
		if (d->flags & VRING_DESC_F_INDIRECT)
			indirect(t, d->addr, d->len);
		else
			piece(t, d->addr, d->len, d->flags);
		if (!(d->flags & VRING_DESC_F_NEXT))
			return;
	}
}

static bool
next_split(struct queue *q, uint16_t i, struct task *t)
{
	struct vring_avail *a = q->ring.avail;

	if (__atomic_load_n(&a->idx, __ATOMIC_ACQUIRE) == q->avail)
		return false;
	fetch_split(q, t, a->ring[q->avail++ & (q->ring.size - 1)]);
	if (inflight && rte_vhost_set_inflight_desc_split(vid, i, t->id) != 0)
		exit(1);
	return true;
}

static bool
next_packed(struct queue *q, uint16_t i, struct task *t)
{
	uint16_t flags = __atomic_load_n(&q->ring.desc_packed[q->avail].flags, __ATOMIC_ACQUIRE);
	uint16_t first = q->avail, last;

	if (!!(flags & AVAIL) != q->avail_wrap || !!(flags & USED) == q->avail_wrap)
		return false;
	*t = (struct task){.id = 0};
	do {
		const struct vring_packed_desc *d = &q->ring.desc_packed[q->avail];

		flags = d->flags;
		t->id = d->id;
		t->ndesc++;
		if (flags & VRING_DESC_F_INDIRECT)
			indirect(t, d->addr, d->len);
		else
			piece(t, d->addr, d->len, flags);
		last = q->avail;
		if (++q->avail == q->ring.size) {
			q->avail = 0;
			q->avail_wrap = !q->avail_wrap;
		}
	} while (flags & VRING_DESC_F_NEXT);
	if (inflight && rte_vhost_set_inflight_desc_packed(vid, i, first, last, &t->entry) != 0)
		exit(1);
	return true;
}

/* What its predecessor had, from the region. */
static void
resume_packed(struct queue *q, struct task *t, uint16_t entry)
{
	const struct rte_vhost_inflight_info_packed *p = q->infl.inflight_packed;
	uint16_t i, e = entry;

	*t = (struct task){.id = p->desc[entry].id, .ndesc = p->desc[entry].num, .entry = entry};
	for (i = 0; i < t->ndesc; i++, e = p->desc[e].next) {
		t->id = p->desc[e].id;
		if (p->desc[e].flags & VRING_DESC_F_INDIRECT)
			indirect(t, p->desc[e].addr, p->desc[e].len);
		else
			piece(t, p->desc[e].addr, p->desc[e].len, p->desc[e].flags);
	}
}

/* ---- requests ---- */

static uint32_t
move(struct task *t, uint64_t off, bool in)
{
	uint32_t written = 0;
	uint16_t i, first = in ? t->nout : 1, end = in ? t->n - 1 : t->nout;

	for (i = first; i < end; i++) {
		if (off > size || t->piece[i].len > size - off)
			exit(1);
		if (in)
			memcpy(t->piece[i].va, data + off, t->piece[i].len);
		else
			memcpy(data + off, t->piece[i].va, t->piece[i].len);
		off += t->piece[i].len;
		written += in ? t->piece[i].len : 0;
	}
	return written;
}

/* @return bytes written to the driver */
static uint32_t
execute(struct task *t)
{
	const struct virtio_blk_outhdr *h = (const void *)t->piece[0].va;
	uint8_t *status = t->piece[t->n - 1].va + t->piece[t->n - 1].len - 1;
	uint32_t len = 0;

	if (t->nout == 0 || t->nout == t->n || t->piece[0].len != sizeof(*h))
		exit(1);
	*status = VIRTIO_BLK_S_OK;
	switch (h->type) {
	case VIRTIO_BLK_T_IN:
	case VIRTIO_BLK_T_OUT:
		len = move(t, h->sector * 512, h->type == VIRTIO_BLK_T_IN);
		break;
	case VIRTIO_BLK_T_FLUSH:
		break;
	case VIRTIO_BLK_T_GET_ID:
		memcpy(t->piece[1].va, "backend-of-the-tests", 20);
		len = 20;
		break;
	default:
		*status = VIRTIO_BLK_S_UNSUPP;
	}
	return len + 1;
}

static void
call(struct queue *q)
{
	if (q->ring.callfd >= 0)
		eventfd_write(q->ring.callfd, 1);
}

static void
give_split(struct queue *q, uint16_t i, struct task *t, uint32_t len)
{
	struct vring_used *used = q->ring.used;

	if (inflight)
		rte_vhost_set_last_inflight_io_split(vid, i, t->id);
	used->ring[q->used & (q->ring.size - 1)] = (struct vring_used_elem){t->id, len};
	q->used++;
	__atomic_store_n(&used->idx, q->used, __ATOMIC_RELEASE);
	if (inflight)
		rte_vhost_clr_inflight_desc_split(vid, i, q->used, t->id);
}

static void
give_packed(struct queue *q, uint16_t i, struct task *t, uint32_t len)
{
	struct vring_packed_desc *d = &q->ring.desc_packed[q->used];
	uint16_t flags = q->used_wrap ? AVAIL | USED : 0;

	if (inflight)
		rte_vhost_set_last_inflight_io_packed(vid, i, t->entry);
	d->id = t->id;
	d->len = len;
	__atomic_store_n(&d->flags, flags | VRING_DESC_F_WRITE, __ATOMIC_RELEASE);
	q->used = (uint16_t)(q->used + t->ndesc);
	if (q->used >= q->ring.size) {
		q->used = (uint16_t)(q->used - q->ring.size);
		q->used_wrap = !q->used_wrap;
	}
	if (inflight)
		rte_vhost_clr_inflight_desc_packed(vid, i, t->entry);
}

/* Complete some of what is held, not in order. */
static void
complete(struct queue *q, uint16_t i)
{
	unsigned int n = (unsigned int)rand() % (q->nheld + 1), k;
	uint32_t len;

	for (; n != 0; n--) {
		k = (unsigned int)rand() % q->nheld;
		len = execute(&q->held[k]);
		if (packed)
			give_packed(q, i, &q->held[k], len);
		else
			give_split(q, i, &q->held[k], len);
		q->held[k] = q->held[--q->nheld];
	}
	call(q);
}

static void
serve(struct queue *q, uint16_t i)
{
	while (q->nheld < HELD && (packed ? next_packed(q, i, &q->held[q->nheld])
					  : next_split(q, i, &q->held[q->nheld])))
		q->nheld++;
	if (q->nheld != 0)
		complete(q, i);
}

/* ---- the device ---- */

static void
begin(struct queue *q, uint16_t i)
{
	struct rte_vhost_resubmit_info *r;
	uint16_t n;

	memset(q, 0, sizeof(*q));
	rte_vhost_get_vhost_vring(vid, i, &q->ring);
	rte_vhost_get_vring_base(vid, i, &q->avail, &q->used);
	q->avail_wrap = q->used_wrap = true;
	if (packed) {
		q->avail_wrap = q->used_wrap = q->avail >> 15;
		q->avail &= 0x7fff;
		q->used = q->avail;
	}
	inflight = inflight && rte_vhost_get_vhost_ring_inflight(vid, i, &q->infl) == 0 &&
		   q->infl.inflight_split != NULL;
	if (!inflight)
		return;
	if (packed) {
		q->avail = q->used = q->infl.inflight_packed->old_used_idx;
		q->avail_wrap = q->used_wrap = q->infl.inflight_packed->old_used_wrap_counter;
	}
	r = q->infl.resubmit_inflight;
	for (n = r != NULL ? r->resubmit_num : 0; n-- != 0;) {
		struct task *t = &q->held[q->nheld++];

		if (!packed) {
			fetch_split(q, t, r->resubmit_list[n].index);
			continue;
		}
		/* the list has an entry for each chain's head */
		resume_packed(q, t, r->resubmit_list[n].index);
		q->avail = (uint16_t)(q->avail + t->ndesc);
		if (q->avail >= q->ring.size) {
			q->avail = (uint16_t)(q->avail - q->ring.size);
			q->avail_wrap = !q->avail_wrap;
		}
	}
}

static int
new_device(int v)
{
	uint64_t features = 0;
	uint16_t i;

	pthread_mutex_lock(&lock);
	vid = v;
	rte_vhost_get_negotiated_features(vid, &features);
	packed = (features & BIT(VIRTIO_F_RING_PACKED)) != 0;
	free(mem);
	mem = NULL;
	rte_vhost_get_mem_table(vid, &mem);
	nqueues = rte_vhost_get_vring_num(vid);
	nqueues = nqueues < QUEUES ? nqueues : QUEUES;
	for (i = 0; i < nqueues; i++)
		begin(&queues[i], i);
	pthread_mutex_unlock(&lock);
	return 0;
}

/* What is held is finished, then the rings rest. */
static void
destroy_device(int v)
{
	uint16_t i;

	pthread_mutex_lock(&lock);
	for (i = 0; i < nqueues && vid >= 0; i++) {
		while (queues[i].nheld != 0)
			complete(&queues[i], i);
		rte_vhost_set_vring_base(vid, i, queues[i].avail, queues[i].used);
	}
	nqueues = 0;
	vid = -1;
	pthread_mutex_unlock(&lock);
}

/* ---- a packed ring's notes ---- */

static uint64_t ring_at[QUEUES]; /* in the front end's addresses */

static const struct vring_packed_desc *
ring_of(int v, uint16_t i)
{
	const struct vring_packed_desc *ring = NULL;
	struct rte_vhost_memory *m = NULL;
	uint32_t r;

	if (rte_vhost_get_mem_table(v, &m) != 0)
		return NULL;
	for (r = 0; r < m->nregions; r++) {
		uint64_t off = ring_at[i] - m->regions[r].guest_user_addr;

		if (off < m->regions[r].size)
			ring = (const void *)(uintptr_t)(m->regions[r].host_user_addr + off);
	}
	free(m);
	return ring;
}

/* Is the descriptor as the driver made it available? */
static bool
available(uint16_t flags, bool wrap)
{
	return !!(flags & AVAIL) == wrap && !!(flags & USED) != wrap;
}

/*
 * When the ring starts again: had the predecessor given a buffer back that it did not note as given
 * yet? The flags in the ring tell. librte_vhost (22.11 and later) asks another word, takes the note
 * back, and has a request done that its driver got back long ago, under an id that is another one's
 * now. So this comes first and leaves it nothing to find out. Nor does it know of a buffer that was
 * about to be noted: its entry is still among the free ones.
 */
static void
settle(int v, uint16_t i)
{
	struct rte_vhost_ring_inflight infl = {0};
	const struct vring_packed_desc *ring;
	struct rte_vhost_inflight_info_packed *p;
	uint64_t features = 0;
	uint16_t e, n;

	rte_vhost_get_negotiated_features(v, &features);
	if (!(features & BIT(VIRTIO_F_RING_PACKED)) || i >= QUEUES ||
		rte_vhost_get_vhost_ring_inflight(v, i, &infl) != 0)
		return;
	p = infl.inflight_packed;
	ring = ring_of(v, i);
	if (p == NULL || ring == NULL || p->version == 0)
		return;
	if (p->used_idx == p->old_used_idx) {
		p->free_head = p->old_free_head;
		p->old_used_wrap_counter = p->used_wrap_counter;
	} else if (available(ring[p->old_used_idx].flags, p->old_used_wrap_counter)) {
		p->free_head = p->old_free_head;
		p->used_idx = p->old_used_idx;
		p->used_wrap_counter = p->old_used_wrap_counter;
	} else {
		p->old_free_head = p->free_head;
		p->old_used_idx = p->used_idx;
		p->old_used_wrap_counter = p->used_wrap_counter;
	}
	for (e = p->free_head, n = 0; e < p->desc_num && n < p->desc_num; e = p->desc[e].next, n++)
		p->desc[e].inflight = 0;
}

/* The beginning of librte_vhost's message. */
struct message {
	uint32_t request, flags, len;
	union {
		uint64_t u64;
		struct {
			uint32_t index, flags;
			uint64_t desc;
		} addr;
		struct {
			uint32_t offset, size, flags;
			uint8_t region[256];
		} config;
	};
} __attribute__((packed));

static enum rte_vhost_msg_result
before(int v, void *msg)
{
	struct message *m = msg;
	struct virtio_blk_config c = {
		.capacity = size / 512,
		.seg_max = 30,
		.blk_size = 512,
		.num_queues = QUEUES,
	};

	if (m->request == 9 && m->addr.index < QUEUES) /* SET_VRING_ADDR */
		ring_at[m->addr.index] = m->addr.desc;
	if (m->request == 12) /* SET_VRING_KICK: the ring starts */
		settle(v, m->u64 & 0xff);
	if (m->request == 17) { /* GET_QUEUE_NUM */
		m->u64 = QUEUES;
		m->len = sizeof(m->u64);
		return RTE_VHOST_MSG_RESULT_REPLY;
	}
	if (m->request != 24) /* GET_CONFIG */
		return RTE_VHOST_MSG_RESULT_NOT_HANDLED;
	memset(m->config.region, 0, sizeof(m->config.region));
	memcpy(m->config.region, &c, sizeof(c));
	return RTE_VHOST_MSG_RESULT_REPLY;
}

static const struct rte_vhost_user_extern_ops extern_ops = {.pre_msg_handle = before};

static int
new_connection(int v)
{
	return rte_vhost_extern_callback_register(v, &extern_ops, NULL);
}

static const struct rte_vhost_device_ops device_ops = {
	.new_device = new_device,
	.destroy_device = destroy_device,
	.new_connection = new_connection,
};

static int
listen_on(const char *path, uint64_t more)
{
	uint64_t features = BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_RING_F_INDIRECT_DESC) |
			    BIT(VHOST_USER_F_PROTOCOL_FEATURES) | BIT(VIRTIO_BLK_F_SEG_MAX) |
			    BIT(VIRTIO_BLK_F_BLK_SIZE) | BIT(VIRTIO_BLK_F_FLUSH) |
			    BIT(VIRTIO_BLK_F_MQ);
	uint64_t protocol = 0;

	if (rte_vhost_driver_register(path, 0) != 0 ||
		rte_vhost_driver_set_features(path, features | more) != 0 ||
		rte_vhost_driver_get_protocol_features(path, &protocol) != 0)
		return -1;
	protocol |= BIT(VHOST_USER_PROTOCOL_F_CONFIG);
	protocol &= ~BIT(VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD);
	if (inflight)
		protocol |= BIT(VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD);
	if (rte_vhost_driver_set_protocol_features(path, protocol) != 0 ||
		rte_vhost_driver_callback_register(path, &device_ops) != 0)
		return -1;
	return rte_vhost_driver_start(path);
}

/*
 * librte_vhost's thread looks for new sockets once a second, or when one that it knows stirs. So
 * that the real one is served as soon as it is there, another one is known before, and stirs.
 */
static int
nudge(const char *path)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
	return fd >= 0 ? connect(fd, (struct sockaddr *)&a, sizeof(a)) : -1;
}

static int
serve_on(const char *path, uint64_t features)
{
	static const struct rte_vhost_device_ops nothing;
	char other[100];
	int rc;

	snprintf(other, sizeof(other), "%s.nudge", path);
	unlink(path);
	unlink(other);
	if (rte_vhost_driver_register(other, 0) != 0 ||
		rte_vhost_driver_callback_register(other, &nothing) != 0 ||
		rte_vhost_driver_start(other) != 0)
		return -1;
	usleep(1100000);
	rc = listen_on(path, features) == 0 ? nudge(other) : -1;
	unlink(other);
	return rc;
}

static int
map_file(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) != 0)
		return -1;
	size = (uint64_t)st.st_size;
	data = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	return data == MAP_FAILED ? -1 : 0;
}

int
main(int argc, char **argv)
{
	char *eal[] = {argv[0], "--no-huge", "-m", "32", "--no-shconf", "--no-pci",
		"--no-telemetry", "--log-level=lib.vhost*:error", "--log-level=lib.eal:error",
		"--lcores", "0@0-1"};
	uint64_t features = 0;
	int i;

	if (argc < 3)
		return 2;
	for (i = 3; i < argc; i++) {
		inflight |= strcmp(argv[i], "inflight") == 0;
		features |= strcmp(argv[i], "packed") == 0 ? BIT(VIRTIO_F_RING_PACKED) : 0;
	}
	if (map_file(argv[2]) != 0 || rte_eal_init(sizeof(eal) / sizeof(eal[0]), eal) < 0)
		return 1;
	for (i = 3; i < argc; i++) {
		features |= strcmp(argv[i], "events") == 0 ? BIT(VIRTIO_RING_F_EVENT_IDX) : 0;
		if (strcmp(argv[i], "small") == 0)
			size /= 2;
	}
	if (serve_on(argv[1], features) != 0)
		return 1;
	for (;; usleep(20)) {
		pthread_mutex_lock(&lock);
		for (i = 0; i < (int)nqueues; i++)
			serve(&queues[i], (uint16_t)i);
		pthread_mutex_unlock(&lock);
	}
}
