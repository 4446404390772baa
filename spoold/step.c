/*
 * SPDX-License-Identifier: ISC
 *
 * step - the steps of a try: callback, record, link, document; see work.h.
 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clk.h"
#include "hash.h"
#include "io.h"
#include "log.h"
#include "sniff.h"
#include "str.h"
#include "token.h"
#include "verdict.h"
#include "work.h"

#define RELINKS 3                    /* fresh links asked for in one try */
#define HOPS 3                       /* redirects followed on the way to a document */
#define MD5_BASE64 25                /* with its NUL */
#define PAUSE (10 * CLK_MINUTE)      /* a target that a person has to look at */
#define LINK_SPARE (30 * CLK_SECOND) /* a link that ends sooner is not kept for a retry */

static void step_callback(struct work *w);
static void step_download(struct work *w);

static struct store_place
place_of(const struct work *w)
{
	return (struct store_place){w->rec.account, w->ev.category, w->object};
}

/* Remember the step a retry begins with. */
static void
at_step(struct work *w, const char *step)
{
	(void)snprintf(w->job->retry.step, sizeof(w->job->retry.step), "%s", step);
}

/* May we use this target now?  false: the try has ended and waits. */
static bool
ask_target(struct work *w, const char *kind, const char *name)
{
	struct target *t;
	char why[RETRY_TEXT];
	int64_t wait;

	(void)snprintf(w->target, sizeof(w->target), "%s:%s", kind, name);
	t = target_get(w->d->targets, w->target, clk_mono());
	if ((wait = target_ask(t, clk_mono())) == 0)
		return true;
	(void)snprintf(why, sizeof(why), "%.60s is down: %.150s", w->target, t->reason);
	work_wait(w, wait, why);
	return false;
}

/* The target answered, whatever it said. */
static void
target_answered(struct work *w)
{
	struct target *t = target_get(w->d->targets, w->target, clk_mono());

	if (target_up(t))
		log_put(LOG_NOTE, "target is up again", "target", w->target, LOG_END);
}

/* The target is down.  Ends the try: counted only if it was well before. */
static void
target_failed(struct work *w, int64_t retry_after, const char *why)
{
	int64_t now = clk_mono(), wait = w->d->conf->daemon.retry_min;
	struct target *t = target_get(w->d->targets, w->target, now);
	bool opened, counts = target_down(t, now, retry_after, why, &opened);

	if (opened)
		log_put(
		    LOG_ERROR, "target is down", "target", w->target, "reason", why, LOG_END);
	if (t->open_until > now)
		wait = t->open_until - now;
	if (counts)
		work_retry(w, retry_after, why);
	else
		work_wait(w, wait > retry_after ? wait : retry_after, why);
}

static void
settings(const struct work *w, struct http_request *rq)
{
	const struct conf *c = w->d->conf;

	rq->ca_file = w->grant->account->ca_file;
	rq->connect_timeout = c->daemon.connect_timeout;
	rq->stall_timeout = c->daemon.stall_timeout;
	rq->max_body = c->daemon.max_record;
	rq->file = -1;
}

/* ---- the document ---- */

static void
commit_on_pool(void *arg)
{
	struct work *w = arg;
	struct store_place at = place_of(w);

	w->pool_rc = store_commit(w->d->store, &at, &w->doc, &w->meta, &w->pool_err);
}

static void
committed(void *arg)
{
	struct work *w = arg;
	struct counts *c = spool_counts(w->d->spool);
	char size[24], where[API_OBJECT + 80];
	struct store_place at = place_of(w);

	w->on_pool = false;
	if (w->pool_rc == RC_BAD) {
		work_finish(w, SPOOL_FAILED, w->pool_err.text);
		return;
	}
	if (w->pool_rc != RC_OK && w->pool_rc != RC_EXISTS) {
		work_retry(w, -1, w->pool_err.text);
		return;
	}
	(void)snprintf(size, sizeof(size), "%" PRIu64, w->meta.size);
	daemon_note(w->d, "document", w->job->name, "bytes", size, "sha256", w->meta.sha256);
	if (w->pool_rc == RC_OK) {
		count_add(c, COUNT_DOCUMENTS, 1);
		count_add(c, COUNT_DOCUMENT_BYTES, w->meta.size);
	}
	if (store_where(&at, where, sizeof(where), NULL) != RC_OK)
		where[0] = '\0';
	log_put(LOG_INFO, "document", "event", w->job->name, "bytes", size, "store", where,
	    LOG_END);
	work_finish(w, SPOOL_DONE,
	    w->pool_rc == RC_EXISTS ? "the same document was in the store already"
				    : "record and document are in the store");
}

/* The bytes are in the temporary file: are they the document? */
static void
check_document(struct work *w, const char *content_type, const char *name)
{
	char first[SNIFF_BYTES];
	ssize_t n = pread(w->doc.fd, first, sizeof(first), 0);
	struct err e;

	w->meta.event_time = w->rec.received;
	w->meta.stored = clk_wall();
	(void)snprintf(w->meta.event, sizeof(w->meta.event), "%s", w->job->name);
	if (n < 0) {
		(void)err_sys(&e, "pread", "document");
		work_retry(w, -1, e.text);
		return;
	}
	if (sniff(first, (size_t)n, content_type, name, &w->meta, &e) != RC_OK) {
		work_retry(w, -1, e.text);
		return;
	}
	work_on_pool(w, commit_on_pool, committed);
}

/* 32 hexadecimal digits as Content-MD5 has them (RFC 1864): base64. */
static void
md5_base64(const char *hex, char out[MD5_BASE64])
{
	static const char digits[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	static const char hexes[] = "0123456789abcdef";
	size_t n = 0;

	for (size_t i = 0; i < 32; i += 3) {
		size_t v = 0;

		for (size_t k = i; k < i + 3; k++)
			v = v * 16 + (k < 32 ? (size_t)(strchr(hexes, hex[k]) - hexes) : 0);
		out[n++] = digits[v / 64];
		out[n++] = digits[v % 64];
	}
	(void)snprintf(out + n, MD5_BASE64 - n, "==");
}

/* A digest the host gives has to be the digest of what came; without MD5 here nobody can tell.
 */
static bool
digest_agrees(const struct http_answer *a)
{
	const char *tag = a->etag;
	char plain[64], sum[MD5_BASE64];
	size_t n = strlen(tag);

	if (strlen(a->md5) != 32 || strspn(a->md5, "0123456789abcdef") != 32)
		return true;
	md5_base64(a->md5, sum);
	if (strlen(a->content_md5) == strlen(sum) && !str_eq(a->content_md5, sum))
		return false;
	if (n >= 2 && tag[0] == '"' && tag[n - 1] == '"') {
		if (!str_copy_n(plain, sizeof(plain), tag + 1, n - 2))
			return true;
		tag = plain;
	}
	if (strlen(tag) != 32 || strspn(tag, "0123456789abcdefABCDEF") != 32)
		return true;
	if (a->encryption[0] != '\0' && !str_eq(a->encryption, "AES256"))
		return true;
	return str_eq_nocase(tag, a->md5);
}

/* An absolute Location, or one that begins at the host's root. */
static bool
follow(struct work *w, const char *location)
{
	char next[HTTP_URL], raw[HTTP_URL];
	struct http_url u;

	if (location[0] == '/' && location[1] != '/') {
		if (!http_url(w->link, &u) ||
		    (size_t)snprintf(raw, sizeof(raw), "%s://%s:%s%s", u.scheme, u.host, u.port,
			location) >= sizeof(raw))
			return false;
	} else if (!str_copy(raw, sizeof(raw), location)) {
		return false;
	}
	return http_mend(raw, next, sizeof(next)) && str_copy(w->link, sizeof(w->link), next);
}

/* Keep a link that is still good for the next try. */
static void
keep_link(struct work *w)
{
	struct job *job = w->job;

	if (job->link != NULL)
		explicit_bzero(job->link, strlen(job->link));
	free(job->link);
	job->link = NULL;
	if (w->link[0] == '\0' || (w->link_end != 0 && w->link_end - clk_wall() < LINK_SPARE))
		return;
	job->link = strdup(w->link);
	job->link_end = w->link_end;
}

/* The link does not lead to the document any more: ask for another one, a few times. */
static void
relink(struct work *w, const char *why)
{
	store_abort(w->d->store, &w->doc);
	w->link[0] = '\0';
	keep_link(w); /* none */
	if (w->relinks++ >= RELINKS) {
		work_retry(w, -1, why);
		return;
	}
	daemon_note(w->d, "relink", w->job->name, "reason", why, NULL, NULL);
	step_callback(w);
}

static void
downloaded(const struct http_answer *a, void *arg)
{
	struct work *w = arg;
	char why[ERR_TEXT], name[STORE_TEXT];
	enum verdict v = verdict_document(a, why);

	w->call = NULL;
	if (v != V_DOWN)
		target_answered(w);
	switch (v) {
	case V_OK:
		if (!digest_agrees(a)) {
			work_retry(
			    w, -1, "the document does not have the digest that its host gives");
			return;
		}
		sniff_name(a->disposition, w->link, name, sizeof(name));
		(void)snprintf(w->meta.sha256, sizeof(w->meta.sha256), "%s", a->sha256);
		w->meta.size = a->file_len;
		check_document(w, a->content_type, name);
		return;
	case V_LINK:
		store_abort(w->d->store, &w->doc);
		if (w->hops++ >= HOPS || !follow(w, a->location))
			work_retry(w, -1, "too many redirects, or one that leads nowhere");
		else
			step_download(w);
		return;
	case V_RELINK:
	case V_RENEW:
	case V_GONE:
		relink(w, why);
		return;
	case V_DOWN:
		keep_link(w);
		target_failed(w, a->retry_after, why);
		return;
	case V_LATER:
		keep_link(w);
		work_retry(w, a->retry_after, why);
		return;
	case V_NEVER:
		work_finish(w, SPOOL_FAILED, why);
		return;
	}
}

static void
step_download(struct work *w)
{
	struct http_request rq = {.url = w->link,
	    .guard = w->grant->guard,
	    .max_file = w->d->conf->daemon.max_document};
	struct http_url u;
	struct err e;
	enum rc rc;

	at_step(w, "document");
	if (!http_url(w->link, &u)) {
		work_finish(w, SPOOL_FAILED, "the document's link is not a URL");
		return;
	}
	if (guard_url(w->grant->guard, u.scheme, u.host, u.port, u.userinfo, &e) != RC_OK) {
		work_finish(w, SPOOL_FAILED, e.text);
		return;
	}
	if (!ask_target(w, "document", u.host))
		return;
	settings(w, &rq);
	if ((rc = store_begin(w->d->store, &w->doc, &e)) != RC_OK) {
		target_release(target_get(w->d->targets, w->target, clk_mono()));
		work_retry(w, -1, e.text);
		return;
	}
	rq.file = w->doc.fd;
	if ((rc = http_start(w->d->http, &rq, downloaded, w, &w->call, &e)) == RC_OK)
		return;
	target_release(target_get(w->d->targets, w->target, clk_mono()));
	if (rc == RC_DENIED || rc == RC_BAD)
		work_finish(w, SPOOL_FAILED, e.text);
	else
		work_retry(w, -1, e.text);
}

/* ---- the record ---- */

/* The record is in the store: is there a document besides? */
static void
step_link(struct work *w)
{
	struct json *doc = NULL;
	struct err e;
	enum rc rc;

	if ((rc = json_parse(buf_text(&w->record), w->record.n, &doc, &e)) == RC_OK)
		rc = api_link(w->d->conf, &w->ev, doc, w->grant->guard, w->link, &e);
	json_free(&doc);
	if (rc == RC_DENIED) {
		work_finish(w, SPOOL_FAILED, e.text);
	} else if (rc != RC_OK) {
		work_retry(w, -1, e.text);
	} else {
		w->link_end = api_link_end(w->link);
		step_download(w);
	}
}

static void
record_on_pool(void *arg)
{
	struct work *w = arg;
	struct store_place at = place_of(w);

	w->pool_rc = store_record(
	    w->d->store, &at, buf_text(&w->record), w->record.n, &w->pool_err);
}

static void
recorded(void *arg)
{
	struct work *w = arg;

	w->on_pool = false;
	if (w->pool_rc == RC_GONE) {
		work_finish(w, SPOOL_DONE, "the object was deleted before this event");
		return;
	}
	if (w->pool_rc != RC_OK) {
		work_retry(w, -1, w->pool_err.text);
		return;
	}
	daemon_note(w->d, "record", w->job->name, NULL, NULL, NULL, NULL);
	if (api_has_document(&w->ev))
		step_link(w);
	else
		work_finish(w, SPOOL_DONE, "the record is in the store");
}

/* The answer to the call back is the document itself, not its details. */
static void
take_bytes(struct work *w, const struct http_answer *a)
{
	struct err e;
	char name[STORE_TEXT];
	enum rc rc;

	if ((rc = store_begin(w->d->store, &w->doc, &e)) == RC_OK &&
	    (rc = io_write_all(w->doc.fd, a->body, a->body_len, &e)) == RC_OK)
		rc = hash_sha256(a->body, a->body_len, w->meta.sha256, &e);
	if (rc != RC_OK) {
		work_retry(w, -1, e.text);
		return;
	}
	w->meta.size = a->body_len;
	sniff_name(a->disposition, "", name, sizeof(name));
	check_document(w, a->content_type, name);
}

static void
take_record(struct work *w, const struct http_answer *a)
{
	struct err e;

	if (json_check(a->body, a->body_len, &e) != RC_OK) {
		if (api_has_document(&w->ev) && strstr(a->content_type, "json") == NULL) {
			take_bytes(w, a);
			return;
		}
		err_prefix(&e, "the API's answer is not JSON");
		work_retry(w, -1, e.text);
		return;
	}
	buf_free(&w->record);
	w->record = BUF_INIT(a->body_len);
	buf_add(&w->record, a->body, a->body_len);
	if (buf_state(&w->record, &e) != RC_OK)
		work_retry(w, -1, e.text);
	else
		work_on_pool(w, record_on_pool, recorded);
}

/* 401: once in a try with a new token; a fresh token refused is for a person. */
static void
renew(struct work *w)
{
	struct grant *g = w->grant;
	struct err e;
	enum rc rc;

	rc = token_refused(g->dir, g->account, clk_wall(), buf_text(&w->token), &e);
	if (rc == RC_OK && !w->renewed) {
		w->renewed = true;
		step_callback(w);
		return;
	}
	if (rc != RC_CONFIG) {
		work_retry(w, -1, "the API refused the token");
		return;
	}
	target_pause(
	    target_get(w->d->targets, w->target, clk_mono()), clk_mono(), PAUSE, e.text);
	log_put(LOG_ERROR, "the API refuses our token", "target", w->target, "reason", e.text,
	    LOG_END);
	work_wait(w, PAUSE, e.text);
}

static void
called_back(const struct http_answer *a, void *arg)
{
	struct work *w = arg;
	char why[ERR_TEXT], status[16];
	/* Only a document may come after its event: anything else that is not there is gone. */
	int64_t age = api_has_document(&w->ev) ? clk_wall() - w->rec.received : INT64_MAX;
	enum verdict v = verdict_api(a, age, why);

	w->call = NULL;
	(void)snprintf(status, sizeof(status), "%d", a->status);
	daemon_note(w->d, "callback", w->job->name, "status", a->status != 0 ? status : NULL,
	    "verdict", verdict_name(v));
	if (v != V_DOWN)
		target_answered(w);
	switch (v) {
	case V_OK:
		take_record(w, a);
		return;
	case V_LINK:
		if (api_has_document(&w->ev) &&
		    http_mend(a->location, w->link, sizeof(w->link))) {
			w->link_end = api_link_end(w->link);
			step_download(w);
		} else {
			work_finish(w, SPOOL_FAILED, "the API answered with a redirect");
		}
		return;
	case V_RENEW:
		renew(w);
		return;
	case V_GONE:
		work_finish(w, SPOOL_DONE, "gone at the vendor");
		return;
	case V_DOWN:
		target_failed(w, a->retry_after, why);
		return;
	case V_LATER:
	case V_RELINK:
		work_retry(w, a->retry_after, why);
		return;
	case V_NEVER:
		work_finish(w, SPOOL_FAILED, why);
		return;
	}
}

static void
step_callback(struct work *w)
{
	static const char *const headers[] = {"Accept: application/json, */*;q=0.5"};
	struct http_request rq = {.headers = headers, .nheaders = 1};
	char url[HTTP_URL];
	int64_t wait;
	struct err e;
	enum rc rc;

	at_step(w, "callback");
	rc = api_callback(w->d->conf, w->grant->account, &w->ev, url, &e);
	if (rc != RC_OK) {
		work_finish(w, rc == RC_GONE ? SPOOL_DONE : SPOOL_FAILED, e.text);
		return;
	}
	buf_wipe(&w->token);
	rc = grant_get(w->grant, w, &w->token, &wait, &e);
	if (rc == RC_EXISTS)
		return;
	if (rc != RC_OK) {
		work_wait(w, wait, e.text);
		return;
	}
	if (!ask_target(w, "api", w->grant->account->name))
		return;
	settings(w, &rq);
	rq.url = url;
	rq.bearer = api_is_ours(w->grant->account, url) ? buf_text(&w->token) : NULL;
	rq.total_timeout = w->d->conf->daemon.api_timeout;
	count_add(spool_counts(w->d->spool), COUNT_CALLBACKS, 1);
	if ((rc = http_start(w->d->http, &rq, called_back, w, &w->call, &e)) == RC_OK)
		return;
	target_release(target_get(w->d->targets, w->target, clk_mono()));
	if (rc == RC_LATER)
		work_retry(w, -1, e.text);
	else
		work_finish(w, SPOOL_FAILED, e.text);
}

void
work_token(struct work *w, enum rc rc, int64_t wait, const struct err *why)
{
	if (rc == RC_OK)
		step_callback(w);
	else
		work_wait(w, wait, why->text);
}

/* ---- where a try begins ---- */

static void
tombstone_on_pool(void *arg)
{
	struct work *w = arg;
	struct store_place at = place_of(w);

	w->pool_rc = store_tombstone(w->d->store, &at, w->job->name, clk_wall(), &w->pool_err);
}

static void
buried(void *arg)
{
	struct work *w = arg;

	w->on_pool = false;
	if (w->pool_rc == RC_OK)
		work_finish(
		    w, SPOOL_DONE, "deleted at the vendor: a tombstone is in the store");
	else
		work_retry(w, -1, w->pool_err.text);
}

/* A Download event, ours perhaps: what is in the store already is not fetched again. */
static bool
have_document(struct work *w)
{
	struct store_place at = place_of(w);
	struct store_meta meta;

	return str_eq(w->ev.type, "Download") &&
	       store_document(w->d->store, &at, &meta, NULL) == RC_OK;
}

void
work_first_step(struct work *w)
{
	struct job *job = w->job;

	if (api_is_delete(&w->ev)) {
		work_on_pool(w, tombstone_on_pool, buried);
		return;
	}
	if (have_document(w)) {
		work_finish(w, SPOOL_DONE, "fetched by somebody; the document is in the store");
		return;
	}
	if (job->link != NULL && str_eq(job->retry.step, "document") &&
	    str_copy(w->link, sizeof(w->link), job->link) &&
	    (job->link_end == 0 || job->link_end - clk_wall() > LINK_SPARE)) {
		w->link_end = job->link_end;
		step_download(w);
		return;
	}
	step_callback(w);
}
