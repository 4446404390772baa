/*
 * SPDX-License-Identifier: ISC
 *
 * http_priv - the inside of http: what its files and its tests share.
 *
 * For http*.c and their tests only; everybody else reads http.h.
 */
#ifndef ARKEN_HTTP_PRIV_H
#define ARKEN_HTTP_PRIV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "hash.h"
#include "http.h"

#define HTTP_HEAD 65536 /* bytes of all header lines of an answer; more is HTTP_CUT */
#define HTTP_LINE 8192  /* a header line of a request */
#define HTTP_SHORT 64   /* a Retry-After or Date with its NUL */
#define HTTP_RANGE 80   /* a Content-Range with its NUL */

/* What is collected from the header lines besides the answer's own fields. */
struct http_head {
	size_t bytes;   /* of all lines so far */
	bool ended;     /* the empty line was there: what follows are trailers */
	int64_t wall;   /* our clock when the last line came */
	bool dated;     /* theirs is valid */
	int64_t theirs; /* their Date */
	char retry[HTTP_SHORT];
	char range[HTTP_RANGE]; /* Content-Range */
};

/*
 * One header line, CR LF included; wall is the time now.  A status line begins anew, so that of
 * several heads (100, 103) the last one counts; trailers are left out.  false: too many bytes.
 */
bool http_head_line(struct http_head *head, struct http_answer *a, const char *p, size_t n,
    int64_t wall) MUST_CHECK;

/* Fill in what needs several header lines: retry_after, clock_skew. */
void http_head_finish(const struct http_head *head, struct http_answer *a);

/* "bytes 5-9/10" (RFC 9110 section 14.4), the whole known. false: anything else. */
bool http_range(const char *text, uint64_t *from, uint64_t *to, uint64_t *whole) MUST_CHECK;

/* An HTTP-date (RFC 9110 section 5.6.7) in milliseconds; false: none. */
bool http_date(const char *text, int64_t *ms) MUST_CHECK;

/* Why we end a transfer ourselves. */
enum http_stop {
	STOP_NOT,
	STOP_ENOUGH, /* an error's body: no more of it is kept */
	STOP_OVER,   /* the body is longer than the maximum */
	STOP_HEAD,   /* too many header lines */
	STOP_LOCAL,  /* disk or memory; http_body.sys tells */
	STOP_GUARD,  /* the address is not allowed */
	STOP_STALL,  /* nothing moved */
	STOP_PART,   /* a part that was not asked for */
	STOP_LATE,   /* total_timeout is over */
};

/* Where a body goes: to the file if the status is a 2xx and there is one, else to memory. */
struct http_body {
	int file; /* -1: none */
	uint64_t max_file, min_free;
	uint64_t from, whole; /* of the request */
	char if_range[HTTP_VALUE];
	uint64_t base; /* bytes that were in the file and stay */
	bool begun;    /* status and announced length are known */
	bool success, to_file;
	uint64_t got, limit;
	uint64_t looked;   /* got when the disk was last looked at */
	int sys;           /* errno for STOP_LOCAL */
	struct buf memory; /* wiped: records and tokens come this way */
	struct hash *sha256, *md5;
};

/* Ready for a body.  RC_LATER: no memory; http_body_free cleans up after that too. */
enum rc http_body_open(
    struct http_body *b, const struct http_request *r, struct err *e) MUST_CHECK;

/* Write it to this file, though none was asked for.  RC_LATER: no memory. */
enum rc http_body_file(struct http_body *b, int file, struct err *e) MUST_CHECK;

/* The head is complete: status and length of a are known.  range: Content-Range, "" none. */
enum http_stop http_body_begin(
    struct http_body *b, const struct http_answer *a, const char *range) MUST_CHECK;
enum http_stop http_body_add(struct http_body *b, const char *p, size_t n) MUST_CHECK;

/* All of it came: fill in the digests.  false: no memory. */
bool http_body_end(struct http_body *b, struct http_answer *a) MUST_CHECK;
void http_body_free(struct http_body *b);

/* May this line be sent?  A name, a colon, one line of text; neither Authorization nor X-Amz-*.
 */
bool http_header_ok(const char *line) MUST_CHECK;

/* The one line about an answer; said is what the library says before a request is sent. */
void http_say(struct http_answer *a, const char *where, const char *said, enum http_stop stop,
    uint64_t got, uint64_t limit);

/* What a CURLcode (as a number) means; codes we do not know are our side's trouble. */
enum http_fate http_fate_of(int code) MUST_CHECK;

#endif
