/*
 * SPDX-License-Identifier: ISC
 *
 * turn - so many requests at one time; see turn.h.
 */
#include "config.h"

#include <time.h>

#include "clk.h"
#include "turn.h"

void
turn_open(struct turn *t, unsigned limit, unsigned places)
{
	pthread_condattr_t attr;

	*t = (struct turn){.limit = limit, .places = places};
	/* On Linux none of these fails. */
	(void)pthread_mutex_init(&t->lock, NULL);
	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&t->free, &attr);
	pthread_condattr_destroy(&attr);
}

void
turn_close(struct turn *t)
{
	pthread_cond_destroy(&t->free);
	pthread_mutex_destroy(&t->lock);
}

/* Under the lock, which is let go meanwhile. */
static void
wait_for_turn(struct turn *t, int64_t wait)
{
	struct timespec until;

	(void)clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += wait / CLK_SECOND;
	until.tv_nsec += wait % CLK_SECOND * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_nsec -= 1000000000;
		until.tv_sec++;
	}
	t->waiting++;
	while (t->taken >= t->limit) {
		if (pthread_cond_timedwait(&t->free, &t->lock, &until) != 0)
			break;
	}
	t->waiting--;
}

/*
 * Is there a place to wait in?  Always while turns go round, for then a wait is no
 * waste of a thread: a burst is only slower.
 */
static bool
may_wait(const struct turn *t, int64_t wait)
{
	return t->waiting < t->places || clk_mono() - t->moved < wait;
}

bool
turn_take(struct turn *t, int64_t wait)
{
	bool ours;

	pthread_mutex_lock(&t->lock);
	if (t->taken >= t->limit && may_wait(t, wait))
		wait_for_turn(t, wait);
	if ((ours = t->taken < t->limit)) {
		t->taken++;
		t->moved = clk_mono();
	}
	pthread_mutex_unlock(&t->lock);
	return ours;
}

void
turn_give(struct turn *t)
{
	pthread_mutex_lock(&t->lock);
	t->taken--;
	t->moved = clk_mono();
	pthread_cond_signal(&t->free);
	pthread_mutex_unlock(&t->lock);
}
