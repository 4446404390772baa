/*
 * SPDX-License-Identifier: ISC
 *
 * limit - so many lines a second of one kind; see limit.h.
 */
#include "config.h"

#include "clk.h"
#include "limit.h"

bool
limit_pass(struct limit *l, int64_t now, uint64_t *suppressed)
{
	*suppressed = 0;
	if (l->passed == 0 || now - l->since >= CLK_SECOND) {
		l->since = now;
		l->passed = 0;
	}
	if (l->passed >= LIMIT_PER_SECOND) {
		l->suppressed++;
		return false;
	}
	l->passed++;
	*suppressed = l->suppressed;
	l->suppressed = 0;
	return true;
}
