/*
 * SPDX-License-Identifier: ISC
 *
 * handle - one exchange; see handle.h.
 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "body.h"
#include "handle.h"
#include "intake.h"
#include "log.h"
#include "metrics.h"
#include "request.h"
#include "status.h"
#include "str.h"

struct handling { /* what is known about one exchange so far */
	struct request rq;
	struct delivery from;
	struct auth_verdict auth;
	struct intake intake;
	size_t bytes;
	int64_t begun;   /* clk_micro */
	enum count lack; /* the counter of what is lacking for an answer 503 */
	enum status_page page;
	bool well;      /* what the page says */
	bool at_end;    /* of the body */
	struct err why; /* of a refusal */
};

uint64_t
handle_memory(const struct conf *c)
{
	uint64_t least = 8 * c->spool.max_body;

	return c->receiver.memory > least ? c->receiver.memory : least;
}

void
shared_open(struct shared *sh, const struct conf *c, unsigned limit, unsigned places)
{
	uint64_t memory = handle_memory(c);

	*sh = (struct shared){0};
	(void)pthread_mutex_init(&sh->lock, NULL); /* on Linux it does not fail */
	turn_open(&sh->turn, limit, places);
	budget_open(&sh->bodies, memory / 4);
	budget_open(&sh->trees, memory / 4 * 3);
}

void
shared_resize(struct shared *sh, const struct conf *c)
{
	uint64_t memory = handle_memory(c);

	budget_resize(&sh->bodies, memory / 4);
	budget_resize(&sh->trees, memory / 4 * 3);
}

void
shared_close(struct shared *sh)
{
	budget_close(&sh->trees);
	budget_close(&sh->bodies);
	turn_close(&sh->turn);
	pthread_mutex_destroy(&sh->lock);
}

void
receiver_open(struct receiver *rv, const struct conf *c, struct spool *sp, struct auth *a,
    struct shared *sh)
{
	*rv = (struct receiver){.conf = c, .spool = sp, .auth = a, .shared = sh};
}

static void
send_all(struct exchange *x, const struct buf *out)
{
	const char *last = reply_last_resort();

	if (buf_state(out, NULL) == RC_OK)
		(void)x->write(x, buf_text(out), out->n);
	else
		(void)x->write(x, last, strlen(last));
}

/*
 * The events are kept whether the peer hears of it or not; without memory to
 * say so it hears 503, repeats them, and finds them kept.
 */
static void
send_reply(struct exchange *x, enum reply r, const struct intake *oc)
{
	struct buf out = BUF_INIT(REPLY_SIZE);
	struct reply_item *items = NULL;

	if (r != REPLY_ACCEPTED) {
		reply_refused(&out, r);
	} else if ((items = calloc(oc->count, sizeof(*items))) != NULL) {
		for (size_t i = 0; i < oc->count; i++) {
			items[i].id = oc->events[i].key;
			items[i].duplicate = oc->events[i].duplicate;
		}
		reply_accepted(&out, items, oc->count, oc->is_array);
	} else {
		out.broken = true;
	}
	send_all(x, &out);
	free(items);
	buf_free(&out);
}

void
handle_unavailable(struct exchange *x)
{
	struct buf out = BUF_INIT(REPLY_SIZE);

	/* Apache gives up on the answer of a program that ends with its input unread. */
	if (body_discard(x, HANDLE_UNREAD)) {
		/* at its end or not, it is answered, and nothing comes after */
	}
	reply_refused(&out, REPLY_UNAVAILABLE);
	send_all(x, &out);
	buf_free(&out);
}

/* The status pages are the only ones that are read. */
static enum reply
check_page(struct receiver *rv, struct handling *h)
{
	enum rc rc;

	if (!str_eq(h->rq.method, "GET") && !str_eq(h->rq.method, "HEAD"))
		return REPLY_STATUS_METHOD;
	if (h->page != STATUS_METRICS ||
	    (rc = status_allowed(rv->conf, &h->rq, &h->why)) == RC_OK)
		return REPLY_STATUS;
	if (rc == RC_DENIED)
		return REPLY_STATUS_DENIED;
	h->lack = COUNT_LACK_KEYS;
	return REPLY_UNAVAILABLE;
}

/* Everything that is decided before the body; REPLY_ACCEPTED: read it. */
static enum reply
check_request(struct receiver *rv, struct handling *h)
{
	static const enum reply challenges[] = {[AUTH_ASK_SECRET] = REPLY_UNAUTHORIZED,
	    [AUTH_ASK_TOKEN] = REPLY_NO_TOKEN,
	    [AUTH_ASK_GOOD_TOKEN] = REPLY_BAD_TOKEN};
	const struct conf_account *account = conf_account_at(rv->conf, h->rq.path);
	enum rc rc;

	if ((h->page = status_page(rv->conf, h->rq.path)) != STATUS_NONE)
		return check_page(rv, h);
	if (account == NULL)
		return REPLY_NOT_FOUND;
	h->from.account = account;
	if (!str_eq(h->rq.method, "POST"))
		return REPLY_METHOD;
	h->lack = COUNT_LACK_KEYS;
	rc = auth_check(rv->auth, account, &h->rq, &h->auth, &h->why);
	if (rc != RC_OK)
		return rc == RC_DENIED ? challenges[h->auth.challenge] : REPLY_NO_KEYS;
	if (h->rq.malformed != NULL) {
		(void)err_set(&h->why, RC_BAD, "%s", h->rq.malformed);
		return REPLY_MALFORMED;
	}
	if (h->rq.has_length && h->rq.length > rv->conf->spool.max_body)
		return REPLY_TOO_LARGE;
	if (!request_is_json(h->rq.type))
		return REPLY_MEDIA;
	if (spool_room(rv->spool, SPOOL_NEW, h->rq.length, &h->lack, &h->why) != RC_OK)
		return REPLY_UNAVAILABLE;
	return REPLY_ACCEPTED;
}

/* A body that is all there: into new or, if it is no event of this account, into rejected. */
static enum reply
take_body(struct receiver *rv, struct handling *h, const struct buf *text)
{
	struct intake *in = &h->intake;
	enum rc rc;

	rc = intake_read(&rv->shared->trees, &h->from, buf_text(text), text->n, in);
	if (rc == RC_OK) {
		if ((rc = intake_keep(rv->spool, &h->from, in)) == RC_OK)
			return REPLY_ACCEPTED;
	} else if (rc == RC_BAD || rc == RC_DENIED) {
		enum reply refusal = rc == RC_BAD ? REPLY_NOT_EVENT : REPLY_OTHER_ACCOUNT;

		rc = intake_reject(rv->spool, &h->from, buf_text(text), text->n, in);
		if (rc == RC_OK)
			return refusal;
	}
	return REPLY_UNAVAILABLE;
}

static enum reply
keep_body(struct receiver *rv, struct exchange *x, struct handling *h)
{
	static const enum reply refusals[] = {[BODY_OK] = REPLY_ACCEPTED,
	    [BODY_SHORT] = REPLY_SHORT,
	    [BODY_LONG] = REPLY_TOO_LARGE,
	    [BODY_MORE] = REPLY_MALFORMED,
	    [BODY_NO_ROOM] = REPLY_UNAVAILABLE};
	struct body body;
	enum body_end end;
	enum reply r;

	end = body_read(x, &h->rq, rv->conf->spool.max_body, &rv->shared->bodies, &body);
	r = refusals[end];
	h->at_end = body.at_end;
	h->bytes = body.text.n;
	h->lack = COUNT_LACK_MEMORY;
	if (end == BODY_NO_ROOM)
		(void)err_set(&h->why, RC_LATER, "no memory for the body");
	if (end == BODY_MORE)
		(void)err_set(&h->why, RC_BAD, "the body is longer than announced");
	if (end == BODY_OK) {
		r = take_body(rv, h, &body.text);
		h->why = h->intake.why;
		h->lack = h->intake.lack;
	}
	body_close(&body);
	return r;
}

/* Not more at one time than the configuration says; the others wait a moment, or come again. */
static enum reply
keep_in_turn(struct receiver *rv, struct exchange *x, struct handling *h)
{
	enum reply r;

	if (!turn_take(&rv->shared->turn, HANDLE_WAIT)) {
		h->lack = COUNT_LACK_TURN;
		(void)err_set(&h->why, RC_LATER, "too many requests at one time");
		return REPLY_UNAVAILABLE;
	}
	r = keep_body(rv, x, h);
	turn_give(&rv->shared->turn);
	return r;
}

static void
send_page(struct receiver *rv, struct exchange *x, struct handling *h)
{
	bool head = str_eq(h->rq.method, "HEAD");
	struct buf text = BUF_INIT(METRICS_SIZE), out = BUF_INIT(REPLY_SIZE);
	struct err e;

	if (h->page == STATUS_METRICS) {
		h->well = true;
		status_metrics(rv->spool, &text);
	} else {
		bool details = status_allowed(rv->conf, &h->rq, &e) == RC_OK;

		h->well = status_health(rv->spool, details, &text);
	}
	reply_page(&out, h->well, h->page == STATUS_METRICS ? METRICS_TYPE : "application/json",
	    &text, head);
	send_all(x, &out);
	buf_free(&text);
	buf_free(&out);
}

static void
count_exchange(struct receiver *rv, const struct handling *h, enum reply r)
{
	struct counts *c = spool_counts(rv->spool);

	count_add(c, reply_count(r), 1);
	if (reply_count(r) == COUNT_UNAVAILABLE)
		count_add(c, h->lack, 1);
	if (r == REPLY_ACCEPTED)
		count_time(c, clk_micro() - h->begun);
}

/* One line for an exchange; floods of refusals are cut to a few a second of each kind. */
static void
log_exchange(struct receiver *rv, const struct handling *h, enum reply r)
{
	const struct intake *oc = &h->intake;
	char bytes[21], events[21] = "", fresh[21] = "", missed[21] = "", status[12];
	const char *name = oc->rejected;
	uint64_t suppressed = 0;
	bool pass = true;

	if (r != REPLY_ACCEPTED) {
		pthread_mutex_lock(&rv->shared->lock);
		pass = limit_pass(&rv->shared->limits[r], clk_mono(), &suppressed);
		pthread_mutex_unlock(&rv->shared->lock);
	} else if (oc->is_array) {
		(void)snprintf(events, sizeof(events), "%zu", oc->count);
		(void)snprintf(fresh, sizeof(fresh), "%zu", oc->fresh);
	} else {
		name = oc->events[0].name;
	}
	if (!pass)
		return;
	if (suppressed > 0)
		(void)snprintf(missed, sizeof(missed), "%" PRIu64, suppressed);
	(void)snprintf(bytes, sizeof(bytes), "%zu", h->bytes);
	(void)snprintf(status, sizeof(status), "%d",
	    reply_status(r == REPLY_STATUS && !h->well ? REPLY_UNAVAILABLE : r));
	log_put(reply_level(r),
	    r == REPLY_ACCEPTED && oc->fresh == 0 ? "duplicate" : reply_name(r), "account",
	    h->from.account != NULL ? h->from.account->name : NULL, "event", name, "events",
	    events, "fresh", fresh, "status", status, "auth", h->auth.which, "remote",
	    h->rq.remote, "bytes", bytes, "method", r == REPLY_METHOD ? h->rq.method : NULL,
	    "path", h->from.account == NULL ? h->rq.path : NULL, "reason", h->why.text,
	    "suppressed", missed, LOG_END);
}

bool
handle_exchange(struct receiver *rv, struct exchange *x)
{
	struct handling h = {0};
	enum reply r;

	h.begun = clk_micro();
	request_read(x->env, &h.rq);
	h.from = (struct delivery){
	    .auth = h.auth.which, .remote = h.rq.remote, .now = clk_wall()};
	h.from.received = h.from.now;
	r = check_request(rv, &h);
	if (r == REPLY_ACCEPTED)
		r = keep_in_turn(rv, x, &h);
	if (!h.at_end)
		h.at_end = body_discard(x, rv->conf->spool.max_body);
	count_exchange(rv, &h, r); /* first: who has the answer finds it counted */
	if (r == REPLY_STATUS)
		send_page(rv, x, &h);
	else
		send_reply(x, r, &h.intake);
	log_exchange(rv, &h, r);
	intake_close(&h.intake);
	return h.at_end;
}
