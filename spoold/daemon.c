/*
 * SPDX-License-Identifier: ISC
 *
 * daemon - the loop of spoold; see daemon.h.
 *
 * inotify is a hint: what it misses, the scan finds.
 */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "clk.h"
#include "daemon.h"
#include "evlog.h"
#include "io.h"
#include "log.h"
#include "setup.h"
#include "str.h"
#include "work.h"

#define POOL_THREADS 8
#define CONDEMNED 3 /* interruptions, the last ones alone, that send an event to failed */
#define DUE_LATEST CLK_DAY /* a due time further off is a clock that jumped */
#define PURGE_EVERY CLK_HOUR
#define TICK (5 * CLK_SECOND)  /* the loop looks at its timers at least this often */
#define HURRY (CLK_SECOND / 2) /* the same while a token is being asked for elsewhere */

struct found { /* a name in new, and since when */
	char name[NAME_SIZE];
	int64_t since;
};

struct found_list {
	struct daemon *d;
	struct found *f;
	size_t n, max;
	bool more;
};

struct grant *
daemon_grant(struct daemon *d, const char *account)
{
	for (size_t i = 0; i < d->conf->naccounts; i++)
		if (str_eq(d->grants[i].account->name, account))
			return &d->grants[i];
	return NULL;
}

void
daemon_note(struct daemon *d, const char *step, const char *name, const char *key1,
    const char *value1, const char *key2, const char *value2)
{
	struct err e;

	if (evlog_put(spool_log_dir(d->spool), clk_wall(), step, name, &e, "by", "spoold",
		key1 != NULL ? key1 : "x", value1, key2 != NULL ? key2 : "y", value2,
		LOG_END) != RC_OK)
		log_put(LOG_WARN, "cannot write the spool's log", "reason", e.text, LOG_END);
}

/* ---- events into memory ---- */

/*
 * What retry/ says of an event that was found in cur.  A try that was under
 * way when the daemon ended is an interruption: it runs alone next.
 */
static void
load_note(struct daemon *d, struct job *job)
{
	struct retry *r = &job->retry;
	int64_t now = clk_wall(), wait;
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
	wait = r->due > now ? r->due - now : 0;
	if (wait > DUE_LATEST)
		wait = 0;
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
		daemon_note(d, "taken", name, NULL, NULL, NULL, NULL);
		(void)adopt(d, name, since, io_exists(spool_retry_dir(d->spool), name));
	} else if (rc == RC_EXISTS) {
		count_add(c, COUNT_DOUBLE, 1);
		count_sub(c, COUNT_WAITING, 1);
		daemon_note(d, "duplicate", name, "reason", e.text, NULL, NULL);
		log_put(LOG_INFO, "duplicate", "event", name, "reason", e.text, LOG_END);
	} else if (rc != RC_GONE) {
		log_put(LOG_ERROR, "cannot take an event", "event", name, "reason", e.text,
		    LOG_END);
		d->more = true;
	}
}

static bool
find_new(const struct spool_entry *en, void *arg)
{
	struct found_list *l = arg;
	struct found *f;
	uint64_t size;

	if (!en->is_name || en->foreign)
		return true;
	if (l->n == l->max) {
		l->more = true;
		return false;
	}
	f = &l->f[l->n];
	if (spool_stat(l->d->spool, SPOOL_NEW, en->name, &f->since, &size, NULL) != RC_OK)
		return true;
	(void)!str_copy(f->name, sizeof(f->name), en->name);
	l->n++;
	return true;
}

static int
older_first(const void *a, const void *b)
{
	const struct found *x = a, *y = b;

	return x->since < y->since ? -1 : x->since > y->since;
}

static void
sync_cur(struct daemon *d)
{
	struct err e;

	if (spool_sync(d->spool, SPOOL_CUR, &e) != RC_OK)
		log_put(LOG_ERROR, "cannot sync", "reason", e.text, LOG_END);
}

/* Take everything from new that has room in memory, the oldest first. */
static void
scan_new(struct daemon *d)
{
	struct found_list l = {.d = d, .max = jobs_room(d->jobs)};
	struct err e;

	d->more = false;
	if (l.max == 0 || (l.f = calloc(l.max, sizeof(*l.f))) == NULL) {
		d->more = true;
		return;
	}
	if (spool_walk(d->spool, SPOOL_NEW, find_new, &l, &e) != RC_OK)
		log_put(LOG_ERROR, "cannot look into new", "reason", e.text, LOG_END);
	qsort(l.f, l.n, sizeof(*l.f), older_first);
	for (size_t i = 0; i < l.n; i++)
		take(d, l.f[i].name, l.f[i].since);
	sync_cur(d);
	d->more = d->more || l.more;
	free(l.f);
}

/* An event in cur that nobody told us of: from before a start, or released by an operator. */
static bool
find_cur(const struct spool_entry *en, void *arg)
{
	struct daemon *d = arg;
	struct spool_entry own = *en;
	int64_t since;
	uint64_t size;

	if (!en->is_name)
		return true;
	if (en->foreign && spool_reflag(d->spool, SPOOL_CUR, en, NULL) != RC_OK)
		return true;
	if (spool_stat(d->spool, SPOOL_CUR, own.name, &since, &size, NULL) != RC_OK)
		return true;
	if (!adopt(d, own.name, since, true))
		d->cur_more = true; /* go on: those in memory have to be seen */
	return true;
}

static void
forget_unseen(struct job *job, void *arg)
{
	struct daemon *d = arg;

	if (!job->seen && job->work == NULL && job == jobs_find(d->jobs, job->name) &&
	    job->at != JOBS_NOWHERE)
		jobs_remove(d->jobs, job);
}

static void
unsee(struct job *job, void *arg)
{
	(void)arg;
	job->seen = false;
}

static void
scan_cur(struct daemon *d)
{
	struct err e;

	d->cur_more = false;
	jobs_each(d->jobs, unsee, NULL);
	if (spool_walk(d->spool, SPOOL_CUR, find_cur, d, &e) != RC_OK)
		log_put(LOG_ERROR, "cannot look into cur", "reason", e.text, LOG_END);
	else
		jobs_each(d->jobs, forget_unseen, d);
}

struct tally {
	uint64_t n;
};

static bool
tally_one(const struct spool_entry *en, void *arg)
{
	struct tally *t = arg;

	t->n += en->is_name;
	return true;
}

/* Set the gauges that the others only move. */
static void
measure(struct daemon *d)
{
	struct tally waiting = {0}, rejected = {0};

	if (spool_walk(d->spool, SPOOL_NEW, tally_one, &waiting, NULL) == RC_OK &&
	    spool_walk(d->spool, SPOOL_CUR, tally_one, &waiting, NULL) == RC_OK)
		count_set(spool_counts(d->spool), COUNT_WAITING, waiting.n);
	if (spool_walk(d->spool, SPOOL_REJECTED, tally_one, &rejected, NULL) == RC_OK)
		count_set(spool_counts(d->spool), COUNT_IN_REJECTED, rejected.n);
}

static void
scan(struct daemon *d)
{
	unsigned swept;

	scan_cur(d);
	scan_new(d);
	measure(d);
	if (spool_sweep(d->spool, clk_wall(), &swept, NULL) == RC_OK && swept > 0)
		log_put(LOG_NOTE, "swept what writers left in tmp", LOG_END);
	d->next_scan = clk_mono() + d->conf->daemon.rescan;
}

/* ---- what operators and receivers ask for ---- */

/* An operator removed the note of a waiting event, or made it due: it is due now. */
static void
due_if_noted_so(struct job *job, void *arg)
{
	struct daemon *d = arg;

	struct retry now;
	enum rc rc;

	if (job->work != NULL || job->at == JOBS_NOWHERE || job->due == 0)
		return;
	rc = retry_read(spool_retry_dir(d->spool), job->name, &now, NULL);
	if (rc == RC_GONE)
		memset(&job->retry, 0, sizeof(job->retry));
	else if (rc == RC_OK && now.due == 0)
		job->retry.due = 0;
	else
		return;
	job->due = 0;
	jobs_wait(d->jobs, job);
}

/* A target may be used again: what waits for it is due now. */
static void
due_if_it_waits(struct job *job, void *arg)
{
	const struct daemon *d = arg;

	if (job->waits != d->lifted || job->work != NULL || job->at == JOBS_NOWHERE)
		return;
	job->waits = 0;
	job->due = 0;
	jobs_wait(d->jobs, job);
}

static void
lifted(const char *target, void *arg)
{
	struct daemon *d = arg;

	d->lifted = target_mark(target);
	jobs_each(d->jobs, due_if_it_waits, d);
}

/*
 * Files in ask/ say "look", or whose keys are wanted.  They are removed first, so that none is
 * missed.
 */
static void
answer_asks(struct daemon *d)
{
	const struct dirent *de;
	bool any = false;
	DIR *dir;
	int fd;

	if (io_open_dir(spool_ask_dir(d->spool), ".", &fd, NULL) != RC_OK)
		return;
	if ((dir = fdopendir(fd)) == NULL) {
		io_close(&fd);
		return;
	}
	while ((de = readdir(dir)) != NULL)
		if (!str_eq(de->d_name, ".") && !str_eq(de->d_name, "..") &&
		    io_unlink(spool_ask_dir(d->spool), de->d_name, NULL) == RC_OK &&
		    !issuers_ask(d->issuers, de->d_name))
			any = true;
	(void)closedir(dir);
	if (!any)
		return;
	scan(d);
	targets_look(d->targets, clk_mono(), lifted, d);
	jobs_each(d->jobs, due_if_noted_so, d);
}

/* Is this note of an event that may be tried again, or that a person looks at? */
static bool
note_is_of_use(struct daemon *d, const char *name)
{
	enum spool_box box;
	struct name parts;
	struct err e;
	enum rc rc;

	if (!name_parse(name, &parts))
		return false;
	rc = spool_find(d->spool, name, &box, &e);
	return rc == RC_OK ? box != SPOOL_DONE && box != SPOOL_REJECTED : rc != RC_GONE;
}

/* A crash between an event's last move and the end of its note leaves the note. */
static void
sweep_notes(struct daemon *d)
{
	const struct dirent *de;
	DIR *dir;
	int fd;

	if (io_open_dir(spool_retry_dir(d->spool), ".", &fd, NULL) != RC_OK)
		return;
	if ((dir = fdopendir(fd)) == NULL) {
		io_close(&fd);
		return;
	}
	while ((de = readdir(dir)) != NULL)
		if (!str_eq(de->d_name, ".") && !str_eq(de->d_name, "..") &&
		    !note_is_of_use(d, de->d_name))
			(void)!io_unlink(spool_retry_dir(d->spool), de->d_name, NULL);
	(void)closedir(dir);
}

static void
watch_open(struct daemon *d)
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

/* Take the events that inotify names; whatever it cannot name is left to a scan. */
static void
watch_read(struct daemon *d)
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
			else if (jobs_room(d->jobs) == 0)
				d->more = true;
			else if (ev->len > 0 && name_parse(ev->name, &parts)) {
				take(d, ev->name, clk_wall());
				took = true;
			}
		}
	}
	if (took)
		sync_cur(d);
	if (lost)
		scan(d);
	if (asked)
		answer_asks(d);
}

/* ---- retention ---- */

struct purge {
	struct daemon *d;
	enum spool_box box;
	int64_t before;
	unsigned n;
};

static bool
purge_one(const struct spool_entry *en, void *arg)
{
	struct purge *p = arg;
	struct spool_item it;
	int64_t since;
	uint64_t size;

	if (!en->is_name || en->foreign ||
	    spool_stat(p->d->spool, p->box, en->name, &since, &size, NULL) != RC_OK ||
	    since >= p->before || spool_lock(p->d->spool, p->box, en->name, &it, NULL) != RC_OK)
		return true;
	if (spool_remove(p->d->spool, &it, NULL) == RC_OK)
		p->n++;
	spool_unlock(&it);
	return true;
}

static void
purge(struct daemon *d)
{
	static const enum spool_box boxes[] = {SPOOL_DONE, SPOOL_REJECTED};
	int64_t before = clk_wall() - d->conf->spool.retention;
	struct err e;

	for (size_t i = 0; i < 2; i++) {
		struct purge p = {.d = d, .box = boxes[i], .before = before};
		char n[16];

		if (spool_walk(d->spool, boxes[i], purge_one, &p, &e) != RC_OK)
			log_put(LOG_ERROR, "cannot purge", "reason", e.text, LOG_END);
		(void)snprintf(n, sizeof(n), "%u", p.n);
		if (p.n > 0)
			log_put(LOG_INFO, "purged", "folder", spool_box_name(boxes[i]),
			    "events", n, LOG_END);
	}
	if (evlog_purge(spool_log_dir(d->spool), before, &e) != RC_OK)
		log_put(LOG_ERROR, "cannot purge the log", "reason", e.text, LOG_END);
	d->next_purge = clk_mono() + PURGE_EVERY;
}

/* ---- the loop ---- */

static void
condemn(struct daemon *d, struct job *job)
{
	struct spool_item it;
	struct err e;
	enum rc rc;

	jobs_begin(d->jobs, job);
	(void)snprintf(job->retry.state, sizeof(job->retry.state), "failed");
	(void)snprintf(job->retry.reason, sizeof(job->retry.reason),
	    "the daemon ended %u times while it worked on this event",
	    job->retry.interruptions);
	if ((rc = spool_lock(d->spool, SPOOL_CUR, job->name, &it, &e)) == RC_OK &&
	    (rc = retry_write(spool_retry_dir(d->spool), job->name, &job->retry, &e)) == RC_OK)
		rc = spool_move(d->spool, &it, SPOOL_FAILED, &e);
	spool_unlock(&it);
	if (rc != RC_OK && rc != RC_EXISTS && rc != RC_GONE) {
		log_put(LOG_ERROR, "cannot move an event", "event", job->name, "reason", e.text,
		    LOG_END);
		job->due = clk_mono() + CLK_MINUTE;
		jobs_wait(d->jobs, job);
		return;
	}
	count_add(spool_counts(d->spool), COUNT_FAILED, 1);
	count_sub(spool_counts(d->spool), COUNT_WAITING, 1);
	daemon_note(d, "failed", job->name, "reason", job->retry.reason, NULL, NULL);
	log_put(LOG_ERROR, "failed", "event", job->name, "reason", job->retry.reason, LOG_END);
	jobs_remove(d->jobs, job);
}

/* Start what is due.  An event that was interrupted once runs by itself. */
static void
start_due(struct daemon *d)
{
	int64_t now = clk_mono();
	struct job *job;

	while (d->alone == NULL && d->running < d->conf->daemon.concurrency &&
	       (job = jobs_first(d->jobs)) != NULL && job->due <= now) {
		if (job->retry.interruptions >= CONDEMNED) {
			condemn(d, job);
			continue;
		}
		if (job->retry.interruptions > 0) {
			if (d->running > 0)
				return;
			d->alone = job;
		}
		work_start(d, job);
	}
}

/* How long may the loop sleep? */
static int
next_wait(const struct daemon *d)
{
	const struct job *job = jobs_first(d->jobs);
	int64_t now = clk_mono(), wait = TICK;

	if (job != NULL && d->alone == NULL && d->running < d->conf->daemon.concurrency &&
	    !(job->retry.interruptions > 0 && d->running > 0) && job->due - now < wait)
		wait = job->due - now;
	if (d->next_scan - now < wait)
		wait = d->next_scan - now;
	if (issuers_due(d->issuers) - now < wait)
		wait = issuers_due(d->issuers) - now;
	for (size_t i = 0; i < d->conf->naccounts; i++)
		if (d->grants[i].again != 0 && wait > HURRY)
			wait = HURRY;
	return wait > 0 ? (int)wait : 0;
}

static void
timers(struct daemon *d)
{
	int64_t now = clk_mono();

	for (size_t i = 0; i < d->conf->naccounts; i++)
		grant_tick(&d->grants[i], now);
	issuers_tick(d->issuers, now);
	if (now >= d->next_scan) {
		answer_asks(d);
		scan(d);
		targets_look(d->targets, now, lifted, d);
	} else if ((d->more || d->cur_more) &&
		   jobs_room(d->jobs) > d->conf->daemon.active_limit / 10) {
		if (d->cur_more)
			scan_cur(d);
		scan_new(d);
	}
	if (now >= d->next_purge)
		purge(d);
}

static void
loop(struct daemon *d)
{
	struct err e;

	while (!d->stopping) {
		struct pollfd fds[] = {{.fd = d->stop, .events = POLLIN},
		    {.fd = pool_fd(d->pool), .events = POLLIN},
		    {.fd = d->watch, .events = POLLIN}};
		unsigned n = d->watch >= 0 ? 3 : 2;

		start_due(d);
		if (http_wait(d->http, fds, n, next_wait(d), &e) != RC_OK)
			log_put(LOG_TRACE, "wait", "reason", e.text, LOG_END);
		if (fds[0].revents != 0)
			d->stopping = true;
		pool_reap(d->pool);
		if (n == 3 && fds[2].revents != 0)
			watch_read(d);
		timers(d);
	}
}

/* Let go of the network, wait for the disk, and leave notes that say so. */
static void
wind_up(struct daemon *d)
{
	work_stop(d);
	while (d->running > 0) {
		struct pollfd fd = {.fd = pool_fd(d->pool), .events = POLLIN};

		(void)poll(&fd, 1, -1);
		pool_reap(d->pool);
		work_stop(d);
	}
}

static enum rc
open_grants(struct daemon *d, struct err *e)
{
	enum rc rc;
	int state;

	if ((d->grants = calloc(d->conf->naccounts, sizeof(*d->grants))) == NULL)
		return err_set(e, RC_LATER, "no memory");
	for (size_t i = 0; i < d->conf->naccounts; i++)
		d->grants[i] = (struct grant){.dir = -1, .lock = -1};
	if ((rc = io_make_dir(AT_FDCWD, d->conf->daemon.state, 0750, &state, e)) != RC_OK)
		return rc;
	for (size_t i = 0; i < d->conf->naccounts && rc == RC_OK; i++)
		rc = grant_open(&d->grants[i], d, &d->conf->accounts[i], state, e);
	io_close(&state);
	return rc;
}

static enum rc
open_spool(struct daemon *d, struct err *e)
{
	struct spool_opt opt;
	enum rc rc;

	if ((rc = setup_spool_opt(d->conf, &opt, e)) != RC_OK ||
	    (rc = spool_make(&opt, e)) != RC_OK ||
	    (rc = spool_open(&opt, &d->spool, e)) != RC_OK ||
	    (rc = spool_lock_daemon(d->spool, e)) != RC_OK)
		return rc;
	return spool_recover(d->spool, clk_wall(), e);
}

static enum rc
open_all(struct daemon *d, struct err *e)
{
	enum rc rc;

	if ((rc = open_spool(d, e)) != RC_OK || (rc = open_grants(d, e)) != RC_OK ||
	    (rc = store_open(d->conf->daemon.store, &d->store, e)) != RC_OK ||
	    (rc = http_new(PACKAGE_NAME "/" PACKAGE_VERSION, &d->http, e)) != RC_OK ||
	    (rc = pool_new(POOL_THREADS, &d->pool, e)) != RC_OK ||
	    (rc = issuers_open(d, &d->issuers, e)) != RC_OK)
		return rc;
	d->jobs = jobs_new((size_t)d->conf->daemon.active_limit);
	d->targets = targets_new();
	if (d->jobs == NULL || d->targets == NULL)
		return err_set(e, RC_LATER, "no memory");
	watch_open(d);
	return targets_keep(d->targets, spool_dir(d->spool), clk_mono(), e);
}

static void
close_all(struct daemon *d)
{
	pool_free(&d->pool);
	for (size_t i = 0; d->grants != NULL && i < d->conf->naccounts; i++)
		grant_close(&d->grants[i]);
	free(d->grants);
	issuers_close(&d->issuers);
	http_free(&d->http);
	jobs_free(&d->jobs);
	targets_free(&d->targets);
	store_close(&d->store);
	io_close(&d->watch);
	spool_close(&d->spool);
}

enum rc
daemon_run(const struct conf *conf, int stop, struct err *e)
{
	struct daemon d = {.conf = conf, .stop = stop, .watch = -1};
	enum rc rc;

	if ((rc = open_all(&d, e)) == RC_OK) {
		log_put(LOG_NOTE, "started", "spool", conf->spool.directory, LOG_END);
		sweep_notes(&d);
		answer_asks(&d);
		scan(&d);
		purge(&d);
		loop(&d);
		wind_up(&d);
		log_put(LOG_NOTE, "stopped", LOG_END);
	}
	close_all(&d);
	return rc;
}
