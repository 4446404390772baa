/*
 * SPDX-License-Identifier: ISC
 *
 * mounts - a mount name space of a test's own.
 */
#ifndef ARKEN_TEST_MOUNTS_H
#define ARKEN_TEST_MOUNTS_H

#include <errno.h>
#include <sched.h>
#include <stddef.h>
#include <sys/mount.h>

/*
 * Whatever this process mounts from now on, no other one sees.  false: that is not to be had,
 * and the test is to be skipped: not root, or (EINVAL) in a changed root that is no mount
 * point.
 */
static inline int
mounts_private(void)
{
	return unshare(CLONE_NEWNS) == 0 &&
	       mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
}

#endif
