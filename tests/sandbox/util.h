/*
 * SPDX-License-Identifier: ISC
 *
 * util - bounded text, numbers, identifiers, clocks and URL encoding.
 *
 * Nothing here does input or output.  Running out of memory ends the program:
 * a stand-in has nothing worth saving.
 */
#ifndef SANDBOX_UTIL_H
#define SANDBOX_UTIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ID_SIZE 23   /* a hash identifier: 22 characters and NUL */
#define GUID_SIZE 37 /* 36 characters and NUL */
#define TIME_SIZE 40
#define NAME_SIZE 96
#define HASH_MAX 64 /* longest hash identifier taken from a peer */

/* Text that grows up to max; bad is set, and nothing more added, beyond it. */
struct buf {
	char *p;
	size_t n, cap, max;
	bool bad;
};

void *mem_new(size_t n, size_t size);
void *mem_grow(void *p, size_t n, size_t size);

void buf_init(struct buf *b, size_t max);
void buf_free(struct buf *b);
void buf_clear(struct buf *b);
void buf_add(struct buf *b, const void *p, size_t n);
void buf_str(struct buf *b, const char *s);
void buf_fmt(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* s as a quoted JSON string; NULL becomes null. */
void buf_json(struct buf *b, const char *s);
/* s percent-encoded, all but unreserved characters (RFC 3986 section 2.3). */
void buf_url(struct buf *b, const char *s);

/* Cut to fit, always terminated. */
void text_copy(char *dst, size_t size, const char *src);
/* Whole text is a decimal number within lo..hi. */
bool num_parse(const char *s, long long lo, long long hi, long long *out);
/* Only [0-9A-Za-z_-], 1 to HASH_MAX. */
bool hash_valid(const char *s);

/* One reproducible 64-bit draw: number i of the stream (seed, stream). */
uint64_t draw(uint64_t seed, uint64_t stream, uint64_t i);
void id_hash(char out[ID_SIZE], uint64_t seed, uint64_t stream, uint64_t i);
void id_guid(char out[GUID_SIZE], uint64_t seed, uint64_t i);

int64_t clock_ms(void);     /* monotonic */
int64_t clock_utc_us(void); /* since 1970 */
/* RFC 3339 in UTC with 0 to 7 digits of fraction. */
void time_iso(char out[TIME_SIZE], int64_t utc_us, unsigned digits);
/* 20260305T101112Z, and back (-1: not such a time). */
void time_amz(char out[TIME_SIZE], int64_t utc_s);
int64_t time_amz_parse(const char *s);
/* RFC 9110 section 5.6.7. */
void time_http(char out[TIME_SIZE], int64_t utc_s);

/* false: bad escape, NUL, or too long; dst is then empty. */
bool url_decode(char *dst, size_t size, const char *src, size_t n, bool plus);
/* Value of the first parameter of that name (any case), decoded. */
bool query_get(const char *query, const char *name, char *out, size_t size);
void base64url(struct buf *b, const void *p, size_t n);

#endif
