/*
 * SPDX-License-Identifier: ISC
 *
 * stamp - what tells one content of a file from the next, without reading it.
 */
#ifndef ARKEN_STAMP_H
#define ARKEN_STAMP_H

#include <stdbool.h>
#include <sys/stat.h>
#include <time.h>

struct stamp {
	bool there; /* all else is 0 if there was no file */
	dev_t dev;
	ino_t ino;
	off_t size;
	struct timespec mtime, ctime;
};

/*
 * The stamp of a file as it is now; a link is followed.  Take it before the content is read: a
 * change in between then shows at the next look.
 */
struct stamp stamp_of(int dir, const char *path);

bool stamp_equal(const struct stamp *a, const struct stamp *b);

#endif
