/*
 * SPDX-License-Identifier: ISC
 *
 * cmd_erase - take everything about a client out of the spool, the store and the log.
 *
 * The order, for a crash between any two of these: what was found is written down (the plan),
 * then each event is moved to done and replaced there, then the store, then the log, then the
 * receipt, and last the plan is removed.  Each can be done twice.  Events come before the
 * store, because the daemon writes to it while it works on one, and none is left to work on.
 */
#include "config.h"

#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "buf.h"
#include "clk.h"
#include "ctl.h"
#include "erasure.h"
#include "event.h"
#include "evlog.h"
#include "io.h"
#include "json.h"
#include "log.h"
#include "move.h"
#include "out.h"
#include "pick.h"
#include "rec.h"
#include "retry.h"
#include "str.h"
#include "view.h"

#define FILE_MAX ((64 << 20) + REC_HEAD_MAX)
#define PATIENCE (5 * CLK_SECOND) /* for the daemon to end what it works on */
#define LOOK 100                  /* milliseconds between tries */
#define STATUS "status.json"      /* of the daemon, below the spool */
#define STATUS_MAX (8 << 20)
#define RECEIPT (256 << 20)

struct erase {
	struct ctl *c;
	struct erasure x;
	bool dry_run, yes, json;
	int dir;    /* state/erase */
	bool *gone; /* which of x.events are erased */
	size_t left;
	uint64_t lines;
	struct store_erased removed;
	char why[ERR_TEXT]; /* an event that could not be erased yet */
};

/* ---- one event ---- */

/* What remains of an event: when, from where, by which credential; and a digest of its ids. */
static enum rc
make_rest(struct erase *x, const struct spool_item *it, struct rec *r, bool *was, struct err *e)
{
	struct buf b = BUF_INIT(FILE_MAX);
	char salt[EVENT_SALT + 1];
	unsigned char random[EVENT_SALT / 2];
	struct json *doc = NULL;
	struct event ev = {0};
	struct name parts;
	enum rc rc;

	rc = spool_read(it, &b, r, e);
	if (rc == RC_BAD && name_parse(it->name, &parts)) { /* damaged: its name is left */
		*r = (struct rec){.received = x->c->now};
		(void)!str_copy(r->name, sizeof(r->name), it->name);
		(void)!str_copy(r->account, sizeof(r->account), parts.account);
		rc = RC_OK;
	} else if (rc == RC_OK && r->erased == 0 &&
		   json_parse(r->body, r->body_len, &doc, NULL) == RC_OK &&
		   event_read(doc, &ev, NULL) == RC_OK) {
		clk_random(random, sizeof(random));
		str_hex(salt, random, sizeof(random));
		rc = event_ids_digest(&ev, salt, r->erased_ids, sizeof(r->erased_ids), e);
		if (!clk_parse(ev.time, &r->event_time))
			r->event_time = 0;
	}
	*was = r->erased != 0;
	if (!*was)
		r->erased = x->c->now;
	(void)snprintf(r->subject, sizeof(r->subject), "erased");
	r->body = "";
	r->body_len = 0;
	event_free(&ev);
	json_free(&doc);
	buf_free(&b);
	return rc;
}

/* Under its lock, wherever it is: into done, and there replaced. */
static enum rc
erase_locked(struct erase *x, struct spool_item *it, struct err *e)
{
	enum spool_box from = it->box;
	bool was = false;
	struct rec r;
	enum rc rc;

	if ((rc = make_rest(x, it, &r, &was, e)) != RC_OK)
		return rc;
	if (from != SPOOL_DONE && (rc = spool_move(x->c->spool, it, SPOOL_DONE, e)) == RC_OK)
		move_count(x->c, from, SPOOL_DONE);
	if (rc == RC_EXISTS && !spool_is_daemon(x->c->spool))
		return err_set(
		    e, RC_LATER, "a repeat of it waits for spoold in %s", spool_box_name(from));
	if (rc == RC_EXISTS) /* a repeat: as no daemon runs it was removed just now */
		return RC_GONE;
	if (rc != RC_OK || (!(was && from == SPOOL_DONE) &&
			       (rc = spool_erase(x->c->spool, it, &r, e)) != RC_OK))
		return rc;
	if (x->x.store != NULL)
		store_forget(x->x.store, it->name);
	return retry_remove(spool_retry_dir(x->c->spool), it->name, e);
}

/* RC_LATER: the daemon has it, or it moved away: look again. */
static enum rc
erase_event(struct erase *x, const char *name, struct err *e)
{
	struct spool_item it;
	enum rc rc = RC_GONE;

	/* From the earliest box on, so that a repeat is met before the one that stays. */
	for (enum spool_box box = SPOOL_NEW; box < SPOOL_BOXES; box++) {
		enum rc one = spool_lock(x->c->spool, box, name, &it, e);

		if (one == RC_OK)
			one = erase_locked(x, &it, e);
		spool_unlock(&it);
		if (one == RC_LATER && e->text[0] == '\0')
			(void)err_set(e, RC_LATER, "spoold is working on it");
		if (one != RC_OK && one != RC_GONE)
			return one;
		if (one == RC_OK)
			rc = RC_OK;
	}
	return rc;
}

static void
tell(struct erase *x, const char *name)
{
	struct err e = {0};

	if (evlog_put(spool_log_dir(x->c->spool), x->c->now, "erased", name, &e, "operator",
		x->c->operator, "uid", x->c->uid, LOG_END) != RC_OK)
		(void)ctl_fail(
		    0, "%s: erased, but not written to the spool's log: %s", name, e.text);
}

/* All of them, and again those that the daemon has, for a while.  Left are x->left. */
static enum rc
erase_events(struct erase *x, struct err *e)
{
	const int64_t end = clk_mono() + PATIENCE;

	for (bool again = true; again;) {
		x->left = 0;
		for (size_t i = 0; i < x->x.events.n; i++) {
			const char *name = x->x.events.at[i];
			enum rc rc;

			if (x->gone[i])
				continue;
			err_clear(e);
			rc = erase_event(x, name, e);
			if (rc == RC_OK)
				tell(x, name);
			x->gone[i] = rc == RC_OK || rc == RC_GONE;
			if (rc == RC_LATER && x->left++ == 0)
				(void)snprintf(
				    x->why, sizeof(x->why), "%.150s: %.150s", name, e->text);
			if (!x->gone[i] && rc != RC_LATER)
				return rc;
		}
		again = x->left > 0 && clk_mono() < end;
		if (again && poll(NULL, 0, LOOK) < 0)
			again = false;
	}
	return RC_OK;
}

/* ---- the rest ---- */

static bool
object_of(const char *path, struct store_object *o)
{
	const char *category = strchr(path, '/');
	const char *folder = category != NULL ? strchr(category + 1, '/') : NULL;

	return folder != NULL &&
	       str_copy_n(o->account, sizeof(o->account), path, (size_t)(category - path)) &&
	       str_copy_n(o->category, sizeof(o->category), category + 1,
		   (size_t)(folder - category - 1)) &&
	       str_copy(o->folder, sizeof(o->folder), folder + 1);
}

static enum rc
erase_objects(struct erase *x, struct err *e)
{
	struct store_object o;
	enum rc rc = RC_OK;

	for (size_t i = 0; i < x->x.objects.n && x->x.store != NULL; i++) {
		if (!object_of(x->x.objects.at[i], &o))
			continue;
		rc = store_erase(x->x.store, &o, &x->removed, e);
		if (rc != RC_OK && rc != RC_GONE)
			return rc;
	}
	return RC_OK;
}

/*
 * What status.json tells of the latest events.  A daemon that runs looks which of them were
 * erased, and writes it anew at once; without one it is removed if it names somebody, and the
 * next daemon begins it.
 */
static enum rc
clean_status(struct erase *x, struct err *e)
{
	const int64_t end = clk_mono() + PATIENCE;
	bool names = true;
	enum rc rc = RC_OK;

	if (!spool_is_daemon(x->c->spool))
		ctl_ask(x->c, "erased");
	while (rc == RC_OK && names) {
		struct buf b = BUF_INIT(STATUS_MAX);

		rc = io_read_file(spool_dir(x->c->spool), STATUS, &b, e);
		names = rc == RC_OK && erasure_in(&x->x, buf_text(&b), b.n);
		buf_free(&b);
		if (names && spool_is_daemon(x->c->spool))
			rc = io_unlink(spool_dir(x->c->spool), STATUS, e);
		else if (names && clk_mono() >= end)
			rc = err_set(
			    e, RC_LATER, STATUS " tells of it until spoold writes it anew");
		else if (names)
			(void)poll(NULL, 0, LOOK);
	}
	return rc == RC_GONE ? RC_OK : rc;
}

static enum rc
write_receipt(struct erase *x, struct buf *b, struct err *e)
{
	char file[64], stamp[CLK_TEXT], hex[9];
	unsigned char random[4];
	enum rc rc;

	clk_random(random, sizeof(random));
	str_hex(hex, random, sizeof(random));
	clk_compact(x->c->now, stamp);
	(void)snprintf(file, sizeof(file), "receipt-%s-%s.json", stamp, hex);
	clk_rfc3339(x->c->now, stamp);
	buf_fmt(b, "{\n  \"receipt\": \"%s\",\n  \"erased\": \"%s\",\n  \"operator\": ", hex,
	    stamp);
	buf_json(b, x->c->operator);
	buf_fmt(b,
	    ",\n  \"objects\": %" PRIu64 ",\n  \"files\": %" PRIu64 ",\n  \"bytes\": %" PRIu64
	    ",\n  \"logLines\": %" PRIu64 ",\n  \"events\": [",
	    x->removed.objects, x->removed.files, x->removed.bytes, x->lines);
	for (size_t i = 0; i < x->x.events.n; i++) {
		buf_str(b, i > 0 ? ",\n    " : "\n    ");
		buf_json(b, x->x.events.at[i]);
	}
	buf_str(b, "\n  ]\n}\n");
	if ((rc = buf_state(b, e)) == RC_OK)
		rc = io_replace(x->dir, file, 0640, b->p, b->n, e);
	return rc;
}

static int
carry_out(struct erase *x)
{
	struct buf receipt = BUF_INIT(RECEIPT);
	struct err e = {0};
	enum rc rc;
	int status = EX_OK;

	if ((rc = erasure_save(&x->x, x->dir, &e)) == RC_OK &&
	    (rc = erase_events(x, &e)) == RC_OK && (rc = erase_objects(x, &e)) == RC_OK &&
	    (rc = evlog_redact(spool_log_dir(x->c->spool), erasure_has_line, &x->x, &x->lines,
		 &e)) == RC_OK &&
	    (rc = clean_status(x, &e)) == RC_OK && x->left == 0 &&
	    (rc = erasure_left(&x->x, &e)) == RC_OK &&
	    (rc = write_receipt(x, &receipt, &e)) == RC_OK)
		rc = io_unlink(x->dir, x->x.plan, &e);
	if (x->left > 0)
		status = ctl_fail(EX_TEMPFAIL,
		    "%zu event%s not erased yet (%s); run the same command again", x->left,
		    x->left == 1 ? "" : "s", x->why);
	else if (rc != RC_OK)
		status = ctl_fail(err_exit(rc),
		    "not everything is erased: %s; run the same command again", e.text);
	else
		out_json(&receipt);
	buf_free(&receipt);
	return status;
}

/* ---- what goes, and is it meant? ---- */

static void
show(const struct erase *x)
{
	const struct erasure *w = &x->x;

	if (x->json) {
		(void)printf("{\"dryRun\":true,\"events\":[");
		for (size_t i = 0; i < w->events.n; i++)
			(void)printf("%s\"%s\"", i > 0 ? "," : "", w->events.at[i]);
		(void)printf("],\"objects\":[");
		for (size_t i = 0; i < w->objects.n; i++)
			(void)printf("%s\"%s\"", i > 0 ? "," : "", w->objects.at[i]);
		(void)printf("]}\n");
		return;
	}
	for (size_t i = 0; i < w->events.n; i++) {
		enum spool_box box;

		(void)printf("event   ");
		(void)out_str(w->events.at[i]);
		if (pick_locate(w->spool, w->events.at[i], &box, NULL) == RC_OK)
			(void)printf("  (%s)", state_name(state_of(box)));
		(void)printf("\n");
	}
	for (size_t i = 0; i < w->objects.n; i++) {
		(void)printf("object  ");
		(void)out_str(w->objects.at[i]);
		(void)printf("\n");
	}
}

static int
confirm(const struct erase *x)
{
	char answer[16];

	if (!x->json || x->dry_run)
		show(x);
	(void)ctl_fail(0,
	    "%serase: %zu event%s, %zu object%s of the store, and what the log "
	    "tells of them",
	    x->dry_run ? "dry run of " : "", x->x.events.n, x->x.events.n == 1 ? "" : "s",
	    x->x.objects.n, x->x.objects.n == 1 ? "" : "s");
	if (x->dry_run || x->yes)
		return EX_OK;
	if (!isatty(STDIN_FILENO) || !isatty(STDERR_FILENO))
		return ctl_fail(EX_USAGE,
		    "it cannot be undone, and nobody is here to ask: give "
		    "--yes; nothing was changed");
	(void)fprintf(stderr, "This cannot be undone. Go on? [y/N] ");
	if (fgets(answer, sizeof(answer), stdin) != NULL &&
	    (answer[0] == 'y' || answer[0] == 'Y'))
		return EX_OK;
	return ctl_fail(EX_TEMPFAIL, "nothing was changed");
}

/* state/erase, for one at a time; without it there is no plan of an earlier run. */
static enum rc
open_state(struct erase *x, struct err *e)
{
	const struct conf *conf = x->c->conf;
	int state = -1;
	enum rc rc;

	if ((rc = io_open_dir(AT_FDCWD, conf->daemon.state, &state, e)) == RC_OK)
		rc = x->dry_run ? io_open_dir(state, ERASURE_DIR, &x->dir, e)
				: io_make_dir(state, ERASURE_DIR, 0700, &x->dir, e);
	io_close(&state);
	if (rc == RC_GONE && x->dry_run)
		return RC_OK;
	if (rc == RC_OK && (rc = io_lock(x->dir, e)) == RC_LATER)
		rc = err_set(e, RC_LATER, "another spoolctl erase is at work; try again later");
	return rc;
}

static int
run(struct erase *x, const char *client, const char *account)
{
	struct store *st = NULL;
	struct err e = {0};
	int status;
	enum rc rc;

	rc = store_join(x->c->conf->daemon.store, &st, &e);
	if (rc == RC_GONE) /* nothing was ever fetched */
		rc = RC_OK;
	if (rc != RC_OK ||
	    (rc = erasure_init(&x->x, x->c->spool, st, client, account, &e)) != RC_OK ||
	    (rc = open_state(x, &e)) != RC_OK ||
	    (x->dir >= 0 && (rc = erasure_load(&x->x, x->dir, &e)) != RC_OK) ||
	    (rc = erasure_find(&x->x, &e)) != RC_OK)
		status = ctl_fail(err_exit(rc), "%s", e.text);
	else if (x->x.events.n + x->x.objects.n == 0)
		status = ctl_fail(EX_NOINPUT,
		    "nothing is here of a client %.64s; \"spoolctl ls all --json\" has "
		    "subjects "
		    "with the ids there are",
		    client);
	else if ((status = confirm(x)) == EX_OK && !x->dry_run) {
		rc = spool_lock_daemon(x->c->spool, &e); /* taken: repeats are ours to remove */
		x->gone = calloc(x->x.events.n + 1, sizeof(*x->gone));
		if ((rc != RC_OK && rc != RC_LATER) || x->gone == NULL)
			status = ctl_fail(EX_OSERR, "%s", e.text);
		else
			status = carry_out(x);
	}
	free(x->gone);
	erasure_free(&x->x);
	store_close(&st);
	return status;
}

int
cmd_erase(struct ctl *c, int argc, char **argv)
{
	static const struct option names[] = {{"client", required_argument, NULL, CTL_CLIENT},
	    {"account", required_argument, NULL, CTL_ACCOUNT},
	    {"dry-run", no_argument, NULL, 'n'}, {"yes", no_argument, NULL, 'y'},
	    {"json", no_argument, NULL, CTL_JSON}, {"help", no_argument, NULL, 'h'},
	    {NULL, 0, NULL, 0}};
	struct erase x = {.c = c, .dir = -1};
	const char *client = NULL, *account = NULL;
	int opt, status;

	while ((opt = ctl_option(c, argc, argv, ":hny", names)) >= 0) {
		if (opt == 'n')
			x.dry_run = true;
		else if (opt == 'y')
			x.yes = true;
		else if (opt == CTL_JSON)
			x.json = true;
		else if (opt == CTL_CLIENT)
			client = optarg;
		else
			account = optarg;
	}
	if (opt != CTL_END)
		return ctl_option_exit(opt);
	if (optind < argc || client == NULL || !name_hash_ok(client))
		return ctl_usage(c, "whom? Give --client HASH, the client's hash id");
	if ((status = ctl_open(c)) != EX_OK)
		return status;
	if ((c->conf == NULL || account != NULL) && ctl_account(c, account, &status) == NULL)
		return status;
	status = run(&x, client, account);
	io_close(&x.dir);
	return status;
}
