/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * soft-nvme: the driver and a real controller, with data checked while queues are polled by two
 * threads, and the device is reset, stopped and started under them.
 */
#include <pthread.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <nvme/types.h>

#include "host.h"

#define BLOCK 512u
#define AREA 64u     /* blocks of a slot */
#define SLOTS 16u    /* requests in flight of a worker */
#define MAX_NBLK 40u /* a list of PRPs */
#define SLACK 4096u

static struct host h;
static struct host_use before;

/* ---- workers: each block holds its last generation ---- */

struct slot {
	struct plx_blk_req req;
	uint32_t gen[AREA], next; /* of each block on the device; of the write under way */
	uint64_t base;
	uint8_t *mem;
	bool busy;
};
struct worker {
	pthread_t thread;
	struct plx_blkq *q;
	struct slot slots[SLOTS];
	unsigned int seed, writes, reads, refused, wrong, errors;
	bool *stop;
};

static uint64_t
word(uint64_t lba, uint32_t gen, unsigned int i)
{
	return gen == 0 ? 0 : (lba << 32 | gen) * 0x9e3779b97f4a7c15ull + i;
}

static unsigned int
rnd(struct worker *w, unsigned int n)
{
	return (unsigned int)rand_r(&w->seed) % n;
}

static void
aim(struct worker *w, struct slot *s)
{
	uint32_t n = 1 + rnd(w, MAX_NBLK), off = rnd(w, AREA - n + 1), b, i;
	uint64_t *p = (uint64_t *)(s->mem + 8 * rnd(w, SLACK / 8));

	s->req = (struct plx_blk_req){.op = rnd(w, 2) ? PLX_OP_WRITE : PLX_OP_READ,
		.lba = s->base + off,
		.nblk = n,
		.buf = p,
		.user = s};
	if (s->req.op != PLX_OP_WRITE)
		return;
	s->next++;
	for (b = 0; b < n; b++)
		for (i = 0; i < BLOCK / 8; i++)
			*p++ = word(s->base + off + b, s->next, i);
}

static void
judge(struct worker *w, struct slot *s)
{
	uint32_t off = (uint32_t)(s->req.lba - s->base), b, i;
	const uint64_t *p = s->req.buf;

	if (s->req.status == -ESHUTDOWN) {
		w->refused++;
		return;
	}
	if (s->req.status != 0) {
		w->errors++;
		return;
	}
	if (s->req.op == PLX_OP_WRITE) {
		w->writes++;
		for (b = 0; b < s->req.nblk; b++)
			s->gen[off + b] = s->next;
		return;
	}
	w->reads++;
	for (b = 0; b < s->req.nblk; b++)
		for (i = 0; i < BLOCK / 8; i++)
			w->wrong += *p++ != word(s->req.lba + b, s->gen[off + b], i);
}

static unsigned int
send_all(struct worker *w)
{
	struct plx_blk_req *p[SLOTS];
	unsigned int i, n = 0, k;

	for (i = 0; i < SLOTS; i++) {
		if (w->slots[i].busy)
			continue;
		aim(w, &w->slots[i]);
		p[n++] = &w->slots[i].req;
	}
	k = plx_blkq_submit(w->q, p, (uint16_t)n);
	for (i = 0; i < k; i++)
		((struct slot *)p[i]->user)->busy = true;
	return k;
}

static unsigned int
take_back(struct worker *w)
{
	struct plx_blk_req *got[SLOTS];
	unsigned int i, n = plx_blkq_poll(w->q, got, SLOTS);

	for (i = 0; i < n; i++) {
		struct slot *s = got[i]->user;

		w->wrong += !s->busy; /* twice */
		s->busy = false;
		judge(w, s);
	}
	return n;
}

static void *
work(void *arg)
{
	struct worker *w = arg;
	unsigned int inflight = 0;
	double until;

	while (!__atomic_load_n(w->stop, __ATOMIC_RELAXED)) {
		inflight += send_all(w);
		inflight -= take_back(w);
	}
	for (until = host_now() + 10; inflight != 0 && host_now() < until;)
		inflight -= take_back(w);
	w->wrong += inflight; /* lost */
	return NULL;
}

static struct worker workers[2];

static void
start_workers(struct host *host, unsigned int n, bool *stop)
{
	unsigned int i, k;

	*stop = false;
	for (i = 0; i < n; i++) {
		struct worker *w = &workers[i];
		uint8_t *mem = plx_mem_alloc(SLOTS * (MAX_NBLK * BLOCK + SLACK), 4096, -1);

		memset(w, 0, sizeof(*w));
		REQUIRE(mem != NULL);
		w->q = plx_blk_queue_get(host->blk, (uint16_t)i);
		w->seed = i + 1;
		w->stop = stop;
		for (k = 0; k < SLOTS; k++) {
			w->slots[k].mem = mem + k * (MAX_NBLK * BLOCK + SLACK);
			w->slots[k].base = (i * SLOTS + k) * AREA;
		}
		REQUIRE(pthread_create(&w->thread, NULL, work, w) == 0);
	}
}

static void
end_workers(unsigned int n, bool *stop, bool may_refuse)
{
	unsigned int i;

	__atomic_store_n(stop, true, __ATOMIC_RELAXED);
	for (i = 0; i < n; i++) {
		struct worker *w = &workers[i];

		REQUIRE(pthread_join(w->thread, NULL) == 0);
		CHECK(w->writes > 20 && w->reads > 20, "%u %u", w->writes, w->reads);
		CHECK_EQ(w->wrong, 0);
		CHECK_EQ(w->errors, 0);
		CHECK(w->refused == 0 || may_refuse);
		plx_mem_free(w->slots[0].mem);
	}
}

/* ---- tests ---- */

static void
begin(const char *str, uint16_t queues)
{
	before = host_use();
	REQUIRE(host_attach(&h, str) == 0);
	host_set_up(&h, "sn", queues, HOST_DEPTH);
	REQUIRE(plx_blk_start(h.blk) == 0);
}

static void
end(void)
{
	CHECK_EQ(host_close(&h), 0);
	host_unused(&before);
}

static void
two_queues(void)
{
	double until = host_now() + 1.5;
	bool stop;

	begin("soft-nvme:size=8M,name=sn", 2);
	start_workers(&h, 2, &stop);
	while (host_now() < until) {
		plx_ctrl_poll();
		usleep(1000);
	}
	end_workers(2, &stop, false);
	end();
}

static void
reset_under_load(void)
{
	unsigned int i;
	bool stop;

	begin("soft-nvme:size=8M,name=sn", 2);
	start_workers(&h, 2, &stop);
	for (i = 0; i < 25; i++) {
		usleep(50000);
		CHECK_EQ(plx_blk_reset(h.blk), 0);
	}
	usleep(50000);
	end_workers(2, &stop, false);
	end();
}

static void
stop_under_load(void)
{
	unsigned int i;
	bool stop;

	begin("soft-nvme:size=8M,name=sn", 2);
	start_workers(&h, 2, &stop);
	for (i = 0; i < 20; i++) {
		usleep(30000);
		CHECK_EQ(plx_blk_stop(h.blk), 0);
		CHECK_EQ(plx_blk_start(h.blk), 0);
	}
	usleep(50000);
	end_workers(2, &stop, true);
	end();
}

static void
strings(void)
{
	static const char *const wrong[] = {"soft-nvme:", "soft-nvme:size=1M,backend=x",
		"soft-nvme:size=0", "soft-nvme:size=12", "soft-nvme:size=1M,medium=tape",
		"soft-nvme:size=1M,block=100", "soft-nvme:size=1M,nonsense=1",
		"soft-nvme:backend=nobody", "soft-nvme:size=1M,dbbuf=maybe",
		"soft-nvme:size=1M,queues=0", "soft-nvme:size=1M,name=r0",
		"soft-nvme:/tmp/x,size=1M"};
	struct plx_dev *dev = NULL, *ram = NULL;
	struct host_use use;
	unsigned int i;

	REQUIRE(plx_attach("ram:size=1M,name=r0", &ram) == 0);
	use = host_use();
	for (i = 0; i < RTE_DIM(wrong); i++) {
		CHECK(plx_attach(wrong[i], &dev) < 0, "%s", wrong[i]);
		host_unused(&use);
	}
	CHECK_EQ(plx_detach(ram), 0);
	CHECK(plx_dev_next(NULL) == NULL);
}

static void
backend(void)
{
	struct plx_dev *ram;
	struct plx_blk *blk;

	REQUIRE(plx_attach("ram:size=4M,block=4096,name=r0", &ram) == 0);
	begin("soft-nvme:backend=r0,name=sn", 1);
	CHECK_EQ(h.info.block_size, 4096);
	CHECK_EQ(h.info.nblocks, 1024);
	CHECK((h.info.caps & PLX_BLK_CAP_SOFTWARE) != 0);
	CHECK(plx_blk_open("r0", 0, &blk) < 0, "the medium is in use");
	CHECK_EQ(plx_detach(ram), -EBUSY);
	CHECK(plx_dev_find("r0") == ram);
	memset(h.mem, 0x5a, HOST_BYTES);
	CHECK_EQ(host_one(&h, PLX_OP_WRITE, 7, 4), 0);
	end();
	/* what was written is there */
	memset(&h, 0, sizeof(h));
	h.dev = ram;
	host_open(&h, "r0");
	CHECK_EQ(host_one(&h, PLX_OP_READ, 7, 1), 0);
	CHECK(h.mem[0] == 0x5a && h.mem[4095] == 0x5a);
	CHECK_EQ(host_close(&h), 0);
}

static void
null_medium(void)
{
	begin("soft-nvme:size=1T,medium=null,name=sn", 1);
	CHECK_EQ(h.info.nblocks, (1ull << 40) / BLOCK);
	CHECK((h.info.caps & PLX_BLK_CAP_NODATA) != 0);
	CHECK_EQ(host_one(&h, PLX_OP_WRITE, h.info.nblocks - 1, 1), 0);
	CHECK_EQ(host_one(&h, PLX_OP_WRITE, h.info.nblocks, 1), -ERANGE);
	end();
}

/* The socket that this process serves. */
static bool
served(char *path, size_t size)
{
	struct sockaddr_un a;
	socklen_t len;
	int fd;

	for (fd = 0; fd < 256; fd++) {
		len = sizeof(a);
		memset(&a, 0, sizeof(a));
		if (getsockname(fd, (struct sockaddr *)&a, &len) == 0 && a.sun_family == AF_UNIX &&
			strncmp(a.sun_path, "/tmp/plx-", 9) == 0) {
			snprintf(path, size, "%s", a.sun_path);
			return true;
		}
	}
	return false;
}

static void
again_and_again(void)
{
	char path[128] = "";
	unsigned int i;

	for (i = 0; i < 20; i++) {
		begin(i % 2 ? "soft-nvme:size=2M,name=sn,dbbuf=on" : "soft-nvme:size=2M,name=sn",
			1);
		/* gone already, lest a process that is killed leaves it */
		CHECK(served(path, sizeof(path)) && access(path, F_OK) != 0);
		CHECK_EQ(host_one(&h, PLX_OP_WRITE, i, 3), 0);
		if (i % 3 != 0)
			CHECK_EQ(host_one(&h, PLX_OP_READ, i, 3), 0);
		end();
		*strrchr(path, '/') = '\0';
		CHECK(access(path, F_OK) != 0, "%s is left", path);
	}
}

/* ---- NVMe commands of the application ---- */

static struct plx_nvme_cmd
admin(uint8_t opcode, uint32_t cdw10, void *data, uint32_t len)
{
	return (struct plx_nvme_cmd){.cdw = {opcode, [10] = cdw10}, .data = data, .data_len = len};
}

static void
admin_commands(void)
{
	static const uint8_t forbidden[] = {nvme_admin_create_cq, nvme_admin_create_sq,
		nvme_admin_delete_cq, nvme_admin_delete_sq, nvme_admin_async_event,
		nvme_admin_dbbuf};
	static uint8_t data[8192];
	const struct nvme_id_ctrl *id = (const struct nvme_id_ctrl *)data;
	struct host_use use;
	struct plx_nvme_cmd cmd;
	unsigned int i;

	begin("soft-nvme:size=8M,name=sn", 1);
	cmd = admin(nvme_admin_identify, NVME_IDENTIFY_CNS_CTRL, data, 4096);
	CHECK_EQ(plx_blk_nvme_admin(h.blk, &cmd), 0);
	CHECK_EQ(cmd.status, 0);
	CHECK(strncmp(id->mn, h.info.model, strlen(h.info.model)) == 0);
	CHECK(strncmp(id->sn, h.info.serial, strlen(h.info.serial)) == 0);
	cmd = admin(nvme_admin_identify, NVME_IDENTIFY_CNS_NS, data + 1, 4096);
	cmd.cdw[1] = 1;
	CHECK_EQ(plx_blk_nvme_admin(h.blk, &cmd), 0);
	CHECK(memcmp(data + 1, &h.info.nblocks, 8) == 0);
	cmd = admin(nvme_admin_get_log_page, NVME_LOG_LID_SMART | 127u << 16, data, 512);
	cmd.cdw[1] = NVME_NSID_ALL;
	CHECK_EQ(plx_blk_nvme_admin(h.blk, &cmd), 0);
	CHECK_EQ(cmd.status, 0);
	/* the device's verdict is handed on */
	cmd = admin(0xc1, 0, NULL, 0);
	CHECK_EQ(plx_blk_nvme_admin(h.blk, &cmd), 0);
	CHECK_EQ(cmd.status & 0x7ff, NVME_SC_INVALID_OPCODE);

	use = host_use();
	for (i = 0; i < RTE_DIM(forbidden); i++) {
		cmd = admin(forbidden[i], 1, data, 4096);
		CHECK_EQ(plx_blk_nvme_admin(h.blk, &cmd), -EINVAL);
	}
	cmd = admin(nvme_admin_set_features, NVME_FEAT_FID_NUM_QUEUES, NULL, 0);
	CHECK_EQ(plx_blk_nvme_admin(h.blk, &cmd), -EINVAL);
	cmd = admin(nvme_admin_set_features, NVME_FEAT_FID_HOST_MEM_BUF, NULL, 0);
	CHECK_EQ(plx_blk_nvme_admin(h.blk, &cmd), -EINVAL);
	cmd = admin(nvme_admin_identify, 1, data, 2 << 20);
	CHECK_EQ(plx_blk_nvme_admin(h.blk, &cmd), -EINVAL);
	host_unused(&use);
	CHECK_EQ(host_one(&h, PLX_OP_WRITE, 0, 3), 0);
	end();
}

static void
io_commands(void)
{
	struct plx_nvme_cmd cmd = {
		.cdw = {nvme_cmd_read, [10] = 5, [12] = 1}, .data_len = 2 * BLOCK};
	struct plx_blk_ext ext = {.nvme = &cmd};

	begin("soft-nvme:size=8M,name=sn", 1);
	memset(h.mem, 0xc3, HOST_BYTES);
	CHECK_EQ(host_one(&h, PLX_OP_WRITE, 5, 2), 0);
	memset(h.mem, 0, HOST_BYTES);
	host_prepare(&h, 0, PLX_OP_NVME, 0, 0);
	h.reqs[0].ext = &ext;
	host_submit(&h, 1);
	CHECK_EQ(host_collect(&h, 1, 10), 1);
	CHECK_EQ(h.reqs[0].status, 0);
	CHECK(h.mem[0] == 0xc3 && h.mem[2 * BLOCK - 1] == 0xc3 && h.mem[2 * BLOCK] == 0);
	/* the device refuses: beyond the end */
	cmd.cdw[11] = 1;
	host_prepare(&h, 0, PLX_OP_NVME, 0, 0);
	h.reqs[0].ext = &ext;
	host_submit(&h, 1);
	CHECK_EQ(host_collect(&h, 1, 10), 1);
	CHECK_EQ(h.reqs[0].status, -ERANGE);
	CHECK_EQ(h.reqs[0].raw & 0x7ff, NVME_SC_LBA_RANGE);
	end();
}

int
main(int argc, char **argv)
{
	host_eal(argc, argv);
	RUN(strings);
	RUN(backend);
	RUN(null_medium);
	RUN(again_and_again);
	RUN(admin_commands);
	RUN(io_commands);
	RUN(two_queues);
	RUN(reset_under_load);
	RUN(stop_under_load);
	plx_eal_cleanup();
	return TEST_RESULT();
}
