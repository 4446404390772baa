/*
 * SPDX-License-Identifier: ISC
 *
 * later - preloaded into a program: its wall clock is ahead by $ARKEN_LATER seconds.
 *
 * So what is removed by age can be seen to go without waiting for it.
 */
#include "config.h"

#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int
clock_gettime(clockid_t id, struct timespec *ts)
{
	const char *text = getenv("ARKEN_LATER");
	long failed = syscall(SYS_clock_gettime, id, ts);

	if (failed == 0 && id == CLOCK_REALTIME && text != NULL)
		ts->tv_sec += strtol(text, NULL, 10);
	return (int)failed;
}
