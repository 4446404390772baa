/*
 * SPDX-License-Identifier: ISC
 *
 * http_text - the texts of http: header lines, one line about an answer, links as people write
 * them.
 *
 * Pure.  Knows nothing of libcurl.
 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "clk.h"
#include "http_priv.h"
#include "str.h"

/* ---- header lines ---- */

static bool
is_space(char c)
{
	return c == ' ' || c == '\t';
}

/* Spaces and the line's end taken off both ends. */
static void
trim(const char **p, size_t *n)
{
	while (*n > 0 && is_space(**p)) {
		(*p)++;
		(*n)--;
	}
	while (
	    *n > 0 && (is_space((*p)[*n - 1]) || (*p)[*n - 1] == '\r' || (*p)[*n - 1] == '\n'))
		(*n)--;
}

/* The first of several wins; a value too long or with control characters is left out. */
static void
keep(char *out, size_t size, const char *p, size_t n)
{
	if (out[0] != '\0')
		return;
	for (size_t i = 0; i < n; i++)
		if (((unsigned char)p[i] < 0x20 && p[i] != '\t') || p[i] == 0x7f)
			return;
	if (!str_copy_n(out, size, p, n))
		out[0] = '\0';
}

static void
begin_again(struct http_head *head, struct http_answer *a)
{
	head->ended = head->dated = false;
	head->retry[0] = head->range[0] = '\0';
	a->content_type[0] = a->etag[0] = a->content_md5[0] = '\0';
	a->encryption[0] = a->disposition[0] = a->coding[0] = '\0';
}

static void
note_date(struct http_head *head, const char *p, size_t n)
{
	char text[HTTP_SHORT];

	if (!head->dated && str_copy_n(text, sizeof(text), p, n))
		head->dated = http_date(text, &head->theirs);
}

static void
note_value(
    struct http_head *head, struct http_answer *a, const char *name, const char *p, size_t n)
{
	if (str_eq_nocase(name, "content-type"))
		keep(a->content_type, sizeof(a->content_type), p, n);
	else if (str_eq_nocase(name, "etag"))
		keep(a->etag, sizeof(a->etag), p, n);
	else if (str_eq_nocase(name, "content-md5"))
		keep(a->content_md5, sizeof(a->content_md5), p, n);
	else if (str_eq_nocase(name, "x-amz-server-side-encryption"))
		keep(a->encryption, sizeof(a->encryption), p, n);
	else if (str_eq_nocase(name, "content-disposition"))
		keep(a->disposition, sizeof(a->disposition), p, n);
	else if (str_eq_nocase(name, "content-encoding"))
		keep(a->coding, sizeof(a->coding), p, n);
	else if (str_eq_nocase(name, "content-range"))
		keep(head->range, sizeof(head->range), p, n);
	else if (str_eq_nocase(name, "retry-after"))
		keep(head->retry, sizeof(head->retry), p, n);
	else if (str_eq_nocase(name, "date"))
		note_date(head, p, n);
}

bool
http_head_line(
    struct http_head *head, struct http_answer *a, const char *p, size_t n, int64_t wall)
{
	const char *colon;
	char name[HTTP_SHORT];

	if (n > HTTP_HEAD - head->bytes)
		return false;
	head->bytes += n;
	head->wall = wall;
	if (n >= 5 && memcmp(p, "HTTP/", 5) == 0) {
		begin_again(head, a);
		return true;
	}
	if (n == 0 || *p == '\r' || *p == '\n')
		head->ended = true;
	if (head->ended || (colon = memchr(p, ':', n)) == NULL ||
	    !str_copy_n(name, sizeof(name), p, (size_t)(colon - p)))
		return true;
	n -= (size_t)(colon + 1 - p);
	p = colon + 1;
	trim(&p, &n);
	note_value(head, a, name, p, n);
	return true;
}

/* Seconds or a date, the latter against their clock if they told it; -1: neither. */
static int64_t
retry_after(const struct http_head *head)
{
	int64_t ms, now = head->dated ? head->theirs : head->wall;
	const char *text = head->retry;
	uint64_t s;

	if (text[0] == '\0')
		return -1;
	if (text[strspn(text, "0123456789")] == '\0')
		return str_u64(text, 0, CLK_DAY / CLK_SECOND, &s) ? (int64_t)s * CLK_SECOND
								  : CLK_DAY;
	if (!http_date(text, &ms))
		return -1;
	if (ms <= now)
		return 0;
	return ms - now < CLK_DAY ? ms - now : CLK_DAY;
}

bool
http_etag_strong(const char *etag)
{
	size_t n = etag != NULL ? strlen(etag) : 0;

	return n > 2 && etag[0] == '"' && etag[n - 1] == '"' &&
	       memchr(etag + 1, '"', n - 2) == NULL;
}

bool
http_range(const char *text, uint64_t *from, uint64_t *to, uint64_t *whole)
{
	char first[24], last[24];
	size_t a, b;

	if (!str_begins(text, "bytes "))
		return false;
	text += 6;
	a = strcspn(text, "-");
	if (text[a] != '-')
		return false;
	b = strcspn(text + a + 1, "/");
	return text[a + 1 + b] == '/' && str_copy_n(first, sizeof(first), text, a) &&
	       str_copy_n(last, sizeof(last), text + a + 1, b) &&
	       str_u64(first, 0, INT64_MAX, from) && str_u64(last, *from, INT64_MAX, to) &&
	       str_u64(text + a + 1 + b + 1, *to + 1, INT64_MAX, whole);
}

void
http_head_finish(const struct http_head *head, struct http_answer *a)
{
	a->retry_after = retry_after(head);
	a->clock_skew = head->dated ? head->theirs - head->wall : 0;
}

bool
http_header_ok(const char *line)
{
	size_t n = strcspn(line, ":"), i;
	char name[HTTP_SHORT];

	if (line[n] != ':' || !str_copy_n(name, sizeof(name), line, n) ||
	    !str_only(name, "!#$%&'*+-.^_`|~", 1, sizeof(name)))
		return false;
	for (i = n; line[i] != '\0' && i < HTTP_LINE; i++)
		if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
			return false;
	str_lower(name);
	return line[i] == '\0' && !str_begins(name, "x-amz-") && !str_eq(name, "authorization");
}

/* ---- about an answer ---- */

static const char *
reason(const struct http_answer *a, enum http_stop stop)
{
	switch (a->fate) {
	case HTTP_NO_NAME:
		return "no such name, or no name server";
	case HTTP_NO_CONNECT:
		return "no connection";
	case HTTP_NO_TLS:
		return "no trusted connection (TLS)";
	case HTTP_STALLED:
		return stop == STOP_STALL ? "nothing came any more" : "not done in time";
	case HTTP_CUT:
		if (stop == STOP_PART)
			return "a part came that was not asked for";
		return stop == STOP_HEAD ? "too many headers" : "the answer is cut or no HTTP";
	case HTTP_TOO_LARGE:
		return "the answer is too long";
	case HTTP_FORBIDDEN:
		return "not an address that is allowed";
	case HTTP_LOCAL:
		return a->sys != 0 ? strerror(a->sys) : "trouble on our side";
	case HTTP_ANSWERED:
		break;
	}
	return "";
}

void
http_say(struct http_answer *a, const char *where, const char *said, enum http_stop stop,
    uint64_t got, uint64_t limit)
{
	char more[200] = "";

	a->text[0] = '\0';
	if (a->fate == HTTP_ANSWERED) {
		if (a->status / 100 != 2)
			(void)snprintf(
			    a->text, sizeof(a->text), "%.100s: status %d", where, a->status);
		return;
	}
	if (a->fate == HTTP_STALLED || a->fate == HTTP_CUT)
		(void)snprintf(more, sizeof(more), " (after %" PRIu64 " bytes)", got);
	else if (a->fate == HTTP_TOO_LARGE)
		(void)snprintf(more, sizeof(more), " (over %" PRIu64 " bytes)", limit);
	else if (said[0] != '\0')
		(void)snprintf(more, sizeof(more), ": %.190s", said);
	(void)snprintf(
	    a->text, sizeof(a->text), "%.100s: %.60s%.158s", where, reason(a, stop), more);
}

/* ---- links ---- */

struct pen { /* writes into a given place and remembers if it was too small */
	char *out;
	size_t size, n;
	bool full;
};

static void
put(struct pen *pen, const char *p, size_t n)
{
	if (pen->full || n >= pen->size - pen->n) {
		pen->full = true;
		return;
	}
	memcpy(pen->out + pen->n, p, n);
	pen->n += n;
	pen->out[pen->n] = '\0';
}

static bool
is_hex(char c)
{
	return c != '\0' && strchr("0123456789abcdefABCDEF", c) != NULL;
}

/*
 * Path and query.  What may stand in a query (RFC 3986 section 3.4) stays, as does %XX.  A "#"
 * is encoded: such a link has no fragment, but a file name in it may have a "#".
 */
static void
put_encoded(struct pen *pen, const char *p, size_t n)
{
	char code[4] = "%";

	for (size_t i = 0; i < n; i++) {
		char one[2] = {p[i], '\0'};
		bool stays = p[i] == '%' ? n - i > 2 && is_hex(p[i + 1]) && is_hex(p[i + 2])
					 : str_only(one, "-._~!$&'()*+,;=:@/?", 1, 1);

		if (stays) {
			put(pen, one, 1);
			continue;
		}
		code[1] = "0123456789ABCDEF"[(unsigned char)p[i] >> 4];
		code[2] = "0123456789ABCDEF"[(unsigned char)p[i] & 15];
		put(pen, code, 3);
	}
}

/* Control characters are never a slip of the pen. */
static bool
is_text(const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)p[i] < 0x20 || p[i] == 0x7f)
			return false;
	return true;
}

/* "http://" or "https://" in any case; the bytes it takes, 0: neither. */
static size_t
scheme_length(const char *p, size_t n)
{
	char start[9];

	for (size_t k = 7; k <= 8 && k <= n; k++)
		if (str_copy_n(start, sizeof(start), p, k) &&
		    str_eq_nocase(start, k == 7 ? "http://" : "https://"))
			return k;
	return 0;
}

bool
http_mend(const char *raw, char *out, size_t size)
{
	struct pen pen = {out, size, 0, false};
	size_t n = strnlen(raw, HTTP_URL), at, scheme;
	struct http_url parts;

	if (size == 0)
		return false;
	out[0] = '\0';
	if (n == HTTP_URL || !is_text(raw, n))
		return false;
	trim(&raw, &n);
	if ((scheme = scheme_length(raw, n)) == 0)
		return false;
	put(&pen, scheme == 7 ? "http://" : "https://", scheme);
	for (at = scheme; at < n && strchr("/?#", raw[at]) == NULL;)
		at++;
	put(&pen, raw + scheme, at - scheme);
	if (at == n || raw[at] != '/')
		put(&pen, "/", 1);
	put_encoded(&pen, raw + at, n - at);
	if (!pen.full && pen.n < HTTP_URL && http_url(out, &parts))
		return true;
	out[0] = '\0';
	return false;
}
