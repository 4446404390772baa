/*
 * SPDX-License-Identifier: ISC
 *
 * stamp - has a file changed; see stamp.h.
 */
#include "config.h"

#include <fcntl.h>

#include "stamp.h"

struct stamp
stamp_of(int dir, const char *path)
{
	struct stat st;

	if (fstatat(dir, path, &st, 0) != 0)
		return (struct stamp){0};
	return (struct stamp){.there = true,
	    .dev = st.st_dev,
	    .ino = st.st_ino,
	    .size = st.st_size,
	    .mtime = st.st_mtim,
	    .ctime = st.st_ctim};
}

static bool
time_equal(struct timespec a, struct timespec b)
{
	return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

bool
stamp_equal(const struct stamp *a, const struct stamp *b)
{
	return a->there == b->there && a->dev == b->dev && a->ino == b->ino &&
	       a->size == b->size && time_equal(a->mtime, b->mtime) &&
	       time_equal(a->ctime, b->ctime);
}
