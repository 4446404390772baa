/*
 * SPDX-License-Identifier: ISC
 *
 * client - an operator's calls to the API of an account, one at a time, each waited for.
 *
 * The same code, limits, time-outs and token as the daemon: the token is the one on disk, and
 * whoever needs a new one asks under the same lock.  To be used as the daemon's user.
 */
#ifndef ARKEN_CLIENT_H
#define ARKEN_CLIENT_H

#include <stdint.h>

#include "buf.h"
#include "conf.h"
#include "count.h"
#include "err.h"
#include "http.h"
#include "verdict.h"

struct client;

struct client_answer {
	struct http_answer http; /* its body is that of the buffer */
	struct buf body;
};

#define CLIENT_SAID 160 /* what an answer says about its refusal, with its NUL */

/*
 * For one account.  conf, account and counts (may be NULL) have to last; the caller owns *out.
 * RC_CONFIG: the account lacks what the API needs, or there is no place for the daemon's state,
 * whose folder is made as the daemon makes it.
 */
enum rc client_open(const struct conf *c, const struct conf_account *a, struct counts *counts,
    struct client **out, struct err *e) MUST_CHECK;
void client_close(struct client **cl);

/* While a request runs fn is told how far it is, several times a second; NULL: nobody is. */
void client_progress(
    struct client *cl, void (*fn)(uint64_t got, uint64_t all, void *), void *arg);

/*
 * The token, appended to out (BUF_SECRET): the one on disk, else a new one.  Waits for another
 * program that is asking.  RC_CONFIG: our credentials are refused; RC_LATER: the token's host
 * does not answer as it should.
 */
enum rc client_token(struct client *cl, struct buf *out, struct err *e) MUST_CHECK;

/* A GET of url with the configuration's limits and time-outs, to be changed at will. */
void client_request(const struct client *cl, const char *url, struct http_request *rq);

/* Make it a POST of JSON, or with method "PUT" or "DELETE" that. */
void client_json(struct http_request *rq, const char *method, const struct buf *json);

/*
 * Call the API with the token; one that is refused (401) is renewed once.  What came is in
 * *ans, to be freed whatever is returned.  RC_OK: a 2xx.  RC_EXISTS: a redirect, to
 * ans->http.location.  RC_GONE: 404 or 410.  RC_DENIED: 401, 403, or url is not of the API.
 * RC_LATER: the API is down or busy.  RC_BAD: any other answer.  RC_CONFIG: as client_token.
 */
enum rc client_call(struct client *cl, const struct http_request *rq, struct client_answer *ans,
    struct err *e) MUST_CHECK;

/* The same without a token, for another host: a document, a page that anybody may read. */
enum rc client_run(struct client *cl, const struct http_request *rq, struct client_answer *ans,
    struct err *e) MUST_CHECK;

/* The same, not judged: RC_OK whatever came of it; look at ans->http. */
enum rc client_exchange(struct client *cl, const struct http_request *rq,
    struct client_answer *ans, struct err *e) MUST_CHECK;

/*
 * When the certificate of the latest request's host ends, wall clock; 0: not known, for it was
 * a connection that had been open.
 */
int64_t client_certificate(const struct client *cl);

void client_answer_free(struct client_answer *ans);

/*
 * What an error's body says in its "message", "detail", "title" or "error", made harmless; ""
 * nothing.
 */
void client_said(const struct client_answer *ans, char out[CLIENT_SAID]);

#endif
