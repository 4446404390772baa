/*
 * SPDX-License-Identifier: ISC
 *
 * rec - the record format: an RFC 5322 header before the request body.
 *
 * Version 1 (Arken-Spool: 1).  Header lines are at most 998 bytes and end in
 * LF; values are printable ASCII, the rest escaped.  The body is the request
 * body byte for byte.  A new version keeps the reader of the old one.
 */
#ifndef ARKEN_REC_H
#define ARKEN_REC_H

#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "err.h"
#include "hash.h"
#include "name.h"

#define REC_VERSION 1
#define REC_HEAD_MAX 16384 /* a header is never longer */
#define REC_VALUE 256      /* a value with its NUL, before escaping */

#define REC_ERASED 82 /* a salt of 16 digits, a dot, a digest, and a NUL */

enum rec_source { REC_WEBHOOK, REC_RECONCILE, REC_OPERATOR };

struct rec {
	char name[NAME_SIZE];
	char account[NAME_ACCOUNT];
	int64_t received; /* milliseconds, written with seconds */
	enum rec_source source;
	char auth[REC_VALUE];   /* which credential verified it, never the credential */
	char remote[REC_VALUE]; /* the peer's address as the web server gave it */
	char subject[REC_VALUE];
	char sha256[HASH_HEX];
	int64_t erased; /* when body, subject and object ids were taken out of it; 0: not */
	/* Of an erased one, so that the vendor's feed finds it known; "" and 0: not known. */
	char erased_ids[REC_ERASED]; /* event_ids_digest */
	int64_t event_time;          /* when the vendor says that it happened */
	const char *body; /* borrowed: rec_write reads it, rec_parse points into its input */
	size_t body_len;
};

/*
 * Fill in the digest of the body and append the header, its empty line included, to out.
 * RC_BAD: rec_parse would refuse it (name and account are not an event's).
 */
enum rc rec_write(struct buf *out, struct rec *r, struct err *e) MUST_CHECK;

/*
 * Read a record; out->body points into p.  Length and digest are verified:
 * RC_BAD says what is wrong (torn, changed, another version).
 */
enum rc rec_parse(const char *p, size_t n, struct rec *out, struct err *e) MUST_CHECK;

/* Only the header of a record of which p holds the beginning: the body is not verified. */
enum rc rec_head(const char *p, size_t n, struct rec *out, struct err *e) MUST_CHECK;

const char *rec_source_name(enum rec_source s);

#endif
