/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TEST_DAEMON_H
#define TEST_DAEMON_H
/* plx-export as a child process; the including test sets program and makes dir. */
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "plx_test.h"

#define PATIENCE_S 20
#define MAX_ARGS 16

static const char *program;
static char dir[32] = "/tmp/plx-exp-XXXXXX";

struct daemon {
	pid_t pid;
	int out; /* its stdout and stderr */
	char text[16384];
	size_t len;
};

static inline void
start(struct daemon *d, const char *const *args)
{
	char *argv[MAX_ARGS + 2] = {(char *)(uintptr_t)program};
	int pipefd[2], i;

	for (i = 0; args[i] != NULL && i < MAX_ARGS; i++)
		argv[i + 1] = (char *)(uintptr_t)args[i];
	memset(d, 0, sizeof(*d));
	REQUIRE(pipe(pipefd) == 0);
	d->pid = fork();
	REQUIRE(d->pid >= 0);
	if (d->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that gives up leaves nobody behind */
		dup2(pipefd[1], 1);
		dup2(pipefd[1], 2);
		close(pipefd[0]);
		close(pipefd[1]);
		execv(program, argv);
		_exit(127);
	}
	close(pipefd[1]);
	d->out = pipefd[0];
}

/* Read what it prints until the text is there, or it ends. @return found */
static inline bool
prints(struct daemon *d, const char *text)
{
	time_t until = time(NULL) + PATIENCE_S;
	struct pollfd p = {.fd = d->out, .events = POLLIN};
	ssize_t n;

	while (text == NULL || strstr(d->text, text) == NULL) {
		if (time(NULL) > until || poll(&p, 1, 1000) < 0)
			return false;
		if (p.revents == 0)
			continue;
		n = read(d->out, d->text + d->len, sizeof(d->text) - 1 - d->len);
		if (n <= 0)
			return false;
		d->len += (size_t)n;
	}
	return true;
}

/* @return its exit code, or -signal */
static inline int
end(struct daemon *d, int sig)
{
	int status = 0;

	if (sig != 0)
		kill(d->pid, sig);
	prints(d, NULL);
	REQUIRE(waitpid(d->pid, &status, 0) == d->pid);
	close(d->out);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

#endif
