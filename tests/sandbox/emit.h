/*
 * SPDX-License-Identifier: ISC
 *
 * emit - things happen in the account, and each makes its event.
 *
 * sb->lock is held by the caller of everything here.
 */
#ifndef SANDBOX_EMIT_H
#define SANDBOX_EMIT_H

#include "feed.h"
#include "sandbox.h"

enum emit_what { EMIT_ONE, EMIT_ALL, EMIT_MIXED };

struct emit {
	enum emit_what what;
	enum kind kind;                  /* of EMIT_ONE */
	uint32_t client, user, document; /* to what; 0: the newest, or a new one */
	enum shape shape;
	bool keep; /* in the feed only: a missed event */
	unsigned duplicate;
};

/* Events made by one call of emit() have neighbouring numbers. */
#define EMIT_ALL_N KIND_N

/* Makes count events (or sets of twelve): number of the first, 0: no room. */
uint32_t emit(struct sandbox *sb, const struct emit *what, unsigned count);
/* One event with the defaults of the command line. */
void emit_one(struct sandbox *sb, enum kind kind, enum obj_type type, uint32_t object);

#endif
