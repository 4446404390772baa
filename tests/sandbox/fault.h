/*
 * SPDX-License-Identifier: ISC
 *
 * fault - what shall go wrong, where, when and how often.
 *
 * Faults are asked in the order they were made; the first that matches, is
 * past its skips, has times left and wins its draw is taken.  Not locked.
 */
#ifndef SANDBOX_FAULT_H
#define SANDBOX_FAULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "http.h"
#include "util.h"

#define FAULT_MAX 256

enum fault_on { ON_TOKEN, ON_API, ON_DOCUMENT, ON_FEED, ON_WEBHOOK, ON_N };

enum fault_do {
	DO_STATUS,
	DO_DELAY,
	DO_CUT,
	DO_RESET,
	DO_DRIP,
	DO_SHORT,
	DO_LONG,
	DO_EXPIRE,
	DO_HTML,
	DO_GARBAGE,
	DO_REDIRECT,
	DO_DROP,
	DO_DUPLICATE,
	DO_REORDER,
	DO_DENY,
	DO_N
};

struct fault {
	int id;
	enum fault_on on;
	enum fault_do what;
	char match[128], retry_after[64], to[1024];
	bool head; /* cut within the header */
	long long status, ms, times, percent, skip, bytes, fired;
	uint64_t asked;
};

struct fault_set {
	uint64_t seed;
	int last;
	size_t n;
	struct fault f[FAULT_MAX];
};

/* The new fault's id, or 0 and why. */
int fault_add(struct fault_set *s, const char *json, size_t n, char *why, size_t size);
void fault_clear(struct fault_set *s);
void fault_list(const struct fault_set *s, struct buf *out);
bool fault_take(struct fault_set *s, enum fault_on on, const char *text, struct fault *out);

/* Does it stand in for the answer, so that the request is not even looked at? */
bool fault_answers(const struct fault *f);
/* Make the reply go wrong. */
void fault_apply(const struct fault *f, struct http_reply *r);

#endif
