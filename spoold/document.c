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
#include "handover.h"
#include "hash.h"
#include "io.h"
#include "log.h"
#include "park.h"
#include "sniff.h"
#include "step.h"
#include "str.h"
#include "verdict.h"

#define RELINKS 3                    /* fresh links asked for in one try */
#define HOPS 3                       /* redirects followed on the way to a document */
#define MD5_BASE64 25                /* with its NUL */
#define LINK_SPARE (30 * CLK_SECOND) /* a link that ends sooner is not kept for a retry */

static void
commit_on_pool(void *arg)
{
	struct work *w = arg;
	struct store_place at = step_place(w);

	w->pool_rc = store_commit(w->d->store, &at, &w->doc, &w->meta, &w->pool_err);
}

static void
committed(void *arg)
{
	struct work *w = arg;
	struct counts *c = spool_counts(w->d->spool);
	char size[24], where[API_OBJECT + 80];
	struct store_place at = step_place(w);

	w->on_pool = false;
	if (w->pool_rc == RC_BAD) {
		work_finish(w, SPOOL_FAILED, w->pool_err.text);
		return;
	}
	if (w->pool_rc != RC_OK && w->pool_rc != RC_EXISTS) {
		work_disk(w, PARK_STORE, &w->pool_err);
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
	handover_start(w, w->pool_rc == RC_EXISTS ? "the same document was in the store already"
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
	if (v != V_DOWN && a->status != 0)
		step_answered(w);
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
			document_start(w);
		return;
	case V_RELINK:
	case V_RENEW:
	case V_GONE:
		relink(w, why);
		return;
	case V_DOWN:
		keep_link(w);
		step_down(w, a->retry_after, why);
		return;
	case V_LATER:
		keep_link(w);
		work_retry(w, a->retry_after, why);
		return;
	case V_OURS:
		keep_link(w);
		step_our_disk(w, a, why);
		return;
	case V_NEVER:
		work_finish(w, SPOOL_FAILED, why);
		return;
	}
}

void
document_start(struct work *w)
{
	struct http_request rq = {.url = w->link,
	    .guard = w->grant->guard,
	    .max_file = w->d->conf->daemon.max_document};
	struct http_url u;
	struct err e;
	enum rc rc;

	step_at(w, "document");
	if (!http_url(w->link, &u)) {
		work_finish(w, SPOOL_FAILED, "the document's link is not a URL");
		return;
	}
	if (guard_url(w->grant->guard, u.scheme, u.host, u.port, u.userinfo, &e) != RC_OK) {
		work_finish(w, SPOOL_FAILED, e.text);
		return;
	}
	if (!step_ask(w, "document", u.host))
		return;
	step_settings(w, &rq);
	if ((rc = store_begin(w->d->store, &w->doc, &e)) != RC_OK) {
		work_disk(w, PARK_STORE, &e);
		return;
	}
	rq.file = w->doc.fd;
	if ((rc = http_start(w->d->http, &rq, downloaded, w, &w->call, &e)) == RC_OK)
		return;
	if (rc == RC_DENIED || rc == RC_BAD)
		work_finish(w, SPOOL_FAILED, e.text);
	else
		work_retry(w, -1, e.text);
}

/* The answer to the call back is the document itself, not its details. */
void
document_bytes(struct work *w, const struct http_answer *a)
{
	struct err e;
	char name[STORE_TEXT];
	enum rc rc;

	if ((rc = store_begin(w->d->store, &w->doc, &e)) == RC_OK &&
	    (rc = io_write_all(w->doc.fd, a->body, a->body_len, &e)) == RC_OK)
		rc = hash_sha256(a->body, a->body_len, w->meta.sha256, &e);
	if (rc != RC_OK) {
		work_disk(w, PARK_STORE, &e);
		return;
	}
	w->meta.size = a->body_len;
	sniff_name(a->disposition, "", name, sizeof(name));
	check_document(w, a->content_type, name);
}

/* A Download event, ours perhaps: what is in the store already is not fetched again. */
bool
document_had(struct work *w)
{
	struct store_place at = step_place(w);
	struct store_meta meta;

	return str_eq(w->ev.type, "Download") &&
	       store_document(w->d->store, &at, &meta, NULL) == RC_OK;
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
