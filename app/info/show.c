/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <json.h>

#include "info.h"

static bool
wanted(const struct show *s, const char *name)
{
	size_t len = s->device != NULL ? strlen(s->device) : 0;

	return len == 0 ||
	       (strncmp(name, s->device, len) == 0 && (name[len] == '\0' || name[len] == '/'));
}

/* ---- JSON ---- */

static void
put(struct json_object *o, const char *key, uint64_t value)
{
	json_object_object_add(o, key, json_object_new_uint64(value));
}

static void
put_text(struct json_object *o, const char *key, const char *value)
{
	json_object_object_add(o, key, json_object_new_string(value));
}

static struct json_object *
json_stats(const struct plx_blk_stats *st)
{
	struct json_object *o = json_object_new_object();

	put(o, "reads", st->ops[PLX_OP_READ]);
	put(o, "read_blocks", st->blocks[PLX_OP_READ]);
	put(o, "writes", st->ops[PLX_OP_WRITE]);
	put(o, "write_blocks", st->blocks[PLX_OP_WRITE]);
	put(o, "completed", st->completed);
	put(o, "errors", st->errors);
	put(o, "doorbells", st->doorbells);
	put(o, "polls", st->polls);
	put(o, "empty_polls", st->empty_polls);
	put(o, "split", st->split);
	put(o, "bounced", st->bounced);
	put(o, "retried", st->retried);
	put(o, "bad_device", st->bad_device);
	put(o, "late", st->late);
	return o;
}

static void
json_dev(struct show *s, const struct plx_mp_dev *dev)
{
	const struct plx_blk_info *i = &dev->info;
	struct json_object *o = json_object_new_object();

	put_text(o, "name", i->name);
	put_text(o, "driver", i->driver);
	put_text(o, "state", plx_blk_state_name(i->state));
	put_text(o, "model", i->model);
	put_text(o, "serial", i->serial);
	put_text(o, "firmware", i->firmware);
	put(o, "nblocks", i->nblocks);
	put(o, "block_size", i->block_size);
	put(o, "meta_size", i->meta_size);
	put(o, "zone_nblk", i->zone_nblk);
	put(o, "max_queues", i->max_queues);
	put(o, "max_depth", i->max_depth);
	put(o, "nb_queues", dev->nb_queues);
	json_object_object_add(o, "stats", json_stats(&dev->stats));
	s->queues = json_object_new_array();
	json_object_object_add(o, "queues", s->queues);
	json_object_array_add(s->devs, o);
}

static void
json_queue(struct show *s, const struct plx_mp_queue *q)
{
	struct json_object *o = json_object_new_object();

	put(o, "pid", (uint64_t)q->pid);
	put(o, "qid", q->qid);
	put(o, "depth", q->depth);
	put(o, "inflight", q->inflight);
	json_object_object_add(o, "stats", json_stats(&q->stats));
	json_object_array_add(s->queues, o);
}

/* ---- text ---- */

static void
text_stats(const char *indent, const struct plx_blk_stats *st)
{
	printf("%sreads %" PRIu64 ", writes %" PRIu64 ", completed %" PRIu64 ", errors %" PRIu64
	       ", split %" PRIu64 ", bounced %" PRIu64 ", retried %" PRIu64 ", late %" PRIu64 "\n",
		indent, st->ops[PLX_OP_READ], st->ops[PLX_OP_WRITE], st->completed, st->errors,
		st->split, st->bounced, st->retried, st->late);
}

static void
text_dev(const struct show *s, const struct plx_mp_dev *dev)
{
	const struct plx_blk_info *i = &dev->info;

	printf("%s: %s, %s, %" PRIu64 " blocks of %u bytes", i->name, i->driver,
		plx_blk_state_name(i->state), i->nblocks, i->block_size);
	if (i->meta_size != 0)
		printf(" + %u", i->meta_size);
	if (i->zone_nblk != 0)
		printf(", zones of %" PRIu64, i->zone_nblk);
	printf(", %u of %u queues\n", dev->nb_queues, i->max_queues);
	if (i->model[0] != '\0')
		printf("  %s, serial %s, firmware %s\n", i->model, i->serial, i->firmware);
	if (s->stats)
		text_stats("  ", &dev->stats);
}

static void
text_queue(const struct show *s, const struct plx_mp_queue *q)
{
	printf("  process %d queue %u: depth %u, %u in flight, %" PRIu64 " completed\n", q->pid,
		q->qid, q->depth, q->inflight, q->stats.completed);
	if (s->stats)
		text_stats("    ", &q->stats);
}

int
show_one(const struct plx_mp_dev *dev, const struct plx_mp_queue *queue, void *arg)
{
	struct show *s = arg;

	if (dev != NULL)
		s->skip = !wanted(s, dev->info.name);
	if (s->skip)
		return 0;
	s->any = true;
	if (s->json && s->devs == NULL)
		s->devs = json_object_new_array();
	if (dev != NULL && s->json)
		json_dev(s, dev);
	else if (dev != NULL)
		text_dev(s, dev);
	else if (s->json)
		json_queue(s, queue);
	else
		text_queue(s, queue);
	return 0;
}

void
show_end(struct show *s, bool print)
{
	struct json_object *top = json_object_new_object();

	json_object_object_add(top, "devices", s->devs != NULL ? s->devs : json_object_new_array());
	if (print && s->json)
		printf("%s\n", json_object_to_json_string_ext(
				       top, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED |
						    JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(top);
	s->devs = NULL;
}
