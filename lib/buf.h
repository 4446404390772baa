/*
 * SPDX-License-Identifier: ISC
 *
 * buf - bytes that grow up to a stated maximum.
 *
 * An addition that fails (maximum, memory) marks the buffer broken; later
 * additions do nothing, so a text is built first and asked about once.
 */
#ifndef ARKEN_BUF_H
#define ARKEN_BUF_H

#include <stdbool.h>
#include <stddef.h>

#include "err.h"

struct buf {
	char *p;     /* always ends in a NUL that is not counted, or NULL when empty */
	size_t n;    /* bytes in it */
	size_t cap;  /* bytes allocated */
	size_t max;  /* never more than this */
	bool broken; /* something did not fit */
	bool secret; /* memory is wiped when it is left */
};

#define BUF_INIT(m) ((struct buf){.max = (m)})
#define BUF_SECRET(m) ((struct buf){.max = (m), .secret = true}) /* end with buf_wipe */

void buf_add(struct buf *b, const void *p, size_t n);
void buf_str(struct buf *b, const char *text);
void buf_fmt(struct buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* text as a JSON string, with its quotes (RFC 8259 section 7); invalid UTF-8 becomes U+FFFD. */
void buf_json(struct buf *b, const char *text);

/* text percent-encoded: only unreserved characters stay (RFC 3986 section 2.3). */
void buf_url(struct buf *b, const char *text);

/* Room for n more bytes at p + n; RC_FULL: the maximum or the memory forbids it. */
enum rc buf_room(struct buf *b, size_t n) MUST_CHECK;

/* RC_OK, or RC_FULL if any addition failed. */
enum rc buf_state(const struct buf *b, struct err *e) MUST_CHECK;

/* The text, "" when empty; b keeps it. */
const char *buf_text(const struct buf *b);

void buf_clear(struct buf *b); /* empty, memory kept */
void buf_free(struct buf *b);
void buf_wipe(struct buf *b); /* for secrets: overwritten, then freed */

#endif
