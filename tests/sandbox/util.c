/*
 * SPDX-License-Identifier: ISC
 *
 * util - bounded text, numbers, identifiers, clocks and URL encoding.
 *
 * Does no input or output but for the last words when memory is out.
 */
#include "config.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sysexits.h>
#include <time.h>

#include "util.h"

void *
mem_new(size_t n, size_t size)
{
	void *p;

	if ((p = calloc(n, size)) == NULL) {
		fputs("arken-sandbox: out of memory\n", stderr);
		exit(EX_OSERR);
	}
	return p;
}

void *
mem_grow(void *p, size_t n, size_t size)
{
	if ((p = reallocarray(p, n, size)) == NULL) {
		fputs("arken-sandbox: out of memory\n", stderr);
		exit(EX_OSERR);
	}
	return p;
}

void
buf_init(struct buf *b, size_t max)
{
	memset(b, 0, sizeof(*b));
	b->max = max;
}

void
buf_free(struct buf *b)
{
	free(b->p);
	buf_init(b, b->max);
}

void
buf_clear(struct buf *b)
{
	b->n = 0;
	b->bad = false;
	if (b->p != NULL)
		b->p[0] = '\0';
}

void
buf_add(struct buf *b, const void *p, size_t n)
{
	size_t cap = b->cap != 0 ? b->cap : 256;

	if (b->bad || n > b->max - b->n) {
		b->bad = true;
		return;
	}
	while (cap < b->n + n + 1)
		cap *= 2;
	if (cap != b->cap) {
		b->p = mem_grow(b->p, cap, 1);
		b->cap = cap;
	}
	if (n > 0)
		memcpy(b->p + b->n, p, n);
	b->n += n;
	b->p[b->n] = '\0';
}

void
buf_str(struct buf *b, const char *s)
{
	buf_add(b, s, strlen(s));
}

void
buf_fmt(struct buf *b, const char *fmt, ...)
{
	char line[2048];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= sizeof(line))
		b->bad = true;
	else
		buf_add(b, line, (size_t)n);
}

void
buf_json(struct buf *b, const char *s)
{
	const char *from;

	if (s == NULL) {
		buf_str(b, "null");
		return;
	}
	buf_add(b, "\"", 1);
	for (from = s; *s != '\0'; s++) {
		if (*s != '"' && *s != '\\' && (unsigned char)*s >= 0x20)
			continue;
		buf_add(b, from, (size_t)(s - from));
		buf_fmt(b, "\\u%04x", (unsigned char)*s);
		from = s + 1;
	}
	buf_add(b, from, (size_t)(s - from));
	buf_add(b, "\"", 1);
}

static bool
is_alnum(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

void
buf_url(struct buf *b, const char *s)
{
	for (; *s != '\0'; s++) {
		if (is_alnum(*s) || strchr("-._~", *s) != NULL)
			buf_add(b, s, 1);
		else
			buf_fmt(b, "%%%02X", (unsigned char)*s);
	}
}

void
text_copy(char *dst, size_t size, const char *src)
{
	size_t n = strnlen(src, size - 1);

	memcpy(dst, src, n);
	dst[n] = '\0';
}

bool
num_parse(const char *s, long long lo, long long hi, long long *out)
{
	const char *digits = s + (*s == '-');
	char *end;
	long long v;

	if (*digits < '0' || *digits > '9')
		return false;
	errno = 0;
	v = strtoll(s, &end, 10);
	if (errno != 0 || *end != '\0' || v < lo || v > hi)
		return false;
	*out = v;
	return true;
}

bool
hash_valid(const char *s)
{
	size_t n;

	for (n = 0; s[n] != '\0'; n++) {
		if (n >= HASH_MAX || (!is_alnum(s[n]) && s[n] != '_' && s[n] != '-'))
			return false;
	}
	return n > 0;
}

/* splitmix64: public domain, Sebastiano Vigna. */
static uint64_t
mix(uint64_t z)
{
	z += 0x9e3779b97f4a7c15U;
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
	return z ^ (z >> 31);
}

uint64_t
draw(uint64_t seed, uint64_t stream, uint64_t i)
{
	return mix(mix(mix(seed) ^ stream) ^ i);
}

void
id_hash(char out[ID_SIZE], uint64_t seed, uint64_t stream, uint64_t i)
{
	static const char set[] =
	    "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
	uint64_t r = draw(seed, stream, i);
	size_t k;

	for (k = 0; k < ID_SIZE - 1; k++) {
		if (k % 10 == 0)
			r = mix(r + k);
		out[k] = set[r % 62];
		r /= 62;
	}
	out[k] = '\0';
}

void
id_guid(char out[GUID_SIZE], uint64_t seed, uint64_t i)
{
	uint64_t a = draw(seed, 0x67756964, i), b = mix(a);

	snprintf(out, GUID_SIZE, "%08x-%04x-4%03x-%04x-%012llx", (unsigned)(a >> 32),
	    (unsigned)(a >> 16) & 0xffff, (unsigned)a & 0xfff,
	    ((unsigned)(b >> 48) & 0x3fff) | 0x8000, (unsigned long long)(b & 0xffffffffffffU));
}

int64_t
clock_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int64_t
clock_utc_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

void
time_iso(char out[TIME_SIZE], int64_t utc_us, unsigned digits)
{
	time_t s = (time_t)(utc_us / 1000000);
	char frac[16];
	struct tm tm;
	size_t n;

	gmtime_r(&s, &tm);
	n = strftime(out, TIME_SIZE, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(frac, sizeof(frac), ".%06d7", (int)(utc_us % 1000000));
	if (digits == 0)
		snprintf(out + n, TIME_SIZE - n, "Z");
	else
		snprintf(
		    out + n, TIME_SIZE - n, "%.*sZ", (int)(digits > 7 ? 7 : digits) + 1, frac);
}

void
time_amz(char out[TIME_SIZE], int64_t utc_s)
{
	time_t s = (time_t)utc_s;
	struct tm tm;

	gmtime_r(&s, &tm);
	strftime(out, TIME_SIZE, "%Y%m%dT%H%M%SZ", &tm);
}

int64_t
time_amz_parse(const char *s)
{
	char end = '\0';
	struct tm tm;

	memset(&tm, 0, sizeof(tm));
	if (strlen(s) != 16 ||
	    sscanf(s, "%4d%2d%2dT%2d%2d%2d%c", &tm.tm_year, &tm.tm_mon, &tm.tm_mday,
		&tm.tm_hour, &tm.tm_min, &tm.tm_sec, &end) != 7 ||
	    end != 'Z')
		return -1;
	tm.tm_year -= 1900;
	tm.tm_mon -= 1;
	return (int64_t)timegm(&tm);
}

void
time_http(char out[TIME_SIZE], int64_t utc_s)
{
	time_t s = (time_t)utc_s;
	struct tm tm;

	gmtime_r(&s, &tm);
	strftime(out, TIME_SIZE, "%a, %d %b %Y %H:%M:%S GMT", &tm);
}

static int
hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool
url_decode(char *dst, size_t size, const char *src, size_t n, bool plus)
{
	size_t i, k = 0;
	char c;

	for (i = 0; i < n; i++, k++) {
		c = src[i];
		if (c == '%') {
			if (n - i < 3 || hex(src[i + 1]) < 0 || hex(src[i + 2]) < 0)
				goto bad;
			c = (char)(hex(src[i + 1]) * 16 + hex(src[i + 2]));
			i += 2;
		} else if (c == '+' && plus)
			c = ' ';
		if (c == '\0' || k + 1 >= size)
			goto bad;
		dst[k] = c;
	}
	dst[k] = '\0';
	return true;
bad:
	dst[0] = '\0';
	return false;
}

bool
query_get(const char *query, const char *name, char *out, size_t size)
{
	size_t len = strlen(name), n, k;

	out[0] = '\0';
	for (; *query != '\0'; query += n + (query[n] == '&')) {
		n = strcspn(query, "&");
		k = strcspn(query, "=&");
		if (k == len && strncasecmp(query, name, len) == 0)
			return k < n && url_decode(out, size, query + k + 1, n - k - 1, true);
	}
	return false;
}

void
base64url(struct buf *b, const void *p, size_t n)
{
	static const char set[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	const unsigned char *u = p;
	size_t i, k;
	uint32_t v;

	for (i = 0; i < n; i += 3) {
		v = (uint32_t)u[i] << 16;
		v |= i + 1 < n ? (uint32_t)u[i + 1] << 8 : 0;
		v |= i + 2 < n ? u[i + 2] : 0;
		for (k = 0; k < 4 && i + k <= n; k++)
			buf_add(b, &set[(v >> (18 - 6 * k)) & 63], 1);
	}
}
