/* SPDX-License-Identifier: BSD-3-Clause */
#include <inttypes.h>
#include <stdio.h>

#ifdef TB_HAVE_BLKID
#include <blkid/blkid.h>
#endif

#include "safety.h"

#ifdef TB_HAVE_BLKID

#define PARTS_SHOWN 8

static const char *
value(blkid_probe pr, const char *name)
{
	const char *text;

	return blkid_probe_lookup_value(pr, name, &text, NULL) == 0 ? text : NULL;
}

/* What label and identity say, when there are some. */
static void
print_value(blkid_probe pr, const char *what, const char *name)
{
	const char *text = value(pr, name);

	if (text != NULL)
		fprintf(stderr, ", %s %s", what, text);
}

static void
print_size(uint64_t bytes)
{
	static const char units[] = "KMGTP";
	double n = (double)bytes / 1024;
	int i = 0;

	for (; n >= 1024 && units[i + 1] != '\0'; i++)
		n /= 1024;
	fprintf(stderr, "%.1f %ciB", n, units[i]);
}

static void
print_partitions(blkid_probe pr)
{
	blkid_partlist list = blkid_probe_get_partitions(pr);
	int n = list == NULL ? 0 : blkid_partlist_numof_partitions(list);

	fprintf(stderr, ", %d partition%s", n, n == 1 ? "" : "s");
	for (int i = 0; i < n && i < PARTS_SHOWN; i++) {
		blkid_partition p = blkid_partlist_get_partition(list, i);
		const char *name = blkid_partition_get_name(p);

		fprintf(stderr, "\n\t\t%d: ", blkid_partition_get_partno(p));
		print_size((uint64_t)blkid_partition_get_size(p) * 512);
		if (name != NULL && *name != '\0')
			fprintf(stderr, " \"%s\"", name);
	}
}

/* @return whether there was something to tell; after head */
static bool
print_one(blkid_probe pr, const char *head)
{
	const char *type = value(pr, "TYPE"), *table = value(pr, "PTTYPE");

	if (type == NULL && table == NULL)
		return false;
	fprintf(stderr, "%s\t%s", head, type != NULL ? type : table);
	if (type != NULL) {
		if (value(pr, "USAGE") != NULL)
			fprintf(stderr, " (%s)", value(pr, "USAGE"));
		print_value(pr, "label", "LABEL");
		print_value(pr, "uuid", "UUID");
	} else {
		fprintf(stderr, " partition table");
		print_value(pr, "uuid", "PTUUID");
		print_partitions(pr);
	}
	fputc('\n', stderr);
	return true;
}

int
tb_signatures(const char *head, int fd, uint64_t size, uint32_t block_size)
{
	blkid_probe pr = blkid_new_probe();
	int n = 0;

	if (pr == NULL)
		return 0;
	if (blkid_probe_set_device(pr, fd, 0, (blkid_loff_t)size) == 0) {
		blkid_probe_set_sectorsize(pr, block_size);
		blkid_probe_enable_superblocks(pr, 1);
		blkid_probe_set_superblocks_flags(pr, BLKID_SUBLKS_LABEL | BLKID_SUBLKS_UUID |
							      BLKID_SUBLKS_TYPE |
							      BLKID_SUBLKS_USAGE);
		blkid_probe_enable_partitions(pr, 1);
		blkid_probe_set_partitions_flags(pr, BLKID_PARTS_ENTRY_DETAILS);
		while (blkid_do_probe(pr) == 0)
			n += print_one(pr, n == 0 ? head : "");
	}
	blkid_free_probe(pr);
	return n;
}

#else

int
tb_signatures(const char *head, int fd, uint64_t size, uint32_t block_size)
{
	(void)head, (void)fd, (void)size, (void)block_size;
	return 0;
}

#endif
