/*
 * SPDX-License-Identifier: ISC
 *
 * client - an operator's calls to the API of an account; see client.h.
 */
#include "config.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api.h"
#include "client.h"
#include "clk.h"
#include "io.h"
#include "json.h"
#include "str.h"
#include "token.h"

#define TOKEN_ANSWER 65536 /* a token's answer is never longer */
#define LOOK_AGAIN 100     /* milliseconds, while another program asks for the token */
#define TICK 250           /* milliseconds between two tellings of progress */
#define BAD_WAITS 100      /* failures to wait, in a row, after which a request is given up */

struct client {
	const struct conf *conf;
	const struct conf_account *account;
	struct counts *counts;
	struct http *http;
	int tokens;          /* the folder */
	int64_t certificate; /* of the latest request's host */
	void (*progress)(uint64_t got, uint64_t all, void *);
	void *progress_arg;
};

static void
take_certificate(const char *host, int64_t ends, void *arg)
{
	struct client *cl = arg;

	(void)host;
	cl->certificate = ends;
}

int64_t
client_certificate(const struct client *cl)
{
	return cl->certificate;
}

enum rc
client_open(const struct conf *c, const struct conf_account *a, struct counts *counts,
    struct client **out, struct err *e)
{
	struct client *cl;
	int state = -1;
	enum rc rc;

	*out = NULL;
	if ((rc = conf_account_complete(a, e)) != RC_OK) {
		err_prefix(e, "account %.32s", a->name);
		return rc;
	}
	if ((cl = calloc(1, sizeof(*cl))) == NULL)
		return err_set(e, RC_LATER, "no memory");
	*cl = (struct client){.conf = c, .account = a, .counts = counts, .tokens = -1};
	if ((rc = io_make_dir(AT_FDCWD, c->daemon.state, 0750, &state, e)) == RC_OK)
		rc = io_make_dir(state, TOKEN_DIR, 0700, &cl->tokens, e);
	io_close(&state);
	if (rc == RC_GONE)
		rc = RC_CONFIG; /* of a call it would mean that the object is gone */
	if (rc == RC_OK)
		rc = http_new("spoolctl/" PACKAGE_VERSION, &cl->http, e);
	if (rc == RC_OK)
		http_on_certificate(cl->http, take_certificate, cl);
	else
		client_close(&cl);
	*out = cl;
	return rc;
}

void
client_close(struct client **cl)
{
	if (*cl == NULL)
		return;
	http_free(&(*cl)->http);
	io_close(&(*cl)->tokens);
	free(*cl);
	*cl = NULL;
}

void
client_progress(struct client *cl, void (*fn)(uint64_t, uint64_t, void *), void *arg)
{
	cl->progress = fn;
	cl->progress_arg = arg;
}

/* ---- one request ---- */

struct under_way {
	struct client_answer *ans;
	struct http_call *call;
	bool done;
};

static void
answered(const struct http_answer *a, void *arg)
{
	struct under_way *u = arg;

	u->call = NULL;
	u->done = true;
	u->ans->http = *a;
	u->ans->body = BUF_SECRET(a->body_len); /* it may be a token */
	buf_add(&u->ans->body, a->body, a->body_len);
	if (buf_state(&u->ans->body, NULL) != RC_OK) {
		u->ans->http.fate = HTTP_LOCAL;
		(void)snprintf(u->ans->http.text, sizeof(u->ans->http.text), "no memory");
	}
	u->ans->http.body = buf_text(&u->ans->body);
	u->ans->http.body_len = u->ans->body.n;
}

enum rc
client_exchange(
    struct client *cl, const struct http_request *rq, struct client_answer *ans, struct err *e)
{
	struct under_way u = {.ans = ans};
	unsigned bad = 0;
	enum rc rc;

	memset(ans, 0, sizeof(*ans));
	ans->http.body = "";
	cl->certificate = 0;
	if ((rc = http_start(cl->http, rq, answered, &u, &u.call, e)) != RC_OK)
		return rc;
	while (!u.done) {
		uint64_t got, all;

		rc = http_wait(cl->http, NULL, 0, TICK, e);
		if (rc != RC_OK && ++bad == BAD_WAITS) {
			http_cancel(cl->http, &u.call);
			return rc;
		}
		bad = rc == RC_OK ? 0 : bad;
		if (cl->progress != NULL && !u.done) {
			http_progress(u.call, &got, &all);
			cl->progress(got, all, cl->progress_arg);
		}
	}
	return RC_OK;
}

void
client_answer_free(struct client_answer *ans)
{
	buf_wipe(&ans->body);
	memset(ans, 0, sizeof(*ans));
	ans->http.body = "";
}

void
client_request(const struct client *cl, const char *url, struct http_request *rq)
{
	static const char *const headers[] = {"Accept: application/json, */*;q=0.5"};
	const struct conf *c = cl->conf;

	*rq = (struct http_request){.url = url,
	    .headers = headers,
	    .nheaders = 1,
	    .ca_file = cl->account->ca_file,
	    .max_body = c->daemon.max_record,
	    .file = -1,
	    .connect_timeout = c->daemon.connect_timeout,
	    .total_timeout = c->daemon.api_timeout,
	    .stall_timeout = c->daemon.stall_timeout};
}

void
client_json(struct http_request *rq, const char *method, const struct buf *json)
{
	static const char *const headers[] = {
	    "Content-Type: application/json", "Accept: application/json"};

	rq->headers = headers;
	rq->nheaders = 2;
	rq->post = buf_text(json);
	rq->post_len = json->n;
	rq->method = method;
}

/* ---- the token ---- */

/* With the lock held: ask, and keep what comes. */
static enum rc
ask(struct client *cl, struct err *e)
{
	struct buf body = BUF_SECRET(TOKEN_ANSWER);
	struct http_request rq;
	struct client_answer ans = {0};
	enum rc rc;

	if ((rc = token_request(cl->account, &body, e)) != RC_OK)
		goto out;
	client_request(cl, cl->account->token_url, &rq);
	client_json(&rq, NULL, &body);
	rq.max_body = TOKEN_ANSWER;
	if (cl->counts != NULL)
		count_add(cl->counts, COUNT_TOKENS, 1);
	if ((rc = client_exchange(cl, &rq, &ans, e)) != RC_OK)
		goto out;
	if (ans.http.fate != HTTP_ANSWERED)
		rc = err_set(e, RC_LATER, "no token: %.250s", ans.http.text);
	else
		rc = token_store(cl->tokens, cl->account, clk_wall(), ans.http.status,
		    ans.http.body, ans.http.body_len, e);
	client_answer_free(&ans);
out:
	buf_wipe(&body);
	return rc;
}

/* Become the one who asks, as soon as nobody else does. */
static enum rc
lock(struct client *cl, int *fd, struct err *e)
{
	int64_t end = clk_mono() + cl->conf->daemon.api_timeout;
	enum rc rc;

	while ((rc = token_lock(cl->tokens, cl->account, fd, e)) == RC_LATER) {
		if (clk_mono() >= end)
			return err_set(
			    e, RC_LATER, "no token: another program has been asking for long");
		(void)poll(NULL, 0, LOOK_AGAIN);
	}
	return rc;
}

enum rc
client_token(struct client *cl, struct buf *out, struct err *e)
{
	enum rc rc;
	int fd = -1;

	if ((rc = token_load(cl->tokens, cl->account, clk_wall(), out, e)) != RC_GONE)
		return rc;
	if ((rc = lock(cl, &fd, e)) != RC_OK)
		return rc;
	rc = token_load(cl->tokens, cl->account, clk_wall(), out, e);
	if (rc == RC_GONE && (rc = ask(cl, e)) == RC_OK &&
	    (rc = token_load(cl->tokens, cl->account, clk_wall(), out, e)) == RC_GONE)
		rc = err_set(e, RC_LATER, "no token: the one that came has expired already");
	io_close(&fd);
	return rc;
}

/* ---- calls ---- */

void
client_said(const struct client_answer *ans, char out[CLIENT_SAID])
{
	static const char *const names[] = {"message", "detail", "title", "error"};
	struct json *doc = NULL;

	out[0] = '\0';
	if (json_parse(ans->http.body, ans->http.body_len, &doc, NULL) != RC_OK)
		return;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]) && out[0] == '\0'; i++) {
		const char *text = json_string(json_member(doc, names[i]));

		if (text != NULL)
			(void)str_escape(out, CLIENT_SAID, text, strlen(text));
	}
	json_free(&doc);
}

static enum rc
judge(const struct client_answer *ans, struct err *e)
{
	char text[ERR_TEXT], said[CLIENT_SAID];
	int s = ans->http.status;
	enum verdict v = verdict_api(&ans->http, INT64_MAX, text);
	enum rc rc = RC_BAD;

	if (ans->http.fate == HTTP_ANSWERED && s / 100 == 2)
		return RC_OK;
	client_said(ans, said);
	if (v == V_LINK)
		rc = RC_EXISTS;
	else if (v == V_GONE)
		rc = RC_GONE;
	else if (v == V_OURS)
		rc = RC_FULL;
	else if (v == V_LATER || v == V_DOWN)
		rc = RC_LATER;
	else if (v == V_RENEW || s == 403 || ans->http.fate == HTTP_FORBIDDEN)
		rc = RC_DENIED;
	return err_set(e, rc, "%.140s%s%s", text, said[0] != '\0' ? ": " : "", said);
}

enum rc
client_run(
    struct client *cl, const struct http_request *rq, struct client_answer *ans, struct err *e)
{
	enum rc rc = client_exchange(cl, rq, ans, e);

	return rc == RC_OK ? judge(ans, e) : rc;
}

/* One call with the token there is; *refused: it was answered 401, and the token dropped. */
static enum rc
call_once(struct client *cl, const struct http_request *rq, struct client_answer *ans,
    bool *refused, struct err *e)
{
	struct buf token = BUF_SECRET(TOKEN_MAX);
	struct http_request mine = *rq;
	enum rc rc;

	*refused = false;
	if ((rc = client_token(cl, &token, e)) != RC_OK)
		goto out;
	mine.bearer = buf_text(&token);
	rc = client_run(cl, &mine, ans, e);
	if (ans->http.fate == HTTP_ANSWERED && ans->http.status == 401)
		*refused = token_refused(cl->tokens, cl->account, clk_wall(), mine.bearer, e) ==
			   RC_OK;
out:
	buf_wipe(&token);
	return rc;
}

enum rc
client_call(
    struct client *cl, const struct http_request *rq, struct client_answer *ans, struct err *e)
{
	bool refused;
	enum rc rc;

	memset(ans, 0, sizeof(*ans));
	ans->http.body = "";
	if (!api_is_ours(cl->account, rq->url))
		return err_set(
		    e, RC_DENIED, "not a URL of the account's API: no token is sent");
	rc = call_once(cl, rq, ans, &refused, e);
	if (!refused)
		return rc;
	client_answer_free(ans);
	return call_once(cl, rq, ans, &refused, e);
}
