/*
 * SPDX-License-Identifier: ISC
 *
 * cmd_send_test - post one event as Arken would, and follow it to its end.
 *
 * It goes the whole way: public URL, web server, arken.fcgi, queue, spoold, API.  Its object is
 * made up, so that the API answers that there is none, unless a client is named.  The
 * credential is read from its file and is in no argument, no output and no log.
 */
#include "config.h"

#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "buf.h"
#include "client.h"
#include "clk.h"
#include "ctl.h"
#include "evlog.h"
#include "io.h"
#include "out.h"
#include "str.h"
#include "subscription.h"
#include "view.h"

#define PATIENCE CLK_MINUTE
#define LOOK 20              /* milliseconds between looks at the spool */
#define LINE_LATE CLK_SECOND /* so long after its end an event's last line may come */
#define BODY 4096            /* bytes of the event */
#define ANSWER 65536         /* bytes of the answer that are kept */
#define CHUNK 65536          /* bytes of the log at a time */
#define TEXT 1024            /* what one step has to say */

enum { OWN_URL = CTL_OWN, OWN_BEARER, OWN_TIMEOUT };

struct test {
	const char *account, *kind, *client, *url, *bearer;
	int64_t timeout;
	bool json, dry_run;
	const struct conf_account *a;
	char name[NAME_SIZE]; /* of the event, as the receiver has to make it */
	struct name parts;
	struct buf body, secret;
	int64_t last;                 /* milliseconds after it, of the latest step */
	int64_t wall, mono;           /* when it began */
	char day[CLK_TEXT];           /* the file of the log that is read */
	off_t at;                     /* up to there */
	const char *end;              /* the step that ended it; NULL: it goes on */
	char reason[TEXT], why[TEXT]; /* of its end; why it is not there yet */
};

/* ---- the event ---- */

static void
make_guid(char out[NAME_KEY])
{
	unsigned char r[16];
	char hex[33];

	clk_random(r, sizeof(r));
	r[6] = (unsigned char)((r[6] & 0x0f) | 0x40); /* RFC 9562 section 5.4 */
	r[8] = (unsigned char)((r[8] & 0x3f) | 0x80);
	str_hex(hex, r, sizeof(r));
	(void)snprintf(out, NAME_KEY, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12,
	    hex + 16, hex + 20);
}

static void
add_member(struct buf *b, const char *name, const char *value)
{
	buf_fmt(b, "%s\"%s\":", b->n > 1 ? "," : "", name);
	buf_json(b, value);
}

/* The id of an object that is not there: 22 characters, as those of Arken. */
static void
add_made_up(struct buf *b, const char *name)
{
	unsigned char r[5];
	char hex[11], id[NAME_HASH];

	clk_random(r, sizeof(r));
	str_hex(hex, r, sizeof(r));
	(void)snprintf(id, sizeof(id), "spoolctlTest%s", hex);
	add_member(b, name, id);
}

/* Its body and its name; the kind was looked at before. */
static enum rc
make_event(struct test *t, struct err *e)
{
	char stamp[CLK_TEXT], category[NAME_WORD];
	const char *dot = strchr(t->kind, '.');
	bool client = false;
	enum rc rc;

	if (!str_copy_n(category, sizeof(category), t->kind, (size_t)(dot - t->kind)))
		return err_set(e, RC_BAD, "the kind is too long");
	name_word(category, t->parts.category);
	name_word(dot + 1, t->parts.type);
	(void)snprintf(t->parts.account, sizeof(t->parts.account), "%s", t->a->name);
	make_guid(t->parts.key);
	if ((rc = name_build(&t->parts, t->name, e)) != RC_OK)
		return rc;
	clk_rfc3339(clk_wall(), stamp);
	buf_str(&t->body, "{");
	add_member(&t->body, "eventId", t->parts.key);
	add_member(&t->body, "eventType", t->kind);
	add_member(&t->body, "eventDateTimeUtc", stamp);
	add_member(&t->body, "accountHashId", t->a->hash_id);
	client = str_eq(t->parts.category, "Client");
	if (t->client != NULL)
		add_member(&t->body, "clientHashId", t->client);
	else if (client)
		add_made_up(&t->body, "clientHashId");
	if (str_eq(t->parts.category, "User"))
		add_made_up(&t->body, "userHashId");
	else if (!client && !str_eq(t->parts.category, "Account"))
		add_made_up(&t->body, "documentHashId");
	buf_str(&t->body, "}");
	return buf_state(&t->body, e);
}

/* The credential, with the rights of who runs this. */
static enum rc
read_secret(struct test *t, struct err *e)
{
	const struct conf_account *a = t->a;
	enum rc rc;

	if (t->bearer != NULL && a->issuer == NULL)
		return err_set(e, RC_CONFIG,
		    "account %s takes no bearer token: it has no issuer; leave out --bearer",
		    a->name);
	if (t->bearer == NULL && a->secret_file == NULL)
		return err_set(e, RC_CONFIG,
		    a->issuer != NULL
			? "account %s takes bearer tokens only: put one of its issuer into a "
			  "file, and name it with --bearer FILE"
			: "account %s has neither secret_file nor issuer: it refuses every "
			  "request",
		    a->name);
	rc = subscription_secret(t->bearer != NULL ? t->bearer : a->secret_file, &t->secret, e);
	return rc == RC_GONE ? RC_CONFIG : rc;
}

static enum rc
prepare(struct test *t, struct err *e)
{
	enum rc rc;

	if (t->url == NULL && (t->url = t->a->public_url) == NULL)
		return err_set(e, RC_CONFIG,
		    "where to? Give --url URL, or public_url in [account %s]", t->a->name);
	if (t->a->hash_id == NULL)
		return err_set(e, RC_CONFIG, "account %s has no hash_id", t->a->name);
	if ((rc = read_secret(t, e)) != RC_OK)
		return rc;
	return make_event(t, e);
}

/* ---- telling ---- */

/* One step, so many milliseconds after the beginning; text may be "". */
static void
tell(struct test *t, const char *step, int64_t ms, const char *text)
{
	struct buf b = BUF_INIT(4 * TEXT);

	if (ms < t->last) /* it was before our answer came, or somebody set the clock */
		ms = t->last;
	t->last = ms;
	if (t->json) {
		buf_str(&b, "{\"step\":");
		buf_json(&b, step);
		buf_fmt(&b, ",\"ms\":%" PRId64 ",\"text\":", ms);
		buf_json(&b, text);
		buf_str(&b, "}\n");
		out_json(&b);
	} else {
		out_colour(OUT_DIM);
		(void)printf("%4" PRId64 ".%03d s", ms / 1000, (int)(ms % 1000));
		out_plain();
		(void)printf("  %-9s ", step);
		(void)out_str(text);
		(void)putchar('\n');
	}
	(void)fflush(stdout);
	buf_free(&b);
}

/* The last line for programs; returns status. */
static int
finish(const struct test *t, const char *result, int status)
{
	struct buf b = BUF_INIT(4 * TEXT);

	if (t->json) {
		buf_str(&b, "{\"result\":");
		buf_json(&b, result);
		buf_fmt(&b, ",\"exit\":%d,\"ms\":%" PRId64 ",\"event\":", status,
		    clk_mono() - t->mono);
		buf_json(&b, t->name);
		buf_str(&b, ",\"reason\":");
		buf_json(&b, t->reason);
		buf_str(&b, "}\n");
		out_json(&b);
	}
	buf_free(&b);
	return status;
}

/* What would be sent, its credential masked. */
static int
show(const struct test *t)
{
	const char *header = t->bearer != NULL ? "Authorization" : t->a->secret_header;
	const char *scheme = t->bearer != NULL ? "Bearer " : "";
	struct buf b = BUF_INIT(8 * BODY);

	if (t->json) {
		buf_str(&b, "{\"dry_run\":true,\"event\":");
		buf_json(&b, t->name);
		buf_str(&b, ",\"url\":");
		buf_json(&b, t->url);
		buf_str(&b, ",\"header\":");
		buf_json(&b, header);
		buf_fmt(&b, ",\"body\":%s}\n", buf_text(&t->body));
	} else {
		buf_fmt(&b, "POST %s\n%s: %s" SUBSCRIPTION_MASK "\n\n%s\n", t->url, header,
		    scheme, buf_text(&t->body));
	}
	out_json(&b);
	buf_free(&b);
	return EX_OK;
}

/* ---- posting ---- */

/* Does the answer say that our event, and no other, is in the queue? */
static bool
is_ours(const struct test *t, const struct client_answer *ans)
{
	struct json *doc = NULL;
	const char *id;
	bool ours;

	if (json_parse(ans->http.body, ans->http.body_len, &doc, NULL) != RC_OK)
		return false;
	id = json_string(json_member(doc, "id"));
	ours = id != NULL && str_eq(id, t->parts.key);
	json_free(&doc);
	return ours;
}

/* A status that is no 2xx: what to do about it, and what to exit with. */
static int
refused(const struct test *t, const struct http_answer *h)
{
	const char *path = t->a->path;
	bool ours = strstr(h->content_type, "json") != NULL;
	int s = h->status;

	if (s == 401 && ours)
		return ctl_fail(EX_NOPERM,
		    "401: the credential is refused; see that arken.fcgi reads the same "
		    "file, and its log for why");
	if (s == 401)
		return ctl_fail(EX_NOPERM,
		    "401: the web server asks for a password before arken.fcgi is asked; take "
		    "its authentication away from this path");
	if (s == 403 && ours)
		return ctl_fail(EX_CONFIG,
		    "403: arken.fcgi knows another hash_id for account %s; have it read its "
		    "configuration again (systemctl restart arken-fcgi)",
		    t->a->name);
	if (s == 403 || s == 405)
		return ctl_fail(EX_NOPERM,
		    "%d: the web server lets no POST through; have it hand %s to arken.fcgi, "
		    "with every method",
		    s, path);
	if (s == 404)
		return ctl_fail(EX_CONFIG,
		    "404: see that the web server hands the URL to arken.fcgi, and that path, "
		    "%s, is what arrives there",
		    path);
	if (s / 100 == 3)
		return ctl_fail(EX_CONFIG,
		    "%d: it redirects, and Arken does not follow; set public_url to where it "
		    "leads, and subscribe with that",
		    s);
	if (s == 502 || s == 504)
		return ctl_fail(EX_UNAVAILABLE,
		    "%d: the web server does not reach arken.fcgi; systemctl status "
		    "arken-fcgi.socket arken-fcgi; see the web server's error log",
		    s);
	if (s == 503)
		return ctl_fail(EX_UNAVAILABLE,
		    "503: no event is taken at the moment, or arken.fcgi is not reached; see "
		    "the log of arken.fcgi and \"spoolctl status\"");
	return ctl_fail(s / 100 == 5 ? EX_UNAVAILABLE : EX_CONFIG,
	    "%d: not accepted; see the log of arken.fcgi and of the web server", s);
}

/* EX_OK: the answer says that it is in the queue; else an exit status, reported. */
static int
judge(struct test *t, const struct client_answer *ans, const struct err *e)
{
	const struct http_answer *h = &ans->http;
	char text[TEXT];

	if (h->fate != HTTP_ANSWERED || h->status == 0)
		return finish(t, "unreachable",
		    ctl_fail(EX_UNAVAILABLE,
			"nothing was accepted: %s; see \"spoolctl check --online\"",
			h->text[0] != '\0' ? h->text : e->text));
	(void)snprintf(text, sizeof(text), "answered %d by %s", h->status, t->url);
	tell(t, "posted", clk_mono() - t->mono, text);
	if (h->status / 100 != 2)
		return finish(t, "refused", refused(t, h));
	if (is_ours(t, ans))
		return EX_OK;
	return finish(t, "refused",
	    ctl_fail(EX_CONFIG,
		"%d, but not the answer of arken.fcgi to this event; have the web server hand "
		"%s to arken.fcgi of this configuration",
		h->status, t->a->path));
}

static int
post(struct ctl *c, struct test *t)
{
	struct buf header = BUF_SECRET(CONF_FILE_MAX);
	const char *headers[] = {
	    "Content-Type: application/json", "Accept: application/json", NULL};
	struct client_answer ans = {0};
	struct client *cl = NULL;
	struct http_request rq;
	struct err e = {0};
	int status;
	enum rc rc;

	buf_fmt(&header, "%s: %s", t->a->secret_header != NULL ? t->a->secret_header : "",
	    buf_text(&t->secret));
	if ((rc = buf_state(&header, &e)) == RC_OK)
		rc = client_open(c->conf, t->a, spool_counts(c->spool), &cl, &e);
	if (rc != RC_OK) {
		status = ctl_fail(err_exit(rc), "%s", e.text);
		goto out;
	}
	client_request(cl, t->url, &rq);
	client_json(&rq, NULL, &t->body);
	headers[2] = buf_text(&header);
	rq.headers = headers;
	rq.nheaders = t->bearer != NULL ? 2 : 3;
	rq.bearer = t->bearer != NULL ? buf_text(&t->secret) : NULL;
	rq.ca_file = NULL; /* that of the API; this URL is for everybody */
	rq.max_body = ANSWER;
	rc = client_run(cl, &rq, &ans, &e);
	status = rc == RC_BAD && ans.http.status == 0
		     ? ctl_fail(EX_CONFIG, "not sent: %s", e.text)
		     : judge(t, &ans, &e);
	client_answer_free(&ans);
out:
	client_close(&cl);
	buf_wipe(&header);
	return status;
}

/* ---- following ---- */

/* The log from here on is what may tell of it. */
static void
begin_log(struct ctl *c, struct test *t)
{
	int fd;

	clk_day(t->wall, t->day);
	if (io_open(spool_log_dir(c->spool), t->day, &fd, NULL) != RC_OK)
		return;
	if ((t->at = lseek(fd, 0, SEEK_END)) < 0)
		t->at = 0;
	io_close(&fd);
}

static void
add_value(char *out, size_t size, const char *line, const char *key, const char *before)
{
	char value[TEXT / 2];
	size_t n = strlen(out);

	if (evlog_value(line, key, value, sizeof(value)))
		(void)snprintf(out + n, size - n, "%s%s%s", n > 0 ? ", " : "", before, value);
}

/* A line of the log, perhaps about another event. */
static void
take_line(struct test *t, const char *line)
{
	static const char *const ends[] = {"done", "failed", "held", "dropped", "erased"};
	char event[NAME_SIZE], step[32], stamp[CLK_TEXT], text[TEXT] = "";
	int64_t at;

	if (!evlog_value(line, "event", event, sizeof(event)) || !str_eq(event, t->name) ||
	    !evlog_value(line, "step", step, sizeof(step)) ||
	    !evlog_value(line, "time", stamp, sizeof(stamp)) || !clk_parse(stamp, &at))
		return;
	if (str_eq(step, "accepted")) /* told already */
		return;
	add_value(text, sizeof(text), line, "status", "status ");
	add_value(text, sizeof(text), line, "verdict", "which means ");
	add_value(text, sizeof(text), line, "reason", "");
	add_value(text, sizeof(text), line, "again_in", "again in ");
	if (str_eq(step, "later"))
		(void)snprintf(t->why, sizeof(t->why), "%s", text);
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
		if (str_eq(step, ends[i])) {
			t->end = ends[i];
			(void)snprintf(t->reason, sizeof(t->reason), "%s", text);
		}
	tell(t, step, at - t->wall, text);
}

/* What was added to the log since, whole lines only, a chunk at a time. */
static void
read_log(struct ctl *c, struct test *t)
{
	static char p[CHUNK + 1];
	char *line, *nl, today[CLK_TEXT];
	ssize_t n = 0;
	int fd;

	clk_day(clk_wall(), today); /* before the file is read: nothing is added to it later */
	if (io_open(spool_log_dir(c->spool), t->day, &fd, NULL) == RC_OK) {
		while ((n = pread(fd, p, CHUNK, t->at)) > 0) {
			p[n] = '\0';
			for (line = p;
			     (nl = memchr(line, '\n', (size_t)(p + n - line))) != NULL;
			     line = nl + 1) {
				*nl = '\0';
				take_line(t, line);
			}
			if (line == p) /* a line that is being written, or one without end */
				line = n == CHUNK ? p + n : p;
			t->at += line - p;
			if (n < CHUNK)
				break;
		}
		io_close(&fd);
	}
	if (n < CHUNK && !str_eq(today, t->day)) {
		memcpy(t->day, today, sizeof(t->day));
		t->at = 0;
	}
}

/* It is where it stays, and the log does not say so: it could not be written. */
static void
end_by_place(struct ctl *c, struct test *t, enum spool_box box)
{
	struct view v;

	t->end = spool_box_name(box);
	(void)snprintf(t->reason, sizeof(t->reason), "not in the spool's log");
	if (box == SPOOL_FAILED && view_read(c->spool, box, t->name, &v, NULL) == RC_OK &&
	    v.noted)
		(void)snprintf(t->reason, sizeof(t->reason), "%s", v.retry.reason);
	tell(t, t->end, clk_mono() - t->mono, t->reason);
}

/* How to go on with an event that has not ended; returns EX_TEMPFAIL. */
static int
unfinished(struct ctl *c, struct test *t, const char *what)
{
	struct buf b = BUF_INIT(4 * TEXT);

	ctl_self(c, &b);
	(void)ctl_fail(
	    0, "%s; it goes on: \"%sexplain %s\" tells how it is", what, buf_text(&b), t->name);
	buf_free(&b);
	return finish(t, "waiting", EX_TEMPFAIL);
}

static int
ended(struct test *t)
{
	if (str_eq(t->end, "failed"))
		return finish(t, "failed",
		    ctl_fail(EX_DATAERR,
			"it arrived, but failed: %s; \"spoolctl explain %s\" tells what can "
			"be done",
			t->reason, t->name));
	if (str_eq(t->end, "held"))
		return finish(t, "held",
		    ctl_fail(EX_TEMPFAIL,
			"an operator set it aside: \"spoolctl release %s\" lets it go on",
			t->name));
	if (!str_eq(t->end, "done"))
		return finish(t, t->end, ctl_fail(EX_DATAERR, "an operator gave it up"));
	if (!t->json && strstr(t->reason, "gone at the vendor") != NULL)
		(void)printf("The whole way works, up to the API: it was asked, and answered "
			     "that it has no such\nobject, for the id was made up. Nothing was "
			     "handed over.\n");
	else if (!t->json)
		(void)printf("The whole way works.\n");
	return finish(t, "done", EX_OK);
}

/* It is in the queue, or further on by now.  RC_GONE: not in this spool. */
static enum rc
tell_accepted(struct ctl *c, struct test *t)
{
	enum spool_box box;
	struct view v = {.readable = false};
	char text[TEXT];
	enum rc rc = spool_find(c->spool, t->name, &box, NULL);

	for (int i = 0; i < 3 && rc == RC_OK; i++) { /* it may move between the two */
		if (view_read(c->spool, box, t->name, &v, NULL) == RC_OK)
			break;
		rc = spool_find(c->spool, t->name, &box, NULL);
	}
	if (rc == RC_GONE)
		return rc;
	(void)snprintf(text, sizeof(text), "in the queue as %s%s%s", t->name,
	    v.readable ? ", verified by " : "", v.readable ? v.rec.auth : "");
	tell(t, "accepted", clk_mono() - t->mono, text);
	return RC_OK;
}

static int
follow(struct ctl *c, struct test *t)
{
	int64_t end = clk_mono() + t->timeout, late = INT64_MAX;
	enum spool_box box;
	char span[CLK_TEXT], text[TEXT + 100];
	bool served;
	enum rc rc;

	if (tell_accepted(c, t) == RC_GONE)
		return finish(t, "elsewhere",
		    ctl_fail(EX_CONFIG,
			"accepted, but not into this spool, %s: the URL leads to another "
			"installation, or arken.fcgi has another configuration",
			c->opt.path));
	read_log(c, t);
	if (t->end == NULL && ctl_is_served(c->spool, &served, NULL) == RC_OK && !served)
		return unfinished(c, t, "accepted, waits for spoold, which does not run");
	while (t->end == NULL && clk_mono() < end) {
		(void)poll(NULL, 0, LOOK);
		rc = spool_find(c->spool, t->name, &box, NULL);
		read_log(c, t);
		if (t->end != NULL || rc != RC_OK || box == SPOOL_NEW || box == SPOOL_CUR)
			late = INT64_MAX;
		else if (late == INT64_MAX)
			late = clk_mono() + LINE_LATE;
		else if (clk_mono() >= late)
			end_by_place(c, t, box);
	}
	if (t->end != NULL)
		return ended(t);
	clk_span(t->timeout, span);
	(void)snprintf(text, sizeof(text), "accepted, but not done in %s%s%s", span,
	    t->why[0] != '\0' ? ": " : "", t->why);
	return unfinished(c, t, text);
}

/* ---- the command ---- */

static bool
kind_ok(const char *kind)
{
	const char *dot = strchr(kind, '.');
	char category[NAME_WORD];

	return dot != NULL &&
	       str_copy_n(category, sizeof(category), kind, (size_t)(dot - kind)) &&
	       str_only(category, "", 1, NAME_WORD - 1) &&
	       str_only(dot + 1, "", 1, NAME_WORD - 1);
}

static int
run(struct ctl *c, struct test *t)
{
	struct err e = {0};
	int status;
	enum rc rc;

	if ((status = ctl_read_options(c)) != EX_OK)
		return status;
	if ((t->a = ctl_account(c, t->account, &status)) == NULL)
		return status;
	if ((rc = prepare(t, &e)) != RC_OK)
		return ctl_fail(err_exit(rc), "%s%s", e.text,
		    rc == RC_DENIED ? "; run it as root (sudo)" : "");
	if (t->dry_run)
		return show(t);
	if ((status = ctl_enter(c)) != EX_OK)
		return status;
	t->wall = clk_wall();
	t->mono = clk_mono();
	begin_log(c, t);
	if ((status = post(c, t)) != EX_OK)
		return status;
	return follow(c, t);
}

static int
check_options(const struct ctl *c, int argc, const struct test *t)
{
	if (optind < argc)
		(void)ctl_usage(c, "it takes no arguments");
	else if (!kind_ok(t->kind))
		(void)ctl_usage(
		    c, "--kind \"%.80s\": expected Category.Type, as Client.Update", t->kind);
	else if (t->client != NULL && !name_hash_ok(t->client))
		(void)ctl_usage(
		    c, "--client \"%.80s\": expected a hash id of Arken", t->client);
	else if (t->client != NULL && str_eq_nocase(strchr(t->kind, '.'), ".Delete"))
		(void)ctl_usage(c, "--client does not go with a Delete: store and CRM would be "
				   "told that it is "
				   "gone");
	else if (t->url != NULL && !conf_url_ok(t->url))
		(void)ctl_usage(
		    c, "--url \"%.80s\": expected https, or http to this machine", t->url);
	else
		return CTL_END;
	return CTL_BAD;
}

static int
read_options(const struct ctl *c, int argc, char **argv, struct test *t)
{
	static const struct option names[] = {{"kind", required_argument, NULL, CTL_KIND},
	    {"account", required_argument, NULL, CTL_ACCOUNT},
	    {"client", required_argument, NULL, CTL_CLIENT},
	    {"url", required_argument, NULL, OWN_URL},
	    {"bearer", required_argument, NULL, OWN_BEARER},
	    {"timeout", required_argument, NULL, OWN_TIMEOUT},
	    {"json", no_argument, NULL, CTL_JSON}, {"dry-run", no_argument, NULL, 'n'},
	    {"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
	int opt;

	while ((opt = ctl_option(c, argc, argv, ":hn", names)) >= 0) {
		if (opt == CTL_KIND)
			t->kind = optarg;
		else if (opt == CTL_ACCOUNT)
			t->account = optarg;
		else if (opt == CTL_CLIENT)
			t->client = optarg;
		else if (opt == OWN_URL)
			t->url = optarg;
		else if (opt == OWN_BEARER)
			t->bearer = optarg;
		else if (opt == OWN_TIMEOUT && !str_duration(optarg, &t->timeout)) {
			(void)ctl_usage(
			    c, "--timeout \"%.40s\": expected a time such as 90s", optarg);
			return CTL_BAD;
		}
		t->json = t->json || opt == CTL_JSON;
		t->dry_run = t->dry_run || opt == 'n';
	}
	return opt == CTL_END ? check_options(c, argc, t) : opt;
}

int
cmd_send_test(struct ctl *c, int argc, char **argv)
{
	struct test t = {.kind = "Client.Update",
	    .timeout = PATIENCE,
	    .body = BUF_INIT(BODY),
	    .secret = BUF_SECRET(CONF_FILE_MAX)};
	int opt = read_options(c, argc, argv, &t);
	int status = opt == CTL_END ? run(c, &t) : ctl_option_exit(opt);

	buf_free(&t.body);
	buf_wipe(&t.secret);
	return status;
}
