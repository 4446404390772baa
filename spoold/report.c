/*
 * SPDX-License-Identifier: ISC
 *
 * report - status.json; see report.h.
 */
#include "config.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "alarm.h"
#include "buf.h"
#include "daemon.h"
#include "document.h"
#include "history.h"
#include "io.h"
#include "json.h"
#include "log.h"
#include "notify.h"
#include "report.h"
#include "str.h"
#include "token.h"
#include "work.h"

#define SENTENCE (ERR_TEXT + 120)

struct report {
	struct daemon *d;
	struct history *history;
	int64_t started; /* wall clock */
	bool dirty;
	int64_t written; /* monotonic clock; 0: never */
	struct document_progress progress[REPORT_TRANSFERS];
	const struct target *target[REPORT_TARGETS]; /* while one is written */
	size_t ntargets;
	bool trouble; /* those that are well are not looked at */
};

/* ---- what is counted ---- */

struct oldest {
	int64_t since; /* INT64_MAX: none */
};

static void
look_at_job(struct job *job, void *arg)
{
	struct oldest *o = arg;

	if (job->work == NULL && job->since < o->since)
		o->since = job->since;
}

static uint64_t
waiting(const struct daemon *d)
{
	uint64_t all = count_get(spool_counts(d->spool), COUNT_WAITING);

	return all > d->running ? all - d->running : 0;
}

static void
first_alarm(const struct alarm *al, void *arg)
{
	const struct alarm **first = arg;

	if (*first == NULL || al->since < (*first)->since)
		*first = al;
}

/* How it is, in words. */
static void
say(const struct report *r, bool running, char out[SENTENCE])
{
	const uint64_t n = waiting(r->d);
	const unsigned alarms = alarms_count(r->d->alarms);
	const struct alarm *first = NULL;
	char wait[64];

	(void)snprintf(wait, sizeof(wait), n == 0 ? "nothing waits" : "%" PRIu64 " event%s", n,
	    n == 1 ? " waits" : "s wait");
	alarms_each(r->d->alarms, first_alarm, &first);
	if (!running)
		(void)snprintf(out, SENTENCE, "spoold has been stopped; %s", wait);
	else if (first == NULL)
		(void)snprintf(out, SENTENCE, "all is well; %s", wait);
	else if (alarms == 1)
		(void)snprintf(out, SENTENCE, "a person is needed: %s; %s", first->text, wait);
	else
		(void)snprintf(out, SENTENCE, "a person is needed for %u things: %s; %s",
		    alarms, first->text, wait);
}

/* ---- the parts of the file ---- */

static void
put_text(struct buf *b, const char *name, const char *text)
{
	buf_fmt(b, ",\"%s\":", name);
	buf_json(b, text);
}

struct list { /* of what is written one after the other */
	const struct report *r;
	struct buf *b;
	unsigned n;
};

static void
put_comma(struct list *l)
{
	buf_str(l->b, l->n++ > 0 ? ",\n" : "\n");
}

static void
put_alarm(const struct alarm *al, void *arg)
{
	struct list *l = arg;

	put_comma(l);
	buf_str(l->b, "{\"key\":");
	buf_json(l->b, al->key);
	buf_fmt(l->b, ",\"since\":%" PRId64, al->since);
	put_text(l->b, "text", al->text);
	put_text(l->b, "todo", al->todo);
	buf_str(l->b, "}");
}

static void
put_host(const struct alarm_host *h, void *arg)
{
	struct list *l = arg;

	put_comma(l);
	buf_str(l->b, "{\"host\":");
	buf_json(l->b, h->host);
	buf_fmt(l->b, ",\"ends\":%" PRId64 ",\"seen\":%" PRId64 "}", h->ends, h->seen);
}

static const char *
state_of(const struct target *t)
{
	if (t->open_until != 0)
		return t->kind == PAUSE_DOWN     ? "down"
		       : t->kind == PAUSE_CONFIG ? "configuration"
						 : "paused";
	return t->failures > 0 ? "failing" : t->good ? "up" : "unknown";
}

static void
put_target(struct list *l, const struct target *t)
{
	const int64_t now = clk_mono();
	char why[ERR_TEXT];
	int64_t next = 0;

	if (t->open_until != 0 && t->open_until != TARGET_UNTIL_LIFTED)
		next = clk_wall() + (t->open_until > now ? t->open_until - now : 0);
	alarms_reason(t, why, sizeof(why));
	put_comma(l);
	buf_str(l->b, "{\"name\":");
	buf_json(l->b, t->name);
	buf_fmt(l->b, ",\"state\":\"%s\",\"since\":%" PRId64 ",\"next\":%" PRId64, state_of(t),
	    t->since, next);
	put_text(l->b, "reason", why);
	buf_str(l->b, "}");
}

static void
collect_target(struct target *t, void *arg)
{
	struct report *r = arg;

	if (r->ntargets < REPORT_TARGETS && (t->open_until != 0) == r->trouble)
		r->target[r->ntargets++] = t;
}

static void
put_targets(struct report *r, struct buf *b)
{
	struct list l = {r, b, 0};

	r->ntargets = 0;
	r->trouble = true;
	targets_each(r->d->targets, collect_target, r);
	r->trouble = false;
	targets_each(r->d->targets, collect_target, r);
	buf_str(b, ",\n\"targets\":[");
	for (size_t i = 0; i < r->ntargets; i++)
		put_target(&l, r->target[i]);
	buf_str(b, "]");
}

static void
put_disk(const struct report *r, struct buf *b)
{
	const struct conf *c = r->d->conf;
	struct spool_gauge g;
	uint64_t bytes = 0;
	int fd;

	spool_gauge(r->d->spool, &g);
	if (io_open_dir(AT_FDCWD, c->daemon.store, &fd, NULL) == RC_OK &&
	    io_room(fd, &bytes, NULL) != RC_OK)
		bytes = 0;
	io_close(&fd);
	buf_fmt(b,
	    ",\n\"disk\":{\"queue\":{\"free\":%" PRIu64 ",\"min_free\":%" PRIu64
	    ",\"inodes\":%" PRIu64 ",\"min_inodes\":%" PRIu64 "},\"store\":{\"free\":%" PRIu64
	    ",\"min_free\":%" PRIu64 "}}",
	    g.free, g.limits.min_free, g.inodes, g.few_inodes ? g.limits.min_inodes : 0, bytes,
	    2 * c->spool.min_free);
}

static void
put_feed(const struct report *r, const char *account, struct buf *b)
{
	static const struct feed_state none;
	const struct feed_state *s = reconcile_state(r->d->reconciler, account);

	if (s == NULL)
		s = &none;
	buf_fmt(b,
	    ",\"feed\":{\"ran\":%" PRId64 ",\"from\":%" PRIu64 ",\"to\":%" PRIu64
	    ",\"seen\":%" PRIu64 ",\"missing\":%" PRIu64 ",\"recovered\":%" PRIu64
	    ",\"recovered_all\":%" PRIu64,
	    s->ran, s->from, s->to, s->seen, s->missing, s->recovered, s->recovered_all);
	put_text(b, "off", s->off);
	buf_str(b, "}");
}

static void
put_account(const struct report *r, size_t i, struct buf *b)
{
	const struct conf_account *a = &r->d->conf->accounts[i];
	int64_t fetched = 0, expires = 0, tried = 0;

	buf_str(b, i > 0 ? ",\n{\"name\":" : "\n{\"name\":");
	buf_json(b, a->name);
	buf_fmt(b, ",\"last_event\":%" PRId64 ",\"silence_limit\":%" PRId64,
	    alarms_last(r->d->alarms, a->name), a->silence_limit);
	token_times(r->d->grants[i].dir, a, &fetched, &expires);
	buf_fmt(b, ",\"token\":{\"fetched\":%" PRId64 ",\"expires\":%" PRId64 "}", fetched,
	    expires);
	fetched = 0;
	if (issuers_times(r->d->issuers, a->name, &fetched, &tried))
		buf_fmt(b,
		    ",\"keys\":{\"fetched\":%" PRId64 ",\"tried\":%" PRId64
		    ",\"max_age\":%" PRId64 "}",
		    fetched, tried, a->keys_max_age);
	else
		buf_str(b, ",\"keys\":null");
	put_feed(r, a->name, b);
	buf_str(b, "}");
}

static void
put_transfers(struct report *r, struct buf *b)
{
	size_t n = document_progress(r->d, r->progress, REPORT_TRANSFERS);

	buf_str(b, ",\n\"transfers\":[");
	for (size_t i = 0; i < n; i++) {
		const struct document_progress *p = &r->progress[i];
		int64_t taken = p->since;

		buf_str(b, i > 0 ? ",\n{\"event\":" : "\n{\"event\":");
		buf_json(b, p->event);
		put_text(b, "host", p->host);
		buf_fmt(b,
		    ",\"bytes\":%" PRIu64 ",\"total\":%" PRIu64 ",\"since\":%" PRId64
		    ",\"link_end\":%" PRId64 ",\"waiting\":%s}",
		    p->got, p->all, clk_wall() - taken, p->link_end,
		    p->waiting ? "true" : "false");
	}
	buf_str(b, "]");
}

static void
put_head(const struct report *r, bool running, struct buf *b)
{
	const int64_t now = clk_wall(), every = r->d->conf->daemon.status_every;
	char sentence[SENTENCE];

	say(r, running, sentence);
	notify_status(sentence);
	buf_fmt(b,
	    "{\"version\":%d,\"program\":\"%s\",\"written\":%" PRId64
	    ",\"stale_after\":%" PRId64 ",\"state\":\"%s\",\"pid\":%ld,\"started\":%" PRId64
	    ",\n\"well\":%s,\"sentence\":",
	    REPORT_VERSION, PACKAGE_VERSION, now, now + 2 * REPORT_IDLE + every,
	    running ? "running" : "stopped", (long)getpid(), r->started,
	    running && alarms_count(r->d->alarms) == 0 ? "true" : "false");
	buf_json(b, sentence);
}

static void
put_counts(const struct report *r, struct buf *b)
{
	const struct daemon *d = r->d;
	struct oldest o = {INT64_MAX};
	uint64_t recovered = 0;
	int64_t last = 0;

	jobs_each(d->jobs, look_at_job, &o);
	for (size_t i = 0; i < d->conf->naccounts; i++) {
		const char *name = d->conf->accounts[i].name;
		const struct feed_state *s = reconcile_state(d->reconciler, name);

		recovered += s != NULL ? s->recovered_all : 0;
		if (alarms_last(d->alarms, name) > last)
			last = alarms_last(d->alarms, name);
	}
	buf_fmt(b,
	    ",\n\"counts\":{\"waiting\":%" PRIu64 ",\"working\":%u,\"failed\":%" PRIu64
	    ",\"held\":%" PRIu64 ",\"rejected\":%" PRIu64 "},\n\"recovered\":%" PRIu64
	    ",\"late\":%" PRIu64 ",\"last_event\":%" PRId64 ",\"oldest_waiting\":%" PRId64,
	    waiting(d), d->running, d->in_box[SPOOL_FAILED], d->in_box[SPOOL_HELD],
	    d->in_box[SPOOL_REJECTED], recovered, count_get(spool_counts(d->spool), COUNT_LATE),
	    last, o.since == INT64_MAX ? 0 : o.since);
}

static void
put_all(struct report *r, bool running, struct buf *b)
{
	struct list l = {r, b, 0};

	put_head(r, running, b);
	buf_str(b, ",\n\"alarms\":[");
	alarms_each(r->d->alarms, put_alarm, &l);
	buf_str(b, "]");
	put_counts(r, b);
	put_targets(r, b);
	put_disk(r, b);
	buf_str(b, ",\n\"accounts\":[");
	for (size_t i = 0; i < r->d->conf->naccounts; i++)
		put_account(r, i, b);
	buf_str(b, "],\n\"certificates\":[");
	l.n = 0;
	alarms_each_host(r->d->alarms, put_host, &l);
	buf_str(b, "]");
	put_transfers(r, b);
	buf_str(b, ",\n");
	history_write(r->history, clk_wall(), b);
	buf_str(b, "}\n");
}

void
report_write(struct report *r, bool running)
{
	struct buf b = BUF_INIT(REPORT_MAX);
	struct err e;

	if (r == NULL)
		return;
	put_all(r, running, &b);
	if (buf_state(&b, &e) != RC_OK ||
	    io_replace_lazy(spool_dir(r->d->spool), REPORT_FILE, 0640, b.p, b.n, &e) != RC_OK)
		log_put(LOG_ERROR, "status.json not written", "reason", e.text, LOG_END);
	buf_free(&b);
	r->dirty = false;
	r->written = clk_mono();
}

/* Is the event one that was erased?  Its header says so. */
static bool
is_erased(const char *name, void *arg)
{
	struct buf b = BUF_INIT(REC_HEAD_MAX);
	struct spool_item it;
	struct rec rec;
	bool is;

	if (spool_peek(arg, SPOOL_DONE, name, &it, NULL) != RC_OK)
		return false;
	is = spool_read_head(&it, &b, &rec, NULL) == RC_OK && rec.erased != 0;
	spool_unlock(&it);
	buf_free(&b);
	return is;
}

void
report_erased(struct report *r)
{
	if (r == NULL)
		return;
	history_erase(r->history, is_erased, r->d->spool);
	report_write(r, true);
}

/* ---- when ---- */

void
report_touch(struct report *r)
{
	if (r != NULL)
		r->dirty = true;
}

int64_t
report_due(const struct report *r)
{
	if (r == NULL)
		return INT64_MAX;
	if (r->written == 0)
		return 0;
	return r->written +
	       (r->dirty || r->d->running > 0 ? r->d->conf->daemon.status_every : REPORT_IDLE);
}

void
report_tick(struct report *r, int64_t now)
{
	if (r != NULL && now >= report_due(r))
		report_write(r, true);
}

/* ---- what happened ---- */

void
report_came(struct report *r, const char *name)
{
	const int64_t now = clk_wall();
	struct history_event *ev;

	if (r == NULL)
		return;
	r->dirty = true;
	history_came(r->history, now, name);
	ev = history_event(r->history, now, name);
	(void)snprintf(ev->state, sizeof(ev->state), "waiting");
}

void
report_state(struct report *r, const char *name, const char *state)
{
	struct history_event *ev;

	if (r == NULL)
		return;
	r->dirty = true;
	if ((ev = history_find(r->history, name)) == NULL)
		return;
	ev->changed = clk_wall();
	ev->due = 0;
	(void)snprintf(ev->state, sizeof(ev->state), "%s", state);
}

void
report_work(const struct work *w, const char *state)
{
	struct report *r = w->d->report;
	const struct retry *n = &w->job->retry;
	const int64_t now = clk_wall();
	struct history_event *ev;

	if (r == NULL)
		return;
	r->dirty = true;
	ev = history_event(r->history, now, w->job->name);
	(void)snprintf(ev->state, sizeof(ev->state), "%s", state);
	(void)snprintf(ev->step, sizeof(ev->step), "%s", n->step);
	ev->tries = n->tries;
	ev->due = str_eq(state, "waiting") ? n->due : 0;
	if (w->rec.received == 0) /* its file was not read */
		return;
	ev->received = w->rec.received;
	(void)snprintf(ev->source, sizeof(ev->source), "%s", rec_source_name(w->rec.source));
	history_id(ev->client, w->ev.client_hash);
	history_id(ev->document, w->ev.document_hash);
	if (str_eq(state, "done"))
		history_took(r->history, now, HISTORY_DONE, now - w->rec.received);
}

void
report_document(const struct work *w)
{
	struct report *r = w->d->report;
	const int64_t now = clk_wall();

	if (r == NULL)
		return;
	r->dirty = true;
	history_took(r->history, now, HISTORY_DOCUMENT, now - w->rec.received);
}

/* ---- for the daemon ---- */

/* What a crash between writing and renaming left. */
static void
sweep(const struct report *r)
{
	const struct dirent *de;
	DIR *dir;
	int fd;

	if (io_open_dir(spool_dir(r->d->spool), ".", &fd, NULL) != RC_OK)
		return;
	if ((dir = fdopendir(fd)) == NULL) {
		io_close(&fd);
		return;
	}
	while ((de = readdir(dir)) != NULL)
		if (str_begins(de->d_name, "." REPORT_FILE "."))
			(void)io_unlink(spool_dir(r->d->spool), de->d_name, NULL);
	(void)closedir(dir);
}

/* The last days, as the daemon before this one left them. */
static void
take_up(struct report *r)
{
	struct buf b = BUF_INIT(REPORT_MAX);
	struct json *doc = NULL;
	struct err e;
	enum rc rc;

	if ((rc = io_read_file(spool_dir(r->d->spool), REPORT_FILE, &b, &e)) == RC_OK)
		rc = json_parse(buf_text(&b), b.n, &doc, &e);
	if (rc == RC_OK)
		history_read(r->history, clk_wall(), doc);
	else if (rc != RC_GONE)
		log_put(LOG_WARN, "status.json begun anew", "reason", e.text, LOG_END);
	json_free(&doc);
	buf_free(&b);
}

enum rc
report_open(struct daemon *d, struct report **out, struct err *e)
{
	struct report *r = calloc(1, sizeof(*r));

	*out = NULL;
	if (r == NULL || (r->history = history_new()) == NULL) {
		free(r);
		return err_set(e, RC_LATER, "no memory");
	}
	r->d = d;
	r->started = clk_wall();
	sweep(r);
	take_up(r);
	*out = r;
	return RC_OK;
}

void
report_close(struct report **r)
{
	if (*r == NULL)
		return;
	history_free(&(*r)->history);
	free(*r);
	*r = NULL;
}
