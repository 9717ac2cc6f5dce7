/* SPDX-License-Identifier: BSD-3-Clause */
/* The shell's commands that show something. */
#include <inttypes.h>
#include <string.h>

#include <rte_cycles.h>
#include <rte_lcore.h>
#include <rte_malloc.h>
#include <rte_mempool.h>
#include <rte_memzone.h>

#include "plx_ctrl.h"
#include "plx_mem.h"
#include "shell.h"

/* The class's handle of an attached device, open or not; NULL after one line. */
static struct plx_blk *
find(const char *name, struct plx_blk_info *info)
{
	struct plx_blk *blk = dev_handle(name);

	if (blk == NULL)
		tb_say("'%s' is not attached; 'show devs' lists what is", name);
	else
		plx_blk_info_get(blk, info);
	return blk;
}

static double
mib(const struct plx_blk_info *i)
{
	return (double)i->nblocks * i->block_size / (1 << 20);
}

int
show_devs(struct tb_shell *sh, const struct shell_args *a)
{
	struct plx_blk_info i;
	struct plx_blk *blk;

	(void)a;
	if (plx_blk_next(NULL) == NULL) {
		printf("no devices: 'attach ram:size=64M'\n");
		return TB_OK;
	}
	printf("%-20s %-10s %12s %6s %-10s %s\n", "device", "driver", "MiB", "block", "state",
		"attached as");
	for (const struct tb_dev *d = sh->session->devs; d != NULL; d = d->next) {
		blk = d->detached ? NULL : find(d->info.name, &i);
		if (blk != NULL)
			printf("%-20s %-10s %12.1f %6u %-10s %s\n", i.name, i.driver, mib(&i),
				i.block_size, plx_blk_state_name(i.state), d->str);
	}
	return TB_OK;
}

static void
print_caps(uint32_t caps)
{
	static const char *const names[] = {"flush", "fua", "write-zeroes", "discard", "compare",
		"verify", "nvme", "sgl", "no-data", "volatile", "software", "read-only", "copy",
		"secure-erase"};

	printf("capabilities    ");
	for (unsigned int b = 0; b < RTE_DIM(names); b++)
		if (caps & 1u << b)
			printf(" %s", names[b]);
	printf("\n");
}

int
show_dev(struct tb_shell *sh, const struct shell_args *a)
{
	struct plx_blk_info i;

	(void)sh;
	if (find(a->word[2], &i) == NULL)
		return TB_USAGE;
	printf("device           %s, %s, %s\n", i.name, i.driver, plx_blk_state_name(i.state));
	printf("model            %s, serial %s, firmware %s\n", i.model, i.serial, i.firmware);
	printf("size             %" PRIu64 " blocks of %u bytes, %.1f MiB; physical %u\n",
		i.nblocks, i.block_size, mib(&i), i.phys_block_size);
	if (i.meta_size != 0)
		printf("metadata         %u bytes a block, protection type %u\n", i.meta_size,
			i.pi_type);
	if (i.zone_nblk != 0)
		printf("zones            %u of %" PRIu64 " blocks; open %u, active %u at most\n",
			i.nb_zones, i.zone_nblk, i.max_open_zones, i.max_active_zones);
	print_caps(i.caps);
	printf("a command        ");
	if (i.max_nblk == UINT32_MAX)
		printf("any number of blocks");
	else
		printf("%u blocks", i.max_nblk);
	printf(", %u segments; boundary %u; atomic %u\n", i.max_segs, i.boundary_nblk,
		i.atomic_nblk);
	printf("queues           %u of %u, depth up to %u; NUMA node %d\n", i.nb_queues,
		i.max_queues, i.max_depth, i.numa_node);
	return TB_OK;
}

/* The block devices of the controller that one belongs to. */
int
show_ns(struct tb_shell *sh, const struct shell_args *a)
{
	const struct tb_dev *d = dev_named(sh, a->word[2]);
	struct plx_blk_info i;

	if (d == NULL)
		return TB_USAGE;
	printf("%-20s %14s %6s %9s %3s %8s %s\n", "namespace", "blocks", "block", "metadata", "PI",
		"zones", "nguid");
	for (const struct tb_dev *n = sh->session->devs; n != NULL; n = n->next) {
		if (n->attachment != d->attachment || n->detached || find(n->info.name, &i) == NULL)
			continue;
		printf("%-20s %14" PRIu64 " %6u %9u %3u %8u ", i.name, i.nblocks, i.block_size,
			i.meta_size, i.pi_type, i.nb_zones);
		for (unsigned int b = 0; b < sizeof(i.nguid); b++)
			printf("%02x", i.nguid[b]);
		printf("\n");
	}
	return TB_OK;
}

static void
print_queue(const struct tb_task *t, const struct tb_queue *q)
{
	struct plx_blk_stats st;

	if (t->dev->blk == NULL ||
		plx_blk_stats_get(t->dev->blk, (uint16_t)(t->first_qid + q->qid), &st) != 0)
		return;
	printf("%5u %5u %5u %8u %14" PRIu64 " %8" PRIu64 " %12" PRIu64 " %7.1f%% %s\n",
		t->first_qid + q->qid, q->worker->lcore, q->qd,
		__atomic_load_n(&q->bq->inflight, __ATOMIC_RELAXED), st.completed, st.errors,
		st.doorbells, st.polls != 0 ? 100.0 * (double)st.empty_polls / (double)st.polls : 0,
		q->paused ? "paused" : "");
}

int
show_queues(struct tb_shell *sh, const struct shell_args *a)
{
	const struct tb_run *run = sh->session->run;

	if (tb_session_dev(sh->session, a->word[2]) == NULL) {
		tb_say("'%s' is not attached; 'show devs' lists what is", a->word[2]);
		return TB_USAGE;
	}
	if (run == NULL) {
		printf("nothing runs: there are no queues\n");
		return TB_OK;
	}
	printf("queue lcore depth inflight      completed   errors    doorbells   empty\n");
	for (uint32_t j = 0; j < run->njob; j++)
		for (uint32_t i = 0; i < run->jobs[j].ntask; i++) {
			const struct tb_task *t = &run->jobs[j].tasks[i];

			for (uint16_t k = 0; k < t->nq; k++)
				if (strcmp(t->dev->info.name, a->word[2]) == 0)
					print_queue(t, &t->queues[k]);
		}
	return TB_OK;
}

static const char *const op_names[PLX_OP_MAX] = {"read", "write", "flush", "write-zeroes",
	"discard", "compare", "verify", "nvme", "zone-append", "zone-open", "zone-close",
	"zone-finish", "zone-reset", "zone-report", "copy", "secure-erase"};

/* What came since they were cleared: all of it is counters. */
static void
subtract(struct plx_blk_stats *st, const struct plx_blk_stats *cleared)
{
	const uint64_t *from = (const uint64_t *)cleared;
	uint64_t *to = (uint64_t *)st;

	for (size_t i = 0; i < sizeof(*st) / sizeof(*to); i++)
		to[i] -= from[i];
}

int
show_stats(struct tb_shell *sh, const struct shell_args *a)
{
	const struct tb_dev *d = dev_named(sh, a->word[2]);
	struct plx_blk_stats st;

	if (d == NULL || dev_stats(d->info.name, UINT16_MAX, &st) != 0)
		return TB_USAGE;
	subtract(&st, &d->cleared);
	for (unsigned int op = 0; op < PLX_OP_MAX; op++)
		if (st.ops[op] != 0)
			printf("%-14s %14" PRIu64 " requests %16" PRIu64 " blocks\n", op_names[op],
				st.ops[op], st.blocks[op]);
	printf("completed      %14" PRIu64 ", with errors %" PRIu64 "\n", st.completed, st.errors);
	printf("doorbells      %14" PRIu64 "\n", st.doorbells);
	printf("polls          %14" PRIu64 ", empty %" PRIu64 "\n", st.polls, st.empty_polls);
	printf("split          %14" PRIu64 "\nbounced        %14" PRIu64 "\n", st.split,
		st.bounced);
	printf("retried        %14" PRIu64 "\nsenseless      %14" PRIu64 "\n", st.retried,
		st.bad_device);
	printf("late           %14" PRIu64 "\n", st.late);
	return TB_OK;
}

static void
print_xstats(const char *of, const struct plx_blk_stats *st)
{
	const struct {
		const char *name;
		uint64_t value;
	} rest[] = {{"unknown", st->unknown}, {"completed", st->completed}, {"errors", st->errors},
		{"doorbells", st->doorbells}, {"polls", st->polls},
		{"empty_polls", st->empty_polls}, {"split", st->split}, {"bounced", st->bounced},
		{"retried", st->retried}, {"bad_device", st->bad_device}, {"late", st->late}};

	for (unsigned int op = 0; op < PLX_OP_MAX; op++) {
		if (st->ops[op] == 0)
			continue;
		printf("%s.%s.requests: %" PRIu64 "\n", of, op_names[op], st->ops[op]);
		printf("%s.%s.blocks: %" PRIu64 "\n", of, op_names[op], st->blocks[op]);
	}
	for (unsigned int i = 0; i < RTE_DIM(rest); i++)
		printf("%s.%s: %" PRIu64 "\n", of, rest[i].name, rest[i].value);
}

int
show_xstats(struct tb_shell *sh, const struct shell_args *a)
{
	const struct tb_dev *d = dev_named(sh, a->word[2]);
	struct plx_blk_stats st;
	char name[16];

	if (d == NULL || dev_stats(d->info.name, UINT16_MAX, &st) != 0)
		return TB_USAGE;
	subtract(&st, &d->cleared);
	print_xstats("all", &st);
	for (uint16_t q = 0; dev_stats(d->info.name, q, &st) == 0; q++) {
		snprintf(name, sizeof(name), "q%u", q);
		print_xstats(name, &st);
	}
	return TB_OK;
}

int
show_lat(struct tb_shell *sh, const struct shell_args *a)
{
	static const char *const kinds[PLX_BLK_LATENCY_KINDS] = {"read", "write", "other"};
	struct plx_blk_info info;
	struct plx_blk *blk = find(a->word[2], &info);
	struct plx_blk_latency l;

	(void)sh;
	if (blk == NULL)
		return TB_USAGE;
	if (plx_blk_latency_get(blk, UINT16_MAX, PLX_BLK_LATENCY_READ, &l) != 0) {
		tb_say("%s: not measured: 'latency %s on' while a run works on it", info.name,
			info.name);
		return TB_FAIL;
	}
	printf("us      %12s %9s %9s %9s %9s %9s %9s %9s\n", "requests", "mean", "p50", "p90",
		"p99", "p99.9", "p99.99", "max");
	for (unsigned int k = 0; k < PLX_BLK_LATENCY_KINDS; k++) {
		if (plx_blk_latency_get(blk, UINT16_MAX, (enum plx_blk_latency_kind)k, &l) != 0 ||
			l.count == 0)
			continue;
		printf("%-7s %12" PRIu64 " %9.2f", kinds[k], l.count, (double)l.mean_ns / 1e3);
		for (unsigned int q = 0; q < PLX_BLK_LATENCY_QUANTILES; q++)
			printf(" %9.2f", (double)l.quantile_ns[q] / 1e3);
		printf(" %9.2f\n", (double)l.max_ns / 1e3);
	}
	return TB_OK;
}

int
show_lcores(struct tb_shell *sh, const struct shell_args *a)
{
	struct plx_reactor_stats st;

	(void)a;
	printf("lcore reactor        turns   busy   idle asleep   longest poll, us   queues\n");
	for (uint32_t i = 0; i < sh->session->nworker; i++) {
		const struct tb_worker *w = &sh->session->workers[i];
		double all;

		plx_reactor_stats_get(w->reactor, &st);
		all = (double)RTE_MAX(st.busy_cycles + st.idle_cycles + st.sleep_cycles, 1u) / 100;
		printf("%5u %-8s %12" PRIu64 " %5.1f%% %5.1f%% %5.1f%% %18.1f %8u\n", w->lcore,
			w->main ? "main" : "worker", st.turns, (double)st.busy_cycles / all,
			(double)st.idle_cycles / all, (double)st.sleep_cycles / all,
			(double)st.longest_poll * 1e6 / sh->session->hz,
			__atomic_load_n(&w->active, __ATOMIC_RELAXED));
	}
	return TB_OK;
}

static int
print_seg(const struct plx_mem_seg *seg, void *arg)
{
	(void)arg;
	printf("%#16" PRIxPTR " %10.1f MiB  pages of %5zu KiB  node %2d  %s%s\n", seg->va,
		(double)seg->len / (1 << 20), seg->page_size / 1024, seg->socket,
		seg->fd >= 0 ? "shareable" : "private", seg->fixed ? ", fixed" : "");
	return 0;
}

int
show_mem(struct tb_shell *sh, const struct shell_args *a)
{
	(void)sh;
	(void)a;
	plx_ctrl_lock();
	plx_mem_walk(print_seg, NULL);
	plx_ctrl_unlock();
	return TB_OK;
}

int
show_config(struct tb_shell *sh, const struct shell_args *a)
{
	const struct tb_option *table;
	unsigned int n = tb_opts_table(&table);

	(void)a;
	for (unsigned int i = 0; i < n; i++)
		if (table[i].def != NULL)
			printf("%-24s %-16s  %s\n", table[i].name,
				sh->value[i] != NULL ? sh->value[i] : table[i].def, table[i].help);
	return TB_OK;
}

/* The workers go on counting: sums that are read meanwhile may be a little behind. */
int
show_run(struct tb_shell *sh, const struct shell_args *a)
{
	const struct tb_run *run = sh->session->run;
	uint64_t now = rte_rdtsc(), ios = 0, failed = 0;
	double hz = sh->session->hz;

	(void)a;
	if (run == NULL) {
		printf("nothing runs\n");
		return TB_OK;
	}
	for (uint32_t j = 0; j < run->njob; j++)
		for (uint32_t i = 0; i < run->jobs[j].ntask; i++)
			for (uint16_t k = 0; k < run->jobs[j].tasks[i].nq; k++) {
				const struct tb_counts *c = &run->jobs[j].tasks[i].queues[k].sum->c;

				ios += __atomic_load_n(&c->returned, __ATOMIC_RELAXED);
				failed += __atomic_load_n(&c->failed, __ATOMIC_RELAXED) +
					  __atomic_load_n(&c->cancelled, __ATOMIC_RELAXED);
			}
	printf("%.1f s: %" PRIu64 " I/Os, %" PRIu64 " of them failed or cancelled; %.0f IOPS since "
	       "%.1f s ago\n",
		(double)(now - sh->begun) / hz, ios, failed,
		(double)(ios - sh->shown_ios) * hz / (double)(now - sh->shown),
		(double)(now - sh->shown) / hz);
	sh->shown = now;
	sh->shown_ios = ios;
	return TB_OK;
}

static void
dump_heaps(void)
{
	struct rte_malloc_socket_stats st;

	for (unsigned int i = 0; i < rte_socket_count(); i++) {
		int socket = rte_socket_id_by_idx(i);

		if (rte_malloc_get_socket_stats(socket, &st) == 0)
			printf("heap of node %d: %zu bytes, %zu free, the largest piece %zu; %u "
			       "allocations\n",
				socket, st.heap_totalsz_bytes, st.heap_freesz_bytes,
				st.greatest_free_size, st.alloc_count);
	}
}

int
dump(struct tb_shell *sh, const struct shell_args *a)
{
	(void)sh;
	if (strcmp(a->word[1], "memzones") == 0)
		rte_memzone_dump(stdout);
	else if (strcmp(a->word[1], "mempools") == 0)
		rte_mempool_list_dump(stdout);
	else
		dump_heaps();
	return TB_OK;
}
