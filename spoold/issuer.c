/*
 * SPDX-License-Identifier: ISC
 *
 * issuer - the keys of the accounts' issuers, fetched for the receiver; see issuer.h.
 *
 * Beside an account's keys, <account>.asked says when a fetch was begun, and where: it is
 * written first, so that a daemon that dies in its fetches and is started again keeps to the
 * pause all the same.
 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon.h"
#include "discovery.h"
#include "io.h"
#include "issuer.h"
#include "keyfile.h"
#include "log.h"
#include "schedule.h"
#include "str.h"

#define NEVER INT64_MAX
#define SAY_AGAIN CLK_HOUR /* the same failure is logged once in it */
#define ASKED_NAME 40      /* "<account>.asked" with its NUL */
#define ASKED_TEXT (DISCOVERY_URL + 32)

struct said { /* the last failure that was logged, and when; "" none */
	char text[ERR_TEXT];
	int kind; /* 0: it is told by its text */
	int64_t at;
};

struct issuer {
	struct issuers *all;
	const struct conf_account *a; /* the first of its accounts; all say the same of it */
	char url[DISCOVERY_URL];      /* what is asked first */
	struct keyfile kept;          /* the last good keys, and when it was tried */
	int64_t due, earliest;        /* of itself; not before, whoever asks (monotonic) */
	unsigned failures;            /* since the last success */
	bool asked;
	int64_t write_at;       /* a file has still to be written, not before; 0: none */
	struct http_call *call; /* the request under way */
	struct keep *keep;      /* the files being written */
	int failure;            /* of the answer: the kind of it */
	struct said fetching, writing;
};

struct issuers {
	struct daemon *d;
	struct issuer *list;
	size_t n;
	size_t *of;         /* for each account: which of list; SIZE_MAX: it has no issuer */
	int64_t asked_from; /* because of what is asked, not before (monotonic) */
};

/* What is written to the files, on a thread of the pool: touches nothing else. */
struct keep {
	struct pool_work w;
	struct issuer *to; /* NULL: closed meanwhile */
	int dir;
	struct keyfile k;
	char (*accounts)[NAME_ACCOUNT];
	size_t n;
	enum rc rc;
	struct err e;
};

/* Is the account with this index one of this issuer? */
static bool
is_of(const struct issuer *s, size_t account)
{
	return s->all->of[account] == (size_t)(s - s->all->list);
}

/* A failure that was not logged before, or not for long; texts of one kind may differ. */
static bool
is_new(struct said *said, int64_t now, int kind, const char *text)
{
	bool same = kind != 0 ? said->kind == kind : str_eq(said->text, text);

	if (said->text[0] != '\0' && same && now - said->at < SAY_AGAIN)
		return false;
	(void)!str_copy(said->text, sizeof(said->text), text);
	said->kind = kind;
	said->at = now;
	return true;
}

/* ---- the files ---- */

static void
keep_free(struct keep *k)
{
	if (k == NULL)
		return;
	io_close(&k->dir);
	keyfile_free(&k->k);
	free(k->accounts);
	free(k);
}

static void
keep_work(void *arg)
{
	struct keep *k = arg;

	for (size_t i = 0; i < k->n; i++) {
		struct err e;
		enum rc rc = keyfile_write(k->dir, k->accounts[i], &k->k, &e);

		if (rc != RC_OK) {
			k->rc = rc;
			k->e = e;
		}
	}
}

/* The files were written, or could not be: then it is tried again. */
static void
kept(struct issuer *s, enum rc rc, const struct err *e)
{
	if (rc == RC_OK) {
		s->writing.text[0] = '\0';
		return;
	}
	s->write_at = clk_mono() + ISSUER_PAUSE;
	if (is_new(&s->writing, clk_mono(), 0, e->text))
		log_put(LOG_ERROR, "cannot keep the keys of an issuer", "issuer", s->a->issuer,
		    "reason", e->text, LOG_END);
}

static void
keep_done(void *arg)
{
	struct keep *k = arg;

	if (k->to != NULL) {
		k->to->keep = NULL;
		kept(k->to, k->rc, &k->e);
	}
	keep_free(k);
}

/* A copy of what is kept, and the accounts whose files it goes to. */
static struct keep *
keep_new(struct issuer *s)
{
	const struct conf *c = s->all->d->conf;
	struct keep *k = calloc(1, sizeof(*k));

	if (k == NULL)
		return NULL;
	k->dir = -1;
	k->k = s->kept;
	k->k.jwks = NULL;
	k->accounts = calloc(c->naccounts, sizeof(*k->accounts));
	if (k->accounts == NULL ||
	    (s->kept.jwks != NULL && (k->k.jwks = strdup(s->kept.jwks)) == NULL)) {
		keep_free(k);
		return NULL;
	}
	for (size_t i = 0; i < c->naccounts; i++)
		if (is_of(s, i) &&
		    str_copy(k->accounts[k->n], NAME_ACCOUNT, c->accounts[i].name))
			k->n++;
	return k;
}

/* Write the files of all accounts of an issuer. */
static void
keep(struct issuer *s)
{
	struct keep *k = keep_new(s);
	struct err e;
	enum rc rc;

	s->write_at = 0;
	if (k == NULL)
		rc = err_set(&e, RC_LATER, "no memory");
	else
		rc = io_open_dir(spool_keys_dir(s->all->d->spool), ".", &k->dir, &e);
	if (rc != RC_OK) {
		keep_free(k);
		kept(s, rc, &e);
		return;
	}
	k->to = s;
	k->w = (struct pool_work){.work = keep_work, .done = keep_done, .arg = k};
	s->keep = k;
	pool_put(s->all->d->pool, &k->w);
}

static void
asked_name(const char *account, char out[ASKED_NAME])
{
	(void)snprintf(out, ASKED_NAME, "%.32s.asked", account);
}

/* Note for every account that a fetch begins.  Not synced: it outlives the process. */
static void
note_asked(struct issuer *s)
{
	const struct conf *c = s->all->d->conf;
	struct buf b = BUF_INIT(ASKED_TEXT);
	char name[ASKED_NAME];
	struct err e;

	buf_fmt(&b, "%" PRId64 " %s\n", clk_wall(), s->url);
	for (size_t i = 0; i < c->naccounts; i++) {
		if (!is_of(s, i))
			continue;
		asked_name(c->accounts[i].name, name);
		if (buf_state(&b, &e) != RC_OK ||
		    io_replace_lazy(
			spool_keys_dir(s->all->d->spool), name, 0640, b.p, b.n, &e) != RC_OK)
			log_put(LOG_WARN, "cannot note that an issuer is asked", "issuer",
			    s->a->issuer, "reason", e.text, LOG_END);
	}
	buf_free(&b);
}

/* When the fetch that an account's note tells of began; 0: none, or of another place. */
static int64_t
read_asked(struct issuer *s, const char *account)
{
	struct buf b = BUF_INIT(ASKED_TEXT);
	char name[ASKED_NAME], *space;
	uint64_t when = 0;

	asked_name(account, name);
	if (io_read_file(spool_keys_dir(s->all->d->spool), name, &b, NULL) == RC_OK &&
	    b.n > 0 && b.p[b.n - 1] == '\n' && (space = strchr(b.p, ' ')) != NULL) {
		b.p[b.n - 1] = *space = '\0';
		if (!str_u64(b.p, 0, INT64_MAX, &when) || !str_eq(space + 1, s->url))
			when = 0;
	}
	buf_free(&b);
	return (int64_t)when;
}

/* ---- a fetch ---- */

/* The interval until the issuer is asked of itself: they do not all come at once. */
static int64_t
refresh(const struct issuer *s)
{
	int64_t every = s->all->d->conf->daemon.keys_refresh;

	return every - (int64_t)clk_random_below((uint64_t)(every / 10));
}

static void
log_change(const struct issuer *s, const char *jwks, size_t n)
{
	const struct keyfile *old = &s->kept;
	struct buf added = BUF_INIT(DISCOVERY_TEXT), removed = BUF_INIT(DISCOVERY_TEXT);

	if (old->jwks != NULL && old->jwks_len == n && memcmp(old->jwks, jwks, n) == 0)
		return;
	discovery_extra(jwks, n, old->jwks, old->jwks_len, &added);
	discovery_extra(old->jwks, old->jwks_len, jwks, n, &removed);
	log_put(LOG_NOTE, "keys of an issuer changed", "issuer", s->a->issuer, "added",
	    buf_text(&added), "removed", buf_text(&removed), LOG_END);
	buf_free(&added);
	buf_free(&removed);
}

static void
log_failure(struct issuer *s, int64_t now, const struct err *e)
{
	char age[CLK_TEXT] = "none";

	if (!is_new(&s->fetching, now, s->failure, e->text))
		return;
	if (s->kept.fetched != 0)
		clk_span(clk_wall() - s->kept.fetched, age);
	log_put(LOG_WARN, "no keys from an issuer", "issuer", s->a->issuer, "reason", e->text,
	    "keys_age", age, LOG_END);
}

/* The fetch is over, whatever came of it. */
static void
finish(struct issuer *s, enum rc rc, int64_t retry_after, const struct err *e)
{
	int64_t now = clk_mono(), wait, most = s->all->d->conf->daemon.keys_refresh;

	s->asked = false;
	s->kept.tried = clk_wall();
	if (rc == RC_OK) {
		if (s->failures > 0)
			log_put(LOG_NOTE, "keys from an issuer again", "issuer", s->a->issuer,
			    LOG_END);
		s->failures = 0;
		s->fetching.text[0] = '\0';
		s->due = now + refresh(s);
	} else {
		s->failures++;
		if (retry_after > most)
			retry_after = most;
		wait = schedule_wait(s->failures, 2 * ISSUER_PAUSE, most, retry_after);
		s->due = now + wait;
		if (s->earliest < now + retry_after)
			s->earliest = now + retry_after;
		log_failure(s, now, e);
	}
	keep(s);
}

/* Take the keys: from now on they are the last good ones. */
static enum rc
take(struct issuer *s, const char *jwks, size_t n, struct err *e)
{
	char *copy;
	enum rc rc;

	if ((rc = keyfile_check(jwks, n, e)) != RC_OK)
		return rc;
	if ((copy = strndup(jwks, n)) == NULL)
		return err_set(e, RC_LATER, "no memory");
	log_change(s, jwks, n);
	free(s->kept.jwks);
	s->kept.jwks = copy;
	s->kept.jwks_len = n;
	s->kept.fetched = clk_wall();
	return RC_OK;
}

static enum rc
judge(struct issuer *s, const struct http_answer *a, const char *what, struct err *e)
{
	s->failure = (int)a->fate; /* its text says how long it took */
	if (a->fate != HTTP_ANSWERED)
		return err_set(e, RC_LATER, "%s: %.250s", what, a->text);
	s->failure = 0;
	if (a->status != 200)
		return err_set(e, RC_LATER, "%s: status %d", what, a->status);
	return RC_OK;
}

static void
answered_keys(const struct http_answer *a, void *arg)
{
	struct issuer *s = arg;
	struct err e = {0};
	enum rc rc;

	s->call = NULL;
	if ((rc = judge(s, a, "the keys", &e)) == RC_OK)
		rc = take(s, a->body, a->body_len, &e);
	finish(s, rc, a->retry_after, &e);
}

static enum rc
get(struct issuer *s, const char *url, void (*done)(const struct http_answer *, void *),
    struct err *e)
{
	static const char *const headers[] = {"Accept: application/json"};
	struct http_request rq = {.url = url,
	    .headers = headers,
	    .nheaders = 1,
	    .ca_file = s->a->issuer_ca_file,
	    .max_body = KEYFILE_JWKS,
	    .file = -1,
	    .connect_timeout = ISSUER_TIMEOUT,
	    .total_timeout = ISSUER_TIMEOUT,
	    .stall_timeout = ISSUER_TIMEOUT};

	return http_start(s->all->d->http, &rq, done, s, &s->call, e);
}

static void
answered_document(const struct http_answer *a, void *arg)
{
	struct issuer *s = arg;
	char url[DISCOVERY_URL];
	struct err e = {0};
	enum rc rc;

	s->call = NULL;
	if ((rc = judge(s, a, "the discovery document", &e)) == RC_OK &&
	    (rc = discovery_read(a->body, a->body_len, s->a->issuer, url, &e)) == RC_OK)
		rc = get(s, url, answered_keys, &e);
	if (rc != RC_OK)
		finish(s, rc, a->retry_after, &e);
}

static void
fetch(struct issuer *s, int64_t now)
{
	struct err e = {0};
	enum rc rc;

	s->earliest = now + ISSUER_PAUSE;
	s->failure = 0;
	note_asked(s);
	rc = get(s, s->url, s->a->jwks_url != NULL ? answered_keys : answered_document, &e);
	if (rc != RC_OK)
		finish(s, rc, -1, &e);
}

/* ---- which, and when ---- */

static bool
is_idle(const struct issuer *s)
{
	return s->call == NULL && s->keep == NULL;
}

/* When this one is fetched next. */
static int64_t
next_of(const struct issuer *s)
{
	int64_t at = s->due;

	if (s->asked && s->all->asked_from < at)
		at = s->all->asked_from;
	if (at < s->earliest)
		at = s->earliest;
	return s->write_at != 0 && s->write_at < at ? s->write_at : at;
}

/* Of those that were asked for, the one that has waited longest since its last fetch. */
static struct issuer *
first_asked(struct issuers *is, int64_t now)
{
	struct issuer *first = NULL;

	for (size_t i = 0; i < is->n; i++) {
		struct issuer *s = &is->list[i];

		if (s->asked && is_idle(s) && s->earliest <= now &&
		    (first == NULL || s->earliest < first->earliest))
			first = s;
	}
	return first;
}

void
issuers_tick(struct issuers *is, int64_t now)
{
	struct issuer *s;

	for (size_t i = 0; i < is->n; i++) {
		s = &is->list[i];
		if (s->write_at != 0 && is_idle(s) && s->write_at <= now)
			keep(s);
		else if (is_idle(s) && s->due <= now && s->earliest <= now)
			fetch(s, now);
	}
	if (now < is->asked_from || (s = first_asked(is, now)) == NULL)
		return;
	is->asked_from = now + ISSUER_PAUSE;
	fetch(s, now);
}

int64_t
issuers_due(const struct issuers *is)
{
	int64_t first = NEVER;

	for (size_t i = 0; i < is->n; i++)
		if (is_idle(&is->list[i]) && next_of(&is->list[i]) < first)
			first = next_of(&is->list[i]);
	return first;
}

bool
issuers_times(const struct issuers *is, const char *account, int64_t *fetched, int64_t *tried)
{
	const struct conf *c = is != NULL ? is->d->conf : NULL;

	for (size_t i = 0; c != NULL && i < c->naccounts; i++) {
		if (!str_eq(c->accounts[i].name, account) || is->of[i] >= is->n)
			continue;
		*fetched = is->list[is->of[i]].kept.fetched;
		*tried = is->list[is->of[i]].kept.tried;
		return true;
	}
	return false;
}

bool
issuers_ask(struct issuers *is, const char *name)
{
	const struct conf *c = is->d->conf;

	if (!str_begins(name, ISSUER_ASK))
		return false;
	name += strlen(ISSUER_ASK);
	for (size_t i = 0; i < c->naccounts; i++)
		if (is->of[i] < is->n && str_eq(c->accounts[i].name, name)) {
			is->list[is->of[i]].asked = true;
			return true;
		}
	return false;
}

/* ---- open and close ---- */

static bool
same_text(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : str_eq(a, b);
}

static bool
same_issuer(const struct conf_account *a, const struct conf_account *b)
{
	return same_text(a->issuer, b->issuer) && same_text(a->jwks_url, b->jwks_url) &&
	       same_text(a->issuer_ca_file, b->issuer_ca_file);
}

/* The issuer of an account, which may be a new one; RC_CONFIG: its URL is of no use. */
static enum rc
add(struct issuers *is, const struct conf_account *a, size_t *of, struct err *e)
{
	struct issuer *s;

	for (*of = 0; *of < is->n; (*of)++)
		if (same_issuer(is->list[*of].a, a))
			return RC_OK;
	s = &is->list[is->n];
	*s = (struct issuer){.all = is, .a = a};
	if (!str_copy(s->kept.issuer, sizeof(s->kept.issuer), a->issuer) ||
	    (a->jwks_url != NULL && !str_copy(s->url, sizeof(s->url), a->jwks_url)))
		return err_set(
		    e, RC_CONFIG, "account %.32s: its issuer's URL is too long", a->name);
	if (a->jwks_url == NULL && discovery_url(a->issuer, s->url, e) != RC_OK)
		return RC_CONFIG;
	is->n++;
	return RC_OK;
}

/* What the files of an issuer's accounts tell. */
struct past {
	int64_t asked;   /* the last fetch began or ended then */
	bool good;       /* it brought the keys that are kept, from where they are now */
	size_t accounts; /* of this issuer */
	size_t same;     /* that have the keys that are kept */
};

/* Take over the keys of an account if they are younger than what its issuer has so far. */
static void
adopt(struct issuer *s, struct keyfile *k, int64_t began, struct past *p)
{
	if (k->tried > p->asked)
		p->asked = k->tried;
	if (k->fetched == s->kept.fetched)
		p->same++;
	if (k->fetched <= s->kept.fetched) {
		keyfile_free(k);
		return;
	}
	keyfile_free(&s->kept);
	s->kept = *k;
	p->same = 1;
	p->good = began != 0 && k->fetched >= began && k->fetched == k->tried;
}

/* RC_LATER: a file is there that may be good, but could not be read just now. */
static enum rc
load(struct issuer *s, const char *account, struct past *p, struct err *e)
{
	int64_t began = read_asked(s, account);
	struct keyfile k;
	enum rc rc;

	p->accounts++;
	if (began > p->asked)
		p->asked = began;
	rc = keyfile_read(spool_keys_dir(s->all->d->spool), account, &k, e);
	if (rc == RC_LATER || rc == RC_FULL)
		return rc;
	if (rc == RC_OK && str_eq(k.issuer, s->a->issuer)) {
		adopt(s, &k, began, p);
		return RC_OK;
	}
	if (rc != RC_OK && rc != RC_GONE)
		log_put(LOG_WARN, "keys of an issuer cannot be read", "account", account,
		    "reason", e->text, LOG_END);
	keyfile_free(&k);
	return RC_OK;
}

/* Set the times of an issuer as if the daemon had not been away. */
static void
resume(struct issuer *s, const struct past *p)
{
	int64_t now = clk_mono(), since = clk_wall() - p->asked, age;

	if (since < 0) /* the clock was set back: a whole pause is on the safe side */
		since = 0;
	s->earliest = since < ISSUER_PAUSE ? now + ISSUER_PAUSE - since : now;
	s->due = s->earliest;
	age = clk_wall() - s->kept.fetched;
	if (p->good && age >= 0)
		s->due = now + refresh(s) - age;
	if (s->kept.fetched != 0 && p->same < p->accounts)
		s->write_at = now;
	if (s->earliest > s->all->asked_from)
		s->all->asked_from = s->earliest;
}

static enum rc
open_all(struct issuers *is, struct err *e)
{
	const struct conf *c = is->d->conf;
	enum rc rc;

	for (size_t i = 0; i < c->naccounts; i++) {
		is->of[i] = SIZE_MAX;
		if (c->accounts[i].issuer != NULL &&
		    (rc = add(is, &c->accounts[i], &is->of[i], e)) != RC_OK)
			return rc;
	}
	is->asked_from = clk_mono();
	for (size_t k = 0; k < is->n; k++) {
		struct past p = {0};

		for (size_t i = 0; i < c->naccounts; i++)
			if (is->of[i] == k &&
			    (rc = load(&is->list[k], c->accounts[i].name, &p, e)) != RC_OK)
				return rc;
		resume(&is->list[k], &p);
	}
	return RC_OK;
}

enum rc
issuers_open(struct daemon *d, struct issuers **out, struct err *e)
{
	size_t n = d->conf->naccounts;
	struct issuers *is;
	enum rc rc;

	*out = NULL;
	if ((is = calloc(1, sizeof(*is))) == NULL)
		return err_set(e, RC_LATER, "no memory");
	is->d = d;
	is->list = calloc(n, sizeof(*is->list));
	is->of = calloc(n, sizeof(*is->of));
	if (is->list == NULL || is->of == NULL)
		rc = err_set(e, RC_LATER, "no memory");
	else
		rc = open_all(is, e);
	if (rc != RC_OK)
		issuers_close(&is);
	*out = is;
	return rc;
}

void
issuers_close(struct issuers **out)
{
	struct issuers *is = *out;

	if (is == NULL)
		return;
	for (size_t i = 0; i < is->n; i++) {
		struct issuer *s = &is->list[i];

		if (s->call != NULL)
			http_cancel(is->d->http, &s->call);
		if (s->keep != NULL)
			s->keep->to = NULL;
		keyfile_free(&s->kept);
	}
	free(is->list);
	free(is->of);
	free(is);
	*out = NULL;
}
