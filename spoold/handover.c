/*
 * SPDX-License-Identifier: ISC
 *
 * handover - the step that gives an event to the firm's own system; see handover.h.
 */
#include "config.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clk.h"
#include "forward.h"
#include "handed.h"
#include "handover.h"
#include "hook.h"
#include "io.h"
#include "json.h"
#include "log.h"
#include "sign.h"
#include "step.h"
#include "str.h"

#define OURS_WAIT (30 * CLK_SECOND) /* when our side could not */

/* In this order: who hears of a document by the forward has it by then. */
enum part { PART_HOOK, PART_PUT, PART_FORWARD, PART_END };

struct handover {
	struct hand hand;
	enum part part;
	char key[NAME_KEY];
	char why[RETRY_TEXT];
	struct child *child;
	struct forward forward;
	struct http_upload upload; /* the document, open; fd -1: not */
	char url[HTTP_URL];
	enum handed ready; /* DONE: the pool made it ready to be sent; else the end of it */
	int64_t started;
};

static void begin_part(struct work *w);

/* The names of the steps in the note; they never change. */
static const char *const parts[] = {[PART_HOOK] = "hook",
    [PART_PUT] = "document-put",
    [PART_FORWARD] = "forward",
    [PART_END] = "handed-over"};

static bool
wanted(const struct work *w, enum part part)
{
	const struct conf_account *a = w->grant->account;

	switch (part) {
	case PART_HOOK:
		return a->hook != NULL;
	case PART_PUT:
		return a->forward_document == CONF_PUT && api_has_document(&w->ev);
	case PART_FORWARD:
		return a->forward != NULL;
	case PART_END:
		break;
	}
	return true;
}

/* The first part from this one on that is wanted. */
static enum part
next_part(const struct work *w, enum part part)
{
	while (!wanted(w, part))
		part++;
	return part;
}

void
handover_free(struct work *w)
{
	if (w->handover == NULL)
		return;
	forward_free(&w->handover->forward);
	io_close(&w->handover->upload.fd);
	free(w->handover);
	w->handover = NULL;
}

bool
handover_is_running(const struct work *w)
{
	return w->handover != NULL && w->handover->child != NULL;
}

/* ---- what comes of a part ---- */

static const char *
target_kind(enum part part)
{
	return part == PART_HOOK ? "hook" : "forward";
}

/* Go on at this part or the next that is wanted, and remember that before anything is done. */
static void
move_to(struct work *w, enum part part)
{
	struct err e;

	part = next_part(w, part);
	w->handover->part = part;
	if (str_eq(w->job->retry.step, parts[part]))
		return;
	step_at(w, parts[part]);
	if (retry_write(spool_retry_dir(w->d->spool), w->job->name, &w->job->retry, &e) !=
	    RC_OK)
		log_put(LOG_WARN, "cannot write a note", "event", w->job->name, "reason",
		    e.text, LOG_END);
}

/* It says itself that it is down: it is left alone, and the event waits for that. */
static void
refused(struct work *w, int64_t retry_after, const char *why)
{
	int64_t now = clk_mono();
	struct target *t = target_get(w->d->targets, w->target, now);
	bool opened;

	target_refuse(t, now, retry_after, why, &opened);
	w->probe = 0;
	if (opened)
		log_put(
		    LOG_ERROR, "target is down", "target", w->target, "reason", why, LOG_END);
	work_wait_for(w, t, why);
}

/* Somebody has to mend something: nothing is tried until that is said to be done. */
static void
pause_it(struct work *w, const char *why)
{
	struct target *t = target_get(w->d->targets, w->target, clk_mono());

	if (target_pause(t, clk_mono(), TARGET_UNTIL_LIFTED, why))
		log_put(LOG_ERROR, "target is paused until it is resumed or reloaded", "target",
		    w->target, "reason", why, LOG_END);
	w->probe = 0;
	work_wait_for(w, t, why);
}

/* The end of a part, whichever way it was handed over. */
static void
part_ended(struct work *w, enum handed h, int64_t retry_after, const char *why)
{
	char took[24];

	(void)snprintf(took, sizeof(took), "%" PRId64, clk_mono() - w->handover->started);
	daemon_note(w->d, parts[w->handover->part], w->job->name, "result", why, "ms", took);
	if (h == HANDED_DONE || h == HANDED_LATER || h == HANDED_NEVER)
		step_answered(w);
	switch (h) {
	case HANDED_DONE:
		move_to(w, w->handover->part + 1);
		begin_part(w);
		return;
	case HANDED_LATER:
		work_retry(w, retry_after, why);
		return;
	case HANDED_DOWN:
		step_down(w, retry_after, why);
		return;
	case HANDED_REFUSED:
		refused(w, retry_after, why);
		return;
	case HANDED_NEVER:
		work_finish(w, SPOOL_FAILED, why);
		return;
	case HANDED_CONFIG:
		pause_it(w, why);
		return;
	case HANDED_OURS:
		work_wait(w, OURS_WAIT, why);
		return;
	case HANDED_STOPPED:
		work_give_back(w);
		return;
	}
}

/* ---- what the store has ---- */

static void
below(char out[HAND_PATH], const struct hand *h, const char *file)
{
	if ((size_t)snprintf(out, HAND_PATH, "%s/%s", h->folder, file) >= HAND_PATH)
		out[0] = '\0';
}

static bool
is_there(const char *path)
{
	return path[0] != '\0' && io_exists(AT_FDCWD, path);
}

/* Everything a part is told. */
static void
look(struct work *w)
{
	struct hand *h = &w->handover->hand;
	struct store_place at = step_place(w);
	char where[API_OBJECT + 80], file[STORE_SUFFIX + 16];
	enum rc rc;

	if ((w->pool_rc = store_where(&at, where, sizeof(where), &w->pool_err)) != RC_OK)
		return;
	if ((size_t)snprintf(h->folder, sizeof(h->folder), "%s/%s", h->store, where) >=
	    sizeof(h->folder)) {
		w->pool_rc = err_set(&w->pool_err, RC_BAD, "the path of the store is too long");
		return;
	}
	below(h->record, h, "record.json");
	below(h->tombstone, h, "deleted.json");
	below(h->description, h, "document.json");
	h->has_record = is_there(h->record);
	h->deleted = is_there(h->tombstone);
	rc = store_document(w->d->store, &at, &h->meta, &w->pool_err);
	h->has_document = rc == RC_OK;
	(void)snprintf(file, sizeof(file), "document%s", h->meta.suffix);
	below(h->document, h, file);
	w->pool_rc = rc == RC_GONE ? RC_OK : rc;
}

/* ---- the forward ---- */

/* The secrets are read for each request: a file that is changed needs no reload. */
static enum handed
read_keys(const struct conf_account *a, struct sign_keys *keys, struct err *e)
{
	struct buf text = BUF_SECRET(65536);
	enum rc rc;

	if ((rc = conf_secret(a->forward_secret_file, &text, e)) == RC_OK &&
	    (rc = sign_read(buf_text(&text), text.n, keys, e)) != RC_OK)
		err_prefix(e, "%.150s", a->forward_secret_file);
	buf_wipe(&text);
	if (rc == RC_CONFIG || rc == RC_GONE || rc == RC_DENIED)
		return HANDED_CONFIG;
	return rc == RC_OK ? HANDED_DONE : HANDED_OURS;
}

static enum rc
ready_post(struct work *w, const struct sign_keys *keys, struct err *e)
{
	struct handover *o = w->handover;
	struct buf record = BUF_INIT(w->d->conf->daemon.max_record);
	enum rc rc = RC_OK;

	if (o->hand.has_record &&
	    (rc = io_read_file(AT_FDCWD, o->hand.record, &record, e)) == RC_OK)
		rc = json_check(buf_text(&record), record.n, e);
	if (rc == RC_OK)
		rc = forward_post(&o->forward, &o->hand,
		    o->hand.has_record ? buf_text(&record) : NULL, record.n, keys, clk_wall(),
		    e);
	buf_free(&record);
	return rc;
}

static enum rc
ready_put(struct work *w, const struct sign_keys *keys, struct err *e)
{
	struct handover *o = w->handover;
	const struct conf_account *a = w->grant->account;
	enum rc rc;

	if ((rc = forward_url(a->forward_document_url, &o->hand, o->url, e)) != RC_OK ||
	    (rc = io_open(AT_FDCWD, o->hand.document, &o->upload.fd, e)) != RC_OK)
		return rc;
	o->upload.size = o->hand.meta.size;
	return forward_put(&o->forward, &o->hand, keys, clk_wall(), e);
}

/* On the pool: what is to be sent. */
static void
make_ready(struct work *w)
{
	struct handover *o = w->handover;
	struct sign_keys keys;
	enum rc rc;

	io_close(&o->upload.fd);
	forward_free(&o->forward);
	o->ready = read_keys(w->grant->account, &keys, &w->pool_err);
	if (o->ready != HANDED_DONE)
		return;
	rc = o->part == PART_PUT ? ready_put(w, &keys, &w->pool_err)
				 : ready_post(w, &keys, &w->pool_err);
	sign_wipe(&keys);
	if (rc == RC_BAD)
		o->ready = HANDED_NEVER;
	else if (rc != RC_OK)
		o->ready = HANDED_OURS;
}

static void
forward_done(const struct http_answer *a, void *arg)
{
	struct work *w = arg;
	char why[HANDED_TEXT];
	enum handed h = forward_verdict(a, why);

	w->call = NULL;
	part_ended(w, h, a->retry_after, why);
}

static void
start_forward(struct work *w)
{
	const struct conf_account *a = w->grant->account;
	struct handover *o = w->handover;
	struct http_request rq = {0};
	struct err e;
	enum rc rc;

	if (o->ready != HANDED_DONE) {
		part_ended(w, o->ready, -1, w->pool_err.text);
		return;
	}
	step_settings(w, &rq);
	rq.ca_file = a->forward_ca_file;
	rq.headers = o->forward.header;
	rq.nheaders = o->forward.n;
	rq.url = a->forward;
	if (o->part == PART_PUT) {
		rq.url = o->url;
		rq.upload = &o->upload;
	} else {
		rq.post = o->forward.text.p + o->forward.body_at;
		rq.post_len = o->forward.text.n - o->forward.body_at;
		rq.total_timeout = a->forward_timeout;
	}
	rc = http_start(w->d->http, &rq, forward_done, w, &w->call, &e);
	if (rc != RC_OK)
		part_ended(w, rc == RC_LATER ? HANDED_OURS : HANDED_CONFIG, -1, e.text);
}

/* A document is put by the event that brought it; who only looked at it brings nothing. */
static bool
has_to_be_put(const struct work *w)
{
	const struct hand *h = &w->handover->hand;

	return h->has_document && !h->deleted &&
	       (!str_eq(w->ev.type, "Download") || str_eq(h->meta.event, h->name));
}

/* ---- the hook ---- */

static void
hook_done(const struct child_end *end, void *arg)
{
	struct work *w = arg;
	char why[HANDED_TEXT], output[HOOK_TEXT];
	enum handed h = hook_verdict(end, why);

	w->handover->child = NULL;
	hook_output(end, output);
	if (output[0] != '\0')
		log_put(h == HANDED_DONE ? LOG_INFO : LOG_WARN, "hook said", "event",
		    w->job->name, "output", output, LOG_END);
	part_ended(w, h, -1, why);
}

static void
start_hook(struct work *w)
{
	const struct conf_account *a = w->grant->account;
	struct handover *o = w->handover;
	struct child_spec spec = {.command = a->hook,
	    .input = w->rec.body,
	    .input_len = w->rec.body_len,
	    .timeout = a->hook_timeout};
	struct hook_env env;
	struct err e;
	enum rc rc;

	if ((rc = hook_env(&env, &o->hand, &e)) != RC_OK) {
		part_ended(w, HANDED_NEVER, -1, e.text);
		return;
	}
	spec.env = env.at;
	spec.nenv = env.n;
	rc = child_start(w->d->children, &spec, hook_done, w, &o->child, &e);
	hook_env_free(&env);
	if (rc != RC_OK)
		part_ended(w, rc == RC_BAD ? HANDED_CONFIG : HANDED_OURS, -1, e.text);
}

/* ---- one part after the other ---- */

static void
gather(void *arg)
{
	struct work *w = arg;
	enum part part = w->handover->part;

	look(w);
	if (w->pool_rc == RC_OK &&
	    (part == PART_FORWARD || (part == PART_PUT && has_to_be_put(w))))
		make_ready(w);
}

static void
gathered(void *arg)
{
	struct work *w = arg;

	w->on_pool = false;
	if (w->d->stopping) {
		part_ended(w, HANDED_STOPPED, -1, "spoold ends");
		return;
	}
	if (w->pool_rc != RC_OK) {
		work_retry(w, -1, w->pool_err.text);
		return;
	}
	w->handover->started = clk_mono();
	if (w->handover->part == PART_HOOK) {
		start_hook(w);
	} else if (w->handover->part == PART_PUT && !has_to_be_put(w)) {
		move_to(w, PART_PUT + 1);
		begin_part(w);
	} else {
		start_forward(w);
	}
}

static void
begin_part(struct work *w)
{
	struct handover *o = w->handover;

	if (o->part == PART_END) {
		work_finish(w, SPOOL_DONE, o->why);
		return;
	}
	if (w->d->stopping) {
		work_give_back(w);
		return;
	}
	if (!step_ask(w, target_kind(o->part), w->grant->account->name))
		return;
	work_on_pool(w, gather, gathered);
}

static void
begin(struct work *w, enum part part, const char *why)
{
	struct handover *o = calloc(1, sizeof(*o));
	struct name parts_of;

	if (o == NULL || !name_parse(w->job->name, &parts_of)) {
		free(o);
		work_wait(w, OURS_WAIT, "no memory");
		return;
	}
	w->handover = o;
	(void)snprintf(o->key, sizeof(o->key), "%s", parts_of.key);
	(void)snprintf(o->why, sizeof(o->why), "%s", why);
	o->started = clk_mono();
	o->upload.fd = -1;
	o->hand = (struct hand){.rec = &w->rec,
	    .ev = &w->ev,
	    .name = w->job->name,
	    .key = o->key,
	    .account = w->grant->account->name,
	    .store = w->d->conf->daemon.store,
	    .object = w->object,
	    .attempt = w->job->retry.tries};
	move_to(w, part);
	begin_part(w);
}

void
handover_start(struct work *w, const char *why)
{
	if (next_part(w, PART_HOOK) != PART_END)
		begin(w, PART_HOOK, why);
	else
		work_finish(w, SPOOL_DONE, why);
}

/* The part that the note names; one beyond the last: none. */
static enum part
noted(const struct work *w)
{
	enum part part = PART_HOOK;

	while (part <= PART_END && !str_eq(w->job->retry.step, parts[part]))
		part++;
	return part;
}

bool
handover_is_at(const struct work *w)
{
	return noted(w) <= PART_END;
}

bool
handover_resume(struct work *w)
{
	if (!handover_is_at(w))
		return false;
	begin(w, noted(w), "handed over");
	return true;
}
