/*
 * SPDX-License-Identifier: ISC
 *
 * subscription - what Arken is told about where it is to post, and with which credential.
 *
 * Makes bodies and keeps secrets; sends nothing.
 */
#ifndef ARKEN_SUBSCRIPTION_H
#define ARKEN_SUBSCRIPTION_H

#include <stdbool.h>
#include <sys/types.h>

#include "buf.h"
#include "conf.h"
#include "err.h"
#include "json.h"

#define SUBSCRIPTION_BODY 65536 /* bytes of a body at most */
#define SUBSCRIPTION_MASK "********"

/* What the placeholders of subscription_body stand for; NULL: no value. */
struct subscription {
	const char *account_hash, *url, *version;
	const char *header, *secret; /* in a header, or: */
	const char *token_url, *client_id, *client_secret, *audience;
};

/*
 * The body, appended to out (BUF_SECRET), SUBSCRIPTION_BODY at most.  RC_CONFIG: the template
 * has no place for the credential, or for the URL.
 */
enum rc subscription_body(const char *template, const struct subscription *s, struct buf *out,
    struct err *e) MUST_CHECK;

/* An answer with the texts masked whose names say that they are secret, on one line. */
void subscription_mask(const struct json *answer, struct buf *out);

/* Does any text in an answer say exactly this? */
bool subscription_says(const struct json *answer, const char *text) MUST_CHECK;

/*
 * The newest secret of a file, its last line that is not empty, appended to out (BUF_SECRET).
 * RC_GONE: no file, or an empty one.
 */
enum rc subscription_secret(const char *path, struct buf *out, struct err *e) MUST_CHECK;

/*
 * Make a new secret (256 bits, base64url), appended to out (BUF_SECRET), and add it to the file
 * as its newest line, durably.  A file that is not there is made, 0640, of this group, so that
 * the receiver can read it; one that is there keeps owner and mode.
 */
enum rc subscription_new_secret(
    const char *path, gid_t group, struct buf *out, struct err *e) MUST_CHECK;

#endif
