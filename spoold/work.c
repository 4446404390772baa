/*
 * SPDX-License-Identifier: ISC
 *
 * work - one try of one event: how it begins, and the ways it ends; see work.h.
 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clk.h"
#include "document.h"
#include "handover.h"
#include "lane.h"
#include "log.h"
#include "park.h"
#include "schedule.h"
#include "share.h"
#include "str.h"
#include "verdict.h"
#include "work.h"

#define FILE_MAX (REC_HEAD_MAX + (size_t)(64 << 20)) /* a record with the largest max_body */
#define UNCONFIGURED (10 * CLK_MINUTE) /* wait for an account that is not configured */
#define DISK_WAIT (30 * CLK_SECOND)    /* wait when our own disk fails */

static void
work_link(struct work *w, struct daemon *d, struct job *job)
{
	w->d = d;
	w->job = job;
	w->item = SPOOL_NO_ITEM;
	w->raw = BUF_INIT(FILE_MAX);
	w->token = BUF_SECRET(65536);
	w->record = BUF_INIT(0);
	w->doc.fd = -1;
	w->started = clk_mono();
	w->next = d->first;
	w->prev = &d->first;
	if (w->next != NULL)
		w->next->prev = &w->next;
	d->first = w;
	d->running++;
	w->blocked = job->behind;
	job->behind = (struct job_list){NULL, NULL};
	job->work = w;
}

/* Let go of everything but the job; what waited for this record may go on. */
static void
work_free(struct work *w)
{
	struct target *t = target_by_id(w->d->targets, w->probe);
	struct daemon *d = w->d;

	if (t != NULL)
		target_release(t); /* it came to no answer */

	*w->prev = w->next;
	if (w->next != NULL)
		w->next->prev = w->prev;
	d->running--;
	lane_leave(w);
	share_end(w);
	if (d->alone == w->job)
		d->alone = NULL;
	w->job->work = NULL;
	if (w->doc.fd >= 0 || w->doc.tmp[0] != '\0')
		store_abort(d->store, &w->doc);
	handover_free(w);
	spool_unlock(&w->item);
	event_free(&w->ev);
	buf_free(&w->raw);
	buf_free(&w->record);
	buf_wipe(&w->token);
	explicit_bzero(w->link, sizeof(w->link));
	free(w);
}

void
work_on_pool(struct work *w, void (*work)(void *), void (*done)(void *))
{
	w->on_pool = true;
	err_clear(&w->pool_err);
	w->pw = (struct pool_work){.work = work, .done = done, .arg = w};
	pool_put(w->d->pool, &w->pw);
}

/* Write the note and let go; the job is for the caller to put among the waiting.  wait -1:
 * nobody knows how long. */
static void
note_wait(struct work *w, int64_t wait, const char *why)
{
	struct daemon *d = w->d;
	struct job *job = w->job;
	struct retry *r = &job->retry;
	char span[CLK_TEXT];
	struct err e;

	(void)snprintf(r->state, sizeof(r->state), "waiting");
	(void)snprintf(r->reason, sizeof(r->reason), "%s", why);
	r->written = clk_wall();
	/* Who waits for nobody knows how long asks anew after a restart. */
	r->due = r->written + (wait < 0 ? 0 : wait);
	job->due = clk_mono() + (wait < 0 ? 0 : wait);
	w->put_off = true;
	if (retry_write(spool_retry_dir(d->spool), job->name, r, &e) != RC_OK)
		log_put(LOG_ERROR, "cannot write a note", "event", job->name, "reason", e.text,
		    LOG_END);
	span[0] = '\0';
	if (wait >= 0)
		clk_span(wait, span);
	daemon_note(d, "later", job->name, "reason", why, "again_in", span);
	report_work(w, "waiting");
	log_put(LOG_NOTE, "later", "event", job->name, "step", r->step, "reason", why,
	    "again_in", span, LOG_END);
	work_free(w);
}

/* Take the try back that was counted before it was made. */
static void
put_off(struct retry *r)
{
	if (r->tries > 0)
		r->tries--;
	r->puts_off++;
	r->interruptions = 0;
}

void
work_wait(struct work *w, int64_t wait, const char *why)
{
	struct daemon *d = w->d;
	struct job *job = w->job;

	put_off(&job->retry);
	note_wait(w, wait, why);
	jobs_wait(d->jobs, job);
}

void
work_wait_for(struct work *w, struct target *t, const char *why)
{
	int64_t now = clk_mono(), wait = -1;
	struct daemon *d = w->d;
	struct job *job = w->job;

	if (t->open_until > now && t->open_until != TARGET_UNTIL_LIFTED)
		wait = t->open_until - now;
	put_off(&job->retry);
	w->waits_for = t->id;
	note_wait(w, wait, why);
	park_on(d, job, t);
}

void
work_disk(struct work *w, const char *disk, const struct err *why)
{
	struct target *t;
	bool opened;

	if (!verdict_no_room(why->sys)) {
		if (str_eq(disk, PARK_SPOOL))
			work_wait(w, DISK_WAIT, why->text);
		else
			work_retry(w, -1, why->text);
		return;
	}
	t = target_get(w->d->targets, disk, clk_mono());
	target_refuse(t, clk_mono(), -1, why->text, &opened);
	if (opened)
		log_put(
		    LOG_ERROR, "target is down", "target", disk, "reason", why->text, LOG_END);
	work_wait_for(w, t, why->text);
}

/* Our own disk takes writes again. */
static void
disk_works(struct daemon *d, const char *disk)
{
	if (target_up(target_get(d->targets, disk, clk_mono())))
		log_put(LOG_NOTE, "target is up again", "target", disk, LOG_END);
}

void
work_retry(struct work *w, int64_t retry_after, const char *why)
{
	const struct conf *c = w->d->conf;
	struct retry *r = &w->job->retry;
	struct daemon *d = w->d;
	struct job *job = w->job;
	char text[RETRY_TEXT];
	int64_t wait;

	r->interruptions = 0;
	r->age += clk_mono() - w->started;
	if (r->tries >= c->daemon.tries || r->age > c->daemon.retry_age) {
		(void)snprintf(
		    text, sizeof(text), "given up after %u tries: %.200s", r->tries, why);
		work_finish(w, SPOOL_FAILED, text);
		return;
	}
	count_add(spool_counts(d->spool), COUNT_RETRIED, 1);
	wait = schedule_wait(r->tries, c->daemon.retry_min, c->daemon.retry_max, retry_after);
	/* What Retry-After asks for is no failure of ours. */
	r->age += wait < c->daemon.retry_max ? wait : c->daemon.retry_max;
	job->target = 0;
	note_wait(w, wait, why);
	jobs_wait(d->jobs, job);
}

/* The note stays with a failed event, to tell a person why; any other end removes it. */
static void
move_on_pool(void *arg)
{
	struct work *w = arg;
	int notes = spool_retry_dir(w->d->spool);
	struct retry r = w->job->retry;
	struct err e;

	if (w->to == SPOOL_FAILED) {
		(void)snprintf(r.state, sizeof(r.state), "failed");
		(void)snprintf(r.reason, sizeof(r.reason), "%s", w->why);
		r.due = 0;
		if (retry_write(notes, w->job->name, &r, &e) != RC_OK)
			log_put(LOG_ERROR, "cannot write a note", "event", w->job->name,
			    "reason", e.text, LOG_END);
	}
	w->pool_rc = spool_move(w->d->spool, &w->item, w->to, &w->pool_err);
	if ((w->pool_rc == RC_OK || w->pool_rc == RC_EXISTS) && w->to != SPOOL_FAILED)
		(void)!retry_remove(notes, w->job->name, NULL);
}

static void
moved(void *arg)
{
	struct work *w = arg;
	struct daemon *d = w->d;
	struct job *job = w->job;
	struct counts *c = spool_counts(d->spool);
	char took[24];

	w->on_pool = false;
	if (w->pool_rc != RC_OK && w->pool_rc != RC_EXISTS && w->pool_rc != RC_GONE) {
		work_disk(w, PARK_SPOOL, &w->pool_err);
		return;
	}
	if (w->to == SPOOL_DONE)
		disk_works(d, PARK_STORE);
	(void)snprintf(took, sizeof(took), "%" PRId64, clk_mono() - w->started);
	count_sub(c, COUNT_WAITING, 1);
	count_add(c, w->to == SPOOL_DONE ? COUNT_DONE : COUNT_FAILED, 1);
	d->in_box[w->to]++;
	if (w->to == SPOOL_REJECTED)
		count_add(c, COUNT_IN_REJECTED, 1);
	daemon_note(d, spool_box_name(w->to), job->name, "reason", w->why, "ms", took);
	report_work(w, w->pool_rc == RC_OK ? spool_box_name(w->to) : "moved");
	log_put(w->to == SPOOL_DONE ? LOG_INFO : LOG_WARN, spool_box_name(w->to), "event",
	    job->name, "reason", w->why, "ms", took, LOG_END);
	work_free(w);
	jobs_remove(d->jobs, job);
}

void
work_finish(struct work *w, enum spool_box to, const char *why)
{
	/* What a person has to look at after a call is so for all whom it serves. */
	if (to == SPOOL_FAILED && w->called.order != 0 && w->result == SHARE_NOTHING)
		share_result(w, SHARE_NEVER, why);
	w->to = to;
	(void)snprintf(w->why, sizeof(w->why), "%s", why);
	work_on_pool(w, move_on_pool, moved);
}

/* The note as it was before this try: what has not been tried has none. */
static void
uncount(struct work *w)
{
	int notes = spool_retry_dir(w->d->spool);
	struct job *job = w->job;
	struct retry *r = &job->retry;

	if (r->tries > 0)
		r->tries--;
	(void)snprintf(r->state, sizeof(r->state), "waiting");
	if (r->tries > 0 || r->puts_off > 0 || r->interruptions > 0 || handover_is_at(w)) {
		(void)!retry_write(notes, job->name, r, NULL);
		return;
	}
	r->first = 0;
	(void)!retry_remove(notes, job->name, NULL);
}

/* Another try for the same record is under way: this one goes on when that has ended. */
static bool
block(struct work *w)
{
	struct work *o = share_other(w);
	struct job *job = w->job;
	struct job_list with = w->blocked;

	if (o == NULL)
		return false;
	w->blocked = (struct job_list){NULL, NULL};
	uncount(w);
	report_work(w, "waiting");
	work_free(w);
	share_join(o, job, &with);
	return true;
}

/* Read the file and what it says.  false: the try has ended. */
static bool
load(struct work *w)
{
	struct json *doc = NULL;
	struct name parts;
	char text[ERR_TEXT + 32];
	struct err e;
	enum rc rc;

	if ((rc = spool_read(&w->item, &w->raw, &w->rec, &e)) != RC_OK) {
		(void)snprintf(text, sizeof(text), "cannot be read: %s", e.text);
		if (rc == RC_BAD)
			work_finish(w, SPOOL_REJECTED, text);
		else
			work_wait(w, DISK_WAIT, text);
		return false;
	}
	if (w->rec.erased != 0) {
		work_finish(w, SPOOL_DONE, "it was erased");
		return false;
	}
	rc = json_parse(w->rec.body, w->rec.body_len, &doc, &e);
	if (rc == RC_OK && (rc = event_read(doc, &w->ev, &e)) == RC_OK)
		api_read_object(w->d->conf, doc, &w->ev);
	json_free(&doc);
	if (rc == RC_LATER) {
		work_wait(w, DISK_WAIT, e.text);
		return false;
	}
	if (rc != RC_OK) {
		work_finish(w, SPOOL_FAILED, e.text);
		return false;
	}
	if (!name_parse(w->job->name, &parts)) {
		work_finish(w, SPOOL_REJECTED, "its name is none");
		return false;
	}
	w->grant = daemon_grant(w->d, parts.account);
	report_work(w, "working");
	if (w->rec.source == REC_WEBHOOK) {
		reconcile_saw(w->d->reconciler, parts.account, w->ev.number);
		alarms_saw(w->d->alarms, parts.account, w->rec.received);
	}
	if (api_object(&w->ev, w->object, &e) != RC_OK)
		w->object[0] = '\0';
	(void)snprintf(w->key, sizeof(w->key), "%s/%s/%s", parts.account, w->ev.category,
	    w->object[0] != '\0' ? w->object : w->job->name);
	return true;
}

/* Count the try before it is made; an event that cannot be counted is not tried. */
static bool
begin_note(struct work *w)
{
	struct retry *r = &w->job->retry;
	struct err e;

	r->tries++;
	if (r->first == 0)
		r->first = clk_wall();
	if (r->step[0] == '\0')
		(void)snprintf(r->step, sizeof(r->step), "callback");
	(void)snprintf(r->state, sizeof(r->state), "running");
	if (retry_write(spool_retry_dir(w->d->spool), w->job->name, r, &e) != RC_OK) {
		work_disk(w, PARK_SPOOL, &e);
		return false;
	}
	disk_works(w->d, PARK_SPOOL);
	return true;
}

/* The lock could not be had: the file is gone, or an operator is at it. */
static void
not_ours(struct work *w, enum rc rc)
{
	struct daemon *d = w->d;
	struct job *job = w->job;

	work_free(w);
	if (rc == RC_GONE) {
		report_state(d->report, job->name, "moved");
		jobs_remove(d->jobs, job);
		return;
	}
	job->due = clk_mono() + CLK_SECOND;
	jobs_wait(d->jobs, job);
}

void
work_start(struct daemon *d, struct job *job)
{
	struct work *w = calloc(1, sizeof(*w));
	struct err e;
	enum rc rc;

	jobs_begin(d->jobs, job);
	if (w == NULL) {
		if (d->alone == job)
			d->alone = NULL;
		job->due = clk_mono() + CLK_SECOND;
		jobs_wait(d->jobs, job);
		return;
	}
	if (!lane_enter(d, job)) {
		free(w);
		return;
	}
	work_link(w, d, job);
	if ((rc = spool_lock(d->spool, SPOOL_CUR, job->name, &w->item, &e)) != RC_OK) {
		not_ours(w, rc);
		return;
	}
	/* The note first: what the event says may be what ends the daemon. */
	if (!begin_note(w) || !load(w) || block(w))
		return;
	if (w->grant == NULL)
		work_wait(w, UNCONFIGURED, "its account is not in the configuration");
	else if (str_eq(w->ev.category, "Other") || str_eq(w->ev.type, "Other"))
		work_finish(
		    w, SPOOL_FAILED, "its kind could not be found: a person has to look");
	else if (w->object[0] == '\0')
		work_finish(w, SPOOL_FAILED, "the event does not say what it is about");
	else
		work_first_step(w);
}

void
work_give_back(struct work *w)
{
	struct daemon *d = w->d;
	struct job *job = w->job;

	document_stop(w);
	if (w->call != NULL)
		http_cancel(d->http, &w->call);
	if (w->grant != NULL)
		grant_forget(w->grant, w);
	uncount(w);
	report_work(w, "waiting");
	work_free(w);
	jobs_wait(d->jobs, job);
}

void
work_stop(struct daemon *d)
{
	struct work *w, *next;

	for (w = d->first; w != NULL; w = next) {
		next = w->next;
		if (!w->on_pool && !handover_is_running(w))
			work_give_back(w);
	}
}
