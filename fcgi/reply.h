/*
 * SPDX-License-Identifier: ISC
 *
 * reply - the answers: one table of cases, and the bytes of each.
 *
 * Pure.  Bytes are a CGI response (RFC 3875 section 6): header fields, an
 * empty line, a body of JSON.  A refusal is application/problem+json
 * (RFC 9457) and says nothing that helps an attacker.
 */
#ifndef ARKEN_REPLY_H
#define ARKEN_REPLY_H

#include <stdbool.h>
#include <stddef.h>

#include "buf.h"
#include "count.h"
#include "log.h"

#define REPLY_SIZE 524288    /* an answer is never longer: 1,000 events of an array fit */
#define REPLY_RETRY_AFTER 30 /* seconds, with every 503 */

enum reply {
	REPLY_ACCEPTED,      /* every event is durable, or was before */
	REPLY_NOT_FOUND,     /* no account is posted to at this path */
	REPLY_METHOD,        /* not POST */
	REPLY_UNAUTHORIZED,  /* no, wrong or repeated credentials */
	REPLY_NO_TOKEN,      /* the same where a token is asked for: none */
	REPLY_BAD_TOKEN,     /* ... or one that is no good */
	REPLY_NO_KEYS,       /* the issuer's keys are not here, or too old: ask again */
	REPLY_MALFORMED,     /* the parameters contradict themselves or the body */
	REPLY_TOO_LARGE,     /* over max_body, announced or found */
	REPLY_MEDIA,         /* not JSON by its content type */
	REPLY_SHORT,         /* the body ended early */
	REPLY_NOT_EVENT,     /* kept in rejected: not strict JSON, or no event in it */
	REPLY_OTHER_ACCOUNT, /* kept in rejected: for another account */
	REPLY_UNAVAILABLE,   /* no room, a failed sync, no memory: the sender is to repeat it */
	REPLY_STATUS,        /* a status page */
	REPLY_STATUS_METHOD, /* neither GET nor HEAD, for one */
	REPLY_STATUS_DENIED, /* no valid token for one */
};
#define REPLY_CASES 17

struct reply_item {
	const char *id;
	bool duplicate;
};

/* The status code of a case, and its name for the log ("accepted", "unauthorized", ...). */
int reply_status(enum reply r);
const char *reply_name(enum reply r);

/* How a case is logged, and the counter of its answers. */
enum log_level reply_level(enum reply r);
enum count reply_count(enum reply r);

/* The whole answer to what was accepted: one event, or the n of an array in their order. */
void reply_accepted(struct buf *out, const struct reply_item *items, size_t n, bool is_array);

/* A status page: it is well (200) or not (503).  With head only what is before its text. */
void reply_page(
    struct buf *out, bool well, const char *type, const struct buf *text, bool head);

/* The whole answer to what was refused, any case but REPLY_ACCEPTED and REPLY_STATUS. */
void reply_refused(struct buf *out, enum reply r);

/* The answer when there is no memory to make one: a constant 503. */
const char *reply_last_resort(void);

#endif
