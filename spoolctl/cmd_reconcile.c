/*
 * SPDX-License-Identifier: ISC
 *
 * cmd_reconcile - an account's event feed compared with the spool, at once.
 *
 * One program at a time keeps the state of a feed: whoever holds the daemon's lock.  While
 * spoold has it, it is asked, by a file in ask/, and answers in the state; else the pass is
 * made here, under that lock.  A dry run keeps nothing, so it is always made here.
 */
#include "config.h"

#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "buf.h"
#include "client.h"
#include "clk.h"
#include "ctl.h"
#include "feed.h"
#include "io.h"
#include "out.h"
#include "str.h"

#define PATIENCE (2 * CLK_MINUTE)
#define LOOK 50 /* milliseconds between looks at the state */

enum { OWN_SINCE = CTL_OWN, OWN_TIMEOUT };

struct wish {
	const char *account; /* NULL: all that have a feed */
	uint64_t since;      /* 0: from the cursor */
	int64_t timeout;
	bool dry_run, json;
	bool here; /* no daemon: its lock is ours */
	int dir;   /* state/feed */
};

/* A call to the feed; a body of *n bytes, 0 when there are no events. */
static enum rc
ask(struct client *cl, const char *url, struct client_answer *ans, struct err *e)
{
	struct http_request rq;
	enum rc rc;

	client_request(cl, url, &rq);
	rq.max_body = FEED_ANSWER;
	rc = client_call(cl, &rq, ans, e);
	if (rc == RC_GONE || (rc == RC_DENIED && ans->http.status == 403))
		rc = err_set(e, RC_CONFIG,
		    "the API answered %d: it has no such feed; reconcile = off, or feed_info "
		    "and feed_page, in the account's section",
		    ans->http.status);
	return rc;
}

static enum rc
read_pages(struct client *cl, struct feed_pass *p, struct err *e)
{
	struct client_answer ans;
	char url[FEED_URL];
	uint64_t from;
	enum rc rc = RC_OK;

	while (rc == RC_OK && !feed_pass_done(p, &from)) {
		if ((rc = feed_page_url(p->account, from, url, e)) != RC_OK)
			break;
		if ((rc = ask(cl, url, &ans, e)) == RC_OK)
			rc = ans.http.status == 204
				 ? feed_page(p, "[]", 2, e)
				 : feed_page(p, ans.http.body, ans.http.body_len, e);
		client_answer_free(&ans);
	}
	return rc;
}

static enum rc
read_latest(struct client *cl, const struct conf_account *a, uint64_t *last, struct err *e)
{
	struct client_answer ans;
	char url[FEED_URL];
	enum rc rc;

	*last = 0;
	if ((rc = feed_info_url(a, url, e)) != RC_OK)
		return rc;
	if ((rc = ask(cl, url, &ans, e)) == RC_OK && ans.http.status != 204)
		rc = feed_info(ans.http.body, ans.http.body_len, last, e);
	client_answer_free(&ans);
	return rc;
}

/* A pass made here; *s is what it found. */
static enum rc
pass_here(struct ctl *c, const struct wish *w, const struct conf_account *a,
    struct feed_state *s, struct err *e)
{
	struct feed_pass p = {.account = a,
	    .spool = c->spool,
	    .now = c->now,
	    .grace = c->conf->daemon.reconcile_grace,
	    .dry_run = w->dry_run};
	struct client *cl = NULL;
	uint64_t last;
	enum rc rc;

	rc = feed_load(w->dir, a->name, s, e);
	if (rc == RC_BAD) /* as spoold has it */
		(void)ctl_fail(0, "%s: begun anew, its state cannot be read", a->name);
	if (rc == RC_BAD || rc == RC_GONE)
		rc = RC_OK;
	if (rc != RC_OK ||
	    (rc = client_open(c->conf, a, spool_counts(c->spool), &cl, e)) != RC_OK ||
	    (rc = read_latest(cl, a, &last, e)) != RC_OK)
		goto out;
	feed_pass_begin(&p, s, w->since, last);
	if ((rc = read_pages(cl, &p, e)) != RC_OK)
		goto out;
	feed_pass_report(&p, s, clk_wall());
	s->off[0] = s->failed[0] = '\0';
	if (!w->dry_run)
		rc = feed_save(w->dir, a->name, s, e);
out:
	feed_pass_end(&p);
	client_close(&cl);
	return rc;
}

/* A file in ask/ that spoold takes for a wish; id is what its answer is known by. */
static enum rc
put_wish(
    struct ctl *c, const struct wish *w, const char *account, char id[FEED_ASK], struct err *e)
{
	char name[sizeof(FEED_WISH) + NAME_ACCOUNT + 24 + FEED_ASK];
	unsigned char random[8];
	enum rc rc;
	int fd;

	clk_random(random, sizeof(random));
	str_hex(id, random, sizeof(random));
	(void)snprintf(
	    name, sizeof(name), FEED_WISH "%s.%" PRIu64 ".%s", account, w->since, id);
	rc = io_create(spool_ask_dir(c->spool), name, 0660, &fd, e);
	io_close(&fd);
	return rc;
}

/* A pass made by spoold: what it says in the state when it has met the wish. */
static enum rc
pass_there(struct ctl *c, const struct wish *w, const struct conf_account *a,
    struct feed_state *s, struct err *e)
{
	const int64_t end = clk_mono() + w->timeout;
	char id[FEED_ASK], span[CLK_TEXT];
	enum rc rc;

	if ((rc = put_wish(c, w, a->name, id, e)) != RC_OK)
		return rc;
	while (clk_mono() < end) {
		rc = feed_load(w->dir, a->name, s, e);
		if (rc == RC_OK && str_eq(s->answered, id) && s->failed[0] != '\0')
			return err_set(
			    e, s->off[0] != '\0' ? RC_CONFIG : RC_LATER, "%s", s->failed);
		if (rc == RC_OK && str_eq(s->answered, id))
			return RC_OK;
		(void)poll(NULL, 0, LOOK);
	}
	clk_span(w->timeout, span);
	return err_set(e, RC_LATER,
	    "spoold has not answered in %s; it goes on, its log and a later \"spoolctl "
	    "reconcile\" tell what came of it",
	    span);
}

static void
report(const struct wish *w, const struct conf_account *a, const struct feed_state *s)
{
	if (w->json) {
		(void)printf("{\"account\":\"%s\",\"from\":%" PRIu64 ",\"to\":%" PRIu64
			     ",\"seen\":%" PRIu64 ",\"missing\":%" PRIu64
			     ",\"recovered\":%" PRIu64 ",\"dry_run\":%s}\n",
		    a->name, s->from + 1, s->to, s->seen, s->missing, s->recovered,
		    w->dry_run ? "true" : "false");
		return;
	}
	out_colour(OUT_BOLD);
	(void)printf("%s", a->name);
	out_plain();
	if (s->to <= s->from)
		(void)printf(
		    "  nothing above event %" PRIu64 ": everything is known\n", s->from);
	else
		(void)printf("  events %" PRIu64 " to %" PRIu64 "  seen %" PRIu64
			     "  missing %" PRIu64 "  recovered %" PRIu64 "%s\n",
		    s->from + 1, s->to, s->seen, s->missing, s->recovered,
		    w->dry_run ? "  (dry run)" : "");
}

static int
reconcile_one(struct ctl *c, const struct wish *w, const struct conf_account *a)
{
	struct feed_state s;
	struct err e = {0};
	enum rc rc;

	if (w->here || w->dry_run)
		rc = pass_here(c, w, a, &s, &e);
	else
		rc = pass_there(c, w, a, &s, &e);
	if (rc != RC_OK)
		return ctl_fail(err_exit(rc), "%s: %s", a->name, e.text);
	report(w, a, &s);
	return EX_OK;
}

/* state/feed, for one operator at a time: spoold keeps one wish an account. */
static int
open_state(struct ctl *c, struct wish *w)
{
	struct err e = {0};
	int state = -1;
	enum rc rc;

	if ((rc = io_make_dir(AT_FDCWD, c->conf->daemon.state, 0750, &state, &e)) == RC_OK &&
	    (rc = io_make_dir(state, FEED_DIR, 0700, &w->dir, &e)) == RC_OK &&
	    (rc = io_lock(w->dir, &e)) == RC_LATER)
		rc = err_set(
		    &e, RC_LATER, "another spoolctl reconcile is waiting; try again later");
	io_close(&state);
	if (rc != RC_OK)
		return ctl_fail(err_exit(rc), "%s", e.text);
	if (w->dry_run)
		return EX_OK;
	if ((rc = spool_lock_daemon(c->spool, &e)) != RC_OK && rc != RC_LATER)
		return ctl_fail(err_exit(rc), "%s", e.text);
	w->here = rc == RC_OK;
	if (w->here)
		(void)ctl_fail(0, "spoold is not running: it is done here; what is found waits "
				  "for spoold");
	return EX_OK;
}

static int
reconcile_all(struct ctl *c, const struct wish *w)
{
	int status = EX_OK, any = 0;

	for (size_t i = 0; i < c->conf->naccounts; i++) {
		const struct conf_account *a = &c->conf->accounts[i];

		if ((w->account != NULL && !str_eq(a->name, w->account)) ||
		    a->reconcile != CONF_ON)
			continue;
		any++;
		status = ctl_worse(status, reconcile_one(c, w, a));
	}
	if (any == 0)
		return ctl_fail(EX_CONFIG,
		    "reconcile is off: set it on in [account %s], and reload spoold",
		    w->account != NULL ? w->account : "...");
	return status;
}

static int
read_options(const struct ctl *c, int argc, char **argv, struct wish *w)
{
	static const struct option names[] = {{"account", required_argument, NULL, CTL_ACCOUNT},
	    {"since", required_argument, NULL, OWN_SINCE},
	    {"timeout", required_argument, NULL, OWN_TIMEOUT},
	    {"dry-run", no_argument, NULL, 'n'}, {"json", no_argument, NULL, CTL_JSON},
	    {"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
	int opt;

	while ((opt = ctl_option(c, argc, argv, ":hn", names)) >= 0) {
		if (opt == 'n')
			w->dry_run = true;
		else if (opt == CTL_JSON)
			w->json = true;
		else if (opt == CTL_ACCOUNT)
			w->account = optarg;
		else if (opt == OWN_SINCE && !str_u64(optarg, 1, UINT64_MAX, &w->since)) {
			(void)ctl_usage(c,
			    "--since \"%.40s\": expected the number of an event, from 1 on",
			    optarg);
			return CTL_BAD;
		} else if (opt == OWN_TIMEOUT && !str_duration(optarg, &w->timeout)) {
			(void)ctl_usage(
			    c, "--timeout \"%.40s\": expected a time such as 90s", optarg);
			return CTL_BAD;
		}
	}
	if (opt == CTL_END && optind < argc) {
		(void)ctl_usage(c, "it takes no arguments");
		return CTL_BAD;
	}
	return opt;
}

int
cmd_reconcile(struct ctl *c, int argc, char **argv)
{
	struct wish w = {.timeout = PATIENCE, .dir = -1};
	int opt, status;

	if ((opt = read_options(c, argc, argv, &w)) != CTL_END)
		return ctl_option_exit(opt);
	if ((status = ctl_open(c)) != EX_OK)
		return status;
	/* One account, by name or because there is no other, or, but for --since, all. */
	if ((c->conf == NULL || w.account != NULL || w.since != 0) &&
	    ctl_account(c, w.account, &status) == NULL)
		return status;
	if ((status = open_state(c, &w)) == EX_OK)
		status = reconcile_all(c, &w);
	io_close(&w.dir);
	return status;
}
