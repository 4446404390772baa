/*
 * SPDX-License-Identifier: ISC
 *
 * step - the steps of a try up to the document: callback, record, link; see step.h.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "clk.h"
#include "document.h"
#include "handover.h"
#include "log.h"
#include "park.h"
#include "share.h"
#include "step.h"
#include "str.h"
#include "token.h"
#include "verdict.h"
#include "work.h"

struct store_place
step_place(const struct work *w)
{
	return (struct store_place){w->rec.account, w->ev.category, w->object};
}

/* Remember the step a retry begins with. */
void
step_at(struct work *w, const char *step)
{
	(void)snprintf(w->job->retry.step, sizeof(w->job->retry.step), "%s", step);
}

bool
step_ask(struct work *w, const char *kind, const char *name)
{
	struct target *t;
	char why[RETRY_TEXT];

	(void)snprintf(w->target, sizeof(w->target), "%s:%s", kind, name);
	t = target_get(w->d->targets, w->target, clk_mono());
	if ((w->probe != 0 && w->probe == t->id) || target_ask(t, clk_mono()) == 0) {
		w->probe = t->probing ? t->id : 0;
		return true;
	}
	(void)snprintf(why, sizeof(why), "%.60s is %s: %.150s", w->target,
	    t->open_until == TARGET_UNTIL_LIFTED ? "paused" : "down", t->reason);
	work_wait_for(w, t, why);
	return false;
}

void
step_answered(struct work *w)
{
	struct target *t = target_get(w->d->targets, w->target, clk_mono());

	w->probe = 0;
	if (target_up(t))
		log_put(LOG_NOTE, "target is up again", "target", w->target, LOG_END);
}

void
step_down(struct work *w, int64_t retry_after, const char *why)
{
	int64_t now = clk_mono(), wait = w->d->conf->daemon.retry_min;
	struct target *t = target_get(w->d->targets, w->target, now);
	bool opened, counts = target_down(t, now, retry_after, why, &opened);

	w->probe = 0;
	if (opened)
		log_put(
		    LOG_ERROR, "target is down", "target", w->target, "reason", why, LOG_END);
	if (counts)
		work_retry(w, retry_after, why);
	else if (target_is_shut(t, now))
		work_wait_for(w, t, why);
	else
		work_wait(w, wait > retry_after ? wait : retry_after, why);
}

void
step_our_disk(struct work *w, const struct http_answer *a, const char *why)
{
	struct err e;

	(void)err_set(&e, RC_FULL, "%s", why);
	e.sys = a->sys;
	work_disk(w, PARK_STORE, &e);
}

void
step_settings(const struct work *w, struct http_request *rq)
{
	const struct conf *c = w->d->conf;

	rq->ca_file = w->grant->account->ca_file;
	rq->connect_timeout = c->daemon.connect_timeout;
	rq->stall_timeout = c->daemon.stall_timeout;
	rq->max_body = c->daemon.max_record;
	rq->file = -1;
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
		document_start(w);
	}
}

static void
record_on_pool(void *arg)
{
	struct work *w = arg;
	struct store_place at = step_place(w);

	w->pool_rc = download_record(w->d->store, w->d->conf, &w->ev, &at, buf_text(&w->record),
	    w->record.n, &w->pool_err);
}

static void
recorded(void *arg)
{
	struct work *w = arg;

	w->on_pool = false;
	if (w->pool_rc == RC_GONE) {
		share_result(w, SHARE_GONE, "the object was deleted before this event");
		work_finish(w, SPOOL_DONE, "the object was deleted before this event");
		return;
	}
	if (w->pool_rc != RC_OK && w->pool_rc != RC_EXISTS) {
		work_disk(w, PARK_STORE, &w->pool_err);
		return;
	}
	daemon_note(w->d, "record", w->job->name, "kept",
	    w->pool_rc == RC_EXISTS ? "the newer one" : NULL, NULL, NULL);
	if (api_has_document(&w->ev)) {
		step_link(w);
		return;
	}
	share_result(w, SHARE_FETCHED, "the record is in the store");
	handover_start(w, "the record is in the store");
}

static void
take_record(struct work *w, const struct http_answer *a)
{
	struct err e;

	if (a->to_file) {
		document_bytes(w, a);
		return;
	}
	if (json_check(a->body, a->body_len, &e) != RC_OK) {
		if (api_has_document(&w->ev) && strstr(a->content_type, "json") == NULL) {
			document_bytes(w, a);
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

/*
 * 401: once in a try with a new token.  If it was renewed for that reason just before, then the
 * API is at fault when it took this very token before, and a person has to look when not.
 */
static void
renew(struct work *w)
{
	struct grant *g = w->grant;
	struct target *t;
	bool opened;
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
	if (grant_is_good(g, &w->token)) {
		step_down(w, -1, "the API refuses a token that it took before");
		return;
	}
	t = target_get(w->d->targets, w->target, clk_mono());
	target_refuse(t, clk_mono(), -1, e.text, &opened);
	w->probe = 0;
	if (opened)
		log_put(LOG_ERROR, "the API refuses our token", "target", w->target, "reason",
		    e.text, LOG_END);
	work_wait_for(w, t, e.text);
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
	if (v != V_DOWN && v != V_RENEW && a->status != 0)
		step_answered(w);
	switch (v) {
	case V_OK:
		grant_took(w->grant, &w->token);
		take_record(w, a);
		return;
	case V_LINK:
		if (api_has_document(&w->ev) &&
		    http_mend(a->location, w->link, sizeof(w->link))) {
			w->link_end = api_link_end(w->link);
			document_start(w);
		} else {
			work_finish(w, SPOOL_FAILED, "the API answered with a redirect");
		}
		return;
	case V_RENEW:
		renew(w);
		return;
	case V_GONE:
		share_result(w, SHARE_GONE, "gone at the vendor");
		work_finish(w, SPOOL_DONE, "gone at the vendor");
		return;
	case V_DOWN:
		step_down(w, a->retry_after, why);
		return;
	case V_LATER:
	case V_RELINK:
		work_retry(w, a->retry_after, why);
		return;
	case V_OURS:
		step_our_disk(w, a, why);
		return;
	case V_NEVER:
		work_finish(w, SPOOL_FAILED, why);
		return;
	}
}

static void
no_token(struct work *w, const struct err *why)
{
	struct target *t = grant_target(w->grant);

	if (target_is_shut(t, clk_mono()))
		work_wait_for(w, t, why->text);
	else
		work_wait(w, w->d->conf->daemon.retry_min, why->text);
}

void
step_callback(struct work *w)
{
	static const char *const headers[] = {"Accept: application/json, */*;q=0.5"};
	struct http_request rq = {.headers = headers, .nheaders = 1};
	char url[HTTP_URL];
	struct err e;
	enum rc rc;

	step_at(w, "callback");
	rc = api_callback(w->d->conf, w->grant->account, &w->ev, url, &e);
	if (rc != RC_OK) {
		work_finish(w, rc == RC_GONE ? SPOOL_DONE : SPOOL_FAILED, e.text);
		return;
	}
	buf_wipe(&w->token);
	rc = grant_get(w->grant, w, &w->token, &e);
	if (rc == RC_EXISTS)
		return;
	if (rc != RC_OK) {
		no_token(w, &e);
		return;
	}
	if (!step_ask(w, "api", w->grant->account->name))
		return;
	step_settings(w, &rq);
	rq.url = url;
	rq.bearer = api_is_ours(w->grant->account, url) ? buf_text(&w->token) : NULL;
	rq.total_timeout = w->d->conf->daemon.api_timeout;
	document_expect(w, &rq);
	count_add(spool_counts(w->d->spool), COUNT_CALLBACKS, 1);
	share_called(w);
	if ((rc = http_start(w->d->http, &rq, called_back, w, &w->call, &e)) == RC_OK)
		return;
	if (rc == RC_LATER)
		work_retry(w, -1, e.text);
	else
		work_finish(w, SPOOL_FAILED, e.text);
}

void
work_token(struct work *w, enum rc rc, const struct err *why)
{
	if (rc == RC_OK)
		step_callback(w);
	else
		no_token(w, why);
}

/* ---- where a try begins ---- */

static void
tombstone_on_pool(void *arg)
{
	struct work *w = arg;
	struct store_place at = step_place(w);
	bool clear = w->grant->account->on_delete == CONF_REMOVE;

	w->pool_rc = store_tombstone(
	    w->d->store, &at, w->job->name, clk_wall(), clear, &w->pool_err);
	if (w->pool_rc != RC_OK || !str_eq(at.category, "DocumentData"))
		return;
	at.category = "FileStore"; /* the same document's file */
	w->pool_rc = store_tombstone(
	    w->d->store, &at, w->job->name, clk_wall(), clear, &w->pool_err);
}

static void
buried(void *arg)
{
	struct work *w = arg;

	w->on_pool = false;
	share_forget(w->d, w->key);
	if (w->pool_rc == RC_OK)
		handover_start(w, "deleted at the vendor: a tombstone is in the store");
	else
		work_disk(w, PARK_STORE, &w->pool_err);
}

/* Another try's call was made after this event came: what it brought is for this one too. */
static bool
shared(struct work *w)
{
	char why[RETRY_TEXT];
	const struct share *s = share_taken(w, why);

	if (s == NULL)
		return false;
	daemon_note(w->d, "shared", w->job->name, "with", s->by, NULL, NULL);
	if (s->kind == SHARE_FETCHED)
		handover_start(w, why);
	else
		work_finish(w, s->kind == SHARE_NEVER ? SPOOL_FAILED : SPOOL_DONE, why);
	return true;
}

void
work_first_step(struct work *w)
{
	if (handover_resume(w))
		return;
	if (api_is_delete(&w->ev)) {
		work_on_pool(w, tombstone_on_pool, buried);
		return;
	}
	if (shared(w))
		return;
	if (document_had(w)) {
		handover_start(w, "fetched by somebody; the document is in the store");
		return;
	}
	if (document_resume(w))
		return;
	step_callback(w);
}
