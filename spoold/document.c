/*
 * SPDX-License-Identifier: ISC
 *
 * document - the step that brings a document into the store; see document.h.
 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clk.h"
#include "document.h"
#include "download.h"
#include "handover.h"
#include "hash.h"
#include "io.h"
#include "lane.h"
#include "log.h"
#include "park.h"
#include "share.h"
#include "step.h"
#include "str.h"
#include "verdict.h"

#define RESUMES 5                    /* times one try goes on with what broke off */
#define PART_LEAST (64 * 1024)       /* bytes that are worth being put aside */
#define LINK_SPARE (30 * CLK_SECOND) /* a link that ends sooner is not kept for a retry */
#define NEWS_AFTER (5 * CLK_MINUTE)  /* a Download event is that late after our own, or ours */

/* ---- links ---- */

static void
drop_link(struct job *job)
{
	if (job->link != NULL)
		explicit_bzero(job->link, strlen(job->link));
	free(job->link);
	job->link = NULL;
	job->link_end = 0;
}

/* Keep a link that is still good for the next try. */
static void
keep_link(struct work *w)
{
	struct job *job = w->job;

	drop_link(job);
	if (w->link[0] == '\0' || (w->link_end != 0 && w->link_end - clk_wall() < LINK_SPARE) ||
	    (job->link = strdup(w->link)) == NULL)
		return;
	job->link_end = w->link_end;
	lane_linked(w->d);
}

/* A redirect's way. */
static bool
follow(struct work *w, const char *location)
{
	int64_t end;

	if (!download_follow(w->link, location))
		return false;
	if ((end = api_link_end(w->link)) != 0)
		w->link_end = end;
	return true;
}

/* The link does not lead to the document any more: ask for another one, a few times. */
static void
relink(struct work *w, const char *why)
{
	(void)!str_copy(w->fetch.refused, sizeof(w->fetch.refused), w->fetch.asked);
	w->link[0] = '\0';
	w->hops = 0;
	drop_link(w->job);
	if (w->relinks++ >= DOWNLOAD_RELINKS) {
		work_retry(w, -1, why);
		return;
	}
	daemon_note(w->d, "relink", w->job->name, "reason", why, NULL, NULL);
	step_callback(w);
}

/* ---- what broke off ---- */

/* What is there of it can be told from any other object. */
static bool
is_part(const struct work *w)
{
	return w->doc.fd >= 0 && w->fetch.part.have > 0 && http_etag_strong(w->fetch.part.etag);
}

/* What the file holds after an exchange. */
static void
note_part(struct work *w, const struct http_answer *a)
{
	struct store_part *p = &w->fetch.part;

	if (a->to_file && a->file_from == 0) {
		if (!http_etag_strong(a->etag) || !str_copy(p->etag, sizeof(p->etag), a->etag))
			p->etag[0] = '\0';
		(void)!str_copy(p->source, sizeof(p->source), w->fetch.source);
		p->whole = a->length > 0 ? (uint64_t)a->length : 0;
	}
	if (a->to_file)
		p->have = a->file_len;
}

static void
keep_on_pool(void *arg)
{
	struct work *w = arg;

	w->pool_rc = store_keep(
	    w->d->store, &w->doc, w->job->name, &w->fetch.part, &w->pool_err);
}

static void
end_try(struct work *w)
{
	if (w->fetch.after == V_DOWN)
		step_down(w, w->fetch.retry_after, w->why);
	else
		work_retry(w, w->fetch.retry_after, w->why);
}

static void
kept(void *arg)
{
	struct work *w = arg;
	char bytes[24];

	w->on_pool = false;
	(void)snprintf(bytes, sizeof(bytes), "%" PRIu64, w->fetch.part.have);
	if (w->pool_rc == RC_OK)
		daemon_note(w->d, "part", w->job->name, "bytes", bytes, NULL, NULL);
	else
		log_put(LOG_WARN, "cannot keep what came of a document", "event", w->job->name,
		    "reason", w->pool_err.text, LOG_END);
	end_try(w);
}

/* End the try, with what came put aside for the next one if that is worth it. */
static void
break_off(struct work *w, enum verdict v, int64_t retry_after, const char *why)
{
	w->fetch.after = v;
	w->fetch.retry_after = retry_after;
	(void)snprintf(w->why, sizeof(w->why), "%s", why);
	if (is_part(w) && w->fetch.part.have >= PART_LEAST)
		work_on_pool(w, keep_on_pool, kept);
	else
		end_try(w);
}

void
document_stop(struct work *w)
{
	struct http_answer *a;
	struct err e;

	if (!w->fetch.moving || w->call == NULL || (a = malloc(sizeof(*a))) == NULL)
		return;
	http_break(w->d->http, &w->call, a);
	note_part(w, a);
	free(a);
	if (is_part(w) && w->fetch.part.have >= PART_LEAST &&
	    store_keep(w->d->store, &w->doc, w->job->name, &w->fetch.part, &e) != RC_OK)
		log_put(LOG_WARN, "cannot keep what came of a document", "event", w->job->name,
		    "reason", e.text, LOG_END);
}

/* ---- all of it came ---- */

static void
finish_on_pool(void *arg)
{
	struct work *w = arg;
	struct store_place at = step_place(w);

	w->pool_rc = download_check(w->doc.fd, &w->fetch.got, w->job->retry.reason, &w->meta,
	    &w->fetch.content, &w->pool_err);
	if (w->pool_rc != RC_OK)
		return;
	w->fetch.content = false;
	w->pool_rc = store_commit(w->d->store, &at, &w->doc, &w->meta, &w->pool_err);
}

static void
tell(struct work *w)
{
	struct counts *c = spool_counts(w->d->spool);
	char size[24], where[API_OBJECT + 80];
	struct store_place at = step_place(w);
	const struct store_meta *m = &w->meta;

	(void)snprintf(size, sizeof(size), "%" PRIu64, m->size);
	daemon_note(w->d, "document", w->job->name, "bytes", size, "sha256", m->sha256);
	if (w->pool_rc == RC_OK) {
		count_add(c, COUNT_DOCUMENTS, 1);
		count_add(c, COUNT_DOCUMENT_BYTES, m->size);
		report_document(w);
	}
	if (store_where(&at, where, sizeof(where), NULL) != RC_OK)
		where[0] = '\0';
	if (m->warning[0] != '\0')
		log_put(LOG_WARN, "an odd document", "event", w->job->name, "store", where,
		    "warning", m->warning, LOG_END);
	log_put(LOG_INFO, "document", "event", w->job->name, "bytes", size, "store", where,
	    LOG_END);
}

static void
finished(void *arg)
{
	struct work *w = arg;
	enum rc rc = w->pool_rc;

	w->on_pool = false;
	if (rc != RC_OK && w->fetch.content) {
		drop_link(w->job); /* what it leads to is not the document */
		work_retry(w, -1, w->pool_err.text);
	} else if (rc == RC_GONE) {
		work_finish(w, SPOOL_DONE, "the object was deleted before this event");
	} else if (rc == RC_BAD) {
		work_finish(w, SPOOL_FAILED, w->pool_err.text);
	} else if (rc != RC_OK && rc != RC_EXISTS) {
		work_disk(w, PARK_STORE, &w->pool_err);
	} else {
		tell(w);
		lane_leave(w); /* what is left has nothing to do with downloads */
		share_result(w, SHARE_FETCHED, "record and document are in the store");
		handover_start(w, rc == RC_EXISTS ? "the same document was in the store already"
						  : "record and document are in the store");
	}
}

/* The bytes are in the file: are they the document? */
static void
finish(struct work *w, const struct http_answer *a, const char *link)
{
	struct store_meta *m = &w->meta;
	struct err e;

	*m = (struct store_meta){
	    .event_time = w->rec.received, .stored = clk_wall(), .fetched = clk_wall()};
	if (download_take(a, link, w->fetch.source, &w->fetch.got, m, &e) != RC_OK) {
		drop_link(w->job);
		work_retry(w, -1, e.text);
		return;
	}
	(void)!str_copy(m->event, sizeof(m->event), w->job->name);
	if (a->file_from > 0 && a->etag[0] == '\0')
		(void)!str_copy(m->etag, sizeof(m->etag), w->fetch.part.etag);
	work_on_pool(w, finish_on_pool, finished);
}

/* ---- the host says that the store has it ---- */

static void
confirm_on_pool(void *arg)
{
	struct work *w = arg;
	struct store_place at = step_place(w);

	w->pool_rc = store_confirm(w->d->store, &at, clk_wall(), &w->pool_err);
}

static void
confirmed(void *arg)
{
	struct work *w = arg;

	w->on_pool = false;
	lane_leave(w);
	if (w->pool_rc == RC_OK)
		share_result(w, SHARE_FETCHED, "record and document are in the store");
	if (w->pool_rc == RC_OK)
		handover_start(w, "this version of the document was in the store");
	else
		work_disk(w, PARK_STORE, &w->pool_err);
}

/* ---- the exchange ---- */

/* What is in the file cannot be gone on with after all. */
static void
again_afresh(struct work *w, const char *why)
{
	store_abort(w->d->store, &w->doc);
	memset(&w->fetch.part, 0, sizeof(w->fetch.part));
	if (w->fetch.resumes++ < RESUMES)
		document_start(w);
	else
		work_retry(w, -1, why);
}

/* It broke off after some progress: go on, if what is there can be told from anything else. */
static bool
go_on(struct work *w, const struct http_answer *a)
{
	if (a->fate != HTTP_CUT || !a->to_file || a->file_len <= a->file_from || !is_part(w) ||
	    w->fetch.resumes >= RESUMES)
		return false;
	w->fetch.resumes++;
	document_start(w);
	return true;
}

/* All that was announced came, so says http; what was announced before has to agree. */
static bool
is_whole(const struct work *w, const struct http_answer *a)
{
	return a->file_from == 0 || w->fetch.part.whole == 0 ||
	       a->file_len == w->fetch.part.whole;
}

static void
judge(struct work *w, const struct http_answer *a, enum verdict v, const char *why)
{
	switch (v) {
	case V_OK:
		if (is_whole(w, a))
			finish(w, a, w->link);
		else
			again_afresh(w, "the rest of the document has another length");
		return;
	case V_LINK:
		if (w->hops++ >= DOWNLOAD_HOPS || !follow(w, a->location)) {
			drop_link(w->job);
			work_retry(w, -1, "too many redirects, or one that leads nowhere");
		} else {
			document_start(w);
		}
		return;
	case V_RELINK:
	case V_RENEW:
	case V_GONE:
		relink(w, why);
		return;
	case V_OURS:
		store_abort(w->d->store, &w->doc); /* room for others */
		step_our_disk(w, a, why);
		return;
	case V_DOWN:
	case V_LATER:
		if (a->fate == HTTP_LOCAL)
			store_abort(w->d->store, &w->doc);
		if (!go_on(w, a))
			break_off(w, v, a->retry_after, why);
		return;
	case V_NEVER:
		work_finish(w, SPOOL_FAILED, why);
		return;
	}
}

static void
downloaded(const struct http_answer *a, void *arg)
{
	struct work *w = arg;
	bool went_on = w->fetch.part.have > 0;
	char why[ERR_TEXT];
	enum verdict v = verdict_document(a, why);

	w->call = NULL;
	lane_off_host(w);
	note_part(w, a);
	if (v != V_DOWN && a->status != 0)
		step_answered(w);
	if (a->status == 304 && a->fate == HTTP_ANSWERED && w->fetch.asked_if) {
		work_on_pool(w, confirm_on_pool, confirmed);
		return;
	}
	/* The host does not give the rest of what we hold: not the same, or it knows no parts.
	 */
	if (went_on && (a->status == 416 || (a->status == 206 && !a->to_file))) {
		again_afresh(w, "the host does not give the rest of the document");
		return;
	}
	judge(w, a, v, why);
}

/* ---- the request ---- */

/* The file to write to: what was put aside of the same object, what is there, or a new one. */
static enum rc
open_file(struct work *w, struct err *e)
{
	struct fetch *f = &w->fetch;

	if (w->doc.fd >= 0)
		return RC_OK;
	memset(&f->part, 0, sizeof(f->part));
	if (store_resume(w->d->store, w->job->name, f->source, &w->doc, &f->part, NULL) ==
	    RC_OK)
		return RC_OK;
	memset(&f->part, 0, sizeof(f->part));
	return store_begin(w->d->store, &w->doc, e);
}

/* What is asked for only if it is, or is not, what is there already. */
static void
conditions(struct work *w, struct http_request *rq)
{
	const struct fetch *f = &w->fetch;

	w->fetch.asked_if = false;
	if (is_part(w) && str_eq(f->part.source, f->source)) {
		rq->from = f->part.have;
		rq->whole = f->part.whole;
		rq->if_range = f->part.etag;
	} else if (f->known.sha256[0] != '\0' && str_eq(f->known.source, f->source) &&
		   http_etag_strong(f->known.etag)) {
		rq->if_none_match = f->known.etag;
		w->fetch.asked_if = true;
	}
}

void
document_go(struct work *w)
{
	struct http_request rq = {.url = w->link};
	struct err e;
	enum rc rc;

	keep_link(w);
	if (!step_ask(w, "document", w->fetch.host))
		return;
	step_settings(w, &rq);
	download_request(w->d->conf, &rq);
	rq.guard = w->grant->guard;
	if ((rc = open_file(w, &e)) != RC_OK) {
		work_disk(w, PARK_STORE, &e);
		return;
	}
	rq.file = w->doc.fd;
	conditions(w, &rq);
	if ((rc = http_start(w->d->http, &rq, downloaded, w, &w->call, &e)) == RC_OK)
		return;
	if (rc == RC_DENIED || rc == RC_BAD)
		work_finish(w, SPOOL_FAILED, e.text);
	else
		work_retry(w, -1, e.text);
}

/* RC_LATER: the API gave the link again that was refused just now. */
static enum rc
link_is_new(struct work *w, struct err *e)
{
	enum rc rc = RC_OK;

	if (w->hops == 0)
		rc = hash_sha256(w->link, strlen(w->link), w->fetch.asked, e);
	if (rc == RC_OK && w->hops == 0 && str_eq(w->fetch.asked, w->fetch.refused))
		rc = err_set(e, RC_LATER, "the API gives the link again that was refused");
	return rc;
}

void
document_start(struct work *w)
{
	struct http_url u;
	struct err e;
	enum rc rc;

	step_at(w, "document");
	rc = download_link(w->link, w->grant->guard, &u, w->fetch.source, &e);
	if (rc == RC_BAD || rc == RC_DENIED) {
		work_finish(w, SPOOL_FAILED, e.text);
		return;
	}
	if (rc != RC_OK || link_is_new(w, &e) != RC_OK) {
		drop_link(w->job);
		work_retry(w, -1, e.text);
		return;
	}
	(void)!str_copy(w->fetch.host, sizeof(w->fetch.host), u.host);
	if (lane_at_host(w))
		document_go(w);
}

/* ---- the API answers with the document itself ---- */

static int
choose(const struct http_answer *a, const char *p, size_t n, void *arg)
{
	struct work *w = arg;
	struct err e;

	if (download_is_message(a->content_type, p, n))
		return -1;
	store_abort(w->d->store, &w->doc);
	memset(&w->fetch.part, 0, sizeof(w->fetch.part));
	if (store_begin(w->d->store, &w->doc, &e) == RC_OK)
		return w->doc.fd;
	log_put(LOG_WARN, "no file for a document", "event", w->job->name, "reason", e.text,
	    LOG_END);
	return HTTP_NO_FILE;
}

void
document_expect(struct work *w, struct http_request *rq)
{
	if (!api_has_document(&w->ev))
		return;
	rq->choose = choose;
	rq->max_file = w->d->conf->daemon.max_document;
	rq->min_free = download_room(w->d->conf);
}

void
document_bytes(struct work *w, const struct http_answer *a)
{
	struct http_answer *b;
	struct err e;
	enum rc rc = RC_OK;

	w->fetch.source[0] = '\0';
	if (a->to_file) {
		finish(w, a, "");
		return;
	}
	store_abort(w->d->store, &w->doc);
	if ((b = malloc(sizeof(*b))) == NULL ||
	    (rc = store_begin(w->d->store, &w->doc, &e)) != RC_OK ||
	    (rc = io_write_all(w->doc.fd, a->body, a->body_len, &e)) != RC_OK) {
		if (b == NULL)
			(void)err_set(&e, RC_LATER, "no memory");
		work_disk(w, PARK_STORE, &e);
	} else {
		*b = *a;
		b->file_len = a->body_len;
		finish(w, b, "");
	}
	free(b);
}

/* ---- where a try begins ---- */

/* The earlier of what the event says and when it came: one of them may be late. */
static int64_t
event_time(const struct work *w)
{
	int64_t said;

	return clk_parse(w->ev.time, &said) && said > 0 && said < w->rec.received
		   ? said
		   : w->rec.received;
}

bool
document_had(struct work *w)
{
	struct store_place at = step_place(w);
	struct store_meta *known = &w->fetch.known;
	int64_t fetched;

	if (!str_eq(w->ev.type, "Download") ||
	    store_document(w->d->store, &at, known, NULL) != RC_OK) {
		known->sha256[0] = '\0';
		return false;
	}
	fetched = known->fetched != 0 ? known->fetched : known->stored;
	return event_time(w) <= fetched + NEWS_AFTER;
}

bool
document_resume(struct work *w)
{
	struct job *job = w->job;

	if (job->link == NULL || !str_eq(job->retry.step, "document") ||
	    !str_copy(w->link, sizeof(w->link), job->link) ||
	    (job->link_end != 0 && job->link_end - clk_wall() <= LINK_SPARE))
		return false;
	w->link_end = job->link_end;
	document_start(w);
	return true;
}

size_t
document_progress(const struct daemon *d, struct document_progress *out, size_t max)
{
	size_t n = 0;

	for (const struct work *w = d->first; w != NULL && n < max; w = w->next) {
		struct document_progress *p = &out[n];

		if (!w->fetch.waiting && !w->fetch.moving)
			continue;
		*p = (struct document_progress){.since = clk_mono() - w->started,
		    .link_end = w->link_end,
		    .waiting = w->fetch.waiting,
		    .got = w->fetch.part.have,
		    .all = w->fetch.part.whole};
		(void)!str_copy(p->event, sizeof(p->event), w->job->name);
		(void)!str_copy(p->host, sizeof(p->host), w->fetch.host);
		if (w->call != NULL)
			http_progress(w->call, &p->got, &p->all);
		n++;
	}
	return n;
}
