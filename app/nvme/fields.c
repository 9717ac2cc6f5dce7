/* SPDX-License-Identifier: BSD-3-Clause */
/* Structures to text and JSON. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "cli.h"

/* Little-endian, of up to 8 bytes. */
uint64_t
cli_number(const void *p, unsigned int size)
{
	const uint8_t *b = p;
	uint64_t v = 0;

	while (size-- > 0)
		v = v << 8 | b[size];
	return v;
}

/* 128 bits in decimal; text has room for 40. */
static void
big_text(const uint8_t *p, char *text)
{
	unsigned __int128 v = (unsigned __int128)cli_number(p + 8, 8) << 64 | cli_number(p, 8);
	char digits[40];
	int n = 0;

	do
		digits[n++] = (char)('0' + (int)(v % 10));
	while ((v /= 10) != 0);
	while (n > 0)
		*text++ = digits[--n];
	*text = '\0';
}

/* Without blanks behind, and nothing that a terminal takes for more. */
static void
plain_text(const char *p, unsigned int size, char *text)
{
	unsigned int i;

	while (size > 0 && (p[size - 1] == ' ' || p[size - 1] == '\0'))
		size--;
	for (i = 0; i < size; i++)
		text[i] = p[i] >= 0x20 && p[i] < 0x7f ? p[i] : '?';
	text[i] = '\0';
}

static void
bytes_text(const uint8_t *p, unsigned int size, char *text)
{
	while (size-- > 0)
		text += sprintf(text, "%02x", *p++);
}

static void
uuid_text(const uint8_t *p, char *text)
{
	for (unsigned int i = 0; i < 16; i++)
		text += sprintf(
			text, i == 4 || i == 6 || i == 8 || i == 10 ? "-%02x" : "%02x", p[i]);
}

static void
value_text(const struct cli_field *f, const void *p, char *text)
{
	switch (f->type) {
	case F_DEC:
		sprintf(text, "%" PRIu64, cli_number(p, f->size));
		break;
	case F_HEX:
		sprintf(text, "%#" PRIx64, cli_number(p, f->size));
		break;
	case F_IEEE:
		sprintf(text, "%06" PRIx64, cli_number(p, f->size));
		break;
	case F_KELVIN:
		sprintf(text, "%" PRId64 " C (%" PRIu64 " Kelvin)",
			(int64_t)cli_number(p, f->size) - 273, cli_number(p, f->size));
		break;
	case F_TEXT:
		plain_text(p, f->size, text);
		break;
	case F_BIG:
		big_text(p, text);
		break;
	case F_BYTES:
		bytes_text(p, f->size, text);
		break;
	case F_UUID:
		uuid_text(p, text);
		break;
	case F_SCALE:
		sprintf(text, "%u", *(const uint8_t *)p >> 6);
		break;
	}
}

void
cli_print_fields(const struct cli_field *f, unsigned int n, const void *base, int width)
{
	char text[300];

	for (; n > 0; n--, f++) {
		value_text(f, (const uint8_t *)base + f->off, text);
		printf("%-*s: %s\n", width, f->name, text);
	}
}

static json_object *
value_json(const struct cli_field *f, const void *p)
{
	char text[300];

	switch (f->type) {
	case F_TEXT:
	case F_BYTES:
	case F_UUID:
		value_text(f, p, text);
		return json_object_new_string(text);
	case F_SCALE:
		return json_object_new_int(*(const uint8_t *)p >> 6);
	case F_BIG: /* a number of any length */
		big_text(p, text);
		return json_object_new_double_s(strtod(text, NULL), text);
	default:
		return json_object_new_uint64(cli_number(p, f->size));
	}
}

void
cli_json_fields(json_object *o, const struct cli_field *f, unsigned int n, const void *base)
{
	for (; n > 0; n--, f++)
		json_object_object_add(o, f->name, value_json(f, (const uint8_t *)base + f->off));
}

static int
flushed(bool ok)
{
	if (ok && fflush(stdout) == 0)
		return CLI_OK;
	cli_say("writing to the standard output failed");
	return CLI_FAIL;
}

int
cli_print_json(json_object *o)
{
	int rc = printf("%s\n", json_object_to_json_string_ext(
					o, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED |
						   JSON_C_TO_STRING_NOSLASHESCAPE));

	json_object_put(o);
	return flushed(rc > 0);
}

int
cli_print_binary(const void *data, size_t len)
{
	return flushed(fwrite(data, 1, len, stdout) == len);
}

void
cli_hexdump(const void *data, size_t len)
{
	const uint8_t *p = data;

	printf("       0  1  2  3  4  5  6  7  8  9  a  b  c  d  e  f\n");
	for (size_t i = 0; i < len; i += 16) {
		size_t n = len - i < 16 ? len - i : 16;

		printf("%04zx:", i);
		for (size_t k = 0; k < 16; k++)
			k < n ? printf(" %02x", p[i + k]) : printf("   ");
		printf(" \"");
		for (size_t k = 0; k < n; k++)
			putchar(p[i + k] >= 0x20 && p[i + k] < 0x7f ? p[i + k] : '.');
		printf("\"\n");
	}
}
