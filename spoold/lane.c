/*
 * SPDX-License-Identifier: ISC
 *
 * lane - how many documents at once, and which one is next; see lane.h.
 */
#include "config.h"

#include "clk.h"
#include "document.h"
#include "lane.h"
#include "str.h"
#include "work.h"

#define FIRST (INT64_C(1) << 62) /* due times below 0: before all others, by the link's end */

/* Is the try about a document that has to be fetched?  Name and step say so. */
static bool
is_document(const struct job *job)
{
	struct name parts;

	/* One that is only handed over again needs no lane. */
	if (job->retry.step[0] != '\0' && !str_eq(job->retry.step, "callback") &&
	    !str_eq(job->retry.step, "document"))
		return false;
	return name_parse(job->name, &parts) && str_eq(parts.category, "FileStore") &&
	       (str_eq(parts.type, "Upload") || str_eq(parts.type, "Download"));
}

static bool
has_link(const struct job *job)
{
	return job->link != NULL && job->link_end != 0;
}

/* Into the order of those put aside. */
static void
put_aside(struct lanes *l, struct job *job)
{
	struct job **at = &l->first;

	if (has_link(job)) {
		while (*at != NULL && has_link(*at) && (*at)->link_end <= job->link_end)
			at = &(*at)->blocked;
	} else if (l->last != NULL) {
		at = &l->last->blocked;
	}
	job->blocked = *at;
	*at = job;
	if (job->blocked == NULL)
		l->last = job;
}

bool
lane_enter(struct daemon *d, struct job *job)
{
	struct lanes *l = &d->lanes;

	if (!is_document(job))
		return true;
	if (l->running < d->conf->daemon.downloads) {
		l->running++;
		job->in_lane = true;
		return true;
	}
	put_aside(l, job);
	return false;
}

void
lane_leave(struct work *w)
{
	struct lanes *l = &w->d->lanes;

	if (w->fetch.waiting)
		l->waiting--;
	w->fetch.waiting = w->fetch.moving = false;
	if (w->job->in_lane)
		l->running--;
	w->job->in_lane = false;
}

static bool
host_has_room(const struct daemon *d, const char *host)
{
	unsigned n = 0;

	for (const struct work *w = d->first; w != NULL; w = w->next)
		n += w->fetch.moving && str_eq(w->fetch.host, host);
	return n < d->conf->daemon.downloads_per_host;
}

bool
lane_at_host(struct work *w)
{
	w->fetch.moving = host_has_room(w->d, w->fetch.host);
	w->fetch.waiting = !w->fetch.moving;
	w->d->lanes.waiting += w->fetch.waiting;
	return w->fetch.moving;
}

void
lane_off_host(struct work *w)
{
	w->fetch.moving = false;
}

/* When its link ends; one that does not say is in no hurry. */
static int64_t
link_end(const struct work *w)
{
	return w->link_end != 0 ? w->link_end : INT64_MAX;
}

/* Of those that wait for a place at a host that has one, the one whose link ends first. */
static struct work *
next_at_host(const struct daemon *d)
{
	struct work *best = NULL;

	for (struct work *w = d->first; w != NULL; w = w->next)
		if (w->fetch.waiting && (best == NULL || link_end(w) <= link_end(best)) &&
		    host_has_room(d, w->fetch.host))
			best = w; /* the list has the newest first */
	return best;
}

/* Due before others: by the end of its link, or as one that had to wait for a lane. */
static void
hurry(struct daemon *d, struct job *job)
{
	job->due = has_link(job) ? job->link_end - FIRST : -1;
	jobs_wait(d->jobs, job);
}

static void
look_at(struct job *job, void *arg)
{
	struct daemon *d = arg;

	if (!has_link(job) || job->at == JOBS_NOWHERE)
		return;
	if (job->due > clk_mono())
		d->lanes.linked = true;
	else if (job->due >= 0 && job->link_end > clk_wall())
		hurry(d, job);
}

void
lane_tick(struct daemon *d)
{
	struct lanes *l = &d->lanes;
	uint64_t places = d->conf->daemon.downloads;
	struct work *w;

	while (l->waiting > 0 && (w = next_at_host(d)) != NULL) {
		w->fetch.waiting = false;
		w->fetch.moving = true;
		l->waiting--;
		document_go(w);
	}
	for (uint64_t n = l->running; n < places && l->first != NULL; n++) {
		struct job *job = l->first;

		l->first = job->blocked;
		if (l->first == NULL)
			l->last = NULL;
		job->blocked = NULL;
		hurry(d, job);
	}
	if (!l->linked || clk_mono() < l->next_look)
		return;
	l->linked = false;
	l->next_look = clk_mono() + CLK_SECOND;
	jobs_each(d->jobs, look_at, d);
}

void
lane_linked(struct daemon *d)
{
	d->lanes.linked = true;
}
