/*
 * SPDX-License-Identifier: ISC
 *
 * str - small questions about bounded text; nothing here allocates.
 */
#ifndef ARKEN_STR_H
#define ARKEN_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"

/* Copy with its NUL; false, and out empty, if it does not fit in size. */
bool str_copy(char *out, size_t size, const char *text) MUST_CHECK;

/* The same for n bytes that need not end in a NUL; false also if one is a NUL. */
bool str_copy_n(char *out, size_t size, const char *p, size_t n) MUST_CHECK;

/* The one parser of whole numbers: digits only, no sign, no space, min..max. */
bool str_u64(const char *text, uint64_t min, uint64_t max, uint64_t *out) MUST_CHECK;

/* "90", "90s", "15m", "2h", "30d" to milliseconds; a bare number is seconds. */
bool str_duration(const char *text, int64_t *ms) MUST_CHECK;

/* "4096", "64K", "10M", "2G" (also KiB MiB GiB) to bytes. */
bool str_size(const char *text, uint64_t *bytes) MUST_CHECK;

/* All of text is in [A-Za-z0-9] or in also, and its length is min..max. */
bool str_only(const char *text, const char *also, size_t min, size_t max) MUST_CHECK;

bool str_eq(const char *a, const char *b) MUST_CHECK;

/* Equal but for ASCII case. */
bool str_eq_nocase(const char *a, const char *b) MUST_CHECK;

bool str_begins(const char *text, const char *prefix) MUST_CHECK;

/* ASCII, in place. */
void str_lower(char *text);

/* A GUID: 8-4-4-4-12 hexadecimal digits (RFC 9562 section 4). */
bool str_is_guid(const char *text) MUST_CHECK;

/*
 * Lower-case hexadecimal of n bytes; out holds 2 * n + 1.
 */
void str_hex(char *out, const void *p, size_t n);

/*
 * Peer text made harmless: printable ASCII stays, backslash becomes \\,
 * anything else \xNN.  Always ends in a NUL; what does not fit is cut and ends in "...".
 * size is at least 8.  Returns out.
 */
char *str_escape(char *out, size_t size, const char *p, size_t n);

/* Well-formed UTF-8 (RFC 3629: no surrogates, nothing over U+10FFFF, shortest form). */
bool str_utf8(const char *p, size_t n) MUST_CHECK;

/*
 * Does host match pattern, ASCII case aside?  A "*" in a pattern stands for
 * one or more characters without a dot.
 */
bool str_host_match(const char *pattern, const char *host) MUST_CHECK;

#endif
