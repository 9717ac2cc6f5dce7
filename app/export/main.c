/* SPDX-License-Identifier: BSD-3-Clause */
/* The storage daemon: attaches block devices and serves them. */
#include <errno.h>

#include "plx_eal.h"

#include "export.h"

int
main(int argc, char **argv)
{
	struct opts o;
	int rc;

	if (opts_answer(argc, argv))
		return EXIT_OK;
	/* ours first: a typo costs no start of EAL */
	rc = opts_parse(&o, argc, argv);
	if (rc == 0)
		rc = plx_eal_init_app(argc, argv);
	if (rc < 0) {
		opts_free(&o);
		return rc == -EINVAL ? EXIT_USAGE : EXIT_FAILED;
	}
	rc = serve(&o);
	opts_free(&o);
	plx_eal_cleanup();
	return rc;
}
