/*
 * SPDX-License-Identifier: ISC
 *
 * shape - how an event is written down: the feed's entry and its variations.
 *
 * The body of a webhook call is not published, so there are many; `mixed'
 * stands for any one of them and is never an event's own shape.
 */
#ifndef SANDBOX_SHAPE_H
#define SANDBOX_SHAPE_H

#include "util.h"

#define SHAPES(X)                                                                              \
	X(feed)                                                                                \
	X(split)                                                                               \
	X(direct)                                                                              \
	X(properties)                                                                          \
	X(lower)                                                                               \
	X(upper)                                                                               \
	X(getfiledetail)                                                                       \
	X(noid)                                                                                \
	X(notime)                                                                              \
	X(array)                                                                               \
	X(unknown)                                                                             \
	X(mixed)

enum shape {
#define X(name) SHAPE_##name,
	SHAPES(X)
#undef X
	    SHAPE_N
};

struct sandbox;
struct event;

enum shape shape_named(const char *name); /* SHAPE_N: no such */
const char *shape_name(enum shape s);
/* Category and type as this event names them (see getfiledetail, unknown). */
void shape_kind(const struct sandbox *sb, const struct event *e, char category[NAME_SIZE],
    char type[NAME_SIZE]);
/* One event as a JSON object; sb->lock is held. */
void shape_write(
    const struct sandbox *sb, const struct event *e, enum shape s, struct buf *out);

#endif
