/*
 * SPDX-License-Identifier: ISC
 *
 * budget - so many bytes for all threads together; see budget.h.
 */
#include "config.h"

#include <time.h>

#include "budget.h"
#include "clk.h"

void
budget_open(struct budget *b, size_t limit)
{
	pthread_condattr_t attr;

	*b = (struct budget){.limit = limit};
	/* On Linux none of these fails. */
	(void)pthread_mutex_init(&b->lock, NULL);
	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&b->more, &attr);
	pthread_condattr_destroy(&attr);
}

void
budget_close(struct budget *b)
{
	pthread_cond_destroy(&b->more);
	pthread_mutex_destroy(&b->lock);
}

void
budget_resize(struct budget *b, size_t limit)
{
	pthread_mutex_lock(&b->lock);
	b->limit = limit;
	pthread_cond_broadcast(&b->more);
	pthread_mutex_unlock(&b->lock);
}

size_t
budget_limit(struct budget *b)
{
	size_t limit;

	pthread_mutex_lock(&b->lock);
	limit = b->limit;
	pthread_mutex_unlock(&b->lock);
	return limit;
}

/* Under the lock.  The limit may have become less than what is taken. */
static bool
has_room(const struct budget *b, size_t n)
{
	return b->used < b->limit ? n <= b->limit - b->used : n == 0;
}

bool
budget_take(struct budget *b, size_t *n, int64_t wait)
{
	int64_t until = clk_mono() + wait;
	struct timespec at = {
	    .tv_sec = until / CLK_SECOND, .tv_nsec = until % CLK_SECOND * 1000000};
	bool room;

	pthread_mutex_lock(&b->lock);
	if (*n > b->limit)
		*n = b->limit;
	while (!(room = has_room(b, *n))) {
		if (pthread_cond_timedwait(&b->more, &b->lock, &at) != 0)
			break;
	}
	if (room)
		b->used += *n;
	else
		*n = 0;
	pthread_mutex_unlock(&b->lock);
	return room;
}

void
budget_give(struct budget *b, size_t n)
{
	if (n == 0)
		return;
	pthread_mutex_lock(&b->lock);
	b->used -= n;
	pthread_cond_broadcast(&b->more);
	pthread_mutex_unlock(&b->lock);
}
