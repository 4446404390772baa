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
#include <unistd.h>

#include "clk.h"
#include "daemon.h"
#include "evlog.h"
#include "gather.h"
#include "io.h"
#include "log.h"
#include "notify.h"
#include "park.h"
#include "purge.h"
#include "setup.h"
#include "share.h"
#include "str.h"
#include "work.h"

#define POOL_THREADS 8
#define CONDEMNED 3 /* interruptions, the last ones alone, that send an event to failed */
#define STARTS 64   /* tries begun before the network is looked at again */
#define LONGEST (24 * CLK_DAY)    /* fits an int */
#define OPEN_MIN (5 * CLK_SECOND) /* circuits: open at most so long at first, and then */
#define OPEN_MAX (5 * CLK_MINUTE)

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
	job->target = 0;
	jobs_wait(d->jobs, job);
	/* Whoever asks for this has perhaps mended what was wrong. */
	targets_resume(d->targets, clk_mono());
}

/*
 * Files in ask/ say "look", or whose keys are wanted.  They are removed first, so that none is
 * missed.
 */
static void
answer_asks(struct daemon *d)
{
	const struct dirent *de;
	bool any = false, erased = false;
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
		    !(str_begins(de->d_name, "erased.") && (erased = true)) &&
		    !issuers_ask(d->issuers, de->d_name) &&
		    !reconcile_ask(d->reconciler, de->d_name))
			any = true;
	(void)closedir(dir);
	if (erased)
		report_erased(d->report);
	if (!any)
		return;
	gather_scan(d);
	targets_look(d->targets, clk_mono());
	jobs_each(d->jobs, due_if_noted_so, d);
	alarms_look(d->alarms);
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
	d->in_box[SPOOL_FAILED]++;
	report_state(d->report, job->name, "failed");
	count_sub(spool_counts(d->spool), COUNT_WAITING, 1);
	daemon_note(d, "failed", job->name, "reason", job->retry.reason, NULL, NULL);
	log_put(LOG_ERROR, "failed", "event", job->name, "reason", job->retry.reason, LOG_END);
	jobs_remove(d->jobs, job);
}

/* May another try begin now, and this one? */
static bool
has_turn(const struct daemon *d, const struct job *job, int64_t now)
{
	return d->alone == NULL &&
	       d->running - d->lanes.running < d->conf->daemon.concurrency && job != NULL &&
	       job->due <= now && (job->retry.interruptions == 0 || d->running == 0);
}

/* Start what is due.  An event that was interrupted once runs by itself. */
static void
start_due(struct daemon *d)
{
	int64_t now = clk_mono();
	struct job *job;

	for (unsigned n = 0; n < STARTS && has_turn(d, job = jobs_first(d->jobs), now);) {
		if (!park_pass(d, job, now) || share_waits(d, job))
			continue;
		n++;
		if (job->retry.interruptions >= CONDEMNED) {
			condemn(d, job);
			continue;
		}
		if (job->retry.interruptions > 0)
			d->alone = job;
		work_start(d, job);
	}
}

/* How long may the loop sleep?  Until the next thing is due, and no shorter. */
static int
next_wait(const struct daemon *d)
{
	const struct job *job = jobs_first(d->jobs);
	int64_t now = clk_mono(), next = d->next_scan;

	if (job != NULL && has_turn(d, job, job->due) && job->due < next)
		next = job->due;
	if (purge_next(d) < next)
		next = purge_next(d);
	if (park_next(d) < next)
		next = park_next(d);
	if (issuers_due(d->issuers) < next)
		next = issuers_due(d->issuers);
	if (reconcile_due(d->reconciler) < next)
		next = reconcile_due(d->reconciler);
	if (notify_due() < next)
		next = notify_due();
	if (report_due(d->report) < next)
		next = report_due(d->report);
	for (size_t i = 0; i < d->conf->naccounts; i++)
		if (d->grants[i].again != 0 && d->grants[i].again < next)
			next = d->grants[i].again;
	if (gather_pending(d))
		return 0;
	if (next - now > LONGEST)
		return (int)LONGEST;
	return next > now ? (int)(next - now) : 0;
}

static void
timers(struct daemon *d)
{
	int64_t now = clk_mono();

	notify_tick(now);
	for (size_t i = 0; i < d->conf->naccounts; i++)
		grant_tick(&d->grants[i], now);
	issuers_tick(d->issuers, now);
	reconcile_tick(d->reconciler, now);
	if (now >= d->next_scan) {
		answer_asks(d);
		gather_scan(d);
		targets_look(d->targets, now);
		for (size_t i = 0; i < d->conf->naccounts; i++)
			grant_look(&d->grants[i]);
		alarms_look(d->alarms);
	} else {
		gather_more(d);
	}
	if (now >= purge_next(d))
		purge_start(d);
	park_tick(d, now);
	report_tick(d->report, clk_mono());
}

/* Asked for another configuration: a mistake in it is said, and changes nothing. */
static void
reload(struct daemon *d)
{
	struct daemon_reload *r = d->reload;
	char bytes[64];
	struct err e;

	while (read(r->fd, bytes, sizeof(bytes)) > 0)
		;
	notify_reloading();
	if (r->read(r->file, &r->fresh, &e) == RC_OK) {
		d->stopping = true;
		return;
	}
	log_put(
	    LOG_ERROR, "not reloaded, the old configuration stays", "reason", e.text, LOG_END);
	notify_ready("the configuration was not read again: it has a mistake");
}

static void
loop(struct daemon *d)
{
	struct err e;

	while (!d->stopping) {
		struct pollfd fds[] = {{.fd = d->stop, .events = POLLIN},
		    {.fd = pool_fd(d->pool), .events = POLLIN},
		    {.fd = children_fd(d->children), .events = POLLIN},
		    {.fd = d->reload != NULL ? d->reload->fd : d->stop, .events = POLLIN},
		    {.fd = d->watch, .events = POLLIN}};
		unsigned n = d->watch >= 0 ? 5 : 4;

		lane_tick(d);
		start_due(d);
		if (http_wait(d->http, fds, n, next_wait(d), &e) != RC_OK)
			log_put(LOG_TRACE, "wait", "reason", e.text, LOG_END);
		if (fds[0].revents != 0)
			d->stopping = true;
		else if (fds[3].revents != 0)
			reload(d);
		pool_reap(d->pool);
		children_reap(d->children);
		if (n == 5 && fds[4].revents != 0 && gather_read(d))
			answer_asks(d);
		timers(d);
	}
}

/* How long may wind_up wait for programs, -1 as long as it takes, but for signs of life? */
static int
wind_up_wait(int64_t left, bool told)
{
	int64_t now = clk_mono();

	notify_tick(now);
	if (notify_due() != INT64_MAX && (told || notify_due() - now < left))
		return (int)(notify_due() - now);
	return told ? -1 : (int)left;
}

/*
 * Let go of the network, wait for the disk and a while for programs, and leave notes that say
 * so.
 */
static void
wind_up(struct daemon *d)
{
	int64_t end = clk_mono() + d->conf->daemon.stop_grace;
	bool told = false;

	work_stop(d);
	purge_stop(d);
	while (d->running > 0 || alarms_telling(d->alarms)) {
		struct pollfd fds[] = {{.fd = pool_fd(d->pool), .events = POLLIN},
		    {.fd = children_fd(d->children), .events = POLLIN}};
		int64_t left = end - clk_mono();

		if (!told && (left <= 0 || children_running(d->children) == 0)) {
			children_stop(d->children);
			told = true;
		}
		(void)poll(fds, 2, wind_up_wait(left, told));
		pool_reap(d->pool);
		children_reap(d->children);
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

/* Circuits open no longer than a failed try waits. */
static void
pace(struct daemon *d)
{
	int64_t min = d->conf->daemon.retry_min, max = d->conf->daemon.retry_max;

	targets_pace(
	    d->targets, min < OPEN_MIN ? min : OPEN_MIN, max < OPEN_MAX ? max : OPEN_MAX);
}

static enum rc
open_all(struct daemon *d, struct err *e)
{
	enum rc rc;

	/* First of all: the keeper is to have no lock, no connection and no thread of ours. */
	if ((rc = children_new(&d->children, e)) != RC_OK || (rc = open_spool(d, e)) != RC_OK ||
	    (rc = open_grants(d, e)) != RC_OK ||
	    (rc = store_open(d->conf->daemon.store, &d->store, e)) != RC_OK ||
	    (rc = http_new(PACKAGE_NAME "/" PACKAGE_VERSION, &d->http, e)) != RC_OK ||
	    (rc = pool_new(POOL_THREADS, &d->pool, e)) != RC_OK ||
	    (rc = issuers_open(d, &d->issuers, e)) != RC_OK ||
	    (rc = reconcile_open(d, &d->reconciler, e)) != RC_OK)
		return rc;
	http_bandwidth(d->http, d->conf->daemon.bandwidth);
	d->jobs = jobs_new((size_t)d->conf->daemon.active_limit);
	d->targets = targets_new();
	d->shares = shares_new();
	if (d->jobs == NULL || d->targets == NULL || d->shares == NULL)
		return err_set(e, RC_LATER, "no memory");
	pace(d);
	gather_watch(d);
	if ((rc = targets_keep(d->targets, spool_dir(d->spool), clk_mono(), e)) != RC_OK)
		return rc;
	if ((rc = alarms_open(d, &d->alarms, e)) != RC_OK ||
	    (rc = report_open(d, &d->report, e)) != RC_OK)
		return rc;
	/* The credentials may have been changed while nobody looked. */
	for (size_t i = 0; i < d->conf->naccounts; i++)
		target_resume(grant_target(&d->grants[i]), clk_mono());
	return RC_OK;
}

static void
close_all(struct daemon *d)
{
	children_free(&d->children);
	alarms_close(&d->alarms);
	report_close(&d->report);
	pool_free(&d->pool);
	purge_free(d);
	for (size_t i = 0; d->grants != NULL && i < d->conf->naccounts; i++)
		grant_close(&d->grants[i]);
	free(d->grants);
	issuers_close(&d->issuers);
	reconcile_close(&d->reconciler);
	http_free(&d->http);
	jobs_free(&d->jobs);
	targets_free(&d->targets);
	shares_free(&d->shares);
	gather_free(d);
	store_close(&d->store);
	io_close(&d->watch);
	spool_close(&d->spool);
}

enum rc
daemon_run(const struct conf *conf, int stop, struct daemon_reload *r, struct err *e)
{
	struct daemon d = {.conf = conf, .stop = stop, .reload = r, .watch = -1};
	const bool again = r != NULL && r->again;
	enum rc rc;

	if ((rc = open_all(&d, e)) == RC_OK) {
		if (again)
			targets_reload(d.targets, clk_mono());
		log_put(LOG_NOTE, again ? "reloaded" : "started", "spool",
		    conf->spool.directory, LOG_END);
		sweep_notes(&d);
		answer_asks(&d);
		gather_scan(&d);
		alarms_look(d.alarms);
		purge_start(&d);
		notify_ready(again ? "reloaded" : "started");
		loop(&d);
		if (r == NULL || r->fresh == NULL)
			notify_stopping();
		wind_up(&d);
		report_write(d.report, r != NULL && r->fresh != NULL);
		log_put(LOG_NOTE, "stopped", LOG_END);
	}
	close_all(&d);
	return rc;
}
