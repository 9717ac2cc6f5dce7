/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef PLX_TEST_H
#define PLX_TEST_H
/**
 * @file
 * A test program: TEST functions run in turn by TEST_MAIN, each CHECK that fails is printed and
 * fails the program (exit 1); skip(reason) ends it with 77.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int test_failures;

#define CHECK(cond, ...)                                                                        \
	do {                                                                                    \
		if (!(cond)) {                                                                  \
			test_failures++;                                                        \
			fprintf(stderr, "%s:%d: CHECK(%s) failed ", __FILE__, __LINE__, #cond); \
			fprintf(stderr, " " __VA_ARGS__);                                       \
			fputc('\n', stderr);                                                    \
		}                                                                               \
	} while (0)

/** CHECK that two integers are equal, printing both. */
#define CHECK_EQ(a, b)                                                                             \
	do {                                                                                       \
		long long a_ = (long long)(a), b_ = (long long)(b);                                \
		if (a_ != b_) {                                                                    \
			test_failures++;                                                           \
			fprintf(stderr, "%s:%d: %s is %lld, %s is %lld\n", __FILE__, __LINE__, #a, \
				a_, #b, b_);                                                       \
		}                                                                                  \
	} while (0)

/** End the test program when the next steps make no sense without this. */
#define REQUIRE(cond)                                                                              \
	do {                                                                                       \
		if (!(cond)) {                                                                     \
			fprintf(stderr, "%s:%d: REQUIRE(%s) failed\n", __FILE__, __LINE__, #cond); \
			exit(1);                                                                   \
		}                                                                                  \
	} while (0)

#define RUN(test)                                                                     \
	do {                                                                          \
		int before_ = test_failures;                                          \
		test();                                                               \
		printf("%s %s\n", test_failures == before_ ? "ok  " : "FAIL", #test); \
		fflush(stdout);                                                       \
	} while (0)

#define TEST_RESULT() (test_failures == 0 ? 0 : 1)

static inline void __attribute__((noreturn, unused)) skip(const char *reason)
{
	printf("skipped: %s\n", reason);
	exit(77);
}

#endif
