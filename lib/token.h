/*
 * SPDX-License-Identifier: ISC
 *
 * token - one bearer token an account, on disk, shared by all programs.
 *
 * OAuth 2 client credentials (RFC 6749 section 4.4), asked for about once a
 * day.  Knows the file, the request and the answer; sends nothing itself.
 * The token is never logged.
 */
#ifndef ARKEN_TOKEN_H
#define ARKEN_TOKEN_H

#include <stdint.h>

#include "buf.h"
#include "clk.h"
#include "conf.h"
#include "err.h"

#define TOKEN_DIR "token" /* below the folder of the daemon's state, 0700 */
#define TOKEN_EARLY                                                                            \
	(5 * CLK_MINUTE) /* renewed this long before it expires (at most half its life) */
#define TOKEN_AGAIN (10 * CLK_MINUTE) /* 401s force no more than one renewal in this time */
#define TOKEN_MAX 16384               /* a longer token is refused */

/*
 * The token of an account from dir (the folder state/token), appended to out (BUF_SECRET).
 * RC_GONE: none, expired, about to, or made for other settings (token_url, client_id,
 * audience).
 */
enum rc token_load(int dir, const struct conf_account *a, int64_t now, struct buf *out,
    struct err *e) MUST_CHECK;

/* When the token that is kept was made and ends (wall clock); both 0: there is none. */
void token_times(int dir, const struct conf_account *a, int64_t *fetched, int64_t *expires);

/*
 * Become the one who asks: *lock is an open, locked file (io_close lets go).  RC_LATER: another
 * program is asking; look again soon.  After this, token_load once more before asking.
 */
enum rc token_lock(int dir, const struct conf_account *a, int *lock, struct err *e) MUST_CHECK;

/* The body of the request to a->token_url, JSON; the client's secret is read from its file. out
 * is BUF_SECRET. */
enum rc token_request(const struct conf_account *a, struct buf *out, struct err *e) MUST_CHECK;

/*
 * Judge the answer and keep the token (0600, durable).  RC_OK; RC_LATER: 408, 429, 5xx, not
 * an answer we understand; RC_CONFIG: any other refusal, with the OAuth error code in the text.
 */
enum rc token_store(int dir, const struct conf_account *a, int64_t now, int status,
    const char *body, size_t n, struct err *e) MUST_CHECK;

/*
 * The API said 401 to this token.  RC_OK: it was dropped (or replaced meanwhile by another
 * program), ask again.  RC_CONFIG: the last time one was dropped is less than TOKEN_AGAIN ago:
 * this one stays.
 */
enum rc token_refused(int dir, const struct conf_account *a, int64_t now, const char *token,
    struct err *e) MUST_CHECK;

#endif
