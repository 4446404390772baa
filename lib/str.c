/*
 * SPDX-License-Identifier: ISC
 *
 * str - small questions about bounded text; see str.h.
 */
#include "config.h"

#include <string.h>

#include "str.h"

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static char
lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

bool
str_copy(char *out, size_t size, const char *text)
{
	return str_copy_n(out, size, text, strlen(text));
}

bool
str_copy_n(char *out, size_t size, const char *p, size_t n)
{
	if (size == 0)
		return false;
	if (n >= size || memchr(p, '\0', n) != NULL) {
		out[0] = '\0';
		return false;
	}
	memcpy(out, p, n);
	out[n] = '\0';
	return true;
}

bool
str_u64(const char *text, uint64_t min, uint64_t max, uint64_t *out)
{
	uint64_t v = 0;

	*out = 0;
	if (*text == '\0')
		return false;
	for (; *text != '\0'; text++) {
		uint64_t d;

		if (!is_digit(*text))
			return false;
		d = (uint64_t)(*text - '0');
		if (v > (UINT64_MAX - d) / 10)
			return false;
		v = v * 10 + d;
	}
	if (v < min || v > max)
		return false;
	*out = v;
	return true;
}

/* "12 MiB": the number, and where its unit begins. */
static bool
split_unit(const char *text, uint64_t *v, const char **unit)
{
	char num[24];
	size_t n = 0;

	while (is_digit(text[n]))
		n++;
	if (!str_copy_n(num, sizeof(num), text, n) || !str_u64(num, 0, UINT64_MAX, v))
		return false;
	*unit = text + n;
	if ((*unit)[0] == ' ' && (*unit)[1] != '\0')
		(*unit)++;
	return true;
}

struct unit {
	const char *name;
	uint64_t factor;
};

static bool
scale(const char *text, const struct unit *units, size_t n, uint64_t max, uint64_t *out)
{
	const char *name;
	uint64_t v;

	*out = 0;
	if (!split_unit(text, &v, &name))
		return false;
	for (size_t i = 0; i < n; i++) {
		if (!str_eq_nocase(units[i].name, name))
			continue;
		if (v > max / units[i].factor)
			return false;
		*out = v * units[i].factor;
		return true;
	}
	return false;
}

bool
str_duration(const char *text, int64_t *ms)
{
	static const struct unit units[] = {{"", 1000}, {"ms", 1}, {"s", 1000}, {"m", 60000},
	    {"min", 60000}, {"h", 3600000}, {"d", 86400000}};
	uint64_t v;

	*ms = 0;
	if (!scale(text, units, sizeof(units) / sizeof(units[0]), INT64_MAX, &v))
		return false;
	*ms = (int64_t)v;
	return true;
}

bool
str_size(const char *text, uint64_t *bytes)
{
	static const struct unit units[] = {{"", 1}, {"B", 1}, {"K", 1 << 10}, {"KiB", 1 << 10},
	    {"M", 1 << 20}, {"MiB", 1 << 20}, {"G", 1 << 30}, {"GiB", 1 << 30}};

	return scale(text, units, sizeof(units) / sizeof(units[0]), UINT64_MAX, bytes);
}

bool
str_only(const char *text, const char *also, size_t min, size_t max)
{
	size_t n = 0;

	for (; text[n] != '\0'; n++) {
		char c = lower(text[n]);

		if (n == max)
			return false;
		if (!is_digit(c) && !(c >= 'a' && c <= 'z') && strchr(also, text[n]) == NULL)
			return false;
	}
	return n >= min;
}

bool
str_eq(const char *a, const char *b)
{
	return strcmp(a, b) == 0;
}

bool
str_eq_nocase(const char *a, const char *b)
{
	for (; *a != '\0' || *b != '\0'; a++, b++)
		if (lower(*a) != lower(*b))
			return false;
	return true;
}

bool
str_begins(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

void
str_lower(char *text)
{
	for (; *text != '\0'; text++)
		*text = lower(*text);
}

bool
str_is_guid(const char *text)
{
	for (size_t i = 0; i < 36; i++) {
		char c = lower(text[i]);

		if (i == 8 || i == 13 || i == 18 || i == 23) {
			if (c != '-')
				return false;
		} else if (!is_digit(c) && !(c >= 'a' && c <= 'f')) {
			return false;
		}
	}
	return text[36] == '\0';
}

void
str_hex(char *out, const void *p, size_t n)
{
	static const char hex[] = "0123456789abcdef";
	const unsigned char *at = p;

	for (size_t i = 0; i < n; i++) {
		out[2 * i] = hex[at[i] >> 4];
		out[2 * i + 1] = hex[at[i] & 15];
	}
	out[2 * n] = '\0';
}

/* One byte as str_escape writes it; returns how many characters. */
static size_t
escape_byte(char out[5], unsigned char c)
{
	if (c == '\\') {
		memcpy(out, "\\\\", 3);
		return 2;
	}
	if (c >= 0x20 && c < 0x7f) {
		out[0] = (char)c;
		out[1] = '\0';
		return 1;
	}
	out[0] = '\\';
	out[1] = 'x';
	str_hex(out + 2, &c, 1);
	return 4;
}

char *
str_escape(char *out, size_t size, const char *p, size_t n)
{
	size_t at = 0, safe = 0; /* safe: where "..." would still fit */
	char one[5];

	for (size_t i = 0; i < n; i++) {
		size_t k = escape_byte(one, (unsigned char)p[i]);

		if (at + k >= size) {
			memcpy(out + safe, "...", 4);
			return out;
		}
		memcpy(out + at, one, k);
		at += k;
		if (at + 4 <= size)
			safe = at;
	}
	out[at] = '\0';
	return out;
}

/* Length of the sequence that starts with c, and the least code point it may hold; 0: none. */
static size_t
utf8_length(unsigned char c, unsigned *least)
{
	if (c < 0x80) {
		*least = 0;
		return 1;
	}
	if ((c & 0xe0) == 0xc0) {
		*least = 0x80;
		return 2;
	}
	if ((c & 0xf0) == 0xe0) {
		*least = 0x800;
		return 3;
	}
	if ((c & 0xf8) == 0xf0) {
		*least = 0x10000;
		return 4;
	}
	return 0;
}

bool
str_utf8(const char *p, size_t n)
{
	size_t i = 0;

	while (i < n) {
		unsigned char c = (unsigned char)p[i];
		unsigned least, v;
		size_t k = utf8_length(c, &least);

		if (k == 0 || k > n - i)
			return false;
		v = k == 1 ? c : c & (0xffu >> (k + 1));
		for (size_t j = 1; j < k; j++) {
			unsigned char d = (unsigned char)p[i + j];

			if ((d & 0xc0) != 0x80)
				return false;
			v = v << 6 | (d & 0x3fu);
		}
		if (v < least || v > 0x10ffff || (v >= 0xd800 && v <= 0xdfff))
			return false;
		i += k;
	}
	return true;
}

bool
str_host_match(const char *pattern, const char *host)
{
	const char *star = NULL, *mark = NULL; /* where to go on after the last "*" */

	while (*host != '\0') {
		if (*pattern == '*') {
			if (*host == '.')
				return false;
			star = ++pattern;
			mark = ++host;
		} else if (lower(*pattern) == lower(*host)) {
			pattern++;
			host++;
		} else if (star != NULL && *mark != '\0' && *mark != '.') {
			pattern = star;
			host = ++mark;
		} else {
			return false;
		}
	}
	return *pattern == '\0';
}
