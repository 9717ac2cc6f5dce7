/* SPDX-License-Identifier: BSD-3-Clause */
/* A program with a driver of its own, linked with the static library: for plx-pmdinfo; and, as
 * JSON, what the library itself says of its drivers: they must agree. */
#include <inttypes.h>
#include <stdio.h>

#include "plx_probe_drv.h"

static const char *const keys[] = {"one", "two", NULL};
static const struct plx_pci_id ids[] = {
	{0x1234, 0x5678, PLX_PCI_ANY}, {0x1af4, PLX_PCI_ANY, 0x010000}, {0}};

static const struct plx_driver outsider = {
	.name = "outsider",
	.help = "pci:... with \"quotes\" and \\",
	.keys = keys,
	.pci_ids = ids,
	.kmod = "* vfio-pci | uio_pci_generic",
};
PLX_DRIVER_INFO(outsider);

static void
string(const char *key, const char *s, const char *end)
{
	printf("\"%s\": ", key);
	if (s == NULL)
		printf("null");
	else
		putchar('"');
	for (; s != NULL && *s != '\0'; s++)
		printf("%s%c", *s == '"' || *s == '\\' ? "\\" : "", *s);
	printf("%s%s", end[0] == ' ' ? "\"" : "", end);
}

static void
number(const char *key, uint32_t v)
{
	if (v == PLX_PCI_ANY)
		printf("\"%s\": null", key);
	else
		printf("\"%s\": %" PRIu32, key, v);
}

static void
driver(const struct plx_driver *d)
{
	const struct plx_pci_id *id;
	const char *const *k;

	printf("{");
	string("name", d->name, " , ");
	string("help", d->help, " , ");
	string("kmod", d->kmod, d->kmod != NULL ? " , " : ", ");
	printf("\"keys\": [");
	for (k = d->keys; k != NULL && *k != NULL; k++)
		printf("%s\"%s\"", k != d->keys ? ", " : "", *k);
	printf("], \"pci_ids\": [");
	for (id = d->pci_ids; id != NULL && id->vendor != 0; id++) {
		printf("%s{", id != d->pci_ids ? ", " : "");
		number("vendor", id->vendor);
		printf(", ");
		number("device", id->device);
		printf(", ");
		number("class", id->class_code);
		printf("}");
	}
	printf("]}");
}

int
main(void)
{
	const struct plx_driver *d;

	if (plx_driver_register(&outsider) != 0)
		return 1;
	printf("[");
	for (d = plx_driver_next(NULL); d != NULL; d = plx_driver_next(d)) {
		driver(d);
		printf("%s\n", d == &outsider ? "]" : ",");
	}
	return 0;
}
