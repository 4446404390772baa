/*
 * SPDX-License-Identifier: ISC
 *
 * forward - the contract with an HTTP receiver: what it is sent, and what its answer means.
 *
 * Pure; http.h sends it.  docs/integration.md is the contract for people.
 */
#ifndef ARKEN_FORWARD_H
#define ARKEN_FORWARD_H

#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "handed.h"
#include "http.h"
#include "sign.h"

#define FORWARD_LINES 10
#define FORWARD_LINE 1200

/* One request, ready to be sent. */
struct forward {
	struct buf text; /* the signed message; the body is its end */
	size_t body_at;
	char line[FORWARD_LINES][FORWARD_LINE];
	const char *header[FORWARD_LINES]; /* point into line */
	size_t n;
};

/*
 * The POST about an event: body and header lines.  record is the record's text, or NULL; now is
 * the wall clock.  RC_FULL: no memory, or larger than any limit allows.
 */
enum rc forward_post(struct forward *out, const struct hand *h, const char *record,
    size_t record_len, const struct sign_keys *keys, int64_t now, struct err *e) MUST_CHECK;

/* The PUT of its document: header lines only.  What is signed is its Content-Digest. */
enum rc forward_put(struct forward *out, const struct hand *h, const struct sign_keys *keys,
    int64_t now, struct err *e) MUST_CHECK;
void forward_free(struct forward *f);

/* Where the document is put.  RC_BAD: the event has no value for a placeholder. */
enum rc forward_url(
    const char *template, const struct hand *h, char out[HTTP_URL], struct err *e) MUST_CHECK;

/* What an answer means; text gets one line for people. */
enum handed forward_verdict(const struct http_answer *a, char text[HANDED_TEXT]);

#endif
