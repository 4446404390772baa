/*
 * SPDX-License-Identifier: ISC
 *
 * schedule - when a try is repeated.
 *
 * Pure but for the source of randomness (clk): exponential with full jitter.
 */
#ifndef ARKEN_SCHEDULE_H
#define ARKEN_SCHEDULE_H

#include <stdint.h>

/*
 * Milliseconds to wait before try number tries + 1 (tries >= 1): evenly between half of min
 * and min * 2^(tries-1), at most max.  A Retry-After (-1: none) may lengthen it, never shorten,
 * and no more than to a day.
 */
int64_t schedule_wait(unsigned tries, int64_t min, int64_t max, int64_t retry_after);

#endif
