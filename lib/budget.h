/*
 * SPDX-License-Identifier: ISC
 *
 * budget - so many bytes for all threads together.
 *
 * Counts only; the memory itself is the caller's.
 */
#ifndef ARKEN_BUDGET_H
#define ARKEN_BUDGET_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"

struct budget {
	pthread_mutex_t lock;
	pthread_cond_t more; /* something was given back */
	size_t limit;
	size_t used;
};

void budget_open(struct budget *b, size_t limit);
void budget_close(struct budget *b);

/* Another limit from now on; what is taken already stays taken. */
void budget_resize(struct budget *b, size_t limit);

size_t budget_limit(struct budget *b);

/*
 * Take *n bytes, waiting at most so many milliseconds.  More than the limit is cut to the
 * limit, so that what is larger than all runs alone; give back what *n says afterwards.
 * false: nothing was taken, *n is 0.
 */
bool budget_take(struct budget *b, size_t *n, int64_t wait) MUST_CHECK;
void budget_give(struct budget *b, size_t n);

#endif
