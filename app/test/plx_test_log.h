/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef PLX_TEST_LOG_H
#define PLX_TEST_LOG_H
/**
 * @file
 * What the library logs, for tests of what users are told.
 */
#include <rte_log.h>

#include "plx_test.h"

/** What was logged since logged[0] was last cleared, as far as there is room; after log_catch(). */
static char logged[4096];

static inline ssize_t
log_write(void *cookie, const char *buf, size_t len)
{
	size_t n = strlen(logged);

	(void)cookie;
	if (n + len < sizeof(logged)) {
		memcpy(logged + n, buf, len);
		logged[n + len] = '\0';
	}
	return (ssize_t)len;
}

/** Have the log go to logged[]. */
static inline void
log_catch(void)
{
	FILE *f = fopencookie(NULL, "w", (cookie_io_functions_t){.write = log_write});

	REQUIRE(f != NULL);
	setvbuf(f, NULL, _IONBF, 0);
	rte_openlog_stream(f);
}

/** Have it go where it went before. */
static inline void
log_release(void)
{
	FILE *f = rte_log_get_stream();

	rte_openlog_stream(NULL);
	fclose(f);
}

#endif
