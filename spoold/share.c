/*
 * SPDX-License-Identifier: ISC
 *
 * share - events of one record; see share.h.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>

#include "clk.h"
#include "park.h"
#include "share.h"
#include "str.h"

/* A number that stands for a text; never 0. */
static uint64_t
mark(const char *text)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (; *text != '\0'; text++)
		h = (h ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
	return h != 0 ? h : 1;
}

bool
share_waits(struct daemon *d, struct job *job)
{
	struct job_list with = {NULL, NULL};
	struct work *o = job->key != 0 ? d->first : NULL;

	while (o != NULL && o->job->key != job->key)
		o = o->next;
	if (o == NULL)
		return false;
	jobs_begin(d->jobs, job);
	with = job->behind;
	job->behind = (struct job_list){NULL, NULL};
	share_join(o, job, &with);
	return true;
}

struct work *
share_other(const struct work *w)
{
	w->job->key = mark(w->key);
	for (struct work *o = w->d->first; o != NULL; o = o->next)
		if (o != w && o->job->key == w->job->key && str_eq(o->key, w->key))
			return o;
	return NULL;
}

void
share_join(struct work *o, struct job *job, struct job_list *with)
{
	job_list_add(&o->blocked, job);
	job_list_append(&o->blocked, with);
}

/* How the API is asked about an event: by default (its link or the known call), or otherwise.
 */
static uint64_t
way(const struct work *w)
{
	const struct conf_callback *cb = conf_callback(w->d->conf, w->ev.category, w->ev.type);

	return mark(cb != NULL ? cb->kind : "");
}

void
share_called(struct work *w)
{
	w->called = ++w->d->clock;
	w->call_way = way(w);
	w->result = SHARE_NOTHING;
}

void
share_result(struct work *w, enum share_kind kind, const char *why)
{
	w->result = kind;
	(void)snprintf(w->why, sizeof(w->why), "%s", why);
}

const struct share *
share_taken(const struct work *w, char why[RETRY_TEXT])
{
	const struct share *s = w->job->share;

	if (s == NULL || s->way != way(w))
		return NULL;
	(void)snprintf(why, RETRY_TEXT, "%.200s, by the call for %.150s", s->why, s->by);
	return s;
}

/* What the call brought is for everybody who was here before it. */
static void
give(struct work *w)
{
	struct share *s;

	if (w->called == 0 || w->result == SHARE_NOTHING || w->blocked.first == NULL ||
	    (s = calloc(1, sizeof(*s))) == NULL)
		return;
	s->kind = w->result;
	s->way = w->call_way;
	(void)snprintf(s->by, sizeof(s->by), "%s", w->job->name);
	(void)snprintf(s->why, sizeof(s->why), "%s", w->why);
	s->refs = 1;
	for (struct job *b = w->blocked.first; b != NULL; b = b->blocked)
		if (b->known < w->called && b->share == NULL)
			job_share(b, s);
	share_drop(&s);
}

/* Wait as long as w's own event does: then one call is made for all of them. */
static void
wait_too(struct work *w, struct job *b)
{
	struct target *t = target_by_id(w->d->targets, w->waits_for);

	if (t != NULL) {
		park_on(w->d, b, t);
		return;
	}
	b->due = w->job->due + 1; /* after the one whose tries are counted */
	jobs_wait(w->d->jobs, b);
}

void
share_end(struct work *w)
{
	struct job *b, *next;

	give(w);
	/* One goes on now, and the others behind it: the list may be long. */
	if (!w->d->stopping && (!w->put_off || w->result != SHARE_NOTHING)) {
		jobs_release(w->d->jobs, &w->blocked);
		return;
	}
	for (b = w->blocked.first; b != NULL; b = next) {
		next = b->blocked;
		b->blocked = NULL;
		if (w->d->stopping)
			jobs_wait(w->d->jobs, b);
		else
			wait_too(w, b);
	}
	w->blocked = (struct job_list){NULL, NULL};
}
