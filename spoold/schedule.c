/*
 * SPDX-License-Identifier: ISC
 *
 * schedule - when a try is repeated; see schedule.h.
 */
#include "config.h"

#include "clk.h"
#include "schedule.h"

int64_t
schedule_wait(unsigned tries, int64_t min, int64_t max, int64_t retry_after)
{
	int64_t top = min, wait;

	for (unsigned i = 1; i < tries && top < max; i++)
		top = top > max / 2 ? max : top * 2;
	if (top > max)
		top = max;
	wait = min / 2 < top ? min / 2 : top;
	if (top > wait)
		wait += (int64_t)clk_random_below((uint64_t)(top - wait));
	if (retry_after > CLK_DAY)
		retry_after = CLK_DAY;
	return retry_after > wait ? retry_after : wait;
}
