/*
 * SPDX-License-Identifier: ISC
 *
 * limit - so many lines a second of one kind, the rest counted.
 *
 * Pure: the time comes in; callers on several threads hold a lock.
 */
#ifndef ARKEN_LIMIT_H
#define ARKEN_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

#include "err.h"

#define LIMIT_PER_SECOND 10

struct limit {
	int64_t since;       /* when this second began (clk_mono) */
	unsigned passed;     /* in this second */
	uint64_t suppressed; /* since the last one that passed */
};

/* One more; may it be written?  Then *suppressed is how many were not since the last one. */
bool limit_pass(struct limit *l, int64_t now, uint64_t *suppressed) MUST_CHECK;

#endif
