/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FUZZ_H
#define FUZZ_H
/*
 * What targets share: the input, taken byte by byte, and at its end nothing but zeroes, which have
 * to stand for what is honest; and a clock that the target moves on, so that no time-out takes
 * time.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

extern struct fuzz_input {
	const uint8_t *p;
	size_t left;
} fuzz_in;

#define fuzz_check(cond)                                                           \
	do {                                                                       \
		if (!(cond)) {                                                     \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond); \
			abort();                                                   \
		}                                                                  \
	} while (0)

void fuzz_begin(const uint8_t *data, size_t size);

static inline uint8_t
take(void)
{
	if (fuzz_in.left == 0)
		return 0;
	fuzz_in.left--;
	return *fuzz_in.p++;
}

static inline uint64_t
take_n(unsigned int n)
{
	uint64_t v = 0;

	while (n-- > 0)
		v = v << 8 | take();
	return v;
}

/* A number of up to 8 bytes, and now and then one at a limit. */
uint64_t take_odd(void);

/* Milliseconds since fuzz_begin(), for targets that are linked with fuzz_clock of meson.build. */
extern uint64_t fuzz_ms;

/* EAL without output; log lines are counted. */
void fuzz_eal(char *name);
extern unsigned int fuzz_lines;

/* What the process and EAL's heaps hold: to be the same before and after each input. */
struct fuzz_use {
	int fd;
	size_t heap;
};
struct fuzz_use fuzz_use(void);

#endif
