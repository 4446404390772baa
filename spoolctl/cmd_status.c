/*
 * SPDX-License-Identifier: ISC
 *
 * cmd_status - how the whole is, on one screen, and as an exit status for cron and monitoring.
 *
 * Whether the daemon runs is asked of its lock, what waits of the folders; the rest is what the
 * daemon wrote of itself (status.json).  So it says something true in any state.
 */
#include "config.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sysexits.h>

#include "buf.h"
#include "clk.h"
#include "ctl.h"
#include "io.h"
#include "json.h"
#include "out.h"
#include "str.h"
#include "view.h"

#define STATUS_FILE "status.json"
#define STATUS_MAX (4 << 20)
#define LINES 8 /* of one kind; how many more there are is said */
#define CERTIFICATE_SOON (30 * CLK_DAY)

enum { WELL = 0, PERSON = 1, NOT_RUNNING = 2 };

struct health {
	struct ctl *c;
	bool served; /* the daemon's lock is held */
	struct buf text;
	struct json *doc;   /* NULL: no file, or none that can be read */
	bool fresh;         /* and it is about now */
	uint64_t n[STATES]; /* of the folders; not ST_DONE */
	enum spool_box box; /* the one that is counted */
	int exit;
	char sentence[600];
};

/* ---- looking ---- */

static bool
count_one(const struct spool_entry *se, void *arg)
{
	struct health *h = arg;

	if (se->is_name)
		h->n[view_is_running(h->c->spool, h->box, se->name) ? ST_RUNNING
								    : state_of(h->box)]++;
	return true;
}

static enum rc
count(struct health *h, struct err *e)
{
	enum rc rc = RC_OK;

	for (h->box = SPOOL_NEW; h->box < SPOOL_BOXES && rc == RC_OK; h->box++)
		if (h->box != SPOOL_DONE)
			rc = spool_walk(h->c->spool, h->box, count_one, h, e);
	return rc;
}

static int64_t
number(const struct json *v, const char *pointer)
{
	int64_t n;

	return json_int(json_at(v, pointer), 0, INT64_MAX, &n) ? n : 0;
}

static const char *
text_at(const struct json *v, const char *pointer)
{
	const char *text = json_string(json_at(v, pointer));

	return text != NULL ? text : "";
}

static void
read_file(struct health *h)
{
	h->text = BUF_INIT(STATUS_MAX);
	if (io_read_file(spool_dir(h->c->spool), STATUS_FILE, &h->text, NULL) != RC_OK ||
	    json_parse(buf_text(&h->text), h->text.n, &h->doc, NULL) != RC_OK)
		buf_clear(&h->text);
	for (size_t i = 0; i < h->text.n; i++) /* never in a string: JSON escapes it there */
		if (h->text.p[i] == '\n')
			h->text.p[i] = ' ';
	h->fresh = h->doc != NULL && h->c->now <= number(h->doc, "/stale_after") &&
		   str_eq(text_at(h->doc, "/state"), "running");
}

/* ---- judging ---- */

/* What the folders say by themselves. */
static void
add_counts(const struct health *h, struct buf *b)
{
	const struct {
		uint64_t n;
		const char *one, *many;
	} row[] = {{h->n[ST_WAITING] + h->n[ST_RUNNING], "event waits", "events wait"},
	    {h->n[ST_FAILED], "has failed", "have failed"},
	    {h->n[ST_REJECTED], "could not be read", "could not be read"}};
	const char *before = "";

	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		if (row[i].n == 0)
			continue;
		buf_fmt(b, "%s%" PRIu64 " %s", before, row[i].n,
		    row[i].n == 1 ? row[i].one : row[i].many);
		before = ", ";
	}
	if (*before == '\0')
		buf_str(b, "nothing waits");
}

static void
judge(struct health *h)
{
	const uint64_t trouble = h->n[ST_FAILED] + h->n[ST_REJECTED];
	struct buf b = BUF_INIT(sizeof(h->sentence) - 1);
	bool well = false;

	if (!h->served) {
		h->exit = NOT_RUNNING;
		buf_str(&b, "spoold does not run; ");
		add_counts(h, &b);
	} else if (h->fresh) {
		h->exit = json_bool(json_get(h->doc, "well"), &well) && well && trouble == 0
			      ? WELL
			      : PERSON;
		if (well && trouble > 0) {
			buf_str(&b, "a person is needed: ");
			add_counts(h, &b);
		} else {
			buf_str(&b, text_at(h->doc, "/sentence"));
		}
	} else if (h->doc == NULL || !str_eq(text_at(h->doc, "/state"), "running")) {
		h->exit = trouble > 0 ? PERSON : WELL;
		buf_str(&b, "spoold has just started; ");
		add_counts(h, &b);
	} else {
		h->exit = PERSON;
		buf_str(&b,
		    "spoold runs, but has said nothing of itself for long: it hangs, or "
		    "the queue's disk takes no writes; ");
		add_counts(h, &b);
	}
	(void)snprintf(h->sentence, sizeof(h->sentence), "%s", buf_text(&b));
	buf_free(&b);
}

/* ---- the screen ---- */

static void
put_span(const char *before, int64_t ms, const char *after)
{
	char span[CLK_TEXT];

	clk_span(ms > 0 ? ms : 0, span);
	(void)printf("%s%s%s", before, span, after);
}

/* "for 3 min"; a time of 0 is not known. */
static void
put_ago(const struct health *h, const char *before, int64_t when, const char *after)
{
	if (when > 0)
		put_span(before, h->c->now - when, after);
}

static void
put_more(size_t n)
{
	if (n > LINES)
		(void)printf("    and %zu more\n", n - LINES);
}

static void
put_alarms(const struct health *h)
{
	size_t n = 0;

	for (const struct json *v = json_first(json_get(h->doc, "alarms")); v != NULL;
	     v = json_next(v)) {
		if (n++ >= LINES)
			continue;
		out_colour(OUT_RED);
		(void)printf("  ! ");
		(void)out_str(text_at(v, "/text"));
		out_plain();
		put_ago(h, " (for ", number(v, "/since"), ")");
		(void)printf("\n    ");
		(void)out_str(text_at(v, "/todo"));
		(void)printf("\n");
	}
	put_more(n);
}

static void
put_counts(const struct health *h)
{
	static const struct {
		enum state st;
		const char *name;
	} rows[] = {{ST_WAITING, "waiting"}, {ST_RUNNING, "in work"}, {ST_FAILED, "failed"},
	    {ST_HELD, "held"}, {ST_REJECTED, "rejected"}};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (h->n[rows[i].st] > 0)
			view_colour(rows[i].st);
		(void)printf("  %-12s %" PRIu64, rows[i].name, h->n[rows[i].st]);
		out_plain();
		if (rows[i].st == ST_WAITING && h->fresh && h->n[ST_WAITING] > 0)
			put_ago(h, ", the oldest for ", number(h->doc, "/oldest_waiting"), "");
		(void)printf("\n");
	}
}

static void
put_work(const struct health *h)
{
	const struct json *d = h->doc;

	(void)printf("  %-12s %" PRId64 " (documents stored: %" PRId64 ")\n", "done today",
	    number(d, "/today/done"), number(d, "/today/documents"));
	if (number(d, "/times/done/n") > 0) {
		put_span("  took         half up to ", number(d, "/times/done/p50"), "");
		put_span(", 95 of 100 up to ", number(d, "/times/done/p95"), " (24 h)\n");
	}
	put_ago(h, "  last event   ", number(d, "/last_event"), " ago\n");
	if (number(d, "/recovered") > 0)
		(void)printf("  %-12s %" PRId64 " events that the webhook missed\n",
		    "recovered", number(d, "/recovered"));
	(void)printf("  %-12s %" PRId64 " MiB free for the queue, %" PRId64
		     " MiB for documents\n",
	    "disk", number(d, "/disk/queue/free") >> 20, number(d, "/disk/store/free") >> 20);
}

/* What is not as it should be among the targets. */
static void
put_targets(const struct health *h)
{
	size_t n = 0;

	for (const struct json *v = json_first(json_get(h->doc, "targets")); v != NULL;
	     v = json_next(v)) {
		const char *state = text_at(v, "/state");

		if (str_eq(state, "up") || str_eq(state, "unknown") || n++ >= LINES)
			continue;
		out_colour(OUT_YELLOW);
		(void)printf("  %-12s ", "target");
		(void)out_str(text_at(v, "/name"));
		(void)printf(": ");
		(void)out_str(state);
		out_plain();
		put_ago(h, " for ", number(v, "/since"), "");
		if (number(v, "/next") > h->c->now)
			put_span(", tried in ", number(v, "/next") - h->c->now, "");
		(void)printf("\n");
	}
	put_more(n);
}

static void
put_ends(const struct health *h)
{
	for (const struct json *v = json_first(json_get(h->doc, "certificates")); v != NULL;
	     v = json_next(v)) {
		int64_t left = number(v, "/ends") - h->c->now;

		if (left > CERTIFICATE_SOON)
			continue;
		(void)printf("  %-12s ", "certificate");
		(void)out_str(text_at(v, "/host"));
		if (left > 0)
			put_span(" ends in ", left, "\n");
		else
			(void)printf(" has ended\n");
	}
}

static void
put_transfers(const struct health *h)
{
	size_t n = 0;

	for (const struct json *v = json_first(json_get(h->doc, "transfers")); v != NULL;
	     v = json_next(v)) {
		if (n++ >= LINES)
			continue;
		(void)printf("  %-12s ", "document");
		(void)out_str(text_at(v, "/host"));
		(void)printf(": %" PRId64 " KiB", number(v, "/bytes") >> 10);
		if (number(v, "/total") > 0)
			(void)printf(" of %" PRId64 " KiB", number(v, "/total") >> 10);
		put_ago(h, ", for ", number(v, "/since"), "\n");
	}
	put_more(n);
}

static void
put_screen(const struct health *h)
{
	out_colour(h->exit == WELL ? OUT_GREEN : OUT_RED);
	(void)out_str(h->sentence);
	out_plain();
	(void)printf("\n\n");
	if (h->fresh)
		put_alarms(h);
	put_counts(h);
	if (!h->fresh) {
		put_ago(h, "  last seen    ", number(h->doc, "/written"), " ago\n");
		return;
	}
	put_work(h);
	put_targets(h);
	put_ends(h);
	put_transfers(h);
}

static void
put_json(const struct health *h)
{
	struct buf b = BUF_INIT(STATUS_MAX + 4096);
	size_t n = h->text.n;

	while (n > 0 && h->text.p[n - 1] == ' ')
		n--;
	buf_fmt(&b, "{\"exit\":%d,\"running\":%s,\"fresh\":%s,\"sentence\":", h->exit,
	    h->served ? "true" : "false", h->fresh ? "true" : "false");
	buf_json(&b, h->sentence);
	buf_fmt(&b,
	    ",\"counts\":{\"waiting\":%" PRIu64 ",\"working\":%" PRIu64 ",\"failed\":%" PRIu64
	    ",\"held\":%" PRIu64 ",\"rejected\":%" PRIu64 "},\"status\":",
	    h->n[ST_WAITING], h->n[ST_RUNNING], h->n[ST_FAILED], h->n[ST_HELD],
	    h->n[ST_REJECTED]);
	if (n > 0)
		buf_add(&b, h->text.p, n);
	else
		buf_str(&b, "null");
	buf_str(&b, "}\n");
	out_json(&b);
	buf_free(&b);
}

int
cmd_status(struct ctl *c, int argc, char **argv)
{
	static const struct option names[] = {{"json", no_argument, NULL, CTL_JSON},
	    {"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
	struct health h = {.c = c};
	struct err e = {0};
	bool json = false;
	int opt, status;
	enum rc rc;

	while ((opt = ctl_option(c, argc, argv, ":h", names)) >= 0)
		json = true;
	if (opt != CTL_END)
		return ctl_option_exit(opt);
	if (optind < argc)
		return ctl_usage(c, "it takes no arguments");
	if ((status = ctl_open(c)) != EX_OK)
		return status;
	if ((rc = ctl_is_served(c->spool, &h.served, &e)) != RC_OK ||
	    (rc = count(&h, &e)) != RC_OK)
		return ctl_fail(err_exit(rc), "%s", e.text);
	read_file(&h);
	judge(&h);
	if (json)
		put_json(&h);
	else
		put_screen(&h);
	json_free(&h.doc);
	buf_free(&h.text);
	return h.exit;
}
