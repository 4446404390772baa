/*
 * SPDX-License-Identifier: ISC
 *
 * handle - one exchange from its first parameter to its one answer.
 *
 * The order of work: route, method, credentials, size and type, room, turn,
 * body, events, answer.  Memory for one exchange is at most its body, its parsed
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
#include "turn.h"

#define HANDLE_WAIT (2 * CLK_SECOND) /* for a turn, at most */

/*
 * Memory for all requests together, as [receiver] memory says, but never less than eight of
 * the largest bodies: a quarter of it for bodies, the rest for their parsed form.  An event
 * whose parsed form alone could take more is kept in rejected.
 */
uint64_t handle_memory(const struct conf *c);

/* The most of a body that is read before an answer without a configuration: max_body's most. */
#define HANDLE_UNREAD ((uint64_t)64 << 20)

struct shared { /* by all receivers of a process, whatever their configuration */
	struct budget bodies;
	struct budget trees;
	struct turn turn;
	pthread_mutex_t lock; /* over limits */
	struct limit limits[REPLY_CASES];
};

/* So many requests at one time, and so many more that wait for their turn. */
void shared_open(struct shared *sh, const struct conf *c, unsigned limit, unsigned places);
void shared_resize(struct shared *sh, const struct conf *c); /* as another one says */
void shared_close(struct shared *sh);

struct receiver { /* all of it borrowed */
	const struct conf *conf;
	struct spool *spool;
	struct auth *auth;
	struct shared *shared;
};

void receiver_open(struct receiver *rv, const struct conf *c, struct spool *sp, struct auth *a,
    struct shared *sh);

/*
 * Handle one exchange; it is answered exactly once, after everything is on disk.  true: the
 * body was read to its end, so the connection may carry another.
 */
bool handle_exchange(struct receiver *rv, struct exchange *x);

/* Answer 503 without a receiver: plain CGI that could not start. */
void handle_unavailable(struct exchange *x);

#endif
