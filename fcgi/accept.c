/*
 * SPDX-License-Identifier: ISC
 *
 * accept - a body becomes events in the spool; see accept.h.
 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "accept.h"
#include "evlog.h"
#include "json.h"
#include "log.h"
#include "str.h"

/* One value of a parsed text: its node, its name and its text, as malloc rounds them. */
#define NODE_COST 160

#define REJECTED_CATEGORY "Rejected"

size_t
accept_tree_cost(const char *p, size_t n)
{
	size_t values = 1;

	/* Every value but the first follows one of these; those inside strings do no harm. */
	for (size_t i = 0; i < n; i++)
		values += p[i] == ',' || p[i] == '[' || p[i] == '{';
	return values * NODE_COST + 2 * n;
}

/* What one step on an event was, for the spool's log; that it fails costs no event. */
static void
tell(const struct spool *sp, const struct delivery *d, const char *step, const char *name,
    size_t bytes, const char *reason)
{
	char size[21];
	struct err e = {0};

	(void)snprintf(size, sizeof(size), "%zu", bytes);
	if (evlog_put(spool_log_dir(sp), d->now, step, name, &e, "source",
		rec_source_name(REC_WEBHOOK), "auth", d->auth, "remote", d->remote, "bytes",
		size, "reason", reason, LOG_END) != RC_OK)
		log_put(LOG_WARN, "spool log not written", "event", name, "step", step,
		    "reason", e.text, LOG_END);
}

static void
cut_copy(char *out, size_t size, const char *text)
{
	(void)snprintf(out, size, "%s", text);
}

static void
make_record(struct rec *r, const struct delivery *d, const char *name, const char *subject,
    const char *p, size_t n)
{
	*r = (struct rec){.received = d->now, .source = REC_WEBHOOK, .body = p, .body_len = n};
	cut_copy(r->name, sizeof(r->name), name);
	cut_copy(r->account, sizeof(r->account), d->account->name);
	cut_copy(r->auth, sizeof(r->auth), d->auth);
	cut_copy(r->remote, sizeof(r->remote), d->remote);
	cut_copy(r->subject, sizeof(r->subject), subject);
}

/* Keep a body that is no event of this account; the answer is r only when it is kept. */
static enum reply
reject(struct spool *sp, const struct delivery *d, const char *p, size_t n, struct outcome *out,
    enum reply r)
{
	char subject[REC_VALUE];
	struct name parts = {0};
	struct rec rec;
	struct err e = {0};

	cut_copy(parts.account, sizeof(parts.account), d->account->name);
	event_arrival_key(d->now, parts.key);
	cut_copy(parts.category, sizeof(parts.category), REJECTED_CATEGORY);
	cut_copy(parts.type, sizeof(parts.type), out->fault);
	(void)snprintf(
	    subject, sizeof(subject), "Rejected.%s: %.200s", out->fault, out->why.text);
	if (name_build(&parts, out->rejected, &e) != RC_OK)
		goto fail;
	make_record(&rec, d, out->rejected, subject, p, n);
	if (spool_room(sp, SPOOL_REJECTED, &e) != RC_OK ||
	    spool_put(sp, SPOOL_REJECTED, &rec, &e) != RC_OK)
		goto fail;
	count_add(spool_counts(sp), COUNT_REJECTED, 1);
	tell(sp, d, "rejected", out->rejected, n, out->why.text);
	return r;
fail:
	out->why = e;
	out->rejected[0] = '\0';
	return REPLY_UNAVAILABLE;
}

/* One element: its name and subject.  RC_DENIED: it is for another account. */
static enum rc
read_event(const struct delivery *d, const struct json *doc, struct accepted *a, struct err *e)
{
	const char *ours = d->account->hash_id;
	struct event ev;
	struct name parts = {0};
	enum rc rc;

	if ((rc = event_read(doc, &ev, e)) != RC_OK)
		return rc;
	if ((rc = event_key(&ev, a->body, a->n, d->now, a->key, e)) != RC_OK)
		goto out;
	cut_copy(parts.account, sizeof(parts.account), d->account->name);
	cut_copy(parts.key, sizeof(parts.key), a->key);
	cut_copy(parts.category, sizeof(parts.category), ev.category);
	cut_copy(parts.type, sizeof(parts.type), ev.type);
	if ((rc = name_build(&parts, a->name, e)) != RC_OK)
		goto out;
	event_subject(&ev, a->subject);
	if (ours != NULL && ev.account_hash[0] != '\0' && !str_eq(ours, ev.account_hash))
		rc = err_set(e, RC_DENIED, "the event is for another account");
out:
	event_free(&ev);
	return rc;
}

/* A share of the memory for trees is held only while a tree stands. */
static enum rc
parse_event(
    struct budget *trees, const struct delivery *d, struct accepted *a, struct outcome *out)
{
	size_t cost = accept_tree_cost(a->body, a->n);
	struct json *doc = NULL;
	enum rc rc;

	if (!budget_take(trees, &cost, ACCEPT_WAIT))
		return err_set(&out->why, RC_LATER, "no memory to parse in");
	out->fault = "NotJson";
	if ((rc = json_parse(a->body, a->n, &doc, &out->why)) != RC_OK)
		goto out;
	out->fault = "NotEvent";
	rc = json_type(doc) == JSON_OBJECT
		 ? read_event(d, doc, a, &out->why)
		 : err_set(&out->why, RC_BAD, "an event that is not an object");
out:
	json_free(&doc);
	budget_give(trees, cost);
	return rc;
}

/* The elements of the body, not yet parsed: one to ACCEPT_EVENTS. */
static enum rc
split_body(const char *p, size_t n, struct outcome *out, struct err *e)
{
	struct json_span spans[ACCEPT_EVENTS];
	size_t count = 0;
	enum rc rc;

	rc = json_split(p, n, spans, ACCEPT_EVENTS, &count, &out->is_array, e);
	out->fault = rc == RC_FULL ? "TooMany" : "NotJson";
	if (rc != RC_OK)
		return rc == RC_FULL ? RC_BAD : rc;
	out->fault = "NotEvent";
	if (count == 0)
		return err_set(e, RC_BAD, "an array without events");
	if ((out->events = calloc(count, sizeof(*out->events))) == NULL)
		return err_set(e, RC_LATER, "no memory");
	out->count = count;
	for (size_t i = 0; i < count; i++) {
		out->events[i].body = p + spans[i].at;
		out->events[i].n = spans[i].n;
	}
	if (!out->is_array) { /* the body as it came, white space around the object included */
		out->events[0].body = p;
		out->events[0].n = n;
	}
	return RC_OK;
}

/* RC_BAD rules over RC_DENIED: what cannot be read is for nobody. */
static enum rc
parse_all(struct budget *trees, const struct delivery *d, struct outcome *out)
{
	struct err denied = {0};
	bool is_denied = false;

	for (size_t i = 0; i < out->count; i++) {
		enum rc rc = parse_event(trees, d, &out->events[i], out);

		if (rc == RC_DENIED) {
			is_denied = true;
			denied = out->why;
		} else if (rc != RC_OK) {
			if (out->is_array)
				err_prefix(&out->why, "element %zu", i);
			return rc;
		}
	}
	if (!is_denied)
		return RC_OK;
	out->why = denied;
	out->fault = "OtherAccount";
	return RC_DENIED;
}

static enum reply
keep_all(struct spool *sp, const struct delivery *d, struct outcome *out)
{
	for (size_t i = 0; i < out->count; i++) {
		struct accepted *a = &out->events[i];
		struct rec rec;
		enum rc rc;

		make_record(&rec, d, a->name, a->subject, a->body, a->n);
		rc = spool_put(sp, SPOOL_NEW, &rec, &out->why);
		if (rc != RC_OK && rc != RC_EXISTS)
			return REPLY_UNAVAILABLE;
		a->duplicate = rc == RC_EXISTS;
		out->fresh += !a->duplicate;
		count_add(spool_counts(sp), a->duplicate ? COUNT_DUPLICATE : COUNT_ACCEPTED, 1);
		tell(sp, d, a->duplicate ? "duplicate" : "accepted", a->name, a->n, NULL);
	}
	err_clear(&out->why);
	return REPLY_ACCEPTED;
}

enum reply
accept_body(struct spool *sp, struct budget *trees, const struct delivery *d, const char *p,
    size_t n, struct outcome *out)
{
	enum rc rc;

	*out = (struct outcome){0};
	rc = split_body(p, n, out, &out->why);
	if (rc == RC_OK)
		rc = parse_all(trees, d, out);
	if (rc == RC_BAD)
		return reject(sp, d, p, n, out, REPLY_NOT_EVENT);
	if (rc == RC_DENIED)
		return reject(sp, d, p, n, out, REPLY_OTHER_ACCOUNT);
	if (rc != RC_OK)
		return REPLY_UNAVAILABLE;
	return keep_all(sp, d, out);
}

void
outcome_close(struct outcome *out)
{
	free(out->events);
	*out = (struct outcome){0};
}
