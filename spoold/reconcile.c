/*
 * SPDX-License-Identifier: ISC
 *
 * reconcile - each account's event feed; see reconcile.h.
 */
#include "config.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clk.h"
#include "daemon.h"
#include "io.h"
#include "log.h"
#include "reconcile.h"
#include "str.h"
#include "token.h"

#define FIRST_WAIT CLK_MINUTE /* after a failure, doubling up to reconcile_every */
#define TOKEN_WAIT CLK_SECOND /* while a token is being asked for */
#define NEVER INT64_MAX

enum phase {
	IDLE,  /* until next */
	INFO,  /* the latest number was asked for */
	PAGE,  /* a page was asked for */
	ENTRY, /* a page is being compared, by the pool */
	SAVE,  /* the state is being written, by the pool */
};

struct feed_run { /* one account */
	struct reconciler *all;
	const struct conf_account *account;
	struct grant *grant;
	enum phase phase;
	struct feed_state state;
	struct feed_pass pass;
	uint64_t from;     /* of the page that is wanted */
	uint64_t since;    /* from this number on, by an operator's wish; 0: from the cursor */
	uint64_t wanted;   /* the same, for the next run */
	char id[FEED_ASK]; /* of the wish that this run meets, "" nobody waits for it */
	char next_id[FEED_ASK]; /* of the one that the next run meets */
	int64_t pause;          /* after the state was written */
	bool asked;             /* there is such a wish */
	uint64_t highest;       /* number that came by the webhook */
	int64_t next, wait;
	bool renewed; /* a refused token was replaced in this run */
	struct http_call *call;
	struct pool_work pw;
	struct buf body;
	enum rc rc;
	struct err e;
};

struct reconciler {
	struct daemon *d;
	int dir; /* state/feed */
	size_t n;
	struct feed_run runs[];
};

static void ask_page(struct feed_run *r);

/* ---- how a run ends ---- */

static void
rest(struct feed_run *r, int64_t wait)
{
	feed_pass_end(&r->pass);
	r->phase = IDLE;
	r->renewed = false;
	r->next = wait == NEVER ? NEVER : clk_mono() + (r->asked ? 0 : wait);
}

static void save(void *arg);
static void saved(void *arg);

static void
write_state(struct feed_run *r, int64_t pause)
{
	struct feed_state *s = &r->state;

	if (r->id[0] != '\0')
		(void)!str_copy(s->answered, sizeof(s->answered), r->id);
	r->id[0] = '\0';
	r->pause = pause;
	r->phase = SAVE;
	r->pw = (struct pool_work){.work = save, .done = saved, .arg = r};
	pool_put(r->all->d->pool, &r->pw);
}

/* It did not work: again, at growing distances.  An operator who waits is told. */
static void
put_off(struct feed_run *r, int64_t at_least, const char *why)
{
	const int64_t every = r->all->d->conf->daemon.reconcile_every;
	char span[CLK_TEXT];

	r->wait = r->wait == 0 ? FIRST_WAIT : r->wait * 2;
	if (r->wait > every)
		r->wait = every;
	if (at_least < r->wait)
		at_least = r->wait;
	clk_span(at_least, span);
	log_put(LOG_WARN, "feed not read", "account", r->account->name, "reason", why,
	    "again_in", span, LOG_END);
	if (r->id[0] == '\0') {
		rest(r, at_least);
		return;
	}
	(void)snprintf(r->state.failed, sizeof(r->state.failed), "%s", why);
	write_state(r, at_least);
}

static void
save(void *arg)
{
	struct feed_run *r = arg;

	r->rc = feed_save(r->all->dir, r->account->name, &r->state, &r->e);
}

static void
saved(void *arg)
{
	struct feed_run *r = arg;

	if (r->rc != RC_OK)
		put_off(r, 0, r->e.text);
	else
		rest(r, r->pause);
}

/* The pass, or the feed, is over: it is forgotten what was asked and how often it failed. */
static void
conclude(struct feed_run *r)
{
	const struct conf *c = r->all->d->conf;
	int64_t wait = c->daemon.reconcile_every;

	r->wait = 0;
	r->since = 0;
	if (r->pass.young != 0 && c->daemon.reconcile_grace < wait)
		wait = c->daemon.reconcile_grace;
	write_state(r, r->state.off[0] != '\0' ? NEVER : wait);
}

/* The feed is not there, or not for us: until a start or a reload. */
static void
switch_off(struct feed_run *r, const char *why)
{
	(void)snprintf(r->state.off, sizeof(r->state.off), "%s", why);
	(void)snprintf(r->state.failed, sizeof(r->state.failed), "%s", why);
	log_put(LOG_WARN, "feed is not asked any more", "account", r->account->name, "reason",
	    why, LOG_END);
	conclude(r);
}

static void
tell_pass(const struct feed_run *r)
{
	const struct feed_state *s = &r->state;
	char window[48], seen[21], missing[21], recovered[21];

	(void)snprintf(window, sizeof(window), "%" PRIu64 "-%" PRIu64, s->from + 1, s->to);
	(void)snprintf(seen, sizeof(seen), "%" PRIu64, s->seen);
	(void)snprintf(missing, sizeof(missing), "%" PRIu64, s->missing);
	(void)snprintf(recovered, sizeof(recovered), "%" PRIu64, s->recovered);
	log_put(s->missing > 0 ? LOG_ERROR : LOG_INFO,
	    s->missing > 0 ? "the webhook missed events" : "reconciled", "account",
	    r->account->name, "window", window, "seen", seen, "missing", missing, "recovered",
	    recovered, LOG_END);
}

static void
end_pass(struct feed_run *r)
{
	feed_pass_report(&r->pass, &r->state, clk_wall());
	r->state.failed[0] = '\0';
	tell_pass(r);
	conclude(r);
}

/* ---- answers ---- */

/* What the same answers mean for both calls.  true: go on with it. */
static bool
is_good(struct feed_run *r, const struct http_answer *a)
{
	char why[ERR_TEXT];
	struct buf token = BUF_SECRET(TOKEN_MAX);
	enum rc rc;

	if (a->fate != HTTP_ANSWERED) {
		put_off(r, 0, a->text);
		return false;
	}
	if (a->status == 200 || a->status == 204)
		return true;
	(void)snprintf(why, sizeof(why), "the feed answered %d", a->status);
	if (a->status == 401 && !r->renewed &&
	    token_load(r->grant->dir, r->account, clk_wall(), &token, NULL) == RC_OK) {
		rc = token_refused(
		    r->grant->dir, r->account, clk_wall(), buf_text(&token), &r->e);
		if (rc == RC_OK) {
			rest(r, 0);
			r->renewed = true;
		} else {
			put_off(r, 0, r->e.text);
		}
	} else if (a->status == 403 || a->status == 404) {
		switch_off(r, why);
	} else {
		put_off(r, a->retry_after, why);
	}
	buf_wipe(&token);
	return false;
}

static void
compare(void *arg)
{
	struct feed_run *r = arg;

	r->rc = feed_page(&r->pass, buf_text(&r->body), r->body.n, &r->e);
	buf_free(&r->body);
}

static void
compared(void *arg)
{
	struct feed_run *r = arg;

	if (r->rc != RC_OK)
		put_off(r, 0, r->e.text);
	else if (feed_pass_done(&r->pass, &r->from))
		end_pass(r);
	else
		ask_page(r);
}

static void
page_came(const struct http_answer *a, void *arg)
{
	struct feed_run *r = arg;

	r->call = NULL;
	if (!is_good(r, a))
		return;
	r->body = BUF_INIT(FEED_ANSWER);
	buf_add(
	    &r->body, a->status == 204 ? "[]" : a->body, a->status == 204 ? 2 : a->body_len);
	if (buf_state(&r->body, &r->e) != RC_OK) {
		buf_free(&r->body);
		put_off(r, 0, r->e.text);
		return;
	}
	r->phase = ENTRY;
	r->pw = (struct pool_work){.work = compare, .done = compared, .arg = r};
	pool_put(r->all->d->pool, &r->pw);
}

/* The latest number is known: is there anything above the cursor? */
static void
look(struct feed_run *r, uint64_t last)
{
	struct feed_state *s = &r->state;

	s->off[0] = '\0';
	if (!s->begun && r->since == 0)
		log_put(LOG_NOTE, "feed begun", "account", r->account->name, LOG_END);
	r->pass = (struct feed_pass){.account = r->account,
	    .spool = r->all->d->spool,
	    .now = clk_wall(),
	    .grace = r->all->d->conf->daemon.reconcile_grace};
	feed_pass_begin(&r->pass, s, r->since, last);
	if (feed_pass_done(&r->pass, &r->from))
		end_pass(r);
	else
		ask_page(r);
}

static void
info_came(const struct http_answer *a, void *arg)
{
	struct feed_run *r = arg;
	uint64_t last = 0;

	r->call = NULL;
	if (!is_good(r, a))
		return;
	if (a->status == 200 && feed_info(a->body, a->body_len, &last, &r->e) != RC_OK)
		put_off(r, 0, r->e.text);
	else
		look(r, last);
}

/* ---- questions ---- */

/* RC_EXISTS: there is no token yet. */
static enum rc
ask(struct feed_run *r, const char *url, void (*done)(const struct http_answer *, void *))
{
	static const char *const headers[] = {"Accept: application/json"};
	const struct conf *c = r->all->d->conf;
	struct buf token = BUF_SECRET(TOKEN_MAX);
	struct http_request rq = {.url = url,
	    .headers = headers,
	    .nheaders = 1,
	    .ca_file = r->account->ca_file,
	    .max_body = FEED_ANSWER,
	    .file = -1,
	    .connect_timeout = c->daemon.connect_timeout,
	    .total_timeout = c->daemon.api_timeout,
	    .stall_timeout = c->daemon.stall_timeout};
	enum rc rc;

	if ((rc = grant_get(r->grant, NULL, &token, &r->e)) == RC_OK) {
		rq.bearer = buf_text(&token);
		rc = http_start(r->all->d->http, &rq, done, r, &r->call, &r->e);
	}
	buf_wipe(&token);
	return rc;
}

static void
ask_or_wait(struct feed_run *r, enum phase phase, const char *url,
    void (*done)(const struct http_answer *, void *))
{
	enum rc rc;

	r->phase = phase;
	rc = ask(r, url, done);
	if (rc == RC_EXISTS)
		rest(r, TOKEN_WAIT); /* begun anew then: nothing was done yet, or it is found
					done */
	else if (rc != RC_OK)
		put_off(r, 0, r->e.text);
}

static void
ask_page(struct feed_run *r)
{
	char url[FEED_URL];

	if (feed_page_url(r->account, r->from, url, &r->e) != RC_OK)
		switch_off(r, r->e.text);
	else
		ask_or_wait(r, PAGE, url, page_came);
}

static void
begin(struct feed_run *r)
{
	char url[FEED_URL];

	if (r->asked) {
		r->since = r->wanted;
		memcpy(r->id, r->next_id, sizeof(r->id));
	}
	r->asked = false;
	if (feed_info_url(r->account, url, &r->e) != RC_OK)
		switch_off(r, r->e.text);
	else
		ask_or_wait(r, INFO, url, info_came);
}

/* ---- for the daemon ---- */

/* state/feed. */
static enum rc
open_folder(const struct conf *c, int *dir, struct err *e)
{
	enum rc rc;
	int state;

	if ((rc = io_make_dir(AT_FDCWD, c->daemon.state, 0750, &state, e)) != RC_OK)
		return rc;
	rc = io_make_dir(state, FEED_DIR, 0700, dir, e);
	io_close(&state);
	return rc;
}

enum rc
reconcile_open(struct daemon *d, struct reconciler **out, struct err *e)
{
	size_t n = d->conf->naccounts;
	struct reconciler *all;
	enum rc rc;

	*out = NULL;
	if ((all = calloc(1, sizeof(*all) + n * sizeof(all->runs[0]))) == NULL)
		return err_set(e, RC_LATER, "no memory");
	all->d = d;
	all->n = n;
	if ((rc = open_folder(d->conf, &all->dir, e)) != RC_OK) {
		free(all);
		return rc;
	}
	for (size_t i = 0; i < n; i++) {
		struct feed_run *r = &all->runs[i];

		r->all = all;
		r->account = &d->conf->accounts[i];
		r->grant = &d->grants[i];
		if ((rc = feed_load(all->dir, r->account->name, &r->state, e)) != RC_OK &&
		    rc != RC_GONE)
			log_put(LOG_ERROR, "feed begun anew, its state cannot be read",
			    "account", r->account->name, "reason", e->text, LOG_END);
		r->next = r->account->reconcile == CONF_ON ? 0 : NEVER;
		if (r->next == NEVER)
			(void)snprintf(r->state.off, sizeof(r->state.off), "reconcile is off");
	}
	err_clear(e);
	*out = all;
	return RC_OK;
}

void
reconcile_close(struct reconciler **r)
{
	if (*r == NULL)
		return;
	for (size_t i = 0; i < (*r)->n; i++) {
		http_cancel((*r)->d->http, &(*r)->runs[i].call);
		buf_free(&(*r)->runs[i].body);
		feed_pass_end(&(*r)->runs[i].pass);
	}
	io_close(&(*r)->dir);
	free(*r);
	*r = NULL;
}

void
reconcile_tick(struct reconciler *r, int64_t now)
{
	for (size_t i = 0; i < r->n; i++)
		if (r->runs[i].phase == IDLE && r->runs[i].next <= now)
			begin(&r->runs[i]);
}

int64_t
reconcile_due(const struct reconciler *r)
{
	int64_t due = NEVER;

	for (size_t i = 0; i < r->n; i++)
		if (r->runs[i].phase == IDLE && r->runs[i].next < due)
			due = r->runs[i].next;
	return due;
}

static struct feed_run *
find(const struct reconciler *r, const char *account)
{
	for (size_t i = 0; r != NULL && i < r->n; i++)
		if (str_eq(r->runs[i].account->name, account))
			return (struct feed_run *)&r->runs[i];
	return NULL;
}

/* Sooner than it would be, but never what is switched off. */
static void
hurry(struct feed_run *r, int64_t when)
{
	if (r->phase == IDLE && r->next != NEVER && when < r->next)
		r->next = when;
}

void
reconcile_saw(struct reconciler *r, const char *account, const char *number)
{
	struct feed_run *run = find(r, account);
	uint64_t n;

	if (run == NULL || !str_u64(number, 1, UINT64_MAX, &n) || n <= run->highest)
		return;
	if (run->highest != 0 && n > run->highest + 1)
		hurry(run, clk_mono() + r->d->conf->daemon.reconcile_grace);
	run->highest = n;
}

/* The next part of a name, up to a dot; false: it does not fit. */
static bool
part(const char **p, char *out, size_t size)
{
	size_t n = strcspn(*p, ".");
	bool fits = str_copy_n(out, size, *p, n);

	*p += n + ((*p)[n] == '.');
	return fits;
}

bool
reconcile_ask(struct reconciler *r, const char *name)
{
	char account[NAME_ACCOUNT], number[24], id[FEED_ASK];
	struct feed_run *run;
	uint64_t since = 0;
	const char *p;

	if (!str_begins(name, FEED_WISH))
		return false;
	p = name + strlen(FEED_WISH);
	if (!part(&p, account, sizeof(account)) || !part(&p, number, sizeof(number)) ||
	    !part(&p, id, sizeof(id)) || *p != '\0' || (run = find(r, account)) == NULL ||
	    (number[0] != '\0' && !str_u64(number, 0, UINT64_MAX, &since)))
		return true;
	run->wanted = since;
	memcpy(run->next_id, id, sizeof(id));
	run->asked = true;
	if (run->account->reconcile == CONF_ON && run->phase == IDLE)
		run->next = 0;
	return true;
}

const struct feed_state *
reconcile_state(const struct reconciler *r, const char *account)
{
	const struct feed_run *run = find(r, account);

	return run != NULL ? &run->state : NULL;
}
