/*
 * SPDX-License-Identifier: ISC
 *
 * intake - a body becomes events in the spool; see intake.h.
 */
#include "config.h"

#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "evlog.h"
#include "intake.h"
#include "log.h"
#include "str.h"

/* One value of a parsed text: its node, its name and its text, as malloc rounds them. */
#define VALUE_COST 160

#define LARGE_TREE (4 << 20) /* its memory goes back to the system at once */

#define REJECTED_CATEGORY "Rejected"
#define AGAIN_MAX ((size_t)(64 << 20) + REC_HEAD_MAX) /* max_body is never more than 64M */

static const char *const faults[] = {[FAULT_NOT_JSON] = "NotJson",
    [FAULT_NOT_EVENT] = "NotEvent",
    [FAULT_TOO_MANY] = "TooMany",
    [FAULT_TOO_COMPLEX] = "TooComplex",
    [FAULT_OTHER_ACCOUNT] = "OtherAccount",
    [FAULT_NONE] = "None"};

static const enum count fault_counts[] = {[FAULT_NOT_JSON] = COUNT_FAULT_JSON,
    [FAULT_NOT_EVENT] = COUNT_FAULT_EVENT,
    [FAULT_TOO_MANY] = COUNT_FAULT_MANY,
    [FAULT_TOO_COMPLEX] = COUNT_FAULT_COMPLEX,
    [FAULT_OTHER_ACCOUNT] = COUNT_FAULT_ACCOUNT,
    [FAULT_NONE] = COUNT_END};

static const enum count source_counts[] = {[REC_WEBHOOK] = COUNT_ACCEPTED,
    [REC_RECONCILE] = COUNT_RECONCILED,
    [REC_OPERATOR] = COUNT_REREAD};

const char *
intake_fault_name(enum intake_fault f)
{
	return faults[f];
}

size_t
intake_cost(size_t values, size_t n)
{
	return values * VALUE_COST + 2 * n;
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
		rec_source_name(d->source), "auth", d->auth, "remote", d->remote, "bytes", size,
		"from", d->again, "reason", reason, LOG_END) != RC_OK)
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
	*r = (struct rec){
	    .received = d->received, .source = d->source, .body = p, .body_len = n};
	cut_copy(r->name, sizeof(r->name), name);
	cut_copy(r->account, sizeof(r->account), d->account->name);
	cut_copy(r->auth, sizeof(r->auth), d->auth);
	cut_copy(r->remote, sizeof(r->remote), d->remote);
	cut_copy(r->subject, sizeof(r->subject), subject);
}

enum rc
intake_reject(
    struct spool *sp, const struct delivery *d, const char *p, size_t n, struct intake *out)
{
	const char *fault = faults[out->fault];
	char subject[REC_VALUE];
	struct name parts = {0};
	struct err e = {0};
	struct rec rec;
	enum rc rc;

	cut_copy(parts.account, sizeof(parts.account), d->account->name);
	event_arrival_key(d->now, parts.key);
	cut_copy(parts.category, sizeof(parts.category), REJECTED_CATEGORY);
	cut_copy(parts.type, sizeof(parts.type), fault);
	(void)snprintf(subject, sizeof(subject), "Rejected.%s: %.200s", fault, out->why.text);
	if ((rc = name_build(&parts, out->rejected, &e)) == RC_OK) {
		make_record(&rec, d, out->rejected, subject, p, n);
		if ((rc = spool_room(sp, SPOOL_REJECTED, n, &out->lack, &e)) == RC_OK) {
			rc = spool_put(sp, SPOOL_REJECTED, &rec, &e);
			out->lack = COUNT_LACK_WRITE;
		}
	}
	if (rc != RC_OK) {
		out->why = e;
		out->rejected[0] = '\0';
		return rc;
	}
	out->lack = COUNT_END;
	count_add(spool_counts(sp), COUNT_REJECTED, 1);
	count_add(spool_counts(sp), fault_counts[out->fault], 1);
	tell(sp, d, "rejected", out->rejected, n, out->why.text);
	return RC_OK;
}

/*
 * The key of an event without identity is its arrival, which is new each time: read again it
 * is that of the rejected body and its place in it, so that a repeat is the same event.
 */
static enum rc
find_key(
    const struct event *ev, const struct delivery *d, size_t at, struct taken *t, struct err *e)
{
	struct name origin;
	enum rc rc;

	if (d->by_number && ev->number[0] != '\0') {
		(void)snprintf(t->key, sizeof(t->key), "n-%s", ev->number);
		return RC_OK;
	}
	rc = event_key(ev, t->body, t->n, d->now, t->key, e);
	if (rc != RC_OK || d->again == NULL || !str_begins(t->key, "t-") ||
	    !name_parse(d->again, &origin))
		return rc;
	(void)snprintf(t->key, sizeof(t->key), "%.40s-%zu", origin.key, at);
	return RC_OK;
}

/* One element: its name and subject.  RC_DENIED: it is for another account. */
static enum rc
read_event(
    const struct delivery *d, const struct json *doc, size_t at, struct taken *t, struct err *e)
{
	const char *ours = d->account->hash_id;
	struct event ev;
	struct name parts = {0};
	enum rc rc;

	if ((rc = event_read(doc, &ev, e)) != RC_OK)
		return rc;
	if ((rc = find_key(&ev, d, at, t, e)) != RC_OK)
		goto out;
	cut_copy(parts.account, sizeof(parts.account), d->account->name);
	cut_copy(parts.key, sizeof(parts.key), t->key);
	cut_copy(parts.category, sizeof(parts.category), ev.category);
	cut_copy(parts.type, sizeof(parts.type), ev.type);
	if ((rc = name_build(&parts, t->name, e)) != RC_OK)
		goto out;
	event_subject(&ev, t->subject);
	if (ours != NULL && ev.account_hash[0] != '\0' && !str_eq(ours, ev.account_hash))
		rc = err_set(e, RC_DENIED, "the event is for another account");
out:
	event_free(&ev);
	return rc;
}

/* A share of the memory for trees is held only while a tree stands. */
static enum rc
parse_event(struct budget *trees, const struct delivery *d, size_t at, struct intake *out)
{
	struct taken *t = &out->events[at];
	size_t cost = intake_cost(t->values, t->n);
	struct json *doc = NULL;
	enum rc rc;

	out->fault = FAULT_TOO_COMPLEX;
	if (trees != NULL && cost > budget_limit(trees))
		return err_set(&out->why, RC_BAD, "%zu values take too much memory", t->values);
	if (trees != NULL && !budget_take(trees, &cost, INTAKE_WAIT))
		return err_set(&out->why, RC_LATER, "no memory to parse in");
	out->fault = FAULT_NOT_JSON;
	if ((rc = json_parse(t->body, t->n, &doc, &out->why)) != RC_OK)
		goto out;
	out->fault = FAULT_NOT_EVENT;
	rc = json_type(doc) == JSON_OBJECT
		 ? read_event(d, doc, at, t, &out->why)
		 : err_set(&out->why, RC_BAD, "an event that is not an object");
out:
	json_free(&doc);
	if (cost > LARGE_TREE) /* before another takes its place, perhaps in another heap */
		(void)malloc_trim(0);
	if (trees != NULL)
		budget_give(trees, cost);
	return rc;
}

/* The elements of the body, not yet parsed: one to INTAKE_EVENTS. */
static enum rc
split_body(const char *p, size_t n, struct intake *out)
{
	struct json_span spans[INTAKE_EVENTS];
	size_t count = 0;
	enum rc rc;

	rc = json_split(p, n, spans, INTAKE_EVENTS, &count, &out->is_array, &out->why);
	out->fault = rc == RC_FULL ? FAULT_TOO_MANY : FAULT_NOT_JSON;
	if (rc != RC_OK)
		return rc == RC_FULL ? RC_BAD : rc;
	out->fault = FAULT_NOT_EVENT;
	if (count == 0)
		return err_set(&out->why, RC_BAD, "an array without events");
	if ((out->events = calloc(count, sizeof(*out->events))) == NULL)
		return err_set(&out->why, RC_LATER, "no memory");
	out->count = count;
	for (size_t i = 0; i < count; i++) {
		out->events[i].body = p + spans[i].at;
		out->events[i].n = spans[i].n;
		out->events[i].values = spans[i].values;
	}
	if (!out->is_array) { /* the body as it came, white space around the object included */
		out->events[0].body = p;
		out->events[0].n = n;
	}
	return RC_OK;
}

/* RC_BAD rules over RC_DENIED: what cannot be read is for nobody. */
static enum rc
parse_all(struct budget *trees, const struct delivery *d, struct intake *out)
{
	struct err denied = {0};
	bool is_denied = false;

	for (size_t i = 0; i < out->count; i++) {
		enum rc rc = parse_event(trees, d, i, out);

		if (rc == RC_DENIED) {
			is_denied = true;
			denied = out->why;
		} else if (rc != RC_OK) {
			if (out->is_array)
				err_prefix(&out->why, "element %zu", i);
			return rc;
		}
	}
	out->fault = is_denied ? FAULT_OTHER_ACCOUNT : FAULT_NONE;
	if (!is_denied)
		return RC_OK;
	out->why = denied;
	return RC_DENIED;
}

enum rc
intake_read(
    struct budget *trees, const struct delivery *d, const char *p, size_t n, struct intake *out)
{
	enum rc rc;

	*out = (struct intake){.fault = FAULT_NONE, .lack = COUNT_END};
	if ((rc = split_body(p, n, out)) == RC_OK)
		rc = parse_all(trees, d, out);
	if (rc != RC_OK && rc != RC_BAD && rc != RC_DENIED)
		out->lack = COUNT_LACK_MEMORY;
	return rc;
}

/*
 * Did the feed bring what the webhook brings now?  Only the header of what is in the spool is
 * read, and what cannot be read (it is being moved) is not known to be from there.
 */
static bool
is_late(struct spool *sp, const struct delivery *d, enum spool_box box, const char *name)
{
	struct buf head = BUF_INIT(REC_HEAD_MAX);
	struct spool_item it = SPOOL_NO_ITEM;
	struct rec there;
	bool late;

	late = d->source == REC_WEBHOOK && spool_peek(sp, box, name, &it, NULL) == RC_OK &&
	       spool_read_head(&it, &head, &there, NULL) == RC_OK &&
	       there.source == REC_RECONCILE;
	spool_unlock(&it);
	buf_free(&head);
	return late;
}

/* It was there before; the answer does not depend on what is found out here. */
static void
note_duplicate(struct spool *sp, const struct delivery *d, enum spool_box box, struct taken *t)
{
	bool late = is_late(sp, d, box, t->name);

	t->duplicate = true;
	count_add(spool_counts(sp), COUNT_DUPLICATE, 1);
	if (late)
		count_add(spool_counts(sp), COUNT_LATE, 1);
	tell(sp, d, "duplicate", t->name, t->n,
	    late ? "the feed had brought it before the webhook" : NULL);
}

enum rc
intake_keep(struct spool *sp, const struct delivery *d, struct intake *out)
{
	for (size_t i = 0; i < out->count; i++) {
		struct taken *t = &out->events[i];
		enum spool_box box;
		struct rec rec;
		enum rc rc;

		make_record(&rec, d, t->name, t->subject, t->body, t->n);
		if ((rc = spool_room(sp, SPOOL_NEW, t->n, &out->lack, &out->why)) != RC_OK)
			return rc;
		rc = spool_put_or_find(sp, SPOOL_NEW, &rec, &box, &out->why);
		if (rc == RC_EXISTS) {
			note_duplicate(sp, d, box, t);
			continue;
		}
		if (rc != RC_OK) {
			out->lack = COUNT_LACK_WRITE;
			return rc;
		}
		t->duplicate = false;
		out->fresh++;
		count_add(spool_counts(sp), source_counts[d->source], 1);
		tell(sp, d, "accepted", t->name, t->n, NULL);
	}
	err_clear(&out->why);
	return RC_OK;
}

enum rc
intake_again(struct spool *sp, struct spool_item *it, const struct conf *c, bool dry_run,
    struct buf *body, struct intake *out)
{
	struct delivery d = {.source = REC_OPERATOR, .again = it->name, .now = clk_wall()};
	struct rec r;
	enum rc rc;

	*out = (struct intake){.fault = FAULT_NONE, .lack = COUNT_END};
	*body = BUF_INIT(AGAIN_MAX);
	if ((rc = spool_read(it, body, &r, &out->why)) != RC_OK)
		return rc;
	if ((d.account = conf_account(c, r.account)) == NULL)
		return err_set(
		    &out->why, RC_CONFIG, "there is no [account %s] any more", r.account);
	d.auth = r.auth;
	d.remote = r.remote;
	d.received = r.received;
	if ((rc = intake_read(NULL, &d, r.body, r.body_len, out)) != RC_OK || dry_run)
		return rc;
	if ((rc = intake_keep(sp, &d, out)) != RC_OK ||
	    (rc = spool_move(sp, it, SPOOL_DONE, &out->why)) != RC_OK)
		return rc;
	count_sub(spool_counts(sp), COUNT_IN_REJECTED, 1);
	return RC_OK;
}

void
intake_close(struct intake *out)
{
	free(out->events);
	*out = (struct intake){.fault = FAULT_NONE, .lack = COUNT_END};
}
