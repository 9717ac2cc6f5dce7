/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef APP_EXPORT_H
#define APP_EXPORT_H

#include <stdbool.h>

#define PROG "plx-export"

/* Exit codes */
enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

/* What the command line asks for; pointers into argv. */
struct opts {
	const char **devs, **exports;
	unsigned int nb_devs, nb_exports;
	bool adaptive; /* lcores sleep while there is nothing to do */
};

/* opts.c */
/* --help or --version anywhere: answered here. @return true: nothing else is to be done */
bool opts_answer(int argc, char **argv);
/* The program's own options, behind a "--". @return 0; -EINVAL with one line printed; -ENOMEM */
int opts_parse(struct opts *o, int argc, char **argv);
void opts_free(struct opts *o);

/* serve.c */
/* Attach, serve until a signal comes, tell what was done, detach. @return an exit code */
int serve(const struct opts *o);

#endif
