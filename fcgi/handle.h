/*
 * SPDX-License-Identifier: ISC
 *
 * handle - one exchange from its first parameter to its one answer.
 *
 * The order of work: route, method, credentials, size and type, room, body,
 * events, answer.  Memory for one exchange is at most its body, its parsed
 * JSON (both out of budgets that all threads share), an outcome of 1,000
 * events (700 KiB) and an answer; a request that is refused before its body
 * costs BODY_CHUNK.
 */
#ifndef ARKEN_HANDLE_H
#define ARKEN_HANDLE_H

#include <pthread.h>
#include <stdint.h>

#include "auth.h"
#include "budget.h"
#include "conf.h"
#include "gate.h"
#include "limit.h"
#include "reply.h"
#include "spool.h"

/* For the bodies of all threads: this, or room for four of the largest. */
#define HANDLE_BODIES ((size_t)64 << 20)

/*
 * For parsed JSON of all threads.  A body whose tree alone could take more (nothing but the
 * smallest values: 80 times its length) is kept in rejected.
 */
#define HANDLE_TREES ((size_t)128 << 20)

/* The most of a body that is read before an answer without a configuration: max_body's most. */
#define HANDLE_UNREAD ((uint64_t)64 << 20)

struct receiver {
	const struct conf *conf; /* borrowed, as the two below */
	struct spool *spool;
	struct auth *auth;
	struct budget bodies;
	struct budget trees;
	pthread_mutex_t lock; /* over limits */
	struct limit limits[REPLY_CASES];
};

void receiver_open(struct receiver *rv, const struct conf *c, struct spool *sp, struct auth *a);
void receiver_close(struct receiver *rv);

/*
 * Handle one exchange; it is answered exactly once, after everything is on disk.  true: the
 * body was read to its end, so the connection may carry another.
 */
bool handle_exchange(struct receiver *rv, struct exchange *x);

/* Answer 503 without a receiver: plain CGI that could not start. */
void handle_unavailable(struct exchange *x);

#endif
