/*
 * SPDX-License-Identifier: ISC
 *
 * feed - every event that was ever made, by its number, and how it fared.
 *
 * Numbers start at 1 and have no gaps.  Not locked: see sandbox.h.
 */
#ifndef SANDBOX_FEED_H
#define SANDBOX_FEED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shape.h"

enum kind {
	ACCOUNT_UPDATE,
	CLIENT_CREATE,
	CLIENT_UPDATE,
	CLIENT_DELETE,
	DOCUMENT_CREATE,
	DOCUMENT_UPDATE,
	DOCUMENT_DELETE,
	USER_CREATE,
	USER_UPDATE,
	USER_DELETE,
	FILE_UPLOAD,
	FILE_DOWNLOAD,
	KIND_N
};

struct event {
	uint32_t number;
	uint32_t client, user, document, file; /* objects of the world, 0: none */
	int64_t utc_us;
	uint8_t kind, shape;
	bool accepted;  /* some attempt was answered 2xx */
	uint16_t open;  /* deliveries not yet ended */
	uint32_t tries; /* attempts made */
	int status;     /* of the last attempt: HTTP status, 0 no answer, -1 none made */
};

struct feed;

struct feed *feed_new(uint32_t max);
void feed_free(struct feed **f);
/* A new event, numbered and timed; borrowed until the next; NULL: full. */
struct event *feed_add(struct feed *f);
struct event *feed_get(struct feed *f, uint32_t number);
uint32_t feed_last(const struct feed *f); /* 0: none yet */
uint32_t feed_room(const struct feed *f);

const char *kind_category(enum kind k);
const char *kind_type(enum kind k);
/* Category.Type; KIND_N: no such. */
enum kind kind_named(const char *name);

#endif
