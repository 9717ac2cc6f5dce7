/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef INFO_H
#define INFO_H
#include <stdbool.h>

#include "plx_mp.h"

#define PROG "plx-info"

/* What is shown. */
struct show {
	bool json, stats;
	bool any;                          /* a device was shown */
	const char *device;                /* only this one, or its namespaces; NULL: all */
	bool skip;                         /* the queues that come: their device is another */
	struct json_object *devs, *queues; /* queues: of the last device */
};

/* Of plx_mp_inspect(); arg is a struct show. */
int show_one(const struct plx_mp_dev *dev, const struct plx_mp_queue *queue, void *arg);
/* The end: prints JSON, frees. */
void show_end(struct show *s, bool print);

#endif
