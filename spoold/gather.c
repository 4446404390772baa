/*
 * SPDX-License-Identifier: ISC
 *
 * gather - events from the spool into memory; see gather.h.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "clk.h"
#include "gather.h"
#include "io.h"
#include "log.h"
#include "str.h"

#define DUE_LATEST CLK_DAY          /* a due time further off is a clock that jumped */
#define TAKE_AGAIN (5 * CLK_SECOND) /* after an event could not be taken */

#define PORTION 64 /* events taken before the network is looked at again */

struct found { /* a name in new or cur, and since when */
	char name[NAME_SIZE];
	int64_t since;
};

/* What a scan of new found and is taken portion by portion, the oldest first. */
struct gather {
	struct found *f;
	size_t n, next;
};

/* The oldest of what was found, at most max: a heap with the youngest on top. */
struct found_list {
	struct daemon *d;
	enum spool_box box;
	struct found *f;
	size_t n, max;
	bool more; /* there are others */
};

/* ---- the oldest ---- */

static void
sift_down(struct found_list *l, size_t at)
{
	size_t kid;

	while ((kid = 2 * at + 1) < l->n) {
		struct found t = l->f[at];

		if (kid + 1 < l->n && l->f[kid + 1].since > l->f[kid].since)
			kid++;
		if (l->f[kid].since <= t.since)
			break;
		l->f[at] = l->f[kid];
		l->f[kid] = t;
		at = kid;
	}
}

static void
sift_up(struct found_list *l, size_t at)
{
	for (size_t up; at > 0 && l->f[at].since > l->f[up = (at - 1) / 2].since; at = up) {
		struct found t = l->f[at];

		l->f[at] = l->f[up];
		l->f[up] = t;
	}
}

static void
keep_oldest(struct found_list *l, const char *name, int64_t since)
{
	size_t at = l->n;

	if (l->n == l->max) {
		l->more = true;
		if (l->max == 0 || since >= l->f[0].since)
			return;
		at = 0;
	} else {
		l->n++;
	}
	(void)!str_copy(l->f[at].name, sizeof(l->f[at].name), name);
	l->f[at].since = since;
	if (at == 0)
		sift_down(l, 0);
	else
		sift_up(l, at);
}

static int
older_first(const void *a, const void *b)
{
	const struct found *x = a, *y = b;

	return x->since < y->since ? -1 : x->since > y->since;
}

/* ---- into memory ---- */

/* What a note says of the wait, whatever the clock did since: never longer than it was meant.
 */
static int64_t
wait_left(const struct retry *r, int64_t now)
{
	int64_t wait = r->due > now ? r->due - now : 0, meant = r->due - r->written;

	if (r->written > 0 && wait > meant)
		wait = meant > 0 ? meant : 0;
	return wait > DUE_LATEST ? 0 : wait;
}

/*
 * What retry/ says of an event that was found in cur.  A try that was under
 * way when the daemon ended is an interruption: it runs alone next.
 */
static void
load_note(struct daemon *d, struct job *job)
{
	struct retry *r = &job->retry;
	int64_t wait;
	struct err e;
	enum rc rc;

	rc = retry_read(spool_retry_dir(d->spool), job->name, r, &e);
	if (rc == RC_OK && str_eq(r->state, "running")) {
		r->interruptions++;
		(void)snprintf(r->state, sizeof(r->state), "waiting");
		daemon_note(d, "interrupted", job->name, NULL, NULL, NULL, NULL);
		rc = RC_BAD;
	}
	if (rc == RC_BAD && retry_write(spool_retry_dir(d->spool), job->name, r, &e) != RC_OK)
		log_put(LOG_ERROR, "cannot write a note", "event", job->name, "reason", e.text,
		    LOG_END);
	wait = wait_left(r, clk_wall());
	job->due = wait > 0 ? clk_mono() + wait : 0;
}

/* An event that lies in cur becomes a job.  false: there is no room. */
static bool
adopt(struct daemon *d, const char *name, int64_t since, bool noted)
{
	struct job *job;
	struct err e;
	enum rc rc;

	if ((rc = jobs_add(d->jobs, name, &job, &e)) == RC_EXISTS) {
		job->seen = true;
		return true;
	}
	if (rc != RC_OK)
		return false;
	job->seen = true;
	job->known = ++d->clock;
	job->since = since;
	if (noted)
		load_note(d, job);
	jobs_wait(d->jobs, job);
	return true;
}

/* Take one event from new. */
static void
take(struct daemon *d, const char *name, int64_t since)
{
	struct counts *c = spool_counts(d->spool);
	struct err e;
	enum rc rc;

	rc = spool_take(d->spool, name, &e);
	if (rc == RC_OK) {
		count_add(c, COUNT_TAKEN, 1);
		report_came(d->report, name);
		daemon_note(d, "taken", name, NULL, NULL, NULL, NULL);
		if (!adopt(d, name, since, io_exists(spool_retry_dir(d->spool), name)))
			d->cur_more = true;
	} else if (rc == RC_EXISTS) {
		count_add(c, COUNT_DOUBLE, 1);
		count_sub(c, COUNT_WAITING, 1);
		daemon_note(d, "duplicate", name, "reason", e.text, NULL, NULL);
		log_put(LOG_INFO, "duplicate", "event", name, "reason", e.text, LOG_END);
	} else if (rc != RC_GONE) {
		log_put(LOG_ERROR, "cannot take an event", "event", name, "reason", e.text,
		    LOG_END);
		if (d->next_scan > clk_mono() + TAKE_AGAIN)
			d->next_scan = clk_mono() + TAKE_AGAIN;
	}
}

static void
sync_cur(struct daemon *d)
{
	struct err e;

	if (spool_sync(d->spool, SPOOL_CUR, &e) != RC_OK)
		log_put(LOG_ERROR, "cannot sync", "reason", e.text, LOG_END);
}

/* ---- looking ---- */

/* A file of the box that memory does not know yet. */
static bool
find_one(const struct spool_entry *en, void *arg)
{
	struct found_list *l = arg;
	struct daemon *d = l->d;
	struct job *job;
	int64_t since;
	uint64_t size;

	if (!en->is_name)
		return true;
	if (en->foreign &&
	    (l->box == SPOOL_NEW || spool_reflag(d->spool, l->box, en, NULL) != RC_OK))
		return true;
	if (l->box == SPOOL_CUR && (job = jobs_find(d->jobs, en->name)) != NULL) {
		job->seen = true;
		return true;
	}
	if (spool_stat(d->spool, l->box, en->name, &since, &size, NULL) == RC_OK)
		keep_oldest(l, en->name, since);
	return true;
}

/* The oldest of a box that have room in memory, in order.  The caller frees l->f. */
static bool
look(struct found_list *l)
{
	struct err e;
	enum rc rc;

	l->max = jobs_room(l->d->jobs);
	if ((l->f = calloc(l->max + 1, sizeof(*l->f))) == NULL) {
		log_put(LOG_ERROR, "no memory to look into the queue", LOG_END);
		l->more = true;
		return false;
	}
	if ((rc = spool_walk(l->d->spool, l->box, find_one, l, &e)) != RC_OK)
		log_put(LOG_ERROR, "cannot look into a folder", "folder",
		    spool_box_name(l->box), "reason", e.text, LOG_END);
	qsort(l->f, l->n, sizeof(*l->f), older_first);
	return rc == RC_OK;
}

void
gather_free(struct daemon *d)
{
	if (d->gather != NULL)
		free(d->gather->f);
	free(d->gather);
	d->gather = NULL;
}

bool
gather_pending(const struct daemon *d)
{
	return d->gather != NULL;
}

static void
take_portion(struct daemon *d)
{
	struct gather *g = d->gather;

	for (size_t i = 0; i < PORTION && g->next < g->n; i++, g->next++)
		take(d, g->f[g->next].name, g->f[g->next].since);
	sync_cur(d);
	if (g->next == g->n)
		gather_free(d);
}

/* What is found now takes the place of what was left from before: that is found again. */
static void
scan_new(struct daemon *d)
{
	struct found_list l = {.d = d, .box = SPOOL_NEW};

	gather_free(d);
	if ((d->more = jobs_room(d->jobs) == 0))
		return;
	(void)look(&l);
	d->more = l.more;
	if (l.n > 0 && (d->gather = calloc(1, sizeof(*d->gather))) != NULL) {
		*d->gather = (struct gather){.f = l.f, .n = l.n};
		take_portion(d);
		return;
	}
	d->more = d->more || l.n > 0;
	free(l.f);
}

static void
forget_unseen(struct job *job, void *arg)
{
	struct daemon *d = arg;

	if (job->seen || job->work != NULL || job->at == JOBS_NOWHERE)
		return;
	report_state(d->report, job->name, "moved");
	jobs_remove(d->jobs, job);
}

static void
unsee(struct job *job, void *arg)
{
	(void)arg;
	job->seen = false;
}

/* Events in cur that nobody told us of: from before a start, or released by an operator. */
static void
scan_cur(struct daemon *d)
{
	struct found_list l = {.d = d, .box = SPOOL_CUR};
	bool whole;

	d->cur_more = false;
	jobs_each(d->jobs, unsee, NULL);
	whole = look(&l);
	for (size_t i = 0; i < l.n; i++)
		if (!adopt(d, l.f[i].name, l.f[i].since, true))
			l.more = true;
	if (whole)
		jobs_each(d->jobs, forget_unseen, d);
	d->cur_more = l.more;
	free(l.f);
}

static bool
tally_one(const struct spool_entry *en, void *arg)
{
	uint64_t *n = arg;

	*n += en->is_name;
	return true;
}

/* Set the gauges that the others only move. */
static void
measure(struct daemon *d)
{
	uint64_t n;

	for (enum spool_box box = SPOOL_NEW; box < SPOOL_BOXES; box++) {
		n = 0;
		if (box != SPOOL_DONE &&
		    spool_walk(d->spool, box, tally_one, &n, NULL) == RC_OK)
			d->in_box[box] = n;
	}
	count_set(
	    spool_counts(d->spool), COUNT_WAITING, d->in_box[SPOOL_NEW] + d->in_box[SPOOL_CUR]);
	count_set(spool_counts(d->spool), COUNT_IN_REJECTED, d->in_box[SPOOL_REJECTED]);
}

void
gather_scan(struct daemon *d)
{
	unsigned swept;

	d->next_scan = clk_mono() + d->conf->daemon.rescan;
	scan_cur(d);
	scan_new(d);
	measure(d);
	if (spool_sweep(d->spool, clk_wall(), &swept, NULL) == RC_OK && swept > 0)
		log_put(LOG_NOTE, "swept what writers left in tmp", LOG_END);
}

void
gather_more(struct daemon *d)
{
	size_t room = jobs_room(d->jobs), most = room + jobs_count(d->jobs);

	if (gather_pending(d)) {
		take_portion(d);
		return;
	}
	if ((!d->more && !d->cur_more) || room <= most / 10)
		return;
	if (d->cur_more)
		scan_cur(d);
	scan_new(d);
}

/* ---- notification ---- */

void
gather_watch(struct daemon *d)
{
	char path[4096];

	d->watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (d->watch < 0) {
		log_put(LOG_WARN, "no inotify: new events are found by the scan only", LOG_END);
		return;
	}
	(void)snprintf(path, sizeof(path), "%s/new", spool_path(d->spool));
	d->watch_new = inotify_add_watch(d->watch, path, IN_MOVED_TO | IN_ONLYDIR);
	(void)snprintf(path, sizeof(path), "%s/ask", spool_path(d->spool));
	d->watch_ask = inotify_add_watch(
	    d->watch, path, IN_MOVED_TO | IN_CLOSE_WRITE | IN_ONLYDIR);
	if (d->watch_new < 0 || d->watch_ask < 0) {
		log_put(LOG_WARN, "no watch: new events are found by the scan only", LOG_END);
		io_close(&d->watch);
	}
}

bool
gather_read(struct daemon *d)
{
	_Alignas(struct inotify_event) char b[16384];
	bool asked = false, took = false, lost = false;
	ssize_t n;

	while ((n = read(d->watch, b, sizeof(b))) > 0) {
		const struct inotify_event *ev;
		struct name parts;

		for (ssize_t at = 0; at < n; at += (ssize_t)(sizeof(*ev) + ev->len)) {
			ev = (const struct inotify_event *)(const void *)(b + at);
			if (ev->mask & IN_Q_OVERFLOW)
				lost = true;
			else if (ev->wd == d->watch_ask)
				asked = true;
			else if (d->more || gather_pending(d) || jobs_room(d->jobs) == 0)
				d->more = true; /* older ones go first */
			else if (ev->len > 0 && name_parse(ev->name, &parts)) {
				take(d, ev->name, clk_wall());
				took = true;
			}
		}
	}
	if (took)
		sync_cur(d);
	if (lost)
		gather_scan(d);
	return asked;
}
