/*
 * SPDX-License-Identifier: ISC
 *
 * park - events that wait for a target; see park.h.
 */
#include "config.h"

#include "clk.h"
#include "park.h"

#define PARK_LONG (10 * CLK_MINUTE) /* a parked event looks by itself this often */
#define PARK_NEXT (5 * CLK_SECOND)  /* another one is let through if the first said nothing */

static const char *const disks[] = {PARK_SPOOL, PARK_STORE};

void
park_on(struct daemon *d, struct job *job, struct target *t)
{
	job->target = t->id;
	job->due = clk_mono() + PARK_LONG;
	t->awaited = true;
	jobs_wait(d->jobs, job);
}

bool
park_pass(struct daemon *d, struct job *job, int64_t now)
{
	struct target *t = target_by_id(d->targets, job->target);

	for (size_t i = 0; i < 2 && (t == NULL || !target_is_shut(t, now)); i++)
		t = target_get(d->targets, disks[i], now);
	if (!target_is_shut(t, now))
		return true;
	park_on(d, job, t);
	return false;
}

struct look {
	struct daemon *d;
	struct target *t;
	struct job *oldest;
	int64_t now, next;
};

static bool
sleeps_on(const struct job *job, const struct look *l)
{
	return job->target == l->t->id && job->work == NULL && job->at != JOBS_NOWHERE &&
	       job->due > l->now;
}

static void
wake(struct job *job, void *arg)
{
	struct look *l = arg;

	if (!sleeps_on(job, l))
		return;
	job->due = l->now;
	jobs_wait(l->d->jobs, job);
}

static void
find_oldest(struct job *job, void *arg)
{
	struct look *l = arg;

	if (sleeps_on(job, l) && (l->oldest == NULL || job->since < l->oldest->since))
		l->oldest = job;
}

/* When it can be looked after; INT64_MAX: only an answer or a person changes something. */
static int64_t
when(const struct target *t)
{
	if (!t->awaited || (t->open_until != 0 && t->probing))
		return INT64_MAX;
	if (t->open_until == 0)
		return 0;
	return t->open_until > t->again ? t->open_until : t->again;
}

static void
tick(struct target *t, void *arg)
{
	struct look *l = arg;

	if (when(t) > l->now)
		return;
	l->t = t;
	l->oldest = NULL;
	if (t->open_until == 0) {
		t->awaited = false;
		jobs_each(l->d->jobs, wake, l);
		return;
	}
	jobs_each(l->d->jobs, find_oldest, l);
	t->awaited = l->oldest != NULL;
	t->again = l->now + PARK_NEXT;
	if (l->oldest != NULL)
		wake(l->oldest, l);
}

void
park_tick(struct daemon *d, int64_t now)
{
	struct look l = {.d = d, .now = now};

	targets_each(d->targets, tick, &l);
}

static void
soonest(struct target *t, void *arg)
{
	struct look *l = arg;

	if (when(t) < l->next)
		l->next = when(t);
}

int64_t
park_next(const struct daemon *d)
{
	struct look l = {.next = INT64_MAX};

	targets_each(d->targets, soonest, &l);
	return l.next;
}
