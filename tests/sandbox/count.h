/*
 * SPDX-License-Identifier: ISC
 *
 * count - the counters, and those who wait for a counter or for a time.
 *
 * A waiter is anything the owner's wake function can resume.  It is woken
 * exactly once for each count_park(), from any thread.
 */
#ifndef SANDBOX_COUNT_H
#define SANDBOX_COUNT_H

#include <stdbool.h>
#include <stdint.h>

#include "util.h"

#define COUNTERS(X)                                                                            \
	X(events)                                                                              \
	X(deliveries)                                                                          \
	X(delivered)                                                                           \
	X(abandoned)                                                                           \
	X(pending)                                                                             \
	X(refused)                                                                             \
	X(tokens)                                                                              \
	X(token_refused)                                                                       \
	X(issuer_tokens)                                                                       \
	X(issuer_refused)                                                                      \
	X(api_account)                                                                         \
	X(api_client)                                                                          \
	X(api_documentdata)                                                                    \
	X(api_user)                                                                            \
	X(api_filestore)                                                                       \
	X(api_feed)                                                                            \
	X(api_subscription)                                                                    \
	X(api_401)                                                                             \
	X(api_403)                                                                             \
	X(api_404)                                                                             \
	X(api_total)                                                                           \
	X(documents)                                                                           \
	X(document_requests)                                                                   \
	X(document_bytes)                                                                      \
	X(document_expired)                                                                    \
	X(document_authorization)                                                              \
	X(faults)                                                                              \
	X(subscriptions)

enum counter {
#define X(name) COUNT_##name,
	COUNTERS(X)
#undef X
	    COUNT_N
};

struct count_wait {
	enum counter what;
	bool at_most; /* else at least */
	long long value;
};

struct count;

struct count *count_new(void (*wake)(void *who));
/* Wakes everybody; a later count_park() wakes at once. */
void count_stop(struct count *c);
void count_free(struct count **c);

void count_add(struct count *c, enum counter what, long long n);
bool count_met(struct count *c, const struct count_wait *w);
/* A counter by its name; COUNT_N: no such. */
enum counter count_named(const char *name);
void count_json(struct count *c, struct buf *out);
/* Wake who when the clock reaches due_ms or w (may be NULL) is met. */
void count_park(struct count *c, void *who, int64_t due_ms, const struct count_wait *w);

#endif
