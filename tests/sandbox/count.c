/*
 * SPDX-License-Identifier: ISC
 *
 * count - the counters, and those who wait for a counter or for a time.
 *
 * One thread waits for the earliest time; a counter that moves wakes those who
 * asked for it.  Knows nothing of what it counts.
 */
#include "config.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "count.h"

#define PARK_MAX 4096 /* more are woken at once */

struct park {
	void *who;
	int64_t due;
	bool counted;
	struct count_wait w;
};

struct count {
	pthread_mutex_t lock;
	pthread_cond_t moved;
	pthread_t thread;
	void (*wake)(void *);
	bool stop;
	size_t parked;
	long long value[COUNT_N];
	struct park park[PARK_MAX];
};

static const char *const names[COUNT_N] = {
#define X(name) #name,
    COUNTERS(X)
#undef X
};

static bool
met(const struct count *c, const struct count_wait *w)
{
	long long v = c->value[w->what];

	return w->at_most ? v <= w->value : v >= w->value;
}

/* Wake what is due or met; the earliest time still waited for, or INT64_MAX. */
static int64_t
sweep(struct count *c, int64_t now)
{
	int64_t next = INT64_MAX;
	struct park *p;
	size_t i = 0;

	while (i < c->parked) {
		p = &c->park[i];
		if (c->stop || p->due <= now || (p->counted && met(c, &p->w))) {
			c->wake(p->who);
			*p = c->park[--c->parked];
			continue;
		}
		if (p->due < next)
			next = p->due;
		i++;
	}
	return next;
}

static void *
run(void *arg)
{
	struct count *c = arg;
	struct timespec ts;
	int64_t next;

	pthread_mutex_lock(&c->lock);
	while (!c->stop) {
		next = sweep(c, clock_ms());
		if (next == INT64_MAX) {
			pthread_cond_wait(&c->moved, &c->lock);
			continue;
		}
		ts.tv_sec = (time_t)(next / 1000);
		ts.tv_nsec = (long)(next % 1000) * 1000000;
		pthread_cond_timedwait(&c->moved, &c->lock, &ts);
	}
	sweep(c, 0);
	pthread_mutex_unlock(&c->lock);
	return NULL;
}

struct count *
count_new(void (*wake)(void *))
{
	struct count *c = mem_new(1, sizeof(*c));
	pthread_condattr_t attr;

	c->wake = wake;
	pthread_mutex_init(&c->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&c->moved, &attr);
	pthread_condattr_destroy(&attr);
	if (pthread_create(&c->thread, NULL, run, c) != 0) {
		free(c);
		return NULL;
	}
	return c;
}

void
count_stop(struct count *c)
{
	bool first;

	pthread_mutex_lock(&c->lock);
	first = !c->stop;
	c->stop = true;
	pthread_cond_signal(&c->moved);
	pthread_mutex_unlock(&c->lock);
	if (first)
		pthread_join(c->thread, NULL);
}

void
count_free(struct count **c)
{
	if (*c == NULL)
		return;
	count_stop(*c);
	pthread_cond_destroy(&(*c)->moved);
	pthread_mutex_destroy(&(*c)->lock);
	free(*c);
	*c = NULL;
}

void
count_add(struct count *c, enum counter what, long long n)
{
	size_t i;

	pthread_mutex_lock(&c->lock);
	c->value[what] += n;
	for (i = 0; i < c->parked; i++) {
		if (c->park[i].counted && c->park[i].w.what == what) {
			sweep(c, clock_ms());
			break;
		}
	}
	pthread_mutex_unlock(&c->lock);
}

bool
count_met(struct count *c, const struct count_wait *w)
{
	bool yes;

	pthread_mutex_lock(&c->lock);
	yes = met(c, w);
	pthread_mutex_unlock(&c->lock);
	return yes;
}

enum counter
count_named(const char *name)
{
	size_t i;

	for (i = 0; i < COUNT_N; i++) {
		if (strcmp(names[i], name) == 0)
			break;
	}
	return (enum counter)i;
}

void
count_json(struct count *c, struct buf *out)
{
	size_t i;

	pthread_mutex_lock(&c->lock);
	for (i = 0; i < COUNT_N; i++)
		buf_fmt(out, "%c\"%s\":%lld", i == 0 ? '{' : ',', names[i], c->value[i]);
	pthread_mutex_unlock(&c->lock);
	buf_str(out, "}");
}

void
count_park(struct count *c, void *who, int64_t due_ms, const struct count_wait *w)
{
	struct park *p;

	pthread_mutex_lock(&c->lock);
	if (c->stop || c->parked == PARK_MAX || (w != NULL && met(c, w))) {
		c->wake(who);
	} else {
		p = &c->park[c->parked++];
		memset(p, 0, sizeof(*p));
		p->who = who;
		p->due = due_ms;
		if ((p->counted = w != NULL))
			p->w = *w;
		pthread_cond_signal(&c->moved);
	}
	pthread_mutex_unlock(&c->lock);
}
