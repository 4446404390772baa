/*
 * SPDX-License-Identifier: ISC
 *
 * share - events of one record; see share.h.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>

#include "clk.h"
#include "io.h"
#include "park.h"
#include "share.h"
#include "str.h"

struct shares {
	int watch;     /* knows when the wall clock is set */
	uint64_t sets; /* how often it was */
	size_t n;
	uint64_t mark[SHARES]; /* of each one's key and way */
	struct share *at[SHARES];
};

struct shares *
shares_new(void)
{
	struct shares *s = calloc(1, sizeof(*s));

	if (s != NULL)
		s->watch = clk_watch();
	return s;
}

void
shares_free(struct shares **s)
{
	if (*s == NULL)
		return;
	for (size_t i = 0; i < (*s)->n; i++)
		free((*s)->at[i]);
	io_close(&(*s)->watch);
	free(*s);
	*s = NULL;
}

/* How often the wall clock was set so far; each question counts where that cannot be known. */
static uint64_t
sets_now(struct shares *s)
{
	if (clk_was_set(s->watch))
		s->sets++;
	return s->sets;
}

bool
share_was_before(uint64_t known, int64_t stamp, const struct share_call *call, uint64_t sets)
{
	if (known < call->order)
		return true;
	if (stamp % CLK_SECOND == 0)
		stamp += CLK_SECOND; /* somewhere in that second */
	return sets == call->sets && stamp < call->stamp;
}

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
	struct daemon *d = w->d;

	w->called = (struct share_call){
	    .order = ++d->clock, .sets = sets_now(d->shares), .stamp = clk_stamp()};
	w->call_way = way(w);
	w->result = SHARE_NOTHING;
}

void
share_result(struct work *w, enum share_kind kind, const char *why)
{
	w->result = kind;
	(void)snprintf(w->why, sizeof(w->why), "%s", why);
}

/* The place of what is known of a record, asked that way; SHARES: none. */
static size_t
find(const struct shares *s, const char *key, uint64_t by)
{
	const uint64_t sign = mark(key) ^ by;

	for (size_t i = 0; i < s->n; i++)
		if (s->mark[i] == sign && s->at[i]->way == by && str_eq(s->at[i]->key, key))
			return i;
	return SHARES;
}

const struct share *
share_taken(struct work *w, char why[RETRY_TEXT])
{
	struct shares *all = w->d->shares;
	size_t i = find(all, w->key, way(w));
	struct share *s;

	if (i == SHARES)
		return NULL;
	s = all->at[i];
	if (!share_was_before(w->job->known, w->job->since, &s->call, sets_now(all)))
		return NULL;
	s->used = ++w->d->clock;
	if (str_eq(s->by, w->job->name))
		(void)snprintf(why, RETRY_TEXT, "%.300s", s->why);
	else
		(void)snprintf(
		    why, RETRY_TEXT, "%.200s, by the call for %.150s", s->why, s->by);
	return s;
}

void
share_forget(struct daemon *d, const char *key)
{
	struct shares *all = d->shares;

	for (size_t i = 0; i < all->n;) {
		if (!str_eq(all->at[i]->key, key)) {
			i++;
			continue;
		}
		free(all->at[i]);
		all->at[i] = all->at[--all->n];
		all->mark[i] = all->mark[all->n];
	}
}

/* Where another one can be kept: a new place, or that of what nobody took for longest. */
static size_t
place(struct shares *all)
{
	size_t oldest = 0;

	if (all->n < SHARES && (all->at[all->n] = malloc(sizeof(struct share))) != NULL)
		return all->n++;
	for (size_t i = 1; i < all->n; i++)
		if (all->at[i]->used < all->at[oldest]->used)
			oldest = i;
	return all->n > 0 ? oldest : SHARES;
}

/* What the call brought is for everybody who was here before it. */
static void
keep(struct work *w)
{
	struct shares *all = w->d->shares;
	struct share *s;
	size_t i;

	if (w->called.order == 0 || w->result == SHARE_NOTHING)
		return;
	if ((i = find(all, w->key, w->call_way)) == SHARES && (i = place(all)) == SHARES)
		return;
	s = all->at[i];
	*s = (struct share){
	    .way = w->call_way, .call = w->called, .kind = w->result, .used = ++w->d->clock};
	(void)snprintf(s->key, sizeof(s->key), "%s", w->key);
	(void)snprintf(s->by, sizeof(s->by), "%s", w->job->name);
	(void)snprintf(s->why, sizeof(s->why), "%s", w->why);
	all->mark[i] = mark(s->key) ^ s->way;
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

	keep(w);
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
