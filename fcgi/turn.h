/*
 * SPDX-License-Identifier: ISC
 *
 * turn - so many requests are worked on at one time, some more wait a moment,
 * the rest are told to come again.
 */
#ifndef ARKEN_TURN_H
#define ARKEN_TURN_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "err.h"

struct turn {
	pthread_mutex_t lock;
	pthread_cond_t free; /* a turn was given back, or there are more of them */
	unsigned limit;      /* at one time */
	unsigned places;     /* to wait in while no turn is taken or given back */
	unsigned taken;
	unsigned waiting;
	int64_t moved; /* clk_mono of the last turn that was taken or given back */
};

void turn_open(struct turn *t, unsigned limit, unsigned places);
void turn_close(struct turn *t);

/*
 * Take a turn, waiting at most so many milliseconds if there is a place to wait in, or if turns
 * went round within that time.  false: neither, or the wait was in vain; nothing was taken.
 */
bool turn_take(struct turn *t, int64_t wait) MUST_CHECK;
void turn_give(struct turn *t);

#endif
