/*
 * SPDX-License-Identifier: ISC
 *
 * alarm - what a person has to know of; see alarm.h.
 */
#include "config.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "alarm.h"
#include "buf.h"
#include "child.h"
#include "clk.h"
#include "daemon.h"
#include "io.h"
#include "json.h"
#include "log.h"
#include "purge.h"
#include "str.h"

#define STATE_MAX (1 << 20)
#define HOST_KEPT (7 * CLK_DAY)  /* a certificate that was not seen for so long is forgotten */
#define OLD(age) ((age) / 4 * 3) /* of what stays valid for so long: time to say something */

struct seen { /* an account */
	const struct conf_account *account;
	int64_t last; /* wall clock of the last event by the webhook, 0 none */
	int64_t from; /* what silence is counted from: that, or the first start */
};

struct alarms {
	struct daemon *d;
	int dir; /* state */
	struct alarm at[ALARM_MAX];
	unsigned n;
	bool full;    /* some could not begin; that was logged */
	bool changed; /* what is in the file is old */
	struct alarm_host host[ALARM_HOSTS];
	unsigned nhosts;
	struct child *child;     /* the alarm_command that runs; NULL: none does */
	char telling[ALARM_KEY]; /* and of what */
	bool telling_on;
	int64_t window;   /* monotonic clock: its begin */
	uint64_t refused; /* the counter then */
	bool burst;       /* in this window */
	size_t nseen;
	struct seen seen[]; /* in the order of conf->accounts */
};

static void tell_next(struct alarms *a);

static struct alarm *
find(const struct alarms *a, const char *key)
{
	for (unsigned i = 0; i < a->n; i++)
		if (str_eq(a->at[i].key, key))
			return (struct alarm *)&a->at[i];
	return NULL;
}

/* ---- the file ---- */

static void
load_alarm(struct alarms *a, const struct json *v)
{
	const char *key = json_string(json_get(v, "key")),
		   *text = json_string(json_get(v, "text")),
		   *todo = json_string(json_get(v, "todo"));
	struct alarm *al = &a->at[a->n];

	*al = (struct alarm){0};
	if (key == NULL || text == NULL || todo == NULL || find(a, key) != NULL ||
	    !json_int(json_get(v, "since"), 0, INT64_MAX, &al->since) ||
	    !json_bool(json_get(v, "on"), &al->on) ||
	    !json_bool(json_get(v, "told"), &al->told) || (!al->on && !al->told) ||
	    !str_copy(al->key, sizeof(al->key), key))
		return;
	(void)snprintf(al->text, sizeof(al->text), "%s", text);
	(void)snprintf(al->todo, sizeof(al->todo), "%s", todo);
	a->n++;
}

static void
load_host(struct alarms *a, const struct json *v)
{
	const char *host = json_string(json_get(v, "host"));
	struct alarm_host *h = &a->host[a->nhosts];

	if (host != NULL && json_int(json_get(v, "ends"), 0, INT64_MAX, &h->ends) &&
	    json_int(json_get(v, "seen"), 0, INT64_MAX, &h->seen) &&
	    str_copy(h->host, sizeof(h->host), host))
		a->nhosts++;
}

/* An account that is new is silent from now on. */
static void
load_seen(struct alarms *a, const struct json *all)
{
	for (size_t i = 0; i < a->nseen; i++) {
		struct seen *s = &a->seen[i];
		const struct json *v = json_get(all, s->account->name);

		if (json_int(json_get(v, "last"), 0, INT64_MAX, &s->last) &&
		    json_int(json_get(v, "from"), 0, INT64_MAX, &s->from))
			continue;
		s->last = 0;
		s->from = clk_wall();
		a->changed = true;
	}
}

/* What cannot be read is begun anew: an alarm too many, none too few. */
static void
load(struct alarms *a)
{
	struct buf b = BUF_INIT(STATE_MAX);
	const struct json *v;
	struct json *doc = NULL;
	struct err e;
	enum rc rc;

	if ((rc = io_read_file(a->dir, ALARM_FILE, &b, &e)) == RC_OK)
		rc = json_parse(buf_text(&b), b.n, &doc, &e);
	if (rc != RC_OK && rc != RC_GONE)
		log_put(LOG_WARN, "alarms begun anew", "reason", e.text, LOG_END);
	load_seen(a, json_get(doc, "accounts"));
	for (v = json_first(json_get(doc, "alarms")); v != NULL && a->n < ALARM_MAX;
	     v = json_next(v))
		load_alarm(a, v);
	for (v = json_first(json_get(doc, "certificates"));
	     v != NULL && a->nhosts < ALARM_HOSTS; v = json_next(v))
		load_host(a, v);
	json_free(&doc);
	buf_free(&b);
}

static void
write_alarm(struct buf *b, const struct alarm *al)
{
	buf_str(b, "{\"key\":");
	buf_json(b, al->key);
	buf_fmt(b, ",\"since\":%" PRId64 ",\"on\":%s,\"told\":%s,\"text\":", al->since,
	    al->on ? "true" : "false", al->told ? "true" : "false");
	buf_json(b, al->text);
	buf_str(b, ",\"todo\":");
	buf_json(b, al->todo);
	buf_str(b, "}");
}

static void
save(struct alarms *a)
{
	struct buf b = BUF_INIT(STATE_MAX);
	struct err e;

	buf_str(&b, "{\"version\":1,\"accounts\":{");
	for (size_t i = 0; i < a->nseen; i++) {
		buf_str(&b, i > 0 ? "," : "");
		buf_json(&b, a->seen[i].account->name);
		buf_fmt(&b, ":{\"last\":%" PRId64 ",\"from\":%" PRId64 "}", a->seen[i].last,
		    a->seen[i].from);
	}
	buf_str(&b, "},\n\"alarms\":[");
	for (unsigned i = 0; i < a->n; i++) {
		buf_str(&b, i > 0 ? ",\n" : "\n");
		write_alarm(&b, &a->at[i]);
	}
	buf_str(&b, "],\n\"certificates\":[");
	for (unsigned i = 0; i < a->nhosts; i++) {
		buf_str(&b, i > 0 ? ",\n{\"host\":" : "\n{\"host\":");
		buf_json(&b, a->host[i].host);
		buf_fmt(&b, ",\"ends\":%" PRId64 ",\"seen\":%" PRId64 "}", a->host[i].ends,
		    a->host[i].seen);
	}
	buf_str(&b, "]}\n");
	if (buf_state(&b, &e) != RC_OK ||
	    io_replace(a->dir, ALARM_FILE, 0640, b.p, b.n, &e) != RC_OK)
		log_put(LOG_ERROR, "alarms not kept", "reason", e.text, LOG_END);
	else
		a->changed = false;
	buf_free(&b);
}

/* ---- alarm_command ---- */

/* What was begun or ended is known to the command now, or never will be. */
static void
was_told(struct alarms *a, struct alarm *al, bool on)
{
	a->changed = true;
	al->told = on;
	if (!al->on && !al->told)
		*al = a->at[--a->n];
}

static void
command_ended(const struct child_end *end, void *arg)
{
	struct alarms *a = arg;
	struct alarm *al = find(a, a->telling);
	char status[16], output[256];

	a->child = NULL;
	if (end->fate == CHILD_STOPPED) /* with us: the next start tells it */
		return;
	if (end->fate != CHILD_EXITED || end->status != 0) {
		(void)snprintf(status, sizeof(status), "%d",
		    end->fate == CHILD_UNABLE ? end->sys : end->status);
		log_put(LOG_ERROR, "alarm_command failed", "alarm", a->telling, "how",
		    end->fate == CHILD_EXITED      ? "exit status"
		    : end->fate == CHILD_KILLED    ? "signal"
		    : end->fate == CHILD_TIMED_OUT ? "time limit"
		    : end->fate == CHILD_UNABLE    ? "not started, errno"
						   : "lost",
		    "status", status, "output",
		    str_escape(output, sizeof(output), end->output, end->output_len), LOG_END);
	}
	if (al != NULL)
		was_told(a, al, a->telling_on);
	tell_next(a);
}

static void
write_message(struct buf *b, const struct alarms *a, const struct alarm *al)
{
	char host[256] = "", since[CLK_TEXT], now[CLK_TEXT];

	if (gethostname(host, sizeof(host) - 1) != 0)
		host[0] = '\0';
	clk_rfc3339(al->since, since);
	clk_rfc3339(clk_wall(), now);
	buf_str(b, "{\"version\":1,\"alarm\":");
	buf_json(b, al->key);
	buf_fmt(b, ",\"state\":\"%s\",\"since\":\"%s\",\"time\":\"%s\",\"text\":",
	    al->on ? "begin" : "end", since, now);
	buf_json(b, al->text);
	buf_str(b, ",\"todo\":");
	buf_json(b, al->todo);
	buf_str(b, ",\"host\":");
	buf_json(b, host);
	buf_str(b, ",\"spool\":");
	buf_json(b, spool_path(a->d->spool));
	buf_str(b, "}\n");
}

static enum rc
start_command(struct alarms *a, struct alarm *al, struct err *e)
{
	static const char *const env[] = {
	    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
	    "LANG=C.UTF-8"};
	const struct conf *c = a->d->conf;
	struct buf b = BUF_INIT(CHILD_REQUEST);
	struct child_spec spec = {.command = c->daemon.alarm_command,
	    .env = env,
	    .nenv = 2,
	    .timeout = c->daemon.alarm_timeout};
	enum rc rc;

	write_message(&b, a, al);
	spec.input = buf_text(&b);
	spec.input_len = b.n;
	(void)!str_copy(a->telling, sizeof(a->telling), al->key);
	a->telling_on = al->on;
	if ((rc = buf_state(&b, e)) == RC_OK)
		rc = child_start(a->d->children, &spec, command_ended, a, &a->child, e);
	buf_free(&b);
	return rc;
}

/* Tell what has not been told, the oldest first; what is told is on disk before.  A daemon that
 * stops leaves it to the next. */
static void
tell_next(struct alarms *a)
{
	unsigned i = 0;
	struct err e;

	while (!a->d->stopping && a->child == NULL && i < a->n) {
		struct alarm *al = &a->at[i];

		if (al->on == al->told) {
			i++;
			continue;
		}
		if (a->changed)
			save(a);
		if (a->d->conf->daemon.alarm_command == NULL) {
			was_told(a, al, al->on);
		} else if (start_command(a, al, &e) != RC_OK) {
			a->child = NULL;
			log_put(LOG_ERROR, "alarm_command not run", "alarm", al->key, "reason",
			    e.text, LOG_END);
			was_told(a, al, al->on);
		}
	}
	if (a->changed)
		save(a);
}

static struct alarm *
begin(struct alarms *a, const char *key)
{
	struct alarm *al = find(a, key);

	if (al == NULL) {
		if (a->n == ALARM_MAX) {
			if (!a->full)
				log_put(LOG_ERROR, "more alarms than are kept", "alarm", key,
				    LOG_END);
			a->full = true;
			return NULL;
		}
		al = &a->at[a->n++];
		*al = (struct alarm){0};
		(void)!str_copy(al->key, sizeof(al->key), key);
	}
	if (!al->on) {
		al->on = true;
		al->since = clk_wall();
		al->text[0] = '\0';
	}
	return al;
}

static void
end(struct alarms *a, const char *key)
{
	struct alarm *al = find(a, key);

	if (al == NULL || !al->on)
		return;
	a->changed = true;
	al->on = false;
	al->calm = 0;
	log_put(LOG_NOTE, "alarm", "alarm", key, "state", "end", "text", al->text, LOG_END);
	if (!al->told && (a->child == NULL || !str_eq(a->telling, key)))
		*al = a->at[--a->n];
}

void
alarms_set(struct alarms *a, const char *key, const char *text, const char *todo)
{
	struct alarm *al;
	bool new;

	if (text == NULL) {
		end(a, key);
		return;
	}
	if ((al = begin(a, key)) == NULL)
		return;
	new = al->text[0] == '\0';
	if (str_eq(al->text, text) && str_eq(al->todo, todo))
		return;
	a->changed = true;
	(void)snprintf(al->text, sizeof(al->text), "%s", text);
	(void)snprintf(al->todo, sizeof(al->todo), "%s", todo);
	if (new)
		log_put(LOG_ERROR, "alarm", "alarm", key, "state", "begin", "text", al->text,
		    LOG_END);
}

/* ---- what is looked at ---- */

/* Events that wait for a person. */
static void
look_at_box(struct alarms *a, enum spool_box box, const char *one, const char *many)
{
	const char *name = spool_box_name(box);
	const uint64_t n = a->d->in_box[box];
	char text[ERR_TEXT], todo[ALARM_TODO];

	(void)snprintf(text, sizeof(text), "%" PRIu64 " %s", n, n == 1 ? one : many);
	(void)snprintf(todo, sizeof(todo),
	    "\"spoolctl ls %s\" lists them, \"spoolctl explain ID\" says why and what can be "
	    "done",
	    name);
	alarms_set(a, name, n > 0 ? text : NULL, todo);
}

static bool
lacks_room(const struct spool_gauge *g)
{
	return g->looked &&
	       (g->free < g->limits.min_free || g->free - g->limits.min_free < SPOOL_OVERHEAD);
}

/* What keeps the receiver from taking events. */
static void
look_at_spool(struct alarms *a)
{
	struct spool_gauge g;
	char text[ERR_TEXT];

	spool_gauge(a->d->spool, &g);
	alarms_set(a, "sync",
	    g.broken ? "a sync of the queue's folder failed: no event is taken" : NULL,
	    "look at the disk and the kernel's log; then \"spoolctl clear-mark\"");
	alarms_set(a, "readonly",
	    g.looked && g.readonly ? "the queue's disk takes no writes: no event is taken"
				   : NULL,
	    "look at the disk and the kernel's log");
	(void)snprintf(text, sizeof(text),
	    "%" PRIu64 " MiB are free on the queue's disk, less than min_free (%" PRIu64
	    " MiB): no event is taken",
	    g.free >> 20, g.limits.min_free >> 20);
	alarms_set(a, "room", lacks_room(&g) ? text : NULL, "make room on the queue's disk");
	(void)snprintf(text, sizeof(text),
	    "%" PRIu64 " inodes are free on the queue's disk, less than min_inodes: no event "
	    "is taken",
	    g.inodes);
	alarms_set(a, "inodes",
	    g.looked && g.few_inodes && g.inodes <= g.limits.min_inodes ? text : NULL,
	    "remove files from the queue's disk");
	(void)snprintf(text, sizeof(text),
	    "%" PRIu64 " events wait, as many as queue_limit allows: no event is taken",
	    g.waiting);
	alarms_set(a, "queue", g.waiting >= g.limits.queue_limit ? text : NULL,
	    "\"spoolctl shape\" says what is stuck, \"spoolctl targets\" what is down");
}

/* Documents are downloaded only while twice min_free would be left. */
static void
look_at_store(struct alarms *a)
{
	const struct conf *c = a->d->conf;
	char text[ERR_TEXT];
	uint64_t bytes;
	int fd;

	if (io_open_dir(AT_FDCWD, c->daemon.store, &fd, NULL) != RC_OK)
		return;
	if (io_room(fd, &bytes, NULL) == RC_OK) {
		(void)snprintf(text, sizeof(text),
		    "%" PRIu64 " MiB are free on the store's disk, less than twice min_free "
		    "(%" PRIu64 " MiB): no document is fetched",
		    bytes >> 20, 2 * (c->spool.min_free >> 20));
		alarms_set(a, "store", bytes / 2 < c->spool.min_free ? text : NULL,
		    "make room on the store's disk");
	}
	io_close(&fd);
}

static void
look_at_silence(struct alarms *a, const struct seen *s)
{
	const int64_t limit = s->account->silence_limit, quiet = clk_wall() - s->from;
	char key[ALARM_KEY], text[ERR_TEXT], span[CLK_TEXT];

	(void)snprintf(key, sizeof(key), "silence:%s", s->account->name);
	clk_span(quiet, span);
	(void)snprintf(text, sizeof(text),
	    "no event of account %s has come by the webhook for %s", s->account->name, span);
	alarms_set(a, key, limit > 0 && quiet > limit ? text : NULL,
	    "see at Arken whether the webhook is subscribed, and whether the web server "
	    "answers on its URL");
}

/* Something had to be found: the webhook is broken, as far as the last pass could see. */
static void
look_at_feed(struct alarms *a, const struct conf_account *account)
{
	const struct feed_state *s = reconcile_state(a->d->reconciler, account->name);
	char key[ALARM_KEY], text[ERR_TEXT];

	if (s == NULL)
		return;
	(void)snprintf(key, sizeof(key), "missed:%s", account->name);
	(void)snprintf(text, sizeof(text),
	    "%" PRIu64 " events of account %s were missed by the webhook and found in the feed",
	    s->missing, account->name);
	alarms_set(a, key, s->missing > 0 ? text : NULL,
	    "they are being processed; see why the webhook did not bring them: the web "
	    "server's log, and answers 401 and 503");
}

/* The receiver takes no token that is signed by keys older than keys_max_age. */
static void
look_at_keys(struct alarms *a, const struct conf_account *account)
{
	char key[ALARM_KEY], text[ERR_TEXT], span[CLK_TEXT];
	int64_t fetched = 0, tried = 0, age;
	bool bad = false;

	(void)snprintf(key, sizeof(key), "keys:%s", account->name);
	if (issuers_times(a->d->issuers, account->name, &fetched, &tried)) {
		age = clk_wall() - fetched;
		bad = fetched == 0 ? tried != 0 : age > OLD(account->keys_max_age);
		clk_span(age, span);
	}
	if (fetched == 0)
		(void)snprintf(text, sizeof(text),
		    "the keys of the issuer of account %s could not be fetched: its tokens are "
		    "answered 503",
		    account->name);
	else
		(void)snprintf(text, sizeof(text),
		    "the keys of the issuer of account %s were fetched %s ago", account->name,
		    span);
	alarms_set(a, key, bad ? text : NULL,
	    "spoold's log says why; at the age of keys_max_age they are used no more");
}

/* More requests than the limit without valid credentials, within one window. */
static void
look_at_refusals(struct alarms *a)
{
	const uint64_t limit = a->d->conf->daemon.refused_limit;
	const int64_t span = a->d->conf->daemon.refused_window;
	uint64_t now = count_get(spool_counts(a->d->spool), COUNT_UNAUTHORIZED);
	char text[ERR_TEXT], words[CLK_TEXT];

	if (now < a->refused) /* counted anew */
		a->refused = now;
	clk_span(span, words);
	(void)snprintf(text, sizeof(text),
	    "more than %" PRIu64 " requests came without valid credentials within %s", limit,
	    words);
	if (limit > 0 && now - a->refused > limit) {
		a->burst = true;
		alarms_set(a, "refused", text,
		    "a secret or token that does not match, or somebody who tries: see the "
		    "web server's log");
	}
	if (clk_mono() - a->window < span)
		return;
	if (!a->burst)
		alarms_set(a, "refused", NULL, NULL);
	a->burst = false;
	a->window = clk_mono();
	a->refused = now;
}

static void
look_at_purge(struct alarms *a)
{
	const char *trouble;
	char text[ERR_TEXT];

	if (!purge_result(a->d, &trouble))
		return;
	(void)snprintf(text, sizeof(text),
	    "what is older than retention cannot be removed: %.200s",
	    trouble != NULL ? trouble : "");
	alarms_set(a, "purge", trouble != NULL ? text : NULL,
	    "mend that; spoold tries again every hour, \"spoolctl purge\" at once");
}

/* ---- targets ---- */

void
alarms_reason(const struct target *t, char *out, size_t size)
{
	const char *colon = strchr(t->reason, ':');

	(void)snprintf(out, size, "%s", t->reason);
	/* "hook: exit status 69: what it wrote" */
	if (str_begins(t->name, "hook:") && colon != NULL &&
	    (colon = strchr(colon + 1, ':')) != NULL && (size_t)(colon - t->reason) < size)
		out[colon - t->reason] = '\0';
}

static bool
is_trouble(const struct target *t)
{
	return t->open_until != 0 && t->kind != PAUSE_OPERATOR;
}

static void
look_at_target(struct target *t, void *arg)
{
	char key[ALARM_KEY], text[ERR_TEXT], todo[ALARM_TODO], why[180];
	struct alarms *a = arg;
	struct alarm *al;
	bool down = t->kind == PAUSE_DOWN;

	(void)snprintf(key, sizeof(key), "target:%s", t->name);
	al = find(a, key);
	if (!is_trouble(t)) {
		if (t->good || t->open_until != 0)
			alarms_set(a, key, NULL, NULL);
		return;
	}
	if (al != NULL)
		al->seen = true;
	if (down && clk_wall() - t->since < a->d->conf->daemon.target_limit &&
	    (al == NULL || !al->on))
		return;
	alarms_reason(t, why, sizeof(why));
	(void)snprintf(text, sizeof(text), "%.100s is %s: %s", t->name,
	    down ? "down" : "paused until somebody mends it", why);
	(void)snprintf(todo, sizeof(todo),
	    down ? "events wait, nothing is lost; it is tried out by itself"
		 : "mend it, then \"spoolctl resume %.100s\" or reload spoold",
	    t->name);
	alarms_set(a, key, text, todo);
	if ((al = find(a, key)) != NULL)
		al->seen = true;
}

/*
 * Nothing is known of it since the start, or since a reload let go of it: only when no event
 * ran into it for as long as it takes to be an alarm is it one no more.
 */
static void
calm_down(struct alarms *a)
{
	const int64_t now = clk_mono();

	for (unsigned i = a->n; i > 0;
	     i--) { /* backward: an end moves the last into its place */
		struct alarm *al = &a->at[i - 1];
		char key[ALARM_KEY];

		if (!al->on || !str_begins(al->key, "target:"))
			continue;
		if (al->seen) {
			al->seen = false;
			al->calm = 0;
			continue;
		}
		if (al->calm == 0)
			al->calm = now > 0 ? now : 1;
		if (now - al->calm < a->d->conf->daemon.target_limit)
			continue;
		(void)!str_copy(key, sizeof(key), al->key);
		alarms_set(a, key, NULL, NULL);
	}
}

/* ---- certificates ---- */

void
alarms_certificate(struct alarms *a, const char *host, int64_t ends)
{
	unsigned i = 0, oldest = 0;

	while (i < a->nhosts && !str_eq(a->host[i].host, host)) {
		if (a->host[i].seen < a->host[oldest].seen)
			oldest = i;
		i++;
	}
	if (i == ALARM_HOSTS)
		i = oldest;
	else if (i == a->nhosts)
		a->nhosts++;
	if (!str_copy(a->host[i].host, sizeof(a->host[i].host), host))
		(void)snprintf(a->host[i].host, sizeof(a->host[i].host), "%.250s", host);
	a->host[i].ends = ends;
	a->host[i].seen = clk_wall();
	a->changed = true;
}

static void
saw_certificate(const char *host, int64_t ends, void *arg)
{
	alarms_certificate(arg, host, ends);
}

static void
look_at_certificates(struct alarms *a)
{
	const int64_t now = clk_wall(), limit = a->d->conf->daemon.certificate_limit;

	for (unsigned i = a->nhosts; i > 0; i--) {
		struct alarm_host *h = &a->host[i - 1];
		bool old = now - h->seen > HOST_KEPT;
		char key[ALARM_KEY], text[ERR_TEXT], end_text[CLK_TEXT];

		(void)snprintf(key, sizeof(key), "certificate:%s", h->host);
		clk_rfc3339(h->ends, end_text);
		(void)snprintf(text, sizeof(text), "the certificate of %.200s ends on %.10s",
		    h->host, end_text);
		alarms_set(a, key, !old && h->ends - now < limit ? text : NULL,
		    "whoever runs that host has to renew it; after that day it is down");
		if (!old)
			continue;
		*h = a->host[--a->nhosts];
		a->changed = true;
	}
}

/* What a former configuration had, and this one has not, is no alarm. */
static void
forget_accounts(struct alarms *a)
{
	static const char *const kinds[] = {"silence:", "missed:", "keys:"};

	for (unsigned i = a->n; i > 0; i--) {
		char key[ALARM_KEY];

		(void)!str_copy(key, sizeof(key), a->at[i - 1].key);
		for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++)
			if (str_begins(key, kinds[k]) &&
			    conf_account(a->d->conf, key + strlen(kinds[k])) == NULL) {
				alarms_set(a, key, NULL, NULL);
				break;
			}
	}
}

void
alarms_look(struct alarms *a)
{
	if (a == NULL)
		return;
	look_at_box(a, SPOOL_FAILED, "event has failed", "events have failed");
	look_at_box(a, SPOOL_REJECTED, "request could not be read as an event",
	    "requests could not be read as events");
	look_at_spool(a);
	look_at_store(a);
	look_at_refusals(a);
	look_at_purge(a);
	look_at_certificates(a);
	targets_each(a->d->targets, look_at_target, a);
	calm_down(a);
	for (size_t i = 0; i < a->nseen; i++) {
		look_at_silence(a, &a->seen[i]);
		look_at_feed(a, a->seen[i].account);
		look_at_keys(a, a->seen[i].account);
	}
	tell_next(a);
}

/* ---- for the daemon ---- */

void
alarms_saw(struct alarms *a, const char *account, int64_t when)
{
	for (size_t i = 0; a != NULL && i < a->nseen; i++) {
		struct seen *s = &a->seen[i];

		if (!str_eq(s->account->name, account))
			continue;
		a->changed = a->changed || when > s->last;
		if (when > s->last)
			s->last = when;
		if (when > s->from)
			s->from = when;
	}
}

int64_t
alarms_last(const struct alarms *a, const char *account)
{
	for (size_t i = 0; a != NULL && i < a->nseen; i++)
		if (str_eq(a->seen[i].account->name, account))
			return a->seen[i].last;
	return 0;
}

enum rc
alarms_open(struct daemon *d, struct alarms **out, struct err *e)
{
	const size_t n = d->conf->naccounts;
	struct alarms *a;
	enum rc rc;

	*out = NULL;
	if ((a = calloc(1, sizeof(*a) + n * sizeof(a->seen[0]))) == NULL)
		return err_set(e, RC_LATER, "no memory");
	a->d = d;
	a->nseen = n;
	for (size_t i = 0; i < n; i++)
		a->seen[i].account = &d->conf->accounts[i];
	if ((rc = io_make_dir(AT_FDCWD, d->conf->daemon.state, 0750, &a->dir, e)) != RC_OK) {
		free(a);
		return rc;
	}
	a->window = clk_mono();
	a->refused = count_get(spool_counts(d->spool), COUNT_UNAUTHORIZED);
	load(a);
	forget_accounts(a);
	if (d->http != NULL)
		http_on_certificate(d->http, saw_certificate, a);
	*out = a;
	return RC_OK;
}

void
alarms_close(struct alarms **a)
{
	if (*a == NULL)
		return;
	if ((*a)->changed)
		save(*a);
	if ((*a)->d->http != NULL)
		http_on_certificate((*a)->d->http, NULL, NULL);
	io_close(&(*a)->dir);
	free(*a);
	*a = NULL;
}

void
alarms_each(const struct alarms *a, void (*fn)(const struct alarm *, void *), void *arg)
{
	for (unsigned i = 0; a != NULL && i < a->n; i++)
		if (a->at[i].on)
			fn(&a->at[i], arg);
}

void
alarms_each_host(
    const struct alarms *a, void (*fn)(const struct alarm_host *, void *), void *arg)
{
	for (unsigned i = 0; a != NULL && i < a->nhosts; i++)
		fn(&a->host[i], arg);
}

unsigned
alarms_count(const struct alarms *a)
{
	unsigned n = 0;

	for (unsigned i = 0; a != NULL && i < a->n; i++)
		n += a->at[i].on;
	return n;
}

bool
alarms_telling(const struct alarms *a)
{
	return a != NULL && a->child != NULL;
}
