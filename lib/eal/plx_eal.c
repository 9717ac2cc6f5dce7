/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <rte_eal.h>
#include <rte_eal_memconfig.h>
#include <rte_errno.h>
#include <rte_lcore.h>
#include <rte_memory.h>
#include <rte_memzone.h>

#include "eal_priv.h"
#include "plx_ctrl.h"
#include "plx_eal.h"
#include "plx_log.h"

PLX_LOG_TYPE(eal, NOTICE);

#define TURN_MS 10000
#define AGAIN 3      /* starts of EAL, */
#define AGAIN_MS 100 /* so long after each other */

/* Under the control lock. */
static struct {
	unsigned int users;
	bool joined;
	bool failed; /* our own start failed: what EAL left behind isn't a running EAL */
	bool ended;
	enum plx_eal_mem_mode mode;
	struct eal_hook *hooks;
} eal;

static bool
eal_running(void)
{
	return !eal.failed && (rte_eal_get_runtime_dir()[0] != '\0' || rte_lcore_count() > 0);
}

struct mode_scan {
	bool small;
	bool no_fd;
	bool shared_file; /* pages of one list lie in one file */
};

static int
mode_scan_seg(const struct rte_memseg_list *msl, const struct rte_memseg *ms, void *arg)
{
	struct mode_scan *s = arg;

	if (msl->external)
		return 0;
	s->small |= msl->page_sz < (2 << 20);
	s->no_fd |= rte_memseg_get_fd_thread_unsafe(ms) < 0;
	/* a gigabyte page is as good as a file of its own */
	s->shared_file &= rte_mcfg_get_single_file_segments() || msl->page_sz >= (1 << 30);
	return s->no_fd;
}

static enum plx_eal_mem_mode
mode_find(void)
{
	struct mode_scan s = {.shared_file = true};

	rte_memseg_walk(mode_scan_seg, &s);
	if (s.no_fd)
		return PLX_EAL_MEM_FOREIGN;
	if (s.small)
		return PLX_EAL_MEM_NOHUGE;
	return s.shared_file ? PLX_EAL_MEM_HUGE : PLX_EAL_MEM_FOREIGN;
}

static void
log_start_failure(const struct eal_plan *plan, int rc)
{
	if (rc == -EINVAL)
		PLX_LOG(ERR, "eal: bad EAL options, see the line of EAL above and --help");
	else if (rc == -EALREADY)
		PLX_LOG(ERR, "eal: EAL ran before in this process; it can't be started twice");
	else if (plan->fallback)
		PLX_LOG(ERR, "eal: EAL didn't start without hugepages either: %s", strerror(-rc));
	else if (plan->note[0] != '\0')
		PLX_LOG(ERR, "eal: EAL didn't start: %s", plan->note);
	else if (plan->huge && (rc == -EACCES || rc == -ENOMEM))
		PLX_LOG(ERR, "eal: hugepages that were free went while EAL started: start it "
			     "again, or with --no-huge");
	else
		PLX_LOG(ERR, "eal: EAL didn't start: %s, see its line above", strerror(-rc));
}

/* EAL parses with getopt_long() from optind 1 and puts optind back. But glibc keeps more than that,
 * and forgets it at optind 0: EAL must not go on within an argument of the application, nor the
 * application's first getopt() in EAL's manner. */
static int
eal_start_fresh_getopt(int argc, char **argv)
{
	static char name[] = "";
	char *none[] = {name, NULL}, *arg = optarg;
	int ind = optind, opt = optopt, rc;

	optind = 0;
	getopt(1, none, "");
	rte_errno = 0;
	rc = rte_eal_init(argc, argv);
	optind = ind <= 1 ? 0 : ind;
	optopt = opt;
	optarg = arg;
	if (rc < 0)
		return rte_errno != 0 ? -rte_errno : -EIO;
	return rc;
}

/* Our options stand before the user's; getopt may have permuted his, which he must see. */
static int
eal_start(int argc, char **argv, struct eal_plan *plan)
{
	int rc, n = plan->nb_add;
	char **v = calloc((size_t)argc + (size_t)n + 2, sizeof(*v));

	if (v == NULL)
		return -ENOMEM;
	v[0] = argc > 0 ? argv[0] : program_invocation_short_name;
	for (int i = 0; i < n; i++)
		v[1 + i] = plan->add[i];
	for (int i = 1; i < argc; i++)
		v[n + i] = argv[i];
	rc = eal_start_fresh_getopt(argc > 0 ? argc + n : 1 + n, v);
	for (int i = 1; i < argc; i++)
		argv[i] = v[n + i];
	free(v);
	if (rc < 0)
		return rc;
	return rc > n ? rc - n : 0;
}

/*
 * As planned, and again when EAL does not find the hugepages that we saw: somebody changes their
 * number, or mounts hugetlbfs. It takes no fallback any more, since it keeps --in-memory for good.
 */
static int
eal_start_huge(int argc, char **argv, bool app, struct eal_plan *plan)
{
	int rc = eal_start(argc, argv, plan);

	for (int i = 1; i < AGAIN && rc == -EACCES && plan->note[0] == '\0'; i++) {
		struct eal_plan next;
		struct eal_view view;

		nanosleep(&(struct timespec){.tv_nsec = AGAIN_MS * 1000000}, NULL);
		eal_view_get(&view);
		eal_plan_make(&view, argc, argv, app, &next);
		if (!next.huge)
			break;
		*plan = next;
		rc = eal_start(argc, argv, plan);
	}
	return rc;
}

/*
 * Programs that start together take turns, so that none finds the hugepages gone that it saw
 * free: EAL can't be started again after that. The turn is an abstract socket address, which
 * needs no file and ends with its holder; a holder that hangs costs the others the wait.
 * @return a descriptor to close, or -1
 */
static int
turn_take(void)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX, .sun_path = "\0pollux-eal-start"};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), ms;

	if (fd < 0)
		return -1;
	for (ms = 0; ms < TURN_MS; ms += 5) {
		if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0)
			return fd;
		nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
	}
	close(fd);
	return -1;
}

static void
turn_pass(int *turn)
{
	if (*turn >= 0)
		close(*turn);
	*turn = -1;
}

static int
no_primary(const struct eal_plan *plan)
{
	PLX_LOG(ERR,
		"eal: no primary process runs with --file-prefix=%s; start it before its "
		"secondary processes, with that prefix",
		plan->prefix);
	return -ESRCH;
}

static int
eal_own(int argc, char **argv, bool app)
{
	struct eal_view view;
	struct eal_plan plan;
	int rc, turn;

	turn = turn_take();
	eal_view_get(&view);
	eal_plan_make(&view, argc, argv, app, &plan);
	if (!plan.huge)
		turn_pass(&turn);
	if (plan.secondary && !eal_primary_alive(plan.prefix))
		rc = no_primary(&plan);
	else if (plan.huge)
		rc = eal_start_huge(argc, argv, app, &plan);
	else
		rc = eal_start(argc, argv, &plan);
	turn_pass(&turn);
	if (rc == -ESRCH)
		return rc;
	eal.failed = rc < 0;
	if (rc < 0)
		log_start_failure(&plan, rc);
	else if (plan.fallback)
		PLX_LOG(NOTICE, "eal: %s", plan.note);
	return rc;
}

static int
eal_first_user(int argc, char **argv, bool app)
{
	int rc = 0;

	if (eal.ended) {
		PLX_LOG(ERR, "eal: EAL was started and cleaned up before in this process");
		return -EALREADY;
	}
	eal.joined = eal_running();
	if (!eal.joined)
		rc = eal_own(argc, argv, app);
	if (rc < 0)
		return rc;
	eal.mode = mode_find();
	return rc;
}

static int
eal_init(int argc, char **argv, bool app)
{
	int rc = 0;

	plx_ctrl_lock();
	if (eal.users == 0)
		rc = eal_first_user(argc, argv, app);
	if (rc >= 0)
		eal.users++;
	plx_ctrl_unlock();
	return rc;
}

int
plx_eal_init(int argc, char **argv)
{
	return eal_init(argc, argv, false);
}

int
plx_eal_init_app(int argc, char **argv)
{
	return eal_init(argc, argv, true);
}

bool
eal_in_use(void)
{
	return eal.users > 0;
}

void
eal_at_cleanup(struct eal_hook *hook)
{
	hook->next = eal.hooks;
	eal.hooks = hook;
}

int
plx_eal_cleanup(void)
{
	plx_ctrl_lock();
	if (eal.users == 0 || --eal.users > 0)
		goto out;
	while (eal.hooks != NULL) {
		struct eal_hook *h = eal.hooks;

		eal.hooks = h->next;
		h->fn();
	}
	if (!eal.joined) {
		rte_eal_cleanup();
		eal.ended = true;
	}
out:
	plx_ctrl_unlock();
	return 0;
}

enum plx_eal_mem_mode
plx_eal_mem_mode(void)
{
	return eal.mode;
}

bool
plx_eal_joined(void)
{
	return eal.joined;
}

const struct rte_memzone *
plx_eal_memzone(const char *name, size_t len, int socket, size_t align)
{
	const struct rte_memzone *mz;
	unsigned int a = align > RTE_CACHE_LINE_SIZE ? (unsigned int)align : RTE_CACHE_LINE_SIZE;

	mz = rte_memzone_reserve_aligned(name, len, socket, RTE_MEMZONE_IOVA_CONTIG, a);
	/* a full or absent node, but not a bad name */
	if (mz == NULL && socket != SOCKET_ID_ANY && (rte_errno == ENOMEM || rte_errno == EINVAL))
		mz = rte_memzone_reserve_aligned(
			name, len, SOCKET_ID_ANY, RTE_MEMZONE_IOVA_CONTIG, a);
	if (mz != NULL)
		memset(mz->addr, 0, mz->len);
	return mz;
}

unsigned int
plx_eal_lcores(unsigned int *lcores, unsigned int max)
{
	unsigned int id, n = 0, main_id = rte_get_main_lcore();

	RTE_LCORE_FOREACH_WORKER(id)
	{
		if (n < max)
			lcores[n++] = id;
	}
	if (n < max && rte_lcore_is_enabled(main_id))
		lcores[n++] = main_id;
	return n;
}
